//! Writing records: outputs and dead letters that are topics. `load` is for the demonstration and the
//! benchmark.
//!
//! A [`Producer`] is idempotent: the client sends a record again as often as it takes, and brokers
//! keep one copy of it. [`Producer::deliver`] promises more than that a record was handed over: it
//! ends when the brokers have answered for every record, and tells which they do not have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use tokio::sync::Notify;

use super::KafkaError;

#[cfg(feature = "demo")]
mod load;

/// Pause while the client's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// What the client takes where nothing else is configured.
const DEFAULT_MAX_BYTES: usize = 1_000_000;
/// Most that the lengths of a header's name and value take.
const HEADER_BYTES: usize = 10;

/// Counts records that the brokers refused for good.
#[derive(Debug, Default)]
struct Reports {
    failed: AtomicU64,
}

/// What is known of records that were handed over together.
#[derive(Debug)]
struct Tally {
    /// Records without an answer, and one more until all are handed over.
    open: AtomicUsize,
    /// Which records failed, by their place among those handed over.
    failed: Mutex<Vec<(usize, ClientError)>>,
    complete: Notify,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(1),
            failed: Mutex::default(),
            complete: Notify::new(),
        }
    }
}

impl Tally {
    fn add(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    fn fail(&self, place: usize, error: ClientError) {
        self.failed.lock().push((place, error));
        self.settle();
    }

    fn settle(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete.notify_one();
        }
    }
}

#[derive(Clone, Default)]
struct ReportContext(Arc<Reports>);

impl ClientContext for ReportContext {}

impl ProducerContext for ReportContext {
    type DeliveryOpaque = Box<Place>;

    fn delivery(&self, result: &DeliveryResult<'_>, place: Self::DeliveryOpaque) {
        match result {
            Ok(_) => place.tally.settle(),
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::AcqRel);
                place.tally.fail(place.index, error.clone());
            }
        }
    }
}

/// A record's place among those handed over with it.
struct Place {
    tally: Arc<Tally>,
    index: usize,
}

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outbound<'a> {
    /// Name of the topic it goes to.
    pub(crate) topic: &'a str,
    /// Partition; `None` lets the key decide.
    pub(crate) partition: Option<i32>,
    /// Its key; `None` writes a record without one.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value; `None` writes a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// Headers in order; names may repeat, values may be null.
    pub(crate) headers: &'a [(String, Option<Bytes>)],
    /// Timestamp in milliseconds since 1970; `None` is the time of sending.
    pub(crate) timestamp: Option<i64>,
}

impl Outbound<'_> {
    /// Bytes as the client counts them against its limit.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len) + HEADER_BYTES)
            .sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

/// A producer that retries until brokers confirmed each record once (idempotent, all replicas).
pub(crate) struct Producer {
    client: ThreadedProducer<ReportContext>,
    reports: Arc<Reports>,
    max_bytes: usize,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("reports", &self.reports)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer for the cluster that `config` describes; see [`super::client::set_cluster`].
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub(crate) fn try_new(mut config: ClientConfig) -> Result<Self, KafkaError> {
        let context = ReportContext::default();
        let reports = Arc::clone(&context.0);
        config.set("enable.idempotence", "true");
        let max_bytes = config
            .get("message.max.bytes")
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(DEFAULT_MAX_BYTES);
        let client = config
            .create_with_context(context)
            .map_err(KafkaError::from_client)?;
        Ok(Self {
            client,
            reports,
            max_bytes,
        })
    }

    /// Hands `records` to the client in order and waits until the brokers have answered for all.
    /// Returns the index of each that they have not confirmed, with the reason, in ascending order.
    /// Whoever drops the future gives up the answer, not the records.
    pub(crate) async fn deliver(&self, records: &[Outbound<'_>]) -> Vec<(usize, KafkaError)> {
        let tally = Arc::<Tally>::default();
        for (index, record) in records.iter().enumerate() {
            let mut message = message(record, &tally, index);
            tally.add();
            loop {
                match self.client.send(message) {
                    Ok(()) => break,
                    Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                        message = back;
                        tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                    }
                    Err((error, _)) => {
                        tally.fail(index, error);
                        break;
                    }
                }
            }
        }
        tally.settle();
        tally.complete.notified().await;
        let mut failed = std::mem::take(&mut *tally.failed.lock());
        failed.sort_unstable_by_key(|(index, _)| *index);
        failed
            .into_iter()
            .map(|(index, error)| (index, KafkaError::from_client(error)))
            .collect()
    }

    /// Largest key, value and headers together that the client takes, in bytes.
    #[must_use]
    pub(crate) const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether the client has given up for good and has to be made anew.
    #[must_use]
    pub(crate) fn is_broken(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }
}

fn message<'a>(
    record: &Outbound<'a>,
    tally: &Arc<Tally>,
    index: usize,
) -> BaseRecord<'a, [u8], [u8], Box<Place>> {
    let place = Place {
        tally: Arc::clone(tally),
        index,
    };
    let mut message = BaseRecord::with_opaque_to(record.topic, Box::new(place));
    message.partition = record.partition;
    message.key = record.key;
    message.payload = record.value;
    message.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        message.headers = Some(
            record
                .headers
                .iter()
                .fold(headers, |headers, (name, value)| {
                    headers.insert(Header {
                        key: name,
                        value: value.as_deref(),
                    })
                }),
        );
    }
    message
}
