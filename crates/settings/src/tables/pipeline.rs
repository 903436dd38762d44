//! `[pipeline]`: scripts. Its keys, what they become, and how they are read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kafkamq_point::Category;

use super::category;
use super::keyed;
use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;

/// `[pipeline]`.
pub const PIPELINE: Table = Table {
    header: "[pipeline]",
    doc: "Scripts that turn records into points.",
    takes_effect: TakesEffect::Route,
    groups: &[Group::own(&[
        Key::new(
            "path",
            Kind::Path,
            r#""pipeline""#,
            "Folder of scripts: logging at the top, other categories in folders of their name.",
        ).takes_effect(TakesEffect::InPlace),
        Key::new(
            "default_scripts",
            Kind::TextTable,
            "{}",
            "Script by category for points that no other rule gives one.",
        )
        .example(r#"{ logging = "default.p" }"#),
        Key::new(
            "global_tags",
            Kind::TextTable,
            "{}",
            "Tags added to points that do not have them.",
        )
        .example(r#"{ host = "node-1" }"#),
        Key::new(
            "on_error",
            Kind::Choice(&["keep", "dlq"]),
            r#""keep""#,
            "A script that fails while running: send the point with the changes made so far, or write the record to the dead letters.",
        ).takes_effect(TakesEffect::InPlace),
        Key::new(
            "max_age",
            Kind::Duration,
            r#""0s""#,
            "How far from now, in the past or in the future, the time of a point may be; 0 is any.",
        ).takes_effect(TakesEffect::InPlace),
        Key::new(
            "max_age_action",
            Kind::Choice(&["clamp", "drop", "dlq"]),
            r#""clamp""#,
            "What is done with other points: sent with the present time and their own in `__orig_time`, left out, or their record written to the dead letters.",
        ).takes_effect(TakesEffect::InPlace),
        Key::new(
            "watch",
            Kind::Flag,
            "true",
            "Load scripts and configuration again when their files change.",
        ).takes_effect(TakesEffect::InPlace),
        Key::new(
            "threads",
            Kind::Integer,
            "0",
            "Threads that run scripts; 0 is one per processor.",
        )
        .takes_effect(TakesEffect::NextStart),
        Key::new(
            "geoip",
            Kind::Path,
            "",
            "MaxMind city database for `geoip`.",
        )
        .example(r#""/var/lib/kafkamq/city.mmdb""#),
        Key::new("refer_tables", Kind::Path, "", "Folder of look-up tables.").example(r#""refer""#),
        Key::new(
            "time_zones",
            Kind::TextTable,
            "{}",
            "What abbreviations of time zones in times mean, before the usual meaning: a name of the time zone database or an offset.",
        )
        .example(r#"{ CST = "-06:00", IST = "Asia/Jerusalem" }"#),
        Key::new(
            "http_request",
            Kind::Flag,
            "false",
            "Whether the function `http_request` may send requests.",
        ),
        Key::new(
            "http_request_private",
            Kind::Flag,
            "false",
            "Whether `http_request` may connect to loopback, link-local and private addresses.",
        ),
    ])],
    tables: &[],
};

/// `[pipeline]`: scripts.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSettings {
    /// Folder of scripts: logging at the top, other categories in folders of their name.
    pub path: PathBuf,
    /// Script for points of a category that no rule gives one.
    pub default_scripts: BTreeMap<Category, String>,
    /// Tags added to every point that does not have them.
    pub global_tags: BTreeMap<String, String>,
    /// What happens to a point whose script failed while running.
    pub on_error: ScriptFailure,
    /// What happens to points whose time is far from now; `None` leaves them alone.
    pub age: Option<AgeRule>,
    /// Reload scripts when files change.
    pub watch: bool,
    /// Threads that run scripts.
    pub threads: usize,
    /// MaxMind database for `geoip`.
    pub geoip_file: Option<PathBuf>,
    /// Folder of tables for `query_refer_table` and `mquery_refer_table`.
    pub refer_tables: Option<PathBuf>,
    /// Time zones by the abbreviation that means them: names of the time zone database or offsets.
    pub time_zones: BTreeMap<String, String>,
    /// Whether `http_request` may leave the process.
    pub http_request: bool,
    /// Whether `http_request` may reach loopback, link-local and private addresses.
    pub http_request_private: bool,
}

/// What happens to a point whose script failed while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptFailure {
    /// It is sent with the changes made so far, as the original does, and counted.
    #[default]
    Keep,
    /// Its record goes to the dead letters.
    DeadLetter,
}

/// What happens to points whose time is far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRule {
    /// How far, in the past or in the future, a time may be.
    pub max_age: Duration,
    /// What is done with others.
    pub action: AgeAction,
}

/// What is done with a point whose time is too far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgeAction {
    /// It is sent with the present time and keeps its own in the field `__orig_time`.
    #[default]
    Clamp,
    /// It is left out.
    Drop,
    /// Its record goes to the dead letters.
    DeadLetter,
}

/// Reads `[pipeline]`.
pub(crate) fn read(section: &Section<'_>) -> PipelineSettings {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match section.size("threads", 0) {
        0 => processors,
        threads => threads,
    };
    let mut default_scripts = BTreeMap::new();
    for (name, script) in section.text_table("default_scripts") {
        if let Some(category) = category(section, "default_scripts", &name) {
            default_scripts.insert(category, script);
        }
    }
    PipelineSettings {
        path: section
            .some_path("path")
            .unwrap_or_else(|| "pipeline".into()),
        default_scripts,
        global_tags: section.text_table("global_tags"),
        on_error: section
            .choice(
                "on_error",
                &[
                    ("keep", ScriptFailure::Keep),
                    ("dlq", ScriptFailure::DeadLetter),
                ],
            )
            .unwrap_or_default(),
        age: {
            let max_age = section.duration("max_age");
            let action = section
                .choice(
                    "max_age_action",
                    &[
                        ("clamp", AgeAction::Clamp),
                        ("drop", AgeAction::Drop),
                        ("dlq", AgeAction::DeadLetter),
                    ],
                )
                .unwrap_or_default();
            (!max_age.is_zero()).then_some(AgeRule { max_age, action })
        },
        watch: section.flag("watch"),
        threads,
        geoip_file: section.some_path("geoip"),
        refer_tables: section.some_path("refer_tables"),
        time_zones: section.text_table("time_zones"),
        http_request: section.flag("http_request"),
        http_request_private: section.flag("http_request_private"),
    }
}

keyed!(PipelineSettings, PIPELINE, "pipeline" {
    path: "path";
    default_scripts: "default_scripts";
    global_tags: "global_tags";
    on_error: "on_error";
    age: "max_age", "max_age_action";
    watch: "watch";
    threads: "threads";
    geoip_file: "geoip";
    refer_tables: "refer_tables";
    time_zones: "time_zones";
    http_request: "http_request";
    http_request_private: "http_request_private";
});
