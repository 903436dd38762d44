//! The listener, its connections and the faults on the way of a request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::{Condvar, Mutex};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot, watch};

use super::exchange::{Answer, Request, Surface};
use super::history::{History, Kept};
use super::reply::{Reply, ResetMark, Socket};
use crate::faults::{Decision, Fault, FaultKind, Faults, holds};
use crate::ledger::Ledger;

/// How long a change of faults may take to come into effect before it is left to itself.
const SETTLE: Duration = Duration::from_secs(10);
const BACKLOG: u32 = 1024;

/// What the threads of a receiver share.
pub(super) struct Core {
    surface: Box<dyn Surface>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) faults: Faults,
    pub(super) history: History,
    wanted: AtomicU64,
    changed: Notify,
    applied: Mutex<u64>,
    settled: Condvar,
    /// Counts the times all connections had to go.
    cut: watch::Sender<u64>,
}

/// A receiver's thread.
pub(super) struct Server {
    core: Arc<Core>,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn start(surface: Box<dyn Surface>) -> io::Result<Self> {
        let core = Arc::new(Core {
            surface,
            ledger: Arc::default(),
            faults: Faults::default(),
            history: History::default(),
            wanted: AtomicU64::new(0),
            changed: Notify::new(),
            applied: Mutex::new(0),
            settled: Condvar::new(),
            cut: watch::Sender::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (started, start) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&core);
        let thread = std::thread::Builder::new()
            .name("testbed-receiver".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let listener = hold(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
                        .and_then(|socket| socket.listen(BACKLOG))
                        .and_then(|listener| Ok((listener.local_addr()?, listener)));
                    let (addr, outcome) = match listener {
                        Ok((addr, listener)) => (Ok(addr), Some((addr, listener))),
                        Err(error) => (Err(error), None),
                    };
                    let told = started.send(addr).is_ok();
                    if let (true, Some((addr, listener))) = (told, outcome) {
                        tokio::select! {
                            _ = stopped => {}
                            () = accept(&shared, addr, listener) => {}
                        }
                    }
                });
            })?;
        let addr = start.recv().map_err(io::Error::other)??;
        Ok(Self {
            core,
            addr,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        self.core.faults.set(faults);
        let wanted = self.core.wanted.fetch_add(1, Ordering::AcqRel) + 1;
        self.core.changed.notify_one();
        let deadline = Instant::now() + SETTLE;
        let mut applied = self.core.applied.lock();
        while *applied < wanted {
            if self
                .core
                .settled
                .wait_until(&mut applied, deadline)
                .timed_out()
            {
                tracing::warn!("the faults have not come into effect yet");
                return;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.stop.take().is_some_and(|stop| stop.send(()).is_err()) {
            tracing::debug!("the receiver's thread has ended already");
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a receiver's thread panicked");
        }
    }
}

/// A bound socket that does not listen: connecting to it is refused, and the port stays taken.
fn hold(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

enum Port {
    Open(TcpListener),
    Closed(Option<TcpSocket>),
}

impl Port {
    /// Opens or closes; tells whether connections have to go. Fails only if the port was lost.
    fn turn(&mut self, refuse: bool, addr: SocketAddr) -> io::Result<bool> {
        match self {
            Self::Open(_) if refuse => {
                *self = Self::Closed(None);
                // The kernel may not have let go of the listener yet; the port stays closed either way.
                *self = Self::Closed(hold(addr).ok());
                Ok(true)
            }
            Self::Closed(held) if !refuse => {
                let socket = held.take().map_or_else(|| hold(addr), Ok)?;
                *self = Self::Open(socket.listen(BACKLOG)?);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Closed(_) => std::future::pending().await,
        }
    }
}

async fn accept(core: &Arc<Core>, addr: SocketAddr, listener: TcpListener) {
    let mut port = Port::Open(listener);
    let mut connections = 0;
    loop {
        let wanted = core.wanted.load(Ordering::Acquire);
        let (refuse, next) = core.faults.refusing();
        let mut next = next.map(tokio::time::Instant::from_std);
        match port.turn(refuse, addr) {
            Ok(cut) => {
                if cut {
                    core.cut.send_modify(|times| *times += 1);
                }
                *core.applied.lock() = wanted;
                core.settled.notify_all();
            }
            Err(error) => {
                tracing::warn!(%error, %addr, "cannot open the port again yet");
                next = Some(tokio::time::Instant::now() + Duration::from_millis(20));
            }
        }
        tokio::select! {
            biased;
            () = core.changed.notified() => {}
            () = tokio::time::sleep_until(next.unwrap_or_else(tokio::time::Instant::now)), if next.is_some() => {}
            accepted = port.accept() => match accepted {
                Ok(stream) => {
                    connections += 1;
                    core.history.connected();
                    tokio::spawn(connection(Arc::clone(core), stream, connections));
                }
                Err(error) => tracing::debug!(%error, "accept failed"),
            },
        }
    }
}

async fn connection(core: Arc<Core>, stream: TcpStream, number: u64) {
    let mut cut = core.cut.subscribe();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mark = ResetMark::default();
    let io = TokioIo::new(Socket {
        stream,
        mark: mark.clone(),
    });
    let at_cut = mark.clone();
    let service =
        service_fn(move |request| exchange(Arc::clone(&core), mark.clone(), number, request));
    let served = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(io, service);
    tokio::select! {
        biased;
        _ = cut.changed() => at_cut.set(),
        outcome = served => if let Err(error) = outcome {
            tracing::debug!(%error, "connection ended");
        },
    }
}

/// How a request ends.
enum End {
    Answer(Answer),
    /// Never.
    Hang,
    /// By a reset of the connection, without an answer.
    Reset,
    /// By a reset in the middle of an answer.
    Broken,
}

/// What became of a request: its end, what was found in it, and whether a fault decided.
struct Outcome {
    end: End,
    ids: usize,
    notes: Vec<&'static str>,
    faulted: bool,
}

impl Outcome {
    const fn reset() -> Self {
        Self {
            end: End::Reset,
            ids: 0,
            notes: Vec::new(),
            faulted: true,
        }
    }

    const fn status(&self) -> u16 {
        match &self.end {
            End::Answer(answer) => answer.status.as_u16(),
            End::Hang | End::Reset | End::Broken => 0,
        }
    }
}

async fn exchange(
    core: Arc<Core>,
    mark: ResetMark,
    connection: u64,
    request: http::Request<Incoming>,
) -> io::Result<Response<Reply>> {
    let _in_flight = core.history.enter();
    let (head, mut body) = request.into_parts();
    let decision = core.faults.decide(head.uri.path());
    let (outcome, body_bytes) = if let Some((FaultKind::ResetRequest, false)) = decision.action {
        // The first piece only, so that the reset comes while the body is on its way.
        let first = body
            .frame()
            .await
            .and_then(Result::ok)
            .and_then(|frame| frame.into_data().ok());
        (Outcome::reset(), first.map_or(0, |bytes| bytes.len()))
    } else {
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if !decision.delay.is_zero() {
            tokio::time::sleep(decision.delay).await;
        }
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            body: &body,
        };
        (settle(&core, &request, decision), body.len())
    };
    core.history.note(Kept {
        at: SystemTime::now(),
        connection,
        status: outcome.status(),
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body_bytes: body_bytes as u64,
        ids: outcome.ids,
        faulted: outcome.faulted,
        notes: outcome.notes,
    });
    match outcome.end {
        End::Answer(answer) => Ok(respond(answer)),
        End::Hang => std::future::pending().await,
        End::Reset => {
            mark.set();
            Err(io::ErrorKind::ConnectionReset.into())
        }
        End::Broken => Ok(Response::new(Reply::broken(mark))),
    }
}

/// Decides how a request ends and accounts for what was accepted of it.
fn settle(core: &Core, request: &Request<'_>, decision: Decision) -> Outcome {
    let fault = fault_for(core, request, decision);
    let partial = match &fault {
        Some((FaultKind::PartialSuccess { rejected, message }, _)) => core
            .surface
            .partial(request, *rejected, message)
            .map(|answer| (answer, *rejected as usize)),
        _ => None,
    };
    let rejected = match &fault {
        None | Some((FaultKind::PartialSuccess { .. }, _)) => {
            Some(partial.as_ref().map_or(0, |(_, rejected)| *rejected))
        }
        Some((_, accept)) => accept.then_some(0),
    };
    let mut found = rejected.map(|rejected| {
        let answer = core.surface.answer(request);
        if answer.status.is_success() {
            core.ledger.anonymous(answer.anonymous);
            core.ledger.delivered(
                answer.ids.get(rejected..).unwrap_or_default(),
                request.body.len() as u64,
            );
        }
        answer
    });
    let ids = found.as_ref().map_or(0, |answer| answer.ids.len());
    let notes = found
        .as_mut()
        .map(|answer| std::mem::take(&mut answer.notes))
        .unwrap_or_default();
    let faulted = fault.is_some();
    let end = match (fault.map(|(kind, _)| kind), found) {
        (None, Some(answer)) => End::Answer(answer),
        (Some(FaultKind::PartialSuccess { .. }), Some(answer)) => {
            let partial = partial.filter(|_| answer.status.is_success());
            End::Answer(partial.map_or(answer, |(partial, _)| partial))
        }
        (Some(FaultKind::Hang), _) => End::Hang,
        (Some(FaultKind::ResetRequest), _) => End::Reset,
        (Some(FaultKind::ResetResponse), _) => End::Broken,
        (Some(kind), _) => End::Answer(faulty(core, request, &kind)),
        // Without a fault there is an answer; were it not so, the request would not be accounted.
        (None, None) => End::Reset,
    };
    Outcome {
        end,
        ids,
        notes,
        faulted,
    }
}

/// The fault that decides this request: one that depends on the body goes before the others.
fn fault_for(core: &Core, request: &Request<'_>, decision: Decision) -> Option<(FaultKind, bool)> {
    for (at, kind, accept) in decision.conditions {
        let met = match &kind {
            FaultKind::TooLarge { bytes } => request.body.len() as u64 > *bytes,
            FaultKind::Poison { marker, .. } => holds(&core.surface.content(request), marker),
            _ => false,
        };
        if met {
            core.faults.hit(at);
            return Some((kind, accept));
        }
    }
    decision.action
}

fn faulty(core: &Core, request: &Request<'_>, kind: &FaultKind) -> Answer {
    let usual = |status| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        core.surface.failure(request, status)
    };
    match kind {
        FaultKind::Status {
            status,
            retry_after,
            body,
        } => {
            let mut answer = usual(*status);
            if let Some(body) = body {
                answer.body = Bytes::from(body.clone());
            }
            match retry_after.map(|after| HeaderValue::from_str(&after.header())) {
                Some(Ok(value)) => answer.header(RETRY_AFTER, value),
                _ => answer,
            }
        }
        FaultKind::Poison { status, .. } => usual(*status),
        FaultKind::TooLarge { .. } => usual(StatusCode::PAYLOAD_TOO_LARGE.as_u16()),
        _ => usual(StatusCode::INTERNAL_SERVER_ERROR.as_u16()),
    }
}

fn respond(answer: Answer) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        response.headers_mut().append(name, value);
    }
    response
}
