//! Expansion, types, duplicates and the built-in patterns on real lines.

use super::*;
use std::collections::HashMap;

fn run(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
    let grok = Grok::compile(pattern, &Library::built_in(), |_| None).unwrap();
    let mut out = Vec::new();
    let write = |key: &Text, value: Captured<'_>| {
        out.push((key.to_string(), format!("{value:?}")));
    };
    grok.search(
        text,
        true,
        &mut Captures::default(),
        &Meter::unbounded(),
        write,
    )
    .unwrap()
    .then_some(out)
}

fn error(pattern: &str) -> GrokError {
    Grok::compile(pattern, &Library::built_in(), |_| None).unwrap_err()
}

#[test]
fn tokens_aliases_and_types() {
    insta::assert_debug_snapshot!(
        run(r"%{IPORHOST:client-ip} %{INT:code:int} %{NUMBER:cost.ms:float} %{WORD:ok:bool} (?P<rest>.*)",
            "10.0.0.7 09 1.5 true  tail ").unwrap(),
        @r#"
    [
        (
            "client_ip",
            "Str(\"10.0.0.7\")",
        ),
        (
            "code",
            "Int(9)",
        ),
        (
            "cost_ms",
            "Float(1.5)",
        ),
        (
            "ok",
            "Bool(true)",
        ),
        (
            "rest",
            "Str(\"tail\")",
        ),
    ]
    "#
    );
}

#[test]
fn what_took_no_part_is_empty_text_and_no_number() {
    assert_eq!(
        run("%{WORD:a}(?:;%{WORD:b})?(?:;%{WORD:c:int})?$", "x").unwrap(),
        [
            ("a".into(), "Str(\"x\")".into()),
            ("b".into(), "Str(\"\")".into())
        ]
    );
}

#[test]
fn of_two_captures_of_a_name_the_last_that_took_part_counts() {
    let value = |text| run(r"(?P<d>\d+)|(?P<d>[a-z]+)", text).unwrap()[0].1.clone();
    assert_eq!(value("77"), "Str(\"77\")");
    assert_eq!(value("ab"), "Str(\"ab\")");
}

#[test]
fn mistakes_are_errors() {
    assert_eq!(error("%{NOPE}"), GrokError::Unknown("NOPE".into()));
    assert_eq!(error("%{a.}"), GrokError::Unknown("a.".into()));
    assert_eq!(error("%{INT:a:long}"), GrokError::Type("long".into()));
    assert_eq!(error("%{INT:}"), GrokError::Token("INT:".into()));
    assert!(matches!(error("("), GrokError::Regex(_)));
    assert_eq!(run("50%{2,3}$", "50%%"), Some(Vec::new()));
}

#[test]
fn a_script_pattern_hides_a_built_in_only_where_it_is_named() {
    let library = Library::built_in();
    let own = Definition::new("IPV4", "x+", &library, |_| None).unwrap();
    let own: HashMap<&str, Arc<Definition>> = [("IPV4", Arc::new(own))].into();
    let find = |name: &str| own.get(name).cloned();
    let matches = |pattern, text| {
        let grok = Grok::compile(pattern, &library, find).unwrap();
        grok.search(
            text,
            true,
            &mut Captures::default(),
            &Meter::unbounded(),
            |_, _| {},
        )
        .unwrap()
    };
    assert!(matches("^%{IPV4}$", "xx"));
    assert!(matches("^%{IP}$", "1.2.3.4"));
    assert!(!matches("^%{IP}$", "xx"));
    assert_eq!(
        Definition::new("me", "a%{me}", &library, |_| None),
        Err(GrokError::Unknown("me".into()))
    );
    assert!(Definition::new("a b", "x", &library, |_| None).is_err());
}

#[test]
fn expansions_cannot_explode() {
    let library = Library::built_in();
    let mut last = Arc::new(Definition::new("p", "abcdefghij", &library, |_| None).unwrap());
    let outcome = (0..40).try_for_each(|_| {
        last = Arc::new(Definition::new("p", "%{p}%{p}%{p}", &library, |_| {
            Some(last.clone())
        })?);
        Ok(())
    });
    assert_eq!(outcome, Err(GrokError::TooLarge));
}

#[test]
fn pattern_files_refer_in_any_order_and_bad_ones_are_left_out() {
    let (library, left_out) = Library::with_files([
        "# comment\nORDER %{ITEM:item}x%{INT:count:int}\nITEM [a-z]+\nlonely\nINT broken(\n",
        "LOOP_A %{LOOP_B}\nLOOP_B %{LOOP_A}\nBAD (\nUSES_BAD %{BAD}\n",
    ]);
    let mut names: Vec<_> = left_out.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["BAD", "LOOP_A", "LOOP_B", "USES_BAD"]);
    let grok = Grok::compile("^%{ORDER}$", &library, |_| None).unwrap();
    let mut keys = Vec::new();
    assert!(
        grok.search(
            "pen x3".replace(' ', "").as_str(),
            true,
            &mut Captures::default(),
            &Meter::unbounded(),
            |key, value| {
                keys.push(format!("{key}={value:?}"));
            }
        )
        .unwrap()
    );
    assert_eq!(keys, ["item=Str(\"pen\")", "count=Int(3)"]);
    assert_eq!(library.names().len(), 80);
}

#[test]
fn every_built_in_pattern_compiles_for_both_engines() {
    let library = Library::built_in();
    for name in library.names() {
        let grok = Grok::compile(&format!("%{{{name}}}"), &library, |_| None).unwrap();
        assert!(grok.regex.has_direct(), "{name}");
    }
    assert_eq!(library.names().len(), 78);
}

#[test]
fn access_lines() {
    let line = r#"10.1.2.3 - frank [10/Oct/2023:13:55:36 -0700] "GET /a%20b?x=1 HTTP/1.0" 200 2326 "http://e.com/" "curl/8 (x)""#;
    insta::assert_debug_snapshot!(run("^%{COMBINEDAPACHELOG}$", line).unwrap());
}

#[test]
fn integers() {
    for (text, value) in [
        ("017", 17),
        ("09", 9),
        ("+5", 5),
        ("-42.000", -42),
        ("0x2A", 42),
        ("-0b11", -3),
        ("9223372036854775807", i64::MAX),
    ] {
        assert_eq!(integer(text), Some(value), "{text}");
    }
    for text in [
        "",
        "-",
        "42.7",
        "4x",
        "9223372036854775808",
        "--1",
        "0x-1",
        "0x",
        "1e3",
    ] {
        assert_eq!(integer(text), None, "{text}");
    }
}
