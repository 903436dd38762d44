//! A piece of a batch on its way to the partition's parser, or, if it is given up, to the dead letters.

use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::TopicActor;
use crate::actors::consignment::{Consignment, Records};
use crate::actors::messages::{BatchResolved, ParseBatch, WriteDeadLetter};
use kafkamq_conversion::{Cause, RecordOrigin, record_letter};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_record::{BatchAck, BatchId, RecordBatch};
use kafkamq_source::window::{Phase, Piece, Tries};

impl TopicActor {
    /// Hands a piece of batch `id` to the partition's parser.
    pub(super) fn send(
        &mut self,
        id: BatchId,
        batch: Arc<RecordBatch>,
        tries: Tries,
        ctx: &Context<Self>,
    ) {
        let Some(piece) = self.window.name_piece(id) else {
            return;
        };
        let owner = ctx.address();
        let (ack, share) = BatchAck::open(
            batch.len(),
            Arc::clone(&self.assignment),
            Box::new(move |resolution| {
                owner.do_send(BatchResolved {
                    id,
                    piece,
                    resolution,
                });
            }),
        );
        let sent = Piece {
            batch: Arc::clone(&batch),
            ack,
            tries,
        };
        let is_given_up = tries.is_given_up(self.options.bounds.max_attempts);
        self.window.sent(id, piece, sent);

        let directory = &self.options.directory;
        let addresses = directory.load();
        let Some(route) = addresses
            .routes
            .route(&self.options.input, &self.source.topic)
        else {
            // The topic is no longer configured and its partition is about to go. What is open is
            // delivered by whoever reads the topic next.
            tracing::debug!(partition = %self.source, "an assigned topic has no route");
            if matches!(self.window.phase, Phase::Reading | Phase::Limited) {
                self.window.phase = Phase::Held(None);
            }
            share.recall();
            return;
        };
        if self.window.batches() <= 1 {
            // Not while older batches are with another parser, which newer ones would overtake.
            self.waits = addresses.rules.waits(&route);
        }
        if is_given_up {
            let records = Records {
                route: Arc::clone(&route),
                batch,
                share,
                metrics: Arc::clone(&self.options.metrics),
            };
            if let Some(letter) = self.letter_of_failing(records, tries.attempt) {
                addresses.dead_letter.do_send(letter);
            }
        } else if let Some(parser) = directory.parser(&self.source, self.waits) {
            parser.do_send(ParseBatch {
                route: Arc::clone(&route),
                rules: Arc::clone(&addresses.rules),
                batch,
                share,
            });
        }
    }

    /// The dead letter of `records`, one record whose processing failed `attempts` times.
    fn letter_of_failing(&self, records: Records, attempts: u32) -> Option<WriteDeadLetter> {
        let cause = Cause {
            stage: "parse",
            reason: "processing failed repeatedly",
            time_ms: SystemClock.now_ns() / 1_000_000,
        };
        let origin = RecordOrigin {
            input: &self.options.input,
            source: &self.source,
            record: records.batch.get(0)?,
        };
        let letter = DeadLetter {
            attempts,
            ..record_letter(origin, cause)
        };
        Some(WriteDeadLetter {
            letters: vec![letter],
            records: vec![0],
            consignment: Consignment::Records(records),
        })
    }
}
