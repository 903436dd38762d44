//! Queues of lanes, and per endpoint the lanes that could send now.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::pool::Place;
use super::{Endpoint, LaneId, Lanes, Limits, Pool};

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ParcelId(pub(super) u64);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct GroupId(u64);

/// Consecutive parcels of a lane for one endpoint.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) group: GroupId,
    pub(super) parcels: VecDeque<ParcelId>,
    /// Items queued in these parcels, and their bytes.
    pub(super) items: usize,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) runs: VecDeque<Run>,
    /// Items in a request; the lane is busy while there are any.
    pub(super) taken: usize,
    /// Its entry in the ready set of its first run's group, while it has one.
    ready: Option<Instant>,
    /// The pool it needs a place in before it may be ready.
    pub(super) pool: Option<Pool>,
    pub(super) place: Place,
}

impl Lane {
    /// A lane without work, of this pool.
    pub(super) fn within(pool: Option<Pool>) -> Self {
        Self {
            pool,
            ..Self::default()
        }
    }

    /// Joins neighbours that have become equal.
    pub(super) fn join_runs(&mut self) {
        let mut joined: VecDeque<Run> = VecDeque::with_capacity(self.runs.len());
        for mut run in self.runs.drain(..) {
            match joined.back_mut() {
                Some(last) if last.group == run.group => {
                    last.parcels.append(&mut run.parcels);
                    last.items += run.items;
                    last.bytes += run.bytes;
                }
                _ => joined.push_back(run),
            }
        }
        self.runs = joined;
    }
}

/// What may travel together: everything for one endpoint.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) endpoint: Arc<Endpoint>,
    /// Lanes that are not busy and whose first run is for this endpoint, oldest head first.
    ready: BTreeSet<(Instant, LaneId)>,
    /// Items and bytes in the first runs of those lanes.
    items: usize,
    bytes: usize,
    /// What the endpoint was found to take, where that is less than the configured limit.
    byte_cap: usize,
    /// Items up to here are sent without waiting for a fuller batch.
    pub(super) flushed: Option<Instant>,
    /// The newest request among those that were accepted, by [`History::sent`](super::History::sent).
    pub(super) accepted: u64,
}

impl Group {
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.ready.first().map(|(arrived, _)| *arrived)
    }

    /// From when on a request may be formed; `None` if there is nothing to form it of.
    pub(super) fn due(&self, limits: &Limits) -> Option<Instant> {
        let oldest = self.oldest()?;
        let full = self.items >= limits.max_items
            || self.endpoint.body_bytes(self.items, self.bytes) >= self.max_bytes(limits);
        if full || self.flushed.is_some_and(|moment| oldest <= moment) {
            return Some(oldest);
        }
        Some(oldest + limits.max_age)
    }

    fn max_bytes(&self, limits: &Limits) -> usize {
        limits.max_bytes.min(self.byte_cap)
    }

    /// A request of `bytes` was too large.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.byte_cap = self.byte_cap.min((bytes / 2).max(1));
    }

    /// A request was accepted: the cap is given up slowly, since one refusal can have had a passing
    /// cause. A cap that was right is hit again once in some 45 requests.
    pub(super) fn grow(&mut self, limits: &Limits) {
        if self.byte_cap < usize::MAX {
            self.byte_cap = self.byte_cap.saturating_add(self.byte_cap / 64 + 1);
            if self.byte_cap >= limits.max_bytes {
                self.byte_cap = usize::MAX;
            }
        }
    }
}

impl<P> Lanes<P> {
    pub(super) fn group_of(&mut self, endpoint: Arc<Endpoint>) -> GroupId {
        if let Some(group) = self
            .groups
            .iter()
            .find(|group| Arc::ptr_eq(&group.endpoint, &endpoint))
        {
            return group.id;
        }
        // Endpoints that a reconfiguration replaced: they have no other holder and no work left.
        let parcels = &self.parcels;
        self.groups.retain(|group| {
            Arc::strong_count(&group.endpoint) > 1
                || parcels.values().any(|parcel| parcel.group == group.id)
        });
        let id = GroupId(self.fresh_id());
        self.groups.push(Group {
            id,
            endpoint,
            ready: BTreeSet::new(),
            items: 0,
            bytes: 0,
            byte_cap: usize::MAX,
            flushed: None,
            accepted: 0,
        });
        id
    }

    pub(super) fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.id == id)
    }

    /// Takes a lane out of the ready set. To be called before anything about it changes.
    pub(super) fn unready(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let (Some(arrived), Some(run)) = (lane.ready.take(), lane.runs.front()) else {
            return;
        };
        let (of, items, bytes) = (run.group, run.items, run.bytes);
        if let Some(group) = self.group_mut(of) {
            group.ready.remove(&(arrived, id));
            group.items -= items;
            group.bytes -= bytes;
        }
    }

    /// Puts a lane into the ready set if it has work and is not busy; forgets it if it has neither.
    pub(super) fn make_ready(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if lane.taken > 0 {
            return;
        }
        if lane.runs.is_empty() {
            if let Some(lane) = self.lanes.remove(&id) {
                self.vacate(&lane);
            }
            return;
        }
        if !self.take_place(id) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(run) = lane.runs.front() else {
            return;
        };
        let head = run
            .parcels
            .front()
            .and_then(|parcel| self.parcels.get(parcel));
        let Some(arrived) = head.map(|parcel| parcel.arrived) else {
            return;
        };
        let (of, items, bytes) = (run.group, run.items, run.bytes);
        lane.ready = Some(arrived);
        if let Some(group) = self.group_mut(of) {
            group.ready.insert((arrived, id));
            group.items += items;
            group.bytes += bytes;
        }
    }

    /// `count` items of a lane are in no request any more.
    pub(super) fn release(&mut self, id: LaneId, count: usize) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.taken -= count;
            if lane.taken == 0 {
                self.give_turn(id);
                self.make_ready(id);
            }
        }
    }

    /// Takes the items of the next request for a group, oldest lanes first, and makes those busy.
    pub(super) fn fill(&mut self, group: GroupId) -> Batch {
        let limits = self.limits;
        let Some((endpoint, max_bytes, expected)) = self.group_mut(group).map(|group| {
            let expected = group.items.min(limits.max_items);
            (group.endpoint.clone(), group.max_bytes(&limits), expected)
        }) else {
            return Batch::default();
        };
        let mut batch = Batch::with_capacity(expected);
        let fits = |batch: &Batch, more: usize| {
            batch.is_empty()
                || (batch.len() < limits.max_items
                    && endpoint.body_bytes(batch.len() + 1, batch.bytes() + more) <= max_bytes)
        };
        loop {
            let first = self.groups.iter().find(|known| known.id == group);
            let Some(id) = first
                .and_then(|group| group.ready.first())
                .map(|(_, lane)| *lane)
            else {
                return batch;
            };
            self.unready(id);
            let Some(lane) = self.lanes.get_mut(&id) else {
                return batch;
            };
            let Some(run) = lane.runs.front_mut() else {
                return batch;
            };
            let before = batch.len();
            let mut full = false;
            while let Some(parcel) = run.parcels.front().copied() {
                let Some(state) = self.parcels.get_mut(&parcel) else {
                    break;
                };
                while let Some(item) = state.queue.front() {
                    full = !fits(&batch, item.body.len());
                    if full {
                        break;
                    }
                    if let Some(item) = state.queue.pop_front() {
                        run.items -= 1;
                        run.bytes -= item.body.len();
                        batch.push(parcel, id, item);
                    }
                }
                if full {
                    break;
                }
                run.parcels.pop_front();
            }
            if run.parcels.is_empty() {
                lane.runs.pop_front();
            }
            lane.taken += batch.len() - before;
            if full {
                self.make_ready(id);
                return batch;
            }
        }
    }
}
