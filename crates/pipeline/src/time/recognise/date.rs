//! The date shapes, told apart by the length of the first number or word and what follows it.

use super::super::{MONTHS, WEEKDAYS, by_name, pivot_year};
use super::{Found, Scan, Unrecognised, narrow, year_of};

/// What may stand behind a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Nothing.
    End,
    /// A time of day after blanks, perhaps with the word `at` before it, as with all but the last two.
    Blank,
    /// A time of day after blanks or directly after `T`.
    BlankOrT,
    /// A time of day after blanks or directly after a colon, as in access logs.
    BlankOrColon,
    /// A time of day after blanks, perhaps with a dash before it.
    BlankOrDash,
    /// A time of day with seconds after blanks.
    BlankFull,
    /// A time of day directly, blanks having been read.
    Clock,
    /// Digits `hhmmss` or `hhmm` after `T`, as in ISO 8601 basic form.
    Basic,
}

type Step = Result<Follow, Unrecognised>;

/// Reads the date at the start of a text.
pub(super) fn read(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Step {
    match scan.peek() {
        Some(b'0'..=b'9') => numeric(scan, found),
        Some(byte) if byte.is_ascii_alphabetic() => worded(scan, found),
        _ => Err(Unrecognised::Shape),
    }
}

fn numeric(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Step {
    let digits = scan.run(|byte| byte.is_ascii_digit()).len();
    let first = scan.number(1, 8)?;
    let rest = scan.rest();
    let next = rest.first().copied().ok_or(Unrecognised::Shape)?;
    let then_letter = rest.get(1).is_some_and(u8::is_ascii_alphabetic);
    match (digits, next) {
        (4, b'-' | b'/' | b':' | b'.') => {
            scan.at += 1;
            found.set_year(year_of(first));
            year_first(scan, found, next)
        }
        (4, _) if scan.eat_text("年") => {
            found.set_year(year_of(first));
            found.civil.month = narrow(scan.number(2, 2)?);
            if !scan.eat_text("月") {
                return Err(Unrecognised::Shape);
            }
            found.civil.day = narrow(scan.number(2, 2)?);
            if !scan.eat_text("日") {
                return Err(Unrecognised::Shape);
            }
            Ok(Follow::BlankFull)
        }
        (1 | 2, b'/' | b'-') if then_letter => {
            scan.at += 1;
            found.civil.day = narrow(first);
            found.civil.month = month(scan.word())?;
            scan.expect(next)?;
            if next == b'/' {
                found.set_year(year_of(scan.number(4, 4)?));
                Ok(Follow::BlankOrColon)
            } else {
                year(scan, found)?;
                Ok(Follow::Blank)
            }
        }
        (1 | 2, b'/' | b':' | b'.') => {
            scan.at += 1;
            found.civil.month = narrow(first);
            found.civil.day = scan.short()?;
            scan.expect(next)?;
            if next == b':' {
                found.set_year(year_of(scan.number(4, 4)?));
            } else {
                year(scan, found)?;
            }
            Ok(if next == b'.' {
                Follow::End
            } else {
                Follow::Blank
            })
        }
        (1 | 2, _) => day_first(scan, found, narrow(first)),
        (6, b' ') => {
            found.set_year(pivot_year(year_of(first / 10_000)));
            found.civil.month = narrow(first / 100 % 100);
            found.civil.day = narrow(first % 100);
            Ok(Follow::Blank)
        }
        (8, b'T') => {
            found.set_year(year_of(first / 10_000));
            found.civil.month = narrow(first / 100 % 100);
            found.civil.day = narrow(first % 100);
            Ok(Follow::Basic)
        }
        _ => Err(Unrecognised::Shape),
    }
}

/// `YYYY` and a separator have been read.
fn year_first(scan: &mut Scan<'_>, found: &mut Found<'_>, separator: u8) -> Step {
    if separator == b'-' && scan.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
        found.civil.month = month(scan.word())?;
        scan.expect(b'-')?;
        found.civil.day = scan.short()?;
        return Ok(Follow::Blank);
    }
    found.civil.month = scan.short()?;
    if !scan.eat(separator) {
        return Ok(if separator == b':' {
            Follow::Blank
        } else {
            Follow::End
        });
    }
    found.civil.day = scan.short()?;
    Ok(match separator {
        b'-' => Follow::BlankOrT,
        b'/' => Follow::BlankOrDash,
        _ => Follow::Blank,
    })
}

/// A day has been read; a month by name and perhaps a year follow.
fn day_first(scan: &mut Scan<'_>, found: &mut Found<'_>, day: u8) -> Step {
    found.civil.day = day;
    if scan.peek() == Some(b'-') {
        scan.at += 1;
        found.civil.month = month(scan.word())?;
        // The year may be set off by a blank.
        if !scan.eat(b'-') && !scan.blanks() {
            return Err(Unrecognised::Shape);
        }
        year(scan, found)?;
        return Ok(Follow::Blank);
    }
    ordinal(scan);
    if !scan.blanks() {
        return Err(Unrecognised::Shape);
    }
    found.civil.month = month(scan.word())?;
    if scan.is_done() {
        return Ok(Follow::End);
    }
    if !scan.blanks() {
        return Err(Unrecognised::Shape);
    }
    if at_clock(scan) {
        return Ok(Follow::Clock);
    }
    year(scan, found)?;
    scan.eat(b',');
    Ok(Follow::Blank)
}

/// A text that starts with a weekday or a month.
fn worded(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Step {
    let mut word = scan.word();
    if by_name(&WEEKDAYS, word).is_some() {
        scan.eat(b',');
        if !scan.blanks() {
            return Err(Unrecognised::Shape);
        }
        if scan.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            let day = scan.short()?;
            return day_first(scan, found, day);
        }
        word = scan.word();
    }
    let dotted = scan.peek() == Some(b'.');
    found.civil.month = if dotted && word.eq_ignore_ascii_case(b"sept") {
        9
    } else {
        month(word)?
    };
    if dotted {
        if word.len() > 4 {
            return Err(Unrecognised::Shape);
        }
        scan.at += 1;
    }
    if !scan.blanks() {
        return Err(Unrecognised::Shape);
    }
    found.civil.day = scan.short()?;
    ordinal(scan);
    let comma = scan.eat(b',');
    if scan.is_done() {
        return if comma {
            Err(Unrecognised::Shape)
        } else {
            Ok(Follow::End)
        };
    }
    if !scan.blanks() {
        return Err(Unrecognised::Shape);
    }
    if scan.eat(b'\'') {
        let two = scan.number(2, 2)?;
        found.set_year(pivot_year(year_of(two)));
    } else if at_clock(scan) {
        return Ok(Follow::Clock);
    } else if comma {
        year(scan, found)?;
    } else {
        found.set_year(year_of(scan.number(4, 4)?));
    }
    scan.eat(b',');
    Ok(Follow::Blank)
}

/// Whether a time of day starts here: one or two digits and a colon.
fn at_clock(scan: &Scan<'_>) -> bool {
    let digits = scan.run(|byte| byte.is_ascii_digit()).len();
    matches!(digits, 1 | 2) && scan.rest().get(digits) == Some(&b':')
}

/// Skips `st`, `nd`, `rd` or `th`.
fn ordinal(scan: &mut Scan<'_>) {
    let word = scan.run(|byte| byte.is_ascii_alphabetic());
    if [b"st", b"nd", b"rd", b"th"]
        .iter()
        .any(|ending| word.eq_ignore_ascii_case(*ending))
    {
        scan.at += word.len();
    }
}

fn month(word: &[u8]) -> Result<u8, Unrecognised> {
    by_name(&MONTHS, word).ok_or(Unrecognised::Shape)
}

/// Reads a year of four or two digits.
fn year(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<(), Unrecognised> {
    let digits = scan.run(|byte| byte.is_ascii_digit()).len();
    let value = year_of(scan.number(2, 4)?);
    match digits {
        2 => found.set_year(pivot_year(value)),
        4 => found.set_year(value),
        _ => return Err(Unrecognised::Shape),
    }
    Ok(())
}
