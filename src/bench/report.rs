//! The figures of a run: as a table, and as JSON.

use std::fmt;

use serde::Serialize;

use super::BenchOptions;
use super::case::{Case, Goal};
use super::drain::Drain;
use super::part::BareFigures;
use super::receiver::Latency;
use super::run::{Delay, Load, Speed, Stage};

const MIB: f64 = (1 << 20) as f64;
const MILLION: f64 = 1e6;

/// All figures of one run of the benchmark.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Version of this program.
    pub(crate) version: &'static str,
    /// What the processor calls itself.
    pub(crate) machine: String,
    /// Cores that the router and the bare loop ran on.
    pub(crate) router_cores: Vec<usize>,
    /// Cores of everything else.
    pub(crate) rest_cores: Vec<usize>,
    /// `embedded`, or the address of the brokers.
    pub(crate) brokers: String,
    /// Partitions of each topic.
    pub(crate) partitions: i32,
    /// How records were packed.
    pub(crate) compression: String,
    /// Routers in the group.
    pub(crate) members: u32,
    /// Parser threads of each; 0 is one for each of its cores.
    pub(crate) threads: usize,
    /// Repetitions of each run, of which the best counts.
    pub(crate) repeat: u32,
    /// Case by case.
    pub(crate) rows: Vec<Row>,
    /// Ends with work in flight, of each case the slowest.
    pub(crate) drains: Vec<Drain>,
}

/// The figures of one case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Name of the case.
    pub(crate) case: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// Kafka records.
    pub(crate) records: u64,
    /// Elements in them; more than the records where records are arrays.
    pub(crate) elements: u64,
    /// Mean size of a record, key and value.
    pub(crate) record_bytes: f64,
    /// Elements a second, by the clock.
    pub(crate) per_second: f64,
    /// Megabytes (10^6) of records a second, by the clock.
    pub(crate) megabytes_per_second: f64,
    /// Elements for each second of processor time of the router.
    pub(crate) per_core_second: f64,
    /// Processor time of the router per million elements, in seconds.
    pub(crate) cpu_per_million: f64,
    /// The same of the bare loop, in the same run.
    pub(crate) bare_cpu_per_million: f64,
    /// Elements a second of the bare loop, by the clock.
    pub(crate) bare_per_second: f64,
    /// Speed of the router as a share of that of the bare loop, by processor time.
    pub(crate) of_bare: f64,
    /// The goal in the terms of `per_core_second`, or of `of_bare` below 1; null without one.
    pub(crate) goal: Option<f64>,
    /// Whether the goal is reached.
    pub(crate) reached: Option<bool>,
    /// Name of the thread that worked most; a process cannot be faster than it.
    pub(crate) busiest_thread: String,
    /// Processor time of that thread per million elements, in seconds.
    pub(crate) busiest_cpu_per_million: f64,
    /// Requests that the receiver answered.
    pub(crate) requests: u64,
    /// Elements that arrived more than once.
    pub(crate) repeated: u64,
    /// Allocations of the router per element.
    pub(crate) allocations: f64,
    /// Peak resident memory of the router, in bytes.
    pub(crate) peak_memory: u64,
    /// Resident memory of the router before the first record, in bytes.
    pub(crate) idle_memory: Option<u64>,
    /// From the start of the router's process to its first record, in seconds.
    pub(crate) first_record_seconds: f64,
    /// Records a second at half load.
    pub(crate) half_load: Option<f64>,
    /// Microseconds from making a record to its arrival at half load.
    pub(crate) latency_us: Option<Latency>,
    /// Processor time per million elements of the build that this one was compared with.
    pub(crate) other_cpu_per_million: Option<f64>,
}

impl Report {
    pub(super) fn new(options: &BenchOptions, stage: &Stage) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: machine(),
            router_cores: stage.router_cores.clone(),
            rest_cores: stage.rest_cores.clone(),
            brokers: options
                .brokers
                .clone()
                .unwrap_or_else(|| "embedded".to_owned()),
            partitions: stage.partitions,
            compression: stage.compression.clone(),
            members: options.members,
            threads: options.threads,
            repeat: options.repeat.max(1),
            rows: Vec::new(),
            drains: Vec::new(),
        }
    }
}

impl Row {
    pub(super) fn new(
        case: &Case,
        load: &Load,
        speed: Speed,
        other: Option<Speed>,
        bare: BareFigures,
        allocations: u64,
        delay: Option<Delay>,
    ) -> Self {
        let elements = load.elements() as f64;
        let per_core_second = elements / speed.cpu;
        let of_bare = bare.cpu / speed.cpu;
        let (goal, reached) = match case.goal {
            Goal::OfBare(share) => (Some(share), Some(of_bare >= share)),
            Goal::PerSecond(rate) => (Some(rate), Some(per_core_second >= rate)),
            Goal::None => (None, None),
        };
        Self {
            case: case.name,
            about: case.about,
            records: speed.records,
            elements: load.elements(),
            record_bytes: speed.bytes as f64 / speed.records as f64,
            per_second: elements / speed.seconds,
            megabytes_per_second: speed.bytes as f64 / speed.seconds / MILLION,
            per_core_second,
            cpu_per_million: speed.cpu / elements * MILLION,
            bare_cpu_per_million: bare.cpu / elements * MILLION,
            bare_per_second: elements / bare.seconds,
            of_bare,
            goal,
            reached,
            busiest_thread: speed.busiest.0,
            busiest_cpu_per_million: speed.busiest.1 / elements * MILLION,
            requests: speed.requests,
            repeated: speed.repeated,
            allocations: allocations as f64 / elements,
            peak_memory: speed.peak_memory,
            idle_memory: delay.map(|delay| delay.idle_memory),
            first_record_seconds: speed.first_record.as_secs_f64(),
            half_load: delay.map(|delay| delay.rate),
            latency_us: delay.map(|delay| delay.latency),
            other_cpu_per_million: other.map(|other| other.cpu / elements * MILLION),
        }
    }

    fn shown_goal(&self) -> String {
        match self.goal {
            Some(share) if share < 1.0 => format!("{:.0} % of bare", share * 100.0),
            Some(rate) => format!("{}/s", thousands(rate)),
            None => String::new(),
        }
    }
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = name.map_or("unknown processor", |(_, name)| name);
    format!("{name}, {cores} cores")
}

fn thousands(number: f64) -> String {
    if number >= 1e6 {
        format!("{:.2} M", number / 1e6)
    } else {
        format!("{:.0} k", number / 1e3)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "kafkamq {} on {}; router on {:?}, the rest on {:?}; brokers {}, {} partitions, compression {}, members: {}",
            self.version,
            self.machine,
            self.router_cores,
            self.rest_cores,
            self.brokers,
            self.partitions,
            self.compression,
            self.members,
        )?;
        if !self.rows.is_empty() {
            self.cases(f)?;
        }
        self.ends(f)
    }
}

impl Report {
    fn cases(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:8} {:>7} {:>9} {:>8} {:>9} {:>8} {:>6} {:>9} {:>14} {:>6} {:>8} {:>8}",
            "case",
            "bytes",
            "per s",
            "MB/s",
            "per core",
            "CPU s/M",
            "bare",
            "of bare",
            "goal",
            "",
            "alloc",
            "peak MiB",
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:8} {:>7.0} {:>9} {:>8.1} {:>9} {:>8.3} {:>6.3} {:>7.0} % {:>14} {:>6} {:>8.2} {:>8.1}",
                row.case,
                row.record_bytes,
                thousands(row.per_second),
                row.megabytes_per_second,
                thousands(row.per_core_second),
                row.cpu_per_million,
                row.bare_cpu_per_million,
                row.of_bare * 100.0,
                row.shown_goal(),
                match row.reached {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "",
                },
                row.allocations,
                row.peak_memory as f64 / MIB,
            )?;
        }
        writeln!(
            f,
            "\n{:8} {:>12} {:>8} {:>12} {:>10}",
            "case", "busiest", "CPU s/M", "a process", "repeated",
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:8} {:>12} {:>8.3} {:>12} {:>10}",
                row.case,
                row.busiest_thread,
                row.busiest_cpu_per_million,
                format!("{}/s", thousands(MILLION / row.busiest_cpu_per_million)),
                row.repeated,
            )?;
        }
        writeln!(
            f,
            "\n{:8} {:>10} {:>8} {:>8} {:>8} {:>9} {:>12}",
            "case", "half load", "p50 ms", "p99 ms", "p99.9 ms", "idle MiB", "first rec ms",
        )?;
        for row in &self.rows {
            let Some(latency) = row.latency_us else {
                continue;
            };
            let millis = |micros: u64| match latency.elements {
                0 => "-".to_owned(),
                _ => format!("{:.2}", micros as f64 / 1e3),
            };
            writeln!(
                f,
                "{:8} {:>10} {:>8} {:>8} {:>8} {:>9.1} {:>12.0}",
                row.case,
                format!("{}/s", thousands(row.half_load.unwrap_or_default())),
                millis(latency.p50),
                millis(latency.p99),
                millis(latency.p999),
                row.idle_memory.unwrap_or_default() as f64 / MIB,
                row.first_record_seconds * 1e3,
            )?;
        }
        for row in &self.rows {
            if let Some(other) = row.other_cpu_per_million {
                writeln!(
                    f,
                    "{:8} this build {:.3} CPU s/M, the other {:.3}: {:+.1} %",
                    row.case,
                    row.cpu_per_million,
                    other,
                    (row.cpu_per_million / other - 1.0) * 100.0
                )?;
            }
        }
        writeln!(
            f,
            "\nPer core is what one core of the router carries: elements for each second of its processor time. CPU s/M is\n\
             that time per million elements, bare the same of a loop that only reads. Busiest is the thread that works most:\n\
             with cores enough, a process can do what that thread can. Everything sent has arrived."
        )
    }

    fn ends(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.drains.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:8} {:>9} {:>9} {:>9} {:>11}",
            "drain", "in flight", "end ms", "repeated", "read again"
        )?;
        for drain in &self.drains {
            writeln!(
                f,
                "{:8} {:>9} {:>9.0} {:>9} {:>11}",
                drain.case,
                drain.records,
                drain.seconds * 1e3,
                drain.repeated,
                drain.read_again
            )?;
        }
        writeln!(
            f,
            "\nThe end is from SIGTERM, with as many records in flight, to the end of the process; destinations answer\n\
             again from then on. Everything has arrived; read again are records that a second start read although\n\
             they had been delivered."
        )
    }
}
