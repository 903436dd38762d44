//! The OpenTelemetry Collector writes to Kafka with its own exporter, and another takes from kafkamq
//! what it wrote. Runs where `KAFKAMQ_OTELCOL` names a collector built from `collector/`.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use kafkamq_integration::{Guarded, Missing, Scene, free_port, skip_or_fail, until};
use kafkamq_testbed::{Faker, IdSet, RecordId, Route, Sample};

const LIMIT: Duration = Duration::from_secs(60);
const EACH: u32 = 200;

/// Signal as the collector calls it, and the payloads of it.
const SIGNALS: [(&str, Route); 3] = [
    ("traces", Route::OtelTraces),
    ("metrics", Route::OtelMetrics),
    ("logs", Route::OtelLogs),
];

fn collector(scene: &Scene, name: &str, config: &str, port: u16) -> Result<Guarded> {
    let program = PathBuf::from(std::env::var_os("KAFKAMQ_OTELCOL").unwrap_or_default());
    let file = scene.dir().join(format!("{name}.yaml"));
    std::fs::write(&file, config)?;
    let arguments = ["--config".to_owned(), file.display().to_string()];
    let log = scene.dir().join(format!("{name}.log"));
    let mut process = Guarded::start(&program, &arguments, &log)?;
    let started = until(name, LIMIT, || {
        ensure!(process.is_running(), "it ended");
        Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
    });
    match started {
        Ok(_) => Ok(process),
        Err(error) => Err(error.context(process.output().unwrap_or_default())),
    }
}

/// A collector that listens on `port` and sends everything to exporters of this kind.
fn pipelines(port: u16, exporters: &str, names: &str) -> String {
    let signals: String = SIGNALS
        .iter()
        .map(|(signal, _)| format!("    {signal}: {{receivers: [otlp], exporters: [{names}]}}\n"))
        .collect();
    format!(
        "receivers:\n  otlp:\n    protocols:\n      http: {{endpoint: \"127.0.0.1:{port}\"}}\n\
         exporters:\n{exporters}\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n{signals}"
    )
}

#[test]
fn a_collector_writes_and_another_receives() -> Result<()> {
    if std::env::var_os("KAFKAMQ_OTELCOL").is_none() {
        // It takes Go, half a gigabyte of modules and minutes to build: not asked of CI.
        println!("SKIPPED: KAFKAMQ_OTELCOL names no collector");
        return Ok(());
    }
    let Some(scene) = Scene::shared("collector")? else {
        return skip_or_fail(&Missing("there is no Kafka".to_owned()));
    };
    let topic = |signal: &str, encoding: &str| format!("{}-{signal}-{encoding}", scene.group());
    let mut writes = String::new();
    for encoding in ["otlp_proto", "otlp_json"] {
        writes += &format!(
            "  kafka/{encoding}:\n    brokers: [\"{}\"]\n",
            scene.bootstrap()
        );
        for (signal, _) in SIGNALS {
            let topic = topic(signal, encoding);
            scene.broker()?.create_topic(&topic, 1)?;
            writes += &format!("    {signal}: {{topic: \"{topic}\", encoding: {encoding}}}\n");
        }
    }
    let (first, second) = (free_port()?, free_port()?);
    let config = pipelines(first, &writes, "kafka/otlp_proto, kafka/otlp_json");
    let _writer = collector(&scene, "writer", &config, first)?;
    let sink = scene.testbed.collector.url("");
    let sends = format!(
        "  otlphttp:\n    endpoint: \"{sink}\"\n    compression: none\n    tls: {{insecure: true}}\n"
    );
    let config = pipelines(second, &sends, "otlphttp");
    let _reader = collector(&scene, "reader", &config, second)?;

    // One process for each encoding: what arrives of one must not stand in for the other.
    let route = |encoding: &str| {
        let keys: Vec<_> = [("trace", "traces"), ("metric", "metrics"), ("log", "logs")]
            .iter()
            .map(|(key, signal)| {
                format!(
                    "{key}_topics = [\"{}\"]\n{key}_api = \"/v1/{signal}\"\n{key}_encoding = \"{encoding}\"",
                    topic(signal, encoding)
                )
            })
            .collect();
        format!(
            "dk_endpoint = \"http://127.0.0.1:{second}\"\n{}",
            keys.join("\n")
        )
    };
    let mut expected = IdSet::new();
    let mut faker = Faker::new(1, 1_700_000_000_000_000_000);
    for (signal, kind) in SIGNALS {
        for sequence in 0..EACH {
            let sample = Sample::of(RecordId::new(kind, 0, sequence), &mut faker);
            let url = format!("http://127.0.0.1:{first}/v1/{signal}");
            let answer = ureq::post(url)
                .content_type("application/x-protobuf")
                .send(&sample.value[..])?;
            ensure!(answer.status() == 200, "{}", answer.status());
            expected.extend(sample.ids.iter().copied());
        }
    }
    for encoding in ["otlp_proto", "otlp_json"] {
        let receiver = &scene.testbed.collector;
        receiver.reset();
        let config = scene
            .config()
            .group(&format!("collector-{encoding}"))
            .route("otel", &route(encoding));
        let kafkamq = scene.kafkamq(&config, encoding)?;
        scene.await_all(receiver, &expected, LIMIT)?;
        let report = receiver.ledger().report();
        ensure!(
            (report.duplicates, report.anonymous) == (0, 0),
            "{encoding}: {report:?}"
        );
        drop(kafkamq);
    }
    println!(
        "{} requests of three signals through two collectors, in protobuf and in JSON",
        3 * EACH
    );
    scene.passed();
    Ok(())
}
