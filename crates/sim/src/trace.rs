//! What happened, as a number that two equal runs share, and as text for who wants to read it.

use crate::time::{Micros, shown};

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) const fn new(keeps: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: if keeps { Some(Vec::new()) } else { None },
        }
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(23);
    }

    /// An event begins.
    pub(crate) fn turn(&mut self, at: Micros, number: u64) {
        self.mix(at);
        self.mix(number);
    }

    /// Something that counts for whether two runs are equal.
    pub(crate) fn mark(&mut self, number: u64) {
        self.mix(number);
    }

    /// Something worth reading.
    pub(crate) fn say(&mut self, at: Micros, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{} {}", shown(at), text()));
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
