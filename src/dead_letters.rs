//! The dead letters as an operator sees them, wherever they are kept: listed, shown, and sent back
//! to where they came from.
//!
//! One seam for the command line and the HTTP interface. It reads the folder or the topics that
//! `[dead_letter]` names, also while the service writes to them. It promises:
//!
//! * the letter of a record goes to the topic and partition it came from with the bytes, key,
//!   headers and timestamp it had, and one header more, [`REPLAY_HEADER`], that counts its returns;
//! * the letter of an element goes there as a record of that element alone, and the letter of a
//!   point to the output that would have had it;
//! * a letter is marked as replayed once the brokers have it, and not sent again unless that is
//!   asked for; a crash in between sends it twice, never not at all;
//! * a letter returns to no topic but those that its input reads, whatever the letter says;
//! * what becomes a letter during a replay is not part of it, so a poison record cannot go in circles.
//!
//! Calls block on disk and brokers: use them where that is allowed, not on an actor's thread.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::kafka::KafkaError;
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterError, Filter, View};
use kafkamq_delivery::private_files;
use kafkamq_settings::{ClusterSettings, DeadLetterKind, Settings, TopicSelection};

pub(crate) mod headers;
mod points;
mod replay;
#[cfg(test)]
mod tests;
mod topic;
mod view;

pub(crate) use replay::{Replay, ReplayReport};
use topic::LetterTopic;
pub(crate) use topic::PLACEHOLDER;
pub(crate) use view::{HeaderView, LetterDetail, LetterSummary, Payload};

/// Why dead letters cannot be read or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DeadLettersError {
    /// There are none by configuration.
    #[error("dead letters are not kept: `dead_letter.kind` is \"none\"")]
    NotKept,
    /// The folder cannot be read or written to.
    #[error(transparent)]
    Store(#[from] DeadLetterError),
    /// A topic of letters cannot be read.
    #[error("dead letter topic `{topic}`: {source}")]
    Topic {
        /// The topic that holds the letters.
        topic: String,
        /// What is wrong.
        source: KafkaError,
    },
    /// The Kafka client refused the cluster that letters return to.
    #[error("the cluster of the letters: {0}")]
    Producer(#[source] KafkaError),
    /// Two replays at once would send the same letters.
    #[error("another replay is running on `{0}`")]
    Busy(PathBuf),
    /// An id of another kind of store.
    #[error("`{0}` is not the id of a dead letter here: {1}")]
    WrongId(LetterId, &'static str),
    /// Letters were sent, but that could not be noted: they would be sent again.
    #[error("{sent} letters are replayed but could not be marked so: {reason}")]
    Unmarked {
        /// Letters concerned.
        sent: u64,
        /// What failed.
        reason: String,
    },
    /// The system refused what a replay needs.
    #[error("cannot replay: {0}")]
    System(#[from] io::Error),
}

/// What a letter is called: its number in a folder, or its place in a dead letter topic.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum LetterId {
    /// The number in a folder of segment files, as `42`.
    Number(u64),
    /// The place in a topic, as `topic/partition/offset`.
    Place {
        /// The dead letter topic.
        topic: String,
        /// The partition of the dead letter topic.
        partition: i32,
        /// The offset there.
        offset: i64,
    },
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Place {
                topic,
                partition,
                offset,
            } => write!(f, "{topic}/{partition}/{offset}"),
        }
    }
}

/// A text that is not a [`LetterId`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not the id of a dead letter: expected a number, or topic/partition/offset")]
pub(crate) struct LetterIdError(String);

impl FromStr for LetterId {
    type Err = LetterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            Some(Self::Place {
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        text.parse()
            .map(Self::Number)
            .ok()
            .or_else(place)
            .ok_or_else(|| LetterIdError(text.to_owned()))
    }
}

/// A letter with its id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// What it is called.
    pub(crate) id: LetterId,
    /// Whether it is marked as replayed.
    pub(crate) replayed: bool,
    /// What was written: the record or the part of one, and why.
    pub(crate) letter: DeadLetter,
}

/// Some of the letters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Page {
    /// The letters without their content, in the order of their ids: oldest first in a folder, by
    /// partition in topics.
    pub(crate) entries: Vec<LetterSummary>,
    /// Whether there are more; they come after the id of the last one.
    pub(crate) more: bool,
}

/// Access to the dead letters of a configuration. Making one touches nothing.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetters {
    store: Store,
    /// The cluster of each input, to which its letters return.
    inputs: Vec<InputTarget>,
    /// With the outputs, to which letters of single points go.
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
enum Store {
    Files(PathBuf),
    Topics(Vec<LetterTopic>),
    None,
}

/// Where letters of an input return to. Who can write to a dead letter topic can write any letter:
/// one returns only to a topic that its input reads.
#[derive(Clone, Debug)]
struct InputTarget {
    name: String,
    cluster: ClusterSettings,
    topics: TopicSelection,
}

/// Tells whether to go on.
type Visit<'a> = dyn FnMut(Entry) -> Result<ControlFlow<()>, DeadLettersError> + 'a;

impl DeadLetters {
    /// The dead letters of a service with these settings.
    #[must_use]
    pub(crate) fn of(settings: &Settings) -> Self {
        let store = match &settings.dead_letter.kind {
            DeadLetterKind::File { path, .. } => Store::Files(path.clone()),
            DeadLetterKind::Kafka { topic, cluster } => {
                Store::Topics(LetterTopic::all(topic, cluster.as_deref(), settings))
            }
            DeadLetterKind::None => Store::None,
        };
        let inputs = settings.inputs.iter().map(|input| InputTarget {
            name: input.name.clone(),
            cluster: input.cluster.clone(),
            topics: input.selection(),
        });
        Self {
            store,
            inputs: inputs.collect(),
            settings: Arc::new(settings.clone()),
        }
    }

    /// The same, but with the letters of the folder `path`.
    #[must_use]
    pub(crate) fn in_folder(self, path: &Path) -> Self {
        Self {
            store: Store::Files(path.to_owned()),
            ..self
        }
    }

    /// Up to `limit` letters that match, those after the id `after` if one is given
    /// ([`Filter::after`] is not looked at).
    ///
    /// # Errors
    /// If letters are not kept, or the folder or brokers cannot be read.
    pub(crate) fn list(
        &self,
        filter: &Filter,
        after: Option<&LetterId>,
        limit: usize,
    ) -> Result<Page, DeadLettersError> {
        let mut page = Page::default();
        self.scan(filter, after, &mut |entry| {
            if page.entries.len() >= limit {
                page.more = true;
                return Ok(ControlFlow::Break(()));
            }
            // The content of a page of letters could be larger than all memory there is.
            page.entries.push(LetterSummary::from(&entry));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(page)
    }

    /// The letter called `id`, replayed or not, if it is there.
    ///
    /// # Errors
    /// As [`list`](Self::list), and if letters here are called otherwise.
    pub(crate) fn get(&self, id: &LetterId) -> Result<Option<Entry>, DeadLettersError> {
        match (&self.store, id) {
            (Store::None, _) => Err(DeadLettersError::NotKept),
            (Store::Files(path), LetterId::Number(number)) if path.is_dir() => {
                let found = View::open(path)?.letter(*number)?;
                Ok(found.map(Entry::from))
            }
            (Store::Files(_), LetterId::Number(_)) => Ok(None),
            (
                Store::Topics(topics),
                LetterId::Place {
                    topic,
                    partition,
                    offset,
                },
            ) => match topics.iter().find(|known| known.name == *topic) {
                Some(known) => known.get(*partition, *offset),
                None => Ok(None),
            },
            (Store::Files(_), LetterId::Place { .. }) => Err(DeadLettersError::WrongId(
                id.clone(),
                "letters have numbers",
            )),
            (Store::Topics(_), LetterId::Number(_)) => Err(DeadLettersError::WrongId(
                id.clone(),
                "letters are called topic/partition/offset",
            )),
        }
    }

    /// Shows `visit` the letters that match and that are there now, in order, until it has enough.
    fn scan(
        &self,
        filter: &Filter,
        after: Option<&LetterId>,
        visit: &mut Visit<'_>,
    ) -> Result<(), DeadLettersError> {
        match &self.store {
            Store::None => Err(DeadLettersError::NotKept),
            // A service that never had a letter has no folder.
            Store::Files(path) if !path.is_dir() => Ok(()),
            Store::Files(path) => {
                let after = match after {
                    None => None,
                    Some(LetterId::Number(number)) => Some(*number),
                    Some(id) => {
                        return Err(DeadLettersError::WrongId(
                            id.clone(),
                            "letters have numbers",
                        ));
                    }
                };
                let filter = Filter {
                    after,
                    ..filter.clone()
                };
                for stored in View::open(path)?.letters(filter) {
                    if visit(Entry::from(stored?))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Store::Topics(topics) => {
                for topic in topics {
                    if topic.scan(filter, after, visit)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// Keeps other replays of the same folder away while the result is alive.
    fn lock(&self) -> Result<Option<File>, DeadLettersError> {
        let Store::Files(path) = &self.store else {
            return Ok(None);
        };
        if !path.is_dir() {
            return Ok(None);
        }
        let file = private_files::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("replay.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(DeadLettersError::Busy(path.clone())),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl From<kafkamq_delivery::dead_letter::StoredLetter> for Entry {
    fn from(stored: kafkamq_delivery::dead_letter::StoredLetter) -> Self {
        Self {
            id: LetterId::Number(stored.number),
            replayed: stored.replayed,
            letter: stored.letter,
        }
    }
}
