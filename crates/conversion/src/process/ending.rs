//! How a record ends that a rule takes before anything is made of it.

use std::fmt;

use crate::parse::{Form, SplitError, TranscodeError};
use kafkamq_record::Outcome;

/// The end of a record as a whole.
#[derive(Debug)]
pub enum Ending<'a> {
    /// It has no value, and such are skipped or buried.
    NoValue {
        /// Whether it goes to the dead letters.
        buried: bool,
    },
    /// Its value is empty, and such are skipped or buried.
    EmptyValue {
        /// Whether it goes to the dead letters.
        buried: bool,
    },
    /// Its value is larger than `limits.record_bytes`.
    TooLarge {
        /// The length of the value.
        bytes: usize,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Sampling leaves it out.
    Sampled,
    /// Its first bytes do not pass the header check.
    HeaderRejected,
    /// The destination has no use for it.
    Acknowledged,
    /// There is nothing to convert.
    NothingToConvert,
    /// It cannot be converted.
    Unconvertible(&'a TranscodeError),
    /// There is no address for what it was converted to.
    NoAddress(Form),
    /// It cannot be split.
    Unsplittable(&'a SplitError),
}

impl Ending<'_> {
    /// What is counted; `None` where the record goes to the dead letters.
    #[inline]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::NoValue { buried: false }
            | Self::EmptyValue { buried: false }
            | Self::NothingToConvert => Some(Outcome::SkippedEmpty),
            Self::Sampled => Some(Outcome::Sampled),
            Self::HeaderRejected => Some(Outcome::HeaderRejected),
            Self::Acknowledged => Some(Outcome::Acknowledged),
            Self::NoValue { buried: true }
            | Self::EmptyValue { buried: true }
            | Self::TooLarge { .. }
            | Self::Unconvertible(_)
            | Self::NoAddress(_)
            | Self::Unsplittable(_) => None,
        }
    }

    /// The stage that a dead letter names.
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Unconvertible(_) | Self::NoAddress(_) => "transcode",
            Self::Unsplittable(_) => "split",
            _ => "admission",
        }
    }
}

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue { .. } => f.write_str("the record has no value"),
            Self::EmptyValue { .. } => f.write_str("the value is empty"),
            Self::TooLarge { .. } => f.write_str("the record is larger than the limit"),
            Self::Sampled => f.write_str("sampling leaves it out"),
            Self::HeaderRejected => f.write_str("its first bytes do not pass the header check"),
            Self::Acknowledged => f.write_str("the destination has no use for these records"),
            Self::NothingToConvert => f.write_str("there is nothing to convert"),
            Self::Unconvertible(error) => error.fmt(f),
            Self::NoAddress(form) => write!(f, "no address for {form:?}"),
            Self::Unsplittable(error) => error.fmt(f),
        }
    }
}
