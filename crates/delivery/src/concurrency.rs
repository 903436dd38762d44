//! How many requests a destination is given at once.
//!
//! The configured number is a bound, not an aim. Below it [`Concurrency`] looks for the number that
//! the destination can use: while answers come as fast as before, one request more each round (the
//! time it takes for as many answers as requests may be in flight; at the start, one more with each
//! answer). When a request fails the number is halved, when answers take much longer than the
//! destination needs at its best it is cut by a tenth; both at most once a round, since requests
//! that were under way together tell the same story. What fails altogether is for
//! [`health`](super::health) to judge.
//!
//! How fast the destination is at its best is measured by one round with a quarter of the requests:
//! once soon after the start, and again whenever answers have become slower than that. So one that has become slower for good is not cut down for it, and one whose
//! answers wait in a queue is not taken for a slow one.
//!
//! Knows no clock; the caller passes the time that answers took.

use std::time::Duration;

/// Requests at once to begin with, where so many are allowed.
const START: f64 = 8.0;
/// What a failure leaves of the number.
const AFTER_FAILURE: f64 = 0.5;
/// What slow answers leave of it.
const AFTER_SLOWNESS: f64 = 0.9;
/// Slow answers alone do not cut it below this: there may be another reason for them.
const LEAST_WHEN_SLOW: f64 = 2.0;
/// Answers are slow when they take this many times as long as at best, and [`GRACE`] more.
const SLOW_FACTOR: f64 = 2.0;
/// Differences below this are noise, in seconds.
const GRACE: f64 = 0.02;
/// Weight of the newest answer in the moving average.
const WEIGHT: f64 = 0.2;
/// The best is measured at most once in so many rounds in which the number was a bound.
const ROUNDS: u32 = 50;
/// With this part of the requests. Together with [`SLOW_FACTOR`] it settles at the most that is kept
/// waiting in a queue: what a quarter of the requests does not fill, twice the time does.
const MEASURE_SHARE: f64 = 0.25;
/// Answers that take less than this many times as long as the best that was measured have nothing
/// new to tell.
const AS_MEASURED: f64 = 1.25;

/// Goes with one request; its outcome is reported with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ticket {
    round: u64,
    /// Whether the number was a bound when it was sent, so that more might have been used.
    full: bool,
}

/// The number of requests at once for one destination.
#[derive(Clone, Debug)]
pub(crate) struct Concurrency {
    max: f64,
    limit: f64,
    /// Until the first sign of trouble the number grows with each answer.
    starting: bool,
    round: u64,
    /// Answers that are left in this round.
    left: u32,
    /// Moving average, in seconds.
    recent: Option<f64>,
    /// What answers take at best, in seconds.
    best: f64,
    /// Whether that was measured, not merely seen.
    measured: bool,
    rounds_left: u32,
    measuring: Option<Measurement>,
}

/// A round with few requests.
#[derive(Clone, Debug)]
struct Measurement {
    /// The number to go back to.
    limit: f64,
    /// Answers to come.
    left: u32,
    /// Times of those that came, in seconds.
    sum: f64,
    count: u32,
}

impl Concurrency {
    /// At most `max` requests at once, at least one.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1) as f64;
        let limit = max.min(START);
        Self {
            max,
            limit,
            starting: true,
            round: 0,
            left: limit as u32,
            recent: None,
            best: f64::INFINITY,
            measured: false,
            rounds_left: ROUNDS,
            measuring: None,
        }
    }

    /// How many requests may be in flight now; between 1 and the bound.
    #[must_use]
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Replaces the bound.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max.max(1) as f64;
        self.limit = self.limit.min(self.max);
    }

    /// Notes that a request is sent, the last of `in_flight`.
    #[must_use]
    pub(crate) fn sent(&self, in_flight: usize) -> Ticket {
        Ticket {
            round: self.round,
            full: in_flight >= self.limit(),
        }
    }

    /// The destination answered after `took`, whatever it thought of the content.
    pub(crate) fn answered(&mut self, ticket: Ticket, took: Duration) {
        let took = took.as_secs_f64();
        if self.measure(ticket, took) {
            return;
        }
        let recent = self
            .recent
            .map_or(took, |recent| recent + WEIGHT * (took - recent));
        self.recent = Some(recent);
        self.best = self.best.min(recent);
        let slow = recent > self.best * SLOW_FACTOR + GRACE;
        if self.starting && ticket.full && !slow {
            self.grow();
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return;
        }
        if slow {
            // What was sent before the last change tells of the number before it.
            if ticket.round == self.round {
                let floor = LEAST_WHEN_SLOW.min(self.max);
                self.cut(AFTER_SLOWNESS, floor);
            }
        } else if ticket.full && !self.starting {
            self.grow();
        }
        self.next_round();
        if ticket.full {
            self.rounds_left -= 1;
        }
        if self.rounds_left == 0 {
            self.rounds_left = ROUNDS;
            if self.measured && recent <= self.best * AS_MEASURED {
                return;
            }
            let few = (self.limit * MEASURE_SHARE).max(1.0);
            self.measuring = Some(Measurement {
                limit: std::mem::replace(&mut self.limit, few),
                left: few as u32 + 2,
                sum: 0.0,
                count: 0,
            });
        }
    }

    /// The request failed in a way that can be due to load: no answer, or one that says "later".
    pub(crate) fn failed(&mut self, ticket: Ticket) {
        if ticket.round == self.round {
            if let Some(measuring) = self.measuring.take() {
                self.limit = measuring.limit.min(self.max);
            }
            self.cut(AFTER_FAILURE, 1.0);
            self.next_round();
        }
    }

    /// Takes an answer for the measurement, if there is one under way.
    fn measure(&mut self, ticket: Ticket, took: f64) -> bool {
        let Some(measuring) = &mut self.measuring else {
            return false;
        };
        // What was sent before stood in a longer queue.
        if ticket.round == self.round {
            measuring.sum += took;
            measuring.count += 1;
            measuring.left -= 1;
        }
        if measuring.left == 0 {
            self.best = measuring.sum / f64::from(measuring.count);
            self.measured = true;
            self.limit = measuring.limit.min(self.max);
            self.measuring = None;
            self.next_round();
        }
        true
    }

    fn grow(&mut self) {
        self.limit = (self.limit + 1.0).min(self.max);
    }

    fn cut(&mut self, factor: f64, floor: f64) {
        self.starting = false;
        self.limit = (self.limit * factor).max(floor);
    }

    fn next_round(&mut self) {
        self.round += 1;
        self.left = self.limit as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    const BASE: u64 = 10_000;

    /// A destination that works on `cores` requests at a time for [`BASE`] microseconds each, and
    /// refuses what comes while `most` are under way. Its clock is a number.
    struct World {
        cores: usize,
        most: usize,
        now: u64,
        /// When each core is free.
        free: BinaryHeap<Reverse<u64>>,
        /// End, start and ticket of what is under way.
        under_way: Vec<(u64, u64, Ticket, bool)>,
        concurrency: Concurrency,
        refused: u64,
        answered: u64,
    }

    impl World {
        fn new(cores: usize, most: usize, max: usize) -> Self {
            Self {
                cores,
                most,
                now: 0,
                free: (0..cores).map(|_| Reverse(0)).collect(),
                under_way: Vec::new(),
                concurrency: Concurrency::new(max),
                refused: 0,
                answered: 0,
            }
        }

        /// Lets the next request end, with as many under way as are allowed.
        fn step(&mut self) {
            while self.under_way.len() < self.concurrency.limit() {
                let ticket = self.concurrency.sent(self.under_way.len() + 1);
                let refused = self.under_way.len() >= self.most;
                let end = if refused {
                    self.now + 100
                } else {
                    let Reverse(free) = self.free.pop().unwrap();
                    let end = free.max(self.now) + BASE;
                    self.free.push(Reverse(end));
                    end
                };
                self.under_way.push((end, self.now, ticket, refused));
            }
            let next = (0..self.under_way.len())
                .min_by_key(|index| self.under_way[*index].0)
                .unwrap();
            let (end, start, ticket, refused) = self.under_way.swap_remove(next);
            self.now = end;
            if refused {
                self.refused += 1;
                self.concurrency.failed(ticket);
            } else {
                self.answered += 1;
                let took = Duration::from_micros(end - start);
                self.concurrency.answered(ticket, took);
            }
        }

        /// Smallest and largest limit within so many steps.
        fn range(&mut self, steps: usize) -> (usize, usize) {
            let (mut least, mut most) = (usize::MAX, 0);
            for _ in 0..steps {
                self.step();
                least = least.min(self.concurrency.limit());
                most = most.max(self.concurrency.limit());
            }
            (least, most)
        }

        fn become_as(&mut self, cores: usize) {
            self.cores = cores;
            self.free = (0..cores).map(|_| Reverse(self.now)).collect();
        }
    }

    #[test]
    fn a_destination_that_can_take_all_gets_all() {
        let mut world = World::new(1000, 1000, 64);
        world.range(200);
        world.range(10_000);
        let limits: Vec<usize> = (0..10_000).map(|_| world.range(1).0).collect();
        let full = limits.iter().filter(|limit| **limit == 64).count();
        assert!(full > 9_700, "{full} of 10000");
    }

    #[test]
    fn one_that_queues_gets_what_it_can_work_on_and_little_more() {
        let mut world = World::new(16, 1000, 256);
        world.range(20_000);
        let (_, most) = world.range(50_000);
        assert!(most <= 16 * 6, "{most}: answers wait in its queue");
        let (began, answered) = (world.now, world.answered);
        world.range(20_000);
        let busy = (world.answered - answered) * BASE / 16;
        let idle = 1.0 - busy as f64 / (world.now - began) as f64;
        assert!(idle < 0.03, "cores are idle for {idle} of the time");
    }

    #[test]
    fn one_that_refuses_is_asked_for_less_and_seldom_refuses() {
        let mut world = World::new(1000, 20, 256);
        world.range(2_000);
        world.refused = 0;
        world.answered = 0;
        let limits: Vec<usize> = (0..20_000).map(|_| world.range(1).1).collect();
        let mean = limits.iter().sum::<usize>() / limits.len();
        let most = limits.into_iter().max().unwrap();
        assert!(mean >= 12 && most <= 22, "{mean}, at most {most}");
        // Several that stand over the bound are refused together.
        let share = world.refused as f64 / world.answered as f64;
        assert!(share < 0.05, "{share}");
    }

    #[test]
    fn it_follows_a_destination_that_changes() {
        let mut world = World::new(64, 1000, 128);
        world.range(5_000);
        assert!(world.concurrency.limit() >= 64);
        world.become_as(8);
        world.range(30_000);
        let fewer = world.concurrency.limit();
        assert!(fewer < 64, "{fewer}");
        world.become_as(64);
        world.range(20_000);
        assert!(world.concurrency.limit() >= 64);
    }

    #[test]
    fn one_that_became_slow_for_good_is_not_cut_down_for_ever() {
        let mut concurrency = Concurrency::new(32);
        let mut run = |millis, steps| {
            for _ in 0..steps {
                let ticket = concurrency.sent(concurrency.limit());
                concurrency.answered(ticket, Duration::from_millis(millis));
            }
            concurrency.limit()
        };
        assert_eq!(run(5, 1000), 32);
        assert!(run(500, 100) < 32);
        run(500, 20_000);
        assert!((0..200).any(|_| run(500, 1) == 32));
    }

    #[test]
    fn failures_of_one_round_count_once() {
        let mut concurrency = Concurrency::new(8);
        let tickets: Vec<_> = (1..=8).map(|n| concurrency.sent(n)).collect();
        for ticket in tickets {
            concurrency.failed(ticket);
        }
        assert_eq!(concurrency.limit(), 4);
        for _ in 0..10 {
            let ticket = concurrency.sent(1);
            concurrency.failed(ticket);
        }
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn what_is_not_used_does_not_grow() {
        let mut concurrency = Concurrency::new(100);
        for _ in 0..1000 {
            let ticket = concurrency.sent(1);
            concurrency.answered(ticket, Duration::from_millis(1));
        }
        assert_eq!(concurrency.limit(), 8);
    }

    proptest! {
        #[test]
        fn it_stays_in_bounds(
            max in 0..40_usize,
            steps in prop::collection::vec((0..3_u8, 0..50_usize, 0..5_000_u64), 0..400),
        ) {
            let mut concurrency = Concurrency::new(max);
            for (kind, in_flight, millis) in steps {
                let ticket = concurrency.sent(in_flight);
                match kind {
                    0 => concurrency.failed(ticket),
                    1 => concurrency.set_max(in_flight),
                    _ => concurrency.answered(ticket, Duration::from_millis(millis)),
                }
                let max = if kind == 1 { in_flight } else { usize::MAX };
                prop_assert!((1..=max.max(1)).contains(&concurrency.limit()));
            }
        }
    }
}
