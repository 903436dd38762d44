//! The work of one partition that is in flight: what may be read, what is open, what is settled.
//!
//! Records are read while there are credits. A batch is open until each of its records is settled;
//! what comes back incomplete is sent again, first as it was, then in halves, so that one record which
//! kills its parser ends alone. Everything below the watermark of the [`OffsetTracker`] may be
//! committed. When the log is replaced, what is open belongs to no lease any more: it is delivered and
//! never committed.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafkamq_record::{
    BatchAck, BatchId, Epochs, NextOffset, OffsetTracker, Position, RecordBatch, Resolution,
    Uncommitted,
};

/// First pause before an incomplete batch is sent again; doubles with each attempt.
const RESEND_BACKOFF: Duration = Duration::from_millis(50);
const RESEND_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Attempts with a batch as it was before it is cut in halves to find the record that fails.
const ATTEMPTS_BEFORE_HALVING: u32 = 3;
/// A commit is asked for when this part (one in so many) of the records that may be in flight was
/// settled and not committed.
const UNCOMMITTED_SHARE: usize = 4;

/// Dropping it tells whoever waits for it.
pub type Token = Box<dyn Any + Send>;

/// What a partition is about.
#[derive(Default)]
pub enum Phase {
    /// It reads while it has credits.
    #[default]
    Reading,
    /// The rate limit forbids reading for a while.
    Limited,
    /// Nothing is read while the routes of the topic change. The token is dropped when nothing is in
    /// flight.
    Held(Option<Token>),
    /// The same, and it goes on when what began by older routes has come back, so that nothing newer
    /// overtakes it.
    Releasing,
    /// It takes nothing more and ends when nothing is in flight. The token is dropped with it, which
    /// is all that it is for.
    Draining(Token),
    /// Its end was asked for and has come.
    Finished,
}

/// Bounds of what is in flight.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Records in flight.
    pub records: usize,
    /// Records of one batch.
    pub batch_records: usize,
    /// Memory of one batch.
    pub batch_bytes: usize,
}

/// How often work was tried, and how it came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Which attempt this is, from 1. What came back untouched or recalled was none.
    pub attempt: u32,
    /// How often it failed as one record with nothing beside it.
    pub alone: u32,
    /// How often in a row it came back untouched.
    pub untouched: u32,
}

impl Tries {
    /// The first attempt.
    pub const FIRST: Self = Self {
        attempt: 1,
        alone: 0,
        untouched: 0,
    };

    /// Whether it is given up after so many attempts. Only a record that failed by itself more than once
    /// is: it may stand beside the one at fault.
    #[must_use]
    pub const fn is_given_up(self, max_attempts: u32) -> bool {
        self.alone > 1 && self.attempt > max_attempts
    }
}

/// A part of a batch that is acknowledged on its own; normally the whole batch.
pub struct Piece {
    /// Its records.
    pub batch: Arc<RecordBatch>,
    /// Their acknowledgement.
    pub ack: Arc<BatchAck>,
    /// How often it was tried, this time included.
    pub tries: Tries,
}

impl Piece {
    fn open(&self) -> Vec<usize> {
        let all = 0..self.batch.len();
        all.filter(|&index| !self.ack.is_settled(index)).collect()
    }
}

/// A piece to be sent again after a pause.
pub struct Resend {
    /// Its batch.
    pub id: BatchId,
    /// What keeps the batch open meanwhile.
    pub placeholder: u32,
    /// The records.
    pub batch: Arc<RecordBatch>,
    /// How often it was tried, the attempt to come included.
    pub tries: Tries,
    /// The pause.
    pub wait: Duration,
}

/// What follows from a piece that came back.
pub enum Resolved {
    /// Nothing: it is not known any more.
    Nothing,
    /// So many records are settled. The batch may be, too; then everything below the offset, if there
    /// is one, may be committed.
    Settled(usize, Option<Settled>),
    /// It is to be sent again.
    Resend(Vec<Resend>),
    /// It was called back and is kept until the partition goes on.
    Parked,
}

/// How reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    /// Where it should: at the next record, or behind a gap that compaction or the end of a
    /// transaction left.
    Here,
    /// The client went elsewhere by itself: forward, because so many offsets were removed before they
    /// were read, or back.
    Elsewhere {
        /// Where the next record was expected.
        at: Position,
        /// Offsets that are gone.
        removed: u64,
    },
}

/// A batch is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Everything below may be committed, where that has changed.
    pub watermark: Option<Position>,
}

struct InFlight {
    pieces: BTreeMap<u32, Piece>,
    next_piece: u32,
    /// The offset behind its last record.
    next: NextOffset,
    /// Leader epoch of its first record.
    first_epoch: Option<i32>,
    records: usize,
    bytes: usize,
    /// Whether it belongs to the lease in force.
    owned: bool,
}

/// The work of one partition in flight.
pub struct Window {
    /// What the partition is about.
    pub phase: Phase,
    bounds: Bounds,
    tracker: OffsetTracker,
    in_flight: BTreeMap<BatchId, InFlight>,
    records: usize,
    bytes: usize,
    uncommitted: Uncommitted,
    /// Pieces that came back while held, in their order.
    parked: BTreeMap<(BatchId, u32), Piece>,
    /// Where the next record is expected.
    expected: Option<Position>,
    /// Leader epoch of the first record of what was read last.
    first_epoch: Option<i32>,
    /// Bytes of a record, as the last batch had them on average.
    record_bytes: Option<usize>,
}

impl Window {
    /// Nothing in flight.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            phase: Phase::default(),
            bounds,
            tracker: OffsetTracker::default(),
            in_flight: BTreeMap::new(),
            records: 0,
            bytes: 0,
            uncommitted: Uncommitted::default(),
            parked: BTreeMap::new(),
            expected: None,
            first_epoch: None,
            record_bytes: None,
        }
    }

    /// The bounds, to change them while the partition is read.
    pub const fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }

    /// Where the next record is expected.
    #[must_use]
    pub fn expected(&self) -> Option<i64> {
        self.expected.map(|position| position.next.0)
    }

    /// The same, with what the client needs to notice that the log was truncated.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.expected
    }

    /// Reading goes on at `start`. Where that is expected anyhow, its epoch stays known. What was expected
    /// below it is gone, so it is passed over: returns what may be committed if that moved it.
    pub fn expect(&mut self, start: Position) -> Option<Position> {
        let own = self.expected.filter(|own| own.next == start.next);
        let epoch = start.epoch.or_else(|| own?.epoch);
        let before = self.expected.replace(Position { epoch, ..start });
        match before.is_some_and(|before| before.next < start.next) {
            true => self.pass(start),
            false => None,
        }
    }

    /// Nothing is to be read below `at` that was not read before.
    fn pass(&mut self, at: Position) -> Option<Position> {
        self.expected = Some(at);
        let id = self.tracker.begin(at);
        self.tracker.settle(id)
    }

    /// How reading goes on if the first thing that was read stands at `first`. `low` says where the log begins,
    /// as far as is known; it is asked only if that is not where it was expected.
    #[must_use]
    pub fn goes_on(&self, first: i64, low: impl FnOnce() -> Option<i64>) -> GoesOn {
        let Some(at) = self.expected.filter(|own| own.next.0 != first) else {
            return GoesOn::Here;
        };
        let expected = at.next.0;
        let removed = low().map_or(0, |low| low.min(first) - expected).max(0);
        match first > expected && removed == 0 {
            true => GoesOn::Here,
            false => GoesOn::Elsewhere {
                at,
                removed: removed.unsigned_abs(),
            },
        }
    }

    /// A batch was read that goes on where it should; `epochs` are those of its records. Its records
    /// are to be opened, as a whole or in parts that follow each other.
    pub fn read(&mut self, batch: &RecordBatch, epochs: Epochs) {
        if let Some(next) = batch.next_offset() {
            self.first_epoch = epochs.first;
            self.expected = Some(Position {
                next: NextOffset(next),
                epoch: epochs.last,
            });
        }
    }

    /// Batches in flight.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.in_flight.len()
    }

    /// Records in flight.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Memory of the records in flight.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything below may be committed; `None` until something is settled.
    #[must_use]
    pub const fn watermark(&self) -> Option<Position> {
        self.tracker.watermark()
    }

    /// Bytes of a record to come, guessed from those read last; `None` before the first.
    #[must_use]
    pub const fn record_bytes(&self) -> Option<usize> {
        self.record_bytes
    }

    /// How many records may be read now, if the memory allows for `by_memory`; `None` without credit.
    #[must_use]
    pub fn room(&self, by_memory: usize) -> Option<usize> {
        let bounds = self.bounds;
        let taken = self.records + self.uncommitted.records();
        let records = bounds.records.checked_sub(taken).filter(|&n| n > 0)?;
        if by_memory == 0 {
            return None;
        }
        // The size of records to come is guessed from those before, so that one read does not
        // overdraw the allowance by much.
        let by_bytes = bounds.batch_bytes / self.record_bytes.unwrap_or(1024).max(1);
        let records = records.min(bounds.batch_records).min(by_memory);
        Some(records.min(by_bytes.max(1)))
    }

    /// Whether it is mostly commits that use up the credits.
    #[must_use]
    pub const fn waits_for_commits(&self) -> bool {
        self.uncommitted.records() > self.records
    }

    /// Counts a batch in flight and has its offsets tracked.
    pub fn open(&mut self, batch: &RecordBatch) -> Option<BatchId> {
        let (records, bytes) = (batch.len(), batch.bytes());
        let next = NextOffset(batch.next_offset()?);
        self.records += records;
        self.bytes += bytes;
        self.record_bytes = Some((bytes / records.max(1)).max(1));
        // What ends within the batch that was read may be older than its last record.
        let epoch = match self.expected {
            Some(expected) if expected.next == next => expected.epoch,
            _ => self.first_epoch,
        };
        let id = self.tracker.begin(Position { next, epoch });
        self.in_flight.insert(
            id,
            InFlight {
                pieces: BTreeMap::new(),
                next_piece: 0,
                next,
                first_epoch: self.first_epoch,
                records,
                bytes,
                owned: true,
            },
        );
        Some(id)
    }

    /// Reading came to `end`, with no record between it and what was read before. Returns the offset
    /// that may be committed if that moved it.
    pub fn passed(&mut self, end: i64) -> Option<Position> {
        if self.expected().is_some_and(|expected| end <= expected) {
            return None;
        }
        let at = Position {
            next: NextOffset(end),
            epoch: self.expected.and_then(|expected| expected.epoch),
        };
        self.pass(at)
    }

    /// Names the next piece of a batch; `None` if the batch is gone.
    pub fn name_piece(&mut self, id: BatchId) -> Option<u32> {
        let entry = self.in_flight.get_mut(&id)?;
        let piece = entry.next_piece;
        entry.next_piece += 1;
        Some(piece)
    }

    /// A piece is on its way.
    pub fn sent(&mut self, id: BatchId, name: u32, piece: Piece) {
        if let Some(entry) = self.in_flight.get_mut(&id) {
            entry.pieces.insert(name, piece);
        }
    }

    /// A piece came back. With `cancelled` nobody waits for it any more.
    pub fn resolved(
        &mut self,
        id: BatchId,
        name: u32,
        how: Resolution,
        cancelled: bool,
    ) -> Resolved {
        let Some(entry) = self.in_flight.get_mut(&id) else {
            return Resolved::Nothing;
        };
        let Some(piece) = entry.pieces.remove(&name) else {
            return Resolved::Nothing;
        };
        match how {
            Resolution::Settled => {
                let records = piece.batch.len();
                let mut parked = self.parked.range((id, 0)..=(id, u32::MAX));
                let ended = entry.pieces.is_empty() && parked.next().is_none();
                Resolved::Settled(records, ended.then(|| self.settle(id)))
            }
            _ if cancelled => Resolved::Nothing,
            Resolution::Incomplete => Resolved::Resend(self.resend(id, &piece)),
            Resolution::Untouched => Resolved::Resend(self.again(id, piece)),
            Resolution::Recalled => {
                self.parked.insert((id, name), piece);
                Resolved::Parked
            }
        }
    }

    /// The only place where work in flight is taken off the sums.
    fn take(&mut self, id: BatchId) -> Option<InFlight> {
        let entry = self.in_flight.remove(&id)?;
        self.records -= entry.records;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn settle(&mut self, id: BatchId) -> Settled {
        if let Some(entry) = self.take(id)
            && entry.owned
        {
            self.uncommitted.settle(entry.next, entry.records);
        }
        Settled {
            watermark: self.tracker.settle(id),
        }
    }

    fn resend(&mut self, id: BatchId, piece: &Piece) -> Vec<Resend> {
        let open = piece.open();
        let tries = Tries {
            attempt: piece.tries.attempt + 1,
            alone: match piece.batch.len() {
                1 => piece.tries.alone + 1,
                _ => 0,
            },
            untouched: 0,
        };
        let halves = match tries.attempt > ATTEMPTS_BEFORE_HALVING && open.len() > 1 {
            true => {
                let (left, right) = open.split_at(open.len() / 2);
                vec![left, right]
            }
            false => vec![&*open],
        };
        let wait = pause(piece.tries.attempt - 1);
        let mut again = Vec::with_capacity(halves.len());
        for half in halves {
            let held = Piece {
                batch: Arc::new(piece.batch.subset(half)),
                ack: Arc::clone(&piece.ack),
                tries,
            };
            again.extend(self.hold(id, held, wait));
        }
        again
    }

    /// A piece that nobody worked on goes again as it was: it did not fail.
    fn again(&mut self, id: BatchId, mut piece: Piece) -> Vec<Resend> {
        let wait = pause(piece.tries.untouched);
        piece.tries.untouched += 1;
        self.hold(id, piece, wait).into_iter().collect()
    }

    /// Keeps a piece, under a name of its own, that is sent again after `wait`; `None` if its batch is
    /// gone.
    fn hold(&mut self, id: BatchId, held: Piece, wait: Duration) -> Option<Resend> {
        let placeholder = self.name_piece(id)?;
        let resend = Resend {
            id,
            placeholder,
            batch: Arc::clone(&held.batch),
            tries: held.tries,
            wait,
        };
        self.sent(id, placeholder, held);
        Some(resend)
    }

    /// The pause before a piece is sent again is over. Returns whether it is still wanted.
    pub fn resend_due(&mut self, id: BatchId, placeholder: u32) -> bool {
        let entry = self.in_flight.get_mut(&id);
        entry.is_some_and(|entry| entry.pieces.remove(&placeholder).is_some())
    }

    /// Lets batches go that were not sent and will not be.
    pub fn let_go(&mut self, ids: impl IntoIterator<Item = BatchId>) {
        for id in ids {
            self.take(id);
        }
    }

    /// Whether no piece of any batch is on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.values().all(|entry| entry.pieces.is_empty())
    }

    /// What came back while the partition was held, oldest first: what of it is still open, and how often
    /// it was tried. It is to be sent again, which does not count as an attempt.
    pub fn unpark(&mut self) -> Vec<(BatchId, Arc<RecordBatch>, Tries)> {
        let parked = std::mem::take(&mut self.parked).into_iter();
        parked
            .map(|((id, _), piece)| (id, Arc::new(piece.batch.subset(&piece.open())), piece.tries))
            .collect()
    }

    /// Whether so much is settled and not confirmed that a commit is worth more than its interval.
    #[must_use]
    pub const fn wants_commit(&self) -> bool {
        let uncommitted = self.uncommitted.records();
        uncommitted > 0 && uncommitted * UNCOMMITTED_SHARE >= self.bounds.records
    }

    /// The group remembers everything below `next`, by a commit of the lease in force.
    pub fn confirmed(&mut self, next: NextOffset) {
        self.uncommitted.confirm(next);
    }

    /// A new lease begins at `start`. What is open goes on and is not committed.
    pub fn relet(&mut self, start: Position) {
        self.tracker.restart();
        self.uncommitted = Uncommitted::default();
        for entry in self.in_flight.values_mut() {
            entry.owned = false;
        }
        self.expected = Some(start);
    }

    /// Records from `start` on were taken back, and reading goes on there in the same log. What is open
    /// below is still waited for. The epoch that led there stays known, so that a log that is truncated
    /// again before anything was read of it is noticed as well.
    pub fn retreat(&mut self, end: NextOffset) {
        self.tracker.retreat(end);
        self.uncommitted.retreat(end);
        for entry in self.in_flight.values_mut() {
            entry.next = entry.next.min(end);
        }
        let epoch = self.expected.and_then(|expected| expected.epoch);
        self.expected = Some(Position { next: end, epoch });
    }

    /// Ends everything. Returns the offset below which all is settled, within the oldest open batch,
    /// if it was never cut into pieces.
    pub fn finish(&mut self) -> Option<Position> {
        let settled = self
            .tracker
            .oldest_open()
            .and_then(|id| self.settled_part(id));
        let open: Vec<BatchId> = self.in_flight.keys().copied().collect();
        self.let_go(open);
        self.parked.clear();
        self.phase = Phase::Finished;
        settled
    }

    fn settled_part(&self, id: BatchId) -> Option<Position> {
        let entry = self.in_flight.get(&id)?;
        let piece = entry.pieces.get(&0).or_else(|| self.parked.get(&(id, 0)))?;
        let settled = piece.ack.settled_prefix();
        let last = piece.batch.get(settled.checked_sub(1)?)?;
        Some(Position {
            next: NextOffset(last.offset() + 1).min(entry.next),
            epoch: entry.first_epoch,
        })
    }
}

/// The pause before what came back `times` times before is sent again.
fn pause(times: u32) -> Duration {
    (RESEND_BACKOFF * 2u32.saturating_pow(times.min(16))).min(RESEND_BACKOFF_MAX)
}

#[cfg(test)]
#[path = "window/tests.rs"]
mod tests;
