//! The run context: what expressions and functions can reach while a script runs.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use kafkamq_point::{Entry, Point, Text, Value as Field};

use crate::engine::Engine;
use crate::error::RunError;
use crate::ir::Key;
use crate::json::{Element, Member};
use crate::memory::point_bytes;
use crate::meter::{Meter, Spent};
use crate::script::Set;
use crate::span::Span;
use crate::state::{AfterRun, Created, Instance, RunState};
use crate::value::{Value, push_float};

/// The context of a running script: the point, the variables and the engine.
#[derive(Debug)]
pub struct RunContext<'r> {
    pub(crate) set: &'r Set,
    /// The script being executed.
    pub(crate) unit: usize,
    /// The script the run began with; it owns caches, windows and buckets.
    pub(crate) root: usize,
    /// How many levels this script and those that called it nest in all.
    pub(crate) levels: usize,
    /// Where the variables of the current frame begin.
    pub(crate) base: usize,
    pub(crate) point: &'r mut Point,
    pub(crate) state: &'r mut RunState,
}

impl RunContext<'_> {
    /// The surroundings: limits, clock, time zone, services.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.set.engine
    }

    /// What the run may still do; functions whose work is more than one pass over what they read
    /// and write pay here.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.state.meter
    }

    /// Notes one look through the keys of the point, and one pass over what was found.
    #[inline]
    pub(crate) fn note_look(&self, bytes: usize) {
        const FEW: usize = 64;
        let keys = self.point.entries().len();
        if keys > FEW {
            self.state.meter.note_units(keys / FEW);
        }
        self.state.meter.note(bytes);
    }

    /// State of the loaded script that outlives runs.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        static NONE: std::sync::LazyLock<Instance> = std::sync::LazyLock::new(Instance::default);
        self.set
            .units
            .get(self.root)
            .map_or(&*NONE, |unit| &unit.instance)
    }

    /// The point that the script runs on, with the changes made so far.
    #[must_use]
    pub fn point(&self) -> &Point {
        self.point
    }

    /// The point, for changes that are not writes of keys (name, time). Write keys with
    /// [`RunContext::set`], which knows that tags stay tags.
    pub(crate) fn point_mut(&mut self) -> &mut Point {
        self.point
    }

    /// Reads a name: the innermost variable, else the point's key, else `None`.
    #[must_use]
    #[inline]
    pub fn read(&self, key: &Key) -> Option<Value> {
        let value = self.read_unpaid(key)?;
        self.note_look(value.heap());
        Some(value)
    }

    /// [`RunContext::read`] for callers that pay for the copy themselves.
    #[inline]
    pub(crate) fn read_unpaid(&self, key: &Key) -> Option<Value> {
        match self.variable(key) {
            Some(value) => Some(value.clone()),
            None => Some(Value::from_field(&self.point.get(&key.name)?.value)),
        }
    }

    /// The variable a name means, if one exists.
    #[must_use]
    pub fn variable(&self, key: &Key) -> Option<&Value> {
        key.slots
            .iter()
            .find_map(|&slot| self.state.slots.get(self.base + slot as usize)?.as_ref())
    }

    /// The canonical text of what a name reads as; `None` when there is no such name. Borrowed
    /// when it is text already.
    #[must_use]
    pub(crate) fn read_text(&self, key: &Key) -> Option<Cow<'_, str>> {
        let text = match self.variable(key) {
            Some(container @ (Value::List(_) | Value::Map(_))) => {
                let room = usize::try_from(self.state.memory.left).unwrap_or(usize::MAX);
                let text = container.json_text_within(room);
                if text.len() > room {
                    self.state.meter.exhaust();
                }
                Cow::Owned(text)
            }
            Some(value) => value.text(),
            None => match &self.point.get(&key.name)?.value {
                Field::Str(text) => Cow::Borrowed(text.as_str()),
                Field::Bytes(bytes) => String::from_utf8_lossy(bytes),
                other => Cow::Owned(Value::from_field(other).text().into_owned()),
            },
        };
        self.note_look(text.len());
        Some(text)
    }

    /// The text of what a name reads as, if that is a `str`.
    #[must_use]
    pub(crate) fn read_str(&self, key: &Key) -> Option<Cow<'_, str>> {
        let text = match self.variable(key) {
            Some(value) => Cow::Borrowed(value.as_str()?),
            None => match &self.point.get(&key.name)?.value {
                Field::Str(text) => Cow::Borrowed(text.as_str()),
                Field::Bytes(bytes) => String::from_utf8_lossy(bytes),
                Field::Array(_) => return self.read_text(key),
                _ => return None,
            },
        };
        self.note_look(text.len());
        Some(text)
    }

    /// Whether a name reads as a `str`.
    pub(crate) fn reads_str(&self, key: &Key) -> bool {
        match self.variable(key) {
            Some(value) => matches!(value, Value::Str(_)),
            None => self.point.get(&key.name).is_some_and(|entry| {
                matches!(
                    entry.value,
                    Field::Str(_) | Field::Bytes(_) | Field::Array(_)
                )
            }),
        }
    }

    /// The bytes of what a name reads as: raw ones if [`RunContext::set_bytes`] stored such, else those of
    /// its text.
    #[must_use]
    pub(crate) fn read_bytes(&self, key: &Key) -> Option<Cow<'_, [u8]>> {
        if self.variable(key).is_none()
            && let Some(Field::Bytes(bytes)) = self.point.get(&key.name).map(|entry| &entry.value)
        {
            self.note_look(bytes.len());
            return Some(Cow::Borrowed(bytes));
        }
        self.read_text(key).map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// Parses the text a name reads as and looks at the document; `None` when there is no such
    /// name. The text is parsed once as long as the next call brings the same one.
    pub(crate) fn with_json<R>(
        &mut self,
        key: &Key,
        look: impl FnOnce(Option<Element<'_>>) -> R,
    ) -> Option<R> {
        let mut document = std::mem::take(&mut self.state.document);
        let result = self.read_text(key).map(|text| look(document.parse(&text)));
        self.state.document = document;
        result
    }

    /// Parses a text that is not read off a name.
    pub(crate) fn parse_json<R>(
        &mut self,
        text: &str,
        look: impl FnOnce(Option<Element<'_>>) -> R,
    ) -> R {
        self.state.meter.note(text.len());
        look(self.state.document.parse(text))
    }

    /// The point's key, tag or field, never a variable.
    #[must_use]
    pub(crate) fn point_value(&self, name: &str) -> Option<Value> {
        let value = Value::from_field(&self.point.get(name)?.value);
        self.note_look(value.heap());
        Some(value)
    }

    /// Writes a key of the point: a tag stays a tag and holds the value's text, anything else
    /// becomes a field of the value's type (lists and maps as JSON text).
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        let mut value = value;
        self.pay_stored(&mut value);
        match self.point.value_mut(name) {
            Some((place, tag)) => overwrite(place, tag, value),
            None => self.point.push(Entry {
                key: Text::from(name),
                value: value.into_field(),
                tag: false,
            }),
        }
    }

    /// [`RunContext::set`] with the name of a key argument.
    pub(crate) fn set_key(&mut self, key: &Key, value: Value) {
        let mut value = value;
        self.pay_stored(&mut value);
        match self.point.value_mut(&key.name) {
            Some((place, tag)) => overwrite(place, tag, value),
            None => self.point.push(Entry {
                key: key.name.clone(),
                value: value.into_field(),
                tag: false,
            }),
        }
    }

    /// [`RunContext::set_key`] with a member of the map `name` means, where that is a scalar of an untouched
    /// JSON object: the field is made where it stays, without values in between, each of which would
    /// have to be taken apart and put together again. False where it is anything else; then nothing
    /// has happened.
    pub(crate) fn set_member(&mut self, key: &Key, name: &Key, member: &str) -> bool {
        let Some(Value::Map(map)) = self.variable(name) else {
            return false;
        };
        let Some(Member::Scalar(element)) = map.json_member(member) else {
            return false;
        };
        let field = element.field();
        let bytes = field.as_str().map_or(0, str::len);
        match self.point.value_mut(&key.name) {
            Some((_, true)) => return false,
            Some((place, false)) => *place = field,
            None => self.point.push(Entry {
                key: key.name.clone(),
                value: field,
                tag: false,
            }),
        }
        self.weigh(bytes);
        true
    }

    /// Writes a key with text that may not be UTF-8. Until the run ends [`RunContext::read_bytes`] gives
    /// the exact bytes; everyone else, and the finished point, sees U+FFFD in their place.
    pub(crate) fn set_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => return self.set(name, Value::from(text)),
            Err(error) => error.into_bytes(),
        };
        self.weigh(bytes.len());
        let is_tag = self.point.get(name).is_some_and(|entry| entry.tag);
        if is_tag {
            self.set(name, Value::str(String::from_utf8_lossy(&bytes)));
        } else {
            self.point
                .set_field(name, Field::Bytes(bytes.into_boxed_slice()));
            self.state.raw_bytes = true;
        }
    }

    /// Makes a key a tag that holds the value's text; a field of that name is replaced.
    pub fn set_tag(&mut self, name: &str, value: Value) {
        let mut value = value;
        self.pay_stored(&mut value);
        self.point.set_tag(name, value.into_text());
    }

    /// Removes a key from the point.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Entry> {
        self.note_look(0);
        self.point.remove(name)
    }

    /// Marks the point as dropped; the script goes on.
    pub(crate) fn drop_point(&mut self) {
        self.state.marks.dropped = true;
    }

    /// Ends the current script after the statement that runs.
    pub(crate) fn exit(&mut self) {
        self.state.marks.exited = true;
    }

    /// Switches the normalisation of `status` after the run.
    pub(crate) fn set_status_mapping(&mut self, on: bool) {
        self.state.marks.status_mapping = on;
    }

    /// Hands out a further point, emitted besides the one the script runs on; it is charged at what it
    /// takes, and stays charged until the run ends.
    ///
    /// # Errors
    /// A run error at `span` when the memory budget is used up.
    pub(crate) fn emit(&mut self, created: Created, span: Span) -> Result<(), RunError> {
        self.keep(point_bytes(&created.point), span)?;
        self.state.created.push(created);
        Ok(())
    }

    /// Something a function keeps until the end of this run, such as a registration made by an
    /// earlier call.
    #[must_use]
    pub fn local<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.state.locals.get_shared()
    }

    /// Keeps something until the end of this run, replacing what was kept under the same type.
    pub(crate) fn set_local<T: Any + Send + Sync>(&mut self, value: T) {
        self.state.locals.insert(Arc::new(value));
        self.state.locals_used = true;
    }

    /// Leaves work for the end of the run; skipped when the run fails.
    pub(crate) fn after_run(&mut self, work: AfterRun) {
        self.state.after.push(work);
    }

    /// Takes steps from the run's budget, for functions that do a loop's worth of work.
    ///
    /// # Errors
    /// A run error at `span` when the budget is used up.
    #[inline]
    pub(crate) fn step(&mut self, steps: u64, span: Span) -> Result<(), RunError> {
        self.state
            .meter
            .pay(steps)
            .map_err(|spent| RunError::spent(spent, span))
    }
}

impl RunError {
    /// The run used up what it may do.
    #[cold]
    pub(crate) fn spent(spent: Spent, span: Span) -> Self {
        match spent {
            Spent::Work => Self::over_budget(span, "work"),
            Spent::Time => Self::over_budget(span, "time"),
        }
    }
}

/// Replaces the value of an existing key by the write rule: a tag stays a tag.
fn overwrite(place: &mut Field, tag: bool, value: Value) {
    *place = if tag {
        Field::Str(tag_text(value))
    } else {
        value.into_field()
    };
}

/// The canonical text of a value for a tag.
fn tag_text(value: Value) -> Text {
    match value {
        Value::Str(text) => text,
        Value::Float(number) => {
            let mut out = String::new();
            push_float(&mut out, number);
            out.into()
        }
        other => other.into_text(),
    }
}
