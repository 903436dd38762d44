//! The part of the client library's statistics that kafkamq uses.

use std::collections::HashMap;

use serde::Deserialize;

use kafkamq_record::TopicPartition;

/// Positions of one assigned partition. `None` means not known yet, which is not the same as zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionStatistics {
    /// Offset after the last record that may be read.
    pub(crate) high_watermark: Option<i64>,
    /// Offset after the last record that a reader of committed records may have: records of
    /// transactions that are still open lie behind it.
    pub(crate) end: Option<i64>,
    /// Records waiting in the client's queue.
    pub(crate) prefetched_records: u64,
    /// Bytes waiting in the client's queue.
    pub(crate) prefetched_bytes: u64,
}

/// One report of the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Statistics {
    /// Assigned partitions.
    pub(crate) partitions: HashMap<TopicPartition, PartitionStatistics>,
    /// State of the consumer group membership, for example `up`.
    pub(crate) group_state: String,
    /// Join state, for example `steady`.
    pub(crate) join_state: String,
    /// Rebalances this client took part in.
    pub(crate) rebalances: u64,
    /// Brokers connected and known.
    pub(crate) brokers_up: u64,
    /// Brokers whose connection has stood for some seconds, as `host:port`. One that wants credentials,
    /// or gets wrong ones, is connected for a moment time and again.
    pub(crate) connected: Vec<String>,
}

impl Statistics {
    /// Whether the client says that it is connected to no broker. Then nobody knows whether there is
    /// anything to read. A client that reports nothing does not say so.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.brokers_up == 0 && !self.group_state.is_empty()
    }
}

#[derive(Deserialize)]
struct RawReport {
    #[serde(default)]
    topics: HashMap<String, RawTopic>,
    #[serde(default)]
    cgrp: Option<RawGroup>,
    #[serde(default)]
    brokers: HashMap<String, RawBroker>,
}

#[derive(Deserialize)]
struct RawBroker {
    #[serde(default)]
    nodename: String,
    /// Microseconds.
    #[serde(default, rename = "stateage")]
    state_age: i64,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
struct RawGroup {
    #[serde(default)]
    state: String,
    #[serde(default)]
    join_state: String,
    #[serde(default)]
    rebalance_cnt: u64,
}

#[derive(Deserialize)]
struct RawTopic {
    #[serde(default)]
    partitions: HashMap<String, RawPartition>,
}

#[derive(Deserialize)]
struct RawPartition {
    partition: i32,
    #[serde(default)]
    desired: bool,
    #[serde(default)]
    fetchq_cnt: u64,
    #[serde(default)]
    fetchq_size: u64,
    #[serde(default = "unknown")]
    hi_offset: i64,
    #[serde(default = "unknown")]
    ls_offset: i64,
}

/// Age of a connection that can be relied on, in microseconds.
const STANDS_AFTER: i64 = 2_500_000;

const fn unknown() -> i64 {
    -1
}

impl Statistics {
    /// Whether the client is a settled member of its group.
    #[must_use]
    pub(crate) fn is_member(&self) -> bool {
        self.group_state == "up" && self.join_state == "steady"
    }

    /// Reads a report. The client writes it, so a report that cannot be read is a defect worth a
    /// warning, not a failure.
    pub(super) fn parse(report: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawReport = serde_json::from_slice(report)?;
        let mut partitions = HashMap::new();
        for (topic, raw_topic) in raw.topics {
            let topic: std::sync::Arc<str> = topic.into();
            for partition in raw_topic.partitions.into_values() {
                if partition.partition < 0 || !partition.desired {
                    continue;
                }
                let high_watermark = (partition.hi_offset >= 0).then_some(partition.hi_offset);
                let stable = (partition.ls_offset >= 0).then_some(partition.ls_offset);
                let source =
                    TopicPartition::new(std::sync::Arc::clone(&topic), partition.partition);
                let statistics = PartitionStatistics {
                    high_watermark,
                    end: stable.or(high_watermark),
                    prefetched_records: partition.fetchq_cnt,
                    prefetched_bytes: partition.fetchq_size,
                };
                partitions.insert(source, statistics);
            }
        }
        let (group_state, join_state, rebalances) = raw
            .cgrp
            .map(|group| (group.state, group.join_state, group.rebalance_cnt))
            .unwrap_or_default();
        let brokers_up = raw
            .brokers
            .values()
            .filter(|broker| broker.state == "UP")
            .count() as u64;
        let stands = |broker: &&RawBroker| broker.state == "UP" && broker.state_age >= STANDS_AFTER;
        let connected = raw.brokers.values().filter(stands);
        let connected = connected.map(|broker| broker.nodename.clone()).collect();
        Ok(Self {
            partitions,
            group_state,
            join_state,
            rebalances,
            brokers_up,
            connected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_positions_are_none_and_foreign_partitions_left_out() {
        let report = br#"{"type":"consumer","brokers":{"a":{"state":"UP","nodename":"a:1","stateage":2600000},
            "b":{"state":"DOWN","nodename":"b:1","stateage":9000000}},
            "cgrp":{"state":"up","join_state":"steady","rebalance_cnt":2},
            "topics":{"t":{"partitions":{
              "-1":{"partition":-1,"desired":false},
              "0":{"partition":0,"desired":true,"fetchq_cnt":3,"fetchq_size":99,
                   "ls_offset":-1001,"hi_offset":50},
              "1":{"partition":1,"desired":true,"ls_offset":40,"hi_offset":50},
              "2":{"partition":2,"desired":false,"hi_offset":2},
              "3":{"partition":3,"desired":true,"hi_offset":-1001}}}}}"#;
        let statistics = Statistics::parse(report).unwrap();
        let mut ends: Vec<_> = statistics
            .partitions
            .iter()
            .map(|(source, known)| (source.partition, known.end))
            .collect();
        ends.sort_unstable();
        assert_eq!(ends, [(0, Some(50)), (1, Some(40)), (3, None)]);
        assert_eq!(
            statistics.partitions[&TopicPartition::new("t", 0)].high_watermark,
            Some(50)
        );
        assert_eq!(
            statistics.partitions[&TopicPartition::new("t", 0)].prefetched_bytes,
            99
        );
        assert_eq!(statistics.connected, ["a:1"]);
        assert_eq!((statistics.brokers_up, statistics.rebalances), (1, 2));
        assert_eq!(statistics.join_state, "steady");
    }

    #[test]
    fn only_a_report_says_that_no_broker_is_connected() {
        let report = |state: &str| {
            let brokers = format!(r#"{{"a":{{"state":"{state}","nodename":"a:1"}}}}"#);
            format!(r#"{{"brokers":{brokers},"cgrp":{{"state":"up"}}}}"#)
        };
        let parse = |text: String| Statistics::parse(text.as_bytes()).unwrap();
        assert!(parse(report("DOWN")).is_cut_off());
        assert!(!parse(report("UP")).is_cut_off());
        assert!(!Statistics::default().is_cut_off(), "nothing was reported");
    }
}
