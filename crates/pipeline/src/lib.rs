//! The Pipeline script language: lexer, parser, checker, compiler, virtual machine and built-in functions.
