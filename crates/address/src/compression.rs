//! How the bodies of requests are compressed.

/// Content coding of request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Sent as it is.
    #[default]
    None,
    /// gzip, fastest level that still pays.
    Gzip,
    /// Zstandard, level 1.
    Zstd,
}

impl Compression {
    /// The `Content-Encoding` token, if any.
    #[must_use]
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}
