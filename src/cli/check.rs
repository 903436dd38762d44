//! `kafkamq check`: everything that can be known before the service runs.

use std::io;

use clap::Args;
use kafkamq_pipeline::diagnostic::Diagnostic as ScriptDiagnostic;
use kafkamq_pipeline::manager::ScriptProblem;
use serde_json::json;

use super::connect::Connections;
use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::preflight::{Preflight, Verdict};
use kafkamq_settings::{Diagnostics, Severity};

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
    /// Fail on warnings too: missing scripts, scripts that do not compile, old keys
    #[arg(long)]
    strict: bool,
    /// Print findings as one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Checks configuration and scripts, and connections where asked for, and prints all findings.
pub(super) fn check(arguments: &CheckArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let preflight = arguments.config.examine();
    let Preflight {
        loaded,
        found,
        broken,
        ..
    } = &preflight;
    // What is not valid cannot be dialled.
    let connections = loaded
        .as_ref()
        .filter(|_| arguments.connect)
        .map(|loaded| Connections::dial(&loaded.settings));
    let unreachable = connections.as_ref().map_or(0, Connections::failed);
    let errors = found.errors() + unreachable;
    let warnings = preflight.warnings() + connections.as_ref().map_or(0, Connections::warnings);
    if arguments.json {
        print_json(found, broken, connections.as_ref(), terminal)?;
    } else {
        print_text(found, broken, terminal)?;
        if let Some(connections) = &connections {
            write!(terminal.out, "{connections}")?;
        }
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
                counted(preflight.scripts, "script"),
                counted(warnings, "warning"),
            )?;
        }
    }
    Ok(match preflight.verdict() {
        Verdict::Invalid => INVALID,
        Verdict::Unusable => FAILED,
        Verdict::Fine if unreachable > 0 => FAILED,
        Verdict::Fine if arguments.strict && warnings > 0 => FAILED,
        Verdict::Fine => FINE,
    })
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
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

pub(super) fn print_text(
    found: &Diagnostics,
    broken: &[ScriptProblem],
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    write!(terminal.err, "{found}")?;
    for (problem, error) in diagnostics(broken) {
        let text = error.render_warning(terminal.err_color);
        writeln!(
            terminal.err,
            "{text}\n  = note: category {}; its points pass unchanged\n",
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
                "severity": Severity::Warning,
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
