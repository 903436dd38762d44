//! The way of a record, decided: admission, conversion or splitting, points, scripts, rules, and
//! the items and dead letters that come of it.
//!
//! A [`Processor`] knows neither clock nor chance nor actors. Parsers, `explain` and whoever else
//! wants to know what becomes of a record drive it, each with a [`Witness`] of its own, so that a
//! decision stands in one place only.
//!
//! It promises:
//!
//! * every part of a record has a fate: it is sent, left out by a rule and counted, or buried as
//!   itself; a part that was not settled keeps its record open;
//! * work stops between two elements as soon as the driver says so ([`Pace`]), and goes on there;
//! * points of answers follow the same rules as points of records.

mod answer;
mod ending;
mod finish;
mod lanes;
mod letter;
mod output;
mod points;
mod processor;
mod rules;
mod script_trial;
mod witness;

pub use answer::{AnswerProgress, Answers};
pub use ending::Ending;
pub use finish::{Copies, Finish, Refused};
pub use lanes::{LaneNames, pool};
pub use letter::{
    AskedAbout, Cause, RecordOrigin, letter_of_element, letter_of_point, record_letter,
};
pub use output::{Outgoing, ProcessorOutput};
pub use processor::{Memory, Processor, Progress, Resume};
pub use rules::RecordRules;
pub use script_trial::{ScriptTrial, Tried, TriedRecord};
pub use witness::{Finished, Witness};

/// Asked between elements with the bytes made since the driver last took them: whether to go on.
pub(crate) type Pace<'p> = dyn FnMut(usize) -> bool + 'p;
