//! What the dialect accepts and refuses.

use super::Groups;
use super::parse::parse;

fn accepts(text: &str) -> bool {
    parse(text, Groups::All).is_ok()
}

#[test]
fn what_the_dialect_accepts() {
    for text in [
        "",
        "a|",
        "(|a)",
        "a{,2}",
        "%{x}",
        "a{",
        "{1",
        "{\"a\":1}",
        "a{01}",
        "[[]",
        "[]a]",
        "[a-]",
        "[-a]",
        r"[\w-.]",
        "[a&&b]",
        "[a~~b]",
        r"\Qa.b\E*",
        r"\Q(",
        r"\123",
        r"\07",
        r"\<\>\'\/\-\_",
        "(?P<1a>x)(?<1a>y)",
        r"\p{^Lu}\pL\P{Han}",
        "(?i-s:a)(?U)a*",
        r"\x41\x{1F600}",
        "a(?i)*",
        "(?)a",
        "[[:^alpha:]]",
        "]",
        "}",
        "^*",
        r"[^\x00-\x{10FFFF}]",
    ] {
        assert!(accepts(text), "{text}");
    }
}

#[test]
fn what_the_dialect_refuses() {
    for text in [
        "(",
        ")",
        "[",
        "[]",
        "[a",
        "*a",
        "a|*",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?<!a)",
        "(?>a)",
        r"\1",
        "(?P=n)",
        "(?#c)",
        r"\p{Nope}",
        "(?P<a-b>x)",
        "(?P<>x)",
        "[z-a]",
        "a{3,2}",
        r"\é",
        "a**",
        "a*+",
        "a{2}{3}",
        "a{1001}",
        "(a{100}){11}",
        "(?x)a",
        r"\Z",
        r"\e",
        r"\u0041",
        r"\cA",
        "[[:nope:]]",
        r"\x4",
        r"\x{110000}",
        r"\",
        "[b--]",
        r"[a-\d]",
        r"[\b]",
        r"\E",
        "(?i-:a)",
        "(?P<n",
        "{2}",
    ] {
        assert!(!accepts(text), "{text}");
    }
    assert!(!accepts(&"(".repeat(100_000)));
    assert!(accepts(&format!("{}a{}", "(".repeat(200), ")".repeat(200))));
}

#[test]
fn groups_removed_by_a_zero_repeat_leave_no_gap() {
    let parsed = parse("(a){0}(b)", Groups::All).unwrap();
    assert_eq!(parsed.numbers, [None, Some(1)]);
    assert_eq!(parsed.names.len(), 2);
}
