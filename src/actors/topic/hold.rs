//! Standing still while routes change: nothing new is read, what is in flight is waited for, and what
//! comes back is kept until the partition may go on, so that nothing overtakes it.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::TopicActor;
use crate::actors::messages::{Hold, Release};
use kafkamq_source::window::{Phase, Token};

/// The same while the router waits for what is in flight before it changes routes.
const HOLD_FLUSH_INTERVAL: Duration = Duration::from_millis(10);

impl TopicActor {
    /// Goes on, if that was asked for and everything has come back.
    pub(super) fn release_when_settled(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.window.phase, Phase::Releasing) && self.window.is_settled() {
            self.window.phase = Phase::Reading;
            self.send_parked(ctx);
            self.resume_paced(ctx);
            self.fill(ctx);
        }
    }

    /// Says that nothing is in flight, if that is so and somebody waits for it.
    pub(super) fn settle_hold(&mut self, ctx: &mut Context<Self>) {
        if !self.window.is_settled() {
            return;
        }
        match &mut self.window.phase {
            Phase::Held(settled) => *settled = None,
            Phase::Draining(_) => self.finish(ctx),
            _ => {}
        }
    }

    /// Sends again what came back while routes changed, oldest first and not as a further attempt.
    pub(super) fn send_parked(&mut self, ctx: &mut Context<Self>) {
        for (id, batch, tries) in self.window.unpark() {
            self.send(id, batch, tries, ctx);
        }
    }

    /// Whether somebody waits until nothing is in flight.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self.window.phase, Phase::Held(_) | Phase::Releasing)
    }

    /// Has destinations send what waits for more, as long as the router waits for this partition.
    fn flush_while_waited_for(&self, ctx: &mut Context<Self>) {
        if matches!(self.window.phase, Phase::Held(Some(_))) {
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
        if matches!(self.window.phase, Phase::Draining(_) | Phase::Finished) {
            return;
        }
        let settled = hold.settled.map(|token| Box::new(token) as Token);
        self.window.phase = Phase::Held(settled);
        self.settle_hold(ctx);
        self.flush_while_waited_for(ctx);
    }
}

impl Handler<Release> for TopicActor {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut Self::Context) {
        if self.is_held() {
            self.window.phase = Phase::Releasing;
            self.release_when_settled(ctx);
        }
    }
}
