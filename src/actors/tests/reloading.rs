//! Changes of the configuration while records flow: what is touched, what is not, and that no record
//! notices.

use actix_rt::Runtime;

use super::*;
use crate::reconfiguration::plan::{InputAction, RouteChange};
use crate::reconfiguration::{
    Beginning, ConfigurationOrigin, Outcome, Reconfiguration, Refusal, Request, Wanted,
};

/// A running service whose configuration can be changed.
struct Changeable {
    running: Running,
    configuration: Reconfiguration,
    runtime: Runtime,
}

impl Rig {
    fn start_changeable(&self, config: &str) -> Changeable {
        let sources = Sources::new().text("test", config);
        let loaded = load(&sources).unwrap();
        let running = self.start(config);
        let configuration = Reconfiguration::new(
            running.router.clone(),
            running.metrics.clone(),
            Beginning::decide(loaded, &sources),
            sources,
        );
        Changeable {
            running,
            configuration,
            runtime: Runtime::new().unwrap(),
        }
    }

    /// What members of the group did since event number `sequence`, other than commits.
    fn group_events(&self, sequence: u64) -> Vec<EventKind> {
        let events = self.broker.events_since(sequence).into_iter();
        events
            .map(|event| event.kind)
            .filter(|kind| {
                matches!(
                    kind,
                    EventKind::Join { .. } | EventKind::Leave { .. } | EventKind::Rebalance { .. }
                )
            })
            .collect()
    }

    fn assert_no_duplicates(&self) {
        for receiver in [&self.testbed.datakit, &self.testbed.handle] {
            let report = receiver.ledger().report();
            assert_eq!(report.duplicates, 0, "{report:?}");
        }
    }
}

impl Changeable {
    fn change(&self, wanted: Wanted, dry_run: bool) -> Result<Outcome, Refusal> {
        self.runtime.block_on(self.configuration.change(
            wanted,
            Request {
                author: "test".into(),
                origin: ConfigurationOrigin::Http,
                if_match: None,
                dry_run,
            },
        ))
    }

    fn change_to(&self, config: &str) -> Outcome {
        let wanted = Wanted::Document(Sources::new().text("test", config));
        self.change(wanted, false).unwrap()
    }
}

#[test]
fn scripts_routes_limits_and_sampling_change_without_the_group_noticing() {
    let rig = Rig::with_topics();
    let scripts = rig.folder.path().join("pipeline");
    std::fs::create_dir_all(&scripts).unwrap();
    let config = rig.config("", "");
    let service = rig.start_changeable(&config);
    rig.produce(Route::CustomLog, 0..50);
    rig.wait_delivered(Route::CustomLog, 100);
    let before = rig.broker.next_event();
    let mut produced = 50;
    for round in 0u32..12 {
        rig.produce(Route::CustomLog, produced..produced + 50);
        produced += 50;
        let outcome = match round % 6 {
            0 => service.change_to(&config.replace("\"app-logs\" = \"-\"", "\"app-logs\" = \"\"")),
            1 => service.change_to(&format!(
                "{config}[limits]\nbatch_records = {}\n",
                10 + round
            )),
            2 => service.change_to(&rig.config("max_in_flight = 300", "")),
            3 => {
                std::fs::write(scripts.join("app-logs.p"), format!("# {round}\n")).unwrap();
                service.change(Wanted::Same, false).unwrap()
            }
            4 => service.change_to(&rig.config("limit_sec = 100000", "")),
            _ => service.change_to(&config),
        };
        assert!(!outcome.plan.is_empty(), "round {round}");
        assert!(!outcome.plan.rebalances(), "{:?}", outcome.plan);
    }
    rig.wait_delivered(Route::CustomLog, u64::from(produced) * 2);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, i64::from(produced));
    }
    assert_eq!(rig.group_events(before), []);
    assert_eq!(service.running.status().revision, 13);
    service.running.stop();
    rig.assert_no_duplicates();
}

#[test]
fn a_destination_that_is_away_gives_its_records_to_the_one_that_replaces_it() {
    let rig = Rig::with_topics();
    let config = rig.config("", "");
    let datakit = format!("dk_endpoint = \"http://{}\"", rig.testbed.datakit.addr());
    // Nobody listens there.
    let wrong = config.replace(&datakit, "dk_endpoint = \"http://127.0.0.1:1\"");
    let service = rig.start_changeable(&wrong);
    rig.produce(Route::SkywalkingSegments, 0..300);
    let held = |status: &ServiceStatus| {
        let partitions = &status.inputs[0].partitions;
        let in_flight: usize = partitions.iter().map(|p| p.records_in_flight).sum();
        in_flight == 600
    };
    service.running.wait_status(held);
    let before = rig.broker.next_event();
    let began = Instant::now();
    let outcome = service.change_to(&config);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "a dead destination held the change up"
    );
    assert_eq!(outcome.plan.routes.len(), 1, "{:?}", outcome.plan);
    assert!(outcome.plan.routes[0].settles_first);
    rig.produce(Route::SkywalkingSegments, 300..310);
    rig.wait_delivered(Route::SkywalkingSegments, 620);
    for partition in 0..2 {
        rig.wait_committed("skywalking-segments", partition, 310);
    }
    assert_eq!(rig.group_events(before), []);
    service.running.stop();
    assert!(rig.dead_letters().is_empty());
    rig.assert_no_duplicates();
    let report = rig.testbed.datakit.ledger().report();
    let account = &report.routes[&Route::SkywalkingSegments];
    assert_eq!(
        account.inversions, 0,
        "newer records overtook those that were held"
    );
}

#[test]
fn many_changes_with_a_destination_away_bury_nothing() {
    let rig = Rig::with_topics();
    let config = rig.config("", "");
    let datakit = format!("dk_endpoint = \"http://{}\"", rig.testbed.datakit.addr());
    let wrong = |port: u16| {
        config.replace(
            &datakit,
            &format!("dk_endpoint = \"http://127.0.0.1:{port}\""),
        )
    };
    let service = rig.start_changeable(&wrong(1));
    rig.produce(Route::SkywalkingSegments, 0..20);
    for port in 2..8 {
        service.change_to(&wrong(port));
    }
    service.change_to(&config);
    rig.wait_delivered(Route::SkywalkingSegments, 40);
    service.running.stop();
    assert!(rig.dead_letters().is_empty());
    rig.assert_no_duplicates();
}

#[test]
fn a_route_goes_with_its_dead_destination_and_comes_back_without_loss() {
    let rig = Rig::with_topics();
    rig.testbed
        .datakit
        .set_faults([Fault::status(503).on_path("/v3")]);
    let config = rig.config("", "");
    let (before, after) = config.split_once("[inputs.kafkamq.skywalking]").unwrap();
    let (_, after) = after.split_once("[inputs.kafkamq.custom").unwrap();
    let without = format!("{before}[inputs.kafkamq.custom{after}");
    let service = rig.start_changeable(&config);
    rig.produce(Route::SkywalkingSegments, 0..100);
    service
        .running
        .wait_status(|status| status.destinations.iter().any(|d| d.state == "backing_off"));
    let began = Instant::now();
    let outcome = service.change_to(&without);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(outcome.plan.routes[0].change, RouteChange::Removed);
    assert_eq!(outcome.plan.inputs[0].action, InputAction::Subscribe);
    service.running.wait_status(|status| {
        let gone =
            |d: &super::super::status::DestinationStatus| d.name != "test.skywalking/v3/segments";
        status.destinations.len() == 2
            && status.destinations.iter().all(gone)
            && status.inputs[0].partitions.len() == 4
    });
    rig.produce(Route::CustomLog, 0..50);
    rig.wait_delivered(Route::CustomLog, 100);
    let metrics = prometheus::TextEncoder::new()
        .encode_to_string(&service.running.metrics.registry().gather())
        .unwrap();
    assert!(!metrics.contains("skywalking"), "{metrics}");

    rig.testbed.datakit.set_faults([]);
    service.change_to(&config);
    rig.wait_delivered(Route::SkywalkingSegments, 200);
    for partition in 0..2 {
        rig.wait_committed("skywalking-segments", partition, 100);
    }
    assert_eq!(rig.broker.members("group").len(), 1);
    service.running.stop();
    assert!(rig.dead_letters().is_empty());
    rig.assert_no_duplicates();
}

#[test]
fn only_the_input_whose_client_changes_is_made_anew() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("other-logs", 2).unwrap();
    let other = format!(
        "[[inputs.kafkamq]]\nname = \"other\"\naddrs = [\"{}\"]\ngroup_id = \"others\"\n\
         offsets = \"oldest\"\n[inputs.kafkamq.custom.log_topic_map]\n\"other-logs\" = \"-\"\n",
        rig.broker.bootstrap()
    );
    let service = rig.start_changeable(&rig.config("", &other));
    service.running.wait_status(|status| {
        status
            .inputs
            .iter()
            .all(|i| i.joined && !i.partitions.is_empty())
    });
    rig.produce(Route::CustomLog, 0..100);
    rig.wait_delivered(Route::CustomLog, 200);
    let others = |rig: &Rig| rig.broker.members("others");
    let (members, kept) = (rig.broker.members("group"), others(&rig));
    let outcome = service.change_to(&rig.config("client_id = \"renamed\"", &other));
    let action = |name: &str| {
        let input = outcome.plan.inputs.iter().find(|input| input.name == name);
        input.unwrap().action
    };
    assert_eq!(action("test"), InputAction::Recreate);
    assert_eq!(action("other"), InputAction::Keep);
    rig.produce(Route::CustomLog, 100..200);
    rig.wait_delivered(Route::CustomLog, 400);
    let renamed = || {
        let now = rig.broker.members("group");
        (now.len() == 1 && now != members && now[0].starts_with("renamed")).then_some(())
    };
    assert!(
        rig.broker.wait(WAIT, renamed).is_some(),
        "no new client came"
    );
    assert_eq!(others(&rig), kept);

    // An input that is taken out leaves its group; one that comes joins.
    let outcome = service.change_to(&rig.config("client_id = \"renamed\"", ""));
    assert!(
        outcome.plan.summary.contains("1 input stopped (other)"),
        "{}",
        outcome.plan.summary
    );
    service
        .running
        .wait_status(|status| status.inputs.len() == 1);
    assert!(others(&rig).is_empty());
    service.change_to(&rig.config("client_id = \"renamed\"", &other));
    service.running.wait_status(|status| {
        status
            .inputs
            .iter()
            .all(|i| i.joined && !i.partitions.is_empty())
    });
    assert_eq!(others(&rig).len(), 1);
    service.running.stop();
    rig.assert_no_duplicates();
}

#[test]
fn an_invalid_change_names_everything_and_changes_nothing() {
    let rig = Rig::with_topics();
    let scripts = rig.folder.path().join("pipeline");
    std::fs::create_dir_all(&scripts).unwrap();
    let config = rig.config("", "");
    let service = rig.start_changeable(&config);
    let shown = service.configuration.current().document.masked();
    rig.produce(Route::CustomLog, 0..50);
    let before = rig.broker.next_event();
    service
        .running
        .wait_status(|status| status.inputs[0].joined);
    for wrong in [
        config.replace("group_id = \"group\"", "group = \"group\""),
        config.replace(
            "[output]",
            "[output]\nca_cert = \"/nowhere/ca.pem\"\nunknown = 1",
        ),
        config.replace(
            "commit_interval = \"100ms\"",
            "librdkafka = { \"no.such.option\" = \"1\" }",
        ),
        format!("{config}[limits\n"),
    ] {
        let wanted = Wanted::Document(Sources::new().text("test", wrong));
        let refusal = service.change(wanted, false).unwrap_err();
        let Refusal::Invalid(findings) = refusal else {
            panic!("{refusal:?}");
        };
        assert!(!findings.is_empty());
    }
    std::fs::write(scripts.join("app-logs.p"), "if {").unwrap();
    let Err(Refusal::Invalid(findings)) = service.change(Wanted::Same, false) else {
        panic!("a broken script was taken");
    };
    assert_eq!(findings[0].file.as_deref(), Some("logging/app-logs.p"));
    assert!(
        findings[0].line.is_some() && findings[0].code.starts_with('S'),
        "{findings:?}"
    );
    rig.wait_delivered(Route::CustomLog, 100);
    let current = service.configuration.current();
    assert_eq!((current.revision, current.document.masked()), (1, shown));
    assert_eq!(service.running.metrics.config_last_reload_success.get(), 0);
    assert!(service.configuration.status().last_refused.is_some());
    assert!(rig.group_events(before).len() <= 2, "a member joined again");
    service.running.stop();
    rig.assert_no_duplicates();
}
