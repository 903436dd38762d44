//! Lanes that share a number of places: a lane of a pool is ready or in flight only while it holds
//! one, and the others stand in line.
//!
//! So keys can have lanes of their own, many more than may be under way at once, and one slow key
//! holds up no other.

use std::collections::VecDeque;

use super::ready::Lane;
use super::{LaneId, Lanes};

/// The pool a lane belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pool {
    /// Its name.
    pub id: u64,
    /// How many of its lanes may be in flight at once; at least 1.
    pub places: usize,
}

/// Where a lane of a pool stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Place {
    /// Nowhere.
    #[default]
    None,
    /// In line.
    Waiting,
    /// It holds a place.
    Held,
}

#[derive(Debug, Default)]
pub(super) struct PoolState {
    held: usize,
    /// Lanes in line; those that no longer wait are passed over.
    line: VecDeque<LaneId>,
}

impl<P> Lanes<P> {
    /// Whether a lane holds a place now or needs none; if not, it stands in line.
    pub(super) fn take_place(&mut self, id: LaneId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return false;
        };
        let (Some(pool), Place::None | Place::Waiting) = (lane.pool, lane.place) else {
            return true;
        };
        if lane.place == Place::Waiting {
            return false;
        }
        let state = self.pools.entry(pool.id).or_default();
        if state.held < pool.places.max(1) {
            state.held += 1;
            lane.place = Place::Held;
            return true;
        }
        state.line.push_back(id);
        lane.place = Place::Waiting;
        false
    }

    /// Takes the place of a lane that has had its turn, if others stand in line.
    pub(super) fn give_turn(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(pool) = lane.pool.filter(|_| lane.place == Place::Held) else {
            return;
        };
        if self
            .pools
            .get(&pool.id)
            .is_some_and(|state| !state.line.is_empty())
        {
            lane.place = Place::None;
            self.free(pool);
        }
    }

    /// Gives back what a lane held that is gone.
    pub(super) fn vacate(&mut self, lane: &Lane) {
        if let Some(pool) = lane.pool.filter(|_| lane.place == Place::Held) {
            self.free(pool);
        }
    }

    /// Gives a place that became free to the first in line.
    fn free(&mut self, pool: Pool) {
        let Some(state) = self.pools.get_mut(&pool.id) else {
            return;
        };
        state.held = state.held.saturating_sub(1);
        while let Some(state) = self.pools.get_mut(&pool.id)
            && let Some(next) = state.line.pop_front()
        {
            let waits = |lane: &&mut Lane| lane.place == Place::Waiting;
            if let Some(lane) = self.lanes.get_mut(&next).filter(waits) {
                lane.place = Place::None;
                self.make_ready(next);
                return;
            }
        }
        if self
            .pools
            .get(&pool.id)
            .is_some_and(|state| state.held == 0 && state.line.is_empty())
        {
            self.pools.remove(&pool.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::super::{Item, Limits, Parcel, Request};
    use super::*;
    use crate::endpoint::{Endpoint, EndpointOptions};

    fn lanes() -> (Lanes<u64>, Arc<Endpoint>) {
        let endpoint = Endpoint::try_new(EndpointOptions {
            url: "http://127.0.0.1/".into(),
            ..EndpointOptions::default()
        });
        let limits = Limits {
            max_items: 1,
            max_bytes: usize::MAX,
            max_age: Duration::ZERO,
            max_requests: 1000,
        };
        (Lanes::new(limits), Arc::new(endpoint.unwrap()))
    }

    fn push(lanes: &mut Lanes<u64>, to: &Arc<Endpoint>, lane: u64, items: u32, pool: Option<Pool>) {
        let parcel = Parcel {
            lane: LaneId(lane),
            endpoint: Arc::clone(to),
            items: (0..items)
                .map(|record| Item {
                    record,
                    body: Bytes::from_static(b"x"),
                })
                .collect(),
            arrived: Instant::now(),
            payload: lane,
        };
        assert!(lanes.push(parcel, pool).is_none());
    }

    #[test]
    fn a_pool_bounds_its_own_lanes_gives_each_its_turn_and_keeps_their_order() {
        let (mut lanes, endpoint) = lanes();
        let pool = Some(Pool { id: 7, places: 3 });
        for lane in 0..20 {
            push(&mut lanes, &endpoint, lane, 5, pool);
        }
        push(&mut lanes, &endpoint, 100, 1, None);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut flying: Vec<(Request, u64)> = Vec::new();
        let mut seen: Vec<(u64, u32)> = Vec::new();
        let mut complete = Vec::new();
        let mut most = 0;
        while !lanes.is_idle() {
            while let Some(request) = lanes.next(Instant::now()) {
                let lane = *lanes.parts(request.id).next().unwrap().payload;
                flying.push((request, lane));
            }
            let pooled = flying.iter().filter(|(_, lane)| *lane < 100).count();
            assert!(pooled <= 3, "{pooled}");
            most = most.max(pooled);
            let (request, lane) = flying.swap_remove(rng.usize(..flying.len()));
            if rng.u8(..5) == 0 {
                lanes.retry(request.id, Instant::now());
                continue;
            }
            complete.extend(lanes.delivered(request.id, |_, items| {
                seen.extend(items.iter().map(|item| (lane, item.record)));
            }));
        }
        assert_eq!(most, 3, "a place stays free");
        complete.sort_unstable();
        assert_eq!(complete, (0..20).chain([100]).collect::<Vec<_>>());
        for lane in 0..20 {
            let order: Vec<_> = seen.iter().filter(|(of, _)| *of == lane).collect();
            assert!(order.is_sorted(), "{order:?}");
            assert_eq!(order.len(), 5);
        }
        // No lane is finished before the others had their first turn.
        let firsts: Vec<_> = (0..20)
            .filter_map(|lane| seen.iter().position(|one| *one == (lane, 0)))
            .collect();
        let end = seen.iter().position(|(_, record)| *record == 4).unwrap();
        assert!(firsts.iter().filter(|first| **first < end).count() >= 10);
        assert!(lanes.pools.is_empty(), "a pool without lanes is forgotten");
    }

    #[test]
    fn cancelled_lanes_leave_the_line_and_give_their_places_back() {
        let (mut lanes, endpoint) = lanes();
        let pool = Some(Pool { id: 7, places: 1 });
        for lane in 0..3 {
            push(&mut lanes, &endpoint, lane, 2, pool);
        }
        let first = lanes.next(Instant::now()).unwrap();
        assert!(lanes.next(Instant::now()).is_none());
        let cancelled = lanes.cancel(|payload| *payload != 2);
        assert_eq!(cancelled.payloads.len(), 2);
        let _settled = lanes.delivered(first.id, |_, _| {});
        let next = lanes.next(Instant::now()).unwrap();
        assert_eq!(*lanes.parts(next.id).next().unwrap().payload, 2);
        let _settled = lanes.delivered(next.id, |_, _| {});
        // The line holds only this lane, so it goes on.
        let last = lanes.next(Instant::now()).unwrap();
        assert_eq!(lanes.delivered(last.id, |_, _| {}), [2]);
        assert!(lanes.is_idle() && lanes.pools.is_empty());
    }
}
