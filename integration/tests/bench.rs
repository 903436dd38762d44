//! The benchmark at small size: every case runs, nothing is missing, and the files can be read.
//!
//! No figure is judged here; see `kafkamq bench` and `docs/performance.md`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use kafkamq_integration::binary;
use serde_json::Value;

#[test]
fn every_case_delivers_everything_and_has_figures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (json, plot) = (
        folder.path().join("bench.json"),
        folder.path().join("bench.svg"),
    );
    let output = Command::new(binary("kafkamq")?)
        .args(["bench", "--records", "20000", "--seconds", "1"])
        .arg("--json")
        .arg(&json)
        .arg("--plot")
        .arg(&plot)
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{out}\n{err}");

    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
    let rows = report["rows"].as_array().context("no rows")?;
    ensure!(rows.len() == 8, "{} cases", rows.len());
    for row in rows {
        let case = row["case"].as_str().unwrap_or_default();
        for figure in [
            "per_second",
            "cpu_per_million",
            "bare_cpu_per_million",
            "allocations",
            "peak_memory",
            "idle_memory",
            "first_record_seconds",
        ] {
            let value = row[figure].as_f64().unwrap_or_default();
            ensure!(value > 0.0, "{case}: {figure} is {}", row[figure]);
        }
        ensure!(out.contains(case), "{case} is not in the table:\n{out}");
        let latency = row["latency_us"]["p50"].as_u64();
        ensure!(case == "settle" || latency > Some(0), "{case}: {latency:?}");
    }
    let picture = std::fs::read_to_string(&plot)?;
    ensure!(picture.starts_with("<svg") && picture.contains("nginx"));
    Ok(())
}

#[test]
fn members_of_one_group_share_the_records() -> Result<()> {
    let output = Command::new(binary("kafkamq")?)
        .args(["bench", "--case", "json", "--case", "settle"])
        .args(["--members", "2", "--records", "20000"])
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{out}\n{err}");
    ensure!(
        out.contains("members: 2") && out.contains("settle"),
        "{out}"
    );
    Ok(())
}
