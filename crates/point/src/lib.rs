//! Points: a measurement, tags, fields, a time and a category.
//!
//! This crate owns the data model that scripts change and outputs encode, the construction rules
//! and limits of each category, and the codecs. It knows no Kafka, no HTTP and no scripts.

mod category;
mod point;
mod value;

pub use category::{Category, UnknownCategory};
pub use point::{Entry, Point};
pub use value::Value;

/// The string type of points: up to 24 bytes live inline, longer text is one allocation.
pub use compact_str::CompactString as Text;
