//! The cache of a loaded script: values by name, each with a time to live.
//!
//! Bounded by weight: when it is full, what was used least gives way. Values are deep copies, so a
//! list that a later run changes does not change the cache.

use kafkamq_point::Text;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::value::Constant;

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
        (size_of::<Text>() + size_of::<Entry>() + key.len() + entry.value.bytes()) as u64
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
    pub fn get(&self, name: &str, now_ns: i64) -> Option<Constant> {
        let entry = self.0.get(name)?;
        (entry.expires_ns > now_ns).then_some(entry.value)
    }

    /// Stores a value for some seconds, visible at once to all threads. Storing under the
    /// same name again starts the time anew. Without a second to live nothing is stored.
    pub fn set(&self, name: Text, value: Constant, seconds: i64, now_ns: i64) {
        if seconds <= 0 {
            return;
        }
        let entry = Entry {
            value,
            expires_ns: now_ns.saturating_add(seconds.saturating_mul(1_000_000_000)),
        };
        self.0.insert(name, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn values_live_as_long_as_told() {
        let cache = ScriptCache::default();
        let read = |now| {
            cache
                .get("k", now)
                .map(|value| value.value().text().into_owned())
        };
        cache.set("k".into(), Constant::Str("v".into()), 2, 0);
        assert_eq!(read(0).as_deref(), Some("v"));
        assert_eq!(read(2 * SECOND - 1).as_deref(), Some("v"));
        assert_eq!(read(2 * SECOND), None);
        cache.set("k".into(), Constant::Str("w".into()), 2, SECOND);
        assert_eq!(read(2 * SECOND).as_deref(), Some("w"));
        cache.set("k".into(), Constant::Str("x".into()), 0, SECOND);
        assert_eq!(read(2 * SECOND).as_deref(), Some("w"));
        cache.set("k".into(), Constant::Str("y".into()), i64::MAX, SECOND);
        assert_eq!(read(i64::MAX - 1).as_deref(), Some("y"));
    }

    #[test]
    fn values_are_copies_with_their_type() {
        let cache = ScriptCache::default();
        let list = crate::value::List::new(vec![Value::Int(1)]);
        cache.set("k".into(), Constant::of(&Value::List(list.clone())), 10, 0);
        list.set(0, Value::Int(2));
        let Some(Value::List(copy)) = cache.get("k", 0).map(|value| value.value()) else {
            panic!("no list");
        };
        assert_eq!(copy.get(0).and_then(|value| value.as_int()), Some(1));
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = ScriptCache::default();
        let value = Constant::Str("x".repeat(1 << 20).into());
        for at in 0..200 {
            cache.set(at.to_string().into(), value.clone(), 10, 0);
        }
        assert!(cache.0.weight() <= CAPACITY);
        assert!(cache.get("199", 0).is_some());
    }
}
