//! Another revision of the configuration, all or nothing.
//!
//! [`Router::prepare`] does everything that can fail, beside the running actors: it compiles routes
//! and scripts, opens carriers, makes the clients of inputs that start or change. Nothing of it can be
//! noticed from outside, and dropping the result undoes it. [`Router::adopt`] then cannot fail:
//!
//! 1. Topics whose items will go elsewhere take nothing more, and what they have in flight is settled
//!    by the revision it began with, so that nothing is overtaken or delivered twice.
//! 2. Routes, rules, bounds and destinations change over in one step. What could not be settled in
//!    time, because its destination is away, is called back and goes by the new routes.
//! 3. Held topics go on; clients subscribe, start, leave. Destinations and inputs that are gone end by
//!    themselves, in their own time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{
    ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};

use super::input::{Input, Leaving};
use super::inputs::prepare_input;
use super::{StartError, Supervisor, carrier};
use crate::actors::forwarder::ForwarderActor;
use crate::actors::messages::{Adopt, Child, Hold, Recall, Release, Retire, SetBounds};
use crate::actors::router::Router;
use crate::kafka::{ConsumerThread, PreparedConsumer, Reading};
use crate::outputs::Carrier;
use crate::reconfiguration::plan::{
    DestinationChange, InputAction, Plan, RouteChange, ScriptsPlan, deferred,
};
use crate::routing::{Destination, RouteTable};
use kafkamq_conversion::RecordRules;
use kafkamq_conversion::route::{DestinationId, InputId};
use kafkamq_conversion::scripts::PreparedScripts;
use kafkamq_settings::{InputSettings, Settings};
use kafkamq_source::supervision::{ChangeOver, RetireOrder, Retirement, Step};

/// How long records in flight are waited for before their routes change.
const SETTLE_GRACE: Duration = Duration::from_secs(2);
/// How often what is leaving is looked at.
const TIDY_INTERVAL: Duration = Duration::from_millis(50);

/// A revision that was checked and opened and is not in force.
pub(crate) struct Prepared {
    /// What it will do.
    pub(crate) plan: Plan,
    settings: Arc<Settings>,
    routes: Arc<RouteTable>,
    carriers: HashMap<DestinationId, Arc<dyn Carrier>>,
    consumers: HashMap<InputId, PreparedConsumer>,
    scripts: Option<PreparedScripts>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// The settings that will be in force: those asked for, with the running value of every key that
    /// waits for the next start.
    #[must_use]
    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The scripts it brings, checked.
    #[must_use]
    pub(crate) fn scripts(&self) -> Option<&PreparedScripts> {
        self.scripts.as_ref()
    }
}

/// The service no longer takes changes: the service is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping")]
pub(crate) struct Stopping;

/// A destination that left the configuration, with its last work.
pub(super) struct Retiring {
    id: DestinationId,
    address: Addr<ForwarderActor>,
    retirement: Retirement,
}

/// Service to supervisor: put a prepared revision into force. Answers when it is.
#[derive(Message)]
#[rtype(result = "Result<(), Stopping>")]
pub(super) struct Reconfigure(Prepared);

impl Router {
    /// Does everything about a change from `running` to `wanted` that can fail, as revision
    /// `revision`. Blocks: it reads files and starts clients.
    ///
    /// # Errors
    /// Everything that keeps `wanted` from being put into force.
    pub(crate) fn prepare(
        &self,
        running: &Settings,
        wanted: &Settings,
        revision: u64,
    ) -> Result<Prepared, Vec<StartError>> {
        let mut errors = Vec::new();
        let settings = Arc::new(deferred(running, wanted));
        let before = Arc::clone(&self.directory.load().routes);
        let scripts = match self.scripts.prepare(&settings.pipeline) {
            Ok(scripts) => Some(scripts),
            Err(error) => {
                errors.push(error.into());
                None
            }
        };
        let mut routes = match RouteTable::compile(&settings, revision) {
            Ok(routes) => routes,
            Err(error) => {
                errors.push(error.into());
                return Err(errors);
            }
        };
        routes.inherit(&before);
        let scripts_plan = scripts
            .as_ref()
            .map_or_else(ScriptsPlan::default, |scripts| ScriptsPlan {
                changed: scripts.changed().to_vec(),
                engine: scripts.changes_engine(),
            });
        let plan = Plan::between((running, &before), (wanted, &routes), scripts_plan);
        let mut carriers = HashMap::new();
        for change in &plan.destinations {
            let id = DestinationId(change.name.as_str().into());
            let opens = [DestinationChange::Start, DestinationChange::Reconnect];
            if let Some(destination) = routes.destination(&id)
                && opens.contains(&change.change)
            {
                match carrier(destination) {
                    Ok(carrier) => drop(carriers.insert(id, carrier)),
                    Err(error) => errors.push(error),
                }
            }
        }
        let mut consumers = HashMap::new();
        for change in &plan.inputs {
            let input = settings.inputs.iter().find(|i| i.name == change.name);
            if let Some(input) = input
                && matches!(change.action, InputAction::Start | InputAction::Recreate)
            {
                let limits = &settings.limits;
                let (metrics, births) = (&self.metrics, &self.births);
                let member = Reading::Member;
                match prepare_input(input, limits, &self.address, metrics, births, &member) {
                    Ok(consumer) => {
                        consumers.insert(InputId(input.name.as_str().into()), consumer);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Prepared {
            plan,
            settings,
            routes: Arc::new(routes),
            carriers,
            consumers,
            scripts,
        })
    }

    /// A digest of the script folder if it differs from what was loaded. Blocks.
    #[must_use]
    pub(crate) fn changed_scripts(&self) -> Option<String> {
        self.scripts.changed()
    }

    /// Puts a prepared revision into force.
    ///
    /// # Errors
    /// Only when the service is stopping.
    pub(crate) async fn adopt(&self, mut prepared: Prepared) -> Result<(), Stopping> {
        if let Some(change) = prepared.scripts.take_if(|scripts| scripts.is_change()) {
            let scripts = Arc::clone(&self.scripts);
            // Compiles once more, to take over the state of scripts that stay.
            let committed = tokio::task::spawn_blocking(move || scripts.commit(change)).await;
            committed.map_err(|_| Stopping)?;
        }
        match self.address.send(Reconfigure(prepared)).await {
            Ok(adopted) => adopted,
            Err(_) => Err(Stopping),
        }
    }
}

/// A topic of an input.
pub(super) type InputTopic = (InputId, Arc<str>);

impl Supervisor {
    /// Step 1: has the topics in question take nothing more. The future ends when they have nothing
    /// in flight, with `true`, or when the grace is over.
    fn hold(&mut self, plan: &Plan) -> impl Future<Output = bool> + use<> {
        let held = plan.routes.iter().filter(|route| route.settles_first);
        let topics: BTreeSet<InputTopic> = held
            .map(|route| {
                let input = InputId(route.input.as_str().into());
                (input, route.topic.as_str().into())
            })
            .collect();
        let (settled, mut all_settled) = tokio::sync::mpsc::channel::<()>(1);
        for (id, input) in &self.inputs {
            for (source, assigned) in &input.topics {
                if topics.contains(&(id.clone(), Arc::clone(&source.topic))) {
                    assigned.address.do_send(Hold {
                        settled: Some(settled.clone()),
                    });
                }
            }
        }
        self.change = ChangeOver::hold(topics);
        drop(settled);
        async move {
            let waited = tokio::time::timeout(SETTLE_GRACE, all_settled.recv()).await;
            waited.is_ok()
        }
    }

    /// Steps 2 and 3.
    fn change_over(&mut self, prepared: Prepared, settled: bool, ctx: &mut Context<Self>) {
        let Prepared {
            plan,
            settings,
            routes,
            mut carriers,
            mut consumers,
            scripts: _,
        } = prepared;
        self.settings = settings;
        self.supervise_waiting_parsers(&ctx.address());
        let revision = routes.revision;
        let routed = |source: &InputTopic| routes.route(&source.0, &source.1).is_some();
        let added = plan
            .routes
            .iter()
            .filter(|r| r.change == RouteChange::Added);
        let added = added.map(|route| {
            let input = InputId(route.input.as_str().into());
            (input, Arc::from(route.topic.as_str()))
        });
        let change = std::mem::take(&mut self.change);
        for step in change.proceed(settled, routed, added) {
            match step {
                Step::Swap => self.swap(&plan, &routes, &mut carriers, &ctx.address()),
                Step::Recall(topics) => self.recall(topics, revision),
                Step::ChangeInputs => {
                    for change in &plan.inputs {
                        let id = InputId(change.name.as_str().into());
                        let settings = self.settings.inputs.iter().find(|i| i.name == change.name);
                        let (settings, consumer) = (settings.cloned(), consumers.remove(&id));
                        self.change_input(change.action, &id, settings, consumer);
                    }
                    self.set_bounds();
                    self.share_out_credits();
                }
                Step::Release(topics) => self.release(&topics),
            }
        }
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        self.metrics.config_revision.set(revision);
        self.tidy_later(ctx);
    }

    /// Step 2: destinations, scripts and routes.
    fn swap(
        &mut self,
        plan: &Plan,
        routes: &Arc<RouteTable>,
        carriers: &mut HashMap<DestinationId, Arc<dyn Carrier>>,
        address: &Addr<Self>,
    ) {
        for change in &plan.destinations {
            let id = DestinationId(change.name.as_str().into());
            let destination = routes.destination(&id).cloned();
            let carrier = carriers.remove(&id);
            self.change_destination(change.change, &id, destination, carrier, address);
        }
        let unchanged = plan.scripts == ScriptsPlan::default();
        let scripts = match unchanged {
            true => self.scripts.in_force(),
            false => self.scripts.begin(),
        };
        let rules = Arc::new(RecordRules::new(&self.settings, scripts));
        self.directory.update(|addresses| {
            addresses.routes = Arc::clone(routes);
            addresses.rules = rules;
        });
    }

    /// What could not be settled in time goes by the new routes.
    fn recall(&self, topics: BTreeSet<InputTopic>, revision: u64) {
        tracing::warn!(
            topics = topics.len(),
            "records in flight were not settled in time; they go by the new routes"
        );
        let recall = Recall {
            topics: Arc::new(topics),
            revision,
        };
        for forwarder in self.directory.load().forwarders.values() {
            forwarder.do_send(recall.clone());
        }
    }

    /// Step 3: held topics go on, and those that have got a route.
    fn release(&self, topics: &BTreeSet<InputTopic>) {
        for (id, input) in &self.inputs {
            for (source, assigned) in &input.topics {
                if topics.contains(&(id.clone(), Arc::clone(&source.topic))) {
                    assigned.address.do_send(Release);
                }
            }
        }
    }

    fn change_destination(
        &mut self,
        change: DestinationChange,
        id: &DestinationId,
        destination: Option<Destination>,
        carrier: Option<Arc<dyn Carrier>>,
        address: &Addr<Self>,
    ) {
        match (change, destination, carrier) {
            (DestinationChange::Start, Some(destination), Some(carrier)) => {
                self.supervise_forwarder(destination, carrier, address);
            }
            (
                DestinationChange::Adjust | DestinationChange::Reconnect,
                Some(destination),
                carrier,
            ) => {
                if let Some(forwarder) = self.directory.load().forwarders.get(id) {
                    forwarder.do_send(Adopt {
                        destination,
                        carrier,
                    });
                }
            }
            (DestinationChange::Stop, ..) => {
                // Stays in the directory: work that is under way may still come to it.
                if let Some(forwarder) = self.directory.load().forwarders.get(id) {
                    self.retiring.push(Retiring {
                        id: id.clone(),
                        address: forwarder.clone(),
                        retirement: Retirement::begin(Instant::now()),
                    });
                }
            }
            _ => tracing::error!(destination = %id, "a destination was not prepared"),
        }
    }

    fn change_input(
        &mut self,
        action: InputAction,
        id: &InputId,
        settings: Option<InputSettings>,
        consumer: Option<PreparedConsumer>,
    ) {
        let Some(input) = self.inputs.get_mut(id) else {
            if let (Some(settings), Some(consumer)) = (settings, consumer)
                && let Err(error) = self.start_input(settings, consumer)
            {
                tracing::error!(%error, "an input cannot be started");
            }
            return;
        };
        if let Some(settings) = settings {
            input.settings = settings;
        }
        match action {
            InputAction::Keep => {}
            InputAction::Subscribe => {
                let topics = input.settings.selection();
                match (&input.thread, &mut input.leaving) {
                    (Some(thread), _) => thread.subscribe(topics),
                    (
                        None,
                        Some(Leaving {
                            next: Some(next), ..
                        }),
                    ) => next.subscribe(topics),
                    (None, _) => {}
                }
            }
            // An input that comes while its predecessor of the same name still leaves, or that gets
            // a new client: the old one goes first.
            InputAction::Start | InputAction::Recreate => leave(input, consumer),
            InputAction::Stop => leave(input, None),
        }
    }

    /// Tells every topic what the settings allow it now.
    fn set_bounds(&mut self) {
        let now = Instant::now();
        for input in self.inputs.values_mut() {
            let topics: Vec<_> = input
                .topics
                .iter()
                .map(|(source, assigned)| (Arc::clone(&source.topic), assigned.address.clone()))
                .collect();
            for (name, topic) in topics {
                topic.do_send(SetBounds(input.bounds(&name, &self.settings, now)));
            }
        }
    }

    fn tidy_later(&mut self, ctx: &mut Context<Self>) {
        let leaving = self.inputs.values().any(|input| input.leaving.is_some());
        if !self.tidying && (leaving || !self.retiring.is_empty()) {
            self.tidying = true;
            ctx.run_later(TIDY_INTERVAL, |actor, ctx| {
                actor.tidying = false;
                actor.tidy_inputs();
                actor.tidy_destinations(ctx);
                actor.tidy_later(ctx);
            });
        }
    }

    /// Takes inputs out that have left their group, and starts what takes their place.
    fn tidy_inputs(&mut self) {
        let mut gone = Vec::new();
        for (id, input) in &mut self.inputs {
            let left = |leaving: &mut Leaving| leaving.thread.is_finished();
            let Some(leaving) = input.leaving.take_if(left) else {
                continue;
            };
            if leaving.thread.join().is_err() {
                tracing::error!(input = %id, "a consumer thread panicked");
            }
            match leaving.next.map(PreparedConsumer::start) {
                Some(Ok(thread)) => {
                    tracing::info!(input = %id, "the input has a new client");
                    input.thread = Some(thread);
                }
                Some(Err(error)) => {
                    tracing::error!(input = %id, %error, "the input cannot be started again");
                    input.alarm = Some(error.to_string());
                }
                None => gone.push(id.clone()),
            }
        }
        for id in gone {
            tracing::info!(input = %id, "the input has left its group");
            self.inputs.remove(&id);
            self.metrics.forget("input", &id.0);
        }
    }

    /// Ends destinations that are out of the configuration and have nothing left to deliver, or no
    /// time.
    fn tidy_destinations(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        // What an input drains may still need them.
        let draining = self.inputs.values().any(|input| input.leaving.is_some());
        let mut asked = Vec::new();
        for retiring in &mut self.retiring {
            if let Some(order) = retiring.retirement.look(now, draining) {
                let force = order == RetireOrder::AtOnce;
                asked.push((retiring.address.clone(), Retire { force }));
            }
        }
        for (address, retire) in asked {
            let answer = address.send(retire).into_actor(self);
            ctx.spawn(answer.map(move |stopped, actor, _| {
                // One that died meanwhile has stopped, too.
                actor.retired(&address, stopped.unwrap_or(true));
            }));
        }
    }

    fn retired(&mut self, address: &Addr<ForwarderActor>, stopped: bool) {
        let Some(at) = self.retiring.iter().position(|r| r.address == *address) else {
            return;
        };
        if !stopped {
            if let Some(retiring) = self.retiring.get_mut(at) {
                retiring.retirement.goes_on();
            }
            return;
        }
        let Retiring { id, .. } = self.retiring.swap_remove(at);
        let current = self.directory.load().forwarders.get(&id).cloned();
        // It may have come back into the configuration as a new actor.
        if current.is_some_and(|current| current == *address) {
            self.directory.update(|addresses| {
                addresses.forwarders.remove(&id);
            });
            self.factories.remove(&Child::Forwarder(id.clone()));
            self.metrics.forget("destination", &id.0);
            tracing::info!(destination = %id, "the destination is gone");
        }
    }
}

impl Handler<Reconfigure> for Supervisor {
    type Result = ResponseActFuture<Self, Result<(), Stopping>>;

    fn handle(&mut self, message: Reconfigure, _: &mut Self::Context) -> Self::Result {
        let Reconfigure(prepared) = message;
        let settled = self.hold(&prepared.plan);
        Box::pin(
            wrap_future(settled).map(move |settled, actor: &mut Self, ctx| {
                if actor.stopping {
                    return Err(Stopping);
                }
                actor.change_over(prepared, settled, ctx);
                Ok(())
            }),
        )
    }
}

/// Has the client of an input drain, commit and leave.
fn leave(input: &mut Input, next: Option<PreparedConsumer>) {
    if let Some(leaving) = &mut input.leaving {
        leaving.next = next;
    } else if let Some(thread) = input.thread.take().and_then(ConsumerThread::stop) {
        input.leaving = Some(Leaving { thread, next });
    } else if let Some(next) = next {
        match next.start() {
            Ok(thread) => input.thread = Some(thread),
            Err(error) => input.alarm = Some(error.to_string()),
        }
    }
}
