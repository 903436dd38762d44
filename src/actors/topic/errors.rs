//! What the client says of a partition instead of records.

use std::time::Duration;

use actix::{AsyncContext as _, Context};

use super::TopicActor;
use crate::actors::messages::InputFailed;
use crate::kafka::KafkaError;

/// Pause before it is looked at again whether records may be read.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(3);

impl TopicActor {
    /// Tells the supervisor what the client says of the partition.
    pub(super) fn report(&mut self, error: &KafkaError, ctx: &mut Context<Self>) {
        if error.is_refused_access() && !std::mem::replace(&mut self.looks_again, true) {
            let at = self.window.expected();
            ctx.run_later(LOOK_AGAIN_AFTER, move |actor, ctx| {
                actor.look_again(at, ctx);
            });
        }
        self.options.failures.do_send(InputFailed {
            input: self.options.input.clone(),
            error: error.to_string(),
            held: error.needs_operator(),
            trouble: error.trouble(),
        });
    }

    /// Has the client begin anew where it stands. It says only once that records may not be read, and
    /// nothing when they may; so it says it again, or passes the end of the partition.
    fn look_again(&mut self, at: Option<i64>, ctx: &mut Context<Self>) {
        self.looks_again = false;
        let position = self.window.position();
        let still = position.filter(|_| self.window.expected() == at);
        let reader = self.reader.as_mut().filter(|reader| reader.is_placed());
        if let (Some(position), Some(reader)) = (still, reader) {
            reader.place(position, None);
            self.go_there();
            self.fill(ctx);
        }
    }
}
