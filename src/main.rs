//! The kafkamq binary: arguments in, exit code out.

use std::process::ExitCode;

use kafkamq::app;
#[cfg(feature = "demo")]
use kafkamq::bench::allocations::Counted;
use kafkamq::cli::{self, Entries};
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

/// What is free goes back to the system within a second, so that the process shrinks when the flow
/// does. Read by the allocator when it starts.
#[expect(
    unsafe_code,
    reason = "the allocator finds its options by the name of a symbol"
)]
#[unsafe(export_name = "malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8] = b"dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true\0";

/// Where the commands that run actors lead to.
const ENTRIES: Entries = Entries {
    run: app::run,
    #[cfg(feature = "demo")]
    demo: kafkamq::demo::run,
};

fn main() -> ExitCode {
    ExitCode::from(cli::main(&ENTRIES))
}
