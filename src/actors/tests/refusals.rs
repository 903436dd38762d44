//! The rule of refusals in the whole flow: what one record, one output or one path does to others.

use kafkamq_delivery::delivery::Decision;

use super::outputs::{config, datakit_and_one_that_is_away, wait_count};
use super::*;

/// A receiver that answers `status` to one record.
fn poison(record: RecordId, status: u16) -> Fault {
    Fault::new(FaultKind::Poison {
        marker: record.to_string(),
        status,
    })
}

#[test]
fn one_record_that_is_answered_with_500_stops_no_other_and_is_buried_on_evidence() {
    let rig = Rig::with_topics();
    let record = RecordId::new(Route::CustomLog, 0, 57);
    rig.testbed.datakit.set_faults([poison(record, 500)]);
    rig.produce(Route::CustomLog, 0..100);
    let running = rig.start(&rig.config("", ""));
    // The other partition brings the evidence, if nothing else does.
    rig.wait_delivered(Route::CustomLog, 100);
    rig.produce(Route::CustomLog, 100..110);
    let deadline = Instant::now() + WAIT;
    let mut next = 110;
    while rig.broker.committed("group", "app-logs", 0).unwrap_or(0) < 100 {
        assert!(Instant::now() < deadline);
        rig.produce(Route::CustomLog, next..next + 1);
        next += 1;
        thread::sleep(Duration::from_millis(100));
    }
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].offset, letters[0].status), (57, Some(500)));
    assert!(letters[0].reason.contains("while others were accepted"));
}

#[test]
fn a_lone_suspect_is_held_and_buried_by_one_call() {
    let rig = Rig::with_topics();
    let record = RecordId::new(Route::SkywalkingSegments, 0, 0);
    rig.testbed.datakit.set_faults([poison(record, 500)]);
    rig.produce(Route::SkywalkingSegments, 0..1);
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::SkywalkingSegments, 1);
    let name = |status: &ServiceStatus| {
        let held = status.destinations.iter().find(|one| one.suspects == 1)?;
        Some((held.name.clone(), held.first_suspects[0].clone()))
    };
    let status = running.wait_status(|status| name(status).is_some() && !status.is_ready());
    let (name, suspect) = name(&status).unwrap();
    assert_eq!(
        (suspect.topic.as_deref(), suspect.partition, suspect.offset),
        (Some("skywalking-segments"), Some(0), Some(0))
    );
    assert_eq!(suspect.status, Some(500));
    let committed = rig.broker.committed("group", "skywalking-segments", 0);
    assert_eq!(committed.unwrap_or(0), 0, "there is no evidence");
    let router = running.router.clone();
    let decide = |name: &str| {
        let asked = router.decide_suspect(name, Decision::Bury);
        running.runtime.block_on(asked)
    };
    assert!(decide("nobody").is_none());
    let decided = decide(&name).unwrap().unwrap().unwrap();
    assert_eq!(decided.offset, Some(0));
    rig.wait_committed("skywalking-segments", 0, 1);
    let status = running.wait_status(|status| status.destinations.iter().all(|d| d.suspects == 0));
    assert_eq!(status.dead_letters.open, 0);
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("given up by an operator"));
}

#[test]
fn metrics_of_a_destination_are_well_again_when_its_last_suspect_is_accepted() {
    let rig = Rig::with_topics();
    let suspects = [0, 1].map(|partition| RecordId::new(Route::SkywalkingSegments, partition, 0));
    let faults = suspects.map(|record| poison(record, 500));
    rig.testbed.datakit.set_faults(faults);
    rig.produce(Route::SkywalkingSegments, 0..1);
    let running = rig.start(&rig.config("", ""));
    let held = |status: &ServiceStatus| {
        let held = status.destinations.iter().find(|one| one.suspects == 2)?;
        Some(held.name.clone())
    };
    let name = held(&running.wait_status(|status| held(status).is_some())).unwrap();
    rig.testbed.datakit.set_faults([]);
    for partition in 0..2 {
        rig.wait_committed("skywalking-segments", partition, 1);
    }
    running.wait_status(|status| status.destinations.iter().all(|one| one.suspects == 0));
    let metrics = &running.metrics;
    for gauge in [
        &metrics.destination_state,
        &metrics.destination_suspects,
        &metrics.destination_refusing_since,
    ] {
        assert_eq!(gauge.with_label_values(&[&name]).get(), 0, "{name}");
    }
    running.stop();
}

#[test]
fn an_output_that_is_not_required_stops_nothing_and_counts_what_it_drops() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..500);
    let side = "name = \"side\"\nrequired = false\nbacklog = \"20kB\"";
    let outputs = datakit_and_one_that_is_away(&rig, side);
    let running = rig.start(&config(&rig, &outputs));
    wait_count(&rig.testbed.datakit, 1000);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 500);
    }
    let status = running.wait_status(|status| {
        let side = status.destinations.iter().find(|one| one.name == "side");
        side.is_some_and(|side| side.state != "up")
    });
    assert!(status.is_ready(), "nothing waits for it");
    let side = status.destinations.iter().find(|one| one.name == "side");
    let waiting = side.unwrap().queued_items + side.unwrap().in_flight_items;
    let dropped = running
        .metrics
        .destination_dropped
        .with_label_values(&["side", "backlog_full"])
        .get();
    assert_eq!(waiting as u64 + dropped, 1000);
    assert!(waiting > 0 && dropped > 0);
    assert!(running.router.memory().used() > 0, "what waits is charged");
    // What waits is delivered when it is well again.
    rig.testbed.collector.set_faults([]);
    wait_count(&rig.testbed.collector, waiting as u64);
    running.stop();
    assert!(rig.dead_letters().is_empty());
}

#[test]
fn readiness_falls_while_dead_letters_cannot_be_written_and_rises_by_itself() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("dlq", 1).unwrap();
    rig.testbed.datakit.set_faults([Fault::poison("record_id")]);
    let refused = kafkamq_broker::ResponseError::TopicAuthorizationFailed;
    let fault = kafkamq_broker::Fault::Error(refused);
    rig.broker
        .inject(kafkamq_broker::ApiKey::Produce, fault, usize::MAX);
    rig.produce(Route::CustomLog, 0..10);
    let running = rig.start(&super::outputs::with_dead_letter_topic(&rig, "dlq"));
    let status = running.wait_status(|status| status.dead_letters.reason.is_some());
    assert!(!status.is_ready());
    assert!(status.dead_letters.open > 0);
    rig.broker.clear_faults();
    running.wait_status(ServiceStatus::is_ready);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 10);
    }
    running.stop();
}
