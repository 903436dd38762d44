//! A standard collector: OTLP/HTTP, Jaeger over HTTP, and InfluxDB-style writes.

use std::borrow::Cow;

use http::{Method, StatusCode};
use prost::Message;
use serde_json::json;

use super::body::decompress;
use super::exchange::{Answer, Request, Surface};
use super::jaeger;
use super::otlp::{self, Dialect, Signal};
use super::write::{self, Encoding};
use crate::wire::otlp::{ExportResponse, PartialSuccess, RpcStatus};

pub(super) struct Collector;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The media type without its parameters.
fn media_type<'a>(request: &'a Request<'_>) -> &'a str {
    request
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}

fn signal(request: &Request<'_>) -> Option<Signal> {
    request
        .path
        .strip_prefix("/v1/")
        .and_then(Signal::from_segment)
}

impl Surface for Collector {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let known = signal(request).is_some()
            || matches!(request.path, "/api/traces" | "/write" | "/api/v2/write");
        match (known, request.method) {
            (false, _) => {
                Answer::with_body(StatusCode::NOT_FOUND, "text/plain", "404 page not found")
            }
            (true, method) if method != Method::POST => {
                Answer::empty(StatusCode::METHOD_NOT_ALLOWED)
            }
            _ => match (signal(request), request.path) {
                (Some(signal), _) => export(request, signal),
                (None, "/api/traces") => jaeger_traces(request),
                _ => influx_write(request),
            },
        }
    }

    fn failure(&self, request: &Request<'_>, status: StatusCode) -> Answer {
        if signal(request).is_some() {
            status_body(request, status, "fault on demand")
        } else {
            Answer::with_body(status, "text/plain", "fault on demand")
        }
    }

    fn partial(&self, request: &Request<'_>, rejected: u32, message: &str) -> Option<Answer> {
        let signal = signal(request)?;
        Some(if media_type(request) == JSON {
            let body = json!({"partialSuccess": {
                signal.rejected(): rejected.to_string(), "errorMessage": message,
            }});
            Answer::with_body(StatusCode::OK, JSON, body.to_string())
        } else {
            let partial_success = Some(PartialSuccess {
                rejected: i64::from(rejected),
                error_message: message.to_owned(),
            });
            let body = ExportResponse { partial_success }.encode_to_vec();
            Answer::with_body(StatusCode::OK, PROTOBUF, body)
        })
    }

    fn content<'a>(&self, request: &Request<'a>) -> Cow<'a, [u8]> {
        decompress(request.header("content-encoding"), request.body).unwrap_or_default()
    }
}

fn export(request: &Request<'_>, signal: Signal) -> Answer {
    let media_type = media_type(request);
    if !matches!(media_type, PROTOBUF | JSON) {
        return Answer::with_body(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "text/plain",
            "unsupported media type",
        );
    }
    let Ok(body) = decompress(request.header("content-encoding"), request.body) else {
        return status_body(
            request,
            StatusCode::BAD_REQUEST,
            "cannot decompress the body",
        );
    };
    if media_type == JSON {
        match otlp::json(signal, Dialect::Otlp, &body) {
            Ok(found) => Answer::with_body(StatusCode::OK, JSON, "{}").with_found(found),
            Err(message) => status_body(request, StatusCode::BAD_REQUEST, &message),
        }
    } else {
        match otlp::binary(signal, &body) {
            Ok(found) => Answer::with_body(StatusCode::OK, PROTOBUF, "").with_found(found),
            Err(message) => status_body(request, StatusCode::BAD_REQUEST, &message),
        }
    }
}

/// An error as `google.rpc.Status`, in the type of the request.
fn status_body(request: &Request<'_>, status: StatusCode, message: &str) -> Answer {
    let code = match status.as_u16() {
        400 => 3,
        401 => 16,
        403 => 7,
        429 => 8,
        502..=504 => 14,
        _ => 13,
    };
    if media_type(request) == JSON {
        Answer::with_body(
            status,
            JSON,
            json!({"code": code, "message": message}).to_string(),
        )
    } else {
        let body = RpcStatus {
            code,
            message: message.to_owned(),
        }
        .encode_to_vec();
        Answer::with_body(status, PROTOBUF, body)
    }
}

fn jaeger_traces(request: &Request<'_>) -> Answer {
    if !matches!(
        media_type(request),
        "application/x-thrift" | "application/vnd.apache.thrift.binary"
    ) {
        return Answer::with_body(
            StatusCode::BAD_REQUEST,
            "text/plain",
            "Unsupported content type",
        );
    }
    match jaeger::batch(request.body) {
        Ok(found) => Answer::empty(StatusCode::ACCEPTED).with_found(found),
        Err(error) => Answer::with_body(StatusCode::BAD_REQUEST, "text/plain", error.to_string()),
    }
}

fn influx_write(request: &Request<'_>) -> Answer {
    let refuse = |message: String| {
        let body = json!({"error": message}).to_string();
        Answer::with_body(StatusCode::BAD_REQUEST, JSON, body)
    };
    let Ok(body) = decompress(request.header("content-encoding"), request.body) else {
        return refuse("cannot decompress the body".to_owned());
    };
    match write::points(Encoding::LineProtocol, &body, false) {
        Ok((found, _)) => Answer::empty(StatusCode::NO_CONTENT).with_found(found),
        Err(message) => refuse(message),
    }
}
