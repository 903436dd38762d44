//! Whether a destination may be talked to now.
//!
//! One `Health` stands for one destination, so that back-off belongs to it and not to a request:
//!
//! * **Up**: requests flow.
//! * **Backing off**: after a passing failure nothing is sent until a moment that is drawn at random
//!   below an exponential, capped bound (full jitter), or that the destination named itself. Then
//!   exactly one request goes out as a probe. Its success brings everything up again, its failure
//!   takes the next step.
//! * **Alarm**: the same with longer steps, after an answer that needs somebody to act (wrong
//!   credentials, wrong path). The reason is kept for readiness and metrics.
//!
//! Only the outcome of requests of the present state moves it: sixty-four requests that fail
//! together are one step, not sixty-four. The caller passes the time and a random generator in.

use std::time::{Duration, Instant};

use super::status::Reason;

/// The steps of back-off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HealthOptions {
    /// Bound of the first delay after a passing failure; doubles with each failed probe.
    pub base: Duration,
    /// Largest bound of a delay after passing failures.
    pub cap: Duration,
    /// Bound of the first delay in alarm.
    pub alarm_base: Duration,
    /// Largest bound of a delay in alarm.
    pub alarm_cap: Duration,
    /// Longest wish of a destination (`Retry-After`) that is honoured in full.
    pub retry_after_cap: Duration,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
            alarm_base: Duration::from_secs(1),
            alarm_cap: Duration::from_secs(60),
            retry_after_cap: Duration::from_secs(300),
        }
    }
}

/// The state of a destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Requests flow.
    Up,
    /// Nothing but probes, after a passing failure.
    BackingOff {
        /// Failures since it was last up, at least 1.
        attempt: u32,
        /// No probe before this moment.
        until: Instant,
        /// The last failure.
        reason: Reason,
    },
    /// Nothing but probes, and somebody has to act.
    Alarm {
        /// Failures since the alarm was raised, at least 1.
        attempt: u32,
        /// No probe before this moment.
        until: Instant,
        /// The last failure.
        reason: Reason,
    },
}

impl State {
    /// Stable name, fit for a metric label: `up`, `backing_off` or `alarm`.
    #[must_use]
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::BackingOff { .. } => "backing_off",
            Self::Alarm { .. } => "alarm",
        }
    }

    /// Why it is not up.
    #[must_use]
    pub(crate) fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Up => None,
            Self::BackingOff { reason, .. } | Self::Alarm { reason, .. } => Some(reason),
        }
    }
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// As many as the concurrency limit allows.
    Open,
    /// One.
    Probe,
    /// None before the moment; `None` while a probe is under way.
    Closed(Option<Instant>),
}

/// Stands for one request that was sent; its outcome is reported with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Permit {
    epoch: u64,
    probe: bool,
}

/// What kind of failure a request met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// No answer, or one that says "later".
    Passing,
    /// The configuration is wrong.
    Hold,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    /// The kind of failure.
    pub(crate) failure: Failure,
    /// The wish of the destination, measured from now.
    pub(crate) retry_after: Option<Duration>,
    /// What it said.
    pub(crate) reason: Reason,
    /// Whether less is asked for next, in search of the item at fault. The pause before that does not
    /// grow: the search takes a few steps, and each asks for something else.
    pub(crate) narrows: bool,
}

/// The state machine of one destination.
#[derive(Debug)]
pub(crate) struct Health {
    options: HealthOptions,
    rng: fastrand::Rng,
    state: State,
    /// Counts changes of state; a permit of an earlier epoch cannot move the present state.
    epoch: u64,
    probing: bool,
    /// The first failure since something was accepted.
    since: Option<Instant>,
}

impl Health {
    /// A destination that is up. `rng` draws the delays: seed it differently in every process.
    #[must_use]
    pub(crate) fn new(options: HealthOptions, mut rng: fastrand::Rng) -> Self {
        // Neighbouring seeds make sequences of this generator that resemble each other; one step
        // between seed and state takes that away.
        let rng = rng.fork();
        Self {
            options,
            rng,
            state: State::Up,
            epoch: 0,
            probing: false,
            since: None,
        }
    }

    /// Replaces the options; a delay that runs keeps its end.
    pub(crate) fn set_options(&mut self, options: HealthOptions) {
        self.options = options;
    }

    /// The present state.
    #[must_use]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// When it stopped being up, if it is not.
    #[must_use]
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether a request may be sent at `now`.
    #[must_use]
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        match &self.state {
            State::Up => Gate::Open,
            State::BackingOff { until, .. } | State::Alarm { until, .. } => {
                if self.probing {
                    Gate::Closed(None)
                } else if now < *until {
                    Gate::Closed(Some(*until))
                } else {
                    Gate::Probe
                }
            }
        }
    }

    /// Notes that a request is sent, and returns what its outcome has to be reported with, exactly
    /// once, to [`succeeded`](Self::succeeded), [`failed`](Self::failed) or
    /// [`abandoned`](Self::abandoned).
    #[must_use]
    pub(crate) fn sent(&mut self) -> Permit {
        let probe = self.state != State::Up;
        self.probing |= probe;
        Permit {
            epoch: self.epoch,
            probe,
        }
    }

    /// The destination accepted the request, which is the only sign of life. Returns true if that
    /// brought it up.
    pub(crate) fn succeeded(&mut self, permit: Permit) -> bool {
        if permit.epoch != self.epoch {
            return false;
        }
        if self.state == State::Up {
            return false;
        }
        self.enter(State::Up);
        true
    }

    /// The request failed. Returns true if the state changed its kind.
    pub(crate) fn failed(&mut self, permit: Permit, failed: Failed, now: Instant) -> bool {
        let Failed {
            failure,
            retry_after,
            reason,
            narrows,
        } = failed;
        let wish = retry_after.map(|wish| wish.min(self.options.retry_after_cap));
        if permit.epoch != self.epoch {
            // Sent before the state changed: no new step, but the destination's wish is honoured.
            if let Some(wish) = wish {
                self.prolong(now + wish);
            }
            return false;
        }
        let alarm = failure == Failure::Hold;
        let step = u32::from(!narrows);
        let attempt = match &self.state {
            State::BackingOff { attempt, .. } if !alarm => attempt.saturating_add(step),
            State::Alarm { attempt, .. } if alarm => attempt.saturating_add(step),
            _ => 1,
        };
        let until = now + self.delay(alarm, attempt, wish);
        self.since.get_or_insert(now);
        let before = self.state.as_str();
        self.enter(if alarm {
            State::Alarm {
                attempt,
                until,
                reason,
            }
        } else {
            State::BackingOff {
                attempt,
                until,
                reason,
            }
        });
        before != self.state.as_str()
    }

    /// The request ended without telling whether the destination is well: it was called off, or its
    /// content was refused. A probe makes way for the next at once.
    pub(crate) fn abandoned(&mut self, permit: Permit) {
        if permit.probe && permit.epoch == self.epoch {
            self.probing = false;
        }
    }

    /// How long one request that was refused waits before it is sent again, while others go on: a
    /// random time below a bound that doubles with each of the `tries` before.
    #[must_use]
    pub(crate) fn pause(
        &mut self,
        failure: Failure,
        tries: u32,
        retry_after: Option<Duration>,
    ) -> Duration {
        let wish = retry_after.map(|wish| wish.min(self.options.retry_after_cap));
        self.delay(failure == Failure::Hold, tries.max(1), wish)
    }

    /// Cuts a delay short: the next request is a probe at once. For an operator, or after the
    /// configuration of the destination changed.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        if let State::BackingOff { until, .. } | State::Alarm { until, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// An operator says that the record was at fault and not the destination: pauses begin small again. The
    /// one that runs keeps its end, which the destination may have asked for.
    pub(crate) const fn absolve(&mut self) {
        if let State::BackingOff { attempt, .. } | State::Alarm { attempt, .. } = &mut self.state {
            *attempt = 1;
        }
    }

    fn enter(&mut self, state: State) {
        if state == State::Up {
            self.since = None;
        }
        self.state = state;
        self.epoch += 1;
        self.probing = false;
    }

    fn prolong(&mut self, moment: Instant) {
        if let State::BackingOff { until, .. } | State::Alarm { until, .. } = &mut self.state {
            *until = moment.max(*until);
        }
    }

    fn delay(&mut self, alarm: bool, attempt: u32, wish: Option<Duration>) -> Duration {
        let HealthOptions {
            base,
            cap,
            alarm_base,
            alarm_cap,
            ..
        } = self.options;
        let (base, cap) = if alarm {
            (alarm_base, alarm_cap)
        } else {
            (base, cap)
        };
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let bound = base.saturating_mul(factor).min(cap);
        match wish {
            // Never earlier than asked. All clients were told the same, so a tenth more at random
            // keeps them from coming back together.
            Some(wish) => wish + self.draw(base.max(wish / 10)),
            None => self.draw(bound),
        }
    }

    fn draw(&mut self, bound: Duration) -> Duration {
        bound.mul_f64(self.rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn reason(code: &'static str) -> Reason {
        Reason {
            status: None,
            code: Cow::Borrowed(code),
            detail: String::new(),
        }
    }

    fn health(seed: u64) -> Health {
        Health::new(HealthOptions::default(), fastrand::Rng::with_seed(seed))
    }

    fn failed(failure: Failure, retry_after: Option<Duration>) -> Failed {
        Failed {
            failure,
            retry_after,
            reason: reason("reset"),
            narrows: false,
        }
    }

    fn until(health: &Health) -> Instant {
        match health.state() {
            State::Up => panic!("is up"),
            State::BackingOff { until, .. } | State::Alarm { until, .. } => *until,
        }
    }

    fn fail(health: &mut Health, failure: Failure, after: Option<Duration>, now: Instant) -> bool {
        let permit = health.sent();
        health.failed(permit, failed(failure, after), now)
    }

    #[test]
    fn one_probe_then_everything_resumes() {
        let now = Instant::now();
        let mut health = health(1);
        assert_eq!(health.gate(now), Gate::Open);
        assert!(fail(&mut health, Failure::Passing, None, now));
        let until = until(&health);
        assert_eq!(health.gate(now), Gate::Closed(Some(until)));
        assert_eq!(health.gate(until), Gate::Probe);
        let probe = health.sent();
        assert_eq!(health.gate(until), Gate::Closed(None));
        assert!(health.succeeded(probe));
        assert_eq!(health.gate(until), Gate::Open);
    }

    #[test]
    fn failures_of_one_moment_are_one_step() {
        let now = Instant::now();
        let mut health = health(2);
        let permits: Vec<Permit> = (0..64).map(|_| health.sent()).collect();
        for permit in permits {
            health.failed(permit, failed(Failure::Passing, None), now);
        }
        assert!(matches!(
            health.state(),
            State::BackingOff { attempt: 1, .. }
        ));
    }

    #[test]
    fn a_late_success_does_not_end_back_off() {
        let now = Instant::now();
        let mut health = health(3);
        let late = health.sent();
        fail(&mut health, Failure::Passing, None, now);
        assert!(!health.succeeded(late));
        assert_ne!(health.state(), &State::Up);
    }

    #[test]
    fn retry_after_is_honoured_and_capped_also_from_late_answers() {
        let now = Instant::now();
        let mut health = health(4);
        let late = health.sent();
        fail(
            &mut health,
            Failure::Passing,
            Some(Duration::from_secs(20)),
            now,
        );
        let first = until(&health);
        assert!(first >= now + Duration::from_secs(20) && first <= now + Duration::from_secs(22));
        let wish = |wish| failed(Failure::Passing, Some(wish));
        health.failed(late, wish(Duration::from_secs(40)), now);
        assert_eq!(until(&health), now + Duration::from_secs(40));
        let permit = health.sent();
        health.failed(permit, wish(Duration::MAX), now);
        assert!(until(&health) <= now + Duration::from_secs(330));
    }

    #[test]
    fn an_abandoned_probe_makes_way_for_the_next() {
        let now = Instant::now();
        let mut health = health(5);
        fail(&mut health, Failure::Passing, None, now);
        let until = until(&health);
        let probe = health.sent();
        health.abandoned(probe);
        assert_eq!(health.gate(until), Gate::Probe);
    }

    #[test]
    fn alarm_keeps_its_reason_and_gives_way_to_success() {
        let now = Instant::now();
        let mut health = health(6);
        let permit = health.sent();
        let refused = Failed {
            reason: reason("status_401"),
            ..failed(Failure::Hold, None)
        };
        assert!(health.failed(permit, refused, now));
        assert_eq!(health.state().as_str(), "alarm");
        assert_eq!(health.state().reason().unwrap().code, "status_401");
        let probe = health.sent();
        assert!(health.succeeded(probe));
        assert_eq!(health.state(), &State::Up);
    }

    #[test]
    fn pauses_do_not_grow_while_the_item_at_fault_is_searched_for() {
        let now = Instant::now();
        let mut health = health(9);
        let step = |health: &mut Health, narrows| {
            let permit = health.sent();
            let failed = Failed {
                narrows,
                ..failed(Failure::Passing, None)
            };
            health.failed(permit, failed, now);
            match health.state() {
                State::BackingOff { attempt, .. } => *attempt,
                _ => 0,
            }
        };
        let steps = [false, false, true, true, true, false].map(|one| step(&mut health, one));
        assert_eq!(steps, [1, 2, 2, 2, 2, 3]);
        health.absolve();
        assert_eq!(step(&mut health, false), 2, "pauses begin small again");
    }

    #[test]
    fn an_operator_can_cut_a_delay_short() {
        let now = Instant::now();
        let mut health = health(8);
        fail(
            &mut health,
            Failure::Hold,
            Some(Duration::from_secs(60)),
            now,
        );
        health.probe_now(now);
        assert_eq!(health.gate(now), Gate::Probe);
    }

    #[test]
    fn delays_are_spread_evenly_and_two_instances_do_not_meet() {
        // Chi-square over 16 bins; 37.7 is the 0.1 % point for 15 degrees of freedom. The seeds are
        // fixed, so the test cannot flicker.
        let now = Instant::now();
        let delays = |seed| -> Vec<f64> {
            let mut health = health(seed);
            for _ in 0..12 {
                fail(&mut health, Failure::Passing, None, now);
            }
            (0..4096)
                .map(|_| {
                    fail(&mut health, Failure::Passing, None, now);
                    (until(&health) - now).as_secs_f64() / 30.0
                })
                .collect()
        };
        let (one, two) = (delays(11), delays(12));
        let chi_square = |values: &mut dyn Iterator<Item = f64>| {
            let mut bins = [0_u32; 16];
            let mut count = 0_u32;
            for value in values {
                bins[((value * 16.0) as usize).min(15)] += 1;
                count += 1;
            }
            let expected = f64::from(count) / 16.0;
            bins.iter()
                .map(|&seen| (f64::from(seen) - expected).powi(2) / expected)
                .sum::<f64>()
        };
        assert!(chi_square(&mut one.iter().copied()) < 37.7);
        assert!(chi_square(&mut two.iter().copied()) < 37.7);
        // If both are uniform and independent, so is their difference modulo the range.
        let mut apart = one
            .iter()
            .zip(&two)
            .map(|(one, two)| (one - two).rem_euclid(1.0));
        assert!(chi_square(&mut apart) < 37.7);
    }

    proptest! {
        #[test]
        fn at_most_one_probe_and_delays_within_their_cap(
            seed: u64,
            steps in prop::collection::vec((0_u8..5, 0_u64..1000), 1..200),
        ) {
            let mut health = health(seed);
            let mut now = Instant::now();
            let mut out: Vec<Permit> = Vec::new();
            for (step, number) in steps {
                now += Duration::from_millis(number * 37);
                match health.gate(now) {
                    Gate::Closed(Some(until)) => prop_assert!(until <= now + Duration::from_secs(60)),
                    Gate::Closed(None) => prop_assert!(out.iter().any(|p| p.probe)),
                    Gate::Probe => {
                        out.push(health.sent());
                        prop_assert_eq!(health.gate(now), Gate::Closed(None));
                    }
                    Gate::Open => out.push(health.sent()),
                }
                if out.is_empty() || step == 0 {
                    continue;
                }
                let permit = out.swap_remove(number as usize % out.len());
                match step {
                    1 => { health.failed(permit, failed(Failure::Passing, None), now); }
                    2 => { health.failed(permit, failed(Failure::Hold, None), now); }
                    3 => { health.succeeded(permit); }
                    _ => health.abandoned(permit),
                }
                let current = out.iter().filter(|p| p.probe && p.epoch == health.epoch).count();
                prop_assert!(current <= 1);
            }
        }
    }
}
