//! The binary as other processes see it: its addresses, its control interface, its samples.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kafkamq_testbed::{Addresses, Faker, RecordId, Route, Sample};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_kafkamq-testbed");

struct Process {
    child: Child,
    addresses: Addresses,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["receive", "--control", "--until-stdin-closes"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            addresses: serde_json::from_str(&line).unwrap(),
        }
    }

    fn control(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let (status, body) = call(
            self.addresses.control.unwrap(),
            method,
            target,
            "application/json",
            body.as_bytes(),
        );
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn get(&self, target: &str) -> Value {
        let (status, value) = self.control("GET", target, "");
        assert_eq!(status, 200, "{value}");
        value
    }

    fn post_log(&self, sequence: u32) -> u16 {
        let line = format!(
            "t,record_id={} n=1i 5",
            RecordId::new(Route::CustomLog, 0, sequence)
        );
        call(
            self.addresses.datakit,
            "POST",
            "/v1/write/logging",
            "",
            line.as_bytes(),
        )
        .0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(
            std::thread::panicking() || status.success(),
            "closing stdin ends the process: {status}"
        );
    }
}

fn call(
    addr: SocketAddr,
    method: &str,
    target: &str,
    content_type: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len(),
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let end = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let status = std::str::from_utf8(&reply[9..12]).unwrap().parse().unwrap();
    (status, reply[end + 4..].to_vec())
}

#[test]
fn the_control_interface_shows_what_arrived_and_sets_faults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let process = Process::start(&["--port-file", file.to_str().unwrap()]);
    let written: Addresses = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, process.addresses);
    assert_eq!(
        serde_json::from_value::<Addresses>(process.get("/")).unwrap(),
        process.addresses
    );

    for sequence in [0, 1, 3] {
        assert_eq!(process.post_log(sequence), 200);
    }
    let ledger = process.get("/ledger");
    assert_eq!(ledger["datakit"]["routes"]["custom-log"]["delivered"], 3);
    let missing = process.get("/ledger/missing?route=custom-log&to=5");
    assert_eq!(
        (&missing["expected"], &missing["count"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(
        missing["missing"],
        json!(["kmq:custom-log/0/2", "kmq:custom-log/0/4"])
    );
    let elsewhere = process.get("/ledger/missing?route=custom-log&to=5&receiver=collector");
    assert_eq!(elsewhere["count"], 5);
    let heads = process.get("/requests?receiver=datakit&limit=2");
    assert_eq!(heads["datakit"].as_array().unwrap().len(), 2);
    assert_eq!(heads["datakit"][1]["path"], "/v1/write/logging");

    let fault = r#"[{"kind":{"status":{"status":503,"retry_after":{"seconds":2}}},"count":1}]"#;
    assert_eq!(
        process.control("POST", "/faults?receiver=datakit", fault).0,
        200
    );
    assert_eq!((process.post_log(2), process.post_log(2)), (503, 200));
    assert_eq!(process.get("/faults")["datakit"][0]["hits"], 1);
    assert_eq!(process.get("/traffic")["datakit"]["statuses"]["503"], 1);

    assert_eq!(process.control("POST", "/reset", "").0, 200);
    assert_eq!(process.get("/ledger")["datakit"]["delivered"], 0);
    assert_eq!(process.get("/faults")["datakit"], json!([]));
}

#[test]
fn waiting_ends_with_the_arrival_or_the_timeout() {
    let process = Process::start(&[]);
    let late = process.get("/ledger/await?route=custom-log&count=1&timeout_ms=10");
    assert_eq!(late, json!({"reached": false, "delivered": 0}));
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| process.get("/ledger/await?count=2&timeout_ms=20000"));
        assert_eq!(process.post_log(0), 200);
        assert_eq!(process.post_log(1), 200);
        waiting.join().unwrap()
    });
    assert_eq!(waiting, json!({"reached": true, "delivered": 2}));
}

#[test]
fn mistakes_are_named() {
    let process = Process::start(&[]);
    for (method, target, body, part) in [
        ("GET", "/nothing", "", "no such request"),
        ("GET", "/ledger?receiver=x", "", "receiver"),
        ("GET", "/ledger/missing?route=x&to=1", "", "route"),
        ("GET", "/ledger/missing?route=custom-log", "", "to"),
        ("GET", "/ledger/await", "", "count"),
        ("POST", "/faults", r#"[{"kind":"explode"}]"#, "explode"),
        ("POST", "/handle", r#"{"answer":1}"#, "answer"),
    ] {
        let (status, value) = process.control(method, target, body);
        assert_eq!(status, 400, "{target}");
        assert!(
            value["error"].as_str().unwrap().contains(part),
            "{target}: {value}"
        );
    }
}

#[test]
fn the_handle_is_set_up_by_arguments_and_changed_while_it_runs() {
    let process = Process::start(&[
        "--handle-points",
        "line-protocol",
        "--handle-category",
        "rum",
    ]);
    let sample = Sample::of(RecordId::new(Route::Handle, 0, 0), &mut Faker::new(1, 1));
    let value = base64_simd::STANDARD.encode_to_string(&sample.value);
    let batch = json!([{"topic": "t", "value": value}]).to_string();
    let post = || {
        call(
            process.addresses.handle,
            "POST",
            "/",
            "application/json",
            batch.as_bytes(),
        )
    };
    let (status, points) = post();
    assert_eq!(status, 200);
    assert!(points.starts_with(b"handle,record_id=kmq:handle/0/0,"));
    assert_eq!(process.control("POST", "/handle", "{}").0, 200);
    assert_eq!(post(), (200, Vec::new()));
}

#[test]
fn samples_are_printed_as_json_lines() {
    let print = |arguments: &[&str]| {
        let output = Command::new(BINARY)
            .arg("sample")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        let lines = output
            .stdout
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let lines = print(&[
        "--route",
        "handle-framed",
        "--partition",
        "2",
        "--from",
        "8",
        "--count",
        "2",
    ]);
    assert_eq!(lines[0]["ids"], json!(["kmq:handle-framed/2/8"]));
    assert_eq!(
        (&lines[0]["dropped_by"], &lines[1]["dropped_by"]),
        (&Value::Null, &json!("header-check"))
    );
    let value = base64_simd::STANDARD
        .decode_to_vec(lines[0]["value"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        RecordId::find(&value),
        Some(RecordId::new(Route::HandleFramed, 2, 8))
    );
    let mixed = [
        "--count",
        "40",
        "--seed",
        "3",
        "--start-ns",
        "1700000000000000000",
    ];
    assert_eq!(print(&mixed).len(), 40);
    assert_eq!(print(&mixed), print(&mixed));
}
