//! Records to what their receiver understands, as pure functions.
//!
//! A [`Conversion`] belongs to a route; what it makes of a record has one of the [`Form`]s it names
//! beforehand, so that a route can hold the address for each.

mod daoke;
mod detect;
mod jaeger;
mod json;
mod meters;
mod oap;
mod otlp;
mod skywalking;
mod thrift;

use bytes::Bytes;
use kafkamq_point::{Category, Point};

use detect::SpanEncoding;

use super::without_mark;

use kafkamq_settings::SpanTarget;

/// What a request holds: the bytes' format and the interface that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Thrift `Batch` for a Jaeger receiver.
    JaegerThrift,
    /// Thrift list for the first version of Zipkin's interface.
    ZipkinThrift,
    /// Protobuf list for the second version of Zipkin's interface.
    ZipkinProto,
    /// JSON list for the second version of Zipkin's interface.
    ZipkinJson,
    /// Binary OTLP export request.
    OtlpProto,
    /// OTLP export request in JSON.
    OtlpJson,
    /// SkyWalking `LogData`.
    SkywalkingLog,
    /// SkyWalking segment as JSON for its own server.
    OapSegment,
    /// SkyWalking logs as a JSON list for its own server.
    OapLogs,
    /// Properties of a SkyWalking agent as JSON for its own server.
    OapProperties,
    /// Sign of life of a SkyWalking agent as JSON for its own server.
    OapPing,
}

impl Form {
    /// Every form, in the order of the variants.
    pub const ALL: [Self; 11] = [
        Self::JaegerThrift,
        Self::ZipkinThrift,
        Self::ZipkinProto,
        Self::ZipkinJson,
        Self::OtlpProto,
        Self::OtlpJson,
        Self::SkywalkingLog,
        Self::OapSegment,
        Self::OapLogs,
        Self::OapProperties,
        Self::OapPing,
    ];

    /// The media type of a request.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::JaegerThrift | Self::ZipkinThrift => "application/x-thrift",
            Self::ZipkinProto | Self::OtlpProto | Self::SkywalkingLog => "application/x-protobuf",
            Self::ZipkinJson
            | Self::OtlpJson
            | Self::OapSegment
            | Self::OapLogs
            | Self::OapProperties
            | Self::OapPing => "application/json",
        }
    }
}

/// The kinds of OTLP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
}

impl Signal {
    /// The signal's name, as in the keys of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// What becomes of OTLP requests in JSON.
///
/// Receivers of the standard read them; DataKit would read their ids as base64 and refuse unknown
/// members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpJson {
    /// They are posted as they are.
    Keep,
    /// They become binary.
    Convert,
}

/// How the records of a route are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// Jaeger `model.Span` in protobuf to a Thrift batch or an OTLP request.
    JaegerProto(SpanTarget),
    /// Jaeger `model.Span` in JSON to a Thrift batch or an OTLP request.
    JaegerJson(SpanTarget),
    /// Spans of any encoding, told from their bytes: Jaeger's single ones as given, OTLP requests
    /// as given, Thrift and Zipkin's as they are.
    Spans(OtlpJson, SpanTarget),
    /// OTLP requests in JSON to binary ones.
    OtlpJson(Signal),
    /// OTLP requests, in JSON if they begin with `{`, else binary.
    OtlpAuto(Signal, OtlpJson),
    /// SkyWalking `LogData` in JSON to binary.
    SkywalkingLogJson,
    /// SkyWalking `SegmentObject` to JSON for its own server.
    OapSegment,
    /// SkyWalking `LogData` to JSON for its own server.
    OapLog,
    /// SkyWalking `LogData` in JSON to the JSON its own server takes.
    OapLogJson,
    /// SkyWalking `InstanceProperties` or `InstancePingPkg`, told apart by the record's key, to
    /// JSON for its own server.
    OapManagement,
}

/// How a record becomes points without a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointConversion {
    /// SkyWalking `MeterDataCollection` to metric points.
    Meters,
    /// Jaeger span JSON of the `daoke` collector to a tracing point.
    Daoke {
        /// Whether only a true tag `error` marks a span as failed.
        strict_error: bool,
    },
}

/// Why a record cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// The bytes are not the protobuf message they should be.
    #[error("not the protobuf message expected: {0}")]
    Protobuf(prost::DecodeError),
    /// The text is not the JSON it should be.
    #[error("not the JSON expected: {0}")]
    Json(serde_json::Error),
    /// The text does not begin like a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// Readers ignore unknown members, and here nothing else is left.
    #[error("no member `{0}`")]
    NoMember(&'static str),
    /// An id that is missing or too long.
    #[error("a {what} of {length} bytes")]
    Id {
        /// Which id.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// Text in JSON that should be a time or a duration and cannot be read as one.
    #[error("`{text}` is not a {what}")]
    Time {
        /// What it should be: `time` or `duration`.
        what: &'static str,
        /// The text as it was found.
        text: String,
    },
    /// The first bytes do not match any known encoding of spans.
    #[error("neither Jaeger nor OpenTelemetry nor Zipkin spans, by their first bytes")]
    Unrecognised,
}

impl Conversion {
    /// The forms that this conversion may give.
    #[must_use]
    pub const fn forms(self) -> &'static [Form] {
        match self {
            Self::JaegerProto(SpanTarget::Thrift) | Self::JaegerJson(SpanTarget::Thrift) => {
                &[Form::JaegerThrift]
            }
            Self::JaegerProto(SpanTarget::Otlp) | Self::JaegerJson(SpanTarget::Otlp) => {
                &[Form::OtlpProto]
            }
            Self::OapSegment => &[Form::OapSegment],
            Self::OapLog | Self::OapLogJson => &[Form::OapLogs],
            Self::OapManagement => &[Form::OapProperties, Form::OapPing],
            Self::Spans(..) => &[
                Form::JaegerThrift,
                Form::ZipkinThrift,
                Form::ZipkinProto,
                Form::ZipkinJson,
                Form::OtlpProto,
                Form::OtlpJson,
            ],
            Self::SkywalkingLogJson => &[Form::SkywalkingLog],
            Self::OtlpJson(_) => &[Form::OtlpProto],
            Self::OtlpAuto(..) => &[Form::OtlpProto, Form::OtlpJson],
        }
    }

    /// Converts one value, of a record with this key. A form that the value already has costs no
    /// copy.
    ///
    /// # Errors
    /// When the value is not what the conversion expects; nothing of it can be used then.
    pub fn convert(
        self,
        key: Option<&[u8]>,
        value: &Bytes,
    ) -> Result<(Form, Bytes), TranscodeError> {
        let value = &unmarked(value);
        match self {
            Self::JaegerProto(to) => jaeger::from_protobuf(value, to),
            Self::JaegerJson(to) => jaeger::from_json(value, to),
            Self::OapSegment => Ok((Form::OapSegment, oap::segment(value)?)),
            Self::OapLog => Ok((Form::OapLogs, oap::logs(value)?)),
            Self::OapLogJson => {
                let binary = skywalking::log_from_json(value)?;
                Ok((Form::OapLogs, oap::logs(&binary)?))
            }
            Self::OapManagement if oap::is_registration(key) => {
                Ok((Form::OapProperties, oap::properties(value)?))
            }
            Self::OapManagement => Ok((Form::OapPing, oap::ping(value)?)),
            Self::OtlpJson(signal) => Ok((Form::OtlpProto, otlp::from_json(signal, value)?)),
            Self::OtlpAuto(signal, rule) => match (json::is_object(value), rule) {
                (false, _) => Ok((Form::OtlpProto, value.clone())),
                (true, OtlpJson::Keep) => Ok((Form::OtlpJson, value.clone())),
                (true, OtlpJson::Convert) => Self::OtlpJson(signal).convert(key, value),
            },
            Self::SkywalkingLogJson => Ok((Form::SkywalkingLog, skywalking::log_from_json(value)?)),
            Self::Spans(json, to) => match detect::detect(value)
                .ok_or(TranscodeError::Unrecognised)?
            {
                SpanEncoding::JaegerProto => jaeger::from_protobuf(value, to),
                SpanEncoding::JaegerJson => jaeger::from_json(value, to),
                SpanEncoding::JaegerThrift => Ok((Form::JaegerThrift, value.clone())),
                SpanEncoding::ZipkinThrift => Ok((Form::ZipkinThrift, value.clone())),
                SpanEncoding::ZipkinProto => Ok((Form::ZipkinProto, value.clone())),
                SpanEncoding::ZipkinJson => Ok((Form::ZipkinJson, value.clone())),
                SpanEncoding::OtlpProto => Ok((Form::OtlpProto, value.clone())),
                SpanEncoding::OtlpJson => Self::OtlpAuto(Signal::Traces, json).convert(key, value),
            },
        }
    }
}

impl PointConversion {
    /// The category of the points.
    #[must_use]
    pub const fn category(self) -> Category {
        match self {
            Self::Meters => Category::Metric,
            Self::Daoke { .. } => Category::Tracing,
        }
    }

    /// The points of one value, none for a value that holds nothing. Those without a time of their
    /// own get `now_ns`, in nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the value is not what the conversion expects; nothing of it can be used then.
    pub fn points(self, value: &Bytes, now_ns: i64) -> Result<ConvertedPoints, TranscodeError> {
        let value = unmarked(value);
        match self {
            Self::Meters => {
                let points = meters::Points::of(&value, now_ns)?;
                Ok(ConvertedPoints::Meters(Box::new(points)))
            }
            Self::Daoke { strict_error } => {
                let point = daoke::point(&value, strict_error, now_ns)?;
                Ok(ConvertedPoints::One(Some(Box::new(point))))
            }
        }
    }
}

/// The points of a value, made one by one.
#[derive(Debug)]
pub enum ConvertedPoints {
    /// One point.
    One(Option<Box<Point>>),
    /// Those of meters.
    Meters(Box<meters::Points>),
}

impl Iterator for ConvertedPoints {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        match self {
            Self::One(point) => point.take().map(|point| *point),
            Self::Meters(points) => points.next(),
        }
    }
}

/// The value without a byte order mark in front, which no protobuf or Thrift begins with.
fn unmarked(value: &Bytes) -> Bytes {
    let mark = value.len() - without_mark(value).len();
    value.slice(mark..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: &[u8] = br#"{"resourceSpans":[{"schemaUrl":"s"}]}"#;

    fn convert(conversion: Conversion, value: &'static [u8]) -> (Form, Bytes) {
        let value = Bytes::from_static(value);
        let (form, body) = conversion.convert(None, &value).unwrap();
        assert!(conversion.forms().contains(&form), "{conversion:?}");
        (form, body)
    }

    #[test]
    fn forms_are_numbered_in_order() {
        for (index, form) in Form::ALL.into_iter().enumerate() {
            assert_eq!(form as usize, index);
        }
    }

    #[test]
    fn json_requests_are_kept_for_those_who_read_them() {
        let binary = Bytes::from_static(b"\x0a\x03\x1a\x01s");
        let converted = (Form::OtlpProto, binary);
        let kept = (Form::OtlpJson, Bytes::from_static(TRACES));
        for conversion in [
            Conversion::OtlpJson(Signal::Traces),
            Conversion::OtlpAuto(Signal::Traces, OtlpJson::Convert),
            Conversion::Spans(OtlpJson::Convert, SpanTarget::Thrift),
        ] {
            assert_eq!(convert(conversion, TRACES), converted, "{conversion:?}");
        }
        for conversion in [
            Conversion::OtlpAuto(Signal::Traces, OtlpJson::Keep),
            Conversion::Spans(OtlpJson::Keep, SpanTarget::Thrift),
        ] {
            assert_eq!(convert(conversion, TRACES), kept, "{conversion:?}");
        }
    }

    #[test]
    fn what_needs_no_conversion_is_not_copied() {
        let values: [(&'static [u8], Form); 5] = [
            (b"\x0c\x00\x01\x0b\x00\x01", Form::JaegerThrift),
            (b"\x0c\x00\x00\x00\x01\x0a", Form::ZipkinThrift),
            (b"[]", Form::ZipkinJson),
            (b"\x0a\x03\x1a\x01s", Form::OtlpProto),
            (TRACES, Form::OtlpJson),
        ];
        for (value, form) in values {
            let (found, body) =
                convert(Conversion::Spans(OtlpJson::Keep, SpanTarget::Thrift), value);
            assert_eq!((found, body.as_ptr()), (form, value.as_ptr()));
        }
        let unknown = Conversion::Spans(OtlpJson::Keep, SpanTarget::Thrift)
            .convert(None, &Bytes::from_static(b"hello"));
        assert!(matches!(unknown, Err(TranscodeError::Unrecognised)));
    }
}
