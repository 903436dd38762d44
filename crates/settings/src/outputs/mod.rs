//! `[output]` and `[[output]]`: where points go. Each kind of output has a file here with its keys,
//! what they become, and how they are read; `KINDS` is the list of them. What is the same for every
//! kind stands in this file, what all kinds share that send HTTP requests in `http`.

mod datakit;
mod dataway;
mod file;
mod http;
mod influxdb;
mod kafka;
mod stdout;

use std::time::Duration;

use kafkamq_point::Category;
use kafkamq_point::codec::Encoding;

pub use dataway::DatawayOutput;
pub use file::FileOutput;
pub use kafka::{KafkaOutput, OriginParts};

use crate::diagnostic::Diagnostic;
use crate::document::Part;
use crate::keys::{CLUSTER, Group, HTTP, Key, Kind, Table, TakesEffect};
use crate::reader::Section;
use crate::tables::categories;
use crate::{HttpSettings, LimitSettings};

/// How an output is reached: one variant a kind.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputKind {
    /// The write interface of a DataKit agent, `POST /v1/write/{category}`.
    Datakit(Box<HttpSettings>),
    /// The centre behind the agent: the same interface with a token.
    Dataway(Box<DatawayOutput>),
    /// Any InfluxDB-style line protocol endpoint. The endpoint is the full write URL.
    Influxdb(Box<HttpSettings>),
    /// Another topic.
    Kafka(Box<KafkaOutput>),
    /// Files, one folder per category.
    File(FileOutput),
    /// Standard output, one line per point.
    Stdout,
}

/// Every kind, in the order of the manual.
const KINDS: &[&KindOfOutput] = &[
    &datakit::DATAKIT,
    &dataway::DATAWAY,
    &influxdb::INFLUXDB,
    &kafka::KAFKA,
    &file::FILE,
    &stdout::STDOUT,
];

/// What a kind says of itself.
struct KindOfOutput {
    /// Its word in `kind`.
    word: &'static str,
    /// The keys that only it has.
    keys: Group,
    /// Wire formats that it takes; the first is the default.
    encodings: &'static [Encoding],
    /// Reads its keys. `None` after an error that leaves nothing to go on with.
    read: fn(&Section<'_>) -> Option<OutputKind>,
}

/// `[output]`, or several `[[output]]`.
pub const OUTPUT: Table = Table {
    header: "[output]",
    doc: "Where points go. Write `[[output]]` for several: a point goes to every output that takes its category.",
    takes_effect: TakesEffect::Route,
    groups: &GROUPS,
    tables: &[],
};

const WORDS: [&str; KINDS.len()] = {
    let mut words = [""; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        words[at] = KINDS[at].word;
        at += 1;
    }
    words
};

/// The keys of every output, of HTTP outputs, of each kind, and those shared with other tables.
const GROUPS: [Group; KINDS.len() + 4] = {
    let mut groups = [COMMON; KINDS.len() + 4];
    groups[1] = http::KEYS;
    let mut at = 0;
    while at < KINDS.len() {
        groups[at + 2] = KINDS[at].keys;
        at += 1;
    }
    groups[at + 2] = CLUSTER;
    groups[at + 3] = HTTP;
    groups
};

const COMMON: Group = Group::own(&[
    Key::new(
        "kind",
        Kind::Choice(&WORDS),
        r#""datakit""#,
        "What the destination is.",
    ),
    Key::new(
        "name",
        Kind::Text,
        "",
        "Name in metrics and logs; the kind when absent.",
    )
    .example(r#""datakit""#),
    Key::new(
        "categories",
        Kind::TextList,
        "[]",
        "Categories of points taken; empty is all.",
    )
    .example(r#"["logging", "metric"]"#),
    Key::new(
        "encoding",
        Kind::Choice(&["line-protocol", "json", "pbjson", "protobuf"]),
        "",
        "Wire format; when absent line protocol, but protobuf for `dataway`.",
    )
    .example(r#""line-protocol""#),
    Key::new(
        "batch_points",
        Kind::Integer,
        "1000",
        "Points that make a batch full.",
    ),
    Key::new(
        "batch_bytes",
        Kind::Bytes,
        r#""1MiB""#,
        "Encoded bytes that make a batch full.",
    ),
    Key::new(
        "batch_wait",
        Kind::Duration,
        r#""200ms""#,
        "Age of the oldest point that makes a batch full.",
    ),
    Key::new(
        "required",
        Kind::Flag,
        "true",
        "Whether records wait until this output has their points. If not, it never stops a topic: points wait in its `backlog`, and points that do not fit or are refused are dropped and counted.",
    ),
    Key::new(
        "backlog",
        Kind::Bytes,
        r#""16MiB""#,
        "Bytes of points that may wait for an output that is not required. All backlogs together get at most an eighth of `memory` of `[limits]`, and are part of it.",
    ),
]);

/// One destination of points.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSettings {
    /// Name in metrics, logs and the status page; unique.
    pub name: String,
    /// What it is and how it is reached.
    pub kind: OutputKind,
    /// Wire format of points.
    pub encoding: Encoding,
    /// Categories it takes; empty means all.
    pub categories: Vec<Category>,
    /// When a batch is full.
    pub batch: BatchSettings,
    /// If the output is not required: the bytes of points that may wait for it.
    pub backlog: Option<u64>,
}

/// When a batch of points is closed: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Points in one batch.
    pub max_points: usize,
    /// Encoded bytes before compression.
    pub max_bytes: u64,
    /// Age of the oldest point.
    pub max_wait: Duration,
}

/// Reads all outputs; without any, the default one.
pub(crate) fn read(root: &Section<'_>) -> Vec<OutputSettings> {
    let mut sections = root.sections("output");
    if sections.is_empty() {
        sections.extend(root.section_or_default("output"));
    }
    let mut outputs: Vec<OutputSettings> = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for section in &sections {
        let Some(output) = output(section) else {
            continue;
        };
        if let Some(at) = outputs.iter().position(|known| known.name == output.name) {
            let mut diagnostic = Diagnostic::error(
                section.path_of("name"),
                format!("two outputs are called `{}`", output.name),
            )
            .with_hint("give each a `name` of its own");
            let first = paths.get(at).map_or("", String::as_str);
            let related = root.reader().related(first, Part::Value, "the other one");
            diagnostic.related.extend(related);
            root.reader().note_value(diagnostic);
        }
        paths.push(section.path_of("name"));
        outputs.push(output);
    }
    outputs
}

/// Warns where backlogs cannot get what their keys say; `section` is `[limits]`.
pub(crate) fn check_backlogs(
    section: &Section<'_>,
    outputs: &[OutputSettings],
    limits: &LimitSettings,
) {
    let asked = outputs.iter().filter_map(|output| output.backlog);
    let asked = asked.fold(0, u64::saturating_add);
    let most = limits.backlog_bytes();
    if asked > most {
        let (asked, most) = (asked >> 20, most >> 20);
        let message = format!(
            "the outputs that are not required have backlogs of {asked} MiB together, of which \
             `memory` allows {most} MiB"
        );
        let warning = section.warning("memory", message);
        let hint = "points for them are dropped earlier; raise `memory` to eight times the sum";
        section.reader().note_value(warning.with_hint(hint));
    }
}

fn output(section: &Section<'_>) -> Option<OutputSettings> {
    let words = KINDS.iter().map(|kind| (kind.word, *kind));
    let words: Vec<(&str, &KindOfOutput)> = words.collect();
    let kind = section.choice("kind", &words).unwrap_or(&datakit::DATAKIT);
    let encoding = encoding(section, kind);
    let name = section.some_text("name");
    Some(OutputSettings {
        name: name.unwrap_or_else(|| kind.word.to_owned()),
        kind: (kind.read)(section)?,
        encoding,
        categories: categories(section, "categories"),
        batch: BatchSettings {
            max_points: section.size("batch_points", 1),
            max_bytes: section.bytes("batch_bytes").max(1),
            max_wait: section.duration("batch_wait"),
        },
        backlog: match section.flag("required") {
            true => None,
            false => Some(section.bytes("backlog").max(1)),
        },
    })
}

fn encoding(section: &Section<'_>, kind: &KindOfOutput) -> Encoding {
    let default = kind.encodings.first().copied().unwrap_or_default();
    let words = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
    let encoding = section.choice("encoding", &words).unwrap_or(default);
    if !kind.encodings.contains(&encoding) {
        let taken: Vec<String> = kind
            .encodings
            .iter()
            .map(|encoding| format!("`{encoding}`"))
            .collect();
        let message = format!("`{}` takes only {}", kind.word, taken.join(", "));
        section.error("encoding", message);
    }
    encoding
}
