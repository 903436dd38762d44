//! When the client may fetch ahead for the partition.
//!
//! A fetch brings whole batches, so every partition that fetches holds one, however small the memory
//! limit is. Where records may be larger than the allowance of the partition, it rests while the
//! service has no room for one: it fetches nothing and gives back what was fetched. To go on it
//! reserves the room first, so that no more is fetched than can be read.

use std::time::{Duration, Instant};

use kafkamq_memory::Charge;
use kafkamq_record::NextOffset;

use super::TopicActor;
use kafkamq_source::blocked::Blocked;

/// A reservation that brings nothing for so long is given up: its broker may be away, and others wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a partition fetches.
#[derive(Debug, Default)]
pub(super) enum Fetching {
    /// It fetches nothing, as after its assignment.
    #[default]
    Rests,
    /// It fetches what room is reserved for, since then.
    Reserved { _room: Charge, since: Instant },
    /// It fetches ahead.
    Free,
}

impl TopicActor {
    /// Lets the reader go to its position, if that is known and there is memory for what it fetches.
    pub(super) fn go_there(&mut self) {
        if let Fetching::Reserved { since, .. } = &self.fetching
            && since.elapsed() > PATIENCE
        {
            self.fetching = Fetching::Free;
        }
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.is_bound()) else {
            return;
        };
        if matches!(self.fetching, Fetching::Rests) {
            let accounts = &self.options.accounts;
            let size = self.window.record_bytes();
            self.fetching = match accounts.is_small(size) {
                true => Fetching::Free,
                false => match accounts.reserve(size) {
                    Some(room) => Fetching::Reserved {
                        _room: room,
                        since: Instant::now(),
                    },
                    None => return,
                },
            };
        }
        if let Err(error) = reader.go_there() {
            self.fetching = Fetching::Rests;
            tracing::debug!(partition = %self.source, %error, "cannot go to the position yet");
        }
    }

    /// Why nothing is read before the reader is at its position.
    pub(super) fn not_placed(&self) -> Option<Blocked> {
        let reader = self.reader.as_ref().filter(|reader| !reader.is_placed())?;
        Some(
            match reader.is_bound() && matches!(self.fetching, Fetching::Rests) {
                true => {
                    Blocked::InFlight(Some("no memory is left to fetch a record of it".to_owned()))
                }
                false => {
                    Blocked::PositionUnknown("the group's position is being looked up".to_owned())
                }
            },
        )
    }

    /// How many records may be read, as far as the memory goes.
    pub(super) fn readable(&self) -> usize {
        let accounts = &self.options.accounts;
        let records = accounts.records_to_read(self.window.record_bytes());
        match self.fetching {
            Fetching::Reserved { .. } => records.max(1),
            _ => records,
        }
    }

    /// Something came of what was reserved for.
    pub(super) fn fetched(&mut self) {
        if matches!(self.fetching, Fetching::Reserved { .. }) {
            self.fetching = Fetching::Free;
        }
    }

    /// Rests if the service has no room for a record that may come.
    pub(super) fn rest_if_short(&mut self) {
        let size = self.window.record_bytes();
        if !matches!(self.fetching, Fetching::Free) || !self.options.accounts.is_short(size) {
            return;
        }
        let (Some(reader), Some(next)) = (&mut self.reader, self.window.expected()) else {
            return;
        };
        match reader.rest(NextOffset(next)) {
            Ok(true) => self.fetching = Fetching::Rests,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(partition = %self.source, %error, "cannot stop fetching yet");
            }
        }
    }
}
