//! Base64 behind two functions, so that the crate that does it can be replaced in one place.

use base64_simd::{Base64, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Appends the standard, padded form.
pub(super) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    use base64_simd::AsOut as _;
    let start = out.len();
    out.resize(start + STANDARD.encoded_length(bytes.len()), 0);
    if let Some(room) = out.get_mut(start..) {
        let written = STANDARD.encode(bytes, room.as_out()).len();
        out.truncate(start + written);
    }
}

/// Reads the standard, padded form.
pub(super) fn decode(text: &[u8]) -> Option<Box<[u8]>> {
    with(&STANDARD, text)
}

/// Reads either alphabet with or without padding, as JSON readers of protobuf messages have to.
pub(super) fn decode_any(text: &[u8]) -> Option<Box<[u8]>> {
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|variant| with(variant, text))
}

fn with(variant: &Base64, text: &[u8]) -> Option<Box<[u8]>> {
    variant.decode_to_vec(text).ok().map(Vec::into_boxed_slice)
}
