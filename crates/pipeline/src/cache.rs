//! The cache of a loaded script: values by name, each with a time to live.
//!
//! Bounded by weight: when it is full, what was used least gives way. Values are deep copies, so a
//! list that a later run changes does not change the cache.

use kafkamq_point::Text;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::value::{Constant, Value};

/// How many bytes the values and names of one script's cache may take, roughly.
pub const CAPACITY: u64 = 64 << 20;

/// Values a script keeps from one run to the next.
#[derive(Debug)]
pub struct ScriptCache(Cache<Text, Entry, Weight>);

#[derive(Debug, Clone)]
struct Entry {
    value: Constant,
    expires_ns: i64,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Text, Entry> for Weight {
    fn weight(&self, key: &Text, entry: &Entry) -> u64 {
        (size_of::<Text>() + size_of::<Entry>() + key.len()) as u64 + weight_of(&entry.value)
    }
}

/// The bytes a value takes beyond its own size.
fn weight_of(value: &Constant) -> u64 {
    let each = size_of::<Constant>() as u64;
    match value {
        Constant::Str(text) => text.len() as u64,
        Constant::List(items) => items.iter().map(|item| each + weight_of(item)).sum(),
        Constant::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| 2 * each + key.len() as u64 + weight_of(value))
            .sum(),
        _ => 0,
    }
}

impl Default for ScriptCache {
    fn default() -> Self {
        Self(Cache::with(
            1024,
            CAPACITY,
            Weight,
            DefaultHashBuilder::default(),
            Default::default(),
        ))
    }
}

impl ScriptCache {
    /// The value of a name, unless its time has passed.
    #[must_use]
    pub fn get(&self, name: &str, now_ns: i64) -> Option<Value> {
        let entry = self.0.get(name)?;
        (entry.expires_ns > now_ns).then(|| entry.value.value())
    }

    /// Stores a copy of a value for some seconds, visible at once to all threads. Storing under the
    /// same name again starts the time anew. Without a second to live nothing is stored.
    pub fn set(&self, name: Text, value: &Value, seconds: i64, now_ns: i64) {
        if seconds <= 0 {
            return;
        }
        let entry = Entry {
            value: Constant::of(value),
            expires_ns: now_ns.saturating_add(seconds.saturating_mul(1_000_000_000)),
        };
        self.0.insert(name, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn values_live_as_long_as_told() {
        let cache = ScriptCache::default();
        let read = |now| cache.get("k", now).map(|value| value.text().into_owned());
        cache.set("k".into(), &Value::from("v"), 2, 0);
        assert_eq!(read(0).as_deref(), Some("v"));
        assert_eq!(read(2 * SECOND - 1).as_deref(), Some("v"));
        assert_eq!(read(2 * SECOND), None);
        cache.set("k".into(), &Value::from("w"), 2, SECOND);
        assert_eq!(read(2 * SECOND).as_deref(), Some("w"));
        cache.set("k".into(), &Value::from("x"), 0, SECOND);
        assert_eq!(read(2 * SECOND).as_deref(), Some("w"));
        cache.set("k".into(), &Value::from("y"), i64::MAX, SECOND);
        assert_eq!(read(i64::MAX - 1).as_deref(), Some("y"));
    }

    #[test]
    fn values_are_copies_with_their_type() {
        let cache = ScriptCache::default();
        let list = crate::value::List::new(vec![Value::Int(1)]);
        cache.set("k".into(), &Value::List(list.clone()), 10, 0);
        list.set(0, Value::Int(2));
        let Some(Value::List(copy)) = cache.get("k", 0) else {
            panic!("no list");
        };
        assert_eq!(copy.get(0).and_then(|value| value.as_int()), Some(1));
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = ScriptCache::default();
        let value = Value::from("x".repeat(1 << 20));
        for at in 0..200 {
            cache.set(at.to_string().into(), &value, 10, 0);
        }
        assert!(cache.0.weight() <= CAPACITY);
        assert!(cache.get("199", 0).is_some());
    }
}
