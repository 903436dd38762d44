//! What is looked at every second.

use super::*;

impl World<'_> {
    /// Whether a member calls itself ready over a partition that is stuck.
    pub(super) fn honesty(&mut self) {
        let now = self.core.now();
        for seat in &mut self.seats {
            let Some(member) = &mut seat.member else {
                continue;
            };
            let session = member.poll.session;
            let (seen, is_ready) = member.look(&mut self.core);
            for one in seen {
                let source = &one.source;
                let arrived = self.core.oracle.arrivals.get(source).copied().unwrap_or(0);
                let position = one.position.unwrap_or(-1);
                let high = self
                    .core
                    .cluster
                    .partition(source)
                    .map_or(0, |log| log.high);
                let owns = session.is_some() && self.core.group.owner(source) == session;
                let entry = self.still.entry(source.clone()).or_insert((position, now));
                if entry.0 != position || !owns || position >= high || arrived > entry.1 {
                    *entry = (position, now);
                    continue;
                }
                let excused = match one.why {
                    Some(Blocked::NoBrokers | Blocked::Paused | Blocked::RateLimit) => true,
                    // It waits its turn: what it waits for moves.
                    Some(Blocked::InFlight(_)) => now - self.core.oracle.arrived_at < LIE_AFTER,
                    _ => false,
                };
                if excused || !is_ready {
                    // Only from now on it may be said to stand still and be ready, without a cause.
                    entry.1 = now;
                }
                if now - entry.1 > LIE_AFTER {
                    let seat = member.process.seat;
                    let since = shown(now - entry.1);
                    let outputs = member.outputs(&self.core);
                    let client = member.poll.client.shown(source);
                    let client = format!("{client}; {:?}", member.busy());
                    let why = one
                        .why
                        .map_or_else(|| "nothing".to_owned(), |why| why.to_string());
                    self.core.oracle.breaks(5, now, || {
                        format!(
                            "member {seat} is ready, and {source} stands at {position} of {high} for \
                             {since} (shown: {why}; outputs: {outputs}; {client})"
                        )
                    });
                }
            }
        }
    }

    pub(super) fn memory(&mut self) {
        let now = self.core.now();
        let knobs = &self.core.knobs;
        // Half of the limit, and beyond full accounts what one record of each topic and a portion of
        // each partition take.
        let partitions: usize = self
            .names
            .iter()
            .filter_map(|name| self.core.cluster.topic(name))
            .map(|log| log.partitions.len())
            .sum();
        let share =
            kafkamq_source::supervision::partition_bytes(knobs.memory as u64 / 4, partitions);
        let bound =
            knobs.memory / 2 + partitions * (3 * share + (64 << 10)) + knobs.topics * (1 << 20);
        for seat in &self.seats {
            if let Some(member) = &seat.member
                && member.memory.peak() > bound
            {
                let peak = member.memory.peak();
                self.core.oracle.breaks(4, now, || {
                    format!("{peak} bytes were charged, {bound} may be")
                });
            }
        }
    }

    /// What is not done yet, in words.
    pub(super) fn unfinished(&self) -> Option<String> {
        if !self.core.group.is_stable() {
            return Some("the group rebalances".to_owned());
        }
        for source in self.core.cluster.sources() {
            let (Some(log), Some(topic)) = (
                self.core.cluster.partition(&source),
                self.core.cluster.topic(&source.topic),
            ) else {
                continue;
            };
            if let Some((offset, what)) = self.core.oracle.missing(log) {
                let busy = self
                    .busy()
                    .unwrap_or_else(|| "all members are idle".to_owned());
                return Some(format!(
                    "of the record at {offset} of {source} {what}; {busy}"
                ));
            }
            let committed = self.core.cluster.committed.get(&source);
            let own = committed
                .and_then(|one| Memo::parse(&one.memo))
                .and_then(|memo| memo.log);
            if self.core.knobs.tells_ids && own != topic.id() {
                return Some(format!("nothing is committed for the log of {source}"));
            }
            let offset = committed.map_or(-1, |one| one.offset);
            if offset < log.high {
                let busy = self
                    .busy()
                    .unwrap_or_else(|| "all members are idle".to_owned());
                let high = log.high;
                return Some(format!(
                    "{source} is committed to {offset} of {high}; {busy}"
                ));
            }
        }
        self.busy()
    }

    fn busy(&self) -> Option<String> {
        let members = self.seats.iter().map(|seat| match &seat.member {
            None => Some("a member is down".to_owned()),
            Some(member) => member.busy(),
        });
        members.flatten().next()
    }
}
