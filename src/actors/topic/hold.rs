//! Standing still while routes change: nothing new is read, what is in flight is waited for, and what
//! comes back is kept until the partition may go on, so that nothing overtakes it.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::TopicActor;
use crate::actors::messages::{Hold, Release};

/// The same while the router waits for what is in flight before it changes routes.
const HOLD_FLUSH_INTERVAL: Duration = Duration::from_millis(10);

impl TopicActor {
    /// Whether no piece of any batch is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.in_flight.values().all(|entry| entry.pieces.is_empty())
    }

    /// Goes on, if that was asked for and everything has come back.
    pub(super) fn release_when_settled(&mut self, ctx: &mut Context<Self>) {
        if self.releasing && self.is_settled() {
            self.releasing = false;
            self.held = false;
            self.send_parked(ctx);
            self.resume_paced(ctx);
            self.fill(ctx);
        }
    }

    /// Says that nothing is in flight, if that is so and somebody waits for it.
    pub(super) fn settle_hold(&mut self, ctx: &mut Context<Self>) {
        if self.is_settled() {
            self.settled = None;
            if self.draining.is_some() {
                self.finish(ctx);
            }
        }
    }

    /// Sends again what came back while routes changed, oldest first and not as a further attempt.
    pub(super) fn send_parked(&mut self, ctx: &mut Context<Self>) {
        for ((id, _), piece) in std::mem::take(&mut self.parked) {
            let open: Vec<usize> = (0..piece.batch.len())
                .filter(|&index| !piece.ack.is_settled(index))
                .collect();
            let batch = Arc::new(piece.batch.subset(&open));
            self.send(id, batch, piece.attempt, ctx);
        }
    }

    /// Has destinations send what waits for more, as long as the router waits for this partition.
    fn flush_while_waited_for(&self, ctx: &mut Context<Self>) {
        if self.settled.is_some() {
            self.flush();
            ctx.run_later(HOLD_FLUSH_INTERVAL, |actor, ctx| {
                actor.flush_while_waited_for(ctx);
            });
        }
    }
}

impl Handler<Hold> for TopicActor {
    type Result = ();

    fn handle(&mut self, hold: Hold, ctx: &mut Self::Context) {
        self.held = true;
        self.releasing = false;
        self.settled = hold.settled;
        self.settle_hold(ctx);
        self.flush_while_waited_for(ctx);
    }
}

impl Handler<Release> for TopicActor {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut Self::Context) {
        self.settled = None;
        self.releasing = true;
        self.release_when_settled(ctx);
    }
}
