//! What was made of records and not handed on yet.

use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::Outcome;
use crate::parse::Bodies;
use crate::routing::DestinationId;
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;

/// Memory that a letter takes beside its bytes, about.
const LETTER_BYTES: usize = 512;

/// The payloads of one lane for one endpoint, with where they go.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) destination: &'a DestinationId,
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) lane: u64,
    pub(crate) items: Vec<Item>,
}

/// A payload in the buffer of requests to a handle: its record, the end of its bytes, its lane.
pub(crate) type HandlePlace = (u32, usize, u64);

/// What came of records so far. The driver takes it in this order: obligations, endings, items,
/// letters.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    /// What is charged for it.
    pub(crate) account: Arc<Account>,
    /// Encoded points.
    pub(crate) bodies: Bodies<'a>,
    /// Payloads: values as they are or converted.
    pub(crate) outgoing: Vec<Outgoing<'a>>,
    /// Payloads for a handle, one behind the other.
    pub(crate) handle: Vec<u8>,
    pub(crate) handle_places: Vec<HandlePlace>,
    /// Letters with the index of the record that each settles an obligation of.
    pub(crate) letters: Vec<(u32, DeadLetter)>,
    /// Obligations of records, where there is not exactly one.
    pub(crate) obligations: Vec<(u32, u32)>,
    /// Records that are done, by outcome.
    pub(crate) ended: Vec<(Outcome, Vec<u32>)>,
    /// Bytes of what is not in the buffers above.
    pub(crate) other_bytes: usize,
}

impl<'a> Made<'a> {
    /// Nothing yet, of which about `points` bytes of encoded points will come, or `handle` bytes for
    /// a handle.
    pub(crate) fn with_capacity(account: Arc<Account>, points: usize, handle: usize) -> Self {
        Self {
            account,
            bodies: Bodies::with_capacity(points),
            outgoing: Vec::new(),
            handle: Vec::with_capacity(handle),
            handle_places: Vec::new(),
            letters: Vec::new(),
            obligations: Vec::new(),
            ended: Vec::new(),
            other_bytes: 0,
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bodies.bytes() + self.handle.len() + self.other_bytes
    }

    pub(super) fn end(&mut self, record: u32, outcome: Outcome) {
        match self.ended.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, records)) => records.push(record),
            None => self.ended.push((outcome, vec![record])),
        }
    }

    pub(super) fn bury(&mut self, record: u32, letter: DeadLetter) {
        self.other_bytes += LETTER_BYTES;
        self.letters.push((record, letter));
    }

    /// Adds a payload; `is_new` says that its bytes are not a slice of the record.
    pub(super) fn push(
        &mut self,
        target: (&'a DestinationId, &'a Arc<Endpoint>),
        lane: u64,
        record: u32,
        body: Bytes,
        is_new: bool,
    ) {
        let body = match is_new {
            true => {
                self.other_bytes += body.len();
                self.account.charge_beyond(body.len()).keep(body)
            }
            false => body,
        };
        self.push_item(target, lane, Item { record, body });
    }

    /// Adds an item that is charged already.
    pub(crate) fn push_item(
        &mut self,
        (destination, endpoint): (&'a DestinationId, &'a Arc<Endpoint>),
        lane: u64,
        item: Item,
    ) {
        // Few lanes are open at once, and neighbours mostly share one.
        let same = |outgoing: &&mut Outgoing<'a>| {
            outgoing.lane == lane && Arc::ptr_eq(outgoing.endpoint, endpoint)
        };
        match self.outgoing.iter_mut().rev().find(same) {
            Some(outgoing) => outgoing.items.push(item),
            None => {
                self.outgoing.push(Outgoing {
                    destination,
                    endpoint,
                    lane,
                    items: vec![item],
                });
            }
        }
    }
}
