//! What the service says about itself: log filter and format, and panics as log lines.
//!
//! The filter can be changed while the service runs ([`LogLevel`]), for a while or until the next
//! start. Lines about changes asked for over HTTP are shown whatever the level, unless a filter
//! names their target.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use kafkamq_settings::{LogFilter, LogFilterError, LogFormat, LogSettings};

/// The target of log lines about changes.
pub(crate) const AUDIT: &str = "kafkamq::audit";

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TelemetryError {
    /// The filter is not one.
    #[error("`log.level`: {0}")]
    Filter(#[from] LogFilterError),
    /// A directive of the filter cannot be read.
    #[error("`log.level`: {0}")]
    Directive(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was set up already.
    #[error(transparent)]
    Init(#[from] tracing_subscriber::util::TryInitError),
    /// The filter cannot be changed any more.
    #[error("logging is gone: {0}")]
    Reload(#[from] tracing_subscriber::reload::Error),
}

static LEVEL: OnceLock<LogLevel> = OnceLock::new();

/// Sets up logging to standard error for the rest of the process.
///
/// # Errors
/// When the filter cannot be read or logging is set up already.
pub(crate) fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(&settings.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry.with(layer.with_ansi(colour)).try_init()?;
        }
    }
    let level = LogLevel::new(&settings.level, move |filter| Ok(handle.reload(filter)?));
    LEVEL.get_or_init(|| level);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "an actor or thread panicked");
        default(panic);
    }));
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(LogFilter::parse(text)?.as_str())?;
    if text.contains(AUDIT) {
        return Ok(filter);
    }
    Ok(filter.add_directive(format!("{AUDIT}=info").parse()?))
}

/// The log filter of this process, to be looked at and changed.
#[derive(Clone)]
pub(crate) struct LogLevel {
    state: Arc<Mutex<LevelState>>,
    apply: Arc<Apply>,
}

type Apply = dyn Fn(EnvFilter) -> Result<(), TelemetryError> + Send + Sync;

struct LevelState {
    configured: String,
    current: String,
    /// When the configured filter comes back.
    until: Option<Instant>,
    /// Counts changes, so that one that ends leaves a later one alone.
    changes: u64,
}

/// The filter at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LevelView {
    /// The filter in force.
    pub(crate) current: String,
    /// The filter of the configuration.
    pub(crate) configured: String,
    /// How long the one in force stays; `None` means until it is changed.
    pub(crate) remaining: Option<Duration>,
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.view()).finish()
    }
}

impl LogLevel {
    fn new(
        configured: &str,
        apply: impl Fn(EnvFilter) -> Result<(), TelemetryError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            state: Arc::new(Mutex::new(LevelState {
                configured: configured.to_owned(),
                current: configured.to_owned(),
                until: None,
                changes: 0,
            })),
            apply: Arc::new(apply),
        }
    }

    /// The filter of this process; one without effect where logging was set up by somebody else.
    #[must_use]
    pub(crate) fn of_process() -> Self {
        LEVEL
            .get()
            .cloned()
            .unwrap_or_else(|| Self::new("info", |_| Ok(())))
    }

    /// What is in force.
    #[must_use]
    pub(crate) fn view(&self) -> LevelView {
        let state = self.state.lock();
        LevelView {
            current: state.current.clone(),
            configured: state.configured.clone(),
            remaining: state
                .until
                .map(|until| until.saturating_duration_since(Instant::now())),
        }
    }

    /// Puts a filter into force; after `duration`, if one is given, [`LogLevel::expire`] ends it.
    /// The result names the change.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub(crate) fn set(
        &self,
        text: &str,
        duration: Option<Duration>,
    ) -> Result<u64, TelemetryError> {
        let mut state = self.state.lock();
        self.put(&mut state, text, duration)
    }

    /// Adds the level of one module and what is below it to the filter in force.
    ///
    /// # Errors
    /// When the two do not make a filter.
    pub(crate) fn set_module(
        &self,
        module: &str,
        level: &str,
        duration: Option<Duration>,
    ) -> Result<u64, TelemetryError> {
        let mut state = self.state.lock();
        let others = state.current.split(',').map(str::trim).filter(|directive| {
            let target = directive.split('=').next().unwrap_or(directive);
            !directive.is_empty() && target != module
        });
        let text = others
            .map(str::to_owned)
            .chain([format!("{module}={level}")])
            .collect::<Vec<_>>()
            .join(",");
        self.put(&mut state, &text, duration)
    }

    /// Puts the filter of the configuration back.
    ///
    /// # Errors
    /// When logging is gone.
    pub(crate) fn reset(&self) -> Result<(), TelemetryError> {
        let mut state = self.state.lock();
        let configured = state.configured.clone();
        self.put(&mut state, &configured, None)?;
        Ok(())
    }

    /// Takes over another filter from the configuration, now if no other was asked for.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub(crate) fn configure(&self, text: &str) -> Result<(), TelemetryError> {
        let mut state = self.state.lock();
        let follows = state.current == state.configured;
        filter(text)?;
        text.clone_into(&mut state.configured);
        if follows {
            self.put(&mut state, text, None)?;
        }
        Ok(())
    }

    /// Ends the change that [`LogLevel::set`] named, unless there was another one since.
    ///
    /// # Errors
    /// When logging is gone.
    pub(crate) fn expire(&self, change: u64) -> Result<(), TelemetryError> {
        let mut state = self.state.lock();
        if state.changes == change {
            let configured = state.configured.clone();
            self.put(&mut state, &configured, None)?;
            tracing::info!(target: AUDIT, filter = configured, "the log level is back");
        }
        Ok(())
    }

    fn put(
        &self,
        state: &mut LevelState,
        text: &str,
        duration: Option<Duration>,
    ) -> Result<u64, TelemetryError> {
        (self.apply)(filter(text)?)?;
        text.clone_into(&mut state.current);
        state.until = duration.map(|duration| Instant::now() + duration);
        state.changes += 1;
        Ok(state.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A level that writes down what was put into force.
    fn level() -> (LogLevel, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&applied);
        let level = LogLevel::new("info", move |filter| {
            log.lock().push(filter.to_string());
            Ok(())
        });
        (level, applied)
    }

    #[test]
    fn changes_are_shown_whatever_the_level() {
        let (level, applied) = level();
        level.set("warn", None).unwrap();
        level.set("warn,kafkamq::audit=off", None).unwrap();
        let applied = applied.lock();
        assert!(applied[0].contains("kafkamq::audit=info"), "{}", applied[0]);
        assert!(
            !applied[1].contains("kafkamq::audit=info"),
            "{}",
            applied[1]
        );
    }

    #[test]
    fn modules_add_up_and_a_new_level_replaces_the_old() {
        let (level, _) = level();
        level.set_module("kafkamq::kafka", "debug", None).unwrap();
        level.set_module("kafkamq::sinks", "trace", None).unwrap();
        level.set_module("kafkamq::kafka", "off", None).unwrap();
        assert_eq!(
            level.view().current,
            "info,kafkamq::sinks=trace,kafkamq::kafka=off"
        );
        level.reset().unwrap();
        assert_eq!(level.view().current, "info");
    }

    #[test]
    fn a_change_ends_unless_another_came_since() {
        let (level, _) = level();
        let minute = Some(Duration::from_secs(60));
        let first = level.set("debug", minute).unwrap();
        assert!(level.view().remaining.is_some());
        let second = level.set("trace", minute).unwrap();
        level.expire(first).unwrap();
        assert_eq!(level.view().current, "trace");
        level.configure("warn").unwrap();
        assert_eq!(level.view().current, "trace");
        level.expire(second).unwrap();
        let view = level.view();
        assert_eq!((view.current.as_str(), view.remaining), ("warn", None));
    }

    #[test]
    fn a_wrong_filter_changes_nothing() {
        let (level, applied) = level();
        assert!(level.set("info,x=loud", None).is_err());
        assert_eq!(level.view().current, "info");
        assert!(applied.lock().is_empty());
    }
}
