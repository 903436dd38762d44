//! Points that wait for an output that is not required.
//!
//! Their bytes are copied and charged: to the output, whose limit is its `backlog`, above it to all
//! backlogs together, whose limit leaves most of the memory to records, and so to the service. What
//! any of them has no room for is dropped. A charge lives in the copied bytes, so what is delivered,
//! given up or cancelled makes room by itself.

use std::sync::Arc;

use kafkamq_delivery::lanes::Item;
use kafkamq_memory::{Account, Exhausted};

/// The backlog of one output.
pub(super) struct Backlog {
    account: Arc<Account>,
    /// Whether it was full when something came last.
    is_full: bool,
}

/// What became of points that came.
pub(super) struct Taken {
    /// Those that wait now.
    pub(super) items: Vec<Item>,
    /// How many were dropped.
    pub(super) dropped: usize,
    /// What begins or ends with them, if anything does.
    pub(super) turn: Option<Turn>,
}

/// A change that the log tells of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Points are dropped from now on; the account that has no room.
    Full(Exhausted),
    /// There is room again.
    Room,
}

impl Backlog {
    /// The backlog of the output `name`, at most `bytes` below `all` of them.
    pub(super) fn new(all: &Arc<Account>, name: &str, bytes: usize) -> Self {
        Self {
            account: all.child(name, bytes),
            is_full: false,
        }
    }

    /// Changes the limit. What waits stays.
    pub(super) fn set_limit(&self, bytes: usize) {
        self.account.set_limit(bytes);
    }

    /// Takes as many of `items`, from the first on, as there is room for.
    pub(super) fn take(&mut self, items: &[Item]) -> Taken {
        let mut taken = Vec::with_capacity(items.len());
        let mut refused = None;
        for item in items {
            match self.account.try_charge(item.body.len()) {
                // Copied, since the bytes are slices of what the partition's window counts.
                Ok(charge) => taken.push(Item {
                    body: charge.seal(item.body.to_vec()),
                    ..*item
                }),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let was_full = std::mem::replace(&mut self.is_full, refused.is_some());
        Taken {
            dropped: items.len() - taken.len(),
            items: taken,
            turn: match (was_full, refused) {
                (false, Some(error)) => Some(Turn::Full(error)),
                (true, None) => Some(Turn::Room),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(bytes: usize, count: usize) -> Vec<Item> {
        let item = Item {
            record: 0,
            body: vec![b'x'; bytes].into(),
        };
        vec![item; count]
    }

    #[test]
    fn a_backlog_holds_its_bytes_until_they_are_dropped_and_tells_when_it_is_full() {
        let service = Account::root("service", 10_000);
        let mut backlog = Backlog::new(&service.child("backlogs", 5_000), "side", 300);
        let first = backlog.take(&items(100, 5));
        assert_eq!((first.items.len(), first.dropped), (3, 2));
        let Some(Turn::Full(refused)) = first.turn else {
            panic!("it is full");
        };
        assert_eq!(&*refused.account, "side");
        assert_eq!(service.used(), 300, "the limit of the memory covers it");
        let more = backlog.take(&items(100, 1));
        assert_eq!((more.items.len(), more.dropped, more.turn), (0, 1, None));
        drop(first.items);
        let later = backlog.take(&items(100, 1));
        assert_eq!((later.dropped, later.turn), (0, Some(Turn::Room)));
        drop(later.items);
        assert_eq!(service.used(), 0);
    }

    #[test]
    fn all_backlogs_together_leave_memory_to_records() {
        let service = Account::root("service", 10_000);
        let all = service.child("backlogs", 2_500);
        let mut one = Backlog::new(&all, "one", 1 << 20);
        let mut other = Backlog::new(&all, "other", 1 << 20);
        let held = (one.take(&items(1_000, 2)), other.take(&items(1_000, 2)));
        assert_eq!((held.0.dropped, held.1.dropped), (0, 2));
        assert!(
            service.try_charge(8_000).is_ok(),
            "records have three quarters"
        );
    }
}
