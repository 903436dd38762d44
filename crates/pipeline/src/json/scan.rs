//! The validating scanner, string decoding and number reading.

use kafkamq_point::Text;

use super::{Kind, MAX_DEPTH, Node};

/// What the scanner thinks of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Verdict {
    /// It is not JSON.
    #[default]
    Bad,
    /// It is JSON, but holds a number that no float can.
    Overflow,
    /// It is JSON.
    Good,
}

/// Fills `nodes` with the elements of a text.
pub(super) fn scan(text: &str, nodes: &mut Vec<Node>, open: &mut Vec<u32>) -> Verdict {
    if text.len() > u32::MAX as usize / 2 {
        return Verdict::Bad;
    }
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        nodes,
        open,
        overflow: false,
    };
    match (scanner.document(), scanner.overflow) {
        (None, _) => Verdict::Bad,
        (Some(()), true) => Verdict::Overflow,
        (Some(()), false) => Verdict::Good,
    }
}

/// Whether control characters stand unescaped inside strings.
pub(super) fn has_raw_controls(text: &str) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            0..=0x1F if in_string => return true,
            _ => {}
        }
    }
    false
}

struct Scanner<'s> {
    bytes: &'s [u8],
    at: usize,
    nodes: &'s mut Vec<Node>,
    /// Nodes of the arrays and objects that are not closed yet.
    open: &'s mut Vec<u32>,
    overflow: bool,
}

impl Scanner<'_> {
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn document(&mut self) -> Option<()> {
        self.blanks();
        loop {
            // A value is expected here; inside an object its key comes first.
            self.value()?;
            // After a value: close what ends here, then a comma leads to the next value.
            loop {
                self.blanks();
                let Some(&container) = self.open.last() else {
                    return (self.at == self.bytes.len()).then_some(());
                };
                let is_object = self.kind(container) == Kind::Object;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.blanks();
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if is_object => self.close(container),
                    b']' if !is_object => self.close(container),
                    _ => return None,
                }
            }
        }
    }

    fn kind(&self, at: u32) -> Kind {
        self.nodes
            .get(at as usize)
            .map_or(Kind::Null, |node| node.kind)
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            next,
        });
    }

    fn close(&mut self, container: u32) {
        self.at += 1;
        self.open.pop();
        let next = self.nodes.len() as u32;
        let end = self.at as u32;
        if let Some(node) = self.nodes.get_mut(container as usize) {
            node.next = next;
            node.end = end;
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Option<()> {
        if self.peek() != b'"' {
            return None;
        }
        self.string()?;
        self.blanks();
        if self.peek() != b':' {
            return None;
        }
        self.at += 1;
        self.blanks();
        Some(())
    }

    /// A scalar, an empty container, or the way into a container up to its first scalar.
    fn value(&mut self) -> Option<()> {
        loop {
            let start = self.at;
            match self.peek() {
                b'"' => return self.string(),
                b'-' | b'0'..=b'9' => return self.number(),
                b't' => return self.word(b"true", Kind::True),
                b'f' => return self.word(b"false", Kind::False),
                b'n' => return self.word(b"null", Kind::Null),
                opening @ (b'{' | b'[') => {
                    let kind = if opening == b'{' {
                        Kind::Object
                    } else {
                        Kind::Array
                    };
                    if self.open.len() >= MAX_DEPTH {
                        return None;
                    }
                    self.push(kind, start, start);
                    let container = self.nodes.len() as u32 - 1;
                    self.open.push(container);
                    self.at += 1;
                    self.blanks();
                    match (kind, self.peek()) {
                        (Kind::Object, b'}') | (Kind::Array, b']') => {
                            self.close(container);
                            return Some(());
                        }
                        (Kind::Object, _) => self.key()?,
                        _ => {}
                    }
                }
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<()> {
        let start = self.at;
        if !self.bytes.get(start..)?.starts_with(word) {
            return None;
        }
        self.at += word.len();
        self.push(kind, start, self.at);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        let start = self.at;
        let mut kind = Kind::Plain;
        loop {
            // Keys and values are mostly short, where a plain loop beats a vector search.
            let near = self.bytes.get(self.at..)?;
            let head = near.get(..24).unwrap_or(near);
            let mut offset = 0;
            while let Some(&byte) = head.get(offset)
                && byte != b'"'
                && byte != b'\\'
            {
                offset += 1;
            }
            if offset == head.len() {
                offset += memchr::memchr2(b'"', b'\\', near.get(offset..)?)?;
            }
            self.at += offset;
            if self.peek() == b'"' {
                self.push(kind, start, self.at);
                self.at += 1;
                return Some(());
            }
            kind = Kind::Escaped;
            self.at += match self.bytes.get(self.at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' => {
                    let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    6
                }
                _ => return None,
            };
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        let leading = self.peek();
        let whole = self.digits();
        if whole == 0 || (leading == b'0' && whole > 1) {
            return None;
        }
        let mut long = whole > 300;
        if self.peek() == b'.' {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
            long = true;
        }
        // Only these can overflow a float.
        if long {
            let text = std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?;
            self.overflow |= number(text).is_none();
        }
        self.push(Kind::Number, start, self.at);
        Some(())
    }
}

/// The float of a number's text; `None` beyond the range of floats.
pub(super) fn number(text: &str) -> Option<f64> {
    // Short integers need no general float parser; 15 digits are exact.
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = digits
            .bytes()
            .fold(0u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        let value = whole as f64;
        return Some(if negative { -value } else { value });
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Decodes the escapes of a valid string; lone surrogates become U+FFFD.
pub(crate) fn unescape(raw: &str) -> Text {
    let mut out = Text::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at).unwrap_or(""));
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut width = 2;
        out.push(match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (c, used) = unicode(rest.get(at..).unwrap_or(""));
                width = used;
                c
            }
            other => char::from(other),
        });
        rest = rest.get(at + width..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// The character of `\uXXXX`, or of a pair of them, and how many bytes it took.
fn unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        text.get(at..at + 2).filter(|lead| *lead == "\\u")?;
        u32::from_str_radix(text.get(at + 2..at + 6)?, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    if let (0xD800..=0xDBFF, Some(second @ 0xDC00..=0xDFFF)) = (first, unit(6)) {
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            12,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        6,
    )
}
