//! Takes the reader to where it reads, and away while the memory is short, as the topic actor does.

use super::*;

impl Topic {
    pub(super) fn go_there(&mut self, around: &mut Around<'_>) {
        let now = around.core.clock.now();
        self.fetching.tick(now);
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.is_bound()) else {
            return;
        };
        let size = self.window.record_bytes();
        if self.fetching.end_rest(now, &self.accounts, size)
            && reader.go_there(&mut around.poll.client).is_err()
        {
            self.fetching = Fetching::Rests;
        }
    }

    pub(super) fn not_placed(&self) -> Option<Blocked> {
        let reader = self.reader.as_ref().filter(|reader| !reader.is_placed())?;
        Some(self.fetching.blocked(reader.is_bound()))
    }

    pub(super) fn readable(&self) -> usize {
        let size = self.window.record_bytes();
        self.fetching.readable(&self.accounts, size)
    }

    pub(super) fn rest_if_short(&mut self, around: &mut Around<'_>) {
        let size = self.window.record_bytes();
        if !self.fetching.is_to_rest(&self.accounts, size) {
            return;
        }
        let (Some(reader), Some(at)) = (&mut self.reader, self.window.position()) else {
            return;
        };
        if reader.rest(&mut around.poll.client, at) == Ok(true) {
            self.fetching = Fetching::Rests;
        }
    }
}
