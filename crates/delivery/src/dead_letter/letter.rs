//! What a dead letter consists of, and its form on disk.

use bytes::Bytes;
use prost::Message as _;

/// A record that was given up, with everything that is needed to send it again and to know why.
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
    /// Its key; `None` is no key, which is not an empty one.
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
}

/// A letter in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredLetter {
    /// Its number, by which it is shown and marked.
    pub number: u64,
    /// Whether it is marked as replayed.
    pub replayed: bool,
    /// The letter.
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
}

#[derive(prost::Message)]
struct WireHeader {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    value: Option<Bytes>,
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
        ..
    } = letter;
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
    };
    out.reserve(wire.encoded_len());
    wire.encode_raw(out);
}

/// Reads the payload of a letter; `None` if it is none.
pub(super) fn decode(payload: Bytes) -> Option<(u64, DeadLetter)> {
    let wire = Wire::decode(payload).ok()?;
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
    };
    Some((wire.number, letter))
}
