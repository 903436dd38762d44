use std::path::Path;

use super::*;

const ENTRIES: Entries = Entries {
    run: |loaded, _| {
        anyhow::ensure!(
            loaded.settings.server.listen.port() != 1,
            "the port is taken"
        );
        Ok(())
    },
    demo: |options| Ok(options.records != Some(13)),
};

/// What a command said and how it ended.
struct Said {
    code: u8,
    out: String,
    err: String,
}

fn kafkamq(arguments: &[&str]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        out_color: false,
        err_color: false,
    };
    let arguments = std::iter::once("kafkamq")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let code = execute(arguments, &ENTRIES, &mut terminal);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code,
        out: text(out),
        err: text(err),
    }
}

/// A folder with a configuration and scripts.
fn folder(config: &str, scripts: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("pipeline");
    let head = format!("[pipeline]\npath = {pipeline:?}\n");
    let file = folder.path().join("kafkamq.toml");
    std::fs::write(&file, format!("{head}{config}")).unwrap();
    for (name, text) in scripts {
        let path = pipeline.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = file.display().to_string();
    (folder, file)
}

/// Findings name files in a folder whose name differs from run to run.
fn without(text: &str, folder: &tempfile::TempDir) -> String {
    text.replace(&folder.path().display().to_string(), "FOLDER")
}

const TOPICS: &str = "[[inputs.kafkamq]]\naddrs = [\"localhost:9092\"]\ngroup_id = \"g\"\n\
    [inputs.kafkamq.custom.log_topic_map]\napp = \"app.p\"\nplain = \"-\"\n\
    [inputs.kafkamq.custom.metric_topic_map]\nhosts = \"hosts.p\"\n";

#[test]
fn help_explains_every_command() {
    let mut all = kafkamq(&["--help"]).out;
    for command in [
        "run",
        "demo",
        "check",
        "pipeline",
        "explain",
        "dlq",
        "replay",
        "recording",
        "functions",
        "completions",
        "bench",
    ] {
        let said = kafkamq(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (FINE, ""));
        all.push_str(&format!("\n---- {command}\n{}", said.out));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &["rum"][..],
        &["run", "--confg", "x"],
        &[],
        &["pipeline"],
        &["demo", "--for", "x"],
    ] {
        let said = kafkamq(arguments);
        assert_eq!(
            (said.code, said.out.as_str()),
            (INVALID, ""),
            "{arguments:?}"
        );
        assert!(!said.err.is_empty());
    }
}

#[test]
fn run_starts_only_what_is_valid() {
    let (_keep, valid) = folder("", &[]);
    assert_eq!(kafkamq(&["run", "--config", &valid]).code, FINE);
    let (_keep, taken) = folder("[server]\nlisten = \"127.0.0.1:1\"\n", &[]);
    let said = kafkamq(&["run", "--config", &taken]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (FAILED, "error: the port is taken\n")
    );
    let (_keep, invalid) = folder("[server]\nlisen = \"127.0.0.1:1\"\n", &[]);
    let said = kafkamq(&["run", "--config", &invalid]);
    assert_eq!(said.code, INVALID);
    assert!(said.err.contains("did you mean `listen`?"));
}

#[test]
fn demo_fails_when_something_is_missing() {
    assert_eq!(
        kafkamq(&["demo", "--records", "12", "--for", "5"]).code,
        FINE
    );
    assert_eq!(kafkamq(&["demo", "--records", "13"]).code, FAILED);
}

#[test]
fn check_accepts_what_is_whole() {
    let scripts = [
        ("app.p", "add_key(x, 1)"),
        ("metric/hosts.p", "drop_key(message)"),
    ];
    let (_keep, config) = folder(TOPICS, &scripts);
    let said = kafkamq(&["check", "--config", &config]);
    assert_eq!(said.err, "");
    assert_eq!(
        said.out,
        "configuration is valid: 1 input, 2 scripts, 0 warnings\n"
    );
    assert_eq!(said.code, FINE);
}

#[test]
fn check_compiles_every_script_and_finds_missing_ones() {
    let scripts = [
        ("app.p", "add_key(x, 1\nif"),
        ("rum/other.p", "no_such_function()"),
    ];
    let (keep, config) = folder(TOPICS, &scripts);
    let said = kafkamq(&["check", "--config", &config]);
    // As with the DataKit agent, neither stops the start: points pass unchanged.
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            FINE,
            "configuration is valid: 1 input, 2 scripts, 3 warnings\n"
        )
    );
    insta::assert_snapshot!(without(&said.err, &keep));
    let strict = kafkamq(&["check", "--strict", "--config", &config]);
    assert_eq!((strict.code, strict.err), (FAILED, said.err));
    let said = kafkamq(&["check", "--json", "--config", &config]);
    assert_eq!((said.code, said.err.as_str()), (FINE, ""));
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        all["configuration"][0]["key"],
        "inputs.kafkamq[0].custom.metric_topic_map.hosts"
    );
    assert_eq!(all["scripts"][0]["script"], "app.p");
}

#[test]
fn run_refuses_what_check_calls_an_error_and_nothing_else() {
    let oauth = "\
        [[inputs.kafkamq]]\naddrs = [\"127.0.0.1:1\"]\ngroup_id = \"g\"\ntls_enable = true\n\
        tls_security_protocol = \"SASL_PLAINTEXT\"\ntls_sasl_mechanism = \"OAUTHBEARER\"\n\
        oauth_token_url = \"http://127.0.0.1:1/token\"\noauth_client_id = \"a\"\n\
        oauth_client_secret = \"b\"\n[inputs.kafkamq.custom.log_topic_map]\nt = \"-\"\n";
    let option = "\
        [[inputs.kafkamq]]\naddrs = [\"127.0.0.1:1\"]\ngroup_id = \"g\"\n\
        librdkafka = { \"fetch.min.bytes\" = \"many\" }\n\
        [inputs.kafkamq.custom.log_topic_map]\nt = \"-\"\n";
    let good = [("app.p", "add_key(x, 1)"), ("metric/hosts.p", "")];
    let broken = [("app.p", "grok(\n"), ("metric/hosts.p", "")];
    for (name, config, scripts, expected) in [
        ("a good one", TOPICS, good.as_slice(), FINE),
        ("a missing script", TOPICS, &good[..1], FINE),
        ("a broken script", TOPICS, &broken, FINE),
        ("a mechanism that is not there", oauth, &[], FAILED),
        ("an option that the client refuses", option, &[], FAILED),
        ("an unknown key", "[limits]\nmemry = 1\n", &[], INVALID),
    ] {
        let (_keep, config) = folder(config, scripts);
        let checked = kafkamq(&["check", "--config", &config]);
        let started = kafkamq(&["run", "--config", &config]);
        assert_eq!(checked.code, expected, "{name}: {}", checked.err);
        assert_eq!(started.code, expected, "{name}: {}", started.err);
    }
}

#[test]
fn no_configuration_at_all_is_an_error_that_names_the_places() {
    let found = Preflight::examine(&Sources::new(), &["kafkamq.toml", "/etc/kafkamq.toml"]);
    assert_eq!(found.verdict(), Verdict::Invalid);
    let said = found.found.to_string();
    assert!(said.contains("kafkamq.toml or /etc/kafkamq.toml"), "{said}");
    assert!(said.contains("--config"), "{said}");
}

#[test]
fn points_that_no_output_takes_or_that_go_elsewhere_than_the_rest_are_warned_of() {
    let head = "[[inputs.kafkamq]]\naddrs = [\"127.0.0.1:1\"]\ngroup_id = \"g\"\n";
    let profiles =
        format!("{head}[inputs.kafkamq.custom]\nprofiling_topic_map = {{ p = \"-\" }}\n");
    let other = format!(
        "{head}[inputs.kafkamq.otel]\ndk_endpoint = \"http://collector:9529\"\ntrace_topics = [\"a\"]\n\
         [inputs.kafkamq.custom.log_topic_map]\nt = \"-\"\n"
    );
    for (config, expected) in [
        (&profiles, "would become a dead letter"),
        (&other, "but other records go to http://collector:9529/"),
    ] {
        let (_keep, config) = folder(config, &[]);
        let said = kafkamq(&["check", "--config", &config]);
        assert_eq!(said.code, FINE, "{}", said.err);
        assert!(said.err.contains(expected), "{}", said.err);
    }
}

#[test]
fn check_shows_scripts_even_when_the_configuration_is_wrong() {
    let (_keep, config) = folder("[limits]\nmemory = 1\n", &[("app.p", "if {")]);
    let said = kafkamq(&["check", "--config", &config]);
    assert_eq!(said.code, INVALID);
    assert!(
        said.err.contains("at least 16MiB") && said.err.contains("app.p:1"),
        "{}",
        said.err
    );
}

#[test]
fn pipeline_shows_what_becomes_of_a_text() {
    let script = "add_key(level, \"warn\")\nset_tag(app, \"shop\")\ndrop_key(message)\n";
    let (_keep, config) = folder(
        "global_tags = { site = \"here\" }\n",
        &[("app.p", script), ("metric/m.p", "add_key(x, 2.5)")],
    );
    let said = kafkamq(&[
        "pipeline", "--config", &config, "-P", "app.p", "-T", "hello",
    ]);
    assert_eq!((said.code, said.err.as_str()), (FINE, ""));
    let shown: serde_json::Value = serde_json::Deserializer::from_str(&said.out)
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(shown["measurement"], "app");
    assert_eq!(shown["tags"]["app"], "shop");
    // As the flow builds and finishes points.
    assert_eq!(
        (&shown["tags"]["type"], &shown["tags"]["site"]),
        (&"kafka".into(), &"here".into())
    );
    assert_eq!(shown["fields"]["message_len"], 5);
    assert_eq!(shown["fields"]["level"], "warn");
    assert!(shown["fields"].get("message").is_none() && shown.get("date").is_none());
    let said = kafkamq(&[
        "pipeline", "--config", &config, "-P", "m.p", "-C", "M", "-T", "1", "--date",
    ]);
    assert!(
        said.out.contains("\"date\": \"20") && said.out.contains("\"x\": 2.5"),
        "{}",
        said.out
    );
}

#[test]
fn pipeline_reads_scripts_and_texts_from_files() {
    let (keep, _) = folder("", &[("app.p", "add_key(y, 1)")]);
    let script = keep.path().join("pipeline/app.p").display().to_string();
    let text = keep.path().join("text").display().to_string();
    std::fs::write(&text, "line 1\nline 2\n").unwrap();
    let said = kafkamq(&["pipeline", "-P", &script, "-F", &text]);
    assert!(
        said.out.contains(r#""message": "line 1\nline 2""#),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn pipeline_reports_what_is_wrong() {
    let (_keep, config) = folder("", &[("bad.p", "add_key(")]);
    let broken = kafkamq(&["pipeline", "--config", &config, "-P", "bad.p", "-T", "x"]);
    assert_eq!(broken.code, FAILED);
    assert!(broken.err.contains("bad.p:1"), "{}", broken.err);
    let absent = kafkamq(&["pipeline", "--config", &config, "-P", "no.p", "-T", "x"]);
    assert_eq!(absent.code, FAILED);
    assert_eq!(
        absent.err,
        "error: there is neither a file nor a logging script `no.p`\n"
    );
    let category = kafkamq(&["pipeline", "-P", "x", "-C", "logs", "-T", "x"]);
    assert_eq!(
        (category.code, category.err.as_str()),
        (INVALID, "error: unknown category `logs`\n")
    );
}

#[test]
fn pipeline_answers_cases_line_by_line() {
    let (keep, _) = folder("", &[]);
    let cases = keep.path().join("cases.jsonl");
    std::fs::write(
        &cases,
        "{\"id\": 1, \"script\": \"add_key(a, 1)\"}\n{\"id\": 2, \"script\": \"if {\"}\n",
    )
    .unwrap();
    let said = kafkamq(&["pipeline", "--cases", &cases.display().to_string()]);
    let answers: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["point"]["fields"]["a"]["int"], "1");
    assert!(answers[1]["check_error"].is_string());
    assert_eq!(said.code, FINE);
}

#[test]
fn functions_explains_and_suggests() {
    let list = kafkamq(&["functions"]).out;
    assert!(list.contains("add_key"), "{list}");
    let one = kafkamq(&["functions", "add_key"]);
    assert!(
        one.code == FINE && one.out.contains("add_key("),
        "{}",
        one.out
    );
    let wrong = kafkamq(&["functions", "add_kye"]);
    assert_eq!(wrong.code, FAILED);
    assert_eq!(
        wrong.err,
        "error: there is no function `add_kye`, did you mean `add_key`?\n"
    );
}

#[test]
fn completions_name_the_commands() {
    let said = kafkamq(&["completions", "bash"]);
    assert!(said.code == FINE && said.out.contains("functions"));
}

#[test]
fn sample_scripts_do_what_their_fixtures_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/pipelines");
    let contents = kafkamq_pipeline::manager::read_folder(&root);
    let mut samples = 0;
    for (name, text) in contents.scripts.values().flatten() {
        let fixture = root.join("fixtures").join(name).with_extension("jsonl");
        let lines = std::fs::read_to_string(&fixture).unwrap_or_else(|_| panic!("{name} has none"));
        let mut cases = Vec::new();
        let mut expected = Vec::new();
        for line in lines.lines() {
            let mut case: serde_json::Value = serde_json::from_str(line).unwrap();
            let point = case.as_object_mut().unwrap().remove("point").unwrap();
            expected.push(serde_json::json!({ "id": case["id"], "point": point }));
            case["script"] = text.as_str().into();
            cases.push(case.to_string());
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cases.jsonl");
        std::fs::write(&file, cases.join("\n")).unwrap();
        let said = kafkamq(&["pipeline", "--cases", &file.display().to_string()]);
        let found: Vec<serde_json::Value> = said
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found, expected, "{name}");
        samples += 1;
    }
    assert_eq!(samples, 3);
}

mod connect;
mod dlq;
mod explain;
mod recording;
mod replay;
