//! What the router's handle gives to those who look at topics and scripts from outside.

use std::sync::Arc;

use super::Router;
use crate::controls::Controls;
use crate::routing::RouteTable;
use crate::run_time::RunTime;
use crate::scripts::Scripts;
use kafkamq_memory::Account;

impl Router {
    /// The routes in force.
    #[must_use]
    pub fn routes(&self) -> Arc<RouteTable> {
        Arc::clone(&self.directory.load().routes)
    }

    /// The account of the service, to which all work in flight is charged.
    #[must_use]
    pub fn memory(&self) -> Arc<Account> {
        Arc::clone(&self.directory.load().memory)
    }

    /// The scripts in force.
    #[must_use]
    pub const fn scripts(&self) -> &Arc<Scripts> {
        &self.scripts
    }

    /// What operators set beside the configuration, and its keeper.
    #[must_use]
    pub const fn run_time(&self) -> &Arc<RunTime> {
        &self.run_time
    }

    /// What operators do to single topics.
    #[must_use]
    pub const fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }
}
