//! Every kind of output against a real system that stores: the point sent and the point read back
//! are equal.
//!
//! The systems are not part of a build. A test takes a program from an environment variable, or by
//! its name from `PATH`, and says that it is skipped if it finds none; `docs/outputs.md` says how to
//! get them. Kafka itself comes as in all tests here.

#![expect(
    clippy::print_stdout,
    reason = "what was read back belongs into the test's output"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kafkamq_integration::{Config, Guarded, Kafkamq, Scene, free_port, until};
use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Value};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use serde_json::{Value as Json, json};

const LIMIT: Duration = Duration::from_secs(60);
const TIME_NS: i64 = 1_700_000_000_123_456_789;

/// What is hard to carry: blanks and separators in tags, an integer that no double holds, a double
/// that no short decimal is, quotes, backslashes and a line break in text.
const SCRIPT: &str = r#"
data = load_json(message)
set_tag(host, "web 17,a=b")
set_tag(place, "北京")
drop_key(type)
add_key(text, data["text"])
add_key(whole, 9007199254740993)
add_key(ratio, 0.1)
add_key(tiny, -0.000000125)
add_key(good, true)
add_key(time, 1700000000123456789)
drop_key(message)
drop_key(message_len)
drop_key(offset)
drop_key(partition)
drop_key(status)
setopt(status_mapping=false)
"#;
const METRIC_SCRIPT: &str = r#"
set_tag(host, "web 17,a=b")
set_tag(place, "北京")
drop_key(type)
add_key(whole, 4503599627370497)
add_key(ratio, 0.1)
add_key(tiny, -0.000000125)
add_key(time, 1700000000123000000)
drop_key(message)
drop_key(message_len)
drop_key(offset)
drop_key(partition)
"#;
const RECORD: &str = r#"{"text": "say \"hi\", C:\\dir\\ né,x=1"}"#;
const TEXT: &str = r#"say "hi", C:\dir\ né,x=1"#;

/// A program that stores points.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|folder| folder.join(name));
    let program = given.or_else(|| found().find(|path| path.is_file()));
    if program.is_none() {
        println!(
            "SKIPPED: no {name}; name it with {variable}, docs/outputs.md says where it is from"
        );
    }
    program
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .new_agent()
}

/// A point as a map, so that it can be compared whatever it was read from.
type Fields = BTreeMap<String, Json>;

fn sent() -> Fields {
    let fields = json!({
        "time": TIME_NS, "host": "web 17,a=b", "place": "北京", "text": TEXT,
        "whole": 9_007_199_254_740_993_i64, "ratio": 0.1, "tiny": -0.000_000_125, "good": true,
    });
    serde_json::from_value(fields).unwrap_or_default()
}

/// The only point of a body in line protocol.
fn only_point(body: &[u8]) -> Result<Fields> {
    let options = DecodeOptions {
        category: Category::Logging,
        precision: Some(Precision::Nanoseconds),
        now_ns: 0,
    };
    let points = Encoding::LineProtocol
        .decode(body, &options)
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    ensure!(points.len() == 1, "{} points", points.len());
    let point = points.first().context("no point")?;
    let mut fields = Fields::from([("time".to_owned(), json!(point.time_ns()))]);
    for entry in point.entries() {
        let value = match &entry.value {
            Value::Str(text) => json!(text.as_str()),
            Value::Int(number) => json!(number),
            Value::Float(number) => json!(number),
            Value::Bool(flag) => json!(flag),
            other => bail!("unexpected {other:?}"),
        };
        fields.insert(entry.key.to_string(), value);
    }
    Ok(fields)
}

fn show(system: &str, fields: &Fields) {
    let text = serde_json::to_string(fields).unwrap_or_default();
    println!("{system}: {text}");
}

/// A service of its own for one output, which is given the one record of `topic`.
fn deliver(
    scene: &Scene,
    name: &str,
    topic: &str,
    output: impl FnOnce(Config) -> Config,
) -> Result<Kafkamq> {
    let base = Config::new(scene.bootstrap(), &format!("{}-{name}", scene.group()), "");
    let map = if topic.ends_with("metric") {
        "metric"
    } else {
        "log"
    };
    let route = format!("{map}_topic_map = {{ \"{topic}\" = \"{map}.p\" }}");
    let config = output(base)
        .output("batch_wait = \"50ms\"")
        .route("custom", &route);
    let kafkamq = scene.kafkamq(&config, name)?;
    let labels = [("outcome", "delivered")];
    until("delivery", LIMIT, || {
        let count = kafkamq.metric("kafkamq_points_forwarded_total", &labels)?;
        Ok((count >= 1.0).then_some(()))
    })
    .with_context(|| kafkamq.log().unwrap_or_default())?;
    Ok(kafkamq)
}

fn influxdb(scene: &Scene, topic: &str) -> Result<()> {
    let Some(influxd) = program("KAFKAMQ_INFLUXD", "influxd") else {
        return Ok(());
    };
    let dir = scene.dir().join("influxdb");
    let (http, rpc) = (free_port()?, free_port()?);
    let config = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
         [meta]\ndir = \"{0}/meta\"\n[data]\ndir = \"{0}/data\"\nwal-dir = \"{0}/wal\"\n\
         [http]\nbind-address = \"127.0.0.1:{http}\"\n[monitor]\nstore-enabled = false\n",
        dir.display()
    );
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("influxdb.conf");
    std::fs::write(&file, config)?;
    let arguments = ["-config".to_owned(), file.display().to_string()];
    let _server = Guarded::start(&influxd, &arguments, &dir.join("log"))?;
    let address = format!("http://127.0.0.1:{http}");
    let agent = agent();
    until("InfluxDB", LIMIT, || {
        let created = agent
            .post(format!("{address}/query"))
            .send_form([("q", "CREATE DATABASE k")]);
        Ok(created.ok())
    })?;
    let endpoint = format!("{address}/write?db=k");
    let _kafkamq = deliver(scene, "influxdb", topic, |config| {
        config
            .output_kind("influxdb", Some(&endpoint))
            .output("compression = \"gzip\"")
    })?;
    let query = format!("SELECT * FROM \"{topic}\"");
    let text = agent
        .get(format!("{address}/query"))
        .query("db", "k")
        .query("epoch", "ns")
        .query("q", &query)
        .call()?
        .body_mut()
        .read_to_string()?;
    let answer: Json = serde_json::from_str(&text)?;
    let series = &answer["results"][0]["series"][0];
    let columns = series["columns"].as_array().context("no columns")?;
    let values = series["values"][0].as_array().context("no values")?;
    let read: Fields = columns
        .iter()
        .zip(values)
        .map(|(column, value)| {
            (
                column.as_str().unwrap_or_default().to_owned(),
                value.clone(),
            )
        })
        .collect();
    show("InfluxDB 1.x", &read);
    ensure!(read == sent(), "InfluxDB: {text}");
    Ok(())
}

/// It stores numbers with milliseconds, one series for each field.
fn victoria_metrics(scene: &Scene, topic: &str) -> Result<()> {
    let Some(server) = program("KAFKAMQ_VICTORIA_METRICS", "victoria-metrics") else {
        return Ok(());
    };
    let dir = scene.dir().join("victoria");
    std::fs::create_dir_all(&dir)?;
    let port = free_port()?;
    let arguments = [
        format!("-storageDataPath={}", dir.display()),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        "-retentionPeriod=100y".to_owned(),
    ];
    let _server = Guarded::start(&server, &arguments, &scene.dir().join("victoria.log"))?;
    let address = format!("http://127.0.0.1:{port}");
    let agent = agent();
    until("VictoriaMetrics", LIMIT, || {
        Ok(agent.get(format!("{address}/health")).call().ok())
    })?;
    for (name, path) in [("vm1", "/write"), ("vm2", "/api/v2/write")] {
        let endpoint = format!("{address}{path}");
        let _kafkamq = deliver(scene, name, topic, |config| {
            config.output_kind("influxdb", Some(&endpoint))
        })?;
        let read = until("series", LIMIT, || {
            agent
                .get(format!("{address}/internal/force_flush"))
                .call()?;
            let text = agent
                .get(format!("{address}/api/v1/export"))
                .query("match[]", "{host!=\"\"}")
                .call()?
                .body_mut()
                .read_to_string()?;
            let mut read = Fields::new();
            for line in text.lines() {
                let series: Json = serde_json::from_str(line)?;
                let metric = &series["metric"];
                let field = metric["__name__"].as_str().unwrap_or_default();
                let field = field.strip_prefix(topic).and_then(|f| f.strip_prefix('_'));
                read.insert(
                    field.context("another series")?.to_owned(),
                    series["values"][0].clone(),
                );
                read.insert("time".to_owned(), series["timestamps"][0].clone());
                read.insert("host".to_owned(), metric["host"].clone());
                read.insert("place".to_owned(), metric["place"].clone());
            }
            Ok((read.len() == 6).then_some(read))
        })?;
        let expected: Fields = serde_json::from_value(json!({
            "time": TIME_NS / 1_000_000, "host": "web 17,a=b", "place": "北京",
            "whole": 4_503_599_627_370_497_i64, "ratio": 0.1, "tiny": -0.000_000_125,
        }))?;
        show(&format!("VictoriaMetrics {path}"), &read);
        let same = expected.iter().all(|(key, value)| match value.as_f64() {
            Some(number) => read.get(key).and_then(Json::as_f64) == Some(number),
            None => read.get(key) == Some(value),
        });
        ensure!(
            same && read.len() == expected.len(),
            "VictoriaMetrics: {read:?}"
        );
        agent
            .post(format!("{address}/api/v1/admin/tsdb/delete_series"))
            .send_form([("match[]", "{host!=\"\"}")])?;
    }
    Ok(())
}

fn telegraf(scene: &Scene, topic: &str) -> Result<()> {
    let Some(telegraf) = program("KAFKAMQ_TELEGRAF", "telegraf") else {
        return Ok(());
    };
    let kinds = [
        ("http_listener_v2", "/telegraf"),
        ("influxdb_listener", "/write?db=k"),
        ("influxdb_v2_listener", "/api/v2/write?org=o&bucket=b"),
    ];
    for (input, path) in kinds {
        let port = free_port()?;
        let out = scene.dir().join(format!("{input}.out"));
        let listener = match input {
            "http_listener_v2" => format!(
                "service_address = \"tcp://127.0.0.1:{port}\"\npaths = [\"/telegraf\"]\ndata_format = \"influx\""
            ),
            _ => format!("service_address = \"127.0.0.1:{port}\""),
        };
        let config = format!(
            "[agent]\ninterval = \"200ms\"\nflush_interval = \"200ms\"\nomit_hostname = true\n\
             [[inputs.{input}]]\n{listener}\n\
             [[outputs.file]]\nfiles = [\"{}\"]\ndata_format = \"influx\"\n",
            out.display()
        );
        let file = scene.dir().join(format!("{input}.conf"));
        std::fs::write(&file, config)?;
        let arguments = ["--config".to_owned(), file.display().to_string()];
        let log = scene.dir().join(format!("{input}.log"));
        let _server = Guarded::start(&telegraf, &arguments, &log)?;
        let endpoint = format!("http://127.0.0.1:{port}{path}");
        let _kafkamq = deliver(scene, input, topic, |config| {
            config
                .output_kind("influxdb", Some(&endpoint))
                .output("backoff_max = \"200ms\"\nhold_backoff = \"200ms\"")
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        let read = read_file(&out)?;
        show(&format!("Telegraf {input}"), &read);
        ensure!(read.get("bucket").is_none_or(|bucket| bucket == "b"));
        let read: Fields = read
            .into_iter()
            .filter(|(key, _)| key != "bucket" && key != "database")
            .collect();
        ensure!(read == sent(), "Telegraf {input}: {read:?}");
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Fields> {
    let body = until("a line", LIMIT, || {
        let body = std::fs::read(path).unwrap_or_default();
        Ok(body.ends_with(b"\n").then_some(body))
    })?;
    only_point(&body)
}

fn files(scene: &Scene, topic: &str) -> Result<()> {
    let folder = scene.dir().join("points");
    let _kafkamq = deliver(scene, "file", topic, |config| {
        config
            .output_kind("file", None)
            .output(format!("path = \"{}\"", folder.display()))
    })?;
    let read = read_file(&folder.join("logging/00000001.lp"))?;
    show("file", &read);
    ensure!(read == sent(), "file: {read:?}");
    Ok(())
}

fn kafka(scene: &Scene, topic: &str) -> Result<()> {
    let target = scene.topic("points", 1)?;
    let _kafkamq = deliver(scene, "kafka", topic, |config| {
        config.output_kind("kafka", None).output(format!(
            "addrs = [\"{}\"]\ntopic = \"{target}\"",
            scene.bootstrap()
        ))
    })?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scene.bootstrap())
        .set("group.id", format!("{}-reader", scene.group()))
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[&target])?;
    let read = until("the record", LIMIT, || {
        match consumer.poll(Duration::from_millis(100)) {
            Some(record) => only_point(record?.payload().unwrap_or_default()).map(Some),
            None => Ok(None),
        }
    })?;
    show("Apache Kafka", &read);
    ensure!(read == sent(), "Kafka: {read:?}");
    Ok(())
}

#[test]
fn what_is_sent_can_be_read_back() -> Result<()> {
    let Some(scene) = Scene::shared("outputs")? else {
        return Ok(());
    };
    scene.script("log.p", SCRIPT)?;
    std::fs::create_dir_all(scene.dir().join("pipeline/metric"))?;
    std::fs::write(scene.dir().join("pipeline/metric/metric.p"), METRIC_SCRIPT)?;
    let log = scene.topic("log", 1)?;
    let metric = scene.topic("metric", 1)?;
    let mut producer = scene.producer()?;
    for topic in [&log, &metric] {
        producer.send(topic, 0, None, Some(RECORD.as_bytes()), &[])?;
    }
    producer.flush()?;
    files(&scene, &log)?;
    kafka(&scene, &log)?;
    influxdb(&scene, &log)?;
    victoria_metrics(&scene, &metric)?;
    telegraf(&scene, &log)?;
    scene.passed();
    Ok(())
}
