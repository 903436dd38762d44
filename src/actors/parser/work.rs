//! The work on one batch: each record through admission, its route, and into items.

use std::borrow::Cow;
use std::sync::Arc;

use kafkamq_point::Point;

use super::finish::Finish;
use super::{TopicState, count_script_error, forward, letter_of};
use crate::actors::consignment::Consignment;
use crate::actors::directory::{Addresses, Directory, Terms};
use crate::actors::messages::{Bury, Forward};
use crate::metrics::{Metrics, Outcome};
use crate::parse::{
    Bodies, Origin, ScriptStep, add_record_fields, build_point, encode_for_handle,
    passes_header_check, slices, split, without_newlines,
};
use crate::routing::{KeyLanes, PointRoute, Route, RouteKind};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::{Item, Pool};
use kafkamq_record::Record;
use kafkamq_settings::{
    Newlines, PointTime, RecordFields, ScriptFailure, SplitFailure, ValuePolicy,
};

/// Lanes for each place of a pool: enough that two keys rarely share one.
const LANES_A_PLACE: u64 = 64;

/// What becomes of a record before its route looks at it.
enum Admission {
    Process,
    Settle(Outcome),
    Bury(&'static str),
}

/// The items of one lane for one endpoint, with where they go.
pub(super) struct Outgoing<'a> {
    destination: &'a crate::routing::DestinationId,
    endpoint: &'a Arc<Endpoint>,
    lane: u64,
    items: Vec<Item>,
}

/// What was made of one record so far.
#[derive(Default)]
pub(super) struct Made {
    items: u32,
    /// Why a part of it can go nowhere.
    fault: Option<String>,
    /// Whether the record goes to the dead letters although other parts of it went on.
    bury: bool,
}

/// The work on one batch.
pub(super) struct Work<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) state: &'a mut TopicState,
    pub(super) directory: &'a Directory,
    pub(super) addresses: &'a Addresses,
    pub(super) metrics: &'a Metrics,
    pub(super) terms: &'a Terms,
    pub(super) finish: Finish<'a>,
    pub(super) source: &'a kafkamq_record::TopicPartition,
    pub(super) share: &'a kafkamq_record::AckShare,
    pub(super) consignment: &'a Consignment,
    pub(super) scripts: ScriptStep<'a>,
    pub(super) outgoing: Vec<Outgoing<'a>>,
    pub(super) bodies: Bodies<'a>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) buried: Vec<u32>,
    pub(super) now_ns: i64,
    pub(super) handle_buffer: Vec<u8>,
    pub(super) handle_ends: Vec<(u32, usize)>,
    pub(super) handle_lanes: Vec<u64>,
    /// Records that need nothing more, settled together.
    pub(super) acknowledged: Vec<u32>,
    /// The lane named last and its name: neighbours mostly share one.
    pub(super) last_lane: Option<(u64, u64)>,
}

impl<'a> Work<'a> {
    pub(super) fn record(&mut self, index: u32, record: &Record<'_>) {
        match self.admit(record) {
            Admission::Settle(outcome) => {
                self.consignment.settle(index, outcome);
                return;
            }
            Admission::Bury(reason) => {
                self.bury(index, record, "admission", reason);
                return;
            }
            Admission::Process => {}
        }
        let route: &'a Route = self.route;
        match &route.kind {
            RouteKind::Acknowledge => self.acknowledged.push(index),
            RouteKind::Forward {
                destination,
                endpoint,
            } => {
                let body = record.value_bytes().unwrap_or_default();
                let lane = self.lane(record);
                self.push(
                    destination,
                    endpoint,
                    lane,
                    Item {
                        record: index,
                        body,
                    },
                );
            }
            RouteKind::Transcode(transcode) => self.transcode(index, record, transcode),
            RouteKind::Points(points) => self.points(index, record, points),
            RouteKind::ConvertedPoints(conversion, points) => {
                self.converted(index, record, *conversion, points);
            }
            RouteKind::Handle(handle) => {
                let value = record.value().unwrap_or_default();
                if !passes_header_check(value, handle.header_check) {
                    self.consignment.settle(index, Outcome::HeaderRejected);
                    return;
                }
                let topic = &self.state.topic_json;
                encode_for_handle(record, topic, handle.content, &mut self.handle_buffer);
                let lane = self.lane(record);
                self.handle_ends.push((index, self.handle_buffer.len()));
                self.handle_lanes.push(lane);
            }
        }
    }

    fn admit(&mut self, record: &Record<'_>) -> Admission {
        let empty = |policy, reason| match policy {
            ValuePolicy::Pass => None,
            ValuePolicy::Skip => Some(Admission::Settle(Outcome::SkippedEmpty)),
            ValuePolicy::DeadLetter => Some(Admission::Bury(reason)),
        };
        let verdict = match record.value() {
            None => empty(self.route.null_value, "the record has no value"),
            Some([]) => empty(self.route.empty_value, "the value is empty"),
            Some(value) if value.len() as u64 > self.terms.record_bytes => {
                tracing::warn!(
                    partition = %self.source, offset = record.offset(), bytes = value.len(),
                    "the record is larger than `limits.record_bytes`"
                );
                Some(Admission::Bury("the record is larger than the limit"))
            }
            Some(_) => None,
        };
        if let Some(admission) = verdict {
            return admission;
        }
        match &mut self.state.sampler {
            Some(sampler) => match sampler.keeps(record.key()) {
                true => Admission::Process,
                false => Admission::Settle(Outcome::Sampled),
            },
            None => Admission::Process,
        }
    }

    pub(super) fn lane(&mut self, record: &Record<'_>) -> u64 {
        // One request a record: then nearly every key can have a lane of its own, and a slow key
        // holds up no other. Where records share requests, that would only make those smaller.
        let fine = if self.is_pooled() { LANES_A_PLACE } else { 1 };
        let key_lane = match (self.route.lanes, record.key()) {
            (KeyLanes::One, _) => 0,
            (KeyLanes::ByKey(lanes), Some(key)) => self.directory.hash(key) % (lanes * fine),
            (KeyLanes::ByKey(lanes) | KeyLanes::Free(lanes), _) => {
                self.state.spread = self.state.spread.wrapping_add(1);
                self.state.spread % (lanes * fine)
            }
        };
        match self.last_lane {
            Some((known, name)) if known == key_lane => name,
            _ => {
                let name = self.directory.lane(self.source, key_lane);
                self.last_lane = Some((key_lane, name));
                name
            }
        }
    }

    fn is_pooled(&self) -> bool {
        self.route.lanes != KeyLanes::One
            && matches!(
                self.route.kind,
                RouteKind::Forward { .. } | RouteKind::Transcode(_)
            )
    }

    /// The pool of the partition's lanes: so many of them are under way at once as the route has
    /// threads.
    fn pool(&self) -> Option<Pool> {
        let places = match self.route.lanes {
            KeyLanes::ByKey(lanes) | KeyLanes::Free(lanes) if self.is_pooled() => lanes,
            _ => return None,
        };
        Some(Pool {
            id: self.directory.lane(self.source, u64::MAX),
            places: usize::try_from(places).unwrap_or(usize::MAX),
        })
    }

    pub(super) fn push(
        &mut self,
        destination: &'a crate::routing::DestinationId,
        endpoint: &'a Arc<Endpoint>,
        lane: u64,
        item: Item,
    ) {
        // Few lanes are open at once, and neighbours mostly share one.
        let same = |outgoing: &&mut Outgoing<'a>| {
            outgoing.lane == lane && Arc::ptr_eq(outgoing.endpoint, endpoint)
        };
        match self.outgoing.iter_mut().rev().find(same) {
            Some(outgoing) => outgoing.items.push(item),
            None => {
                self.outgoing.push(Outgoing {
                    destination,
                    endpoint,
                    lane,
                    items: vec![item],
                });
            }
        }
    }

    fn points(&mut self, index: u32, record: &Record<'_>, route: &'a PointRoute) {
        let value = record.value().unwrap_or_default();
        let elements = match route
            .split
            .as_ref()
            .map(|rule| (split(value, &rule.format), rule))
        {
            Some((Ok(elements), _)) => Some(elements),
            Some((Err(error), rule)) => {
                self.state.metrics.split_failures.inc();
                tracing::debug!(topic = &*self.route.topic, %error, "a value cannot be split");
                if rule.on_failure == SplitFailure::DeadLetter {
                    self.bury(index, record, "split", &error.to_string());
                    return;
                }
                None
            }
            None => None,
        };
        let time_ns = match (route.time, record.timestamp_ms()) {
            (PointTime::Record, Some(millis)) => millis.saturating_mul(1_000_000),
            _ => self.now_ns,
        };
        let origin = Origin {
            topic: &self.route.topic,
            partition: self.source.partition,
            offset: record.offset(),
        };
        let lane = self.lane(record);
        let mut made = Made::default();
        match elements {
            Some(elements) => {
                for element in elements {
                    self.element(
                        index, record, element, route, origin, time_ns, lane, &mut made,
                    );
                }
            }
            None => {
                let text = text_of(value);
                self.element(
                    index, record, &text, route, origin, time_ns, lane, &mut made,
                );
            }
        }
        self.conclude(index, record, made);
    }

    /// Says how many obligations came of a record, or settles it if none did.
    pub(super) fn conclude(&mut self, index: u32, record: &Record<'_>, made: Made) {
        let buried = made.fault.is_some() && (made.items == 0 || made.bury);
        match made.items + u32::from(buried) {
            0 => self.consignment.settle(index, Outcome::Dropped),
            obligations => self.share.expect_items(index, obligations),
        }
        if let (true, Some(fault)) = (buried, made.fault) {
            self.bury(index, record, "script", &fault);
        }
    }

    /// One text of a record to items.
    #[expect(clippy::too_many_arguments, reason = "the coordinates of one text")]
    fn element(
        &mut self,
        index: u32,
        record: &Record<'_>,
        text: &str,
        route: &'a PointRoute,
        origin: Origin<'_>,
        time_ns: i64,
        lane: u64,
        made: &mut Made,
    ) {
        tracing::debug!(
            topic = origin.topic,
            partition = origin.partition,
            offset = origin.offset,
            kafka_message = text
        );
        let text = match route.newlines {
            Newlines::Keep => Cow::Borrowed(text),
            Newlines::Space => without_newlines(text),
        };
        let mut point = build_point(&text, route.category, origin, time_ns);
        if route.fields != RecordFields::default() {
            add_record_fields(&mut point, record, route.fields);
        }
        self.scripted(index, point, route, lane, made);
    }

    /// One point through its script to items.
    pub(super) fn scripted(
        &mut self,
        index: u32,
        point: Point,
        route: &'a PointRoute,
        lane: u64,
        made: &mut Made,
    ) {
        if !self.scripts.concerns(route.category) {
            self.point(index, point, route, lane, made);
            return;
        }
        let scripted = self.scripts.run(point, &route.scripts);
        if let Some((script, error)) = &scripted.error {
            count_script_error(self.metrics, script.name(), error);
            if self.terms.script_failure == ScriptFailure::DeadLetter {
                made.bury = true;
                made.fault = Some(error.to_string());
                return;
            }
        }
        for point in scripted.point.into_iter().chain(scripted.further) {
            self.point(index, point, route, lane, made);
        }
    }

    fn point(
        &mut self,
        index: u32,
        point: Point,
        route: &'a PointRoute,
        lane: u64,
        made: &mut Made,
    ) {
        let pushed = self
            .finish
            .push(&mut self.bodies, &route.outputs, point, index, lane);
        made.items += pushed.items;
        if let Some(reason) = pushed.refused {
            made.fault = Some(reason);
        }
    }

    pub(super) fn bury(&mut self, index: u32, record: &Record<'_>, stage: &str, reason: &str) {
        let letter = letter_of(self.route, self.source, record, stage, reason);
        self.letters.push(letter);
        self.buried.push(index);
    }

    /// Sends everything on its way.
    pub(super) fn dispatch(mut self) {
        self.consignment
            .settle_all(self.acknowledged.iter().copied(), Outcome::Acknowledged);
        let made = &self.share.accounts().made;
        let route: &'a Route = self.route;
        if let RouteKind::Handle(handle) = &route.kind {
            let buffer = std::mem::take(&mut self.handle_buffer);
            let ends = std::mem::take(&mut self.handle_ends);
            let lanes = std::mem::take(&mut self.handle_lanes);
            for (item, lane) in slices(buffer, &ends, made).into_iter().zip(lanes) {
                self.push(&handle.destination, &handle.endpoint, lane, item);
            }
        }
        let pool = self.pool();
        self.scripts.finish();
        let consignment = self.consignment;
        forward(self.addresses, self.bodies, made, None, || {
            consignment.share()
        });
        for outgoing in self.outgoing {
            if let Some(forwarder) = self.addresses.forwarders.get(outgoing.destination) {
                forwarder.do_send(Forward {
                    endpoint: Arc::clone(outgoing.endpoint),
                    lane: outgoing.lane,
                    pool,
                    items: outgoing.items,
                    consignment: self.consignment.share(),
                });
            } else {
                // The destination has left the configuration since the batch was read.
                self.consignment.recall();
            }
        }
        if !self.letters.is_empty() {
            self.addresses.dead_letter.do_send(Bury {
                letters: self.letters,
                records: self.buried,
                consignment: self.consignment.share(),
            });
        }
    }
}

/// A value as text. Nearly every value is valid UTF-8, which is found out much faster than where
/// one that is not goes wrong.
fn text_of(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value),
    }
}
