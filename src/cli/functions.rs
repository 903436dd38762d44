//! `kafkamq functions`.

use std::io;

use clap::Args;
use kafkamq_pipeline::diagnostic::suggest;
use kafkamq_pipeline::functions;

use super::{FAILED, FINE, Terminal};

/// Which function.
#[derive(Debug, Args)]
pub(super) struct FunctionsArgs {
    /// Name of a function; all are listed without it
    name: Option<String>,
}

/// Prints the reference of one function, or the list of all by family.
pub(super) fn functions(arguments: &FunctionsArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let Some(name) = &arguments.name else {
        list(terminal)?;
        return Ok(FINE);
    };
    if let Some(spec) = functions::find(name) {
        writeln!(terminal.out, "{}", functions::terminal(spec).trim_end())?;
        return Ok(FINE);
    }
    write!(terminal.err, "error: there is no function `{name}`")?;
    if let Some(near) = suggest(name, functions::ALL.iter().map(|spec| spec.name)) {
        write!(terminal.err, ", did you mean `{near}`?")?;
    }
    writeln!(terminal.err)?;
    Ok(FAILED)
}

fn list(terminal: &mut Terminal<'_>) -> io::Result<()> {
    let mut families: Vec<_> = functions::ALL.iter().map(|spec| spec.category).collect();
    families.sort_unstable();
    families.dedup();
    let width = functions::ALL
        .iter()
        .map(|spec| spec.name.len())
        .max()
        .unwrap_or(0);
    for family in families {
        writeln!(terminal.out, "{}", family.title())?;
        for spec in functions::ALL.iter().filter(|spec| spec.category == family) {
            writeln!(terminal.out, "  {:width$}  {}", spec.name, spec.summary)?;
        }
        writeln!(terminal.out)?;
    }
    Ok(())
}
