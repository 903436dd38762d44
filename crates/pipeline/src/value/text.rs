//! The canonical texts of values.

use std::fmt::Write as _;

use hashbrown::HashSet;

use super::Value;

/// Appends a float as the shortest digits that read back, never with an exponent.
pub(crate) fn push_float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _infallible = write!(out, "{number}");
    }
}

/// Appends a float as JSON: integral ones without a fraction, exponents only for very large and
/// very small ones, `null` for what JSON cannot hold.
fn push_json_float(out: &mut String, number: f64) {
    let size = number.abs();
    let _infallible = if !number.is_finite() {
        out.write_str("null")
    } else if size != 0.0 && size < 1e-6 {
        // Exponents have at least two digits.
        let text = format!("{number:e}");
        match text.split_once("e-") {
            Some((digits, power)) => write!(out, "{digits}e-{power:0>2}"),
            None => out.write_str(&text),
        }
    } else if size >= 1e21 {
        let text = format!("{number:e}");
        out.write_str(&text.replace('e', "e+"))
    } else {
        write!(out, "{number}")
    };
}

/// Appends a quoted JSON string. With `html`, `<`, `>`, `&` and the two line separators of
/// JavaScript are escaped, as the language's canonical JSON text wants it.
pub(super) fn push_json_string(out: &mut String, text: &str, html: bool) {
    out.push('"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let separator = byte == 0xE2
            && html
            && bytes.get(at + 1) == Some(&0x80)
            && matches!(bytes.get(at + 2), Some(0xA8 | 0xA9));
        let (escape, width) = match byte {
            b'"' => ("\\\"", 1),
            b'\\' => ("\\\\", 1),
            b'\n' => ("\\n", 1),
            b'\r' => ("\\r", 1),
            b'\t' => ("\\t", 1),
            b'<' if html => ("\\u003c", 1),
            b'>' if html => ("\\u003e", 1),
            b'&' if html => ("\\u0026", 1),
            0..=0x1F => ("", 1),
            _ if separator && bytes.get(at + 2) == Some(&0xA8) => ("\\u2028", 3),
            _ if separator => ("\\u2029", 3),
            _ => continue,
        };
        out.push_str(text.get(plain..at).unwrap_or(""));
        if escape.is_empty() {
            let _infallible = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + width;
    }
    out.push_str(text.get(plain..).unwrap_or(""));
    out.push('"');
}

/// Appends the JSON text of a value; see [`Value::json_text`] for what is cut off.
pub(super) fn push_json(out: &mut String, value: &Value, html: bool, bytes: usize) {
    Writer {
        out,
        html,
        bytes,
        open: Vec::new(),
        deep: HashSet::new(),
    }
    .value(value);
}

struct Writer<'o> {
    out: &'o mut String,
    html: bool,
    /// Nothing is begun behind this many bytes.
    bytes: usize,
    /// Addresses of the containers being written, to notice one inside itself.
    open: Vec<usize>,
    /// Those beyond the outer ones, where comparing one by one would take long.
    deep: HashSet<usize>,
}

/// How many containers around the one being written are compared one by one.
const OUTER: usize = 16;

impl Writer<'_> {
    fn enter(&mut self, address: usize) -> bool {
        let outer = self.open.get(..OUTER).unwrap_or(&self.open);
        if self.open.len() >= Value::MAX_DEPTH
            || self.out.len() > self.bytes
            || outer.contains(&address)
            || self.deep.contains(&address)
        {
            self.out.push_str("null");
            return false;
        }
        if self.open.len() >= OUTER {
            self.deep.insert(address);
        }
        self.open.push(address);
        true
    }

    fn leave(&mut self) {
        if let Some(address) = self.open.pop() {
            self.deep.remove(&address);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Int(number) => {
                let mut digits = itoa::Buffer::new();
                self.out.push_str(digits.format(*number));
            }
            Value::Float(number) => push_json_float(self.out, *number),
            Value::Str(text) => push_json_string(self.out, text, self.html),
            Value::List(_) | Value::Map(_) => crate::stack::level(|| self.container(value)),
        }
    }

    fn container(&mut self, value: &Value) {
        match value {
            Value::List(list) if self.enter(list.address()) => {
                self.out.push('[');
                list.with(|items| {
                    for (at, item) in items.iter().enumerate() {
                        if self.out.len() > self.bytes {
                            break;
                        }
                        if at > 0 {
                            self.out.push(',');
                        }
                        self.value(item);
                    }
                });
                self.out.push(']');
                self.leave();
            }
            Value::Map(map) if self.enter(map.address()) => {
                self.out.push('{');
                map.with(|entries| {
                    for (at, (key, value)) in entries.sorted().into_iter().enumerate() {
                        if self.out.len() > self.bytes {
                            break;
                        }
                        if at > 0 {
                            self.out.push(',');
                        }
                        push_json_string(self.out, key, self.html);
                        self.out.push(':');
                        self.value(value);
                    }
                });
                self.out.push('}');
                self.leave();
            }
            _ => {}
        }
    }
}
