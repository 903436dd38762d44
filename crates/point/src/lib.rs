//! Points: a measurement, tags, fields, a time and a category.
//!
//! This crate owns the data model that scripts change and outputs encode, the construction rules
//! and limits of each category, and the codecs. It does not depend on Kafka, HTTP or scripts.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod category;
pub mod codec;
mod number;
mod point;
mod rules;
mod status;
mod value;
mod warning;
mod words;

pub use category::{Category, UnknownCategory};
pub use point::{Entry, Point};
pub(crate) use rules::NEGATIVE_INFINITY;
pub(crate) use rules::POSITIVE_INFINITY;
pub use rules::Rules;
pub use status::normalise_point_status;
pub use value::Value;
pub use warning::Warning;

/// The string type of points: up to 24 bytes live inline, longer text is one allocation.
pub use compact_str::CompactString as Text;
