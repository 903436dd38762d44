//! What happens to the records of a topic: one struct per route, resolved from the sub-tables of an
//! input.

use std::time::Duration;

use kafkamq_point::Category;

use super::HttpSettings;

/// `[inputs.kafkamq.skywalking]`: payloads for SkyWalking receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct SkywalkingRoute {
    /// The receiver.
    pub http: HttpSettings,
    /// What the receiver is.
    pub target: SkywalkingTarget,
    /// Subscribed topics, namespace included.
    pub topics: Vec<SkywalkingTopic>,
    /// Lanes inside a partition; 0 and 1 both mean one.
    pub threads: usize,
}

/// What receives SkyWalking payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SkywalkingTarget {
    /// DataKit, which takes protobuf.
    #[default]
    Datakit,
    /// SkyWalking's own server, which takes JSON.
    Oap,
}

/// One SkyWalking topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkywalkingTopic {
    /// Full topic name.
    pub topic: String,
    /// What its records are.
    pub kind: SkywalkingKind,
    /// Path to post to; `None` acknowledges and counts the records without sending them.
    pub path: Option<String>,
}

/// What the records of a SkyWalking topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkywalkingKind {
    /// `SegmentObject`.
    Segments,
    /// `JVMMetricCollection`.
    Metrics,
    /// `ThreadSnapshot`.
    Profilings,
    /// `InstanceProperties` or `InstancePingPkg`, told apart by the key.
    Managements,
    /// `MeterDataCollection`, acknowledged or posted as it is.
    Meters,
    /// `MeterDataCollection`, converted to metric points for the outputs.
    MetersToPoints,
    /// `LogData`.
    Logs,
    /// `LogData` as JSON, posted as protobuf.
    LogsJson,
    /// Anything else, posted as it is.
    Other,
}

/// `[inputs.kafkamq.jaeger]`: spans for Jaeger receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct JaegerRoute {
    /// The receiver.
    pub http: HttpSettings,
    /// Subscribed topics.
    pub topics: Vec<String>,
    /// Which producer wrote the records.
    pub source: JaegerSource,
    /// What the records are.
    pub encoding: JaegerEncoding,
    /// What single spans become.
    pub convert_to: SpanTarget,
    /// Path for Jaeger batches.
    pub path: String,
    /// Path for OTLP traces found under `auto`, `otlp_proto` or `otlp_json`.
    pub otlp_path: String,
    /// Path for Zipkin spans of version 1.
    pub zipkin_v1_path: String,
    /// Path for Zipkin spans of version 2.
    pub zipkin_v2_path: String,
    /// For `source = "daoke"`: only a tag `error` with a true value marks the span as failed.
    pub strict_error: bool,
    /// Lanes inside a partition; 0 and 1 both mean one.
    pub threads: usize,
}

/// Which producer wrote the Jaeger records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JaegerSource {
    /// Records are forwarded.
    #[default]
    Forward,
    /// Records are span JSON and become tracing points.
    Daoke,
}

/// What single Jaeger spans become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanTarget {
    /// A Thrift batch.
    #[default]
    Thrift,
    /// An OTLP request.
    Otlp,
}

/// What a Jaeger record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JaegerEncoding {
    /// Bytes unchanged, labelled `application/x-protobuf` as the original does.
    #[default]
    Raw,
    /// Thrift batch, labelled `application/x-thrift`.
    Thrift,
    /// One protobuf span, converted to a Thrift batch.
    Protobuf,
    /// One JSON span, converted to a Thrift batch.
    Json,
    /// Zipkin v1 Thrift list.
    ZipkinThrift,
    /// Zipkin v2 protobuf.
    ZipkinProto,
    /// Zipkin v2 JSON.
    ZipkinJson,
    /// `ExportTraceServiceRequest` in protobuf.
    OtlpProto,
    /// `ExportTraceServiceRequest` in JSON.
    OtlpJson,
    /// Told from the first bytes of each record.
    Auto,
}

/// `[inputs.kafkamq.otel]`: export requests for OpenTelemetry receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelRoute {
    /// The receiver.
    pub http: HttpSettings,
    /// Topics, path and encoding of spans.
    pub traces: OtelSignal,
    /// Topics, path and encoding of metrics.
    pub metrics: OtelSignal,
    /// Topics, path and encoding of logs.
    pub logs: OtelSignal,
    /// Records that may be merged into one request; 1 sends each alone.
    pub merge_records: usize,
    /// The receiver is a strict OTLP one: 400 blames the record at once, partial successes are read.
    pub strict: bool,
    /// Lanes inside a partition; 0 and 1 both mean one.
    pub threads: usize,
}

/// One OpenTelemetry signal.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelSignal {
    /// Subscribed topics.
    pub topics: Vec<String>,
    /// Path to post to, used verbatim.
    pub path: String,
    /// What the records hold.
    pub encoding: OtelEncoding,
}

/// What an OpenTelemetry record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtelEncoding {
    /// Binary export request.
    #[default]
    OtlpProto,
    /// JSON export request, converted to binary for receivers that need it.
    OtlpJson,
    /// `{` means JSON, anything else binary.
    Auto,
    /// Bytes unchanged, labelled `application/x-protobuf`.
    Raw,
}

/// `[inputs.kafkamq.custom]`: text or JSON that scripts turn into points.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRoute {
    /// Subscribed topics, without duplicates.
    pub topics: Vec<CustomTopic>,
    /// Index that log points are stored in.
    pub storage_index: Option<String>,
    /// What becomes of line breaks in a text.
    pub newlines: Newlines,
    /// What else of a record its points show.
    pub record_fields: RecordFields,
    /// Where the time of a point comes from before its script runs.
    pub point_time: PointTime,
    /// Lanes inside a partition; 0 and 1 both mean one.
    pub threads: usize,
}

/// One custom topic.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomTopic {
    /// Topic name, which is also the measurement.
    pub topic: String,
    /// The category of its points.
    pub category: Category,
    /// Script as written in the map: empty means `<topic>.p` if it exists, `-` means none.
    pub script: String,
    /// How one record becomes several.
    pub split: Option<SplitSettings>,
}

/// How one record becomes several.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSettings {
    /// What separates the elements.
    pub format: SplitFormat,
    /// What happens to a record that cannot be split.
    pub on_failure: SplitFailure,
}

/// What separates the elements of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitFormat {
    /// A JSON array: the whole value, or the one at this JSON pointer (such as `/records`).
    JsonArray {
        /// JSON pointer, empty for the whole value.
        pointer: String,
    },
    /// One JSON value a line.
    NdJson,
}

/// What happens to a record that should be split and cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitFailure {
    /// It is treated as one element and counted.
    #[default]
    Whole,
    /// It goes to the dead letters.
    DeadLetter,
}

/// What becomes of line breaks in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newlines {
    /// They stay.
    #[default]
    Keep,
    /// Each becomes a space.
    Space,
}

/// What else of a record its points show, besides the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFields {
    /// The key, as `kafka_key`.
    pub key: bool,
    /// The headers, as `kafka_header_<name>`.
    pub headers: bool,
    /// The timestamp in milliseconds, as `kafka_timestamp`.
    pub timestamp: bool,
}

/// Where the time of a point comes from before its script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PointTime {
    /// The clock when the record is processed, as the original does.
    #[default]
    Arrival,
    /// The timestamp of the Kafka record.
    Record,
}

/// `[inputs.kafkamq.remote_handle]`: batches for the user's own HTTP handle.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteHandleRoute {
    /// The handle; its endpoint is posted to as it is.
    pub http: HttpSettings,
    /// Subscribed topics.
    pub topics: Vec<String>,
    /// Records in one request, at least 1.
    pub batch_records: usize,
    /// Age of the oldest record at which an incomplete batch is sent.
    pub batch_wait: Duration,
    /// What a request holds.
    pub content: HandleContent,
    /// `Content-Type` of requests.
    pub content_type: String,
    /// Whether the answer holds points.
    pub is_response_point: bool,
    /// The test of the first bytes.
    pub header_check: HeaderCheck,
    /// Lanes inside a partition; 0 and 1 both mean one.
    pub threads: usize,
}

/// What a request to the handle holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandleContent {
    /// A JSON array of topic and base64 value.
    #[default]
    Batch,
    /// `debug = true`: the bytes of one record, unchanged.
    SingleRecord,
}

/// The test of the first four bytes of a record (`header_check`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderCheck {
    /// No test.
    #[default]
    Off,
    /// The original's truth table: byte 0 is 0xEF *or* byte 2 is 0, and byte 3 is 40 or 70.
    Original,
    /// Byte 0 is 0xEF *and* byte 2 is 0, and byte 3 is 40 or 70.
    Strict,
}
