//! kafkamq routes observability records from Kafka to HTTP collectors and time series stores.
//!
//! The way of a record, which is also the direction of imports:
//!
//! ```text
//! kafka  ->  actors::topic  ->  actors::parser  ->  actors::forwarder  ->  record  ->  source  ->  kafka
//!                                     |                    |
//!                                 conversion            delivery
//! ```
//!
//! Crates, from the ground up:
//!
//! * [`kafkamq_memory`]: the accounts that bound the memory of all of it.
//! * [`kafkamq_record`]: a batch, its acknowledgement, and what may be committed.
//! * [`kafkamq_source`]: what reading a partition decides: positions, leases, commits, work in flight.
//! * [`kafkamq_address`]: the credentials of an address, and the compression of bodies.
//! * [`kafkamq_point`], [`kafkamq_pipeline`]: points and their encodings; the script language.
//! * [`kafkamq_settings`]: what the operator asked for.
//! * [`kafkamq_delivery`]: delivery over HTTP and the dead letters.
//! * [`kafkamq_conversion`]: the way of a record, decided, and the scripts in use.
//!
//! Modules of this package:
//!
//! * `kafka`: the only module that knows the client library.
//! * `outputs`: how each kind of output is reached.
//! * `routing`: which topic's records go where, compiled from the settings.
//! * `dead_letters`: the dead letters listed, shown and sent back.
//! * `run_time`: scripts and pauses that operators set, kept in the `state_folder`.
//! * `explain`: a dry run that reports every decision about one record.
//! * `replay`: a time range of a topic delivered once more, outside its group.
//! * `simulate`: a configuration run in virtual time, with faults.
//! * `recorder`: copies of outgoing points in files.
//! * `preflight`: whether a service with this configuration can run.
//! * `actors`: who owns whom, and the messages between them.
//! * `routes`: the HTTP server. `metrics`: every metric.
//! * `bench`, `demo`: the flow benchmark and the demonstration, with the feature `demo`.
//! * [`app`]: builds all of it in order and stops it in order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod actors;
pub mod app;
#[cfg(feature = "demo")]
pub mod bench;
pub mod cli;
mod controls;
mod dead_letters;
#[cfg(feature = "demo")]
pub mod demo;
mod descriptors;
mod explain;
mod introduction;
mod kafka;
mod metrics;
mod outputs;
mod preflight;
mod reconfiguration;
mod recorder;
mod replay;
mod routes;
mod routing;
mod run_time;
mod simulate;
mod state_folder;
mod telemetry;
