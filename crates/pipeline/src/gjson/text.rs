//! Looking at JSON text without parsing all of it.

use kafkamq_point::Text;

/// Without the blanks around.
pub(super) fn trimmed(json: &str) -> &str {
    json.trim_matches(|c: char| c.is_ascii_whitespace())
}

/// Where the value that begins at `start` ends. Brackets are counted and strings skipped; what
/// stands inside is not checked.
pub(super) fn value_end(json: &str, start: usize) -> usize {
    let bytes = json.as_bytes();
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start),
        Some(b'{' | b'[' | b'(') => {
            let mut open = 0usize;
            let mut at = start;
            while let Some(&byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at = string_end(bytes, at);
                        continue;
                    }
                    b'{' | b'[' | b'(' => open += 1,
                    b'}' | b']' | b')' => {
                        open -= 1;
                        if open == 0 {
                            return at + 1;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            json.len()
        }
        _ => bytes
            .iter()
            .skip(start)
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
            .map_or(json.len(), |offset| start + offset),
    }
}

/// One past the closing quote of the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The members of an object (raw key and value) or the elements of an array (with an empty key).
pub(super) fn children(json: &str) -> Children<'_> {
    Children {
        json,
        at: 1,
        keyed: json.starts_with('{'),
        valid: json.starts_with(['{', '[']),
    }
}

/// The values of an array, or those that stand one after the other in a text of lines.
pub(super) fn values(json: &str, lines: bool) -> impl Iterator<Item = &str> {
    let children = match lines {
        true => Children {
            json,
            at: 0,
            keyed: false,
            valid: true,
        },
        false => children(json),
    };
    children.map(|(_, value)| value)
}

pub(super) struct Children<'j> {
    json: &'j str,
    at: usize,
    keyed: bool,
    valid: bool,
}

impl<'j> Children<'j> {
    fn skip(&mut self, skip: impl Fn(u8) -> bool) {
        let bytes = self.json.as_bytes();
        while bytes.get(self.at).is_some_and(|&byte| skip(byte)) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<&'j str> {
        let start = self.at;
        self.at = value_end(self.json, start).max(start);
        self.json
            .get(start..self.at)
            .filter(|value| !value.is_empty())
    }
}

impl<'j> Iterator for Children<'j> {
    type Item = (&'j str, &'j str);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.valid {
            return None;
        }
        self.skip(|byte| byte == b',' || byte.is_ascii_whitespace());
        let mut key = "";
        if self.keyed {
            if self.json.as_bytes().get(self.at) != Some(&b'"') {
                return None;
            }
            let quoted = self.value()?;
            key = quoted.get(1..quoted.len().checked_sub(1)?)?;
            self.skip(|byte| byte == b':' || byte.is_ascii_whitespace());
        }
        Some((key, self.value()?))
    }
}

/// The text of a string without its quotes, escapes decoded.
pub(super) fn key_text(raw: &str) -> Text {
    crate::json::unescape(raw)
}

/// The text of a value: strings decoded, everything else as written.
pub(super) fn text(value: &str) -> Text {
    match value.strip_prefix('"') {
        Some(rest) => key_text(rest.strip_suffix('"').unwrap_or(rest)),
        None => Text::from(value),
    }
}

/// Whether a text matches a pattern in which `*` stands for anything, `?` for one character and a
/// backslash takes the next character literally. Linear in the product of both lengths.
pub(super) fn wildcard(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Many,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            c => Token::Char(c),
        });
    }
    let (mut at, mut token) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match tokens.get(token) {
            Some(Token::Many) => {
                retry = Some((at, token));
                token += 1;
            }
            Some(Token::One) => {
                at += 1;
                token += 1;
            }
            Some(Token::Char(c)) if text.get(at) == Some(c) => {
                at += 1;
                token += 1;
            }
            _ => match retry {
                Some((from, many)) => {
                    retry = Some((from + 1, many));
                    at = from + 1;
                    token = many + 1;
                }
                None => return false,
            },
        }
    }
    tokens
        .iter()
        .skip(token)
        .all(|token| matches!(token, Token::Many))
}

enum Token {
    Many,
    One,
    Char(char),
}
