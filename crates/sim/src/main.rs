//! `cargo run --profile ci -p kafkamq-sim -- --seeds 0..10000`: many seeds, for a merge and for nights.
#![expect(clippy::print_stdout, reason = "its output is its report")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kafkamq_sim::{Bug, Fault, Options, SECOND, run, run_many, shorten};

const USAGE: &str = "kafkamq-sim [--seed N | --seeds A..B] [--faults all|crash,429,...] [--bug NAME] \
                     [--threads N] [--trace]";

struct Arguments {
    seeds: std::ops::Range<u64>,
    options: Options,
    threads: usize,
    trace: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        seeds: 0..1000,
        options: Options::default(),
        threads: 2,
        trace: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        match word.as_str() {
            "--trace" => parsed.trace = true,
            "--seed" => {
                let seed = number(&value()?)?;
                parsed.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let text = value()?;
                let (first, last) = text.split_once("..").ok_or("--seeds is A..B")?;
                parsed.seeds = number(first)?..number(last)?;
            }
            "--threads" => parsed.threads = usize::try_from(number(&value()?)?).unwrap_or(2),
            "--faults" => {
                let faults = Fault::list(&value()?);
                parsed.options.faults = faults.map_err(|name| format!("no fault `{name}`"))?;
            }
            "--bug" => {
                let name = value()?;
                parsed.options.bug = Some(Bug::named(&name).ok_or(format!("no bug `{name}`"))?);
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let Arguments {
        seeds,
        options,
        threads,
        trace,
    } = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let said = AtomicU64::new(0);
    let progress = |done: u64| {
        let seconds = began.elapsed().as_secs();
        if seconds / 10 > said.fetch_max(seconds / 10, Ordering::Relaxed) {
            println!("{done} seeds in {seconds} s");
        }
    };
    let one = |seed| run(seed, &options, trace);
    let summary = run_many(seeds, threads, &one, 1, &progress);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s ({:.0} a second), {} of them twice; {} records, {} events, {} hours; \
         slowest recovery {} s (seed {}), peak {} KiB",
        summary.runs,
        summary.runs as f64 / seconds,
        summary.twice,
        summary.records,
        summary.events,
        summary.time / (3600 * SECOND),
        summary.slowest.0 / SECOND,
        summary.slowest.1,
        summary.peak >> 10,
    );
    let Some(report) = summary.failed.first() else {
        return ExitCode::SUCCESS;
    };
    if let Some(violation) = &report.violation {
        println!("seed {}: {violation}", report.seed);
    }
    if trace {
        for line in &report.story {
            println!("  {line}");
        }
    } else if options.bug.is_none()
        && let Some(story) = shorten(report.seed, &options)
    {
        println!(
            "{} of {} events are enough:",
            story.events.len(),
            story.before
        );
        for event in &story.events {
            println!("  {event}");
        }
        println!("then {}", story.violation);
        for line in story.trace.iter().rev().take(20).rev() {
            println!("    {line}");
        }
    }
    ExitCode::FAILURE
}
