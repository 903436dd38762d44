//! The writer of dead letters: drives `Burial`, on a disk that tears what was not synced.

use kafkamq_delivery::burial::{Burial, Letters};

use crate::bugs::Bug;
use crate::core::Core;
use crate::mail::{Bury, Message, Place, Process};
use crate::time::MILLI;

impl Letters for Bury {
    fn count(&self) -> usize {
        self.letters.len()
    }

    fn is_cancelled(&self) -> bool {
        self.consignment.is_cancelled()
    }
}

/// The writer of one process.
pub(crate) struct Writer {
    process: Process,
    life: u32,
    burial: Burial<Bury>,
    /// What is on its way to the disk.
    writing: Vec<Bury>,
    timer: bool,
}

impl Writer {
    pub(crate) fn new(process: Process, life: u32, core: &mut Core) -> Self {
        Self {
            process,
            life,
            burial: Burial::new(fastrand::Rng::with_seed(core.rng.u64(..))),
            writing: Vec::new(),
            timer: false,
        }
    }

    pub(crate) fn handle(&mut self, message: Message, core: &mut Core) {
        match message {
            Message::Bury(bury) => self.burial.push(bury),
            Message::PumpLetters => self.timer = false,
            Message::Synced => self.synced(core),
            _ => {}
        }
        self.pump(core);
    }

    fn place(&self) -> Place {
        Place::Letters(self.life)
    }

    fn pump(&mut self, core: &mut Core) {
        let now = core.clock.now();
        if self.writing.is_empty() {
            let jobs = self.burial.next(now, 1);
            if !jobs.is_empty() {
                self.write(jobs, core);
            }
        }
        if let Some(at) = self.burial.wake_at(now)
            && !std::mem::replace(&mut self.timer, true)
        {
            let at = core.clock.of(at).max(core.now() + 1);
            core.timer(self.process, self.place(), Message::PumpLetters, at);
        }
    }

    fn write(&mut self, jobs: Vec<Bury>, core: &mut Core) {
        if core.has(Bug::LetterNotSynced) {
            for bury in &jobs {
                settle(bury);
            }
        }
        self.writing = jobs;
        let wait = MILLI + core.draw(50 * MILLI);
        let at = core.now() + wait;
        core.timer(self.process, self.place(), Message::Synced, at);
    }

    /// The disk has what was written, or it failed.
    fn synced(&mut self, core: &mut Core) {
        let jobs = std::mem::take(&mut self.writing);
        let now = core.clock.now();
        let is_full = core.weather.disk_full.get(self.process.seat);
        if is_full.is_some_and(|until| *until > core.now()) {
            if core.has(Bug::LetterLost) {
                for bury in &jobs {
                    settle(bury);
                }
                self.burial.finished(now, Vec::new(), None);
                return;
            }
            self.burial
                .finished(now, jobs, Some("the disk is full".to_owned()));
            return;
        }
        for bury in &jobs {
            for letter in &bury.letters {
                core.oracle.buried(core.clock.micros(), letter);
            }
            if !core.has(Bug::LetterNotSynced) {
                settle(bury);
            }
        }
        self.burial.finished(now, Vec::new(), None);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.burial.trouble().is_some()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.burial.open() == 0
    }
}

fn settle(bury: &Bury) {
    bury.consignment
        .share
        .settle_all(bury.records.iter().copied());
}
