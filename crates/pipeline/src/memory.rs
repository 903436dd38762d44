//! What a run keeps, in bytes, and the budget for it.
//!
//! Every new value is charged. Values that a script drops are not given back one by one: when the budget
//! is used up, what can still be reached is counted anew (variables, containers, the point, the
//! points made) and only that stays charged. So a script may make and forget as much as its budget of
//! work allows, and what it holds at a time is bounded.

use hashbrown::HashSet;
use kafkamq_point::{Entry, Point, Value as Field};

use crate::context::RunContext;
use crate::error::RunError;
use crate::span::Span;
use crate::value::{Constant, Value};

/// The account of a run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) left: u64,
    /// What was left when the statement that runs began; what it made since may be reachable from
    /// the middle of an expression only.
    pub(crate) mark: u64,
    limit: u64,
    /// What stays until the run ends: points made, and what functions keep.
    kept: u64,
    /// What statements around the one that runs hold in the middle of an expression.
    held: u64,
    /// Something was left undone because it would not have fitted.
    exceeded: bool,
}

impl Memory {
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            left: limit,
            mark: limit,
            limit,
            kept: 0,
            held: 0,
            exceeded: false,
        }
    }

    /// Whether the next charge has to count anew, or fail.
    #[inline]
    pub(crate) const fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Begins statements inside the one that runs; gives what [`Memory::rejoin`] takes.
    pub(crate) const fn part(&mut self) -> u64 {
        let since = self.mark.saturating_sub(self.left);
        self.held += since;
        self.mark = self.left;
        since
    }

    /// Ends the statements inside.
    pub(crate) const fn rejoin(&mut self, since: u64) {
        self.held = self.held.saturating_sub(since);
        self.mark = self.left.saturating_add(since);
    }
}

/// The bytes a key takes, its value's included.
fn entry_bytes(entry: &Entry) -> usize {
    entry.key.len() + field_bytes(&entry.value) + size_of::<Entry>()
}

fn field_bytes(field: &Field) -> usize {
    match field {
        Field::Str(text) => text.len(),
        Field::Bytes(bytes) => bytes.len(),
        Field::Array(items) => {
            let each = |item: &Field| size_of::<Field>() + field_bytes(item);
            items.iter().map(each).sum()
        }
        _ => 0,
    }
}

/// The bytes a point takes. Its encoded forms take less, or not much more.
pub(crate) fn point_bytes(point: &Point) -> usize {
    size_of::<Point>() + point.entries().iter().map(entry_bytes).sum::<usize>()
}

/// About the bytes of a point before a run; only long texts matter.
pub(crate) fn input_bytes(point: &Point) -> usize {
    let texts = point.entries().iter().map(|entry| match &entry.value {
        Field::Str(text) => text.len(),
        _ => 0,
    });
    texts.sum::<usize>() + point.entries().len() * 2 * size_of::<Entry>()
}

impl RunContext<'_> {
    /// Takes bytes from the run's memory budget, and pays for making them. The results of functions
    /// and what is written to the point are charged by the engine; call this for large intermediate
    /// values.
    ///
    /// # Errors
    /// A run error at `span` when the budget is used up.
    #[inline]
    pub fn charge(&mut self, bytes: usize, span: Span) -> Result<(), RunError> {
        self.state.meter.note(bytes);
        match self.state.memory.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.state.memory.left = left;
                Ok(())
            }
            None => self.count_anew(bytes as u64, span),
        }
    }

    /// Takes bytes that stay until the run ends.
    ///
    /// # Errors
    /// A run error at `span` when the budget is used up.
    pub(crate) fn keep(&mut self, bytes: usize, span: Span) -> Result<(), RunError> {
        self.charge(bytes, span)?;
        self.state.memory.kept += bytes as u64;
        // Counted as kept, so not as made by this statement as well.
        self.state.memory.mark = self.state.memory.mark.saturating_sub(bytes as u64);
        Ok(())
    }

    /// Takes what is stored on the point from the memory budget; the call that stored it fails
    /// afterwards when nothing is left.
    #[inline]
    pub(crate) fn weigh(&mut self, bytes: usize) {
        self.state.meter.note(bytes);
        let bytes = (size_of::<Entry>() + bytes) as u64;
        self.state.memory.left = self.state.memory.left.saturating_sub(bytes);
    }

    /// Pays for a value that is about to be stored on the point; lists and maps become their JSON text.
    #[inline(always)]
    pub(crate) fn pay_stored(&mut self, value: &mut Value) {
        let bytes = match value {
            Value::Str(text) => text.len(),
            Value::List(_) | Value::Map(_) => {
                *value = Value::from(self.json_text(value));
                value.heap()
            }
            _ => 0,
        };
        self.note_look(0);
        self.weigh(bytes);
    }

    /// The JSON text of a value, cut off where the memory budget ends; the call that asked for it
    /// fails afterwards then.
    pub(crate) fn json_text(&mut self, value: &Value) -> String {
        let room = self.room();
        let text = value.json_text_within(room.min(Value::MAX_TEXT));
        self.state.meter.note(text.len());
        if text.len() > room {
            self.state.memory.exceeded = true;
            self.state.memory.left = 0;
        }
        text
    }

    /// A deep copy of a value for what outlives the run.
    ///
    /// # Errors
    /// A run error at `span` when the memory budget is used up.
    pub(crate) fn copy_out(&mut self, value: &Value, span: Span) -> Result<Constant, RunError> {
        let room = self.room();
        let copy =
            Constant::within(value, room).ok_or_else(|| RunError::over_budget(span, "memory"))?;
        self.charge(copy.bytes(), span)?;
        Ok(copy)
    }

    /// How many bytes something that is being made may have before it is checked whether it fits.
    pub(crate) fn room(&mut self) -> usize {
        if self.state.memory.left < self.state.memory.limit / 2 {
            // What is over here shows when the result is charged.
            let _over = self.count_anew(0, Span::default());
        }
        usize::try_from(self.state.memory.left).unwrap_or(usize::MAX)
    }

    /// After a call: whether what it stored fits, and what it noted is there.
    ///
    /// # Errors
    /// A run error at `span` when it is not.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle_call(&mut self, span: Span) -> Result<(), RunError> {
        if self.state.memory.exceeded {
            return Err(RunError::over_budget(span, "memory"));
        }
        if self.state.memory.is_spent() {
            self.charge(1, span)?;
        }
        self.step(0, span)
    }

    /// The budget is used up by all that was ever made: counts what is still there.
    #[cold]
    #[inline(never)]
    fn count_anew(&mut self, bytes: u64, span: Span) -> Result<(), RunError> {
        let memory = self.state.memory;
        let since = memory.mark.saturating_sub(memory.left);
        let reachable = self.reachable() as u64;
        let live = [memory.kept, memory.held, since, bytes]
            .into_iter()
            .fold(reachable, u64::saturating_add);
        match memory.limit.checked_sub(live) {
            Some(left) if left > 0 => {
                self.state.memory.left = left;
                self.state.memory.mark = left.saturating_add(since).saturating_add(bytes);
                Ok(())
            }
            _ => {
                self.state.memory.left = 0;
                Err(RunError::over_budget(span, "memory"))
            }
        }
    }

    /// The bytes of everything that statements to come can still read.
    fn reachable(&self) -> usize {
        let mut walk = Walk::default();
        let state = &*self.state;
        let roots = state.slots.iter().flatten();
        for root in roots.chain(&state.knots).chain(&state.walked) {
            walk.add(root);
        }
        while let Some(container) = walk.open.pop() {
            match &container {
                Value::List(list) => {
                    list.with(|items| items.iter().for_each(|item| walk.add(item)));
                }
                Value::Map(map) => {
                    if let Some((document, bytes)) = map.document() {
                        walk.bytes += if walk.seen.insert(document) { bytes } else { 0 };
                    }
                    map.with_made(|entries| {
                        for (key, value) in entries.iter() {
                            walk.bytes += key.len();
                            walk.add(value);
                        }
                    });
                }
                _ => {}
            }
        }
        state.meter.note_units(walk.nodes / 4);
        walk.bytes + point_bytes(self.point) + state.document.bytes()
    }
}

/// A walk over values, each container once.
#[derive(Default)]
struct Walk {
    bytes: usize,
    nodes: usize,
    seen: HashSet<usize>,
    open: Vec<Value>,
}

impl Walk {
    fn add(&mut self, value: &Value) {
        self.nodes += 1;
        self.bytes += size_of::<Value>() + value.heap();
        let address = match value {
            Value::List(list) => list.address(),
            Value::Map(map) => map.address(),
            _ => return,
        };
        if self.seen.insert(address) {
            self.bytes += CONTAINER;
            self.open.push(value.clone());
        }
    }
}

/// What an empty list or map takes, roughly.
const CONTAINER: usize = 64;
