//! What is held, named and decided by an operator.

use super::*;

#[test]
fn a_lone_suspect_is_held_and_named_until_an_operator_decides() {
    for decision in [Decision::Bury, Decision::Retry] {
        let mended = std::cell::Cell::new(false);
        let mut world = World::new(1, false, |_, _, items| {
            if items.contains(&0) && !mended.get() {
                Act::Say(500)
            } else {
                Act::Say(204)
            }
        });
        world.push(0, 3);
        world.run(secs(600));
        assert_eq!(world.fates.settled.len(), 0, "order is not given up");
        assert!(world.notices.contains(&Notice::Suspect));
        let suspects = world.delivery.suspects();
        let suspect = suspects[0];
        assert_eq!(suspects.len(), 1);
        assert_eq!(suspect.reason.unwrap().status, Some(500));
        assert_eq!(
            suspect
                .first
                .map(|(lane, item)| (*lane, number(&item.body))),
            Some((0, 0))
        );
        let id = suspect.id;
        mended.set(decision == Decision::Retry);
        assert!(
            world
                .delivery
                .decide(world.now, id, decision, &mut world.fates)
        );
        world.run(secs(620));
        let buried = usize::from(decision == Decision::Bury);
        assert_eq!(world.rejected().len(), buried);
        assert_eq!(world.delivered(), 3 - buried);
        world.check_complete();
        assert!(
            !world
                .delivery
                .decide(world.now, id, decision, &mut world.fates)
        );
    }
}

#[test]
fn an_operator_may_bury_what_is_under_way() {
    let mut world = World::new(1, false, |_, _, _| Act::Break(Layer::Timeout));
    world.push(0, 1);
    while world.delivery.suspects().is_empty() || world.under_way.is_empty() {
        let next = world.now - world.start + Duration::from_millis(100);
        world.run(next);
    }
    let id = world.delivery.suspects()[0].id;
    assert!(
        world
            .delivery
            .decide(world.now, id, Decision::Bury, &mut world.fates)
    );
    assert_eq!(world.fates.settled.len(), 0);
    let end = world.now - world.start + secs(31);
    world.run(end);
    assert_eq!(world.rejected(), [0]);
    world.check_complete();
}

#[test]
fn a_destination_is_left_alone_as_it_asks_also_when_the_record_is_given_up() {
    let mut world = World::new(1, false, |_, _, _| Act::Later(503, 60));
    world.push(0, 1);
    world.pump();
    let id = world.under_way[0].1.id;
    assert!(
        world
            .delivery
            .decide(world.now, id, Decision::Bury, &mut world.fates)
    );
    world.run(secs(1));
    world.push(1, 1);
    world.run(secs(50));
    assert_eq!((world.rejected().len(), world.sent.len()), (1, 1));
}

#[test]
fn order_is_given_up_for_evidence_only_where_that_is_asked_for() {
    let mut world = World::new(1, true, |_, _, items| match items.contains(&0) {
        true => Act::Say(500),
        false => Act::Say(204),
    });
    world.push(0, 5);
    world.run(secs(60));
    let (first, delivered) = &world.fates.settled[0];
    assert_eq!(
        (number(first), *delivered),
        (1, true),
        "sent past the suspect"
    );
    assert_eq!(world.rejected(), [0]);
    assert_eq!(world.delivered(), 4);
    assert!(world.delivery.is_idle());
}

#[test]
fn cancelled_suspects_are_forgotten() {
    let mut world = World::new(10, false, |_, _, _| Act::Say(500));
    world.push(0, 10);
    world.push(1, 10);
    world.run(secs(100));
    assert!(!world.delivery.suspects().is_empty());
    let cancelled = world.delivery.cancel(|_| true);
    assert_eq!(cancelled.payloads.len(), 2);
    world.run(secs(200));
    assert!(world.delivery.is_idle() && world.delivery.suspects().is_empty());
}
