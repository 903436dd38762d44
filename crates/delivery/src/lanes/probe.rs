//! Requests whose refusal may be their own fault: what is remembered of each, and which request is
//! sent to find out whether the destination takes others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::{Endpoint, Flight, Item, LaneId, Lanes, Request, RequestId};
use crate::status::Reason;

/// What is remembered of a request that was refused. Its owner decides by it; [`Lanes`] only keeps
/// it with the request and hands it on to the halves.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Refusals that may have been its own fault.
    pub(crate) refusals: u32,
    /// Tries of these items, alone or together with others.
    pub(crate) attempts: u32,
    /// When it was sent last, as a number that grows with each request and each answer.
    pub(crate) sent: u64,
    /// What is accepted counts as evidence if it was sent after this.
    pub(crate) mark: u64,
    /// Whether other work goes first when the destination is probed.
    pub(crate) yields: bool,
    /// Whether it is part of a request that was cut because it was refused.
    pub(crate) is_part: bool,
    /// Its first refusal.
    pub(crate) since: Option<Instant>,
    /// Its last refusal.
    pub(crate) reason: Option<Reason>,
    /// Whether an operator wants it given up.
    pub(crate) give_up: bool,
}

/// A request that other work goes before, since it was refused time and again.
#[derive(Debug)]
pub(crate) struct Suspect<'a, P> {
    pub(crate) id: RequestId,
    pub(crate) history: &'a History,
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) items: usize,
    /// The attachment of its first item, and that item.
    pub(crate) first: Option<(&'a P, &'a Item)>,
}

impl<P> Lanes<P> {
    /// What is remembered of a request.
    pub(crate) fn history_mut(&mut self, id: RequestId) -> Option<&mut History> {
        self.flights.get_mut(&id).map(|flight| &mut flight.history)
    }

    /// The endpoint of `id` accepted it.
    pub(crate) fn note_accepted(&mut self, id: RequestId) {
        let Some(flight) = self.flights.get(&id) else {
            return;
        };
        let (group, sent) = (flight.group, flight.history.sent);
        if let Some(group) = self.group_mut(group) {
            group.accepted = group.accepted.max(sent);
        }
    }

    /// The newest request that the endpoint of `id` accepted, by [`History::sent`]; 0 is none.
    pub(crate) fn accepted(&self, id: RequestId) -> u64 {
        let group = self.flights.get(&id).map(|flight| flight.group);
        self.groups
            .iter()
            .find(|known| Some(known.id) == group)
            .map_or(0, |group| group.accepted)
    }

    /// The request that tells most about the destination at `now`: one that is not known to be at
    /// fault, else work that was not sent yet, else (`past`) work from behind a suspect, else the
    /// suspect that has waited longest.
    pub(crate) fn next_probe(&mut self, now: Instant, past: bool) -> Option<Request> {
        if self.load.in_flight_requests >= self.limits.max_requests {
            return None;
        }
        let due = || self.waiting.iter().take_while(|(moment, _)| *moment <= now);
        let innocent = due()
            .find(|(_, id)| {
                let flight = self.flights.get(id);
                flight.is_some_and(|flight| !flight.history.yields)
            })
            .copied();
        let suspect = due().next().copied();
        if let Some(entry) = innocent {
            self.waiting.remove(&entry);
            return self.depart(entry.1);
        }
        if let Some(request) = self.fresh(now) {
            return Some(request);
        }
        if past && let Some(request) = self.next_past(now) {
            return Some(request);
        }
        let entry = suspect?;
        self.waiting.remove(&entry);
        self.depart(entry.1)
    }

    /// One item from behind a suspect, sent before it: the order of its lane is given up for the
    /// evidence. At most one such request of a lane exists at a time.
    pub(crate) fn next_past(&mut self, now: Instant) -> Option<Request> {
        let lanes_of = |flight: &Flight| -> Vec<LaneId> {
            flight.batch.parts().map(|(part, _)| part.lane).collect()
        };
        let taken: HashSet<LaneId> = self
            .flights
            .values()
            .filter(|flight| flight.past)
            .flat_map(lanes_of)
            .collect();
        let held = self
            .flights
            .values()
            .filter(|flight| flight.history.yields && flight.waiting.is_some());
        let mut lanes: Vec<LaneId> = held.flat_map(lanes_of).collect();
        lanes.sort_unstable();
        let id = lanes.into_iter().find(|id| {
            let lane = self.lanes.get(id);
            !taken.contains(id) && lane.is_some_and(|lane| !lane.runs.is_empty())
        })?;
        let lane = self.lanes.get_mut(&id)?;
        let run = lane.runs.front_mut()?;
        let (group, parcel) = (run.group, *run.parcels.front()?);
        let state = self.parcels.get_mut(&parcel)?;
        let item = state.queue.pop_front()?;
        run.items -= 1;
        run.bytes -= item.body.len();
        if state.queue.is_empty() {
            run.parcels.pop_front();
        }
        if run.parcels.is_empty() {
            lane.runs.pop_front();
        }
        lane.taken += 1;
        let mut batch = Batch::default();
        batch.push(parcel, id, item);
        let request = RequestId(self.fresh_id());
        let mut flight = Flight::new(group, batch, now);
        flight.past = true;
        self.flights.insert(request, flight);
        self.depart(request)
    }

    /// The request may hold a culprit: its left half is sent next, not before `not_before`, with the
    /// history `left`. Once that is accepted, the rest is sent as a whole with the history `rest`.
    /// Items of lanes that have nothing in the left half go back to their lanes and do not wait for
    /// it. Returns false and changes nothing if the request holds one item only.
    pub(crate) fn halve(
        &mut self,
        id: RequestId,
        not_before: Instant,
        left: History,
        rest: History,
    ) -> bool {
        let is_single = |flight: &Flight| flight.batch.len() < 2;
        if self.flights.get(&id).is_none_or(is_single) {
            return false;
        }
        let Some(mut flight) = self.land(id) else {
            return false;
        };
        flight.batch = self.without_cancelled(flight.batch);
        flight.unknown.prepend(std::mem::take(&mut flight.suspect));
        if flight.batch.is_empty() {
            self.requeue(flight.unknown);
            return true;
        }
        if flight.batch.len() > 1 {
            flight.narrow();
        }
        flight.history = left;
        flight.rest = Some(rest);
        let kept: HashSet<LaneId> = flight.batch.parts().map(|(part, _)| part.lane).collect();
        for side in [&mut flight.unknown, &mut flight.suspect] {
            let (free, bound) = side.partition(|part| !kept.contains(&part.lane));
            *side = bound;
            self.requeue(free);
        }
        self.hold(id, flight, Some(not_before));
        true
    }

    /// All suspects, the one that was refused first in front.
    pub(crate) fn suspects(&self) -> Vec<Suspect<'_, P>> {
        let mut suspects: Vec<Suspect<'_, P>> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.history.yields)
            .filter_map(|(id, flight)| {
                let group = self.groups.iter().find(|group| group.id == flight.group)?;
                let first = flight.batch.parts().find_map(|(part, items)| {
                    let payload = self.parcels.get(&part.parcel)?.payload.as_ref()?;
                    Some((payload, items.first()?))
                });
                Some(Suspect {
                    id: *id,
                    history: &flight.history,
                    endpoint: &group.endpoint,
                    items: flight.batch.len(),
                    first,
                })
            })
            .collect();
        suspects.sort_by_key(|suspect| (suspect.history.since, suspect.id));
        suspects
    }

    /// Whether there are suspects.
    pub(crate) fn any_yields(&self) -> bool {
        self.flights.values().any(|flight| flight.history.yields)
    }

    /// Whether a request waits to be sent again.
    pub(crate) fn is_waiting(&self, id: RequestId) -> bool {
        let flight = self.flights.get(&id);
        flight.is_some_and(|flight| flight.waiting.is_some())
    }

    /// Items that are not settled and whose attachment `chosen` picks.
    pub(crate) fn count(&self, chosen: impl Fn(&P) -> bool) -> usize {
        let parcels = self.parcels.values();
        parcels
            .filter(|parcel| parcel.payload.as_ref().is_some_and(&chosen))
            .map(|parcel| parcel.unsettled)
            .sum()
    }

    /// Lets a request that waits be sent at `now`. Returns false if it does not wait.
    pub(crate) fn hurry(&mut self, id: RequestId, now: Instant) -> bool {
        let Some(flight) = self.flights.get_mut(&id) else {
            return false;
        };
        let Some(moment) = flight.waiting else {
            return false;
        };
        self.waiting.remove(&(moment, id));
        let moment = moment.min(now);
        flight.waiting = Some(moment);
        flight.history.yields = false;
        self.waiting.insert((moment, id));
        true
    }

    /// Gives up a request that waits to be sent again; otherwise as
    /// [`rejected`](Self::rejected). Returns `None` if it does not wait.
    pub(crate) fn give_up(
        &mut self,
        id: RequestId,
        mut visit: impl FnMut(&mut P, &[Item]),
    ) -> Option<Vec<P>> {
        let moment = self.flights.get(&id)?.waiting?;
        self.waiting.remove(&(moment, id));
        let flight = self.flights.remove(&id)?;
        let complete = self.settle(flight.batch, &mut visit);
        self.requeue(flight.unknown);
        self.requeue(flight.suspect);
        Some(complete)
    }
}
