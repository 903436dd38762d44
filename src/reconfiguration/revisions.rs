//! The history of configurations: who changed what, when, and what came of it.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::finding::escaped;
use kafkamq_settings::Document;

/// What caused a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConfigurationOrigin {
    /// The start of the process.
    Start,
    /// Files changed on disk.
    Files,
    /// SIGHUP.
    Signal,
    /// A request.
    Http,
}

impl ConfigurationOrigin {
    /// Its name, as in metrics.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Files => "files",
            Self::Signal => "signal",
            Self::Http => "http",
        }
    }

    /// Whether it says something the files do not.
    #[must_use]
    pub(crate) const fn is_run_time(self) -> bool {
        matches!(self, Self::Http)
    }
}

/// One key that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Change {
    /// JSON pointer of the key.
    pub(crate) pointer: String,
    /// What it was; absent if it was not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Value>,
    /// What it is; absent if it was removed. Secrets are masked, so both may look the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Value>,
}

/// One configuration that was put into force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Revision {
    /// Its number; each is one more than the one before, over restarts too if a state folder is
    /// configured.
    pub(crate) number: u64,
    /// Name of the token that asked for it, or what else caused it.
    pub(crate) author: String,
    /// What caused it.
    pub(crate) origin: ConfigurationOrigin,
    /// When, in RFC 3339.
    pub(crate) time: String,
    /// The plan in one line.
    pub(crate) summary: String,
    /// How it ended, in words.
    pub(crate) result: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Digest of the files at that time, by which a start notices that they changed since.
    pub(crate) files: String,
    /// What differs from the revision before.
    pub(crate) changes: Vec<Change>,
    /// The document, secrets included and the environment's part left out. Never shown.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) document: Value,
}

/// The latest revisions, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    revisions: VecDeque<Revision>,
}

impl History {
    /// Adds the newest revision and forgets the oldest beyond `limit`.
    pub(crate) fn push(&mut self, revision: Revision, limit: usize) {
        self.revisions.push_back(revision);
        while self.revisions.len() > limit.max(1) {
            self.revisions.pop_front();
        }
    }

    /// The revision `number`, if it is remembered.
    #[must_use]
    pub(crate) fn get(&self, number: u64) -> Option<&Revision> {
        self.revisions
            .iter()
            .find(|revision| revision.number == number)
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Revision> {
        self.revisions.iter()
    }
}

/// What differs between two documents, secrets masked. A secret that changed is listed, with masks
/// on both sides.
#[must_use]
pub(crate) fn changes(old: &Document, new: &Document) -> Vec<Change> {
    let mut found = Vec::new();
    let (old_shown, new_shown) = (old.masked(), new.masked());
    compare(
        "",
        Some((old.tree(), &old_shown)),
        Some((new.tree(), &new_shown)),
        &mut found,
    );
    found
}

/// A value with the same value as it may be shown.
type Seen<'a> = Option<(&'a Value, &'a Value)>;

fn compare(path: &str, old: Seen<'_>, new: Seen<'_>, found: &mut Vec<Change>) {
    if old.map(|(clear, _)| clear) == new.map(|(clear, _)| clear) {
        return;
    }
    match (old, new) {
        (Some((Value::Object(a), sa)), Some((Value::Object(b), sb))) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = format!("{path}/{}", escaped(name));
                let of = |clear: Option<&'_ Value>, shown: &Value| {
                    Some((clear?.clone(), shown.get(name)?.clone()))
                };
                let (left, right) = (of(a.get(name), sa), of(b.get(name), sb));
                compare(&path, seen(&left), seen(&right), found);
            }
        }
        (Some((Value::Array(a), sa)), Some((Value::Array(b), sb))) => {
            for at in 0..a.len().max(b.len()) {
                let path = format!("{path}/{at}");
                let of = |clear: Option<&'_ Value>, shown: &Value| {
                    Some((clear?.clone(), shown.get(at)?.clone()))
                };
                let (left, right) = (of(a.get(at), sa), of(b.get(at), sb));
                compare(&path, seen(&left), seen(&right), found);
            }
        }
        _ => found.push(Change {
            pointer: path.to_owned(),
            old: old.map(|(_, shown)| shown.clone()),
            new: new.map(|(_, shown)| shown.clone()),
        }),
    }
}

fn seen(pair: &Option<(Value, Value)>) -> Seen<'_> {
    pair.as_ref().map(|(clear, shown)| (clear, shown))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use kafkamq_settings::{Sources, load};

    fn document(text: &str) -> Document {
        load(&Sources::new().text("test", text)).unwrap().document
    }

    #[test]
    fn a_difference_names_keys_and_shows_no_secret() {
        let old = document(
            "[server]\ntokens = [\"first\"]\nmax_body = \"1MiB\"\n[log]\nlevel = \"info\"",
        );
        let new = document("[server]\ntokens = [\"other\"]\nworkers = 2\n[log]\nlevel = \"debug\"");
        let found = changes(&old, &new);
        let change = |pointer: &str, old: Value, new: Value| Change {
            pointer: pointer.to_owned(),
            old: (!old.is_null()).then_some(old),
            new: (!new.is_null()).then_some(new),
        };
        assert_eq!(
            found,
            [
                change("/log/level", json!("info"), json!("debug")),
                change("/server/max_body", json!("1MiB"), Value::Null),
                change("/server/tokens/0", json!("******"), json!("******")),
                change("/server/workers", Value::Null, json!(2)),
            ]
        );
        assert!(changes(&old, &old).is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = History::default();
        for number in 1..=5 {
            let revision = Revision {
                number,
                author: "me".into(),
                origin: ConfigurationOrigin::Http,
                time: String::new(),
                summary: String::new(),
                result: String::new(),
                seconds: 0.0,
                files: String::new(),
                changes: Vec::new(),
                document: Value::Null,
            };
            history.push(revision, 3);
        }
        let kept: Vec<u64> = history.iter().map(|revision| revision.number).collect();
        assert_eq!(kept, [3, 4, 5]);
        assert!(history.get(2).is_none() && history.get(3).is_some());
    }
}
