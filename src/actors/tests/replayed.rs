//! A time range delivered once more, beside the group.

use super::*;
use crate::replay::{Range, Report, run, settings_for};
use kafkamq_settings::{InputSettings, Settings};

const BEGIN: i64 = 1_700_000_000_000;

/// Appends records of the custom route, one a millisecond, to both partitions.
fn produce(rig: &Rig, range: std::ops::Range<u32>) {
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    for partition in 0..2u16 {
        let records: Vec<_> = range
            .clone()
            .map(|sequence| {
                let id = RecordId::new(Route::CustomLog, partition, sequence);
                kafkamq_broker::Record {
                    timestamp: BEGIN + i64::from(sequence),
                    value: Some(Sample::of(id, &mut faker).value),
                    ..Default::default()
                }
            })
            .collect();
        rig.broker
            .append_records("app-logs", i32::from(partition), &records)
            .unwrap();
    }
}

fn settings(rig: &Rig, more: &str) -> (Settings, InputSettings) {
    let sources = Sources::new().text("test", rig.config(more, ""));
    let settings = load(&sources).unwrap().settings;
    let input = settings.inputs[0].clone();
    (settings, input)
}

fn find(input: &InputSettings, from: i64, to: i64) -> Range {
    Range::find(input, "app-logs", BEGIN + from, BEGIN + to, WAIT).unwrap()
}

fn replay(
    settings: Settings,
    input: &InputSettings,
    range: &Range,
    stop: impl Future<Output = ()>,
) -> Report {
    let settings = settings_for(settings, input, "app-logs", None);
    let ran = run(settings, range, stop, |_, _| ());
    actix_rt::System::new().block_on(ran).unwrap()
}

#[test]
fn a_time_range_is_delivered_once_more_and_the_group_does_not_notice() {
    let rig = Rig::with_topics();
    produce(&rig, 0..1000);
    let poison = RecordId::new(Route::CustomLog, 1, 150);
    rig.testbed.datakit.set_faults([Fault::poison(poison)]);
    // That the input is a static member does not matter to a replay.
    let (settings, input) = settings(&rig, "group_instance_id = \"one\"\nmax_in_flight = 50");
    let range = find(&input, 100, 300);
    assert_eq!(range.progress(), (400, 0));
    // What is written from now on does not belong to it.
    produce(&rig, 1000..1010);
    let report = replay(settings, &input, &range, std::future::pending());
    let expected = Report {
        read: 400,
        delivered: 399,
        dead_lettered: 1,
        complete: true,
        ..Report::default()
    };
    assert_eq!(report, expected);
    assert_eq!(range.progress(), (400, 400));
    let ledger = rig.testbed.datakit.ledger().report();
    let account = &ledger.routes[&Route::CustomLog];
    assert_eq!((account.delivered, account.duplicates), (399, 0));
    assert_eq!(rig.dead_letters().len(), 1);
    assert!(rig.broker.members("group").is_empty());
    for partition in 0..2 {
        assert_eq!(rig.broker.committed("group", "app-logs", partition), None);
    }
    assert_eq!(rig.broker.requests(kafkamq_broker::ApiKey::JoinGroup), 0);
    assert_eq!(rig.broker.requests(kafkamq_broker::ApiKey::OffsetCommit), 0);
}

#[test]
fn the_bounds_of_time_are_those_of_the_topic() {
    let rig = Rig::with_topics();
    produce(&rig, 0..10);
    rig.broker.truncate("app-logs", 0, 4).unwrap();
    let (_, input) = settings(&rig, "");
    let offsets = |from, to| -> Vec<_> {
        let range = find(&input, from, to);
        let ranges = range.ranges.iter();
        ranges.map(|range| range.offsets()).collect()
    };
    assert_eq!(offsets(-5, 1_000_000), [4..10, 0..10]);
    assert_eq!(offsets(2, 6), [4..6, 2..6]);
    assert_eq!(offsets(10, 20), [0..0; 0]);
    let unknown = Range::find(&input, "none", 0, 1, WAIT);
    assert_eq!(unknown.unwrap_err().to_string(), "there is no topic `none`");
}

#[test]
fn a_replay_that_is_stopped_says_that_something_is_open() {
    let rig = Rig::with_topics();
    produce(&rig, 0..100);
    rig.testbed.datakit.set_faults([Fault::status(503)]);
    let (mut settings, mut input) = settings(&rig, "");
    input.drain_timeout = Duration::from_millis(200);
    settings.inputs = vec![input.clone()];
    let range = find(&input, 0, 100);
    let faulty = async {
        // Until the destination has refused something.
        let refused = || !rig.testbed.datakit.requests("/", 1).is_empty();
        while !refused() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let report = replay(settings, &input, &range, faulty);
    assert!(!report.complete, "{report:?}");
    assert_eq!((report.delivered, range.progress()), (0, (200, 0)));
}
