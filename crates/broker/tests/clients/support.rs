//! Clients, and waiting for what they do.

use std::time::{Duration, Instant};

use kafkamq_broker::{Broker, BrokerOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message};

/// Longer than anything takes; a test that gets here fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn broker() -> Broker {
    Broker::start(BrokerOptions::default()).unwrap()
}

pub(crate) fn config(broker: &Broker, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "50");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

pub(crate) fn producer(broker: &Broker, settings: &[(&str, &str)]) -> BaseProducer {
    config(broker, settings).create().unwrap()
}

/// Produces values to one partition and waits until they are acknowledged.
pub(crate) fn produce(producer: &BaseProducer, topic: &str, partition: i32, values: &[String]) {
    for value in values {
        let record = BaseRecord::<str, str>::to(topic)
            .partition(partition)
            .payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(LIMIT).unwrap();
}

/// How long closing a client may take before it is left to itself.
const CLOSING: Duration = Duration::from_secs(10);

/// A group member that cannot hang a test: librdkafka 2.12 now and then waits for ever when a
/// consumer is closed while its group rebalances.
pub(crate) struct Member(Option<BaseConsumer>);

impl std::ops::Deref for Member {
    type Target = BaseConsumer;

    fn deref(&self) -> &BaseConsumer {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let consumer = self.0.take();
        let (closed, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            closed.send(()).ok();
        });
        // One that did not close by then is left behind.
        wait.recv_timeout(CLOSING).ok();
    }
}

/// A member of a group. Heartbeats and sessions are as short as tests like them.
pub(crate) fn member(
    broker: &Broker,
    group: &str,
    topics: &[&str],
    settings: &[(&str, &str)],
) -> Member {
    let mut config = config(
        broker,
        &[
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "50"),
            ("topic.metadata.refresh.interval.ms", "200"),
        ],
    );
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(topics).unwrap();
    Member(Some(consumer))
}

/// Polls until `count` records have come.
pub(crate) fn take(consumer: &BaseConsumer, count: usize) -> Vec<OwnedMessage> {
    let deadline = Instant::now() + LIMIT;
    let mut taken = Vec::new();
    while taken.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} records",
            taken.len()
        );
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            taken.push(message.detach());
        }
    }
    taken
}

/// Polls all consumers in turn until `done`.
pub(crate) fn poll_until(consumers: &[&BaseConsumer], mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "waited too long");
        for consumer in consumers {
            drop(consumer.poll(Duration::from_millis(5)));
        }
    }
}

/// The partitions a consumer holds, sorted.
pub(crate) fn assignment(consumer: &BaseConsumer) -> Vec<(String, i32)> {
    let list = consumer.assignment().unwrap();
    let mut partitions: Vec<_> = list
        .elements()
        .iter()
        .map(|e| (e.topic().to_owned(), e.partition()))
        .collect();
    partitions.sort();
    partitions
}

pub(crate) fn text(message: &OwnedMessage) -> String {
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

pub(crate) fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}-{at}")).collect()
}
