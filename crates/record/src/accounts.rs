//! The accounts of one assigned partition: what its work in flight takes of the memory limit.

use std::sync::Arc;

use kafkamq_memory::Account;

/// Bytes that a record is taken for before one of its partition was seen.
const GUESSED_BYTES: usize = 1024;

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
