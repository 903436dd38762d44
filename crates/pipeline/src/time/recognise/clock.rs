//! The time of day behind a date.

use super::date::Follow;
use super::{Found, Scan, Unrecognised, narrow, value_of};

/// Reads the time of day; without one it is midnight.
pub(super) fn read(
    scan: &mut Scan<'_>,
    found: &mut Found<'_>,
    follow: Follow,
) -> Result<(), Unrecognised> {
    if scan.is_done() {
        return Ok(());
    }
    match follow {
        Follow::End => return Err(Unrecognised::Shape),
        Follow::Clock => {}
        Follow::Basic => {
            scan.expect(b'T')?;
            return basic(scan, found);
        }
        Follow::BlankOrT if scan.eat(b'T') => {}
        Follow::BlankOrColon if scan.eat(b':') => {}
        _ => {
            if !scan.blanks() {
                return Err(Unrecognised::Shape);
            }
            let skipped = match follow {
                Follow::BlankOrDash => scan.eat(b'-'),
                Follow::BlankOrAt => scan.eat_text("at"),
                _ => false,
            };
            if skipped && !scan.blanks() {
                return Err(Unrecognised::Shape);
            }
        }
    }
    found.civil.hour = scan.short()?;
    scan.expect(b':')?;
    let minute_digits = scan.run(|byte| byte.is_ascii_digit()).len();
    found.civil.minute = scan.short()?;
    if scan.eat(b':') {
        found.civil.second = scan.short()?;
        if follow == Follow::BlankFull {
            return Ok(());
        }
        fraction(scan, found);
    } else if minute_digits != 2 || follow == Follow::BlankFull {
        return Err(Unrecognised::Shape);
    }
    half_of_day(scan, found)
}

/// `hhmm` or `hhmmss` with a fraction.
fn basic(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<(), Unrecognised> {
    let digits = scan.run(|byte| byte.is_ascii_digit()).len();
    let value = scan.number(4, 6)?;
    let value = match digits {
        4 => value * 100,
        6 => value,
        _ => return Err(Unrecognised::Shape),
    };
    found.civil.hour = narrow(value / 10_000);
    found.civil.minute = narrow(value / 100 % 100);
    found.civil.second = narrow(value % 100);
    if digits == 6 {
        fraction(scan, found);
    }
    Ok(())
}

/// A fraction of a second after a point or comma; digits after the ninth are skipped.
fn fraction(scan: &mut Scan<'_>, found: &mut Found<'_>) {
    if !matches!(scan.peek(), Some(b'.' | b','))
        || !scan.rest().get(1).is_some_and(u8::is_ascii_digit)
    {
        return;
    }
    scan.at += 1;
    let digits = scan.run(|byte| byte.is_ascii_digit());
    scan.at += digits.len();
    let kept = digits.get(..9).unwrap_or(digits);
    let scale = (kept.len()..9).fold(1, |scale, _| scale * 10);
    found.civil.nanos = value_of(kept) * scale;
}

/// `AM` or `PM`, in any letter case, with or without periods, after an optional blank.
fn half_of_day(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<(), Unrecognised> {
    let from = scan.at;
    scan.blanks();
    let rest = scan.rest();
    let is_end = |at: usize| {
        rest.get(at)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let (half, len) = match rest {
        [half, b'm' | b'M', ..] if is_end(2) => (*half, 2),
        [half, b'.', b'm' | b'M', b'.', ..] if is_end(4) => (*half, 4),
        _ => (0, 0),
    };
    let hour = found.civil.hour;
    match half {
        b'a' | b'A' if hour > 12 => return Err(Unrecognised::Range(super::Part::Hour)),
        b'a' | b'A' => found.civil.hour = hour % 12,
        b'p' | b'P' if hour < 12 => found.civil.hour = hour + 12,
        b'p' | b'P' => {}
        _ => {
            scan.at = from;
            return Ok(());
        }
    }
    scan.at += len;
    Ok(())
}
