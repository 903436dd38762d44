//! Looking for bytes in short texts, a word of eight at a time.

/// Every byte one.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// Every byte's highest bit.
pub(crate) const HIGH: u64 = ONES << 7;

/// Whether `marks` sets the highest bit of any byte for a word of the text. It is asked about words that
/// together hold all bytes of the text, some of them twice, and no others. False for no text.
#[inline]
pub(crate) fn any(text: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    let found = match (text.last_chunk::<8>(), text) {
        (Some(last), _) => {
            let (words, _) = text.as_chunks::<8>();
            let found = words.iter().map(|word| marks(u64::from_le_bytes(*word)));
            found.fold(marks(u64::from_le_bytes(*last)), |all, one| all | one)
        }
        (None, []) => 0,
        (None, [first, ..]) => marks(match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => {
                let word = ONES * u64::from(*first);
                text.iter()
                    .fold(word, |word, &byte| word << 8 | u64::from(byte))
            }
        }),
    };
    found & HIGH != 0
}

/// Sets the highest bit of the lowest byte that equals `byte`; bits above it mean nothing.
pub(crate) const fn matching(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_seen_and_no_other() {
        for length in 0..30 {
            let mut text = vec![b'x'; length];
            assert!(!any(&text, |word| matching(word, b'\n') | matching(word, 0)));
            for at in 0..length {
                text[at] = b'\n';
                assert!(any(&text, |word| matching(word, b'\n')), "{at} of {length}");
                text[at] = b'x';
            }
        }
    }
}
