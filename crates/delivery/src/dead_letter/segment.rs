//! One file of letters.
//!
//! A file header, then entries: marker, length and checksum of the payload (three little-endian
//! 32-bit numbers), payload. A reader that meets bytes that are not an entry looks for the next one,
//! so that a damaged spot costs no more than what it hit.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;

use super::letter::{self, DeadLetter};
use super::{DeadLetterError, io_error, sync_directory};
use crate::private_files;

/// First bytes of every segment; the last one is the version of the format.
pub(super) const HEADER: [u8; 8] = *b"KMQDLQ\0\x01";

const MARKER: [u8; 4] = [0xd1, 0x4c, 0x54, 0x52];
const ENTRY_HEADER_BYTES: u64 = 12;
const EXTENSION: &str = "letters";

/// A file of letters and what is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) index: Index,
}

/// What is known of a segment without reading it; a file beside each segment that is complete.
#[derive(Clone, prost::Message)]
pub(super) struct Index {
    /// Length of the segment up to which it is good.
    #[prost(uint64, tag = "1")]
    pub(super) bytes: u64,
    #[prost(uint64, tag = "2")]
    pub(super) letters: u64,
    /// Bytes between entries that do not belong to any.
    #[prost(uint64, tag = "3")]
    pub(super) damaged: u64,
    /// Number of the first letter.
    #[prost(uint64, tag = "4")]
    pub(super) first: u64,
    /// Number of the last letter.
    #[prost(uint64, tag = "5")]
    pub(super) last: u64,
    /// Time of the earliest letter, in milliseconds.
    #[prost(sint64, tag = "6")]
    pub(super) earliest: i64,
    /// Time of the latest letter, in milliseconds.
    #[prost(sint64, tag = "7")]
    pub(super) latest: i64,
    /// Letters by topic.
    #[prost(btree_map = "string, uint64", tag = "8")]
    pub(super) topics: BTreeMap<String, u64>,
}

impl Index {
    /// Of a segment whose first letter has this number, as far as its name tells.
    fn beginning_at(first: u64) -> Self {
        Self {
            first,
            last: first,
            ..Self::default()
        }
    }

    /// Numbers of its letters.
    pub(super) const fn numbers(&self) -> Range<u64> {
        self.first..self.last + 1
    }

    /// Counts a letter in.
    pub(super) fn note(&mut self, number: u64, time: i64, topic: &str) {
        if self.letters == 0 {
            (self.first, self.earliest, self.latest) = (number, time, time);
        }
        self.letters += 1;
        self.last = number;
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
        match self.topics.get_mut(topic) {
            Some(count) => *count += 1,
            None => {
                self.topics.insert(topic.to_owned(), 1);
            }
        }
    }
}

/// Finds the segments in a directory, in order, without reading them.
pub(super) fn scan(directory: &Path) -> Result<Vec<Segment>, DeadLetterError> {
    let failed = |source| io_error("read", directory)(source);
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse().ok());
        if let Some(first) = number
            && path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
        {
            segments.push(Segment {
                path,
                index: Index::beginning_at(first),
            });
        }
    }
    segments.sort_by_key(|segment| segment.index.first);
    Ok(segments)
}

impl Segment {
    /// Creates a file for letters from number `first` on, and makes it durable.
    pub(super) fn create(directory: &Path, first: u64) -> Result<(Self, File), DeadLetterError> {
        let path = directory.join(format!("{first:020}.{EXTENSION}"));
        let mut file = private_files::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(io_error("create", &path))?;
        file.write_all(&HEADER)
            .and_then(|()| file.sync_all())
            .map_err(io_error("write to", &path))?;
        sync_directory(directory)?;
        let index = Index {
            bytes: HEADER.len() as u64,
            ..Index::beginning_at(first)
        };
        Ok((Self { path, index }, file))
    }

    /// Learns what the file holds: from its index if there is a valid one, else by reading it. Of
    /// the `last` segment, what follows the last good entry is taken for a torn append.
    pub(super) fn load(&mut self, last: bool) -> Result<(), DeadLetterError> {
        let length = fs::metadata(&self.path)
            .map_err(io_error("read", &self.path))?
            .len();
        if let Some(index) = self.read_index(length) {
            self.index = index;
            return Ok(());
        }
        let index = &mut self.index;
        let mut entries = Entries::open(&self.path, length)?;
        while let Some(entry) = entries.next_entry()? {
            match entry {
                Entry::Letter { number, letter } => {
                    index.damaged += std::mem::take(&mut entries.skipped);
                    index.note(number, letter.time, &letter.topic);
                }
                Entry::Damage => {}
            }
        }
        index.bytes = entries.good_until;
        if !last {
            // Torn by a failed disk long ago: not ours to cut, but not to be hidden either.
            index.damaged += length - index.bytes;
            index.bytes = length;
        }
        Ok(())
    }

    /// Cuts what follows the last good entry off.
    pub(super) fn cut_torn_tail(&mut self) -> Result<(), DeadLetterError> {
        let length = fs::metadata(&self.path)
            .map_err(io_error("read", &self.path))?
            .len();
        if length <= self.index.bytes {
            return Ok(());
        }
        tracing::warn!(
            path = %self.path.display(),
            bytes = length - self.index.bytes,
            "cutting off what an interrupted append left behind"
        );
        private_files::options()
            .write(true)
            .open(&self.path)
            .and_then(|file| {
                file.set_len(self.index.bytes)?;
                file.sync_all()
            })
            .map_err(io_error("cut", &self.path))
    }

    /// Deletes the files. What remains of a failure is swept at the next start.
    pub(super) fn remove(&self) {
        for path in [self.index_path(), self.path.clone()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot delete a segment");
                }
                _ => {}
            }
        }
    }

    fn index_path(&self) -> PathBuf {
        self.path.with_extension("index")
    }

    /// Writes the index of a segment that is not written to any more, unless it has one. It only
    /// saves reading the segment at the next start, so it may fail.
    pub(super) fn seal(&self) {
        if let Err(error) = self.write_index() {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot write the index of a segment");
        }
    }

    fn write_index(&self) -> io::Result<()> {
        let payload = self.index.encode_to_vec();
        let mut content = checksum(&payload).to_le_bytes().to_vec();
        content.extend_from_slice(&payload);
        let path = self.index_path();
        if fs::read(&path).is_ok_and(|found| found == content) {
            return Ok(());
        }
        fs::write(path, content)
    }

    /// The index beside it, if there is a valid one for a segment of this length.
    fn read_index(&self, length: u64) -> Option<Index> {
        let content = fs::read(self.index_path()).ok()?;
        let (sum, payload) = content.split_first_chunk()?;
        if u32::from_le_bytes(*sum) != checksum(payload) {
            return None;
        }
        let index = Index::decode(payload).ok()?;
        (index.bytes == length).then_some(index)
    }
}

/// Appends the entry of a letter to `out`.
pub(super) fn encode(
    number: u64,
    letter: &DeadLetter,
    out: &mut Vec<u8>,
) -> Result<(), DeadLetterError> {
    let mut payload = Vec::new();
    letter::encode(number, letter, &mut payload);
    let length =
        u32::try_from(payload.len()).map_err(|_| DeadLetterError::TooLong(payload.len()))?;
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    Ok(())
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(payload);
    crc.sum()
}

/// What a reader meets.
#[derive(Debug)]
pub(super) enum Entry {
    Letter {
        number: u64,
        letter: Box<DeadLetter>,
    },
    /// Bytes that are not an entry, up to the next entry or the end.
    Damage,
}

/// Reads a segment from its start, one letter in memory at a time.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    file: BufReader<File>,
    position: u64,
    end: u64,
    /// End of the last good entry, or of the file header.
    pub(super) good_until: u64,
    /// Damaged bytes met and not yet taken account of.
    pub(super) skipped: u64,
}

impl Entries {
    /// Opens `path` and reads no further than `end`.
    pub(super) fn open(path: &Path, end: u64) -> Result<Self, DeadLetterError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let mut entries = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(64 * 1024, file),
            position: 0,
            end,
            good_until: 0,
            skipped: 0,
        };
        let header = entries.peek(0, HEADER.len() as u64)?;
        if header.as_deref() == Some(&HEADER[..]) {
            entries.position = HEADER.len() as u64;
            entries.good_until = entries.position;
        }
        Ok(entries)
    }

    /// The next letter or damaged stretch; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, DeadLetterError> {
        if self.position >= self.end {
            return Ok(None);
        }
        if let Some((entry, next)) = self.entry_at(self.position)? {
            self.position = next;
            self.good_until = next;
            return Ok(Some(entry));
        }
        let from = self.position;
        self.position = self.find_entry(from + 1)?;
        self.skipped += self.position - from;
        Ok(Some(Entry::Damage))
    }

    /// The bytes at `position`, or `None` if there are not so many.
    fn peek(&mut self, position: u64, count: u64) -> Result<Option<Vec<u8>>, DeadLetterError> {
        if position.saturating_add(count) > self.end {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
        // Relative, so that the buffer is kept when it holds the place.
        let here = self
            .file
            .stream_position()
            .map_err(io_error("read", &self.path))?;
        let read = self
            .file
            .seek_relative(position.cast_signed() - here.cast_signed())
            .and_then(|()| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(Some(bytes)),
            // Shorter than it was when it was looked at: cut off meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.file
                    .seek(SeekFrom::Start(0))
                    .map_err(io_error("read", &self.path))?;
                Ok(None)
            }
            Err(error) => Err(io_error("read", &self.path)(error)),
        }
    }

    /// The entry that begins at `position` and where it ends, if there is a valid one.
    fn entry_at(&mut self, position: u64) -> Result<Option<(Entry, u64)>, DeadLetterError> {
        let Some(header) = self.peek(position, ENTRY_HEADER_BYTES)? else {
            return Ok(None);
        };
        let word = |at: usize| {
            let bytes = header
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        if !header.starts_with(&MARKER) {
            return Ok(None);
        }
        let (length, sum) = (u64::from(word(4)), word(8));
        let start = position + ENTRY_HEADER_BYTES;
        let Some(payload) = self.peek(start, length)? else {
            return Ok(None);
        };
        if checksum(&payload) != sum {
            return Ok(None);
        }
        let decoded = letter::decode(Bytes::from(payload));
        Ok(decoded.map(|(number, letter)| {
            (
                Entry::Letter {
                    number,
                    letter: Box::new(letter),
                },
                start + length,
            )
        }))
    }

    /// Where the next valid entry at or after `from` begins, or the end.
    fn find_entry(&mut self, from: u64) -> Result<u64, DeadLetterError> {
        const WINDOW_BYTES: u64 = 64 * 1024;
        let mut start = from;
        while start + ENTRY_HEADER_BYTES <= self.end {
            let count = WINDOW_BYTES.min(self.end - start);
            let Some(window) = self.peek(start, count)? else {
                break;
            };
            let mut offset = 0;
            while let Some(hit) = window
                .get(offset..)
                .and_then(|rest| memchr::memmem::find(rest, &MARKER))
            {
                let candidate = start + (offset + hit) as u64;
                if self.entry_at(candidate)?.is_some() {
                    return Ok(candidate);
                }
                offset += hit + 1;
            }
            // The marker may lie across the border of two windows.
            start += count.saturating_sub(MARKER.len() as u64 - 1).max(1);
        }
        Ok(self.end)
    }
}
