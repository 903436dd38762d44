//! Numbers and strings.

use kafkamq_point::Text;

use super::{LexError, Lexer, TokenKind, starts_name};
use crate::diagnostic::Code;

impl Lexer<'_> {
    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.at < self.text.len() && accept(self.byte(0)) {
            self.at += 1;
        }
        self.at - start
    }

    pub(super) fn number(&mut self) -> Result<TokenKind, LexError> {
        let start = self.at;
        if self.byte(0) == b'0' && matches!(self.byte(1), b'x' | b'X') {
            return self.hex(start);
        }
        self.take_while(|byte| byte.is_ascii_digit());
        let mut float = false;
        if self.byte(0) == b'.' {
            float = true;
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.byte(0), b'e' | b'E') {
            float = true;
            self.at += 1;
            if matches!(self.byte(0), b'+' | b'-') {
                self.at += 1;
            }
            if self.take_while(|byte| byte.is_ascii_digit()) == 0 {
                return Err(self.bad_number(start, "the exponent has no digits"));
            }
        }
        self.no_letter(start)?;
        let digits = self.text.get(start..self.at).unwrap_or("");
        let octal = digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let int = match (float, octal) {
            (true, _) => None,
            (false, true) => i64::from_str_radix(digits, 8).ok(),
            (false, false) if digits.len() > 1 && digits.starts_with('0') => None,
            (false, false) => digits.parse().ok(),
        };
        if let Some(int) = int {
            return Ok(TokenKind::Int(int));
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(TokenKind::Float(number)),
            _ => Err(self.bad_number(start, "the number is too large for a float")),
        }
    }

    fn hex(&mut self, start: usize) -> Result<TokenKind, LexError> {
        self.at += 2;
        let digits_at = self.at;
        if self.take_while(|byte| byte.is_ascii_hexdigit()) == 0 {
            return Err(self.bad_number(start, "the hexadecimal number has no digits"));
        }
        self.no_letter(start)?;
        let digits = self.text.get(digits_at..self.at).unwrap_or("");
        i64::from_str_radix(digits, 16)
            .map(TokenKind::Int)
            .map_err(|_| self.bad_number(start, "the number is too large for an int"))
    }

    /// Refuses a letter directly after a number.
    fn no_letter(&mut self, start: usize) -> Result<(), LexError> {
        let rest = self.rest();
        if !rest.starts_with(starts_name) {
            return Ok(());
        }
        let length = rest
            .find(|c: char| !starts_name(c) && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += length;
        Err(self.bad_number(start, "a letter follows directly after the number"))
    }

    fn bad_number(&self, start: usize, message: &str) -> LexError {
        self.error(Code::BadNumber, start, message)
    }

    pub(super) fn string(&mut self) -> Result<TokenKind, LexError> {
        let quote = self.byte(0);
        if self.byte(1) == quote && self.byte(2) == quote {
            return self.raw_string(quote);
        }
        let start = self.at;
        self.at += 1;
        let mut bytes: Vec<u8> = Vec::new();
        let mut bad: Option<LexError> = None;
        loop {
            let rest = self.rest().as_bytes();
            let Some(offset) = memchr::memchr3(quote, b'\\', b'\n', rest) else {
                self.at = self.text.len();
                return Err(self.open_string(start));
            };
            bytes.extend_from_slice(rest.get(..offset).unwrap_or(&[]));
            self.at += offset;
            match self.byte(0) {
                b'\n' => return Err(self.open_string(start)),
                b'\\' => {
                    if let Err(error) = self.escape(quote, &mut bytes) {
                        bad = bad.or(Some(error));
                    }
                }
                _ => break,
            }
        }
        self.at += 1;
        match bad {
            // The whole string is the bad token, so that reading goes on behind it.
            Some(error) => Err(LexError {
                span: crate::span::Span::new(start, self.at),
                ..error
            }),
            None => Ok(TokenKind::Str(Text::from_utf8_lossy(&bytes))),
        }
    }

    fn open_string(&self, start: usize) -> LexError {
        let mut error = self.error(Code::OpenString, start, "this string is never closed");
        error.help = Some("a string that spans lines needs three quotes");
        error
    }

    fn raw_string(&mut self, quote: u8) -> Result<TokenKind, LexError> {
        let start = self.at;
        let body = self.rest().get(3..).unwrap_or("");
        let end = [quote; 3];
        let Some(length) = memchr::memmem::find(body.as_bytes(), &end) else {
            self.at = self.text.len();
            return Err(self.error(Code::OpenString, start, "this string is never closed"));
        };
        self.at += length + 6;
        Ok(TokenKind::Str(Text::from(body.get(..length).unwrap_or(""))))
    }

    /// One escape sequence; always moves past the backslash.
    fn escape(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<(), LexError> {
        let start = self.at;
        self.at += 1;
        let code = self.byte(0);
        let simple = match code {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0B,
            b'\\' => b'\\',
            _ if code == quote => quote,
            b'0'..=b'7' => {
                let value = self
                    .digits(0, 3, 8)
                    .and_then(|value| u8::try_from(value).ok());
                let value = value.ok_or_else(|| self.bad_escape(start))?;
                self.at += 3;
                out.push(value);
                return Ok(());
            }
            b'x' => {
                let value = self
                    .digits(1, 2, 16)
                    .and_then(|value| u8::try_from(value).ok());
                let value = value.ok_or_else(|| self.bad_escape(start))?;
                self.at += 3;
                out.push(value);
                return Ok(());
            }
            b'u' | b'U' => {
                let count = if code == b'u' { 4 } else { 8 };
                let c = self.digits(1, count, 16).and_then(char::from_u32);
                let c = c.ok_or_else(|| self.bad_escape(start))?;
                self.at += 1 + count;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.bad_escape(start)),
        };
        self.at += 1;
        out.push(simple);
        Ok(())
    }

    /// Exactly `count` digits at an offset.
    fn digits(&self, offset: usize, count: usize, radix: u32) -> Option<u32> {
        let digits = self.rest().get(offset..offset + count)?;
        if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
            return None;
        }
        u32::from_str_radix(digits, radix).ok()
    }

    fn bad_escape(&self, start: usize) -> LexError {
        let mut error = self.error(Code::BadEscape, start, {
            let c = self.rest().chars().next().unwrap_or(' ');
            format!("`\\{c}` is not a valid escape sequence here")
        });
        error.help =
            Some("write `\\\\` for a backslash, or use three quotes, which know no escapes");
        error
    }
}
