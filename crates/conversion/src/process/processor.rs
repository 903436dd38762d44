//! One record after the other through its route.

use kafkamq_record::{Fates, Record, RecordBatch, TopicPartition};

use super::lanes::LaneChoice;
use super::letter::{Cause, RecordOrigin, record_letter};
use super::points::OpenRecord;
use super::{Ending, Finish, LaneNames, Pace, ProcessorOutput, RecordRules, Witness};
use crate::parse::{Sampler, ScriptStep, encode_for_handle, passes_header_check};
use crate::route::{HandleRoute, Route, RouteKind, TranscodeRoute};
use kafkamq_record::Outcome;
use kafkamq_settings::ValuePolicy;

/// How far the work on a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Every record of it was worked on.
    Done,
    /// The driver wants what was made to be taken first.
    Paused,
}

/// Where work on a batch goes on.
#[derive(Debug, Default)]
pub struct Resume {
    record: usize,
    /// A record of which some elements were worked on.
    open: Option<OpenRecord>,
}

/// What work on records needs besides the records.
pub struct Processor<'a, W> {
    /// The route of the records.
    pub route: &'a Route,
    /// The rules of the revision.
    pub rules: &'a RecordRules,
    /// The partition the records came from.
    pub source: &'a TopicPartition,
    pub(super) lanes: LaneChoice<'a>,
    sampler: Option<&'a mut Sampler>,
    pub(super) scripts: ScriptStep<'a>,
    pub(super) finish: Finish<'a>,
    /// Nanoseconds since the Unix epoch.
    pub(super) now_ns: i64,
    /// The topic as a JSON string, quotes included.
    topic_json: &'a str,
    /// What came of the records so far.
    pub made: ProcessorOutput<'a>,
    /// Observes what is done.
    pub witness: W,
}

/// What a [`Processor`] keeps between batches of one topic.
#[derive(Debug)]
pub struct Memory {
    /// Decides which records go on, where the route samples.
    pub(crate) sampler: Option<Sampler>,
    /// Counts records without a key, which may go to any lane.
    pub(crate) spread: u64,
    /// The topic as a JSON string, quotes included.
    pub(crate) topic_json: String,
}

impl Memory {
    /// For records by `route`, sampled with `sampler`.
    pub fn of(route: &Route, sampler: Option<Sampler>) -> Self {
        Self {
            sampler,
            spread: 0,
            topic_json: serde_json::Value::from(&*route.topic).to_string(),
        }
    }
}

impl<'a, W: Witness> Processor<'a, W> {
    /// A processor of records that came from `source` by `route`.
    #[expect(clippy::too_many_arguments, reason = "everything that decides")]
    pub fn new(
        route: &'a Route,
        rules: &'a RecordRules,
        source: &'a TopicPartition,
        names: &'a LaneNames,
        memory: &'a mut Memory,
        scripts: ScriptStep<'a>,
        finish: Finish<'a>,
        made: ProcessorOutput<'a>,
        witness: W,
    ) -> Self {
        Self {
            route,
            rules,
            source,
            lanes: LaneChoice {
                names,
                source,
                route,
                spread: &mut memory.spread,
                last: None,
            },
            sampler: memory.sampler.as_mut(),
            scripts,
            now_ns: finish.now_ns,
            finish,
            topic_json: &memory.topic_json,
            made,
            witness,
        }
    }

    /// Works on the records of `batch` from `at` on, until `pace` says that it is enough.
    pub fn run(&mut self, batch: &RecordBatch, at: &mut Resume, pace: &mut Pace<'_>) -> Progress {
        while let Some(record) = batch.get(at.record) {
            let index = u32::try_from(at.record).unwrap_or(u32::MAX);
            let paused = match at.open.take() {
                Some(open) => self.elements(index, &record, open, pace),
                None => self.record(index, &record, pace),
            };
            if paused.is_some() {
                at.open = paused;
                return Progress::Paused;
            }
            at.record += 1;
            if at.record < batch.len() && !pace(self.made.bytes()) {
                return Progress::Paused;
            }
        }
        Progress::Done
    }

    /// Ends the work: counts script runs and gives out what was made.
    pub fn end(self) -> (ProcessorOutput<'a>, W) {
        self.scripts.finish();
        (self.made, self.witness)
    }

    /// One record, up to where `pace` stops it.
    fn record(
        &mut self,
        index: u32,
        record: &Record<'_>,
        pace: &mut Pace<'_>,
    ) -> Option<OpenRecord> {
        if let Some(ending) = self.refusal(record) {
            self.ends(index, record, &ending);
            return None;
        }
        let route: &'a Route = self.route;
        match &route.kind {
            RouteKind::Acknowledge => self.ends(index, record, &Ending::Acknowledged),
            RouteKind::Forward {
                destination,
                endpoint,
            } => {
                self.witness
                    .note(|| "its value is posted as it is".to_owned());
                let body = record.value_bytes().unwrap_or_default();
                let lane = self.lanes.lane(record);
                let target = (destination, endpoint);
                self.made.push(target, lane, index, body, false);
            }
            RouteKind::Transcode(transcode) => self.transcode(index, record, transcode),
            RouteKind::Points(points) => {
                let open = self.open(index, record, points)?;
                return self.elements(index, record, open, pace);
            }
            RouteKind::ConvertedPoints(conversion, _) => {
                let open = self.open_converted(index, record, *conversion)?;
                return self.elements(index, record, open, pace);
            }
            RouteKind::Handle(handle) => self.handle(index, record, handle),
        }
        None
    }

    /// How a rule ends the record before its route looks at it.
    fn refusal(&mut self, record: &Record<'_>) -> Option<Ending<'static>> {
        let policy = match record.value() {
            None => self.route.null_value,
            Some([]) => self.route.empty_value,
            Some(value) if value.len() as u64 > self.rules.record_bytes => {
                return Some(Ending::TooLarge {
                    bytes: value.len(),
                    limit: self.rules.record_bytes,
                });
            }
            Some(_) => ValuePolicy::Pass,
        };
        let is_null = record.value().is_none();
        if policy != ValuePolicy::Pass {
            let buried = policy == ValuePolicy::DeadLetter;
            return Some(match is_null {
                true => Ending::NoValue { buried },
                false => Ending::EmptyValue { buried },
            });
        }
        if record.value().is_none_or(<[u8]>::is_empty) {
            self.witness.note(|| match is_null {
                true => "it has no value (a tombstone), and such pass here".to_owned(),
                false => "its value is empty, and such pass here".to_owned(),
            });
        }
        let sampler = self.sampler.as_mut()?;
        (!sampler.keeps(record.key())).then_some(Ending::Sampled)
    }

    /// Ends a record as a whole.
    pub(super) fn ends(&mut self, index: u32, record: &Record<'_>, ending: &Ending<'_>) {
        self.witness.ended(ending);
        match ending.outcome() {
            Some(outcome) => self.made.end(index, outcome),
            None => {
                let reason = ending.to_string();
                self.bury_record(index, record, ending.stage(), &reason);
            }
        }
    }

    pub(super) fn origin<'r>(&'r self, record: &Record<'r>) -> RecordOrigin<'r> {
        RecordOrigin {
            input: &self.route.input,
            source: self.source,
            record: *record,
        }
    }

    pub(super) fn cause<'r>(&self, stage: &'r str, reason: &'r str) -> Cause<'r> {
        Cause {
            stage,
            reason,
            time_ms: self.now_ns / 1_000_000,
        }
    }

    pub(super) fn bury_record(
        &mut self,
        index: u32,
        record: &Record<'_>,
        stage: &str,
        reason: &str,
    ) {
        let letter = record_letter(self.origin(record), self.cause(stage, reason));
        self.made.bury(index, letter);
    }

    /// Says how many obligations came of a record, or ends it if none did. A record with a part
    /// that was not settled stays open, and so is processed again.
    pub(super) fn conclude(&mut self, index: u32, fates: &Fates) {
        if !fates.are_all_known() {
            tracing::error!(
                partition = %self.source, index,
                "a part of a record was forgotten; the record is worked on again"
            );
            let owed = fates.take_owed();
            self.made.obligations.push((index, owed.saturating_add(1)));
            return;
        }
        match fates.take_owed() {
            0 if fates.sent() > 0 => self.made.end(index, Outcome::Delivered),
            0 if fates.buried() > 0 => self.made.end(index, Outcome::DeadLettered),
            0 => self.made.end(index, Outcome::Dropped),
            1 => {}
            owed => self.made.obligations.push((index, owed)),
        }
    }

    /// One value to one request in the form that the receiver takes.
    fn transcode(&mut self, index: u32, record: &Record<'_>, route: &'a TranscodeRoute) {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            // Agents do send them, and no other form says "nothing".
            self.ends(index, record, &Ending::NothingToConvert);
            return;
        }
        let (form, body) = match route.conversion.convert(record.key(), &value) {
            Ok(converted) => converted,
            Err(error) => {
                self.ends(index, record, &Ending::Unconvertible(&error));
                return;
            }
        };
        let Some(target) = route.target(form) else {
            self.ends(index, record, &Ending::NoAddress(form));
            return;
        };
        self.witness.note(|| {
            let how = match body == value {
                true => "goes on as it is",
                false => "is converted",
            };
            let (from, to) = (value.len(), body.len());
            format!("its value of {from} bytes {how}: {form:?}, {to} bytes")
        });
        let lane = self.lanes.lane(record);
        let is_new = !value.as_ptr_range().contains(&body.as_ptr());
        let target = (&target.destination, &target.endpoint);
        self.made.push(target, lane, index, body, is_new);
    }

    fn handle(&mut self, index: u32, record: &Record<'_>, handle: &'a HandleRoute) {
        let value = record.value().unwrap_or_default();
        if !passes_header_check(value, handle.header_check) {
            self.ends(index, record, &Ending::HeaderRejected);
            return;
        }
        self.witness
            .note(|| "it is posted to the handle".to_owned());
        let buffer = &mut self.made.handle;
        encode_for_handle(record, self.topic_json, handle.content, buffer);
        let lane = self.lanes.lane(record);
        let end = self.made.handle.len();
        self.made.handle_places.push((index, end, lane));
    }
}
