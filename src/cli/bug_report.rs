//! `kafkamq bug-report`: what somebody who looks into a problem wants to see, in one file.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

use super::Terminal;
use super::remote::{RemoteArgs, refusal};
use super::watch::ended;
use kafkamq_delivery::private_files;

/// What is asked, and the name of its answer. Secrets are masked by the service itself.
const PARTS: [(&str, &str); 9] = [
    ("/v1/status", "status.json"),
    ("/v1/config", "config.json"),
    ("/v1/config/revisions", "revisions.json"),
    ("/v1/topics", "topics.json"),
    ("/v1/pipelines", "pipelines.json"),
    ("/v1/dead-letters?limit=100", "dead-letters.json"),
    ("/v1/log-level", "log-level.json"),
    ("/readyz", "readyz.json"),
    ("/metrics", "metrics.txt"),
];

/// Where the report goes.
#[derive(Debug, Args)]
pub(super) struct BugReportArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// The archive, a new file; without it kafkamq-bug-report-TIME.tar.gz in this folder
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the archive and says what is in it.
pub(super) fn bug_report(arguments: &BugReportArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let run = |terminal: &mut Terminal<'_>| -> Result<()> {
        let remote = arguments.remote.open()?;
        // A service that does not answer at all, or not to this caller, leaves no file behind.
        remote.get("/livez")?;
        let mut parts = Vec::new();
        for (part, name) in PARTS {
            // What one part refuses belongs into the report as well.
            let (status, body) = match remote.get(part) {
                Ok((status, body)) => (Some(status), body),
                Err(error) => (None, format!("{error:#}\n").into()),
            };
            if let Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) = status {
                bail!(
                    "{part}: {}\ngive a token with --token-file or KAFKAMQ_TOKEN; nothing was written",
                    refusal(status.unwrap_or_default(), &body)
                );
            }
            writeln!(terminal.err, "{part}: {} bytes", body.len())?;
            parts.push((name, body));
        }
        let output = arguments.output.clone().unwrap_or_else(|| {
            let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            format!("kafkamq-bug-report-{time}.tar.gz").into()
        });
        let path = output.display();
        let file = private_files::options()
            .write(true)
            .create_new(true)
            .open(&output)
            .with_context(|| {
                format!("cannot write {path}; an earlier report is not overwritten")
            })?;
        let mut archive = GzEncoder::new(file, Compression::default());
        let version = format!("kafkamq-cli {}\n", env!("CARGO_PKG_VERSION"));
        add(&mut archive, "version.txt", version.as_bytes())?;
        for (name, body) in &parts {
            add(&mut archive, name, body)?;
        }
        // Two empty blocks end an archive.
        archive.write_all(&[0; 2 * BLOCK])?;
        archive.finish()?.sync_all()?;
        writeln!(terminal.out, "{path}")?;
        writeln!(
            terminal.err,
            "secrets are masked; topic names, addresses and reasons of dead letters are in it"
        )?;
        Ok(())
    };
    ended(run(terminal), terminal)
}

const BLOCK: usize = 512;

/// Adds a file to a tar archive (POSIX ustar).
fn add(archive: &mut impl Write, name: &str, body: &[u8]) -> io::Result<()> {
    archive.write_all(&header(name, body.len()))?;
    archive.write_all(body)?;
    let padding = body.len().next_multiple_of(BLOCK) - body.len();
    archive.write_all(&[0; BLOCK][..padding])
}

fn header(name: &str, length: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        for (slot, byte) in header.iter_mut().skip(at).zip(text.bytes()) {
            *slot = byte;
        }
    };
    put(0, &format!("kafkamq-bug-report/{name}"));
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{length:011o}\0"));
    put(136, "00000000000\0");
    // The checksum is taken with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    for (slot, byte) in header
        .iter_mut()
        .skip(148)
        .zip(format!("{sum:06o}\0 ").bytes())
    {
        *slot = byte;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_padded_and_their_headers_add_up() {
        let mut archive = Vec::new();
        add(&mut archive, "a.txt", &[7; 600]).unwrap();
        assert_eq!(archive.len(), BLOCK + 2 * BLOCK);
        assert_eq!(&archive[124..136], b"00000001130\0");
        let told = std::str::from_utf8(&archive[148..154]).unwrap();
        let told = u32::from_str_radix(told, 8).unwrap();
        let blank = 8 * u32::from(b' ');
        let own: u32 = archive[148..156].iter().map(|&byte| u32::from(byte)).sum();
        let sum: u32 = archive[..BLOCK].iter().map(|&byte| u32::from(byte)).sum();
        assert_eq!(told, sum - own + blank);
    }
}
