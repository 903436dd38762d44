//! [`ParserActor`]: CPU work between a partition and its destinations.
//!
//! Each partition is served by one parser, chosen by hash, so its batches stay in order. A parser
//! leaves records out by rule, splits values, builds points, runs their script and encodes what
//! remains, once per encoding, into one buffer whose slices become the items of requests. It owns
//! nothing that outlives a batch but its samplers and scratch buffers, so replacing one that died
//! loses nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{SystemTime, UNIX_EPOCH};

use actix::{Actor, Context, Handler, Recipient};
use bytes::Bytes;
use kafkamq_point::{Category, Point, Rules};

use super::consignment::{Answer, Consignment, Records};
use super::directory::{Addresses, Directory};
use super::messages::{Bury, Child, ChildStopped, Forward, ParseAnswer, ParseBatch};
use crate::metrics::{Metrics, Outcome, TopicMetrics};
use crate::parse::{
    Origin, Sampler, answer_points, build_point, encode_for_handle, passes_header_check, split,
};
use crate::record::Record;
use crate::routing::{HandleRoute, InputId, KeyLanes, OutputRoute, PointRoute, Route, RouteKind};
use crate::settings::{PointTime, SplitFailure, ValuePolicy};
use crate::sinks::dead_letter::DeadLetter;
use crate::sinks::endpoint::Endpoint;
use crate::sinks::lanes::Item;

/// One of the parsers.
pub(crate) struct ParserActor {
    index: usize,
    directory: Arc<Directory>,
    metrics: Metrics,
    topics: HashMap<(InputId, Arc<str>), TopicState>,
    stopped: Recipient<ChildStopped>,
}

/// What a parser keeps for a topic.
struct TopicState {
    metrics: Arc<TopicMetrics>,
    sampler: Option<Sampler>,
    /// The route the sampler was made for.
    route: Arc<Route>,
    /// Counts records without a key, which may go to any lane.
    spread: u64,
    topic_json: String,
}

impl TopicState {
    fn new(route: &Arc<Route>, metrics: &Metrics) -> Self {
        Self {
            metrics: Arc::new(TopicMetrics::new(metrics, &route.topic)),
            sampler: route
                .sampling
                .map(|(rate, key)| Sampler::new(rate, key, fastrand::Rng::new())),
            route: Arc::clone(route),
            spread: 0,
            topic_json: serde_json::Value::from(&*route.topic).to_string(),
        }
    }
}

/// What becomes of a record before its route looks at it.
enum Admission {
    Process,
    Settle(Outcome),
    Bury(&'static str),
}

/// The items of one lane for one endpoint, with where they go.
struct Outgoing<'a> {
    destination: &'a crate::routing::DestinationId,
    endpoint: &'a Arc<Endpoint>,
    lane: u64,
    items: Vec<Item>,
}

/// Encoded bodies of one output and category, before they become slices.
struct Encoded<'a> {
    output: &'a OutputRoute,
    category: Category,
    lane: u64,
    buffer: Vec<u8>,
    /// Record index and end of its bytes in the buffer.
    ends: Vec<(u32, usize)>,
}

impl ParserActor {
    pub(crate) fn new(
        index: usize,
        directory: Arc<Directory>,
        metrics: Metrics,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        Self {
            index,
            directory,
            metrics,
            topics: HashMap::new(),
            stopped,
        }
    }

    fn state(&mut self, route: &Arc<Route>) -> &mut TopicState {
        let key = (route.input.clone(), Arc::clone(&route.topic));
        let metrics = &self.metrics;
        let state = self
            .topics
            .entry(key)
            .or_insert_with(|| TopicState::new(route, metrics));
        if state.route.sampling != route.sampling {
            *state = TopicState::new(route, metrics);
        }
        state
    }

    fn parse(&mut self, parse: ParseBatch) {
        let ParseBatch {
            route,
            batch,
            share,
        } = parse;
        let directory = Arc::clone(&self.directory);
        let addresses = directory.load();
        let state = self.state(&route);
        let consignment = Consignment::Records(Records {
            route: Arc::clone(&route),
            batch: Arc::clone(&batch),
            share: share.share(),
            metrics: Arc::clone(&state.metrics),
        });
        let mut work = Work {
            route: &route,
            state,
            directory: &directory,
            addresses: &addresses,
            source: batch.source(),
            share: &share,
            consignment: &consignment,
            outgoing: Vec::new(),
            encoded: Vec::new(),
            letters: Vec::new(),
            buried: Vec::new(),
            now_ns: now_ns(),
            handle_buffer: Vec::new(),
            handle_ends: Vec::new(),
        };
        for (index, record) in (0u32..).zip(batch.iter()) {
            work.record(index, &record);
        }
        work.dispatch();
    }

    /// Sends the points of an answer to the outputs; the records that were asked about are settled
    /// with the last of them.
    fn answer(&self, message: ParseAnswer) {
        let ParseAnswer {
            route,
            category,
            content_type,
            body,
            asked,
        } = message;
        let RouteKind::Handle(HandleRoute {
            answers: Some(outputs),
            ..
        }) = &route.kind
        else {
            return;
        };
        let addresses = self.directory.load();
        let points = match answer_points(&body, content_type.as_deref(), category, now_ns()) {
            Ok(points) => points,
            Err(errors) => {
                let reason = format!("the answer's points cannot be read: {errors}");
                for (consignment, record) in asked {
                    bury(&addresses, consignment, record, "answer", &reason);
                }
                return;
            }
        };
        let mut bodies: Vec<Encoded<'_>> = Vec::new();
        for point in &points {
            for output in outputs.iter() {
                encode(&mut bodies, output, point, 0, 0);
            }
        }
        let count = bodies.iter().map(|body| body.ends.len()).sum::<usize>();
        if count == 0 {
            for (consignment, record) in &asked {
                consignment.settle(*record, Outcome::Delivered);
            }
            return;
        }
        // All of an answer's points keep the order of the first partition asked about.
        let lane = asked
            .first()
            .and_then(|(consignment, record)| consignment.record(*record))
            .map_or(0, |(batch, _)| self.directory.lane(batch.source(), 0));
        let answer = Arc::new(Answer {
            route: Arc::clone(&route),
            asked,
            open: AtomicU32::new(u32::try_from(count).unwrap_or(u32::MAX)),
        });
        for body in bodies {
            let consignment = Consignment::Answer(Arc::clone(&answer));
            let Some(endpoint) = body.output.endpoint(body.category) else {
                continue;
            };
            if let Some(forwarder) = addresses.forwarders.get(&body.output.destination) {
                forwarder.do_send(Forward {
                    endpoint: Arc::clone(endpoint),
                    lane,
                    items: slices(body.buffer, &body.ends),
                    consignment,
                });
            }
        }
    }
}

/// The work on one batch.
struct Work<'a> {
    route: &'a Arc<Route>,
    state: &'a mut TopicState,
    directory: &'a Directory,
    addresses: &'a Addresses,
    source: &'a crate::record::TopicPartition,
    share: &'a crate::ack::AckShare,
    consignment: &'a Consignment,
    outgoing: Vec<Outgoing<'a>>,
    encoded: Vec<Encoded<'a>>,
    letters: Vec<DeadLetter>,
    buried: Vec<u32>,
    now_ns: i64,
    handle_buffer: Vec<u8>,
    handle_ends: Vec<(u32, usize, u64)>,
}

impl<'a> Work<'a> {
    fn record(&mut self, index: u32, record: &Record<'_>) {
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
            RouteKind::Acknowledge => self.consignment.settle(index, Outcome::Acknowledged),
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
            RouteKind::Points(points) => self.points(index, record, points),
            RouteKind::Handle(handle) => {
                let value = record.value().unwrap_or_default();
                if !passes_header_check(value, handle.header_check) {
                    self.consignment.settle(index, Outcome::HeaderRejected);
                    return;
                }
                let topic = &self.state.topic_json;
                encode_for_handle(record, topic, handle.content, &mut self.handle_buffer);
                let lane = self.lane(record);
                self.handle_ends
                    .push((index, self.handle_buffer.len(), lane));
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

    fn lane(&mut self, record: &Record<'_>) -> u64 {
        let key_lane = match (self.route.lanes, record.key()) {
            (KeyLanes::One, _) => 0,
            (KeyLanes::ByKey(lanes), Some(key)) => {
                self.directory.lane(self.source, self.directory.hash(key)) % lanes
            }
            (KeyLanes::ByKey(lanes) | KeyLanes::Free(lanes), _) => {
                self.state.spread = self.state.spread.wrapping_add(1);
                self.state.spread % lanes
            }
        };
        self.directory.lane(self.source, key_lane)
    }

    fn push(
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
        let mut items = 0u32;
        let mut add = |message: &str| {
            let mut point = build_point(message, route.category, origin, time_ns);
            Rules::limits().apply(&mut point);
            for output in route.outputs.iter() {
                items += u32::from(encode(&mut self.encoded, output, &point, index, lane));
            }
        };
        match elements {
            Some(elements) => elements.into_iter().for_each(&mut add),
            None => add(&String::from_utf8_lossy(value)),
        }
        match items {
            0 => self.consignment.settle(index, Outcome::Dropped),
            items => self.share.expect_items(index, items),
        }
    }

    fn bury(&mut self, index: u32, record: &Record<'_>, stage: &str, reason: &str) {
        let letter = letter_of(self.route, self.source, record, stage, reason);
        self.letters.push(letter);
        self.buried.push(index);
    }

    /// Sends everything on its way.
    fn dispatch(mut self) {
        let route: &'a Route = self.route;
        if let RouteKind::Handle(handle) = &route.kind {
            let buffer = Bytes::from(std::mem::take(&mut self.handle_buffer));
            let mut start = 0;
            for (record, end, lane) in std::mem::take(&mut self.handle_ends) {
                let item = Item {
                    record,
                    body: buffer.slice(start..end),
                };
                self.push(&handle.destination, &handle.endpoint, lane, item);
                start = end;
            }
        }
        for body in std::mem::take(&mut self.encoded) {
            let Some(endpoint) = body.output.endpoint(body.category) else {
                continue;
            };
            self.outgoing.push(Outgoing {
                destination: &body.output.destination,
                endpoint,
                lane: body.lane,
                items: slices(body.buffer, &body.ends),
            });
        }
        for outgoing in self.outgoing {
            if let Some(forwarder) = self.addresses.forwarders.get(outgoing.destination) {
                forwarder.do_send(Forward {
                    endpoint: Arc::clone(outgoing.endpoint),
                    lane: outgoing.lane,
                    items: outgoing.items,
                    consignment: self.consignment.share(),
                });
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

/// Encodes `point` for `output` and returns whether that made an item. A point without fields is
/// none: no destination can take it.
fn encode<'a>(
    bodies: &mut Vec<Encoded<'a>>,
    output: &'a OutputRoute,
    point: &Point,
    record: u32,
    lane: u64,
) -> bool {
    let category = point.category();
    if output.endpoint(category).is_none() {
        return false;
    }
    let same = |body: &Encoded<'a>| {
        body.lane == lane
            && body.category == category
            && body.output.destination == output.destination
    };
    let at = bodies.iter().rposition(same).unwrap_or_else(|| {
        bodies.push(Encoded {
            output,
            category,
            lane,
            buffer: Vec::new(),
            ends: Vec::new(),
        });
        bodies.len() - 1
    });
    let Some(body) = bodies.get_mut(at) else {
        return false;
    };
    match output.encoding.encode(point, &mut body.buffer) {
        Ok(()) => {
            body.ends.push((record, body.buffer.len()));
            true
        }
        Err(error) => {
            tracing::debug!(%error, "a point cannot be encoded");
            false
        }
    }
}

/// Cuts a buffer into items; framing comes between them when a request is formed.
fn slices(buffer: Vec<u8>, ends: &[(u32, usize)]) -> Vec<Item> {
    let buffer = Bytes::from(buffer);
    let mut start = 0;
    ends.iter()
        .map(|&(record, end)| {
            let body = buffer.slice(start..end);
            start = end;
            Item { record, body }
        })
        .collect()
}

fn letter_of(
    route: &Route,
    source: &crate::record::TopicPartition,
    record: &Record<'_>,
    stage: &str,
    reason: &str,
) -> DeadLetter {
    super::dead_letter::letter(&route.input, source, record, stage, reason, None, 1)
}

fn bury(addresses: &Addresses, consignment: Consignment, record: u32, stage: &str, reason: &str) {
    let Some(letter) = consignment
        .record(record)
        .map(|(batch, raw)| letter_of(consignment.route(), batch.source(), &raw, stage, reason))
    else {
        return;
    };
    let message = Bury {
        letters: vec![letter],
        records: vec![record],
        consignment,
    };
    addresses.dead_letter.do_send(message);
}

fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Actor for ParserActor {
    type Context = Context<Self>;
}

impl Drop for ParserActor {
    fn drop(&mut self) {
        self.stopped.do_send(ChildStopped {
            child: Child::Parser(self.index),
        });
    }
}

impl Handler<ParseBatch> for ParserActor {
    type Result = ();

    fn handle(&mut self, parse: ParseBatch, _: &mut Self::Context) {
        self.parse(parse);
    }
}

impl Handler<ParseAnswer> for ParserActor {
    type Result = ();

    fn handle(&mut self, answer: ParseAnswer, _: &mut Self::Context) {
        self.answer(answer);
    }
}
