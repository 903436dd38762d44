//! The stages with their inputs, which must stay as they are: a changed input is a new baseline.

use std::hint::black_box;

use kafkamq_pipeline::grok::{Grok, Library};
use kafkamq_pipeline::regex::Captures;
use kafkamq_pipeline::{Engine, Meter, RunState, Script, parse_script};
use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Point, Rules};

const TIME_NS: i64 = 1_700_000_000_123_456_789;

const JSON: &str = r#"{"time":1717000000000,"level":"warn","service":"checkout","host":"web-17","method":"POST","path":"/api/v1/cart/items","status":201,"bytes":5120,"duration":12.75,"user":"u-48151623","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

const JSON_SCRIPT: &str = include_str!("../../pipeline/benches/scripts/json.p");

const METRIC: &str = r#"{"time":1717000000000,"dimensions":{"host":"web-17","region":"cn-east","zone":"b"},"metrics":{"cpu.usage":12.5,"mem.used":73.25,"load.one":0.75}}"#;

const METRIC_SCRIPT: &str = include_str!("../../pipeline/benches/scripts/metric.p");

const NGINX: &str = r#"203.0.113.195 - alice [10/Oct/2023:13:55:36 +0800] "GET /api/v1/orders/20231010/items?page=3&size=50&sort=created_at HTTP/1.1" 200 18243 "https://shop.example.com/checkout/cart?step=2" "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0" 0.123"#;

const NGINX_PATTERN: &str = r#"%{IPORHOST:client_ip} %{NOTSPACE:http_ident} %{NOTSPACE:http_auth} \[%{HTTPDATE:time}\] "%{DATA:http_method} %{GREEDYDATA:http_url} HTTP/%{NUMBER:http_version}" %{INT:status_code} %{INT:bytes}"#;

const NGINX_SCRIPT: &str = include_str!("../../pipeline/benches/scripts/nginx.p");

/// Its name, and what runs it that many times.
type Stage = (&'static str, fn(u32));

/// Every stage.
pub(crate) const STAGES: &[Stage] = &[
    ("point/build", |n| {
        repeat(n, || log(JSON));
    }),
    ("point/limits", |n| {
        let (limits, point) = (Rules::limits(), log(NGINX));
        repeat(n, || limits.apply(&mut point.clone()).len());
    }),
    ("encode/line-protocol/text", |n| {
        encode(n, Encoding::LineProtocol, &log(NGINX));
    }),
    ("encode/line-protocol/json", |n| {
        encode(n, Encoding::LineProtocol, &log(JSON));
    }),
    ("encode/line-protocol/metric", |n| {
        encode(n, Encoding::LineProtocol, &metric());
    }),
    ("encode/json/metric", |n| {
        encode(n, Encoding::Json, &metric());
    }),
    ("encode/protobuf/text", |n| {
        encode(n, Encoding::Protobuf, &log(NGINX));
    }),
    ("decode/line-protocol/metric", |n| {
        decode(n, Encoding::LineProtocol);
    }),
    ("decode/protobuf/metric", |n| decode(n, Encoding::Protobuf)),
    ("script/empty", |n| script(n, "", JSON, Category::Logging)),
    ("script/json-11-keys", |n| {
        script(n, JSON_SCRIPT, JSON, Category::Logging);
    }),
    ("script/metric", |n| {
        script(n, METRIC_SCRIPT, METRIC, Category::Metric);
    }),
    ("script/nginx", |n| {
        script(n, NGINX_SCRIPT, NGINX, Category::Logging);
    }),
    ("grok/nginx/match", |n| grok(n, NGINX)),
    ("grok/nginx/late-miss", |n| {
        grok(n, &NGINX.replace("200 18243", "- -"));
    }),
    ("compile/nginx", |n| {
        let engine = Engine::new();
        // Far more expensive than a run, so fewer of them.
        repeat(n / 10, || {
            Script::compile(&engine, "nginx.p", NGINX_SCRIPT).is_ok()
        });
    }),
    ("parse/json-11-keys", |n| {
        repeat(n, || parse_script("json.p", JSON_SCRIPT).is_ok());
    }),
];

fn repeat<T>(repetitions: u32, mut work: impl FnMut() -> T) {
    for _ in 0..repetitions {
        black_box(work());
    }
}

fn log(message: &str) -> Point {
    let mut point = Point::new("bench", Category::Logging, TIME_NS);
    point.set_tag("type", "kafka");
    point.set_field("message", message);
    point.set_field("status", "info");
    point.set_field("message_len", message.len() as i64);
    point.set_field("offset", 123_456_789i64);
    point.set_field("partition", 3i64);
    point
}

fn metric() -> Point {
    let mut point = Point::new("cpu", Category::Metric, TIME_NS);
    point.set_tag("host", "web-17");
    point.set_tag("cpu", "cpu-total");
    point.set_field("usage_idle", 90.5);
    point.set_field("usage_user", 3.25);
    point.set_field("load1", 0.7);
    point.set_field("n_cpus", 16i64);
    point
}

fn encode(repetitions: u32, encoding: Encoding, point: &Point) {
    let mut out = Vec::with_capacity(64 * 1024);
    repeat(repetitions, || {
        out.clear();
        encoding.append(black_box(point), &mut out).is_ok()
    });
}

fn decode(repetitions: u32, encoding: Encoding) {
    let mut out = Vec::new();
    let appended = encoding.append(&metric(), &mut out);
    assert!(appended.is_ok(), "the sample cannot be encoded");
    let body = encoding.framing().wrap(&out).concat();
    let options = DecodeOptions {
        category: Category::Metric,
        precision: Some(Precision::Nanoseconds),
        now_ns: TIME_NS,
    };
    repeat(repetitions, || {
        encoding.decode(black_box(&body), &options).is_ok()
    });
}

fn script(repetitions: u32, text: &str, message: &str, category: Category) {
    let Ok(script) = Script::compile(&Engine::new(), "stage.p", text) else {
        unreachable!("the stage's script compiles");
    };
    let mut state = RunState::new();
    // Two texts in turn: a run must not profit from the document that the one before left.
    let other = format!("{message} ");
    let mut turn = false;
    repeat(repetitions, || {
        turn = !turn;
        let message = if turn { message } else { &other };
        let mut point = Point::new("bench", category, TIME_NS);
        if category == Category::Metric {
            point.set_tag("message", message);
        } else {
            point.set_field("message", message);
        }
        let outcome = script.run(&mut point, &mut state);
        assert!(outcome.error.is_none(), "the stage's script runs");
        (point, outcome)
    });
}

fn grok(repetitions: u32, text: &str) {
    let Ok(grok) = Grok::compile(NGINX_PATTERN, &Library::built_in(), |_| None) else {
        unreachable!("the stage's pattern compiles");
    };
    let mut captures = Captures::default();
    let meter = Meter::unbounded();
    repeat(repetitions, || {
        let write = |key: &_, value| {
            black_box((key, value));
        };
        grok.search(black_box(text), true, &mut captures, &meter, write)
    });
}
