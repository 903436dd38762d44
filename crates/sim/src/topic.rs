//! One assigned partition: drives its `Window` as the topic actor does.

mod fetching;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_memory::Charge;
use kafkamq_record::{
    Assignment, BatchAck, BatchId, PartId, PartitionAccounts, Position, RecordBatch, Resolution,
    TopicPartition,
};
use kafkamq_source::blocked::Blocked;
use kafkamq_source::fetching::Fetching;
use kafkamq_source::lease::Generation;
use kafkamq_source::start::Why;
use kafkamq_source::window::{
    Bounds, GoesOn, Phase, Piece, Resend, Resolved, Settled, Token, Tries, Window,
};

use crate::bugs::Bug;
use crate::consignment::Consignment;
use crate::convert::{letter_of, number_of};
use crate::core::Core;
use crate::mail::{Bury, Echo, Echoes, Message, Place, Placement, Process, SettledUpTo};
use crate::poll::Poll;
use crate::reader::Reader;
use crate::time::{MILLI, Micros, SECOND};

/// How often the queue is looked at without a wake-up.
const TICK: Micros = 250 * MILLI;
const FLUSH_INTERVAL: Micros = 100 * MILLI;
const DRAIN_MARGIN: Duration = Duration::from_millis(20);
const LOOK_AGAIN_AFTER: Micros = 3 * SECOND;

/// What a topic actor shows of itself.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) blocked: Option<(Blocked, Instant)>,
    pub(crate) moved: Instant,
    pub(crate) batches: usize,
    pub(crate) position: Option<i64>,
}

/// Where a topic actor finds the others.
pub(crate) struct Around<'a> {
    pub(crate) poll: &'a mut Poll,
    pub(crate) core: &'a mut Core,
    /// The parsers as they are now; `None` is dead.
    pub(crate) parsers: &'a [Option<Place>],
    pub(crate) forwarders: &'a [Option<Place>],
    pub(crate) letters: Option<&'a Place>,
}

/// One assigned partition, for one assignment.
pub(crate) struct Topic {
    process: Process,
    source: TopicPartition,
    assigned: Generation,
    echoes: Echoes,
    reader: Option<Reader>,
    pub(crate) window: Window,
    assignment: Arc<Assignment>,
    pub(crate) accounts: PartitionAccounts,
    fetching: Fetching,
    awaits_room: bool,
    looks_again: bool,
    max_attempts: u32,
    pub(crate) view: View,
    kept: Vec<Charge>,
}

impl Topic {
    pub(crate) fn new(
        process: Process,
        source: TopicPartition,
        assigned: Generation,
        accounts: PartitionAccounts,
        echoes: Echoes,
        core: &Core,
    ) -> Self {
        let now = core.clock.now();
        let cause = "the partition was just assigned".to_owned();
        Self {
            process,
            reader: Some(Reader::new(source.clone(), assigned, core.bug)),
            source,
            assigned,
            echoes,
            window: Window::new(Bounds {
                records: core.knobs.max_in_flight,
                batch_records: core.knobs.batch_records,
                batch_bytes: 1 << 20,
            }),
            assignment: Arc::new(Assignment::new(accounts.clone())),
            accounts,
            fetching: Fetching::Rests,
            awaits_room: false,
            looks_again: false,
            max_attempts: core.knobs.max_attempts,
            view: View {
                blocked: Some((Blocked::PositionUnknown(cause), now)),
                moved: now,
                batches: 0,
                position: None,
            },
            kept: Vec::new(),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.window.phase, Phase::Finished)
    }

    /// How it stands, in words.
    pub(crate) fn shown(&self) -> String {
        let fetching = match self.fetching {
            Fetching::Rests => "rests",
            Fetching::Reserved { .. } => "reserved",
            Fetching::Free => "free",
        };
        let (records, made) = (self.accounts.records.used(), self.accounts.made.used());
        let size = self.window.record_bytes();
        format!(
            "{} {fetching}, records {records} B, made {made} B, size {size:?}",
            self.source
        )
    }

    fn place(&self) -> Place {
        Place::Topic(self.source.clone(), self.assigned)
    }

    fn timer(&self, core: &mut Core, message: Message, wait: Micros) {
        let at = core.now() + wait;
        core.timer(self.process, self.place(), message, at);
    }

    pub(crate) fn started(&mut self, around: &mut Around<'_>) {
        self.next_tick(around.core);
        self.fill(around);
    }

    fn next_tick(&self, core: &mut Core) {
        if !core.has(Bug::OnlyWhenWoken) {
            self.timer(core, Message::Tick, TICK);
        }
    }

    /// Takes a message.
    pub(crate) fn handle(&mut self, message: Message, around: &mut Around<'_>) {
        if self.is_finished() {
            return;
        }
        match message {
            Message::Tick => {
                self.next_tick(around.core);
                self.go_there(around);
                self.fill(around);
            }
            Message::Wake => self.fill(around),
            Message::RoomAgain => {
                self.awaits_room = false;
                self.fill(around);
            }
            Message::Resolved(id, piece, how) => self.resolved(id, piece, how, around),
            Message::ResendDue(resend) if self.window.resend_due(resend.id, resend.placeholder) => {
                let Resend {
                    id, batch, tries, ..
                } = *resend;
                self.send(id, batch, tries, around);
            }
            Message::Placed(placement) => self.placed(placement, around),
            Message::Committed(confirmed) => {
                let current = self.reader.as_ref().map(Reader::generation);
                if current == Some(confirmed.generation) {
                    self.window.confirmed(confirmed.next);
                    self.commit_in_time(around);
                    self.fill(around);
                }
            }
            Message::Drain(lost, deadline, token) => self.drain(lost, deadline, token, around),
            Message::DrainFlush => {
                self.flush(around);
                self.timer(around.core, Message::DrainFlush, FLUSH_INTERVAL);
            }
            Message::DrainDeadline => self.abandon(around),
            Message::SetCredits(bytes) => {
                self.accounts.set_allowance(bytes);
                self.fill(around);
            }
            Message::LookAgain(at) => self.look_again(at, around),
            _ => {}
        }
    }

    /// Reads while there are records and credits, and shows why if it does not.
    fn fill(&mut self, around: &mut Around<'_>) {
        let blocked = self.read_all(around);
        let now = around.core.clock.now();
        match (&mut self.view.blocked, blocked) {
            (Some((before, _)), Some(blocked)) if before.label() == blocked.label() => {
                *before = blocked;
            }
            (_, blocked) => self.view.blocked = blocked.map(|blocked| (blocked, now)),
        }
    }

    fn read_all(&mut self, around: &mut Around<'_>) -> Option<Blocked> {
        loop {
            match self.window.phase {
                Phase::Reading => {}
                Phase::Limited => return Some(Blocked::RateLimit),
                Phase::Held(_) | Phase::Releasing => return Some(Blocked::RoutesChange),
                Phase::Draining(_) | Phase::Finished => return None,
            }
            if let Some(blocked) = self.not_placed() {
                return Some(blocked);
            }
            let by_memory = self.readable();
            let Some(room) = self.window.room(by_memory) else {
                self.await_room();
                self.rest_if_short(around);
                return Some(Blocked::InFlight(None));
            };
            let read = self.reader.as_mut()?.read(&mut around.poll.client, room);
            if !read.errors.is_empty() && !std::mem::replace(&mut self.looks_again, true) {
                let at = self.window.expected();
                self.timer(around.core, Message::LookAgain(at), LOOK_AGAIN_AFTER);
            }
            if let Some(first) = read.batch.first_offset().or(read.end)
                && !self.continues_at(first, around)
            {
                continue;
            }
            let is_empty = read.batch.is_empty();
            if !is_empty || read.end.is_some() {
                self.fetching.fetched();
            }
            if !is_empty {
                self.window.read(&read.batch, read.epochs);
                let batch = read.batch.charged(&self.accounts.records);
                self.begin(batch, around);
            }
            if let Some(end) = read.end {
                self.passed(end, around);
            }
            if is_empty && read.end.is_none() && read.errors.is_empty() {
                self.rest_if_short(around);
                return None;
            }
        }
    }

    fn await_room(&mut self) {
        let records = &self.accounts.records;
        if self.awaits_room || records.room() > 0 {
            return;
        }
        self.awaits_room = true;
        let below = records.limit().saturating_sub(1);
        let (echoes, source, generation) =
            (Arc::clone(&self.echoes), self.source.clone(), self.assigned);
        let wake = move || echoes.lock().push(Echo::Room(source, generation));
        records.on_room(below, Box::new(wake));
    }

    fn continues_at(&mut self, first: i64, around: &mut Around<'_>) -> bool {
        let low = || Some(around.poll.client.watermarks(&self.source)?.0);
        match (self.window.goes_on(first, low), &mut self.reader) {
            (GoesOn::Here, _) => true,
            (GoesOn::Elsewhere { at, .. }, Some(reader)) => reader.jumped(around.poll, at, first),
            (GoesOn::Elsewhere { .. }, None) => false,
        }
    }

    fn passed(&mut self, end: i64, around: &mut Around<'_>) {
        if let Some(at) = self.window.passed(end) {
            self.settled(at, around);
        }
        self.show(around.core);
    }

    fn begin(&mut self, batch: RecordBatch, around: &mut Around<'_>) {
        if let Some(id) = self.window.open(&batch) {
            self.send(id, Arc::new(batch), Tries::FIRST, around);
        }
        self.show(around.core);
    }

    fn show(&mut self, core: &Core) {
        self.view.moved = core.clock.now();
        self.view.batches = self.window.batches();
        self.view.position = self.window.expected();
    }

    fn send(
        &mut self,
        id: BatchId,
        batch: Arc<RecordBatch>,
        tries: Tries,
        around: &mut Around<'_>,
    ) {
        let Some(piece) = self.window.name_piece(id) else {
            return;
        };
        let (echoes, source, generation) =
            (Arc::clone(&self.echoes), self.source.clone(), self.assigned);
        let told = move |how| {
            let source = source.clone();
            echoes
                .lock()
                .push(Echo::Resolved(source, generation, id, piece, how));
        };
        let assignment = Arc::clone(&self.assignment);
        let (ack, share) = BatchAck::open(batch.len(), assignment, Box::new(told));
        let sent = Piece {
            batch: Arc::clone(&batch),
            ack,
            tries,
        };
        let is_given_up = tries.is_given_up(self.max_attempts);
        self.window.sent(id, piece, sent);
        let consignment = Consignment {
            batch: Arc::clone(&batch),
            share,
            parts: Arc::from([]),
            output: 0,
        };
        if is_given_up {
            self.bury(tries.attempt, consignment, around);
            return;
        }
        let parsers = around.parsers.len().max(1) as u64;
        let parser = usize::try_from(number_of(&self.source) % parsers).unwrap_or(0);
        if let Some(Some(parser)) = around.parsers.get(parser) {
            let (to, message) = (parser.clone(), Message::Parse(consignment));
            around.core.send(self.process, self.place(), to, message);
        }
    }

    fn bury(&self, attempt: u32, consignment: Consignment, around: &mut Around<'_>) {
        let Some(record) = consignment.batch.get(0) else {
            return;
        };
        let letter = DeadLetter {
            attempts: attempt,
            ..letter_of(&self.source, &record, PartId::WHOLE, "parse")
        };
        if let Some(letters) = around.letters {
            let bury = Bury {
                letters: vec![letter],
                records: vec![0],
                consignment,
            };
            let to = letters.clone();
            around
                .core
                .send(self.process, self.place(), to, Message::Bury(bury));
        }
    }

    fn resolved(&mut self, id: BatchId, piece: u32, how: Resolution, around: &mut Around<'_>) {
        let cancelled = self.assignment.is_cancelled();
        match self.window.resolved(id, piece, how, cancelled) {
            Resolved::Nothing | Resolved::Parked => {}
            Resolved::Settled(_, settled) => {
                if let Some(settled) = settled {
                    self.batch_settled(settled, around);
                }
            }
            Resolved::Resend(again) => self.resend(again, around.core),
        }
    }

    fn batch_settled(&mut self, settled: Settled, around: &mut Around<'_>) {
        self.show(around.core);
        if around.core.has(Bug::MemoryKept) && around.core.rng.u8(..4) == 0 {
            self.kept.push(self.accounts.records.charge_beyond(1000));
        }
        if let Some(at) = settled.watermark {
            self.settled(at, around);
        }
        if matches!(self.window.phase, Phase::Draining(_)) {
            if self.window.batches() == 0 {
                self.finish(around);
            }
        } else {
            self.fill(around);
        }
    }

    fn resend(&self, again: Vec<Resend>, core: &mut Core) {
        for resend in again {
            let (source, seat) = (&self.source, self.process.seat);
            let (first, records) = (resend.batch.first_offset(), resend.batch.len());
            core.trace.say(core.clock.micros(), || {
                let attempt = resend.tries.attempt;
                format!("member {seat}: {records} records of {source} from {first:?} came back, attempt {attempt} follows")
            });
            let wait = Micros::try_from(resend.wait.as_micros()).unwrap_or(Micros::MAX);
            self.timer(core, Message::ResendDue(Box::new(resend)), wait);
        }
    }

    fn settled(&mut self, at: Position, around: &mut Around<'_>) {
        if around.core.has(Bug::UncommittedUnbounded) {
            self.window.confirmed(at.next);
        }
        let hurry = self.window.wants_commit();
        let now = around.core.clock.now();
        let settled = SettledUpTo { at, hurry };
        if let Some(reader) = &self.reader
            && reader.settle(around.poll, now, &settled)
        {
            around.poll.send_due(around.core);
        }
    }

    fn commit_in_time(&self, around: &mut Around<'_>) {
        if self.window.wants_commit()
            && let Some(reader) = &self.reader
        {
            reader.hurry(around.poll);
            around.poll.send_due(around.core);
        }
    }

    fn placed(&mut self, placement: Placement, around: &mut Around<'_>) {
        let Placement { start, lease, why } = placement;
        let keeps = around.core.has(Bug::OldWorkSettlesNewLog) && why == Why::Recreated;
        match (lease.is_some() && !keeps, why) {
            (true, _) => self.window.relet(start),
            (false, Why::Truncated) => {
                self.window.retreat(start.next);
                if let Some(reader) = &self.reader {
                    reader.retreat(around.poll, around.core.clock.now(), start.next);
                }
            }
            (false, _) => {
                if let Some(passed) = self.window.expect(start) {
                    self.settled(passed, around);
                }
            }
        }
        self.show(around.core);
        if let (Some(reader), Some(position)) = (&mut self.reader, self.window.position()) {
            reader.place(position, lease);
        }
        self.go_there(around);
        self.fill(around);
    }

    fn look_again(&mut self, at: Option<i64>, around: &mut Around<'_>) {
        self.looks_again = false;
        let position = self.window.position();
        let still = position.filter(|_| self.window.expected() == at);
        let reader = self.reader.as_mut().filter(|reader| reader.is_placed());
        if let (Some(position), Some(reader)) = (still, reader) {
            reader.place(position, None);
            self.go_there(around);
            self.fill(around);
        }
    }

    fn flush(&self, around: &mut Around<'_>) {
        for forwarder in around.forwarders.iter().flatten() {
            let to = forwarder.clone();
            around
                .core
                .send(self.process, self.place(), to, Message::Flush);
        }
    }

    fn drain(
        &mut self,
        lost: bool,
        deadline: Instant,
        token: Option<Token>,
        around: &mut Around<'_>,
    ) {
        self.window.phase = Phase::Draining(token.unwrap_or_else(|| Box::new(())));
        if around.core.has(Bug::CommitAfterRevoke) {
            self.window.phase = Phase::Draining(Box::new(()));
            return;
        }
        if around.core.has(Bug::RevokeSettlesAll)
            && let Some(at) = self.window.position()
        {
            self.settled(at, around);
        }
        if self.window.is_settled() {
            self.finish(around);
            return;
        }
        if lost {
            self.abandon(around);
            return;
        }
        self.flush(around);
        self.timer(around.core, Message::DrainFlush, FLUSH_INTERVAL);
        let now = around.core.clock.now();
        let wait = deadline
            .saturating_duration_since(now)
            .saturating_sub(DRAIN_MARGIN);
        let wait = Micros::try_from(wait.as_micros()).unwrap_or(Micros::MAX);
        self.timer(around.core, Message::DrainDeadline, wait);
    }

    /// Ends this assignment with work open.
    fn abandon(&mut self, around: &mut Around<'_>) {
        self.finish(around);
        for forwarder in around.forwarders.iter().flatten() {
            let to = forwarder.clone();
            around
                .core
                .send(self.process, self.place(), to, Message::Sweep);
        }
    }

    /// Ends this assignment: tells what is settled and lets go of the partition.
    fn finish(&mut self, around: &mut Around<'_>) {
        self.assignment.cancel();
        let waiting = std::mem::replace(&mut self.window.phase, Phase::Reading);
        if let Some(at) = self.window.finish() {
            self.settled(at, around);
        }
        self.show(around.core);
        self.reader = None;
        around.poll.client.let_go(&self.source);
        drop(waiting);
    }
}
