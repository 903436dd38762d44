//! Formatting with C-style verbs, as `strfmt` does it.
//!
//! Promises: every format and every list of values gives a text of at most [`MAX_OUTPUT`] bytes; mistakes are
//! printed into it (`%!d(string=hi)`), never errors.

mod number;
mod quote;
#[cfg(test)]
mod tests;

use crate::value::Value;

/// The longest text a format produces, in bytes; the rest is cut off.
pub(crate) const MAX_OUTPUT: usize = 1 << 20;
/// Widths and precisions beyond this are mistakes.
const MAX_NUMBER: i64 = 1_000_000;
/// How deep lists and maps are printed.
const MAX_DEPTH: usize = 100;

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    /// `%#v`: values as source text.
    source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `values` by `format`.
pub(crate) fn format(format: &str, values: &[Value]) -> String {
    let mut printer = Printer {
        out: String::with_capacity(format.len() + 16 * values.len()),
        flags: Flags::default(),
    };
    printer.all(format, values);
    printer.out
}

struct Printer {
    out: String,
    flags: Flags,
}

/// Reads the verbs of a format.
struct Reader<'f> {
    rest: &'f str,
    values: &'f [Value],
    /// The next value.
    at: usize,
    /// Whether an index was used anywhere.
    indexed: bool,
    /// Whether the indexes of the current verb are valid.
    good: bool,
    /// Whether an index has just been read.
    after_index: bool,
}

impl Reader<'_> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A number, if there is one; an absurd one ends the format.
    fn number(&mut self) -> Option<usize> {
        let digits = self.rest.len()
            - self
                .rest
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let (number, rest) = self.rest.split_at(digits);
        if number.is_empty() {
            return None;
        }
        self.rest = rest;
        match number.parse::<i64>() {
            Ok(number) if number <= 10 * MAX_NUMBER => usize::try_from(number).ok(),
            _ => {
                self.rest = "";
                None
            }
        }
    }

    /// `[n]`, if there is one.
    fn index(&mut self) {
        self.after_index = false;
        let Some(inner) = self.rest.strip_prefix('[') else {
            return;
        };
        self.indexed = true;
        let Some((digits, rest)) = inner.split_once(']') else {
            self.good = false;
            self.rest = inner;
            return;
        };
        self.rest = rest;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let index = digits.parse::<usize>().ok().filter(|_| plain);
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) if index < self.values.len() => {
                self.at = index;
                self.after_index = true;
            }
            _ => {
                self.good = false;
                self.after_index = plain;
            }
        }
    }

    /// The next value as width or precision.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.at)?;
        self.at += 1;
        let number = value.as_int()?;
        (-MAX_NUMBER..=MAX_NUMBER)
            .contains(&number)
            .then_some(number)
    }
}

impl Printer {
    fn all(&mut self, format: &str, values: &[Value]) {
        let mut reader = Reader {
            rest: format,
            values,
            at: 0,
            indexed: false,
            good: true,
            after_index: false,
        };
        while let Some((text, rest)) = reader.rest.split_once('%') {
            self.text(text);
            reader.rest = rest;
            if self.out.len() >= MAX_OUTPUT {
                return;
            }
            if !self.verb(&mut reader) {
                break;
            }
        }
        let rest = reader.rest;
        self.text(rest);
        if !reader.indexed && reader.at < values.len() {
            self.flags = Flags::default();
            self.text("%!(EXTRA ");
            for (at, value) in values
                .get(reader.at..)
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                if at > 0 {
                    self.text(", ");
                }
                self.typed(value);
            }
            self.text(")");
        }
    }

    /// One verb, after its `%`; false if the format ended in it.
    fn verb(&mut self, reader: &mut Reader<'_>) -> bool {
        self.flags = Flags::default();
        reader.good = true;
        loop {
            let mut chars = reader.rest.chars();
            match chars.next() {
                Some('#') => self.flags.sharp = true,
                Some('0') => self.flags.zero = true,
                Some('+') => self.flags.plus = true,
                Some('-') => self.flags.minus = true,
                Some(' ') => self.flags.space = true,
                _ => break,
            }
            reader.rest = chars.as_str();
        }
        reader.index();
        if reader.eat('*') {
            match reader.star() {
                Some(width) => {
                    self.flags.minus |= width < 0;
                    self.flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.text("%!(BADWIDTH)"),
            }
            reader.after_index = false;
        } else {
            self.flags.width = reader.number();
            if reader.after_index && self.flags.width.is_some() {
                reader.good = false;
            }
        }
        if reader.eat('.') {
            if reader.after_index {
                reader.good = false;
            }
            reader.index();
            if reader.eat('*') {
                match reader.star() {
                    Some(precision) if precision >= 0 => {
                        self.flags.precision = usize::try_from(precision).ok();
                    }
                    _ => self.text("%!(BADPREC)"),
                }
                reader.after_index = false;
            } else {
                self.flags.precision = Some(reader.number().unwrap_or(0));
            }
        }
        if !reader.after_index {
            reader.index();
        }
        let mut chars = reader.rest.chars();
        let Some(verb) = chars.next() else {
            self.text("%!(NOVERB)");
            return false;
        };
        reader.rest = chars.as_str();
        if verb == '%' {
            self.text("%");
        } else if !reader.good {
            self.mistake(verb, "BADINDEX");
        } else if let Some(value) = reader.values.get(reader.at) {
            if verb == 'v' {
                self.flags.source = self.flags.sharp;
                self.flags.sharp = false;
                self.flags.plus = false;
            }
            reader.at += 1;
            self.value(value, verb, 0);
        } else {
            self.mistake(verb, "MISSING");
        }
        true
    }

    fn mistake(&mut self, verb: char, what: &str) {
        self.text("%!");
        self.char(verb);
        self.text("(");
        self.text(what);
        self.text(")");
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if verb == 'T' && depth == 0 {
            return self.clipped(type_name(value));
        }
        match value {
            Value::Nil if verb == 'v' => match (depth, self.flags.source) {
                (0, _) => self.padded("<nil>"),
                (_, true) => self.text("interface {}(nil)"),
                (_, false) => self.text("<nil>"),
            },
            Value::Nil if depth > 0 => self.text("<nil>"),
            Value::Nil => self.wrong(value, verb),
            Value::Bool(truth) => match verb {
                'v' | 't' => self.padded(if *truth { "true" } else { "false" }),
                _ => self.wrong(value, verb),
            },
            Value::Int(number) => match verb {
                'v' | 'd' => self.integer(*number, 10, verb),
                'b' => self.integer(*number, 2, verb),
                'o' | 'O' => self.integer(*number, 8, verb),
                'x' | 'X' => self.integer(*number, 16, verb),
                'c' => {
                    let text = code_point(*number).to_string();
                    self.padded(&text);
                }
                'q' => {
                    let text = quote::quoted_char(code_point(*number), self.flags.plus);
                    self.padded(&text);
                }
                'U' => self.unicode(*number),
                _ => self.wrong(value, verb),
            },
            Value::Float(number) => match verb {
                'v' => self.float(*number, 'g', None),
                'b' | 'g' | 'G' | 'x' | 'X' => self.float(*number, verb, None),
                'f' | 'e' | 'E' => self.float(*number, verb, Some(6)),
                'F' => self.float(*number, 'f', Some(6)),
                _ => self.wrong(value, verb),
            },
            Value::Str(text) => match verb {
                'v' if self.flags.source => self.quoted(text),
                'v' | 's' => self.clipped(text),
                'x' => self.hexadecimal(text.as_bytes(), b"0123456789abcdef", "0x"),
                'X' => self.hexadecimal(text.as_bytes(), b"0123456789ABCDEF", "0X"),
                'q' => self.quoted(text),
                _ => self.wrong(value, verb),
            },
            Value::List(list) => {
                let (open, between, close) = if self.flags.source {
                    ("[]interface {}{", ", ", "}")
                } else {
                    ("[", " ", "]")
                };
                self.text(open);
                for (at, item) in list.to_vec().iter().enumerate() {
                    if at > 0 {
                        self.text(between);
                    }
                    self.nested(item, verb, depth);
                }
                self.text(close);
            }
            Value::Map(map) => {
                let (open, between, close) = if self.flags.source {
                    ("map[string]interface {}{", ", ", "}")
                } else {
                    ("map[", " ", "]")
                };
                self.text(open);
                let mut keys = map.keys();
                keys.sort_unstable();
                for (at, key) in keys.into_iter().enumerate() {
                    if at > 0 {
                        self.text(between);
                    }
                    let item = map.get(&key).unwrap_or_default();
                    self.value(&Value::Str(key), verb, depth + 1);
                    self.text(":");
                    self.nested(&item, verb, depth);
                }
                self.text(close);
            }
        }
    }

    fn nested(&mut self, value: &Value, verb: char, depth: usize) {
        if depth < MAX_DEPTH && self.out.len() < MAX_OUTPUT {
            crate::stack::level(|| self.value(value, verb, depth + 1));
        } else {
            self.text("…");
        }
    }

    /// A verb that does not take this type.
    fn wrong(&mut self, value: &Value, verb: char) {
        self.text("%!");
        self.char(verb);
        self.text("(");
        self.typed(value);
        self.text(")");
    }

    fn typed(&mut self, value: &Value) {
        if value.is_nil() {
            return self.text("<nil>");
        }
        self.text(type_name(value));
        self.text("=");
        self.value(value, 'v', 0);
    }

    fn char(&mut self, c: char) {
        self.text(c.encode_utf8(&mut [0; 4]));
    }

    fn text(&mut self, text: &str) {
        let room = MAX_OUTPUT.saturating_sub(self.out.len());
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.out.push_str(text.get(..end).unwrap_or_default());
    }

    fn padding(&mut self, count: usize, zero: bool) {
        let count = count.min(MAX_OUTPUT.saturating_sub(self.out.len()));
        let filler = if zero { '0' } else { ' ' };
        self.out.extend(std::iter::repeat_n(filler, count));
    }

    /// The text in its width; zeros pad on the left only.
    fn padded(&mut self, text: &str) {
        let zero = self.flags.zero;
        self.padded_with(text, zero);
    }

    fn padded_with(&mut self, text: &str, zero: bool) {
        let missing = self
            .flags
            .width
            .map_or(0, |width| width.saturating_sub(text.chars().count()));
        if self.flags.minus {
            self.text(text);
            self.padding(missing, false);
        } else {
            self.padding(missing, zero);
            self.text(text);
        }
    }

    /// The first code points of a text, as many as the precision allows.
    fn truncated<'t>(&self, text: &'t str) -> &'t str {
        let end = self
            .flags
            .precision
            .and_then(|precision| text.char_indices().nth(precision));
        end.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
    }

    fn clipped(&mut self, text: &str) {
        self.padded(self.truncated(text));
    }

    fn quoted(&mut self, text: &str) {
        let text = self.truncated(text);
        let quoted = if self.flags.sharp && quote::fits_backquotes(text) {
            format!("`{text}`")
        } else {
            quote::quoted(text, self.flags.plus)
        };
        self.padded(&quoted);
    }

    fn hexadecimal(&mut self, bytes: &[u8], digits: &[u8; 16], prefix: &str) {
        let take = self.flags.precision.unwrap_or(usize::MAX).min(MAX_OUTPUT);
        let mut text = String::new();
        for (at, byte) in bytes.iter().take(take).enumerate() {
            if at > 0 && self.flags.space {
                text.push(' ');
            }
            if self.flags.sharp && (at == 0 || self.flags.space) {
                text.push_str(prefix);
            }
            for half in [byte >> 4, byte & 15] {
                text.push(
                    digits
                        .get(usize::from(half))
                        .map_or('0', |&digit| char::from(digit)),
                );
            }
        }
        self.padded(&text);
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    }
}

fn code_point(number: i64) -> char {
    u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}
