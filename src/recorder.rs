//! The recorder: copies of points as they are about to be sent, in files, to see what a script makes
//! of records.
//!
//! It promises to stay out of the way. A point costs its encoding and a place in a queue of bounded
//! size; a thread of its own writes. When the queue is full the copy is dropped and counted, and when
//! the time or the size that was set is over, or the disk fails, the recorder ends; delivery goes on
//! as if nothing had been.
//!
//! Points are recorded by feed: `kafkamq.<topic>` for the points of a topic, `kafkamq_handle` for
//! those a remote handle answered with, `kafkamq.aggregated` for those of aggregation.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use kafkamq_point::codec::Encoding;
use kafkamq_point::{Category, Point};
use prometheus::{IntCounter, IntCounterVec};

use kafkamq_conversion::Copies;
use kafkamq_settings::{RecorderEncoding, RecorderSettings};

mod files;
mod pattern;

use files::Files;
use pattern::matches;

/// Copies that may wait, and their bytes.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 16 << 20;
/// What was written reaches the file this soon.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// The feed of points that a remote handle answered with.
pub(crate) const HANDLE_FEED: &str = "kafkamq_handle";
/// The feed of points that belong to no record.
pub(crate) const AGGREGATED_FEED: &str = "kafkamq.aggregated";

/// The feed of the points of `topic`.
#[must_use]
pub(crate) fn topic_feed(topic: &str) -> String {
    format!("kafkamq.{topic}")
}

/// One copy on its way to a file.
struct Copy {
    feed: Arc<str>,
    category: Category,
    line: Vec<u8>,
}

/// Messages to the thread.
enum Entry {
    Write(Copy),
    /// Bring everything before this to the files; told by dropping the sender.
    Flush(SyncSender<()>),
}

struct Shared {
    queue: SyncSender<Entry>,
    queued_bytes: AtomicUsize,
    /// Cleared when nothing more is written.
    active: AtomicBool,
    encoding: Encoding,
    inputs: Vec<String>,
    categories: Vec<Category>,
    recorded: IntCounter,
    dropped: IntCounter,
}

/// A running recorder. Clones share it; its thread ends with the last of them.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Shared>);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// What is recorded of one feed.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    recorder: Recorder,
    name: Arc<str>,
}

impl Recorder {
    /// Starts a recorder, if `settings` want one. `outcomes` counts points by `recorded` and
    /// `dropped`.
    ///
    /// # Errors
    /// If the folder cannot be made, or the system refuses a thread.
    pub(crate) fn start(
        settings: &RecorderSettings,
        outcomes: &IntCounterVec,
    ) -> io::Result<Option<Self>> {
        if !settings.enabled {
            return Ok(None);
        }
        let files = Files::create(settings)?;
        let (queue, entries) = sync_channel(QUEUE);
        let recorder = Self(Arc::new(Shared {
            queue,
            queued_bytes: AtomicUsize::new(0),
            active: AtomicBool::new(true),
            encoding: match settings.encoding {
                RecorderEncoding::LineProtocol => Encoding::LineProtocol,
                RecorderEncoding::PbJson => Encoding::PbJson,
            },
            inputs: settings.inputs.clone(),
            categories: settings.categories.clone(),
            recorded: outcomes.with_label_values(&["recorded"]),
            dropped: outcomes.with_label_values(&["dropped"]),
        }));
        let shared = Arc::downgrade(&recorder.0);
        let until = settings
            .duration
            .and_then(|duration| Instant::now().checked_add(duration));
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let end = run(files, &entries, until, |bytes| {
                    if let Some(shared) = shared.upgrade() {
                        shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
                    }
                });
                if let Some(shared) = shared.upgrade() {
                    shared.active.store(false, Ordering::Release);
                }
                match end {
                    Ok(reason) => tracing::info!(reason, "the recorder ended"),
                    Err(error) => tracing::error!(%error, "the recorder ended, delivery goes on"),
                }
            })?;
        tracing::warn!(
            path = %settings.path.display(),
            "the recorder runs; switch it off when it is not needed any more"
        );
        Ok(Some(recorder))
    }

    /// Waits until everything recorded so far is in the files, or the recorder has ended, or for
    /// `limit`. Returns `false` if that was over first. Blocks.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "blocking is what the caller asks for"
    )]
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let began = Instant::now();
        let (done, flushed) = sync_channel(0);
        let mut entry = Entry::Flush(done);
        while let Err(TrySendError::Full(back)) = self.0.queue.try_send(entry) {
            if began.elapsed() >= limit {
                return false;
            }
            entry = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        // Nothing is ever sent: the wait ends when the thread drops the sender, or ends itself.
        let left = limit.saturating_sub(began.elapsed());
        flushed.recv_timeout(left) != Err(RecvTimeoutError::Timeout)
    }

    /// The feed called `name`, if it is recorded and the recorder has not ended.
    #[must_use]
    pub(crate) fn feed(&self, name: &str) -> Option<Feed> {
        let shared = &*self.0;
        let wanted =
            shared.inputs.is_empty() || shared.inputs.iter().any(|pattern| matches(pattern, name));
        (wanted && shared.active.load(Ordering::Acquire)).then(|| Feed {
            recorder: self.clone(),
            name: name.into(),
        })
    }
}

impl Copies for Feed {
    fn take(&self, point: &Point) {
        let shared = &*self.recorder.0;
        let category = point.category();
        if !shared.categories.is_empty() && !shared.categories.contains(&category) {
            return;
        }
        if shared.queued_bytes.load(Ordering::Acquire) >= QUEUE_BYTES {
            shared.dropped.inc();
            return;
        }
        let mut line = Vec::new();
        // What cannot be encoded is not sent either.
        if shared.encoding.encode(point, &mut line).is_err() {
            return;
        }
        let bytes = line.len();
        shared.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        let copy = Copy {
            feed: Arc::clone(&self.name),
            category,
            line,
        };
        match shared.queue.try_send(Entry::Write(copy)) {
            Ok(()) => shared.recorded.inc(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
                shared.dropped.inc();
            }
        }
    }
}

/// Writes what comes until the time is over, the size is reached, or all senders are gone. Returns which.
fn run(
    mut files: Files,
    entries: &Receiver<Entry>,
    until: Option<Instant>,
    taken: impl Fn(usize),
) -> io::Result<&'static str> {
    let mut flushed = Instant::now();
    loop {
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            files.flush()?;
            return Ok("its time is over");
        }
        if now.saturating_duration_since(flushed) >= FLUSH_INTERVAL {
            files.flush()?;
            flushed = now;
        }
        match entries.recv_timeout(FLUSH_INTERVAL) {
            Ok(Entry::Flush(done)) => {
                files.flush()?;
                drop(done);
            }
            Ok(Entry::Write(copy)) => {
                taken(copy.line.len());
                if !files.write(&copy.feed, copy.category, &copy.line)? {
                    files.flush()?;
                    return Ok("it wrote as much as it may");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                files.flush()?;
                return Ok("the service ended");
            }
        }
    }
}

#[cfg(test)]
mod tests;
