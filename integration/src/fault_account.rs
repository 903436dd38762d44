//! What a run of faults comes to, as a line of a table.

use std::fmt;
use std::time::Duration;

use crate::progress::Stillness;

/// What a run comes to.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// What it followed from.
    pub seed: u64,
    /// Records produced.
    pub records: u64,
    /// Their elements.
    pub elements: u64,
    /// Faults that happened, those on the way among them.
    pub faults: u64,
    /// Elements that are dead letters and did not arrive.
    pub buried: u64,
    /// Elements that neither arrived nor are dead letters.
    pub lost: u64,
    /// The first of them.
    pub first_lost: Option<String>,
    /// Arrivals beyond the first of an element.
    pub twice: u64,
    /// How many may be, at most.
    pub allowed_twice: u64,
    /// Elements at a receiver that they do not belong to.
    pub misrouted: u64,
    /// Elements that came behind a later one of their key.
    pub reordered: u64,
    /// Of which routes they are, and when they came.
    pub reordered_when: Vec<String>,
    /// What the partitions did.
    pub stillness: Stillness,
    /// How long it took.
    pub took: Duration,
}

impl Account {
    /// The first lines of a table of accounts.
    pub const HEAD: &str = "| Seed | Records | Elements | Faults | Dead letters | Lost | Twice | Misrouted | Reordered | Longest still | Seconds |\n\
        | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

    /// What is wrong with it, if something is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let mut wrong = Vec::new();
        for (name, count) in [
            ("lost", self.lost),
            ("misrouted", self.misrouted),
            ("reordered", self.reordered),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {name}"));
            }
        }
        wrong.extend(self.first_lost.clone());
        if self.reordered > 0 {
            wrong.extend(self.reordered_when.iter().cloned());
        }
        if self.twice > self.allowed_twice {
            wrong.push(format!(
                "{} twice, {} allowed",
                self.twice, self.allowed_twice
            ));
        }
        wrong.extend(self.stillness.unexplained.iter().cloned());
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            records,
            elements,
            faults,
            buried,
            lost,
            twice,
            misrouted,
            reordered,
            ..
        } = self;
        write!(
            f,
            "| {seed} | {records} | {elements} | {faults} | {buried} | {lost} | {twice} | {misrouted} | {reordered} | {:.1} s | {:.0} |",
            self.stillness.longest.as_secs_f64(),
            self.took.as_secs_f64()
        )
    }
}
