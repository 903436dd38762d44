//! A time range of a topic delivered once more.
//!
//! The range is fixed in offsets before anything is read. Its records go the way of the service, with
//! its routes, scripts, credits, retries and dead letters; only their source is another one: a consumer
//! that is not a member of the group. What is settled is noted in the [`ReplayRange`] of its partition, and
//! the group's committed offsets stay what they are.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::actors::status::ServiceStatus;
use crate::actors::{Router, StartError};
use crate::kafka::{KafkaError, ReplayRange, TopicReader};
use crate::metrics::Metrics;
use kafkamq_record::{Outcome, TopicPartition};
use kafkamq_settings::{GroupProtocol, InputSettings, Settings};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often progress is reported.
const TELL: Duration = Duration::from_secs(1);

/// Why nothing is replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplayError {
    /// The brokers cannot be asked.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// There is no such topic.
    #[error("there is no topic `{0}`")]
    NoTopic(String),
    /// The actors cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What is replayed: ranges of all partitions of a topic.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// The ranges, by partition; those without records are left out.
    pub(crate) ranges: Arc<[Arc<ReplayRange>]>,
}

impl Range {
    /// The records of `topic` that were written from `from` on and before `to`, in milliseconds since
    /// 1970, as far as they are there now. Blocks.
    ///
    /// # Errors
    /// When no broker answers in time, or there is no such topic.
    pub(crate) fn find(
        input: &InputSettings,
        topic: &str,
        from: i64,
        to: i64,
        timeout: Duration,
    ) -> Result<Self, ReplayError> {
        let reader = TopicReader::try_new(&input.cluster, &input.group_id, topic, timeout)?;
        let partitions = reader.partitions()?;
        if partitions.is_empty() {
            return Err(ReplayError::NoTopic(topic.to_owned()));
        }
        let topic: Arc<str> = topic.into();
        let mut ranges = Vec::new();
        for partition in partitions {
            // The end first: what is written meanwhile is behind it.
            let bounds = reader.bounds(partition)?;
            let at = |millis| reader.offset_at(partition, millis);
            let begin = at(from)?.unwrap_or(bounds.end).max(bounds.start);
            let end = at(to)?.unwrap_or(bounds.end).min(bounds.end);
            if begin < end {
                let source = TopicPartition::new(Arc::clone(&topic), partition);
                ranges.push(Arc::new(ReplayRange::new(source, begin..end)));
            }
        }
        Ok(Self {
            ranges: ranges.into(),
        })
    }

    /// How many offsets there are in all, and how many of them are behind.
    #[must_use]
    pub(crate) fn progress(&self) -> (i64, i64) {
        let sum = |of: &dyn Fn(&ReplayRange) -> i64| self.ranges.iter().map(|one| of(one)).sum();
        let all = sum(&|one| one.offsets().end - one.offsets().start);
        (all, sum(&ReplayRange::passed))
    }

    /// Whether every record is settled.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.ranges.iter().all(|one| one.is_done())
    }
}

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Records that were read; those that a client read again count again.
    pub(crate) read: u64,
    /// Records that the destinations accepted.
    pub(crate) delivered: u64,
    /// Records dropped by their script, or by a rule of the operator about statuses.
    pub(crate) dropped: u64,
    /// Records left out by a rule: sampling, header check, empty values, topics without a use.
    pub(crate) left_out: u64,
    /// Records that became dead letters.
    pub(crate) dead_lettered: u64,
    /// Whether all records of the range are settled.
    pub(crate) complete: bool,
}

/// The settings that a replay of `topic` works with: those of one input, without its place in the
/// group, and with `rate` records a second if that is given.
#[must_use]
pub(crate) fn settings_for(
    mut settings: Settings,
    input: &InputSettings,
    topic: &str,
    rate: Option<u64>,
) -> Settings {
    let mut input = input.clone();
    input.group_instance_id = None;
    input.group_protocol = GroupProtocol::Classic;
    if rate.is_some() {
        let mut flow = input.flow(topic).clone();
        flow.limit_records = rate;
        input.topic_flow.insert(topic.to_owned(), flow);
    }
    settings.inputs = vec![input];
    // What is set at run time belongs to the service, and its recorder writes in the same folder.
    settings.server.state_dir = None;
    settings.recorder.enabled = false;
    settings
}

/// Delivers `range` by `settings`, until all is settled or `stop` ends. `tell` hears about once a
/// second how things are. Must be called inside a running system.
///
/// # Errors
/// When the settings cannot be used. That a destination is away is not an error: its records wait.
pub(crate) async fn run(
    settings: Settings,
    range: &Range,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(&Range, Option<&ServiceStatus>),
) -> Result<Report, ReplayError> {
    let mut report = Report {
        complete: range.is_done(),
        ..Report::default()
    };
    if report.complete {
        return Ok(report);
    }
    let metrics = Metrics::try_new()?;
    let router = Router::start_outside(settings.into(), metrics.clone(), &range.ranges)?;
    let mut stop = pin!(stop);
    let mut look = tokio::time::interval(LOOK);
    let mut told = tokio::time::Instant::now();
    while !range.is_done() {
        tokio::select! {
            () = &mut stop => break,
            _ = look.tick() => {}
        }
        if told.elapsed() >= TELL {
            tell(range, router.status().await.as_ref());
            told = tokio::time::Instant::now();
        }
    }
    router.shutdown().await;
    // What settled while the last of it drained counts, too.
    report.complete = range.is_done();
    report.count(range, &metrics);
    Ok(report)
}

impl Report {
    /// Takes the numbers of the topic from the counters of the flow.
    fn count(&mut self, range: &Range, metrics: &Metrics) {
        let Some(first) = range.ranges.first() else {
            return;
        };
        let topic = &*first.source().topic;
        let outcomes: BTreeMap<&str, u64> = Outcome::ALL
            .iter()
            .map(|outcome| {
                let labels = [topic, outcome.label()];
                let counter = metrics.records_processed.with_label_values(&labels);
                (outcome.label(), counter.get())
            })
            .collect();
        let of = |all: &[Outcome]| -> u64 {
            let counts = all.iter().filter_map(|one| outcomes.get(one.label()));
            counts.sum()
        };
        self.read = metrics.records_received.with_label_values(&[topic]).get();
        self.delivered = of(&[Outcome::Delivered]);
        self.dropped = of(&[Outcome::Dropped, Outcome::DroppedByStatus]);
        self.left_out = of(&[
            Outcome::Sampled,
            Outcome::HeaderRejected,
            Outcome::SkippedEmpty,
            Outcome::Acknowledged,
        ]);
        self.dead_lettered = of(&[Outcome::DeadLettered]);
    }
}
