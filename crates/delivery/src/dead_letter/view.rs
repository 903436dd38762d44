//! Reading a store: what it holds at one moment, one letter in memory at a time.

use std::path::Path;
use std::vec;

use super::letter::{DeadLetter, StoredLetter};
use super::marks::Marks;
use super::segment::{self, Entries, Entry, Segment};
use super::{DeadLetterError, DeadLetterStats};

/// Which letters are wanted. The default wants all that are not replayed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only of this partition.
    pub partition: Option<i32>,
    /// Only of the record with this offset.
    pub offset: Option<i64>,
    /// Only of this input.
    pub input: Option<String>,
    /// Only from this stage.
    pub stage: Option<String>,
    /// Only with a reason that contains this text, in any case.
    pub reason: Option<String>,
    /// Only given up at this time or later, in milliseconds since 1970.
    pub from: Option<i64>,
    /// Only given up before this time, in milliseconds since 1970.
    pub to: Option<i64>,
    /// Only with a larger number, to go on after the last one of a page.
    pub after: Option<u64>,
    /// Replayed ones too.
    pub include_replayed: bool,
}

impl Filter {
    fn matches(&self, stored: &StoredLetter) -> bool {
        self.after.is_none_or(|after| stored.number > after)
            && self.takes(&stored.letter, stored.replayed)
    }

    /// Whether a letter is wanted, whatever it is called ([`after`](Self::after) is not looked at).
    #[must_use]
    pub fn takes(&self, letter: &DeadLetter, replayed: bool) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        (self.include_replayed || !replayed)
            && self
                .partition
                .is_none_or(|wanted| wanted == letter.partition)
            && self.offset.is_none_or(|wanted| wanted == letter.offset)
            && self.from.is_none_or(|from| letter.time >= from)
            && self.to.is_none_or(|to| letter.time < to)
            && is(&self.topic, &letter.topic)
            && is(&self.input, &letter.input)
            && is(&self.stage, &letter.stage)
            && self.reason.as_ref().is_none_or(|wanted| {
                letter
                    .reason
                    .to_lowercase()
                    .contains(&wanted.to_lowercase())
            })
    }

    /// False if nothing in the segment can match.
    fn admits(&self, segment: &Segment, marks: &Marks) -> bool {
        let pending = segment
            .index
            .letters
            .saturating_sub(marks.count(segment.index.numbers()));
        (self.include_replayed || pending > 0)
            && self.after.is_none_or(|after| segment.index.last > after)
            && self.from.is_none_or(|from| segment.index.latest >= from)
            && self.to.is_none_or(|to| segment.index.earliest < to)
            && self
                .topic
                .as_ref()
                .is_none_or(|topic| segment.index.topics.contains_key(topic))
    }
}

/// A store as it was at one moment.
#[derive(Clone, Debug)]
pub struct View {
    segments: Vec<Segment>,
    marks: Marks,
}

impl View {
    /// Looks at the store in `directory` without writing to it, also while another process does.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(directory: &Path) -> Result<Self, DeadLetterError> {
        let mut segments = segment::scan(directory)?;
        let count = segments.len();
        for (index, segment) in segments.iter_mut().enumerate() {
            segment.load(index + 1 == count)?;
        }
        Ok(Self {
            segments,
            marks: Marks::read(directory)?,
        })
    }

    pub(super) fn of(segments: &[Segment], marks: &Marks) -> Self {
        Self {
            segments: segments.to_vec(),
            marks: marks.clone(),
        }
    }

    /// The letters that match, oldest first.
    #[must_use]
    pub fn letters(&self, filter: Filter) -> Letters {
        let marks = self.marks.clone();
        let segments: Vec<Segment> = self
            .segments
            .iter()
            .filter(|segment| filter.admits(segment, &marks))
            .cloned()
            .collect();
        Letters {
            segments: segments.into_iter(),
            open: None,
            marks,
            filter,
        }
    }

    /// The letter with this number, if it is there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn letter(&self, number: u64) -> Result<Option<StoredLetter>, DeadLetterError> {
        let after = number.checked_sub(1);
        let mut letters = self.letters(Filter {
            after,
            include_replayed: true,
            ..Filter::default()
        });
        letters
            .next()
            .transpose()
            .map(|found| found.filter(|found| found.number == number))
    }

    /// How much there is; the limit is not known here and 0.
    #[must_use]
    pub(crate) fn stats(&self) -> DeadLetterStats {
        let mut stats = DeadLetterStats::default();
        for segment in &self.segments {
            let replayed = self.marks.count(segment.index.numbers());
            stats.letters += segment.index.letters;
            stats.pending += segment.index.letters.saturating_sub(replayed);
            stats.bytes += segment.index.bytes;
            stats.damaged_bytes += segment.index.damaged;
            for (topic, count) in &segment.index.topics {
                *stats.topics.entry(topic.clone()).or_default() += count;
            }
        }
        stats
    }
}

/// Letters of a [`View`], read as they are asked for. Damaged stretches are passed over; they are
/// counted in `DeadLetterStats::damaged_bytes`.
#[derive(Debug)]
pub struct Letters {
    segments: vec::IntoIter<Segment>,
    open: Option<Entries>,
    marks: Marks,
    filter: Filter,
}

impl Iterator for Letters {
    type Item = Result<StoredLetter, DeadLetterError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(entries) = &mut self.open else {
                let segment = self.segments.next()?;
                match Entries::open(&segment.path, segment.index.bytes) {
                    Ok(entries) => self.open = Some(entries),
                    // All its letters were replayed since the view was taken.
                    Err(DeadLetterError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match entries.next_entry() {
                Ok(Some(Entry::Letter { number, letter })) => {
                    let replayed = self.marks.contains(number);
                    let stored = StoredLetter {
                        number,
                        replayed,
                        letter: *letter,
                    };
                    if self.filter.matches(&stored) {
                        return Some(Ok(stored));
                    }
                }
                Ok(Some(Entry::Damage)) => {}
                Ok(None) => self.open = None,
                Err(error) => {
                    self.open = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
