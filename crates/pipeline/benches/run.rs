//! What compiling and running scripts costs: nanoseconds and allocations per run.
//!
//! `cargo bench -p kafkamq-pipeline --bench run` (add `--profile ci` for a quick build).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use kafkamq_pipeline::{Engine, RunState, Script, parse_script};
use kafkamq_point::{Category, Point};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// Counts calls and hands them to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator cannot be written without it")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TURN: AtomicBool = AtomicBool::new(false);

const FLAT: &str = r#" {"time":1717000000000,"level":"warn","service":"checkout","host":"web-17","method":"POST","path":"/api/v1/cart/items","status":201,"bytes":5120,"duration":12.75,"user":"u-48151623","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

const KEYS: [&str; 11] = [
    "time", "level", "service", "host", "method", "path", "status", "bytes", "duration", "user",
    "trace",
];

const METRIC: &str = r#" {"time":1717000000000,"dimensions":{"host":"web-17","region":"cn-east","zone":"b"},"metrics":{"cpu.usage":12.5,"mem.used":73.25,"load.one":0.75}}"#;

const METRIC_SCRIPT: &str = r#"
data = load_json(_)
tags = data["dimensions"]
for k in tags {
  pt_kvs_set(k, tags[k], as_tag=true)
}
metrics = data["metrics"]
for k in metrics {
  pt_kvs_set(k, metrics[k])
}
pt_kvs_set("time", data["time"])
drop_origin_data()
"#;

fn load_json_script() -> String {
    let mut script = String::from("data = load_json(_)\n");
    for key in KEYS {
        script.push_str(&format!("add_key({key}, data[\"{key}\"])\n"));
    }
    script
}

fn json_script() -> String {
    KEYS.iter().map(|key| format!("json(_, {key})\n")).collect()
}

/// Some sixty lines of the shape real log scripts have.
fn real_script() -> String {
    let mut script = String::from(
        "data = load_json(_)\nif data == nil {\n  add_key(parse_error, true)\n  exit()\n}\nlevel = data[\"level\"]\nif level == \"warn\" || level == \"warning\" {\n  add_key(status, \"warning\")\n} elif level == \"error\" {\n  add_key(status, \"error\")\n} else {\n  add_key(status, \"info\")\n}\nset_tag(service, \"none\")\nif \"service\" in data {\n  service = data[\"service\"]\n  set_tag(service, service)\n}\ncode = data[\"status\"]\nif code >= 500 {\n  add_key(outcome, \"failure\")\n} elif code >= 400 {\n  add_key(outcome, \"refused\")\n} else {\n  add_key(outcome, \"success\")\n}\nslow = false\nif data[\"duration\"] > 10 && code != 499 {\n  slow = true\n}\nadd_key(slow)\ntotal = 0\nfor part in [\"bytes\", \"duration\"] {\n  if part in data {\n    total += data[part]\n  }\n}\nadd_key(total)\n",
    );
    for key in [
        "host", "method", "path", "user", "trace", "bytes", "duration",
    ] {
        script.push_str(&format!(
            "if data[\"{key}\"] != nil {{\n  add_key({key}, data[\"{key}\"])\n}}\n"
        ));
    }
    script.push_str("set_measurement(\"access\")\ndrop_key(parse_error)\nrename(client, user)\ndrop_origin_data()\n");
    script
}

fn once(script: &Script, state: &mut RunState, message: &str) -> Point {
    let mut point = Point::new("bench", Category::Logging, 1);
    // Two texts in turn: a run must not profit from the document the one before left.
    let turn = TURN.fetch_xor(true, Ordering::Relaxed);
    point.set_field(
        "message",
        if turn {
            message
        } else {
            message.get(1..).unwrap_or("")
        },
    );
    let outcome = script.run(&mut point, state);
    debug_assert!(outcome.error.is_none());
    black_box(&outcome);
    point
}

fn runs(c: &mut Criterion) {
    let engine = Engine::new();
    let mut group = c.benchmark_group("run");
    for (name, text, message) in [
        ("empty", String::new(), FLAT),
        ("load_json_11_keys", load_json_script(), FLAT),
        ("json_11_keys", json_script(), FLAT),
        ("metric", METRIC_SCRIPT.to_owned(), METRIC),
        ("real_60_lines", real_script(), FLAT),
    ] {
        let script = Script::compile(&engine, name, text).unwrap();
        let mut state = RunState::new();
        let outcome = {
            let mut point = once(&script, &mut state, message);
            script.run(&mut point, &mut state)
        };
        drop(outcome);
        once(&script, &mut state, message);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..1000 {
            drop(once(&script, &mut state, message));
        }
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        eprintln!(
            "{name}: {:.1} allocations per run",
            (after - before) as f64 / 1000.0
        );
        group.bench_function(name, |b| {
            b.iter(|| once(&script, &mut state, black_box(message)));
        });
    }
    group.finish();
}

fn front_end(c: &mut Criterion) {
    let text = real_script();
    let engine = Engine::new();
    eprintln!("script: {} lines", text.lines().count());
    c.bench_function("parse", |b| {
        b.iter(|| parse_script("bench.p", black_box(&text)).unwrap());
    });
    c.bench_function("compile", |b| {
        b.iter(|| Script::compile(&engine, "bench.p", black_box(text.as_str())).unwrap());
    });
}

criterion_group!(benches, runs, front_end);
criterion_main!(benches);
