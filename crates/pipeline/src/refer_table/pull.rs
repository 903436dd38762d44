//! Where reference tables come from: one URL, asked again and again.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{ReferTables, TableError, TableSet};

/// Where tables are pulled from and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTableSource {
    /// An `http` or `https` URL.
    pub url: url::Url,
    /// The time between pulls, at least a second.
    pub interval: Duration,
}

/// Why tables were not pulled; the tables at hand stay.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The URL is no URL or of another scheme.
    #[error("reference tables need an http or https URL, not `{0}`")]
    Url(String),
    /// The server answered with something else than 200.
    #[error("the server of the reference tables answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("the server of the reference tables cannot be reached: {0}")]
    Transport(String),
    /// The answer holds no valid tables.
    #[error(transparent)]
    Tables(#[from] TableError),
}

impl PullError {
    /// Whether another attempt may succeed.
    const fn is_transient(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Status(status) => matches!(status, 408 | 429 | 500..=599),
            Self::Url(_) | Self::Tables(_) => false,
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_BODY: u64 = 256 << 20;
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl ReferTableSource {
    /// A source at `url`, pulled every `interval` (raised to a second).
    ///
    /// # Errors
    /// The text if it is no `http` or `https` URL.
    pub fn new(url: &str, interval: Duration) -> Result<Self, PullError> {
        let parsed = url::Url::parse(url)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https"))
            .ok_or_else(|| PullError::Url(url.to_owned()))?;
        Ok(Self {
            url: parsed,
            interval: interval.max(Duration::from_secs(1)),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there are no tables.
    pub fn pull(&self) -> Result<TableSet, PullError> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let transport = |error: ureq::Error| PullError::Transport(error.to_string());
        let mut answer = agent.get(self.url.as_str()).call().map_err(transport)?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(PullError::Status(status));
        }
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_BODY)
            .read_to_vec()
            .map_err(transport)?;
        Ok(TableSet::from_json(&body)?)
    }

    /// Pulls into `tables` on a thread of its own, now and then at every interval, until the
    /// returned handle is dropped. A pull that fails for a passing reason is repeated up to three
    /// times; whatever fails leaves the tables as they are and is logged.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn(self, tables: Arc<ReferTables>) -> std::io::Result<ReferTablePull> {
        let stop = Arc::new(Stop::default());
        let waiting = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("refer-tables".to_owned())
            .spawn(move || {
                loop {
                    match with_retries(|| self.pull(), |pause| waiting.sleep(pause)) {
                        Ok(new) => {
                            tracing::debug!(
                                tables = new.summary().count(),
                                "pulled reference tables"
                            );
                            tables.replace(new);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "reference tables stay as they are");
                        }
                    }
                    if waiting.sleep(self.interval) {
                        return;
                    }
                }
            })?;
        Ok(ReferTablePull {
            stop,
            thread: Some(thread),
        })
    }
}

/// Repeats `attempt` while it fails for a passing reason. `pause` waits and tells whether to give
/// up.
fn with_retries<T>(
    mut attempt: impl FnMut() -> Result<T, PullError>,
    mut pause: impl FnMut(Duration) -> bool,
) -> Result<T, PullError> {
    let mut wait = FIRST_PAUSE;
    for _ in 0..RETRIES {
        match attempt() {
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "will ask for the reference tables again");
                if pause(wait) {
                    return Err(error);
                }
                wait = (wait * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
    attempt()
}

/// A running pull; dropping it ends the thread after the request at hand.
#[derive(Debug)]
pub struct ReferTablePull {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl ReferTablePull {
    /// Ends the pull and waits for its thread.
    pub fn join(mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that pulls reference tables panicked");
        }
    }
}

impl Drop for ReferTablePull {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Interruptible sleep.
#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Sleeps and tells whether it was interrupted for good.
    fn sleep(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        self.changed
            .wait_while_for(&mut stopped, |stopped| !*stopped, time);
        *stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn only_http_urls_are_sources() {
        for url in ["", "file:///etc/passwd", "ftp://h/t.json", "//h/t"] {
            let error = ReferTableSource::new(url, Duration::ZERO).unwrap_err();
            assert!(matches!(error, PullError::Url(text) if text == url));
        }
        let source = ReferTableSource::new("http://h/t", Duration::ZERO).unwrap();
        assert_eq!(source.interval, Duration::from_secs(1));
    }

    #[test]
    fn passing_failures_are_retried_with_growing_pauses() {
        let mut pauses = Vec::new();
        let mut left = [
            Err(PullError::Status(503)),
            Err(PullError::Status(429)),
            Ok(7),
        ]
        .into_iter();
        let result = with_retries(
            || left.next().unwrap(),
            |pause| {
                pauses.push(pause.as_secs());
                false
            },
        );
        assert_eq!(result.unwrap(), 7);
        assert_eq!(pauses, [1, 2]);

        let mut attempts = 0;
        let result: Result<(), _> = with_retries(
            || {
                attempts += 1;
                Err(PullError::Status(500))
            },
            |_| false,
        );
        assert!(matches!(result, Err(PullError::Status(500))));
        assert_eq!(attempts, 4);

        let result: Result<(), _> = with_retries(|| Err(PullError::Status(404)), |_| panic!());
        assert!(matches!(result, Err(PullError::Status(404))));
    }

    #[test]
    fn tables_arrive_over_http_and_the_thread_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tables", listener.local_addr().unwrap());
        let (served, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while !lines.next().unwrap().unwrap().is_empty() {}
            let body = r#"[{"table_name":"t","column_name":["a"],"column_type":["int"],"row_data":[[1]]}]"#;
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            served.send(()).unwrap();
        });
        let tables = Arc::new(ReferTables::new());
        let source = ReferTableSource::new(&url, Duration::from_secs(3600)).unwrap();
        let pull = source.spawn(Arc::clone(&tables)).unwrap();
        wait.recv().unwrap();
        // Joining waits for the request at hand, so the tables are there afterwards.
        pull.join();
        assert_eq!(tables.current().summary().collect::<Vec<_>>(), [("t", 1)]);
    }
}
