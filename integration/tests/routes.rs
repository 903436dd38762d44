//! What routes promise beyond delivery, on real Kafka: keys that do not wait for one another, limits
//! that hold the rate and drop nothing, a sample of exactly the size asked for, and an old agent's
//! file that starts and routes as it is.
//!
//! `KAFKAMQ_FULL=1`: 20,000 records and 20 kills through lanes, a minute of limited flow, a million
//! records sampled.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::StatusCode;
use kafkamq_integration::{Kafkamq, Producer, Release, Scene, full, random, size, until};
use kafkamq_testbed::faults::{Fault, FaultKind};
use kafkamq_testbed::payload::json_log;
use kafkamq_testbed::receiver::{Answer, Request, Surface};
use kafkamq_testbed::{IdSet, Receiver, RecordId, Route};

const LIMIT: Duration = Duration::from_secs(300);
const KEYS: u32 = 1000;
const LATENCY: Duration = Duration::from_millis(50);

/// Measurements want the machine for themselves.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What arrived: by key, the sequence numbers in order of arrival.
type Arrivals = Arc<Mutex<BTreeMap<u32, Vec<u32>>>>;

/// Takes one record a request and notes it.
struct ByKey(Arrivals);

impl Surface for ByKey {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let ids: Vec<_> = RecordId::find_all(request.body).collect();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &ids {
            let key = id.sequence % KEYS;
            arrivals.entry(key).or_default().push(id.sequence);
        }
        Answer {
            ids,
            ..Answer::empty(StatusCode::OK)
        }
    }
}

fn slow_receiver() -> Result<(Receiver, Arrivals)> {
    let arrivals = Arrivals::default();
    let receiver = Receiver::with(ByKey(Arc::clone(&arrivals)))?;
    receiver.set_faults([Fault::new(FaultKind::Delay {
        ms: LATENCY.as_millis() as u64,
    })]);
    Ok((receiver, arrivals))
}

/// Record `sequence` under one of a thousand keys.
fn keyed(producer: &mut Producer, topic: &str, range: std::ops::Range<u32>) -> Result<()> {
    for sequence in range {
        let id = RecordId::new(Route::CustomLog, 0, sequence);
        let mut sample = json_log::line(id, producer.faker());
        sample.key = Some(format!("key-{}", sequence % KEYS).into_bytes().into());
        producer.send_sample(topic, 0, &sample)?;
    }
    producer.flush()
}

fn lanes_route(receiver: &Receiver, topic: &str, threads: usize) -> String {
    format!(
        "dk_endpoint = \"{}\"\ntopics = [\"{topic}\"]\nthread = {threads}",
        receiver.url("")
    )
}

/// Every key's first arrivals are in the order of the partition; what comes again after a kill may
/// only begin at something that was there before.
fn ordered(arrivals: &Arrivals) -> Result<u64> {
    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let mut repeated = 0;
    for (key, sequences) in arrivals.iter() {
        let mut last = None;
        for sequence in sequences {
            if last.is_some_and(|last| *sequence <= last) {
                repeated += 1;
                continue;
            }
            // The next of a key is the one right behind the last new one: nothing is overtaken.
            let expected = last.map_or(*key, |last| last + KEYS);
            ensure!(
                *sequence == expected,
                "key {key}: {sequence} came where {expected} was due"
            );
            last = Some(*sequence);
        }
    }
    Ok(repeated)
}

#[test]
fn keyed_lanes_hide_the_latency_of_a_destination_and_keep_the_order_of_keys() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(scene) = Scene::shared("lanes")? else {
        return Ok(());
    };
    let records = size("KAFKAMQ_LANE_RECORDS", 6_000, 40_000);
    let topic = scene.topic("spans", 1)?;
    let mut producer = scene.producer()?;
    keyed(&mut producer, &topic, 0..records)?;

    let mut rates = Vec::new();
    for (threads, take) in [(0, 100), (64, u64::from(records))] {
        let (receiver, arrivals) = slow_receiver()?;
        let config = scene
            .config()
            .group(&format!("lanes-{threads}"))
            .route("jaeger", &lanes_route(&receiver, &topic, threads));
        let kafkamq = scene.kafkamq(&config, &format!("lanes-{threads}"))?;
        let ledger = receiver.ledger();
        let arrived = |count: u64| ledger.wait_until(LIMIT, |ledger| ledger.total() >= count);
        // The clock starts when the flow does; the group needs its time to form.
        ensure!(arrived(1), "nothing arrives");
        let began = Instant::now();
        ensure!(arrived(take), "{} of {take} arrived", ledger.total());
        rates.push((take - 1) as f64 / began.elapsed().as_secs_f64());
        ensure!(
            ordered(&arrivals)? == 0,
            "records came twice without a reason"
        );
        ensure!(
            threads == 0 || ledger.total() == u64::from(records),
            "some came twice"
        );
        drop(kafkamq);
    }
    let factor = rates[1] / rates[0];
    println!(
        "one partition, {KEYS} keys, {} ms: {:.1} records/s in one lane, {:.0} records/s in 64: {factor:.1} times",
        LATENCY.as_millis(),
        rates[0],
        rates[1],
    );
    // In small size the start and the end of the flow weigh more.
    let least = if full() { 60.0 } else { 30.0 };
    ensure!(
        factor >= least,
        "{factor:.1} times the serial rate, less than {least}"
    );
    scene.passed();
    Ok(())
}

#[test]
fn keyed_lanes_lose_nothing_when_killed() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(scene) = Scene::shared("lanes-killed")? else {
        return Ok(());
    };
    let kills = size("KAFKAMQ_KILLS", 3, 20);
    let records = size("KAFKAMQ_LANE_RECORDS", 3_000, 20_000);
    let (seed, mut rng) = random();
    println!("KAFKAMQ_SEED={seed}");
    let topic = scene.topic("spans", 1)?;
    let mut producer = scene.producer()?;
    keyed(&mut producer, &topic, 0..records)?;
    let (receiver, arrivals) = slow_receiver()?;
    let config = scene
        .config()
        .short_session()
        .input("max_in_flight = 1000")
        .route("jaeger", &lanes_route(&receiver, &topic, 64));
    let mut kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let ledger = receiver.ledger();
    for kill in 1..=kills {
        // Somewhere in this part of the flow.
        let part = u64::from(records) / u64::from(kills + 1);
        let at = part * u64::from(kill - 1) + 1 + rng.u64(..part);
        ensure!(
            ledger.wait_until(LIMIT, |ledger| ledger.total() >= at),
            "{} of {at}",
            ledger.total()
        );
        kafkamq = kafkamq.kill_and_restart()?;
    }
    scene.await_all(&receiver, producer.ids(), LIMIT)?;
    scene
        .broker()?
        .await_committed(scene.group(), &topic, &[i64::from(records)], LIMIT)?;
    let repeated = ordered(&arrivals)?;
    // Up to the window in flight, and as much settled and not committed, for each kill.
    let allowed = 2 * 1000 * u64::from(kills);
    ensure!(
        repeated <= allowed,
        "{repeated} records came again, {allowed} may"
    );
    println!(
        "{records} records through 64 lanes, {kills} kills: 0 lost, {repeated} delivered again, order of keys kept"
    );
    drop(kafkamq);
    scene.passed();
    Ok(())
}

/// The rate at which `count` yields records over `span`, once it flows steadily.
fn rate_over(span: Duration, mut count: impl FnMut() -> u64) -> f64 {
    let (first, began) = (count(), Instant::now());
    std::thread::sleep(span);
    (count() - first) as f64 / began.elapsed().as_secs_f64()
}

#[test]
fn limits_hold_the_rate_and_drop_nothing() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(scene) = Scene::shared("limits")? else {
        return Ok(());
    };
    let seconds = if full() { 60 } else { 8 };
    let limit = 1000u32;
    let other = 400u32;
    // More than flows in the time, so that the limit decides throughout.
    let each = limit * (seconds + 12);
    let limited = scene.topic("limited", 4)?;
    let own = scene.topic("own", 1)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &limited, 4, 0..each / 4)?;
    for sequence in 0..other * (seconds + 12) {
        let id = RecordId::new(Route::CustomLog, 9, sequence);
        let sample = json_log::line(id, producer.faker());
        producer.send_sample(&own, 0, &sample)?;
    }
    producer.flush()?;
    let config = scene
        .config()
        .input(format!("limit_sec = {limit}"))
        .route(
            "custom",
            &format!("log_topic_map = {{ \"{limited}\" = \"-\", \"{own}\" = \"-\" }}"),
        )
        .route(
            &format!("topics.\"{own}\""),
            &format!("limit_sec = {other}"),
        );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let received = |topic: &str| {
        let labels = [("topic", topic)];
        kafkamq.metric("kafkamq_records_received_total", &labels)
    };
    // The burst that a full bucket allows has to be over.
    until("the burst to be over", LIMIT, || {
        Ok((received(&limited)? > f64::from(3 * limit)).then_some(()))
    })?;
    let (first, first_own, began) = (received(&limited)?, received(&own)?, Instant::now());
    let delivered = rate_over(Duration::from_secs(u64::from(seconds)), || {
        scene.testbed.datakit.ledger().total()
    });
    let (last, last_own, took) = (received(&limited)?, received(&own)?, began.elapsed());
    let rate = (last - first) / took.as_secs_f64();
    let rate_own = (last_own - first_own) / took.as_secs_f64();
    println!(
        "limit {limit}/s for the input, {other}/s for one topic, over {:.0} s: {rate:.1} and {rate_own:.1} records/s read, {delivered:.1} delivered",
        took.as_secs_f64()
    );
    for (rate, limit) in [(rate, limit), (rate_own, other)] {
        let off = (rate / f64::from(limit) - 1.0).abs();
        ensure!(
            off <= 0.02,
            "{rate:.1} records/s is {:.1} % off {limit}",
            off * 100.0
        );
    }
    // The backlog waits in Kafka: all of it comes in the end.
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    scene.passed();
    Ok(())
}

#[test]
fn a_sample_has_the_size_asked_for() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(scene) = Scene::shared("sampling")? else {
        return Ok(());
    };
    const PARTITIONS: u16 = 4;
    let records = size("KAFKAMQ_SAMPLE_RECORDS", 100_000, 1_000_000);
    let each = records / u32::from(PARTITIONS);
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, PARTITIONS, 0..each)?;
    producer.flush()?;
    let config = scene.config().input("sampling_rate = 0.05").route(
        "custom",
        &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
    );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene.broker()?.await_committed(
        scene.group(),
        &topic,
        &[i64::from(each); PARTITIONS as usize],
        LIMIT,
    )?;
    let kept = scene.testbed.datakit.ledger().total();
    let outcome = |name| {
        let labels = [("topic", topic.as_str()), ("outcome", name)];
        kafkamq.metric("kafkamq_records_processed_total", &labels)
    };
    let left_out = outcome("sampled")?;
    ensure!(
        kept as f64 + left_out == f64::from(records),
        "{kept} kept and {left_out} left out of {records}"
    );
    let expected = f64::from(records) * 0.05;
    let off = (kept as f64 / expected - 1.0).abs();
    println!(
        "0.05 of {records} records: {kept} kept, {:.3} % off",
        off * 100.0
    );
    ensure!(off <= 0.01, "{kept} kept, {expected} expected");
    scene.passed();
    Ok(())
}

/// An agent's own file, as its users have it: only addresses differ.
const OLD_FILE: &str = include_str!("../../crates/settings/src/tests/kafkamq.conf");

#[test]
fn an_old_agents_file_starts_and_routes_as_it_is() -> Result<()> {
    let Some(scene) = Scene::alone("old-file", Release::Current)? else {
        return Ok(());
    };
    let testbed = &scene.testbed;
    let datakit = testbed.datakit.url("");
    let text = OLD_FILE
        .replace("localhost:9092", scene.bootstrap())
        .replace("http://localhost:9529", &datakit)
        .replace("http://localhost:8080", &testbed.handle.url(""))
        // The agent's default begins with new records; the test writes its own first.
        .replace("offsets=-1", "offsets=-2")
        + "\n[log]\nlevel = \"info,kafkamq=debug\"\n";
    let broker = scene.broker()?;
    let mut producer = scene.producer()?;
    let mut expected = IdSet::new();
    let mut handled = IdSet::new();
    let topics = [
        ("prod-skywalking-segments", Route::SkywalkingSegments),
        ("prod-skywalking-metrics", Route::SkywalkingMetrics),
        ("prod-skywalking-logging", Route::SkywalkingLogs),
        ("prod-skywalking-profilings", Route::SkywalkingProfilings),
        ("jaeger-spans", Route::JaegerThrift),
        ("log_topic", Route::CustomLogArray),
        ("log01", Route::CustomLog),
        ("metric_topic", Route::CustomMetric),
        ("rum_topic", Route::CustomRum),
        ("spans", Route::Handle),
        ("trace1", Route::OtelTraces),
        ("otel-metric", Route::OtelMetrics),
    ];
    for (topic, route) in topics {
        broker.create_topic(topic, 1)?;
        for sequence in 0..20 {
            let id = RecordId::new(route, 0, sequence);
            let sample = kafkamq_testbed::Sample::of(id, producer.faker());
            producer.send_sample(topic, 0, &sample)?;
            let account = match route {
                Route::Handle => &mut handled,
                _ => &mut expected,
            };
            account.extend(sample.ids.iter().copied());
        }
    }
    let counted = ["prod-skywalking-managements", "prod-skywalking-meters"];
    for topic in counted {
        broker.create_topic(topic, 1)?;
        producer.send(topic, 0, Some(b"register-shop-1"), Some(b""), &[])?;
    }
    producer.flush()?;
    let file = scene.dir().join("kafkamq.conf");
    std::fs::write(&file, text)?;
    let kafkamq = Kafkamq::start_with(&file, &datakit, scene.dir(), "kafkamq")?;
    scene.await_all(&testbed.datakit, &expected, LIMIT)?;
    scene.await_all(&testbed.handle, &handled, LIMIT)?;
    for topic in topics.iter().map(|(topic, _)| *topic).chain(counted) {
        let (_, end) = broker.watermarks(topic, 0)?;
        broker.await_committed("datakit-group", topic, &[end], LIMIT)?;
    }
    let shown = kafkamq
        .log()?
        .lines()
        .filter(|line| line.contains("kafka_message"))
        .count();
    ensure!(shown >= 80, "{shown} lines show a custom record");
    println!(
        "{} ids of {} topics by an old agent's file",
        expected.iter().count() + handled.iter().count(),
        topics.len()
    );
    drop(kafkamq);
    scene.passed();
    Ok(())
}
