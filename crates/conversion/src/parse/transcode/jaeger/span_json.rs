//! A span as Jaeger writes it in JSON: ids and binary tags in base64, the start as an RFC 3339
//! time, the duration as seconds with an `s`, 64-bit integers as text. Names are in camel case or
//! as the protobuf definition has them; unknown ones are ignored.

use bytes::Bytes;
use serde::Deserialize;

use super::super::TranscodeError;
use super::super::json::{base64, float, int, or_default};
use super::span::{self, Instant, KeyValue, Log, Process, Span, SpanRef};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SpanJson {
    #[serde(alias = "trace_id", deserialize_with = "base64")]
    pub(crate) trace_id: Vec<u8>,
    #[serde(alias = "span_id", deserialize_with = "base64")]
    pub(crate) span_id: Vec<u8>,
    #[serde(alias = "operation_name", deserialize_with = "or_default")]
    pub(crate) operation_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) references: Vec<ReferenceJson>,
    #[serde(deserialize_with = "int")]
    pub(crate) flags: u32,
    #[serde(alias = "start_time")]
    pub(crate) start_time: Option<String>,
    pub(crate) duration: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tags: Vec<TagJson>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) logs: Vec<LogJson>,
    pub(crate) process: Option<ProcessJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReferenceJson {
    #[serde(alias = "trace_id", deserialize_with = "base64")]
    pub(crate) trace_id: Vec<u8>,
    #[serde(alias = "span_id", deserialize_with = "base64")]
    pub(crate) span_id: Vec<u8>,
    #[serde(alias = "ref_type", deserialize_with = "or_default")]
    pub(crate) ref_type: Named,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TagJson {
    #[serde(deserialize_with = "or_default")]
    pub(crate) key: String,
    #[serde(alias = "v_type", deserialize_with = "or_default")]
    pub(crate) v_type: Named,
    #[serde(alias = "v_str", deserialize_with = "or_default")]
    pub(crate) v_str: String,
    #[serde(alias = "v_bool", deserialize_with = "or_default")]
    pub(crate) v_bool: bool,
    #[serde(alias = "v_int64", deserialize_with = "int")]
    pub(crate) v_int64: i64,
    #[serde(alias = "v_float64", deserialize_with = "float")]
    pub(crate) v_float64: f64,
    #[serde(alias = "v_binary", deserialize_with = "base64")]
    pub(crate) v_binary: Vec<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LogJson {
    pub(crate) timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) fields: Vec<TagJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProcessJson {
    #[serde(alias = "service_name", deserialize_with = "or_default")]
    pub(crate) service_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tags: Vec<TagJson>,
}

/// A number of one of the two enums, given as a number or by name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrName")]
pub(crate) struct Named(pub(crate) i32);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(i32),
    Name(String),
}

impl TryFrom<NumberOrName> for Named {
    type Error = String;

    fn try_from(value: NumberOrName) -> Result<Self, String> {
        let name = match value {
            NumberOrName::Number(number) => return Ok(Self(number)),
            NumberOrName::Name(name) => name,
        };
        match name.as_str() {
            "CHILD_OF" => Ok(Self(span::CHILD_OF)),
            "FOLLOWS_FROM" => Ok(Self(span::FOLLOWS_FROM)),
            "STRING" => Ok(Self(span::STRING)),
            "BOOL" => Ok(Self(span::BOOL)),
            "INT64" => Ok(Self(span::INT64)),
            "FLOAT64" => Ok(Self(span::FLOAT64)),
            "BINARY" => Ok(Self(span::BINARY)),
            _ => Err(format!("`{name}` is not a type of a reference or tag")),
        }
    }
}

impl SpanJson {
    /// The span that the JSON describes.
    ///
    /// # Errors
    /// Text that cannot be read as a time or duration.
    pub(crate) fn into_span(self) -> Result<Span, TranscodeError> {
        let logs = self
            .logs
            .into_iter()
            .map(|log| {
                Ok(Log {
                    timestamp: log.timestamp.as_deref().map(time).transpose()?,
                    fields: tags(log.fields),
                })
            })
            .collect::<Result<_, TranscodeError>>()?;
        Ok(Span {
            trace_id: self.trace_id.into(),
            span_id: self.span_id.into(),
            operation_name: self.operation_name.into(),
            references: self
                .references
                .into_iter()
                .map(|reference| SpanRef {
                    trace_id: reference.trace_id.into(),
                    span_id: reference.span_id.into(),
                    ref_type: reference.ref_type.0,
                })
                .collect(),
            flags: self.flags,
            start_time: self.start_time.as_deref().map(time).transpose()?,
            duration: self.duration.as_deref().map(duration).transpose()?,
            tags: tags(self.tags),
            logs,
            process: self.process.map(|process| Process {
                service_name: process.service_name.into(),
                tags: tags(process.tags),
            }),
        })
    }
}

fn tags(tags: Vec<TagJson>) -> Vec<KeyValue> {
    tags.into_iter()
        .map(|tag| KeyValue {
            key: Bytes::from(tag.key),
            v_type: tag.v_type.0,
            v_str: tag.v_str.into(),
            v_bool: tag.v_bool,
            v_int64: tag.v_int64,
            v_float64: tag.v_float64,
            v_binary: tag.v_binary.into(),
        })
        .collect()
}

/// An RFC 3339 time.
///
/// # Errors
/// Any other text.
pub(crate) fn time(text: &str) -> Result<Instant, TranscodeError> {
    let found: jiff::Timestamp = text.parse().map_err(|_| TranscodeError::Time {
        what: "time",
        text: text.to_owned(),
    })?;
    // The parts have the same sign; the message wants nanoseconds that count forward.
    let nanos = found.subsec_nanosecond();
    Ok(Instant {
        seconds: found.as_second() - i64::from(nanos < 0),
        nanos: nanos + if nanos < 0 { 1_000_000_000 } else { 0 },
    })
}

/// Seconds with up to nine decimals and an `s`.
///
/// # Errors
/// Any other text.
pub(crate) fn duration(text: &str) -> Result<Instant, TranscodeError> {
    read_duration(text).ok_or_else(|| TranscodeError::Time {
        what: "duration",
        text: text.to_owned(),
    })
}

fn read_duration(text: &str) -> Option<Instant> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 9 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{decimals:0<9}").parse().ok()?;
    Some(Instant {
        seconds: sign * seconds,
        nanos: i32::try_from(sign).ok()? * nanos,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_keep_their_nanoseconds() {
        let instant = |seconds, nanos| Instant { seconds, nanos };
        assert_eq!(
            time("2024-05-06T07:08:09.000000001Z").unwrap(),
            instant(1_714_979_289, 1)
        );
        assert_eq!(
            time("2024-05-06T09:08:09+02:00").unwrap(),
            instant(1_714_979_289, 0)
        );
        assert_eq!(
            time("1969-12-31T23:59:59.5Z").unwrap(),
            instant(-1, 500_000_000)
        );
        assert_eq!(duration("0.001s").unwrap(), instant(0, 1_000_000));
        assert_eq!(duration("3s").unwrap(), instant(3, 0));
        assert_eq!(duration("-1.5s").unwrap(), instant(-1, -500_000_000));
        for wrong in ["", "s", "1", "1.s5", "1e3s", "+1s", "1.0000000000s", "1m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(time("yesterday").is_err());
    }
}
