//! The parts of a record, each with a name and a fate.
//!
//! A record becomes elements, an element becomes points, a point goes to outputs. Each of these that
//! can end by itself is a [`Part`]. It is spent exactly once: sent, left out by a rule, or buried. A
//! part that is not settled is noticed by the [`Fates`] of its record, which then stays open and is
//! processed again: the promise of acknowledgements, one level down.

use std::cell::Cell;
use std::fmt;

/// Names a part within its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId {
    /// Index of the record in its batch.
    pub record: u32,
    /// Number of the element, from 0; [`PartId::WHOLE`] for a record that is not split.
    pub element: u32,
    /// Number of the point among those made from the element; [`PartId::ONLY`] if nothing else was
    /// made from it.
    pub point: u16,
    /// Number of the output.
    pub output: u16,
}

impl PartId {
    /// The element of a record that is not split.
    pub const WHOLE: u32 = u32::MAX;
    /// The point that is all that was made from its element.
    pub const ONLY: u16 = u16::MAX;

    /// The record at `record` as a whole.
    #[must_use]
    pub const fn whole(record: u32) -> Self {
        Self {
            record,
            element: Self::WHOLE,
            point: 0,
            output: 0,
        }
    }
}

/// What became of the parts of one record.
#[derive(Debug, Default)]
pub struct Fates {
    begun: Cell<u32>,
    spent: Cell<u32>,
    sent: Cell<u32>,
    buried: Cell<u32>,
    owed: Cell<u32>,
}

fn add(cell: &Cell<u32>) {
    cell.set(cell.get().saturating_add(1));
}

impl Fates {
    /// A further part, which has to be spent.
    pub fn part(&self, id: PartId) -> Part<'_> {
        add(&self.begun);
        Part { fates: self, id }
    }

    /// Whether every part was spent. If not, the record must stay open.
    #[must_use]
    pub fn are_all_known(&self) -> bool {
        self.begun == self.spent
    }

    /// Parts that were sent or buried since the last call: each is settled by somebody else.
    pub fn take_owed(&self) -> u32 {
        self.owed.take()
    }

    /// Parts that were sent so far.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent.get()
    }

    /// Parts that were buried so far.
    #[must_use]
    pub fn buried(&self) -> u32 {
        self.buried.get()
    }
}

/// A part that is not spent yet.
#[must_use = "a part that is not spent keeps its record open"]
#[derive(Debug)]
pub struct Part<'f> {
    fates: &'f Fates,
    id: PartId,
}

impl Part<'_> {
    /// It is on its way to its output.
    pub fn sent(self) -> PartId {
        add(&self.fates.sent);
        add(&self.fates.owed);
        self.spend()
    }

    /// It goes to the dead letters.
    pub fn bury(self) -> PartId {
        add(&self.fates.buried);
        add(&self.fates.owed);
        self.spend()
    }

    /// A rule leaves it out.
    pub fn left_out(self) -> PartId {
        self.spend()
    }

    fn spend(self) -> PartId {
        add(&self.fates.spent);
        self.id
    }
}

/// The rule by which a part of a record is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// Its script dropped it.
    Script,
    /// Its time is too far from now.
    Age,
    /// No output takes points of its category.
    Category,
    /// It has no field, and other points of the same text went on.
    NoField,
}

impl LeftOut {
    /// All of them, so that series exist before the first event.
    pub const ALL: [Self; 4] = [Self::Script, Self::Age, Self::Category, Self::NoField];

    /// The value of the label `rule`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Age => "age",
            Self::Category => "category",
            Self::NoField => "no_field",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Script => "its script dropped it",
            Self::Age => "its time is too far from now: dropped",
            Self::Category => "no output takes points of its category",
            Self::NoField => "it has no field",
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever becomes of the parts: all are known if and only if none was forgotten, and what
        /// is owed is what was sent or buried.
        #[test]
        fn a_forgotten_part_is_noticed(ends in prop::collection::vec(0u8..4, 0..20)) {
            let fates = Fates::default();
            for end in &ends {
                let part = fates.part(PartId::whole(7));
                match end {
                    0 => prop_assert_eq!(part.sent(), PartId::whole(7)),
                    1 => prop_assert_eq!(part.bury(), PartId::whole(7)),
                    2 => prop_assert_eq!(part.left_out(), PartId::whole(7)),
                    _ => drop(part),
                }
            }
            let count = |wanted: u8| ends.iter().filter(|&&end| end == wanted).count() as u32;
            prop_assert_eq!(fates.are_all_known(), count(3) == 0);
            prop_assert_eq!((fates.sent(), fates.buried()), (count(0), count(1)));
            prop_assert_eq!(fates.take_owed(), count(0) + count(1));
            prop_assert_eq!(fates.take_owed(), 0);
        }
    }
}
