//! Every function of the language pays for its work: hostile inputs of n, 2n and 4n cost units in
//! proportion, or the run ends with a budget error that names the function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use kafkamq_memory::Charge;
use kafkamq_pipeline::aggregate::{AggregateSink, Aggregator};
use kafkamq_pipeline::diagnostic::Code;
use kafkamq_pipeline::refer_table::{ReferTables, TableSet};
use kafkamq_pipeline::{Engine, Limits, RunState, ScriptSet, functions};
use kafkamq_point::{Category, Point};

struct Nowhere;

impl AggregateSink for Nowhere {
    fn accept(&self, _: &str, _: Category, _: Vec<Point>, _: Charge) {}
}

fn engine() -> Engine {
    let rows: Vec<String> = (0..2000).map(|n| format!(r#"["k{n}", {n}]"#)).collect();
    let tables = format!(
        r#"[{{"table_name": "t", "column_name": ["k", "n"], "column_type": ["string", "int"], "row_data": [{}]}}]"#,
        rows.join(",")
    );
    let refer = ReferTables::new();
    refer.replace(TableSet::from_json(tables.as_bytes()).unwrap());
    Engine::new()
        .with_limits(Limits {
            work: 1_000_000,
            // Units decide here, whatever the speed of the machine.
            time: std::time::Duration::MAX,
            ..Limits::default()
        })
        .with_service(Arc::new(Aggregator::new(Arc::new(Nowhere), Vec::new())))
        .with_service(Arc::new(refer))
}

/// A hostile case: a script, and the message for a size.
type Case = (&'static str, fn(usize) -> String);

fn letters(n: usize) -> String {
    "a".repeat(n)
}

fn members(n: usize) -> String {
    let members: Vec<String> = (0..n / 12)
        .map(|at| format!("\"k{at}\":\"{at}\""))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn objects(n: usize) -> String {
    let objects: Vec<String> = (0..n / 16)
        .map(|at| format!("{{\"k{at}\":{at}}}"))
        .collect();
    format!("[{}]", objects.join(","))
}

fn numbers(n: usize) -> String {
    format!("[{}1]", "1,".repeat(n / 2))
}

fn nested(n: usize) -> String {
    format!("{}{}", "[".repeat(n / 2), "]".repeat(n / 2))
}

fn attributes(n: usize) -> String {
    let attributes: Vec<String> = (0..n / 10).map(|at| format!("x{at}=\"1\"")).collect();
    format!("<a {}/>", attributes.join(" "))
}

fn spaces(n: usize) -> String {
    let spaces: Vec<String> = (0..n / 20)
        .map(|at| format!("xmlns:n{at}=\"u{at}\""))
        .collect();
    format!("<a {}>{}</a>", spaces.join(" "), "<n1:b/>".repeat(n / 10))
}

fn elements(n: usize) -> String {
    format!("<a>{}</a>", "<b>1</b>".repeat(n / 8))
}

fn deep_elements(n: usize) -> String {
    format!("{}x{}", "<b>".repeat(n / 7), "</b>".repeat(n / 7))
}

fn pairs(n: usize) -> String {
    (0..n / 10).map(|at| format!("k{at}={at} ")).collect()
}

fn words(n: usize) -> String {
    "a ".repeat(n / 2)
}

fn digits(n: usize) -> String {
    "1".repeat(n)
}

fn quotes(n: usize) -> String {
    "'a' \\'".repeat(n / 6)
}

fn braces(n: usize) -> String {
    "{(/*$a".repeat(n / 6)
}

fn query(n: usize) -> String {
    format!("http://h/?{}", "a=1&".repeat(n / 4))
}

fn escapes(n: usize) -> String {
    "%41+".repeat(n / 4)
}

fn base64(n: usize) -> String {
    "YWFh".repeat(n / 4)
}

fn dates(n: usize) -> String {
    "2023-01-02T03:04:05 ".repeat(n / 20)
}

fn agents(n: usize) -> String {
    "Mozilla/5.0 (X11; (Linux; x) (".repeat(n / 30)
}

fn durations(n: usize) -> String {
    "1h".repeat(n / 2)
}

fn paths(n: usize) -> String {
    "a*?".repeat(n / 3)
}

fn escaped_keys(n: usize) -> String {
    let members: Vec<String> = (0..n / 14).map(|at| format!("\"\\u006b{at}\":1")).collect();
    format!("{{{}}}", members.join(","))
}

/// What every function is tried with; none may be missing.
const CASES: &[(&str, &[Case])] = &[
    (
        "add_key",
        &[
            ("add_key(x, _)", letters),
            ("a = load_json(_)\nadd_key(x, a)", members),
        ],
    ),
    (
        "add_pattern",
        &[(
            "add_pattern(\"p\", \"(a+)+!\")\ngrok(_, \"%{p:x}\")",
            letters,
        )],
    ),
    ("adjust_timezone", &[("adjust_timezone(t)", digits)]),
    (
        "agg_create",
        &[("agg_create(\"b\", const_tags={\"a\": _})", letters)],
    ),
    (
        "agg_metric",
        &[(
            "agg_create(\"b\")\nagg_metric(\"b\", \"f\", \"sum\", [\"message\"], \"message\")",
            digits,
        )],
    ),
    ("append", &[("a = load_json(_)\na = append(a, a)", numbers)]),
    ("b64dec", &[("b64dec(_)", base64)]),
    ("b64enc", &[("b64enc(_)", letters)]),
    (
        "cache_get",
        &[(
            "cache_set(\"k\", load_json(_))\nx = cache_get(\"k\")",
            members,
        )],
    ),
    (
        "cache_set",
        &[
            ("cache_set(_, _)", letters),
            (
                "a = load_json(_)\nfor i in [1,2,3,4,5,6,7,8,9,10] { a = [a, a] }\ncache_set(\"k\", a)",
                members,
            ),
        ],
    ),
    (
        "cast",
        &[
            ("cast(_, \"int\")", digits),
            ("cast(_, \"float\")", digits),
            ("cast(_, \"str\")", letters),
        ],
    ),
    ("cidr", &[("x = cidr(_, _)", digits)]),
    (
        "conv_traceid_w3c_to_dd",
        &[("conv_traceid_w3c_to_dd(_)", digits)],
    ),
    ("cover", &[("cover(_, [2, -2])", letters)]),
    (
        "create_point",
        &[
            ("create_point(\"m\", {}, load_json(_))", members),
            (
                "for x in load_json(_) { create_point(\"m\", {}, {\"f\": _}, 0, \"L\") }",
                numbers,
            ),
        ],
    ),
    ("datetime", &[("datetime(_, \"s\", \"%Y\")", digits)]),
    (
        "decode",
        &[
            ("decode(_, \"gbk\")", letters),
            ("decode(_, \"utf-16le\")", letters),
        ],
    ),
    (
        "default_time",
        &[
            ("default_time(_)", dates),
            ("default_time(_)", digits),
            ("default_time(_)", words),
        ],
    ),
    (
        "default_time_with_fmt",
        &[("default_time_with_fmt(_, \"2006-01-02\")", dates)],
    ),
    (
        "delete",
        &[(
            "a = load_json(_)\nfor i in [1, 2, 3] { delete(a, \"k1\") }",
            members,
        )],
    ),
    ("drop", &[("drop()", letters)]),
    ("drop_key", &[("drop_key(message)", letters)]),
    ("drop_origin_data", &[("drop_origin_data()", letters)]),
    (
        "duration_precision",
        &[("duration_precision(_, \"ms\", \"ns\")", digits)],
    ),
    ("exit", &[("exit()", letters)]),
    ("format_int", &[("x = format_int(1, 2)", digits)]),
    ("geoip", &[("geoip(_)", digits)]),
    ("get_key", &[("x = get_key(message)", letters)]),
    (
        "gjson",
        &[
            ("gjson(_, \"k1\")", members),
            ("gjson(_, \"#.k1\")", objects),
            ("gjson(_, \"#(k1%\\\"*a*a*a*\\\")#\")", objects),
            ("gjson(_, \"@join\", \"x\")", objects),
            (
                "gjson(_, \"@reverse|@reverse|@reverse|@flatten|@ugly|@pretty\", \"x\")",
                objects,
            ),
            ("gjson(_, \"@pretty\", \"x\")", nested),
            ("gjson(_, \"@dig:k1\", \"x\")", objects),
            ("gjson(_, _, \"x\")", paths),
            ("gjson(_, \"..#.k1\", \"x\")", objects),
        ],
    ),
    (
        "grok",
        &[
            (
                "grok(_, \"%{DATA:a} %{DATA:b} %{DATA:c} %{DATA:d} %{DATA:e} %{DATA:f} %{DATA:g}!\")",
                words,
            ),
            ("grok(_, \"(a|aa)+!\")", letters),
            ("grok(_, \"(?:ab?)*c\")", letters),
            ("grok(_, \"[ab]*a[ab]{200}b\")", letters),
        ],
    ),
    ("group_between", &[("group_between(_, [1, 2], 3)", digits)]),
    ("group_in", &[("group_in(_, load_json(_), 1)", numbers)]),
    ("hash", &[("x = hash(_, \"sha512\")", letters)]),
    ("http_request", &[("x = http_request(\"GET\", _)", letters)]),
    (
        "json",
        &[
            ("json(_, k1)", members),
            ("json(_, k1)", escaped_keys),
            ("json(_, .[-1])", numbers),
            ("json(_, k1, x, true, true)", members),
        ],
    ),
    ("json_all", &[("json_all()", letters)]),
    (
        "kv_split",
        &[
            ("kv_split(_, include_keys=[\"k1\"])", pairs),
            (
                "kv_split(_, field_split_pattern=\"(a+)+!|a\", include_keys=[\"k1\"])",
                letters,
            ),
            (
                "kv_split(_, value_split_pattern=\"(a+)+!|=\", include_keys=[\"k1\"])",
                letters,
            ),
        ],
    ),
    ("len", &[("x = len(load_json(_))", members)]),
    (
        "load_json",
        &[
            ("x = load_json(_)", members),
            ("x = load_json(_)", numbers),
            ("x = load_json(_)", nested),
            ("x = load_json(_)\ny = x[\"k1\"]", escaped_keys),
        ],
    ),
    ("lowercase", &[("lowercase(_)", letters)]),
    (
        "match",
        &[
            ("x = match(\"(a|aa)+!\", _)", letters),
            ("x = match(\"[ab]*a[ab]{200}b\", _)", letters),
        ],
    ),
    (
        "mquery_refer_table",
        &[("mquery_refer_table(\"t\", [\"k\"], [_])", letters)],
    ),
    ("nullif", &[("nullif(_, \"a\")", letters)]),
    (
        "parse_date",
        &[
            ("parse_date(\"t\", yy=_)", digits),
            ("parse_date(\"t\", zone=_)", letters),
        ],
    ),
    ("parse_duration", &[("parse_duration(_)", durations)]),
    ("parse_int", &[("x = parse_int(_, 10)", digits)]),
    (
        "point_window",
        &[("point_window(2, 2, [\"message\"])", letters)],
    ),
    ("pt_kvs_del", &[("pt_kvs_del(_)", letters)]),
    (
        "pt_kvs_get",
        &[(
            "pt_kvs_set(\"x\", load_json(_), false, true)\ny = pt_kvs_get(\"x\", true)",
            members,
        )],
    ),
    (
        "pt_kvs_keys",
        &[("pt_kvs_set(_, 1)\nx = pt_kvs_keys()", letters)],
    ),
    (
        "pt_kvs_set",
        &[
            ("pt_kvs_set(_, _)", letters),
            ("pt_kvs_set(\"x\", load_json(_), false, true)", members),
        ],
    ),
    ("pt_name", &[("pt_name(_)", letters)]),
    (
        "query_refer_table",
        &[("query_refer_table(\"t\", \"k\", _)", letters)],
    ),
    ("rename", &[("rename(x, message)", letters)]),
    (
        "replace",
        &[
            ("replace(_, \"(a+)+!|a\", \"x\")", letters),
            ("replace(_, \"a\", \"bbbbbbbbbb\")", letters),
            ("replace(_, \"(.*)a\", \"$1\")", letters),
        ],
    ),
    ("sample", &[("x = sample(0.5)", letters)]),
    ("set_measurement", &[("set_measurement(_)", letters)]),
    ("set_tag", &[("set_tag(x, _)", letters)]),
    ("setopt", &[("setopt(status_mapping=false)", letters)]),
    (
        "slice_string",
        &[("x = slice_string(_, 1, 999999999)", letters)],
    ),
    (
        "sql_cover",
        &[
            ("sql_cover(_)", quotes),
            ("sql_cover(_)", braces),
            ("sql_cover(_)", words),
        ],
    ),
    (
        "strfmt",
        &[
            ("strfmt(x, \"%s %v %q\", _, _, _)", letters),
            (
                "a = load_json(_)\nfor i in [1,2,3,4,5,6,7,8,9,10] { a = [a, a] }\nstrfmt(x, \"%v\", a)",
                members,
            ),
        ],
    ),
    ("strlen", &[("x = strlen(_)", letters)]),
    ("timestamp", &[("x = timestamp()", letters)]),
    (
        "trim",
        &[("trim(_, \"bcdefghijklmnopqrstuvwxyza\")", letters)],
    ),
    ("uppercase", &[("uppercase(_)", letters)]),
    ("url_decode", &[("url_decode(_)", escapes)]),
    ("url_parse", &[("x = url_parse(_)", query)]),
    ("use", &[("use(\"other.p\")", letters)]),
    (
        "user_agent",
        &[("user_agent(_)", agents), ("user_agent(_)", letters)],
    ),
    ("vaild_json", &[("x = vaild_json(_)", members)]),
    ("valid_json", &[("x = valid_json(_)", nested)]),
    ("value_type", &[("x = value_type(load_json(_))", members)]),
    (
        "window_hit",
        &[("point_window(2, 2, [\"message\"])\nwindow_hit()", letters)],
    ),
    (
        "xml",
        &[
            ("xml(_, \"//b[count(//b) > 0]\", r)", elements),
            ("xml(_, \"/a[//b = //b]\", r)", elements),
            ("xml(_, \"//b[. = //b]\", r)", deep_elements),
            ("xml(_, \"//b/preceding::b/preceding::b\", r)", elements),
            ("xml(_, \"//b[translate(., //b, 'x')]\", r)", elements),
        ],
    ),
];

/// What takes more than in proportion by its nature; it has to end with a budget error.
const ENDLESS: &[(&str, Case)] = &[
    ("gjson", ("gjson(_, \"@dig:k1\", \"x\")", nested)),
    (
        "",
        (
            "a = load_json(_)\nfor k in a { delete(a, \"k1\") }",
            members,
        ),
    ),
    (
        "",
        (
            "for k in load_json(_) { pt_kvs_set(k, 1)\n x = pt_kvs_keys() }",
            members,
        ),
    ),
    (
        "",
        (
            "for k in load_json(_) { pt_kvs_set(k, {\"a\": 1}, false, true) }",
            members,
        ),
    ),
    ("xml", ("xml(_, \"//b[. = //b]\", r)", elements)),
    ("replace", ("replace(_, \"(a*)*b|a\", \"$1\")", letters)),
    ("xml", ("xml(_, \"//a/text()\", r)", attributes)),
    ("xml", ("xml(_, \"//b[last()]\", r)", spaces)),
    ("", ("for c in _ { x = _[1:] }", letters)),
    ("", ("for c in _ { x = \"b\" in _ }", letters)),
    (
        "",
        (
            "for k in load_json(_) { pt_kvs_set(k, 1)\n y = absent }",
            members,
        ),
    ),
    ("replace", ("replace(_, \"(a+)+!|a\", \"x\")", letters)),
];

/// Expressions and statements, which pay as well.
const STATEMENTS: &[Case] = &[
    ("a = _\nfor ;; { a = a + a }", letters),
    ("a = _\nfor ;; { a += a }", letters),
    ("a = []\nfor ;; { a = [a, a, _] }", letters),
    ("m = {}\nfor i = 0; ; i += 1 { m[_] = m }", letters),
    ("x = load_json(_)\nfor a in x { b = x == x }", members),
    (
        "x = load_json(_)\ny = load_json(_)\nfor i in y { b = x == y }",
        numbers,
    ),
    ("x = load_json(_)\nfor a in x { b = 2 in x }", numbers),
    (
        "a = load_json(_)\nb = a\nfor i in [1,2,3,4,5,6,7,8,9,10] { b = [b, b] }\nc = b == [b]",
        members,
    ),
];

#[derive(Debug)]
struct Cost {
    units: u64,
    over: Option<String>,
}

fn cost(engine: &Engine, script: &str, message: &str) -> Cost {
    let set = ScriptSet::compile(
        engine,
        [
            ("main.p", script),
            ("other.p", "replace(_, \"(a+)+!|a\", \"x\")"),
        ],
        None,
    );
    let script = set
        .get("main.p")
        .unwrap_or_else(|| panic!("{script}: {}", set.errors("main.p")[0]));
    let mut point = Point::new("test", Category::Logging, 1);
    point.set_field("message", message);
    let outcome = script.run(&mut point, &mut RunState::new());
    Cost {
        units: outcome.units,
        over: outcome
            .error
            .filter(|error| error.code == Code::OverBudget)
            .map(|error| error.to_string()),
    }
}

/// Units in proportion, or a budget error.
fn check(engine: &Engine, name: &str, (script, message): &Case, small: usize) -> Option<String> {
    let mut before: Option<u64> = None;
    for factor in [1, 2, 4] {
        let cost = cost(engine, script, &message(small * factor));
        if let Some(over) = &cost.over {
            let named = over.contains(&format!("`{name}` used up"))
                || name.is_empty()
                || script.contains('\n')
                || name == "use";
            return (!named).then(|| format!("{script}: does not name the function: {over}"));
        }
        if let Some(before) = before
            && cost.units > before * 5 / 2 + 200
        {
            return Some(format!("{script}: {before} units, then {}", cost.units));
        }
        before = Some(cost.units);
    }
    None
}

#[test]
fn every_function_pays_for_hostile_inputs_in_proportion_or_is_stopped() {
    let engine = engine();
    let mut wrong = Vec::new();
    for spec in functions::ALL {
        let Some((_, cases)) = CASES.iter().find(|(name, _)| *name == spec.name) else {
            wrong.push(format!("`{}` is not tried", spec.name));
            continue;
        };
        for case in *cases {
            assert!(case.0.contains(&format!("{}(", spec.name)), "{}", case.0);
            wrong.extend(check(&engine, spec.name, case, 10_000));
        }
    }
    for case in STATEMENTS {
        wrong.extend(check(&engine, "", case, 10_000));
    }
    for (name, (script, message)) in ENDLESS {
        let over = cost(&engine, script, &message(200_000)).over;
        if !over.as_ref().is_some_and(|over| over.contains(*name)) {
            wrong.push(format!("{script}: {over:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
