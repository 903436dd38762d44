//! Starting actors, and starting them again when they died.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context};

use super::{
    Deaths, Input, RESPAWN_PAUSE, RESPAWN_PAUSE_MAX, RESPAWN_RESET, RouterActor, StartError,
    carrier,
};
use crate::actors::dead_letter::{DeadLetterActor, Graveyard};
use crate::actors::forwarder::ForwarderActor;
use crate::actors::listener::RouterListener;
use crate::actors::messages::{Child, ChildStopped};
use crate::actors::parser::{ParserActor, ParserOptions};
use crate::kafka::client::{consumer_config, initial_offset, outside_config, refused_options};
use crate::kafka::{AssignmentListener, BirthStore, PollOptions, PreparedConsumer, Reading};
use crate::metrics::Metrics;
use crate::outputs::Carrier;
use crate::routing::{Destination, InputId};
use kafkamq_settings::{InputSettings, LimitSettings, OutOfRange, Sasl};

pub(super) fn start_dead_letter(
    arbiter: &ArbiterHandle,
    graveyard: Graveyard,
    metrics: Metrics,
    router: &Addr<RouterActor>,
) -> Addr<DeadLetterActor> {
    let stopped = router.clone().recipient();
    DeadLetterActor::start_in_arbiter(arbiter, move |_| {
        DeadLetterActor::new(graveyard, metrics, stopped)
    })
}

/// Refuses what this version does not do, rather than doing something else.
fn unsupported(input: &InputSettings) -> Result<(), StartError> {
    if let Some(Sasl::OAuthBearer(_)) = &input.cluster.security.sasl {
        return Err(StartError::Unsupported(
            "`tls_sasl_mechanism = \"OAUTHBEARER\"`",
        ));
    }
    Ok(())
}

/// Why the client of an input cannot be made, without one that dials brokers.
pub(super) fn refusal_of(input: &InputSettings, limits: &LimitSettings) -> Option<StartError> {
    if let Err(error) = unsupported(input) {
        return Some(error);
    }
    let refused = refused_options(consumer_config(input, limits)).err();
    refused.map(|source| StartError::Kafka {
        input: input.name.clone(),
        source,
    })
}

/// Makes the client of an input, which joins no group yet.
pub(super) fn prepare_input(
    input: &InputSettings,
    limits: &LimitSettings,
    router: &Addr<RouterActor>,
    metrics: &Metrics,
    births: &Arc<BirthStore>,
    reading: &Reading,
) -> Result<PreparedConsumer, StartError> {
    unsupported(input)?;
    let listener: Arc<dyn AssignmentListener> = Arc::new(RouterListener {
        input: InputId(input.name.as_str().into()),
        router: router.clone(),
        metrics: metrics.clone(),
    });
    let options = PollOptions {
        input: input.name.clone(),
        brokers: input.cluster.addrs.clone(),
        topics: input.selection(),
        client: match reading {
            Reading::Member => consumer_config(input, limits),
            Reading::Once(_) => outside_config(input, limits),
        },
        initial: initial_offset(input.offsets),
        out_of_range: match input.out_of_range {
            OutOfRange::Resume(at) => Some(initial_offset(at)),
            OutOfRange::Stop => None,
        },
        commit_interval: input.commit_interval,
        births: births.of(&input.group_id, &input.cluster.addrs),
        is_static: input.group_instance_id.is_some(),
        drain_timeout: input.drain_timeout,
        reading: reading.clone(),
    };
    PreparedConsumer::try_new(options, listener).map_err(|source| StartError::Kafka {
        input: input.name.clone(),
        source,
    })
}

impl RouterActor {
    /// Starts the parsers for scripts that wait, once scripts may ask other hosts.
    pub(super) fn start_waiting_parsers(&mut self, address: &Addr<Self>) {
        if !self.settings.pipeline.http_request || !self.threads.waiting.is_empty() {
            return;
        }
        self.threads.start_waiting();
        let quick = self.threads.parse.len();
        for index in quick..quick + self.threads.waiting.len() {
            self.start_parser(index, address);
        }
    }

    pub(super) fn start_parser(&self, index: usize, address: &Addr<Self>) {
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

    pub(super) fn start_forwarder(
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

    pub(super) fn start_inputs(
        &mut self,
        address: &Addr<Self>,
        reading: &Reading,
    ) -> Result<(), StartError> {
        let settings = Arc::clone(&self.settings);
        for input in &settings.inputs {
            let limits = &settings.limits;
            let (metrics, births) = (&self.metrics, &self.births);
            let prepared = prepare_input(input, limits, address, metrics, births, reading)?;
            self.start_input(input.clone(), prepared)?;
        }
        Ok(())
    }

    /// Lets an input join its group.
    pub(super) fn start_input(
        &mut self,
        settings: InputSettings,
        prepared: PreparedConsumer,
    ) -> Result<(), StartError> {
        let id = InputId(settings.name.as_str().into());
        let joined = &self.metrics.input_joined;
        joined.with_label_values(&[&*id.0]).set(0);
        let thread = prepared.start().map_err(|source| StartError::Kafka {
            input: settings.name.clone(),
            source,
        })?;
        let mut input = Input::new(settings);
        input.thread = Some(thread);
        self.inputs.insert(id, input);
        Ok(())
    }

    pub(super) fn child_stopped(&mut self, child: Child, ctx: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let kind = match &child {
            Child::Topic(..) => "topic",
            Child::Parser(_) => "parser",
            Child::Forwarder(_) => "forwarder",
            Child::DeadLetter => "dead_letter",
        };
        self.restarts += 1;
        self.metrics.actor_restarts.with_label_values(&[kind]).inc();
        if let Child::Topic(input, source, generation) = &child {
            // Its reader is gone with it. The group hands the partition out again, from what is
            // committed, once the client is made anew.
            let Some(input) = self.inputs.get_mut(input) else {
                return;
            };
            if input
                .topics
                .get(source)
                .is_some_and(|assigned| assigned.generation == *generation)
            {
                input.topics.remove(source);
                if let Some(thread) = &input.thread {
                    thread.rebuild("the actor of a partition died");
                }
            }
            return;
        }
        let now = Instant::now();
        let deaths = self
            .deaths
            .entry(format!("{child:?}"))
            .and_modify(|deaths| {
                let alive = now.saturating_duration_since(deaths.last);
                deaths.count = if alive > RESPAWN_RESET {
                    1
                } else {
                    deaths.count + 1
                };
                deaths.last = now;
            })
            .or_insert(Deaths {
                count: 1,
                last: now,
            });
        let pause = (RESPAWN_PAUSE * 2u32.saturating_pow(deaths.count - 1)).min(RESPAWN_PAUSE_MAX);
        tracing::error!(
            ?child,
            times = deaths.count,
            "an actor died and is started again"
        );
        ctx.run_later(pause, move |actor, ctx| {
            actor.respawn(child, &ctx.address());
        });
    }

    fn respawn(&mut self, child: Child, address: &Addr<Self>) {
        match child {
            Child::Topic(..) => {}
            Child::Parser(index) => self.start_parser(index, address),
            Child::Forwarder(id) => {
                let routes = Arc::clone(&self.directory.load().routes);
                let Some(destination) = routes.destination(&id) else {
                    return;
                };
                match carrier(destination) {
                    Ok(carrier) => self.start_forwarder(destination.clone(), carrier, address),
                    Err(error) => {
                        tracing::error!(%error, "a destination cannot be started again");
                        address.do_send(ChildStopped {
                            child: Child::Forwarder(id),
                        });
                    }
                }
            }
            Child::DeadLetter => {
                let dead_letter = start_dead_letter(
                    &self.threads.dead_letter,
                    self.graveyard.clone(),
                    self.metrics.clone(),
                    address,
                );
                self.directory
                    .update(|addresses| addresses.dead_letter = dead_letter);
            }
        }
    }
}
