//! Reads keys out of a [`Document`] by their tables: defaults, types, unknown keys, `*_file`.
//!
//! Nothing here stops at the first problem: a finding is noted, the default takes the place of the
//! value, and reading goes on.

mod credential;
mod parse;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Secret;
use super::diagnostic::{Diagnostic, Position, Related};
use super::document::{Document, Part, join};
use super::keys::{Key, Kind, Table};
use parse::{bytes, count, default_value, duration, list, number, text, unknown_word};
pub(super) use parse::{expected, flag, nearest};

/// A document being read, and what was found so far.
pub(super) struct Reader<'a> {
    document: &'a Document,
    found: RefCell<Vec<Diagnostic>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Document, found: Vec<Diagnostic>) -> Self {
        Self {
            document,
            found: RefCell::new(found),
        }
    }

    /// The findings, errors and warnings mixed, in the order of the sources.
    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| place_of(a).cmp(&place_of(b)));
        // A key that two rules look at is read twice.
        found.dedup();
        found
    }

    fn note(&self, mut diagnostic: Diagnostic, part: Part, secret: bool) {
        let path = diagnostic.key.clone();
        self.document.locate(&mut diagnostic, &path, part, secret);
        self.found.borrow_mut().push(diagnostic);
    }

    /// An error at the value of `path`.
    pub(super) fn error(&self, path: &str, message: impl Into<String>) {
        self.note(Diagnostic::error(path, message), Part::Value, false);
    }

    /// A finding at the key of `path`.
    pub(super) fn note_key(&self, diagnostic: Diagnostic) {
        self.note(diagnostic, Part::Key, false);
    }

    /// The same where the value may be secret and is not repeated.
    pub(super) fn note_secret_key(&self, diagnostic: Diagnostic) {
        self.note(diagnostic, Part::Key, true);
    }

    /// A finding at the value of `path`.
    pub(super) fn note_value(&self, diagnostic: Diagnostic) {
        self.note(diagnostic, Part::Value, false);
    }

    /// The second place of a finding.
    pub(super) fn related(&self, path: &str, part: Part, message: &str) -> Option<Related> {
        let position = self.document.key_position(path, part)?;
        Some(Related {
            position,
            message: message.to_owned(),
        })
    }

    /// The root of the document.
    pub(super) fn root(&'a self, table: &'static Table) -> Section<'a> {
        Section {
            reader: self,
            table,
            path: String::new(),
            values: self.document.tree.as_object(),
        }
    }
}

fn place_of(diagnostic: &Diagnostic) -> (bool, &str, usize, usize) {
    match &diagnostic.position {
        Some(Position {
            file, line, column, ..
        }) => (false, file, *line, *column),
        None => (
            true,
            diagnostic.variable.as_deref().unwrap_or_default(),
            0,
            0,
        ),
    }
}

/// An element of a list that holds both.
pub(super) enum SecretOrTable<'a> {
    Secret(Secret),
    Table(Section<'a>),
}

/// One table of the document, or a table that is absent and has only defaults.
#[derive(Clone)]
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    table: &'static Table,
    path: String,
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    /// Where findings about this table go.
    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// Path of the table.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Path of a key as the operator wrote it.
    pub(super) fn path_of(&self, name: &str) -> String {
        let written = self
            .key(name)
            .and_then(|key| self.lookup(key))
            .map_or(name, |(name, _)| name);
        join(&self.path, written)
    }

    /// Notes an error at the value of a key.
    pub(super) fn error(&self, name: &str, message: impl Into<String>) {
        let secret = self.key(name).is_some_and(|key| key.kind.is_secret());
        self.reader.note(
            Diagnostic::error(self.path_of(name), message),
            Part::Value,
            secret,
        );
    }

    /// Notes an error about something that is missing from the table.
    pub(super) fn missing(&self, name: &str, message: impl Into<String>) {
        let example = self
            .key(name)
            .map(|key| key.example)
            .filter(|example| !example.is_empty());
        let mut diagnostic = Diagnostic::error(join(&self.path, name), message);
        if let Some(example) = example {
            diagnostic = diagnostic.with_hint(format!("write for example `{name} = {example}`"));
        }
        self.reader.note_key(diagnostic);
    }

    /// Notes a warning at a key.
    pub(super) fn warning(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.path_of(name), message)
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.table.key(name)
    }

    fn lookup(&self, key: &Key) -> Option<(&'a str, &'a Value)> {
        let values = self.values?;
        std::iter::once(&key.name)
            .chain(key.aliases)
            .find_map(|name| values.get_key_value(*name))
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.as_str(), value))
    }

    /// Whether the operator wrote the key.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| self.lookup(key).is_some())
    }

    /// Whether the operator wrote the `_file` variant of a secret.
    pub(super) fn has_file(&self, name: &str) -> bool {
        let file = format!("{name}_file");
        self.values
            .and_then(|values| values.get(&file))
            .is_some_and(|value| !value.is_null())
    }

    /// Whether the operator wrote something other than an empty string.
    pub(super) fn is_filled(&self, name: &str) -> bool {
        self.key(name)
            .and_then(|key| self.lookup(key))
            .is_some_and(|(_, value)| value.as_str() != Some(""))
    }

    /// Reads a value that may be absent; a wrong one is noted and counts as absent, so that the
    /// default takes its place.
    fn read<T>(&self, name: &str, parse: impl Fn(&Value, bool) -> Result<T, String>) -> Option<T> {
        debug_assert!(
            self.key(name).is_some(),
            "{name} is not a key of {}",
            self.table.header
        );
        let key = self.key(name)?;
        if let Some((written, value)) = self.lookup(key) {
            let path = join(&self.path, written);
            match parse(value, self.reader.document.is_variable(&path)) {
                Ok(parsed) => return Some(parsed),
                Err(message) => self.reader.note(
                    Diagnostic::error(path, message),
                    Part::Value,
                    key.kind.is_secret(),
                ),
            }
        }
        if key.default.is_empty() {
            return None;
        }
        let default = default_value(key)?;
        let parsed = parse(&default, false);
        debug_assert!(
            parsed.is_ok(),
            "the default of {name} in {} is wrong",
            self.table.header
        );
        parsed.ok()
    }

    /// A string; absent and without default it is empty.
    pub(super) fn text(&self, name: &str) -> String {
        self.read(name, text).unwrap_or_default()
    }

    /// A string that is not empty.
    pub(super) fn some_text(&self, name: &str) -> Option<String> {
        self.read(name, text).filter(|text| !text.is_empty())
    }

    /// A path that is not empty.
    pub(super) fn some_path(&self, name: &str) -> Option<PathBuf> {
        self.some_text(name).map(PathBuf::from)
    }

    /// A boolean.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.read(name, flag).unwrap_or_default()
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.read(name, count).unwrap_or_default()
    }

    /// The same as a size in memory, at least `least`.
    pub(super) fn size(&self, name: &str, least: usize) -> usize {
        let count = usize::try_from(self.count(name)).unwrap_or(usize::MAX);
        if count < least {
            self.error(name, format!("`{name}` must be at least {least}"));
        }
        count.max(least)
    }

    /// The number of the key, or its default.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.read(name, number).unwrap_or_default()
    }

    /// The duration of the key, or its default.
    pub(super) fn duration(&self, name: &str) -> Duration {
        self.read(name, duration).unwrap_or_default()
    }

    /// A duration longer than zero.
    pub(super) fn some_duration(&self, name: &str) -> Duration {
        let duration = self.duration(name);
        if duration.is_zero() {
            self.error(name, format!("`{name}` must be longer than zero"));
            return Duration::from_secs(1);
        }
        duration
    }

    /// A size in bytes.
    pub(super) fn bytes(&self, name: &str) -> u64 {
        self.read(name, bytes).unwrap_or_default()
    }

    /// A list of strings; one string counts as a list of one.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.read(name, list).unwrap_or_default()
    }

    /// The raw value of a key that takes several types.
    pub(super) fn mixed<T>(
        &self,
        name: &str,
        parse: impl Fn(&Value, bool) -> Result<T, String>,
    ) -> Option<T> {
        self.read(name, parse)
    }

    /// One of a few words, compared without case.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let found = self.read(name, |value, _| {
            let word = text(value, false)?;
            words
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(&word))
                .map(|&(_, meaning)| meaning)
                .ok_or_else(|| {
                    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                    unknown_word(&word, &known)
                })
        });
        debug_assert!(
            words
                .iter()
                .all(|(word, _)| match self.key(name).map(|key| key.kind) {
                    Some(Kind::Choice(known)) => known.contains(word),
                    _ => false,
                }),
            "the words of {name} differ from its table"
        );
        found
    }

    /// A table of strings; numbers and booleans are taken by their text.
    pub(super) fn text_table(&self, name: &str) -> BTreeMap<String, String> {
        self.table_of(name, |value| match value {
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            _ => text(value, false),
        })
    }

    /// A table of booleans.
    pub(super) fn flag_table(&self, name: &str) -> BTreeMap<String, bool> {
        self.table_of(name, |value| flag(value, false))
    }

    fn table_of<T>(
        &self,
        name: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> BTreeMap<String, T> {
        let mut table = BTreeMap::new();
        let Some(entries) = self.read(name, |value, _| {
            value
                .as_object()
                .cloned()
                .ok_or_else(|| expected("a table", value))
        }) else {
            return table;
        };
        let path = self.path_of(name);
        for (entry, value) in entries {
            match parse(&value) {
                Ok(parsed) => {
                    table.insert(entry, parsed);
                }
                Err(message) => self.reader.error(&join(&path, &entry), message),
            }
        }
        table
    }

    /// The table `name` inside this one, if the operator wrote it.
    pub(super) fn section(&self, name: &str) -> Option<Section<'a>> {
        let path = join(&self.path, name);
        let value = self.values?.get(name)?;
        self.open(name, path, value)
    }

    /// The table `name`, with nothing but defaults if the operator did not write it.
    pub(super) fn section_or_default(&self, name: &str) -> Option<Section<'a>> {
        self.section(name).or_else(|| {
            let table = self.inner_table(name)?;
            Some(Section {
                reader: self.reader,
                table,
                path: join(&self.path, name),
                values: None,
            })
        })
    }

    /// Tables by a name of the operator's choice, such as `[inputs.kafkamq.topics."x"]`.
    pub(super) fn named_sections(&self, name: &str) -> Vec<(String, Section<'a>)> {
        let path = join(&self.path, name);
        let Some(value) = self.values.and_then(|values| values.get(name)) else {
            return Vec::new();
        };
        let Some(entries) = value.as_object() else {
            self.reader
                .error(&path, expected("a table of tables", value));
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|(entry, value)| {
                Some((entry.clone(), self.open(name, join(&path, entry), value)?))
            })
            .collect()
    }

    /// The elements of an array of tables; a single table counts as an array of one.
    pub(super) fn sections(&self, name: &str) -> Vec<Section<'a>> {
        let path = join(&self.path, name);
        match self.values.and_then(|values| values.get(name)) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| self.open(name, format!("{path}[{index}]"), item))
                .collect(),
            Some(value) => self.open(name, path, value).into_iter().collect(),
        }
    }

    /// The elements of a list that holds secrets and tables, with the place of each. A list without
    /// tables is read by [`Section::secrets`].
    pub(super) fn secrets_and_tables(&self, name: &str) -> Option<Vec<SecretOrTable<'a>>> {
        let path = join(&self.path, name);
        let items = self.values?.get(name)?.as_array()?;
        if !items.iter().any(Value::is_object) {
            return None;
        }
        let elements = items.iter().enumerate().filter_map(|(index, item)| {
            let path = format!("{path}[{index}]");
            match item {
                Value::String(text) => Some(SecretOrTable::Secret(Secret::new(text.as_str()))),
                Value::Object(_) => Some(SecretOrTable::Table(self.open(name, path, item)?)),
                _ => {
                    self.reader.note_secret_key(Diagnostic::error(
                        path,
                        expected("a string or a table", item),
                    ));
                    None
                }
            }
        });
        Some(elements.collect())
    }

    fn inner_table(&self, name: &str) -> Option<&'static Table> {
        self.table
            .tables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, table)| *table)
    }

    fn open(&self, name: &str, path: String, value: &'a Value) -> Option<Section<'a>> {
        let table = self.inner_table(name)?;
        match value {
            Value::Object(values) => {
                let section = Section {
                    reader: self.reader,
                    table,
                    path,
                    values: Some(values),
                };
                section.check_keys();
                Some(section)
            }
            Value::Null => {
                let message =
                    "this element does not exist; elements are counted from 0 without gaps";
                self.reader.error(&path, message);
                None
            }
            _ => {
                self.reader.error(&path, expected("a table", value));
                None
            }
        }
    }

    /// Notes every key that the table does not have, and every one that is old.
    pub(super) fn check_keys(&self) {
        let Some(values) = self.values else { return };
        for name in values.keys() {
            let path = join(&self.path, name);
            if let Some(key) = self.table.key(name) {
                if let Some(instead) = key.instead {
                    self.reader.note_key(
                        Diagnostic::warning(&path, format!("`{name}` is an old key"))
                            .with_hint(format!("use {instead}")),
                    );
                }
                let twice = std::iter::once(&key.name)
                    .chain(key.aliases)
                    .filter(|other| values.contains_key(**other))
                    .count();
                if twice > 1 && name != key.name {
                    let message =
                        format!("`{name}` and `{}` mean the same and both are set", key.name);
                    self.reader
                        .note_key(Diagnostic::error(&path, message).with_hint("keep one of them"));
                }
                continue;
            }
            if self.table.file_key(name).is_some() || self.inner_table(name).is_some() {
                continue;
            }
            let place = if self.table.header.is_empty() {
                ""
            } else {
                self.table.header
            };
            let what = if values.get(name).is_some_and(|value| value.is_object()) {
                "table"
            } else {
                "key"
            };
            let message = if place.is_empty() {
                format!("unknown {what} `{name}`")
            } else {
                format!("unknown {what} `{name}` in {place}")
            };
            let mut diagnostic = Diagnostic::error(path, message);
            if let Some(near) = nearest(name, self.table.names()) {
                diagnostic = diagnostic.with_hint(format!("did you mean `{near}`?"));
            }
            // It may be a misspelt password.
            self.reader.note(diagnostic, Part::Key, true);
        }
    }
}
