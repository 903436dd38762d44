//! The lean receiver of the benchmark: takes any POST, finds the tokens in it, answers 200.
//!
//! The receivers of `kafkamq-testbed` check far more and take three times as long for it; here the
//! receiver shares its core with the broker, so it must not be what is measured.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hdrhistogram::Histogram;
use memchr::memmem;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::token::{Token, now_micros};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const READ_BYTES: usize = 256 * 1024;
/// Larger heads are not from this service.
const MAX_HEAD: usize = 64 * 1024;

/// What arrived since the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Different elements.
    pub(super) arrived: u64,
    /// Elements that had arrived before.
    pub(super) repeated: u64,
    /// Elements with a number that nobody sent.
    pub(super) unknown: u64,
    pub(super) requests: u64,
    /// Bytes of bodies.
    pub(super) bytes: u64,
}

/// Microseconds from an element's making to its arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Half of the elements arrived within this.
    pub(crate) p50: u64,
    /// 99 of 100 did.
    pub(crate) p99: u64,
    /// 999 of 1000 did.
    pub(crate) p999: u64,
    /// Elements measured.
    pub(crate) elements: u64,
}

/// The longest latency that is told from longer ones, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

#[derive(Debug)]
struct State {
    seen: Vec<u64>,
    expected: u64,
    account: Account,
    /// In microseconds. Absent only if the library refused its bounds.
    latencies: Option<Histogram<u32>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            seen: Vec::new(),
            expected: 0,
            account: Account::default(),
            // Two digits: a figure is off by 1 % at most.
            latencies: Histogram::new_with_max(LONGEST, 2).ok(),
        }
    }
}

impl State {
    fn note(&mut self, token: Token, now: u64) {
        if token.sequence >= self.expected {
            self.account.unknown += 1;
            return;
        }
        let (word, bit) = (token.sequence / 64, 1 << (token.sequence % 64));
        let Some(seen) = usize::try_from(word)
            .ok()
            .and_then(|word| self.seen.get_mut(word))
        else {
            return;
        };
        if *seen & bit == 0 {
            *seen |= bit;
            self.account.arrived += 1;
            if let Some(latencies) = &mut self.latencies {
                latencies.saturating_record(now.saturating_sub(token.micros));
            }
        } else {
            self.account.repeated += 1;
        }
    }

    fn body(&mut self, path: &[u8], body: &[u8], plain: &mut Vec<u8>) {
        let now = now_micros();
        self.account.requests += 1;
        self.account.bytes += body.len() as u64;
        if path != b"/handle" {
            for token in Token::all(body) {
                self.note(token, now);
            }
            return;
        }
        const VALUE: &[u8] = b"\"value\":\"";
        for at in memmem::find_iter(body, VALUE) {
            let value = body.get(at + VALUE.len()..).unwrap_or_default();
            let end = memchr::memchr(b'"', value).unwrap_or(0);
            plain.clear();
            let value = value.get(..end).unwrap_or_default();
            if base64_simd::STANDARD.decode_append(value, plain).is_ok() {
                for token in Token::all(plain) {
                    self.note(token, now);
                }
            }
        }
    }
}

/// A receiver and what it has seen.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    state: Arc<Mutex<State>>,
    /// While true, requests are taken and not answered.
    held: watch::Sender<bool>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
            held: watch::Sender::new(false),
        }
    }

    /// Forgets everything and expects elements with numbers below `expected`.
    pub(super) fn expect(&self, expected: u64) {
        let words = usize::try_from(expected / 64 + 1).unwrap_or(0);
        *self.state.lock() = State {
            seen: vec![0; words],
            expected,
            ..State::default()
        };
    }

    /// Withholds answers, or gives those withheld.
    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub(super) fn account(&self) -> Account {
        self.state.lock().account
    }

    pub(super) fn latency(&self) -> Latency {
        let state = self.state.lock();
        let Some(latencies) = &state.latencies else {
            return Latency::default();
        };
        let quantile = |share| latencies.value_at_quantile(share);
        Latency {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            elements: latencies.len(),
        }
    }

    /// Listens on a free port of the loopback interface.
    pub(super) async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// Serves connections until the listener fails.
    pub(super) async fn serve(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let receiver = self.clone();
            tokio::spawn(async move {
                if let Err(error) = receiver.connection(stream).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
    }

    async fn connection(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut held = self.held.subscribe();
        let mut buffer: Vec<u8> = Vec::with_capacity(READ_BYTES);
        let mut plain = Vec::new();
        loop {
            // One request, whole.
            let (head, length) = loop {
                if let Some(head) = memmem::find(&buffer, b"\r\n\r\n").map(|at| at + 4) {
                    let length = content_length(buffer.get(..head).unwrap_or_default())?;
                    if buffer.len() >= head + length {
                        break (head, length);
                    }
                    buffer.reserve(head + length - buffer.len());
                } else if buffer.len() > MAX_HEAD {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            let path = path(&buffer);
            let body = buffer.get(head..head + length).unwrap_or_default();
            self.state.lock().body(path, body, &mut plain);
            buffer.drain(..head + length);
            if held.wait_for(|held| !held).await.is_err() {
                return Ok(());
            }
            stream.write_all(ANSWER).await?;
        }
    }
}

fn path(head: &[u8]) -> &[u8] {
    let mut words = head.split(|byte| *byte == b' ');
    words.nth(1).unwrap_or_default()
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("a request without a length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn elements_are_accounted_for_across_reads() {
        let receiver = Receiver::new();
        receiver.expect(3);
        let (listener, address) = Receiver::listen().await.unwrap();
        let serving = tokio::spawn(receiver.clone().serve(listener));
        let token = |sequence| {
            let mut text = Vec::new();
            Token {
                sequence,
                micros: now_micros(),
            }
            .write(&mut text);
            String::from_utf8(text).unwrap()
        };
        let values: Vec<_> = [1, 2, 7]
            .iter()
            .map(|n| {
                let value = base64_simd::STANDARD.encode_to_string(token(*n));
                format!("{{\"topic\":\"t\",\"value\":\"{value}\"}}")
            })
            .collect();
        let mut sent = String::new();
        for (path, body) in [
            (
                "/v1/write/logging",
                format!("a {}\nb {}", token(0), token(1)),
            ),
            ("/handle", format!("[{}]", values.join(","))),
        ] {
            let length = body.len();
            sent.push_str(&format!(
                "POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        for part in sent.as_bytes().chunks(50) {
            stream.write_all(part).await.unwrap();
        }
        let mut answers = vec![0; ANSWER.len() * 2];
        stream.read_exact(&mut answers).await.unwrap();
        serving.abort();
        let account = receiver.account();
        assert_eq!(
            (
                account.arrived,
                account.repeated,
                account.unknown,
                account.requests
            ),
            (3, 1, 1, 2)
        );
        assert_eq!(receiver.latency().elements, 3);
    }
}
