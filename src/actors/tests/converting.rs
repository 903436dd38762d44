//! Records in forms that their receivers do not take: every one arrives converted or is buried with
//! its reason.

use serde_json::json;

use super::*;

/// An input with one block of its own.
pub(super) fn input(rig: &Rig, name: &str, block: &str) -> String {
    format!(
        "[[inputs.kafkamq]]\nname = \"{name}\"\naddrs = [\"{}\"]\ngroup_id = \"{name}\"\noffsets = \"oldest\"\n{block}",
        rig.broker.bootstrap()
    )
}

#[test]
fn spans_meters_and_requests_arrive_converted_and_the_rest_is_buried() {
    let rig = Rig::new();
    let datakit = rig.testbed.datakit.addr();
    let mut config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[output]\nendpoint = \"http://{datakit}\"\n[dead_letter]\npath = \"{}/dead-letters\"\n",
        rig.folder.path().display()
    );
    config += &input(
        &rig,
        "mixed",
        &format!(
            r#"
[inputs.kafkamq.jaeger]
dk_endpoint = "http://{datakit}"
topics = ["mixed-spans"]
encoding = "auto"
[inputs.kafkamq.skywalking]
dk_endpoint = "http://{datakit}"
topics = ["skywalking-meters"]
meters = "points"
[inputs.kafkamq.otel]
dk_endpoint = "http://{datakit}"
trace_topics = ["json-requests"]
trace_encoding = "otlp_json"
"#
        ),
    );
    config += &input(
        &rig,
        "daoke",
        &format!(
            "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://{datakit}\"\ntopics = [\"daoke-spans\"]\nsource = \"daoke\"\n"
        ),
    );
    let topics = [
        "mixed-spans",
        "skywalking-meters",
        "json-requests",
        "daoke-spans",
    ];
    for topic in topics {
        rig.broker.create_topic(topic, 1).unwrap();
    }

    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    let spans = [Route::JaegerThrift, Route::JaegerProto, Route::JaegerJson];
    for sequence in 0..50 {
        let mut sample =
            |route, producer| Sample::of(RecordId::new(route, producer, sequence), &mut faker);
        for route in spans {
            rig.append("mixed-spans", 0, &sample(route, 0));
        }
        rig.append("skywalking-meters", 0, &sample(Route::SkywalkingMeters, 0));

        let mut request = sample(Route::OtelTraces, 0);
        let value = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "record_id", "value": {"stringValue": request.ids[0].to_string()}},
            ]},
            "scopeSpans": [{"spans": [{
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "b7ad6b7169203331",
                "name": "GET /",
            }]}],
        }]});
        request.value = value.to_string().into();
        rig.append("json-requests", 0, &request);

        rig.append("daoke-spans", 0, &sample(Route::JaegerJson, 1));
        if sequence % 10 == 0 {
            for topic in topics {
                let mut garbage = sample(Route::JaegerJson, 2);
                garbage.value = b"hello"[..].into();
                rig.append(topic, 0, &garbage);
            }
        }
    }

    let running = rig.start(&config);
    for route in [Route::JaegerThrift, Route::JaegerProto, Route::OtelTraces] {
        rig.wait_delivered(route, 50);
    }
    rig.wait_delivered(Route::SkywalkingMeters, 50);
    rig.wait_delivered(Route::JaegerJson, 100);
    running.stop();
    for (group, topic) in [("mixed", "mixed-spans"), ("daoke", "daoke-spans")] {
        let end = if group == "mixed" { 155 } else { 55 };
        assert_eq!(rig.broker.committed(group, topic, 0), Some(end));
    }
    let buried: BTreeSet<String> = rig
        .dead_letters()
        .into_iter()
        .map(|letter| format!("{} {}: {}", letter.topic, letter.stage, letter.reason))
        .collect();
    insta::assert_snapshot!(buried.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn otlp_requests_are_merged_and_taken_apart_where_one_is_refused() {
    let rig = Rig::new();
    let collector = rig.testbed.collector.addr();
    let otel = format!(
        "[inputs.kafkamq.otel]\ndk_endpoint = \"http://{collector}\"\ntrace_topics = [\"spans\"]\n\
         trace_api = \"/v1/traces\"\nmerge_records = 50\nstrict = true\n"
    );
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[dead_letter]\npath = \"{}/dead-letters\"\n{}",
        rig.folder.path().display(),
        input(&rig, "merged", &otel)
    );
    rig.broker.create_topic("spans", 1).unwrap();
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    for sequence in 0..200 {
        let sample = Sample::of(RecordId::new(Route::OtelTraces, 0, sequence), &mut faker);
        rig.append("spans", 0, &sample);
    }
    let poison = RecordId::new(Route::OtelTraces, 0, 120);
    rig.testbed.collector.set_faults([Fault::poison(poison)]);

    let running = rig.start(&config);
    let ledger = rig.testbed.collector.ledger();
    assert!(ledger.wait_until(WAIT, |ledger| ledger.count(Route::OtelTraces) >= 199));
    assert!(rig.broker.wait_committed("merged", "spans", 0, 200, WAIT));
    running.stop();

    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].status), (120, Some(400)));
    let requests = rig.testbed.collector.traffic().requests;
    assert!(
        requests < 60,
        "{requests} requests for 200 records merged by 50"
    );
}
