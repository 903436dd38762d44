//! Sample producers' payloads and strict, fault-injecting HTTP receivers that decode what arrives.
//!
//! Three uses, one library: the demo runs it in its own process, whole-process tests drive the
//! binary of the same name over its control interface, and benchmarks take payloads and receivers
//! alike. A record carries its [`RecordId`] from the [`payload`] through Kafka and the router into
//! a [`receiver`], whose `Ledger` notes it; [`expect`] sets one against the other.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod control;
pub mod expect;
pub mod faults;
mod id_set;
mod ledger;
pub mod payload;
pub mod receiver;
mod record;
pub mod scenario;
mod testbed;
pub mod wire;

pub use id_set::IdSet;
pub use payload::{Faker, Sample};
pub use receiver::Receiver;
pub use record::{RECORD_ID_KEY, RecordId, Route};
pub use testbed::{Addresses, Testbed};
