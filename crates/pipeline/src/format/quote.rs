//! Texts and code points in quotes, with escapes for what does not print.

use crate::regex::is_printable;
use std::fmt::Write as _;

/// The text in double quotes; `ascii` escapes everything else.
pub(super) fn quoted(text: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push(&mut out, c, '"', ascii);
    }
    out.push('"');
    out
}

/// The code point in single quotes.
pub(super) fn quoted_char(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    push(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn push(out: &mut String, c: char, quote: char, ascii: bool) {
    let escape = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' => '\\',
        c if c == quote => c,
        c if (c.is_ascii() || !ascii) && is_printable(c) => {
            out.push(c);
            return;
        }
        c => {
            let code = u32::from(c);
            let _infallible = match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                0..0x10000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(escape);
}

/// Whether the text can stand between back quotes unchanged.
pub(super) fn fits_backquotes(text: &str) -> bool {
    text.chars().all(|c| {
        c == '\t'
            || !(c < ' ' || matches!(c, '`' | '\x7f' | '\u{feff}' | char::REPLACEMENT_CHARACTER))
    })
}
