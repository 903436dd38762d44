//! What a seed stands for: the settings of a run, and a list of choices, each of which is something that
//! happens at a moment. A run that fails is shortened by leaving choices out.

use std::fmt;

use crate::time::{MILLI, Micros, SECOND, shown};

/// Kinds of faults, as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Processes are killed or stopped.
    Crash,
    /// Parts of a process die and are started again.
    Actors,
    /// Groups rebalance, and members lose their session.
    Rebalance,
    /// Topics are deleted and made again.
    Recreate,
    /// Records are taken back at the end of a log.
    Truncate,
    /// Records are removed at the beginning of a log.
    Retention,
    /// Partitions are added.
    Grow,
    /// Commits are refused, or their answers are lost.
    Commits,
    /// The coordinator moves or is slow.
    Coordinator,
    /// All brokers are away.
    Brokers,
    /// The client misses wake-ups, tells errors in its queues and reports old statistics.
    Client,
    /// Receivers answer 429 with `Retry-After`.
    TooMany,
    /// Receivers answer 503.
    Unavailable,
    /// Receivers answer 500 to everything.
    Failing,
    /// Receivers answer 403 to everything.
    Forbidden,
    /// Connections are reset before the answer, of which half were received.
    Reset,
    /// Receivers are slow.
    Slow,
    /// Receivers cannot be reached.
    Down,
    /// Dead letters cannot be written.
    Disk,
    /// Records are refused for their content or cannot be converted.
    Poison,
}

impl Fault {
    /// All kinds, with their names.
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::Crash, "crash"),
        (Self::Actors, "actors"),
        (Self::Rebalance, "rebalance"),
        (Self::Recreate, "recreate"),
        (Self::Truncate, "truncate"),
        (Self::Retention, "retention"),
        (Self::Grow, "grow"),
        (Self::Commits, "commits"),
        (Self::Coordinator, "coordinator"),
        (Self::Brokers, "brokers"),
        (Self::Client, "client"),
        (Self::TooMany, "429"),
        (Self::Unavailable, "503"),
        (Self::Failing, "500"),
        (Self::Forbidden, "403"),
        (Self::Reset, "reset"),
        (Self::Slow, "slow"),
        (Self::Down, "down"),
        (Self::Disk, "disk"),
        (Self::Poison, "poison"),
    ];

    /// Reads a list such as `crash,429`, or `all`.
    ///
    /// # Errors
    /// The name that is not known.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        if text.trim() == "all" {
            return Ok(Self::ALL.iter().map(|(fault, _)| *fault).collect());
        }
        let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
        names
            .map(|name| {
                let known = Self::ALL.iter().find(|(_, own)| *own == name);
                known
                    .map(|(fault, _)| *fault)
                    .ok_or_else(|| name.to_owned())
            })
            .collect()
    }
}

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// 429, with a wish in seconds.
    TooMany(u8),
    Unavailable,
    Failing,
    Forbidden,
    Reset,
    /// Answers take this much longer.
    Slow(Micros),
    Down,
}

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("takes everything"),
            Self::TooMany(wish) => write!(f, "answers 429 with Retry-After: {wish}"),
            Self::Unavailable => f.write_str("answers 503"),
            Self::Failing => f.write_str("answers 500 to everything"),
            Self::Forbidden => f.write_str("answers 403 to everything"),
            Self::Reset => f.write_str("resets connections"),
            Self::Slow(more) => write!(f, "takes {} longer to answer", shown(*more)),
            Self::Down => f.write_str("cannot be reached"),
        }
    }
}

/// A part of a process that can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Parser,
    Forwarder,
    Letters,
    Topic,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// `count` records are written; `seed` decides what they are.
    Produce {
        topic: usize,
        partition: usize,
        count: u16,
        seed: u64,
    },
    /// The end of a transaction, and offsets without records.
    Gap {
        topic: usize,
        partition: usize,
    },
    Crash {
        seat: usize,
        down: Micros,
    },
    Stop {
        seat: usize,
        down: Micros,
    },
    Dies {
        seat: usize,
        part: Part,
        which: usize,
    },
    Lose {
        seat: usize,
    },
    Rebalance,
    Recreate {
        topic: usize,
        away: Micros,
        forget: bool,
        records: u16,
        seed: u64,
    },
    Truncate {
        topic: usize,
        partition: usize,
        by: i64,
    },
    Remove {
        topic: usize,
        partition: usize,
        keep: i64,
    },
    Grow {
        topic: usize,
    },
    CommitsLost {
        lasts: Micros,
    },
    CommitsRefused {
        lasts: Micros,
    },
    CoordinatorAway {
        lasts: Micros,
    },
    CommittedSlow {
        lasts: Micros,
    },
    BrokersAway {
        lasts: Micros,
    },
    WakesMissed {
        lasts: Micros,
    },
    StatisticsStale {
        lasts: Micros,
    },
    QueueError {
        topic: usize,
        partition: usize,
    },
    Receiver {
        output: usize,
        mood: Mood,
        lasts: Micros,
    },
    DiskFull {
        seat: usize,
        lasts: Micros,
    },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasting = |lasts: &Micros| format!("for {} s", (lasts / SECOND).max(1));
        match self {
            Self::Produce {
                topic,
                partition,
                count,
                ..
            } => write!(f, "{count} records are written to t{topic}/{partition}"),
            Self::Gap { topic, partition } => {
                write!(f, "a transaction ends in t{topic}/{partition}")
            }
            Self::Crash { seat, down } => {
                write!(
                    f,
                    "member {seat} is killed and starts again in {}",
                    shown(*down)
                )
            }
            Self::Stop { seat, down } => {
                write!(
                    f,
                    "member {seat} is stopped and starts again in {}",
                    shown(*down)
                )
            }
            Self::Dies { seat, part, which } => match part {
                Part::Parser => write!(f, "parser {which} of member {seat} dies"),
                Part::Forwarder => write!(f, "forwarder {which} of member {seat} dies"),
                Part::Letters => write!(f, "the writer of dead letters of member {seat} dies"),
                Part::Topic => write!(f, "a reader of member {seat} dies"),
            },
            Self::Lose { seat } => write!(f, "member {seat} loses its session"),
            Self::Rebalance => f.write_str("the group rebalances"),
            Self::Recreate {
                topic,
                away,
                forget,
                records,
                ..
            } => write!(
                f,
                "t{topic} is deleted, {} its commits, and made again in {} with {records} records",
                if *forget { "with" } else { "without" },
                shown(*away)
            ),
            Self::Truncate {
                topic,
                partition,
                by,
            } => write!(
                f,
                "another leader of t{topic}/{partition} lacks the last {by} offsets"
            ),
            Self::Remove {
                topic,
                partition,
                keep,
            } => write!(
                f,
                "all but the last {keep} offsets of t{topic}/{partition} are removed"
            ),
            Self::Grow { topic } => write!(f, "t{topic} gets a further partition"),
            Self::CommitsLost { lasts } => {
                write!(
                    f,
                    "commits are applied and their answers lost {}",
                    lasting(lasts)
                )
            }
            Self::CommitsRefused { lasts } => write!(f, "commits are refused {}", lasting(lasts)),
            Self::CoordinatorAway { lasts } => {
                write!(f, "the coordinator moves, {}", lasting(lasts))
            }
            Self::CommittedSlow { lasts } => {
                write!(
                    f,
                    "the coordinator does not say what is committed {}",
                    lasting(lasts)
                )
            }
            Self::BrokersAway { lasts } => write!(f, "all brokers are away {}", lasting(lasts)),
            Self::WakesMissed { lasts } => {
                write!(f, "the client wakes nobody up {}", lasting(lasts))
            }
            Self::StatisticsStale { lasts } => {
                write!(f, "the client reports old statistics {}", lasting(lasts))
            }
            Self::QueueError { topic, partition } => {
                write!(
                    f,
                    "the client puts an error into the queue of t{topic}/{partition}"
                )
            }
            Self::Receiver {
                output,
                mood,
                lasts,
            } => write!(f, "output {output} {mood} {}", lasting(lasts)),
            Self::DiskFull { seat, lasts } => {
                write!(f, "the disk of member {seat} is full {}", lasting(lasts))
            }
        }
    }
}

/// A choice: something that happens at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) at: Micros,
    pub(crate) what: Act,
}

/// The settings of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knobs {
    pub(crate) seats: usize,
    pub(crate) topics: usize,
    pub(crate) partitions: usize,
    pub(crate) outputs: usize,
    pub(crate) parsers: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) batch_records: usize,
    pub(crate) memory: usize,
    pub(crate) record_padding: usize,
    pub(crate) commit_interval: Micros,
    pub(crate) drain_timeout: Micros,
    pub(crate) request_items: usize,
    pub(crate) request_age: Micros,
    pub(crate) requests: usize,
    pub(crate) max_retries: u32,
    pub(crate) max_attempts: u32,
    pub(crate) lanes: u8,
    pub(crate) fetch_records: usize,
    pub(crate) newest: bool,
    /// `offset_out_of_range`; `None` stops the partition.
    pub(crate) resets_to_newest: bool,
    pub(crate) keeps_state: bool,
    pub(crate) tells_ids: bool,
    pub(crate) is_eager: bool,
    pub(crate) by_pattern: bool,
    /// Longest time of a message between two parts of a process.
    pub(crate) mailbox: Micros,
}

impl Knobs {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        let memory = *pick(rng, &[16 << 20, 16 << 20, 64 << 20]);
        Self {
            seats: rng.usize(1..=3),
            topics: rng.usize(1..=3),
            partitions: rng.usize(1..=4),
            outputs: rng.usize(1..=2),
            parsers: rng.usize(1..=2),
            max_in_flight: *pick(rng, &[1, 4, 20, 100, 400]),
            batch_records: *pick(rng, &[1, 3, 20, 100]),
            memory,
            record_padding: *pick(rng, &[0, 10, 200, 8000]),
            commit_interval: *pick(rng, &[50 * MILLI, 500 * MILLI, 5 * SECOND]),
            drain_timeout: *pick(rng, &[100 * MILLI, 2 * SECOND, 10 * SECOND]),
            request_items: *pick(rng, &[1, 2, 10, 100]),
            request_age: *pick(rng, &[0, 20 * MILLI, SECOND]),
            requests: *pick(rng, &[1, 4, 32]),
            max_retries: rng.u32(1..=4),
            max_attempts: rng.u32(3..=6),
            lanes: *pick(rng, &[1, 1, 4]),
            fetch_records: *pick(rng, &[1, 5, 50, 500]),
            newest: rng.u8(..10) < 4,
            resets_to_newest: rng.u8(..10) < 2,
            keeps_state: rng.bool(),
            tells_ids: true,
            is_eager: rng.bool(),
            by_pattern: rng.u8(..10) < 3,
            mailbox: *pick(rng, &[200, 200, 5 * MILLI, 100 * MILLI]),
        }
    }
}

fn pick<'a, T>(rng: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

/// One run, before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) knobs: Knobs,
    /// In order of their moments.
    pub(crate) choices: Vec<Choice>,
    /// When the last fault ends.
    pub(crate) ends: Micros,
    /// Whether records may be poison.
    pub(crate) poison: bool,
    /// Whether some of them kill whoever works on them.
    pub(crate) deadly: bool,
}

impl Case {
    /// What `seed` stands for, with `faults`, over `lasts` or, without it, some minutes.
    pub(crate) fn draw(seed: u64, faults: &[Fault], lasts: Option<Micros>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15).fork();
        let knobs = Knobs::draw(&mut rng);
        let ends = lasts.unwrap_or_else(|| rng.u64(20..=90) * SECOND);
        let has = |fault: Fault| faults.contains(&fault);
        let mut choices = Vec::new();
        let minutes = usize::try_from(ends / (60 * SECOND)).unwrap_or(1) + 1;
        for _ in 0..rng.usize(6..=20) * minutes {
            let what = Act::Produce {
                topic: rng.usize(..knobs.topics),
                // More than there are at first, for those that are added.
                partition: rng.usize(..=knobs.partitions),
                count: *pick(&mut rng, &[1, 2, 10, 40]),
                seed: rng.u64(..),
            };
            choices.push(Choice {
                at: rng.u64(..ends),
                what,
            });
        }
        let kinds: Vec<Fault> = faults.to_vec();
        if !kinds.is_empty() {
            for _ in 0..rng.usize(2..=9) * minutes {
                let fault = *pick(&mut rng, &kinds);
                let at = rng.u64(..ends);
                let lasts = *pick(&mut rng, &[SECOND, 4 * SECOND, 15 * SECOND, 50 * SECOND]);
                if let Some(what) = act(fault, &knobs, lasts, &mut rng) {
                    choices.push(Choice { at, what });
                }
            }
        }
        choices.sort_by_key(|choice| choice.at);
        Self {
            seed,
            poison: has(Fault::Poison),
            deadly: has(Fault::Poison) && rng.u8(..10) < 3,
            knobs,
            choices,
            ends,
        }
    }
}

/// A fault of this kind.
fn act(fault: Fault, knobs: &Knobs, lasts: Micros, rng: &mut fastrand::Rng) -> Option<Act> {
    let seat = rng.usize(..knobs.seats);
    let topic = rng.usize(..knobs.topics);
    let partition = rng.usize(..knobs.partitions);
    let down = *pick(rng, &[100 * MILLI, SECOND, 12 * SECOND]);
    let output = rng.usize(..knobs.outputs);
    let mood = |mood| {
        Some(Act::Receiver {
            output,
            mood,
            lasts,
        })
    };
    Some(match fault {
        Fault::Crash if rng.bool() => Act::Crash { seat, down },
        Fault::Crash => Act::Stop { seat, down },
        Fault::Actors => {
            let part = *pick(
                rng,
                &[Part::Parser, Part::Forwarder, Part::Letters, Part::Topic],
            );
            let which = rng.usize(..2);
            Act::Dies { seat, part, which }
        }
        Fault::Rebalance if rng.bool() => Act::Rebalance,
        Fault::Rebalance => Act::Lose { seat },
        Fault::Recreate => Act::Recreate {
            topic,
            away: *pick(rng, &[0, 300 * MILLI, 8 * SECOND]),
            forget: rng.u8(..4) > 0,
            records: *pick(rng, &[0, 3, 60]),
            seed: rng.u64(..),
        },
        Fault::Truncate => Act::Truncate {
            topic,
            partition,
            by: rng.i64(1..20),
        },
        Fault::Retention => Act::Remove {
            topic,
            partition,
            keep: rng.i64(0..15),
        },
        Fault::Grow => Act::Grow { topic },
        Fault::Commits if rng.bool() => Act::CommitsLost { lasts },
        Fault::Commits => Act::CommitsRefused { lasts },
        Fault::Coordinator if rng.bool() => Act::CoordinatorAway { lasts },
        Fault::Coordinator => Act::CommittedSlow { lasts },
        Fault::Brokers => Act::BrokersAway { lasts },
        Fault::Client => match rng.u8(..4) {
            0 => Act::WakesMissed { lasts },
            1 => Act::StatisticsStale { lasts },
            2 => Act::QueueError { topic, partition },
            _ => Act::Gap { topic, partition },
        },
        Fault::TooMany => return mood(Mood::TooMany(*pick(rng, &[0, 1, 5, 30]))),
        Fault::Unavailable => return mood(Mood::Unavailable),
        Fault::Failing => return mood(Mood::Failing),
        Fault::Forbidden => return mood(Mood::Forbidden),
        Fault::Reset => return mood(Mood::Reset),
        Fault::Slow => return mood(Mood::Slow(*pick(rng, &[300 * MILLI, 5 * SECOND]))),
        Fault::Down => return mood(Mood::Down),
        Fault::Disk => Act::DiskFull { seat, lasts },
        Fault::Poison => return None,
    })
}

impl Case {
    /// Has choices name only topics and outputs that there are.
    pub(crate) fn fit(&mut self, topics: usize, outputs: usize) {
        self.knobs.topics = topics;
        self.knobs.outputs = outputs;
        self.knobs.newest = false;
        self.knobs.resets_to_newest = false;
        self.poison = false;
        self.deadly = false;
        for choice in &mut self.choices {
            match &mut choice.what {
                Act::Produce { topic, .. }
                | Act::Gap { topic, .. }
                | Act::Recreate { topic, .. }
                | Act::Truncate { topic, .. }
                | Act::Remove { topic, .. }
                | Act::Grow { topic }
                | Act::QueueError { topic, .. } => *topic %= topics.max(1),
                Act::Receiver { output, .. } => *output %= outputs.max(1),
                _ => {}
            }
        }
    }

    /// The same records, and what happens to their logs, without any other fault.
    pub(crate) fn without_faults(&self) -> Self {
        let stays = |choice: &&Choice| {
            matches!(
                choice.what,
                Act::Produce { .. } | Act::Gap { .. } | Act::Grow { .. } | Act::Recreate { .. }
            )
        };
        Self {
            choices: self.choices.iter().filter(stays).cloned().collect(),
            ..self.clone()
        }
    }
}
