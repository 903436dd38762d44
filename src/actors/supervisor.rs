//! [`Supervisor`]: owns every other actor.
//!
//! It starts them in the order in which data flows backwards, so that each finds those it sends to;
//! gives every assigned partition a topic actor and drains it when the partition goes; and starts
//! every actor that stops unexpectedly again by its factory, with a growing pause. It answers for the state of
//! everything. What it decides is [`kafkamq_source::supervision`].

mod assignment;
mod blocked;
mod children;
mod input;
mod inputs;
mod reconfigure;
mod report;
mod shutdown;
mod start;
mod threads;
mod troubles;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::children::Factory;
use self::input::Input;
pub(super) use self::inputs::refusal_of;
pub(crate) use self::reconfigure::Prepared;
use self::reconfigure::{InputTopic, Retiring};
pub(crate) use self::start::StartError;
pub(super) use self::start::{
    backlog_bytes, carrier, charged_bytes, dead_letter_loop, dead_letter_target, load_scripts,
};
use self::threads::Threads;
use actix::{Actor, Addr, Context, Handler};

use super::dead_letter::DeadLetterTarget;
use super::directory::{Addresses, Directory};
use super::messages::{Child, InputJoined, InputReport};
#[cfg(test)]
use super::topic::TopicActor;
use crate::controls::Controls;
use crate::kafka::{BirthStore, ConsumerThread};
use crate::metrics::{Metrics, PartitionSeries};
use crate::outputs::Carrier;
use crate::recorder::Recorder;
use crate::routing::RouteTable;
use kafkamq_conversion::RecordRules;
use kafkamq_conversion::route::{DestinationId, InputId};
use kafkamq_conversion::scripts::Scripts;
use kafkamq_memory::Account;
use kafkamq_settings::Settings;
use kafkamq_source::supervision::{ChangeOver, Restarts};

/// How long the end waits for points of aggregation, which have no offset.
const FINAL_DELIVERY_GRACE: Duration = Duration::from_secs(5);
/// How long the status page waits for an actor.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Owner of all actors.
pub(crate) struct Supervisor {
    settings: Arc<Settings>,
    metrics: Metrics,
    directory: Arc<Directory>,
    threads: Threads,
    dead_letter_target: DeadLetterTarget,
    scripts: Arc<Scripts>,
    recorder: Option<Recorder>,
    controls: Arc<Controls>,
    /// Above the accounts of all topics.
    memory: Arc<Account>,
    series: PartitionSeries,
    births: Arc<BirthStore>,
    /// Whether dead letters cannot be written at present.
    letters_fail: bool,
    inputs: HashMap<InputId, Input>,
    /// How every actor is started again.
    factories: HashMap<Child, Factory>,
    restarts: Restarts<String>,
    started: Instant,
    stopping: bool,
    /// Topics that are not read while their routes change.
    change: ChangeOver<InputTopic>,
    /// Destinations that left the configuration and still have work.
    retiring: Vec<Retiring>,
    tidying: bool,
}

impl Supervisor {
    #[expect(clippy::too_many_arguments, reason = "everything it owns")]
    pub(super) fn new(
        settings: Arc<Settings>,
        metrics: Metrics,
        routes: Arc<RouteTable>,
        carriers: HashMap<DestinationId, Arc<dyn Carrier>>,
        dead_letter_target: DeadLetterTarget,
        scripts: Arc<Scripts>,
        controls: Arc<Controls>,
        recorder: Option<Recorder>,
        births: Arc<BirthStore>,
        memory: Arc<Account>,
        address: &Addr<Self>,
    ) -> Self {
        let threads = Threads::start(settings.pipeline.threads);
        let dead_letter = children::start_dead_letter(
            &threads.dead_letter,
            dead_letter_target.clone(),
            metrics.clone(),
            address,
        );
        let directory = Directory::new(Addresses {
            routes: Arc::clone(&routes),
            rules: Arc::new(RecordRules::new(&settings, scripts.in_force())),
            parsers: Vec::new(),
            quick_parsers: threads.parse.len(),
            forwarders: HashMap::new(),
            dead_letter,
            memory: Arc::clone(&memory),
            backlogs: memory.child("backlogs", backlog_bytes(&settings)),
            requests: memory.child("requests", usize::MAX),
        });
        let series = PartitionSeries::new(&metrics, settings.limits.partition_series);
        let mut actor = Self {
            settings,
            metrics,
            directory,
            threads,
            dead_letter_target,
            scripts,
            recorder,
            controls,
            memory,
            series,
            births,
            letters_fail: false,
            inputs: HashMap::new(),
            factories: HashMap::new(),
            restarts: Restarts::default(),
            started: Instant::now(),
            stopping: false,
            change: ChangeOver::default(),
            retiring: Vec::new(),
            tidying: false,
        };
        actor.supervise_dead_letters();
        for destination in routes.destinations() {
            if let Some(carrier) = carriers.get(&destination.id) {
                actor.supervise_forwarder(destination.clone(), Arc::clone(carrier), address);
            }
        }
        for index in 0..actor.threads.parse.len() {
            actor.supervise_parser(index, address);
        }
        actor.supervise_waiting_parsers(address);
        actor
    }

    /// Asks every consumer thread to leave its group, and returns what to wait for.
    pub(super) fn stop_inputs(&mut self) -> Vec<std::thread::JoinHandle<()>> {
        self.inputs
            .values_mut()
            .filter_map(|input| match input.leaving.take() {
                Some(leaving) => Some(leaving.thread),
                None => input.thread.take().and_then(ConsumerThread::stop),
            })
            .collect()
    }

    pub(super) const fn births(&self) -> &Arc<BirthStore> {
        &self.births
    }

    pub(super) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    #[cfg(test)]
    pub(super) fn topics(&self) -> impl Iterator<Item = &Addr<TopicActor>> {
        let topics = self.inputs.values().flat_map(|input| input.topics.values());
        topics.map(|assigned| &assigned.address)
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<InputReport> for Supervisor {
    type Result = ();

    fn handle(&mut self, report: InputReport, ctx: &mut Self::Context) {
        self.report(&report.input, report.statistics);
        self.ask_for_dead_letters(ctx);
    }
}

impl Handler<InputJoined> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: InputJoined, _: &mut Self::Context) {
        if let Some(input) = self.inputs.get_mut(&message.input) {
            input.joined = message.joined;
            let gauge = self
                .metrics
                .input_joined
                .with_label_values(&[&*message.input.0]);
            gauge.set(i64::from(message.joined));
        }
    }
}
