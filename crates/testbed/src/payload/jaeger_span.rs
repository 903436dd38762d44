//! Jaeger `model.Span` with its process inside, as protobuf and as proto JSON.

use std::time::{Duration, UNIX_EPOCH};

use prost::Message;
use serde_json::json;

use super::faker::hex;
use super::{Faker, Sample, json_bytes};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::jaeger::{Instant, KeyValue, Process, Span, SpanRef, ValueType};

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        v_str: value.into(),
        ..KeyValue::default()
    }
}

fn span(id: RecordId, faker: &mut Faker) -> Span {
    let now = faker.tick_ns();
    let trace_id = faker.bytes::<16>().to_vec();
    let references = if faker.one_in(3) {
        Vec::new()
    } else {
        vec![SpanRef {
            trace_id: trace_id.clone(),
            span_id: faker.bytes::<8>().to_vec(),
            ref_type: 0,
        }]
    };
    Span {
        trace_id,
        span_id: faker.bytes::<8>().to_vec(),
        operation_name: format!("{} {}", faker.method(), faker.path()),
        references,
        flags: 1,
        start_time: Some(Instant {
            seconds: (now / 1_000_000_000) as i64,
            nanos: (now % 1_000_000_000) as i32,
        }),
        duration: Some(Instant {
            seconds: 0,
            nanos: (faker.below(300_000) as i32 + 1) * 1000,
        }),
        tags: vec![
            text(RECORD_ID_KEY, id.to_string()),
            text("span.kind", "server"),
            KeyValue {
                key: "http.status_code".to_owned(),
                v_type: ValueType::Int64.into(),
                v_int64: i64::from(faker.status()),
                ..KeyValue::default()
            },
        ],
        process: Some(Process {
            service_name: faker.service().to_owned(),
            tags: vec![text("hostname", faker.host())],
        }),
        ..Span::default()
    }
}

/// One span as binary protobuf; the id is the tag `record_id`, the key the trace id in hex.
#[must_use]
pub fn protobuf(id: RecordId, faker: &mut Faker) -> Sample {
    let span = span(id, faker);
    Sample::new(id, Some(hex(&span.trace_id).into()), span.encode_to_vec())
}

/// One span as proto JSON: ids in base64, RFC 3339 times, 64-bit numbers as strings.
#[must_use]
pub fn json(id: RecordId, faker: &mut Faker) -> Sample {
    let span = span(id, faker);
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let tag = |tag: &KeyValue| match tag.v_type() {
        ValueType::Int64 => {
            json!({"key": tag.key, "vType": "INT64", "vInt64": tag.v_int64.to_string()})
        }
        _ => json!({"key": tag.key, "vStr": tag.v_str}),
    };
    let references: Vec<_> = span
        .references
        .iter()
        .map(|reference| json!({"traceId": base64(&reference.trace_id), "spanId": base64(&reference.span_id)}))
        .collect();
    let start = span.start_time.unwrap_or_default();
    let start = UNIX_EPOCH + Duration::new(start.seconds as u64, start.nanos as u32);
    let process = span.process.clone().unwrap_or_default();
    let value = json!({
        "traceId": base64(&span.trace_id),
        "spanId": base64(&span.span_id),
        "operationName": span.operation_name,
        "references": references,
        "flags": span.flags,
        "startTime": humantime::format_rfc3339_nanos(start).to_string(),
        "duration": format!("{:.6}s", f64::from(span.duration.unwrap_or_default().nanos) / 1e9),
        "tags": span.tags.iter().map(tag).collect::<Vec<_>>(),
        "process": {
            "serviceName": process.service_name,
            "tags": process.tags.iter().map(tag).collect::<Vec<_>>(),
        },
    });
    Sample::new(id, Some(hex(&span.trace_id).into()), json_bytes(&value))
}
