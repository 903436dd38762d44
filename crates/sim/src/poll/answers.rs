//! What the poll thread asks brokers, and what it does with their answers.

use super::*;

impl Poll {
    /// Sends the commit that is due, if one is.
    pub(crate) fn send_due(&mut self, core: &mut Core) {
        let now = core.clock.now();
        let Some(list) = self.commits.due(now) else {
            return;
        };
        let Some(session) = self.session else {
            self.commits.not_sent(now, list.id, "no member");
            return;
        };
        let entries = self.through(list.entries, core);
        let commit = Event::Commit {
            process: self.process,
            session,
            entries,
            last: None,
        };
        core.tell_coordinator(self.process, commit);
    }

    /// What the client makes of a list.
    pub(super) fn through(&mut self, entries: Vec<CommitEntry>, core: &Core) -> Vec<CommitEntry> {
        if !core.has(Bug::StepBackIgnored) {
            return entries;
        }
        let larger = |entry: &CommitEntry| {
            let highest = self.highest.entry(entry.source.clone()).or_insert(-1);
            let next = entry.position.next.0;
            let is_larger = next > *highest;
            *highest = next.max(*highest);
            is_larger
        };
        entries.into_iter().filter(larger).collect()
    }

    pub(super) fn committed(&mut self, results: &[CommitResult], core: &mut Core) {
        let now = core.clock.now();
        let confirmed = match core.has(Bug::RefusedIsConfirmed) {
            false => self.commits.answered(now, results),
            true => {
                let taken = results.iter().cloned().map(|result| CommitResult {
                    refused: None,
                    ..result
                });
                let taken: Vec<_> = taken.collect();
                self.commits.answered(now, &taken)
            }
        };
        if !confirmed.is_empty() {
            self.effects.push(Effect::Committed(confirmed));
        }
        self.send_due(core);
    }

    pub(super) fn answered(&mut self, answer: Answer, core: &mut Core) {
        let now = core.clock.now();
        match answer {
            Answer::Positions(answers) => {
                for (wanted, found) in answers {
                    self.position(&wanted, found, core);
                }
            }
            Answer::Topics(topics) => {
                self.is_looking = false;
                for (topic, log) in topics {
                    let replaced = self.positions.described(now, &topic, log);
                    if !replaced.is_empty() {
                        core.trace.say(core.clock.micros(), || {
                            format!("member {} sees a new log of {topic}", self.process.seat)
                        });
                        self.commits.end(&replaced);
                    }
                }
            }
        }
    }

    pub(super) fn position(
        &mut self,
        wanted: &Wanted,
        found: Result<Found, NotFound>,
        core: &mut Core,
    ) {
        let now = core.clock.now();
        let source = &wanted.source;
        let found = match found {
            Ok(found) => found,
            Err(NotFound::Failed(why)) => {
                *self.failures.entry(source.clone()).or_default() += 1;
                return self.positions.failed(now, wanted, why);
            }
            Err(NotFound::Stopped(why)) => return self.positions.stopped(now, wanted, why),
        };
        if !self.positions.found(wanted, found.log) {
            return;
        }
        let lease = found.new_lease.then(|| {
            let generation = self.next_generation();
            let start = (found.start, found.memo);
            self.commits
                .begin(now, source.clone(), generation, start, found.known)
        });
        core.trace.say(core.clock.micros(), || {
            let seat = self.process.seat;
            let next = found.start.next.0;
            format!(
                "member {seat} reads {source} from {next}: {} ({:?})",
                found.why, wanted.sought
            )
        });
        let placement = Placement {
            start: found.start,
            lease,
            why: found.why,
        };
        let placed = Effect::Placed(source.clone(), wanted.generation, placement);
        self.effects.push(placed);
    }

    pub(super) fn fetch(&mut self, core: &mut Core) {
        core.poll_in(self.process, PollMail::Fetch, FETCH_INTERVAL);
        if core.are_brokers_away() {
            return;
        }
        let woken = self.client.fetch(&core.cluster, core.knobs.fetch_records);
        let missed = core.weather.wakes_missed > core.now();
        if !woken.is_empty() && !missed {
            self.effects.push(Effect::Woken(woken));
        }
    }
}
