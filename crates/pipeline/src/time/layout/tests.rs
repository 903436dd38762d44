//! What layouts read, and what they refuse.

use super::*;
use proptest::prelude::*;

const MOMENT: i64 = 1_669_584_763_000_000_000;

fn parse(layout: &str, text: &str) -> Option<i64> {
    Layout::new(layout).parse(text, &Zone::UTC, &Abbreviations::default(), || MOMENT)
}

#[test]
fn common_layouts() {
    for (layout, text) in [
        ("2006-01-02 15:04:05", "2022-11-27 21:32:43"),
        ("20060102150405", "20221127213243"),
        ("Mon Jan _2 15:04:05 2006", "Sun Nov 27 21:32:43 2022"),
        (
            "Monday, 02-Jan-06 15:04:05 MST",
            "sunday, 27-nov-22 21:32:43 UTC",
        ),
        ("2006-01-02T15:04:05Z07:00", "2022-11-28T05:32:43+08:00"),
        ("2006-01-02T15:04:05Z07:00", "2022-11-27T21:32:43Z"),
        ("02/Jan/2006:15:04:05 -0700", "27/Nov/2022:16:32:43 -0500"),
        ("1/2/06 3:04:5 PM", "11/27/22 9:32:43 PM"),
        ("2006 002 15:04:05", "2022 331 21:32:43"),
        ("2006 __2 15:04:05", "2022 331 21:32:43"),
        ("_2006_01_02 15h4m5", "_2022_11_27 21h32m43"),
        ("2006-01-02  15:04:05", "2022-11-27 21:32:43"),
    ] {
        assert_eq!(parse(layout, text), Some(MOMENT), "{layout} {text}");
    }
}

#[test]
fn fractions() {
    let with = |nanos: i64| Some(MOMENT + nanos);
    assert_eq!(
        parse("2006-01-02 15:04:05", "2022-11-27 21:32:43.25"),
        with(250_000_000)
    );
    assert_eq!(
        parse("2006-01-02 15:04:05.000", "2022-11-27 21:32:43.118"),
        with(118_000_000)
    );
    assert_eq!(
        parse("2006-01-02 15:04:05.000", "2022-11-27 21:32:43.1185"),
        None
    );
    assert_eq!(
        parse("2006-01-02 15:04:05.000", "2022-11-27 21:32:43"),
        None
    );
    assert_eq!(
        parse("2006-01-02 15:04:05.999", "2022-11-27 21:32:43"),
        with(0)
    );
    assert_eq!(
        parse("2006-01-02 15:04:05,999", "2022-11-27 21:32:43,1"),
        with(100_000_000)
    );
}

#[test]
fn mismatches_and_impossible_dates() {
    for (layout, text) in [
        ("2006-01-02", "2022-11-27 "),
        ("2006-01-02", "2022-11-31"),
        ("01/02/2006", "3/4/2022"),
        ("2006-01-02 15:04", "2022-11-27 24:00"),
        ("2006-01-02 3:04", "2022-11-27 13:00"),
        ("2006 002", "2022 366"),
        ("2006-01-02 MST", "2022-11-27 XST"),
        ("2006 UTC", "2022 GMT"),
        ("", ""),
    ] {
        assert_eq!(parse(layout, text), None, "{layout} {text}");
    }
}

#[test]
fn a_missing_year_is_the_nearest_past_one() {
    assert_eq!(parse("Jan _2 15:04:05", "Nov 27 21:32:43"), Some(MOMENT));
    // A month ahead of the clock: last year.
    let december = parse("Jan _2", "Dec 27");
    assert_eq!(december, parse("2006-01-02", "2021-12-27"));
}

#[test]
fn abbreviations_are_resolved_in_the_zone() {
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let layout = Layout::new("2006-01-02 15:04:05 MST");
    assert_eq!(
        layout.parse(
            "2022-11-28 05:32:43 CST",
            &zone,
            &Abbreviations::default(),
            || 0
        ),
        Some(MOMENT)
    );
    assert_eq!(
        layout.parse(
            "2022-11-27 21:32:43 UTC",
            &zone,
            &Abbreviations::default(),
            || 0
        ),
        Some(MOMENT)
    );
    assert_eq!(
        layout.parse(
            "2022-11-28 05:32:43 GMT+8",
            &zone,
            &Abbreviations::default(),
            || 0
        ),
        Some(MOMENT)
    );
    assert_eq!(
        layout.parse(
            "2022-11-27 13:32:43 PST",
            &zone,
            &Abbreviations::default(),
            || 0
        ),
        Some(MOMENT)
    );
    assert_eq!(
        layout.parse(
            "2022-11-27 13:32:43 XST",
            &zone,
            &Abbreviations::default(),
            || 0
        ),
        None
    );
}

proptest! {
    #[test]
    fn any_layout_and_text_are_answered(layout in "[-A-Za-z0-9_.,: 年]{0,24}", text in ".{0,24}") {
        std::hint::black_box(parse(&layout, &text));
        std::hint::black_box(parse(&layout, &layout));
    }
}
