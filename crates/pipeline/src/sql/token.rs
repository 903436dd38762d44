//! The tokens of SQL-like text.

use std::borrow::Cow;

/// What a token is, as far as masking cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, quoted with back quotes or bare.
    Name,
    /// A name in double quotes.
    QuotedName,
    /// `AS`
    As,
    /// `SAVEPOINT`
    Savepoint,
    /// `SELECT`, `UPDATE`, `DELETE`: what a subquery begins with.
    Query,
    /// A keyword that only matters by not being a name.
    Keyword,
    /// A value: string, number, `NULL`, placeholder.
    Literal,
    /// A comment, from `--`, `#` or `/*` to its end.
    Comment,
    /// A bind variable (`:name`) or `::`.
    Bind,
    /// An operator or bracket of this one character.
    Mark(char),
    /// A longer operator.
    Operator,
}

/// The text cannot be read as SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

type Outcome<'t> = Result<(Kind, Cow<'t, str>), Unreadable>;

/// Reads one token after the other.
pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
    /// Open braces that are kept.
    braces: u32,
    /// Whether a backslash in quotes is a plain character.
    plain_backslash: bool,
    /// Whether there was a backslash in quotes.
    pub(super) saw_backslash: bool,
}

const fn continues(c: char) -> bool {
    matches!(c, '#' | '.' | '*' | '$') || c.is_ascii_digit()
}

fn begins(c: char) -> bool {
    crate::regex::is_letter(c) || matches!(c, '_' | '@')
}

impl<'t> Tokens<'t> {
    pub(super) const fn new(text: &'t str, plain_backslash: bool) -> Self {
        Self {
            text,
            at: 0,
            braces: 0,
            plain_backslash,
            saw_backslash: false,
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn skip(&mut self, mut takes: impl FnMut(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !takes(c)).unwrap_or(rest.len());
    }

    fn since(&self, start: usize) -> Cow<'t, str> {
        Cow::Borrowed(self.text.get(start..self.at).unwrap_or_default())
    }

    /// The next token, `None` at the end.
    pub(super) fn next(&mut self) -> Option<Outcome<'t>> {
        self.skip(char::is_whitespace);
        let start = self.at;
        let c = self.bump()?;
        Some(self.token(start, c))
    }

    fn token(&mut self, start: usize, c: char) -> Outcome<'t> {
        let kind = match c {
            c if begins(c) => {
                self.skip(|c| begins(c) || continues(c));
                let name = self.since(start);
                return Ok((keyword(&name), name));
            }
            '0'..='9' => {
                self.at = start;
                self.number()
            }
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.at = start;
                self.number()
            }
            '-' => {
                let mut ahead = self.rest().chars();
                match (ahead.next(), ahead.next()) {
                    (Some('-'), _) => self.line_comment(),
                    (Some('0'..='9'), _) | (Some('.'), Some('0'..='9')) => self.number(),
                    _ => Kind::Mark(c),
                }
            }
            '#' => self.line_comment(),
            '/' if self.eat("/") => self.line_comment(),
            '/' if self.eat("*") => {
                let end = self.rest().find("*/").ok_or(Unreadable)?;
                self.at += end + 2;
                Kind::Comment
            }
            '\'' => {
                self.quoted(c)?;
                Kind::Literal
            }
            '"' | '`' => {
                let inner = self.quoted(c)?;
                let kind = if c == '"' {
                    Kind::QuotedName
                } else {
                    Kind::Name
                };
                if inner.trim().is_empty() {
                    return Ok((kind, format!("{c}{inner}{c}").into()));
                }
                return Ok((kind, inner.into()));
            }
            '$' => self.dollar()?,
            '%' => match self.peek() {
                Some('(') => {
                    let end = self.rest().find(')').ok_or(Unreadable)?;
                    self.at += end + 1;
                    self.bump().filter(|&c| letter(c)).ok_or(Unreadable)?;
                    Kind::Literal
                }
                Some(next) if letter(next) => {
                    self.bump();
                    Kind::Literal
                }
                _ => Kind::Mark(c),
            },
            ':' => match self.peek() {
                Some(':') => {
                    self.bump();
                    Kind::Bind
                }
                Some('=') => Kind::Mark(c),
                Some(next) if next.is_whitespace() => Kind::Mark(c),
                Some(next) if letter(next) || next.is_ascii_digit() => {
                    self.skip(|c| letter(c) || c.is_ascii_digit() || c == '.');
                    Kind::Bind
                }
                _ => return Err(Unreadable),
            },
            '?' => Kind::Literal,
            '{' if start == 0 || self.braces > 0 => {
                self.braces += 1;
                Kind::Mark(c)
            }
            '{' => {
                let end = self.rest().find('}').ok_or(Unreadable)?;
                self.at += end + 1;
                Kind::Literal
            }
            '}' => {
                self.braces = self.braces.checked_sub(1).ok_or(Unreadable)?;
                Kind::Mark(c)
            }
            '<' => self.operator(&["=>", "=", ">"], c),
            '>' => self.operator(&["="], c),
            '~' => self.operator(&["*"], c),
            '!' => match self.operator(&["=", "~*", "~"], c) {
                Kind::Mark(_) if !self.operand_follows() => return Err(Unreadable),
                kind => kind,
            },
            '=' | '(' | ')' | '[' | ']' | ',' | ';' | '+' | '*' | '&' | '|' | '^' | '/' | '.' => {
                Kind::Mark(c)
            }
            _ => return Err(Unreadable),
        };
        Ok((kind, self.since(start)))
    }

    fn operator(&mut self, tails: &[&str], c: char) -> Kind {
        if tails.iter().any(|tail| self.eat(tail)) {
            Kind::Operator
        } else {
            Kind::Mark(c)
        }
    }

    /// Whether something that `!` can negate comes next.
    fn operand_follows(&self) -> bool {
        self.peek().is_some_and(|c| {
            matches!(c, '(' | '`' | '\'' | '"' | '+' | '-')
                || c.is_whitespace()
                || letter(c)
                || c.is_ascii_digit()
        })
    }

    fn number(&mut self) -> Kind {
        if self.eat("0x") || self.eat("0X") {
            self.skip(|c| c.is_ascii_hexdigit());
            return Kind::Literal;
        }
        self.skip(|c| c.is_ascii_digit());
        if self.eat(".") {
            self.skip(|c| c.is_ascii_digit());
        }
        if self.eat("e") || self.eat("E") {
            let _signed = self.eat("+") || self.eat("-");
            self.skip(|c| c.is_ascii_digit());
        }
        Kind::Literal
    }

    fn line_comment(&mut self) -> Kind {
        self.skip(|c| c != '\n');
        Kind::Comment
    }

    /// The inside of quotes, after the opening one.
    fn quoted(&mut self, quote: char) -> Result<String, Unreadable> {
        let mut inner = String::new();
        loop {
            let mut c = self.bump().ok_or(Unreadable)?;
            if c == quote {
                if self.peek() != Some(quote) {
                    return Ok(inner);
                }
                self.bump();
            } else if c == '\\' {
                self.saw_backslash = true;
                if !self.plain_backslash {
                    c = self.bump().ok_or(Unreadable)?;
                }
            }
            inner.push(c);
        }
    }

    /// `$1`, or a string between `$tag$`.
    fn dollar(&mut self) -> Result<Kind, Unreadable> {
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.skip(|c| c.is_ascii_digit());
            return Ok(Kind::Literal);
        }
        let tag = self.rest().find('$').ok_or(Unreadable)?;
        let fence = format!("${}$", self.rest().get(..tag).unwrap_or_default());
        self.at += tag + 1;
        let end = self.rest().find(&fence).ok_or(Unreadable)?;
        self.at += end + fence.len();
        Ok(Kind::Literal)
    }
}

fn letter(c: char) -> bool {
    begins(c) || c == '#'
}

fn keyword(name: &str) -> Kind {
    const OTHERS: [&str; 13] = [
        "LIMIT", "ALTER", "CREATE", "GRANT", "REVOKE", "COMMIT", "BEGIN", "TRUNCATE", "DROP",
        "FROM", "INSERT", "INTO", "JOIN",
    ];
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    if is(&["NULL", "TRUE", "FALSE"]) {
        Kind::Literal
    } else if is(&["AS"]) {
        Kind::As
    } else if is(&["SAVEPOINT"]) {
        Kind::Savepoint
    } else if is(&["SELECT", "UPDATE", "DELETE"]) {
        Kind::Query
    } else if is(&OTHERS) {
        Kind::Keyword
    } else {
        Kind::Name
    }
}
