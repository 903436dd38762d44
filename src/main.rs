//! The kafkamq binary: arguments in, exit code out.

use std::process::ExitCode;

use kafkamq::bench::allocations::Counted;
use kafkamq::cli::{self, Entries};
use kafkamq::{app, demo, telemetry};

/// Points are built on one thread and freed on another; this allocator does that best. The client
/// library, which does the same with every message, uses it too: a feature of the crate gives it the
/// names of the C library.
#[global_allocator]
static ALLOCATOR: Counted<tikv_jemallocator::Jemalloc> = Counted(tikv_jemallocator::Jemalloc);

/// Where the commands that run actors lead to.
const ENTRIES: Entries = Entries {
    run: |loaded, sources| {
        telemetry::init(&loaded.settings.log)?;
        Ok(app::run(loaded, sources)?)
    },
    demo: demo::run,
};

fn main() -> ExitCode {
    ExitCode::from(cli::main(&ENTRIES))
}
