//! A change of the scripts, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use kafkamq_point::Category;

use super::{FolderContents, Namespace};
use crate::diagnostic::Diagnostic;

/// New scripts for some categories of one namespace. Each category's batch replaces the one
/// before; categories without a batch stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub(super) batches: BTreeMap<Category, Batch>,
}

/// The scripts of one category, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) texts: BTreeMap<String, String>,
    /// Scripts that exist but could not be read: what is known of them stays.
    pub(super) unreadable: BTreeSet<String>,
}

impl Change {
    /// A change of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all scripts of a category. Names have to end in `.p`.
    #[must_use]
    pub fn replace<N: Into<String>, T: Into<String>>(
        mut self,
        category: Category,
        scripts: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        let texts = scripts
            .into_iter()
            .map(|(name, text)| (name.into(), text.into()))
            .collect();
        let batch = Batch {
            texts,
            unreadable: BTreeSet::new(),
        };
        self.batches.insert(category, batch);
        self
    }

    /// Replaces all scripts of all categories by those of a folder. What could not be read stays as
    /// it is: a single script, or the whole category whose folder cannot be listed.
    #[must_use]
    pub fn folder(contents: FolderContents) -> Self {
        let mut change = Self::new();
        for category in Category::ALL {
            change.batches.entry(category).or_default();
        }
        for (category, texts) in contents.scripts {
            change.batches.entry(category).or_default().texts = texts;
        }
        for problem in contents.problems {
            match problem.script {
                Some(name) => {
                    if let Some(batch) = change.batches.get_mut(&problem.category) {
                        batch.unreadable.insert(name);
                    }
                }
                None => {
                    change.batches.remove(&problem.category);
                }
            }
        }
        change
    }
}

/// What became of a change.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Scripts that compiled, new, changed or as before.
    pub loaded: usize,
    /// What is wrong with the others.
    pub problems: Vec<ScriptProblem>,
}

impl LoadReport {
    /// Whether every script compiled.
    #[cfg(test)]
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// A script that does not compile.
#[derive(Debug, Clone)]
pub struct ScriptProblem {
    /// Where the script came from.
    pub namespace: Namespace,
    /// The category of the points that it is for.
    pub category: Category,
    /// Its file name.
    pub name: String,
    /// What is wrong, in source order; empty for a name that does not end in `.p`.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether an earlier version goes on working in its place.
    pub kept: bool,
}

impl std::fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}: ", self.category, self.name)?;
        match self.diagnostics.first() {
            Some(first) => write!(f, "{}", first.message)?,
            None => f.write_str("the name of a script has to end in `.p`")?,
        }
        if self.kept {
            f.write_str(" (the version before goes on working)")?;
        }
        Ok(())
    }
}
