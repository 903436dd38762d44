//! The script folder: texts by category, compiled together, chosen by the rules of categories.
//!
//! Logging scripts lie at the top of the folder or in `logging/`, those of other categories in the
//! folder of their name. A broken script breaks only itself and those that use it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::{Engine, Script, ScriptSet};
use kafkamq_point::Category;

/// Script texts by category and file name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptTexts {
    texts: BTreeMap<Category, BTreeMap<String, String>>,
}

/// A script file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct ReadError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl ScriptTexts {
    /// Reads every `*.p` file of `folder`. A folder that does not exist holds no scripts; what
    /// cannot be read is reported and left out.
    #[must_use]
    pub fn read(folder: &Path) -> (Self, Vec<ReadError>) {
        let mut texts = Self::default();
        let mut errors = Vec::new();
        texts.read_folder(folder, Category::Logging, &mut errors);
        for category in Category::ALL {
            texts.read_folder(&folder.join(category.name()), category, &mut errors);
        }
        (texts, errors)
    }

    fn read_folder(&mut self, folder: &Path, category: Category, errors: &mut Vec<ReadError>) {
        let fail = |path: &Path, source| ReadError {
            path: path.to_owned(),
            source,
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                errors.push(fail(folder, error));
                return;
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    errors.push(fail(folder, error));
                    continue;
                }
            };
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !name.ends_with(".p") || !path.is_file() {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => self.insert(category, name, text),
                Err(error) => errors.push(fail(&path, error)),
            }
        }
    }

    /// Adds or replaces a script.
    pub fn insert(&mut self, category: Category, name: impl Into<String>, text: impl Into<String>) {
        self.texts
            .entry(category)
            .or_default()
            .insert(name.into(), text.into());
    }

    /// Removes a script; tells whether there was one.
    pub fn remove(&mut self, category: Category, name: &str) -> bool {
        self.texts
            .get_mut(&category)
            .is_some_and(|scripts| scripts.remove(name).is_some())
    }

    /// The text of a script.
    #[must_use]
    pub fn get(&self, category: Category, name: &str) -> Option<&str> {
        self.texts.get(&category)?.get(name).map(String::as_str)
    }

    /// Category, name and text of every script.
    pub fn iter(&self) -> impl Iterator<Item = (Category, &str, &str)> {
        self.texts.iter().flat_map(|(&category, scripts)| {
            scripts
                .iter()
                .map(move |(name, text)| (category, name.as_str(), text.as_str()))
        })
    }
}

/// All scripts, compiled. Immutable; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    sets: BTreeMap<Category, ScriptSet>,
    defaults: BTreeMap<Category, String>,
}

impl Scripts {
    /// Compiles all scripts. `defaults` names the script of a category for points that no other
    /// rule gives one. Scripts whose text is that of `previous` keep their caches and windows.
    #[must_use]
    pub fn compile(
        engine: &Engine,
        texts: &ScriptTexts,
        defaults: BTreeMap<Category, String>,
        previous: Option<&Self>,
    ) -> Self {
        let sets = texts
            .texts
            .iter()
            .map(|(&category, scripts)| {
                let scripts = scripts
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.as_str()));
                let previous = previous.and_then(|previous| previous.sets.get(&category));
                (category, ScriptSet::compile(engine, scripts, previous))
            })
            .collect();
        Self { sets, defaults }
    }

    /// The script of this name; `None` when there is none or it is broken.
    #[must_use]
    pub fn get(&self, category: Category, name: &str) -> Option<Script> {
        self.sets.get(&category)?.get(name)
    }

    /// Whether there is a script of this name, broken or not.
    #[must_use]
    pub fn exists(&self, category: Category, name: &str) -> bool {
        self.sets
            .get(&category)
            .is_some_and(|set| set.names().any(|known| known == name))
    }

    /// The script for a point. `key` is what its category is looked up by (the measurement for
    /// most); `configured` is the entry of a topic map: `-` is no script, empty is `<key>.p`.
    /// A script that is missing or broken gives way to the default of the category.
    #[must_use]
    pub fn select(
        &self,
        category: Category,
        key: &str,
        configured: Option<&str>,
    ) -> Option<Script> {
        let by_rule = match configured {
            Some("-") => return None,
            Some(name) if !name.is_empty() => self.get(category, name),
            _ if key.is_empty() => None,
            _ => self.get(category, &format!("{key}.p")),
        };
        by_rule.or_else(|| self.get(category, self.defaults.get(&category)?))
    }

    /// Everything wrong with any script, with its category and name.
    pub fn errors(&self) -> impl Iterator<Item = (Category, &str, &Diagnostic)> {
        self.sets.iter().flat_map(|(&category, set)| {
            set.names().flat_map(move |name| {
                set.errors(name)
                    .iter()
                    .map(move |error| (category, name, error))
            })
        })
    }

    /// Number of scripts, broken ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.values().map(|set| set.names().count()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(texts: &ScriptTexts, defaults: &[(Category, &str)]) -> Scripts {
        let defaults = defaults
            .iter()
            .map(|&(category, name)| (category, name.to_owned()))
            .collect();
        Scripts::compile(&Engine::new(), texts, defaults, None)
    }

    #[test]
    fn folders_are_categories() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("metric")).unwrap();
        std::fs::create_dir(folder.path().join("logging")).unwrap();
        for name in ["a.p", "notes.txt", "metric/b.p", "logging/c.p"] {
            std::fs::write(folder.path().join(name), "add_key(x, 1)").unwrap();
        }
        let (texts, errors) = ScriptTexts::read(folder.path());
        assert!(errors.is_empty());
        let names: Vec<_> = texts
            .iter()
            .map(|(category, name, _)| (category, name))
            .collect();
        assert_eq!(
            names,
            [
                (Category::Metric, "b.p"),
                (Category::Logging, "a.p"),
                (Category::Logging, "c.p"),
            ]
        );
        let (none, errors) = ScriptTexts::read(&folder.path().join("absent"));
        assert!(errors.is_empty() && none == ScriptTexts::default());
    }

    #[test]
    fn selection_follows_map_then_name_then_default() {
        let mut texts = ScriptTexts::default();
        for name in ["topic.p", "mapped.p", "fallback.p"] {
            texts.insert(Category::Logging, name, "add_key(x, 1)");
        }
        texts.insert(Category::Logging, "broken.p", "if {");
        let scripts = compile(&texts, &[(Category::Logging, "fallback.p")]);
        let select = |key: &str, configured: Option<&str>| {
            scripts
                .select(Category::Logging, key, configured)
                .map(|script| script.name().to_owned())
        };
        assert_eq!(select("topic", None).as_deref(), Some("topic.p"));
        assert_eq!(select("topic", Some("")).as_deref(), Some("topic.p"));
        assert_eq!(
            select("topic", Some("mapped.p")).as_deref(),
            Some("mapped.p")
        );
        assert_eq!(select("topic", Some("-")), None);
        assert_eq!(select("other", None).as_deref(), Some("fallback.p"));
        assert_eq!(
            select("topic", Some("absent.p")).as_deref(),
            Some("fallback.p")
        );
        assert_eq!(
            select("topic", Some("broken.p")).as_deref(),
            Some("fallback.p")
        );
        assert!(scripts.exists(Category::Logging, "broken.p"));
        assert!(scripts.errors().all(|(_, name, _)| name == "broken.p"));
        assert!(scripts.errors().next().is_some());
        assert!(scripts.select(Category::Metric, "topic", None).is_none());
    }
}
