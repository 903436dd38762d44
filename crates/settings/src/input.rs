//! `[[inputs.kafkamq]]`: one consumer group member and the routes of its topics.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kafkamq_point::Category;

use super::{
    ClusterSettings, CustomRoute, JaegerRoute, OtelRoute, RemoteHandleRoute, SkywalkingRoute,
    TopicPattern, TopicSelection,
};

/// One input: a cluster, a group and what happens to each topic.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSettings {
    /// Name in metrics, logs and the status page; unique. The group id where the file gives none.
    pub name: String,
    /// The cluster whose group the input joins.
    pub cluster: ClusterSettings,
    /// Consumer group, never empty.
    pub group_id: String,
    /// Static membership: `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// `client.rack`: where the member stands, so that it reads from replicas nearby.
    pub client_rack: Option<String>,
    /// Version of brokers that do not tell theirs, which is those before 0.10.
    pub old_version: Option<String>,
    /// Who runs the group.
    pub group_protocol: GroupProtocol,
    /// How partitions are shared out;
    pub assignor: Assignor,
    /// Patterns of topics that no pattern of a route may take.
    pub exclude_topics: Vec<String>,
    /// Where to begin when the group has no committed offset.
    pub offsets: Offset,
    /// What to do when the committed offset no longer exists.
    pub out_of_range: OutOfRange,
    /// Sampling, rate limits and the treatment of empty values, for topics without own rules.
    pub flow: FlowSettings,
    /// Topics with rules of their own; each is complete.
    pub topic_flow: BTreeMap<String, FlowSettings>,
    /// What order is kept.
    pub ordering: Ordering,
    /// Time without heartbeats after which the group gives the partitions away.
    pub session_timeout: Duration,
    /// Time between heartbeats.
    pub heartbeat_interval: Duration,
    /// Time without a poll after which the client leaves the group by itself.
    pub max_poll_interval: Duration,
    /// How long revoke and shutdown wait for records in flight.
    pub drain_timeout: Duration,
    /// Time between commits of settled offsets.
    pub commit_interval: Duration,
    /// Records a partition may have in flight.
    pub max_in_flight: usize,
    /// SkyWalking topics.
    pub skywalking: Option<SkywalkingRoute>,
    /// Jaeger topics.
    pub jaeger: Option<JaegerRoute>,
    /// OpenTelemetry topics.
    pub otel: Option<OtelRoute>,
    /// Topics for scripts.
    pub custom: Option<CustomRoute>,
    /// Topics for the user's own HTTP handle.
    pub remote_handle: Option<RemoteHandleRoute>,
}

impl InputSettings {
    /// Every subscribed topic with its route, in the order of the routes; no topic appears twice.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription<'_>> {
        fn plain<'a>(
            topics: &'a [String],
            route: TopicRoute,
        ) -> impl Iterator<Item = Subscription<'a>> {
            topics
                .iter()
                .map(move |topic| Subscription { topic, route })
        }
        let skywalking = self.skywalking.iter().flat_map(|route| {
            route.topics.iter().map(|topic| Subscription {
                topic: &topic.topic,
                route: TopicRoute::Skywalking,
            })
        });
        let custom = self.custom.iter().flat_map(|route| {
            route.topics.iter().map(|topic| Subscription {
                topic: &topic.topic,
                route: TopicRoute::Custom(topic.category),
            })
        });
        let jaeger = self
            .jaeger
            .iter()
            .flat_map(|route| plain(&route.topics, TopicRoute::Jaeger));
        let handle = self
            .remote_handle
            .iter()
            .flat_map(|route| plain(&route.topics, TopicRoute::RemoteHandle));
        let otel = self.otel.iter().flat_map(|route| {
            plain(&route.traces.topics, TopicRoute::OtelTraces)
                .chain(plain(&route.metrics.topics, TopicRoute::OtelMetrics))
                .chain(plain(&route.logs.topics, TopicRoute::OtelLogs))
        });
        skywalking
            .chain(custom)
            .chain(jaeger)
            .chain(handle)
            .chain(otel)
            .collect()
    }

    /// What to subscribe to.
    #[must_use]
    pub fn selection(&self) -> TopicSelection {
        let topics = self.subscriptions().into_iter().map(|entry| entry.topic);
        TopicSelection::new(topics, &self.exclude_topics)
    }

    /// Sampling, limits and value rules of `topic`.
    #[must_use]
    pub fn flow(&self, topic: &str) -> &FlowSettings {
        self.own_flow(topic).unwrap_or(&self.flow)
    }

    /// The rules that were written for `topic`: by its name, else by a pattern that takes it.
    #[must_use]
    pub fn own_flow(&self, topic: &str) -> Option<&FlowSettings> {
        self.topic_flow.get(topic).or_else(|| {
            let takes =
                |text: &&String| TopicPattern::new(text).is_ok_and(|pattern| pattern.takes(topic));
            let pattern = self.topic_flow.keys().find(takes)?;
            self.topic_flow.get(pattern)
        })
    }
}

/// One subscribed topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Topic name as Kafka knows it, or a pattern that begins with `^`.
    pub topic: &'a str,
    /// What happens to its records.
    pub route: TopicRoute,
}

/// The route of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicRoute {
    /// [`InputSettings::skywalking`].
    Skywalking,
    /// [`InputSettings::jaeger`].
    Jaeger,
    /// Spans of [`InputSettings::otel`].
    OtelTraces,
    /// Metrics of [`InputSettings::otel`].
    OtelMetrics,
    /// Logs of [`InputSettings::otel`].
    OtelLogs,
    /// [`InputSettings::custom`], with the category of its points.
    Custom(Category),
    /// [`InputSettings::remote_handle`].
    RemoteHandle,
}

impl TopicRoute {
    /// The name for people: the key of the route, and the category of points.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Skywalking => "skywalking".to_owned(),
            Self::Jaeger => "jaeger".to_owned(),
            Self::OtelTraces => "otel traces".to_owned(),
            Self::OtelMetrics => "otel metrics".to_owned(),
            Self::OtelLogs => "otel logs".to_owned(),
            Self::Custom(category) => format!("custom {category}"),
            Self::RemoteHandle => "remote_handle".to_owned(),
        }
    }
}

/// Sampling, rate limits and the treatment of empty values.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowSettings {
    /// Share of records kept, in (0, 1]; `None` keeps all.
    pub sampling_rate: Option<f64>,
    /// What the decision is made for.
    pub sampling_key: SamplingKey,
    /// Records per second, with a burst of twice as many; `None` is unlimited.
    pub limit_records: Option<u64>,
    /// Bytes of values per second; `None` is unlimited.
    pub limit_bytes: Option<u64>,
    /// Records per second of each key within a partition; `None` is unlimited.
    pub limit_key: Option<u64>,
    /// Records without a value (tombstones); `None` leaves it to the route: skip, but pass to a
    /// remote handle.
    pub null_value: Option<ValuePolicy>,
    /// Records with a value of zero bytes.
    pub empty_value: ValuePolicy,
}

/// What the sampling decision is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SamplingKey {
    /// Each record by itself.
    #[default]
    Record,
    /// A hash of the record key, so all records of a trace are kept or dropped together; records
    /// without a key are decided one by one.
    Key,
}

/// What happens to records without a usable value. Each outcome is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValuePolicy {
    /// Acknowledged and counted.
    Skip,
    /// Processed like any other.
    #[default]
    Pass,
    /// Written to the dead letters.
    DeadLetter,
}

/// Who runs the consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// Its members: one of them shares the partitions out.
    #[default]
    Classic,
    /// The brokers, since Kafka 4.0.
    Consumer,
}

/// `partition.assignment.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignor {
    /// Eager, contiguous ranges per topic.
    #[default]
    Range,
    /// Eager, evenly over all topics.
    RoundRobin,
    /// Incremental; also what `sticky` becomes.
    CooperativeSticky,
}

impl Assignor {
    /// librdkafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The assignor of the brokers that comes closest.
    #[must_use]
    pub const fn remote_name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin | Self::CooperativeSticky => "uniform",
        }
    }
}

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offset {
    /// Records that arrive from now on.
    #[default]
    Newest,
    /// The first record still there.
    Oldest,
    /// The first record at or after this time.
    At(SystemTime),
    /// The first record that is not older than this when the partition is assigned.
    Ago(Duration),
}

/// What to do when the committed offset no longer exists in the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfRange {
    /// Go on from there; the number of skipped offsets is counted.
    Resume(Offset),
    /// Stop the partition and raise an alarm.
    Stop,
}

/// What order is kept inside a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `thread` of the route decides: one lane keeps the partition's order, several keep per-key
    /// order.
    ByThread,
    /// The partition's order, whatever `thread` says.
    Partition,
    /// Per-key order; records without a key are free.
    Key,
    /// None.
    Free,
}
