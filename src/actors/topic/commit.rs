//! What is settled, on its way to the brokers: stored for the next commit, asked to be committed
//! when much is open, and taken off the window when the brokers confirm it.

use std::time::{Duration, Instant};

use actix::Handler;

use super::TopicActor;
use crate::actors::messages::Committed;
use crate::kafka::PartitionReader;
use kafkamq_record::NextOffset;

/// A commit is asked for when this part (one in so many) of the records that may be in flight was
/// settled and not committed.
const UNCOMMITTED_SHARE: usize = 4;
/// A commit that was not answered for this long is asked for again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

impl TopicActor {
    /// Has the next commit carry `next`.
    pub(super) fn store(&self, next: NextOffset) {
        if let Some(Err(error)) = self.reader.as_ref().map(|reader| reader.store(next)) {
            self.report(&error);
        }
    }

    /// Commits ahead of the interval when much is settled and not committed. A crash delivers that
    /// again, so it counts against the window like what is in flight, until the brokers confirm.
    pub(super) fn commit_in_time(&mut self) {
        let due = self.uncommitted.records() * UNCOMMITTED_SHARE >= self.options.credits.records;
        let asked = self
            .commit_asked
            .is_some_and(|asked| asked.elapsed() < COMMIT_RETRY);
        if !due || asked || self.uncommitted.records() == 0 {
            return;
        }
        self.commit_asked = Some(Instant::now());
        if let Some(Err(error)) = self.reader.as_ref().map(PartitionReader::commit) {
            self.report(&error);
        }
    }
}

impl Handler<Committed> for TopicActor {
    type Result = ();

    fn handle(&mut self, Committed(next): Committed, ctx: &mut Self::Context) {
        self.uncommitted.confirm(next);
        self.commit_asked = None;
        self.commit_in_time();
        self.fill(ctx);
    }
}
