//! OTLP `ExportMetricsServiceRequest`.

use prost::Message;

use super::otlp_trace::{resource, scope, text};
use super::{Faker, Sample};
use crate::record::RecordId;
use crate::wire::otlp::{
    Gauge, Histogram, HistogramDataPoint, Metric, MetricData, MetricsRequest, Number,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};

/// A gauge, a sum and a histogram; the id is the resource attribute `record_id`.
#[must_use]
pub(crate) fn metric(id: RecordId, faker: &mut Faker) -> Sample {
    let now = faker.tick_ns();
    let start = now.saturating_sub(60_000_000_000);
    let named = |name: &str, unit: &str, data| Metric {
        name: name.to_owned(),
        description: String::new(),
        unit: unit.to_owned(),
        data: Some(data),
    };
    let number = |value, path: &str| NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        attributes: vec![text("url.path", path)],
    };
    let counts: Vec<u64> = (0..4).map(|_| faker.below(50)).collect();
    let histogram = HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(faker.float(100)),
        bucket_counts: counts,
        explicit_bounds: vec![0.01, 0.1, 1.0],
        attributes: vec![text("url.path", faker.path())],
    };
    let metrics = vec![
        named(
            "process.cpu.utilization",
            "1",
            MetricData::Gauge(Gauge {
                data_points: vec![number(Number::AsDouble(faker.float(1)), faker.path())],
            }),
        ),
        named(
            "http.server.requests",
            "{request}",
            MetricData::Sum(Sum {
                data_points: vec![number(
                    Number::AsInt(faker.below(10_000) as i64),
                    faker.path(),
                )],
                aggregation_temporality: 2,
                is_monotonic: true,
            }),
        ),
        named(
            "http.server.request.duration",
            "s",
            MetricData::Histogram(Histogram {
                data_points: vec![histogram],
                aggregation_temporality: 2,
            }),
        ),
    ];
    let message = MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource(id, faker)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
            }],
        }],
    };
    Sample::new(id, None, message.encode_to_vec())
}
