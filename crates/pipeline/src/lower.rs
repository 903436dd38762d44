//! Checks a syntax tree and compiles it in the same walk, so that errors come in source order and
//! every check sees resolved names.
//!
//! Variables become slots. A block's variables are those assigned directly in it; which of several
//! nested variables of one name is meant can depend on the run, so a name carries the slots of all
//! enclosing blocks that may have it, innermost first.

mod call;
mod expression;

use std::any::Any;
use std::sync::Arc;

use kafkamq_point::Text;
use smallvec::SmallVec;

use crate::ast::{Assign, BinaryOp, Expr, ExprKind, Script, Statement, StatementKind};
use crate::diagnostic::{Code as ErrorCode, Diagnostic};
use crate::engine::Engine;
use crate::functions::Effects;
use crate::ir::{Block, Code, ForInOp, ForOp, IfOp, IndexNode, Key, Op, SlotRange};
use crate::span::{Source, Span};
use crate::state::key_text;

/// A compiled script, and the scripts it uses: name and place of the call.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) code: Code,
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) uses: Vec<(usize, Span)>,
    /// Those of the functions it calls, not of the scripts it uses.
    pub(crate) effects: Effects,
}

/// Checks and compiles a script. `find` gives the numbers of the scripts of the same set.
pub(crate) fn lower(
    engine: &Engine,
    source: &Source,
    script: &Script,
    find: &dyn Fn(&str) -> Option<usize>,
) -> Lowered {
    let mut lowerer = Lowerer {
        engine,
        source,
        find,
        errors: Vec::new(),
        scopes: Vec::new(),
        slot_top: 0,
        slot_count: 0,
        loops: 0,
        definitions: Vec::new(),
        uses: Vec::new(),
        effects: Effects::PURE,
    };
    let body = crate::stack::levels(script.levels, || lowerer.block(&script.statements, None));
    Lowered {
        code: Code {
            body,
            levels: script.levels,
            slot_count: lowerer.slot_count,
        },
        errors: lowerer.errors,
        uses: lowerer.uses,
        effects: lowerer.effects,
    }
}

/// Definitions made in one block by check hooks, such as grok patterns.
type Definitions = Vec<(Text, Arc<dyn Any + Send + Sync>)>;

struct Lowerer<'l> {
    engine: &'l Engine,
    source: &'l Source,
    find: &'l dyn Fn(&str) -> Option<usize>,
    errors: Vec<Diagnostic>,
    /// The variables of the open blocks, innermost last.
    scopes: Vec<Scope>,
    slot_top: u32,
    slot_count: u32,
    loops: u32,
    definitions: Vec<Definitions>,
    uses: Vec<(usize, Span)>,
    effects: Effects,
}

struct Scope {
    first: u32,
    names: Vec<Text>,
}

/// The names a statement assigns in the block it stands in.
fn assigned(statement: &Statement, names: &mut Vec<Text>) {
    if let StatementKind::Assign(assign) = &statement.kind
        && let [
            Expr {
                kind: ExprKind::Name(name),
                ..
            },
        ] = assign.targets.as_slice()
    {
        let name = key_text(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

impl Lowerer<'_> {
    fn error(&mut self, code: ErrorCode, span: Span, message: impl Into<String>) {
        self.error_with(code, span, message, None);
    }

    fn error_with(
        &mut self,
        code: ErrorCode,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.errors
            .push(Diagnostic::new(code, self.source, span, message).with_help(help));
    }

    fn open_scope(&mut self, names: Vec<Text>) -> SlotRange {
        let range = SlotRange {
            first: self.slot_top,
            count: u32::try_from(names.len()).unwrap_or(u32::MAX),
        };
        self.slot_top = self.slot_top.saturating_add(range.count);
        self.slot_count = self.slot_count.max(self.slot_top);
        self.scopes.push(Scope {
            first: range.first,
            names,
        });
        self.definitions.push(Vec::new());
        range
    }

    fn close_scope(&mut self) {
        self.definitions.pop();
        if let Some(scope) = self.scopes.pop() {
            self.slot_top = scope.first;
        }
    }

    /// A block with its own scope; it holds `variable` and the variables that its statements assign.
    fn block(&mut self, statements: &[Statement], variable: Option<&str>) -> Block {
        let mut names: Vec<Text> = variable.map(key_text).into_iter().collect();
        for statement in statements {
            assigned(statement, &mut names);
        }
        let slots = self.open_scope(names);
        let ops = statements
            .iter()
            .filter_map(|statement| self.statement(statement))
            .collect();
        self.close_scope();
        Block { slots, ops }
    }

    /// A name with the slots it can mean.
    fn key(&self, name: Text) -> Key {
        let slots: SmallVec<[u32; 4]> = self
            .scopes
            .iter()
            .rev()
            .filter_map(|scope| {
                let at = scope.names.iter().position(|known| *known == name)?;
                Some(scope.first + u32::try_from(at).unwrap_or(0))
            })
            .collect();
        Key { name, slots }
    }

    fn statement(&mut self, statement: &Statement) -> Option<Op> {
        match &statement.kind {
            StatementKind::Expression(expr) => Some(Op::Eval(self.value(expr))),
            StatementKind::Assign(assign) => self.assign(assign),
            StatementKind::If {
                branches,
                otherwise,
            } => {
                let branches = branches
                    .iter()
                    .map(|(condition, block)| (self.value(condition), self.block(block, None)))
                    .collect();
                let otherwise = otherwise.as_ref().map(|block| self.block(block, None));
                Some(Op::If(Box::new(IfOp {
                    branches,
                    otherwise,
                })))
            }
            StatementKind::ForIn {
                target,
                source,
                body,
            } => self.for_in(target, source, body),
            StatementKind::For {
                init,
                condition,
                step,
                body,
            } => Some(self.counted_for(init.as_deref(), condition.as_ref(), step.as_deref(), body)),
            StatementKind::Break | StatementKind::Continue => {
                let is_break = matches!(statement.kind, StatementKind::Break);
                if self.loops == 0 {
                    let word = if is_break { "break" } else { "continue" };
                    self.error(
                        ErrorCode::OutsideLoop,
                        statement.span,
                        format!("`{word}` outside a loop"),
                    );
                }
                Some(if is_break { Op::Break } else { Op::Continue })
            }
        }
    }

    fn for_in(&mut self, target: &Expr, source: &Expr, body: &[Statement]) -> Option<Op> {
        let name = target.as_name();
        if name.is_none() {
            self.error(
                ErrorCode::LoopHeader,
                target.start(),
                format!(
                    "the loop variable has to be a name, not {}",
                    target.describe()
                ),
            );
        }
        if matches!(
            source.kind,
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Nil
        ) {
            self.error(
                ErrorCode::LoopHeader,
                source.start(),
                format!(
                    "a loop walks a list, a map or a str, not {}",
                    source.describe()
                ),
            );
        }
        let source = self.value(source);
        self.loops += 1;
        // The variable's own slot is the first of the body's scope.
        let own = self.slot_top;
        let name = name.unwrap_or_default();
        let body = self.block(body, Some(name));
        self.loops -= 1;
        let mut target = self.key(key_text(name));
        target.slots.insert(0, own);
        Some(Op::ForIn(Box::new(ForInOp {
            target,
            own,
            source,
            body,
        })))
    }

    fn counted_for(
        &mut self,
        init: Option<&Statement>,
        condition: Option<&Expr>,
        step: Option<&Statement>,
        body: &[Statement],
    ) -> Op {
        let mut names = Vec::new();
        for statement in [init, step].into_iter().flatten() {
            assigned(statement, &mut names);
        }
        let header = self.open_scope(names);
        let init = init.and_then(|statement| self.statement(statement));
        let condition = condition.map(|condition| self.value(condition));
        self.loops += 1;
        let body = self.block(body, None);
        self.loops -= 1;
        let step = step.and_then(|statement| self.statement(statement));
        self.close_scope();
        Op::For(Box::new(ForOp {
            header,
            init,
            condition,
            step,
            body,
        }))
    }

    fn assign(&mut self, assign: &Assign) -> Option<Op> {
        let [target] = assign.targets.as_slice() else {
            return self.several_targets(assign);
        };
        let [value] = assign.values.as_slice() else {
            return self.several_targets(assign);
        };
        match &target.kind {
            ExprKind::Name(name) => {
                let target = self.key(key_text(name));
                let own = target.slots.first().copied().unwrap_or(0);
                let value = self.value(value);
                Some(match assign.operator {
                    None => Op::Store { target, own, value },
                    Some(op) => Op::Update {
                        target,
                        own,
                        op,
                        span: assign.operator_span,
                        value,
                    },
                })
            }
            ExprKind::Index { base, indexes } => {
                let target = IndexNode {
                    base: self.key(key_text(&base.text)),
                    base_span: base.span,
                    indexes: indexes
                        .iter()
                        .map(|index| self.value(&index.expr))
                        .collect(),
                };
                let value = self.value(value);
                Some(Op::StoreIndex {
                    target: Box::new(target),
                    op: assign.operator,
                    span: assign.operator_span,
                    value,
                })
            }
            _ => {
                self.value(target);
                self.error_with(
                    ErrorCode::AssignTarget,
                    assign.operator_span,
                    format!("{} cannot be assigned to", target.describe()),
                    matches!(target.kind, ExprKind::Path(_))
                        .then(|| "write keys of the point with `add_key(a.b, value)`".to_owned()),
                );
                self.value(value);
                None
            }
        }
    }

    fn several_targets(&mut self, assign: &Assign) -> Option<Op> {
        for expr in assign.targets.iter().chain(&assign.values) {
            self.value(expr);
        }
        self.error(
            ErrorCode::AssignTarget,
            assign.operator_span,
            "an assignment has one target and one value",
        );
        None
    }

    /// Whether an operator divides by a literal zero.
    fn check_divisor(&mut self, op: BinaryOp, right: &Expr) {
        if matches!(op, BinaryOp::Divide | BinaryOp::Remainder) && right.as_number() == Some(0.0) {
            self.error(
                ErrorCode::ZeroDivisor,
                right.start(),
                "division by a literal zero",
            );
        }
    }
}
