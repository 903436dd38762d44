//! The receivers over real sockets: what they answer and what they account for.

mod faults;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use prost::Message;

use super::*;
use crate::payload::{self, Faker, Sample};
use crate::record::{RecordId, Route};
use crate::wire::otlp::RpcStatus;

const PROTOBUF: &str = "application/x-protobuf";
const THRIFT: &str = "application/x-thrift";

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn error_code(&self) -> String {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        value["error_code"].as_str().unwrap().to_owned()
    }
}

/// A client over one connection, small enough to see resets as they are.
struct Client(TcpStream);

impl Client {
    fn new(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(stream))
    }

    fn send(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.0.write_all(&[request.as_bytes(), body].concat())
    }

    fn receive(&mut self) -> std::io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: Vec::new(),
        };
        let len = reply
            .header("content-length")
            .map_or(0, |len| len.parse().unwrap());
        reply.body = vec![0; len];
        self.0.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        self.send(path, headers, body)?;
        self.receive()
    }
}

fn post(receiver: &Receiver, path: &str, content_type: &str, body: &[u8]) -> Reply {
    let mut client = Client::new(receiver.addr()).unwrap();
    client
        .post(path, &[("content-type", content_type)], body)
        .unwrap()
}

fn sample(route: Route, sequence: u32) -> Sample {
    let mut faker = Faker::new(u64::from(sequence), 1_700_000_000_000_000_000);
    Sample::of(RecordId::new(route, 0, sequence), &mut faker)
}

fn datakit() -> Receiver {
    Receiver::datakit(DatakitOptions::default()).unwrap()
}

#[test]
fn datakit_takes_every_kind_on_its_own_route() {
    let receiver = datakit();
    for (route, path, content_type) in [
        (Route::SkywalkingSegments, "/v3/trace", PROTOBUF),
        (Route::SkywalkingMetrics, "/v3/metric", PROTOBUF),
        (Route::SkywalkingLogs, "/v3/logging", PROTOBUF),
        (Route::SkywalkingLogs, "/v3/logs", PROTOBUF),
        (Route::SkywalkingProfilings, "/v3/profiling", PROTOBUF),
        (Route::JaegerThrift, "/apis/traces", "any/thing"),
        (Route::OtelTraces, "/otel/v1/traces", PROTOBUF),
        (Route::OtelMetrics, "/otel/v1/metrics", PROTOBUF),
        (Route::OtelLogs, "/otel/v1/logs", PROTOBUF),
    ] {
        let before = receiver.ledger().count(route);
        let sample = sample(route, u32::try_from(before).unwrap());
        let reply = post(&receiver, path, content_type, &sample.value);
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
        assert!(reply.header("x-datakit").is_some());
        assert!(receiver.ledger().has(sample.ids[0]), "{path}");
    }
    assert_eq!(receiver.ledger().report().anonymous, 0);
    assert_eq!(receiver.traffic().noted, 0);
}

#[test]
fn datakit_refuses_what_the_original_refuses() {
    let receiver = datakit();
    let segment = sample(Route::SkywalkingSegments, 0).value;
    let otlp = sample(Route::OtelTraces, 0).value;
    let span = sample(Route::JaegerProto, 0).value;
    let span_json = sample(Route::JaegerJson, 0).value;
    for (path, content_type, body, status) in [
        (
            "/v3/trace",
            "application/x-protobuf; charset=utf-8",
            &segment,
            400,
        ),
        ("/v3/trace", "application/json", &segment, 400),
        ("/v3/trace", PROTOBUF, &span_json, 400),
        ("/apis/traces", PROTOBUF, &span, 400),
        ("/apis/traces", THRIFT, &span_json, 400),
        ("/otel/v1/traces", "application/x-protobuf; v=1", &otlp, 400),
        ("/otel/v1/traces", "", &otlp, 400),
        ("/otel/v1/trace", PROTOBUF, &otlp, 404),
        ("/", PROTOBUF, &segment, 404),
        ("/v3/meters", PROTOBUF, &segment, 404),
    ] {
        let reply = post(&receiver, path, content_type, body);
        assert_eq!(reply.status, status, "{path} {content_type}");
        if status == 404 {
            assert!(
                reply
                    .header("content-type")
                    .unwrap()
                    .starts_with("text/html")
            );
        } else {
            assert!(reply.error_code().starts_with("datakit."));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
    }
    assert_eq!(receiver.ledger().total(), 0);
}

#[test]
fn a_log_without_a_body_is_answered_200_and_not_taken() {
    let receiver = datakit();
    let reply = post(&receiver, "/v3/logging", PROTOBUF, &bytes::Bytes::new());
    assert_eq!(reply.status, 200);
    assert_eq!(receiver.ledger().total(), 0);
}

#[test]
fn the_write_interface_names_its_errors() {
    let receiver = datakit();
    let pb = "application/protobuf; proto=com.guance.Point";
    for (path, content_type, body, code) in [
        ("/v1/write/metrics", "", "m v=1", "invalidCategory"),
        ("/v1/write/profiling", "", "m v=1", "invalidCategory"),
        ("/v1/write/logging", "", "", "emptyBody"),
        (
            "/v1/write/logging?encoding=gzip",
            "",
            "m v=1",
            "decodeBodyFailed",
        ),
        (
            "/v1/write/logging?encoding=GZIP",
            "",
            "m v=1",
            "decodeBodyFailed",
        ),
        ("/v1/write/logging", "", "m", "invalidLinePoint"),
        (
            "/v1/write/logging",
            "application/x-protobuf",
            "\u{8}",
            "invalidLinePoint",
        ),
        (
            "/v1/write/logging",
            "application/json",
            "{}",
            "invalidJsonPoint",
        ),
        (
            "/v1/write/logging",
            "application/json",
            r#"[{"tags":{"a":1}}]"#,
            "invalidJsonPoint",
        ),
        (
            "/v1/write/logging",
            "application/json",
            r#"[{"fields":{"a":1},"time":1.5}]"#,
            "invalidJsonPoint",
        ),
        ("/v1/write/logging", pb, "x", "invalidProtobufPoint"),
        ("/v1/write/logging", "application/json", "[]", "noPoints"),
        ("/v1/write/logging", "", "# nothing", "noPoints"),
        (
            "/v1/write/metric?strict=1",
            "",
            "m s=\"text\" 1",
            "pointGotWarning",
        ),
    ] {
        let reply = post(&receiver, path, content_type, body.as_bytes());
        assert_eq!(reply.status, 400, "{path} {body}");
        assert_eq!(
            reply.error_code(),
            format!("datakit.{code}"),
            "{path} {body}"
        );
    }
    let dataway = Receiver::datakit(DatakitOptions {
        token: Some("tkn_x".to_owned()),
    })
    .unwrap();
    assert_eq!(
        post(&dataway, "/v1/write/metric", "", b"m v=1 1").status,
        403
    );
    assert_eq!(
        post(&dataway, "/v1/write/metric?token=tkn_x", "", b"m v=1 1").status,
        200
    );
}

#[test]
fn points_are_found_in_every_encoding_and_coding() {
    let receiver = datakit();
    let id = |n| RecordId::new(Route::CustomLog, 0, n);
    let line = |n: u32| format!("t,record_id={} message=\"x\" 1700000000000000000", id(n));
    let in_message = format!(
        "t,type=kafka message=\"{{\\\"record_id\\\":\\\"{}\\\"}}\" 1",
        id(1)
    );
    let json = serde_json::json!([{"measurement": "t", "fields": {"record_id": id(2)}, "time": 5}])
        .to_string();
    let pb_json = serde_json::json!([{"name": "t", "fields": [{"key": "record_id", "s": id(3), "is_tag": true}], "time": "5"}])
        .to_string();
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(line(4).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(line(5).as_bytes(), 1).unwrap();
    let mut client = Client::new(receiver.addr()).unwrap();
    for (query, headers, body) in [
        (
            "",
            ("content-type", "application/line-protocol"),
            line(0).as_bytes(),
        ),
        ("", ("x-points", "1"), in_message.as_bytes()),
        (
            "",
            ("content-type", "application/json; charset=utf-8"),
            json.as_bytes(),
        ),
        (
            "",
            ("content-type", "application/pbjson; proto=com.guance.Point"),
            pb_json.as_bytes(),
        ),
        ("", ("content-encoding", "gzip"), &gzip),
        ("?encoding=zstd", ("content-encoding", "gzip"), &zstd),
    ] {
        let reply = client
            .post(&format!("/v1/write/logging{query}"), &[headers], body)
            .unwrap();
        assert_eq!(
            reply.status,
            200,
            "{headers:?}: {}",
            String::from_utf8_lossy(&reply.body)
        );
    }
    let report = receiver.ledger().report();
    assert_eq!((report.delivered, report.anonymous), (6, 0));
    let heads = receiver.requests("/v1/write", 10);
    assert_eq!(heads.len(), 6);
    assert!(
        heads
            .iter()
            .all(|head| head.connection == 1 && head.status == 200 && head.notes.is_empty())
    );
    assert_eq!(heads[4].header("content-encoding"), Some("gzip"));
    client
        .post(
            "/v1/write/logging",
            &[("x-points", "7")],
            line(6).as_bytes(),
        )
        .unwrap();
    assert_eq!(
        receiver.requests("/", 1)[0].notes,
        ["x-points differs from the points in the body"]
    );
}

#[test]
fn otlp_json_ids_are_read_as_each_receiver_reads_them() {
    let id = RecordId::new(Route::OtelTraces, 0, 1);
    let body = |trace_id: &str, extra: &str| {
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"record_id","value":{{"stringValue":"{id}"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"{trace_id}","spanId":""{extra}}}]}}]}}]}}"#
        )
    };
    let hex = body("5b8efff798038103d269b633813fc60c", "");
    let base64 = body("W47/95gDgQPSabYzgT/GDA==", "");
    let unknown = body("5b8efff798038103d269b633813fc60c", r#","new":1"#);
    let (datakit, collector) = (datakit(), Receiver::collector().unwrap());
    let json = "application/json";
    assert_eq!(
        post(&collector, "/v1/traces", json, hex.as_bytes()).status,
        200
    );
    assert_eq!(
        post(&collector, "/v1/traces", json, unknown.as_bytes()).status,
        200
    );
    assert_eq!(
        post(&collector, "/v1/traces", json, base64.as_bytes()).status,
        400
    );
    assert_eq!(
        post(&datakit, "/otel/v1/traces", json, base64.as_bytes()).status,
        200
    );
    assert_eq!(datakit.traffic().noted, 0);
    assert_eq!(
        post(&datakit, "/otel/v1/traces", json, hex.as_bytes()).status,
        200
    );
    assert_eq!(datakit.traffic().noted, 1);
    assert_eq!(
        post(&datakit, "/otel/v1/traces", json, unknown.as_bytes()).status,
        400
    );
    assert_eq!(datakit.ledger().count(Route::OtelTraces), 1);
}

#[test]
fn the_collector_follows_the_standards() {
    let receiver = Receiver::collector().unwrap();
    let otlp = sample(Route::OtelMetrics, 0);
    let reply = post(
        &receiver,
        "/v1/metrics",
        "application/x-protobuf; v=1",
        &otlp.value,
    );
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some(PROTOBUF))
    );
    let merged = [
        sample(Route::OtelLogs, 0).value,
        sample(Route::OtelLogs, 1).value,
    ]
    .concat();
    assert_eq!(post(&receiver, "/v1/logs", PROTOBUF, &merged).status, 200);
    assert_eq!(receiver.ledger().count(Route::OtelLogs), 2);
    let reply = post(&receiver, "/v1/metrics", PROTOBUF, b"\x08");
    assert_eq!(reply.status, 400);
    assert_eq!(RpcStatus::decode(&*reply.body).unwrap().code, 3);
    assert_eq!(
        post(&receiver, "/v1/metrics", "text/plain", &otlp.value).status,
        415
    );
    assert_eq!(
        post(&receiver, "/otel/v1/metrics", PROTOBUF, &otlp.value).status,
        404
    );
    let batch = sample(Route::JaegerThrift, 0).value;
    assert_eq!(post(&receiver, "/api/traces", PROTOBUF, &batch).status, 400);
    assert_eq!(post(&receiver, "/api/traces", THRIFT, &batch).status, 202);
    assert_eq!(post(&receiver, "/write?db=x", "", b"m v=1 5").status, 204);
    assert_eq!(post(&receiver, "/write?db=x", "", b"m").status, 400);
}

fn batch(samples: &[Sample]) -> Vec<u8> {
    let entries: Vec<_> = samples
        .iter()
        .map(|sample| {
            serde_json::json!({"topic": "t", "value": base64_simd::STANDARD.encode_to_string(&sample.value), "offset": 3})
        })
        .collect();
    serde_json::to_vec(&entries).unwrap()
}

#[test]
fn a_handle_takes_batches_and_answers_with_points_that_datakit_takes() {
    for encoding in [
        PointEncoding::LineProtocol,
        PointEncoding::Json,
        PointEncoding::PbJson,
        PointEncoding::Protobuf,
    ] {
        let reply = HandleReply {
            encoding,
            category: Some("logging".to_owned()),
            gzip: false,
        };
        let handle = Receiver::handle(HandleOptions {
            reply: Some(reply),
            debug: false,
        })
        .unwrap();
        let samples: Vec<_> = (0..5).map(|n| sample(Route::Handle, n)).collect();
        let reply = post(&handle, "/any/path", "application/json", &batch(&samples));
        assert_eq!(
            (reply.status, reply.header("x-category")),
            (200, Some("logging"))
        );
        assert_eq!(handle.ledger().count(Route::Handle), 5);
        let datakit = datakit();
        let content_type = reply.header("content-type").unwrap();
        assert_eq!(
            post(&datakit, "/v1/write/logging", content_type, &reply.body).status,
            200,
            "{encoding:?}"
        );
        assert_eq!(
            datakit.ledger().seen(),
            handle.ledger().seen(),
            "{encoding:?}"
        );
    }
}

#[test]
fn a_handle_refuses_what_is_not_a_batch_and_takes_raw_records_in_debug_mode() {
    let handle = Receiver::handle(HandleOptions::default()).unwrap();
    for body in [
        "",
        "{}",
        r#"[{"topic":"t","value":"a"}]"#,
        r#"[{"value":null}]"#,
        r#"[{"topic":"","value":null}]"#,
    ] {
        assert_eq!(
            post(&handle, "/", "application/json", body.as_bytes()).status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        post(
            &handle,
            "/",
            "application/json",
            br#"[{"topic":"t","value":null}]"#
        )
        .status,
        200
    );
    assert_eq!(handle.ledger().report().anonymous, 1);
    let handle = Receiver::handle(HandleOptions {
        debug: true,
        reply: None,
    })
    .unwrap();
    assert_eq!(
        post(
            &handle,
            "/",
            "application/json",
            &sample(Route::Handle, 3).value
        )
        .status,
        200
    );
    assert_eq!(handle.ledger().count(Route::Handle), 1);
}

#[test]
fn a_log_without_text_is_answered_and_not_delivered() {
    let receiver = datakit();
    let id = RecordId::new(Route::SkywalkingLogs, 0, 0);
    let full = payload::log_data::log_data(id, &mut Faker::new(1, 1));
    let mut message = crate::wire::skywalking::LogData::decode(&*full.value).unwrap();
    message.body.as_mut().unwrap().content = None;
    assert_eq!(
        post(&receiver, "/v3/logging", PROTOBUF, &message.encode_to_vec()).status,
        200
    );
    assert_eq!(
        (receiver.ledger().total(), receiver.traffic().noted),
        (0, 1)
    );
}
