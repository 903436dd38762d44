//! [`ParserActor`]: CPU work between a partition and its destinations.
//!
//! Each partition is served by one parser, chosen by hash, so its batches stay in order. A parser
//! leaves records out by rule, splits values, builds points, runs their script and encodes what
//! remains, once per output, into one buffer whose slices become the items of requests. It owns
//! nothing that outlives a batch but its samplers and scratch memory, so replacing one that died
//! loses nothing. The first parser also sends what aggregation in scripts gives out.

mod finish;
mod transcode;
mod work;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::manager::ScriptRoutes;
use kafkamq_pipeline::{Clock as _, RunState, SystemClock};

use self::finish::Finish;
use self::work::Work;
use super::consignment::{Answer, Consignment, Records};
use super::directory::{Addresses, Directory, Terms};
use super::messages::{
    Bury, Child, ChildStopped, Forward, ParseAnswer, ParseBatch, SendAggregated,
};
use crate::metrics::{Metrics, Outcome, TopicMetrics};
use crate::parse::{Bodies, Sampler, ScriptStep, answer_points};
use crate::recorder::{AGGREGATED_FEED, Feed, HANDLE_FEED, topic_feed};
use crate::routing::{HandleRoute, InputId, Route, RouteKind};
use crate::scripts::{Aggregated, Scripts};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_record::Record;

/// How often aggregation is asked for what is due.
const AGGREGATE_INTERVAL: Duration = Duration::from_secs(1);

/// One of the parsers.
pub(crate) struct ParserActor {
    index: usize,
    directory: Arc<Directory>,
    metrics: Metrics,
    topics: HashMap<(InputId, Arc<str>), TopicState>,
    scripts: Arc<Scripts>,
    run: RunState,
    stopped: Recipient<ChildStopped>,
}

/// What every parser is started with.
#[derive(Clone)]
pub(crate) struct ParserOptions {
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Metrics,
    pub(crate) scripts: Arc<Scripts>,
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
    growth: Growth,
}

/// How much longer encoded points are than the records they come from. Scripts and escapes make them
/// grow, and a buffer that has to grow with them is copied each time.
#[derive(Debug, Clone, Copy)]
struct Growth {
    /// Sixteenths.
    ratio: usize,
}

impl Growth {
    const NONE: Self = Self { ratio: 16 };

    /// Bytes to expect of records of this many bytes.
    const fn expect(self, record_bytes: usize) -> usize {
        record_bytes / 16 * self.ratio
    }

    /// What the last batch shows: `bytes` in the largest buffer, out of records of `record_bytes`.
    fn of(bytes: usize, record_bytes: usize) -> Self {
        let ratio = (bytes.saturating_mul(16) / record_bytes.max(1)).saturating_add(2);
        Self {
            ratio: ratio.clamp(16, 64),
        }
    }
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
            growth: Growth::NONE,
        }
    }
}

impl ParserActor {
    pub(crate) fn new(
        index: usize,
        options: ParserOptions,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        let ParserOptions {
            directory,
            metrics,
            scripts,
        } = options;
        Self {
            index,
            directory,
            metrics,
            topics: HashMap::new(),
            scripts,
            run: RunState::new(),
            stopped,
        }
    }

    fn parse(&mut self, parse: ParseBatch) {
        let ParseBatch {
            route,
            terms,
            batch,
            share,
        } = parse;
        let addresses = self.directory.load();
        let key = (route.input.clone(), Arc::clone(&route.topic));
        let state = self
            .topics
            .entry(key)
            .or_insert_with(|| TopicState::new(&route, &self.metrics));
        if state.route.sampling != route.sampling {
            *state = TopicState::new(&route, &self.metrics);
        }
        let consignment = Consignment::Records(Records {
            route: Arc::clone(&route),
            batch: Arc::clone(&batch),
            share: share.share(),
            metrics: Arc::clone(&state.metrics),
        });
        let now_ns = SystemClock.now_ns();
        // Nothing is spent on the name of a feed while nothing is recorded.
        let feed = feed(&terms, || topic_feed(&route.topic).into());
        let handle_bytes = match route.kind {
            // Base64 and what stands around it.
            RouteKind::Handle(_) => batch.bytes() / 3 * 4 + batch.len() * (state.topic_json.len()),
            _ => 0,
        };
        let bodies = Bodies::with_capacity(state.growth.expect(batch.bytes()));
        let mut work = Work {
            finish: Finish::by(&terms, now_ns, feed.as_ref()),
            route: &route,
            state,
            directory: &self.directory,
            addresses: &addresses,
            metrics: &self.metrics,
            terms: &terms,
            source: batch.source(),
            share: &share,
            consignment: &consignment,
            scripts: ScriptStep::new(terms.scripts.snapshot(), &mut self.run),
            outgoing: Vec::new(),
            bodies,
            converted_bytes: 0,
            letters: Vec::new(),
            buried: Vec::new(),
            now_ns,
            handle_buffer: Vec::with_capacity(handle_bytes),
            handle_ends: Vec::new(),
            handle_lanes: Vec::new(),
            acknowledged: Vec::new(),
            last_lane: None,
        };
        for (index, record) in (0u32..).zip(batch.iter()) {
            work.record(index, &record);
        }
        let largest = work.bodies.largest();
        if largest > 0 {
            work.state.growth = Growth::of(largest, batch.bytes());
        }
        work.dispatch();
    }

    /// Sends the points of an answer to the outputs, through their scripts; the records that were
    /// asked about are settled with the last of them.
    fn answer(&mut self, message: ParseAnswer) {
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
        let points = category
            .map_err(|error| error.to_string())
            .and_then(|category| {
                answer_points(
                    &body,
                    content_type.as_deref(),
                    category,
                    SystemClock.now_ns(),
                )
                .map_err(|errors| errors.to_string())
            });
        let points = match points {
            Ok(points) => points,
            Err(problem) => {
                let reason = format!("the answer's points cannot be read: {problem}");
                for (consignment, record) in asked {
                    bury(&addresses, consignment, record, "answer", &reason);
                }
                return;
            }
        };
        let terms = &addresses.terms;
        let feed = feed(terms, || HANDLE_FEED.into());
        let finish = Finish::by(terms, SystemClock.now_ns(), feed.as_ref());
        let mut scripts = ScriptStep::new(terms.scripts.snapshot(), &mut self.run);
        let routes = ScriptRoutes::new();
        let mut bodies = Bodies::with_capacity(body.len());
        for point in points {
            let scripted = scripts.run(point, &routes);
            if let Some((script, error)) = &scripted.error {
                count_script_error(&self.metrics, script.name(), error);
            }
            for point in scripted.point.into_iter().chain(scripted.further) {
                let pushed = finish.push(&mut bodies, outputs, point, 0, 0);
                if let Some(reason) = pushed.refused {
                    tracing::warn!(
                        topic = &*route.topic,
                        reason,
                        "a point of an answer is left out"
                    );
                }
            }
        }
        scripts.finish();
        if bodies.is_empty() {
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
            open: AtomicU32::new(u32::try_from(bodies.len()).unwrap_or(u32::MAX)),
        });
        forward(&addresses, bodies, Some(lane), || {
            Consignment::Answer(Arc::clone(&answer))
        });
    }

    /// Sends what aggregation in scripts gave out.
    fn send_aggregated(&self, all: bool) {
        let aggregated = self.scripts.aggregated(SystemClock.now_ns(), all);
        if aggregated.is_empty() {
            return;
        }
        let addresses = self.directory.load();
        let terms = &addresses.terms;
        let feed = feed(terms, || AGGREGATED_FEED.into());
        let finish = Finish {
            // A window may be wider than any age.
            age: None,
            ..Finish::by(terms, SystemClock.now_ns(), feed.as_ref())
        };
        for Aggregated { points, charge } in aggregated {
            let charge = Arc::new(charge);
            let mut bodies = Bodies::default();
            for point in points {
                let pushed = finish.push(&mut bodies, &addresses.routes.outputs, point, 0, 0);
                if let Some(reason) = pushed.refused {
                    tracing::warn!(reason, "a point of aggregation is left out");
                }
            }
            let consignment = || Consignment::Unattached(Arc::clone(&charge));
            forward(&addresses, bodies, None, consignment);
        }
    }
}

/// Where copies of the points of a feed go, if they are recorded.
fn feed<'a>(terms: &Terms, name: impl FnOnce() -> Cow<'a, str>) -> Option<Feed> {
    terms.recorder.as_ref()?.feed(&name())
}

/// Sends the items of `bodies`, in their own lanes or all in `lane`.
fn forward(
    addresses: &Addresses,
    bodies: Bodies<'_>,
    lane: Option<u64>,
    consignment: impl Fn() -> Consignment,
) {
    for items in bodies.into_items() {
        let Some(endpoint) = items.output.endpoint(items.category) else {
            continue;
        };
        if let Some(forwarder) = addresses.forwarders.get(&items.output.destination) {
            forwarder.do_send(Forward {
                endpoint: Arc::clone(endpoint),
                lane: lane.unwrap_or(items.lane),
                pool: None,
                items: items.items,
                consignment: consignment(),
            });
        } else {
            // The destination has left the configuration since the batch was read.
            consignment().recall();
        }
    }
}

fn count_script_error(metrics: &Metrics, script: &str, error: &Diagnostic) {
    let code = error.code.to_string();
    metrics
        .script_errors
        .with_label_values(&[script, &code])
        .inc();
    tracing::debug!(script, %error, "a script failed on a point, which goes on as it was left");
}

fn letter_of(
    route: &Route,
    source: &kafkamq_record::TopicPartition,
    record: &Record<'_>,
    stage: &str,
    reason: &str,
) -> DeadLetter {
    super::dead_letter::letter(&route.input, source, record, stage, reason, None, 1)
}

fn bury(addresses: &Addresses, consignment: Consignment, record: u32, stage: &str, reason: &str) {
    let Some(letter) = consignment.record(record).and_then(|(batch, raw)| {
        Some(letter_of(
            consignment.route()?,
            batch.source(),
            &raw,
            stage,
            reason,
        ))
    }) else {
        return;
    };
    let message = Bury {
        letters: vec![letter],
        records: vec![record],
        consignment,
    };
    addresses.dead_letter.do_send(message);
}

impl Actor for ParserActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.index == 0 {
            ctx.run_interval(AGGREGATE_INTERVAL, |actor, _| actor.send_aggregated(false));
        }
    }
}

impl Handler<SendAggregated> for ParserActor {
    type Result = ();

    fn handle(&mut self, _: SendAggregated, _: &mut Self::Context) {
        self.send_aggregated(true);
    }
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

#[cfg(test)]
mod tests {
    use super::Growth;

    #[test]
    fn room_is_made_for_what_the_batch_before_became() {
        assert_eq!(Growth::NONE.expect(3200), 3200);
        let twice = Growth::of(6400, 3200).expect(3200);
        assert!((6400..7200).contains(&twice), "{twice}");
        assert_eq!(Growth::of(10, 3200).expect(3200), 3200);
        assert_eq!(Growth::of(usize::MAX, 0).expect(160), 640);
    }
}
