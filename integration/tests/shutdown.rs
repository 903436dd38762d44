//! SIGTERM with a full window in flight: everything settles, nothing is delivered again.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{Ending, Kafkamq, Scene, until};
use kafkamq_testbed::Route;
use kafkamq_testbed::faults::{Fault, FaultKind};

const PARTITIONS: u16 = 8;
const IN_FLIGHT: u64 = 10_000;
const EACH: u32 = 5_000;
const DRAIN: Duration = Duration::from_secs(10);

fn in_flight(kafkamq: &Kafkamq) -> Result<u64> {
    let status = kafkamq.status()?;
    let partitions = status["inputs"][0]["partitions"]
        .as_array()
        .context("no partitions")?;
    Ok(partitions
        .iter()
        .filter_map(|one| one["records_in_flight"].as_u64())
        .sum())
}

#[test]
fn sigterm_settles_ten_thousand_records_in_flight_and_repeats_none() -> Result<()> {
    let Some(scene) = Scene::shared("shutdown")? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 0..EACH)?;
    producer.flush()?;

    let receiver = &scene.testbed.datakit;
    receiver.set_faults([Fault::new(FaultKind::Delay { ms: 1000 })]);
    let config = scene
        .config()
        .input(format!(
            "max_in_flight = {}",
            IN_FLIGHT / u64::from(PARTITIONS)
        ))
        .input(format!("drain_timeout = \"{}s\"", DRAIN.as_secs()))
        .table("limits", "batch_records = 250")
        .route(
            "custom",
            &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
        )
        .output("batch_points = 200");
    let mut kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let seen = until("ten thousand records in flight", DRAIN * 4, || {
        let seen = in_flight(&kafkamq)?;
        Ok((seen >= IN_FLIGHT * 98 / 100).then_some(seen))
    })?;

    let began = Instant::now();
    let ending = kafkamq.terminate(DRAIN * 2)?;
    let took = began.elapsed();
    let first = receiver.ledger().report();
    ensure!(ending == Ending::Code(0), "{ending:?}");
    ensure!(took < DRAIN, "the end took {took:?}");
    ensure!(
        first.delivered < producer.ids().count(Route::CustomLog),
        "nothing was left for the restart"
    );
    println!(
        "SIGTERM with {seen} records in flight and a receiver that takes 1 s: ended after {:.1} s, \
         {} delivered",
        took.as_secs_f64(),
        first.delivered
    );

    receiver.set_faults([]);
    let _kafkamq = kafkamq.start_again()?;
    scene.await_all(receiver, producer.ids(), Duration::from_secs(60))?;
    let duplicates = receiver.ledger().report().duplicates;
    ensure!(duplicates == 0, "{duplicates} delivered twice");
    scene.passed();
    Ok(())
}
