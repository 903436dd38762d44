//! What a dead letter consists of, and its form on disk.

use bytes::Bytes;
use prost::Message as _;

use crate::endpoint::OffsetRange;
use kafkamq_record::TopicPartition;

/// What of a record was given up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum LetterPart {
    /// All of it. Letters of older versions are all of this kind.
    #[default]
    Record,
    /// One element, whose bytes are the value of the letter; the others went on.
    Element {
        /// Its number in the record, from 0.
        number: u32,
        /// JSON pointer of the array that holds it; `None` if it is a line.
        pointer: Option<String>,
    },
    /// One point, whose encoding is the value of the letter.
    Point {
        /// The output that would have it; empty if no encoding can hold it.
        destination: String,
        /// The category of the point, such as `metric`.
        category: String,
        /// The records it was made of, or that were asked about.
        from: Vec<OffsetRange>,
    },
}

/// A record that was given up, or a part of one, with everything that is needed to send it again and to know why.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeadLetter {
    /// Topic it came from.
    pub topic: String,
    /// Partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its Kafka timestamp in milliseconds, if it has one.
    pub timestamp: Option<i64>,
    /// Its key. `None` means that the record has none, which differs from an empty key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone, which is not an empty value.
    pub value: Option<Bytes>,
    /// Its headers in order, repeated names included. Names and values are bytes.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Where it failed: `decode`, `script`, `delivery` and the like.
    pub stage: String,
    /// Why it failed.
    pub reason: String,
    /// Last status code of the destination, if there was one.
    pub status: Option<u16>,
    /// How often delivery was tried.
    pub attempts: u32,
    /// Name of the input it came through.
    pub input: String,
    /// When it was given up, in milliseconds since 1970.
    pub time: i64,
    /// What of the record it is.
    pub part: LetterPart,
}

/// A letter in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredLetter {
    /// Its number, by which it is shown and marked.
    pub number: u64,
    /// Whether it is marked as replayed.
    pub replayed: bool,
    /// What was written: the record or the part of one, and why.
    pub letter: DeadLetter,
}

/// The payload of an entry. Fields are never renumbered: stores outlive versions.
#[derive(prost::Message)]
struct Wire {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(int32, tag = "3")]
    partition: i32,
    #[prost(int64, tag = "4")]
    offset: i64,
    #[prost(sint64, optional, tag = "5")]
    timestamp: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    key: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    value: Option<Bytes>,
    #[prost(message, repeated, tag = "8")]
    headers: Vec<WireHeader>,
    #[prost(string, tag = "9")]
    stage: String,
    #[prost(string, tag = "10")]
    reason: String,
    #[prost(uint32, optional, tag = "11")]
    status: Option<u32>,
    #[prost(uint32, tag = "12")]
    attempts: u32,
    #[prost(string, tag = "13")]
    input: String,
    #[prost(int64, tag = "14")]
    time: i64,
    #[prost(message, optional, tag = "15")]
    element: Option<WireElement>,
    #[prost(message, optional, tag = "16")]
    point: Option<WirePoint>,
}

#[derive(prost::Message)]
struct WireElement {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, optional, tag = "2")]
    pointer: Option<String>,
}

#[derive(prost::Message)]
struct WirePoint {
    #[prost(string, tag = "1")]
    destination: String,
    #[prost(string, tag = "2")]
    category: String,
    #[prost(message, repeated, tag = "3")]
    from: Vec<WireRange>,
}

#[derive(prost::Message)]
struct WireRange {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(int32, tag = "2")]
    partition: i32,
    #[prost(int64, tag = "3")]
    first: i64,
    #[prost(int64, tag = "4")]
    last: i64,
}

#[derive(prost::Message)]
struct WireHeader {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    value: Option<Bytes>,
}

impl From<&OffsetRange> for WireRange {
    fn from(range: &OffsetRange) -> Self {
        Self {
            topic: range.source.topic.to_string(),
            partition: range.source.partition,
            first: range.first,
            last: range.last,
        }
    }
}

impl From<WireRange> for OffsetRange {
    fn from(range: WireRange) -> Self {
        Self {
            source: TopicPartition::new(range.topic, range.partition),
            first: range.first,
            last: range.last,
        }
    }
}

/// Appends the payload of a letter to `out`.
pub(super) fn encode(number: u64, letter: &DeadLetter, out: &mut Vec<u8>) {
    let DeadLetter {
        topic,
        partition,
        offset,
        timestamp,
        key,
        value,
        headers,
        ..
    } = letter.clone();
    let DeadLetter {
        stage,
        reason,
        status,
        attempts,
        input,
        time,
        part,
        ..
    } = letter;
    let (mut element, mut point) = (None, None);
    match part {
        LetterPart::Record => {}
        LetterPart::Element { number, pointer } => {
            element = Some(WireElement {
                number: *number,
                pointer: pointer.clone(),
            });
        }
        LetterPart::Point {
            destination,
            category,
            from,
        } => {
            point = Some(WirePoint {
                destination: destination.clone(),
                category: category.clone(),
                from: from.iter().map(WireRange::from).collect(),
            });
        }
    }
    let wire = Wire {
        number,
        topic,
        partition,
        offset,
        timestamp,
        key,
        value,
        headers: headers
            .into_iter()
            .map(|(name, value)| WireHeader { name, value })
            .collect(),
        stage: stage.clone(),
        reason: reason.clone(),
        status: status.map(u32::from),
        attempts: *attempts,
        input: input.clone(),
        time: *time,
        element,
        point,
    };
    out.reserve(wire.encoded_len());
    wire.encode_raw(out);
}

/// Reads the payload of a letter; `None` if it is not one.
pub(super) fn decode(payload: Bytes) -> Option<(u64, DeadLetter)> {
    let wire = Wire::decode(payload).ok()?;
    let part = match (wire.element, wire.point) {
        (_, Some(point)) => LetterPart::Point {
            destination: point.destination,
            category: point.category,
            from: point.from.into_iter().map(OffsetRange::from).collect(),
        },
        (Some(element), None) => LetterPart::Element {
            number: element.number,
            pointer: element.pointer,
        },
        (None, None) => LetterPart::Record,
    };
    let letter = DeadLetter {
        topic: wire.topic,
        partition: wire.partition,
        offset: wire.offset,
        timestamp: wire.timestamp,
        key: wire.key,
        value: wire.value,
        headers: wire
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        stage: wire.stage,
        reason: wire.reason,
        status: wire.status.and_then(|status| u16::try_from(status).ok()),
        attempts: wire.attempts,
        input: wire.input,
        time: wire.time,
        part,
    };
    Some((wire.number, letter))
}
