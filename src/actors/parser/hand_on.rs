//! What was made, on its way: items to destinations, letters to the dead letters.

use std::sync::Arc;

use kafkamq_pipeline::{Clock as _, SystemClock};

use crate::actors::consignment::{Consignment, HandleAnswer, Parts, Records};
use crate::actors::directory::{Addresses, Directory};
use crate::actors::messages::{Forward, WriteDeadLetter};
use kafkamq_conversion::route::RouteKind;
use kafkamq_conversion::{Bodies, slices};
use kafkamq_conversion::{Cause, ProcessorOutput, pool};
use kafkamq_memory::Account;

/// Sends what was made of records on its way.
pub(super) fn hand_on_records<'r>(
    addresses: &Addresses,
    directory: &Directory,
    records: &'r Records,
    mut made: ProcessorOutput<'r>,
) {
    // Before anything that may settle one of them.
    for (record, obligations) in std::mem::take(&mut made.obligations) {
        records.share.expect_items(record, obligations);
    }
    let own = Consignment::Records(records.share());
    for (outcome, ended) in std::mem::take(&mut made.ended) {
        own.settle_all(ended.into_iter(), outcome);
    }
    if let RouteKind::Handle(handle) = &records.route.kind {
        let buffer = std::mem::take(&mut made.handle);
        let places = std::mem::take(&mut made.handle_places);
        let ends = places.iter().map(|&(record, end, _)| (record, end));
        let items = slices(buffer, ends, &made.account);
        for (item, (_, _, lane)) in items.into_iter().zip(places) {
            let target = (&handle.destination, &handle.endpoint);
            made.push_item(target, lane, item);
        }
    }
    send_points(addresses, made.bodies, &made.account, None, |parts| {
        Consignment::Points(records.share(), Arc::new(parts))
    });
    let pool = pool(
        directory.lane_names(),
        records.batch.source(),
        &records.route,
    );
    for outgoing in made.outgoing {
        if let Some(forwarder) = addresses.forwarders.get(outgoing.destination) {
            forwarder.do_send(Forward {
                endpoint: Arc::clone(outgoing.endpoint),
                lane: outgoing.lane,
                pool,
                items: outgoing.items,
                consignment: own.share(),
            });
        } else {
            // The destination has left the configuration since the batch was read.
            own.recall();
        }
    }
    if !made.letters.is_empty() {
        let (indexes, letters) = made.letters.into_iter().unzip();
        addresses.dead_letter.do_send(WriteDeadLetter {
            letters,
            records: indexes,
            consignment: own,
        });
    }
}

/// Sends what was made of an answer on its way.
pub(super) fn hand_on_answer(
    addresses: &Addresses,
    answer: &Arc<HandleAnswer>,
    made: ProcessorOutput<'_>,
) {
    let consignment = |parts| Consignment::Answer(Arc::clone(answer), Arc::new(parts));
    send_points(addresses, made.bodies, &made.account, None, consignment);
    if !made.letters.is_empty() {
        let (records, letters) = made.letters.into_iter().unzip();
        addresses.dead_letter.do_send(WriteDeadLetter {
            letters,
            records,
            consignment: Consignment::Answer(Arc::clone(answer), Arc::new(Parts::none())),
        });
    }
}

/// Sends encoded points, in their own lanes or all in `lane`.
pub(super) fn send_points(
    addresses: &Addresses,
    bodies: Bodies<'_>,
    account: &Arc<Account>,
    lane: Option<u64>,
    consignment: impl Fn(Parts) -> Consignment,
) {
    for items in bodies.into_items(account) {
        let Some(endpoint) = items.output.endpoint(items.category) else {
            continue;
        };
        let consignment = consignment(Parts {
            ids: items.parts,
            destination: items.output.destination.clone(),
            category: items.category,
        });
        if let Some(forwarder) = addresses.forwarders.get(&items.output.destination) {
            forwarder.do_send(Forward {
                endpoint: Arc::clone(endpoint),
                lane: lane.unwrap_or(items.lane),
                pool: None,
                items: items.items,
                consignment,
            });
        } else {
            // The destination has left the configuration since the batch was read.
            consignment.recall();
        }
    }
}

/// The records that an answer is about go to the dead letters, since it cannot be read.
pub(super) fn bury_asked(addresses: &Addresses, asked: Vec<(Consignment, u32)>, reason: &str) {
    let cause = Cause {
        stage: "answer",
        reason,
        time_ms: SystemClock.now_ns() / 1_000_000,
    };
    for (consignment, item) in asked {
        let Some(letter) = consignment.letter(item, &bytes::Bytes::new(), cause) else {
            continue;
        };
        addresses.dead_letter.do_send(WriteDeadLetter {
            letters: vec![letter],
            records: vec![item],
            consignment,
        });
    }
}
