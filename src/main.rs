//! The kafkamq binary: arguments in, exit code out.

use std::process::ExitCode;

#[cfg(feature = "demo")]
use kafkamq::bench::allocations::Counted;
use kafkamq::cli::{self, Entries};
use kafkamq::{app, telemetry};
use tikv_jemallocator::Jemalloc;

/// Points are built on one thread and freed on another; this allocator does that best. The client
/// library, which does the same with every message, uses it too: a feature of the crate gives it the
/// names of the C library.
#[cfg(not(feature = "demo"))]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The same, with a count of calls that the benchmark switches on.
#[cfg(feature = "demo")]
#[global_allocator]
static ALLOCATOR: Counted<Jemalloc> = Counted(Jemalloc);

/// Where the commands that run actors lead to.
const ENTRIES: Entries = Entries {
    run: |loaded, sources| {
        telemetry::init(&loaded.settings.log)?;
        Ok(app::run(loaded, sources)?)
    },
    #[cfg(feature = "demo")]
    demo: kafkamq::demo::run,
};

fn main() -> ExitCode {
    ExitCode::from(cli::main(&ENTRIES))
}
