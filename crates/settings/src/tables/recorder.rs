//! `[recorder]`: copies of outgoing points. Its keys, what they become, and how they are read.

use std::path::PathBuf;
use std::time::Duration;

use kafkamq_point::Category;

use super::categories;
use super::keyed;
use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;

/// `[recorder]`.
pub const RECORDER: Table = Table {
    header: "[recorder]",
    doc: "Copies of outgoing points in files, to see what a script makes of records. Switch it off afterwards.",
    takes_effect: TakesEffect::NextStart,
    groups: &[Group::own(&[
        Key::new("enabled", Kind::Flag, "false", "Whether it runs."),
        Key::new(
            "path",
            Kind::Path,
            r#""recorder""#,
            "Folder; one folder per category in it.",
        ),
        Key::new(
            "encoding",
            Kind::Choice(&["v2", "v1"]),
            r#""v2""#,
            "`v2` is JSON of the protobuf messages, `v1` line protocol.",
        ),
        Key::new(
            "duration",
            Kind::Duration,
            r#""30m""#,
            "Time from start after which it stops; 0 is unlimited.",
        ),
        Key::new(
            "inputs",
            Kind::TextList,
            "[]",
            "Feeds that are recorded, with `*` as wildcard, such as `kafkamq.app-*`; empty is all.",
        ),
        Key::new(
            "categories",
            Kind::TextList,
            "[]",
            "Categories that are recorded; empty is all.",
        ),
        Key::new(
            "rotate_bytes",
            Kind::Bytes,
            r#""64MiB""#,
            "Size at which a file is closed and the next one begun.",
        ),
        Key::new(
            "max_bytes",
            Kind::Bytes,
            r#""1GiB""#,
            "Size of everything one run writes; then it stops.",
        ),
    ])],
    tables: &[],
};

/// `[recorder]`: copies of outgoing points.
#[derive(Debug, Clone, PartialEq)]
pub struct RecorderSettings {
    /// Whether it runs.
    pub enabled: bool,
    /// Folder.
    pub path: PathBuf,
    /// Format of the files.
    pub encoding: RecorderEncoding,
    /// Time from start after which it stops; `None` is unlimited.
    pub duration: Option<Duration>,
    /// Patterns of feed names such as `kafkamq.*`; empty means all.
    pub inputs: Vec<String>,
    /// Categories; empty means all.
    pub categories: Vec<Category>,
    /// Size at which a file is closed and the next one begun, in bytes.
    pub rotate_bytes: u64,
    /// Size of everything one run writes, in bytes; then it stops.
    pub max_bytes: u64,
}

/// Format of recorder files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecorderEncoding {
    /// Line protocol (`v1`).
    LineProtocol,
    /// Protobuf messages as JSON (`v2`).
    #[default]
    PbJson,
}

/// Reads `[recorder]`.
pub(crate) fn read(section: &Section<'_>) -> RecorderSettings {
    let duration = section.duration("duration");
    RecorderSettings {
        enabled: section.flag("enabled"),
        path: section
            .some_path("path")
            .unwrap_or_else(|| "recorder".into()),
        encoding: section
            .choice(
                "encoding",
                &[
                    ("v2", RecorderEncoding::PbJson),
                    ("v1", RecorderEncoding::LineProtocol),
                ],
            )
            .unwrap_or_default(),
        duration: (!duration.is_zero()).then_some(duration),
        inputs: section.list("inputs"),
        categories: categories(section, "categories"),
        rotate_bytes: section.bytes("rotate_bytes").max(1),
        max_bytes: section.bytes("max_bytes"),
    }
}

keyed!(RecorderSettings, RECORDER, "recorder" {
    enabled: "enabled";
    path: "path";
    encoding: "encoding";
    duration: "duration";
    inputs: "inputs";
    categories: "categories";
    rotate_bytes: "rotate_bytes";
    max_bytes: "max_bytes";
});
