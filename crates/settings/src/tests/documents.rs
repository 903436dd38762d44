//! Documents as a whole: shown, patched, and read from files, folders and the environment.

use super::*;

#[test]
fn a_document_is_shown_masked_and_loads_again() {
    let toml = with_topic(
        "tls_enable = true\ntls_security_protocol = \"SASL_SSL\"\ntls_sasl_plain_username = \"u\"\n\
         tls_sasl_plain_password = \"hunter2\"",
    ) + "[output]\nendpoint = \"http://u:hunter2@h/?token=hunter2\"\nheaders = { X = \"hunter2\" }\n";
    let first = accept(&text(&toml));
    let shown = first.document.masked();
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    assert!(shown.to_string().contains("SASL_SSL"));

    // What was shown comes back with one change; masks stand for what was there.
    let mut changed = shown;
    changed["limits"] = serde_json::json!({ "memory": "64MiB" });
    let again = accept(&Sources::new().json(first.document.unmask(changed.clone())));
    assert_eq!(again.settings.limits.memory_bytes, 64 << 20);
    assert_eq!(again.settings.inputs, first.settings.inputs);
    assert_eq!(again.settings.outputs, first.settings.outputs);

    // Without the old document a mask is a mistake, not a password.
    let found = load(&Sources::new().json(changed))
        .err()
        .unwrap()
        .to_string();
    assert!(found.contains("mask"), "{found}");
}

#[test]
fn a_merge_patch_changes_and_removes() {
    let first = accept(&text(&with_topic("limit_sec = 5")));
    let patch = serde_json::json!({ "limits": { "memory": "64MiB" }, "inputs": null });
    let patched = first.document.patched(&patch);
    let settings = accept(&Sources::new().json(patched)).settings;
    assert!(settings.inputs.is_empty());
    assert_eq!(settings.limits.memory_bytes, 64 << 20);
}

#[test]
fn folders_and_missing_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.conf"), with_topic("name = \"b\"")).unwrap();
    std::fs::write(folder.path().join("a.toml"), with_topic("name = \"a\"")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "ignored").unwrap();
    let settings = accept(&Sources::new().file(folder.path())).settings;
    let names: Vec<&str> = settings
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let found = load(&Sources::new().file("/no/such/file.toml"))
        .err()
        .unwrap()
        .to_string();
    assert!(found.contains("cannot read /no/such/file.toml"), "{found}");
}

#[test]
fn old_keys_win_over_the_map() {
    let toml = input(
        "[inputs.kafkamq.custom]\nlog_topics = [\"a\", \"b\"]\nlog_pl = \"old.p\"\nlog_topic_map = { a = \"new.p\" }\n\
         spilt_json_body = true\nspilt_topic_map = { b = false }",
    );
    let settings = accept(&text(&toml)).settings;
    let custom = settings.inputs[0].custom.as_ref().unwrap();
    let topics: Vec<_> = custom
        .topics
        .iter()
        .map(|topic| {
            (
                topic.topic.as_str(),
                topic.category,
                topic.script.as_str(),
                topic.split.is_some(),
            )
        })
        .collect();
    assert_eq!(
        topics,
        [
            ("a", Category::Logging, "old.p", true),
            ("b", Category::Logging, "old.p", false)
        ]
    );
}

#[test]
fn a_begin_may_be_how_long_ago() {
    let offsets = |value: &str| {
        let toml = with_topic(&format!("offsets = {value}\noffset_out_of_range = {value}"));
        let input = accept(&text(&toml)).settings.inputs.remove(0);
        (input.offsets, input.out_of_range)
    };
    let hour = Offset::Ago(Duration::from_secs(3600));
    assert_eq!(offsets("\"1h ago\""), (hour, OutOfRange::Resume(hour)));
    let refused = refuse(&with_topic("offsets = \"long ago\""));
    assert!(refused.contains("\"1h ago\""), "{refused}");
}

#[test]
fn skywalking_topics_are_known_by_their_ends() {
    let topics = |keys: &str, list: &str| {
        let toml = input(&format!(
            "[inputs.kafkamq.skywalking]\ndk_endpoint = \"http://localhost:1\"\n{keys}\ntopics = [{list}]"
        ));
        let route = accept(&text(&toml)).settings.inputs.remove(0).skywalking;
        let topics = route.unwrap().topics.into_iter();
        topics
            .map(|topic| {
                format!(
                    "{} {:?} {}",
                    topic.topic,
                    topic.kind,
                    topic.path.unwrap_or_default()
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let all = r#""skywalking-segments", "west.skywalking-metrics", "skywalking-profilings", "skywalking-managements",
        "skywalking-meters", "skywalking-logging", "skywalking-logs", "skywalking-logs-json", "^mirror-.*skywalking-segments$""#;
    insta::assert_snapshot!(topics("namespace = \"eu\"", all), @r"
    eu-skywalking-segments Segments /v3/trace
    eu-west.skywalking-metrics Metrics /v3/metric
    eu-skywalking-profilings Profilings /v3/profiling
    eu-skywalking-managements Managements 
    eu-skywalking-meters Meters 
    eu-skywalking-logging Logs /v3/logging
    eu-skywalking-logs Logs /v3/logging
    eu-skywalking-logs-json LogsJson /v3/logging
    ^mirror-.*skywalking-segments$ Segments /v3/trace
    ");
    insta::assert_snapshot!(topics("target = \"oap\"\nmeters = \"points\"", all), @r"
    skywalking-segments Segments /v3/segment
    west.skywalking-metrics Metrics 
    skywalking-profilings Profilings 
    skywalking-managements Managements /v3/management
    skywalking-meters MetersToPoints 
    skywalking-logging Logs /v3/logs
    skywalking-logs Logs /v3/logs
    skywalking-logs-json LogsJson /v3/logs
    ^mirror-.*skywalking-segments$ Segments /v3/segment
    ");
    let own = "topic_paths = { \"spans\" = \"/v3/trace\", \"skywalking-meters\" = \"/meters\" }";
    insta::assert_snapshot!(topics(own, r#""spans", "skywalking-meters""#), @r"
    spans Other /v3/trace
    skywalking-meters Meters /meters
    ");
    let unknown = input(
        "[inputs.kafkamq.skywalking]\ndk_endpoint = \"http://localhost:1\"\ntopics = [\"spans\"]",
    );
    assert!(refuse(&unknown).contains("nothing says which path the records of `spans` go to"));
}

#[test]
fn patterns_are_checked_and_obey_the_rules_of_topics() {
    let broken = input(
        "exclude_topics = [\"a(\"]\n[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://localhost:1\"\ntopics = [\"^b[\"]",
    );
    let refused = refuse(&broken);
    for pattern in ["`a(`", "`^b[`"] {
        assert!(
            refused.contains(&format!("{pattern} is not a regular expression")),
            "{refused}"
        );
    }
    let toml = input(
        "[inputs.kafkamq.topics.\"app-1\"]\nlimit_sec = 7\n[inputs.kafkamq.topics.\"^app-\"]\nlimit_sec = 8\n\
         [inputs.kafkamq.custom.log_topic_map]\n\"^app-\" = \"x.p\"",
    );
    let loaded = accept(&text(&toml));
    assert_eq!(loaded.warnings.0, []);
    let limit = |topic| loaded.settings.inputs[0].flow(topic).limit_records;
    assert_eq!(
        (limit("app-1"), limit("app-2"), limit("web")),
        (Some(7), Some(8), None)
    );
    assert_eq!(loaded.settings.inputs[0].selection().patterns.len(), 1);
}

#[test]
fn lanes_have_requests_to_run_in() {
    let concurrency = |keys: &str| {
        let toml = input(&format!(
            "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://localhost:1\"\ntopics = [\"a\"]\n{keys}"
        ));
        let route = accept(&text(&toml))
            .settings
            .inputs
            .remove(0)
            .jaeger
            .unwrap();
        (route.threads, route.http.concurrency)
    };
    assert_eq!(concurrency(""), (0, 16));
    assert_eq!(concurrency("thread = 64"), (64, 64));
    assert_eq!(concurrency("thread = 64\nconcurrency = 8"), (64, 8));
}

#[test]
fn every_category_has_a_map_and_unknown_record_fields_are_named() {
    let maps = [
        "log",
        "metric",
        "rum",
        "object",
        "custom_object",
        "network",
        "keyevent",
        "security",
        "tracing",
        "profiling",
    ];
    let lines: Vec<_> = maps
        .iter()
        .map(|name| format!("{name}_topic_map = {{ \"{name}\" = \"\" }}"))
        .collect();
    let toml = input(&format!("[inputs.kafkamq.custom]\n{}", lines.join("\n")));
    let custom = accept(&text(&toml))
        .settings
        .inputs
        .remove(0)
        .custom
        .unwrap();
    let categories: std::collections::BTreeSet<_> = custom
        .topics
        .iter()
        .map(|topic| topic.category.name())
        .collect();
    assert_eq!(categories.len(), maps.len());
    let wrong =
        input("[inputs.kafkamq.custom]\nrecord_fields = [\"value\"]\nlog_topic_map = { a = \"\" }");
    assert!(refuse(&wrong).contains("`value` is none of `key`, `headers`, `timestamp`"));
}

#[test]
fn a_variable_with_one_underscore_is_not_ignored_in_silence() {
    let variables = environment(&[
        ("KAFKAMQ_SERVER_LISTEN", "0.0.0.0:1"),
        ("KAFKAMQ_DEAD_LETTER_PATH", "x"),
        // What Kubernetes sets for a service of that name, and our own.
        ("KAFKAMQ_SERVICE_HOST", "10.0.0.1"),
        ("KAFKAMQ_PORT", "tcp://10.0.0.1:9530"),
        ("KAFKAMQ_CONFIG", "a.toml"),
    ]);
    let loaded = accept(&Sources::new().environment(variables));
    let warnings = loaded.warnings.to_string();
    assert_eq!(loaded.warnings.0.len(), 2, "{warnings}");
    assert!(warnings.contains("KAFKAMQ_SERVER__LISTEN"), "{warnings}");
    assert!(warnings.contains("KAFKAMQ_DEAD_LETTER__PATH"), "{warnings}");
}

#[test]
fn mistakes_of_syntax_say_what_to_write() {
    let said = |text: &str| {
        let found = refuse(text);
        let line = |start: &str| {
            let line = found
                .lines()
                .find_map(|line| line.trim().strip_prefix(start));
            line.unwrap_or_default().to_owned()
        };
        assert_eq!(found.matches("error: ").count(), 1, "{found}");
        assert!(found.contains("kafkamq.toml:"), "{found}");
        format!("{} | {}", line("error: "), line("= help: "))
    };
    let cases = [
        "[server]\nhosts = [\"a\" \"b\"]\n",
        "[server]\nlisten = localhost:9530\n",
        "[server]\nlisten = 0.0.0.0:9530\n",
        "[output]\ntoken = tkn_hunter2\n",
        "[server]\nhosts = [\"a\"],\n",
        "[server]\nlisten = \"localhost\nworkers = 1\n",
        "[[inputs.kafkamq]\ngroup_id = \"g\"\n",
        "[server]\nlisten: \"a\"\n",
        "[server]\nworkers = 1\nworkers = 2\n",
        "{\"server\": 1}\n",
        "[server]\nlisten = \u{201c}a\u{201d}\n",
        "[server]\nhosts = [\"a\"\n",
    ];
    insta::assert_snapshot!(cases.map(said).join("\n"));
}

#[test]
fn a_file_that_is_not_text_or_far_too_large_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, b"[server]\n# \xce\xd2 \xff\n").unwrap();
    let found = load(&Sources::new().file(&file)).err().unwrap().to_string();
    assert!(
        found.contains("a.toml:2:3") && found.contains("is not UTF-8"),
        "{found}"
    );
    let large = std::fs::File::create(&file).unwrap();
    large.set_len(60 << 20).unwrap();
    let found = load(&Sources::new().file(&file)).err().unwrap().to_string();
    assert!(found.contains("more than any configuration"), "{found}");
}
