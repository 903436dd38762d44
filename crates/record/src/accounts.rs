//! The accounts of one assigned partition: what its work in flight takes of the memory limit.

use std::sync::Arc;

use kafkamq_memory::{Account, Charge};

/// Bytes that a record is taken for before one of its partition was seen.
const GUESSED_BYTES: usize = 1024;

/// Bytes that a fetch is taken to bring before a record of the partition was seen: the largest batch
/// that brokers take unless told otherwise (`max.message.bytes`).
const FETCHED_BYTES: usize = 1 << 20;

/// The accounts of one partition for one assignment, below that of its topic, which is below that of
/// the service.
///
/// Each kind of work has an allowance of its own, so that it can go on when another kind has used its
/// allowance up: records that were read must still be turned into items, and an answer must still be
/// read while the records that were asked about are held.
#[derive(Debug, Clone)]
pub struct PartitionAccounts {
    service: Arc<Account>,
    topic: Arc<Account>,
    /// Records as they were read.
    pub records: Arc<Account>,
    /// What is made of records: encoded points, converted payloads, requests to handles.
    pub made: Arc<Account>,
    /// Answers of handles and the points in them.
    pub answers: Arc<Account>,
}

impl PartitionAccounts {
    /// The accounts of a partition of a topic, each with an allowance of `bytes`.
    #[must_use]
    pub fn below(service: &Arc<Account>, topic: &Arc<Account>, bytes: usize) -> Self {
        Self {
            service: Arc::clone(service),
            topic: Arc::clone(topic),
            records: topic.child("records", bytes),
            made: topic.child("made", bytes),
            answers: topic.child("answers", bytes),
        }
    }

    /// Changes the allowance of each.
    pub fn set_allowance(&self, bytes: usize) {
        for account in [&self.records, &self.made, &self.answers] {
            account.set_limit(bytes);
        }
    }

    /// Bytes charged now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.records.used() + self.made.used() + self.answers.used()
    }

    /// Whether records of about `size` bytes fit the allowance, so that they are read whatever other
    /// topics hold; `None` is not known.
    #[must_use]
    pub fn is_small(&self, size: Option<usize>) -> bool {
        size.is_some_and(|size| size <= self.records.limit())
    }

    /// Whether the service has no room for a record of about `size` bytes that does not fit the
    /// allowance, while something else of its topic is in flight.
    #[must_use]
    pub fn is_short(&self, size: Option<usize>) -> bool {
        let bytes = size.unwrap_or(FETCHED_BYTES);
        !self.is_small(size) && self.service.room() < bytes && self.topic.used() > 0
    }

    /// Reserves room for what a fetch brings, to be given back when it was read; `None` without room.
    /// A topic of which nothing is in flight gets it in any case, and a partition that has used up its
    /// allowance does not.
    #[must_use]
    pub fn reserve(&self, size: Option<usize>) -> Option<Charge> {
        if self.records.room() == 0 {
            return None;
        }
        let bytes = size.unwrap_or(FETCHED_BYTES);
        let is_alone = self.topic.used() == 0;
        let charge = self.topic.try_charge(bytes).ok();
        charge.or_else(|| is_alone.then(|| self.topic.charge_beyond(bytes)))
    }

    /// How many records may be read now, when a record of the partition has about `size` bytes, or
    /// nothing is known of that.
    ///
    /// Records that fit the allowance are read whatever other topics hold, so that an outage of
    /// theirs does not stop this one. A record that may be larger than the allowance is read only
    /// while the service has room for it or nothing else of its topic is in flight.
    #[must_use]
    pub fn records_to_read(&self, size: Option<usize>) -> usize {
        let room = self.records.room();
        if room == 0 {
            return 0;
        }
        let is_alone = || self.topic.used() == 0;
        match size {
            Some(size) if size <= self.records.limit() => (room / size.max(1)).max(1),
            Some(size) => usize::from(self.service.room() >= size || is_alone()),
            None if self.service.room() > 0 || is_alone() => (room / GUESSED_BYTES).max(1),
            None => 0,
        }
    }
}

impl Default for PartitionAccounts {
    /// Accounts without a limit, for work that nothing bounds.
    fn default() -> Self {
        let service = Account::root("service", usize::MAX);
        Self::below(&service, &service, usize::MAX)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_fetched_than_the_service_has_room_for_and_each_topic_goes_on() {
        let service = Account::root("service", 2 * FETCHED_BYTES);
        let topics = [
            service.child("one", usize::MAX),
            service.child("other", usize::MAX),
        ];
        let below = |topic| PartitionAccounts::below(&service, topic, 1000);
        let [one, two, three] = [below(&topics[0]), below(&topics[0]), below(&topics[0])];
        let other = below(&topics[1]);
        let first = one.reserve(None).unwrap();
        let second = two.reserve(Some(FETCHED_BYTES)).unwrap();
        assert!(three.reserve(None).is_none() && three.is_short(None));
        let alone = other.reserve(None).unwrap();
        assert!(
            other.reserve(None).is_none(),
            "its topic has something in flight"
        );
        assert!(three.is_small(Some(1000)) && !three.is_short(Some(1000)));
        drop((first, second, alone));
        assert!(!three.is_short(None));
        let held = three.records.charge_beyond(1000);
        assert!(three.reserve(None).is_none(), "it could not be read");
        drop(held);
        assert!(three.reserve(None).is_some());
        assert_eq!(service.used(), 0);
    }

    #[test]
    fn small_records_are_read_whatever_other_topics_hold_and_large_ones_are_not() {
        let service = Account::root("service", 1000);
        let (one, other) = (
            service.child("one", usize::MAX),
            service.child("other", 1000),
        );
        let held = other.charge_beyond(2000);
        let first = PartitionAccounts::below(&service, &one, 100);
        let second = PartitionAccounts::below(&service, &one, 100);
        assert_eq!(first.records_to_read(Some(10)), 10);
        assert_eq!(
            first.records_to_read(Some(300)),
            1,
            "its topic holds nothing"
        );
        let large = first.records.charge_beyond(300);
        assert_eq!(
            first.records_to_read(Some(10)),
            0,
            "the allowance is used up"
        );
        assert_eq!(second.records_to_read(Some(10)), 10);
        assert_eq!(second.records_to_read(Some(300)), 0);
        assert_eq!(second.records_to_read(None), 0);
        drop(held);
        assert_eq!(second.records_to_read(Some(300)), 1, "the service has room");
        assert_eq!(second.records_to_read(None), 1);
        drop(large);
        assert_eq!(first.records_to_read(Some(60)), 1);
    }
}
