//! Construction rules: what a point of each category may hold, as data, and their application.
//!
//! The rules run when the host (or a script's `create_point`) builds a point, before any script sees
//! it. Scripts may break them afterwards on purpose, for instance by writing text fields into a
//! metric; [`Rules::limits`] then bounds the sizes of what is sent and nothing else.
//!
//! Promise: a point that needs no correction costs one pass and no allocation; every correction is
//! reported as a [`Warning`]; text is only ever cut between characters.

use crate::point::Entry;
use crate::warning::{Warning, WarningKind, cut};
use crate::words::{self, matching};
use crate::{Category, Point, Text, Value};

/// The measurement of points that come without one.
pub(crate) const DEFAULT_NAME: &str = "__default";

/// What replaces positive infinity, the greatest unsigned 64-bit integer as a float.
pub(crate) const POSITIVE_INFINITY: f64 = 18_446_744_073_709_551_615.0;
/// What replaces negative infinity, the least signed 64-bit integer as a float.
pub(crate) const NEGATIVE_INFINITY: f64 = -9_223_372_036_854_775_808.0;

/// The limits and corrections for the points of one category.
///
/// The fields are open so that a caller can derive its own set: a host that must show scripts a whole
/// record in a metric's `message` tag uses `Rules { max_tag_value: usize::MAX, ..*Rules::of(c) }` before
/// the script and [`Rules::limits`] after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Longest measurement in bytes.
    pub(crate) max_name: usize,
    /// Longest key in bytes, tag or field.
    pub(crate) max_key: usize,
    /// Longest tag value in bytes.
    pub(crate) max_tag_value: usize,
    /// Longest text or binary field value in bytes.
    pub(crate) max_field_value: usize,
    /// Most fields in one point; the first ones are kept.
    pub(crate) max_fields: usize,
    /// Most tags in one point; the first ones are kept.
    pub(crate) max_tags: usize,
    /// Keys the product uses itself: they are dropped.
    pub(crate) reserved: &'static [&'static str],
    /// A key every point must have, with the text it gets as a field where it is missing.
    pub required: Option<(&'static str, &'static str)>,
    /// Whether keys may hold `.`; it becomes `_` otherwise.
    pub dots_in_keys: bool,
    /// Whether fields may hold text or bytes; they are dropped otherwise.
    pub(crate) text_fields: bool,
}

const LIMITS: Rules = Rules {
    max_name: 1024,
    max_key: 256,
    max_tag_value: 1024,
    max_field_value: 32 << 20,
    max_fields: 1024,
    max_tags: 256,
    reserved: &[],
    required: None,
    dots_in_keys: true,
    text_fields: true,
};
const METRIC: Rules = Rules {
    text_fields: false,
    ..LIMITS
};
const LOGGING: Rules = Rules {
    reserved: &["source", "date"],
    required: Some(("status", "info")),
    dots_in_keys: false,
    ..LIMITS
};
const OBJECT: Rules = Rules {
    reserved: &["class", "date"],
    required: Some(("name", "default")),
    dots_in_keys: false,
    ..LIMITS
};
const OTHERS: Rules = Rules {
    dots_in_keys: false,
    ..LIMITS
};

impl Rules {
    /// The rules for building a point of this category.
    #[must_use]
    pub const fn of(category: Category) -> &'static Self {
        match category {
            Category::Metric => &METRIC,
            Category::Logging | Category::DialTesting => &LOGGING,
            Category::Object | Category::CustomObject => &OBJECT,
            Category::Network
            | Category::KeyEvent
            | Category::ObjectChange
            | Category::Tracing
            | Category::Rum
            | Category::Security
            | Category::Profiling => &OTHERS,
        }
    }

    /// The bounds every category shares, without anything that interprets keys or adds and drops them
    /// by name: what a point must still respect after a script changed it.
    #[must_use]
    pub const fn limits() -> &'static Self {
        &LIMITS
    }

    /// Corrects `point` in place and returns what was corrected, in the order of its keys. The result
    /// is empty, and nothing was allocated, for a point that respects the rules.
    pub fn apply(&self, point: &mut Point) -> Vec<Warning> {
        let mut warnings = Vec::new();
        self.correct_name(point, &mut warnings);
        if !self.accepts(point.entries()) {
            self.correct_entries(point.entries_mut(), &mut warnings);
        }
        if !point.entries().iter().any(|entry| !entry.tag) {
            warnings.push(Warning::new(WarningKind::NoField, ""));
        }
        warnings
    }

    fn correct_name(&self, point: &mut Point, warnings: &mut Vec<Warning>) {
        let name = point.name();
        if name.is_empty() {
            point.set_name(DEFAULT_NAME);
            warnings.push(Warning::new(WarningKind::InvalidMeasurement, "empty"));
        } else if name.len() > self.max_name {
            let kept = Text::from(cut(name, self.max_name));
            warnings.push(Warning::about(
                WarningKind::InvalidMeasurement,
                format_args!("{} bytes, cut to {}", name.len(), kept.len()),
            ));
            point.set_name(kept);
        }
    }

    /// The one pass every point pays for.
    fn accepts(&self, entries: &[Entry]) -> bool {
        let mut tags = 0;
        let mut required_missing = self.required.is_some();
        for entry in entries {
            if !self.accepts_key(&entry.key) || !self.accepts_value(entry) {
                return false;
            }
            tags += usize::from(entry.tag);
            if let Some((key, _)) = self.required {
                required_missing &= entry.key != key;
            }
        }
        !required_missing && tags <= self.max_tags && entries.len() - tags <= self.max_fields
    }

    fn accepts_key(&self, key: &str) -> bool {
        !key.is_empty()
            && key.len() <= self.max_key
            && !key.ends_with('\\')
            && !self.reserved.contains(&key)
            && !words::any(key.as_bytes(), |word| matching(word, b'\n'))
            && (self.dots_in_keys || !key.contains('.'))
    }

    fn accepts_value(&self, entry: &Entry) -> bool {
        match &entry.value {
            Value::Str(text) if entry.tag => {
                text.len() <= self.max_tag_value
                    && !text.ends_with('\\')
                    && memchr::memchr(b'\n', text.as_bytes()).is_none()
            }
            Value::Str(text) => self.text_fields && text.len() <= self.max_field_value,
            Value::Bytes(bytes) => self.text_fields && bytes.len() <= self.max_field_value,
            Value::Float(number) => number.is_finite(),
            Value::Nil | Value::Int(_) | Value::Uint(_) | Value::Bool(_) | Value::Array(_) => true,
        }
    }

    fn correct_entries(&self, entries: &mut Vec<Entry>, warnings: &mut Vec<Warning>) {
        // Entries that go anyway go first, so that a corrected key never loses against one of them, and
        // the surplus before the keys, whose correction compares each with all.
        entries.retain_mut(|entry| self.correct_value(entry, warnings));
        let reserve = usize::from(self.missing(entries).is_some());
        self.drop_surplus(entries, self.max_fields.saturating_sub(reserve), warnings);
        self.correct_keys(entries, warnings);
        if let Some((key, text)) = self.missing(entries) {
            warnings.push(Warning::new(WarningKind::AddRequiredKey, key));
            entries.push(Entry {
                key: key.into(),
                value: text.into(),
                tag: false,
            });
        }
    }

    fn missing(&self, entries: &[Entry]) -> Option<(&'static str, &'static str)> {
        self.required
            .filter(|(key, _)| !entries.iter().any(|entry| entry.key == *key))
    }

    fn drop_surplus(
        &self,
        entries: &mut Vec<Entry>,
        max_fields: usize,
        warnings: &mut Vec<Warning>,
    ) {
        let (mut tags, mut fields) = (0, 0);
        entries.retain(|entry| {
            let (count, max, kind) = if entry.tag {
                (&mut tags, self.max_tags, WarningKind::ExceedMaxTags)
            } else {
                (&mut fields, max_fields, WarningKind::ExceedMaxFields)
            };
            let kept = *count < max;
            *count += usize::from(kept);
            if !kept {
                warnings.push(Warning::new(kind, &entry.key));
            }
            kept
        });
    }

    /// Whether the entry stays, its value corrected.
    fn correct_value(&self, entry: &mut Entry, warnings: &mut Vec<Warning>) -> bool {
        if self.reserved.contains(&entry.key.as_str()) {
            let kind = if entry.tag {
                WarningKind::TagDisabled
            } else {
                WarningKind::FieldDisabled
            };
            warnings.push(Warning::new(kind, &entry.key));
            return false;
        }
        let (tag, key) = (entry.tag, &entry.key);
        match &mut entry.value {
            Value::Str(text) if tag => self.correct_tag_value(key, text, warnings),
            Value::Str(_) | Value::Bytes(_) if !self.text_fields => {
                warnings.push(Warning::new(WarningKind::InvalidFieldValueType, key));
                return false;
            }
            Value::Str(text) if text.len() > self.max_field_value => {
                let kept = cut(text, self.max_field_value).len();
                warnings.push(Warning::too_long(
                    WarningKind::ExceedMaxFieldValueLen,
                    key,
                    text.len(),
                ));
                text.truncate(kept);
            }
            Value::Bytes(bytes) if bytes.len() > self.max_field_value => {
                warnings.push(Warning::too_long(
                    WarningKind::ExceedMaxFieldValueLen,
                    key,
                    bytes.len(),
                ));
                *bytes = bytes.iter().copied().take(self.max_field_value).collect();
            }
            Value::Float(number) if number.is_nan() => {
                // No encoding of the write interface takes it, and no bound stands in for it.
                warnings.push(Warning::new(WarningKind::InvalidFieldValueType, key));
                return false;
            }
            Value::Float(number) if number.is_infinite() => {
                let (bound, kind) = if *number > 0.0 {
                    (POSITIVE_INFINITY, WarningKind::ConvertInfToMaxValue)
                } else {
                    (NEGATIVE_INFINITY, WarningKind::ConvertInfToMinValue)
                };
                *number = bound;
                warnings.push(Warning::new(kind, key));
            }
            _ => {}
        }
        true
    }

    fn correct_tag_value(&self, key: &str, text: &mut Text, warnings: &mut Vec<Warning>) {
        if text.len() > self.max_tag_value {
            let kept = cut(text, self.max_tag_value).len();
            warnings.push(Warning::too_long(
                WarningKind::ExceedMaxTagValueLen,
                key,
                text.len(),
            ));
            text.truncate(kept);
        }
        if text.ends_with('\\') || text.contains('\n') {
            *text = one_line(text);
            warnings.push(Warning::new(WarningKind::NewLineOrTailEscape, key));
        }
    }

    fn correct_keys(&self, entries: &mut Vec<Entry>, warnings: &mut Vec<Warning>) {
        let mut at = 0;
        while let Some(entry) = entries.get(at) {
            if self.accepts_key(&entry.key) {
                at += 1;
                continue;
            }
            let corrected = self.correct_key(entry, warnings);
            let refusal = if corrected.is_empty() {
                Some(if entry.tag {
                    WarningKind::InvalidTagKey
                } else {
                    WarningKind::InvalidFieldKey
                })
            } else if entries.iter().any(|other| other.key == corrected) {
                Some(WarningKind::KeyNameConflict)
            } else if self.reserved.contains(&corrected.as_str()) {
                Some(WarningKind::FieldDisabled)
            } else {
                None
            };
            if let Some(kind) = refusal {
                warnings.push(Warning::new(kind, &corrected));
                entries.remove(at);
            } else {
                if let Some(entry) = entries.get_mut(at) {
                    entry.key = corrected;
                }
                at += 1;
            }
        }
    }

    fn correct_key(&self, entry: &Entry, warnings: &mut Vec<Warning>) -> Text {
        let mut key = entry.key.clone();
        if !self.dots_in_keys && key.contains('.') {
            warnings.push(Warning::new(WarningKind::DotInKey, &key));
            key = key
                .chars()
                .map(|c| if c == '.' { '_' } else { c })
                .collect();
        }
        if key.len() > self.max_key {
            let kind = if entry.tag {
                WarningKind::ExceedMaxTagKeyLen
            } else {
                WarningKind::ExceedMaxFieldKeyLen
            };
            let kept = cut(&key, self.max_key).len();
            warnings.push(Warning::too_long(kind, &key, key.len()));
            key.truncate(kept);
        }
        if key.ends_with('\\') || key.contains('\n') {
            warnings.push(Warning::new(WarningKind::NewLineOrTailEscape, &key));
            key = one_line(&key);
        }
        key
    }
}

/// `text` with line feeds as spaces and without trailing backslashes: the line protocol can write
/// neither in keys and tags.
pub(crate) fn one_line(text: &str) -> Text {
    text.trim_end_matches('\\')
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(warnings: &[Warning]) -> Vec<WarningKind> {
        warnings.iter().map(|warning| warning.kind).collect()
    }

    fn keys(point: &Point) -> Vec<&str> {
        point.entries().iter().map(|e| e.key.as_str()).collect()
    }

    fn build(
        category: Category,
        name: &str,
        fill: impl FnOnce(&mut Point),
    ) -> (Point, Vec<Warning>) {
        let mut point = Point::new(name, category, 1);
        fill(&mut point);
        let warnings = Rules::of(category).apply(&mut point);
        (point, warnings)
    }

    #[test]
    fn a_clean_point_stays_as_it_is() {
        let (point, warnings) = build(Category::Logging, "nginx", |point| {
            point.set_tag("host", "a");
            point.set_field("status", "ok");
            point.set_field("message", "line\nfeed\\");
        });
        assert_eq!(warnings, []);
        assert_eq!(keys(&point), ["host", "status", "message"]);
    }

    #[test]
    fn logging_loses_reserved_keys_and_gains_a_status() {
        for category in [Category::Logging, Category::DialTesting] {
            let (point, warnings) = build(category, "nginx", |point| {
                point.set_field("source", "x");
                point.set_tag("date", "x");
                point.set_field("a.b", 1i64);
            });
            assert_eq!(keys(&point), ["a_b", "status"]);
            assert_eq!(
                kinds(&warnings),
                [
                    WarningKind::FieldDisabled,
                    WarningKind::TagDisabled,
                    WarningKind::DotInKey,
                    WarningKind::AddRequiredKey
                ]
            );
        }
    }

    #[test]
    fn objects_lose_reserved_keys_and_gain_a_name() {
        for category in [Category::Object, Category::CustomObject] {
            let (point, _) = build(category, "host", |point| point.set_field("class", "x"));
            assert_eq!(point.entries().len(), 1);
            assert_eq!(point.get("name").unwrap().value, Value::from("default"));
        }
    }

    #[test]
    fn metrics_lose_text_fields_and_keep_dots() {
        let (point, warnings) = build(Category::Metric, "cpu", |point| {
            point.set_tag("message", "text");
            point.set_field("status", "info");
            point.set_field("blob", Value::Bytes(Box::new([1])));
            point.set_field("usage.idle", 1.5);
        });
        assert_eq!(keys(&point), ["message", "usage.idle"]);
        assert_eq!(kinds(&warnings), [WarningKind::InvalidFieldValueType; 2]);
    }

    #[test]
    fn names_are_filled_in_and_cut_between_characters() {
        let (point, warnings) = build(Category::Rum, "", |point| point.set_field("a", 1i64));
        assert_eq!(point.name(), "__default");
        assert_eq!(kinds(&warnings), [WarningKind::InvalidMeasurement]);
        let name = format!("x{}", "é".repeat(600));
        let (point, _) = build(Category::Rum, &name, |point| point.set_field("a", 1i64));
        assert_eq!(point.name().len(), 1023);
    }

    #[test]
    fn keys_and_tag_values_become_one_line() {
        let (point, warnings) = build(Category::Metric, "m", |point| {
            point.set_tag("a\nb\\\\", "v\nw\\");
            point.set_field("f\\", 1i64);
        });
        assert_eq!(keys(&point), ["a b", "f"]);
        assert_eq!(point.tags().next(), Some(("a b", "v w")));
        assert_eq!(kinds(&warnings), [WarningKind::NewLineOrTailEscape; 3]);
    }

    #[test]
    fn a_corrected_key_never_replaces_another() {
        let (point, warnings) = build(Category::Tracing, "m", |point| {
            point.set_field("a.b", 1i64);
            point.set_field("c\n", 1i64);
            point.set_field("a_b", 2i64);
            point.set_field("\\", 3i64);
            point.set_field("", 4i64);
        });
        assert_eq!(keys(&point), ["c ", "a_b"]);
        assert_eq!(point.get("a_b").unwrap().value, Value::Int(2));
        assert!(kinds(&warnings).contains(&WarningKind::KeyNameConflict));
    }

    #[test]
    fn values_are_cut_and_bounded() {
        let (point, warnings) = build(Category::Metric, "m", |point| {
            point.set_tag("t", format!("{}é", "x".repeat(1023)));
            point.set_field("up", f64::INFINITY);
            point.set_field("down", f64::NEG_INFINITY);
            point.set_field("nan", f64::NAN);
            point.set_field("k".repeat(300), 1i64);
        });
        assert_eq!(point.tags().next().unwrap().1.len(), 1023);
        assert_eq!(
            point.get("up").unwrap().value,
            Value::Float(POSITIVE_INFINITY)
        );
        assert_eq!(
            point.get("down").unwrap().value,
            Value::Float(NEGATIVE_INFINITY)
        );
        assert_eq!(point.get("nan"), None);
        assert_eq!(point.entries().last().unwrap().key.len(), 256);
        assert_eq!(warnings.len(), 5);
        let rules = Rules {
            max_field_value: 3,
            ..*Rules::limits()
        };
        let mut point = Point::new("m", Category::Logging, 1);
        point.set_field("text", "aéé");
        point.set_field("blob", Value::Bytes(Box::new([1, 2, 3, 4])));
        rules.apply(&mut point);
        assert_eq!(point.get("text").unwrap().value, Value::from("aé"));
        assert_eq!(
            point.get("blob").unwrap().value,
            Value::Bytes(Box::new([1, 2, 3]))
        );
    }

    #[test]
    fn surplus_keys_go_and_the_required_one_still_fits() {
        let (point, warnings) = build(Category::Logging, "m", |point| {
            for n in 0..300 {
                point.set_tag(format!("t{n}"), "v");
            }
            for n in 0..1024 {
                point.set_field(format!("f{n}"), 1i64);
            }
        });
        assert_eq!(point.tags().count(), 256);
        assert_eq!(point.fields().count(), 1024);
        assert!(point.get("f1022").is_some());
        assert!(point.get("f1023").is_none());
        assert_eq!(point.get("status").unwrap().value, Value::from("info"));
        assert_eq!(warnings.len(), 44 + 1 + 1);
    }

    #[test]
    fn limits_leave_names_of_keys_alone() {
        let mut point = Point::new("m", Category::Metric, 1);
        point.set_field("source", "text");
        point.set_tag("a.b", "x".repeat(2000));
        assert_eq!(
            kinds(&Rules::limits().apply(&mut point)),
            [WarningKind::ExceedMaxTagValueLen]
        );
        assert_eq!(keys(&point), ["source", "a.b"]);
    }

    #[test]
    fn applying_twice_changes_nothing_more() {
        for category in Category::ALL {
            let (mut point, _) = build(category, "", |point| {
                point.set_tag("a.b\n\\", "c\n\\");
                point.set_field("source", "x");
                point.set_field("d.e", f64::INFINITY);
                point.set_field("n", 1i64);
            });
            let before = point.clone();
            assert_eq!(Rules::of(category).apply(&mut point), []);
            assert_eq!(point, before);
        }
    }

    #[test]
    fn warnings_read_well() {
        let (_, warnings) = build(Category::Logging, "m", |point| point.set_field("a.b", 1i64));
        assert_eq!(warnings[0].to_string(), "dot_in_key: a.b");
        assert_eq!(warnings[1].to_string(), "add_required_kv: status");
    }
}
