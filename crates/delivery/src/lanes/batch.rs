//! The items of one request, and which parcel each of them belongs to.

use std::sync::Arc;

use super::ready::ParcelId;
use super::{Item, LaneId};

/// A stretch of consecutive items of one parcel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) parcel: ParcelId,
    pub(super) lane: LaneId,
    start: usize,
    len: usize,
}

/// Items in order with their parts, which cover them without gap.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    items: Items,
    parts: Vec<Part>,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Items {
    Open(Vec<Item>),
    /// Once it is sent the transport holds it too.
    Shared(Arc<[Item]>),
}

impl Default for Items {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Batch {
    pub(super) fn with_capacity(items: usize) -> Self {
        Self {
            items: Items::Open(Vec::with_capacity(items)),
            ..Self::default()
        }
    }

    fn as_slice(&self) -> &[Item] {
        match &self.items {
            Items::Open(items) => items,
            Items::Shared(items) => items,
        }
    }

    fn open(&mut self) -> &mut Vec<Item> {
        if let Items::Shared(items) = &self.items {
            self.items = Items::Open(items.to_vec());
        }
        match &mut self.items {
            Items::Open(items) => items,
            Items::Shared(_) => unreachable!("was opened above"),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes of the bodies, without framing.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The items to hand out. A batch that is sent again is not copied again.
    pub(super) fn share(&mut self) -> Arc<[Item]> {
        let shared: Arc<[Item]> = match &mut self.items {
            Items::Shared(items) => return items.clone(),
            Items::Open(items) => std::mem::take(items).into(),
        };
        self.items = Items::Shared(shared.clone());
        shared
    }

    /// The parts in order, each with its items.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = (&Part, &[Item])> {
        let items = self.as_slice();
        self.parts.iter().map(|part| {
            (
                part,
                items
                    .get(part.start..part.start + part.len)
                    .unwrap_or_default(),
            )
        })
    }

    /// Adds one item of `parcel` at the end.
    pub(super) fn push(&mut self, parcel: ParcelId, lane: LaneId, item: Item) {
        self.bytes += item.body.len();
        let items = self.open();
        let start = items.len();
        items.push(item);
        match self.parts.last_mut() {
            Some(part) if part.parcel == parcel => part.len += 1,
            _ => self.parts.push(Part {
                parcel,
                lane,
                start,
                len: 1,
            }),
        }
    }

    /// Keeps the first `at` items and returns the others.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let (mut left, mut right) = (Self::default(), Self::default());
        for (part, items) in self.parts() {
            for (index, item) in (part.start..).zip(items) {
                let side = if index < at { &mut left } else { &mut right };
                side.push(part.parcel, part.lane, item.clone());
            }
        }
        *self = left;
        right
    }

    /// Puts `head` before its own items.
    pub(super) fn prepend(&mut self, mut head: Self) {
        if head.is_empty() {
            return;
        }
        for (part, items) in self.parts() {
            for item in items {
                head.push(part.parcel, part.lane, item.clone());
            }
        }
        *self = head;
    }

    /// Splits by part into those `chosen` picks and the others, both in order.
    pub(super) fn partition(&self, mut chosen: impl FnMut(&Part) -> bool) -> (Self, Self) {
        let (mut picked, mut others) = (Self::default(), Self::default());
        for (part, items) in self.parts() {
            let side = if chosen(part) {
                &mut picked
            } else {
                &mut others
            };
            for item in items {
                side.push(part.parcel, part.lane, item.clone());
            }
        }
        (picked, others)
    }
}
