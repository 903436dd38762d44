//! Numbers: integers in four bases, floats in seven styles.

use super::Printer;
use crate::regex::is_printable;

/// More digits than a float has, so that exact conversions stay short.
const MAX_DIGITS: usize = 1100;

impl Printer {
    pub(super) fn integer(&mut self, number: i64, base: u64, verb: char) {
        let flags = self.flags;
        let negative = number < 0;
        let mut rest = number.unsigned_abs();
        let mut least = 0;
        if let Some(precision) = flags.precision {
            if precision == 0 && rest == 0 {
                return self.padding(flags.width.unwrap_or(0), false);
            }
            least = precision;
        } else if flags.zero
            && !flags.minus
            && let Some(width) = flags.width
        {
            let sign = negative || flags.plus || flags.space;
            least = width.saturating_sub(usize::from(sign));
        }
        let mut digits = Vec::new();
        loop {
            let digit = u32::try_from(rest % base).ok();
            let digit = digit
                .and_then(|digit| char::from_digit(digit, 16))
                .unwrap_or('0');
            digits.push(if verb == 'X' {
                digit.to_ascii_uppercase()
            } else {
                digit
            });
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        let least = least.min(super::MAX_OUTPUT);
        while digits.len() < least {
            digits.push('0');
        }
        if flags.sharp {
            match base {
                2 => digits.extend(['b', '0']),
                8 if digits.last() != Some(&'0') => digits.push('0'),
                16 => digits.extend([if verb == 'X' { 'X' } else { 'x' }, '0']),
                _ => {}
            }
        }
        if verb == 'O' {
            digits.extend(['o', '0']);
        }
        if negative {
            digits.push('-');
        } else if flags.plus {
            digits.push('+');
        } else if flags.space {
            digits.push(' ');
        }
        let text: String = digits.iter().rev().collect();
        self.padded_with(&text, false);
    }

    pub(super) fn unicode(&mut self, number: i64) {
        let least = self
            .flags
            .precision
            .unwrap_or(0)
            .clamp(4, super::MAX_OUTPUT);
        let digits = format!("{number:X}");
        let mut text = String::from("U+");
        text.extend(std::iter::repeat_n('0', least.saturating_sub(digits.len())));
        text.push_str(&digits);
        if self.flags.sharp
            && let Some(c) = u32::try_from(number).ok().and_then(char::from_u32)
            && is_printable(c)
        {
            text.extend([' ', '\'', c, '\'']);
        }
        self.padded_with(&text, false);
    }

    pub(super) fn float(&mut self, number: f64, verb: char, precision: Option<usize>) {
        let flags = self.flags;
        let precision = flags.precision.or(precision);
        let negative = number.is_sign_negative() && !number.is_nan();
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if number.is_nan() || number.is_infinite() {
            let sign = if sign.is_empty() && number.is_infinite() {
                "+"
            } else {
                sign
            };
            let name = if number.is_nan() { "NaN" } else { "Inf" };
            return self.padded_with(&format!("{sign}{name}"), false);
        }
        let mut text = digits(number.abs(), verb, precision);
        if flags.sharp && verb != 'b' {
            text = with_point(&text, verb, precision);
        }
        let length = sign.len() + text.len();
        match flags.width {
            Some(width) if !sign.is_empty() && flags.zero && !flags.minus && width > length => {
                self.text(sign);
                self.padding(width - length, true);
                self.text(&text);
            }
            _ => self.padded(&format!("{sign}{text}")),
        }
    }
}

/// A finite, non-negative float in the style of a verb; without a precision the fewest digits that read back.
fn digits(number: f64, verb: char, precision: Option<usize>) -> String {
    match verb {
        'e' | 'E' => exponential(number, precision, verb),
        'f' => fixed(number, precision),
        'b' => binary(number),
        'x' | 'X' => hexadecimal(number, precision, verb),
        _ => general(number, precision, if verb == 'G' { 'E' } else { 'e' }),
    }
}

/// The digits of a float without trailing rules, and its decimal exponent: `d.ddd` times ten to it.
fn decimal(number: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{number:.*e}", precision.min(MAX_DIGITS)),
        None => format!("{number:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

fn exponential(number: f64, precision: Option<usize>, letter: char) -> String {
    let (mut mantissa, exponent) = decimal(number, precision);
    push_zeros(&mut mantissa, precision);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", exponent.unsigned_abs())
}

fn fixed(number: f64, precision: Option<usize>) -> String {
    match precision {
        Some(precision) => {
            let mut text = format!("{number:.*}", precision.min(MAX_DIGITS));
            push_zeros(&mut text, Some(precision));
            text
        }
        None => format!("{number}"),
    }
}

/// Adds the zeros beyond the digits that were computed.
fn push_zeros(text: &mut String, precision: Option<usize>) {
    let missing = precision.unwrap_or(0).saturating_sub(MAX_DIGITS);
    text.extend(std::iter::repeat_n('0', missing.min(super::MAX_OUTPUT)));
}

fn general(number: f64, precision: Option<usize>, letter: char) -> String {
    let wanted = precision.map(|precision| precision.max(1));
    let (mantissa, exponent) = decimal(number, wanted.map(|wanted| wanted - 1));
    // Trailing zeros do not count as digits.
    let significant = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.').len(),
        false => mantissa.len(),
    };
    let count = mantissa
        .get(..significant)
        .map_or(1, |text| text.bytes().filter(|b| *b != b'.').count());
    let mut limit = wanted.unwrap_or(6);
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if limit > count && count >= whole {
        limit = count;
    }
    if wanted.is_none() {
        limit = 6;
    }
    if exponent < -4 || i64::from(exponent) >= i64::try_from(limit).unwrap_or(i64::MAX) {
        return exponential(number, Some(count - 1), letter);
    }
    let fraction = i64::try_from(count).unwrap_or(0) - 1 - i64::from(exponent);
    // Rounded to the significant digits first: what is left of the number has no more of them.
    let rounded: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(number);
    fixed(rounded, Some(usize::try_from(fraction).unwrap_or(0)))
}

fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
    let mantissa = bits & ((1 << 52) - 1);
    match exponent {
        0 => (mantissa, -1022),
        _ => (mantissa | 1 << 52, exponent - 1023),
    }
}

fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{mantissa}p{:+}", exponent - 52)
}

fn hexadecimal(number: f64, precision: Option<usize>, verb: char) -> String {
    let (mut mantissa, mut exponent) = parts(number);
    if mantissa == 0 {
        exponent = 0;
    }
    mantissa <<= 8;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision @ 0..15) = precision {
        let shift = 4 * precision;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60 & 1);
    mantissa <<= 4;
    let mut left = precision.unwrap_or(usize::MAX).min(super::MAX_OUTPUT);
    if left > 0 && (mantissa != 0 || precision.is_some()) {
        text.push('.');
        while left > 0 && (mantissa != 0 || precision.is_some()) {
            let digit = u32::try_from(mantissa >> 60).unwrap_or(0);
            text.push(char::from_digit(digit, 16).unwrap_or('0'));
            mantissa <<= 4;
            left -= 1;
        }
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    text = format!("{text}p{sign}{:02}", exponent.unsigned_abs());
    if verb == 'X' {
        text.make_ascii_uppercase();
    }
    text
}

/// The `#` flag: a decimal point always, and trailing zeros up to the precision.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let hexadecimal = matches!(verb, 'x' | 'X');
    let mut left = match verb {
        'g' | 'G' | 'x' => i64::try_from(precision.unwrap_or(6)).unwrap_or(i64::MAX),
        _ => 0,
    };
    let end = text
        .find(|c| matches!(c, 'p' | 'P') || (!hexadecimal && matches!(c, 'e' | 'E')))
        .unwrap_or(text.len());
    let (number, tail) = text.split_at(end);
    let mut seen = false;
    for c in number.chars().filter(|c| *c != '.') {
        seen |= c != '0';
        left -= i64::from(seen);
    }
    let mut out = number.to_owned();
    if !number.contains('.') {
        left -= i64::from(number == "0");
        out.push('.');
    }
    let zeros = usize::try_from(left).unwrap_or(0).min(super::MAX_OUTPUT);
    out.extend(std::iter::repeat_n('0', zeros));
    out + tail
}
