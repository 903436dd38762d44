//! The whole flow in one process: the embedded broker, the actors, and receivers that count by
//! record id. Each test shows one promise of the delivery contract.
#![expect(
    clippy::disallowed_methods,
    reason = "test threads may sleep, no arbiter runs on them"
)]

mod brokers;
mod contract;
mod converting;
mod explained;
mod parts;
mod reloading;
mod replayed;
mod routes;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kafkamq_broker::{Broker, BrokerOptions, EventKind};
use kafkamq_testbed::faults::{Fault, FaultKind, RetryAfter};
use kafkamq_testbed::receiver::{HandleOptions, HandleReply, PointEncoding};
use kafkamq_testbed::{Faker, RecordId, Route, Sample, Testbed};

use super::messages::Child;
use super::router::Router;
use super::status::ServiceStatus;
use crate::metrics::Metrics;
use kafkamq_conversion::route::DestinationId;
use kafkamq_delivery::dead_letter::DeadLetterStore;
use kafkamq_settings::{Sources, load};

mod outputs;
mod positions;
mod refusals;
mod window;

const WAIT: Duration = Duration::from_secs(60);

/// Broker, receivers and a folder of their own for one test.
struct Rig {
    broker: Broker,
    testbed: Testbed,
    folder: tempfile::TempDir,
}

/// A running service on a thread of its own.
struct Running {
    router: Router,
    metrics: Metrics,
    runtime: tokio::runtime::Runtime,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Rig {
    fn new() -> Self {
        Self {
            broker: Broker::start(BrokerOptions::default()).unwrap(),
            testbed: Testbed::start(HandleOptions::default()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// One input with three routes; `more` is added to the input, `tables` at the end.
    fn config(&self, more: &str, tables: &str) -> String {
        format!(
            r#"
[server]
listen = "127.0.0.1:0"
[output]
endpoint = "http://{datakit}"
backoff_max = "200ms"
[dead_letter]
path = "{folder}/dead-letters"
[pipeline]
path = "{folder}/pipeline"
[[inputs.kafkamq]]
name = "test"
addrs = ["{broker}"]
group_id = "group"
offsets = "oldest"
session_timeout = "6s"
heartbeat_interval = "300ms"
commit_interval = "100ms"
drain_timeout = "5s"
{more}
[inputs.kafkamq.skywalking]
dk_endpoint = "http://{datakit}"
topics = ["skywalking-segments"]
backoff_max = "200ms"
hold_backoff = "200ms"
[inputs.kafkamq.custom.log_topic_map]
"app-logs" = "-"
[inputs.kafkamq.remote_handle]
endpoint = "http://{handle}/"
topics = ["device-frames"]
send_message_count = 10
flush_interval = "100ms"
backoff_max = "200ms"
{tables}
"#,
            datakit = self.testbed.datakit.addr(),
            handle = self.testbed.handle.addr(),
            broker = self.broker.bootstrap(),
            folder = self.folder.path().display(),
        )
    }

    /// A rig whose topics exist.
    fn with_topics() -> Self {
        let rig = Self::new();
        rig.create_topics();
        rig
    }

    /// The configuration in which answers of the handle hold points.
    fn config_with_answers(&self) -> String {
        self.config("", "").replace(
            "send_message_count = 10",
            "send_message_count = 10\nis_response_point = true",
        )
    }

    /// Lets the handle answer with the points of the records that it was asked about.
    fn answer_with(&self, encoding: PointEncoding, category: &str, gzip: bool) {
        self.testbed.set_handle(HandleOptions {
            reply: Some(HandleReply {
                encoding,
                category: Some(category.into()),
                gzip,
            }),
            ..HandleOptions::default()
        });
    }

    fn create_topics(&self) {
        for topic in ["skywalking-segments", "app-logs", "device-frames"] {
            self.broker.create_topic(topic, 2).unwrap();
        }
    }

    /// Appends records `range` of `route` to both partitions of its topic.
    fn produce(&self, route: Route, range: std::ops::Range<u32>) {
        let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
        for partition in 0..2u16 {
            for sequence in range.clone() {
                let sample = Sample::of(RecordId::new(route, partition, sequence), &mut faker);
                self.append(topic(route), partition, &sample);
            }
        }
    }

    fn append(&self, topic: &str, partition: u16, sample: &Sample) {
        self.broker
            .append_records(
                topic,
                i32::from(partition),
                &[kafkamq_broker::Record {
                    timestamp: 1_700_000_000_000,
                    key: sample.key.clone(),
                    value: Some(sample.value.clone()),
                    ..Default::default()
                }],
            )
            .unwrap();
    }

    fn start(&self, config: &str) -> Running {
        let loaded = load(&Sources::new().text("test", config)).unwrap();
        let metrics = Metrics::try_new().unwrap();
        let (told, router) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let own = metrics.clone();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let router = Router::start(loaded.settings.into(), own).unwrap();
                told.send(router.clone()).unwrap();
                stopped.await.unwrap();
                router.shutdown().await;
            });
        });
        Running {
            router: router.recv().unwrap(),
            metrics,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            stop,
            thread,
        }
    }

    fn delivered(&self, route: Route) -> u64 {
        let [datakit, handle] = [&self.testbed.datakit, &self.testbed.handle];
        datakit.ledger().count(route) + handle.ledger().count(route)
    }

    fn wait_delivered(&self, route: Route, count: u64) {
        let receiver = match route {
            Route::Handle => &self.testbed.handle,
            _ => &self.testbed.datakit,
        };
        let complete = receiver
            .ledger()
            .wait_until(WAIT, |ledger| ledger.count(route) >= count);
        assert!(
            complete,
            "{} of {count} {}",
            self.delivered(route),
            route.name()
        );
    }

    fn wait_committed(&self, topic: &str, partition: i32, offset: i64) {
        assert!(
            self.broker
                .wait_committed("group", topic, partition, offset, WAIT),
            "{topic}/{partition} committed {:?} of {offset}",
            self.broker.committed("group", topic, partition)
        );
    }

    fn dead_letters(&self) -> Vec<kafkamq_delivery::dead_letter::DeadLetter> {
        let path: &Path = &self.folder.path().join("dead-letters");
        let store = DeadLetterStore::open(path, Default::default()).unwrap();
        store
            .view()
            .letters(Default::default())
            .map(|stored| stored.unwrap().letter)
            .collect()
    }
}

impl Running {
    /// Stops the service. Whatever happened in it, nothing is left charged.
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        let memory = self.router.memory();
        let (told, given_back) = mpsc::channel();
        memory.on_room(0, Box::new(move || told.send(()).unwrap()));
        let back = given_back.recv_timeout(WAIT);
        assert!(back.is_ok(), "{} bytes stay charged", memory.used());
    }

    fn status(&self) -> ServiceStatus {
        self.runtime.block_on(self.router.status()).unwrap()
    }

    fn wait_status(&self, done: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
        let deadline = Instant::now() + WAIT;
        loop {
            let status = self.status();
            if done(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn topic(route: Route) -> &'static str {
    match route {
        Route::SkywalkingSegments => "skywalking-segments",
        Route::CustomLog => "app-logs",
        Route::Handle => "device-frames",
        other => panic!("{} has no topic here", other.name()),
    }
}

const ROUTES: [Route; 3] = [Route::SkywalkingSegments, Route::CustomLog, Route::Handle];

#[test]
fn every_route_delivers_once_and_a_restart_delivers_nothing_twice() {
    let rig = Rig::with_topics();
    for route in ROUTES {
        rig.produce(route, 0..300);
    }
    let running = rig.start(&rig.config("", ""));
    for route in ROUTES {
        rig.wait_delivered(route, 600);
    }
    running.stop();
    for route in ROUTES {
        for partition in 0..2 {
            assert_eq!(
                rig.broker.committed("group", topic(route), partition),
                Some(300)
            );
        }
    }

    let running = rig.start(&rig.config("", ""));
    for route in ROUTES {
        rig.produce(route, 300..310);
        rig.wait_delivered(route, 620);
    }
    running.stop();
    for report in [
        rig.testbed.datakit.ledger().report(),
        rig.testbed.handle.ledger().report(),
    ] {
        for (route, account) in report.routes {
            assert_eq!(account.duplicates, 0, "{route:?}");
        }
    }
}

#[test]
fn a_dead_actor_is_replaced_and_loses_nothing() {
    let rig = Rig::with_topics();
    for route in ROUTES {
        rig.produce(route, 0..2000);
    }
    let running = rig.start(&rig.config("max_in_flight = 200", ""));
    rig.wait_delivered(Route::CustomLog, 100);
    let outputs: Vec<String> = running
        .status()
        .destinations
        .into_iter()
        .map(|destination| destination.name)
        .collect();
    let mut victims = vec![Child::Parser(0), Child::DeadLetter];
    victims.extend(
        outputs
            .iter()
            .map(|name| Child::Forwarder(DestinationId(name.as_str().into()))),
    );
    for child in victims {
        let before = running.status().actors.restarts;
        running.router.crash(Some(child));
        running.wait_status(|status| status.actors.restarts > before);
    }
    // A partition's actor takes its reader with it: the client is made anew.
    running.router.crash(None);
    for route in ROUTES {
        rig.wait_delivered(route, 4000);
        for partition in 0..2 {
            rig.wait_committed(topic(route), partition, 2000);
        }
    }
    running.stop();
}

#[test]
fn a_stopped_destination_holds_only_its_own_topics() {
    let rig = Rig::with_topics();
    rig.testbed
        .datakit
        .set_faults([Fault::status(503).on_path("/v3")]);
    for route in ROUTES {
        rig.produce(route, 0..3000);
    }
    let running = rig.start(&rig.config("max_in_flight = 500", ""));
    rig.wait_delivered(Route::CustomLog, 6000);
    rig.wait_delivered(Route::Handle, 6000);
    assert_eq!(rig.delivered(Route::SkywalkingSegments), 0);
    let status = running.wait_status(|status| {
        let held = |d: &super::status::DestinationStatus| d.state == "backing_off";
        status.destinations.iter().any(held)
    });
    let waiting: usize = status.inputs[0]
        .partitions
        .iter()
        .filter(|partition| partition.topic == "skywalking-segments")
        .map(|partition| partition.records_in_flight)
        .sum();
    assert!(
        waiting <= 1000,
        "{waiting} records in flight for a destination that is down"
    );
    // A passing failure is not an alarm, one that goes on for seconds is.
    let status = running.wait_status(|status| !status.is_ready());
    let held: Vec<_> = status.destinations.iter().filter(|one| one.alarm).collect();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].asked.as_deref().unwrap().contains("/v3/"));

    rig.testbed.datakit.set_faults([]);
    rig.wait_delivered(Route::SkywalkingSegments, 6000);
    rig.wait_committed("skywalking-segments", 0, 3000);
    assert_eq!(rig.broker.members("group").len(), 1);
    running.stop();
}

#[test]
fn a_refused_credential_holds_the_topic_and_raises_an_alarm() {
    let rig = Rig::with_topics();
    rig.testbed
        .datakit
        .set_faults([Fault::status(401).on_path("/v3")]);
    rig.produce(Route::SkywalkingSegments, 0..50);
    let running = rig.start(&rig.config("", ""));
    let status = running.wait_status(|status| {
        let mut destinations = status.destinations.iter();
        destinations.any(|destination| destination.alarm)
    });
    assert!(!status.is_ready());
    let alarm = status
        .destinations
        .iter()
        .find(|destination| destination.alarm)
        .unwrap();
    assert!(
        alarm.reason.as_deref().unwrap().starts_with("401"),
        "{alarm:?}"
    );
    assert_eq!(
        rig.broker
            .committed("group", "skywalking-segments", 0)
            .unwrap_or(0),
        0
    );
    rig.testbed.datakit.set_faults([]);
    rig.wait_delivered(Route::SkywalkingSegments, 100);
    running.wait_status(ServiceStatus::is_ready);
    running.stop();
    assert!(rig.dead_letters().is_empty());
}

#[test]
fn a_poison_record_is_found_and_buried_and_the_partition_moves_on() {
    let rig = Rig::with_topics();
    let poison = RecordId::new(Route::CustomLog, 0, 57);
    rig.testbed.datakit.set_faults([Fault::poison(poison)]);
    rig.produce(Route::CustomLog, 0..100);
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::CustomLog, 199);
    rig.wait_committed("app-logs", 0, 100);
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(
        (letters[0].topic.as_str(), letters[0].partition),
        ("app-logs", 0)
    );
    let original = &rig.broker.records("app-logs", 0).unwrap()[57];
    assert_eq!((letters[0].offset, letters[0].status), (57, Some(400)));
    assert_eq!(
        (&letters[0].key, &letters[0].value),
        (&original.key, &original.value)
    );
}

#[test]
fn partitions_move_between_members_without_loss_or_foreign_commits() {
    let rig = Rig::with_topics();
    let first = rig.start(&rig.config("", ""));
    rig.produce(Route::CustomLog, 0..3000);
    rig.wait_delivered(Route::CustomLog, 500);
    let second = rig.start(
        &rig.config("", "")
            .replace("dead-letters", "other-dead-letters"),
    );
    assert!(rig.broker.wait_stable("group", 2, WAIT));
    rig.produce(Route::CustomLog, 3000..4000);
    rig.wait_delivered(Route::CustomLog, 6500);
    second.stop();
    rig.wait_delivered(Route::CustomLog, 8000);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 4000);
    }
    first.stop();
    for event in rig.broker.events() {
        if let EventKind::Committed { owned, .. } = event.kind {
            assert!(
                owned,
                "a commit for a partition that the member no longer owned"
            );
        }
    }
}

#[test]
fn points_of_an_answer_are_delivered_before_the_record_is_committed() {
    let rig = Rig::with_topics();
    rig.answer_with(PointEncoding::LineProtocol, "logging", true);
    rig.testbed
        .datakit
        .set_faults([Fault::status(503).on_path("/v1/write")]);
    rig.produce(Route::Handle, 0..20);
    let config = rig.config_with_answers();
    let running = rig.start(&config);
    let asked = rig
        .testbed
        .handle
        .ledger()
        .wait_until(WAIT, |l| l.count(Route::Handle) >= 40);
    assert!(asked);
    assert_eq!(
        rig.broker
            .committed("group", "device-frames", 0)
            .unwrap_or(0),
        0
    );
    rig.testbed.datakit.set_faults([]);
    let came = rig
        .testbed
        .datakit
        .ledger()
        .wait_until(WAIT, |l| l.count(Route::Handle) >= 40);
    assert!(
        came,
        "{} points came back",
        rig.testbed.datakit.ledger().count(Route::Handle)
    );
    rig.wait_committed("device-frames", 0, 20);
    running.stop();
}

#[test]
fn tombstones_empty_values_and_removed_records_are_counted_and_passed() {
    let rig = Rig::with_topics();
    for value in [None, Some(bytes::Bytes::new())] {
        let record = kafkamq_broker::Record {
            value,
            ..Default::default()
        };
        rig.broker.append_records("app-logs", 0, &[record]).unwrap();
    }
    rig.produce(Route::CustomLog, 0..10);
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::CustomLog, 20);
    rig.wait_committed("app-logs", 0, 12);
    let skipped = running
        .metrics
        .records_processed
        .with_label_values(&["app-logs", "skipped_empty"]);
    assert_eq!(
        skipped.get(),
        1,
        "the tombstone; an empty value is processed"
    );
    running.stop();

    // Ten more come and go while nobody reads.
    rig.produce(Route::CustomLog, 10..30);
    rig.broker.truncate("app-logs", 0, 22).unwrap();
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::CustomLog, 20 + 10 + 20);
    rig.wait_committed("app-logs", 0, 32);
    assert_eq!(
        running
            .metrics
            .offsets_skipped
            .with_label_values(&["app-logs"])
            .get(),
        10
    );
    running.stop();
}

#[test]
fn brokers_and_topics_may_come_later() {
    let rig = Rig::new();
    rig.broker.create_topic("app-logs", 2).unwrap();
    rig.broker.go_down().unwrap();
    let running = rig.start(&rig.config("", ""));
    assert!(!running.status().is_ready());
    rig.broker.come_up().unwrap();
    rig.produce(Route::CustomLog, 0..10);
    rig.wait_delivered(Route::CustomLog, 20);
    rig.broker.create_topic("device-frames", 2).unwrap();
    rig.produce(Route::Handle, 0..10);
    rig.wait_delivered(Route::Handle, 20);
    running.stop();
}

#[test]
fn an_alarm_obeys_the_wish_of_the_destination() {
    let rig = Rig::with_topics();
    let busy = Fault::new(FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(1)),
        body: None,
    })
    .on_path("/v1/write")
    .times(1);
    rig.testbed.datakit.set_faults([busy]);
    rig.produce(Route::CustomLog, 0..10);
    let began = Instant::now();
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::CustomLog, 20);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "Retry-After was not waited for"
    );
    running.stop();
}
