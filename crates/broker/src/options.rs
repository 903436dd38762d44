//! The settings of a broker.

use std::time::Duration;

/// How a [`Broker`](crate::Broker) behaves. `Default` gives a broker on a free port that creates topics on demand,
/// keeps everything and forms groups at once.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Port on 127.0.0.1; 0 takes a free one. Default 0.
    pub port: u16,
    /// Whether asking for the metadata of an unknown topic creates it (if the client allows it: producers do,
    /// consumers do not unless told to). Default true.
    pub auto_create_topics: bool,
    /// Partitions of topics created on demand, or by a request that leaves the number open. Default 4.
    pub default_partitions: i32,
    /// How long the first member of an empty group waits for others. Default zero.
    pub initial_rebalance_delay: Duration,
    /// Bytes of batches (as produced, so compressed) kept in each partition; the oldest are dropped above it, the
    /// newest batch always stays. Default none: everything is kept.
    pub retention_bytes: Option<usize>,
    /// Largest batch a producer may send, in bytes; larger ones are answered `MESSAGE_TOO_LARGE`. Default 128 MiB.
    pub max_batch_bytes: usize,
    /// Events kept for [`Broker::events`](crate::Broker::events); older ones are dropped. Default 65536.
    pub event_capacity: usize,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            port: 0,
            auto_create_topics: true,
            default_partitions: 4,
            initial_rebalance_delay: Duration::ZERO,
            retention_bytes: None,
            max_batch_bytes: 128 << 20,
            event_capacity: 65536,
        }
    }
}
