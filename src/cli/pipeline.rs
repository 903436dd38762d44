//! `kafkamq pipeline`: one script on one input, or on many cases.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use clap::Args;
use kafkamq_pipeline::cases::{case_engine, run_cases};
use kafkamq_pipeline::manager::read_folder;
use kafkamq_pipeline::{Clock as _, Engine, Outcome, RunState, Script, ScriptSet, SystemClock};
use kafkamq_point::{Category, Point, Rules};
use serde_json::Value as Json;

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::scripts::shown;
use kafkamq_settings::scripts_folder;

/// What to run on what.
#[derive(Debug, Args)]
pub struct PipelineArgs {
    /// The script: a file, or the name of one in the script folder
    #[arg(
        short = 'P',
        long = "script",
        value_name = "SCRIPT",
        required_unless_present = "cases"
    )]
    script: Option<String>,
    /// The input
    #[arg(
        short = 'T',
        long = "text",
        value_name = "TEXT",
        conflicts_with = "file",
        required_unless_present_any = ["file", "cases"]
    )]
    text: Option<String>,
    /// File that holds the input; - is standard input
    #[arg(short = 'F', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Category of the point; without it that of the script's folder, logging for a file
    #[arg(short = 'C', long = "category", value_name = "CATEGORY")]
    category: Option<String>,
    /// Show the time of the point as a date too
    #[arg(long)]
    date: bool,
    /// Run cases instead, one JSON object a line, and answer one a line; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["script", "text", "file"])]
    cases: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the script, or the cases, and prints what became of the input.
pub(super) fn pipeline(arguments: &PipelineArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    if let Some(cases) = &arguments.cases {
        return match open(cases) {
            Ok(input) => {
                run_cases(&case_engine(), BufReader::new(input), &mut *terminal.out)?;
                Ok(FINE)
            }
            Err(message) => wrong(terminal, FAILED, &message),
        };
    }
    let name = arguments.script.as_deref().unwrap_or_default();
    let category = match category(arguments, name) {
        Ok(category) => category,
        Err(message) => return wrong(terminal, INVALID, &message),
    };
    let input = match input(arguments) {
        Ok(input) => input,
        Err(message) => return wrong(terminal, FAILED, &message),
    };
    let script = match script(arguments, category, name, terminal)? {
        Some(script) => script,
        None => return Ok(FAILED),
    };
    let topic = script.name().trim_end_matches(".p").to_owned();
    let mut point = Point::new(topic.as_str(), category, SystemClock.now_ns());
    point.set_field("message", input.as_str());
    Rules::of(category).apply(&mut point);
    if category == Category::Metric {
        // The rules of metrics allow no text, but the script is given the whole input.
        point.set_field("message", input.as_str());
    }
    let began = Instant::now();
    let outcome = script.run(&mut point, &mut RunState::new());
    let took = began.elapsed();
    let shown = show(&point, arguments.date);
    writeln!(terminal.out, "{shown:#}")?;
    for created in &outcome.created {
        writeln!(
            terminal.out,
            "created: {:#}",
            show(&created.point, arguments.date)
        )?;
    }
    let fate = fate(&outcome);
    let (tags, fields) = (point.tags().count(), point.fields().count());
    writeln!(
        terminal.out,
        "{fate}: {tags} tags and {fields} fields in {took:?}"
    )?;
    match &outcome.error {
        Some(error) => {
            writeln!(terminal.err, "{}", error.render(terminal.err_color))?;
            Ok(FAILED)
        }
        None => Ok(FINE),
    }
}

const fn fate(outcome: &Outcome) -> &'static str {
    match (&outcome.error, outcome.dropped) {
        (Some(_), _) => "failed, kept as it was when the script stopped",
        (None, true) => "dropped",
        (None, false) => "kept",
    }
}

fn wrong(terminal: &mut Terminal<'_>, code: u8, message: &str) -> io::Result<u8> {
    writeln!(terminal.err, "error: {message}")?;
    Ok(code)
}

fn open(path: &Path) -> Result<Box<dyn Read>, String> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn input(arguments: &PipelineArgs) -> Result<String, String> {
    if let Some(text) = &arguments.text {
        return Ok(text.clone());
    }
    let path = arguments.file.as_deref().unwrap_or_else(|| Path::new("-"));
    let mut bytes = Vec::new();
    open(path)?
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The category that was asked for; otherwise the one whose folder has a script of that name.
fn category(arguments: &PipelineArgs, name: &str) -> Result<Category, String> {
    if let Some(category) = &arguments.category {
        return category.parse().map_err(|error| format!("{error}"));
    }
    if Path::new(name).is_file() {
        return Ok(Category::Logging);
    }
    let scripts = read_folder(&scripts_folder(&arguments.config.sources())).scripts;
    let found: Vec<Category> = scripts
        .iter()
        .filter(|(_, texts)| texts.contains_key(name))
        .map(|(&category, _)| category)
        .collect();
    match found.as_slice() {
        [] | [Category::Logging, ..] => Ok(Category::Logging),
        [only] => Ok(*only),
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            Err(format!(
                "`{name}` is a script of {names}: say which one with -C"
            ))
        }
    }
}

/// The script, compiled together with its neighbours so that it can use them. What is wrong with it
/// is printed.
fn script(
    arguments: &PipelineArgs,
    category: Category,
    name: &str,
    terminal: &mut Terminal<'_>,
) -> io::Result<Option<Script>> {
    let path = Path::new(name);
    let (folder, of, file_name) = if path.is_file() {
        // Its neighbours lie in the same folder, whatever category that is for.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file_name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (
            folder.unwrap_or_else(|| Path::new(".")).to_owned(),
            Category::Logging,
            file_name,
        )
    } else {
        (
            scripts_folder(&arguments.config.sources()),
            category,
            name.to_owned(),
        )
    };
    let mut texts = read_folder(&folder).scripts.remove(&of).unwrap_or_default();
    if path.is_file() {
        // The file itself may have any name.
        match std::fs::read_to_string(path) {
            Ok(text) => texts.insert(file_name.clone(), text),
            Err(error) => {
                wrong(terminal, FAILED, &format!("cannot read {name}: {error}"))?;
                return Ok(None);
            }
        };
    }
    let scripts = ScriptSet::compile(&Engine::new(), texts, None);
    let found = scripts.get(&file_name);
    if found.is_none() {
        let errors = scripts.errors(&file_name);
        for error in errors {
            writeln!(terminal.err, "{}", error.render(terminal.err_color))?;
        }
        if errors.is_empty() {
            let message = format!("there is neither a file nor a {category} script `{name}`");
            wrong(terminal, FAILED, &message)?;
        }
    }
    Ok(found)
}

fn show(point: &Point, date: bool) -> Json {
    let mut shown = shown(point);
    if date {
        let since = u64::try_from(point.time_ns()).unwrap_or(0);
        let time = UNIX_EPOCH + std::time::Duration::from_nanos(since);
        shown["date"] = humantime::format_rfc3339_nanos(time).to_string().into();
    }
    shown
}
