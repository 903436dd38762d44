//! `kafkamq explain`: the life of one record.
//!
//! The record is read by an assign-only consumer, which joins no group and commits nothing; it goes
//! through the configuration at hand, and nothing is sent. The group is asked how far it is, and a
//! running service, if one answers, what it knows of the record.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::remote::{Remote, RemoteArgs};
use super::{ConfigArgs, FAILED, FINE, INVALID, Terminal};
use crate::explain::{Explainer, RecordView, Taken, Way};
use crate::kafka::{StoredRecord, TopicReader};
use kafkamq_record::TopicPartition;
use kafkamq_settings::{InputSettings, load};

/// Which record, and how much of its life.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The record, as TOPIC/PARTITION/OFFSET
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    record: Coordinates,
    #[command(flatten)]
    config: ConfigArgs,
    /// Only as this input reads it
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// Show the bodies of requests, too
    #[arg(long)]
    body: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// How long to wait for the brokers, such as 5 or 1m
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::seconds)]
    timeout: Duration,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Where a record stands.
#[derive(Debug, Clone)]
struct Coordinates {
    source: TopicPartition,
    offset: i64,
}

impl FromStr for Coordinates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let partition: i32 = partition.parse().ok().filter(|number| *number >= 0)?;
            let offset: i64 = offset.parse().ok().filter(|number| *number >= 0)?;
            (!topic.is_empty()).then(|| Self {
                source: TopicPartition::new(topic, partition),
                offset,
            })
        };
        parts().ok_or_else(|| "expected TOPIC/PARTITION/OFFSET, as orders/3/118822".to_owned())
    }
}

/// How far a record is.
#[derive(Debug, Serialize)]
struct Progress {
    /// The offset that the group has committed; null if none, or if it cannot be asked.
    committed: Option<i64>,
    /// What that means for the record, or why it is not known.
    group: String,
    /// What a running service says of it.
    service: ServiceView,
}

/// What a running service says of a record.
#[derive(Debug, Serialize)]
struct ServiceView {
    /// Its address.
    url: String,
    /// `committed`, `settled`, `in_flight`, `not_read`, `not_assigned` or `unknown`.
    state: &'static str,
    /// The same in words, or why it is not known.
    says: String,
    /// What it works with that these files do not say, so that it may treat the record differently.
    differs: Vec<String>,
    /// Dead letters of the record, replayed ones included.
    dead_letters: Vec<Value>,
}

/// Explains one record.
pub(super) fn explain(arguments: &ExplainArgs, terminal: &mut Terminal<'_>) -> io::Result<u8> {
    let settings = match load(&arguments.config.sources()) {
        Ok(loaded) => loaded.settings,
        Err(found) => {
            write!(terminal.err, "{found}")?;
            return Ok(INVALID);
        }
    };
    let topic = &*arguments.record.source.topic;
    let named = |input: &&InputSettings| {
        let wanted = arguments.input.as_ref();
        wanted.is_none_or(|wanted| *wanted == input.name)
    };
    if !settings.inputs.iter().any(|input| named(&input)) {
        writeln!(terminal.err, "error: there is no such input")?;
        return Ok(INVALID);
    }
    let inputs = settings.inputs.clone();
    let inputs: Vec<_> = inputs
        .iter()
        .filter(named)
        .filter(|input| Taken::by(input, topic).is_some())
        .collect();
    if inputs.is_empty() {
        writeln!(
            terminal.err,
            "error: no input reads `{topic}`: {}",
            unread(&settings.inputs)
        )?;
        return Ok(FAILED);
    }
    let explainer = match Explainer::try_new(settings) {
        Ok(explainer) => explainer,
        Err(error) => {
            writeln!(terminal.err, "error: {error}")?;
            return Ok(INVALID);
        }
    };
    let mut all = Vec::new();
    for input in inputs {
        match of_input(arguments, &explainer, input) {
            Ok(told) => all.push(told),
            Err(error) => {
                writeln!(terminal.err, "error: {error:#}")?;
                return Ok(FAILED);
            }
        }
    }
    let Some((record, _, _)) = all.first() else {
        return Ok(FAILED);
    };
    if arguments.json {
        let inputs: Vec<_> = all
            .iter()
            .map(|(_, way, progress)| json!({ "way": way, "progress": progress }))
            .collect();
        writeln!(
            terminal.out,
            "{:#}",
            json!({ "record": record, "inputs": inputs })
        )?;
    } else {
        write!(terminal.out, "{record}")?;
        for (_, way, progress) in &all {
            write!(terminal.out, "{way}")?;
            write_progress(progress, terminal)?;
        }
    }
    Ok(FINE)
}

fn unread(inputs: &[InputSettings]) -> String {
    let topics = inputs.iter().flat_map(InputSettings::subscriptions);
    let topics: Vec<_> = topics.map(|entry| entry.topic).collect();
    match topics.is_empty() {
        true => "there is none with a topic".to_owned(),
        false => format!("what is read is {}", topics.join(", ")),
    }
}

fn of_input(
    arguments: &ExplainArgs,
    explainer: &Explainer,
    input: &InputSettings,
) -> anyhow::Result<(RecordView, Way, Progress)> {
    let Coordinates { source, offset } = &arguments.record;
    let group = &input.group_id;
    let timeout = arguments.timeout;
    let reader = TopicReader::try_new(&input.cluster, group, &source.topic, timeout)?;
    let record = fetch(&reader, source, *offset)?;
    let way = explainer.explain(input, source, &record, arguments.body)?;
    let (committed, group) = match reader.committed(source.partition) {
        Ok(Some(next)) if *offset < next => (Some(next), "so this record is".to_owned()),
        Ok(Some(next)) => (Some(next), "so this record is not".to_owned()),
        Ok(None) => (
            None,
            "it has committed nothing of this partition".to_owned(),
        ),
        Err(error) => (None, format!("it cannot be asked: {error}")),
    };
    let progress = Progress {
        committed,
        group,
        service: service(&arguments.remote, input, source, *offset, &way),
    };
    Ok((RecordView::of(source, &record), way, progress))
}

fn fetch(
    reader: &TopicReader,
    source: &TopicPartition,
    offset: i64,
) -> anyhow::Result<StoredRecord> {
    let partitions = reader.partitions()?;
    anyhow::ensure!(
        !partitions.is_empty(),
        "there is no topic `{}`",
        source.topic
    );
    anyhow::ensure!(
        partitions.contains(&source.partition),
        "`{}` has {} partitions, and {} is none of them",
        source.topic,
        partitions.len(),
        source.partition
    );
    let bounds = reader.bounds(source.partition)?;
    anyhow::ensure!(
        bounds.contains(&offset),
        "{source} holds the offsets from {} up to {}, and not {offset}",
        bounds.start,
        bounds.end
    );
    let next = reader.read(source.partition, offset..offset + 1)?.next();
    let gone = "there is no record at this offset: compacted away, or the mark of a transaction";
    Ok(next.context(gone)??)
}

/// Asks a running service; that none answers is not a failure.
fn service(
    remote: &RemoteArgs,
    input: &InputSettings,
    source: &TopicPartition,
    offset: i64,
    way: &Way,
) -> ServiceView {
    let unknown = |url: &str, error: &anyhow::Error| ServiceView {
        url: url.to_owned(),
        state: "unknown",
        says: format!("{error:#}"),
        differs: Vec::new(),
        dead_letters: Vec::new(),
    };
    let remote = match remote.open() {
        Ok(remote) => remote,
        Err(error) => return unknown("", &error),
    };
    let url = remote.url().to_owned();
    let status = match remote.json("/v1/status") {
        Ok(status) => status,
        Err(error) => return unknown(&url, &error),
    };
    let (state, says) = state(&status, input, source, offset);
    let (dead_letters, says) = match letters(&remote, input, source, offset) {
        Ok(letters) => (letters, says),
        Err(error) => (
            Vec::new(),
            format!("{says}; its dead letters are not known: {error:#}"),
        ),
    };
    ServiceView {
        url,
        state,
        says,
        differs: differences(&status, way),
        dead_letters,
    }
}

/// What was changed in the service at run time and matters to the record.
fn differences(status: &Value, way: &Way) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    let configuration = &status["configuration"];
    if configuration["source"] == "run_time" {
        found.push(format!(
            "its configuration was changed at run time: revision {} by {}",
            configuration["revision"],
            text(&configuration["author"])
        ));
    }
    let scripts = status["run_time"]["scripts"].as_array();
    for put in scripts.into_iter().flatten() {
        let runs = way.points.iter().any(|point| {
            let script = point.script.as_ref();
            put["category"] == point.built["category"]
                && script.is_some_and(|script| put["name"] == *script.name)
        });
        if runs {
            found.push(format!(
                "its script {} was put at run time by {}, at {}",
                text(&put["name"]),
                text(&put["by"]),
                text(&put["time"])
            ));
        }
    }
    found
}

/// Where a record stands by a status page.
fn state(
    status: &Value,
    input: &InputSettings,
    source: &TopicPartition,
    offset: i64,
) -> (&'static str, String) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let inputs = list(&status["inputs"]);
    let own = inputs
        .iter()
        .find(|one| one["name"] == *input.name && one["group_id"] == *input.group_id);
    let Some(own) = own else {
        let says = format!(
            "it has no input {} of the group {}",
            input.name, input.group_id
        );
        return ("unknown", says);
    };
    let partitions = list(&own["partitions"]);
    let partition = partitions
        .iter()
        .find(|one| one["topic"] == *source.topic && one["partition"] == source.partition);
    let Some(partition) = partition else {
        let says = "the partition is not assigned to it; ask the other members of the group";
        return ("not_assigned", says.to_owned());
    };
    let below = |name: &str| partition[name].as_i64().is_some_and(|next| offset < next);
    if below("committed") {
        return ("committed", "it is settled and committed".to_owned());
    }
    if below("stored") {
        let says = "it is settled, and committed with the next commit";
        return ("settled", says.to_owned());
    }
    if below("position") {
        let says = "it was read; it, or a record before it, is not settled";
        return ("in_flight", says.to_owned());
    }
    let paused = match partition["paused"] == true {
        true => ", and the topic is paused",
        false => "",
    };
    ("not_read", format!("it is not read yet{paused}"))
}

fn letters(
    remote: &Remote,
    input: &InputSettings,
    source: &TopicPartition,
    offset: i64,
) -> anyhow::Result<Vec<Value>> {
    let path = format!(
        "/v1/dead-letters?topic={}&partition={}&offset={offset}&replayed=true",
        source.topic, source.partition
    );
    let page = remote.json(&path)?;
    let letters = page["letters"].as_array().cloned().unwrap_or_default();
    let own = letters
        .into_iter()
        .filter(|one| one["input"] == *input.name);
    Ok(own.collect())
}

fn write_progress(progress: &Progress, terminal: &mut Terminal<'_>) -> io::Result<()> {
    match progress.committed {
        Some(next) => writeln!(
            terminal.out,
            "group\n  it has committed what is below {next}, {}",
            progress.group
        )?,
        None => writeln!(terminal.out, "group\n  {}", progress.group)?,
    }
    let ServiceView {
        url,
        says,
        differs,
        dead_letters,
        ..
    } = &progress.service;
    writeln!(terminal.out, "service {url}\n  {says}")?;
    for difference in differs {
        writeln!(terminal.out, "  {difference}")?;
    }
    for letter in dead_letters {
        let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
        let replayed = match letter["replayed"] == true {
            true => ", replayed",
            false => "",
        };
        writeln!(
            terminal.out,
            "  dead letter {} of {}{replayed}: stage {}: {}",
            text("id"),
            text("time"),
            text("stage"),
            text("reason")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Fate, PointStory, ScriptStory};
    use kafkamq_settings::{Sources, load};

    #[test]
    fn coordinates_are_read_from_behind() {
        let read = |text: &str| {
            let found: Coordinates = text.parse().ok()?;
            Some((found.source.to_string(), found.offset))
        };
        assert_eq!(read("a/0/7"), Some(("a/0".to_owned(), 7)));
        for wrong in ["", "a", "a/0", "a/x/1", "a/0/x", "/0/1", "a/-1/1", "a/0/-1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_the_service_has_and_the_files_do_not_is_named() {
        let way = Way {
            input: "i".to_owned(),
            group_id: "g".to_owned(),
            taken: Taken::Name("t".to_owned()),
            route: "points",
            steps: Vec::new(),
            points: vec![PointStory {
                built: json!({ "category": "logging" }),
                script: Some(ScriptStory {
                    name: "app.p".to_owned(),
                    status: "kept",
                    error: None,
                }),
                results: Vec::new(),
            }],
            requests: Vec::new(),
            fate: Fate {
                outcome: "sent",
                reason: None,
            },
        };
        let put = |category: &str, name: &str| json!({ "category": category, "name": name, "by": "night shift", "time": "18:00" });
        let status = json!({
            "configuration": { "source": "run_time", "revision": 7, "author": "me" },
            "run_time": { "scripts": [
                put("logging", "app.p"), put("metric", "app.p"), put("logging", "other.p"),
            ]},
        });
        assert_eq!(
            differences(&status, &way),
            [
                "its configuration was changed at run time: revision 7 by me",
                "its script app.p was put at run time by night shift, at 18:00",
            ]
        );
        let files = json!({ "configuration": { "source": "files" } });
        assert_eq!(differences(&files, &way), [""; 0]);
    }

    #[test]
    fn the_status_page_says_where_a_record_stands() {
        let text = "[[inputs.kafkamq]]\nname = \"i\"\naddrs = [\"a:1\"]\ngroup_id = \"g\"\n\
            [inputs.kafkamq.custom.log_topic_map]\nt = \"-\"\n";
        let settings = load(&Sources::new().text("test", text)).unwrap().settings;
        let input = &settings.inputs[0];
        let status = json!({ "inputs": [{
            "name": "i", "group_id": "g",
            "partitions": [{
                "topic": "t", "partition": 0, "committed": 10, "stored": 20, "position": 30,
                "paused": true,
            }],
        }]});
        let at = |partition, offset| {
            let source = TopicPartition::new("t", partition);
            state(&status, input, &source, offset)
        };
        let states = [9, 10, 20, 30].map(|offset| at(0, offset).0);
        assert_eq!(states, ["committed", "settled", "in_flight", "not_read"]);
        assert!(at(0, 30).1.contains("paused"));
        assert_eq!(at(1, 0).0, "not_assigned");
        let other = InputSettings {
            group_id: "other".to_owned(),
            ..input.clone()
        };
        let (state, _) = state(&status, &other, &TopicPartition::new("t", 0), 0);
        assert_eq!(state, "unknown");
    }
}
