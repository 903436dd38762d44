//! Starting actors, and starting them again when they died, all in one way.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler};

use super::{StartError, Supervisor, carrier};
use crate::actors::dead_letter::{DeadLetterActor, DeadLetterTarget};
use crate::actors::forwarder::ForwarderActor;
use crate::actors::messages::{Child, ChildStopped};
use crate::actors::parser::{ParserActor, ParserOptions};
use crate::kafka::Generation;
use crate::metrics::Metrics;
use crate::outputs::Carrier;
use crate::routing::Destination;
use kafkamq_conversion::route::InputId;
use kafkamq_record::TopicPartition;

/// Brings an actor back that died, and puts its address where others look for it.
pub(super) type Factory = Rc<dyn Fn(&mut Supervisor, &Addr<Supervisor>) -> Result<(), StartError>>;

pub(super) fn start_dead_letter(
    arbiter: &ArbiterHandle,
    dead_letter_target: DeadLetterTarget,
    metrics: Metrics,
    supervisor: &Addr<Supervisor>,
) -> Addr<DeadLetterActor> {
    let stopped = supervisor.clone().recipient();
    DeadLetterActor::start_in_arbiter(arbiter, move |_| {
        DeadLetterActor::new(dead_letter_target, metrics, stopped)
    })
}

impl Supervisor {
    /// Starts the parsers for scripts that wait, once scripts may ask other hosts.
    pub(super) fn supervise_waiting_parsers(&mut self, address: &Addr<Self>) {
        if !self.settings.pipeline.http_request || !self.threads.waiting.is_empty() {
            return;
        }
        self.threads.start_waiting();
        let quick = self.threads.parse.len();
        for index in quick..quick + self.threads.waiting.len() {
            self.supervise_parser(index, address);
        }
    }

    /// Starts a parser, and starts it again when it stops unexpectedly.
    pub(super) fn supervise_parser(&mut self, index: usize, address: &Addr<Self>) {
        self.start_parser(index, address);
        let factory: Factory = Rc::new(move |supervisor, address| {
            supervisor.start_parser(index, address);
            Ok(())
        });
        self.factories.insert(Child::Parser(index), factory);
    }

    fn start_parser(&self, index: usize, address: &Addr<Self>) {
        let quick = &self.threads.parse;
        let found = match index.checked_sub(quick.len()) {
            None => quick.get(index),
            Some(waiting) => self.threads.waiting.get(waiting),
        };
        let Some(arbiter) = found else {
            return;
        };
        let options = ParserOptions {
            directory: Arc::clone(&self.directory),
            metrics: self.metrics.clone(),
            scripts: Arc::clone(&self.scripts),
            recorder: self.recorder.clone(),
        };
        let stopped = address.clone().recipient();
        let parser = ParserActor::start_in_arbiter(arbiter, move |_| {
            ParserActor::new(index, options, stopped)
        });
        self.directory
            .update(|addresses| match addresses.parsers.get_mut(index) {
                Some(slot) => *slot = parser,
                None => addresses.parsers.push(parser),
            });
    }

    /// Starts a forwarder, and starts it again, by the routes in force then, when it stops unexpectedly.
    pub(super) fn supervise_forwarder(
        &mut self,
        destination: Destination,
        carrier: Arc<dyn Carrier>,
        address: &Addr<Self>,
    ) {
        let id = destination.id.clone();
        self.start_forwarder(destination, carrier, address);
        let child = Child::Forwarder(id.clone());
        let factory: Factory = Rc::new(move |supervisor, address| {
            let routes = Arc::clone(&supervisor.directory.load().routes);
            if let Some(destination) = routes.destination(&id) {
                let carrier = self::carrier(destination)?;
                supervisor.start_forwarder(destination.clone(), carrier, address);
            }
            Ok(())
        });
        self.factories.insert(child, factory);
    }

    fn start_forwarder(
        &self,
        destination: Destination,
        carrier: Arc<dyn Carrier>,
        address: &Addr<Self>,
    ) {
        let id = destination.id.clone();
        let (directory, metrics) = (Arc::clone(&self.directory), self.metrics.clone());
        let stopped = address.clone().recipient();
        let Some(arbiter) = self.threads.next_forward() else {
            return;
        };
        let forwarder = ForwarderActor::start_in_arbiter(arbiter, move |_| {
            ForwarderActor::new(destination, carrier, directory, &metrics, stopped)
        });
        self.directory.update(|addresses| {
            addresses.forwarders.insert(id, forwarder);
        });
    }

    /// Starts the dead letter writer, which runs already, again when it stops unexpectedly.
    pub(super) fn supervise_dead_letters(&mut self) {
        let factory: Factory = Rc::new(|supervisor, address| {
            let dead_letter = start_dead_letter(
                &supervisor.threads.dead_letter,
                supervisor.dead_letter_target.clone(),
                supervisor.metrics.clone(),
                address,
            );
            supervisor
                .directory
                .update(|addresses| addresses.dead_letter = dead_letter);
            Ok(())
        });
        self.factories.insert(Child::DeadLetter, factory);
    }

    /// A topic actor cannot come back, since its reader is gone with it. The group hands the partition
    /// out again, from what is committed, once the client is made anew.
    pub(super) fn supervise_topic(
        &mut self,
        input: &InputId,
        source: TopicPartition,
        generation: Generation,
    ) {
        let child = Child::Topic(input.clone(), source.clone(), generation);
        let (own, id) = (child.clone(), input.clone());
        let factory: Factory = Rc::new(move |supervisor, _| {
            supervisor.factories.remove(&own);
            if let Some(input) = supervisor.inputs.get_mut(&id)
                && input.topics.remove(&source).is_some()
                && let Some(thread) = &input.thread
            {
                thread.rebuild("the actor of a partition died");
            }
            Ok(())
        });
        self.factories.insert(child, factory);
    }

    fn child_stopped(&mut self, child: Child, ctx: &mut Context<Self>) {
        if self.stopping || !self.factories.contains_key(&child) {
            return;
        }
        let kind = self
            .metrics
            .actor_restarts
            .with_label_values(&[child.kind()]);
        kind.inc();
        let restart = self.restarts.died(Instant::now(), child.to_string());
        tracing::error!(
            %child,
            times = restart.times,
            "an actor died and is started again"
        );
        ctx.run_later(restart.pause, move |actor, ctx| {
            actor.start_again(&child, ctx);
        });
    }

    fn start_again(&mut self, child: &Child, ctx: &mut Context<Self>) {
        // What is not wanted any more has no factory.
        let Some(factory) = self.factories.get(child).cloned() else {
            return;
        };
        if let Err(error) = factory(self, &ctx.address()) {
            tracing::error!(%child, %error, "an actor cannot be started again");
            self.child_stopped(child.clone(), ctx);
        }
    }
}

impl Handler<ChildStopped> for Supervisor {
    type Result = ();

    fn handle(&mut self, stopped: ChildStopped, ctx: &mut Self::Context) {
        self.child_stopped(stopped.child, ctx);
    }
}
