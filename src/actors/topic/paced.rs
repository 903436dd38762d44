//! Records of keys that are over their rate: read, counted in flight, and handed on when their time
//! has come. They are batches of their own, so that what stands between them can settle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix::{AsyncContext, Context};

use super::TopicActor;
use crate::routing::KeyLimit;
use kafkamq_record::BatchId;
use kafkamq_record::RecordBatch;
use kafkamq_source::window::Tries;

/// What waits, earliest first; of one moment, in the order of the partition.
#[derive(Debug, Default)]
pub(super) struct Paced {
    batches: BTreeMap<(Instant, BatchId), Arc<RecordBatch>>,
    /// The moment of the timer that runs.
    timer: Option<Instant>,
}

impl TopicActor {
    /// Obeys another limit from the next record on. What waits goes on at once, so that nothing newer
    /// of its keys comes before it.
    pub(super) fn set_key_limit(&mut self, rate: Option<u64>, ctx: &mut Context<Self>) {
        self.keys = KeyLimit::new(rate);
        let now = Instant::now();
        let waiting = std::mem::take(&mut self.paced.batches).into_iter();
        self.paced.batches = waiting.map(|((_, id), batch)| ((now, id), batch)).collect();
        self.resume_paced(ctx);
    }

    /// Hands on what became due while the partition was held.
    pub(super) fn resume_paced(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.release_due(now, ctx);
        self.await_release(now, ctx);
    }

    /// Begins the batches that a key limit makes of one.
    pub(super) fn begin_by_keys(&mut self, batch: &RecordBatch, ctx: &mut Context<Self>) {
        let now = Instant::now();
        // Before anything newer: what is due may be of the same keys.
        self.release_due(now, ctx);
        let Some(keys) = &mut self.keys else { return };
        for (run, due) in keys.cut(batch, now) {
            let indexes: Vec<usize> = run.collect();
            let part = batch.subset(&indexes);
            let Some(id) = self.window.open(&part) else {
                continue;
            };
            let part = Arc::new(part);
            match due {
                None => self.send(id, part, Tries::FIRST, ctx),
                Some(due) => {
                    self.paced.batches.insert((due, id), part);
                }
            }
        }
        self.await_release(now, ctx);
    }

    /// Hands on what is due.
    fn release_due(&mut self, now: Instant, ctx: &Context<Self>) {
        while !self.is_held()
            && let Some(first) = self.paced.batches.first_entry()
            && first.key().0 <= now
        {
            let ((_, id), batch) = first.remove_entry();
            self.send(id, batch, Tries::FIRST, ctx);
        }
    }

    fn await_release(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Some((&(due, _), _)) = self.paced.batches.first_key_value() else {
            return;
        };
        if self.is_held() || self.paced.timer.is_some_and(|timer| timer <= due) {
            return;
        }
        self.paced.timer = Some(due);
        ctx.run_later(due.saturating_duration_since(now), |actor, ctx| {
            actor.paced.timer = None;
            actor.resume_paced(ctx);
        });
    }

    /// Leaves what waits to the next owner: nothing of it is settled, so nothing of it is committed.
    pub(super) fn let_paced_go(&mut self) {
        let waiting = std::mem::take(&mut self.paced.batches);
        self.window.let_go(waiting.into_keys().map(|(_, id)| id));
        self.show();
    }
}
