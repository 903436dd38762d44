//! What the router knows and says about the state of everything.

use std::sync::Arc;
use std::time::Instant;

use actix::{Handler, ResponseFuture};
use futures_util::future::join_all;

use super::{Input, RouterActor, STATUS_TIMEOUT, STUCK_AFTER};
use crate::actors::messages::{
    Committed, GetDeadLetterStatus, GetDestinationStatus, GetPartitionStatus, GetStatus,
    OffsetsCommitted,
};
use crate::actors::status::{ActorCounts, DeadLetterStatus, InputStatus, LastError, ServiceStatus};
use crate::kafka::Statistics;
use crate::metrics::PartitionGauges;
use crate::routing::InputId;

impl RouterActor {
    pub(super) fn report(&mut self, input_id: &InputId, statistics: Statistics) {
        let Some(input) = self.inputs.get_mut(input_id) else {
            return;
        };
        let owned = statistics
            .partitions
            .iter()
            .filter(|partition| input.topics.contains_key(&partition.source));
        self.series.update(owned.map(|partition| {
            let gauges = PartitionGauges {
                lag: partition.lag,
                high_watermark: partition.high_watermark,
                committed: partition.committed,
            };
            (&partition.source, gauges)
        }));
        let joined = statistics.group_state == "up" && statistics.join_state == "steady";
        input.joined = joined;
        self.metrics
            .input_joined
            .with_label_values(&[&*input_id.0])
            .set(i64::from(joined));
        input.statistics = statistics;
        self.watch_progress(input_id);
    }

    /// Replaces the client of an input that should make progress and does not: it is a member, it
    /// has lag, and no destination holds it up. An idle input, or one whose destination is away,
    /// is left alone however long that takes.
    fn watch_progress(&mut self, input_id: &InputId) {
        let Some(input) = self.inputs.get_mut(input_id) else {
            return;
        };
        let partitions = &input.statistics.partitions;
        let committed = partitions
            .iter()
            .filter_map(|partition| partition.committed)
            .sum();
        let lag: i64 = partitions
            .iter()
            .filter_map(|partition| partition.lag)
            .sum();
        let held_up = partitions.iter().any(|partition| {
            let in_flight = &self.metrics.batches_in_flight;
            in_flight
                .with_label_values(&[&*partition.source.topic])
                .get()
                > 0
        });
        let limited = !input.limits.is_empty();
        let paused = input
            .topics
            .keys()
            .any(|source| self.controls.topic(&source.topic).is_paused());
        let held_up = held_up || paused;
        if !input.joined || lag == 0 || held_up || limited || committed != input.progress.0 {
            if committed != input.progress.0 {
                input.alarm = None;
            }
            input.progress = (committed, Instant::now());
        } else if input.progress.1.elapsed() > STUCK_AFTER {
            input.progress.1 = Instant::now();
            if let Some(thread) = &input.thread {
                thread.rebuild("there is lag and no progress");
            }
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
            lag: input
                .statistics
                .partitions
                .iter()
                .filter_map(|partition| partition.lag)
                .sum(),
            partitions: Vec::new(),
            alarm: input.alarm.clone(),
            last_error: input.last_error.as_ref().map(LastError::status),
        }
    }
}

impl Handler<OffsetsCommitted> for RouterActor {
    type Result = ();

    fn handle(&mut self, committed: OffsetsCommitted, _: &mut Self::Context) {
        let Some(input) = self.inputs.get(&committed.input) else {
            return;
        };
        for (source, next) in &committed.offsets {
            if let Some((_, topic)) = input.topics.get(source) {
                topic.do_send(Committed(*next));
            }
        }
    }
}

impl Handler<GetStatus> for RouterActor {
    type Result = ResponseFuture<ServiceStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
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
                restarts: self.restarts,
            },
            ..ServiceStatus::default()
        };
        let mut inputs: Vec<_> = self
            .inputs
            .iter()
            .map(|(id, input)| {
                let asked: Vec<_> = input
                    .topics
                    .values()
                    .map(|(_, topic)| topic.send(GetPartitionStatus).timeout(STATUS_TIMEOUT))
                    .collect();
                (
                    self.input_status(id, input),
                    input.statistics.clone(),
                    asked,
                )
            })
            .collect();
        inputs.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Box::pin(async move {
            for (mut input, statistics, asked) in inputs {
                for mut partition in join_all(asked).await.into_iter().flatten() {
                    let known = statistics.partitions.iter().find(|known| {
                        known.source.partition == partition.partition
                            && *known.source.topic == *partition.topic
                    });
                    if let Some(known) = known {
                        partition.committed = known.committed;
                        partition.high_watermark = known.high_watermark;
                        partition.lag = known.lag;
                    }
                    input.partitions.push(partition);
                }
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
