//! Jaeger's `model.proto`, as far as a span goes.

use bytes::Bytes;
use prost::Message;

/// `SpanRefType`: the reference names the parent.
pub(crate) const CHILD_OF: i32 = 0;
/// `SpanRefType`: the reference names a cause.
pub(crate) const FOLLOWS_FROM: i32 = 1;

/// `ValueType`.
pub(crate) const STRING: i32 = 0;
pub(crate) const BOOL: i32 = 1;
pub(crate) const INT64: i32 = 2;
pub(crate) const FLOAT64: i32 = 3;
pub(crate) const BINARY: i32 = 4;

/// `Span` with its process inside; strings are bytes, which is the same on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Span {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) operation_name: Bytes,
    #[prost(message, repeated, tag = "4")]
    pub(crate) references: Vec<SpanRef>,
    #[prost(uint32, tag = "5")]
    pub(crate) flags: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) start_time: Option<Instant>,
    #[prost(message, optional, tag = "7")]
    pub(crate) duration: Option<Instant>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    pub(crate) process: Option<Process>,
}

/// `Timestamp` and `Duration`, which have the same fields.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Instant {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl Instant {
    /// Whole microseconds, rounded towards the past as Jaeger does.
    pub(crate) fn micros(self) -> i64 {
        self.seconds
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(self.nanos.div_euclid(1000)))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SpanRef {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) span_id: Bytes,
    #[prost(int32, tag = "3")]
    pub(crate) ref_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(int32, tag = "2")]
    pub(crate) v_type: i32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) v_str: Bytes,
    #[prost(bool, tag = "4")]
    pub(crate) v_bool: bool,
    #[prost(int64, tag = "5")]
    pub(crate) v_int64: i64,
    #[prost(double, tag = "6")]
    pub(crate) v_float64: f64,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) v_binary: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Log {
    #[prost(message, optional, tag = "1")]
    pub(crate) timestamp: Option<Instant>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) fields: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Process {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) service_name: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(crate) tags: Vec<KeyValue>,
}
