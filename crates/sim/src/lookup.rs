//! Questions to the brokers that take time: positions and topic ids. What the answers mean is decided by
//! `kafkamq_source::start`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kafkamq_record::{NextOffset, Position, TopicPartition};
use kafkamq_source::births::Births;
use kafkamq_source::lease::LogId;
use kafkamq_source::memo::Memo;
use kafkamq_source::positions::{Sought, Wanted};
use kafkamq_source::start::{Begin, Facts, Gone, InitialOffset, Why, begin, go_on};

use crate::bugs::Bug;
use crate::cluster::Cluster;
use crate::core::Core;
use crate::mail::{Event, Process};
use crate::time::{MILLI, Micros, SECOND};

/// How long a question about topics or offsets may take.
const TIMEOUT: Micros = 10 * SECOND;
/// The same for committed offsets.
const COMMITTED_TIMEOUT: Micros = 45 * SECOND;

/// A position that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) start: Position,
    pub(crate) log: Option<LogId>,
    pub(crate) memo: Memo,
    pub(crate) known: Option<(Position, Option<Memo>)>,
    pub(crate) why: Why,
    pub(crate) new_lease: bool,
}

/// Why a position was not found.
#[derive(Debug)]
pub(crate) enum NotFound {
    Failed(&'static str),
    Stopped(&'static str),
}

/// What is answered.
pub(crate) enum Answer {
    Positions(Vec<(Wanted, Result<Found, NotFound>)>),
    Topics(Vec<(String, LogId)>),
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    Positions(Vec<Wanted>),
    Topics(BTreeSet<String>),
}

type Decided = (Begin, Why, Option<(Position, Option<Memo>)>, bool);

/// A question under way, and how far its answer came.
pub(crate) enum Asked {
    /// The brokers are asked now.
    Now(Question),
    /// It failed; this is when that is known.
    Failed(Question, &'static str),
    /// What is committed is known; the offsets of what has none are asked for.
    Decided(Vec<(Wanted, Result<Decided, NotFound>)>),
}

/// What the thread needs to know besides what it is asked.
#[derive(Debug)]
pub(crate) struct Lookup {
    waiting: VecDeque<Question>,
    is_busy: bool,
    learned: bool,
    pub(crate) initial: InitialOffset,
    pub(crate) out_of_range: Option<InitialOffset>,
    pub(crate) named: BTreeSet<String>,
    pub(crate) subscribed: BTreeSet<String>,
}

impl Lookup {
    pub(crate) const fn new(initial: InitialOffset, out_of_range: Option<InitialOffset>) -> Self {
        Self {
            waiting: VecDeque::new(),
            is_busy: false,
            learned: false,
            initial,
            out_of_range,
            named: BTreeSet::new(),
            subscribed: BTreeSet::new(),
        }
    }

    /// A new client begins to ask.
    pub(crate) fn renew(&mut self) {
        self.waiting.clear();
        self.is_busy = false;
        self.learned = false;
    }

    pub(crate) fn ask(&mut self, process: Process, question: Question, core: &mut Core) {
        self.waiting.push_back(question);
        self.go_on(process, core);
    }

    fn go_on(&mut self, process: Process, core: &mut Core) {
        if self.is_busy {
            return;
        }
        let Some(question) = self.waiting.pop_front() else {
            return;
        };
        self.is_busy = true;
        let wait = core.network();
        let at = core.now() + wait;
        core.at(at, Event::Lookup(process, Box::new(Asked::Now(question))));
    }

    /// A step of the question under way is done. Returns the answer, if that was the last one.
    pub(crate) fn step(
        &mut self,
        process: Process,
        asked: Asked,
        births: &mut Births,
        core: &mut Core,
    ) -> Option<Answer> {
        let answer = match asked {
            Asked::Now(question) => match self.obstacle(&question, core) {
                Some((why, wait)) => {
                    let at = core.now() + wait;
                    let failed = Asked::Failed(question, why);
                    core.at(at, Event::Lookup(process, Box::new(failed)));
                    return None;
                }
                None => match question {
                    Question::Topics(topics) => topics_answer(&topics, births, core),
                    Question::Positions(wanted) => {
                        let decided = self.decide(wanted, births, core);
                        let wait = core.network();
                        let at = core.now() + wait;
                        let next = Asked::Decided(decided);
                        core.at(at, Event::Lookup(process, Box::new(next)));
                        return None;
                    }
                },
            },
            Asked::Failed(Question::Topics(_), _) => Answer::Topics(Vec::new()),
            Asked::Failed(Question::Positions(wanted), why) => {
                let failed = wanted
                    .into_iter()
                    .map(|one| (one, Err(NotFound::Failed(why))));
                Answer::Positions(failed.collect())
            }
            Asked::Decided(decided) => Answer::Positions(resolve(decided, births, core)),
        };
        self.is_busy = false;
        self.go_on(process, core);
        Some(answer)
    }

    /// Why a question is not answered, and when that is known.
    fn obstacle(&self, question: &Question, core: &mut Core) -> Option<(&'static str, Micros)> {
        let now = core.now();
        if core.are_brokers_away() {
            return Some(("the brokers do not describe the topic", TIMEOUT));
        }
        let Question::Positions(wanted) = question else {
            return None;
        };
        let assigned = wanted.iter().any(|one| one.sought == Sought::Assigned);
        if !assigned || core.has(Bug::UnknownIsNothing) {
            return None;
        }
        if core.weather.coordinator_away > now {
            let wait = 10 * MILLI + core.draw(SECOND);
            return Some(("the coordinator moves", wait));
        }
        if core.weather.committed_slow > now {
            let left = core.weather.committed_slow - now;
            return Some((
                "the coordinator does not say what is committed",
                left.min(COMMITTED_TIMEOUT),
            ));
        }
        None
    }

    /// Decides where each partition begins, and notes what the group looks at.
    fn decide(
        &mut self,
        wanted: Vec<Wanted>,
        births: &mut Births,
        core: &Core,
    ) -> Vec<(Wanted, Result<Decided, NotFound>)> {
        let (assigned, moved): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|one| one.sought == Sought::Assigned);
        let mut decided = match assigned.is_empty() {
            true => Vec::new(),
            false => self.assigned(assigned, births, core),
        };
        for one in moved {
            let found = self.moved(&one, core);
            decided.push((one, found));
        }
        decided
    }

    fn assigned(
        &mut self,
        wanted: Vec<Wanted>,
        births: &mut Births,
        core: &Core,
    ) -> Vec<(Wanted, Result<Decided, NotFound>)> {
        let mut topics: BTreeSet<String> = wanted
            .iter()
            .map(|wanted| wanted.source.topic.to_string())
            .collect();
        if !self.learned {
            topics.extend(self.subscribed.iter().cloned());
        }
        self.learned = true;
        let unanswered = core
            .weather
            .coordinator_away
            .max(core.weather.committed_slow)
            > core.now();
        let mut logs: BTreeMap<String, Option<LogId>> = BTreeMap::new();
        for (source, _) in core.cluster.committed.iter().filter(|_| !unanswered) {
            if !topics.contains(&*source.topic) || core.cluster.topic(&source.topic).is_none() {
                continue;
            }
            let memo = committed(&core.cluster, source).and_then(|(_, memo)| memo);
            let log = logs.entry(source.topic.to_string()).or_default();
            if let Some(memo) = memo {
                births.learn(&source.topic, &memo);
                *log = log.or(memo.log);
            }
        }
        let before = births.clone();
        let now_ms = core.clock.wall_ms();
        let mut decided = Vec::new();
        for one in wanted {
            let topic = one.source.topic.to_string();
            let Some(described) = core.cluster.topic(&topic) else {
                let why = NotFound::Failed("the topic is not known to the brokers");
                decided.push((one, Err(why)));
                continue;
            };
            let partitions = i32::try_from(described.partitions.len()).unwrap_or(i32::MAX);
            let log = core.cluster.log_id(&topic);
            let own = committed(&core.cluster, &one.source).filter(|_| !unanswered);
            let skips = core.has(Bug::LaterPartitionSkipped);
            let (start, why) = begin(&Facts {
                partition: one.source.partition,
                committed: own,
                log,
                birth: before.topic(&topic).filter(|_| !skips),
                known_log: logs
                    .get(&topic)
                    .copied()
                    .flatten()
                    .or_else(|| before.log(&topic))
                    .filter(|_| !skips),
                has_siblings: logs.contains_key(&topic) && !skips,
                by_pattern: !self.named.contains(&topic),
                group: before.group().filter(|_| !skips),
                initial: self.initial,
                now_ms,
            });
            births.look_at(&topic, partitions, now_ms);
            if let Some(log) = log {
                births.see_log(&topic, log);
            }
            decided.push((one, Ok((start, why, own, true))));
        }
        decided
    }

    /// Where a partition goes on whose log was replaced or whose offset is out of range.
    fn moved(&self, wanted: &Wanted, core: &Core) -> Result<Decided, NotFound> {
        let source = &wanted.source;
        let Some(log) = core.cluster.partition(source) else {
            return Err(NotFound::Failed("the topic is not known to the brokers"));
        };
        let id = core.cluster.log_id(&source.topic);
        let recreated = wanted
            .log
            .zip(id)
            .is_some_and(|(before, now)| before != now);
        let (start, why, new_lease) = match wanted.sought {
            Sought::OutOfRange { at, seen, compares } => go_on(&Gone {
                at,
                seen,
                compares,
                low: log.low,
                high: log.high,
                recreated,
                same_log: wanted.log.is_some() && wanted.log == id,
                policy: self.out_of_range,
                now_ms: core.clock.wall_ms(),
            }),
            _ => (Begin::Oldest, Why::Recreated, true),
        };
        match start {
            Begin::Stop => Err(NotFound::Stopped("`offset_out_of_range` is `stop`")),
            start => Ok((start, why, None, new_lease)),
        }
    }
}

/// What the group has committed for a partition.
fn committed(cluster: &Cluster, source: &TopicPartition) -> Option<(Position, Option<Memo>)> {
    let known = cluster.committed.get(source)?;
    let position = Position {
        next: NextOffset(known.offset),
        epoch: known.epoch,
    };
    Some((position, Memo::parse(&known.memo)))
}

fn topics_answer(topics: &BTreeSet<String>, births: &mut Births, core: &Core) -> Answer {
    let mut described = Vec::new();
    for name in topics {
        match core.cluster.topic(name) {
            None => births.miss(name, core.clock.wall_ms()),
            Some(_) => {
                if let Some(log) = core.cluster.log_id(name) {
                    births.see_log(name, log);
                    described.push((name.clone(), log));
                }
            }
        }
    }
    Answer::Topics(described)
}

/// Looks up the offsets that are named by their place or a time.
fn resolve(
    decided: Vec<(Wanted, Result<Decided, NotFound>)>,
    births: &Births,
    core: &Core,
) -> Vec<(Wanted, Result<Found, NotFound>)> {
    let one = |wanted: &Wanted, decided: Decided| {
        let (start, why, known, new_lease) = decided;
        let topic = &wanted.source.topic;
        if core.are_brokers_away() {
            return Err(NotFound::Failed("offsets are not told"));
        }
        let Some(log) = core.cluster.partition(&wanted.source) else {
            return Err(NotFound::Failed("the brokers named no offset"));
        };
        let start = match start {
            Begin::At(position) => position,
            Begin::Oldest => log.position_at(log.low),
            Begin::Newest | Begin::Stop => log.position_at(log.high),
            Begin::Time(ms) => log.position_at(log.at_time(ms).unwrap_or(log.high)),
        };
        let log = core.cluster.log_id(topic);
        let memo = Memo {
            log,
            topic: births.topic(topic),
            group: births.group(),
        };
        Ok(Found {
            start,
            log,
            memo,
            known,
            why,
            new_lease,
        })
    };
    decided
        .into_iter()
        .map(|(wanted, decided)| {
            let found = decided.and_then(|decided| one(&wanted, decided));
            (wanted, found)
        })
        .collect()
}
