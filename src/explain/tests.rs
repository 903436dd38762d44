use super::*;
use kafkamq_conversion::scripts::shown;
use kafkamq_conversion::{RecordRules, ScriptTrial, TriedRecord};
use kafkamq_point::Category;
use kafkamq_settings::{Sources, load};

/// A configuration with one input; `more` belongs to it.
fn explainer(more: &str, script: &str) -> (Explainer, InputSettings) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.p"), script).unwrap();
    let text = format!(
        "[pipeline]\npath = {path:?}\nglobal_tags = {{ site = \"here\" }}\n\
         [limits]\nrecord_bytes = \"1KiB\"\nbatch_bytes = \"1MiB\"\n\
         [output]\nendpoint = \"http://user:secret@host:9529/?token=tkn_secret\"\n\
         headers = {{ \"X-Api-Key\" = \"secret\", \"X-Team\" = \"shop\" }}\n\
         [[inputs.kafkamq]]\nname = \"shop\"\naddrs = [\"b:1\"]\ngroup_id = \"g\"\n{more}",
        path = folder.path()
    );
    let settings = load(&Sources::new().text("test", text)).unwrap().settings;
    let input = settings.inputs[0].clone();
    (Explainer::try_new(settings).unwrap(), input)
}

fn record(value: Option<&str>) -> StoredRecord {
    StoredRecord {
        offset: 7,
        timestamp: Some(1_700_000_000_000),
        key: Some("key".into()),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        headers: vec![("tenant".into(), Some("a".into()))],
    }
}

fn way(more: &str, script: &str, topic: &str, value: Option<&str>) -> Way {
    let (explainer, input) = explainer(more, script);
    let source = TopicPartition::new(topic, 0);
    let way = explainer.explain(&input, &source, &record(value), true);
    way.unwrap()
}

const LOGS: &str = "[inputs.kafkamq.custom]\npoint_time = \"record\"\n\
    [inputs.kafkamq.custom.log_topic_map]\napp = \"app.p\"\n\"^team-\" = \"app.p\"\n";

#[test]
fn a_point_is_told_from_record_to_request() {
    let script = "json(_, level)\nadd_key(long_name, level)\n";
    let way = way(LOGS, script, "team-a", Some("{\"level\":\"info\"}"));
    assert_eq!(way.taken, Taken::Pattern("^team-".to_owned()));
    let text = format!(
        "{}{way}",
        RecordView::of(
            &TopicPartition::new("team-a", 0),
            &record(Some("{\"level\":\"info\"}")),
        )
    );
    assert!(!text.contains("secret"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_rules_correct_is_named() {
    let key = "k".repeat(300);
    let way = way(LOGS, &format!("add_key({key}, 1)"), "app", Some("x"));
    let result = &way.points[0].results[0];
    let about = |part: &str| result.corrections.iter().any(|found| found.contains(part));
    assert!(about("300 bytes") && about("site=here"), "{result:?}");
    assert!(result.point["fields"].get(&key).is_none(), "{result:?}");
}

#[test]
fn a_script_error_has_its_place_and_the_setting_decides() {
    let script = "z = 0\nx = 1 / z\n";
    let kept = way(LOGS, script, "app", Some("x"));
    let story = kept.points[0].script.as_ref().unwrap();
    let error = story.error.as_ref().unwrap();
    assert_eq!((story.status, error.line, error.column), ("failed", 2, 7));
    assert_eq!((kept.fate.outcome, kept.requests.len()), ("sent", 1));
    assert_eq!(kept.taken, Taken::Name("app".to_owned()));
    assert!(kept.to_string().contains("app.p:2:7: "), "{kept}");
}

#[test]
fn every_end_says_why() {
    let handle = "[inputs.kafkamq.remote_handle]\nendpoint = \"http://h/\"\ntopics = [\"frames\"]\n\
        header_check = true\n";
    let spans = "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://h\"\ntopics = [\"spans\"]\n\
        encoding = \"protobuf\"\n";
    let sampled = format!("sampling_rate = 0.000001\nsampling_key = \"key\"\n{LOGS}");
    let large = "x".repeat(1025);
    let cases = [
        (LOGS, "drop()", "app", Some("x"), "dropped", "nothing of it"),
        (LOGS, "", "app", None, "settled", "tombstone"),
        (
            LOGS,
            "",
            "app",
            Some(&*large),
            "dead_letter",
            "`limits.record_bytes` is 1024",
        ),
        (
            handle,
            "",
            "frames",
            Some("abcd"),
            "settled",
            "header check",
        ),
        (
            spans,
            "",
            "spans",
            Some("{"),
            "dead_letter",
            "cannot be converted",
        ),
        (&sampled, "", "app", Some("x"), "settled", "sampling by key"),
    ];
    for (more, script, topic, value, outcome, reason) in cases {
        let way = way(more, script, topic, value);
        let found = (
            way.fate.outcome,
            way.fate.reason.as_deref().unwrap_or_default(),
        );
        assert!(
            found.0 == outcome && found.1.contains(reason),
            "{topic}: {way}"
        );
        assert!(way.requests.is_empty(), "{topic}: {way}");
    }
}

#[test]
fn a_topic_that_is_not_read_is_refused() {
    let (explainer, input) = explainer(LOGS, "");
    let source = TopicPartition::new("other", 0);
    let refused = explainer.explain(&input, &source, &record(None), false);
    assert!(matches!(refused, Err(ExplainError::NotRead { .. })));
}

#[test]
fn a_trial_of_a_script_shows_the_points_that_the_flow_sends() {
    let topics = "[inputs.kafkamq.custom]\nsplit_json_body = true\n\
        [inputs.kafkamq.custom.log_topic_map]\nt = \"app.p\"\n";
    let script = "set_tag(a, \"b\")\nadd_key(long_name, 1)\nadd_key(dotted, 2)";
    let (explainer, input) = explainer(topics, script);
    let value = "[\"x\", {\"k\": 1}]";
    let source = TopicPartition::new("t", 0);
    let stored = StoredRecord {
        timestamp: None,
        key: None,
        headers: Vec::new(),
        ..record(Some(value))
    };
    let way = explainer.explain(&input, &source, &stored, true).unwrap();
    let results = way.points.iter().flat_map(|point| &point.results);
    let mut flow: Vec<_> = results.map(|result| result.point.clone()).collect();

    let rules = RecordRules::new(&explainer.settings, explainer.scripts.in_force());
    let route = explainer.routes.known_routes().pop().unwrap();
    let script = (Category::Logging, "app.p");
    let snapshot = explainer.scripts.snapshot();
    let mut trial = ScriptTrial::new(&rules, snapshot, script, "t", Some(&route));
    let tried = trial.run(
        TriedRecord {
            offset: stored.offset,
            value: value.as_bytes(),
            ..TriedRecord::default()
        },
        1_700_000_000_000_000_000,
    );
    let mut tried: Vec<_> = tried
        .points
        .iter()
        .map(|tried| shown(&tried.point))
        .collect();
    // Both read the clock.
    for point in tried.iter_mut().chain(&mut flow) {
        point["time"] = 0.into();
    }
    assert_eq!(tried.len(), 2);
    assert_eq!(tried, flow);
    assert_eq!(tried[0]["tags"]["site"], "here");
}
