//! Partitions that are not read: why, since when, and where it is reported.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt as _, AsyncContext as _, Context, MailboxError, WrapFuture as _};

use super::input::{Assigned, Input};
use super::{STATUS_TIMEOUT, Supervisor};
use crate::actors::messages::GetDeadLetterStatus;
use crate::actors::status::BlockedStatus;
use crate::actors::topic::Seen;
use crate::metrics::Metrics;
use crate::routing::RouteTable;
use kafkamq_conversion::route::InputId;
use kafkamq_record::TopicPartition;
use kafkamq_source::blocked::Blocked;

/// A partition that is not read for this long is shown in metrics and logged.
const SHOWN_AFTER: Duration = Duration::from_secs(3);
/// A partition with unread records, nothing in flight and no movement for this long is blocked without a cause.
const UNEXPLAINED_AFTER: Duration = Duration::from_secs(30);
/// The value of the gauge of a destination that is up.
const UP: i64 = 0;

/// A partition that is not read.
#[derive(Debug, Clone)]
pub(super) struct Block {
    why: Blocked,
    since: Instant,
    /// Whether it is shown in metrics and was logged.
    shown: bool,
}

/// All of one input.
#[derive(Debug, Default)]
pub(super) struct Blocks(HashMap<TopicPartition, Block>);

/// What has to be said about a partition.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Began(Blocked),
    Ended(&'static str, Duration),
}

impl Blocks {
    /// A partition is blocked, or not. What that changes is to be said.
    fn update(
        &mut self,
        source: &TopicPartition,
        now: Instant,
        blocked: Option<(Blocked, Instant)>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let same = |before: &Block| {
            let why = blocked.as_ref().map(|(why, _)| why.label());
            why == Some(before.why.label())
        };
        if let Some(before) = self.0.get(source)
            && !same(before)
        {
            if before.shown {
                let lasted = now.saturating_duration_since(before.since);
                news.push(News::Ended(before.why.label(), lasted));
            }
            self.0.remove(source);
        }
        let Some((why, since)) = blocked else {
            return news;
        };
        let block = self.0.entry(source.clone()).or_insert_with(|| Block {
            why: why.clone(),
            since,
            shown: false,
        });
        block.why = why;
        if !block.shown && now.saturating_duration_since(block.since) >= SHOWN_AFTER {
            block.shown = true;
            news.push(News::Began(block.why.clone()));
        }
        news
    }

    fn forget(&mut self, source: &TopicPartition) -> Option<&'static str> {
        let block = self.0.remove(source)?;
        block.shown.then(|| block.why.label())
    }

    /// What the status says of a partition.
    pub(super) fn status(&self, source: &TopicPartition, now: Instant) -> Option<BlockedStatus> {
        self.0.get(source).map(|block| BlockedStatus {
            cause: block.why.label(),
            reason: block.why.to_string(),
            seconds: now.saturating_duration_since(block.since).as_secs_f64(),
            alarm: block.why.is_alarm(),
        })
    }
}

/// What is known besides what the partition's actor shows.
struct Around<'a> {
    input: &'a Input,
    routes: &'a RouteTable,
    metrics: &'a Metrics,
    id: &'a InputId,
    /// Whether dead letters cannot be written.
    letters_fail: bool,
}

impl Around<'_> {
    /// Why a partition is not read, if it is not, and since when.
    fn explain(
        &self,
        source: &TopicPartition,
        seen: &Seen,
        now: Instant,
    ) -> Option<(Blocked, Instant)> {
        let standing = &self.input.standing;
        if let Some(unknown) = standing.unknown.get(source) {
            let cause = unknown.cause.clone();
            return Some((Blocked::PositionUnknown(cause), unknown.since));
        }
        if let Some(overdue) = standing.overdue.get(source) {
            let refusal = overdue.refusal.clone();
            return Some((Blocked::CommitsUnconfirmed(refusal), overdue.since));
        }
        let still = now.saturating_duration_since(seen.moved);
        match &seen.blocked {
            Some((Blocked::InFlight(None), since)) if self.letters_fail => {
                Some((Blocked::DeadLetters, *since))
            }
            Some((Blocked::InFlight(None), since)) => {
                Some((Blocked::InFlight(self.destination_of(source)), *since))
            }
            Some((why, since)) => Some((why.clone(), *since)),
            None => {
                let unread = self.input.has_unread(source, seen.position);
                let is_deaf = self.input.is_deaf(source);
                let statistics = &self.input.statistics;
                let silent = (unread || is_deaf || statistics.is_cut_off())
                    && seen.batches == 0
                    && still >= UNEXPLAINED_AFTER;
                let why = match statistics.brokers_up {
                    0 => Blocked::NoBrokers,
                    _ if is_deaf => Blocked::PositionUnknown(
                        "the client does not hear where the partition ends".to_owned(),
                    ),
                    _ => Blocked::Unexplained,
                };
                silent.then_some((why, seen.moved))
            }
        }
    }

    /// A destination of the topic that is not up.
    fn destination_of(&self, source: &TopicPartition) -> Option<String> {
        let route = self.routes.route(self.id, &source.topic)?;
        let state = &self.metrics.destination_state;
        let held = route.kind.destinations().into_iter().find(|id| {
            let gauge = state.get_metric_with_label_values(&[&*id.0]);
            gauge.is_ok_and(|gauge| gauge.get() != UP)
        })?;
        Some(format!("destination `{held}` takes nothing at present"))
    }
}

impl Supervisor {
    /// Looks at every partition of an input, and says what changed.
    pub(super) fn look_for_blocked(&mut self, id: &InputId) {
        let now = Instant::now();
        let letters_fail = self.letters_fail;
        let directory = self.directory.load();
        let Some(input) = self.inputs.get(id) else {
            return;
        };
        let around = Around {
            input,
            routes: &directory.routes,
            metrics: &self.metrics,
            id,
            letters_fail,
        };
        let explain = |(source, assigned): (&TopicPartition, &Assigned)| {
            let seen = assigned.view.seen();
            (source.clone(), around.explain(source, &seen, now))
        };
        let explained: Vec<_> = input.topics.iter().map(explain).collect();
        let folded = self.series.is_folded();
        let Some(input) = self.inputs.get_mut(id) else {
            return;
        };
        for (source, blocked) in explained {
            for news in input.blocks.update(&source, now, blocked) {
                tell(&self.metrics, id, &source, &news, folded);
            }
        }
    }

    /// Asks the writer of dead letters whether it can write.
    pub(super) fn ask_for_dead_letters(&self, ctx: &mut Context<Self>) {
        let asked = self.directory.load().dead_letter.send(GetDeadLetterStatus);
        let answer = asked.timeout(STATUS_TIMEOUT).into_actor(self);
        ctx.spawn(answer.map(|answer, actor, _| {
            actor.letters_fail = match answer {
                Ok(status) => status.reason.is_some(),
                Err(MailboxError::Timeout) => true,
                // It died and is started again.
                Err(MailboxError::Closed) => actor.letters_fail,
            };
        }));
    }

    /// A partition went; nothing of it is blocked any more.
    pub(super) fn forget_blocked(&mut self, id: &InputId, source: &TopicPartition) {
        let Some(input) = self.inputs.get_mut(id) else {
            return;
        };
        if let Some(label) = input.blocks.forget(source) {
            let news = News::Ended(label, Duration::ZERO);
            show(&self.metrics, id, source, &news, self.series.is_folded());
        }
    }
}

fn tell(metrics: &Metrics, id: &InputId, source: &TopicPartition, news: &News, folded: bool) {
    match news {
        News::Began(why) => tracing::warn!(
            input = %id, partition = %source, cause = why.label(), why = %why,
            "the partition is not read"
        ),
        News::Ended(cause, lasted) => tracing::info!(
            input = %id, partition = %source, cause, seconds = lasted.as_secs_f64(),
            "the partition is read again"
        ),
    }
    show(metrics, id, source, news, folded);
}

/// One series per partition, or one per topic that counts them where partitions have none of their own.
fn show(metrics: &Metrics, id: &InputId, source: &TopicPartition, news: &News, folded: bool) {
    let partition = match folded {
        true => "all".to_owned(),
        false => source.partition.to_string(),
    };
    let (cause, step) = match news {
        News::Began(why) => (why.label(), 1),
        News::Ended(cause, _) => (*cause, -1),
    };
    let labels = [&*id.0, &*source.topic, &partition, cause];
    let gauge = metrics.partition_blocked.with_label_values(&labels);
    gauge.set((gauge.get() + step).max(0));
    if gauge.get() == 0 {
        drop(metrics.partition_blocked.remove_label_values(&labels));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_told_once_at_its_begin_and_once_at_its_end() {
        let (began, source) = (Instant::now(), TopicPartition::new("t", 0));
        let mut blocks = Blocks::default();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut update = |seconds, why: Option<Blocked>| {
            blocks.update(&source, at(seconds), why.map(|why| (why, began)))
        };
        let unknown = |text: &str| Blocked::PositionUnknown(text.to_owned());
        assert_eq!(update(1, Some(unknown("a"))), []);
        assert_eq!(update(4, Some(unknown("b"))), [News::Began(unknown("b"))]);
        assert_eq!(update(5, Some(unknown("c"))), []);
        let ended = News::Ended("position_unknown", Duration::from_secs(6));
        assert_eq!(
            update(6, Some(Blocked::Paused)),
            [ended, News::Began(Blocked::Paused)]
        );
        assert_eq!(
            update(7, None),
            [News::Ended("paused", Duration::from_secs(7))]
        );
        // One that was short is not told at all.
        assert_eq!(update(2, Some(Blocked::Paused)), []);
        assert_eq!(update(2, None), []);
    }
}
