//! What a choice does to the world.

use super::*;

impl World<'_> {
    pub(super) fn act(&mut self, act: &Act) {
        let now = self.core.now();
        let until = |lasts: &Micros| now + lasts;
        match act {
            Act::Produce {
                topic,
                partition,
                count,
                seed,
            } => self.produce(*topic, *partition, *count, *seed),
            Act::Gap { topic, partition } => {
                if let Some(source) = self.source(*topic, *partition)
                    && let Some(log) = self.core.cluster.partition_mut(&source)
                {
                    log.append(u64::MAX, self.core.clock.wall_ms(), None, None);
                    log.skip(now.cast_signed() % 3);
                }
            }
            Act::Crash { seat, down } => self.crash(*seat, *down),
            Act::Stop { seat, down } => {
                if let Some(seat) = self.seats.get_mut(*seat)
                    && let Some(member) = &seat.member
                {
                    seat.down = *down;
                    self.core.poll_in(member.process, PollMail::Stop, 0);
                }
            }
            Act::Dies { seat, part, which } => {
                let member = self
                    .seats
                    .get_mut(*seat)
                    .and_then(|seat| seat.member.as_mut());
                if let Some(member) = member {
                    member.dies(*part, *which, &mut self.core);
                }
            }
            Act::Lose { seat } => self.lose(*seat),
            Act::Rebalance => {
                self.core.group.want();
                self.core.at(now, Event::Group);
            }
            Act::Recreate {
                topic,
                away,
                forget,
                records,
                seed,
            } => {
                if let Some(name) = self.names.get(*topic).cloned() {
                    self.pass_over(&name);
                    self.core.oracle.made_again.insert(Arc::clone(&name));
                    self.core.cluster.delete(&name, *forget);
                    let again = Event::Recreated {
                        topic: *topic,
                        records: *records,
                        seed: *seed,
                    };
                    self.core.at(now + away, again);
                }
            }
            Act::Truncate {
                topic,
                partition,
                by,
            } => self.truncate(*topic, *partition, *by),
            Act::Remove {
                topic,
                partition,
                keep,
            } => {
                if let Some(source) = self.source(*topic, *partition) {
                    self.pass_over(&source.topic.clone());
                    if let Some(log) = self.core.cluster.partition_mut(&source) {
                        log.remove_below(log.high - keep);
                        self.core.oracle.removed(&source, log.low);
                    }
                }
            }
            Act::Grow { topic } => {
                if let Some(name) = self.names.get(*topic) {
                    self.core.cluster.grow(name, 1);
                }
            }
            Act::CommitsLost { lasts } => self.core.weather.commits_lost = until(lasts),
            Act::CommitsRefused { lasts } => self.core.weather.commits_refused = until(lasts),
            Act::CoordinatorAway { lasts } => self.core.weather.coordinator_away = until(lasts),
            Act::CommittedSlow { lasts } => self.core.weather.committed_slow = until(lasts),
            Act::BrokersAway { lasts } => self.core.weather.brokers_away = until(lasts),
            Act::WakesMissed { lasts } => self.core.weather.wakes_missed = until(lasts),
            Act::StatisticsStale { lasts } => self.core.weather.statistics_stale = until(lasts),
            Act::QueueError { topic, partition } => {
                if let Some(source) = self.source(*topic, *partition) {
                    for seat in &mut self.seats {
                        if let Some(member) = &mut seat.member {
                            member
                                .poll
                                .client
                                .fail(&source, "topic authorization failed");
                        }
                    }
                }
            }
            Act::Receiver {
                output,
                mood,
                lasts,
            } => self.mood(*output, *mood, until(lasts)),
            Act::DiskFull { seat, lasts } => {
                if let Some(full) = self.core.weather.disk_full.get_mut(*seat) {
                    *full = until(lasts);
                }
            }
        }
    }

    fn mood(&mut self, output: usize, mood: Mood, until: Micros) {
        if let Some(receiver) = self.core.receivers.get_mut(output) {
            receiver.set(mood, until);
        }
    }

    /// The partition of this number, or another where there are fewer.
    fn source(&self, topic: usize, partition: usize) -> Option<TopicPartition> {
        let name = self.names.get(topic)?;
        let count = self.core.cluster.topic(name)?.partitions.len();
        let partition = i32::try_from(partition % count.max(1)).ok()?;
        Some(TopicPartition::new(Arc::clone(name), partition))
    }

    fn produce(&mut self, topic: usize, partition: usize, count: u16, seed: u64) {
        let Some(source) = self.source(topic, partition) else {
            return;
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..count {
            self.write(topic, &source, &mut rng);
        }
    }

    fn write(&mut self, topic: usize, source: &TopicPartition, rng: &mut fastrand::Rng) {
        let id = self.core.oracle.next_id();
        let time = self.core.clock.wall_ms();
        let (stated, key, value) = match self.scene.record(topic, rng.u64(..)) {
            Some(Sample { key, value }) => (None, key, value),
            None => {
                let stated = stated(id, self.case, &self.core.knobs, rng);
                let value = stated.encode();
                (Some(stated), None, value)
            }
        };
        let now = self.core.now();
        let is_excused = self
            .excused
            .get(&source.topic)
            .is_some_and(|until| now < *until);
        let number = self
            .core
            .cluster
            .topic(&source.topic)
            .map_or(0, |log| log.number);
        let looked = self.looked.get(&(Arc::clone(&source.topic), number));
        let looked = looked.is_some_and(|at| *at + FIRST_LOOK < now);
        let is_excused = is_excused || self.may_be_passed_over(source);
        let is_required = !is_excused && (!self.core.knobs.newest || looked);
        let Some(log) = self.core.cluster.partition_mut(source) else {
            return;
        };
        let key = key.map(Arc::from);
        let offset = log.append(id, time, key, Some(value.into()));
        self.core
            .oracle
            .produced(source, number, offset, time, stated, is_required);
    }

    /// Whether records were removed behind what is committed, so that who finds that out goes on at the newest
    /// record by the user's wish.
    fn may_be_passed_over(&self, source: &TopicPartition) -> bool {
        let committed = self.core.cluster.committed.get(source);
        let log = self.core.cluster.partition(source);
        let is_behind = committed
            .zip(log)
            .is_some_and(|(own, log)| own.offset < log.low);
        self.core.knobs.resets_to_newest && is_behind
    }

    fn crash(&mut self, index: usize, down: Micros) {
        let lives = self
            .seats
            .get(index)
            .is_some_and(|seat| seat.member.is_some());
        if lives {
            self.end_member(index);
            let at = self.core.now() + down;
            self.core.at(at, Event::Start(index));
        }
    }

    /// The coordinator gives a member up, which hears of it later.
    fn lose(&mut self, index: usize) {
        let member = self.seats.get(index).and_then(|seat| seat.member.as_ref());
        let Some((process, session)) =
            member.and_then(|one| Some((one.process, one.poll.session?)))
        else {
            return;
        };
        self.core.group.remove(session);
        let now = self.core.now();
        self.core.at(now, Event::Group);
        let wait = self.core.rng.u64(100 * MILLI..5 * SECOND);
        let mail = Message::Poll(PollMail::SessionLost(session));
        self.core
            .send_in(process, Place::Brokers, Place::Poll, mail, wait);
    }

    pub(super) fn recreated(&mut self, topic: usize, records: u16, seed: u64) {
        let Some(name) = self.names.get(topic).cloned() else {
            return;
        };
        let partitions = self.core.knobs.partitions;
        self.core.cluster.create(&name, partitions);
        for partition in 0..partitions {
            self.produce(topic, partition, records, seed ^ partition as u64);
        }
    }

    fn truncate(&mut self, topic: usize, partition: usize, by: i64) {
        let Some(source) = self.source(topic, partition) else {
            return;
        };
        self.pass_over(&source.topic.clone());
        if let Some(log) = self.core.cluster.partition_mut(&source) {
            let end = log.high - by;
            log.truncate(end);
            let end = log.high;
            self.core.oracle.truncated(&source, end);
        }
    }

    /// Where the newest records are wanted after an offset went out of range, others may be passed over.
    fn pass_over(&mut self, name: &Arc<str>) {
        if !self.core.knobs.resets_to_newest {
            return;
        }
        let until = self.core.now() + PASSED_OVER;
        self.excused.insert(Arc::clone(name), until);
        for source in self.core.cluster.sources() {
            if source.topic == *name {
                self.core.oracle.excuse(&source);
            }
        }
    }
}

/// A record that states its fates.
fn stated(id: u64, case: &Case, knobs: &crate::case::Knobs, rng: &mut fastrand::Rng) -> Stated {
    let poison = case.poison;
    let fate = |rng: &mut fastrand::Rng| match rng.u8(..100) {
        0..3 if poison => Fate::Clear,
        3..5 if poison => Fate::Unclear,
        5..9 if poison => Fate::Poison,
        9..15 => Fate::TooOld,
        15..22 => Fate::Dropped,
        _ => Fate::Sent,
    };
    let form = match rng.u8(..100) {
        0 if case.deadly => Form::Deadly,
        0..60 => Form::Whole,
        _ => Form::Split,
    };
    let count = match form {
        Form::Split => rng.usize(1..=6),
        _ => 1,
    };
    Stated {
        id,
        form,
        lane: rng.u8(..knobs.lanes.max(1)),
        elements: (0..count).map(|_| (fate(rng), rng.u8(1..=3))).collect(),
        padding: match knobs.record_padding {
            0 => 0,
            most => rng.usize(..most),
        },
    }
}
