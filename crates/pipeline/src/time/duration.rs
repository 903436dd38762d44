//! Durations as texts, and the units that whole numbers of time are counted in.

use std::str::FromStr;

/// A unit in which scripts count time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// `s`
    Seconds,
    /// `ms`
    Millis,
    /// `us`
    Micros,
    /// `ns`
    Nanos,
}

/// A text that names no unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown unit of time, expected `s`, `ms`, `us` or `ns`")]
pub(crate) struct UnknownUnit;

impl TimeUnit {
    /// Nanoseconds in one of this unit.
    #[must_use]
    pub(crate) const fn nanos(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    /// Converts a count of this unit into `other`, cutting fractions; `None` on overflow.
    #[must_use]
    pub(crate) const fn convert(self, count: i64, other: Self) -> Option<i64> {
        let (from, to) = (self.nanos(), other.nanos());
        if from >= to {
            count.checked_mul(from / to)
        } else {
            Some(count / (to / from))
        }
    }
}

impl FromStr for TimeUnit {
    type Err = UnknownUnit;

    /// Accepts `s`, `ms`, `us` and `ns` in exactly this spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Millis),
            "us" => Ok(Self::Micros),
            "ns" => Ok(Self::Nanos),
            _ => Err(UnknownUnit),
        }
    }
}

/// The nanoseconds of a text such as `1h30m`, `-1.5ms` or `0`: an optional sign, then numbers with
/// an optional fraction, each directly followed by `ns`, `us`, `µs`, `ms`, `s`, `m` or `h`.
/// Fractions of a nanosecond are cut. `None` for any other text and outside the range of `i64`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    // Magnitudes add up in 128 bits, so that the smallest `i64` is reached.
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, after) = split_unit(after)?;
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().ok()?.into()
        };
        total += whole * unit + fraction_of(fraction, unit);
        if total > 1 << 63 {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Splits a unit off the front and gives its nanoseconds.
fn split_unit(text: &str) -> Option<(i128, &str)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS
        .iter()
        .find_map(|(name, nanos)| Some((*nanos, text.strip_prefix(name)?)))
}

/// `0.digits` of a unit in whole nanoseconds. Digits beyond the 18th cannot matter: a unit has
/// less than 10^13 nanoseconds.
fn fraction_of(digits: &str, unit: i128) -> i128 {
    let (mut value, mut scale) = (0i128, 1i128);
    for digit in digits.bytes().take(18) {
        value = value * 10 + i128::from(digit - b'0');
        scale *= 10;
    }
    value * unit / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("1h30m", 5_400_000_000_000),
            ("1.5ms", 1_500_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-2m", -120_000_000_000),
            ("+3us", 3_000),
            ("3\u{b5}s4\u{3bc}s", 7_000),
            ("1s1h1s", 3_602_000_000_000),
            ("1.9ns", 1),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("-9223372036.854775808s", i64::MIN),
        ] {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        for text in [
            "",
            "-",
            "+",
            "1",
            "1d",
            "1w",
            "1 s",
            " 1s",
            "1s ",
            "1e3s",
            "--1s",
            "1h-1m",
            ".",
            ".s",
            "1S",
            "9223372036854775808ns",
            "3000000h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn conversions_cut_and_refuse_to_wrap() {
        assert_eq!(TimeUnit::Millis.convert(-1999, TimeUnit::Seconds), Some(-1));
        assert_eq!(
            TimeUnit::Seconds.convert(7, TimeUnit::Nanos),
            Some(7_000_000_000)
        );
        assert_eq!(TimeUnit::Seconds.convert(i64::MAX, TimeUnit::Millis), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,24}") {
            std::hint::black_box(parse_duration(&text));
        }

        #[test]
        fn whole_nanoseconds_come_back(nanos in 0..=i64::MAX) {
            prop_assert_eq!(parse_duration(&format!("{nanos}ns")), Some(nanos));
        }
    }
}
