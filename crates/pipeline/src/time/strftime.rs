//! Formats with percent directives, and the named formats, for printing instants.

use std::fmt::Write;

use super::{Civil, LocalMoment, MONTHS, NANOS_PER_SECOND, WEEKDAYS, Zone};

/// A format that is ready to print instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(Box<str>),
    Directive(Directive),
    /// The fraction with its point, trailing zeros cut, nothing if zero.
    ShortFraction,
    /// The fraction with its point in this many digits.
    Fraction(usize),
    /// `Z` at offset zero, else `+hh:mm`.
    ZuluOrOffset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Directive {
    letter: u8,
    padding: Option<Padding>,
    case: Option<LetterCase>,
    width: usize,
    colons: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Absent,
    Blanks,
    Zeros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetterCase {
    Upper,
    Swapped,
}

/// The named formats. A name is matched exactly.
const NAMED: [(&str, &str); 10] = [
    ("ANSIC", "%a %b %e %H:%M:%S %Y"),
    ("ANSI-C", "%a %b %e %H:%M:%S %Y"),
    ("UnixDate", "%a %b %e %H:%M:%S %Z %Y"),
    ("RubyDate", "%a %b %d %H:%M:%S %z %Y"),
    ("RFC822", "%d %b %y %H:%M %Z"),
    ("RFC822Z", "%d %b %y %H:%M %z"),
    ("RFC850", "%A, %d-%b-%y %H:%M:%S %Z"),
    ("RFC1123", "%a, %d %b %Y %H:%M:%S %Z"),
    ("RFC1123Z", "%a, %d %b %Y %H:%M:%S %z"),
    ("Kitchen", "%-I:%M%p"),
];

impl TimeFormat {
    /// Reads a format: one of the names `ANSIC`, `UnixDate`, `RubyDate`, `RFC822`, `RFC822Z`,
    /// `RFC850`, `RFC1123`, `RFC1123Z`, `RFC3339`, `RFC3339Nano`, `Kitchen`, `Stamp`, `StampMilli`,
    /// `StampMicro`, `StampNano`, or text with percent directives. Unknown directives are text.
    #[must_use]
    pub fn new(format: &str) -> Self {
        if let Some((_, pattern)) = NAMED.iter().find(|(name, _)| *name == format) {
            return Self::pattern(pattern);
        }
        let (pattern, tail) = match format {
            "RFC3339" => ("%Y-%m-%dT%H:%M:%S", vec![Item::ZuluOrOffset]),
            "RFC3339Nano" => (
                "%Y-%m-%dT%H:%M:%S",
                vec![Item::ShortFraction, Item::ZuluOrOffset],
            ),
            "Stamp" => ("%b %e %H:%M:%S", vec![]),
            "StampMilli" => ("%b %e %H:%M:%S", vec![Item::Fraction(3)]),
            "StampMicro" => ("%b %e %H:%M:%S", vec![Item::Fraction(6)]),
            "StampNano" => ("%b %e %H:%M:%S", vec![Item::Fraction(9)]),
            _ => return Self::pattern(format),
        };
        let mut format = Self::pattern(pattern);
        format.items.extend(tail);
        format
    }

    fn pattern(pattern: &str) -> Self {
        let mut items = Vec::new();
        let mut text = String::new();
        let mut rest = pattern;
        while let Some(at) = rest.find('%') {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            match Directive::read(from.as_bytes()) {
                Some((directive, len)) => {
                    if !text.is_empty() {
                        items.push(Item::Text(std::mem::take(&mut text).into()));
                    }
                    items.push(Item::Directive(directive));
                    rest = from.get(len..).unwrap_or_default();
                }
                None => {
                    text.push('%');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            items.push(Item::Text(text.into()));
        }
        Self { items }
    }

    /// Prints an instant, in nanoseconds since the Unix epoch, as clocks in `zone` show it.
    #[must_use]
    pub fn format(&self, ns: i64, zone: &Zone) -> String {
        let moment = zone.at(ns);
        let mut out = String::with_capacity(32);
        for item in &self.items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Directive(directive) => directive.print(ns, &moment, &mut out),
                Item::Fraction(digits) => {
                    let nanos = format!("{:09}", moment.civil.nanos);
                    out.push('.');
                    out.push_str(nanos.get(..*digits).unwrap_or(&nanos));
                }
                Item::ShortFraction if moment.civil.nanos == 0 => {}
                Item::ShortFraction => {
                    let nanos = format!(".{:09}", moment.civil.nanos);
                    out.push_str(nanos.trim_end_matches('0'));
                }
                Item::ZuluOrOffset if moment.offset == 0 => out.push('Z'),
                Item::ZuluOrOffset => print_offset(moment.offset, 1, &mut out),
            }
        }
        out
    }
}

impl Directive {
    /// Reads the directive at the start of `text`, which is a percent sign, and tells its length.
    fn read(text: &[u8]) -> Option<(Self, usize)> {
        let mut directive = Self {
            letter: 0,
            padding: None,
            case: None,
            width: 0,
            colons: 0,
        };
        let mut at = 1;
        loop {
            match text.get(at)? {
                b'-' => directive.padding = Some(Padding::Absent),
                b'_' => directive.padding = Some(Padding::Blanks),
                b'0' => directive.padding = Some(Padding::Zeros),
                b'^' => directive.case = Some(LetterCase::Upper),
                b'#' => directive.case = Some(LetterCase::Swapped),
                _ => break,
            }
            at += 1;
        }
        while let Some(digit) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
            directive.width = directive.width * 10 + usize::from(digit - b'0');
            // A width is a column count; nothing needs more than a line.
            if directive.width > 200 {
                return None;
            }
            at += 1;
        }
        while text.get(at) == Some(&b':') && directive.colons < 2 {
            directive.colons += 1;
            at += 1;
        }
        directive.letter = *text.get(at)?;
        let known = b"aAbBcCdDeFfgGhHIjklmMnpPrRsStTuUvVwWxXyYzZ%+".contains(&directive.letter);
        (known && (directive.colons == 0 || directive.letter == b'z'))
            .then_some((directive, at + 1))
    }

    fn print(self, ns: i64, moment: &LocalMoment, out: &mut String) {
        let civil = &moment.civil;
        match self.letter {
            b'a' => self.word(short(capitalised(&WEEKDAYS, civil.weekday())), out),
            b'A' => self.word(capitalised(&WEEKDAYS, civil.weekday()), out),
            b'b' | b'h' => self.word(short(capitalised(&MONTHS, civil.month - 1)), out),
            b'B' => self.word(capitalised(&MONTHS, civil.month - 1), out),
            b'c' => self.word(nested("%a %b %e %H:%M:%S %Y", ns, moment), out),
            b'C' => self.number(civil.year.div_euclid(100), 2, Padding::Zeros, out),
            b'd' => self.number(civil.day.into(), 2, Padding::Zeros, out),
            b'D' | b'x' => self.word(nested("%m/%d/%y", ns, moment), out),
            b'e' => self.number(civil.day.into(), 2, Padding::Blanks, out),
            b'F' => self.word(nested("%Y-%m-%d", ns, moment), out),
            b'f' => self.count((civil.nanos / 1000).into(), 6, Padding::Zeros, out),
            b'g' => self.number(civil.iso_week().0.rem_euclid(100), 2, Padding::Zeros, out),
            b'G' => self.number(civil.iso_week().0, 4, Padding::Zeros, out),
            b'H' => self.number(civil.hour.into(), 2, Padding::Zeros, out),
            b'I' => self.number(half_hour(civil), 2, Padding::Zeros, out),
            b'j' => self.number(civil.day_of_year().into(), 3, Padding::Zeros, out),
            b'k' => self.number(civil.hour.into(), 2, Padding::Blanks, out),
            b'l' => self.number(half_hour(civil), 2, Padding::Blanks, out),
            b'm' => self.number(civil.month.into(), 2, Padding::Zeros, out),
            b'M' => self.number(civil.minute.into(), 2, Padding::Zeros, out),
            b'n' => self.pad("\n", out),
            b'p' | b'P' => {
                let upper = self.letter == b'p' && self.case != Some(LetterCase::Swapped)
                    || self.case == Some(LetterCase::Upper);
                self.pad(
                    match (civil.hour < 12, upper) {
                        (true, true) => "AM",
                        (true, false) => "am",
                        (false, true) => "PM",
                        (false, false) => "pm",
                    },
                    out,
                );
            }
            b'r' => self.word(nested("%I:%M:%S %p", ns, moment), out),
            b'R' => self.word(nested("%H:%M", ns, moment), out),
            b's' => self.count(ns.div_euclid(NANOS_PER_SECOND), 1, Padding::Blanks, out),
            b'S' => self.number(civil.second.into(), 2, Padding::Zeros, out),
            b't' => self.pad("\t", out),
            b'T' | b'X' => self.word(nested("%H:%M:%S", ns, moment), out),
            b'u' => self.number(i32::from(civil.weekday()) + 1, 1, Padding::Zeros, out),
            b'w' => self.number((i32::from(civil.weekday()) + 1) % 7, 1, Padding::Zeros, out),
            b'U' => self.number(week(civil, 6), 2, Padding::Zeros, out),
            b'W' => self.number(week(civil, 0), 2, Padding::Zeros, out),
            b'v' => self.word(nested("%e-%b-%Y", ns, moment), out),
            b'V' => self.number(civil.iso_week().1.into(), 2, Padding::Zeros, out),
            b'y' => self.number(civil.year.rem_euclid(100), 2, Padding::Zeros, out),
            b'Y' => self.number(civil.year, 4, Padding::Zeros, out),
            b'z' => self.offset(moment.offset, out),
            b'Z' => self.word(moment.abbreviation.clone(), out),
            b'+' => self.word(nested("%a %b %e %H:%M:%S %Z %Y", ns, moment), out),
            _ => self.pad("%", out),
        }
    }

    fn number(self, value: i32, width: usize, padding: Padding, out: &mut String) {
        self.count(value.into(), width, padding, out);
    }

    fn count(self, value: i64, width: usize, padding: Padding, out: &mut String) {
        let width = width.max(self.width);
        let written = match self.padding.unwrap_or(padding) {
            Padding::Absent => write!(out, "{value}"),
            Padding::Blanks => write!(out, "{value:width$}"),
            Padding::Zeros => write!(out, "{value:0width$}"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }

    /// `+hhmm` with flags and width: zeros stand behind the sign, blanks in front of it.
    fn offset(self, offset: i32, out: &mut String) {
        let mut text = String::new();
        print_offset(offset, self.colons, &mut text);
        let (sign, digits) = text.split_at(1);
        let digits = match (self.padding, digits.strip_prefix('0')) {
            (Some(Padding::Absent | Padding::Blanks), Some(short)) => short,
            _ => digits,
        };
        // Without a flag for it a width below that of the ordinary form changes nothing.
        let width = match self.padding {
            Some(Padding::Blanks) => self.width.max(text.len()),
            _ => self.width,
        };
        let missing = width.saturating_sub(1 + digits.len());
        match self.padding {
            Some(Padding::Absent) => {
                out.push_str(sign);
            }
            Some(Padding::Blanks) => {
                out.extend(std::iter::repeat_n(' ', missing));
                out.push_str(sign);
            }
            Some(Padding::Zeros) | None => {
                out.push_str(sign);
                out.extend(std::iter::repeat_n('0', missing));
            }
        }
        out.push_str(digits);
    }

    fn word(self, word: String, out: &mut String) {
        let word = match self.case {
            None => word,
            Some(LetterCase::Upper) => word.to_uppercase(),
            // What swapping the case means for names: capitals unless it is capitals already.
            Some(LetterCase::Swapped) if word.chars().any(char::is_lowercase) => {
                word.to_uppercase()
            }
            Some(LetterCase::Swapped) => word.to_lowercase(),
        };
        self.pad(&word, out);
    }

    fn pad(self, word: &str, out: &mut String) {
        let filler = match self.padding {
            Some(Padding::Zeros) => '0',
            _ => ' ',
        };
        let missing = self.width.saturating_sub(word.chars().count());
        out.extend(std::iter::repeat_n(filler, missing));
        out.push_str(word);
    }
}

fn nested(pattern: &str, ns: i64, moment: &LocalMoment) -> String {
    let mut out = String::new();
    for item in TimeFormat::pattern(pattern).items {
        match item {
            Item::Directive(directive) => directive.print(ns, moment, &mut out),
            Item::Text(text) => out.push_str(&text),
            _ => {}
        }
    }
    out
}

fn capitalised(names: &[&str], at: u8) -> String {
    let name = names.get(usize::from(at)).copied().unwrap_or_default();
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

fn short(mut name: String) -> String {
    name.truncate(3);
    name
}

fn half_hour(civil: &Civil) -> i32 {
    match civil.hour % 12 {
        0 => 12,
        hour => hour.into(),
    }
}

/// The week of the year, 0 to 53, with weeks that start on `first`, 0 for Monday to 6 for Sunday.
fn week(civil: &Civil, first: u8) -> i32 {
    let since_first = (civil.weekday() + 7 - first) % 7;
    (i32::from(civil.day_of_year()) + 6 - i32::from(since_first)) / 7
}

/// `+hhmm`, `+hh:mm` or `+hh:mm:ss`.
fn print_offset(offset: i32, colons: usize, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let written = match colons {
        0 => write!(out, "{sign}{hours:02}{minutes:02}"),
        1 => write!(out, "{sign}{hours:02}:{minutes:02}"),
        _ => write!(out, "{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOMENT: i64 = 1_669_584_763_118_000_000;

    fn print(format: &str, zone: &str) -> String {
        TimeFormat::new(format).format(MOMENT, &Zone::named(zone).unwrap())
    }

    #[test]
    fn named_formats() {
        for (name, expected) in [
            ("ANSIC", "Sun Nov 27 21:32:43 2022"),
            ("ANSI-C", "Sun Nov 27 21:32:43 2022"),
            ("UnixDate", "Sun Nov 27 21:32:43 UTC 2022"),
            ("RubyDate", "Sun Nov 27 21:32:43 +0000 2022"),
            ("RFC822", "27 Nov 22 21:32 UTC"),
            ("RFC822Z", "27 Nov 22 21:32 +0000"),
            ("RFC850", "Sunday, 27-Nov-22 21:32:43 UTC"),
            ("RFC1123", "Sun, 27 Nov 2022 21:32:43 UTC"),
            ("RFC1123Z", "Sun, 27 Nov 2022 21:32:43 +0000"),
            ("RFC3339", "2022-11-27T21:32:43Z"),
            ("RFC3339Nano", "2022-11-27T21:32:43.118Z"),
            ("Kitchen", "9:32PM"),
            ("Stamp", "Nov 27 21:32:43"),
            ("StampMilli", "Nov 27 21:32:43.118"),
            ("StampMicro", "Nov 27 21:32:43.118000"),
            ("StampNano", "Nov 27 21:32:43.118000000"),
        ] {
            assert_eq!(print(name, "UTC"), expected, "{name}");
        }
        assert_eq!(
            print("RFC3339", "Asia/Shanghai"),
            "2022-11-28T05:32:43+08:00"
        );
    }

    #[test]
    fn directives() {
        for (format, expected) in [
            ("%a %A %b %h %B", "Sun Sunday Nov Nov November"),
            ("%c", "Sun Nov 27 21:32:43 2022"),
            ("%C %y %Y", "20 22 2022"),
            ("%d %e %j", "27 27 331"),
            ("%D %x %F", "11/27/22 11/27/22 2022-11-27"),
            ("%f", "118000"),
            ("%g %G %V", "22 2022 47"),
            ("%H %I %k %l", "21 09 21  9"),
            ("%m %M %S", "11 32 43"),
            ("%n%t%%", "\n\t%"),
            ("%p %P %r %R", "PM pm 09:32:43 PM 21:32"),
            ("%s %T %X", "1669584763 21:32:43 21:32:43"),
            ("%u %w %U %W", "7 0 48 47"),
            ("%v %z %Z", "27-Nov-2022 +0000 UTC"),
            ("%+", "Sun Nov 27 21:32:43 UTC 2022"),
            ("%-m/%-d %-I", "11/27 9"),
            (
                "%^a %#p %6Y %_5m %:z %::z",
                "SUN pm 002022    11 +00:00 +00:00:00",
            ),
            ("%i %J % %-", "%i %J % %-"),
            ("2006-01-02 %", "2006-01-02 %"),
        ] {
            assert_eq!(print(format, "UTC"), expected, "{format}");
        }
    }

    #[test]
    fn zones_print_their_abbreviation_or_offset() {
        assert_eq!(print("%Z %z", "America/Sao_Paulo"), "-03 -0300");
        assert_eq!(print("%Z %z", "Asia/Kathmandu"), "+0545 +0545");
        assert_eq!(print("%Z", "Asia/Shanghai"), "CST");
    }

    #[test]
    fn midnight_is_twelve() {
        let format = TimeFormat::new("%l %I");
        assert_eq!(format.format(0, &Zone::UTC), "12 12");
    }

    proptest! {
        #[test]
        fn directives_agree_with_jiff(ns: i64) {
            let theirs = jiff::Timestamp::from_nanosecond(ns.into()).unwrap();
            let theirs = theirs.to_zoned(jiff::tz::TimeZone::UTC);
            for format in [
                "%a %A %b %B %h", "%d %e %j %m", "%H %I %k %l %M %S %p %P", "%u %w %U %W",
                "%G %g %V", "%y %Y %C", "%F %T %R %D",
            ] {
                let ours = TimeFormat::new(format).format(ns, &Zone::UTC);
                prop_assert_eq!(ours, theirs.strftime(format).to_string(), "{}", format);
            }
        }

        #[test]
        fn any_format_is_answered(format in "[-%_^#:0-9a-zA-Z+ ]{0,16}", ns: i64) {
            std::hint::black_box(TimeFormat::new(&format).format(ns, &Zone::UTC));
        }
    }

    #[test]
    fn flags_and_widths_count_for_every_directive() {
        for (format, expected) in [
            ("%^c", "MON NOV 28 03:02:43 2022"),
            ("%^+", "MON NOV 28 03:02:43 IST 2022"),
            ("%30c|", "      Mon Nov 28 03:02:43 2022|"),
            ("%12s", "  1669584763"),
            ("%012s", "001669584763"),
            ("%z %8z %-z %_5z %_8z", "+0530 +0000530 +530  +530     +530"),
            ("%:z %10:z %-:z", "+05:30 +000005:30 +5:30"),
            ("%12D|%-H|%4H|%_4H", "    11/28/22|3|0003|   3"),
            ("%^v %5%|%3n|", "28-NOV-2022     %|  \n|"),
        ] {
            assert_eq!(print(format, "Asia/Kolkata"), expected, "{format}");
        }
    }
}
