//! The configuration over HTTP.

use actix_web::test::TestRequest;

use super::*;

const MERGE_PATCH: &str = "application/merge-patch+json";

macro_rules! send {
    ($service:expr, $method:ident, $path:expr, $type:expr, $body:expr, $headers:expr) => {{
        let mut request = TestRequest::default()
            .method(Method::$method)
            .uri($path)
            .insert_header(("host", "localhost"))
            .insert_header(("content-type", $type))
            .set_payload($body.to_string());
        let headers: &[(&str, &str)] = $headers;
        for header in headers {
            request = request.insert_header(*header);
        }
        let answer = call_service(&$service, request.to_request()).await;
        let etag = answer.headers().get("etag").cloned();
        let etag = etag.map(|etag| etag.to_str().unwrap().to_owned());
        (Answered::read(answer).await, etag)
    }};
}

#[actix_web::test]
async fn the_configuration_is_read_changed_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\ntokens = [\"secret\"]\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let auth = ("authorization", "Bearer secret");

    let (shown, first) = send!(service, GET, "/v1/config", "", "", &[auth]);
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json()["server"]["tokens"], json!(["******"]));
    let first = first.unwrap();

    let patch = json!({ "limits": { "batch_records": 5 } });
    let path = "/v1/config?dry_run=true";
    let (dry, etag) = send!(service, PATCH, path, MERGE_PATCH, patch, &[auth]);
    assert_eq!((dry.status, etag), (200, Some(first.clone())));
    assert_eq!(dry.json()["dry_run"], true);

    let conditional = [auth, ("if-match", &*first)];
    let (done, second) = send!(
        service,
        PATCH,
        "/v1/config",
        MERGE_PATCH,
        patch,
        &conditional
    );
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.json()["revision"], 2);
    assert_ne!(second.as_ref(), Some(&first));
    let (late, now) = send!(
        service,
        PATCH,
        "/v1/config",
        MERGE_PATCH,
        patch,
        &conditional
    );
    assert_eq!((late.status, &now), (412, &second));

    // What was shown, sent back: the mask keeps the token, what was not there goes.
    let (back, _) = send!(
        service,
        PUT,
        "/v1/config",
        "application/json",
        shown.body,
        &[auth]
    );
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(back.json()["changes"][0]["pointer"], "/limits");

    let (list, _) = send!(service, GET, "/v1/config/revisions", "", "", &[auth]);
    assert_eq!(list.json()["current"], 3);
    assert_eq!(list.json()["revisions"][1]["author"], "token-1");
    assert!(!list.body.contains("secret"), "{}", list.body);
    let path = "/v1/config/revisions/2/activate";
    let (active, _) = send!(service, POST, path, "", "", &[auth]);
    assert_eq!(
        (active.status, active.json()["revision"].clone()),
        (200, json!(4))
    );
    let (shown, _) = send!(service, GET, "/v1/config", "", "", &[auth]);
    assert_eq!(shown.json()["limits"]["batch_records"], 5);
    let path = "/v1/config/revisions/77/activate";
    let (missing, _) = send!(service, POST, path, "", "", &[auth]);
    assert_eq!(missing.status, 404);
}

#[actix_web::test]
async fn a_caller_cannot_open_the_interface_to_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\ntokens = [\"secret\"]\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let auth = ("authorization", "Bearer secret");
    let json = "application/json";
    let (refused, _) = send!(service, PUT, "/v1/config", json, "{}", &[auth]);
    assert_eq!(refused.status, 422, "{}", refused.body);
    let pointer = refused.json()["diagnostics"][0]["pointer"].clone();
    assert_eq!(pointer, "/server/tokens");
    let (stranger, _) = send!(service, GET, "/v1/config", json, "", &[]);
    assert_eq!(stranger.status, 401);
}

#[actix_web::test]
async fn a_wrong_configuration_is_answered_with_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let configuration = shared.configuration.clone();
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let wrong = "[limits]\nmemory = \"1KiB\"\nbatch_recods = 5\n[servr]\n";
    for path in ["/v1/config/check", "/v1/config"] {
        let method = if path.ends_with("check") {
            Method::POST
        } else {
            Method::PUT
        };
        let request = TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("host", "localhost"))
            .insert_header(("content-type", "application/toml"))
            .set_payload(wrong);
        let answer = Answered::read(call_service(&service, request.to_request()).await).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        let found = answer.json()["diagnostics"].clone();
        let lines: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["line"].clone())
            .collect();
        for line in [2, 3, 4] {
            assert!(lines.contains(&json!(line)), "{found}");
        }
    }
    assert_eq!(configuration.current().revision, 1);
    for (body, content_type, status) in [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ("{}", "text/plain", 415),
    ] {
        let (answer, _) = send!(service, PUT, "/v1/config", content_type, body, &[]);
        assert_eq!(answer.status, status, "{body}");
    }
    assert_eq!(configuration.current().revision, 1);
}

#[actix_web::test]
async fn changes_can_be_switched_off_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let access = Arc::clone(&shared.access);
    shared
        .configuration
        .listen(move |settings| access.store(Access::from(&settings.server).into()));
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let patch = json!({ "server": { "allow_changes": false } });
    let (done, _) = send!(service, PATCH, "/v1/config", MERGE_PATCH, patch, &[]);
    assert_eq!(done.status, 200, "{}", done.body);
    let patch = json!({ "server": { "allow_changes": true } });
    let (refused, _) = send!(service, PATCH, "/v1/config", MERGE_PATCH, patch, &[]);
    assert_eq!(refused.status, 403);
    let (check, _) = send!(
        service,
        POST,
        "/v1/config/check",
        "application/json",
        "{}",
        &[]
    );
    assert_eq!(check.status, 200, "{}", check.body);
}
