//! Speed of the encoders and decoders on one core, in bytes and in points a second.

#![expect(clippy::unwrap_used, reason = "a bench may stop at a fault")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Point, Rules};

const POINTS: i64 = 100;
const TIME_NS: i64 = 1_700_000_000_123_456_789;

/// Log points as a pipeline leaves them: the record's text of about 600 bytes and what was cut out of it.
fn logs(message: impl Fn(i64) -> String) -> Vec<Point> {
    let log = |n| {
        let mut point = Point::new("nginx-access", Category::Logging, TIME_NS + n);
        point.set_tag("type", "kafka");
        point.set_tag("host", "web-17.eu-central");
        point.set_field("message", message(n).as_str());
        point.set_field("message_len", 600i64);
        point.set_field("offset", 123_456_789 + n);
        point.set_field("partition", 3i64);
        point.set_field("status", "info");
        point
    };
    (0..POINTS).map(log).collect()
}

fn text_message(n: i64) -> String {
    let line = format!(
        "192.0.2.{} - alice [21/Nov/2026:10:00:00 +0000] \"GET /index/{n} HTTP/1.1\" 200 5316 \"-\" \"Mozilla/5.0\" ",
        n % 250
    );
    let mut text = line.repeat(7);
    text.truncate(600);
    text
}

/// The hard case: JSON in a text value, a quote to escape every few bytes.
fn json_message(n: i64) -> String {
    let fields: Vec<_> = (0..30)
        .map(|k| format!("\"field_{k}\":\"value-{}\"", n * k))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// Metric points of two tags and four fields.
fn metrics() -> Vec<Point> {
    let metric = |n: i64| {
        let mut point = Point::new("cpu", Category::Metric, TIME_NS + n);
        point.set_tag("host", "web-17");
        point.set_tag("cpu", "cpu-total");
        point.set_field("usage_idle", 90.5 + n as f64 / 8.0);
        point.set_field("usage_user", 3.25);
        point.set_field("load1", 0.7 * n as f64);
        point.set_field("n_cpus", 16i64);
        point
    };
    (0..POINTS).map(metric).collect()
}

fn samples() -> [(&'static str, Vec<Point>); 3] {
    [
        ("text log", logs(text_message)),
        ("json log", logs(json_message)),
        ("metric", metrics()),
    ]
}

fn encode(criterion: &mut Criterion) {
    for (sample, points) in samples() {
        for encoding in Encoding::ALL {
            let mut group = criterion.benchmark_group(format!("encode {encoding}"));
            let mut out = Vec::new();
            for point in &points {
                encoding.append(point, &mut out).unwrap();
            }
            group.throughput(Throughput::ElementsAndBytes {
                elements: POINTS.unsigned_abs(),
                bytes: out.len() as u64,
            });
            group.bench_function(sample, |bencher| {
                bencher.iter(|| {
                    out.clear();
                    for point in black_box(&points) {
                        encoding.append(point, &mut out).unwrap();
                    }
                    out.len()
                });
            });
        }
    }
}

fn decode(criterion: &mut Criterion) {
    let options = DecodeOptions {
        category: Category::Metric,
        precision: Some(Precision::Nanoseconds),
        now_ns: TIME_NS,
    };
    for (sample, points) in samples() {
        for encoding in Encoding::ALL {
            let mut group = criterion.benchmark_group(format!("decode {encoding}"));
            let mut out = Vec::new();
            for point in &points {
                encoding.append(point, &mut out).unwrap();
            }
            let body = encoding.framing().wrap(&out).concat();
            group.throughput(Throughput::ElementsAndBytes {
                elements: POINTS.unsigned_abs(),
                bytes: body.len() as u64,
            });
            group.bench_function(sample, |bencher| {
                bencher.iter(|| encoding.decode(black_box(&body), &options).unwrap());
            });
        }
    }
}

fn rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rules");
    group.throughput(Throughput::Elements(POINTS.unsigned_abs()));
    for (sample, points) in samples() {
        group.bench_function(sample, |bencher| {
            bencher.iter_batched_ref(
                || points.clone(),
                |points| {
                    for point in points {
                        let warnings = Rules::of(point.category()).apply(point);
                        assert!(warnings.is_empty());
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, encode, decode, rules);
criterion_main!(benches);
