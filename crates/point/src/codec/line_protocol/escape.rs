//! Which bytes the line protocol escapes where, and the fast ways past those that need nothing.

use crate::words::{self, HIGH, ONES, matching};

/// Where a name stands: it decides which bytes separate and so need a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Measurement,
    Tag,
    FieldKey,
}

const MEASUREMENT: u8 = 1;
const TAG: u8 = 2;
const FIELD_KEY: u8 = 4;

/// For each byte the places in which it takes a backslash.
static ESCAPED: [u8; 256] = {
    let mut table = [0; 256];
    table[b',' as usize] = MEASUREMENT | TAG | FIELD_KEY;
    table[b' ' as usize] = MEASUREMENT | TAG | FIELD_KEY;
    table[b'=' as usize] = TAG | FIELD_KEY;
    table[b'"' as usize] = FIELD_KEY;
    table
};

impl Place {
    const fn bit(self) -> u8 {
        match self {
            Self::Measurement => MEASUREMENT,
            Self::Tag => TAG,
            Self::FieldKey => FIELD_KEY,
        }
    }

    /// Whether `byte` takes a backslash here.
    pub(super) fn escapes(self, byte: u8) -> bool {
        ESCAPED.get(usize::from(byte)).copied().unwrap_or(0) & self.bit() != 0
    }
}

/// A name that no escape can save: it holds a line feed, ends in a backslash or is empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotOneLine;

/// Appends a measurement, key or tag value.
#[inline]
pub(super) fn push_name(out: &mut Vec<u8>, name: &[u8], place: Place) -> Result<(), NotOneLine> {
    if matches!(name.last(), None | Some(b'\\')) {
        return Err(NotOneLine);
    }
    if is_plain(name) {
        out.extend_from_slice(name);
        return Ok(());
    }
    push_escaped(out, name, place)
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, name: &[u8], place: Place) -> Result<(), NotOneLine> {
    for &byte in name {
        if byte == b'\n' {
            return Err(NotOneLine);
        }
        if place.escapes(byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    Ok(())
}

/// Whether no byte can matter in any place, eight bytes at a time. May say no for harmless names.
///
/// All escaped bytes and the line feed are at most `,`, but for `=`: a comparison and an equality test
/// stand in for six.
fn is_plain(name: &[u8]) -> bool {
    !words::any(name, |word| {
        let at_most_comma = word.wrapping_sub(ONES * (b',' as u64 + 1)) & !word;
        at_most_comma | matching(word, b'=')
    })
}

/// Appends the inside of a quoted text value.
pub(super) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let plain = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
    let (plain, rest) = text.split_at(plain);
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        push_quoted_rest(out, rest);
    }
}

/// Where one escape is, more follow (JSON in a text value has one every few bytes), and searching for
/// each costs more than copying word by word. Room for the worst case is made first, so that the loop
/// has nothing to grow. A word with marks is spread out byte by byte without a branch, and where the
/// next word lies depends on nothing but its number, so that the processor works on several at once.
fn push_quoted_rest(out: &mut Vec<u8>, rest: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * rest.len() + 16, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let (words, tail) = rest.as_chunks::<8>();
    let mut to = 0;
    for word in words {
        // Always there: a word becomes 16 bytes at most.
        let Some(target) = room.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<16>) else {
            break;
        };
        let marks = quotes(u64::from_le_bytes(*word)) >> 7;
        if marks == 0 {
            if let Some(target) = target.first_chunk_mut::<8>() {
                *target = *word;
            }
            to += 8;
            continue;
        }
        let mut length = 0;
        for (at, &byte) in word.iter().enumerate() {
            target[length & 15] = b'\\';
            length += (marks >> (8 * at)) as usize & 1;
            target[length & 15] = byte;
            length += 1;
        }
        to += length;
    }
    out.truncate(start + to);
    for &byte in tail {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Marks the quotes and backslashes of a word, and nothing else.
const fn quotes(word: u64) -> u64 {
    !(differing(word, b'"') & differing(word, b'\\')) & HIGH
}

/// Sets the high bit of the bytes other than `byte`.
const fn differing(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    (difference & !HIGH).wrapping_add(!HIGH) | difference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, place: Place) -> Result<String, NotOneLine> {
        let mut out = Vec::new();
        push_name(&mut out, text.as_bytes(), place)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_place_escapes_its_separators() {
        let text = "a,b c=d\"e\\f\tg";
        assert_eq!(
            name(text, Place::Measurement).unwrap(),
            "a\\,b\\ c=d\"e\\f\tg"
        );
        assert_eq!(name(text, Place::Tag).unwrap(), "a\\,b\\ c\\=d\"e\\f\tg");
        assert_eq!(
            name(text, Place::FieldKey).unwrap(),
            "a\\,b\\ c\\=d\\\"e\\f\tg"
        );
        for text in ["", "a\\", "a\nb"] {
            assert_eq!(name(text, Place::Tag), Err(NotOneLine));
        }
    }

    #[test]
    fn the_fast_way_agrees_with_the_table_for_every_byte_anywhere() {
        for byte in 0..=255u8 {
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    let matters = byte == b'\n' || Place::FieldKey.escapes(byte);
                    assert!(!(matters && is_plain(&bytes)), "{bytes:?}");
                    if byte > b',' && byte != b'=' {
                        assert!(is_plain(&bytes), "{bytes:?}");
                    }
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn text_agrees_with_replacing(text in "[a\"\\\\é\u{a2}\u{dc}\n]{0,60}") {
            let mut out = Vec::new();
            push_text(&mut out, text.as_bytes());
            let expected = text.replace('\\', "\\\\").replace('"', "\\\"");
            proptest::prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn text_escapes_quotes_and_backslashes() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("\"", "\\\""),
            ("\\\"a\\\\b\"", "\\\\\\\"a\\\\\\\\b\\\""),
            ("é\n\"", "é\n\\\""),
        ] {
            let mut out = Vec::new();
            push_text(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
