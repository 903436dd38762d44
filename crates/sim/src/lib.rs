//! Runs the machines that decide about delivery in virtual time, with everything around them that can
//! go wrong, and holds them to their promises.
//!
//! The machines are the real ones: `Window`, `Commits`, `Positions`, `Births`, `start`, `Restarts` and
//! `Watch` of `kafkamq-source`, `BatchAck`, `Fates` and the accounts of `kafkamq-record`, `Delivery` and
//! `Burial` of `kafkamq-delivery`. They are driven as the actors drive them. The brokers, the client, the
//! receivers and the disk are simulated, and mean.
//!
//! A seed is a list of choices ([`run`] runs one). Equal seeds give equal runs. A run that fails is
//! shortened by leaving choices out ([`shorten`]). The judge uses what records state, and nothing of what
//! is judged.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stdout
    )
)]

mod bugs;
mod case;
mod client;
mod cluster;
mod consignment;
mod convert;
mod core;
mod forwarder;
mod group;
mod letters;
mod lookup;
mod mail;
mod member;
mod oracle;
mod parser;
mod payload;
mod poll;
mod reader;
mod receiver;
mod run;
mod scene;
#[cfg(test)]
mod tests;
mod time;
mod topic;
mod trace;
pub mod traps;
mod world;

pub use bugs::Bug;
pub use case::Fault;
pub use convert::{Convert, Made, Outgoing, Work};
pub use run::{Options, Report, Story, Summary, run, run_many, run_scene, shorten, shorten_scene};
pub use scene::{Sample, Scene};
pub use time::SECOND;
