//! Promises that other programs of this kind, and earlier versions of this one, did not keep: on a
//! real broker, one situation a test, seen from outside.

use std::time::Duration;

use anyhow::{Result, ensure};
use kafkamq_integration::{Kafkamq, Scene, until};
use kafkamq_testbed::faults::{Fault, FaultKind};
use kafkamq_testbed::{RecordId, Route, Sample};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const LIMIT: Duration = Duration::from_secs(60);

fn custom(topics: &[&str]) -> String {
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| format!("\"{topic}\" = \"-\""))
        .collect();
    format!("log_topic_map = {{ {} }}", topics.join(", "))
}

/// The status of the first partition of the first input.
fn partition(kafkamq: &Kafkamq, key: &str) -> Result<Option<i64>> {
    Ok(kafkamq.status()?["inputs"][0]["partitions"][0][key].as_i64())
}

#[test]
fn a_topic_that_was_deleted_and_made_again_is_read_and_committed() -> Result<()> {
    let Some(scene) = Scene::shared("promise-recreated")? else {
        return Ok(());
    };
    let (old, new) = (3_000u32, 2_000u32);
    let topic = scene.topic("log", 1)?;
    let config = scene
        .config()
        .input("max_in_flight = 500")
        .route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 1, 0..old)?;
    producer.flush()?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    let broker = scene.broker()?;
    broker.await_committed(scene.group(), &topic, &[i64::from(old)], LIMIT)?;

    broker.recreate_topic(&topic, 1)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 1, old..old + new)?;
    producer.flush()?;
    let ledger = scene.testbed.datakit.ledger();
    ensure!(
        ledger.wait_until(LIMIT, |ledger| ledger.missing(producer.ids(), 1).is_empty()),
        "missing: {:?}\n{}",
        ledger.missing(producer.ids(), 5),
        kafkamq.get("/v1/status")?.body
    );
    broker.await_committed(scene.group(), &topic, &[i64::from(new)], LIMIT)?;
    scene.passed();
    Ok(())
}

#[test]
fn partitions_that_come_later_are_read_from_their_start() -> Result<()> {
    let Some(scene) = Scene::shared("promise-grown")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let config = scene
        .config()
        .offsets("\"newest\"")
        .route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    kafkamq.await_assigned(1)?;
    kafkamq.await_ready()?;
    let broker = scene.broker()?;
    broker.grow_topic(&topic, 3)?;
    let mut producer = scene.producer()?;
    // The member hears of the new partitions later than the producer.
    for sequence in 0..30 {
        producer.send_range(Route::CustomLog, &topic, 3, sequence..sequence + 1)?;
        producer.flush()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    scene.passed();
    Ok(())
}

#[test]
fn the_lag_of_a_transactional_topic_reaches_zero() -> Result<()> {
    let Some(scene) = Scene::shared("promise-transactions")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let config = scene.config().route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", scene.bootstrap())
        .set("transactional.id", &topic)
        .create()?;
    producer.init_transactions(LIMIT)?;
    let mut samples = scene.producer()?;
    for (round, commit) in [(0u32, true), (1, false), (2, true)] {
        producer.begin_transaction()?;
        for sequence in 0..10 {
            let id = RecordId::new(Route::CustomLog, 0, round * 10 + sequence);
            let sample = Sample::of(id, samples.faker());
            let record = BaseRecord::<[u8], [u8]>::to(&topic)
                .partition(0)
                .payload(&sample.value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(LIMIT)?;
        match commit {
            true => producer.commit_transaction(LIMIT)?,
            false => producer.abort_transaction(LIMIT)?,
        }
    }
    let ledger = scene.testbed.datakit.ledger();
    ensure!(
        ledger.wait_until(LIMIT, |ledger| ledger.total() >= 20),
        "{} of 20",
        ledger.total()
    );
    until("no lag", LIMIT, || {
        Ok((partition(&kafkamq, "lag")? == Some(0)).then_some(()))
    })?;
    ensure!(ledger.total() == 20, "what was aborted was delivered");
    scene.passed();
    Ok(())
}

#[test]
fn a_record_that_is_always_answered_with_500_stops_no_other_topic() -> Result<()> {
    let Some(scene) = Scene::shared("promise-500")? else {
        return Ok(());
    };
    let (first, second) = (scene.topic("first", 1)?, scene.topic("second", 1)?);
    let poison = RecordId::new(Route::CustomLog, 0, 0);
    scene
        .testbed
        .datakit
        .set_faults([Fault::new(FaultKind::Poison {
            marker: poison.to_string(),
            status: 500,
        })]);
    let config = scene.config().route("custom", &custom(&[&first, &second]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &first, 1, 0..1)?;
    producer.flush()?;
    // With evidence against it, the one record becomes a dead letter, and the topic goes on. Evidence is
    // what is accepted between two refusals of the record, so the other topic keeps coming.
    let (mut others, mut sequence) = (scene.producer()?, 1);
    let broker = scene.broker()?;
    until("the commit of the refused record", LIMIT, || {
        others.send_range(Route::CustomLog, &second, 1, sequence..sequence + 1)?;
        others.flush()?;
        sequence += 1;
        let committed = broker.committed(scene.group(), &first, 1)?;
        Ok((committed == [Some(1)]).then_some(()))
    })?;
    scene.await_all(&scene.testbed.datakit, others.ids(), LIMIT)?;
    let letters = kafkamq.get("/v1/dead-letters")?.json()?;
    let found = letters["letters"].as_array().map_or(0, Vec::len);
    ensure!(found == 1, "{letters}");
    scene.passed();
    Ok(())
}

#[test]
fn a_receiver_that_refuses_everything_fills_no_dead_letters() -> Result<()> {
    let Some(scene) = Scene::shared("promise-refused")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    scene.testbed.datakit.set_faults([Fault::status(500)]);
    let config = scene.config().route("custom", &custom(&[&topic]));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 1, 0..200)?;
    producer.flush()?;
    until("/readyz to name it", LIMIT, || {
        let answer = kafkamq.get("/readyz")?;
        Ok((answer.status == 503 && answer.body.contains("500")).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(5));
    let letters = kafkamq.get("/v1/dead-letters")?.json()?;
    let found = letters["letters"].as_array().map_or(0, Vec::len);
    ensure!(found == 0, "{letters}");
    scene.testbed.datakit.set_faults([]);
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    kafkamq.await_ready()?;
    scene.passed();
    Ok(())
}

#[test]
fn batches_that_are_settled_by_a_rule_give_their_credit_back() -> Result<()> {
    let Some(scene) = Scene::shared("promise-credit")? else {
        return Ok(());
    };
    let topic = scene.topic("handled", 1)?;
    let config = scene.config().route(
        "remote_handle",
        &format!(
            "endpoint = \"{}\"\ntopics = [\"{topic}\"]\nheader_check = true",
            scene.testbed.handle.url("/")
        ),
    );
    let mut producer = scene.producer()?;
    let refused = vec![b'x'; 100_000];
    for _ in 0..300 {
        producer.send(&topic, 0, None, Some(&refused), &[])?;
    }
    producer.flush()?;
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let committed = scene
        .broker()?
        .await_committed(scene.group(), &topic, &[300], LIMIT);
    ensure!(
        committed.is_ok(),
        "{committed:?}\n{}",
        kafkamq.get("/v1/status")?.body
    );
    until("nothing in flight", LIMIT, || {
        Ok((partition(&kafkamq, "records_in_flight")? == Some(0)).then_some(()))
    })?;
    scene.passed();
    Ok(())
}

#[test]
fn readiness_tells_when_dead_letters_cannot_be_written() -> Result<()> {
    let Some(scene) = Scene::shared("promise-letters")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    scene.testbed.datakit.set_faults([Fault::status(400)]);
    let config = scene
        .config()
        .route("custom", &custom(&[&topic]))
        .dead_letters("segment_bytes = \"100kB\"\nmax_bytes = \"100kB\"");
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let mut producer = scene.producer()?;
    let value = vec![b'x'; 20_000];
    for _ in 0..20 {
        producer.send(&topic, 0, None, Some(&value), &[])?;
    }
    producer.flush()?;
    until("/readyz to say so", LIMIT, || {
        let answer = kafkamq.get("/readyz")?;
        Ok((answer.status == 503 && answer.body.contains("dead letter")).then_some(()))
    })?;
    let committed = scene.broker()?.committed(scene.group(), &topic, 1)?;
    ensure!(committed != [Some(20)], "letters were lost: {committed:?}");
    scene.passed();
    Ok(())
}
