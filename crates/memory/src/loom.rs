//! Models of the accounts: what holds in every order in which threads may run.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p kafkamq-memory --lib loom`

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::Account;

/// A wake that counts.
fn counted(calls: &Arc<AtomicUsize>) -> crate::Wake {
    let calls = Arc::clone(calls);
    Box::new(move || {
        calls.fetch_add(1, Ordering::SeqCst);
    })
}

#[test]
fn who_waits_while_bytes_are_given_back_is_told_exactly_once() {
    loom::model(|| {
        let service = Account::root("service", 100);
        let charge = service.charge_beyond(90);
        let calls = Arc::new(AtomicUsize::new(0));
        let giver = thread::spawn(move || drop(charge));
        service.on_room(50, counted(&calls));
        giver.join().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(service.used(), 0);
    });
}

#[test]
fn who_waits_for_what_two_threads_hold_is_told_exactly_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let service = Account::root("service", 100);
        let (one, other) = (service.charge_beyond(40), service.charge_beyond(40));
        let calls = Arc::new(AtomicUsize::new(0));
        let first = thread::spawn(move || drop(one));
        let second = thread::spawn(move || drop(other));
        service.on_room(10, counted(&calls));
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(service.used(), 0);
    });
}

#[test]
fn a_limit_above_is_kept_and_what_was_refused_leaves_nothing() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let service = Account::root("service", 100);
        let taking = |name: &'static str| {
            let account = service.child(name, 80);
            thread::spawn(move || {
                let charge = account.try_charge(60);
                let is_held = charge.is_ok();
                assert!(account.used() == if is_held { 60 } else { 0 });
                drop(charge);
                assert_eq!(account.used(), 0);
                is_held
            })
        };
        let (one, other) = (taking("one"), taking("other"));
        let held = [one.join().unwrap(), other.join().unwrap()];
        assert!(held.contains(&true), "one of them finds room");
        assert_eq!(service.used(), 0);
        assert!(service.peak() <= 100);
    });
}
