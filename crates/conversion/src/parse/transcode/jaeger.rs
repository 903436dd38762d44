//! One Jaeger `model.Span`, as protobuf or JSON, to a Thrift `Batch` of its process and itself, or
//! to an OTLP request.
//!
//! Text stays bytes all the way: Jaeger's own writers do not check that it is UTF-8, and a span
//! must not be lost for a broken character. Warnings and the process id have no place in a batch.

mod otlp;
pub(super) mod span;
pub(super) mod span_json;

use bytes::Bytes;
use prost::Message as _;

use super::thrift::Writer;
use super::{Form, TranscodeError, json};
use kafkamq_settings::SpanTarget;
use span::{KeyValue, Span};
use span_json::SpanJson;

/// Converts a binary span.
pub(super) fn from_protobuf(
    value: &Bytes,
    to: SpanTarget,
) -> Result<(Form, Bytes), TranscodeError> {
    let span = Span::decode(value.clone()).map_err(TranscodeError::Protobuf)?;
    convert(&span, to, value.len())
}

/// Converts a JSON span.
pub(super) fn from_json(value: &[u8], to: SpanTarget) -> Result<(Form, Bytes), TranscodeError> {
    let span: SpanJson = json::message(value)?;
    convert(&span.into_span()?, to, value.len())
}

fn convert(span: &Span, to: SpanTarget, length: usize) -> Result<(Form, Bytes), TranscodeError> {
    match to {
        SpanTarget::Thrift => Ok((Form::JaegerThrift, batch(span, length)?)),
        SpanTarget::Otlp => Ok((Form::OtlpProto, otlp::request(span)?)),
    }
}

/// Field numbers are those of `jaeger.thrift`.
fn batch(span: &Span, length: usize) -> Result<Bytes, TranscodeError> {
    let trace = trace_id(&span.trace_id)?;
    let id = span_id(&span.span_id)?;
    let references = span
        .references
        .iter()
        .map(|reference| {
            let ids = (trace_id(&reference.trace_id)?, span_id(&reference.span_id)?);
            Ok((reference.ref_type, ids))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let parent = references
        .iter()
        .find(|(kind, (of, _))| *kind == span::CHILD_OF && *of == trace)
        .map_or(0, |(_, (_, id))| *id);
    let process = span.process.as_ref();

    let mut out = Writer::with_capacity(length + length / 2 + 128);
    out.structure(1, |out| {
        out.string(1, process.map_or(&[][..], |process| &process.service_name));
        if let Some(process) = process.filter(|process| !process.tags.is_empty()) {
            out.list(2, &process.tags, tag);
        }
    });
    out.list(2, &[()], |out, ()| {
        out.i64(1, low(trace));
        out.i64(2, high(trace));
        out.i64(3, id);
        out.i64(4, parent);
        out.string(5, &span.operation_name);
        if !references.is_empty() {
            out.list(6, &references, |out, (kind, (trace, id))| {
                out.i32(1, *kind);
                out.i64(2, low(*trace));
                out.i64(3, high(*trace));
                out.i64(4, *id);
            });
        }
        out.i32(7, span.flags.cast_signed());
        out.i64(8, span.start_time.unwrap_or_default().micros());
        out.i64(9, span.duration.unwrap_or_default().micros());
        if !span.tags.is_empty() {
            out.list(10, &span.tags, tag);
        }
        if !span.logs.is_empty() {
            out.list(11, &span.logs, |out, log| {
                out.i64(1, log.timestamp.unwrap_or_default().micros());
                out.list(2, &log.fields, tag);
            });
        }
    });
    Ok(out.finish())
}

/// The model and Thrift number the types differently. An unknown type is read as text.
fn tag(out: &mut Writer, tag: &KeyValue) {
    out.string(1, &tag.key);
    match tag.v_type {
        span::FLOAT64 => {
            out.i32(2, 1);
            out.double(4, tag.v_float64);
        }
        span::BOOL => {
            out.i32(2, 2);
            out.bool(5, tag.v_bool);
        }
        span::INT64 => {
            out.i32(2, 3);
            out.i64(6, tag.v_int64);
        }
        span::BINARY => {
            out.i32(2, 4);
            out.string(7, &tag.v_binary);
        }
        _ => {
            out.i32(2, 0);
            out.string(3, &tag.v_str);
        }
    }
}

/// 1 to 16 bytes, the last one lowest.
fn trace_id(bytes: &[u8]) -> Result<u128, TranscodeError> {
    id_bytes("trace id", bytes).map(u128::from_be_bytes)
}

/// 1 to 8 bytes, the last one lowest.
fn span_id(bytes: &[u8]) -> Result<i64, TranscodeError> {
    id_bytes("span id", bytes).map(i64::from_be_bytes)
}

fn id_bytes<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], TranscodeError> {
    let length = bytes.len();
    let mut id = [0; N];
    match N.checked_sub(length).and_then(|at| id.get_mut(at..)) {
        Some(room) if length > 0 => room.copy_from_slice(bytes),
        _ => return Err(TranscodeError::Id { what, length }),
    }
    Ok(id)
}

const fn low(trace: u128) -> i64 {
    trace as i64
}

const fn high(trace: u128) -> i64 {
    (trace >> 64) as i64
}

#[cfg(test)]
mod tests;
