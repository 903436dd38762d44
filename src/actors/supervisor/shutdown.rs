//! The end of all inputs, and of points that belong to no record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Arbiter, Handler, ResponseActFuture};

use super::{FINAL_DELIVERY_GRACE, Supervisor};
use crate::actors::directory::Directory;
use crate::actors::messages::{Flush, GetDestinationStatus, SendAggregated, Shutdown};

/// Time beyond the drain for clients to commit, leave and close.
const CLOSE_GRACE: Duration = Duration::from_secs(10);
/// How long the end waits for the recorder's files.
const RECORDER_GRACE: Duration = Duration::from_secs(2);

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        let threads = self.stop_inputs();
        let arbiters = std::mem::take(&mut self.threads.owned);
        let drain = self
            .inputs
            .values()
            .map(|input| input.settings.drain_timeout)
            .max();
        let deadline = drain.unwrap_or_default() + CLOSE_GRACE;
        let directory = Arc::clone(&self.directory);
        let recorder = self.recorder.clone();
        Box::pin(wrap_future(async move {
            let (told, joined) = tokio::sync::oneshot::channel();
            // Not a blocking task: the runtime would wait for it at the end, however long.
            std::thread::spawn(move || {
                let well = threads.into_iter().all(|thread| thread.join().is_ok());
                told.send(well).ok();
            });
            match tokio::time::timeout(deadline, joined).await {
                Ok(Ok(true)) => {}
                Ok(_) => tracing::error!("a consumer thread panicked"),
                // The client library can wait for ever for a group that rebalances meanwhile. What
                // was settled is committed by then, and the member leaves by time-out.
                Err(_) => tracing::warn!("a client did not close in time and is left behind"),
            }
            deliver_the_rest(&directory).await;
            let ended = tokio::task::spawn_blocking(move || {
                let ended = end(arbiters);
                if recorder.is_some_and(|recorder| !recorder.flush(RECORDER_GRACE)) {
                    tracing::warn!("the last points recorded may be missing in the files");
                }
                ended
            });
            if !ended.await.unwrap_or(false) {
                tracing::error!("an arbiter's thread panicked");
            }
        }))
    }
}

/// Sends what aggregation has gathered, which has no offset, and waits until destinations
/// have taken it or the grace is over.
async fn deliver_the_rest(directory: &Directory) {
    let addresses = Arc::clone(&directory.load());
    let Some(parser) = addresses.parsers.first() else {
        return;
    };
    if parser.send(SendAggregated).await.is_err() {
        return;
    }
    let deadline = Instant::now() + FINAL_DELIVERY_GRACE;
    for forwarder in addresses.forwarders.values() {
        forwarder.do_send(Flush);
        while let Ok(status) = forwarder.send(GetDestinationStatus).await {
            // Everything else was not committed and is read again.
            let waiting = status.items_without_offsets;
            if waiting == 0 {
                break;
            }
            if Instant::now() >= deadline {
                tracing::warn!(
                    destination = status.name,
                    waiting,
                    "points of aggregation, or of an output that is not required, are lost"
                );
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Ends the threads of all actors, and with them the actors. Returns whether all ended well.
fn end(arbiters: Vec<Arbiter>) -> bool {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    arbiters.into_iter().all(|arbiter| arbiter.join().is_ok())
}
