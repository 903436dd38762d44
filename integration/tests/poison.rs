//! One record that the receiver refuses, in a batch with 99 others.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafkamq_delivery::dead_letter::{Filter, View};
use kafkamq_integration::Scene;
use kafkamq_testbed::faults::Fault;
use kafkamq_testbed::payload::json_log;
use kafkamq_testbed::{IdSet, RecordId, Route};

const LIMIT: Duration = Duration::from_secs(60);
const POISON: u32 = 57;

#[test]
fn a_poison_record_is_put_aside_with_its_bytes_and_the_others_go_on() -> Result<()> {
    let Some(scene) = Scene::shared("poison")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let receiver = &scene.testbed.datakit;
    let poison = RecordId::new(Route::CustomLog, 0, POISON);
    receiver.set_faults([Fault::poison(poison)]);

    let mut producer = scene.producer()?;
    let headers = [("trace".to_owned(), vec![0xff, 0, 1])];
    let (mut expected, mut bytes) = (IdSet::new(), Vec::new());
    for sequence in 0..100 {
        let id = RecordId::new(Route::CustomLog, 0, sequence);
        let sample = json_log::line(id, producer.faker());
        let key = b"key \xfe";
        producer.send(&topic, 0, Some(key), Some(&sample.value), &headers)?;
        if id == poison {
            bytes = sample.value.to_vec();
        } else {
            expected.insert(id);
        }
    }
    producer.flush()?;
    let config = scene
        .config()
        .output("batch_points = 100\nbatch_wait = \"1s\"")
        .route(
            "custom",
            &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
        );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene.await_all(receiver, &expected, LIMIT)?;
    let broker = scene.broker()?;
    broker.await_committed(scene.group(), &topic, &[100], LIMIT)?;

    let view = View::open(&scene.dir().join("kafkamq-dead-letter"))?;
    let letters: Vec<_> = view
        .letters(Filter::default())
        .collect::<std::result::Result<_, _>>()?;
    ensure!(letters.len() == 1, "{} dead letters", letters.len());
    let letter = &letters.first().context("no letter")?.letter;
    ensure!(letter.topic == topic && letter.partition == 0);
    ensure!(letter.offset == i64::from(POISON), "{}", letter.offset);
    ensure!(letter.value.as_deref() == Some(&bytes[..]), "other bytes");
    ensure!(letter.key.as_deref() == Some(b"key \xfe"), "another key");
    let (name, value) = letter.headers.first().context("no header")?;
    ensure!(name == "trace" && value.as_deref() == Some(&[0xff, 0, 1]));
    ensure!(letter.status == Some(400), "{:?}", letter.status);
    let requests = receiver.traffic().requests;

    // The partition moves on.
    for sequence in 100..110 {
        let id = RecordId::new(Route::CustomLog, 0, sequence);
        let sample = json_log::line(id, producer.faker());
        producer.send_sample(&topic, 0, &sample)?;
        expected.insert(id);
    }
    producer.flush()?;
    scene.await_all(receiver, &expected, LIMIT)?;
    broker.await_committed(scene.group(), &topic, &[110], LIMIT)?;
    ensure!(
        receiver.ledger().report().duplicates == 0,
        "delivered twice"
    );
    let dead = kafkamq.metric("kafkamq_dead_letters_total", &[("topic", &topic)])?;
    ensure!(dead == 1.0, "the metric counts {dead} dead letters");
    println!(
        "1 poison record in 100: 99 delivered, 1 dead letter ({}), {requests} requests",
        letter.reason
    );
    scene.passed();
    Ok(())
}
