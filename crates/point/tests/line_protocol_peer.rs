//! The line protocol against an implementation of other authors, where the two mean the same: that one
//! has neither arrays nor binary values, and reads a doubled backslash in names as one.

#![allow(clippy::unwrap_used, reason = "tests stop at faults")]

#[allow(dead_code, reason = "each test file uses a part")]
mod common;

use common::{OPTIONS, points, sorted, wild_text};
use influxdb_line_protocol::{FieldValue, LineProtocolBuilder, parse_lines};
use kafkamq_point::codec::line_protocol;
use kafkamq_point::{Category, Point, Value};
use proptest::prelude::*;

/// Names that both sides spell in the same way.
fn shared_name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_., =é-]{0,14}[a-z]"
}

fn shared_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::Uint),
        any::<f64>().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        wild_text().prop_map(|text| Value::Str(text.into())),
    ]
}

fn read_by_peer(text: &str) -> Vec<Point> {
    parse_lines(text)
        .map(|line| {
            let line = line.unwrap();
            let time = line.timestamp.unwrap();
            let mut point = Point::new(line.series.measurement.as_str(), Category::Logging, time);
            for (key, text) in line.series.tag_set.iter().flatten() {
                point.set_tag(key.as_str(), text.as_str());
            }
            for (key, value) in &line.field_set {
                let value = match value {
                    FieldValue::I64(number) => Value::Int(*number),
                    FieldValue::U64(number) => Value::Uint(*number),
                    FieldValue::F64(number) => Value::Float(*number),
                    FieldValue::String(text) => text.as_str().into(),
                    FieldValue::Boolean(flag) => Value::Bool(*flag),
                };
                point.set_field(key.as_str(), value);
            }
            point
        })
        .collect()
}

fn written_by_peer(point: &Point) -> Vec<u8> {
    let mut line = LineProtocolBuilder::new().measurement(point.name());
    for (key, text) in point.tags() {
        line = line.tag(key, text);
    }
    let mut fields = point.fields();
    let (key, value) = fields.next().unwrap();
    let mut line = match value {
        Value::Int(number) => line.field(key, *number),
        Value::Uint(number) => line.field(key, *number),
        Value::Float(number) => line.field(key, *number),
        Value::Bool(flag) => line.field(key, *flag),
        value => line.field(key, value.as_str().unwrap()),
    };
    for (key, value) in fields {
        line = match value {
            Value::Int(number) => line.field(key, *number),
            Value::Uint(number) => line.field(key, *number),
            Value::Float(number) => line.field(key, *number),
            Value::Bool(flag) => line.field(key, *flag),
            value => line.field(key, value.as_str().unwrap()),
        };
    }
    line.timestamp(point.time_ns()).close_line().build()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_peer_reads_what_is_written(points in proptest::collection::vec(points(shared_name(), shared_value()), 1..4)) {
        let mut body = Vec::new();
        for point in &points {
            line_protocol::encode(point, &mut body).unwrap();
            body.push(b'\n');
        }
        let expected: Vec<_> = points.into_iter().map(sorted).collect();
        prop_assert_eq!(read_by_peer(std::str::from_utf8(&body).unwrap()), expected);
    }

    #[test]
    fn what_the_peer_writes_is_read(point in points(shared_name(), shared_value())) {
        let body = written_by_peer(&point);
        let read = line_protocol::decode(&body, &OPTIONS).unwrap();
        let read: Vec<_> = read.into_iter().map(sorted).collect();
        prop_assert_eq!(read, [sorted(point)]);
    }
}
