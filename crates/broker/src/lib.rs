//! An embedded broker that speaks the Kafka protocol and keeps its log in memory, for the demo, tests and benchmarks.
//!
//! [`Broker::start`] opens a port on 127.0.0.1 that any Kafka client can talk to: producers, consumers and consumer
//! groups (the classic protocol). The value it returns is the other side: look at records, offsets and what happened
//! in groups, put records in without a client, and switch faults on. Nothing is written to disk, and nothing is left
//! when the broker is dropped.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod api;
mod batch;
mod broker;
mod codec;
mod connection;
mod coordinator;
mod error;
mod events;
mod faults;
mod frame;
mod group;
mod log;
mod options;
mod producers;
mod record;
mod server;
mod shape;
mod shared;
mod topics;

pub use broker::Broker;
pub use events::{Departure, Event, EventKind, TopicPartition};
pub use faults::Fault;
pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use options::BrokerOptions;
pub use record::Record;
