//! The output `stdout` as its readers meet it: one that is slow, one that goes, a full disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "a test thread may sleep")]

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafkamq_broker::{Broker, BrokerOptions, Record};

const WAIT: Duration = Duration::from_secs(60);
/// More than any pipe holds, with its value of a kilobyte each.
const RECORDS: i64 = 500;

struct Rig {
    broker: Broker,
    folder: tempfile::TempDir,
}

/// Kills the service when its test ends.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Rig {
    fn new() -> Self {
        let broker = Broker::start(BrokerOptions::default()).unwrap();
        broker.create_topic("logs", 1).unwrap();
        let records: Vec<Record> = (0..RECORDS)
            .map(|number| Record {
                value: Some(format!("record-{number:04} {}", "x".repeat(1000)).into()),
                ..Default::default()
            })
            .collect();
        broker.append_records("logs", 0, &records).unwrap();
        Self {
            broker,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&self, stdout: Stdio) -> Service {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = port.local_addr().unwrap().port();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[output]\nkind = \"stdout\"\n\
             batch_points = 50\n[[inputs.kafkamq]]\naddrs = [\"{}\"]\ngroup_id = \"group\"\n\
             offsets = \"oldest\"\ncommit_interval = \"100ms\"\nsession_timeout = \"6s\"\ndrain_timeout = \"3s\"\nheartbeat_interval = \"500ms\"\n\
             [inputs.kafkamq.custom.log_topic_map]\nlogs = \"-\"\n",
            self.broker.bootstrap()
        );
        std::fs::write(self.folder.path().join("kafkamq.toml"), config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kafkamq"))
            .args(["run", "--config", "kafkamq.toml"])
            .current_dir(self.folder.path())
            .stdout(stdout)
            .stderr(std::fs::File::create(self.folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Service(child)
    }

    fn committed(&self) -> i64 {
        self.broker.committed("group", "logs", 0).unwrap_or(0)
    }

    fn wait_log(&self, text: &str) {
        let deadline = Instant::now() + WAIT;
        loop {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            if log.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_committed(&self) {
        let done = self
            .broker
            .wait_committed("group", "logs", 0, RECORDS, WAIT);
        assert!(done, "{} of {RECORDS}", self.committed());
    }
}

fn count(text: &str) -> usize {
    let mut found: Vec<&str> = text
        .split("record-")
        .skip(1)
        .filter_map(|rest| rest.get(..4))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.len()
}

#[test]
fn a_reader_that_hangs_holds_the_topic_and_gets_all_in_the_end() {
    let rig = Rig::new();
    let mut service = rig.start(Stdio::piped());
    let mut stdout = service.0.stdout.take().unwrap();
    // It has begun to write, and no pipe holds all of it.
    stdout.read_exact(&mut [0]).unwrap();
    assert!(rig.committed() < RECORDS);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    rig.wait_committed();
    drop(service);
    assert_eq!(count(&reader.join().unwrap()), RECORDS as usize);
}

#[test]
fn a_reader_that_is_gone_raises_an_alarm_and_nothing_is_committed() {
    let rig = Rig::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let service = rig.start(writer.into());
    rig.wait_log("state=\"alarm\"");
    assert_eq!(rig.committed(), 0);
    drop(service);
    let mut service = rig.start(Stdio::piped());
    let mut stdout = service.0.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    rig.wait_committed();
    drop(service);
    assert_eq!(count(&reader.join().unwrap()), RECORDS as usize);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_holds_the_topic() {
    let rig = Rig::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let service = rig.start(full.into());
    rig.wait_log("state=\"backing_off\"");
    assert_eq!(rig.committed(), 0);
    drop(service);
}
