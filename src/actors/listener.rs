//! From the poll thread into the actors.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use actix::Addr;

use super::messages::{
    InputFailed, InputJoined, InputReport, InputStands, OffsetsCommitted, PartitionPlaced,
    PartitionsAssigned, PartitionsRevoked, TopicsDescribed,
};
use super::supervisor::Supervisor;
use crate::kafka::{
    AssignmentListener, Confirmed, Generation, KafkaError, PartitionReader, Placement, Standing,
    Statistics,
};
use crate::metrics::Metrics;
use kafkamq_conversion::route::InputId;
use kafkamq_record::TopicPartition;

/// Tells the supervisor what happens to one input's membership.
pub(crate) struct InputListener {
    pub(crate) input: InputId,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) metrics: Metrics,
}

impl InputListener {
    fn rebalance(&self, kind: &str) {
        self.metrics
            .rebalances
            .with_label_values(&[&*self.input.0, kind])
            .inc();
    }

    fn commit_ended(&self, outcome: &str) {
        self.metrics
            .commits
            .with_label_values(&[&*self.input.0, outcome])
            .inc();
    }
}

impl AssignmentListener for InputListener {
    fn assigned(&self, generation: Generation, readers: Vec<PartitionReader>) {
        self.rebalance("assign");
        self.metrics.original_elections.inc();
        let partitions: Vec<String> = readers
            .iter()
            .map(|reader| reader.source().to_string())
            .collect();
        tracing::info!(input = %self.input, ?partitions, "partitions assigned");
        let input = self.input.clone();
        self.supervisor.do_send(PartitionsAssigned {
            input,
            generation,
            readers,
        });
    }

    fn placed(&self, source: TopicPartition, generation: Generation, placement: Placement) {
        self.supervisor.do_send(PartitionPlaced {
            input: self.input.clone(),
            source,
            generation,
            placement,
        });
    }

    fn standing(&self, standing: Standing) {
        self.supervisor.do_send(InputStands {
            input: self.input.clone(),
            standing,
        });
    }

    fn revoked(&self, partitions: Vec<TopicPartition>, lost: bool, deadline: Instant) {
        self.rebalance(if lost { "lost" } else { "revoke" });
        let count = partitions.len();
        let (drained, all_drained) = sync_channel(0);
        let input = self.input.clone();
        let began = Instant::now();
        self.supervisor.do_send(PartitionsRevoked {
            input,
            partitions,
            lost,
            deadline,
            drained,
        });
        // Nothing is ever sent: the wait ends when the last clone of the sender is dropped.
        let wait = deadline.saturating_duration_since(Instant::now());
        let in_time = matches!(
            all_drained.recv_timeout(wait),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
        );
        tracing::info!(
            input = %self.input, partitions = count, lost, in_time,
            seconds = began.elapsed().as_secs_f64(), "partitions revoked"
        );
    }

    fn statistics(&self, statistics: Statistics) {
        self.supervisor.do_send(InputReport {
            input: self.input.clone(),
            statistics,
        });
    }

    fn joined(&self, joined: bool) {
        self.supervisor.do_send(InputJoined {
            input: self.input.clone(),
            joined,
        });
    }

    fn error(&self, error: &KafkaError) {
        self.metrics
            .kafka_errors
            .with_label_values(&[&*self.input.0])
            .inc();
        self.supervisor.do_send(InputFailed {
            input: self.input.clone(),
            error: error.to_string(),
            held: error.needs_operator(),
            trouble: error.trouble(),
        });
    }

    fn committed(&self, confirmed: Vec<Confirmed>) {
        self.commit_ended("committed");
        self.supervisor.do_send(OffsetsCommitted {
            input: self.input.clone(),
            confirmed,
        });
    }

    fn described(&self, topics: Vec<String>) {
        self.supervisor.do_send(TopicsDescribed {
            input: self.input.clone(),
            topics,
        });
    }

    fn commit_refused(&self, why: &str) {
        self.commit_ended("failed");
        tracing::debug!(input = %self.input, why, "a commit was refused; the next carries it");
    }
}
