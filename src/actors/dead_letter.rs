//! [`DeadLetterActor`]: writes records that go no further, with their coordinates, reason and
//! untouched bytes, and settles them once they are on disk, or brokers have confirmed them.
//!
//! It runs on a thread of its own because it waits for the disk. While letters cannot be written,
//! their records stay open and their partitions wait: nothing is skipped silently.

use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle,
    WrapFuture,
};

use super::consignment::Consignment;
use super::messages::{Child, ChildStopped, GetDeadLetterStatus, WriteDeadLetter};
use super::status::DeadLetterStatus;
use crate::metrics::Metrics;
use kafkamq_delivery::burial::{Burial, Letters};
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterStore};
use kafkamq_record::Outcome;

mod topic;

pub(crate) use topic::DeadLetterTopic;

/// Letters that wait for the brokers together.
const TOGETHER: usize = 1000;

/// Where dead letters go.
#[derive(Clone)]
pub(crate) enum DeadLetterTarget {
    /// A folder of segment files.
    Files(Arc<DeadLetterStore>),
    /// A topic of the dead letter cluster.
    Topic(Arc<DeadLetterTopic>),
    /// Nowhere: they are counted.
    Nowhere,
}

/// The writer of dead letters.
pub(crate) struct DeadLetterActor {
    dead_letter_target: DeadLetterTarget,
    burial: Burial<WriteDeadLetter>,
    timer: Option<SpawnHandle>,
    metrics: Metrics,
    stopped: Recipient<ChildStopped>,
}

impl Letters for WriteDeadLetter {
    fn count(&self) -> usize {
        self.letters.len()
    }

    fn is_cancelled(&self) -> bool {
        self.consignment.is_cancelled()
    }
}

impl DeadLetterActor {
    pub(crate) fn new(
        dead_letter_target: DeadLetterTarget,
        metrics: Metrics,
        stopped: Recipient<ChildStopped>,
    ) -> Self {
        Self {
            dead_letter_target,
            burial: Burial::new(fastrand::Rng::new()),
            timer: None,
            metrics,
            stopped,
        }
    }

    /// Writes what may be written now, and sees to it that it is called again when more may.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        loop {
            let together = match &self.dead_letter_target {
                DeadLetterTarget::Topic(_) => TOGETHER,
                DeadLetterTarget::Files(_) | DeadLetterTarget::Nowhere => 1,
            };
            let jobs = self.burial.next(Instant::now(), together);
            if jobs.is_empty() {
                break;
            }
            let written = match &self.dead_letter_target {
                DeadLetterTarget::Files(store) => jobs
                    .iter()
                    .try_for_each(|bury| store.append(&bury.letters).map(drop)),
                DeadLetterTarget::Topic(topic) => {
                    let topic = Arc::clone(topic);
                    self.send(topic, jobs, ctx);
                    break;
                }
                DeadLetterTarget::Nowhere => Ok(()),
            };
            match written {
                Ok(()) => {
                    for bury in &jobs {
                        for (letter, record) in bury.letters.iter().zip(&bury.records) {
                            self.settle(&bury.consignment, letter, *record);
                        }
                    }
                    self.finished(Vec::new(), None);
                }
                Err(error) => self.finished(jobs, Some(error.to_string())),
            }
        }
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let now = Instant::now();
        self.timer = self.burial.wake_at(now).map(|at| {
            ctx.run_later(at.saturating_duration_since(now), |actor, ctx| {
                actor.timer = None;
                actor.pump(ctx);
            })
        });
        self.show();
    }

    /// Sends letters to a topic; those that brokers do not confirm wait on.
    fn send(
        &self,
        topic: Arc<DeadLetterTopic>,
        sent: Vec<WriteDeadLetter>,
        ctx: &mut Context<Self>,
    ) {
        let write = async move {
            let letters: Vec<&DeadLetter> = sent.iter().flat_map(|bury| &bury.letters).collect();
            let failed = topic.write(&letters).await;
            (sent, failed)
        };
        let written = write.into_actor(self).map(|(sent, failed), actor, ctx| {
            actor.sent(sent, failed);
            actor.pump(ctx);
        });
        ctx.spawn(written);
    }

    /// `failed` names letters of `sent` by their place among all of them, in ascending order.
    fn sent(&mut self, sent: Vec<WriteDeadLetter>, failed: Vec<(usize, String)>) {
        let reason = failed.first().map(|(_, reason)| reason.clone());
        let mut failed = failed.into_iter().map(|(place, _)| place).peekable();
        let mut place = 0;
        let mut left = Vec::new();
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
                left.push(WriteDeadLetter {
                    letters,
                    records,
                    consignment: bury.consignment,
                });
            }
        }
        self.finished(left, reason);
    }

    fn finished(&mut self, left: Vec<WriteDeadLetter>, reason: Option<String>) {
        if reason.is_some() {
            self.metrics.dead_letter_failures.inc();
        }
        if self.burial.finished(Instant::now(), left, reason) {
            match self.burial.trouble() {
                Some(trouble) => tracing::error!(
                    reason = trouble.reason,
                    "cannot write dead letters; their records stay open and are tried again"
                ),
                None => tracing::info!("dead letters are written again"),
            }
        }
        self.show();
    }

    fn show(&self) {
        let open = i64::try_from(self.burial.open()).unwrap_or(i64::MAX);
        self.metrics.dead_letters_open.set(open);
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

impl Handler<WriteDeadLetter> for DeadLetterActor {
    type Result = ();

    fn handle(&mut self, letter: WriteDeadLetter, ctx: &mut Self::Context) {
        self.burial.push(letter);
        self.pump(ctx);
    }
}

impl Handler<GetDeadLetterStatus> for DeadLetterActor {
    type Result = MessageResult<GetDeadLetterStatus>;

    fn handle(&mut self, _: GetDeadLetterStatus, _: &mut Self::Context) -> Self::Result {
        let trouble = self.burial.trouble();
        MessageResult(DeadLetterStatus {
            open: self.burial.open(),
            reason: trouble.map(|trouble| trouble.reason.clone()),
            failing_seconds: trouble.map(|trouble| trouble.since.elapsed().as_secs_f64()),
        })
    }
}
