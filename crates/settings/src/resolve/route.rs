//! The routes of an input.

use std::collections::{BTreeMap, HashSet};

use kafkamq_point::Category;
use serde_json::Value;
use url::Url;

use super::super::diagnostic::Diagnostic;
use super::super::document::{Part, join};
use super::super::reader::{Section, expected, flag};
use super::super::topic_pattern::TopicPattern;
use super::super::{
    Compression, CustomRoute, CustomTopic, HandleContent, HeaderCheck, HttpSettings,
    JaegerEncoding, JaegerRoute, JaegerSource, Newlines, OtelEncoding, OtelRoute, OtelSignal,
    PointTime, RecordFields, RemoteHandleRoute, SkywalkingKind, SkywalkingRoute, SkywalkingTarget,
    SkywalkingTopic, SpanTarget, SplitFailure, SplitFormat, SplitSettings,
};
use super::http;
use super::input::Named;

/// The topics of a list, noted in `named`, without duplicates.
fn topics(
    section: &Section<'_>,
    key: &str,
    table: &'static str,
    namespace: &str,
    named: &mut Vec<Named>,
) -> Vec<(String, String)> {
    let path = section.path_of(key);
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (index, plain) in section.list(key).into_iter().enumerate() {
        let topic = if namespace.is_empty() || TopicPattern::is_one(&plain) {
            plain.clone()
        } else {
            format!("{namespace}-{plain}")
        };
        named.push(Named {
            topic: topic.clone(),
            path: format!("{path}[{index}]"),
            part: Part::Value,
            table,
        });
        if seen.insert(topic.clone()) {
            all.push((plain, topic));
        }
    }
    all
}

fn plain_topics(
    section: &Section<'_>,
    key: &str,
    table: &'static str,
    named: &mut Vec<Named>,
) -> Vec<String> {
    topics(section, key, table, "", named)
        .into_iter()
        .map(|(_, topic)| topic)
        .collect()
}

fn endpoint(section: &Section<'_>, key: &str) -> Option<Url> {
    if !section.is_filled(key) {
        section.missing(key, format!("`{key}` is missing"));
        return None;
    }
    section.url(key)
}

fn http_of(section: &Section<'_>, key: &str) -> Option<HttpSettings> {
    let endpoint = endpoint(section, key);
    let compression = section
        .choice("compression", http::COMPRESSION)
        .unwrap_or(Compression::None);
    // The other keys are read even if the address is wrong, to report their problems too.
    let fallback = Url::parse("http://localhost").ok();
    let known = endpoint.is_some();
    let mut http = http::http(section, endpoint.or(fallback)?, compression);
    if !section.is_set("concurrency") {
        // More lanes than requests would be lanes that never run.
        http.concurrency = http.concurrency.max(section.size("thread", 0));
    }
    known.then_some(http)
}

/// Reads `[inputs.kafkamq.skywalking]`.
pub(super) fn skywalking(section: &Section<'_>, named: &mut Vec<Named>) -> Option<SkywalkingRoute> {
    #[derive(Clone, Copy)]
    enum Meters {
        Acknowledge,
        Points,
        Forward,
    }
    let http = http_of(section, "dk_endpoint");
    let namespace = section.text("namespace");
    let paths = section.text_table("topic_paths");
    let target = section
        .choice(
            "target",
            &[
                ("datakit", SkywalkingTarget::Datakit),
                ("oap", SkywalkingTarget::Oap),
            ],
        )
        .unwrap_or_default();
    let oap = target == SkywalkingTarget::Oap;
    let forward_managements = section
        .choice("managements", &[("acknowledge", false), ("forward", true)])
        .unwrap_or(oap);
    let meters = section
        .choice(
            "meters",
            &[
                ("acknowledge", Meters::Acknowledge),
                ("points", Meters::Points),
                ("forward", Meters::Forward),
            ],
        )
        .unwrap_or(Meters::Acknowledge);
    let listed = topics(
        section,
        "topics",
        "[inputs.kafkamq.skywalking]",
        &namespace,
        named,
    );
    let paths_path = section.path_of("topic_paths");
    for topic in paths.keys() {
        if !listed
            .iter()
            .any(|(plain, full)| plain == topic || full == topic)
        {
            section.reader().note_key(Diagnostic::warning(
                join(&paths_path, topic),
                format!("`{topic}` is not among the topics"),
            ));
        }
    }
    let mut all = Vec::new();
    for (plain, topic) in listed {
        let own = paths.get(&plain).or_else(|| paths.get(&topic));
        let kind = match (kind_of(&plain), meters) {
            (SkywalkingKind::Meters, Meters::Points) => SkywalkingKind::MetersToPoints,
            (kind, _) => kind,
        };
        let path = match (own, kind) {
            (_, SkywalkingKind::MetersToPoints) => None,
            (Some(path), _) => Some(path.clone()).filter(|path| !path.is_empty()),
            (None, SkywalkingKind::Segments) if oap => Some("/v3/segment".to_owned()),
            (None, SkywalkingKind::Logs | SkywalkingKind::LogsJson) if oap => {
                Some("/v3/logs".to_owned())
            }
            (None, SkywalkingKind::Managements) if oap && forward_managements => {
                Some("/v3/management".to_owned())
            }
            (None, SkywalkingKind::Metrics | SkywalkingKind::Profilings) if oap => {
                section.reader().note_key(Diagnostic::warning(
                    section.path_of("topics"),
                    format!("OAP takes the records of `{plain}` over gRPC only; they are counted and acknowledged"),
                ));
                None
            }
            (None, SkywalkingKind::Segments) => Some("/v3/trace".to_owned()),
            (None, SkywalkingKind::Metrics) => Some("/v3/metric".to_owned()),
            (None, SkywalkingKind::Profilings) => Some("/v3/profiling".to_owned()),
            (None, SkywalkingKind::Logs | SkywalkingKind::LogsJson) => {
                Some("/v3/logging".to_owned())
            }
            (None, SkywalkingKind::Managements) if !forward_managements => None,
            (None, SkywalkingKind::Meters) if !matches!(meters, Meters::Forward) => None,
            (None, _) => {
                section.reader().note_key(
                    Diagnostic::error(
                        section.path_of("topics"),
                        format!("nothing says which path the records of `{plain}` go to"),
                    )
                    .with_hint(format!("add it to `topic_paths`, for example `topic_paths = {{ {plain:?} = \"/v3/trace\" }}`")),
                );
                None
            }
        };
        all.push(SkywalkingTopic { topic, kind, path });
    }
    Some(SkywalkingRoute {
        http: http?,
        target,
        topics: all,
        threads: section.size("thread", 0),
    })
}

/// The default topic names carry the kind at their end, after any prefix of a mirror.
fn kind_of(topic: &str) -> SkywalkingKind {
    const ENDS: &[(&str, SkywalkingKind)] = &[
        ("skywalking-segments", SkywalkingKind::Segments),
        ("skywalking-metrics", SkywalkingKind::Metrics),
        ("skywalking-profilings", SkywalkingKind::Profilings),
        ("skywalking-managements", SkywalkingKind::Managements),
        ("skywalking-meters", SkywalkingKind::Meters),
        ("skywalking-logging", SkywalkingKind::Logs),
        ("skywalking-logs", SkywalkingKind::Logs),
        ("skywalking-logs-json", SkywalkingKind::LogsJson),
    ];
    // A pattern is for whole names and may say so.
    let topic = topic.strip_suffix('$').unwrap_or(topic);
    ENDS.iter()
        .find(|(end, _)| topic.ends_with(end))
        .map_or(SkywalkingKind::Other, |&(_, kind)| kind)
}

/// Reads `[inputs.kafkamq.jaeger]`.
pub(super) fn jaeger(section: &Section<'_>, named: &mut Vec<Named>) -> Option<JaegerRoute> {
    const ENCODINGS: &[(&str, JaegerEncoding)] = &[
        ("raw", JaegerEncoding::Raw),
        ("auto", JaegerEncoding::Auto),
        ("thrift", JaegerEncoding::Thrift),
        ("protobuf", JaegerEncoding::Protobuf),
        ("json", JaegerEncoding::Json),
        ("zipkin-thrift", JaegerEncoding::ZipkinThrift),
        ("zipkin_proto", JaegerEncoding::ZipkinProto),
        ("zipkin_json", JaegerEncoding::ZipkinJson),
        ("otlp_proto", JaegerEncoding::OtlpProto),
        ("otlp_json", JaegerEncoding::OtlpJson),
    ];
    let http = http_of(section, "dk_endpoint");
    let source = match section.text("source").as_str() {
        "daoke" => JaegerSource::Daoke,
        _ => JaegerSource::Forward,
    };
    let topics = plain_topics(section, "topics", "[inputs.kafkamq.jaeger]", named);
    let encoding = section.choice("encoding", ENCODINGS).unwrap_or_default();
    Some(JaegerRoute {
        http: http?,
        topics,
        source,
        encoding,
        convert_to: section
            .choice(
                "convert_to",
                &[("thrift", SpanTarget::Thrift), ("otlp", SpanTarget::Otlp)],
            )
            .unwrap_or_default(),
        path: section.text("path"),
        otlp_path: section.text("otlp_path"),
        zipkin_v1_path: section.text("zipkin_v1_path"),
        zipkin_v2_path: section.text("zipkin_v2_path"),
        strict_error: section.flag("strict_error"),
        threads: section.size("thread", 0),
    })
}

/// Reads `[inputs.kafkamq.otel]`.
pub(super) fn otel(section: &Section<'_>, named: &mut Vec<Named>) -> Option<OtelRoute> {
    const TABLE: &str = "[inputs.kafkamq.otel]";
    let http = http_of(section, "dk_endpoint");
    let mut signal = |topics: &str, api: &str, encoding: &str| OtelSignal {
        topics: plain_topics(section, topics, TABLE, named),
        path: section.text(api),
        encoding: section
            .choice(
                encoding,
                &[
                    ("otlp_proto", OtelEncoding::OtlpProto),
                    ("otlp_json", OtelEncoding::OtlpJson),
                    ("auto", OtelEncoding::Auto),
                    ("raw", OtelEncoding::Raw),
                ],
            )
            .unwrap_or_default(),
    };
    let traces = signal("trace_topics", "trace_api", "trace_encoding");
    let metrics = signal("metric_topics", "metric_api", "metric_encoding");
    let logs = signal("log_topics", "log_api", "log_encoding");
    Some(OtelRoute {
        http: http?,
        traces,
        metrics,
        logs,
        merge_records: section.size("merge_records", 1),
        strict: section.flag("strict"),
        threads: section.size("thread", 0),
    })
}

/// Reads `[inputs.kafkamq.custom]`.
pub(super) fn custom(section: &Section<'_>, named: &mut Vec<Named>) -> Option<CustomRoute> {
    let maps = [
        (
            "log_topic_map",
            Category::Logging,
            Some(("log_topics", "log_pl")),
        ),
        (
            "metric_topic_map",
            Category::Metric,
            Some(("metric_topic", "metric_pl")),
        ),
        ("rum_topic_map", Category::Rum, None),
        ("object_topic_map", Category::Object, None),
        ("custom_object_topic_map", Category::CustomObject, None),
        ("network_topic_map", Category::Network, None),
        ("keyevent_topic_map", Category::KeyEvent, None),
        ("security_topic_map", Category::Security, None),
        ("tracing_topic_map", Category::Tracing, None),
        ("profiling_topic_map", Category::Profiling, None),
    ];
    let split_all = section.flag("split_json_body");
    let split_by_topic = section.flag_table("split_topic_map");
    let split = split(section);
    let mut topics: Vec<CustomTopic> = Vec::new();
    for (map, category, old) in maps {
        let mut scripts = section.text_table(map);
        let path = section.path_of(map);
        for topic in scripts.keys() {
            let path = join(&path, topic);
            named.push(Named {
                topic: topic.clone(),
                path,
                part: Part::Key,
                table: map,
            });
        }
        if let Some((list, script)) = old {
            merge_old(section, list, script, &mut scripts, named);
        }
        topics.extend(scripts.into_iter().map(|(topic, script)| {
            let wanted = split_by_topic.get(&topic).copied().unwrap_or(split_all);
            CustomTopic {
                category,
                script,
                split: wanted.then(|| split.clone()),
                topic,
            }
        }));
    }
    let path = section.path_of("split_topic_map");
    for topic in split_by_topic.keys() {
        if !topics.iter().any(|known| known.topic == *topic) {
            section.reader().note_key(Diagnostic::warning(
                join(&path, topic),
                format!("`{topic}` is not among the topics"),
            ));
        }
    }
    // Two maps naming one topic is an error that is reported elsewhere; keep the first here.
    let mut seen = HashSet::new();
    topics.retain(|topic| seen.insert(topic.topic.clone()));
    Some(CustomRoute {
        topics,
        storage_index: section.some_text("storage_index"),
        newlines: section
            .choice(
                "newlines",
                &[("keep", Newlines::Keep), ("space", Newlines::Space)],
            )
            .unwrap_or_default(),
        record_fields: record_fields(section),
        point_time: section
            .choice(
                "point_time",
                &[
                    ("arrival", PointTime::Arrival),
                    ("record", PointTime::Record),
                ],
            )
            .unwrap_or_default(),
        threads: section.size("thread", 0),
    })
}

fn record_fields(section: &Section<'_>) -> RecordFields {
    let mut fields = RecordFields::default();
    let path = section.path_of("record_fields");
    for (index, word) in section.list("record_fields").iter().enumerate() {
        match word.as_str() {
            "key" => fields.key = true,
            "headers" => fields.headers = true,
            "timestamp" => fields.timestamp = true,
            _ => section.reader().note_value(Diagnostic::error(
                format!("{path}[{index}]"),
                format!("`{word}` is none of `key`, `headers`, `timestamp`"),
            )),
        }
    }
    fields
}

/// Old files name a list of topics and one script for all; that script wins over the map's.
fn merge_old(
    section: &Section<'_>,
    list: &'static str,
    script: &str,
    scripts: &mut BTreeMap<String, String>,
    named: &mut Vec<Named>,
) {
    let script = section.text(script);
    let path = section.path_of(list);
    for (index, topic) in section.list(list).into_iter().enumerate() {
        let replaced = scripts.insert(topic.clone(), script.clone());
        if replaced.as_ref().is_some_and(|old| *old != script) {
            section.reader().note_value(Diagnostic::warning(
                format!("{path}[{index}]"),
                format!("the script of `{topic}` is `{script}`, as the old keys win over the map"),
            ));
        }
        if replaced.is_none() {
            let path = format!("{path}[{index}]");
            named.push(Named {
                topic,
                path,
                part: Part::Value,
                table: list,
            });
        }
    }
}

fn split(section: &Section<'_>) -> SplitSettings {
    let pointer = section.text("split_pointer");
    if !pointer.is_empty() && !pointer.starts_with('/') {
        section.error("split_pointer", "a JSON pointer begins with `/`");
    }
    let ndjson = section
        .choice("split_format", &[("json", false), ("ndjson", true)])
        .unwrap_or_default();
    if ndjson && !pointer.is_empty() {
        section.error(
            "split_pointer",
            "`split_pointer` has no meaning for lines of JSON",
        );
    }
    SplitSettings {
        format: if ndjson {
            SplitFormat::NdJson
        } else {
            SplitFormat::JsonArray { pointer }
        },
        on_failure: section
            .choice(
                "split_failure",
                &[
                    ("whole", SplitFailure::Whole),
                    ("dlq", SplitFailure::DeadLetter),
                ],
            )
            .unwrap_or_default(),
    }
}

/// Reads `[inputs.kafkamq.remote_handle]`.
pub(super) fn remote_handle(
    section: &Section<'_>,
    named: &mut Vec<Named>,
) -> Option<RemoteHandleRoute> {
    let http = http_of(section, "endpoint");
    let topics = plain_topics(section, "topics", "[inputs.kafkamq.remote_handle]", named);
    let content_type = section.text("content_type");
    if ::http::HeaderValue::from_str(&content_type).is_err() {
        section.error(
            "content_type",
            "the value holds characters a header cannot hold",
        );
    }
    Some(RemoteHandleRoute {
        http: http?,
        topics,
        // Old files may say 0 or less, which meant 1.
        batch_records: section.size("send_message_count", 0).max(1),
        batch_wait: section.some_duration("flush_interval"),
        content: if section.flag("debug") {
            HandleContent::SingleRecord
        } else {
            HandleContent::Batch
        },
        content_type,
        is_response_point: section.flag("is_response_point"),
        header_check: section
            .mixed("header_check", header_check)
            .unwrap_or_default(),
        threads: section.size("thread", 0),
    })
}

fn header_check(value: &Value, variable: bool) -> Result<HeaderCheck, String> {
    match value {
        Value::String(text) if text.eq_ignore_ascii_case("strict") => Ok(HeaderCheck::Strict),
        Value::Bool(_) | Value::String(_) => match flag(value, variable) {
            Ok(true) => Ok(HeaderCheck::Original),
            Ok(false) => Ok(HeaderCheck::Off),
            Err(_) => Err("expected true, false or \"strict\"".to_owned()),
        },
        other => Err(expected("true, false or \"strict\"", other)),
    }
}
