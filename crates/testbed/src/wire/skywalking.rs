//! SkyWalking `skywalking.v3` messages.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct KeyStringValuePair {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct SegmentObject {
    #[prost(string, tag = "1")]
    pub trace_id: String,
    #[prost(string, tag = "2")]
    pub trace_segment_id: String,
    #[prost(message, repeated, tag = "3")]
    pub spans: Vec<SpanObject>,
    #[prost(string, tag = "4")]
    pub service: String,
    #[prost(string, tag = "5")]
    pub service_instance: String,
    #[prost(bool, tag = "6")]
    pub(crate) is_size_limited: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct SpanObject {
    #[prost(int32, tag = "1")]
    pub span_id: i32,
    #[prost(int32, tag = "2")]
    pub parent_span_id: i32,
    #[prost(int64, tag = "3")]
    pub start_time: i64,
    #[prost(int64, tag = "4")]
    pub(crate) end_time: i64,
    #[prost(message, repeated, tag = "5")]
    pub(crate) refs: Vec<SegmentReference>,
    #[prost(string, tag = "6")]
    pub operation_name: String,
    #[prost(string, tag = "7")]
    pub peer: String,
    #[prost(enumeration = "SpanType", tag = "8")]
    pub span_type: i32,
    #[prost(int32, tag = "9")]
    pub(crate) span_layer: i32,
    #[prost(int32, tag = "10")]
    pub(crate) component_id: i32,
    #[prost(bool, tag = "11")]
    pub(crate) is_error: bool,
    #[prost(message, repeated, tag = "12")]
    pub tags: Vec<KeyStringValuePair>,
    #[prost(message, repeated, tag = "13")]
    pub logs: Vec<Log>,
    #[prost(bool, tag = "14")]
    pub(crate) skip_analysis: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum SpanType {
    Entry = 0,
    Exit = 1,
    Local = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(int64, tag = "1")]
    pub time: i64,
    #[prost(message, repeated, tag = "2")]
    pub data: Vec<KeyStringValuePair>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SegmentReference {
    #[prost(int32, tag = "1")]
    pub(crate) ref_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) trace_id: String,
    #[prost(string, tag = "3")]
    pub(crate) parent_trace_segment_id: String,
    #[prost(int32, tag = "4")]
    pub(crate) parent_span_id: i32,
    #[prost(string, tag = "5")]
    pub(crate) parent_service: String,
    #[prost(string, tag = "6")]
    pub(crate) parent_service_instance: String,
    #[prost(string, tag = "7")]
    pub(crate) parent_endpoint: String,
    #[prost(string, tag = "8")]
    pub(crate) network_address_used_at_peer: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JvmMetricCollection {
    #[prost(message, repeated, tag = "1")]
    pub(crate) metrics: Vec<JvmMetric>,
    #[prost(string, tag = "2")]
    pub(crate) service: String,
    #[prost(string, tag = "3")]
    pub(crate) service_instance: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JvmMetric {
    #[prost(int64, tag = "1")]
    pub(crate) time: i64,
    #[prost(message, optional, tag = "2")]
    pub(crate) cpu: Option<Cpu>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) memory: Vec<Memory>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) memory_pool: Vec<MemoryPool>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) gc: Vec<Gc>,
    #[prost(message, optional, tag = "6")]
    pub(crate) thread: Option<Thread>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Cpu {
    #[prost(double, tag = "2")]
    pub(crate) usage_percent: f64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Memory {
    #[prost(bool, tag = "1")]
    pub(crate) is_heap: bool,
    #[prost(int64, tag = "2")]
    pub(crate) init: i64,
    #[prost(int64, tag = "3")]
    pub max: i64,
    #[prost(int64, tag = "4")]
    pub(crate) used: i64,
    #[prost(int64, tag = "5")]
    pub committed: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MemoryPool {
    #[prost(int32, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(int64, tag = "2")]
    pub(crate) init: i64,
    #[prost(int64, tag = "3")]
    pub(crate) max: i64,
    #[prost(int64, tag = "4")]
    pub(crate) used: i64,
    #[prost(int64, tag = "5")]
    pub(crate) committed: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Gc {
    #[prost(int32, tag = "1")]
    pub(crate) phase: i32,
    #[prost(int64, tag = "2")]
    pub(crate) count: i64,
    #[prost(int64, tag = "3")]
    pub(crate) time: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Thread {
    #[prost(int64, tag = "1")]
    pub(crate) live_count: i64,
    #[prost(int64, tag = "2")]
    pub(crate) daemon_count: i64,
    #[prost(int64, tag = "3")]
    pub(crate) peak_count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct MeterDataCollection {
    #[prost(message, repeated, tag = "1")]
    pub meter_data: Vec<MeterData>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MeterData {
    #[prost(oneof = "Metric", tags = "1, 2")]
    pub metric: Option<Metric>,
    #[prost(string, tag = "3")]
    pub service: String,
    #[prost(string, tag = "4")]
    pub service_instance: String,
    #[prost(int64, tag = "5")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Metric {
    #[prost(message, tag = "1")]
    SingleValue(MeterSingleValue),
    #[prost(message, tag = "2")]
    Histogram(MeterHistogram),
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct MeterSingleValue {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "3")]
    pub value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub struct MeterHistogram {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "3")]
    pub values: Vec<MeterBucketValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MeterBucketValue {
    #[prost(double, tag = "1")]
    pub bucket: f64,
    #[prost(int64, tag = "2")]
    pub count: i64,
    #[prost(bool, tag = "3")]
    pub is_negative_infinity: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogData {
    #[prost(int64, tag = "1")]
    pub timestamp: i64,
    #[prost(string, tag = "2")]
    pub service: String,
    #[prost(string, tag = "3")]
    pub service_instance: String,
    #[prost(string, tag = "4")]
    pub endpoint: String,
    #[prost(message, optional, tag = "5")]
    pub body: Option<LogDataBody>,
    #[prost(message, optional, tag = "6")]
    pub trace_context: Option<TraceContext>,
    #[prost(message, optional, tag = "7")]
    pub tags: Option<LogTags>,
    #[prost(string, tag = "8")]
    pub layer: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogDataBody {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(oneof = "LogContent", tags = "2, 3, 4")]
    pub content: Option<LogContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum LogContent {
    #[prost(message, tag = "2")]
    Text(LogText),
    #[prost(message, tag = "3")]
    Json(LogText),
    #[prost(message, tag = "4")]
    Yaml(LogText),
}

/// `TextLog`, `JSONLog` and `YAMLLog`: in all three, field 1 is the content.
#[derive(Clone, PartialEq, Message)]
pub struct LogText {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TraceContext {
    #[prost(string, tag = "1")]
    pub trace_id: String,
    #[prost(string, tag = "2")]
    pub trace_segment_id: String,
    #[prost(int32, tag = "3")]
    pub span_id: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogTags {
    #[prost(message, repeated, tag = "1")]
    pub data: Vec<KeyStringValuePair>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InstanceProperties {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) service_instance: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) properties: Vec<KeyStringValuePair>,
    #[prost(string, tag = "4")]
    pub(crate) layer: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InstancePingPkg {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) service_instance: String,
    #[prost(string, tag = "3")]
    pub(crate) layer: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ThreadSnapshot {
    #[prost(string, tag = "1")]
    pub(crate) task_id: String,
    #[prost(string, tag = "2")]
    pub(crate) trace_segment_id: String,
    #[prost(int64, tag = "3")]
    pub(crate) time: i64,
    #[prost(int32, tag = "4")]
    pub(crate) sequence: i32,
    #[prost(message, optional, tag = "5")]
    pub(crate) stack: Option<ThreadStack>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ThreadStack {
    #[prost(string, repeated, tag = "1")]
    pub(crate) code_signatures: Vec<String>,
}
