//! The Pipeline script language: lexer, parser, checker, compiler, virtual machine and built-in functions.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod time;
