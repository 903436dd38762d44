//! The rule of refusals under a clock that is a number: receivers that accept, refuse one item or
//! everything, go away and come back.

mod drawn;
mod suspects;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::answer::{Layer, TransportError};
use super::super::endpoint::{Endpoint, EndpointOptions};
use super::super::lanes::LaneId;
use super::*;
use crate::tests::fates::Fates;

/// Items of a lane are numbered from here.
const LANE: u64 = 1_000_000;

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Say(u16),
    /// With `Retry-After`, in seconds.
    Later(u16, u64),
    Break(Layer),
}

impl Act {
    const UNCLEAR: [Self; 12] = [
        Self::Say(500),
        Self::Say(501),
        Self::Say(502),
        Self::Say(504),
        Self::Say(302),
        Self::Say(401),
        Self::Say(403),
        Self::Say(404),
        Self::Say(405),
        Self::Say(409),
        Self::Break(Layer::Reset),
        Self::Break(Layer::Timeout),
    ];

    fn outcome(self) -> Result<Reply, TransportError> {
        let answer = |status, after: Option<u64>| {
            Ok(Reply::Http(Answer {
                status,
                retry_after: after.map(Duration::from_secs),
                ..Answer::default()
            }))
        };
        match self {
            Self::Say(status) => answer(status, None),
            Self::Later(status, after) => answer(status, Some(after)),
            Self::Break(layer) => Err(TransportError::new(layer, "no answer")),
        }
    }

    fn took(self) -> Duration {
        match self {
            Self::Break(Layer::Timeout) => Duration::from_secs(30),
            _ => Duration::from_millis(3),
        }
    }
}

/// The number that the bytes of an item are.
fn number(body: &Bytes) -> u64 {
    u64::from_be_bytes(body[..8].try_into().unwrap())
}

/// A destination with its receiver, and a clock that jumps from event to event.
struct World<R> {
    delivery: Delivery<u64>,
    endpoints: Vec<Arc<Endpoint>>,
    start: Instant,
    now: Instant,
    under_way: Vec<(Instant, Request, Act)>,
    /// Gets the time since the start, the endpoint and the items.
    receiver: R,
    fates: Fates,
    next: BTreeMap<u64, u64>,
    /// When requests were sent.
    sent: Vec<Duration>,
    notices: Vec<Notice>,
}

impl<R: FnMut(Duration, &str, &[u64]) -> Act> World<R> {
    fn new(max_items: usize, probe_past: bool, receiver: R) -> Self {
        let endpoint = |path: &str| {
            Arc::new(
                Endpoint::try_new(EndpointOptions {
                    url: format!("http://host/{path}"),
                    ..Default::default()
                })
                .unwrap(),
            )
        };
        let options = DeliveryOptions {
            limits: Limits {
                max_items,
                max_bytes: 1 << 20,
                max_age: Duration::ZERO,
                max_requests: 16,
            },
            health: HealthOptions {
                base: Duration::from_millis(100),
                cap: Duration::from_secs(5),
                alarm_base: Duration::from_secs(1),
                alarm_cap: Duration::from_secs(10),
                retry_after_cap: Duration::from_secs(300),
            },
            max_retries: 3,
            probe_past,
        };
        let start = Instant::now();
        Self {
            delivery: Delivery::new(options, fastrand::Rng::with_seed(1)),
            endpoints: ["a", "b"].map(endpoint).to_vec(),
            start,
            now: start,
            under_way: Vec::new(),
            receiver,
            fates: Fates::default(),
            next: BTreeMap::new(),
            sent: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn push(&mut self, lane: u64, count: u64) {
        self.push_to(0, lane, count);
    }

    fn push_to(&mut self, endpoint: usize, lane: u64, count: u64) {
        let next = self.next.entry(lane).or_insert(lane * LANE);
        let items = (*next..*next + count).map(|number| Item {
            record: 0,
            body: Bytes::copy_from_slice(&number.to_be_bytes()),
        });
        let parcel = Parcel {
            lane: LaneId(lane),
            endpoint: Arc::clone(&self.endpoints[endpoint]),
            items: items.collect(),
            arrived: self.now,
            payload: lane,
        };
        *next += count;
        assert!(self.delivery.push(parcel, None).is_none());
    }

    fn pump(&mut self) {
        while let Some(request) = self.delivery.next(self.now) {
            let numbers: Vec<u64> = request
                .items
                .iter()
                .map(|item| number(&item.body))
                .collect();
            let since = self.now - self.start;
            let act = (self.receiver)(since, request.endpoint.uri().path(), &numbers);
            self.sent.push(since);
            self.under_way.push((self.now + act.took(), request, act));
        }
    }

    /// Lets time pass until `end` or until nothing is left to do.
    fn run(&mut self, end: Duration) {
        let end = self.start + end;
        loop {
            self.pump();
            let finish = self.under_way.iter().map(|(at, ..)| *at).min();
            let wake = self.delivery.wake_at(self.now);
            let next = [finish, wake].into_iter().flatten().min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return;
                }
            }
            let at = self.under_way.iter().position(|(at, ..)| *at <= self.now);
            if let Some(at) = at {
                let (_, request, act) = self.under_way.remove(at);
                let notices = self.delivery.finished(
                    self.now,
                    &request,
                    act.took(),
                    act.outcome(),
                    &mut self.fates,
                );
                self.notices.extend(notices);
            }
        }
    }

    fn delivered(&self) -> usize {
        self.fates.delivered()
    }

    fn rejected(&self) -> Vec<u64> {
        self.fates.rejected().into_iter().map(number).collect()
    }

    /// Every item was settled once, in the order of its lane, and nothing is left.
    fn check_complete(&self) {
        let mut by_lane: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (body, _) in &self.fates.settled {
            let number = number(body);
            by_lane.entry(number / LANE).or_default().push(number);
        }
        for (lane, next) in &self.next {
            let expected: Vec<u64> = (lane * LANE..*next).collect();
            assert_eq!(by_lane.get(lane), Some(&expected), "lane {lane}");
        }
        assert!(self.delivery.is_idle());
        assert_eq!(self.delivery.load(), Load::default());
        assert!(self.delivery.under_way.is_empty());
        assert!(self.delivery.suspects().is_empty());
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_record_that_is_refused_stops_no_other_and_is_given_up_on_evidence() {
    let poison = 3 * LANE + 2;
    for act in Act::UNCLEAR {
        for max_items in [1, 7, 1000] {
            let mut world = World::new(max_items, false, |_, _, items| {
                if items.contains(&poison) {
                    act
                } else {
                    Act::Say(204)
                }
            });
            (0..8).for_each(|lane| world.push(lane, 5));
            let slow = act == Act::Break(Layer::Timeout);
            let (end, patience) = if slow { (900, 200) } else { (120, 40) };
            for second in 1..=end {
                // Partitions go on receiving; those of other lanes are not held up for long.
                (0..8).for_each(|lane| world.push(lane, 1));
                world.run(secs(second));
                let due = 7 * second.saturating_sub(patience);
                assert!(
                    world.delivered() as u64 >= due,
                    "{act:?} {max_items} {second}"
                );
            }
            assert_eq!(world.rejected(), [poison], "{act:?} {max_items}");
            let story = world.fates.rejections[0].reason.to_string();
            assert!(story.contains("while others were accepted"), "{story}");
            assert!(world.fates.rejections[0].attempts >= 4);
            world.check_complete();
            assert!(!world.delivery.condition(world.now).alarm);
        }
    }
}

#[test]
fn a_refusal_among_accepted_requests_does_not_pause_the_destination() {
    let mut world = World::new(1, false, |_, _, items| match items.contains(&0) {
        true => Act::Break(Layer::Timeout),
        false => Act::Say(204),
    });
    world.push(0, 1);
    for second in 1..=200 {
        world.push(second, 1);
        world.run(secs(second));
    }
    let down = |notice: &Notice| matches!(notice, Notice::Down { .. });
    assert!(!world.notices.iter().any(down), "{:?}", world.notices);
    assert_eq!(world.delivered(), 200);
}

#[test]
fn other_lanes_go_on_within_seconds_while_one_record_times_out() {
    let mut world = World::new(1, false, |_, _, items| match items.contains(&0) {
        true => Act::Break(Layer::Timeout),
        false => Act::Say(204),
    });
    world.push(0, 1);
    world.run(secs(2));
    (1..=20).for_each(|lane| world.push(lane, 1));
    world.run(secs(3));
    assert_eq!(world.delivered(), 20);
    // Nothing else came when the first try ended: what comes now is asked for before it.
    let mut world = World::new(1, false, |_, _, items| match items.contains(&0) {
        true => Act::Break(Layer::Timeout),
        false => Act::Say(204),
    });
    world.push(0, 1);
    world.run(Duration::from_millis(30_000));
    world.push(1, 1);
    world.run(secs(32));
    assert_eq!(world.delivered(), 1);
}

#[test]
fn a_destination_that_refuses_everything_buries_nothing_for_as_long_as_it_takes() {
    let busy = [Act::Say(429), Act::Say(503), Act::Later(503, 60)];
    for act in Act::UNCLEAR.into_iter().chain(busy) {
        for max_items in [1, 1000] {
            let mut world = World::new(max_items, false, |since, _, _| {
                if since < secs(3600) {
                    act
                } else {
                    Act::Say(204)
                }
            });
            (0..20).for_each(|lane| world.push(lane, 30));
            world.run(secs(3600));
            assert_eq!(world.fates.settled.len(), 0, "{act:?}");
            let condition = world.delivery.condition(world.now);
            assert!(condition.alarm && condition.reason.is_some(), "{act:?}");
            assert_eq!(condition.asked.as_deref(), Some("http://host/a"));
            assert!(condition.since.unwrap() <= world.start + secs(31));
            // Full jitter below 5 or 10 seconds, after the first steps.
            assert!(world.sent.len() < 1900, "{act:?}: {}", world.sent.len());
            let downs = world.notices.iter();
            let downs = downs.filter(|notice| matches!(notice, Notice::Down { .. }));
            assert_eq!(downs.count(), 1, "told once");
            world.run(secs(4000));
            assert_eq!(world.rejected(), [0; 0], "{act:?} {max_items}");
            world.check_complete();
            assert_eq!(world.delivery.state(), &State::Up);
            let condition = world.delivery.condition(world.now);
            assert_eq!((condition.alarm, condition.since), (false, None));
        }
    }
}

/// What was accepted before the first refusal that may be the record's fault is not evidence against it.
#[test]
fn a_destination_that_begins_to_refuse_everything_buries_nothing() {
    let breaks = Duration::from_millis(19_200);
    let mut world = World::new(3, false, |since, _, items| match since < breaks {
        true if items.contains(&0) => Act::Say(503),
        false if since < secs(600) => Act::Say(500),
        _ => Act::Say(204),
    });
    let mut options = world.delivery.options;
    options.max_retries = 1;
    world.delivery.set_options(world.now, options);
    world.push(0, 3);
    for second in 1..=30 {
        world.push(second, 3);
        world.run(secs(second));
    }
    assert!(world.delivered() > 0, "others are accepted meanwhile");
    world.run(secs(700));
    assert_eq!(world.rejected(), [0; 0]);
    world.check_complete();
}

#[test]
fn retry_after_is_obeyed_by_every_request() {
    let mut world = World::new(1, false, |_, _, _| Act::Later(500, 3));
    world.push(0, 30);
    world.push(1, 30);
    world.run(secs(60));
    // Both lanes had a request under way when the first answer came.
    let gaps = world.sent.windows(2).skip(1).map(|pair| pair[1] - pair[0]);
    assert!(gaps.min().unwrap() >= secs(3));
    assert!(world.sent.len() >= 15);
    assert_eq!(world.fates.settled.len(), 0);
}

#[test]
fn pauses_of_one_request_grow_while_others_go_on() {
    let tries = std::cell::RefCell::new(Vec::new());
    let mut world = World::new(1, false, |since, _, items| match items.contains(&0) {
        true => {
            tries.borrow_mut().push(since);
            Act::Say(503)
        }
        false => Act::Say(204),
    });
    world.push(0, 1);
    for tenth in 1..=1200_u64 {
        world.push(1 + tenth % 50, 1);
        world.run(Duration::from_millis(100 * tenth));
    }
    assert_eq!(world.delivered(), 1200, "nobody waits for it");
    assert_eq!(world.rejected(), [0; 0], "503 does not blame a record");
    assert!(tries.borrow().len() < 70, "{}", tries.borrow().len());
    let suspects = world.delivery.suspects();
    assert_eq!((suspects.len(), suspects[0].items), (1, 1));
    assert!(world.delivery.condition(world.now).alarm);
}

#[test]
fn a_path_that_refuses_everything_is_held_while_others_of_its_destination_go_on() {
    let mut world = World::new(1, false, |_, path, _| match path {
        "/a" => Act::Say(404),
        _ => Act::Say(204),
    });
    for second in 1..=120 {
        (0..3).for_each(|lane| world.push_to(0, lane, 1));
        (3..6).for_each(|lane| world.push_to(1, lane, 1));
        world.run(secs(second));
    }
    assert_eq!(
        world.rejected(),
        [0; 0],
        "nothing was accepted at this path"
    );
    assert_eq!(world.delivered(), 360);
    let condition = world.delivery.condition(world.now);
    assert!(condition.alarm);
    assert_eq!(condition.asked.as_deref(), Some("http://host/a"));
}

#[test]
fn a_clear_refusal_finds_one_culprit_among_ten_thousand_at_once() {
    let poison = 7777;
    for status in [400, 422, 415] {
        let mut world = World::new(1000, false, |_, _, items| match items.contains(&poison) {
            true => Act::Say(status),
            false => Act::Say(204),
        });
        world.push(0, 10_000);
        world.run(secs(2));
        assert_eq!(world.rejected(), [poison]);
        world.check_complete();
        assert!(world.sent.len() <= 10 + 11 + 1, "{}", world.sent.len());
    }
}

#[test]
fn a_final_rejection_is_not_a_sign_of_life() {
    let mut world = World::new(1, false, |since, _, items| {
        if since < secs(10) {
            Act::Say(503)
        } else if items[0] % LANE < 3 {
            Act::Say(400)
        } else {
            Act::Say(204)
        }
    });
    world.push(0, 4);
    world.run(secs(10));
    while world.rejected().len() < 3 {
        assert_ne!(world.delivery.state(), &State::Up, "nothing was accepted");
        let next = world.now - world.start + Duration::from_millis(1);
        world.run(next);
    }
    world.run(secs(20));
    assert_eq!(world.delivered(), 1);
    assert_eq!(world.delivery.state(), &State::Up);
}

#[test]
fn a_destination_that_is_busy_or_away_makes_no_suspects_of_its_requests() {
    for act in [Act::Say(503), Act::Break(Layer::Connect)] {
        let mut world = World::new(10, false, |_, _, _| act);
        (0..5).for_each(|lane| world.push(lane, 10));
        world.run(secs(100));
        assert!(world.delivery.suspects().is_empty(), "{act:?}");
        assert!(!world.notices.contains(&Notice::Suspect));
        assert!(world.delivery.condition(world.now).alarm);
    }
}

/// A request that is cut in halves keeps its name. When the half under way is void, the other goes by it.
#[test]
fn an_outcome_counts_only_for_the_sending_that_it_belongs_to() {
    let mut world = World::new(2, false, |_, _, items| match items.contains(&LANE) {
        true => Act::Say(400),
        false => Act::Say(204),
    });
    world.push(0, 1);
    world.push(1, 1);
    // Both are refused as one; then the half of lane 0 is under way.
    while world
        .under_way
        .first()
        .is_none_or(|(_, request, _)| request.items.len() > 1)
    {
        let next = world.now - world.start + Duration::from_millis(1);
        world.run(next);
    }
    let (_, first, _) = world.under_way.remove(0);
    let cancelled = world.delivery.cancel(|lane| *lane == 0);
    assert_eq!(cancelled.void, [first.id]);
    let second = world.delivery.next(world.now).unwrap();
    assert_eq!((second.id, second.items.len()), (first.id, 1));
    let (took, late) = (secs(1), Act::Say(204).outcome());
    assert!(!world.delivery.awaits(&first) && world.delivery.awaits(&second));
    drop(
        world
            .delivery
            .finished(world.now, &first, took, late, &mut world.fates),
    );
    assert_eq!(world.delivered(), 0, "nobody has accepted the other half");
    let refused = Act::Say(400).outcome();
    drop(
        world
            .delivery
            .finished(world.now, &second, took, refused, &mut world.fates),
    );
    assert_eq!(world.rejected(), [LANE]);
}
