//! A compact set of record ids: one bit per id, grouped by route and partition.

use std::collections::BTreeMap;

use crate::record::{RecordId, Route};

/// The position of an id within its route and partition.
pub(crate) const fn slot(id: RecordId) -> u64 {
    id.sequence as u64 * id.route.fan_out() as u64 + id.element as u64
}

const fn id_at(route: Route, partition: u16, slot: u64) -> RecordId {
    let fan_out = route.fan_out() as u64;
    RecordId {
        route,
        partition,
        sequence: (slot / fan_out) as u32,
        element: (slot % fan_out) as u16,
    }
}

/// A growing bitmap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit; tells whether it was clear before.
    pub(crate) fn insert(&mut self, at: u64) -> bool {
        let word = (at / 64) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let mask = 1 << (at % 64);
        match self.0.get_mut(word) {
            Some(bits) if *bits & mask == 0 => {
                *bits |= mask;
                true
            }
            _ => false,
        }
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// The bits set here and clear in `other`.
    fn minus<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u64> + 'a {
        (0..self.0.len()).flat_map(move |at| {
            let mut bits = self.word(at) & !other.word(at);
            std::iter::from_fn(move || {
                let lowest = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(at as u64 * 64 + u64::from(lowest))
            })
        })
    }

    fn count_minus(&self, other: &Self) -> u64 {
        (0..self.0.len())
            .map(|at| u64::from((self.word(at) & !other.word(at)).count_ones()))
            .sum()
    }
}

static EMPTY: Bits = Bits(Vec::new());

/// A set of record ids, an eighth of a byte each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdSet(BTreeMap<(Route, u16), Bits>);

impl IdSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an id; tells whether it is new.
    pub fn insert(&mut self, id: RecordId) -> bool {
        self.0
            .entry((id.route, id.partition))
            .or_default()
            .insert(slot(id))
    }

    /// Adds ids that share route and partition; yields for each whether it is new.
    pub(crate) fn insert_run<'a>(
        &'a mut self,
        run: &'a [RecordId],
    ) -> impl Iterator<Item = bool> + 'a {
        let place = run.first().map(|id| (id.route, id.partition));
        let bits = place.map(|place| self.0.entry(place).or_default());
        bits.into_iter()
            .flat_map(move |bits| run.iter().map(move |id| bits.insert(slot(*id))))
    }

    /// Adds all ids of another set.
    pub fn merge(&mut self, other: &Self) {
        for (place, bits) in &other.0 {
            let mine = self.0.entry(*place).or_default();
            if mine.0.len() < bits.0.len() {
                mine.0.resize(bits.0.len(), 0);
            }
            for (word, more) in mine.0.iter_mut().zip(&bits.0) {
                *word |= more;
            }
        }
    }

    /// Adds `elements` ids for each sequence of `range` in one partition.
    pub fn insert_range(
        &mut self,
        route: Route,
        partition: u16,
        range: std::ops::Range<u32>,
        elements: u16,
    ) {
        let bits = self.0.entry((route, partition)).or_default();
        for sequence in range {
            for element in 0..elements.min(route.fan_out()) {
                bits.insert(slot(RecordId {
                    route,
                    partition,
                    sequence,
                    element,
                }));
            }
        }
    }

    /// Whether the id is in the set.
    #[must_use]
    pub fn contains(&self, id: RecordId) -> bool {
        let at = slot(id);
        self.bits(id.route, id.partition).word((at / 64) as usize) & (1 << (at % 64)) != 0
    }

    /// The number of ids of a route.
    #[must_use]
    pub fn count(&self, route: Route) -> u64 {
        self.of(route)
            .map(|(_, bits)| bits.count_minus(&EMPTY))
            .sum()
    }

    /// The number of ids of a route that are here and not in `other`.
    #[must_use]
    pub fn count_missing(&self, other: &Self, route: Route) -> u64 {
        self.of(route)
            .map(|(at, bits)| bits.count_minus(other.bits(route, at)))
            .sum()
    }

    /// The ids that are here and not in `other`, in order.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = RecordId> + 'a {
        self.0.iter().flat_map(move |(&(route, partition), bits)| {
            bits.minus(other.bits(route, partition))
                .map(move |at| id_at(route, partition, at))
        })
    }

    /// All ids in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.0.iter().flat_map(|(&(route, partition), bits)| {
            bits.minus(&EMPTY)
                .map(move |at| id_at(route, partition, at))
        })
    }

    fn of(&self, route: Route) -> impl Iterator<Item = (u16, &Bits)> {
        self.0
            .range((route, 0)..=(route, u16::MAX))
            .map(|(&(_, partition), bits)| (partition, bits))
    }

    fn bits(&self, route: Route, partition: u16) -> &Bits {
        self.0.get(&(route, partition)).unwrap_or(&EMPTY)
    }
}

impl Extend<RecordId> for IdSet {
    fn extend<T: IntoIterator<Item = RecordId>>(&mut self, ids: T) {
        for id in ids {
            self.insert(id);
        }
    }
}

impl FromIterator<RecordId> for IdSet {
    fn from_iter<T: IntoIterator<Item = RecordId>>(ids: T) -> Self {
        let mut set = Self::new();
        set.extend(ids);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn any_id() -> impl Strategy<Value = RecordId> {
        (0..Route::ALL.len(), 0..3u16, 0..200u32, 0..8u16).prop_map(
            |(route, partition, sequence, element)| {
                let route = Route::ALL[route];
                RecordId {
                    route,
                    partition,
                    sequence,
                    element: element % route.fan_out(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set(
            left in prop::collection::vec(any_id(), 0..80), right in prop::collection::vec(any_id(), 0..80),
        ) {
            let (a, b): (IdSet, IdSet) = (left.iter().copied().collect(), right.iter().copied().collect());
            let (x, y): (BTreeSet<_>, BTreeSet<_>) = (left.into_iter().collect(), right.into_iter().collect());
            prop_assert_eq!(a.iter().collect::<Vec<_>>(), x.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.difference(&b).collect::<Vec<_>>(), x.difference(&y).copied().collect::<Vec<_>>());
            for route in Route::ALL {
                let of = |set: &BTreeSet<RecordId>| set.iter().filter(|id| id.route == route).count() as u64;
                prop_assert_eq!(a.count(route), of(&x));
                prop_assert_eq!(a.count_missing(&b, route), x.difference(&y).filter(|id| id.route == route).count() as u64);
            }
            prop_assert!(y.iter().all(|id| b.contains(*id) && a.contains(*id) == x.contains(id)));
        }
    }

    #[test]
    fn a_range_holds_every_element() {
        let mut set = IdSet::new();
        set.insert_range(Route::CustomLogArray, 2, 3..5, 5);
        assert_eq!(set.count(Route::CustomLogArray), 10);
        assert!(set.contains(RecordId::new(Route::CustomLogArray, 2, 4).with_element(4)));
        assert!(!set.contains(RecordId::new(Route::CustomLogArray, 2, 4).with_element(5)));
    }
}
