//! What receivers write into the bodies of their answers.

use prost::Message as _;
use serde_json::Value;

use super::super::answer::Answer;

/// Export*ServiceResponse of OTLP; the three signals share the layout.
#[derive(prost::Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// google.rpc.Status.
#[derive(prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The number of refused entries and the message of an OTLP answer, `None` if it says neither.
///
/// A body that cannot be read is ignored: the status has already said that it was accepted.
pub(super) fn partial_success(answer: &Answer) -> Option<(u64, String)> {
    if answer.body.is_empty() {
        return None;
    }
    let (rejected, message) = if is(answer, "json") {
        let value: Value = serde_json::from_slice(&answer.body).ok()?;
        let partial = value.get("partialSuccess")?;
        let rejected = [
            "rejectedSpans",
            "rejectedDataPoints",
            "rejectedLogRecords",
            "rejectedProfiles",
        ]
        .iter()
        .find_map(|name| number(partial.get(name)?))
        .unwrap_or(0);
        let message = partial
            .get("errorMessage")
            .and_then(Value::as_str)
            .unwrap_or_default();
        (rejected, message.to_owned())
    } else {
        let partial = ExportResponse::decode(answer.body.clone())
            .ok()?
            .partial_success?;
        (partial.rejected, partial.error_message)
    };
    let rejected = u64::try_from(rejected).unwrap_or(0);
    (rejected > 0 || !message.is_empty()).then_some((rejected, message))
}

/// What the body of a refusal says: the message of the known error formats, or the text itself.
pub(super) fn error_text(answer: &Answer) -> String {
    if is(answer, "protobuf") {
        return RpcStatus::decode(answer.body.clone())
            .map(|status| status.message)
            .unwrap_or_default();
    }
    if is(answer, "html") {
        return String::new();
    }
    if let Ok(Value::Object(error)) = serde_json::from_slice(&answer.body) {
        let text = |name: &str| {
            error
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let message = text("message")
            .or_else(|| text("error"))
            .or_else(|| text("errorMessage"));
        match (text("error_code").or_else(|| text("code")), message) {
            (Some(code), Some(message)) => return format!("{code}: {message}"),
            (Some(only), None) | (None, Some(only)) => return only.to_owned(),
            (None, None) => {}
        }
    }
    // Enough for the reason, which is cut further; a body can have megabytes.
    let start = answer.body.get(..4096).unwrap_or(&answer.body);
    String::from_utf8_lossy(start).into_owned()
}

fn is(answer: &Answer, kind: &str) -> bool {
    answer
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains(kind))
}

/// 64-bit numbers travel as strings in proto JSON; plain numbers are accepted too.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
