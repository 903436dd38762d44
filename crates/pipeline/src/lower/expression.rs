//! Expressions.

use super::Lowerer;
use crate::ast::{BinaryOp, Chain, Expr, ExprKind, Slice};
use crate::diagnostic::Code as ErrorCode;
use crate::ir::{IndexNode, Link, Node, NodeKind, SliceNode};
use crate::state::key_text;
use crate::value::Constant;

impl Lowerer<'_> {
    /// An expression that is evaluated.
    pub(super) fn value(&mut self, expr: &Expr) -> Node {
        let kind = match &expr.kind {
            ExprKind::Nil => NodeKind::Constant(Constant::Nil),
            ExprKind::Bool(truth) => NodeKind::Constant(Constant::Bool(*truth)),
            ExprKind::Int(number) => NodeKind::Constant(Constant::Int(*number)),
            ExprKind::Float(number) => NodeKind::Constant(Constant::Float(*number)),
            ExprKind::Str(text) => NodeKind::Constant(Constant::Str(text.clone())),
            ExprKind::Name(name) => NodeKind::Load(Box::new(self.key(key_text(name)))),
            ExprKind::Path(parts) => {
                if parts.first().is_some_and(|part| part.name.is_none()) {
                    self.error(
                        ErrorCode::PathValue,
                        expr.start(),
                        "a path that begins with `.` means something only in `json`",
                    );
                }
                NodeKind::Constant(Constant::Nil)
            }
            ExprKind::Index { base, indexes } => NodeKind::Index(Box::new(IndexNode {
                base: self.key(key_text(&base.text)),
                base_span: base.span,
                indexes: indexes
                    .iter()
                    .map(|index| self.value(&index.expr))
                    .collect(),
            })),
            ExprKind::List(items) => {
                NodeKind::List(items.iter().map(|item| self.value(item)).collect())
            }
            ExprKind::Map(pairs) => NodeKind::Map(
                pairs
                    .iter()
                    .map(|(key, value)| (self.map_key(key), self.value(value)))
                    .collect(),
            ),
            ExprKind::Paren(inner) => {
                let mut node = self.value(inner);
                node.span = expr.start();
                return node;
            }
            ExprKind::Call(call) => match self.call(call) {
                Some(site) => NodeKind::Call(Box::new(site)),
                None => NodeKind::Constant(Constant::Nil),
            },
            ExprKind::Slice(slice) => NodeKind::Slice(Box::new(self.slice(slice))),
            ExprKind::Unary(op, inner) => NodeKind::Unary(*op, Box::new(self.value(inner))),
            ExprKind::Chain(chain) => self.chain(chain),
        };
        Node {
            kind,
            span: expr.start(),
        }
    }

    fn map_key(&mut self, key: &Expr) -> Node {
        if matches!(
            key.kind,
            ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::Bool(_)
                | ExprKind::Nil
                | ExprKind::List(_)
                | ExprKind::Map(_)
        ) {
            self.error(
                ErrorCode::MapKey,
                key.start(),
                format!("a map key has to be a str, not {}", key.describe()),
            );
        }
        self.value(key)
    }

    fn chain(&mut self, chain: &Chain) -> NodeKind {
        let logic = matches!(chain.rest.first(), Some((BinaryOp::And | BinaryOp::Or, ..)));
        let membership = matches!(chain.rest.first(), Some((BinaryOp::In, ..)));
        // The right side of `in` is checked first.
        let mut rest: Vec<Link> = Vec::with_capacity(chain.rest.len());
        let mut first = None;
        if !membership {
            first = Some(self.value(&chain.first));
        }
        for (op, span, right) in &chain.rest {
            self.check_divisor(*op, right);
            rest.push(Link {
                op: *op,
                span: *span,
                right: self.value(right),
            });
        }
        let first = Box::new(match first {
            Some(first) => first,
            None => self.value(&chain.first),
        });
        if logic {
            NodeKind::Logic(first, rest.into())
        } else {
            NodeKind::Chain(first, rest.into())
        }
    }

    fn slice(&mut self, slice: &Slice) -> SliceNode {
        let object = self.value(&slice.object);
        let mut bound = |bound: Option<&Expr>| {
            bound.map(|bound| {
                if matches!(
                    bound.kind,
                    ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::List(_)
                ) {
                    self.error(
                        ErrorCode::SliceBound,
                        bound.start(),
                        format!("a slice bound has to be an int, not {}", bound.describe()),
                    );
                }
                self.value(bound)
            })
        };
        SliceNode {
            start: bound(slice.start.as_ref()),
            end: bound(slice.end.as_ref()),
            step: bound(slice.step.as_ref()),
            object,
        }
    }
}
