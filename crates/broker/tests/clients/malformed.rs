//! Bytes that are not requests: they close their own connection and do not affect others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use kafkamq_broker::Broker;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::*;

/// Sends bytes, says it is done, and reads to the end: returns once the broker has closed the connection.
fn send(broker: &Broker, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(broker.bootstrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // Writing may fail when the broker has closed already.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("not closed"),
        _ => answer,
    }
}

fn framed(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((10 + body.len()) as i32).to_be_bytes().to_vec();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(7i32.to_be_bytes());
    bytes.extend([0xff, 0xff]);
    bytes.extend(body);
    bytes
}

#[test]
fn nonsense_never_harms_the_broker() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let consumer = member(&broker, "g", &["t"], &[]);
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    // Half of the bodies are made of small numbers, which are plausible as lengths and counts.
    let body = prop_oneof![bytes(), proptest::collection::vec(0..4u8, 0..200)];
    let request =
        (0..40i16, 0..14i16, body).prop_map(|(key, version, body)| framed(key, version, &body));
    let strategy = prop_oneof![1 => bytes(), 9 => request];
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        ..Config::default()
    });
    let result = runner.run(&strategy, |bytes| {
        send(&broker, &bytes);
        Ok(())
    });
    result.unwrap();
    broker.append("t", 0, None, Some(b"alive"), &[], 0).unwrap();
    poll_until(
        &[],
        || matches!(consumer.poll(Duration::from_millis(50)), Some(Ok(m)) if rdkafka::Message::payload(&m) == Some(b"alive")),
    );
}

#[test]
fn lengths_beyond_reason_close_the_connection() {
    let broker = broker();
    assert!(send(&broker, &[0xff; 20]).is_empty());
    assert!(send(&broker, &[0x7f, 0xff, 0xff, 0xff, 0, 0]).is_empty());
    // A metadata request of more than 4 MiB, cut off: refused at its second byte.
    assert!(send(&broker, &[0x00, 0x50, 0, 0, 0, 3, 0, 1]).is_empty());
    // Two billion topics.
    assert!(send(&broker, &framed(3, 1, &[0x7f, 0xff, 0xff, 0xff])).is_empty());
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_the_oldest() {
    let broker = broker();
    let answer = send(&broker, &framed(18, 99, &[]));
    // Length, correlation id, then UNSUPPORTED_VERSION.
    assert_eq!(answer[4..10], [0, 0, 0, 7, 0, 35]);
}
