//! SkyWalking's messages to the JSON that its own server takes over HTTP.
//!
//! The server reads the protobuf mapping of JSON: names in camel case, enums by name, 64-bit
//! numbers as text. A table of fields for each message is all that has to be known; fields that a
//! table does not name are left out.

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value};

use super::TranscodeError;

/// What a key begins with under which an agent registers itself.
const REGISTRATION: &[u8] = b"register-";

/// One field of a message.
struct Field {
    number: u32,
    name: &'static str,
    kind: Kind,
    repeated: bool,
}

enum Kind {
    Text,
    Flag,
    Int32,
    Int64,
    Enum(&'static [&'static str]),
    Message(&'static [Field]),
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
    }
}

const fn many(number: u32, name: &'static str, of: &'static [Field]) -> Field {
    Field {
        number,
        name,
        kind: Kind::Message(of),
        repeated: true,
    }
}

const PAIR: &[Field] = &[one(1, "key", Kind::Text), one(2, "value", Kind::Text)];

const SEGMENT: &[Field] = &[
    one(1, "traceId", Kind::Text),
    one(2, "traceSegmentId", Kind::Text),
    many(3, "spans", SPAN),
    one(4, "service", Kind::Text),
    one(5, "serviceInstance", Kind::Text),
    one(6, "isSizeLimited", Kind::Flag),
];

const SPAN: &[Field] = &[
    one(1, "spanId", Kind::Int32),
    one(2, "parentSpanId", Kind::Int32),
    one(3, "startTime", Kind::Int64),
    one(4, "endTime", Kind::Int64),
    many(5, "refs", REFERENCE),
    one(6, "operationName", Kind::Text),
    one(7, "peer", Kind::Text),
    one(8, "spanType", Kind::Enum(&["Entry", "Exit", "Local"])),
    one(
        9,
        "spanLayer",
        Kind::Enum(&[
            "Unknown",
            "Database",
            "RPCFramework",
            "Http",
            "MQ",
            "Cache",
            "FAAS",
        ]),
    ),
    one(10, "componentId", Kind::Int32),
    one(11, "isError", Kind::Flag),
    many(12, "tags", PAIR),
    many(13, "logs", SPAN_LOG),
    one(14, "skipAnalysis", Kind::Flag),
];

const SPAN_LOG: &[Field] = &[one(1, "time", Kind::Int64), many(2, "data", PAIR)];

const REFERENCE: &[Field] = &[
    one(1, "refType", Kind::Enum(&["CrossProcess", "CrossThread"])),
    one(2, "traceId", Kind::Text),
    one(3, "parentTraceSegmentId", Kind::Text),
    one(4, "parentSpanId", Kind::Int32),
    one(5, "parentService", Kind::Text),
    one(6, "parentServiceInstance", Kind::Text),
    one(7, "parentEndpoint", Kind::Text),
    one(8, "networkAddressUsedAtPeer", Kind::Text),
];

const LOG: &[Field] = &[
    one(1, "timestamp", Kind::Int64),
    one(2, "service", Kind::Text),
    one(3, "serviceInstance", Kind::Text),
    one(4, "endpoint", Kind::Text),
    one(
        5,
        "body",
        Kind::Message(&[
            one(1, "type", Kind::Text),
            one(2, "text", Kind::Message(&[one(1, "text", Kind::Text)])),
            one(3, "json", Kind::Message(&[one(1, "json", Kind::Text)])),
            one(4, "yaml", Kind::Message(&[one(1, "yaml", Kind::Text)])),
        ]),
    ),
    one(
        6,
        "traceContext",
        Kind::Message(&[
            one(1, "traceId", Kind::Text),
            one(2, "traceSegmentId", Kind::Text),
            one(3, "spanId", Kind::Int32),
        ]),
    ),
    one(7, "tags", Kind::Message(&[many(1, "data", PAIR)])),
    one(8, "layer", Kind::Text),
];

const PROPERTIES: &[Field] = &[
    one(1, "service", Kind::Text),
    one(2, "serviceInstance", Kind::Text),
    many(3, "properties", PAIR),
    one(4, "layer", Kind::Text),
];

const PING: &[Field] = &[
    one(1, "service", Kind::Text),
    one(2, "serviceInstance", Kind::Text),
    one(3, "layer", Kind::Text),
];

/// Whether a record of the managements topic with this key holds an agent's properties; the bytes
/// do not tell, a sign of life looks the same.
pub(super) fn is_registration(key: Option<&[u8]>) -> bool {
    key.is_some_and(|key| key.starts_with(REGISTRATION))
}

/// A `SegmentObject` to a JSON object.
pub(super) fn segment(value: &Bytes) -> Result<Bytes, TranscodeError> {
    object(value, SEGMENT)
}

/// A `LogData` to a JSON list of it alone.
pub(super) fn logs(value: &Bytes) -> Result<Bytes, TranscodeError> {
    let log = message(&mut value.clone(), LOG).map_err(TranscodeError::Protobuf)?;
    Ok(Value::Array(vec![Value::Object(log)]).to_string().into())
}

/// An `InstanceProperties` to a JSON object.
pub(super) fn properties(value: &Bytes) -> Result<Bytes, TranscodeError> {
    object(value, PROPERTIES)
}

/// An `InstancePingPkg` to a JSON object.
pub(super) fn ping(value: &Bytes) -> Result<Bytes, TranscodeError> {
    object(value, PING)
}

fn object(value: &Bytes, fields: &[Field]) -> Result<Bytes, TranscodeError> {
    let object = message(&mut value.clone(), fields).map_err(TranscodeError::Protobuf)?;
    Ok(Value::Object(object).to_string().into())
}

fn message(from: &mut Bytes, fields: &[Field]) -> Result<Map<String, Value>, prost::DecodeError> {
    let mut object = Map::new();
    while from.has_remaining() {
        let (number, wire) = decode_key(from)?;
        let Some(field) = fields.iter().find(|field| field.number == number) else {
            skip_field(wire, number, from, DecodeContext::default())?;
            continue;
        };
        let value = field_value(from, wire, &field.kind)?;
        if field.repeated {
            let list = object
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else {
            object.insert(field.name.to_owned(), value);
        }
    }
    Ok(object)
}

fn field_value(from: &mut Bytes, wire: WireType, kind: &Kind) -> Result<Value, prost::DecodeError> {
    if let Kind::Text | Kind::Message(_) = kind {
        let mut bytes = Bytes::new();
        prost::encoding::bytes::merge(wire, &mut bytes, from, DecodeContext::default())?;
        return Ok(match kind {
            Kind::Message(fields) => Value::Object(message(&mut bytes, fields)?),
            _ => Value::from(String::from_utf8_lossy(&bytes).into_owned()),
        });
    }
    prost::encoding::check_wire_type(WireType::Varint, wire)?;
    let number = decode_varint(from)?;
    Ok(match kind {
        Kind::Flag => Value::from(number != 0),
        Kind::Int64 => Value::from(number.cast_signed().to_string()),
        Kind::Enum(names) => usize::try_from(number)
            .ok()
            .and_then(|at| names.get(at))
            // A name that is newer than this table passes as its number, which the mapping allows.
            .map_or_else(|| Value::from(number), |name| Value::from(*name)),
        _ => Value::from(number.cast_signed() as i32),
    })
}

#[cfg(test)]
mod tests {
    use kafkamq_testbed::payload::{log_data, segment as segment_payload};
    use kafkamq_testbed::wire::skywalking as peer;
    use kafkamq_testbed::{Faker, RecordId, Route};
    use prost::Message as _;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_segment_becomes_the_json_of_its_peer() {
        let mut faker = Faker::new(9, 1_700_000_000_000_000_000);
        for sequence in 0..50 {
            let id = RecordId::new(Route::SkywalkingSegments, 0, sequence);
            let sample = segment_payload::segment(id, &mut faker);
            let peer = peer::SegmentObject::decode(sample.value.clone()).unwrap();
            let json = read(&segment(&sample.value).unwrap());
            assert_eq!(json["traceId"], peer.trace_id.as_str());
            assert_eq!(json["serviceInstance"], peer.service_instance.as_str());
            let spans = json["spans"].as_array().unwrap();
            assert_eq!(spans.len(), peer.spans.len());
            for (span, peer) in spans.iter().zip(&peer.spans) {
                assert_eq!(span["operationName"], peer.operation_name.as_str());
                assert_eq!(span["startTime"], peer.start_time.to_string());
                let kind = ["Entry", "Exit", "Local"][usize::try_from(peer.span_type).unwrap()];
                // A default is not on the wire and may be left out.
                assert_eq!(
                    span.get("spanType")
                        .map_or("Entry", |kind| kind.as_str().unwrap()),
                    kind
                );
                let tags = span["tags"].as_array().map_or(0, Vec::len);
                assert_eq!(tags, peer.tags.len());
                assert_eq!(
                    span.get("parentSpanId")
                        .map_or(0, |id| id.as_i64().unwrap()),
                    i64::from(peer.parent_span_id)
                );
            }
        }
    }

    #[test]
    fn logs_become_a_list_and_the_key_tells_managements_apart() {
        let mut faker = Faker::new(9, 1_700_000_000_000_000_000);
        let id = RecordId::new(Route::SkywalkingLogs, 0, 1);
        let sample = log_data::log_data(id, &mut faker);
        let peer = peer::LogData::decode(sample.value.clone()).unwrap();
        let json = read(&logs(&sample.value).unwrap());
        assert_eq!(json[0]["timestamp"], peer.timestamp.to_string());
        assert!(json[0]["body"]["text"]["text"].is_string());

        let registration = b"\x0a\x04shop\x12\x06shop-1\x1a\x0b\x0a\x02os\x12\x05linux";
        assert_eq!(
            read(&properties(&Bytes::from_static(registration)).unwrap()),
            json!({"service": "shop", "serviceInstance": "shop-1", "properties": [{"key": "os", "value": "linux"}]})
        );
        let alive = b"\x0a\x04shop\x12\x06shop-1\x1a\x07GENERAL";
        assert_eq!(
            read(&ping(&Bytes::from_static(alive)).unwrap()),
            json!({"service": "shop", "serviceInstance": "shop-1", "layer": "GENERAL"})
        );
        assert!(is_registration(Some(b"register-shop-1")));
        assert!(!is_registration(Some(b"shop-1")) && !is_registration(None));
    }

    #[test]
    fn what_is_not_a_message_is_refused_and_the_unknown_left_out() {
        assert!(segment(&Bytes::from_static(b"hello")).is_err());
        let newer = b"\x0a\x01t\xf2\x06\x01x";
        assert_eq!(
            read(&segment(&Bytes::from_static(newer)).unwrap()),
            json!({"traceId": "t"})
        );
    }
}
