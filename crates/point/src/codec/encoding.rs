//! The choice of an encoding, and what a sender and a receiver need to know about each.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{DecodeErrors, DecodeOptions, EncodeError, json, line_protocol, protobuf};
use crate::Point;

/// How points are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// Lines of text, see [`line_protocol`].
    #[default]
    LineProtocol,
    /// Simple JSON objects, see [`json`]; numbers arrive as floats.
    Json,
    /// The JSON form of the protobuf messages, see [`json`].
    PbJson,
    /// Protobuf messages, see [`protobuf`].
    Protobuf,
}

/// What stands before, between and after encoded points in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Opens the body.
    pub prefix: &'static [u8],
    /// Stands between two points.
    pub separator: &'static [u8],
    /// Closes the body.
    pub suffix: &'static [u8],
}

/// A text that names no encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding `{0}`, expected line-protocol, json, pbjson or protobuf")]
pub struct UnknownEncoding(pub String);

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 4] = [Self::LineProtocol, Self::Json, Self::PbJson, Self::Protobuf];

    /// The name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LineProtocol => "line-protocol",
            Self::Json => "json",
            Self::PbJson => "pbjson",
            Self::Protobuf => "protobuf",
        }
    }

    /// The content type to send with a body.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::LineProtocol => "application/line-protocol",
            Self::Json => "application/json",
            Self::PbJson => "application/pbjson; proto=com.guance.Point",
            Self::Protobuf => "application/protobuf; proto=com.guance.Point",
        }
    }

    /// The encoding a receiver of the write interface assumes for a `Content-Type` header: the two
    /// protobuf forms match exactly, JSON anywhere in the text, and all else is line protocol.
    #[must_use]
    pub fn from_content_type(text: &str) -> Self {
        if text == Self::Protobuf.content_type() {
            Self::Protobuf
        } else if text == Self::PbJson.content_type() {
            Self::PbJson
        } else if text.contains(Self::Json.content_type()) {
            Self::Json
        } else {
            Self::LineProtocol
        }
    }

    /// What a body of this encoding has around and between its points.
    #[must_use]
    pub const fn framing(self) -> Framing {
        match self {
            Self::LineProtocol => Framing {
                prefix: b"",
                separator: b"\n",
                suffix: b"",
            },
            Self::Json | Self::PbJson => Framing {
                prefix: b"[",
                separator: b",",
                suffix: b"]",
            },
            Self::Protobuf => Framing {
                prefix: b"",
                separator: b"",
                suffix: b"",
            },
        }
    }

    /// Appends one point and nothing else.
    ///
    /// # Errors
    /// The encoding cannot hold the point; `out` is then as it was.
    pub fn encode(self, point: &Point, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::LineProtocol => line_protocol::encode(point, out),
            Self::Json => json::encode(point, out),
            Self::PbJson => json::encode_pb(point, out),
            Self::Protobuf => protobuf::encode(point, out),
        }
    }

    /// Appends the separator, unless `out` is empty, and one point. Returns where the point lies.
    ///
    /// A buffer filled this way is the inside of a body, and so is every part of it from the start of
    /// one point to the end of that or a later one: [`Framing::wrap`] makes a body of such a part.
    ///
    /// # Errors
    /// The encoding cannot hold the point; `out` is then as it was.
    pub fn append(self, point: &Point, out: &mut Vec<u8>) -> Result<Range<usize>, EncodeError> {
        let before = out.len();
        if before > 0 {
            out.extend_from_slice(self.framing().separator);
        }
        let start = out.len();
        match self.encode(point, out) {
            Ok(()) => Ok(start..out.len()),
            Err(error) => {
                out.truncate(before);
                Err(error)
            }
        }
    }

    /// Reads a whole body. An empty body holds no points, whatever its encoding: a handler that has
    /// nothing to say answers so and still names a content type.
    ///
    /// # Errors
    /// What is wrong and where; the line protocol reports every bad line, the others the first fault.
    pub fn decode(self, body: &[u8], options: &DecodeOptions) -> Result<Vec<Point>, DecodeErrors> {
        match self {
            Self::LineProtocol => line_protocol::decode(body, options),
            Self::Json | Self::PbJson => json::decode(body, options),
            Self::Protobuf => protobuf::decode(body, options),
        }
    }
}

impl Framing {
    /// The pieces of a body around points that are already joined, for vectored writes.
    #[must_use]
    pub const fn wrap<'a>(&self, points: &'a [u8]) -> [&'a [u8]; 3] {
        [self.prefix, points, self.suffix]
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Accepts the names and the older `v1` (line protocol) and `v2` (protobuf).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "v1" => Ok(Self::LineProtocol),
            "v2" => Ok(Self::Protobuf),
            _ => Self::ALL
                .into_iter()
                .find(|encoding| encoding.name() == text)
                .ok_or_else(|| UnknownEncoding(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::OPTIONS;
    use crate::{Category, Value};

    #[test]
    fn names_and_content_types_lead_back() {
        for encoding in Encoding::ALL {
            assert_eq!(encoding.name().parse(), Ok(encoding));
            assert_eq!(
                Encoding::from_content_type(encoding.content_type()),
                encoding
            );
        }
        for (text, expected) in [
            ("application/json; charset=utf-8", Encoding::Json),
            ("text/x,application/json", Encoding::Json),
            ("", Encoding::LineProtocol),
            ("text/plain", Encoding::LineProtocol),
            ("application/x-protobuf", Encoding::LineProtocol),
            ("application/protobuf", Encoding::LineProtocol),
            ("application/pbjson", Encoding::LineProtocol),
        ] {
            assert_eq!(Encoding::from_content_type(text), expected, "{text}");
        }
        assert_eq!("v2".parse(), Ok(Encoding::Protobuf));
        assert!("xml".parse::<Encoding>().is_err());
    }

    #[test]
    fn every_run_of_appended_points_is_a_body() {
        let points: Vec<Point> = (1..=4)
            .map(|n| {
                let mut point = Point::new(format!("m{n}"), Category::Logging, n);
                point.set_field("f", 0.5);
                point
            })
            .collect();
        let mut empty = Point::new("empty", Category::Logging, 1);
        empty.set_field("nil", Value::Nil);
        for encoding in Encoding::ALL {
            let mut out = Vec::new();
            let mut places = Vec::new();
            for point in &points {
                places.push(encoding.append(point, &mut out).unwrap());
                assert!(encoding.append(&empty, &mut out).is_err());
            }
            for first in 0..points.len() {
                for last in first..points.len() {
                    let inside = &out[places[first].start..places[last].end];
                    let body = encoding.framing().wrap(inside).concat();
                    let read = encoding.decode(&body, &OPTIONS).unwrap();
                    assert_eq!(read, points[first..=last], "{encoding}");
                }
            }
        }
    }
}
