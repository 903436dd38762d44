//! Points to protobuf.

use super::{ARRAY_TYPE, DELIMITED, FIXED64, VARINT};
use crate::codec::error::EncodeError;
use crate::codec::json;
use crate::point::Entry;
use crate::{Point, Value};

/// Appends one point as an element of `PBPoints`. Fields holding nil are left out; arrays that are not
/// of one type become their JSON text.
///
/// # Errors
/// No field is left; `out` is then as it was.
pub fn encode(point: &Point, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let entries = || point.entries().iter().filter(|entry| !entry.value.is_nil());
    if !entries().any(|entry| !entry.tag) {
        return Err(EncodeError::NoFields {
            name: point.name().into(),
        });
    }
    let name = point.name().as_bytes();
    let time = twos_complement(point.time_ns());
    let fields: usize = entries().map(|entry| delimited_len(field_len(entry))).sum();
    let length = text_len(name) + fields + if time == 0 { 0 } else { 1 + varint_len(time) };
    out.reserve(1 + varint_len(length as u64) + length);
    push_key(out, 1, DELIMITED);
    push_varint(out, length as u64);
    push_text(out, 1, name);
    for entry in entries() {
        push_key(out, 2, DELIMITED);
        push_varint(out, field_len(entry) as u64);
        push_field(out, entry);
    }
    if time != 0 {
        push_key(out, 3, VARINT);
        push_varint(out, time);
    }
    Ok(())
}

fn push_field(out: &mut Vec<u8>, entry: &Entry) {
    push_text(out, 1, entry.key.as_bytes());
    match &entry.value {
        Value::Array(values) if Value::is_uniform(values) => push_array(out, values),
        Value::Array(values) => push_delimited(out, 11, json_text(values).as_slice()),
        value => push_scalar(out, value, &FIELD),
    }
    if entry.tag {
        out.extend_from_slice(&[8 << 3 | VARINT, 1]);
    }
}

fn field_len(entry: &Entry) -> usize {
    let value = match &entry.value {
        Value::Array(values) if Value::is_uniform(values) => delimited_len(any_len(values)),
        Value::Array(values) => delimited_len(json_text(values).len()),
        value => scalar_len(value),
    };
    text_len(entry.key.as_bytes()) + value + if entry.tag { 2 } else { 0 }
}

/// The field numbers of the alternatives of a value.
struct Numbers {
    int: u8,
    uint: u8,
    float: u8,
    flag: u8,
    bytes: u8,
    text: u8,
}

const FIELD: Numbers = Numbers {
    int: 2,
    uint: 3,
    float: 4,
    flag: 5,
    bytes: 6,
    text: 11,
};
const BASIC: Numbers = Numbers {
    int: 1,
    uint: 2,
    float: 3,
    flag: 4,
    bytes: 5,
    text: 6,
};

/// An alternative is written even where it holds the default, which tells it from no value.
fn push_scalar(out: &mut Vec<u8>, value: &Value, numbers: &Numbers) {
    match value {
        Value::Nil | Value::Array(_) => {}
        Value::Int(number) => {
            push_key(out, numbers.int, VARINT);
            push_varint(out, twos_complement(*number));
        }
        Value::Uint(number) => {
            push_key(out, numbers.uint, VARINT);
            push_varint(out, *number);
        }
        Value::Float(number) => {
            push_key(out, numbers.float, FIXED64);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Bool(flag) => {
            push_key(out, numbers.flag, VARINT);
            out.push(u8::from(*flag));
        }
        Value::Bytes(bytes) => push_delimited(out, numbers.bytes, bytes),
        Value::Str(text) => push_delimited(out, numbers.text, text.as_bytes()),
    }
}

/// The same for both sets of numbers, which all fit one byte with their wire type.
fn scalar_len(value: &Value) -> usize {
    match value {
        Value::Nil | Value::Array(_) => 0,
        Value::Int(number) => 1 + varint_len(twos_complement(*number)),
        Value::Uint(number) => 1 + varint_len(*number),
        Value::Float(_) => 9,
        Value::Bool(_) => 2,
        Value::Bytes(bytes) => delimited_len(bytes.len()),
        Value::Str(text) => delimited_len(text.len()),
    }
}

fn push_array(out: &mut Vec<u8>, values: &[Value]) {
    push_key(out, 7, DELIMITED);
    push_varint(out, any_len(values) as u64);
    push_text(out, 1, ARRAY_TYPE.as_bytes());
    if values.is_empty() {
        return;
    }
    push_key(out, 2, DELIMITED);
    push_varint(out, array_len(values) as u64);
    for value in values {
        push_key(out, 1, DELIMITED);
        push_varint(out, scalar_len(value) as u64);
        push_scalar(out, value, &BASIC);
    }
}

fn any_len(values: &[Value]) -> usize {
    let array = match array_len(values) {
        0 => 0,
        length => delimited_len(length),
    };
    text_len(ARRAY_TYPE.as_bytes()) + array
}

fn array_len(values: &[Value]) -> usize {
    let lengths = values.iter().map(|value| delimited_len(scalar_len(value)));
    lengths.sum()
}

fn json_text(values: &[Value]) -> Vec<u8> {
    let mut text = Vec::new();
    json::push_array(&mut text, values);
    text
}

/// Plain `int64` fields carry negative numbers in two's complement.
const fn twos_complement(number: i64) -> u64 {
    number.cast_unsigned()
}

/// Texts that may be left out where empty.
fn push_text(out: &mut Vec<u8>, number: u8, text: &[u8]) {
    if !text.is_empty() {
        push_delimited(out, number, text);
    }
}

fn text_len(text: &[u8]) -> usize {
    if text.is_empty() {
        0
    } else {
        delimited_len(text.len())
    }
}

fn push_delimited(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    push_key(out, number, DELIMITED);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Key, length and content of a delimited field with `length` bytes of content.
const fn delimited_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

fn push_key(out: &mut Vec<u8>, number: u8, wire: u8) {
    out.push(number << 3 | wire);
}

#[inline]
fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(number as u8);
}

const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
