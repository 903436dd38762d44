//! Files and signals as causes of a change.
//!
//! Files are compared by content and not by time or link, so that a mounted ConfigMap, whose folder
//! is swapped by one link, is one change, and writing the same content again is not a change. Contents count when two
//! looks in a row agree, so that what is only half written is not taken up.

use std::time::Duration;

use super::{ConfigurationOrigin, Reconfiguration, Request, Wanted};

/// How often files are looked at.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What one look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    files: String,
    /// Digest of the scripts, if they differ from those in force.
    scripts: Option<String>,
}

impl Reconfiguration {
    /// Takes up changes of the configuration files and of the script folder, for ever.
    pub(crate) async fn watch(self) {
        self.watch_every(WATCH_INTERVAL).await;
    }

    pub(super) async fn watch_every(self, interval: Duration) {
        let mut last = None;
        let mut tried: Option<Look> = None;
        loop {
            tokio::time::sleep(interval).await;
            let inner = std::sync::Arc::clone(&self.inner);
            let look = tokio::task::spawn_blocking(move || Look {
                files: inner.sources.files_digest(),
                scripts: inner.router.changed_scripts(),
            });
            let Ok(look) = look.await else { return };
            let settled = last.replace(look.clone()).is_some_and(|last| last == look);
            if !settled || tried.as_ref() == Some(&look) {
                continue;
            }
            let settings = std::sync::Arc::clone(&self.current().settings);
            let files = settings.server.watch && look.files != *self.inner.memory.lock().files;
            let scripts = settings.pipeline.watch && look.scripts.is_some();
            if files || scripts {
                tried = Some(look);
                let wanted = if files { Wanted::Files } else { Wanted::Same };
                // What was refused is logged and shown; the files may be mended.
                drop(
                    self.change(wanted, request(ConfigurationOrigin::Files))
                        .await,
                );
            }
        }
    }

    /// Takes up what the files say, whatever was changed at run time.
    pub(crate) async fn reload(&self) {
        drop(
            self.change(Wanted::Files, request(ConfigurationOrigin::Signal))
                .await,
        );
    }

    /// Reloads at every SIGHUP, for ever.
    ///
    /// # Errors
    /// When the signal cannot be listened to.
    pub(crate) fn reload_on_hangup(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        let this = self.clone();
        actix_rt::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!("SIGHUP: reading the files again");
                this.reload().await;
            }
        });
        Ok(())
    }
}

fn request(origin: ConfigurationOrigin) -> Request {
    Request {
        author: origin.as_str().to_owned(),
        origin,
        if_match: None,
        dry_run: false,
    }
}
