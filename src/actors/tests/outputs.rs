//! Every kind of output against the faults it can meet: each shows that a record settles when its
//! destination has it, and not before.

use kafkamq_testbed::Receiver;

use super::*;

/// The rig's configuration with other outputs.
pub(super) fn config(rig: &Rig, outputs: &str) -> String {
    let config = rig.config("", "");
    let default = format!(
        "[output]\nendpoint = \"http://{}\"\nbackoff_max = \"200ms\"\n",
        rig.testbed.datakit.addr()
    );
    assert!(config.contains(&default));
    config.replace(&default, outputs)
}

pub(super) fn http_output(kind: &str, endpoint: &str, more: &str) -> String {
    format!(
        "[[output]]\nkind = \"{kind}\"\nendpoint = \"{endpoint}\"\nbackoff_max = \"100ms\"\n\
         hold_backoff = \"100ms\"\nbatch_wait = \"20ms\"\n{more}\n"
    )
}

/// Two outputs: DataKit, and an InfluxDB that answers 503 so far; `more` is said of the latter.
pub(super) fn datakit_and_one_that_is_away(rig: &Rig, more: &str) -> String {
    rig.testbed.collector.set_faults([Fault::status(503)]);
    let datakit = http_output("datakit", &rig.testbed.datakit.url(""), "");
    let away = http_output("influxdb", &rig.testbed.collector.url("/write?db=x"), more);
    datakit + &away
}

pub(super) fn wait_count(receiver: &Receiver, count: u64) {
    let complete = receiver
        .ledger()
        .wait_until(WAIT, |ledger| ledger.count(Route::CustomLog) >= count);
    let came = receiver.ledger().count(Route::CustomLog);
    assert!(complete, "{came} of {count}");
}

/// Lets log records meet each fault in turn. None may be lost; only the poison one is buried.
fn meets_every_fault(rig: &Rig, receiver: &Receiver, output: &str) {
    rig.create_topics();
    let status = |status, retry_after| {
        Fault::new(FaultKind::Status {
            status,
            retry_after,
            body: None,
        })
    };
    let poison = RecordId::new(Route::CustomLog, 0, 157);
    let faults = [
        Fault::new(FaultKind::Refuse).lasting(Duration::from_millis(300)),
        status(500, None).times(3),
        status(503, None).times(3),
        status(408, None).times(2),
        status(429, Some(RetryAfter::Seconds(1))).times(1),
        status(401, None).times(3),
        Fault::new(FaultKind::TooLarge { bytes: 4096 }),
        Fault::poison(poison),
    ];
    let running = rig.start(&config(rig, output));
    let mut delivered = 0;
    for (step, fault) in (0u32..).zip(faults) {
        let poisoned = u64::from(matches!(fault.kind, FaultKind::Poison { .. }));
        receiver.set_faults([fault]);
        // The poison record is the one numbered 157, among those of the last step.
        rig.produce(Route::CustomLog, step * 20..(step + 1) * 20);
        delivered += 40 - poisoned;
        wait_count(receiver, delivered);
    }
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 160);
    }
    running.stop();
    let letters = rig.dead_letters();
    let offsets: Vec<_> = letters
        .iter()
        .map(|letter| (letter.partition, letter.offset, letter.status))
        .collect();
    assert_eq!(offsets, [(0, 157, Some(400))]);
}

#[test]
fn influxdb_meets_every_fault_and_loses_nothing() {
    let rig = Rig::new();
    let address = rig
        .testbed
        .collector
        .url("/api/v2/write?org=o&bucket=b&precision=ms");
    let output = http_output("influxdb", &address, "token = \"secret\"");
    meets_every_fault(&rig, &rig.testbed.collector, &output);
    let requests = rig.testbed.collector.requests("/api/v2/write", 1);
    assert_eq!(requests[0].status, 204);
    assert_eq!(requests[0].query.as_deref(), Some("org=o&bucket=b"));
    assert_eq!(requests[0].header("authorization"), Some("Token secret"));
    assert!(requests[0].notes.is_empty(), "{:?}", requests[0].notes);
}

#[test]
fn influxdb_1_and_those_like_it_take_user_and_password() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..10);
    let address = rig.testbed.collector.url("/write?db=logs");
    let more = "username = \"me\"\npassword = \"pass\"\ncompression = \"gzip\"";
    let running = rig.start(&config(&rig, &http_output("influxdb", &address, more)));
    wait_count(&rig.testbed.collector, 20);
    rig.wait_committed("app-logs", 0, 10);
    running.stop();
    let requests = rig.testbed.collector.requests("/write", 1);
    assert_eq!(requests[0].query.as_deref(), Some("db=logs"));
    assert_eq!(
        requests[0].header("authorization"),
        Some("Basic bWU6cGFzcw==")
    );
    assert_eq!(requests[0].header("content-encoding"), Some("gzip"));
}

#[test]
fn dataway_meets_every_fault_and_loses_nothing() {
    let rig = Rig::new();
    let address = rig
        .testbed
        .dataway
        .url(&format!("/ignored?token={}", Testbed::TOKEN));
    let output = http_output("dataway", &address, "");
    meets_every_fault(&rig, &rig.testbed.dataway, &output);
    let mut ids = BTreeSet::new();
    let requests = rig.testbed.dataway.requests("/v1/write/logging", 10_000);
    for request in &requests {
        assert_eq!(
            request.query.as_deref(),
            Some(&*format!("token={}", Testbed::TOKEN))
        );
        assert!(request.notes.is_empty(), "{:?}", request.notes);
        let header = |name| request.header(name).unwrap_or_default();
        assert_eq!(
            header("content-type"),
            "application/protobuf; proto=com.guance.Point"
        );
        if request.status == 200 {
            assert_eq!(header("x-points"), request.ids.to_string());
            assert!(header("x-pkg-id").starts_with("dk_"));
            assert!(ids.insert(header("x-pkg-id").to_owned()), "a package twice");
        }
    }
    assert!(
        requests
            .iter()
            .any(|request| request.header("content-encoding") == Some("gzip"))
    );
}

#[test]
fn dataway_is_told_the_index_and_gets_requests_cut_to_size() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..200);
    let more = format!(
        "token = \"{}\"\nbatch_bytes = \"4KiB\"\ncompression = \"none\"",
        Testbed::TOKEN
    );
    let output = http_output("dataway", &rig.testbed.dataway.url(""), &more);
    let config = config(&rig, &output).replace(
        "[inputs.kafkamq.custom.log_topic_map]",
        "[inputs.kafkamq.custom]\nstorage_index = \"app_logs\"\n\
         [inputs.kafkamq.custom.log_topic_map]",
    );
    let running = rig.start(&config);
    wait_count(&rig.testbed.dataway, 400);
    running.stop();
    for request in rig.testbed.dataway.requests("/v1/write/logging", 10_000) {
        assert!(request.body_bytes <= 4096, "{}", request.body_bytes);
        assert_eq!(request.header("x-storage-index-name"), Some("app_logs"));
    }
}

#[test]
fn a_point_that_no_request_can_hold_is_buried() {
    let rig = Rig::with_topics();
    let fault = Fault::new(FaultKind::TooLarge { bytes: 16 * 1024 });
    rig.testbed.dataway.set_faults([fault]);
    rig.produce(Route::CustomLog, 0..10);
    let huge = kafkamq_broker::Record {
        value: Some(vec![b'x'; 100_000].into()),
        ..Default::default()
    };
    rig.broker
        .append_records("app-logs", 0, std::slice::from_ref(&huge))
        .unwrap();
    rig.produce(Route::CustomLog, 10..20);
    let more = format!("token = \"{}\"\ncompression = \"none\"", Testbed::TOKEN);
    let output = http_output("dataway", &rig.testbed.dataway.url(""), &more);
    let running = rig.start(&config(&rig, &output));
    wait_count(&rig.testbed.dataway, 40);
    rig.wait_committed("app-logs", 0, 21);
    running.stop();
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].status), (10, Some(413)));
    assert_eq!(letters[0].value, huge.value);
}

#[test]
fn a_record_settles_only_when_all_its_outputs_have_it() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..50);
    let outputs = datakit_and_one_that_is_away(&rig, "");
    let metrics = http_output(
        "influxdb",
        &rig.testbed.dataway.url("/write"),
        "name = \"metrics\"\ncategories = [\"metric\"]",
    );
    let running = rig.start(&config(&rig, &format!("{outputs}{metrics}")));
    wait_count(&rig.testbed.datakit, 100);
    running.wait_status(|status| status.destinations.iter().any(|d| d.state != "up"));
    let committed = rig.broker.committed("group", "app-logs", 0).unwrap_or(0);
    assert_eq!(committed, 0, "one output does not have the records");
    rig.testbed.collector.set_faults([]);
    wait_count(&rig.testbed.collector, 100);
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 50);
    }
    running.stop();
    assert_eq!(
        rig.testbed.dataway.traffic().requests,
        0,
        "takes metrics only"
    );
}

/// The ids of the log records that `text` holds, in order.
pub(super) fn ids(text: &[u8]) -> Vec<RecordId> {
    text.split(|byte| *byte == b'\n')
        .filter_map(RecordId::find)
        .collect()
}

/// What a folder of files holds, in the order of their names.
pub(super) fn written(folder: &Path) -> Vec<u8> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn files_hold_every_point_once_their_folder_can_be_used() {
    for (encoding, extension) in [("line-protocol", "lp"), ("json", "ndjson")] {
        let rig = Rig::with_topics();
        rig.produce(Route::CustomLog, 0..100);
        let folder = rig.folder.path().join("points");
        std::fs::write(&folder, "in the way").unwrap();
        let output = format!(
            "[[output]]\nkind = \"file\"\npath = \"{}\"\nencoding = \"{encoding}\"\n\
             rotate_bytes = \"16KiB\"\nbatch_points = 10\n",
            folder.display()
        );
        let running = rig.start(&config(&rig, &output));
        let status = running.wait_status(|status| status.destinations.iter().any(|d| d.alarm));
        assert!(!status.is_ready());
        assert_eq!(rig.broker.committed("group", "app-logs", 0).unwrap_or(0), 0);
        std::fs::remove_file(&folder).unwrap();
        for partition in 0..2 {
            rig.wait_committed("app-logs", partition, 100);
        }
        running.stop();
        let logging = folder.join("logging");
        let ids: BTreeSet<_> = ids(&written(&logging)).into_iter().collect();
        assert_eq!(ids.len(), 200);
        let files = std::fs::read_dir(&logging).unwrap().count();
        assert!(files > 2, "{files} files");
        assert!(logging.join(format!("00000001.{extension}")).exists());
    }
}

pub(super) fn kafka_output(rig: &Rig, more: &str) -> String {
    format!(
        "[[output]]\nkind = \"kafka\"\naddrs = [\"{}\"]\ntopic = \"points-{{category}}\"\n\
         batch_wait = \"20ms\"\n{more}\n",
        rig.broker.bootstrap()
    )
}

pub(super) fn records(rig: &Rig, topic: &str) -> Vec<kafkamq_broker::Record> {
    (0..rig.broker.partitions(topic).unwrap_or(0))
        .flat_map(|partition| rig.broker.records(topic, partition).unwrap())
        .collect()
}

pub(super) fn record_ids(records: &[kafkamq_broker::Record]) -> Vec<RecordId> {
    records
        .iter()
        .filter_map(|record| RecordId::find(record.value.as_deref()?))
        .collect()
}

#[test]
fn a_topic_gets_every_point_when_its_brokers_confirm_it() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("points-logging", 3).unwrap();
    rig.produce(Route::CustomLog, 0..200);
    let produce = kafkamq_broker::ApiKey::Produce;
    for fault in [
        kafkamq_broker::Fault::Disconnect,
        kafkamq_broker::Fault::LoseResponse,
        kafkamq_broker::Fault::Error(kafkamq_broker::ResponseError::NotEnoughReplicas),
    ] {
        rig.broker.inject(produce, fault, 2);
    }
    let running = rig.start(&config(&rig, &kafka_output(&rig, "")));
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 200);
    }
    running.stop();
    let records = records(&rig, "points-logging");
    let ids = record_ids(&records);
    assert_eq!(ids.len(), 400, "lost or written twice");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 400);
    assert!(
        records[0]
            .value
            .as_deref()
            .unwrap()
            .starts_with(b"app-logs")
    );
}

#[test]
fn a_topic_gets_keys_and_headers_of_the_records_that_were_read() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("points-logging", 3).unwrap();
    let read: Vec<_> = (0..30)
        .map(|number| kafkamq_broker::Record {
            key: Some(format!("key-{}", number % 5).into()),
            value: Some(format!("text {number}").into()),
            headers: vec![
                ("origin".into(), Some(format!("host-{number}").into())),
                ("empty".into(), None),
            ],
            ..Default::default()
        })
        .collect();
    rig.broker.append_records("app-logs", 0, &read).unwrap();
    let output = kafka_output(&rig, "record_key = true\nrecord_headers = true");
    let running = rig.start(&config(&rig, &output));
    rig.wait_committed("app-logs", 0, 30);
    running.stop();
    let mut homes = BTreeSet::new();
    let mut seen = 0;
    for partition in 0..3 {
        for written in rig.broker.records("points-logging", partition).unwrap() {
            let value = String::from_utf8(written.value.unwrap().to_vec()).unwrap();
            let of = |record: &&kafkamq_broker::Record| {
                let text = String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
                value.contains(&format!("\"{text}\""))
            };
            let original = read.iter().find(of).unwrap();
            assert_eq!(written.key, original.key);
            assert_eq!(written.headers, original.headers);
            homes.insert((written.key.clone(), partition));
            seen += 1;
        }
    }
    assert_eq!(seen, 30);
    assert_eq!(homes.len(), 5, "a key has one partition: {homes:?}");
}

#[test]
fn a_point_too_large_for_a_topic_is_buried_and_the_others_go_on() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("points-logging", 1).unwrap();
    rig.produce(Route::CustomLog, 0..20);
    let huge = kafkamq_broker::Record {
        value: Some(vec![b'x'; 20_000].into()),
        ..Default::default()
    };
    rig.broker.append_records("app-logs", 0, &[huge]).unwrap();
    rig.produce(Route::CustomLog, 20..40);
    let more = "librdkafka = { \"message.max.bytes\" = \"10000\" }";
    let running = rig.start(&config(&rig, &kafka_output(&rig, more)));
    rig.wait_committed("app-logs", 0, 41);
    rig.wait_committed("app-logs", 1, 40);
    running.stop();
    assert_eq!(record_ids(&records(&rig, "points-logging")).len(), 80);
    let letters = rig.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].status), (20, None));
    assert!(letters[0].reason.starts_with("refused: "), "no HTTP here");
}

#[test]
fn a_topic_that_may_not_be_written_to_holds_and_raises_an_alarm() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("points-logging", 1).unwrap();
    rig.produce(Route::CustomLog, 0..20);
    let refused = kafkamq_broker::ResponseError::TopicAuthorizationFailed;
    let fault = kafkamq_broker::Fault::Error(refused);
    rig.broker
        .inject(kafkamq_broker::ApiKey::Produce, fault, usize::MAX);
    let running = rig.start(&config(&rig, &kafka_output(&rig, "")));
    running.wait_status(|status| status.destinations.iter().any(|d| d.alarm));
    assert_eq!(rig.broker.committed("group", "app-logs", 0).unwrap_or(0), 0);
    rig.broker.clear_faults();
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 20);
    }
    running.stop();
    let ids = record_ids(&records(&rig, "points-logging"));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 40);
    assert!(rig.dead_letters().is_empty());
}

/// The rig's configuration with dead letters in topics.
pub(super) fn with_dead_letter_topic(rig: &Rig, topic: &str) -> String {
    let folder = rig.folder.path().join("dead-letters");
    let files = format!("path = \"{}\"", folder.display());
    let config = rig.config("", "");
    assert!(config.contains(&files));
    config.replace(&files, &format!("kind = \"kafka\"\ntopic = \"{topic}\""))
}

#[test]
fn dead_letters_in_a_topic_are_the_records_with_their_story() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("app-logs.dlq", 1).unwrap();
    let poison = RecordId::new(Route::CustomLog, 0, 57);
    rig.testbed.datakit.set_faults([Fault::poison(poison)]);
    rig.produce(Route::CustomLog, 0..57);
    let mut faker = Faker::new(7, 1_700_000_000_000_000_000);
    let original = kafkamq_broker::Record {
        timestamp: 1_700_000_000_123,
        key: Some("a key".into()),
        value: Some(Sample::of(poison, &mut faker).value),
        headers: vec![
            ("trace".into(), Some("1".into())),
            ("trace".into(), None),
            ("empty".into(), Some("".into())),
        ],
        ..Default::default()
    };
    rig.broker
        .append_records("app-logs", 0, std::slice::from_ref(&original))
        .unwrap();
    rig.produce(Route::CustomLog, 58..100);
    let running = rig.start(&with_dead_letter_topic(&rig, "{topic}.dlq"));
    rig.wait_committed("app-logs", 0, 100);
    running.stop();
    let letters = rig.broker.records("app-logs.dlq", 0).unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (&letter.key, &letter.value),
        (&original.key, &original.value)
    );
    assert_eq!(letter.headers[..3], original.headers);
    let story: Vec<_> = letter.headers[3..]
        .iter()
        .map(|(name, value)| {
            let value = std::str::from_utf8(value.as_deref().unwrap()).unwrap();
            (name.strip_prefix("kafkamq-dlq-").unwrap(), value)
        })
        .filter(|(name, _)| *name != "reason")
        .collect();
    let expected = [
        ("topic", "app-logs"),
        ("partition", "0"),
        ("offset", "57"),
        ("stage", "deliver"),
        ("status", "400"),
        ("attempts", "1"),
        ("input", "test"),
        ("timestamp", "1700000000123"),
    ];
    assert_eq!(story, expected);
}

#[test]
fn a_record_stays_open_until_its_dead_letter_is_confirmed() {
    let rig = Rig::with_topics();
    rig.broker.create_topic("dlq", 1).unwrap();
    rig.testbed.datakit.set_faults([Fault::poison("record_id")]);
    let refused = kafkamq_broker::ResponseError::TopicAuthorizationFailed;
    let fault = kafkamq_broker::Fault::Error(refused);
    rig.broker
        .inject(kafkamq_broker::ApiKey::Produce, fault, usize::MAX);
    rig.produce(Route::CustomLog, 0..10);
    let running = rig.start(&with_dead_letter_topic(&rig, "dlq"));
    let deadline = Instant::now() + WAIT;
    while running.metrics.dead_letter_failures.get() < 2 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(20));
    }
    for partition in 0..2 {
        let committed = rig.broker.committed("group", "app-logs", partition);
        assert_eq!(committed.unwrap_or(0), 0);
    }
    rig.broker.clear_faults();
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 10);
    }
    running.stop();
    let letters = record_ids(&records(&rig, "dlq"));
    assert_eq!(letters.len(), 20, "lost or written twice");
    assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(rig.testbed.datakit.ledger().total(), 0);
}

#[test]
fn dead_letters_are_not_written_to_a_topic_that_is_read() {
    let rig = Rig::new();
    let settings = |topic| {
        let config = with_dead_letter_topic(&rig, topic);
        load(&Sources::new().text("test", config)).unwrap().settings
    };
    let start = |topic| {
        let settings = settings(topic);
        actix_rt::System::new().block_on(async move {
            let router = Router::start(settings.into(), Metrics::try_new().unwrap());
            match router {
                Ok(router) => {
                    router.shutdown().await;
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        })
    };
    for topic in ["{topic}", "app-logs"] {
        let error = start(topic).unwrap();
        assert!(error.contains("is read by an input"), "{error}");
    }
    assert_eq!(start("{topic}.dlq"), None);
}

#[test]
fn brokers_of_an_output_may_go_and_come_back() {
    let rig = Rig::with_topics();
    let other = Broker::start(BrokerOptions::default()).unwrap();
    other.create_topic("points-logging", 1).unwrap();
    let more = "librdkafka = { \"message.timeout.ms\" = \"1000\" }";
    let output = kafka_output(&rig, more).replace(&rig.broker.bootstrap(), &other.bootstrap());
    let running = rig.start(&config(&rig, &output));
    rig.produce(Route::CustomLog, 0..20);
    rig.wait_committed("app-logs", 0, 20);
    rig.wait_committed("app-logs", 1, 20);
    other.go_down().unwrap();
    rig.produce(Route::CustomLog, 20..40);
    let held = |d: &super::super::status::DestinationStatus| d.state == "backing_off";
    running.wait_status(|status| status.destinations.iter().any(held));
    assert_eq!(rig.broker.committed("group", "app-logs", 0), Some(20));
    other.come_up().unwrap();
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, 40);
    }
    running.stop();
    let ids = record_ids(&other.records("points-logging", 0).unwrap());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 80);
    assert!(rig.dead_letters().is_empty());
}

#[test]
fn what_is_sent_is_recorded_and_old_points_are_moved_where_that_is_asked_for() {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..20);
    let folder = rig.folder.path().join("recorder");
    let pipeline = rig.folder.path().join("pipeline");
    std::fs::create_dir_all(&pipeline).unwrap();
    std::fs::write(pipeline.join("old.p"), "add_key(time, 1600000000000000000)").unwrap();
    let tables = format!(
        "[recorder]\nenabled = true\nencoding = \"v1\"\npath = \"{}\"\ninputs = [\"kafkamq\"]\n",
        folder.display()
    );
    let config = rig
        .config("", &tables)
        .replace("\"app-logs\" = \"-\"", "\"app-logs\" = \"old.p\"")
        .replace("[pipeline]\n", "[pipeline]\nmax_age = \"1h\"\n");
    let running = rig.start(&config);
    wait_count(&rig.testbed.datakit, 40);
    running.stop();
    let recorded = written(&folder.join("logging"));
    assert_eq!(ids(&recorded).len(), 40);
    let text = String::from_utf8(recorded).unwrap();
    for line in text.lines() {
        assert!(line.contains("__orig_time=1600000000000000000i"), "{line}");
        assert!(!line.ends_with(" 1600000000000000000"), "{line}");
    }
}
