//! The hand-written protobuf code against prost: both write the same bytes and read the same points.

#![allow(clippy::unwrap_used, reason = "tests stop at faults")]

#[allow(dead_code, reason = "each test file uses a part")]
mod common;

use common::{OPTIONS, points, value, wild_text};
use kafkamq_point::codec::protobuf;
use kafkamq_point::{Category, Point, Value};
use proptest::prelude::*;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct PbPoints {
    #[prost(message, repeated, tag = "1")]
    arr: Vec<PbPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct PbPoint {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(int64, tag = "3")]
    time: i64,
    #[prost(message, repeated, tag = "4")]
    warns: Vec<Warn>,
}

#[derive(Clone, PartialEq, Message)]
struct Warn {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(oneof = "Val", tags = "2, 3, 4, 5, 6, 7, 11")]
    val: Option<Val>,
    #[prost(bool, tag = "8")]
    is_tag: bool,
    #[prost(int32, tag = "9")]
    kind: i32,
    #[prost(string, tag = "10")]
    unit: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Val {
    #[prost(int64, tag = "2")]
    I(i64),
    #[prost(uint64, tag = "3")]
    U(u64),
    #[prost(double, tag = "4")]
    F(f64),
    #[prost(bool, tag = "5")]
    B(bool),
    #[prost(bytes, tag = "6")]
    D(Vec<u8>),
    #[prost(message, tag = "7")]
    A(Any),
    #[prost(string, tag = "11")]
    S(String),
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes, tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Array {
    #[prost(message, repeated, tag = "1")]
    arr: Vec<Basic>,
}

#[derive(Clone, PartialEq, Message)]
struct Basic {
    #[prost(oneof = "X", tags = "1, 2, 3, 4, 5, 6")]
    x: Option<X>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum X {
    #[prost(int64, tag = "1")]
    I(i64),
    #[prost(uint64, tag = "2")]
    U(u64),
    #[prost(double, tag = "3")]
    F(f64),
    #[prost(bool, tag = "4")]
    B(bool),
    #[prost(bytes, tag = "5")]
    D(Vec<u8>),
    #[prost(string, tag = "6")]
    S(String),
}

fn val(value: &Value) -> Option<Val> {
    Some(match value {
        Value::Nil => return None,
        Value::Int(number) => Val::I(*number),
        Value::Uint(number) => Val::U(*number),
        Value::Float(number) => Val::F(*number),
        Value::Bool(flag) => Val::B(*flag),
        Value::Str(text) => Val::S(text.to_string()),
        Value::Bytes(bytes) => Val::D(bytes.to_vec()),
        Value::Array(values) => {
            let basic = |value: &Value| Basic {
                x: Some(match val(value).unwrap() {
                    Val::I(number) => X::I(number),
                    Val::U(number) => X::U(number),
                    Val::F(number) => X::F(number),
                    Val::B(flag) => X::B(flag),
                    Val::S(text) => X::S(text),
                    Val::D(bytes) => X::D(bytes),
                    Val::A(_) => unreachable!("arrays do not nest"),
                }),
            };
            let arr = values.iter().map(basic).collect();
            Val::A(Any {
                type_url: "type.googleapis.com/point.Array".into(),
                value: Array { arr }.encode_to_vec(),
            })
        }
    })
}

fn message(point: &Point) -> PbPoint {
    let field = |entry: &kafkamq_point::Entry| Field {
        key: entry.key.to_string(),
        val: val(&entry.value),
        is_tag: entry.tag,
        ..Field::default()
    };
    PbPoint {
        name: point.name().into(),
        fields: point.entries().iter().map(field).collect(),
        time: point.time_ns(),
        warns: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_write_the_same_bytes(points in proptest::collection::vec(points(wild_text(), value()), 0..4)) {
        let mut body = Vec::new();
        for point in &points {
            protobuf::encode(point, &mut body).unwrap();
        }
        let peer = PbPoints { arr: points.iter().map(message).collect() };
        prop_assert_eq!(&body, &peer.encode_to_vec());
        prop_assert_eq!(PbPoints::decode(body.as_slice()).unwrap(), peer);
    }

    #[test]
    fn what_prost_writes_is_read(point in points(wild_text(), value()), kind: i32, unit: String) {
        let mut peer = message(&point);
        for field in &mut peer.fields {
            field.kind = kind;
            field.unit.clone_from(&unit);
        }
        peer.warns.push(Warn { kind: "t".into(), message: unit });
        let body = PbPoints { arr: vec![peer] }.encode_to_vec();
        prop_assert_eq!(protobuf::decode(&body, &OPTIONS), Ok(vec![point]));
    }

    /// What the peer does not read as a message is refused, except in parts that are skipped unread. Text
    /// that is not UTF-8 is read with U+FFFD in its place.
    #[test]
    fn both_refuse_the_same_bytes(point in points(wild_text(), value()), at: prop::sample::Index, byte: u8) {
        let mut body = PbPoints { arr: vec![message(&point)] }.encode_to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        if protobuf::decode(&body, &OPTIONS).is_ok()
            && let Err(error) = PbPoints::decode(body.as_slice())
        {
            let error = error.to_string();
            let allowed = ["PbPoint.warns", "Field.kind", "Field.unit", "data is not UTF-8 encoded"];
            prop_assert!(allowed.iter().any(|part| error.contains(part)), "{error}");
        }
    }
}

#[test]
fn times_and_values_of_zero_survive() {
    let mut point = Point::new("", Category::Logging, 0);
    point.set_field("", 0i64);
    point.set_field("f", 0.0);
    point.set_field("b", false);
    point.set_field("s", "");
    point.set_field("none", Value::Array(Box::new([])));
    let mut body = Vec::new();
    protobuf::encode(&point, &mut body).unwrap();
    let peer = PbPoints {
        arr: vec![message(&point)],
    };
    assert_eq!(body, peer.encode_to_vec());
    point.set_time_ns(OPTIONS.now_ns);
    assert_eq!(protobuf::decode(&body, &OPTIONS), Ok(vec![point]));
}
