//! What travels with items from a parser to a destination: whose records they are, and how to say
//! that one of them is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::metrics::{Outcome, TopicMetrics};
use crate::routing::Route;
use kafkamq_memory::Charge;
use kafkamq_record::AckShare;
use kafkamq_record::{Record, RecordBatch};

/// The origin of items and their acknowledgement. Dropping one with unsettled items sends the
/// records again.
#[derive(Debug)]
pub(crate) enum Consignment {
    /// Items made from the records of one batch; an item's index is its record's.
    Records(Records),
    /// Points of an answer to records: settled together.
    Answer(Arc<Answer>),
    /// Points that belong to no record, such as those of aggregation. They are sent like any
    /// other, but nothing brings them back after a crash. Their memory stays charged until they
    /// are settled.
    Unattached(Arc<Charge>),
}

/// Items made from records.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) route: Arc<Route>,
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) share: AckShare,
    pub(crate) metrics: Arc<TopicMetrics>,
}

/// Points that a handle returned for records which wait for them.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) route: Arc<Route>,
    pub(crate) asked: Vec<(Consignment, u32)>,
    /// Points that are not settled yet.
    pub(crate) open: AtomicU32,
}

impl Consignment {
    /// A further handle of the same origin.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Records(records) => Self::Records(Records {
                route: Arc::clone(&records.route),
                batch: Arc::clone(&records.batch),
                share: records.share.share(),
                metrics: Arc::clone(&records.metrics),
            }),
            Self::Answer(answer) => Self::Answer(Arc::clone(answer)),
            Self::Unattached(charge) => Self::Unattached(Arc::clone(charge)),
        }
    }

    /// The route that the records came by, if there are any.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Records(records) => Some(&records.route),
            Self::Answer(answer) => Some(&answer.route),
            Self::Unattached(_) => None,
        }
    }

    /// The record that `index` names; for an answer, the first record asked about.
    pub(crate) fn record(&self, index: u32) -> Option<(&RecordBatch, Record<'_>)> {
        match self {
            Self::Records(records) => Some((&records.batch, records.batch.get(index as usize)?)),
            Self::Answer(answer) => {
                let (asked, first) = answer.asked.first()?;
                asked.record(*first)
            }
            Self::Unattached(_) => None,
        }
    }

    /// Settles one item of `record` with `outcome`; the outcome of the last item is counted.
    pub(crate) fn settle(&self, record: u32, outcome: Outcome) {
        match self {
            Self::Records(records) => {
                if records.share.settle(record) {
                    records.metrics.settled(outcome, 1);
                }
            }
            Self::Answer(answer) => {
                if answer.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                    for (asked, record) in &answer.asked {
                        asked.settle(*record, outcome);
                    }
                }
            }
            Self::Unattached(_) => {}
        }
    }

    /// Gives the work back on purpose: its records are sent again by the routes of then.
    pub(crate) fn recall(&self) {
        match self {
            Self::Records(records) => records.share.recall(),
            Self::Answer(answer) => answer.asked.iter().for_each(|(asked, _)| asked.recall()),
            Self::Unattached(_) => {}
        }
    }

    /// Settles one item of each of `records` with `outcome`, which costs less than one by one.
    pub(crate) fn settle_all(&self, records: impl Iterator<Item = u32>, outcome: Outcome) {
        match self {
            Self::Records(own) => {
                let settled = own.share.settle_all(records);
                if settled > 0 {
                    own.metrics.settled(outcome, u64::from(settled));
                }
            }
            Self::Answer(_) | Self::Unattached(_) => {
                records.for_each(|record| self.settle(record, outcome));
            }
        }
    }

    /// Whether nobody waits for these items any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Records(records) => records.share.is_cancelled(),
            Self::Answer(answer) => answer.asked.iter().all(|(asked, _)| asked.is_cancelled()),
            Self::Unattached(_) => false,
        }
    }
}
