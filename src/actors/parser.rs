//! [`ParserActor`]: CPU work between a partition and its destinations.
//!
//! Each partition is served by one parser, chosen by hash, so its batches stay in order. What becomes
//! of a record is decided by [`kafkamq_conversion`]; the parser drives it, sends what was made on its
//! way, and gives way: after some milliseconds to other partitions, and when the account of the
//! partition is full, until what was made of the batch was delivered. It owns nothing that outlives a
//! batch but samplers and scratch memory, so replacing one that died loses nothing. The first parser
//! also sends what aggregation in scripts gives out.

mod hand_on;
mod job;
mod watch;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use kafkamq_pipeline::{Clock as _, RunState, SystemClock};

use self::hand_on::send_points;
use self::job::{Job, JobKey, Next, TopicState};
use self::watch::count_left_out;
use super::consignment::Consignment;
use super::directory::Directory;
use super::messages::{Child, ChildStopped, ParseAnswer, ParseBatch, SendAggregated};
use crate::metrics::Metrics;
use crate::recorder::{AGGREGATED_FEED, Recorder};
use kafkamq_conversion::Bodies;
use kafkamq_conversion::route::InputId;
use kafkamq_conversion::scripts::{Aggregated, Scripts};
use kafkamq_conversion::{Copies, Finish};
use kafkamq_memory::Account;
use kafkamq_record::PartId;

/// How often aggregation is asked for what is due.
const AGGREGATE_INTERVAL: Duration = Duration::from_secs(1);

/// One of the parsers.
pub(crate) struct ParserActor {
    index: usize,
    directory: Arc<Directory>,
    metrics: Metrics,
    topics: HashMap<(InputId, Arc<str>), TopicState>,
    /// Work that was begun and what came after it, by partition.
    waiting: HashMap<JobKey, VecDeque<Job>>,
    scripts: Arc<Scripts>,
    recorder: Option<Recorder>,
    run: RunState,
    /// What points of aggregation on their way are charged to.
    aggregation: Arc<Account>,
    stopped: Recipient<ChildStopped>,
}

/// What every parser is started with.
#[derive(Clone)]
pub(crate) struct ParserOptions {
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Metrics,
    pub(crate) scripts: Arc<Scripts>,
    /// Who gets copies of points.
    pub(crate) recorder: Option<Recorder>,
}

/// Parser or account to parser: go on with the work of a partition.
#[derive(Message)]
#[rtype(result = "()")]
struct GoOn(JobKey);

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
            recorder,
        } = options;
        let aggregation = directory.load().memory.child("aggregation", usize::MAX);
        Self {
            index,
            directory,
            metrics,
            topics: HashMap::new(),
            waiting: HashMap::new(),
            scripts,
            recorder,
            run: RunState::new(),
            aggregation,
            stopped,
        }
    }

    /// Begins a job, or lets it wait behind those of its partition.
    fn take(&mut self, job: Job, ctx: &Context<Self>) {
        let key = job.key();
        match self.waiting.get_mut(&key) {
            Some(queue) => queue.push_back(job),
            None => self.go_on(key, VecDeque::from([job]), ctx),
        }
    }

    /// Works on the first job of a partition until it is done or has to give way.
    fn go_on(&mut self, key: JobKey, mut queue: VecDeque<Job>, ctx: &Context<Self>) {
        let Some(mut job) = queue.pop_front() else {
            return;
        };
        let owner = ctx.address();
        match self.step(&mut job) {
            Next::Done if queue.is_empty() => return,
            Next::Done => owner.do_send(GoOn(key.clone())),
            Next::Again => {
                queue.push_front(job);
                owner.do_send(GoOn(key.clone()));
            }
            Next::Room { account, below } => {
                queue.push_front(job);
                let key = key.clone();
                account.on_room(below, Box::new(move || owner.do_send(GoOn(key))));
            }
        }
        self.waiting.insert(key, queue);
    }

    /// Sends what aggregation in scripts gave out. While its last output is on its way nothing is
    /// given out, and what is gathered meanwhile merges.
    fn send_aggregated(&self, all: bool) {
        if !all && self.aggregation.used() > 0 {
            return;
        }
        let aggregated = self.scripts.aggregated(SystemClock.now_ns(), all);
        if aggregated.is_empty() {
            return;
        }
        let addresses = self.directory.load();
        let rules = &addresses.rules;
        let feed = feed(self.recorder.as_ref(), || AGGREGATED_FEED.into());
        let finish = Finish {
            // A window may be wider than any age.
            age: None,
            ..Finish::by(rules, SystemClock.now_ns(), feed.as_deref())
        };
        let mut bodies = Bodies::default();
        for Aggregated { points, charge } in aggregated {
            for mut point in points {
                let left_out = kafkamq_record::LeftOut::NoField;
                if finish.correct(&mut point, None).is_err() {
                    count_left_out(&self.metrics, AGGREGATED_FEED, left_out);
                    continue;
                }
                for output in &*addresses.routes.outputs {
                    if let Err(error) = bodies.push(output, &point, PartId::whole(0), 0) {
                        tracing::warn!(%error, "a point of aggregation is left out");
                        count_left_out(&self.metrics, AGGREGATED_FEED, left_out);
                    }
                }
            }
            // What is on its way counts as the encoded points from here on.
            drop(charge);
        }
        send_points(&addresses, bodies, &self.aggregation, None, |_| {
            Consignment::Unattached
        });
    }
}

/// Where copies of the points of a feed go, if they are recorded.
fn feed<'a>(
    recorder: Option<&Recorder>,
    name: impl FnOnce() -> Cow<'a, str>,
) -> Option<Box<dyn Copies>> {
    let feed = recorder?.feed(&name())?;
    Some(Box::new(feed))
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

impl Handler<GoOn> for ParserActor {
    type Result = ();

    fn handle(&mut self, GoOn(key): GoOn, ctx: &mut Self::Context) {
        if let Some(queue) = self.waiting.remove(&key) {
            self.go_on(key, queue, ctx);
        }
    }
}

impl Handler<ParseBatch> for ParserActor {
    type Result = ();

    fn handle(&mut self, parse: ParseBatch, ctx: &mut Self::Context) {
        let job = self.job_of_batch(parse);
        self.take(job, ctx);
    }
}

impl Handler<ParseAnswer> for ParserActor {
    type Result = ();

    fn handle(&mut self, answer: ParseAnswer, ctx: &mut Self::Context) {
        if let Some(job) = self.job_of_answer(answer) {
            self.take(job, ctx);
        }
    }
}
