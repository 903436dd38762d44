//! The one writer of committed offsets.
//!
//! Every commit is an explicit list, and one commit of a client is under way at a time. What may be
//! committed is what the holder of a [`Lease`] settled; a lease ends when its partition goes or its log
//! is replaced, and settling with an old one does nothing. Offsets are compared for equality, never by
//! order: after a rewind, or in a log that was made anew, a smaller one is as good as a larger one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafkamq_record::{NextOffset, Position, TopicPartition};

use super::lease::{Generation, Lease};
use super::memo::Memo;

/// Commits that were not confirmed for this long are an alarm.
pub(crate) const OVERDUE_AFTER: Duration = Duration::from_secs(30);
/// Pause after a refused commit.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The client gives up on a commit long before this; should it lose one, the next is sent.
const LOST_AFTER: Duration = Duration::from_secs(150);

/// Names a commit of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitId(u64);

/// What a commit says about a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitEntry {
    /// The partition.
    pub source: TopicPartition,
    /// The lease it belongs to.
    pub generation: Generation,
    /// The committed position.
    pub position: Position,
    /// What is remembered beside it.
    pub memo: Memo,
}

/// A commit to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitList {
    /// Its name.
    pub id: CommitId,
    /// What it says.
    pub entries: Vec<CommitEntry>,
}

/// How a commit ended for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitResult {
    /// The partition.
    pub source: TopicPartition,
    /// The offset that the answer is about.
    pub next: NextOffset,
    /// The broker's words if it was refused.
    pub refused: Option<String>,
}

/// A commit that a broker confirmed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The partition.
    pub source: TopicPartition,
    /// The lease it belongs to.
    pub generation: Generation,
    /// The group remembers everything below this offset.
    pub next: NextOffset,
}

/// A partition whose commits are not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The partition.
    pub source: TopicPartition,
    /// Since when something is settled and not confirmed.
    pub since: Instant,
    /// The broker's last refusal.
    pub refusal: Option<String>,
}

/// What a lease wants remembered and what of it is.
#[derive(Debug)]
struct Account {
    generation: Generation,
    wanted: (Position, Memo),
    confirmed: Option<(Position, Memo)>,
    /// Where reading began.
    start: NextOffset,
    /// Since when `wanted` differs from `confirmed`.
    since: Option<Instant>,
    refusal: Option<String>,
    /// Whether the next commit must not wait for the interval.
    urgent: bool,
}

impl Account {
    fn is_due(&self) -> bool {
        self.confirmed != Some(self.wanted)
    }

    fn entry(&self, source: &TopicPartition) -> CommitEntry {
        CommitEntry {
            source: source.clone(),
            generation: self.generation,
            position: self.wanted.0,
            memo: self.wanted.1,
        }
    }
}

#[derive(Debug)]
struct UnderWay {
    list: CommitList,
    sent: Instant,
}

/// The commits of one client.
#[derive(Debug)]
pub struct Commits {
    interval: Duration,
    accounts: BTreeMap<TopicPartition, Account>,
    under_way: Option<UnderWay>,
    next_id: u64,
    last_sent: Option<Instant>,
    /// Not before this, after a refusal.
    pause_until: Option<Instant>,
}

impl Commits {
    /// No leases yet. Commits are sent every `interval` while there is something to say.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            accounts: BTreeMap::new(),
            under_way: None,
            next_id: 0,
            last_sent: None,
            pause_until: None,
        }
    }

    /// Gives the right to commit for `source` from `start` on, and ends the lease before. The start
    /// itself is committed unless it is what the group knows: a restart must not skip what comes now.
    pub fn begin(
        &mut self,
        now: Instant,
        source: TopicPartition,
        generation: Generation,
        start: (Position, Memo),
        known: Option<(Position, Option<Memo>)>,
    ) -> Lease {
        let confirmed = known.and_then(|(position, memo)| Some((position, memo?)));
        let mut account = Account {
            generation,
            wanted: start,
            confirmed,
            start: start.0.next,
            since: None,
            refusal: None,
            urgent: true,
        };
        account.since = account.is_due().then_some(now);
        self.accounts.insert(source.clone(), account);
        Lease { source, generation }
    }

    /// Everything below `at` is settled. Returns whether the lease is in force.
    pub fn settle(&mut self, now: Instant, lease: &Lease, at: Position) -> bool {
        let Some(account) = self.of(lease) else {
            return false;
        };
        account.wanted.0 = at;
        match account.is_due() {
            true => drop(account.since.get_or_insert(now)),
            false => account.since = None,
        }
        true
    }

    /// Records from `end` on were taken back, so that others will have their offsets: nothing beyond it
    /// may stay committed.
    pub fn retreat(&mut self, now: Instant, lease: &Lease, end: NextOffset) {
        let Some(account) = self.of(lease) else {
            return;
        };
        if account.wanted.0.next > end {
            account.wanted.0 = account.wanted.0.min(end);
            account.urgent = true;
            if account.is_due() {
                account.since.get_or_insert(now);
            }
        }
    }

    /// The next commit of this lease is worth more than its part of the interval.
    pub fn hurry(&mut self, lease: &Lease) {
        if let Some(account) = self.of(lease) {
            account.urgent = true;
        }
    }

    fn of(&mut self, lease: &Lease) -> Option<&mut Account> {
        let account = self.accounts.get_mut(&lease.source)?;
        (account.generation == lease.generation).then_some(account)
    }

    /// The commit to send now, which counts as sent.
    pub fn due(&mut self, now: Instant) -> Option<CommitList> {
        if let Some(under_way) = &self.under_way {
            if now.saturating_duration_since(under_way.sent) < LOST_AFTER {
                return None;
            }
            self.under_way = None;
        }
        let mut due = self.accounts.values().filter(|account| account.is_due());
        let urgent = due.clone().any(|account| account.urgent);
        due.next()?;
        if self.pause_until.is_some_and(|until| now < until) {
            return None;
        }
        let interval = self.last_sent.map(|sent| sent + self.interval);
        if !urgent && interval.is_some_and(|at| now < at) {
            return None;
        }
        let list = CommitList {
            id: CommitId(self.next_id),
            entries: self.list(),
        };
        self.next_id += 1;
        self.last_sent = Some(now);
        for account in self.accounts.values_mut() {
            account.urgent = false;
        }
        self.under_way = Some(UnderWay {
            list: list.clone(),
            sent: now,
        });
        Some(list)
    }

    fn list(&self) -> Vec<CommitEntry> {
        let due = self.accounts.iter().filter(|(_, account)| account.is_due());
        due.map(|(source, account)| account.entry(source)).collect()
    }

    /// The commit under way could not be sent.
    pub fn not_sent(&mut self, now: Instant, id: CommitId, why: &str) {
        if let Some(under_way) = self.under_way.take_if(|under_way| under_way.list.id == id) {
            for entry in under_way.list.entries {
                self.refuse(&entry, why);
            }
            self.pause_until = Some(now + RETRY_AFTER);
        }
    }

    fn refuse(&mut self, entry: &CommitEntry, why: &str) {
        if let Some(account) = self.accounts.get_mut(&entry.source)
            && account.generation == entry.generation
        {
            account.refusal = Some(why.to_owned());
        }
    }

    /// The client answered. An answer about other offsets than those under way belongs to a commit that
    /// nobody waits for any more.
    pub fn answered(&mut self, now: Instant, results: &[CommitResult]) -> Vec<Confirmed> {
        let results: BTreeMap<&TopicPartition, &CommitResult> =
            results.iter().map(|one| (&one.source, one)).collect();
        let belongs = |under_way: &mut UnderWay| {
            let entries = &under_way.list.entries;
            let about = entries.iter().filter(|entry| {
                let result = results.get(&entry.source);
                result.is_some_and(|result| result.next == entry.position.next)
            });
            about.count() == results.len()
        };
        let Some(under_way) = self.under_way.take_if(belongs) else {
            return Vec::new();
        };
        let mut confirmed = Vec::new();
        for entry in under_way.list.entries {
            let refused = match results.get(&entry.source) {
                None => Some("the answer does not say"),
                Some(result) => result.refused.as_deref(),
            };
            match refused {
                Some(why) => {
                    self.refuse(&entry, why);
                    self.pause_until = Some(now + RETRY_AFTER);
                }
                None => confirmed.extend(self.confirm(now, entry)),
            }
        }
        confirmed
    }

    fn confirm(&mut self, now: Instant, entry: CommitEntry) -> Option<Confirmed> {
        let account = self.accounts.get_mut(&entry.source)?;
        if account.generation != entry.generation {
            return None;
        }
        account.confirmed = Some((entry.position, entry.memo));
        account.refusal = None;
        account.since = account.is_due().then_some(now);
        Some(Confirmed {
            source: entry.source,
            generation: entry.generation,
            next: entry.position.next,
        })
    }

    /// Ends the leases of `sources` and returns what they settled that is not confirmed: the list to
    /// send before the partitions go.
    pub fn end<'a>(
        &mut self,
        sources: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Vec<CommitEntry> {
        let mut last = Vec::new();
        for source in sources {
            let account = self.accounts.remove(source);
            let account = account.filter(Account::is_due);
            last.extend(account.map(|account| account.entry(source)));
        }
        last
    }

    /// Partitions of which something is settled and not confirmed, for longer than usual.
    pub fn overdue(&self, now: Instant) -> impl Iterator<Item = Unconfirmed> + '_ {
        let accounts = self.accounts.iter();
        accounts.filter_map(move |(source, account)| {
            let since = account.since?;
            (now.saturating_duration_since(since) >= OVERDUE_AFTER).then(|| Unconfirmed {
                source: source.clone(),
                since,
                refusal: account.refusal.clone(),
            })
        })
    }

    /// What the group remembers for `source`, if that is known.
    #[must_use]
    pub fn committed(&self, source: &TopicPartition) -> Option<NextOffset> {
        let account = self.accounts.get(source)?;
        account.confirmed.map(|(position, _)| position.next)
    }

    /// From where on records of `source` count as outstanding: the committed offset, or, before the
    /// first commit, the offset at which reading began.
    #[must_use]
    pub fn basis(&self, source: &TopicPartition) -> Option<NextOffset> {
        let account = self.accounts.get(source)?;
        Some(self.committed(source).unwrap_or(account.start))
    }

    /// The partitions that have a lease.
    pub fn sources(&self) -> impl Iterator<Item = &TopicPartition> {
        self.accounts.keys()
    }
}

#[cfg(test)]
#[path = "commits/tests.rs"]
mod tests;
