//! `kafkamq recording`: what the recorder wrote, sent to an output.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Point};

use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::outputs::Carrier;
use crate::routing::RouteTable;
use kafkamq_conversion::route::OutputRoute;
use kafkamq_delivery::answer::Answer;
use kafkamq_delivery::delivery::{Delivery, Notice, Rejection, Settle};
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::{Item, LaneId, Parcel, RequestPart};
use kafkamq_settings::{OutputSettings, Settings, load};

/// Refusals in a row that do not blame the content before the command gives up.
const TRIES: u32 = 8;

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
            let carrier = destination.reach.kind().carrier()?;
            let mut delivery = Delivery::new(destination.delivery, fastrand::Rng::new());
            let mut sent = Sent::default();
            for file in &files {
                let mut points = file.points()?;
                for point in &mut points {
                    point.set_time_ns(point.time_ns().saturating_add(shift));
                }
                send(
                    &*carrier,
                    &mut delivery,
                    route,
                    file.category,
                    &points,
                    &mut sent,
                )
                .await?;
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

/// Hands `points` to the machine and lets it deliver them.
async fn send(
    carrier: &dyn Carrier,
    delivery: &mut Delivery<()>,
    route: &OutputRoute,
    category: Category,
    points: &[Point],
    sent: &mut Sent,
) -> anyhow::Result<()> {
    let Some(endpoint) = route.endpoint(category) else {
        return Ok(());
    };
    let mut items = VecDeque::new();
    for point in points {
        let mut body = Vec::new();
        if let Err(error) = route.encoding.encode(point, &mut body) {
            sent.refused += 1;
            sent.reason.get_or_insert_with(|| error.to_string());
            continue;
        }
        items.push_back(Item {
            record: 0,
            body: body.into(),
        });
    }
    let now = Instant::now();
    let parcel = Parcel {
        lane: LaneId(0),
        endpoint: Arc::clone(endpoint),
        items,
        arrived: now,
        payload: (),
    };
    if delivery.push(parcel, None).is_some() {
        return Ok(());
    }
    delivery.flush(now);
    let mut refused = 0;
    while !delivery.is_idle() {
        let now = Instant::now();
        let Some(request) = delivery.next(now) else {
            let wake = delivery
                .wake_at(now)
                .context("nothing is left to wait for")?;
            tokio::time::sleep_until(wake.into()).await;
            continue;
        };
        let post = Post {
            endpoint: Arc::clone(&request.endpoint),
            items: Arc::clone(&request.items),
            ranges: Vec::new(),
        };
        let outcome = carrier.send(post, Vec::new()).await;
        let again = delivery
            .finished(Instant::now(), &request, now.elapsed(), outcome, sent)
            .iter()
            .any(|notice| matches!(notice, Notice::Again(_)));
        refused = if again { refused + 1 } else { 0 };
        if refused == TRIES {
            let last = delivery.last_refusal();
            let last = last.map_or_else(String::new, |last| last.reason.to_string());
            anyhow::bail!(
                "given up after {TRIES} tries and {} points: {last}",
                sent.delivered
            );
        }
    }
    Ok(())
}

impl Settle<()> for Sent {
    fn read_answer(&mut self, _: Answer, _: &mut dyn Iterator<Item = RequestPart<'_, ()>>) -> bool {
        false
    }

    fn partially_accepted(&mut self, _: u64, _: &str) {}

    fn delivered(&mut self, (): &mut (), items: &[Item], _: bool) {
        self.delivered += items.len();
    }

    fn rejected(&mut self, (): &mut (), items: &[Item], rejection: &Rejection) {
        self.refused += items.len();
        self.reason
            .get_or_insert_with(|| rejection.reason.to_string());
    }

    fn dropped(&mut self, (): &mut (), items: &[Item]) {
        self.refused += items.len();
        self.reason
            .get_or_insert_with(|| "a rule of the output drops them".to_owned());
    }
}
