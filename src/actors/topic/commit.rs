//! What is settled, on its way to the brokers: told to the reader, asked to be committed at once when
//! much is open, and taken off the window when the brokers confirm it.

use actix::{Context, Handler};

use super::TopicActor;
use crate::actors::messages::{Committed, Placed};
use kafkamq_record::Position;
use kafkamq_source::start::Why;

impl TopicActor {
    /// Everything below `at` is settled.
    pub(super) fn settled(&self, at: Position) {
        let hurry = self.window.wants_commit();
        if let Some(reader) = &self.reader {
            reader.settle(at, hurry);
        }
    }

    /// Commits ahead of the interval when much is settled and not committed. A crash delivers that
    /// again, so it counts against the window like what is in flight, until the brokers confirm.
    fn commit_in_time(&self) {
        if self.window.wants_commit()
            && let Some(reader) = &self.reader
        {
            reader.hurry();
        }
    }

    /// Notes where reading goes on, and how many records are gone for that.
    fn expect(&mut self, at: Position, new_lease: bool, why: Why) {
        let (start, expected) = (at.next.0, self.window.expected());
        let gone = match (why, expected) {
            (Why::Removed, Some(expected)) => start - expected,
            (Why::Truncated, Some(expected)) => expected - start,
            _ => 0,
        };
        if gone > 0 {
            let skipped = &self.options.metrics.offsets_skipped;
            skipped.inc_by(gone.unsigned_abs());
            tracing::warn!(partition = %self.source, ?expected, start, gone, because = %why, "records are gone");
        }
        match (new_lease, why) {
            (true, _) => self.window.relet(at),
            (false, Why::Truncated) => {
                self.window.retreat(at.next);
                if let Some(reader) = &self.reader {
                    reader.retreat(at.next);
                }
            }
            (false, _) => {
                if let Some(passed) = self.window.expect(at) {
                    self.settled(passed);
                }
            }
        }
        self.show();
    }
}

impl Handler<Placed> for TopicActor {
    type Result = ();

    fn handle(&mut self, Placed(placement): Placed, ctx: &mut Context<Self>) {
        self.expect(placement.start, placement.lease.is_some(), placement.why);
        if let (Some(reader), Some(position)) = (&mut self.reader, self.window.position()) {
            reader.place(position, placement.lease);
        }
        self.go_there();
        self.fill(ctx);
    }
}

impl Handler<Committed> for TopicActor {
    type Result = ();

    fn handle(&mut self, Committed(confirmed): Committed, ctx: &mut Self::Context) {
        let current = self.reader.as_ref().map(|reader| reader.generation());
        // A commit of an older lease does not apply to this one.
        if current == Some(confirmed.generation) {
            self.window.confirmed(confirmed.next);
            self.commit_in_time();
            self.fill(ctx);
        }
    }
}
