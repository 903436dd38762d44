//! What connections, the timer and the in-process side share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};

use kafka_protocol::ResponseError;

use crate::coordinator::Coordinator;
use crate::events::Recorder;
use crate::faults::Faults;
use crate::options::BrokerOptions;
use crate::topics::Topics;

/// Id of the one node.
pub(crate) const NODE: i32 = 1;
/// Where the node listens.
pub(crate) const HOST: &str = "127.0.0.1";
/// Request kinds counted; higher keys are not answered.
const COUNTED: usize = 64;

/// The state of a broker.
pub(crate) struct Shared {
    pub(crate) options: BrokerOptions,
    pub(crate) topics: Topics,
    pub(crate) coordinator: Coordinator,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) faults: Faults,
    /// The port that clients get, known once it is bound.
    port: AtomicU16,
    producers: AtomicI64,
    requests: [AtomicU64; COUNTED],
}

impl Shared {
    /// The state of a broker that has just started.
    pub(crate) fn new(options: BrokerOptions) -> Self {
        let recorder = Arc::new(Recorder::new(options.event_capacity));
        Self {
            topics: Topics::new(options.retention_bytes),
            coordinator: Coordinator::new(options.initial_rebalance_delay, Arc::clone(&recorder)),
            recorder,
            faults: Faults::default(),
            port: AtomicU16::new(options.port),
            producers: AtomicI64::new(1),
            requests: [const { AtomicU64::new(0) }; COUNTED],
            options,
        }
    }

    /// The port the broker listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Notes the port that was bound.
    pub(crate) fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// Deletes a topic with its records and the offsets committed for it.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<(), ResponseError> {
        self.topics.delete(name)?;
        self.coordinator.forget_topic(name);
        Ok(())
    }

    /// An id for an idempotent producer.
    pub(crate) fn next_producer(&self) -> i64 {
        self.producers.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request of this kind.
    pub(crate) fn count(&self, api: i16) {
        if let Some(count) = usize::try_from(api)
            .ok()
            .and_then(|api| self.requests.get(api))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests of this kind since the start.
    pub(crate) fn counted(&self, api: i16) -> u64 {
        let count = usize::try_from(api)
            .ok()
            .and_then(|api| self.requests.get(api));
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
