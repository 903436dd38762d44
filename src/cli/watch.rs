//! `kafkamq top` and `kafkamq tap`: a running service seen from a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::remote::RemoteArgs;
use super::{FAILED, FINE, Terminal};

/// How a live view is shown.
#[derive(Debug, Args)]
pub(super) struct TopArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// Print once and end
    #[arg(long)]
    once: bool,
    /// Seconds between looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// What is watched.
#[derive(Debug, Args)]
pub(super) struct TapArgs {
    /// The topic
    topic: String,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Records a second at most
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// End after this many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: Option<u32>,
    /// Only this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
}

/// Shows lag, rates and destinations again and again.
pub(super) fn top(arguments: &TopArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let run = |terminal: &mut Terminal<'_>| -> Result<()> {
        let remote = arguments.remote.open()?;
        let mut before = (Instant::now(), remote.json("/v1/status")?);
        loop {
            // Rates need two looks, also for one print.
            let pause = if arguments.once {
                1
            } else {
                arguments.interval
            };
            remote.wait(Duration::from_secs(pause));
            let now = (Instant::now(), remote.json("/v1/status")?);
            let seconds = now.0.duration_since(before.0).as_secs_f64();
            let page = page(&before.1, &now.1, seconds)?;
            if arguments.once {
                write!(terminal.out, "{page}")?;
                return Ok(());
            }
            // To the corner, and clear what is below.
            write!(terminal.out, "\x1b[H\x1b[2J{page}")?;
            terminal.out.flush()?;
            before = now;
        }
    };
    ended(run(terminal), terminal)
}

/// Prints records as they pass, one JSON object a line.
pub(super) fn tap(arguments: &TapArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let mut path = format!("/v1/topics/{}/tap?rate={}", arguments.topic, arguments.rate);
    for (name, value) in [
        ("limit", arguments.limit.map(i64::from)),
        ("partition", arguments.partition.map(i64::from)),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    let run = |terminal: &mut Terminal<'_>| -> Result<()> {
        let mut rest = Vec::new();
        arguments.remote.open()?.stream(&path, |piece| {
            rest.extend_from_slice(piece);
            while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = rest.drain(..end + 2).collect();
                if let Some(record) = record(&String::from_utf8_lossy(&event)) {
                    writeln!(terminal.out, "{record}")?;
                    terminal.out.flush()?;
                }
            }
            Ok(true)
        })
    };
    ended(run(terminal), terminal)
}

/// The data of an event, if it is a record.
fn record(event: &str) -> Option<&str> {
    event
        .lines()
        .any(|line| line == "event: record")
        .then(|| event.lines().find_map(|line| line.strip_prefix("data: ")))?
}

pub(super) fn ended(result: Result<()>, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    match result {
        Ok(()) => Ok(FINE),
        // A reader that went away is not a failure of ours.
        Err(error) => match error.downcast::<io::Error>() {
            Ok(error) => Err(error),
            Err(error) => {
                writeln!(terminal.err, "error: {error:#}")?;
                Ok(FAILED)
            }
        },
    }
}

/// What `top` shows of two looks at the status that lie `seconds` apart.
fn page(before: &Value, now: &Value, seconds: f64) -> Result<String, std::fmt::Error> {
    let old = topics(before);
    let mut text = format!(
        "kafkamq {}, revision {}, up {:.0} s{}\n\n{:<40} {:>5} {:>12} {:>12} {:>10}  \n",
        now["version"].as_str().unwrap_or_default(),
        now["revision"],
        now["uptime_seconds"].as_f64().unwrap_or_default(),
        if now["stopping"] == true {
            ", stopping"
        } else {
            ""
        },
        "TOPIC",
        "PARTS",
        "RECORDS/S",
        "LAG",
        "IN FLIGHT",
    );
    for (name, topic) in topics(now) {
        let moved = old
            .get(&name)
            .map_or(0, |old| (topic.position - old.position).max(0));
        let rate = moved as f64 / seconds;
        let state = match (topic.paused, topic.blocked.first()) {
            (true, _) => "paused",
            (false, Some(reason)) => reason,
            (false, None) => "",
        };
        writeln!(
            text,
            "{name:<40} {:>5} {rate:>12.0} {:>12} {:>10}  {state}",
            topic.partitions,
            topic.lag(),
            topic.in_flight
        )?;
    }
    writeln!(
        text,
        "\n{:<40} {:<12} {:>8} {:>10}  REASON",
        "DESTINATION", "STATE", "WAITING", "IN FLIGHT"
    )?;
    for one in list(now, "destinations") {
        writeln!(
            text,
            "{:<40} {:<12} {:>8} {:>10}  {}",
            one["name"].as_str().unwrap_or_default(),
            one["state"].as_str().unwrap_or_default(),
            one["queued_items"].as_u64().unwrap_or(0),
            one["in_flight_items"].as_u64().unwrap_or(0),
            one["reason"].as_str().unwrap_or_default(),
        )?;
    }
    let inputs = list(now, "inputs");
    for input in inputs {
        let name = input["name"].as_str().unwrap_or_default();
        if input["joined"] != true {
            text.push_str(&format!("\ninput {name} is not a member of its group\n"));
        }
        if let Some(alarm) = input["alarm"].as_str() {
            text.push_str(&format!("\nALARM input {name}: {alarm}\n"));
        }
    }
    let lines = text.lines().map(|line| line.trim_end().to_owned() + "\n");
    Ok(lines.collect())
}

#[derive(Default)]
struct Topic {
    partitions: usize,
    position: i64,
    /// Lag of its partitions, as far as it is known.
    lags: Vec<Option<i64>>,
    in_flight: i64,
    paused: bool,
    /// Why partitions are not read.
    blocked: Vec<String>,
}

impl Topic {
    /// The sum, or a dash while a part of it is not known.
    fn lag(&self) -> String {
        let sum: Option<i64> = self.lags.iter().copied().sum();
        sum.map_or_else(|| "-".to_owned(), |lag| lag.to_string())
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn topics(status: &Value) -> BTreeMap<String, Topic> {
    let mut topics = BTreeMap::<String, Topic>::new();
    for input in list(status, "inputs") {
        for one in list(input, "partitions") {
            let name = format!(
                "{} ({})",
                one["topic"].as_str().unwrap_or_default(),
                input["name"].as_str().unwrap_or_default()
            );
            let topic = topics.entry(name).or_default();
            topic.partitions += 1;
            topic.position += one["position"].as_i64().unwrap_or(0);
            topic.lags.push(one["lag"].as_i64());
            topic.in_flight += one["records_in_flight"].as_i64().unwrap_or(0);
            topic.paused |= one["paused"] == true;
            if let Some(reason) = one["blocked"]["reason"].as_str()
                && !topic.paused
            {
                topic.blocked.push(reason.to_owned());
            }
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_of_top() {
        let status = |position: i64| {
            json!({
                "version": "1.2.3", "revision": 4, "uptime_seconds": 60.4, "stopping": false,
                "inputs": [{
                    "name": "orders", "joined": false, "alarm": "topic authorization failed",
                    "partitions": [
                        { "topic": "logs", "position": position, "lag": 7, "records_in_flight": 3, "paused": false },
                        { "topic": "logs", "position": null, "lag": null, "records_in_flight": 0, "paused": true },
                    ],
                }],
                "destinations": [{
                    "name": "datakit", "state": "backing_off", "queued_items": 2, "in_flight_items": 1,
                    "reason": "503 Service Unavailable",
                }],
            })
        };
        insta::assert_snapshot!(page(&status(100), &status(1100), 2.0).unwrap());
    }

    #[test]
    fn only_records_are_printed() {
        assert_eq!(record("event: record\nid: t/0/1\ndata: {}\n\n"), Some("{}"));
        assert_eq!(record("event: seen\ndata: 5\n\n"), None);
    }
}
