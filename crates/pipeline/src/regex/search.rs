//! The direct matcher: runs a [`Program`] over a text, backing up from wrong choices, for as long as its
//! budget of steps lasts.

use super::program::{Inst, Op, Program, Run, Set, Share, Start, Stop};
use memchr::{memchr, memchr2, memrchr};
use regex_syntax::hir::Look;

/// Places to go back to beyond which the linear engine takes over.
const MAX_FRAMES: usize = 1 << 16;

/// A place to go back to. The instruction at `pc` says what it means: for a choice the position and the
/// branches left, for a run the bounds of what can still change, for a save the old content of the slot.
#[derive(Debug, Clone, Copy)]
struct Frame {
    pc: u32,
    a: u32,
    b: u32,
}

/// Reusable memory of searches.
#[derive(Debug, Default)]
pub(super) struct Stack {
    frames: Vec<Frame>,
    /// The steps the last search took, and the bytes it skipped.
    steps: u64,
    skipped: usize,
}

impl Stack {
    /// What the last search cost, in units of the meter.
    pub(super) fn units(&self) -> u64 {
        1 + self.steps / 2 + self.skipped as u64 / 64
    }
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Match,
    Nothing,
    /// The budget is spent; nothing is known.
    Unknown,
}

/// The content of a slot that was not reached.
pub(super) const UNSET: u32 = u32::MAX;

impl Program {
    /// Finds the leftmost match that begins at or after `from`, a code point boundary. On a match `slots`
    /// holds start and end of the whole match and of each group.
    pub(super) fn search(
        &self,
        text: &str,
        from: usize,
        slots: &mut Vec<u32>,
        stack: &mut Stack,
    ) -> Found {
        let bytes = text.as_bytes();
        (stack.steps, stack.skipped) = (0, 0);
        if u32::try_from(bytes.len()).map_or(true, |len| len == UNSET) {
            return Found::Unknown;
        }
        slots.clear();
        slots.resize(self.slots, UNSET);
        // Log lines that match need a few dozen steps.
        let budget = i64::try_from(128 + (bytes.len() - from) / 2).unwrap_or(i64::MAX);
        let mut search = Search {
            program: self,
            text: bytes,
            slots,
            frames: &mut stack.frames,
            budget,
        };
        let (found, end) = search.each_start(from);
        stack.steps = u64::try_from(budget.saturating_sub(search.budget)).unwrap_or(0);
        stack.skipped = end - from;
        found
    }

    /// The next place at or after `start` where a match may begin.
    fn candidate(&self, text: &[u8], start: usize, from: usize) -> Option<usize> {
        if start > text.len() || (self.start == Start::Text && (start != 0 || from != 0)) {
            return None;
        }
        let rest = text.get(start..)?;
        if self.start == Start::Text {
            return Some(start);
        }
        let skip = match (self.first_byte, &self.first) {
            (Some(byte), _) => memchr(byte, rest)?,
            (None, Some(table)) => rest.iter().position(|&byte| table[usize::from(byte)])?,
            (None, None) => 0,
        };
        Some(start + skip)
    }
}

/// The length of the code point at `at`; 1 at the end of the text.
fn width(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        Some(0xC0..) => 2,
        _ => 1,
    }
}

struct Search<'s> {
    program: &'s Program,
    text: &'s [u8],
    slots: &'s mut [u32],
    frames: &'s mut Vec<Frame>,
    budget: i64,
}

impl Search<'_> {
    /// Tries one start after the other; also tells how far it came.
    fn each_start(&mut self, from: usize) -> (Found, usize) {
        let (program, text) = (self.program, self.text);
        let mut start = from;
        loop {
            match program.candidate(text, start, from) {
                Some(at) => start = at,
                None => return (Found::Nothing, text.len()),
            }
            match self.at(start) {
                Found::Nothing => {}
                found => return (found, start),
            }
            self.slots.fill(UNSET);
            self.budget -= 4;
            start = match program.start {
                Start::Anywhere => start + width(text, start),
                Start::Text => return (Found::Nothing, start),
                Start::Line => match text.get(start..).and_then(|rest| memchr(b'\n', rest)) {
                    Some(at) => start + at + 1,
                    None => return (Found::Nothing, text.len()),
                },
            };
        }
    }

    /// Tries a match that begins at `start`.
    fn at(&mut self, start: usize) -> Found {
        self.frames.clear();
        let mut state = self.forward(self.program.entry, start);
        loop {
            match state {
                Step::Matched(end) => {
                    if let [from, to, ..] = &mut *self.slots {
                        *from = start as u32;
                        *to = end as u32;
                    }
                    return Found::Match;
                }
                Step::Failed => {}
            }
            self.budget -= 1;
            if self.budget < 0 || self.frames.len() > MAX_FRAMES {
                return Found::Unknown;
            }
            match self.back() {
                Some((pc, at)) => state = self.forward(pc, at),
                None => return Found::Nothing,
            }
        }
    }

    /// Goes on from `pc` at position `at` until the rest matches or something fails. Every choice is taken
    /// from the budget, since a loop of them may walk the whole text.
    fn forward(&mut self, mut pc: u32, mut at: usize) -> Step {
        let program = self.program;
        let text = self.text;
        // Taken from the budget at the end, so that the count can stay in a register.
        let mut choices = 0;
        let step = loop {
            let Some(&Inst { op, next }) = program.insts.get(pc as usize) else {
                break Step::Failed;
            };
            match op {
                Op::Match => break Step::Matched(at),
                Op::Fail => break Step::Failed,
                Op::Byte(byte) => {
                    if text.get(at) != Some(&byte) {
                        break Step::Failed;
                    }
                    at += 1;
                }
                Op::Literal(from, to) => {
                    let literal = program.literals.get(from as usize..to as usize);
                    let literal = literal.unwrap_or_default();
                    if text.get(at..at + literal.len()) != Some(literal) {
                        break Step::Failed;
                    }
                    at += literal.len();
                }
                Op::One(set) => {
                    let Some(set) = program.sets.get(set as usize) else {
                        break Step::Failed;
                    };
                    match text.get(at) {
                        Some(&byte) if set.table[usize::from(byte)] => at += width(text, at),
                        _ => break Step::Failed,
                    }
                }
                Op::Wide(set) => match self.wide(set, at) {
                    Some(len) => at += len,
                    None => break Step::Failed,
                },
                Op::Run(run) => {
                    let Some(run) = program.runs.get(run as usize) else {
                        break Step::Failed;
                    };
                    match self.run(run, pc, at) {
                        Some(end) => at = end,
                        None => break Step::Failed,
                    }
                }
                Op::Save(slot) => {
                    if let Some(entry) = self.slots.get_mut(slot as usize) {
                        if !self.frames.is_empty() {
                            let b = *entry;
                            self.frames.push(Frame { pc, a: slot, b });
                        }
                        *entry = at as u32;
                    }
                }
                Op::Look(look) => {
                    if !holds(look, text, at) {
                        break Step::Failed;
                    }
                }
                Op::Choice(choice) => {
                    let Some(choice) = program.choices.get(choice as usize) else {
                        break Step::Failed;
                    };
                    choices += 1;
                    let mask = match text.get(at) {
                        Some(&byte) => choice.masks[usize::from(byte)],
                        None => choice.end,
                    };
                    if mask == 0 {
                        break Step::Failed;
                    }
                    let rest = mask & (mask - 1);
                    if rest != 0 {
                        let a = at as u32;
                        self.frames.push(Frame { pc, a, b: rest });
                    }
                    match choice.targets.get(mask.trailing_zeros() as usize) {
                        Some(&target) => pc = target,
                        None => break Step::Failed,
                    }
                    continue;
                }
            }
            pc = next;
        };
        self.budget -= choices;
        step
    }

    /// The next thing to try, and where.
    fn back(&mut self) -> Option<(u32, usize)> {
        let program = self.program;
        while let Some(Frame { pc, a, b }) = self.frames.pop() {
            let Inst { op, next } = *program.insts.get(pc as usize)?;
            match op {
                Op::Save(slot) => {
                    if let Some(entry) = self.slots.get_mut(slot as usize) {
                        *entry = b;
                    }
                }
                Op::Choice(choice) => {
                    let choice = program.choices.get(choice as usize)?;
                    let rest = b & (b - 1);
                    if rest != 0 {
                        self.frames.push(Frame { pc, a, b: rest });
                    }
                    let target = *choice.targets.get(b.trailing_zeros() as usize)?;
                    return Some((target, a as usize));
                }
                Op::Run(run) => {
                    let run = program.runs.get(run as usize)?;
                    let set = program.sets.get(run.set as usize)?;
                    let place = if run.share == Share::Most {
                        self.give(run, pc, a, b)
                    } else {
                        self.take(run, set, pc, a as usize, b)
                    };
                    if let Some(at) = place {
                        return Some((next, at));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Enters a run at `at`: the first position from which to try the rest.
    fn run(&mut self, run: &Run, pc: u32, at: usize) -> Option<usize> {
        let set = self.program.sets.get(run.set as usize)?;
        // Where the minimum ends: nothing before it can be given back.
        let mut low = at;
        match run.min {
            0 => {}
            min => {
                for _ in 0..min {
                    match self.text.get(low) {
                        Some(&byte) if set.table[usize::from(byte)] => low += width(self.text, low),
                        _ => return None,
                    }
                }
            }
        }
        if run.share == Share::Least {
            return self.candidate(run, set, pc, low, run.max - run.min);
        }
        let end = if run.max == u32::MAX {
            self.span(set, low)
        } else {
            let mut end = low;
            for _ in run.min..run.max {
                match self.text.get(end) {
                    Some(&byte) if set.table[usize::from(byte)] => end += width(self.text, end),
                    _ => break,
                }
            }
            end
        };
        if run.share == Share::All || end == low {
            return Some(end);
        }
        // The rest may begin at the end of the run, or further back.
        let here = match self.text.get(end) {
            Some(&byte) => self.table(run.follow)[usize::from(byte)],
            None => run.follow_end,
        };
        if here {
            let (a, b) = (low as u32, end as u32);
            self.frames.push(Frame { pc, a, b });
            return Some(end);
        }
        self.give(run, pc, low as u32, end as u32)
    }

    /// The end of the bytes of the set that begin at `at`.
    fn span(&mut self, set: &Set, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let length = match set.stop {
            Stop::Never => None,
            Stop::One(byte) => memchr(byte, rest),
            Stop::Two(a, b) => memchr2(a, b, rest),
            Stop::Table => rest.iter().position(|&byte| !set.table[usize::from(byte)]),
        }
        .unwrap_or(rest.len());
        self.budget -= (length >> 6) as i64;
        at + length
    }

    fn table(&self, table: u32) -> &super::program::Table {
        const NOTHING: &super::program::Table = &[false; 256];
        self.program
            .tables
            .get(table as usize)
            .map_or(NOTHING, |table| table)
    }

    /// Gives back from a greedy run that reaches from `low` to `end`: the last position before `end` where
    /// the rest can begin.
    fn give(&mut self, run: &Run, pc: u32, low: u32, end: u32) -> Option<usize> {
        let span = self.text.get(low as usize..end as usize)?;
        let place = match run.follow_byte {
            Some(byte) => memrchr(byte, span),
            None => {
                let table = self.table(run.follow);
                span.iter().rposition(|&byte| table[usize::from(byte)])
            }
        };
        let place = place.unwrap_or(usize::MAX);
        self.budget -= ((span.len().saturating_sub(place.min(span.len()))) >> 6) as i64;
        if place == usize::MAX {
            return None;
        }
        if place > 0 {
            let b = low + place as u32;
            self.frames.push(Frame { pc, a: low, b });
        }
        Some(low as usize + place)
    }

    /// Takes one more code point at `at` into a lazy run, if it is there, and goes on to the next place.
    fn take(&mut self, run: &Run, set: &Set, pc: u32, at: usize, left: u32) -> Option<usize> {
        let byte = *self.text.get(at)?;
        if left == 0 || !set.table[usize::from(byte)] {
            return None;
        }
        let left = if run.max == u32::MAX { left } else { left - 1 };
        self.candidate(run, set, pc, at + width(self.text, at), left)
    }

    /// The first place at or after `at` where the rest of a lazy run can begin, taking at most `left` code
    /// points on the way.
    fn candidate(
        &mut self,
        run: &Run,
        set: &Set,
        pc: u32,
        mut at: usize,
        mut left: u32,
    ) -> Option<usize> {
        let bounded = run.max != u32::MAX;
        if !bounded && let (Some(byte), Stop::One(stop)) = (run.follow_byte, set.stop) {
            let rest = self.text.get(at..)?;
            let place = memchr2(byte, stop, rest);
            self.budget -= (place.unwrap_or(rest.len()) >> 6) as i64;
            at += place?;
            if self.text.get(at) != Some(&byte) {
                return None;
            }
        } else {
            let begin = at;
            let reached = loop {
                let Some(&byte) = self.text.get(at) else {
                    break run.follow_end;
                };
                if self.table(run.follow)[usize::from(byte)] {
                    break true;
                }
                if left == 0 || !set.table[usize::from(byte)] {
                    break false;
                }
                if bounded {
                    left -= 1;
                }
                at += width(self.text, at);
            };
            self.budget -= ((at - begin) >> 6) as i64;
            if !reached {
                return None;
            }
        }
        // Another try is possible only if one more code point can be taken.
        if left > 0
            && self
                .text
                .get(at)
                .is_some_and(|&byte| set.table[usize::from(byte)])
        {
            let (a, b) = (at as u32, left);
            self.frames.push(Frame { pc, a, b });
        }
        Some(at)
    }

    /// The length of the code point at `at` if it is in a wide set.
    fn wide(&self, set: u32, at: usize) -> Option<usize> {
        let ranges = self.program.wide.get(set as usize)?;
        let end = at + width(self.text, at);
        let c = std::str::from_utf8(self.text.get(at..end)?)
            .ok()?
            .chars()
            .next()?;
        let c = u32::from(c);
        ranges
            .binary_search_by(|&(from, to)| {
                if to < c {
                    std::cmp::Ordering::Less
                } else if from > c {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .ok()?;
        Some(end - at)
    }
}

enum Step {
    Matched(usize),
    Failed,
}

fn holds(look: Look, text: &[u8], at: usize) -> bool {
    let word = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    match look {
        Look::Start => at == 0,
        Look::End => at == text.len(),
        Look::StartLF => at == 0 || text.get(at - 1) == Some(&b'\n'),
        Look::EndLF => at == text.len() || text.get(at) == Some(&b'\n'),
        Look::WordAscii => word(at.checked_sub(1)) != word(Some(at)),
        Look::WordAsciiNegate => word(at.checked_sub(1)) == word(Some(at)),
        _ => false,
    }
}
