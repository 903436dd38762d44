//! What grok costs on an nginx access line of 263 bytes: a match, a text that does not match early or late, a
//! text of another kind, and whole runs of a script with casts and a time.
//!
//! `cargo bench -p kafkamq-pipeline --bench grok` (add `--profile ci` for a quick build).
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafkamq_pipeline::grok::{Grok, Library};
use kafkamq_pipeline::regex::Captures;
use kafkamq_pipeline::{Engine, Meter, RunState, Script};
use kafkamq_point::{Category, Point};
use std::hint::black_box;

const LINE: &str = r#"203.0.113.195 - alice [10/Oct/2023:13:55:36 +0800] "GET /api/v1/orders/20231010/items?page=3&size=50&sort=created_at HTTP/1.1" 200 18243 "https://shop.example.com/checkout/cart?step=2" "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0" 0.123"#;

/// The usual pattern of access logs; `HOST` stands for the first part.
const USUAL: &str = r#"HOST:client_ip} %{NOTSPACE:http_ident} %{NOTSPACE:http_auth} \[%{HTTPDATE:time}\] "%{DATA:http_method} %{GREEDYDATA:http_url} HTTP/%{NUMBER:http_version}" %{INT:status_code} %{INT:bytes} "%{DATA:referrer}" "%{DATA:agent}" %{NUMBER:cost}"#;

/// The same with sets instead of `DATA` and `GREEDYDATA`.
const TIGHT: &str = r#"^%{NOTSPACE:client_ip} %{NOTSPACE:http_ident} %{NOTSPACE:http_auth} \[(?P<time>[^\]]+)\] "(?P<http_method>[^ ]*) (?P<http_url>[^ ]*) HTTP/(?P<http_version>[^"]*)" %{INT:status_code} %{INT:bytes} "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)" (?P<cost>[0-9.]+)"#;

fn patterns() -> [(&'static str, String); 5] {
    let iporhost = USUAL.replace("HOST:", "%{IPORHOST:");
    [
        ("notspace", USUAL.replace("HOST:", "%{NOTSPACE:")),
        ("iporhost", iporhost.clone()),
        ("iporhost_anchored", format!("^{iporhost}")),
        ("combined_anchored", "^%{COMBINEDAPACHELOG}".to_owned()),
        ("tight", TIGHT.to_owned()),
    ]
}

fn search(c: &mut Criterion) {
    let library = Library::built_in();
    let mut group = c.benchmark_group("grok");
    group.throughput(Throughput::Bytes(LINE.len() as u64));
    let early = format!("{} {LINE}", "x ".repeat(8));
    let late = LINE.replace("\" 0.123", "\" -");
    let other = "2023-10-10 13:55:36.123 INFO  [main] c.e.shop.OrderService - order 20231010 created in 35 ms for user alice";
    for (name, pattern) in patterns() {
        let grok = Grok::compile(&pattern, &library, |_| None).unwrap();
        for (kind, text) in [
            ("match", LINE),
            ("shifted", &early),
            ("late_miss", &late),
            ("other", other),
        ] {
            let mut captures = Captures::default();
            let meter = Meter::unbounded();
            group.bench_function(format!("{name}/{kind}"), |b| {
                b.iter(|| {
                    let write = |key: &_, value| {
                        black_box((key, value));
                    };
                    grok.search(black_box(text), true, &mut captures, &meter, write)
                });
            });
        }
    }
    group.finish();
}

fn run(c: &mut Criterion) {
    let engine = Engine::new();
    let mut group = c.benchmark_group("grok_run");
    for (name, pattern) in patterns() {
        if name == "combined_anchored" {
            continue;
        }
        let script = format!(
            "grok(_, '''{pattern}''')\ncast(status_code, \"int\")\ncast(bytes, \"int\")\ncast(cost, \"float\")\n\
             default_time(time)\ndrop_origin_data()\n"
        );
        let script = Script::compile(&engine, "nginx.p", script).unwrap();
        let mut state = RunState::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut point = Point::new("nginx", Category::Logging, 1);
                point.set_field("message", black_box(LINE));
                black_box(&script.run(&mut point, &mut state));
                point
            });
        });
    }
    group.finish();
}

criterion_group!(benches, search, run);
criterion_main!(benches);
