//! Reference tables: rows that scripts look up to enrich points.
//!
//! All tables together form one immutable [`TableSet`]. [`ReferTables`] holds the current one and
//! swaps it as a whole, so a look-up sees either the old or the new tables. A column gets its hash
//! index when it is first asked for; a look-up then costs one hash whatever the table's size.

mod load;

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use hashbrown::{DefaultHashBuilder, HashTable};
use kafkamq_point::Text;

pub use load::TableError;

/// The current reference tables; a service of the engine.
#[derive(Debug, Default)]
pub struct ReferTables(ArcSwap<TableSet>);

impl ReferTables {
    /// No tables yet; every look-up finds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all tables at once.
    pub fn replace(&self, tables: TableSet) {
        self.0.store(Arc::new(tables));
    }

    /// The tables as they are now.
    #[must_use]
    pub fn current(&self) -> Arc<TableSet> {
        self.0.load_full()
    }
}

/// All tables of one version.
#[derive(Debug, Default)]
pub struct TableSet(Vec<Table>);

impl TableSet {
    /// Reads tables from JSON, converting values to their column's type. Of two tables with the
    /// same name the first wins.
    ///
    /// # Errors
    /// The first thing wrong with any table.
    pub fn from_json(json: &[u8]) -> Result<Self, TableError> {
        load::tables(json).map(Self)
    }

    /// Names and row counts, in the order of the source.
    pub fn summary(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0
            .iter()
            .map(|table| (table.name.as_str(), table.row_count()))
    }

    /// The columns and values of the first row of `table` in which each of `wanted`'s columns
    /// equals its value, handed to `found` one by one. Does nothing without such a row, table or
    /// column, or without conditions. Equality is typed: an int never equals a float or a text.
    pub fn look_up(
        &self,
        table: &str,
        wanted: &[(Text, Cell)],
        mut found: impl FnMut(&Text, &Cell),
    ) {
        let Some(table) = self.0.iter().find(|candidate| candidate.name == table) else {
            return;
        };
        if let Some(row) = table.find(wanted) {
            for (column, cell) in table.columns.iter().zip(row) {
                found(&column.name, cell);
            }
        }
    }
}

/// A value of a table or of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Str(Text),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Hash for Cell {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) => text.hash(state),
            Self::Int(number) => number.hash(state),
            // Zero and minus zero are equal.
            Self::Float(number) => (number + 0.0).to_bits().hash(state),
            Self::Bool(truth) => truth.hash(state),
        }
    }
}

#[derive(Debug)]
struct Table {
    name: Text,
    columns: Vec<Column>,
    /// Row after row.
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Column {
    name: Text,
    index: OnceLock<Index>,
}

/// The rows of each value of a column. Rows with equal values form a chain in table order, so the
/// index needs no list per value.
#[derive(Debug, Default)]
struct Index {
    hasher: DefaultHashBuilder,
    chains: HashTable<Chain>,
    /// The next row with the same value, for each row.
    next: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Chain {
    first: u32,
    len: u32,
}

const END: u32 = u32::MAX;

impl Table {
    fn row_count(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    fn row(&self, row: u32) -> &[Cell] {
        let width = self.columns.len();
        let from = row as usize * width;
        self.cells.get(from..from + width).unwrap_or_default()
    }

    fn cell(&self, row: u32, column: usize) -> Option<&Cell> {
        self.cells.get(row as usize * self.columns.len() + column)
    }

    fn find(&self, wanted: &[(Text, Cell)]) -> Option<&[Cell]> {
        // Walk the shortest chain and check the other columns row by row.
        let mut shortest: Option<(Chain, &Index)> = None;
        let mut conditions = smallvec::SmallVec::<[(usize, &Cell); 4]>::new();
        for (name, value) in wanted {
            let at = self.columns.iter().position(|column| column.name == name)?;
            conditions.push((at, value));
            let index = self
                .columns
                .get(at)?
                .index
                .get_or_init(|| Index::build(self, at));
            let chain = index.chain(self, at, value)?;
            if shortest.is_none_or(|(best, _)| chain.len < best.len) {
                shortest = Some((chain, index));
            }
        }
        let (chain, index) = shortest?;
        let mut row = chain.first;
        while row != END {
            if conditions
                .iter()
                .all(|(column, value)| self.cell(row, *column) == Some(value))
            {
                return Some(self.row(row));
            }
            row = index.next.get(row as usize).copied().unwrap_or(END);
        }
        None
    }
}

impl Index {
    fn build(table: &Table, column: usize) -> Self {
        let rows = u32::try_from(table.row_count()).unwrap_or(END - 1);
        let mut index = Self {
            next: vec![END; rows as usize],
            ..Self::default()
        };
        // From the last row up, so that each chain starts with its first row.
        for row in (0..rows).rev() {
            let Some(value) = table.cell(row, column) else {
                continue;
            };
            let hash = index.hasher.hash_one(value);
            let same = |chain: &Chain| table.cell(chain.first, column) == Some(value);
            if let Some(chain) = index.chains.find_mut(hash, same) {
                if let Some(next) = index.next.get_mut(row as usize) {
                    *next = chain.first;
                }
                chain.first = row;
                chain.len += 1;
            } else {
                let hasher = &index.hasher;
                index
                    .chains
                    .insert_unique(hash, Chain { first: row, len: 1 }, |chain| {
                        table
                            .cell(chain.first, column)
                            .map_or(0, |value| hasher.hash_one(value))
                    });
            }
        }
        index
    }

    fn chain(&self, table: &Table, column: usize, value: &Cell) -> Option<Chain> {
        self.chains
            .find(self.hasher.hash_one(value), |chain| {
                table.cell(chain.first, column) == Some(value)
            })
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tables(json: &str) -> ReferTables {
        let tables = ReferTables::new();
        tables.replace(TableSet::from_json(json.as_bytes()).unwrap());
        tables
    }

    fn find(tables: &ReferTables, wanted: &[(&str, Cell)]) -> Vec<(String, Cell)> {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, cell)| (Text::from(*name), cell.clone()))
            .collect();
        let mut row = Vec::new();
        tables.current().look_up("t", &wanted, |name, cell| {
            row.push((name.to_string(), cell.clone()));
        });
        row
    }

    #[test]
    fn the_first_row_that_equals_in_every_column_is_found() {
        let tables = tables(
            r#"[{"table_name":"t","column_name":["k","i"],"column_type":["string","int"],
                 "row_data":[["a",1],["a",2],["b",2]]},
                {"table_name":"t","column_name":["k"],"column_type":["string"],
                 "row_data":[["second table of that name"]]}]"#,
        );
        let row = |k: &str, i| {
            vec![
                ("k".into(), Cell::Str(k.into())),
                ("i".into(), Cell::Int(i)),
            ]
        };
        let a = || ("k", Cell::Str("a".into()));
        assert_eq!(find(&tables, &[a()]), row("a", 1));
        assert_eq!(find(&tables, &[a(), ("i", Cell::Int(2))]), row("a", 2));
        assert_eq!(find(&tables, &[("i", Cell::Int(2))]), row("a", 2));
        for wanted in [
            vec![("i", Cell::Float(1.0))],
            vec![("i", Cell::Str("1".into()))],
            vec![("x", Cell::Int(1))],
            vec![a(), ("i", Cell::Int(3))],
            vec![],
        ] {
            assert_eq!(find(&tables, &wanted), [], "{wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_a_scan(
            rows in proptest::collection::vec((0i64..5, 0i64..5), 0..40),
            a in 0i64..6,
            b in 0i64..6,
        ) {
            let data: Vec<_> = rows.iter().map(|(a, b)| format!("[{a},{b}]")).collect();
            let tables = tables(&format!(
                r#"[{{"table_name":"t","column_name":["a","b"],"column_type":["int","int"],"row_data":[{}]}}]"#,
                data.join(",")
            ));
            let got = find(&tables, &[("a", Cell::Int(a)), ("b", Cell::Int(b))]);
            prop_assert_eq!(!got.is_empty(), rows.contains(&(a, b)));
            let got = find(&tables, &[("b", Cell::Int(b))]);
            let first = rows.iter().find(|row| row.1 == b);
            prop_assert_eq!(got.first().map(|(_, cell)| cell.clone()), first.map(|row| Cell::Int(row.0)));
        }
    }
}
