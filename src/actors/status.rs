//! What each actor says about itself: plain data for the status page, readiness and tests.

use schemars::JsonSchema;
use serde::Serialize;

use crate::reconfiguration::ConfigurationStatus;
use crate::run_time::RunTimeStatus;

/// The whole service.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct ServiceStatus {
    /// Version of the binary.
    pub(crate) version: &'static str,
    /// Seconds since start.
    pub(crate) uptime_seconds: f64,
    /// Number of the configuration revision that runs.
    pub(crate) revision: u64,
    /// Where the configuration comes from, and what became of the last attempt to change it.
    pub(crate) configuration: Option<ConfigurationStatus>,
    /// What operators set besides: scripts and pauses.
    pub(crate) run_time: Option<RunTimeStatus>,
    /// Whether the service is shutting down.
    pub(crate) stopping: bool,
    /// State of every input.
    pub(crate) inputs: Vec<InputStatus>,
    /// State of every destination.
    pub(crate) destinations: Vec<DestinationStatus>,
    /// The writing of dead letters.
    pub(crate) dead_letters: DeadLetterStatus,
    /// Actors by kind, and how often one had to be started again.
    pub(crate) actors: ActorCounts,
}

impl ServiceStatus {
    /// Whether every input has joined its group, every partition is read or says why not, nothing that
    /// is required is in alarm, and dead letters can be written.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping
            && self.inputs.iter().all(InputStatus::is_ready)
            && self.destinations.iter().all(DestinationStatus::is_ready)
            && self.dead_letters.reason.is_none()
    }
}

/// One input.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct InputStatus {
    /// Name in the configuration, metrics and logs.
    pub(crate) name: String,
    /// Its consumer group.
    pub(crate) group_id: String,
    /// Whether it is a member of its group.
    pub(crate) joined: bool,
    /// State of the membership as the client names it.
    pub(crate) group_state: String,
    /// Brokers it is connected to.
    pub(crate) brokers_up: u64,
    /// Rebalances it took part in.
    pub(crate) rebalances: u64,
    /// Records of its partitions that are not committed; null while one of them does not know.
    pub(crate) lag: Option<i64>,
    /// Assigned partitions.
    pub(crate) partitions: Vec<PartitionStatus>,
    /// What somebody has to act on before data flows again.
    pub(crate) alarm: Option<String>,
    /// The error reported last.
    pub(crate) last_error: Option<ErrorStatus>,
}

impl InputStatus {
    /// Whether it is a member of its group, nothing is in alarm, and every partition is read or says
    /// why not.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        let alarms = |partition: &PartitionStatus| {
            let blocked = partition.blocked.as_ref();
            blocked.is_some_and(|blocked| blocked.alarm)
        };
        self.joined && self.alarm.is_none() && !self.partitions.iter().any(alarms)
    }
}

/// One assigned partition.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct PartitionStatus {
    /// The topic it belongs to.
    pub(crate) topic: String,
    /// Its number.
    pub(crate) partition: i32,
    /// Offset of the next record to be read.
    pub(crate) position: Option<i64>,
    /// Offset stored for the next commit.
    pub(crate) stored: Option<i64>,
    /// Committed offset.
    pub(crate) committed: Option<i64>,
    /// Offset after the last record.
    pub(crate) high_watermark: Option<i64>,
    /// Records between the committed offset, or before the first commit the offset at which reading
    /// began, and the last record that may be read; null while that is not known.
    pub(crate) lag: Option<i64>,
    /// Batches not settled yet.
    pub(crate) batches_in_flight: usize,
    /// Records not settled yet.
    pub(crate) records_in_flight: usize,
    /// Memory of records not settled yet.
    pub(crate) bytes_in_flight: usize,
    /// Whether an operator stopped its topic.
    pub(crate) paused: bool,
    /// Since when it is not read.
    pub(crate) blocked_seconds: Option<f64>,
    /// Why it is not read, or why its commits are not confirmed.
    pub(crate) blocked: Option<BlockedStatus>,
}

/// Why a partition is not read.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct BlockedStatus {
    /// `position_unknown`, `commits_unconfirmed`, `in_flight`, `dead_letters`, `paused`,
    /// `rate_limit`, `routes_change`, `no_brokers` or `unexplained`.
    pub(crate) cause: &'static str,
    /// The same in a sentence.
    pub(crate) reason: String,
    /// For how long.
    pub(crate) seconds: f64,
    /// Whether the service is not ready while it lasts.
    pub(crate) alarm: bool,
}

/// One destination.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct DestinationStatus {
    /// Name in the configuration, metrics and logs.
    pub(crate) name: String,
    /// Where requests go; secrets are masked.
    pub(crate) url: String,
    /// `up`, `backing_off` or `alarm`.
    pub(crate) state: String,
    /// Whether somebody should look at it: it has accepted nothing for seconds, its answer calls for
    /// somebody, or a record is held since it is refused time and again.
    pub(crate) alarm: bool,
    /// The answer it is held for.
    pub(crate) reason: Option<String>,
    /// How long it, or its first suspect, has been refused.
    pub(crate) refusing_seconds: Option<f64>,
    /// What was asked for then; secrets are masked.
    pub(crate) asked: Option<String>,
    /// Requests that are refused time and again, so that others are sent before them.
    pub(crate) suspects: usize,
    /// Those that were refused first, at most ten.
    pub(crate) first_suspects: Vec<SuspectStatus>,
    /// Whether records wait until it has their points.
    pub(crate) required: bool,
    /// Items that wait.
    pub(crate) queued_items: usize,
    /// Items of requests under way.
    pub(crate) in_flight_items: usize,
    /// Requests under way.
    pub(crate) in_flight_requests: usize,
    /// Items among them that no offset brings back: points of aggregation, and all items of an
    /// output that is not required.
    pub(crate) items_without_offsets: usize,
    /// Age of the oldest item, in seconds.
    pub(crate) oldest_seconds: Option<f64>,
    /// The failure seen last.
    pub(crate) last_error: Option<ErrorStatus>,
}

impl DestinationStatus {
    /// Whether no record waits for somebody to look at it.
    #[must_use]
    pub(crate) const fn is_ready(&self) -> bool {
        !(self.alarm && self.required)
    }

    /// Why it is not up, since when, and what was asked for, in one line.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut text = self.reason.clone()?;
        if let Some(seconds) = self.refusing_seconds {
            text.push_str(&format!("; for {seconds:.0} s"));
        }
        if let Some(asked) = &self.asked {
            text.push_str(&format!(", from {asked}"));
        }
        if let Some(suspect) = self.first_suspects.first()
            && self.state == "up"
            && let (Some(topic), Some(partition), Some(offset)) =
                (&suspect.topic, suspect.partition, suspect.offset)
        {
            text.push_str(&format!(", for {topic}/{partition}/{offset}"));
        }
        Some(text)
    }
}

/// A request that is refused time and again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SuspectStatus {
    /// Topic of its first record; none for points that belong to no record.
    pub(crate) topic: Option<String>,
    /// Partition of that record.
    pub(crate) partition: Option<i32>,
    /// Offset of that record.
    pub(crate) offset: Option<i64>,
    /// Items in the request.
    pub(crate) items: usize,
    /// Where it goes; secrets are masked.
    pub(crate) asked: String,
    /// Status of the last answer, if there was one.
    pub(crate) status: Option<u16>,
    /// The beginning of the last answer, or what failed.
    pub(crate) answer: String,
    /// Refusals so far.
    pub(crate) refusals: u32,
    /// How long it has been refused.
    pub(crate) seconds: f64,
}

/// The writing of dead letters.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct DeadLetterStatus {
    /// Letters that are not written yet; their records stay open.
    pub(crate) open: usize,
    /// Why they cannot be written.
    pub(crate) reason: Option<String>,
    /// For how long.
    pub(crate) failing_seconds: Option<f64>,
}

impl DeadLetterStatus {
    /// Why letters cannot be written, in one line.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        let reason = self.reason.as_ref()?;
        let mut text = format!("{reason}; {} letters cannot be written", self.open);
        if let Some(seconds) = self.failing_seconds {
            text.push_str(&format!(" for {seconds:.0} s"));
        }
        text.push_str(", their records wait");
        Some(text)
    }
}

/// An error with its time.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct ErrorStatus {
    /// Seconds since it happened.
    pub(crate) seconds_ago: f64,
    /// What it says.
    pub(crate) message: String,
}

/// Actors alive, and restarts since start.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub(crate) struct ActorCounts {
    /// One per assigned partition.
    pub(crate) topic: usize,
    /// One per script thread.
    pub(crate) parser: usize,
    /// One per destination.
    pub(crate) forwarder: usize,
    /// Actors started again after they died.
    pub(crate) restarts: u64,
}

/// Remembers the last error with the moment it was seen.
#[derive(Debug, Clone)]
pub(crate) struct LastError {
    at: std::time::Instant,
    message: String,
}

impl LastError {
    pub(crate) const fn at(at: std::time::Instant, message: String) -> Self {
        Self { at, message }
    }

    pub(crate) fn status(&self) -> ErrorStatus {
        ErrorStatus {
            seconds_ago: self.at.elapsed().as_secs_f64(),
            message: self.message.clone(),
        }
    }
}
