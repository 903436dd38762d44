//! Real agents: the SkyWalking Python agent through its own Kafka reporter, the OpenTelemetry SDK,
//! and the exporters of Jaeger and Zipkin. What the receiver gets is, byte for byte, what they put
//! on Kafka, or says the same where it was converted, and their own modules read it.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use anyhow::Result;
use kafkamq_integration::{Agents, Kafkamq, Scene, skip_or_fail};

#[test]
fn what_real_agents_report_arrives_unchanged() -> Result<()> {
    let agents = match Agents::installed()? {
        Ok(agents) => agents,
        Err(missing) => return skip_or_fail(&missing),
    };
    let Some(scene) = Scene::shared("agents")? else {
        return Ok(());
    };
    let skywalking =
        ["segments", "logs", "managements", "meters"].map(|one| format!("skywalking-{one}"));
    let otlp = ["otlp-spans", "otlp-metrics", "otlp-logs"];
    for suffix in skywalking.iter().map(String::as_str).chain(otlp) {
        scene.topic(suffix, 1)?;
    }
    let port = Agents::port()?;
    let endpoint = format!("dk_endpoint = \"http://127.0.0.1:{port}\"");
    let namespace = scene.group();
    let config = scene
        .config()
        .route(
            "skywalking",
            &format!("{endpoint}\nnamespace = \"{namespace}\"\ntopics = {skywalking:?}"),
        )
        .route(
            "otel",
            &format!(
                "{endpoint}\n\
                 trace_topics = [\"{namespace}-otlp-spans\"]\n\
                 metric_topics = [\"{namespace}-otlp-metrics\"]\n\
                 log_topics = [\"{namespace}-otlp-logs\"]"
            ),
        );
    let _kafkamq = scene.kafkamq(&config, "kafkamq")?;
    println!("{}", agents.run(scene.bootstrap(), namespace, port)?);
    scene.passed();
    Ok(())
}

#[test]
fn what_jaegers_exporters_write_arrives_as_they_meant_it() -> Result<()> {
    let agents = match Agents::exporters()? {
        Ok(agents) => agents,
        Err(missing) => return skip_or_fail(&missing),
    };
    let Some(scene) = Scene::shared("exporters")? else {
        return Ok(());
    };
    let (bootstrap, namespace, port) = (scene.bootstrap(), scene.group(), Agents::port()?);
    let names = [
        "thrift",
        "protobuf",
        "json",
        "zipkin-json",
        "zipkin-proto",
        "raw",
        "auto",
        "otlp",
    ];
    for name in names {
        scene.topic(name, 1)?;
    }
    let file = scene.dir().join("inputs.toml");
    std::fs::write(&file, agents.inputs(bootstrap, namespace, port)?)?;
    let output = scene.testbed.datakit.url("");
    let _kafkamq = Kafkamq::start_with(&file, &output, scene.dir(), "kafkamq")?;
    println!("{}", agents.run(bootstrap, namespace, port)?);
    scene.passed();
    Ok(())
}
