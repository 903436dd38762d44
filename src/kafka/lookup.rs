//! Questions to the brokers that take time, on a thread of their own.
//!
//! Committed offsets, offsets of times, and topic ids are asked for here, so that a slow coordinator
//! keeps neither the group waiting nor a rebalance from being served. The poll thread asks and takes
//! the answers; the thread ends when the asking end is dropped.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::birth_store::GroupBirths;
use super::context::PollContext;
use super::native::{self, Described, Listed};
use super::report::meaning;
use kafkamq_record::{NextOffset, Position, TopicPartition};
use kafkamq_source::lease::LogId;
use kafkamq_source::memo::Memo;
use kafkamq_source::positions::{Sought, Wanted};
use kafkamq_source::start::{Begin, Facts, Gone, InitialOffset, Why, begin, go_on};

/// How long one question about topics or offsets may take. After it the question is asked anew.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for committed offsets, which a coordinator that loads its state answers late.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(45);

/// What is asked.
pub(super) enum Question {
    /// Where these partitions are to be read from.
    Positions(Vec<Wanted>),
    /// What these topics are.
    Topics(Vec<String>),
}

/// A position that was found.
#[derive(Debug)]
pub(super) struct FoundPosition {
    pub(super) start: Position,
    pub(super) log: Option<LogId>,
    pub(super) memo: Memo,
    /// What the group has committed, if it was asked.
    pub(super) known: Option<(Position, Option<Memo>)>,
    pub(super) why: Why,
    /// Whether what was read before does not belong to what follows.
    pub(super) new_lease: bool,
}

/// Why a position was not found.
#[derive(Debug)]
pub(super) enum NotFound {
    /// The brokers did not say.
    Failed(String),
    /// Somebody has to decide.
    Stopped(String),
}

/// What a look for a position brought.
pub(super) type Looked = Result<FoundPosition, NotFound>;

/// What is answered.
pub(super) enum LookupAnswer {
    Position(Box<(Wanted, Looked)>),
    Topics(HashMap<String, Described>),
}

/// What the thread needs to know besides what it is asked.
#[derive(Debug, Clone)]
pub(super) struct LookupOptions {
    pub(super) births: GroupBirths,
    pub(super) initial: InitialOffset,
    /// `offset_out_of_range`; `None` stops the partition.
    pub(super) out_of_range: Option<InitialOffset>,
    pub(super) subscribed: Arc<Mutex<Subscription>>,
}

/// What the input reads.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// Topics that the configuration names.
    pub(super) named: BTreeSet<String>,
    /// All topics that the client is subscribed to.
    pub(super) all: Vec<String>,
}

/// The asking end.
pub(super) struct Lookup {
    questions: mpsc::Sender<Question>,
    answers: mpsc::Receiver<LookupAnswer>,
}

impl Lookup {
    /// Starts the thread for one client.
    pub(super) fn start(
        consumer: &Arc<BaseConsumer<PollContext>>,
        options: LookupOptions,
    ) -> Result<Self, KafkaError> {
        let (questions, asked) = mpsc::channel();
        let (answered, answers) = mpsc::channel();
        let mut thread = LookupThread {
            consumer: Arc::downgrade(consumer),
            options,
            learned: false,
        };
        thread::Builder::new()
            .name("kafka-lookup".to_owned())
            .spawn(move || {
                for question in asked {
                    for answer in thread.answer(question) {
                        if answered.send(answer).is_err() {
                            return;
                        }
                    }
                }
            })
            .map_err(KafkaError::Thread)?;
        Ok(Self { questions, answers })
    }

    /// Asks. The thread lives as long as the asking end.
    pub(super) fn ask(&self, question: Question) {
        if self.questions.send(question).is_err() {
            tracing::error!("the thread that asks brokers has ended");
        }
    }

    /// What was answered since.
    pub(super) fn answers(&self) -> impl Iterator<Item = LookupAnswer> + '_ {
        self.answers.try_iter()
    }
}

struct LookupThread {
    consumer: Weak<BaseConsumer<PollContext>>,
    options: LookupOptions,
    /// Whether the commits of all subscribed topics were looked at for what they remember.
    learned: bool,
}

type Topics = HashMap<String, Result<Described, RDKafkaErrorCode>>;
type Positions = HashMap<TopicPartition, Result<Position, String>>;

impl LookupThread {
    fn answer(&mut self, question: Question) -> Vec<LookupAnswer> {
        let Some(consumer) = self.consumer.upgrade() else {
            return Vec::new();
        };
        let looking = &consumer.context().looking;
        looking.store(true, Ordering::Release);
        let answers = self.ask(&consumer, question);
        looking.store(false, Ordering::Release);
        answers
    }

    fn ask(
        &mut self,
        consumer: &BaseConsumer<PollContext>,
        question: Question,
    ) -> Vec<LookupAnswer> {
        match question {
            Question::Topics(topics) => {
                let client = consumer.client().native_ptr();
                match native::describe_topics(client, &topics, TIMEOUT) {
                    Ok(topics) => {
                        self.notice(&topics);
                        let known = topics.into_iter();
                        let known = known.filter_map(|(name, topic)| Some((name, topic.ok()?)));
                        vec![LookupAnswer::Topics(known.collect())]
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot describe topics");
                        vec![LookupAnswer::Topics(HashMap::new())]
                    }
                }
            }
            Question::Positions(wanted) => {
                let mut found = self.positions(consumer, &wanted);
                wanted
                    .into_iter()
                    .map(|wanted| {
                        let missing = || Err(NotFound::Failed("it was not looked up".to_owned()));
                        let found = found.remove(&wanted.source).unwrap_or_else(missing);
                        LookupAnswer::Position(Box::new((wanted, found)))
                    })
                    .collect()
            }
        }
    }

    /// Topics that do not exist yet are read from their first record when they come, and so are those
    /// that were made again, whatever becomes of their commits.
    fn notice(&self, topics: &Topics) {
        let absent = topics
            .iter()
            .filter(|(_, topic)| matches!(topic, Err(RDKafkaErrorCode::UnknownTopicOrPartition)));
        let absent: Vec<&String> = absent.map(|(name, _)| name).collect();
        self.options.births.update(|births| {
            for name in absent {
                births.miss(name, now_ms());
            }
            for (name, topic) in topics {
                if let Some(log) = topic.as_ref().ok().and_then(|topic| topic.log) {
                    births.see_log(name, log);
                }
            }
        });
    }

    fn positions(
        &mut self,
        consumer: &BaseConsumer<PollContext>,
        wanted: &[Wanted],
    ) -> HashMap<TopicPartition, Looked> {
        let failed = |wanted: &[&Wanted], cause: &str| {
            let failed = wanted.iter().map(|wanted| {
                let cause = NotFound::Failed(cause.to_owned());
                (wanted.source.clone(), Err(cause))
            });
            failed.collect::<Vec<_>>()
        };
        let all: Vec<&Wanted> = wanted.iter().collect();
        let topics = match self.describe(consumer, wanted) {
            Ok(topics) => topics,
            Err(error) => {
                let cause = format!(
                    "the brokers do not describe the topic: {}",
                    error.in_words()
                );
                return failed(&all, &cause).into_iter().collect();
            }
        };
        let mut results = HashMap::new();
        let mut assigned = Vec::new();
        for one in wanted {
            let topic = match topics.get(&*one.source.topic) {
                Some(Ok(topic)) => topic,
                Some(Err(code)) => {
                    let cause =
                        format!("the brokers do not describe the topic: {}", meaning(*code));
                    results.extend(failed(&[one], &cause));
                    continue;
                }
                None => continue,
            };
            match one.sought {
                Sought::Assigned => assigned.push(one),
                Sought::NewLog | Sought::OutOfRange { .. } => {
                    let found = self.moved(consumer, one, topic);
                    results.insert(one.source.clone(), found);
                }
            }
        }
        if !assigned.is_empty() {
            match self.assigned(consumer, &assigned, &topics) {
                Ok(found) => results.extend(found),
                Err(error) => {
                    let cause = format!(
                        "the coordinator does not say what is committed: {}",
                        error.in_words()
                    );
                    results.extend(failed(&assigned, &cause));
                }
            }
        }
        results
    }

    /// The topics of these partitions; once, all topics of the input, for what their commits remember.
    fn describe(
        &self,
        consumer: &BaseConsumer<PollContext>,
        wanted: &[Wanted],
    ) -> Result<Topics, KafkaError> {
        let mut topics: BTreeSet<String> = wanted
            .iter()
            .map(|wanted| wanted.source.topic.to_string())
            .collect();
        if !self.learned {
            topics.extend(self.options.subscribed.lock().all.iter().cloned());
        }
        let topics: Vec<String> = topics.into_iter().collect();
        native::describe_topics(consumer.client().native_ptr(), &topics, TIMEOUT)
    }

    /// Where partitions begin that were assigned.
    fn assigned(
        &mut self,
        consumer: &BaseConsumer<PollContext>,
        wanted: &[&Wanted],
        topics: &Topics,
    ) -> Result<Vec<(TopicPartition, Looked)>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        for (name, topic) in topics {
            if let Ok(topic) = topic {
                asked.add_partition_range(name, 0, topic.partitions - 1);
            }
        }
        for one in wanted {
            let source = &one.source;
            let known = topics
                .get(&*source.topic)
                .and_then(|topic| topic.as_ref().ok());
            if known.is_none_or(|known| source.partition >= known.partitions) {
                asked.add_partition(&source.topic, source.partition);
            }
        }
        let client = consumer.client().native_ptr();
        let committed = native::committed(client, &asked, COMMITTED_TIMEOUT)?;
        self.learned = true;
        let committed: HashMap<&TopicPartition, &Listed> =
            committed.iter().map(|one| (&one.source, one)).collect();
        let decided = self.decide(wanted, topics, &committed);
        let asked = decided.iter().filter_map(|(one, decided)| {
            let (begin, ..) = decided.as_ref().ok()?;
            Some((&one.source, *begin))
        });
        let found = resolve(consumer, asked);
        let memo = |one: &Wanted| self.memo(one, topics);
        Ok(decided
            .into_iter()
            .map(|(one, decided)| {
                let result = decided.and_then(|(begin, why, known)| {
                    let start = match begin {
                        Begin::At(position) => Ok(position),
                        _ => found.get(&one.source).cloned().unwrap_or_else(unanswered),
                    };
                    let (log, memo) = memo(one);
                    Ok(FoundPosition {
                        start: start.map_err(NotFound::Failed)?,
                        log,
                        memo,
                        known,
                        why,
                        new_lease: true,
                    })
                });
                (one.source.clone(), result)
            })
            .collect())
    }

    fn memo(&self, wanted: &Wanted, topics: &Topics) -> (Option<LogId>, Memo) {
        let topic = &wanted.source.topic;
        let log = match topics.get(&**topic) {
            Some(Ok(described)) => described.log,
            _ => None,
        };
        let memo = self.options.births.update(|births| Memo {
            log,
            topic: births.topic(topic),
            group: births.group(),
        });
        (log, memo)
    }

    /// Decides where each partition begins, and notes what the group looks at.
    fn decide<'a>(
        &self,
        wanted: &[&'a Wanted],
        topics: &Topics,
        committed: &HashMap<&TopicPartition, &Listed>,
    ) -> Vec<(&'a Wanted, Result<Decided, NotFound>)> {
        let now_ms = now_ms();
        let known = |listed: &Listed| {
            let position = Position {
                next: NextOffset(listed.offset?),
                epoch: listed.epoch,
            };
            Some((position, listed.metadata.as_deref().and_then(Memo::parse)))
        };
        self.options.births.update(|births| {
            let mut logs: HashMap<&str, Option<LogId>> = HashMap::new();
            for (source, listed) in committed {
                let Some((_, memo)) = known(listed) else {
                    continue;
                };
                let log = logs.entry(&source.topic).or_default();
                if let Some(memo) = memo {
                    births.learn(&source.topic, &memo);
                    *log = log.or(memo.log);
                }
            }
            let before = births.clone();
            let named = &self.options.subscribed.lock().named;
            let mut decided = Vec::new();
            for &one in wanted {
                let topic = &*one.source.topic;
                let Some(Ok(described)) = topics.get(topic) else {
                    continue;
                };
                let listed = committed.get(&one.source);
                if let Some(code) = listed.and_then(|listed| listed.error) {
                    let cause = format!(
                        "the coordinator does not say what is committed: {}",
                        meaning(code)
                    );
                    decided.push((one, Err(NotFound::Failed(cause))));
                    continue;
                }
                let own = listed.and_then(|listed| known(listed));
                let (begin, why) = begin(&Facts {
                    partition: one.source.partition,
                    committed: own,
                    log: described.log,
                    birth: before.topic(topic),
                    known_log: logs
                        .get(topic)
                        .copied()
                        .flatten()
                        .or_else(|| before.log(topic)),
                    has_siblings: logs.contains_key(topic),
                    by_pattern: !named.contains(topic),
                    group: before.group(),
                    initial: self.options.initial,
                    now_ms,
                });
                births.look_at(topic, described.partitions, now_ms);
                if let Some(log) = described.log {
                    births.see_log(topic, log);
                }
                decided.push((one, Ok((begin, why, own))));
            }
            decided
        })
    }

    /// Where a partition goes on whose log was replaced or whose offset is out of range.
    fn moved(
        &self,
        consumer: &BaseConsumer<PollContext>,
        wanted: &Wanted,
        topic: &Described,
    ) -> Looked {
        let source = &wanted.source;
        let recreated = wanted
            .log
            .zip(topic.log)
            .is_some_and(|(before, now)| before != now);
        let (begin, why, new_lease) = match wanted.sought {
            Sought::OutOfRange { at, seen, compares } => {
                let (low, high) = consumer
                    .fetch_watermarks(&source.topic, source.partition, TIMEOUT)
                    .map_err(|error| {
                        NotFound::Failed(KafkaError::from_client(error).to_string())
                    })?;
                go_on(&Gone {
                    at,
                    seen,
                    compares,
                    low,
                    high,
                    recreated,
                    same_log: wanted.log.is_some() && wanted.log == topic.log,
                    policy: self.options.out_of_range,
                    now_ms: now_ms(),
                })
            }
            _ => (Begin::Oldest, Why::Recreated, true),
        };
        let start = match begin {
            Begin::At(position) => Ok(position),
            Begin::Stop => {
                let cause = format!("{why}, and `offset_out_of_range` is `stop`");
                return Err(NotFound::Stopped(cause));
            }
            begin => resolve(consumer, [(source, begin)])
                .remove(source)
                .unwrap_or_else(unanswered),
        };
        let topics = HashMap::from([(source.topic.to_string(), Ok(*topic))]);
        let (log, memo) = self.memo(wanted, &topics);
        Ok(FoundPosition {
            start: start.map_err(NotFound::Failed)?,
            log,
            memo,
            known: None,
            why,
            new_lease,
        })
    }
}

type Decided = (Begin, Why, Option<(Position, Option<Memo>)>);

fn unanswered() -> Result<Position, String> {
    Err("the brokers named no offset".to_owned())
}

/// Looks up the offsets that are named by their place or a time.
fn resolve<'a>(
    consumer: &BaseConsumer<PollContext>,
    wanted: impl IntoIterator<Item = (&'a TopicPartition, Begin)>,
) -> Positions {
    let mut query = TopicPartitionList::new();
    for (source, begin) in wanted {
        let at = match begin {
            Begin::Oldest => Offset::Beginning,
            Begin::Newest => Offset::End,
            Begin::Time(ms) => Offset::Offset(ms.max(0)),
            Begin::At(_) | Begin::Stop => continue,
        };
        drop(query.add_partition_offset(&source.topic, source.partition, at));
    }
    let mut found = ask_offsets(consumer, query);
    // No record is that young: the end is the answer.
    let mut ends = TopicPartitionList::new();
    for (source, result) in &found {
        if matches!(result, Ok(None)) {
            drop(ends.add_partition_offset(&source.topic, source.partition, Offset::End));
        }
    }
    found.extend(ask_offsets(consumer, ends));
    found
        .into_iter()
        .map(|(source, result)| {
            let position = result.and_then(|at| at.map_or_else(unanswered, Ok));
            (source, position)
        })
        .collect()
}

fn ask_offsets(
    consumer: &BaseConsumer<PollContext>,
    query: TopicPartitionList,
) -> HashMap<TopicPartition, Result<Option<Position>, String>> {
    if query.count() == 0 {
        return HashMap::new();
    }
    let failed = |cause: &str| {
        let all = native::listed(&query).into_iter();
        all.map(|one| (one.source, Err(cause.to_owned()))).collect()
    };
    match consumer.offsets_for_times(query.clone(), TIMEOUT) {
        Err(error) => failed(&format!(
            "offsets are not told: {}",
            KafkaError::from_client(error)
        )),
        Ok(answer) => native::listed(&answer)
            .into_iter()
            .map(|one| {
                let result = match one.error {
                    Some(code) => Err(format!("the offset is not told: {code}")),
                    // With its epoch, a log that is truncated before anything is read is noticed.
                    None => Ok(one.offset.map(|offset| Position {
                        next: NextOffset(offset),
                        epoch: one.epoch,
                    })),
                };
                (one.source, result)
            })
            .collect(),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
