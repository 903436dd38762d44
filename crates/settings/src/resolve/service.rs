//! The service's own tables.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;

use kafkamq_point::Category;

use super::super::reader::{Section, nearest};
use super::super::{
    AgeAction, AgeRule, DeadLetterKind, DeadLetterSettings, LimitSettings, LogFilter, LogFormat,
    LogSettings, PipelineSettings, RecorderEncoding, RecorderSettings, Role, ScriptFailure,
    ServerSettings, ServerTls,
};
use super::{security, token};

/// Reads `[server]`.
pub(super) fn server(section: &Section<'_>) -> Option<ServerSettings> {
    let written = section.text("listen");
    let listen = SocketAddr::from_str(&written.replace("localhost:", "127.0.0.1:"));
    if listen.is_err() {
        section.error(
            "listen",
            format!("`{written}` is not an address such as 127.0.0.1:9530"),
        );
    }
    let tokens = token::tokens(section);
    let tls = server_tls(section);
    for folder in section.list("change_folders") {
        if !std::path::Path::new(&folder).is_absolute() {
            section.error(
                "change_folders",
                format!("`{folder}` is not an absolute path"),
            );
        }
    }
    let listen = listen.ok()?;
    let verified = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    if !listen.ip().is_loopback() && tokens.is_empty() && !verified && !section.has_file("tokens") {
        section.reader().note_value(
            super::super::Diagnostic::error(
                section.path_of("listen"),
                format!("{listen} can be reached from other machines, but anyone could change the configuration there"),
            )
            .with_hint("set `tokens` (or `tokens_file`), or `client_ca`, or listen on 127.0.0.1"),
        );
    }
    let client_role = section.choice(
        "client_role",
        &[
            ("none", None),
            ("read", Some(Role::Read)),
            ("operate", Some(Role::Operate)),
            ("configure", Some(Role::Configure)),
        ],
    );
    // Whoever asks for certificates and tokens wants both.
    let client_role = client_role.unwrap_or_else(|| tokens.is_empty().then_some(Role::Configure));
    Some(ServerSettings {
        listen,
        client_role: client_role.filter(|_| verified),
        hosts: section.list("hosts"),
        request_timeout: section.some_duration("request_timeout"),
        tokens,
        tls,
        workers: section.size("workers", 1),
        max_body_bytes: section.bytes("max_body"),
        allow_changes: section.flag("allow_changes"),
        revisions: section.size("revisions", 1),
        state_dir: section.some_path("state_dir"),
        watch: section.flag("watch"),
    })
}

fn server_tls(section: &Section<'_>) -> Option<ServerTls> {
    let client_ca_file = section.some_path("client_ca");
    match (section.some_path("tls_cert"), section.some_path("tls_key")) {
        (Some(cert_file), Some(key_file)) => {
            security::check_pem(section, "tls_cert", &cert_file, security::Pem::Certificates);
            security::check_pem(section, "tls_key", &key_file, security::Pem::Key);
            if let Some(path) = &client_ca_file {
                security::check_pem(section, "client_ca", path, security::Pem::Certificates);
            }
            Some(ServerTls {
                cert_file,
                key_file,
                client_ca_file,
            })
        }
        (Some(_), None) => {
            section.missing("tls_key", "`tls_cert` needs `tls_key`");
            None
        }
        (None, Some(_)) => {
            section.missing("tls_cert", "`tls_key` needs `tls_cert`");
            None
        }
        (None, None) => {
            if client_ca_file.is_some() {
                section.missing("tls_cert", "`client_ca` needs `tls_cert` and `tls_key`");
            }
            None
        }
    }
}

/// Reads `[pipeline]`.
pub(super) fn pipeline(section: &Section<'_>) -> PipelineSettings {
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
        http_request: section.flag("http_request"),
        http_request_private: section.flag("http_request_private"),
    }
}

/// Reads `[dead_letter]`.
pub(super) fn dead_letter(section: &Section<'_>) -> Option<DeadLetterSettings> {
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

/// Reads `[recorder]`.
pub(super) fn recorder(section: &Section<'_>) -> RecorderSettings {
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

/// Reads a list of categories.
pub(super) fn categories(section: &Section<'_>, name: &str) -> Vec<Category> {
    let mut all: Vec<Category> = section
        .list(name)
        .iter()
        .filter_map(|text| category(section, name, text))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn category(section: &Section<'_>, name: &str, text: &str) -> Option<Category> {
    match text.parse() {
        Ok(category) => Some(category),
        Err(error) => {
            let mut message = error.to_string();
            let known = Category::ALL.map(|category| category.name().to_owned());
            if let Some(near) = nearest(text, known) {
                message = format!("{message}, did you mean `{near}`?");
            }
            section.error(name, message);
            None
        }
    }
}

/// Reads `[limits]`.
pub(super) fn limits(section: &Section<'_>) -> LimitSettings {
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
    LimitSettings {
        memory_bytes,
        batch_records: section.size("batch_records", 1),
        batch_bytes,
        record_bytes,
        response_bytes: section.bytes("response_bytes"),
        partitions: section.size("partitions", 1),
        partition_series: section.size("partition_series", 0),
    }
}

/// Reads `[log]`.
pub(super) fn log(section: &Section<'_>) -> LogSettings {
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
