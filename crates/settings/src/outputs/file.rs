//! `kind = "file"`: files of points on this machine.

use std::path::PathBuf;

use kafkamq_point::codec::Encoding;

use super::{KindOfOutput, OutputKind};
use crate::keys::{Group, Key, Kind};
use crate::reader::Section;

pub(super) const FILE: KindOfOutput = KindOfOutput {
    word: "file",
    keys: Group::of(
        "For `file`:",
        &[
            Key::new("path", Kind::Path, r#""output""#, "Folder."),
            Key::new(
                "rotate_bytes",
                Kind::Bytes,
                r#""64MiB""#,
                "Size at which a file is closed.",
            ),
            Key::new(
                "keep",
                Kind::Integer,
                "0",
                "Closed files that are kept per category; 0 keeps all.",
            ),
        ],
    ),
    encodings: &[Encoding::LineProtocol, Encoding::Json, Encoding::PbJson],
    read,
};

/// Files as an output, one folder per category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutput {
    /// Folder.
    pub path: PathBuf,
    /// Size at which a file is closed and the next one begun, in bytes.
    pub rotate_bytes: u64,
    /// Closed files kept per category; 0 keeps all.
    pub keep: usize,
}

fn read(section: &Section<'_>) -> Option<OutputKind> {
    let rotate_bytes = section.bytes("rotate_bytes");
    if rotate_bytes == 0 {
        section.error("rotate_bytes", "`rotate_bytes` must be at least 1");
    }
    let path = section.some_path("path");
    if path.is_none() {
        section.error("path", "`path` is empty");
    }
    Some(OutputKind::File(FileOutput {
        path: path?,
        rotate_bytes,
        keep: section.size("keep", 0),
    }))
}
