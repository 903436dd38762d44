//! SkyWalking's `LogData` in JSON to binary. Names are in camel case or as the protobuf definition
//! has them, unknown ones are ignored.

use bytes::Bytes;
use prost::Message;
use serde::Deserialize;

use super::TranscodeError;
use super::json::{int, message, or_default};

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogData {
    #[prost(int64, tag = "1")]
    #[serde(deserialize_with = "int")]
    timestamp: i64,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    service: String,
    #[prost(string, tag = "3")]
    #[serde(alias = "service_instance", deserialize_with = "or_default")]
    service_instance: String,
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[prost(message, optional, tag = "5")]
    body: Option<Body>,
    #[prost(message, optional, tag = "6")]
    #[serde(alias = "trace_context")]
    trace_context: Option<TraceContext>,
    #[prost(message, optional, tag = "7")]
    tags: Option<Tags>,
    #[prost(string, tag = "8")]
    #[serde(deserialize_with = "or_default")]
    layer: String,
}

/// `LogDataBody`: at most one of the contents is set.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Body {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    r#type: String,
    #[prost(message, optional, tag = "2")]
    text: Option<TextLog>,
    #[prost(message, optional, tag = "3")]
    json: Option<JsonLog>,
    #[prost(message, optional, tag = "4")]
    yaml: Option<YamlLog>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct TextLog {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    text: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct JsonLog {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    json: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct YamlLog {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    yaml: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TraceContext {
    #[prost(string, tag = "1")]
    #[serde(alias = "trace_id", deserialize_with = "or_default")]
    trace_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "trace_segment_id", deserialize_with = "or_default")]
    trace_segment_id: String,
    #[prost(int32, tag = "3")]
    #[serde(alias = "span_id", deserialize_with = "int")]
    span_id: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Tags {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    data: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Pair {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    value: String,
}

/// Converts one log. Receivers cannot take one without a body, so that is refused here.
pub(super) fn log_from_json(value: &[u8]) -> Result<Bytes, TranscodeError> {
    let log: LogData = message(value)?;
    if log.body.is_none() {
        return Err(TranscodeError::NoMember("body"));
    }
    Ok(log.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use kafkamq_testbed::payload::log_data;
    use kafkamq_testbed::wire::skywalking as peer;
    use kafkamq_testbed::{Faker, RecordId, Route};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_log_becomes_the_message_of_its_peer() {
        let mut faker = Faker::new(9, 1_700_000_000_000_000_000);
        for sequence in 0..50 {
            let id = RecordId::new(Route::SkywalkingLogs, 0, sequence);
            let sample = log_data::log_data(id, &mut faker);
            let log = peer::LogData::decode(sample.value.clone()).unwrap();
            let context = log.trace_context.unwrap();
            let body = log.body.unwrap();
            let Some(peer::LogContent::Text(text)) = body.content else {
                panic!("{body:?}")
            };
            let tags: Vec<_> = log
                .tags
                .unwrap()
                .data
                .iter()
                .map(|pair| json!({"key": pair.key, "value": pair.value}))
                .collect();
            let value = json!({
                "timestamp": log.timestamp.to_string(),
                "service": log.service,
                "serviceInstance": log.service_instance,
                "endpoint": log.endpoint,
                "body": {"type": body.r#type, "text": {"text": text.text}},
                "trace_context": {"traceId": context.trace_id, "trace_segment_id": context.trace_segment_id, "spanId": context.span_id},
                "tags": {"data": tags},
                "layer": log.layer,
                "unknown": [1],
            });
            assert_eq!(
                log_from_json(value.to_string().as_bytes()).unwrap(),
                sample.value
            );
        }
    }

    #[test]
    fn each_kind_of_body_keeps_its_place() {
        let convert =
            |value: &str| peer::LogData::decode(log_from_json(value.as_bytes()).unwrap()).unwrap();
        let content = |log: peer::LogData| log.body.unwrap().content.unwrap();
        let log = convert(r#"{"timestamp":5,"body":{"json":{"json":"{}"}},"tags":null}"#);
        assert_eq!(log.timestamp, 5);
        let text = |text: &str| peer::LogText {
            text: text.to_owned(),
        };
        assert_eq!(content(log), peer::LogContent::Json(text("{}")));
        let log = convert(r#"{"body":{"yaml":{"yaml":"a: 1"}}}"#);
        assert_eq!(content(log), peer::LogContent::Yaml(text("a: 1")));
    }

    #[test]
    fn what_is_not_a_log_is_refused() {
        for value in [
            "[]",
            "{}",
            r#"{"message":"x"}"#,
            r#"{"body":null}"#,
            r#"{"body":{},"timestamp":"now"}"#,
        ] {
            assert!(log_from_json(value.as_bytes()).is_err(), "{value}");
        }
    }
}
