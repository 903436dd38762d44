//! Where partitions are read from: sought until it is found, and never passing over what is new.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafkamq_broker::{ApiKey, Fault, ResponseError};
use kafkamq_testbed::faults;
use kafkamq_testbed::{Faker, RecordId, Route, Sample};

use super::{ROUTES, Rig, Running, WAIT};

const TOPIC: &str = "app-logs";

fn newest(rig: &Rig, more: &str) -> String {
    rig.config(more, "")
        .replace("offsets = \"oldest\"", "offsets = \"newest\"")
}

/// Waits until both partitions of the topic are read from `offset`.
fn wait_positions(running: &Running, offset: i64) {
    running.wait_status(|status| {
        let partitions = status.inputs.iter().flat_map(|input| &input.partitions);
        let of_topic = partitions.filter(|partition| partition.topic == TOPIC);
        let there = of_topic
            .filter(|partition| partition.position == Some(offset) && partition.blocked.is_none());
        there.count() == 2
    });
}

#[test]
fn a_coordinator_that_moves_leaves_no_partition_unread() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..100);
    let moved = Fault::Error(ResponseError::NotCoordinator);
    rig.broker.inject(ApiKey::OffsetFetch, moved, 6);
    let running = rig.start(&rig.config("", ""));
    rig.wait_delivered(Route::CustomLog, 200);
    rig.wait_committed(TOPIC, 0, 100);
    running.stop();
}

#[test]
fn a_partition_without_a_position_is_not_ready_and_says_why() {
    let rig = Rig::with_topics();
    let refused = Fault::Error(ResponseError::GroupAuthorizationFailed);
    rig.broker.inject(ApiKey::OffsetFetch, refused, usize::MAX);
    let running = rig.start(&rig.config("", ""));
    let status = running.wait_status(|status| {
        let mut partitions = status.inputs.iter().flat_map(|input| &input.partitions);
        partitions.any(|partition| {
            let blocked = partition.blocked.as_ref();
            blocked.is_some_and(|blocked| blocked.reason.contains("does not say what is committed"))
        })
    });
    assert!(!status.is_ready());
    rig.broker.clear_faults();
    running.wait_status(|status| status.is_ready() && status.inputs[0].lag == Some(0));
    running.stop();
}

#[test]
fn a_late_answer_about_committed_offsets_does_not_turn_the_start_around() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..50);
    let late = Fault::Delay(Duration::from_secs(6));
    rig.broker.inject(ApiKey::OffsetFetch, late, 1);
    let running = rig.start(&newest(&rig, "offset_out_of_range = \"oldest\""));
    wait_positions(&running, 50);
    rig.produce(Route::CustomLog, 50..60);
    rig.wait_delivered(Route::CustomLog, 20);
    rig.wait_committed(TOPIC, 0, 60);
    assert_eq!(rig.delivered(Route::CustomLog), 20);
    running.stop();
}

#[test]
fn partitions_that_a_member_keeps_while_others_move_are_read_without_a_gap() {
    let rig = Rig::new();
    rig.create_topics();
    for route in ROUTES {
        rig.produce(route, 0..20);
    }
    let config = rig.config("assignor = \"cooperative-sticky\"", "");
    let first = rig.start(&config);
    let has = |running: &Running, count| {
        running.wait_status(|status| {
            let input = &status.inputs[0];
            input.partitions.len() == count && input.lag == Some(0)
        });
    };
    // All are read to their ends, where the client has to stay.
    has(&first, 6);
    let second = rig.start(&config.replace("/dead-letters", "/second-dead-letters"));
    has(&second, 3);
    has(&first, 3);
    for route in ROUTES {
        rig.produce(route, 20..30);
        rig.wait_delivered(route, 60);
    }
    for receiver in [&rig.testbed.datakit, &rig.testbed.handle] {
        let report = receiver.ledger().report();
        assert_eq!(report.duplicates, 0, "{report:?}");
    }
    second.stop();
    first.stop();
}

#[test]
fn a_topic_that_is_made_again_is_read_and_committed_from_its_start() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..200);
    let running = rig.start(&rig.config("max_in_flight = 40", ""));
    rig.wait_delivered(Route::CustomLog, 400);
    for partition in 0..2 {
        rig.wait_committed(TOPIC, partition, 200);
    }
    rig.broker.delete_topic(TOPIC).unwrap();
    rig.broker.create_topic(TOPIC, 2).unwrap();
    // More than may be in flight, and less than was there before.
    rig.produce(Route::CustomLog, 200..300);
    rig.wait_delivered(Route::CustomLog, 600);
    for partition in 0..2 {
        let committed = || rig.broker.committed("group", TOPIC, partition);
        let done = || (committed() == Some(100)).then_some(());
        assert!(rig.broker.wait(WAIT, done).is_some(), "{:?}", committed());
    }
    running.stop();
}

#[test]
fn a_topic_made_again_while_the_service_was_down_is_read_though_its_commits_are_gone() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..10);
    let folder = rig.folder.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let state = format!("[server]\nstate_dir = \"{}\"", folder.display());
    let config = newest(&rig, "").replace("[server]", &state);
    let running = rig.start(&config);
    wait_positions(&running, 10);
    running.stop();
    rig.broker.delete_topic(TOPIC).unwrap();
    assert_eq!(rig.broker.committed("group", TOPIC, 0), None);
    rig.broker.create_topic(TOPIC, 2).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut faker = Faker::new(3, 1_700_000_000_000_000_000);
    for sequence in 10..20 {
        for partition in 0..2u16 {
            let id = RecordId::new(Route::CustomLog, partition, sequence);
            let record = kafkamq_broker::Record {
                timestamp: i64::try_from(now.as_millis()).unwrap(),
                value: Some(Sample::of(id, &mut faker).value),
                ..Default::default()
            };
            let partition = i32::from(partition);
            rig.broker
                .append_records(TOPIC, partition, &[record])
                .unwrap();
        }
    }
    let running = rig.start(&config);
    rig.wait_delivered(Route::CustomLog, 20);
    rig.wait_committed(TOPIC, 0, 10);
    running.stop();
}

#[test]
fn partitions_that_are_added_are_read_from_their_start() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..10);
    let soon = "librdkafka = { \"topic.metadata.refresh.interval.ms\" = \"300\" }";
    let running = rig.start(&newest(&rig, soon));
    wait_positions(&running, 10);
    rig.broker.add_partitions(TOPIC, 3).unwrap();
    let mut faker = Faker::new(3, 1_700_000_000_000_000_000);
    for sequence in 0..30 {
        let id = RecordId::new(Route::CustomLog, 2, sequence);
        rig.append(TOPIC, 2, &Sample::of(id, &mut faker));
    }
    rig.wait_delivered(Route::CustomLog, 30);
    rig.wait_committed(TOPIC, 2, 30);
    assert_eq!(rig.delivered(Route::CustomLog), 30);
    running.stop();
}

#[test]
fn lag_is_known_before_anything_is_committed_and_never_counted_as_zero() {
    let rig = Rig::with_topics();
    let refused = Fault::Error(ResponseError::NotCoordinator);
    rig.broker.inject(ApiKey::OffsetFetch, refused, usize::MAX);
    rig.testbed.datakit.set_faults([faults::Fault::status(503)]);
    rig.produce(Route::CustomLog, 0..100);
    let running = rig.start(&rig.config("", ""));
    let status = running.wait_status(|status| status.actors.topic == 6);
    assert_eq!(status.inputs[0].lag, None);
    rig.broker.clear_faults();
    running.wait_status(|status| status.inputs[0].lag == Some(200));
    rig.testbed.datakit.set_faults([]);
    running.wait_status(|status| status.inputs[0].lag == Some(0));
    running.stop();
}

#[test]
fn a_removed_offset_stops_the_partition_if_it_is_to_stop_and_says_so() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..10);
    let running = rig.start(&rig.config("", ""));
    for partition in 0..2 {
        rig.wait_committed(TOPIC, partition, 10);
    }
    running.stop();
    rig.produce(Route::CustomLog, 10..50);
    for partition in 0..2 {
        rig.broker.truncate(TOPIC, partition, 30).unwrap();
    }
    let before = rig.delivered(Route::CustomLog);
    let running = rig.start(&rig.config("offset_out_of_range = \"stop\"", ""));
    let status = running.wait_status(|status| {
        let partitions = status.inputs.iter().flat_map(|input| &input.partitions);
        let stopped = partitions.filter(|partition| {
            let blocked = partition.blocked.as_ref();
            blocked.is_some_and(|blocked| blocked.reason.contains("`stop`"))
        });
        stopped.count() == 2
    });
    assert!(!status.is_ready());
    assert_eq!(rig.delivered(Route::CustomLog), before);
    running.stop();
}

#[test]
fn a_new_group_that_begins_at_the_newest_record_keeps_its_place() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..50);
    let config = newest(&rig, "");
    let running = rig.start(&config);
    running.wait_status(|status| status.inputs[0].partitions.len() == 6);
    rig.wait_committed("app-logs", 0, 50);
    running.stop();
    // Written while nobody reads, and before anything was ever delivered.
    rig.produce(Route::CustomLog, 50..60);
    let running = rig.start(&config);
    rig.wait_delivered(Route::CustomLog, 20);
    running.stop();
    let seen: BTreeSet<u32> = rig
        .testbed
        .datakit
        .ledger()
        .seen()
        .iter()
        .map(|id| id.sequence)
        .collect();
    assert_eq!(seen, (50..60).collect());
}
