//! Who hears what becomes of records besides the items that come of them.

use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_point::Point;

use kafkamq_record::LeftOut;

use super::Ending;
use crate::parse::{Scripted, SplitError};
use crate::route::OutputRoute;

/// What became of a point that went through its last steps.
pub struct Finished<'a> {
    /// As it is encoded, or as it was when a rule took it.
    pub point: &'a Point,
    /// What was corrected in it; only noted for a witness that wants it.
    pub corrections: &'a [String],
    /// The outputs that take it.
    pub outputs: &'a [&'a OutputRoute],
    /// Why it was not delivered at all, or not to one output.
    pub refused: Option<&'a str>,
}

/// Hears what becomes of records. Nothing that it does changes that.
pub trait Witness {
    /// Whether it wants what is dear to tell: points as they are built, and corrections.
    const WANTS_DETAILS: bool = false;

    /// Something happened that has no call of its own.
    fn note(&mut self, _text: impl FnOnce() -> String) {}

    /// A rule ends a record before anything is made of it.
    fn ended(&mut self, _ending: &Ending<'_>) {}

    /// A value cannot be split.
    fn cannot_split(&mut self, _error: &SplitError) {}

    /// A point was built.
    fn built(&mut self, _point: &Point) {}

    /// A script is about to run on the point built last.
    fn runs(&mut self, _script: Option<&str>) {}

    /// A script ran.
    fn ran(&mut self, _scripted: &Scripted) {}

    /// A script failed.
    fn failed(&mut self, _script: &str, _error: &Diagnostic) {}

    /// A point went through its last steps.
    fn finished(&mut self, _finished: &Finished<'_>) {}

    /// A part of a record was left out by a rule.
    fn left_out(&mut self, _why: LeftOut) {}
}
