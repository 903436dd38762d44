//! The threads that actors run on, and how many there are of each.

use std::cell::Cell;
use std::ffi::CString;

use actix::{Arbiter, ArbiterHandle};

/// Threads for scripts that wait for answers from outside.
const WAITING: usize = 4;

/// The threads that actors run on.
pub(super) struct Threads {
    pub(super) stream: ArbiterHandle,
    pub(super) parse: Vec<ArbiterHandle>,
    /// For topics whose scripts wait for answers from outside, so that no other topic waits too.
    pub(super) waiting: Vec<ArbiterHandle>,
    /// Each destination has one of these for its queue and its connections; they take turns.
    forward: Vec<ArbiterHandle>,
    forwarders: Cell<usize>,
    pub(super) dead_letter: ArbiterHandle,
    pub(super) owned: Vec<Arbiter>,
}

impl Threads {
    /// The thread for the next destination.
    pub(super) fn next_forward(&self) -> Option<&ArbiterHandle> {
        let turn = self.forwarders.get();
        self.forwarders.set(turn.wrapping_add(1));
        self.forward.get(turn % self.forward.len().max(1))
    }

    /// Starts those for scripts that wait, unless they run. Where no script may ask other hosts they
    /// would only take descriptors.
    pub(super) fn start_waiting(&mut self) {
        if self.waiting.is_empty() {
            let owned = &mut self.owned;
            self.waiting = (0..WAITING)
                .map(|number| start(owned, format!("wait-{number}")))
                .collect();
        }
    }

    /// Starts them, `parsers` of them to run scripts.
    pub(super) fn start(parsers: usize) -> Self {
        let mut owned = Vec::new();
        let mut start = |name: String| start(&mut owned, name);
        Self {
            stream: start("stream".to_owned()),
            parse: (0..parsers.max(1))
                .map(|number| start(format!("parse-{number}")))
                .collect(),
            waiting: Vec::new(),
            forward: (0..forwarding(parsers))
                .map(|number| start(format!("forward-{number}")))
                .collect(),
            forwarders: Cell::default(),
            dead_letter: start("dead-letter".to_owned()),
            owned,
        }
    }
}

fn start(owned: &mut Vec<Arbiter>, name: String) -> ArbiterHandle {
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || {
        // For `top -H` and profilers; without a name it works as well.
        let _named = rustix::thread::set_name(&CString::new(name).unwrap_or_default());
    });
    let handle = arbiter.handle();
    owned.push(arbiter);
    handle
}

/// Threads for destinations beside so many parsers. On small machines one keeps up with all of
/// them; on large ones a destination that is busy must not slow the others down.
fn forwarding(parsers: usize) -> usize {
    const MOST: usize = 4;
    (parsers / 2).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::forwarding;

    #[test]
    fn small_machines_forward_on_one_thread_and_large_ones_on_four() {
        let threads = [1, 2, 4, 8, 16, 64].map(forwarding);
        assert_eq!(threads, [1, 1, 2, 4, 4, 4]);
    }
}
