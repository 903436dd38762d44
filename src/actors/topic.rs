//! [`TopicActor`]: one assigned partition.
//!
//! Started when a partition is assigned, told to [`Drain`] when it goes. It drives the partition's
//! [`Window`], which decides; it owns the reader, the timers, and what is said to others. Without
//! credit it does not read: the client's queue fills and fetching stops, while the member stays in its
//! group. Whatever keeps it from reading is shown.

mod commit;
mod errors;
mod fetching;
mod hold;
mod paced;
mod sending;
mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, MessageResult, Recipient};

use self::paced::Paced;
pub(crate) use self::view::{Seen, View};
use super::directory::Directory;
use super::messages::{
    BatchResolved, Child, ChildStopped, Drain, Flush, GetPartitionStatus, InputFailed, RoomAgain,
    SetBounds, SetCredits, Sweep, Wake,
};
use super::status::PartitionStatus;
use crate::controls::TopicControl;
use crate::kafka::{Generation, PartitionReader};
use crate::metrics::{HandledCounters, TopicMetrics};
use crate::routing::{KeyLimit, RateLimit};
use kafkamq_conversion::route::InputId;
use kafkamq_record::{Assignment, PartitionAccounts, Position, RecordBatch, TopicPartition};
use kafkamq_source::blocked::Blocked;
use kafkamq_source::fetching::Fetching;
use kafkamq_source::window::{Bounds, GoesOn, Phase, Resend, Resolved, Settled, Tries, Window};

/// A wake-up can be lost inside the client library; this often the queue is looked at anyway.
const TICK: Duration = Duration::from_millis(250);
/// While draining, destinations are asked this often to send batches that are not full.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// A drain ends this much before its deadline, so that its last offset is committed in time.
const DRAIN_MARGIN: Duration = Duration::from_millis(20);

/// What the settings allow a topic.
#[derive(Clone)]
pub(crate) struct TopicBounds {
    pub(crate) max_in_flight: usize,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    /// Attempts with a single record before it goes to the dead letters.
    pub(crate) max_attempts: u32,
    pub(crate) limit: Option<Arc<RateLimit>>,
    /// Records per second of each key.
    pub(crate) limit_key: Option<u64>,
}

/// What a [`TopicActor`] is started with.
pub(crate) struct TopicOptions {
    pub(crate) input: InputId,
    pub(crate) generation: Generation,
    pub(crate) bounds: TopicBounds,
    /// What its work in flight is charged to.
    pub(crate) accounts: PartitionAccounts,
    pub(crate) metrics: Arc<TopicMetrics>,
    pub(crate) handled: HandledCounters,
    /// What operators do to the topic: it may be paused, or watched.
    pub(crate) control: Arc<TopicControl>,
    pub(crate) view: Arc<View>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) failures: Recipient<InputFailed>,
    pub(crate) stopped: Recipient<ChildStopped>,
}

/// One assigned partition, for one assignment.
pub(crate) struct TopicActor {
    source: TopicPartition,
    options: TopicOptions,
    reader: Option<PartitionReader>,
    window: Window,
    /// Whether its parsers are those for scripts that wait for answers from outside.
    waits: bool,
    /// Whether the account says when it has room again.
    awaits_room: bool,
    /// Whether it is about to look again if records may be read.
    looks_again: bool,
    assignment: Arc<Assignment>,
    /// Batches and bytes in flight as the metrics show them.
    shown: (usize, usize),
    /// Until when the wait for credits is counted.
    waited: Option<Instant>,
    keys: Option<KeyLimit>,
    paced: Paced,
    fetching: Fetching,
}

impl View {
    /// Nothing is known yet.
    pub(crate) fn unknown() -> Arc<Self> {
        let now = Instant::now();
        let view = Self::new(now);
        let cause = "the partition was just assigned".to_owned();
        view.block(Some(Blocked::PositionUnknown(cause)), now);
        Arc::new(view)
    }
}

impl TopicActor {
    pub(crate) fn new(reader: PartitionReader, options: TopicOptions) -> Self {
        let bounds = &options.bounds;
        let mut window = Window::new(Bounds {
            records: bounds.max_in_flight,
            batch_records: bounds.batch_records,
            batch_bytes: bounds.batch_bytes,
        });
        if let Some(start) = reader.first() {
            window.expect(Position::at(start.0));
        }
        Self {
            // What is read outside the group fetches from the beginning.
            fetching: match reader.is_placed() {
                true => Fetching::Free,
                false => Fetching::Rests,
            },
            source: reader.source().clone(),
            keys: KeyLimit::new(bounds.limit_key),
            window,
            paced: Paced::default(),
            reader: Some(reader),
            assignment: Arc::new(Assignment::new(options.accounts.clone())),
            options,
            waits: false,
            awaits_room: false,
            looks_again: false,
            shown: (0, 0),
            waited: None,
        }
    }

    /// Reads while there are records and credits, and shows why if it does not.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        let blocked = self.read_all(ctx);
        let now = Instant::now();
        let counts = matches!(blocked, Some(Blocked::InFlight(_)));
        if let Some(since) = self.waited.take() {
            let waited = now.saturating_duration_since(since).as_secs_f64();
            self.options.metrics.backpressure.inc_by(waited);
        }
        self.waited = counts.then_some(now);
        self.options.view.block(blocked, now);
    }

    fn read_all(&mut self, ctx: &mut Context<Self>) -> Option<Blocked> {
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
            // Looked at again with every tick, so the end of the pause need not be announced.
            if self.options.control.is_paused() {
                return Some(Blocked::Paused);
            }
            let by_memory = self.readable();
            let Some(room) = self.window.room(by_memory) else {
                self.await_room(ctx);
                self.rest_if_short();
                let what = if by_memory == 0 {
                    Some("its part of the memory is used up")
                } else if self.window.waits_for_commits() {
                    Some("most of it waits for its commit to be confirmed")
                } else {
                    None
                };
                return Some(Blocked::InFlight(what.map(str::to_owned)));
            };
            let limit = self.options.bounds.limit.as_ref();
            if let Some(wait) = limit.and_then(|limit| limit.wait(Instant::now())) {
                self.window.phase = Phase::Limited;
                ctx.run_later(wait, |actor, ctx| {
                    if matches!(actor.window.phase, Phase::Limited) {
                        actor.window.phase = Phase::Reading;
                    }
                    actor.fill(ctx);
                });
                return Some(Blocked::RateLimit);
            }
            let most = limit.map_or(room, |limit| room.min(limit.most_records()));
            let read = self.reader.as_mut()?.read(most);
            for error in &read.errors {
                self.report(error, ctx);
            }
            if let Some(first) = read.batch.first_offset().or(read.end)
                && !self.continues_at(first)
            {
                continue;
            }
            let is_empty = read.batch.is_empty();
            if !is_empty || read.end.is_some() {
                self.fetching.fetched();
            }
            if !is_empty {
                self.window.read(&read.batch, read.epochs);
                let batch = read.batch.charged(&self.options.accounts.records);
                self.begin(batch, ctx);
            }
            if let Some(end) = read.end {
                self.passed(end);
            }
            if is_empty && read.end.is_none() && read.errors.is_empty() {
                self.rest_if_short();
                return None;
            }
        }
    }

    /// Goes on reading as soon as the account has room. Where the room of the service is used up
    /// instead, each tick looks again.
    fn await_room(&mut self, ctx: &Context<Self>) {
        let records = &self.options.accounts.records;
        if self.awaits_room || records.room() > 0 {
            return;
        }
        self.awaits_room = true;
        let owner = ctx.address();
        let below = records.limit().saturating_sub(1);
        records.on_room(below, Box::new(move || owner.do_send(RoomAgain)));
    }

    /// Whether reading may go on with the record at `first`. Counts offsets that were skipped because
    /// the broker no longer has them; gaps above the low watermark are compaction or markers of
    /// transactions and mean nothing.
    fn continues_at(&mut self, first: i64) -> bool {
        let low = || Some(self.reader.as_ref()?.watermarks()?.0);
        let GoesOn::Elsewhere { at, removed } = self.window.goes_on(first, low) else {
            return true;
        };
        let reader = self.reader.as_mut();
        if !reader.is_some_and(|reader| reader.jumped(at, first)) {
            return false;
        }
        if removed > 0 {
            self.options.metrics.offsets_skipped.inc_by(removed);
            let expected = at.next.0;
            tracing::warn!(
                partition = %self.source, expected, first, skipped = removed,
                "offset out of range: records were removed before they were read"
            );
        }
        true
    }

    /// There is nothing more to read up to `end`.
    fn passed(&mut self, end: i64) {
        if let Some(at) = self.window.passed(end) {
            self.settled(at);
        }
        // Even if the end was known: the event shows that the partition is read.
        self.show();
    }

    fn begin(&mut self, batch: RecordBatch, ctx: &mut Context<Self>) {
        self.options.control.offer(&batch);
        let records = batch.len() as u64;
        self.options.metrics.received.inc_by(records);
        let payload_bytes = batch.payload_bytes();
        self.options.metrics.received_bytes.inc_by(payload_bytes);
        if let Some(limit) = &self.options.bounds.limit {
            limit.take(records, payload_bytes, Instant::now());
        }
        if self.keys.is_some() {
            self.begin_by_keys(&batch, ctx);
        } else if let Some(id) = self.window.open(&batch) {
            self.send(id, Arc::new(batch), Tries::FIRST, ctx);
        }
        self.show();
    }

    /// Shows what is in flight.
    fn show(&mut self) {
        let now = (self.window.batches(), self.window.bytes());
        let before = std::mem::replace(&mut self.shown, now);
        let metrics = &self.options.metrics;
        metrics
            .batches_in_flight
            .add(to_i64(now.0) - to_i64(before.0));
        metrics
            .in_flight_bytes
            .add(to_i64(now.1) - to_i64(before.1));
        let position = self.window.expected();
        self.options.view.moved(now.0, position, Instant::now());
    }

    fn resolved(&mut self, resolved: &BatchResolved, ctx: &mut Context<Self>) {
        let cancelled = self.assignment.is_cancelled();
        let (id, how) = (resolved.id, resolved.resolution);
        match self.window.resolved(id, resolved.piece, how, cancelled) {
            Resolved::Nothing => {}
            Resolved::Settled(records, settled) => {
                self.options.handled.ok.inc_by(records as u64);
                if let Some(settled) = settled {
                    self.batch_settled(settled, ctx);
                }
            }
            Resolved::Resend(again) => self.resend(again, ctx),
            Resolved::Parked => match self.window.phase {
                Phase::Held(_) | Phase::Releasing => self.settle_hold(ctx),
                _ => self.send_parked(ctx),
            },
        }
        self.release_when_settled(ctx);
    }

    fn batch_settled(&mut self, settled: Settled, ctx: &mut Context<Self>) {
        self.show();
        if let Some(at) = settled.watermark {
            self.settled(at);
        }
        if matches!(self.window.phase, Phase::Draining(_)) && self.window.batches() == 0 {
            self.finish(ctx);
        } else {
            self.settle_hold(ctx);
            self.fill(ctx);
        }
    }

    /// Sends pieces again after their pause.
    fn resend(&mut self, again: Vec<Resend>, ctx: &mut Context<Self>) {
        let records: usize = again.iter().map(|resend| resend.batch.len()).sum();
        self.options.handled.fail.inc_by(records as u64);
        tracing::warn!(
            partition = %self.source, records,
            attempt = again.first().map(|resend| resend.tries.attempt),
            "a batch came back incomplete and is sent again"
        );
        for resend in again {
            ctx.run_later(resend.wait, move |actor, ctx| {
                if actor.window.resend_due(resend.id, resend.placeholder) {
                    actor.send(resend.id, resend.batch, resend.tries, ctx);
                }
            });
        }
    }

    fn flush(&self) {
        for forwarder in self.options.directory.load().forwarders.values() {
            forwarder.do_send(Flush);
        }
    }

    /// Ends this assignment with work open. Forwarders are told to drop it only now that it is
    /// cancelled: what they find in force they keep, and would send it behind the next owner.
    fn abandon(&mut self, ctx: &mut Context<Self>) {
        self.finish(ctx);
        for forwarder in self.options.directory.load().forwarders.values() {
            forwarder.do_send(Sweep);
        }
    }

    /// Ends this assignment: reports what is settled and releases the partition.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.assignment.cancel();
        // Whoever waits for the end goes on when this is dropped.
        let waiting = std::mem::replace(&mut self.window.phase, Phase::Reading);
        if let Some(at) = self.window.finish() {
            self.settled(at);
        }
        self.show();
        self.reader = None;
        drop(waiting);
        ctx.stop();
    }
}

fn to_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Actor for TopicActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let wake = ctx.address();
        if let Some(reader) = &mut self.reader {
            reader.on_nonempty(Box::new(move || wake.do_send(Wake)));
        }
        ctx.run_interval(TICK, |actor, ctx| {
            actor.go_there();
            actor.fill(ctx);
        });
        self.fill(ctx);
    }
}

impl Drop for TopicActor {
    fn drop(&mut self) {
        if !matches!(self.window.phase, Phase::Finished) {
            let child = Child::Topic(
                self.options.input.clone(),
                self.source.clone(),
                self.options.generation,
            );
            self.options.stopped.do_send(ChildStopped { child });
        }
    }
}

impl Handler<Wake> for TopicActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.fill(ctx);
    }
}

impl Handler<RoomAgain> for TopicActor {
    type Result = ();

    fn handle(&mut self, _: RoomAgain, ctx: &mut Self::Context) {
        self.awaits_room = false;
        self.fill(ctx);
    }
}

impl Handler<BatchResolved> for TopicActor {
    type Result = ();

    fn handle(&mut self, resolved: BatchResolved, ctx: &mut Self::Context) {
        self.resolved(&resolved, ctx);
    }
}

impl Handler<SetCredits> for TopicActor {
    type Result = ();

    fn handle(&mut self, credits: SetCredits, ctx: &mut Self::Context) {
        self.options.accounts.set_allowance(credits.bytes);
        self.fill(ctx);
    }
}

impl Handler<SetBounds> for TopicActor {
    type Result = ();

    fn handle(&mut self, SetBounds(bounds): SetBounds, ctx: &mut Self::Context) {
        let own = self.window.bounds();
        own.records = bounds.max_in_flight;
        own.batch_records = bounds.batch_records;
        own.batch_bytes = bounds.batch_bytes;
        let limit_key = bounds.limit_key;
        let before = std::mem::replace(&mut self.options.bounds, bounds).limit_key;
        if before != limit_key {
            self.set_key_limit(limit_key, ctx);
        }
        // A wait for the limit before may be longer than the new one asks for.
        if matches!(self.window.phase, Phase::Limited) {
            self.window.phase = Phase::Reading;
        }
        self.fill(ctx);
    }
}

impl Handler<Drain> for TopicActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.window.phase = Phase::Draining(Box::new(drain.drained));
        self.let_paced_go();
        if self.window.is_settled() {
            self.finish(ctx);
            return;
        }
        if drain.lost {
            self.abandon(ctx);
            return;
        }
        // What is still on its way to a forwarder must be sent without waiting for a fuller batch.
        self.flush();
        ctx.run_interval(FLUSH_INTERVAL, |actor, _| actor.flush());
        let wait = drain.deadline.saturating_duration_since(Instant::now());
        ctx.run_later(wait.saturating_sub(DRAIN_MARGIN), |actor, ctx| {
            tracing::warn!(
                partition = %actor.source, records = actor.window.records(),
                "the drain deadline passed; open records are delivered again by the next owner"
            );
            actor.abandon(ctx);
        });
    }
}

impl Handler<GetPartitionStatus> for TopicActor {
    type Result = MessageResult<GetPartitionStatus>;

    fn handle(&mut self, _: GetPartitionStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(PartitionStatus {
            topic: self.source.topic.to_string(),
            partition: self.source.partition,
            position: self.window.expected(),
            stored: self.window.watermark().map(|at| at.next.0),
            batches_in_flight: self.window.batches(),
            records_in_flight: self.window.records(),
            bytes_in_flight: self.options.accounts.used(),
            paused: self.options.control.is_paused(),
            ..PartitionStatus::default()
        })
    }
}
