//! Statements and blocks.

use super::{Failure, Parsed, Parser};
use crate::ast::{Assign, BinaryOp, Expr, Script, Statement, StatementKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{Keyword, TokenKind};
use crate::span::Span;

impl Parser<'_> {
    /// The whole script; errors are collected on the way.
    pub(super) fn script(&mut self) -> Script {
        let mut statements = Vec::new();
        loop {
            if let Err(failure) = self.statements(&mut statements) {
                self.report(*failure);
                self.recover();
            }
            if self.gave_up() {
                break;
            }
            // Statements ended at a brace that closes nothing, or at the end.
            match self.peek() {
                Ok(TokenKind::End) => break,
                Ok(TokenKind::CloseBrace) => {
                    let span = self.next_span().unwrap_or(self.end);
                    // A brace left over from a statement given up above was reported with it.
                    if self.errors.is_empty() {
                        self.report(Diagnostic::new(
                            Code::Unbalanced,
                            self.source,
                            span,
                            "unexpected `}`, there is no block to close",
                        ));
                    }
                    self.ahead.pop();
                }
                _ => {}
            }
        }
        Script {
            statements,
            levels: self.deepest,
        }
    }

    /// Separators and statements up to a closing brace or the end; a broken statement is reported
    /// and skipped.
    fn statements(&mut self, statements: &mut Vec<Statement>) -> Parsed<()> {
        loop {
            while matches!(self.peek()?, TokenKind::EndOfLine | TokenKind::Semicolon) {
                self.take()?;
            }
            if matches!(self.peek()?, TokenKind::CloseBrace | TokenKind::End) {
                return Ok(());
            }
            let depth = self.depth;
            let parsed = self.statement().and_then(|statement| {
                statements.push(statement);
                self.statement_end()
            });
            if let Err(failure) = parsed {
                self.depth = depth;
                self.report(*failure);
                if self.gave_up() {
                    // Nothing more is read; the caller unwinds.
                    self.skip_all();
                    return Ok(());
                }
                self.recover();
            }
        }
    }

    fn skip_all(&mut self) {
        loop {
            match self.peek() {
                Ok(TokenKind::End) => return,
                _ => {
                    self.ahead.pop();
                }
            }
        }
    }

    fn statement_end(&mut self) -> Parsed<()> {
        match self.peek()? {
            TokenKind::EndOfLine
            | TokenKind::Semicolon
            | TokenKind::CloseBrace
            | TokenKind::End => Ok(()),
            _ => Err(self.unexpected("the end of the statement")),
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let start = self.next_span()?;
        let kind = match self.peek()? {
            TokenKind::Keyword(Keyword::If) => self.if_statement()?,
            TokenKind::Keyword(Keyword::For) => self.for_statement()?,
            TokenKind::Keyword(Keyword::Break) => {
                self.take()?;
                StatementKind::Break
            }
            TokenKind::Keyword(Keyword::Continue) => {
                self.take()?;
                StatementKind::Continue
            }
            _ => self.simple()?,
        };
        Ok(Statement {
            kind,
            span: start.to(self.end),
        })
    }

    /// An assignment or an expression.
    fn simple(&mut self) -> Parsed<StatementKind> {
        let first = self.expr()?;
        self.simple_after(first)
    }

    /// The rest of a simple statement whose first expression is read already.
    fn simple_after(&mut self, first: Expr) -> Parsed<StatementKind> {
        let operator = match self.peek()? {
            TokenKind::Comma | TokenKind::Assign => None,
            TokenKind::PlusAssign => Some(BinaryOp::Add),
            TokenKind::MinusAssign => Some(BinaryOp::Subtract),
            TokenKind::StarAssign => Some(BinaryOp::Multiply),
            TokenKind::SlashAssign => Some(BinaryOp::Divide),
            TokenKind::PercentAssign => Some(BinaryOp::Remainder),
            _ => return Ok(StatementKind::Expression(first)),
        };
        let mut targets = vec![first];
        if operator.is_none() {
            self.more_expressions(&mut targets)?;
        }
        let operator_span = match operator {
            Some(_) => self.take()?.span,
            None => self.expect(&TokenKind::Assign)?,
        };
        self.line_ends()?;
        let mut values = vec![self.expr()?];
        if operator.is_none() {
            self.more_expressions(&mut values)?;
        }
        Ok(StatementKind::Assign(Assign {
            targets,
            operator,
            operator_span,
            values,
        }))
    }

    fn more_expressions(&mut self, expressions: &mut Vec<Expr>) -> Parsed<()> {
        while self.accept(&TokenKind::Comma)? {
            self.line_ends()?;
            expressions.push(self.expr()?);
        }
        Ok(())
    }

    fn if_statement(&mut self) -> Parsed<StatementKind> {
        let mut branches = Vec::new();
        loop {
            self.take()?;
            let condition = self.expr()?;
            branches.push((condition, self.block()?));
            if !self.at(&TokenKind::Keyword(Keyword::Elif))? {
                break;
            }
        }
        let otherwise = if self.accept(&TokenKind::Keyword(Keyword::Else))? {
            Some(self.block()?)
        } else {
            None
        };
        Ok(StatementKind::If {
            branches,
            otherwise,
        })
    }

    fn for_statement(&mut self) -> Parsed<StatementKind> {
        self.take()?;
        if self.accept(&TokenKind::Semicolon)? {
            return self.counted_for(None);
        }
        let start = self.next_span()?;
        let first = self.expr_above_in()?;
        if self.accept(&TokenKind::Keyword(Keyword::In))? {
            self.line_ends()?;
            let source = self.expr_above_in()?;
            if self.at(&TokenKind::OpenBrace)? {
                return Ok(StatementKind::ForIn {
                    target: first,
                    source,
                    body: self.block()?,
                });
            }
            return Err(self.unexpected("the loop's block"));
        }
        let init = self.simple_after(first)?;
        let init = Statement {
            kind: init,
            span: start.to(self.end),
        };
        if !self.at(&TokenKind::Semicolon)? {
            return Err(self.unexpected("`in` or `;`"));
        }
        self.take()?;
        self.counted_for(Some(Box::new(init)))
    }

    fn counted_for(&mut self, init: Option<Box<Statement>>) -> Parsed<StatementKind> {
        let condition = if self.at(&TokenKind::Semicolon)? {
            None
        } else {
            Some(self.expr()?)
        };
        self.expect(&TokenKind::Semicolon)?;
        let step = if self.at(&TokenKind::OpenBrace)? {
            None
        } else {
            let start = self.next_span()?;
            let kind = self.simple()?;
            Some(Box::new(Statement {
                kind,
                span: start.to(self.end),
            }))
        };
        Ok(StatementKind::For {
            init,
            condition,
            step,
            body: self.block()?,
        })
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        let open = self.expect(&TokenKind::OpenBrace)?;
        self.enter()?;
        let mut statements = Vec::new();
        self.statements(&mut statements)?;
        self.depth -= 1;
        if self.at(&TokenKind::CloseBrace)? {
            self.take()?;
            return Ok(statements);
        }
        Err(self.unclosed(open, "{"))
    }

    /// The script ended before a bracket was closed: the bracket is the better place to show.
    #[cold]
    pub(super) fn unclosed(&mut self, open: Span, bracket: &str) -> Failure {
        Box::new(Diagnostic::new(
            Code::Unbalanced,
            self.source,
            open,
            format!("this `{bracket}` is never closed"),
        ))
    }
}
