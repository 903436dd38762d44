//! The account of what arrived, by record id.
//!
//! Promise: an id is counted as delivered once, however often it comes; every further arrival is
//! a duplicate. The cost is one bit for each id and one short lock for each request.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use tokio::sync::Notify;

use crate::id_set::{IdSet, slot};
use crate::record::{LANES, RecordId, Route};

/// A thread-safe account of arrivals.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    arrived: Condvar,
    notify: Notify,
}

#[derive(Debug, Default)]
struct State {
    seen: IdSet,
    routes: BTreeMap<Route, Account>,
    order: BTreeMap<(Route, u16), Order>,
    anonymous: u64,
    arrivals: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Account {
    delivered: u64,
    duplicates: u64,
    requests: u64,
    bytes: u64,
    times: Option<(SystemTime, SystemTime)>,
}

/// The last first-arrival of a partition and of each of its lanes, as slot + 1 (0 = none yet).
#[derive(Debug)]
struct Order {
    last: u64,
    lanes: [u64; LANES as usize],
    inversions: u64,
    key_inversions: u64,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            last: 0,
            lanes: [0; LANES as usize],
            inversions: 0,
            key_inversions: 0,
        }
    }
}

impl Order {
    fn arrived(&mut self, id: RecordId) {
        let position = slot(id) + 1;
        self.inversions += u64::from(position < self.last);
        self.last = position;
        if let Some(last) = self.lanes.get_mut(id.lane() as usize) {
            self.key_inversions += u64::from(position < *last);
            *last = position;
        }
    }
}

/// What a [`Ledger`] holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One account for each route with arrivals.
    pub routes: BTreeMap<Route, RouteReport>,
    /// Distinct ids over all routes.
    pub delivered: u64,
    /// Repeated arrivals over all routes.
    pub duplicates: u64,
    /// Points, spans or values that carried no id.
    pub anonymous: u64,
}

/// The account of one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteReport {
    /// Distinct ids.
    pub delivered: u64,
    /// Arrivals beyond the first of an id.
    pub duplicates: u64,
    /// Requests whose first id was of this route.
    pub requests: u64,
    /// Bytes of their bodies as sent.
    pub(crate) bytes: u64,
    /// Time of the first arrival, milliseconds since the Unix epoch.
    pub(crate) first_ms: u64,
    /// Time of the last arrival, milliseconds since the Unix epoch.
    pub(crate) last_ms: u64,
    /// How often the first arrival of an id came behind a later one of its partition, summed over
    /// partitions: 0 means every partition arrived in order.
    pub inversions: u64,
    /// The same for each key of a partition; see [`RecordId::lane`].
    pub key_inversions: u64,
    /// `inversions` by partition, where not 0.
    pub(crate) inverted_partitions: BTreeMap<u16, u64>,
}

impl Ledger {
    /// An empty account.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the ids of one accepted request, in the order they stood in it, with the size of its
    /// body.
    pub fn delivered(&self, ids: &[RecordId], bytes: u64) {
        let Some(first) = ids.first() else { return };
        let now = SystemTime::now();
        let mut state = self.state.lock();
        state.arrivals += 1;
        let State {
            seen,
            routes,
            order,
            ..
        } = &mut *state;
        let account = routes.entry(first.route).or_default();
        account.requests += 1;
        account.bytes += bytes;
        // Ids of a request mostly share route and partition, so both look-ups are kept.
        for run in ids.chunk_by(|a, b| (a.route, a.partition) == (b.route, b.partition)) {
            let Some(id) = run.first() else { continue };
            let account = routes.entry(id.route).or_default();
            account.times = Some((account.times.map_or(now, |(first, _)| first), now));
            let order = order.entry((id.route, id.partition)).or_default();
            for (id, new) in run.iter().zip(seen.insert_run(run)) {
                if new {
                    account.delivered += 1;
                    order.arrived(*id);
                } else {
                    account.duplicates += 1;
                }
            }
        }
        drop(state);
        self.arrived.notify_all();
        self.notify.notify_waiters();
    }

    /// Counts points, spans or values without an id.
    pub fn anonymous(&self, count: u64) {
        if count > 0 {
            self.state.lock().anonymous += count;
        }
    }

    /// A snapshot of all accounts.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.state.lock();
        let ms = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64)
        };
        let routes: BTreeMap<_, _> = state
            .routes
            .iter()
            .map(|(&route, account)| {
                let orders = || state.order.range((route, 0)..=(route, u16::MAX));
                let (first, last) = account.times.unwrap_or((UNIX_EPOCH, UNIX_EPOCH));
                let report = RouteReport {
                    delivered: account.delivered,
                    duplicates: account.duplicates,
                    requests: account.requests,
                    bytes: account.bytes,
                    first_ms: ms(first),
                    last_ms: ms(last),
                    inversions: orders().map(|(_, order)| order.inversions).sum(),
                    key_inversions: orders().map(|(_, order)| order.key_inversions).sum(),
                    inverted_partitions: orders()
                        .filter(|(_, order)| order.inversions > 0)
                        .map(|(&(_, partition), order)| (partition, order.inversions))
                        .collect(),
                };
                (route, report)
            })
            .collect();
        Report {
            delivered: routes.values().map(|route| route.delivered).sum(),
            duplicates: routes.values().map(|route| route.duplicates).sum(),
            anonymous: state.anonymous,
            routes,
        }
    }

    /// Distinct ids of a route.
    #[must_use]
    pub fn count(&self, route: Route) -> u64 {
        self.state
            .lock()
            .routes
            .get(&route)
            .map_or(0, |account| account.delivered)
    }

    /// Distinct ids over all routes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.state
            .lock()
            .routes
            .values()
            .map(|account| account.delivered)
            .sum()
    }

    /// A copy of the ids seen.
    #[must_use]
    pub fn seen(&self) -> IdSet {
        self.state.lock().seen.clone()
    }

    /// Whether an id arrived.
    #[cfg(test)]
    pub(crate) fn has(&self, id: RecordId) -> bool {
        self.state.lock().seen.contains(id)
    }

    /// Up to `limit` ids of `expected` that have not arrived, in order.
    #[must_use]
    pub fn missing(&self, expected: &IdSet, limit: usize) -> Vec<RecordId> {
        expected
            .difference(&self.state.lock().seen)
            .take(limit)
            .collect()
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        *self.state.lock() = State::default();
    }

    /// Blocks until `done` holds, at most for `timeout`; tells whether it held. `done` is asked
    /// after every accepted request, so it should be cheap ([`Ledger::count`], [`Ledger::total`]).
    pub fn wait_until(&self, timeout: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let asked_at = self.state.lock().arrivals;
            if done(self) {
                return true;
            }
            let mut state = self.state.lock();
            // An arrival since the question is not announced again: ask anew instead of waiting.
            if state.arrivals == asked_at
                && self.arrived.wait_until(&mut state, deadline).timed_out()
            {
                drop(state);
                return done(self);
            }
        }
    }

    /// Waits until `done` holds; the caller sets the time limit. Asked after every accepted
    /// request.
    pub(crate) async fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        loop {
            let arrival = self.notify.notified();
            tokio::pin!(arrival);
            // Registered before the question, so that no arrival in between is missed.
            arrival.as_mut().enable();
            if done(self) {
                return;
            }
            arrival.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn ids(route: Route, partition: u16, sequences: &[u32]) -> Vec<RecordId> {
        sequences
            .iter()
            .map(|n| RecordId::new(route, partition, *n))
            .collect()
    }

    #[test]
    fn arrivals_duplicates_and_bytes_are_counted_by_route() {
        let ledger = Ledger::new();
        ledger.delivered(&ids(Route::OtelTraces, 0, &[0, 1, 2]), 300);
        ledger.delivered(&ids(Route::OtelTraces, 0, &[1, 2, 3]), 200);
        ledger.delivered(&ids(Route::CustomRum, 1, &[0]), 50);
        ledger.delivered(&[], 10);
        ledger.anonymous(2);
        let report = ledger.report();
        let traces = &report.routes[&Route::OtelTraces];
        assert_eq!(
            (
                traces.delivered,
                traces.duplicates,
                traces.requests,
                traces.bytes
            ),
            (4, 2, 2, 500)
        );
        assert!(traces.first_ms > 0 && traces.last_ms >= traces.first_ms);
        assert_eq!(
            (report.delivered, report.duplicates, report.anonymous),
            (5, 2, 2)
        );
        ledger.reset();
        assert_eq!(ledger.total(), 0);
        assert!(ledger.report().routes.is_empty());
    }

    #[test]
    fn missing_names_the_ids() {
        let ledger = Ledger::new();
        ledger.delivered(&ids(Route::JaegerProto, 3, &[0, 2]), 1);
        let mut expected = IdSet::new();
        expected.insert_range(Route::JaegerProto, 3, 0..5, 1);
        assert_eq!(
            ledger.missing(&expected, 2),
            ids(Route::JaegerProto, 3, &[1, 3])
        );
        assert_eq!(ledger.missing(&expected, 9).len(), 3);
    }

    #[test]
    fn order_is_judged_by_partition_and_by_key_and_not_by_duplicates() {
        let ledger = Ledger::new();
        ledger.delivered(&ids(Route::CustomLog, 0, &[0, 1, 2, 3]), 1);
        ledger.delivered(&ids(Route::CustomLog, 0, &[1, 2]), 1);
        ledger.delivered(&ids(Route::CustomLog, 1, &[5, 4]), 1);
        let report = ledger.report();
        let log = &report.routes[&Route::CustomLog];
        assert_eq!((log.inversions, log.key_inversions), (1, 0));
        assert_eq!(log.inverted_partitions, BTreeMap::from([(1, 1)]));
        let later = 4 + 2 * LANES as u32;
        ledger.delivered(&ids(Route::CustomLog, 1, &[later, later - LANES as u32]), 1);
        assert_eq!(ledger.report().routes[&Route::CustomLog].key_inversions, 1);
    }

    #[test]
    fn a_waiter_wakes_when_the_count_is_reached_and_gives_up_otherwise() {
        let ledger = Arc::new(Ledger::new());
        let other = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            other.wait_until(Duration::from_secs(30), |ledger| ledger.total() >= 2)
        });
        ledger.delivered(&ids(Route::CustomLog, 0, &[0]), 1);
        ledger.delivered(&ids(Route::CustomLog, 0, &[1]), 1);
        assert!(thread.join().unwrap());
        assert!(!ledger.wait_until(Duration::from_millis(1), |ledger| ledger.total() >= 3));
    }
}
