//! The broker as real clients see it: every test talks to it through librdkafka.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod groups;
mod malformed;
mod records;
mod support;
