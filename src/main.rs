//! The kafkamq binary: arguments in, exit code out.

use std::process::ExitCode;

use kafkamq::cli::{self, Entries};

/// Where the commands that run actors lead to.
const ENTRIES: Entries = Entries {
    run: |_, _| anyhow::bail!("the service is not part of this build"),
    demo: |_| anyhow::bail!("the demonstration is not part of this build"),
};

fn main() -> ExitCode {
    ExitCode::from(cli::main(&ENTRIES))
}
