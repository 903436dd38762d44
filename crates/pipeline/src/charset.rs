//! Text in other encodings.

use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

/// The encoding of this name, lower case.
pub(crate) fn named(name: &str) -> Option<&'static Encoding> {
    Some(match name {
        "gbk" => GBK,
        "gb18030" => GB18030,
        "utf-16le" => UTF_16LE,
        "utf-16be" => UTF_16BE,
        "utf-8" => UTF_8,
        _ => return None,
    })
}

/// The bytes as text; what is malformed becomes U+FFFD, a byte order mark stays.
pub(crate) fn decode(bytes: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let text = |bytes: &[u8], name| decode(bytes, named(name).unwrap());
        assert_eq!(text(b"\xb2\xe2\xca\xd4", "gbk"), "测试");
        assert_eq!(text(b"\x80", "gbk"), "€");
        assert_eq!(text(b"\x81\x30\x81\x30", "gb18030"), "\u{80}");
        assert_eq!(text(b"\xff\xfeA\0", "utf-16le"), "\u{feff}A");
        assert_eq!(text(b"\0A\x4e", "utf-16be"), "A\u{fffd}");
        assert_eq!(text(b"a\xff", "utf-8"), "a\u{fffd}");
        assert!(named("GBK").is_none());
    }
}
