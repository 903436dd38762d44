//! What the three signals share: attributes, resources and scopes.

use prost::Message;
use serde::Deserialize;

use crate::parse::transcode::json::{
    int, optional_base64, optional_float, optional_int, or_default,
};

/// `opentelemetry.proto.common.v1.KeyValue`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct KeyValue {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) key: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::parse::transcode) value: Option<AnyValue>,
}

/// `AnyValue`: at most one field is set.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct AnyValue {
    #[prost(string, optional, tag = "1")]
    pub(in crate::parse::transcode) string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub(in crate::parse::transcode) bool_value: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    #[serde(deserialize_with = "optional_int")]
    pub(in crate::parse::transcode) int_value: Option<i64>,
    #[prost(double, optional, tag = "4")]
    #[serde(deserialize_with = "optional_float")]
    pub(in crate::parse::transcode) double_value: Option<f64>,
    #[prost(message, optional, tag = "5")]
    pub(in crate::parse::transcode) array_value: Option<ArrayValue>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::parse::transcode) kvlist_value: Option<KeyValueList>,
    #[prost(bytes = "vec", optional, tag = "7")]
    #[serde(deserialize_with = "optional_base64")]
    pub(in crate::parse::transcode) bytes_value: Option<Vec<u8>>,
}

/// `opentelemetry.proto.common.v1.ArrayValue`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) values: Vec<AnyValue>,
}

/// `opentelemetry.proto.common.v1.KeyValueList`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) values: Vec<KeyValue>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Scope {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) name: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) version: String,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_attributes_count: u32,
}

/// `opentelemetry.proto.resource.v1.Resource`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")]
    #[serde(deserialize_with = "int")]
    pub(in crate::parse::transcode) dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) entity_refs: Vec<EntityRef>,
}

/// `opentelemetry.proto.common.v1.EntityRef`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::parse::transcode) struct EntityRef {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) schema_url: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) r#type: String,
    #[prost(string, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) id_keys: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub(in crate::parse::transcode) description_keys: Vec<String>,
}
