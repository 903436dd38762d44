//! What a span record is, told from its bytes: a hint, good enough where a topic is mixed.

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::parse::without_mark;

/// The encodings of spans that records hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanEncoding {
    /// Jaeger Thrift `Batch`.
    JaegerThrift,
    /// Jaeger `model.Span`.
    JaegerProto,
    /// Jaeger `model.Span` in JSON.
    JaegerJson,
    /// Zipkin list in Thrift.
    ZipkinThrift,
    /// Zipkin v2 list in protobuf.
    ZipkinProto,
    /// Zipkin v2 list in JSON.
    ZipkinJson,
    /// OTLP export request.
    OtlpProto,
    /// OTLP export request in JSON.
    OtlpJson,
}

/// The encoding of a record, or none if its bytes begin like none of them.
pub(super) fn detect(value: &[u8]) -> Option<SpanEncoding> {
    let value = without_mark(value);
    match value {
        // A list of structs with fewer than 65536 elements, or a struct whose first field is the
        // struct with number 1. Neither byte can begin a protobuf message.
        [0x0C, 0, 0, ..] => Some(SpanEncoding::ZipkinThrift),
        [0x0C, 0, 1, ..] => Some(SpanEncoding::JaegerThrift),
        _ => match value.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Some(object(value)),
            Some(b'[') => Some(SpanEncoding::ZipkinJson),
            _ => message(value),
        },
    }
}

fn object(value: &[u8]) -> SpanEncoding {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "resourceSpans")]
        spans: Option<IgnoredAny>,
    }
    match serde_json::from_slice::<Probe>(value) {
        Ok(Probe { spans: Some(_) }) => SpanEncoding::OtlpJson,
        _ => SpanEncoding::JaegerJson,
    }
}

/// Lists hold field 1 alone; a span has others beside its trace id.
fn message(value: &[u8]) -> Option<SpanEncoding> {
    let numbers = field_numbers(value)?;
    if numbers.beyond(1) {
        return Some(SpanEncoding::JaegerProto);
    }
    let first = first_element(value)?;
    // Resource, scopes and schema; a Zipkin span has kind, name, times and more above those.
    match field_numbers(first) {
        Some(numbers) if numbers.beyond(3) => Some(SpanEncoding::ZipkinProto),
        Some(_) => Some(SpanEncoding::OtlpProto),
        None => None,
    }
}

/// The set of field numbers in a message, those above 63 counted as 63.
struct Numbers(u64);

impl Numbers {
    /// Whether there is one above `number`. Numbers from 1000 on are reserved or deprecated parts of
    /// OTLP and tell nothing.
    const fn beyond(&self, number: u32) -> bool {
        self.0 >> (number + 1) != 0
    }
}

fn field_numbers(mut message: &[u8]) -> Option<Numbers> {
    let mut found = 0;
    while message.has_remaining() {
        let (number, wire) = decode_key(&mut message).ok()?;
        skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
        if number < 1000 {
            found |= 1 << number.min(63);
        }
    }
    (found != 0).then_some(Numbers(found))
}

fn first_element(mut message: &[u8]) -> Option<&[u8]> {
    match decode_key(&mut message).ok()? {
        (1, WireType::LengthDelimited) => {
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            message.get(..length)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kafkamq_testbed::payload::{Faker, jaeger_span, jaeger_thrift, otlp_trace};
    use kafkamq_testbed::{RecordId, Route};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn payloads_of_real_shape_are_told_apart() {
        let mut faker = Faker::new(3, 1_700_000_000_000_000_000);
        for sequence in 0..200 {
            let id = |route| RecordId::new(route, 0, sequence);
            let found = [
                jaeger_thrift::batch(id(Route::JaegerThrift), &mut faker),
                jaeger_span::protobuf(id(Route::JaegerProto), &mut faker),
                jaeger_span::json(id(Route::JaegerJson), &mut faker),
                otlp_trace::trace(id(Route::OtelTraces), &mut faker),
            ]
            .map(|sample| detect(&sample.value));
            let expected = [
                SpanEncoding::JaegerThrift,
                SpanEncoding::JaegerProto,
                SpanEncoding::JaegerJson,
                SpanEncoding::OtlpProto,
            ];
            assert_eq!(found, expected.map(Some));
        }
    }

    #[test]
    fn the_other_encodings_are_recognised() {
        let cases: [(&[u8], Option<SpanEncoding>); 8] = [
            (br#" {"resourceSpans":[]}"#, Some(SpanEncoding::OtlpJson)),
            (
                br#"{"tags":[{"key":"resourceSpans"}]}"#,
                Some(SpanEncoding::JaegerJson),
            ),
            (br#"[{"traceId":"1"}]"#, Some(SpanEncoding::ZipkinJson)),
            (&[0x0C, 0, 0, 0, 2, 0x0A], Some(SpanEncoding::ZipkinThrift)),
            // A list of one span with trace id, id and kind.
            (
                b"\x0a\x16\x0a\x08abcdefgh\x1a\x08ijklmnop\x20\x01",
                Some(SpanEncoding::ZipkinProto),
            ),
            (b"hello", None),
            (b"\x0a\x7f", None),
            (b"", None),
        ];
        for (value, encoding) in cases {
            assert_eq!(detect(value), encoding, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let json = value.first().is_some_and(|byte| *byte == b'{');
            let found = detect(&value);
            prop_assert!(!json || matches!(found, Some(SpanEncoding::JaegerJson | SpanEncoding::OtlpJson)));
        }
    }
}
