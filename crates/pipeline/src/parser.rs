//! Builds the syntax tree. After a syntax error reading goes on with the next statement, so that
//! one run reports several errors; the first one is the first in source order.

mod expression;
mod statement;

use crate::ast::Script;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{Keyword, LexError, Lexer, Token, TokenKind};
use crate::span::{Source, Span};

/// How deep brackets, blocks and unary operators may nest.
pub(crate) const MAX_DEPTH: usize = 520;

/// After this many errors reading stops.
const MAX_ERRORS: usize = 20;

/// Scripts beyond this many bytes are refused.
const MAX_LENGTH: usize = 8 << 20;

/// Parses a script.
///
/// # Errors
/// Everything wrong with its form, in source order.
pub(crate) fn parse(source: &Source) -> Result<Script, Vec<Diagnostic>> {
    let mut parser = Parser {
        source,
        lexer: Lexer::new(source.text()),
        ahead: Vec::with_capacity(2),
        depth: 0,
        deepest: 0,
        end: Span::default(),
        errors: Vec::new(),
    };
    if source.text().len() > MAX_LENGTH {
        return Err(vec![Diagnostic::new(
            Code::TooLong,
            source,
            Span::default(),
            format!("the script has more than {MAX_LENGTH} bytes"),
        )]);
    }
    let script = crate::stack::levels(MAX_DEPTH, || parser.script());
    if parser.errors.is_empty() {
        Ok(script)
    } else {
        Err(parser.errors)
    }
}

/// A syntax error on its way to the statement that recovers from it. Boxed to keep frames small.
type Failure = Box<Diagnostic>;
type Parsed<T> = Result<T, Failure>;

struct Parser<'s> {
    source: &'s Source,
    lexer: Lexer<'s>,
    /// Tokens read but not taken, the next one last.
    ahead: Vec<Result<Token, LexError>>,
    depth: usize,
    deepest: usize,
    /// The place of the token taken last.
    end: Span,
    errors: Vec<Diagnostic>,
}

impl Parser<'_> {
    /// The kind of the next token; a lexical error counts as failure.
    fn peek(&mut self) -> Parsed<&TokenKind> {
        if self.ahead.is_empty() {
            let token = self.lexer.next();
            self.ahead.push(token);
        }
        if let Some(Err(_)) = self.ahead.last() {
            return Err(self.lex_failure());
        }
        match self.ahead.last() {
            Some(Ok(token)) => Ok(&token.kind),
            _ => Ok(&TokenKind::End),
        }
    }

    #[cold]
    fn lex_failure(&mut self) -> Failure {
        match self.ahead.pop() {
            Some(Err(error)) => Box::new(
                Diagnostic::new(error.code, self.source, error.span, error.message)
                    .with_help(error.help.map(str::to_owned)),
            ),
            _ => Box::new(Diagnostic::new(
                Code::Internal,
                self.source,
                self.end,
                "no lexical error to report",
            )),
        }
    }

    fn take(&mut self) -> Parsed<Token> {
        self.peek()?;
        match self.ahead.pop() {
            Some(Ok(token)) => {
                self.end = token.span;
                Ok(token)
            }
            _ => Err(self.lex_failure()),
        }
    }

    fn at(&mut self, kind: &TokenKind) -> Parsed<bool> {
        Ok(self.peek()? == kind)
    }

    /// Takes the next token if it is of this kind.
    fn accept(&mut self, kind: &TokenKind) -> Parsed<bool> {
        let hit = self.at(kind)?;
        if hit {
            self.take()?;
        }
        Ok(hit)
    }

    fn expect(&mut self, kind: &TokenKind) -> Parsed<Span> {
        if self.at(kind)? {
            return Ok(self.take()?.span);
        }
        Err(self.unexpected(&kind.describe()))
    }

    /// The place of the next token.
    fn next_span(&mut self) -> Parsed<Span> {
        self.peek()?;
        Ok(match self.ahead.last() {
            Some(Ok(token)) => token.span,
            _ => self.end,
        })
    }

    /// Line ends where the grammar allows them.
    fn line_ends(&mut self) -> Parsed<()> {
        while self.accept(&TokenKind::EndOfLine)? {}
        Ok(())
    }

    /// An error about the next token.
    #[cold]
    fn unexpected(&mut self, wanted: &str) -> Failure {
        let span = match self.next_span() {
            Ok(span) => span,
            Err(failure) => return failure,
        };
        let kind = match self.ahead.last() {
            Some(Ok(token)) => token.kind.clone(),
            _ => TokenKind::End,
        };
        let mut diagnostic = Diagnostic::new(
            Code::Unexpected,
            self.source,
            span,
            format!("expected {wanted}, found {}", kind.describe()),
        );
        if let TokenKind::Keyword(Keyword::Reserved(word)) = kind {
            diagnostic.code = Code::Reserved;
            diagnostic.help = Some(match word {
                "while" => "write `for ; condition; { }`".to_owned(),
                "return" => "`exit()` ends a script".to_owned(),
                _ => format!("`{word}` is reserved, write it in backquotes to use it as a name"),
            });
        }
        if let TokenKind::Keyword(Keyword::Elif | Keyword::Else) = kind {
            diagnostic.help =
                Some("`elif` and `else` stand on the line of the closing `}`".to_owned());
        }
        Box::new(diagnostic)
    }

    /// Counts one level of nesting; every success is paired with a `self.depth -= 1`.
    fn enter(&mut self) -> Parsed<()> {
        if self.depth >= MAX_DEPTH {
            let span = self.next_span()?;
            return Err(Box::new(Diagnostic::new(
                Code::TooDeep,
                self.source,
                span,
                format!("nested more than {MAX_DEPTH} levels deep"),
            )));
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        Ok(())
    }

    /// Skips to the end of a broken statement: the next separator outside braces, or the brace
    /// that closes the current block.
    fn recover(&mut self) {
        let mut braces = 0usize;
        loop {
            match self.peek() {
                // A further lexical error in the same statement says little.
                Err(_) => continue,
                Ok(TokenKind::End) => return,
                Ok(TokenKind::EndOfLine | TokenKind::Semicolon) if braces == 0 => return,
                Ok(TokenKind::CloseBrace) if braces == 0 => return,
                Ok(TokenKind::CloseBrace) => braces -= 1,
                Ok(TokenKind::OpenBrace) => braces += 1,
                Ok(_) => {}
            }
            if self.take().is_err() {
                return;
            }
        }
    }

    fn report(&mut self, failure: Diagnostic) {
        self.errors.push(failure);
    }

    fn gave_up(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        match parse(&Source::new("t.p", text)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors
                .iter()
                .map(|error| format!("{} {}", error.source.position(error.span.start), error.code))
                .collect(),
        }
    }

    #[test]
    fn several_errors_are_found_in_one_run() {
        assert_eq!(
            errors("a = = 1\nb = 2\nif x {\n  c = 'open\n  d = 1 +\n}\ne = )"),
            ["1:5 S101", "4:7 L102", "6:1 S101", "7:5 S101"]
        );
    }

    fn nesting() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("f(", ")"),
            ("{'a':", "}"),
            ("!", ""),
        ] {
            let nest = |depth: usize| format!("x = {}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(errors(&nest(500)), [""; 0], "{open}");
            assert_eq!(errors(&nest(100_000)).len(), 1, "{open}");
        }
        let blocks = |depth: usize| format!("{}{}", "if x {\n".repeat(depth), "}\n".repeat(depth));
        assert_eq!(errors(&blocks(500)), [""; 0]);
        assert!(!errors(&blocks(10_000)).is_empty());
        let sum = vec!["1"; 50_000].join(" + ");
        assert_eq!(errors(&format!("x = {sum}")), [""; 0]);
    }

    /// Unoptimised frames are several times larger than those that ship, hence the larger stack.
    #[test]
    fn brackets_nest_five_hundred_levels() {
        std::thread::Builder::new()
            .stack_size(if cfg!(debug_assertions) {
                16 << 20
            } else {
                1 << 20
            })
            .spawn(nesting)
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn printing_and_parsing_again_changes_nothing() {
        let text = "a = -1 + 2 * (b in c == d) && !e\nif a[0]['x'] { b += 1.5 } elif f(k=1, 'x')[1:] { } else { break }\nfor x in {'a': [1, nil]} { continue }\nfor i = 0; i < 3; i = i + 1 { json(_, a.b[0].`c d`, .[0].c, x[::2]) }\n";
        let first = crate::printer::script(&parse(&Source::new("t.p", text)).unwrap());
        let second = crate::printer::script(&parse(&Source::new("t.p", first.as_str())).unwrap());
        assert_eq!(first, second);
        insta::assert_snapshot!(first);
    }
}
