//! What operators do to single topics while they flow: stop reading them, and watch their records.
//!
//! The controls of a topic outlive its assignments and hold for all inputs that read it. The actor
//! of a partition looks at two flags per batch; everything else happens only while somebody asks for
//! it. Nothing here ever waits: a watcher that is slow misses records, the flow does not notice.

mod tap;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

pub(crate) use tap::{Tap, TapOptions, TappedRecord};

use self::tap::Watcher;
use kafkamq_memory::Account;
use kafkamq_record::RecordBatch;

/// Taps that may be open at once, all topics together.
pub(crate) const MAX_TAPS: usize = 16;

/// All taps are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_TAPS} taps are open already")]
pub(crate) struct TooManyTaps;

/// The controls of all topics.
#[derive(Debug)]
pub(crate) struct Controls {
    topics: RwLock<HashMap<Arc<str>, Arc<TopicControl>>>,
    taps: Arc<AtomicUsize>,
    /// What the copies of records for taps may take.
    account: Arc<Account>,
}

impl Controls {
    /// No topic is paused or watched; taps will take what `account` has.
    #[must_use]
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self {
            topics: RwLock::default(),
            taps: Arc::default(),
            account,
        }
    }

    /// The controls of one topic; made when they are first asked for.
    #[must_use]
    pub(crate) fn topic(&self, topic: &str) -> Arc<TopicControl> {
        if let Some(known) = self.topics.read().get(topic) {
            return Arc::clone(known);
        }
        let mut topics = self.topics.write();
        Arc::clone(topics.entry(topic.into()).or_default())
    }

    /// The pause of a topic, if it is paused.
    #[must_use]
    pub(crate) fn pause_of(&self, topic: &str) -> Option<Pause> {
        self.topics.read().get(topic)?.pause()
    }

    /// The topics that are paused, by name.
    #[must_use]
    pub(crate) fn paused(&self) -> Vec<(Arc<str>, Pause)> {
        let topics = self.topics.read();
        let mut paused: Vec<_> = topics
            .iter()
            .filter_map(|(topic, control)| Some((Arc::clone(topic), control.pause()?)))
            .collect();
        paused.sort_by(|a, b| a.0.cmp(&b.0));
        paused
    }

    /// Watches records of a topic until the result is dropped.
    ///
    /// # Errors
    /// When too many are being watched.
    pub(crate) fn tap(&self, topic: &str, options: TapOptions) -> Result<Tap, TooManyTaps> {
        let open = &self.taps;
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
            (open < MAX_TAPS).then_some(open + 1)
        })
        .map_err(|_| TooManyTaps)?;
        let account = Arc::clone(&self.account);
        Ok(Tap::open(
            self.topic(topic),
            Arc::clone(open),
            account,
            options,
        ))
    }
}

/// Who stopped a topic, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Since when.
    pub(crate) since: Timestamp,
    /// Name of the caller.
    pub(crate) by: String,
}

impl Pause {
    /// How long it holds already; not less than nothing, whatever became of the clock.
    #[must_use]
    pub(crate) fn age_seconds(&self) -> f64 {
        let age = Timestamp::now().duration_since(self.since);
        age.as_secs_f64().max(0.0)
    }
}

/// The controls of one topic.
#[derive(Debug, Default)]
pub(crate) struct TopicControl {
    paused: AtomicBool,
    pause: Mutex<Option<Pause>>,
    tapped: AtomicBool,
    watchers: Mutex<Vec<Watcher>>,
}

impl TopicControl {
    /// Whether nothing may be read.
    #[must_use]
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// The pause, if the topic is paused.
    #[must_use]
    pub(crate) fn pause(&self) -> Option<Pause> {
        self.pause.lock().clone()
    }

    /// Stops reading after the batches that are on their way. A pause that is there stays.
    pub(crate) fn stop(&self, by: &str) {
        self.stop_since(Pause {
            since: Timestamp::now(),
            by: by.to_owned(),
        });
    }

    /// The same for a pause that began earlier.
    pub(crate) fn stop_since(&self, begun: Pause) {
        let mut pause = self.pause.lock();
        pause.get_or_insert(begun);
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Reads again; partitions notice within a quarter of a second.
    pub(crate) fn resume(&self) {
        let mut pause = self.pause.lock();
        *pause = None;
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Shows a batch to those who watch. Without any, it costs one read of a flag.
    pub(crate) fn offer(&self, batch: &RecordBatch) {
        if !self.tapped.load(Ordering::Relaxed) {
            return;
        }
        // A watcher comes or goes at this moment; the flow does not wait for that.
        let Some(mut watchers) = self.watchers.try_lock() else {
            return;
        };
        let now = Instant::now();
        for watcher in watchers.iter_mut() {
            watcher.offer(batch, now);
        }
    }

    fn add(&self, watcher: Watcher) {
        let mut watchers = self.watchers.lock();
        watchers.push(watcher);
        self.tapped.store(true, Ordering::Relaxed);
    }

    fn remove(&self, id: u64) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| watcher.id() != id);
        self.tapped.store(!watchers.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
