//! One process: a poll thread, topic actors, parsers, forwarders, the writer of dead letters, and what
//! the supervisor does with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafkamq_memory::Account;
use kafkamq_record::{PartitionAccounts, TopicPartition};
use kafkamq_source::blocked::Blocked;
use kafkamq_source::lease::Generation;
use kafkamq_source::supervision::{self, Progress, Restarts, Watch};

use crate::bugs::Bug;
use crate::case::Part;
use crate::convert::Convert;
use crate::core::Core;
use crate::forwarder::Forwarder;
use crate::letters::Writer;
use crate::mail::{Child, DrainSignal, Echoes, Message, Place, PollMail, Process};
use crate::parser::Parser;
use crate::poll::{Effect, Poll};
use crate::time::Micros;
use crate::topic::{Around, Topic};

/// A partition with unread records, nothing in flight and no movement for this long is blocked without a
/// cause.
const UNEXPLAINED_AFTER: Duration = Duration::from_secs(30);

/// One process.
pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) poll: Poll,
    topics: BTreeMap<(TopicPartition, Generation), Topic>,
    parsers: Vec<Option<Parser>>,
    forwarders: Vec<Option<Forwarder>>,
    letters: Option<Writer>,
    /// The addresses of the living.
    directory: Directory,
    lives: u32,
    restarts: Restarts<Child>,
    watch: Watch,
    pub(crate) memory: Arc<Account>,
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    echoes: Echoes,
    converter: Box<dyn Convert>,
    has_left: bool,
}

#[derive(Default)]
struct Directory {
    parsers: Vec<Option<Place>>,
    forwarders: Vec<Option<Place>>,
    letters: Option<Place>,
}

/// What a process says of one of its partitions.
pub(crate) struct Seen {
    pub(crate) source: TopicPartition,
    pub(crate) position: Option<i64>,
    pub(crate) why: Option<Blocked>,
}

impl Member {
    pub(crate) fn new(
        process: Process,
        poll: Poll,
        converter: Box<dyn Convert>,
        core: &mut Core,
    ) -> Self {
        let mut member = Self {
            process,
            poll,
            topics: BTreeMap::new(),
            parsers: Vec::new(),
            forwarders: Vec::new(),
            letters: None,
            directory: Directory::default(),
            lives: 0,
            restarts: Restarts::default(),
            watch: Watch::new(core.clock.now()),
            memory: Account::root("service", core.knobs.memory / 2),
            accounts: BTreeMap::new(),
            echoes: Echoes::default(),
            converter,
            has_left: false,
        };
        for index in 0..core.knobs.parsers {
            member.parsers.push(None);
            member.directory.parsers.push(None);
            member.restart(Child::Parser(index), core);
        }
        for output in 0..core.knobs.outputs {
            member.forwarders.push(None);
            member.directory.forwarders.push(None);
            member.restart(Child::Forwarder(output), core);
        }
        member.restart(Child::Letters, core);
        member.poll.start(core);
        member
    }

    fn restart(&mut self, child: Child, core: &mut Core) {
        self.lives += 1;
        let (process, life) = (self.process, self.lives);
        match child {
            Child::Parser(index) => {
                let parser = Parser::new(process, index, life, Arc::clone(&self.echoes));
                if let Some(own) = self.parsers.get_mut(index) {
                    *own = Some(parser);
                    self.directory.parsers[index] = Some(Place::Parser(index, life));
                }
            }
            Child::Forwarder(output) => {
                let forwarder = Forwarder::new(process, output, life, core);
                if let Some(own) = self.forwarders.get_mut(output) {
                    *own = Some(forwarder);
                    self.directory.forwarders[output] = Some(Place::Forwarder(output, life));
                }
            }
            Child::Letters => {
                self.letters = Some(Writer::new(process, life, core));
                self.directory.letters = Some(Place::Letters(life));
            }
        }
    }

    /// A part dies: what it held comes back, and it is started again.
    fn died(&mut self, child: Child, core: &mut Core) {
        match child {
            Child::Parser(index) => {
                self.directory.parsers[index] = None;
                drop(self.parsers[index].take());
            }
            Child::Forwarder(output) => {
                self.directory.forwarders[output] = None;
                // The next one does not know what was asked of this one.
                core.oracle.reopens(self.process, output);
                drop(self.forwarders[output].take());
            }
            Child::Letters => {
                self.directory.letters = None;
                drop(self.letters.take());
            }
        }
        let seat = self.process.seat;
        // What comes back is sent again beside what is newer.
        core.oracle.checks_order = false;
        core.trace.say(core.clock.micros(), || {
            format!("member {seat}: {child:?} died")
        });
        let restart = self.restarts.died(core.clock.now(), child);
        let wait = Micros::try_from(restart.pause.as_micros()).unwrap_or(Micros::MAX);
        let at = core.now() + wait;
        core.timer(self.process, Place::Supervisor, Message::Restart(child), at);
    }

    /// A part is made to die.
    pub(crate) fn dies(&mut self, part: Part, which: usize, core: &mut Core) {
        match part {
            Part::Parser if !self.parsers.is_empty() => {
                let index = which % self.parsers.len();
                if self.parsers[index].is_some() {
                    self.died(Child::Parser(index), core);
                }
            }
            Part::Forwarder if !self.forwarders.is_empty() => {
                let output = which % self.forwarders.len();
                if self.forwarders[output].is_some() {
                    self.died(Child::Forwarder(output), core);
                }
            }
            Part::Letters if self.letters.is_some() => self.died(Child::Letters, core),
            Part::Topic => {
                if let Some(key) = self.topics.keys().nth(which).cloned() {
                    self.topics.remove(&key);
                    core.oracle.checks_order = false;
                    core.poll_in(self.process, PollMail::Rebuild, 0);
                }
            }
            _ => {}
        }
        self.settle_down(core);
    }

    /// Takes a message. Returns whether the process goes on.
    pub(crate) fn handle(&mut self, to: &Place, message: Message, core: &mut Core) -> bool {
        match (to, message) {
            (Place::Poll, Message::Poll(mail)) => self.poll.handle(mail, core),
            (Place::Topic(source, generation), message) => {
                let key = (source.clone(), *generation);
                self.topic(&key, message, core);
            }
            (Place::Parser(index, _), message) => {
                if self.directory.parsers.get(*index).and_then(Option::as_ref) == Some(to)
                    && let Some(Some(parser)) = self.parsers.get_mut(*index)
                {
                    let letters = self.directory.letters.as_ref();
                    let forwarders = &self.directory.forwarders;
                    let converter = &mut *self.converter;
                    if !parser.handle(message, converter, forwarders, letters, core) {
                        self.died(Child::Parser(*index), core);
                    }
                }
            }
            (Place::Forwarder(output, _), message) => {
                if self
                    .directory
                    .forwarders
                    .get(*output)
                    .and_then(Option::as_ref)
                    == Some(to)
                    && let Some(Some(forwarder)) = self.forwarders.get_mut(*output)
                {
                    forwarder.handle(message, self.directory.letters.as_ref(), core);
                }
            }
            (Place::Letters(_), message) => {
                if self.directory.letters.as_ref() == Some(to)
                    && let Some(writer) = &mut self.letters
                {
                    writer.handle(message, core);
                }
            }
            (Place::Supervisor, Message::Restart(child)) => self.restart(child, core),
            _ => {}
        }
        self.settle_down(core);
        !self.has_left
    }

    fn topic(&mut self, key: &(TopicPartition, Generation), message: Message, core: &mut Core) {
        let Some(topic) = self.topics.get_mut(key) else {
            return;
        };
        let mut around = Around {
            poll: &mut self.poll,
            core,
            parsers: &self.directory.parsers,
            forwarders: &self.directory.forwarders,
            letters: self.directory.letters.as_ref(),
        };
        topic.handle(message, &mut around);
        if topic.is_finished() {
            self.topics.remove(key);
        }
    }

    /// Sends on what was said while something else ran.
    pub(crate) fn settle_down(&mut self, core: &mut Core) {
        loop {
            let effects = std::mem::take(&mut self.poll.effects);
            let echoes = std::mem::take(&mut *self.echoes.lock());
            if effects.is_empty() && echoes.is_empty() {
                return;
            }
            for echo in echoes {
                let (to, message) = echo.into_message();
                core.send(self.process, Place::Supervisor, to, message);
            }
            for effect in effects {
                self.effect(effect, core);
            }
        }
    }

    fn effect(&mut self, effect: Effect, core: &mut Core) {
        let process = self.process;
        match effect {
            Effect::Assigned(generation, partitions) => {
                for source in partitions {
                    self.assign(source, generation, core);
                }
                self.share_out(core);
            }
            Effect::Revoked {
                partitions,
                lost,
                deadline,
                number,
            } => {
                let echoes = Arc::clone(&self.echoes);
                let signal = Arc::new(DrainSignal { number, echoes });
                for source in &partitions {
                    if let Some(to) = self.latest(source) {
                        let token = Some(Box::new(Arc::clone(&signal)) as Box<_>);
                        let drain = Message::Drain(lost, deadline, token);
                        core.send(process, Place::Poll, to, drain);
                    }
                }
                drop(signal);
            }
            Effect::Placed(source, generation, placement) => {
                let to = Place::Topic(source, generation);
                core.send(process, Place::Poll, to, Message::Placed(placement));
            }
            Effect::Committed(confirmed) => {
                for one in confirmed {
                    if let Some(to) = self.latest(&one.source) {
                        core.send(process, Place::Poll, to, Message::Committed(one));
                    }
                }
            }
            Effect::Woken(partitions) => {
                for source in partitions {
                    if let Some(to) = self.latest(&source) {
                        core.send(process, Place::Poll, to, Message::Wake);
                    }
                }
            }
            Effect::Left => self.has_left = true,
        }
    }

    /// The newest reader of a partition.
    fn latest(&self, source: &TopicPartition) -> Option<Place> {
        let range = (source.clone(), Generation(0))..=(source.clone(), Generation(u64::MAX));
        let (key, _) = self.topics.range(range).next_back()?;
        Some(Place::Topic(key.0.clone(), key.1))
    }

    fn allowance(&self, core: &Core) -> usize {
        let bytes = core.knobs.memory as u64 / 4;
        supervision::partition_bytes(bytes, self.topics.len())
    }

    fn assign(&mut self, source: TopicPartition, generation: Generation, core: &mut Core) {
        let bytes = self.allowance(core);
        let name = Arc::clone(&source.topic);
        let memory = &self.memory;
        let own = self
            .accounts
            .entry(name)
            .or_insert_with_key(|name| memory.child(Arc::clone(name), usize::MAX));
        let accounts = PartitionAccounts::below(memory, own, bytes);
        let echoes = Arc::clone(&self.echoes);
        let mut topic = Topic::new(
            self.process,
            source.clone(),
            generation,
            accounts,
            echoes,
            core,
        );
        let mut around = Around {
            poll: &mut self.poll,
            core,
            parsers: &self.directory.parsers,
            forwarders: &self.directory.forwarders,
            letters: self.directory.letters.as_ref(),
        };
        topic.started(&mut around);
        self.topics.insert((source, generation), topic);
    }

    fn share_out(&self, core: &mut Core) {
        let bytes = self.allowance(core);
        for (source, generation) in self.topics.keys() {
            let to = Place::Topic(source.clone(), *generation);
            core.send(
                self.process,
                Place::Supervisor,
                to,
                Message::SetCredits(bytes),
            );
        }
    }

    /// Why a partition is not read, as it is shown.
    fn explain(
        &self,
        topic: &Topic,
        source: &TopicPartition,
        now: Instant,
        core: &Core,
    ) -> Option<Blocked> {
        let (unknown, overdue) = self.poll.standing(now);
        if let Some(unknown) = unknown.into_iter().find(|one| one.source == *source) {
            return Some(Blocked::PositionUnknown(unknown.cause));
        }
        if let Some(overdue) = overdue.into_iter().find(|one| one.source == *source) {
            return Some(Blocked::CommitsUnconfirmed(overdue.refusal));
        }
        let fails = self.letters.as_ref().is_some_and(Writer::is_failing);
        match &topic.view.blocked {
            Some((Blocked::InFlight(None), _)) if fails => Some(Blocked::DeadLetters),
            Some((why, _)) => Some(why.clone()),
            None => {
                let still = now.saturating_duration_since(topic.view.moved);
                let silent = (self.has_unread(topic, source) || core.are_brokers_away())
                    && topic.view.batches == 0
                    && still >= UNEXPLAINED_AFTER;
                silent.then_some(match core.are_brokers_away() {
                    true => Blocked::NoBrokers,
                    false => Blocked::Unexplained,
                })
            }
        }
    }

    fn has_unread(&self, topic: &Topic, source: &TopicPartition) -> bool {
        let end = self.poll.reported.get(source).copied();
        end.zip(topic.view.position)
            .is_some_and(|(end, position)| end > position)
    }

    /// What is shown of each partition, and whether the service is ready.
    pub(crate) fn look(&mut self, core: &mut Core) -> (Vec<Seen>, bool) {
        let now = core.clock.now();
        let mut seen = Vec::new();
        let mut progress = Vec::new();
        for ((source, _), topic) in &self.topics {
            let why = self.explain(topic, source, now, core);
            progress.push(Progress {
                moved: topic.view.moved,
                is_explained: topic.view.blocked.is_some()
                    || topic.view.batches > 0
                    || matches!(why, Some(Blocked::PositionUnknown(_))),
                has_unread: self.has_unread(topic, source),
                // The fake client always hears where a partition ends.
                is_deaf: false,
            });
            seen.push(Seen {
                source: source.clone(),
                position: topic.view.position,
                why,
            });
        }
        if self.watch.is_stuck(now, progress) {
            core.poll_in(self.process, PollMail::Rebuild, 0);
        }
        let alarms = seen
            .iter()
            .any(|one| one.why.as_ref().is_some_and(Blocked::is_alarm));
        let refuses = self
            .forwarders
            .iter()
            .flatten()
            .any(|one| one.condition(core).alarm);
        let fails = self.letters.as_ref().is_some_and(Writer::is_failing);
        let is_ready = (!alarms && !refuses && !fails) || core.has(Bug::AlwaysReady);
        (seen, is_ready)
    }

    /// An operator looks at suspects.
    pub(crate) fn operate(&mut self, core: &mut Core) {
        let letters = self.directory.letters.clone();
        for forwarder in self.forwarders.iter_mut().flatten() {
            if forwarder.condition(core).suspects > 0 {
                forwarder.operate(letters.as_ref(), core);
            }
        }
        self.settle_down(core);
    }

    /// How the outputs are, in words.
    pub(crate) fn outputs(&self, core: &Core) -> String {
        let one = |forwarder: &Forwarder| {
            let condition = forwarder.condition(core);
            let (state, suspects, items) = (condition.state, condition.suspects, forwarder.items());
            format!("{state}, {suspects} suspects, {items} items")
        };
        let all: Vec<String> = self.forwarders.iter().flatten().map(one).collect();
        all.join("; ")
    }

    /// What still goes on, in words; `None` if nothing does.
    pub(crate) fn busy(&self) -> Option<String> {
        let used = self.memory.used();
        let items: usize = self.forwarders.iter().flatten().map(Forwarder::items).sum();
        let letters = self.letters.as_ref().is_none_or(|writer| !writer.is_idle());
        let idle = self.forwarders.iter().flatten().all(Forwarder::is_idle);
        let records: usize = self
            .topics
            .values()
            .map(|topic| topic.window.records())
            .sum();
        let busy = used > 0 || items > 0 || letters || !idle || records > 0 || self.poll.is_going();
        busy.then(|| {
            format!(
                "member {} has {used} bytes charged, {records} records in flight, {items} items on \
                 their way ({}){}",
                self.process.seat,
                self.topics
                    .values()
                    .map(Topic::shown)
                    .collect::<Vec<_>>()
                    .join("; "),
                if letters { ", letters to write" } else { "" }
            )
        })
    }
}
