//! Trying a script on records without a trace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web;
use base64_simd::forgiving_decode_to_vec;
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::Category;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::controls::TapOptions;
use crate::dead_letters::Payload;
use crate::routes::Shared;
use crate::routes::operation::{Need, Operation};
use crate::routes::parameters::{CategoryName, Object, ScriptName, present, whole, within};
use crate::routes::problem::{Finding, Kind, Problem};
use crate::routes::topics::known;
use kafkamq_conversion::scripts::{Trial, shown};
use kafkamq_conversion::{RecordRules, ScriptTrial, Tried, TriedRecord};
use kafkamq_settings::Role;

/// Inputs of one trial.
const RECORDS_MAX: usize = 1000;
/// Records that are waited for.
const TAPPED: u32 = 10;
const TAPPED_MAX: u32 = 100;
/// How long they are waited for.
const TAP_PATIENCE: Duration = Duration::from_secs(5);
const TAP_BYTES: usize = 1024 * 1024;
/// A trial that takes longer stops between two records.
const TRIAL_TIME: Duration = Duration::from_secs(5);
/// Name of a script that has none.
const NAMELESS: &str = "eval.p";

pub(super) fn operations() -> [Operation; 1] {
    [Operation::new(
        Method::POST,
        "/v1/pipelines/eval",
        "evalPipeline",
        Need::Role(Role::Operate),
        eval,
    )
    .harmless()
    .heavy()
    .about(
        "Try a script",
        "A text, or a script in force, on records given here or tapped from a topic. It runs within \
         the same budget and with the same services as in the flow. Points are built and finished \
         as in the flow: by the route of a topic that an input reads to points of the category, else \
         as the route `custom` builds them. It leaves no trace: nothing is sent, and it has caches, \
         windows and buckets of its own.",
    )
    .body::<Request>("application/json")
    .answers::<EvalAnswer>(200, "What it made of each record.")
    .refuses(&[404, 422, 429])]
}

/// What to run on what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EvalRequest", extend("anyOf" = [{ "required": ["script"] }, { "required": ["name"] }]))]
struct Request {
    /// Text of the script; without it the script in force called `name`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    script: Option<String>,
    /// Name of the script.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ScriptName")]
    name: Option<ScriptName>,
    /// Category of the points, `logging` by default.
    #[serde(default)]
    category: Option<CategoryName>,
    /// Values of records, as text or in base64.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    records: Vec<Payload>,
    /// Topic of these, which is the measurement of their points; `eval` by default.
    #[serde(default)]
    topic: Option<String>,
    /// A topic to take records from, besides those given.
    #[serde(default)]
    tap: Option<String>,
    /// Records to wait for, up to five seconds; 10 by default.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 100))]
    count: Option<u32>,
}

/// What the script made of the records.
#[derive(Debug, Serialize, JsonSchema)]
struct EvalAnswer {
    /// One for each record, in order.
    results: Vec<ResultView>,
    /// What the caller should know besides.
    warnings: Vec<String>,
}

/// What the script made of one record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EvalResult")]
struct ResultView {
    /// Where a tapped record stood, as `topic/partition/offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// `kept`, `dropped`, or `failed`: kept as it was when the script stopped.
    status: &'static str,
    /// Whether the script dropped the point.
    dropped: bool,
    /// The points that go on, as they would be sent: measurement, category, tags, fields, and the time
    /// in nanoseconds.
    points: Vec<Value>,
    /// Why a part of the record would not be sent, though no script dropped it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
    /// Why it stopped early.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Finding>,
    /// How long it ran.
    seconds: f64,
}

/// A record to run on.
struct Subject {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    value: Vec<u8>,
    /// Where it stood, if it was tapped.
    place: Option<String>,
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::InvalidRequest, detail)
}

fn given(value: Payload, topic: &str, offset: i64) -> Result<Subject, Problem> {
    let value = match value {
        Payload::Text(text) => text.into_bytes(),
        Payload::Base64(base64) => {
            let bytes = forgiving_decode_to_vec(base64.as_bytes());
            bytes.map_err(|_| invalid("a record is not in base64"))?
        }
    };
    Ok(Subject {
        topic: topic.to_owned(),
        partition: 0,
        offset,
        timestamp_ms: None,
        key: None,
        headers: Vec::new(),
        value,
        place: None,
    })
}

async fn tapped(shared: &Shared, topic: &str, count: u32) -> Result<Vec<Subject>, Problem> {
    known(shared, topic)?;
    let options = TapOptions {
        rate: TAPPED_MAX,
        partition: None,
        max_bytes: TAP_BYTES,
    };
    let tap = shared.router.controls().tap(topic, options);
    let mut tap = tap.map_err(|error| Problem::new(Kind::TooMany, error.to_string()))?;
    let end = Instant::now() + TAP_PATIENCE;
    let mut subjects = Vec::new();
    while subjects.len() < count as usize {
        let Ok(Some(record)) = timeout_at(end, tap.next()).await else {
            break;
        };
        let place = format!("{topic}/{}/{}", record.partition, record.offset);
        subjects.push(Subject {
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            headers: record.headers,
            value: record.value.unwrap_or_default(),
            place: Some(place),
        });
    }
    Ok(subjects)
}

async fn eval(
    shared: web::Data<Shared>,
    request: web::Json<Object<Request>>,
) -> Result<web::Json<EvalAnswer>, Problem> {
    let request = request.into_inner().0;
    let category = request
        .category
        .map_or(Category::Logging, |category| category.0);
    if request.script.is_none() && request.name.is_none() {
        return Err(invalid("either `script` or `name` is needed"));
    }
    if request.records.len() > RECORDS_MAX {
        return Err(invalid(format!("`records` may hold up to {RECORDS_MAX}")));
    }
    let count = within("count", request.count, TAPPED, &(1..=TAPPED_MAX))?;
    let mut subjects = Vec::new();
    let topic = request.topic.as_deref().unwrap_or("eval");
    for (offset, value) in (0..).zip(request.records) {
        subjects.push(given(value, topic, offset)?);
    }
    let mut warnings = Vec::new();
    if let Some(topic) = &request.tap {
        let tapped = tapped(&shared, topic, count).await?;
        if tapped.len() < count as usize {
            let (found, seconds) = (tapped.len(), TAP_PATIENCE.as_secs());
            warnings.push(format!(
                "{found} of {count} records passed within {seconds} s"
            ));
        }
        subjects.extend(tapped);
    }
    let asked = subjects.len();
    let name = request
        .name
        .map_or_else(|| NAMELESS.to_owned(), |name| name.0);
    let rules = RecordRules::new(
        &shared.configuration.current().settings,
        shared.router.scripts().in_force(),
    );
    let routes = shared.router.routes().known_routes();
    let scripts = Arc::clone(shared.router.scripts());
    // A script may take its time, and ask other hosts: not on a thread that serves others.
    let results = web::block(move || {
        let snapshot = scripts.preview(Trial {
            category,
            name: &name,
            text: request.script.as_deref(),
        })?;
        Ok(run(subjects, |topic| {
            let like = routes.iter().find(|route| *route.topic == *topic);
            let like = like.map(|route| &**route);
            let snapshot = Arc::clone(&snapshot);
            ScriptTrial::new(&rules, snapshot, (category, &name), topic, like)
        }))
    })
    .await
    .map_err(|_| Problem::new(Kind::Unavailable, "the service is stopping"))?
    .map_err(super::refused)?;
    if results.len() < asked {
        let done = results.len();
        warnings.push(format!("the time was up after {done} of {asked} records"));
    }
    Ok(web::Json(EvalAnswer { results, warnings }))
}

/// Runs a trial on each of `subjects`, as long as there is time.
fn run(subjects: Vec<Subject>, mut begin: impl FnMut(&str) -> ScriptTrial) -> Vec<ResultView> {
    let began = std::time::Instant::now();
    let mut trials: HashMap<String, ScriptTrial> = HashMap::new();
    let mut results = Vec::new();
    for subject in subjects {
        if began.elapsed() > TRIAL_TIME {
            break;
        }
        let trial = match trials.entry(subject.topic.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(begin(&subject.topic)),
        };
        let start = std::time::Instant::now();
        let record = TriedRecord {
            partition: subject.partition,
            offset: subject.offset,
            timestamp_ms: subject.timestamp_ms,
            key: subject.key.as_deref(),
            headers: &subject.headers,
            value: &subject.value,
        };
        let tried = trial.run(record, SystemClock.now_ns());
        results.push(result_view(&tried, subject.place, start.elapsed()));
    }
    results
}

fn result_view(result: &Tried, record: Option<String>, took: Duration) -> ResultView {
    ResultView {
        record,
        status: match (&result.error, result.dropped) {
            (Some(_), _) => "failed",
            (None, true) => "dropped",
            (None, false) => "kept",
        },
        dropped: result.dropped,
        points: result
            .points
            .iter()
            .map(|tried| shown(&tried.point))
            .collect(),
        refused: result.refused.clone(),
        error: result.error.as_deref().map(Finding::from),
        seconds: took.as_secs_f64(),
    }
}
