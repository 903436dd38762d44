//! Numbers and truth values out of text, by the one set of rules that captures and casts share.

/// A decimal float: optional sign, digits, fraction and exponent, or `inf`, `infinity`, `nan` in any case.
/// Nothing around it, and no number too large for a float.
pub(crate) fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    (value.is_finite() || !has_digits).then_some(value)
}

/// Whether the text is one of the spellings of true.
pub(crate) fn truth(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (text, value) in [
            ("5.", 5.0),
            (".5", 0.5),
            ("1e-3", 1e-3),
            ("+7", 7.0),
            ("-0031", -31.0),
        ] {
            assert_eq!(float(text), Some(value), "{text}");
        }
        assert_eq!(float("Infinity"), Some(f64::INFINITY));
        assert!(float("NaN").is_some_and(f64::is_nan));
        for text in ["", " 1", "1 ", "0x10", "1_0", "1e400", "abc", ".", "1e"] {
            assert_eq!(float(text), None, "{text}");
        }
    }
}
