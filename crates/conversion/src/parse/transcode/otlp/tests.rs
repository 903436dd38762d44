//! The fixtures hold every field of every message and every kind of value: JSON and binary, both
//! written by Python's `opentelemetry-proto` 1.45 (ids changed to hexadecimal in the JSON).

use kafkamq_testbed::payload::otlp_trace;
use kafkamq_testbed::wire::otlp as peer;
use kafkamq_testbed::{Faker, RecordId, Route};
use serde_json::json;

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn every_field_of_every_signal_is_converted() {
    let cases = [
        (
            Signal::Traces,
            include_str!("fixtures/traces.json"),
            include_str!("fixtures/traces.hex"),
        ),
        (
            Signal::Metrics,
            include_str!("fixtures/metrics.json"),
            include_str!("fixtures/metrics.hex"),
        ),
        (
            Signal::Logs,
            include_str!("fixtures/logs.json"),
            include_str!("fixtures/logs.hex"),
        ),
    ];
    for (signal, json, hex) in cases {
        let bytes = from_json(signal, json.as_bytes()).unwrap();
        assert_eq!(bytes, unhex(hex), "{signal:?}");
    }
}

#[test]
fn numbers_may_be_numbers_ids_upper_case_and_members_null() {
    let value = json!({"resourceSpans": [{"resource": null, "scopeSpans": [{"scope": {}, "spans": [{
        "traceId": "0AF7651916CD43DD8448EB211C80319C",
        "spanId": "b7ad6b7169203331",
        "parentSpanId": "",
        "name": null,
        "kind": 2,
        "startTimeUnixNano": 1_700_000_000_000_000_001_u64,
        "endTimeUnixNano": "1700000000000000002",
        "attributes": [{"key": "n", "value": {"intValue": 7}}, {"key": "none", "value": {}}],
        "droppedSomethingNew": [{}],
    }]}]}]});
    let bytes = from_json(Signal::Traces, value.to_string().as_bytes()).unwrap();
    let request = peer::TracesRequest::decode(bytes).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id, unhex("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(span.kind, 2);
    assert_eq!(span.start_time_unix_nano, 1_700_000_000_000_000_001);
    assert_eq!(span.end_time_unix_nano, 1_700_000_000_000_000_002);
    let values: Vec<_> = span
        .attributes
        .iter()
        .map(|kv| kv.value.clone().unwrap().value)
        .collect();
    assert_eq!(values, [Some(peer::Any::Int(7)), None]);
}

#[test]
fn what_is_not_a_request_is_refused_with_its_reason() {
    let span = |member: &str| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{member}}}]}}]}}]}}"#)
    };
    let deep = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"value":{}1{}}}]}}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(100_000),
        "]}}".repeat(100_000)
    );
    let reasons = [
        (Signal::Traces, "[]".to_owned()),
        (Signal::Traces, r#"{"resourceLogs":[{}]}"#.to_owned()),
        (
            Signal::Traces,
            span(r#""traceId":"W1R5Gc1D3YRI6yEcgDGcAA==""#),
        ),
        (Signal::Traces, span(r#""kind":"SPAN_KIND_SERVER""#)),
        (Signal::Traces, span(r#""startTimeUnixNano":-1"#)),
        (Signal::Logs, deep),
    ]
    .map(|(signal, value)| from_json(signal, value.as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn an_empty_request_is_one() {
    assert_eq!(
        from_json(Signal::Logs, br#"{"resourceLogs":[]}"#).unwrap(),
        ""
    );
}

#[test]
fn a_request_of_the_test_bed_survives_the_way_through_our_messages() {
    let mut faker = Faker::new(5, 1_700_000_000_000_000_000);
    let sample = otlp_trace::trace(RecordId::new(Route::OtelTraces, 0, 1), &mut faker);
    let request = trace::Request::decode(sample.value.clone()).unwrap();
    let again = peer::TracesRequest::decode(&*request.encode_to_vec()).unwrap();
    assert_eq!(again, peer::TracesRequest::decode(sample.value).unwrap());
}
