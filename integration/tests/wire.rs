//! The way to the brokers with TLS, SASL and rights, on real listeners: records flow through each
//! kind, and whatever is wrong on the way is named by `check --connect` and by the running service
//! in the same words. What an operator mends at the brokers needs no restart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafkamq_integration::{
    Config, Door, Doors, Ending, Kafkamq, PASSWORD, Resource, Right, Scene, check_connections,
    grant, until,
};
use kafkamq_testbed::Route;

const LIMIT: Duration = Duration::from_secs(40);
const RECORDS: u32 = 200;

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Does the same for each at the same time; fails if it fails for one.
fn side_by_side<T: Send>(
    each: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let act = &act;
    std::thread::scope(|scope| {
        let all: Vec<_> = each
            .into_iter()
            .map(|one| scope.spawn(move || act(one)))
            .collect();
        all.into_iter().try_for_each(|one| match one.join() {
            Ok(outcome) => outcome,
            Err(payload) => std::panic::resume_unwind(payload),
        })
    })
}

/// A client's settings on the way through a door.
struct Way {
    door: Door,
    lines: Vec<String>,
}

impl Way {
    fn tls(door: Door, doors: &Doors) -> Self {
        Self::with(door, "SSL").line("ssl_cert", &doors.file("root.pem"))
    }

    fn password(door: Door, doors: &Doors, mechanism: &str, user: &str) -> Self {
        let way = match door {
            Door::SaslSsl => Self::with(door, "SASL_SSL").line("ssl_cert", &doors.file("root.pem")),
            _ => Self::with(door, "SASL_PLAINTEXT"),
        };
        way.line("tls_sasl_mechanism", mechanism)
            .line("tls_sasl_plain_username", user)
            .line("tls_sasl_plain_password", PASSWORD)
    }

    fn certificate(doors: &Doors, key: &str) -> Self {
        Self::tls(Door::Mtls, doors)
            .line("tls_client_cert", &doors.file("client.pem"))
            .line("tls_client_key", &doors.file(key))
    }

    fn with(door: Door, protocol: &str) -> Self {
        let lines = vec![
            "tls_enable = true".to_owned(),
            format!("tls_security_protocol = \"{protocol}\""),
        ];
        Self { door, lines }
    }

    fn clear(door: Door) -> Self {
        let lines = Vec::new();
        Self { door, lines }
    }

    /// Sets a key; a later value replaces an earlier one.
    fn line(mut self, key: &str, value: &str) -> Self {
        let start = format!("{key} = ");
        self.lines.retain(|line| !line.starts_with(&start));
        self.lines.push(format!("{start}\"{value}\""));
        self
    }

    fn config(&self, scene: &Scene, topic: &str) -> Result<Config> {
        let address = scene.doors()?.address(self.door);
        let datakit = scene.testbed.datakit.url("");
        let config = Config::new(&address, scene.group(), &datakit)
            .short_session()
            .route(
                "custom",
                &format!("log_topic_map = {{ \"{topic}\" = \"-\" }}"),
            );
        Ok(self.lines.iter().fold(config, Config::input))
    }
}

/// Gives `user` what an input needs: the topic and the group of the scene.
fn grant_all(scene: &Scene, user: &str, topic: &str) -> Result<()> {
    grant(scene.bootstrap(), user, Resource::Topic(topic), Right::Read)?;
    grant(
        scene.bootstrap(),
        user,
        Resource::Group(scene.group()),
        Right::Read,
    )
}

/// Records go through, and are committed, by `way`; the check beforehand finds nothing.
fn flows(name: &str, user: &str, way: impl Fn(&Doors) -> Way) -> Result<()> {
    let Some(scene) = Scene::secured(name)? else {
        return Ok(());
    };
    let topic = scene.topic("log", 2)?;
    grant_all(&scene, user, &topic)?;
    let config = way(scene.doors()?).config(&scene, &topic)?;
    // Brokers hear of rights a moment after they were given.
    let mut last = Vec::new();
    until("a check without faults", LIMIT, || {
        let (code, connections) = check_connections(&config, scene.dir(), "check")?;
        last = connections;
        Ok((code == Some(0)).then_some(()))
    })
    .with_context(|| format!("{last:?}"))?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 2, 0..RECORDS)?;
    producer.flush()?;
    let mut kafkamq = scene.kafkamq(&config, "kafkamq")?;
    scene
        .await_all(&scene.testbed.datakit, producer.ids(), LIMIT)
        .with_context(|| said(&kafkamq))?;
    let committed = [i64::from(RECORDS); 2];
    let broker = scene.broker()?;
    broker.await_committed(scene.group(), &topic, &committed, LIMIT)?;
    kafkamq.await_ready()?;
    let ending = kafkamq.terminate(LIMIT)?;
    ensure!(ending == Ending::Code(0), "{ending:?}");
    scene.passed();
    Ok(())
}

fn said(kafkamq: &Kafkamq) -> String {
    let ready = kafkamq
        .get("/readyz")
        .map_or_else(|e| e.to_string(), |a| a.body);
    format!("{ready}\n{}", kafkamq.log().unwrap_or_default())
}

#[test]
fn records_flow_through_tls() -> Result<()> {
    flows("wire-tls", "User:ANONYMOUS", |doors| {
        Way::tls(Door::Ssl, doors)
    })
}

#[test]
fn records_flow_with_each_mechanism_in_clear_and_in_tls() -> Result<()> {
    let doors = [Door::SaslPlaintext, Door::SaslSsl];
    let ways = doors.map(|door| MECHANISMS.map(|mechanism| (door, mechanism)));
    side_by_side(ways.into_iter().flatten(), |(door, mechanism)| {
        let name = format!("wire-{door:?}-{mechanism}").to_lowercase();
        flows(&name, "User:reader", |doors| {
            Way::password(door, doors, mechanism, "reader")
        })
        .context(name)
    })
}

#[test]
fn records_flow_with_a_certificate_of_the_client_and_its_key_may_have_a_password() -> Result<()> {
    flows("wire-mtls", "User:CN=client", |doors| {
        Way::certificate(doors, "client.key")
    })?;
    flows("wire-mtls-password", "User:CN=client", |doors| {
        Way::certificate(doors, "client-encrypted.key").line("tls_client_key_password", PASSWORD)
    })
}

/// What is wrong on the way, as `check --connect` says it: the layer, and all of it.
fn found(config: &Config, scene: &Scene) -> Result<(String, String)> {
    let (code, connections) = check_connections(config, scene.dir(), "check")?;
    let failed = connections.iter().find(|one| one["status"] == "failed");
    let failed = failed.with_context(|| format!("nothing failed: {connections:?}"))?;
    ensure!(code == Some(1), "exit code {code:?}");
    let part = |key: &str| {
        let text = failed[key].as_str().map(str::to_owned);
        text.with_context(|| format!("no {key}: {failed}"))
    };
    let layer = part("layer")?;
    let words = format!("{layer}: {}; {}", part("message")?, part("remedy")?);
    Ok((layer, words))
}

/// Waits until `/readyz`, the status and the log say `words`.
fn says(kafkamq: &Kafkamq, words: &str) -> Result<()> {
    let told = until("the words", LIMIT, || {
        let ready = kafkamq.get("/readyz")?;
        let reason = ready.json()?["inputs"][0]["reason"]
            .as_str()
            .map(str::to_owned);
        let status = kafkamq.status()?;
        let last = &status["inputs"][0]["last_error"]["message"];
        let everywhere = ready.status == 503
            && reason.is_some_and(|reason| reason.contains(words))
            && last.as_str().is_some_and(|last| last.contains(words))
            && kafkamq.log()?.contains(words);
        Ok(everywhere.then_some(()))
    });
    told.with_context(|| format!("`{words}` is not in\n{}", said(kafkamq)))
}

/// Something is in the way that no broker can mend: it is named by `layer` and `remedy`, in the same
/// words by the check and by the service.
fn names(name: &str, way: impl Fn(&Doors) -> Way, layer: &str, remedy: &str) -> Result<()> {
    let Some(scene) = Scene::secured(name)? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    grant_all(&scene, "User:reader", &topic)?;
    let config = way(scene.doors()?).config(&scene, &topic)?;
    let (at, words) = found(&config, &scene)?;
    ensure!(at == layer && words.contains(remedy), "the check: {words}");
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    says(&kafkamq, &words)?;
    ensure!(!said(&kafkamq).contains(PASSWORD), "the password shows");
    scene.passed();
    Ok(())
}

#[test]
fn a_root_that_does_not_vouch_for_the_broker_is_named() -> Result<()> {
    let way =
        |doors: &Doors| Way::tls(Door::Ssl, doors).line("ssl_cert", &doors.file("other-root.pem"));
    names("wire-root", way, "tls", "`ssl_cert`")
}

#[test]
fn a_certificate_for_another_host_is_named() -> Result<()> {
    let way = |doors: &Doors| Way::tls(Door::Elsewhere, doors);
    names("wire-host", way, "tls", "`addrs`")
}

#[test]
fn a_wrong_password_is_named() -> Result<()> {
    side_by_side(MECHANISMS, |mechanism| {
        let way = |doors: &Doors| {
            Way::password(Door::SaslSsl, doors, mechanism, "reader")
                .line("tls_sasl_plain_password", "wrong")
        };
        let name = format!("wire-password-{mechanism}").to_lowercase();
        names(&name, way, "sasl", "password")
    })
}

#[test]
fn a_mechanism_that_the_broker_does_not_offer_is_named() -> Result<()> {
    let way = |doors: &Doors| Way::password(Door::Scram512Only, doors, "PLAIN", "reader");
    names("wire-mechanism", way, "sasl", "tls_sasl_mechanism")
}

#[test]
fn a_client_in_clear_at_a_listener_with_tls_is_named() -> Result<()> {
    names("wire-clear", |_| Way::clear(Door::Ssl), "tls", "tls_enable")
}

#[test]
fn a_client_with_tls_at_a_listener_in_clear_is_named() -> Result<()> {
    let way = |doors: &Doors| Way::tls(Door::SaslPlaintext, doors);
    names("wire-not-clear", way, "tls", "does not speak TLS")
}

#[test]
fn a_client_without_password_at_a_listener_that_wants_one_is_named() -> Result<()> {
    names(
        "wire-nobody",
        |_| Way::clear(Door::SaslPlaintext),
        "sasl",
        "credentials",
    )
}

#[test]
fn a_certificate_that_the_broker_misses_is_named() -> Result<()> {
    let way = |doors: &Doors| Way::tls(Door::Mtls, doors);
    names("wire-certificate", way, "tls", "tls_client_cert")
}

#[test]
fn a_wrong_password_of_the_key_is_named_and_the_service_does_not_start() -> Result<()> {
    let Some(scene) = Scene::secured("wire-key")? else {
        return Ok(());
    };
    let topic = scene.topic("log", 1)?;
    let config = Way::certificate(scene.doors()?, "client-encrypted.key")
        .line("tls_client_key_password", "not-the-one")
        .config(&scene, &topic)?;
    let (at, words) = found(&config, &scene)?;
    ensure!(
        at == "tls" && words.contains("tls_client_key_password"),
        "the check: {words}"
    );
    let (ending, output) = Kafkamq::refused(&config, scene.dir(), "kafkamq")?;
    ensure!(ending == Ending::Code(1), "{ending:?}: {output}");
    ensure!(output.contains(&words), "`{words}` is not in\n{output}");
    ensure!(!output.contains("not-the-one"), "the password shows");
    scene.passed();
    Ok(())
}

/// A right is missing. It is named, and once it is given records flow without a restart.
fn right_is_mended(
    name: &str,
    user: &str,
    given: impl Fn(&Scene, &str) -> Result<()>,
    missing: impl Fn(&Scene, &str) -> Result<()>,
    remedy: &str,
    shows_before: bool,
) -> Result<()> {
    let Some(scene) = Scene::secured(name)? else {
        return Ok(());
    };
    let topic = scene.topic("log", 2)?;
    given(&scene, &topic)?;
    let way = Way::password(Door::SaslSsl, scene.doors()?, "SCRAM-SHA-256", user);
    let config = way.config(&scene, &topic)?;
    let mut producer = scene.producer()?;
    producer.send_range(Route::CustomLog, &topic, 2, 0..RECORDS)?;
    producer.flush()?;
    let words = match shows_before {
        true => {
            // What was given shows a moment later.
            until("the right that is missing", LIMIT, || {
                let (at, words) = found(&config, &scene)?;
                Ok((at == "acl" && words.contains(remedy)).then_some(words))
            })?
        }
        false => remedy.to_owned(),
    };
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    says(&kafkamq, &words)?;
    missing(&scene, &topic)?;
    scene
        .await_all(&scene.testbed.datakit, producer.ids(), LIMIT)
        .with_context(|| said(&kafkamq))?;
    let committed = [i64::from(RECORDS); 2];
    let broker = scene.broker()?;
    broker.await_committed(scene.group(), &topic, &committed, LIMIT)?;
    until("readiness", LIMIT, || {
        Ok((kafkamq.get("/readyz")?.status == 200).then_some(()))
    })
    .with_context(|| said(&kafkamq))?;
    let report = scene.testbed.datakit.ledger().report();
    ensure!(report.duplicates == 0, "{} came twice", report.duplicates);
    scene.passed();
    Ok(())
}

fn grant_topic(scene: &Scene, user: &str, topic: &str, right: Right) -> Result<()> {
    grant(scene.bootstrap(), user, Resource::Topic(topic), right)
}

fn grant_group(scene: &Scene, user: &str) -> Result<()> {
    grant(
        scene.bootstrap(),
        user,
        Resource::Group(scene.group()),
        Right::Read,
    )
}

#[test]
fn a_missing_right_to_the_topic_is_named_and_needs_no_restart_once_it_is_there() -> Result<()> {
    right_is_mended(
        "wire-no-topic",
        "no-topic",
        |scene, _| grant_group(scene, "User:no-topic"),
        |scene, topic| grant_topic(scene, "User:no-topic", topic, Right::Read),
        "grant the user Describe and Read on this topic",
        true,
    )
}

#[test]
fn a_missing_right_to_the_group_is_named_and_needs_no_restart_once_it_is_there() -> Result<()> {
    right_is_mended(
        "wire-no-group",
        "no-group",
        |scene, topic| grant_topic(scene, "User:no-group", topic, Right::Read),
        |scene, _| grant_group(scene, "User:no-group"),
        "grant the user Read on this group",
        true,
    )
}

#[test]
fn a_topic_that_may_be_described_and_not_read_is_named_when_it_is_read() -> Result<()> {
    right_is_mended(
        "wire-describe-only",
        "describer",
        |scene, topic| {
            grant_group(scene, "User:describer")?;
            grant_topic(scene, "User:describer", topic, Right::Describe)
        },
        |scene, topic| grant_topic(scene, "User:describer", topic, Right::Read),
        "grant the user Describe and Read on this topic",
        false,
    )
}
