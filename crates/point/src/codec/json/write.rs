//! Points to JSON objects.

use crate::codec::base64;
use crate::codec::error::EncodeError;
use crate::number::{finite, push_int};
use crate::{Point, Value};

/// Appends one point as a simple JSON object.
///
/// Fields holding nil or not-a-number are left out, infinities become the bounds the construction rules
/// give them, and binary values their base64 text. Readers of this form take every number as a float;
/// `encode_pb` keeps all types.
///
/// # Errors
/// No field is left; `out` is then as it was.
pub fn encode(point: &Point, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(b"{\"measurement\":");
    push_text(out, point.name());
    let mut opening: &[u8] = b",\"tags\":{";
    for (key, text) in point.tags() {
        out.extend_from_slice(opening);
        opening = b",";
        push_text(out, key);
        out.push(b':');
        push_text(out, text);
    }
    if opening == b"," {
        out.push(b'}');
    }
    opening = b",\"fields\":{";
    for (key, value) in point.fields().filter(|(_, value)| is_written(value)) {
        out.extend_from_slice(opening);
        opening = b",";
        push_text(out, key);
        out.push(b':');
        push_value(out, value);
    }
    if opening != b"," {
        return refuse(point, out, start);
    }
    out.extend_from_slice(b"},\"time\":");
    push_int(out, point.time_ns());
    out.push(b'}');
    Ok(())
}

/// Appends one point in the JSON form of its protobuf message. Fields holding nil are left out; arrays
/// that are not of one type become their JSON text.
///
/// # Errors
/// No field is left; `out` is then as it was.
pub(crate) fn encode_pb(point: &Point, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(b"{\"name\":");
    push_text(out, point.name());
    let mut opening: &[u8] = b",\"fields\":[{\"key\":";
    let mut fields = 0;
    for entry in point.entries().iter().filter(|entry| !entry.value.is_nil()) {
        out.extend_from_slice(opening);
        opening = b",{\"key\":";
        push_text(out, &entry.key);
        out.push(b',');
        push_pb_value(out, &entry.value);
        if entry.tag {
            out.extend_from_slice(b",\"is_tag\":true");
        } else {
            fields += 1;
        }
        out.push(b'}');
    }
    if fields == 0 {
        return refuse(point, out, start);
    }
    out.extend_from_slice(b"],\"time\":\"");
    push_int(out, point.time_ns());
    out.extend_from_slice(b"\"}");
    Ok(())
}

fn refuse(point: &Point, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
    out.truncate(start);
    Err(EncodeError::NoFields {
        name: point.name().into(),
    })
}

fn is_written(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Float(number) => !number.is_nan(),
        _ => true,
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Int(number) => push_int(out, *number),
        Value::Uint(number) => push_int(out, *number),
        Value::Float(number) if number.is_nan() => out.extend_from_slice(b"null"),
        Value::Float(number) => push_number(out, finite(*number)),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Str(text) => push_text(out, text),
        Value::Bytes(bytes) => push_binary(out, bytes),
        Value::Array(values) => push_array(out, values),
    }
}

/// One of the alternatives of a value: its name and its text.
fn push_pb_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => {}
        Value::Int(number) => {
            out.extend_from_slice(b"\"i\":\"");
            push_int(out, *number);
            out.push(b'"');
        }
        Value::Uint(number) => {
            out.extend_from_slice(b"\"u\":\"");
            push_int(out, *number);
            out.push(b'"');
        }
        Value::Float(number) => {
            out.extend_from_slice(b"\"f\":");
            push_pb_float(out, *number);
        }
        Value::Bool(true) => out.extend_from_slice(b"\"b\":true"),
        Value::Bool(false) => out.extend_from_slice(b"\"b\":false"),
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"\"d\":");
            push_binary(out, bytes);
        }
        Value::Str(text) => {
            out.extend_from_slice(b"\"s\":");
            push_text(out, text);
        }
        Value::Array(values) if Value::is_uniform(values) => {
            out.extend_from_slice(
                b"\"a\":{\"@type\":\"type.googleapis.com/point.Array\",\"arr\":[",
            );
            for (at, value) in values.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
                push_pb_value(out, value);
                out.push(b'}');
            }
            out.extend_from_slice(b"]}");
        }
        Value::Array(values) => {
            let mut text = Vec::new();
            push_array(&mut text, values);
            out.extend_from_slice(b"\"s\":\"");
            push_escaped(out, &text);
            out.push(b'"');
        }
    }
}

/// The JSON form of protobuf names what numbers in JSON cannot say.
fn push_pb_float(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number == f64::INFINITY {
        out.extend_from_slice(b"\"Infinity\"");
    } else if number == f64::NEG_INFINITY {
        out.extend_from_slice(b"\"-Infinity\"");
    } else {
        push_number(out, number);
    }
}

/// Shortest text, with `.0` or an exponent where it needs one, so that it stays a float for readers
/// that tell the two apart.
fn push_number(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
}

fn push_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    base64::push(out, bytes);
    out.push(b'"');
}

/// Appends values of any types as a JSON array.
pub(crate) fn push_array(out: &mut Vec<u8>, values: &[Value]) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_value(out, value);
    }
    out.push(b']');
}

/// Appends text as a JSON string with its quotes.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// What follows the backslash for each byte that needs one; `u` is the long form, zero needs none.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some((at, byte)) = first_escaped(rest) {
        let (run, tail) = rest.split_at(at);
        out.extend_from_slice(run);
        match ESCAPES.get(usize::from(byte)) {
            Some(b'u') => {
                let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
            Some(&letter) => out.extend_from_slice(&[b'\\', letter]),
            None => {}
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The first byte that needs an escape, looked for eight bytes at a time.
fn first_escaped(text: &[u8]) -> Option<(usize, u8)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zeros(word ^ (ONES * b'"' as u64));
        let backslash = zeros(word ^ (ONES * b'\\' as u64));
        // The lowest hit is exact; borrows make false ones above it only.
        let hits = (control | quote | backslash) & HIGH;
        if hits != 0 {
            let byte = hits.trailing_zeros() / 8;
            let found = word >> (8 * byte) & 0xff;
            return Some((at * 8 + byte as usize, u8::try_from(found).unwrap_or(0)));
        }
    }
    let tail = text.len() - rest.len();
    rest.iter()
        .position(|&byte| ESCAPES.get(usize::from(byte)).is_some_and(|&e| e != 0))
        .and_then(|at| Some((tail + at, *rest.get(at)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Category;
    use proptest::prelude::*;

    fn sample() -> Point {
        let mut point = Point::new("cpu", Category::Metric, 1_700_000_000_000_000_000);
        point.set_tag("host", "a\"b");
        point.set_field("i", -1i64);
        point.set_field("u", u64::MAX);
        point.set_field("f", 0.5);
        point.set_field("whole", 3.0);
        point.set_field("b", true);
        point.set_field("s", "é\n\u{1}");
        point.set_field("d", Value::Bytes(Box::new([0, 255])));
        point.set_field("a", Value::Array(Box::new([1i64.into(), 2i64.into()])));
        point.set_field("mixed", Value::Array(Box::new([1i64.into(), "x".into()])));
        point.set_field("nil", Value::Nil);
        point.set_field("inf", f64::INFINITY);
        point.set_field("nan", f64::NAN);
        point
    }

    fn text(encode: impl Fn(&Point, &mut Vec<u8>) -> Result<(), EncodeError>) -> String {
        let mut out = Vec::new();
        encode(&sample(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_forms_hold_every_type() {
        insta::assert_snapshot!(text(encode), @r#"{"measurement":"cpu","tags":{"host":"a\"b"},"fields":{"i":-1,"u":18446744073709551615,"f":0.5,"whole":3.0,"b":true,"s":"é\n\u0001","d":"AP8=","a":[1,2],"mixed":[1,"x"],"inf":1.8446744073709552e+19},"time":1700000000000000000}"#);
        insta::assert_snapshot!(text(encode_pb), @r#"{"name":"cpu","fields":[{"key":"host","s":"a\"b","is_tag":true},{"key":"i","i":"-1"},{"key":"u","u":"18446744073709551615"},{"key":"f","f":0.5},{"key":"whole","f":3.0},{"key":"b","b":true},{"key":"s","s":"é\n\u0001"},{"key":"d","d":"AP8="},{"key":"a","a":{"@type":"type.googleapis.com/point.Array","arr":[{"i":"1"},{"i":"2"}]}},{"key":"mixed","s":"[1,\"x\"]"},{"key":"inf","f":"Infinity"},{"key":"nan","f":"NaN"}],"time":"1700000000000000000"}"#);
    }

    #[test]
    fn a_point_without_fields_is_refused() {
        let mut point = Point::new("cpu", Category::Metric, 1);
        point.set_tag("host", "a");
        point.set_field("nil", Value::Nil);
        for encode in [encode, encode_pb] {
            let mut out = b"before".to_vec();
            assert!(encode(&point, &mut out).is_err());
            assert_eq!(out, b"before");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text: String) {
            let mut out = Vec::new();
            push_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
