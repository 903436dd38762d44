//! The shared map. Entries keep insertion order; small maps are scanned, large ones indexed.

use std::cell::{OnceCell, Ref, RefCell};
use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use kafkamq_point::Text;

use super::Value;
use crate::json::{Member, Object};

/// Up to this many entries a scan beats hashing the key.
const SCAN_LIMIT: usize = 16;

/// A map shared by everyone who holds it; cloning shares, it does not copy.
#[derive(Debug, Clone, Default)]
pub struct Map(Rc<Body>);

#[derive(Debug, Default)]
struct Body {
    /// The JSON object this map is, which stands for the entries until these are needed.
    object: Option<Object>,
    entries: OnceCell<RefCell<Entries>>,
}

/// The entries of a map, in insertion order.
#[derive(Debug, Default)]
pub struct Entries {
    pairs: Vec<(Text, Value)>,
    /// The tags of the keys of a small map, in the order of the pairs: a scan compares these and
    /// looks at the text only where they agree.
    tags: [u64; SCAN_LIMIT],
    index: Option<HashTable<usize>>,
}

/// A number that equal keys share and different keys rarely do, read off both ends of the key.
#[inline]
fn tag(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let ends = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => bytes
            .iter()
            .fold(0, |tag, &byte| (tag << 8) | u64::from(byte)),
    };
    ends ^ ((bytes.len() as u64) << 59)
}

fn hash(key: &str) -> u64 {
    FixedState::default().hash_one(key)
}

impl Entries {
    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            None => {
                let tag = tag(key);
                self.tags
                    .iter()
                    .zip(&self.pairs)
                    .position(|(known, (name, _))| *known == tag && name == key)
            }
            Some(index) => index
                .find(hash(key), |&at| {
                    self.pairs.get(at).is_some_and(|(name, _)| name == key)
                })
                .copied(),
        }
    }

    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.position(key)
            .and_then(|at| self.pairs.get(at))
            .map(|(_, value)| value)
    }

    /// All entries in insertion order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (Text, Value)> {
        self.pairs.iter()
    }

    /// All entries, sorted by key bytes.
    #[must_use]
    pub(crate) fn sorted(&self) -> Vec<&(Text, Value)> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        pairs
    }

    fn insert(&mut self, key: Text, value: Value) {
        if let Some(at) = self.position(&key) {
            if let Some((_, place)) = self.pairs.get_mut(at) {
                *place = value;
            }
            return;
        }
        if let Some(place) = self.tags.get_mut(self.pairs.len()) {
            *place = tag(&key);
        }
        self.pairs.push((key, value));
        self.index_last();
    }

    /// Brings the index up to date with the entry pushed last.
    fn index_last(&mut self) {
        if self.pairs.len() <= SCAN_LIMIT {
            return;
        }
        match &mut self.index {
            None => self.rebuild(),
            Some(index) => {
                let at = self.pairs.len() - 1;
                let pairs = &self.pairs;
                if let Some((key, _)) = pairs.get(at) {
                    index.insert_unique(hash(key), at, |&at| {
                        pairs.get(at).map_or(0, |(key, _)| hash(key))
                    });
                }
            }
        }
    }

    fn rebuild(&mut self) {
        for (place, (key, _)) in self.tags.iter_mut().zip(&self.pairs) {
            *place = tag(key);
        }
        if self.pairs.len() <= SCAN_LIMIT {
            self.index = None;
            return;
        }
        let pairs = &self.pairs;
        let mut index = HashTable::with_capacity(pairs.len() * 2);
        for (at, (key, _)) in pairs.iter().enumerate() {
            index.insert_unique(hash(key), at, |&at: &usize| {
                pairs.get(at).map_or(0, |(key, _)| hash(key))
            });
        }
        self.index = Some(index);
    }
}

impl Body {
    fn entries(&self) -> &RefCell<Entries> {
        self.entries.get_or_init(|| {
            let mut entries = Entries::default();
            if let Some(object) = &self.object {
                entries.pairs.reserve(object.size().min(32));
                for (key, value) in object.members() {
                    entries.insert(key, value);
                }
            }
            RefCell::new(entries)
        })
    }

    /// The member of the object, as long as that stands for the entries.
    fn member(&self, key: &str) -> Option<Member<'_>> {
        match (&self.object, self.entries.get()) {
            (Some(object), None) => object.member(key),
            _ => None,
        }
    }
}

impl Map {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room for this many entries.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        let entries = Entries {
            pairs: Vec::with_capacity(entries),
            ..Entries::default()
        };
        Self(Rc::new(Body {
            object: None,
            entries: OnceCell::from(RefCell::new(entries)),
        }))
    }

    /// The map that a JSON object is.
    pub(crate) fn of(object: Object) -> Self {
        Self(Rc::new(Body {
            object: Some(object),
            entries: OnceCell::new(),
        }))
    }

    fn entries(&self) -> Ref<'_, Entries> {
        self.0.entries().borrow()
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().pairs.len()
    }

    /// About the number of entries, for what need not be exact: nothing is taken apart for it.
    pub(crate) fn size_hint(&self) -> usize {
        match (self.0.entries.get(), &self.0.object) {
            (None, Some(object)) => object.size(),
            _ => self.len(),
        }
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().pairs.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        match self.0.member(key) {
            Some(Member::Missing) => None,
            Some(Member::Scalar(value)) => Some(value.value()),
            Some(Member::Container) | None => self.entries().get(key).cloned(),
        }
    }

    /// The member of a JSON object that nobody has looked at as a whole or changed; `None` for every
    /// other map.
    pub(crate) fn json_member(&self, key: &str) -> Option<Member<'_>> {
        self.0.member(key)
    }

    /// Whether the key exists.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self.0.member(key) {
            Some(member) => !matches!(member, Member::Missing),
            None => self.entries().position(key).is_some(),
        }
    }

    /// Sets a key; an existing one keeps its place.
    pub(crate) fn insert(&self, key: impl Into<Text>, value: Value) {
        self.0.entries().borrow_mut().insert(key.into(), value);
    }

    /// Removes a key and returns its value.
    pub(crate) fn remove(&self, key: &str) -> Option<Value> {
        let mut entries = self.0.entries().borrow_mut();
        let at = entries.position(key)?;
        let (_, value) = entries.pairs.remove(at);
        entries.rebuild();
        Some(value)
    }

    /// The keys in insertion order.
    #[must_use]
    pub(crate) fn keys(&self) -> Vec<Text> {
        let keys = match (&self.0.object, self.0.entries.get()) {
            (Some(object), None) => object.keys(),
            _ => None,
        };
        keys.unwrap_or_else(|| {
            self.with(|entries| entries.iter().map(|(key, _)| key.clone()).collect())
        })
    }

    /// Looks at the entries in place; the map must not be changed meanwhile.
    pub fn with<R>(&self, look: impl FnOnce(&Entries) -> R) -> R {
        look(&self.entries())
    }

    /// The JSON document this map was read from, if it still stands for something: a number that
    /// tells documents apart, and the bytes of the whole document.
    pub(crate) fn document(&self) -> Option<(usize, usize)> {
        self.0.object.as_ref().map(Object::document)
    }

    /// Looks at the entries in place if they were taken apart already.
    pub(crate) fn with_made(&self, look: impl FnOnce(&Entries)) {
        if let Some(entries) = self.0.entries.get() {
            look(&entries.borrow());
        }
    }

    /// Whether both are the same map.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        let entries = self.0.entries.get_or_init(RefCell::default);
        let entries = std::mem::take(&mut *entries.borrow_mut());
        drop(entries);
    }

    pub(crate) fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    pub(super) fn is_sole(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    pub(super) fn drain_into(&self, out: &mut Vec<Value>) {
        let Some(entries) = self.0.entries.get() else {
            return;
        };
        let mut entries = entries.borrow_mut();
        entries.index = None;
        out.extend(entries.pairs.drain(..).map(|(_, value)| value));
    }
}

impl FromIterator<(Text, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let map = Self::with_capacity(pairs.size_hint().0);
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(entries) = self.entries.get_mut().map(RefCell::get_mut) else {
            return;
        };
        if entries.pairs.iter().any(|(_, value)| value.is_container()) {
            let mut values = entries.pairs.drain(..).map(|(_, value)| value).collect();
            super::list::unravel(&mut values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_find_replace_and_remove() {
        let map = Map::new();
        for at in 0..200i64 {
            map.insert(format!("key{at}"), Value::Int(at));
        }
        map.insert("key7", Value::Int(-7));
        assert_eq!(map.len(), 200);
        assert_eq!(map.get("key7").and_then(|v| v.as_int()), Some(-7));
        for at in 0..195 {
            assert!(map.remove(&format!("key{at}")).is_some());
        }
        assert_eq!(
            map.keys(),
            ["key195", "key196", "key197", "key198", "key199"]
        );
        assert!(!map.contains("key3") && map.contains("key199"));
    }
}
