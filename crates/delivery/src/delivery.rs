//! [`Delivery`]: every decision about one destination.
//!
//! It owns the queue (`Lanes`), the state of health (`Health`) and the number of requests at once
//! (`Concurrency`), and says which request is sent when and what becomes of it. It does not depend on a clock,
//! thread, chance or input and output: its owner passes the time and the outcomes in, sends what
//! [`next`](Delivery::next) gives out, and calls again at [`wake_at`](Delivery::wake_at).
//!
//! # The rule of refusals
//!
//! * An answer that blames the content (400, 413, 415, 422) is *clear*: the request is cut in halves at
//!   once until the item at fault stands alone, and that one is given up.
//! * Any other refusal is *unclear*. The destination gets a pause, which doubles, and the request is
//!   sent again. After [`DeliveryOptions::max_retries`] tries the destination is probed with other
//!   work: the halves of the request, then requests of other lanes. What is accepted at the same
//!   endpoint is evidence: the suspect is sent once more and, refused again, given up.
//! * Without evidence nothing is given up. A destination that refuses everything is held, and so is a
//!   suspect when there is nothing else to send; [`Delivery::condition`] and [`Delivery::suspects`] say
//!   so, and [`Delivery::decide`] lets an operator end it.
//! * Only something accepted is a sign of life. A refusal while other requests are accepted is the
//!   matter of its own request, which waits alone.
//! * 408, 425, 429, 503 and a failed connection say "later": they are never taken for the fault of a
//!   record, but others are asked for first after as many tries.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Reply, TransportError};
use super::concurrency::{Concurrency, Ticket};
use super::health::{Failed, Failure, Gate, Health, HealthOptions, Permit, State};
use super::lanes::{
    Cancelled, History, Item, Lanes, Limits, Load, Map, Parcel, Pool, Request, RequestId,
    RequestPart,
};
use super::status::{Reason, Refusal, Verdict, classify};

mod suspects;
#[cfg(test)]
mod tests;

pub use suspects::{Condition, Decision, SuspectView};

/// How one destination is treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeliveryOptions {
    /// Limits of requests and of their number.
    pub limits: Limits,
    /// Back-off.
    pub health: HealthOptions,
    /// Refusals of a request after which the destination is probed with other work; one more, with
    /// evidence, and a record is given up. At least 1.
    pub max_retries: u32,
    /// Whether what stands behind a suspect in its lane may be sent before it, as evidence.
    pub probe_past: bool,
}

impl DeliveryOptions {
    /// [`DeliveryOptions::max_retries`] where nothing else is said.
    pub const DEFAULT_MAX_RETRIES: u32 = 3;
}

/// Why an item is given up.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The last answer, and the history where it took more than one.
    pub reason: Reason,
    /// How often it was sent.
    pub attempts: u32,
}

/// What the owner does with items whose fate is decided.
pub trait Settle<P> {
    /// The answer to an accepted request, before its items are settled. Returns true if something
    /// is made of it that settles them later.
    fn read_answer(
        &mut self,
        answer: Answer,
        parts: &mut dyn Iterator<Item = RequestPart<'_, P>>,
    ) -> bool;
    /// The destination accepted the request but refused so many entries in it for good.
    fn partially_accepted(&mut self, rejected: u64, message: &str);
    /// Accepted. With `later`, [`read_answer`](Self::read_answer) has taken over.
    fn delivered(&mut self, payload: &mut P, items: &[Item], later: bool);
    /// Given up.
    fn rejected(&mut self, payload: &mut P, items: &[Item], rejection: &Rejection);
    /// Left out by the user's wish.
    fn dropped(&mut self, payload: &mut P, items: &[Item]);
}

/// A change that somebody should be told of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// It accepts requests again.
    Up,
    /// It does not accept requests.
    Down {
        /// `backing_off` or `alarm`.
        state: &'static str,
        /// Its answer.
        reason: Reason,
    },
    /// A request is refused time and again, so that other work is sent before it.
    Suspect,
    /// A request will be sent again, since it was refused for what has this code.
    Again(Cow<'static, str>),
}

/// The refusal seen last.
#[derive(Clone, Debug)]
pub struct LastRefusal {
    /// When it came.
    pub at: Instant,
    /// What it said.
    pub reason: Reason,
    /// What was asked for: the endpoint, secrets masked.
    pub asked: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    sending: u64,
    permit: Permit,
    ticket: Ticket,
}

/// The machine of one destination. `P` is what comes back with the items of a parcel.
pub struct Delivery<P> {
    options: DeliveryOptions,
    lanes: Lanes<P>,
    health: Health,
    concurrency: Concurrency,
    under_way: Map<RequestId, UnderWay>,
    /// Grows with each request and each answer.
    ticks: u64,
    /// When something was accepted last, in ticks.
    accepted_at: u64,
    last_refusal: Option<LastRefusal>,
    /// Whether a request under way may have been refused so often that others go before it. While
    /// nothing was refused, requests need not be searched for one.
    may_yield: bool,
    /// Whether [`Notice::Suspect`] was given for the suspects there are.
    suspect_told: bool,
}

impl<P> Delivery<P> {
    /// A destination that is up. `rng` draws the delays: seed it differently in every process.
    #[must_use]
    pub fn new(options: DeliveryOptions, rng: fastrand::Rng) -> Self {
        Self {
            options,
            lanes: Lanes::new(options.limits),
            health: Health::new(options.health, rng),
            concurrency: Concurrency::new(options.limits.max_requests),
            under_way: Map::default(),
            ticks: 0,
            accepted_at: 0,
            last_refusal: None,
            may_yield: false,
            suspect_told: false,
        }
    }

    /// Replaces the options. Whatever was wrong may be mended now, so the destination is asked at
    /// once.
    pub fn set_options(&mut self, now: Instant, options: DeliveryOptions) {
        self.options = options;
        self.lanes.set_limits(options.limits);
        self.concurrency.set_max(options.limits.max_requests);
        self.health.set_options(options.health);
        self.health.probe_now(now);
    }

    /// Takes work in. Returns the attachment at once if there is nothing to deliver.
    #[must_use = "the attachment of an empty parcel comes straight back"]
    pub fn push(&mut self, parcel: Parcel<P>, pool: Option<Pool>) -> Option<P> {
        self.lanes.push(parcel, pool)
    }

    /// Everything that came in up to `now` goes out without waiting for fuller requests.
    pub fn flush(&mut self, now: Instant) {
        self.lanes.flush(now);
    }

    /// The next request to send at `now`, if any may be sent. Its outcome is reported to
    /// [`finished`](Self::finished), unless it is cancelled before.
    pub fn next(&mut self, now: Instant) -> Option<Request> {
        self.lanes.set_max_requests(self.concurrency.limit());
        let past = self.options.probe_past;
        let request = match self.health.gate(now) {
            Gate::Closed(_) => None,
            Gate::Probe => self.lanes.next_probe(now, past),
            Gate::Open => match self.lanes.next(now) {
                None if past => self.lanes.next_past(now),
                request => request,
            },
        }?;
        self.ticks += 1;
        let tick = self.ticks;
        if let Some(history) = self.lanes.history_mut(request.id) {
            history.sent = tick;
            history.attempts = history.attempts.saturating_add(1);
            if history.mark == 0 {
                history.mark = tick;
            }
        }
        let under_way = UnderWay {
            sending: request.sending,
            permit: self.health.sent(),
            ticket: self.concurrency.sent(self.lanes.load().in_flight_requests),
        };
        self.under_way.insert(request.id, under_way);
        Some(request)
    }

    /// When [`next`](Self::next) may have something to give; `None` means not before something
    /// else happens.
    #[must_use]
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        match self.health.gate(now) {
            Gate::Closed(until) => until,
            Gate::Open | Gate::Probe => self.lanes.due(),
        }
    }

    /// What a request under way consists of, parcel by parcel, without what was cancelled.
    pub fn parts(&self, id: RequestId) -> impl Iterator<Item = RequestPart<'_, P>> {
        self.lanes.parts(id)
    }

    /// Whether the outcome of this sending of a request is awaited. It is not after the request was void,
    /// even if what is left of it goes by the same name.
    #[must_use]
    pub fn awaits(&self, request: &Request) -> bool {
        let under_way = self.under_way.get(&request.id);
        under_way.is_some_and(|own| own.sending == request.sending)
    }

    /// The outcome of a request that took `took`. One that is not awaited changes nothing.
    pub fn finished(
        &mut self,
        now: Instant,
        request: &Request,
        took: Duration,
        outcome: Result<Reply, TransportError>,
        settle: &mut impl Settle<P>,
    ) -> Vec<Notice> {
        let id = request.id;
        let awaited = self.awaits(request).then(|| self.under_way.remove(&id));
        let Some(under_way) = awaited.flatten() else {
            return Vec::new();
        };
        let verdict = classify(request.endpoint.policy(), &outcome, request.items.len());
        match verdict {
            // Whether it tells anything about load is for the history of the request to say.
            Verdict::Refused { .. } => {}
            _ => self.concurrency.answered(under_way.ticket, took),
        }
        let permit = under_way.permit;
        if let Some(reason) = verdict.reason() {
            self.last_refusal = Some(LastRefusal {
                at: now,
                reason: reason.clone(),
                asked: Arc::clone(request.endpoint.name()),
            });
        }
        match verdict {
            Verdict::Delivered => {
                let answer = outcome.ok().and_then(Reply::into_answer);
                return self.accepted(id, permit, answer, settle);
            }
            Verdict::PartialSuccess { rejected, message } => {
                settle.partially_accepted(rejected, &message);
                return self.accepted(id, permit, None, settle);
            }
            Verdict::Refused {
                refusal,
                after,
                reason,
            } => {
                let refused = Refused {
                    refusal,
                    after,
                    reason,
                };
                return self.refused(now, request, under_way, refused, settle);
            }
            Verdict::TooLarge { reason } => {
                self.health.abandoned(permit);
                if !self.lanes.too_large(id) {
                    self.reject(id, reason, request.tries, settle);
                }
            }
            Verdict::Bisect { reason } => {
                self.health.abandoned(permit);
                if !self.lanes.bisect(id) {
                    self.reject(id, reason, request.tries, settle);
                }
            }
            Verdict::Rejected { reason } => {
                self.health.abandoned(permit);
                self.reject(id, reason, request.tries, settle);
            }
            Verdict::Dropped { .. } => {
                self.health.abandoned(permit);
                drop(self.lanes.rejected(id, |payload, items| {
                    settle.dropped(payload, items);
                }));
            }
        }
        self.after_change()
    }

    /// Takes out all parcels whose attachment `chosen` picks. Requests that hold nothing any more
    /// are named, so that they can be called off; their outcome need not be reported.
    pub fn cancel(&mut self, chosen: impl FnMut(&P) -> bool) -> Cancelled<P> {
        let cancelled = self.lanes.cancel(chosen);
        for id in &cancelled.void {
            if let Some(under_way) = self.under_way.remove(id) {
                self.health.abandoned(under_way.permit);
            }
            drop(self.lanes.delivered(*id, |_, _| {}));
        }
        cancelled
    }

    /// What waits and what is under way.
    #[must_use]
    pub fn load(&self) -> Load {
        self.lanes.load()
    }

    /// True if nothing waits and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.is_idle()
    }

    /// Items that are not settled and whose attachment `chosen` picks.
    pub fn count(&self, chosen: impl Fn(&P) -> bool) -> usize {
        self.lanes.count(chosen)
    }

    /// How many requests may be under way now.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency.limit()
    }

    /// The state of health.
    #[must_use]
    pub fn state(&self) -> &State {
        self.health.state()
    }

    fn accepted(
        &mut self,
        id: RequestId,
        permit: Permit,
        answer: Option<Answer>,
        settle: &mut impl Settle<P>,
    ) -> Vec<Notice> {
        self.ticks += 1;
        self.accepted_at = self.ticks;
        self.lanes.note_accepted(id);
        let later =
            answer.is_some_and(|answer| settle.read_answer(answer, &mut self.lanes.parts(id)));
        drop(self.lanes.delivered(id, |payload, items| {
            settle.delivered(payload, items, later);
        }));
        let up = self.health.succeeded(permit);
        let mut notices = self.after_change();
        notices.extend(up.then_some(Notice::Up));
        notices
    }

    /// Decides about a refusal that does not blame the content.
    fn refused(
        &mut self,
        now: Instant,
        request: &Request,
        under_way: UnderWay,
        refused: Refused,
        settle: &mut impl Settle<P>,
    ) -> Vec<Notice> {
        let id = request.id;
        let Refused {
            refusal,
            after,
            reason,
        } = refused;
        self.ticks += 1;
        let (tick, accepted_at) = (self.ticks, self.accepted_at);
        let retries = self.options.max_retries.max(1);
        let accepted = self.lanes.accepted(id);
        let single = request.items.len() < 2;
        let Some(history) = self.lanes.history_mut(id) else {
            self.health.abandoned(under_way.permit);
            return Vec::new();
        };
        // The endpoint accepted something since the last refusal.
        let passed_by = accepted > history.mark;
        // That is evidence only where the refusal before may have been the record's fault, too: what was
        // accepted earlier tells nothing about a destination that begins to refuse everything.
        let accused = passed_by && history.refusals > 0;
        let blamed = refusal.may_be_the_record();
        history.refusals = history.refusals.saturating_add(u32::from(blamed));
        history.since.get_or_insert(now);
        history.reason = Some(reason.clone());
        let cut = blamed && !single && history.refusals >= retries;
        let end = blamed && single && accused && history.refusals > retries;
        let wished = history.give_up;
        // Evidence against a request is evidence against its parts.
        if !(cut && accused) {
            history.mark = tick;
        }
        // A time-out is not waited for again and again while others could go.
        let slow = reason.code == "timeout";
        let tired = history.refusals >= retries || history.attempts > retries;
        let own = match refusal {
            // What the destination asks for holds for all requests.
            Refusal::Busy => history.yields && passed_by && after.is_none(),
            _ => accepted_at > history.sent,
        };
        // Without a connection the request was never seen.
        let seen = refusal != Refusal::Busy || reason.status.is_some();
        history.yields |= seen && (tired || slow);
        self.may_yield |= history.yields;
        let history = history.clone();
        let failure = match refusal {
            Refusal::Access | Refusal::Hold => Failure::Hold,
            Refusal::Busy | Refusal::Unclear => Failure::Passing,
        };
        let failed = Failed {
            failure,
            retry_after: after,
            reason: reason.clone(),
            narrows: cut,
        };
        if end || wished {
            // What the destination asks for holds, whatever becomes of this request.
            match after {
                Some(_) => drop(self.health.failed(under_way.permit, failed, now)),
                None => self.health.abandoned(under_way.permit),
            }
            self.give_up(id, &history, settle);
            return self.after_change();
        }
        let mut notices = vec![Notice::Again(reason.code.clone())];
        let moment = if own {
            self.health.abandoned(under_way.permit);
            let tries = if cut { 1 } else { history.attempts };
            now + self.health.pause(failure, tries, after)
        } else {
            if failure == Failure::Passing {
                self.concurrency.failed(under_way.ticket);
            }
            if self.health.failed(under_way.permit, failed, now) {
                let state = self.health.state().as_str();
                notices.push(Notice::Down { state, reason });
            }
            now
        };
        if cut {
            let part = |refusals, yields| History {
                refusals,
                yields,
                is_part: true,
                ..history.clone()
            };
            // Without evidence so far, a part has to be refused twice by itself.
            let left = part(retries - u32::from(!accused), history.is_part);
            let rest = part(retries, false);
            self.lanes.halve(id, moment, left, rest);
        } else {
            self.lanes.retry(id, moment);
        }
        notices.extend(self.after_change());
        notices
    }

    fn give_up(&mut self, id: RequestId, history: &History, settle: &mut impl Settle<P>) {
        let Some(mut reason) = history.reason.clone() else {
            return;
        };
        let refusals = history.refusals;
        let story = match history.give_up {
            true => format!("refused {refusals} times, given up by an operator"),
            false => format!("refused {refusals} times while others were accepted"),
        };
        reason.detail = match reason.detail.is_empty() {
            true => story,
            false => format!("{} ({story})", reason.detail),
        };
        let rejection = Rejection {
            reason,
            attempts: history.attempts,
        };
        let mut visit = |payload: &mut P, items: &[Item]| {
            settle.rejected(payload, items, &rejection);
        };
        if self.lanes.give_up(id, &mut visit).is_none() {
            drop(self.lanes.rejected(id, visit));
        }
    }

    fn reject(&mut self, id: RequestId, reason: Reason, tries: u32, settle: &mut impl Settle<P>) {
        let rejection = Rejection {
            reason,
            attempts: tries.saturating_add(1),
        };
        drop(self.lanes.rejected(id, |payload, items| {
            settle.rejected(payload, items, &rejection);
        }));
    }

    fn after_change(&mut self) -> Vec<Notice> {
        self.may_yield = self.may_yield && self.lanes.any_yields();
        let any = self.may_yield && !self.named_suspects().is_empty();
        let told = std::mem::replace(&mut self.suspect_told, any);
        match any && !told {
            true => vec![Notice::Suspect],
            false => Vec::new(),
        }
    }
}

struct Refused {
    refusal: Refusal,
    after: Option<Duration>,
    reason: Reason,
}
