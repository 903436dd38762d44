//! What the recogniser reads, and what it refuses.

use proptest::prelude::*;

use super::*;

/// 2022-11-27 21:32:43 UTC.
const MOMENT: i64 = 1_669_584_763_000_000_000;
const DAY: i64 = 1_669_507_200_000_000_000;

fn read(text: &str, zone: &str) -> Result<i64, Unrecognised> {
    recognise(
        text,
        &Zone::named(zone).unwrap(),
        &Abbreviations::default(),
        || MOMENT,
    )
}

#[test]
fn dates_without_a_time_are_midnight() {
    for text in [
        "2022-11-27",
        "2022/11/27",
        "11/27/2022",
        "11/27/22",
        "2022:11:27",
        "11:27:2022",
        "2022.11.27",
        "11.27.2022",
        "11.27.22",
        "27 Nov 2022",
        "27 nov 22",
        "27 November 2022",
        "27-Nov-2022",
        "27-Nov-22",
        "2022-Nov-27",
        "Nov 27, 2022",
        "nov 27 2022",
        "Nov 27, '22",
        "nov. 27, 2022",
        "Nov. 27, 22",
        "November 27, 2022",
        "november 27 2022",
        "Nov 27th, 2022",
        "Sun, 27 Nov 2022",
        "Sunday, 27 Nov 2022",
        "Sun, 27-Nov-22",
        "Sunday, 27-Nov-2022",
        "Sun 27 Nov 2022",
        "Sun Nov 27 2022",
        "2022年11月27日",
        "20221127",
        "27/Nov/2022",
        "27th Nov 2022",
        "Sunday Nov 27 2022",
        "  2022-11-27 ",
    ] {
        assert_eq!(read(text, "UTC"), Ok(DAY), "{text}");
    }
    let first = Ok(DAY - 26 * 86_400_000_000_000);
    for text in [
        "2022-11",
        "2022/11",
        "2022.11",
        "2022:11",
        "2022-11-1",
        "sept. 1, 2022",
    ] {
        let expected = if text.starts_with("sept") {
            read("2022-09-01", "UTC")
        } else {
            first
        };
        assert_eq!(read(text, "UTC"), expected, "{text}");
    }
    assert_eq!(read("2022", "UTC"), read("2022-01-01", "UTC"));
}

#[test]
fn times_of_day() {
    for text in [
        "2022-11-27 21:32:43",
        "2022-11-27T21:32:43",
        "2022-11-27  21:32:43",
        "2022/11/27 21:32:43",
        "2022/11/27 - 21:32:43",
        "221127 21:32:43",
        "20221127213243",
        "20221127T213243",
        "27/Nov/2022:21:32:43",
        "27/Nov/2022 21:32:43",
        "27 nov 2022, 21:32:43",
        "Nov 27, 2022 at 21:32:43",
        "November 27, 2022, 21:32:43",
        "Sun Nov 27 21:32:43 2022",
        "Nov 27 21:32:43 2022",
        "2022-11-27 09:32:43 PM",
        "2022-11-27 9:32:43pm",
        "2022-11-27 9:32:43 p.m.",
        "2022年11月27日 21:32:43",
        "27 November 2022 21:32:43",
        "2022.11.27 21:32:43",
        "2022-Nov-27 21:32:43",
        "11:27:2022 21:32:43",
        "2022-11-27 21:32:43 WARN",
        "2022-11-27 21:32:43 [main] started",
    ] {
        assert_eq!(read(text, "UTC"), Ok(MOMENT), "{text}");
    }
    let fraction = Ok(MOMENT + 118_000_000);
    for text in [
        "2022-11-27 21:32:43.118",
        "2022-11-27T21:32:43,118",
        "27 Nov 2022 21:32:43.118",
        "2022-11-27T21:32:43.118Z",
        "2022-11-27 21:32:43.118 UTC",
        "1669584763118",
        "1669584763.118",
        "1669584763118000",
        "1669584763118000000",
        "Sun Nov 27 21:32:43.118 2022",
        "20221127T213243.118Z",
    ] {
        assert_eq!(read(text, "UTC"), fraction, "{text}");
    }
    assert_eq!(read("2022-11-27 12:00 AM", "UTC"), Ok(DAY));
    assert_eq!(
        read("2022-11-27 12:00 pm", "UTC"),
        Ok(DAY + 43_200_000_000_000)
    );
    assert_eq!(
        read("2022-11-27 0:00:00.1234567899", "UTC"),
        Ok(DAY + 123_456_789)
    );
}

#[test]
fn zones_in_the_text_win() {
    for text in [
        "27/Nov/2022:16:32:43 -0500",
        "2022-11-27T21:32:43Z",
        "2022-11-27 21:32:43 Z",
        "2022-11-27T21:32:43z",
        "2022-11-27T23:32:43+02:00",
        "2022-11-27T23:32:43+0200",
        "2022-11-27T23:32:43+02",
        "2022-11-27 23:32:43 +02:00",
        "2022-11-27 23:32:43.000 +02:00",
        "2022-11-27 23:32:43 +0200 EET",
        "2022-11-27 23:32:43 +0200 (EET)",
        "2022-11-27 23:32:43 +0200 +02",
        "2022-11-27 23:32:43 +0200 EET m=+0.000000001",
        "Sun Nov 27 2022 23:32:43 GMT+0200 (Eastern European Time +2)",
        "2022-11-27 23:32:43 UTC+2",
        "2022-11-27 23:32:43 UTC+02:00",
        "2022-11-27 13:32:43 PST-08",
        "Sun Nov 27 23:32:43 +0200 2022",
        "Sun Nov 27 21:32:43 UTC 2022",
        "Sun Nov 27 23:32:43 GMT+0200 2022",
        "2022-11-27 21:32:43 UTC",
        "Sun, 27 Nov 2022 21:32:43 GMT",
        "2022-11-27 22:32:43 Europe/Berlin",
        "2022-11-27 09:32:43 PM UTC",
        "2022-11-27 11:32:43 PM +0200",
    ] {
        assert_eq!(read(text, "+9"), Ok(MOMENT), "{text}");
    }
    for text in ["Mon Nov 28 05:32:43 CST 2022", "2022-11-28 05:32:43 CST"] {
        assert_eq!(read(text, "Asia/Shanghai"), Ok(MOMENT), "{text}");
        // The zone at hand does not know it: the usual meaning.
        assert_eq!(read(text, "Asia/Tokyo"), Ok(MOMENT), "{text}");
    }
    for text in [
        "2022-11-27 13:32:43 PST",
        "2022-11-27 22:32:43.000 CET",
        "Sun Nov 27 16:32:43 EST 2022",
        "Sun Nov 27 13:32:43 PST 2022",
    ] {
        assert_eq!(read(text, "UTC"), Ok(MOMENT), "{text}");
    }
    assert_eq!(
        read("Sun Nov 27 13:32:43 XST 2022", "UTC"),
        Err(Unrecognised::Zone)
    );
    assert_eq!(
        read("2022-11-27 15:32:43 CST", "America/Chicago"),
        Ok(MOMENT)
    );
}

#[test]
fn a_minute_of_one_digit_is_enough() {
    let at = |text: &str| read(text, "UTC");
    for text in [
        "2022/11/27 7:4",
        "27 Nov 2022 7:4",
        "Nov 27, 2022 7:4",
        "2022-11-27T7:4",
    ] {
        assert_eq!(at(text), at("2022-11-27 07:04:00"), "{text}");
    }
}

#[test]
fn words_marks_and_commas_around_the_time_are_passed_over() {
    for text in [
        "2022-11-27 at 21:32:43",
        "11/27/2022 AT 21:32:43",
        "27 Nov 2022 at 21:32:43",
        "2022/11/27 at 9:32:43 PM",
        "2022-11-27 21:32:43.",
        "2022-11-27 21:32:43,",
        "27 Nov 2022 21:32:43.",
        "2022-11-27T21:32:43.",
        "November 27 2022, 9:32:43 PM",
        "Sun, 27-Nov 2022 21:32:43 GMT",
    ] {
        assert_eq!(read(text, "UTC"), Ok(MOMENT), "{text}");
    }
    for text in [
        "2022-11-27 21:32:43.118",
        "2022年11月27日 21:32:43.118",
        "2022-11-27 21:32:43:118",
    ] {
        assert_eq!(read(text, "UTC"), Ok(MOMENT + 118_000_000), "{text}");
    }
    assert!(read("2022-11-27 at", "UTC").is_err());
}

#[test]
fn half_of_the_day_counts_wherever_it_stands() {
    for text in [
        "2022-11-27 09:32:43 PMZ",
        "2022-11-27 09:32:43PM+0000",
        "2022-11-27 09:32:43 (PM)",
        "2022-11-27 09:32:43 +0000 PM",
        "2022-11-27 09:32:43Z PM",
        "2022-11-27 09:32:43 UTC PM",
        "2022-11-27 11:32:43 PM +0200",
        "2022-11-27 11:32:43 +0200 (EET) PM",
        "2022-11-27 09:32:43 PM (PM)",
    ] {
        assert_eq!(read(text, "UTC"), Ok(MOMENT), "{text}");
    }
    let noon = Ok(DAY + 43_200_000_000_000);
    assert_eq!(read("Nov 27, 2022 7 PM", "UTC"), noon);
    assert_eq!(read("Nov 27, 2022 7 AM", "UTC"), Ok(DAY));
    assert!(read("Nov 27, 2022 7", "UTC").is_err());
}

#[test]
fn an_offset_behind_an_abbreviation_counts() {
    for text in [
        "Sun Nov 27 23:32:43 CEST+0200 2022",
        "Sun Nov 27 23:32:43 EET+0200 2022",
        "2022-11-28 07:32:43 AEST+1000",
    ] {
        assert_eq!(read(text, "+9"), Ok(MOMENT), "{text}");
    }
}

#[test]
fn a_missing_year_is_the_nearest_past_one() {
    assert_eq!(read("Nov 27 21:32:43", "UTC"), Ok(MOMENT));
    assert_eq!(read("27 Nov 21:32:43.118", "UTC"), Ok(MOMENT + 118_000_000));
    assert_eq!(read("<13>", "UTC"), Err(Unrecognised::Shape));
    assert_eq!(read("Dec 27 00:00:00", "UTC"), read("2021-12-27", "UTC"));
    assert_eq!(
        read("Nov 28 12:00:00", "UTC"),
        read("2022-11-28 12:00", "UTC")
    );
    assert_eq!(
        read("29 Feb 00:00:00.000", "UTC"),
        Err(Unrecognised::Range(Part::Day))
    );
}

#[test]
fn what_is_not_a_time_is_refused() {
    for text in [
        "",
        " ",
        "7",
        "789",
        "16456",
        "164567",
        "164567890",
        "16456789012345678",
        "garbage",
        "true",
        "25-12-2022",
        "22-11-27",
        "27 11 2022",
        "13/01/2022",
        "2022-13-01",
        "2022-02-30",
        "2022-11-27 24:00:00",
        "2022-11-27 21:60:00",
        "2022-11-27 21:32:60",
        "21:32:43",
        "9:32pm",
        "11:12:13",
        "[2022-11-27]",
        "2022-W47-7",
        "2022-001",
        "2022-11-27_05:06:07",
        "2022-11-27T21",
        "Sept 9, 2022",
        "3.7.22 10:00",
        "2022-11 10:00",
        "2022年1月7日",
        "2022年11月27日 21:32",
        "2022-11-27 21:32:43 7",
        "2022-11-27 21:32:43 pid=12",
        "9876543210987654321",
        "2263-01-01",
        "1600-01-01",
        "2022-11-27 21:32:43 Mars/Base1",
        "+1645678901",
        "20221332",
        "2022-11-27 21:32:43x",
        "1645678901.",
        "1645678901.2.5",
        "+",
        "2022-",
        "Nov",
        "Nov ",
        "Sun, ",
        "27 ",
    ] {
        assert!(
            read(text, "UTC").is_err(),
            "{text}: {:?}",
            read(text, "UTC")
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,40}") {
        std::hint::black_box(recognise(&text, &Zone::UTC, &Abbreviations::default(), || MOMENT).is_ok());
    }

    #[test]
    fn texts_like_dates_are_answered(text in "[-0-9/:. TZ+,'年月日a-z]{0,32}") {
        std::hint::black_box(recognise(&text, &Zone::UTC, &Abbreviations::default(), || MOMENT).is_ok());
    }

    #[test]
    fn printed_instants_are_read_back(ns: i64) {
        for format in ["RFC3339Nano", "%d/%b/%Y:%H:%M:%S.%f %z", "%a, %d %b %Y %H:%M:%S.%f GMT"] {
            let text = crate::time::TimeFormat::new(format).format(ns, &Zone::UTC);
            // All but the first prints microseconds only; the first microsecond of the range is cut.
            let expected = if format == "RFC3339Nano" { ns } else { ns.div_euclid(1000).saturating_mul(1000) };
            if expected.div_euclid(1000) == ns.div_euclid(1000) {
                prop_assert_eq!(recognise(&text, &Zone::fixed(3600), &Abbreviations::default(), || 0), Ok(expected), "{}", text);
            }
        }
    }
}
