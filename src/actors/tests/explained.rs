//! What is explained is what happens.

use super::outputs::{config, written};
use super::*;
use crate::explain::Explainer;
use crate::kafka::TopicReader;
use kafkamq_record::TopicPartition;

#[test]
fn an_explained_request_holds_what_the_service_sends() {
    let rig = Rig::with_topics();
    let values = [
        r#"[{"level":"info","n":1},{"level":"debug","n":2}]"#,
        r#"[{"level":"bad","n":3},{"level":"info","n":4}]"#,
        "no array",
    ];
    for value in values {
        let record = kafkamq_broker::Record {
            timestamp: 1_700_000_000_000,
            key: Some("key".into()),
            value: Some(value.into()),
            headers: vec![("tenant".into(), Some("a".into()))],
            ..Default::default()
        };
        rig.broker.append_records("app-logs", 0, &[record]).unwrap();
    }
    let pipeline = rig.folder.path().join("pipeline");
    std::fs::create_dir(&pipeline).unwrap();
    let script = "z = 0\njson(_, level)\njson(_, n)\nif level == \"debug\" { drop() }\n\
        if level == \"bad\" { x = 1 / z }\n";
    std::fs::write(pipeline.join("app-logs.p"), script).unwrap();
    let folder = rig.folder.path().join("points");
    let output = format!(
        "[[output]]\nkind = \"file\"\npath = \"{}\"\nbatch_wait = \"20ms\"\n",
        folder.display()
    );
    let config = config(&rig, &output)
        .replace("\"app-logs\" = \"-\"", "\"app-logs\" = \"\"")
        .replace(
            "[inputs.kafkamq.custom.log_topic_map]",
            "[inputs.kafkamq.custom]\nspilt_json_body = true\npoint_time = \"record\"\n\
             record_fields = [\"key\", \"headers\"]\n[inputs.kafkamq.custom.log_topic_map]",
        )
        .replace(
            "[pipeline]",
            "[pipeline]\nglobal_tags = { site = \"here\" }",
        );
    let settings = load(&Sources::new().text("test", &config))
        .unwrap()
        .settings;
    let input = settings.inputs[0].clone();
    let explainer = Explainer::try_new(settings).unwrap();
    let reader = TopicReader::try_new(&input.cluster, "group", "app-logs", WAIT).unwrap();
    let source = TopicPartition::new("app-logs", 0);
    let mut told = Vec::new();
    for record in reader.read(0, 0..3).unwrap() {
        let way = explainer
            .explain(&input, &source, &record.unwrap(), true)
            .unwrap();
        assert_eq!((way.fate.outcome, way.requests.len()), ("sent", 1));
        let Some(crate::dead_letters::Payload::Text(body)) = way.requests[0].body.clone() else {
            panic!("the body is not text");
        };
        told.extend(body.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let running = rig.start(&config);
    rig.wait_committed("app-logs", 0, 3);
    running.stop();
    let sent = String::from_utf8(written(&folder.join("logging"))).unwrap();
    let sent: Vec<&str> = sent.lines().collect();
    assert_eq!(sent, told);
    assert_eq!(sent.len(), 4, "one of five is dropped: {sent:#?}");
    assert!(sent[0].contains("site=here") && sent[0].contains("kafka_key"));
}
