//! Values to points to items: splitting, building, scripts, and the last steps.

use std::borrow::Cow;

use kafkamq_point::Point;
use kafkamq_record::{Fates, PartId, Record};

use super::finish::Refused;
use super::letter::{Cause, element_letter, point_letter, record_letter};
use super::witness::Finished;
use super::{Ending, Finish, LeftOut, Pace, Processor, Witness};
use crate::parse::{
    Elements, Origin as PointOrigin, PointConversion, Position, add_record_fields, build_point,
    without_newlines,
};
use crate::routing::{OutputRoute, PointRoute};
use kafkamq_settings::{
    Newlines, PointTime, RecordFields, ScriptFailure, SplitFailure, SplitFormat,
};

/// A record between two of its elements.
#[derive(Debug)]
pub(crate) struct OpenRecord {
    fates: Fates,
    /// Where the next element begins; `None` where the value is one text.
    next: Option<Position>,
    lane: u64,
}

/// What an element is a part of, for its letter.
#[derive(Clone, Copy)]
struct Element<'r> {
    index: u32,
    record: &'r Record<'r>,
    /// Its number, its bytes and how the record was split; `None` for a whole record.
    cut: Option<(u32, &'r [u8], &'r SplitFormat)>,
    lane: u64,
}

impl Element<'_> {
    fn id(&self) -> PartId {
        PartId {
            element: self.cut.map_or(PartId::WHOLE, |(number, ..)| number),
            ..PartId::whole(self.index)
        }
    }
}

impl<'a, W: Witness> Processor<'a, W> {
    /// Finds the elements of a record; `None` if it ends instead.
    pub(super) fn open(
        &mut self,
        index: u32,
        record: &Record<'_>,
        route: &PointRoute,
    ) -> Option<OpenRecord> {
        let value = record.value().unwrap_or_default();
        let mut next = None;
        if let Some(rule) = &route.split {
            match Elements::of(value, &rule.format) {
                Ok(elements) => next = Some(elements.position()),
                Err(error) => {
                    self.witness.cannot_split(&error);
                    if rule.on_failure == SplitFailure::DeadLetter {
                        self.ends(index, record, &Ending::Unsplittable(&error));
                        return None;
                    }
                }
            }
        }
        Some(OpenRecord {
            fates: Fates::default(),
            next,
            lane: self.lanes.lane(record),
        })
    }

    /// Works on the elements of a record from where `open` stands, until `pace` stops it.
    pub(super) fn elements(
        &mut self,
        index: u32,
        record: &Record<'_>,
        mut open: OpenRecord,
        pace: &mut Pace<'_>,
    ) -> Option<OpenRecord> {
        use crate::routing::RouteKind;
        let route: &'a crate::routing::Route = self.route;
        let (RouteKind::Points(route) | RouteKind::ConvertedPoints(_, route)) = &route.kind else {
            return None;
        };
        let value = record.value().unwrap_or_default();
        let mut element = Element {
            index,
            record,
            cut: None,
            lane: open.lane,
        };
        match (open.next, &route.split) {
            (Some(next), Some(rule)) => {
                let mut elements = Elements::from(value, next);
                let mut number = elements.number();
                while let Some(bytes) = elements.next() {
                    element.cut = Some((number, bytes, &rule.format));
                    self.element(&element, bytes, route, &open.fates);
                    number = elements.number();
                    if !pace(self.made.bytes()) {
                        // The record itself stays open beside what was made of it so far.
                        let owed = open.fates.take_owed();
                        if owed > 0 {
                            self.made.obligations.push((index, owed.saturating_add(1)));
                        }
                        open.next = Some(elements.position());
                        return Some(open);
                    }
                }
                self.witness
                    .note(|| format!("its value is split; elements: {number}"));
            }
            _ => self.element(&element, value, route, &open.fates),
        }
        self.conclude(index, &open.fates);
        None
    }

    /// One text of a record to items.
    fn element(
        &mut self,
        element: &Element<'_>,
        bytes: &[u8],
        route: &'a PointRoute,
        fates: &Fates,
    ) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.witness
                    .note(|| "it is not UTF-8; what is not is replaced".to_owned());
                String::from_utf8_lossy(bytes)
            }
        };
        let record = element.record;
        tracing::debug!(
            topic = &*self.route.topic,
            partition = self.source.partition,
            offset = record.offset(),
            kafka_message = &*text
        );
        let text = match route.newlines {
            Newlines::Keep => text,
            Newlines::Space => Cow::Owned(without_newlines(&text).into_owned()),
        };
        let time_ns = match (route.time, record.timestamp_ms()) {
            (PointTime::Record, Some(millis)) => millis.saturating_mul(1_000_000),
            _ => self.now_ns,
        };
        let origin = PointOrigin {
            topic: &self.route.topic,
            partition: self.source.partition,
            offset: record.offset(),
        };
        let mut point = build_point(&text, route.category, origin, time_ns);
        if route.fields != RecordFields::default() {
            add_record_fields(&mut point, record, route.fields);
        }
        self.scripted(element, vec![point], route, fates);
    }

    /// One value to points, through their scripts to the outputs.
    pub(super) fn converted(
        &mut self,
        index: u32,
        record: &Record<'_>,
        conversion: PointConversion,
        route: &'a PointRoute,
    ) {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            self.ends(index, record, &Ending::NothingToConvert);
            return;
        }
        let points = match conversion.points(&value, self.now_ns) {
            Ok(points) => points,
            Err(error) => {
                self.ends(index, record, &Ending::Unconvertible(&error));
                return;
            }
        };
        let count = points.len();
        self.witness
            .note(|| format!("its value is converted to points: {count}"));
        let element = Element {
            index,
            record,
            cut: None,
            lane: self.lanes.lane(record),
        };
        let fates = Fates::default();
        self.scripted(&element, points, route, &fates);
        self.conclude(index, &fates);
    }

    /// The points of one element, each through its script, to items.
    fn scripted(
        &mut self,
        element: &Element<'_>,
        points: Vec<Point>,
        route: &'a PointRoute,
        fates: &Fates,
    ) {
        let before = (fates.sent(), fates.buried());
        let mut going = Going {
            is_only: points.len() == 1,
            ..Going::default()
        };
        for point in points {
            if W::WANTS_DETAILS {
                self.witness.built(&point);
                let script = self.scripts.name_for(&point, &route.scripts);
                self.witness.runs(script.as_deref());
            }
            if !self.scripts.concerns(route.category) {
                self.point(element, point, route, fates, &mut going);
                continue;
            }
            let scripted = self.scripts.run(point, &route.scripts);
            self.witness.ran(&scripted);
            if let Some((script, error)) = &scripted.error {
                self.witness.failed(script.name(), error);
                if self.rules.script_failure == ScriptFailure::DeadLetter {
                    going.fault = Some(error.to_string());
                    going.must_bury = true;
                    continue;
                }
            }
            if scripted.dropped {
                fates.part(element.id()).left_out();
                self.witness.left_out(LeftOut::Script);
            }
            let made = usize::from(scripted.point.is_some()) + scripted.further.len();
            going.is_only &= made == 1;
            for point in scripted.point.into_iter().chain(scripted.further) {
                self.point(element, point, route, fates, &mut going);
            }
        }
        let is_alone = before == (fates.sent(), fates.buried());
        if let Some(fault) = going.fault {
            if is_alone || going.must_bury {
                self.bury(element, fates, &fault);
            } else {
                // Others of its element went on, and there is nothing of it to send.
                fates.part(element.id()).left_out();
                self.witness.left_out(LeftOut::NoField);
            }
        }
    }

    /// The last steps of one point, and its encodings.
    fn point(
        &mut self,
        element: &Element<'_>,
        mut point: Point,
        route: &'a PointRoute,
        fates: &Fates,
        going: &mut Going,
    ) {
        let id = PartId {
            point: going.next,
            ..element.id()
        };
        going.next = going.next.saturating_add(1).min(PartId::ONLY - 1);
        let mut corrections = Vec::new();
        let noted = W::WANTS_DETAILS.then_some(&mut corrections);
        let finish = Finish {
            one_line: route.newlines == Newlines::Space,
            ..self.finish
        };
        let outputs: &'a [OutputRoute] = &route.outputs;
        let mut taken = Vec::new();
        let refused = match finish.correct(&mut point, noted) {
            Ok(()) => self.encode(element, &point, id, outputs, fates, going, &mut taken),
            Err(Refused::LeftOut(why)) => {
                fates.part(id).left_out();
                self.witness.left_out(why);
                Some(why.to_string())
            }
            Err(Refused::Fault(reason)) => {
                if going.is_only {
                    going.fault = Some(reason.clone());
                    going.must_bury = true;
                } else {
                    self.bury_point(element, &point, id, outputs, fates, &reason);
                }
                Some(reason)
            }
        };
        self.witness.finished(&Finished {
            point: &point,
            corrections: &corrections,
            outputs: &taken,
            refused: refused.as_deref(),
        });
    }

    /// Encodes a point for every output that takes it. Returns why one cannot have it.
    #[expect(
        clippy::too_many_arguments,
        reason = "what names a part, and who hears of it"
    )]
    fn encode(
        &mut self,
        element: &Element<'_>,
        point: &Point,
        id: PartId,
        outputs: &'a [OutputRoute],
        fates: &Fates,
        going: &mut Going,
        taken: &mut Vec<&'a OutputRoute>,
    ) -> Option<String> {
        let category = point.category();
        let takers = || {
            outputs
                .iter()
                .filter(|output| output.endpoint(category).is_some())
        };
        let is_only = going.is_only && takers().nth(1).is_none();
        let mut refused = None;
        let mut asked = false;
        for (number, output) in outputs.iter().enumerate() {
            if output.endpoint(category).is_none() {
                continue;
            }
            asked = true;
            let id = PartId {
                point: if is_only { PartId::ONLY } else { id.point },
                output: u16::try_from(number).unwrap_or(u16::MAX),
                ..id
            };
            match self.made.bodies.push(output, point, id, element.lane) {
                Ok(_) => {
                    fates.part(id).sent();
                    if W::WANTS_DETAILS {
                        taken.push(output);
                    }
                }
                Err(error) => {
                    refused = Some(format!("no destination can take the point: {error}"));
                }
            }
        }
        if !asked {
            fates.part(id).left_out();
            self.witness.left_out(LeftOut::Category);
            return Some(format!("no output takes points of {category}"));
        }
        if refused.is_some() {
            going.fault.clone_from(&refused);
        }
        refused
    }

    /// An element, or a record that is one, to the dead letters.
    fn bury(&mut self, element: &Element<'_>, fates: &Fates, reason: &str) {
        fates.part(element.id()).bury();
        let (origin, cause) = (self.origin(element.record), self.cause("script", reason));
        let letter = match element.cut {
            Some((number, bytes, format)) => element_letter(origin, cause, number, bytes, format),
            None => record_letter(origin, cause),
        };
        self.made.bury(element.index, letter);
    }

    /// A point whose siblings go on to the dead letters, once for each output that would have it.
    fn bury_point(
        &mut self,
        element: &Element<'_>,
        point: &Point,
        id: PartId,
        outputs: &[OutputRoute],
        fates: &Fates,
        reason: &str,
    ) {
        let cause: Cause<'_> = self.cause("script", reason);
        let letters: Vec<_> = outputs
            .iter()
            .filter_map(|output| point_letter(self.origin(element.record), cause, point, output))
            .collect();
        if letters.is_empty() {
            fates.part(id).left_out();
            self.witness.left_out(LeftOut::NoField);
        }
        for letter in letters {
            fates.part(id).bury();
            self.made.bury(element.index, letter);
        }
    }
}

/// What came of the points of one element so far.
#[derive(Default)]
struct Going {
    /// Whether the element has one point only.
    is_only: bool,
    /// The number of the next point.
    next: u16,
    /// Why a point can go nowhere.
    fault: Option<String>,
    /// Whether the element is buried although other points of it went on.
    must_bury: bool,
}
