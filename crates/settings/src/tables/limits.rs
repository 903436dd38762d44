//! `[limits]`: bounds of memory and batches. Its keys, what they become, and how they are read.

use super::keyed;
use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;

/// `[limits]`.
pub const LIMITS: Table = Table {
    header: "[limits]",
    doc: "Bounds of memory and batches.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "memory",
            Kind::Bytes,
            r#""256MiB""#,
            "Prefetched records, batches in flight and request bodies together. The process takes up to 128 MiB more: code, threads, buffers of the client library and free pages.",
        ),
        Key::new(
            "batch_records",
            Kind::Integer,
            "1000",
            "Most records in one batch inside the service.",
        ),
        Key::new(
            "batch_bytes",
            Kind::Bytes,
            r#""1MiB""#,
            "Most bytes of records in one batch.",
        ),
        Key::new(
            "record_bytes",
            Kind::Bytes,
            r#""64MiB""#,
            "Largest record that is processed; larger ones go to the dead letters.",
        ),
        Key::new(
            "response_bytes",
            Kind::Bytes,
            r#""4MiB""#,
            "Largest answer of a destination that is read.",
        ).takes_effect(TakesEffect::Route),
        Key::new(
            "partitions",
            Kind::Integer,
            "64",
            "Partitions that memory is planned for. More partitions work too, each with a smaller share.",
        )
        .takes_effect(TakesEffect::NextStart),
        Key::new(
            "partition_series",
            Kind::Integer,
            "1000",
            "Partitions that have metrics of their own; with more assigned, each topic has one series.",
        ).takes_effect(TakesEffect::NextStart),
    ])],
    tables: &[],
};

/// `[limits]`: bounds of memory and batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Bytes for prefetch, batches in flight and request bodies together.
    pub memory_bytes: u64,
    /// Records that travel together.
    pub batch_records: usize,
    /// Bytes of values that travel together.
    pub batch_bytes: u64,
    /// Largest record that is processed, in bytes; larger ones go to the dead letters.
    pub record_bytes: u64,
    /// Largest answer of a destination that is read, in bytes.
    pub response_bytes: u64,
    /// Partitions one process plans its memory for, all inputs together.
    pub partitions: usize,
    /// Partitions that have metrics of their own; above that each topic has.
    pub partition_series: usize,
}

impl LimitSettings {
    /// The bytes that may wait for all outputs together that are not required: little enough that
    /// records go on while none of these outputs takes anything.
    #[must_use]
    pub const fn backlog_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }
}

/// Least room for prefetched records of one partition, in bytes. A fetch that brings a larger batch
/// takes more.
const LEAST_PREFETCH: u64 = 256 * 1024;

/// Reads `[limits]`.
pub(crate) fn read(section: &Section<'_>) -> LimitSettings {
    const LEAST_MEMORY: u64 = 16 << 20;
    let memory_bytes = section.bytes("memory");
    if memory_bytes < LEAST_MEMORY {
        section.error("memory", "`memory` must be at least 16MiB");
    }
    let batch_bytes = section.bytes("batch_bytes");
    if batch_bytes == 0 || batch_bytes > memory_bytes / 4 {
        section.error(
            "batch_bytes",
            "`batch_bytes` must be between 1 and a quarter of `memory`",
        );
    }
    let record_bytes = section.bytes("record_bytes");
    if record_bytes == 0 {
        section.error("record_bytes", "`record_bytes` must be at least 1");
    } else if record_bytes > memory_bytes {
        section.error("record_bytes", "`record_bytes` must not exceed `memory`");
    }
    let partitions = section.size("partitions", 1);
    let floor = (partitions as u64).saturating_mul(LEAST_PREFETCH);
    if floor > memory_bytes / 2 {
        let (floor, half) = (floor >> 20, memory_bytes >> 21);
        section.reader().note_value(section.warning(
            "partitions",
            format!(
                "records prefetched for {partitions} partitions may take {floor} MiB, more than the {half} MiB that `memory` leaves for them"
            ),
        ));
    }
    LimitSettings {
        memory_bytes,
        batch_records: section.size("batch_records", 1),
        batch_bytes,
        record_bytes,
        response_bytes: section.bytes("response_bytes"),
        partitions,
        partition_series: section.size("partition_series", 0),
    }
}

keyed!(LimitSettings, LIMITS, "limits" {
    memory_bytes: "memory";
    batch_records: "batch_records";
    batch_bytes: "batch_bytes";
    record_bytes: "record_bytes";
    response_bytes: "response_bytes";
    partitions: "partitions";
    partition_series: "partition_series";
});
