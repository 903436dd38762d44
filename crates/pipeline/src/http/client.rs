//! The client that can only reach what its policy allows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::{HttpAnswer, HttpClient, HttpError, HttpPolicy, HttpRequest};

/// How long a request may take and how much it may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// The time from name resolution to the last byte of the body, redirects included.
    pub timeout: Duration,
    /// The bytes of a body, after decompression.
    pub body: u64,
    /// How many redirects are followed.
    pub redirects: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            body: 10 << 20,
            redirects: 10,
        }
    }
}

/// A blocking client that checks every connection against a policy.
///
/// The check sits between name resolution and connecting: it sees the very addresses that are
/// dialled, for redirect targets too, so neither a redirect nor a name that changes its address
/// gets around it. Proxies of the environment are not used, for they would.
#[derive(Debug)]
pub struct GuardedClient {
    agent: ureq::Agent,
    limits: ClientLimits,
}

impl GuardedClient {
    /// A client for this policy.
    #[must_use]
    pub fn new(policy: HttpPolicy, limits: ClientLimits) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limits.timeout))
            .http_status_as_error(false)
            .max_redirects(limits.redirects)
            .allow_non_standard_methods(true)
            .proxy(None)
            .build();
        let resolver = GuardedResolver {
            policy,
            inner: DefaultResolver::default(),
        };
        Self {
            agent: ureq::Agent::with_parts(config, DefaultConnector::default(), resolver),
            limits,
        }
    }
}

impl HttpClient for GuardedClient {
    fn request(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
        let malformed = |error: ureq::http::Error| HttpError::Malformed(error.to_string());
        let method = match request.method.as_str() {
            "" => "GET",
            method => method,
        };
        let mut builder = Request::builder().method(method).uri(request.url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let sent = match &request.body {
            Some(body) => self
                .agent
                .run(builder.body(body.as_slice()).map_err(malformed)?),
            None => self.agent.run(builder.body(()).map_err(malformed)?),
        };
        let mut answer = sent.map_err(failed)?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(self.limits.body)
            .read_to_vec()
            .map_err(failed)?;
        Ok(HttpAnswer {
            status: answer.status().as_u16(),
            body,
        })
    }
}

fn failed(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
            HttpError::Refused
        }
        other => HttpError::Failed(other.to_string()),
    }
}

/// Resolves names to the addresses the policy allows.
#[derive(Debug)]
struct GuardedResolver {
    policy: HttpPolicy,
    inner: DefaultResolver,
}

impl Resolver for GuardedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        let allowed = self
            .policy
            .allowed(uri.host().unwrap_or_default(), &addresses);
        let mut kept = self.empty();
        for address in found
            .iter()
            .filter(|address| allowed.contains(&address.ip()))
        {
            kept.push(*address);
        }
        if kept.is_empty() {
            return Err(ureq::Error::Io(std::io::Error::from(
                std::io::ErrorKind::PermissionDenied,
            )));
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    /// Answers requests with these texts, one connection each, and hands out what it was sent.
    fn serve(answers: Vec<String>) -> (SocketAddr, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, received) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                sent.send(head + &String::from_utf8(body).unwrap()).unwrap();
                // A client that hangs up early is part of the tests.
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        (address, received)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    }

    fn get(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            url: url.parse().unwrap(),
            headers: Vec::new(),
            body: None,
        }
    }

    fn local() -> HttpPolicy {
        HttpPolicy {
            internal: true,
            ..HttpPolicy::default()
        }
    }

    #[test]
    fn any_status_is_an_answer() {
        let (address, sent) = serve(vec![answer("503 Busy", "", "later")]);
        let client = GuardedClient::new(local(), ClientLimits::default());
        let request = HttpRequest {
            method: "PUT".into(),
            headers: vec![("X-Who".into(), "me".into())],
            body: Some(b"data".to_vec()),
            ..get(&format!("http://{address}/a?b=c"))
        };
        let answer = client.request(&request).unwrap();
        assert_eq!((answer.status, &*answer.body), (503, &b"later"[..]));
        let sent = sent.recv().unwrap();
        assert!(sent.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{sent}");
        assert!(sent.to_lowercase().contains("x-who: me\r\n"), "{sent}");
        assert!(!sent.to_lowercase().contains("content-type"), "{sent}");
        assert!(sent.ends_with("data"), "{sent}");
    }

    #[test]
    fn refused_targets_are_never_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = GuardedClient::new(HttpPolicy::default(), ClientLimits::default());
        for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"] {
            let result = client.request(&get(&format!("http://{host}:{port}/")));
            assert!(
                matches!(result, Err(HttpError::Refused)),
                "{host}: {result:?}"
            );
        }
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn redirects_are_checked_like_first_targets() {
        let (inner, inner_sent) = serve(vec![answer("200 OK", "", "secret")]);
        let redirect = answer(
            "302 Found",
            &format!("location: http://localhost:{}/\r\n", inner.port()),
            "",
        );
        let (outer, _outer_sent) = serve(vec![redirect]);
        let policy = HttpPolicy {
            hosts: vec!["127.0.0.1".into()],
            ..HttpPolicy::default()
        };
        let client = GuardedClient::new(policy, ClientLimits::default());
        let result = client.request(&get(&format!("http://{outer}/")));
        assert!(matches!(result, Err(HttpError::Refused)), "{result:?}");
        assert!(inner_sent.try_recv().is_err());
    }

    #[test]
    fn bodies_are_bounded() {
        let (address, _sent) = serve(vec![answer("200 OK", "", &"x".repeat(5000))]);
        let limits = ClientLimits {
            body: 1000,
            ..ClientLimits::default()
        };
        let client = GuardedClient::new(local(), limits);
        let result = client.request(&get(&format!("http://{address}/")));
        assert!(matches!(result, Err(HttpError::Failed(_))), "{result:?}");
    }

    #[test]
    fn malformed_requests_fail() {
        let client = GuardedClient::new(local(), ClientLimits::default());
        let request = HttpRequest {
            method: "BAD METHOD".into(),
            ..get("http://127.0.0.1:1/")
        };
        let result = client.request(&request);
        assert!(matches!(result, Err(HttpError::Malformed(_))), "{result:?}");
    }

    #[test]
    fn a_silent_server_does_not_hold_a_script_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let limits = ClientLimits {
            timeout: Duration::from_millis(50),
            ..ClientLimits::default()
        };
        let client = GuardedClient::new(local(), limits);
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let result = client.request(&get(&url));
        assert!(matches!(result, Err(HttpError::Failed(_))), "{result:?}");
    }
}
