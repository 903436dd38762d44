use actix_web::App;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};

use super::*;
use crate::actors::status::{
    ActorCounts, DeadLetterStatus, DestinationStatus, ErrorStatus, InputStatus, PartitionStatus,
    ServiceStatus, SuspectStatus,
};
use crate::reconfiguration::{Beginning, ConfigurationOrigin, ConfigurationStatus, Refused};
use crate::run_time::{PausedTopic, RunTimeScriptStatus, RunTimeStatus};
use kafkamq_settings::{Sources, load};

mod access;
mod config;
mod resources;

/// Nobody listens there.
const ABSENT_BROKER: &str = "127.0.0.1:1";

/// A service without destinations that answer; `inputs` is configuration text.
fn shared(inputs: &str, folder: &std::path::Path) -> Shared {
    let folder = folder.display();
    let text = format!(
        "[dead_letter]\npath = \"{folder}/dead-letters\"\n\
         [pipeline]\npath = \"{folder}/pipeline\"\nthreads = 1\n{inputs}"
    );
    let sources = Sources::new().text("test", text);
    let loaded = load(&sources).unwrap();
    let settings = loaded.settings.clone();
    let metrics = Metrics::try_new().unwrap();
    let access = Arc::new(ArcSwap::from_pointee(Access::from(&settings.server)));
    let dead_letters = Arc::new(ArcSwap::from_pointee(DeadLetters::of(&settings)));
    let router = Router::start(settings.into(), metrics.clone()).unwrap();
    let configuration = Reconfiguration::new(
        router.clone(),
        metrics.clone(),
        Beginning::decide(loaded, &sources),
        sources,
    );
    Shared {
        router,
        configuration,
        metrics,
        access,
        dead_letters,
        log_level: LogLevel::of_process(),
        heavy: std::sync::Arc::new(tokio::sync::Semaphore::new(super::HEAVY_AT_ONCE)),
    }
}

/// Largest body that the services of these tests take.
const BODY_BYTES: usize = 64 * 1024;

struct Answered {
    status: u16,
    content_type: String,
    body: String,
}

impl Answered {
    async fn read(answer: ServiceResponse) -> Self {
        let content_type = answer.headers().get(CONTENT_TYPE).unwrap();
        Self {
            content_type: content_type.to_str().unwrap().to_owned(),
            status: answer.status().as_u16(),
            body: String::from_utf8(read_body(answer).await.to_vec()).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Asks a service for `GET path`.
macro_rules! get {
    ($service:expr, $path:expr) => {
        Answered::read(call_service(&$service, TestRequest::get().uri($path).to_request()).await)
            .await
    };
}

#[actix_web::test]
async fn a_service_with_nothing_wrong_is_alive_and_ready() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;

    for path in ["/livez", "/healthz"] {
        let live = get!(service, path);
        assert_eq!(
            (live.status, live.json()),
            (200, json!({"status": "alive"})),
            "{path}"
        );
    }
    let ready = get!(service, "/readyz");
    let nothing = json!({
        "ready": true, "stopping": false, "inputs": [], "destinations": [], "dead_letters": {}
    });
    assert_eq!(
        (ready.status, ready.json()["ready"].clone()),
        (200, nothing["ready"].clone())
    );
    assert_eq!(keys(&ready.json()), keys(&nothing));
}

#[actix_web::test]
async fn an_input_that_has_not_joined_is_named_by_readiness_and_status() {
    let folder = tempfile::tempdir().unwrap();
    let input = format!(
        "[[inputs.kafkamq]]\nname = \"orders\"\naddrs = [\"{ABSENT_BROKER}\"]\ngroup_id = \"g\"\n\
         [inputs.kafkamq.otel]\ndk_endpoint = \"http://127.0.0.1:1\"\ntrace_topics = [\"spans\"]\n"
    );
    let shared = shared(&input, folder.path());
    let router = shared.router.clone();
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;

    let ready = get!(service, "/readyz");
    assert_eq!(ready.status, 503);
    let body = ready.json();
    assert_eq!(body["inputs"][0]["name"], "orders");
    assert_eq!(body["inputs"][0]["ready"], false);
    let reason = body["inputs"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("not a member of its group"), "{reason}");
    assert!(!body["destinations"].as_array().unwrap().is_empty());
    assert_eq!(body["destinations"][0]["ready"], true);
    assert_eq!(get!(service, "/livez").status, 200);

    let status = get!(service, "/v1/status");
    assert_eq!(status.status, 200);
    assert_eq!(status.json()["inputs"][0]["group_id"], "g");
    assert_eq!(status.json()["inputs"][0]["joined"], false);
    assert_eq!(
        keys(&status.json()),
        keys(&serde_json::to_value(full_status()).unwrap())
    );

    let metrics = get!(service, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .contains("\nkafkamq_input_joined{input=\"orders\"} 0\n")
    );

    router.shutdown().await;
    let stopped = get!(service, "/readyz");
    assert_eq!(
        (stopped.status, stopped.json()["stopping"].clone()),
        (503, json!(true))
    );
}

#[actix_web::test]
async fn metrics_are_prometheus_text() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let metrics = get!(service, "/metrics");
    assert_eq!(
        (metrics.status, &*metrics.content_type),
        (200, "text/plain; version=0.0.4")
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("\nkafkamq_build_info{{version=\"{version}\"}} 1\n");
    assert!(metrics.body.contains(&build), "{}", metrics.body);
}

#[actix_web::test]
async fn what_is_not_there_is_a_problem_document() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared("", folder.path());
    let service = init_service(App::new().configure(configure(shared, BODY_BYTES))).await;
    let missing = get!(service, "/v1/nothing");
    assert_eq!(
        (missing.status, &*missing.content_type),
        (404, "application/problem+json")
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&missing.json()).unwrap());
}

/// Names are an interface: scripts and dashboards read them.
#[test]
fn the_status_page_in_full() {
    let status = serde_json::to_string_pretty(&full_status()).unwrap();
    assert!(
        include_str!("../../docs/http.md").contains(&status),
        "docs/http.md shows another status page"
    );
    insta::assert_snapshot!(status);
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

fn full_status() -> ServiceStatus {
    let error = |message: &str| ErrorStatus {
        seconds_ago: 2.5,
        message: message.to_owned(),
    };
    ServiceStatus {
        version: "0.1.0",
        uptime_seconds: 86_400.5,
        configuration: Some(ConfigurationStatus {
            revision: 7,
            author: "night shift".into(),
            origin: ConfigurationOrigin::Http,
            time: "2026-11-22T18:00:00Z".into(),
            source: "run_time",
            next_start: "the files decide, and this revision is forgotten",
            last_refused: Some(Refused {
                author: "files".into(),
                origin: ConfigurationOrigin::Files,
                time: "2026-11-22T19:00:00Z".into(),
                reason: "the configuration is not accepted: `group_id` is missing".into(),
            }),
        }),
        run_time: Some(RunTimeStatus {
            scripts: vec![RunTimeScriptStatus {
                category: "logging".into(),
                name: "nginx.p".into(),
                by: "night shift".into(),
                time: "2026-11-22T18:10:00Z".into(),
            }],
            paused: vec![PausedTopic {
                topic: "app-logs".into(),
                by: "night shift".into(),
                time: "2026-11-22T18:20:00Z".into(),
            }],
            next_start: "all are forgotten, since `server.state_dir` is not set",
            problems: Vec::new(),
        }),
        revision: 1,
        stopping: false,
        inputs: vec![InputStatus {
            name: "orders".into(),
            group_id: "kafkamq".into(),
            joined: true,
            group_state: "up".into(),
            brokers_up: 3,
            rebalances: 2,
            lag: Some(40),
            partitions: vec![PartitionStatus {
                topic: "app-logs".into(),
                partition: 0,
                position: Some(1_000),
                stored: Some(970),
                committed: Some(960),
                high_watermark: Some(1_000),
                lag: Some(40),
                batches_in_flight: 1,
                records_in_flight: 30,
                bytes_in_flight: 30_720,
                paused: false,
                blocked_seconds: None,
                blocked: None,
            }],
            alarm: None,
            last_error: Some(error("broker transport failure")),
        }],
        destinations: vec![DestinationStatus {
            name: "datakit".into(),
            url: "http://localhost:9529/".into(),
            state: "backing_off".into(),
            alarm: false,
            reason: Some("503 Service Unavailable".into()),
            refusing_seconds: Some(4.5),
            asked: Some("http://localhost:9529/v1/write/logging".into()),
            suspects: 1,
            first_suspects: vec![SuspectStatus {
                topic: Some("app-logs".into()),
                partition: Some(0),
                offset: Some(970),
                items: 1,
                asked: "http://localhost:9529/v1/write/logging".into(),
                status: Some(500),
                answer: "500 Internal Server Error".into(),
                refusals: 4,
                seconds: 4.5,
            }],
            required: true,
            queued_items: 20,
            in_flight_items: 10,
            in_flight_requests: 1,
            items_without_offsets: 0,
            oldest_seconds: Some(0.5),
            last_error: Some(error("503 Service Unavailable")),
        }],
        dead_letters: DeadLetterStatus {
            open: 2,
            reason: Some("no space left on device".into()),
            failing_seconds: Some(3.5),
        },
        actors: ActorCounts {
            topic: 1,
            parser: 2,
            forwarder: 1,
            restarts: 0,
        },
    }
}
