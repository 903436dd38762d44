//! Showing a document without its secrets, and taking back what was shown.

use serde_json::Value;
use url::Url;

use super::document::{Document, MASK, join};
use super::keys::{Kind, ROOT, Table};
use kafkamq_address::is_secret_name;

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
    /// secret of another; lists of other things by position, unless one became shorter. A mask in a
    /// table whose secrets would go to another receiver stays, and so does one without a secret.
    #[must_use]
    pub(crate) fn unmask(&self, mut shown: Value) -> Value {
        unmask(&mut shown, &self.tree, Some(&ROOT));
        shown
    }

    /// Applies a JSON merge patch (RFC 7396) to what may be shown. So a patch can move no secret
    /// either: what it leaves alone keeps its secret, as `unmask` says.
    #[must_use]
    pub fn patched(&self, patch: &Value) -> Value {
        let mut tree = self.masked();
        merge_patch(&mut tree, patch);
        self.unmask(tree)
    }
}

/// What stands below a key of a table.
#[derive(Clone, Copy)]
pub(super) enum Below {
    /// Another table, or a list of them.
    Table(&'static Table),
    /// Tables by names of the operator's choice.
    Named(&'static Table),
    /// Nothing that is known.
    Unknown,
}

impl Below {
    pub(super) fn of(table: Option<&'static Table>, name: &str) -> Self {
        let inner = table.and_then(|table| table.tables.iter().find(|(known, _)| known == &name));
        match inner {
            Some((_, inner)) if inner.header.contains("NAME") => Self::Named(inner),
            Some((_, inner)) => Self::Table(inner),
            None => Self::Unknown,
        }
    }

    const fn table(self) -> Option<&'static Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Named(_) | Self::Unknown => None,
        }
    }
}

fn mask_table(value: &mut Value, table: Option<&'static Table>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_table(item, table)),
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = table.and_then(|table| table.key(name));
                match (key, Below::of(table, name)) {
                    // A list that takes secrets and tables, each with its secret.
                    (Some(key), Below::Table(inner)) if key.kind.is_secret() => {
                        mask_mixed(value, inner);
                    }
                    (Some(key), _) if key.kind.is_secret() => mask_all(value),
                    (Some(key), _) => mask_addresses(value, key.kind),
                    (None, Below::Named(inner)) => {
                        if let Value::Object(named) = value {
                            named
                                .values_mut()
                                .for_each(|value| mask_table(value, Some(inner)));
                        }
                    }
                    (None, Below::Table(inner)) => mask_table(value, Some(inner)),
                    (None, Below::Unknown) if sounds_secret(name) => mask_all(value),
                    (None, Below::Unknown) => mask_table(value, None),
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
    !name.to_ascii_lowercase().ends_with("_file") && is_secret_name(name)
}

/// Replaces every text; `{ file = "..." }` is not a secret and stays.
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
        Value::String(text) => {
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

/// The address with masks for its credentials, if it holds any.
fn masked_address(text: &str) -> Option<String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| text.contains("://") && url.has_host())?;
    kafkamq_address::masked(&url, MASK)
}

/// The element of `own` that the element at `at` of `shown` is a copy of. Elements are matched by
/// their name; by their place where they have none, or share it with others.
pub(super) fn counterpart<'a>(shown: &[Value], at: usize, own: &'a [Value]) -> Option<&'a Value> {
    let named = |value: &Value| {
        let name = value.get("name").or_else(|| value.get("group_id"))?;
        name.as_str().map(str::to_owned)
    };
    let name = shown.get(at).and_then(named);
    let in_place = || own.get(at).filter(|own| named(own) == name);
    if name.is_none() {
        return in_place().filter(|_| shown.len() >= own.len());
    }
    let mut same = own.iter().filter(|own| named(own) == name);
    match (same.next(), same.next()) {
        (only, None) => only,
        (_, Some(_)) => in_place(),
    }
}

/// The keys that decide who receives the secrets of a table and differ between the two.
pub(super) fn moved(
    shown: &serde_json::Map<String, Value>,
    own: &serde_json::Map<String, Value>,
    table: Option<&'static Table>,
) -> Option<String> {
    let names = shown.keys().chain(own.keys());
    let mut receivers = names.filter(|name| {
        table
            .and_then(|table| table.key(name))
            .is_some_and(|key| key.receiver)
    });
    receivers
        .find(|name| shown.get(*name) != own.get(*name))
        .cloned()
}

fn unmask(shown: &mut Value, own: &Value, table: Option<&'static Table>) {
    match (shown, own) {
        (Value::Object(shown), Value::Object(own)) => unmask_table(shown, own, table),
        (Value::Array(shown), Value::Array(own)) => {
            for at in 0..shown.len() {
                let same = counterpart(shown, at, own).cloned();
                if let (Some(own), Some(value)) = (same, shown.get_mut(at)) {
                    unmask(value, &own, table);
                }
            }
        }
        (Value::String(shown), Value::String(own)) if shown == MASK => shown.clone_from(own),
        (Value::String(shown), Value::String(own))
            if masked_address(own).is_some_and(|masked| masked == *shown) =>
        {
            shown.clone_from(own);
        }
        _ => {}
    }
}

fn unmask_table(
    shown: &mut serde_json::Map<String, Value>,
    own: &serde_json::Map<String, Value>,
    table: Option<&'static Table>,
) {
    let secret = |name: &str| {
        let key = table.and_then(|table| table.key(name));
        key.map_or(sounds_secret(name), |key| key.kind.is_secret())
    };
    // Addresses come first, because they decide about the rest.
    for (name, value) in shown.iter_mut().filter(|(name, _)| !secret(name)) {
        let Some(own) = own.get(name) else { continue };
        match (Below::of(table, name), own) {
            (Below::Named(inner), Value::Object(own)) => {
                let Value::Object(named) = value else {
                    continue;
                };
                for (name, value) in named {
                    if let Some(own) = own.get(name) {
                        unmask(value, own, Some(inner));
                    }
                }
            }
            (below, own) => unmask(value, own, below.table()),
        }
    }
    if moved(shown, own, table).is_some() {
        return;
    }
    for (name, value) in shown.iter_mut().filter(|(name, _)| secret(name)) {
        if let Some(own) = own.get(name) {
            unmask(value, own, Below::of(table, name).table());
        }
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
