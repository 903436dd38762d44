//! What travels with items: what they are parts of, and how one of them is said to be done.

use std::sync::Arc;

use bytes::Bytes;
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_record::{AckShare, PartId, Record, RecordBatch};

use crate::bugs::Bug;
use crate::convert::{letter_of, letter_of_point};

/// The origin of items and their acknowledgement. Dropping one with unsettled items sends the records
/// again.
#[derive(Debug)]
pub(crate) struct Consignment {
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) share: AckShare,
    /// What its items are parts of; empty for records.
    pub(crate) parts: Arc<[PartId]>,
    pub(crate) output: usize,
}

impl Consignment {
    pub(crate) fn share(&self) -> Self {
        Self {
            batch: Arc::clone(&self.batch),
            share: self.share.share(),
            parts: Arc::clone(&self.parts),
            output: self.output,
        }
    }

    /// The same for other items.
    pub(crate) fn of(&self, output: usize, parts: Vec<PartId>) -> Self {
        Self {
            parts: parts.into(),
            output,
            ..self.share()
        }
    }

    pub(crate) fn part(&self, item: u32) -> Option<PartId> {
        self.parts.get(item as usize).copied()
    }

    /// The record of an item.
    pub(crate) fn record(&self, item: u32) -> Option<Record<'_>> {
        self.batch.get(self.part(item)?.record as usize)
    }

    /// Settles items, by their places.
    pub(crate) fn settle_all(&self, items: impl Iterator<Item = u32>) {
        let records = items.filter_map(|item| Some(self.part(item)?.record));
        self.share.settle_all(records);
    }

    /// The letter of an item that is given up, and the place of its record: the record, if the item is
    /// all that was made of it; else the element or the point by itself.
    pub(crate) fn letter(
        &self,
        item: u32,
        body: &Bytes,
        bug: Option<Bug>,
    ) -> Option<(u32, DeadLetter)> {
        let id = self.part(item)?;
        let place = match bug {
            Some(Bug::WrongRecordBuried) => item as usize,
            _ => id.record as usize,
        };
        let record = self.batch.get(place)?;
        let source = self.batch.source();
        let letter = match id {
            PartId {
                point: PartId::ONLY,
                element,
                ..
            } => letter_of(source, &record, element, "deliver"),
            _ if bug == Some(Bug::WrongRecordBuried) => {
                letter_of(source, &record, PartId::WHOLE, "deliver")
            }
            _ => letter_of_point(source, &record, self.output, body),
        };
        Some((id.record, letter))
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.share.is_cancelled()
    }
}
