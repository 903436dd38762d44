//! Writing records: the demo's producers, and whatever else sends records back to Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::KafkaError;

/// Pause while the client's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// Counts what the brokers said about each record.
#[derive(Debug, Default)]
struct Reports {
    written: AtomicU64,
    failed: AtomicU64,
}

#[derive(Clone, Default)]
struct ReportContext(Arc<Reports>);

impl ClientContext for ReportContext {}

impl ProducerContext for ReportContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        let counter = if result.is_ok() {
            &self.0.written
        } else {
            &self.0.failed
        };
        counter.fetch_add(1, Ordering::AcqRel);
    }
}

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; `None` lets the key decide.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(String, Vec<u8>)],
}

/// A producer that retries until brokers confirmed each record once (idempotent, all replicas).
pub struct Producer {
    client: ThreadedProducer<ReportContext>,
    reports: Arc<Reports>,
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
    pub fn try_new(mut config: ClientConfig) -> Result<Self, KafkaError> {
        let context = ReportContext::default();
        let reports = Arc::clone(&context.0);
        config.set("enable.idempotence", "true");
        let client = config
            .create_with_context(context)
            .map_err(KafkaError::from_client)?;
        Ok(Self { client, reports })
    }

    /// A producer for the brokers at `bootstrap`, without encryption or authentication.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn connect(bootstrap: &str) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("enable.metrics.push", "false");
        Self::try_new(config)
    }

    /// Hands a record to the client, waiting while its queue is full.
    ///
    /// # Errors
    /// When the client refuses the record, for instance because it is too large.
    #[expect(
        clippy::disallowed_methods,
        reason = "callers have a thread of their own"
    )]
    pub fn send(&self, record: Outbound<'_>) -> Result<(), KafkaError> {
        let mut message = BaseRecord::<[u8], [u8]>::to(record.topic);
        message.partition = record.partition;
        message.key = record.key;
        message.payload = record.value;
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            message.headers = Some(record.headers.iter().fold(
                headers,
                |headers, (name, value)| {
                    headers.insert(Header {
                        key: name,
                        value: Some(value),
                    })
                },
            ));
        }
        loop {
            match self.client.send(message) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(KafkaError::from_client(error)),
            }
        }
    }

    /// Records that the brokers confirmed.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.reports.written.load(Ordering::Acquire)
    }

    /// Records that the brokers refused for good.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.reports.failed.load(Ordering::Acquire)
    }

    /// Waits until the brokers answered for every record, at most `timeout`.
    ///
    /// # Errors
    /// When records are still on their way by then.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.flush(left.min(Duration::from_millis(200))) {
                Ok(()) => return Ok(()),
                Err(error) if left.is_zero() => return Err(KafkaError::from_client(error)),
                Err(_) => {}
            }
        }
    }
}
