//! Each resource through the whole interface.

use actix_web::body::MessageBody;

use super::*;
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterOptions, DeadLetterStore};
use kafkamq_record::{RecordBatchBuilder, TopicPartition};

const INPUT: &str = "[[inputs.kafkamq]]\nname = \"orders\"\naddrs = [\"127.0.0.1:1\"]\ngroup_id = \"g\"\n\
    [inputs.kafkamq.otel]\ndk_endpoint = \"http://127.0.0.1:1\"\ntrace_topics = [\"spans\"]\n";

/// Asks for anything, with JSON if there is a body.
macro_rules! ask {
    ($service:expr, $method:ident $path:expr $(, $name:expr => $value:expr)* $(; $body:expr)?) => {{
        let request = TestRequest::$method().uri($path)$(.insert_header(($name, $value)))*;
        $(let request = request.set_payload($body.to_string());)?
        let answer = call_service(&$service, request.to_request()).await;
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = read_body(answer).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap_or_default(), etag)
    }};
}

#[actix_web::test]
async fn a_script_is_put_read_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pipeline")).unwrap();
    std::fs::write(folder.path().join("pipeline/own.p"), "add_key(a, 1)").unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let text = ("content-type", "text/plain; charset=utf-8");

    let (status, list, _) = ask!(service, get "/v1/pipelines");
    assert_eq!(
        (status, &list["scripts"][0]["name"]),
        (200, &json!("own.p"))
    );
    assert_eq!(list["scripts"][0]["origin"], "folder");

    let path = "/v1/pipelines/logging/nginx";
    assert_eq!(ask!(service, get path).0, 404);
    let (status, problem, _) =
        ask!(service, put path, text.0 => text.1; "a = 1\n  nothing_of_the_kind()");
    assert_eq!(status, 422);
    assert_eq!(problem["type"], "urn:problem-type:kafkamq:invalid-script");
    let found = &problem["diagnostics"][0];
    assert_eq!((&found["line"], &found["column"]), (&json!(2), &json!(3)));
    assert_eq!(ask!(service, get path).0, 404, "nothing was changed");

    let dry = format!("{path}?dry_run=true");
    assert_eq!(ask!(service, put &dry, text.0 => text.1; "a = 1").0, 200);
    assert_eq!(ask!(service, get path).0, 404, "nothing was changed");

    let (status, created, first) = ask!(service, put path, text.0 => text.1; "add_key(a, 1)");
    assert_eq!((status, &created["origin"]), (201, &json!("http")));
    let first = first.unwrap();
    let stale = ("if-match", "\"other\"");
    let (status, _, etag) =
        ask!(service, put path, text.0 => text.1, stale.0 => stale.1; "add_key(a, 2)");
    assert_eq!((status, etag.as_deref()), (412, Some(&*first)));
    let current = ("if-match", first.as_str());
    let (status, changed, second) =
        ask!(service, put path, text.0 => text.1, current.0 => current.1; "add_key(a, 2)");
    assert_eq!((status, &changed["text"]), (200, &json!("add_key(a, 2)")));
    assert_ne!(second, Some(first));

    assert_eq!(ask!(service, delete path).0, 204);
    assert_eq!(ask!(service, delete path).0, 404);
    assert_eq!(ask!(service, delete "/v1/pipelines/logging/own.p").0, 409);
    assert_eq!(ask!(service, get "/v1/pipelines/nonsense/own.p").0, 400);
    assert_eq!(ask!(service, get "/v1/pipelines/logging/..%2Fown.p").0, 400);
    assert_eq!(ask!(service, put path; "a = 1").0, 415);
    let large = "#".repeat(BODY_BYTES + 1);
    let (status, problem, _) = ask!(service, put path, text.0 => text.1; large);
    assert_eq!((status, &problem["status"]), (413, &json!(413)));
}

#[actix_web::test]
async fn what_is_set_at_run_time_says_what_becomes_of_it() {
    // Each process has a folder of its own for its dead letters.
    let [folder, other, last] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let state = format!(
        "[server]\nstate_dir = \"{}/state\"\n{INPUT}",
        folder.path().display()
    );
    let first = shared(&state, folder.path());
    let service = init_service(App::new().configure(configure(first, BODY_BYTES))).await;
    let (kind, path) = (
        ("content-type", "text/plain"),
        "/v1/pipelines/logging/nginx",
    );
    let (_, put, _) = ask!(service, put path, kind.0 => kind.1; "add_key(a, 1)");
    assert_eq!(put["put"]["by"], "anonymous");
    assert_eq!(ask!(service, post "/v1/topics/spans/pause").0, 200);

    let second = shared(&state, other.path());
    assert!(second.router.controls().topic("spans").is_paused());
    let service = init_service(App::new().configure(configure(second, BODY_BYTES))).await;
    let (_, again, _) = ask!(service, get path);
    assert_eq!(
        (&again["origin"], &again["put"]),
        (&json!("http"), &put["put"])
    );
    let (_, status, _) = ask!(service, get "/v1/status");
    assert_eq!(status["run_time"]["scripts"][0]["name"], "nginx.p");
    assert_eq!(status["run_time"]["paused"][0]["topic"], "spans");
    assert_eq!(status["run_time"]["next_start"], again["put"]["next_start"]);
    assert_eq!(ask!(service, delete path).0, 204);
    assert_eq!(ask!(service, post "/v1/topics/spans/resume").0, 200);

    let without = format!(
        "[server]\nstate_dir = \"{}/state\"\n",
        folder.path().display()
    );
    let third = shared(&without, last.path());
    // A topic that is no longer read can be resumed, and only then.
    assert!(third.router.controls().paused().is_empty());
    third.router.controls().topic("spans").stop("me");
    let service = init_service(App::new().configure(configure(third, BODY_BYTES))).await;
    assert_eq!(ask!(service, get path).0, 404);
    assert_eq!(ask!(service, post "/v1/topics/spans/resume").0, 200);
    assert_eq!(ask!(service, post "/v1/topics/spans/resume").0, 404);
}

#[actix_web::test]
async fn a_script_is_tried_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("global_tags = { site = \"here\" }\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let kind = ("content-type", "application/json");
    let body = json!({
        "script": "z = 0\njson(_, level)\nif level == \"debug\" { drop() }\nif level == \"bad\" { x = 1 / z }",
        "records": [
            { "text": "{\"level\":\"info\"}" },
            { "base64": "eyJsZXZlbCI6ImRlYnVnIn0=" },
            { "text": "{\"level\":\"bad\"}" },
        ],
        "topic": "t",
    });
    let (status, answer, _) = ask!(service, post "/v1/pipelines/eval", kind.0 => kind.1; body);
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let fates: Vec<_> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(fates, ["kept", "dropped", "failed"]);
    assert_eq!(results[0]["points"][0]["fields"]["level"], "info");
    assert_eq!(results[2]["error"]["line"], 4);
    assert_eq!(results[2]["points"][0]["measurement"], "t");
    // As the flow builds and finishes points.
    let point = &results[0]["points"][0];
    assert_eq!(point["tags"], json!({"type": "kafka", "site": "here"}));
    assert_eq!(point["fields"]["message_len"], 16);
    let body = json!({
        "script": "drop_key(message)\ndrop_key(message_len)\ndrop_key(offset)\ndrop_key(partition)",
        "category": "metric",
        "records": [{ "text": "x" }],
    });
    let (_, answer, _) = ask!(service, post "/v1/pipelines/eval", kind.0 => kind.1; body);
    let result = &answer["results"][0];
    assert_eq!(
        result["points"],
        json!([]),
        "a metric without a field is not sent"
    );
    assert!(result["refused"][0].is_string(), "{answer}");

    for (body, expected) in [
        (json!({}), 400),
        (json!({"name": "none", "records": []}), 404),
        (json!({"script": "if {"}), 422),
        (json!({"script": "a = 1", "tap": "none"}), 404),
        (json!({"script": "a = 1", "count": 0}), 400),
        (json!({"script": "a = 1", "records": [{}]}), 400),
        (json!({"script": 1}), 400),
        (json!(["a = 1"]), 400),
        (json!({"script": "a = 1", "count": 1.5}), 400),
        (json!({"script": "a = 1", "count": 5.0}), 200),
    ] {
        let (status, problem, _) = ask!(service, post "/v1/pipelines/eval", kind.0 => kind.1; body);
        assert_eq!(status, expected, "{body} {problem}");
        if expected >= 400 {
            assert_eq!(problem["status"], expected, "{body}");
        }
    }
}

#[actix_web::test]
async fn a_topic_is_paused_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(INPUT, folder.path());
    let control = shared.router.controls().topic("spans");
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let (status, paused, _) = ask!(service, post "/v1/topics/spans/pause");
    assert_eq!(
        (status, &paused["paused"]["by"]),
        (200, &json!("anonymous"))
    );
    assert!(control.is_paused());
    let (_, list, _) = ask!(service, get "/v1/topics");
    assert_eq!(list["topics"][0]["topic"], "spans");
    assert_eq!(list["topics"][0]["route"], "forward");
    assert_eq!(list["topics"][0]["paused"]["by"], "anonymous");
    let (status, resumed, _) = ask!(service, post "/v1/topics/spans/resume");
    assert_eq!((status, &resumed["paused"]), (200, &json!(null)));
    assert!(!control.is_paused());
    assert_eq!(ask!(service, post "/v1/topics/none/pause").0, 404);
}

#[actix_web::test]
async fn records_are_watched_as_events() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(INPUT, folder.path());
    let control = shared.router.controls().topic("spans");
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let request = TestRequest::get().uri("/v1/topics/spans/tap?limit=2&rate=100");
    let answer = call_service(&service, request.to_request()).await;
    assert_eq!(
        answer.headers().get("content-type").unwrap(),
        "text/event-stream"
    );
    let source = TopicPartition::new("spans", 3);
    let mut batch = RecordBatchBuilder::with_capacity(source, 0, 0);
    for offset in 7..9 {
        batch.push(offset, 1, Some(b"key"), Some(b"\xff\n"));
        batch.push_header(b"trace", Some(b"1"));
    }
    control.offer(&batch.build());
    // It ends by itself after two records.
    let mut body = Box::pin(answer.into_body());
    let mut text = String::new();
    while let Some(part) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
    }
    let events: Vec<&str> = text
        .split("\n\n")
        .filter(|event| event.contains("event: record"))
        .collect();
    assert_eq!(events.len(), 2, "{text}");
    assert!(events[0].contains("\nid: spans/3/7\n"), "{text}");
    let data = events[0].split("data: ").nth(1).unwrap();
    let record: Value = serde_json::from_str(data).unwrap();
    assert_eq!(record["value"], json!({"base64": "/wo="}));
    assert_eq!(record["key"], json!({"text": "key"}));
    assert_eq!(
        record["headers"],
        json!([{"name": "trace", "value": {"text": "1"}}])
    );
    for query in ["rate=0", "rate=x", "partition=-1", "none=1"] {
        let path = format!("/v1/topics/spans/tap?{query}");
        assert_eq!(ask!(service, get & path).0, 400, "{query}");
    }
    assert_eq!(ask!(service, get "/v1/topics/none/tap").0, 404);
}

#[actix_web::test]
async fn dead_letters_are_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead-letters");
    let options = DeadLetterOptions {
        segment_bytes: 1 << 20,
        limit_bytes: 1 << 24,
    };
    let store = DeadLetterStore::open(&path, options).unwrap();
    let letter = |topic: &str| DeadLetter {
        topic: topic.to_owned(),
        value: Some("poison".into()),
        reason: "it kills".into(),
        ..DeadLetter::default()
    };
    let numbers = store
        .append(&[letter("a"), letter("b"), letter("a")])
        .unwrap();
    drop(store);
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;

    let (status, page, _) = ask!(service, get "/v1/dead-letters?topic=a&limit=1");
    assert_eq!(
        (status, page["letters"].as_array().unwrap().len()),
        (200, 1)
    );
    let next = page["next"].as_str().unwrap();
    let path = format!("/v1/dead-letters?topic=a&limit=1&after={next}");
    let (_, page, _) = ask!(service, get & path);
    assert_eq!(
        (&page["letters"][0]["topic"], &page["next"]),
        (&json!("a"), &json!(null))
    );
    assert!(page["letters"][0].get("value").is_none());

    let path = format!("/v1/dead-letters/{}", numbers.start);
    let (status, letter, _) = ask!(service, get & path);
    assert_eq!(
        (status, &letter["value"]),
        (200, &json!({"text": "poison"}))
    );
    for (path, expected) in [
        ("/v1/dead-letters/999", 404),
        ("/v1/dead-letters/x", 404),
        ("/v1/dead-letters?from=yesterday", 400),
        ("/v1/dead-letters?from=2026-07-30T00:00:00Z", 200),
        ("/v1/dead-letters?limit=0", 400),
        ("/v1/dead-letters?partition=-1", 400),
        ("/v1/dead-letters?offset=-1", 400),
        ("/v1/dead-letters?partition=0&offset=7", 200),
        ("/v1/dead-letters?nothing=1", 400),
    ] {
        assert_eq!(ask!(service, get path).0, expected, "{path}");
    }
    let kind = ("content-type", "application/json");
    let body = json!({"topic": "a", "dry_run": true});
    let (status, report, _) = ask!(service, post "/v1/dead-letters/replay", kind.0 => kind.1; body);
    assert_eq!((status, &report["replayed"]), (200, &json!(2)), "{report}");
    // A list is not a filter that lets everything pass.
    let (status, ..) = ask!(service, post "/v1/dead-letters/replay", kind.0 => kind.1; json!([]));
    assert_eq!(status, 400);
}

#[actix_web::test]
async fn the_log_level_is_shown_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let kind = ("content-type", "application/json");
    let body = json!({"level": "debug", "module": "kafkamq::kafka", "seconds": 60});
    let (status, level, _) = ask!(service, put "/v1/log-level", kind.0 => kind.1; body);
    assert_eq!(
        (status, &level["filter"]),
        (200, &json!("info,kafkamq::kafka=debug"))
    );
    assert!(level["seconds_left"].as_f64().unwrap() > 0.0);
    let (status, level, _) = ask!(service, delete "/v1/log-level");
    assert_eq!((status, &level["filter"]), (200, &level["configured"]));
    for body in [
        json!({"level": "loud"}),
        json!({"level": "info", "module": "a=b,c"}),
        json!({"level": "info", "seconds": 0}),
        json!({"level": "info", "more": 0}),
        json!([]),
    ] {
        let (status, _, _) = ask!(service, put "/v1/log-level", kind.0 => kind.1; body);
        assert_eq!(status, 400, "{body}");
    }
    // Errors of everything at once are never muted.
    let body = json!({"level": "off"});
    let (status, _, _) = ask!(service, put "/v1/log-level", kind.0 => kind.1; body);
    assert_eq!(status, 422);
}

#[actix_web::test]
async fn the_console_needs_no_token_and_runs_nothing_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\ntokens = [\"t\"]\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let answer = call_service(&service, TestRequest::get().uri("/").to_request()).await;
    assert_eq!(answer.status(), 200);
    let policy = answer.headers().get("content-security-policy").unwrap();
    assert!(policy.to_str().unwrap().starts_with("default-src 'none'"));
}
