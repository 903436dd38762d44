//! The line protocol: the text form of points that time series stores read, with arrays and binary
//! values as additions.
//!
//! ```text
//! measurement,tag=value field=1i,other="text" 1700000000000000000
//! ```
//!
//! [`encode`] promises lines that every reader of the format takes; [`Lines`] reads the whole grammar
//! and says for every line it refuses where and why.

mod escape;
mod read;
mod write;

pub use read::{Lines, decode};
pub use write::encode;

/// Most bytes of measurement, tags and any one field key together, as written.
pub(crate) const MAX_LINE_KEY: usize = 65_535;
