//! `kafkamq check`: everything that can be known before the service runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use clap::Args;
use kafkamq_pipeline::Engine;
use kafkamq_pipeline::diagnostic::Diagnostic as ScriptDiagnostic;
use kafkamq_pipeline::manager::{Change, Namespace, ScriptProblem, ScriptStore, read_folder};
use kafkamq_point::Category;
use serde_json::json;

use super::connect::Connections;
use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use kafkamq_settings::{Diagnostic, Diagnostics, Loaded, Severity, load, scripts_folder};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Dial brokers and destinations, and name the layer that is in the way: DNS, TCP, TLS, SASL,
    /// ACL or topic
    ///
    /// Nothing is read, written, committed or created, and no group is joined.
    #[arg(long)]
    connect: bool,
    /// Print findings as one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Checks configuration and scripts, and connections where asked for, and prints all findings.
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
    let contents = read_folder(&scripts_folder(&sources));
    let names: Names = contents
        .scripts
        .iter()
        .map(|(&category, scripts)| (category, scripts.keys().cloned().collect()))
        .collect();
    let unreadable: Vec<Diagnostic> = contents
        .problems
        .iter()
        .map(|problem| Diagnostic::error("pipeline.path", problem.to_string()))
        .collect();
    let store = ScriptStore::new(Engine::new());
    let broken = store
        .apply(Namespace::Default, &Change::folder(contents))
        .problems;
    if let Some(loaded) = &loaded {
        found.0.extend(missing_scripts(loaded, &names));
    }
    found.0.extend(unreadable);
    // What is not valid cannot be dialled.
    let connections = loaded
        .as_ref()
        .filter(|_| arguments.connect)
        .map(|loaded| Connections::dial(&loaded.settings));
    let unreachable = connections.as_ref().map_or(0, Connections::failed);
    if arguments.json {
        print_json(&found, &broken, connections.as_ref(), terminal)?;
    } else {
        print_text(&found, &broken, terminal)?;
        if let Some(connections) = &connections {
            write!(terminal.out, "{connections}")?;
        }
        let errors = found.errors() + broken.len() + unreachable;
        let warnings = found.warnings() + connections.as_ref().map_or(0, Connections::warnings);
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
                counted(names.values().map(BTreeSet::len).sum(), "script"),
                counted(warnings, "warning"),
            )?;
        }
    }
    Ok(if loaded.is_none() {
        INVALID
    } else if !broken.is_empty() || found.errors() > 0 || unreachable > 0 {
        FAILED
    } else {
        FINE
    })
}

/// The scripts of each category, broken ones included.
type Names = BTreeMap<Category, BTreeSet<String>>;

fn counted(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Scripts that a map or a default names and that are not there.
fn missing_scripts(loaded: &Loaded, names: &Names) -> Vec<Diagnostic> {
    let mut missing = Vec::new();
    let folder = loaded.settings.pipeline.path.display();
    let mut check = |category: Category, script: &str, path: &[&str]| {
        let exists = names
            .get(&category)
            .is_some_and(|names| names.contains(script));
        if script.is_empty() || script == "-" || exists {
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

/// The problems of a script, of which one that is merely misnamed has none.
fn diagnostics(
    broken: &[ScriptProblem],
) -> impl Iterator<Item = (&ScriptProblem, &ScriptDiagnostic)> {
    broken.iter().flat_map(|problem| {
        problem
            .diagnostics
            .iter()
            .map(move |found| (problem, found))
    })
}

fn print_text(
    found: &Diagnostics,
    broken: &[ScriptProblem],
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    write!(terminal.err, "{found}")?;
    for (problem, error) in diagnostics(broken) {
        let text = error.render(terminal.color);
        writeln!(
            terminal.err,
            "{text}\n  = note: category {}\n",
            problem.category
        )?;
    }
    Ok(())
}

fn print_json(
    found: &Diagnostics,
    broken: &[ScriptProblem],
    connections: Option<&Connections>,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let scripts: Vec<_> = diagnostics(broken)
        .map(|(problem, error)| {
            let position = error.source.position(error.span.start);
            json!({
                "severity": Severity::Error,
                "category": problem.category.name(),
                "script": problem.name,
                "line": position.line,
                "column": position.column,
                "code": error.code.as_str(),
                "message": error.message,
                "hint": error.help,
            })
        })
        .collect();
    let mut all = json!({ "configuration": found, "scripts": scripts });
    if let Some(connections) = connections {
        all["connections"] = connections.to_json();
    }
    writeln!(terminal.out, "{all:#}")
}
