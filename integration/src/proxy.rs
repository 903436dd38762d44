//! A TCP proxy on loopback that does to connections what networks do: it cuts them, holds them up,
//! slows them down, and resets them before a request is handed on, before its answer is, or after.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::paths::free_port;

const PIECE: usize = 64 * 1024;
/// How long an answer has to be read before its connection is reset.
const READING_TIME: Duration = Duration::from_millis(5);

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fair,
    /// Open connections are reset, new ones as soon as they are made.
    Down,
    /// Connections stay and nothing passes.
    Stalled,
    /// Every piece comes so much later.
    Slow(Duration),
    /// One piece of a request in so many is not handed on; its connection is reset.
    LosesRequests(u32),
    /// One piece of an answer in so many is not handed on; its connection is reset, though the
    /// request was served.
    LosesAnswers(u32),
    /// One piece of an answer in so many is the last of its connection.
    ResetsAfterAnswers(u32),
}

#[derive(Debug, Clone, Copy)]
struct Sky {
    weather: Weather,
    cuts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Towards {
    Server,
    Client,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// A running proxy; dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    sky: watch::Sender<Sky>,
    _stop: oneshot::Sender<()>,
}

impl Proxy {
    /// Stands in front of `target`, on a port of its own. What is left to chance follows `seed`.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn start(target: SocketAddr, seed: u64) -> Result<Self> {
        let port = free_port()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let fair = Sky {
            weather: Weather::Fair,
            cuts: 0,
        };
        let (sky, seen) = watch::channel(fair);
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
        std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        _ = accept(listener, target, seen, rng) => {}
                    }
                });
            })
            .context("no thread for the proxy")?;
        Ok(Self {
            port,
            sky,
            _stop: stop,
        })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its address for HTTP, with `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Changes the weather for connections that are open and those to come.
    pub fn set(&self, weather: Weather) {
        self.sky.send_modify(|sky| sky.weather = weather);
    }

    /// Resets every open connection once.
    pub fn cut(&self) {
        self.sky.send_modify(|sky| sky.cuts += 1);
    }
}

async fn accept(
    listener: std::net::TcpListener,
    target: SocketAddr,
    sky: watch::Receiver<Sky>,
    rng: Arc<Mutex<Rng>>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let (sky, rng) = (sky.clone(), Arc::clone(&rng));
        tokio::spawn(async move {
            // Whoever came learns of a failure by the end of the connection.
            let _ended = serve(client, target, sky, &rng).await;
        });
    }
}

async fn serve(
    mut client: TcpStream,
    target: SocketAddr,
    sky: watch::Receiver<Sky>,
    rng: &Mutex<Rng>,
) -> io::Result<()> {
    let cuts = {
        let sky = sky.borrow();
        if sky.weather == Weather::Down {
            return client.set_zero_linger();
        }
        sky.cuts
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        return client.set_zero_linger();
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let end = tokio::select! {
        end = pass(from_client, to_server, (Towards::Server, cuts), sky.clone(), rng) => end,
        end = pass(from_server, to_client, (Towards::Client, cuts), sky.clone(), rng) => end,
        end = cut(sky, cuts) => end,
    };
    if end.unwrap_or(End::Reset) == End::Reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

impl Sky {
    /// Whether a connection that was made after so many cuts is to be reset.
    fn cuts_off(&self, cuts: u64) -> bool {
        self.cuts > cuts || self.weather == Weather::Down
    }
}

/// Ends when connections are cut.
async fn cut(mut sky: watch::Receiver<Sky>, cuts: u64) -> io::Result<End> {
    let cut = sky.wait_for(|sky| sky.cuts_off(cuts)).await;
    Ok(cut.map_or(End::Closed, |_| End::Reset))
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    (towards, cuts): (Towards, u64),
    mut sky: watch::Receiver<Sky>,
    rng: &Mutex<Rng>,
) -> io::Result<End> {
    let strikes = |one_in: u32| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.u32(0..one_in.max(1)) == 0
    };
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(End::Closed);
        }
        let stalled = sky
            .wait_for(|sky| sky.weather != Weather::Stalled || sky.cuts_off(cuts))
            .await;
        let Ok(seen) = stalled.map(|sky| *sky) else {
            return Ok(End::Closed);
        };
        // What was sent after the cut is never handed on, whichever of the three is polled first.
        if seen.cuts_off(cuts) {
            return Ok(End::Reset);
        }
        let weather = seen.weather;
        let mut is_last = false;
        match (weather, towards) {
            (Weather::Slow(time), _) => tokio::time::sleep(time).await,
            (Weather::LosesRequests(one_in), Towards::Server)
            | (Weather::LosesAnswers(one_in), Towards::Client)
                if strikes(one_in) =>
            {
                return Ok(End::Reset);
            }
            (Weather::ResetsAfterAnswers(one_in), Towards::Client) => is_last = strikes(one_in),
            _ => {}
        }
        to.write_all(piece.get(..length).unwrap_or_default())
            .await?;
        if is_last {
            tokio::time::sleep(READING_TIME).await;
            return Ok(End::Reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream as Stream;

    /// A server that sends back what it gets, and counts it.
    fn echo() -> Result<(SocketAddr, std::sync::mpsc::Receiver<usize>)> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    let mut piece = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut piece) {
                        if tell.send(length).is_err() || stream.write_all(&piece[..length]).is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Ok((address, told))
    }

    fn ask(stream: &mut Stream) -> io::Result<[u8; 4]> {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"ping")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn what_is_lost_is_the_request_or_the_answer_as_asked_for() -> Result<()> {
        let (server, told) = echo()?;
        let proxy = Proxy::start(server, 1)?;
        let connect = || Stream::connect(proxy.address());
        let mut open = connect()?;
        assert_eq!(&ask(&mut open)?, b"ping");
        assert_eq!(told.recv()?, 4);
        proxy.cut();
        assert!(ask(&mut open).is_err(), "it was cut");

        proxy.set(Weather::LosesRequests(1));
        assert!(ask(&mut connect()?).is_err());
        assert!(told.try_recv().is_err(), "it was handed on");
        proxy.set(Weather::LosesAnswers(1));
        assert!(ask(&mut connect()?).is_err());
        assert_eq!(told.recv()?, 4, "it was not handed on");

        proxy.set(Weather::ResetsAfterAnswers(1));
        let mut last = connect()?;
        assert_eq!(&ask(&mut last)?, b"ping");
        assert!(ask(&mut last).is_err());
        Ok(())
    }

    #[test]
    fn a_stalled_connection_goes_on_when_the_weather_is_fair() -> Result<()> {
        let (server, told) = echo()?;
        let proxy = Proxy::start(server, 1)?;
        let mut open = Stream::connect(proxy.address())?;
        assert_eq!(&ask(&mut open)?, b"ping");
        assert_eq!(told.recv()?, 4);
        proxy.set(Weather::Stalled);
        let waiting = std::thread::spawn(move || ask(&mut open));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        proxy.set(Weather::Fair);
        assert_eq!(told.recv()?, 4);
        assert!(waiting.join().is_ok_and(|answer| answer.is_ok()));
        Ok(())
    }
}
