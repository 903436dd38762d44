//! `kafkamq bench`.

use std::io;

use anyhow::Context as _;

use super::{FAILED, FINE, Terminal, fail};
use crate::bench::{BenchOptions, run};

/// Runs the benchmark and shows its figures, or says what did not arrive.
pub(super) fn bench(options: &BenchOptions, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let err = &mut *terminal.err;
    let report = run(options, &mut |about| {
        // The benchmark goes on when its progress cannot be shown.
        let _shown = writeln!(err, "measuring: {about}");
    });
    let written = report.and_then(|report| {
        if let Some(path) = &options.json {
            let text = serde_json::to_string_pretty(&report)?;
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = &options.plot {
            std::fs::write(path, report.plot()).with_context(|| path.display().to_string())?;
        }
        Ok(report)
    });
    match written {
        Ok(report) => write!(terminal.out, "{report}").map(|()| FINE),
        Err(error) => {
            let code = fail(terminal, &error);
            debug_assert_eq!(code, FAILED);
            Ok(code)
        }
    }
}
