//! Where ids stand in SkyWalking messages.

use prost::{DecodeError, Message};

use super::found::{Found, id_of};
use crate::record::RECORD_ID_KEY;
use crate::wire::skywalking::{
    JvmMetricCollection, KeyStringValuePair, LogContent, LogData, SegmentObject, ThreadSnapshot,
};

/// What the logging route makes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogOutcome {
    /// It holds text, and is answered 200.
    Taken(Found),
    /// No body, or one without text: answered 200, refused inside.
    NoText,
}

fn pairs(tags: &[KeyStringValuePair]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_str()))
}

pub(super) fn segment(body: &[u8]) -> Result<Found, DecodeError> {
    let message = SegmentObject::decode(body)?;
    let mut found = Found::default();
    found.push(
        message
            .spans
            .iter()
            .find_map(|span| id_of(pairs(&span.tags))),
    );
    if message.trace_id.is_empty() || message.trace_segment_id.is_empty() {
        found.note("segment without trace id or segment id");
    }
    Ok(found)
}

pub(super) fn jvm_metric(body: &[u8]) -> Result<Found, DecodeError> {
    let message = JvmMetricCollection::decode(body)?;
    let mut found = Found::default();
    found.push(message.service_instance.parse().ok());
    if message.metrics.is_empty() {
        found.note("no metrics in the collection");
    }
    Ok(found)
}

pub(super) fn log(body: &[u8]) -> Result<LogOutcome, DecodeError> {
    let message = LogData::decode(body)?;
    let Some(body) = message.body else {
        return Ok(LogOutcome::NoText);
    };
    let text = match &body.content {
        Some(LogContent::Text(text) | LogContent::Json(text) | LogContent::Yaml(text)) => {
            &text.text
        }
        None => return Ok(LogOutcome::NoText),
    };
    if text.is_empty() {
        return Ok(LogOutcome::NoText);
    }
    let mut found = Found::default();
    let tags = message.tags.unwrap_or_default().data;
    let id = tags
        .iter()
        .find(|pair| pair.key == RECORD_ID_KEY)
        .map(|pair| pair.value.as_str());
    found.item(id, Some(text));
    Ok(LogOutcome::Taken(found))
}

pub(super) fn thread_snapshot(body: &[u8]) -> Result<Found, DecodeError> {
    let message = ThreadSnapshot::decode(body)?;
    let mut found = Found::default();
    let stack = message.stack.unwrap_or_default().code_signatures;
    found.push(stack.iter().find_map(|signature| signature.parse().ok()));
    Ok(found)
}
