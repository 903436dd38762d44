//! Virtual time: microseconds since the start of a run.

use std::time::{Duration, Instant};

/// Microseconds since the start of a run.
pub(crate) type Micros = u64;

/// A millisecond.
pub(crate) const MILLI: Micros = 1_000;
/// A second.
pub const SECOND: Micros = 1_000_000;
/// The wall clock at the start of every run, in milliseconds since the Unix epoch.
const START_MS: i64 = 1_700_000_000_000;

/// The clock of a run. The machines take an `Instant`; only differences of them matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    now: Micros,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            base: Instant::now(),
            now: 0,
        }
    }

    pub(crate) const fn micros(&self) -> Micros {
        self.now
    }

    pub(crate) const fn advance(&mut self, to: Micros) {
        self.now = to;
    }

    pub(crate) fn now(&self) -> Instant {
        self.at(self.now)
    }

    pub(crate) fn at(&self, micros: Micros) -> Instant {
        self.base + Duration::from_micros(micros)
    }

    /// The moment of `instant`. Fractions of a microsecond are rounded up, so that a timer never
    /// fires before what it waits for.
    pub(crate) fn of(&self, instant: Instant) -> Micros {
        let since = instant.saturating_duration_since(self.base).as_nanos();
        Micros::try_from(since.div_ceil(1000)).unwrap_or(Micros::MAX)
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn wall_ms(&self) -> i64 {
        START_MS + i64::try_from(self.now / MILLI).unwrap_or(i64::MAX)
    }
}

/// `micros` as a duration.
pub(crate) const fn span(micros: Micros) -> Duration {
    Duration::from_micros(micros)
}

/// `at` as text: `1m02.345s`.
pub(crate) fn shown(at: Micros) -> String {
    let (minutes, rest) = (at / (60 * SECOND), at % (60 * SECOND));
    let (seconds, millis) = (rest / SECOND, rest % SECOND / MILLI);
    format!("{minutes}m{seconds:02}.{millis:03}s")
}
