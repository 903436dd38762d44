//! Proxies between this machine and a destination.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::answer::{Layer, TransportError};

/// Longest answer to `CONNECT` that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// What names a proxy. Without any, requests are not looked at.
const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Which proxy requests go through.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Proxies {
    /// Every request goes to its address directly.
    #[default]
    None,
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say (also in small letters),
    /// except for addresses of this machine.
    Environment,
    /// One for all addresses.
    One(String),
}

/// The proxies of a transport.
pub(super) struct ProxyTable(Option<Matcher>);

impl ProxyTable {
    pub(super) fn new(proxies: &Proxies) -> Self {
        Self(match proxies {
            Proxies::None => None,
            Proxies::Environment => VARIABLES
                .iter()
                .any(|name| std::env::var_os(name).is_some())
                .then(Matcher::from_env),
            Proxies::One(address) => Some(Matcher::builder().all(address.as_str()).build()),
        })
    }

    /// The proxy for `uri`, if there is one.
    pub(super) fn of(&self, uri: &Uri) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        if is_loopback(uri.host().unwrap_or_default()) {
            return None;
        }
        matcher.intercept(uri)
    }

    /// What the proxy for plain requests to `uri` wants to know of us.
    pub(super) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        self.0.as_ref()?;
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
            return None;
        }
        let mut value = self.of(uri)?.basic_auth()?.clone();
        value.set_sensitive(true);
        Some(value)
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Host and port of a proxy.
///
/// # Errors
/// If it is not spoken to over plain HTTP, which is all that is supported.
pub(super) fn place(proxy: &Intercept) -> Result<(&str, u16), TransportError> {
    let uri = proxy.uri();
    match (uri.scheme_str(), uri.host()) {
        (Some("http") | None, Some(host)) => {
            Ok((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80)))
        }
        (scheme, _) => Err(TransportError::new(
            Layer::Connect,
            format!(
                "the proxy has the scheme `{}`, only http:// is supported",
                scheme.unwrap_or_default()
            ),
        )),
    }
}

/// Asks the proxy behind `stream` for a tunnel to `host` and `port`.
///
/// # Errors
/// [`Layer::Connect`] if it does not give one.
pub(super) async fn tunnel(
    stream: &mut TcpStream,
    proxy: &Intercept,
    host: &str,
    port: u16,
) -> Result<(), TransportError> {
    let refused = |what: String| TransportError::new(Layer::Connect, format!("proxy: {what}"));
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(value) = proxy.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let io = |error: std::io::Error| refused(error.to_string());
    stream.write_all(&request).await.map_err(io)?;
    let mut answer = Vec::new();
    // Byte by byte at the end of the head: what follows belongs to the handshake of TLS.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER_BYTES {
            return Err(refused("its answer is too long".to_owned()));
        }
        let byte = stream.read_u8().await.map_err(io)?;
        answer.push(byte);
    }
    let head = String::from_utf8_lossy(&answer);
    let line = head.lines().next().unwrap_or_default();
    let status = line.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(()),
        "407" => Err(refused(
            "407, it wants other credentials than those in the variable".to_owned(),
        )),
        _ => Err(refused(format!("it answers `{line}`"))),
    }
}
