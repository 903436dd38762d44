//! The names of lanes.

use std::hash::{BuildHasher, RandomState};

use kafkamq_record::{Record, TopicPartition};

use crate::route::{KeyLanes, Route, RouteKind};
use kafkamq_delivery::lanes::Pool;

/// Lanes for each place of a pool: enough that two keys rarely share one.
const LANES_A_PLACE: u64 = 64;

/// Names lanes, the same way everywhere in the process.
#[derive(Debug, Default)]
pub struct LaneNames {
    hasher: RandomState,
}

impl LaneNames {
    /// A hash of `what`.
    pub fn partition_hash(&self, source: &TopicPartition) -> u64 {
        self.hasher.hash_one(source)
    }

    /// The name of lane `key_lane` of `source`, unique over all partitions but for collisions,
    /// which merely make two lanes share an order.
    pub fn lane(&self, source: &TopicPartition, key_lane: u64) -> u64 {
        self.hasher.hash_one((source, key_lane))
    }
}

/// Chooses the lanes of the records of one batch.
pub(super) struct LaneChoice<'a> {
    pub(super) names: &'a LaneNames,
    pub(super) source: &'a TopicPartition,
    pub(super) route: &'a Route,
    /// Counts records without a key, which may go to any lane.
    pub(super) spread: &'a mut u64,
    /// The lane named last and its name: neighbours mostly share one.
    pub(super) last: Option<(u64, u64)>,
}

impl LaneChoice<'_> {
    #[inline]
    pub(super) fn lane(&mut self, record: &Record<'_>) -> u64 {
        // One request a record: then nearly every key can have a lane of its own, and a slow key
        // holds up no other. Where records share requests, that would only make those smaller.
        let fine = if is_pooled(self.route) {
            LANES_A_PLACE
        } else {
            1
        };
        let key_lane = match (self.route.lanes, record.key()) {
            (KeyLanes::One, _) => 0,
            (KeyLanes::ByKey(lanes), Some(key)) => self.names.hasher.hash_one(key) % (lanes * fine),
            (KeyLanes::ByKey(lanes) | KeyLanes::Free(lanes), _) => {
                *self.spread = self.spread.wrapping_add(1);
                *self.spread % (lanes * fine)
            }
        };
        match self.last {
            Some((known, name)) if known == key_lane => name,
            _ => {
                let name = self.names.lane(self.source, key_lane);
                self.last = Some((key_lane, name));
                name
            }
        }
    }
}

/// The pool of a partition's lanes: so many of them are under way at once as the route has threads.
pub fn pool(names: &LaneNames, source: &TopicPartition, route: &Route) -> Option<Pool> {
    let places = match route.lanes {
        KeyLanes::ByKey(lanes) | KeyLanes::Free(lanes) if is_pooled(route) => lanes,
        _ => return None,
    };
    Some(Pool {
        id: names.lane(source, u64::MAX),
        places: usize::try_from(places).unwrap_or(usize::MAX),
    })
}

fn is_pooled(route: &Route) -> bool {
    route.lanes != KeyLanes::One
        && matches!(
            route.kind,
            RouteKind::Forward { .. } | RouteKind::Transcode(_)
        )
}
