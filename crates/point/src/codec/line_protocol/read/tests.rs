//! What is read, and what is refused with which words.

use super::*;
use crate::Category;
use crate::codec::Precision;
use crate::codec::tests::OPTIONS;

fn point(line: &str) -> Point {
    let mut points = decode(line.as_bytes(), &OPTIONS).unwrap();
    assert_eq!(points.len(), 1, "{line}");
    points.remove(0)
}

fn value(text: &str) -> Value {
    point(&format!("m f={text} 1"))
        .get("f")
        .unwrap()
        .value
        .clone()
}

fn errors(body: &str) -> String {
    decode(body.as_bytes(), &OPTIONS).unwrap_err().to_string()
}

#[test]
fn a_line_has_all_its_parts() {
    let point = point("  my\\ cpu,host\\,a=b\\=c,z=\"q\" a=1i,b\\\"=\"x\" 5  ");
    assert_eq!(point.name(), "my cpu");
    assert_eq!(point.time_ns(), 5);
    assert_eq!(point.category(), Category::Logging);
    assert_eq!(
        point.tags().collect::<Vec<_>>(),
        [("host,a", "b=c"), ("z", "\"q\"")]
    );
    assert_eq!(
        point.fields().collect::<Vec<_>>(),
        [("a", &Value::Int(1)), ("b\"", &"x".into())]
    );
}

#[test]
fn every_kind_of_value_is_read() {
    for (text, expected) in [
        ("5", Value::Float(5.0)),
        ("-.5", Value::Float(-0.5)),
        ("1e5", Value::Float(1e5)),
        ("1E+5", Value::Float(1e5)),
        ("-9223372036854775808i", Value::Int(i64::MIN)),
        ("18446744073709551615u", Value::Uint(u64::MAX)),
        ("t", true.into()),
        ("TRUE", true.into()),
        ("False", false.into()),
        ("\"\"", "".into()),
        ("\"a, b=c\\n\\\"\\\\\"", "a, b=c\\n\"\\".into()),
        ("\"two\nlines\"", "two\nlines".into()),
        ("\"AP8=\"b", Value::Bytes(Box::new([0, 255]))),
        (
            "[1i,2i]",
            Value::Array(Box::new([1i64.into(), 2i64.into()])),
        ),
        (
            "[\"a]\",\"b\"]",
            Value::Array(Box::new(["a]".into(), "b".into()])),
        ),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn a_backslash_before_a_separator_makes_it_data_even_after_another() {
    assert_eq!(point("m,a=b\\\\,c f=1").tags().next(), Some(("a", "b\\,c")));
}

#[test]
fn blank_lines_comments_and_line_ends_are_skipped() {
    let body = "\n\t\0 # comment \"\nm f=1 1\r\n\r\n m f=t\r\n#end";
    let points = decode(body.as_bytes(), &OPTIONS).unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(points[1].time_ns(), 77);
    assert_eq!(decode(b"", &OPTIONS), Ok(Vec::new()));
    assert_eq!(point("\r#m f=1").name(), "\r#m");
}

#[test]
fn times_count_in_their_unit() {
    let time = |precision, text: &str| {
        let options = DecodeOptions {
            precision,
            ..OPTIONS
        };
        let line = format!("m f=1 {text}");
        decode(line.as_bytes(), &options).map(|points| points[0].time_ns())
    };
    assert_eq!(time(Some(Precision::Minutes), "2"), Ok(120_000_000_000));
    assert_eq!(time(Some(Precision::Seconds), ""), Ok(77));
    assert_eq!(time(Some(Precision::Seconds), "0"), Ok(77));
    assert_eq!(time(None, "1700000000"), Ok(1_700_000_000_000_000_000));
    assert_eq!(time(None, "-2"), Ok(-2_000_000_000));
    assert!(time(Some(Precision::Hours), "9223372036854775807").is_err());
}

#[test]
fn later_fields_win_tags_stay_and_empty_arrays_are_none() {
    let point = point("m,a=x b=1i,c=[],b=2i,a=3i");
    assert_eq!(point.entries().len(), 2);
    assert_eq!(point.get("b").unwrap().value, Value::Int(2));
    assert_eq!(point.get("a").unwrap().value, "x".into());
}

#[test]
fn invalid_utf8_is_replaced() {
    let points = decode(b"m f=\"a\xffb\"", &OPTIONS).unwrap();
    assert_eq!(points[0].get("f").unwrap().value, "a\u{fffd}b".into());
}

#[test]
fn every_fault_has_its_place() {
    let faults = [
        ",a=b f=1",
        "m",
        "m,a=b",
        "m ",
        "m,a f=1",
        "m,=b f=1",
        "m,a= f=1",
        "m,a=b=c f=1",
        "m,é=b,b=1,é=c f=1",
        "m f",
        "m =1",
        "m f=",
        "m f=1,",
        "m f=[]",
        "m é=1,f=x",
        "m f=1.5i",
        "m f=-1u",
        "m f=9223372036854775808i",
        "m f=NaN",
        "m f=nan",
        "m f=1e999",
        "m f=1_000",
        "m f=Inf",
        "m f=\"x\"y",
        "m f=\"\"b",
        "m f=\"?\"b",
        "m f=[1i,2]",
        "m f=[[1i]]",
        "m f=[1i;2i]",
        "m f=[1i,",
        "m f=1 x",
        "m f=1 1 2",
        "m f=1 99999999999999999999",
        "m f=\"open",
    ];
    let mut report = String::new();
    for line in faults {
        report.push_str(&format!("{line:<28} | {}\n", errors(line)));
    }
    insta::assert_snapshot!(report);
    let long = format!("m,a={} f=1", "x".repeat(MAX_LINE_KEY));
    assert_eq!(
        errors(&long),
        "line 1, column 65541: the line key exceeds 65535 bytes"
    );
}

#[test]
fn every_line_is_tried() {
    let body = "m f=1\nm f=x,g=\"two\nlines, f=y\"\n\nm f=\"a\nb\",g=z\nm f=1";
    insta::assert_snapshot!(errors(body), @"line 2, column 5: `x` is not a value; line 6, column 6: `z` is not a value");
    let body = "m f=x\n".repeat(25);
    assert!(errors(&body).ends_with("line 20, column 5: `x` is not a value; and 5 more"));
}
