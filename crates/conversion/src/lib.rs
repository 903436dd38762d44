//! One record's way from its value to requests and dead letters, decided.
//!
//! * [`route`]: what happens to the records of a topic.
//! * [`Processor`]: the way of a record along its route: admission, conversion or splitting, points,
//!   scripts, rules, and the items and letters that come of it. [`Answers`] is the same for the
//!   points that a handle answered with, [`ScriptTrial`] for a script that somebody tries.
//! * [`scripts`]: the script language with the services and the scripts that the settings name.
//!
//! It does not depend on a Kafka client, actors, metrics or a clock: the caller passes the time in
//! and hands the results on. A [`Witness`] is told what to count or report.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod parse;
mod process;
pub mod route;
pub mod scripts;

pub use parse::{
    Bodies, Conversion, Elements, Form, OtlpJson, PointConversion, Sampler, ScriptStep, Scripted,
    Signal, SplitError, answer_category, encode_for_handle, slices, wrapped,
};
pub use process::{
    AnswerProgress, Answers, AskedAbout, Cause, Copies, Ending, Finish, Finished, LaneNames,
    Memory, Outgoing, Processor, ProcessorOutput, Progress, RecordOrigin, RecordRules, Refused,
    Resume, ScriptTrial, Tried, TriedRecord, Witness, letter_of_element, letter_of_point, pool,
    record_letter,
};
