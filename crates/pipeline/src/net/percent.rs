//! Percent encoding.

/// An escape that is not `%` and two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid percent escape at byte {0}")]
pub(crate) struct BadEscape(pub(crate) usize);

/// Decodes one level of query encoding: `+` is a blank, `%HH` a byte, the rest stands for itself.
///
/// # Errors
/// If a `%` is not followed by two hexadecimal digits.
pub(crate) fn decode_query(text: &str) -> Result<Vec<u8>, BadEscape> {
    decode(text, true)
}

/// Decodes one level of path encoding, in which `+` stands for itself.
pub(super) fn decode_path(text: &str) -> Result<Vec<u8>, BadEscape> {
    decode(text, false)
}

fn decode(text: &str, plus: bool) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'%' => {
                let bad = BadEscape(text.len() - tail.len() - 1);
                let [high, low, after @ ..] = tail else {
                    return Err(bad);
                };
                out.push(
                    hex(*high)
                        .zip(hex(*low))
                        .map(|(h, l)| h << 4 | l)
                        .ok_or(bad)?,
                );
                rest = after;
            }
            b'+' if plus => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    Ok(out)
}

pub(super) fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level() {
        assert_eq!(
            decode_query("a+b%20%252B%E4%BD").unwrap(),
            b"a b %2B\xE4\xBD"
        );
        assert_eq!(decode_path("a+b%2F").unwrap(), b"a+b/");
        for (text, at) in [("%", 0), ("a%4", 1), ("a%%41", 1), ("%zz", 0), ("%é", 0)] {
            assert_eq!(decode_query(text), Err(BadEscape(at)), "{text}");
        }
    }
}
