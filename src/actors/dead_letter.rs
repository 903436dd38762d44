//! [`DeadLetterActor`]: writes records that go no further, with their coordinates, reason and
//! untouched bytes, and settles them once they are on disk, or brokers have confirmed them.
//!
//! It runs on a thread of its own because it waits for the disk. While letters cannot be written,
//! their records stay open and their partitions wait: nothing is skipped silently.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use bytes::Bytes;
use kafkamq_pipeline::{Clock as _, SystemClock};

use super::consignment::Consignment;
use super::messages::{Bury, Child, ChildStopped};
use crate::metrics::{Metrics, Outcome};
use crate::routing::InputId;
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterStore};
use kafkamq_record::{Record, TopicPartition};

mod topic;

pub(crate) use topic::TopicGraveyard;

const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Letters that wait for the brokers together.
const TOGETHER: usize = 1000;

/// Where dead letters go.
#[derive(Clone)]
pub(crate) enum Graveyard {
    /// A folder of segment files.
    Files(Arc<DeadLetterStore>),
    /// A topic.
    Topic(Arc<TopicGraveyard>),
    /// Nowhere: they are counted.
    Nowhere,
}

/// The writer of dead letters.
pub(crate) struct DeadLetterActor {
    graveyard: Graveyard,
    waiting: VecDeque<Bury>,
    /// Nothing is written before this is over: a pause after a failure, or letters under way.
    busy: bool,
    metrics: Metrics,
    stopped: Recipient<ChildStopped>,
}

impl DeadLetterActor {
    pub(crate) fn new(
        graveyard: Graveyard,
        metrics: Metrics,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        Self {
            graveyard,
            waiting: VecDeque::new(),
            busy: false,
            metrics,
            stopped,
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>) {
        while let Some(bury) = self.waiting.front() {
            if bury.consignment.is_cancelled() {
                self.waiting.pop_front();
                continue;
            }
            let written = match &self.graveyard {
                Graveyard::Files(store) => store.append(&bury.letters).map(drop),
                Graveyard::Topic(topic) => {
                    let topic = Arc::clone(topic);
                    self.send(topic, ctx);
                    return;
                }
                Graveyard::Nowhere => Ok(()),
            };
            if let Err(error) = written {
                self.pause(&error.to_string(), ctx);
                return;
            }
            let Some(bury) = self.waiting.pop_front() else {
                return;
            };
            for (letter, record) in bury.letters.iter().zip(&bury.records) {
                self.settle(&bury.consignment, letter, *record);
            }
        }
    }

    /// Sends letters to a topic; those that brokers do not confirm wait on.
    fn send(&mut self, topic: Arc<TopicGraveyard>, ctx: &mut Context<Self>) {
        let mut sent = Vec::new();
        let mut letters = 0;
        while letters < TOGETHER
            && let Some(bury) = self.waiting.pop_front()
        {
            if bury.consignment.is_cancelled() {
                continue;
            }
            letters += bury.letters.len();
            sent.push(bury);
        }
        self.busy = true;
        let write = async move {
            let letters: Vec<&DeadLetter> = sent.iter().flat_map(|bury| &bury.letters).collect();
            let failed = topic.write(&letters).await;
            (sent, failed)
        };
        let written = write.into_actor(self).map(|(sent, failed), actor, ctx| {
            actor.busy = false;
            actor.sent(sent, failed, ctx);
        });
        ctx.spawn(written);
    }

    /// `failed` names letters of `sent` by their place among all of them, in ascending order.
    fn sent(&mut self, sent: Vec<Bury>, failed: Vec<(usize, String)>, ctx: &mut Context<Self>) {
        let reason = failed.first().map(|(_, reason)| reason.clone());
        let mut failed = failed.into_iter().map(|(place, _)| place).peekable();
        let mut place = 0;
        for bury in sent {
            let (mut letters, mut records) = (Vec::new(), Vec::new());
            for (letter, record) in bury.letters.into_iter().zip(bury.records) {
                if failed.next_if_eq(&place).is_some() {
                    letters.push(letter);
                    records.push(record);
                } else {
                    self.settle(&bury.consignment, &letter, record);
                }
                place += 1;
            }
            if !letters.is_empty() {
                // Behind the others, so that one which brokers refuse does not hold those up.
                self.waiting.push_back(Bury {
                    letters,
                    records,
                    consignment: bury.consignment,
                });
            }
        }
        match reason {
            Some(reason) => self.pause(&reason, ctx),
            None => self.write(ctx),
        }
    }

    fn pause(&mut self, reason: &str, ctx: &mut Context<Self>) {
        self.metrics.dead_letter_failures.inc();
        tracing::error!(reason, "cannot write dead letters; their partitions wait");
        self.busy = true;
        ctx.run_later(RETRY_PAUSE, |actor, ctx| {
            actor.busy = false;
            actor.write(ctx);
        });
    }

    fn settle(&self, consignment: &Consignment, letter: &DeadLetter, record: u32) {
        self.metrics
            .dead_letters
            .with_label_values(&[&letter.topic, &letter.stage])
            .inc();
        tracing::warn!(
            topic = %letter.topic, partition = letter.partition, offset = letter.offset,
            stage = %letter.stage, reason = %letter.reason,
            "dead letter"
        );
        consignment.settle(record, Outcome::DeadLettered);
    }
}

/// The dead letter of a record that ended in `stage` for `reason`.
pub(crate) fn letter(
    input: &InputId,
    source: &TopicPartition,
    record: &Record<'_>,
    stage: &str,
    reason: &str,
    status: Option<u16>,
    attempts: u32,
) -> DeadLetter {
    DeadLetter {
        input: input.to_string(),
        topic: source.topic.to_string(),
        partition: source.partition,
        offset: record.offset(),
        timestamp: record.timestamp_ms(),
        key: record.key().map(Bytes::copy_from_slice),
        value: record.value_bytes(),
        headers: record
            .headers()
            .map(|(name, value)| {
                (
                    Bytes::copy_from_slice(name.as_bytes()),
                    value.map(Bytes::copy_from_slice),
                )
            })
            .collect(),
        stage: stage.to_owned(),
        reason: reason.to_owned(),
        status,
        attempts,
        time: SystemClock.now_ns() / 1_000_000,
    }
}

impl Actor for DeadLetterActor {
    type Context = Context<Self>;
}

impl Drop for DeadLetterActor {
    fn drop(&mut self) {
        self.stopped.do_send(ChildStopped {
            child: Child::DeadLetter,
        });
    }
}

impl Handler<Bury> for DeadLetterActor {
    type Result = ();

    fn handle(&mut self, bury: Bury, ctx: &mut Self::Context) {
        self.waiting.push_back(bury);
        if !self.busy {
            self.write(ctx);
        }
    }
}
