//! `[[inputs.kafkamq]]`.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::diagnostic::{Diagnostic, Related};
use super::super::document::Part;
use super::super::quantity;
use super::super::reader::{Section, expected};
use super::super::topic_pattern::TopicPattern;
use super::super::{
    Assignor, FlowSettings, GroupProtocol, InputSettings, Offset, Ordering, OutOfRange,
    SamplingKey, ValuePolicy,
};
use super::{route, security};

/// Reads all inputs.
pub(super) fn inputs(sections: &[Section<'_>]) -> Vec<InputSettings> {
    let mut inputs: Vec<InputSettings> = Vec::new();
    for section in sections {
        let Some(mut input) = input(section) else {
            continue;
        };
        if inputs.iter().any(|known| known.name == input.name) {
            if section.is_set("name") {
                section.error("name", format!("two inputs are called `{}`", input.name));
            }
            // Two clusters may well share a group id; only the name in metrics has to differ.
            let mut number = 2;
            while inputs
                .iter()
                .any(|known| known.name == format!("{}-{number}", input.name))
            {
                number += 1;
            }
            input.name = format!("{}-{number}", input.name);
        }
        inputs.push(input);
    }
    inputs
}

/// Where a topic was named, to report the second place.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// Topic as Kafka knows it.
    pub(super) topic: String,
    /// Path of the element or key that names it.
    pub(super) path: String,
    /// Whether the name is the key itself.
    pub(super) part: Part,
    /// Header of the table.
    pub(super) table: &'static str,
}

fn input(section: &Section<'_>) -> Option<InputSettings> {
    let group_id = section.text("group_id");
    if group_id.is_empty() {
        section.missing("group_id", "`group_id` is missing");
    }
    let first = section.some_text("addr");
    if first.is_none() && !section.is_filled("addrs") {
        section.missing("addrs", "`addrs` is missing");
    }
    let addrs = security::addrs(section, first);
    if addrs.is_empty() && section.is_filled("addrs") && section.list("addrs").is_empty() {
        section.error("addrs", "`addrs` is empty");
    }
    let old_version = old_version(section);
    let mut named = Vec::new();
    let skywalking = section
        .section("skywalking")
        .and_then(|section| route::skywalking(&section, &mut named));
    let custom = section
        .section("custom")
        .and_then(|section| route::custom(&section, &mut named));
    let jaeger = section
        .section("jaeger")
        .and_then(|section| route::jaeger(&section, &mut named));
    let remote_handle = section
        .section("remote_handle")
        .and_then(|section| route::remote_handle(&section, &mut named));
    let otel = section
        .section("otel")
        .and_then(|section| route::otel(&section, &mut named));
    check_topics(section, &named);

    let base = Flow::read(section);
    let flow = base.finish(section, None);
    let topic_flow = topic_flow(section, &named, &flow);
    let Timing {
        session_timeout,
        heartbeat_interval,
        max_poll_interval,
        drain_timeout,
        commit_interval,
    } = timing(section, old_version.is_some());
    let cluster = security::cluster(section, addrs);
    Some(InputSettings {
        name: section
            .some_text("name")
            .unwrap_or_else(|| group_id.clone()),
        cluster,
        group_id,
        group_instance_id: section.some_text("group_instance_id"),
        client_rack: section.some_text("client_rack"),
        old_version,
        group_protocol: section
            .choice(
                "group_protocol",
                &[
                    ("classic", GroupProtocol::Classic),
                    ("consumer", GroupProtocol::Consumer),
                ],
            )
            .unwrap_or_default(),
        assignor: assignor(section),
        exclude_topics: exclude_topics(section),
        offsets: section
            .mixed("offsets", offset)
            .unwrap_or_default()
            .unwrap_or_else(|| {
                section.reader().note_value(section.warning(
                    "offsets",
                    "only -1 (newest) and -2 (oldest) have a meaning; this counts as newest",
                ));
                Offset::Newest
            }),
        out_of_range: section
            .mixed("offset_out_of_range", out_of_range)
            .unwrap_or(OutOfRange::Resume(Offset::Oldest)),
        flow,
        topic_flow,
        ordering: section
            .choice(
                "ordering",
                &[
                    ("thread", Ordering::ByThread),
                    ("partition", Ordering::Partition),
                    ("key", Ordering::Key),
                    ("none", Ordering::Free),
                ],
            )
            .unwrap_or(Ordering::ByThread),
        session_timeout,
        heartbeat_interval,
        max_poll_interval,
        drain_timeout,
        commit_interval,
        max_in_flight: section.size("max_in_flight", 1),
        skywalking,
        jaeger,
        otel,
        custom,
        remote_handle,
    })
}

/// The flow of the topics that have a table of their own, each on top of `flow`.
fn topic_flow(
    section: &Section<'_>,
    named: &[Named],
    flow: &FlowSettings,
) -> BTreeMap<String, FlowSettings> {
    let mut topic_flow = BTreeMap::new();
    for (topic, own) in section.named_sections("topics") {
        let takes = |known: &Named| {
            known.topic == topic
                || TopicPattern::new(&known.topic).is_ok_and(|pattern| pattern.takes(&topic))
        };
        if !named.iter().any(takes) {
            section.reader().note_key(Diagnostic::warning(
                own.path(),
                format!("no route subscribes to the topic `{topic}`"),
            ));
        }
        topic_flow.insert(topic, Flow::read(&own).finish(&own, Some(flow)));
    }
    topic_flow
}

/// The intervals of a membership.
struct Timing {
    session_timeout: Duration,
    heartbeat_interval: Duration,
    max_poll_interval: Duration,
    drain_timeout: Duration,
    commit_interval: Duration,
}

/// The intervals of a membership, with a finding for each pair that does not fit. Brokers that are `is_old`
/// limit the session.
fn timing(section: &Section<'_>, is_old: bool) -> Timing {
    let mut session_timeout = section.some_duration("session_timeout");
    if is_old && session_timeout > OLD_SESSION {
        if section.is_set("session_timeout") {
            section.reader().note_value(section.warning(
                "session_timeout",
                "brokers of that version take no more than 30 s, which it is now",
            ));
        }
        session_timeout = OLD_SESSION;
    }
    // What is not written follows a session that is shorter than usual.
    let within = |name: &str, part: u32, written: Duration| match section.is_set(name) {
        true => written,
        false => written.min(session_timeout / part),
    };
    let heartbeat_interval = section.some_duration("heartbeat_interval");
    let heartbeat_interval = within("heartbeat_interval", 3, heartbeat_interval);
    if heartbeat_interval * 3 > session_timeout {
        section.error(
            "heartbeat_interval",
            "`heartbeat_interval` must be at most a third of `session_timeout`",
        );
    }
    let max_poll_interval = section.some_duration("max_poll_interval");
    if max_poll_interval < session_timeout {
        section.error(
            "max_poll_interval",
            "`max_poll_interval` must not be shorter than `session_timeout`",
        );
    }
    let drain_timeout = within("drain_timeout", 2, section.duration("drain_timeout"));
    if drain_timeout >= session_timeout {
        section.error("drain_timeout", "`drain_timeout` must be shorter than `session_timeout`, or the group gives the partitions away while they drain");
    }
    let commit_interval = section.some_duration("commit_interval");
    if commit_interval > Duration::from_secs(60) {
        section.reader().note_value(section.warning(
            "commit_interval",
            "a crash delivers everything since the last commit again, which can be a minute and more",
        ));
    }
    Timing {
        session_timeout,
        heartbeat_interval,
        max_poll_interval,
        drain_timeout,
        commit_interval,
    }
}

/// Longest session that brokers before 0.10 take by default (`group.max.session.timeout.ms`).
const OLD_SESSION: Duration = Duration::from_secs(30);

/// The version of brokers that do not tell theirs. Later ones negotiate, whatever is written here.
fn old_version(section: &Section<'_>) -> Option<String> {
    let version = section.some_text("kafka_version")?;
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        // The client library knows its versions by three numbers at least.
        Some([0, 9]) => Some(format!("{version}.0")),
        Some([0, 9, ..]) => Some(version),
        Some([0, minor, ..]) if *minor < 9 => {
            section.error(
                "kafka_version",
                format!("brokers of version {version} have no consumer groups; 0.9 is the oldest that can be used"),
            );
            None
        }
        Some([_, _, ..]) => None,
        _ => {
            section.reader().note_value(
                section
                    .warning(
                        "kafka_version",
                        format!("`{version}` is not a version; it is ignored"),
                    )
                    .with_hint("leave the key out, versions are negotiated with the broker"),
            );
            None
        }
    }
}

/// The patterns of `exclude_topics`, all of which can be used.
fn exclude_topics(section: &Section<'_>) -> Vec<String> {
    let path = section.path_of("exclude_topics");
    let mut patterns = section.list("exclude_topics");
    for (index, pattern) in patterns.iter().enumerate() {
        if let Err(problem) = TopicPattern::check(pattern) {
            section
                .reader()
                .note_value(Diagnostic::error(format!("{path}[{index}]"), problem));
        }
    }
    patterns.retain(|pattern| TopicPattern::check(pattern).is_ok());
    patterns
}

fn assignor(section: &Section<'_>) -> Assignor {
    const STICKY: &str = "sticky";
    let words = [
        ("range", Assignor::Range),
        ("roundrobin", Assignor::RoundRobin),
        (STICKY, Assignor::CooperativeSticky),
        ("cooperative-sticky", Assignor::CooperativeSticky),
    ];
    let assignor = section.choice("assignor", &words).unwrap_or_default();
    if section.text("assignor").eq_ignore_ascii_case(STICKY) {
        section.reader().note_value(
            section
                .warning(
                    "assignor",
                    "`sticky` becomes `cooperative-sticky`, which old members of the group do not speak",
                )
                .with_hint("stop all old members of the group before starting this one"),
        );
    }
    assignor
}

/// `Ok(None)` is a number without a meaning.
fn offset(value: &Value, variable: bool) -> Result<Option<Offset>, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if variable => text.parse().ok(),
        _ => None,
    };
    if let Some(number) = number {
        return Ok(match number {
            // Absent and 0 meant newest in old files.
            -1 | 0 => Some(Offset::Newest),
            -2 => Some(Offset::Oldest),
            _ => None,
        });
    }
    start(value).map(Some)
}

fn start(value: &Value) -> Result<Offset, String> {
    let Value::String(text) = value else {
        return Err(expected("\"newest\", \"oldest\" or a time", value));
    };
    match text.to_ascii_lowercase().as_str() {
        "newest" | "latest" | "end" => Ok(Offset::Newest),
        "oldest" | "earliest" | "beginning" => Ok(Offset::Oldest),
        lower => {
            let ago = lower
                .strip_suffix("ago")
                .and_then(|span| quantity::duration(span.trim()).ok());
            match (ago, quantity::time(text)) {
                (Some(span), _) => Ok(Offset::Ago(span)),
                (None, Some(time)) if time >= SystemTime::UNIX_EPOCH => Ok(Offset::At(time)),
                _ => Err(format!(
                    "`{text}` is neither \"newest\" nor \"oldest\" nor a time such as \"2025-01-31T08:00:00Z\" or \"1h ago\""
                )),
            }
        }
    }
}

fn out_of_range(value: &Value, variable: bool) -> Result<OutOfRange, String> {
    if value
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case("stop"))
    {
        return Ok(OutOfRange::Stop);
    }
    match offset(value, variable) {
        Ok(Some(offset)) => Ok(OutOfRange::Resume(offset)),
        Ok(None) => Err("expected \"oldest\", \"newest\", \"stop\" or a time".to_owned()),
        Err(message) => Err(message.replace("nor a time", "nor \"stop\" nor a time")),
    }
}

/// The flow keys of one table, with what the operator left out still open.
struct Flow {
    sampling_rate: Option<f64>,
    sampling_key: Option<SamplingKey>,
    limit_records: Option<u64>,
    limit_bytes: Option<u64>,
    limit_key: Option<u64>,
    null_value: Option<ValuePolicy>,
    empty_value: Option<ValuePolicy>,
}

impl Flow {
    fn read(section: &Section<'_>) -> Self {
        const POLICIES: &[(&str, ValuePolicy)] = &[
            ("skip", ValuePolicy::Skip),
            ("pass", ValuePolicy::Pass),
            ("dlq", ValuePolicy::DeadLetter),
        ];
        let set = |name: &str| section.is_set(name);
        Self {
            sampling_rate: set("sampling_rate").then(|| section.number("sampling_rate")),
            sampling_key: set("sampling_key")
                .then(|| {
                    let words = [("record", SamplingKey::Record), ("key", SamplingKey::Key)];
                    section.choice("sampling_key", &words)
                })
                .flatten(),
            limit_records: set("limit_sec").then(|| section.count("limit_sec")),
            limit_bytes: set("limit_bytes_sec").then(|| section.bytes("limit_bytes_sec")),
            limit_key: set("limit_key_sec").then(|| section.count("limit_key_sec")),
            null_value: section.choice("null_value", POLICIES),
            empty_value: set("empty_value")
                .then(|| section.choice("empty_value", POLICIES))
                .flatten(),
        }
    }

    fn finish(&self, section: &Section<'_>, base: Option<&FlowSettings>) -> FlowSettings {
        let sampling_rate = match self.sampling_rate {
            None => base.and_then(|base| base.sampling_rate),
            Some(rate) if rate > 0.0 && rate < 1.0 => Some(rate),
            Some(rate) => {
                if !(0.0..=1.0).contains(&rate) {
                    section.reader().note_value(section.warning(
                        "sampling_rate",
                        format!("{rate} is not between 0 and 1; all records are kept"),
                    ));
                }
                None
            }
        };
        let some = |own: Option<u64>, base: Option<u64>| match own {
            None => base,
            Some(0) => None,
            limit => limit,
        };
        FlowSettings {
            sampling_rate,
            sampling_key: self
                .sampling_key
                .or(base.map(|base| base.sampling_key))
                .unwrap_or_default(),
            limit_records: some(self.limit_records, base.and_then(|base| base.limit_records)),
            limit_bytes: some(self.limit_bytes, base.and_then(|base| base.limit_bytes)),
            limit_key: some(self.limit_key, base.and_then(|base| base.limit_key)),
            null_value: self.null_value.or(base.and_then(|base| base.null_value)),
            empty_value: self
                .empty_value
                .or(base.map(|base| base.empty_value))
                .unwrap_or_default(),
        }
    }
}

/// Notes every topic that two routes name, and an input without any.
fn check_topics(section: &Section<'_>, named: &[Named]) {
    let mut first: HashMap<&str, &Named> = HashMap::new();
    for name in named {
        if let Err(problem) = check_name(&name.topic) {
            note(section, name, Diagnostic::error(&name.path, problem));
        }
        let Some(other) = first.get(name.topic.as_str()) else {
            first.insert(&name.topic, name);
            continue;
        };
        let same_list = other.table == name.table && parent(&other.path) == parent(&name.path);
        let related: Option<Related> =
            section
                .reader()
                .related(&other.path, other.part, "first named here");
        let mut diagnostic = if same_list {
            Diagnostic::warning(
                &name.path,
                format!("topic `{}` is listed twice", name.topic),
            )
        } else {
            Diagnostic::error(&name.path, format!("topic `{}` belongs to two routes", name.topic))
                .with_hint("a record takes one route; remove the topic from one of them, or read it with a second group in another [[inputs.kafkamq]]")
        };
        diagnostic.related.extend(related);
        note(section, name, diagnostic);
    }
    if named.is_empty() {
        section.reader().note_key(Diagnostic::warning(
            section.path(),
            "this input names no topic and stays idle",
        ));
    }
}

fn note(section: &Section<'_>, name: &Named, diagnostic: Diagnostic) {
    match name.part {
        Part::Key => section.reader().note_key(diagnostic),
        Part::Value => section.reader().note_value(diagnostic),
    }
}

/// The list or table that an element belongs to.
fn parent(path: &str) -> &str {
    path.rfind(['[', '.'])
        .and_then(|cut| path.get(..cut))
        .unwrap_or(path)
}

fn check_name(topic: &str) -> Result<(), String> {
    if topic.is_empty() {
        return Err("a topic name is empty".to_owned());
    }
    if TopicPattern::is_one(topic) {
        return TopicPattern::check(topic);
    }
    if topic.len() > 249
        || topic == "."
        || topic == ".."
        || !topic
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        return Err(format!(
            "`{topic}` cannot be a topic name: letters, digits, `.`, `_` and `-` are allowed, up to 249 of them"
        ));
    }
    Ok(())
}
