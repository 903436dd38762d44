//! The testbed as a process: receivers with a control interface, and samples as JSON lines.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};
use kafkamq_testbed::receiver::{HandleOptions, HandleReply, PointEncoding};
use kafkamq_testbed::scenario::{Scenario, topic_of};
use kafkamq_testbed::{Addresses, Faker, RecordId, Route, Sample, Testbed, control};
use serde_json::json;

/// Sample payloads and strict, fault-injecting HTTP receivers for tests of kafkamq.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the receivers; prints their addresses as one line of JSON and serves until killed
    Receive(Receive),
    /// Print records to produce as JSON lines: topic, partition, key, value, headers, ids
    Sample(SampleArguments),
}

#[derive(Debug, Args)]
struct Receive {
    /// Also write the addresses to this file, whole or not at all
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Serve the control interface
    #[arg(long)]
    control: bool,
    /// End when standard input is closed, so that no receiver outlives the test that started it
    #[arg(long)]
    until_stdin_closes: bool,
    /// Let the handle answer with points in this encoding
    #[arg(long, value_enum)]
    handle_points: Option<HandlePoints>,
    /// The X-category of the handle's points
    #[arg(long, value_name = "CATEGORY")]
    handle_category: Option<String>,
    /// Let the handle expect one raw record in each request
    #[arg(long)]
    handle_debug: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HandlePoints {
    LineProtocol,
    Json,
    PbJson,
    Protobuf,
}

impl From<HandlePoints> for PointEncoding {
    fn from(encoding: HandlePoints) -> Self {
        match encoding {
            HandlePoints::LineProtocol => Self::LineProtocol,
            HandlePoints::Json => Self::Json,
            HandlePoints::PbJson => Self::PbJson,
            HandlePoints::Protobuf => Self::Protobuf,
        }
    }
}

#[derive(Debug, Args)]
struct SampleArguments {
    /// Only this route; without it, a mix of all routes over the demo's topics
    #[arg(long)]
    route: Option<Route>,
    /// The partition, with --route
    #[arg(long, default_value_t = 0)]
    partition: u16,
    /// The first sequence, with --route
    #[arg(long, default_value_t = 0)]
    from: u32,
    /// How many records
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Names the payloads
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The time of the first record in nanoseconds since the Unix epoch; now if absent
    #[arg(long)]
    start_ns: Option<u64>,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Receive(arguments) => receive(arguments),
        Command::Sample(arguments) => sample(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the samples had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if standard error is closed as well.
            match writeln!(io::stderr(), "kafkamq-testbed: {error}") {
                Ok(()) | Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn receive(arguments: Receive) -> io::Result<()> {
    let reply = arguments.handle_points.map(|encoding| HandleReply {
        encoding: encoding.into(),
        category: arguments.handle_category.clone(),
        gzip: false,
    });
    let testbed = Arc::new(Testbed::start(HandleOptions {
        reply,
        debug: arguments.handle_debug,
    })?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = match arguments.control {
            true => Some(
                tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?,
            ),
            false => None,
        };
        let control = listener
            .as_ref()
            .map(tokio::net::TcpListener::local_addr)
            .transpose()?;
        let addresses = Addresses {
            control,
            ..testbed.addresses()
        };
        let text = serde_json::to_string(&addresses)?;
        if let Some(path) = &arguments.port_file {
            write_whole(path, &text)?;
        }
        writeln!(io::stdout(), "{text}")?;
        // Held to the end unless the watcher takes it, so that the channel reports no early end.
        let (closed, stdin_closed) = tokio::sync::oneshot::channel::<()>();
        let mut closed = Some(closed);
        if arguments.until_stdin_closes {
            let closed = closed.take();
            std::thread::spawn(move || {
                let ended = io::copy(&mut io::stdin(), &mut io::sink());
                tracing::debug!(?ended, "standard input closed");
                drop(closed);
            });
        }
        let outcome = tokio::select! {
            _ = stdin_closed => Ok(()),
            outcome = tokio::signal::ctrl_c() => outcome,
            outcome = serve(listener, testbed) => outcome,
        };
        drop(closed);
        outcome
    })
}

async fn serve(listener: Option<tokio::net::TcpListener>, testbed: Arc<Testbed>) -> io::Result<()> {
    match listener {
        Some(listener) => control::serve(listener, testbed).await,
        None => std::future::pending().await,
    }
}

/// Readers poll for the file, so it must not be seen half written.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    std::fs::write(&name, text)?;
    std::fs::rename(&name, path)
}

fn sample(arguments: &SampleArguments) -> io::Result<()> {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64)
    };
    let start_ns = arguments.start_ns.unwrap_or_else(now);
    let mut out = io::BufWriter::new(io::stdout().lock());
    match arguments.route {
        Some(route) => {
            let topic = topic_of(route).map_or(route.name(), |topic| topic.name);
            let mut faker = Faker::new(arguments.seed, start_ns);
            for sequence in arguments.from..arguments.from.saturating_add(arguments.count) {
                let id = RecordId::new(route, arguments.partition, sequence);
                print(
                    &mut out,
                    topic,
                    arguments.partition,
                    &Sample::of(id, &mut faker),
                )?;
            }
        }
        None => {
            for record in Scenario::new(arguments.seed, start_ns).take(arguments.count as usize) {
                print(&mut out, record.topic, record.partition, &record.sample)?;
            }
        }
    }
    out.flush()
}

fn print(out: &mut impl Write, topic: &str, partition: u16, sample: &Sample) -> io::Result<()> {
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let headers: Vec<_> = sample
        .headers
        .iter()
        .map(|(name, value)| json!([name, base64(value)]))
        .collect();
    let line = json!({
        "topic": topic,
        "partition": partition,
        "key": sample.key.as_deref().map(base64),
        "value": base64(&sample.value),
        "headers": headers,
        "ids": sample.ids,
        "dropped_by": sample.rule,
    });
    writeln!(out, "{line}")
}
