//! What a topic and a broker may hold for a consumer: not there yet, gone already, too large,
//! empty, compressed.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{Producer, Release, Scene, until};
use kafkamq_testbed::payload::json_log;
use kafkamq_testbed::{IdSet, RecordId, Route};

const LIMIT: Duration = Duration::from_secs(60);

fn custom(topics: &[&str]) -> String {
    let maps: Vec<_> = topics
        .iter()
        .map(|topic| format!("\"{topic}\" = \"-\""))
        .collect();
    format!("log_topic_map = {{ {} }}", maps.join(", "))
}

fn codecs(name: &str, release: Release) -> Result<()> {
    let Some(scene) = Scene::alone(name, release)? else {
        return Ok(());
    };
    let topic = scene.topic("log", 5)?;
    let mut expected = IdSet::new();
    for (partition, codec) in (0..).zip(["none", "gzip", "snappy", "lz4", "zstd"]) {
        let mut producer = Producer::new(scene.bootstrap(), codec)?;
        for sequence in 0..500 {
            let id = RecordId::new(Route::CustomLog, partition, sequence);
            let sample = json_log::line(id, producer.faker());
            producer.send_sample(&topic, i32::from(partition), &sample)?;
        }
        producer.flush()?;
        expected.merge(producer.ids());
    }
    let config = scene.config().route("custom", &custom(&[&topic]));
    let _kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene.await_all(&scene.testbed.datakit, &expected, LIMIT)?;
    let broker = scene.broker()?;
    broker.await_committed(scene.group(), &topic, &[500; 5], LIMIT)?;
    scene.passed();
    Ok(())
}

#[test]
fn every_codec_is_read_from_the_current_kafka() -> Result<()> {
    codecs("codecs-4", Release::Current)
}

#[test]
fn every_codec_is_read_from_the_previous_kafka() -> Result<()> {
    codecs("codecs-3", Release::Previous)
}

#[test]
fn a_broker_may_come_after_the_service() -> Result<()> {
    let Some(scene) = Scene::without_broker("late-broker")? else {
        return Ok(());
    };
    let topic = format!("{}-log", scene.group());
    let config = scene.config().route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let answer = kafkamq.get("/readyz")?;
    ensure!(
        answer.status == 503,
        "ready without a broker: {}",
        answer.body
    );
    ensure!(kafkamq.get("/livez")?.status == 200, "not alive");

    scene.kafka().resume()?;
    scene.broker()?.create_topic(&topic, 1)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 1, 0..100)?;
    producer.flush()?;
    let began = Instant::now();
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    println!(
        "records flowed {:.1} s after they could",
        began.elapsed().as_secs_f64()
    );
    kafkamq.await_ready()?;
    scene.passed();
    Ok(())
}

#[test]
fn a_topic_may_come_after_the_service_and_holds_up_no_other() -> Result<()> {
    let Some(scene) = Scene::shared("late-topic")? else {
        return Ok(());
    };
    let present = scene.topic("present", 1)?;
    let absent = format!("{}-absent", scene.group());
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &present, 1, 0..100)?;
    producer.flush()?;
    let config = scene
        .config()
        .route("custom", &custom(&[&present, &absent]));
    let _kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;

    scene.broker()?.create_topic(&absent, 1)?;
    for sequence in 0..100 {
        let id = RecordId::new(Route::CustomLog, 1, sequence);
        let sample = json_log::line(id, producer.faker());
        producer.send_sample(&absent, 0, &sample)?;
    }
    producer.flush()?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    scene.passed();
    Ok(())
}

#[test]
fn records_that_were_deleted_are_passed_over_and_counted() -> Result<()> {
    let Some(scene) = Scene::shared("out-of-range")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let broker = scene.broker()?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 1, 0..10)?;
    producer.flush()?;
    let config = scene.config().route("custom", &custom(&[&topic]));
    let mut kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    kafkamq.terminate(Duration::from_secs(15))?;
    let committed = broker.committed(scene.group(), &topic, 1)?;
    ensure!(committed == [Some(10)], "{committed:?}");

    // While the service is away, offset 10 to 59 go.
    producer.send_range(Route::CustomLog, &topic, 1, 10..100)?;
    producer.flush()?;
    broker.delete_records(&topic, 0, 60)?;
    let kafkamq = kafkamq.start_again()?;
    let mut expected = IdSet::new();
    expected.insert_range(Route::CustomLog, 0, 0..10, 1);
    expected.insert_range(Route::CustomLog, 0, 60..100, 1);
    scene.await_all(&scene.testbed.datakit, &expected, LIMIT)?;
    broker.await_committed(scene.group(), &topic, &[100], LIMIT)?;
    let skipped = kafkamq.metric("kafkamq_offsets_skipped_total", &[("topic", &topic)])?;
    ensure!(
        skipped == 50.0,
        "the metric counts {skipped} skipped offsets"
    );
    scene.passed();
    Ok(())
}

#[test]
fn large_null_and_empty_values_do_not_stop_a_partition() -> Result<()> {
    const LARGE: usize = 6 << 20;
    let Some(scene) = Scene::shared("values")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let mut producer = scene.producer()?;
    let mut expected = IdSet::new();
    let mut line = |producer: &mut Producer, sequence, length| -> Result<()> {
        let id = RecordId::new(Route::CustomLog, 0, sequence);
        expected.insert(id);
        let mut value = json_log::line(id, producer.faker()).value.to_vec();
        value.resize(value.len().max(length), b' ');
        producer.send(&topic, 0, None, Some(&value), &[])
    };
    line(&mut producer, 0, 0)?;
    line(&mut producer, 1, LARGE)?;
    producer.send(&topic, 0, Some(b"k"), None, &[])?;
    producer.send(&topic, 0, Some(b"k"), Some(b""), &[])?;
    line(&mut producer, 2, 0)?;
    producer.flush()?;
    let config = scene
        .config()
        .table("limits", "record_bytes = \"16MiB\"")
        .route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let receiver = &scene.testbed.datakit;
    scene.await_all(receiver, &expected, LIMIT)?;
    scene
        .broker()?
        .await_committed(scene.group(), &topic, &[5], LIMIT)?;
    // The empty value is passed on and becomes a point without an id; the tombstone is not.
    let report = receiver.ledger().report();
    ensure!(
        report.anonymous == 1,
        "{} points without id",
        report.anonymous
    );
    let skipped = kafkamq.metric(
        "kafkamq_records_processed_total",
        &[("topic", &topic), ("outcome", "skipped_empty")],
    )?;
    ensure!(skipped == 1.0, "{skipped} records skipped");

    // A record above the limit goes to the dead letters.
    let large = vec![b'x'; (16 << 20) + 1];
    producer.send(&topic, 0, None, Some(&large), &[])?;
    producer.flush()?;
    scene
        .broker()?
        .await_committed(scene.group(), &topic, &[6], LIMIT)?;
    until("the dead letter", LIMIT, || {
        let dead = kafkamq.metric("kafkamq_dead_letters_total", &[("topic", &topic)])?;
        Ok((dead == 1.0).then_some(()))
    })
    .context("no dead letter for an oversized record")?;
    scene.passed();
    Ok(())
}
