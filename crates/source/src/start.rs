//! Where reading of a partition begins, and where it goes on when its offset no longer exists.

use kafkamq_record::Position;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::births::Birth;
use super::lease::LogId;
use super::memo::Memo;

/// Where to begin in a partition for which the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialOffset {
    /// Behind the last record there is now.
    Newest,
    /// At the first record still there.
    Oldest,
    /// At the first record of this time or later.
    At(SystemTime),
    /// At the first record that is not older than this when the group first looks.
    Ago(Duration),
}

impl InitialOffset {
    /// What it means for somebody who looks at `now_ms` and at no other time.
    #[must_use]
    pub fn now(self, now_ms: i64) -> Begin {
        match self {
            Self::Newest => Begin::Newest,
            other => other.since(now_ms),
        }
    }

    /// What it means for records that came after somebody looked at `looked_ms`.
    fn since(self, looked_ms: i64) -> Begin {
        match self {
            Self::Newest => Begin::Time(looked_ms),
            Self::Oldest => Begin::Oldest,
            Self::At(time) => {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                Begin::Time(millis(since))
            }
            Self::Ago(span) => Begin::Time(looked_ms.saturating_sub(millis(span))),
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// There.
    At(Position),
    /// At the first record.
    Oldest,
    /// Behind the last record.
    Newest,
    /// At the first record of this time or later, in milliseconds since the Unix epoch; behind the
    /// last record if all are older.
    Time(i64),
    /// Nowhere before somebody has decided.
    Stop,
}

/// Why reading begins where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The group has committed it.
    Committed,
    /// The group looks at the topic for the first time.
    FirstLook,
    /// The partition, or the topic, appeared after the group had looked.
    AppearedLater,
    /// The topic was deleted and made again.
    Recreated,
    /// The log ends before the position: records were taken back.
    Truncated,
    /// Records from the position on were removed before they were read.
    Removed,
    /// The position turned out to be one that exists.
    Exists,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "the group has committed it",
            Self::FirstLook => "the group has committed nothing for the topic",
            Self::AppearedLater => "the partition appeared after the group had first looked",
            Self::Recreated => "the topic was deleted and made again",
            Self::Truncated => "the log ends before the position",
            Self::Removed => "records were removed before they were read",
            Self::Exists => "the position exists",
        })
    }
}

/// What is known of a partition that was assigned.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Its number.
    pub partition: i32,
    /// What the group has committed for it.
    pub committed: Option<(Position, Option<Memo>)>,
    /// The topic's id, where the brokers know one.
    pub log: Option<LogId>,
    /// Since when the group looks at the topic, if it did so before now.
    pub birth: Option<Birth>,
    /// The log of the topic that other partitions' commits belong to.
    pub known_log: Option<LogId>,
    /// Whether the group has committed something for another partition of the topic.
    pub has_siblings: bool,
    /// Whether a pattern found the topic. Those that are named begin where `initial` says.
    pub by_pattern: bool,
    /// Since when the group looks at any topic, if it did so before now.
    pub group: Option<i64>,
    /// What the configuration says.
    pub initial: InitialOffset,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Where reading of a partition begins that was assigned.
#[must_use]
pub fn begin(facts: &Facts) -> (Begin, Why) {
    let recreated = |before: Option<LogId>| {
        before
            .zip(facts.log)
            .is_some_and(|(before, now)| before != now)
    };
    if let Some((position, memo)) = facts.committed {
        return match recreated(memo.and_then(|memo| memo.log)) {
            true => (Begin::Oldest, Why::Recreated),
            false => (Begin::At(position), Why::Committed),
        };
    }
    if recreated(facts.known_log) {
        return (Begin::Oldest, Why::Recreated);
    }
    if let Some(birth) = facts.birth {
        if facts.partition >= birth.partitions && !matches!(facts.initial, InitialOffset::At(_)) {
            return (Begin::Oldest, Why::AppearedLater);
        }
        return (facts.initial.since(birth.at), Why::AppearedLater);
    }
    if facts.has_siblings {
        // The group read the topic before it kept births. It has committed nothing for this one, so it
        // is new.
        let begin = match facts.initial {
            InitialOffset::Newest | InitialOffset::Ago(_) => Begin::Oldest,
            other => other.since(facts.now_ms),
        };
        return (begin, Why::AppearedLater);
    }
    match facts.group.filter(|_| facts.by_pattern) {
        Some(group) => (facts.initial.since(group), Why::AppearedLater),
        None => (facts.initial.now(facts.now_ms), Why::FirstLook),
    }
}

/// What is known of a partition whose position the brokers call out of range.
#[derive(Debug, Clone, Copy)]
pub struct Gone {
    /// The position.
    pub at: i64,
    /// The first offset of the log.
    pub low: i64,
    /// The offset behind the last one.
    pub high: i64,
    /// Whether the topic has another id than when reading began.
    pub recreated: bool,
    /// Whether the topic's ids are known and the same.
    pub same_log: bool,
    /// Where the client went on by itself.
    pub seen: i64,
    /// Whether it knew the epoch of the record before, so that it went where the log was cut.
    pub compares: bool,
    /// `offset_out_of_range`: where reading goes on, nowhere if `None`.
    pub policy: Option<InitialOffset>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Where reading goes on. The flag tells whether a new lease begins, since what was read before does
/// not belong to what follows. Where the end of one and the same log was taken back, what is below it
/// is still waited for, so the lease stays.
#[must_use]
pub fn go_on(gone: &Gone) -> (Begin, Why, bool) {
    let by_policy = || {
        let policy = gone.policy;
        policy.map_or(Begin::Stop, |initial| initial.now(gone.now_ms))
    };
    if gone.recreated {
        return (Begin::Oldest, Why::Recreated, true);
    }
    if gone.at > gone.high {
        // The client compares epochs and goes back to where the log was cut; what stands there now is new.
        // Without an epoch nothing tells where that was.
        let end = match gone.compares {
            true => gone.seen.min(gone.high).max(gone.low),
            false => gone.high,
        };
        // Without topic ids nobody can say whether it is the same log.
        let begin = match gone.same_log {
            true => Begin::At(Position::at(end)),
            false => by_policy(),
        };
        return (begin, Why::Truncated, !gone.same_log);
    }
    if gone.at < gone.low {
        return (by_policy(), Why::Removed, false);
    }
    // The client goes back by itself where the epoch of the position tells that the log was truncated
    // below it and has grown again.
    match gone.seen < gone.at {
        true => {
            let at = Position::at(gone.seen.max(gone.low));
            (Begin::At(at), Why::Truncated, !gone.same_log)
        }
        false => (Begin::At(Position::at(gone.at)), Why::Exists, false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::births::Births;
    use super::*;

    fn log(id: i64) -> Option<LogId> {
        LogId::from_halves(0, id)
    }

    fn facts() -> Facts {
        Facts {
            partition: 2,
            committed: None,
            log: log(1),
            birth: None,
            known_log: None,
            has_siblings: false,
            by_pattern: false,
            group: None,
            initial: InitialOffset::Newest,
            now_ms: 1000,
        }
    }

    fn birth(partitions: i32) -> Option<Birth> {
        Some(Birth {
            at: 700,
            partitions,
        })
    }

    #[test]
    fn a_topic_made_again_whose_commits_are_gone_is_read_from_its_first_record() {
        let mut births = Births::default();
        births.look_at("t", 3, 700);
        births.see_log("t", log(1).unwrap());
        let found = Facts {
            log: log(2),
            birth: births.topic("t"),
            known_log: births.log("t"),
            ..facts()
        };
        assert_eq!(begin(&found), (Begin::Oldest, Why::Recreated));
        // Later partitions, and members that start later, find the new log and nothing committed.
        births.see_log("t", log(2).unwrap());
        let again = Facts {
            birth: births.topic("t"),
            known_log: births.log("t"),
            ..found
        };
        assert_eq!(begin(&again), (Begin::Oldest, Why::AppearedLater));
    }

    #[test]
    fn a_committed_offset_holds_for_its_own_log_only() {
        let at = Position::at(50);
        for (memo, expected) in [
            (None, (Begin::At(at), Why::Committed)),
            (log(1), (Begin::At(at), Why::Committed)),
            (log(2), (Begin::Oldest, Why::Recreated)),
        ] {
            let memo = Memo {
                log: memo,
                ..Memo::default()
            };
            let committed = Some((at, Some(memo)));
            assert_eq!(
                begin(&Facts {
                    committed,
                    ..facts()
                }),
                expected
            );
            // Brokers without topic ids cannot tell.
            let unknown = Facts {
                committed,
                log: None,
                ..facts()
            };
            assert_eq!(begin(&unknown).0, Begin::At(at));
        }
    }

    #[test]
    fn newest_means_since_the_group_first_looked() {
        let cases = [
            (facts(), Begin::Newest),
            (
                Facts {
                    birth: birth(3),
                    ..facts()
                },
                Begin::Time(700),
            ),
            (
                Facts {
                    birth: birth(2),
                    ..facts()
                },
                Begin::Oldest,
            ),
            (
                Facts {
                    birth: birth(0),
                    ..facts()
                },
                Begin::Oldest,
            ),
            (
                Facts {
                    has_siblings: true,
                    ..facts()
                },
                Begin::Oldest,
            ),
            (
                Facts {
                    group: Some(600),
                    ..facts()
                },
                Begin::Newest,
            ),
            (
                Facts {
                    group: Some(600),
                    by_pattern: true,
                    ..facts()
                },
                Begin::Time(600),
            ),
            (
                Facts {
                    birth: birth(3),
                    known_log: log(9),
                    ..facts()
                },
                Begin::Oldest,
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(begin(&facts).0, expected, "{facts:?}");
        }
    }

    #[test]
    fn other_starts_are_counted_from_the_first_look_too() {
        let ago = InitialOffset::Ago(Duration::from_millis(100));
        let at = InitialOffset::At(UNIX_EPOCH + Duration::from_millis(5));
        for (initial, birth, expected) in [
            (ago, None, Begin::Time(900)),
            (ago, birth(3), Begin::Time(600)),
            (ago, birth(1), Begin::Oldest),
            (at, None, Begin::Time(5)),
            (at, birth(1), Begin::Time(5)),
            (InitialOffset::Oldest, birth(3), Begin::Oldest),
            (InitialOffset::Oldest, None, Begin::Oldest),
        ] {
            assert_eq!(
                begin(&Facts {
                    initial,
                    birth,
                    ..facts()
                })
                .0,
                expected
            );
        }
    }

    #[test]
    fn the_policy_decides_only_what_really_is_out_of_range() {
        let gone = Gone {
            at: 50,
            low: 10,
            high: 100,
            recreated: false,
            same_log: true,
            seen: 60,
            compares: true,
            policy: Some(InitialOffset::Newest),
            now_ms: 1000,
        };
        let at = |next| Begin::At(Position::at(next));
        assert_eq!(go_on(&gone), (at(50), Why::Exists, false));
        let removed = Gone { low: 60, ..gone };
        assert_eq!(go_on(&removed), (Begin::Newest, Why::Removed, false));
        let stop = Gone {
            policy: None,
            ..removed
        };
        assert_eq!(go_on(&stop), (Begin::Stop, Why::Removed, false));
        let truncated = Gone { high: 20, ..gone };
        assert_eq!(go_on(&truncated), (at(20), Why::Truncated, false));
        let grown = Gone {
            seen: 15,
            ..truncated
        };
        assert_eq!(go_on(&grown), (at(15), Why::Truncated, false));
        let not_compared = Gone {
            compares: false,
            ..grown
        };
        assert_eq!(go_on(&not_compared), (at(20), Why::Truncated, false));
        let unknown = Gone {
            same_log: false,
            ..truncated
        };
        assert_eq!(go_on(&unknown), (Begin::Newest, Why::Truncated, true));
        let recreated = Gone {
            recreated: true,
            ..gone
        };
        assert_eq!(go_on(&recreated), (Begin::Oldest, Why::Recreated, true));
        let diverged = Gone { seen: 40, ..gone };
        assert_eq!(go_on(&diverged), (at(40), Why::Truncated, false));
    }
}
