//! What a time function costs beyond the call: recognising, reading, printing; and the look-ups of
//! the stateful functions.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use kafkamq_pipeline::cache::ScriptCache;
use kafkamq_pipeline::refer_table::{Cell, ReferTables, TableSet};
use kafkamq_pipeline::time::{Abbreviations, Layout, TimeFormat, Zone, recognise};
use kafkamq_pipeline::value::Constant;

const NOW: i64 = 1_669_584_763_000_000_000;

fn times(c: &mut Criterion) {
    let shanghai = Zone::named("Asia/Shanghai").unwrap_or(Zone::UTC);
    let usual = Abbreviations::default();
    for (name, text) in [
        ("nginx", "27/Nov/2022:21:32:43 +0800"),
        ("rfc3339", "2022-11-27T21:32:43.118Z"),
        ("iso with zone argument", "2022-11-27 21:32:43.118"),
        ("epoch milliseconds", "1645678901234"),
        ("syslog", "Nov 27 21:32:43"),
        ("no time", "GET /index.html HTTP/1.1"),
    ] {
        c.bench_function(&format!("recognise {name}"), |b| {
            b.iter(|| recognise(black_box(text), &shanghai, &usual, || NOW));
        });
    }
    let layout = Layout::new("2006-01-02 15:04:05.000");
    c.bench_function("layout", |b| {
        b.iter(|| {
            layout.parse(
                black_box("2022-11-27 21:32:43.118"),
                &Zone::UTC,
                &usual,
                || NOW,
            )
        });
    });
    let format = TimeFormat::new("RFC3339Nano");
    c.bench_function("format", |b| {
        b.iter(|| format.format(black_box(NOW), &shanghai));
    });
}

fn stores(c: &mut Criterion) {
    let cache = ScriptCache::default();
    cache.set("key".into(), Constant::Str("value".into()), 1000, NOW);
    c.bench_function("cache hit", |b| b.iter(|| cache.get(black_box("key"), NOW)));

    let rows: Vec<_> = (0..10_000)
        .map(|row| format!("[\"k{row}\",{}]", row % 7))
        .collect();
    let json = format!(
        r#"[{{"table_name":"t","column_name":["k","n"],"column_type":["string","int"],"row_data":[{}]}}]"#,
        rows.join(",")
    );
    let tables = ReferTables::new();
    if let Ok(set) = TableSet::from_json(json.as_bytes()) {
        tables.replace(set);
    }
    let wanted = [("k".into(), Cell::Str("k7777".into()))];
    c.bench_function("table row of 10000", |b| {
        b.iter(|| {
            tables
                .current()
                .look_up("t", black_box(&wanted), |_, cell| {
                    black_box(cell);
                });
        });
    });
}

criterion_group!(benches, times, stores);
criterion_main!(benches);
