//! Showing a document without its secrets, and taking back what was shown.

use serde_json::Value;
use url::Url;

use super::document::{Document, MASK, join};
use super::keys::{Kind, ROOT, Table};

impl Document {
    /// The merged tree with every secret replaced by [`MASK`]: secret keys, header values, and
    /// credentials inside addresses. Unknown keys that sound secret are masked as well.
    #[must_use]
    pub fn masked(&self) -> Value {
        let mut tree = self.tree.clone();
        mask_table(&mut tree, Some(&ROOT));
        tree
    }

    /// Puts this document's secrets where `shown` (a changed copy of [`Document::masked`]) has
    /// masks. Tables in a list are matched by their name (`name` or `group_id`), so that none gets the
    /// secret of another; lists of other things by position, unless one became shorter. A mask that
    /// stands for nothing stays.
    #[must_use]
    pub fn unmask(&self, mut shown: Value) -> Value {
        unmask(&mut shown, &self.tree);
        shown
    }

    /// Applies a JSON merge patch (RFC 7396); masks in it keep the secrets that are there.
    #[must_use]
    pub fn patched(&self, patch: &Value) -> Value {
        let mut tree = self.tree.clone();
        merge_patch(&mut tree, patch);
        unmask(&mut tree, &self.tree);
        tree
    }
}

fn mask_table(value: &mut Value, table: Option<&'static Table>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_table(item, table)),
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = table.and_then(|table| table.key(name));
                let inner = table.and_then(|table| {
                    table
                        .tables
                        .iter()
                        .find(|(known, _)| known == name)
                        .map(|(_, table)| *table)
                });
                match (key, inner) {
                    // A list that takes secrets and tables, each with its secret.
                    (Some(key), Some(inner)) if key.kind.is_secret() => mask_mixed(value, inner),
                    (Some(key), _) if key.kind.is_secret() => mask_all(value),
                    (Some(key), _) => mask_addresses(value, key.kind),
                    // Tables by a name of the operator's choice repeat one table.
                    (None, Some(inner)) if inner.header.contains("NAME") => {
                        if let Value::Object(named) = value {
                            named
                                .values_mut()
                                .for_each(|value| mask_table(value, Some(inner)));
                        }
                    }
                    (None, Some(inner)) => mask_table(value, Some(inner)),
                    (None, None) if sounds_secret(name) => mask_all(value),
                    (None, None) => mask_table(value, None),
                }
            }
        }
        other => mask_addresses(other, Kind::Text),
    }
}

fn mask_mixed(value: &mut Value, table: &'static Table) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_mixed(item, table)),
        Value::Object(_) => mask_table(value, Some(table)),
        other => mask_all(other),
    }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.ends_with("_file")
        && ["pass", "secret", "token", "auth", "credential", "key"]
            .iter()
            .any(|word| name.contains(word))
}

/// Replaces every text; `{ file = "..." }` names no secret and stays.
fn mask_all(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(entries) => {
            let file = entries.len() == 1 && entries.contains_key("file");
            if !file {
                entries.values_mut().for_each(mask_all);
            }
        }
        Value::Null => {}
        other => *other = Value::String(MASK.to_owned()),
    }
}

fn mask_addresses(value: &mut Value, kind: Kind) {
    match value {
        Value::String(text) if text.contains("://") => {
            if let Some(masked) = masked_address(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask_addresses(item, kind)),
        Value::Object(entries) => {
            for (name, value) in entries {
                if kind == Kind::TextTable && sounds_secret(name) && name.contains('.') {
                    mask_all(value);
                } else {
                    mask_addresses(value, kind);
                }
            }
        }
        _ => {}
    }
}

/// The address with a mask for its password and for arguments that sound secret.
fn masked_address(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    let secret_query = url.query_pairs().any(|(name, _)| sounds_secret(&name));
    if url.password().is_none() && !secret_query {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some(MASK)).ok()?;
    }
    if secret_query {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if sounds_secret(&name) {
                    MASK.to_owned()
                } else {
                    value.into_owned()
                };
                (name.into_owned(), value)
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    Some(url.to_string())
}

fn unmask(shown: &mut Value, own: &Value) {
    match (shown, own) {
        (Value::Object(shown), Value::Object(own)) => {
            for (name, value) in shown {
                if let Some(own) = own.get(name) {
                    unmask(value, own);
                }
            }
        }
        (Value::Array(shown), Value::Array(own)) => {
            let named = |value: &Value| {
                let name = value.get("name").or_else(|| value.get("group_id"))?;
                name.as_str().map(str::to_owned)
            };
            let shorter = shown.len() < own.len();
            for (at, value) in shown.iter_mut().enumerate() {
                let same = match named(value) {
                    Some(name) => own.iter().find(|own| named(own).as_ref() == Some(&name)),
                    None if shorter => None,
                    None => own.get(at).filter(|own| named(own).is_none()),
                };
                if let Some(own) = same {
                    unmask(value, own);
                }
            }
        }
        (Value::String(shown), own) if shown == MASK => {
            let own = own.clone();
            if let Value::String(own) = own {
                *shown = own;
            }
        }
        (Value::String(shown), Value::String(own))
            if masked_address(own).is_some_and(|masked| masked == *shown) =>
        {
            shown.clone_from(own);
        }
        _ => {}
    }
}

/// The paths of the values below `value` that still are masks.
pub(super) fn masks(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(MASK) => found.push(path.to_owned()),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                masks(item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                masks(value, &join(path, name), found);
            }
        }
        _ => {}
    }
}

fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge_patch(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
