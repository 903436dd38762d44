//! All consumer groups, and the timer that drives them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::events::Recorder;
use crate::group::Group;

/// The groups of the broker.
pub(crate) struct Coordinator {
    groups: Mutex<BTreeMap<String, Group>>,
    initial_delay: Duration,
    recorder: Arc<Recorder>,
    /// Tells the timer that a deadline may have come closer.
    rescheduled: Notify,
}

impl Coordinator {
    /// No groups yet. `initial_delay` is how long the first member of a group waits; `recorder` gets what happens.
    pub(crate) fn new(initial_delay: Duration, recorder: Arc<Recorder>) -> Self {
        Self {
            groups: Mutex::default(),
            initial_delay,
            recorder,
            rescheduled: Notify::new(),
        }
    }

    /// Does something with a group, which is created if need be, and reports what happened.
    ///
    /// # Errors
    /// `INVALID_GROUP_ID` when the name is empty.
    pub(crate) fn with<T>(
        &self,
        name: &str,
        call: impl FnOnce(&mut Group) -> T,
    ) -> Result<T, ResponseError> {
        if name.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let mut groups = self.groups.lock();
        let group = groups
            .entry(name.to_owned())
            .or_insert_with(|| Group::new(name, self.initial_delay));
        let deadline = group.deadline();
        let result = call(group);
        let events = group.take_events();
        if !events.is_empty() {
            self.recorder.record(events);
        }
        if group.deadline() != deadline {
            self.rescheduled.notify_one();
        }
        Ok(result)
    }

    /// Looks at a group, if it exists.
    pub(crate) fn look<T>(&self, name: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        self.groups.lock().get(name).map(look)
    }

    /// Names of all groups, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.groups.lock().keys().cloned().collect()
    }

    /// Deletes a group with its offsets.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`, or `NON_EMPTY_GROUP` while it has members.
    pub(crate) fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let group = groups.get(name).ok_or(ResponseError::GroupIdNotFound)?;
        if group.members().len() > 0 {
            return Err(ResponseError::NonEmptyGroup);
        }
        groups.remove(name);
        Ok(())
    }

    /// Forgets the offsets of a topic that is deleted.
    pub(crate) fn forget_topic(&self, topic: &str) {
        for group in self.groups.lock().values_mut() {
            group.forget_topic(topic);
        }
    }

    /// Runs for ever: lets groups do what their deadlines demand.
    pub(crate) async fn keep_time(&self) {
        loop {
            match self.tick(Instant::now()) {
                None => self.rescheduled.notified().await,
                Some(deadline) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(deadline.into()) => {}
                        () = self.rescheduled.notified() => {}
                    }
                }
            }
        }
    }

    /// Ticks every group that is due and returns the next deadline.
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for group in self.groups.lock().values_mut() {
            if group.deadline().is_some_and(|deadline| deadline <= now) {
                group.tick(now);
                let events = group.take_events();
                if !events.is_empty() {
                    self.recorder.record(events);
                }
            }
            next = next.into_iter().chain(group.deadline()).min();
        }
        next
    }
}
