//! Routes that convert what a record holds.

use super::work::{Made, Work};
use crate::metrics::Outcome;
use crate::parse::PointConversion;
use crate::routing::{PointRoute, TranscodeRoute};
use kafkamq_delivery::lanes::Item;
use kafkamq_record::Record;

/// The stage that dead letters name.
const STAGE: &str = "transcode";

impl<'a> Work<'a> {
    /// One value to one request in the form that the receiver takes.
    pub(super) fn transcode(&mut self, index: u32, record: &Record<'_>, route: &'a TranscodeRoute) {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            // Agents do send them, and no other form says "nothing".
            self.consignment.settle(index, Outcome::SkippedEmpty);
            return;
        }
        let (form, body) = match route.conversion.convert(record.key(), &value) {
            Ok(converted) => converted,
            Err(error) => {
                self.bury(index, record, STAGE, &error.to_string());
                return;
            }
        };
        let Some(target) = route.target(form) else {
            self.bury(index, record, STAGE, &format!("no address for {form:?}"));
            return;
        };
        let body = match body.as_ptr() == value.as_ptr() {
            true => body,
            false => {
                let made = &self.share.accounts().made;
                made.charge_beyond(body.len()).keep(body)
            }
        };
        let lane = self.lane(record);
        let item = Item {
            record: index,
            body,
        };
        self.push(&target.destination, &target.endpoint, lane, item);
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
            self.consignment.settle(index, Outcome::SkippedEmpty);
            return;
        }
        let points = match conversion.points(&value, self.now_ns) {
            Ok(points) => points,
            Err(error) => {
                self.bury(index, record, STAGE, &error.to_string());
                return;
            }
        };
        let lane = self.lane(record);
        let mut made = Made::default();
        for point in points {
            self.scripted(index, point, route, lane, &mut made);
        }
        self.conclude(index, record, made);
    }
}
