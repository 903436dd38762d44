//! Turns source text into tokens, one at a time and only when asked, so that the first problem in
//! source order is the first one reported.

mod literal;
mod token;

use kafkamq_point::Text;

use crate::diagnostic::Code;
use crate::span::Span;
pub(crate) use token::{Keyword, Token, TokenKind};

/// A lexical error: what, where, and what to do about it.
#[derive(Debug)]
pub(crate) struct LexError {
    pub(crate) code: Code,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

/// Reads tokens from a text. After an error reading can go on behind the bad token.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'s> {
    text: &'s str,
    at: usize,
    /// Names spelled like `inf` and `nan` that the script assigned to; they mean a variable from there on.
    assigned: Vec<&'s str>,
    /// Whether the last token was `for`.
    after_for: bool,
}

/// Whether a name can be written without backquotes.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(starts_name)
        && chars.all(continues_name)
        && Keyword::of(name).is_none()
        && !name.eq_ignore_ascii_case("inf")
        && !name.eq_ignore_ascii_case("nan")
        && !name.starts_with('\u{feff}')
}

const fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

const fn continues_name(c: char) -> bool {
    starts_name(c) || c.is_ascii_digit()
}

impl<'s> Lexer<'s> {
    /// Starts at the beginning; a byte order mark is skipped.
    pub(crate) fn new(text: &'s str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            at,
            assigned: Vec::new(),
            after_for: false,
        }
    }

    fn rest(&self) -> &'s str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn byte(&self, offset: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + offset)
            .copied()
            .unwrap_or(0)
    }

    /// Skips blanks and comments; the end of the line is a token.
    fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => {
                    let rest = self.rest().as_bytes();
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// The next token; at the end of the text [`TokenKind::End`] for ever.
    pub(crate) fn next(&mut self) -> Result<Token, LexError> {
        self.skip_blanks();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => TokenKind::End,
            Some(c) if starts_name(c) => self.word(),
            Some('0'..='9') => self.number()?,
            Some('"' | '\'') => self.string()?,
            Some('`') => self.quoted_name()?,
            Some(c) => self.symbol(c)?,
        };
        Ok(Token {
            kind,
            span: Span::new(start, self.at),
        })
    }

    fn word(&mut self) -> TokenKind {
        let rest = self.rest();
        let length = rest.find(|c| !continues_name(c)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or("");
        self.at += length;
        let after_for = std::mem::take(&mut self.after_for);
        if let Some(keyword) = Keyword::of(word) {
            self.after_for = keyword == Keyword::For;
            return TokenKind::Keyword(keyword);
        }
        let number = match word.len() {
            3 if word.eq_ignore_ascii_case("inf") => f64::INFINITY,
            3 if word.eq_ignore_ascii_case("nan") => f64::NAN,
            _ => return TokenKind::Name(Text::from(word)),
        };
        if self.assigned.contains(&word) {
            return TokenKind::Name(Text::from(word));
        }
        if after_for || self.assignment_follows() {
            self.assigned.push(word);
            return TokenKind::Name(Text::from(word));
        }
        TokenKind::Float(number)
    }

    /// Whether `=`, or an operator with `=`, comes next.
    fn assignment_follows(&self) -> bool {
        let rest = self.rest().trim_start_matches([' ', '\t']);
        let rest = rest.strip_prefix(['+', '-', '*', '/', '%']).unwrap_or(rest);
        rest.starts_with('=') && !rest.starts_with("==")
    }

    fn quoted_name(&mut self) -> Result<TokenKind, LexError> {
        let start = self.at;
        let body = self.rest().get(1..).unwrap_or("");
        let Some(length) = memchr::memchr(b'`', body.as_bytes()) else {
            self.at = self.text.len();
            return Err(self.error(Code::OpenString, start, "this quoted name is never closed"));
        };
        self.at += length + 2;
        Ok(TokenKind::Name(Text::from(
            body.get(..length).unwrap_or(""),
        )))
    }

    fn symbol(&mut self, c: char) -> Result<TokenKind, LexError> {
        use TokenKind as T;
        let second = self.byte(1);
        let pair = |two: T, one: T| if second == b'=' { (two, 2) } else { (one, 1) };
        let (kind, length) = match c {
            '\n' => (T::EndOfLine, 1),
            ';' => (T::Semicolon, 1),
            '(' => (T::OpenParen, 1),
            ')' => (T::CloseParen, 1),
            '[' => (T::OpenBracket, 1),
            ']' => (T::CloseBracket, 1),
            '{' => (T::OpenBrace, 1),
            '}' => (T::CloseBrace, 1),
            ',' => (T::Comma, 1),
            ':' => (T::Colon, 1),
            '.' => (T::Dot, 1),
            '+' => pair(T::PlusAssign, T::Plus),
            '-' => pair(T::MinusAssign, T::Minus),
            '*' => pair(T::StarAssign, T::Star),
            '/' => pair(T::SlashAssign, T::Slash),
            '%' => pair(T::PercentAssign, T::Percent),
            '=' => pair(T::EqualEqual, T::Assign),
            '!' => pair(T::NotEqual, T::Not),
            '<' => pair(T::LessEqual, T::Less),
            '>' => pair(T::GreaterEqual, T::Greater),
            '&' if second == b'&' => (T::AndAnd, 2),
            '|' if second == b'|' => (T::OrOr, 2),
            _ => {
                let start = self.at;
                self.at += c.len_utf8();
                let mut error = self.error(
                    Code::BadCharacter,
                    start,
                    format!("unexpected character {c:?}"),
                );
                error.help = match (c, second) {
                    ('&', _) => Some("the logical operator is `&&`"),
                    ('|', _) => Some("the logical operator is `||`"),
                    ('\\', _) => {
                        Some("lines need no continuation mark after an operator or a comma")
                    }
                    _ => None,
                };
                return Err(error);
            }
        };
        self.at += length;
        Ok(kind)
    }

    /// An error about the text from `start` to where reading goes on.
    fn error(&self, code: Code, start: usize, message: impl Into<String>) -> LexError {
        LexError {
            code,
            span: Span::new(start, self.at),
            message: message.into(),
            help: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| {
            let kind = lexer.next().unwrap().kind;
            (kind != TokenKind::End).then_some(kind)
        })
        .collect()
    }

    fn error(text: &str) -> (Code, u32, u32) {
        let mut lexer = Lexer::new(text);
        loop {
            match lexer.next() {
                Err(error) => return (error.code, error.span.start, error.span.end),
                Ok(token) => assert_ne!(token.kind, TokenKind::End, "{text}"),
            }
        }
    }

    #[test]
    fn numbers_of_every_form() {
        use TokenKind::{Float, Int};
        for (text, kind) in [
            ("010", Int(8)),
            ("08", Float(8.0)),
            ("0x1F", Int(31)),
            ("1.", Float(1.0)),
            ("2e3", Float(2000.0)),
            ("3.e2", Float(300.0)),
            ("9223372036854775808", Float(9_223_372_036_854_775_808.0)),
            ("0", Int(0)),
            ("INF", Float(f64::INFINITY)),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
        }
        for text in [
            "12abc",
            "1_000",
            "0b1",
            "1e",
            "0x",
            "1e400",
            "0xFFFFFFFFFFFFFFFFF",
            "1e+",
        ] {
            assert_eq!(error(text).0, Code::BadNumber, "{text}");
        }
    }

    #[test]
    fn strings_and_escapes() {
        use TokenKind::Str;
        for (text, value) in [
            (r#""a\tb\"c""#, "a\tb\"c"),
            (r#"'a"\'b'"#, "a\"'b"),
            (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"),
            ("\"\"\"he said \"x\" ok\n\\d\"\"\"", "he said \"x\" ok\n\\d"),
            ("\"\"\"\"a\"\"\"", "\"a"),
            ("''''''", ""),
            ("\"\"", ""),
            ("\"\"\"a'''b\"\"\"", "a'''b"),
        ] {
            assert_eq!(kinds(text), [Str(value.into())], "{text}");
        }
        for text in [
            r#""\d""#,
            r#""\0""#,
            r#""\ud800""#,
            r#""\x4""#,
            r#"'\"'"#,
            r#""\400""#,
        ] {
            assert_eq!(error(text).0, Code::BadEscape, "{text}");
        }
        assert_eq!(error("\"a\nb\"").0, Code::OpenString);
        assert_eq!(error("  '''a").1, 2);
    }

    #[test]
    fn longest_match_and_line_ends() {
        use TokenKind as T;
        assert_eq!(kinds("a=!b").get(1..3), Some(&[T::Assign, T::Not][..]));
        assert_eq!(kinds("===").as_slice(), [T::EqualEqual, T::Assign]);
        assert_eq!(kinds("# c\r\n;"), [T::EndOfLine, T::Semicolon]);
        assert_eq!(error("a & b"), (Code::BadCharacter, 2, 3));
        assert_eq!(kinds("\u{feff}x"), [T::Name("x".into())]);
    }
}
