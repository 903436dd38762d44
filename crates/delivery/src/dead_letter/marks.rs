//! Which letters were replayed: ranges of numbers in memory, and a file they are appended to.
//!
//! Any process may add marks, also while another one writes letters. So whoever changes the file
//! holds the lock file beside it and reads what others have added first.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{DeadLetterError, io_error, sync_directory};
use crate::private_files;

/// First and end of a range, and the checksum of both.
const ENTRY_BYTES: usize = 20;

/// A file with more entries than this and twice as many as there are ranges is written anew.
const COMPACT_FROM: usize = 1024;

/// Numbers of replayed letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    path: PathBuf,
    /// Start to end (excluded); ranges neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Marks {
    /// Reads the marks of a store and changes nothing.
    pub(super) fn read(directory: &Path) -> Result<Self, DeadLetterError> {
        Ok(Self::load(directory)?.0)
    }

    /// Reads the marks of a store that is going to be written to; cuts a torn tail off.
    pub(super) fn open(directory: &Path) -> Result<Self, DeadLetterError> {
        let _lock = lock(directory)?;
        let (marks, entries, length) = Self::load(directory)?;
        let torn = length % ENTRY_BYTES != 0 || entries * ENTRY_BYTES != length;
        if torn || (entries > COMPACT_FROM && entries > marks.ranges.len() * 2) {
            marks.rewrite(directory)?;
        }
        Ok(marks)
    }

    fn load(directory: &Path) -> Result<(Self, usize, usize), DeadLetterError> {
        let path = directory.join("replayed.marks");
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let mut marks = Self {
            path,
            ranges: BTreeMap::new(),
        };
        let mut entries = 0;
        for range in content.chunks(ENTRY_BYTES).map_while(decode) {
            marks.insert(range);
            entries += 1;
        }
        Ok((marks, entries, content.len()))
    }

    /// Takes in what other processes have marked.
    pub(super) fn refresh(&mut self, directory: &Path) -> Result<(), DeadLetterError> {
        self.ranges = Self::load(directory)?.0.ranges;
        Ok(())
    }

    /// Marks numbers, durably, and takes in what other processes have marked.
    pub(super) fn add(
        &mut self,
        directory: &Path,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), DeadLetterError> {
        let _lock = lock(directory)?;
        let (known, entries, length) = Self::load(directory)?;
        let is_new = length == 0;
        if length != entries * ENTRY_BYTES {
            // Entries behind a torn one would not be found again.
            known.rewrite(directory)?;
        }
        self.ranges = known.ranges;
        let mut sorted: Vec<u64> = numbers
            .into_iter()
            .filter(|number| !self.contains(*number))
            .collect();
        sorted.sort_unstable();
        let mut fresh: Vec<Range<u64>> = Vec::new();
        for number in sorted {
            match fresh.last_mut() {
                Some(last) if number <= last.end => last.end = last.end.max(number + 1),
                _ => fresh.push(number..number + 1),
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let block: Vec<u8> = fresh.iter().flat_map(encode).collect();
        append(&self.path, &block).map_err(io_error("write to", &self.path))?;
        if is_new {
            sync_directory(directory)?;
        }
        for range in fresh {
            self.insert(range);
        }
        Ok(())
    }

    /// True if `number` is marked.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, end)| number < *end)
    }

    /// How many numbers in `range` are marked.
    pub(super) fn count(&self, range: Range<u64>) -> u64 {
        let before = self.ranges.range(..range.start).next_back();
        before
            .into_iter()
            .chain(self.ranges.range(range.clone()))
            .map(|(start, end)| {
                (*end)
                    .min(range.end)
                    .saturating_sub((*start).max(range.start))
            })
            .sum()
    }

    /// The number after the largest that is marked, at least 1.
    pub(super) fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(1, |(_, end)| *end)
    }

    fn insert(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        if let Some((before, until)) = self.ranges.range(..=start).next_back()
            && *until >= start
        {
            (start, end) = (*before, end.max(*until));
        }
        let swallowed: Vec<u64> = self
            .ranges
            .range(start..=end)
            .map(|(start, _)| *start)
            .collect();
        for begin in swallowed {
            if let Some(until) = self.ranges.remove(&begin) {
                end = end.max(until);
            }
        }
        self.ranges.insert(start, end);
    }

    fn rewrite(&self, directory: &Path) -> Result<(), DeadLetterError> {
        let fresh = self.path.with_extension("fresh");
        let block: Vec<u8> = self
            .ranges
            .iter()
            .flat_map(|(start, end)| encode(&(*start..*end)))
            .collect();
        let write = || {
            let mut file = open(&fresh, false)?;
            file.set_len(0)?;
            file.write_all(&block)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)
        };
        write().map_err(io_error("write to", &fresh))?;
        sync_directory(directory)
    }
}

/// Waits until no other process changes the marks, and keeps them from it.
fn lock(directory: &Path) -> Result<File, DeadLetterError> {
    let path = directory.join("marks.lock");
    let file = open(&path, false).map_err(io_error("open", &path))?;
    file.lock().map_err(io_error("lock", &path))?;
    Ok(file)
}

fn open(path: &Path, append: bool) -> std::io::Result<File> {
    private_files::options()
        .create(true)
        .write(true)
        .append(append)
        .truncate(false)
        .open(path)
}

fn append(path: &Path, block: &[u8]) -> std::io::Result<()> {
    let mut file = open(path, true)?;
    let length = file.metadata()?.len();
    let written = file.write_all(block).and_then(|()| file.sync_data());
    if written.is_err() {
        // Entries behind a torn one would not be found again.
        file.set_len(length)?;
    }
    written
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn encode(range: &Range<u64>) -> Vec<u8> {
    let mut entry = Vec::with_capacity(ENTRY_BYTES);
    entry.extend_from_slice(&range.start.to_le_bytes());
    entry.extend_from_slice(&range.end.to_le_bytes());
    let sum = checksum(&entry);
    entry.extend_from_slice(&sum.to_le_bytes());
    entry
}

fn decode(entry: &[u8]) -> Option<Range<u64>> {
    let (start, rest) = entry.split_first_chunk()?;
    let (end, sum) = rest.split_first_chunk()?;
    let sum: &[u8; 4] = sum.first_chunk()?;
    (u32::from_le_bytes(*sum) == checksum(entry.get(..16)?))
        .then(|| u64::from_le_bytes(*start)..u64::from_le_bytes(*end))
}
