//! The unit of timestamps in a body.

/// The unit timestamps count in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// `n`.
    #[default]
    Nanoseconds,
    /// `u`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
    /// `m`.
    Minutes,
    /// `h`.
    Hours,
}

impl Precision {
    /// The unit a `precision` query argument names; anything unknown means nanoseconds, as receivers
    /// of the write interface read it.
    #[must_use]
    pub fn from_query(text: &str) -> Self {
        match text {
            "u" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => Self::Nanoseconds,
        }
    }

    /// The `precision` query argument for this unit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nanoseconds => "n",
            Self::Microseconds => "u",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
        }
    }

    /// The unit a time most likely counts in, judged by its size as receivers judge it: ten units of
    /// the next coarser one separate two units, and negative times count seconds.
    #[must_use]
    pub const fn guess(time: i64) -> Self {
        if time / 1_000_000_000 < 10 {
            Self::Seconds
        } else if time / 1_000_000_000_000 < 10 {
            Self::Milliseconds
        } else if time / 1_000_000_000_000_000 < 10 {
            Self::Microseconds
        } else {
            Self::Nanoseconds
        }
    }

    /// `time` in nanoseconds, or none if 64 bits cannot hold it.
    #[must_use]
    pub const fn to_ns(self, time: i64) -> Option<i64> {
        time.checked_mul(match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names_and_lengths() {
        for (unit, name, ns) in [
            (Precision::Nanoseconds, "n", 1),
            (Precision::Microseconds, "u", 1_000),
            (Precision::Milliseconds, "ms", 1_000_000),
            (Precision::Seconds, "s", 1_000_000_000),
            (Precision::Minutes, "m", 60_000_000_000),
            (Precision::Hours, "h", 3_600_000_000_000),
        ] {
            assert_eq!(Precision::from_query(name), unit);
            assert_eq!(unit.as_str(), name);
            assert_eq!(unit.to_ns(2), Some(2 * ns));
        }
        assert_eq!(Precision::from_query("week"), Precision::Nanoseconds);
        assert_eq!(Precision::Hours.to_ns(i64::MAX), None);
    }

    #[test]
    fn the_size_of_a_time_tells_its_unit() {
        assert_eq!(Precision::guess(1_700_000_000), Precision::Seconds);
        assert_eq!(Precision::guess(9_999_999_999), Precision::Seconds);
        assert_eq!(Precision::guess(10_000_000_000), Precision::Milliseconds);
        assert_eq!(Precision::guess(1_700_000_000_000), Precision::Milliseconds);
        assert_eq!(
            Precision::guess(1_700_000_000_000_000),
            Precision::Microseconds
        );
        assert_eq!(
            Precision::guess(1_700_000_000_000_000_000),
            Precision::Nanoseconds
        );
        assert_eq!(Precision::guess(1), Precision::Seconds);
        assert_eq!(Precision::guess(-1), Precision::Seconds);
    }
}
