//! What can go wrong between points and bytes, and where.

use std::fmt;

use crate::Text;

/// Why a point cannot be encoded. The buffer is then as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No field is left once those without a value are left out; no receiver takes such a point.
    #[error("point `{name}` has no field to encode")]
    NoFields {
        /// The measurement.
        name: Text,
    },
    /// Measurement, tags and a field key are longer than receivers of the line protocol take; one such
    /// point would make them refuse the whole body.
    #[error("point `{name}` has a line key of {length} bytes, receivers take {max}", max = super::line_protocol::MAX_LINE_KEY)]
    LineKeyTooLong {
        /// The measurement.
        name: Text,
        /// Bytes of measurement, tags and the longest field key as written.
        length: usize,
    },
}

/// Where in a body something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In text; both count from 1, columns count characters.
    Text {
        /// The number of the line.
        line: usize,
        /// The character in the line.
        column: usize,
    },
    /// In binary data: bytes before the fault.
    Byte(usize),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
            Self::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// One fault of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {fault}")]
pub struct DecodeError {
    /// Where it is.
    pub position: Position,
    /// What it is.
    pub(crate) fault: Fault,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A line starts with a comma.
    #[error("the measurement is missing")]
    MissingMeasurement,
    /// A tag without key, without value or with a bare `=` in its value.
    #[error("invalid tag format, expected `key=value` with neither side empty")]
    InvalidTag,
    /// The same tag key twice.
    #[error("tag `{0}` occurs twice")]
    DuplicateTag(Text),
    /// A line ends before its first field, or no field of it has a value.
    #[error("the point has no field")]
    NoFields,
    /// A field without key or without `=`.
    #[error("invalid field format, expected `key=value` with a key")]
    InvalidField,
    /// A field without value.
    #[error("the value is missing")]
    MissingValue,
    /// Neither number, truth value, text, binary nor array.
    #[error("`{0}` is not a value")]
    InvalidValue(Text),
    /// A number that does not follow the grammar or exceeds its type.
    #[error("`{0}` is not a number of its type")]
    InvalidNumber(Text),
    /// A text value without closing quote.
    #[error("the quoted text does not end")]
    UnterminatedText,
    /// Something other than a comma, a space or the end after a value.
    #[error("expected a comma, a space or the end of the line after a value")]
    UnexpectedText,
    /// Binary data that is empty or no base64.
    #[error("invalid base64 in a binary value")]
    InvalidBinary,
    /// An array with elements of several types.
    #[error("an array holds elements of one type only")]
    MixedArray,
    /// An array in an array.
    #[error("an array holds no arrays")]
    NestedArray,
    /// A time that is not an integer or that no 64-bit nanosecond count can hold.
    #[error("`{0}` is not a time")]
    InvalidTime(Text),
    /// Measurement, tags and a field key exceed what the line protocol allows.
    #[error("the line key exceeds {max} bytes", max = super::line_protocol::MAX_LINE_KEY)]
    LineKeyTooLong,
    /// The body is not a JSON array of points.
    #[error("{0}")]
    Json(String),
    /// Binary data ends inside a value.
    #[error("the data ends inside a value")]
    Truncated,
    /// A variable-length integer of more than 64 bits.
    #[error("an integer exceeds 64 bits")]
    InvalidVarint,
    /// A field number the format does not have.
    #[error("{0} is not a field number")]
    InvalidFieldNumber(u64),
    /// A field whose wire type contradicts the schema or is not in use any more.
    #[error("field {number} has the unexpected wire type {wire}")]
    UnexpectedWireType {
        /// The field number.
        number: u64,
        /// The wire type.
        wire: u8,
    },
    /// A field value of a message type this crate does not know.
    #[error("values of type `{0}` are not supported")]
    UnknownType(Text),
}

/// All faults of a body, at least one; the body is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeErrors {
    /// The first faults in the order of the body, at most [`DecodeErrors::KEPT`].
    pub errors: Vec<DecodeError>,
    /// How many more there are.
    pub(crate) omitted: usize,
}

impl DecodeErrors {
    /// How many faults are kept: a large body of another format must not grow a larger report.
    pub(crate) const KEPT: usize = 20;

    pub(crate) const fn new() -> Self {
        Self {
            errors: Vec::new(),
            omitted: 0,
        }
    }

    pub(crate) fn push(&mut self, error: DecodeError) {
        if self.errors.len() < Self::KEPT {
            self.errors.push(error);
        } else {
            self.omitted += 1;
        }
    }
}

impl From<DecodeError> for DecodeErrors {
    fn from(error: DecodeError) -> Self {
        Self {
            errors: vec![error],
            omitted: 0,
        }
    }
}

impl fmt::Display for DecodeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeErrors {}

/// A piece of input for an error message.
pub(crate) fn excerpt(text: &str) -> Text {
    const MAX: usize = 40;
    text.get(..text.floor_char_boundary(MAX))
        .unwrap_or(text)
        .into()
}
