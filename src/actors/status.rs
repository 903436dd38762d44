//! What each actor says about itself: plain data for the status page, readiness and tests.

use schemars::JsonSchema;
use serde::Serialize;

use crate::reconfiguration::ConfigurationStatus;
use crate::run_time::RunTimeStatus;

/// The whole service.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ServiceStatus {
    /// Version of the binary.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_seconds: f64,
    /// Number of the configuration revision that runs.
    pub revision: u64,
    /// Where the configuration comes from, and what became of the last attempt to change it.
    pub configuration: Option<ConfigurationStatus>,
    /// What operators set besides: scripts and pauses.
    pub run_time: Option<RunTimeStatus>,
    /// Whether the service is shutting down.
    pub stopping: bool,
    /// The inputs.
    pub inputs: Vec<InputStatus>,
    /// The destinations.
    pub destinations: Vec<DestinationStatus>,
    /// Actors by kind, and how often one had to be started again.
    pub actors: ActorCounts,
}

impl ServiceStatus {
    /// Whether every input has joined its group, every partition is read or says why not, and nothing
    /// is in alarm.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping
            && self.inputs.iter().all(InputStatus::is_ready)
            && self
                .destinations
                .iter()
                .all(|destination| !destination.alarm)
    }
}

/// One input.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct InputStatus {
    /// Its name.
    pub name: String,
    /// Its consumer group.
    pub group_id: String,
    /// Whether it is a member of its group.
    pub joined: bool,
    /// State of the membership as the client names it.
    pub group_state: String,
    /// Brokers it is connected to.
    pub brokers_up: u64,
    /// Rebalances it took part in.
    pub rebalances: u64,
    /// Records of its partitions that are not committed; null while one of them does not know.
    pub lag: Option<i64>,
    /// Assigned partitions.
    pub partitions: Vec<PartitionStatus>,
    /// What somebody has to act on before data flows again.
    pub alarm: Option<String>,
    /// The error reported last.
    pub last_error: Option<ErrorStatus>,
}

impl InputStatus {
    /// Whether it is a member of its group, nothing is in alarm, and every partition is read or says
    /// why not.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let alarms = |partition: &PartitionStatus| {
            let blocked = partition.blocked.as_ref();
            blocked.is_some_and(|blocked| blocked.alarm)
        };
        self.joined && self.alarm.is_none() && !self.partitions.iter().any(alarms)
    }
}

/// One assigned partition.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct PartitionStatus {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Offset of the next record to be read.
    pub position: Option<i64>,
    /// Offset stored for the next commit.
    pub stored: Option<i64>,
    /// Committed offset.
    pub committed: Option<i64>,
    /// Offset after the last record.
    pub high_watermark: Option<i64>,
    /// Records between the committed offset, or before the first commit the offset at which reading
    /// began, and the last record that may be read; null while that is not known.
    pub lag: Option<i64>,
    /// Batches not settled yet.
    pub batches_in_flight: usize,
    /// Records not settled yet.
    pub records_in_flight: usize,
    /// Memory of records not settled yet.
    pub bytes_in_flight: usize,
    /// Whether an operator stopped its topic.
    pub paused: bool,
    /// Since when it is not read.
    pub blocked_seconds: Option<f64>,
    /// Why it is not read, or why its commits are not confirmed.
    pub blocked: Option<BlockedStatus>,
}

/// Why a partition is not read.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct BlockedStatus {
    /// `position_unknown`, `commits_unconfirmed`, `in_flight`, `dead_letters`, `paused`,
    /// `rate_limit`, `routes_change`, `no_brokers` or `unexplained`.
    pub cause: &'static str,
    /// The same in a sentence.
    pub reason: String,
    /// For how long.
    pub seconds: f64,
    /// Whether the service is not ready while it lasts.
    pub alarm: bool,
}

/// One destination.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// Where requests go; secrets are masked.
    pub url: String,
    /// `up`, `backing_off` or `alarm`.
    pub state: String,
    /// Whether somebody has to act before data flows again.
    pub alarm: bool,
    /// Why it is not up.
    pub reason: Option<String>,
    /// Items that wait.
    pub queued_items: usize,
    /// Items of requests under way.
    pub in_flight_items: usize,
    /// Requests under way.
    pub in_flight_requests: usize,
    /// Age of the oldest item, in seconds.
    pub oldest_seconds: Option<f64>,
    /// The failure seen last.
    pub last_error: Option<ErrorStatus>,
}

/// An error with its time.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ErrorStatus {
    /// Seconds ago.
    pub seconds_ago: f64,
    /// What it says.
    pub message: String,
}

/// Actors alive, and restarts since start.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub struct ActorCounts {
    /// One per assigned partition.
    pub topic: usize,
    /// Parsers.
    pub parser: usize,
    /// One per destination.
    pub forwarder: usize,
    /// Actors started again after they died.
    pub restarts: u64,
}

/// Remembers the last error with the moment it was seen.
#[derive(Debug, Clone)]
pub(crate) struct LastError {
    at: std::time::Instant,
    message: String,
}

impl LastError {
    pub(crate) fn now(message: String) -> Self {
        Self {
            at: std::time::Instant::now(),
            message,
        }
    }

    pub(crate) fn status(&self) -> ErrorStatus {
        ErrorStatus {
            seconds_ago: self.at.elapsed().as_secs_f64(),
            message: self.message.clone(),
        }
    }
}
