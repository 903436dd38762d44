//! The whole way once: Kafka, a script, points, one `kill -9` in the middle.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::time::Duration;

use anyhow::{Result, ensure};
use kafkamq_integration::{Scene, size};
use kafkamq_testbed::Route;

const PARTITIONS: u16 = 4;

/// Takes the id out of the line, so that it arrives as a field.
const SCRIPT: &str = "data = load_json(message)\nadd_key(record_id, data[\"record_id\"])\n";

#[test]
fn a_killed_service_goes_on_where_it_was() -> Result<()> {
    let Some(scene) = Scene::shared("smoke")? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    scene.script("log.p", SCRIPT)?;
    let each = size("KAFKAMQ_SMOKE_RECORDS", 100_000, 100_000) / u32::from(PARTITIONS);
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 0..each)?;
    producer.flush()?;

    let config = scene.config().short_session().route(
        "custom",
        &format!("log_topic_map = {{ \"{topic}\" = \"log.p\" }}"),
    );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let some = u64::from(each);
    let ledger = scene.testbed.datakit.ledger();
    ensure!(
        ledger.wait_until(Duration::from_secs(60), |ledger| ledger.total() >= some),
        "nothing flows: {}\n{}",
        kafkamq.get("/v1/status")?.body,
        kafkamq.log()?
    );
    let kafkamq = kafkamq.kill_and_restart()?;
    scene.await_all(
        &scene.testbed.datakit,
        producer.ids(),
        Duration::from_secs(120),
    )?;

    let total = u64::from(each) * u64::from(PARTITIONS);
    ensure!(ledger.total() == total, "{} of {total}", ledger.total());
    scene.broker()?.await_committed(
        scene.group(),
        &topic,
        &[i64::from(each); PARTITIONS as usize],
        Duration::from_secs(20),
    )?;
    println!(
        "{total} records, one kill: 0 lost, {} delivered twice, {} MiB resident",
        ledger.report().duplicates,
        kafkamq.process().resident_bytes()? >> 20,
    );
    scene.passed();
    Ok(())
}
