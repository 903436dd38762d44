//! A record as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use crate::controls::TappedRecord;
use crate::dead_letters::Payload;

/// A record as it was read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RecordView {
    /// The topic it was read from.
    topic: String,
    /// The partition of that topic.
    partition: i32,
    /// Its offset in the partition.
    offset: i64,
    /// Milliseconds since the Unix epoch.
    timestamp_ms: Option<i64>,
    /// Its key; null is not a key.
    key: Option<Payload>,
    /// The first 64 of its headers, in order.
    headers: Vec<HeaderView>,
    /// How many headers it has.
    header_count: usize,
    /// Its value, or the beginning of it; null is a tombstone.
    value: Option<Payload>,
    /// Length of the whole value.
    value_bytes: usize,
}

/// A header of a record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecordHeader")]
struct HeaderView {
    /// Name of the header.
    name: String,
    /// Its value.
    value: Option<Payload>,
}

impl RecordView {
    pub(super) fn of(topic: &str, record: &TappedRecord) -> Self {
        let payload = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Payload::of);
        Self {
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: payload(&record.key),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| HeaderView {
                    name: name.clone(),
                    value: payload(value),
                })
                .collect(),
            header_count: record.header_count,
            value: payload(&record.value),
            value_bytes: record.value_bytes,
        }
    }
}
