//! The numbers of JSON texts.

/// Decimal digits that a float holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;

/// Powers of ten that a float holds exactly, as many as exact digits can be behind the point.
const POWERS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The float of a number's text; `None` beyond the range of floats.
pub(super) fn float(text: &str) -> Option<f64> {
    match short(text.as_bytes()) {
        Some(value) => Some(value),
        None => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// A number as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Float(f64),
    /// A whole number beyond those that floats hold exactly.
    Int(i64),
}

/// The largest whole number up to which a float holds every one.
const EXACT: u64 = 1 << 53;

/// The number of a valid text: a float, or where a float would lose digits of a whole number and an
/// `i64` does not, that.
#[inline]
pub(super) fn number(text: &str) -> Number {
    match short(text.as_bytes()) {
        Some(value) => Number::Float(value),
        None => long(text),
    }
}

#[cold]
#[inline(never)]
fn long(text: &str) -> Number {
    let whole = || {
        text.parse::<i64>()
            .ok()
            .filter(|whole| whole.unsigned_abs() > EXACT)
    };
    match whole() {
        Some(whole) => Number::Int(whole),
        None => Number::Float(float(text).unwrap_or(f64::NAN)),
    }
}

/// The float of a number of few digits without an exponent: digits and power of ten are both exact
/// then, and so their quotient is rounded once, as it has to be.
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    if digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let mut whole = 0u64;
    let mut point = digits.len();
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            b'.' => point = at + 1,
            _ => return None,
        }
    }
    let fraction = digits.len() - point;
    if fraction == 0 && digits.len() > EXACT_DIGITS {
        return None;
    }
    let value = whole as f64 / POWERS.get(fraction)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_numbers_and_exponents_take_the_general_way() {
        for (text, value) in [
            ("-0", -0.0),
            ("12.75", 12.75),
            ("999999999999999", 999_999_999_999_999.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("0.30000000000000004", 0.300_000_000_000_000_04),
            ("1e3", 1000.0),
            ("2.5E-1", 0.25),
        ] {
            assert_eq!(float(text).map(f64::to_bits), Some(f64::to_bits(value)));
        }
        assert_eq!(float("1e400"), None);
    }

    #[test]
    fn whole_numbers_beyond_floats_stay_exact() {
        for (text, value) in [
            ("9007199254740992", Number::Float(9_007_199_254_740_992.0)),
            ("9007199254740993", Number::Int(9_007_199_254_740_993)),
            ("-9007199254740993", Number::Int(-9_007_199_254_740_993)),
            ("9223372036854775807", Number::Int(i64::MAX)),
            ("-9223372036854775808", Number::Int(i64::MIN)),
            (
                "9223372036854775808",
                Number::Float(9_223_372_036_854_775_808.0),
            ),
            ("9007199254740993.0", Number::Float(9_007_199_254_740_992.0)),
            ("1e18", Number::Float(1e18)),
            ("12", Number::Float(12.0)),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_general_one(text in "-?(0|[1-9][0-9]{0,16})(\\.[0-9]{1,16})?") {
            let general: f64 = text.parse().unwrap();
            prop_assert_eq!(float(&text).map(f64::to_bits), Some(general.to_bits()));
        }
    }
}
