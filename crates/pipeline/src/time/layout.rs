//! Layouts written as an example: the reference moment *Mon Jan 2 15:04:05 MST 2006* in the format
//! to be read.
//!
//! A layout is cut into elements once, when the script is loaded; reading a text walks them.

use super::zone::Zone;
use super::{Abbreviations, Civil, MONTHS, WEEKDAYS, by_name, in_nearest_year, pivot_year};

/// A layout that is ready to read texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text to be met as it is; a run of blanks meets any run of blanks.
    Literal(Box<str>),
    Element(Element),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    LongYear,
    Year,
    LongMonth,
    Month,
    MonthNumber { two: bool },
    LongWeekday,
    Weekday,
    Day { two: bool, padded: bool },
    DayOfYear { padded: bool },
    Hour,
    HalfHour { two: bool },
    Minute { two: bool },
    Second { two: bool },
    Fraction { digits: usize },
    OptionalFraction,
    HalfOfDay { upper: bool },
    Offset { form: OffsetForm, zulu: bool },
    Abbreviation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffsetForm {
    Hours,
    HoursMinutes,
    HoursColonMinutes,
    HoursMinutesSeconds,
    HoursColonMinutesColonSeconds,
}

/// What a text has told so far.
#[derive(Default)]
struct Reading<'t> {
    year: Option<i32>,
    month: Option<u8>,
    day: Option<u8>,
    day_of_year: Option<u16>,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    abbreviation: Option<&'t str>,
}

impl Layout {
    /// Cuts a layout into its elements; what is not an element is literal text.
    #[must_use]
    pub fn new(layout: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal_from = 0;
        let mut at = 0;
        while at < layout.len() {
            let Some((skip, element, len)) = element_at(layout, at) else {
                at += 1;
                continue;
            };
            let from = at + skip;
            if let Some(literal) = layout
                .get(literal_from..from)
                .filter(|text| !text.is_empty())
            {
                pieces.push(Piece::Literal(literal.into()));
            }
            pieces.push(Piece::Element(element));
            at = from + len;
            literal_from = at;
        }
        if let Some(literal) = layout.get(literal_from..).filter(|text| !text.is_empty()) {
            pieces.push(Piece::Literal(literal.into()));
        }
        Self { pieces }
    }

    /// Reads a text in this layout: nanoseconds since the Unix epoch, or `None` if the text does
    /// not match from end to end or names a moment that does not exist.
    ///
    /// `zone` applies when the text names none; `abbreviations` tells what `CST` and the like mean where
    /// it does not know them. `now` gives the current time in nanoseconds and is asked only if the layout has no year.
    #[must_use]
    pub fn parse(
        &self,
        text: &str,
        zone: &Zone,
        abbreviations: &Abbreviations,
        now: impl FnOnce() -> i64,
    ) -> Option<i64> {
        if self.pieces.is_empty() {
            return None;
        }
        let mut reading = Reading::default();
        let mut rest = text;
        for (at, piece) in self.pieces.iter().enumerate() {
            rest = match piece {
                Piece::Literal(literal) => skip_literal(rest, literal)?,
                Piece::Element(element) => {
                    let after = reading.take(*element, rest)?;
                    if matches!(element, Element::Second { .. })
                        && !matches!(
                            self.pieces.get(at + 1),
                            Some(Piece::Element(
                                Element::Fraction { .. } | Element::OptionalFraction
                            ))
                        )
                    {
                        // A fraction may stand behind the seconds without being asked for.
                        reading.take(Element::OptionalFraction, after)?
                    } else {
                        after
                    }
                }
            };
        }
        if !rest.is_empty() {
            return None;
        }
        match reading.year {
            Some(year) => reading.in_year(year, zone, abbreviations),
            None => in_nearest_year(now(), zone, |year| {
                reading.in_year(year, zone, abbreviations)
            }),
        }
    }
}

impl<'t> Reading<'t> {
    /// Reads one element at the start of `text` and returns the rest.
    fn take(&mut self, element: Element, text: &'t str) -> Option<&'t str> {
        let bytes = text.as_bytes();
        match element {
            Element::Year => {
                let value = fixed(bytes, 2)?;
                self.year = Some(pivot_year(i32::try_from(value).ok()?));
                text.get(2..)
            }
            Element::LongYear => {
                self.year = Some(i32::try_from(fixed(bytes, 4)?).ok()?);
                text.get(4..)
            }
            Element::Month | Element::LongMonth => {
                let (number, rest) = name(text, &MONTHS, element == Element::Month)?;
                self.month = Some(number);
                Some(rest)
            }
            Element::Weekday | Element::LongWeekday => {
                name(text, &WEEKDAYS, element == Element::Weekday).map(|(_, rest)| rest)
            }
            Element::MonthNumber { two } => {
                let (value, rest) = number(text, two)?;
                self.month = Some(value);
                (1..=12).contains(&value).then_some(rest)
            }
            Element::Day { two, padded } => {
                let text = if padded {
                    text.strip_prefix(' ').unwrap_or(text)
                } else {
                    text
                };
                let (value, rest) = number(text, two)?;
                self.day = Some(value);
                Some(rest)
            }
            Element::DayOfYear { padded } => {
                let blanks = if padded {
                    bytes
                        .iter()
                        .take(2)
                        .take_while(|byte| **byte == b' ')
                        .count()
                } else {
                    0
                };
                let value = fixed(bytes.get(blanks..)?, 3 - blanks)?;
                self.day_of_year = Some(u16::try_from(value).ok()?);
                text.get(3..)
            }
            Element::Hour => {
                let (value, rest) = number(text, false)?;
                self.hour = value;
                (value < 24).then_some(rest)
            }
            Element::HalfHour { two } => {
                let (value, rest) = number(text, two)?;
                self.hour = value;
                (value <= 12).then_some(rest)
            }
            Element::Minute { two } => {
                let (value, rest) = number(text, two)?;
                self.minute = value;
                (value < 60).then_some(rest)
            }
            Element::Second { two } => {
                let (value, rest) = number(text, two)?;
                self.second = value;
                (value < 60).then_some(rest)
            }
            Element::Fraction { digits } => {
                let (value, len) = fraction(bytes)?;
                // The digits that follow belong to the next element, if there is one.
                if len - 1 < digits {
                    return None;
                }
                self.nanos = if len - 1 == digits {
                    value
                } else {
                    fraction(bytes.get(..=digits)?)?.0
                };
                text.get(digits + 1..)
            }
            Element::OptionalFraction => match fraction(bytes) {
                Some((value, len)) => {
                    self.nanos = value;
                    text.get(len..)
                }
                None => Some(text),
            },
            Element::HalfOfDay { upper } => {
                let half = bytes.get(..2)?;
                self.afternoon = Some(match (half, upper) {
                    (b"PM", true) | (b"pm", false) => true,
                    (b"AM", true) | (b"am", false) => false,
                    _ => return None,
                });
                text.get(2..)
            }
            Element::Offset { form, zulu } => {
                if zulu && let Some(rest) = text.strip_prefix('Z') {
                    self.offset = Some(0);
                    return Some(rest);
                }
                let (offset, len) = form.read(bytes)?;
                self.offset = Some(offset);
                text.get(len..)
            }
            Element::Abbreviation => {
                if let Some(rest) = text.strip_prefix("UTC") {
                    self.offset = Some(0);
                    return Some(rest);
                }
                let (name, rest) = text.split_at(abbreviation_len(bytes)?);
                self.abbreviation = Some(name);
                Some(rest)
            }
        }
    }

    /// The instant, once the year is known.
    fn in_year(&self, year: i32, zone: &Zone, abbreviations: &Abbreviations) -> Option<i64> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = match self.day_of_year {
            Some(of_year) => {
                let (month, day) = month_and_day(year, of_year)?;
                let agrees = self.month.is_none_or(|given| given == month)
                    && self.day.is_none_or(|given| given == day);
                agrees.then_some((month, day))?
            }
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let civil = Civil {
            hour,
            minute: self.minute,
            second: self.second,
            nanos: self.nanos,
            ..Civil::date(year, month, day)
        };
        civil.validate().ok()?;
        if let Some(offset) = self.offset {
            return civil.to_ns(offset);
        }
        let Some(name) = self.abbreviation else {
            return zone.to_ns(&civil);
        };
        let offset = match abbreviations.offset(name, zone, &civil) {
            Some(offset) => offset,
            None => match name {
                "GMT" => 0,
                _ => {
                    name.strip_prefix("GMT")
                        .unwrap_or(name)
                        .parse::<i32>()
                        .ok()?
                        * 3600
                }
            },
        };
        civil.to_ns(offset)
    }
}

impl OffsetForm {
    fn read(self, text: &[u8]) -> Option<(i32, usize)> {
        let (len, minutes_at, seconds_at, colons): (_, _, _, &[usize]) = match self {
            Self::Hours => (3, None, None, &[]),
            Self::HoursMinutes => (5, Some(3), None, &[]),
            Self::HoursColonMinutes => (6, Some(4), None, &[3]),
            Self::HoursMinutesSeconds => (7, Some(3), Some(5), &[]),
            Self::HoursColonMinutesColonSeconds => (9, Some(4), Some(7), &[3, 6]),
        };
        let text = text.get(..len)?;
        let sign = match text.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        if colons.iter().any(|at| text.get(*at) != Some(&b':')) {
            return None;
        }
        let part = |at: Option<usize>| match at {
            Some(at) => fixed(text.get(at..)?, 2),
            None => Some(0),
        };
        let (hours, minutes, seconds) = (part(Some(1))?, part(minutes_at)?, part(seconds_at)?);
        if hours > 24 || minutes > 60 || seconds > 60 {
            return None;
        }
        let total = hours * 3600 + minutes * 60 + seconds;
        Some((sign * i32::try_from(total).ok()?, len))
    }
}

/// The element that starts at `at`, perhaps behind some literal bytes: their number, the element
/// and its length.
fn element_at(layout: &str, at: usize) -> Option<(usize, Element, usize)> {
    let rest = layout.as_bytes().get(at..)?;
    let lower = |from: usize| rest.get(from).is_some_and(u8::is_ascii_lowercase);
    let hit = |element, len| Some((0, element, len));
    match rest {
        [b'J', b'a', b'n', b'u', b'a', b'r', b'y', ..] => hit(Element::LongMonth, 7),
        [b'J', b'a', b'n', ..] if !lower(3) => hit(Element::Month, 3),
        [b'M', b'o', b'n', b'd', b'a', b'y', ..] => hit(Element::LongWeekday, 6),
        [b'M', b'o', b'n', ..] if !lower(3) => hit(Element::Weekday, 3),
        [b'M', b'S', b'T', ..] => hit(Element::Abbreviation, 3),
        [b'0', b'0', b'2', ..] => hit(Element::DayOfYear { padded: false }, 3),
        [b'0', digit, ..] => {
            let element = match digit {
                b'1' => Element::MonthNumber { two: true },
                b'2' => Element::Day {
                    two: true,
                    padded: false,
                },
                b'3' => Element::HalfHour { two: true },
                b'4' => Element::Minute { two: true },
                b'5' => Element::Second { two: true },
                b'6' => Element::Year,
                _ => return None,
            };
            hit(element, 2)
        }
        [b'1', b'5', ..] => hit(Element::Hour, 2),
        [b'1', ..] => hit(Element::MonthNumber { two: false }, 1),
        [b'2', b'0', b'0', b'6', ..] => hit(Element::LongYear, 4),
        [b'2', ..] => hit(
            Element::Day {
                two: false,
                padded: false,
            },
            1,
        ),
        [b'_', b'2', b'0', b'0', b'6', ..] => Some((1, Element::LongYear, 4)),
        [b'_', b'_', b'2', ..] => hit(Element::DayOfYear { padded: true }, 3),
        [b'_', b'2', ..] => hit(
            Element::Day {
                two: false,
                padded: true,
            },
            2,
        ),
        [b'3', ..] => hit(Element::HalfHour { two: false }, 1),
        [b'4', ..] => hit(Element::Minute { two: false }, 1),
        [b'5', ..] => hit(Element::Second { two: false }, 1),
        [b'P', b'M', ..] => hit(Element::HalfOfDay { upper: true }, 2),
        [b'p', b'm', ..] => hit(Element::HalfOfDay { upper: false }, 2),
        [b'-' | b'Z', digits @ ..] => {
            let zulu = rest.first() == Some(&b'Z');
            OFFSETS
                .iter()
                .find(|(text, _)| digits.starts_with(text))
                .and_then(|(text, form)| hit(Element::Offset { form: *form, zulu }, text.len() + 1))
        }
        [b'.' | b',', digit @ (b'0' | b'9'), ..] => {
            let run = rest
                .iter()
                .skip(1)
                .take_while(|byte| *byte == digit)
                .count();
            if rest.get(run + 1).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            let element = if *digit == b'0' {
                Element::Fraction { digits: run }
            } else {
                Element::OptionalFraction
            };
            hit(element, run + 1)
        }
        _ => None,
    }
}

/// The offset elements behind their sign, longer ones first.
const OFFSETS: [(&[u8], OffsetForm); 5] = [
    (b"070000", OffsetForm::HoursMinutesSeconds),
    (b"07:00:00", OffsetForm::HoursColonMinutesColonSeconds),
    (b"0700", OffsetForm::HoursMinutes),
    (b"07:00", OffsetForm::HoursColonMinutes),
    (b"07", OffsetForm::Hours),
];

fn skip_literal<'t>(mut text: &'t str, literal: &str) -> Option<&'t str> {
    let mut literal = literal;
    while let Some(next) = literal.chars().next() {
        if next == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
        } else {
            literal = literal.get(next.len_utf8()..)?;
            text = text.strip_prefix(next)?;
        }
    }
    Some(text)
}

/// The value of exactly `len` digits at the start of `text`.
fn fixed(text: &[u8], len: usize) -> Option<u32> {
    text.get(..len)?.iter().try_fold(0u32, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

/// One or two digits, or exactly two, and the rest of the text.
fn number(text: &str, two: bool) -> Option<(u8, &str)> {
    let len = match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9', ..] => 2,
        [b'0'..=b'9', ..] if !two => 1,
        _ => return None,
    };
    let value = fixed(text.as_bytes(), len)?;
    Some((u8::try_from(value).ok()?, text.get(len..)?))
}

/// A name out of `names`, from 1, and the rest of the text.
fn name<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(u8, &'t str)> {
    if short {
        return Some((by_name(names, text.as_bytes().get(..3)?)?, text.get(3..)?));
    }
    names.iter().zip(1u8..).find_map(|(name, number)| {
        let word = text.get(..name.len())?;
        word.eq_ignore_ascii_case(name)
            .then_some((number, text.get(name.len()..)?))
    })
}

/// A point or comma with digits: the nanoseconds and the bytes read.
fn fraction(text: &[u8]) -> Option<(u32, usize)> {
    if !matches!(text.first()?, b'.' | b',') {
        return None;
    }
    let digits = text
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    let nanos = text
        .iter()
        .skip(1)
        .take(digits)
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .fold(0u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    Some((nanos, digits + 1))
}

/// The length of the zone abbreviation at the start of a text, by the shapes that exist: three
/// capitals, four or five that end in `T`, the two with small letters, `GMT` with hours, and the
/// signed hours of zones without a name.
fn abbreviation_len(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    let signed_hours = |text: &[u8]| {
        matches!(text.first(), Some(b'+' | b'-'))
            .then(|| {
                text.iter()
                    .skip(1)
                    .take_while(|byte| byte.is_ascii_digit())
                    .count()
            })
            .filter(|digits| (1..=2).contains(digits))
            .filter(|digits| {
                fixed(text.get(1..).unwrap_or_default(), *digits).is_some_and(|h| h < 24)
            })
            .map(|digits| digits + 1)
    };
    if let Some(behind) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_hours(behind).unwrap_or(0));
    }
    if let Some(len) = signed_hours(text) {
        return Some(len);
    }
    let capitals = text
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    match capitals {
        3 => Some(3),
        4 if text.get(3) == Some(&b'T') || text.starts_with(b"WITA") => Some(4),
        5 if text.get(4) == Some(&b'T') => Some(5),
        _ => None,
    }
}

fn month_and_day(year: i32, of_year: u16) -> Option<(u8, u8)> {
    let mut left = of_year.checked_sub(1)?;
    for month in 1..=12u8 {
        let days = u16::from(super::civil::days_in_month(year, month));
        if left < days {
            return Some((month, u8::try_from(left + 1).ok()?));
        }
        left -= days;
    }
    None
}

#[cfg(test)]
mod tests;
