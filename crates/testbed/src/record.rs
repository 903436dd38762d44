//! The identity of a produced record, and the text form that travels inside its payload.
//!
//! Promise: the text of an id is found again in every wire format by a plain byte search, needs no
//! escaping in JSON, line protocol or URLs, and parses back to the same id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The key of the tag, attribute or field that carries a [`RecordId`] inside a payload.
pub const RECORD_ID_KEY: &str = "record_id";

/// What every id text starts with, so that it can be found inside opaque bytes.
pub(crate) const RECORD_ID_PREFIX: &str = "kmq:";

/// How many elements one record can hold at most (an array of log lines); bounds
/// [`RecordId::element`].
pub(crate) const MAX_ELEMENTS: u16 = 8;

/// Sequences stay below this, so that a damaged id cannot blow up a bitmap.
pub(crate) const MAX_SEQUENCE: u32 = 1 << 28;

/// How many keys the records of a partition are spread over; see [`RecordId::lane`].
pub(crate) const LANES: u64 = 16;

/// A kind of traffic: what a payload is and which way it takes through the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Route {
    /// SkyWalking `SegmentObject`.
    SkywalkingSegments,
    /// SkyWalking `JVMMetricCollection`.
    SkywalkingMetrics,
    /// SkyWalking `LogData`.
    SkywalkingLogs,
    /// SkyWalking `InstanceProperties` and `InstancePingPkg`.
    SkywalkingManagements,
    /// SkyWalking `MeterDataCollection`.
    SkywalkingMeters,
    /// SkyWalking `ThreadSnapshot`.
    SkywalkingProfilings,
    /// Jaeger Thrift `Batch`.
    JaegerThrift,
    /// Jaeger `model.Span`, binary protobuf.
    JaegerProto,
    /// Jaeger `model.Span`, proto JSON.
    JaegerJson,
    /// OTLP trace export request.
    OtelTraces,
    /// OTLP metrics export request.
    OtelMetrics,
    /// OTLP logs export request.
    OtelLogs,
    /// One JSON log line.
    CustomLog,
    /// A JSON array of log lines.
    CustomLogArray,
    /// A JSON metric.
    CustomMetric,
    /// A JSON real-user-monitoring record.
    CustomRum,
    /// An opaque frame for the user's handle.
    Handle,
    /// A frame with the four-byte header that `header_check` looks at.
    HandleFramed,
}

impl Route {
    /// Every route, in the order of tables.
    pub(crate) const ALL: [Self; 18] = [
        Self::SkywalkingSegments,
        Self::SkywalkingMetrics,
        Self::SkywalkingLogs,
        Self::SkywalkingManagements,
        Self::SkywalkingMeters,
        Self::SkywalkingProfilings,
        Self::JaegerThrift,
        Self::JaegerProto,
        Self::JaegerJson,
        Self::OtelTraces,
        Self::OtelMetrics,
        Self::OtelLogs,
        Self::CustomLog,
        Self::CustomLogArray,
        Self::CustomMetric,
        Self::CustomRum,
        Self::Handle,
        Self::HandleFramed,
    ];

    /// The kebab-case name used in ids, tables and the control interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SkywalkingSegments => "skywalking-segments",
            Self::SkywalkingMetrics => "skywalking-metrics",
            Self::SkywalkingLogs => "skywalking-logs",
            Self::SkywalkingManagements => "skywalking-managements",
            Self::SkywalkingMeters => "skywalking-meters",
            Self::SkywalkingProfilings => "skywalking-profilings",
            Self::JaegerThrift => "jaeger-thrift",
            Self::JaegerProto => "jaeger-proto",
            Self::JaegerJson => "jaeger-json",
            Self::OtelTraces => "otel-traces",
            Self::OtelMetrics => "otel-metrics",
            Self::OtelLogs => "otel-logs",
            Self::CustomLog => "custom-log",
            Self::CustomLogArray => "custom-log-array",
            Self::CustomMetric => "custom-metric",
            Self::CustomRum => "custom-rum",
            Self::Handle => "handle",
            Self::HandleFramed => "handle-framed",
        }
    }

    /// How many elements a record of this route may hold: 1, or [`MAX_ELEMENTS`] for arrays.
    #[must_use]
    pub(crate) const fn fan_out(self) -> u16 {
        match self {
            Self::CustomLogArray => MAX_ELEMENTS,
            _ => 1,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is not a route or not a record id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no {1}")]
pub struct InvalidId(pub String, pub &'static str);

impl FromStr for Route {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|route| route.name() == text)
            .ok_or_else(|| InvalidId(text.to_owned(), "route"))
    }
}

/// Which record this is, or which element of a record that holds several.
///
/// `partition` and `sequence` belong to the producer's numbering: sequences count from 0 without
/// gaps within a route and partition, so that what is missing can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    /// The kind of traffic.
    pub route: Route,
    /// The partition the record is produced to.
    pub partition: u16,
    /// Counts from 0 within the route and partition; below `MAX_SEQUENCE`.
    pub sequence: u32,
    /// Position inside a record with several elements, below `MAX_ELEMENTS`; 0 otherwise.
    pub element: u16,
}

impl RecordId {
    /// The id of a whole record.
    #[must_use]
    pub const fn new(route: Route, partition: u16, sequence: u32) -> Self {
        Self {
            route,
            partition,
            sequence,
            element: 0,
        }
    }

    /// The id of an element of this record.
    #[must_use]
    pub(crate) const fn with_element(self, element: u16) -> Self {
        Self { element, ..self }
    }

    /// The key the record is produced with, as a number below `LANES`: records of one lane and
    /// partition share a key, so a receiver can check order per key from ids alone.
    #[must_use]
    pub const fn lane(self) -> u64 {
        self.sequence as u64 % LANES
    }

    /// Finds the first id text inside any bytes.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        Self::find_all(bytes).next()
    }

    /// All id texts inside any bytes, in order; broken ones are passed over.
    pub fn find_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        memchr::memmem::find_iter(bytes, RECORD_ID_PREFIX)
            .filter_map(|at| Self::read(bytes.get(at + RECORD_ID_PREFIX.len()..)?))
    }

    /// Reads the text after the prefix. The grammar decides where it ends, not the byte that
    /// follows: behind a protobuf string stands the tag of the next field, which may be a letter.
    fn read(text: &[u8]) -> Option<Self> {
        fn number(text: &[u8]) -> Option<(u32, &[u8])> {
            let text = text.strip_prefix(b"/")?;
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, rest) = text.split_at(digits);
            Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
        }
        let name = text
            .iter()
            .take_while(|byte| matches!(byte, b'a'..=b'z' | b'-'))
            .count();
        let (name, rest) = text.split_at_checked(name)?;
        let route = Route::ALL
            .into_iter()
            .find(|route| route.name().as_bytes() == name)?;
        let (partition, rest) = number(rest)?;
        let (sequence, rest) = number(rest).filter(|(sequence, _)| *sequence < MAX_SEQUENCE)?;
        let element = if route.fan_out() > 1 {
            number(rest)?.0
        } else {
            0
        };
        Some(Self {
            route,
            partition: partition.try_into().ok()?,
            sequence,
            element: element
                .try_into()
                .ok()
                .filter(|element| *element < route.fan_out())?,
        })
    }
}

impl fmt::Display for RecordId {
    /// `kmq:custom-log/0/17`, and `kmq:custom-log-array/0/17/3` for routes with several elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            route,
            partition,
            sequence,
            element,
        } = self;
        write!(
            f,
            "{RECORD_ID_PREFIX}{}/{partition}/{sequence}",
            route.name()
        )?;
        if route.fan_out() > 1 {
            write!(f, "/{element}")?;
        }
        Ok(())
    }
}

impl FromStr for RecordId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.strip_prefix(RECORD_ID_PREFIX)?.split('/');
            let route: Route = parts.next()?.parse().ok()?;
            let partition = parts.next()?.parse().ok()?;
            let sequence = parts.next()?.parse().ok().filter(|at| *at < MAX_SEQUENCE)?;
            let element = match route.fan_out() {
                1 => 0,
                limit => parts
                    .next()?
                    .parse()
                    .ok()
                    .filter(|element| *element < limit)?,
            };
            parts.next().is_none().then_some(Self {
                route,
                partition,
                sequence,
                element,
            })
        };
        parse().ok_or_else(|| InvalidId(text.to_owned(), "record"))
    }
}

impl Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_form_round_trips_inside_any_bytes(
            route in 0..Route::ALL.len(), partition: u16, sequence in 0..MAX_SEQUENCE, element in 0..MAX_ELEMENTS,
            before in "[^k]{0,12}", after in "[\"\\\\ ,=b\u{1}-\u{1f}]?",
        ) {
            let route = Route::ALL[route];
            let id = RecordId { route, partition, sequence, element: element % route.fan_out() };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(RecordId::find(format!("{before}{id}{after}").as_bytes()), Some(id));
        }
    }

    #[test]
    fn texts_that_are_not_ids_are_refused() {
        for text in [
            "",
            "kmq:",
            "custom-log/0/1",
            "kmq:custom-log/0",
            "kmq:custom-log/0/1/0",
            "kmq:nothing/0/1",
            "kmq:custom-log/x/1",
            "kmq:custom-log-array/0/1",
            "kmq:custom-log-array/0/1/8",
        ] {
            assert!(text.parse::<RecordId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_of_ids_is_found_in_order() {
        let ids: Vec<_> = (0..3)
            .map(|n| RecordId::new(Route::OtelLogs, 1, n))
            .collect();
        let text = format!("{} kmq:broken {}\0{}", ids[0], ids[1], ids[2]);
        assert_eq!(RecordId::find_all(text.as_bytes()).collect::<Vec<_>>(), ids);
    }
}
