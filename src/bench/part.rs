//! The parts that run in processes of their own, so that each has its cores and its own figures.
//!
//! A part says on standard output, as one line of JSON, that it is ready. Then it answers each line
//! of its standard input with one line, and ends when that is closed: no part outlives the
//! benchmark.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kafkamq_broker::{Broker, BrokerOptions};
use rustix::process::{Signal, getpid, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::allocations;
use super::receiver::Receiver;
use crate::kafka::read_bare;
use kafkamq_record::TopicPartition;
use kafkamq_settings::{Loaded, Sources, load};

/// One part of the benchmark.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartArguments {
    /// Cores it may use; all when empty
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Clone, Subcommand)]
enum Role {
    /// The embedded broker
    Broker,
    /// The receiver of everything
    Receiver,
    /// The service itself
    Router {
        /// Its configuration
        #[arg(long)]
        config: PathBuf,
        /// Count allocations
        #[arg(long)]
        count: bool,
    },
    /// The bare loop over the client library
    Bare {
        #[arg(long)]
        brokers: String,
        #[arg(long, value_delimiter = ',')]
        topics: Vec<String>,
        #[arg(long)]
        partitions: i32,
        #[arg(long)]
        records: u64,
    },
}

/// What a part says when it is ready.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Where it listens, `host:port`.
    pub(super) address: String,
}

/// What a process has used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Usage {
    /// Processor time of all threads, in seconds.
    pub(super) cpu: f64,
    pub(super) allocations: u64,
    /// Processor time of each living thread by name, in seconds; threads of one name add up.
    #[serde(default)]
    pub(super) threads: BTreeMap<String, f64>,
}

/// What the bare loop measured.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct BareFigures {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu: f64,
}

/// Runs one part until its standard input is closed; `service` is what `kafkamq run` runs.
///
/// # Errors
/// When it cannot start.
pub(crate) fn run(
    arguments: PartArguments,
    service: fn(Loaded, Sources) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    pin(&arguments.cores)?;
    match arguments.role {
        Role::Broker => {
            let options = BrokerOptions {
                auto_create_topics: false,
                ..BrokerOptions::default()
            };
            let broker = Broker::start(options).context("the embedded broker")?;
            let address = broker.bootstrap();
            serve(Ready { address }, |_| Ok(String::new()))
        }
        Role::Receiver => receive(),
        Role::Router { config, count } => route(config, count, service),
        Role::Bare {
            brokers,
            topics,
            partitions,
            records,
        } => bare(&brokers, &topics, partitions, records),
    }
}

/// Lets this process run on `cores` only. To be called before it has threads.
pub(super) fn pin(cores: &[usize]) -> anyhow::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &core in cores {
        anyhow::ensure!(core < CpuSet::MAX_CPU, "there is no core {core}");
        set.set(core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on the cores {cores:?}"))
}

fn receive() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (listener, address) = runtime.block_on(Receiver::listen())?;
    let receiver = Receiver::new();
    let serving = receiver.clone();
    std::thread::Builder::new()
        .name("receiver".into())
        .spawn(move || runtime.block_on(serving.serve(listener)))?;
    let ready = Ready {
        address: address.to_string(),
    };
    serve(ready, move |command| {
        let answer = match command.split_once(' ').unwrap_or((command, "")) {
            ("expect", number) => {
                receiver.expect(number.parse()?);
                String::new()
            }
            ("hold", _) => {
                receiver.hold(true);
                String::new()
            }
            ("release", _) => {
                receiver.hold(false);
                String::new()
            }
            ("account", _) => serde_json::to_string(&receiver.account())?,
            ("latency", _) => serde_json::to_string(&receiver.latency())?,
            _ => anyhow::bail!("unknown command"),
        };
        Ok(answer)
    })
}

fn route(
    config: PathBuf,
    count: bool,
    service: fn(Loaded, Sources) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let sources = Sources::new().file(config);
    let loaded = load(&sources).map_err(|found| anyhow::anyhow!("{found}"))?;
    if count {
        allocations::count();
    }
    std::thread::Builder::new()
        .name("control".into())
        .spawn(|| {
            let ended = serve(Ready::default(), |_| Ok(serde_json::to_string(&usage())?));
            if let Err(error) = ended {
                tracing::error!(%error, "the benchmark cannot be answered");
            }
            // As an operator would end it.
            if let Err(error) = kill_process(getpid(), Signal::TERM) {
                tracing::error!(%error, "cannot end");
            }
        })?;
    service(loaded, sources)
}

fn bare(brokers: &str, topics: &[String], partitions: i32, records: u64) -> anyhow::Result<()> {
    let sources: Vec<_> = topics
        .iter()
        .flat_map(|topic| (0..partitions).map(|p| TopicPartition::new(topic.as_str(), p)))
        .collect();
    let before = usage().cpu;
    let reading = read_bare(brokers, &sources, records)?;
    say(&serde_json::to_string(&BareFigures {
        records: reading.records,
        bytes: reading.bytes,
        seconds: reading.took.as_secs_f64(),
        cpu: usage().cpu - before,
    })?)
}

fn usage() -> Usage {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Usage {
        cpu: (Duration::from_secs(seconds) + Duration::from_nanos(nanos)).as_secs_f64(),
        allocations: allocations::counted(),
        threads: threads(),
    }
}

/// Processor time of the threads of this process; a thread that ends meanwhile is left out.
fn threads() -> BTreeMap<String, f64> {
    let mut threads = BTreeMap::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return threads;
    };
    for task in tasks.flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
        let (Some(name), Some(times)) = (read("comm"), read("schedstat")) else {
            continue;
        };
        // The first number is nanoseconds on a processor (Documentation/scheduler/sched-stats.rst).
        let nanos = times.split(' ').next().and_then(|first| first.parse().ok());
        let seconds = Duration::from_nanos(nanos.unwrap_or(0)).as_secs_f64();
        *threads.entry(name.trim().to_owned()).or_default() += seconds;
    }
    threads
}

fn serve(
    ready: Ready,
    mut answer: impl FnMut(&str) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    say(&serde_json::to_string(&ready)?)?;
    for line in io::stdin().lock().lines() {
        say(&answer(&line?)?)?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
