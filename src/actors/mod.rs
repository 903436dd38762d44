//! The actors: who owns whom, and what they say to each other.
//!
//! ```text
//!                      Supervisor  (system arbiter; owns everything below)
//!                           |
//!        +------------------+-------------------+--------------------+
//!        |                  |                   |                    |
//!   TopicActor         ParserActor        ForwarderActor      DeadLetterActor
//!   one per assigned   one per core       one per             one
//!   partition          (parse arbiters)   destination         (own arbiter: disk)
//!   (stream arbiter)                      (forward arbiter)
//!        |                  ^  |                ^  |                 ^
//!        +--- ParseBatch ---+  +--- Forward ----+  +- WriteDeadLetter -+
//!        ^                                      |
//!        +------------- BatchResolved ----------+   (the acknowledgement, carried by `ack`)
//! ```
//!
//! What is in flight is bounded at its source, by the credits of the topic actors, so every message
//! can be sent without waiting. An actor that stops unexpectedly loses the messages it works on, and
//! with each of them a share of an acknowledgement: the records come back to their topic actor and
//! are sent again, to the address that the supervisor has put into the `directory` by then.

mod consignment;
#[cfg(test)]
mod crash;
mod dead_letter;
mod directory;
mod forwarder;
mod listener;
mod messages;
mod parser;
mod router;
pub(crate) mod status;
mod supervisor;
mod topic;

#[cfg(test)]
mod tests;

pub(crate) use router::Router;
pub(crate) use supervisor::{Prepared, StartError};
