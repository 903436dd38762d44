//! The verbs, flags and mistakes of formats.

use super::*;
use crate::value::Map;

fn one(text: &str, value: impl Into<Value>) -> String {
    format(text, &[value.into()])
}

#[test]
fn integers() {
    for (format, number, text) in [
        ("%d", -7, "-7"),
        ("%5d|", 42, "   42|"),
        ("%-5d|", 42, "42   |"),
        ("%05d", -42, "-0042"),
        ("%+d", 5, "+5"),
        ("% d", 5, " 5"),
        ("%x", -255, "-ff"),
        ("%#X", 255, "0XFF"),
        ("%#o", 8, "010"),
        ("%O", 8, "0o10"),
        ("%#b", 5, "0b101"),
        ("%.5d", 42, "00042"),
        ("%08.3d", 7, "     007"),
        ("%.0d", 0, ""),
        ("%c", 0x2603, "☃"),
        ("%q", 0x2603, "'☃'"),
        ("%U", 0x2603, "U+2603"),
        ("%#U", 0x2603, "U+2603 '☃'"),
        ("%v", 12, "12"),
    ] {
        assert_eq!(one(format, number), text, "{format}");
    }
}

#[test]
fn floats() {
    for (format, number, text) in [
        ("%v", 100_000.0, "100000"),
        ("%v", 1_000_000.0, "1e+06"),
        ("%v", 999_999.5, "999999.5"),
        ("%v", 1_234_567.0, "1.234567e+06"),
        ("%v", 0.000_1, "0.0001"),
        ("%v", 0.000_012_34, "1.234e-05"),
        ("%.3v", 1234.5, "1.23e+03"),
        ("%.3v", 12.345, "12.3"),
        ("%f", 1.5, "1.500000"),
        ("%.2f", 0.125, "0.12"),
        ("%.0f", 2.5, "2"),
        ("%8.2f|", -1.5, "   -1.50|"),
        ("%08.2f", -1.5, "-0001.50"),
        ("%e", 1_234.5, "1.234500e+03"),
        ("%E", 0.0, "0.000000E+00"),
        ("%g", 1e100, "1e+100"),
        ("%G", 1e-10, "1E-10"),
        ("%#g", 1.5, "1.50000"),
        ("%#.3g", 100.0, "100."),
        ("%b", 1.0, "4503599627370496p-52"),
        ("%x", 1.5, "0x1.8p+00"),
        ("%.1x", 1.99, "0x1.0p+01"),
        ("%+.1f", 1.0, "+1.0"),
        ("%6v|", f64::INFINITY, "  +Inf|"),
        ("%06v|", f64::NAN, "   NaN|"),
        ("%.1f", 0.25, "0.2"),
        ("%g", 100_000.0, "100000"),
        ("%.10g", 100_000.0, "100000"),
        ("%.2g", 99.9, "1e+02"),
    ] {
        assert_eq!(one(format, number), text, "{format} {number}");
    }
}

#[test]
fn texts() {
    for (format, value, text) in [
        ("%s", "hi", "hi"),
        ("%5s|", "é", "    é|"),
        ("%-5s|", "ab", "ab   |"),
        ("%05s", "ab", "000ab"),
        ("%.2s", "日本語", "日本"),
        ("%q", "a\"\n\u{1}é\u{200b}", r#""a\"\n\x01é\u200b""#),
        ("%+q", "é", r#""\u00e9""#),
        ("%#q", "a\"b", "`a\"b`"),
        ("%x", "hi", "6869"),
        ("% x", "hi", "68 69"),
        ("%# X", "hi", "0X68 0X69"),
        ("%#v", "x", "\"x\""),
    ] {
        assert_eq!(one(format, value), text, "{format}");
    }
}

#[test]
fn mistakes_are_printed() {
    for (text, values, result) in [
        ("%d", vec![Value::from("hi")], "%!d(string=hi)"),
        ("%d", vec![Value::Nil], "%!d(<nil>)"),
        ("%d", vec![], "%!d(MISSING)"),
        (
            "a",
            vec![Value::Int(2), Value::from("x")],
            "a%!(EXTRA int64=2, string=x)",
        ),
        ("%z", vec![Value::Int(1)], "%!z(int64=1)"),
        ("100%", vec![], "100%!(NOVERB)"),
        (
            "%*d",
            vec![Value::from("x"), Value::Int(1)],
            "%!(BADWIDTH)1",
        ),
        (
            "%.*f",
            vec![Value::Int(-1), Value::Float(1.0)],
            "%!(BADPREC)1.000000",
        ),
        ("%[3]d", vec![Value::Int(1)], "%!d(BADINDEX)"),
        ("%[2]*[1]d|", vec![Value::Int(7), Value::Int(3)], "  7|"),
        ("%[1]d %[1]v", vec![Value::Int(7), Value::Int(3)], "7 7"),
        ("%%", vec![], "%"),
        ("%t", vec![Value::Bool(true)], "true"),
        ("%v %T", vec![Value::Nil, Value::Nil], "<nil> <nil>"),
        ("%!", vec![], "%!!(MISSING)"),
        ("%-*d|", vec![Value::Int(-4), Value::Int(1)], "1   |"),
    ] {
        assert_eq!(format(text, &values), result, "{text}");
    }
}

#[test]
fn lists_and_maps() {
    let list = Value::from(vec![Value::Int(1), Value::from("a"), Value::Nil]);
    assert_eq!(one("%v", list.clone()), "[1 a <nil>]");
    assert_eq!(
        one("%#v", list.clone()),
        r#"[]interface {}{1, "a", interface {}(nil)}"#
    );
    assert_eq!(
        one("%3v", Value::from(vec![Value::Int(1), Value::Int(2)])),
        "[  1   2]"
    );
    assert_eq!(one("%T", list), "[]interface {}");
    let map = Map::new();
    map.insert("b", Value::Int(2));
    map.insert("a", Value::Bool(true));
    assert_eq!(one("%v", map), "map[a:true b:2]");
}

#[test]
fn output_is_bounded() {
    assert_eq!(one("%9000000d", 1).len(), MAX_OUTPUT);
    assert_eq!(one("%.9000000f", 1.0).len(), MAX_OUTPUT);
    assert_eq!(format("%99999999d", &[]), "%!(NOVERB)");
}
