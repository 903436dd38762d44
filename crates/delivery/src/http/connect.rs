//! Makes connections, and says in which layer that failed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::super::answer::{Layer, TransportError};
use super::TransportOptions;
use super::proxy::{ProxyTable, place, tunnel};
use super::tls::{TlsError, TlsOptions};

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether requests on it are read by a proxy.
    proxied: bool,
    since: Instant,
}

/// When a connection was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectedAt(pub(super) Instant);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = self.inner.connected().proxy(self.proxied);
        connected.extra(ConnectedAt(self.since))
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(ctx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(ctx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(ctx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(ctx, pieces)
    }
}

/// Name resolution, TCP and TLS under one timeout. Clones share the TLS sessions.
#[derive(Clone)]
pub(super) struct Connector(Arc<Shared>);

struct Shared {
    timeout: Duration,
    options: TlsOptions,
    proxies: ProxyTable,
    /// Made with the first `https` connection unless the user's files had to be checked earlier:
    /// reading the certificates of the system costs a start that needs none.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn try_new(options: &TransportOptions) -> Result<Self, TlsError> {
        let shared = Shared {
            timeout: options.connect_timeout,
            options: options.tls.clone(),
            proxies: ProxyTable::new(&options.proxies),
            config: OnceLock::new(),
        };
        if options.tls != TlsOptions::default() {
            shared.config()?;
        }
        Ok(Self(Arc::new(shared)))
    }

    /// Connects as far as requests need it.
    pub(super) async fn dial(&self, uri: &Uri) -> Result<Stream, TransportError> {
        let shared = &self.0;
        let deadline = Instant::now() + shared.timeout;
        let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let proxy = shared.proxies.of(uri);
        let mut stream = match &proxy {
            None => shared.tcp(host, port, deadline).await?,
            Some(proxy) => {
                let (host, port) = place(proxy)?;
                shared.tcp(host, port, deadline).await?
            }
        };
        // Requests are written whole; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let since = Instant::now();
        if !https {
            return Ok(Stream {
                inner: MaybeHttpsStream::Http(TokioIo::new(stream)),
                proxied: proxy.is_some(),
                since,
            });
        }
        if let Some(proxy) = &proxy {
            match timeout_at(deadline, tunnel(&mut stream, proxy, host, port)).await {
                Ok(made) => made?,
                Err(_) => {
                    let message = format!("proxy: no tunnel within {:?}", shared.timeout);
                    return Err(TransportError::new(Layer::Connect, message));
                }
            }
        }
        let stream = TokioIo::new(stream);
        let tls = |message: String| TransportError::new(Layer::Tls, message);
        let config = shared.config().map_err(|error| tls(error.to_string()))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| tls(error.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, TokioIo::new(stream));
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => Ok(Stream {
                inner: stream.into(),
                proxied: false,
                since,
            }),
            Ok(Err(error)) => Err(tls(error.to_string())),
            Err(_) => Err(tls(format!("no handshake within {:?}", shared.timeout))),
        }
    }
}

impl Connector {
    /// What the proxy for plain requests to `uri` wants to know of us.
    pub(super) fn proxy_authorization(&self, uri: &Uri) -> Option<http::HeaderValue> {
        self.0.proxies.authorization(uri)
    }
}

impl Shared {
    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let made = self.options.client_config()?;
        Ok(self.config.get_or_init(|| Arc::new(made)).clone())
    }

    async fn tcp(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, TransportError> {
        let addresses: Vec<SocketAddr> = match timeout_at(deadline, lookup_host((host, port))).await
        {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => {
                return Err(TransportError::new(
                    Layer::Dns,
                    format!("`{host}`: {error}"),
                ));
            }
            Err(_) => {
                let message = format!("`{host}`: no answer within {:?}", self.timeout);
                return Err(TransportError::new(Layer::Dns, message));
            }
        };
        let mut last = None;
        let mut left = addresses.len() as u32;
        for address in addresses {
            // Every address gets an equal share of the time, or one that swallows packets would
            // keep the others from being tried.
            let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
            left -= 1;
            let outcome = timeout_at(Instant::now() + share, TcpStream::connect(address)).await;
            match outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(format!("{address}: {error}")),
            }
        }
        let message = last.unwrap_or_else(|| format!("`{host}` has no address"));
        Err(TransportError::new(Layer::Connect, message))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send>>;

    fn poll_ready(&mut self, _ctx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.dial(&uri).await })
    }
}
