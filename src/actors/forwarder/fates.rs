//! What is done with items whose fate is decided: records are settled, dead letters written, answers
//! read, and everything counted.

use std::sync::Arc;

use kafkamq_delivery::answer::Answer;
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::delivery::{Rejection, Settle};
use kafkamq_delivery::lanes::{Item, RequestPart};
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_record::Outcome;

use crate::actors::consignment::Consignment;
use crate::actors::directory::Directory;
use crate::actors::messages::{ParseAnswer, WriteDeadLetter};
use crate::metrics::DestinationMetrics;
use kafkamq_conversion::Cause;
use kafkamq_conversion::answer_category;
use kafkamq_conversion::route::{DestinationId, HandleRoute, RouteKind};

/// The fates that one outcome decides.
pub(super) struct Fates<'a> {
    metrics: &'a DestinationMetrics,
    destination: &'a DestinationId,
    buried: Vec<WriteDeadLetter>,
    answer: Option<ParseAnswer>,
}

impl<'a> Fates<'a> {
    pub(super) const fn new(
        metrics: &'a DestinationMetrics,
        destination: &'a DestinationId,
    ) -> Self {
        Self {
            metrics,
            destination,
            buried: Vec::new(),
            answer: None,
        }
    }

    /// Sends what others have to do.
    pub(super) fn tell(self, directory: &Directory) {
        if let Some(message) = self.answer {
            let parser = message
                .asked
                .first()
                .and_then(|(consignment, record)| consignment.record(*record))
                .and_then(|(batch, _)| {
                    let waits = directory.load().rules.waits(&message.route);
                    directory.parser(batch.source(), waits)
                });
            if let Some(parser) = parser {
                parser.do_send(message);
            }
        }
        if !self.buried.is_empty() {
            let addresses = directory.load();
            for message in self.buried {
                addresses.dead_letter.do_send(message);
            }
        }
    }
}

impl Settle<Consignment> for Fates<'_> {
    /// If the answer of a handle is to be read for points, its records are settled with those; until
    /// then their shares travel in the message.
    fn read_answer(
        &mut self,
        answer: Answer,
        parts: &mut dyn Iterator<Item = RequestPart<'_, Consignment>>,
    ) -> bool {
        let Some(first) = parts.next() else {
            return false;
        };
        let Some(route) = first.payload.route().map(Arc::clone) else {
            return false;
        };
        let RouteKind::Handle(HandleRoute {
            answers: Some(_), ..
        }) = &route.kind
        else {
            return false;
        };
        let mut asked = Vec::new();
        for part in std::iter::once(first).chain(parts) {
            for item in part.items {
                asked.push((part.payload.share(), item.record));
            }
        }
        let header = |name: &str| {
            answer
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        self.answer = Some(ParseAnswer {
            category: answer_category(header("x-category")),
            content_type: header("content-type").map(str::to_owned),
            body: answer.body,
            route,
            asked,
        });
        true
    }

    fn partially_accepted(&mut self, rejected: u64, message: &str) {
        self.metrics.partial_rejections.inc_by(rejected);
        tracing::warn!(destination = %self.destination, rejected, message, "partial success");
    }

    fn delivered(&mut self, consignment: &mut Consignment, items: &[Item], later: bool) {
        self.metrics.delivered.inc_by(items.len() as u64);
        if !later {
            let records = items.iter().map(|item| item.record);
            consignment.settle_all(records, Outcome::Delivered);
        }
    }

    fn rejected(&mut self, consignment: &mut Consignment, items: &[Item], rejection: &Rejection) {
        self.metrics.rejected.inc_by(items.len() as u64);
        let reason = &rejection.reason;
        if consignment.is_unattached() {
            self.metrics.dropped("refused", items.len());
            tracing::warn!(
                destination = %self.destination, %reason, items = items.len(),
                "points that belong to no record are refused and dropped"
            );
            return;
        }
        let text = reason.to_string();
        let cause = Cause {
            stage: "deliver",
            reason: &text,
            time_ms: SystemClock.now_ns() / 1_000_000,
        };
        let (letters, records) = items
            .iter()
            .filter_map(|item| {
                let letter = consignment.letter(item.record, &item.body, cause)?;
                let letter = DeadLetter {
                    status: reason.status,
                    attempts: rejection.attempts,
                    ..letter
                };
                Some((letter, item.record))
            })
            .unzip();
        self.buried.push(WriteDeadLetter {
            letters,
            records,
            consignment: consignment.share(),
        });
    }

    fn dropped(&mut self, consignment: &mut Consignment, items: &[Item]) {
        self.metrics.rejected.inc_by(items.len() as u64);
        for item in items {
            consignment.settle(item.record, Outcome::DroppedByStatus);
        }
    }
}
