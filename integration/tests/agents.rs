//! Real agents: the SkyWalking Python agent through its own Kafka reporter, and the OpenTelemetry
//! SDK. What the receiver gets is, byte for byte, what they put on Kafka, and their own protobuf
//! modules read it.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use anyhow::Result;
use kafkamq_integration::{Agents, Scene, skip_or_fail};

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
