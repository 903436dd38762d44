//! SkyWalking's `MeterDataCollection` to metric points.
//!
//! A meter's name is the field, its labels are tags beside `service` and `service_instance`. Each
//! bucket of a histogram is a point of its own: its count as `<name>_bucket`, its lower bound as the
//! tag `bucket`. Service, instance and time stand on the first element and hold for the others.

use bytes::{Buf as _, Bytes};
use kafkamq_point::{Category, Point, Text, Value};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::TranscodeError;

/// The measurement of all meters.
const MEASUREMENT: &str = "skywalking_meter";

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

/// The points of a collection, made one by one: two bytes can stand for a point.
#[derive(Debug)]
pub struct Points {
    /// What is left of the collection.
    rest: Bytes,
    now_ns: i64,
    /// Service, instance and time as they hold now.
    origin: Meter,
    histogram: Histogram,
    /// Buckets of the histogram that were given out.
    given: usize,
}

impl Points {
    /// Checks a collection; points without a time get `now_ns`.
    pub(super) fn of(value: &Bytes, now_ns: i64) -> Result<Self, TranscodeError> {
        let mut rest = value.clone();
        while next_meter(&mut rest)
            .map_err(TranscodeError::Protobuf)?
            .is_some()
        {}
        Ok(Self {
            rest: value.clone(),
            now_ns,
            origin: Meter::default(),
            histogram: Histogram::default(),
            given: 0,
        })
    }

    fn bucket(&mut self) -> Option<Point> {
        let bucket = self.histogram.values.get(self.given)?;
        self.given += 1;
        let mut point = point(&self.origin, &self.histogram.labels, self.now_ns);
        let lower = match bucket.is_negative_infinity {
            true => "-Inf".to_owned(),
            false => bucket.lower.to_string(),
        };
        point.set_tag("bucket", lower);
        let name = format!("{}_bucket", self.histogram.name);
        set(&mut point, &name, bucket.count.into(), false);
        Some(point)
    }
}

impl Iterator for Points {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        loop {
            if let Some(point) = self.bucket() {
                return Some(point);
            }
            // It was read before, so there is no error left to find.
            let meter = next_meter(&mut self.rest).ok()??;
            if !meter.service.is_empty() {
                self.origin.service = meter.service;
            }
            if !meter.instance.is_empty() {
                self.origin.instance = meter.instance;
            }
            if meter.timestamp != 0 {
                self.origin.timestamp = meter.timestamp;
            }
            self.histogram = meter.histogram.unwrap_or_default();
            self.given = 0;
            if let Some(single) = meter.single {
                let mut point = point(&self.origin, &single.labels, self.now_ns);
                set(&mut point, &single.name, single.value.into(), false);
                return Some(point);
            }
        }
    }
}

/// Takes the next meter off a collection, whose only field it is.
fn next_meter(rest: &mut Bytes) -> Result<Option<Meter>, prost::DecodeError> {
    while rest.has_remaining() {
        let (number, wire) = decode_key(rest)?;
        let context = DecodeContext::default();
        if number == 1 {
            let mut meter = Meter::default();
            prost::encoding::message::merge(wire, &mut meter, rest, context)?;
            return Ok(Some(meter));
        }
        skip_field(wire, number, rest, context)?;
    }
    Ok(None)
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

    fn points(value: &Bytes, now_ns: i64) -> Result<Vec<Point>, TranscodeError> {
        Points::of(value, now_ns).map(Iterator::collect)
    }

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
