//! Who may do what. The tables are made from the list of operations, so that a new one cannot be
//! forgotten.

use actix_web::http::StatusCode;
use actix_web::test::try_call_service;

use super::*;
use crate::routes::operation::Need;
use kafkamq_settings::Role;

const TOKENS: &str = "[server]\nhosts = [\"console.example\"]\ntokens = [\n\
    { name = \"dashboard\", role = \"read\", token = \"r\" },\n\
    { name = \"night shift\", role = \"operate\", token = \"o\" },\n\
    \"everything\",\n]\n";

/// Status of a request without a body.
macro_rules! ask {
    ($service:expr, $method:expr, $path:expr, $headers:expr) => {{
        let mut request = TestRequest::default()
            .method($method.clone())
            .uri($path)
            .insert_header(("host", "localhost"));
        let headers: &[(&str, &str)] = $headers;
        for header in headers {
            request = request.insert_header(*header);
        }
        match try_call_service(&$service, request.to_request()).await {
            Ok(answer) => answer.status(),
            Err(error) => error.error_response().status(),
        }
    }};
}

/// A path that fits the declared one.
fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[actix_web::test]
async fn every_operation_asks_for_its_role() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(TOKENS, folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let roles = [
        ("Bearer r", Role::Read),
        ("bearer o", Role::Operate),
        ("Bearer everything", Role::Configure),
    ];
    for operation in operations() {
        let path = concrete(operation.path);
        let asked = async |header: Option<&str>| {
            let header = header.map(|value| ("authorization", value));
            ask!(service, operation.method, &path, header.as_slice())
        };
        let Need::Role(needed) = operation.need else {
            assert_eq!(operation.method, Method::GET, "{operation:?} is open");
            assert_ne!(asked(None).await, StatusCode::UNAUTHORIZED, "{operation:?}");
            continue;
        };
        let changes = operation.method != Method::GET;
        assert!(
            !changes || needed > Role::Read || operation.harmless,
            "{operation:?} changes something and asks for nothing but `read`"
        );
        for wrong in [
            None,
            Some("Bearer wrong"),
            Some("Bearer "),
            Some("Basic everything"),
            Some("everything"),
        ] {
            let status = asked(wrong).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{operation:?} {wrong:?}");
        }
        for (token, role) in roles {
            // What is allowed is not done here: only what is refused is harmless to ask for.
            if role < needed {
                let status = asked(Some(token)).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{operation:?} {token}");
            }
        }
        if changes {
            let foreign = [
                ("authorization", "Bearer everything"),
                ("origin", "http://evil.example"),
            ];
            let status = ask!(service, operation.method, &path, &foreign);
            assert_eq!(status, StatusCode::FORBIDDEN, "{operation:?}");
        }
    }
    // What is not there asks for a token too.
    assert_eq!(
        ask!(service, Method::GET, "/none", &[]),
        StatusCode::UNAUTHORIZED
    );
    for token in ["Bearer r", "Bearer everything"] {
        let status = ask!(
            service,
            Method::GET,
            "/v1/status",
            &[("authorization", token)]
        );
        assert_eq!(status, StatusCode::OK, "{token}");
    }
}

#[actix_web::test]
async fn a_foreign_name_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\nhosts = [\"Console.example.\"]\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    for (host, expected) in [
        ("localhost:9530", 200),
        ("127.0.0.1:9530", 200),
        ("[::1]:9530", 200),
        ("192.0.2.7", 200),
        ("console.example", 200),
        ("CONSOLE.EXAMPLE:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ] {
        let status = ask!(service, Method::GET, "/v1/status", &[("host", host)]);
        assert_eq!(status.as_u16(), expected, "{host}");
        // Probes and scrapes come under any name.
        let status = ask!(service, Method::GET, "/livez", &[("host", host)]);
        assert_eq!(status, StatusCode::OK, "{host}");
    }
}

#[actix_web::test]
async fn pages_of_other_origins_ask_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\nhosts = [\"console.example\"]\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    for (origin, expected) in [
        // Nothing to change is there: the check came to its end.
        ("http://localhost", 404),
        ("https://console.example", 404),
        ("http://localhost:8080", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let status = ask!(service, Method::POST, "/none", &[("origin", origin)]);
        assert_eq!(status.as_u16(), expected, "{origin}");
        // Reading counts too: a tap that a foreign page keeps open costs memory.
        let status = ask!(service, Method::GET, "/v1/status", &[("origin", origin)]);
        let read = if expected == 404 { 200 } else { 403 };
        assert_eq!(status.as_u16(), read, "{origin}");
        let status = ask!(service, Method::GET, "/livez", &[("origin", origin)]);
        assert_eq!(status, StatusCode::OK, "{origin}");
    }
}

#[actix_web::test]
async fn changes_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("[server]\nallow_changes = false\n", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    for operation in operations() {
        if operation.changes_configuration() {
            let status = ask!(service, operation.method, &concrete(operation.path), &[]);
            assert_eq!(status, StatusCode::FORBIDDEN, "{operation:?}");
        }
    }
}

#[actix_web::test]
async fn other_methods_are_named_in_the_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let request = TestRequest::delete()
        .uri("/v1/status")
        .insert_header(("host", "localhost"));
    let answer = call_service(&service, request.to_request()).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers().get("allow").unwrap(), "GET, HEAD");
    let answer = Answered::read(answer).await;
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(
        ask!(service, Method::HEAD, "/v1/status", &[]),
        StatusCode::OK
    );
}

#[test]
fn declarations_are_complete_and_unique() {
    let mut ids = std::collections::HashSet::new();
    let mut routes = std::collections::HashSet::new();
    for operation in operations() {
        assert!(ids.insert(operation.id), "{operation:?}");
        let route = (operation.method.clone(), operation.path);
        assert!(routes.insert(route), "{operation:?}");
        assert!(!operation.summary.is_empty(), "{operation:?}");
        assert!(!operation.answers.is_empty(), "{operation:?}");
        let page = include_str!("../../../docs/http.md");
        let named = format!("`{} {}", operation.method, operation.path);
        assert!(page.contains(&named), "docs/http.md does not name {named}");
    }
}

#[test]
fn the_description_names_every_operation() {
    let operations = operations();
    let document = openapi::document(&operations, true);
    for operation in &operations {
        let method = operation.method.as_str().to_ascii_lowercase();
        assert_eq!(
            document["paths"][operation.path][method]["operationId"], operation.id,
            "{operation:?}"
        );
    }
    let text = serde_json::to_string_pretty(&document).unwrap();
    // Every reference leads to something.
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name}"
        );
    }
    insta::assert_snapshot!(text);
}
