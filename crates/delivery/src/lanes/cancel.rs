//! Calling work off.

use std::time::Instant;

use super::batch::Part;
use super::ready::ParcelId;
use super::{Batch, Cancelled, Lanes, RequestId};

impl<P> Lanes<P> {
    /// Takes out all parcels whose attachment `chosen` picks, such as those of a revoked partition.
    /// Their items in flight keep their lanes busy until the outcome is reported, which is then
    /// ignored for them.
    pub(crate) fn cancel(&mut self, mut chosen: impl FnMut(&P) -> bool) -> Cancelled<P> {
        let mut hit: Vec<(ParcelId, P)> = Vec::new();
        for (id, state) in &mut self.parcels {
            if state.payload.as_ref().is_some_and(&mut chosen) {
                self.ages.remove(&(state.arrived, *id));
                hit.extend(state.payload.take().map(|payload| (*id, payload)));
            }
        }
        // In the order in which they came, whatever that of the map is.
        hit.sort_unstable_by_key(|(id, _)| *id);
        let mut payloads = Vec::with_capacity(hit.len());
        for (id, payload) in hit {
            self.cancel_queued(id);
            payloads.push(payload);
        }
        let waiting: Vec<(Instant, RequestId)> = self.waiting.iter().copied().collect();
        for (moment, id) in waiting {
            self.prune_waiting(moment, id);
        }
        let mut void: Vec<RequestId> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.waiting.is_none())
            .filter(|(_, flight)| {
                flight
                    .batch
                    .parts()
                    .all(|(part, _)| self.is_cancelled(part))
            })
            .map(|(id, _)| *id)
            .collect();
        void.sort_unstable();
        Cancelled { payloads, void }
    }

    /// Takes what is queued of a cancelled parcel out of its lane.
    fn cancel_queued(&mut self, id: ParcelId) {
        let Some(state) = self.parcels.get_mut(&id) else {
            return;
        };
        let (lane, queue) = (state.lane, std::mem::take(&mut state.queue));
        state.unsettled -= queue.len();
        let gone = state.unsettled == 0;
        if gone {
            self.parcels.remove(&id);
        }
        if queue.is_empty() {
            return;
        }
        let bytes = queue.iter().map(|item| item.body.len()).sum::<usize>();
        self.load.queued_items -= queue.len();
        self.load.queued_bytes -= bytes;
        self.unready(lane);
        if let Some(state) = self.lanes.get_mut(&lane) {
            if let Some(run) = state.runs.iter_mut().find(|run| run.parcels.contains(&id)) {
                run.parcels.retain(|parcel| *parcel != id);
                run.items -= queue.len();
                run.bytes -= bytes;
            }
            state.runs.retain(|run| !run.parcels.is_empty());
            state.join_runs();
        }
        self.make_ready(lane);
    }

    /// Takes cancelled items out of a request that waits to be sent again.
    fn prune_waiting(&mut self, moment: Instant, id: RequestId) {
        let Some(mut flight) = self.flights.remove(&id) else {
            return;
        };
        flight.batch = self.without_cancelled(flight.batch);
        if flight.batch.is_empty() {
            self.waiting.remove(&(moment, id));
            // Whether the rest holds a culprit is open: what was sent may have been it.
            self.requeue(flight.unknown);
            self.requeue(flight.suspect);
        } else {
            self.flights.insert(id, flight);
        }
    }

    pub(super) fn is_cancelled(&self, part: &Part) -> bool {
        self.parcels
            .get(&part.parcel)
            .is_none_or(|state| state.payload.is_none())
    }

    /// Settles what is cancelled in a batch, and returns the rest.
    pub(super) fn without_cancelled(&mut self, batch: Batch) -> Batch {
        if !batch.parts().any(|(part, _)| self.is_cancelled(part)) {
            return batch;
        }
        let (gone, kept) = batch.partition(|part| self.is_cancelled(part));
        let payloads = self.settle(gone, &mut |_, _| {});
        debug_assert!(payloads.is_empty(), "a cancelled parcel has no attachment");
        kept
    }
}
