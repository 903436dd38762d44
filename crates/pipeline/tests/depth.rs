//! Nothing a script, a message or a set of scripts nests can exhaust the stack of the thread it runs on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kafkamq_pipeline::printer;
use kafkamq_pipeline::{Engine, Limits, RunState, ScriptSet, parse_script};
use kafkamq_point::{Category, Point};

/// A quarter of what threads have unless they ask for more.
const STACK: usize = 512 << 10;

/// Runs work on a thread with little stack.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let size = std::env::var("KAFKAMQ_STACK")
        .ok()
        .and_then(|size| size.parse().ok());
    let thread = std::thread::Builder::new().stack_size(size.map_or(STACK, |kib: usize| kib << 10));
    thread.spawn(work).unwrap().join().unwrap();
}

fn nest(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// Compiles and runs scripts, whatever comes of it; the first is the one that runs.
fn run(scripts: &[(String, String)], message: &str) {
    let engine = Engine::new().with_limits(Limits {
        work: 1_000_000,
        // Units decide here, whatever the speed of the machine.
        time: std::time::Duration::MAX,
        ..Limits::default()
    });
    let set = ScriptSet::compile(&engine, scripts.to_vec(), None);
    if let Some(script) = set.get(&scripts[0].0) {
        let mut point = Point::new("test", Category::Logging, 1);
        point.set_field("message", message);
        let outcome = script.run(&mut point, &mut RunState::new());
        drop(outcome);
    }
    for (name, text) in scripts {
        if let Ok(tree) = parse_script(name, text) {
            let _printed = printer::script(&tree);
        }
    }
}

fn one(script: String, message: String) {
    on_a_small_stack(move || run(&[("main.p".to_owned(), script)], &message));
}

#[test]
fn deep_scripts_are_run_or_refused() {
    for levels in [100, 500, 519, 521, 5000, 100_000] {
        for (open, inner, close) in [
            ("if true {\n", "add_key(x, 1)", "\n}\n"),
            ("for i in [1] {\n", "add_key(x, 1)", "\n}\n"),
            ("for ; true; {\n", "break", "\nbreak\n}\n"),
            ("if false {\n}\nelif true {\n", "x = 1", "\n}\n"),
        ] {
            one(nest(open, inner, close, levels), String::new());
        }
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{\"a\": ", "1", "}"),
            ("!", "true", ""),
            ("- ", "1", ""),
            ("1 + (2 * ", "1", ")"),
            ("true && (false || ", "true", ")"),
            ("len(", "[1]", ")"),
            ("cidr(strlen(", "[1]", "), \"x\")"),
            ("a[", "0", "]"),
            ("a", "", "[0]"),
            ("a", "", "[0:1]"),
            ("[1][0:len(", "[1]", ")]"),
        ] {
            one(
                format!(
                    "a = [0]\nx = {}\nadd_key(x)",
                    nest(open, inner, close, levels)
                ),
                String::new(),
            );
        }
    }
}

#[test]
fn scripts_that_use_each_other_share_one_bound() {
    for (scripts, levels) in [(60, 500), (63, 8), (200, 2), (3, 519), (64, 100)] {
        on_a_small_stack(move || {
            let all: Vec<(String, String)> = (0..scripts)
                .map(|at| {
                    let inner = match at + 1 {
                        next if next < scripts => format!("use(\"s{next}.p\")"),
                        _ => "add_key(done, 1)".to_owned(),
                    };
                    (
                        format!("s{at}.p"),
                        nest("if true {\n", &inner, "\n}\n", levels),
                    )
                })
                .collect();
            run(&all, "x");
        });
        on_a_small_stack(move || {
            let all: Vec<(String, String)> = (0..scripts)
                .map(|at| {
                    let next = format!(
                        "create_point(\"m\", {{}}, {{\"f\": 1}}, 0, \"L\", \"s{}.p\")",
                        at + 1
                    );
                    let inner = if at + 1 < scripts {
                        next
                    } else {
                        "add_key(done, 1)".to_owned()
                    };
                    (
                        format!("s{at}.p"),
                        nest("if true {\n", &inner, "\n}\n", levels),
                    )
                })
                .collect();
            run(&all, "x");
        });
    }
}

#[test]
fn deep_messages_and_values_are_taken_or_refused() {
    let scripts = [
        "x = load_json(_)\nadd_key(x)\ny = load_json(_)\nadd_key(same, x == y)\ncache_set(\"k\", x)\nz = cache_get(\"k\")\nstrfmt(t, \"%v %#v\", x, x)\nb = x in [y]\npt_kvs_set(\"r\", x, false, true)",
        "json(_, .[0])\njson(_, a.a.a)",
        "x = valid_json(_)",
        "gjson(_, \"@pretty\", \"x\")\ngjson(_, \"@ugly\", \"x\")\ngjson(_, \"@flatten:{\\\"deep\\\":true}\", \"x\")\ngjson(_, \"@dig:a\", \"x\")\ngjson(_, _, \"x\")",
        "xml(_, \"//b\", r)\nxml(_, \"/b/b/b[b]\", r)\nxml(_, \"//b/ancestor::b\", r)",
        "sql_cover(_)\nuser_agent(_)\nurl_decode(_)",
        "a = []\nfor i = 0; i < 20000; i += 1 { a = [a] }\nadd_key(a)\nb = a == [a]\ncache_set(\"k\", a)\nstrfmt(t, \"%v\", a)\npt_kvs_set(\"r\", a, false, true)",
        "m = {}\nfor i = 0; i < 20000; i += 1 { m = {\"a\": m} }\nadd_key(m)\nb = m == {\"a\": m}\ncache_set(\"k\", m)\nstrfmt(t, \"%v\", m)",
        "x = load_json(_)\nfor i = 0; i < 400; i += 1 { x = [x] }\nadd_key(x)",
    ];
    for levels in [100, 599, 601, 20_000] {
        for message in [
            nest("[", "", "]", levels),
            nest("{\"a\":", "1", "}", levels),
            nest("<b>", "x", "</b>", levels),
            nest("(", "", ")", levels),
            "[".repeat(levels),
        ] {
            for script in scripts {
                one(script.to_owned(), message.clone());
            }
        }
    }
}

#[test]
fn deep_values_are_printed_at_the_bottom_of_deep_scripts() {
    let script = nest(
        "if true {\n",
        "x = load_json(_)\nadd_key(x)\ny = load_json(_)\nadd_key(same, x == y)\ncache_set(\"k\", x)",
        "\n}\n",
        500,
    );
    one(script, nest("[", "", "]", 599));
}

#[test]
fn deep_patterns_are_compiled_or_refused() {
    for levels in [100, 900, 1001, 5000, 100_000] {
        for pattern in [
            nest("(", "a", ")", levels),
            nest("(?:", "a", ")*", levels),
            nest("(a|", "b", ")", levels),
            format!("a{}", "*".repeat(levels)),
            "(?i)".repeat(levels),
            "[[:alpha:]".repeat(levels),
        ] {
            one(
                format!("replace(_, '{pattern}', 'x')\ngrok(_, '{pattern}')"),
                "aaa".to_owned(),
            );
        }
        let query = nest("a[", "b", "]", levels);
        one(format!("xml(_, '//{query}', r)"), "<a><b/></a>".to_owned());
        one(
            format!("xml(_, '{}', r)", "-".repeat(levels.min(2000)) + "1"),
            "<a><b/></a>".to_owned(),
        );
        one(
            format!("gjson(_, '{}', 'r')", nest("{", "a", "}", levels)),
            "{\"a\":1}".to_owned(),
        );
        one(
            format!("gjson(_, '{}', 'r')", "#.".repeat(levels)),
            nest("[", "", "]", 500),
        );
    }
}
