//! Since when the group looks at topics.
//!
//! `offsets = "newest"` means the records that came since the group first looked. What appears later,
//! a partition that was added or a topic that a pattern finds, is therefore read from the moment at
//! which the group looked first, and not from the moment at which the member noticed it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lease::LogId;
use super::memo::Memo;

/// When the group first looked at a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// How many partitions the topic had then; none if it did not exist yet. Later ones are read from
    /// their first record.
    pub partitions: i32,
}

/// The births of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Births {
    /// When the group first looked at any topic, in milliseconds since the Unix epoch.
    group: Option<i64>,
    topics: BTreeMap<String, Birth>,
    /// The log that was last seen under the name of a topic, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    logs: BTreeMap<String, String>,
}

impl Births {
    /// When the group first looked.
    #[must_use]
    pub const fn group(&self) -> Option<i64> {
        self.group
    }

    /// When the group first looked at `topic`.
    #[must_use]
    pub fn topic(&self, topic: &str) -> Option<Birth> {
        self.topics.get(topic).copied()
    }

    /// The group looks at the cluster, perhaps not for the first time.
    pub(crate) fn look(&mut self, now_ms: i64) {
        self.group.get_or_insert(now_ms);
    }

    /// The group looks at `topic`, which has so many partitions, perhaps not for the first time.
    pub fn look_at(&mut self, topic: &str, partitions: i32, now_ms: i64) {
        self.look(now_ms);
        if !self.topics.contains_key(topic) {
            let at = now_ms;
            self.topics
                .insert(topic.to_owned(), Birth { at, partitions });
        }
    }

    /// `topic` does not exist, so everything in it will be new to the group.
    pub fn miss(&mut self, topic: &str, now_ms: i64) {
        let birth = Birth {
            at: now_ms,
            partitions: 0,
        };
        self.topics.entry(topic.to_owned()).or_insert(birth);
    }

    /// The log that was last seen under the name `topic`, where brokers know one.
    #[must_use]
    pub fn log(&self, topic: &str) -> Option<LogId> {
        LogId::parse(self.logs.get(topic)?)
    }

    /// `topic` has this log now. Everything in a log that took the place of another is new to the
    /// group, even if the brokers forgot what was committed for the one before.
    pub fn see_log(&mut self, topic: &str, log: LogId) {
        let before = self.log(topic);
        if before == Some(log) {
            return;
        }
        self.logs.insert(topic.to_owned(), log.to_string());
        if before.is_some()
            && let Some(birth) = self.topics.get_mut(topic)
        {
            birth.partitions = 0;
        }
    }

    /// Another member, or this one in an earlier life, wrote `memo` for `topic`. The earliest look
    /// counts.
    pub fn learn(&mut self, topic: &str, memo: &Memo) {
        if let Some(group) = memo.group {
            self.group = Some(self.group.map_or(group, |known| known.min(group)));
        }
        if let Some(birth) = memo.topic {
            let known = self.topics.entry(topic.to_owned()).or_insert(birth);
            if birth.at < known.at {
                *known = birth;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_took_the_place_of_another_is_new_to_the_group_in_all_its_partitions() {
        let mut births = Births::default();
        births.look_at("t", 3, 500);
        let log = |id| LogId::from_halves(0, id).unwrap();
        births.see_log("t", log(1));
        births.see_log("t", log(1));
        assert_eq!(births.topic("t").map(|birth| birth.partitions), Some(3));
        births.see_log("t", log(2));
        let expected = Birth {
            at: 500,
            partitions: 0,
        };
        assert_eq!(births.topic("t"), Some(expected));
        assert_eq!(births.log("t"), Some(log(2)));
        // The file of a version that kept no logs is read as before.
        let kept = r#"{"group":1,"topics":{"t":{"at":1,"partitions":2}}}"#;
        let births: Births = serde_json::from_str(kept).unwrap();
        assert_eq!((births.group(), births.log("t")), (Some(1), None));
    }

    #[test]
    fn the_earliest_look_counts_wherever_it_is_remembered() {
        let mut births = Births::default();
        births.look_at("t", 3, 500);
        births.look_at("t", 9, 900);
        assert_eq!(births.topic("t").map(|birth| birth.partitions), Some(3));
        let memo = |at, partitions, group| Memo {
            topic: Some(Birth { at, partitions }),
            group: Some(group),
            log: None,
        };
        births.learn("t", &memo(700, 5, 600));
        assert_eq!(births.topic("t").map(|birth| birth.at), Some(500));
        births.learn("t", &memo(300, 1, 200));
        let expected = Birth {
            at: 300,
            partitions: 1,
        };
        assert_eq!(
            (births.topic("t"), births.group()),
            (Some(expected), Some(200))
        );
    }
}
