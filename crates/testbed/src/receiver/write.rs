//! The point encodings of the write interface, read for the ids of the points.

use kafkamq_point::Category;
use kafkamq_point::codec::{DecodeOptions, line_protocol};
use prost::Message;
use serde_json::{Map, Value};

use super::found::Found;
use crate::record::RECORD_ID_KEY;
use crate::wire::point::{PbPoints, PbValue};

/// How points are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    LineProtocol,
    Json,
    Protobuf,
}

impl Encoding {
    /// As the write interface chooses by Content-Type: JSON by substring, the others exactly.
    pub(super) fn of(content_type: &str) -> Self {
        match content_type {
            "application/protobuf; proto=com.guance.Point" => Self::Protobuf,
            "application/pbjson; proto=com.guance.Point" => Self::Json,
            other if other.contains("application/json") => Self::Json,
            _ => Self::LineProtocol,
        }
    }

    /// The error code of a decode error.
    pub(super) const fn error_code(self) -> &'static str {
        match self {
            Self::LineProtocol => "datakit.invalidLinePoint",
            Self::Json => "datakit.invalidJsonPoint",
            Self::Protobuf => "datakit.invalidProtobufPoint",
        }
    }
}

/// Decodes points and counts them by id: the tag or field `record_id`, else an id inside
/// `message`. `metric` tells that the points are metrics, in which text fields are lost.
pub(super) fn points(
    encoding: Encoding,
    body: &[u8],
    metric: bool,
) -> Result<(Found, usize), String> {
    match encoding {
        Encoding::LineProtocol => lines(body, metric),
        Encoding::Json => json(body, metric),
        Encoding::Protobuf => protobuf(body, metric),
    }
}

const TEXT_IN_METRIC: &str = "text field in a metric: dropped";

/// Stands for the time of a point that has none.
const NO_TIME: i64 = i64::MIN;

fn lines(body: &[u8], metric: bool) -> Result<(Found, usize), String> {
    let category = if metric {
        Category::Metric
    } else {
        Category::Logging
    };
    let options = DecodeOptions {
        category,
        precision: None,
        now_ns: NO_TIME,
    };
    let points = line_protocol::decode(body, &options).map_err(|errors| errors.to_string())?;
    let mut found = Found::default();
    for point in &points {
        let text = |key: &str| point.get(key).and_then(|entry| entry.value.as_str());
        found.item(text(RECORD_ID_KEY), text("message"));
        if metric && point.fields().any(|(_, value)| value.as_str().is_some()) {
            found.note(TEXT_IN_METRIC);
        }
        if point.time_ns() == NO_TIME {
            found.note("point without a time");
        }
    }
    if std::str::from_utf8(body).is_err() {
        found.note("body is not UTF-8");
    }
    Ok((found, points.len()))
}

fn protobuf(body: &[u8], metric: bool) -> Result<(Found, usize), String> {
    let points = PbPoints::decode(body)
        .map_err(|error| error.to_string())?
        .arr;
    let mut found = Found::default();
    for point in &points {
        let text = |key: &str| {
            point
                .fields
                .iter()
                .find(|field| field.key == key)
                .and_then(|field| match &field.val {
                    Some(PbValue::S(text)) => Some(text.as_str()),
                    _ => None,
                })
        };
        found.item(text(RECORD_ID_KEY), text("message"));
        let lost = |field: &crate::wire::point::PbField| {
            !field.is_tag && matches!(field.val, Some(PbValue::S(_) | PbValue::D(_)))
        };
        if metric && point.fields.iter().any(lost) {
            found.note(TEXT_IN_METRIC);
        }
        if point.time == 0 {
            found.note("point without a time");
        }
    }
    Ok((found, points.len()))
}

fn json(body: &[u8], metric: bool) -> Result<(Found, usize), String> {
    let points: Vec<Map<String, Value>> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    for point in &points {
        if !matches!(point.get("time"), None | Some(Value::Null))
            && whole_number(point.get("time")).is_none()
        {
            return Err("time is not an integer".to_owned());
        }
        // Each element is read as PB-JSON first, which has a list of fields, and simply otherwise.
        match point.get("fields") {
            Some(Value::Array(fields)) => pb_json(&mut found, fields, metric)?,
            fields => simple_json(&mut found, point.get("tags"), fields, metric)?,
        }
    }
    Ok((found, points.len()))
}

fn whole_number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

fn pb_json(found: &mut Found, fields: &[Value], metric: bool) -> Result<(), String> {
    let mut texts = [None, None];
    for field in fields {
        let key = field
            .get("key")
            .and_then(Value::as_str)
            .ok_or("a field without a key")?;
        let number = |name: &str| {
            field
                .get(name)
                .is_none_or(|_| whole_number(field.get(name)).is_some())
        };
        if !number("i")
            || field
                .get("f")
                .is_some_and(|float| !float.is_number() && !float.is_string())
        {
            return Err(format!("field {key} is not a number"));
        }
        let text = field.get("s").and_then(Value::as_str);
        for (slot, name) in texts.iter_mut().zip([RECORD_ID_KEY, "message"]) {
            if key == name {
                *slot = text;
            }
        }
        let tag = field
            .get("is_tag")
            .or_else(|| field.get("isTag"))
            .and_then(Value::as_bool)
            == Some(true);
        if metric && !tag && (text.is_some() || field.get("d").is_some()) {
            found.note(TEXT_IN_METRIC);
        }
    }
    found.item(texts[0], texts[1]);
    Ok(())
}

fn simple_json(
    found: &mut Found,
    tags: Option<&Value>,
    fields: Option<&Value>,
    metric: bool,
) -> Result<(), String> {
    let object = |value: Option<&Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(format!("{name} is not an object")),
    };
    let (tags, fields) = (object(tags, "tags")?, object(fields, "fields")?);
    if let Some((key, _)) = tags.iter().find(|(_, value)| !value.is_string()) {
        return Err(format!("tag {key} is not a string"));
    }
    let text = |key: &str| {
        tags.get(key)
            .or_else(|| fields.get(key))
            .and_then(Value::as_str)
    };
    found.item(text(RECORD_ID_KEY), text("message"));
    if metric && fields.values().any(Value::is_string) {
        found.note(TEXT_IN_METRIC);
    }
    Ok(())
}
