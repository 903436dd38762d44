//! Compiled scripts and the sets they are compiled in.

use crate::engine::Engine;
use crate::ir::Code;
use crate::span::Source;
use crate::state::Instance;

/// The scripts compiled together; `use` resolves within.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) engine: Engine,
    pub(crate) units: Vec<Unit>,
}

/// One script of a set.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) source: Source,
    pub(crate) code: Option<Code>,
    pub(crate) instance: Instance,
}
