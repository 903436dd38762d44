//! The DataKit stand-in: strict where the original is strict, and as careless where it is careless.

use std::borrow::Cow;

use http::header::HeaderName;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::body::decompress;
use super::exchange::{Answer, Request, Surface};
use super::found::Found;
use super::jaeger;
use super::otlp::{self, Dialect, Signal};
use super::skywalking::{self, LogOutcome};
use super::write::{self, Encoding};

/// Categories the write interface takes over HTTP.
const CATEGORIES: [&str; 9] = [
    "metric",
    "network",
    "keyevent",
    "object",
    "custom_object",
    "logging",
    "tracing",
    "rum",
    "security",
];

/// Categories that only a Dataway takes.
const DATAWAY_CATEGORIES: [&str; 3] = ["metrics", "object_change", "profiling"];

/// How the stand-in is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatakitOptions {
    /// Play a Dataway: every write needs `?token=` with this value, and its further categories are
    /// known.
    pub token: Option<String>,
}

pub(super) struct Datakit {
    options: DatakitOptions,
}

impl Datakit {
    pub(super) const fn new(options: DatakitOptions) -> Self {
        Self { options }
    }

    fn write(&self, request: &Request<'_>, category: &str) -> Answer {
        if let Some(token) = &self.options.token
            && request.argument("token").as_deref() != Some(token.as_str())
        {
            return error(
                StatusCode::FORBIDDEN,
                "dataway.invalidToken",
                "token missing or unknown",
            );
        }
        let known = CATEGORIES.contains(&category)
            || (self.options.token.is_some() && DATAWAY_CATEGORIES.contains(&category));
        if !known {
            return bad("datakit.invalidCategory", "invalid category");
        }
        if request.body.is_empty() {
            return bad("datakit.emptyBody", "empty body");
        }
        let Ok(body) = self.decoded(request) else {
            return bad("datakit.decodeBodyFailed", "decode body failed");
        };
        let encoding = Encoding::of(request.header("content-type"));
        match write::points(encoding, &body, category.starts_with("metric")) {
            Err(message) => bad(encoding.error_code(), &message),
            Ok((_, 0)) => bad("datakit.noPoints", "no points"),
            Ok((mut found, points)) => {
                let announced = request.header("x-points");
                if !announced.is_empty() && announced.parse() != Ok(points) {
                    found.note("x-points differs from the points in the body");
                }
                let strict = request
                    .argument("strict")
                    .is_some_and(|strict| !strict.is_empty());
                if strict && !found.notes.is_empty() {
                    return bad("datakit.pointGotWarning", &found.notes.join(", "));
                }
                ok(found)
            }
        }
    }

    /// The body without its coding: the argument `encoding` wins over the header.
    fn decoded<'a>(&self, request: &Request<'a>) -> std::io::Result<Cow<'a, [u8]>> {
        let argument = request
            .argument("encoding")
            .filter(|encoding| !encoding.is_empty());
        decompress(
            argument
                .as_deref()
                .unwrap_or_else(|| request.header("content-encoding")),
            request.body,
        )
    }
}

impl Surface for Datakit {
    fn answer(&self, request: &Request<'_>) -> Answer {
        if request.method != Method::POST {
            return not_found();
        }
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["v1", "write", category] => self.write(request, category),
            [
                "v3",
                name @ ("trace" | "metric" | "logging" | "logs" | "profiling"),
            ] => skywalking_route(request, name),
            ["apis", "traces"] => match jaeger::batch(request.body) {
                Ok(found) => ok(found),
                Err(error) => bad("datakit.jaeger", &error.to_string()),
            },
            ["otel", "v1", signal] => match Signal::from_segment(signal) {
                Some(signal) => otel_route(request, signal),
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn failure(&self, _: &Request<'_>, status: StatusCode) -> Answer {
        match status.as_u16() {
            404 => not_found(),
            408 => Answer::with_body(status, "text/plain", "timeout(30s)"),
            429 => error(status, "datakit.reachMaxAPILimit", "reach max API limit"),
            403 => error(
                status,
                "datakit.publicAccessDisabled",
                "public access disabled",
            ),
            code => error(status, "datakit.fault", &format!("status {code} on demand")),
        }
    }

    fn content<'a>(&self, request: &Request<'a>) -> Cow<'a, [u8]> {
        self.decoded(request).unwrap_or_default()
    }
}

fn skywalking_route(request: &Request<'_>, name: &str) -> Answer {
    if request.header("content-type") != "application/x-protobuf" {
        return bad(
            "datakit.skywalking",
            "Content-Type is not application/x-protobuf",
        );
    }
    // No content coding is understood here: a compressed body is simply not a message.
    let body = request.body;
    let decoded = match name {
        "trace" => skywalking::segment(body),
        "metric" => skywalking::jvm_metric(body),
        // Whatever comes is answered with 200 and discarded.
        "profiling" => Ok(skywalking::thread_snapshot(body).unwrap_or_else(|_| Found {
            notes: vec!["undecodable thread snapshot"],
            ..Found::default()
        })),
        _ => match skywalking::log(body) {
            Ok(LogOutcome::Taken(found)) => Ok(found),
            Ok(LogOutcome::NoText) => Ok(Found {
                notes: vec!["log without text: refused inside"],
                ..Found::default()
            }),
            Err(error) => Err(error),
        },
    };
    match decoded {
        Ok(found) => ok(found),
        Err(error) => bad("datakit.skywalking", &error.to_string()),
    }
}

fn otel_route(request: &Request<'_>, signal: Signal) -> Answer {
    let content_type = request.header("content-type");
    let json = match content_type {
        "application/x-protobuf" => false,
        "application/json" => true,
        _ => return bad("datakit.otel", "no header matches the expected ones"),
    };
    let Ok(body) = decompress(request.header("content-encoding"), request.body) else {
        return bad("datakit.otel", "cannot decompress the body");
    };
    let decoded = if json {
        otlp::json(signal, Dialect::Proto3, &body)
    } else {
        otlp::binary(signal, &body)
    };
    match decoded {
        Ok(found) => ok(found),
        Err(message) => bad("datakit.otel", &message),
    }
}

fn stamped(answer: Answer) -> Answer {
    answer.header(
        HeaderName::from_static("x-datakit"),
        HeaderValue::from_static("testbed/localhost"),
    )
}

fn ok(found: Found) -> Answer {
    stamped(Answer::empty(StatusCode::OK)).with_found(found)
}

fn bad(code: &str, message: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, code, message)
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = json!({"error_code": code, "message": message}).to_string();
    stamped(Answer::with_body(status, "application/json", body)).header(
        http::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    )
}

fn not_found() -> Answer {
    let page = "<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>";
    stamped(Answer::with_body(
        StatusCode::NOT_FOUND,
        "text/html; charset=utf-8",
        page,
    ))
}
