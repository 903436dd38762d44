//! The host's side of the language: limits, clock, time zone and the services functions use.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;

/// What one run may use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The work of a run in units of the [`Meter`](crate::Meter): statements, loop rounds, calls,
    /// and 64 bytes of text touched count one each.
    pub work: u64,
    /// Bytes a run may keep at a time: variables, what it wrote to the point, and the points it
    /// made at their encoded size. What the point held before comes on top.
    pub memory: u64,
    /// How long a run may take, answers of `http_request` left out.
    pub time: Duration,
    /// How long a run may wait for answers of `http_request` before it may not ask again.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            work: 20_000_000,
            memory: 64 << 20,
            time: Duration::from_secs(1),
            wait: Duration::from_secs(10),
        }
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the Unix epoch.
    fn now_ns(&self) -> i64;
}

/// The time of the system (`CLOCK_REALTIME`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .unwrap_or(0)
    }
}

/// What the host does with the status of logging points after a run.
#[derive(Debug, Clone, Default)]
pub struct StatusPolicy {
    /// Leave the key `status` as the script left it.
    pub keep: bool,
    /// Mark points with one of these statuses as dropped; compared without case.
    pub ignore: Vec<String>,
}

/// Values of distinct types, found by their type.
#[derive(Clone, Default)]
pub(crate) struct TypeMap(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl TypeMap {
    /// The value of this type.
    #[must_use]
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// The value of this type, shared.
    #[must_use]
    pub(crate) fn get_shared<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// Adds or replaces the value of this type.
    pub(crate) fn insert<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), value);
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl std::fmt::Debug for TypeMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TypeMap").field(&self.0.len()).finish()
    }
}

/// The surroundings scripts are compiled and run in. Cheap to clone; built once by the host.
///
/// Functions with needs of their own (pattern library, address database, reference tables, HTTP
/// policy, aggregation sink) define a service type in their module, take it with
/// [`Engine::service`] and do their documented nothing when the host gave none.
#[derive(Clone)]
pub struct Engine {
    limits: Limits,
    clock: Arc<dyn Clock>,
    time_zone: jiff::tz::TimeZone,
    status: Arc<StatusPolicy>,
    services: TypeMap,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Default limits, the system's clock and time zone, no services.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            time_zone: jiff::tz::TimeZone::system(),
            status: Arc::new(StatusPolicy::default()),
            services: TypeMap::default(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same with another local time zone.
    #[cfg(test)]
    pub(crate) fn with_time_zone(mut self, time_zone: jiff::tz::TimeZone) -> Self {
        self.time_zone = time_zone;
        self
    }

    /// The same with another handling of `status`.
    #[must_use]
    pub fn with_status(mut self, status: StatusPolicy) -> Self {
        self.status = Arc::new(status);
        self
    }

    /// The same with a service, replacing one of the same type.
    #[must_use]
    pub fn with_service<T: Any + Send + Sync>(mut self, service: Arc<T>) -> Self {
        self.services.insert(service);
        self
    }

    /// What a run may use up.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Nanoseconds since the Unix epoch, by the engine's clock.
    #[must_use]
    pub fn now_ns(&self) -> i64 {
        self.clock.now_ns()
    }

    /// The local time zone.
    #[must_use]
    pub(crate) const fn time_zone(&self) -> &jiff::tz::TimeZone {
        &self.time_zone
    }

    /// What happens to the status of logging points.
    #[must_use]
    pub fn status(&self) -> &StatusPolicy {
        &self.status
    }

    /// The service of a type, if the host gave one.
    #[must_use]
    pub fn service<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.services.get()
    }
}
