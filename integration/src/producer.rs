//! Produces the testbed's payloads and remembers which ids the broker has taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use kafkamq_testbed::{Faker, IdSet, RecordId, Route, Sample};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU64,
    failed: AtomicU64,
}

#[derive(Clone)]
struct Acknowledgements(Arc<Counts>);

impl rdkafka::ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = match result {
            Ok(_) => &self.0.taken,
            Err(_) => &self.0.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// An idempotent producer, so that a broker restart puts no record on a topic twice.
pub struct Producer {
    producer: ThreadedProducer<Acknowledgements>,
    counts: Arc<Counts>,
    sent: u64,
    faker: Faker,
    ids: IdSet,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer with a codec: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn new(bootstrap: &str, codec: &str) -> Result<Self> {
        let counts = Arc::<Counts>::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.codec", codec)
            .set("linger.ms", "20")
            .set("message.max.bytes", "33554432")
            .set("message.timeout.ms", LIMIT.as_millis().to_string())
            .set("queue.buffering.max.messages", "200000")
            .set("log_level", "0")
            .create_with_context(Acknowledgements(Arc::clone(&counts)))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        Ok(Self {
            producer,
            counts,
            sent: 0,
            faker: Faker::new(1, now),
            ids: IdSet::new(),
        })
    }

    /// The source of invented contents.
    pub const fn faker(&mut self) -> &mut Faker {
        &mut self.faker
    }

    /// Queues a record.
    ///
    /// # Errors
    /// The client library refuses it.
    pub fn send(
        &mut self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(String, Vec<u8>)],
    ) -> Result<()> {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let mut record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(partition)
            .headers(headers);
        record.key = key;
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Queues a payload with everything that belongs to it.
    ///
    /// # Errors
    /// The client library refuses it.
    pub fn send_sample(&mut self, topic: &str, partition: i32, sample: &Sample) -> Result<()> {
        let headers: Vec<_> = sample
            .headers
            .iter()
            .map(|(key, value)| (key.clone(), value.to_vec()))
            .collect();
        let key = sample.key.as_deref();
        self.send(topic, partition, key, Some(&sample.value), &headers)?;
        self.ids.extend(sample.ids.iter().copied());
        Ok(())
    }

    /// Queues records `from..to` of a route in each of `partitions` partitions, turn by turn.
    ///
    /// # Errors
    /// The client library refuses one.
    pub fn send_range(
        &mut self,
        route: Route,
        topic: &str,
        partitions: u16,
        range: std::ops::Range<u32>,
    ) -> Result<()> {
        for sequence in range {
            for partition in 0..partitions {
                let id = RecordId::new(route, partition, sequence);
                let sample = Sample::of(id, &mut self.faker);
                self.send_sample(topic, i32::from(partition), &sample)?;
            }
        }
        Ok(())
    }

    /// Waits until the broker has taken everything.
    ///
    /// # Errors
    /// It refused a record or does not answer.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(LIMIT)?;
        let (taken, failed) = (
            self.counts.taken.load(Ordering::Relaxed),
            self.counts.failed.load(Ordering::Relaxed),
        );
        if (taken, failed) != (self.sent, 0) {
            bail!(
                "of {} records the broker took {taken} and refused {failed}",
                self.sent
            );
        }
        Ok(())
    }

    /// Every id sent so far.
    #[must_use]
    pub const fn ids(&self) -> &IdSet {
        &self.ids
    }
}
