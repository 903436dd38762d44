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
                Follow::BlankOrDash if scan.eat(b'-') => true,
                _ => scan.eat_text("at") || scan.eat_text("AT"),
            };
            if skipped && !scan.blanks() {
                return Err(Unrecognised::Shape);
            }
        }
    }
    found.civil.hour = scan.short()?;
    if !scan.eat(b':') {
        return hour_only(scan, found);
    }
    found.civil.minute = scan.short()?;
    if scan.eat(b':') {
        found.civil.second = scan.short()?;
        fraction(scan, found);
    } else if follow == Follow::BlankFull {
        return Err(Unrecognised::Shape);
    }
    half_of_day(scan, found)?;
    // A mark that ends the sentence the time stands in.
    if matches!(scan.rest(), [b'.' | b','] | [b'.' | b',', b' ' | b'\t', ..]) {
        scan.at += 1;
    }
    Ok(())
}

/// An hour without minutes: only with `AM` or `PM`, and then it is midnight or noon. That is what
/// the language has always made of it.
fn hour_only(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<(), Unrecognised> {
    if found.civil.hour > 12 {
        return Err(Unrecognised::Shape);
    }
    found.civil.hour = 0;
    half_of_day(scan, found)?;
    match found.halved {
        true => Ok(()),
        false => Err(Unrecognised::Shape),
    }
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

/// A fraction of a second after a point, comma or colon; digits after the ninth are skipped.
fn fraction(scan: &mut Scan<'_>, found: &mut Found<'_>) {
    if !matches!(scan.peek(), Some(b'.' | b',' | b':'))
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
    if !half(scan, found)? {
        scan.at = from;
    }
    Ok(())
}

/// `AM` or `PM` here, perhaps in round brackets; tells whether there was one. It moves the hour once.
pub(super) fn half(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<bool, Unrecognised> {
    let rest = scan.rest();
    let (bracket, text) = match rest {
        [b'(', text @ ..] => (1, text),
        text => (0, text),
    };
    // A zone may follow directly: `PMZ`, `PM+0200`.
    let is_end = |at: usize| match text.get(at..) {
        None | Some([]) => true,
        Some([b')', ..]) => true,
        Some(_) if bracket == 1 => false,
        Some([b'Z' | b'z', rest @ ..]) => !rest.first().is_some_and(u8::is_ascii_alphanumeric),
        Some([byte, ..]) => !byte.is_ascii_alphanumeric(),
    };
    let (half, len) = match text {
        [half, b'm' | b'M', ..] if is_end(2) => (half.to_ascii_lowercase(), 2),
        [half, b'.', b'm' | b'M', b'.', ..] if is_end(4) => (half.to_ascii_lowercase(), 4),
        _ => return Ok(false),
    };
    let hour = found.civil.hour;
    match half {
        _ if found.halved => {}
        b'a' if hour > 12 => return Err(Unrecognised::Range(super::Part::Hour)),
        b'a' => found.civil.hour = hour % 12,
        b'p' if hour < 12 => found.civil.hour = hour + 12,
        b'p' => {}
        _ => return Ok(false),
    }
    found.halved = true;
    scan.at += bracket + len;
    if bracket == 1 {
        scan.eat(b')');
    }
    Ok(true)
}
