//! [`ForwarderActor`]: one destination.
//!
//! It owns the machine that decides ([`Delivery`]) and the carrier that sends, and lives as long as the
//! destination is configured. It passes messages, outcomes and the time in, starts what the machine
//! wants sent, and tells records, dead letters, metrics and the log what became of it. It decides
//! nothing about requests itself.
//!
//! An output that is not required keeps points in a backlog of its own: their records are settled when
//! they are taken in, and what is beyond the backlog is dropped and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Recipient,
    SpawnHandle, WrapFuture,
};

use super::consignment::Consignment;
use super::directory::Directory;
use super::messages::{
    Adopt, Child, ChildStopped, DecideSuspect, Flush, Forward, GetDestinationStatus, Recall,
    Retire, Sweep,
};
use super::status::{DestinationStatus, ErrorStatus, SuspectStatus};
use crate::metrics::{DestinationMetrics, Metrics};
use crate::outputs::{Carrier, ItemOrigin, retire};
use crate::routing::Destination;
use kafkamq_conversion::route::InputId;
use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::delivery::{Delivery, Notice, SuspectView};
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_delivery::health::State;
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::{Cancelled, LaneId, Parcel, Request, RequestId};
use kafkamq_memory::{Account, Charge};
use kafkamq_record::Outcome;
use kafkamq_settings::OriginParts;

mod backlog;
mod fates;

use backlog::{Backlog, Turn};
use fates::Fates;

/// Suspects that the status page shows.
const SHOWN_SUSPECTS: usize = 10;

/// One destination.
pub(crate) struct ForwarderActor {
    destination: Destination,
    delivery: Delivery<Consignment>,
    carrier: Arc<dyn Carrier>,
    in_flight: HashMap<RequestId, SpawnHandle>,
    /// What requests take besides their items is charged here.
    requests: Arc<Account>,
    /// Whether a request went out beyond the account, so that the next one waits until one is done.
    is_short: bool,
    timer: Option<(Instant, SpawnHandle)>,
    metrics: DestinationMetrics,
    directory: Arc<Directory>,
    stopped: Recipient<ChildStopped>,
    backlog: Backlog,
    /// The revisions below which routes of these topics no longer lead here.
    floors: HashMap<(InputId, Arc<str>), u64>,
    /// Whether the end was asked for, so that the router need not be told.
    finished: bool,
}

impl ForwarderActor {
    pub(crate) fn new(
        destination: Destination,
        carrier: Arc<dyn Carrier>,
        directory: Arc<Directory>,
        metrics: &Metrics,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        let addresses = directory.load();
        let bytes = destination.backlog.unwrap_or(0);
        Self {
            backlog: Backlog::new(&addresses.backlogs, &destination.id.0, bytes),
            requests: Arc::clone(&addresses.requests),
            is_short: false,
            delivery: Delivery::new(destination.delivery, fastrand::Rng::new()),
            metrics: DestinationMetrics::new(metrics, &destination.id.0),
            destination,
            carrier,
            in_flight: HashMap::new(),
            timer: None,
            directory,
            stopped,
            floors: HashMap::new(),
            finished: false,
        }
    }

    /// Sends what may be sent now, and sees to it that it is called again when more may.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.is_short &= !self.in_flight.is_empty();
        while !self.is_short
            && let Some(request) = self.delivery.next(now)
        {
            self.send(request, ctx);
        }
        // Without memory for another request the end of one is waited for, not a time.
        if !self.is_short
            && let Some(at) = self.delivery.wake_at(now)
        {
            self.wake_at(at, now, ctx);
        }
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let load = self.delivery.load();
        let waiting = load.queued_items + load.in_flight_items;
        self.metrics.queued.set(gauge(waiting));
        let at_once = self.delivery.concurrency();
        self.metrics.concurrency.set(gauge(at_once));
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

    fn send(&mut self, request: Request, ctx: &mut Context<Self>) {
        let endpoint = &request.endpoint;
        let post = Post {
            endpoint: Arc::clone(endpoint),
            items: Arc::clone(&request.items),
            ranges: match endpoint.is_identified() {
                true => self.ranges(&request),
                false => Vec::new(),
            },
        };
        let charge = self.charge(post.bytes_beyond());
        let carrier = Arc::clone(&self.carrier);
        let parts = carrier.wants();
        let origins = parts.map_or_else(Vec::new, |parts| self.origins(&request, parts));
        let id = request.id;
        let began = Instant::now();
        let handle = ctx.spawn(
            async move {
                let outcome = carrier.send(post, origins).await;
                drop(charge);
                (request, outcome)
            }
            .into_actor(self)
            .map(move |(request, outcome), actor, ctx| {
                actor.in_flight.remove(&id);
                actor.is_short = false;
                actor.finished(&request, began, outcome);
                actor.pump(ctx);
            }),
        );
        self.in_flight.insert(id, handle);
    }

    /// Charges what a request takes besides its items. Where there is no room for it, it goes out all
    /// the same, as otherwise nothing might ever be delivered; but it is the last one then until one
    /// of those under way is done.
    fn charge(&mut self, bytes: usize) -> Option<Charge> {
        if bytes == 0 {
            return None;
        }
        Some(self.requests.try_charge(bytes).unwrap_or_else(|_| {
            self.is_short = true;
            self.requests.charge_beyond(bytes)
        }))
    }

    /// What the carrier wants to know of the record of each item.
    fn origins(&self, request: &Request, wanted: OriginParts) -> Vec<ItemOrigin> {
        let mut origins = Vec::with_capacity(request.items.len());
        for part in self.delivery.parts(request.id) {
            origins.extend(part.items.iter().map(|item| {
                let record = part.payload.record(item.record);
                record.map_or_else(ItemOrigin::default, |(_, record)| {
                    ItemOrigin::of(&record, wanted)
                })
            }));
        }
        origins
    }

    /// The offsets of what a request carries, one after the other.
    fn ranges(&self, request: &Request) -> Vec<OffsetRange> {
        let mut ranges: Vec<OffsetRange> = Vec::new();
        for part in self.delivery.parts(request.id) {
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
        began: Instant,
        outcome: Result<Reply, TransportError>,
    ) {
        let now = Instant::now();
        let took = now.saturating_duration_since(began);
        self.metrics.delivery_seconds.observe(took.as_secs_f64());
        match &outcome {
            Ok(Reply::Http(answer)) => self
                .metrics
                .request(itoa::Buffer::new().format(answer.status)),
            Ok(Reply::Taken) => self.metrics.request("taken"),
            Ok(Reply::Refused { .. }) => self.metrics.request("refused"),
            Err(error) => self.metrics.request(error.layer.as_str()),
        }
        let mut fates = Fates::new(&self.metrics, &self.destination.id);
        let notices = self
            .delivery
            .finished(now, request, took, outcome, &mut fates);
        fates.tell(&self.directory);
        // The last suspect of a destination that is up ends without news.
        let shown = self.metrics.suspects.get() != 0 || self.metrics.refusing_since.get() != 0;
        if shown || !notices.is_empty() {
            self.tell(notices, now);
        }
    }

    /// Says what has changed, in the log and the metrics.
    fn tell(&mut self, notices: Vec<Notice>, now: Instant) {
        let destination = &self.destination.id;
        for notice in notices {
            match notice {
                Notice::Up => tracing::info!(%destination, "the destination is up again"),
                Notice::Down { state, reason } => {
                    let asked = self.delivery.last_refusal().map(|last| last.asked.clone());
                    let what = match self.destination.backlog {
                        None => {
                            "the destination does not take data; nothing is lost, its topics wait"
                        }
                        Some(_) => {
                            "the destination does not take data; it is not required, so points wait \
                             in its backlog and are dropped beyond it"
                        }
                    };
                    tracing::warn!(%destination, state, %reason, asked = asked.as_deref(), "{what}");
                }
                Notice::Suspect => {
                    let suspects = self.delivery.suspects();
                    let Some(first) = suspects.first() else {
                        continue;
                    };
                    let SuspectStatus {
                        topic,
                        partition,
                        offset,
                        items,
                        asked,
                        answer,
                        ..
                    } = suspect_status(first, now);
                    tracing::warn!(
                        %destination, topic, partition, offset, items, asked, answer,
                        "a request is refused time and again; others are sent before it, and it is \
                         given up only if they are accepted or an operator says so"
                    );
                }
                Notice::Again(code) => self.metrics.retry(&code),
            }
        }
        self.show_state(now);
    }

    fn show_state(&self, now: Instant) {
        self.metrics.state.set(match self.delivery.state() {
            State::Up => 0,
            State::BackingOff { .. } => 1,
            State::Alarm { .. } => 2,
        });
        let condition = self.delivery.condition(now);
        let suspects = i64::try_from(condition.suspects).unwrap_or(i64::MAX);
        self.metrics.suspects.set(suspects);
        let since = condition.since.map_or(0, |since| {
            let wall = SystemTime::now().checked_sub(now.saturating_duration_since(since));
            wall.and_then(|wall| wall.duration_since(SystemTime::UNIX_EPOCH).ok())
                .and_then(|since| i64::try_from(since.as_secs()).ok())
                .unwrap_or(0)
        });
        self.metrics.refusing_since.set(since);
    }

    /// Drops work that is not waited for any more, requests under way included.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let cancelled = self.delivery.cancel(Consignment::is_cancelled);
        self.abandon(cancelled, ctx);
        self.pump(ctx);
    }

    /// Gives back what came by routes that are no longer in force, requests under way included.
    fn recall(&mut self, ctx: &mut Context<Self>) {
        let floors = &self.floors;
        let cancelled = self
            .delivery
            .cancel(|consignment| is_outdated(floors, consignment));
        self.abandon(cancelled, ctx);
        self.pump(ctx);
    }

    fn abandon(&mut self, cancelled: Cancelled<Consignment>, ctx: &mut Context<Self>) {
        for id in cancelled.void {
            if let Some(handle) = self.in_flight.remove(&id) {
                ctx.cancel_future(handle);
            }
        }
        for consignment in cancelled.payloads {
            consignment.recall();
        }
        self.show_state(Instant::now());
    }

    /// Takes points into the backlog of an output that is not required, or drops them. Either way
    /// their records need not wait for it.
    fn detach(&mut self, forward: Forward) -> Option<Forward> {
        let records = forward.items.iter().map(|item| item.record);
        forward
            .consignment
            .settle_all(records, Outcome::NotRequired);
        let taken = self.backlog.take(&forward.items);
        if taken.dropped > 0 {
            self.metrics.dropped("backlog_full", taken.dropped);
        }
        let destination = &self.destination.id;
        match taken.turn {
            Some(Turn::Full(error)) => tracing::warn!(
                %destination, %error,
                "the backlog of an output that is not required is full; points for it are dropped"
            ),
            Some(Turn::Room) => tracing::info!(%destination, "the backlog has room again"),
            None => {}
        }
        (!taken.items.is_empty()).then(|| Forward {
            items: taken.items,
            consignment: Consignment::Unattached,
            ..forward
        })
    }
}

/// Whether the route of a consignment was replaced by one that leads elsewhere.
fn is_outdated(floors: &HashMap<(InputId, Arc<str>), u64>, consignment: &Consignment) -> bool {
    consignment.route().is_some_and(|route| {
        let floor = floors.get(&(route.input.clone(), Arc::clone(&route.topic)));
        floor.is_some_and(|floor| route.since < *floor)
    })
}

fn suspect_status(suspect: &SuspectView<'_, Consignment>, now: Instant) -> SuspectStatus {
    let record = suspect.first.and_then(|(consignment, item)| {
        let (batch, record) = consignment.record(item.record)?;
        Some((batch.source().clone(), record.offset()))
    });
    let since = suspect.since.unwrap_or(now);
    SuspectStatus {
        topic: record.as_ref().map(|(source, _)| source.topic.to_string()),
        partition: record.as_ref().map(|(source, _)| source.partition),
        offset: record.as_ref().map(|(_, offset)| *offset),
        items: suspect.items,
        asked: suspect.asked.to_string(),
        status: suspect.reason.and_then(|reason| reason.status),
        answer: suspect.reason.map(ToString::to_string).unwrap_or_default(),
        refusals: suspect.refusals,
        seconds: now.saturating_duration_since(since).as_secs_f64(),
    }
}

impl Actor for ForwarderActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.show_state(Instant::now());
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
        // What comes behind the sweep of its assignment would overtake what the next owner sends again.
        if forward.consignment.is_cancelled() {
            return;
        }
        let forward = match self.destination.backlog {
            None => forward,
            Some(_) => match self.detach(forward) {
                Some(forward) => forward,
                None => return,
            },
        };
        let parcel = Parcel {
            lane: LaneId(forward.lane),
            endpoint: forward.endpoint,
            items: forward.items.into(),
            arrived: Instant::now(),
            payload: forward.consignment,
        };
        drop(self.delivery.push(parcel, forward.pool));
        self.pump(ctx);
    }
}

impl Handler<Flush> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.delivery.flush(Instant::now());
        self.pump(ctx);
    }
}

impl Handler<Adopt> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut Self::Context) {
        self.delivery
            .set_options(Instant::now(), adopt.destination.delivery);
        self.destination = adopt.destination;
        self.backlog
            .set_limit(self.destination.backlog.unwrap_or(0));
        if let Some(carrier) = adopt.carrier {
            retire(std::mem::replace(&mut self.carrier, carrier));
        }
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
        if !retire.force && !self.delivery.is_idle() {
            self.delivery.flush(Instant::now());
            self.pump(ctx);
            return false;
        }
        let cancelled = self.delivery.cancel(|_| true);
        let left = cancelled.payloads.len();
        if left > 0 {
            tracing::warn!(
                destination = %self.destination.id, batches = left,
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
        let now = Instant::now();
        let load = self.delivery.load();
        let condition = self.delivery.condition(now);
        let ago = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        let suspects = self.delivery.suspects();
        let first = suspects.iter().take(SHOWN_SUSPECTS);
        MessageResult(DestinationStatus {
            name: self.destination.id.to_string(),
            url: self.destination.shown_url(),
            state: condition.state.to_owned(),
            alarm: condition.alarm,
            reason: condition.reason.map(|reason| reason.to_string()),
            refusing_seconds: condition.since.map(ago),
            asked: condition.asked.map(|asked| asked.to_string()),
            suspects: condition.suspects,
            first_suspects: first.map(|one| suspect_status(one, now)).collect(),
            required: self.destination.backlog.is_none(),
            queued_items: load.queued_items,
            in_flight_items: load.in_flight_items,
            in_flight_requests: load.in_flight_requests,
            items_without_offsets: self.delivery.count(Consignment::is_unattached),
            oldest_seconds: load.oldest.map(ago),
            last_error: self.delivery.last_refusal().map(|last| ErrorStatus {
                seconds_ago: ago(last.at),
                message: last.reason.to_string(),
            }),
        })
    }
}

impl Handler<DecideSuspect> for ForwarderActor {
    type Result = Option<SuspectStatus>;

    fn handle(
        &mut self,
        DecideSuspect(decision): DecideSuspect,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let now = Instant::now();
        let suspects = self.delivery.suspects();
        let first = suspects.first()?;
        let (id, status) = (first.id, suspect_status(first, now));
        let mut fates = Fates::new(&self.metrics, &self.destination.id);
        self.delivery.decide(now, id, decision, &mut fates);
        fates.tell(&self.directory);
        self.show_state(now);
        self.pump(ctx);
        Some(status)
    }
}
