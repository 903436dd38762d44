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
    /// The unit a time most likely counts in, judged by its size as receivers judge it: ten units of
    /// the next coarser one separate two units, and negative times count seconds.
    #[must_use]
    pub(crate) const fn guess(time: i64) -> Self {
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
    pub(crate) const fn to_ns(self, time: i64) -> Option<i64> {
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
    fn units_have_lengths() {
        for (unit, ns) in [
            (Precision::Nanoseconds, 1),
            (Precision::Microseconds, 1_000),
            (Precision::Milliseconds, 1_000_000),
            (Precision::Seconds, 1_000_000_000),
            (Precision::Minutes, 60_000_000_000),
            (Precision::Hours, 3_600_000_000_000),
        ] {
            assert_eq!(unit.to_ns(2), Some(2 * ns));
        }
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
