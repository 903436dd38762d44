//! Accounts of bytes: what is charged before it is made, and given back when it is dropped.
//!
//! One number bounds the memory of the service. An [`Account`] is a node of a tree: the service,
//! below it partitions, taps, pages of dead letters, answers of handles, aggregation. Charging a
//! node charges every node above it, and a node refuses what would go beyond its own limit or a
//! limit above it.
//!
//! The promise: bytes cannot leak. They are owned by a [`Charge`], which gives them back when it is
//! dropped, on every path and in every crash that unwinds. There is no call that subtracts.
//! [`Charge::seal`] puts the charge into the buffer that it counts, so that a slice that keeps the
//! buffer alive keeps it charged.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
#[cfg(all(test, loom))]
mod loom;
mod sync;

pub use account::{Account, Charge, Exhausted, Wake};
