//! Topics and their partitions, and who waits for records in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::log::PartitionLog;

/// Most partitions a topic may have: keeps a mistyped number from eating the memory.
const MAX_PARTITIONS: i32 = 10_000;

/// A partition: its log, and the fetches waiting for it to grow.
pub(crate) struct Partition {
    pub(crate) log: Mutex<PartitionLog>,
    waiting: Mutex<Vec<Arc<Notify>>>,
}

impl Partition {
    fn new(retention: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::new(PartitionLog::new(retention)),
            waiting: Mutex::new(Vec::new()),
        })
    }

    /// Appends batches and wakes the fetches that wait. See `PartitionLog::append`.
    ///
    /// # Errors
    /// The code to answer with.
    pub(crate) fn append(
        &self,
        bytes: Bytes,
        pinned: usize,
        max_batch_bytes: usize,
    ) -> Result<i64, ResponseError> {
        let appended = self.log.lock().append(bytes, pinned, max_batch_bytes);
        self.wake();
        appended
    }

    /// Wakes every fetch that waits, so that it looks again.
    pub(crate) fn wake(&self) {
        for fetch in self.waiting.lock().drain(..) {
            fetch.notify_one();
        }
    }

    /// Has `fetch` notified at the next change; look at the log again afterwards, it may have changed just before.
    pub(crate) fn wait(&self, fetch: &Arc<Notify>) {
        self.waiting.lock().push(Arc::clone(fetch));
    }

    /// Takes `fetch` off the waiting list.
    pub(crate) fn forget(&self, fetch: &Arc<Notify>) {
        self.waiting
            .lock()
            .retain(|waiting| !Arc::ptr_eq(waiting, fetch));
    }
}

/// All topics of the broker.
pub(crate) struct Topics {
    retention: Option<usize>,
    topics: RwLock<BTreeMap<String, Vec<Arc<Partition>>>>,
}

impl Topics {
    /// No topics yet; their partitions will keep at most `retention` bytes.
    pub(crate) fn new(retention: Option<usize>) -> Self {
        Self {
            retention,
            topics: RwLock::default(),
        }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// When the name or the number of partitions is not allowed, or the topic exists.
    pub(crate) fn create(&self, name: &str, partitions: i32) -> Result<(), ResponseError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty()
            || name.len() > 249
            || !name.chars().all(allowed)
            || name == "."
            || name == ".."
        {
            return Err(ResponseError::InvalidTopicException);
        }
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(ResponseError::InvalidPartitions);
        }
        let mut topics = self.topics.write();
        if topics.contains_key(name) {
            return Err(ResponseError::TopicAlreadyExists);
        }
        let partitions = (0..partitions)
            .map(|_| Partition::new(self.retention))
            .collect();
        topics.insert(name.to_owned(), partitions);
        Ok(())
    }

    /// Raises the number of partitions of a topic to `partitions`.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many or more.
    pub(crate) fn grow(&self, name: &str, partitions: i32) -> Result<(), ResponseError> {
        let mut topics = self.topics.write();
        let topic = topics
            .get_mut(name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        if partitions > MAX_PARTITIONS || topic.len() as i64 >= i64::from(partitions) {
            return Err(ResponseError::InvalidPartitions);
        }
        topic.resize_with(usize::try_from(partitions).unwrap_or(0), || {
            Partition::new(self.retention)
        });
        Ok(())
    }

    /// Deletes a topic with its records.
    ///
    /// # Errors
    /// When there is no such topic.
    pub(crate) fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let partitions = self
            .topics
            .write()
            .remove(name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        for partition in partitions {
            partition.wake();
        }
        Ok(())
    }

    /// One partition, none if it does not exist.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(partition).ok()?;
        self.topics.read().get(topic)?.get(index).cloned()
    }

    /// Number of partitions of a topic, none if it does not exist.
    pub(crate) fn partitions(&self, topic: &str) -> Option<i32> {
        self.topics
            .read()
            .get(topic)
            .map(|topic| i32::try_from(topic.len()).unwrap_or(i32::MAX))
    }

    /// Names of all topics, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.topics.read().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts_are_checked() {
        let topics = Topics::new(None);
        assert_eq!(topics.create("logs.nginx-1_a", 3), Ok(()));
        assert_eq!(topics.partitions("logs.nginx-1_a"), Some(3));
        assert_eq!(
            topics.create("logs.nginx-1_a", 3),
            Err(ResponseError::TopicAlreadyExists)
        );
        for name in ["", "a b", "ä", ".", "a/b"] {
            assert_eq!(
                topics.create(name, 1),
                Err(ResponseError::InvalidTopicException)
            );
        }
        for partitions in [0, -1, i32::MAX] {
            assert_eq!(
                topics.create("x", partitions),
                Err(ResponseError::InvalidPartitions)
            );
        }
    }

    #[test]
    fn growing_keeps_what_is_there() {
        let topics = Topics::new(None);
        topics.create("a", 1).unwrap();
        let first = topics.partition("a", 0).unwrap();
        assert_eq!(topics.grow("a", 3), Ok(()));
        assert!(Arc::ptr_eq(&first, &topics.partition("a", 0).unwrap()));
        assert_eq!(topics.grow("a", 3), Err(ResponseError::InvalidPartitions));
        assert_eq!(
            topics.grow("b", 3),
            Err(ResponseError::UnknownTopicOrPartition)
        );
        assert!(topics.partition("a", 3).is_none() && topics.partition("a", -1).is_none());
    }
}
