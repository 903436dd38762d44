//! Looks at services from outside, twice a second: how long a partition with records stands still,
//! and whether the service says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::Value;

const INTERVAL: Duration = Duration::from_millis(500);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// A partition may stand still so long without a cause: the service gives one after 30 seconds, and
/// looks once a second.
const PATIENCE: Duration = Duration::from_secs(32);

type Partition = (String, i64);

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Stillness {
    /// How long a partition with records stood still at most, whatever the cause.
    pub longest: Duration,
    /// Which one, and what was said of it.
    pub which: String,
    /// Partitions that stood still too long while the service was ready and gave no cause.
    pub unexplained: BTreeSet<String>,
}

#[derive(Debug)]
struct Stand {
    offsets: (Option<i64>, Option<i64>),
    moved: Instant,
    explained: Instant,
}

/// What is known of all partitions; the clock is the caller's.
#[derive(Debug, Default)]
struct Account {
    stands: BTreeMap<Partition, Stand>,
    seen: Stillness,
}

impl Account {
    /// Takes one status, and whether the service was ready.
    fn note(&mut self, now: Instant, status: &Value, is_ready: bool) {
        let inputs = status["inputs"].as_array().into_iter().flatten();
        let partitions =
            inputs.flat_map(|input| input["partitions"].as_array().into_iter().flatten());
        for partition in partitions {
            let topic = partition["topic"].as_str().unwrap_or_default();
            let key = (
                topic.to_owned(),
                partition["partition"].as_i64().unwrap_or_default(),
            );
            let offsets = (
                partition["committed"].as_i64(),
                partition["position"].as_i64(),
            );
            let stand = self.stands.entry(key.clone()).or_insert(Stand {
                offsets,
                moved: now,
                explained: now,
            });
            // What is not known may be anything.
            let is_idle = partition["lag"].as_i64() == Some(0);
            if is_idle || stand.offsets != offsets {
                stand.offsets = offsets;
                stand.moved = now;
                stand.explained = now;
                continue;
            }
            let cause = partition["blocked"]["cause"].as_str();
            if !is_ready || cause.is_some_and(|cause| cause != "unexplained") {
                stand.explained = now;
            }
            let still = now.saturating_duration_since(stand.moved);
            if still > self.seen.longest {
                self.seen.longest = still;
                self.seen.which = format!("{}/{}: {}", key.0, key.1, partition["blocked"]);
            }
            if now.saturating_duration_since(stand.explained) > PATIENCE {
                let text = format!("{}/{}: {partition}", key.0, key.1);
                self.seen.unexplained.insert(text);
                stand.explained = now;
            }
        }
    }
}

/// Watches services until it is asked what it saw.
#[derive(Debug)]
pub struct ProgressWatch {
    ports: Arc<Mutex<BTreeSet<u16>>>,
    done: Arc<AtomicBool>,
    thread: JoinHandle<Account>,
}

impl ProgressWatch {
    /// Begins without services.
    #[must_use]
    pub fn start() -> Self {
        let ports = Arc::<Mutex<BTreeSet<u16>>>::default();
        let done = Arc::new(AtomicBool::new(false));
        let (own_ports, own_done) = (Arc::clone(&ports), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(ANSWER_LIMIT))
                .build()
                .new_agent();
            let mut account = Account::default();
            while !own_done.load(Ordering::Acquire) {
                let all = own_ports
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                for port in all {
                    // One that is stopped does not answer.
                    if let Ok((status, is_ready)) = look(&agent, port) {
                        account.note(Instant::now(), &status, is_ready);
                    }
                }
                std::thread::sleep(INTERVAL);
            }
            account
        });
        Self {
            ports,
            done,
            thread,
        }
    }

    /// Looks at another service, too; one that ends may stay.
    pub fn add(&self, port: u16) {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.insert(port);
    }

    /// What was seen.
    ///
    /// # Errors
    /// The thread died.
    pub fn finish(self) -> Result<Stillness> {
        self.done.store(true, Ordering::Release);
        let account = self.thread.join();
        Ok(account
            .map_err(|_| anyhow!("the watching thread died"))?
            .seen)
    }
}

fn look(agent: &ureq::Agent, port: u16) -> Result<(Value, bool)> {
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let text = agent
        .get(url("/v1/status"))
        .call()?
        .body_mut()
        .read_to_string()?;
    let ready = agent.get(url("/readyz")).call()?;
    Ok((serde_json::from_str(&text)?, ready.status() == 200))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(committed: i64, lag: i64, cause: Option<&str>) -> Value {
        let blocked = cause.map(|cause| json!({ "cause": cause }));
        json!({"inputs": [{"partitions": [
            {"topic": "t", "partition": 0, "committed": committed, "position": committed, "lag": lag, "blocked": blocked}
        ]}]})
    }

    #[test]
    fn standing_still_is_a_fault_only_without_a_cause() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut account = Account::default();
        account.note(began, &status(1, 5, None), true);
        account.note(after(20), &status(1, 5, Some("no_brokers")), true);
        account.note(after(40), &status(1, 5, None), false);
        account.note(after(60), &status(1, 5, None), true);
        assert!(account.seen.unexplained.is_empty());
        assert_eq!(account.seen.longest, Duration::from_secs(60));
        account.note(after(61), &status(1, 5, Some("unexplained")), true);
        account.note(after(73), &status(1, 5, None), true);
        assert_eq!(account.seen.unexplained.len(), 1);
        account.note(after(74), &status(2, 4, None), true);
        account.note(after(90), &status(2, 0, None), true);
        account.note(after(200), &status(2, 0, None), true);
        assert_eq!(account.seen.longest, Duration::from_secs(73));
    }
}
