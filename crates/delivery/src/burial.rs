//! [`Burial`]: which dead letters are written when, and what is done while they cannot be.
//!
//! A record stays open until its letter is written, so a letter that cannot be written is tried again
//! for ever, with pauses that double. No clock, chance or input and output: the owner passes the time
//! in, writes what [`next`](Burial::next) hands out and reports to [`finished`](Burial::finished).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bound of the first pause after a failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// Largest bound of a pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Something that is written as one.
pub trait Letters {
    /// How many letters it holds.
    fn count(&self) -> usize;
    /// Whether it is not waited for any more.
    fn is_cancelled(&self) -> bool;
}

/// Letters cannot be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// The first failure since all were written.
    pub since: Instant,
    /// What the last failure said.
    pub reason: String,
}

struct Waiting<J> {
    job: J,
    failed: bool,
}

/// The queue of dead letters.
pub struct Burial<J> {
    waiting: VecDeque<Waiting<J>>,
    /// Letters that were handed out to be written.
    writing: usize,
    failures: u32,
    until: Option<Instant>,
    trouble: Option<Trouble>,
    rng: fastrand::Rng,
}

impl<J: Letters> Burial<J> {
    /// Nothing to write. `rng` draws the pauses: seed it differently in every process.
    #[must_use]
    pub fn new(mut rng: fastrand::Rng) -> Self {
        Self {
            waiting: VecDeque::new(),
            writing: 0,
            failures: 0,
            until: None,
            trouble: None,
            // See `Health::new`.
            rng: rng.fork(),
        }
    }

    /// Takes letters in.
    pub fn push(&mut self, job: J) {
        self.waiting.push_back(Waiting { job, failed: false });
    }

    /// What is to be written at `now`, as one: jobs of at most `letters` letters together, or one job
    /// that holds more. Empty while others are being written, in a pause, and when nothing waits.
    pub fn next(&mut self, now: Instant, letters: usize) -> Vec<J> {
        let mut jobs = Vec::new();
        if self.writing > 0 || self.until.is_some_and(|until| now < until) {
            return jobs;
        }
        while let Some(waiting) = self.waiting.front() {
            let count = waiting.job.count();
            let cancelled = waiting.job.is_cancelled();
            if !cancelled && self.writing > 0 && self.writing + count > letters {
                break;
            }
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            if !cancelled {
                self.writing += count.max(1);
                jobs.push(waiting.job);
            }
        }
        if jobs.is_empty() {
            self.trouble = None;
        }
        jobs
    }

    /// When [`next`](Self::next) may have something to give; `None` means not before something else
    /// happens.
    #[must_use]
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.writing > 0 || self.waiting.is_empty() {
            return None;
        }
        Some(self.until.unwrap_or(now))
    }

    /// What was handed out last was written, but for `left`, which failed for `reason`. Returns true
    /// if that begins a trouble, or ends one.
    pub fn finished(&mut self, now: Instant, left: Vec<J>, reason: Option<String>) -> bool {
        let open: usize = left.iter().map(Letters::count).sum();
        let written = self.writing.saturating_sub(open);
        self.writing = 0;
        let before = self.trouble.is_some();
        // Behind the others, so that one that is refused does not hold those up.
        let left = left.into_iter().map(|job| Waiting { job, failed: true });
        self.waiting.extend(left);
        if !self.waiting.iter().any(|waiting| waiting.failed) {
            self.failures = 0;
            self.until = None;
            self.trouble = None;
            return before;
        }
        if let Some(reason) = reason {
            self.failures = match written {
                0 => self.failures.saturating_add(1),
                _ => 1,
            };
            let factor = 2_u32.saturating_pow(self.failures.saturating_sub(1));
            let bound = PAUSE.saturating_mul(factor).min(PAUSE_MAX);
            self.until = Some(now + bound.mul_f64(self.rng.f64()));
            let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
            self.trouble = Some(Trouble { since, reason });
        } else {
            self.until = None;
        }
        !before
    }

    /// Why letters wait, if they cannot be written.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Letters that are not written yet.
    #[must_use]
    pub fn open(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|one| one.job.count()).sum();
        waiting + self.writing
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Job {
        id: usize,
        letters: usize,
        cancelled: Rc<Cell<bool>>,
    }

    impl Letters for Job {
        fn count(&self) -> usize {
            self.letters
        }
        fn is_cancelled(&self) -> bool {
            self.cancelled.get()
        }
    }

    fn job(id: usize, letters: usize) -> Job {
        let cancelled = Rc::default();
        Job {
            id,
            letters,
            cancelled,
        }
    }

    fn burial() -> Burial<Job> {
        Burial::new(fastrand::Rng::with_seed(5))
    }

    #[test]
    fn letters_that_cannot_be_written_wait_with_growing_pauses_and_say_since_when() {
        let start = Instant::now();
        let mut now = start;
        let mut burial = burial();
        burial.push(job(1, 1));
        let mut pauses = Vec::new();
        for round in 0..12 {
            let jobs = burial.next(now, 10);
            assert_eq!(jobs.len(), 1);
            let began = burial.finished(now, jobs, Some("disk full".into()));
            assert_eq!(began, round == 0, "told once");
            assert!(burial.next(now, 10).is_empty() || burial.wake_at(now) == Some(now));
            let wake = burial.wake_at(now).unwrap();
            pauses.push(wake - now);
            now = wake;
        }
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses.iter().max().unwrap() > &Duration::from_secs(1));
        let trouble = burial.trouble().unwrap();
        assert_eq!((trouble.since, &*trouble.reason), (start, "disk full"));
        let jobs = burial.next(now, 10);
        assert!(burial.finished(now, Vec::new(), None), "the end is told");
        assert_eq!((jobs.len(), burial.open()), (1, 0));
        assert!(burial.trouble().is_none() && burial.wake_at(now).is_none());
    }

    #[test]
    fn one_letter_that_is_refused_does_not_hold_up_others_and_stays_known() {
        let now = Instant::now();
        let mut burial = burial();
        (0..3).for_each(|id| burial.push(job(id, 1)));
        let mut jobs = burial.next(now, 10);
        let refused = jobs.remove(0);
        burial.finished(now, vec![refused], Some("too large".into()));
        burial.push(job(3, 1));
        let now = burial.wake_at(now).unwrap();
        let mut jobs = burial.next(now, 10);
        assert_eq!(jobs.pop().unwrap().id, 3);
        burial.finished(now, jobs, Some("too large".into()));
        assert!(burial.trouble().is_some(), "one is still open");
        assert_eq!(burial.open(), 1);
    }

    #[test]
    fn a_letter_that_is_refused_holds_no_other() {
        let now = Instant::now();
        let mut burial = burial();
        burial.push(job(1, 1));
        burial.push(job(2, 1));
        let refused = burial.next(now, 1);
        assert_eq!(refused.iter().map(|job| job.id).collect::<Vec<_>>(), [1]);
        burial.finished(now, refused, Some("too large".into()));
        let now = burial.wake_at(now).unwrap();
        let other = burial.next(now, 1);
        assert_eq!(other.iter().map(|job| job.id).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_was_cancelled_is_not_written_and_is_not_a_failure() {
        let now = Instant::now();
        let mut burial = burial();
        let gone = job(1, 1);
        burial.push(gone.clone());
        let jobs = burial.next(now, 10);
        burial.finished(now, jobs, Some("full".into()));
        gone.cancelled.set(true);
        let now = burial.wake_at(now).unwrap();
        assert!(burial.next(now, 10).is_empty());
        assert!(burial.trouble().is_none() && burial.open() == 0);
    }

    proptest! {
        #[test]
        fn every_job_is_written_once_or_cancelled(
            steps in prop::collection::vec((0..4_u8, 0..5_usize), 1..200),
            seed: u64,
        ) {
            let mut burial = Burial::new(fastrand::Rng::with_seed(seed));
            let mut now = Instant::now();
            let (mut pushed, mut written) = (0, Vec::new());
            let mut write = |burial: &mut Burial<Job>, now: Instant, fail: usize| {
                let mut jobs = burial.next(now, 4);
                let left = jobs.split_off(jobs.len().min(fail));
                let reason = (!left.is_empty()).then(|| "no".to_owned());
                written.extend(jobs.iter().map(|job| job.id));
                if !jobs.is_empty() || !left.is_empty() {
                    burial.finished(now, left, reason);
                }
            };
            for (step, number) in steps {
                match step {
                    0 | 1 => {
                        burial.push(job(pushed, number + 1));
                        pushed += 1;
                    }
                    2 => now += Duration::from_millis(number as u64 * 700),
                    _ => write(&mut burial, now, number),
                }
            }
            while let Some(wake) = burial.wake_at(now) {
                now = now.max(wake);
                write(&mut burial, now, usize::MAX);
            }
            written.sort_unstable();
            prop_assert_eq!(written, (0..pushed).collect::<Vec<_>>());
            prop_assert!(burial.trouble().is_none() && burial.open() == 0);
        }
    }
}
