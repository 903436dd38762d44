//! `kafkamq explain` against an embedded broker.

use kafkamq_broker::{Broker, BrokerOptions, Record};

use super::*;

#[test]
fn a_record_is_explained_and_nothing_is_touched() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("app", 1).unwrap();
    let record = Record {
        timestamp: 1_700_000_000_000,
        value: Some("hello".into()),
        ..Record::default()
    };
    broker
        .append_records("app", 0, &[record.clone(), record])
        .unwrap();
    let text = format!(
        "[output]\nendpoint = \"http://127.0.0.1:1\"\n\
         [[inputs.kafkamq]]\nname = \"shop\"\naddrs = [\"{}\"]\ngroup_id = \"g\"\n\
         [inputs.kafkamq.custom]\npoint_time = \"record\"\n\
         [inputs.kafkamq.custom.log_topic_map]\napp = \"app.p\"\n",
        broker.bootstrap()
    );
    let (_keep, config) = folder(&text, &[("app.p", "add_key(seen, true)")]);
    let explain = |more: &[&str]| {
        let fixed = [
            "explain",
            "--config",
            &config,
            "--url",
            "http://127.0.0.1:1",
        ];
        kafkamq(&[&fixed, more].concat())
    };
    let said = explain(&["app/0/1", "--body"]);
    assert_eq!((said.code, &*said.err), (FINE, ""));
    let shown = said.out.lines().filter(|line| !line.contains("refused"));
    insta::assert_snapshot!("explain", shown.collect::<Vec<_>>().join("\n"));

    let said = explain(&["app/0/0", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["record"]["value"]["text"], "hello");
    let way = &told["inputs"][0]["way"];
    assert_eq!(
        way["points"][0]["results"][0]["point"]["fields"]["seen"],
        true
    );
    assert_eq!(way["requests"][0]["method"], "POST");
    assert_eq!(told["inputs"][0]["progress"]["service"]["state"], "unknown");

    for (arguments, code, message) in [
        (
            &["app/0/2"][..],
            FAILED,
            "app/0 holds the offsets from 0 up to 2, and not 2",
        ),
        (&["app/1/0"], FAILED, "`app` has 1 partitions"),
        (
            &["other/0/0"],
            FAILED,
            "no input reads `other`: what is read is app",
        ),
        (&["app/0/0", "--input", "none"], INVALID, "no such input"),
        (&["app/0"], INVALID, "TOPIC/PARTITION/OFFSET"),
    ] {
        let said = explain(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(message), "{arguments:?}: {}", said.err);
    }
    assert_eq!(broker.committed("g", "app", 0), None);
    assert!(broker.members("g").is_empty());
}
