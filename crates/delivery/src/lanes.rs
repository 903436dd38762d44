//! Which work goes into the next request to a destination.
//!
//! Work arrives as [`Parcel`]s: items of one lane for one endpoint, with something attached that
//! the owner wants back when all of them are settled. `Lanes` forms [`Request`]s from them and
//! promises, whatever the order of calls:
//!
//! * at most one request of a lane is in flight, and the items of a lane are sent and settled in the
//!   order they came in; lanes run side by side;
//! * of the lanes of one [`Pool`], no more are in flight at once than it allows; the others wait their
//!   turn;
//! * every item is settled exactly once, unless its parcel is cancelled; a parcel's attachment comes
//!   back exactly once;
//! * no request exceeds the limits, save one item that alone is larger than the byte limit;
//! * a request that failed is sent again with the same items before anything else of its lanes, unless
//!   `next_past` is asked for.
//!
//! A request of several items that is refused is searched for the item at fault by bisection. Only
//! left halves are sent: where one passes, the fault is in the right half, where one fails, the
//! right half goes back to the head of its lanes unjudged. So one culprit among n items costs at
//! most ceil(log2 n) + 1 further requests, the items before it are delivered before it is given up,
//! and an item is given up only on the answer to a request that held nothing else.
//!
//! Pure: no input or output, no clock; the caller passes the time in.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::endpoint::Endpoint;

mod batch;
mod cancel;
#[cfg(test)]
mod model;
mod parcel;
mod pool;
mod probe;
mod ready;

use batch::Batch;
pub use parcel::{Cancelled, Item, LaneId, Limits, Load, Parcel, Request, RequestId, RequestPart};
pub use pool::Pool;
use pool::PoolState;
pub(crate) use probe::{History, Suspect};
use ready::{Group, GroupId, Lane, ParcelId, Run};

/// A map that is walked in the same order whenever the same was put into it: a walk becomes an order of
/// effects, and equal inputs have to give equal ones. Its keys are numbers of our own, and hashes of
/// keys that cannot be chosen from outside.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

struct ParcelState<P> {
    /// `None` once cancelled.
    payload: Option<P>,
    lane: LaneId,
    group: GroupId,
    arrived: Instant,
    queue: VecDeque<Item>,
    /// Items queued here plus items in requests.
    unsettled: usize,
}

struct Flight {
    group: GroupId,
    batch: Batch,
    /// Where a refusal is being searched for: the items right of `batch` that are known to contain
    /// a culprit if `batch` passes, then those nothing is known about.
    suspect: Batch,
    unknown: Batch,
    /// Whether `suspect` is known to hold the culprit once `batch` has passed. If not, it is sent
    /// whole, with this history.
    rest: Option<History>,
    history: History,
    tries: u32,
    formed: Instant,
    /// Whether it was formed out of the order of its lane.
    past: bool,
    /// `None` while in flight; otherwise not sent again before this moment.
    waiting: Option<Instant>,
}

/// The work of one destination.
pub(crate) struct Lanes<P> {
    limits: Limits,
    lanes: Map<LaneId, Lane>,
    groups: Vec<Group>,
    pools: Map<u64, PoolState>,
    parcels: Map<ParcelId, ParcelState<P>>,
    flights: Map<RequestId, Flight>,
    waiting: BTreeSet<(Instant, RequestId)>,
    ages: BTreeSet<(Instant, ParcelId)>,
    load: Load,
    next_id: u64,
}

impl<P> Lanes<P> {
    /// Nothing to do yet.
    #[must_use]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits: limits.sane(),
            lanes: Map::default(),
            groups: Vec::new(),
            pools: Map::default(),
            parcels: Map::default(),
            flights: Map::default(),
            waiting: BTreeSet::new(),
            ages: BTreeSet::new(),
            load: Load::default(),
            next_id: 0,
        }
    }

    /// Replaces the limits; requests that are formed already keep their size.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits.sane();
    }

    /// Replaces the number of requests that may be in flight.
    pub(crate) fn set_max_requests(&mut self, max_requests: usize) {
        self.limits.max_requests = max_requests.max(1);
    }

    /// What is under way now.
    #[must_use]
    pub(crate) fn load(&self) -> Load {
        Load {
            oldest: self.ages.first().map(|(arrived, _)| *arrived),
            ..self.load
        }
    }

    /// True if nothing is queued and nothing is in flight.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.parcels.is_empty() && self.flights.is_empty()
    }

    /// Takes work in, for a lane that may belong to a pool. A lane that has work keeps its pool.
    /// Returns the attachment at once if there is nothing to deliver.
    #[must_use = "the attachment of an empty parcel comes straight back"]
    pub(crate) fn push(&mut self, parcel: Parcel<P>, pool: Option<Pool>) -> Option<P> {
        let Parcel {
            lane,
            endpoint,
            items,
            arrived,
            payload,
        } = parcel;
        if items.is_empty() {
            return Some(payload);
        }
        let group = self.group_of(endpoint);
        let id = ParcelId(self.fresh_id());
        let (count, bytes) = (
            items.len(),
            items.iter().map(|item| item.body.len()).sum::<usize>(),
        );
        self.load.queued_items += count;
        self.load.queued_bytes += bytes;
        self.ages.insert((arrived, id));
        let state = ParcelState {
            payload: Some(payload),
            lane,
            group,
            arrived,
            queue: items,
            unsettled: count,
        };
        self.parcels.insert(id, state);
        self.unready(lane);
        let runs = &mut self
            .lanes
            .entry(lane)
            .or_insert_with(|| Lane::within(pool))
            .runs;
        match runs.back_mut() {
            Some(run) if run.group == group => {
                run.parcels.push_back(id);
                run.items += count;
                run.bytes += bytes;
            }
            _ => runs.push_back(Run {
                group,
                parcels: VecDeque::from([id]),
                items: count,
                bytes,
            }),
        }
        self.make_ready(lane);
        None
    }

    /// Everything that came in up to `now` goes out without waiting for fuller requests.
    pub(crate) fn flush(&mut self, now: Instant) {
        for group in &mut self.groups {
            group.flushed = Some(now);
        }
    }

    /// The next request to send at `now`, if there is one and the number of requests allows it. It
    /// counts as in flight until its outcome is reported.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Request> {
        if self.load.in_flight_requests >= self.limits.max_requests {
            return None;
        }
        if let Some(&(moment, id)) = self.waiting.first()
            && moment <= now
        {
            self.waiting.pop_first();
            return self.depart(id);
        }
        self.fresh(now)
    }

    /// A request of what is queued, if one may be formed now.
    fn fresh(&mut self, now: Instant) -> Option<Request> {
        let limits = self.limits;
        let group = self
            .groups
            .iter()
            .filter(|group| group.due(&limits).is_some_and(|due| due <= now))
            .min_by_key(|group| group.oldest())?
            .id;
        let batch = self.fill(group);
        let id = RequestId(self.fresh_id());
        self.flights.insert(id, Flight::new(group, batch, now));
        self.depart(id)
    }

    /// When [`next`](Self::next) has something to give, as far as is known now: a moment in the past
    /// means at once, `None` means not before something else happens.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.load.in_flight_requests >= self.limits.max_requests {
            return None;
        }
        let waiting = self.waiting.first().map(|(moment, _)| *moment);
        let fresh = self
            .groups
            .iter()
            .filter_map(|group| group.due(&self.limits))
            .min();
        [waiting, fresh].into_iter().flatten().min()
    }

    /// What a request in flight consists of, parcel by parcel, without what was cancelled.
    pub(crate) fn parts(&self, id: RequestId) -> impl Iterator<Item = RequestPart<'_, P>> {
        self.flights
            .get(&id)
            .into_iter()
            .flat_map(|flight| flight.batch.parts())
            .filter_map(|(part, items)| {
                let payload = self.parcels.get(&part.parcel)?.payload.as_ref()?;
                Some(RequestPart { payload, items })
            })
    }

    /// The request was accepted: its items are settled and its lanes go on. `visit` sees the items
    /// of each parcel that is not cancelled. Returns the attachments of parcels that are complete.
    #[must_use = "the attachments of complete parcels have to be resolved"]
    pub(crate) fn delivered(
        &mut self,
        id: RequestId,
        mut visit: impl FnMut(&mut P, &[Item]),
    ) -> Vec<P> {
        let Some(mut flight) = self.land(id) else {
            return Vec::new();
        };
        let limits = self.limits;
        if let Some(group) = self.group_mut(flight.group) {
            group.grow(&limits);
        }
        let complete = self.settle(std::mem::take(&mut flight.batch), &mut visit);
        // What follows a half that passed contains the culprit.
        let suspect = std::mem::take(&mut flight.suspect);
        let suspect = self.without_cancelled(suspect);
        match suspect.len() {
            0 => {
                let unknown = std::mem::take(&mut flight.unknown);
                self.requeue(unknown);
            }
            count => {
                flight.batch = suspect;
                flight.tries = 0;
                // One alone is sent by itself before it is judged.
                match flight.rest.take() {
                    Some(rest) => flight.history = rest,
                    None if count > 1 => flight.narrow(),
                    None => {}
                }
                self.hold(id, flight, None);
            }
        }
        complete
    }

    /// The request is given up for good (dead letter, or dropped by the user's wish): settled as in
    /// [`delivered`](Self::delivered), and whatever was held back for it returns to its lanes.
    #[must_use = "the attachments of complete parcels have to be resolved"]
    pub(crate) fn rejected(
        &mut self,
        id: RequestId,
        mut visit: impl FnMut(&mut P, &[Item]),
    ) -> Vec<P> {
        let Some(flight) = self.land(id) else {
            return Vec::new();
        };
        let complete = self.settle(flight.batch, &mut visit);
        // In this order, so that the suspects come to stand before the unknown.
        self.requeue(flight.unknown);
        self.requeue(flight.suspect);
        complete
    }

    /// The request failed and is sent again, not before `not_before` and ahead of anything else of
    /// its lanes.
    pub(crate) fn retry(&mut self, id: RequestId, not_before: Instant) {
        let Some(mut flight) = self.land(id) else {
            return;
        };
        flight.batch = self.without_cancelled(flight.batch);
        if flight.batch.is_empty() {
            self.requeue(flight.unknown);
            self.requeue(flight.suspect);
            return;
        }
        self.hold(id, flight, Some(not_before));
    }

    /// The request was refused for its content: its left half is tried next, until the culprit
    /// stands alone. Returns false and changes nothing if it holds one item only, which is the culprit then.
    pub(crate) fn bisect(&mut self, id: RequestId) -> bool {
        if self
            .flights
            .get(&id)
            .is_none_or(|flight| flight.batch.len() < 2)
        {
            return false;
        }
        let Some(mut flight) = self.land(id) else {
            return false;
        };
        flight.batch = self.without_cancelled(flight.batch);
        // This part is known to be bad, so what stands right of it is unknown again.
        flight.unknown.prepend(std::mem::take(&mut flight.suspect));
        flight.rest = None;
        flight.tries = 0;
        match flight.batch.len() {
            0 => self.requeue(flight.unknown),
            count => {
                if count > 1 {
                    flight.narrow();
                }
                self.hold(id, flight, None);
            }
        }
        true
    }

    /// The request was refused for its size: the endpoint gets at most half as much from now on, and
    /// the items return to the head of their lanes. Returns false and changes nothing if it holds
    /// one item only.
    pub(crate) fn too_large(&mut self, id: RequestId) -> bool {
        if self
            .flights
            .get(&id)
            .is_none_or(|flight| flight.batch.len() < 2)
        {
            return false;
        }
        let Some(flight) = self.land(id) else {
            return false;
        };
        let (count, bytes) = (flight.batch.len(), flight.batch.bytes());
        if let Some(group) = self.group_mut(flight.group) {
            group.shrink(group.endpoint.body_bytes(count, bytes));
        }
        self.requeue(flight.unknown);
        self.requeue(flight.suspect);
        self.requeue(flight.batch);
        true
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Marks a request that exists as in flight and hands it out.
    fn depart(&mut self, id: RequestId) -> Option<Request> {
        let flight = self.flights.get_mut(&id)?;
        flight.waiting = None;
        let tries = flight.tries;
        flight.tries = flight.tries.saturating_add(1);
        let (count, bytes) = (flight.batch.len(), flight.batch.bytes());
        self.load.queued_items -= count;
        self.load.queued_bytes -= bytes;
        self.load.in_flight_items += count;
        self.load.in_flight_bytes += bytes;
        self.load.in_flight_requests += 1;
        let endpoint = self
            .groups
            .iter()
            .find(|group| group.id == flight.group)?
            .endpoint
            .clone();
        let items = flight.batch.share();
        let sending = self.fresh_id();
        Some(Request {
            id,
            sending,
            endpoint,
            items,
            tries,
        })
    }

    /// Takes back a request that is in flight; `None` if it is not.
    fn land(&mut self, id: RequestId) -> Option<Flight> {
        if self
            .flights
            .get(&id)
            .is_none_or(|flight| flight.waiting.is_some())
        {
            return None;
        }
        let flight = self.flights.remove(&id)?;
        let (count, bytes) = (flight.batch.len(), flight.batch.bytes());
        self.load.in_flight_items -= count;
        self.load.in_flight_bytes -= bytes;
        self.load.in_flight_requests -= 1;
        self.load.queued_items += count;
        self.load.queued_bytes += bytes;
        Some(flight)
    }

    /// Puts a request aside to be sent again; without a moment, at the next opportunity.
    fn hold(&mut self, id: RequestId, mut flight: Flight, not_before: Option<Instant>) {
        let moment = not_before.unwrap_or(flight.formed);
        flight.waiting = Some(moment);
        self.waiting.insert((moment, id));
        self.flights.insert(id, flight);
    }

    /// Settles all items of a batch that is in no request any more.
    fn settle(&mut self, batch: Batch, visit: &mut impl FnMut(&mut P, &[Item])) -> Vec<P> {
        let mut complete = Vec::new();
        self.load.queued_items -= batch.len();
        self.load.queued_bytes -= batch.bytes();
        for (part, items) in batch.parts() {
            if let Some(state) = self.parcels.get_mut(&part.parcel) {
                if let Some(payload) = &mut state.payload {
                    visit(payload, items);
                }
                state.unsettled -= items.len();
                if state.unsettled == 0
                    && let Some(state) = self.parcels.remove(&part.parcel)
                    && let Some(payload) = state.payload
                {
                    self.ages.remove(&(state.arrived, part.parcel));
                    complete.push(payload);
                }
            }
            self.release(part.lane, items.len());
        }
        complete
    }

    /// Returns the items of a batch to the head of their lanes, in order.
    fn requeue(&mut self, batch: Batch) {
        let batch = self.without_cancelled(batch);
        for (part, items) in batch.parts().rev() {
            let Some(state) = self.parcels.get_mut(&part.parcel) else {
                continue;
            };
            let group = state.group;
            for item in items.iter().rev() {
                state.queue.push_front(item.clone());
            }
            let bytes = items.iter().map(|item| item.body.len()).sum::<usize>();
            let lane = self.lanes.entry(part.lane).or_default();
            match lane.runs.front_mut() {
                Some(run) if run.group == group => {
                    if run.parcels.front() != Some(&part.parcel) {
                        run.parcels.push_front(part.parcel);
                    }
                    run.items += items.len();
                    run.bytes += bytes;
                }
                _ => {
                    let parcels = VecDeque::from([part.parcel]);
                    lane.runs.push_front(Run {
                        group,
                        parcels,
                        items: items.len(),
                        bytes,
                    });
                }
            }
            self.release(part.lane, items.len());
        }
    }
}

impl Flight {
    fn new(group: GroupId, batch: Batch, formed: Instant) -> Self {
        let (suspect, unknown) = (Batch::default(), Batch::default());
        Self {
            group,
            batch,
            suspect,
            unknown,
            rest: None,
            history: History::default(),
            tries: 0,
            formed,
            past: false,
            waiting: None,
        }
    }

    /// Cuts the batch, known to hold a culprit, and keeps its left half to be sent.
    fn narrow(&mut self) {
        let middle = self.batch.len() / 2;
        self.suspect = self.batch.split_off(middle);
        // What is sent next differs from what was sent before.
        self.tries = 0;
    }
}
