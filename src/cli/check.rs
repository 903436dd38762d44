//! `kafkamq check`: everything that can be known before the service runs.

use std::io;

use clap::Args;
use kafkamq_pipeline::Engine;
use kafkamq_point::Category;
use serde_json::json;

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::scripts::{ScriptTexts, Scripts};
use crate::settings::{Diagnostic, Diagnostics, Loaded, Severity, load, scripts_folder};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print findings as one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Checks configuration and scripts and prints all findings.
pub(super) fn check(arguments: &CheckArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let sources = arguments.config.sources();
    let (loaded, mut found) = match load(&sources) {
        Ok(loaded) => {
            let warnings = loaded.warnings.clone();
            (Some(loaded), warnings)
        }
        Err(found) => (None, found),
    };
    // Scripts are checked even when the configuration is wrong, to show everything at once.
    let folder = scripts_folder(&sources);
    let (texts, unreadable) = ScriptTexts::read(&folder);
    let defaults = loaded
        .as_ref()
        .map(|loaded| loaded.settings.pipeline.default_scripts.clone())
        .unwrap_or_default();
    let scripts = Scripts::compile(&Engine::new(), &texts, defaults, None);
    let invalid = loaded.is_none();
    if let Some(loaded) = &loaded {
        found.0.extend(missing_scripts(loaded, &scripts));
    }
    found.0.extend(
        unreadable
            .iter()
            .map(|error| Diagnostic::error("pipeline.path", error.to_string())),
    );
    let broken = scripts.errors().count();
    if arguments.json {
        print_json(&found, &scripts, terminal)?;
    } else {
        print_text(&found, &scripts, terminal)?;
        let errors = found.errors() + broken;
        let warnings = found.warnings();
        let inputs = loaded
            .as_ref()
            .map_or(0, |loaded| loaded.settings.inputs.len());
        if errors > 0 {
            writeln!(
                terminal.err,
                "{} and {}",
                counted(errors, "error"),
                counted(warnings, "warning")
            )?;
        } else {
            writeln!(
                terminal.out,
                "configuration is valid: {}, {}, {}",
                counted(inputs, "input"),
                counted(scripts.len(), "script"),
                counted(warnings, "warning"),
            )?;
        }
    }
    Ok(if invalid {
        INVALID
    } else if broken > 0 || found.errors() > 0 {
        FAILED
    } else {
        FINE
    })
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Scripts that a map or a default names and that are not there.
fn missing_scripts(loaded: &Loaded, scripts: &Scripts) -> Vec<Diagnostic> {
    let mut missing = Vec::new();
    let folder = loaded.settings.pipeline.path.display();
    let mut check = |category: Category, script: &str, path: &[&str]| {
        if script.is_empty() || script == "-" || scripts.exists(category, script) {
            return;
        }
        let place = match category {
            Category::Logging => format!("{folder}"),
            other => format!("{folder}/{other}"),
        };
        let error = Diagnostic::error("", format!("the script `{script}` is not in {place}"));
        missing.push(loaded.document.located(error, path));
    };
    for (index, input) in loaded.settings.inputs.iter().enumerate() {
        for topic in input.custom.iter().flat_map(|custom| &custom.topics) {
            let map = match topic.category {
                Category::Metric => "metric_topic_map",
                Category::Rum => "rum_topic_map",
                _ => "log_topic_map",
            };
            let input = format!("kafkamq[{index}]");
            check(
                topic.category,
                &topic.script,
                &["inputs", &input, "custom", map, &topic.topic],
            );
        }
    }
    for (category, script) in &loaded.settings.pipeline.default_scripts {
        check(
            *category,
            script,
            &["pipeline", "default_scripts", category.name()],
        );
    }
    missing
}

fn print_text(
    found: &Diagnostics,
    scripts: &Scripts,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    write!(terminal.err, "{found}")?;
    for (category, _, error) in scripts.errors() {
        writeln!(
            terminal.err,
            "{}\n  = note: category {category}\n",
            error.render(terminal.color)
        )?;
    }
    Ok(())
}

fn print_json(
    found: &Diagnostics,
    scripts: &Scripts,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let scripts: Vec<_> = scripts
        .errors()
        .map(|(category, name, error)| {
            let position = error.source.position(error.span.start);
            json!({
                "severity": Severity::Error,
                "category": category.name(),
                "script": name,
                "line": position.line,
                "column": position.column,
                "code": error.code.as_str(),
                "message": error.message,
                "hint": error.help,
            })
        })
        .collect();
    let all = json!({ "configuration": found, "scripts": scripts });
    writeln!(terminal.out, "{all:#}")
}
