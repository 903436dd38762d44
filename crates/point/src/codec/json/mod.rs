//! The two JSON forms of points: simple objects people write, and the JSON form of the protobuf
//! messages, which keeps every type.
//!
//! ```json
//! {"measurement":"cpu","tags":{"host":"a"},"fields":{"load":0.5},"time":1700000000000000000}
//! {"name":"cpu","fields":[{"key":"load","f":0.5},{"key":"host","s":"a","is_tag":true}],"time":"17"}
//! ```
//!
//! Bodies are arrays. One reader takes both forms, element by element.

mod read;
mod scan;
mod write;

pub use read::decode;
pub(super) use read::{decode_one, fault};
pub use scan::{value_end, without_space};
pub use write::encode;
pub(crate) use write::encode_pb;
pub(crate) use write::push_array;
