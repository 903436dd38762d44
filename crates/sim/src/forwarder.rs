//! One destination of one process: drives its `Delivery` as the forwarder actor does.

use kafkamq_delivery::answer::{Answer, Reply, TransportError};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::delivery::{
    Condition, Decision, Delivery, DeliveryOptions, Rejection, Settle,
};
use kafkamq_delivery::health::HealthOptions;
use kafkamq_delivery::lanes::{Item, LaneId, Limits, Parcel, Request, RequestId, RequestPart};

use crate::bugs::Bug;
use crate::consignment::Consignment;
use crate::convert::{Outgoing, number_of};
use crate::core::Core;
use crate::mail::{Arrival, Bury, Event, Message, Place, Process};
use crate::oracle::Origin;
use crate::payload::{Fate, Told};
use crate::time::{Micros, span};

/// What a forwarder is started with.
pub(crate) fn options(core: &Core) -> DeliveryOptions {
    let knobs = &core.knobs;
    DeliveryOptions {
        limits: Limits {
            max_items: knobs.request_items,
            max_bytes: 1 << 20,
            max_age: span(knobs.request_age),
            max_requests: knobs.requests,
        },
        health: HealthOptions::default(),
        max_retries: knobs.max_retries,
        probe_past: false,
    }
}

/// The forwarder of one output.
pub(crate) struct Forwarder {
    process: Process,
    output: usize,
    life: u32,
    delivery: Delivery<Consignment>,
    timer: Option<Micros>,
}

/// What is decided about items while an outcome is taken.
struct Fates {
    bug: Option<Bug>,
    buried: Vec<Bury>,
    given_up: Vec<Told>,
}

impl Settle<Consignment> for Fates {
    fn read_answer(
        &mut self,
        _: Answer,
        _: &mut dyn Iterator<Item = RequestPart<'_, Consignment>>,
    ) -> bool {
        false
    }

    fn partially_accepted(&mut self, _: u64, _: &str) {}

    fn delivered(&mut self, consignment: &mut Consignment, items: &[Item], _: bool) {
        consignment.settle_all(items.iter().map(|item| item.record));
    }

    fn rejected(&mut self, consignment: &mut Consignment, items: &[Item], rejection: &Rejection) {
        let letters = items.iter().filter_map(|item| {
            let (record, letter) = consignment.letter(item.record, &item.body, self.bug)?;
            let letter = DeadLetter {
                status: rejection.reason.status,
                attempts: rejection.attempts,
                ..letter
            };
            Some((letter, record))
        });
        let (letters, records) = letters.unzip();
        self.given_up
            .extend(items.iter().filter_map(|item| Told::read(&item.body)));
        self.buried.push(Bury {
            letters,
            records,
            consignment: consignment.share(),
        });
    }

    fn dropped(&mut self, consignment: &mut Consignment, items: &[Item]) {
        consignment.settle_all(items.iter().map(|item| item.record));
    }
}

impl Forwarder {
    pub(crate) fn new(process: Process, output: usize, life: u32, core: &mut Core) -> Self {
        let rng = fastrand::Rng::with_seed(core.rng.u64(..));
        Self {
            process,
            output,
            life,
            delivery: Delivery::new(options(core), rng),
            timer: None,
        }
    }

    fn place(&self) -> Place {
        Place::Forwarder(self.output, self.life)
    }

    pub(crate) fn handle(&mut self, message: Message, letters: Option<&Place>, core: &mut Core) {
        match message {
            Message::Forward(outgoing, consignment) => self.forward(outgoing, consignment, core),
            Message::Pump if self.timer.is_some_and(|at| at <= core.now()) => self.timer = None,
            Message::Finished(request, sent, outcome) if self.delivery.awaits(&request) => {
                self.finished(&request, sent, outcome, letters, core);
            }
            Message::Flush => self.delivery.flush(core.clock.now()),
            Message::Sweep => {
                let cancelled = self.delivery.cancel(Consignment::is_cancelled);
                for consignment in cancelled.payloads {
                    consignment.share.recall();
                }
            }
            _ => {}
        }
        self.pump(core);
    }

    fn forward(&mut self, outgoing: Outgoing, consignment: Consignment, core: &Core) {
        if consignment.is_cancelled() {
            return;
        }
        let parcel = Parcel {
            lane: LaneId(outgoing.lane),
            endpoint: outgoing.endpoint,
            items: outgoing.items.into(),
            arrived: core.clock.now(),
            payload: consignment,
        };
        drop(self.delivery.push(parcel, None));
    }

    /// Sends what may be sent now, and sees to it that it is called again when more may.
    fn pump(&mut self, core: &mut Core) {
        let now = core.clock.now();
        while let Some(request) = self.delivery.next(now) {
            self.send(request, core);
        }
        let Some(at) = self.delivery.wake_at(now).map(|at| core.clock.of(at)) else {
            return;
        };
        let at = at.max(core.now());
        if self.timer.is_none_or(|earlier| at < earlier) {
            self.timer = Some(at);
            core.timer(self.process, self.place(), Message::Pump, at);
        }
    }

    fn send(&mut self, request: Request, core: &mut Core) {
        core.oracle
            .sends(core.clock.micros(), self.process, self.output);
        let mut origins: Vec<Origin> = Vec::with_capacity(request.items.len());
        for part in self.delivery.parts(request.id) {
            for item in part.items {
                let source = part.payload.batch.source().clone();
                let record = part.payload.record(item.record);
                let offset = record.map_or(-1, |record| record.offset());
                let time = record.and_then(|record| record.timestamp_ms());
                let part = part.payload.part(item.record);
                let part = number_of(part.map(|id| (id.element, id.point)));
                origins.push((source, offset, time, part));
            }
        }
        let wait = core.network();
        let arrival = Arrival {
            process: self.process,
            forwarder: self.place(),
            output: self.output,
            sent: core.now(),
            request,
            origins,
        };
        core.at(core.now() + wait, Event::Arrive(Box::new(arrival)));
    }

    fn finished(
        &mut self,
        request: &Request,
        sent: Micros,
        outcome: Result<Reply, TransportError>,
        letters: Option<&Place>,
        core: &mut Core,
    ) {
        let now = core.clock.now();
        let took = span(core.now().saturating_sub(sent));
        let was_refused = !matches!(&outcome, Ok(Reply::Http(answer)) if answer.status < 300);
        core.oracle
            .hears(core.now(), self.process, self.output, &outcome);
        let mut fates = Fates {
            bug: core.bug,
            buried: Vec::new(),
            given_up: Vec::new(),
        };
        self.delivery
            .finished(now, request, took, outcome, &mut fates);
        if was_refused && core.has(Bug::RefusalIsLife) {
            self.delivery.set_options(now, options(core));
        }
        if core.has(Bug::BuriedWithoutEvidence) {
            let tired = |refusals: u32| refusals > core.knobs.max_retries;
            let suspects = self.delivery.suspects();
            let tired: Vec<RequestId> = suspects
                .iter()
                .filter(|one| tired(one.refusals))
                .map(|one| one.id)
                .collect();
            for id in tired {
                self.delivery.decide(now, id, Decision::Bury, &mut fates);
            }
        }
        self.bury(fates, letters, core);
    }

    fn bury(&self, fates: Fates, letters: Option<&Place>, core: &mut Core) {
        for told in fates.given_up {
            core.oracle.gives_up(told, self.output);
        }
        for bury in fates.buried {
            if let Some(letters) = letters {
                let to = letters.clone();
                core.send(self.process, self.place(), to, Message::Bury(bury));
            }
        }
    }

    /// An operator looks at the first suspect: what is poison is buried, the rest is sent again.
    pub(crate) fn operate(&mut self, letters: Option<&Place>, core: &mut Core) {
        let now = core.clock.now();
        let mut fates = Fates {
            bug: core.bug,
            buried: Vec::new(),
            given_up: Vec::new(),
        };
        let suspects = self.delivery.suspects();
        let Some(first) = suspects.first() else {
            return;
        };
        let (id, items) = (first.id, first.items);
        let told = first.first.and_then(|(_, item)| Told::read(&item.body));
        let is_poison = told.is_some_and(|told| told.fate == Fate::Unclear);
        let decision = match is_poison && items == 1 {
            true => Decision::Bury,
            false => Decision::Retry,
        };
        if decision == Decision::Bury
            && let Some(told) = told
        {
            core.oracle.allow_burial(told, self.output);
        }
        core.oracle.reopens(self.process, self.output);
        self.delivery.decide(now, id, decision, &mut fates);
        self.bury(fates, letters, core);
        self.pump(core);
    }

    pub(crate) fn condition(&self, core: &Core) -> Condition {
        self.delivery.condition(core.clock.now())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.delivery.is_idle()
    }

    /// Items that wait or are under way.
    pub(crate) fn items(&self) -> usize {
        let load = self.delivery.load();
        load.queued_items + load.in_flight_items
    }
}
