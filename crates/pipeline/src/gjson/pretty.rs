//! `@pretty`: JSON with one member a line.

use super::text::{children, text, trimmed};
use super::{MAX_DEPTH, Walk};

/// How the lines look.
struct Style {
    indent: String,
    prefix: String,
    /// Arrays without objects that end within this many bytes of a line stay on it; 0: none.
    width: usize,
    sorted: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            indent: "  ".to_owned(),
            prefix: String::new(),
            width: 80,
            sorted: false,
        }
    }
}

impl Style {
    /// `{"sortKeys":true,"indent":" ","prefix":"","width":80}`, each of them optional.
    fn of(argument: &str) -> Self {
        let mut style = Self::default();
        let blanks = |value: &str| -> String {
            let text = text(value);
            let blank = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r');
            text.chars().filter(blank).take(64).collect()
        };
        for (key, value) in children(trimmed(argument)) {
            match key {
                "sortKeys" => style.sorted = value == "true",
                "indent" => style.indent = blanks(value),
                "prefix" => style.prefix = blanks(value),
                "width" => style.width = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        style
    }
}

impl Walk<'_> {
    /// The pretty text, with a line end behind it.
    pub(super) fn pretty(&self, json: &str, argument: &str) -> Option<String> {
        let style = Style::of(argument);
        let mut printer = Printer {
            walk: self,
            out: style.prefix.clone(),
            style,
            line: 0,
        };
        printer.value(trimmed(json), 0)?;
        printer.out.push('\n');
        Some(printer.out)
    }
}

struct Printer<'w> {
    walk: &'w Walk<'w>,
    style: Style,
    out: String,
    /// Where the current line begins: at its line end.
    line: usize,
}

impl Printer<'_> {
    fn value(&mut self, json: &str, level: usize) -> Option<()> {
        self.walk.pay(json.len())?;
        if self.out.len() > self.walk.room.get() {
            return Some(());
        }
        let object = json.starts_with('{');
        if (!object && !json.starts_with('[')) || level > MAX_DEPTH {
            self.out.push_str(json);
            return Some(());
        }
        if !object && self.single(json) {
            return Some(());
        }
        let mut pieces: Vec<(&str, &str)> = children(json).collect();
        if object && self.style.sorted {
            pieces.sort_by_key(|(key, _)| *key);
        }
        self.out.push(if object { '{' } else { '[' });
        for (at, (key, value)) in pieces.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.begin(level + 1);
            if object {
                self.out.push('"');
                self.out.push_str(key);
                self.out.push_str("\": ");
            }
            crate::stack::level(|| self.value(value, level + 1))?;
        }
        if !pieces.is_empty() {
            self.begin(level);
        }
        self.out.push(if object { '}' } else { ']' });
        Some(())
    }

    /// Begins a line.
    fn begin(&mut self, level: usize) {
        self.line = self.out.len();
        self.out.push('\n');
        self.out.push_str(&self.style.prefix);
        self.out
            .extend(std::iter::repeat_n(self.style.indent.as_str(), level));
    }

    /// Writes an array to the current line if it has no objects inside and fits.
    fn single(&mut self, json: &str) -> bool {
        let used = self.out.len() - self.line;
        let Some(most) = self.style.width.checked_sub(used).filter(|most| *most > 3) else {
            return false;
        };
        let begin = self.out.len();
        let fits = self.flat(json, begin + most, 0).is_some();
        if !fits {
            self.out.truncate(begin);
        }
        fits
    }

    /// Appends an array with one blank behind each comma, as long as it ends before `end`.
    fn flat(&mut self, json: &str, end: usize, level: usize) -> Option<()> {
        // What does not fit as it is written is not looked at to its end, nor paid for.
        let most = end.saturating_sub(self.out.len());
        if level > MAX_DEPTH || json.len() > 4 * most + 64 {
            return None;
        }
        self.walk.pay(json.len())?;
        self.out.push('[');
        for (at, (_, value)) in children(json).enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            match value.bytes().next() {
                Some(b'{') => return None,
                Some(b'[') => crate::stack::level(|| self.flat(value, end, level + 1))?,
                _ => self.out.push_str(value),
            }
            if self.out.len() > end {
                return None;
            }
        }
        self.out.push(']');
        (self.out.len() <= end).then_some(())
    }
}
