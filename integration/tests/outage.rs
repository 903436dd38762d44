//! A receiver that is down, or refuses the credentials: the service waits, stays in its group with
//! flat memory, says so, and goes on when the receiver is back.
//!
//! `KAFKAMQ_FULL=1`: two minutes of 503 and one of 401.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{Scene, full, size, until};
use kafkamq_testbed::Route;
use kafkamq_testbed::faults::Fault;

const PARTITIONS: u16 = 4;
const BACKOFF_MAX: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(120);
/// What memory may move by while nothing flows.
const FLAT: u64 = 16 << 20;

#[test]
fn while_a_receiver_answers_503_the_member_stays_and_memory_is_flat() -> Result<()> {
    let Some(scene) = Scene::shared("outage-503")? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    let receiver = &scene.testbed.datakit;
    let broker = scene.broker()?;
    let mut producer = scene.producer()?;
    let each = size("KAFKAMQ_OUTAGE_RECORDS", 80_000, 400_000) / u32::from(PARTITIONS);
    let (outage, poll_interval) = match full() {
        true => (Duration::from_secs(120), "30s"),
        false => (Duration::from_secs(15), "5s"),
    };
    let config = scene
        .config()
        .short_session()
        .input(format!("max_poll_interval = \"{poll_interval}\""))
        .output(format!("backoff_max = \"{}s\"", BACKOFF_MAX.as_secs()))
        .route(
            "custom",
            &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
        );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 0..1000)?;
    producer.flush()?;
    scene.await_all(receiver, producer.ids(), LIMIT)?;

    receiver.set_faults([Fault::status(503)]);
    let began = Instant::now();
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 1000..each)?;
    producer.flush()?;
    let blocked = [("destination", "datakit")];
    until("back-off", LIMIT, || {
        let state = kafkamq.metric("kafkamq_destination_state", &blocked)?;
        Ok((state == 1.0).then_some(()))
    })?;
    // The queues fill first; what follows must be flat.
    std::thread::sleep(outage / 4);
    let group = broker.group(scene.group())?;
    let rebalances = kafkamq.metric("kafkamq_rebalances_total", &[])?;
    ensure!(
        group.state == "Stable" && group.members.len() == 1,
        "{group:?}"
    );
    let mut resident = Vec::new();
    while began.elapsed() < outage {
        ensure!(broker.group(scene.group())? == group, "the group changed");
        resident.push(kafkamq.process().resident_bytes()?);
        std::thread::sleep(Duration::from_millis(500));
    }
    let least = resident.iter().min().context("no figures")?;
    let most = resident.iter().max().context("no figures")?;

    let delivered = receiver.ledger().total();
    receiver.set_faults([]);
    let lifted = Instant::now();
    ensure!(
        receiver
            .ledger()
            .wait_until(LIMIT, |ledger| ledger.total() > delivered),
        "flow does not resume"
    );
    let resumed = lifted.elapsed();
    let after = kafkamq.metric("kafkamq_rebalances_total", &[])?;
    ensure!(after == rebalances, "{after} rebalances after {rebalances}");
    scene.await_all(receiver, producer.ids(), LIMIT)?;
    println!(
        "{} s of 503 with {} records waiting: no rebalance, {} to {} MiB resident, flow resumed \
         after {:.2} s",
        outage.as_secs(),
        each * u32::from(PARTITIONS),
        least >> 20,
        most >> 20,
        resumed.as_secs_f64()
    );
    ensure!(most - least <= FLAT, "memory moved from {least} to {most}");
    ensure!(
        resumed <= BACKOFF_MAX + Duration::from_millis(500),
        "{resumed:?}"
    );
    let duplicates = receiver.ledger().report().duplicates;
    ensure!(duplicates == 0, "{duplicates} delivered twice");
    scene.passed();
    Ok(())
}

#[test]
fn wrong_credentials_hold_the_topic_and_raise_an_alarm() -> Result<()> {
    let Some(scene) = Scene::shared("outage-401")? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    let receiver = &scene.testbed.datakit;
    let mut producer = scene.producer()?;
    let refused = Duration::from_secs(if full() { 60 } else { 6 });
    let config = scene.config().output("hold_backoff = \"1s\"").route(
        "custom",
        &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
    );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    kafkamq.await_ready()?;
    receiver.set_faults([Fault::status(401).lasting(refused)]);
    let began = Instant::now();
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 0..5_000)?;
    producer.flush()?;

    let answer = until("an alarm", refused, || {
        let answer = kafkamq.get("/readyz")?;
        Ok((answer.status == 503 && answer.body.contains("401")).then_some(answer))
    })?;
    let state = kafkamq.metric("kafkamq_destination_state", &[("destination", "datakit")])?;
    ensure!(state == 2.0, "the metric says {state}");
    ensure!(began.elapsed() < refused, "the alarm came late");
    ensure!(receiver.ledger().total() == 0, "a refused request counted");

    scene.await_all(receiver, producer.ids(), refused + LIMIT)?;
    kafkamq.await_ready()?;
    let state = kafkamq.metric("kafkamq_destination_state", &[("destination", "datakit")])?;
    ensure!(state == 0.0, "the metric says {state}");
    println!(
        "{} s of 401: /readyz said {}; then everything arrived",
        refused.as_secs(),
        answer.body
    );
    let duplicates = receiver.ledger().report().duplicates;
    ensure!(duplicates == 0, "{duplicates} delivered twice");
    scene.passed();
    Ok(())
}
