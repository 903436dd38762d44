//! Points as bytes: the four encodings of the write interface, both ways.
//!
//! Every encoder appends one point to a buffer and leaves the buffer alone if it refuses the point.
//! [`Framing`] says what stands around and between points, so that any run of neighbouring points in
//! such a buffer can be sent as one body without encoding them again.

mod base64;
mod encoding;
mod error;
pub mod json;
pub mod line_protocol;
mod precision;
pub mod protobuf;
mod reader;

pub use encoding::{Encoding, Framing};
pub(crate) use error::DecodeErrors;
pub use error::{DecodeError, EncodeError, Fault, Position};
pub use precision::Precision;
pub use reader::PointReader;

use crate::Category;

/// What a body does not say about its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The category of the points.
    pub category: Category,
    /// The unit of times in the line protocol and in simple JSON; without it each time's size decides.
    /// Protobuf and its JSON form always count nanoseconds.
    pub precision: Option<Precision>,
    /// The time of points that have none (or zero), in nanoseconds since the Unix epoch.
    pub now_ns: i64,
}

impl DecodeOptions {
    /// A time of a body in nanoseconds; none if 64 bits cannot hold it.
    fn time_ns(&self, time: i64) -> Option<i64> {
        if time == 0 {
            return Some(self.now_ns);
        }
        let precision = self.precision.unwrap_or_else(|| Precision::guess(time));
        precision.to_ns(time)
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeOptions, Precision};
    use crate::Category;

    /// What the tests of every codec tell it.
    pub(super) const OPTIONS: DecodeOptions = DecodeOptions {
        category: Category::Logging,
        precision: Some(Precision::Nanoseconds),
        now_ns: 77,
    };
}
