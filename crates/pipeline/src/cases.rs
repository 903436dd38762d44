//! Runs scripts on described inputs, one JSON line in and one JSON line out, for script tests.
//!
//! A line in holds `id`, `script` and, all optional, `message`, `fields`, `tags`, `category`,
//! `name`, `time_ns` and `scripts` (further scripts by name, for `use`). The line out repeats `id`
//! and adds `check_error` or the resulting `point`, `run_error` and `sub_points`.

use std::time::Duration;

use kafkamq_point::{Category, Point, Rules, Value as Field};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::engine::{Engine, Limits};
use crate::script::ScriptSet;
use crate::state::RunState;

/// One case as written.
#[derive(Debug, Deserialize)]
struct Case {
    id: Json,
    script: String,
    message: Option<String>,
    #[serde(default)]
    fields: Map<String, Json>,
    #[serde(default)]
    tags: Map<String, Json>,
    category: Option<String>,
    name: Option<String>,
    time_ns: Option<i64>,
    #[serde(default)]
    scripts: Map<String, Json>,
}

const MAIN: &str = "main.p";
const DEFAULT_TIME_NS: i64 = 1_600_000_000_000_000_000;

/// The engine cases run in unless the host brings its own: UTC-independent defaults and budgets
/// that let a script wait in a loop for some seconds.
#[must_use]
pub fn case_engine() -> Engine {
    Engine::new().with_limits(Limits {
        work: 20_000_000_000,
        time: Duration::from_secs(60),
        ..Limits::default()
    })
}

/// Runs one case. A line that is not a case gives a line with `error`.
#[must_use]
pub fn run_case(engine: &Engine, state: &mut RunState, line: &str) -> String {
    let answer = match serde_json::from_str::<Case>(line) {
        Ok(case) => answer(engine, state, &case),
        Err(error) => json!({ "error": error.to_string() }),
    };
    answer.to_string()
}

fn answer(engine: &Engine, state: &mut RunState, case: &Case) -> Json {
    let mut out = Map::new();
    out.insert("id".to_owned(), case.id.clone());
    let mut point = match input(case) {
        Ok(point) => point,
        Err(error) => return json!({ "id": case.id, "error": error }),
    };
    let scripts = case
        .scripts
        .iter()
        .filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)))
        .chain([(MAIN, case.script.as_str())]);
    let set = ScriptSet::compile(engine, scripts, None);
    let Some(script) = set.get(MAIN) else {
        let errors: Vec<String> = set.errors(MAIN).iter().map(ToString::to_string).collect();
        out.insert("check_error".to_owned(), errors.join("\n").into());
        return Json::Object(out);
    };
    let outcome = script.run(&mut point, state);
    if let Some(error) = &outcome.error {
        out.insert("run_error".to_owned(), error.to_string().into());
    }
    out.insert("point".to_owned(), output(&point, outcome.dropped));
    if !outcome.created.is_empty() {
        let created = outcome
            .created
            .iter()
            .map(|created| output(&created.point, created.dropped))
            .collect();
        out.insert("sub_points".to_owned(), Json::Array(created));
    }
    Json::Object(out)
}

/// The point a case describes, built by the rules of its category.
fn input(case: &Case) -> Result<Point, String> {
    let category = match &case.category {
        None => Category::Logging,
        Some(name) => name.parse().map_err(|error| format!("{error}"))?,
    };
    let mut point = Point::new(
        case.name.as_deref().unwrap_or("test"),
        category,
        case.time_ns.unwrap_or(DEFAULT_TIME_NS),
    );
    for (key, value) in &case.tags {
        match value {
            Json::String(text) => point.set_tag(key.as_str(), text.as_str()),
            other => point.set_tag(key.as_str(), other.to_string()),
        }
    }
    if let Some(message) = &case.message {
        point.set_field("message", message.as_str());
    }
    for (key, value) in &case.fields {
        point.set_field(key.as_str(), field(value));
    }
    Rules::of(category).apply(&mut point);
    Ok(point)
}

fn field(value: &Json) -> Field {
    match value {
        Json::Null => Field::Nil,
        Json::Bool(truth) => Field::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Field::Int(int),
            (None, Some(float)) => Field::Float(float),
            (None, None) => Field::Nil,
        },
        Json::String(text) => Field::from(text.as_str()),
        structure => Field::from(structure.to_string().as_str()),
    }
}

/// A point in the form results are compared in: typed fields, integers as text.
fn output(point: &Point, dropped: bool) -> Json {
    let tags: Map<String, Json> = point
        .tags()
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    let fields: Map<String, Json> = point
        .fields()
        .map(|(key, value)| (key.to_owned(), typed(value)))
        .collect();
    let mut out = json!({
        "name": point.name(),
        "tags": tags,
        "fields": fields,
        "time_ns": point.time_ns(),
        "category": point.category().name(),
    });
    if dropped {
        out["dropped"] = true.into();
    }
    out
}

fn typed(value: &Field) -> Json {
    match value {
        Field::Nil => json!({ "nil": true }),
        Field::Int(number) => json!({ "int": number.to_string() }),
        Field::Uint(number) => json!({ "uint": number.to_string() }),
        Field::Float(number) if number.is_finite() => json!({ "float": number }),
        Field::Float(number) if number.is_nan() => json!({ "float": "NaN" }),
        Field::Float(number) => json!({ "float": if *number > 0.0 { "+Inf" } else { "-Inf" } }),
        Field::Bool(truth) => json!({ "bool": truth }),
        Field::Str(text) => json!({ "str": text.as_str() }),
        Field::Bytes(bytes) => json!({ "str": String::from_utf8_lossy(bytes) }),
        array @ Field::Array(_) => {
            json!({ "str": crate::value::Value::from_field(array).text() })
        }
    }
}

/// Runs cases line by line until the input ends.
///
/// # Errors
/// Whatever reading or writing fails with.
pub fn run_cases(
    engine: &Engine,
    input: impl std::io::BufRead,
    mut output: impl std::io::Write,
) -> std::io::Result<()> {
    let mut state = RunState::new();
    for line in input.lines() {
        let line = line?;
        if !line.trim().is_empty() {
            writeln!(output, "{}", run_case(engine, &mut state, &line))?;
        }
    }
    output.flush()
}
