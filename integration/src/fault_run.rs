//! One run of faults: the service between a cluster and receivers, a schedule, and the account that
//! is taken at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use fastrand::Rng;
use kafkamq_delivery::dead_letter::{DeadLetterOptions, DeadLetterStore, Filter};
use kafkamq_testbed::faults::Fault;
use kafkamq_testbed::receiver::HandleOptions;
use kafkamq_testbed::{IdSet, Receiver, RecordId, Route, Sample, Testbed};
use serde_json::json;

use crate::await_until::until;
use crate::cluster::{Cluster, NODES};
use crate::config::Config;
use crate::fault_account::Account;
use crate::guarded::Ending;
use crate::kafkamq::Kafkamq;
use crate::leaders::move_leader;
use crate::order_watch::OrderWatch;
use crate::producer::Producer;
use crate::progress::ProgressWatch;
use crate::proxy::{Proxy, Weather};
use crate::schedule::{Change, Event, Schedule, Trouble};
use crate::small_disk::SmallDisk;

/// Records of one partition in flight.
const WINDOW: u64 = 500;
/// Everything must have arrived and be committed so long after the last fault.
const LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(30);
/// How long a share of a step's records is waited for; what holds them up is part of the run.
const SHARE_LIMIT: Duration = Duration::from_secs(8);
/// Records that the receiver refuses while the disk is full.
const POISONED: u32 = 3;
const COORDINATOR_TOPIC: &str = "__consumer_offsets";

/// The topics of a run: route, partitions, and which receiver its records belong to.
pub const TOPICS: [(Route, u16, Home); 4] = [
    (Route::CustomLog, 4, Home::Datakit),
    (Route::CustomLogArray, 2, Home::Datakit),
    (Route::OtelTraces, 3, Home::Collector),
    (Route::Handle, 3, Home::Handle),
];

/// A receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Points of custom topics.
    Datakit,
    /// Spans.
    Collector,
    /// Opaque frames.
    Handle,
}

const HOMES: [Home; 3] = [Home::Datakit, Home::Collector, Home::Handle];

impl Home {
    const fn of(self, testbed: &Testbed) -> &Receiver {
        match self {
            Self::Datakit => &testbed.datakit,
            Self::Collector => &testbed.collector,
            Self::Handle => &testbed.handle,
        }
    }
}

/// A topic as the run knows it.
#[derive(Debug)]
struct Topic {
    name: String,
    route: Route,
    /// The next sequence of each partition.
    next: Vec<u32>,
    /// The offset behind the last record of each partition.
    ends: Vec<i64>,
}

/// A run under way.
#[derive(Debug)]
pub struct FaultRun<'a> {
    schedule: Schedule,
    cluster: &'a mut Cluster,
    testbed: Arc<Testbed>,
    /// In front of the receivers, in the order of `HOMES`.
    proxies: Vec<Arc<Proxy>>,
    dir: PathBuf,
    group: String,
    config: Config,
    topics: Vec<Topic>,
    expected: IdSet,
    poisoned: Vec<RecordId>,
    kafkamq: Option<Kafkamq>,
    disk: Option<SmallDisk>,
    watch: Option<ProgressWatch>,
    order: Option<OrderWatch>,
    rng: Rng,
    account: Account,
    members: u32,
    revision: u64,
}

impl<'a> FaultRun<'a> {
    /// Sets everything up in `dir` and starts the service.
    ///
    /// # Errors
    /// Something does not start.
    pub fn start(schedule: Schedule, cluster: &'a mut Cluster, dir: &Path) -> Result<Self> {
        let seed = schedule.seed;
        let group = format!("faults-{seed}-{}", fastrand::u32(..));
        let testbed = Arc::new(Testbed::start(HandleOptions::default())?);
        let proxies: Vec<_> = HOMES
            .into_iter()
            .map(|home| Proxy::start(home.of(&testbed).addr(), seed).map(Arc::new))
            .collect::<Result<_>>()?;
        let broker = cluster.broker()?;
        let mut topics = Vec::new();
        for (route, partitions, _) in TOPICS {
            let name = format!("{group}-{route}");
            broker.create_topic(&name, i32::from(partitions))?;
            topics.push(Topic {
                name,
                route,
                next: vec![0; usize::from(partitions)],
                ends: vec![0; usize::from(partitions)],
            });
        }
        let disk = SmallDisk::at(&dir.join("first-dead-letter"))?.ok();
        let config = config(&schedule, &group, &cluster.outside(), &topics, &proxies);
        let kafkamq = Kafkamq::start(&config, dir, "first")?;
        let watch = ProgressWatch::start();
        watch.add(kafkamq.port());
        let order = Some(OrderWatch::start(Arc::clone(&testbed)));
        let mut run = Self {
            rng: Rng::with_seed(seed ^ 0x5eed),
            schedule,
            cluster,
            testbed,
            proxies,
            dir: dir.to_owned(),
            group,
            config,
            topics,
            expected: IdSet::new(),
            poisoned: Vec::new(),
            kafkamq: Some(kafkamq),
            disk,
            watch: Some(watch),
            order,
            account: Account::default(),
            members: 0,
            revision: 0,
        };
        run.account.seed = seed;
        let partitions = run.partitions();
        run.first()?.await_assigned(partitions)?;
        Ok(run)
    }

    /// Plays the schedule with so many records, and takes the account.
    ///
    /// # Errors
    /// The run itself could not be held, or the service ended by itself.
    pub fn play(mut self, records: u32) -> Result<Account> {
        let began = Instant::now();
        let steps = self.schedule.steps.clone();
        let chunk = records.div_ceil(steps.len() as u32 + 1);
        for (number, step) in steps.iter().enumerate() {
            self.step(chunk, step.after, step.event, step.trouble)
                .with_context(|| format!("step {number}: {step:?}"))?;
        }
        self.produce(chunk)?;
        self.settle().context("at the end")?;
        let ending = self.first()?.terminate(END_LIMIT)?;
        ensure!(ending == Ending::Code(0), "the end: {ending:?}");
        self.account.took = began.elapsed();
        self.finish()
    }

    fn first(&mut self) -> Result<&mut Kafkamq> {
        self.kafkamq.as_mut().context("the service is away")
    }

    fn partitions(&self) -> usize {
        self.topics.iter().map(|topic| topic.next.len()).sum()
    }

    fn arrived(&self) -> u64 {
        HOMES
            .iter()
            .map(|home| home.of(&self.testbed).ledger().total())
            .sum()
    }

    /// Produces a chunk, lets some of it arrive, and lets the event happen while the rest flows.
    fn step(&mut self, chunk: u32, after: u64, event: Event, trouble: Trouble) -> Result<()> {
        let before = self.arrived();
        self.produce(chunk)?;
        let share = before + u64::from(chunk) * after / 1000;
        let waited = Instant::now();
        while self.arrived() < share && waited.elapsed() < SHARE_LIMIT {
            std::thread::sleep(Duration::from_millis(5));
        }
        let clearing = self.begin(trouble);
        let outcome = self.happen(event);
        if let Some(clearing) = clearing {
            clearing
                .join()
                .map_err(|_| anyhow!("the weather's thread died"))?;
        }
        let left_out = event == Event::FullDisk && self.disk.is_none();
        self.account.faults += u64::from(!left_out) + u64::from(trouble != Trouble::None);
        outcome?;
        match event {
            Event::Recreate(topic) => self.recreate(topic),
            Event::Truncate(topic) => self.truncate(topic),
            _ => Ok(()),
        }
    }

    /// Produces so many records, evenly over topics and their partitions.
    fn produce(&mut self, records: u32) -> Result<()> {
        let mut producer = Producer::new(&self.cluster.bootstrap(), "none")?;
        let each = records.div_ceil(self.topics.len() as u32);
        for topic in &mut self.topics {
            let partitions = topic.next.len() as u32;
            for _ in 0..each.div_ceil(partitions) {
                for (partition, (next, end)) in
                    topic.next.iter_mut().zip(&mut topic.ends).enumerate()
                {
                    let id = RecordId::new(topic.route, partition as u16, *next);
                    let mut sample = Sample::of(id, producer.faker());
                    // Records without a key have no order to keep.
                    let key = || format!("key-{}", id.lane()).into();
                    sample.key.get_or_insert_with(key);
                    producer.send_sample(&topic.name, partition as i32, &sample)?;
                    self.account.records += 1;
                    *next += 1;
                    *end += 1;
                }
            }
        }
        producer.flush()?;
        self.expected.merge(producer.ids());
        Ok(())
    }

    /// Lets something happen on the way, which ends by itself, whatever else goes on.
    fn begin(&self, trouble: Trouble) -> Option<JoinHandle<()>> {
        let (proxies, weather, time) = match trouble {
            Trouble::None => return None,
            Trouble::Receivers(weather, time) => (self.proxies.clone(), weather, time),
            Trouble::Brokers(node, weather, time) => (self.cluster.proxies(node), weather, time),
            Trouble::Cut => {
                let brokers = self.cluster.proxies(None);
                self.proxies
                    .iter()
                    .chain(&brokers)
                    .for_each(|one| one.cut());
                return None;
            }
            Trouble::Refusals(status, one_in, time) => {
                let refusal = Fault::status(status).for_fraction(1.0 / f64::from(one_in));
                self.refuse(Some(refusal.lasting(time)));
                return None;
            }
        };
        proxies.iter().for_each(|proxy| proxy.set(weather));
        Some(std::thread::spawn(move || {
            std::thread::sleep(time);
            proxies.iter().for_each(|proxy| proxy.set(Weather::Fair));
        }))
    }

    /// Sets the faults of the receivers: what is poisoned stays so.
    fn refuse(&self, more: Option<Fault>) {
        for home in HOMES {
            let poisoned = self.poisoned.iter().map(Fault::poison);
            home.of(&self.testbed)
                .set_faults(poisoned.chain(more.clone()));
        }
    }

    fn happen(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Kill => {
                let killed = self.kafkamq.take().context("the service is away")?;
                self.kafkamq = Some(killed.kill_and_restart()?);
            }
            Event::Terminate => {
                let mut ended = self.kafkamq.take().context("the service is away")?;
                let ending = ended.terminate(END_LIMIT)?;
                ensure!(ending == Ending::Code(0), "SIGTERM: {ending:?}");
                self.kafkamq = Some(ended.start_again()?);
            }
            Event::Pause(time) => {
                self.first()?.signal("STOP")?;
                std::thread::sleep(time);
                self.first()?.signal("CONT")?;
            }
            Event::KillBroker(node, time) => {
                self.cluster.node(node)?.kill()?;
                std::thread::sleep(time);
                self.cluster.node(node)?.resume()?;
            }
            Event::RestartBroker(node) => self.cluster.node(node)?.restart()?,
            Event::MoveLeader(topic, node) => {
                let topic = self.topics.get(topic).context("no such topic")?;
                self.lead(&topic.name, node)?;
            }
            Event::MoveCoordinator(node) => self.lead(COORDINATOR_TOPIC, node)?,
            // Their records are settled first, so they come after what happens on the way.
            Event::Recreate(_) | Event::Truncate(_) => {}
            Event::Grow(topic) => self.grow(topic)?,
            Event::SecondMember { killed } => self.second_member(killed)?,
            Event::FullDisk => self.full_disk()?,
            Event::Reload(change) => self.reload(change)?,
        }
        Ok(())
    }

    /// Makes a node the leader of partition 0. It may have to catch up first.
    fn lead(&self, topic: &str, node: usize) -> Result<()> {
        let replicas: Vec<_> = (0..NODES)
            .map(|at| ((node + at) % NODES) as i32 + 1)
            .collect();
        let mut last = Ok(());
        until("another leader", LIMIT, || {
            last = move_leader(&self.cluster.running()?, topic, 0, &replicas);
            Ok(last.is_ok().then_some(()))
        })
        .with_context(|| format!("{last:?}"))
    }

    fn grow(&mut self, topic: usize) -> Result<()> {
        let broker = self.cluster.broker()?;
        let topic = self.topics.get_mut(topic).context("no such topic")?;
        // A request that the client sends again is refused, since the partition is there already.
        let asked = broker.grow_topic(&topic.name, topic.next.len() + 1);
        topic.next.push(0);
        topic.ends.push(0);
        // Records can be produced there once it has a leader.
        broker
            .await_leaders(&topic.name, topic.next.len())
            .with_context(|| format!("{asked:?}"))
    }

    fn second_member(&mut self, killed: bool) -> Result<()> {
        self.members += 1;
        let name = format!("second-{}", self.members);
        let mut second = Kafkamq::start(&self.config, &self.dir, &name)?;
        if let Some(watch) = &self.watch {
            watch.add(second.port());
        }
        until("a partition for the second member", LIMIT, || {
            Ok((second.assigned()? > 0).then_some(()))
        })?;
        std::thread::sleep(Duration::from_millis(self.rng.u64(0..2_000)));
        if killed {
            return second.kill();
        }
        let ending = second.terminate(END_LIMIT)?;
        ensure!(ending == Ending::Code(0), "the second member: {ending:?}");
        Ok(())
    }

    /// Fills the disk of the dead letters, poisons records that are still to come, and makes room
    /// once the service says what is the matter.
    fn full_disk(&mut self) -> Result<()> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        disk.fill()?;
        let topic = self.topics.first().context("no topic")?;
        let first = topic.next.first().copied().unwrap_or_default();
        let poisoned: Vec<_> = (first..first + POISONED)
            .map(|sequence| RecordId::new(topic.route, 0, sequence))
            .collect();
        self.poisoned.extend(poisoned);
        // Takes the place of a refusal that may be going on.
        self.refuse(None);
        self.produce(POISONED * 10 * self.topics.len() as u32)?;
        until("/readyz to tell of the dead letters", LIMIT, || {
            let answer = self.first()?.get("/readyz")?;
            Ok((answer.status == 503 && answer.body.contains("dead letter")).then_some(()))
        })?;
        self.disk.as_ref().context("no disk")?.empty()
    }

    fn reload(&mut self, change: Change) -> Result<()> {
        self.revision += 1;
        let points = 50 + self.revision;
        let kafkamq = self.first()?;
        let answer = match change {
            Change::Put => {
                let mut document = kafkamq.get("/v1/config")?.json()?;
                let output = document.get_mut("output").context("no output")?;
                output["batch_points"] = json!(points);
                kafkamq.send("PUT", "/v1/config", &document)?
            }
            Change::Patch => {
                let patch = json!({"output": {"batch_points": points}});
                kafkamq.send("PATCH", "/v1/config", &patch)?
            }
            Change::Hangup => return kafkamq.signal("HUP"),
        };
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        Ok(())
    }

    /// Makes a topic anew whose records are settled.
    fn recreate(&mut self, topic: usize) -> Result<()> {
        self.settle()?;
        let broker = self.cluster.broker()?;
        let topic = self.topics.get_mut(topic).context("no such topic")?;
        broker.recreate_topic(&topic.name, topic.next.len() as i32)?;
        topic.ends.fill(0);
        Ok(())
    }

    /// Deletes the records of a topic that are settled.
    fn truncate(&mut self, topic: usize) -> Result<()> {
        self.settle()?;
        let broker = self.cluster.broker()?;
        let topic = self.topics.get(topic).context("no such topic")?;
        for (partition, end) in topic.ends.iter().enumerate() {
            broker.delete_records(&topic.name, partition as i32, *end)?;
        }
        Ok(())
    }

    /// Waits until everything is committed. What is committed has arrived or is a dead letter; the
    /// account at the end looks whether that is so.
    fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let broker = self.cluster.broker()?;
        for topic in &self.topics {
            let left = deadline.saturating_duration_since(Instant::now());
            broker
                .await_committed(&self.group, &topic.name, &topic.ends, left)
                .with_context(|| self.said())?;
        }
        Ok(())
    }

    /// What the service says of itself.
    fn said(&self) -> String {
        let Some(kafkamq) = &self.kafkamq else {
            return "the service is away".to_owned();
        };
        let of = |path| match kafkamq.get(path) {
            Ok(answer) => answer.body,
            Err(error) => error.to_string(),
        };
        format!("{}\n{}", of("/readyz"), of("/v1/status"))
    }

    /// Elements among the dead letters of services that have ended.
    fn buried(&self) -> Result<IdSet> {
        let mut found = IdSet::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !path.to_string_lossy().ends_with("-dead-letter") {
                continue;
            }
            let store = DeadLetterStore::open(&path, DeadLetterOptions::default())?;
            for stored in store.view().letters(Filter::default()) {
                let value = stored?.letter.value.unwrap_or_default();
                found.extend(RecordId::find_all(&value));
            }
        }
        Ok(found)
    }

    fn finish(mut self) -> Result<Account> {
        let mut account = std::mem::take(&mut self.account);
        if let Some(watch) = self.watch.take() {
            account.stillness = watch.finish()?;
        }
        if let Some(order) = self.order.take() {
            account.reordered_when = order.finish()?;
        }
        let buried = self.buried()?;
        account.elements = self.expected.iter().count() as u64;
        let mut arrived = IdSet::new();
        for home in HOMES {
            let ledger = home.of(&self.testbed).ledger();
            let (report, seen) = (ledger.report(), ledger.seen());
            account.twice += report.duplicates;
            account.reordered += report
                .routes
                .values()
                .map(|one| one.key_inversions)
                .sum::<u64>();
            let own = |route| {
                TOPICS
                    .iter()
                    .any(|(own, _, at)| (*own, *at) == (route, home))
            };
            let strays = seen
                .iter()
                .filter(|id| !own(id.route) || !self.expected.contains(*id));
            account.misrouted += strays.count() as u64;
            arrived.merge(&seen);
        }
        // One that became a dead letter and whose commit was lost comes again, behind its followers.
        let returned = buried.iter().filter(|id| arrived.contains(*id)).count();
        account.reordered = account.reordered.saturating_sub(returned as u64);
        let missing: Vec<_> = self.expected.difference(&arrived).collect();
        let (buried, lost): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|id| buried.contains(*id));
        account.buried = buried.len() as u64;
        account.lost = lost.len() as u64;
        account.first_lost = lost.first().map(ToString::to_string);
        let elements_of_a_record = account.elements.div_ceil(account.records.max(1));
        let windows = self.schedule.steps.len() as u64 * 2;
        account.allowed_twice = windows * self.partitions() as u64 * WINDOW * elements_of_a_record;
        Ok(account)
    }
}

/// The configuration of every member of a run.
fn config(
    schedule: &Schedule,
    group: &str,
    bootstrap: &str,
    topics: &[Topic],
    proxies: &[Arc<Proxy>],
) -> Config {
    let name = |route: Route| {
        let topic = topics.iter().find(|topic| topic.route == route);
        topic.map_or("", |topic| &topic.name)
    };
    let url = |home: Home| {
        let at = HOMES.iter().position(|one| *one == home);
        at.and_then(|at| proxies.get(at))
            .map_or_else(String::new, |proxy| proxy.url(""))
    };
    let lanes = schedule.lanes;
    let (log, array) = (name(Route::CustomLog), name(Route::CustomLogArray));
    let config = Config::new(bootstrap, group, &url(Home::Datakit));
    let config = match schedule.sharing {
        // Both times are the brokers' there.
        crate::schedule::Sharing::Brokers => config.input("drain_timeout = \"2s\""),
        _ => config.short_session(),
    };
    config
        .input(schedule.sharing.lines())
        .input(format!("max_in_flight = {WINDOW}"))
        .output("batch_points = 50")
        .route(
            "custom",
            &format!(
                "log_topic_map = {{ \"{log}\" = \"-\", \"{array}\" = \"-\" }}\n\
                 split_topic_map = {{ \"{array}\" = true }}\nthread = {lanes}"
            ),
        )
        .route(
            "otel",
            &format!(
                "dk_endpoint = \"{}\"\ntrace_topics = [\"{}\"]\ntrace_api = \"/v1/traces\"\nthread = {lanes}",
                url(Home::Collector),
                name(Route::OtelTraces)
            ),
        )
        .route(
            "remote_handle",
            &format!(
                "endpoint = \"{}/\"\ntopics = [\"{}\"]\nsend_message_count = 50\nflush_interval = \"100ms\"\nthread = {lanes}",
                url(Home::Handle),
                name(Route::Handle)
            ),
        )
}
