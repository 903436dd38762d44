//! How long the end takes with work in flight: SIGTERM while destinations withhold their answers,
//! which then come.
//!
//! Of what was in flight everything has to arrive, once, and be committed: a second start with the
//! same group reads what was written after the end, and nothing else.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use serde::Serialize;

use super::case::{CASES, Case};
use super::process::{Counters, counters};
use super::receiver::Account;
use super::run::{Load, Stage, Watch};
use crate::kafka::Topics;

/// The name that this goes by among the cases.
pub(super) const DRAIN: &str = "drain";
/// Cases that are drained: one request a record, requests of many points, and the user's handle.
const DRAINED: [&str; 3] = ["forward", "json", "handle"];
/// Records in flight when the end is asked for.
const IN_FLIGHT: u64 = 10_000;

/// One end with work in flight.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Drain {
    /// The case whose records were in flight.
    pub(crate) case: &'static str,
    /// Records in flight when the end was asked for.
    pub(crate) records: u64,
    /// From SIGTERM until the process had ended, in seconds.
    pub(crate) seconds: f64,
    /// Elements that arrived more than once, either before or after the second start.
    pub(crate) repeated: u64,
    /// Records that the second start read although the first had settled them.
    pub(crate) read_again: u64,
}

/// Ends the router with work of each kind in flight.
pub(super) fn measure(
    stage: &mut Stage,
    repeat: u32,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<Drain>> {
    let mut drains = Vec::new();
    for case in CASES.iter().filter(|case| DRAINED.contains(&case.name)) {
        progress(&format!("the end with work in flight: {}", case.about));
        let mut slowest: Option<Drain> = None;
        for _ in 0..repeat.max(1) {
            let drain = once(stage, case)?;
            if slowest
                .as_ref()
                .is_none_or(|known| known.seconds < drain.seconds)
            {
                slowest = Some(drain);
            }
        }
        drains.extend(slowest);
    }
    Ok(drains)
}

fn once(stage: &mut Stage, case: &Case) -> anyhow::Result<Drain> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let topics = Topics::at(&stage.bootstrap)?;
    // Both starts belong to this run, and so to one group.
    stage.runs += 1;
    let prefix = format!(
        "kafkamq-bench-{}-{DRAIN}-{}",
        std::process::id(),
        stage.runs
    );
    let load = Load::new(case, &prefix, IN_FLIGHT);
    let names = load.topics();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    runtime.block_on(topics.create(&names, stage.partitions))?;
    let (never, written) = (AtomicBool::new(false), AtomicU64::new(0));
    stage.fill(&load, None, &never, &written)?;

    stage
        .receiver
        .tell(&format!("expect {}", load.elements()))?;
    stage.receiver.tell("hold")?;
    let binary = stage.binary.clone();
    let mut router = stage.router(&binary, case, &load, false, false)?;
    let mut watch = Watch::new();
    loop {
        let seen = counters(&router.listen).unwrap_or_default();
        if seen.received >= load.records() {
            break;
        }
        // Nothing settles here, so reading is the progress that is watched.
        let reading = Counters {
            settled: seen.received,
            ..seen
        };
        watch.pause(reading, load.records())?;
    }
    let began = Instant::now();
    router.part.close();
    stage.receiver.tell("release")?;
    router.part.end()?;
    let seconds = began.elapsed().as_secs_f64();
    let account: Account = stage.receiver.ask("account")?;
    anyhow::ensure!(
        account.arrived == load.arriving(),
        "{} of {} elements arrived before the end",
        account.arrived,
        load.arriving()
    );

    // One record behind the old ones of each partition: whoever has read it has passed those.
    let more = Load::new(case, &prefix, u64::from(stage.partitions.unsigned_abs()));
    stage
        .receiver
        .tell(&format!("expect {}", more.elements()))?;
    stage.fill(&more, None, &never, &written)?;
    let router = stage.router(&binary, case, &more, true, false)?;
    let mut watch = Watch::new();
    let seen = loop {
        let seen = counters(&router.listen).unwrap_or_default();
        let arrived: Account = stage.receiver.ask("account")?;
        if arrived.arrived == more.arriving() && seen.settled >= seen.received {
            break seen;
        }
        watch.pause(seen, more.records())?;
    };
    let again: Account = stage.receiver.ask("account")?;
    router.part.end()?;
    runtime.block_on(topics.delete(&names))?;
    Ok(Drain {
        case: case.name,
        records: load.records(),
        seconds,
        repeated: account.repeated + again.repeated,
        read_again: seen.received.saturating_sub(more.records()),
    })
}
