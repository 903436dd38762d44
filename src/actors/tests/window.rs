//! What a crash may deliver again is bounded by the window: records in flight, and those settled
//! under a commit that the brokers have not confirmed.

use kafkamq_broker::{ApiKey, Fault, ResponseError};
use kafkamq_testbed::Route;

use super::Rig;

#[test]
fn reading_stops_when_a_window_of_settled_records_cannot_be_committed() {
    const WINDOW: u64 = 100;
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..500);
    let refusal = Fault::Error(ResponseError::UnknownServerError);
    rig.broker.inject(ApiKey::OffsetCommit, refusal, usize::MAX);
    let running = rig.start(&rig.config(&format!("max_in_flight = {WINDOW}"), ""));
    rig.wait_delivered(Route::CustomLog, 2 * WINDOW);
    let refused = rig.broker.requests(ApiKey::OffsetCommit);
    // A refused commit is tried again, and brings no room meanwhile.
    running.wait_status(|_| rig.broker.requests(ApiKey::OffsetCommit) > refused + 3);
    assert_eq!(rig.delivered(Route::CustomLog), 2 * WINDOW);

    rig.broker.clear_faults();
    rig.wait_delivered(Route::CustomLog, 1000);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 500);
    }
    running.stop();
    let report = rig.testbed.datakit.ledger().report();
    assert!(report.routes.values().all(|route| route.duplicates == 0));
}

#[test]
fn batches_that_a_rule_settles_before_anything_is_sent_give_their_memory_back() {
    let rig = Rig::with_topics();
    let append = |value: Vec<u8>| {
        let record = kafkamq_broker::Record {
            timestamp: 1_700_000_000_000,
            value: Some(value.into()),
            ..Default::default()
        };
        rig.broker
            .append_records("device-frames", 0, &[record])
            .unwrap();
    };
    // Far more bytes than the allowance of the partition, none of which a rule lets pass.
    for _ in 0..100 {
        append(vec![b'x'; 100_000]);
    }
    append(b"\xef\x01\x00\x28passes".to_vec());
    let config = rig.config("", "").replace(
        "send_message_count = 10",
        "send_message_count = 10\nheader_check = true",
    );
    let limits = "[limits]\nmemory = \"16MiB\"\nbatch_bytes = \"1MiB\"\nrecord_bytes = \"1MiB\"\n";
    let running = rig.start(&format!("{limits}{config}"));
    rig.wait_committed("device-frames", 0, 101);
    assert_eq!(rig.testbed.handle.requests("/", 10).len(), 1);
    running.stop();
}
