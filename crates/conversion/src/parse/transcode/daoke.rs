//! Span JSON of the `daoke` collector to a tracing point.
//!
//! Whatever a span lacks is left out or takes a value that says so: only one without a trace id is
//! no span. Of several keys with the same name the first stays.

use std::borrow::Cow;
use std::fmt::Write as _;

use kafkamq_pipeline::time::parse_duration;
use kafkamq_point::{Category, Entry, Point, Text, Value};

use super::jaeger::span;
use super::jaeger::span_json::{SpanJson, TagJson, duration, time};
use super::{TranscodeError, json};

/// The measurement of these points.
const MEASUREMENT: &str = "otel_jaeger";

/// The point of one span, at `now_ns`. With `strict_error` a tag `error` marks the span as failed
/// only if it is true, else by being there.
pub(super) fn point(
    value: &[u8],
    strict_error: bool,
    now_ns: i64,
) -> Result<Point, TranscodeError> {
    let span: SpanJson = json::message(value)?;
    if span.trace_id.is_empty() {
        return Err(TranscodeError::Id {
            what: "trace id",
            length: 0,
        });
    }
    let mut point = Point::new(MEASUREMENT, Category::Tracing, now_ns);
    let parent = span.references.first();
    let start = span.start_time.as_deref().and_then(|text| time(text).ok());
    let lasted = span.duration.as_deref().and_then(|text| {
        duration(text)
            .map(span::Instant::micros)
            .ok()
            .or_else(|| micros(text))
    });
    add(&mut point, "trace_id", hex(&span.trace_id), false);
    add(&mut point, "span_id", hex(&span.span_id), false);
    let parent_id = parent.map_or(Value::from("0"), |parent| hex(&parent.span_id));
    add(&mut point, "parent_id", parent_id, false);
    let start = start.map_or(now_ns / 1000, span::Instant::micros);
    add(&mut point, "start", start.into(), false);
    let lasted = lasted.unwrap_or(0);
    add(&mut point, "duration", lasted.into(), false);
    add(
        &mut point,
        "resource",
        span.operation_name.as_str().into(),
        false,
    );
    let message = Value::Str(String::from_utf8_lossy(value).into());
    add(&mut point, "message", message, false);

    let failed = |tag: &TagJson| {
        tag.key == "error"
            && (!strict_error || tag.v_bool || tag.v_str.eq_ignore_ascii_case("true"))
    };
    let status = match span.tags.iter().any(failed) {
        true => "error",
        false => "ok",
    };
    let kind = match parent {
        Some(_) => "entry",
        None => "local",
    };
    if let Some(process) = &span.process {
        add(
            &mut point,
            "service",
            process.service_name.as_str().into(),
            true,
        );
    }
    add(&mut point, "span_type", kind.into(), true);
    add(&mut point, "status", status.into(), true);
    for tag in span
        .process
        .iter()
        .flat_map(|process| &process.tags)
        .chain(&span.tags)
    {
        add(&mut point, &tag.key, shown(tag), true);
    }
    for tag in span.logs.iter().filter_map(|log| log.fields.first()) {
        add(&mut point, &format!("log_{}", tag.key), shown(tag), true);
    }
    Ok(point)
}

/// The microseconds of a duration with units, such as `15ms` or `1m30s`.
fn micros(text: &str) -> Option<i64> {
    parse_duration(text).map(|nanos| nanos / 1000)
}

fn add(point: &mut Point, key: &str, value: Value, tag: bool) {
    let key = match key.contains('.') {
        true => Cow::Owned(key.replace('.', "_")),
        false => Cow::Borrowed(key),
    };
    let empty_tag = tag && value.as_str() == Some("");
    if !key.is_empty() && !empty_tag && point.get(&key).is_none() {
        let key = Text::from(key);
        point.entries_mut().push(Entry { key, value, tag });
    }
}

/// The value of a tag as text.
fn shown(tag: &TagJson) -> Value {
    match tag.v_type.0 {
        span::BOOL => Value::from(if tag.v_bool { "true" } else { "false" }),
        span::INT64 => Value::Str(tag.v_int64.to_string().into()),
        span::FLOAT64 => Value::Str(tag.v_float64.to_string().into()),
        span::BINARY => hex(&tag.v_binary),
        _ => tag.v_str.as_str().into(),
    }
}

fn hex(bytes: &[u8]) -> Value {
    let mut text = Text::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to text cannot fail.
        _ = write!(text, "{byte:02x}");
    }
    Value::Str(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown_point(value: &str, strict: bool) -> String {
        let point = point(value.as_bytes(), strict, 5_000_000).unwrap();
        assert_eq!(point.time_ns(), 5_000_000);
        let entries: Vec<_> = point
            .entries()
            .iter()
            .filter(|entry| entry.key != "message")
            .map(|entry| {
                let kind = if entry.tag { "tag" } else { "field" };
                format!("{kind} {} = {:?}", entry.key, entry.value)
            })
            .collect();
        assert_eq!(point.get("message").unwrap().value, Value::from(value));
        entries.join("\n")
    }

    #[test]
    fn a_span_becomes_a_point_and_earlier_keys_win() {
        let span = json!({
            "traceId": "AAAAAAAAAAAAAAAAAAAA/w==",
            "spanId": "AAAAAAAAAAE=",
            "operationName": "GET /",
            "references": [{"traceId": "AAAAAAAAAAAAAAAAAAAA/w==", "spanId": "AAAAAAAAAAI="}],
            "startTime": "2024-05-06T07:08:09.000001Z",
            "duration": "0.0015s",
            "tags": [
                {"key": "error", "vType": "BOOL"},
                {"key": "host.name", "vStr": "span's"},
                {"key": "size", "vType": "INT64", "vInt64": "7"},
                {"key": "status", "vStr": "loses"},
            ],
            "process": {"serviceName": "shop", "tags": [{"key": "host.name", "vStr": "process's"}]},
            "logs": [{"fields": [{"key": "event", "vStr": "first"}, {"key": "other", "vStr": "x"}]}, {}],
        });
        insta::assert_snapshot!(shown_point(&span.to_string(), false));
    }

    #[test]
    fn a_bare_span_is_a_point_with_what_it_has() {
        let bare =
            r#"{"traceId":"AQ==","duration":"soon","startTime":"now","process":null,"tags":null}"#;
        insta::assert_snapshot!(shown_point(bare, false));
    }

    #[test]
    fn a_false_error_is_one_unless_told_otherwise() {
        let status = |tag: &str, strict| {
            let value = format!(r#"{{"traceId":"AQ==","tags":[{tag}]}}"#);
            let point = point(value.as_bytes(), strict, 0).unwrap();
            point
                .get("status")
                .unwrap()
                .value
                .as_str()
                .unwrap()
                .to_owned()
        };
        let no = r#"{"key":"error","vType":"BOOL","vBool":false}"#;
        let yes = r#"{"key":"error","vType":"BOOL","vBool":true}"#;
        let text = r#"{"key":"error","vStr":"true"}"#;
        let found: Vec<_> = [no, yes, text]
            .map(|tag| [status(tag, false), status(tag, true)].join("/"))
            .to_vec();
        assert_eq!(found, ["error/ok", "error/error", "error/error"]);
    }

    #[test]
    fn what_is_not_a_span_is_refused() {
        for value in ["", "[]", "{}", r#"{"message":"x"}"#, r#"{"traceId":"?"}"#] {
            assert!(point(value.as_bytes(), false, 0).is_err(), "{value}");
        }
    }
}
