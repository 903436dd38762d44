//! The any-date recogniser: a text of unknown format to an instant.
//!
//! A text is a date shape, then perhaps a time of day, then perhaps a zone; [`date`], [`clock`] and
//! [`suffix`] each read their part from one [`Scan`] and write what they found into one [`Found`].
//! The first bytes decide the shape, nothing is tried twice, nothing is allocated. Digits that stay
//! unread make the whole text fail: a time that was understood by half is worse than none.

mod clock;
mod date;
mod suffix;

use super::zone::seconds_to_ns;
use super::{Abbreviations, Civil, Part, Zone, in_nearest_year};

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognised {
    /// No date and time shape fits.
    #[error("no known date or time format")]
    Shape,
    /// A part of the date or time does not exist.
    #[error("{0} out of range")]
    Range(Part),
    /// The text names a zone that is unknown, or unknown in the zone given.
    #[error("unknown time zone in the text")]
    Zone,
    /// Digits stand behind the time that belong to no known format.
    #[error("digits left unread after the time")]
    Leftover,
    /// The instant cannot be counted in 64-bit nanoseconds.
    #[error("outside the years 1677 to 2262")]
    Span,
}

/// Recognises a date and time in `text` and returns it in nanoseconds since the Unix epoch.
///
/// `zone` applies when the text itself names none. `abbreviations` tells what `CST` and the like mean where
/// `zone` does not know them. `now` gives the current time in the same unit;
/// it is asked only for dates without a year.
///
/// # Errors
/// Why the text is not an instant.
pub fn recognise(
    text: &str,
    zone: &Zone,
    abbreviations: &Abbreviations,
    now: impl FnOnce() -> i64,
) -> Result<i64, Unrecognised> {
    let text = text.trim_matches(|c| c == ' ' || c == '\t');
    let bytes = text.as_bytes();
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == bytes.len() {
        return digits_only(bytes, zone);
    }
    if matches!(digits, 10 | 13 | 16) && bytes.get(digits) == Some(&b'.') {
        return fractional_epoch(bytes, digits);
    }
    let mut scan = Scan { text: bytes, at: 0 };
    let mut found = Found::new();
    let follow = date::read(&mut scan, &mut found)?;
    clock::read(&mut scan, &mut found, follow)?;
    suffix::read(&mut scan, &mut found, (zone, abbreviations))?;
    match found.to_ns((zone, abbreviations), now) {
        // Six digits are a date only if they make one.
        Err(Unrecognised::Range(_)) if digits == 6 => Err(Unrecognised::Shape),
        result => result,
    }
}

/// What has been read of a text so far.
struct Found<'a> {
    /// The year is meaningless while `has_year` is unset.
    civil: Civil,
    has_year: bool,
    /// Whether `AM` or `PM` was read.
    halved: bool,
    shift: Shift<'a>,
}

/// The caller's zone, and what abbreviations mean where it does not know them.
type Zones<'z> = (&'z Zone, &'z Abbreviations);

/// The zone a text names.
enum Shift<'a> {
    /// None: the caller's zone applies.
    Absent,
    /// Seconds east of Greenwich.
    Offset(i32),
    /// An abbreviation: what it means in the caller's zone, else what it means to most.
    Abbreviation(&'a str),
    Named(Zone),
}

impl Found<'_> {
    const fn new() -> Self {
        Self {
            civil: Civil::date(0, 1, 1),
            has_year: false,
            halved: false,
            shift: Shift::Absent,
        }
    }

    const fn set_year(&mut self, year: i32) {
        self.civil.year = year;
        self.has_year = true;
    }

    fn to_ns(&self, zones: Zones<'_>, now: impl FnOnce() -> i64) -> Result<i64, Unrecognised> {
        if self.has_year {
            return self.in_year(self.civil.year, zones);
        }
        // A leap year lets 29 February through to the years that may have it.
        let mut civil = self.civil;
        civil.year = 2000;
        civil.validate().map_err(Unrecognised::Range)?;
        in_nearest_year(now(), zones.0, |year| self.in_year(year, zones).ok())
            .ok_or(Unrecognised::Range(Part::Day))
    }

    fn in_year(&self, year: i32, zones: Zones<'_>) -> Result<i64, Unrecognised> {
        let (zone, abbreviations) = zones;
        let mut civil = self.civil;
        civil.year = year;
        civil.validate().map_err(Unrecognised::Range)?;
        match &self.shift {
            Shift::Absent => zone.to_ns(&civil),
            Shift::Offset(offset) => civil.to_ns(*offset),
            Shift::Named(zone) => zone.to_ns(&civil),
            Shift::Abbreviation(name) => {
                let offset = abbreviations
                    .offset(name, zone, &civil)
                    .ok_or(Unrecognised::Zone)?;
                civil.to_ns(offset)
            }
        }
        .ok_or(Unrecognised::Span)
    }
}

/// A reading position in a text.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    fn eat_text(&mut self, text: &str) -> bool {
        let hit = self.rest().starts_with(text.as_bytes());
        if hit {
            self.at += text.len();
        }
        hit
    }

    /// Skips blanks and tells whether there were any.
    fn blanks(&mut self) -> bool {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > from
    }

    /// The run of bytes from here that satisfy `is`; the position stays.
    fn run(&self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().take_while(|byte| is(**byte)).count();
        rest.get(..len).unwrap_or_default()
    }

    /// Reads a run of ASCII letters.
    fn word(&mut self) -> &'a [u8] {
        let word = self.run(|byte| byte.is_ascii_alphabetic());
        self.at += word.len();
        word
    }

    /// Reads a run of `min` to `max` digits; a longer or shorter run is refused.
    fn number(&mut self, min: usize, max: usize) -> Result<u32, Unrecognised> {
        let digits = self.run(|byte| byte.is_ascii_digit());
        if digits.len() < min || digits.len() > max {
            return Err(Unrecognised::Shape);
        }
        self.at += digits.len();
        Ok(value_of(digits))
    }

    /// Reads a number of one or two digits.
    fn short(&mut self) -> Result<u8, Unrecognised> {
        self.number(1, 2).map(narrow)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unrecognised> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(Unrecognised::Shape)
        }
    }
}

/// The value of up to nine digits.
fn value_of(digits: &[u8]) -> u32 {
    digits.iter().fold(0u32, |sum, digit| {
        sum.wrapping_mul(10) + u32::from(digit - b'0')
    })
}

/// A value of at most two digits as the type of date parts.
fn narrow(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn digits_only(digits: &[u8], zone: &Zone) -> Result<i64, Unrecognised> {
    let part = |from: usize, len: usize| value_of(digits.get(from..from + len).unwrap_or_default());
    let count = || {
        digits
            .iter()
            .try_fold(0i64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
            })
            .ok_or(Unrecognised::Span)
    };
    let mut civil = Civil::date(year_of(part(0, 4)), 1, 1);
    match digits.len() {
        10 => return seconds_to_ns(count()?).ok_or(Unrecognised::Span),
        13 => return count()?.checked_mul(1_000_000).ok_or(Unrecognised::Span),
        16 => return count()?.checked_mul(1_000).ok_or(Unrecognised::Span),
        19 => return count(),
        4 => {}
        8 | 14 => {
            civil.month = narrow(part(4, 2));
            civil.day = narrow(part(6, 2));
            if digits.len() == 14 {
                civil.hour = narrow(part(8, 2));
                civil.minute = narrow(part(10, 2));
                civil.second = narrow(part(12, 2));
            }
        }
        _ => return Err(Unrecognised::Shape),
    }
    civil.validate().map_err(Unrecognised::Range)?;
    zone.to_ns(&civil).ok_or(Unrecognised::Span)
}

/// Seconds, milliseconds or microseconds since the epoch with a decimal fraction.
fn fractional_epoch(text: &[u8], digits: usize) -> Result<i64, Unrecognised> {
    let (whole, fraction) = text.split_at(digits);
    let fraction = fraction.get(1..).unwrap_or_default();
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(Unrecognised::Shape);
    }
    // 10, 13 or 16 digits leave 9, 6 or 3 for the fraction.
    let nanos = whole
        .iter()
        .chain(fraction)
        .chain(std::iter::repeat(&b'0'))
        .take(19)
        .try_fold(0i64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        });
    nanos.ok_or(Unrecognised::Span)
}

/// A year of up to four digits.
fn year_of(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
