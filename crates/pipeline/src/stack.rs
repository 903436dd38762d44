//! Room on the stack for what recurses.
//!
//! Nesting is bounded everywhere, but the bounds are the language's, and what a level takes depends on the
//! build; threads come with whatever stack their makers gave them. So what recurses asks here before it
//! begins: where the real stack of the thread has too little left, it goes on on a piece of its own.

/// What a level of a script takes at most, in bytes; builds without optimisation keep much more.
const LEVEL: usize = if cfg!(debug_assertions) {
    16 << 10
} else {
    4 << 10
};
/// What functions and the libraries below them take.
const LEAF: usize = if cfg!(debug_assertions) {
    384 << 10
} else {
    160 << 10
};
/// What a level of a value or document takes, with all that works on it.
const PIECE: usize = 1 << 20;

/// Levels that scripts which use each other may nest in all; that takes some megabytes.
pub(crate) const MAX_LEVELS: usize = 2000;
/// Levels that a call from script to script counts for.
pub(crate) const CALL: usize = 8;

/// Runs something that goes down this many levels.
pub(crate) fn levels<R>(levels: usize, work: impl FnOnce() -> R) -> R {
    let need = LEAF + levels * LEVEL;
    stacker::maybe_grow(need, need + PIECE, work)
}

/// Runs one level of something that goes down as deep as a value or text does; each level asks.
#[inline]
pub(crate) fn level<R>(work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(LEAF / 2, PIECE, work)
}

/// Levels that every thread has room for, so that no check is needed.
const SHALLOW: usize = 12;

/// [`levels`], where `all` are those of everything on the stack so far.
#[inline]
pub(crate) fn levels_of<R>(all: usize, own: usize, work: impl FnOnce() -> R) -> R {
    if all <= SHALLOW {
        return work();
    }
    levels(own, work)
}
