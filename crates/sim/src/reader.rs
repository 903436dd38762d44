//! The reading end of one assigned partition, for one assignment.

use std::time::Instant;

use kafkamq_record::{Epochs, NextOffset, Position, RecordBatchBuilder, TopicPartition};
use kafkamq_source::lease::{Generation, Lease};
use kafkamq_source::positions::Sought;

use crate::bugs::Bug;
use crate::client::{Client, Fetched, State};
use crate::mail::{ReadResult, SettledUpTo};
use crate::poll::Poll;

/// Reads a partition by the client, and settles under its lease.
#[derive(Debug)]
pub(crate) struct Reader {
    source: TopicPartition,
    generation: Generation,
    lease: Option<Lease>,
    start: Option<Position>,
    placed: bool,
    bug: Option<Bug>,
}

impl Reader {
    pub(crate) const fn new(
        source: TopicPartition,
        generation: Generation,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            source,
            generation,
            lease: None,
            start: None,
            placed: false,
            bug,
        }
    }

    /// The number that confirmed commits carry.
    pub(crate) fn generation(&self) -> Generation {
        let lease = self.lease.as_ref();
        lease.map_or(self.generation, Lease::generation)
    }

    pub(crate) const fn is_placed(&self) -> bool {
        self.placed && self.start.is_none()
    }

    pub(crate) const fn is_bound(&self) -> bool {
        self.placed && self.start.is_some()
    }

    /// Stops fetching and gives back what was fetched.
    pub(crate) fn rest(&mut self, client: &mut Client, at: Position) -> Result<bool, State> {
        if !self.is_placed() {
            return Ok(false);
        }
        client.pause(&self.source, true)?;
        self.start = Some(at);
        client.take(&self.source, usize::MAX);
        Ok(true)
    }

    /// Has reading go on elsewhere.
    pub(crate) fn place(&mut self, start: Position, lease: Option<Lease>) {
        self.placed = true;
        self.start = Some(start);
        if lease.is_some() {
            self.lease = lease;
        }
    }

    /// Takes the client to where reading goes on.
    pub(crate) fn go_there(&mut self, client: &mut Client) -> Result<(), State> {
        let Some(mut start) = self.start else {
            return Ok(());
        };
        if self.bug == Some(Bug::EpochForgotten) {
            start.epoch = None;
        }
        client.seek(&self.source, start)?;
        client.pause(&self.source, false)?;
        self.start = None;
        Ok(())
    }

    /// The client went on at `seen` by itself. Returns whether that may be.
    pub(crate) fn jumped(&mut self, poll: &mut Poll, at: Position, seen: i64) -> bool {
        if seen > at.next.0 && poll.client_resets() {
            return true;
        }
        self.placed = false;
        let sought = Sought::OutOfRange {
            at: at.next.0,
            seen,
            compares: at.epoch.is_some(),
        };
        poll.jumped(self.source.clone(), sought);
        false
    }

    /// Takes up to `most` records that are there already.
    pub(crate) fn read(&mut self, client: &mut Client, most: usize) -> ReadResult {
        let mut builder = RecordBatchBuilder::with_capacity(self.source.clone(), 0, 0);
        let mut errors = Vec::new();
        let (mut end, mut epochs) = (None, Epochs::default());
        let taken = match self.is_placed() {
            true => client.take(&self.source, most),
            false => Vec::new(),
        };
        for one in taken {
            match one {
                Fetched::Record(entry) => {
                    let value = entry.value.as_deref();
                    builder.push(
                        entry.offset,
                        entry.timestamp_ms,
                        entry.key.as_deref(),
                        value,
                    );
                    // An end that something follows is that of a log that was truncated since.
                    end = None;
                    epochs.first.get_or_insert(entry.epoch);
                    epochs.last = Some(entry.epoch);
                }
                Fetched::End(offset) => end = Some(offset),
                Fetched::Error(error) => errors.push(error),
            }
        }
        ReadResult {
            batch: builder.build(),
            epochs,
            end,
            errors,
        }
    }

    /// Everything below a position is settled.
    pub(crate) fn settle(&self, poll: &mut Poll, now: Instant, settled: &SettledUpTo) -> bool {
        let Some(lease) = &self.lease else {
            return false;
        };
        let mut position = settled.at;
        if self.bug == Some(Bug::EpochForgotten) {
            position.epoch = None;
        }
        let in_force = poll.commits.settle(now, lease, position);
        if in_force && settled.hurry {
            poll.commits.hurry(lease);
        }
        in_force && settled.hurry
    }

    /// Records from `end` on were taken back.
    pub(crate) fn retreat(&self, poll: &mut Poll, now: Instant, end: NextOffset) {
        if let Some(lease) = &self.lease {
            poll.commits.retreat(now, lease, end);
        }
    }

    /// Has what is settled committed ahead of the interval.
    pub(crate) fn hurry(&self, poll: &mut Poll) {
        if let Some(lease) = &self.lease {
            poll.commits.hurry(lease);
        }
    }
}
