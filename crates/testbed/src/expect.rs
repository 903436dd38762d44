//! What must arrive for what was produced, and the account of one against the other.
//!
//! Promise: every produced element is counted in exactly one of delivered, dropped by rule or
//! missing; nothing is called delivered that no receiver decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id_set::IdSet;
use crate::ledger::Ledger;
use crate::payload::Sample;
#[cfg(test)]
use crate::record::RecordId;
use crate::record::Route;

/// A rule that settles records without delivering them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// `remote_handle.header_check`.
    HeaderCheck,
    /// A script that calls `drop()` for lines of level `debug`.
    Script,
    /// `sampling_rate`.
    Sampling,
    /// The receiver has no place for this kind; it is acknowledged and counted (SkyWalking
    /// managements and meters).
    NoDestination,
}

/// What was produced, and which rules were in force.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    in_force: BTreeSet<Rule>,
    records: BTreeMap<Route, u64>,
    produced: IdSet,
    expected: IdSet,
}

impl Expectation {
    /// Nothing produced yet, with the given rules in force.
    #[must_use]
    pub fn new(in_force: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            in_force: in_force.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Notes a produced record.
    pub fn produced(&mut self, sample: &Sample) {
        let Some(first) = sample.ids.first() else {
            return;
        };
        *self.records.entry(first.route).or_default() += 1;
        let dropped = self.rule_for(sample).is_some();
        for id in &sample.ids {
            self.produced.insert(*id);
            if !dropped {
                self.expected.insert(*id);
            }
        }
    }

    /// The rule in force that drops this record, if one does. Sampling is not decided here.
    #[must_use]
    pub(crate) fn rule_for(&self, sample: &Sample) -> Option<Rule> {
        let unplaced = sample.ids.first().is_some_and(|id| {
            matches!(
                id.route,
                Route::SkywalkingManagements | Route::SkywalkingMeters
            )
        });
        sample
            .rule
            .or(unplaced.then_some(Rule::NoDestination))
            .filter(|rule| self.in_force.contains(rule))
    }

    /// Up to `limit` expected ids that none of the ledgers has seen.
    #[cfg(test)]
    pub(crate) fn missing(&self, ledgers: &[&Ledger], limit: usize) -> Vec<RecordId> {
        self.expected
            .difference(&seen(ledgers))
            .take(limit)
            .collect()
    }

    /// Counts what was produced against what the ledgers have seen, route by route. A record that
    /// several ledgers saw counts as delivered once and not as a duplicate: duplicates are those
    /// within a ledger.
    #[must_use]
    pub fn table(&self, ledgers: &[&Ledger]) -> Table {
        let seen = seen(ledgers);
        let reports: Vec<_> = ledgers.iter().map(|ledger| ledger.report()).collect();
        let rows = Route::ALL
            .into_iter()
            .filter_map(|route| {
                let produced = self.produced.count(route);
                let unexpected = seen.count_missing(&self.expected, route);
                if produced == 0 && unexpected == 0 {
                    return None;
                }
                let expected = self.expected.count(route);
                let absent = self.expected.count_missing(&seen, route);
                let accounts = reports
                    .iter()
                    .filter_map(|report| report.routes.get(&route));
                Some(Row {
                    route,
                    records: self.records.get(&route).copied().unwrap_or(0),
                    produced,
                    delivered: expected - absent,
                    dropped_by_rule: produced - expected,
                    missing: absent,
                    duplicated: accounts.map(|account| account.duplicates).sum(),
                    unexpected,
                })
            })
            .collect();
        Table { rows }
    }
}

fn seen(ledgers: &[&Ledger]) -> IdSet {
    let mut seen = IdSet::new();
    for ledger in ledgers {
        seen.merge(&ledger.seen());
    }
    seen
}

/// One route of a [`Table`]; all counts but `records` are of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The kind of traffic.
    pub route: Route,
    /// Kafka records produced.
    pub records: u64,
    /// Elements in them: `delivered + dropped_by_rule + missing`.
    pub(crate) produced: u64,
    /// Expected and seen by a receiver.
    pub delivered: u64,
    /// Not delivered because a rule in force says so.
    pub(crate) dropped_by_rule: u64,
    /// Expected and not seen.
    pub(crate) missing: u64,
    /// Arrivals beyond the first.
    pub(crate) duplicated: u64,
    /// Seen although never produced, or although a rule should have dropped them.
    pub(crate) unexpected: u64,
}

/// Produced against delivered, one row for each route with traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// In the order of [`Route::ALL`].
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Nothing is missing and nothing unexpected arrived; duplicates are allowed, as delivery is
    /// at least once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.missing == 0 && row.unexpected == 0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cells: [&dyn fmt::Display; 7]| {
            write!(f, "{name:<22}")?;
            for cell in cells {
                write!(f, " {cell:>10}")?;
            }
            writeln!(f)
        };
        line(
            f,
            "route",
            [
                &"records",
                &"elements",
                &"delivered",
                &"dropped",
                &"missing",
                &"duplicated",
                &"unexpected",
            ],
        )?;
        for row in &self.rows {
            line(
                f,
                row.route.name(),
                [
                    &row.records,
                    &row.produced,
                    &row.delivered,
                    &row.dropped_by_rule,
                    &row.missing,
                    &row.duplicated,
                    &row.unexpected,
                ],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Faker, frame, json_log, management};

    fn faker() -> Faker {
        Faker::new(11, 1_700_000_000_000_000_000)
    }

    #[test]
    fn an_array_is_expected_by_element() {
        let mut expectation = Expectation::new([]);
        let sample = json_log::array(RecordId::new(Route::CustomLogArray, 0, 0), &mut faker(), 5);
        expectation.produced(&sample);
        let ledger = Ledger::new();
        ledger.delivered(&sample.ids[..4], 100);
        let table = expectation.table(&[&ledger]);
        let row = table.rows[0];
        assert_eq!(
            (row.records, row.produced, row.delivered, row.missing),
            (1, 5, 4, 1)
        );
        assert!(!table.is_complete());
        assert_eq!(expectation.missing(&[&ledger], 9), [sample.ids[4]]);
    }

    #[test]
    fn rules_count_only_where_they_are_in_force() {
        let mut faker = faker();
        let samples = [
            frame::rejected(RecordId::new(Route::HandleFramed, 0, 0), &mut faker),
            json_log::debug_line(RecordId::new(Route::CustomLog, 0, 0), &mut faker),
            management::ping(
                RecordId::new(Route::SkywalkingManagements, 0, 0),
                &mut faker,
            ),
        ];
        let table_of = |rules: &[Rule]| {
            let mut expectation = Expectation::new(rules.iter().copied());
            samples
                .iter()
                .for_each(|sample| expectation.produced(sample));
            expectation.table(&[&Ledger::new()])
        };
        assert!(table_of(&[Rule::HeaderCheck, Rule::Script, Rule::NoDestination]).is_complete());
        let table = table_of(&[Rule::Script]);
        assert_eq!(table.rows.iter().map(|row| row.missing).sum::<u64>(), 2);
        assert_eq!(
            table
                .rows
                .iter()
                .map(|row| row.dropped_by_rule)
                .sum::<u64>(),
            1
        );
    }

    #[test]
    fn an_arrival_that_nobody_produced_is_unexpected() {
        let ledger = Ledger::new();
        ledger.delivered(&[RecordId::new(Route::OtelLogs, 0, 0)], 1);
        let table = Expectation::new([]).table(&[&ledger]);
        assert_eq!(table.rows[0].unexpected, 1);
        assert!(!table.is_complete());
        assert!(
            table
                .to_string()
                .lines()
                .nth(1)
                .unwrap()
                .starts_with("otel-logs")
        );
    }
}
