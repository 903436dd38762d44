//! Notes when elements come out of the order of their keys, so that the logs of that moment can be
//! looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use kafkamq_testbed::{Route, Testbed};

const INTERVAL: Duration = Duration::from_millis(100);

/// Watches the receivers of a testbed.
#[derive(Debug)]
pub(crate) struct OrderWatch {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl OrderWatch {
    pub(crate) fn start(testbed: Arc<Testbed>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let (mut known, mut seen) = (BTreeMap::<Route, u64>::new(), Vec::new());
            loop {
                let is_last = own.load(Ordering::Acquire);
                for (_, receiver) in testbed.receivers() {
                    for (route, report) in receiver.ledger().report().routes {
                        let before = known.insert(route, report.key_inversions).unwrap_or(0);
                        if report.key_inversions > before {
                            let now = humantime::format_rfc3339_millis(SystemTime::now());
                            let more = report.key_inversions - before;
                            seen.push(format!("{more} of {route} until {now}"));
                        }
                    }
                }
                if is_last {
                    return seen;
                }
                std::thread::sleep(INTERVAL);
            }
        });
        Self { done, thread }
    }

    /// What was seen: how many of which route, and when.
    ///
    /// # Errors
    /// The thread died.
    pub(crate) fn finish(self) -> Result<Vec<String>> {
        self.done.store(true, Ordering::Release);
        let seen = self.thread.join();
        seen.map_err(|_| anyhow!("the watching thread died"))
    }
}
