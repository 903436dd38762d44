//! Every part of a record has a fate of its own, and what is made of records stays within the memory
//! limit.

use std::sync::Arc;

use kafkamq_delivery::dead_letter::LetterPart;
use kafkamq_testbed::faults::Fault;
use kafkamq_testbed::receiver::PointEncoding;
use kafkamq_testbed::{RecordId, Route};

use super::Rig;
use crate::dead_letters::{DeadLetters, Replay};
use kafkamq_settings::{Settings, Sources, load};

/// Fails on elements that say so.
const SCRIPT: &str =
    "x = load_json(_)\nif x[\"fails\"] == true {\n  y = [1]\n  add_key(z, y[5])\n}\n";

fn settings(config: &str) -> Settings {
    load(&Sources::new().text("test", config)).unwrap().settings
}

impl Rig {
    fn append_value(&self, topic: &str, value: &str) {
        let record = kafkamq_broker::Record {
            timestamp: 1_700_000_000_000,
            value: Some(value.to_owned().into()),
            ..Default::default()
        };
        self.broker.append_records(topic, 0, &[record]).unwrap();
    }

    /// Splits values of `app-logs` and runs a script on each element.
    fn splitting(&self, limits: &str) -> String {
        let folder = self.folder.path().join("pipeline");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("s.p"), SCRIPT).unwrap();
        let config = self
            .config(
                "",
                "[inputs.kafkamq.custom.spilt_topic_map]\n\"app-logs\" = true",
            )
            .replace("[pipeline]\n", "[pipeline]\non_error = \"dlq\"\n")
            .replace("\"app-logs\" = \"-\"", "\"app-logs\" = \"s.p\"");
        format!("{limits}{config}")
    }
}

#[test]
fn an_element_that_fails_is_buried_beside_good_ones_and_returns_alone() {
    let rig = Rig::with_topics();
    let value = r#"[{"n":1}, {"fails":true} ,{"n":2}]"#;
    rig.append_value("app-logs", value);
    let config = rig.splitting("");
    let running = rig.start(&config);
    rig.wait_committed("app-logs", 0, 1);
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].value.as_deref(), Some(&br#"{"fails":true}"#[..]));
    assert_eq!(
        (letters[0].offset, letters[0].stage.as_str()),
        (0, "script")
    );
    let part = LetterPart::Element {
        number: 1,
        pointer: Some(String::new()),
    };
    assert_eq!(letters[0].part, part);

    let report = DeadLetters::of(&settings(&config))
        .replay(&Replay::default(), |_| {})
        .unwrap();
    assert!(report.is_complete(), "{report:?}");
    let records = rig.broker.records("app-logs", 0).unwrap();
    assert_eq!(
        records[1].value.as_deref(),
        Some(&br#"[{"fails":true}]"#[..])
    );
}

#[test]
fn a_refused_point_of_an_answer_is_buried_as_itself_and_returns_to_its_output() {
    let rig = Rig::with_topics();
    rig.answer_with(PointEncoding::LineProtocol, "logging", false);
    let poison = RecordId::new(Route::Handle, 0, 13);
    rig.testbed.datakit.set_faults([Fault::poison(poison)]);
    rig.produce(Route::Handle, 0..20);
    let config = rig.config_with_answers();
    let running = rig.start(&config);
    for partition in 0..2 {
        rig.wait_committed("device-frames", partition, 20);
    }
    running.stop();
    let ledger = rig.testbed.datakit.ledger();
    assert_eq!(ledger.count(Route::Handle), 39);
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let LetterPart::Point { from, category, .. } = &letters[0].part else {
        panic!("{letters:?}");
    };
    assert_eq!(category, "logging");
    assert!(
        from.iter()
            .any(|range| range.source.partition == 0 && (range.first..=range.last).contains(&13)),
        "{from:?}"
    );
    assert_eq!(letters[0].status, Some(400));

    rig.testbed.datakit.set_faults([]);
    let letters = DeadLetters::of(&settings(&config));
    let report = letters.replay(&Replay::default(), |_| {}).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(ledger.count(Route::Handle), 40);
}

#[test]
fn what_is_made_of_large_arrays_stays_within_the_limit_while_the_output_is_away() {
    const ELEMENTS: usize = 40_000;
    const RECORDS: usize = 3;
    let rig = Rig::with_topics();
    rig.testbed
        .datakit
        .set_faults([Fault::status(503).on_path("/v1/write")]);
    let value = format!("[{}]", vec![r#"{"n":1}"#; ELEMENTS].join(","));
    for _ in 0..RECORDS {
        rig.append_value("app-logs", &value);
    }
    let limits = "[limits]\nmemory = \"16MiB\"\nbatch_bytes = \"1MiB\"\nrecord_bytes = \"1MiB\"\n";
    let running = rig.start(&rig.splitting(limits));
    running.wait_status(|status| {
        let waits = |d: &crate::actors::status::DestinationStatus| d.queued_items > 100;
        status.destinations.iter().any(waits)
    });
    let memory = Arc::clone(&running.router.memory());
    rig.testbed.datakit.set_faults([]);
    rig.wait_committed("app-logs", 0, RECORDS as i64);
    // Each of 120,000 points takes about 100 bytes; half of the memory is for what is charged, and
    // that includes what the partitions reserve to fetch.
    assert!(
        memory.peak() < (8 << 20),
        "{} bytes were charged at once",
        memory.peak()
    );
    running.stop();
    assert!(rig.dead_letters().is_empty());
}
