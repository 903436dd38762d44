//! Where the built binaries, the cache and free ports are, and what to do when something is not.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

/// Something of the machine that a test needs is not there.
#[derive(Debug)]
pub struct Missing(pub String);

/// What a test does about a missing thing: outside CI it says so and passes, with `CI=true` it
/// fails.
///
/// # Errors
/// In CI, naming the thing.
#[expect(
    clippy::print_stderr,
    reason = "the reason belongs into the test's output"
)]
pub fn skip_or_fail(missing: &Missing) -> Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        bail!("CI has to run this test, but {}", missing.0);
    }
    eprintln!("SKIPPED: {}", missing.0);
    Ok(())
}

/// A binary of the workspace, built with the same profile as the running test.
///
/// # Errors
/// It is not there; the message tells how to build it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let running = std::env::current_exe().context("the running program has no path")?;
    let folder = running
        .parent()
        .map(|parent| match parent.file_name() {
            Some(name) if name == "deps" => parent.parent().unwrap_or(parent),
            _ => parent,
        })
        .ok_or_else(|| anyhow!("the running program lies in no folder"))?;
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is missing: build it with `cargo build -p kafkamq -p kafkamq-integration` and the \
             profile of this test",
            path.display()
        );
    }
    Ok(path)
}

/// This crate's folder.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What was fetched from package registries; ignored by git.
pub(crate) fn cache() -> PathBuf {
    home().join(".kafka")
}

/// A loopback port that is free now. It lies below the range from which systems take the ports of
/// outgoing connections, so that it is still free when a server that was stopped comes back to it.
///
/// # Errors
/// None is free.
pub fn free_port() -> Result<u16> {
    for _ in 0..200 {
        let port = fastrand::u16(12_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port");
}
