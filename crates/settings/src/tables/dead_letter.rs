//! `[dead_letter]`: records that cannot be processed or delivered. Its keys, what they become, and how
//! they are read.

use std::path::PathBuf;

use super::keyed;
use crate::ClusterSettings;
use crate::keys::{CLUSTER, Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;
use crate::resolve::security;

/// `[dead_letter]`.
pub const DEAD_LETTER: Table = Table {
    header: "[dead_letter]",
    doc: "Records that cannot be processed or delivered, with their coordinates, the reason and their bytes.",
    takes_effect: TakesEffect::NextStart,
    groups: &[
        Group::own(&[
            Key::new("kind", Kind::Choice(&["file", "kafka", "none"]), r#""file""#, "Where they go; `none` counts and drops them."),
            Key::new("path", Kind::Path, r#""dead-letter""#, "Folder for `file`."),
            Key::new("segment_bytes", Kind::Bytes, r#""16MiB""#, "Size of one file."),
            Key::new("max_bytes", Kind::Bytes, r#""1GiB""#, "Size of all files together; when it is reached the topics stop, nothing is deleted."),
            Key::new("max_attempts", Kind::Integer, "3", "Tries after the first before a record whose processing keeps failing goes here.").takes_effect(TakesEffect::InPlace),
            Key::new("topic", Kind::Text, r#""{topic}-dead-letter""#, "Topic for `kafka`; `{topic}` in it is the topic of the record."),
            Key::new("addrs", Kind::TextList, "[]", "Brokers for `kafka`; when empty the cluster the record came from, and the keys below are unused.").receiver()
                .example(r#"["localhost:9092"]"#),
            Key::new("client_id", Kind::Text, "", "Client id for `kafka`.").example(r#""kafkamq""#),
            Key::new("librdkafka", Kind::TextTable, "{}", "Further client library options for `kafka`.")
                .example(r#"{ "linger.ms" = "5" }"#),
        ]),
        CLUSTER,
    ],
    tables: &[],
};

/// `[dead_letter]`: records that cannot be processed or delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterSettings {
    /// Where they go.
    pub kind: DeadLetterKind,
    /// Tries after the first before a record whose processing keeps failing counts as poison.
    pub max_attempts: u32,
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq)]
pub enum DeadLetterKind {
    /// Files in a folder.
    File {
        /// Folder.
        path: PathBuf,
        /// Size of one file, in bytes.
        segment_bytes: u64,
        /// Size of all files together, in bytes. When it is reached, topics stop; nothing is deleted.
        max_bytes: u64,
    },
    /// A topic.
    Kafka {
        /// Topic; `{topic}` in it is replaced by the topic of the record.
        topic: String,
        /// The cluster; `None` means the one the record came from.
        cluster: Option<Box<ClusterSettings>>,
    },
    /// Nowhere: they are counted and dropped.
    None,
}

/// Reads `[dead_letter]`.
pub(crate) fn read(section: &Section<'_>) -> Option<DeadLetterSettings> {
    #[derive(Clone, Copy)]
    enum Kind {
        File,
        Kafka,
        None,
    }
    let kind = section
        .choice(
            "kind",
            &[
                ("file", Kind::File),
                ("kafka", Kind::Kafka),
                ("none", Kind::None),
            ],
        )
        .unwrap_or(Kind::File);
    let kind = match kind {
        Kind::File => {
            let segment_bytes = section.bytes("segment_bytes");
            let max_bytes = section.bytes("max_bytes");
            if segment_bytes == 0 || max_bytes < segment_bytes {
                section.error(
                    "segment_bytes",
                    "`segment_bytes` must be between 1 and `max_bytes`",
                );
            }
            let path = section.some_path("path");
            if path.is_none() {
                section.error("path", "`path` is empty");
            }
            DeadLetterKind::File {
                path: path?,
                segment_bytes,
                max_bytes,
            }
        }
        Kind::Kafka => {
            let topic = section.text("topic");
            if topic.is_empty() {
                section.error("topic", "`topic` is empty");
            }
            let addrs = security::addrs(section, None);
            let cluster = (!addrs.is_empty()).then(|| Box::new(security::cluster(section, addrs)));
            DeadLetterKind::Kafka { topic, cluster }
        }
        Kind::None => {
            section.reader().note_value(
                section
                    .warning(
                        "kind",
                        "records that cannot be processed or delivered are dropped",
                    )
                    .with_hint("`file` keeps them in a folder, `kafka` in a topic"),
            );
            DeadLetterKind::None
        }
    };
    let max_attempts = u32::try_from(section.count("max_attempts")).unwrap_or(u32::MAX);
    Some(DeadLetterSettings { kind, max_attempts })
}

keyed!(DeadLetterSettings, DEAD_LETTER, "dead_letter" {
    kind: "kind";
    max_attempts: "max_attempts";
});
