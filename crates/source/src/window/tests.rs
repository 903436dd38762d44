use kafkamq_record::{AckShare, RecordBatchBuilder, TopicPartition};
use proptest::prelude::*;

use super::*;

fn bounds(records: usize) -> Bounds {
    Bounds {
        records,
        batch_records: 10,
        batch_bytes: 1 << 16,
    }
}

fn batch(offsets: std::ops::Range<i64>) -> RecordBatch {
    let mut batch = RecordBatchBuilder::with_capacity(TopicPartition::new("t", 0), 0, 0);
    for offset in offsets {
        batch.push(offset, 7, None, Some(b"value"));
    }
    batch.build()
}

/// Sends a piece as the driver does, and returns its name with its share.
fn send(
    window: &mut Window,
    id: BatchId,
    batch: Arc<RecordBatch>,
    tries: Tries,
) -> (u32, AckShare) {
    let (ack, share) = BatchAck::open(batch.len(), Arc::default(), Box::new(|_| {}));
    let name = window.name_piece(id).unwrap();
    window.sent(id, name, Piece { batch, ack, tries });
    (name, share)
}

fn begin(window: &mut Window, offsets: std::ops::Range<i64>) -> (BatchId, u32, AckShare) {
    let batch = batch(offsets);
    window.read(&batch, Epochs::default());
    let id = window.open(&batch).unwrap();
    let (name, share) = send(window, id, Arc::new(batch), Tries::FIRST);
    (id, name, share)
}

fn settle(window: &mut Window, id: BatchId, name: u32) -> Option<Position> {
    match window.resolved(id, name, Resolution::Settled, false) {
        Resolved::Settled(_, Some(settled)) => settled.watermark,
        _ => None,
    }
}

#[test]
fn without_credit_there_is_no_room_until_a_commit_is_confirmed() {
    let mut window = Window::new(bounds(10));
    window.expect(Position::at(0));
    let (id, name, _share) = begin(&mut window, 0..10);
    assert_eq!(window.room(1000), None);
    assert_eq!(settle(&mut window, id, name), Some(Position::at(10)));
    assert_eq!((window.room(1000), window.wants_commit()), (None, true));
    assert!(window.waits_for_commits());
    window.confirmed(NextOffset(10));
    assert_eq!(
        (window.room(1000), window.wants_commit()),
        (Some(10), false)
    );
    assert_eq!(window.room(0), None, "memory counts as well");
}

#[test]
fn what_is_no_record_is_passed_when_all_before_it_is_settled() {
    let mut window = Window::new(bounds(100));
    window.expect(Position::at(0));
    let (id, name, _share) = begin(&mut window, 0..5);
    assert_eq!(window.passed(6), None);
    assert_eq!(window.expected(), Some(6));
    assert_eq!(settle(&mut window, id, name), Some(Position::at(6)));
    assert_eq!(window.passed(6), None);
    assert_eq!(window.passed(9), Some(Position::at(9)));
}

#[test]
fn work_of_an_old_lease_is_never_committed_under_the_new_one() {
    let mut window = Window::new(bounds(25));
    window.expect(Position::at(5000));
    let (old, old_name, _share) = begin(&mut window, 5000..5010);
    let (older, older_name, _other) = begin(&mut window, 5010..5020);
    window.relet(Position::at(0));
    let (new, new_name, _new) = begin(&mut window, 0..5);
    assert_eq!(settle(&mut window, old, old_name), None);
    assert_eq!(settle(&mut window, new, new_name), Some(Position::at(5)));
    assert_eq!(settle(&mut window, older, older_name), None);
    window.confirmed(NextOffset(5));
    // No commit of the new lease will ever confirm what the old one settled, so it takes no credit.
    assert_eq!(window.room(1000), Some(10));
    assert_eq!(
        (window.records(), window.bytes(), window.batches()),
        (0, 0, 0)
    );
}

#[test]
fn a_record_that_fails_again_and_again_ends_alone_and_none_beside_it_is_given_up() {
    let mut window = Window::new(bounds(100));
    let (id, name, share) = begin(&mut window, 0..8);
    drop(share);
    let mut waiting = vec![(name, 0, 8)];
    let mut sizes = Vec::new();
    while let Some((name, round, size)) = waiting.pop() {
        let Resolved::Resend(again) = window.resolved(id, name, Resolution::Incomplete, false)
        else {
            panic!("incomplete work is sent again");
        };
        for resend in again {
            assert!(resend.wait <= RESEND_BACKOFF_MAX);
            assert!(window.resend_due(id, resend.placeholder));
            assert!(!window.resend_due(id, resend.placeholder), "once");
            sizes.push(resend.batch.len());
            assert_eq!(resend.tries.alone > 0, size == 1, "it may be innocent");
            if round < 5 {
                let size = resend.batch.len();
                let (name, share) = send(&mut window, id, resend.batch, resend.tries);
                drop(share);
                waiting.push((name, round + 1, size));
            }
        }
    }
    assert_eq!(sizes.iter().filter(|size| **size == 8).count(), 2);
    assert!(sizes.contains(&1));
}

#[test]
fn only_a_record_that_failed_by_itself_more_than_once_is_given_up() {
    let tries = |alone| Tries {
        attempt: 9,
        alone,
        untouched: 0,
    };
    assert!(!tries(1).is_given_up(3));
    assert!(tries(2).is_given_up(3) && !tries(2).is_given_up(9));
}

#[test]
fn what_nobody_worked_on_goes_again_as_it_was_and_that_is_not_an_attempt() {
    let mut window = Window::new(bounds(100));
    let (id, name, share) = begin(&mut window, 0..8);
    drop(share);
    let mut name = name;
    let mut waits = Vec::new();
    for _ in 0..20 {
        let Resolved::Resend(again) = window.resolved(id, name, Resolution::Untouched, false)
        else {
            panic!("it is sent again");
        };
        let [resend] = &again[..] else {
            panic!("as it was");
        };
        assert!(window.resend_due(id, resend.placeholder));
        assert_eq!((resend.batch.len(), resend.tries.attempt), (8, 1));
        waits.push(resend.wait);
        let (next, share) = send(&mut window, id, Arc::clone(&resend.batch), resend.tries);
        drop(share);
        name = next;
    }
    assert!(waits.is_sorted(), "nobody may be there for a while");
    assert_eq!((waits[0], waits[19]), (RESEND_BACKOFF, RESEND_BACKOFF_MAX));
}

#[test]
fn where_records_were_taken_back_what_is_open_below_is_waited_for_and_nothing_beyond_is_stored() {
    let mut window = Window::new(bounds(100));
    let (first, first_name, _first) = begin(&mut window, 0..10);
    let (_, _, share) = begin(&mut window, 10..20);
    window.retreat(NextOffset(15));
    assert_eq!(window.expected(), Some(15));
    let (new, new_name, _new) = begin(&mut window, 15..18);
    assert_eq!(settle(&mut window, new, new_name), None);
    assert_eq!(
        settle(&mut window, first, first_name),
        Some(Position::at(10))
    );
    share.settle_all(0..8);
    assert_eq!(window.finish(), Some(Position::at(15)));
}

fn epochs(first: i32, last: i32) -> Epochs {
    Epochs {
        first: Some(first),
        last: Some(last),
    }
}

fn position(next: i64, epoch: i32) -> Position {
    Position {
        next: NextOffset(next),
        epoch: Some(epoch),
    }
}

/// What was read before a log was truncated must not claim its offsets in what follows: the client would
/// find nothing wrong with them, and pass over what is new there.
#[test]
fn a_batch_is_committed_with_the_epoch_of_its_own_last_record() {
    let mut window = Window::new(bounds(100));
    window.expect(Position::at(0));
    let old = batch(0..40);
    window.read(&old, epochs(0, 0));
    let id = window.open(&old).unwrap();
    let (name, _share) = send(&mut window, id, Arc::new(old), Tries::FIRST);
    // The client went back, and what it read there is not accepted before it is known what happened.
    let elsewhere = GoesOn::Elsewhere {
        at: position(40, 0),
        removed: 0,
    };
    assert_eq!(window.goes_on(33, || Some(0)), elsewhere);
    assert_eq!(settle(&mut window, id, name), Some(position(40, 0)));
    window.retreat(NextOffset(33));
    assert_eq!(window.position(), Some(position(33, 0)));
    let new = batch(33..35);
    window.read(&new, epochs(1, 1));
    let id = window.open(&new).unwrap();
    let (name, _share) = send(&mut window, id, Arc::new(new), Tries::FIRST);
    assert_eq!(settle(&mut window, id, name), Some(position(35, 1)));
}

/// A fetch queue may hold the end of the old log and the beginning of the new one.
#[test]
fn part_of_a_batch_is_committed_with_the_epoch_of_its_first_record() {
    let mut window = Window::new(bounds(100));
    let both = batch(30..40);
    window.read(&both, epochs(0, 1));
    let id = window.open(&both).unwrap();
    let (_, share) = send(&mut window, id, Arc::new(both), Tries::FIRST);
    share.settle_all(0..4);
    assert_eq!(window.finish(), Some(position(34, 0)));
}

#[test]
fn gaps_are_passed_over_and_what_was_removed_is_counted() {
    let mut window = Window::new(bounds(100));
    window.expect(Position::at(10));
    assert_eq!(window.goes_on(10, || Some(0)), GoesOn::Here);
    assert_eq!(window.goes_on(15, || Some(3)), GoesOn::Here);
    assert_eq!(window.goes_on(15, || None), GoesOn::Here);
    let at = Position::at(10);
    let removed = |removed| GoesOn::Elsewhere { at, removed };
    assert_eq!(window.goes_on(15, || Some(14)), removed(4));
    assert_eq!(window.goes_on(9, || Some(0)), removed(0));
}

/// Otherwise a restart would find an offset that is out of range again, and may pass over what came since.
#[test]
fn where_records_were_removed_the_position_behind_them_is_committed() {
    let mut window = Window::new(bounds(100));
    window.expect(Position::at(0));
    let (id, name, _share) = begin(&mut window, 0..10);
    assert_eq!(window.expect(position(40, 2)), None, "older work is open");
    assert_eq!(settle(&mut window, id, name), Some(position(40, 2)));
    assert_eq!(window.expect(position(40, 2)), None);
    assert_eq!(window.expect(position(50, 2)), Some(position(50, 2)));
}

#[test]
fn the_end_stores_what_is_settled_inside_the_oldest_batch() {
    let mut window = Window::new(bounds(100));
    let (_, _, share) = begin(&mut window, 10..20);
    let (later, name, _later) = begin(&mut window, 20..30);
    share.settle_all([0, 1, 2, 4].into_iter());
    settle(&mut window, later, name);
    assert_eq!(window.finish(), Some(Position::at(13)));
    assert_eq!((window.records(), window.bytes()), (0, 0));
    assert!(matches!(window.phase, Phase::Finished));
}

#[derive(Debug, Clone)]
enum Step {
    Read(i64),
    Come(prop::sample::Index, u8),
    ComeFirst,
    Confirm,
    Pass(i64),
    Relet(i64),
    Unpark,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5i64).prop_map(Step::Read),
        8 => (any::<prop::sample::Index>(), 0..4u8).prop_map(|(which, how)| Step::Come(which, how)),
        2 => Just(Step::Confirm),
        1 => (0..3i64).prop_map(Step::Pass),
        1 => (0..90i64).prop_map(Step::Relet),
        2 => Just(Step::Unpark),
    ]
}

proptest! {
    /// In any order of reading, settling, failing, calling back, confirming and new leases, the
    /// watermark is the contiguous settled prefix of the lease, and in the end all sums are zero.
    #[test]
    fn the_watermark_is_the_settled_prefix_and_sums_return_to_zero(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut window = Window::new(bounds(1000));
        window.expect(Position::at(0));
        // The simple truth: ranges of the lease in order, and whether each is settled.
        let mut truth: Vec<(i64, Option<BatchId>, bool)> = Vec::new();
        let mut lease_began = 0;
        let mut watermark = None;
        let mut flying: Vec<(BatchId, u32, AckShare)> = Vec::new();
        let mut steps = steps.into_iter();
        let mut ending = 0;
        loop {
            // At last everything settles.
            let step = steps.next().unwrap_or_else(|| {
                ending += 1;
                if ending % 2 == 0 { Step::Unpark } else { Step::ComeFirst }
            });
            if ending > 4000 { break }
            match step {
                Step::Read(records) => {
                    let first = window.expected().unwrap();
                    let (id, name, share) = begin(&mut window, first..first + records);
                    truth.push((first + records, Some(id), false));
                    flying.push((id, name, share));
                }
                Step::Pass(records) => {
                    let end = window.expected().unwrap() + records;
                    if let Some(next) = window.passed(end) {
                        watermark = Some(next);
                    }
                    truth.push((end, None, true));
                }
                Step::Come(..) | Step::ComeFirst if flying.is_empty() => {}
                Step::Come(..) | Step::ComeFirst => {
                    let (which, how) = match step {
                        Step::Come(which, how) => (which.index(flying.len()), how),
                        _ => (0, 0),
                    };
                    let (id, name, share) = flying.swap_remove(which);
                    let how = match how {
                        0 | 1 => Resolution::Settled,
                        2 => Resolution::Incomplete,
                        _ => Resolution::Recalled,
                    };
                    match window.resolved(id, name, how, false) {
                        Resolved::Settled(_, Some(settled)) => {
                            for entry in truth.iter_mut().filter(|entry| entry.1 == Some(id)) {
                                entry.2 = true;
                            }
                            watermark = settled.watermark.or(watermark);
                        }
                        Resolved::Resend(again) => {
                            for resend in again {
                                prop_assert!(window.resend_due(id, resend.placeholder));
                                let (name, share) = send(&mut window, id, resend.batch, resend.tries);
                                flying.push((id, name, share));
                            }
                        }
                        _ => {}
                    }
                    drop(share);
                }
                Step::Unpark => {
                    for (id, batch, tries) in window.unpark() {
                        let (name, share) = send(&mut window, id, batch, tries);
                        flying.push((id, name, share));
                    }
                }
                Step::Confirm => if let Some(at) = watermark { window.confirmed(at.next) },
                Step::Relet(start) => {
                    window.relet(Position::at(start));
                    (lease_began, watermark) = (start, None);
                    truth.clear();
                }
            }
            let prefix = truth.iter().take_while(|entry| entry.2).last();
            let expected = prefix.map(|entry| NextOffset(entry.0)).filter(|next| next.0 > lease_began);
            prop_assert_eq!(window.watermark().map(|at| at.next).filter(|next| next.0 > lease_began), expected);
            if ending > 0 && flying.is_empty() && window.is_settled() && window.batches() == 0 { break }
        }
        if let Some(at) = watermark { window.confirmed(at.next) }
        prop_assert_eq!((window.records(), window.bytes(), window.batches()), (0, 0, 0));
        prop_assert_eq!(window.room(1000), Some(10));
    }
}
