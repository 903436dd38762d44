//! OTLP requests in binary protobuf and in both readings of JSON, and the answers of the protocol.

use prost::Message;
use serde_json::{Map, Value};

use super::found::Found;
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::otlp::{
    Any, KeyValue, LogsRequest, MetricData, MetricsRequest, Resource, TracesRequest,
};

/// One of the three kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// By the last segment of a path.
    pub(super) fn from_segment(segment: &str) -> Option<Self> {
        match segment {
            "traces" => Some(Self::Traces),
            "metrics" => Some(Self::Metrics),
            "logs" => Some(Self::Logs),
            _ => None,
        }
    }

    /// The JSON names of the resource list, the scope list and the item list.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Traces => ["resourceSpans", "scopeSpans", "spans"],
            Self::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
            Self::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
        }
    }

    /// The JSON name of the count in a partial success.
    pub(super) const fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
        }
    }

    const fn item_members(self) -> &'static [&'static str] {
        match self {
            Self::Traces => &[
                "traceId",
                "spanId",
                "traceState",
                "parentSpanId",
                "flags",
                "name",
                "kind",
                "startTimeUnixNano",
                "endTimeUnixNano",
                "attributes",
                "droppedAttributesCount",
                "events",
                "droppedEventsCount",
                "links",
                "droppedLinksCount",
                "status",
            ],
            Self::Metrics => &[
                "name",
                "description",
                "unit",
                "metadata",
                "gauge",
                "sum",
                "histogram",
                "exponentialHistogram",
                "summary",
            ],
            Self::Logs => &[
                "timeUnixNano",
                "observedTimeUnixNano",
                "severityNumber",
                "severityText",
                "body",
                "attributes",
                "droppedAttributesCount",
                "flags",
                "traceId",
                "spanId",
                "eventName",
            ],
        }
    }
}

/// How JSON is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The OTLP rules: hex ids, unknown members ignored.
    Otlp,
    /// The plain proto3 mapping: base64 ids, unknown members refused.
    Proto3,
}

/// Counts the items of a request: once for a resource that carries an id, else one by one.
pub(super) fn binary(signal: Signal, body: &[u8]) -> Result<Found, String> {
    let mut found = Found::default();
    let text = |error: prost::DecodeError| error.to_string();
    match signal {
        Signal::Traces => {
            for group in TracesRequest::decode(body).map_err(text)?.resource_spans {
                let items = group.scope_spans.iter().flat_map(|scope| &scope.spans);
                for span in items.clone() {
                    if span.trace_id.len() != 16 || span.span_id.len() != 8 {
                        found.note("span with ids of the wrong length");
                    }
                }
                count(
                    &mut found,
                    group.resource.as_ref(),
                    items.map(|span| attribute(&span.attributes)),
                );
            }
        }
        Signal::Metrics => {
            for group in MetricsRequest::decode(body).map_err(text)?.resource_metrics {
                let items = group.scope_metrics.iter().flat_map(|scope| &scope.metrics);
                let ids = items.map(|metric| match &metric.data {
                    Some(MetricData::Gauge(gauge)) => gauge
                        .data_points
                        .iter()
                        .find_map(|point| attribute(&point.attributes)),
                    Some(MetricData::Sum(sum)) => sum
                        .data_points
                        .iter()
                        .find_map(|point| attribute(&point.attributes)),
                    _ => None,
                });
                count(&mut found, group.resource.as_ref(), ids);
            }
        }
        Signal::Logs => {
            for group in LogsRequest::decode(body).map_err(text)?.resource_logs {
                let items = group.scope_logs.iter().flat_map(|scope| &scope.log_records);
                count(
                    &mut found,
                    group.resource.as_ref(),
                    items.map(|log| attribute(&log.attributes)),
                );
            }
        }
    }
    Ok(found)
}

fn attribute(attributes: &[KeyValue]) -> Option<RecordId> {
    attributes
        .iter()
        .filter(|pair| pair.key == RECORD_ID_KEY)
        .find_map(|pair| match pair.value.as_ref()?.value.as_ref()? {
            Any::String(text) => text.parse().ok(),
            _ => None,
        })
}

fn count(
    found: &mut Found,
    resource: Option<&Resource>,
    items: impl Iterator<Item = Option<RecordId>>,
) {
    match resource.and_then(|resource| attribute(&resource.attributes)) {
        Some(id) => found.ids.push(id),
        None => items.for_each(|id| found.push(id)),
    }
}

/// The same for JSON.
pub(super) fn json(signal: Signal, dialect: Dialect, body: &[u8]) -> Result<Found, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    let [groups, scopes, items] = signal.names();
    let top = members(&value, dialect, &[groups])?;
    for group in list(top, groups)? {
        let group = members(group, dialect, &["resource", scopes, "schemaUrl"])?;
        let resource = group
            .get("resource")
            .map(|resource| {
                members(
                    resource,
                    dialect,
                    &["attributes", "droppedAttributesCount", "entityRefs"],
                )
            })
            .transpose()?;
        let id = resource.map(json_attribute).transpose()?.flatten();
        found.ids.extend(id);
        for scope in list(group, scopes)? {
            let scope = members(scope, dialect, &["scope", items, "schemaUrl"])?;
            for item in list(scope, items)? {
                let item = members(item, dialect, signal.item_members())?;
                for (name, bytes) in [("traceId", 16), ("spanId", 8), ("parentSpanId", 8)] {
                    check_id(item, name, bytes, dialect, &mut found)?;
                }
                if id.is_none() {
                    let id = json_attribute(item)?;
                    found.push(id);
                }
            }
        }
    }
    Ok(found)
}

fn members<'a>(
    value: &'a Value,
    dialect: Dialect,
    known: &[&str],
) -> Result<&'a Map<String, Value>, String> {
    let object = value
        .as_object()
        .ok_or_else(|| "not an object".to_owned())?;
    match object
        .keys()
        .find(|key| dialect == Dialect::Proto3 && !known.contains(&key.as_str()))
    {
        Some(key) => Err(format!("unknown field \"{key}\"")),
        None => Ok(object),
    }
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(format!("{name} is not a list")),
    }
}

fn json_attribute(object: &Map<String, Value>) -> Result<Option<RecordId>, String> {
    Ok(list(object, "attributes")?
        .iter()
        .filter(|pair| pair.get("key").and_then(Value::as_str) == Some(RECORD_ID_KEY))
        .find_map(|pair| {
            pair.get("value")?
                .get("stringValue")?
                .as_str()?
                .parse()
                .ok()
        }))
}

fn check_id(
    item: &Map<String, Value>,
    name: &str,
    bytes: usize,
    dialect: Dialect,
    found: &mut Found,
) -> Result<(), String> {
    let text = match item.get(name) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("{name} is not a string")),
    };
    if text.is_empty() {
        return Ok(());
    }
    match dialect {
        Dialect::Otlp
            if text.len() == bytes * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Ok(())
        }
        Dialect::Otlp => Err(format!("{name} is not {} hex digits", bytes * 2)),
        Dialect::Proto3 => {
            let decoded = base64_simd::STANDARD
                .decode_to_vec(text)
                .or_else(|_| base64_simd::STANDARD_NO_PAD.decode_to_vec(text))
                .map_err(|_| format!("{name} is not base64"))?;
            if decoded.len() != bytes {
                found.note("hex ids read as base64: garbled");
            }
            Ok(())
        }
    }
}
