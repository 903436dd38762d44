//! What is encoded reads back, for random points in every encoding.

#![allow(clippy::unwrap_used, reason = "tests stop at faults")]

#[allow(dead_code, reason = "each test file uses a part")]
mod common;

use common::{OPTIONS, line_name, points, sorted, value, wild_text, wild_value};
use kafkamq_point::codec::{EncodeError, Encoding, line_protocol};
use kafkamq_point::{Category, Point, Rules, Value};
use proptest::prelude::*;

fn round_trip(encoding: Encoding, point: &Point) -> Point {
    let mut out = Vec::new();
    let place = encoding.append(point, &mut out).unwrap();
    assert_eq!(place, 0..out.len());
    let body = encoding.framing().wrap(&out).concat();
    let mut points = encoding.decode(&body, &OPTIONS).unwrap();
    assert_eq!(points.len(), 1, "{}", String::from_utf8_lossy(&body));
    points.remove(0)
}

/// Numbers as simple JSON has them.
fn floats(value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::Float(*number as f64),
        Value::Uint(number) => Value::Float(*number as f64),
        Value::Array(values) => Value::Array(values.iter().map(floats).collect()),
        other => other.clone(),
    }
}

fn is_binary(value: &Value) -> bool {
    match value {
        Value::Bytes(_) => true,
        Value::Array(values) => values.iter().any(is_binary),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn line_protocol_keeps_everything(point in points(line_name(), value())) {
        prop_assert_eq!(round_trip(Encoding::LineProtocol, &point), sorted(point));
    }

    #[test]
    fn pbjson_keeps_everything(point in points(wild_text(), value())) {
        prop_assert_eq!(round_trip(Encoding::PbJson, &point), point);
    }

    #[test]
    fn protobuf_keeps_everything(point in points(wild_text(), value())) {
        prop_assert_eq!(round_trip(Encoding::Protobuf, &point), point);
    }

    #[test]
    fn simple_json_keeps_all_but_number_types(
        point in points(wild_text(), value().prop_filter("no binary", |value| !is_binary(value)))
    ) {
        let tags = |point: &Point| -> Vec<_> {
            point.tags().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        let read = round_trip(Encoding::Json, &point);
        prop_assert_eq!((read.name(), read.time_ns()), (point.name(), point.time_ns()));
        prop_assert_eq!(tags(&read), tags(&point));
        let expected: Vec<_> = point.fields().map(|(key, value)| (key, floats(value))).collect();
        let fields: Vec<_> = read.fields().map(|(key, value)| (key, value.clone())).collect();
        prop_assert_eq!(fields, expected);
    }

    /// Whatever a script leaves in a point, one bad point must never make a receiver refuse a body.
    #[test]
    fn whatever_is_encoded_is_one_valid_point(point in points(wild_text(), wild_value())) {
        for encoding in Encoding::ALL {
            let mut out = Vec::new();
            match encoding.encode(&point, &mut out) {
                Ok(()) => {
                    let read = round_trip(encoding, &point);
                    prop_assert!(read.fields().count() >= 1, "{encoding}");
                    prop_assert_eq!(read.time_ns(), point.time_ns());
                }
                Err(error) => {
                    prop_assert!(out.is_empty());
                    prop_assert_eq!(error, EncodeError::NoFields { name: point.name().into() });
                }
            }
        }
    }

    /// Points under the rules go through the line protocol without further corrections.
    #[test]
    fn the_rules_leave_what_lines_can_say(mut point in points(wild_text(), wild_value())) {
        Rules::of(Category::Logging).apply(&mut point);
        prop_assert_eq!(Rules::of(Category::Logging).apply(&mut point), []);
        prop_assert!(point.get("status").is_some());
        let read = round_trip(Encoding::LineProtocol, &point);
        let written = point.tags().filter(|(_, text)| !text.is_empty()).count();
        prop_assert_eq!(read.tags().count(), written);
    }

    #[test]
    fn no_decoder_trips_over_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        for encoding in Encoding::ALL {
            if let Err(errors) = encoding.decode(&body, &OPTIONS) {
                prop_assert!(!errors.to_string().is_empty());
            }
        }
    }

    #[test]
    fn lines_are_independent_of_bad_neighbours(
        first in points(line_name(), value()),
        bad in "[a-z]{1,3}( [a-z]=)?x[a-z ]{0,5}",
        last in points(line_name(), value()),
    ) {
        let mut text = Vec::new();
        line_protocol::encode(&first, &mut text).unwrap();
        text.push(b'\n');
        text.extend_from_slice(bad.as_bytes());
        text.push(b'\n');
        line_protocol::encode(&last, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut lines = line_protocol::Lines::new(&text, OPTIONS);
        prop_assert_eq!(lines.next(), Some(Ok(sorted(first))));
        prop_assert!(lines.next().unwrap().is_err());
        prop_assert_eq!(lines.next(), Some(Ok(sorted(last))));
        prop_assert_eq!(lines.next(), None);
    }
}
