//! Spans.

use prost::Message;
use serde::Deserialize;

use super::common::{KeyValue, Resource, Scope};
use crate::parse::transcode::json::{hex, int, or_default};

/// `ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Request {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) resource_spans: Vec<ResourceSpans>,
}

/// `opentelemetry.proto.trace.v1.ResourceSpans`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub(in crate::parse::transcode) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) scope_spans: Vec<ScopeSpans>,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) schema_url: String,
}

/// `opentelemetry.proto.trace.v1.ScopeSpans`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub(in crate::parse::transcode) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) spans: Vec<Span>,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) schema_url: String,
}

/// `opentelemetry.proto.trace.v1.Span`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "hex")]
    pub(in crate::parse::transcode) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "hex")]
    pub(in crate::parse::transcode) span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    #[serde(deserialize_with = "hex")]
    pub(in crate::parse::transcode) parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) name: String,
    #[prost(int32, tag = "6")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) kind: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "11")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) events: Vec<Event>,
    #[prost(uint32, tag = "12")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_events_count: u32,
    #[prost(message, repeated, tag = "13")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) links: Vec<Link>,
    #[prost(uint32, tag = "14")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_links_count: u32,
    #[prost(message, optional, tag = "15")]
    pub(in crate::parse::transcode) status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) flags: u32,
}

/// `Span.Event`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Event {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) time_unix_nano: u64,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) name: String,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_attributes_count: u32,
}

/// `Span.Link`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Link {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "hex")]
    pub(in crate::parse::transcode) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "hex")]
    pub(in crate::parse::transcode) span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) trace_state: String,
    #[prost(message, repeated, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "5")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_attributes_count: u32,
    #[prost(fixed32, tag = "6")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) flags: u32,
}

/// `Status`; field 1 is long out of use.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Status {
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) message: String,
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) code: i32,
}
