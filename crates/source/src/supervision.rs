//! What the supervisor of all actors decides: pauses before restarts, shares of memory, when a client is
//! made anew, the order in which another revision takes over, and when a destination that is gone ends.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Pause before an actor that died is started again; doubles while it keeps dying.
const RESTART_PAUSE: Duration = Duration::from_millis(10);
/// The longest one.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// An actor that lived this long is not counted as one that keeps dying.
const LIVED_WELL: Duration = Duration::from_secs(30);
/// A partition with unread records, nothing in flight and no movement for this long gets a new client.
const STUCK_AFTER: Duration = Duration::from_secs(300);
/// How long a destination that left the configuration may deliver what it has, counted from the end of
/// the drains of inputs.
const RETIRE_GRACE: Duration = Duration::from_secs(2);
/// The same for a partition of which the client does not hear where it ends: it asks the wrong broker,
/// as after a topic was made again whose leader had changed, or there is none.
const DEAF_AFTER: Duration = Duration::from_secs(60);
/// The longest time until that is tried again.
const DEAF_MAX: Duration = Duration::from_secs(3600);
/// Memory for records in flight of one partition: less would starve it, more gains nothing.
const PARTITION_BYTES: RangeInclusive<u64> = 32 * 1024..=16 << 20;

/// How often actors died lately, and in all.
#[derive(Debug)]
pub struct Restarts<K> {
    lately: BTreeMap<K, (u32, Instant)>,
    total: u64,
}

/// An actor is to be started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// After this time.
    pub pause: Duration,
    /// How often it died lately, this time included.
    pub times: u32,
}

impl<K> Default for Restarts<K> {
    fn default() -> Self {
        Self {
            lately: BTreeMap::new(),
            total: 0,
        }
    }
}

impl<K: Ord> Restarts<K> {
    /// The actor of this name died.
    pub fn died(&mut self, now: Instant, name: K) -> Restart {
        self.total += 1;
        self.lately
            .retain(|_, (_, last)| now.saturating_duration_since(*last) <= LIVED_WELL);
        let (times, last) = self.lately.entry(name).or_insert((0, now));
        *times = times.saturating_add(1);
        *last = now;
        let doubled = RESTART_PAUSE.saturating_mul(2u32.saturating_pow(*times - 1));
        Restart {
            pause: doubled.min(RESTART_PAUSE_MAX),
            times: *times,
        }
    }

    /// Deaths of all actors since the start.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

/// The part of `bytes` that one of so many partitions may use for records in flight.
#[must_use]
pub fn partition_bytes(bytes: u64, partitions: usize) -> usize {
    let share = bytes / u64::try_from(partitions.max(1)).unwrap_or(u64::MAX);
    let share = share.clamp(*PARTITION_BYTES.start(), *PARTITION_BYTES.end());
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// What is seen of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// When something was last read or settled.
    pub moved: Instant,
    /// Whether it is known why nothing is read, or some work is in flight.
    pub is_explained: bool,
    /// Whether there are records that were not read.
    pub has_unread: bool,
    /// Whether the client does not hear where the partition ends, which each answer to a fetch tells.
    pub is_deaf: bool,
}

/// Whether the client of one input still does what it should.
#[derive(Debug)]
pub struct Watch {
    rebuilt: Instant,
    /// How long a client may be deaf before it is made anew; doubles while that does not help.
    patience: Duration,
}

impl Watch {
    /// The client begins.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            rebuilt: now,
            patience: DEAF_AFTER,
        }
    }

    /// Looks at all partitions. Returns whether the client is to be made anew, since one of them should
    /// move and does not. An idle input, or one whose destination is away, is left alone however long
    /// that takes.
    pub fn is_stuck(
        &mut self,
        now: Instant,
        partitions: impl IntoIterator<Item = Progress>,
    ) -> bool {
        let (rebuilt, patience) = (self.rebuilt, self.patience);
        // Since it read something, and since there is this client.
        let still =
            |progress: &Progress| now.saturating_duration_since(progress.moved.max(rebuilt));
        let (mut stuck, mut deaf, mut is_any_deaf) = (false, false, false);
        for progress in partitions {
            is_any_deaf |= progress.is_deaf;
            if progress.is_explained {
                continue;
            }
            stuck |= progress.has_unread && still(&progress) > STUCK_AFTER;
            deaf |= progress.is_deaf && still(&progress) > patience;
        }
        if !is_any_deaf {
            self.patience = DEAF_AFTER;
        } else if deaf {
            self.patience = (patience * 2).min(DEAF_MAX);
        }
        if stuck || deaf {
            self.rebuilt = now;
        }
        stuck || deaf
    }
}

/// What is to be done next for another revision of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// Routes, destinations and scripts change over.
    Swap,
    /// What these topics have in flight comes back and goes by the new routes.
    Recall(BTreeSet<T>),
    /// Clients subscribe, start and leave, and every topic gets its new bounds.
    ChangeInputs,
    /// These topics go on.
    Release(BTreeSet<T>),
}

/// The change from one revision to the next. The topics held take nothing more, so that nothing is
/// overtaken or delivered twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeOver<T> {
    held: BTreeSet<T>,
}

impl<T> Default for ChangeOver<T> {
    fn default() -> Self {
        Self {
            held: BTreeSet::new(),
        }
    }
}

impl<T: Ord + Clone> ChangeOver<T> {
    /// These topics take nothing more until they are released.
    #[must_use]
    pub const fn hold(topics: BTreeSet<T>) -> Self {
        Self { held: topics }
    }

    /// Whether a topic is held, also one that is assigned meanwhile.
    #[must_use]
    pub fn holds(&self, topic: &T) -> bool {
        self.held.contains(topic)
    }

    /// The topics have nothing in flight any more (`settled`), or the time for that is over. `routed`
    /// tells which topics the new routes know, `added` are those that get their first route.
    pub fn proceed(
        self,
        settled: bool,
        routed: impl Fn(&T) -> bool,
        added: impl IntoIterator<Item = T>,
    ) -> Vec<Step<T>> {
        let mut steps = vec![Step::Swap];
        if !settled && !self.held.is_empty() {
            steps.push(Step::Recall(self.held.clone()));
        }
        steps.push(Step::ChangeInputs);
        let mut released: BTreeSet<T> = self
            .held
            .into_iter()
            .filter(|topic| routed(topic))
            .collect();
        released.extend(added);
        steps.push(Step::Release(released));
        steps
    }
}

/// The end of a destination that left the configuration: it is asked again and again whether it has
/// nothing left to deliver, and told to stop when its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    deadline: Instant,
    /// Whether an answer is awaited.
    asked: bool,
}

/// What to say to a destination that left the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetireOrder {
    /// To stop if it has nothing left to deliver.
    WhenIdle,
    /// To stop now.
    AtOnce,
}

impl Retirement {
    /// The destination leaves the configuration.
    #[must_use]
    pub fn begin(now: Instant) -> Self {
        Self {
            deadline: now + RETIRE_GRACE,
            asked: false,
        }
    }

    /// What to say to the destination now, if anything. While inputs are `draining` it is left alone:
    /// what they drain may still come to it.
    pub fn look(&mut self, now: Instant, draining: bool) -> Option<RetireOrder> {
        if draining {
            self.deadline = now + RETIRE_GRACE;
            return None;
        }
        if std::mem::replace(&mut self.asked, true) {
            return None;
        }
        Some(match now >= self.deadline {
            true => RetireOrder::AtOnce,
            false => RetireOrder::WhenIdle,
        })
    }

    /// The destination answered that it goes on.
    pub const fn goes_on(&mut self) {
        self.asked = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_while_an_actor_keeps_dying_and_start_anew_when_it_lived() {
        let mut now = Instant::now();
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            now += SECOND;
            pauses.push(restarts.died(now, "parser").pause);
        }
        assert_eq!(pauses[0], RESTART_PAUSE);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&RESTART_PAUSE_MAX));
        assert_eq!(restarts.died(now, "forwarder").times, 1);
        let later = restarts.died(now + LIVED_WELL + SECOND, "parser");
        let first = Restart {
            pause: RESTART_PAUSE,
            times: 1,
        };
        assert_eq!((later, restarts.total()), (first, 14));
    }

    #[test]
    fn a_destination_that_is_gone_delivers_for_a_while_after_the_last_drain() {
        let began = Instant::now();
        let mut retirement = Retirement::begin(began);
        let late = began + 10 * RETIRE_GRACE;
        assert_eq!(retirement.look(late, true), None, "an input drains");
        let order = retirement.look(late + SECOND, false);
        assert_eq!(order, Some(RetireOrder::WhenIdle));
        assert_eq!(retirement.look(late + RETIRE_GRACE, false), None, "asked");
        retirement.goes_on();
        let order = retirement.look(late + RETIRE_GRACE, false);
        assert_eq!(order, Some(RetireOrder::AtOnce));
    }

    #[test]
    fn memory_is_shared_out_within_bounds() {
        let shares = [1, 16, 1 << 20].map(|partitions| partition_bytes(64 << 20, partitions));
        assert_eq!(shares, [16 << 20, 4 << 20, 32 * 1024]);
        assert_eq!(partition_bytes(1 << 20, 0), 1 << 20);
    }

    #[test]
    fn a_client_is_made_anew_only_for_a_partition_that_should_move_and_not_twice_at_once() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        let stuck = Progress {
            moved: began,
            is_explained: false,
            has_unread: true,
            is_deaf: false,
        };
        let idle = Progress {
            has_unread: false,
            ..stuck
        };
        let waits = Progress {
            is_explained: true,
            ..stuck
        };
        let late = began + STUCK_AFTER + SECOND;
        assert!(!watch.is_stuck(late, [idle, waits]));
        assert!(!watch.is_stuck(began + STUCK_AFTER, [stuck]));
        assert!(watch.is_stuck(late, [idle, stuck]));
        assert!(!watch.is_stuck(late + SECOND, [stuck]), "it was just made");
        assert!(watch.is_stuck(late + STUCK_AFTER + SECOND, [stuck]));
    }

    #[test]
    fn a_client_that_does_not_hear_where_a_partition_ends_is_made_anew_with_growing_patience() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        let deaf = Progress {
            moved: began,
            is_explained: false,
            has_unread: false,
            is_deaf: true,
        };
        let waits = Progress {
            is_explained: true,
            ..deaf
        };
        let hears = Progress {
            is_deaf: false,
            ..deaf
        };
        assert!(!watch.is_stuck(began + DEAF_AFTER, [deaf]));
        let first = began + DEAF_AFTER + SECOND;
        assert!(!watch.is_stuck(first, [waits, hears]));
        assert!(watch.is_stuck(first, [hears, deaf]));
        assert!(!watch.is_stuck(first + DEAF_AFTER * 2, [deaf]), "doubled");
        let second = first + DEAF_AFTER * 2 + SECOND;
        assert!(watch.is_stuck(second, [deaf]));
        assert!(!watch.is_stuck(second + SECOND, [hears]), "it helped");
        assert!(watch.is_stuck(second + DEAF_AFTER + SECOND, [deaf]));
    }

    /// What a topic of the model does.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Topic {
        reads: bool,
        in_flight_by: Option<u32>,
    }

    proptest! {
        /// Nothing is read by the new routes while something is in flight by the old ones, and every
        /// topic with a route reads in the end.
        #[test]
        fn a_topic_never_has_work_of_two_revisions(
            held in proptest::collection::btree_set(0usize..8, 0..8),
            routed in proptest::collection::vec(any::<bool>(), 8),
            settled: bool,
        ) {
            let mut topics = [Topic { reads: true, in_flight_by: Some(1) }; 8];
            for &topic in &held {
                topics[topic].reads = false;
                if settled {
                    topics[topic].in_flight_by = None;
                }
            }
            let change = ChangeOver::hold(held.clone());
            let added = (0..8).filter(|topic| routed[*topic] && !held.contains(topic));
            let mut revision = 1;
            for step in change.proceed(settled, |topic| routed[*topic], added) {
                match step {
                    Step::Swap => revision = 2,
                    Step::Recall(recalled) => {
                        prop_assert_eq!(revision, 2, "what comes back goes by the new routes");
                        for topic in recalled {
                            topics[topic].in_flight_by = Some(2);
                        }
                    }
                    Step::ChangeInputs => prop_assert_eq!(revision, 2),
                    Step::Release(released) => {
                        for topic in released {
                            prop_assert!(routed[topic], "it has nowhere to go");
                            topics[topic].reads = true;
                        }
                    }
                }
                for &topic in &held {
                    let own = topics[topic];
                    let mixed = own.reads && own.in_flight_by.is_some_and(|by| by != revision);
                    prop_assert!(!mixed, "{own:?}");
                }
            }
            for &topic in &held {
                prop_assert_eq!(topics[topic].reads, routed[topic]);
            }
        }
    }
}
