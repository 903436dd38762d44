//! The tree of accounts and the charges it hands out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Called once when an account has room again; runs on the thread that gave the bytes back, so it
/// must only send a message.
pub type Wake = Box<dyn FnOnce() + Send>;

/// The bytes asked for are more than an account has left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes were asked of `{account}`, which holds {used} of {limit}")]
pub struct Exhausted {
    /// The account that refused: the one asked, or one above it.
    pub account: Arc<str>,
    /// Bytes that were asked for.
    pub(crate) asked: usize,
    /// Bytes charged to that account at the time.
    pub(crate) used: usize,
    /// The limit of that account in bytes.
    pub(crate) limit: usize,
}

struct Waiting {
    /// Called when the account holds at most this many bytes.
    below: usize,
    wake: Wake,
}

/// One node of the tree of accounts.
pub struct Account {
    name: Arc<str>,
    above: Option<Arc<Account>>,
    limit: AtomicUsize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// Length of `waiting`, so that giving back looks at the lock only where somebody waits.
    waiters: AtomicUsize,
    waiting: Mutex<Vec<Waiting>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("used", &self.used())
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

impl Account {
    /// The root of a tree: at most `limit` bytes for everything below it.
    pub fn root(name: impl Into<Arc<str>>, limit: usize) -> Arc<Self> {
        Self::new(name.into(), None, limit)
    }

    /// An account below this one with a limit of its own, in bytes. What is charged to it is
    /// charged to this account too.
    pub fn child(self: &Arc<Self>, name: impl Into<Arc<str>>, limit: usize) -> Arc<Self> {
        Self::new(name.into(), Some(Arc::clone(self)), limit)
    }

    fn new(name: Arc<str>, above: Option<Arc<Self>>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            above,
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            waiting: Mutex::new(Vec::new()),
        })
    }

    /// The account's name, for messages and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes charged now, here and below.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The most bytes that were ever charged at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// Bytes that this account alone has left; an account above may have less.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// Changes the limit. What is charged already stays charged, also beyond a lower limit.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
        self.tell_waiting();
    }

    /// Charges `bytes` to this account and every account above it, before they are made.
    ///
    /// # Errors
    /// The account, of this one and those above, that has too little left. Nothing is charged then.
    pub fn try_charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Exhausted> {
        self.take(bytes)?;
        Ok(self.charge_of(bytes))
    }

    /// Charges `bytes` whatever the limits say: for what exists already and for the one piece of
    /// work that must go on so that others can end. It counts like every other charge.
    #[must_use = "dropping a charge gives its bytes back"]
    pub fn charge_beyond(self: &Arc<Self>, bytes: usize) -> Charge {
        for account in self.line() {
            account.add(bytes);
        }
        self.charge_of(bytes)
    }

    /// Calls `wake` once as soon as this account holds at most `below` bytes: now, if it does.
    /// Only this account's own bytes count, not those of accounts above it.
    pub fn on_room(&self, below: usize, wake: Wake) {
        {
            let mut waiting = self.waiting.lock();
            waiting.push(Waiting { below, wake });
            self.waiters.fetch_add(1, Ordering::AcqRel);
        }
        // The bytes may have been given back between the caller's look and the push. A plain load
        // may miss that while the giver misses the waiter; of two changes of `used` one comes
        // second and sees what was done before the other.
        self.used.fetch_add(0, Ordering::AcqRel);
        self.tell_waiting();
    }

    fn charge_of(self: &Arc<Self>, bytes: usize) -> Charge {
        Charge {
            account: Arc::clone(self),
            bytes,
        }
    }

    /// This account and those above it.
    fn line(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |account| account.above.as_deref())
    }

    fn take(&self, bytes: usize) -> Result<(), Exhausted> {
        for (taken, account) in self.line().enumerate() {
            if let Err(refused) = account.take_here(bytes) {
                for account in self.line().take(taken) {
                    account.give_here(bytes);
                }
                return Err(refused);
            }
        }
        Ok(())
    }

    fn take_here(&self, bytes: usize) -> Result<(), Exhausted> {
        let limit = self.limit();
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= limit);
        match self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
        {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(Exhausted {
                account: Arc::clone(&self.name),
                asked: bytes,
                used,
                limit,
            }),
        }
    }

    fn add(&self, bytes: usize) {
        let before = self.used.fetch_add(bytes, Ordering::AcqRel);
        self.peak
            .fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
    }

    fn give(&self, bytes: usize) {
        for account in self.line() {
            account.give_here(bytes);
        }
    }

    fn give_here(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        self.tell_waiting();
    }

    fn tell_waiting(&self) {
        if self.waiters.load(Ordering::Acquire) == 0 {
            return;
        }
        let used = self.used();
        let ready: Vec<Waiting> = {
            let mut waiting = self.waiting.lock();
            let ready = waiting
                .extract_if(.., |one| used <= one.below)
                .collect::<Vec<_>>();
            self.waiters.fetch_sub(ready.len(), Ordering::AcqRel);
            ready
        };
        for one in ready {
            (one.wake)();
        }
    }
}

/// Bytes that are charged to an account. Dropping it gives them back.
#[must_use = "dropping a charge gives its bytes back"]
pub struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({} of {})", self.bytes, self.account.name)
    }
}

impl Charge {
    /// Bytes of this charge.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The account that is charged.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Charges `by` further bytes to the same account.
    ///
    /// # Errors
    /// As [`Account::try_charge`]; the charge stays as it was.
    pub fn grow(&mut self, by: usize) -> Result<(), Exhausted> {
        self.account.take(by)?;
        self.bytes += by;
        Ok(())
    }

    /// Charges `by` further bytes whatever the limits say (see [`Account::charge_beyond`]).
    pub fn grow_beyond(&mut self, by: usize) {
        for account in self.account.line() {
            account.add(by);
        }
        self.bytes += by;
    }

    /// Gives back all but `to` bytes; a charge of fewer bytes stays as it is.
    pub(crate) fn shrink(&mut self, to: usize) {
        let back = self.bytes.saturating_sub(to);
        if back > 0 {
            self.bytes = to;
            self.account.give(back);
        }
    }

    /// Takes `bytes` of this charge (at most all) into a charge of their own.
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            account: Arc::clone(&self.account),
            bytes,
        }
    }

    /// Puts the charge into the buffer that it counts: the bytes are given back when the last
    /// slice of the buffer is dropped. The charge is brought to the capacity of the buffer first.
    #[must_use]
    pub fn seal(self, buffer: Vec<u8>) -> Bytes {
        self.seal_with(buffer, 0)
    }

    /// As [`Charge::seal`], with `beside` further bytes that live as long as the buffer does, such as
    /// what the slices of it are kept in.
    #[must_use]
    pub fn seal_with(mut self, buffer: Vec<u8>, beside: usize) -> Bytes {
        let held = buffer.capacity().saturating_add(beside);
        if held > self.bytes {
            self.grow_beyond(held - self.bytes);
        } else {
            self.shrink(held);
        }
        self.keep(buffer)
    }

    /// Puts the charge beside a buffer that it counts already, whatever the buffer is: the bytes
    /// are given back when the last slice of it is dropped.
    #[must_use]
    pub fn keep<B: AsRef<[u8]> + Send + 'static>(self, buffer: B) -> Bytes {
        Bytes::from_owner(Sealed {
            buffer,
            _charge: self,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.account.give(self.bytes);
        }
    }
}

struct Sealed<B> {
    buffer: B,
    _charge: Charge,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Sealed<B> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_charge_counts_at_every_account_above_and_is_given_back_when_dropped() {
        let service = Account::root("service", 100);
        let tap = service.child("tap", 80);
        let charge = tap.try_charge(60).unwrap();
        assert_eq!((tap.used(), service.used()), (60, 60));
        drop(charge);
        assert_eq!((tap.used(), service.used()), (0, 0));
        assert_eq!((tap.peak(), service.peak()), (60, 60));
    }

    #[test]
    fn what_one_account_refuses_is_charged_to_none() {
        let service = Account::root("service", 100);
        let (one, other) = (service.child("one", 80), service.child("other", 80));
        let _held = one.try_charge(70).unwrap();
        let refused = other.try_charge(40).unwrap_err();
        assert_eq!(&*refused.account, "service");
        assert_eq!((other.used(), service.used()), (0, 70));
        let refused = one.try_charge(20).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "20 bytes were asked of `one`, which holds 70 of 80"
        );
        assert!(service.try_charge(usize::MAX).is_err());
    }

    #[test]
    fn a_sealed_buffer_is_charged_as_long_as_a_slice_of_it_lives() {
        let service = Account::root("service", 1000);
        let mut buffer = Vec::with_capacity(100);
        buffer.extend_from_slice(b"0123456789");
        let held = buffer.capacity();
        let bytes = service.try_charge(10).unwrap().seal(buffer);
        let slice = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(service.used(), held);
        assert_eq!(&slice[..], b"23");
        drop(slice);
        assert_eq!(service.used(), 0);
    }

    #[test]
    fn who_waits_for_room_is_told_once_and_at_once_when_there_is_room() {
        let service = Account::root("service", 100);
        let (told, heard) = mpsc::channel();
        let wake = |n: u8| -> Wake {
            let told = told.clone();
            Box::new(move || told.send(n).unwrap())
        };
        let mut charge = service.try_charge(90).unwrap();
        service.on_room(50, wake(1));
        service.on_room(90, wake(2));
        assert_eq!(heard.try_recv(), Ok(2));
        assert!(heard.try_recv().is_err());
        charge.shrink(60);
        assert!(heard.try_recv().is_err());
        charge.shrink(50);
        assert_eq!(heard.try_recv(), Ok(1));
        drop(charge);
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn a_crash_that_unwinds_gives_back() {
        let service = Account::root("service", 100);
        let charge = service.try_charge(50).unwrap();
        let crashed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = charge;
            panic!("an actor died");
        }));
        assert!(crashed.is_err());
        assert_eq!(service.used(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Charge(bool, usize),
        Beyond(bool, usize),
        Grow(usize, usize),
        Shrink(usize, usize),
        Split(usize, usize),
        Seal(usize),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (at, size) = (any::<usize>(), 0usize..600);
        prop_oneof![
            (any::<bool>(), size.clone()).prop_map(|(a, b)| Step::Charge(a, b)),
            (any::<bool>(), size.clone()).prop_map(|(a, b)| Step::Beyond(a, b)),
            (at, size.clone()).prop_map(|(a, b)| Step::Grow(a, b)),
            (at, size.clone()).prop_map(|(a, b)| Step::Shrink(a, b)),
            (at, size).prop_map(|(a, b)| Step::Split(a, b)),
            at.prop_map(Step::Seal),
            at.prop_map(Step::Drop),
        ]
    }

    proptest! {
        /// After every step each account holds what its charges say; at the end, nothing.
        #[test]
        fn accounts_hold_the_sum_of_what_is_alive(steps in prop::collection::vec(step(), 0..80)) {
            let service = Account::root("service", 1500);
            let accounts = [service.child("a", 1000), service.child("b", 1000)];
            let mut alive: Vec<Charge> = Vec::new();
            let mut sealed: Vec<(Bytes, usize)> = Vec::new();
            for step in steps {
                let chosen = |at: usize, alive: &Vec<Charge>| (!alive.is_empty()).then(|| at % alive.len());
                match step {
                    Step::Charge(which, bytes) => {
                        alive.extend(accounts[usize::from(which)].try_charge(bytes).ok());
                    }
                    Step::Beyond(which, bytes) => {
                        alive.push(accounts[usize::from(which)].charge_beyond(bytes));
                    }
                    Step::Grow(at, by) => if let Some(at) = chosen(at, &alive) {
                        let before = alive[at].bytes();
                        let grown = alive[at].grow(by).is_ok();
                        prop_assert_eq!(alive[at].bytes(), if grown { before + by } else { before });
                    },
                    Step::Shrink(at, to) => if let Some(at) = chosen(at, &alive) {
                        alive[at].shrink(to);
                    },
                    Step::Split(at, bytes) => if let Some(at) = chosen(at, &alive) {
                        let part = alive[at].split(bytes);
                        alive.push(part);
                    },
                    Step::Seal(at) => if let Some(at) = chosen(at, &alive) {
                        let charge = alive.swap_remove(at);
                        let buffer = vec![7; charge.bytes() / 2];
                        let held = buffer.capacity();
                        sealed.push((charge.seal(buffer), held));
                    },
                    Step::Drop(at) => if let Some(at) = chosen(at, &alive) {
                        drop(alive.swap_remove(at));
                    },
                }
                let sum: usize = alive.iter().map(Charge::bytes).sum::<usize>()
                    + sealed.iter().map(|(_, held)| held).sum::<usize>();
                prop_assert_eq!(service.used(), sum);
                prop_assert_eq!(accounts[0].used() + accounts[1].used(), sum);
            }
            drop((alive, sealed));
            prop_assert_eq!(service.used(), 0);
            prop_assert_eq!(accounts[0].used() + accounts[1].used(), 0);
        }
    }
}
