//! SkyWalking's `MeterDataCollection` to metric points.
//!
//! A meter's name is the field, its labels are tags beside `service` and `service_instance`. Each
//! bucket of a histogram is a point of its own: its count as `<name>_bucket`, its lower bound as the
//! tag `bucket`. Service, instance and time stand on the first element and hold for the others.

use bytes::Bytes;
use kafkamq_point::{Category, Point, Text, Value};
use prost::Message;

use super::TranscodeError;

/// The measurement of all meters.
const MEASUREMENT: &str = "skywalking_meter";

#[derive(Clone, PartialEq, Message)]
struct Collection {
    #[prost(message, repeated, tag = "1")]
    meters: Vec<Meter>,
}

#[derive(Clone, PartialEq, Message)]
struct Meter {
    #[prost(message, optional, tag = "1")]
    single: Option<Single>,
    #[prost(message, optional, tag = "2")]
    histogram: Option<Histogram>,
    #[prost(string, tag = "3")]
    service: String,
    #[prost(string, tag = "4")]
    instance: String,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "5")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Single {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    labels: Vec<Label>,
    #[prost(double, tag = "3")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "3")]
    values: Vec<Bucket>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(double, tag = "1")]
    lower: f64,
    #[prost(int64, tag = "2")]
    count: i64,
    /// The lower bound is infinite and `lower` means nothing.
    #[prost(bool, tag = "3")]
    is_negative_infinity: bool,
}

/// The points of a collection; one without a time gets `now_ns`.
pub(super) fn points(value: &Bytes, now_ns: i64) -> Result<Vec<Point>, TranscodeError> {
    let collection = Collection::decode(value.clone()).map_err(TranscodeError::Protobuf)?;
    let mut points = Vec::with_capacity(collection.meters.len());
    let mut origin = Meter::default();
    for meter in collection.meters {
        if !meter.service.is_empty() {
            origin.service = meter.service;
        }
        if !meter.instance.is_empty() {
            origin.instance = meter.instance;
        }
        if meter.timestamp != 0 {
            origin.timestamp = meter.timestamp;
        }
        if let Some(single) = meter.single {
            let mut point = point(&origin, &single.labels, now_ns);
            set(&mut point, &single.name, single.value.into(), false);
            points.push(point);
        }
        if let Some(histogram) = meter.histogram {
            for bucket in histogram.values {
                let mut point = point(&origin, &histogram.labels, now_ns);
                let lower = match bucket.is_negative_infinity {
                    true => "-Inf".to_owned(),
                    false => bucket.lower.to_string(),
                };
                point.set_tag("bucket", lower);
                let name = format!("{}_bucket", histogram.name);
                set(&mut point, &name, bucket.count.into(), false);
                points.push(point);
            }
        }
    }
    Ok(points)
}

fn point(origin: &Meter, labels: &[Label], now_ns: i64) -> Point {
    let time_ns = match origin.timestamp {
        0 => now_ns,
        millis => millis.saturating_mul(1_000_000),
    };
    let mut point = Point::new(MEASUREMENT, Category::Metric, time_ns);
    for (key, value) in [
        ("service", &origin.service),
        ("service_instance", &origin.instance),
    ] {
        if !value.is_empty() {
            point.set_tag(key, value.as_str());
        }
    }
    for label in labels.iter().filter(|label| !label.value.is_empty()) {
        set(&mut point, &label.name, label.value.as_str().into(), true);
    }
    point
}

/// A key that is taken gets its value under another name rather than none.
fn set(point: &mut Point, key: &str, value: Value, tag: bool) {
    let mut key = Text::from(key);
    while point.get(&key).is_some() {
        key.push('_');
    }
    point
        .entries_mut()
        .push(kafkamq_point::Entry { key, value, tag });
}

#[cfg(test)]
mod tests {
    use kafkamq_point::codec::Encoding;
    use kafkamq_testbed::wire::skywalking as peer;

    use super::*;

    fn lines(collection: &peer::MeterDataCollection) -> String {
        let mut out = Vec::new();
        for point in points(&collection.encode_to_vec().into(), 77).unwrap() {
            Encoding::LineProtocol.encode(&point, &mut out).unwrap();
            out.push(b'\n');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn single_values_and_buckets_become_points_of_the_first_elements_service() {
        let label = |name: &str, value: &str| peer::Label {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let bucket = |bucket, count, is_negative_infinity| peer::MeterBucketValue {
            bucket,
            count,
            is_negative_infinity,
        };
        let single = peer::MeterData {
            metric: Some(peer::Metric::SingleValue(peer::MeterSingleValue {
                name: "cpu.usage".to_owned(),
                labels: vec![
                    label("host", "h-1"),
                    label("empty", ""),
                    label("service", "own"),
                ],
                value: 0.5,
            })),
            service: "shop".to_owned(),
            service_instance: "shop-1".to_owned(),
            timestamp: 1_700_000_000_000,
        };
        let histogram = peer::MeterData {
            metric: Some(peer::Metric::Histogram(peer::MeterHistogram {
                name: "latency".to_owned(),
                labels: vec![label("path", "/")],
                values: vec![
                    bucket(9.0, 1, true),
                    bucket(0.0, 2, false),
                    bucket(0.25, 3, false),
                ],
            })),
            ..peer::MeterData::default()
        };
        let nothing = peer::MeterData::default();
        let collection = peer::MeterDataCollection {
            meter_data: vec![single, nothing, histogram],
        };
        insta::assert_snapshot!(lines(&collection));
    }

    #[test]
    fn a_meter_without_time_gets_the_clock_and_garbage_is_refused() {
        let meter = peer::MeterData {
            metric: Some(peer::Metric::SingleValue(peer::MeterSingleValue {
                name: "up".to_owned(),
                value: 1.0,
                ..peer::MeterSingleValue::default()
            })),
            ..peer::MeterData::default()
        };
        let collection = peer::MeterDataCollection {
            meter_data: vec![meter],
        };
        assert_eq!(lines(&collection), "skywalking_meter up=1 77\n");
        assert!(points(&Bytes::from_static(b"\x0a\xff"), 0).is_err());
    }
}
