//! The committed offsets of a group.

use std::time::Instant;

use kafka_protocol::ResponseError;

use super::{Group, State};
use crate::events::{EventKind, TopicPartition};

/// A committed offset, as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// Offset of the next record to read.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

impl Group {
    /// Whether a client may commit now. An id that is empty with a negative generation is a client outside the group.
    ///
    /// # Errors
    /// What OffsetCommit is answered with; it has been reported as an event.
    pub(crate) fn may_commit(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let allowed = match (generation < 0, self.state) {
            (true, State::Empty) => Ok(()),
            (_, state) => match (self.authenticate(id, instance, generation), state) {
                (Err(code), _) => Err(code),
                (Ok(member), State::Completing { .. }) => {
                    member.heard(now);
                    Err(ResponseError::RebalanceInProgress)
                }
                (Ok(member), _) => {
                    member.heard(now);
                    Ok(())
                }
            },
        };
        if let Err(error) = allowed {
            self.events.push(EventKind::CommitRefused {
                group: self.name.clone(),
                member: id.to_owned(),
                generation,
                error,
            });
        }
        allowed
    }

    /// Stores a committed offset for which `may_commit` has said yes.
    pub(crate) fn commit(
        &mut self,
        id: &str,
        generation: i32,
        partition: TopicPartition,
        offset: CommittedOffset,
    ) {
        let owned = self
            .members
            .get(id)
            .is_some_and(|member| member.owned.contains(&partition));
        self.events.push(EventKind::Committed {
            group: self.name.clone(),
            member: id.to_owned(),
            generation,
            partition: partition.clone(),
            offset: offset.offset,
            owned,
        });
        self.offsets.insert(partition, offset);
    }

    /// The committed offset of a partition, if there is one.
    pub(crate) fn committed(&self, partition: &TopicPartition) -> Option<&CommittedOffset> {
        self.offsets.get(partition)
    }

    /// All committed offsets, sorted by topic and partition.
    pub(crate) fn all_committed(
        &self,
    ) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        self.offsets.iter()
    }

    /// Forgets the offsets of a topic that is deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        self.offsets.retain(|(name, _), _| name != topic);
    }
}
