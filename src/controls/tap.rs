//! A sample of the records of a topic, for somebody who watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::TopicControl;
use kafkamq_memory::{Account, Charge};
use kafkamq_record::{Record, RecordBatch};

/// Records that wait for the watcher; what comes while they are full is missed.
const WAITING: usize = 64;
/// Headers of a record that are shown.
const HEADERS: usize = 64;
/// Bytes that a record takes besides its content, about.
const RECORD_BYTES: usize = 256;
/// The same for a header.
const HEADER_BYTES: usize = 80;

/// How much of a topic is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TapOptions {
    /// Records a second, at least 1.
    pub(crate) rate: u32,
    /// Only this partition.
    pub(crate) partition: Option<i32>,
    /// Longest part of a key, value or header that is copied, in bytes.
    pub(crate) max_bytes: usize,
}

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct TappedRecord {
    /// The partition it was read from.
    pub(crate) partition: i32,
    /// Its offset in the partition.
    pub(crate) offset: i64,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: Option<i64>,
    /// Its key, or the beginning of it.
    pub(crate) key: Option<Vec<u8>>,
    /// Its value, or the beginning of it.
    pub(crate) value: Option<Vec<u8>>,
    /// Length of the value, in bytes.
    pub(crate) value_bytes: usize,
    /// The first of its headers, values cut like the value.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    /// How many headers it has.
    pub(crate) header_count: usize,
    /// What it takes of the memory for taps.
    pub(crate) charge: Charge,
}

impl TappedRecord {
    /// A copy, since a slice would keep the memory of its whole batch; `None` if there is no memory
    /// left for it.
    fn of(
        record: &Record<'_>,
        partition: i32,
        max_bytes: usize,
        account: &Arc<Account>,
    ) -> Option<Self> {
        let length = |bytes: &[u8]| bytes.len().min(max_bytes);
        let of_headers = record
            .headers()
            .take(HEADERS)
            .map(|(name, value)| HEADER_BYTES + name.len() + value.map_or(0, length));
        let bytes = RECORD_BYTES
            + record.key().map_or(0, length)
            + record.value().map_or(0, length)
            + of_headers.sum::<usize>();
        let charge = account.try_charge(bytes).ok()?;
        let cut = |bytes: &[u8]| bytes.get(..max_bytes).unwrap_or(bytes).to_vec();
        Some(Self {
            partition,
            offset: record.offset(),
            timestamp_ms: record.timestamp_ms(),
            key: record.key().map(cut),
            value: record.value().map(cut),
            value_bytes: record.value().map_or(0, <[u8]>::len),
            headers: record
                .headers()
                .take(HEADERS)
                .map(|(name, value)| (name.to_owned(), value.map(cut)))
                .collect(),
            header_count: record.headers().count(),
            charge,
        })
    }
}

/// The end that the flow knows.
#[derive(Debug)]
pub(super) struct Watcher {
    id: u64,
    options: TapOptions,
    sender: Sender<TappedRecord>,
    account: Arc<Account>,
    seen: Arc<AtomicU64>,
    /// Records that may be shown now, and since when that grows.
    allowance: (f64, Instant),
}

impl Watcher {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Shows as many records of the batch as the rate allows, spread over all of it.
    pub(super) fn offer(&mut self, batch: &RecordBatch, now: Instant) {
        let partition = batch.source().partition;
        if self
            .options
            .partition
            .is_some_and(|wanted| wanted != partition)
        {
            return;
        }
        self.seen.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let rate = f64::from(self.options.rate.max(1));
        let since = now.saturating_duration_since(self.allowance.1);
        let allowance = (self.allowance.0 + since.as_secs_f64() * rate).min(rate);
        self.allowance = (allowance, now);
        let room = self.sender.capacity();
        let take = (allowance as usize).min(room).min(batch.len());
        for nth in 0..take {
            let Some(record) = batch.get(nth * batch.len() / take) else {
                return;
            };
            let shown = TappedRecord::of(&record, partition, self.options.max_bytes, &self.account);
            let Some(shown) = shown else { return };
            if self.sender.try_send(shown).is_err() {
                return;
            }
            self.allowance.0 -= 1.0;
        }
    }
}

/// The watcher's end. The records stop being copied when it is dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    id: u64,
    pub(super) receiver: Receiver<TappedRecord>,
    seen: Arc<AtomicU64>,
    control: Arc<TopicControl>,
    open: Arc<AtomicUsize>,
}

impl Tap {
    pub(super) fn open(
        control: Arc<TopicControl>,
        open: Arc<AtomicUsize>,
        account: Arc<Account>,
        options: TapOptions,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel(WAITING);
        let seen = Arc::<AtomicU64>::default();
        control.add(Watcher {
            id,
            options,
            sender,
            account,
            seen: Arc::clone(&seen),
            allowance: (f64::from(options.rate.max(1)), Instant::now()),
        });
        Self {
            id,
            receiver,
            seen,
            control,
            open,
        }
    }

    /// The next record that is shown.
    pub(crate) async fn next(&mut self) -> Option<TappedRecord> {
        self.receiver.recv().await
    }

    /// Records that passed since the tap was opened, shown or not.
    #[must_use]
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.control.remove(self.id);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}
