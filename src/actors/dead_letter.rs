//! [`DeadLetterActor`]: writes records that go no further, with their coordinates, reason and
//! untouched bytes, and settles them once they are on disk.
//!
//! It runs on a thread of its own because it waits for the disk. While letters cannot be written,
//! their records stay open and their partitions wait: nothing is skipped silently.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use bytes::Bytes;

use super::messages::{Bury, Child, ChildStopped};
use crate::metrics::{Metrics, Outcome};
use crate::record::{Record, TopicPartition};
use crate::routing::InputId;
use crate::sinks::dead_letter::{DeadLetter, DeadLetterStore};

const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where dead letters go.
#[derive(Clone)]
pub(crate) enum Graveyard {
    /// A folder of segment files.
    Files(Arc<DeadLetterStore>),
    /// Nowhere: they are counted.
    Nowhere,
}

/// The writer of dead letters.
pub(crate) struct DeadLetterActor {
    graveyard: Graveyard,
    waiting: VecDeque<Bury>,
    retrying: bool,
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
            retrying: false,
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
                Graveyard::Nowhere => Ok(()),
            };
            if let Err(error) = written {
                self.metrics.dead_letter_failures.inc();
                tracing::error!(%error, "cannot write dead letters; their partitions wait");
                self.retrying = true;
                ctx.run_later(RETRY_PAUSE, |actor, ctx| {
                    actor.retrying = false;
                    actor.write(ctx);
                });
                return;
            }
            let Some(bury) = self.waiting.pop_front() else {
                return;
            };
            for (letter, record) in bury.letters.iter().zip(&bury.records) {
                self.metrics
                    .dead_letters
                    .with_label_values(&[&letter.topic, &letter.stage])
                    .inc();
                tracing::warn!(
                    topic = %letter.topic, partition = letter.partition, offset = letter.offset,
                    stage = %letter.stage, reason = %letter.reason,
                    "dead letter"
                );
                bury.consignment.settle(*record, Outcome::DeadLettered);
            }
        }
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
        time: now_ms(),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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
        if !self.retrying {
            self.write(ctx);
        }
    }
}
