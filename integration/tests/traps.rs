//! What the simulator's client does of its own accord is what librdkafka does, with the embedded broker and with
//! Apache Kafka. `crates/sim/src/traps` has the scripts, and what the fake client answers.

use anyhow::{Result, ensure};
use kafkamq_broker::{Broker, BrokerOptions};
use kafkamq_integration::{Librdkafka, Release, Scene};
use kafkamq_sim::traps::{Fake, Stage, TRAPS};

/// Runs all traps, and tells each in which the answers differ.
fn compare(stage: &mut dyn Stage) -> Result<()> {
    let (mut ran, mut differences) = (0, String::new());
    for trap in TRAPS {
        let Some(answers) = trap.answers(stage) else {
            continue;
        };
        ran += 1;
        let fake = trap.answers(&mut Fake::default()).unwrap_or_default();
        if answers != fake {
            differences += &format!(
                "{}\nthe fake client:\n{fake}this one:\n{answers}\n",
                trap.name
            );
        }
    }
    ensure!(ran >= 25, "only {ran} traps were run");
    ensure!(differences.is_empty(), "\n{differences}");
    Ok(())
}

#[test]
fn librdkafka_with_the_embedded_broker_does_what_the_fake_client_does() -> Result<()> {
    let broker = Broker::start(BrokerOptions::default())?;
    compare(&mut Librdkafka::at(&broker.bootstrap(), false)?)
}

#[test]
fn librdkafka_with_kafka_does_what_the_fake_client_does() -> Result<()> {
    let Some(scene) = Scene::alone("traps", Release::Current)? else {
        return Ok(());
    };
    compare(&mut Librdkafka::at(scene.bootstrap(), true)?)?;
    scene.passed();
    Ok(())
}
