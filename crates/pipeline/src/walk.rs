//! Runs compiled scripts by walking their statements: scopes, loops, and scripts called by scripts.
//! Expressions are evaluated in [`crate::eval`].

use kafkamq_point::Point;

use crate::ast::BinaryOp;
use crate::context::RunContext;
use crate::diagnostic::Code as ErrorCode;
use crate::error::RunError;
use crate::ir::{Block, ForInOp, ForOp, IfOp, Key, Node, Op, SlotRange};
use crate::ops;
use crate::script::Unit;
use crate::span::Span;
use crate::stack;
use crate::state::Marks;
use crate::value::Value;

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
    Exit,
}

/// Maps of up to this many keys are walked without a charge for the list of these.
const FEW_KEYS: usize = 64;

impl RunContext<'_> {
    /// Runs the script of this context from its first statement.
    pub(crate) fn run_unit(&mut self) -> Result<(), RunError> {
        let set = self.set;
        let Some(unit) = set.units.get(self.unit) else {
            return Ok(());
        };
        let Some(code) = &unit.code else {
            return Ok(());
        };
        let frame = self.base + code.slot_count as usize;
        if self.state.slots.len() < frame {
            self.state.slots.resize_with(frame, || None);
        }
        let result = stack::levels_of(self.levels, code.levels, || self.block(&code.body));
        self.state.slots.truncate(self.base);
        result.map(|_| ()).map_err(|mut error| {
            error.leave(&unit.source);
            error
        })
    }

    /// Runs another script of the set on the current point, with variables of its own.
    pub(crate) fn use_unit(&mut self, unit: usize, call: Span) -> Result<(), RunError> {
        let exited = self.state.marks.exited;
        let result = self.nested(unit, call, None);
        // `exit` there ends only the script there.
        self.state.marks.exited = exited;
        result
    }

    /// Runs another script of the set on another point; tells whether it was dropped.
    pub(crate) fn run_on(
        &mut self,
        unit: usize,
        call: Span,
        point: &mut Point,
    ) -> Result<bool, RunError> {
        let marks = std::mem::take(&mut self.state.marks);
        let result = self.nested(unit, call, Some(point));
        let inner: Marks = std::mem::replace(&mut self.state.marks, marks);
        result.map(|()| inner.dropped)
    }

    fn nested(
        &mut self,
        unit: usize,
        call: Span,
        point: Option<&mut Point>,
    ) -> Result<(), RunError> {
        let base = self.state.slots.len();
        let set = self.set;
        let own = set.units.get(unit).map_or(0, Unit::levels);
        let levels = self.levels + stack::CALL + own;
        if levels > stack::MAX_LEVELS {
            let message = format!(
                "the scripts that called each other to here nest {levels} levels deep, more than {}",
                stack::MAX_LEVELS
            );
            return Err(RunError::new(ErrorCode::TooDeep, call, message));
        }
        let mut inner = RunContext {
            set,
            unit,
            root: self.root,
            base,
            levels,
            point: point.unwrap_or(self.point),
            state: self.state,
        };
        let since = inner.state.memory.part();
        let result = inner.run_unit();
        inner.state.memory.rejoin(since);
        result.map_err(|mut error| {
            if let Some(caller) = set.units.get(self.unit) {
                error.called_from(&caller.source, call);
            }
            error
        })
    }

    fn forget(&mut self, range: SlotRange) {
        let first = self.base + range.first as usize;
        for slot in self
            .state
            .slots
            .iter_mut()
            .skip(first)
            .take(range.count as usize)
        {
            *slot = None;
        }
    }

    fn block(&mut self, block: &Block) -> Result<Flow, RunError> {
        if block.slots.count > 0 {
            self.forget(block.slots);
        }
        self.ops(&block.ops)
    }

    fn ops(&mut self, ops: &[Op]) -> Result<Flow, RunError> {
        for op in ops {
            if let Err(spent) = self.state.meter.one() {
                return Err(RunError::spent(spent, op_span(op)));
            }
            self.state.memory.mark = self.state.memory.left;
            let flow = self.op(op)?;
            if self.state.marks.exited {
                return Ok(Flow::Exit);
            }
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn op(&mut self, op: &Op) -> Result<Flow, RunError> {
        match op {
            Op::Eval(node) => {
                self.eval(node)?;
            }
            Op::Store { target, own, value } => {
                let value = self.eval(value)?;
                self.store(target, *own, value);
            }
            Op::Update {
                target,
                own,
                op,
                span,
                value,
            } => {
                let value = self.eval(value)?;
                self.update(target, *own, *op, *span, &value)?;
            }
            Op::StoreIndex {
                target,
                op,
                span,
                value,
            } => {
                let value = self.eval(value)?;
                self.store_index(target, op.map(|op| (op, *span)), value)?;
            }
            Op::If(op) => return self.branch(op),
            Op::ForIn(op) => return self.for_in(op),
            Op::For(op) => return self.counted_for(op),
            Op::Break => return Ok(Flow::Break),
            Op::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, op: &IfOp) -> Result<Flow, RunError> {
        for (condition, block) in &op.branches {
            if self.eval_truth(condition)? {
                return self.block(block);
            }
        }
        match &op.otherwise {
            Some(block) => self.block(block),
            None => Ok(Flow::Next),
        }
    }

    /// Overwrites the variable if one of the enclosing blocks has it, else makes it in this one.
    fn store(&mut self, target: &Key, own: u32, value: Value) {
        let base = self.base;
        let known = target
            .slots
            .iter()
            .copied()
            .find(|&slot| matches!(self.state.slots.get(base + slot as usize), Some(Some(_))));
        if let Some(place) = self
            .state
            .slots
            .get_mut(base + known.unwrap_or(own) as usize)
        {
            *place = Some(value);
        }
    }

    /// `name op= value`: an unknown name stays unknown.
    fn update(
        &mut self,
        target: &Key,
        own: u32,
        op: BinaryOp,
        span: Span,
        value: &Value,
    ) -> Result<(), RunError> {
        let Some(old) = self.read(target) else {
            return Ok(());
        };
        if let (Value::Str(a), Value::Str(b)) = (&old, value) {
            self.charge(a.len() + b.len(), span)?;
        }
        let new = ops::binary(op, old, value, &self.state.meter)
            .map_err(|(code, message)| RunError::new(code, span, message))?;
        self.store(target, own, new);
        Ok(())
    }

    fn for_in(&mut self, op: &ForInOp) -> Result<Flow, RunError> {
        let source = self.eval(&op.source)?;
        let walked = source.is_container();
        if walked {
            self.state.walked.push(source.clone());
            self.state.memory.mark = self.state.memory.left;
        }
        // What a text took stays taken while the statements inside begin and end.
        let since = self.state.memory.part();
        let flow = self.rounds(op, source)?;
        self.state.memory.rejoin(since);
        if walked {
            self.state.walked.pop();
        }
        Ok(flow)
    }

    fn rounds(&mut self, op: &ForInOp, source: Value) -> Result<Flow, RunError> {
        match source {
            Value::List(list) => {
                for at in 0..list.len() {
                    let item = list.get(at).unwrap_or_default();
                    self.charge_copy(&item, op.source.span)?;
                    match self.round(op, item)? {
                        Flow::Break => break,
                        Flow::Exit => return Ok(Flow::Exit),
                        _ => {}
                    }
                }
            }
            Value::Map(map) => {
                let keys = map.keys();
                if keys.len() > FEW_KEYS {
                    let texts: usize = keys.iter().map(|key| size_of::<Value>() + key.len()).sum();
                    self.charge(texts, op.source.span)?;
                }
                for key in keys {
                    match self.round(op, Value::Str(key))? {
                        Flow::Break => break,
                        Flow::Exit => return Ok(Flow::Exit),
                        _ => {}
                    }
                }
            }
            Value::Str(text) => {
                for c in text.chars() {
                    let mut buffer = [0; 4];
                    match self.round(op, Value::str(c.encode_utf8(&mut buffer)))? {
                        Flow::Break => break,
                        Flow::Exit => return Ok(Flow::Exit),
                        _ => {}
                    }
                }
            }
            other => {
                return Err(RunError::new(
                    ErrorCode::NotIterable,
                    op.source.span,
                    format!(
                        "a loop walks a list, a map or a str, not {}",
                        other.type_name()
                    ),
                ));
            }
        }
        Ok(Flow::Next)
    }

    /// One round: the scope of variable and body is emptied first.
    fn round(&mut self, op: &ForInOp, item: Value) -> Result<Flow, RunError> {
        self.step(1, op.source.span)?;
        self.forget(op.body.slots);
        self.store(&op.target, op.own, item);
        self.ops(&op.body.ops)
    }

    fn counted_for(&mut self, op: &ForOp) -> Result<Flow, RunError> {
        self.forget(op.header);
        if let Some(init) = &op.init {
            self.op(init)?;
        }
        loop {
            if self.state.marks.exited {
                return Ok(Flow::Exit);
            }
            self.step(
                1,
                op.condition
                    .as_ref()
                    .map_or_else(Span::default, |node| node.span),
            )?;
            if let Some(condition) = &op.condition
                && !self.eval_truth(condition)?
            {
                return Ok(Flow::Next);
            }
            match self.block(&op.body)? {
                Flow::Break => return Ok(Flow::Next),
                Flow::Exit => return Ok(Flow::Exit),
                _ => {}
            }
            if let Some(step) = &op.step {
                self.op(step)?;
            }
        }
    }
}

/// Where a statement stands, for budget errors.
#[cold]
fn op_span(op: &Op) -> Span {
    let node: &Node = match op {
        Op::Eval(node) => node,
        Op::Store { value, .. } | Op::Update { value, .. } | Op::StoreIndex { value, .. } => value,
        Op::If(op) => match op.branches.first() {
            Some((condition, _)) => condition,
            None => return Span::default(),
        },
        Op::ForIn(op) => &op.source,
        Op::For(_) | Op::Break | Op::Continue => return Span::default(),
    };
    node.span
}
