//! The promises of [`Lanes`](super::Lanes), checked against a simple model under any order of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::endpoint::{EndpointOptions, Framing};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push {
        lane: u64,
        endpoint: usize,
        sizes: Vec<usize>,
    },
    Next,
    Delivered(usize),
    Rejected(usize),
    Retry {
        which: usize,
        delay: u64,
    },
    Halve {
        which: usize,
        delay: u64,
        yields: bool,
    },
    NextProbe,
    GiveUp(usize),
    Bisect(usize),
    TooLarge(usize),
    Cancel(u64),
    Flush,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u64, 0..3_usize, prop::collection::vec(8..60_usize, 0..9))
            .prop_map(|(lane, endpoint, sizes)| Step::Push { lane, endpoint, sizes }),
        6 => Just(Step::Next),
        3 => (0..9_usize).prop_map(Step::Delivered),
        1 => (0..9_usize).prop_map(Step::Rejected),
        2 => (0..9_usize, 0..50_u64).prop_map(|(which, delay)| Step::Retry { which, delay }),
        3 => (0..9_usize, 0..50_u64, any::<bool>())
            .prop_map(|(which, delay, yields)| Step::Halve { which, delay, yields }),
        2 => Just(Step::NextProbe),
        1 => (0..9_usize).prop_map(Step::GiveUp),
        3 => (0..9_usize).prop_map(Step::Bisect),
        1 => (0..9_usize).prop_map(Step::TooLarge),
        1 => (0..4_u64).prop_map(Step::Cancel),
        1 => Just(Step::Flush),
        2 => (0..40_u64).prop_map(Step::Pass),
    ]
}

fn endpoint(name: usize) -> Arc<Endpoint> {
    Arc::new(
        Endpoint::try_new(EndpointOptions {
            url: format!("http://host/{name}"),
            framing: Framing::json_array(),
            ..Default::default()
        })
        .unwrap(),
    )
}

fn number(item: &Item) -> u64 {
    u64::from_be_bytes(item.body[..8].try_into().unwrap())
}

/// The attachment: names the parcel.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Tag(u64);

struct World {
    limits: Limits,
    lanes: Lanes<Tag>,
    endpoints: Vec<Arc<Endpoint>>,
    now: Instant,
    /// Items of each lane that are neither settled nor cancelled, in order, with their parcel.
    pending: BTreeMap<LaneId, VecDeque<(u64, u64)>>,
    home: BTreeMap<u64, (LaneId, usize)>,
    in_flight: BTreeMap<RequestId, (Request, BTreeSet<LaneId>)>,
    open_parcels: BTreeSet<u64>,
    numbers: u64,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: Lanes::new(limits),
            endpoints: (0..3).map(endpoint).collect(),
            now: Instant::now(),
            pending: BTreeMap::new(),
            home: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            open_parcels: BTreeSet::new(),
            numbers: 0,
        }
    }

    fn push(&mut self, lane: u64, endpoint: usize, sizes: &[usize]) {
        self.numbers += 1;
        let parcel = self.numbers;
        let lane = LaneId(lane);
        let mut items = VecDeque::new();
        for (record, size) in sizes.iter().enumerate() {
            self.numbers += 1;
            let mut body = self.numbers.to_be_bytes().to_vec();
            body.resize(*size, 0);
            self.home.insert(self.numbers, (lane, endpoint));
            self.pending
                .entry(lane)
                .or_default()
                .push_back((self.numbers, parcel));
            items.push_back(Item {
                record: record as u32,
                body: body.into(),
            });
        }
        let back = self.lanes.push(
            Parcel {
                lane,
                endpoint: self.endpoints[endpoint].clone(),
                items,
                arrived: self.now,
                payload: Tag(parcel),
            },
            None,
        );
        assert_eq!(back.is_some(), sizes.is_empty());
        if back.is_none() {
            self.open_parcels.insert(parcel);
        }
    }

    fn next(&mut self, probe: bool) -> bool {
        let promised = self.lanes.due().is_some_and(|due| due <= self.now);
        let next = match probe {
            true => self.lanes.next_probe(self.now, false),
            false => self.lanes.next(self.now),
        };
        let Some(request) = next else {
            assert!(!promised, "due, but nothing came");
            return false;
        };
        assert!(promised, "came before it was due");
        assert!(!request.items.is_empty() && request.items.len() <= self.limits.max_items);
        let bytes = request.items.iter().map(|item| item.body.len()).sum();
        let size = request.endpoint.body_bytes(request.items.len(), bytes);
        assert!(size <= self.limits.max_bytes || request.items.len() == 1);
        let mut lanes = BTreeSet::new();
        let mut walked: BTreeMap<LaneId, usize> = BTreeMap::new();
        for item in request.items.iter() {
            let (lane, endpoint) = self.home[&number(item)];
            assert!(Arc::ptr_eq(&request.endpoint, &self.endpoints[endpoint]));
            let place = walked.entry(lane).or_default();
            assert_eq!(
                self.pending[&lane][*place].0,
                number(item),
                "out of order in {lane:?}"
            );
            *place += 1;
            lanes.insert(lane);
        }
        for (_, busy) in self.in_flight.values() {
            assert!(busy.is_disjoint(&lanes), "two requests of one lane");
        }
        self.in_flight.insert(request.id, (request, lanes));
        assert!(self.in_flight.len() <= self.limits.max_requests);
        true
    }

    fn pick(&self, which: usize) -> Option<RequestId> {
        let ids: Vec<RequestId> = self.in_flight.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[which % ids.len()])
    }

    fn settle(&mut self, id: RequestId, rejected: bool) {
        let (request, _) = self.in_flight.remove(&id).unwrap();
        let mut seen = Vec::new();
        let visit = |tag: &mut Tag, items: &[Item]| {
            seen.extend(items.iter().map(|item| (number(item), tag.0)));
        };
        let complete = if rejected {
            self.lanes.rejected(id, visit)
        } else {
            self.lanes.delivered(id, visit)
        };
        assert!(seen.len() <= request.items.len());
        self.settled(seen, complete);
    }

    fn settled(&mut self, seen: Vec<(u64, u64)>, complete: Vec<Tag>) {
        for (item, parcel) in seen {
            let (lane, _) = self.home[&item];
            assert_eq!(
                self.pending.get_mut(&lane).unwrap().pop_front(),
                Some((item, parcel))
            );
        }
        for Tag(parcel) in complete {
            assert!(self.open_parcels.remove(&parcel), "came back twice");
            assert!(
                self.pending.values().flatten().all(|(_, of)| *of != parcel),
                "came back early"
            );
        }
    }

    fn cancel(&mut self, kind: u64) {
        let cancelled = self.lanes.cancel(|Tag(parcel)| parcel % 4 == kind);
        for Tag(parcel) in &cancelled.payloads {
            assert_eq!(parcel % 4, kind);
            assert!(self.open_parcels.remove(parcel));
        }
        assert!(self.open_parcels.iter().all(|parcel| parcel % 4 != kind));
        for queue in self.pending.values_mut() {
            queue.retain(|(_, parcel)| parcel % 4 != kind);
        }
        for id in cancelled.void {
            assert_eq!(self.lanes.parts(id).count(), 0);
            assert!(self.in_flight.contains_key(&id));
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Push {
                lane,
                endpoint,
                sizes,
            } => self.push(lane, endpoint, &sizes),
            Step::Next => {
                self.next(false);
            }
            Step::Flush => self.lanes.flush(self.now),
            Step::Pass(millis) => self.now += Duration::from_millis(millis),
            Step::Cancel(kind) => self.cancel(kind),
            Step::Delivered(which) => {
                if let Some(id) = self.pick(which) {
                    self.settle(id, false);
                }
            }
            Step::Rejected(which) => {
                if let Some(id) = self.pick(which) {
                    self.settle(id, true);
                }
            }
            Step::NextProbe => {
                self.next(true);
            }
            Step::Retry { which, delay } => {
                if let Some(id) = self.pick(which) {
                    let moment = self.now + Duration::from_millis(delay);
                    self.lanes.retry(id, moment);
                    self.in_flight.remove(&id);
                }
            }
            Step::Halve {
                which,
                delay,
                yields,
            } => {
                if let Some(id) = self.pick(which) {
                    let moment = self.now + Duration::from_millis(delay);
                    let left = History {
                        yields,
                        ..History::default()
                    };
                    let cut = self.lanes.halve(id, moment, left, History::default());
                    assert_eq!(cut, self.in_flight[&id].0.items.len() > 1);
                    if cut {
                        self.in_flight.remove(&id);
                    }
                }
            }
            Step::GiveUp(which) => {
                let suspects: Vec<_> = self.lanes.suspects().iter().map(|one| one.id).collect();
                if suspects.is_empty() {
                    return;
                }
                let id = suspects[which % suspects.len()];
                let mut seen = Vec::new();
                let complete = self.lanes.give_up(id, |tag, items| {
                    seen.extend(items.iter().map(|item| (number(item), tag.0)));
                });
                assert_eq!(complete.is_none(), self.in_flight.contains_key(&id));
                self.settled(seen, complete.unwrap_or_default());
            }
            Step::Bisect(which) | Step::TooLarge(which) => {
                if let Some(id) = self.pick(which) {
                    let cut = match step {
                        Step::Bisect(_) => self.lanes.bisect(id),
                        _ => self.lanes.too_large(id),
                    };
                    assert_eq!(cut, self.in_flight[&id].0.items.len() > 1);
                    if cut {
                        self.in_flight.remove(&id);
                    }
                }
            }
        }
        self.check_load();
    }

    fn check_load(&self) {
        let load = self.lanes.load();
        assert_eq!(load.in_flight_requests, self.in_flight.len());
        let in_flight: usize = self.in_flight.values().map(|(r, _)| r.items.len()).sum();
        assert_eq!(load.in_flight_items, in_flight);
        let pending: usize = self.pending.values().map(VecDeque::len).sum();
        assert!(load.queued_items + load.in_flight_items >= pending);
        assert_eq!(load.oldest.is_some(), !self.open_parcels.is_empty());
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            self.now += Duration::from_millis(50);
            self.lanes.flush(self.now);
            while self.next(false) {}
            let Some(id) = self.pick(0) else { break };
            self.settle(id, false);
            self.check_load();
        }
        assert!(
            self.pending.values().all(VecDeque::is_empty),
            "lost: {:?}",
            self.pending
        );
        assert!(self.open_parcels.is_empty());
        assert!(self.lanes.is_idle());
        assert_eq!(self.lanes.load(), Load::default());
        assert!(self.lanes.lanes.is_empty(), "lanes are forgotten");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_order_of_calls_keeps_the_promises(
        max_items in 1..12_usize,
        max_bytes in 20..300_usize,
        age in prop_oneof![Just(0_u64), 1..60_u64],
        max_requests in 1..5_usize,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let max_age = Duration::from_millis(age);
        let mut world = World::new(Limits { max_items, max_bytes, max_age, max_requests });
        for step in steps {
            world.take(step);
        }
        world.drain();
    }

    #[test]
    fn one_culprit_costs_log2_requests(count in 1..400_usize, seed: usize, lanes in 1..6_usize) {
        let culprit = (seed % count) as u64;
        let mut world = World::new(Limits {
            max_items: 1000,
            max_bytes: 1 << 20,
            max_age: Duration::ZERO,
            max_requests: 8,
        });
        // Lanes follow each other in the request, so the order of bodies is the order of pushing.
        let share = count.div_ceil(lanes);
        for (lane, start) in (0..count).step_by(share).enumerate() {
            let items = (start..count.min(start + share)).map(|index| Item {
                record: index as u32,
                body: Bytes::copy_from_slice(&(index as u64).to_be_bytes()),
            });
            world.now += Duration::from_millis(1);
            let back = world.lanes.push(Parcel {
                lane: LaneId(lane as u64),
                endpoint: world.endpoints[0].clone(),
                items: items.collect(),
                arrived: world.now,
                payload: Tag(lane as u64),
            }, None);
            prop_assert!(back.is_none());
        }
        let (mut sent, mut isolated, mut delivered) = (0_u32, None, Vec::new());
        while let Some(request) = world.lanes.next(world.now) {
            sent += 1;
            prop_assert!(world.lanes.next(world.now).is_none(), "all lanes are held");
            if request.items.iter().all(|item| number(item) != culprit) {
                let _complete = world.lanes.delivered(request.id, |_, items| {
                    delivered.extend(items.iter().map(number));
                });
            } else if !world.lanes.bisect(request.id) {
                isolated = Some(sent);
                if lanes == 1 {
                    prop_assert_eq!(delivered.len() as u64, culprit, "those before went first");
                }
                let _complete = world.lanes.rejected(request.id, |_, items| {
                    assert_eq!(items.len(), 1);
                });
            }
        }
        let extra = isolated.unwrap() - 1;
        let bound = count.next_power_of_two().ilog2() + 1;
        prop_assert!(extra <= bound, "{extra} further requests to isolate one of {count}");
        prop_assert!(sent - 1 <= bound + 1, "{sent} requests in all for {count}");
        delivered.sort_unstable();
        let expected: Vec<u64> = (0..count as u64).filter(|index| *index != culprit).collect();
        prop_assert_eq!(delivered, expected);
        prop_assert!(world.lanes.is_idle());
    }
}

fn parcel(world: &World, lane: u64, items: usize) -> Parcel<Tag> {
    let item = |record| Item {
        record,
        body: Bytes::from_static(b"12345678"),
    };
    Parcel {
        lane: LaneId(lane),
        endpoint: world.endpoints[0].clone(),
        items: (0..items as u32).map(item).collect(),
        arrived: world.now,
        payload: Tag(lane),
    }
}

fn limits() -> Limits {
    Limits {
        max_items: 4,
        max_bytes: 1 << 20,
        max_age: Duration::from_secs(5),
        max_requests: 8,
    }
}

#[test]
fn a_request_waits_for_company_or_age_or_flush() {
    let mut world = World::new(limits());
    let start = world.now;
    assert!(world.lanes.push(parcel(&world, 1, 2), None).is_none());
    assert!(world.lanes.next(start).is_none());
    assert_eq!(world.lanes.due(), Some(start + Duration::from_secs(5)));
    assert!(world.lanes.push(parcel(&world, 2, 2), None).is_none());
    assert_eq!(world.lanes.next(start).unwrap().items.len(), 4, "full");
    assert!(world.lanes.push(parcel(&world, 3, 1), None).is_none());
    assert!(
        world
            .lanes
            .next(start + Duration::from_millis(4999))
            .is_none()
    );
    assert!(
        world.lanes.next(start + Duration::from_secs(5)).is_some(),
        "aged"
    );
    assert!(world.lanes.push(parcel(&world, 4, 1), None).is_none());
    world.lanes.flush(start);
    assert!(world.lanes.next(start).is_some(), "flushed");
    assert!(world.lanes.due().is_none());
}

#[test]
fn a_retry_keeps_its_items_and_goes_first() {
    let mut world = World::new(limits());
    let now = world.now;
    assert!(world.lanes.push(parcel(&world, 1, 6), None).is_none());
    let first = world.lanes.next(now).unwrap();
    assert_eq!((first.items.len(), first.tries), (4, 0));
    let later = now + Duration::from_secs(9);
    world.lanes.retry(first.id, later);
    assert!(world.lanes.next(now).is_none(), "the lane waits with it");
    let again = world.lanes.next(later).unwrap();
    assert!(Arc::ptr_eq(&again.items, &first.items));
    assert_eq!(again.tries, 1);
}

#[test]
fn too_large_teaches_the_limit_and_forgets_it_slowly() {
    let mut world = World::new(Limits {
        max_age: Duration::ZERO,
        max_items: 64,
        ..limits()
    });
    let now = world.now;
    assert!(world.lanes.push(parcel(&world, 1, 512), None).is_none());
    let first = world.lanes.next(now).unwrap();
    assert_eq!(first.items.len(), 64);
    assert!(world.lanes.too_large(first.id));
    let mut sizes = Vec::new();
    while let Some(request) = world.lanes.next(now) {
        sizes.push(request.items.len());
        let _complete = world.lanes.delivered(request.id, |_, _| {});
    }
    assert!((30..=32).contains(&sizes[0]), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 64), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 512);
    assert!(sizes[8] > sizes[0], "{sizes:?}");
}

#[test]
fn cancelled_work_in_flight_keeps_its_lane_until_the_outcome() {
    let mut world = World::new(Limits {
        max_age: Duration::ZERO,
        ..limits()
    });
    let now = world.now;
    assert!(world.lanes.push(parcel(&world, 1, 2), None).is_none());
    let request = world.lanes.next(now).unwrap();
    let cancelled = world.lanes.cancel(|tag| tag.0 == 1);
    assert_eq!(
        (cancelled.payloads, cancelled.void),
        (vec![Tag(1)], vec![request.id])
    );
    assert!(world.lanes.push(parcel(&world, 1, 1), None).is_none());
    assert!(world.lanes.next(now).is_none());
    let complete = world
        .lanes
        .delivered(request.id, |_, _| panic!("its outcome is ignored"));
    assert!(complete.is_empty());
    assert_eq!(world.lanes.next(now).unwrap().items.len(), 1);
}

/// The order in which work is given back is the order in which it is sent again.
#[test]
fn cancelled_work_is_given_back_in_the_order_in_which_it_came() {
    let mut world = World::new(limits());
    for lane in [5, 1, 4, 2, 3, 7, 6] {
        assert!(world.lanes.push(parcel(&world, lane, 1), None).is_none());
    }
    let cancelled = world.lanes.cancel(|tag| tag.0 != 4);
    let came: Vec<u64> = cancelled.payloads.iter().map(|tag| tag.0).collect();
    assert_eq!(came, [5, 1, 2, 3, 7, 6]);
}

#[test]
fn replaced_endpoints_are_forgotten() {
    let mut world = World::new(Limits {
        max_age: Duration::ZERO,
        ..limits()
    });
    for name in 0..100 {
        let fresh = Parcel {
            endpoint: endpoint(name),
            ..parcel(&world, 1, 1)
        };
        assert!(world.lanes.push(fresh, None).is_none());
        let request = world.lanes.next(world.now).unwrap();
        let complete = world.lanes.delivered(request.id, |_, _| {});
        assert_eq!(complete, [Tag(1)]);
    }
    assert!(world.lanes.groups.len() <= 2);
}
