//! The service, three Kafka brokers and receivers behind proxies, under a seeded schedule of faults:
//! no element is lost, misrouted or out of the order of its key, what comes twice is bounded, and no
//! partition stands still without a cause.
//!
//! `KAFKAMQ_FAULT_SEEDS=A..B` plays the seeds from A to B without B; `KAFKAMQ_FAULT_RECORDS` and
//! `KAFKAMQ_FAULT_STEPS` set the size of each run. A seed always gives the same schedule.

#![expect(
    clippy::print_stdout,
    reason = "the table belongs into the test's output"
)]

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{
    Account, Cluster, FaultRun, Installation, Release, Schedule, TOPICS, size, skip_or_fail,
};

const RECORDS: u32 = 100_000;
const STEPS: u32 = 7;

#[test]
fn no_fault_loses_an_element_or_stops_a_partition_without_a_cause() -> Result<()> {
    let installation = match Installation::of(Release::Current.version())? {
        Ok(installation) => installation,
        Err(missing) => return skip_or_fail(&missing),
    };
    let seeds = seeds()?;
    let records = size("KAFKAMQ_FAULT_RECORDS", RECORDS, RECORDS);
    let steps = size("KAFKAMQ_FAULT_STEPS", STEPS, STEPS) as usize;
    let mut folder = tempfile::Builder::new()
        .prefix("kafkamq-faults-")
        .tempdir()?;
    // Kept unless everything went well; a schedule is not enough to see what happened.
    folder.disable_cleanup(true);
    let mut cluster = Cluster::start(&installation, &folder.path().join("kafka"), seeds.start)?;
    let (mut table, mut wrong) = (vec![Account::HEAD.to_owned()], Vec::new());
    for seed in seeds {
        let schedule = Schedule::of(seed, steps, TOPICS.len());
        println!("{schedule}");
        let dir = folder.path().join(format!("seed-{seed}"));
        std::fs::create_dir_all(&dir)?;
        let played =
            FaultRun::start(schedule, &mut cluster, &dir).and_then(|run| run.play(records));
        match played {
            Ok(account) => {
                println!("{}\n{account}", Account::HEAD);
                table.push(account.to_string());
                match account.fault() {
                    Some(fault) => wrong.push(format!("seed {seed}: {fault}")),
                    None => std::fs::remove_dir_all(&dir)?,
                }
            }
            Err(error) => {
                println!("seed {seed}: {error:?}");
                wrong.push(format!("seed {seed}: {error:#}"));
                // The next one meets what this one left: brokers that are down are started.
                for node in 0..kafkamq_integration::NODES {
                    cluster.node(node)?.resume()?;
                }
                cluster.clear();
            }
        }
    }
    println!("{}", table.join("\n"));
    ensure!(
        wrong.is_empty(),
        "{}\nthe files are kept in {}",
        wrong.join("\n"),
        folder.path().display()
    );
    drop(cluster);
    folder.disable_cleanup(false);
    Ok(())
}

/// The seeds to be played.
fn seeds() -> Result<Range<u64>> {
    let Ok(text) = std::env::var("KAFKAMQ_FAULT_SEEDS") else {
        // What is not optimised takes longer.
        return Ok(if cfg!(debug_assertions) { 1..2 } else { 1..3 });
    };
    let (from, to) = text
        .split_once("..")
        .context("KAFKAMQ_FAULT_SEEDS is not A..B")?;
    Ok(from.parse()?..to.parse()?)
}
