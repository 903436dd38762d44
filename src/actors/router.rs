//! [`RouterActor`]: owns every other actor.
//!
//! It starts them in the order in which data flows backwards, so that each finds those it sends to;
//! gives every assigned partition a [`TopicActor`] and drains it when the partition goes; replaces
//! parsers, forwarders and the dead letter writer when they die, with a growing pause; and has an
//! input's client made anew when one of its partitions lost its actor. It answers for the state of
//! everything.

mod blocked;
mod children;
mod reconfigure;
mod report;
mod shutdown;
mod threads;
mod topics;
mod troubles;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::reconfigure::Retiring;
pub use self::reconfigure::{Prepared, Stopping};
use self::threads::Threads;
use actix::{Actor, Addr, AsyncContext, Context, Handler, MailboxError};

use super::dead_letter::{Graveyard, TopicGraveyard};
use super::directory::{Addresses, Directory};
use super::messages::{
    ChildStopped, DecideSuspect, Drain, GetStatus, Hold, InputJoined, InputReport, PartitionPlaced,
    PartitionsAssigned, PartitionsRevoked, Placed, SetCredits, Shutdown, Sweep,
};
use super::status::{LastError, ServiceStatus, SuspectStatus};
use super::topic::{TopicActor, TopicBounds, TopicOptions, View};
use crate::controls::Controls;
use crate::dead_letters::PLACEHOLDER;
use crate::kafka::{
    BirthStore, ConsumerThread, Generation, KafkaError, PartitionReader, PreparedConsumer, Reading,
    Standing, Statistics, Stretch,
};
use crate::metrics::{HandledCounters, Metrics, PartitionSeries, TopicMetrics};
use crate::outputs::{Carrier, CarrierError};
use crate::process::RecordRules;
use crate::recorder::Recorder;
use crate::routing::{Destination, DestinationId, InputId, RateLimit, RouteTable, RoutingError};
use crate::run_time::RunTime;
use crate::scripts::{Scripts, ScriptsError, report_problems};
use kafkamq_delivery::dead_letter::{DeadLetterError, DeadLetterOptions, DeadLetterStore};
use kafkamq_delivery::delivery::Decision;
use kafkamq_memory::Account;
use kafkamq_record::{PartitionAccounts, TopicPartition};
use kafkamq_settings::{DeadLetterKind, FlowSettings, InputSettings, Settings};
use kafkamq_source::trouble::Troubles;

/// Share of the memory limit that is charged to accounts; the rest is for prefetched records.
const CHARGED_SHARE: u64 = 2;
/// Share of the memory limit for records in flight, all partitions together, and again for what is
/// made of them.
const IN_FLIGHT_SHARE: u64 = 4;
/// The part of the memory that copies of records for taps may take.
const TAPS_SHARE: u64 = 16;
/// The part of the memory that runs of scripts may take, all threads together, and that again for what
/// scripts leave behind.
const SCRIPTS_SHARE: u64 = 8;
/// Least allowance of one partition: any less would starve it.
const MIN_PARTITION_BYTES: u64 = 32 * 1024;
/// Most memory in flight that one partition can use well.
const MAX_PARTITION_BYTES: u64 = 16 << 20;
/// Pause before an actor that died is started again; doubles while it keeps dying.
const RESPAWN_PAUSE: Duration = Duration::from_millis(10);
const RESPAWN_PAUSE_MAX: Duration = Duration::from_secs(5);
/// An actor that lived this long is not counted as one that keeps dying.
const RESPAWN_RESET: Duration = Duration::from_secs(30);
/// A member that has lag, nothing in flight and moves nothing for this long gets a new client.
const STUCK_AFTER: Duration = Duration::from_secs(300);
/// How long the end waits for points of aggregation, which no offset stands for.
const FINAL_DELIVERY_GRACE: Duration = Duration::from_secs(5);
/// How long the status page waits for an actor.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the actors cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A route or output cannot be used.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A destination cannot be set up.
    #[error("destination `{destination}`: {source}")]
    Destination {
        /// The destination.
        destination: String,
        /// What is wrong.
        source: CarrierError,
    },
    /// The script engine cannot be set up.
    #[error(transparent)]
    Scripts(#[from] ScriptsError),
    /// The folder of dead letters cannot be used.
    #[error("dead letters: {0}")]
    DeadLetters(#[from] DeadLetterError),
    /// The folder of the recorder cannot be used.
    #[error("recorder: {0}")]
    Recorder(#[source] std::io::Error),
    /// The Kafka client refused an input.
    #[error("input `{input}`: {source}")]
    Kafka {
        /// The input.
        input: String,
        /// What is wrong.
        source: KafkaError,
    },
    /// The Kafka client refused the settings of the dead letter topic.
    #[error("dead letters: {0}")]
    DeadLetterTopic(#[source] KafkaError),
    /// Dead letters would be read again.
    #[error(
        "dead letters: topic `{0}` is read by an input, so its records would come back for ever; give `dead_letter.topic` another name"
    )]
    DeadLetterLoop(String),
    /// A feature that this build does not have.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
}

/// One input and its membership.
struct Input {
    settings: InputSettings,
    thread: Option<ConsumerThread>,
    /// The thread of a client that leaves its group, and what comes after it.
    leaving: Option<Leaving>,
    topics: HashMap<TopicPartition, Assigned>,
    /// Rate limits by topic; `None` is what topics without rules of their own share.
    limits: HashMap<Option<Arc<str>>, (Rates, Arc<RateLimit>)>,
    /// What the work in flight of each topic is charged to.
    accounts: HashMap<Arc<str>, Arc<Account>>,
    joined: bool,
    statistics: Statistics,
    standing: Standing,
    blocks: blocked::Blocks,
    /// When its client was made anew because nothing moved.
    rebuilt: Instant,
    /// What is in the way between it and its brokers.
    troubles: Troubles,
    last_error: Option<LastError>,
    /// Errors logged lately; a client repeats itself, and mixes several, while a broker is away.
    logged: HashMap<String, Instant>,
    /// What somebody has to act on; ends with the next progress or assignment.
    alarm: Option<String>,
    /// When that was last reported.
    alarmed: Instant,
}

/// An assigned partition.
struct Assigned {
    generation: Generation,
    address: Addr<TopicActor>,
    /// What its actor shows.
    view: Arc<View>,
}

/// Records and bytes per second.
type Rates = (Option<u64>, Option<u64>);

/// An input whose client drains, commits and leaves its group.
struct Leaving {
    thread: JoinHandle<()>,
    /// The client that takes its place, if the input stays.
    next: Option<PreparedConsumer>,
}

impl Input {
    fn new(settings: InputSettings) -> Self {
        Self {
            settings,
            thread: None,
            leaving: None,
            topics: HashMap::new(),
            limits: HashMap::new(),
            accounts: HashMap::new(),
            joined: false,
            statistics: Statistics::default(),
            standing: Standing::default(),
            blocks: blocked::Blocks::default(),
            rebuilt: Instant::now(),
            troubles: Troubles::default(),
            last_error: None,
            logged: HashMap::new(),
            alarm: None,
            alarmed: Instant::now(),
        }
    }

    /// Accounts for a partition of `topic`, each with an allowance of `bytes`.
    fn accounts(
        &mut self,
        service: &Arc<Account>,
        topic: &Arc<str>,
        bytes: usize,
    ) -> PartitionAccounts {
        let own = self
            .accounts
            .entry(Arc::clone(topic))
            .or_insert_with(|| service.child(Arc::clone(topic), usize::MAX));
        PartitionAccounts::below(service, own, bytes)
    }

    /// What the settings allow `topic`.
    fn bounds(&mut self, topic: &Arc<str>, settings: &Settings) -> TopicBounds {
        let limits = settings.limits;
        TopicBounds {
            max_in_flight: self.settings.max_in_flight,
            batch_records: limits.batch_records,
            batch_bytes: usize::try_from(limits.batch_bytes).unwrap_or(usize::MAX),
            max_attempts: settings.dead_letter.max_attempts.saturating_add(1),
            limit: self.limit(topic),
            limit_key: self.settings.flow(topic).limit_key,
        }
    }

    /// Whether there are records behind `position` of an assigned partition, as far as that is known.
    fn has_unread(&self, source: &TopicPartition, position: Option<i64>) -> bool {
        let end = self
            .statistics
            .partitions
            .get(source)
            .and_then(|known| known.end);
        end.zip(position)
            .is_some_and(|(end, position)| end > position)
    }

    /// Records of an assigned partition that are not committed, if that is known.
    fn lag(&self, source: &TopicPartition) -> Option<i64> {
        let stands = self.standing.read.get(source)?;
        let end = self.statistics.partitions.get(source)?.end?;
        Some((end - stands.basis.0).max(0))
    }

    /// The limit that `topic` is read under, shared by its partitions; a topic without a limit of
    /// its own shares the input's. A limit whose rate stays keeps its level.
    fn limit(&mut self, topic: &Arc<str>) -> Option<Arc<RateLimit>> {
        let rates = |flow: &FlowSettings| (flow.limit_records, flow.limit_bytes);
        let limited = |(records, bytes): &Rates| records.or(*bytes).is_some();
        let own = self.settings.own_flow(topic).map(rates).filter(limited);
        let (key, rates) = match own {
            Some(rates) => (Some(Arc::clone(topic)), rates),
            None => (None, rates(&self.settings.flow)),
        };
        match self.limits.get(&key) {
            Some((known, limit)) if *known == rates => Some(Arc::clone(limit)),
            _ => {
                self.limits.remove(&key);
                let limit = Arc::new(RateLimit::new(rates.0, rates.1, Instant::now())?);
                self.limits.insert(key, (rates, Arc::clone(&limit)));
                Some(limit)
            }
        }
    }
}

/// How often a child died lately.
struct Deaths {
    count: u32,
    last: Instant,
}

/// Owner of all actors.
pub(crate) struct RouterActor {
    settings: Arc<Settings>,
    metrics: Metrics,
    directory: Arc<Directory>,
    threads: Threads,
    graveyard: Graveyard,
    scripts: Arc<Scripts>,
    recorder: Option<Recorder>,
    controls: Arc<Controls>,
    /// Above the accounts of all topics.
    memory: Arc<Account>,
    series: PartitionSeries,
    births: Arc<BirthStore>,
    /// Failed attempts to write dead letters, and when the last one was noticed.
    letters_failed: (u64, Option<Instant>),
    inputs: HashMap<InputId, Input>,
    deaths: HashMap<String, Deaths>,
    restarts: u64,
    started: Instant,
    stopping: bool,
    /// Topics that are not read while their routes change.
    held: Arc<HashSet<(InputId, Arc<str>)>>,
    /// Destinations that left the configuration and still have work.
    retiring: Vec<Retiring>,
    tidying: bool,
}

/// A handle on the running actors, for the HTTP server and the composition root.
#[derive(Clone)]
pub struct Router {
    address: Addr<RouterActor>,
    births: Arc<BirthStore>,
    directory: Arc<Directory>,
    scripts: Arc<Scripts>,
    controls: Arc<Controls>,
    run_time: Arc<RunTime>,
    metrics: Metrics,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Router {
    /// Starts all actors and the consumer of every input. Must be called inside a running system.
    ///
    /// # Errors
    /// When something in the settings cannot be used. Brokers and destinations need not be there.
    pub fn start(settings: Arc<Settings>, metrics: Metrics) -> Result<Self, StartError> {
        Self::start_reading(settings, metrics, &Reading::Member)
    }

    /// The same with inputs that join no group and commit nothing: each reads `stretches`, once.
    ///
    /// # Errors
    /// As for [`Router::start`].
    pub fn start_outside(
        settings: Arc<Settings>,
        metrics: Metrics,
        stretches: &Arc<[Arc<Stretch>]>,
    ) -> Result<Self, StartError> {
        Self::start_reading(settings, metrics, &Reading::Once(Arc::clone(stretches)))
    }

    fn start_reading(
        settings: Arc<Settings>,
        metrics: Metrics,
        reading: &Reading,
    ) -> Result<Self, StartError> {
        let recorder = Recorder::start(&settings.recorder, &metrics.recorder_points)
            .map_err(StartError::Recorder)?;
        let routes = Arc::new(RouteTable::compile(&settings, 1)?);
        let mut carriers = HashMap::new();
        for destination in routes.destinations() {
            carriers.insert(destination.id.clone(), carrier(destination)?);
        }
        let graveyard = graveyard(&settings)?;
        let memory = Account::root("service", charged_bytes(&settings));
        let scripts = load_scripts(&settings, &memory)?;
        let for_taps = settings.limits.memory_bytes / TAPS_SHARE;
        let for_taps = usize::try_from(for_taps).unwrap_or(usize::MAX);
        let controls = Arc::new(Controls::new(memory.child("taps", for_taps)));
        let run_time = RunTime::resume(
            settings.server.state_dir.as_deref(),
            Arc::clone(&scripts),
            Arc::clone(&controls),
        );
        metrics.config_revision.set(1);
        let births = Arc::new(BirthStore::open(settings.server.state_dir.as_deref()));

        let (_, inbox) = actix::dev::channel::channel(64);
        let context = Context::with_receiver(inbox);
        let address = context.address();
        let mut actor = RouterActor::new(
            settings,
            metrics.clone(),
            routes,
            carriers,
            graveyard,
            Arc::clone(&scripts),
            controls,
            recorder,
            births,
            memory,
            &address,
        );
        if let Err(error) = actor.start_inputs(&address, reading) {
            actor.stop_inputs();
            return Err(error);
        }
        Ok(Self {
            births: Arc::clone(&actor.births),
            directory: Arc::clone(&actor.directory),
            scripts,
            controls: Arc::clone(&actor.controls),
            run_time: Arc::new(run_time),
            metrics,
            address: context.run(actor),
        })
    }

    /// Everything for which [`Router::start`] would refuse these settings, as far as that can be
    /// known without touching a disk or a network.
    #[must_use]
    pub fn refusals(settings: &Settings) -> Vec<StartError> {
        let mut found = Vec::new();
        match RouteTable::compile(settings, 1) {
            Ok(routes) => {
                let refused = routes
                    .destinations()
                    .map(|destination| destination.reach.kind().refusal());
                let named = routes.destinations().zip(refused);
                found.extend(named.filter_map(|(destination, refused)| {
                    let destination = destination.id.to_string();
                    refused.map(|source| StartError::Destination {
                        destination,
                        source,
                    })
                }));
            }
            Err(error) => found.push(error.into()),
        }
        found.extend(dead_letter_loop(settings));
        found.extend(
            settings
                .inputs
                .iter()
                .filter_map(|input| children::refusal_of(input, &settings.limits)),
        );
        found
    }

    #[cfg(test)]
    pub(super) const fn address(&self) -> &Addr<RouterActor> {
        &self.address
    }

    /// The state of everything; `None` if the router does not answer in time.
    pub async fn status(&self) -> Option<ServiceStatus> {
        let asked = self.address.send(GetStatus);
        tokio::time::timeout(STATUS_TIMEOUT * 2, asked)
            .await
            .ok()?
            .ok()
    }

    /// Decides about the request of `destination` that is refused time and again. `None` if there is
    /// no such destination; an error if it does not answer; otherwise the request, if there is one.
    pub(crate) async fn decide_suspect(
        &self,
        destination: &str,
        decision: Decision,
    ) -> Option<Result<Option<SuspectStatus>, MailboxError>> {
        let addresses = Arc::clone(&self.directory.load());
        let forwarder = addresses
            .forwarders
            .get(&DestinationId(destination.into()))?;
        let asked = forwarder.send(DecideSuspect(decision));
        Some(asked.timeout(STATUS_TIMEOUT).await)
    }

    /// Stops all inputs: takes nothing more, settles what is in flight up to each input's
    /// deadline, commits, and leaves the groups.
    pub async fn shutdown(&self) {
        if self.address.send(Shutdown).await.is_err() {
            tracing::error!("the router is gone; inputs leave their groups by time-out");
        }
    }
}

/// Bytes that may be charged to accounts: the memory limit without what the client library keeps.
fn charged_bytes(settings: &Settings) -> usize {
    let bytes = settings.limits.memory_bytes / CHARGED_SHARE;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The bytes of them that all backlogs together may take.
fn backlog_bytes(settings: &Settings) -> usize {
    usize::try_from(settings.limits.backlog_bytes()).unwrap_or(usize::MAX)
}

fn load_scripts(settings: &Settings, memory: &Arc<Account>) -> Result<Arc<Scripts>, ScriptsError> {
    let share = settings.limits.memory_bytes / SCRIPTS_SHARE;
    let account = memory.child("scripts", usize::try_from(share).unwrap_or(usize::MAX));
    let (scripts, report) = Scripts::within(&settings.pipeline, &account)?;
    report_problems(&report);
    tracing::info!(scripts = report.loaded, "scripts loaded");
    Ok(Arc::new(scripts))
}

fn carrier(destination: &Destination) -> Result<Arc<dyn Carrier>, StartError> {
    destination
        .reach
        .kind()
        .carrier()
        .map_err(|source| StartError::Destination {
            destination: destination.id.to_string(),
            source,
        })
}

fn graveyard(settings: &Settings) -> Result<Graveyard, StartError> {
    match &settings.dead_letter.kind {
        DeadLetterKind::File {
            path,
            segment_bytes,
            max_bytes,
        } => {
            let options = DeadLetterOptions {
                segment_bytes: *segment_bytes,
                limit_bytes: *max_bytes,
            };
            Ok(Graveyard::Files(Arc::new(DeadLetterStore::open(
                path, options,
            )?)))
        }
        DeadLetterKind::None => Ok(Graveyard::Nowhere),
        DeadLetterKind::Kafka { topic, cluster } => {
            if let Some(error) = dead_letter_loop(settings) {
                return Err(error);
            }
            let graveyard = TopicGraveyard::try_new(topic, cluster.as_deref(), settings)
                .map_err(StartError::DeadLetterTopic)?;
            Ok(Graveyard::Topic(Arc::new(graveyard)))
        }
    }
}

/// A dead letter topic that an input reads.
fn dead_letter_loop(settings: &Settings) -> Option<StartError> {
    let DeadLetterKind::Kafka { topic, cluster } = &settings.dead_letter.kind else {
        return None;
    };
    let same = |input: &&InputSettings| {
        let cluster = cluster.as_deref();
        cluster.is_none_or(|cluster| cluster.addrs == input.cluster.addrs)
    };
    let inputs = || settings.inputs.iter().filter(same);
    let topics = || inputs().flat_map(InputSettings::subscriptions);
    topics()
        .map(|read| topic.replace(PLACEHOLDER, read.topic))
        .find(|written| topics().any(|other| other.topic == written))
        .map(StartError::DeadLetterLoop)
}

impl RouterActor {
    #[expect(clippy::too_many_arguments, reason = "everything it owns")]
    fn new(
        settings: Arc<Settings>,
        metrics: Metrics,
        routes: Arc<RouteTable>,
        carriers: HashMap<DestinationId, Arc<dyn Carrier>>,
        graveyard: Graveyard,
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
            graveyard.clone(),
            metrics.clone(),
            address,
        );
        let directory = Directory::new(Addresses {
            routes: Arc::clone(&routes),
            terms: Arc::new(RecordRules::new(
                &settings,
                scripts.in_force(),
                recorder.clone(),
            )),
            parsers: Vec::new(),
            quick_parsers: threads.parse.len(),
            forwarders: HashMap::new(),
            dead_letter,
            memory: Arc::clone(&memory),
            backlogs: memory.child("backlogs", backlog_bytes(&settings)),
        });
        let series = PartitionSeries::new(&metrics, settings.limits.partition_series);
        let mut actor = Self {
            settings,
            metrics,
            directory,
            threads,
            graveyard,
            scripts,
            recorder,
            controls,
            memory,
            series,
            births,
            letters_failed: (0, None),
            inputs: HashMap::new(),
            deaths: HashMap::new(),
            restarts: 0,
            started: Instant::now(),
            stopping: false,
            held: Arc::default(),
            retiring: Vec::new(),
            tidying: false,
        };
        for destination in routes.destinations() {
            if let Some(carrier) = carriers.get(&destination.id) {
                actor.start_forwarder(destination.clone(), Arc::clone(carrier), address);
            }
        }
        for index in 0..actor.threads.parse.len() {
            actor.start_parser(index, address);
        }
        actor.start_waiting_parsers(address);
        actor
    }

    /// Asks every consumer thread to leave its group, and returns what to wait for.
    fn stop_inputs(&mut self) -> Vec<std::thread::JoinHandle<()>> {
        self.inputs
            .values_mut()
            .filter_map(|input| match input.leaving.take() {
                Some(leaving) => Some(leaving.thread),
                None => input.thread.take().and_then(ConsumerThread::stop),
            })
            .collect()
    }

    #[cfg(test)]
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    #[cfg(test)]
    pub(super) fn topics(&self) -> impl Iterator<Item = &Addr<TopicActor>> {
        let topics = self.inputs.values().flat_map(|input| input.topics.values());
        topics.map(|assigned| &assigned.address)
    }

    /// This partition's part of the memory for records in flight.
    fn partition_bytes(&self) -> usize {
        let partitions: usize = self.inputs.values().map(|input| input.topics.len()).sum();
        let share = self.settings.limits.memory_bytes / IN_FLIGHT_SHARE;
        let bytes =
            (share / partitions.max(1) as u64).clamp(MIN_PARTITION_BYTES, MAX_PARTITION_BYTES);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn share_out_credits(&self) {
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
                bounds: input.bounds(&source.topic, &self.settings),
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
            if self
                .held
                .contains(&(input_id.clone(), Arc::clone(&source.topic)))
            {
                topic.do_send(Hold { settled: None });
            }
            let assigned = Assigned {
                generation,
                address: topic,
                view,
            };
            input.topics.insert(source, assigned);
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
        if revoked.lost {
            for forwarder in self.directory.load().forwarders.values() {
                forwarder.do_send(Sweep);
            }
        }
        self.share_out_credits();
    }
}

impl Actor for RouterActor {
    type Context = Context<Self>;
}

impl Handler<PartitionsAssigned> for RouterActor {
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

impl Handler<PartitionPlaced> for RouterActor {
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

impl Handler<PartitionsRevoked> for RouterActor {
    type Result = ();

    fn handle(&mut self, revoked: PartitionsRevoked, _: &mut Self::Context) {
        self.revoke(&revoked);
    }
}

impl Handler<InputReport> for RouterActor {
    type Result = ();

    fn handle(&mut self, report: InputReport, _: &mut Self::Context) {
        self.report(&report.input, report.statistics);
    }
}

impl Handler<InputJoined> for RouterActor {
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

impl Handler<ChildStopped> for RouterActor {
    type Result = ();

    fn handle(&mut self, stopped: ChildStopped, ctx: &mut Self::Context) {
        self.child_stopped(stopped.child, ctx);
    }
}
