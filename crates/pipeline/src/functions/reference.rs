//! The function reference, rendered from the specifications: Markdown pages and terminal text.

use std::fmt::Write as _;

use super::{DefaultValue, FunctionSpec, Param, ParamKind};
use crate::value::Types;

/// What a parameter takes, in words: "a key", "a literal str", ...
#[must_use]
pub(crate) fn describe_kind(kind: ParamKind) -> String {
    match kind {
        ParamKind::Key => "a key".to_owned(),
        ParamKind::Name => "a key written as a name".to_owned(),
        ParamKind::Value(Types::ANY) | ParamKind::Expr => "any expression".to_owned(),
        ParamKind::Value(types) => types.describe(),
        ParamKind::Literal(types) => format!("a literal {}", types.describe()),
        ParamKind::Source => "a string or a key".to_owned(),
        ParamKind::Path => "a path".to_owned(),
    }
}

fn default_text(default: DefaultValue) -> String {
    match default {
        DefaultValue::Absent | DefaultValue::Nil => "nil".to_owned(),
        DefaultValue::Bool(truth) => truth.to_string(),
        DefaultValue::Int(number) => number.to_string(),
        DefaultValue::Str(text) => format!("{text:?}"),
        DefaultValue::List => "[]".to_owned(),
    }
}

fn parameter(param: &Param) -> String {
    match param.default {
        _ if param.rest => format!("{}…", param.name),
        None => param.name.to_owned(),
        Some(DefaultValue::Absent) => format!("{}?", param.name),
        Some(default) => format!("{} = {}", param.name, default_text(default)),
    }
}

/// The function's signature, such as `kv_split(key, field_split_pattern = " ") -> bool`.
#[must_use]
pub(crate) fn signature(spec: &FunctionSpec) -> String {
    let params: Vec<String> = spec.params.iter().map(parameter).collect();
    let mut out = format!("{}({})", spec.name, params.join(", "));
    if spec.returns != Types::NONE {
        let _infallible = write!(out, " -> {}", spec.returns.describe());
    }
    out
}

/// The function's page in Markdown.
#[cfg(test)]
pub(crate) fn markdown(spec: &FunctionSpec) -> String {
    let mut out = format!(
        "# {}\n\n{}.\n\n```text\n{}\n```\n\n{}\n",
        spec.name,
        spec.summary,
        signature(spec),
        spec.doc.trim()
    );
    if !spec.params.is_empty() {
        out.push_str("\n| Parameter | Takes | Default | Meaning |\n| --- | --- | --- | --- |\n");
        for param in spec.params {
            let default = match param.default {
                _ if param.rest => "any number".to_owned(),
                None => "required".to_owned(),
                Some(DefaultValue::Absent) => "may be left out".to_owned(),
                Some(default) => format!("`{}`", default_text(default)),
            };
            let _infallible = writeln!(
                out,
                "| `{}` | {} | {default} | {} |",
                param.name,
                describe_kind(param.kind),
                param.doc.replace('|', "\\|")
            );
        }
        let named = if spec.named {
            "Arguments may be given by name."
        } else {
            "Arguments are given by position."
        };
        let _infallible = write!(out, "\n{named}\n");
    }
    for example in spec.examples {
        let _infallible = write!(
            out,
            "\n## {}\n\n```python\n{}\n```\n",
            example.title,
            example.script.trim_end()
        );
        if !example.input.is_empty() {
            let _infallible = write!(out, "\nInput:\n\n```text\n{}\n```\n", example.input);
        }
        let _infallible = write!(out, "\nResult:\n\n```text\n{}```\n", rows(example.output));
    }
    if !spec.notes.is_empty() {
        out.push_str("\n## Notes\n\n");
        for note in spec.notes {
            let _infallible = writeln!(out, "* {note}");
        }
    }
    out
}

fn rows(output: &[(&str, &str)]) -> String {
    if output.is_empty() {
        return "(no further keys)\n".to_owned();
    }
    let width = output.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    output.iter().fold(String::new(), |mut out, (key, value)| {
        let _infallible = writeln!(out, "{key:width$} = {value}");
        out
    })
}

/// The function's page as plain text for a terminal.
#[must_use]
pub fn terminal(spec: &FunctionSpec) -> String {
    let mut out = format!("{}\n\n  {}.\n", signature(spec), spec.summary);
    for paragraph in spec.doc.trim().split("\n\n") {
        let _infallible = write!(out, "\n{}", wrapped(paragraph, "  "));
    }
    if !spec.params.is_empty() {
        out.push_str("\nPARAMETERS\n");
        for param in spec.params {
            let _infallible = write!(
                out,
                "  {}  ({})\n{}",
                parameter(param),
                describe_kind(param.kind),
                wrapped(param.doc, "      ")
            );
        }
    }
    for example in spec.examples {
        let _infallible = writeln!(out, "\nEXAMPLE: {}", example.title);
        for line in example.script.trim_end().lines() {
            let _infallible = writeln!(out, "    {line}");
        }
        for line in example.input.lines() {
            let _infallible = writeln!(out, "  < {line}");
        }
        for line in rows(example.output).lines() {
            let _infallible = writeln!(out, "  > {line}");
        }
    }
    if !spec.notes.is_empty() {
        out.push_str("\nNOTES\n");
        for note in spec.notes {
            out.push_str(&wrapped(note, "  "));
        }
    }
    out
}

/// A paragraph broken at 80 columns.
fn wrapped(paragraph: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = indent.to_owned();
    for word in paragraph.split_whitespace() {
        if line.len() + 1 + word.len() > 80 && line.len() > indent.len() {
            out.push_str(line.trim_end());
            out.push('\n');
            line = indent.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kafkamq_point::{Category, Point, Value as Field};

    use super::*;
    use crate::functions::{ALL, Example};
    use crate::{Engine, RunState, Script};

    /// Values as examples write them: JSON, but floats always show that they are floats.
    fn shown(value: &Field) -> String {
        match value {
            Field::Nil => "null".to_owned(),
            Field::Float(number) => format!("{number:?}"),
            Field::Str(text) => serde_json::to_string(text.as_str()).unwrap(),
            Field::Int(number) => number.to_string(),
            Field::Bool(truth) => truth.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_example_does_what_it_says() {
        const TIME: i64 = 1_600_000_000_000_000_000;
        let mut failures = Vec::new();
        for spec in ALL {
            for Example {
                title,
                script,
                input,
                output,
            } in spec.examples
            {
                let engine = Engine::new().with_time_zone(jiff::tz::TimeZone::UTC);
                let compiled = match Script::compile(&engine, "example.p", *script) {
                    Ok(compiled) => compiled,
                    Err(errors) => {
                        failures.push(format!(
                            "{}: {title}: {}",
                            spec.name,
                            errors[0].render(false)
                        ));
                        continue;
                    }
                };
                let mut point = Point::new("test", Category::Tracing, TIME);
                point.set_field("message", *input);
                let outcome = compiled.run(&mut point, &mut RunState::new());
                let mut got: Vec<(String, String)> = point
                    .entries()
                    .iter()
                    .map(|entry| (entry.key.to_string(), shown(&entry.value)))
                    .filter(|(key, value)| {
                        key != "message" || *value != serde_json::to_string(input).unwrap()
                    })
                    .collect();
                if point.name() != "test" {
                    got.push((
                        "(name)".into(),
                        serde_json::to_string(point.name()).unwrap(),
                    ));
                }
                if point.time_ns() != TIME {
                    got.push(("(time)".into(), point.time_ns().to_string()));
                }
                if outcome.dropped {
                    got.push(("(dropped)".into(), "true".into()));
                }
                if let Some(error) = outcome.error {
                    got.push(("(error)".into(), error.code.to_string()));
                }
                let mut want: Vec<(String, String)> = output
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect();
                got.sort();
                want.sort();
                for (key, value) in &mut got {
                    if want.iter().any(|(k, v)| k == key && v == Example::ANY) {
                        *value = Example::ANY.to_owned();
                    }
                }
                if got != want {
                    failures.push(format!(
                        "{}: {title}\n  want {want:?}\n  got  {got:?}",
                        spec.name
                    ));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// `UPDATE_DOCS=1 cargo test -p kafkamq-pipeline` writes the pages anew.
    #[test]
    fn the_pages_in_docs_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions");
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        let mut stale = Vec::new();
        for spec in ALL {
            let path = folder.join(format!("{}.md", spec.name));
            let page = markdown(spec);
            if std::fs::read_to_string(&path).ok().as_deref() == Some(&page) {
                continue;
            }
            if update {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, page).unwrap();
            } else {
                stale.push(spec.name);
            }
        }
        assert!(
            stale.is_empty(),
            "run `UPDATE_DOCS=1 cargo test -p kafkamq-pipeline pages_in_docs` for {stale:?}"
        );
    }

    #[test]
    fn the_terminal_page_reads_well() {
        insta::assert_snapshot!(terminal(crate::functions::find("add_key").unwrap()));
    }
}
