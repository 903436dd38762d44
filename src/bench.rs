//! The flow benchmark: how fast this build is on this machine, and how far from the limit.
//!
//! Broker, receiver and router run as processes of their own, on cores of their own. Topics are
//! filled first; then the router starts and is measured from its first record to its last. In the
//! same run the bare loop of `read_bare` reads the same topics on the
//! same core, which is the limit of the client library. Every element carries a token, and a run in
//! which one is missing has no figures.
//!
//! Processor time per million records is the figure to compare: it changes little with whatever
//! else the machine does, where records per second do.

pub mod allocations;
mod case;
mod drain;
mod members;
mod part;
mod plot;
mod process;
mod receiver;
mod report;
mod run;
mod token;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};

use anyhow::Context as _;
use clap::Args;

use case::{CASES, Case};
use drain::DRAIN;
use part::BareFigures;
pub(crate) use part::{PartArguments, run as run_part};
use process::Part;
pub(crate) use report::{Report, Row};
use run::{Load, Speed, Stage};

use crate::kafka::Topics;

/// What is measured, and where.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchOptions {
    /// Only these cases; repeatable. One of settle, forward, json, metric, nginx, arrays, handle,
    /// mixed; and drain, which is run only when it is asked for: the end with 10,000 in flight
    #[arg(long = "case", value_name = "NAME", value_parser = known_case)]
    pub(crate) cases: Vec<String>,
    /// Records in each case; arrays count as their 100 elements, mixed has them in all
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) records: u64,
    /// Size of the records of settle, forward and handle
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Duration of the run at half load that shows the latency; 0 leaves it out
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Repetitions of each run; the one with the least processor time counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) repeat: u32,
    /// Partitions of each topic
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) partitions: i32,
    /// Parser threads of the router; 0 is one for each of its cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) threads: usize,
    /// Routers that share the load as members of one group, all on the cores of the router; the
    /// load is written while they read it, and there is no run at half load
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,
    /// How records are packed: none, gzip, snappy, lz4, zstd
    #[arg(long, value_name = "CODEC", default_value = "none")]
    pub(crate) compression: String,
    /// Cores of the router and of the bare loop, such as 1 or 2,3; by default the last
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) router_cores: Vec<usize>,
    /// Cores of broker, receiver and producers; by default all others
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) rest_cores: Vec<usize>,
    /// Brokers to use in place of the embedded one; topics are created and deleted there
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) brokers: Option<String>,
    /// Another build of kafkamq to measure in turn with this one
    #[arg(long, value_name = "BINARY")]
    pub(crate) against: Option<PathBuf>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw processor time per million records into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
}

fn known_case(name: &str) -> Result<String, String> {
    match name == DRAIN || CASES.iter().any(|case| case.name == name) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "one of {}, {DRAIN}",
            CASES.map(|case| case.name).join(", ")
        )),
    }
}

/// Runs the cases; `progress` is called before each.
///
/// # Errors
/// When a part cannot be started, stops moving, or when something did not arrive.
pub(crate) fn run(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<Report> {
    let binary = std::env::current_exe().context("the path of this program")?;
    let (router_cores, rest_cores) = cores(options);
    let broker = match &options.brokers {
        Some(_) => None,
        None => Some(Part::start(&binary, &rest_cores, &["broker".to_owned()])?),
    };
    let (broker, bootstrap) = match (broker, &options.brokers) {
        (Some(mut broker), _) => {
            let address = broker.ready()?;
            (Some(broker), address)
        }
        (None, brokers) => (None, brokers.clone().unwrap_or_default()),
    };
    let mut receiver = Part::start(&binary, &rest_cores, &["receiver".to_owned()])?;
    let receiver_address = receiver.ready()?;
    let mut stage = Stage {
        binary,
        bootstrap,
        receiver,
        receiver_address,
        router_cores,
        rest_cores,
        threads: options.threads,
        partitions: options.partitions.max(1),
        record_bytes: options.record_bytes,
        compression: options.compression.clone(),
        runs: 0,
    };
    let mut report = Report::new(options, &stage);
    for case in CASES {
        let wanted = options.cases.is_empty() || options.cases.iter().any(|name| name == case.name);
        if wanted {
            progress(case.about);
            let row = match options.members {
                0 | 1 => measure(&mut stage, options, &case),
                members => measure_group(&mut stage, options, &case, members as usize),
            };
            let row = row.with_context(|| format!("case {}", case.name))?;
            report.rows.push(row);
        }
    }
    if options.cases.iter().any(|name| name == DRAIN) {
        report.drains =
            drain::measure(&mut stage, options.repeat, progress).context("case drain")?;
    }
    drop(broker);
    Ok(report)
}

/// The last core for the router and the others for the rest, unless chosen otherwise. A machine
/// with a single core has to share it.
fn cores(options: &BenchOptions) -> (Vec<usize>, Vec<usize>) {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let router = match options.router_cores.is_empty() {
        true => vec![count - 1],
        false => options.router_cores.clone(),
    };
    let rest = match options.rest_cores.is_empty() {
        true => (0..count).filter(|core| !router.contains(core)).collect(),
        false => options.rest_cores.clone(),
    };
    (router, rest)
}

fn measure(stage: &mut Stage, options: &BenchOptions, case: &Case) -> anyhow::Result<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let topics = Topics::at(&stage.bootstrap)?;
    let prefix = format!("kafkamq-bench-{}-{}", std::process::id(), case.name);
    let load = Load::new(case, &prefix, options.records);
    let names = load.topics();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    runtime.block_on(topics.create(&names, stage.partitions))?;
    let never = AtomicBool::new(false);
    stage.fill(&load, None, &never, &AtomicU64::new(0))?;

    let (mut bare, mut best, mut other) = (None, None, None);
    for _ in 0..options.repeat.max(1) {
        bare = Some(cheaper(bare, stage.bare(&load)?));
        let binary = stage.binary.clone();
        best = Some(better(
            best.take(),
            stage.speed(&binary, case, &load, false)?,
        ));
        if let Some(binary) = &options.against {
            other = Some(better(
                other.take(),
                stage.speed(binary, case, &load, false)?,
            ));
        }
    }
    // On its own, since counting costs.
    let binary = stage.binary.clone();
    let counted = stage.speed(&binary, case, &load, true)?;
    runtime.block_on(topics.delete(&names))?;

    let speed = best.unwrap_or_default();
    let delay = if options.seconds > 0 {
        let rate = speed.records as f64 / speed.seconds / 2.0;
        let records = (rate * options.seconds as f64) as u64;
        let per_record = load.elements() / load.records().max(1);
        let load = Load::new(case, &format!("{prefix}-half"), records * per_record);
        let names = load.topics();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        runtime.block_on(topics.create(&names, stage.partitions))?;
        let delay = stage.delay(case, &load, rate)?;
        runtime.block_on(topics.delete(&names))?;
        Some(delay)
    } else {
        None
    };
    Ok(Row::new(
        case,
        &load,
        speed,
        other,
        bare.unwrap_or_default(),
        counted.allocations,
        delay,
    ))
}

fn measure_group(
    stage: &mut Stage,
    options: &BenchOptions,
    case: &Case,
    members: usize,
) -> anyhow::Result<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let topics = Topics::at(&stage.bootstrap)?;
    let (mut bare, mut best, mut other) = (None, None, None);
    let process = std::process::id();
    let load = |run: u32| {
        let prefix = format!("kafkamq-bench-{process}-{}-{run}", case.name);
        Load::new(case, &prefix, options.records)
    };
    let binaries = [Some(stage.binary.clone()), options.against.clone()];
    for run in 0..options.repeat.max(1) * 2 {
        let which = (run % 2) as usize;
        let Some(binary) = &binaries[which] else {
            continue;
        };
        let load = load(run);
        let names = load.topics();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        runtime.block_on(topics.create(&names, stage.partitions))?;
        let kept = if which == 0 { &mut best } else { &mut other };
        *kept = Some(better(
            kept.take(),
            stage.group(binary, case, &load, members)?,
        ));
        bare = Some(cheaper(bare, stage.bare(&load)?));
        runtime.block_on(topics.delete(&names))?;
    }
    Ok(Row::new(
        case,
        &load(0),
        best.unwrap_or_default(),
        other,
        bare.unwrap_or_default(),
        0,
        None,
    ))
}

fn cheaper(known: Option<BareFigures>, new: BareFigures) -> BareFigures {
    known.filter(|known| known.cpu <= new.cpu).unwrap_or(new)
}

fn better(known: Option<Speed>, new: Speed) -> Speed {
    known.filter(|known| known.cpu <= new.cpu).unwrap_or(new)
}
