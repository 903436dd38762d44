//! The service's own tables.

use super::{Group, Key, Kind, Table, TakesEffect};

/// `[server]`.
pub const SERVER: Table = Table {
    header: "[server]",
    doc: "The HTTP server: health, metrics, status, configuration, console.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "listen",
            Kind::Text,
            r#""127.0.0.1:9530""#,
            "Address to listen on; other than loopback only with `tokens` or `client_ca`.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "tokens",
            Kind::SecretList,
            "",
            "Bearer tokens that may do everything; with any, everything but health and metrics needs one. Tables `[[server.tokens]]` in their place give each a name and a role.",
        )
        .example(r#"["change-me"]"#),
        Key::new(
            "tls_cert",
            Kind::Path,
            "",
            "PEM file of the server's certificate chain; switches TLS on.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/etc/kafkamq/server.pem""#),
        Key::new("tls_key", Kind::Path, "", "PEM file of its private key.").takes_effect(TakesEffect::NextStart)
            .example(r#""/etc/kafkamq/server.key""#),
        Key::new(
            "client_ca",
            Kind::Path,
            "",
            "PEM file of roots; clients must then show a certificate.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/etc/kafkamq/clients.pem""#),
        Key::new(
            "client_role",
            Kind::Choice(&["none", "read", "operate", "configure"]),
            "",
            "What a client certificate allows without a token; when absent everything, but with `tokens` nothing.",
        )
        .example(r#""read""#),
        Key::new(
            "hosts",
            Kind::TextList,
            "[]",
            "Names the service is asked under besides `localhost` and addresses; requests under other names are refused, `*` takes any.",
        )
        .example(r#"["kafkamq.monitoring.svc"]"#),
        Key::new(
            "request_timeout",
            Kind::Duration,
            r#""30s""#,
            "Longest time until a request is answered.",
        ),
        Key::new(
            "workers",
            Kind::Integer,
            "1",
            "Threads that serve requests.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "max_body",
            Kind::Bytes,
            r#""4MiB""#,
            "Largest request body.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "allow_changes",
            Kind::Flag,
            "true",
            "Whether configuration and scripts may be changed over HTTP.",
        ),
        Key::new(
            "change_folders",
            Kind::PathList,
            "[]",
            "Folders in which a change over HTTP may name files and folders; elsewhere it can only keep those that are named already.",
        )
        .example(r#"["/etc/kafkamq/secrets"]"#),
        Key::new(
            "revisions",
            Kind::Integer,
            "20",
            "Revisions of the configuration that are remembered.",
        ),
        Key::new(
            "state_dir",
            Kind::Path,
            "",
            "Folder in which changes made over HTTP, scripts and pauses included, outlive the process; without it a restart goes back to the files.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/var/lib/kafkamq""#),
        Key::new(
            "watch",
            Kind::Flag,
            "true",
            "Whether changes of the configuration files take effect by themselves; SIGHUP does the same.",
        ),
    ])],
    tables: &[("tokens", &TOKEN)],
};

/// `[[server.tokens]]`.
pub const TOKEN: Table = Table {
    header: "[[server.tokens]]",
    doc: "A bearer token with a name, which the log of changes shows, and a role.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "name",
            Kind::Text,
            "",
            "Who uses it; when absent `token-` and its place in the list.",
        )
        .example(r#""dashboard""#),
        Key::new(
            "role",
            Kind::Choice(&["read", "operate", "configure"]),
            "",
            "What it allows, each role what the one before it allows: to look, to pause topics and replay dead letters, to change configuration and scripts; when absent `configure`.",
        )
        .example(r#""read""#),
        Key::new("token", Kind::Secret, "", "The token.").example(r#""change-me""#),
        Key::new(
            "env",
            Kind::Text,
            "",
            "Environment variable that holds the token.",
        )
        .example(r#""DASHBOARD_TOKEN""#),
    ])],
    tables: &[],
};

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
            "A script that fails while running: send the point with the changes made so far, or write the record to the dead letter queue.",
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
            "What is done with other points: sent with the present time and their own in `__orig_time`, left out, or their record written to the dead letter queue.",
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
            "http_request",
            Kind::Flag,
            "false",
            "Whether the function `http_request` may leave the process.",
        ),
        Key::new(
            "http_request_private",
            Kind::Flag,
            "false",
            "Whether it may reach loopback, link-local and private addresses.",
        ),
    ])],
    tables: &[],
};

/// `[dead_letter]`.
pub const DEAD_LETTER: Table = Table {
    header: "[dead_letter]",
    doc: "Records that can be neither processed nor delivered, with their coordinates, the reason and their bytes.",
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
        super::input::CLUSTER,
    ],
    tables: &[],
};

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
            "Prefetched records, batches in flight and request bodies together.",
        ),
        Key::new(
            "batch_records",
            Kind::Integer,
            "1000",
            "Records that travel together inside the service.",
        ),
        Key::new(
            "batch_bytes",
            Kind::Bytes,
            r#""1MiB""#,
            "Bytes of records that travel together.",
        ),
        Key::new(
            "record_bytes",
            Kind::Bytes,
            r#""64MiB""#,
            "Largest record that is processed; larger ones go to the dead letter queue.",
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
            "Partitions that memory is planned for; more work too, with smaller shares.",
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

/// `[log]`.
pub const LOG: Table = Table {
    header: "[log]",
    doc: "What the service says about itself, on standard error.",
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
