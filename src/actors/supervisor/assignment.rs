//! Partitions that come and go, each with an actor of its own.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Handler};

use super::input::Assigned;
use super::{Supervisor, backlog_bytes, charged_bytes};
use crate::actors::messages::{
    Child, Drain, Hold, PartitionPlaced, PartitionsAssigned, PartitionsRevoked, Placed, SetCredits,
};
use crate::actors::topic::{TopicActor, TopicOptions, View};
use crate::kafka::{Generation, PartitionReader};
use crate::metrics::{HandledCounters, TopicMetrics};
use kafkamq_conversion::route::InputId;
use kafkamq_source::supervision;

/// Share of the memory limit for records in flight, all partitions together, and again for what is
/// made of them.
const IN_FLIGHT_SHARE: u64 = 4;

impl Supervisor {
    /// This partition's part of the memory for records in flight.
    fn partition_bytes(&self) -> usize {
        let partitions = self.inputs.values().map(|input| input.topics.len()).sum();
        let share = self.settings.limits.memory_bytes / IN_FLIGHT_SHARE;
        supervision::partition_bytes(share, partitions)
    }

    pub(super) fn share_out_credits(&self) {
        self.memory.set_limit(charged_bytes(&self.settings));
        let backlogs = &self.directory.load().backlogs;
        backlogs.set_limit(backlog_bytes(&self.settings));
        let credits = SetCredits {
            bytes: self.partition_bytes(),
        };
        for input in self.inputs.values() {
            for assigned in input.topics.values() {
                assigned.address.do_send(credits);
            }
        }
    }

    fn assign(
        &mut self,
        input_id: &InputId,
        generation: Generation,
        readers: Vec<PartitionReader>,
        address: &Addr<Self>,
    ) {
        let now = Instant::now();
        let limits = self.settings.limits;
        if let Some(input) = self.inputs.get_mut(input_id) {
            input.alarm = None;
        }
        let assigned: usize = self.inputs.values().map(|input| input.topics.len()).sum();
        let folded = assigned + readers.len() > limits.partition_series;
        for reader in readers {
            let source = reader.source().clone();
            let bytes = self.partition_bytes();
            let Some(input) = self.inputs.get_mut(input_id) else {
                return;
            };
            let view = View::unknown();
            let options = TopicOptions {
                input: input_id.clone(),
                generation,
                bounds: input.bounds(&source.topic, &self.settings, now),
                accounts: input.accounts(&self.memory, &source.topic, bytes),
                metrics: Arc::new(TopicMetrics::new(&self.metrics, &source.topic)),
                handled: if folded {
                    HandledCounters::folded(&self.metrics, &source.topic)
                } else {
                    HandledCounters::new(&self.metrics, &source.topic, source.partition)
                },
                control: self.controls.topic(&source.topic),
                view: Arc::clone(&view),
                directory: Arc::clone(&self.directory),
                failures: address.clone().recipient(),
                stopped: address.clone().recipient(),
            };
            let topic = TopicActor::start_in_arbiter(&self.threads.stream, move |_| {
                TopicActor::new(reader, options)
            });
            let own = (input_id.clone(), Arc::clone(&source.topic));
            if self.change.holds(&own) {
                topic.do_send(Hold { settled: None });
            }
            let assigned = Assigned {
                generation,
                address: topic,
                view,
            };
            input.topics.insert(source.clone(), assigned);
            self.supervise_topic(input_id, source, generation);
        }
        self.share_out_credits();
    }

    fn revoke(&mut self, revoked: &PartitionsRevoked) {
        for source in &revoked.partitions {
            self.forget_blocked(&revoked.input, source);
        }
        let Some(input) = self.inputs.get_mut(&revoked.input) else {
            return;
        };
        self.series.remove(&revoked.partitions);
        for source in &revoked.partitions {
            if let Some(assigned) = input.topics.remove(source) {
                let generation = assigned.generation;
                let child = Child::Topic(revoked.input.clone(), source.clone(), generation);
                self.factories.remove(&child);
                assigned.address.do_send(Drain {
                    lost: revoked.lost,
                    deadline: revoked.deadline,
                    drained: revoked.drained.clone(),
                });
            }
        }
        for source in &revoked.partitions {
            let gone = input.topics.keys().all(|owned| owned.topic != source.topic);
            if gone {
                input.accounts.remove(&source.topic);
            }
            let routes = &self.directory.load().routes;
            if gone && routes.route(&revoked.input, &source.topic).is_none() {
                self.metrics.forget("topic", &source.topic);
            }
        }
        self.share_out_credits();
    }
}

impl Handler<PartitionsAssigned> for Supervisor {
    type Result = ();

    fn handle(&mut self, assigned: PartitionsAssigned, ctx: &mut Self::Context) {
        let PartitionsAssigned {
            input,
            generation,
            readers,
        } = assigned;
        self.assign(&input, generation, readers, &ctx.address());
    }
}

impl Handler<PartitionPlaced> for Supervisor {
    type Result = ();

    fn handle(&mut self, placed: PartitionPlaced, _: &mut Self::Context) {
        let input = self.inputs.get_mut(&placed.input);
        let Some(input) = input else { return };
        input.standing.unknown.remove(&placed.source);
        let assigned = input.topics.get(&placed.source);
        if let Some(assigned) = assigned.filter(|one| one.generation == placed.generation) {
            assigned.address.do_send(Placed(placed.placement));
        }
    }
}

impl Handler<PartitionsRevoked> for Supervisor {
    type Result = ();

    fn handle(&mut self, revoked: PartitionsRevoked, _: &mut Self::Context) {
        self.revoke(&revoked);
    }
}
