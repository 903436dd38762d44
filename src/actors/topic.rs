//! [`TopicActor`]: one assigned partition.
//!
//! Started when a partition is assigned, told to [`Drain`] when it goes. It owns the partition's
//! reader, the credits that bound what is in flight, and the offset tracker. Without credit it
//! simply does not read: the client's queue fills and fetching stops, while the member stays in
//! its group. Batches that come back incomplete are sent again, first as they were, then in halves,
//! so that one record which kills its parser ends alone and goes to the dead letters.

mod commit;
mod hold;
mod paced;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, MessageResult, Recipient};

use self::paced::Paced;
use super::consignment::{Consignment, Records};
use super::directory::Directory;
use super::messages::{
    BatchResolved, Bury, Child, ChildStopped, Drain, Flush, GetPartitionStatus, InputFailed,
    ParseBatch, RoomAgain, SetBounds, SetCredits, Sweep, Wake,
};
use super::status::PartitionStatus;
use crate::controls::TopicControl;
use crate::kafka::{Generation, KafkaError, PartitionReader};
use crate::metrics::{HandledCounters, TopicMetrics};
use crate::process::{Cause, Origin, record_letter};
use crate::routing::{InputId, KeyLimit, RateLimit};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_record::{Assignment, BatchAck, PartitionAccounts, Resolution};
use kafkamq_record::{BatchId, NextOffset, OffsetTracker, Uncommitted};
use kafkamq_record::{RecordBatch, TopicPartition};

/// A wake-up can be lost inside the client library; this often the queue is looked at anyway.
const TICK: Duration = Duration::from_millis(250);
/// First pause before an incomplete batch is sent again; doubles with each attempt.
const RESEND_BACKOFF: Duration = Duration::from_millis(50);
const RESEND_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Attempts with a batch as it was before it is cut in halves to find the record that fails.
const ATTEMPTS_BEFORE_HALVING: u32 = 3;
/// While draining, destinations are told this often to send what waits for more.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// A drain ends this much before its deadline, so that its last offset is stored in time.
const DRAIN_MARGIN: Duration = Duration::from_millis(20);

/// Bounds of one partition's work in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credits {
    pub(crate) records: usize,
}

/// What a [`TopicActor`] is started with.
pub(crate) struct TopicOptions {
    pub(crate) input: InputId,
    pub(crate) generation: Generation,
    pub(crate) credits: Credits,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    /// Attempts with a single record before it goes to the dead letters.
    pub(crate) max_attempts: u32,
    pub(crate) limit: Option<Arc<RateLimit>>,
    /// Records per second of each key.
    pub(crate) limit_key: Option<u64>,
    /// What its work in flight is charged to.
    pub(crate) accounts: PartitionAccounts,
    pub(crate) metrics: Arc<TopicMetrics>,
    pub(crate) handled: HandledCounters,
    /// What operators do to the topic: it may be paused, or watched.
    pub(crate) control: Arc<TopicControl>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) failures: Recipient<InputFailed>,
    pub(crate) stopped: Recipient<ChildStopped>,
}

/// A part of a batch that is acknowledged on its own; normally the whole batch.
struct Piece {
    batch: Arc<RecordBatch>,
    ack: Arc<BatchAck>,
    attempt: u32,
}

struct InFlight {
    pieces: BTreeMap<u32, Piece>,
    next_piece: u32,
    /// The offset behind its last record.
    next: NextOffset,
    records: usize,
    bytes: usize,
}

/// One assigned partition, for one assignment.
pub(crate) struct TopicActor {
    source: TopicPartition,
    options: TopicOptions,
    reader: Option<PartitionReader>,
    tracker: OffsetTracker,
    in_flight: BTreeMap<BatchId, InFlight>,
    records_in_flight: usize,
    /// Bytes of a record, as the last batch had them on average.
    record_bytes: Option<usize>,
    /// Whether its parsers are those for scripts that wait for answers from outside.
    waits: bool,
    /// Whether the account says when it has room again.
    awaits_room: bool,
    uncommitted: Uncommitted,
    /// When a commit was asked for that is not answered yet.
    commit_asked: Option<Instant>,
    assignment: Arc<Assignment>,
    /// Where the next record is expected; a jump means that records no longer exist.
    expected: Option<i64>,
    /// Since when reading waits for credits.
    blocked_since: Option<Instant>,
    keys: Option<KeyLimit>,
    paced: Paced,
    /// Until when the rate limit forbids reading.
    limited: bool,
    draining: Option<SyncSender<()>>,
    /// Nothing is read while the routes of this topic change.
    held: bool,
    /// Goes on when what began by older routes has come back, so that nothing newer overtakes it.
    releasing: bool,
    /// Dropped when nothing is in flight while held.
    settled: Option<tokio::sync::mpsc::Sender<()>>,
    /// Pieces that came back while held, in their order.
    parked: BTreeMap<(BatchId, u32), Piece>,
    /// Whether the end was asked for, so that the router need not be told.
    finished: bool,
}

impl TopicActor {
    pub(crate) fn new(reader: PartitionReader, options: TopicOptions) -> Self {
        Self {
            source: reader.source().clone(),
            expected: reader.start().map(|start| start.0),
            keys: KeyLimit::new(options.limit_key),
            paced: Paced::default(),
            reader: Some(reader),
            tracker: OffsetTracker::default(),
            in_flight: BTreeMap::new(),
            records_in_flight: 0,
            record_bytes: None,
            waits: false,
            awaits_room: false,
            uncommitted: Uncommitted::default(),
            commit_asked: None,
            assignment: Arc::new(Assignment::new(options.accounts.clone())),
            options,
            blocked_since: None,
            limited: false,
            draining: None,
            held: false,
            releasing: false,
            settled: None,
            parked: BTreeMap::new(),
            finished: false,
        }
    }

    /// Reads while there are records and credits.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        while self.draining.is_none() && !self.limited && !self.held {
            // Looked at again with every tick, so nobody has to tell when the pause is over.
            if self.options.control.is_paused() {
                return;
            }
            let Some(room) = self.room() else {
                self.blocked_since.get_or_insert_with(Instant::now);
                self.await_room(ctx);
                return;
            };
            if let Some(since) = self.blocked_since.take() {
                self.options
                    .metrics
                    .backpressure
                    .inc_by(since.elapsed().as_secs_f64());
            }
            if let Some(wait) = self
                .options
                .limit
                .as_ref()
                .and_then(|limit| limit.wait(Instant::now()))
            {
                self.limited = true;
                ctx.run_later(wait, |actor, ctx| {
                    actor.limited = false;
                    actor.fill(ctx);
                });
                return;
            }
            let most = self
                .options
                .limit
                .as_ref()
                .map(|limit| limit.most_records());
            let Some(reader) = &mut self.reader else {
                return;
            };
            let read = reader.read(room.min(most.unwrap_or(room)));
            for error in &read.errors {
                self.report(error);
            }
            if read.batch.is_empty() {
                return;
            }
            let batch = read.batch.charged(&self.options.accounts.records);
            self.begin(batch, ctx);
        }
    }

    /// How many records may be read now; `None` without credit.
    fn room(&self) -> Option<usize> {
        let credits = self.options.credits;
        let records = credits
            .records
            .checked_sub(self.records_in_flight + self.uncommitted.records())
            .filter(|&n| n > 0)?;
        let by_memory = self.options.accounts.records_to_read(self.record_bytes);
        if by_memory == 0 {
            return None;
        }
        // The size of records to come is guessed from those before, so that one read does not
        // overdraw the allowance by much.
        let by_bytes = self.options.batch_bytes / self.record_bytes.unwrap_or(1024).max(1);
        let records = records.min(self.options.batch_records).min(by_memory);
        Some(records.min(by_bytes.max(1)))
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

    fn begin(&mut self, batch: RecordBatch, ctx: &mut Context<Self>) {
        let (Some(first), Some(next)) = (batch.first_offset(), batch.next_offset()) else {
            return;
        };
        self.options.control.offer(&batch);
        self.notice_gap(first);
        self.expected = Some(next);
        self.record_bytes = Some((batch.bytes() / batch.len().max(1)).max(1));
        let records = batch.len() as u64;
        self.options.metrics.received.inc_by(records);
        let payload_bytes = batch.payload_bytes();
        self.options.metrics.received_bytes.inc_by(payload_bytes);
        if let Some(limit) = &self.options.limit {
            limit.take(records, payload_bytes, Instant::now());
        }
        if self.keys.is_some() {
            self.begin_by_keys(&batch, ctx);
        } else if let Some(id) = self.open(&batch) {
            self.send(id, Arc::new(batch), 1, ctx);
        }
    }

    /// Counts a batch in flight and has its offsets tracked.
    fn open(&mut self, batch: &RecordBatch) -> Option<BatchId> {
        let (records, bytes) = (batch.len(), batch.bytes());
        let next = NextOffset(batch.next_offset()?);
        self.options.metrics.batches_in_flight.inc();
        self.options.metrics.in_flight_bytes.add(to_i64(bytes));
        self.records_in_flight += records;
        let id = self.tracker.begin(next);
        self.in_flight.insert(
            id,
            InFlight {
                pieces: BTreeMap::new(),
                next_piece: 0,
                next,
                records,
                bytes,
            },
        );
        Some(id)
    }

    /// Counts offsets that were skipped because the broker no longer has them. Gaps above the low
    /// watermark are compaction or transaction markers and mean nothing.
    fn notice_gap(&self, first: i64) {
        let Some(expected) = self.expected.filter(|&expected| first > expected) else {
            return;
        };
        let Some(low) = self
            .reader
            .as_ref()
            .and_then(PartitionReader::watermarks)
            .map(|w| w.0)
        else {
            return;
        };
        if low > expected {
            let skipped = low.min(first) - expected;
            self.options
                .metrics
                .offsets_skipped
                .inc_by(skipped.unsigned_abs());
            tracing::warn!(
                partition = %self.source, expected, first, skipped,
                "offset out of range: records were removed before they were read"
            );
        }
    }

    /// Hands a piece of batch `id` to the partition's parser.
    fn send(&mut self, id: BatchId, batch: Arc<RecordBatch>, attempt: u32, ctx: &Context<Self>) {
        let Some(entry) = self.in_flight.get_mut(&id) else {
            return;
        };
        let piece = entry.next_piece;
        entry.next_piece += 1;
        let owner = ctx.address();
        let (ack, share) = BatchAck::open(
            batch.len(),
            Arc::clone(&self.assignment),
            Box::new(move |resolution| {
                owner.do_send(BatchResolved {
                    id,
                    piece,
                    resolution,
                });
            }),
        );
        entry.pieces.insert(
            piece,
            Piece {
                batch: Arc::clone(&batch),
                ack,
                attempt,
            },
        );

        let directory = &self.options.directory;
        let addresses = directory.load();
        let Some(route) = addresses
            .routes
            .route(&self.options.input, &self.source.topic)
        else {
            // The topic is no longer configured and its partition is about to go. What is open is
            // delivered by whoever reads the topic next.
            tracing::debug!(partition = %self.source, "an assigned topic has no route");
            self.held = true;
            share.recall();
            return;
        };
        if self.in_flight.len() <= 1 {
            // Not while older batches are with another parser, which newer ones would overtake.
            self.waits = addresses.terms.waits(&route);
        }
        if attempt > self.options.max_attempts && batch.len() == 1 {
            let Some(record) = batch.get(0) else { return };
            let cause = Cause {
                stage: "parse",
                reason: "processing failed repeatedly",
                time_ms: SystemClock.now_ns() / 1_000_000,
            };
            let origin = Origin {
                input: &self.options.input,
                source: &self.source,
                record,
            };
            let letter = DeadLetter {
                attempts: attempt,
                ..record_letter(origin, cause)
            };
            addresses.dead_letter.do_send(Bury {
                letters: vec![letter],
                records: vec![0],
                consignment: Consignment::Records(Records {
                    route: Arc::clone(&route),
                    batch: Arc::clone(&batch),
                    share,
                    metrics: Arc::clone(&self.options.metrics),
                }),
            });
        } else if let Some(parser) = directory.parser(&self.source, self.waits) {
            parser.do_send(ParseBatch {
                route: Arc::clone(&route),
                terms: Arc::clone(&addresses.terms),
                batch,
                share,
            });
        }
    }

    fn resolved(&mut self, resolved: &BatchResolved, ctx: &mut Context<Self>) {
        let Some(entry) = self.in_flight.get_mut(&resolved.id) else {
            return;
        };
        let Some(piece) = entry.pieces.remove(&resolved.piece) else {
            return;
        };
        match resolved.resolution {
            Resolution::Settled => {
                self.options.handled.ok.inc_by(piece.batch.len() as u64);
                let parked = (resolved.id, 0)..=(resolved.id, u32::MAX);
                if entry.pieces.is_empty() && self.parked.range(parked).next().is_none() {
                    self.settle(resolved.id, ctx);
                }
            }
            _ if self.assignment.is_cancelled() => {}
            Resolution::Incomplete => self.resend(resolved.id, piece, ctx),
            Resolution::Recalled => {
                self.parked.insert((resolved.id, resolved.piece), piece);
                if self.held {
                    self.settle_hold(ctx);
                } else {
                    self.send_parked(ctx);
                }
            }
        }
        self.release_when_settled(ctx);
    }

    fn settle(&mut self, id: BatchId, ctx: &mut Context<Self>) {
        if let Some(entry) = self.in_flight.remove(&id) {
            self.records_in_flight = self.records_in_flight.saturating_sub(entry.records);
            self.options.metrics.batches_in_flight.dec();
            self.options
                .metrics
                .in_flight_bytes
                .sub(to_i64(entry.bytes));
            self.uncommitted.settle(entry.next, entry.records);
        }
        if let Some(watermark) = self.tracker.settle(id) {
            self.store(watermark);
            self.commit_in_time();
        }
        if self.draining.is_some() && self.in_flight.is_empty() {
            self.finish(ctx);
        } else {
            self.settle_hold(ctx);
            self.fill(ctx);
        }
    }

    /// Sends the open records of a piece again after a pause.
    fn resend(&mut self, id: BatchId, piece: Piece, ctx: &mut Context<Self>) {
        let open: Vec<usize> = (0..piece.batch.len())
            .filter(|&index| !piece.ack.is_settled(index))
            .collect();
        let attempt = piece.attempt + 1;
        self.options.handled.fail.inc_by(open.len() as u64);
        tracing::warn!(
            partition = %self.source, records = open.len(), attempt,
            "a batch came back incomplete and is sent again"
        );
        let halves: Vec<&[usize]> = if attempt > ATTEMPTS_BEFORE_HALVING && open.len() > 1 {
            let (left, right) = open.split_at(open.len() / 2);
            vec![left, right]
        } else {
            vec![&open]
        };
        let exponent = piece.attempt.min(16);
        let wait = (RESEND_BACKOFF * 2u32.saturating_pow(exponent - 1)).min(RESEND_BACKOFF_MAX);
        // A placeholder keeps the batch open until its parts are sent.
        let Some(entry) = self.in_flight.get_mut(&id) else {
            return;
        };
        for half in halves {
            let batch = Arc::new(piece.batch.subset(half));
            let placeholder = entry.next_piece;
            entry.next_piece += 1;
            entry.pieces.insert(
                placeholder,
                Piece {
                    batch: Arc::clone(&batch),
                    ack: Arc::clone(&piece.ack),
                    attempt,
                },
            );
            ctx.run_later(wait, move |actor, ctx| {
                if let Some(entry) = actor.in_flight.get_mut(&id) {
                    entry.pieces.remove(&placeholder);
                    actor.send(id, batch, attempt, ctx);
                }
            });
        }
    }

    fn report(&self, error: &KafkaError) {
        self.options.failures.do_send(InputFailed {
            input: self.options.input.clone(),
            error: error.to_string(),
            held: error.needs_operator(),
        });
    }

    fn flush(&self) {
        for forwarder in self.options.directory.load().forwarders.values() {
            forwarder.do_send(Flush);
        }
    }

    /// The offset up to which a batch that was never cut into pieces is settled.
    fn settled_part(&self, id: BatchId) -> Option<NextOffset> {
        let pieces = &self.in_flight.get(&id)?.pieces;
        let piece = pieces.get(&0).or_else(|| self.parked.get(&(id, 0)))?;
        let settled = piece.ack.settled_prefix();
        let last = piece.batch.get(settled.checked_sub(1)?)?;
        Some(NextOffset(last.offset() + 1))
    }

    /// Ends this assignment: stores what is settled and lets go of the partition.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.assignment.cancel();
        if let Some(id) = self.tracker.oldest_open()
            && let Some(next) = self.settled_part(id)
        {
            self.store(next);
        }
        self.finished = true;
        for entry in self.in_flight.values() {
            self.options.metrics.batches_in_flight.dec();
            self.options
                .metrics
                .in_flight_bytes
                .sub(to_i64(entry.bytes));
        }
        self.in_flight.clear();
        self.parked.clear();
        self.settled = None;
        self.reader = None;
        self.draining = None;
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
            actor.commit_in_time();
            actor.fill(ctx);
        });
        self.fill(ctx);
    }
}

impl Drop for TopicActor {
    fn drop(&mut self) {
        if !self.finished {
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

    fn handle(&mut self, bounds: SetBounds, ctx: &mut Self::Context) {
        self.options.credits.records = bounds.max_in_flight;
        self.options.batch_records = bounds.batch_records;
        self.options.batch_bytes = bounds.batch_bytes;
        self.options.max_attempts = bounds.max_attempts;
        self.options.limit = bounds.limit;
        self.set_key_limit(bounds.limit_key, ctx);
        // A wait for the limit before may be longer than the new one asks for.
        self.limited = false;
        self.fill(ctx);
    }
}

impl Handler<Drain> for TopicActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.draining = Some(drain.drained);
        self.let_paced_go();
        if drain.lost || self.is_settled() {
            self.finish(ctx);
            return;
        }
        // What is still on its way to a forwarder must not wait there for company either.
        self.flush();
        ctx.run_interval(FLUSH_INTERVAL, |actor, _| actor.flush());
        let wait = drain.deadline.saturating_duration_since(Instant::now());
        ctx.run_later(wait.saturating_sub(DRAIN_MARGIN), |actor, ctx| {
            tracing::warn!(
                partition = %actor.source, records = actor.records_in_flight,
                "the drain deadline passed; open records are delivered again by the next owner"
            );
            actor.finish(ctx);
            let addresses = actor.options.directory.load();
            for forwarder in addresses.forwarders.values() {
                forwarder.do_send(Sweep);
            }
        });
    }
}

impl Handler<GetPartitionStatus> for TopicActor {
    type Result = MessageResult<GetPartitionStatus>;

    fn handle(&mut self, _: GetPartitionStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(PartitionStatus {
            topic: self.source.topic.to_string(),
            partition: self.source.partition,
            position: self.expected,
            stored: self.tracker.watermark().map(|next| next.0),
            batches_in_flight: self.in_flight.len(),
            records_in_flight: self.records_in_flight,
            bytes_in_flight: self.options.accounts.used(),
            paused: self.options.control.is_paused(),
            blocked_seconds: self
                .blocked_since
                .map(|since| since.elapsed().as_secs_f64()),
            ..PartitionStatus::default()
        })
    }
}
