//! Whole-process tests of the kafkamq binary.
