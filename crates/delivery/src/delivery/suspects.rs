//! What a destination says about itself, and what an operator may decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::health::State;
use super::super::lanes::{Item, RequestId, Suspect};
use super::super::status::Reason;
use super::{Delivery, LastRefusal, Settle};

/// A destination that accepted nothing for so long, or a suspect that is refused for so long, is an
/// alarm: shorter troubles end by themselves.
const ALARM_AFTER: Duration = Duration::from_secs(5);

/// How a destination is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// `up`, `backing_off` or `alarm`.
    pub state: &'static str,
    /// Whether somebody should look at it: it accepts nothing, or a record is held back.
    pub alarm: bool,
    /// The first refusal since it accepted something, or of the first suspect.
    pub since: Option<Instant>,
    /// The last refusal.
    pub reason: Option<Reason>,
    /// What was asked for: the endpoint, secrets masked.
    pub asked: Option<Arc<str>>,
    /// Requests that are refused time and again.
    pub suspects: usize,
}

/// A request that is refused time and again, so that other work goes before it.
#[derive(Clone, Copy, Debug)]
pub struct SuspectView<'a, P> {
    /// Names it.
    pub id: RequestId,
    /// Its first refusal.
    pub since: Option<Instant>,
    /// Its last refusal.
    pub reason: Option<&'a Reason>,
    /// Refusals so far, those of the requests that it was a part of included.
    pub refusals: u32,
    /// How many items the request holds.
    pub items: usize,
    /// Where it goes, secrets masked.
    pub asked: &'a Arc<str>,
    /// The attachment of its first item, and that item, unless they are not waited for any more.
    pub first: Option<(&'a P, &'a Item)>,
}

impl<'a, P> From<Suspect<'a, P>> for SuspectView<'a, P> {
    fn from(suspect: Suspect<'a, P>) -> Self {
        Self {
            id: suspect.id,
            since: suspect.history.since,
            reason: suspect.history.reason.as_ref(),
            refusals: suspect.history.refusals,
            items: suspect.items,
            asked: suspect.endpoint.name(),
            first: suspect.first,
        }
    }
}

/// What an operator decides about a suspect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It becomes a dead letter: at once, or when the answer that is under way refuses it again.
    Bury,
    /// It is sent again at once, before anything else.
    Retry,
}

impl<P> Delivery<P> {
    /// How the destination is at `now`.
    #[must_use]
    pub fn condition(&self, now: Instant) -> Condition {
        let long = |since: Instant| now.saturating_duration_since(since) >= ALARM_AFTER;
        let suspects = self.named_suspects();
        let first = suspects.first();
        let state = self.health.state();
        let down = self.health.since();
        let suspect = first.and_then(|suspect| suspect.history.since);
        let reason = match (state.reason(), first) {
            (Some(reason), _) => Some(reason.clone()),
            (None, Some(suspect)) => suspect.history.reason.clone(),
            (None, None) => None,
        };
        let asked = match (&self.last_refusal, first) {
            (Some(last), _) if down.is_some() => Some(Arc::clone(&last.asked)),
            (_, Some(suspect)) => Some(Arc::clone(suspect.endpoint.name())),
            _ => None,
        };
        Condition {
            state: state.as_str(),
            alarm: matches!(state, State::Alarm { .. })
                || down.is_some_and(long)
                || suspect.is_some_and(long),
            since: down.or(suspect),
            reason,
            asked,
            suspects: suspects.len(),
        }
    }

    /// The last refusal, if there was one.
    #[must_use]
    pub fn last_refusal(&self) -> Option<&LastRefusal> {
        self.last_refusal.as_ref()
    }

    /// The suspects, the one that was refused first in front.
    #[must_use]
    pub fn suspects(&self) -> Vec<SuspectView<'_, P>> {
        self.named_suspects().into_iter().map(Into::into).collect()
    }

    /// Suspects that are listed: refused often enough, and not merely by a destination that is
    /// busy with everything.
    pub(super) fn named_suspects(&self) -> Vec<Suspect<'_, P>> {
        let up = *self.health.state() == State::Up;
        let retries = self.options.max_retries.max(1);
        let mut suspects = self.lanes.suspects();
        suspects.retain(|suspect| {
            let history = suspect.history;
            history.attempts >= retries && (up || history.refusals > 0)
        });
        suspects
    }

    /// Does what an operator decides about the suspect `id`. Returns false if there is no such suspect.
    pub fn decide(
        &mut self,
        now: Instant,
        id: RequestId,
        decision: Decision,
        settle: &mut impl Settle<P>,
    ) -> bool {
        let waits = self.lanes.is_waiting(id);
        let Some(history) = self.lanes.history_mut(id) else {
            return false;
        };
        match decision {
            Decision::Bury => {
                history.give_up = true;
                let history = history.clone();
                if waits {
                    self.give_up(id, &history, settle);
                }
                self.health.absolve();
            }
            Decision::Retry => {
                self.lanes.hurry(id, now);
                self.health.probe_now(now);
            }
        }
        true
    }
}
