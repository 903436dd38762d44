//! Letters on their way back.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::headers::{Headers, returning};
use super::points::PointSender;
use super::topic::{MARK_HEADER, ranges};
use super::{DeadLetters, DeadLettersError, Entry, InputTarget, LetterId, Store};
use crate::kafka::client::producer_config;
use crate::kafka::{KafkaError, Outbound, Producer};
use kafkamq_conversion::wrapped;
use kafkamq_delivery::dead_letter::{DeadLetter, Filter, LetterPart, mark_replayed};
use kafkamq_settings::{ClusterSettings, SplitFormat};

/// Letters that wait for the brokers together, and bytes of their values.
const TOGETHER: usize = 500;
const TOGETHER_BYTES: usize = 8 << 20;
/// Failures that are reported one by one.
const TOLD: usize = 20;
/// Whether a letter is too large is for the broker to decide, not for the client.
const MAX_BYTES: &str = "1000000000";

/// What is to be replayed. The default is all that were not replayed yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    /// Only these; otherwise all that are there when the replay begins.
    pub(crate) ids: Option<Vec<LetterId>>,
    /// Only those that match, with ids too.
    pub(crate) filter: Filter,
    /// Also those that were replayed before.
    pub(crate) again: bool,
    /// Count only: nothing is sent or marked.
    pub(crate) dry_run: bool,
}

/// What became of the letters of a replay.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ReplayReport {
    /// Letters that brokers confirmed, or that would be sent by a dry run.
    pub(crate) replayed: u64,
    /// Letters that were asked for by id and left out: replayed before, or no match.
    pub(crate) skipped: u64,
    /// Ids for which there is no letter.
    pub(crate) missing: Vec<String>,
    /// Letters that could not be sent; they stay as they were.
    pub(crate) failed: u64,
    /// The first of those: id and reason.
    #[schemars(with = "Vec<[String; 2]>")]
    pub(crate) failures: Vec<(String, String)>,
    /// Why the replay ended before all letters were tried, if it did.
    pub(crate) stopped: Option<String>,
}

impl ReplayReport {
    /// Whether every letter that was asked for is back.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.failed == 0 && self.missing.is_empty() && self.stopped.is_none()
    }
}

impl DeadLetters {
    /// Sends letters back to the topics they came from, and reports to `progress` from time to time.
    ///
    /// # Errors
    /// If letters cannot be read or marked, or another replay of the folder runs. It is not an
    /// error if brokers refuse a letter; the report counts it.
    pub(crate) fn replay(
        &self,
        replay: &Replay,
        mut progress: impl FnMut(&ReplayReport),
    ) -> Result<ReplayReport, DeadLettersError> {
        let _lock = self.lock()?;
        let mut run = Run {
            letters: self,
            dry_run: replay.dry_run,
            producers: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            batch: Vec::new(),
            batch_bytes: 0,
            points: None,
            report: ReplayReport::default(),
            progress: &mut progress,
        };
        let filter = Filter {
            include_replayed: replay.again,
            ..replay.filter.clone()
        };
        match &replay.ids {
            Some(ids) => {
                for id in ids {
                    let flow = match self.get(id)? {
                        None => {
                            run.report.missing.push(id.to_string());
                            ControlFlow::Continue(())
                        }
                        Some(entry) if !filter.takes(&entry.letter, entry.replayed) => {
                            run.report.skipped += 1;
                            ControlFlow::Continue(())
                        }
                        Some(entry) => run.take(entry)?,
                    };
                    if flow.is_break() {
                        break;
                    }
                }
            }
            None => self.scan(&filter, None, &mut |entry| run.take(entry))?,
        }
        if run.report.stopped.is_none() {
            run.send()?;
        }
        Ok(run.report)
    }
}

impl DeadLetters {
    /// The input to which a letter may return, otherwise why it may not.
    fn origin_of(&self, entry: &Entry) -> Result<&InputTarget, String> {
        let (input, topic) = (&entry.letter.input, &entry.letter.topic);
        let origin = self.inputs.iter().find(|origin| origin.name == *input);
        let origin = origin.ok_or_else(|| format!("no input is called `{input}`"))?;
        if !origin.topics.takes(topic) {
            return Err(format!("input `{input}` does not read the topic `{topic}`"));
        }
        if let (Store::Topics(topics), LetterId::Place { topic: kept_in, .. }) =
            (&self.store, &entry.id)
            && !topics.iter().any(|one| one.keeps(kept_in, topic))
        {
            return Err(format!(
                "letters of the topic `{topic}` are not kept in `{kept_in}`"
            ));
        }
        Ok(origin)
    }
}

/// What returns to the topic: the record, or a value that holds nothing but the element.
fn value_to_return(letter: &DeadLetter) -> Option<Bytes> {
    let value = letter.value.clone()?;
    let LetterPart::Element { pointer, .. } = &letter.part else {
        return Some(value);
    };
    let format = match pointer {
        Some(pointer) => SplitFormat::JsonArray {
            pointer: pointer.clone(),
        },
        None => SplitFormat::NdJson,
    };
    Some(wrapped(&value, &format).into())
}

struct Run<'a> {
    letters: &'a DeadLetters,
    dry_run: bool,
    producers: Vec<(&'a ClusterSettings, Producer)>,
    runtime: tokio::runtime::Runtime,
    batch: Vec<Entry>,
    batch_bytes: usize,
    /// For letters of single points, once there is one.
    points: Option<PointSender>,
    report: ReplayReport,
    progress: &'a mut dyn FnMut(&ReplayReport),
}

impl<'a> Run<'a> {
    fn take(&mut self, entry: Entry) -> Result<ControlFlow<()>, DeadLettersError> {
        self.batch_bytes += entry.letter.value.as_ref().map_or(0, bytes::Bytes::len);
        self.batch.push(entry);
        if self.batch.len() < TOGETHER && self.batch_bytes < TOGETHER_BYTES {
            return Ok(ControlFlow::Continue(()));
        }
        self.send()?;
        Ok(match self.report.stopped {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
    }

    /// Sends and marks what was gathered.
    fn send(&mut self) -> Result<(), DeadLettersError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let mut sent = Vec::with_capacity(batch.len());
        let mut by_cluster: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
        for entry in batch {
            if self.dry_run {
                self.report.replayed += 1;
                continue;
            }
            let origin = match self.letters.origin_of(&entry) {
                Ok(origin) => origin,
                Err(reason) => {
                    self.fail(&entry.id, reason);
                    continue;
                }
            };
            if matches!(entry.letter.part, LetterPart::Point { .. }) {
                match self.send_point(&entry) {
                    Ok(()) => sent.push(entry.id),
                    Err(reason) => self.fail(&entry.id, reason),
                }
                continue;
            }
            let producer = self.producer(&origin.cluster)?;
            by_cluster.entry(producer).or_default().push(entry);
        }
        let mut away = None;
        for (producer, entries) in by_cluster {
            let failed = self.deliver(producer, &entries);
            if failed.len() == entries.len()
                && let Some((_, error)) = failed.first()
            {
                away = Some(error.to_string());
            }
            let mut failed = failed.into_iter().peekable();
            for (index, entry) in entries.into_iter().enumerate() {
                match failed.next_if(|(at, _)| *at == index) {
                    Some((_, error)) => self.fail(&entry.id, error.to_string()),
                    None => sent.push(entry.id),
                }
            }
        }
        let count = sent.len() as u64;
        // Where there are no letters there may be no folder to note anything in.
        let marked = match sent.is_empty() {
            true => Ok(()),
            false => self.mark(sent),
        };
        marked.map_err(|error| DeadLettersError::Unmarked {
            sent: count,
            reason: error.to_string(),
        })?;
        self.report.replayed += count;
        self.report.stopped = away.filter(|_| count == 0);
        (self.progress)(&self.report);
        Ok(())
    }

    /// Sends a single point to its output.
    fn send_point(&mut self, entry: &Entry) -> Result<(), String> {
        let sender = match &mut self.points {
            Some(sender) => sender,
            none => none.insert(PointSender::try_new(&self.letters.settings)?),
        };
        self.runtime.block_on(sender.send(entry))
    }

    /// Writes letters to where they came from; returns those that failed, in ascending order.
    fn deliver(&self, producer: usize, entries: &[Entry]) -> Vec<(usize, KafkaError)> {
        let Some((_, producer)) = self.producers.get(producer) else {
            return Vec::new();
        };
        let headers: Vec<Headers> = entries.iter().map(|e| returning(&e.letter)).collect();
        let values: Vec<_> = entries.iter().map(|e| value_to_return(&e.letter)).collect();
        let records: Vec<_> = entries
            .iter()
            .zip(headers.iter().zip(&values))
            .map(|(Entry { letter, .. }, (headers, value))| Outbound {
                topic: &letter.topic,
                partition: Some(letter.partition),
                key: letter.key.as_deref(),
                value: value.as_deref(),
                headers,
                timestamp: letter.timestamp,
            })
            .collect();
        self.runtime.block_on(producer.deliver(&records))
    }

    fn mark(&mut self, ids: Vec<LetterId>) -> Result<(), DeadLettersError> {
        match &self.letters.store {
            Store::None => Ok(()),
            Store::Files(path) => {
                let numbers = ids.into_iter().filter_map(|id| match id {
                    LetterId::Number(number) => Some(number),
                    LetterId::Place { .. } => None,
                });
                Ok(mark_replayed(path, numbers)?)
            }
            Store::Topics(topics) => {
                let mut places: BTreeMap<(String, i32), Vec<i64>> = BTreeMap::new();
                for id in ids {
                    if let LetterId::Place {
                        topic,
                        partition,
                        offset,
                    } = id
                    {
                        places.entry((topic, partition)).or_default().push(offset);
                    }
                }
                for ((name, partition), mut offsets) in places {
                    offsets.sort_unstable();
                    let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
                        continue;
                    };
                    let producer = self.producer(&topic.cluster)?;
                    let headers = [(MARK_HEADER.to_owned(), Some(ranges(&offsets)))];
                    let mark = Outbound {
                        topic: &name,
                        partition: Some(partition),
                        key: None,
                        value: None,
                        headers: &headers,
                        timestamp: None,
                    };
                    let Some((_, producer)) = self.producers.get(producer) else {
                        continue;
                    };
                    let failed = self.runtime.block_on(producer.deliver(&[mark]));
                    if let Some((_, source)) = failed.into_iter().next() {
                        return Err(DeadLettersError::Topic {
                            topic: name,
                            source,
                        });
                    }
                }
                Ok(())
            }
        }
    }

    fn producer(&mut self, cluster: &'a ClusterSettings) -> Result<usize, DeadLettersError> {
        let known = self.producers.iter().position(|(own, _)| *own == cluster);
        if let Some(known) = known {
            return Ok(known);
        }
        let mut config = producer_config(cluster);
        if config.get("message.max.bytes").is_none() {
            config.set("message.max.bytes", MAX_BYTES);
        }
        let producer = Producer::try_new(config).map_err(DeadLettersError::Producer)?;
        self.producers.push((cluster, producer));
        Ok(self.producers.len() - 1)
    }

    fn fail(&mut self, id: &LetterId, reason: String) {
        self.report.failed += 1;
        if self.report.failures.len() < TOLD {
            self.report.failures.push((id.to_string(), reason));
        }
    }
}
