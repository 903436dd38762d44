//! What a change that a caller asks for over HTTP may not say, because only files may.
//!
//! Whoever has the role `configure` decides what happens to records. That must not become the right
//! to read secrets and files of the machine or to write into its folders:
//!
//! * a path is taken only where it stands already, or inside one of `server.change_folders`;
//! * a secret from a file or from the environment stays with the receiver it was meant for. A mask
//!   does so too, see [`Document::unmask`].

use std::path::{Component, Path};

use serde_json::{Map, Value};

use super::diagnostic::Diagnostic;
use super::document::{Document, join};
use super::keys::{Key, Kind, ROOT, Table};
use super::masking::{Below, counterpart, moved};

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeBy {
    /// A caller of the HTTP interface, who may not say everything.
    Caller,
    /// Somebody who could write the files, or a revision that was in force before.
    Operator,
}

/// Findings about what `wanted` says and only files may say, compared with `running`.
pub(super) fn refused(wanted: &Document, running: &Document) -> Vec<Diagnostic> {
    let folders = running.tree.pointer("/server/change_folders");
    let folders = folders.and_then(Value::as_array).into_iter().flatten();
    let mut walk = Walk {
        wanted,
        folders: folders.filter_map(Value::as_str).map(Path::new).collect(),
        found: Vec::new(),
    };
    walk.value(&wanted.tree, Some(&running.tree), Some(&ROOT), "");
    walk.found
}

struct Walk<'a> {
    wanted: &'a Document,
    folders: Vec<&'a Path>,
    found: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn value(
        &mut self,
        value: &Value,
        running: Option<&Value>,
        table: Option<&'static Table>,
        path: &str,
    ) {
        match value {
            Value::Array(items) => {
                let running = running.and_then(Value::as_array);
                for (at, item) in items.iter().enumerate() {
                    let own = running.and_then(|running| counterpart(items, at, running));
                    self.value(item, own, table, &format!("{path}[{at}]"));
                }
            }
            Value::Object(entries) => {
                let running = running.and_then(Value::as_object);
                self.table(entries, running, table, path);
            }
            _ => {}
        }
    }

    fn table(
        &mut self,
        entries: &Map<String, Value>,
        running: Option<&Map<String, Value>>,
        table: Option<&'static Table>,
        path: &str,
    ) {
        let nothing = Map::new();
        let own = running.unwrap_or(&nothing);
        let moved = moved(entries, own, table);
        for (name, value) in entries {
            let (path, before) = (join(path, name), own.get(name));
            let is_file = table.is_some_and(|table| table.file_key(name).is_some());
            match table.and_then(|table| table.key(name)) {
                Some(key) if key.kind.is_path() => self.path(value, before, &path),
                Some(key) if key.kind == Kind::HeaderTable => {
                    self.headers(value, before, moved.as_deref(), &path);
                }
                Some(key) => self.key(key, moved.as_deref(), &path),
                None if is_file => {
                    // A new receiver gets nothing of a file that was named for another.
                    self.path(value, before.filter(|_| moved.is_none()), &path);
                }
                None => {}
            }
            match (Below::of(table, name), value) {
                (Below::Table(inner), value) => self.value(value, before, Some(inner), &path),
                (Below::Named(inner), Value::Object(named)) => {
                    for (name, value) in named {
                        let before = before.and_then(|before| before.get(name));
                        self.value(value, before, Some(inner), &join(&path, name));
                    }
                }
                (Below::Named(_) | Below::Unknown, _) => {}
            }
        }
    }

    fn key(&mut self, key: &Key, moved: Option<&str>, path: &str) {
        let Some(moved) = moved else { return };
        if key.kind.is_secret() && self.wanted.is_of_environment(path) {
            let message = format!(
                "the environment gives `{}`, and with another `{moved}` somebody else would receive it",
                key.name
            );
            let hint = "change the address in the files, or start without the variable";
            self.found
                .push(Diagnostic::error(path, message).with_hint(hint));
        }
    }

    fn headers(&mut self, value: &Value, before: Option<&Value>, moved: Option<&str>, path: &str) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let Some(file) = value.get("file") else {
                continue;
            };
            let before = before.and_then(|before| before.get(name)?.get("file"));
            self.path(file, before.filter(|_| moved.is_none()), &join(path, name));
        }
    }

    /// Takes a path, or each of a list of them, that stands there already or lies where a change
    /// may name files.
    fn path(&mut self, value: &Value, before: Option<&Value>, path: &str) {
        let fine = match value {
            Value::String(text) => {
                text.is_empty() || before == Some(value) || self.is_allowed(Path::new(text))
            }
            Value::Array(items) => items.iter().all(|item| {
                let known = before.and_then(Value::as_array);
                known.is_some_and(|known| known.contains(item))
                    || item
                        .as_str()
                        .is_some_and(|text| self.is_allowed(Path::new(text)))
            }),
            _ => true,
        };
        if !fine {
            let message = "a change over HTTP may not name this file or folder";
            let hint = "name it in the configuration file, or allow its folder there with \
                        `server.change_folders`";
            self.found
                .push(Diagnostic::error(path, message).with_hint(hint));
        }
    }

    fn is_allowed(&self, path: &Path) -> bool {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        !climbs && self.folders.iter().any(|folder| path.starts_with(folder))
    }
}
