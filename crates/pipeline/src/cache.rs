//! The cache of a loaded script: values by name, each with a time to live.
//!
//! Bounded by weight, and by the account of all scripts: when there is no room, the entries used least recently are removed.
//! Values are deep copies, so a list that a later run changes does not change the cache.

use std::sync::Arc;

use kafkamq_memory::{Account, Charge};

use kafkamq_point::Text;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::value::Constant;

/// How many bytes the values and names of one script's cache may take, roughly.
pub(crate) const CAPACITY: u64 = 64 << 20;

/// The account that caches and windows of all scripts charge; a service of the engine. Without it each
/// has a bound of its own.
#[derive(Debug, Clone)]
pub struct KeptMemory(pub Arc<Account>);

/// Values a script keeps from one run to the next.
#[derive(Debug)]
pub struct ScriptCache {
    values: Cache<Text, Entry, Weight>,
    account: Arc<Account>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Constant,
    expires_ns: i64,
    _charge: Arc<Charge>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Text, Entry> for Weight {
    fn weight(&self, key: &Text, entry: &Entry) -> u64 {
        weight(key, &entry.value) as u64
    }
}

fn weight(key: &Text, value: &Constant) -> usize {
    size_of::<Text>() + size_of::<Entry>() + size_of::<Charge>() + key.len() + value.bytes()
}

impl Default for ScriptCache {
    fn default() -> Self {
        Self::within(&Account::root("cache of a script", usize::MAX))
    }
}

impl ScriptCache {
    /// A cache that charges an account, besides its own bound.
    #[must_use]
    pub(crate) fn within(account: &Arc<Account>) -> Self {
        Self {
            values: Cache::with(
                1024,
                CAPACITY,
                Weight,
                DefaultHashBuilder::default(),
                Default::default(),
            ),
            account: Arc::clone(account),
        }
    }

    /// Charges a value; where the account is full, half of this cache is removed first.
    fn charge(&self, bytes: usize) -> Option<Charge> {
        if let Ok(charge) = self.account.try_charge(bytes) {
            return Some(charge);
        }
        self.values.set_capacity(self.values.weight() / 2);
        self.values.set_capacity(CAPACITY);
        self.account.try_charge(bytes).ok()
    }

    /// The value of a name, unless its time has passed.
    #[must_use]
    pub fn get(&self, name: &str, now_ns: i64) -> Option<Constant> {
        let entry = self.values.get(name)?;
        (entry.expires_ns > now_ns).then_some(entry.value)
    }

    /// Stores a value for some seconds, visible at once to all threads. Storing under the
    /// same name again starts the time anew. Without a second to live nothing is stored.
    pub fn set(&self, name: Text, value: Constant, seconds: i64, now_ns: i64) {
        if seconds <= 0 {
            return;
        }
        // A value that does not fit even so is not kept, as if it had given way at once.
        let Some(charge) = self.charge(weight(&name, &value)) else {
            return;
        };
        let entry = Entry {
            _charge: Arc::new(charge),
            value,
            expires_ns: now_ns.saturating_add(seconds.saturating_mul(1_000_000_000)),
        };
        self.values.insert(name, entry);
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
        assert!(cache.values.weight() <= CAPACITY);
        assert!(cache.get("199", 0).is_some());
    }

    #[test]
    fn caches_share_an_account_and_give_way_to_each_other() {
        let account = Account::root("test", 4 << 20);
        let (one, other) = (ScriptCache::within(&account), ScriptCache::within(&account));
        let value = Constant::Str("x".repeat(1 << 20).into());
        for at in 0..20 {
            one.set(at.to_string().into(), value.clone(), 10, 0);
            assert!(account.used() <= 4 << 20);
        }
        assert!(one.get("19", 0).is_some());
        drop(one);
        other.set("k".into(), value, 10, 0);
        assert!(other.get("k", 0).is_some());
        drop(other);
        assert_eq!(account.used(), 0);
    }
}
