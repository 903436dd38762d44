//! The local store of records that no destination accepts.
//!
//! A directory of segment files to which letters are appended. It promises: when
//! [`append`](DeadLetterStore::append) returns, the letters are on disk and survive a kill and a
//! power cut; what comes back is what went in, byte for byte; nothing is ever removed except
//! segments all of whose letters are marked as replayed; when the size limit is reached, appending
//! fails, so that the caller holds its records back.
//!
//! Calls block on the disk: use them where that is allowed, not on an actor's thread. One process
//! appends to a directory at a time, any number may read it ([`View::open`]) and mark its letters as
//! replayed ([`mark_replayed`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::private_files;

mod letter;
mod marks;
mod segment;
#[cfg(test)]
mod tests;
mod view;

pub use letter::{DeadLetter, LetterPart, StoredLetter};
use marks::Marks;
use segment::{HEADER, Segment};
pub use view::{Filter, Letters, View};

/// Sizes of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeadLetterOptions {
    /// A new segment is begun when one would grow beyond this, in bytes. One letter may be larger.
    pub segment_bytes: u64,
    /// Bytes that all segments together may take.
    pub limit_bytes: u64,
}

impl Default for DeadLetterOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            limit_bytes: 1 << 30,
        }
    }
}

/// Why the store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The disk or its file system fails.
    #[error("dead letter store cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room; nothing was written. Replay or discard letters, or raise the limit.
    #[error(
        "dead letter store is full: {used} of {limit} bytes are in use and {needed} more are needed"
    )]
    Full {
        /// Bytes in use.
        used: u64,
        /// Bytes the letters would take.
        needed: u64,
        /// `max_bytes` of `[dead_letter]`.
        limit: u64,
    },
    /// Another process writes to the directory.
    #[error("dead letter store `{0}` is in use by another process")]
    Locked(PathBuf),
    /// A letter of 4 GiB or more.
    #[error("a dead letter of {0} bytes is more than the store can hold")]
    TooLong(usize),
}

/// How full a store is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeadLetterStats {
    /// Letters in the store.
    pub letters: u64,
    /// Letters that are not marked as replayed.
    pub(crate) pending: u64,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes that may be used.
    pub limit_bytes: u64,
    /// Bytes that cannot be read any more, because the disk lost or changed them.
    pub(crate) damaged_bytes: u64,
    /// Letters by topic, replayed ones included until their segment goes.
    pub topics: BTreeMap<String, u64>,
}

/// The writing side of a store. Methods may be called from several threads.
#[derive(Debug)]
pub struct DeadLetterStore {
    directory: PathBuf,
    options: DeadLetterOptions,
    inner: Mutex<Inner>,
    /// Holds the lock of the directory until the store is dropped.
    _lock: File,
}

#[derive(Debug)]
struct Inner {
    /// In order of their first letter. The last one is written to while `writer` is there.
    segments: Vec<Segment>,
    writer: Option<File>,
    marks: Marks,
    next: u64,
}

impl DeadLetterStore {
    /// Opens the store in `directory`, which is created if it is not there. What an interrupted
    /// append left behind is cut off; it was never acknowledged.
    ///
    /// # Errors
    /// If the directory cannot be used, or another process writes to it.
    pub fn open(
        directory: impl Into<PathBuf>,
        options: DeadLetterOptions,
    ) -> Result<Self, DeadLetterError> {
        let directory = directory.into();
        private_files::create_folder(&directory).map_err(io_error("create", &directory))?;
        let lock = lock(&directory)?;
        let mut segments = segment::scan(&directory)?;
        let count = segments.len();
        for (index, segment) in segments.iter_mut().enumerate() {
            let last = index + 1 == count;
            segment.load(last)?;
            if last {
                segment.cut_torn_tail()?;
            }
            // This process begins a segment of its own, so all of these are complete.
            segment.seal();
        }
        // One that was created and not written to before a crash.
        segments.retain(|segment| {
            let keep = segment.index.letters > 0 || segment.index.damaged > 0;
            if !keep {
                segment.remove();
            }
            keep
        });
        let marks = Marks::open(&directory)?;
        let after_segments = segments.iter().map(|segment| segment.index.last + 1).max();
        let next = after_segments.unwrap_or(1).max(marks.end());
        let inner = Inner {
            segments,
            writer: None,
            marks,
            next,
        };
        let store = Self {
            directory,
            options,
            inner: Mutex::new(inner),
            _lock: lock,
        };
        store.inner.lock().sweep();
        Ok(store)
    }

    /// Writes letters and waits until the disk has them. All or none. Returns their numbers, which
    /// rise by one and are never given twice.
    ///
    /// # Errors
    /// [`DeadLetterError::Full`] when the limit is reached, [`DeadLetterError::Io`] when the disk
    /// fails; nothing counts as written then, and the call may be repeated.
    pub fn append(&self, letters: &[DeadLetter]) -> Result<Range<u64>, DeadLetterError> {
        let inner = &mut *self.inner.lock();
        let first = inner.next;
        if letters.is_empty() {
            return Ok(first..first);
        }
        let mut block = Vec::new();
        for (number, letter) in (first..).zip(letters) {
            segment::encode(number, letter, &mut block)?;
        }
        let next = first + letters.len() as u64;
        let needed = block.len() as u64;
        if inner.used() + needed + HEADER.len() as u64 > self.options.limit_bytes {
            // Somebody may have replayed letters meanwhile.
            inner.marks.refresh(&self.directory)?;
            inner.sweep();
        }
        let used = inner.used();
        let fits = inner
            .segments
            .last()
            .is_some_and(|segment| segment.index.bytes + needed <= self.options.segment_bytes);
        if !fits
            && inner.writer.take().is_some()
            && let Some(segment) = inner.segments.last()
        {
            segment.seal();
        }
        let header = if inner.writer.is_some() {
            0
        } else {
            HEADER.len() as u64
        };
        if used + needed + header > self.options.limit_bytes {
            let limit = self.options.limit_bytes;
            return Err(DeadLetterError::Full {
                used,
                needed,
                limit,
            });
        }
        if inner.writer.is_none() {
            let (segment, writer) = Segment::create(&self.directory, first)?;
            inner.segments.push(segment);
            inner.writer = Some(writer);
        }
        let (Some(writer), Some(segment)) = (&mut inner.writer, inner.segments.last_mut()) else {
            return Ok(first..first);
        };
        let written = writer.write_all(&block).and_then(|()| writer.sync_data());
        if let Err(source) = written {
            // After a failed write or flush it is unknown what is on disk: this segment ends where
            // it was known to be good, and the next letter begins another.
            if let Err(error) = writer.set_len(segment.index.bytes) {
                tracing::warn!(path = %segment.path.display(), %error, "cannot cut a failed append off");
            }
            let path = segment.path.clone();
            inner.writer = None;
            inner.drop_empty_last();
            return Err(DeadLetterError::Io {
                action: "write to",
                path,
                source,
            });
        }
        segment.index.bytes += needed;
        for (number, letter) in (first..).zip(letters) {
            segment.index.note(number, letter.time, &letter.topic);
        }
        inner.next = next;
        Ok(first..next)
    }

    /// Marks letters as replayed (or discarded), durably. Segments without any other letter are
    /// deleted. Unknown numbers are ignored.
    ///
    /// # Errors
    /// If the disk fails; some of the marks may have been made then.
    pub fn mark_replayed(
        &self,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), DeadLetterError> {
        let inner = &mut *self.inner.lock();
        let next = inner.next;
        inner.marks.add(
            &self.directory,
            numbers
                .into_iter()
                .filter(|number| (1..next).contains(number)),
        )?;
        inner.sweep();
        Ok(())
    }

    /// The letters as they are now, for reading at leisure while others are appended.
    #[must_use]
    pub fn view(&self) -> View {
        let inner = self.inner.lock();
        View::of(&inner.segments, &inner.marks)
    }

    /// How full the store is.
    #[must_use]
    pub fn stats(&self) -> DeadLetterStats {
        let limit_bytes = self.options.limit_bytes;
        DeadLetterStats {
            limit_bytes,
            ..self.view().stats()
        }
    }
}

impl Inner {
    fn used(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.index.bytes)
            .sum()
    }

    fn drop_empty_last(&mut self) {
        if self
            .segments
            .last()
            .is_some_and(|segment| segment.index.letters == 0)
            && let Some(segment) = self.segments.pop()
        {
            segment.remove();
        }
    }

    /// Deletes segments that hold nothing but replayed letters.
    fn sweep(&mut self) {
        let marks = &self.marks;
        let done = |segment: &Segment| {
            segment.index.letters > 0
                && segment.index.damaged == 0
                && marks.count(segment.index.numbers()) >= segment.index.letters
        };
        if self.segments.last().is_some_and(done) {
            self.writer = None;
        }
        self.segments.retain(|segment| {
            let done = done(segment);
            if done {
                segment.remove();
            }
            !done
        });
    }
}

/// Marks letters of the store in `directory` as replayed, durably, also while another process
/// appends to it; that one deletes segments without any other letter in its time.
///
/// # Errors
/// If the disk fails; some of the marks may have been made then.
pub fn mark_replayed(
    directory: &Path,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<(), DeadLetterError> {
    Marks::read(directory)?.add(directory, numbers)
}

fn lock(directory: &Path) -> Result<File, DeadLetterError> {
    let path = directory.join("lock");
    let file = private_files::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(DeadLetterError::Locked(directory.to_owned()))
        }
        Err(std::fs::TryLockError::Error(source)) => Err(DeadLetterError::Io {
            action: "lock",
            path,
            source,
        }),
    }
}

fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DeadLetterError + 'a {
    move |source| DeadLetterError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Makes the names in a directory durable.
fn sync_directory(directory: &Path) -> Result<(), DeadLetterError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("flush", directory))
}
