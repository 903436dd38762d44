//! The regression gate: instructions of each stage on fixed inputs, counted by callgrind.
//!
//! ```text
//! cargo run --profile ci -p kafkamq-instructions            compares with the baseline
//! cargo run --profile ci -p kafkamq-instructions -- bless   writes it anew
//! ```
//!
//! Instructions, unlike time, are the same on a busy machine. A stage is run under callgrind twice,
//! with few and with many repetitions; the difference belongs to the repetitions alone, whatever
//! the process does before. A stage that takes over 5 % more than the baseline fails the gate; one
//! that takes over 5 % less asks for a new baseline.

mod stages;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use stages::STAGES;

const FEW: u32 = 20;
const MANY: u32 = 220;
/// Change in either direction that is taken for noise.
const TOLERANCE: f64 = 0.05;

/// Instructions of one repetition, by stage.
type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] | ["check"] => check(),
        ["bless"] => bless(),
        ["stage", name, repetitions] => stage(name, repetitions),
        _ => Err(anyhow::anyhow!("usage: [check | bless | stage NAME N]")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to be done if standard error is closed as well.
            let _said = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn stage(name: &str, repetitions: &str) -> anyhow::Result<bool> {
    let (_, run) = STAGES
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no stage is called {name}"))?;
    run(repetitions.parse()?);
    Ok(true)
}

fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

fn check() -> anyhow::Result<bool> {
    let path = baseline_path();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let baseline: Counts = serde_json::from_str(&text)?;
    let (mut fine, mut better) = (true, false);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:28} {:>12} {:>12} {:>8}",
        "stage", "baseline", "now", "change"
    )?;
    for (name, _) in STAGES {
        let now = count(name)?;
        let Some(&before) = baseline.get(*name) else {
            writeln!(out, "{name:28} {:>12} {now:>12} {:>8}", "none", "new")?;
            fine = false;
            continue;
        };
        let change = now as f64 / before as f64 - 1.0;
        let verdict = if change > TOLERANCE {
            fine = false;
            "  more"
        } else if change < -TOLERANCE {
            better = true;
            "  less"
        } else {
            ""
        };
        writeln!(
            out,
            "{name:28} {before:>12} {now:>12} {:>+7.1}%{verdict}",
            change * 100.0
        )?;
    }
    if !fine || better {
        writeln!(
            out,
            "\nIf that is meant, write the baseline anew and commit it:\n\
             cargo run --profile ci -p kafkamq-instructions -- bless"
        )?;
    }
    Ok(fine)
}

fn bless() -> anyhow::Result<bool> {
    let mut counts = Counts::new();
    for (name, _) in STAGES {
        let now = count(name)?;
        writeln!(io::stdout(), "{name:28} {now:>12}")?;
        counts.insert((*name).to_owned(), now);
    }
    std::fs::write(
        baseline_path(),
        serde_json::to_string_pretty(&counts)? + "\n",
    )?;
    Ok(true)
}

/// Instructions of one repetition of stage `name`.
fn count(name: &str) -> anyhow::Result<u64> {
    let few = instructions(name, FEW)?;
    let many = instructions(name, MANY)?;
    ensure!(many > few, "{name}: {few} instructions, then {many}");
    Ok((many - few) / u64::from(MANY - FEW))
}

fn instructions(name: &str, repetitions: u32) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["stage", name, &repetitions.to_string()])
        .output()
        .context("valgrind cannot be started; it is a package of that name")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} under valgrind:\n{said}");
    let line = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .with_context(|| format!("valgrind gave no count:\n{said}"))?;
    Ok(line.1.trim().parse()?)
}
