//! One run: members, brokers and receivers, event by event, under the eyes of the judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafkamq_record::TopicPartition;
use kafkamq_source::births::Births;
use kafkamq_source::blocked::Blocked;
use kafkamq_source::commits::{CommitEntry, CommitResult};
use kafkamq_source::memo::Memo;

use crate::bugs::Bug;
use crate::case::{Act, Case, Mood};
use crate::cluster::Committed;
use crate::core::Core;
use crate::group::Session;
use crate::lookup::Asked;
use crate::mail::{Arrival, Event, Message, Place, PollMail, Process};
use crate::member::Member;
use crate::oracle::{Figures, Oracle, Origin, Violation};
use crate::payload::{Fate, Form, Stated, Told};
use crate::poll::Poll;
use crate::scene::{Sample, Scene};
use crate::time::{MILLI, Micros, SECOND, shown};

/// When faults are over, everything has to be drained after this time, and something has to go on within
/// it.
const DRAINED_WITHIN: Micros = 240 * SECOND;
/// And this much more for each item that an operator has to decide about.
const DECIDED_WITHIN: Micros = 60 * SECOND;
/// A ready service over a partition that is not read for this long is a lie.
const LIE_AFTER: Micros = 75 * SECOND;
const CHECK_INTERVAL: Micros = SECOND;
/// How often an operator looks at suspects, when faults are over.
const OPERATOR_INTERVAL: Micros = 2 * SECOND;
/// How long a session lasts.
const SESSION: Micros = 8 * SECOND;
/// How long records may be passed over after an offset went out of range, where the newest are wanted.
const PASSED_OVER: Micros = 60 * SECOND;
/// Members that look at a topic for the first time at once need not agree which of them was first.
const FIRST_LOOK: Micros = 2 * SECOND;
/// More events than any run needs.
const MOST_EVENTS: u64 = 40_000_000;

/// A place for a member: what outlives its processes.
#[derive(Default)]
struct Seat {
    life: u32,
    member: Option<Member>,
    /// What is on the disk.
    births: Option<Births>,
    /// When it starts again.
    down: Micros,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) figures: Figures,
    pub(crate) hash: u64,
    pub(crate) events: u64,
    pub(crate) ended: Micros,
    pub(crate) story: Vec<String>,
    pub(crate) gathered: Option<BTreeMap<u64, Vec<(usize, u64)>>>,
}

/// One run.
pub(crate) struct World<'a> {
    core: Core,
    case: &'a Case,
    scene: &'a dyn Scene,
    names: Vec<Arc<str>>,
    seats: Vec<Seat>,
    /// Topics and logs for which the group has committed something.
    /// When something was first committed for a log.
    looked: BTreeMap<(Arc<str>, i64), Micros>,
    /// Until when records of a topic may be passed over.
    excused: BTreeMap<Arc<str>, Micros>,
    faults_ended: Option<Micros>,
    operator_due: Micros,
    /// How long everything may take after the last fault.
    patience: Micros,
    /// Since when a partition has unread records and does not move.
    still: BTreeMap<TopicPartition, (i64, Micros)>,
    is_over: bool,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        case: &'a Case,
        scene: &'a dyn Scene,
        bug: Option<Bug>,
        keeps_trace: bool,
    ) -> Self {
        let mut knobs = case.knobs.clone();
        let names: Vec<Arc<str>> = match scene.topics() {
            Some(names) => names.into_iter().map(Arc::from).collect(),
            None => (0..knobs.topics)
                .map(|at| format!("t{at}").into())
                .collect(),
        };
        knobs.topics = names.len();
        knobs.outputs = scene.outputs().unwrap_or(knobs.outputs);
        let mut oracle = Oracle::new(knobs.outputs);
        oracle.checks_order = true;
        let mut core = Core::new(case.seed, knobs, bug, oracle, keeps_trace);
        for name in &names {
            let partitions = core.knobs.partitions;
            core.cluster.create(name, partitions);
        }
        for (index, choice) in case.choices.iter().enumerate() {
            core.at(choice.at, Event::Act(index));
        }
        core.at(case.ends, Event::FaultsEnd);
        core.at(CHECK_INTERVAL, Event::Check);
        let seats: Vec<Seat> = (0..core.knobs.seats).map(|_| Seat::default()).collect();
        for seat in 0..seats.len() {
            let at = core.rng.u64(..2 * SECOND);
            core.at(at, Event::Start(seat));
        }
        Self {
            core,
            case,
            scene,
            names,
            seats,
            looked: BTreeMap::new(),
            excused: BTreeMap::new(),
            faults_ended: None,
            operator_due: 0,
            patience: DRAINED_WITHIN,
            still: BTreeMap::new(),
            is_over: false,
        }
    }

    pub(crate) fn expecting(mut self, expected: BTreeMap<u64, Vec<(usize, u64)>>) -> Self {
        self.core.oracle.expected = Some(expected);
        self
    }

    pub(crate) fn gathering(mut self) -> Self {
        self.core.oracle.gathered = Some(BTreeMap::new());
        self
    }

    /// Runs until everything is drained or a law is broken.
    pub(crate) fn run(mut self) -> Outcome {
        while self.core.oracle.violation().is_none() && !self.is_over {
            let Some(event) = self.core.next() else { break };
            self.turn(event);
            if self.core.events > MOST_EVENTS {
                let now = self.core.now();
                self.core
                    .oracle
                    .breaks(5, now, || "it never comes to rest".to_owned());
            }
        }
        let violation = self.core.oracle.violation().cloned();
        let mut figures = self.core.oracle.figures;
        let peaks = self.seats.iter().filter_map(|seat| seat.member.as_ref());
        figures.peak = figures
            .peak
            .max(peaks.map(|one| one.memory.peak()).max().unwrap_or(0));
        Outcome {
            violation,
            figures,
            hash: self.core.trace.hash(),
            events: self.core.events,
            ended: self.core.now(),
            gathered: self.core.oracle.gathered.take(),
            story: self.core.trace.into_lines(),
        }
    }

    fn turn(&mut self, event: Event) {
        match event {
            Event::Act(index) => {
                let case = self.case;
                if let Some(choice) = case.choices.get(index) {
                    let at = self.core.now();
                    self.core.trace.say(at, || choice.what.to_string());
                    self.act(&choice.what);
                }
            }
            Event::FaultsEnd => self.faults_end(),
            Event::Check => self.check(),
            Event::Start(seat) => self.start(seat),
            Event::Recreated {
                topic,
                records,
                seed,
            } => self.recreated(topic, records, seed),
            Event::Group => self.group(),
            Event::SessionOver(session) => self.session_over(session),
            Event::To(process, to, message) => self.deliver(process, &to, message),
            Event::Arrive(arrival) => self.arrive(*arrival),
            Event::Commit {
                process,
                session,
                entries,
                last,
            } => self.commit(process, session, entries, last),
            Event::Revoked(session, partitions) => {
                self.core.group.revoked(session, &partitions);
                self.group();
            }
            Event::Left(session) => {
                self.core.group.remove(session);
                self.group();
            }
            Event::Lookup(process, asked) => self.look_up(process, *asked),
        }
    }

    fn deliver(&mut self, process: Process, to: &Place, message: Message) {
        let Some(seat) = self.seats.get_mut(process.seat) else {
            return;
        };
        let Some(member) = seat.member.as_mut().filter(|one| one.process == process) else {
            return;
        };
        if !member.handle(to, message, &mut self.core) {
            let at = self.core.now();
            self.core
                .trace
                .say(at, || format!("member {} has stopped", process.seat));
            let down = seat.down;
            self.end_member(process.seat);
            self.core.at(at + down, Event::Start(process.seat));
        }
    }

    fn look_up(&mut self, process: Process, asked: Asked) {
        let Some(seat) = self.seats.get_mut(process.seat) else {
            return;
        };
        let Some(member) = seat.member.as_mut().filter(|one| one.process == process) else {
            return;
        };
        let poll = &mut member.poll;
        let answer = poll
            .lookup
            .step(process, asked, &mut poll.births, &mut self.core);
        if self.core.knobs.keeps_state {
            seat.births = Some(poll.births.clone());
        }
        if let Some(answer) = answer {
            self.core.poll_in(process, PollMail::Answer(answer), MILLI);
        }
    }

    fn start(&mut self, index: usize) {
        let Some(seat) = self
            .seats
            .get_mut(index)
            .filter(|seat| seat.member.is_none())
        else {
            return;
        };
        seat.life += 1;
        let process = Process {
            seat: index,
            life: seat.life,
        };
        let births = seat.births.clone().unwrap_or_default();
        let topics = self.names.iter().map(ToString::to_string).collect();
        let poll = Poll::new(process, births, topics, &self.core);
        let converter = self.scene.converter(self.core.knobs.outputs);
        let member = Member::new(process, poll, converter, &mut self.core);
        seat.member = Some(member);
        let at = self.core.now();
        self.core.trace.say(at, || format!("member {index} starts"));
    }

    /// A process is gone; its session lasts for a while.
    fn end_member(&mut self, index: usize) {
        let Some(seat) = self.seats.get_mut(index) else {
            return;
        };
        if let Some(member) = seat.member.take() {
            let peak = member.memory.peak();
            self.core.oracle.figures.peak = self.core.oracle.figures.peak.max(peak);
            let process = member.process;
            drop(member);
            self.core.forget(process);
        }
        for session in self.core.group.sessions_of(index) {
            let at = self.core.now() + SESSION;
            self.core.at(at, Event::SessionOver(session));
        }
    }

    fn session_over(&mut self, session: Session) {
        let lives = self.core.group.seat(session).is_some_and(|seat| {
            let member = self.seats.get(seat).and_then(|seat| seat.member.as_ref());
            member.is_some_and(|member| member.poll.session == Some(session))
        });
        if !lives {
            self.core.group.remove(session);
            let at = self.core.now();
            self.core.at(at, Event::Group);
        }
    }

    fn group(&mut self) {
        let was_stable = self.core.group.is_stable();
        for (session, order) in self.core.group.step(&self.core.cluster) {
            let Some(seat) = self.core.group.seat(session) else {
                continue;
            };
            let member = self.seats.get(seat).and_then(|seat| seat.member.as_ref());
            let Some(process) = member.map(|member| member.process) else {
                continue;
            };
            let wait = self.core.network();
            let at = self.core.now();
            self.core
                .trace
                .say(at, || format!("member {seat}: {order:?}"));
            let mail = PollMail::Order(session, order);
            self.core.send_in(
                process,
                Place::Brokers,
                Place::Poll,
                Message::Poll(mail),
                wait,
            );
        }
        if !was_stable {
            let at = self.core.now() + MILLI + self.core.draw(200 * MILLI);
            self.core.at(at, Event::Group);
        }
    }

    /// A commit reaches the coordinator.
    fn commit(
        &mut self,
        process: Process,
        session: Session,
        entries: Vec<CommitEntry>,
        last: Option<u64>,
    ) {
        let now = self.core.now();
        let refused = if self.core.is_coordinator_away() {
            Some("the coordinator moves")
        } else if !self.core.group.is_member(session) {
            Some("unknown member")
        } else if self.core.group.is_completing() {
            Some("rebalance in progress")
        } else if self.core.weather.commits_refused > now {
            Some("the coordinator is loading")
        } else {
            None
        };
        if refused.is_none() {
            for entry in &entries {
                self.apply(session, entry);
            }
        }
        let results: Vec<CommitResult> = entries
            .iter()
            .map(|entry| CommitResult {
                source: entry.source.clone(),
                next: entry.position.next,
                refused: refused.map(str::to_owned),
            })
            .collect();
        let wait = self.core.network();
        if self.core.weather.commits_lost > now {
            // Half of them are told to have failed, of the others nothing is heard any more.
            if last.is_none() && self.core.rng.bool() {
                let failed = results.into_iter().map(|result| CommitResult {
                    refused: Some("timed out".to_owned()),
                    ..result
                });
                let mail = PollMail::Committed(failed.collect());
                let wait = wait + self.core.rng.u64(SECOND..20 * SECOND);
                self.core.poll_in(process, mail, wait);
            }
            return;
        }
        let mail = match last {
            Some(number) => PollMail::LastCommitted(number, Ok(results)),
            None => PollMail::Committed(results),
        };
        self.core.poll_in(process, mail, wait);
    }

    fn apply(&mut self, session: Session, entry: &CommitEntry) {
        let now = self.core.now();
        let source = &entry.source;
        if self.core.group.owner(source) != Some(session) {
            self.core.oracle.breaks(2, now, || {
                format!("{source} was committed by a member that does not own it")
            });
        }
        let memo = entry.memo.to_string();
        let offset = entry.position.next.0;
        self.core.trace.mark(number(offset));
        self.core.trace.say(now, || {
            format!(
                "{source} is committed to {offset} ({:?})",
                entry.position.epoch
            )
        });
        let committed = Committed {
            offset,
            epoch: entry.position.epoch,
            memo,
        };
        self.core
            .cluster
            .committed
            .insert(source.clone(), committed);
        let (Some(topic), Some(log)) = (
            self.core.cluster.topic(&source.topic),
            self.core.cluster.partition(source),
        ) else {
            return;
        };
        // What names another log claims nothing about this one.
        if self.core.knobs.tells_ids && entry.memo.log != topic.id() {
            return;
        }
        // A commit whose epoch is older than the log's is compared by the client of whoever reads next:
        // it claims nothing beyond the end of that epoch.
        let epoch = entry.position.epoch.filter(|epoch| *epoch < log.epoch);
        let claimed = epoch.map_or(offset, |epoch| offset.min(log.end_of(epoch)));
        let log_key = (Arc::clone(&source.topic), topic.number);
        self.looked.entry(log_key).or_insert(now);
        self.core
            .oracle
            .committed(now, source, topic.number, log, claimed);
    }

    /// A request reaches its receiver.
    fn arrive(&mut self, arrival: Arrival) {
        let now = self.core.now();
        let Arrival {
            process,
            forwarder,
            output,
            request,
            sent,
            origins,
        } = arrival;
        let told = |item: &kafkamq_delivery::lanes::Item| match Told::read(&item.body) {
            Some(told) => (Some(told.fate), told.id),
            None => (None, 0),
        };
        let fates: Vec<_> = request.items.iter().map(told).collect();
        let Some(receiver) = self.core.receivers.get(output) else {
            return;
        };
        let reaction = receiver.react(now, &fates, &mut self.core.rng);
        self.core.trace.mark(u64::from(reaction.takes));
        self.core.trace.say(now, || {
            let offsets: Vec<i64> = origins.iter().map(|(_, offset, ..)| *offset).collect();
            let source = origins
                .first()
                .map(|(source, ..)| source.to_string())
                .unwrap_or_default();
            let verb = if reaction.takes { "takes" } else { "refuses" };
            let seat = process.seat;
            format!("output {output} {verb} {source} {offsets:?} of member {seat}")
        });
        let wait = reaction.after + self.core.network();
        let items = request.items.iter().zip(&origins);
        for (item, origin) in items {
            if reaction.takes {
                self.core.oracle.accepted(now, output, &item.body, origin);
                self.ahead(now, origin);
            }
            // Who sent it may hear of a refusal all the same.
            let outcome = &reaction.outcome;
            self.core
                .oracle
                .refused(now + wait, sent, output, &item.body, origin, outcome);
        }
        if reaction.takes {
            self.core.oracle.accepts(now, output);
        }
        let message = Message::Finished(Box::new(request), sent, reaction.outcome);
        self.core.timer(process, forwarder, message, now + wait);
    }

    /// How far an item is ahead of what is committed.
    fn ahead(&mut self, now: Micros, (source, offset, ..): &Origin) {
        let most = self.core.knobs.max_in_flight;
        let Some(log) = self.core.cluster.partition(source) else {
            return;
        };
        let Some(committed) = self.core.cluster.committed.get(source) else {
            return;
        };
        let topic = self.core.cluster.topic(&source.topic);
        let own = Memo::parse(&committed.memo).and_then(|memo| memo.log);
        let is_same = topic.is_some_and(|topic| {
            topic.id() == own && topic.number == 1 + index(&self.names, source)
        });
        if !is_same || log.was_truncated || committed.offset > *offset {
            return;
        }
        let between = log.between(committed.offset, offset + 1);
        let oracle = &self.core.oracle;
        let ahead = between.filter(|entry| oracle.is_required(entry.id)).count();
        self.core.oracle.within_window(now, source, ahead, most);
    }

    fn faults_end(&mut self) {
        let now = self.core.now();
        self.core
            .trace
            .say(now, || "all faults are over".to_owned());
        self.core.clear_up();
        self.faults_ended = Some(now);
        self.patience = DRAINED_WITHIN + self.core.oracle.undecided() * DECIDED_WITHIN;
        for topic in 0..self.names.len() {
            let name = Arc::clone(&self.names[topic]);
            if self.core.cluster.topic(&name).is_none() {
                self.recreated(topic, 3, self.case.seed);
            }
        }
        for seat in 0..self.seats.len() {
            let at = now + self.core.rng.u64(..SECOND);
            self.core.at(at, Event::Start(seat));
        }
    }

    /// Looks whether everything is as it should be.
    fn check(&mut self) {
        let now = self.core.now();
        self.core.at(now + CHECK_INTERVAL, Event::Check);
        if self.core.group.is_stable() {
            self.core.group.look(&self.core.cluster);
        }
        self.core.at(now, Event::Group);
        self.honesty();
        self.memory();
        if let Some(ended) = self.faults_ended {
            if now >= self.operator_due {
                self.operator_due = now + OPERATOR_INTERVAL;
                for seat in &mut self.seats {
                    if let Some(member) = &mut seat.member {
                        member.operate(&mut self.core);
                    }
                }
            }
            match self.unfinished() {
                None => {
                    self.core.oracle.figures.recovery = now - ended;
                    self.is_over = true;
                }
                Some(why)
                    if now > ended + self.patience
                        || now > ended.max(self.core.oracle.moved_at()) + DRAINED_WITHIN =>
                {
                    let since = shown(now - ended);
                    self.core.oracle.breaks(5, now, || {
                        format!("{since} after the last fault not everything is done: {why}")
                    });
                }
                Some(_) => {}
            }
        }
    }
}

fn number(offset: i64) -> u64 {
    u64::from_ne_bytes(offset.to_ne_bytes())
}

fn index(names: &[Arc<str>], source: &TopicPartition) -> i64 {
    let at = names.iter().position(|name| *name == source.topic);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-2)
}

mod acts;
mod checks;
