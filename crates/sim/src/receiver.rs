//! The receivers: they take requests whole or refuse them, and refuse poison for its content.

use std::time::Duration;

use kafkamq_delivery::answer::{Answer, Layer, Reply, TransportError};

use crate::case::Mood;
use crate::payload::Fate;
use crate::time::{MILLI, Micros, SECOND};

/// One receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    mood: Mood,
    until: Micros,
}

/// What a receiver does with a request.
pub(crate) struct Reaction {
    /// Whether it has the items now.
    pub(crate) takes: bool,
    /// What the sender hears.
    pub(crate) outcome: Result<Reply, TransportError>,
    /// After this time.
    pub(crate) after: Micros,
}

impl Receiver {
    pub(crate) const fn new() -> Self {
        Self {
            mood: Mood::Well,
            until: 0,
        }
    }

    pub(crate) const fn set(&mut self, mood: Mood, until: Micros) {
        self.mood = mood;
        self.until = until;
    }

    /// How it behaves now.
    pub(crate) const fn mood(&self, now: Micros) -> Mood {
        if self.until > now {
            self.mood
        } else {
            Mood::Well
        }
    }

    /// What it does with a request whose items state these fates, `None` where nothing is stated.
    pub(crate) fn react(
        &self,
        now: Micros,
        fates: &[(Option<Fate>, u64)],
        rng: &mut fastrand::Rng,
    ) -> Reaction {
        let mut after = MILLI + rng.u64(..30 * MILLI);
        let refuses = |status| Reaction {
            takes: false,
            outcome: answer(status, None),
            after,
        };
        match self.mood(now) {
            Mood::Well => {}
            Mood::Slow(more) => after += rng.u64(..=more),
            Mood::TooMany(wish) => {
                let wish = Duration::from_secs(u64::from(wish));
                return Reaction {
                    outcome: answer(429, Some(wish)),
                    ..refuses(429)
                };
            }
            Mood::Unavailable => return refuses(503),
            Mood::Failing => return refuses(500),
            Mood::Forbidden => return refuses(403),
            Mood::Down => {
                return Reaction {
                    outcome: failed(Layer::Connect),
                    ..refuses(0)
                };
            }
            Mood::Reset => {
                return Reaction {
                    takes: rng.bool() && fates.iter().all(|(fate, _)| !is_refused(*fate)),
                    outcome: failed(Layer::Reset),
                    after,
                };
            }
        }
        let of = |wanted: Fate| fates.iter().find(|(fate, _)| *fate == Some(wanted));
        if let Some((_, id)) = of(Fate::Clear) {
            let status = [400, 422, 413, 415][(id % 4) as usize];
            return Reaction {
                outcome: answer(status, None),
                takes: false,
                after,
            };
        }
        if let Some((_, id)) = of(Fate::Unclear) {
            let outcome = match id % 4 {
                0 => answer(500, None),
                1 => answer(403, None),
                2 => failed(Layer::Reset),
                _ => {
                    after += SECOND;
                    failed(Layer::Timeout)
                }
            };
            return Reaction {
                takes: false,
                outcome,
                after,
            };
        }
        Reaction {
            takes: true,
            outcome: answer(200, None),
            after,
        }
    }
}

fn is_refused(fate: Option<Fate>) -> bool {
    matches!(fate, Some(Fate::Clear | Fate::Unclear))
}

/// Whether an outcome may be the fault of a record.
pub(crate) fn blames(outcome: &Result<Reply, TransportError>) -> bool {
    match outcome {
        Ok(Reply::Http(answer)) => !matches!(answer.status, 200..=299 | 408 | 425 | 429 | 503),
        Ok(_) => false,
        Err(error) => !matches!(error.layer, Layer::Dns | Layer::Connect | Layer::Tls),
    }
}

fn answer(status: u16, retry_after: Option<Duration>) -> Result<Reply, TransportError> {
    Ok(Reply::Http(Answer {
        status,
        retry_after,
        ..Answer::default()
    }))
}

fn failed(layer: Layer) -> Result<Reply, TransportError> {
    Err(TransportError::new(layer, "simulated"))
}
