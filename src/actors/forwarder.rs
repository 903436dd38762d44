//! [`ForwarderActor`]: one destination.
//!
//! It owns the destination's queue, its state of health and its carrier, and lives as long as
//! the destination is configured. Order, batching and retries are decided by [`Lanes`] and
//! [`Health`]; what an answer means is decided by [`classify`]. The actor connects the three and
//! says what became of each item. A request that was accepted is settled at once; one that failed
//! for a passing reason stays where it is, whatever that takes; one that is refused for its content
//! is cut until the item at fault stands alone and goes to the dead letters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Recipient,
    SpawnHandle, WrapFuture,
};

use kafkamq_pipeline::{Clock as _, SystemClock};

use super::carrier::{Carrier, Origin, retire};
use super::consignment::Consignment;
use super::directory::Directory;
use super::messages::{
    Adopt, Bury, Child, ChildStopped, Flush, Forward, GetDestinationStatus, ParseAnswer, Recall,
    Retire, Sweep,
};
use super::status::{DestinationStatus, LastError};
use crate::metrics::{Metrics, Outcome, SinkMetrics};
use crate::parse::answer_category;
use crate::process::Cause;
use crate::routing::{Destination, HandleRoute, InputId, RouteKind};
use kafkamq_delivery::answer::{Answer, TransportError};
use kafkamq_delivery::concurrency::{Concurrency, Ticket};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_delivery::health::{Failure, Gate, Health, Permit, State};
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::{Cancelled, LaneId, Lanes, Parcel, Request, RequestId};
use kafkamq_delivery::status::{Reason, Verdict, classify};
use kafkamq_settings::OriginParts;

/// Pause before a request is tried again whose refusal may be its own fault.
const BOUNDED_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One destination.
pub(crate) struct ForwarderActor {
    destination: Destination,
    lanes: Lanes<Consignment>,
    health: Health,
    concurrency: Concurrency,
    carrier: Carrier,
    in_flight: HashMap<RequestId, (SpawnHandle, Permit)>,
    timer: Option<(Instant, SpawnHandle)>,
    metrics: SinkMetrics,
    directory: Arc<Directory>,
    stopped: Recipient<ChildStopped>,
    last_error: Option<LastError>,
    /// The revisions below which routes of these topics no longer lead here.
    floors: HashMap<(InputId, Arc<str>), u64>,
    /// Whether the end was asked for, so that the router need not be told.
    finished: bool,
}

impl ForwarderActor {
    pub(crate) fn new(
        destination: Destination,
        carrier: Carrier,
        directory: Arc<Directory>,
        metrics: &Metrics,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        Self {
            lanes: Lanes::new(destination.limits),
            health: Health::new(destination.health, fastrand::Rng::new()),
            concurrency: Concurrency::new(destination.limits.max_requests),
            metrics: SinkMetrics::new(metrics, &destination.id.0),
            destination,
            carrier,
            in_flight: HashMap::new(),
            timer: None,
            directory,
            stopped,
            last_error: None,
            floors: HashMap::new(),
            finished: false,
        }
    }

    /// Sends what may be sent now, and sees to it that it is called again when more may.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.lanes.set_max_requests(self.concurrency.limit());
        let again = loop {
            if let Gate::Closed(until) = self.health.gate(now) {
                break until;
            }
            match self.lanes.next(now) {
                Some(request) => {
                    let permit = self.health.sent();
                    self.send(request, permit, ctx);
                }
                None => break self.lanes.due(),
            }
        };
        if let Some(at) = again {
            self.wake_at(at, now, ctx);
        }
        let load = self.lanes.load();
        let waiting = load.queued_items + load.in_flight_items;
        self.metrics
            .queued
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let at_once = self.concurrency.limit();
        self.metrics
            .concurrency
            .set(i64::try_from(at_once).unwrap_or(i64::MAX));
    }

    fn wake_at(&mut self, at: Instant, now: Instant, ctx: &mut Context<Self>) {
        if let Some((earlier, handle)) = self.timer {
            if earlier <= at && earlier > now {
                return;
            }
            ctx.cancel_future(handle);
        }
        let handle = ctx.run_later(at.saturating_duration_since(now), |actor, ctx| {
            actor.timer = None;
            actor.pump(ctx);
        });
        self.timer = Some((at, handle));
    }

    fn send(&mut self, request: Request, permit: Permit, ctx: &mut Context<Self>) {
        let endpoint = &request.endpoint;
        let post = Post {
            endpoint: Arc::clone(endpoint),
            items: Arc::clone(&request.items),
            ranges: match endpoint.is_identified() {
                true => self.ranges(&request),
                false => Vec::new(),
            },
        };
        let carrier = self.carrier.clone();
        let parts = carrier.wants();
        let origins = parts.map_or_else(Vec::new, |parts| self.origins(&request, parts));
        let id = request.id;
        let ticket = self.concurrency.sent(self.lanes.load().in_flight_requests);
        let handle = ctx.spawn(
            async move {
                let began = Instant::now();
                let outcome = carrier.send(post, origins).await;
                (request, outcome, began.elapsed())
            }
            .into_actor(self)
            .map(move |(request, outcome, took), actor, ctx| {
                actor.in_flight.remove(&id);
                actor.metrics.delivery_seconds.observe(took.as_secs_f64());
                actor.finished(&request, permit, Timed { ticket, took }, outcome);
                actor.pump(ctx);
            }),
        );
        self.in_flight.insert(id, (handle, permit));
    }

    /// What the carrier wants to know of the record of each item.
    fn origins(&self, request: &Request, wanted: OriginParts) -> Vec<Origin> {
        let mut origins = Vec::with_capacity(request.items.len());
        for part in self.lanes.parts(request.id) {
            origins.extend(part.items.iter().map(|item| {
                let record = part.payload.record(item.record);
                record.map_or_else(Origin::default, |(_, record)| Origin::of(&record, wanted))
            }));
        }
        origins
    }

    /// The offsets of what a request carries, one after the other.
    fn ranges(&self, request: &Request) -> Vec<OffsetRange> {
        let mut ranges: Vec<OffsetRange> = Vec::new();
        for part in self.lanes.parts(request.id) {
            for item in part.items {
                let Some((batch, record)) = part.payload.record(item.record) else {
                    continue;
                };
                let offset = record.offset();
                match ranges.last_mut() {
                    Some(range) if range.source == *batch.source() => range.last = offset,
                    _ => ranges.push(OffsetRange {
                        source: batch.source().clone(),
                        first: offset,
                        last: offset,
                    }),
                }
            }
        }
        ranges
    }

    fn finished(
        &mut self,
        request: &Request,
        permit: Permit,
        timed: Timed,
        outcome: Result<Answer, TransportError>,
    ) {
        match &outcome {
            Ok(answer) => self
                .metrics
                .request(itoa::Buffer::new().format(answer.status)),
            Err(error) => self.metrics.request(error.layer.as_str()),
        }
        let id = request.id;
        let verdict = classify(
            request.endpoint.policy(),
            &outcome,
            request.counted,
            request.items.len(),
        );
        match &verdict {
            Verdict::Retry { .. } => self.concurrency.failed(timed.ticket),
            // They say nothing about load.
            Verdict::RetryBounded { .. } | Verdict::Hold { .. } => {}
            _ => self.concurrency.answered(timed.ticket, timed.took),
        }
        let now = Instant::now();
        match verdict {
            Verdict::Delivered => {
                self.recovered(permit);
                self.delivered(id, outcome.ok());
            }
            Verdict::PartialSuccess { rejected, message } => {
                self.recovered(permit);
                self.metrics.partial_rejections.inc_by(rejected);
                tracing::warn!(
                    sink = %self.destination.id, rejected, message, "partial success"
                );
                self.delivered(id, None);
            }
            Verdict::Retry { after, reason } => {
                self.failed(permit, Failure::Passing, after, reason, now);
                self.lanes.retry(id, false, now);
            }
            Verdict::RetryBounded { after, reason } => {
                self.failed(permit, Failure::Ambiguous, after, reason, now);
                self.lanes.retry(id, true, now + BOUNDED_RETRY_PAUSE);
            }
            Verdict::Hold { after, reason } => {
                self.failed(permit, Failure::Hold, after, reason, now);
                self.lanes.retry(id, false, now);
            }
            Verdict::TooLarge { reason } => {
                self.note(&reason);
                self.recovered(permit);
                if !self.lanes.too_large(id) {
                    self.reject(id, &reason, request.tries);
                }
            }
            Verdict::Bisect { reason } => {
                self.note(&reason);
                self.recovered(permit);
                if !self.lanes.bisect(id) {
                    self.reject(id, &reason, request.tries);
                }
            }
            Verdict::Rejected { reason } => {
                self.note(&reason);
                self.recovered(permit);
                self.reject(id, &reason, request.tries);
            }
            Verdict::Dropped { reason } => {
                self.note(&reason);
                self.recovered(permit);
                let rejected = &self.metrics.rejected;
                let settled = self.lanes.rejected(id, |consignment, items| {
                    rejected.inc_by(items.len() as u64);
                    for item in items {
                        consignment.settle(item.record, Outcome::DroppedByStatus);
                    }
                });
                drop(settled);
            }
        }
    }

    fn delivered(&mut self, id: RequestId, answer: Option<Answer>) {
        let delivered = &self.metrics.delivered;
        if let Some(answer) = answer
            && let Some(message) = answered(&self.lanes, id, answer)
        {
            let parser = message
                .asked
                .first()
                .and_then(|(consignment, record)| consignment.record(*record))
                .and_then(|(batch, _)| {
                    let waits = self.directory.load().terms.waits(&message.route);
                    self.directory.parser(batch.source(), waits)
                });
            // The records are settled with the points of the answer; until then their shares
            // travel in the message.
            drop(
                self.lanes
                    .delivered(id, |_, items| delivered.inc_by(items.len() as u64)),
            );
            if let Some(parser) = parser {
                parser.do_send(message);
            }
            return;
        }
        drop(self.lanes.delivered(id, |consignment, items| {
            delivered.inc_by(items.len() as u64);
            let records = items.iter().map(|item| item.record);
            consignment.settle_all(records, Outcome::Delivered);
        }));
    }

    fn reject(&mut self, id: RequestId, reason: &Reason, tries: u32) {
        let mut buried = Vec::new();
        let text = reason.to_string();
        let cause = Cause {
            stage: "deliver",
            reason: &text,
            time_ms: SystemClock.now_ns() / 1_000_000,
        };
        let rejected = &self.metrics.rejected;
        drop(self.lanes.rejected(id, |consignment, items| {
            rejected.inc_by(items.len() as u64);
            let (letters, records) = items
                .iter()
                .filter_map(|item| {
                    let letter = consignment.letter(item.record, &item.body, cause)?;
                    let letter = DeadLetter {
                        status: reason.status,
                        attempts: tries + 1,
                        ..letter
                    };
                    Some((letter, item.record))
                })
                .unzip();
            buried.push(Bury {
                letters,
                records,
                consignment: consignment.share(),
            });
        }));
        let addresses = self.directory.load();
        for message in buried {
            addresses.dead_letter.do_send(message);
        }
    }

    fn recovered(&mut self, permit: Permit) {
        if self.health.succeeded(permit) {
            tracing::info!(sink = %self.destination.id, "the destination is up again");
            self.show_state();
        }
    }

    fn failed(
        &mut self,
        permit: Permit,
        failure: Failure,
        after: Option<Duration>,
        reason: Reason,
        now: Instant,
    ) {
        self.metrics.retry(&reason.code);
        self.last_error = Some(LastError::now(reason.to_string()));
        let text = reason.to_string();
        if self.health.failed(permit, failure, after, reason, now) {
            let state = self.health.state().as_str();
            tracing::warn!(
                sink = %self.destination.id, state, reason = text,
                "the destination does not take data; nothing is lost, its topics wait"
            );
        }
        self.show_state();
    }

    fn note(&mut self, reason: &Reason) {
        self.last_error = Some(LastError::now(reason.to_string()));
    }

    fn show_state(&self) {
        self.metrics.state.set(match self.health.state() {
            State::Up => 0,
            State::BackingOff { .. } => 1,
            State::Alarm { .. } => 2,
        });
    }

    /// Lets go of work that nobody waits for any more, requests under way included.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let cancelled = self.lanes.cancel(Consignment::is_cancelled);
        self.abandon(cancelled, ctx);
        self.pump(ctx);
    }

    /// Gives back what came by routes that are no longer in force, requests under way included.
    fn recall(&mut self, ctx: &mut Context<Self>) {
        let floors = &self.floors;
        let cancelled = self
            .lanes
            .cancel(|consignment| is_outdated(floors, consignment));
        self.abandon(cancelled, ctx);
        self.pump(ctx);
    }

    fn abandon(&mut self, cancelled: Cancelled<Consignment>, ctx: &mut Context<Self>) {
        for id in cancelled.void {
            if let Some((handle, permit)) = self.in_flight.remove(&id) {
                ctx.cancel_future(handle);
                self.health.abandoned(permit);
            }
            drop(self.lanes.delivered(id, |_, _| {}));
        }
        for consignment in cancelled.payloads {
            consignment.recall();
        }
    }
}

/// Whether the route of a consignment was replaced by one that leads elsewhere.
fn is_outdated(floors: &HashMap<(InputId, Arc<str>), u64>, consignment: &Consignment) -> bool {
    consignment.route().is_some_and(|route| {
        let floor = floors.get(&(route.input.clone(), Arc::clone(&route.topic)));
        floor.is_some_and(|floor| route.since < *floor)
    })
}

/// How long a request took that was sent with `ticket`.
struct Timed {
    ticket: Ticket,
    took: Duration,
}

/// If the answer of a handle is to be read for points: the message that has it read.
fn answered(lanes: &Lanes<Consignment>, id: RequestId, answer: Answer) -> Option<ParseAnswer> {
    let route = Arc::clone(lanes.parts(id).next()?.payload.route()?);
    let RouteKind::Handle(HandleRoute {
        answers: Some(_), ..
    }) = &route.kind
    else {
        return None;
    };
    let mut asked = Vec::new();
    for part in lanes.parts(id) {
        for item in part.items {
            asked.push((part.payload.share(), item.record));
        }
    }
    let header = |name: &str| {
        answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    Some(ParseAnswer {
        category: answer_category(header("x-category")),
        content_type: header("content-type").map(str::to_owned),
        body: answer.body,
        route,
        asked,
    })
}

impl Actor for ForwarderActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.show_state();
    }
}

impl Drop for ForwarderActor {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let child = Child::Forwarder(self.destination.id.clone());
        self.stopped.do_send(ChildStopped { child });
    }
}

impl Handler<Forward> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, forward: Forward, ctx: &mut Self::Context) {
        if !self.floors.is_empty() && is_outdated(&self.floors, &forward.consignment) {
            forward.consignment.recall();
            return;
        }
        let parcel = Parcel {
            lane: LaneId(forward.lane),
            endpoint: forward.endpoint,
            items: forward.items.into(),
            arrived: Instant::now(),
            payload: forward.consignment,
        };
        drop(self.lanes.push_within(parcel, forward.pool));
        self.pump(ctx);
    }
}

impl Handler<Flush> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.lanes.flush(Instant::now());
        self.pump(ctx);
    }
}

impl Handler<Adopt> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut Self::Context) {
        self.lanes.set_limits(adopt.destination.limits);
        let most = adopt.destination.limits.max_requests;
        self.concurrency.set_max(most);
        self.health.set_options(adopt.destination.health);
        self.destination = adopt.destination;
        if let Some(carrier) = adopt.carrier {
            retire(std::mem::replace(&mut self.carrier, carrier));
        }
        // Whatever was wrong with it may be mended now.
        self.health.probe_now(Instant::now());
        self.pump(ctx);
    }
}

impl Handler<Recall> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, recall: Recall, ctx: &mut Self::Context) {
        for topic in &*recall.topics {
            self.floors.insert(topic.clone(), recall.revision);
        }
        self.recall(ctx);
    }
}

impl Handler<Retire> for ForwarderActor {
    type Result = bool;

    fn handle(&mut self, retire: Retire, ctx: &mut Self::Context) -> bool {
        if !retire.force && !self.lanes.is_idle() {
            self.lanes.flush(Instant::now());
            self.pump(ctx);
            return false;
        }
        let cancelled = self.lanes.cancel(|_| true);
        let left = cancelled.payloads.len();
        if left > 0 {
            tracing::warn!(
                sink = %self.destination.id, batches = left,
                "a destination that left the configuration did not take what it still had; it goes \
                 where it is routed now"
            );
        }
        self.abandon(cancelled, ctx);
        self.finished = true;
        ctx.stop();
        true
    }
}

impl Handler<Sweep> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) {
        self.sweep(ctx);
    }
}

impl Handler<GetDestinationStatus> for ForwarderActor {
    type Result = MessageResult<GetDestinationStatus>;

    fn handle(&mut self, _: GetDestinationStatus, _: &mut Self::Context) -> Self::Result {
        let load = self.lanes.load();
        let state = self.health.state();
        MessageResult(DestinationStatus {
            name: self.destination.id.to_string(),
            url: self.destination.shown_url(),
            state: state.as_str().to_owned(),
            alarm: matches!(state, State::Alarm { .. }),
            reason: state.reason().map(ToString::to_string),
            queued_items: load.queued_items,
            in_flight_items: load.in_flight_items,
            in_flight_requests: load.in_flight_requests,
            oldest_seconds: load.oldest.map(|oldest| oldest.elapsed().as_secs_f64()),
            last_error: self.last_error.as_ref().map(LastError::status),
        })
    }
}
