//! How an input takes part in its group and finds its topics and its beginning, on real Kafka.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{Ending, Producer, Release, Scene, until};
use kafkamq_testbed::payload::json_log;
use kafkamq_testbed::{IdSet, RecordId, Route};

const LIMIT: Duration = Duration::from_secs(60);
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

fn custom(topic: &str) -> String {
    format!("log_topic_map = {{ \"{topic}\" = \"-\" }}")
}

/// Lines `range` of a producer of its own on partition 0 of a topic.
fn lines(
    producer: &mut Producer,
    topic: &str,
    number: u16,
    range: std::ops::Range<u32>,
) -> Result<IdSet> {
    let mut ids = IdSet::new();
    for sequence in range {
        let id = RecordId::new(Route::CustomLog, number, sequence);
        let sample = json_log::line(id, producer.faker());
        producer.send_sample(topic, 0, &sample)?;
        ids.insert(id);
    }
    producer.flush()?;
    Ok(ids)
}

#[test]
fn the_consumer_protocol_moves_partitions_without_loss() -> Result<()> {
    let Some(scene) = Scene::alone("consumer-protocol", Release::Current)? else {
        return Ok(());
    };
    let topic = scene.topic("log", 8)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 8, 0..500)?;
    producer.flush()?;
    let config = scene
        .config()
        .input("group_protocol = \"consumer\"")
        .route("custom", &custom(&topic));
    let first = scene.kafkamq(&config, "first")?;
    first.await_assigned(8)?;
    let mut second = scene.kafkamq(&config, "second")?;
    second.await_assigned(4)?;
    first.await_assigned(4)?;
    producer.send_range(Route::CustomLog, &topic, 8, 500..1000)?;
    producer.flush()?;
    let ending = second.terminate(DRAIN_LIMIT)?;
    ensure!(ending == Ending::Code(0), "{ending:?}");
    first.await_assigned(8)?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    scene
        .broker()?
        .await_committed(scene.group(), &topic, &[1000; 8], LIMIT)?;
    scene.passed();
    Ok(())
}

/// A member keeps partitions that it has read to their ends, while others move. The client pauses and
/// resumes all of them then, and has to go on where it was.
fn kept_partitions_have_no_gap(name: &str, line: &str) -> Result<()> {
    const PARTITIONS: u16 = 8;
    const ROUNDS: u32 = 3;
    let Some(scene) = Scene::shared(name)? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    let mut producer = scene.producer()?;
    let config = scene.config().input(line).route("custom", &custom(&topic));
    let first = scene.kafkamq(&config, "first")?;
    let broker = scene.broker()?;
    let mut sent = 0;
    let mut flow = |producer: &mut Producer| -> Result<()> {
        producer.send_range(Route::CustomLog, &topic, PARTITIONS, sent..sent + 50)?;
        producer.flush()?;
        sent += 50;
        scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
        let ends = [i64::from(sent); PARTITIONS as usize];
        broker.await_committed(scene.group(), &topic, &ends, LIMIT)
    };
    let half = usize::from(PARTITIONS) / 2;
    for round in 0..ROUNDS {
        first.await_assigned(usize::from(PARTITIONS))?;
        flow(&mut producer)?;
        let mut second = scene.kafkamq(&config, &format!("second-{round}"))?;
        second.await_assigned(half)?;
        first.await_assigned(half)?;
        flow(&mut producer)?;
        let ending = second.terminate(DRAIN_LIMIT)?;
        ensure!(ending == Ending::Code(0), "{ending:?}");
    }
    let skipped = first.metric("kafkamq_offsets_skipped_total", &[("topic", &topic)])?;
    let twice = scene.testbed.datakit.ledger().report().duplicates;
    ensure!(
        (skipped, twice) == (0.0, 0),
        "{skipped} offsets skipped, {twice} records twice"
    );
    scene.passed();
    Ok(())
}

#[test]
fn partitions_that_are_kept_have_no_gap_when_others_move_by_the_members() -> Result<()> {
    kept_partitions_have_no_gap("kept-classic", "assignor = \"cooperative-sticky\"")
}

#[test]
fn partitions_that_are_kept_have_no_gap_when_others_move_by_the_brokers() -> Result<()> {
    kept_partitions_have_no_gap("kept-brokers", "group_protocol = \"consumer\"")
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() -> Result<()> {
    let Some(scene) = Scene::shared("static")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 4)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 4, 0..100)?;
    producer.flush()?;
    let config = |name: &str| {
        scene
            .config()
            .input(format!("group_instance_id = \"{name}\""))
            .input("session_timeout = \"30s\"")
            .route("custom", &custom(&topic))
    };
    let first = scene.kafkamq(&config("one"), "first")?;
    let second = scene.kafkamq(&config("two"), "second")?;
    first.await_assigned(2)?;
    second.await_assigned(2)?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    let rebalances = first.metric("kafkamq_rebalances_total", &[])?;

    let mut second = second;
    let ending = second.terminate(DRAIN_LIMIT)?;
    ensure!(ending == Ending::Code(0), "{ending:?}");
    producer.send_range(Route::CustomLog, &topic, 4, 100..200)?;
    producer.flush()?;
    let second = second.start_again()?;
    second.await_assigned(2)?;
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    let after = first.metric("kafkamq_rebalances_total", &[])?;
    ensure!(
        after == rebalances && first.assigned()? == 2,
        "{} rebalances while the other restarted",
        after - rebalances
    );
    // What was settled was committed before the end: nothing comes twice.
    let report = scene.testbed.datakit.ledger().report();
    ensure!(report.duplicates == 0, "{} came twice", report.duplicates);
    scene.passed();
    Ok(())
}

#[test]
fn patterns_find_topics_now_and_later_and_leave_out_what_is_excluded() -> Result<()> {
    let Some(scene) = Scene::shared("patterns")? else {
        return Ok(());
    };
    let now = scene.topic("app-now", 1)?;
    let secret = scene.topic("app-now-secret", 1)?;
    let mut producer = scene.producer()?;
    let mut expected = lines(&mut producer, &now, 1, 0..50)?;
    lines(&mut producer, &secret, 2, 0..50)?;
    let config = scene
        .config()
        .input("exclude_topics = [\"-secret$\"]")
        .route("custom", &custom(&format!("^{}-app-", scene.group())));
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let datakit = &scene.testbed.datakit;
    scene.await_all(datakit, &expected, LIMIT)?;

    let later = scene.topic("app-later", 1)?;
    expected.merge(&lines(&mut producer, &later, 3, 0..50)?);
    scene.await_all(datakit, &expected, LIMIT)?;
    scene
        .broker()?
        .await_committed(scene.group(), &later, &[50], LIMIT)?;
    kafkamq.await_assigned(2)?;
    ensure!(datakit.ledger().total() == 100, "excluded records arrived");
    scene.passed();
    Ok(())
}

#[test]
fn a_group_may_begin_at_a_time() -> Result<()> {
    let Some(scene) = Scene::shared("begin")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let mut producer = scene.producer()?;
    let mut all = lines(&mut producer, &topic, 1, 0..50)?;
    // Records have times in milliseconds; the next ones are to be younger than this moment.
    std::thread::sleep(Duration::from_millis(1500));
    let between = SystemTime::now();
    std::thread::sleep(Duration::from_millis(50));
    let expected = lines(&mut producer, &topic, 1, 50..80)?;
    let since = between.duration_since(SystemTime::UNIX_EPOCH)?;
    let time = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since);
    all.merge(&expected);
    let begins = [
        ("at", format!("\"{time}\""), &expected, 30),
        ("ago", "\"1h ago\"".to_owned(), &all, 80),
    ];
    for (name, begin, expected, count) in begins {
        let config = scene
            .config()
            .group(&format!("begin-{name}"))
            .offsets(&begin)
            .route("custom", &custom(&topic));
        scene.testbed.datakit.reset();
        let kafkamq = scene.kafkamq(&config, name)?;
        scene
            .await_all(&scene.testbed.datakit, expected, LIMIT)
            .with_context(|| begin.clone())?;
        let total = scene.testbed.datakit.ledger().total();
        ensure!(total == count, "{begin}: {total} records");
        drop(kafkamq);
    }
    scene.passed();
    Ok(())
}

#[test]
fn after_a_deleted_offset_reading_goes_on_at_a_time() -> Result<()> {
    let Some(scene) = Scene::shared("out-of-range-time")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let broker = scene.broker()?;
    let mut producer = scene.producer()?;
    let mut expected = lines(&mut producer, &topic, 1, 0..10)?;
    let config = scene.config().route("custom", &custom(&topic));
    let mut before = scene.kafkamq(&config, "before")?;
    scene.await_all(&scene.testbed.datakit, &expected, LIMIT)?;
    before.terminate(DRAIN_LIMIT)?;
    ensure!(broker.committed(scene.group(), &topic, 1)? == [Some(10)]);

    lines(&mut producer, &topic, 1, 10..60)?;
    std::thread::sleep(Duration::from_millis(50));
    let between = humantime::format_rfc3339_millis(SystemTime::now());
    std::thread::sleep(Duration::from_millis(50));
    expected.merge(&lines(&mut producer, &topic, 1, 60..100)?);
    broker.delete_records(&topic, 0, 40)?;
    let config = config.input(format!("offset_out_of_range = \"{between}\""));
    let kafkamq = scene.kafkamq(&config, "after")?;
    scene.await_all(&scene.testbed.datakit, &expected, LIMIT)?;
    broker.await_committed(scene.group(), &topic, &[100], LIMIT)?;
    let total = scene.testbed.datakit.ledger().total();
    ensure!(total == 50, "{total} records, not those from {between} on");
    until("readiness", LIMIT, || {
        Ok((kafkamq.get("/readyz")?.status == 200).then_some(()))
    })?;
    scene.passed();
    Ok(())
}
