//! The engines against each other, and the dialect against what its users expect.

use super::*;
use proptest::prelude::*;

fn groups(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
    let regex = Regex::new(pattern, Groups::All).unwrap();
    let mut captures = Captures::default();
    let meter = Meter::unbounded();
    let found = regex.captures_at(text, 0, &mut captures, &meter);
    found.unwrap().then(|| {
        (0..=regex.groups)
            .map(|at| captures.get(at).map(|range| text[range].to_owned()))
            .collect()
    })
}

fn found(pattern: &str, text: &str) -> Option<String> {
    groups(pattern, text).and_then(|all| all.into_iter().next().flatten())
}

#[test]
fn classes_are_ascii_and_white_space_has_no_vertical_tab() {
    assert_eq!(found(r"\w+", "é9"), Some("9".into()));
    assert_eq!(found(r"\d+", "٣4"), Some("4".into()));
    assert_eq!(found(r"\s", "\x0b"), None);
    assert_eq!(found(r"[[:space:]]", "\x0b"), Some("\x0b".into()));
    assert_eq!(found(r"\bé", "é"), None);
    assert_eq!(found(r"(?i)É\x{212A}", "ék"), Some("ék".into()));
    assert_eq!(found(r"(?i)ß", "SS"), None);
}

#[test]
fn anchors_mean_the_very_ends() {
    assert_eq!(found("a$", "a\n"), None);
    assert_eq!(found("(?m)a$", "a\n"), Some("a".into()));
    assert_eq!(found("(?m)^b", "a\nb"), Some("b".into()));
    assert_eq!(found("^b", "a\nb"), None);
    assert_eq!(found("a.b", "a\nb"), None);
    assert_eq!(found("(?s)a.b", "a\nb"), Some("a\nb".into()));
    assert_eq!(found("a.b", "aéb"), Some("aéb".into()));
    assert_eq!(found(".*x", "a\nbx"), Some("bx".into()));
}

#[test]
fn literals_that_other_dialects_read_differently() {
    assert_eq!(found(r"\<a\>", "<a>"), Some("<a>".into()));
    assert_eq!(found("[a&&b]+", "&"), Some("&".into()));
    assert_eq!(found("a{,2}", "a{,2}"), Some("a{,2}".into()));
    assert_eq!(found(r"\Qa.b\E+", "a.bbb"), Some("a.bbb".into()));
    assert_eq!(found(r"\101", "A"), Some("A".into()));
}

#[test]
fn empty_matches_are_counted_as_in_the_dialect() {
    let regex = Regex::new("z*", Groups::All).unwrap();
    let mut places = Vec::new();
    let meter = Meter::unbounded();
    let searched = regex.each_match("azzb", &mut Captures::default(), &meter, |captures| {
        places.push(captures.get(0).unwrap());
        true
    });
    searched.unwrap();
    assert_eq!(places, [0..0, 1..3, 4..4]);
}

#[test]
fn splitting() {
    let split = |pattern, text: &'static str, limit| {
        Regex::new(pattern, Groups::All)
            .unwrap()
            .split(text, limit, &mut Captures::default(), &Meter::unbounded())
            .unwrap()
    };
    assert_eq!(split(" ", "a b  c", usize::MAX), ["a", "b", "", "c"]);
    assert_eq!(split("", "abc", usize::MAX), ["a", "b", "c"]);
    assert_eq!(split("", "abc", 2), ["a", "bc"]);
    assert_eq!(split("=", "a=", 2), ["a", ""]);
    assert_eq!(split("=", "=b=c", 2), ["", "b=c"]);
    assert_eq!(split("=", "", 2), [""]);
    assert_eq!(split("$", "abc", usize::MAX), ["abc"]);
}

#[test]
fn bad_patterns_for_backtracking_end_soon() {
    let text = "a".repeat(50_000);
    for pattern in [
        "(?:a|aa)+$b",
        "(?:a*?){2}b",
        "(.*?,){11}P",
        "(a+)+b",
        ".*.*.*x",
        "(?:.*a){12}$c",
    ] {
        assert_eq!(found(pattern, &text), None, "{pattern}");
    }
    assert!(found("(?:[ab]|a)*c|a*", &text).is_some());
}

/// A pattern out of the pieces that make the direct matcher choose, give back and take.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "é",
        ".",
        "[ab]",
        "[^a]",
        r"\S",
        r"\w",
        r"\d",
        "[é-ü]",
        "(?s:.)",
        r"\b",
        "^",
        "$",
        "",
        " ",
        "(?i:a)",
        r"\B",
        "ab",
        "(?m:^)",
        "(?m:$)",
        r"\n",
        r"\PL",
        "[a-f0-9]{1,3}",
        ".*",
        ".*?",
        r"\S+",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}", "{2,}?",
        ]);
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => (inner.clone(), operator).prop_map(|(part, op)| format!("(?:{part}){op}")),
            2 => prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => inner.prop_map(|part| format!("({part})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn both_engines_find_the_same(pattern in pattern(), text in "[ab0 é\n中.]{0,24}") {
        let Ok(regex) = Regex::new(&pattern, Groups::All) else { return Ok(()) };
        regex.assert_engines_agree(&text);
    }

    #[test]
    fn no_text_makes_the_parser_fail_badly(text in ".{0,40}") {
        let _outcome = Regex::new(&text, Groups::Named);
    }
}
