//! The kafkamq binary.
fn main() {}
