//! Properties of the language as a whole: what is accepted runs without an internal fault, printing
//! and parsing are inverse, JSON is read as others read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kafkamq_pipeline::diagnostic::Code;
use kafkamq_pipeline::{Engine, Limits, RunState, Script, parse_script, printer};
use kafkamq_point::{Category, Point, Value};
use proptest::prelude::*;

/// Expressions of all kinds, most of which make no sense at run time.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("nil".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:?}").replace("e", "e")),
        "[a-d]",
        Just("_".to_owned()),
        "\"[ -!#-\\[\\]-~é]{0,6}\"",
        Just("a.b[0].c".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(OPERATORS),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            ("[a-d]", inner.clone()).prop_map(|(name, a)| format!("{name}[{a}]")),
            ("[a-d]", inner.clone(), inner.clone())
                .prop_map(|(name, a, b)| format!("{name}[{a}:{b}]")),
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            inner.clone().prop_map(|a| format!("{{\"k\": {a}}}")),
            inner.clone().prop_map(|a| format!("load_json({a})")),
            inner.clone().prop_map(|a| format!("value_type({a})")),
            inner.clone().prop_map(|a| format!("len({a})")),
            ("[a-d]", inner).prop_map(|(name, a)| format!("append({name}, {a})")),
        ]
    })
}

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
];

fn statement() -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        ("[a-d]", expression()).prop_map(|(name, e)| format!("{name} = {e}")),
        (
            "[a-d]",
            prop::sample::select(&["+=", "-=", "*=", "/=", "%="][..]),
            expression()
        )
            .prop_map(|(name, op, e)| format!("{name} {op} {e}")),
        ("[a-d]", expression(), expression()).prop_map(|(name, i, e)| format!("{name}[{i}] = {e}")),
        expression(),
        ("[a-d]", expression()).prop_map(|(name, e)| format!("add_key({name}, {e})")),
        ("[a-d]", expression())
            .prop_map(|(name, e)| format!("pt_kvs_set(\"{name}\", {e}, raw=true)")),
        Just("json(_, a.b[0], b, delete_after_extract=false)".to_owned()),
        Just("break".to_owned()),
        Just("exit()".to_owned()),
    ];
    simple.prop_recursive(3, 16, 4, |inner| {
        let block = prop::collection::vec(inner, 0..4)
            .prop_map(|all| format!("{{\n{}\n}}", all.join("\n")));
        prop_oneof![
            (expression(), block.clone(), block.clone())
                .prop_map(|(c, a, b)| format!("if {c} {a} else {b}")),
            ("[a-d]", "[a-d]", block.clone()).prop_map(|(v, s, b)| format!("for {v} in {s} {b}")),
            (expression(), block).prop_map(|(c, b)| format!("for d = 0; {c}; d += 1 {b}")),
        ]
    })
}

fn script() -> impl Strategy<Value = String> {
    prop::collection::vec(statement(), 0..10).prop_map(|all| all.join("\n"))
}

fn engine() -> Engine {
    Engine::new().with_limits(Limits {
        work: 2_000,
        memory: 1 << 20,
        ..Limits::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn accepted_scripts_run_without_an_internal_fault(text in script(), message in ".{0,30}") {
        if let Ok(script) = Script::compile(&engine(), "p.p", text.as_str()) {
            let mut state = RunState::new();
            for _ in 0..2 {
                let mut point = Point::new("p", Category::Logging, 1);
                point.set_field("message", message.as_str());
                let outcome = script.run(&mut point, &mut state);
                if let Some(error) = outcome.error {
                    prop_assert_ne!(error.code, Code::Internal, "{}", error);
                    prop_assert!(error.render(false).contains(error.code.as_str()));
                }
                prop_assert!(point.entries().iter().all(|entry| !entry.tag || entry.value.as_str().is_some()));
            }
        }
    }

    #[test]
    fn printing_and_parsing_are_inverse(text in script()) {
        if let Ok(tree) = parse_script("p.p", &text) {
            let printed = printer::script(&tree);
            let again = parse_script("p.p", &printed);
            prop_assert!(again.is_ok(), "{}", printed);
            prop_assert_eq!(printer::script(&again.unwrap()), printed);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,80}") {
        if let Err(errors) = parse_script("p.p", &text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let _report = error.render(false);
            }
        }
    }

    #[test]
    fn json_is_read_as_others_read_it(text in json_text()) {
        let script = Script::compile(&engine(), "p.p", "add_key(v, valid_json(_))\nadd_key(r, load_json(_))").unwrap();
        let mut point = Point::new("p", Category::Tracing, 1);
        point.set_field("message", text.as_str());
        let outcome = script.run(&mut point, &mut RunState::new());
        prop_assert!(outcome.error.is_none());
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        prop_assert_eq!(&point.get("v").unwrap().value, &Value::Bool(theirs.is_some()));
        let ours = match &point.get("r").unwrap().value {
            Value::Str(stored) if text.trim_start().starts_with(['{', '[']) => {
                serde_json::from_str::<serde_json::Value>(stored).ok()
            }
            _ => return Ok(()),
        };
        prop_assert_eq!(ours.map(floats), theirs.map(floats));
    }
}

/// Numbers as the language has them: all floats.
fn floats(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) => serde_json::json!(number.as_f64()),
        Json::Array(items) => items.into_iter().map(floats).collect(),
        Json::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, floats(value)))
            .collect(),
        other => other,
    }
}

/// Well-formed JSON, sometimes damaged in one place.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        (-1e15..1e15f64).prop_map(|n| n.to_string()),
        "\"([ !#-\\[\\]-~é]|\\\\n|\\\\u00e9|\\\\\"){0,8}\"",
    ];
    let whole = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::btree_map("[a-e]", inner, 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\": {value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (whole, any::<prop::sample::Index>(), 0..4u8).prop_map(|(text, at, damage)| {
        if damage > 0 {
            return text;
        }
        let at = at.index(text.len() + 1);
        text.char_indices()
            .filter(|(index, _)| *index != at)
            .map(|(_, c)| c)
            .collect()
    })
}
