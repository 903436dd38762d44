//! The poll thread: drives `Commits`, `Positions` and `Births` as the thread of a consumer does.

mod answers;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use kafkamq_record::TopicPartition;
use kafkamq_source::births::Births;
use kafkamq_source::commits::{CommitEntry, CommitResult, Commits, Confirmed, Unconfirmed};
use kafkamq_source::lease::Generation;
use kafkamq_source::positions::{Positions, Sought, Unknown, Wanted};
use kafkamq_source::start::InitialOffset;

use crate::bugs::Bug;
use crate::client::{Client, Reset};
use crate::core::Core;
use crate::group::{Order, Session};
use crate::lookup::{Answer, Found, Lookup, NotFound, Question};
use crate::mail::{Event, Placement, PollMail, Process};
use crate::time::{MILLI, Micros, SECOND, span};

const POLL_INTERVAL: Micros = 50 * MILLI;
const ASKING_INTERVAL: Micros = 5 * MILLI;
/// How often topics are looked at, whether they are still those that are read.
const TOPICS_INTERVAL: Micros = 5 * SECOND;
/// How often patterns are compared with the topics that there are.
const DISCOVERY_INTERVAL: Micros = 10 * SECOND;
const DISCOVERY_RETRY: Micros = SECOND;
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(2);
const REBUILD_BACKOFF: Micros = SECOND;
const FETCH_INTERVAL: Micros = 100 * MILLI;
const STATISTICS_INTERVAL: Micros = SECOND;

/// Partitions that are being given up.
struct Going {
    session: Option<Session>,
    partitions: Vec<TopicPartition>,
    lost: bool,
    deadline: Instant,
    number: u64,
    /// Set while the last commit is awaited.
    last: Option<Vec<CommitEntry>>,
    then: Then,
}

/// What follows when partitions were given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Rejoin,
    Leave,
    Rebuild,
}

/// What has to be done outside the poll thread.
pub(crate) enum Effect {
    Assigned(Generation, Vec<TopicPartition>),
    Revoked {
        partitions: Vec<TopicPartition>,
        lost: bool,
        deadline: Instant,
        number: u64,
    },
    Placed(TopicPartition, Generation, Placement),
    Committed(Vec<Confirmed>),
    Woken(Vec<TopicPartition>),
    Left,
}

/// The poll thread of one member.
pub(crate) struct Poll {
    process: Process,
    pub(crate) client: Client,
    pub(crate) commits: Commits,
    pub(crate) positions: Positions,
    pub(crate) births: Births,
    pub(crate) lookup: Lookup,
    generations: u64,
    jumps: Vec<(TopicPartition, Sought)>,
    inbox: VecDeque<PollMail>,
    going: Option<Going>,
    numbers: u64,
    pub(crate) session: Option<Session>,
    /// Whether a client is about to join the group.
    is_connecting: bool,
    topics_due: Micros,
    is_looking: bool,
    discovery_due: Micros,
    known: Option<BTreeSet<String>>,
    wanted_topics: BTreeSet<String>,
    by_pattern: bool,
    resets: bool,
    failures: std::collections::BTreeMap<TopicPartition, u32>,
    highest: std::collections::BTreeMap<TopicPartition, i64>,
    pub(crate) effects: Vec<Effect>,
    /// Ends of partitions as the client reported them last.
    pub(crate) reported: std::collections::BTreeMap<TopicPartition, i64>,
}

impl Poll {
    pub(crate) fn new(
        process: Process,
        births: Births,
        topics: BTreeSet<String>,
        core: &Core,
    ) -> Self {
        let knobs = &core.knobs;
        let initial = match knobs.newest {
            true => InitialOffset::Newest,
            false => InitialOffset::Oldest,
        };
        let out_of_range = match knobs.resets_to_newest {
            true => InitialOffset::Newest,
            false => InitialOffset::Oldest,
        };
        let reset = match knobs.resets_to_newest {
            true => Reset::Newest,
            false => Reset::Oldest,
        };
        Self {
            process,
            client: Client::new(
                reset,
                knobs.fetch_records * 2,
                core.bug != Some(Bug::EpochForgotten),
            ),
            commits: Commits::new(span(knobs.commit_interval)),
            positions: Positions::default(),
            births,
            lookup: Lookup::new(initial, Some(out_of_range)),
            generations: 0,
            jumps: Vec::new(),
            inbox: VecDeque::new(),
            going: None,
            numbers: 0,
            session: None,
            is_connecting: true,
            topics_due: 0,
            is_looking: false,
            discovery_due: 0,
            known: None,
            wanted_topics: topics,
            by_pattern: knobs.by_pattern,
            resets: true,
            failures: std::collections::BTreeMap::new(),
            highest: std::collections::BTreeMap::new(),
            effects: Vec::new(),
            reported: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) const fn client_resets(&self) -> bool {
        self.resets
    }

    pub(crate) fn jumped(&mut self, source: TopicPartition, how: Sought) {
        self.jumps.push((source, how));
    }

    fn next_generation(&mut self) -> Generation {
        self.generations += 1;
        Generation(self.generations)
    }

    /// The thread begins, or begins anew.
    pub(crate) fn start(&mut self, core: &mut Core) {
        core.poll_in(self.process, PollMail::Connect, 0);
        core.poll_in(self.process, PollMail::Turn, 0);
        core.poll_in(self.process, PollMail::Fetch, MILLI);
        core.poll_in(self.process, PollMail::Statistics, STATISTICS_INTERVAL);
    }

    /// Takes mail. What comes while a rebalance is served waits.
    pub(crate) fn handle(&mut self, mail: PollMail, core: &mut Core) {
        match mail {
            PollMail::Fetch => self.fetch(core),
            PollMail::Statistics => self.report(core),
            PollMail::Drained(number) | PollMail::Deadline(number) => self.drained(number, core),
            PollMail::LastCommitted(number, result) => self.last_committed(number, result, core),
            mail => {
                self.inbox.push_back(mail);
                self.serve(core);
            }
        }
    }

    fn serve(&mut self, core: &mut Core) {
        while self.going.is_none()
            && let Some(mail) = self.inbox.pop_front()
        {
            match mail {
                PollMail::Turn => self.turn(core),
                PollMail::Order(session, order) => self.obey(session, order, core),
                PollMail::SessionLost(session) if self.session == Some(session) => {
                    let all = self.client.assignment().cloned().collect();
                    self.give_up(all, true, Then::Rejoin, core);
                }
                PollMail::Committed(results) => self.committed(&results, core),
                PollMail::Answer(answer) => self.answered(answer, core),
                PollMail::Stop => {
                    let all = self.client.assignment().cloned().collect();
                    self.give_up(all, false, Then::Leave, core);
                }
                // It begins anew anyhow.
                PollMail::Rebuild if self.is_connecting => {}
                PollMail::Rebuild => {
                    let all = self.client.assignment().cloned().collect();
                    self.give_up(all, false, Then::Rebuild, core);
                }
                PollMail::Connect => self.connect(core),
                _ => {}
            }
        }
    }

    /// Joins the group.
    fn connect(&mut self, core: &mut Core) {
        if core.is_coordinator_away() {
            core.poll_in(self.process, PollMail::Connect, SECOND);
            return;
        }
        let session = core
            .group
            .join(self.process.seat, self.lookup.subscribed.clone());
        self.session = Some(session);
        self.is_connecting = false;
        let seat = self.process.seat;
        core.trace.say(core.clock.micros(), || {
            format!("member {seat} joins the group")
        });
        let at = core.now() + core.rng.u64(..300 * MILLI);
        core.at(at, Event::Group);
    }

    fn turn(&mut self, core: &mut Core) {
        let now = core.clock.now();
        self.subscribe(core);
        let jumps = std::mem::take(&mut self.jumps);
        for (source, how) in jumps {
            self.positions.seek(now, &source, how);
        }
        let mut wanted = self.positions.due(now);
        if core.has(Bug::PositionGivenUp) {
            wanted.retain(|one| self.failures.get(&one.source).is_none_or(|n| *n < 2));
        }
        if !wanted.is_empty() {
            self.lookup
                .ask(self.process, Question::Positions(wanted), core);
        }
        self.send_due(core);
        self.look(core);
        let interval = match self.positions.is_asking() {
            true => ASKING_INTERVAL,
            false => POLL_INTERVAL,
        };
        core.poll_in(self.process, PollMail::Turn, interval);
    }

    /// Has the topics looked at that are read, and those that are named and may not exist yet.
    fn look(&mut self, core: &mut Core) {
        if self.is_looking || core.now() < self.topics_due || core.has(Bug::NewLogUnnoticed) {
            return;
        }
        let mut topics: BTreeSet<String> = self.positions.topics().into_iter().collect();
        topics.extend(self.lookup.named.iter().cloned());
        self.topics_due = core.now() + TOPICS_INTERVAL;
        if !topics.is_empty() {
            self.is_looking = true;
            self.lookup
                .ask(self.process, Question::Topics(topics), core);
        }
    }

    /// Subscribes to what is selected, if that is due.
    fn subscribe(&mut self, core: &mut Core) {
        if core.now() < self.discovery_due {
            return;
        }
        let topics = if !self.by_pattern {
            self.discovery_due = Micros::MAX;
            self.lookup.named = self.wanted_topics.clone();
            self.wanted_topics.clone()
        } else if core.are_brokers_away() {
            self.discovery_due = core.now() + DISCOVERY_RETRY;
            return;
        } else {
            self.discovery_due = core.now() + DISCOVERY_INTERVAL;
            let there: BTreeSet<String> = core.cluster.names().map(ToString::to_string).collect();
            match &self.known {
                None => self.known = Some(there.clone()),
                Some(known) => {
                    for topic in there.difference(known) {
                        self.births.miss(topic, core.clock.wall_ms());
                    }
                }
            }
            there
        };
        if self.lookup.subscribed == topics {
            return;
        }
        self.lookup.subscribed = topics.clone();
        if let Some(session) = self.session {
            core.group.subscribe(session, topics);
            let at = core.now() + core.rng.u64(..500 * MILLI);
            core.at(at, Event::Group);
        }
    }

    fn obey(&mut self, session: Session, order: Order, core: &mut Core) {
        if self.session != Some(session) {
            return;
        }
        match order {
            Order::Revoke(going) => self.give_up(going, false, Then::GoOn, core),
            Order::Assign(given) => self.assign(given, core),
        }
    }

    fn assign(&mut self, given: Vec<TopicPartition>, core: &mut Core) {
        let generation = self.next_generation();
        for source in &given {
            // With a position of its own the client asks nobody for one. It is paused at once.
            self.client.assign(source, 0);
            let paused = self.client.pause(source, true);
            debug_assert!(paused.is_ok(), "it was just assigned");
        }
        let now = core.clock.now();
        self.positions
            .assigned(now, generation, given.iter().cloned());
        self.failures.clear();
        self.effects.push(Effect::Assigned(generation, given));
    }

    /// Drains partitions, ends their leases, and commits what they settled.
    fn give_up(
        &mut self,
        partitions: Vec<TopicPartition>,
        lost: bool,
        then: Then,
        core: &mut Core,
    ) {
        self.numbers += 1;
        let number = self.numbers;
        let wait = core.knobs.drain_timeout;
        let deadline = core.clock.now() + span(wait);
        self.going = Some(Going {
            session: self.session,
            partitions: partitions.clone(),
            lost,
            deadline,
            number,
            last: None,
            then,
        });
        if partitions.is_empty() {
            self.gone(core);
            return;
        }
        core.poll_in(self.process, PollMail::Deadline(number), wait);
        self.effects.push(Effect::Revoked {
            partitions,
            lost,
            deadline,
            number,
        });
    }

    /// Everything in flight has come back, or its time is over.
    fn drained(&mut self, number: u64, core: &mut Core) {
        let Some(going) = &mut self.going else {
            return;
        };
        if going.number != number {
            return;
        }
        if going.last.is_some() {
            // The deadline of the last commit comes with its own number of the same drain.
            return;
        }
        let partitions = going.partitions.clone();
        self.positions.revoked(&partitions);
        let last = match core.has(Bug::CommitAfterRevoke) {
            true => Vec::new(),
            false => self.commits.end(&partitions),
        };
        let (lost, session) = (going.lost, going.session);
        let left = going.deadline.saturating_duration_since(core.clock.now());
        if lost || last.is_empty() {
            self.gone(core);
            return;
        }
        going.last = Some(last.clone());
        let Some(session) = session else {
            self.gone(core);
            return;
        };
        let entries = self.through(last, core);
        let commit = Event::Commit {
            process: self.process,
            session,
            entries,
            last: Some(number),
        };
        core.tell_coordinator(self.process, commit);
        let wait = Micros::try_from((left + LAST_COMMIT_TIMEOUT).as_micros()).unwrap_or(0);
        let timed_out = PollMail::LastCommitted(number, Err("timed out"));
        core.poll_in(self.process, timed_out, wait);
    }

    fn last_committed(
        &mut self,
        number: u64,
        result: Result<Vec<CommitResult>, &'static str>,
        core: &mut Core,
    ) {
        let Some(going) = self.going.as_mut().filter(|one| one.number == number) else {
            return;
        };
        let Some(last) = going.last.take() else {
            return;
        };
        if let Ok(results) = result {
            let taken = |entry: &CommitEntry| {
                let mut own = results.iter().filter(|one| one.source == entry.source);
                own.next().is_some_and(|one| one.refused.is_none())
            };
            let confirmed = last.into_iter().filter(taken).map(|entry| Confirmed {
                source: entry.source,
                generation: entry.generation,
                next: entry.position.next,
            });
            let confirmed: Vec<_> = confirmed.collect();
            if !confirmed.is_empty() {
                self.effects.push(Effect::Committed(confirmed));
            }
        }
        self.gone(core);
    }

    /// Partitions were given up.
    fn gone(&mut self, core: &mut Core) {
        let Some(going) = self.going.take() else {
            return;
        };
        for source in &going.partitions {
            self.client.unassign(source);
            self.reported.remove(source);
        }
        if let Some(session) = going.session {
            let event = match going.then {
                Then::GoOn => Event::Revoked(session, going.partitions),
                _ => Event::Left(session),
            };
            core.tell_coordinator(self.process, event);
        }
        match going.then {
            Then::GoOn => {}
            Then::Rejoin => {
                self.session = None;
                self.connect(core);
            }
            Then::Leave => {
                self.session = None;
                self.effects.push(Effect::Left);
                return;
            }
            Then::Rebuild => self.rebuild(core),
        }
        self.serve(core);
    }

    /// Makes a new client.
    fn rebuild(&mut self, core: &mut Core) {
        self.session = None;
        let knobs = &core.knobs;
        let reset = match knobs.resets_to_newest {
            true => Reset::Newest,
            false => Reset::Oldest,
        };
        self.client = Client::new(
            reset,
            knobs.fetch_records * 2,
            core.bug != Some(Bug::EpochForgotten),
        );
        self.commits = Commits::new(span(knobs.commit_interval));
        self.positions = Positions::default();
        self.jumps.clear();
        self.is_connecting = true;
        self.lookup.renew();
        self.is_looking = false;
        core.poll_in(self.process, PollMail::Connect, REBUILD_BACKOFF);
    }

    fn report(&mut self, core: &mut Core) {
        core.poll_in(self.process, PollMail::Statistics, STATISTICS_INTERVAL);
        if core.weather.statistics_stale > core.now() {
            return;
        }
        let assigned: Vec<_> = self.client.assignment().cloned().collect();
        for source in assigned {
            if let Some((_, high)) = self.client.watermarks(&source) {
                self.reported.insert(source, high);
            }
        }
    }

    /// Partitions whose position is not known, and those whose commits are not confirmed.
    pub(crate) fn standing(&self, now: Instant) -> (Vec<Unknown>, Vec<Unconfirmed>) {
        (
            self.positions.unknown().collect(),
            self.commits.overdue(now).collect(),
        )
    }

    /// Whether it gives something up.
    pub(crate) fn is_going(&self) -> bool {
        self.going.is_some()
    }
}
