//! What stands behind the time: a zone, a year in the formats that put it last, and text that says
//! nothing about the time.

use super::super::Zone;
use super::super::zone::numeric_offset;
use super::clock::half;
use super::{Found, Scan, Shift, Unrecognised, Zones, value_of, year_of};

/// Reads everything behind the time of day.
pub(super) fn read<'a>(
    scan: &mut Scan<'a>,
    found: &mut Found<'a>,
    zones: Zones<'_>,
) -> Result<(), Unrecognised> {
    if scan.is_done() {
        return Ok(());
    }
    // Directly behind the time only `Z` and an offset may stand.
    if zulu(scan) {
        found.shift = Shift::Offset(0);
    } else if offset(scan, found) {
        behind_offset(scan, found)?;
    }
    while !scan.is_done() {
        if !scan.blanks() {
            return Err(Unrecognised::Leftover);
        }
        token(scan, found, zones)?;
    }
    Ok(())
}

/// Reads one token after blanks.
fn token<'a>(
    scan: &mut Scan<'a>,
    found: &mut Found<'a>,
    zones: Zones<'_>,
) -> Result<(), Unrecognised> {
    if !found.has_year {
        let digits = scan.run(|byte| byte.is_ascii_digit());
        let ends = matches!(scan.rest().get(digits.len()), None | Some(b' ' | b'\t'));
        if digits.len() == 4 && ends {
            scan.at += 4;
            found.set_year(year_of(value_of(digits)));
            return Ok(());
        }
    }
    if half(scan, found)? {
        // A zone may stand directly behind it.
        if matches!(found.shift, Shift::Absent) {
            if zulu(scan) {
                found.shift = Shift::Offset(0);
            } else if offset(scan, found) {
                behind_offset(scan, found)?;
            }
        }
        return Ok(());
    }
    if matches!(found.shift, Shift::Absent) {
        if zulu(scan) {
            found.shift = Shift::Offset(0);
            return Ok(());
        }
        if offset(scan, found) {
            behind_offset(scan, found)?;
            return Ok(());
        }
        let letters = scan.run(|byte| byte.is_ascii_alphabetic());
        if !letters.is_empty() {
            return name(scan, found, letters, zones);
        }
    }
    ignore(scan)
}

/// A word that may name a zone.
fn name<'a>(
    scan: &mut Scan<'a>,
    found: &mut Found<'a>,
    letters: &'a [u8],
    zones: Zones<'_>,
) -> Result<(), Unrecognised> {
    let universal = matches!(letters, b"UTC" | b"GMT" | b"UT");
    let behind = scan.rest().get(letters.len()..).unwrap_or_default();
    if matches!(behind.first(), Some(b'+' | b'-')) && (universal || matches!(letters.len(), 3 | 4))
    {
        // `GMT+0800`, `PST-08`: the offset counts, the letters do not.
        let before = scan.at;
        scan.at += letters.len();
        if offset(scan, found) {
            behind_offset(scan, found)?;
            return Ok(());
        }
        scan.at = before;
        return Err(Unrecognised::Zone);
    }
    let token = scan.run(|byte| !matches!(byte, b' ' | b'\t'));
    if token.contains(&b'/') {
        let Some(named) = std::str::from_utf8(token).ok().and_then(Zone::iana) else {
            return ignore(scan);
        };
        found.shift = Shift::Named(named);
        scan.at += token.len();
        return Ok(());
    }
    if token.len() != letters.len() {
        return ignore(scan);
    }
    if universal {
        found.shift = Shift::Offset(0);
        scan.at += token.len();
        return Ok(());
    }
    // A word in front of a missing year is a zone; elsewhere it may be a log level.
    let abbreviation = std::str::from_utf8(letters).ok().filter(|name| {
        (3..=5).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase())
    });
    if let Some(name) = abbreviation
        && (!found.has_year
            || zones.1.has(name)
            || zones.0.abbreviated_offset(name, &found.civil).is_some())
    {
        found.shift = Shift::Abbreviation(name);
        scan.at += token.len();
        return Ok(());
    }
    ignore(scan)
}

/// A lone `Z` or `z`.
fn zulu(scan: &mut Scan<'_>) -> bool {
    let alone = scan
        .rest()
        .get(1)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if matches!(scan.peek(), Some(b'Z' | b'z')) && alone {
        scan.at += 1;
        return true;
    }
    false
}

fn offset(scan: &mut Scan<'_>, found: &mut Found<'_>) -> bool {
    let Some((seconds, used)) = numeric_offset(scan.rest()) else {
        return false;
    };
    found.shift = Shift::Offset(seconds);
    scan.at += used;
    true
}

/// Skips what printers add behind an offset: a name, the offset again, a clock reading. All of it
/// repeats or decorates what is already known.
fn behind_offset(scan: &mut Scan<'_>, found: &mut Found<'_>) -> Result<(), Unrecognised> {
    loop {
        let before = scan.at;
        if !scan.blanks() {
            return Ok(());
        }
        if half(scan, found)? {
            continue;
        }
        let rest = scan.rest();
        let token = scan.run(|byte| !matches!(byte, b' ' | b'\t'));
        let skip = match token {
            [b'(', ..] => rest
                .iter()
                .position(|byte| *byte == b')')
                .map(|end| end + 1),
            [b'+' | b'-', ..] => numeric_offset(token)
                .filter(|(_, used)| *used == token.len())
                .map(|(_, used)| used),
            [b'm', b'=', b'+' | b'-', reading @ ..] => reading
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
                .then_some(token.len()),
            _ if !token.is_empty() && token.iter().all(u8::is_ascii_alphabetic) => {
                Some(token.len())
            }
            _ => None,
        };
        let Some(skip) = skip else {
            scan.at = before;
            return Ok(());
        };
        scan.at += skip;
    }
}

/// Skips a token that carries no digit.
fn ignore(scan: &mut Scan<'_>) -> Result<(), Unrecognised> {
    let token = scan.run(|byte| !matches!(byte, b' ' | b'\t'));
    if token.iter().any(u8::is_ascii_digit) {
        return Err(Unrecognised::Leftover);
    }
    scan.at += token.len();
    Ok(())
}
