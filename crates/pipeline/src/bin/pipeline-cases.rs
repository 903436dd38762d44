//! Runs conformance cases from standard input, one JSON line each; arguments are ignored.

use std::io::{stdin, stdout};

use kafkamq_pipeline::cases::{case_engine, run_cases};

fn main() -> std::io::Result<()> {
    run_cases(&case_engine(), stdin().lock(), stdout().lock())
}
