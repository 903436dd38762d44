//! Points to lines.

use smallvec::SmallVec;

use super::MAX_LINE_KEY;
use super::escape::{NotOneLine, Place, push_name, push_text};
use crate::codec::error::EncodeError;
use crate::codec::{base64, json};
use crate::number::{finite, push_float, push_int};
use crate::point::Entry;
use crate::rules::one_line;
use crate::{Point, Rules, Text, Value};

/// Corrects what a line cannot say and cuts nothing.
const WRITABLE: Rules = Rules {
    max_name: usize::MAX,
    max_key: usize::MAX,
    max_tag_value: usize::MAX,
    max_field_value: usize::MAX,
    max_fields: usize::MAX,
    max_tags: usize::MAX,
    ..*Rules::limits()
};

/// Appends one point as a line without its line feed: tags, then fields, each sorted by key, then the
/// time in nanoseconds.
///
/// Left out are tags with an empty value and fields holding nil, an empty array, empty binary data or
/// not-a-number: the format has no text for them that receivers take. Infinities become the bounds the
/// construction rules give them; arrays that are not of one type become their JSON text. Line feeds and
/// trailing backslashes in keys, tag values and the measurement, which a script may have put there, are
/// corrected as those rules do.
///
/// # Errors
/// No field is left, or the line key exceeds `MAX_LINE_KEY`; `out` is then as it was.
pub fn encode(point: &Point, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let result = match write(point, out) {
        Err(Refusal::NotOneLine) => {
            out.truncate(start);
            write(&writable(point), out)
        }
        result => result,
    };
    result.map_err(|refusal| {
        out.truncate(start);
        let name = Text::from(point.name());
        match refusal {
            Refusal::LineKeyTooLong(length) => EncodeError::LineKeyTooLong { name, length },
            // `writable` leaves nothing that a second attempt refuses for its shape.
            Refusal::NoFields | Refusal::NotOneLine => EncodeError::NoFields { name },
        }
    })
}

enum Refusal {
    NotOneLine,
    NoFields,
    LineKeyTooLong(usize),
}

impl From<NotOneLine> for Refusal {
    fn from(_: NotOneLine) -> Self {
        Self::NotOneLine
    }
}

#[cold]
fn writable(point: &Point) -> Point {
    let mut point = point.clone();
    let name = one_line(point.name());
    // As first byte these would make the line a comment or be skipped.
    let name = match name.strip_prefix(['#', '\t', '\0']) {
        Some(rest) => Text::from_iter(["_", rest]),
        None => name,
    };
    point.set_name(name);
    WRITABLE.apply(&mut point);
    point
}

fn write(point: &Point, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    let name = point.name().as_bytes();
    if matches!(name.first(), Some(b'#' | b'\t' | b'\0')) {
        return Err(Refusal::NotOneLine);
    }
    push_name(out, name, Place::Measurement)?;
    let sorted = sorted(point.entries());
    let mut entries = sorted.iter().map(|(_, entry)| *entry).peekable();
    while let Some(entry) = entries.next_if(|entry| entry.tag) {
        out.push(b',');
        push_name(out, entry.key.as_bytes(), Place::Tag)?;
        out.push(b'=');
        if let Value::Str(text) = &entry.value {
            push_name(out, text.as_bytes(), Place::Tag)?;
        }
    }
    let line_key = out.len() - start;
    if entries.peek().is_none() {
        return Err(Refusal::NoFields);
    }
    let mut separator = b' ';
    for entry in entries {
        out.push(separator);
        separator = b',';
        let key = out.len();
        push_name(out, entry.key.as_bytes(), Place::FieldKey)?;
        let length = line_key + out.len() - key;
        if length > MAX_LINE_KEY {
            return Err(Refusal::LineKeyTooLong(length));
        }
        out.push(b'=');
        push_value(out, &entry.value);
    }
    out.push(b' ');
    push_int(out, point.time_ns());
    Ok(())
}

/// The entries to write, tags first, each kind by key. Keys are compared by their first bytes as one
/// integer, which decides nearly every comparison.
fn sorted(entries: &[Entry]) -> SmallVec<[(u64, &Entry); 24]> {
    let mut sorted: SmallVec<[(u64, &Entry); 24]> = SmallVec::new();
    let mut in_order = true;
    for entry in entries.iter().filter(|entry| is_written(entry)) {
        let prefix = sort_prefix(entry);
        if in_order && let Some(&(last, before)) = sorted.last() {
            in_order = last < prefix || (last == prefix && before.key < entry.key);
        }
        sorted.push((prefix, entry));
    }
    if !in_order {
        sorted.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.key.cmp(&y.key)));
    }
    sorted
}

/// Orders tags before fields, then by the first seven bytes of the key.
fn sort_prefix(entry: &Entry) -> u64 {
    let key = entry.key.as_bytes();
    let prefix = match key.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk) >> 8,
        None => {
            let bytes = key
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            bytes << (56 - 8 * key.len().min(7))
        }
    };
    u64::from(!entry.tag) << 63 | prefix
}

fn is_written(entry: &Entry) -> bool {
    match &entry.value {
        Value::Str(text) => !(entry.tag && text.is_empty()),
        Value::Nil => false,
        Value::Float(number) => !number.is_nan(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Int(_) | Value::Uint(_) | Value::Bool(_) => true,
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => {}
        Value::Int(number) => {
            push_int(out, *number);
            out.push(b'i');
        }
        Value::Uint(number) => {
            push_int(out, *number);
            out.push(b'u');
        }
        Value::Float(number) => push_float(out, finite(*number)),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Str(text) => push_quoted(out, text.as_bytes()),
        Value::Bytes(bytes) => {
            out.push(b'"');
            base64::push(out, bytes);
            out.extend_from_slice(b"\"b");
        }
        Value::Array(values) => push_array(out, values),
    }
}

fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    push_text(out, text);
    out.push(b'"');
}

fn push_array(out: &mut Vec<u8>, values: &[Value]) {
    let has_text = |value: &Value| match value {
        Value::Float(number) => !number.is_nan(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        _ => true,
    };
    if !Value::is_uniform(values) || !values.iter().all(has_text) {
        let mut text = Vec::new();
        json::push_array(&mut text, values);
        push_quoted(out, &text);
        return;
    }
    let mut separator = b'[';
    for value in values {
        out.push(separator);
        separator = b',';
        push_value(out, value);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Category;

    fn line(point: &Point) -> String {
        let mut out = b"before ".to_vec();
        encode(point, &mut out).unwrap();
        String::from_utf8(out).unwrap().split_off(7)
    }

    #[test]
    fn a_point_is_one_sorted_line() {
        let mut point = Point::new("my cpu,a=b", Category::Metric, 1_700_000_000_000_000_000);
        point.set_field("zz", 1i64);
        point.set_tag("host name", "a,b=c d");
        point.set_field("uint", u64::MAX);
        point.set_tag("empty", "");
        point.set_tag("az", "eu-1");
        point.set_field("nothing", Value::Nil);
        point.set_field("half", 0.5);
        point.set_field("a \"key\"", true);
        point.set_field("text", "say \"hi\"\nC:\\dir");
        point.set_field("blob", Value::Bytes(Box::new([0, 255])));
        insta::assert_snapshot!(line(&point), @r#"
    my\ cpu\,a=b,az=eu-1,host\ name=a\,b\=c\ d a\ \"key\"=true,blob="AP8="b,half=0.5,text="say \"hi\"
    C:\\dir",uint=18446744073709551615u,zz=1i 1700000000000000000
    "#);
    }

    #[test]
    fn long_keys_with_equal_starts_are_sorted() {
        let mut point = Point::new("m", Category::Metric, 0);
        for key in [
            "request_c",
            "request_",
            "reques",
            "request_b",
            "request",
            "request_a",
        ] {
            point.set_field(key, 1i64);
            point.set_tag(format!("t{key}"), "v");
        }
        insta::assert_snapshot!(line(&point), @"m,treques=v,trequest=v,trequest_=v,trequest_a=v,trequest_b=v,trequest_c=v reques=1i,request=1i,request_=1i,request_a=1i,request_b=1i,request_c=1i 0");
    }

    #[test]
    fn arrays_are_native_or_json_text() {
        let mut point = Point::new("m", Category::Logging, 0);
        point.set_field("a", Value::Array(Box::new([1i64.into(), 2i64.into()])));
        point.set_field("b", Value::Array(Box::new(["x\"".into(), "y".into()])));
        point.set_field("c", Value::Array(Box::new([1i64.into(), "y".into()])));
        point.set_field("d", Value::Array(Box::new([0.5.into(), f64::NAN.into()])));
        point.set_field("e", Value::Array(Box::new([])));
        insta::assert_snapshot!(line(&point), @r#"m a=[1i,2i],b=["x\"","y"],c="[1,\"y\"]",d="[0.5,null]" 0"#);
    }

    #[test]
    fn what_no_line_can_say_is_corrected() {
        let mut point = Point::new("#not a comment\n\\", Category::Logging, 5);
        point.set_tag("t\n\\", "v\n\\\\");
        point.set_tag("only", "\\");
        point.set_tag("", "v");
        point.set_field("f\\", f64::INFINITY);
        point.set_field("g", f64::NAN);
        insta::assert_snapshot!(line(&point), @r#"_not\ a\ comment\ ,t\ =v\  f=18446744073709552000 5"#);
        point.set_name("");
        insta::assert_snapshot!(line(&point), @r#"__default,t\ =v\  f=18446744073709552000 5"#);
    }

    #[test]
    fn refusals_leave_the_buffer_alone() {
        let mut out = b"before".to_vec();
        let mut point = Point::new("m", Category::Logging, 5);
        point.set_tag("t", "v");
        point.set_field("nil", Value::Nil);
        let error = encode(&point, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "point `m` has no field to encode");
        point.set_tag("t", "v".repeat(MAX_LINE_KEY));
        point.set_field("f", 1i64);
        let error = encode(&point, &mut out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "point `m` has a line key of 65540 bytes, receivers take 65535"
        );
        assert_eq!(out, b"before");
    }
}
