//! What makes each element of the load known again: its number and the time it was made at.
//!
//! A token is plain ASCII of fixed length, `kq1.` with ten digits, a dot, and sixteen digits of
//! microseconds since the Unix epoch, so it survives scripts, escaping and encodings unchanged and
//! is found without decoding what is around it.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem;

const MARK: &[u8] = b"kq1.";
const SEQUENCE_DIGITS: usize = 10;
const MICROS_DIGITS: usize = 16;

/// Number and time of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) sequence: u64,
    pub(super) micros: u64,
}

impl Token {
    /// Appends the token's text.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let Self { sequence, micros } = self;
        // Writing to a vector cannot fail.
        let _written = write!(out, "kq1.{sequence:010}.{micros:016}");
    }

    /// All tokens in `body`.
    pub(super) fn all(body: &[u8]) -> impl Iterator<Item = Self> {
        memmem::find_iter(body, MARK).filter_map(|at| {
            let text = body.get(at + MARK.len()..)?;
            let (sequence, text) = text.split_at_checked(SEQUENCE_DIGITS)?;
            let micros = text.strip_prefix(b".")?.get(..MICROS_DIGITS)?;
            Some(Self {
                sequence: number(sequence)?,
                micros: number(micros)?,
            })
        })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Microseconds since the Unix epoch.
pub(super) fn now_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_any_surroundings() {
        let tokens = [(0, 1), (9_999_999_999, 1_795_000_000_000_000)]
            .map(|(sequence, micros)| Token { sequence, micros });
        let mut body = b"kq1.\"".to_vec();
        for token in tokens {
            token.write(&mut body);
            body.extend_from_slice(b"\\\",kq1.12.");
        }
        assert_eq!(Token::all(&body).collect::<Vec<_>>(), tokens);
    }
}
