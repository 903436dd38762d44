//! The text that a commit carries beside its offset (`metadata` of OffsetCommit).
//!
//! One line of words, the first of which is the version: `k1 l=<topic id> t=<ms> p=<partitions>
//! g=<ms>`. Words that are not known are passed over, so that later versions may add some; a text of
//! another program is not a memo. Kafka allows 4 KiB; this takes under 100 bytes.

use std::fmt;

use super::births::Birth;
use super::lease::LogId;

const VERSION: &str = "k1";

/// What a commit remembers besides its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memo {
    /// The log that the offset belongs to.
    pub log: Option<LogId>,
    /// When the group first looked at the topic, and how many partitions it had.
    pub topic: Option<Birth>,
    /// When the group first looked at any topic, in milliseconds since the Unix epoch.
    pub group: Option<i64>,
}

impl Memo {
    /// Reads what [`fmt::Display`] wrote; `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let (mut memo, mut at, mut partitions) = (Self::default(), None, None);
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "l" => memo.log = LogId::parse(value),
                "t" => at = value.parse().ok(),
                "p" => partitions = value.parse().ok(),
                "g" => memo.group = value.parse().ok(),
                _ => {}
            }
        }
        memo.topic = at
            .zip(partitions)
            .map(|(at, partitions)| Birth { at, partitions });
        Some(memo)
    }
}

impl fmt::Display for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        if let Some(log) = self.log {
            write!(f, " l={log}")?;
        }
        if let Some(Birth { at, partitions }) = self.topic {
            write!(f, " t={at} p={partitions}")?;
        }
        if let Some(group) = self.group {
            write!(f, " g={group}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_read_as_it_was_written() {
        for memo in [
            Memo::default(),
            Memo {
                log: LogId::from_halves(1, 2),
                topic: Some(Birth {
                    at: 1_700_000_000_000,
                    partitions: 12,
                }),
                group: Some(-5),
            },
        ] {
            assert_eq!(Memo::parse(&memo.to_string()), Some(memo));
        }
    }

    #[test]
    fn later_words_are_passed_over_and_foreign_texts_are_no_memo() {
        let memo = Memo::parse("k1 x=9 g=5 cut t=").unwrap();
        assert_eq!((memo.group, memo.topic, memo.log), (Some(5), None, None));
        for text in ["", "k2 g=5", "{\"a\":1}", "k10"] {
            assert_eq!(Memo::parse(text), None, "{text}");
        }
    }
}
