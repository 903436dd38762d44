//! What each kind of route does with a record, seen from its receiver.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use kafkamq_testbed::Receiver;
use kafkamq_testbed::receiver::{Answer, Request, Surface};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::converting::input;
use super::*;

/// A content type and a body.
type Body = (String, Vec<u8>);

/// Keeps bodies by path and query.
#[derive(Default)]
struct Kept {
    bodies: Mutex<BTreeMap<String, Vec<Body>>>,
    came: Condvar,
}

struct Keeper(Arc<Kept>);

impl Surface for Keeper {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let place = match request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.to_owned(),
        };
        let body = (
            request.header("content-type").to_owned(),
            request.body.to_vec(),
        );
        self.0.bodies.lock().entry(place).or_default().push(body);
        self.0.came.notify_all();
        Answer::empty(StatusCode::OK)
    }
}

impl Kept {
    fn receiver() -> (Receiver, Arc<Self>) {
        let kept = Arc::new(Self::default());
        (Receiver::with(Keeper(Arc::clone(&kept))).unwrap(), kept)
    }

    /// The bodies of a path, once there are `count`.
    fn wait(&self, place: &str, count: usize) -> Vec<(String, String)> {
        let deadline = Instant::now() + WAIT;
        let mut bodies = self.bodies.lock();
        loop {
            let there = bodies.get(place).map_or(0, Vec::len);
            if there >= count {
                let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
                let found = bodies.get(place).into_iter().flatten();
                return found
                    .map(|(kind, body)| (kind.clone(), text(body)))
                    .collect();
            }
            let timed_out = self.came.wait_until(&mut bodies, deadline).timed_out();
            let places: Vec<_> = bodies.keys().collect();
            assert!(
                !timed_out,
                "{there} of {count} at {place}; bodies at {places:?}"
            );
        }
    }
}

fn base(rig: &Rig, output: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[output]\nendpoint = \"{output}\"\nbatch_wait = \"20ms\"\n\
         [dead_letter]\npath = \"{folder}/dead-letters\"\n[pipeline]\npath = \"{folder}/pipeline\"\n",
        folder = rig.folder.path().display()
    )
}

fn record(key: &[u8], value: &[u8]) -> kafkamq_broker::Record {
    kafkamq_broker::Record {
        timestamp: 1_700_000_000_123,
        key: Some(bytes::Bytes::copy_from_slice(key)),
        value: Some(bytes::Bytes::copy_from_slice(value)),
        ..Default::default()
    }
}

#[test]
fn a_path_that_a_receiver_lacks_holds_up_no_other_spans() {
    let rig = Rig::new();
    let datakit = rig.testbed.datakit.addr();
    let jaeger = format!(
        "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://{datakit}\"\ntopics = [\"spans\"]\nthread = 4\n\
         encoding = \"auto\"\n"
    );
    let config = base(&rig, &format!("http://{datakit}")) + &input(&rig, "auto", &jaeger);
    rig.broker.create_topic("spans", 1).unwrap();
    rig.testbed
        .datakit
        .set_faults([Fault::status(404).on_path("/otel")]);
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    for sequence in 0..50 {
        for route in [Route::JaegerProto, Route::OtelTraces] {
            let sample = Sample::of(RecordId::new(route, 0, sequence), &mut faker);
            rig.append("spans", 0, &sample);
        }
    }
    let running = rig.start(&config);
    rig.wait_delivered(Route::JaegerProto, 50);
    assert_eq!(rig.delivered(Route::OtelTraces), 0);
    let status = running.wait_status(|status| {
        let mut all = status.destinations.iter();
        all.any(|one| one.name == "auto.jaeger/otel/v1/traces" && one.state == "alarm")
    });
    let ordinary = status
        .destinations
        .iter()
        .find(|one| one.name == "auto.jaeger");
    assert_eq!(ordinary.unwrap().state, "up");
    running.stop();
}

#[test]
fn single_spans_become_otlp_requests_where_asked_for() {
    let rig = Rig::new();
    let collector = rig.testbed.collector.addr();
    let jaeger = format!(
        "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://{collector}\"\ntopics = [\"spans\"]\n\
         encoding = \"auto\"\nconvert_to = \"otlp\"\notlp_path = \"/v1/traces\"\npath = \"/api/traces\"\n"
    );
    let config = base(&rig, "http://127.0.0.1:9") + &input(&rig, "otlp", &jaeger);
    rig.broker.create_topic("spans", 1).unwrap();
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    let routes = [Route::JaegerProto, Route::JaegerJson, Route::JaegerThrift];
    for sequence in 0..50 {
        for route in routes {
            let sample = Sample::of(RecordId::new(route, 0, sequence), &mut faker);
            rig.append("spans", 0, &sample);
        }
    }
    let running = rig.start(&config);
    let ledger = rig.testbed.collector.ledger();
    for route in routes {
        let complete = ledger.wait_until(WAIT, |ledger| ledger.count(route) >= 50);
        assert!(complete, "{} {}", ledger.count(route), route.name());
    }
    running.stop();
    let heads = rig.testbed.collector.requests("/v1/traces", 200);
    assert_eq!(heads.len(), 100, "a Thrift batch stays what it is");
}

#[test]
fn skywalkings_own_server_gets_json_by_the_kind_and_the_key() {
    let rig = Rig::new();
    let (oap, kept) = Kept::receiver();
    let skywalking = format!(
        "[inputs.kafkamq.skywalking]\ndk_endpoint = \"{}\"\ntarget = \"oap\"\nnamespace = \"eu\"\n\
         topics = [\"skywalking-segments\", \"skywalking-logs\", \"skywalking-logs-json\", \"skywalking-managements\"]\n",
        oap.url("")
    );
    let config = base(&rig, "http://127.0.0.1:9") + &input(&rig, "oap", &skywalking);
    for kind in ["segments", "logs", "logs-json", "managements"] {
        let topic = format!("eu-skywalking-{kind}");
        rig.broker.create_topic(&topic, 1).unwrap();
    }
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    let mut sample = |route, sequence| Sample::of(RecordId::new(route, 0, sequence), &mut faker);
    rig.append(
        "eu-skywalking-segments",
        0,
        &sample(Route::SkywalkingSegments, 0),
    );
    rig.append("eu-skywalking-logs", 0, &sample(Route::SkywalkingLogs, 0));
    let log = json!({"service": "shop", "body": {"text": {"text": "hello"}}}).to_string();
    let records = [record(b"", log.as_bytes())];
    rig.broker
        .append_records("eu-skywalking-logs-json", 0, &records)
        .unwrap();
    for sequence in [0, 1] {
        let sample = sample(Route::SkywalkingManagements, sequence);
        rig.append("eu-skywalking-managements", 0, &sample);
    }
    let running = rig.start(&config);
    let read = |place: &str, count: usize| {
        let bodies = kept.wait(place, count);
        assert!(bodies.iter().all(|(kind, _)| kind == "application/json"));
        bodies
            .iter()
            .map(|(_, body)| serde_json::from_str::<Value>(body).unwrap())
            .collect::<Vec<_>>()
    };
    assert!(read("/v3/segment", 1)[0]["traceSegmentId"].is_string());
    let logs = read("/v3/logs", 2);
    assert!(
        logs.iter()
            .all(|log| log[0]["body"]["text"]["text"].is_string())
    );
    assert!(read("/v3/management/reportProperties", 1)[0]["properties"].is_array());
    assert!(read("/v3/management/keepAlive", 1)[0]["serviceInstance"].is_string());
    running.stop();
}

#[test]
fn scripts_see_key_headers_and_timestamp_and_lines_are_joined_where_asked_for() {
    let rig = Rig::new();
    let (output, kept) = Kept::receiver();
    std::fs::create_dir_all(rig.folder.path().join("pipeline/object")).unwrap();
    let script = "add_key(tenant, kafka_header_tenant)\nadd_key(of, kafka_key)\n";
    for place in ["pipeline/log.p", "pipeline/object/host.p"] {
        std::fs::write(rig.folder.path().join(place), script).unwrap();
    }
    let custom = "[inputs.kafkamq.custom]\nnewlines = \"space\"\n\
                  record_fields = [\"key\", \"headers\", \"timestamp\"]\npoint_time = \"record\"\n\
                  log_topic_map = { \"app\" = \"log.p\" }\nobject_topic_map = { \"^hosts-\" = \"host.p\" }\n";
    let config = base(&rig, &output.url("")) + &input(&rig, "custom", custom);
    for topic in ["app", "hosts-eu"] {
        rig.broker.create_topic(topic, 1).unwrap();
        let record = kafkamq_broker::Record {
            headers: vec![("tenant".into(), Some(bytes::Bytes::from_static(b"shop")))],
            ..record(b"k-1", b"one\ntwo\r\n")
        };
        rig.broker.append_records(topic, 0, &[record]).unwrap();
    }
    let running = rig.start(&config);
    let mut lines = Vec::new();
    for category in ["logging", "object"] {
        let place = format!("/v1/write/{category}?precision=n");
        let bodies = kept.wait(&place, 1);
        lines.push(format!("{category}: {}", bodies[0].1.trim_end()));
    }
    running.stop();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_handle_may_answer_in_every_encoding_and_its_points_run_their_script() {
    let encodings = [
        PointEncoding::LineProtocol,
        PointEncoding::Json,
        PointEncoding::PbJson,
        PointEncoding::Protobuf,
    ];
    let rig = Rig::with_topics();
    std::fs::create_dir_all(rig.folder.path().join("pipeline")).unwrap();
    std::fs::write(
        rig.folder.path().join("pipeline/handle.p"),
        "add_key(seen, true)\n",
    )
    .unwrap();
    let config = rig.config_with_answers();
    let mut upto = 0;
    for encoding in encodings {
        rig.answer_with(encoding, "logging", false);
        rig.produce(Route::Handle, upto..upto + 20);
        upto += 20;
        let running = rig.start(&config);
        let ledger = rig.testbed.datakit.ledger();
        let wanted = u64::from(upto) * 2;
        let came = ledger.wait_until(WAIT, |ledger| ledger.count(Route::Handle) >= wanted);
        assert!(
            came,
            "{encoding:?}: {} of {wanted}",
            ledger.count(Route::Handle)
        );
        running.stop();
    }
}

#[test]
fn an_answer_for_a_category_that_takes_no_points_is_buried() {
    let rig = Rig::with_topics();
    rig.answer_with(PointEncoding::LineProtocol, "unknown", false);
    rig.produce(Route::Handle, 0..10);
    let config = rig.config_with_answers();
    let running = rig.start(&config);
    rig.wait_committed("device-frames", 0, 10);
    rig.wait_committed("device-frames", 1, 10);
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 20);
    assert!(
        letters[0].reason.contains("unknown category"),
        "{}",
        letters[0].reason
    );
}

#[test]
fn a_handle_in_debug_mode_gets_each_record_as_it_is_and_the_header_is_checked() {
    let rig = Rig::new();
    let (handle, kept) = Kept::receiver();
    let block = |topic: &str, check: &str| {
        format!(
            "[inputs.kafkamq.remote_handle]\nendpoint = \"{}{topic}\"\ntopics = [\"{topic}\"]\n\
             debug = true\ncontent_type = \"application/octet-stream\"\nheader_check = {check}\n",
            handle.url("/")
        )
    };
    let config = base(&rig, "http://127.0.0.1:9")
        + &input(&rig, "original", &block("original", "true"))
        + &input(&rig, "strict", &block("strict", "\"strict\""));
    let values: [&[u8]; 4] = [
        &[0xEF, 1, 0, 40, 7],
        &[0xEF, 1, 5, 70],
        &[0, 1, 5, 40],
        &[0xEF],
    ];
    for topic in ["original", "strict"] {
        rig.broker.create_topic(topic, 1).unwrap();
        for value in values {
            let records = [record(b"", value)];
            rig.broker.append_records(topic, 0, &records).unwrap();
        }
    }
    let running = rig.start(&config);
    let bodies = |place: &str, count| {
        kept.wait(place, count);
        kept.bodies.lock()[place].clone()
    };
    let sent = |value: &[u8]| ("application/octet-stream".to_owned(), value.to_vec());
    assert_eq!(bodies("/original", 2), [sent(values[0]), sent(values[1])]);
    assert_eq!(bodies("/strict", 1), [sent(values[0])]);
    for (topic, rejected) in [("original", 2), ("strict", 3)] {
        assert!(rig.broker.wait_committed(topic, topic, 0, 4, WAIT));
        let counted = running
            .metrics
            .records_processed
            .with_label_values(&[topic, "header_rejected"]);
        assert_eq!(counted.get(), rejected, "{topic}");
    }
    running.stop();
}

#[test]
fn a_partial_success_is_counted_and_not_sent_again() {
    let rig = Rig::new();
    let collector = rig.testbed.collector.addr();
    let otel = format!(
        "[inputs.kafkamq.otel]\ndk_endpoint = \"http://{collector}\"\nlog_topics = [\"logs\"]\n\
         log_api = \"/v1/logs\"\ncompression = \"gzip\"\nheaders = {{ \"X-Tenant\" = \"shop\" }}\n"
    );
    let config = base(&rig, "http://127.0.0.1:9") + &input(&rig, "partial", &otel);
    rig.broker.create_topic("logs", 1).unwrap();
    rig.testbed
        .collector
        .set_faults([Fault::new(FaultKind::PartialSuccess {
            rejected: 1,
            message: "too old".into(),
        })]);
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    for sequence in 0..10 {
        let sample = Sample::of(RecordId::new(Route::OtelLogs, 0, sequence), &mut faker);
        rig.append("logs", 0, &sample);
    }
    let running = rig.start(&config);
    assert!(rig.broker.wait_committed("partial", "logs", 0, 10, WAIT));
    let rejected = running
        .metrics
        .partial_rejections
        .with_label_values(&["partial.otel.logs"]);
    assert_eq!(rejected.get(), 10);
    running.stop();
    let heads = rig.testbed.collector.requests("/v1/logs", 100);
    assert_eq!(heads.len(), 10, "each once");
    assert!(heads.iter().all(|head| {
        let is = |name: &str, value: &str| {
            let mut headers = head.headers.iter();
            headers.any(|(key, text)| key.as_str() == name && text == value)
        };
        is("content-encoding", "gzip") && is("x-tenant", "shop")
    }));
}

#[test]
fn records_of_a_busy_key_wait_while_others_arrive() {
    let rig = Rig::new();
    let (output, kept) = Kept::receiver();
    let custom =
        "limit_key_sec = 5\n[inputs.kafkamq.custom]\nlog_topic_map = { \"app\" = \"-\" }\n";
    let config = base(&rig, &output.url("")) + &input(&rig, "keys", custom);
    rig.broker.create_topic("app", 1).unwrap();
    let mut records: Vec<_> = (0..12)
        .map(|n| record(b"busy", format!("busy-{n:02}").as_bytes()))
        .collect();
    records.extend((0..50).map(|n| record(format!("calm-{n}").as_bytes(), b"calm")));
    rig.broker.append_records("app", 0, &records).unwrap();
    let began = Instant::now();
    let running = rig.start(&config);
    assert!(rig.broker.wait_committed("keys", "app", 0, 62, WAIT));
    // Twelve at five a second, with a second's worth ahead.
    assert!(
        began.elapsed() >= Duration::from_millis(1000),
        "{:?}",
        began.elapsed()
    );
    running.stop();
    let bodies = kept.wait("/v1/write/logging?precision=n", 1);
    let lines: Vec<&str> = bodies.iter().flat_map(|(_, body)| body.lines()).collect();
    let places = |what: &str| {
        let found = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(what));
        found.map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!((lines.len(), places("message=\"calm\"").len()), (62, 50));
    let busy = places("busy-");
    let order: Vec<_> = busy
        .iter()
        .map(|at| lines[*at].split("busy-").nth(1).unwrap().get(..2))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(
        busy[11] > places("message=\"calm\"")[49],
        "the last of the busy key came last"
    );
}

#[test]
fn what_cannot_be_split_or_run_goes_on_whole_or_is_buried() {
    for (wanted, split, on_error, letters) in [
        (2, "whole", "keep", 0),
        (1, "dlq", "keep", 1),
        (1, "whole", "dlq", 1),
    ] {
        let rig = Rig::new();
        let (output, kept) = Kept::receiver();
        std::fs::create_dir_all(rig.folder.path().join("pipeline")).unwrap();
        // Only the text that is not an array fails to run.
        std::fs::write(
            rig.folder.path().join("pipeline/log.p"),
            "add_key(seen, true)\nx = len(\"\")\nif message == \"text\" {\n  y = 1 / x\n}\n",
        )
        .unwrap();
        let custom = format!(
            "[inputs.kafkamq.custom]\nsplit_json_body = true\nsplit_failure = \"{split}\"\nlog_topic_map = {{ \"app\" = \"log.p\" }}\n"
        );
        let settings = base(&rig, &output.url("")).replace(
            "[pipeline]",
            &format!("[pipeline]\non_error = \"{on_error}\""),
        );
        let config = settings + &input(&rig, "whole", &custom);
        rig.broker.create_topic("app", 1).unwrap();
        let records = [record(b"", b"text"), record(b"", b"[{\"a\":1}]")];
        rig.broker.append_records("app", 0, &records).unwrap();
        let running = rig.start(&config);
        assert!(rig.broker.wait_committed("whole", "app", 0, 2, WAIT));
        running.stop();
        let bodies = kept.wait("/v1/write/logging?precision=n", 1);
        let lines: Vec<&str> = bodies.iter().flat_map(|(_, body)| body.lines()).collect();
        assert_eq!(lines.len(), wanted, "{split} {on_error}: {lines:?}");
        assert!(lines.iter().all(|line| line.contains("seen=")), "{lines:?}");
        assert_eq!(rig.dead_letters().len(), letters, "{split} {on_error}");
    }
}
