//! Consumer groups: joining, sharing, leaving, committing.

use std::collections::BTreeSet;

use kafkamq_broker::{Broker, BrokerOptions, Departure, Event, EventKind, ResponseError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::support::*;

const RANGE: (&str, &str) = ("partition.assignment.strategy", "range");
const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");

fn with_topic(topic: &str, partitions: i32) -> Broker {
    let broker = broker();
    broker.create_topic(topic, partitions).unwrap();
    broker
}

/// Polls until the group is stable and all partitions of `t` are spread over these members as counted.
fn settle(broker: &Broker, consumers: &[&BaseConsumer], counts: &[usize]) {
    let partitions = broker.partitions("t").unwrap() as usize;
    poll_until(consumers, || {
        let held: Vec<_> = consumers
            .iter()
            .map(|consumer| assignment(consumer))
            .collect();
        let distinct: BTreeSet<_> = held.iter().flatten().collect();
        let stable = broker.generation("g").is_some_and(|(_, stable)| stable);
        stable
            && distinct.len() == partitions
            && held.iter().map(Vec::len).eq(counts.iter().copied())
    });
}

fn kinds(broker: &Broker, since: u64) -> Vec<EventKind> {
    broker
        .events_since(since)
        .into_iter()
        .map(|event| event.kind)
        .collect()
}

fn departures(broker: &Broker, since: u64) -> Vec<Departure> {
    let leave = |kind| match kind {
        EventKind::Leave { reason, .. } => Some(reason),
        _ => None,
    };
    kinds(broker, since).into_iter().filter_map(leave).collect()
}

fn commit(consumer: &BaseConsumer, partition: i32, offset: i64) -> rdkafka::error::KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", partition, Offset::Offset(offset))
        .unwrap();
    consumer.commit(&list, CommitMode::Sync)
}

#[test]
fn one_member_gets_everything_and_resumes_where_it_committed() {
    let broker = with_topic("t", 2);
    for strategy in [
        RANGE,
        COOPERATIVE,
        ("partition.assignment.strategy", "roundrobin"),
    ] {
        let group = strategy.1;
        for partition in 0..2 {
            let first = broker.high_watermark("t", partition).unwrap() == 0;
            if first {
                produce(&producer(&broker, &[]), "t", partition, &values("v", 10));
            }
        }
        let consumer = member(&broker, group, &["t"], &[strategy]);
        take(&consumer, 20);
        commit(&consumer, 0, 7).unwrap();
        commit(&consumer, 1, 10).unwrap();
        assert_eq!(broker.committed(group, "t", 0), Some(7));
        drop(consumer);
        assert_eq!(broker.members(group), [""; 0]);
        let again = member(&broker, group, &["t"], &[strategy]);
        let read = take(&again, 3);
        let read: Vec<_> = read.iter().map(|m| (m.partition(), m.offset())).collect();
        assert_eq!(read, [(0, 7), (0, 8), (0, 9)], "{group}");
    }
}

#[test]
fn two_members_share_and_the_last_one_takes_over() {
    for strategy in [RANGE, COOPERATIVE] {
        let broker = with_topic("t", 4);
        let first = member(&broker, "g", &["t"], &[strategy]);
        settle(&broker, &[&first], &[4]);
        let second = member(&broker, "g", &["t"], &[strategy]);
        settle(&broker, &[&first, &second], &[2, 2]);
        assert!(broker.wait_stable("g", 2, LIMIT));
        let before = broker.next_event();
        drop(second);
        settle(&broker, &[&first], &[4]);
        assert_eq!(departures(&broker, before), [Departure::Left]);
        // Cooperative members keep what they have while the group rebalances.
        let kept = kinds(&broker, before)
            .into_iter()
            .find_map(|kind| match kind {
                EventKind::Join { owned, .. } => Some(owned.len()),
                _ => None,
            });
        assert_eq!(kept, Some(if strategy == COOPERATIVE { 2 } else { 0 }));
    }
}

#[test]
fn a_silent_member_is_removed_and_its_partitions_go_to_the_others() {
    let broker = with_topic("t", 4);
    let short = [
        RANGE,
        ("session.timeout.ms", "1000"),
        ("max.poll.interval.ms", "1000"),
    ];
    let first = member(&broker, "g", &["t"], &[RANGE]);
    let second = member(&broker, "g", &["t"], &short);
    settle(&broker, &[&first, &second], &[2, 2]);
    let before = broker.next_event();
    // A consumer that is not polled leaves by itself after its poll interval; its heartbeats stop with it.
    settle(&broker, &[&first], &[4]);
    assert!(!departures(&broker, before).is_empty());
    drop(second);
}

#[test]
fn a_static_member_is_kept_over_a_restart_and_expires_when_it_stays_away() {
    let broker = with_topic("t", 2);
    let settings = [
        RANGE,
        ("group.instance.id", "one"),
        ("session.timeout.ms", "1000"),
    ];
    let consumer = member(&broker, "g", &["t"], &settings);
    settle(&broker, &[&consumer], &[2]);
    let generation = broker.generation("g");
    drop(consumer);
    let before = broker.next_event();
    let consumer = member(&broker, "g", &["t"], &settings);
    settle(&broker, &[&consumer], &[2]);
    assert_eq!(broker.generation("g"), generation);
    assert_eq!(departures(&broker, before), [Departure::Replaced]);
    drop(consumer);
    let expired = |event: &Event| {
        matches!(
            event.kind,
            EventKind::Leave {
                reason: Departure::SessionExpired,
                ..
            }
        )
    };
    assert!(broker.wait_event(before, LIMIT, expired).is_some());
    assert_eq!(broker.members("g"), [""; 0]);
}

#[test]
fn a_kicked_member_loses_its_partitions_and_comes_back() {
    let broker = with_topic("t", 2);
    let consumer = member(&broker, "g", &["t"], &[COOPERATIVE]);
    settle(&broker, &[&consumer], &[2]);
    let before = broker.next_event();
    let id = broker.members("g").remove(0);
    assert!(broker.kick("g", "nobody").is_err());
    broker.kick("g", &id).unwrap();
    let refused = commit(&consumer, 0, 1).unwrap_err();
    assert_eq!(
        refused.rdkafka_error_code(),
        Some(rdkafka::types::RDKafkaErrorCode::UnknownMemberId)
    );
    let events = kinds(&broker, before);
    assert!(events.iter().any(|kind| matches!(
        kind,
        EventKind::CommitRefused {
            error: ResponseError::UnknownMemberId,
            ..
        }
    )));
    poll_until(&[&consumer], || {
        broker
            .members("g")
            .first()
            .is_some_and(|member| *member != id)
            && assignment(&consumer).len() == 2
    });
}

#[test]
fn a_forced_rebalance_makes_everybody_join_again() {
    let broker = with_topic("t", 4);
    let first = member(&broker, "g", &["t"], &[COOPERATIVE]);
    let second = member(&broker, "g", &["t"], &[COOPERATIVE]);
    settle(&broker, &[&first, &second], &[2, 2]);
    let (generation, _) = broker.generation("g").unwrap();
    assert!(broker.rebalance("g"));
    poll_until(&[&first, &second], || {
        broker.generation("g").unwrap() > (generation, true)
    });
    settle(&broker, &[&first, &second], &[2, 2]);
    assert!(!broker.rebalance("nobody"));
}

#[test]
fn commits_are_recorded_with_who_owned_the_partition() {
    let broker = with_topic("t", 2);
    let first = member(&broker, "g", &["t"], &[COOPERATIVE]);
    settle(&broker, &[&first], &[2]);
    let second = member(&broker, "g", &["t"], &[COOPERATIVE]);
    settle(&broker, &[&first, &second], &[1, 1]);
    let mine = assignment(&first)[0].1;
    let before = broker.next_event();
    commit(&first, mine, 1).unwrap();
    commit(&first, 1 - mine, 1).unwrap();
    let owned = kinds(&broker, before)
        .into_iter()
        .filter_map(|kind| match kind {
            EventKind::Committed {
                partition, owned, ..
            } => Some((partition.1, owned)),
            _ => None,
        });
    assert_eq!(owned.collect::<Vec<_>>(), [(mine, true), (1 - mine, false)]);
}

#[test]
fn a_quiet_group_does_not_rebalance() {
    let broker = with_topic("t", 2);
    let consumer = member(&broker, "g", &["t"], &[RANGE]);
    settle(&broker, &[&consumer], &[2]);
    let before = broker.next_event();
    let heartbeats = broker.requests(kafkamq_broker::ApiKey::Heartbeat);
    poll_until(&[&consumer], || {
        broker.requests(kafkamq_broker::ApiKey::Heartbeat) >= heartbeats + 10
    });
    assert_eq!(kinds(&broker, before), []);
}

#[test]
fn a_topic_created_later_is_picked_up() {
    let options = BrokerOptions {
        auto_create_topics: false,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    broker.create_topic("present", 1).unwrap();
    broker
        .append("present", 0, None, Some(b"at once"), &[], 0)
        .unwrap();
    let consumer = member(&broker, "g", &["present", "absent"], &[COOPERATIVE]);
    assert_eq!(text(&take(&consumer, 1)[0]), "at once");
    assert_eq!(broker.partitions("absent"), None);
    broker.create_topic("absent", 1).unwrap();
    broker
        .append("absent", 0, None, Some(b"later"), &[], 0)
        .unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "later");
    broker.add_partitions("absent", 2).unwrap();
    broker
        .append("absent", 1, None, Some(b"wider"), &[], 0)
        .unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "wider");
}

#[test]
fn groups_are_listed_and_described() {
    let broker = with_topic("t", 2);
    let consumer = member(&broker, "g", &["t"], &[RANGE, ("client.id", "me")]);
    settle(&broker, &[&consumer], &[2]);
    let groups = consumer.fetch_group_list(None, LIMIT).unwrap();
    let group = groups
        .groups()
        .iter()
        .find(|group| group.name() == "g")
        .unwrap();
    assert_eq!((group.state(), group.protocol()), ("Stable", "range"));
    assert_eq!(group.members()[0].client_id(), "me");
    assert!(group.members()[0].assignment().is_some());
}

#[test]
fn members_that_start_together_form_one_generation_within_the_initial_delay() {
    let options = BrokerOptions {
        initial_rebalance_delay: std::time::Duration::from_secs(1),
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    broker.create_topic("t", 4).unwrap();
    let first = member(&broker, "g", &["t"], &[RANGE]);
    let second = member(&broker, "g", &["t"], &[RANGE]);
    settle(&broker, &[&first, &second], &[2, 2]);
    assert_eq!(broker.generation("g"), Some((1, true)));
}
