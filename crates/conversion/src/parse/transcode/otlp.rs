//! OTLP export requests in JSON to binary ones.
//!
//! The messages are those of the protocol's definition, field by field; a choice of several fields
//! is written as optional ones, which is the same on the wire and what JSON shows. JSON names are
//! in camel case, unknown ones are ignored, ids are in hexadecimal.

pub(super) mod common;
mod logs;
mod metrics;
pub(super) mod trace;

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Signal, TranscodeError, json};

/// Converts a request of `signal`.
pub(super) fn from_json(signal: Signal, value: &[u8]) -> Result<Bytes, TranscodeError> {
    match signal {
        Signal::Traces => convert::<trace::Request>(value, "resourceSpans"),
        Signal::Metrics => convert::<metrics::Request>(value, "resourceMetrics"),
        Signal::Logs => convert::<logs::Request>(value, "resourceLogs"),
    }
}

fn convert<T: Message + DeserializeOwned>(
    value: &[u8],
    list: &'static str,
) -> Result<Bytes, TranscodeError> {
    let request: T = json::message(value)?;
    let bytes = Bytes::from(request.encode_to_vec());
    if bytes.is_empty() {
        // An empty request is one; a record of something else must not pass for it.
        let members: HashMap<String, IgnoredAny> = json::message(value)?;
        if !members.contains_key(list) {
            return Err(TranscodeError::NoMember(list));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
