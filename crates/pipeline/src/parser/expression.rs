//! Expressions. One call of [`Parser::expr`] handles all binary operators with a stack of its own,
//! so that recursion follows brackets only.

use super::{MAX_DEPTH, Parsed, Parser};
use crate::ast::{
    Argument, BinaryOp, Call, Chain, Expr, ExprKind, Index, Name, PathPart, Slice, UnaryOp,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{Keyword, TokenKind};
use crate::span::Span;

/// How tightly an operator binds; `in` is weaker than comparison.
const fn level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And => 2,
        BinaryOp::In => 3,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual => 4,
        BinaryOp::Add | BinaryOp::Subtract => 5,
        BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder => 6,
    }
}

const fn binary_op(kind: &TokenKind) -> Option<BinaryOp> {
    Some(match kind {
        TokenKind::Plus => BinaryOp::Add,
        TokenKind::Minus => BinaryOp::Subtract,
        TokenKind::Star => BinaryOp::Multiply,
        TokenKind::Slash => BinaryOp::Divide,
        TokenKind::Percent => BinaryOp::Remainder,
        TokenKind::EqualEqual => BinaryOp::Equal,
        TokenKind::NotEqual => BinaryOp::NotEqual,
        TokenKind::Less => BinaryOp::Less,
        TokenKind::LessEqual => BinaryOp::LessEqual,
        TokenKind::Greater => BinaryOp::Greater,
        TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
        TokenKind::Keyword(Keyword::In) => BinaryOp::In,
        TokenKind::AndAnd => BinaryOp::And,
        TokenKind::OrOr => BinaryOp::Or,
        _ => return None,
    })
}

/// Appends an operator and its right operand; operators of one level share a chain.
fn combine(left: Expr, op: BinaryOp, span: Span, right: Expr) -> Expr {
    let whole = left.span.to(right.span);
    let kind = match left.kind {
        ExprKind::Chain(mut chain)
            if chain
                .rest
                .first()
                .is_some_and(|(first, ..)| level(*first) == level(op)) =>
        {
            chain.rest.push((op, span, right));
            ExprKind::Chain(chain)
        }
        kind => ExprKind::Chain(Box::new(Chain {
            first: Expr {
                kind,
                span: left.span,
            },
            rest: vec![(op, span, right)],
        })),
    };
    Expr { kind, span: whole }
}

impl Parser<'_> {
    /// An expression with operators of any precedence.
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.operators(1)
    }

    /// An expression without `||`, `&&` and `in` outside brackets.
    pub(super) fn expr_above_in(&mut self) -> Parsed<Expr> {
        self.operators(4)
    }

    fn operators(&mut self, lowest: u8) -> Parsed<Expr> {
        // Operands and operators still open, each operator binding tighter than the one before.
        let mut open: Vec<(Expr, BinaryOp, Span)> = Vec::new();
        let mut operand = self.unary()?;
        loop {
            let next = binary_op(self.peek()?).filter(|op| level(*op) >= lowest);
            let tightness = next.map_or(0, level);
            while let Some((left, op, span)) = open.pop_if(|(_, op, _)| level(*op) >= tightness) {
                operand = combine(left, op, span, operand);
            }
            let Some(op) = next else {
                return Ok(operand);
            };
            let span = self.take()?.span;
            self.line_ends()?;
            open.push((operand, op, span));
            operand = self.unary()?;
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let mut signs: Vec<(UnaryOp, Span)> = Vec::new();
        loop {
            let op = match self.peek()? {
                TokenKind::Not => UnaryOp::Not,
                TokenKind::Minus => UnaryOp::Minus,
                TokenKind::Plus => UnaryOp::Plus,
                _ => break,
            };
            let span = self.take()?.span;
            if self.depth + signs.len() >= MAX_DEPTH {
                return Err(Box::new(Diagnostic::new(
                    Code::TooDeep,
                    self.source,
                    span,
                    format!("nested more than {MAX_DEPTH} levels deep"),
                )));
            }
            signs.push((op, span));
        }
        self.depth += signs.len();
        self.deepest = self.deepest.max(self.depth);
        let mut operand = self.primary()?;
        self.depth -= signs.len();
        for (op, span) in signs.into_iter().rev() {
            let whole = span.to(operand.span);
            let kind = match (op, operand.kind) {
                (UnaryOp::Minus, ExprKind::Int(number)) => ExprKind::Int(number.wrapping_neg()),
                (UnaryOp::Minus, ExprKind::Float(number)) => ExprKind::Float(-number),
                (UnaryOp::Plus, kind @ (ExprKind::Int(_) | ExprKind::Float(_))) => kind,
                (_, kind) => ExprKind::Unary(
                    op,
                    Box::new(Expr {
                        kind,
                        span: operand.span,
                    }),
                ),
            };
            operand = Expr { kind, span: whole };
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.next_span()?;
        let kind = match self.peek()? {
            TokenKind::Name(_) => return self.named(start),
            TokenKind::Dot => return self.path_from_dot(start),
            TokenKind::Int(number) => ExprKind::Int(*number),
            TokenKind::Float(number) => ExprKind::Float(*number),
            TokenKind::Str(text) => ExprKind::Str(text.clone()),
            TokenKind::Keyword(Keyword::True) => ExprKind::Bool(true),
            TokenKind::Keyword(Keyword::False) => ExprKind::Bool(false),
            TokenKind::Keyword(Keyword::Nil) => ExprKind::Nil,
            TokenKind::OpenBracket => {
                let list = self.list(start)?;
                return self.slices(list);
            }
            TokenKind::OpenBrace => return self.map(start),
            TokenKind::OpenParen => return self.paren(start),
            _ => return Err(self.unexpected("an expression")),
        };
        self.take()?;
        self.slices(Expr { kind, span: start })
    }

    /// What begins with a name: the name, a call, an index, a path or a slice.
    fn named(&mut self, start: Span) -> Parsed<Expr> {
        let name = self.name()?;
        match self.peek()? {
            TokenKind::OpenParen => {
                let call = self.call(name)?;
                let span = start.to(self.end);
                self.slices(Expr {
                    kind: ExprKind::Call(Box::new(call)),
                    span,
                })
            }
            TokenKind::Dot => self.path(start, name, Vec::new()),
            TokenKind::OpenBracket => self.index_or_slice(start, name),
            _ => Ok(Expr {
                kind: ExprKind::Name(name.text),
                span: start,
            }),
        }
    }

    fn name(&mut self) -> Parsed<Name> {
        if !matches!(self.peek()?, TokenKind::Name(_)) {
            return Err(self.unexpected("a name"));
        }
        let token = self.take()?;
        match token.kind {
            TokenKind::Name(text) => Ok(Name {
                text,
                span: token.span,
            }),
            _ => Err(self.unexpected("a name")),
        }
    }

    fn index_or_slice(&mut self, start: Span, name: Name) -> Parsed<Expr> {
        let bracket = self.take()?.span;
        self.enter()?;
        self.line_ends()?;
        let first = if self.at(&TokenKind::Colon)? {
            None
        } else {
            Some(self.expr()?)
        };
        if self.at(&TokenKind::Colon)? {
            let object = Expr {
                kind: ExprKind::Name(name.text),
                span: start,
            };
            let slice = self.slice_rest(object, bracket, first)?;
            self.depth -= 1;
            return self.slices(slice);
        }
        let Some(expr) = first else {
            return Err(self.unexpected("an index"));
        };
        let mut indexes = vec![self.index_end(bracket, expr)?];
        self.depth -= 1;
        self.more_indexes(&mut indexes)?;
        if self.at(&TokenKind::Dot)? {
            return self.path(start, name, indexes);
        }
        Ok(Expr {
            span: start.to(self.end),
            kind: ExprKind::Index {
                base: name,
                indexes,
            },
        })
    }

    fn index_end(&mut self, bracket: Span, expr: Expr) -> Parsed<Index> {
        self.line_ends()?;
        if self.at(&TokenKind::End)? {
            return Err(self.unclosed(bracket, "["));
        }
        self.expect(&TokenKind::CloseBracket)?;
        Ok(Index { expr })
    }

    fn more_indexes(&mut self, indexes: &mut Vec<Index>) -> Parsed<()> {
        while self.at(&TokenKind::OpenBracket)? {
            let bracket = self.take()?.span;
            self.enter()?;
            self.line_ends()?;
            let expr = self.expr()?;
            indexes.push(self.index_end(bracket, expr)?);
            self.depth -= 1;
        }
        Ok(())
    }

    /// The parts after the first one of an attribute expression; the next token is a dot.
    fn path(&mut self, start: Span, name: Name, indexes: Vec<Index>) -> Parsed<Expr> {
        let mut parts = vec![PathPart {
            name: Some(name),
            indexes,
        }];
        self.path_rest(&mut parts)?;
        Ok(Expr {
            kind: ExprKind::Path(parts),
            span: start.to(self.end),
        })
    }

    fn path_rest(&mut self, parts: &mut Vec<PathPart>) -> Parsed<()> {
        while self.accept(&TokenKind::Dot)? {
            let name = self.name()?;
            let mut indexes = Vec::new();
            self.more_indexes(&mut indexes)?;
            parts.push(PathPart {
                name: Some(name),
                indexes,
            });
        }
        Ok(())
    }

    /// `.[0].c`
    fn path_from_dot(&mut self, start: Span) -> Parsed<Expr> {
        self.take()?;
        if !self.at(&TokenKind::OpenBracket)? {
            return Err(self.unexpected("`[`"));
        }
        let mut indexes = Vec::new();
        self.more_indexes(&mut indexes)?;
        let mut parts = vec![PathPart {
            name: None,
            indexes,
        }];
        self.path_rest(&mut parts)?;
        Ok(Expr {
            kind: ExprKind::Path(parts),
            span: start.to(self.end),
        })
    }

    /// Slices that follow something sliceable.
    fn slices(&mut self, mut object: Expr) -> Parsed<Expr> {
        let depth = self.depth;
        while self.at(&TokenKind::OpenBracket)? {
            let bracket = self.take()?.span;
            // Each slice wraps the one before, which is nesting as well.
            self.enter()?;
            self.line_ends()?;
            let first = if self.at(&TokenKind::Colon)? {
                None
            } else {
                Some(self.expr()?)
            };
            if !self.at(&TokenKind::Colon)? {
                let mut failure = self.unexpected("`:`");
                failure.help = Some("only names can be indexed; assign it to one first".to_owned());
                return Err(failure);
            }
            object = self.slice_rest(object, bracket, first)?;
        }
        self.depth = depth;
        Ok(object)
    }

    /// A slice from its first colon to its closing bracket.
    fn slice_rest(&mut self, object: Expr, bracket: Span, start: Option<Expr>) -> Parsed<Expr> {
        self.take()?;
        self.line_ends()?;
        let end = match self.peek()? {
            TokenKind::Colon | TokenKind::CloseBracket => None,
            _ => Some(self.expr()?),
        };
        let mut step = None;
        if self.accept(&TokenKind::Colon)? {
            self.line_ends()?;
            if !self.at(&TokenKind::CloseBracket)? {
                step = Some(self.expr()?);
            }
        }
        if self.at(&TokenKind::End)? {
            return Err(self.unclosed(bracket, "["));
        }
        self.expect(&TokenKind::CloseBracket)?;
        Ok(Expr {
            span: object.span.to(self.end),
            kind: ExprKind::Slice(Box::new(Slice {
                object,
                start,
                end,
                step,
                bracket,
            })),
        })
    }

    fn list(&mut self, start: Span) -> Parsed<Expr> {
        self.take()?;
        self.enter()?;
        self.line_ends()?;
        let mut items = Vec::new();
        while !self.at(&TokenKind::CloseBracket)? {
            items.push(self.expr()?);
            self.line_ends()?;
            if !self.accept(&TokenKind::Comma)? {
                break;
            }
            self.line_ends()?;
        }
        self.close(start, "[", &TokenKind::CloseBracket)?;
        self.depth -= 1;
        Ok(Expr {
            kind: ExprKind::List(items),
            span: start.to(self.end),
        })
    }

    fn map(&mut self, start: Span) -> Parsed<Expr> {
        self.take()?;
        self.enter()?;
        self.line_ends()?;
        let mut pairs = Vec::new();
        while !self.at(&TokenKind::CloseBrace)? {
            let key = self.expr()?;
            self.expect(&TokenKind::Colon)?;
            self.line_ends()?;
            pairs.push((key, self.expr()?));
            if !self.accept(&TokenKind::Comma)? {
                self.line_ends()?;
                break;
            }
            self.line_ends()?;
        }
        self.close(start, "{", &TokenKind::CloseBrace)?;
        self.depth -= 1;
        Ok(Expr {
            kind: ExprKind::Map(pairs),
            span: start.to(self.end),
        })
    }

    fn paren(&mut self, start: Span) -> Parsed<Expr> {
        self.take()?;
        self.enter()?;
        self.line_ends()?;
        let inner = self.expr()?;
        self.line_ends()?;
        self.close(start, "(", &TokenKind::CloseParen)?;
        self.depth -= 1;
        Ok(Expr {
            kind: ExprKind::Paren(Box::new(inner)),
            span: start.to(self.end),
        })
    }

    fn close(&mut self, open: Span, bracket: &str, kind: &TokenKind) -> Parsed<Span> {
        if self.at(&TokenKind::End)? {
            return Err(self.unclosed(open, bracket));
        }
        self.expect(kind)
    }

    fn call(&mut self, name: Name) -> Parsed<Call> {
        let open = self.take()?.span;
        self.enter()?;
        self.line_ends()?;
        let mut arguments = Vec::new();
        while !self.at(&TokenKind::CloseParen)? {
            arguments.push(self.argument()?);
            if !self.accept(&TokenKind::Comma)? {
                self.line_ends()?;
                break;
            }
            self.line_ends()?;
        }
        self.close(open, "(", &TokenKind::CloseParen)?;
        self.depth -= 1;
        Ok(Call { name, arguments })
    }

    fn argument(&mut self) -> Parsed<Argument> {
        let value = self.expr()?;
        if self.at(&TokenKind::Assign)?
            && let ExprKind::Name(text) = value.kind
        {
            self.take()?;
            self.line_ends()?;
            return Ok(Argument {
                name: Some(Name {
                    text,
                    span: value.span,
                }),
                value: self.expr()?,
            });
        }
        Ok(Argument { name: None, value })
    }
}
