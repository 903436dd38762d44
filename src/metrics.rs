//! Every metric of the service: its name, help, labels, and the event that moves it.
//!
//! Label values come from configuration (topics, destinations, inputs) or from a closed set in the
//! code, never from records. Children are resolved once per actor, not per record. A test compares
//! names, labels and help with `docs/metrics.md`.

mod handles;
mod partitions;
mod registration;
mod scripts;

use std::fmt;
use std::sync::Arc;

use prometheus::{
    CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

use self::registration::{Adder, Labelled};

pub(crate) use handles::{DestinationMetrics, HandledCounters, TopicMetrics};
pub(crate) use partitions::{PartitionGauges, PartitionSeries};

/// The partition of series that stand for all partitions of their topic.
const FOLDED: &str = "all";

/// Seconds; requests to a collector next door take well under a millisecond.
const DELIVERY_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Seconds; most changes touch nothing but memory, some wait for records in flight.
const RELOAD_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// All metrics with the registry that exports them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    #[cfg(test)]
    definitions: Arc<[registration::Definition]>,
    labelled: Arc<[Box<dyn Labelled>]>,
    /// Records read from Kafka.
    pub(crate) records_received: IntCounterVec,
    /// Bytes of keys and values read from Kafka.
    pub(crate) received_bytes: IntCounterVec,
    /// Records settled, by outcome.
    pub(crate) records_processed: IntCounterVec,
    /// Points handed to a destination, by outcome.
    pub(crate) points_forwarded: IntCounterVec,
    /// Requests answered or failed, by destination and status.
    pub(crate) requests: IntCounterVec,
    /// Time of a request, from its first byte to the answer.
    pub(crate) delivery_seconds: HistogramVec,
    /// Requests tried again.
    pub(crate) retries: IntCounterVec,
    /// 0 up, 1 backing off, 2 held by a configuration fault.
    pub(crate) destination_state: IntGaugeVec,
    /// Items queued at a destination.
    pub(crate) destination_queue: IntGaugeVec,
    /// When a destination, or its first suspect, was refused first; 0 while all is accepted.
    pub(crate) destination_refusing_since: IntGaugeVec,
    /// Requests that are refused time and again.
    pub(crate) destination_suspects: IntGaugeVec,
    /// Points dropped that no offset brings back, by reason.
    pub(crate) destination_dropped: IntCounterVec,
    /// Requests at once, found out for each destination.
    pub(crate) destination_concurrency: IntGaugeVec,
    /// Copies of points for the recorder.
    pub(crate) recorder_points: IntCounterVec,
    /// Elements that a receiver refused inside an accepted request.
    pub(crate) partial_rejections: IntCounterVec,
    /// Elements and points that a rule left out.
    pub(crate) parts_left_out: IntCounterVec,
    /// Bytes fetched and not read yet.
    pub(crate) prefetched_bytes: IntGaugeVec,
    /// Bytes charged to the account of the service.
    pub(crate) charged_bytes: IntGauge,
    /// Bytes that scripts keep between runs, by what keeps them.
    pub(crate) script_kept_bytes: IntGaugeVec,
    /// Values that aggregation refused for want of room.
    pub(crate) script_refused_values: IntCounter,
    /// Batches not settled yet.
    pub(crate) batches_in_flight: IntGaugeVec,
    /// Bytes of records not settled yet.
    pub(crate) in_flight_bytes: IntGaugeVec,
    /// Time during which a partition was not read because its credits were used up.
    pub(crate) backpressure_seconds: CounterVec,
    /// Records between committed offset and high watermark.
    pub(crate) consumer_lag: IntGaugeVec,
    /// Offset after the last record.
    pub(crate) high_watermark_offset: IntGaugeVec,
    /// Offset that the group has committed, for each partition.
    pub(crate) committed_offset: IntGaugeVec,
    /// 1 while a partition is not read, by cause.
    pub(crate) partition_blocked: IntGaugeVec,
    /// 1 while series of partitions are folded into one per topic.
    pub(crate) partition_series_folded: IntGauge,
    /// Offsets that no longer existed when they should have been read.
    pub(crate) offsets_skipped: IntCounterVec,
    /// Assignments and revocations.
    pub(crate) rebalances: IntCounterVec,
    /// Commits, by outcome.
    pub(crate) commits: IntCounterVec,
    /// Client errors, by input.
    pub(crate) kafka_errors: IntCounterVec,
    /// 1 while the input is a member of its group.
    pub(crate) input_joined: IntGaugeVec,
    /// Script runs that ended in an error.
    pub(crate) script_errors: IntCounterVec,
    /// Dead letters, by topic and reason.
    pub(crate) dead_letters: IntCounterVec,
    /// Dead letters that could not be written, so that their partition waits.
    pub(crate) dead_letter_failures: IntCounter,
    /// Dead letters that are not written yet.
    pub(crate) dead_letters_open: IntGauge,
    /// Actors started again after they died.
    pub(crate) actor_restarts: IntCounterVec,
    /// Values that should have been split and were not arrays.
    pub(crate) split_failures: IntCounterVec,
    /// Number of the configuration revision that runs.
    pub(crate) config_revision: IntGauge,
    /// Whether the last attempt to change the configuration succeeded.
    pub(crate) config_last_reload_success: IntGauge,
    /// Attempts to change the configuration, by who made them and how they ended.
    pub(crate) config_reloads: IntCounterVec,
    /// Time of a change of the configuration.
    pub(crate) config_reload_seconds: Histogram,
    /// The original's counter.
    pub(crate) original_messages: IntCounterVec,
    /// The original's counter.
    pub(crate) original_elections: IntCounter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Creates and registers all metrics.
    ///
    /// # Errors
    /// When a name is registered twice, which is a defect of this file.
    pub(crate) fn try_new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let add = Adder::new(&registry);
        let build = add.gauges(
            "kafkamq_build_info",
            "Version of the running binary; always 1.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let mut metrics = Self {
            records_received: add.counters(
                "kafkamq_records_received_total",
                "Records read from Kafka.",
                &["topic"],
            )?,
            received_bytes: add.counters(
                "kafkamq_received_bytes_total",
                "Bytes of keys and values read from Kafka.",
                &["topic"],
            )?,
            records_processed: add.counters(
                "kafkamq_records_processed_total",
                "Records settled, by what became of them.",
                &["topic", "outcome"],
            )?,
            points_forwarded: add.counters(
                "kafkamq_points_forwarded_total",
                "Points or payloads that a destination accepted or refused for good.",
                &["destination", "outcome"],
            )?,
            requests: add.counters(
                "kafkamq_requests_total",
                "Requests to a destination, by HTTP status, `taken` or `refused` without HTTP, or the layer that failed.",
                &["destination", "status"],
            )?,
            delivery_seconds: add.histograms(
                "kafkamq_delivery_seconds",
                "Time from sending a request to its answer.",
                &["destination"],
                &DELIVERY_BUCKETS,
            )?,
            retries: add.counters(
                "kafkamq_delivery_retries_total",
                "Requests sent again, by the class of the failure.",
                &["destination", "reason"],
            )?,
            destination_state: add.gauges(
                "kafkamq_destination_state",
                "State of a destination: 0 up, 1 backing off, 2 held by a configuration fault.",
                &["destination"],
            )?,
            destination_queue: add.gauges(
                "kafkamq_destination_queued_items",
                "Items that wait at a destination or are in flight to it.",
                &["destination"],
            )?,
            destination_refusing_since: add.gauges(
                "kafkamq_destination_refusing_since_seconds",
                "Unix time since when a destination accepts nothing, or a suspect is refused; 0 while all is well.",
                &["destination"],
            )?,
            destination_suspects: add.gauges(
                "kafkamq_destination_suspects",
                "Requests that are refused time and again, so that others are sent before them.",
                &["destination"],
            )?,
            destination_dropped: add.counters(
                "kafkamq_destination_dropped_total",
                "Points that were dropped: of an output that is not required, or of aggregation.",
                &["destination", "reason"],
            )?,
            destination_concurrency: add.gauges(
                "kafkamq_destination_concurrency",
                "Requests that a destination is given at once, as found out by its answers.",
                &["destination"],
            )?,
            recorder_points: add.counters(
                "kafkamq_recorder_points_total",
                "Copies of points that the recorder took, or dropped because it could not keep up.",
                &["outcome"],
            )?,
            partial_rejections: add.counters(
                "kafkamq_partial_rejections_total",
                "Elements that a receiver refused inside a request it accepted.",
                &["destination"],
            )?,
            parts_left_out: add.counters(
                "kafkamq_parts_left_out_total",
                "Elements and points that a rule left out: `script`, `age`, `category` (no output takes it), `no_field`. Their records count by what became of the rest.",
                &["topic", "rule"],
            )?,
            prefetched_bytes: add.gauges(
                "kafkamq_prefetched_bytes",
                "Records that the client of an input has fetched and that were not read yet. At least one fetched batch of each partition, however small the memory limit is.",
                &["input"],
            )?,
            charged_bytes: add.gauge(
                "kafkamq_memory_charged_bytes",
                "Bytes of records in flight, and of what was made of them, that are charged to the memory limit.",
            )?,
            script_kept_bytes: add.gauges(
                "kafkamq_script_kept_bytes",
                "Bytes that scripts keep between runs: groups and points (`aggregation`), or caches and windows (`caches`). Each may take at most half of the memory of scripts.",
                &["kind"],
            )?,
            script_refused_values: add.counter(
                "kafkamq_script_refused_values_total",
                "Values that aggregation refused because there was no room for a new group or field.",
            )?,
            batches_in_flight: add.gauges(
                "kafkamq_batches_in_flight",
                "Batches of records that are not settled yet.",
                &["topic"],
            )?,
            in_flight_bytes: add.gauges(
                "kafkamq_in_flight_bytes",
                "Memory held by records that are not settled yet.",
                &["topic"],
            )?,
            backpressure_seconds: add.float_counters(
                "kafkamq_backpressure_seconds_total",
                "Time during which partitions were not read because their credits were used up.",
                &["topic"],
            )?,
            consumer_lag: add.gauges(
                "kafkamq_consumer_lag",
                "Records between the committed offset, or before the first commit the offset at which reading began, and the last record that may be read; no sample while that is not known.",
                &["topic", "partition"],
            )?,
            high_watermark_offset: add.gauges(
                "kafkamq_high_watermark_offset",
                "Offset after the last record of the partition.",
                &["topic", "partition"],
            )?,
            committed_offset: add.gauges(
                "kafkamq_committed_offset",
                "Committed offset of the partition.",
                &["topic", "partition"],
            )?,
            partition_blocked: add.gauges(
                "kafkamq_partition_blocked",
                "1 while a partition is not read for some seconds or its commits are not confirmed; the number of such partitions where they have no series of their own.",
                &["input", "topic", "partition", "cause"],
            )?,
            partition_series_folded: add.gauge(
                "kafkamq_partition_series_folded",
                "1 while there are more partitions than `limits.partition_series`, so that each topic has one series, with partition \"all\".",
            )?,
            offsets_skipped: add.counters(
                "kafkamq_offsets_skipped_total",
                "Offsets that no longer existed when they should have been read.",
                &["topic"],
            )?,
            rebalances: add.counters(
                "kafkamq_rebalances_total",
                "Changes of the assignment, by kind.",
                &["input", "kind"],
            )?,
            commits: add.counters(
                "kafkamq_commits_total",
                "Offset commits, by outcome.",
                &["input", "outcome"],
            )?,
            kafka_errors: add.counters(
                "kafkamq_kafka_errors_total",
                "Errors that the Kafka client reported.",
                &["input"],
            )?,
            input_joined: add.gauges(
                "kafkamq_input_joined",
                "1 while the input is a steady member of its consumer group.",
                &["input"],
            )?,
            script_errors: add.counters(
                "kafkamq_script_errors_total",
                "Script runs that ended in an error.",
                &["script", "code"],
            )?,
            dead_letters: add.counters(
                "kafkamq_dead_letters_total",
                "Records written to the dead letters.",
                &["topic", "stage"],
            )?,
            dead_letter_failures: add.counter(
                "kafkamq_dead_letter_failures_total",
                "Failed attempts to write dead letters; their partitions wait.",
            )?,
            dead_letters_open: add.gauge(
                "kafkamq_dead_letters_open",
                "Dead letters that are not written yet; their records stay open.",
            )?,
            actor_restarts: add.counters(
                "kafkamq_actor_restarts_total",
                "Actors started again after they died.",
                &["actor"],
            )?,
            split_failures: add.counters(
                "kafkamq_split_failures_total",
                "Values that should have been split and could not be.",
                &["topic"],
            )?,
            config_revision: add.gauge(
                "kafkamq_config_revision",
                "Number of the configuration revision that runs.",
            )?,
            config_last_reload_success: add.gauge(
                "kafkamq_config_last_reload_success",
                "1 if the last attempt to change the configuration succeeded or there was none.",
            )?,
            config_reloads: add.counters(
                "kafkamq_config_reloads_total",
                "Attempts to change the configuration, by origin and result.",
                &["origin", "result"],
            )?,
            config_reload_seconds: add.histogram(
                "kafkamq_config_reload_seconds",
                "Time from a request to change the configuration until the change is in force.",
                &RELOAD_BUCKETS,
            )?,
            original_messages: add.counters(
                "datakit_input_kafkamq_consumer_message_total",
                "Kafka records handled, by status.",
                &["topic", "partition", "status"],
            )?,
            original_elections: add.counter(
                "datakit_input_kafkamq_group_election_total",
                "Times this member joined a new generation of its group.",
            )?,
            registry: registry.clone(),
            #[cfg(test)]
            definitions: Arc::default(),
            labelled: Arc::default(),
        };
        metrics.labelled = add.labelled().into();
        #[cfg(test)]
        {
            metrics.definitions = add.definitions().into();
        }
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(metrics)
    }

    /// Every metric of the service; those of the process itself come on top.
    #[cfg(test)]
    fn definitions(&self) -> &[registration::Definition] {
        &self.definitions
    }

    /// Removes every series whose label `label` is `value`, because what it counted is gone.
    pub(crate) fn forget(&self, label: &str, value: &str) {
        for series in &*self.labelled {
            series.forget(label, value);
        }
    }

    /// The registry, for the exporter.
    #[must_use]
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }
}

#[cfg(test)]
mod tests;
