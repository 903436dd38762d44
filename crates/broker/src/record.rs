//! A record as the in-process side sees it.

use bytes::Bytes;

/// One record, as appended with [`Broker::append_records`](crate::Broker::append_records) or read back with
/// [`Broker::records`](crate::Broker::records).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Offset in its partition; ignored when appending.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The key, none when null.
    pub key: Option<Bytes>,
    /// The value, none for a tombstone.
    pub value: Option<Bytes>,
    /// Names and values in the order of the record; names may repeat, values may be null.
    pub headers: Vec<(String, Option<Bytes>)>,
}
