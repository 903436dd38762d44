//! Whole-process tests of the `kafkamq` binary against real Apache Kafka.
//!
//! A test sets a [`Scene`]: a broker ([`Kafka`]), receivers that count what arrives by record id
//! (the testbed), and a folder. It produces with a [`Producer`], runs one or several [`Kafkamq`]
//! processes, harms them, and sets the receivers' account against what was produced.
//!
//! Promise: every process ends with the test that started it, even if that is killed; nothing but
//! loopback is used; a test that cannot run says why, and fails instead where `CI` is `true`.

mod acl;
mod agents;
mod await_until;
mod broker;
mod cluster;
mod config;
mod fault_account;
mod fault_run;
mod guarded;
mod interface;
mod kafka;
mod kafkamq;
mod leaders;
mod librdkafka;
mod node_plan;
mod order_watch;
mod paths;
mod producer;
mod progress;
mod proxy;
mod request;
mod scene;
mod schedule;
mod secure;
mod size;
mod small_disk;

pub use acl::{Resource, Right, grant};
pub use agents::Agents;
pub use await_until::until;
pub use broker::{Broker, GroupView};
pub use cluster::{Cluster, NODES};
pub use config::Config;
pub use fault_account::Account;
pub use fault_run::{FaultRun, Home, TOPICS};
pub use guarded::{Ending, Guarded};
pub use interface::{Prometheus, Schemathesis};
pub use kafka::{Installation, Kafka, Release};
pub use kafkamq::{Answer, Kafkamq, check_connections};
pub use leaders::move_leader;
pub use librdkafka::Librdkafka;
pub use node_plan::NodePlan;
pub use paths::{Missing, binary, free_port, skip_or_fail};
pub use producer::Producer;
pub use progress::{ProgressWatch, Stillness};
pub use proxy::{Proxy, Weather};
pub use scene::Scene;
pub use schedule::{Change, Event, Schedule, Sharing, Step, Trouble};
pub use secure::{Door, Doors, PASSWORD};
pub use size::{full, random, size};
pub use small_disk::SmallDisk;
