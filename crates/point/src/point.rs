//! The point itself: an ordered list of keys, each a tag or a field, never both.

use std::collections::HashSet;

use crate::{Category, Text, Value};

/// One key of a point with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, unique within its point.
    pub key: Text,
    /// The value; [`Value::Str`] when `tag` is set.
    pub value: Value,
    /// Whether the key is a tag.
    pub tag: bool,
}

/// A measurement with tags, fields, a time and a category.
///
/// Entries keep the order in which they were added. Points are small (a handful to some dozens of
/// keys), so look-ups are linear scans over one contiguous allocation. Most look-ups are for keys
/// that are not there yet, which a filter of bits answers without a scan.
#[derive(Debug, Clone)]
pub struct Point {
    name: Text,
    category: Category,
    time_ns: i64,
    entries: Vec<Entry>,
    /// The bits of all keys, and perhaps more.
    filter: u64,
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.category == other.category
            && self.time_ns == other.time_ns
            && self.entries == other.entries
    }
}

/// The bit of a key in the filter of a point.
#[inline]
fn bit(key: &str) -> u64 {
    let key = key.as_bytes();
    let ends = match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => key
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let mixed = (ends ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    1 << (mixed >> (u64::BITS - u64::BITS.ilog2()))
}

impl Point {
    /// A point without keys. `time_ns` counts nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(name: impl Into<Text>, category: Category, time_ns: i64) -> Self {
        Self {
            name: name.into(),
            category,
            time_ns,
            entries: Vec::with_capacity(16),
            filter: 0,
        }
    }

    /// A point from entries in any order; of several with the same key the last one stays.
    #[must_use]
    pub fn from_entries(
        name: impl Into<Text>,
        category: Category,
        time_ns: i64,
        mut entries: Vec<Entry>,
    ) -> Self {
        keep_one(&mut entries, false);
        Self::of_unique(name, category, time_ns, entries)
    }

    /// The same where tags and fields stood apart: a tag stays rather than a field of its name.
    #[must_use]
    pub(crate) fn from_tags_and_fields(
        name: impl Into<Text>,
        category: Category,
        time_ns: i64,
        mut entries: Vec<Entry>,
    ) -> Self {
        keep_one(&mut entries, true);
        Self::of_unique(name, category, time_ns, entries)
    }

    fn of_unique(
        name: impl Into<Text>,
        category: Category,
        time_ns: i64,
        entries: Vec<Entry>,
    ) -> Self {
        let bits = entries.iter().map(|entry| bit(&entry.key));
        Self {
            filter: bits.fold(0, |filter, bit| filter | bit),
            name: name.into(),
            category,
            time_ns,
            entries,
        }
    }

    /// The measurement.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the measurement.
    pub fn set_name(&mut self, name: impl Into<Text>) {
        self.name = name.into();
    }

    /// The category, which decides about the rules of the point and its path at a receiver.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn time_ns(&self) -> i64 {
        self.time_ns
    }

    /// Replaces the time, in nanoseconds since the Unix epoch.
    pub const fn set_time_ns(&mut self, time_ns: i64) {
        self.time_ns = time_ns;
    }

    /// All keys in the order they were added.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries for bulk changes; the caller keeps keys unique.
    pub const fn entries_mut(&mut self) -> &mut Vec<Entry> {
        self.filter = u64::MAX;
        &mut self.entries
    }

    /// The tags in the order they were added.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .filter(|entry| entry.tag)
            .filter_map(|entry| Some((entry.key.as_str(), entry.value.as_str()?)))
    }

    /// The fields in the order they were added, those holding nil included.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .filter(|entry| !entry.tag)
            .map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// The entry of a key, tag or field.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        if self.filter & bit(key) == 0 {
            return None;
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key for changes in place, and whether the key is a tag, which holds text only.
    #[inline]
    pub fn value_mut(&mut self, key: &str) -> Option<(&mut Value, bool)> {
        let entry = self.entry_mut(key)?;
        Some((&mut entry.value, entry.tag))
    }

    #[inline]
    fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        if self.filter & bit(key) == 0 {
            return None;
        }
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    /// Makes `key` a tag with this text, whatever it was before.
    pub fn set_tag(&mut self, key: impl Into<Text> + AsRef<str>, value: impl Into<Text>) {
        self.put(key, Value::Str(value.into()), true);
    }

    /// Makes `key` a field with this value, whatever it was before.
    pub fn set_field(&mut self, key: impl Into<Text> + AsRef<str>, value: impl Into<Value>) {
        self.put(key, value.into(), false);
    }

    /// Gives a key another name and leaves it in its place; a key that has the name already goes.
    /// Returns whether there was the key.
    pub fn rename(&mut self, key: &str, name: Text) -> bool {
        if key == name || self.get(key).is_none() {
            return self.get(key).is_some();
        }
        self.remove(&name);
        self.filter |= bit(&name);
        if let Some(entry) = self.entry_mut(key) {
            entry.key = name;
        }
        true
    }

    /// Makes room for this many further keys.
    pub fn reserve(&mut self, keys: usize) {
        self.entries.reserve(keys);
    }

    /// Adds a key that is known not to be there; [`Point::set_tag`] and [`Point::set_field`] look.
    #[inline]
    pub fn push(&mut self, entry: Entry) {
        debug_assert!(self.get(&entry.key).is_none(), "{} is there", entry.key);
        self.filter |= bit(&entry.key);
        self.entries.push(entry);
    }

    /// Removes a key and returns its entry; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        if self.filter & bit(key) == 0 {
            return None;
        }
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    fn put(&mut self, key: impl Into<Text> + AsRef<str>, value: Value, tag: bool) {
        match self.entry_mut(key.as_ref()) {
            Some(entry) => {
                entry.value = value;
                entry.tag = tag;
            }
            None => self.push(Entry {
                key: key.into(),
                value,
                tag,
            }),
        }
    }
}

/// Keeps the last entry of each key; with `tags_stay` the last tag, or else the last field.
fn keep_one(entries: &mut Vec<Entry>, tags_stay: bool) {
    // Comparing all pairs is cheapest for the usual point, but a body may hold any number of keys.
    const PAIRS: usize = 24;
    let doomed: Vec<bool> = if entries.len() <= PAIRS {
        let repeats = |(at, entry): (usize, &Entry)| {
            let mut later = entries.iter().skip(at + 1);
            later.any(|later| later.key == entry.key)
        };
        if !entries.iter().enumerate().any(repeats) {
            return;
        }
        let yields = |(at, entry): (usize, &Entry)| {
            let goes_first = |other: &&Entry| tags_stay && other.tag && !entry.tag;
            let stays = |other: &&Entry| !tags_stay || other.tag || !entry.tag;
            let (before, behind) = entries.split_at(at);
            let mut before = before.iter().filter(goes_first);
            let mut behind = behind.iter().skip(1).filter(stays);
            before.any(|other| other.key == entry.key) || behind.any(|other| other.key == entry.key)
        };
        entries.iter().enumerate().map(yields).collect()
    } else {
        let mut seen = HashSet::with_capacity(entries.len());
        let mut doomed = vec![true; entries.len()];
        for turn in [true, false] {
            for (entry, doomed) in entries.iter().zip(&mut doomed).rev() {
                if (entry.tag || !tags_stay) == turn {
                    *doomed = !seen.insert(entry.key.as_str());
                }
            }
        }
        doomed
    };
    let mut doomed = doomed.into_iter();
    entries.retain(|_| !doomed.next().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_tag_or_a_field_never_both() {
        let mut point = Point::new("cpu", Category::Metric, 1);
        point.set_field("host", 1i64);
        point.set_tag("host", "a");
        assert_eq!(point.tags().collect::<Vec<_>>(), [("host", "a")]);
        assert_eq!(point.fields().count(), 0);
        point.set_field("host", 2.5);
        assert_eq!(point.tags().count(), 0);
        assert_eq!(
            point.get("host").map(|entry| &entry.value),
            Some(&Value::Float(2.5))
        );
    }

    #[test]
    fn a_tag_stays_where_a_field_has_its_name_too() {
        for more in [0, 30] {
            for tag_first in [true, false] {
                let entry = |tag: bool, value: &str| Entry {
                    key: "k".into(),
                    value: value.into(),
                    tag,
                };
                let mut entries = vec![entry(tag_first, "1"), entry(!tag_first, "2")];
                entries.extend((0..more).map(|n| Entry {
                    key: format!("k{n}").into(),
                    ..entry(false, "")
                }));
                let point = Point::from_tags_and_fields("m", Category::Metric, 1, entries.clone());
                assert!(point.get("k").unwrap().tag);
                let last = Point::from_entries("m", Category::Metric, 1, entries);
                assert_eq!(last.get("k").unwrap().value, "2".into());
                assert_eq!(point.entries().len(), 1 + more);
            }
        }
    }

    #[test]
    fn of_repeated_keys_the_last_one_stays() {
        for count in [3, 30] {
            let mut entries: Vec<Entry> = (0..count)
                .flat_map(|n| {
                    [n, count].map(|value| Entry {
                        key: format!("k{n}").into(),
                        value: Value::Int(value),
                        tag: false,
                    })
                })
                .collect();
            entries.rotate_left(1);
            let point = Point::from_entries("m", Category::Metric, 1, entries);
            assert_eq!(
                point.entries().len(),
                30.min(usize::try_from(count).unwrap())
            );
            assert_eq!(point.get("k0").unwrap().value, Value::Int(0));
            assert_eq!(point.get("k1").unwrap().value, Value::Int(count));
        }
    }

    #[test]
    fn keys_are_found_whichever_way_they_came() {
        let keys = [
            "",
            "a",
            "abc",
            "abcd",
            "time",
            "a_rather_long_key",
            "\u{e9}t\u{e9}",
        ];
        let entry = |key: &str| Entry {
            key: key.into(),
            value: Value::Int(1),
            tag: false,
        };
        let entries: Vec<_> = keys.into_iter().map(entry).collect();
        let mut pushed = Point::new("m", Category::Metric, 1);
        let mut changed = pushed.clone();
        entries.iter().for_each(|entry| pushed.push(entry.clone()));
        changed.entries_mut().extend(entries.clone());
        let whole = Point::from_entries("m", Category::Metric, 1, entries);
        for mut point in [pushed, changed, whole] {
            for key in keys {
                assert!(point.get(key).is_some() && point.value_mut(key).is_some());
                assert!(point.remove(key).is_some() && point.get(key).is_none());
            }
            assert_eq!(point.get("other"), None);
        }
    }

    #[test]
    fn a_renamed_key_keeps_its_place_and_replaces_another() {
        let mut point = Point::new("cpu", Category::Metric, 1);
        for (at, key) in (0i64..).zip(["a", "b", "c"]) {
            point.set_field(key, at);
        }
        assert!(point.rename("b", "d".into()) && point.rename("a", "c".into()));
        assert!(point.rename("c", "c".into()) && !point.rename("a", "x".into()));
        let fields: Vec<_> = point.fields().collect();
        assert_eq!(fields, [("c", &Value::Int(0)), ("d", &Value::Int(1))]);
        assert!(point.get("d").is_some() && point.get("b").is_none());
    }

    #[test]
    fn removal_keeps_the_order_of_the_rest() {
        let mut point = Point::new("cpu", Category::Metric, 1);
        for key in ["a", "b", "c"] {
            point.set_field(key, 1i64);
        }
        assert_eq!(point.remove("b").map(|entry| entry.key), Some("b".into()));
        assert_eq!(point.remove("b"), None);
        let keys: Vec<_> = point.fields().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "c"]);
    }
}
