//! The log of changes of the scripts in force.

use std::sync::Arc;

use kafkamq_point::Category;

use super::Namespace;

/// What happened to a script name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The name got its first script.
    Index,
    /// Another script or another text took the name over.
    IndexUpdate,
    /// The name's last script went away.
    IndexDelete,
    /// The name's script went away, and that of a lower namespace came into force.
    IndexDeleteAndBack,
    /// A script did not compile.
    CompileError,
}

impl EventKind {
    /// The name shown to readers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "INDEX",
            Self::IndexUpdate => "INDEX_UPDATE",
            Self::IndexDelete => "INDEX_DELETE",
            Self::IndexDeleteAndBack => "INDEX_DELETE_AND_BACK",
            Self::CompileError => "COMPILE_ERROR",
        }
    }
}

/// One change.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The category.
    pub category: Category,
    /// The script's name.
    pub name: Arc<str>,
    /// The namespace of the script now, or of the one that went away or failed.
    pub namespace: Namespace,
    /// The namespace of the script before, when there was one.
    pub old_namespace: Option<Namespace>,
    /// The text of the script now, or of the one that failed.
    pub text: Option<Arc<str>>,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// What is wrong with a script that failed.
    pub error: Option<String>,
}
