//! Models of the acknowledgement: what holds in every order in which threads may run.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p kafkamq-record --lib loom`

use std::sync::{Arc, Mutex};

use loom::thread;

use crate::{AckShare, BatchAck, Resolution};

/// What the owner was told, in order. A plain lock: it is not part of what is explored.
type Told = Arc<Mutex<Vec<Resolution>>>;

fn open(records: usize) -> (Arc<BatchAck>, AckShare, Told) {
    let told = Told::default();
    let (ack, share) = BatchAck::open(records, Arc::default(), {
        let told = Arc::clone(&told);
        Box::new(move |resolution| told.lock().unwrap().push(resolution))
    });
    (ack, share, told)
}

/// Two holders, each of which settles its records and drops its share; what the owner is told, and
/// the first record that is open.
fn resolved(records: usize, ends: [&'static [u32]; 2], recalls: bool) -> (Vec<Resolution>, usize) {
    let (ack, share, told) = open(records);
    let other = share.share();
    let holder = thread::spawn(move || {
        for &record in ends[0] {
            share.settle(record);
        }
    });
    for &record in ends[1] {
        other.settle(record);
    }
    if recalls {
        other.recall();
    }
    drop(other);
    holder.join().unwrap();
    let told = told.lock().unwrap().clone();
    (told, ack.settled_prefix())
}

#[test]
fn two_holders_that_settle_all_resolve_once_as_settled() {
    loom::model(|| {
        assert_eq!(
            resolved(2, [&[0], &[1]], false),
            (vec![Resolution::Settled], 2)
        );
    });
}

#[test]
fn a_holder_that_drops_its_share_leaves_the_batch_open_once() {
    loom::model(|| {
        let (told, prefix) = resolved(2, [&[0], &[]], false);
        assert_eq!((told, prefix), (vec![Resolution::Untouched], 1));
    });
}

#[test]
fn a_holder_that_dies_at_work_fails_the_batch_whatever_another_one_does() {
    loom::model(|| {
        let (_ack, share, told) = open(1);
        let other = share.share();
        share.begin();
        let holder = thread::spawn(move || {
            other.begin();
            other.rest();
        });
        drop(share);
        holder.join().unwrap();
        assert_eq!(*told.lock().unwrap(), [Resolution::Incomplete]);
    });
}

#[test]
fn work_called_back_beside_other_work_is_recalled_unless_all_is_settled() {
    loom::model(|| {
        let (told, _) = resolved(2, [&[0], &[]], true);
        assert_eq!(told, [Resolution::Recalled]);
    });
    loom::model(|| {
        let (told, _) = resolved(1, [&[0], &[]], true);
        assert_eq!(told, [Resolution::Settled]);
    });
}

#[test]
fn a_record_of_two_items_is_settled_by_exactly_one_of_two_holders() {
    loom::model(|| {
        let (_ack, share, told) = open(1);
        share.expect_items(0, 2);
        let other = share.share();
        let holder = thread::spawn(move || share.settle(0));
        let mine = other.settle(0);
        let theirs = holder.join().unwrap();
        assert!(mine != theirs, "one of them settles the record");
        drop(other);
        assert_eq!(*told.lock().unwrap(), [Resolution::Settled]);
    });
}

#[test]
fn the_bytes_of_work_that_two_holders_drop_are_all_given_back() {
    loom::model(|| {
        let (_ack, share, _told) = open(1);
        let made = Arc::clone(&share.accounts().made);
        let other = share.share();
        let holder = thread::spawn(move || {
            let charge = share.accounts().made.charge_beyond(10);
            drop((charge, share));
        });
        drop(other.accounts().made.charge_beyond(5));
        drop(other);
        holder.join().unwrap();
        assert_eq!(made.used(), 0);
    });
}
