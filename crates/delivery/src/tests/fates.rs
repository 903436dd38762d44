//! An owner of items that notes what became of them.

use bytes::Bytes;

use crate::answer::Answer;
use crate::delivery::{Rejection, Settle};
use crate::lanes::{Item, RequestPart};

/// What became of the items of a destination.
#[derive(Default)]
pub(crate) struct Fates {
    /// The bytes of each settled item, and whether it was delivered, in order.
    pub(crate) settled: Vec<(Bytes, bool)>,
    /// Why some were not delivered, once a request.
    pub(crate) rejections: Vec<Rejection>,
}

impl Fates {
    pub(crate) fn delivered(&self) -> usize {
        self.settled
            .iter()
            .filter(|(_, delivered)| *delivered)
            .count()
    }

    pub(crate) fn rejected(&self) -> Vec<&Bytes> {
        let rejected = self.settled.iter().filter(|(_, delivered)| !delivered);
        rejected.map(|(body, _)| body).collect()
    }

    fn settle(&mut self, items: &[Item], delivered: bool) {
        let bodies = items.iter().map(|item| item.body.clone());
        self.settled.extend(bodies.map(|body| (body, delivered)));
    }
}

impl Settle<u64> for Fates {
    fn read_answer(
        &mut self,
        _: Answer,
        _: &mut dyn Iterator<Item = RequestPart<'_, u64>>,
    ) -> bool {
        false
    }

    fn partially_accepted(&mut self, _: u64, _: &str) {}

    fn delivered(&mut self, _: &mut u64, items: &[Item], _: bool) {
        self.settle(items, true);
    }

    fn rejected(&mut self, _: &mut u64, items: &[Item], rejection: &Rejection) {
        self.rejections.push(rejection.clone());
        self.settle(items, false);
    }

    fn dropped(&mut self, _: &mut u64, _: &[Item]) {
        unreachable!("no endpoint of these tests has a rule that drops");
    }
}
