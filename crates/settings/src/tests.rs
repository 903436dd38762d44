use std::time::Duration;

use kafkamq_point::Category;
use kafkamq_point::codec::Encoding;

use super::*;

mod change;
mod derived;
mod documents;

/// The shape of an old agent's file: every block, every old key, comments as they come.
const OLD_FILE: &str = include_str!("tests/kafkamq.conf");

fn text(text: &str) -> Sources {
    Sources::new().text("kafkamq.toml", text)
}

fn accept(sources: &Sources) -> Loaded {
    load(sources).unwrap_or_else(|found| panic!("refused:\n{found}"))
}

fn refuse(toml: &str) -> String {
    match load(&text(toml)) {
        Ok(_) => panic!("accepted:\n{toml}"),
        Err(found) => found.to_string(),
    }
}

fn warnings(toml: &str) -> String {
    accept(&text(toml)).warnings.to_string()
}

/// A smallest input, with more keys after it.
fn input(rest: &str) -> String {
    format!("[[inputs.kafkamq]]\naddrs = [\"localhost:9092\"]\ngroup_id = \"g\"\n{rest}\n")
}

fn with_topic(rest: &str) -> String {
    input(&format!(
        "{rest}\n[inputs.kafkamq.custom.log_topic_map]\na = \"\"\n"
    ))
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let Loaded {
        settings, warnings, ..
    } = accept(&Sources::new());
    assert_eq!(warnings.0, []);
    assert!(settings.inputs.is_empty());
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:9530");
    assert_eq!(settings.limits.memory_bytes, 256 << 20);
    let [output] = settings.outputs.as_slice() else {
        panic!("one output")
    };
    let OutputKind::Datakit(http) = &output.kind else {
        panic!("datakit")
    };
    assert_eq!(http.endpoint.as_str(), "http://localhost:9529/");
}

#[test]
fn an_old_file_loads_unchanged() {
    let Loaded {
        settings, warnings, ..
    } = accept(&text(OLD_FILE));
    insta::assert_snapshot!("old_file_warnings", warnings.to_string());
    insta::assert_debug_snapshot!("old_file_inputs", settings.inputs);
    let topics: Vec<String> = settings.inputs[0]
        .subscriptions()
        .iter()
        .map(|entry| format!("{} {:?}", entry.topic, entry.route))
        .collect();
    insta::assert_snapshot!("old_file_subscriptions", topics.join("\n"));
}

#[test]
fn all_findings_come_at_once_with_their_places() {
    let wrong = r#"
[sever]
listen = "127.0.0.1:9530"

[server]
lisen = "0.0.0.0:1"
workers = "two"

[limits]
memory = "lots"
batch_records = 0

[output]
kind = "influx"

[[inputs.kafkamq]]
addrs = ["localhost", "kafka://b:1", "localhost:9092"]
assignor = "roundrobbin"
sampling_rate = 1.5
offsets = 7
librdkafka = { "enable.auto.commit" = true, "sasl.pasword" = 1, "plugin.library.paths" = "x" }

[inputs.kafkamq.jaeger]
dk_endpoint = "127.0.0.1:9529"
topic = ["a"]
topics = ["a"]
timeout = "soon"
retry_status = [500, "6xx"]

[inputs.kafkamq.custom.log_topic_map]
a = "a.p"
"b c" = "x.p"
"#;
    insta::assert_snapshot!(refuse(wrong));
}

#[test]
fn broken_syntax_names_the_place() {
    insta::assert_snapshot!(refuse(
        "[server]\nlisten = 127.0.0.1\n[limits\nmemory = 1\n"
    ));
}

#[test]
fn findings_serialise_with_their_places() {
    let found = load(&text("[server]\nlisen = 1\n")).err().unwrap();
    insta::assert_json_snapshot!(found);
}

#[test]
fn a_topic_has_one_route() {
    let two = input(
        "[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://localhost:9529\"\ntopics = [\"x\", \"spans\"]\n\
         [inputs.kafkamq.remote_handle]\nendpoint = \"http://localhost:1\"\ntopics = [\"spans\"]",
    );
    insta::assert_snapshot!(refuse(&two));
    let maps = input(
        "[inputs.kafkamq.custom]\nlog_topic_map = { a = \"\" }\nmetric_topic_map = { a = \"\" }",
    );
    assert!(refuse(&maps).contains("topic `a` belongs to two routes"));
    let list =
        input("[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://h:1\"\ntopics = [\"x\", \"x\"]");
    assert!(warnings(&list).contains("topic `x` is listed twice"));
}

#[test]
fn security_follows_the_table() {
    let security = |keys: &str| {
        let user = "tls_sasl_plain_username = \"u\"\ntls_sasl_plain_password = \"p\"\n";
        accept(&text(&with_topic(&format!("{user}{keys}"))))
            .settings
            .inputs[0]
            .cluster
            .security
            .clone()
    };
    for keys in [
        "",
        "tls_enable = false",
        "tls_security_protocol = \"SASL_SSL\"",
    ] {
        assert_eq!(security(keys), Security::default(), "{keys}");
    }
    let on = |protocol: &str| {
        let resolved = security(&format!(
            "tls_enable = true\ntls_security_protocol = \"{protocol}\""
        ));
        assert!(!resolved.insecure_skip_verify);
        (
            resolved.protocol.name(),
            resolved.sasl.map(|sasl| sasl.mechanism()),
        )
    };
    assert_eq!(on(""), ("SASL_PLAINTEXT", Some("PLAIN")));
    assert_eq!(on("PLAINTEXT"), ("SASL_PLAINTEXT", Some("PLAIN")));
    assert_eq!(on("SASL_PLAINTEXT"), ("SASL_PLAINTEXT", Some("PLAIN")));
    assert_eq!(on("sasl_ssl"), ("SASL_SSL", Some("PLAIN")));
    assert_eq!(on("SSL"), ("SASL_SSL", Some("PLAIN")));
    let bare = with_topic("tls_enable = true\ntls_security_protocol = \"SSL\"");
    let bare = accept(&text(&bare)).settings.inputs[0]
        .cluster
        .security
        .clone();
    assert_eq!((bare.protocol, bare.sasl), (Protocol::Ssl, None));
}

#[test]
fn security_mistakes_stop_the_start() {
    let missing_ca = with_topic(
        "tls_enable = true\ntls_security_protocol = \"SASL_SSL\"\ntls_sasl_mechanism = \"scram-sha-512\"\n\
         tls_sasl_plain_username = \"u\"\nssl_cert = \"/no/such/ca.pem\"\ntls_client_cert = \"/no/such.pem\"",
    );
    insta::assert_snapshot!(refuse(&missing_ca));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a certificate").unwrap();
    let broken = with_topic(&format!(
        "tls_enable = true\ntls_security_protocol = \"SSL\"\nssl_cert = {:?}",
        file.path()
    ));
    assert!(refuse(&broken).contains("holds no PEM certificate"));
    let oauth = with_topic(
        "tls_enable = true\ntls_security_protocol = \"SASL_SSL\"\ntls_sasl_mechanism = \"OAUTHBEARER\"",
    );
    assert!(refuse(&oauth).contains("OAUTHBEARER needs `oauth_token_url`"));
}

#[test]
fn insecure_choices_are_warnings() {
    let found = warnings(&with_topic(
        "tls_enable = true\ntls_sasl_plain_username = \"u\"\ntls_sasl_plain_password = \"hunter2\"",
    ));
    insta::assert_snapshot!(found);
    assert!(!found.contains("hunter2"));
}

#[test]
fn secrets_come_from_files_and_never_show() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\n").unwrap();
    let toml = with_topic(&format!(
        "tls_enable = true\ntls_security_protocol = \"SASL_SSL\"\ntls_sasl_plain_username = \"u\"\n\
         tls_sasl_plain_password_file = {:?}",
        file.path()
    ));
    let settings = accept(&text(&toml)).settings;
    let Some(Sasl::Plain { password, .. }) = &settings.inputs[0].cluster.security.sasl else {
        panic!("plain")
    };
    assert_eq!(password.expose(), "hunter2");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let both = toml.replace(
        "tls_enable",
        "tls_sasl_plain_password = \"hunter3\"\ntls_enable",
    );
    let found = refuse(&both);
    assert!(
        found.contains("both `tls_sasl_plain_password` and"),
        "{found}"
    );
    assert!(!found.contains("hunter3"), "{found}");
}

#[test]
fn findings_never_repeat_secrets() {
    let found = refuse(
        "[output]\nkind = \"dataway\"\ntoken = [\"hunter2\"]\nendpoint = \"ftp://u:hunter2@h\"\n\
         headers = { \"bad name\" = \"hunter2\", X = 1 }\npasword = \"hunter2\"\n\
         [server]\ntokens = { a = \"hunter2\" }\n",
    );
    assert!(!found.contains("hunter2"), "{found}");
    let broken = refuse("[output]\ntoken = \"hunter2\n");
    assert!(!broken.contains("hunter2"), "{broken}");
}

#[test]
fn credentials_in_addresses_become_headers() {
    let settings = accept(&text(
        "[[output]]\nkind = \"influxdb\"\nendpoint = \"https://u:hunter2@db/write?db=x\"\n\
         [[output]]\nkind = \"dataway\"\nendpoint = \"https://centre/?token=tkn_hunter2&a=b\"\n",
    ))
    .settings;
    assert!(!format!("{settings:?}").contains("hunter2"));
    let OutputKind::Influxdb(http) = &settings.outputs[0].kind else {
        panic!("influxdb")
    };
    assert_eq!(http.endpoint.as_str(), "https://db/write?db=x");
    assert_eq!(http.headers["authorization"], "Basic dTpodW50ZXIy");
    let OutputKind::Dataway(dataway) = &settings.outputs[1].kind else {
        panic!("dataway")
    };
    assert_eq!(dataway.http.endpoint.as_str(), "https://centre/?a=b");
    assert_eq!(dataway.token.expose(), "tkn_hunter2");
    assert_eq!(dataway.http.compression, Compression::Gzip);
    assert_eq!(settings.outputs[1].encoding, Encoding::Protobuf);
}

#[test]
fn backlogs_that_the_memory_does_not_hold_are_a_warning() {
    let output = "[[output]]\nkind = \"stdout\"\nrequired = false\nbacklog = \"20MiB\"\n";
    let fits = format!("{output}[limits]\nmemory = \"160MiB\"\n");
    assert_eq!(warnings(&fits), "");
    let found = warnings(&format!("{output}[limits]\nmemory = \"80MiB\"\n"));
    assert!(
        found.contains("backlogs of 20 MiB together, of which `memory` allows 10 MiB"),
        "{found}"
    );
}

#[test]
fn an_output_refuses_an_encoding_that_its_kind_does_not_take() {
    for (kind, encoding, message) in [
        (
            "influxdb\"\nendpoint = \"http://db",
            "json",
            "`influxdb` takes only `line-protocol`",
        ),
        (
            "file",
            "protobuf",
            "`file` takes only `line-protocol`, `json`, `pbjson`",
        ),
        (
            "stdout",
            "protobuf",
            "`stdout` takes only `line-protocol`, `json`, `pbjson`",
        ),
    ] {
        let found = refuse(&format!(
            "[output]\nkind = \"{kind}\"\nencoding = \"{encoding}\"\n"
        ));
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn files_add_inputs_and_override_keys() {
    let sources = Sources::new()
        .text(
            "a.toml",
            format!(
                "{}[server]\nlisten = \"127.0.0.1:1\"\nworkers = 3\n",
                with_topic("")
            ),
        )
        .text(
            "b.toml",
            format!(
                "[server]\nlisten = \"127.0.0.1:2\"\n{}",
                with_topic("name = \"b\"")
            ),
        );
    let settings = accept(&sources).settings;
    assert_eq!(settings.server.listen.port(), 2);
    assert_eq!(settings.server.workers, 3);
    let names: Vec<&str> = settings
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(names, ["g", "b"]);

    let broken = Sources::new().text("a.toml", with_topic("")).text(
        "b.toml",
        with_topic("grup_id = 1").replace("group_id = \"g\"\n", ""),
    );
    let found = load(&broken).err().unwrap().to_string();
    assert!(found.contains("b.toml:3:1"), "{found}");
    assert!(found.contains("did you mean `group_id`?"), "{found}");
}

#[test]
fn one_output_and_many_do_not_mix() {
    let one = "[output]\nkind = \"stdout\"\n";
    let many = "[[output]]\nkind = \"file\"\n";
    let mixed = Sources::new().text("a.toml", one).text("b.toml", many);
    let found = load(&mixed).err().unwrap().to_string();
    assert!(
        found.contains("one file says [output]") && found.contains("b.toml:1"),
        "{found}"
    );
    let settings = accept(
        &Sources::new()
            .text("a.toml", many)
            .text("b.toml", many.replace("file", "stdout")),
    );
    assert_eq!(settings.settings.outputs.len(), 2);
    accept(
        &Sources::new()
            .text("a.toml", "[output]\n")
            .text("b.toml", many),
    );
}

#[test]
fn the_environment_wins() {
    let sources = text(&with_topic("")).environment(environment(&[
        ("KAFKAMQ_SERVER__LISTEN", "127.0.0.1:7"),
        ("KAFKAMQ_SERVER__WORKERS", "4"),
        ("KAFKAMQ_PIPELINE__WATCH", "false"),
        ("KAFKAMQ_RECORDER__INPUTS", "a, b"),
        ("KAFKAMQ_OUTPUT__ENDPOINT", "http://agent:9529"),
        ("KAFKAMQ_INPUTS__0__GROUP_ID", "123"),
        ("KAFKAMQ_INPUTS__KAFKAMQ__0__OFFSETS", "-2"),
        ("KAFKAMQ_INPUTS__0__ADDRS", "a:1,b:2"),
        ("KAFKAMQ_INPUTS__0__CUSTOM__THREAD", "8"),
        // What Kubernetes sets for a service called kafkamq.
        ("KAFKAMQ_PORT", "tcp://10.0.0.1:9530"),
        ("KAFKAMQ_SERVICE_HOST", "10.0.0.1"),
    ]));
    let settings = accept(&sources).settings;
    assert_eq!(settings.server.listen.port(), 7);
    assert_eq!(settings.server.workers, 4);
    assert!(!settings.pipeline.watch);
    assert_eq!(settings.recorder.inputs, ["a", "b"]);
    let input = &settings.inputs[0];
    assert_eq!(input.group_id, "123");
    assert_eq!(input.offsets, Offset::Oldest);
    assert_eq!(input.cluster.addrs, ["a:1", "b:2"]);
    assert_eq!(input.custom.as_ref().unwrap().threads, 8);
}

#[test]
fn wrong_variables_are_named() {
    let sources = text(&with_topic("")).environment(environment(&[
        ("KAFKAMQ_SERVER__LISEN", "127.0.0.1:7"),
        ("KAFKAMQ_SERVER__WORKERS", "many"),
        ("KAFKAMQ_INPUTS__4__GROUP_ID", "x"),
    ]));
    insta::assert_snapshot!(load(&sources).err().unwrap().to_string());
}

#[test]
fn an_open_address_needs_a_token() {
    insta::assert_snapshot!(refuse("[server]\nlisten = \"0.0.0.0:9530\"\n"));
    let open = "[server]\nlisten = \"0.0.0.0:9530\"\ntokens = [\"t\"]\n";
    let token = |name: &str, role, secret: &str| Token {
        name: name.to_owned(),
        role,
        secret: Secret::new(secret),
    };
    assert_eq!(
        accept(&text(open)).settings.server.tokens,
        [token("token-1", Role::Configure, "t")]
    );
    let mixed = "[server]\nlisten = \"0.0.0.0:9530\"\n\
        tokens = [\"t\", { name = \"ops\", role = \"operate\", token = \"u\" }, { token = \"v\" }]\n";
    let loaded = accept(&text(mixed));
    assert_eq!(
        loaded.settings.server.tokens,
        [
            token("token-1", Role::Configure, "t"),
            token("ops", Role::Operate, "u"),
            token("token-3", Role::Configure, "v"),
        ]
    );
    let shown = loaded.document.masked();
    assert_eq!(
        shown["server"]["tokens"],
        serde_json::json!([MASK, { "name": "ops", "role": "operate", "token": MASK }, { "token": MASK }])
    );
    assert_eq!(loaded.document.unmask(shown), loaded.document.tree);
}

#[test]
fn tokens_are_complete_and_have_names_of_their_own() {
    insta::assert_snapshot!(refuse(
        "[[server.tokens]]\nname = \"a\"\n\
         [[server.tokens]]\nname = \"a\"\ntoken = \"hunter2\"\nrole = \"reader\"\n\
         [[server.tokens]]\nname = \"a\"\ntoken = \"hunter3\"\n\
         [[server.tokens]]\nenv = \"KAFKAMQ_TEST_NO_SUCH_VARIABLE\"\ntokn = \"hunter4\"\n\
         [[server.tokens]]\nenv = \"HOME\"\ntoken = \"hunter5\"\n",
    ));
}

#[test]
fn status_rules_prefer_single_codes() {
    let toml = input(
        "[inputs.kafkamq.remote_handle]\nendpoint = \"http://h:1\"\ntopics = [\"t\"]\n\
         retry_status = [\"5xx\"]\ndlq_status = [501]\ndrop_status = \"400,404\"",
    );
    let settings = accept(&text(&toml)).settings;
    let status = &settings.inputs[0]
        .remote_handle
        .as_ref()
        .unwrap()
        .http
        .delivery
        .status;
    assert_eq!(status.action(500), Some(StatusAction::Retry));
    assert_eq!(status.action(501), Some(StatusAction::DeadLetter));
    assert_eq!(status.action(404), Some(StatusAction::Drop));
    assert_eq!(status.action(401), None);
}

#[test]
fn topics_have_rules_of_their_own() {
    let toml = with_topic("limit_sec = 100\nnull_value = \"dlq\"")
        + "[inputs.kafkamq.topics.a]\nsampling_rate = 0.25\nlimit_sec = 0\n";
    let settings = accept(&text(&toml)).settings;
    let input = &settings.inputs[0];
    assert_eq!(input.flow("other").limit_records, Some(100));
    let own = input.flow("a");
    assert_eq!(own.sampling_rate, Some(0.25));
    assert_eq!(own.limit_records, None);
    assert_eq!(own.null_value, Some(ValuePolicy::DeadLetter));
}

#[test]
fn offsets_may_be_times() {
    let settings = accept(&text(&with_topic(
        "offsets = 2025-01-31T08:00:00Z\noffset_out_of_range = \"stop\"",
    )))
    .settings;
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_738_310_400);
    assert_eq!(settings.inputs[0].offsets, Offset::At(time));
    assert_eq!(settings.inputs[0].out_of_range, OutOfRange::Stop);
}

#[test]
fn addresses_join_paths_and_queries() {
    let toml = input(
        "[inputs.kafkamq.otel]\ndk_endpoint = \"http://h:1/base/?a=1\"\ntrace_topics = [\"t\"]",
    );
    let settings = accept(&text(&toml)).settings;
    let http = &settings.inputs[0].otel.as_ref().unwrap().http;
    assert_eq!(
        http.url("/v1/x?b=2").as_str(),
        "http://h:1/base/v1/x?a=1&b=2"
    );
    assert_eq!(http.url("").as_str(), "http://h:1/base/?a=1");
}
