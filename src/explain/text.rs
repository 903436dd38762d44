//! An explanation for a terminal.

use std::fmt;

use serde_json::Value as Json;

use super::{PointStory, RecordView, RequestView, ResultStory, Taken, Way};
use crate::dead_letters::Payload;

/// Longest part of a key, header or value that is shown; `--json` shows all.
const SHOWN: usize = 400;

impl fmt::Display for RecordView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            offset,
            ..
        } = self;
        writeln!(f, "record {topic}/{partition}/{offset}")?;
        if let Some(time) = &self.time {
            writeln!(f, "  time    {time}")?;
        }
        if let Some(key) = &self.key {
            writeln!(f, "  key     {}", payload(key))?;
        }
        for header in &self.headers {
            let value = header.value.as_ref().map_or("null".to_owned(), payload);
            writeln!(f, "  header  {}: {value}", header.name)?;
        }
        match (&self.value, self.value_bytes) {
            (Some(value), Some(bytes)) => {
                writeln!(f, "  value   {bytes} bytes: {}", payload(value))
            }
            _ => writeln!(f, "  value   none (a tombstone)"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "input {} (group {})", self.input, self.group_id)?;
        match &self.taken {
            Taken::Name(_) => writeln!(f, "  takes the topic by its name, route {}", self.route)?,
            Taken::Pattern(pattern) => writeln!(
                f,
                "  takes the topic by the pattern {pattern}, route {}",
                self.route
            )?,
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for (at, point) in self.points.iter().enumerate() {
            writeln!(f, "point {} of {}", at + 1, self.points.len())?;
            write!(f, "{point}")?;
        }
        for request in &self.requests {
            write!(f, "{request}")?;
        }
        let reason = self.fate.reason.as_deref();
        match self.fate.outcome {
            "sent" => writeln!(f, "it would be sent, and nothing was"),
            "settled" => writeln!(f, "it would be settled: {}", reason.unwrap_or_default()),
            "dropped" => writeln!(f, "it would be dropped: {}", reason.unwrap_or_default()),
            "dead_letter" => writeln!(
                f,
                "it would become a dead letter: {}",
                reason.unwrap_or_default()
            ),
            _ => writeln!(
                f,
                "a part of it would be sent, and it would become a dead letter: {}",
                reason.unwrap_or_default()
            ),
        }
    }
}

impl fmt::Display for PointStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  built   {}", line(&self.built))?;
        match &self.script {
            None => writeln!(f, "  script  none")?,
            Some(script) => {
                writeln!(f, "  script  {}: {}", script.name, script.status)?;
                if let Some(error) = &script.error {
                    writeln!(
                        f,
                        "          {}:{}:{}: {} [{}]",
                        script.name, error.line, error.column, error.message, error.code
                    )?;
                    if let Some(hint) = &error.hint {
                        writeln!(f, "          {hint}")?;
                    }
                }
            }
        }
        self.results
            .iter()
            .try_for_each(|result| write!(f, "{result}"))
    }
}

impl fmt::Display for ResultStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  result  {}", line(&self.point))?;
        for correction in &self.corrections {
            writeln!(f, "  rule    {correction}")?;
        }
        match &self.refused {
            Some(reason) => writeln!(f, "  refused {reason}"),
            None => writeln!(f, "  goes to {}", self.outputs.join(", ")),
        }
    }
}

impl fmt::Display for RequestView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request to {}", self.destination)?;
        writeln!(f, "  {} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let items = match self.items {
            1 => "1 item".to_owned(),
            items => format!("{items} items"),
        };
        match self.sent_bytes == self.body_bytes as u64 {
            true => writeln!(f, "  {items}, {} bytes", self.body_bytes)?,
            false => writeln!(
                f,
                "  {items}, {} bytes, {} compressed",
                self.body_bytes, self.sent_bytes
            )?,
        }
        match &self.body {
            Some(Payload::Text(text)) => writeln!(f, "{text}"),
            Some(Payload::Base64(text)) => writeln!(f, "(base64) {text}"),
            None => Ok(()),
        }
    }
}

/// A point in one line.
fn line(point: &Json) -> String {
    let part = |name: &str| {
        let entries = point[name].as_object().into_iter().flatten();
        let shown: Vec<String> = entries
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        shown.join(" ")
    };
    let (tags, fields) = (part("tags"), part("fields"));
    format!(
        "{} [{}] tags: {tags}; fields: {fields}; time: {}",
        point["measurement"].as_str().unwrap_or_default(),
        point["category"].as_str().unwrap_or_default(),
        point["time"]
    )
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => cut(&format!("{text:?}")),
        Payload::Base64(text) => format!("(base64) {}", cut(text)),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
