use std::collections::HashMap;

use kafkamq_record::OffsetTracker;
use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_secs(1);

fn source(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn start(next: i64) -> (Position, Memo) {
    (Position::at(next), Memo::default())
}

fn known(next: i64) -> Option<(Position, Option<Memo>)> {
    Some((Position::at(next), Some(Memo::default())))
}

fn answer(list: &CommitList, refused: Option<&str>) -> Vec<CommitResult> {
    let results = list.entries.iter().map(|entry| CommitResult {
        source: entry.source.clone(),
        next: entry.position.next,
        refused: refused.map(str::to_owned),
    });
    results.collect()
}

fn offsets(list: &CommitList) -> Vec<i64> {
    list.entries.iter().map(|e| e.position.next.0).collect()
}

#[test]
fn the_first_position_is_committed_unless_the_group_knows_it() {
    let now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    commits.begin(now, source(0), Generation(1), start(7), None);
    commits.begin(now, source(1), Generation(1), start(9), known(9));
    let list = commits.due(now).unwrap();
    assert_eq!(offsets(&list), [7]);
    assert_eq!(commits.basis(&source(0)), Some(NextOffset(7)));
    assert_eq!(commits.committed(&source(0)), None);
    let confirmed = commits.answered(now, &answer(&list, None));
    assert_eq!(confirmed.len(), 1);
    assert_eq!(commits.committed(&source(0)), Some(NextOffset(7)));
}

#[test]
fn a_smaller_offset_of_a_new_log_is_committed() {
    let now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    let old = commits.begin(now, source(0), Generation(1), start(5000), known(5000));
    let new = commits.begin(now, source(0), Generation(2), start(0), known(5000));
    assert!(!commits.settle(now, &old, Position::at(6000)));
    assert!(commits.settle(now, &new, Position::at(3)));
    assert_eq!(offsets(&commits.due(now).unwrap()), [3]);
}

#[test]
fn one_commit_is_under_way_and_the_next_follows_by_the_interval_or_at_once() {
    let mut now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    let lease = commits.begin(now, source(0), Generation(1), start(0), known(0));
    commits.settle(now, &lease, Position::at(1));
    let first = commits.due(now).unwrap();
    commits.settle(now, &lease, Position::at(2));
    commits.hurry(&lease);
    assert_eq!(commits.due(now), None, "one is under way");
    commits.answered(now, &answer(&first, None));
    let second = commits.due(now).unwrap();
    assert_eq!(offsets(&second), [2]);
    commits.answered(now, &answer(&second, None));
    commits.settle(now, &lease, Position::at(3));
    assert_eq!(commits.due(now), None, "the interval has just begun");
    now += INTERVAL;
    assert_eq!(offsets(&commits.due(now).unwrap()), [3]);
}

#[test]
fn what_is_refused_is_tried_again_and_becomes_an_alarm() {
    let mut now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    commits.begin(now, source(0), Generation(1), start(4), None);
    for _ in 0..70 {
        if let Some(list) = commits.due(now) {
            commits.answered(now, &answer(&list, Some("not allowed")));
            assert_eq!(commits.due(now), None, "there is a pause");
        }
        now += RETRY_AFTER;
    }
    let overdue: Vec<_> = commits.overdue(now).collect();
    assert_eq!(overdue.len(), 1);
    assert_eq!(overdue[0].refusal.as_deref(), Some("not allowed"));
    let list = commits.due(now).unwrap();
    commits.answered(now, &answer(&list, None));
    assert_eq!(commits.overdue(now).count(), 0);
}

#[test]
fn commits_that_are_never_answered_become_an_alarm_too() {
    let now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    commits.begin(now, source(0), Generation(1), start(4), None);
    let lost = commits.due(now).unwrap();
    assert_eq!(commits.overdue(now + OVERDUE_AFTER).count(), 1);
    assert!(commits.due(now + OVERDUE_AFTER).is_none());
    let list = commits.due(now + LOST_AFTER).unwrap();
    assert_ne!(list.id, lost.id);
}

#[test]
fn the_last_list_holds_what_is_settled_and_not_confirmed() {
    let now = Instant::now();
    let mut commits = Commits::new(INTERVAL);
    let first = commits.begin(now, source(0), Generation(1), start(0), known(0));
    let second = commits.begin(now, source(1), Generation(1), start(0), known(0));
    commits.begin(now, source(2), Generation(1), start(0), known(0));
    commits.settle(now, &first, Position::at(5));
    let under_way = commits.due(now).unwrap();
    commits.settle(now, &second, Position::at(6));
    let last = commits.end(&[source(0), source(1), source(2)]);
    let last: Vec<_> = last.iter().map(|entry| entry.position.next.0).collect();
    assert_eq!(last, [5, 6]);
    // What was under way is answered later and confirms nothing that is still there.
    assert!(commits.answered(now, &answer(&under_way, None)).is_empty());
    assert!(!commits.settle(now, &first, Position::at(9)));
}

/// What may happen to two partitions.
#[derive(Debug, Clone)]
enum Step {
    Read {
        partition: i32,
        records: i64,
    },
    Settle {
        partition: i32,
        any: prop::sample::Index,
    },
    Send,
    Answer {
        refused: bool,
    },
    NewLease {
        partition: i32,
        start: i64,
    },
    Revoke {
        partition: i32,
    },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..2i32;
    prop_oneof![
        4 => (partition.clone(), 1..5i64).prop_map(|(partition, records)| Step::Read { partition, records }),
        6 => (partition.clone(), any::<prop::sample::Index>()).prop_map(|(partition, any)| Step::Settle { partition, any }),
        4 => Just(Step::Send),
        4 => any::<bool>().prop_map(|refused| Step::Answer { refused }),
        1 => (partition.clone(), 0..50i64).prop_map(|(partition, start)| Step::NewLease { partition, start }),
        1 => partition.prop_map(|partition| Step::Revoke { partition }),
        2 => Just(Step::Wait),
    ]
}

/// The holder of a lease, and the simple truth about what is settled under it.
struct Holder {
    lease: Lease,
    tracker: OffsetTracker,
    start: i64,
    end: i64,
    /// Every batch with its end, and whether it is settled.
    batches: Vec<(kafkamq_record::BatchId, i64, bool)>,
}

impl Holder {
    /// Everything below this offset is settled, counted the slow way.
    fn prefix(&self) -> i64 {
        let settled = self.batches.iter().take_while(|(_, _, settled)| *settled);
        settled.last().map_or(self.start, |(_, end, _)| *end)
    }
}

proptest! {
    /// In any order of reading, settling, committing, answering, new leases and revocations, no commit
    /// passes what the lease in force has settled without a gap, and in the end all of it is confirmed.
    #[test]
    fn no_commit_passes_what_its_lease_has_settled(steps in prop::collection::vec(step(), 1..120)) {
        let mut now = Instant::now();
        let mut commits = Commits::new(INTERVAL);
        let mut holders: HashMap<i32, Holder> = HashMap::new();
        let mut numbers = 0;
        let mut sent: Option<CommitList> = None;
        let mut stale = Vec::new();
        let lawful = |entry: &CommitEntry, holders: &HashMap<i32, Holder>| {
            let holder = holders.get(&entry.source.partition);
            holder.is_some_and(|holder| {
                entry.generation == holder.lease.generation()
                    && entry.position.next.0 == holder.prefix()
            })
        };
        for step in steps {
            match step {
                Step::NewLease { partition, start: at } => {
                    numbers += 1;
                    let lease = commits.begin(now, source(partition), Generation(numbers), start(at), None);
                    let holder = Holder { lease, tracker: OffsetTracker::default(), start: at, end: at, batches: Vec::new() };
                    stale.extend(holders.insert(partition, holder));
                }
                Step::Read { partition, records } => {
                    if let Some(holder) = holders.get_mut(&partition) {
                        holder.end += records;
                        let id = holder.tracker.begin(Position::at(holder.end));
                        holder.batches.push((id, holder.end, false));
                    }
                }
                Step::Settle { partition, any } => {
                    if let Some(holder) = holders.get_mut(&partition) && !holder.batches.is_empty() {
                        let at = any.index(holder.batches.len());
                        holder.batches[at].2 = true;
                        if let Some(at) = holder.tracker.settle(holder.batches[at].0) {
                            let in_force = commits.settle(now, &holder.lease, at);
                            prop_assert!(in_force);
                        }
                    }
                    for holder in &stale {
                        prop_assert!(!commits.settle(now, &holder.lease, Position::at(1 << 40)));
                    }
                }
                Step::Send => {
                    if let Some(list) = commits.due(now) {
                        prop_assert!(sent.is_none(), "one is under way");
                        for entry in &list.entries {
                            prop_assert!(lawful(entry, &holders), "{entry:?}");
                        }
                        sent = Some(list);
                    }
                }
                Step::Answer { refused } => {
                    if let Some(list) = sent.take() {
                        for confirmed in commits.answered(now, &answer(&list, refused.then_some("no"))) {
                            let holder = &holders[&confirmed.source.partition];
                            prop_assert_eq!(confirmed.generation, holder.lease.generation());
                            prop_assert!(confirmed.next.0 <= holder.prefix());
                        }
                    }
                }
                Step::Revoke { partition } => {
                    for entry in commits.end(&[source(partition)]) {
                        prop_assert!(lawful(&entry, &holders), "{entry:?}");
                    }
                    stale.extend(holders.remove(&partition));
                }
                Step::Wait => now += INTERVAL,
            }
        }
        // When faults end, everything that is settled is confirmed.
        for _ in 0..4 {
            if let Some(list) = sent.take() {
                commits.answered(now, &answer(&list, None));
            }
            now += INTERVAL;
            sent = commits.due(now);
        }
        for (partition, holder) in &holders {
            prop_assert_eq!(commits.committed(&source(*partition)), Some(NextOffset(holder.prefix())));
        }
        prop_assert_eq!(commits.overdue(now + OVERDUE_AFTER).count(), 0);
    }
}
