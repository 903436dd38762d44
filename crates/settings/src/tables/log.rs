//! `[log]`: what the service says about itself. Its keys, what they become, and how they are read.

use super::keyed;
use crate::LogFilter;
use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;

/// `[log]`.
pub const LOG: Table = Table {
    header: "[log]",
    doc: "The log of the service, on standard error.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "level",
            Kind::Text,
            r#""info""#,
            "`error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,kafkamq::kafka=debug`; at `debug` every custom record is printed on a line containing `kafka_message`.",
        ),
        Key::new(
            "format",
            Kind::Choice(&["text", "json"]),
            r#""text""#,
            "Readable lines, or JSON objects.",
        )
        .takes_effect(TakesEffect::NextStart),
    ])],
    tables: &[],
};

/// `[log]`: what the service says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// Filter directives such as `info` or `info,kafkamq::kafka=debug`.
    pub level: String,
    /// Whether lines are text or JSON.
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// Reads `[log]`.
pub(crate) fn read(section: &Section<'_>) -> LogSettings {
    let level = section.text("level");
    if let Err(error) = LogFilter::parse(&level) {
        section.error("level", error.to_string());
    }
    LogSettings {
        level,
        format: section
            .choice(
                "format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )
            .unwrap_or_default(),
    }
}

keyed!(LogSettings, LOG, "log" {
    level: "level";
    format: "format";
});
