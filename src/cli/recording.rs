//! `kafkamq recording`: what the recorder wrote, sent to an output.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Point};

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::actors::Carrier;
use crate::routing::{OutputRoute, RouteTable};
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::Item;
use kafkamq_delivery::status::{Verdict, classify};
use kafkamq_settings::{OutputSettings, Settings, load};

/// Tries with one request before the command gives up.
const TRIES: u32 = 5;
/// Pause between them.
const PAUSE: Duration = Duration::from_secs(1);

/// What to do with a recording.
#[derive(Debug, Args)]
pub(super) struct RecordingArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send what the recorder wrote to an output
    ///
    /// Times are shifted so that the newest point of all files is now; the distances between points
    /// stay.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Name of the output; the first one when absent
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Folder of the recording instead of that of the configuration
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// Leave times as they were recorded
    #[arg(long)]
    original_times: bool,
}

/// What became of a recording.
#[derive(Debug, Default)]
struct Sent {
    delivered: usize,
    refused: usize,
    /// Why the first of those was refused.
    reason: Option<String>,
}

/// Does what is asked for with a recording.
pub(super) fn recording(arguments: &RecordingArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let loaded = match load(&arguments.config.sources()) {
        Ok(loaded) => loaded,
        Err(found) => {
            write!(terminal.err, "{found}")?;
            return Ok(INVALID);
        }
    };
    let Action::Replay(replay) = &arguments.action;
    match self::replay(&loaded.settings, replay) {
        Ok(sent) => {
            writeln!(terminal.out, "{} points delivered", sent.delivered)?;
            if let Some(reason) = &sent.reason {
                let count = sent.refused;
                writeln!(terminal.err, "error: {count} points refused: {reason}")?;
                return Ok(FAILED);
            }
            Ok(FINE)
        }
        Err(error) => {
            writeln!(terminal.err, "error: {error:#}")?;
            Ok(FAILED)
        }
    }
}

fn replay(settings: &Settings, arguments: &ReplayArgs) -> anyhow::Result<Sent> {
    let folder = arguments.path.as_deref().unwrap_or(&settings.recorder.path);
    let files = files(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    anyhow::ensure!(
        !files.is_empty(),
        "there is no recording in {}",
        folder.display()
    );
    let shift = match arguments.original_times {
        true => 0,
        false => SystemClock.now_ns().saturating_sub(newest(&files)?),
    };
    let wanted = |output: &&OutputSettings| {
        let name = arguments.output.as_ref();
        name.is_none_or(|name| *name == output.name)
    };
    let output = settings.outputs.iter().find(wanted);
    let output = output.context("there is no output of this name")?;
    let routes = RouteTable::compile(settings, 1)?;
    let route = routes
        .outputs
        .iter()
        .find(|route| *route.destination.0 == *output.name)
        .context("the output has no route")?;
    let destination = routes
        .destination(&route.destination)
        .context("the output has no destination")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let carrier = Carrier::try_new(destination)?;
            let mut sent = Sent::default();
            for file in &files {
                let mut points = file.points()?;
                for point in &mut points {
                    point.set_time_ns(point.time_ns().saturating_add(shift));
                }
                send(&carrier, route, output, file.category, &points, &mut sent).await?;
            }
            Ok(sent)
        })
}

/// One file of a recording.
struct Recorded {
    path: PathBuf,
    category: Category,
    encoding: Encoding,
}

impl Recorded {
    fn points(&self) -> anyhow::Result<Vec<Point>> {
        let text = std::fs::read(&self.path)?;
        let body = match self.encoding {
            // One object a line; the codec reads a list.
            Encoding::PbJson => {
                let lines: Vec<&[u8]> = text
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .collect();
                [b"[", lines.join(&b","[..]).as_slice(), b"]"].concat()
            }
            _ => text,
        };
        let options = DecodeOptions {
            category: self.category,
            precision: Some(Precision::Nanoseconds),
            now_ns: SystemClock.now_ns(),
        };
        self.encoding
            .decode(&body, &options)
            .map_err(|errors| anyhow::anyhow!("{}: {errors}", self.path.display()))
    }
}

/// The files of a recording in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<Recorded>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let category = name.to_str().and_then(|name| name.parse::<Category>().ok());
        let (Some(category), true) = (category, entry.path().is_dir()) else {
            continue;
        };
        for file in std::fs::read_dir(entry.path())? {
            let path = file?.path();
            let encoding = match path.extension().and_then(|extension| extension.to_str()) {
                Some("lp") => Encoding::LineProtocol,
                Some("pbjson") => Encoding::PbJson,
                _ => continue,
            };
            files.push(Recorded {
                path,
                category,
                encoding,
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The newest time in all files.
fn newest(files: &[Recorded]) -> anyhow::Result<i64> {
    let mut newest = i64::MIN;
    for file in files {
        let times = file.points()?;
        newest = times.iter().map(Point::time_ns).fold(newest, i64::max);
    }
    Ok(newest)
}

async fn send(
    carrier: &Carrier,
    route: &OutputRoute,
    output: &OutputSettings,
    category: Category,
    points: &[Point],
    sent: &mut Sent,
) -> anyhow::Result<()> {
    let Some(endpoint) = route.endpoint(category) else {
        return Ok(());
    };
    let limit = usize::try_from(output.batch.max_bytes).unwrap_or(usize::MAX);
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    for point in points {
        let mut body = Vec::new();
        if let Err(error) = route.encoding.encode(point, &mut body) {
            sent.refused += 1;
            sent.reason.get_or_insert_with(|| error.to_string());
            continue;
        }
        let full = items.len() >= output.batch.max_points || bytes + body.len() > limit;
        if full && !items.is_empty() {
            post(carrier, endpoint, std::mem::take(&mut items), sent).await?;
            bytes = 0;
        }
        bytes += body.len() + 1;
        items.push(Item {
            record: 0,
            body: body.into(),
        });
    }
    if !items.is_empty() {
        post(carrier, endpoint, items, sent).await?;
    }
    Ok(())
}

/// Sends one request, again if it may pass. What is refused for good is counted.
async fn post(
    carrier: &Carrier,
    endpoint: &Arc<Endpoint>,
    items: Vec<Item>,
    sent: &mut Sent,
) -> anyhow::Result<()> {
    let items: Arc<[Item]> = items.into();
    let mut last = String::new();
    for _ in 0..TRIES {
        let request = Post {
            endpoint: Arc::clone(endpoint),
            items: Arc::clone(&items),
            ranges: Vec::new(),
        };
        let outcome = carrier.send(request, Vec::new()).await;
        match classify(endpoint.policy(), &outcome, u32::MAX - 1, items.len()) {
            Verdict::Delivered | Verdict::PartialSuccess { .. } => {
                sent.delivered += items.len();
                return Ok(());
            }
            Verdict::Retry { reason, .. }
            | Verdict::RetryBounded { reason, .. }
            | Verdict::Hold { reason, .. } => {
                last = reason.to_string();
                tokio::time::sleep(PAUSE).await;
            }
            Verdict::TooLarge { reason }
            | Verdict::Bisect { reason }
            | Verdict::Rejected { reason }
            | Verdict::Dropped { reason } => {
                sent.refused += items.len();
                sent.reason.get_or_insert_with(|| reason.to_string());
                return Ok(());
            }
        }
    }
    anyhow::bail!(
        "given up after {TRIES} tries and {} points: {last}",
        sent.delivered
    )
}
