//! Strict HTTP receivers on loopback, each on a thread of its own, that decode what arrives,
//! account for it by record id, and show faults on demand.

mod body;
mod collector;
mod datakit;
mod exchange;
mod found;
mod handle;
mod history;
mod jaeger;
mod otlp;
mod reply;
mod server;
mod skywalking;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::faults::Fault;
use crate::ledger::Ledger;
pub use datakit::DatakitOptions;
pub use exchange::{Answer, Request, Surface};
pub use handle::{Handle, HandleOptions, HandleReply, PointEncoding};
pub(crate) use history::RequestHead;
pub(crate) use history::Traffic;

/// A running receiver; dropping it stops its thread and closes its port.
#[derive(Debug)]
pub struct Receiver {
    server: server::Server,
}

impl Receiver {
    /// The DataKit stand-in: the write interface, and the SkyWalking, Jaeger and OpenTelemetry
    /// inputs with the strictness of the original; everything else is 404.
    ///
    /// # Errors
    /// No loopback port or no thread is to be had.
    pub fn datakit(options: DatakitOptions) -> io::Result<Self> {
        Self::with(datakit::Datakit::new(options))
    }

    /// A standard collector: OTLP/HTTP on `/v1/{traces,metrics,logs}`, Jaeger on `/api/traces`,
    /// and InfluxDB-style line protocol on `/write` and `/api/v2/write`.
    ///
    /// # Errors
    /// No loopback port or no thread is to be had.
    pub fn collector() -> io::Result<Self> {
        Self::with(collector::Collector)
    }

    /// A user's handle for `remote_handle`, on every path.
    ///
    /// # Errors
    /// No loopback port or no thread is to be had.
    pub fn handle(options: HandleOptions) -> io::Result<Self> {
        Self::with(Handle::new(options))
    }

    /// A receiver of your own making.
    ///
    /// # Errors
    /// No loopback port or no thread is to be had.
    pub fn with(surface: impl Surface) -> io::Result<Self> {
        Ok(Self {
            server: server::Server::start(Box::new(surface))?,
        })
    }

    /// The address it listens on; it stays the same while the port is closed by a fault.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `http://127.0.0.1:PORT` with a path appended, which starts with `/` or is empty.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// The account of what arrived and was accepted.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.server.core().ledger
    }

    /// Replaces all faults. When this returns, they are in effect: a refused port is closed and
    /// its connections are reset, a healthy one is open again.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.server.set_faults(faults.into_iter().collect());
    }

    /// The faults with the number of requests each has hit so far.
    #[must_use]
    pub fn faults(&self) -> Vec<(Fault, u64)> {
        self.server.core().faults.list()
    }

    /// The heads of the last requests, oldest first, at most `limit`, whose path starts with
    /// `path`.
    #[must_use]
    pub fn requests(&self, path: &str, limit: usize) -> Vec<RequestHead> {
        self.server.core().history.recent(path, limit)
    }

    /// Counts of requests, connections and answers.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.server.core().history.traffic()
    }

    /// Forgets the account, the request heads and the counts; faults stay.
    pub fn reset(&self) {
        self.server.core().ledger.reset();
        self.server.core().history.reset();
    }
}
