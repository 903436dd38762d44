//! OTLP `ExportTraceServiceRequest`.

use prost::Message;

use super::{Faker, Sample};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::otlp::{
    Any, AnyValue, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span, SpanStatus,
    TracesRequest,
};

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::String(value.into())),
        }),
    }
}

pub(super) fn int(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::Int(value)),
        }),
    }
}

pub(super) fn resource(id: RecordId, faker: &mut Faker) -> Resource {
    Resource {
        attributes: vec![
            text("service.name", faker.service()),
            text("host.name", faker.host()),
            text(RECORD_ID_KEY, id.to_string()),
        ],
    }
}

pub(super) fn scope() -> Scope {
    Scope {
        name: "io.opentelemetry.http".to_owned(),
        version: "2.1.0".to_owned(),
    }
}

/// A resource with two spans; the id is the resource attribute `record_id`, so it is found once
/// however many spans a request is merged from. There is no key, as exporters set none.
#[must_use]
pub fn trace(id: RecordId, faker: &mut Faker) -> Sample {
    let start = faker.tick_ns();
    let took = faker.below(300_000_000) + 1000;
    let trace_id = faker.bytes::<16>().to_vec();
    let parent = faker.bytes::<8>().to_vec();
    let status = faker.status();
    let server = Span {
        trace_id: trace_id.clone(),
        span_id: parent.clone(),
        name: format!("{} {}", faker.method(), faker.path()),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + took,
        attributes: vec![
            text("http.request.method", faker.method()),
            int("http.response.status_code", i64::from(status)),
            text("url.path", faker.path()),
        ],
        status: Some(SpanStatus {
            message: String::new(),
            code: if status >= 500 { 2 } else { 0 },
        }),
        ..Span::default()
    };
    let client = Span {
        trace_id,
        span_id: faker.bytes::<8>().to_vec(),
        parent_span_id: parent,
        name: "SELECT orders".to_owned(),
        kind: 3,
        start_time_unix_nano: start + took / 4,
        end_time_unix_nano: start + took / 2,
        attributes: vec![text("db.system", "postgresql")],
        ..Span::default()
    };
    let message = TracesRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(id, faker)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: vec![server, client],
            }],
        }],
    };
    Sample::new(id, None, message.encode_to_vec())
}
