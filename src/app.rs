//! The composition root: builds everything in order, and stops it in order.
//!
//! Stop order: readiness falls, inputs take nothing more, what is in flight settles up to each
//! input's deadline and is committed, the groups are left, and the HTTP server goes last, so that
//! the end can be watched.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::actors::{Router, StartError};
use crate::dead_letters::DeadLetters;
use crate::descriptors;
use crate::introduction::introduce;
use crate::metrics::Metrics;
use crate::reconfiguration::{Beginning, Reconfiguration};
use crate::routes::tls::{ServerTlsError, remember_client, server_config};
use crate::routes::{Access, HEAVY_AT_ONCE, Shared, configure};
use crate::telemetry::{self, LogLevel};
use kafkamq_settings::{Loaded, ServerSettings, Sources};

/// Seconds that open connections of the HTTP server are given to finish.
const SERVER_GRACE_SECONDS: u64 = 2;

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AppError {
    /// Metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The actors cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server's TLS files cannot be used.
    #[error("`server.tls`: {0}")]
    Tls(#[from] ServerTlsError),
    /// The HTTP server cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// `listen` of `[server]`.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Signals cannot be handled.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    router: Router,
    server: ServerHandle,
    #[cfg(feature = "demo")]
    address: SocketAddr,
}

impl Service {
    /// Starts the service described by `loaded`, which was read from `sources`. Must be called
    /// inside an actix system. Brokers and destinations need not be there.
    ///
    /// # Errors
    /// When the settings cannot be used or the address is taken.
    pub(crate) fn start(loaded: Loaded, sources: Sources) -> Result<Self, AppError> {
        descriptors::raise();
        let metrics = Metrics::try_new()?;
        let mut beginning = Beginning::decide(loaded, &sources);
        let start = |beginning: &Beginning| {
            Router::start(Arc::new(beginning.settings().clone()), metrics.clone())
        };
        let router = match start(&beginning) {
            Ok(router) => router,
            Err(error) => {
                // What was made at run time must not keep the service from starting.
                let Some(files) = beginning.back_to_files() else {
                    return Err(error.into());
                };
                tracing::error!(%error, "what was made at run time cannot go on: the files decide");
                beginning = files;
                start(&beginning)?
            }
        };
        let settings = Arc::new(beginning.settings().clone());
        let named = sources.clone();
        let configuration =
            Reconfiguration::new(router.clone(), metrics.clone(), beginning, sources);
        let shared = Shared {
            router: router.clone(),
            configuration: configuration.clone(),
            metrics,
            access: Arc::new(ArcSwap::from_pointee(Access::from(&settings.server))),
            dead_letters: Arc::new(ArcSwap::from_pointee(DeadLetters::of(&settings))),
            log_level: LogLevel::of_process(),
            heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        };
        let access = Arc::clone(&shared.access);
        let log_level = shared.log_level.clone();
        let run_time = Arc::clone(router.run_time());
        configuration.listen(move |settings| {
            // Scripts may have given way to their files.
            run_time.keep();
            access.store(Access::from(&settings.server).into());
            if let Err(error) = log_level.configure(&settings.log.level) {
                tracing::error!(%error, "the log level stays as it is");
            }
        });
        actix_rt::spawn(configuration.clone().watch());
        configuration
            .reload_on_hangup()
            .map_err(AppError::Signals)?;
        let (handle, address) = serve(&settings.server, shared)?;
        introduce(&settings, &named, &router.routes(), address);
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "kafkamq is running");
        Ok(Self {
            router,
            server: handle,
            #[cfg(feature = "demo")]
            address,
        })
    }

    /// Where the HTTP server listens.
    #[cfg(feature = "demo")]
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops everything in order.
    pub(crate) async fn stop(self) {
        let began = std::time::Instant::now();
        tracing::info!("stopping: settling what is in flight");
        self.router.shutdown().await;
        self.server.stop(true).await;
        tracing::info!(seconds = began.elapsed().as_secs_f64(), "stopped");
    }
}

/// Starts the HTTP server. Returns it with the address that it listens on.
fn serve(
    settings: &ServerSettings,
    shared: Shared,
) -> Result<(ServerHandle, SocketAddr), AppError> {
    let listen = settings.listen;
    let workers = settings.workers.max(1);
    let connections = (descriptors::for_server() / workers).max(1);
    let body_bytes = usize::try_from(settings.max_body_bytes).unwrap_or(usize::MAX);
    let server =
        HttpServer::new(move || App::new().configure(configure(shared.clone(), body_bytes)))
            .workers(workers)
            .max_connections(connections)
            .shutdown_timeout(SERVER_GRACE_SECONDS)
            .on_connect(remember_client)
            .disable_signals();
    let server = match &settings.tls {
        Some(tls) => server.bind_rustls_0_23(listen, server_config(tls)?),
        None => server.bind(listen),
    };
    let server = server.map_err(|source| AppError::Listen {
        address: listen,
        source,
    })?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok((handle, address))
}

/// Sets up logging and runs the service until SIGTERM or SIGINT, then stops it in order.
///
/// # Errors
/// When logging cannot be set up or the service cannot be started.
pub fn run(loaded: Loaded, sources: Sources) -> anyhow::Result<()> {
    telemetry::init(&loaded.settings.log)?;
    let system = actix_rt::System::new();
    system.block_on(async {
        let service = Service::start(loaded, sources)?;
        stop_requested().await.map_err(AppError::Signals)?;
        service.stop().await;
        Ok(())
    })
}

/// Waits for the signal that asks for an orderly end.
pub(crate) async fn stop_requested() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
