//! The tokens.

use kafkamq_point::Text;

use crate::span::Span;

/// A token with its place.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// The kinds of tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    Name(Text),
    Keyword(Keyword),
    Int(i64),
    Float(f64),
    Str(Text),
    EndOfLine,
    Semicolon,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Comma,
    Colon,
    Dot,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Assign,
    PlusAssign,
    MinusAssign,
    StarAssign,
    SlashAssign,
    PercentAssign,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    AndAnd,
    OrOr,
    Not,
    End,
}

/// The words of the language; letter case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    If,
    Elif,
    Else,
    For,
    In,
    Break,
    Continue,
    True,
    False,
    Nil,
    /// A word kept back, such as `while` and `str`.
    Reserved(&'static str),
}

impl Keyword {
    /// The keyword a word is, if it is one.
    pub(crate) fn of(word: &str) -> Option<Self> {
        const WORDS: [(&str, Keyword); 20] = [
            ("if", Keyword::If),
            ("elif", Keyword::Elif),
            ("else", Keyword::Else),
            ("for", Keyword::For),
            ("in", Keyword::In),
            ("break", Keyword::Break),
            ("continue", Keyword::Continue),
            ("true", Keyword::True),
            ("false", Keyword::False),
            ("nil", Keyword::Nil),
            ("null", Keyword::Nil),
            ("while", Keyword::Reserved("while")),
            ("return", Keyword::Reserved("return")),
            ("str", Keyword::Reserved("str")),
            ("bool", Keyword::Reserved("bool")),
            ("int", Keyword::Reserved("int")),
            ("float", Keyword::Reserved("float")),
            ("list", Keyword::Reserved("list")),
            ("map", Keyword::Reserved("map")),
            ("identifier", Keyword::Reserved("identifier")),
        ];
        WORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, keyword)| *keyword)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Elif => "elif",
            Self::Else => "else",
            Self::For => "for",
            Self::In => "in",
            Self::Break => "break",
            Self::Continue => "continue",
            Self::True => "true",
            Self::False => "false",
            Self::Nil => "nil",
            Self::Reserved(word) => word,
        }
    }
}

impl TokenKind {
    /// The token in words, for messages.
    pub(crate) fn describe(&self) -> String {
        let symbol = match self {
            Self::Name(name) => return format!("name `{name}`"),
            Self::Keyword(keyword) => return format!("`{}`", keyword.text()),
            Self::Int(_) | Self::Float(_) => return "a number".to_owned(),
            Self::Str(_) => return "a string".to_owned(),
            Self::EndOfLine => return "the end of the line".to_owned(),
            Self::End => return "the end of the script".to_owned(),
            Self::Semicolon => ";",
            Self::OpenParen => "(",
            Self::CloseParen => ")",
            Self::OpenBracket => "[",
            Self::CloseBracket => "]",
            Self::OpenBrace => "{",
            Self::CloseBrace => "}",
            Self::Comma => ",",
            Self::Colon => ":",
            Self::Dot => ".",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Star => "*",
            Self::Slash => "/",
            Self::Percent => "%",
            Self::Assign => "=",
            Self::PlusAssign => "+=",
            Self::MinusAssign => "-=",
            Self::StarAssign => "*=",
            Self::SlashAssign => "/=",
            Self::PercentAssign => "%=",
            Self::EqualEqual => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::AndAnd => "&&",
            Self::OrOr => "||",
            Self::Not => "!",
        };
        format!("`{symbol}`")
    }
}
