//! One run of the router over a case, and the load for it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::case::{Case, Feed, Surroundings, configure};
use super::part::{BareFigures, Usage};
use super::process::{Counters, Part, counters};
use super::receiver::{Account, Latency};
use super::token::{Token, now_micros};
use crate::kafka::{Outbound, Producer};

/// Without progress for this long a run has failed.
const STALL: Duration = Duration::from_secs(60);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);
/// Bounds of the pause between two looks at the metrics.
const LOOK_MIN: Duration = Duration::from_millis(2);
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Load is made in steps of this.
const LOAD_STEP: Duration = Duration::from_millis(1);
/// The memory of an idle service is read after this.
const SETTLE_DOWN: Duration = Duration::from_millis(1000);

/// What all runs share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) binary: PathBuf,
    pub(super) bootstrap: String,
    pub(super) receiver: Part,
    pub(super) receiver_address: String,
    pub(super) router_cores: Vec<usize>,
    pub(super) rest_cores: Vec<usize>,
    pub(super) threads: usize,
    pub(super) partitions: i32,
    pub(super) record_bytes: usize,
    pub(super) compression: String,
    /// Number of runs so far, so that each has a group of its own.
    pub(super) runs: u32,
}

/// The records of a case: of each feed, how many.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) prefix: String,
    pub(super) feeds: Vec<(Feed, u64)>,
}

/// What a run at full speed showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Speed {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu: f64,
    pub(super) requests: u64,
    pub(super) allocations: u64,
    pub(super) peak_memory: u64,
    /// From the start of the process to the first record read.
    pub(super) first_record: Duration,
    /// Elements that arrived more than once.
    pub(super) repeated: u64,
    /// Name and processor time of the thread that worked most, in seconds.
    pub(super) busiest: (String, f64),
}

/// What a run at half load showed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delay {
    pub(super) latency: Latency,
    pub(super) idle_memory: u64,
    pub(super) rate: f64,
}

impl Load {
    /// `records` records for `case`, shared out evenly; arrays count as their elements.
    pub(super) fn new(case: &Case, prefix: &str, records: u64) -> Self {
        let share = records / case.feeds.len() as u64;
        let feeds = case
            .feeds
            .iter()
            .map(|feed| (*feed, (share / feed.elements()).max(1)))
            .collect();
        Self {
            prefix: prefix.to_owned(),
            feeds,
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.feeds.iter().map(|(_, records)| records).sum()
    }

    /// Elements in all records.
    pub(super) fn elements(&self) -> u64 {
        let elements = self
            .feeds
            .iter()
            .map(|(feed, records)| records * feed.elements());
        elements.sum()
    }

    /// Elements that reach the receiver.
    pub(super) fn arriving(&self) -> u64 {
        let elements = self
            .feeds
            .iter()
            .map(|(feed, records)| records * feed.arriving());
        elements.sum()
    }

    pub(super) fn topics(&self) -> Vec<String> {
        let topics = self.feeds.iter().map(|(feed, _)| feed.topic(&self.prefix));
        topics.collect()
    }
}

impl Stage {
    /// Writes the records of `load` into its topics, as fast as they go or `rate` a second.
    /// Returns early, with fewer records in `written`, once `stop` is set.
    #[expect(
        clippy::disallowed_methods,
        reason = "the benchmark runs on a thread of its own"
    )]
    pub(super) fn fill(
        &self,
        load: &Load,
        rate: Option<f64>,
        stop: &AtomicBool,
        written: &AtomicU64,
    ) -> anyhow::Result<()> {
        let linger = Duration::from_millis(if rate.is_some() { 0 } else { 20 });
        let producer = Producer::for_load(&self.bootstrap, linger, &self.compression)?;
        let topics = load.topics();
        let mut left: Vec<(Feed, u64, &str)> = load
            .feeds
            .iter()
            .zip(&topics)
            .map(|((feed, records), topic)| (*feed, *records, topic.as_str()))
            .collect();
        let (mut sequence, mut count) = (0, 0_u64);
        let partitions = u64::from(self.partitions.unsigned_abs().max(1));
        // The first record of each partition waits for the producer's connections, which is not a delay
        // of the router's: the clock of a rate starts behind them.
        let first = partitions * left.len() as u64;
        let mut value = Vec::new();
        let mut began = Instant::now();
        while !stop.load(Ordering::Acquire) && left.iter().any(|(_, records, _)| *records > 0) {
            for (feed, records, topic) in left.iter_mut().filter(|(_, records, _)| *records > 0) {
                if let Some(rate) = rate.filter(|_| count >= first) {
                    if count == first {
                        producer.flush(FLUSH_TIMEOUT)?;
                        began = Instant::now();
                    }
                    let due = Duration::from_secs_f64((count - first) as f64 / rate);
                    let wait = due.saturating_sub(began.elapsed());
                    if !wait.is_zero() {
                        std::thread::sleep(wait.max(LOAD_STEP));
                    }
                }
                *records -= 1;
                value.clear();
                let token = Token {
                    sequence,
                    micros: now_micros(),
                };
                feed.write(token, self.record_bytes, &mut value);
                producer.send(Outbound {
                    topic,
                    partition: i32::try_from(*records % partitions).ok(),
                    key: None,
                    value: Some(&value),
                    headers: &[],
                    timestamp: None,
                })?;
                sequence += feed.elements();
                count += 1;
                written.store(count, Ordering::Release);
            }
        }
        producer.flush(FLUSH_TIMEOUT)?;
        anyhow::ensure!(producer.failed() == 0, "the broker refused records");
        Ok(())
    }

    /// Starts a router in the group of this run.
    pub(super) fn router(
        &self,
        binary: &Path,
        case: &Case,
        load: &Load,
        hasty: bool,
        count: bool,
    ) -> anyhow::Result<Router> {
        let folder = tempfile::tempdir()?;
        // Free now, and nobody else here looks for one.
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let listen = listen.to_string();
        let text = configure(
            case,
            &Surroundings {
                bootstrap: &self.bootstrap,
                receiver: &self.receiver_address,
                folder: folder.path(),
                prefix: &load.prefix,
                group: &format!("{}-{}", load.prefix, self.runs),
                listen: &listen,
                threads: self.threads,
                hasty,
            },
        )?;
        let config = folder.path().join("kafkamq.toml");
        std::fs::write(&config, text)?;
        let mut arguments = vec![
            "router".to_owned(),
            "--config".to_owned(),
            config.display().to_string(),
        ];
        arguments.extend(count.then(|| "--count".to_owned()));
        let began = Instant::now();
        let mut part = Part::start(binary, &self.router_cores, &arguments)?;
        part.ready()?;
        Ok(Router {
            part,
            listen,
            began,
            _folder: folder,
        })
    }

    /// Runs the router of `binary` over what is in the topics of `load`.
    pub(super) fn speed(
        &mut self,
        binary: &Path,
        case: &Case,
        load: &Load,
        count: bool,
    ) -> anyhow::Result<Speed> {
        self.receiver.tell(&format!("expect {}", load.elements()))?;
        self.runs += 1;
        let mut router = self.router(binary, case, load, false, count)?;
        let (mut before, mut start) = (router.part.ask::<Usage>("usage")?, Instant::now());
        let records = load.records();
        let mut first_record = None;
        let mut watch = Watch::new();
        let (end, finish) = loop {
            let now = Instant::now();
            let seen = counters(&router.listen).unwrap_or_default();
            if seen.received == 0 {
                (before, start) = (router.part.ask("usage")?, now);
            } else {
                first_record.get_or_insert_with(|| router.began.elapsed());
            }
            if seen.settled >= records {
                break (router.part.ask::<Usage>("usage")?, Instant::now());
            }
            watch.pause(seen, records)?;
        };
        let seen = counters(&router.listen).context("the service is gone")?;
        let account = self.account_of(load, seen)?;
        let peak_memory = router.part.memory("VmHWM")?;
        router.part.end()?;
        Ok(Speed {
            records,
            bytes: seen.received_bytes,
            seconds: (finish - start).as_secs_f64(),
            cpu: end.cpu - before.cpu,
            requests: account.requests,
            allocations: end.allocations.saturating_sub(before.allocations),
            peak_memory,
            first_record: first_record.unwrap_or_default(),
            repeated: account.repeated,
            busiest: busiest(&before, &end),
        })
    }

    /// What arrived, once it is sure that it is all of `load`, each record settled once.
    pub(super) fn account_of(&mut self, load: &Load, seen: Counters) -> anyhow::Result<Account> {
        let account: Account = self.receiver.ask("account")?;
        let records = load.records();
        anyhow::ensure!(
            seen.odd == 0 && seen.settled == records,
            "{} of {} records were settled, {} of them otherwise than delivered",
            seen.settled,
            records,
            seen.odd
        );
        anyhow::ensure!(
            account.arrived == load.arriving() && account.unknown == 0,
            "{} of {} elements arrived, {} that nobody sent",
            account.arrived,
            load.arriving(),
            account.unknown
        );
        Ok(account)
    }

    /// Runs the router while records come in at `rate` a second, for `seconds`.
    pub(super) fn delay(&mut self, case: &Case, load: &Load, rate: f64) -> anyhow::Result<Delay> {
        self.receiver.tell(&format!("expect {}", load.elements()))?;
        self.runs += 1;
        let binary = self.binary.clone();
        let router = self.router(&binary, case, load, true, false)?;
        let mut watch = Watch::new();
        while !counters(&router.listen).is_some_and(|seen| seen.joined) {
            watch.pause(Counters::default(), 1)?;
        }
        pause(SETTLE_DOWN);
        let idle_memory = router.part.memory("VmRSS")?;
        let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
        self.fill(load, Some(rate), &stop, &written)?;
        let records = load.records();
        let mut watch = Watch::new();
        loop {
            let seen = counters(&router.listen).unwrap_or_default();
            if seen.settled >= records {
                break;
            }
            watch.pause(seen, records)?;
        }
        let account: Account = self.receiver.ask("account")?;
        anyhow::ensure!(
            account.arrived == load.arriving(),
            "{} of {} elements arrived at half load",
            account.arrived,
            load.arriving()
        );
        let latency = self.receiver.ask("latency")?;
        router.part.end()?;
        Ok(Delay {
            latency,
            idle_memory,
            rate,
        })
    }

    /// Runs the bare loop over the topics of `load`.
    pub(super) fn bare(&self, load: &Load) -> anyhow::Result<BareFigures> {
        let arguments = [
            "bare".to_owned(),
            "--brokers".to_owned(),
            self.bootstrap.clone(),
            "--topics".to_owned(),
            load.topics().join(","),
            "--partitions".to_owned(),
            self.partitions.to_string(),
            "--records".to_owned(),
            load.records().to_string(),
        ];
        let mut part = Part::start(&self.binary, &self.router_cores, &arguments)?;
        let figures: BareFigures = part.hear()?;
        part.end()?;
        anyhow::ensure!(
            figures.records == load.records(),
            "the bare loop read {} of {} records",
            figures.records,
            load.records()
        );
        Ok(figures)
    }
}

/// The thread that worked most between two looks.
pub(super) fn busiest(before: &Usage, after: &Usage) -> (String, f64) {
    let worked = after.threads.iter().map(|(name, time)| {
        let earlier = before.threads.get(name).copied().unwrap_or_default();
        (name.clone(), time - earlier)
    });
    worked
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or_default()
}

/// The service in its process.
pub(super) struct Router {
    pub(super) part: Part,
    /// Where it is asked, `host:port`.
    pub(super) listen: String,
    began: Instant,
    _folder: tempfile::TempDir,
}

/// Looks often at the beginning and the end of a run and seldom in between, since looking costs.
pub(super) struct Watch {
    began: Instant,
    moved: Instant,
    settled: u64,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            moved: now,
            settled: 0,
        }
    }

    /// Waits for the next look; fails if nothing has moved for long.
    pub(super) fn pause(&mut self, seen: Counters, records: u64) -> anyhow::Result<()> {
        let now = Instant::now();
        if seen.settled > self.settled {
            (self.settled, self.moved) = (seen.settled, now);
        }
        anyhow::ensure!(
            now - self.moved < STALL,
            "nothing moves: {} of {records} records settled, {} received",
            seen.settled,
            seen.received
        );
        let left = records.saturating_sub(seen.settled) as f64;
        let speed = seen.settled as f64 / (now - self.began).as_secs_f64();
        let wait = match seen.settled {
            0 => LOOK_MIN,
            _ => Duration::from_secs_f64((left / speed / 3.0).min(1.0)),
        };
        pause(wait.clamp(LOOK_MIN, LOOK_MAX));
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the benchmark runs on a thread of its own"
)]
fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
