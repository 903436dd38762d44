//! Dead letters of records and of their parts.

use bytes::Bytes;
use kafkamq_point::Point;

use crate::parse::Elements;
use crate::route::{InputId, OutputRoute};
use crate::scripts::shown;
use kafkamq_delivery::dead_letter::{DeadLetter, LetterPart};
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_record::{Record, TopicPartition};
use kafkamq_settings::SplitFormat;

/// Why and when something was given up.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// Where it failed.
    pub stage: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Milliseconds since 1970.
    pub time_ms: i64,
}

/// A record with what names it.
#[derive(Clone, Copy)]
pub struct RecordOrigin<'a> {
    /// The input that read it.
    pub input: &'a InputId,
    /// The partition it was read from.
    pub source: &'a TopicPartition,
    /// The record itself: offset, timestamp, key, value and headers.
    pub record: Record<'a>,
}

/// The letter of a whole record.
pub fn record_letter(origin: RecordOrigin<'_>, cause: Cause<'_>) -> DeadLetter {
    let RecordOrigin {
        input,
        source,
        record,
    } = origin;
    DeadLetter {
        input: input.to_string(),
        topic: source.topic.to_string(),
        partition: source.partition,
        offset: record.offset(),
        timestamp: record.timestamp_ms(),
        key: record.key().map(Bytes::copy_from_slice),
        value: record.value_bytes(),
        headers: record
            .headers()
            .map(|(name, value)| {
                (
                    Bytes::copy_from_slice(name.as_bytes()),
                    value.map(Bytes::copy_from_slice),
                )
            })
            .collect(),
        stage: cause.stage.to_owned(),
        reason: cause.reason.to_owned(),
        status: None,
        attempts: 1,
        time: cause.time_ms,
        part: LetterPart::Record,
    }
}

/// The letter of one element of a record, by itself.
pub(super) fn element_letter(
    origin: RecordOrigin<'_>,
    cause: Cause<'_>,
    number: u32,
    element: &[u8],
    format: &SplitFormat,
) -> DeadLetter {
    let whole = origin.record.value_bytes().unwrap_or_default();
    let is_slice = whole.as_ptr_range().contains(&element.as_ptr());
    DeadLetter {
        // A slice of the record, so that nothing is copied.
        value: Some(match is_slice {
            true => whole.slice_ref(element),
            false => Bytes::copy_from_slice(element),
        }),
        part: LetterPart::Element {
            number,
            pointer: match format {
                SplitFormat::JsonArray { pointer } => Some(pointer.clone()),
                SplitFormat::NdJson => None,
            },
        },
        ..record_letter(origin, cause)
    }
}

/// The records that a request asked about.
#[derive(Clone)]
pub struct AskedAbout<'a> {
    /// The first of them, whose coordinates the letter carries.
    pub first: Option<RecordOrigin<'a>>,
    /// All of them.
    pub ranges: Vec<OffsetRange>,
}

/// The letter of a point by itself, as `output` would get it; `None` if its encoding cannot hold it.
pub(super) fn point_letter(
    origin: RecordOrigin<'_>,
    cause: Cause<'_>,
    point: &Point,
    output: &OutputRoute,
) -> Option<DeadLetter> {
    output.endpoint(point.category())?;
    let offset = origin.record.offset();
    let asked = AskedAbout {
        first: Some(origin),
        ranges: vec![OffsetRange {
            source: origin.source.clone(),
            first: offset,
            last: offset,
        }],
    };
    answer_letter(&asked, cause, point, Some(output))
}

/// The letter of a point of an answer, as `output` would get it; `None` if its encoding cannot hold
/// it. Without an output the letter holds the point as JSON, for people.
pub(super) fn answer_letter(
    asked: &AskedAbout<'_>,
    cause: Cause<'_>,
    point: &Point,
    output: Option<&OutputRoute>,
) -> Option<DeadLetter> {
    let mut encoded = Vec::new();
    match output {
        Some(output) => output.encoding.encode(point, &mut encoded).ok()?,
        None => encoded.extend(shown(point).to_string().into_bytes()),
    }
    let destination = output.map(|output| output.destination.to_string());
    let part = LetterPart::Point {
        destination: destination.unwrap_or_default(),
        category: point.category().name().to_owned(),
        from: asked.ranges.clone(),
    };
    Some(letter_of_point(asked, cause, encoded.into(), part))
}

/// The letter of an encoded point.
pub fn letter_of_point(
    asked: &AskedAbout<'_>,
    cause: Cause<'_>,
    encoded: Bytes,
    part: LetterPart,
) -> DeadLetter {
    let first = asked.first.as_ref();
    DeadLetter {
        input: first
            .map(|first| first.input.to_string())
            .unwrap_or_default(),
        topic: first
            .map(|first| first.source.topic.to_string())
            .unwrap_or_default(),
        partition: first
            .map(|first| first.source.partition)
            .unwrap_or_default(),
        offset: first.map(|first| first.record.offset()).unwrap_or_default(),
        timestamp: first.and_then(|first| first.record.timestamp_ms()),
        key: None,
        value: Some(encoded),
        headers: Vec::new(),
        stage: cause.stage.to_owned(),
        reason: cause.reason.to_owned(),
        status: None,
        attempts: 1,
        time: cause.time_ms,
        part,
    }
}

/// The letter of element `number` of a record, found in it again; of the record, if it is not there.
pub fn letter_of_element(
    origin: RecordOrigin<'_>,
    cause: Cause<'_>,
    number: u32,
    format: &SplitFormat,
) -> Option<DeadLetter> {
    let value = origin.record.value().unwrap_or_default();
    let found = Elements::of(value, format)
        .ok()?
        .all(value)
        .nth(number as usize);
    Some(match found {
        Some(element) => element_letter(origin, cause, number, element, format),
        None => record_letter(origin, cause),
    })
}
