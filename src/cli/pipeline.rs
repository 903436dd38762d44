//! `kafkamq pipeline`: one script on one input, or on many cases.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use clap::Args;
use kafkamq_pipeline::cases::{case_engine, run_cases};
use kafkamq_pipeline::manager::{ScriptProblem, read_folder};
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::{Category, Point};
use serde_json::Value as Json;

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use kafkamq_conversion::scripts::{Scripts, Trial, TrialError, shown};
use kafkamq_conversion::{RecordRules, ScriptTrial, Tried, TriedRecord};
use kafkamq_settings::{Settings, Sources, load, scripts_folder};

/// What to run on what.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
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
    let settings = match settings(arguments, terminal)? {
        Some(settings) => settings,
        None => return Ok(INVALID),
    };
    let Some((mut trial, topic)) = trial(settings, category, name, terminal)? else {
        return Ok(FAILED);
    };
    let record = TriedRecord {
        value: input.as_bytes(),
        ..TriedRecord::default()
    };
    let began = Instant::now();
    let tried = trial.run(record, SystemClock.now_ns());
    print(&tried, began.elapsed(), &topic, arguments.date, terminal)
}

/// Prints what became of the input.
fn print(
    tried: &Tried,
    took: Duration,
    topic: &str,
    date: bool,
    terminal: &mut Terminal<'_>,
) -> io::Result<u8> {
    let (mut tags, mut fields) = (0, 0);
    for tried in &tried.points {
        let shown = show(&tried.point, date);
        if tried.is_created {
            writeln!(terminal.out, "created: {shown:#}")?;
        } else {
            (tags, fields) = (tried.point.tags().count(), tried.point.fields().count());
            writeln!(terminal.out, "{shown:#}")?;
        }
    }
    let fate = match (&tried.error, tried.dropped) {
        (Some(_), _) => "failed, kept as it was when the script stopped",
        (None, true) => "dropped",
        (None, false) if tried.points.iter().all(|tried| tried.is_created) => "not sent",
        (None, false) => "kept",
    };
    writeln!(
        terminal.out,
        "{fate}: {tags} tags and {fields} fields in {took:?}"
    )?;
    for reason in &tried.refused {
        writeln!(terminal.err, "`{topic}`: {reason}")?;
    }
    match &tried.error {
        Some(error) => {
            writeln!(terminal.err, "{}", error.render(terminal.err_color))?;
            Ok(FAILED)
        }
        None => Ok(FINE),
    }
}

/// The settings that the flow would have; those of an empty configuration where the configuration
/// cannot be used, which is printed then. `None` if there are no scripts.
fn settings(arguments: &PipelineArgs, terminal: &mut Terminal<'_>) -> io::Result<Option<Settings>> {
    let sources = arguments.config.sources();
    let found = match load(&sources) {
        Ok(loaded) => return Ok(Some(loaded.settings)),
        Err(found) => found,
    };
    write!(terminal.err, "{found}")?;
    writeln!(
        terminal.err,
        "the service would not start; the script runs as if nothing but the folder was configured"
    )?;
    Ok(load(&Sources::new()).ok().map(|loaded| {
        let mut settings = loaded.settings;
        settings.pipeline.path = scripts_folder(&sources);
        settings
    }))
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

/// A trial of the script, compiled together with its neighbours so that it can use them, and the topic
/// that its points come from. What is wrong with it is printed.
fn trial(
    mut settings: Settings,
    category: Category,
    name: &str,
    terminal: &mut Terminal<'_>,
) -> io::Result<Option<(ScriptTrial, String)>> {
    let path = Path::new(name);
    let mut own = None;
    if path.is_file() {
        // Its neighbours lie in the same folder, whatever category that is for.
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        settings.pipeline.path = folder.unwrap_or_else(|| Path::new(".")).to_owned();
        match std::fs::read_to_string(path) {
            Ok(text) => own = Some(text),
            Err(error) => {
                wrong(terminal, FAILED, &format!("cannot read {name}: {error}"))?;
                return Ok(None);
            }
        }
    }
    let scripts = match Scripts::load(&settings.pipeline) {
        Ok((scripts, _)) => scripts,
        Err(error) => {
            wrong(terminal, FAILED, &error.to_string())?;
            return Ok(None);
        }
    };
    let file_name = match &own {
        Some(_) => file_name(path),
        None => name.to_owned(),
    };
    let previewed = match own {
        Some(text) => {
            let folder = read_folder(&settings.pipeline.path).scripts;
            let texts = folder.into_iter().find(|(of, _)| *of == Category::Logging);
            let mut texts = texts.map(|(_, texts)| texts).unwrap_or_default();
            texts.insert(file_name.clone(), text);
            scripts.preview_of(category, &file_name, texts)
        }
        None => scripts.preview(Trial {
            category,
            name: &file_name,
            text: None,
        }),
    };
    let error = match previewed {
        Ok(snapshot) => {
            let topic = file_name.trim_end_matches(".p").to_owned();
            let rules = RecordRules::new(&settings, scripts.in_force());
            let script = (category, file_name.as_str());
            let trial = ScriptTrial::new(&rules, snapshot, script, &topic, None);
            return Ok(Some((trial, topic)));
        }
        Err(TrialError::Broken(problem)) => problem,
        Err(TrialError::Missing(..)) => {
            // One that does not compile is not in force.
            let mut problems = scripts.problems().into_iter();
            let mine = |found: &ScriptProblem| found.category == category && found.name == name;
            match problems.find(mine) {
                Some(problem) => Box::new(problem),
                None => {
                    let message =
                        format!("there is neither a file nor a {category} script `{name}`");
                    wrong(terminal, FAILED, &message)?;
                    return Ok(None);
                }
            }
        }
    };
    for diagnostic in &error.diagnostics {
        writeln!(terminal.err, "{}", diagnostic.render(terminal.err_color))?;
    }
    if error.diagnostics.is_empty() {
        wrong(terminal, FAILED, &error.to_string())?;
    }
    Ok(None)
}

/// The name of a script file, which may lack the ending.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.ends_with(".p") {
        true => name.into_owned(),
        false => format!("{name}.p"),
    }
}

fn show(point: &Point, date: bool) -> Json {
    let mut shown = shown(point);
    if date {
        let since = u64::try_from(point.time_ns()).unwrap_or(0);
        let time = UNIX_EPOCH + Duration::from_nanos(since);
        shown["date"] = humantime::format_rfc3339_nanos(time).to_string().into();
    }
    shown
}
