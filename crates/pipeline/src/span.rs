//! Where things stand in a script: byte spans, and the source text that turns them into lines and columns.

use std::fmt;
use std::sync::Arc;

/// A range of bytes of one script's source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset one past the last byte.
    pub(crate) end: u32,
}

impl Span {
    /// The bytes `start..end`; offsets beyond 4 GiB saturate.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: clamp(start),
            end: clamp(end),
        }
    }

    /// From the start of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end.max(self.end),
        }
    }
}

/// A script's name and text, shared by everything that reports positions in it.
#[derive(Debug, Clone)]
pub struct Source(Arc<SourceText>);

#[derive(Debug)]
struct SourceText {
    name: String,
    text: String,
    line_starts: Vec<u32>,
}

/// A line and a column, both counted from 1; columns count bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
}

impl Source {
    /// Takes a script's name (shown in positions) and its text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut line_starts = vec![0];
        line_starts.extend(
            memchr::memchr_iter(b'\n', text.as_bytes())
                .map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX)),
        );
        Self(Arc::new(SourceText {
            name: name.into(),
            text,
            line_starts,
        }))
    }

    /// The script's name, such as `nginx.p`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text a span covers, empty when the span does not fit.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.0
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Line and column of a byte offset.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let line = self
            .0
            .line_starts
            .partition_point(|&start| start <= offset)
            .max(1);
        let start = self.0.line_starts.get(line - 1).copied().unwrap_or(0);
        Position {
            line,
            column: (offset - start) as usize + 1,
        }
    }

    /// `name:line:column` of a span's first byte.
    #[must_use]
    pub(crate) fn locate(&self, span: Span) -> String {
        let at = self.position(span.start);
        format!("{}:{at}", self.0.name)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let source = Source::new("a.p", "ab\n\ncd");
        let at = |offset| {
            let position = source.position(offset);
            (position.line, position.column)
        };
        assert_eq!(
            [at(0), at(2), at(3), at(4), at(6)],
            [(1, 1), (1, 3), (2, 1), (3, 1), (3, 3)]
        );
        assert_eq!(source.locate(Span::new(5, 6)), "a.p:3:2");
    }
}
