//! Whole-process tests of the `kafkamq` binary against real Apache Kafka.
//!
//! A test sets a [`Scene`]: a broker ([`Kafka`]), receivers that count what arrives by record id
//! (the testbed), and a folder. It produces with a [`Producer`], runs one or several [`Kafkamq`]
//! processes, harms them, and sets the receivers' account against what was produced.
//!
//! Promise: every process ends with the test that started it, even if that is killed; nothing but
//! loopback is used; a test that cannot run says why, and fails instead where `CI` is `true`.

mod agents;
mod await_until;
mod broker;
mod config;
mod guarded;
mod interface;
mod kafka;
mod kafkamq;
mod paths;
mod producer;
mod scene;
mod size;

pub use agents::Agents;
pub use await_until::until;
pub use broker::{Broker, GroupView};
pub use config::Config;
pub use guarded::{Ending, Guarded};
pub use interface::{Prometheus, Schemathesis};
pub use kafka::{Installation, Kafka, Release};
pub use kafkamq::{Answer, Kafkamq};
pub use paths::{Missing, binary, free_port, skip_or_fail};
pub use producer::Producer;
pub use scene::Scene;
pub use size::{full, random, size};
