//! Topics: what is read, stopping and starting it, and watching its records.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::access::Identity;
use super::operation::{Need, Operation};
use super::parameters::within;
use super::problem::{Kind, Problem};
use super::records::RecordView;
use super::{Shared, keep};
use crate::actors::status::PartitionStatus;
use crate::controls::{Tap, TapOptions};
use kafkamq_settings::Role;

/// Records a second that a tap shows unless more are asked for.
const TAP_RATE: u32 = 10;
const TAP_RATE_MAX: u32 = 1000;
/// Longest part of a key or value that a tap shows, in bytes.
const TAP_BYTES: u32 = 16 * 1024;
const TAP_BYTES_MAX: u32 = 1024 * 1024;
/// How often a tap tells how many records passed, which also keeps proxies from closing it.
const TAP_REPORT: Duration = Duration::from_secs(2);

/// The operations on topics.
pub(super) fn operations() -> Vec<Operation> {
    let operate = Need::Role(Role::Operate);
    vec![
        Operation::new(
            Method::GET,
            "/v1/topics",
            "listTopics",
            Need::Role(Role::Read),
            list,
        )
        .about(
            "The topics that are read",
            "One entry for each topic of each input.",
        )
        .answers::<TopicList>(200, "The topics.")
        .refuses(&[503]),
        Operation::new(
            Method::POST,
            "/v1/topics/{topic}/pause",
            "pauseTopic",
            operate,
            pause,
        )
        .about(
            "Stop reading a topic",
            "What is in flight is delivered and committed; the member stays in its group, and \
                 nothing is lost: records wait in Kafka. Holds for all inputs and through \
                 rebalances until the topic is resumed; with `server.state_dir` through a restart, \
                 too.",
        )
        .path_parameters::<TopicPath>()
        .answers::<TopicState>(200, "It is paused.")
        .refuses(&[404]),
        Operation::new(
            Method::POST,
            "/v1/topics/{topic}/resume",
            "resumeTopic",
            operate,
            resume,
        )
        .about("Read a topic again", "Reading goes on where it stopped.")
        .path_parameters::<TopicPath>()
        .answers::<TopicState>(200, "It is read.")
        .refuses(&[404]),
        Operation::new(
            Method::GET,
            "/v1/topics/{topic}/tap",
            "tapTopic",
            operate,
            tap,
        )
        .about(
            "Watch records of a topic",
            "Server-sent events: `record` holds a record as it was read, `seen` how many have \
                 passed. What comes faster than `rate` is left out; the flow never waits.",
        )
        .path_parameters::<TopicPath>()
        .query::<TapQuery>()
        .answers_as::<TapEvent>(
            200,
            "text/event-stream",
            "The records, until the client leaves.",
        )
        .refuses(&[404, 429]),
    ]
}

/// Names a topic.
#[derive(Debug, Deserialize, JsonSchema)]
struct TopicPath {
    /// Name of the topic.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,249}$"))]
    topic: String,
}

/// All topics.
#[derive(Debug, Serialize, JsonSchema)]
struct TopicList {
    /// By name and input.
    topics: Vec<TopicEntry>,
}

/// A topic of an input.
#[derive(Debug, Serialize, JsonSchema)]
struct TopicEntry {
    /// Its name.
    topic: String,
    /// The input that reads it.
    input: String,
    /// What happens to its records.
    route: &'static str,
    /// The pause, if it is paused.
    paused: Option<PauseView>,
    /// Partitions assigned to this process.
    partitions: usize,
    /// Records of its partitions that are not committed; null while one of them does not know, or
    /// none is assigned.
    lag: Option<i64>,
    /// Records not settled yet.
    records_in_flight: usize,
}

/// A topic that an operator has paused.
#[derive(Debug, Serialize, JsonSchema)]
struct PauseView {
    /// Seconds since it began.
    seconds: f64,
    /// Name of the token that asked for it.
    by: String,
}

/// Whether a topic is read.
#[derive(Debug, Serialize, JsonSchema)]
struct TopicState {
    /// Its name.
    topic: String,
    /// The pause, if it is paused.
    paused: Option<PauseView>,
}

fn pause_view(shared: &Shared, topic: &str) -> Option<PauseView> {
    let pause = shared.router.controls().pause_of(topic)?;
    Some(PauseView {
        seconds: pause.age_seconds(),
        by: pause.by,
    })
}

async fn list(shared: web::Data<Shared>) -> Result<web::Json<TopicList>, Problem> {
    let status = shared.router.status().await;
    let status = status.ok_or_else(|| Problem::no_answer("router"))?;
    let routes = shared.router.routes();
    let mut topics: Vec<TopicEntry> = routes
        .routes()
        .map(|route| {
            let input = status
                .inputs
                .iter()
                .find(|input| *input.name == *route.input.0);
            let partitions: Vec<&PartitionStatus> = input
                .into_iter()
                .flat_map(|input| &input.partitions)
                .filter(|partition| *partition.topic == *route.topic)
                .collect();
            TopicEntry {
                topic: route.topic.to_string(),
                input: route.input.to_string(),
                route: route.kind.name(),
                paused: pause_view(&shared, &route.topic),
                partitions: partitions.len(),
                lag: match partitions.is_empty() {
                    true => None,
                    false => partitions.iter().map(|partition| partition.lag).sum(),
                },
                records_in_flight: partitions.iter().map(|one| one.records_in_flight).sum(),
            }
        })
        .collect();
    topics.sort_by(|a, b| (&a.topic, &a.input).cmp(&(&b.topic, &b.input)));
    Ok(web::Json(TopicList { topics }))
}

/// Refuses a topic that no input reads.
pub(super) fn known(shared: &Shared, topic: &str) -> Result<(), Problem> {
    if shared
        .router
        .routes()
        .routes()
        .any(|route| *route.topic == *topic)
    {
        return Ok(());
    }
    Err(Problem::new(
        Kind::NotFound,
        format!("no input reads a topic `{topic}`"),
    ))
}

async fn pause(
    shared: web::Data<Shared>,
    path: web::Path<TopicPath>,
    caller: Identity,
) -> Result<web::Json<TopicState>, Problem> {
    known(&shared, &path.topic)?;
    shared
        .router
        .controls()
        .topic(&path.topic)
        .stop(&caller.name);
    keep(&shared).await?;
    Ok(state(&shared, path.into_inner().topic))
}

async fn resume(
    shared: web::Data<Shared>,
    path: web::Path<TopicPath>,
) -> Result<web::Json<TopicState>, Problem> {
    let controls = shared.router.controls();
    // One that left the configuration while it was paused can be resumed all the same.
    if controls.pause_of(&path.topic).is_none() {
        known(&shared, &path.topic)?;
    }
    controls.topic(&path.topic).resume();
    keep(&shared).await?;
    Ok(state(&shared, path.into_inner().topic))
}

fn state(shared: &Shared, topic: String) -> web::Json<TopicState> {
    web::Json(TopicState {
        paused: pause_view(shared, &topic),
        topic,
    })
}

/// What is shown of a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TapQuery {
    /// Records a second, 10 by default.
    #[schemars(range(min = 1, max = 1000))]
    rate: Option<u32>,
    /// Only this partition.
    #[schemars(range(min = 0, max = 2_147_483_647))]
    partition: Option<i32>,
    /// End after this many records.
    #[schemars(range(min = 1, max = 1_000_000))]
    limit: Option<u32>,
    /// End after this many seconds.
    #[schemars(range(min = 1, max = 86_400))]
    seconds: Option<u32>,
    /// Bytes of a key or value that are shown, 16384 by default.
    #[schemars(range(min = 1, max = 1_048_576))]
    max_bytes: Option<u32>,
}

/// A server-sent event.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct TapEvent {
    /// `record` or `seen`.
    event: String,
    /// A record as JSON, or how many have passed.
    data: String,
    /// Where the record stood, as `topic/partition/offset`.
    #[schemars(default)]
    id: String,
}

async fn tap(
    shared: web::Data<Shared>,
    path: web::Path<TopicPath>,
    query: web::Query<TapQuery>,
) -> Result<HttpResponse, Problem> {
    known(&shared, &path.topic)?;
    let partition = query
        .partition
        .map(|partition| within("partition", Some(partition), 0, &(0..=i32::MAX)))
        .transpose()?;
    let max_bytes = within(
        "max_bytes",
        query.max_bytes,
        TAP_BYTES,
        &(1..=TAP_BYTES_MAX),
    )?;
    let options = TapOptions {
        rate: within("rate", query.rate, TAP_RATE, &(1..=TAP_RATE_MAX))?,
        partition,
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
    };
    let left = query
        .limit
        .map(|limit| within("limit", Some(limit), 1, &(1..=1_000_000)))
        .transpose()?;
    let seconds = query
        .seconds
        .map(|seconds| within("seconds", Some(seconds), 1, &(1..=86_400)))
        .transpose()?;
    let tap = shared
        .router
        .controls()
        .tap(&path.topic, options)
        .map_err(|error| Problem::new(Kind::TooMany, error.to_string()))?;
    let mut report = tokio::time::interval(TAP_REPORT);
    report.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events {
        tap,
        report,
        left,
        end: seconds.map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds))),
        topic: path.into_inner().topic,
    };
    let body = stream::unfold(events, |mut events| async move {
        let event = events.next().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(body))
}

/// The events of one tap. It ends when the client leaves and this is dropped.
struct Events {
    tap: Tap,
    report: Interval,
    left: Option<u32>,
    end: Option<Instant>,
    topic: String,
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if self.left == Some(0) {
            return None;
        }
        let ended = async {
            match self.end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let text = tokio::select! {
            biased;
            () = ended => return None,
            record = self.tap.next() => {
                let record = record?;
                self.left = self.left.map(|left| left - 1);
                let id = format!("{}/{}/{}", self.topic, record.partition, record.offset);
                let shown = RecordView::of(&self.topic, &record);
                let mut text = format!("event: record\nid: {id}\ndata: ").into_bytes();
                drop(serde_json::to_writer(&mut text, &shown));
                text.extend_from_slice(b"\n\n");
                // A client that does not read keeps it, and so it keeps counting.
                record.charge.seal(text)
            }
            _ = self.report.tick() => format!("event: seen\ndata: {}\n\n", self.tap.seen()).into(),
        };
        Some(text)
    }
}
