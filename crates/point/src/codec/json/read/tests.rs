//! What the JSON encodings read and refuse.

use super::*;
use crate::codec::Precision;
use crate::codec::tests::OPTIONS as EXACT;

const OPTIONS: DecodeOptions = DecodeOptions {
    precision: None,
    ..EXACT
};

fn point(body: &str) -> Point {
    let mut points = decode(body.as_bytes(), &OPTIONS).unwrap();
    assert_eq!(points.len(), 1, "{body}");
    points.remove(0)
}

fn error(body: &str) -> String {
    decode(body.as_bytes(), &OPTIONS).unwrap_err().to_string()
}

#[test]
fn simple_objects_hold_floats_texts_and_flags() {
    let point = point(
        r#"[{"measurement":"m","tags":{"host":"a"},"more":[1],
                "fields":{"n":1,"big":18446744073709551615,"neg":-2,"f":1.5,"b":true,"s":"x\ny",
                          "null":null,"o":{"a":[1]},"l":[1,2.5],"mixed":[1,"a"]},
                "time":1700000000000}]"#,
    );
    assert_eq!(point.name(), "m");
    assert_eq!(point.time_ns(), 1_700_000_000_000_000_000);
    assert_eq!(point.tags().collect::<Vec<_>>(), [("host", "a")]);
    let expected = [
        ("n", Value::Float(1.0)),
        ("big", Value::Float(18_446_744_073_709_551_615.0)),
        ("neg", Value::Float(-2.0)),
        ("f", Value::Float(1.5)),
        ("b", Value::Bool(true)),
        ("s", "x\ny".into()),
        ("null", Value::Nil),
        ("o", Value::Nil),
        ("l", Value::Array(Box::new([1.0.into(), 2.5.into()]))),
        ("mixed", Value::Nil),
    ];
    let fields: Vec<_> = point
        .fields()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn protobuf_style_objects_keep_every_type() {
    let point = point(
        r#"[{"name":"m","fields":[
                {"key":"i","i":"-5"},{"key":"j","i":5},{"key":"u","u":"18446744073709551615"},
                {"key":"f","f":0.5},{"key":"g","f":"-Infinity"},{"key":"b","b":false},
                {"key":"d","d":"_-8"},{"key":"s","s":"x","type":"COUNT","unit":"ms"},
                {"key":"t","s":"v","is_tag":true},{"key":"v","s":"w","isTag":true},
                {"key":"n","i":"1","is_tag":true},{"key":"nil"},
                {"key":"a","a":{"@type":"type.googleapis.com/point.Array","arr":[{"i":"1"},{"i":2}]}},
                {"key":"x","a":{"arr":[{"i":"1"},{"s":"y"}]}}],
                "time":"5","warns":[{"type":"t","message":"m"}]}]"#,
    );
    assert_eq!(point.time_ns(), 5);
    assert_eq!(point.tags().collect::<Vec<_>>(), [("t", "v"), ("v", "w")]);
    let expected = [
        ("i", Value::Int(-5)),
        ("j", Value::Int(5)),
        ("u", Value::Uint(u64::MAX)),
        ("f", Value::Float(0.5)),
        ("g", Value::Float(f64::NEG_INFINITY)),
        ("b", Value::Bool(false)),
        ("d", Value::Bytes(Box::new([255, 239]))),
        ("s", "x".into()),
        ("n", Value::Int(1)),
        ("nil", Value::Nil),
        ("a", Value::Array(Box::new([1i64.into(), 2i64.into()]))),
        ("x", "[1,\"y\"]".into()),
    ];
    let fields: Vec<_> = point
        .fields()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn both_forms_mix_and_times_differ() {
    let body = r#"[{"measurement":"a","fields":{"f":1},"time":2},
                       {"name":"b","fields":[{"key":"f","i":"1"}],"time":2},
                       {"fields":{"f":1}}]"#;
    let options = DecodeOptions {
        precision: Some(Precision::Seconds),
        ..OPTIONS
    };
    let points = decode(body.as_bytes(), &options).unwrap();
    let read: Vec<_> = points.iter().map(|p| (p.name(), p.time_ns())).collect();
    assert_eq!(read, [("a", 2_000_000_000), ("b", 2), ("", 77)]);
}

#[test]
fn faults_say_what_and_where() {
    let mut report = String::new();
    for body in [
        " ",
        "{}",
        "[{}",
        "[] x",
        "[1]",
        r#"[{"measurement":"m","tags":{"a":1},"fields":{"f":1}}]"#,
        r#"[{"measurement":"m","fields":{"f":1},"time":1.5}]"#,
        r#"[{"measurement":"m","fields":{"f":1},"time":9000000000}]"#,
        r#"[{"measurement":"m","fields":{"f":1},"time":-9000000000000}]"#,
        r#"[{"measurement":"m","fields":5}]"#,
        r#"[{"name":"m","fields":[{"key":"a","i":"x"}]}]"#,
        r#"[{"name":"m","fields":[{"key":"a","u":-1}]}]"#,
        r#"[{"name":"m","fields":[{"key":"a","d":"?"}]}]"#,
    ] {
        let line =
            decode(body.as_bytes(), &OPTIONS).map_or_else(|e| e.to_string(), |_| "fine".into());
        report.push_str(&format!("{body:<62} | {line}\n"));
    }
    insta::assert_snapshot!(report);
    assert!(error("[\"\u{fffd}\"").contains("line 1"));
}
