//! Takes the reader to where it reads, and away while the memory is short.

use std::time::Instant;

use super::TopicActor;
use kafkamq_source::blocked::Blocked;
use kafkamq_source::fetching::Fetching;

impl TopicActor {
    /// Lets the reader go to its position, if that is known and there is memory for what it fetches.
    pub(super) fn go_there(&mut self) {
        let now = Instant::now();
        self.fetching.tick(now);
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.is_bound()) else {
            return;
        };
        let (accounts, size) = (&self.options.accounts, self.window.record_bytes());
        if self.fetching.end_rest(now, accounts, size)
            && let Err(error) = reader.go_there()
        {
            self.fetching = Fetching::Rests;
            tracing::debug!(partition = %self.source, %error, "cannot go to the position yet");
        }
    }

    /// Why nothing is read before the reader is at its position.
    pub(super) fn not_placed(&self) -> Option<Blocked> {
        let reader = self.reader.as_ref().filter(|reader| !reader.is_placed())?;
        Some(self.fetching.blocked(reader.is_bound()))
    }

    /// How many records may be read, as far as the memory goes.
    pub(super) fn readable(&self) -> usize {
        let size = self.window.record_bytes();
        self.fetching.readable(&self.options.accounts, size)
    }

    /// Rests if the service has no room for a record that may come.
    pub(super) fn rest_if_short(&mut self) {
        let size = self.window.record_bytes();
        if !self.fetching.is_to_rest(&self.options.accounts, size) {
            return;
        }
        let (Some(reader), Some(at)) = (&mut self.reader, self.window.position()) else {
            return;
        };
        match reader.rest(at) {
            Ok(true) => self.fetching = Fetching::Rests,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(partition = %self.source, %error, "cannot stop fetching yet");
            }
        }
    }
}
