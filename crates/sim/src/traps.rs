//! Traps: short scripts about what a client of Kafka does of its own accord.
//!
//! The simulator's laws hold in a world whose client is a fake. These scripts run on the fake, and, by the
//! integration tests, on librdkafka with the embedded broker and with Apache Kafka. The answers must be equal: a
//! fake that is kinder than the real client hides faults, and a new version of the client may change what
//! is relied on.

mod fake;
mod scripts;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

pub use crate::client::Reset;
pub use fake::Fake;
pub use scripts::TRAPS;

/// What a stage may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Records are written in transactions.
    Transactions,
    /// Another leader takes records back.
    Truncation,
}

/// An offset that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The first one.
    Oldest,
    /// The one behind the last.
    Newest,
    /// The first of this time or later, in milliseconds since the Unix epoch.
    Time(i64),
}

/// What a reader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A record: its offset and value.
    Record(i64, String),
    /// There is nothing more up to this offset.
    End(i64),
    /// An error, by the name of its code.
    Error(String),
}

/// A client, and a topic of its own on a cluster. Partitions are numbered from 0.
pub trait Stage {
    /// Whether it can do what a trap needs.
    fn can(&self, ability: Ability) -> bool;
    /// Makes the topic and connects a client.
    fn begin(&mut self, partitions: i32, reset: Reset);

    /// Writes records, each by itself.
    fn write(&mut self, partition: i32, values: &[&str]);
    /// Writes a record with a time.
    fn write_at(&mut self, partition: i32, value: &str, time_ms: i64);
    /// Writes records in a transaction, which is committed.
    fn write_transaction(&mut self, partition: i32, values: &[&str]);
    /// Removes records below an offset.
    fn remove_below(&mut self, partition: i32, offset: i64);
    /// Another leader takes the records from an offset on back.
    fn truncate(&mut self, partition: i32, end: i64);
    /// Deletes the topic and makes it again.
    fn recreate(&mut self, partitions: i32);

    /// Assigns a partition at an offset, beside those that are assigned. It does not fetch yet.
    fn assign(&mut self, partition: i32, offset: i64);
    /// Takes a partition away. Its queue stays with the reader.
    fn unassign(&mut self, partition: i32);
    /// Stops fetching.
    ///
    /// # Errors
    /// The name of the code with which the client refuses.
    fn pause(&mut self, partition: i32) -> Result<(), String>;
    /// Lets it fetch.
    ///
    /// # Errors
    /// As above.
    fn resume(&mut self, partition: i32) -> Result<(), String>;
    /// Goes on at an offset, with the epoch of the record before it.
    ///
    /// # Errors
    /// As above.
    fn seek(&mut self, partition: i32, offset: i64, epoch: Option<i32>) -> Result<(), String>;
    /// Waits until the client has fetched ahead.
    fn await_fetched(&mut self, partition: i32);
    /// Takes up to `most` of what is told, until nothing comes for a while.
    fn read(&mut self, partition: i32, most: usize) -> Vec<Told>;
    /// The first offset and the end, as the client knows them without asking.
    fn watermarks(&mut self, partition: i32) -> Option<(i64, i64)>;

    /// Commits a position for the group, whoever owns the partition.
    ///
    /// # Errors
    /// The name of the code of the refusal.
    fn commit(&mut self, partition: i32, offset: i64, memo: &str) -> Result<(), String>;
    /// What the group has committed.
    fn committed(&mut self, partition: i32) -> Option<(i64, String)>;
    /// Asks the brokers for an offset.
    fn offset_at(&mut self, partition: i32, at: At) -> Option<i64>;
}

/// One script.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// What it shows.
    pub name: &'static str,
    /// What the stage has to be able to do.
    pub needs: &'static [Ability],
    run: fn(&mut Play<'_>),
}

impl Trap {
    /// Runs it. Returns what was asked and answered, a line each; `None` if the stage cannot do what it needs.
    pub fn answers(&self, stage: &mut dyn Stage) -> Option<String> {
        if !self.needs.iter().all(|ability| stage.can(*ability)) {
            return None;
        }
        let mut play = Play {
            stage,
            lines: String::new(),
        };
        (self.run)(&mut play);
        Some(play.lines)
    }
}

/// A stage whose answers are noted.
struct Play<'a> {
    stage: &'a mut dyn Stage,
    lines: String,
}

impl Play<'_> {
    fn note(&mut self, line: impl std::fmt::Display) {
        // Writing into a string does not fail.
        let _written = writeln!(self.lines, "{line}");
    }

    fn begin(&mut self, reset: Reset) {
        self.stage.begin(1, reset);
    }

    fn write(&mut self, values: &[&str]) {
        self.stage.write(0, values);
    }

    /// Assigns partition 0 and lets it fetch.
    fn assign(&mut self, offset: i64) {
        self.stage.assign(0, offset);
        self.resume();
    }

    fn read(&mut self, most: usize) {
        self.read_from(0, most);
    }

    fn read_from(&mut self, partition: i32, most: usize) {
        let told = self.stage.read(partition, most);
        let told: Vec<String> = told
            .into_iter()
            .map(|one| match one {
                Told::Record(offset, value) => format!("{offset} {value}"),
                Told::End(offset) => format!("end at {offset}"),
                Told::Error(code) => format!("error {code}"),
            })
            .collect();
        match told.is_empty() {
            true => self.note("read: nothing"),
            false => self.note(format_args!("read: {}", told.join(", "))),
        }
    }

    fn answer(&mut self, what: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.note(format_args!("{what}: done")),
            Err(code) => self.note(format_args!("{what}: refused, {code}")),
        }
    }

    fn pause(&mut self) {
        let result = self.stage.pause(0);
        self.answer("pause", result);
    }

    fn resume(&mut self) {
        let result = self.stage.resume(0);
        self.answer("resume", result);
    }

    fn seek(&mut self, offset: i64, epoch: Option<i32>) {
        let result = self.stage.seek(0, offset, epoch);
        self.answer("seek", result);
    }

    fn watermarks(&mut self) {
        let known = self.stage.watermarks(0);
        match known {
            Some((low, high)) => self.note(format_args!("known: {low} to {high}")),
            None => self.note("known: nothing"),
        }
    }

    fn commit(&mut self, partition: i32, offset: i64, memo: &str) {
        let result = self.stage.commit(partition, offset, memo);
        self.answer("commit", result);
    }

    fn committed(&mut self, partition: i32) {
        match self.stage.committed(partition) {
            Some((offset, memo)) => self.note(format_args!("committed: {offset} {memo:?}")),
            None => self.note("committed: nothing"),
        }
    }

    fn offset_at(&mut self, at: At) {
        match self.stage.offset_at(0, at) {
            Some(offset) => self.note(format_args!("{at:?}: {offset}")),
            None => self.note(format_args!("{at:?}: none")),
        }
    }
}
