//! Turns source text into tokens, on demand.

/// Whether a name can be written without backquotes.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.chars()
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
}
