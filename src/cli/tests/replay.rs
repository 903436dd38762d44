//! `kafkamq replay` from an embedded broker to a receiver.

use kafkamq_broker::{Broker, BrokerOptions, Record};
use kafkamq_testbed::Testbed;
use kafkamq_testbed::receiver::HandleOptions;

use super::*;

#[test]
fn a_range_is_replayed_and_counted() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("app", 1).unwrap();
    let testbed = Testbed::start(HandleOptions::default()).unwrap();
    let records: Vec<_> = (0..20)
        .map(|number| Record {
            timestamp: 1_700_000_000_000 + number,
            value: Some(format!("{{\"n\":{number}}}").into()),
            ..Record::default()
        })
        .collect();
    broker.append_records("app", 0, &records).unwrap();
    let text = format!(
        "[output]\nendpoint = \"http://{}\"\n[dead_letter]\nkind = \"none\"\n\
         [[inputs.kafkamq]]\nname = \"shop\"\naddrs = [\"{}\"]\ngroup_id = \"g\"\n\
         [inputs.kafkamq.custom.log_topic_map]\napp = \"app.p\"\n",
        testbed.datakit.addr(),
        broker.bootstrap()
    );
    let script = "json(_, n)\nif n < 8 { drop() }";
    let (_keep, config) = folder(&text, &[("app.p", script)]);
    let replay = |more: &[&str]| {
        let fixed = ["replay", "--config", &config, "--topic"];
        kafkamq(&[&fixed, more].concat())
    };
    let range = [
        "app",
        "--from",
        "1700000000005",
        "--to",
        "2023-11-14T22:13:20.015Z",
    ];
    let dry = replay(&[&range[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, &*dry.out), (FINE, ""));
    assert_eq!(dry.err, "app/0: offsets 5 up to 15, 10 in all\n");

    let said = replay(&[&range[..], &["--rate", "1000"]].concat());
    assert_eq!(said.code, FINE, "{}", said.err);
    insta::assert_snapshot!("replay", said.out);
    let said = replay(&[&range[..], &["--json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["partitions"][0]["settled"], 10);
    assert_eq!(told["report"]["complete"], true);
    assert_eq!(broker.committed("g", "app", 0), None);

    let nothing = replay(&["app", "--from", "-1h"]);
    assert_eq!(
        (nothing.code, &*nothing.err),
        (FINE, "no records of this time\n")
    );
    for (arguments, code, message) in [
        (&["app", "--from", "soon"][..], INVALID, "is not a time"),
        (
            &["app", "--from", "-1h", "--to", "-2h"],
            INVALID,
            "not before",
        ),
        (
            &["none", "--from", "-1h"],
            INVALID,
            "no such input reads `none`",
        ),
        (&["app", "--from", "0", "--rate", "0"], INVALID, "--rate"),
    ] {
        let said = replay(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(message), "{arguments:?}: {}", said.err);
    }
}
