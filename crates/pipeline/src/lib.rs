//! The Pipeline script language: lexer, parser, checker, compiler, virtual machine and built-in
//! functions.
//!
//! A script is compiled once ([`Code`](diagnostic::Code)-tagged diagnostics on the way) and then
//! run on many points, on many threads at once: a compiled script is immutable, and a run's own
//! state lives in a [`RunState`] that each thread reuses.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aggregate;
mod args;
mod ast;
pub mod cache;
pub mod cases;
mod charset;
mod context;
pub mod diagnostic;
mod engine;
mod error;
mod eval;
mod format;
pub mod functions;
mod gjson;
pub mod grok;
pub mod http;
mod ir;
mod json;
mod keys;
mod lexer;
mod lower;
pub mod manager;
mod memory;
mod meter;
pub mod net;
mod number;
mod ops;
mod parser;
pub mod printer;
pub mod refer_table;
pub mod regex;
mod script;
mod span;
mod sql;
mod stack;
mod state;
pub mod time;
mod user_agent;
pub mod value;
mod walk;
mod window;
mod xml;

pub use args::Args;
pub use engine::{Clock, Engine, Limits, StatusPolicy, SystemClock};
pub use functions::Effects;
pub use ir::{Key, Prepared};
pub use meter::Meter;
pub use script::{Script, ScriptSet, parse_script};
pub use span::{Position, Source, Span};
pub use state::{Finish, Outcome, RunState};
