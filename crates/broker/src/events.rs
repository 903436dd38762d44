//! The recorder: what happened in groups, in order, so that tests can assert on it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use parking_lot::{Condvar, Mutex};

/// Something that happened, with its place in the order of all events.
#[derive(Debug, Clone)]
pub struct Event {
    /// Counts up from 0 without gaps; survives the dropping of old events.
    pub sequence: u64,
    /// When.
    pub at: Instant,
    /// What.
    pub kind: EventKind,
}

/// A topic's name and a partition of it.
pub type TopicPartition = (String, i32);

/// Why a member is no longer in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It sent LeaveGroup.
    Left,
    /// No heartbeat within its session timeout.
    SessionExpired,
    /// It did not rejoin or sync within the rebalance timeout.
    RebalanceExpired,
    /// [`Broker::kick`](crate::Broker::kick).
    Kicked,
    /// A new member came with the same static instance id.
    Replaced,
}

/// What an [`Event`] says. `group` and `member` are the names the protocol uses; member ids begin with the client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A member asked to join, or to join again; `owned` is what it says it still holds (cooperative members).
    Join {
        /// The group id.
        group: String,
        /// Member id.
        member: String,
        /// Partitions the member keeps while the group rebalances.
        owned: Vec<TopicPartition>,
    },
    /// A member is gone.
    Leave {
        /// The group id.
        group: String,
        /// Member id.
        member: String,
        /// Why.
        reason: Departure,
    },
    /// The group began to rebalance: from now on heartbeats tell members to rejoin.
    Rebalance {
        /// The group id.
        group: String,
        /// The generation that ends.
        generation: i32,
    },
    /// All members have joined: a new generation.
    Generation {
        /// The group id.
        group: String,
        /// Its number.
        generation: i32,
        /// Assignment strategy they agreed on.
        protocol: String,
        /// Member id of the one that assigns.
        leader: String,
        /// Member ids.
        members: Vec<String>,
    },
    /// A member has been told its partitions.
    Assigned {
        /// The group id.
        group: String,
        /// The generation that the partitions are assigned in.
        generation: i32,
        /// Member id.
        member: String,
        /// Its partitions, all of them.
        partitions: Vec<TopicPartition>,
    },
    /// A member, or a client outside the group, committed an offset.
    Committed {
        /// The group id.
        group: String,
        /// Member id, empty for a client outside the group.
        member: String,
        /// Generation the client sent, -1 outside the group.
        generation: i32,
        /// Topic and partition.
        partition: TopicPartition,
        /// Offset of the next record to read.
        offset: i64,
        /// Whether the partition was the member's to commit: assigned to it, and not given up by a later rejoin.
        /// The protocol does not ask for this, so the commit has been stored anyway.
        owned: bool,
    },
    /// A commit was refused.
    CommitRefused {
        /// The group id.
        group: String,
        /// Member id.
        member: String,
        /// Generation the client sent.
        generation: i32,
        /// The answer.
        error: ResponseError,
    },
}

impl EventKind {
    /// Name of the group the event is about.
    pub fn group(&self) -> &str {
        match self {
            Self::Join { group, .. }
            | Self::Leave { group, .. }
            | Self::Rebalance { group, .. }
            | Self::Generation { group, .. }
            | Self::Assigned { group, .. }
            | Self::Committed { group, .. }
            | Self::CommitRefused { group, .. } => group,
        }
    }
}

/// Keeps the latest events and wakes threads that wait for a change of the broker.
pub(crate) struct Recorder {
    capacity: usize,
    state: Mutex<Recorded>,
    changed: Condvar,
}

#[derive(Default)]
struct Recorded {
    next: u64,
    /// Counts events and appends; what waiting threads look at.
    changes: u64,
    events: VecDeque<Event>,
}

impl Recorder {
    /// Keeps `capacity` events.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds events in order.
    pub(crate) fn record(&self, kinds: impl IntoIterator<Item = EventKind>) {
        let at = Instant::now();
        let mut state = self.state.lock();
        for kind in kinds {
            let sequence = state.next;
            state.next += 1;
            state.events.push_back(Event { sequence, at, kind });
            if state.events.len() > self.capacity {
                state.events.pop_front();
            }
        }
        state.changes += 1;
        self.changed.notify_all();
    }

    /// Tells waiting threads to look again.
    pub(crate) fn changed(&self) {
        self.state.lock().changes += 1;
        self.changed.notify_all();
    }

    /// The events kept with this sequence number or a later one.
    pub(crate) fn since(&self, sequence: u64) -> Vec<Event> {
        let state = self.state.lock();
        state
            .events
            .iter()
            .filter(|event| event.sequence >= sequence)
            .cloned()
            .collect()
    }

    /// Sequence number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// Blocks until `done` gives a value, looking again after each change, or until `timeout` is over.
    pub(crate) fn wait<T>(
        &self,
        timeout: Duration,
        mut done: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.state.lock().changes;
            if let Some(value) = done() {
                return Some(value);
            }
            let mut state = self.state.lock();
            while state.changes == seen {
                if self.changed.wait_until(&mut state, deadline).timed_out() {
                    drop(state);
                    return done();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebalance(generation: i32) -> EventKind {
        EventKind::Rebalance {
            group: "g".into(),
            generation,
        }
    }

    #[test]
    fn the_oldest_events_go_and_numbers_stay() {
        let recorder = Recorder::new(3);
        recorder.record((0..5).map(rebalance));
        let kept: Vec<u64> = recorder
            .since(0)
            .iter()
            .map(|event| event.sequence)
            .collect();
        assert_eq!(kept, [2, 3, 4]);
        assert_eq!(recorder.next(), 5);
        assert_eq!(recorder.since(4).len(), 1);
    }

    #[test]
    fn a_waiting_thread_sees_a_change_of_another() {
        let recorder = Recorder::new(3);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                recorder.wait(Duration::from_secs(60), || {
                    recorder.since(1).pop().map(|e| e.kind)
                })
            });
            recorder.record([rebalance(0)]);
            recorder.record([rebalance(1)]);
            assert_eq!(waiting.join().unwrap(), Some(rebalance(1)));
        });
        assert_eq!(recorder.wait(Duration::ZERO, || None::<()>), None);
    }
}
