//! `kafkamq simulate`: a configuration run in virtual time, with faults.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::simulate::ConfigScene;
use kafkamq_settings::load;
use kafkamq_sim::{
    Fault, Options, Report, SECOND, Story, Summary, run_many, run_scene, shorten_scene,
};

/// Seeds that are run where none are named.
const SEEDS: std::ops::Range<u64> = 0..20;
/// Lines of the story that are printed behind its events.
const LAST_LINES: usize = 12;
const LAWS: [(u8, &str); 6] = [
    (
        1,
        "below a committed offset, what arrives without faults arrived",
    ),
    (
        2,
        "only the owner commits, no commit steps back, nothing is buried without evidence",
    ),
    (3, "no more is repeated after a crash than may be in flight"),
    (4, "memory stays within its limit"),
    (
        5,
        "when faults end everything drains, and the service is never ready over a stuck partition",
    ),
    (6, "a receiver that asks for quiet is left alone"),
];

/// What to run, and how often.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// One seed; equal seeds give equal runs
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds from A to before B
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<std::ops::Range<u64>>,
    /// Hours of virtual time with faults, for each seed; without it a minute or so
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    hours: Option<u64>,
    /// Faults that may happen: all, none, or a list such as crash,429
    #[arg(long, value_name = "FAULTS", default_value = "all", value_parser = faults)]
    faults: Faults,
    /// Records: one JSON object a line with `value`, and perhaps `topic` and `key`, or plain text
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Write what happened in the seed that failed, or else in the last one, to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone)]
struct Faults(Vec<Fault>);

fn faults(text: &str) -> Result<Faults, String> {
    if text == "none" {
        return Ok(Faults(Vec::new()));
    }
    let known = Fault::ALL.map(|(_, name)| name).join(", ");
    let named = Fault::list(text);
    let named = named.map_err(|name| format!("`{name}` is not one of {known}"))?;
    Ok(Faults(named))
}

fn seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, last)| {
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first < last).then_some(first..last)
    });
    range.ok_or_else(|| "expected A..B, as 0..1000".to_owned())
}

fn hours(text: &str) -> Result<u64, String> {
    let hours = text
        .parse::<f64>()
        .ok()
        .filter(|hours| (0.001..=1000.0).contains(hours));
    let hours = hours.ok_or_else(|| "expected hours, as 1 or 0.5".to_owned())?;
    Ok((hours * 3600.0 * SECOND as f64) as u64)
}

/// Runs the seeds and prints what came of them.
pub(super) fn simulate(arguments: &SimulateArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let settings = match load(&arguments.config.sources()) {
        Ok(loaded) => loaded.settings,
        Err(found) => {
            write!(terminal.err, "{found}")?;
            return Ok(INVALID);
        }
    };
    let scene = match ConfigScene::try_new(settings, arguments.samples.as_deref()) {
        Ok(scene) => scene,
        Err(error) => {
            writeln!(terminal.err, "error: {error:#}")?;
            return Ok(INVALID);
        }
    };
    let options = Options {
        faults: arguments.faults.0.clone(),
        lasts: arguments.hours,
        bug: None,
    };
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.seeds.clone().unwrap_or(SEEDS),
    };
    let began = Instant::now();
    let summary = run(&scene, &options, seeds.clone(), terminal)?;
    let story = summary.failed.first();
    let story = story.and_then(|report| shorten_scene(report.seed, &options, &scene));
    if let Some(path) = &arguments.trace {
        let seed = summary
            .failed
            .first()
            .map_or(seeds.end - 1, |report| report.seed);
        let report = run_scene(seed, &options, &scene, true);
        if let Err(error) = std::fs::write(path, report.story.join("\n") + "\n") {
            writeln!(terminal.err, "error: {}: {error}", path.display())?;
            return Ok(FAILED);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    match arguments.json {
        true => {
            let document = document(&summary, story.as_ref(), &scene);
            writeln!(terminal.out, "{document:#}")?;
        }
        false => print(&summary, story.as_ref(), &scene, seconds, terminal)?,
    }
    Ok(match summary.failed.is_empty() {
        true => FINE,
        false => FAILED,
    })
}

/// Runs the seeds, with progress while that takes long.
fn run(
    scene: &ConfigScene,
    options: &Options,
    seeds: std::ops::Range<u64>,
    terminal: &mut Terminal<'_>,
) -> io::Result<Summary> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let count = seeds.end - seeds.start;
    let (told, progress) = mpsc::channel();
    let one = |seed| run_scene(seed, options, scene, false);
    let summary = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let told = std::sync::Mutex::new(told);
            run_many(seeds, threads, &one, 1, &|done| {
                if let Ok(told) = told.lock() {
                    told.send(done).ok();
                }
            })
        });
        let mut shown = Instant::now();
        for done in progress {
            if shown.elapsed().as_secs() >= 5 {
                shown = Instant::now();
                writeln!(terminal.err, "{done} of {count} seeds")?;
            }
        }
        Ok::<_, io::Error>(worker.join())
    })?;
    Ok(summary.unwrap_or_default())
}

fn print(
    summary: &Summary,
    story: Option<&Story>,
    scene: &ConfigScene,
    seconds: f64,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let (topics, outputs) = scene.about();
    let out = &mut terminal.out;
    writeln!(
        out,
        "topics: {}; outputs: {}",
        topics.join(", "),
        outputs.join(", ")
    )?;
    let broken = summary
        .failed
        .first()
        .and_then(|report| report.violation.as_ref());
    for (law, what) in LAWS {
        let held = match broken {
            Some(violation) if violation.law == law => "BROKEN",
            Some(_) => "      ",
            None => "held  ",
        };
        writeln!(out, "{held} {law}. {what}")?;
    }
    writeln!(
        out,
        "{} seeds, {} records, {:.1} hours of virtual time in {seconds:.1} s",
        summary.runs,
        summary.records,
        summary.time as f64 / (3600 * SECOND) as f64,
    )?;
    writeln!(
        out,
        "peak memory {} KiB; slowest recovery {} s (seed {})",
        summary.peak >> 10,
        summary.slowest.0 / SECOND,
        summary.slowest.1,
    )?;
    let Some(Report {
        seed,
        violation: Some(violation),
        ..
    }) = summary.failed.first()
    else {
        return Ok(());
    };
    writeln!(out, "\nseed {seed}: {violation}")?;
    if let Some(story) = story {
        let (few, all) = (story.events.len(), story.before);
        writeln!(out, "{few} of {all} events are enough for it:")?;
        for event in &story.events {
            writeln!(out, "  {event}")?;
        }
        writeln!(out, "and in the end:")?;
        let from = story.trace.len().saturating_sub(LAST_LINES);
        for line in story.trace.iter().skip(from) {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  {}", story.violation)?;
    }
    Ok(())
}

fn document(summary: &Summary, story: Option<&Story>, scene: &ConfigScene) -> Json {
    let (topics, outputs) = scene.about();
    let failed = summary.failed.first().map(|report| {
        let violation = report.violation.as_ref();
        json!({
            "seed": report.seed,
            "law": violation.map(|violation| violation.law),
            "text": violation.map(ToString::to_string),
            "events": story.map(|story| story.events.clone()),
        })
    });
    json!({
        "topics": topics,
        "outputs": outputs,
        "seeds": summary.runs,
        "records": summary.records,
        "virtual_seconds": summary.time / SECOND,
        "peak_memory_bytes": summary.peak,
        "slowest_recovery_seconds": summary.slowest.0 / SECOND,
        "slowest_recovery_seed": summary.slowest.1,
        "failed": failed,
    })
}
