//! `kafkamq replay`: a time range of a topic delivered once more, beside the service.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::time::moment;
use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::actors::status::ServiceStatus;
use crate::app::stop_requested;
use crate::explain::Taken;
use crate::replay::{Range, ReplayError, Report, run, settings_for};
use kafkamq_settings::{DeadLetterKind, InputSettings, load};

/// What is replayed.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The topic
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// Records written at this time or later: RFC 3339, milliseconds since 1970, or how long ago, as -2h
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    from: i64,
    /// Records written before this time; as far as there are any now, if it is left out
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    to: Option<i64>,
    /// Records a second at most, instead of the limits of the configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// As this input reads the topic, where several do
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// Folder for dead letters instead of the configured one, which a running service holds
    #[arg(long, value_name = "FOLDER")]
    dead_letters: Option<PathBuf>,
    /// Say what there is and deliver nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document at the end
    #[arg(long)]
    json: bool,
    /// How long to wait for the brokers at the start, such as 5 or 1m
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::seconds)]
    timeout: Duration,
}

/// Delivers the range, tells how far it is, and prints what came of it.
pub(super) fn replay(arguments: &ReplayArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let mut settings = match load(&arguments.config.sources()) {
        Ok(loaded) => loaded.settings,
        Err(found) => {
            write!(terminal.err, "{found}")?;
            return Ok(INVALID);
        }
    };
    let to = arguments.to.unwrap_or(i64::MAX);
    if arguments.from >= to {
        writeln!(terminal.err, "error: --from is not before --to")?;
        return Ok(INVALID);
    }
    let input = match the_input(&settings.inputs, arguments) {
        Ok(input) => input.clone(),
        Err(message) => {
            writeln!(terminal.err, "error: {message}")?;
            return Ok(INVALID);
        }
    };
    if let (Some(folder), DeadLetterKind::File { path, .. }) =
        (&arguments.dead_letters, &mut settings.dead_letter.kind)
    {
        path.clone_from(folder);
    }
    let topic = &arguments.topic;
    let range = match Range::find(&input, topic, arguments.from, to, arguments.timeout) {
        Ok(range) => range,
        Err(error) => return failed(&error, terminal),
    };
    if !arguments.json {
        write_range(&range, terminal)?;
    }
    if arguments.dry_run {
        if arguments.json {
            writeln!(terminal.out, "{:#}", document(&range, None))?;
        }
        return Ok(FINE);
    }
    let settings = settings_for(settings, &input, topic, arguments.rate);
    let began = Instant::now();
    let err = &mut *terminal.err;
    let mut trouble = String::new();
    let ran = actix_rt::System::new().block_on(run(
        settings,
        &range,
        async { drop(stop_requested().await) },
        |range, status| {
            // Nobody may be watching any more; the records count.
            drop(tell(range, status, began, &mut trouble, err));
        },
    ));
    let report = match ran {
        Ok(report) => report,
        Err(error) => return failed(&error, terminal),
    };
    if arguments.json {
        writeln!(terminal.out, "{:#}", document(&range, Some(&report)))?;
    } else {
        write_report(&report, terminal)?;
    }
    if report.complete {
        return Ok(FINE);
    }
    let (all, passed) = range.progress();
    writeln!(
        terminal.err,
        "stopped: {} of {all} offsets are not settled",
        all - passed
    )?;
    Ok(FAILED)
}

/// The one input that takes the topic.
fn the_input<'a>(
    inputs: &'a [InputSettings],
    arguments: &ReplayArgs,
) -> Result<&'a InputSettings, String> {
    let wanted = |input: &&InputSettings| {
        let name = arguments.input.as_ref();
        name.is_none_or(|name| *name == input.name) && Taken::by(input, &arguments.topic).is_some()
    };
    let mut found = inputs.iter().filter(wanted);
    match (found.next(), found.next()) {
        (Some(input), None) => Ok(input),
        (None, _) => Err(format!("no such input reads `{}`", arguments.topic)),
        (Some(one), Some(other)) => Err(format!(
            "several inputs read `{}`, choose with --input: {}, {}",
            arguments.topic, one.name, other.name
        )),
    }
}

fn failed(error: &ReplayError, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    writeln!(terminal.err, "error: {error}")?;
    if error.to_string().contains("in use by another process") {
        writeln!(
            terminal.err,
            "a running service holds it: give the replay its own with --dead-letters"
        )?;
    }
    Ok(FAILED)
}

fn write_range(range: &Range, terminal: &mut Terminal<'_>) -> io::Result<()> {
    if range.ranges.is_empty() {
        return writeln!(terminal.err, "no records of this time");
    }
    for range in &*range.ranges {
        let (source, offsets) = (range.source(), range.offsets());
        let count = offsets.end - offsets.start;
        writeln!(
            terminal.err,
            "{source}: offsets {} up to {}, {count} in all",
            offsets.start, offsets.end
        )?;
    }
    Ok(())
}

fn tell(
    range: &Range,
    status: Option<&ServiceStatus>,
    began: Instant,
    trouble: &mut String,
    err: &mut dyn io::Write,
) -> io::Result<()> {
    let (all, passed) = range.progress();
    let seconds = began.elapsed().as_secs();
    writeln!(err, "{passed} of {all} offsets settled after {seconds} s")?;
    let mut now = Vec::new();
    for one in status.map_or(&[][..], |status| &status.destinations) {
        if let Some(reason) = one.reason.as_ref().filter(|_| one.state != "up") {
            now.push(format!("{} is {}: {reason}", one.name, one.state));
        }
    }
    for one in status.map_or(&[][..], |status| &status.inputs) {
        now.extend(one.alarm.clone());
    }
    let now = now.join("\n");
    if now != *trouble {
        if !now.is_empty() {
            writeln!(err, "{now}")?;
        }
        *trouble = now;
    }
    Ok(())
}

fn write_report(report: &Report, terminal: &mut Terminal<'_>) -> io::Result<()> {
    for (name, number) in [
        ("read", report.read),
        ("delivered", report.delivered),
        ("dropped", report.dropped),
        ("left out", report.left_out),
        ("dead-lettered", report.dead_lettered),
    ] {
        writeln!(terminal.out, "{name:<14} {number:>12}")?;
    }
    Ok(())
}

fn document(range: &Range, report: Option<&Report>) -> serde_json::Value {
    let partitions: Vec<_> = range
        .ranges
        .iter()
        .map(|range| {
            let offsets = range.offsets();
            json!({
                "topic": &*range.source().topic,
                "partition": range.source().partition,
                "from": offsets.start,
                "to": offsets.end,
                "settled": range.passed(),
            })
        })
        .collect();
    json!({ "partitions": partitions, "report": report })
}
