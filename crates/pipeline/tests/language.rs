//! What the language promises beyond the conformance cases: budgets, isolation, knots, reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use kafkamq_pipeline::diagnostic::{Code, Diagnostic};
use kafkamq_pipeline::{
    Clock, Effects, Engine, Limits, Outcome, RunState, Script, ScriptSet, StatusPolicy,
};
use kafkamq_point::{Category, Point, Value};

fn point() -> Point {
    let mut point = Point::new("test", Category::Logging, 5);
    point.set_field("message", "m");
    point
}

fn run_in(engine: &Engine, text: &str) -> (Point, Outcome) {
    let script =
        Script::compile(engine, "t.p", text).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let mut point = point();
    let outcome = script.run(&mut point, &mut RunState::new());
    (point, outcome)
}

fn errors(text: &str) -> Vec<Diagnostic> {
    Script::compile(&Engine::new(), "t.p", text).expect_err("it should not compile")
}

fn run_code(engine: &Engine, text: &str) -> Option<Code> {
    run_in(engine, text).1.error.map(|error| error.code)
}

#[test]
fn endless_loops_and_hungry_scripts_are_stopped() {
    let engine = Engine::new().with_limits(Limits {
        work: 100_000,
        memory: 8 << 20,
        ..Limits::default()
    });
    for text in [
        "for ;; { }",
        "for ; true; { x = 1 }",
        "a = [1]\nfor ;; { a = append(a, a) }",
        "s = \"0123456789\"\nfor ;; { s = s + s }",
        "s = \"0123456789\"\nfor ;; { s += s }",
        "m = {}\nfor i = 0; true; i += 1 { m[\"k\" + s] = i\n s = s + \"x\" }",
        "m = {\"s\": \"0123456789\"}\nfor ;; { m[\"s\"] += m[\"s\"] }",
        "add_key(s, \"aaaaaaaaaa\")\nfor ;; { replace(s, \"a\", \"aaaa\") }",
        "for i = 0; true; i += 1 { pt_kvs_set(\"k\" + load_json(\"\\\"x\\\"\"), _) }",
        "for ;; { create_point(\"a\", {}, {\"b\": 1}) }",
    ] {
        let code = run_code(&engine, text);
        assert!(
            matches!(code, Some(Code::OverBudget | Code::Operands)),
            "{text}: {code:?}"
        );
    }
}

#[test]
fn a_run_that_takes_too_long_is_stopped() {
    let engine = Engine::new().with_limits(Limits {
        work: u64::MAX / 2,
        time: std::time::Duration::from_millis(20),
        ..Limits::default()
    });
    let error = run_in(&engine, "for ;; { }").1.error.unwrap();
    assert!(error.message.contains("time"), "{error}");
}

#[test]
fn knots_and_towers_neither_hang_nor_crash() {
    let engine = Engine::new();
    for text in [
        "a = [1]\na[0] = a\nadd_key(a)",
        "m = {}\nm[\"m\"] = m\nadd_key(m)\nadd_key(same, m == m)",
        "a = [1]\nb = [a]\na[0] = b\nadd_key(x, a == b)\nadd_key(a)\ncache_set(\"k\", a)",
        "a = []\nfor i = 0; i < 100000; i += 1 { a = [a] }\nadd_key(a)\nb = a == [a]",
        "a = [1,1]\nfor i = 0; i < 60; i += 1 { a = [a, a] }\nb = [1,1]\nfor i = 0; i < 60; i += 1 { b = [b, b] }\nadd_key(r, a == b)",
    ] {
        let (_, outcome) = run_in(&engine, text);
        assert!(
            outcome
                .error
                .is_none_or(|error| error.code != Code::Internal),
            "{text}"
        );
    }
}

#[test]
fn variables_die_with_their_block() {
    let (point, _) = run_in(
        &Engine::new(),
        "if true { x = 1\n y = 2 }\nadd_key(a, x)\ny = 5\nif true { y = 6 }\nadd_key(b, y)\n\
         for i in [1, 2] { if i == 2 { add_key(c, z) }\n z = i }\nlast = 0\nfor last in [7, 8] { }\nadd_key(d, last)",
    );
    let value = |key: &str| point.get(key).unwrap().value.clone();
    assert_eq!(value("a"), Value::Nil);
    assert_eq!(value("b"), Value::Int(6));
    assert_eq!(value("c"), Value::Nil);
    assert_eq!(value("d"), Value::Int(8));
}

#[test]
fn runs_share_nothing_and_scripts_are_shared_by_threads() {
    let script = Script::compile(
        &Engine::new(),
        "t.p",
        "n += 1\nn = 1\nif n == 1 { n += 1 }\nadd_key(n)",
    )
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut state = RunState::new();
                for _ in 0..200 {
                    let mut point = point();
                    assert!(script.run(&mut point, &mut state).error.is_none());
                    assert_eq!(point.get("n").unwrap().value, Value::Int(2));
                }
            });
        }
    });
}

struct Panics;

impl Clock for Panics {
    fn now_ns(&self) -> i64 {
        panic!("no clock")
    }
}

#[test]
fn a_panic_inside_stays_inside() {
    let engine = Engine::new().with_clock(Arc::new(Panics));
    let script = Script::compile(
        &engine,
        "t.p",
        "add_key(a, 1)\nif get_key(go) == nil { add_key(t, timestamp()) }",
    )
    .unwrap();
    let mut state = RunState::new();
    let outcome = script.run(&mut point(), &mut state);
    assert_eq!(outcome.error.map(|error| error.code), Some(Code::Internal));
    let mut fine = point();
    fine.set_field("go", 1i64);
    assert!(script.run(&mut fine, &mut state).error.is_none());
}

#[test]
fn used_scripts_break_only_their_users() {
    let set = ScriptSet::compile(
        &Engine::new(),
        [
            (
                "good.p",
                "use(\"leaf.p\")\nuse(\"leaf.p\")\nadd_key(r, leaf)",
            ),
            (
                "leaf.p",
                "leaf = 1\nadd_key(leaf)\nexit()\nadd_key(never, 1)",
            ),
            ("broken.p", "x = ("),
            ("user.p", "if false {\n  use(\"broken.p\")\n}"),
            ("a.p", "use(\"b.p\")"),
            ("b.p", "use(\"a.p\")"),
            ("over.p", "use(\"a.p\")"),
            ("lost.p", "use(\"nowhere.p\")"),
        ],
        None,
    );
    let good = set.get("good.p").unwrap();
    let mut point = point();
    assert!(good.run(&mut point, &mut RunState::new()).error.is_none());
    assert_eq!(point.get("r").unwrap().value, Value::Int(1));
    assert!(point.get("never").is_none());
    let first = |name: &str| {
        set.errors(name)
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    insta::assert_snapshot!(
        ["broken.p", "user.p", "a.p", "b.p", "over.p", "lost.p"]
            .map(first)
            .join("\n")
    );
}

#[test]
fn a_script_tells_the_effects_of_all_it_may_call() {
    let set = ScriptSet::compile(
        &Engine::new(),
        [
            ("pure.p", "grok(_, \"%{WORD:w}\")\nuppercase(w)"),
            ("clock.p", "if false {\n  x = [timestamp()]\n}"),
            ("ask.p", "x = http_request(\"GET\", \"http://h\")"),
            (
                "over.p",
                "use(\"clock.p\")\ncreate_point(\"m\", {}, {\"f\": 1}, 0, \"L\", \"ask.p\")",
            ),
            ("above.p", "use(\"over.p\")\nx = sample(0.5)"),
            ("kept.p", "agg_create(\"b\")"),
        ],
        None,
    );
    let effects = |name: &str| set.get(name).unwrap().effects();
    assert!(effects("pure.p").is_pure());
    assert_eq!(effects("clock.p"), Effects::CLOCK);
    assert_eq!(effects("over.p"), Effects::CLOCK.and(Effects::EXTERNAL));
    assert!(effects("above.p").has(Effects::CHANCE.and(Effects::EXTERNAL)));
    assert!(effects("kept.p").has(Effects::STATE));
    assert!(!effects("kept.p").has(Effects::EXTERNAL));
}

#[test]
fn variables_may_be_named_like_numbers() {
    let (point, outcome) = run_in(
        &Engine::new(),
        "add_key(a, inf)\ninf = 5\nadd_key(b, inf + 1)\nnan += 1\nfor nan in [7] { add_key(c, nan) }\n\
         add_key(d, NaN == NaN)\nINF = \"x\"\nadd_key(e, INF)\nif -Inf < 0 { add_key(f, 1) }",
    );
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let value = |key: &str| point.get(key).unwrap().value.clone();
    assert_eq!(value("a"), Value::Float(f64::INFINITY));
    assert_eq!(value("b"), Value::Int(6));
    assert_eq!(value("c"), Value::Int(7));
    assert_eq!(value("d"), Value::Bool(false));
    assert_eq!(value("e"), Value::Str("x".into()));
    assert_eq!(value("f"), Value::Int(1));
}

#[test]
fn scripts_that_nest_too_deep_together_are_stopped_at_the_call() {
    let nest = |inner: &str| "if true {\n".repeat(500) + inner + &"\n}".repeat(500);
    let mut scripts: Vec<(String, String)> = (0..5)
        .map(|at| (format!("s{at}.p"), nest(&format!("use(\"s{}.p\")", at + 1))))
        .collect();
    scripts.push(("s5.p".to_owned(), nest("add_key(done, 1)")));
    let set = ScriptSet::compile(&Engine::new(), scripts, None);
    let run = |name: &str| {
        let mut point = point();
        let outcome = set.get(name).unwrap().run(&mut point, &mut RunState::new());
        (point.get("done").is_some(), outcome.error)
    };
    assert!(matches!(run("s3.p"), (true, None)));
    let (done, error) = run("s0.p");
    let error = error.unwrap();
    assert!(!done);
    assert_eq!(error.code, Code::TooDeep, "{error}");
    assert!(error.to_string().contains("s2.p:501:"), "{error}");
}

#[test]
fn an_error_in_a_used_script_shows_the_way_there() {
    let set = ScriptSet::compile(
        &Engine::new(),
        [
            ("main.p", "add_key(a, 1)\nuse(\"leaf.p\")"),
            ("leaf.p", "x = 1\ny = x[0]"),
        ],
        None,
    );
    let mut point = point();
    let outcome = set
        .get("main.p")
        .unwrap()
        .run(&mut point, &mut RunState::new());
    let error = outcome.error.unwrap();
    insta::assert_snapshot!(error.render(false));
    assert_eq!(error.to_string().lines().count(), 2);
    assert!(point.get("a").is_some() && point.get("status").is_none());
}

#[test]
fn reports_point_at_the_place_and_help() {
    let texts = [
        "uper_case(x)",
        "x = 'open\ny = 2",
        "a = \"\\d+\"",
        "if x\n{\n}",
        "if x {\n}\nelse {\n}",
        "pt_kvs_set(\"a\", 1, as_tagg=true)",
        "x = 10 / 0",
        "v-1 = 2",
        "while true { }",
        "a.b = 1",
        "add_key()",
        "x = f()[0]",
        "kv_split(_, field_split_pattern=\"(\")",
        "a & b",
        "json(_, \"a.b\")",
        "x = [1, 2",
        "日本 = = 3",
    ];
    let reports: Vec<String> = texts
        .iter()
        .map(|text| {
            let reports: Vec<String> = errors(text)
                .iter()
                .map(|error| error.render(false))
                .collect();
            reports.join("\n")
        })
        .collect();
    insta::assert_snapshot!(reports.join("\n\n"));
}

#[test]
fn the_status_policy_is_the_hosts() {
    let drops = Engine::new().with_status(StatusPolicy {
        keep: false,
        ignore: vec!["ok".to_owned()],
    });
    assert!(run_in(&drops, "add_key(status, \"S\")").1.dropped);
    assert!(!run_in(&drops, "add_key(status, \"e\")").1.dropped);
    let keeps = Engine::new().with_status(StatusPolicy {
        keep: true,
        ignore: Vec::new(),
    });
    assert!(run_in(&keeps, "").0.get("status").is_none());
}

#[test]
fn caches_outlive_a_reload_of_the_same_text() {
    let engine = Engine::new();
    let text =
        "n = cache_get(\"n\")\nif n == nil { n = 0 }\nn += 1\ncache_set(\"n\", n)\nadd_key(n)";
    let first = ScriptSet::compile(&engine, [("c.p", text)], None);
    let same = ScriptSet::compile(&engine, [("c.p", text)], Some(&first));
    let changed = ScriptSet::compile(&engine, [("c.p", format!("{text}\n"))], Some(&first));
    let count = |set: &ScriptSet| {
        let mut point = point();
        set.get("c.p")
            .unwrap()
            .run(&mut point, &mut RunState::new());
        point.get("n").unwrap().value.clone()
    };
    assert_eq!(
        [count(&first), count(&same), count(&changed)],
        [1, 2, 1].map(Value::Int)
    );
}
