//! The command line: what can be asked for, and which function does it.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage or invalid configuration.

#[cfg(feature = "demo")]
mod bench;
mod bug_report;
mod check;
mod connect;
mod dlq;
mod explain;
mod functions;
mod pipeline;
mod recording;
mod remote;
mod replay;
mod simulate;
mod time;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

#[cfg(feature = "demo")]
use crate::bench::{BenchOptions, PartArguments, run_part};
use crate::preflight::{Preflight, Verdict};
use kafkamq_settings::{Loaded, Sources};

pub(crate) use pipeline::PipelineArgs;

/// Read when no `--config` is given, the first that exists.
const DEFAULT_FILES: [&str; 2] = ["kafkamq.toml", "/etc/kafkamq/kafkamq.toml"];

/// Nothing was wrong.
const FINE: u8 = 0;
/// The command was understood and failed.
const FAILED: u8 = 1;
/// Wrong usage or invalid configuration.
const INVALID: u8 = 2;

/// Routes observability records from Kafka to HTTP collectors and time series stores.
#[derive(Debug, Parser)]
#[command(
    name = "kafkamq",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 fine, 1 failed, 2 wrong usage or invalid configuration."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Run(ConfigArgs),
    #[cfg(feature = "demo")]
    /// Show everything at work without anything installed: embedded broker, producers, receivers
    Demo(DemoOptions),
    /// Validate configuration and compile every script, reporting all problems at once
    Check(check::CheckArgs),
    /// Run a script on one input, or on cases, and show what becomes of it
    Pipeline(PipelineArgs),
    /// Tell the life of one record: input, route, script, rules, requests, and how far it is
    Explain(explain::ExplainArgs),
    /// List dead letters, show them, send them back to where they came from
    Dlq(dlq::DlqArgs),
    /// Deliver a time range of a topic once more, outside its group, and say what became of it
    Replay(replay::ReplayArgs),
    /// Send what the recorder wrote to an output
    Recording(recording::RecordingArgs),
    /// Run a configuration in virtual time, with faults, and say whether every promise held
    Simulate(simulate::SimulateArgs),
    /// Watch a running service: lag, rates, destinations
    Top(watch::TopArgs),
    /// Print records of a topic as a running service reads them, one JSON object a line
    Tap(watch::TapArgs),
    /// Write an archive with masked configuration, status and metrics of a running service
    BugReport(bug_report::BugReportArgs),
    /// Explain the built-in functions of scripts
    Functions(functions::FunctionsArgs),
    #[cfg(feature = "demo")]
    /// Measure this build on this machine, and how far it is from the limit
    Bench(BenchOptions),
    #[cfg(feature = "demo")]
    /// One part of the benchmark, in a process of its own
    #[command(hide = true)]
    BenchPart(PartArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which configuration to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file, or folder of *.toml and *.conf files; repeatable, later ones win
    ///
    /// Without it kafkamq.toml is read, or else /etc/kafkamq/kafkamq.toml, if there is one.
    #[arg(
        long,
        value_name = "FILE",
        env = "KAFKAMQ_CONFIG",
        hide_env_values = true,
        value_delimiter = ',',
        global = true
    )]
    config: Vec<PathBuf>,
}

impl ConfigArgs {
    /// Looks at everything these name before anything is started.
    pub(crate) fn examine(&self) -> Preflight {
        Preflight::examine(&self.sources(), &DEFAULT_FILES)
    }

    /// The files and the environment, as sources.
    #[must_use]
    pub(crate) fn sources(&self) -> Sources {
        let mut sources = Sources::new();
        if self.config.is_empty() {
            let default = DEFAULT_FILES.iter().find(|path| Path::new(path).is_file());
            sources = default.into_iter().fold(sources, Sources::file);
        }
        self.config
            .iter()
            .fold(sources, Sources::file)
            .process_environment()
    }
}

/// What the demonstration does.
#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// End after this many records, with a table of expected and delivered; exit code 0 only if
    /// nothing is missing
    #[arg(long, value_name = "N")]
    pub(crate) records: Option<u64>,
    /// End after this time, such as 90 or 5m
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// The parts of the program that commands lead to and that live elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// Runs the service until it is asked to stop. Gets what was loaded and where from, for reloads.
    pub run: fn(Loaded, Sources) -> anyhow::Result<()>,
    #[cfg(feature = "demo")]
    /// Runs the demonstration; `false` means that something is missing.
    pub demo: fn(DemoOptions) -> anyhow::Result<bool>,
}

/// Where commands write to.
pub(crate) struct Terminal<'a> {
    /// What was asked for.
    pub(crate) out: &'a mut dyn Write,
    /// Problems and progress.
    pub(crate) err: &'a mut dyn Write,
    /// Whether `out` understands colours.
    pub(crate) out_color: bool,
    /// Whether `err` does.
    pub(crate) err_color: bool,
}

/// Parses the arguments of the process, does what they ask for, gives the exit code.
#[must_use]
pub fn main(entries: &Entries) -> u8 {
    // Not locked: the service writes its log from other threads meanwhile.
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let wanted = std::env::var_os("NO_COLOR").is_none();
    let (out_color, err_color) = (stdout.is_terminal(), stderr.is_terminal());
    let mut terminal = Terminal {
        out: &mut stdout,
        err: &mut stderr,
        out_color: wanted && out_color,
        err_color: wanted && err_color,
    };
    execute(std::env::args_os(), entries, &mut terminal)
}

/// Does what `arguments` (the program's name first) ask for.
fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    entries: &Entries,
    terminal: &mut Terminal<'_>,
) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            let text = error.render();
            let (stream, color) = if wrong {
                (&mut terminal.err, terminal.err_color)
            } else {
                (&mut terminal.out, terminal.out_color)
            };
            let text = if color {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            return finish(write!(stream, "{text}").map(|()| if wrong { INVALID } else { FINE }));
        }
    };
    match cli.command {
        Command::Run(config) => run(&config, entries, terminal),
        #[cfg(feature = "demo")]
        Command::Demo(options) => match (entries.demo)(options) {
            Ok(true) => FINE,
            Ok(false) => FAILED,
            Err(error) => fail(terminal, &error),
        },
        Command::Check(arguments) => finish(check::check(&arguments, terminal)),
        Command::Pipeline(arguments) => finish(pipeline::pipeline(&arguments, terminal)),
        Command::Explain(arguments) => finish(explain::explain(&arguments, terminal)),
        Command::Dlq(arguments) => finish(dlq::dlq(&arguments, terminal)),
        Command::Replay(arguments) => finish(replay::replay(&arguments, terminal)),
        Command::Recording(arguments) => finish(recording::recording(&arguments, terminal)),
        Command::Simulate(arguments) => finish(simulate::simulate(&arguments, terminal)),
        Command::Top(arguments) => finish(watch::top(&arguments, terminal)),
        Command::Tap(arguments) => finish(watch::tap(&arguments, terminal)),
        Command::BugReport(arguments) => finish(bug_report::bug_report(&arguments, terminal)),
        Command::Functions(arguments) => finish(functions::functions(&arguments, terminal)),
        #[cfg(feature = "demo")]
        Command::Bench(options) => finish(bench::bench(&options, terminal)),
        #[cfg(feature = "demo")]
        Command::BenchPart(arguments) => match run_part(arguments, entries.run) {
            Ok(()) => FINE,
            Err(error) => fail(terminal, &error),
        },
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "kafkamq", terminal.out);
            FINE
        }
    }
}

fn run(config: &ConfigArgs, entries: &Entries, terminal: &mut Terminal<'_>) -> u8 {
    let sources = config.sources();
    let preflight = config.examine();
    if let Err(error) = check::print_text(&preflight.found, &preflight.broken, terminal) {
        return finish(Err(error));
    }
    match (preflight.verdict(), preflight.loaded) {
        (Verdict::Fine, Some(loaded)) => match (entries.run)(loaded, sources) {
            Ok(()) => FINE,
            Err(error) => fail(terminal, &error),
        },
        (verdict, _) => {
            let code = if verdict == Verdict::Invalid {
                INVALID
            } else {
                FAILED
            };
            let said = writeln!(
                terminal.err,
                "error: the service does not start; `kafkamq check` reports the same"
            );
            finish(said.map(|()| code))
        }
    }
}

fn fail(terminal: &mut Terminal<'_>, error: &anyhow::Error) -> u8 {
    finish(writeln!(terminal.err, "error: {error:#}").map(|()| FAILED))
}

/// A reader that went away (`kafkamq functions | head`) is not a failure.
fn finish(result: io::Result<u8>) -> u8 {
    match result {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => FINE,
        Err(_) => FAILED,
    }
}

#[cfg(test)]
mod tests;
