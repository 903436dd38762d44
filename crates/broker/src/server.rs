//! The broker's thread: accepts connections, carries out calls of the in-process side, and ends with everything it started.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::connection;
use crate::shared::{HOST, Shared};

/// Connections the system may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// What the in-process side wants. Done when the sender in it has been dropped.
pub(crate) enum Command {
    /// Close the port and all connections.
    Down(std_mpsc::Sender<io::Error>),
    /// Open the port again.
    Up(std_mpsc::Sender<io::Error>),
    /// Close all connections.
    Drop(std_mpsc::Sender<io::Error>),
    /// End.
    Stop,
}

/// The port: open, or kept from others without being open, so that connecting is refused.
enum Port {
    Open(TcpListener),
    Closed(TcpSocket),
    /// Could not be bound again.
    Lost,
}

/// Binds the port and serves until `Command::Stop`, or until the other side of `commands` is gone. The port bound, or
/// why none could be, goes to `ready`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: std_mpsc::Sender<io::Result<u16>>,
) {
    let bound = bind(shared.options.port).and_then(|socket| {
        let listener = socket.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        shared.set_port(port);
        Ok((listener, port))
    });
    let mut port = match bound {
        Ok((listener, port)) => {
            drop(ready.send(Ok(port)));
            Port::Open(listener)
        }
        Err(error) => {
            drop(ready.send(Err(error)));
            return;
        }
    };
    let mut connections = JoinSet::new();
    let timer = shared.coordinator.keep_time();
    tokio::pin!(timer);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None | Some(Command::Stop) => return,
                Some(Command::Drop(_done)) => connections.shutdown().await,
                Some(Command::Down(done)) => {
                    port = close(port, shared.port(), &done);
                    connections.shutdown().await;
                }
                Some(Command::Up(done)) => port = open(port, shared.port(), &done),
            },
            (stream, peer) = accept(&port) => {
                connections.spawn(connection::serve(Arc::clone(&shared), stream, peer));
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!("a connection of the embedded broker panicked");
                }
            }
            () = &mut timer => {}
        }
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(
        HOST.parse().map_err(io::Error::other)?,
        port,
    ))?;
    Ok(socket)
}

fn close(port: Port, number: u16, failed: &std_mpsc::Sender<io::Error>) -> Port {
    match port {
        Port::Closed(socket) => Port::Closed(socket),
        Port::Open(listener) => {
            drop(listener);
            settle(bind(number).map(Port::Closed), failed)
        }
        Port::Lost => settle(bind(number).map(Port::Closed), failed),
    }
}

fn open(port: Port, number: u16, failed: &std_mpsc::Sender<io::Error>) -> Port {
    let socket = match port {
        Port::Open(listener) => return Port::Open(listener),
        Port::Closed(socket) => Ok(socket),
        Port::Lost => bind(number),
    };
    settle(
        socket
            .and_then(|socket| socket.listen(BACKLOG))
            .map(Port::Open),
        failed,
    )
}

fn settle(port: io::Result<Port>, failed: &std_mpsc::Sender<io::Error>) -> Port {
    port.unwrap_or_else(|error| {
        drop(failed.send(error));
        Port::Lost
    })
}

async fn accept(port: &Port) -> (TcpStream, SocketAddr) {
    let Port::Open(listener) = port else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "the embedded broker cannot accept a connection");
                // Mostly a lack of file descriptors, which lasts.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
