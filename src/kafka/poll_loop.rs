//! The thread that owns a consumer.
//!
//! Records never come through here, because every assigned partition has a queue of its own. Polling
//! serves rebalances, statistics, answers to commits and errors, and keeps the member in its group
//! however long destinations are away. In between the thread drives what the client is to do: commits,
//! and the search for positions. Outside a rebalance it does not wait for other threads.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as ClientError;

use super::birth_store::GroupBirths;
use super::context::PollContext;
use super::lookup::{Lookup, LookupOptions, Question, Subscription};
use super::replay_range::ReplayRange;
use super::{AssignmentListener, InitialOffset, KafkaError};
use kafkamq_settings::{ClusterSettings, TopicSelection};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The same while an answer of the brokers is awaited.
const ASKING_INTERVAL: Duration = Duration::from_millis(5);
/// How often it is said how the partitions stand.
const STANDING_INTERVAL: Duration = Duration::from_secs(1);
/// How often topics are looked at, whether they are still those that are read.
const TOPICS_INTERVAL: Duration = Duration::from_secs(5);
const REBUILD_BACKOFF: Duration = Duration::from_secs(1);
const REBUILD_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Time beyond the drain for the brokers to hear of the last commit and the leave.
const LEAVE_GRACE: Duration = Duration::from_secs(5);
/// How often patterns are compared with the topics that there are.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);
const DISCOVERY_RETRY: Duration = Duration::from_secs(1);
/// Rebalances wait this long at most for a list of topics.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// What a client reads, and for whom.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// The partitions that its group gives it, which are committed.
    Member,
    /// These ranges once, outside any group.
    Once(Arc<[Arc<ReplayRange>]>),
}

/// What a consumer thread needs.
pub(crate) struct PollOptions {
    /// Name of the input, for the thread's name and the log.
    pub(crate) input: String,
    /// Addresses, transport and authentication.
    pub(crate) cluster: ClusterSettings,
    /// Topics to subscribe to; none leaves the thread idle.
    pub(crate) topics: TopicSelection,
    /// The client's configuration, from [`super::client::consumer_config`].
    pub(crate) client: ClientConfig,
    /// Where a new group begins.
    pub(crate) initial: InitialOffset,
    /// Where a partition goes on whose committed offset no longer exists; `None` stops it.
    pub(crate) out_of_range: Option<InitialOffset>,
    /// Time between commits.
    pub(crate) commit_interval: Duration,
    /// Since when the group looks at its topics.
    pub(crate) births: GroupBirths,
    /// Whether the member has a name of its own, so that it keeps its place over a restart.
    pub(crate) is_static: bool,
    /// How long a revocation waits for records in flight.
    pub(crate) drain_timeout: Duration,
    /// What is read.
    pub(crate) reading: Reading,
}

impl std::fmt::Debug for PollOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's configuration is left out: its own `Debug` shows some secrets.
        f.debug_struct("PollOptions")
            .field("input", &self.input)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

enum Command {
    Subscribe(TopicSelection),
    Rebuild(&'static str),
    Stop,
}

/// A client that was accepted and does nothing yet.
pub(crate) struct PreparedConsumer {
    poll: PollLoop,
    consumer: Arc<BaseConsumer<PollContext>>,
    commands: mpsc::Sender<Command>,
}

impl std::fmt::Debug for PreparedConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedConsumer")
            .field("options", &self.poll.options)
            .finish_non_exhaustive()
    }
}

impl PreparedConsumer {
    /// Makes the client. It joins no group before [`PreparedConsumer::start`].
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub(crate) fn try_new(
        options: PollOptions,
        listener: Arc<dyn AssignmentListener>,
    ) -> Result<Self, KafkaError> {
        let (commands, inbox) = mpsc::channel();
        let poll = PollLoop {
            topics: options.topics.clone(),
            options,
            listener,
            generation: Arc::default(),
            subscribed: Arc::default(),
            known: None,
            inbox,
        };
        let consumer = poll.connect()?;
        Ok(Self {
            poll,
            consumer,
            commands,
        })
    }

    /// Changes the topics it will subscribe to.
    pub(crate) fn subscribe(&mut self, topics: TopicSelection) {
        self.poll.topics = topics;
    }

    /// Subscribes and polls, on a thread of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(self) -> Result<ConsumerThread, KafkaError> {
        let Self {
            mut poll,
            consumer,
            commands,
        } = self;
        let thread = thread::Builder::new()
            .name(
                format!("kafka-{}", poll.options.input)
                    .chars()
                    .take(15)
                    .collect(),
            )
            .spawn(move || poll.run(consumer))
            .map_err(KafkaError::Thread)?;
        Ok(ConsumerThread {
            commands,
            thread: Some(thread),
        })
    }
}

/// Handle of a running consumer thread. Dropping it stops the thread without waiting.
#[derive(Debug)]
pub(crate) struct ConsumerThread {
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl ConsumerThread {
    /// Changes the subscribed topics without leaving the group.
    pub(crate) fn subscribe(&self, topics: TopicSelection) {
        self.command(Command::Subscribe(topics));
    }

    /// Replaces the client, for instance because it makes no progress although there is lag.
    pub(crate) fn rebuild(&self, reason: &'static str) {
        self.command(Command::Rebuild(reason));
    }

    /// Leaves the group: partitions are drained and committed. The returned handle ends when that
    /// is done.
    #[must_use]
    pub(crate) fn stop(mut self) -> Option<JoinHandle<()>> {
        self.command(Command::Stop);
        self.thread.take()
    }

    fn command(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::debug!("the consumer thread has ended already");
        }
    }
}

struct PollLoop {
    options: PollOptions,
    topics: TopicSelection,
    listener: Arc<dyn AssignmentListener>,
    generation: Arc<AtomicU64>,
    /// What the input reads, for those who look things up.
    subscribed: Arc<Mutex<Subscription>>,
    /// Topics of the cluster as they were listed first; others were made later.
    known: Option<BTreeSet<String>>,
    inbox: mpsc::Receiver<Command>,
}

/// What a client is subscribed to.
#[derive(Default)]
struct Subscribed {
    topics: Option<Vec<String>>,
    /// When to look again; at once if `None`.
    due: Option<Instant>,
}

/// What is done every so often.
struct Rounds {
    standing: Instant,
    topics: Instant,
    /// Whether topics are being looked at.
    looking: bool,
}

impl Rounds {
    const fn new(now: Instant) -> Self {
        Self {
            standing: now,
            topics: now,
            looking: false,
        }
    }

    /// Has the topics looked at that are read, and those that are named and may not exist yet.
    fn turn(
        &mut self,
        context: &PollContext,
        subscribed: &Mutex<Subscription>,
        lookup: &Lookup,
        now: Instant,
    ) {
        if self.looking || now < self.topics {
            return;
        }
        let mut topics: BTreeSet<String> = context.positions.lock().topics().into_iter().collect();
        topics.extend(subscribed.lock().named.iter().cloned());
        self.topics = now + TOPICS_INTERVAL;
        if !topics.is_empty() {
            self.looking = true;
            lookup.ask(Question::Topics(topics.into_iter().collect()));
        }
    }
}

/// Why serving one client ended.
enum Exit {
    Stop,
    Rebuild(&'static str),
}

impl PollLoop {
    fn connect(&self) -> Result<Arc<BaseConsumer<PollContext>>, KafkaError> {
        let client_resets = matches!(
            self.options.out_of_range,
            Some(InitialOffset::Newest | InitialOffset::Oldest)
        );
        let context = PollContext::new(
            Arc::clone(&self.listener),
            Arc::clone(&self.generation),
            self.options.commit_interval,
            client_resets,
            self.options.drain_timeout,
            self.options.reading.clone(),
            self.options.cluster.clone(),
        );
        let consumer: BaseConsumer<PollContext> = self
            .options
            .client
            .create_with_context(context)
            .map_err(KafkaError::from_client)?;
        let consumer = Arc::new(consumer);
        // The context needs the consumer to split queues, but must not keep it alive.
        let known = consumer.context().consumer.set(Arc::downgrade(&consumer));
        debug_assert!(known.is_ok(), "a context serves one consumer");
        Ok(consumer)
    }

    fn run(&mut self, first: Arc<BaseConsumer<PollContext>>) {
        let mut next = Some(first);
        let mut backoff = REBUILD_BACKOFF;
        loop {
            let consumer = match next.take().map_or_else(|| self.connect(), Ok) {
                Ok(consumer) => consumer,
                Err(error) => {
                    self.listener.error(&error);
                    if self.stopped_within(backoff) {
                        return;
                    }
                    backoff = (backoff * 2).min(REBUILD_BACKOFF_MAX);
                    continue;
                }
            };
            let began = Instant::now();
            let exit = self.serve(&consumer);
            self.listener.joined(false);
            self.leave(consumer);
            match exit {
                Exit::Stop => return,
                Exit::Rebuild(reason) => {
                    tracing::warn!(input = self.options.input, reason, "replacing the client");
                    if began.elapsed() > REBUILD_BACKOFF_MAX {
                        backoff = REBUILD_BACKOFF;
                    }
                    if self.stopped_within(backoff) {
                        return;
                    }
                    backoff = (backoff * 2).min(REBUILD_BACKOFF_MAX);
                }
            }
        }
    }

    const fn is_member(&self) -> bool {
        matches!(self.options.reading, Reading::Member)
    }

    fn serve(&mut self, consumer: &Arc<BaseConsumer<PollContext>>) -> Exit {
        let lookup = Lookup::start(
            consumer,
            LookupOptions {
                births: self.options.births.clone(),
                initial: self.options.initial,
                out_of_range: self.options.out_of_range,
                subscribed: Arc::clone(&self.subscribed),
            },
        );
        let lookup = match lookup {
            Ok(lookup) => lookup,
            Err(error) => {
                self.listener.error(&error);
                return Exit::Rebuild("a thread could not be started");
            }
        };
        let mut subscribed = Subscribed::default();
        let mut rounds = Rounds::new(Instant::now());
        let context = consumer.context();
        context.assign_ranges(consumer);
        loop {
            let now = Instant::now();
            for answer in lookup.answers() {
                rounds.looking &= !context.answered(answer, now);
            }
            let mut asking = false;
            if self.is_member() {
                self.subscribe(consumer, &mut subscribed);
                asking = context.drive(consumer, &lookup, now);
                rounds.turn(context, &self.subscribed, &lookup, now);
            }
            if now >= rounds.standing {
                rounds.standing = now + STANDING_INTERVAL;
                self.listener.standing(context.standing(now));
            }
            let interval = if asking {
                ASKING_INTERVAL
            } else {
                POLL_INTERVAL
            };
            match consumer.poll(interval) {
                None => {}
                Some(Err(error)) => {
                    // The context has heard all others, and in more words.
                    if !matches!(
                        error,
                        ClientError::MessageConsumption(_)
                            | ClientError::MessageConsumptionFatal(_)
                    ) {
                        self.listener.error(&KafkaError::from_client(error));
                    }
                    if consumer.client().fatal_error().is_some() {
                        return Exit::Rebuild("the client reported a fatal error");
                    }
                }
                // Every partition's queue is split off before it is assigned. Should a record come
                // here all the same, it is read again by a client that begins at what is committed.
                Some(Ok(_)) => return Exit::Rebuild("a record reached the common queue"),
            }
            if let Some(exit) = self.follow_commands(&mut subscribed) {
                return exit;
            }
        }
    }

    /// Takes commands.
    fn follow_commands(&mut self, subscribed: &mut Subscribed) -> Option<Exit> {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Stop) | Err(mpsc::TryRecvError::Disconnected) => {
                    return Some(Exit::Stop);
                }
                Ok(Command::Rebuild(reason)) => return Some(Exit::Rebuild(reason)),
                Ok(Command::Subscribe(topics)) => {
                    self.topics = topics;
                    subscribed.due = None;
                }
                Err(mpsc::TryRecvError::Empty) => return None,
            }
        }
    }

    /// Notes which topics were there when the cluster was first looked at. What is made later is new
    /// to the group, all of it.
    fn notice<'a>(&mut self, topics: impl Iterator<Item = &'a str>) {
        let topics: BTreeSet<String> = topics.map(str::to_owned).collect();
        let Some(known) = &self.known else {
            self.known = Some(topics);
            return;
        };
        let new: BTreeSet<&str> = topics.difference(known).map(String::as_str).collect();
        let taken = self.topics.resolve(new.iter().copied());
        let new: Vec<_> = taken
            .iter()
            .filter(|topic| new.contains(topic.as_str()))
            .collect();
        if !new.is_empty() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
            self.options.births.update(|births| {
                for topic in new {
                    births.miss(topic, now);
                }
            });
        }
    }

    /// Subscribes to what is selected, if that is due: at once where all topics are named, and
    /// again and again where patterns may find new ones.
    fn subscribe(&mut self, consumer: &BaseConsumer<PollContext>, subscribed: &mut Subscribed) {
        let now = Instant::now();
        if subscribed.due.is_some_and(|due| now < due) {
            return;
        }
        let (topics, next) = if self.topics.patterns.is_empty() {
            (self.topics.names.clone(), FOREVER)
        } else {
            match consumer.client().fetch_metadata(None, DISCOVERY_TIMEOUT) {
                Ok(metadata) => {
                    let known = || metadata.topics().iter().map(|topic| topic.name());
                    self.notice(known());
                    (self.topics.resolve(known()), DISCOVERY_INTERVAL)
                }
                // What was found before is kept while the brokers are away.
                Err(error) => {
                    tracing::debug!(input = self.options.input, %error, "cannot list topics");
                    let topics = subscribed.topics.clone();
                    (
                        topics.unwrap_or_else(|| self.topics.names.clone()),
                        DISCOVERY_RETRY,
                    )
                }
            }
        };
        subscribed.due = Some(now + next);
        if subscribed.topics.as_ref() == Some(&topics) {
            return;
        }
        if topics.is_empty() {
            consumer.unsubscribe();
        } else {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            if let Err(error) = consumer.subscribe(&names) {
                self.listener.error(&KafkaError::from_client(error));
            }
        }
        if !self.topics.patterns.is_empty() {
            tracing::info!(input = self.options.input, ?topics, "subscribed");
        }
        *self.subscribed.lock() = Subscription {
            named: self.topics.names.iter().cloned().collect(),
            all: topics.clone(),
        };
        subscribed.topics = Some(topics);
    }

    #[expect(clippy::disallowed_methods, reason = "the poll thread has no actors")]
    /// Gives all partitions up, which drains and commits them, then leaves the group. A member
    /// with a name of its own does not leave: whoever comes with that name within the session's
    /// time gets its partitions back, and no other member notices.
    fn leave(&self, consumer: Arc<BaseConsumer<PollContext>>) {
        let deadline = Instant::now() + self.options.drain_timeout + LEAVE_GRACE;
        // Outside a group there is nothing to leave either.
        let stays = self.options.is_static || !self.is_member();
        if stays {
            consumer.context().release(&consumer);
        } else {
            consumer.unsubscribe();
        }
        while !stays
            && Instant::now() < deadline
            && consumer
                .assignment()
                .is_ok_and(|assignment| assignment.count() > 0)
        {
            if let Some(Err(error)) = consumer.poll(POLL_INTERVAL) {
                self.listener.error(&KafkaError::from_client(error));
            }
        }
        // Readers hold the consumer; the group is left only when the last one is gone, and that
        // must happen on this thread. Whoever still waits for brokers is not waited for.
        let held = || {
            let looking = consumer.context().looking.load(Ordering::Acquire);
            Arc::strong_count(&consumer) > 1 + usize::from(looking)
        };
        while held() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        if held() {
            tracing::warn!(
                input = self.options.input,
                "partitions are still being read"
            );
        }
        drop(consumer);
    }

    fn stopped_within(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        loop {
            match self
                .inbox
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Command::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return true,
                Ok(Command::Subscribe(topics)) => self.topics = topics,
                Ok(Command::Rebuild(_)) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}
