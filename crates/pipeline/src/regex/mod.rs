//! Regular expressions of the script language: the dialect of RE2 with Perl extras.
//!
//! Owns the parser of the dialect and two engines made from one parsed form. The direct matcher backs up
//! from wrong choices and is several times faster on what log patterns are made of; it works on a budget
//! of steps proportional to the text. Where the budget ends, or where an expression is not for it, the
//! linear engine of `regex-automata` answers. Both find the same match (leftmost, earlier branches
//! preferred), which a property test checks; so time stays linear in the text for every expression.

mod ast;
mod class;
mod parse;
#[cfg(test)]
mod parse_tests;
mod program;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use class::{is_han, is_letter, is_printable};
pub use parse::{Groups, SyntaxError};

use ast::Node;
use memchr::memmem::Finder;
use program::Program;
use quick_cache::sync::Cache;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, meta};
use search::{Found, Stack, UNSET};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

/// The memory one compiled expression may take in the linear engine, in bytes.
const MAX_SIZE: usize = 64 << 20;
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
    parse::parse(text, groups)?;
    Ok(())
}

/// A compiled regular expression.
pub struct Regex {
    text: Box<str>,
    linear: meta::Regex,
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
}

impl Captures {
    /// Bytes of the whole match (0) or of a group as counted by [`Regex::number`].
    #[must_use]
    pub fn get(&self, number: usize) -> Option<Range<usize>> {
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
        let parsed = parse::parse(text, groups)?;
        let count = parsed.numbers.iter().flatten().count();
        let hir = parsed.node.to_hir();
        let config = meta::Config::new()
            .nfa_size_limit(Some(MAX_SIZE))
            .onepass_size_limit(Some(1 << 20));
        let linear = meta::Builder::new()
            .configure(config)
            .build_from_hir(&hir)
            .map_err(|_too_large| RegexError::TooLarge)?;
        Ok(Self {
            text: text.into(),
            linear,
            direct: program::compile(&parsed.node, count),
            groups: count,
            required: required(&parsed.node),
            names: parsed.names,
            numbers: parsed.numbers,
            gated: AtomicBool::new(false),
        })
    }

    /// The expression compiled before in this process, or now.
    ///
    /// # Errors
    /// As for [`Regex::new`].
    pub fn cached(text: &str, groups: Groups) -> Result<Arc<Self>, RegexError> {
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

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the groups as written, group 1 first; a name may come twice.
    pub fn names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.names.iter().map(Option::as_deref)
    }

    /// The number under which [`Captures::get`] knows the group written as the `written`-th, from 1;
    /// `None` if it can never take part.
    #[must_use]
    pub fn number(&self, written: usize) -> Option<usize> {
        let number = self.numbers.get(written.checked_sub(1)?)?;
        number.map(|number| number as usize)
    }

    /// Whether the text contains a match.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.possible(text, 0) && self.linear.is_match(text)
    }

    /// Finds the leftmost match that begins at byte `from` or later; `from` must be a code point boundary.
    pub fn captures_at(&self, text: &str, from: usize, captures: &mut Captures) -> bool {
        if !self.possible(text, from) {
            return false;
        }
        if let Some(direct) = &self.direct {
            let mut known = false;
            if self.gated.load(Relaxed) {
                if !self.linear.is_match(Input::new(text).range(from..)) {
                    return false;
                }
                known = true;
                self.gated.store(false, Relaxed);
            }
            match direct.search(text, from, &mut captures.slots, &mut captures.stack) {
                Found::Match => return true,
                Found::Nothing => return false,
                Found::Unknown => {}
            }
            if !known && !self.linear.is_match(Input::new(text).range(from..)) {
                self.gated.store(true, Relaxed);
                return false;
            }
        }
        self.linear_at(text, from, captures)
    }

    fn linear_at(&self, text: &str, from: usize, captures: &mut Captures) -> bool {
        let input = Input::new(text).range(from..);
        let slots = &mut captures.linear;
        slots.clear();
        slots.resize(2 + 2 * self.groups, None);
        let found = self.linear.search_slots(&input, slots).is_some();
        captures.slots.clear();
        captures.slots.extend(slots.iter().map(|slot| {
            slot.and_then(|at| u32::try_from(at.get()).ok())
                .unwrap_or(UNSET)
        }));
        found
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
            let found = self.linear_at(text, from, &mut slow);
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
    /// previous match does not count.
    pub fn each_match(
        &self,
        text: &str,
        captures: &mut Captures,
        mut each: impl FnMut(&Captures) -> bool,
    ) {
        let mut from = 0;
        let mut last_end = None;
        while from <= text.len() && self.captures_at(text, from, captures) {
            let Some(found) = captures.get(0) else { return };
            let counts = !found.is_empty() || last_end != Some(found.end);
            if counts && !each(captures) {
                return;
            }
            last_end = Some(found.end);
            from = found.end;
            if found.is_empty() {
                let next = text.get(from..).and_then(|rest| rest.chars().next());
                from += next.map_or(1, char::len_utf8);
            }
        }
    }

    /// The pieces of `text` between matches, at most `limit` of them: the last holds the rest. An empty
    /// match at the very start separates nothing.
    pub fn split<'t>(&self, text: &'t str, limit: usize, captures: &mut Captures) -> Vec<&'t str> {
        let mut pieces = Vec::new();
        let (mut begin, mut end) = (0, 0);
        self.each_match(text, captures, |captures| {
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
        });
        if end != text.len() || pieces.is_empty() {
            pieces.push(text.get(begin..).unwrap_or_default());
        }
        pieces
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
