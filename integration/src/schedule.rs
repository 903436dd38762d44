//! Which faults a run meets, and when: decided by its seed alone, before it begins.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::cluster::NODES;
use crate::proxy::Weather;

/// How the group of a run shares its partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All partitions are given up and given out again (`range`).
    Eager,
    /// Only those that move are given up (`cooperative-sticky`).
    Cooperative,
    /// By the brokers (KIP-848).
    Brokers,
}

impl Sharing {
    /// Lines of the input.
    #[must_use]
    pub const fn lines(self) -> &'static str {
        match self {
            Self::Eager => "assignor = \"range\"",
            Self::Cooperative => "assignor = \"cooperative-sticky\"",
            Self::Brokers => "group_protocol = \"consumer\"",
        }
    }
}

/// How a configuration is changed while records flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The whole document over HTTP.
    Put,
    /// A part of it over HTTP.
    Patch,
    /// The files are read again.
    Hangup,
}

/// What happens to the service, the brokers or the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `kill -9`, and a new process.
    Kill,
    /// SIGTERM, and a new process.
    Terminate,
    /// SIGSTOP for longer than the session, then SIGCONT.
    Pause(Duration),
    /// A broker is killed and comes back.
    KillBroker(usize, Duration),
    /// A broker stops in order and comes back.
    RestartBroker(usize),
    /// Another broker leads partition 0 of a topic.
    MoveLeader(usize, usize),
    /// Another broker coordinates the group.
    MoveCoordinator(usize),
    /// A topic is deleted and made again.
    Recreate(usize),
    /// The records of a topic are deleted.
    Truncate(usize),
    /// A topic gets more partitions.
    Grow(usize),
    /// A second member joins and leaves, killed or in order.
    SecondMember {
        /// Whether it is killed.
        killed: bool,
    },
    /// The disk of the dead letters is full for a while, and there are dead letters.
    FullDisk,
    /// The configuration changes.
    Reload(Change),
}

/// What happens on the way at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Between the service and its receivers.
    Receivers(Weather, Duration),
    /// Between the service and a broker, or all.
    Brokers(Option<usize>, Weather, Duration),
    /// Connections to receivers and brokers are reset once.
    Cut,
    /// Receivers answer with this status, one request in so many.
    Refusals(u16, u32, Duration),
}

/// One step: while records flow, after this share of its records in thousandths, this happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub after: u64,
    /// What happens.
    pub event: Event,
    /// What happens on the way meanwhile.
    pub trouble: Trouble,
}

/// All of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it follows from.
    pub seed: u64,
    /// How the group shares its partitions out.
    pub sharing: Sharing,
    /// Lanes of each partition.
    pub lanes: u32,
    /// In order.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// The schedule of a seed, for so many steps and topics. No kind of event comes twice before all
    /// have come once.
    #[must_use]
    pub fn of(seed: u64, steps: usize, topics: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sharing = match seed % 3 {
            0 => Sharing::Eager,
            1 => Sharing::Cooperative,
            _ => Sharing::Brokers,
        };
        let lanes = if rng.bool() { 1 } else { 4 };
        let mut deck = Vec::new();
        let steps = (0..steps)
            .map(|_| {
                if deck.is_empty() {
                    deck = events(&mut rng, topics);
                    rng.shuffle(&mut deck);
                }
                Step {
                    after: rng.u64(50..800),
                    event: deck.pop().unwrap_or(Event::Kill),
                    trouble: trouble(&mut rng),
                }
            })
            .collect();
        Self {
            seed,
            sharing,
            lanes,
            steps,
        }
    }
}

/// One event of each kind.
fn events(rng: &mut Rng, topics: usize) -> Vec<Event> {
    let change = [Change::Put, Change::Patch, Change::Hangup];
    vec![
        Event::Kill,
        Event::Terminate,
        Event::Pause(Duration::from_millis(rng.u64(4_000..6_000))),
        Event::KillBroker(
            rng.usize(0..NODES),
            Duration::from_millis(rng.u64(500..4_000)),
        ),
        Event::RestartBroker(rng.usize(0..NODES)),
        Event::MoveLeader(rng.usize(0..topics), rng.usize(0..NODES)),
        Event::MoveCoordinator(rng.usize(0..NODES)),
        Event::Recreate(rng.usize(0..topics)),
        Event::Truncate(rng.usize(0..topics)),
        Event::Grow(rng.usize(0..topics)),
        Event::SecondMember { killed: false },
        Event::SecondMember { killed: true },
        Event::FullDisk,
        Event::Reload(rng.choice(change).unwrap_or(Change::Put)),
    ]
}

fn trouble(rng: &mut Rng) -> Trouble {
    let time = Duration::from_millis(rng.u64(500..4_000));
    let weather = match rng.u32(0..6) {
        0 => Weather::Down,
        1 => Weather::Stalled,
        2 => Weather::Slow(Duration::from_millis(rng.u64(1..40))),
        3 => Weather::LosesRequests(rng.u32(5..60)),
        4 => Weather::LosesAnswers(rng.u32(5..60)),
        _ => Weather::ResetsAfterAnswers(rng.u32(5..60)),
    };
    match rng.u32(0..8) {
        0 => Trouble::None,
        1 => Trouble::Cut,
        2 => {
            let status = rng.choice([429, 500, 502, 503]).unwrap_or(503);
            Trouble::Refusals(status, rng.u32(1..5), time)
        }
        3 | 4 => {
            let node = rng.bool().then(|| rng.usize(0..NODES));
            Trouble::Brokers(node, weather, time)
        }
        _ => Trouble::Receivers(weather, time),
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {:?}, {} lanes",
            self.seed, self.sharing, self.lanes
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(
                f,
                "  {number}: after {} of 1000: {:?}; {:?}",
                step.after, step.event, step.trouble
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_and_other_seeds_others() {
        assert_eq!(Schedule::of(7, 8, 4), Schedule::of(7, 8, 4));
        let texts: std::collections::BTreeSet<String> = (0..50)
            .map(|seed| Schedule::of(seed, 8, 4).to_string())
            .collect();
        assert_eq!(texts.len(), 50);
    }

    #[test]
    fn every_kind_of_event_comes_before_one_comes_again() {
        let schedule = Schedule::of(1, 14, 4);
        let kinds: std::collections::BTreeSet<String> = schedule
            .steps
            .iter()
            .map(|step| format!("{:?}", step.event))
            .collect();
        assert_eq!(kinds.len(), 14);
    }
}
