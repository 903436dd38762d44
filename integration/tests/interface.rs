//! The HTTP interface as other programs see it: Schemathesis asks everything that its description
//! allows and much that it does not; a real Prometheus scrapes it and evaluates the alert rules.
//! Neither needs Kafka: the service waits for a broker that is not there.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures and reasons belong into the test's output"
)]

use anyhow::{Result, ensure};
use kafkamq_integration::{Config, Kafkamq, Prometheus, Schemathesis, skip_or_fail};

const TOKEN: &str = "schemathesis";

fn service(dir: &std::path::Path) -> Result<Kafkamq> {
    let config = Config::new("127.0.0.1:1", "interface", "http://127.0.0.1:1")
        .table(
            "[server.tokens]",
            &format!("name = \"everything\"\ntoken = \"{TOKEN}\""),
        )
        .route(
            "otel",
            "dk_endpoint = \"http://127.0.0.1:1\"\ntrace_topics = [\"spans\"]",
        );
    Kafkamq::start(&config, dir, "kafkamq")
}

#[test]
fn schemathesis_finds_nothing() -> Result<()> {
    let schemathesis = match Schemathesis::installed()? {
        Ok(schemathesis) => schemathesis,
        Err(missing) => return skip_or_fail(&missing),
    };
    let dir = tempfile::tempdir()?;
    let kafkamq = service(dir.path())?;
    schemathesis.run(&kafkamq, TOKEN)?;
    // Whatever it changed, it has not opened the interface to callers without a token.
    ensure!(kafkamq.get("/v1/config")?.status == 401);
    ensure!(kafkamq.get("/livez")?.status == 200);
    ensure!(!kafkamq.log()?.contains("panicked"), "{}", kafkamq.log()?);
    Ok(())
}

#[test]
fn prometheus_scrapes_it_and_evaluates_the_alert_rules() -> Result<()> {
    // Not installed by CI either: the package brings a web of others.
    if let Err(missing) = Prometheus::installed() {
        eprintln!("SKIPPED: {}", missing.0);
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let kafkamq = service(dir.path())?;
    Prometheus::check(&kafkamq.get("/metrics")?.body)?;
    let prometheus = Prometheus::start(&kafkamq, dir.path())?;
    println!("{} rules evaluated", prometheus.await_rules()?);
    Ok(())
}
