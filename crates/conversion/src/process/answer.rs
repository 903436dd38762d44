//! Points in the answer of a handle: they follow the same rules as points of records.
//!
//! The whole body is checked before a point of it goes on, since a body that cannot be read brings
//! the records that were asked about to the dead letters. Both are done piece by piece.

use kafkamq_pipeline::manager::ScriptRoutes;
use kafkamq_point::codec::{DecodeOptions, Encoding, PointReader, Precision};
use kafkamq_point::{Category, Point};
use kafkamq_record::{Fates, LeftOut, PartId};

use super::finish::Refused;
use super::letter::{AskedAbout, Cause, answer_letter};
use super::{Finish, Pace, ProcessorOutput, RecordRules, Witness};
use crate::parse::{ScriptStep, answer_rules};
use crate::route::OutputRoute;
use kafkamq_settings::ScriptFailure;

/// Points between two questions to the driver while a body is only checked.
const CHECKED_TOGETHER: usize = 64;

/// How far the work on an answer came.
#[derive(Debug, Clone, Default)]
pub struct AnswerProgress {
    is_checked: bool,
    at: usize,
    number: u32,
}

/// What work on the points of an answer needs besides the body.
pub struct Answers<'a, W> {
    /// The outputs that the points go to.
    pub outputs: &'a [OutputRoute],
    /// The rules of the revision.
    pub rules: &'a RecordRules,
    /// The category of the points before a script changes it.
    pub category: Category,
    /// How the body holds them.
    pub encoding: Encoding,
    /// The scripts that run on them.
    pub scripts: ScriptStep<'a>,
    /// Their last steps.
    pub finish: Finish<'a>,
    /// The lane that the points keep the order of.
    pub lane: u64,
    /// The records that the request asked about, for letters.
    pub asked: AskedAbout<'a>,
    /// Where every point's fate is noted.
    pub fates: &'a Fates,
    /// What came of them so far.
    pub made: ProcessorOutput<'a>,
    /// Observes what is done.
    pub witness: W,
}

impl<'a, W: Witness> Answers<'a, W> {
    /// Works on `body` from `progress` on; whether that is done. `body` has to be valid UTF-8 where
    /// the encoding is text.
    ///
    /// # Errors
    /// Why the body cannot be read; nothing was made of it then.
    pub fn run(
        &mut self,
        body: &[u8],
        progress: &mut AnswerProgress,
        pace: &mut Pace<'_>,
    ) -> Result<bool, String> {
        let options = DecodeOptions {
            category: self.category,
            precision: Some(Precision::Nanoseconds),
            now_ns: self.finish.now_ns,
        };
        if !progress.is_checked {
            let reader = PointReader::new(self.encoding, body, progress.at, options);
            let mut reader = reader.map_err(|error| error.to_string())?;
            let mut count = 0;
            while let Some(point) = reader.next() {
                point.map_err(|error| error.to_string())?;
                count += 1;
                if count % CHECKED_TOGETHER == 0 && !pace(0) {
                    progress.at = reader.position();
                    return Ok(false);
                }
            }
            progress.is_checked = true;
            progress.at = 0;
        }
        let reader = PointReader::new(self.encoding, body, progress.at, options);
        let mut reader = reader.map_err(|error| error.to_string())?;
        while let Some(point) = reader.next() {
            self.scripted(progress.number, point.map_err(|error| error.to_string())?);
            progress.number = progress.number.saturating_add(1);
            progress.at = reader.position();
            if !pace(self.made.bytes()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the work: counts script runs and gives out what was made.
    pub fn end(self) -> (ProcessorOutput<'a>, W) {
        self.scripts.finish();
        (self.made, self.witness)
    }

    fn scripted(&mut self, element: u32, mut point: Point) {
        let corrections = answer_rules(self.category).apply(&mut point);
        if !corrections.is_empty() {
            tracing::debug!(?corrections, "corrected a point of an answer");
        }
        let id = PartId {
            element,
            ..PartId::whole(0)
        };
        let scripted = self.scripts.run(point, &ScriptRoutes::new());
        self.witness.ran(&scripted);
        if let Some((script, error)) = &scripted.error {
            self.witness.failed(script.name(), error);
            if self.rules.script_failure == ScriptFailure::DeadLetter {
                let reason = error.to_string();
                match &scripted.point {
                    Some(point) => self.bury(id, point, &reason),
                    None => self.leave_out(id, LeftOut::Script),
                }
                return;
            }
        }
        if scripted.dropped {
            self.leave_out(id, LeftOut::Script);
        }
        for (number, point) in (0u16..).zip(scripted.point.into_iter().chain(scripted.further)) {
            self.point(
                PartId {
                    point: number,
                    ..id
                },
                point,
            );
        }
    }

    fn point(&mut self, id: PartId, mut point: Point) {
        match self.finish.correct(&mut point, None) {
            Ok(()) => {}
            Err(Refused::LeftOut(why)) => return self.leave_out(id, why),
            Err(Refused::Fault(reason)) => return self.bury(id, &point, &reason),
        }
        let outputs: &'a [OutputRoute] = self.outputs;
        let mut asked = false;
        let mut refused = None;
        for (number, output) in (0u16..).zip(outputs) {
            if output.endpoint(point.category()).is_none() {
                continue;
            }
            asked = true;
            let id = PartId {
                output: number,
                ..id
            };
            match self.made.bodies.push(output, &point, id, self.lane) {
                Ok(_) => {
                    self.fates.part(id).sent();
                }
                Err(error) => refused = Some(error),
            }
        }
        if !asked {
            return self.leave_out(id, LeftOut::Category);
        }
        if let Some(error) = refused {
            let reason = format!("no destination can take the point: {error}");
            self.bury(id, &point, &reason);
        }
    }

    fn leave_out(&mut self, id: PartId, why: LeftOut) {
        self.fates.part(id).left_out();
        self.witness.left_out(why);
    }

    /// The point itself to the dead letters, once for each output that would have it. Where no
    /// encoding can hold it, its text is kept for people.
    fn bury(&mut self, id: PartId, point: &Point, reason: &str) {
        let cause = Cause {
            stage: "answer",
            reason,
            time_ms: self.finish.now_ns / 1_000_000,
        };
        let takes = |output: &&OutputRoute| output.endpoint(point.category()).is_some();
        let outputs = self.outputs.iter().filter(takes);
        let mut letters: Vec<_> = outputs
            .filter_map(|output| answer_letter(&self.asked, cause, point, Some(output)))
            .collect();
        if letters.is_empty() {
            letters.extend(answer_letter(&self.asked, cause, point, None));
        }
        for letter in letters {
            self.fates.part(id).bury();
            self.made.bury(0, letter);
        }
    }
}
