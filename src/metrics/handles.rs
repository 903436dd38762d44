//! Series that actors move, resolved once for each of them: nothing is looked up by label for a record.

use prometheus::{Counter, Histogram, IntCounter, IntGauge};

use super::{FOLDED, Metrics};
use kafkamq_record::LeftOut;
use kafkamq_record::Outcome;

/// Children of one topic's metrics, resolved once.
#[derive(Debug, Clone)]
pub(crate) struct TopicMetrics {
    /// See [`Metrics::records_received`].
    pub(crate) received: IntCounter,
    /// See [`Metrics::received_bytes`].
    pub(crate) received_bytes: IntCounter,
    /// See [`Metrics::batches_in_flight`].
    pub(crate) batches_in_flight: IntGauge,
    /// See [`Metrics::in_flight_bytes`].
    pub(crate) in_flight_bytes: IntGauge,
    /// See [`Metrics::backpressure_seconds`].
    pub(crate) backpressure: Counter,
    /// See [`Metrics::offsets_skipped`].
    pub(crate) offsets_skipped: IntCounter,
    /// See [`Metrics::split_failures`].
    pub(crate) split_failures: IntCounter,
    outcomes: [IntCounter; Outcome::ALL.len()],
    left_out: [IntCounter; LeftOut::ALL.len()],
}

impl TopicMetrics {
    /// The children of `topic`.
    #[must_use]
    pub(crate) fn new(metrics: &Metrics, topic: &str) -> Self {
        let topic = &[topic];
        Self {
            received: metrics.records_received.with_label_values(topic),
            received_bytes: metrics.received_bytes.with_label_values(topic),
            batches_in_flight: metrics.batches_in_flight.with_label_values(topic),
            in_flight_bytes: metrics.in_flight_bytes.with_label_values(topic),
            backpressure: metrics.backpressure_seconds.with_label_values(topic),
            offsets_skipped: metrics.offsets_skipped.with_label_values(topic),
            split_failures: metrics.split_failures.with_label_values(topic),
            outcomes: Outcome::ALL.map(|outcome| {
                metrics
                    .records_processed
                    .with_label_values(&[topic[0], outcome.label()])
            }),
            left_out: LeftOut::ALL.map(|rule| {
                metrics
                    .parts_left_out
                    .with_label_values(&[topic[0], rule.label()])
            }),
        }
    }

    /// Counts an element or point that a rule left out.
    pub(crate) fn left_out(&self, rule: LeftOut) {
        if let Some(counter) = self.left_out.get(rule as usize) {
            counter.inc();
        }
    }

    /// Counts records that ended with `outcome`.
    pub(crate) fn settled(&self, outcome: Outcome, records: u64) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc_by(records);
        }
    }
}

/// The original's counters of one partition, for dashboards made for it.
#[derive(Debug, Clone)]
pub(crate) struct HandledCounters {
    /// Records settled.
    pub(crate) ok: IntCounter,
    /// Records that came back and were sent again.
    pub(crate) fail: IntCounter,
}

impl HandledCounters {
    /// The children of one partition.
    #[must_use]
    pub(crate) fn new(metrics: &Metrics, topic: &str, partition: i32) -> Self {
        Self::labelled(metrics, topic, &partition.to_string())
    }

    /// The children that stand for all partitions of a topic.
    #[must_use]
    pub(crate) fn folded(metrics: &Metrics, topic: &str) -> Self {
        Self::labelled(metrics, topic, FOLDED)
    }

    fn labelled(metrics: &Metrics, topic: &str, partition: &str) -> Self {
        let of = |status| {
            let labels = &[topic, partition, status];
            metrics.original_messages.with_label_values(labels)
        };
        Self {
            ok: of("ok"),
            fail: of("fail"),
        }
    }
}

/// Children of one destination's metrics, resolved once.
#[derive(Debug, Clone)]
pub(crate) struct DestinationMetrics {
    metrics: Metrics,
    destination: String,
    /// See [`Metrics::delivery_seconds`].
    pub(crate) delivery_seconds: Histogram,
    /// See [`Metrics::destination_state`].
    pub(crate) state: IntGauge,
    /// See [`Metrics::destination_queue`].
    pub(crate) queued: IntGauge,
    /// See [`Metrics::destination_refusing_since`].
    pub(crate) refusing_since: IntGauge,
    /// See [`Metrics::destination_suspects`].
    pub(crate) suspects: IntGauge,
    /// See [`Metrics::destination_concurrency`].
    pub(crate) concurrency: IntGauge,
    /// See [`Metrics::partial_rejections`].
    pub(crate) partial_rejections: IntCounter,
    /// Accepted items.
    pub(crate) delivered: IntCounter,
    /// Items refused for good.
    pub(crate) rejected: IntCounter,
    success: IntCounter,
}

impl DestinationMetrics {
    /// The children of destination `destination`.
    #[must_use]
    pub(crate) fn new(metrics: &Metrics, destination: &str) -> Self {
        Self {
            delivery_seconds: metrics.delivery_seconds.with_label_values(&[destination]),
            state: metrics.destination_state.with_label_values(&[destination]),
            queued: metrics.destination_queue.with_label_values(&[destination]),
            refusing_since: metrics
                .destination_refusing_since
                .with_label_values(&[destination]),
            suspects: metrics
                .destination_suspects
                .with_label_values(&[destination]),
            concurrency: metrics
                .destination_concurrency
                .with_label_values(&[destination]),
            partial_rejections: metrics.partial_rejections.with_label_values(&[destination]),
            delivered: metrics
                .points_forwarded
                .with_label_values(&[destination, "delivered"]),
            rejected: metrics
                .points_forwarded
                .with_label_values(&[destination, "rejected"]),
            success: metrics.requests.with_label_values(&[destination, "200"]),
            metrics: metrics.clone(),
            destination: destination.to_owned(),
        }
    }

    /// Counts one request by its status or the layer that failed.
    pub(crate) fn request(&self, status: &str) {
        if status == "200" {
            self.success.inc();
        } else {
            self.metrics
                .requests
                .with_label_values(&[&self.destination, status])
                .inc();
        }
    }

    /// Counts points that are dropped for `reason`.
    pub(crate) fn dropped(&self, reason: &str, points: usize) {
        self.metrics
            .destination_dropped
            .with_label_values(&[&self.destination, reason])
            .inc_by(points as u64);
    }

    /// Counts one request that will be sent again.
    pub(crate) fn retry(&self, reason: &str) {
        self.metrics
            .retries
            .with_label_values(&[&self.destination, reason])
            .inc();
    }
}
