//! The protobuf form of points, package `point`: one `PBPoints` message per body.
//!
//! | message | fields |
//! | --- | --- |
//! | `PBPoints` | 1 `arr` repeated `PBPoint` |
//! | `PBPoint` | 1 `name`, 2 `fields` repeated `Field`, 3 `time` in ns; warnings (4) and debug texts (5) are skipped |
//! | `Field` | 1 `key`; one of 2 `i`, 3 `u`, 4 `f`, 5 `b`, 6 `d`, 7 `a`, 11 `s`; 8 `is_tag`; type (9) and unit (10) are skipped |
//! | `Array` in an `Any` | 1 `arr` repeated `BasicTypes`: one of 1 `i`, 2 `u`, 3 `f`, 4 `b`, 5 `d`, 6 `s` |
//!
//! Written by hand against the wire format: points are encoded where they lie, without building
//! message structures first. Since the body repeats one field, encoded points concatenate to a body.

mod read;
mod write;

pub use read::decode;
pub(super) use read::decode_at;
pub use write::encode;

/// The name of the array message inside an `Any`.
const ARRAY_TYPE: &str = "type.googleapis.com/point.Array";

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;
