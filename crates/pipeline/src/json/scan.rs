//! The validating scanner, string decoding and number reading.

use kafkamq_point::Text;

use super::number::float;
use super::{Kind, MAX_DEPTH, Node, tag};

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

/// What has to stand behind a text to be scanned, so that a whole word can be read at each of its bytes.
pub(super) const PADDING: &str = "\0\0\0\0\0\0\0\0";

/// Fills `nodes` with the elements of a text that ends in [`PADDING`].
pub(super) fn scan(padded: &str, nodes: &mut Vec<Node>, open: &mut Vec<u32>) -> Verdict {
    let Some(end) = padded.len().checked_sub(PADDING.len()) else {
        return Verdict::Bad;
    };
    if end > u32::MAX as usize / 2 {
        return Verdict::Bad;
    }
    let mut scanner = Scanner {
        bytes: padded.as_bytes(),
        end,
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
    /// The text and its padding.
    bytes: &'s [u8],
    /// Where the padding begins.
    end: usize,
    at: usize,
    nodes: &'s mut Vec<Node>,
    /// Nodes of the arrays and objects that are not closed yet.
    open: &'s mut Vec<u32>,
    overflow: bool,
}

impl Scanner<'_> {
    /// The next byte, zero at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek_token(&mut self) -> u8 {
        loop {
            match self.peek() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return byte,
            }
        }
    }

    fn document(&mut self) -> Option<()> {
        let mut in_object = false;
        let mut byte = self.peek_token();
        loop {
            // A value is expected here, and `byte` is its first.
            match byte {
                b'"' => {
                    let (kind, start, end) = self.string()?;
                    self.push(kind, start, end);
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b'{' | b'[' => {
                    in_object = byte == b'{';
                    byte = self.open(in_object)?;
                    match byte {
                        b'}' if in_object => {}
                        b']' if !in_object => {}
                        _ => {
                            if in_object {
                                byte = self.key()?;
                            }
                            continue;
                        }
                    }
                }
                b't' => self.word(b"true", Kind::True)?,
                b'f' => self.word(b"false", Kind::False)?,
                b'n' => self.word(b"null", Kind::Null)?,
                _ => return None,
            }
            // After a value: close what ends here, then a comma leads to the next value.
            loop {
                if self.open.is_empty() {
                    self.peek_token();
                    return (self.at == self.end).then_some(());
                }
                match self.peek_token() {
                    b',' => {
                        self.at += 1;
                        byte = self.peek_token();
                        if in_object {
                            byte = self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => in_object = self.close(),
                    b']' if !in_object => in_object = self.close(),
                    _ => return None,
                }
            }
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            next,
        });
    }

    /// Goes into an object or array; gives the next token.
    fn open(&mut self, object: bool) -> Option<u8> {
        if self.open.len() >= MAX_DEPTH {
            return None;
        }
        self.open.push(self.nodes.len() as u32);
        let kind = if object { Kind::Object } else { Kind::Array };
        self.push(kind, self.at, self.at);
        self.at += 1;
        Some(self.peek_token())
    }

    /// Leaves the innermost object or array; tells whether the one around it is an object.
    fn close(&mut self) -> bool {
        self.at += 1;
        let next = self.nodes.len() as u32;
        let end = self.at as u32;
        if let Some(container) = self.open.pop()
            && let Some(node) = self.nodes.get_mut(container as usize)
        {
            node.next = next;
            node.end = end;
        }
        let around = self.open.last().and_then(|&at| self.nodes.get(at as usize));
        around.is_some_and(|node| node.kind == Kind::Object)
    }

    /// A key and its colon; gives the first byte of the value.
    #[inline]
    fn key(&mut self) -> Option<u8> {
        if self.peek() != b'"' {
            return None;
        }
        let (kind, start, end) = self.string()?;
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            next: tag(self.bytes.get(start..end)?),
        });
        if self.peek_token() != b':' {
            return None;
        }
        self.at += 1;
        Some(self.peek_token())
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

    /// A string at its opening quote: its kind and the bytes between the quotes.
    #[inline]
    fn string(&mut self) -> Option<(Kind, usize, usize)> {
        let start = self.at + 1;
        let end = self.quote_or_escape(start)?;
        let (kind, end) = match self.bytes.get(end) {
            Some(b'"') => (Kind::Plain, end),
            _ => (Kind::Escaped, self.escaped(end)?),
        };
        self.at = end + 1;
        Some((kind, start, end))
    }

    /// The end of a string whose first backslash is at `at`.
    #[cold]
    fn escaped(&self, mut at: usize) -> Option<usize> {
        while self.bytes.get(at) == Some(&b'\\') {
            at += match self.bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' => {
                    let digits = self.bytes.get(at + 2..at + 6)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    6
                }
                _ => return None,
            };
            at = self.quote_or_escape(at)?;
        }
        Some(at)
    }

    /// The first quote or backslash at or behind `at`.
    #[inline]
    fn quote_or_escape(&self, at: usize) -> Option<usize> {
        // Keys and values are mostly short, where words beat a vector search.
        const WORDS: usize = 4;
        let (words, _) = self.bytes.get(at..)?.as_chunks::<8>();
        for (at_word, word) in words.iter().take(WORDS).enumerate() {
            let hits = quotes_and_escapes(u64::from_le_bytes(*word));
            if hits != 0 {
                return Some(at + at_word * 8 + hits.trailing_zeros() as usize / 8);
            }
        }
        let at = at + WORDS * 8;
        Some(at + memchr::memchr2(b'"', b'\\', self.bytes.get(at..)?)?)
    }

    #[inline]
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
            self.overflow |= float(text).is_none();
        }
        self.push(Kind::Number, start, self.at);
        Some(())
    }
}

/// Marks the quotes and backslashes among the bytes of a word; the lowest mark is exact.
const fn quotes_and_escapes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let escape = word ^ (ONES * b'\\' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let escape = escape.wrapping_sub(ONES) & !escape;
    (quote | escape) & HIGH
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
