//! Records, their acknowledgement, and the offsets that may be committed.
//!
//! Everything here is plain data and plain decisions: no Kafka client, no actor, no clock. A batch
//! of one partition ([`RecordBatch`]) is open until each of its records is settled ([`BatchAck`],
//! [`AckShare`]); [`OffsetTracker`] then says up to where the partition may be committed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accounts;
mod ack;
#[cfg(all(test, loom))]
mod loom;
mod offsets;
mod outcome;
mod part;
mod record;
mod sync;

pub use accounts::PartitionAccounts;
pub use ack::*;
pub use offsets::*;
pub use outcome::Outcome;
pub use part::{Fates, LeftOut, Part, PartId};
pub use record::*;
