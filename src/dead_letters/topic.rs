//! A dead letter topic: letters are its records, and so are the marks of those that were replayed.
//!
//! A mark is a record without key and value in the partition of the letters it names; its one
//! header lists their offsets. So whoever reads the partition knows what was replayed, and marks
//! live as long as letters.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use bytes::Bytes;

use super::{DeadLettersError, Entry, LetterId, Visit, headers};
use crate::kafka::{KafkaError, StoredRecord, TopicReader};
use kafkamq_delivery::dead_letter::Filter;
use kafkamq_settings::{ClusterSettings, Settings};

/// The place of a record's topic in the name of the dead letter topic.
pub(crate) const PLACEHOLDER: &str = "{topic}";
/// The header of a mark: offsets and ranges of offsets, as `5-9,12`.
pub(super) const MARK_HEADER: &str = "kafkamq-dlq-replayed";
/// Longest wait for brokers.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One dead letter topic in one cluster.
#[derive(Clone, Debug)]
pub(super) struct LetterTopic {
    pub(super) name: String,
    pub(super) cluster: ClusterSettings,
    group: String,
    /// The configured name, with the place of the record's topic.
    pattern: String,
}

impl LetterTopic {
    /// The topics that letters of the inputs in `settings` are written to.
    pub(super) fn all(
        topic: &str,
        cluster: Option<&ClusterSettings>,
        settings: &Settings,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for input in &settings.inputs {
            let cluster = cluster.unwrap_or(&input.cluster);
            for read in input.subscriptions() {
                let name = topic.replace(PLACEHOLDER, read.topic);
                let known = |other: &Self| other.name == name && other.cluster == *cluster;
                if !all.iter().any(known) {
                    all.push(Self {
                        name,
                        cluster: cluster.clone(),
                        group: input.group_id.clone(),
                        pattern: topic.to_owned(),
                    });
                }
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether letters of the records of `topic` are kept in the dead letter topic `name`.
    pub(super) fn keeps(&self, name: &str, topic: &str) -> bool {
        self.name == name && self.pattern.replace(PLACEHOLDER, topic) == name
    }

    pub(super) fn get(
        &self,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Entry>, DeadLettersError> {
        let reader = self.reader()?;
        if !self.partitions(&reader)?.contains(&partition) {
            return Ok(None);
        }
        let bounds = self.bounds(&reader, partition)?;
        if !bounds.contains(&offset) {
            return Ok(None);
        }
        let replayed = self.marks(&reader, partition, offset..bounds.end)?;
        let mut found = reader
            .read(partition, offset..offset + 1)
            .map_err(|error| self.failed(error))?;
        let record = found
            .next()
            .transpose()
            .map_err(|error| self.failed(error))?;
        Ok(record.and_then(|record| self.entry(partition, record, &replayed)))
    }

    pub(super) fn scan(
        &self,
        filter: &Filter,
        after: Option<&LetterId>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, DeadLettersError> {
        let reader = self.reader()?;
        for partition in self.partitions(&reader)? {
            let mut bounds = self.bounds(&reader, partition)?;
            let replayed = self.marks(&reader, partition, bounds.clone())?;
            match after {
                Some(LetterId::Place {
                    topic,
                    partition: last,
                    offset,
                }) => match (topic, last).cmp(&(&self.name, &partition)) {
                    std::cmp::Ordering::Greater => continue,
                    std::cmp::Ordering::Equal => bounds.start = bounds.start.max(offset + 1),
                    std::cmp::Ordering::Less => {}
                },
                Some(id) => {
                    return Err(DeadLettersError::WrongId(
                        id.clone(),
                        "letters are called topic/partition/offset",
                    ));
                }
                None => {}
            }
            let records = reader
                .read(partition, bounds)
                .map_err(|error| self.failed(error))?;
            for record in records {
                let record = record.map_err(|error| self.failed(error))?;
                let Some(entry) = self.entry(partition, record, &replayed) else {
                    continue;
                };
                if filter.takes(&entry.letter, entry.replayed) && visit(entry)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn entry(
        &self,
        partition: i32,
        record: StoredRecord,
        replayed: &[Range<i64>],
    ) -> Option<Entry> {
        let offset = record.offset;
        Some(Entry {
            id: LetterId::Place {
                topic: self.name.clone(),
                partition,
                offset,
            },
            replayed: replayed.iter().any(|range| range.contains(&offset)),
            letter: headers::decode(record)?,
        })
    }

    /// The offsets that marks in `offsets` name.
    fn marks(
        &self,
        reader: &TopicReader,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Vec<Range<i64>>, DeadLettersError> {
        let mut marks = Vec::new();
        let records = reader
            .read(partition, offsets)
            .map_err(|error| self.failed(error))?;
        for record in records {
            let record = record.map_err(|error| self.failed(error))?;
            if let [(name, Some(ranges))] = record.headers.as_slice()
                && name == MARK_HEADER
            {
                marks.extend(parse(ranges));
            }
        }
        Ok(marks)
    }

    fn reader(&self) -> Result<TopicReader, DeadLettersError> {
        TopicReader::try_new(&self.cluster, &self.group, &self.name, TIMEOUT)
            .map_err(|error| self.failed(error))
    }

    fn partitions(&self, reader: &TopicReader) -> Result<Vec<i32>, DeadLettersError> {
        reader.partitions().map_err(|error| self.failed(error))
    }

    fn bounds(&self, reader: &TopicReader, partition: i32) -> Result<Range<i64>, DeadLettersError> {
        reader.bounds(partition).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: KafkaError) -> DeadLettersError {
        DeadLettersError::Topic {
            topic: self.name.clone(),
            source,
        }
    }
}

/// The value of a mark's header for `offsets`, which ascend.
pub(super) fn ranges(offsets: &[i64]) -> Bytes {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for &offset in offsets {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => ranges.push((offset, offset)),
        }
    }
    let text: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    Bytes::from(text.join(","))
}

/// Reads what [`ranges`] wrote; anything else is skipped.
fn parse(ranges: &[u8]) -> Vec<Range<i64>> {
    let text = String::from_utf8_lossy(ranges);
    text.split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..last.parse::<i64>().ok()?.saturating_add(1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_name_offsets_briefly() {
        let text = ranges(&[0, 5, 6, 7, 9]);
        assert_eq!(&*text, b"0,5-7,9");
        assert_eq!(parse(&text), [0..1, 5..8, 9..10]);
        assert!(parse(b"").is_empty() && parse(b"x,-1,3-").is_empty());
    }
}
