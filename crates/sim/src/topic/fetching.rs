//! When the client may fetch ahead for the partition, as the topic actor decides it.

use super::*;

impl Topic {
    pub(super) fn go_there(&mut self, around: &mut Around<'_>) {
        let now = around.core.clock.now();
        if let Fetching::Reserved { since, .. } = &self.fetching
            && now.saturating_duration_since(*since) > PATIENCE
        {
            self.fetching = Fetching::Free;
        }
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.is_bound()) else {
            return;
        };
        if matches!(self.fetching, Fetching::Rests) {
            let size = self.window.record_bytes();
            self.fetching = match self.accounts.is_small(size) {
                true => Fetching::Free,
                false => match self.accounts.reserve(size) {
                    Some(room) => Fetching::Reserved {
                        _room: room,
                        since: now,
                    },
                    None => return,
                },
            };
        }
        if reader.go_there(&mut around.poll.client).is_err() {
            self.fetching = Fetching::Rests;
        }
    }

    pub(super) fn not_placed(&self) -> Option<Blocked> {
        let reader = self.reader.as_ref().filter(|reader| !reader.is_placed())?;
        Some(
            match reader.is_bound() && matches!(self.fetching, Fetching::Rests) {
                true => Blocked::InFlight(Some("no memory is left to fetch a record".to_owned())),
                false => Blocked::PositionUnknown("the position is being looked up".to_owned()),
            },
        )
    }

    pub(super) fn readable(&self) -> usize {
        let records = self.accounts.records_to_read(self.window.record_bytes());
        match self.fetching {
            Fetching::Reserved { .. } => records.max(1),
            _ => records,
        }
    }

    pub(super) fn rest_if_short(&mut self, around: &mut Around<'_>) {
        let size = self.window.record_bytes();
        if !matches!(self.fetching, Fetching::Free) || !self.accounts.is_short(size) {
            return;
        }
        let (Some(reader), Some(next)) = (&mut self.reader, self.window.expected()) else {
            return;
        };
        if reader.rest(&mut around.poll.client, NextOffset(next)) == Ok(true) {
            self.fetching = Fetching::Rests;
        }
    }
}
