//! What a run keeps is bounded by the budget of its caller; values that it drops are not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kafkamq_pipeline::diagnostic::Code;
use kafkamq_pipeline::{Engine, Limits, Outcome, RunState, Script};
use kafkamq_point::{Category, Point};

const MIB: usize = 1 << 20;

fn run(memory: usize, script: &str, message: &str) -> Outcome {
    let engine = Engine::new().with_limits(Limits {
        memory: memory as u64,
        // Units decide here, whatever the speed of the machine.
        time: std::time::Duration::MAX,
        ..Limits::default()
    });
    let script =
        Script::compile(&engine, "t.p", script).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let mut point = Point::new("test", Category::Logging, 1);
    point.set_field("message", message);
    script.run(&mut point, &mut RunState::new())
}

/// The message of the budget error a run ended with.
fn over(memory: usize, script: &str, message: &str) -> String {
    let outcome = run(memory, script, message);
    let error = outcome.error.unwrap_or_else(|| panic!("{script} fits"));
    assert_eq!(error.code, Code::OverBudget, "{error}");
    error.to_string()
}

#[test]
fn points_made_are_charged_at_what_they_take_and_the_call_is_named() {
    let script =
        "for x = 0; x < 2000; x += 1 {\n  create_point(\"m\", {}, {\"f\": message}, 0, \"L\")\n}";
    let error = over(8 * MIB, script, &"x".repeat(200_000));
    assert!(
        error.contains("t.p:2:3") && error.contains("`create_point`"),
        "{error}"
    );
    // As many as fit are made without a complaint.
    let few = script.replace("2000", "30");
    let outcome = run(8 * MIB, &few, &"x".repeat(200_000));
    assert!(outcome.error.is_none());
    assert_eq!(outcome.created.len(), 30);
}

#[test]
fn what_a_script_lets_go_of_is_not_counted() {
    let message = "x".repeat(100_000);
    for script in [
        "for i = 0; i < 300; i += 1 { a = _ + _ }",
        "for i = 0; i < 60; i += 1 { uppercase(message)\n lowercase(message) }",
        "for i = 0; i < 300; i += 1 { a = [_, _] }",
        "for i = 0; i < 300; i += 1 { m = {\"a\": _}\n m[\"a\"] = _ + \"y\" }",
        "for i = 0; i < 300; i += 1 { add_key(k, _) }",
        "a = []\nfor i = 0; i < 1000; i += 1 { a = append(a, i) }",
    ] {
        let error = run(2 * MIB, script, &message).error;
        assert!(error.is_none(), "{script}: {}", error.unwrap());
    }
}

#[test]
fn whatever_grows_is_stopped() {
    let message = "x".repeat(10_000);
    for script in [
        "a = _\nfor ;; { a = a + a }",
        "a = []\nfor ;; { a = append(a, _) }",
        "m = {}\nk = _\nfor ;; { k = k + \"x\"\n m[k] = 1 }",
        "a = [1]\nfor ;; { a = [a, _] }",
        "k = \"k\"\nfor ;; { k = k + \"x\"\n pt_kvs_set(k, _) }",
        "a = _\nfor i = 0; i < 40; i += 1 { a = [a, a] }\nadd_key(a)",
        "a = _\nfor i = 0; i < 40; i += 1 { a = [a, a] }\ncache_set(\"k\", a)",
        "a = _\nfor i = 0; i < 40; i += 1 { a = [a, a] }\npt_kvs_set(\"k\", {\"a\": a}, false, true)",
        "for ;; { replace(_, \"x\", \"xx\") }",
        "gjson(_, \"{@this,@this,@this,@this}|{@this,@this,@this,@this}|{@this,@this,@this,@this}|{@this,@this,@this,@this}|{@this,@this,@this,@this}\", \"x\")",
    ] {
        let outcome = run(2 * MIB, script, &message);
        let error = outcome
            .error
            .unwrap_or_else(|| panic!("{script} ends well"));
        assert_eq!(error.code, Code::OverBudget, "{script}: {error}");
    }
}

#[test]
fn the_input_itself_does_not_count() {
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(3 * MIB));
    let outcome = run(MIB, "add_key(b, 1)\njson(_, b, c)", &message);
    assert!(outcome.error.is_none());
}
