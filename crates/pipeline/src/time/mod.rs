//! Time as scripts see it: texts to instants and back.
//!
//! An instant is a count of nanoseconds since the Unix epoch in an `i64`, so everything here covers
//! 1677-09-21 to 2262-04-11 and refuses what lies outside instead of wrapping. Nothing in this
//! module knows points or scripts; the functions in `functions/` wrap it.

mod abbreviation;
mod civil;
mod duration;
mod layout;
mod recognise;
mod strftime;
mod zone;

pub use abbreviation::Abbreviations;
pub(crate) use civil::Civil;
pub use civil::Part;
pub(crate) use duration::TimeUnit;
pub(crate) use duration::UnknownUnit;
pub use duration::parse_duration;
pub use layout::Layout;
pub use recognise::{Unrecognised, recognise};
pub use strftime::TimeFormat;
pub(crate) use zone::LocalMoment;
pub use zone::{UnknownZone, Zone};

pub(crate) const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The year of a two-digit year: 69 to 99 are 19xx, 00 to 68 are 20xx.
pub(crate) const fn pivot_year(two_digits: i32) -> i32 {
    if two_digits >= 69 {
        1900 + two_digits
    } else {
        2000 + two_digits
    }
}

/// The instant of a date that was written without a year: the current year in `zone`, or the year
/// before when that would lie more than a day in the future. `None` if no such date exists.
pub(crate) fn in_nearest_year(
    now_ns: i64,
    zone: &Zone,
    to_ns: impl Fn(i32) -> Option<i64>,
) -> Option<i64> {
    const DAY: i64 = 86_400 * NANOS_PER_SECOND;
    let year = zone.at(now_ns).civil.year;
    let ns = to_ns(year)?;
    if ns.saturating_sub(now_ns) > DAY {
        to_ns(year - 1)
    } else {
        Some(ns)
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The month 1 to 12 of an English name or three-letter abbreviation in any letter case.
#[must_use]
pub(crate) fn month_by_name(name: &str) -> Option<u8> {
    by_name(&MONTHS, name.as_bytes())
}

/// The position, from 1, of a name that is written out or cut to three letters.
fn by_name(names: &[&str], word: &[u8]) -> Option<u8> {
    let at = names.iter().position(|name| {
        word.eq_ignore_ascii_case(name.as_bytes())
            || (word.len() == 3
                && name
                    .as_bytes()
                    .get(..3)
                    .is_some_and(|abbreviation| word.eq_ignore_ascii_case(abbreviation)))
    })?;
    u8::try_from(at + 1).ok()
}
