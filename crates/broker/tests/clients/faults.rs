//! Faults as clients meet them.

use std::time::Duration;

use kafkamq_broker::{ApiKey, Broker, BrokerOptions, EventKind, Fault, ResponseError};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::support::*;

#[test]
fn clients_carry_on_after_the_broker_was_down() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let producer = producer(&broker, &[]);
    let consumer = member(&broker, "g", &["t"], &[]);
    produce(&producer, "t", 0, &values("before", 1));
    assert_eq!(text(&take(&consumer, 1)[0]), "before-0");
    let (generation, _) = broker.generation("g").unwrap();

    broker.go_down().unwrap();
    broker.go_down().unwrap();
    assert!(std::net::TcpStream::connect(broker.bootstrap()).is_err());
    let mut noticed = false;
    poll_until(&[], || {
        noticed |= matches!(consumer.poll(Duration::from_millis(20)), Some(Err(_)));
        noticed
    });
    broker
        .append("t", 0, None, Some(b"meanwhile"), &[], 0)
        .unwrap();
    broker.come_up().unwrap();
    broker.come_up().unwrap();

    produce(&producer, "t", 0, &values("after", 1));
    let read: Vec<_> = take(&consumer, 2).iter().map(text).collect();
    assert_eq!(read, ["meanwhile", "after-0"]);
    // Shorter than the session timeout: the group has not noticed.
    assert_eq!(broker.generation("g"), Some((generation, true)));
}

#[test]
fn dropped_connections_are_opened_again() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let consumer = member(&broker, "g", &["t"], &[]);
    for round in values("v", 3) {
        broker
            .append("t", 0, None, Some(round.as_bytes()), &[], 0)
            .unwrap();
        assert_eq!(text(&take(&consumer, 1)[0]), round);
        broker.drop_connections().unwrap();
    }
}

#[test]
fn an_injected_code_is_answered_once() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let consumer = member(&broker, "g", &["t"], &[]);
    poll_until(&[&consumer], || assignment(&consumer).len() == 1);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(5))
        .unwrap();
    broker.inject(
        ApiKey::OffsetCommit,
        Fault::Error(ResponseError::IllegalGeneration),
        1,
    );
    let refused = consumer.commit(&list, CommitMode::Sync).unwrap_err();
    assert_eq!(
        refused.rdkafka_error_code(),
        Some(RDKafkaErrorCode::IllegalGeneration)
    );
    assert_eq!(broker.committed("g", "t", 0), None);
    poll_until(&[&consumer], || {
        consumer.commit(&list, CommitMode::Sync).is_ok()
    });
    assert_eq!(broker.committed("g", "t", 0), Some(5));
}

#[test]
fn fetching_goes_on_after_passing_errors() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let consumer = member(&broker, "g", &["t"], &[("fetch.error.backoff.ms", "10")]);
    broker.append("t", 0, None, Some(b"1"), &[], 0).unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "1");
    broker.inject(
        ApiKey::Fetch,
        Fault::Error(ResponseError::NotLeaderOrFollower),
        2,
    );
    broker.inject(ApiKey::Fetch, Fault::Disconnect, 2);
    broker.inject(ApiKey::Fetch, Fault::Delay(Duration::from_millis(20)), 1);
    let before = broker.requests(ApiKey::Fetch);
    broker.append("t", 0, None, Some(b"2"), &[], 0).unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "2");
    poll_until(&[&consumer], || {
        broker.requests(ApiKey::Fetch) >= before + 6
    });
    broker.append("t", 0, None, Some(b"3"), &[], 0).unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "3");
}

#[test]
fn a_commit_whose_answer_is_lost_is_stored() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let consumer = member(&broker, "g", &["t"], &[]);
    poll_until(&[&consumer], || assignment(&consumer).len() == 1);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(5))
        .unwrap();
    broker.inject(ApiKey::OffsetCommit, Fault::LoseResponse, 1);
    consumer.commit(&list, CommitMode::Async).unwrap();
    assert!(broker.wait_committed("g", "t", 0, 5, LIMIT));
    let commits = broker
        .events()
        .into_iter()
        .filter(|e| matches!(e.kind, EventKind::Committed { .. }));
    assert!(commits.count() >= 1);
}

#[test]
fn a_latency_holds_back_every_answer_until_it_is_cleared() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    broker.set_latency(Duration::from_secs(3600));
    let consumer = member(&broker, "g", &["t"], &[]);
    assert!(
        consumer
            .fetch_metadata(None, Duration::from_millis(300))
            .is_err()
    );
    broker.clear_faults();
    broker.drop_connections().unwrap();
    assert!(consumer.fetch_metadata(Some("t"), LIMIT).is_ok());
}

#[test]
fn a_stopped_broker_leaves_its_port_to_the_next() {
    let broker = broker();
    let port = broker.port();
    let again = Broker::start(BrokerOptions {
        port,
        ..BrokerOptions::default()
    });
    assert!(again.is_err());
    broker.stop();
    let again = Broker::start(BrokerOptions {
        port,
        ..BrokerOptions::default()
    })
    .unwrap();
    assert_eq!(again.port(), port);
}
