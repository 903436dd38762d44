//! Letters as JSON, the same on the command line and over HTTP.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Entry;
use kafkamq_delivery::dead_letter::LetterPart;

/// A letter without its content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LetterSummary {
    /// What it is called.
    pub(crate) id: String,
    /// When it was given up, in RFC 3339.
    pub(crate) time: String,
    /// Where the record stood.
    pub(crate) topic: String,
    /// Where the record stood.
    pub(crate) partition: i32,
    /// Where the record stood.
    pub(crate) offset: i64,
    /// The record's own timestamp, in RFC 3339.
    pub(crate) timestamp: Option<String>,
    /// Where it failed.
    pub(crate) stage: String,
    /// Why it failed.
    pub(crate) reason: String,
    /// Last status of the destination.
    pub(crate) status: Option<u16>,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// The input it came by.
    pub(crate) input: String,
    /// Bytes of its value; null is a tombstone.
    pub(crate) value_bytes: Option<usize>,
    /// Whether it was sent back already.
    pub(crate) replayed: bool,
    /// What of the record it is: `record`, `element` or `point`.
    pub(crate) part: &'static str,
    /// The number of the element, from 0, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) element: Option<u32>,
    /// The output that would have the point, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
}

/// A letter with its content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LetterDetail {
    /// What is known about it.
    #[serde(flatten)]
    pub(crate) summary: LetterSummary,
    /// Its key; null if the record has none.
    pub(crate) key: Option<Payload>,
    /// Its value; null for a tombstone.
    pub(crate) value: Option<Payload>,
    /// Its headers in order.
    pub(crate) headers: Vec<HeaderView>,
}

/// One header.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub(crate) struct HeaderView {
    /// Name of the header.
    pub(crate) name: String,
    /// Its value; null if it has none.
    pub(crate) value: Option<Payload>,
}

/// Bytes: as text where they are UTF-8, else in base64.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    /// UTF-8.
    Text(String),
    /// Anything else, in standard base64.
    Base64(
        #[schemars(regex(
            pattern = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
        ))]
        String,
    ),
}

impl Payload {
    /// The bytes in the form that fits them.
    #[must_use]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(base64_simd::STANDARD.encode_to_string(bytes)),
        }
    }
}

impl From<&Entry> for LetterSummary {
    fn from(entry: &Entry) -> Self {
        let letter = &entry.letter;
        let (part, element, output) = match &letter.part {
            LetterPart::Record => ("record", None, None),
            LetterPart::Element { number, .. } => ("element", Some(*number), None),
            LetterPart::Point { destination, .. } => ("point", None, Some(destination.clone())),
        };
        Self {
            id: entry.id.to_string(),
            time: rfc3339(letter.time),
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            timestamp: letter.timestamp.map(rfc3339),
            stage: letter.stage.clone(),
            reason: letter.reason.clone(),
            status: letter.status,
            attempts: letter.attempts,
            input: letter.input.clone(),
            value_bytes: letter.value.as_ref().map(bytes::Bytes::len),
            replayed: entry.replayed,
            part,
            element,
            output,
        }
    }
}

impl From<&Entry> for LetterDetail {
    fn from(entry: &Entry) -> Self {
        let letter = &entry.letter;
        let headers = letter.headers.iter().map(|(name, value)| HeaderView {
            name: String::from_utf8_lossy(name).into_owned(),
            value: value.as_deref().map(Payload::of),
        });
        Self {
            summary: entry.into(),
            key: letter.key.as_deref().map(Payload::of),
            value: letter.value.as_deref().map(Payload::of),
            headers: headers.collect(),
        }
    }
}

/// Milliseconds since 1970 as RFC 3339; what no calendar holds stays a number.
fn rfc3339(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |time| time.to_string())
}
