//! `check --connect` against what listens on the loopback, and what does not.

use kafkamq_broker::{Broker, BrokerOptions};
use kafkamq_testbed::Testbed;
use kafkamq_testbed::receiver::HandleOptions;

use super::*;

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A configuration whose dead letters stay in its own folder.
fn configuration(broker: &str, datakit: &str) -> (tempfile::TempDir, String) {
    let (keep, file) = folder("", &[]);
    let dead_letters = keep.path().join("dead-letters");
    let text = format!(
        "[dead_letter]\npath = {dead_letters:?}\n\
         [output]\nendpoint = \"http://{datakit}?token=tkn_secret\"\n\
         [[inputs.kafkamq]]\nname = \"shop\"\naddrs = [\"{broker}\"]\ngroup_id = \"g\"\n\
         [inputs.kafkamq.custom.log_topic_map]\napp = \"-\"\nlater = \"-\"\n"
    );
    let mut config = std::fs::read_to_string(&file).unwrap();
    config.push_str(&text);
    std::fs::write(&file, config).unwrap();
    (keep, file)
}

#[test]
fn everything_reachable_is_listed_and_a_missing_topic_is_a_warning() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("app", 1).unwrap();
    let testbed = Testbed::start(HandleOptions::default()).unwrap();
    let (address, datakit) = (broker.bootstrap(), testbed.datakit.addr().to_string());
    let (keep, config) = configuration(&address, &datakit);
    let said = kafkamq(&["check", "--connect", "--config", &config]);
    assert_eq!((said.code, said.err.as_str()), (FINE, ""), "{}", said.out);
    let shown = without(&said.out, &keep)
        .replace(&address, "BROKER")
        .replace(&datakit, "DATAKIT");
    insta::assert_snapshot!(shown);
}

#[test]
fn what_cannot_be_reached_fails_and_names_the_layer() {
    let (broker, datakit) = (free_address(), free_address());
    let (_keep, config) = configuration(&broker, &datakit);
    let said = kafkamq(&["check", "--connect", "--config", &config]);
    assert_eq!(said.code, FAILED);
    assert_eq!(said.err, "2 errors and 0 warnings\n");
    for failed in [
        format!("failed  input `shop`: broker {broker}: tcp: "),
        format!("http://{datakit}/?token=***: tcp: "),
    ] {
        assert!(said.out.contains(&failed), "{failed}\n{}", said.out);
    }
    assert!(!said.out.contains("tkn_secret"));
    // Nobody asked for it.
    assert_eq!(kafkamq(&["check", "--config", &config]).code, FINE);
}

#[test]
fn connections_are_part_of_the_document() {
    let (_keep, config) = configuration("nowhere.invalid:9092", &free_address());
    let said = kafkamq(&["check", "--connect", "--json", "--config", &config]);
    assert_eq!((said.code, said.err.as_str()), (FAILED, ""));
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let layers: Vec<_> = all["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["status"].as_str(), one["layer"].as_str()))
        .collect();
    assert_eq!(
        layers,
        [
            (Some("failed"), Some("dns")),
            (Some("failed"), Some("tcp")),
            (Some("ok"), None)
        ]
    );
    let said = kafkamq(&["check", "--json", "--config", &config]);
    assert!(!said.out.contains("connections"));
}

#[test]
fn an_invalid_configuration_is_not_dialled() {
    let (_keep, config) = folder("[limits]\nmemory = 1\n", &[]);
    let said = kafkamq(&["check", "--connect", "--config", &config]);
    assert_eq!((said.code, said.out.as_str()), (INVALID, ""));
}
