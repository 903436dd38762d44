//! Which bytes the line protocol escapes where, and the fast ways past those that need nothing.

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
    let (words, rest) = name.as_chunks::<8>();
    let mut special = 0;
    for word in words {
        special |= specials(u64::from_le_bytes(*word));
    }
    for &byte in rest {
        special |= u64::from(byte <= b',' || byte == b'=');
    }
    special == 0
}

const fn specials(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const AT_MOST_COMMA: u64 = ONES * (b',' as u64 + 1);
    const EQUALS: u64 = ONES * b'=' as u64;
    let low = word.wrapping_sub(AT_MOST_COMMA) & !word;
    let difference = word ^ EQUALS;
    let equal = difference.wrapping_sub(ONES) & !difference;
    (low | equal) & HIGH
}

/// Appends the inside of a quoted text value.
pub(super) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    let mut from = 0;
    // An escaped byte opens the next run, so that each escape costs one copy, not two.
    while let Some(found) = rest
        .get(from..)
        .and_then(|tail| memchr::memchr2(b'"', b'\\', tail))
    {
        let (run, tail) = rest.split_at(from + found);
        out.extend_from_slice(run);
        out.push(b'\\');
        rest = tail;
        from = 1;
    }
    out.extend_from_slice(rest);
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
