//! The Thrift side is read by the test bed's decoder and, where that does not look, by the reader
//! at the end of this file; spans come from the test bed's payloads and from proptest.

use kafkamq_testbed::payload::{Faker, jaeger_span};
use kafkamq_testbed::wire::jaeger as peer;
use kafkamq_testbed::wire::thrift::read_batch;
use kafkamq_testbed::{RECORD_ID_KEY, RecordId, Route};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn convert(span: &peer::Span) -> Result<Bytes, TranscodeError> {
    thrift_of(&span.encode_to_vec().into())
}

fn thrift_of(value: &Bytes) -> Result<Bytes, TranscodeError> {
    from_protobuf(value, SpanTarget::Thrift).map(|(_, bytes)| bytes)
}

fn thrift_of_json(value: &[u8]) -> Result<Bytes, TranscodeError> {
    from_json(value, SpanTarget::Thrift).map(|(_, bytes)| bytes)
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |id, byte| id << 8 | i64::from(*byte))
}

#[test]
fn protobuf_and_json_spans_become_the_batch_of_their_peer() {
    let mut faker = Faker::new(11, 1_700_000_000_123_456_789);
    for sequence in 0..300 {
        let id = RecordId::new(Route::JaegerProto, 0, sequence);
        let mut twin = faker.clone();
        let sample = jaeger_span::protobuf(id, &mut faker);
        let json = jaeger_span::json(id, &mut twin);
        let span = peer::Span::decode(sample.value.clone()).unwrap();

        let bytes = thrift_of(&sample.value).unwrap();
        let batch = read_batch(&bytes).unwrap();
        let [read] = batch.spans.as_slice() else {
            panic!("{batch:?}")
        };
        let process = span.process.clone().unwrap();
        assert_eq!(batch.service, process.service_name);
        assert_eq!(
            batch.tags,
            [("hostname".to_owned(), process.tags[0].v_str.clone())]
        );
        let (high, low) = span.trace_id.split_at(8);
        assert_eq!(read.trace_id, (number(high), number(low)));
        assert_eq!(read.span_id, number(&span.span_id));
        let parent = span.references.first();
        assert_eq!(
            read.parent_span_id,
            parent.map_or(0, |parent| number(&parent.span_id))
        );
        assert_eq!(read.operation_name, span.operation_name);
        let start = span.start_time.unwrap();
        assert_eq!(
            read.start_time,
            start.seconds * 1_000_000 + i64::from(start.nanos) / 1000
        );
        assert_eq!(
            read.duration,
            i64::from(span.duration.unwrap().nanos) / 1000
        );
        assert_eq!(read.tags[0], (RECORD_ID_KEY.to_owned(), id.to_string()));
        assert_eq!(read.tags.len(), 2, "the third is an integer");

        assert_eq!(
            thrift_of_json(&json.value).unwrap(),
            bytes,
            "{:?}",
            json.value
        );
    }
}

#[test]
fn every_field_has_its_place() {
    let tag = |key: &str, kind: peer::ValueType| peer::KeyValue {
        key: key.to_owned(),
        v_type: kind.into(),
        v_str: "s".to_owned(),
        v_bool: true,
        v_int64: -2,
        v_float64: 0.5,
        v_binary: vec![0xFF],
    };
    let reference = |trace: u8, ref_type, id: u8| peer::SpanRef {
        trace_id: vec![trace; 16],
        span_id: vec![id],
        ref_type,
    };
    let instant = |seconds, nanos| Some(peer::Instant { seconds, nanos });
    let span = peer::Span {
        trace_id: vec![1; 16],
        span_id: vec![0, 9],
        operation_name: "op".to_owned(),
        // Another trace's parent, a cause, the parent, a second parent.
        references: vec![
            reference(2, 0, 5),
            reference(1, 1, 6),
            reference(1, 0, 7),
            reference(1, 0, 8),
        ],
        flags: u32::MAX,
        start_time: instant(2, 3_999),
        duration: instant(0, 1_000_000),
        tags: vec![
            tag("text", peer::ValueType::String),
            tag("truth", peer::ValueType::Bool),
            tag("whole", peer::ValueType::Int64),
            tag("float", peer::ValueType::Float64),
            tag("raw", peer::ValueType::Binary),
        ],
        logs: vec![peer::Log {
            timestamp: instant(3, 0),
            fields: vec![tag("event", peer::ValueType::String)],
        }],
        process: Some(peer::Process {
            service_name: "shop".to_owned(),
            tags: Vec::new(),
        }),
        process_id: "p1".to_owned(),
        warnings: vec!["clock skew".to_owned()],
    };
    let bytes = convert(&span).unwrap();
    assert_eq!(read_batch(&bytes).unwrap().spans[0].parent_span_id, 7);
    insta::assert_snapshot!(show(&bytes));
}

#[test]
fn a_span_without_process_or_times_is_still_one() {
    let span = peer::Span {
        trace_id: vec![1; 8],
        span_id: vec![2; 8],
        ..peer::Span::default()
    };
    let batch = read_batch(&convert(&span).unwrap()).unwrap();
    assert_eq!((batch.service.as_str(), batch.spans[0].start_time), ("", 0));
    assert_eq!(batch.spans[0].trace_id, (0, number(&[1; 8])));
}

#[test]
fn what_is_not_a_span_is_refused_with_its_reason() {
    let reason = |result: Result<Bytes, TranscodeError>| result.unwrap_err().to_string();
    let reasons = [
        reason(thrift_of(&Bytes::from_static(b"\x0a\xff"))),
        reason(convert(&peer::Span::default())),
        reason(convert(&peer::Span {
            trace_id: vec![1; 17],
            ..peer::Span::default()
        })),
        reason(thrift_of_json(b"{")),
        reason(thrift_of_json(
            br#"{"traceId":"AQ==","spanId":"AQ==","startTime":"now"}"#,
        )),
        reason(thrift_of_json(
            br#"{"traceId":"AQ==","spanId":"AQ==","duration":"1ms"}"#,
        )),
        reason(thrift_of_json(
            br#"{"traceId":"AQ==","tags":[{"vType":"DATE"}]}"#,
        )),
    ];
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn text_that_is_not_utf_8_passes() {
    let name = b"caf\xe9";
    let span = Span {
        trace_id: Bytes::from_static(&[1; 16]),
        span_id: Bytes::from_static(&[2; 8]),
        operation_name: Bytes::from_static(name),
        ..Span::default()
    };
    let bytes = thrift_of(&span.encode_to_vec().into()).unwrap();
    assert!(bytes.windows(name.len()).any(|part| part == name));
}

prop_compose! {
    fn any_span()(
        trace_id in prop::collection::vec(any::<u8>(), 1..=16),
        span_id in prop::collection::vec(any::<u8>(), 1..=8),
        operation_name in ".*",
        flags in any::<u32>(),
        seconds in -10_000_000_000i64..10_000_000_000,
        nanos in 0i32..1_000_000_000,
        tags in prop::collection::vec((".*", ".*"), 0..5),
        service in ".*",
    ) -> peer::Span {
        let tags = tags
            .into_iter()
            .map(|(key, v_str)| peer::KeyValue { key, v_str, ..peer::KeyValue::default() })
            .collect::<Vec<_>>();
        peer::Span {
            trace_id,
            span_id,
            operation_name,
            flags,
            start_time: Some(peer::Instant { seconds, nanos }),
            tags: tags.clone(),
            process: Some(peer::Process { service_name: service, tags }),
            ..peer::Span::default()
        }
    }
}

proptest! {
    #[test]
    fn any_span_reads_back(span in any_span()) {
        let batch = read_batch(&convert(&span).unwrap()).unwrap();
        let read = &batch.spans[0];
        let tags: Vec<_> = span.tags.iter().map(|tag| (tag.key.clone(), tag.v_str.clone())).collect();
        let start = span.start_time.unwrap();
        prop_assert_eq!(&batch.service, &span.process.as_ref().unwrap().service_name);
        prop_assert_eq!(&batch.tags, &tags);
        prop_assert_eq!(&read.tags, &tags);
        prop_assert_eq!(&read.operation_name, &span.operation_name);
        prop_assert_eq!(read.span_id, number(&span.span_id));
        prop_assert_eq!(read.start_time, start.seconds * 1_000_000 + i64::from(start.nanos / 1000));
    }

    #[test]
    fn any_bytes_are_converted_or_refused(value in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(batch) = thrift_of(&value.into()) {
            prop_assert!(read_batch(&batch).is_ok());
        }
    }
}

/// One line a field, indented by depth.
fn show(bytes: &[u8]) -> String {
    let mut out = String::new();
    let rest = show_struct(bytes, 0, &mut out);
    assert_eq!(rest, b"");
    out
}

fn show_struct<'a>(mut bytes: &'a [u8], depth: usize, out: &mut String) -> &'a [u8] {
    loop {
        let (&kind, rest) = bytes.split_first().unwrap();
        if kind == 0 {
            return rest;
        }
        let (id, rest) = rest.split_first_chunk::<2>().unwrap();
        out.push_str(&format!(
            "{:1$}{2}: ",
            "",
            depth * 2,
            i16::from_be_bytes(*id)
        ));
        bytes = show_value(kind, rest, depth, out);
    }
}

fn show_value<'a>(kind: u8, bytes: &'a [u8], depth: usize, out: &mut String) -> &'a [u8] {
    let (shown, rest) = match kind {
        2 => (format!("bool {}", bytes[0]), &bytes[1..]),
        4 => {
            let (value, rest) = bytes.split_first_chunk().unwrap();
            (format!("double {}", f64::from_be_bytes(*value)), rest)
        }
        8 => {
            let (value, rest) = bytes.split_first_chunk().unwrap();
            (format!("i32 {}", i32::from_be_bytes(*value)), rest)
        }
        10 => {
            let (value, rest) = bytes.split_first_chunk().unwrap();
            (format!("i64 {:#x}", i64::from_be_bytes(*value)), rest)
        }
        11 => {
            let (length, rest) = bytes.split_first_chunk().unwrap();
            let (value, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            (format!("\"{}\"", value.escape_ascii()), rest)
        }
        12 => {
            out.push_str("struct\n");
            return show_struct(bytes, depth + 1, out);
        }
        15 => {
            let (length, mut rest) = bytes[1..].split_first_chunk().unwrap();
            let length = u32::from_be_bytes(*length);
            out.push_str(&format!("list of {length}\n"));
            for _ in 0..length {
                out.push_str(&format!("{:1$}-\n", "", depth * 2 + 2));
                rest = show_struct(rest, depth + 2, out);
            }
            return rest;
        }
        other => panic!("type {other}"),
    };
    out.push_str(&shown);
    out.push('\n');
    rest
}
