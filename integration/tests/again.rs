//! Looking back: a time range delivered once more beside the running service, and the life of one
//! record told.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use kafkamq_integration::Scene;
use kafkamq_testbed::Route;

const PARTITIONS: u16 = 4;
const EACH: u32 = 2_000;
const LIMIT: Duration = Duration::from_secs(60);
/// Takes the id out of the line, so that it arrives as a field.
const SCRIPT: &str = "data = load_json(message)\nadd_key(record_id, data[\"record_id\"])\n";

fn now() -> Result<String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(since.as_millis().to_string())
}

#[test]
fn a_time_range_is_delivered_again_and_the_group_does_not_notice() -> Result<()> {
    let Some(scene) = Scene::shared("again")? else {
        return Ok(());
    };
    let topic = scene.topic("log", i32::from(PARTITIONS))?;
    scene.script("log.p", SCRIPT)?;
    let config = scene.config().short_session().route(
        "custom",
        &format!("log_topic_map = {{ \"{topic}\" = \"log.p\" }}"),
    );
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let ledger = scene.testbed.datakit.ledger();
    let broker = scene.broker()?;

    // Three parts, of which the one in the middle comes again.
    let mut producer = scene.producer()?;
    let mut times = Vec::new();
    for part in 0..3 {
        times.push(now()?);
        producer.send_range(
            Route::CustomLog,
            &topic,
            PARTITIONS,
            part * EACH..(part + 1) * EACH,
        )?;
        producer.flush()?;
        // Times are whole milliseconds, and the next part shall have later ones.
        std::thread::sleep(Duration::from_millis(5));
    }
    scene.await_all(&scene.testbed.datakit, producer.ids(), LIMIT)?;
    let end = [i64::from(3 * EACH); PARTITIONS as usize];
    broker.await_committed(scene.group(), &topic, &end, LIMIT)?;
    let (members, once) = (broker.group(scene.group())?.members, ledger.total());
    let part = u64::from(EACH) * u64::from(PARTITIONS);
    ensure!(once == 3 * part, "{once} arrived");

    let folder = scene.dir().join("again-dead-letter");
    let folder = folder.to_str().context("the folder has a strange name")?;
    let range = [
        "--from",
        &times[1],
        "--to",
        &times[2],
        "--dead-letters",
        folder,
    ];
    let said = kafkamq.command(&[&["replay", "--json", "--topic", &topic][..], &range].concat())?;
    let report: serde_json::Value = serde_json::from_str(&said)?;
    ensure!(
        ledger.wait_until(LIMIT, |ledger| ledger.report().duplicates >= part),
        "{said}"
    );
    let arrived = ledger.report();
    ensure!(
        arrived.duplicates == part && ledger.total() == once,
        "{arrived:?}"
    );
    ensure!(report["report"]["delivered"] == part, "{said}");
    let after = broker.group(scene.group())?.members;
    ensure!(members == after, "{members:?} became {after:?}");
    let committed = broker.committed(scene.group(), &topic, i32::from(PARTITIONS))?;
    ensure!(committed == end.map(Some), "{committed:?}");

    let url = kafkamq.url("");
    let told = kafkamq.command(&["explain", &format!("{topic}/1/7"), "--url", &url])?;
    for line in ["log.p: kept", "POST ", "it is settled and committed"] {
        ensure!(told.contains(line), "no {line:?} in\n{told}");
    }
    scene.passed();
    Ok(())
}
