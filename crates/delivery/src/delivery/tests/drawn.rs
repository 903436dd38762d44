//! The same rule with receivers drawn at random.

use proptest::prelude::*;

use super::*;

/// A receiver drawn at random.
#[derive(Clone, Debug)]
struct Drawn {
    /// Until when it refuses everything, and how.
    down: (u64, Act),
    /// Items that it always refuses, and how.
    poison: Vec<(u64, Act)>,
    /// In so many of a hundred requests it fails, until it heals.
    flaky: u8,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        prop::sample::select(&Act::UNCLEAR[..]),
        prop::sample::select(&[Act::Say(503), Act::Later(429, 2), Act::Later(500, 3)][..]),
    ]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let poison = (0..6_u64, 0..20_u64).prop_map(|(lane, at)| lane * LANE + at);
    let how = prop_oneof![3 => prop::sample::select(&Act::UNCLEAR[..]), 1 => Just(Act::Say(400))];
    (
        (0..200_u64, act()),
        prop::collection::vec((poison, how), 0..3),
        prop::sample::select(&[0_u8, 0, 10, 40][..]),
    )
        .prop_map(|(down, poison, flaky)| Drawn {
            down,
            poison,
            flaky,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_receiver_does_nothing_is_lost_reordered_or_given_up_without_evidence(
        drawn in drawn(),
        max_items in prop::sample::select(&[1_usize, 3, 50][..]),
        seed: u64,
        counts in prop::collection::vec((0..6_u64, 1..20_u64), 1..20),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let healed = secs(400);
        let accepted_after = std::cell::Cell::new(0_u64);
        let mut world = World::new(max_items, false, |since, _, items| {
            if since < secs(drawn.down.0) {
                return drawn.down.1;
            }
            if let Some((_, act)) = drawn.poison.iter().find(|(one, _)| items.contains(one)) {
                return *act;
            }
            if since < healed && rng.u8(..100) < drawn.flaky {
                return Act::Say(502);
            }
            accepted_after.set(accepted_after.get() + 1);
            Act::Say(204)
        });
        for (lane, count) in &counts {
            world.push(*lane, *count);
        }
        world.run(secs(drawn.down.0));
        prop_assert!(
            world.rejected().iter().all(|one| drawn.poison.contains(&(*one, Act::Say(400)))),
            "nothing was accepted, but {:?} was given up", world.rejected()
        );
        // Others bring the evidence, and show that they go on.
        let mut second = drawn.down.0.max(400);
        for _ in 0..400 {
            second += 1;
            world.push(10, 1);
            world.run(secs(second));
            if world.delivery.is_idle() {
                break;
            }
        }
        world.check_complete();
        if drawn.flaky == 0 {
            let poison: Vec<u64> = drawn.poison.iter().map(|(one, _)| *one).collect();
            prop_assert!(world.rejected().iter().all(|one| poison.contains(one)));
        }
        prop_assert_eq!(world.delivery.state(), &State::Up);
    }
}
