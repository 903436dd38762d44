//! Evaluates expressions.

use crate::args::Args;
use crate::ast::{BinaryOp, UnaryOp};
use crate::context::RunContext;
use crate::diagnostic::Code;
use crate::error::RunError;
use crate::ir::{CallSite, IndexNode, Key, Link, Node, NodeKind, SliceNode};
use crate::meter::Meter;
use crate::ops::{self, Refusal};
use crate::span::Span;
use crate::value::{Constant, List, Map, Value};

/// Results up to this many bytes are not charged one by one; a step covers them.
const FREE_BYTES: usize = 64;

impl RunContext<'_> {
    /// Evaluates an expression.
    pub(crate) fn eval(&mut self, node: &Node) -> Result<Value, RunError> {
        match &node.kind {
            NodeKind::Constant(constant) => Ok(constant.value()),
            NodeKind::Load(key) => {
                let value = self.read_unpaid(key).unwrap_or_default();
                self.charge_copy(&value, node.span)?;
                Ok(value)
            }
            NodeKind::Index(index) => self.eval_index(index),
            NodeKind::Call(site) => self.eval_call(site),
            NodeKind::Chain(first, rest) => self.eval_chain(first, rest),
            NodeKind::Logic(first, rest) => self.eval_logic(first, rest),
            NodeKind::List(items) => self.eval_list(items, node.span),
            NodeKind::Map(pairs) => self.eval_map(pairs, node.span),
            NodeKind::Slice(slice) => self.eval_slice(slice),
            NodeKind::Unary(op, inner) => self.eval_unary(*op, inner, node.span),
        }
    }

    /// Charges a copy of a long text, which a list may keep.
    #[inline]
    pub(crate) fn charge_copy(&mut self, value: &Value, span: Span) -> Result<(), RunError> {
        match value {
            Value::Str(text) if text.len() > FREE_BYTES => self.charge(text.len(), span),
            _ => Ok(()),
        }
    }

    /// The truth of a condition; a name is looked at in place.
    pub(crate) fn eval_truth(&mut self, node: &Node) -> Result<bool, RunError> {
        if let NodeKind::Load(key) = &node.kind
            && let Some(value) = self.variable(key)
        {
            return Ok(value.truth());
        }
        Ok(self.eval(node)?.truth())
    }

    #[inline(never)]
    fn eval_unary(&mut self, op: UnaryOp, inner: &Node, span: Span) -> Result<Value, RunError> {
        let value = self.eval(inner)?;
        ops::unary(op, &value).map_err(|refusal| at(refusal, span))
    }

    #[inline(never)]
    fn eval_list(&mut self, items: &[Node], span: Span) -> Result<Value, RunError> {
        self.charge(64 + items.len() * size_of::<Value>(), span)?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(item)?);
        }
        Ok(Value::List(List::new(values)))
    }

    #[inline(never)]
    fn eval_map(&mut self, pairs: &[(Node, Node)], span: Span) -> Result<Value, RunError> {
        self.charge(64 + pairs.len() * 2 * size_of::<Value>(), span)?;
        let map = Map::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Value::Str(name) = self.eval(key)? else {
                return Err(RunError::new(
                    Code::MapKey,
                    key.span,
                    "a map key has to be a str",
                ));
            };
            let element = self.eval(value)?;
            if value.yields_nothing() {
                return Err(RunError::new(
                    Code::FunctionFailed,
                    value.span,
                    "this function has no result to put into a map",
                ));
            }
            map.insert(name, element);
        }
        Ok(Value::Map(map))
    }

    fn eval_chain(&mut self, first: &Node, rest: &[Link]) -> Result<Value, RunError> {
        let mut left = self.eval(first)?;
        for link in rest {
            // Comparing with a constant needs no copy of it.
            let result = match &link.right.kind {
                NodeKind::Constant(Constant::Str(text)) if link.op == BinaryOp::Equal => {
                    Ok(Value::Bool(left.as_str() == Some(text)))
                }
                NodeKind::Constant(Constant::Str(text)) if link.op == BinaryOp::NotEqual => {
                    Ok(Value::Bool(left.as_str() != Some(text)))
                }
                _ => {
                    let right = self.eval(&link.right)?;
                    if let (BinaryOp::Add, Value::Str(a), Value::Str(b)) = (link.op, &left, &right)
                        && a.len() + b.len() > FREE_BYTES
                    {
                        self.charge(a.len() + b.len(), link.span)?;
                    }
                    ops::binary(link.op, left, &right, &self.state.meter)
                }
            };
            left = result.map_err(|refusal| at(refusal, link.span))?;
        }
        Ok(left)
    }

    #[inline(never)]
    fn eval_logic(&mut self, first: &Node, rest: &[Link]) -> Result<Value, RunError> {
        let mut left = self.eval(first)?;
        for link in rest {
            let decided = link.op == BinaryOp::Or;
            if left.as_bool() == Some(decided) {
                left = Value::Bool(decided);
                continue;
            }
            let right = self.eval(&link.right)?;
            let (Value::Bool(_), Value::Bool(truth)) = (&left, &right) else {
                return Err(RunError::new(
                    Code::Operands,
                    link.span,
                    format!(
                        "`{}` takes bools, not {} and {}",
                        link.op.symbol(),
                        left.type_name(),
                        right.type_name()
                    ),
                ));
            };
            left = Value::Bool(*truth);
        }
        Ok(left)
    }

    /// The container an index expression starts from.
    fn index_base(&self, key: &Key, span: Span) -> Result<Value, RunError> {
        match self.variable(key) {
            Some(value @ (Value::List(_) | Value::Map(_))) => Ok(value.clone()),
            Some(other) => Err(not_container(span, &key.name, other.type_name())),
            None => Err(match self.point_value(&key.name) {
                Some(value) => not_container(span, &key.name, value.type_name())
                    .with_help("keys of the point hold text; `load_json` makes a map of it"),
                None => RunError::new(
                    Code::BadIndex,
                    span,
                    format!("`{}` is not defined", key.name),
                ),
            }),
        }
    }

    fn eval_index(&mut self, index: &IndexNode) -> Result<Value, RunError> {
        // One constant key of a map in a variable: what most index expressions are.
        if let [
            Node {
                kind: NodeKind::Constant(Constant::Str(key)),
                ..
            },
        ] = &*index.indexes
            && let Some(Value::Map(map)) = self.variable(&index.base)
        {
            let value = map.get(key).unwrap_or_default();
            self.charge_copy(&value, index.base_span)?;
            return Ok(value);
        }
        let mut current = self.index_base(&index.base, index.base_span)?;
        for node in &index.indexes {
            current = match self.element(&current, node)? {
                Some(value) => value,
                None => return Ok(Value::Nil),
            };
        }
        self.charge_copy(&current, index.base_span)?;
        Ok(current)
    }

    /// One element of a container; `None` for a missing key of a map.
    fn element(&mut self, container: &Value, node: &Node) -> Result<Option<Value>, RunError> {
        match container {
            Value::Map(map) => {
                if let NodeKind::Constant(Constant::Str(key)) = &node.kind {
                    return Ok(map.get(key));
                }
                match self.eval(node)? {
                    Value::Str(key) => Ok(map.get(&key)),
                    other => Err(bad_index(node.span, "map", "str", &other)),
                }
            }
            Value::List(list) => {
                let at = self.list_position(list, node)?;
                Ok(list.get(at))
            }
            other => Err(RunError::new(
                Code::BadIndex,
                node.span,
                format!("{} has no elements", other.type_name()),
            )),
        }
    }

    fn list_position(&mut self, list: &List, node: &Node) -> Result<usize, RunError> {
        let at = match self.eval(node)? {
            Value::Int(at) => at,
            other => return Err(bad_index(node.span, "list", "int", &other)),
        };
        let length = list.len();
        let position = if at < 0 {
            at.checked_add(i64::try_from(length).unwrap_or(i64::MAX))
        } else {
            Some(at)
        };
        position
            .and_then(|at| usize::try_from(at).ok())
            .filter(|&at| at < length)
            .ok_or_else(|| {
                RunError::new(
                    Code::BadIndex,
                    node.span,
                    format!("index {at} is out of range for a list of {length}"),
                )
            })
    }

    /// `name[..] = value`, or `name[..] op= value` when there is an operator.
    pub(crate) fn store_index(
        &mut self,
        target: &IndexNode,
        op: Option<(BinaryOp, Span)>,
        value: Value,
    ) -> Result<(), RunError> {
        let mut container = self.index_base(&target.base, target.base_span)?;
        let Some((last, path)) = target.indexes.split_last() else {
            return Ok(());
        };
        for node in path {
            container = self
                .element(&container, node)?
                .ok_or_else(|| RunError::new(Code::BadIndex, node.span, "there is no such key"))?;
        }
        let combine = |old: Option<Value>, new: Value, meter: &Meter| match op {
            None => Ok(new),
            Some((op, span)) => ops::binary(op, old.unwrap_or_default(), &new, meter)
                .map_err(|refusal| at(refusal, span)),
        };
        if value.is_container() {
            // They stay until the run ends.
            self.keep(size_of::<Value>(), target.base_span)?;
            self.state.knots.push(container.clone());
        }
        match &container {
            Value::Map(map) => match self.eval(last)? {
                Value::Str(key) => {
                    let value = combine(map.get(&key), value, &self.state.meter)?;
                    if op.is_some() {
                        self.charge(value.as_str().map_or(0, str::len), last.span)?;
                    }
                    self.charge(2 * size_of::<Value>() + key.len(), last.span)?;
                    map.insert(key, value);
                }
                other => return Err(bad_index(last.span, "map", "str", &other)),
            },
            Value::List(list) => {
                let position = self.list_position(list, last)?;
                let value = combine(list.get(position), value, &self.state.meter)?;
                if op.is_some() {
                    self.charge(value.as_str().map_or(0, str::len), last.span)?;
                }
                list.set(position, value);
            }
            other => {
                return Err(RunError::new(
                    Code::BadIndex,
                    last.span,
                    format!("{} has no elements", other.type_name()),
                ));
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn eval_slice(&mut self, slice: &SliceNode) -> Result<Value, RunError> {
        let object = self.eval(&slice.object)?;
        if !matches!(object, Value::Str(_) | Value::List(_)) {
            return Err(RunError::new(
                Code::BadSlice,
                slice.object.span,
                format!("{} cannot be sliced", object.type_name()),
            ));
        }
        let start = self.bound(slice.start.as_ref())?;
        let end = self.bound(slice.end.as_ref())?;
        let step = self.bound(slice.step.as_ref())?;
        let step_span = slice
            .step
            .as_ref()
            .map_or(slice.object.span, |node| node.span);
        let step = match step {
            Some(0) => {
                return Err(RunError::new(
                    Code::BadSlice,
                    step_span,
                    "the step of a slice may not be zero",
                ));
            }
            other => other.unwrap_or(1),
        };
        match object {
            Value::Str(text) => {
                self.charge(text.len(), step_span)?;
                Ok(Value::Str(ops::slice_text(&text, start, end, step)))
            }
            Value::List(list) => {
                let items = list.with(|items| ops::slice_list(items, start, end, step));
                let texts: usize = items.iter().map(Value::heap).sum();
                self.charge(64 + items.len() * size_of::<Value>() + texts, step_span)?;
                Ok(Value::List(List::new(items)))
            }
            _ => Ok(Value::Nil),
        }
    }

    /// A slice bound; `nil` counts as left out.
    #[inline(never)]
    fn bound(&mut self, node: Option<&Node>) -> Result<Option<i64>, RunError> {
        let Some(node) = node else { return Ok(None) };
        match self.eval(node)? {
            Value::Int(bound) => Ok(Some(bound)),
            Value::Nil => Ok(None),
            other => Err(RunError::new(
                Code::BadSlice,
                node.span,
                format!("a slice bound has to be an int, not {}", other.type_name()),
            )),
        }
    }

    pub(crate) fn eval_call(&mut self, site: &CallSite) -> Result<Value, RunError> {
        if let Err(spent) = self.state.meter.one() {
            return Err(RunError::spent(spent, site.name_span));
        }
        match self.call(site) {
            Err(error) => Err(error.in_function(site.spec.name)),
            result => result,
        }
    }

    #[inline]
    fn call(&mut self, site: &CallSite) -> Result<Value, RunError> {
        let result = (site.spec.call)(self, Args::new(site))?;
        if self.state.memory.is_spent() | self.state.meter.in_debt() {
            self.settle_call(site.name_span)?;
        }
        match &result {
            Value::Str(text) if text.len() > FREE_BYTES => {
                self.charge(text.len(), site.name_span)?;
            }
            Value::List(list) => {
                self.charge(64 + list.len() * size_of::<Value>(), site.name_span)?;
            }
            Value::Map(map) => {
                self.charge(
                    64 + map.size_hint() * 2 * size_of::<Value>(),
                    site.name_span,
                )?;
            }
            _ => {}
        }
        Ok(result)
    }
}

#[cold]
fn at((code, message): Refusal, span: Span) -> RunError {
    RunError::new(code, span, message)
}

#[cold]
fn not_container(span: Span, name: &str, type_name: &str) -> RunError {
    RunError::new(
        Code::BadIndex,
        span,
        format!("`{name}` is {type_name}, which has no elements"),
    )
}

#[cold]
fn bad_index(span: Span, container: &str, wanted: &str, got: &Value) -> RunError {
    RunError::new(
        Code::BadIndex,
        span,
        format!(
            "the index of a {container} has to be {wanted}, not {}",
            got.type_name()
        ),
    )
}
