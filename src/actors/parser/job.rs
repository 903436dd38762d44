//! The work on one batch or one answer, and how far it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::Category;
use kafkamq_point::codec::Encoding;

use super::hand_on::{bury_asked, hand_on_answer, hand_on_records};
use super::watch::Watch;
use super::{ParserActor, feed};
use crate::actors::consignment::{HandleAnswer, Records};
use crate::actors::messages::{ParseAnswer, ParseBatch};
use crate::metrics::{Metrics, TopicMetrics};
use crate::recorder::{HANDLE_FEED, topic_feed};
use kafkamq_conversion::route::{HandleRoute, Route, RouteKind};
use kafkamq_conversion::{
    AnswerProgress, Answers, Finish, Memory, Processor, ProcessorOutput, Progress, RecordRules,
    Resume,
};
use kafkamq_conversion::{Sampler, ScriptStep};
use kafkamq_memory::{Account, Charge};
use kafkamq_record::{Fates, Outcome, PartitionAccounts, TopicPartition};

/// A partition's work gives way to others after this long.
const TURN: Duration = Duration::from_millis(20);
/// So many questions for one look at the clock.
const LOOK_EVERY: u32 = 16;
/// Bounds of what is made before it is sent on its way, in bytes.
const PORTION: std::ops::RangeInclusive<usize> = 16 * 1024..=1024 * 1024;

/// Jobs with one key are done one after the other: batches of a partition, or answers about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct JobKey {
    source: TopicPartition,
    is_answer: bool,
}

/// Work that may take several turns.
pub(super) enum Job {
    Records {
        records: Records,
        rules: Arc<RecordRules>,
        at: Resume,
    },
    Answer(Box<AnswerJob>),
}

/// The points of an answer.
pub(super) struct AnswerJob {
    source: TopicPartition,
    answer: Arc<HandleAnswer>,
    accounts: PartitionAccounts,
    rules: Arc<RecordRules>,
    category: Category,
    encoding: Encoding,
    body: Bytes,
    at: AnswerProgress,
}

/// What is to be done next.
pub(super) enum Next {
    Done,
    /// The same, after others had their turn.
    Again,
    /// The same, once `account` holds at most `below` bytes.
    Room {
        account: Arc<Account>,
        below: usize,
    },
}

/// What a parser keeps for a topic.
pub(super) struct TopicState {
    metrics: Arc<TopicMetrics>,
    memory: Memory,
    /// The route the sampler was made for.
    route: Arc<Route>,
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
        let sampler = route
            .sampling
            .map(|(rate, key)| Sampler::new(rate, key, fastrand::Rng::new()));
        Self {
            metrics: Arc::new(TopicMetrics::new(metrics, &route.topic)),
            memory: Memory::of(route, sampler),
            route: Arc::clone(route),
            growth: Growth::NONE,
        }
    }
}

/// Memory for the next portion of work, asked for before it is done.
struct Portion {
    bytes: usize,
    _charge: Charge,
}

impl Portion {
    /// Takes memory for a portion from `account`. Where there is none and nothing made before is on
    /// its way, the smallest portion is taken all the same: otherwise nothing would ever go on.
    fn of(account: &Arc<Account>) -> Result<Self, Next> {
        let allowance = account.limit();
        let bytes = (allowance / 4).clamp(*PORTION.start(), *PORTION.end());
        match account.try_charge(bytes) {
            Ok(charge) => Ok(Self {
                bytes,
                _charge: charge,
            }),
            Err(_) if account.used() == 0 => Ok(Self {
                bytes: *PORTION.start(),
                _charge: account.charge_beyond(*PORTION.start()),
            }),
            // Where others hold the memory of the service, all of its own has to be delivered first.
            Err(refused) => Err(Next::Room {
                account: Arc::clone(account),
                below: match *refused.account == *account.name() {
                    true => allowance.saturating_sub(bytes).min(allowance / 2),
                    false => 0,
                },
            }),
        }
    }
}

/// One turn of work.
struct Turn {
    ends: Instant,
    asked: u32,
    is_over: bool,
}

impl Turn {
    fn begin() -> Self {
        Self {
            ends: Instant::now() + TURN,
            asked: 0,
            is_over: false,
        }
    }

    /// Whether to go on when `made` of `most` bytes are made.
    fn goes_on(&mut self, made: usize, most: usize) -> bool {
        self.asked += 1;
        if self.asked.is_multiple_of(LOOK_EVERY) {
            self.is_over = Instant::now() >= self.ends;
        }
        !self.is_over && made < most
    }
}

impl Job {
    pub(super) fn key(&self) -> JobKey {
        match self {
            Self::Records { records, .. } => JobKey {
                source: records.batch.source().clone(),
                is_answer: false,
            },
            Self::Answer(job) => JobKey {
                source: job.source.clone(),
                is_answer: true,
            },
        }
    }
}

impl ParserActor {
    /// What is kept for the topic of `route`.
    pub(super) fn topic(&mut self, route: &Arc<Route>) -> &mut TopicState {
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

    pub(super) fn topic_metrics(&mut self, route: &Arc<Route>) -> Arc<TopicMetrics> {
        Arc::clone(&self.topic(route).metrics)
    }

    /// The work on a batch.
    pub(super) fn job_of_batch(&mut self, parse: ParseBatch) -> Job {
        Job::Records {
            records: Records {
                metrics: self.topic_metrics(&parse.route),
                route: parse.route,
                batch: parse.batch,
                share: parse.share,
            },
            rules: parse.rules,
            at: Resume::default(),
        }
    }

    /// The work on an answer; `None` if its points have nowhere to go or cannot be read at all.
    pub(super) fn job_of_answer(&mut self, message: ParseAnswer) -> Option<Job> {
        let ParseAnswer {
            route,
            category,
            content_type,
            body,
            asked,
        } = message;
        let addresses = self.directory.load();
        let category = match category {
            Ok(category) => category,
            Err(error) => {
                bury_asked(&addresses, asked, &error.to_string());
                return None;
            }
        };
        let (first, record) = asked.first()?;
        let source = first.record(*record)?.0.source().clone();
        let accounts = first.accounts()?.clone();
        let encoding = Encoding::from_content_type(content_type.as_deref().unwrap_or_default());
        let is_text = encoding != Encoding::Protobuf;
        let body = match std::str::from_utf8(&body) {
            Err(_) if is_text => Bytes::from(String::from_utf8_lossy(&body).into_owned()),
            _ => body,
        };
        let charge = accounts.records.charge_beyond(body.len());
        Some(Job::Answer(Box::new(AnswerJob {
            source,
            accounts,
            rules: Arc::clone(&addresses.rules),
            category,
            encoding,
            body: charge.keep(body),
            at: AnswerProgress::default(),
            answer: Arc::new(HandleAnswer {
                route,
                asked,
                open: AtomicU32::new(1),
            }),
        })))
    }

    /// Works on `job` until it is done or has to give way.
    pub(super) fn step(&mut self, job: &mut Job) -> Next {
        match job {
            Job::Records { records, rules, at } => {
                let rules = Arc::clone(rules);
                records.share.begin();
                let next = self.step_of_records(records, &rules, at);
                records.share.rest();
                next
            }
            Job::Answer(job) => {
                let answer = Arc::clone(&job.answer);
                answer.asked.iter().for_each(|(asked, _)| asked.begin());
                let next = self.step_of_answer(job);
                answer.asked.iter().for_each(|(asked, _)| asked.rest());
                next
            }
        }
    }

    fn step_of_records(
        &mut self,
        records: &Records,
        rules: &Arc<RecordRules>,
        at: &mut Resume,
    ) -> Next {
        let (route, batch) = (Arc::clone(&records.route), Arc::clone(&records.batch));
        let account = Arc::clone(&records.share.accounts().made);
        let addresses = arc_swap::Guard::into_inner(self.directory.load());
        let (directory, metrics) = (Arc::clone(&self.directory), self.metrics.clone());
        self.topic(&route);
        let key = (route.input.clone(), Arc::clone(&route.topic));
        let (topics, run) = (&mut self.topics, &mut self.run);
        let Some(state) = topics.get_mut(&key) else {
            return Next::Done;
        };
        // Nothing is spent on the name of a feed while nothing is recorded.
        let feed = feed(self.recorder.as_ref(), || topic_feed(&route.topic).into());
        let mut turn = Turn::begin();
        loop {
            if records.share.is_cancelled() {
                return Next::Done;
            }
            let portion = match Portion::of(&account) {
                Ok(portion) => portion,
                Err(next) => return next,
            };
            let handle_bytes = match route.kind {
                // Base64 and what stands around it.
                RouteKind::Handle(_) => batch.bytes() / 3 * 4 + batch.len() * 32,
                _ => 0,
            };
            let expected = state.growth.expect(batch.bytes());
            let made = ProcessorOutput::with_capacity(
                Arc::clone(&account),
                expected.min(portion.bytes),
                handle_bytes.min(portion.bytes),
            );
            let watch = Watch::new(&metrics, &state.metrics);
            let mut processor = Processor::new(
                &route,
                rules,
                batch.source(),
                directory.lane_names(),
                &mut state.memory,
                ScriptStep::new(rules.scripts.snapshot(), run),
                Finish::by(rules, SystemClock.now_ns(), feed.as_deref()),
                made,
                watch,
            );
            let most = portion.bytes;
            let progress = processor.run(&batch, at, &mut |made| turn.goes_on(made, most));
            let (made, _) = processor.end();
            let largest = made.bodies.largest();
            if largest > 0 && progress == Progress::Done {
                state.growth = Growth::of(largest, batch.bytes());
            }
            hand_on_records(&addresses, &directory, records, made);
            match progress {
                Progress::Done => return Next::Done,
                Progress::Paused if turn.is_over => return Next::Again,
                Progress::Paused => {}
            }
        }
    }

    fn step_of_answer(&mut self, job: &mut AnswerJob) -> Next {
        let answer = Arc::clone(&job.answer);
        let RouteKind::Handle(HandleRoute {
            answers: Some(outputs),
            ..
        }) = &answer.route.kind
        else {
            return Next::Done;
        };
        let addresses = arc_swap::Guard::into_inner(self.directory.load());
        let topic_metrics = self.topic_metrics(&answer.route);
        let account = Arc::clone(&job.accounts.answers);
        let rules = Arc::clone(&job.rules);
        let feed = feed(self.recorder.as_ref(), || HANDLE_FEED.into());
        let lane = self.directory.lane_names().lane(&job.source, 0);
        let mut turn = Turn::begin();
        loop {
            if answer.asked.iter().all(|(asked, _)| asked.is_cancelled()) {
                return Next::Done;
            }
            let portion = match Portion::of(&account) {
                Ok(portion) => portion,
                Err(next) => return next,
            };
            let fates = Fates::default();
            let mut answers = Answers {
                outputs,
                rules: &rules,
                category: job.category,
                encoding: job.encoding,
                scripts: ScriptStep::new(rules.scripts.snapshot(), &mut self.run),
                finish: Finish::by(&rules, SystemClock.now_ns(), feed.as_deref()),
                lane,
                asked: answer.asked_about(),
                fates: &fates,
                made: ProcessorOutput::with_capacity(Arc::clone(&account), 0, 0),
                witness: Watch::new(&self.metrics, &topic_metrics),
            };
            let most = portion.bytes;
            let done = answers.run(&job.body, &mut job.at, &mut |made| turn.goes_on(made, most));
            let (made, _) = answers.end();
            let done = match done {
                Ok(done) => done,
                Err(problem) => {
                    let reason = format!("the answer's points cannot be read: {problem}");
                    bury_asked(&addresses, shares(&answer), &reason);
                    return Next::Done;
                }
            };
            if !fates.are_all_known() {
                // The shares go, and the records are asked about again.
                tracing::error!(
                    topic = &*answer.route.topic,
                    "a point of an answer was forgotten"
                );
                return Next::Done;
            }
            answer.open.fetch_add(fates.take_owed(), Ordering::AcqRel);
            hand_on_answer(&addresses, &answer, made);
            if done {
                answer.settle(1, Outcome::Delivered);
                return Next::Done;
            }
            if turn.is_over {
                return Next::Again;
            }
        }
    }
}

/// Further handles of the records that an answer is about.
fn shares(answer: &HandleAnswer) -> Vec<(crate::actors::consignment::Consignment, u32)> {
    let asked = answer.asked.iter();
    asked
        .map(|(consignment, record)| (consignment.share(), *record))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_for_what_the_batch_before_became() {
        assert_eq!(Growth::NONE.expect(3200), 3200);
        let twice = Growth::of(6400, 3200).expect(3200);
        assert!((6400..7200).contains(&twice), "{twice}");
        assert_eq!(Growth::of(10, 3200).expect(3200), 3200);
        assert_eq!(Growth::of(usize::MAX, 0).expect(160), 640);
    }

    #[test]
    fn a_portion_is_taken_before_it_is_made_and_the_first_one_always() {
        let service = Account::root("service", 1 << 20);
        let made = service.child("made", 256 * 1024);
        let first = Portion::of(&made).ok().unwrap();
        assert_eq!((first.bytes, made.used()), (64 * 1024, 64 * 1024));
        let others: Vec<_> = (0..3).map(|_| Portion::of(&made).ok().unwrap()).collect();
        let Err(Next::Room { below, .. }) = Portion::of(&made) else {
            panic!("the allowance is used up");
        };
        assert_eq!(below, 128 * 1024);
        drop((first, others));
        let elsewhere = service.charge_beyond(1 << 20);
        let least = Portion::of(&made).ok().unwrap();
        assert_eq!(
            least.bytes,
            *PORTION.start(),
            "nothing of its own is on its way"
        );
        let Err(Next::Room { below, .. }) = Portion::of(&made) else {
            panic!("the service has no room");
        };
        assert_eq!(below, 0);
        drop((elsewhere, least));
        assert_eq!(service.used(), 0);
    }
}
