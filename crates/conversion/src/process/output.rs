//! What was made of records and not handed on yet.

use std::sync::Arc;

use bytes::Bytes;

use crate::parse::Bodies;
use crate::route::DestinationId;
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_record::Outcome;

/// Memory that a letter takes beside its bytes, about.
const LETTER_BYTES: usize = 512;

/// The payloads of one lane for one endpoint, with where they go.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The destination that all of them are for.
    pub destination: &'a DestinationId,
    /// With which address and headers.
    pub endpoint: &'a Arc<Endpoint>,
    /// The lane whose order they keep.
    pub lane: u64,
    /// The payloads in order, each with the index of its record.
    pub items: Vec<Item>,
}

/// A payload in the buffer of requests to a handle: its record, the end of its bytes, its lane.
pub(super) type HandlePlace = (u32, usize, u64);

/// What came of records so far. The driver takes it in this order: obligations, endings, items,
/// letters.
#[derive(Debug)]
pub struct ProcessorOutput<'a> {
    /// What is charged for it.
    pub account: Arc<Account>,
    /// Encoded points.
    pub bodies: Bodies<'a>,
    /// Payloads: values as they are or converted.
    pub outgoing: Vec<Outgoing<'a>>,
    /// Payloads for a handle, one behind the other.
    pub handle: Vec<u8>,
    /// Where each of them ends, in the same order.
    pub handle_places: Vec<HandlePlace>,
    /// Letters with the index of the record that each settles an obligation of.
    pub letters: Vec<(u32, DeadLetter)>,
    /// Obligations of records, where there is not exactly one.
    pub obligations: Vec<(u32, u32)>,
    /// Records that are done, by outcome.
    pub ended: Vec<(Outcome, Vec<u32>)>,
    /// Bytes of what is not in the buffers above.
    pub(crate) other_bytes: usize,
}

impl<'a> ProcessorOutput<'a> {
    /// Nothing yet, of which about `points` bytes of encoded points will come, or `handle` bytes for
    /// a handle.
    pub fn with_capacity(account: Arc<Account>, points: usize, handle: usize) -> Self {
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
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bodies.bytes() + self.handle.len() + self.other_bytes
    }

    #[inline]
    pub(super) fn end(&mut self, record: u32, outcome: Outcome) {
        match self.ended.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, records)) => records.push(record),
            None => self.ended.push((outcome, vec![record])),
        }
    }

    /// Adds a letter, which is charged until it is written.
    pub(super) fn bury(&mut self, record: u32, mut letter: DeadLetter) {
        self.other_bytes += LETTER_BYTES;
        if let Some(value) = letter.value.take() {
            let charge = self.account.charge_beyond(LETTER_BYTES);
            letter.value = Some(charge.keep(value));
        }
        self.letters.push((record, letter));
    }

    /// Adds a payload; `is_new` says that its bytes are not a slice of the record.
    #[inline]
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
    #[inline]
    pub fn push_item(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_charged_until_it_is_written() {
        let account = Account::root("service", usize::MAX);
        let mut made = ProcessorOutput::with_capacity(Arc::clone(&account), 0, 0);
        let letter = DeadLetter {
            value: Some(Bytes::from_static(b"value")),
            ..DeadLetter::default()
        };
        made.bury(3, letter.clone());
        assert_eq!(account.used(), LETTER_BYTES);
        let (record, kept) = made.letters.pop().unwrap();
        assert_eq!((record, &kept), (3, &letter));
        drop(kept);
        assert_eq!(account.used(), 0);
    }
}
