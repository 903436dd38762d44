//! What the parts of all processes share: the queue of events, the clock, chance, and the world outside.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::bugs::Bug;
use crate::case::{Knobs, Mood};
use crate::cluster::Cluster;
use crate::group::Group;
use crate::mail::{Event, Message, Place, PollMail, Process};
use crate::oracle::Oracle;
use crate::receiver::Receiver;
use crate::time::{Clock, MILLI, Micros};
use crate::trace::Trace;

struct Scheduled {
    at: Micros,
    /// Breaks ties by chance.
    tie: u32,
    number: u64,
    event: Event,
}

impl Scheduled {
    const fn key(&self) -> (Micros, u32, u64) {
        (self.at, self.tie, self.number)
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Faults of the brokers and of clients that last for a while; each is the moment of its end.
#[derive(Debug, Default, Clone)]
pub(crate) struct Weather {
    pub(crate) commits_lost: Micros,
    pub(crate) commits_refused: Micros,
    pub(crate) coordinator_away: Micros,
    pub(crate) committed_slow: Micros,
    pub(crate) brokers_away: Micros,
    pub(crate) wakes_missed: Micros,
    pub(crate) statistics_stale: Micros,
    /// By seat.
    pub(crate) disk_full: Vec<Micros>,
}

/// What everybody shares.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) rng: fastrand::Rng,
    pub(crate) knobs: Knobs,
    pub(crate) bug: Option<Bug>,
    pub(crate) cluster: Cluster,
    pub(crate) group: Group,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) weather: Weather,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    queue: BinaryHeap<Reverse<Scheduled>>,
    number: u64,
    /// When the last message of a sender reaches a receiver.
    mail: HashMap<(Process, Place, Place), Micros>,
    pub(crate) events: u64,
}

impl Core {
    pub(crate) fn new(
        seed: u64,
        knobs: Knobs,
        bug: Option<Bug>,
        oracle: Oracle,
        keeps_trace: bool,
    ) -> Self {
        let receivers = (0..knobs.outputs).map(|_| Receiver::new()).collect();
        let weather = Weather {
            disk_full: vec![0; knobs.seats],
            ..Weather::default()
        };
        Self {
            clock: Clock::new(),
            rng: fastrand::Rng::with_seed(seed).fork(),
            bug,
            cluster: Cluster::new(knobs.tells_ids),
            group: Group::new(knobs.is_eager),
            receivers,
            weather,
            oracle,
            trace: Trace::new(keeps_trace),
            knobs,
            queue: BinaryHeap::new(),
            number: 0,
            mail: HashMap::new(),
            events: 0,
        }
    }

    pub(crate) const fn now(&self) -> Micros {
        self.clock.micros()
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Has something happen at a moment.
    pub(crate) fn at(&mut self, at: Micros, event: Event) {
        self.number += 1;
        let scheduled = Scheduled {
            at: at.max(self.now()),
            tie: self.rng.u32(..),
            number: self.number,
            event,
        };
        self.queue.push(Reverse(scheduled));
    }

    /// A time below `most`, mostly far below.
    pub(crate) fn draw(&mut self, most: Micros) -> Micros {
        match self.rng.u8(..10) {
            0 => self.rng.u64(..=most),
            _ => self.rng.u64(..=most / 10),
        }
    }

    /// Has a message reach a mailbox, behind those of the same sender.
    pub(crate) fn send(&mut self, process: Process, from: Place, to: Place, message: Message) {
        let wait = self.draw(self.knobs.mailbox);
        self.send_in(process, from, to, message, wait);
    }

    /// The same, when it takes `wait` at least.
    pub(crate) fn send_in(
        &mut self,
        process: Process,
        from: Place,
        to: Place,
        message: Message,
        wait: Micros,
    ) {
        let at = self.now() + wait;
        let last = self.mail.entry((process, from, to.clone())).or_default();
        let at = at.max(*last + 1);
        *last = at;
        self.at(at, Event::To(process, to, message));
    }

    /// Wakes a part of a process up at a moment.
    pub(crate) fn timer(&mut self, process: Process, to: Place, message: Message, at: Micros) {
        self.at(at, Event::To(process, to, message));
    }

    /// The same for the poll thread, after `wait`.
    pub(crate) fn poll_in(&mut self, process: Process, mail: PollMail, wait: Micros) {
        let at = self.now() + wait;
        self.timer(process, Place::Poll, Message::Poll(mail), at);
    }

    /// Has something reach the coordinator, behind what the process sent it before.
    pub(crate) fn tell_coordinator(&mut self, process: Process, event: Event) {
        let wait = self.network();
        let at = self.now() + wait;
        let key = (process, Place::Poll, Place::Brokers);
        let last = self.mail.entry(key).or_default();
        let at = at.max(*last + 1);
        *last = at;
        self.at(at, event);
    }

    /// A request that goes to the coordinator and comes back: how long one way takes.
    pub(crate) fn network(&mut self) -> Micros {
        MILLI / 2 + self.draw(100 * MILLI)
    }

    /// The next event; the clock moves to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(next) = self.queue.pop()?;
        self.clock.advance(next.at);
        self.events += 1;
        self.trace.turn(next.at, next.number);
        Some(next.event)
    }

    /// Forgets the mail of a process that is gone.
    pub(crate) fn forget(&mut self, process: Process) {
        self.mail.retain(|(own, ..), _| *own != process);
    }

    pub(crate) fn are_brokers_away(&self) -> bool {
        self.weather.brokers_away > self.now()
    }

    pub(crate) fn is_coordinator_away(&self) -> bool {
        self.are_brokers_away() || self.weather.coordinator_away > self.now()
    }

    /// All faults are over.
    pub(crate) fn clear_up(&mut self) {
        let now = self.now();
        let seats = self.weather.disk_full.len();
        self.weather = Weather {
            disk_full: vec![0; seats],
            ..Weather::default()
        };
        for receiver in &mut self.receivers {
            receiver.set(Mood::Well, now);
        }
    }
}
