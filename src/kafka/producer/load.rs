//! Writing records as fast as brokers take them: each is handed over, and what became of all is asked
//! at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::{KafkaError, Outbound, Producer, QUEUE_FULL_PAUSE, message};

impl Producer {
    /// A producer for the brokers at `bootstrap`, without encryption or authentication.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub(crate) fn connect(bootstrap: &str) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("enable.metrics.push", "false");
        Self::try_new(config)
    }

    /// A producer that loads the brokers at `bootstrap`: it gathers records for `linger` and packs
    /// them with `compression`, a name that the client library knows.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub(crate) fn for_load(
        bootstrap: &str,
        linger: Duration,
        compression: &str,
    ) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("linger.ms", linger.as_millis().to_string())
            .set("compression.type", compression)
            .set("queue.buffering.max.messages", "500000")
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
    pub(crate) fn send(&self, record: Outbound<'_>) -> Result<(), KafkaError> {
        // The answer is not waited for; it is counted.
        let mut message = message(&record, &Arc::default(), 0);
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

    /// Records that the brokers refused for good.
    #[must_use]
    pub(crate) fn failed(&self) -> u64 {
        self.reports.failed.load(Ordering::Acquire)
    }

    /// Waits until the brokers answered for every record, at most `timeout`.
    ///
    /// # Errors
    /// When records are still on their way by then.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
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
