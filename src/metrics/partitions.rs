//! Gauges of single partitions, which become one series per topic when there are too many.
//!
//! Prometheus pays for every series; a member with thousands of partitions would be the most
//! expensive target of its server. Above the limit each topic has one series with
//! `partition="all"` that holds the sum over its partitions, so that queries that sum by topic do not
//! notice, and `kafkamq_partition_series_folded` tells that it is so.

use std::collections::{BTreeMap, HashMap};

use super::{FOLDED, Metrics};
use kafkamq_record::TopicPartition;

/// What is known of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PartitionGauges {
    /// Records that are not committed.
    pub(crate) lag: Option<i64>,
    /// Offset after the last record.
    pub(crate) high_watermark: Option<i64>,
    /// Committed offset.
    pub(crate) committed: Option<i64>,
}

/// The gauges of all assigned partitions.
#[derive(Debug)]
pub(crate) struct PartitionSeries {
    metrics: Metrics,
    limit: usize,
    folded: bool,
    known: HashMap<TopicPartition, PartitionGauges>,
}

impl PartitionSeries {
    /// None yet; `limit` partitions have series of their own.
    #[must_use]
    pub(crate) fn new(metrics: &Metrics, limit: usize) -> Self {
        metrics.partition_series_folded.set(0);
        Self {
            metrics: metrics.clone(),
            limit,
            folded: false,
            known: HashMap::new(),
        }
    }

    /// Whether partitions have no series of their own at present.
    #[must_use]
    pub(crate) const fn is_folded(&self) -> bool {
        self.folded
    }

    /// Takes what is known of some partitions. What is not known is left out: it is not zero.
    pub(crate) fn update<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = (&'a TopicPartition, PartitionGauges)>,
    ) {
        for (source, new) in partitions {
            self.known.insert(source.clone(), new);
        }
        self.publish();
    }

    /// Forgets partitions: a series of one that somebody else owns would show a lag that is not ours.
    pub(crate) fn remove<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut topics = Vec::new();
        for source in partitions {
            if self.known.remove(source).is_some() {
                self.clear(&source.topic, &source.partition.to_string());
                topics.push(source.topic.clone());
            }
        }
        topics.retain(|topic| !self.known.keys().any(|known| known.topic == *topic));
        for topic in topics {
            self.clear(&topic, FOLDED);
        }
        self.publish();
    }

    fn publish(&mut self) {
        let fold = self.known.len() > self.limit;
        if fold != self.folded {
            self.folded = fold;
            self.metrics.partition_series_folded.set(i64::from(fold));
            for source in self.known.keys() {
                let single = source.partition.to_string();
                self.clear(&source.topic, if fold { &single } else { FOLDED });
            }
        }
        if !fold {
            for (source, gauges) in &self.known {
                self.set(&source.topic, &source.partition.to_string(), *gauges);
            }
            return;
        }
        // A sum of which a part is not known is not known.
        let mut sums: BTreeMap<&str, PartitionGauges> = BTreeMap::new();
        let add = |sum: Option<i64>, more: Option<i64>| Some(sum?.saturating_add(more?));
        for (source, gauges) in &self.known {
            sums.entry(&source.topic)
                .and_modify(|sum| {
                    sum.lag = add(sum.lag, gauges.lag);
                    sum.high_watermark = add(sum.high_watermark, gauges.high_watermark);
                    sum.committed = add(sum.committed, gauges.committed);
                })
                .or_insert(*gauges);
        }
        for (topic, gauges) in sums {
            self.set(topic, FOLDED, gauges);
        }
    }

    fn set(&self, topic: &str, partition: &str, gauges: PartitionGauges) {
        for (metric, value) in [
            (&self.metrics.consumer_lag, gauges.lag),
            (&self.metrics.high_watermark_offset, gauges.high_watermark),
            (&self.metrics.committed_offset, gauges.committed),
        ] {
            match value {
                Some(value) => metric.with_label_values(&[topic, partition]).set(value),
                // It may never have had a value.
                None => drop(metric.remove_label_values(&[topic, partition])),
            }
        }
    }

    fn clear(&self, topic: &str, partition: &str) {
        for metric in [
            &self.metrics.consumer_lag,
            &self.metrics.high_watermark_offset,
            &self.metrics.committed_offset,
        ] {
            // It may never have had a value.
            drop(metric.remove_label_values(&[topic, partition]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(metrics: &Metrics) -> Vec<(String, i64)> {
        let families = metrics.registry().gather();
        let lag = families
            .iter()
            .find(|family| family.name() == "kafkamq_consumer_lag");
        let of = |metric: &prometheus::proto::Metric| {
            let labels: Vec<&str> = metric
                .get_label()
                .iter()
                .map(|label| label.value())
                .collect();
            (labels.join("/"), metric.get_gauge().get_value() as i64)
        };
        let mut found: Vec<_> = lag
            .into_iter()
            .flat_map(|lag| lag.get_metric())
            .map(of)
            .collect();
        found.sort();
        found
    }

    fn lag(lag: i64) -> PartitionGauges {
        PartitionGauges {
            lag: Some(lag),
            ..PartitionGauges::default()
        }
    }

    #[test]
    fn series_fold_above_the_limit_and_unfold_below() {
        let metrics = Metrics::try_new().unwrap();
        let mut partitions = PartitionSeries::new(&metrics, 2);
        let [a0, a1, b0] = [("a", 0), ("a", 1), ("b", 0)].map(|(t, p)| TopicPartition::new(t, p));
        let expect = |expected: &[(&str, i64)]| {
            let found = series(&metrics);
            let found: Vec<_> = found
                .iter()
                .map(|(name, lag)| (name.as_str(), *lag))
                .collect();
            assert_eq!(found, expected);
        };
        partitions.update([(&a0, lag(1)), (&a1, lag(2))]);
        expect(&[("0/a", 1), ("1/a", 2)]);
        partitions.update([(&b0, lag(4))]);
        expect(&[("all/a", 3), ("all/b", 4)]);
        assert_eq!(metrics.partition_series_folded.get(), 1);
        // Unknown is not zero, and a sum with an unknown part is unknown.
        partitions.update([(&a0, PartitionGauges::default())]);
        expect(&[("all/b", 4)]);
        partitions.remove([&b0]);
        expect(&[("1/a", 2)]);
        assert_eq!(metrics.partition_series_folded.get(), 0);
        partitions.remove([&a0, &a1]);
        expect(&[]);
    }
}
