//! A dead letter as a record of a topic: its key, value and headers, then headers that tell where
//! it came from and why it went no further.

use bytes::Bytes;

use crate::kafka::StoredRecord;
use kafkamq_delivery::dead_letter::{DeadLetter, LetterPart};
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_record::TopicPartition;

/// Every header that is added begins so.
const PREFIX: &str = "kafkamq-dlq-";
/// The first of those that are added. What stands before its last occurrence is the record's own,
/// even if it was a letter once and still has such headers.
const FIRST: &str = "topic";

/// Header that a replayed record carries: how often it was sent back, from `1`.
pub(crate) const REPLAY_HEADER: &str = "kafkamq-replay";

/// Headers of a record: names and values in order.
pub(crate) type Headers = Vec<(String, Option<Bytes>)>;

/// The headers of the record, and those about it.
pub(crate) fn encode(letter: &DeadLetter) -> Headers {
    let context = [
        (FIRST, Some(letter.topic.clone())),
        ("partition", Some(letter.partition.to_string())),
        ("offset", Some(letter.offset.to_string())),
        ("stage", Some(letter.stage.clone())),
        ("reason", Some(letter.reason.clone())),
        ("status", letter.status.map(|status| status.to_string())),
        ("attempts", Some(letter.attempts.to_string())),
        ("input", Some(letter.input.clone())),
        ("timestamp", letter.timestamp.map(|time| time.to_string())),
    ];
    let context = context.into_iter().chain(about_part(&letter.part));
    let context = context.filter_map(|(name, value)| {
        let value = Bytes::from(value?);
        Some((format!("{PREFIX}{name}"), Some(value)))
    });
    own(letter).chain(context).collect()
}

/// Reads `record` of a dead letter topic as a letter; `None` if it is not one.
pub(crate) fn decode(record: StoredRecord) -> Option<DeadLetter> {
    let about = |name: &str| name.strip_prefix(PREFIX) == Some(FIRST);
    let at = record.headers.iter().rposition(|(name, _)| about(name))?;
    let mut headers = record.headers;
    let context = headers.split_off(at);
    let text = |wanted: &str| {
        let found = context
            .iter()
            .find(|(name, _)| name.strip_prefix(PREFIX) == Some(wanted));
        let value = found.and_then(|(_, value)| value.as_deref());
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Some(DeadLetter {
        topic: text(FIRST)?,
        partition: text("partition")?.parse().ok()?,
        offset: text("offset")?.parse().ok()?,
        timestamp: text("timestamp").and_then(|time| time.parse().ok()),
        key: record.key,
        value: record.value,
        headers: headers
            .into_iter()
            .map(|(name, value)| (Bytes::from(name), value))
            .collect(),
        stage: text("stage").unwrap_or_default(),
        reason: text("reason").unwrap_or_default(),
        status: text("status").and_then(|status| status.parse().ok()),
        attempts: text("attempts")
            .and_then(|attempts| attempts.parse().ok())
            .unwrap_or_default(),
        input: text("input").unwrap_or_default(),
        time: record.timestamp.unwrap_or_default(),
        part: part(&text),
    })
}

/// What says which part of the record the letter is.
fn about_part(part: &LetterPart) -> Vec<(&'static str, Option<String>)> {
    match part {
        LetterPart::Record => Vec::new(),
        LetterPart::Element { number, pointer } => vec![
            ("element", Some(number.to_string())),
            ("pointer", pointer.clone()),
        ],
        LetterPart::Point {
            destination,
            category,
            from,
        } => {
            let range = |range: &OffsetRange| {
                let OffsetRange {
                    source,
                    first,
                    last,
                } = range;
                format!("{source}/{first}-{last}")
            };
            let from: Vec<String> = from.iter().map(range).collect();
            vec![
                ("category", Some(category.clone())),
                ("destination", Some(destination.clone())),
                ("from", Some(from.join(","))),
            ]
        }
    }
}

/// The part that headers tell of; `text` gives the value of one.
fn part(text: &dyn Fn(&str) -> Option<String>) -> LetterPart {
    if let Some(number) = text("element").and_then(|number| number.parse().ok()) {
        let pointer = text("pointer");
        return LetterPart::Element { number, pointer };
    }
    let (Some(category), Some(destination)) = (text("category"), text("destination")) else {
        return LetterPart::Record;
    };
    let range = |text: &str| {
        let (source, offsets) = text.rsplit_once('/')?;
        let (topic, partition) = source.rsplit_once('/')?;
        let (first, last) = offsets.split_once('-')?;
        Some(OffsetRange {
            source: TopicPartition::new(topic, partition.parse().ok()?),
            first: first.parse().ok()?,
            last: last.parse().ok()?,
        })
    };
    let from = text("from").unwrap_or_default();
    LetterPart::Point {
        destination,
        category,
        from: from.split(',').filter_map(range).collect(),
    }
}

/// The headers with which `letter` returns: its own, and the count of its returns.
pub(crate) fn returning(letter: &DeadLetter) -> Headers {
    let count = |value: &Option<Bytes>| -> Option<u32> {
        std::str::from_utf8(value.as_deref()?).ok()?.parse().ok()
    };
    let returned = own(letter)
        .filter(|(name, _)| name == REPLAY_HEADER)
        .filter_map(|(_, value)| count(&value))
        .max()
        .unwrap_or(0);
    let next = Bytes::from(returned.saturating_add(1).to_string());
    own(letter)
        .filter(|(name, _)| name != REPLAY_HEADER)
        .chain([(REPLAY_HEADER.to_owned(), Some(next))])
        .collect()
}

/// Names are text to the client; what is no UTF-8 cannot have come through it.
fn own(letter: &DeadLetter) -> impl Iterator<Item = (String, Option<Bytes>)> {
    letter.headers.iter().map(|(name, value)| {
        let name = String::from_utf8_lossy(name).into_owned();
        (name, value.clone())
    })
}
