//! Runs every script of the tutorial on the input beside it and compares with the result shown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may panic"
)]

use kafkamq_pipeline::{Engine, RunState, Script};
use kafkamq_point::{Category, Point, Value as Field};
use serde_json::{Map, Value, json};

const TUTORIAL: &str = include_str!("../../../docs/pipeline/tutorial.md");

/// The blocks of the page: what stands behind the backquotes, and the text.
fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in TUTORIAL.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some((info.to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn field(value: &Field) -> Value {
    match value {
        Field::Int(number) => json!(number),
        Field::Float(number) => json!(number),
        Field::Bool(truth) => json!(truth),
        Field::Str(text) => json!(text.as_str()),
        other => panic!("{other:?} has no place in the tutorial"),
    }
}

/// The members of `shown` as the point has them: what the page leaves out is not compared, but a
/// list of fields or tags is complete, save what the router adds to every log.
fn seen(point: &Point, dropped: bool, shown: &Map<String, Value>) -> Value {
    let mut seen = Map::new();
    for member in shown.keys() {
        let value = match member.as_str() {
            "name" => json!(point.name()),
            "time_ns" => json!(point.time_ns()),
            "dropped" => json!(dropped),
            "tags" => point
                .tags()
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect(),
            "fields" => {
                let expected = &shown["fields"];
                point
                    .fields()
                    .filter(|(key, _)| {
                        expected.get(key).is_some() || !matches!(*key, "message" | "status")
                    })
                    .map(|(key, value)| (key.to_owned(), field(value)))
                    .collect()
            }
            "created" => continue,
            other => panic!("unknown member {other}"),
        };
        seen.insert(member.clone(), value);
    }
    Value::Object(seen)
}

#[test]
fn every_script_does_what_the_page_says() {
    let blocks = blocks();
    let mut scripts = 0;
    for (at, (info, script)) in blocks.iter().enumerate() {
        if info != "p" {
            continue;
        }
        scripts += 1;
        let (input_info, input) = &blocks[at + 1];
        let (output_info, output) = &blocks[at + 2];
        assert!(
            input_info.starts_with("text in") && output_info == "json out",
            "{script}"
        );
        let category = match input_info.strip_prefix("text in").unwrap().trim() {
            "" => Category::Logging,
            name => name.parse().unwrap(),
        };
        let mut point = Point::new("tutorial", category, 1);
        point.set_field("message", input.trim_end_matches('\n'));
        let compiled = Script::compile(&Engine::new(), "tutorial.p", script.clone())
            .unwrap_or_else(|errors| panic!("{}\n{script}", errors[0].message));
        let outcome = compiled.run(&mut point, &mut RunState::new());
        assert!(
            outcome.error.is_none(),
            "{}\n{script}",
            outcome.error.unwrap().message
        );
        let shown: Map<String, Value> = serde_json::from_str(output).unwrap();
        let mut expected = shown.clone();
        let created = expected.remove("created");
        assert_eq!(
            seen(&point, outcome.dropped, &shown),
            Value::Object(expected),
            "{script}"
        );
        let created = created
            .and_then(|list| list.as_array().cloned())
            .unwrap_or_default();
        assert_eq!(outcome.created.len(), created.len(), "{script}");
        for (made, shown) in outcome.created.iter().zip(&created) {
            let members = shown.as_object().unwrap();
            assert_eq!(&seen(&made.point, made.dropped, members), shown, "{script}");
        }
    }
    assert!(scripts >= 6);
}
