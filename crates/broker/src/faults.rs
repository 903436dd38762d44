//! Faults that tests switch on: wrong answers, lost answers, slow answers.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;

/// What happens to a request instead of, or besides, being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out; every error field of the answer holds this code.
    Error(ResponseError),
    /// It is not carried out and the connection is closed.
    Disconnect,
    /// It is carried out, but the connection is closed instead of answering.
    LoseResponse,
    /// It is carried out and answered after this time.
    Delay(Duration),
}

/// The faults that wait for their requests.
#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    latency: Duration,
    queued: HashMap<i16, VecDeque<(Fault, usize)>>,
}

impl Faults {
    /// Every answer is delayed by `latency` from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// The next `times` requests of this kind, after those already spoken for, meet `fault`.
    pub(crate) fn inject(&self, api: ApiKey, fault: Fault, times: usize) {
        if times > 0 {
            self.state
                .lock()
                .queued
                .entry(api as i16)
                .or_default()
                .push_back((fault, times));
        }
    }

    /// Forgets all faults and the latency.
    pub(crate) fn clear(&self) {
        *self.state.lock() = State::default();
    }

    /// The fault for a request that has come in, and the latency of its answer.
    pub(crate) fn next(&self, api: i16) -> (Option<Fault>, Duration) {
        let mut state = self.state.lock();
        let latency = state.latency;
        let Some(queue) = state.queued.get_mut(&api) else {
            return (None, latency);
        };
        let Some((fault, left)) = queue.front_mut() else {
            return (None, latency);
        };
        let fault = *fault;
        *left -= 1;
        if *left == 0 {
            queue.pop_front();
        }
        (Some(fault), latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_met_in_order_and_used_up() {
        let faults = Faults::default();
        let code = Fault::Error(ResponseError::IllegalGeneration);
        faults.inject(ApiKey::OffsetCommit, code, 2);
        faults.inject(ApiKey::OffsetCommit, Fault::Disconnect, 1);
        let met = || faults.next(ApiKey::OffsetCommit as i16).0;
        assert_eq!(
            [met(), met(), met(), met()],
            [Some(code), Some(code), Some(Fault::Disconnect), None]
        );
        assert_eq!(faults.next(ApiKey::Fetch as i16), (None, Duration::ZERO));
    }
}
