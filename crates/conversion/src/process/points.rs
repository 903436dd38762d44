//! Values to points to items: splitting, building, scripts, and the last steps.

use std::borrow::Cow;
use std::iter::Peekable;

use kafkamq_point::Point;
use kafkamq_record::{Fates, LeftOut, PartId, Record};

use super::finish::Refused;
use super::letter::{Cause, element_letter, point_letter, record_letter};
use super::witness::Finished;
use super::{Ending, Finish, Pace, Processor, Witness};
use crate::parse::{
    ConvertedPoints, Elements, PointConversion, PointOrigin, add_record_fields, build_point,
    without_newlines,
};
use crate::route::{OutputRoute, PointRoute, Route, RouteKind};
use kafkamq_settings::{
    Newlines, PointTime, RecordFields, ScriptFailure, SplitFailure, SplitFormat,
};

/// A record between two of its elements.
#[derive(Debug)]
pub(super) struct OpenRecord {
    fates: Fates,
    rest: Rest,
    lane: u64,
    /// Why a point of it can go nowhere, while that decides nothing yet.
    fault: Option<String>,
}

/// What of a record is still to be worked on.
#[derive(Debug)]
enum Rest {
    /// The value as one text.
    Whole,
    /// Elements from here on.
    Elements(Elements),
    /// Points it was converted to; whether it has one only, and how many there were so far.
    Points {
        points: Peekable<ConvertedPoints>,
        is_only: bool,
        count: usize,
    },
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
    /// Finds what a record holds; `None` if it ends instead.
    pub(super) fn open(
        &mut self,
        index: u32,
        record: &Record<'_>,
        route: &PointRoute,
    ) -> Option<OpenRecord> {
        let value = record.value().unwrap_or_default();
        let mut rest = Rest::Whole;
        if let Some(rule) = &route.split {
            match Elements::of(value, &rule.format) {
                Ok(elements) => rest = Rest::Elements(elements),
                Err(error) => {
                    self.witness.cannot_split(&error);
                    if rule.on_failure == SplitFailure::DeadLetter {
                        self.ends(index, record, &Ending::Unsplittable(&error));
                        return None;
                    }
                }
            }
        }
        Some(self.opened(record, rest))
    }

    /// The same for a value that is converted to points.
    pub(super) fn open_converted(
        &mut self,
        index: u32,
        record: &Record<'_>,
        conversion: PointConversion,
    ) -> Option<OpenRecord> {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            self.ends(index, record, &Ending::NothingToConvert);
            return None;
        }
        match conversion.points(&value, self.now_ns) {
            Ok(points) => {
                let rest = Rest::Points {
                    points: points.peekable(),
                    is_only: false,
                    count: 0,
                };
                Some(self.opened(record, rest))
            }
            Err(error) => {
                self.ends(index, record, &Ending::Unconvertible(&error));
                None
            }
        }
    }

    fn opened(&mut self, record: &Record<'_>, rest: Rest) -> OpenRecord {
        OpenRecord {
            fates: Fates::default(),
            rest,
            lane: self.lanes.lane(record),
            fault: None,
        }
    }

    /// Works on the elements of a record from where `open` stands, until `pace` stops it.
    pub(super) fn elements(
        &mut self,
        index: u32,
        record: &Record<'_>,
        mut open: OpenRecord,
        pace: &mut Pace<'_>,
    ) -> Option<OpenRecord> {
        let route: &'a Route = self.route;
        let (RouteKind::Points(route) | RouteKind::ConvertedPoints(_, route)) = &route.kind else {
            return None;
        };
        while self.next_element(index, record, &mut open, route) {
            if !pace(self.made.bytes()) {
                // The record itself stays open beside what was made of it so far.
                let owed = open.fates.take_owed();
                if owed > 0 {
                    self.made.obligations.push((index, owed.saturating_add(1)));
                }
                return Some(open);
            }
        }
        if let Some(fault) = &open.fault
            && open.fates.sent() + open.fates.buried() == 0
        {
            open.fates.part(PartId::whole(index)).bury();
            self.bury_record(index, record, "script", fault);
        }
        self.conclude(index, &open.fates);
        None
    }

    /// Works on one element of a record; whether there may be another.
    fn next_element(
        &mut self,
        index: u32,
        record: &Record<'_>,
        open: &mut OpenRecord,
        route: &'a PointRoute,
    ) -> bool {
        let value = record.value().unwrap_or_default();
        let mut element = Element {
            index,
            record,
            cut: None,
            lane: open.lane,
        };
        match &mut open.rest {
            Rest::Whole => {
                self.element(&element, value, route, &open.fates);
                false
            }
            Rest::Elements(elements) => {
                let number = elements.number();
                let Some(bytes) = elements.next(value) else {
                    self.witness
                        .note(|| format!("its value is split; elements: {number}"));
                    return false;
                };
                element.cut = route
                    .split
                    .as_ref()
                    .map(|rule| (number, bytes, &rule.format));
                self.element(&element, bytes, route, &open.fates);
                true
            }
            Rest::Points {
                points,
                is_only,
                count,
            } => {
                let Some(point) = points.next() else {
                    let count = *count;
                    self.witness
                        .note(|| format!("its value is converted to points: {count}"));
                    return false;
                };
                *is_only = *count == 0 && points.peek().is_none();
                *count += 1;
                let fault = self.scripted(&element, point, *is_only, route, &open.fates);
                if fault.is_some() {
                    open.fates.part(element.id()).left_out();
                    self.witness.left_out(LeftOut::NoField);
                    open.fault = fault;
                }
                true
            }
        }
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
        // An element has one point, so what is wrong with it is dealt with there.
        self.scripted(element, point, true, route, fates);
    }

    /// A point of an element through its script to items. Where the element has other points, the
    /// caller hears why this one can go nowhere.
    fn scripted(
        &mut self,
        element: &Element<'_>,
        point: Point,
        is_only: bool,
        route: &'a PointRoute,
        fates: &Fates,
    ) -> Option<String> {
        if W::WANTS_DETAILS {
            self.witness.built(&point);
            let script = self.scripts.name_for(&point, &route.scripts);
            self.witness.runs(script.as_deref());
        }
        let spent = || fates.sent() + fates.buried();
        let before = spent();
        let fault = if self.scripts.concerns(route.category) {
            let scripted = self.scripts.run(point, &route.scripts);
            self.witness.ran(&scripted);
            if let Some((script, error)) = &scripted.error {
                self.witness.failed(script.name(), error);
                if self.rules.script_failure == ScriptFailure::DeadLetter {
                    let reason = error.to_string();
                    match &scripted.point {
                        Some(point) if !is_only => {
                            let id = element.id();
                            self.bury_point(element, point, id, &route.outputs, fates, &reason);
                        }
                        _ => self.bury(element, fates, &reason),
                    }
                    return None;
                }
            }
            if scripted.dropped {
                fates.part(element.id()).left_out();
                self.witness.left_out(LeftOut::Script);
            }
            let made = usize::from(scripted.point.is_some()) + scripted.further.len();
            let is_only = is_only && made == 1;
            let mut fault = None;
            let points = scripted.point.into_iter().chain(scripted.further);
            for (number, point) in (0..PartId::ONLY).zip(points) {
                let refused = self.point(element, point, number, is_only, route, fates);
                fault = refused.or(fault);
            }
            fault
        } else {
            self.point(element, point, 0, is_only, route, fates)
        };
        if spent() != before && fault.is_some() {
            // Others of its element went on, and there is nothing of it to send.
            fates.part(element.id()).left_out();
            self.witness.left_out(LeftOut::NoField);
            return None;
        }
        match fault {
            Some(fault) if is_only => {
                self.bury(element, fates, &fault);
                None
            }
            fault => fault,
        }
    }

    /// The last steps of one point, and its encodings. Returns why it can go nowhere, if that is
    /// still to be dealt with.
    fn point(
        &mut self,
        element: &Element<'_>,
        mut point: Point,
        number: u16,
        is_only: bool,
        route: &'a PointRoute,
        fates: &Fates,
    ) -> Option<String> {
        let id = PartId {
            point: number,
            ..element.id()
        };
        let mut corrections = Vec::new();
        let noted = W::WANTS_DETAILS.then_some(&mut corrections);
        let finish = Finish {
            one_line: route.newlines == Newlines::Space,
            ..self.finish
        };
        let mut taken = Vec::new();
        let (refused, fault) = match finish.correct(&mut point, noted) {
            Ok(()) => self.encode(
                element,
                &point,
                id,
                is_only,
                &route.outputs,
                fates,
                &mut taken,
            ),
            Err(Refused::LeftOut(why)) => {
                fates.part(id).left_out();
                self.witness.left_out(why);
                (Some(why.to_string()), None)
            }
            Err(Refused::Fault(reason)) if is_only => (Some(reason.clone()), Some(reason)),
            Err(Refused::Fault(reason)) => {
                self.bury_point(element, &point, id, &route.outputs, fates, &reason);
                (Some(reason), None)
            }
        };
        self.witness.finished(&Finished {
            point: &point,
            corrections: &corrections,
            outputs: &taken,
            refused: refused.as_deref(),
        });
        fault
    }

    /// Encodes a point for every output that takes it. Returns why one cannot have it, and the same
    /// if that is a fault.
    #[expect(
        clippy::too_many_arguments,
        reason = "what names a part, and who hears of it"
    )]
    fn encode(
        &mut self,
        element: &Element<'_>,
        point: &Point,
        id: PartId,
        is_only: bool,
        outputs: &'a [OutputRoute],
        fates: &Fates,
        taken: &mut Vec<&'a OutputRoute>,
    ) -> (Option<String>, Option<String>) {
        let category = point.category();
        let takes = |(_, output): &(u16, &OutputRoute)| output.endpoint(category).is_some();
        let takers = || (0u16..).zip(outputs).filter(takes);
        let id = match is_only && takers().nth(1).is_none() {
            true => PartId {
                point: PartId::ONLY,
                ..id
            },
            false => id,
        };
        let (mut refused, mut asked) = (None, false);
        for (output_number, output) in takers() {
            asked = true;
            let id = PartId {
                output: output_number,
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
            return (Some(format!("no output takes points of {category}")), None);
        }
        (refused.clone(), refused)
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
