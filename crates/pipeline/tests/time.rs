//! The conformance cases of the time and state functions: what the reference implementation
//! answers, for everything that is not an accident of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may panic"
)]

use kafkamq_pipeline::RunState;
use kafkamq_pipeline::cases::{case_engine, run_case};
use serde_json::{Map, Value, json};

const CASES: &str = include_str!("cases/time.jsonl");

/// What is compared of an answer: the texts of errors are not.
fn essence(answer: &Value) -> Value {
    if answer.get("check_error").is_some() {
        return json!("check error");
    }
    let point = |point: &Value| {
        let mut point = point.clone();
        if let Some(fields) = point.get_mut("fields").and_then(Value::as_object_mut) {
            // A field that holds nothing and an absent one are the same.
            fields.retain(|_, value| value.get("nil").is_none());
            if let Some(message) = fields.get_mut("pl_msg") {
                assert!(message.get("str").is_some(), "{message}");
                *message = json!("a reason");
            }
        }
        let members = ["name", "category", "time_ns", "tags", "fields", "dropped"];
        let members = members.map(|member| (member.to_owned(), point[member].clone()));
        Value::Object(Map::from_iter(members))
    };
    let sub_points = answer["sub_points"].as_array().cloned().unwrap_or_default();
    json!({
        "run_error": answer.get("run_error").is_some(),
        "point": point(&answer["point"]),
        "sub_points": sub_points.iter().map(point).collect::<Vec<_>>(),
    })
}

#[test]
fn every_case_is_answered_and_those_that_bind_agree() {
    let engine = case_engine();
    let mut state = RunState::new();
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let answer = run_case(&engine, &mut state, &row["case"].to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], row["case"]["id"]);
        assert!(
            answer.get("panic").is_none() && answer.get("error").is_none(),
            "{answer}"
        );
        if row["class"] != "accident" && essence(&answer) != essence(&row["expect"]) {
            wrong.push(format!(
                "{}\n  got {answer}\n  want {}",
                row["case"], row["expect"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
