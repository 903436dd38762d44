//! What the supervisor may see of a partition without asking its actor.

use std::time::Instant;

use parking_lot::Mutex;

use kafkamq_source::blocked::Blocked;

/// What a topic actor shows of itself.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Why nothing is read, and since when.
    pub(crate) blocked: Option<(Blocked, Instant)>,
    /// When something was last read or settled.
    pub(crate) moved: Instant,
    /// Batches in flight.
    pub(crate) batches: usize,
    /// Where the next record is expected.
    pub(crate) position: Option<i64>,
}

/// Where it shows it.
#[derive(Debug)]
pub(crate) struct View(Mutex<Seen>);

impl View {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Seen {
            blocked: None,
            moved: now,
            batches: 0,
            position: None,
        }))
    }

    /// What it shows now.
    pub(crate) fn seen(&self) -> Seen {
        self.0.lock().clone()
    }

    /// Nothing is read for this reason, if there is one. The first moment of a reason is kept.
    pub(super) fn block(&self, blocked: Option<Blocked>, now: Instant) {
        let mut seen = self.0.lock();
        match (&mut seen.blocked, blocked) {
            (Some((before, _)), Some(blocked)) if before.label() == blocked.label() => {
                *before = blocked;
            }
            (_, blocked) => seen.blocked = blocked.map(|blocked| (blocked, now)),
        }
    }

    /// Something was read or settled.
    pub(super) fn moved(&self, batches: usize, position: Option<i64>, now: Instant) {
        let mut seen = self.0.lock();
        (seen.moved, seen.batches, seen.position) = (now, batches, position);
    }
}
