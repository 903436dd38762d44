//! What a run needs and leaves: the reusable working memory and the outcome.

use std::any::Any;

use kafkamq_point::{Point, Text};

use crate::diagnostic::Diagnostic;
use crate::engine::TypeMap;
use crate::memory::Memory;
use crate::meter::Meter;
use crate::value::Value;

/// Working memory for runs on one thread. Create one per thread and hand it to every run; it keeps
/// its allocations. Nothing in it carries over from one run to the next.
#[derive(Default)]
pub struct RunState {
    /// Variable slots of all open frames; `None` is a variable that does not exist.
    pub(crate) slots: Vec<Option<Value>>,
    /// Containers into which a container was stored: the only way to tie a knot that reference
    /// counting cannot free. They are emptied after the run.
    pub(crate) knots: Vec<Value>,
    /// What the run may still do.
    pub(crate) meter: Meter,
    /// What the run may still keep.
    pub(crate) memory: Memory,
    /// Containers that loops walk, which no variable may hold.
    pub(crate) walked: Vec<Value>,
    pub(crate) marks: Marks,
    pub(crate) created: Vec<Created>,
    pub(crate) locals: TypeMap,
    pub(crate) locals_used: bool,
    pub(crate) after: Vec<AfterRun>,
    /// The JSON text parsed last, for functions that pick several members of one text.
    pub(crate) document: crate::json::Reader,
    /// How many raw byte strings were stored into points during this run.
    pub(crate) raw_bytes: bool,
}

impl std::fmt::Debug for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunState").finish_non_exhaustive()
    }
}

impl RunState {
    /// Fresh working memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last run, keeping allocations.
    pub(crate) fn reset(&mut self) {
        self.slots.clear();
        for value in self.knots.drain(..) {
            match value {
                Value::List(list) => list.clear(),
                Value::Map(map) => map.clear(),
                _ => {}
            }
        }
        self.walked.clear();
        self.marks = Marks::default();
        self.created.clear();
        if self.locals_used {
            self.locals.clear();
            self.locals_used = false;
        }
        self.after.clear();
        self.raw_bytes = false;
    }
}

/// What a script decided about the point it runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) dropped: bool,
    pub(crate) exited: bool,
    pub(crate) status_mapping: bool,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            dropped: false,
            exited: false,
            status_mapping: true,
        }
    }
}

/// A point made by `create_point`.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The point as it was built, or as `after_use` left it.
    pub point: Point,
    /// Whether a script run on it by `after_use` dropped it.
    pub dropped: bool,
}

/// Work a function left for the end of a successful run.
pub(crate) type AfterRun = Box<dyn FnOnce(&mut Finish<'_>)>;

/// What `AfterRun` work sees: the finished point and the place for recovered ones.
#[derive(Debug)]
pub struct Finish<'f> {
    /// The point as the run left it, status and time included.
    pub point: &'f Point,
    /// Whether the script dropped it.
    pub dropped: bool,
    /// Points to emit besides it, in order.
    pub recovered: &'f mut Vec<Point>,
}

/// How a run ended. The point itself was changed in place, also when there is an error.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether the script dropped the point. A host keeps a point whose run failed nevertheless.
    pub dropped: bool,
    /// The points made by `create_point`, in order. A host discards them after an error.
    pub created: Vec<Created>,
    /// Earlier points that a window gave back, to be emitted as they are.
    pub recovered: Vec<Point>,
    /// Why the run stopped, if it did not reach its end.
    pub error: Option<Box<Diagnostic>>,
    /// The work the run did, in units of the [`Meter`].
    pub units: u64,
}

/// State of one loaded script that outlives runs: caches, windows, aggregation buckets. Functions
/// keep what they need under a type of their own. Shared by all threads that run the script.
#[derive(Debug, Default)]
pub struct Instance(parking_lot::RwLock<TypeMap>);

impl Instance {
    /// The state of a type, made on first use.
    pub(crate) fn get_or_init<T: Any + Send + Sync>(
        &self,
        make: impl FnOnce() -> T,
    ) -> std::sync::Arc<T> {
        if let Some(state) = self.0.read().get_shared() {
            return state;
        }
        let mut states = self.0.write();
        if let Some(state) = states.get_shared() {
            return state;
        }
        let state = std::sync::Arc::new(make());
        states.insert(std::sync::Arc::clone(&state));
        state
    }

    /// The state of a type, if a run made it.
    #[must_use]
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<std::sync::Arc<T>> {
        self.0.read().get_shared()
    }
}

/// The name of a created or renamed key: `_` means `message`.
pub(crate) fn key_text(name: &str) -> Text {
    if name == "_" {
        Text::const_new("message")
    } else {
        Text::from(name)
    }
}
