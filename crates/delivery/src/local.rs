//! Delivery to this machine: files and standard output, written by a thread of their own.
//!
//! A disk or a pipe can block for as long as it likes, so nothing here runs on an actor's thread: a
//! [`LocalWriter`] hands each request to its thread and waits for what came of it. It promises that
//! a request which was answered with success is written (and, for files, on disk); that requests are
//! written one after the other in the order in which they were handed over; and that the process can
//! end while the thread is stuck.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::answer::{Layer, Reply, TransportError};
use super::lanes::Item;

mod files;

pub use files::{FileOptions, Files};

/// What a thread writes to.
pub trait Medium: Send + 'static {
    /// Writes all of `items`, each as a line, under `name`. On an error, the caller writes all of
    /// them again later.
    ///
    /// # Errors
    /// What the system said.
    fn write(&mut self, name: &str, items: &[Item]) -> io::Result<()>;
}

struct Job {
    name: Arc<str>,
    items: Arc<[Item]>,
    done: oneshot::Sender<io::Result<()>>,
}

/// A handle on the thread that writes; clones share it. The thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct LocalWriter {
    jobs: mpsc::Sender<Job>,
}

impl LocalWriter {
    /// Starts the thread that writes to `medium`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(thread: &str, mut medium: impl Medium) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run = move || {
            for job in queue {
                // Nobody waits for what was called off; it is handed over again if it is wanted.
                if job.done.is_closed() {
                    continue;
                }
                let written = medium.write(&job.name, &job.items);
                // Whoever went away meanwhile learns of it by sending the records again.
                drop(job.done.send(written));
            }
        };
        std::thread::Builder::new()
            .name(thread.to_owned())
            .spawn(run)?;
        Ok(Self { jobs })
    }

    /// Has `items` written under `name`.
    ///
    /// # Errors
    /// [`Layer::Access`] if somebody has to act, [`Layer::Disk`] if it may pass by itself. All of
    /// the items are to be sent again.
    pub async fn send(&self, name: Arc<str>, items: Arc<[Item]>) -> Result<Reply, TransportError> {
        let (done, written) = oneshot::channel();
        let job = Job { name, items, done };
        let gone = || TransportError::new(Layer::Disk, "the thread that writes has ended");
        self.jobs.send(job).map_err(|_| gone())?;
        match written.await.map_err(|_| gone())? {
            Ok(()) => Ok(Reply::Taken),
            Err(error) => Err(TransportError::new(layer(&error), error.to_string())),
        }
    }
}

/// A full disk is emptied, by rotation if not by hand; a path that cannot be used is not.
fn layer(error: &io::Error) -> Layer {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::BrokenPipe
        | Kind::PermissionDenied
        | Kind::ReadOnlyFilesystem
        | Kind::NotFound
        | Kind::NotADirectory
        | Kind::AlreadyExists
        | Kind::IsADirectory => Layer::Access,
        _ => Layer::Disk,
    }
}

/// The items as lines.
fn lines(items: &[Item]) -> Vec<u8> {
    let bytes: usize = items.iter().map(|item| item.body.len() + 1).sum();
    let mut lines = Vec::with_capacity(bytes);
    for item in items {
        lines.extend_from_slice(&item.body);
        lines.push(b'\n');
    }
    lines
}

/// A stream that is written as it is, such as standard output.
#[derive(Debug)]
pub struct Stream<W>(W);

impl<W: Write + Send + 'static> Stream<W> {
    /// Writes to `stream`, which should not buffer: a request counts as delivered when the system
    /// took it.
    pub const fn new(stream: W) -> Self {
        Self(stream)
    }
}

impl<W: Write + Send + 'static> Medium for Stream<W> {
    fn write(&mut self, _: &str, items: &[Item]) -> io::Result<()> {
        self.0.write_all(&lines(items))?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::task::Poll;

    use super::*;

    fn items(bodies: &[&'static str]) -> Arc<[Item]> {
        bodies
            .iter()
            .map(|body| Item {
                record: 0,
                body: (*body).into(),
            })
            .collect()
    }

    #[actix_rt::test]
    async fn a_stream_gets_one_line_an_item_and_a_broken_pipe_needs_somebody() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stdout = LocalWriter::start("stdout", Stream::new(writer)).unwrap();
        let answer = stdout.send("x".into(), items(&["a b=1", "c d=2"])).await;
        assert!(matches!(answer, Ok(Reply::Taken)));
        let mut read = [0; 12];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"a b=1\nc d=2\n");
        drop(reader);
        let error = stdout.send("x".into(), items(&["a b=1"])).await;
        assert_eq!(error.unwrap_err().layer, Layer::Access);
    }

    #[actix_rt::test]
    async fn a_stuck_reader_stops_nobody_but_its_own_output() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stdout = LocalWriter::start("stdout", Stream::new(writer)).unwrap();
        // More than any pipe holds, so it waits for the reader.
        let large: Arc<[Item]> = [Item {
            record: 0,
            body: vec![b'x'; 4 << 20].into(),
        }]
        .into();
        let mut sent = std::pin::pin!(stdout.send("x".into(), large));
        let pending =
            std::future::poll_fn(|task| Poll::Ready(sent.as_mut().poll(task).is_pending()));
        assert!(pending.await);
        let all = std::thread::spawn(move || {
            let mut read = vec![0; (4 << 20) + 1];
            reader.read_exact(&mut read).unwrap();
            read
        });
        assert!(matches!(sent.await, Ok(Reply::Taken)));
        assert_eq!(all.join().unwrap().last(), Some(&b'\n'));
    }
}
