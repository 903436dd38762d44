//! What a partition remembers about idempotent producers: enough to drop a batch that arrives twice.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;

use crate::batch::BatchHeader;

/// Batches remembered for each producer: what clients may have in flight at most.
const REMEMBERED: usize = 5;

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new, or comes from a producer without an id.
    Append,
    /// It is stored already, at this offset.
    Duplicate(i64),
    /// It must be answered with this error.
    Refuse(ResponseError),
}

/// The idempotent producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// First sequence, last sequence and base offset of the latest batches, oldest first.
    batches: VecDeque<(i32, i32, i64)>,
}

impl Producers {
    /// Judges a batch before it is stored.
    pub(crate) fn judge(&self, batch: &BatchHeader) -> Verdict {
        let Some(producer) = self.known.get(&batch.producer_id) else {
            return Verdict::Append;
        };
        if batch.producer_epoch < producer.epoch {
            return Verdict::Refuse(ResponseError::InvalidProducerEpoch);
        }
        if batch.producer_epoch > producer.epoch {
            return match batch.base_sequence {
                0 => Verdict::Append,
                _ => Verdict::Refuse(ResponseError::OutOfOrderSequenceNumber),
            };
        }
        let last = last_sequence(batch);
        let stored = producer
            .batches
            .iter()
            .find(|(from, to, _)| (*from, *to) == (batch.base_sequence, last));
        if let Some((_, _, offset)) = stored {
            return Verdict::Duplicate(*offset);
        }
        match producer.batches.back() {
            Some((_, to, _)) if batch.base_sequence != following(*to) => {
                Verdict::Refuse(ResponseError::OutOfOrderSequenceNumber)
            }
            _ => Verdict::Append,
        }
    }

    /// Remembers a batch that has been stored at `base_offset`.
    pub(crate) fn stored(&mut self, batch: &BatchHeader, base_offset: i64) {
        if batch.producer_id < 0 {
            return;
        }
        let producer = self
            .known
            .entry(batch.producer_id)
            .or_insert_with(|| Producer {
                epoch: batch.producer_epoch,
                batches: VecDeque::new(),
            });
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer
            .batches
            .push_back((batch.base_sequence, last_sequence(batch), base_offset));
    }
}

/// Sequences start again at 0 after the largest 32 bit number.
fn following(sequence: i32) -> i32 {
    sequence.wrapping_add(1) & i32::MAX
}

fn last_sequence(batch: &BatchHeader) -> i32 {
    batch.base_sequence.wrapping_add(batch.last_offset_delta) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, base_sequence: i32, records: i32) -> BatchHeader {
        BatchHeader {
            length: 100,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence,
            record_count: records,
        }
    }

    #[test]
    fn a_repeated_batch_keeps_its_first_offset() {
        let mut producers = Producers::default();
        for (at, offset) in [(0, 10), (3, 13), (6, 16)] {
            assert_eq!(producers.judge(&batch(0, at, 3)), Verdict::Append);
            producers.stored(&batch(0, at, 3), offset);
        }
        assert_eq!(producers.judge(&batch(0, 3, 3)), Verdict::Duplicate(13));
        assert_eq!(producers.judge(&batch(0, 9, 1)), Verdict::Append);
    }

    #[test]
    fn a_gap_and_an_old_epoch_are_refused() {
        let mut producers = Producers::default();
        producers.stored(&batch(1, 0, 3), 0);
        let gap = Verdict::Refuse(ResponseError::OutOfOrderSequenceNumber);
        assert_eq!(producers.judge(&batch(1, 4, 1)), gap);
        assert_eq!(producers.judge(&batch(2, 3, 1)), gap);
        assert_eq!(producers.judge(&batch(2, 0, 1)), Verdict::Append);
        let fenced = Verdict::Refuse(ResponseError::InvalidProducerEpoch);
        assert_eq!(producers.judge(&batch(0, 3, 1)), fenced);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        producers.stored(&batch(0, i32::MAX - 1, 2), 5);
        assert_eq!(producers.judge(&batch(0, 0, 4)), Verdict::Append);
        producers.stored(&batch(0, i32::MAX, 3), 7);
        assert_eq!(producers.judge(&batch(0, 2, 1)), Verdict::Append);
    }
}
