//! The linear engine: that of `regex-automata`, paid for.
//!
//! It is called once for a whole search and cannot be stopped inside. What a search costs is known
//! beforehand only within bounds: one step a byte as long as its states fit into memory, one step a byte
//! and state where they do not. A search whose worst case is short is made and paid for at the first rate.
//! A search that could be long is made by an engine that gives up where the states stop to fit; then
//! it is paid for at the second rate before it is made, or the run ends.

use std::sync::OnceLock;

use regex_automata::hybrid::regex::{Builder, Cache, Regex as Lazy};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, MatchKind, Span, hybrid, meta};
use regex_syntax::hir::Hir;

use super::ast::Node;
use crate::meter::{BYTES_PER_UNIT, Meter, Spent};

/// The memory one compiled expression may take, in bytes.
const MAX_SIZE: usize = 64 << 20;
/// Bytes times states up to which a search takes some milliseconds at most.
const CALM: u64 = 4_000_000;
/// Bytes times states that cost a further unit in a search that need not be long: so that many of them
/// are noticed by the clock in time.
const LONG: u64 = 1 << 14;
/// Units for 64 bytes and one state at the second rate.
const SLOW: u64 = 5;

/// An expression as the linear engine has it.
pub(super) struct Linear {
    engine: meta::Regex,
    /// How many states may have to be looked at for a byte.
    states: u64,
    /// Made when a long text comes for the first time; `None` if it cannot be made.
    careful: OnceLock<Option<Lazy>>,
}

/// Memory of searches in long texts; of one expression.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lazy: Option<(u64, Box<Cache>)>,
}

impl Linear {
    /// Compiles; `None` if that would take too much memory.
    pub(super) fn new(node: &Node, hir: &Hir) -> Option<Self> {
        let config = meta::Config::new()
            .nfa_size_limit(Some(MAX_SIZE))
            .onepass_size_limit(Some(1 << 20));
        let engine = meta::Builder::new()
            .configure(config)
            .build_from_hir(hir)
            .ok()?;
        Some(Self {
            engine,
            states: node.weight(),
            careful: OnceLock::new(),
        })
    }

    fn worst(&self, bytes: usize) -> u64 {
        self.states.saturating_mul(bytes as u64)
    }

    fn pay_slow(&self, bytes: usize, meter: &Meter) -> Result<(), Spent> {
        meter.pay(self.worst(bytes).saturating_mul(SLOW) / BYTES_PER_UNIT as u64)
    }

    /// Whether the rest of a text from `from` contains a match.
    pub(super) fn is_match(
        &self,
        regex: &super::Regex,
        text: &str,
        from: usize,
        memory: &mut Memory,
        meter: &Meter,
    ) -> Result<bool, Spent> {
        let input = Input::new(text).range(from..);
        let bytes = text.len().saturating_sub(from);
        let worst = self.worst(bytes);
        if worst <= CALM {
            meter.pay(1 + (bytes / BYTES_PER_UNIT) as u64 + worst / LONG)?;
            return Ok(self.engine.is_match(input));
        }
        meter.pass(bytes)?;
        if let Some((lazy, cache)) = self.careful(regex, memory) {
            let (forward, cache) = (lazy.forward(), cache.as_parts_mut().0);
            if let Ok(end) = forward.try_search_fwd(cache, &input.clone().earliest(true)) {
                meter.look()?;
                return Ok(end.is_some());
            }
        }
        self.pay_slow(bytes, meter)?;
        let found = self.engine.is_match(input);
        meter.look()?;
        Ok(found)
    }

    /// Finds the leftmost match from `from` on and writes where its groups are.
    pub(super) fn search(
        &self,
        regex: &super::Regex,
        text: &str,
        from: usize,
        slots: &mut [Option<NonMaxUsize>],
        memory: &mut Memory,
        meter: &Meter,
    ) -> Result<bool, Spent> {
        let Some(span) = self.find(regex, text, from, memory, meter)? else {
            return Ok(false);
        };
        let bytes = span.len();
        let worst = self.worst(bytes);
        if worst > CALM {
            self.pay_slow(bytes, meter)?;
        } else {
            meter.pay(1 + worst / LONG)?;
        }
        let input = Input::new(text)
            .span(span)
            .anchored(regex_automata::Anchored::Yes);
        let found = self.engine.search_slots(&input, slots).is_some();
        if worst > CALM {
            meter.look()?;
        }
        Ok(found)
    }

    fn find(
        &self,
        regex: &super::Regex,
        text: &str,
        from: usize,
        memory: &mut Memory,
        meter: &Meter,
    ) -> Result<Option<Span>, Spent> {
        let input = Input::new(text).range(from..);
        let bytes = text.len().saturating_sub(from);
        let worst = self.worst(bytes);
        if worst <= CALM {
            meter.pay(1 + (bytes / BYTES_PER_UNIT) as u64 + worst / LONG)?;
            return Ok(self.engine.search(&input).map(|found| found.span()));
        }
        meter.pass(bytes)?;
        if let Some((lazy, cache)) = self.careful(regex, memory)
            && let Ok(found) = lazy.try_search(cache, &input)
        {
            meter.look()?;
            return Ok(found.map(|found| found.span()));
        }
        self.pay_slow(bytes, meter)?;
        let found = self.engine.search(&input);
        meter.look()?;
        Ok(found.map(|found| found.span()))
    }

    /// The engine that gives up.
    fn careful<'m>(
        &self,
        regex: &super::Regex,
        memory: &'m mut Memory,
    ) -> Option<(&Lazy, &'m mut Cache)> {
        let lazy = self
            .careful
            .get_or_init(|| {
                crate::stack::levels(super::MAX_LEVELS, || build_careful(&regex.hir()?))
            })
            .as_ref()?;
        let known = matches!(&memory.lazy, Some((number, _)) if *number == regex.number);
        if !known {
            memory.lazy = Some((regex.number, Box::new(lazy.create_cache())));
        }
        memory.lazy.as_mut().map(|(_, cache)| (lazy, &mut **cache))
    }
}

/// An engine that gives up when it had to forget its states several times within few bytes.
fn build_careful(hir: &Hir) -> Option<Lazy> {
    let nfa = |reverse| {
        thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .reverse(reverse)
                    .nfa_size_limit(Some(MAX_SIZE))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(hir)
            .ok()
    };
    let dfa = |reverse, kind| {
        hybrid::dfa::Builder::new()
            .configure(
                hybrid::dfa::Config::new()
                    .match_kind(kind)
                    .minimum_cache_clear_count(Some(3))
                    .minimum_bytes_per_state(Some(10))
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa(reverse)?)
            .ok()
    };
    let forward = dfa(false, MatchKind::LeftmostFirst)?;
    let backward = dfa(true, MatchKind::All)?;
    Some(Builder::new().build_from_dfas(forward, backward))
}
