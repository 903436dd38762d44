//! `kafkamq dlq`: the dead letters listed, shown and sent back.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::time::moment;
use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::dead_letters::{
    DeadLetters, DeadLettersError, Entry, LetterDetail, LetterId, LetterSummary, Payload, Replay,
    ReplayReport,
};
use kafkamq_delivery::dead_letter::Filter;
use kafkamq_settings::load;

/// What to do with dead letters.
#[derive(Debug, Args)]
pub(super) struct DlqArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of dead letters to look at instead of those of the configuration
    #[arg(long, value_name = "FOLDER", global = true)]
    path: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List letters, the oldest first
    List(ListArgs),
    /// Show one letter with key, value and headers
    Show(ShowArgs),
    /// Send letters back to the topics they came from
    ///
    /// A letter keeps its partition, key, value, headers and timestamp, gets one header more,
    /// `kafkamq-replay`, and is marked, so that it is not sent again unless --again says so.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Letters that were replayed already, too
    #[arg(long)]
    replayed: bool,
    /// Only letters after this one
    #[arg(long, value_name = "ID")]
    after: Option<LetterId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Id of the letter: a number, or topic/partition/offset
    id: LetterId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Ids of the letters: numbers, or topic/partition/offset
    #[arg(value_name = "ID", conflicts_with_all = ["all", "topic", "partition", "offset", "input", "stage", "reason", "from", "to"])]
    ids: Vec<LetterId>,
    /// All letters
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Letters that were replayed already, too
    #[arg(long)]
    again: bool,
    /// Say how many there are and send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Only letters of records of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only letters of records of this partition
    #[arg(long)]
    partition: Option<i32>,
    /// Only letters of the record with this offset
    #[arg(long)]
    offset: Option<i64>,
    /// Only letters of records that came by this input
    #[arg(long)]
    input: Option<String>,
    /// Only letters from this stage, such as parse or deliver
    #[arg(long)]
    stage: Option<String>,
    /// Only letters whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only letters given up at this time or later: RFC 3339, or how long ago, as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,
    /// Only letters given up before this time: RFC 3339, or how long ago, as 10m
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            input: self.input.clone(),
            stage: self.stage.clone(),
            reason: self.reason.clone(),
            from: self.from,
            to: self.to,
            after: None,
            include_replayed: false,
        }
    }
}

/// Does what is asked for with dead letters.
pub(super) fn dlq(arguments: &DlqArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let loaded = match load(&arguments.config.sources()) {
        Ok(loaded) => loaded,
        Err(found) => {
            write!(terminal.err, "{found}")?;
            return Ok(INVALID);
        }
    };
    let mut letters = DeadLetters::of(&loaded.settings);
    if let Some(path) = &arguments.path {
        letters = letters.in_folder(path);
    }
    let done = match &arguments.action {
        Action::List(list) => self::list(&letters, list, terminal)?,
        Action::Show(show) => self::show(&letters, show, terminal)?,
        Action::Replay(replay) => self::replay(&letters, replay, terminal)?,
    };
    match done {
        Ok(code) => Ok(code),
        Err(error) => {
            writeln!(terminal.err, "error: {error}")?;
            let wrong = matches!(error, DeadLettersError::WrongId(..));
            Ok(if wrong { INVALID } else { FAILED })
        }
    }
}

type Done = io::Result<Result<u8, DeadLettersError>>;

fn list(letters: &DeadLetters, arguments: &ListArgs, terminal: &mut Terminal<'_>) -> Done {
    let filter = Filter {
        include_replayed: arguments.replayed,
        ..arguments.filter.filter()
    };
    let page = match letters.list(&filter, arguments.after.as_ref(), arguments.limit) {
        Ok(page) => page,
        Err(error) => return Ok(Err(error)),
    };
    let summaries = &page.entries;
    if arguments.json {
        for summary in summaries {
            writeln!(terminal.out, "{}", json(summary))?;
        }
    } else {
        print_table(summaries, terminal)?;
    }
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        writeln!(terminal.err, "there are more: --after {}", last.id)?;
    }
    Ok(Ok(FINE))
}

fn print_table(letters: &[LetterSummary], terminal: &mut Terminal<'_>) -> io::Result<()> {
    if letters.is_empty() {
        return writeln!(terminal.err, "no letters");
    }
    let rows: Vec<[String; 6]> = letters
        .iter()
        .map(|letter| {
            let mark = if letter.replayed { "*" } else { "" };
            [
                format!("{}{mark}", letter.id),
                letter.time.clone(),
                format!("{}/{}/{}", letter.topic, letter.partition, letter.offset),
                letter.stage.clone(),
                letter
                    .status
                    .map_or_else(|| "-".to_owned(), |s| s.to_string()),
                letter.attempts.to_string(),
            ]
        })
        .collect();
    let titles = ["ID", "TIME", "RECORD", "STAGE", "STATUS", "TRIES"];
    let mut widths = titles.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut line = |cells: [&str; 6], reason: &str| {
        let padded: Vec<_> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(terminal.out, "{}  {reason}", padded.join("  "))
    };
    line(titles, "REASON")?;
    for (row, letter) in rows.iter().zip(letters) {
        // A reason can quote an answer of many lines.
        let reason = letter.reason.lines().next().unwrap_or_default();
        line(row.each_ref().map(String::as_str), reason)?;
    }
    Ok(())
}

fn show(letters: &DeadLetters, arguments: &ShowArgs, terminal: &mut Terminal<'_>) -> Done {
    let entry = match letters.get(&arguments.id) {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            writeln!(terminal.err, "error: there is no letter {}", arguments.id)?;
            return Ok(Ok(FAILED));
        }
        Err(error) => return Ok(Err(error)),
    };
    if arguments.json {
        writeln!(terminal.out, "{}", json(&LetterDetail::from(&entry)))?;
    } else {
        print_letter(&entry, terminal)?;
    }
    Ok(Ok(FINE))
}

fn print_letter(entry: &Entry, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let LetterDetail {
        summary,
        key,
        value,
        headers,
    } = LetterDetail::from(entry);
    let status = summary.status.map(|status| status.to_string());
    let record = format!("{}/{}/{}", summary.topic, summary.partition, summary.offset);
    let lines = [
        ("id", Some(summary.id)),
        ("record", Some(record)),
        ("timestamp", summary.timestamp),
        ("input", Some(summary.input)),
        ("given up", Some(summary.time)),
        ("stage", Some(summary.stage)),
        ("status", status),
        ("tries", Some(summary.attempts.to_string())),
        ("replayed", summary.replayed.then(|| "yes".to_owned())),
        ("reason", Some(summary.reason)),
    ];
    for (name, text) in lines {
        if let Some(text) = text {
            writeln!(terminal.out, "{name:10} {text}")?;
        }
    }
    writeln!(terminal.out, "{:10} {}", "key", shown(key.as_ref()))?;
    for header in headers {
        let value = shown(header.value.as_ref());
        writeln!(terminal.out, "{:10} {}: {value}", "header", header.name)?;
    }
    writeln!(terminal.out, "\n{}", shown(value.as_ref()))
}

fn shown(payload: Option<&Payload>) -> String {
    match payload {
        None => "(none)".to_owned(),
        Some(Payload::Text(text)) => text.clone(),
        Some(Payload::Base64(text)) => format!("(base64) {text}"),
    }
}

fn replay(letters: &DeadLetters, arguments: &ReplayArgs, terminal: &mut Terminal<'_>) -> Done {
    let filter = arguments.filter.filter();
    if arguments.ids.is_empty() && filter == Filter::default() && !arguments.all {
        writeln!(
            terminal.err,
            "error: which letters? Give ids, a filter such as --topic, or --all"
        )?;
        return Ok(Ok(INVALID));
    }
    let replay = Replay {
        ids: (!arguments.ids.is_empty()).then(|| arguments.ids.clone()),
        filter,
        again: arguments.again,
        dry_run: arguments.dry_run,
    };
    let mut told = Ok(());
    let report = letters.replay(&replay, |report| {
        told = writeln!(terminal.err, "{} replayed", report.replayed);
    });
    told?;
    let report = match report {
        Ok(report) => report,
        Err(error) => return Ok(Err(error)),
    };
    print_report(&report, arguments.dry_run, terminal)?;
    Ok(Ok(if report.is_complete() { FINE } else { FAILED }))
}

fn print_report(
    report: &ReplayReport,
    dry_run: bool,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let verb = if dry_run {
        "would be replayed"
    } else {
        "replayed"
    };
    writeln!(terminal.out, "{} {verb}", report.replayed)?;
    if report.skipped > 0 {
        let text = "left out, since they were replayed before; --again sends them again";
        writeln!(terminal.out, "{} {text}", report.skipped)?;
    }
    for id in &report.missing {
        writeln!(terminal.err, "error: there is no letter {id}")?;
    }
    for (id, reason) in &report.failures {
        writeln!(terminal.err, "error: letter {id}: {reason}")?;
    }
    if report.failed > 0 {
        writeln!(terminal.err, "{} could not be sent and stay", report.failed)?;
    }
    if let Some(reason) = &report.stopped {
        writeln!(terminal.err, "error: ended early: {reason}")?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    // Strings, numbers and lists of them always can be written.
    serde_json::to_string(value).unwrap_or_default()
}
