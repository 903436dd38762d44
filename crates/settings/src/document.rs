//! Configuration before it has types: texts are parsed, layered and kept with the place of each key.
//!
//! Layers are files in their order, then the environment. Tables merge key by key; the arrays
//! `inputs.kafkamq` and `output` grow. The `config` crate does the layering; this module gives it
//! the layers and remembers where each value came from.

mod layer;
mod syntax;

use std::collections::HashMap;
use std::ops::Range;

use config::{Config, Value as LayerValue};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::layer::{LayerOf, WRONG_NAME, env_value, json_of, merge, variable_path};
use super::change::{self, ChangeBy};
use super::diagnostic::{Diagnostic, Position};
use super::masking::masks;
use super::sources::{Layer, PREFIX, Sources, expand, read};

/// What stands in place of a secret wherever a configuration is shown.
pub const MASK: &str = "******";

/// A merged configuration with the place of every key. It holds secrets in clear, so it has no
/// `Debug`; see `masked` for what may be shown.
#[derive(Clone, Default)]
pub struct Document {
    pub(super) tree: Value,
    texts: Vec<SourceText>,
    places: HashMap<String, Place>,
}

#[derive(Clone)]
struct SourceText {
    name: String,
    text: String,
}

#[derive(Clone)]
enum Place {
    Text {
        source: usize,
        key: Range<usize>,
        value: Range<usize>,
    },
    Variable(String),
}

/// Which part of an entry a finding marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl Document {
    /// Reads and merges all sources. Findings are about reading and syntax; the document holds what
    /// could be read all the same.
    pub(super) fn read(sources: &Sources) -> (Self, Vec<Diagnostic>) {
        let mut document = Self::default();
        let mut found = Vec::new();
        let mut layers = Vec::new();
        let mut arrays = HashMap::new();
        for layer in &sources.layers {
            match layer {
                Layer::File(path) => {
                    for path in expand(path, &mut found) {
                        let name = path.display().to_string();
                        match read(&path) {
                            Ok(text) => {
                                layers.push(document.parse(name, text, &mut arrays, &mut found));
                            }
                            Err(diagnostic) => found.push(*diagnostic),
                        }
                    }
                }
                Layer::Text { name, text } => {
                    layers.push(document.parse(
                        name.clone(),
                        text.clone(),
                        &mut arrays,
                        &mut found,
                    ));
                }
                Layer::Json(tree) => layers.push(tree.clone()),
            }
        }
        document.check_output(&layers, &mut found);
        match merge(layers) {
            Ok(tree) => document.tree = tree,
            Err(error) => found.push(Diagnostic::error("", error.to_string())),
        }
        document.apply_environment(&sources.environment, &mut found);
        for (name, meant) in &sources.misspelt {
            let mut ignored = Diagnostic::warning("", "the variable is ignored").with_hint(
                format!("two underscores stand between table and key: {meant}"),
            );
            ignored.variable = Some(name.clone());
            found.push(ignored);
        }
        (document, found)
    }

    /// Reads `sources` as a change of `running`: masks keep the secrets that are there, and what the
    /// environment says stays on top. Saying otherwise is a finding, so that nothing is ignored
    /// silently. With [`ChangeBy::Caller`] so is what only files may say.
    pub(super) fn read_change(
        sources: &Sources,
        running: &Self,
        by: ChangeBy,
    ) -> (Self, Vec<Diagnostic>) {
        let layers = Sources {
            layers: sources.layers.clone(),
            environment: Vec::new(),
            misspelt: Vec::new(),
        };
        let (mut document, mut found) = Self::read(&layers);
        document.tree = running.unmask(document.tree);
        let mut left = Vec::new();
        masks(&document.tree, "", &mut left);
        for path in left {
            let mut mask = Diagnostic::error(&*path, "there is no secret for this mask to keep")
                .with_hint(
                    "write the secret, or leave the table its name and the address it is sent to",
                );
            document.locate(&mut mask, &path, Part::Value, true);
            found.push(mask);
        }
        let asked = document.tree.clone();
        document.apply_environment(&sources.environment, &mut found);
        for (path, place) in &document.places {
            let Place::Variable(name) = place else {
                continue;
            };
            let (Some(asked), Some(is)) = (at(&asked, path), at(&document.tree, path)) else {
                continue;
            };
            if !same_text(asked, is) {
                let mut wrong = Diagnostic::error(
                    &**path,
                    "the environment says otherwise, and it has the last word",
                )
                .with_hint("leave the key as it is, or start the process without the variable");
                wrong.variable = Some(name.clone());
                found.push(wrong);
            }
        }
        if by == ChangeBy::Caller {
            for mut finding in change::refused(&document, running) {
                let path = finding.key.clone();
                document.locate(&mut finding, &path, Part::Value, false);
                found.push(finding);
            }
        }
        (document, found)
    }

    /// Whether the operator wrote anything about the top-level key `name`.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.tree.get(name).is_some()
    }

    /// Whether a variable of the environment gives the value at `path`.
    pub(super) fn is_of_environment(&self, path: &str) -> bool {
        matches!(self.places.get(path), Some(Place::Variable(_)))
    }

    /// The tree without what the environment laid over it, for keeping.
    #[must_use]
    pub fn without_environment(&self) -> Value {
        let mut tree = self.tree.clone();
        for (path, place) in &self.places {
            if matches!(place, Place::Variable(_))
                && let Some((key, parent)) = steps(path).split_last()
                && let Some(Value::Object(table)) = at_mut(&mut tree, parent)
            {
                table.remove(key);
            }
        }
        tree
    }

    /// One file's `[output]` and another's `[[output]]` cannot be merged.
    fn check_output(&self, layers: &[Value], found: &mut Vec<Diagnostic>) {
        let filled = |layer: &&Value| match layer.get("output") {
            Some(Value::Object(table)) => !table.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            _ => false,
        };
        let mut kinds = layers
            .iter()
            .filter(filled)
            .map(|layer| layer.get("output").is_some_and(Value::is_array));
        let first = kinds.next();
        if first.is_some_and(|first| kinds.any(|kind| kind != first)) {
            let mut mixed = Diagnostic::error(
                "output",
                "one file says [output] and another one [[output]]",
            )
            .with_hint("write [[output]] in both, so that each adds one");
            self.locate(&mut mixed, "output", Part::Key, false);
            found.push(mixed);
        }
    }

    fn parse(
        &mut self,
        name: String,
        text: String,
        arrays: &mut HashMap<&'static str, Vec<Value>>,
        found: &mut Vec<Diagnostic>,
    ) -> Value {
        let source = self.texts.len();
        let (table, errors) = DeTable::parse_recoverable(&text);
        self.texts.push(SourceText {
            name,
            text: text.clone(),
        });
        for (mut diagnostic, span) in syntax::findings(&text, &errors) {
            diagnostic.position = span.map(|span| self.position(source, &span));
            found.push(diagnostic);
        }
        if !errors.is_empty() {
            // What the parser made of a broken text would only add findings that confuse.
            return Value::Object(Map::new());
        }
        let mut tree = Map::new();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match (name, value.get_ref()) {
                ("inputs", DeValue::Table(inputs)) => {
                    self.place("inputs", source, key.span(), value.span());
                    let mut children = Map::new();
                    for (key, value) in inputs {
                        let name: &str = key.get_ref();
                        let value = if name == "kafkamq" {
                            self.grow("inputs.kafkamq", source, key.span(), value, arrays)
                        } else {
                            self.value(&join("inputs", name), source, key.span(), value)
                        };
                        children.insert(name.to_owned(), value);
                    }
                    tree.insert(name.to_owned(), Value::Object(children));
                }
                ("output", DeValue::Array(_)) => {
                    let value = self.grow("output", source, key.span(), value, arrays);
                    tree.insert(name.to_owned(), value);
                }
                _ => {
                    let value = self.value(&join("", name), source, key.span(), value);
                    tree.insert(name.to_owned(), value);
                }
            }
        }
        Value::Object(tree)
    }

    /// Appends the elements of an array, or a single table, to those of earlier files.
    fn grow(
        &mut self,
        path: &'static str,
        source: usize,
        key: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        arrays: &mut HashMap<&'static str, Vec<Value>>,
    ) -> Value {
        let mut all = arrays.remove(path).unwrap_or_default();
        self.place(path, source, key.clone(), value.span());
        match value.get_ref() {
            DeValue::Array(items) => {
                for item in items.iter() {
                    // The parser gives elements of `[[...]]` the span of their header.
                    let path = format!("{path}[{}]", all.len());
                    all.push(self.value(&path, source, item.span(), item));
                }
            }
            DeValue::Table(_) => {
                let path = format!("{path}[{}]", all.len());
                all.push(self.value(&path, source, key, value));
            }
            _ => return self.value(path, source, key, value),
        }
        arrays.insert(path, all.clone());
        Value::Array(all)
    }

    fn place(&mut self, path: &str, source: usize, key: Range<usize>, value: Range<usize>) {
        self.places
            .insert(path.to_owned(), Place::Text { source, key, value });
    }

    fn value(
        &mut self,
        path: &str,
        source: usize,
        key: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Value {
        self.place(path, source, key, value.span());
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::String(number.to_string()), Value::from),
            DeValue::Float(number) => number
                .as_str()
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| Value::String(number.as_str().to_owned()), Value::Number),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        self.value(&format!("{path}[{index}]"), source, item.span(), item)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Object(
                table
                    .iter()
                    .map(|(key, value)| {
                        let name: &str = key.get_ref();
                        let value = self.value(&join(path, name), source, key.span(), value);
                        (name.to_owned(), value)
                    })
                    .collect(),
            ),
        }
    }

    /// Lays `KAFKAMQ_<TABLE>__<KEY>` over the files.
    fn apply_environment(&mut self, variables: &[(String, String)], found: &mut Vec<Diagnostic>) {
        if variables.is_empty() {
            return;
        }
        let mut builder = Config::builder().add_source(LayerOf(std::mem::take(&mut self.tree)));
        let mut tree = match builder.build_cloned() {
            Ok(config) => json_of(config.cache),
            Err(error) => {
                found.push(Diagnostic::error("", error.to_string()));
                return;
            }
        };
        for (name, text) in variables {
            let path = variable_path(&tree, name.trim_start_matches(PREFIX));
            let applied = path.and_then(|path| {
                let value = LayerValue::from(env_value(text));
                let next = builder
                    .clone()
                    .set_override(&path, value)
                    .map_err(|_| WRONG_NAME)?;
                Ok((path, next))
            });
            match applied {
                Ok((path, next)) => {
                    builder = next;
                    // Later variables may address elements that earlier ones made.
                    if let Ok(config) = builder.build_cloned() {
                        tree = json_of(config.cache);
                    }
                    self.places.insert(path, Place::Variable(name.clone()));
                }
                Err(message) => {
                    let mut wrong = Diagnostic::error("", message).with_hint(
                        "the form is KAFKAMQ_<TABLE>__<KEY>, for example KAFKAMQ_SERVER__LISTEN \
                         or KAFKAMQ_INPUTS__0__GROUP_ID",
                    );
                    wrong.variable = Some(name.clone());
                    found.push(wrong);
                }
            }
        }
        self.tree = tree;
    }

    /// Gives a finding of another module the place of the key at `path`, one step an element.
    #[must_use]
    pub fn located(&self, mut diagnostic: Diagnostic, path: &[&str]) -> Diagnostic {
        let path = path
            .iter()
            .fold(String::new(), |path, step| match step.split_once('[') {
                Some((key, index)) if index.ends_with(']') => {
                    format!("{}[{index}", join(&path, key))
                }
                _ => join(&path, step),
            });
        diagnostic.key.clone_from(&path);
        self.locate(&mut diagnostic, &path, Part::Value, false);
        diagnostic
    }

    /// The merged tree, secrets in clear. It may be changed and loaded again with [`Sources::json`].
    #[must_use]
    pub fn tree(&self) -> &Value {
        &self.tree
    }

    /// Whether the value at `path` comes from the environment, where everything is text.
    pub(super) fn is_variable(&self, path: &str) -> bool {
        matches!(self.places.get(path), Some(Place::Variable(_)))
    }

    /// Adds the place of `path`, or of the nearest enclosing table that has one, to a finding.
    /// With `secret`, nothing of the value is repeated.
    pub(super) fn locate(&self, diagnostic: &mut Diagnostic, path: &str, part: Part, secret: bool) {
        match self.nearest(path) {
            Some((Place::Text { source, key, value }, exact)) => {
                let span = if part == Part::Value && exact {
                    value
                } else {
                    key
                };
                let mut position = self.position(*source, span);
                if secret && part == Part::Key {
                    let end = position.column + position.length - 1;
                    position.text = position.text.chars().take(end).collect();
                } else if secret {
                    position.text.clear();
                }
                diagnostic.position = Some(position);
            }
            Some((Place::Variable(name), _)) => diagnostic.variable = Some(name.clone()),
            None => {}
        }
    }

    /// The place of the key at `path`, if it is in a text.
    pub(super) fn key_position(&self, path: &str, part: Part) -> Option<Position> {
        match self.nearest(path)?.0 {
            Place::Text { source, key, value } => {
                Some(self.position(*source, if part == Part::Key { key } else { value }))
            }
            Place::Variable(_) => None,
        }
    }

    fn nearest(&self, path: &str) -> Option<(&Place, bool)> {
        if let Some(place) = self.places.get(path) {
            return Some((place, true));
        }
        let mut rest = path;
        while let Some(cut) = rest.rfind(['.', '[']) {
            rest = &rest[..cut];
            if let Some(place) = self.places.get(rest) {
                return Some((place, false));
            }
        }
        None
    }

    fn position(&self, source: usize, span: &Range<usize>) -> Position {
        let Some(SourceText { name, text }) = self.texts.get(source) else {
            return Position {
                file: String::new(),
                line: 1,
                column: 1,
                length: 1,
                text: String::new(),
            };
        };
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let line_text = text
            .get(line_start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let marked = text
            .get(start..span.end.min(text.len()))
            .unwrap_or_default();
        let length = marked
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            .max(1);
        let shown = if mentions_secret(line_text) {
            String::new()
        } else {
            line_text.replace('\t', " ")
        };
        Position {
            file: name.clone(),
            line,
            column,
            length,
            text: shown,
        }
    }
}

/// Whether a line should not be repeated because a value on it may be secret.
fn mentions_secret(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "pass",
        "secret",
        "token",
        "authorization",
        "header",
        "api-key",
        "cookie",
        "sasl.",
    ];
    let line = line.to_ascii_lowercase();
    WORDS.iter().any(|word| line.contains(word)) || (line.contains("://") && line.contains('@'))
}

/// The steps of a path such as `inputs.kafkamq[0]."a.b"`, unquoted.
pub fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(step)) = stream.next() else {
                break;
            };
            rest = rest.get(stream.byte_offset()..).unwrap_or_default();
            steps.push(step);
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').unwrap_or((inner, ""));
            steps.push(index.to_owned());
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (step, after) = rest.split_at(end);
            steps.push(step.to_owned());
            rest = after;
        }
    }
    steps
}

fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).iter().try_fold(tree, |node, step| match node {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        node => node.get(step),
    })
}

fn at_mut<'a>(tree: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |node, step| match node {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        node => node.get_mut(step),
    })
}

/// Whether two values say the same; in the environment everything is text.
fn same_text(a: &Value, b: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    a == b || text(a) == text(b)
}

/// Appends a key to a path, quoted when it is not a bare key.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match (path.is_empty(), bare) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{key:?}"),
        (false, true) => format!("{path}.{key}"),
        (false, false) => format!("{path}.{key:?}"),
    }
}
