//! When the client may fetch ahead for a partition.
//!
//! A fetch brings whole batches, so every partition that fetches holds one, however small the memory
//! limit is. Where records may be larger than the allowance of the partition, it rests while the
//! service has no room for one: it fetches nothing and gives back what was fetched. To go on it
//! reserves the room first, so that no more is fetched than can be read.

use std::time::{Duration, Instant};

use kafkamq_memory::Charge;
use kafkamq_record::PartitionAccounts;

use crate::blocked::Blocked;

/// A reservation that brings nothing for so long is given up: its broker may be away, and others wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a partition fetches.
#[derive(Debug, Default)]
pub enum Fetching {
    /// It fetches nothing, as after its assignment.
    #[default]
    Rests,
    /// It fetches what room is reserved for.
    Reserved {
        /// The room.
        room: Charge,
        /// When it was reserved.
        since: Instant,
    },
    /// It fetches ahead.
    Free,
}

impl Fetching {
    /// Whether it rests.
    #[must_use]
    pub const fn rests(&self) -> bool {
        matches!(self, Self::Rests)
    }

    /// Gives up a reservation that brought nothing.
    pub fn tick(&mut self, now: Instant) {
        if let Self::Reserved { since, .. } = self
            && now.saturating_duration_since(*since) > PATIENCE
        {
            *self = Self::Free;
        }
    }

    /// Ends a rest if there is memory for what will be fetched; records have about `size` bytes. Returns
    /// whether it fetches now.
    pub fn end_rest(
        &mut self,
        now: Instant,
        accounts: &PartitionAccounts,
        size: Option<usize>,
    ) -> bool {
        if !self.rests() {
            return true;
        }
        if accounts.is_small(size) {
            *self = Self::Free;
        } else if let Some(room) = accounts.reserve(size) {
            *self = Self::Reserved { room, since: now };
        }
        !self.rests()
    }

    /// Something came of what was reserved for.
    pub fn fetched(&mut self) {
        if matches!(self, Self::Reserved { .. }) {
            *self = Self::Free;
        }
    }

    /// Whether it is to rest, since the service has no room for a record that may come.
    #[must_use]
    pub fn is_to_rest(&self, accounts: &PartitionAccounts, size: Option<usize>) -> bool {
        matches!(self, Self::Free) && accounts.is_short(size)
    }

    /// How many records may be read, as far as the memory goes.
    #[must_use]
    pub fn readable(&self, accounts: &PartitionAccounts, size: Option<usize>) -> usize {
        let records = accounts.records_to_read(size);
        match self {
            Self::Reserved { .. } => records.max(1),
            Self::Rests | Self::Free => records,
        }
    }

    /// Why a partition is not read whose reader is not at its position, though it `knows` that.
    #[must_use]
    pub fn blocked(&self, knows: bool) -> Blocked {
        match knows && self.rests() {
            true => Blocked::InFlight(Some("no memory is left to fetch a record of it".to_owned())),
            false => Blocked::PositionUnknown("the group's position is being looked up".to_owned()),
        }
    }
}
