//! Cost of grok on an nginx access line of 259 bytes: a match, a line that does not match, and what the
//! expression costs in either engine.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafkamq_pipeline::grok::{Grok, Library};
use kafkamq_pipeline::regex::Captures;
use std::hint::black_box;

const LINE: &str = r#"203.0.113.195 - alice [10/Oct/2023:13:55:36 +0800] "GET /api/v1/orders/20231010/items?page=3&size=50&sort=created_at HTTP/1.1" 200 18243 "https://shop.example.com/checkout/cart?step=2" "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0" 0.123"#;
const IPORHOST: &str = r#"%{IPORHOST:client_ip} %{NOTSPACE:http_ident} %{NOTSPACE:http_auth} \[%{HTTPDATE:time}\] "%{DATA:http_method} %{GREEDYDATA:http_url} HTTP/%{NUMBER:http_version}" %{INT:status_code} %{INT:bytes} "%{DATA:referrer}" "%{DATA:agent}" %{NUMBER:cost}"#;
const NOTSPACE: &str = r#"%{NOTSPACE:client_ip} %{NOTSPACE:http_ident} %{NOTSPACE:http_auth} \[%{HTTPDATE:time}\] "%{DATA:http_method} %{GREEDYDATA:http_url} HTTP/%{NUMBER:http_version}" %{INT:status_code} %{INT:bytes} "%{DATA:referrer}" "%{DATA:agent}" %{NUMBER:cost}"#;

fn grok(c: &mut Criterion) {
    let library = Library::built_in();
    let mut group = c.benchmark_group("grok");
    group.throughput(Throughput::Bytes(LINE.len() as u64));
    let miss = LINE.replace("HTTP/1.1", "SPDY/1.1");
    let late = LINE.replace("0.123", "-");
    for (name, pattern) in [
        ("iporhost", IPORHOST.to_owned()),
        ("notspace", NOTSPACE.to_owned()),
        ("iporhost anchored", format!("^{IPORHOST}$")),
        ("combined anchored", "^%{COMBINEDAPACHELOG}".to_owned()),
    ] {
        let grok =
            Grok::compile(&pattern, &library, |_| None).unwrap_or_else(|e| unreachable!("{e}"));
        for (kind, text) in [("match", LINE), ("miss", &miss), ("late miss", &late)] {
            let mut captures = Captures::default();
            group.bench_function(format!("{name}, {kind}"), |b| {
                b.iter(|| {
                    let write = |key: &_, value| {
                        black_box((key, value));
                    };
                    grok.search(black_box(text), true, &mut captures, write)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, grok);
criterion_main!(benches);
