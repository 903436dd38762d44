//! The demo's topics, and a stream of records spread over all of them.
//!
//! Promise: a seed and a start time name the whole stream; sequences count without gaps in each
//! topic and partition, so that whoever took the first N records knows what must arrive.

use fastrand::Rng;

use crate::payload::{Faker, Sample, json_log};
use crate::record::{RecordId, Route};

/// A topic of the demo. Topics and routes belong together one to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// The topic's name.
    pub name: &'static str,
    /// Its number of partitions.
    pub partitions: u16,
    /// What its records are.
    pub route: Route,
    /// Its share of the stream, relative to the others.
    pub(crate) weight: u32,
}

const fn topic(name: &'static str, partitions: u16, route: Route, weight: u32) -> Topic {
    Topic {
        name,
        partitions,
        route,
        weight,
    }
}

/// The topics of the demo, one for each route.
pub const TOPICS: [Topic; 18] = [
    topic("skywalking-segments", 4, Route::SkywalkingSegments, 12),
    topic("skywalking-metrics", 1, Route::SkywalkingMetrics, 4),
    topic("skywalking-logging", 2, Route::SkywalkingLogs, 8),
    topic("skywalking-managements", 1, Route::SkywalkingManagements, 1),
    topic("skywalking-meters", 1, Route::SkywalkingMeters, 2),
    topic("skywalking-profilings", 1, Route::SkywalkingProfilings, 1),
    topic("jaeger-batches", 2, Route::JaegerThrift, 4),
    topic("jaeger-spans", 2, Route::JaegerProto, 6),
    topic("jaeger-spans-json", 1, Route::JaegerJson, 3),
    topic("otlp_spans", 4, Route::OtelTraces, 12),
    topic("otlp_metrics", 2, Route::OtelMetrics, 6),
    topic("otlp_logs", 2, Route::OtelLogs, 6),
    topic("app-logs", 4, Route::CustomLog, 20),
    topic("app-log-batches", 2, Route::CustomLogArray, 4),
    topic("app-metrics", 2, Route::CustomMetric, 8),
    topic("web-rum", 2, Route::CustomRum, 6),
    topic("device-frames", 2, Route::Handle, 6),
    topic("device-frames-checked", 1, Route::HandleFramed, 3),
];

/// The topic of a route.
#[must_use]
pub fn topic_of(route: Route) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.route == route)
}

/// A record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic to produce to.
    pub topic: &'static str,
    /// The partition to produce to.
    pub partition: u16,
    /// Key, value, headers and ids.
    pub sample: Sample,
}

/// An endless stream of records over all [`TOPICS`]: one of each first, then by weight. One log
/// line in twenty is of level `debug`, one checked frame in ten fails the header check.
#[derive(Debug, Clone)]
pub struct Scenario {
    faker: Faker,
    rng: Rng,
    produced: u64,
    /// The next sequence of each partition of each topic.
    sequences: Vec<Vec<u32>>,
}

impl Scenario {
    /// `start_ns` is the time of the first record in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(seed: u64, start_ns: u64) -> Self {
        Self {
            faker: Faker::new(seed, start_ns),
            rng: Rng::with_seed(!seed),
            produced: 0,
            sequences: TOPICS
                .iter()
                .map(|topic| vec![0; usize::from(topic.partitions)])
                .collect(),
        }
    }

    fn choose(&mut self) -> usize {
        let produced = self.produced as usize;
        if produced < TOPICS.len() {
            return produced;
        }
        let total: u32 = TOPICS.iter().map(|topic| topic.weight).sum();
        let mut left = self.rng.u32(0..total);
        let chosen = TOPICS
            .iter()
            .position(|topic| match left.checked_sub(topic.weight) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            });
        chosen.unwrap_or(0)
    }
}

impl Iterator for Scenario {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let at = self.choose();
        self.produced += 1;
        let topic = TOPICS.get(at)?;
        let partition = self.rng.u16(0..topic.partitions);
        let next = self
            .sequences
            .get_mut(at)?
            .get_mut(usize::from(partition))?;
        let id = RecordId::new(topic.route, partition, *next);
        *next += 1;
        let sample = if topic.route == Route::CustomLog && self.rng.u8(0..20) == 0 {
            json_log::debug_line(id, &mut self.faker)
        } else {
            Sample::of(id, &mut self.faker)
        };
        Some(Record {
            topic: topic.name,
            partition,
            sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::{Expectation, Rule};
    use crate::ledger::Ledger;
    use std::collections::BTreeMap;

    #[test]
    fn a_seed_names_the_stream() {
        let records: Vec<_> = Scenario::new(4, 1_000).take(300).collect();
        assert_eq!(
            records,
            Scenario::new(4, 1_000).take(300).collect::<Vec<_>>()
        );
        assert_ne!(
            records,
            Scenario::new(5, 1_000).take(300).collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_route_gets_records_and_sequences_have_no_gaps() {
        assert!(
            Route::ALL
                .into_iter()
                .all(|route| topic_of(route).is_some())
        );
        let mut next: BTreeMap<(&str, u16), u32> = BTreeMap::new();
        let first: Vec<_> = Scenario::new(1, 0)
            .take(TOPICS.len())
            .map(|record| record.topic)
            .collect();
        assert_eq!(first, TOPICS.map(|topic| topic.name));
        for record in Scenario::new(1, 0).take(3000) {
            let expected = next.entry((record.topic, record.partition)).or_default();
            assert_eq!(record.sample.ids[0].sequence, *expected);
            assert_eq!(record.sample.ids[0].partition, record.partition);
            *expected += 1;
        }
        let partitions: u16 = TOPICS.iter().map(|topic| topic.partitions).sum();
        assert_eq!(next.len(), usize::from(partitions));
    }

    #[test]
    fn what_is_delivered_by_the_rules_completes_the_table() {
        let mut expectation =
            Expectation::new([Rule::HeaderCheck, Rule::Script, Rule::NoDestination]);
        let ledger = Ledger::new();
        for record in Scenario::new(9, 0).take(2000) {
            expectation.produced(&record.sample);
            if expectation.rule_for(&record.sample).is_none() {
                ledger.delivered(&record.sample.ids, 1);
            }
        }
        let table = expectation.table(&[&ledger]);
        assert!(table.is_complete(), "{table}");
        assert_eq!(table.rows.len(), TOPICS.len());
        assert_eq!(table.rows.iter().map(|row| row.records).sum::<u64>(), 2000);
        let dropped = |route| {
            table
                .rows
                .iter()
                .find(|row| row.route == route)
                .unwrap()
                .dropped_by_rule
        };
        assert!(dropped(Route::CustomLog) > 0 && dropped(Route::HandleFramed) > 0);
        assert_eq!(dropped(Route::OtelTraces), 0);
    }
}
