//! Numbers as text: the canonical spelling of floats that scripts, tags and the line protocol share.

use crate::{NEGATIVE_INFINITY, POSITIVE_INFINITY};

/// Appends the shortest decimal text that reads back as the same float, never with an exponent and
/// without a trailing `.0`: `1`, `0.1`, `1000000000000000000000`, `0.0000001`, `-0`.
///
/// Not-a-number becomes `NaN`, the infinities `inf` and `-inf`; the encoders never pass them.
pub(crate) fn push_float(out: &mut Vec<u8>, number: f64) {
    // Integral floats are common in metrics and much cheaper as integers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
    let integral = if number.abs() < EXACT {
        number as i64
    } else {
        0
    };
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
    if integral != 0 && integral as f64 == number {
        push_int(out, integral);
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(number);
    let text = text.strip_suffix(".0").unwrap_or(text);
    match text.split_once('e') {
        None => out.extend_from_slice(text.as_bytes()),
        Some((mantissa, exponent)) => push_expanded(out, mantissa, exponent),
    }
}

/// `number`, with the infinities replaced by the bounds that stand in for them on the wire.
#[must_use]
pub(crate) const fn finite(number: f64) -> f64 {
    if number == f64::INFINITY {
        POSITIVE_INFINITY
    } else if number == f64::NEG_INFINITY {
        NEGATIVE_INFINITY
    } else {
        number
    }
}

/// Appends the decimal digits of an integer.
pub(crate) fn push_int(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn push_expanded(out: &mut Vec<u8>, mantissa: &str, exponent: &str) {
    let mantissa = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => mantissa,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Exponents of floats have three digits at most.
    let exponent: isize = exponent.parse().unwrap_or(0);
    let digits = || whole.bytes().chain(fraction.bytes());
    let point = whole.len().saturating_add_signed(exponent);
    if exponent < 0 && exponent.unsigned_abs() >= whole.len() {
        out.extend_from_slice(b"0.");
        let zeros = exponent.unsigned_abs() - whole.len();
        out.extend(std::iter::repeat_n(b'0', zeros));
        out.extend(digits());
    } else {
        let length = whole.len() + fraction.len();
        out.extend(digits().take(point));
        out.extend(std::iter::repeat_n(b'0', point.saturating_sub(length)));
        if point < length {
            out.push(b'.');
            out.extend(digits().skip(point));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(number: f64) -> String {
        let mut out = Vec::new();
        push_float(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_plain_and_shortest() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (-1.25e-9, "-0.00000000125"),
            (1.5e20, "150000000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (18_446_744_073_709_551_615.0, "18446744073709552000"),
            (123_456.789, "123456.789"),
        ] {
            assert_eq!(text(number), expected);
        }
        assert_eq!(text(f64::MAX).len(), 309);
    }

    proptest! {
        #[test]
        fn every_finite_float_reads_back(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = text(number);
            prop_assert!(!text.contains(['e', 'E']));
            // The standard library's plain form is an independent oracle; of two texts that are equally
            // short and equally near, the two may choose differently in the last digit.
            prop_assert_eq!(text.len(), format!("{number}").len());
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
