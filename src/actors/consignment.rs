//! What travels with items from a parser to a destination: what they are parts of, and how to say
//! that one of them is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use kafkamq_point::Category;

use crate::metrics::TopicMetrics;
use kafkamq_conversion::route::{DestinationId, InputId, Route, RouteKind};
use kafkamq_conversion::{
    AskedAbout, Cause, RecordOrigin, letter_of_element, letter_of_point, record_letter,
};
use kafkamq_delivery::dead_letter::{DeadLetter, LetterPart};
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_record::{AckShare, Outcome, PartId, PartitionAccounts, Record, RecordBatch};

/// The origin of items and their acknowledgement. Dropping one with unsettled items sends the
/// records again.
///
/// An item is named by its place: among the records of the batch for payloads, among the parts for
/// points.
#[derive(Debug)]
pub(crate) enum Consignment {
    /// Payloads made of the records of one batch.
    Records(Records),
    /// Points made of the records of one batch.
    Points(Records, Arc<Parts>),
    /// Points of an answer to records, which are settled together.
    Answer(Arc<HandleAnswer>, Arc<Parts>),
    /// Points that belong to no record, such as those of aggregation. They are sent like any
    /// other, but nothing brings them back after a crash.
    Unattached,
}

/// A batch whose records wait for their items.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) route: Arc<Route>,
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) share: AckShare,
    pub(crate) metrics: Arc<TopicMetrics>,
}

/// What the points of one output are.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) ids: Vec<PartId>,
    pub(crate) destination: DestinationId,
    pub(crate) category: Category,
}

/// Points that a handle returned for records which wait for them.
#[derive(Debug)]
pub(crate) struct HandleAnswer {
    pub(crate) route: Arc<Route>,
    pub(crate) asked: Vec<(Consignment, u32)>,
    /// Points that are not settled yet, and one for the work on the answer itself.
    pub(crate) open: AtomicU32,
}

impl Records {
    pub(crate) fn share(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            batch: Arc::clone(&self.batch),
            share: self.share.share(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    fn settle(&self, record: u32, outcome: Outcome) {
        if self.share.settle(record) {
            self.metrics.settled(outcome, 1);
        }
    }

    fn settle_all(&self, records: impl Iterator<Item = u32>, outcome: Outcome) {
        let settled = self.share.settle_all(records);
        if settled > 0 {
            self.metrics.settled(outcome, u64::from(settled));
        }
    }

    fn record(&self, record: u32) -> Option<Record<'_>> {
        self.batch.get(record as usize)
    }

    fn origin(&self, record: u32) -> Option<RecordOrigin<'_>> {
        Some(RecordOrigin {
            input: &self.route.input,
            source: self.batch.source(),
            record: self.record(record)?,
        })
    }
}

impl Parts {
    /// No part: for letters of points that were never sent.
    pub(crate) fn none() -> Self {
        Self {
            ids: Vec::new(),
            destination: DestinationId("".into()),
            category: Category::default(),
        }
    }

    fn id(&self, item: u32) -> Option<PartId> {
        self.ids.get(item as usize).copied()
    }

    fn letter_part(&self, from: Vec<OffsetRange>) -> LetterPart {
        LetterPart::Point {
            destination: self.destination.to_string(),
            category: self.category.name().to_owned(),
            from,
        }
    }
}

impl HandleAnswer {
    /// Settles `count` of its points with `outcome`; the last outcome is that of the records.
    pub(crate) fn settle(&self, count: u32, outcome: Outcome) {
        if count > 0 && self.open.fetch_sub(count, Ordering::AcqRel) == count {
            for (asked, record) in &self.asked {
                asked.settle(*record, outcome);
            }
        }
    }

    /// The records that were asked about.
    pub(crate) fn asked_about(&self) -> AskedAbout<'_> {
        let mut ranges: Vec<OffsetRange> = Vec::new();
        for (consignment, item) in &self.asked {
            let Some((batch, record)) = consignment.record(*item) else {
                continue;
            };
            let offset = record.offset();
            match ranges.last_mut() {
                Some(range) if range.source == *batch.source() && range.last + 1 == offset => {
                    range.last = offset;
                }
                _ => ranges.push(OffsetRange {
                    source: batch.source().clone(),
                    first: offset,
                    last: offset,
                }),
            }
        }
        let first = self.asked.first();
        AskedAbout {
            first: first.and_then(|(consignment, item)| consignment.origin(*item)),
            ranges,
        }
    }
}

impl Consignment {
    /// A further handle of the same origin.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Records(records) => Self::Records(records.share()),
            Self::Points(records, parts) => Self::Points(records.share(), Arc::clone(parts)),
            Self::Answer(answer, parts) => Self::Answer(Arc::clone(answer), Arc::clone(parts)),
            Self::Unattached => Self::Unattached,
        }
    }

    /// The route that the records came by, if there are any.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Records(records) | Self::Points(records, _) => Some(&records.route),
            Self::Answer(answer, _) => Some(&answer.route),
            Self::Unattached => None,
        }
    }

    /// The accounts of the partition that the records came from; for an answer, of the first one.
    pub(crate) fn accounts(&self) -> Option<&PartitionAccounts> {
        match self {
            Self::Records(records) | Self::Points(records, _) => Some(records.share.accounts()),
            Self::Answer(answer, _) => answer.asked.first()?.0.accounts(),
            Self::Unattached => None,
        }
    }

    /// The record that the item `item` was made of; for an answer, the first record asked about.
    pub(crate) fn record(&self, item: u32) -> Option<(&RecordBatch, Record<'_>)> {
        match self {
            Self::Records(records) => Some((&records.batch, records.record(item)?)),
            Self::Points(records, parts) => {
                Some((&records.batch, records.record(parts.id(item)?.record)?))
            }
            Self::Answer(answer, _) => {
                let (asked, first) = answer.asked.first()?;
                asked.record(*first)
            }
            Self::Unattached => None,
        }
    }

    fn origin(&self, item: u32) -> Option<RecordOrigin<'_>> {
        let (batch, record) = self.record(item)?;
        Some(RecordOrigin {
            input: self.input()?,
            source: batch.source(),
            record,
        })
    }

    fn input(&self) -> Option<&InputId> {
        self.route().map(|route| &route.input)
    }

    /// The dead letter of the item `item` with the bytes `body`, which is given up for `cause`: the
    /// record, if the item is all that was made of it; else the element or the point by itself, so
    /// that what was delivered beside it does not return with it.
    pub(crate) fn letter(&self, item: u32, body: &Bytes, cause: Cause<'_>) -> Option<DeadLetter> {
        match self {
            Self::Records(records) => Some(record_letter(records.origin(item)?, cause)),
            Self::Points(records, parts) => {
                let id = parts.id(item)?;
                let origin = records.origin(id.record)?;
                let split = match &records.route.kind {
                    RouteKind::Points(route) => route.split.as_ref(),
                    _ => None,
                };
                match (id, split) {
                    (
                        PartId {
                            point: PartId::ONLY,
                            element: PartId::WHOLE,
                            ..
                        },
                        _,
                    ) => Some(record_letter(origin, cause)),
                    (
                        PartId {
                            point: PartId::ONLY,
                            element,
                            ..
                        },
                        Some(rule),
                    ) => letter_of_element(origin, cause, element, &rule.format),
                    _ => {
                        let offset = origin.record.offset();
                        let ranges = vec![OffsetRange {
                            source: origin.source.clone(),
                            first: offset,
                            last: offset,
                        }];
                        let part = parts.letter_part(ranges);
                        let asked = AskedAbout {
                            first: Some(origin),
                            ranges: Vec::new(),
                        };
                        Some(letter_of_point(&asked, cause, body.clone(), part))
                    }
                }
            }
            Self::Answer(answer, parts) => {
                let asked = answer.asked_about();
                let part = parts.letter_part(asked.ranges.clone());
                Some(letter_of_point(&asked, cause, body.clone(), part))
            }
            Self::Unattached => None,
        }
    }

    /// Settles one item with `outcome`; the outcome of the last item of a record is counted.
    pub(crate) fn settle(&self, item: u32, outcome: Outcome) {
        match self {
            Self::Records(records) => records.settle(item, outcome),
            Self::Points(records, parts) => {
                if let Some(id) = parts.id(item) {
                    records.settle(id.record, outcome);
                }
            }
            Self::Answer(answer, _) => answer.settle(1, outcome),
            Self::Unattached => {}
        }
    }

    /// Somebody works on nothing else from now on; see [`AckShare::begin`].
    pub(crate) fn begin(&self) {
        match self {
            Self::Records(records) | Self::Points(records, _) => records.share.begin(),
            Self::Answer(answer, _) => answer.asked.iter().for_each(|(asked, _)| asked.begin()),
            Self::Unattached => {}
        }
    }

    /// Nobody works on it at present.
    pub(crate) fn rest(&self) {
        match self {
            Self::Records(records) | Self::Points(records, _) => records.share.rest(),
            Self::Answer(answer, _) => answer.asked.iter().for_each(|(asked, _)| asked.rest()),
            Self::Unattached => {}
        }
    }

    /// Gives the work back on purpose: its records are sent again by the routes in force at that time.
    pub(crate) fn recall(&self) {
        match self {
            Self::Records(records) | Self::Points(records, _) => records.share.recall(),
            Self::Answer(answer, _) => answer.asked.iter().for_each(|(asked, _)| asked.recall()),
            Self::Unattached => {}
        }
    }

    /// Settles each of `items` with `outcome`, which costs less than one by one.
    pub(crate) fn settle_all(&self, items: impl Iterator<Item = u32>, outcome: Outcome) {
        match self {
            Self::Records(records) => records.settle_all(items, outcome),
            Self::Points(records, parts) => {
                let ids = items.filter_map(|item| Some(parts.id(item)?.record));
                records.settle_all(ids, outcome);
            }
            Self::Answer(answer, _) => {
                let count = u32::try_from(items.count()).unwrap_or(u32::MAX);
                answer.settle(count, outcome);
            }
            Self::Unattached => {}
        }
    }

    /// Whether they belong to no record, so that no offset brings them back.
    pub(crate) const fn is_unattached(&self) -> bool {
        matches!(self, Self::Unattached)
    }

    /// Whether these items are not waited for any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Records(records) | Self::Points(records, _) => records.share.is_cancelled(),
            Self::Answer(answer, _) => answer.asked.iter().all(|(asked, _)| asked.is_cancelled()),
            Self::Unattached => false,
        }
    }
}
