//! One Jaeger span to an OTLP request, as the OpenTelemetry specification maps the two.
//!
//! Tags that stand for something OTLP has a place for (kind, status, scope, trace state) move there;
//! all others become attributes. OTLP text is UTF-8, so a broken character is replaced here.

use bytes::Bytes;
use prost::Message as _;

use super::super::TranscodeError;
use super::super::otlp::common::{AnyValue, KeyValue, Resource, Scope};
use super::super::otlp::trace::{
    Event, Link, Request, ResourceSpans, ScopeSpans, Span as OtlpSpan, Status,
};
use super::span::{self, Instant, Span};
use super::{span_id, trace_id};

const SERVICE_NAME: &str = "service.name";
const STATUS_OK: i32 = 1;
const STATUS_ERROR: i32 = 2;

/// Converts one span.
pub(super) fn request(span: &Span) -> Result<Bytes, TranscodeError> {
    let trace = trace_id(&span.trace_id)?;
    let mut parent = None;
    let mut links = Vec::new();
    for reference in &span.references {
        let of = trace_id(&reference.trace_id)?;
        let id = span_id(&reference.span_id)?;
        let child = reference.ref_type == span::CHILD_OF;
        if child && of == trace && parent.is_none() {
            parent = Some(id);
            continue;
        }
        let kind = if child { "child_of" } else { "follows_from" };
        links.push(Link {
            trace_id: of.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            attributes: vec![text_attribute("opentracing.ref_type", kind)],
            ..Link::default()
        });
    }
    let start = nanos(span.start_time.unwrap_or_default());
    let mut out = OtlpSpan {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: span_id(&span.span_id)?.to_be_bytes().to_vec(),
        parent_span_id: parent
            .map(|id| id.to_be_bytes().to_vec())
            .unwrap_or_default(),
        name: text(&span.operation_name),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(nanos(span.duration.unwrap_or_default())),
        links,
        // The lowest eight bits are the flags of the W3C trace context.
        flags: span.flags & 0xff,
        ..OtlpSpan::default()
    };
    let mut scope = Scope::default();
    let mut status = Status::default();
    for tag in &span.tags {
        place(tag, &mut out, &mut scope, &mut status);
    }
    out.status = (status != Status::default()).then_some(status);
    out.events = span.logs.iter().map(event).collect();

    let mut resource = Resource::default();
    if let Some(process) = &span.process {
        resource
            .attributes
            .push(text_attribute(SERVICE_NAME, &text(&process.service_name)));
        resource
            .attributes
            .extend(process.tags.iter().map(attribute));
    }
    let request = Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: (scope != Scope::default()).then_some(scope),
                spans: vec![out],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    Ok(request.encode_to_vec().into())
}

/// Puts a tag where OTLP has a place for it.
fn place(tag: &span::KeyValue, out: &mut OtlpSpan, scope: &mut Scope, status: &mut Status) {
    let is_text = tag.v_type == span::STRING;
    let value = || text(&tag.v_str);
    match &*tag.key {
        b"span.kind" if is_text => {
            let kind = match &*tag.v_str {
                b"internal" => 1,
                b"server" => 2,
                b"client" => 3,
                b"producer" => 4,
                b"consumer" => 5,
                _ => 0,
            };
            match kind {
                0 => out.attributes.push(attribute(tag)),
                kind => out.kind = kind,
            }
        }
        b"otel.status_code" if is_text => {
            status.code = match &*tag.v_str {
                b"OK" => STATUS_OK,
                b"ERROR" => STATUS_ERROR,
                _ => status.code,
            };
        }
        b"otel.status_description" if is_text => status.message = value(),
        b"error" if is_true(tag) => status.code = STATUS_ERROR,
        b"otel.scope.name" | b"otel.library.name" if is_text => scope.name = value(),
        b"otel.scope.version" | b"otel.library.version" if is_text => scope.version = value(),
        b"w3c.tracestate" if is_text => out.trace_state = value(),
        _ => out.attributes.push(attribute(tag)),
    }
}

fn is_true(tag: &span::KeyValue) -> bool {
    match tag.v_type {
        span::BOOL => tag.v_bool,
        span::STRING => &*tag.v_str == b"true",
        _ => false,
    }
}

/// A log's field `event`, else `message`, names the event; its other fields are attributes.
fn event(log: &span::Log) -> Event {
    let named = |name: &[u8]| {
        let is = |field: &span::KeyValue| &*field.key == name && field.v_type == span::STRING;
        log.fields.iter().position(is)
    };
    let name = named(b"event").or_else(|| named(b"message"));
    let fields = log.fields.iter().enumerate();
    Event {
        time_unix_nano: nanos(log.timestamp.unwrap_or_default()),
        name: name
            .and_then(|at| log.fields.get(at))
            .map(|field| text(&field.v_str))
            .unwrap_or_default(),
        attributes: fields
            .filter(|(at, _)| Some(*at) != name)
            .map(|(_, field)| attribute(field))
            .collect(),
        ..Event::default()
    }
}

fn attribute(tag: &span::KeyValue) -> KeyValue {
    let mut value = AnyValue::default();
    match tag.v_type {
        span::BOOL => value.bool_value = Some(tag.v_bool),
        span::INT64 => value.int_value = Some(tag.v_int64),
        span::FLOAT64 => value.double_value = Some(tag.v_float64),
        span::BINARY => value.bytes_value = Some(tag.v_binary.to_vec()),
        _ => value.string_value = Some(text(&tag.v_str)),
    }
    KeyValue {
        key: text(&tag.key),
        value: Some(value),
    }
}

fn text_attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            string_value: Some(value.to_owned()),
            ..AnyValue::default()
        }),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Times before 1970 and negative durations are 0.
fn nanos(instant: Instant) -> u64 {
    let nanos = i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanos);
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &'static str, v_type: i32, v_str: &'static str) -> span::KeyValue {
        span::KeyValue {
            key: Bytes::from_static(key.as_bytes()),
            v_type,
            v_str: Bytes::from_static(v_str.as_bytes()),
            v_bool: true,
            v_int64: -2,
            v_float64: 0.5,
            v_binary: Bytes::from_static(&[0xFF]),
        }
    }

    fn reference(trace: u8, ref_type: i32, id: u8) -> span::SpanRef {
        span::SpanRef {
            trace_id: vec![trace; 16].into(),
            span_id: vec![id].into(),
            ref_type,
        }
    }

    fn rich() -> Span {
        Span {
            trace_id: vec![1; 16].into(),
            span_id: vec![0, 9].into(),
            operation_name: Bytes::from_static(b"op\xff"),
            references: vec![
                reference(2, span::CHILD_OF, 5),
                reference(1, span::FOLLOWS_FROM, 6),
                reference(1, span::CHILD_OF, 7),
            ],
            flags: 0x301,
            start_time: Some(Instant {
                seconds: 2,
                nanos: 3,
            }),
            duration: Some(Instant {
                seconds: 0,
                nanos: 40,
            }),
            tags: vec![
                tag("span.kind", span::STRING, "server"),
                tag("error", span::BOOL, ""),
                tag("otel.status_description", span::STRING, "broken"),
                tag("otel.scope.name", span::STRING, "shop"),
                tag("w3c.tracestate", span::STRING, "a=1"),
                tag("text", span::STRING, "s"),
                tag("truth", span::BOOL, ""),
                tag("whole", span::INT64, ""),
                tag("float", span::FLOAT64, ""),
                tag("raw", span::BINARY, ""),
            ],
            logs: vec![span::Log {
                timestamp: Some(Instant {
                    seconds: 3,
                    nanos: 0,
                }),
                fields: vec![
                    tag("event", span::STRING, "retry"),
                    tag("try", span::INT64, ""),
                ],
            }],
            process: Some(span::Process {
                service_name: Bytes::from_static(b"cart"),
                tags: vec![tag("host", span::STRING, "h1")],
            }),
        }
    }

    #[test]
    fn every_part_of_a_jaeger_span_has_its_place_in_otlp() {
        let bytes = request(&rich()).unwrap();
        let read = Request::decode(bytes).unwrap();
        let [group] = read.resource_spans.as_slice() else {
            panic!("{read:?}")
        };
        let names = |attributes: &[KeyValue]| {
            let keys: Vec<_> = attributes.iter().map(|one| one.key.clone()).collect();
            keys.join(" ")
        };
        let resource = group.resource.as_ref().unwrap();
        assert_eq!(names(&resource.attributes), "service.name host");
        let [scoped] = group.scope_spans.as_slice() else {
            panic!("{group:?}")
        };
        assert_eq!(scoped.scope.as_ref().unwrap().name, "shop");
        let [span] = scoped.spans.as_slice() else {
            panic!("{scoped:?}")
        };
        assert_eq!(span.trace_id, [1; 16]);
        assert_eq!(span.span_id, [0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(span.parent_span_id, [0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!((span.name.as_str(), span.kind), ("op\u{fffd}", 2));
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano),
            (2_000_000_003, 2_000_000_043)
        );
        assert_eq!((span.trace_state.as_str(), span.flags), ("a=1", 1));
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "broken"));
        assert_eq!(names(&span.attributes), "text truth whole float raw");
        let of = |key: &str| {
            let found = span.attributes.iter().find(|one| one.key == key);
            found.and_then(|one| one.value.clone()).unwrap()
        };
        assert_eq!(of("whole").int_value, Some(-2));
        assert_eq!(of("float").double_value, Some(0.5));
        assert_eq!(of("truth").bool_value, Some(true));
        assert_eq!(of("raw").bytes_value, Some(vec![0xFF]));
        let links: Vec<_> = span
            .links
            .iter()
            .map(|link| (link.trace_id[0], link.span_id[7]))
            .collect();
        assert_eq!(links, [(2, 5), (1, 6)]);
        let [event] = span.events.as_slice() else {
            panic!("{span:?}")
        };
        assert_eq!(
            (event.name.as_str(), event.time_unix_nano),
            ("retry", 3_000_000_000)
        );
        assert_eq!(names(&event.attributes), "try");
    }

    #[test]
    fn a_jaeger_span_without_times_or_process_is_an_otlp_span() {
        let bare = Span {
            trace_id: vec![1].into(),
            span_id: vec![2].into(),
            ..Span::default()
        };
        assert!(request(&bare).is_ok());
        assert!(request(&Span::default()).is_err(), "no ids");
    }
}
