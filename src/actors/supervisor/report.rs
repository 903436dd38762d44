//! What the supervisor knows and says about the state of everything.

use std::sync::Arc;
use std::time::Instant;

use actix::{Handler, MailboxError, ResponseFuture};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::input::{Assigned, Input};
use super::{STATUS_TIMEOUT, Supervisor};
use crate::actors::messages::{
    Committed, GetDeadLetterStatus, GetDestinationStatus, GetPartitionStatus, GetStatus,
    InputStands, OffsetsCommitted,
};
use crate::actors::status::{
    ActorCounts, DeadLetterStatus, InputStatus, LastError, PartitionStatus, ServiceStatus,
};
use crate::kafka::Statistics;
use crate::metrics::PartitionGauges;
use kafkamq_conversion::route::InputId;
use kafkamq_record::TopicPartition;
use kafkamq_source::supervision::Progress;

impl Supervisor {
    pub(super) fn report(&mut self, input_id: &InputId, statistics: Statistics) {
        let Some(input) = self.inputs.get_mut(input_id) else {
            return;
        };
        let joined = statistics.is_member();
        let now = Instant::now();
        input.recovered(input_id, &statistics, now);
        input.joined = joined;
        self.metrics
            .input_joined
            .with_label_values(&[&*input_id.0])
            .set(i64::from(joined));
        let prefetched = statistics
            .partitions
            .values()
            .map(|own| own.prefetched_bytes);
        self.metrics
            .prefetched_bytes
            .with_label_values(&[&*input_id.0])
            .set(i64::try_from(prefetched.sum::<u64>()).unwrap_or(i64::MAX));
        let charged = i64::try_from(self.memory.used()).unwrap_or(i64::MAX);
        self.metrics.charged_bytes.set(charged);
        self.metrics.show_scripts(self.scripts.memory());
        input.statistics = statistics;
        self.publish(input_id);
        self.look_for_blocked(input_id);
        self.watch_progress(input_id, now);
    }

    /// Shows the offsets of all partitions of an input.
    fn publish(&mut self, input_id: &InputId) {
        let Some(input) = self.inputs.get(input_id) else {
            return;
        };
        let gauges: Vec<_> = input
            .topics
            .keys()
            .map(|source| {
                let known = input.statistics.partitions.get(source);
                let stands = input.standing.read.get(source);
                let gauges = PartitionGauges {
                    lag: input.lag(source),
                    high_watermark: known.and_then(|known| known.high_watermark),
                    committed: stands
                        .and_then(|stands| stands.committed)
                        .map(|next| next.0),
                };
                (source, gauges)
            })
            .collect();
        self.series.update(gauges);
    }

    /// Replaces the client of an input of which a partition should move and does not: it has unread records,
    /// nothing in flight, and nothing is known that keeps it from being read. An idle input, or one
    /// whose destination is away, is left alone however long that takes.
    fn watch_progress(&mut self, input_id: &InputId, now: Instant) {
        let Some(input) = self.inputs.get_mut(input_id) else {
            return;
        };
        if !input.joined || input.topics.is_empty() {
            return;
        }
        let moves = |assigned: &Assigned| assigned.view.seen().moved > input.alarmed;
        if input.topics.values().any(moves) {
            input.alarm = None;
        }
        let progress = input.topics.iter().map(|(source, assigned)| {
            let seen = assigned.view.seen();
            let is_sought = input.standing.unknown.contains_key(source);
            Progress {
                moved: seen.moved,
                is_explained: seen.blocked.is_some() || seen.batches > 0 || is_sought,
                has_unread: input.has_unread(source, seen.position),
                is_deaf: input.is_deaf(source),
            }
        });
        let progress: Vec<_> = progress.collect();
        if input.watch.is_stuck(now, progress)
            && let Some(thread) = &input.thread
        {
            thread.rebuild("there are records and none is read");
        }
    }

    fn input_status(&self, id: &InputId, input: &Input) -> InputStatus {
        InputStatus {
            name: id.to_string(),
            group_id: input.settings.group_id.clone(),
            joined: input.joined,
            group_state: input.statistics.group_state.clone(),
            brokers_up: input.statistics.brokers_up,
            rebalances: input.statistics.rebalances,
            lag: match input.joined {
                // A sum of which a part is not known is not known.
                true => input.topics.keys().map(|source| input.lag(source)).sum(),
                false => None,
            },
            partitions: Vec::new(),
            alarm: {
                let trouble = input.troubles.alarm();
                let own = input.alarm.clone();
                own.or_else(|| trouble.map(|trouble| trouble.text.clone()))
            },
            last_error: input.last_error.as_ref().map(LastError::status),
        }
    }
}

impl Handler<OffsetsCommitted> for Supervisor {
    type Result = ();

    fn handle(&mut self, committed: OffsetsCommitted, _: &mut Self::Context) {
        let Some(input) = self.inputs.get(&committed.input) else {
            return;
        };
        for confirmed in committed.confirmed {
            if let Some(assigned) = input.topics.get(&confirmed.source) {
                assigned.address.do_send(Committed(confirmed));
            }
        }
    }
}

impl Handler<InputStands> for Supervisor {
    type Result = ();

    fn handle(&mut self, stands: InputStands, _: &mut Self::Context) {
        let Some(input) = self.inputs.get_mut(&stands.input) else {
            return;
        };
        input.standing = stands.standing;
        self.publish(&stands.input);
        self.look_for_blocked(&stands.input);
    }
}

impl Handler<GetStatus> for Supervisor {
    type Result = ResponseFuture<ServiceStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let addresses = Arc::clone(&self.directory.load());
        let mut status = ServiceStatus {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            revision: addresses.routes.revision,
            stopping: self.stopping,
            actors: ActorCounts {
                topic: self.inputs.values().map(|input| input.topics.len()).sum(),
                parser: addresses.parsers.len(),
                forwarder: addresses.forwarders.len(),
                restarts: self.restarts.total(),
            },
            ..ServiceStatus::default()
        };
        let ids: Vec<InputId> = self.inputs.keys().cloned().collect();
        for id in &ids {
            self.look_for_blocked(id);
        }
        let mut inputs: Vec<_> = self
            .inputs
            .iter()
            .map(|(id, input)| {
                let asked: Vec<_> = input
                    .topics
                    .iter()
                    .map(|(source, assigned)| {
                        let topic = &assigned.address;
                        let asked = topic.send(GetPartitionStatus).timeout(STATUS_TIMEOUT);
                        let known = input.known(source, now);
                        asked.map(move |answer| input_knows(answer, known))
                    })
                    .collect();
                (self.input_status(id, input), asked)
            })
            .collect();
        inputs.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Box::pin(async move {
            for (mut input, asked) in inputs {
                input.partitions = join_all(asked).await;
                input
                    .partitions
                    .sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
                status.inputs.push(input);
            }
            let asked = addresses
                .forwarders
                .values()
                .map(|forwarder| forwarder.send(GetDestinationStatus).timeout(STATUS_TIMEOUT));
            status.destinations = join_all(asked).await.into_iter().flatten().collect();
            status.destinations.sort_by(|a, b| a.name.cmp(&b.name));
            let asked = addresses.dead_letter.send(GetDeadLetterStatus);
            status.dead_letters = match asked.timeout(STATUS_TIMEOUT).await {
                Ok(dead_letters) => dead_letters,
                Err(_) => DeadLetterStatus {
                    reason: Some("the writer of dead letters does not answer".to_owned()),
                    ..DeadLetterStatus::default()
                },
            };
            status
        })
    }
}

impl Input {
    /// What is known of a partition besides what its actor knows.
    fn known(&self, source: &TopicPartition, now: Instant) -> PartitionStatus {
        let known = self.statistics.partitions.get(source);
        let stands = self.standing.read.get(source);
        let blocked = self.blocks.status(source, now);
        PartitionStatus {
            topic: source.topic.to_string(),
            partition: source.partition,
            committed: stands
                .and_then(|stands| stands.committed)
                .map(|next| next.0),
            high_watermark: known.and_then(|known| known.high_watermark),
            lag: self.lag(source),
            blocked_seconds: blocked.as_ref().map(|blocked| blocked.seconds),
            blocked,
            ..PartitionStatus::default()
        }
    }
}

/// What an actor says of itself, with what is known besides. One that does not answer is shown, too.
fn input_knows(
    answer: Result<PartitionStatus, MailboxError>,
    known: PartitionStatus,
) -> PartitionStatus {
    match answer {
        Ok(own) => PartitionStatus {
            committed: known.committed,
            high_watermark: known.high_watermark,
            lag: known.lag,
            blocked_seconds: known.blocked_seconds,
            blocked: known.blocked,
            ..own
        },
        Err(_) => known,
    }
}
