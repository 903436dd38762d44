//! The configuration changes a thousand times while records flow: the broker sees nothing of it,
//! nothing is lost and nothing is delivered twice.
//!
//! `KAFKAMQ_FULL=1`: 1,000 changes under 50,000 records a second.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kafkamq_integration::{Kafkamq, Release, Scene, size};
use kafkamq_testbed::Route;
use serde_json::{Value, json};

const PARTITIONS: u16 = 4;
const LIMIT: Duration = Duration::from_secs(300);
/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(20);
const SCRIPT: &str = "data = load_json(message)\nadd_key(record_id, data[\"record_id\"])\n";

#[test]
fn a_thousand_changes_are_nothing_to_the_broker() -> Result<()> {
    let Some(scene) = Scene::alone("reload", Release::Current)? else {
        return Ok(());
    };
    let changes = size("KAFKAMQ_RELOADS", 60, 1000);
    let rate = size("KAFKAMQ_RATE", 2_000, 50_000);
    let topic = scene.topic("records", i32::from(PARTITIONS))?;
    for name in ["a.p", "b.p"] {
        scene.script(name, SCRIPT)?;
    }
    let config = scene.config().output("batch_points = 500").route(
        "custom",
        &format!("log_topic_map = {{ \"{topic}\" = \"a.p\" }}"),
    );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    kafkamq.await_assigned(usize::from(PARTITIONS))?;
    let broker = scene.broker()?;
    let member = broker.group(scene.group())?.members;
    let rebalances = kafkamq.metric("kafkamq_rebalances_total", &[])?;

    let done = AtomicBool::new(false);
    let mut producer = scene.producer()?;
    let (seconds, took, sent) = std::thread::scope(|scope| {
        let (done, topic, producer) = (&done, &topic, &mut producer);
        let flow = scope.spawn(move || -> Result<u32> {
            let began = Instant::now();
            let mut sequence = 0;
            while !done.load(Ordering::Acquire) {
                // A hundredth of a second's worth, in all partitions.
                let step = (rate / 100 / u32::from(PARTITIONS)).max(1);
                let range = sequence..sequence + step;
                producer.send_range(Route::CustomLog, topic, PARTITIONS, range)?;
                sequence += step;
                let per_second = f64::from(rate) / f64::from(PARTITIONS);
                let due = Duration::from_secs_f64(f64::from(sequence) / per_second);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            producer.flush()?;
            Ok(sequence)
        });
        let began = Instant::now();
        let seconds = change_often(&kafkamq, topic, changes);
        let took = began.elapsed().as_secs_f64();
        done.store(true, Ordering::Release);
        let sent = flow
            .join()
            .map_err(|_| anyhow!("the producer's thread died"))??;
        Ok::<_, anyhow::Error>((seconds?, took, sent))
    })?;

    let receiver = &scene.testbed.datakit;
    scene.await_all(receiver, producer.ids(), LIMIT)?;
    broker.await_committed(
        scene.group(),
        &topic,
        &[i64::from(sent); PARTITIONS as usize],
        Duration::from_secs(30),
    )?;
    let records = u64::from(sent) * u64::from(PARTITIONS);
    let duplicates = receiver.ledger().report().duplicates;
    let at = |share: f64| {
        let index = (seconds.len() as f64 * share) as usize;
        seconds.get(index.min(seconds.len() - 1)).copied()
    };
    println!(
        "{changes} changes in {took:.1} s while {records} records flowed ({:.0} a second): p50 {:.1} ms, \
         p99 {:.1} ms, at most {:.1} ms; {duplicates} delivered twice, 0 lost",
        records as f64 / took,
        at(0.5).unwrap_or_default() * 1e3,
        at(0.99).unwrap_or_default() * 1e3,
        at(1.0).unwrap_or_default() * 1e3,
    );
    ensure!(duplicates == 0, "{duplicates} records arrived twice");
    let now = broker.group(scene.group())?;
    ensure!(
        now.state == "Stable" && now.members == member,
        "the member joined again: {member:?}, {now:?}"
    );
    let rebalanced = kafkamq.metric("kafkamq_rebalances_total", &[])? - rebalances;
    ensure!(rebalanced == 0.0, "{rebalanced} rebalances");
    let revision = kafkamq.status()?["revision"].as_u64();
    ensure!(revision == Some(u64::from(changes) + 1), "{revision:?}");
    scene.passed();
    Ok(())
}

/// Changes the configuration so many times, each time something else; returns how long each change
/// took, sorted.
fn change_often(kafkamq: &Kafkamq, topic: &str, changes: u32) -> Result<Vec<f64>> {
    let original = kafkamq.get("/v1/config")?.json()?;
    let mut document = original;
    let mut seconds = Vec::new();
    for number in 0..changes {
        let input = "/inputs/kafkamq/0";
        let table = |document: &mut Value, pointer: &str, key: &str, value: Value| {
            let table = document.pointer_mut(pointer).context("no such table")?;
            table[key] = value;
            Ok::<_, anyhow::Error>(())
        };
        match number % 5 {
            0 => {
                let script = if number % 2 == 0 { "b.p" } else { "a.p" };
                let map = format!("{input}/custom/log_topic_map");
                table(&mut document, &map, topic, json!(script))?;
            }
            1 => table(&mut document, input, "limit_sec", json!(1_000_000 + number))?,
            2 => {
                document["limits"] = json!({ "batch_records": 500 + number });
            }
            3 => table(
                &mut document,
                "/output",
                "batch_points",
                json!(400 + number % 100),
            )?,
            // Leads elsewhere, so what is in flight is settled first.
            _ => {
                let headers = json!({ "x-revision": number.to_string() });
                table(&mut document, "/output", "headers", headers)?;
            }
        }
        if number % 20 == 7 {
            let mut wrong = document.clone();
            wrong["limits"]["memory"] = json!("1KiB");
            wrong["unknown"] = json!(true);
            let refused = kafkamq.send("PUT", "/v1/config", &wrong)?;
            let found = refused.json()?["diagnostics"].as_array().map(Vec::len);
            ensure!(
                refused.status == 422 && found >= Some(2),
                "{}: {}",
                refused.status,
                refused.body
            );
        }
        let answer = kafkamq.send("PUT", "/v1/config", &document)?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        let outcome = answer.json()?;
        ensure!(
            outcome["plan"]["inputs"][0]["action"] == "keep",
            "{}",
            outcome["plan"]
        );
        seconds.push(outcome["seconds"].as_f64().context("no time")?);
        std::thread::sleep(PAUSE);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}
