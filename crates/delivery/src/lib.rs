//! Delivery over HTTP and to this machine, in parts that know neither actors nor Kafka.
//!
//! A destination is served by parts:
//!
//! * [`delivery`]: decides what is sent, sent again, held and given up; owns the three that decide with it.
//! * [`endpoint`]: where a request goes and how its body is framed; secrets never leave it in text.
//! * [`lanes`]: which work goes into the next request, so that order per lane holds and nothing is lost or sent twice.
//! * [`http`]: sends one request and brings back an [`answer`], or the layer that failed.
//! * [`local`]: takes the place of [`http`] for files and standard output.
//! * [`status`]: what an answer means for the records of the request.
//! * [`health`]: whether the destination may be talked to now; back-off, probes and alarms.
//! * `concurrency`: how many requests it is given at once.
//!
//! What no destination accepts ends in the [`dead_letter`] store, byte for byte; [`burial`] decides
//! which letters are written when.
//!
//! The caller passes the time in. Only [`http`] does network input and output, only [`local`]
//! and [`dead_letter`] touch files, which they open by [`private_files`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod answer;
pub mod burial;
mod concurrency;
pub mod dead_letter;
pub mod delivery;
pub mod endpoint;
pub mod health;
pub mod http;
pub mod lanes;
pub mod local;
pub mod private_files;
pub mod status;

#[cfg(test)]
mod tests;
