//! Regular expressions of the script language: the dialect of RE2 with Perl extras.
//!
//! Owns the parser of the dialect and two engines made from one parsed form. The direct matcher backs up
//! from wrong choices and is several times faster on what log patterns are made of; it works on a budget
//! of steps proportional to the text. Where the budget ends, or where an expression is not for it, the
//! linear engine of `regex-automata` answers. Both find the same match (leftmost, earlier branches
//! preferred), which a property test checks; so time stays linear in the text for every expression.

mod ast;
mod class;
mod linear;
mod parse;
#[cfg(test)]
mod parse_tests;
mod program;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use class::{is_han, is_letter, is_printable};
pub use parse::Groups;
pub(crate) use parse::SyntaxError;

use crate::meter::{Meter, Spent};
use ast::Node;
use linear::Linear;
use memchr::memmem::Finder;
use program::Program;
use quick_cache::sync::Cache;
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::Hir;
use search::{Found, Stack, UNSET};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

/// Levels an expression may nest, each part counted.
const MAX_LEVELS: usize = 500;
/// Compiled expressions kept for the process.
const CACHED: usize = 1024;

/// Why a text cannot be used as a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// The text is not of the dialect.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It would need too much memory.
    #[error("the expression is too large")]
    TooLarge,
}

/// Checks that a text is an expression of the dialect, without compiling it.
///
/// # Errors
/// If it is not.
pub fn check(text: &str, groups: Groups) -> Result<(), RegexError> {
    crate::stack::levels(MAX_LEVELS, || parse::parse(text, groups))?;
    Ok(())
}

/// A compiled regular expression.
pub struct Regex {
    text: Box<str>,
    groups_taken: Groups,
    /// Tells this expression from every other one of the process.
    number: u64,
    linear: Linear,
    direct: Option<Program>,
    names: Vec<Option<Box<str>>>,
    numbers: Vec<Option<u32>>,
    groups: usize,
    /// Text that every match contains.
    required: Option<Finder<'static>>,
    /// Whether the last text without a match cost the direct matcher its budget: then ask the linear engine
    /// first whether there is a match at all.
    gated: AtomicBool,
}

/// The positions of a match and of its groups, and the memory to find them; reuse it between searches.
#[derive(Debug, Default)]
pub struct Captures {
    slots: Vec<u32>,
    stack: Stack,
    linear: Vec<Option<NonMaxUsize>>,
    memory: linear::Memory,
}

impl Captures {
    /// Bytes of the whole match (0) or of a group as counted by [`Regex::number`].
    #[must_use]
    pub(crate) fn get(&self, number: usize) -> Option<Range<usize>> {
        match (self.slots.get(2 * number), self.slots.get(2 * number + 1)) {
            (Some(&from), Some(&to)) if from != UNSET && to != UNSET => {
                Some(from as usize..to as usize)
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.text).finish()
    }
}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// If the text is not of the dialect, or far too large.
    pub fn new(text: &str, groups: Groups) -> Result<Self, RegexError> {
        crate::stack::levels(MAX_LEVELS, || Self::compile(text, groups))
    }

    fn compile(text: &str, groups: Groups) -> Result<Self, RegexError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let parsed = parse::parse(text, groups)?;
        let count = parsed.numbers.iter().flatten().count();
        let linear =
            Linear::new(&parsed.node, &parsed.node.to_hir()).ok_or(RegexError::TooLarge)?;
        Ok(Self {
            text: text.into(),
            groups_taken: groups,
            number: NUMBERS.fetch_add(1, Relaxed),
            linear,
            direct: program::compile(&parsed.node, count),
            groups: count,
            required: required(&parsed.node),
            names: parsed.names,
            numbers: parsed.numbers,
            gated: AtomicBool::new(false),
        })
    }

    /// The expression in the form the linear engine compiles.
    fn hir(&self) -> Option<Hir> {
        let parsed = parse::parse(&self.text, self.groups_taken).ok()?;
        Some(parsed.node.to_hir())
    }

    /// The expression compiled before in this process, or now.
    ///
    /// # Errors
    /// As for [`Regex::new`].
    pub(crate) fn cached(text: &str, groups: Groups) -> Result<Arc<Self>, RegexError> {
        type Compiled = Cache<(Groups, Box<str>), Arc<Regex>>;
        static CACHE: LazyLock<Compiled> = LazyLock::new(|| Cache::new(CACHED));
        let key = (groups, text.into());
        if let Some(found) = CACHE.get(&key) {
            return Ok(found);
        }
        let made = Arc::new(Self::new(text, groups)?);
        CACHE.insert(key, Arc::clone(&made));
        Ok(made)
    }

    /// The names of the groups as written, group 1 first; a name may come twice.
    pub fn names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.names.iter().map(Option::as_deref)
    }

    /// The number under which `Captures::get` knows the group written as the `written`-th, from 1;
    /// `None` if it can never take part.
    #[must_use]
    pub fn number(&self, written: usize) -> Option<usize> {
        let number = self.numbers.get(written.checked_sub(1)?)?;
        number.map(|number| number as usize)
    }

    /// Whether the text contains a match.
    ///
    /// # Errors
    /// When the meter's budget is used up.
    pub fn is_match(&self, text: &str, meter: &Meter) -> Result<bool, Spent> {
        let mut memory = linear::Memory::default();
        Ok(self.possible(text, 0) && self.linear.is_match(self, text, 0, &mut memory, meter)?)
    }

    /// Finds the leftmost match that begins at byte `from` or later; `from` must be a code point boundary.
    ///
    /// # Errors
    /// When the meter's budget is used up.
    pub(crate) fn captures_at(
        &self,
        text: &str,
        from: usize,
        captures: &mut Captures,
        meter: &Meter,
    ) -> Result<bool, Spent> {
        if !self.possible(text, from) {
            meter.pass(text.len().saturating_sub(from))?;
            return Ok(false);
        }
        if let Some(direct) = &self.direct {
            let mut known = false;
            if self.gated.load(Relaxed) {
                let memory = &mut captures.memory;
                if !self.linear.is_match(self, text, from, memory, meter)? {
                    return Ok(false);
                }
                known = true;
                self.gated.store(false, Relaxed);
            }
            let found = direct.search(text, from, &mut captures.slots, &mut captures.stack);
            meter.pay(captures.stack.units())?;
            match found {
                Found::Match => return Ok(true),
                Found::Nothing => return Ok(false),
                Found::Unknown => {}
            }
            if !known {
                let memory = &mut captures.memory;
                if !self.linear.is_match(self, text, from, memory, meter)? {
                    self.gated.store(true, Relaxed);
                    return Ok(false);
                }
            }
        }
        self.linear_at(text, from, captures, meter)
    }

    fn linear_at(
        &self,
        text: &str,
        from: usize,
        captures: &mut Captures,
        meter: &Meter,
    ) -> Result<bool, Spent> {
        let slots = &mut captures.linear;
        slots.clear();
        slots.resize(2 + 2 * self.groups, None);
        let memory = &mut captures.memory;
        let found = self.linear.search(self, text, from, slots, memory, meter)?;
        captures.slots.clear();
        captures.slots.extend(slots.iter().map(|slot| {
            slot.and_then(|at| u32::try_from(at.get()).ok())
                .unwrap_or(UNSET)
        }));
        Ok(found)
    }

    /// Whether the direct matcher takes this expression.
    #[cfg(test)]
    pub(crate) const fn has_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Panics if the two engines find different matches or groups in a text; for tests and fuzzing.
    #[cfg(any(test, feature = "verify"))]
    pub fn assert_engines_agree(&self, text: &str) {
        let Some(direct) = &self.direct else { return };
        for from in (0..=text.len())
            .filter(|&at| text.is_char_boundary(at))
            .take(6)
        {
            let (mut fast, mut slow) = (Captures::default(), Captures::default());
            let outcome = direct.search(text, from, &mut fast.slots, &mut fast.stack);
            let found = self
                .linear_at(text, from, &mut slow, &Meter::unbounded())
                .unwrap_or(false);
            assert!(
                outcome == Found::Unknown || (outcome == Found::Match) == found,
                "{self:?} on {text:?} from {from}: {outcome:?}, {found}"
            );
            if outcome == Found::Match {
                assert_eq!(fast.slots, slow.slots, "{self:?} on {text:?} from {from}");
            }
            assert!(!found || self.possible(text, from), "{self:?} on {text:?}");
        }
    }

    fn possible(&self, text: &str, from: usize) -> bool {
        match (&self.required, text.as_bytes().get(from..)) {
            (Some(finder), Some(rest)) => finder.find(rest).is_some(),
            _ => true,
        }
    }

    /// Calls `each` for every match in turn, until it returns false. An empty match directly behind the
    /// previous match does not count. Each search is paid for.
    ///
    /// # Errors
    /// When the meter's budget is used up; matches were handed out before.
    pub(crate) fn each_match(
        &self,
        text: &str,
        captures: &mut Captures,
        meter: &Meter,
        mut each: impl FnMut(&Captures) -> bool,
    ) -> Result<(), Spent> {
        let mut from = 0;
        let mut last_end = None;
        while from <= text.len() && self.captures_at(text, from, captures, meter)? {
            let Some(found) = captures.get(0) else { break };
            let counts = !found.is_empty() || last_end != Some(found.end);
            if counts && !each(captures) {
                break;
            }
            last_end = Some(found.end);
            from = found.end;
            if found.is_empty() {
                let next = text.get(from..).and_then(|rest| rest.chars().next());
                from += next.map_or(1, char::len_utf8);
            }
        }
        Ok(())
    }

    /// The pieces of `text` between matches, at most `limit` of them: the last holds the rest. An empty
    /// match at the very start separates nothing.
    ///
    /// # Errors
    /// When the meter's budget is used up.
    pub fn split<'t>(
        &self,
        text: &'t str,
        limit: usize,
        captures: &mut Captures,
        meter: &Meter,
    ) -> Result<Vec<&'t str>, Spent> {
        let mut pieces = Vec::new();
        let (mut begin, mut end) = (0, 0);
        self.each_match(text, captures, meter, |captures| {
            if pieces.len() + 1 >= limit {
                return false;
            }
            let Some(found) = captures.get(0) else {
                return false;
            };
            end = found.start;
            if found.end != 0 {
                pieces.push(text.get(begin..end).unwrap_or_default());
            }
            begin = found.end;
            true
        })?;
        if end != text.len() || pieces.is_empty() {
            pieces.push(text.get(begin..).unwrap_or_default());
        }
        Ok(pieces)
    }
}

/// The longest literal text that is part of every match, if there is one of two bytes or more.
fn required(node: &Node) -> Option<Finder<'static>> {
    let mut best = String::new();
    let mut run = String::new();
    collect(node, &mut run, &mut best);
    if run.len() > best.len() {
        best = run;
    }
    (best.len() > 1).then(|| Finder::new(&best).into_owned())
}

fn collect(node: &Node, run: &mut String, best: &mut String) {
    let mut flush = |run: &mut String| {
        if run.len() > best.len() {
            best.clone_from(run);
        }
        run.clear();
    };
    match node {
        Node::Char(c) => run.push(*c),
        Node::Empty | Node::Look(_) => {}
        Node::Group(_, node) => collect(node, run, best),
        Node::Concat(nodes) => {
            for node in nodes {
                collect(node, run, best);
            }
        }
        Node::Repeat { min, max, node, .. } if *min > 0 => {
            flush(run);
            collect(node, run, best);
            if *max != Some(*min) || *min > 1 {
                let mut last = std::mem::take(run);
                if last.len() > best.len() {
                    std::mem::swap(best, &mut last);
                }
            }
        }
        Node::Repeat { .. } | Node::Class(_) | Node::Alternate(_) => flush(run),
    }
}
