//! Runs the conformance cases in `tests/cases`: each line holds a case, its class and what the
//! reference implementation answered. Cases of class `accident`, where the reference errs, only
//! have to be answered without a crash; all others have to agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use kafkamq_pipeline::cases::{case_engine, run_case};
use kafkamq_pipeline::{Engine, RunState};
use serde_json::{Map, Value};

/// Fields that hold an error text, of which only the presence counts.
const ERROR_TEXTS: [&str; 1] = ["pl_msg"];

fn same_value(key: &str, want: &Value, got: &Value) -> bool {
    if ERROR_TEXTS.contains(&key) {
        return want.get("str").is_some() == got.get("str").is_some();
    }
    match (want.get("float"), got.get("float")) {
        (Some(want), Some(got)) => match (want.as_f64(), got.as_f64()) {
            (Some(want), Some(got)) => (want - got).abs() <= want.abs() * 1e-12,
            _ => want == got,
        },
        _ => want == got,
    }
}

/// The members of an object that hold something; a field with nil equals an absent one.
fn present<'v>(point: &'v Value, name: &str) -> Map<String, Value> {
    let empty = Map::new();
    let members: &'v Value = &point[name];
    members
        .as_object()
        .unwrap_or(&empty)
        .iter()
        .filter(|(_, value)| value.get("nil").is_none())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn same_point(want: &Value, got: &Value) -> bool {
    let (want_fields, got_fields) = (present(want, "fields"), present(got, "fields"));
    ["name", "time_ns", "category"]
        .iter()
        .all(|key| want[key] == got[key])
        && (want["dropped"] == true) == (got["dropped"] == true)
        && present(want, "tags") == present(got, "tags")
        && want_fields.len() == got_fields.len()
        && want_fields.iter().all(|(key, value)| {
            got_fields
                .get(key)
                .is_some_and(|got| same_value(key, value, got))
        })
}

fn verdict(want: &Value, got: &Value) -> Result<(), String> {
    for error in ["check_error", "run_error"] {
        if want.get(error).is_some() != got.get(error).is_some() {
            return Err(format!(
                "{error}: want {:?}, got {:?}",
                want.get(error),
                got.get(error)
            ));
        }
    }
    if want.get("check_error").is_some() {
        return Ok(());
    }
    if !same_point(&want["point"], &got["point"]) {
        return Err(format!(
            "point: want {}\n got {}",
            want["point"], got["point"]
        ));
    }
    let none = Vec::new();
    let points = |side: &Value| side["sub_points"].as_array().unwrap_or(&none).clone();
    let (want, got) = (points(want), points(got));
    if want.len() != got.len()
        || !want
            .iter()
            .zip(&got)
            .all(|(want, got)| same_point(want, got))
    {
        return Err(format!("created points: want {want:?}\n got {got:?}"));
    }
    Ok(())
}

fn run(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(file);
    let engine: Engine = case_engine();
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    // Some cases wait inside the script, so they run side by side.
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = rows
            .chunks(rows.len().div_ceil(8).max(1))
            .map(|chunk| {
                let engine = &engine;
                std::thread::Builder::new()
                    .stack_size(16 << 20)
                    .spawn_scoped(scope, move || check(engine, chunk))
                    .unwrap()
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} cases disagree\n{}",
        failures.len(),
        rows.len(),
        failures
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
}

fn check(engine: &Engine, rows: &[&str]) -> Vec<String> {
    let mut state = RunState::new();
    let mut failures = Vec::new();
    for row in rows {
        let row: Value = serde_json::from_str(row).unwrap();
        let answer = run_case(engine, &mut state, &row["case"].to_string());
        let got: Value = serde_json::from_str(&answer).unwrap();
        let crashed = got["run_error"]
            .as_str()
            .is_some_and(|error| error.contains("R901"));
        let result = if crashed || got.get("error").is_some() {
            Err(format!("crashed: {answer}"))
        } else if row["class"] == "accident" {
            Ok(())
        } else {
            verdict(&row["expect"], &got)
        };
        if let Err(why) = result {
            failures.push(format!(
                "--- {}\n{}\n{why}",
                row["case"]["id"],
                row["case"]["script"].as_str().unwrap_or_default()
            ));
        }
    }
    failures
}

#[test]
fn the_language_core_agrees() {
    run("core.jsonl");
}

#[test]
fn strings_and_patterns_agree() {
    run("strings.jsonl");
}

#[test]
fn time_and_state_agree() {
    run("time.jsonl");
}

#[test]
fn texts_from_the_field_are_read() {
    run("field.jsonl");
}
