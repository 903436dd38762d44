//! [`Router`]: the handle on everything that runs.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, MailboxError};

use super::directory::Directory;
use super::messages::{DecideSuspect, GetStatus, Shutdown};
use super::status::{ServiceStatus, SuspectStatus};
use super::supervisor::{
    self, STATUS_TIMEOUT, StartError, Supervisor, charged_bytes, dead_letter_loop,
    dead_letter_target, load_scripts, refusal_of,
};
use crate::controls::Controls;
use crate::kafka::{BirthStore, Reading, ReplayRange};
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::routing::RouteTable;
use crate::run_time::RunTime;
use kafkamq_conversion::route::DestinationId;
use kafkamq_conversion::scripts::Scripts;
use kafkamq_delivery::delivery::Decision;
use kafkamq_memory::Account;
use kafkamq_settings::Settings;

/// The part of the memory that copies of records for taps may take.
const TAPS_SHARE: u64 = 16;

/// A handle on the running router: what the HTTP server and the composition root may ask of the
/// `Supervisor` and of what it shares.
#[derive(Clone)]
pub(crate) struct Router {
    pub(super) address: Addr<Supervisor>,
    pub(super) births: Arc<BirthStore>,
    pub(super) directory: Arc<Directory>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) controls: Arc<Controls>,
    pub(super) run_time: Arc<RunTime>,
    pub(super) metrics: Metrics,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Router {
    /// Starts all actors and the consumer of every input. Must be called inside a running system.
    ///
    /// # Errors
    /// When something in the settings cannot be used. Brokers and destinations need not be there.
    pub(crate) fn start(settings: Arc<Settings>, metrics: Metrics) -> Result<Self, StartError> {
        Self::start_reading(settings, metrics, &Reading::Member)
    }

    /// The same with inputs that join no group and commit nothing: each reads `ranges`, once.
    ///
    /// # Errors
    /// As for [`Router::start`].
    pub(crate) fn start_outside(
        settings: Arc<Settings>,
        metrics: Metrics,
        ranges: &Arc<[Arc<ReplayRange>]>,
    ) -> Result<Self, StartError> {
        Self::start_reading(settings, metrics, &Reading::Once(Arc::clone(ranges)))
    }

    fn start_reading(
        settings: Arc<Settings>,
        metrics: Metrics,
        reading: &Reading,
    ) -> Result<Self, StartError> {
        let recorder = Recorder::start(&settings.recorder, &metrics.recorder_points)
            .map_err(StartError::Recorder)?;
        let routes = Arc::new(RouteTable::compile(&settings, 1)?);
        let mut carriers = HashMap::new();
        for destination in routes.destinations() {
            carriers.insert(destination.id.clone(), supervisor::carrier(destination)?);
        }
        let dead_letter_target = dead_letter_target(&settings)?;
        let memory = Account::root("service", charged_bytes(&settings));
        let scripts = load_scripts(&settings, &memory)?;
        let for_taps = settings.limits.memory_bytes / TAPS_SHARE;
        let for_taps = usize::try_from(for_taps).unwrap_or(usize::MAX);
        let controls = Arc::new(Controls::new(memory.child("taps", for_taps)));
        let run_time = RunTime::resume(
            settings.server.state_dir.as_deref(),
            Arc::clone(&scripts),
            Arc::clone(&controls),
        );
        metrics.config_revision.set(1);
        let births = Arc::new(BirthStore::open(settings.server.state_dir.as_deref()));

        let (_, inbox) = actix::dev::channel::channel(64);
        let context = Context::with_receiver(inbox);
        let address = context.address();
        let mut actor = Supervisor::new(
            settings,
            metrics.clone(),
            routes,
            carriers,
            dead_letter_target,
            Arc::clone(&scripts),
            Arc::clone(&controls),
            recorder,
            births,
            memory,
            &address,
        );
        if let Err(error) = actor.start_inputs(&address, reading) {
            actor.stop_inputs();
            return Err(error);
        }
        Ok(Self {
            births: Arc::clone(actor.births()),
            directory: Arc::clone(actor.directory()),
            scripts,
            controls,
            run_time: Arc::new(run_time),
            metrics,
            address: context.run(actor),
        })
    }

    /// Everything for which [`Router::start`] would refuse these settings, as far as that can be
    /// known without touching a disk or a network.
    #[must_use]
    pub(crate) fn refusals(settings: &Settings) -> Vec<StartError> {
        let mut found = Vec::new();
        match RouteTable::compile(settings, 1) {
            Ok(routes) => {
                let refused = routes
                    .destinations()
                    .map(|destination| destination.reach.kind().refusal());
                let named = routes.destinations().zip(refused);
                found.extend(named.filter_map(|(destination, refused)| {
                    let destination = destination.id.to_string();
                    refused.map(|source| StartError::Destination {
                        destination,
                        source,
                    })
                }));
            }
            Err(error) => found.push(error.into()),
        }
        found.extend(dead_letter_loop(settings));
        found.extend(
            settings
                .inputs
                .iter()
                .filter_map(|input| refusal_of(input, &settings.limits)),
        );
        found
    }

    #[cfg(test)]
    pub(super) const fn address(&self) -> &Addr<Supervisor> {
        &self.address
    }

    /// The state of everything; `None` if the supervisor does not answer in time.
    pub(crate) async fn status(&self) -> Option<ServiceStatus> {
        let asked = self.address.send(GetStatus);
        tokio::time::timeout(STATUS_TIMEOUT * 2, asked)
            .await
            .ok()?
            .ok()
    }

    /// Decides about the request of `destination` that is refused time and again. `None` if there is
    /// no such destination; an error if it does not answer; otherwise the request, if there is one.
    pub(crate) async fn decide_suspect(
        &self,
        destination: &str,
        decision: Decision,
    ) -> Option<Result<Option<SuspectStatus>, MailboxError>> {
        let addresses = Arc::clone(&self.directory.load());
        let forwarder = addresses
            .forwarders
            .get(&DestinationId(destination.into()))?;
        let asked = forwarder.send(DecideSuspect(decision));
        Some(asked.timeout(STATUS_TIMEOUT).await)
    }

    /// Stops all inputs: takes nothing more, settles what is in flight up to each input's
    /// deadline, commits, and leaves the groups.
    pub(crate) async fn shutdown(&self) {
        if self.address.send(Shutdown).await.is_err() {
            tracing::error!("the supervisor is gone; inputs leave their groups by time-out");
        }
    }
}

impl Router {
    /// The routes in force.
    #[must_use]
    pub(crate) fn routes(&self) -> Arc<RouteTable> {
        Arc::clone(&self.directory.load().routes)
    }

    /// The account of the service, to which all work in flight is charged.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> Arc<Account> {
        Arc::clone(&self.directory.load().memory)
    }

    /// The scripts in force.
    #[must_use]
    pub(crate) const fn scripts(&self) -> &Arc<Scripts> {
        &self.scripts
    }

    /// What operators set beside the configuration, and its keeper.
    #[must_use]
    pub(crate) const fn run_time(&self) -> &Arc<RunTime> {
        &self.run_time
    }

    /// What operators do to single topics.
    #[must_use]
    pub(crate) const fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }
}
