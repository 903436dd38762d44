//! Records to items: the work of a parser without its actor.
//!
//! Everything here is a pure function of a record and its route: which records are left out by
//! rule, how a value is split or converted, how points and requests are built, which script runs.
//! It does not depend on Kafka or HTTP.

mod answer;
mod bodies;
mod handle;
mod points;
mod sampling;
mod scripting;
mod split;
mod transcode;

pub use answer::answer_category;
pub(crate) use answer::answer_rules;
pub use bodies::{Bodies, slices};
pub use handle::encode_for_handle;
pub(crate) use handle::passes_header_check;
pub(crate) use points::{PointOrigin, add_record_fields, build_point, without_newlines};
pub use sampling::Sampler;
pub use scripting::{ScriptStep, Scripted};
pub(crate) use split::without_mark;
pub use split::{Elements, SplitError, wrapped};
pub(crate) use transcode::ConvertedPoints;
pub(crate) use transcode::TranscodeError;
pub use transcode::{Conversion, Form, OtlpJson, PointConversion, Signal};
