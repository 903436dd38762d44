//! The sub-tables of an input: one per route.

use super::{Group, HTTP, Key, Kind, Table, TakesEffect};

const DK_ENDPOINT: Key = Key::new(
    "dk_endpoint",
    Kind::Text,
    "",
    "Address of the receiver, with scheme; a path and a query in it are kept. Required.",
)
.receiver()
.example(r#""http://localhost:9529""#);

const THREAD: Key = Key::new(
    "thread",
    Kind::Integer,
    "0",
    "Lanes that work on one partition at a time; 0 is one lane. Records with the same key stay in order; those of other keys do not wait for them.",
);

const COMPRESSION: Key = Key::new(
    "compression",
    Kind::Choice(&["none", "gzip", "zstd"]),
    r#""none""#,
    "Compression of request bodies; make sure that the receiver accepts it.",
);

/// `[inputs.kafkamq.skywalking]`.
pub const SKYWALKING: Table = Table {
    header: "[inputs.kafkamq.skywalking]",
    doc: "SkyWalking agents report to Kafka; payloads go on to a receiver over HTTP.",
    takes_effect: TakesEffect::Route,
    groups: &[
        Group::own(&[
            DK_ENDPOINT,
            Key::new("topics", Kind::TextList, "[]", "Topics, without the namespace.").example(
                r#"["skywalking-segments", "skywalking-metrics", "skywalking-logging", "skywalking-logs", "skywalking-profilings", "skywalking-managements", "skywalking-meters"]"#,
            ),
            Key::new("namespace", Kind::Text, r#""""#, "Namespace of the agents; the subscribed topic is `namespace-topic`."),
            Key::new("topic_paths", Kind::TextTable, "{}", "Path for a topic whose name is not known or whose receiver differs, by name without the namespace. With an empty path records are acknowledged and counted.")
                .example(r#"{ "my-segments" = "/v3/trace" }"#),
            Key::new("target", Kind::Choice(&["datakit", "oap"]), r#""datakit""#, "What the receiver is: `datakit` takes the agents' protobuf; `oap`, SkyWalking's own server, takes only segments, logs and managements, as JSON on its HTTP port."),
            Key::new("managements", Kind::Choice(&["acknowledge", "forward"]), "", "What happens to the managements topic: counted, or posted. When absent `acknowledge`, since DataKit has no route for it, but `forward` towards `oap`.")
                .example(r#""acknowledge""#),
            Key::new("meters", Kind::Choice(&["acknowledge", "points", "forward"]), r#""acknowledge""#, "What happens to the meters topic: counted, converted to metric points, or posted to its `topic_paths` entry."),
            THREAD,
            COMPRESSION,
        ]),
        HTTP,
    ],
    tables: &[],
};

/// `[inputs.kafkamq.jaeger]`.
pub const JAEGER: Table = Table {
    header: "[inputs.kafkamq.jaeger]",
    doc: "Jaeger spans go on to a Jaeger receiver over HTTP.",
    takes_effect: TakesEffect::Route,
    groups: &[
        Group::own(&[
            DK_ENDPOINT,
            Key::new("topics", Kind::TextList, "[]", "Topics.").example(r#"["jaeger-spans"]"#),
            Key::new(
                "source",
                Kind::Text,
                r#""agent""#,
                "`daoke` turns JSON spans into tracing points; any other word forwards records.",
            ),
            Key::new(
                "encoding",
                Kind::Choice(&[
                    "raw",
                    "auto",
                    "thrift",
                    "protobuf",
                    "json",
                    "zipkin-thrift",
                    "zipkin_proto",
                    "zipkin_json",
                    "otlp_proto",
                    "otlp_json",
                ]),
                r#""raw""#,
                "What the records hold. `raw` posts the bytes as they are, which receivers understand only if the records are Thrift batches; `auto` looks at the first bytes and converts.",
            ),
            Key::new(
                "convert_to",
                Kind::Choice(&["thrift", "otlp"]),
                r#""thrift""#,
                "What single spans, in protobuf or JSON, become: a Thrift batch for `path`, or an OTLP request for `otlp_path`.",
            ),
            Key::new(
                "path",
                Kind::Text,
                r#""/apis/traces""#,
                "Path for Jaeger batches; `/api/traces` at a Jaeger collector.",
            ),
            Key::new(
                "otlp_path",
                Kind::Text,
                r#""/otel/v1/traces""#,
                "Path for OTLP requests found on these topics.",
            ),
            Key::new(
                "zipkin_v1_path",
                Kind::Text,
                r#""/api/v1/spans""#,
                "Path for Zipkin spans of version 1.",
            ),
            Key::new(
                "zipkin_v2_path",
                Kind::Text,
                r#""/api/v2/spans""#,
                "Path for Zipkin spans of version 2.",
            ),
            Key::new(
                "strict_error",
                Kind::Flag,
                "false",
                "With `source = \"daoke\"`: a tag `error` marks a span as failed only if it is true.",
            ),
            THREAD,
            COMPRESSION,
        ]),
        HTTP,
    ],
    tables: &[],
};

/// `[inputs.kafkamq.otel]`.
pub const OTEL: Table = Table {
    header: "[inputs.kafkamq.otel]",
    doc: "OpenTelemetry export requests go on to an OTLP receiver over HTTP.",
    takes_effect: TakesEffect::Route,
    groups: &[
        Group::own(&[
            DK_ENDPOINT,
            Key::new("trace_topics", Kind::TextList, "[]", "Topics with spans.")
                .example(r#"["otlp_spans"]"#),
            Key::new(
                "metric_topics",
                Kind::TextList,
                "[]",
                "Topics with metrics.",
            )
            .example(r#"["otlp_metrics"]"#),
            Key::new("log_topics", Kind::TextList, "[]", "Topics with logs.")
                .example(r#"["otlp_logs"]"#),
            Key::new(
                "trace_api",
                Kind::Text,
                r#""/otel/v1/traces""#,
                "Path for spans, used as written.",
            ),
            Key::new(
                "metric_api",
                Kind::Text,
                r#""/otel/v1/metrics""#,
                "Path for metrics, used as written.",
            ),
            Key::new(
                "log_api",
                Kind::Text,
                r#""/otel/v1/logs""#,
                "Path for logs, used as written.",
            ),
            Key::new(
                "trace_encoding",
                OTEL_ENCODING,
                r#""otlp_proto""#,
                "What records with spans hold.",
            ),
            Key::new(
                "metric_encoding",
                OTEL_ENCODING,
                r#""otlp_proto""#,
                "What records with metrics hold.",
            ),
            Key::new(
                "log_encoding",
                OTEL_ENCODING,
                r#""otlp_proto""#,
                "What records with logs hold.",
            ),
            Key::new(
                "merge_records",
                Kind::Integer,
                "1",
                "Records merged into one request; more is faster, but one bad record then fails with its neighbours until they are tried separately.",
            ),
            Key::new(
                "strict",
                Kind::Flag,
                "false",
                "Treat the receiver as a strict OTLP one: with 400 the record is at fault at once, and partial successes are read.",
            ),
            THREAD,
            COMPRESSION,
        ]),
        HTTP,
    ],
    tables: &[],
};

const OTEL_ENCODING: Kind = Kind::Choice(&["otlp_proto", "otlp_json", "auto", "raw"]);

/// `[inputs.kafkamq.custom]`.
pub const CUSTOM: Table = Table {
    header: "[inputs.kafkamq.custom]",
    doc: "Text or JSON of any shape. A script turns it into points, which go to the outputs.",
    takes_effect: TakesEffect::Route,
    groups: &[Group::own(&[
        Key::new("log_topic_map", Kind::TextTable, "{}", "Topics with log lines and the script of each; an empty script means `<topic>.p`, `-` means none.")
            .example(r#"{ "app-log" = "app_log.p" }"#),
        Key::new("metric_topic_map", Kind::TextTable, "{}", "Topics with metrics and their scripts in `metric/`.")
            .example(r#"{ "host-metrics" = "host_metrics.p" }"#),
        Key::new("rum_topic_map", Kind::TextTable, "{}", "Topics with real user monitoring and their scripts in `rum/`.")
            .example(r#"{ "web-rum" = "web_rum.p" }"#),
        Key::new("object_topic_map", Kind::TextTable, "{}", "Topics with objects and their scripts in `object/`.")
            .example(r#"{ "object-topic" = "object.p" }"#),
        Key::new("custom_object_topic_map", Kind::TextTable, "{}", "Topics with objects of your own kinds and their scripts in `custom_object/`.")
            .example(r#"{ "custom-object-topic" = "custom_object.p" }"#),
        Key::new("network_topic_map", Kind::TextTable, "{}", "Topics with network flows and their scripts in `network/`.")
            .example(r#"{ "network-topic" = "network.p" }"#),
        Key::new("keyevent_topic_map", Kind::TextTable, "{}", "Topics with events and their scripts in `keyevent/`.")
            .example(r#"{ "keyevent-topic" = "keyevent.p" }"#),
        Key::new("security_topic_map", Kind::TextTable, "{}", "Topics with findings of security checks and their scripts in `security/`.")
            .example(r#"{ "security-topic" = "security.p" }"#),
        Key::new("tracing_topic_map", Kind::TextTable, "{}", "Topics with spans and their scripts in `tracing/`.")
            .example(r#"{ "tracing-topic" = "tracing.p" }"#),
        Key::new("profiling_topic_map", Kind::TextTable, "{}", "Topics with profiles and their scripts in `profiling/`.")
            .example(r#"{ "profiling-topic" = "profiling.p" }"#),
        Key::new("split_json_body", Kind::Flag, "false", "Split records of all topics into the elements of their JSON array.")
            .aliases(&["spilt_json_body"]),
        Key::new("split_topic_map", Kind::FlagTable, "{}", "The same by topic, both ways.")
            .aliases(&["spilt_topic_map"])
            .example(r#"{ "app-log" = true }"#),
        Key::new("split_pointer", Kind::Text, r#""""#, "JSON pointer to the array, such as `/records`; empty for the whole value."),
        Key::new("split_format", Kind::Choice(&["json", "ndjson"]), r#""json""#, "What is split: a JSON array, or lines of JSON."),
        Key::new("split_failure", Kind::Choice(&["whole", "dlq"]), r#""whole""#, "A record that cannot be split: one element, or the dead letters."),
        Key::new("storage_index", Kind::Text, "", "Index in which log points are stored.").example(r#""app_logs""#),
        Key::new("newlines", Kind::Choice(&["keep", "space"]), r#""keep""#, "Line breaks in a text: kept, or each turned into a space, as the original does."),
        Key::new("record_fields", Kind::TextList, "[]", "What else of a record its point shows to the script: `key` as `kafka_key`, `timestamp` (milliseconds) as `kafka_timestamp`, `headers` as `kafka_header_<name>`; fields, but tags where text may not be a field.")
            .example(r#"["key", "headers", "timestamp"]"#),
        Key::new("point_time", Kind::Choice(&["arrival", "record"]), r#""arrival""#, "Time of a point before its script runs: the clock, or the timestamp of the record."),
        THREAD,
        Key::new("log_topics", Kind::TextList, "[]", "Topics with log lines that share `log_pl`.")
            .example(r#"["app-log"]"#)
            .instead("log_topic_map"),
        Key::new("log_pl", Kind::Text, r#""""#, "Script of `log_topics`.").instead("log_topic_map"),
        Key::new("metric_topic", Kind::TextList, "[]", "Topics with metrics that share `metric_pl`.")
            .aliases(&["metric_topics"])
            .example(r#"["host-metrics"]"#)
            .instead("metric_topic_map"),
        Key::new("metric_pl", Kind::Text, r#""""#, "Script of `metric_topic`.").instead("metric_topic_map"),
    ])],
    tables: &[],
};

/// `[inputs.kafkamq.remote_handle]`.
pub const REMOTE_HANDLE: Table = Table {
    header: "[inputs.kafkamq.remote_handle]",
    doc: "Batches of records go over HTTP to a program that you provide; its answer may hold points.",
    takes_effect: TakesEffect::Route,
    groups: &[
        Group::own(&[
            Key::new(
                "endpoint",
                Kind::Text,
                "",
                "URL that is posted to, as it is. Required.",
            )
            .receiver()
            .example(r#""http://localhost:8080""#),
            Key::new("topics", Kind::TextList, "[]", "Topics.").example(r#"["spans", "my-spans"]"#),
            Key::new(
                "send_message_count",
                Kind::Integer,
                "1",
                "Records in one request.",
            ),
            Key::new(
                "flush_interval",
                Kind::Duration,
                r#""5s""#,
                "Age of the oldest record at which an incomplete batch is sent.",
            ),
            Key::new(
                "debug",
                Kind::Flag,
                "false",
                "Send each record alone, its bytes unchanged.",
            ),
            Key::new(
                "content_type",
                Kind::Text,
                r#""application/json""#,
                "`Content-Type` of the requests.",
            ),
            Key::new(
                "is_response_point",
                Kind::Flag,
                "false",
                "Take points from the answers; their category is in the header `X-category`.",
            ),
            Key::new(
                "header_check",
                Kind::Mixed,
                "false",
                "Test of the first four bytes of a record: `true` keeps the original's test (byte 0 is 0xEF or byte 2 is 0, and byte 3 is 40 or 70), `\"strict\"` demands all three. Records that fail are counted and dropped.",
            ),
            Key::new(
                "pipeline",
                Kind::Text,
                r#""""#,
                "Accepted for old files and ignored, as before.",
            )
            .instead("the script rules of [pipeline]"),
            THREAD,
            COMPRESSION,
        ]),
        HTTP,
    ],
    tables: &[],
};
