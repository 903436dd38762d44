//! Sample payloads: what real producers put on Kafka, one file per kind.
//!
//! Promise: every payload is valid for its format, carries its [`RecordId`] where a decoder finds
//! it again, and depends on nothing but the id and the [`Faker`], so a seed names a whole run.

mod faker;
pub(crate) mod frame;
pub mod jaeger_span;
pub mod jaeger_thrift;
pub mod json_log;
pub(crate) mod json_metric;
pub(crate) mod jvm_metric;
pub mod log_data;
pub(crate) mod management;
pub(crate) mod meter;
pub(crate) mod otlp_log;
pub(crate) mod otlp_metric;
pub mod otlp_trace;
pub(crate) mod rum;
pub mod segment;
pub(crate) mod thread_snapshot;

use bytes::Bytes;

use crate::expect::Rule;
use crate::record::{RecordId, Route};
pub use faker::Faker;

/// A record ready to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The Kafka key, as the real producer of this kind sets it.
    pub key: Option<Bytes>,
    /// The Kafka value.
    pub value: Bytes,
    /// Kafka headers in order.
    pub headers: Vec<(String, Bytes)>,
    /// The ids contained: one, or one for each element of an array.
    pub ids: Vec<RecordId>,
    /// The rule that drops this record where it is in force, such as a frame that fails the header
    /// check.
    pub rule: Option<Rule>,
}

impl Sample {
    fn new(id: RecordId, key: Option<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key,
            value: value.into(),
            headers: Vec::new(),
            ids: vec![id],
            rule: None,
        }
    }

    /// The payload of a route with its usual variety: arrays of 1 to 8 elements, registrations
    /// among pings, every tenth frame failing the header check.
    #[must_use]
    pub fn of(id: RecordId, faker: &mut Faker) -> Self {
        match id.route {
            Route::SkywalkingSegments => segment::segment(id, faker),
            Route::SkywalkingMetrics => jvm_metric::jvm_metric(id, faker),
            Route::SkywalkingLogs => log_data::log_data(id, faker),
            Route::SkywalkingManagements if id.sequence.is_multiple_of(10) => {
                management::properties(id, faker)
            }
            Route::SkywalkingManagements => management::ping(id, faker),
            Route::SkywalkingMeters => meter::meter(id, faker),
            Route::SkywalkingProfilings => thread_snapshot::thread_snapshot(id, faker),
            Route::JaegerThrift => jaeger_thrift::batch(id, faker),
            Route::JaegerProto => jaeger_span::protobuf(id, faker),
            Route::JaegerJson => jaeger_span::json(id, faker),
            Route::OtelTraces => otlp_trace::trace(id, faker),
            Route::OtelMetrics => otlp_metric::metric(id, faker),
            Route::OtelLogs => otlp_log::log(id, faker),
            Route::CustomLog => json_log::line(id, faker),
            Route::CustomLogArray => {
                let elements = faker.below(u64::from(crate::record::MAX_ELEMENTS)) as u16 + 1;
                json_log::array(id, faker, elements)
            }
            Route::CustomMetric => json_metric::metric(id, faker),
            Route::CustomRum => rum::view(id, faker),
            Route::Handle => frame::opaque(id, faker),
            Route::HandleFramed if id.sequence % 10 == 9 => frame::rejected(id, faker),
            Route::HandleFramed => frame::checked(id, faker),
        }
    }
}

/// The key that all records of an id's lane share.
fn lane_key(id: RecordId) -> Option<Bytes> {
    Some(format!("key-{}", id.lane()).into())
}

/// Serialises a value built from JSON literals, which cannot fail.
fn json_bytes(value: &serde_json::Value) -> Bytes {
    Bytes::from(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_the_payloads_and_every_payload_holds_its_ids() {
        for route in Route::ALL {
            let make = || {
                let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
                (0..40)
                    .map(|n| Sample::of(RecordId::new(route, 2, n), &mut faker))
                    .collect::<Vec<_>>()
            };
            let samples = make();
            assert_eq!(samples, make());
            for sample in samples {
                let found: Vec<_> = RecordId::find_all(&sample.value).collect();
                assert_eq!(found, sample.ids, "{route}");
            }
        }
    }
}
