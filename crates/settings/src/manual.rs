//! The manual (`config/kafkamq.toml`) and the key tables of the reference
//! (`docs/configuration.md`), written from the key tables.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use super::keys::{Key, ROOT, Table, TakesEffect};

const WIDTH: usize = 100;

const HEAD: &str = "\
kafkamq, the manual: every key with its default and one sentence.

Everything here is the default; take the `#` off a line to change it. Lines whose key has no default
show an example. Files given with --config are laid over each other in their order, the tables
[[inputs.kafkamq]] and [[output]] of all files are added together, and the environment wins:
KAFKAMQ_SERVER__LISTEN sets `listen` of [server], KAFKAMQ_INPUTS__0__GROUP_ID sets `group_id` of the
first input.

Durations are written like \"30s\" or \"1h 30m\", or as seconds; sizes like \"64MiB\" or \"500kB\", or as
bytes. Every secret has a second form, the same key with `_file` appended, that names a file.
`kafkamq check` tells what is wrong with a file before it runs.
";

/// The text of `config/kafkamq.toml`.
#[must_use]
pub(crate) fn manual() -> String {
    let mut text = String::new();
    comment(&mut text, HEAD);
    let mut explained = BTreeSet::new();
    // Writing to a string cannot fail.
    let written = manual_tables(&mut text, &ROOT, &mut explained);
    debug_assert!(written.is_ok());
    text
}

fn manual_tables(
    text: &mut String,
    table: &'static Table,
    explained: &mut BTreeSet<&'static str>,
) -> fmt::Result {
    for (_, inner) in table.tables {
        if !inner.doc.is_empty() {
            writeln!(text)?;
            comment(text, inner.doc);
            let off = if inner.header.starts_with("[[") || inner.header.contains("inputs.") {
                "#"
            } else {
                ""
            };
            writeln!(text, "{off}{}", inner.header.replace("NAME", "app-log"))?;
            manual_keys(text, inner, explained)?;
        }
        manual_tables(text, inner, explained)?;
    }
    Ok(())
}

fn manual_keys(
    text: &mut String,
    table: &'static Table,
    explained: &mut BTreeSet<&'static str>,
) -> fmt::Result {
    for group in table.groups {
        if !group.about.is_empty() {
            writeln!(text)?;
            comment(text, group.about);
        }
        let brief = !group.shared.is_empty() && !explained.insert(group.shared);
        if brief {
            writeln!(text)?;
            comment(text, &format!("{}, as explained above:", group.shared));
        }
        for key in group.keys {
            if !brief {
                writeln!(text)?;
                comment(text, &sentence(key));
            }
            let value = if key.default.is_empty() {
                key.example
            } else {
                key.default
            };
            writeln!(text, "#{} = {value}", key.name)?;
        }
    }
    Ok(())
}

/// What is said about a key: its sentence, the words it takes, an example, what it is replaced by.
fn sentence(key: &Key) -> String {
    let mut sentence = key.doc.to_owned();
    if let super::keys::Kind::Choice(words) = key.kind {
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| format!("\"{word}\""))
            .collect();
        sentence.push_str(&format!(" One of {}.", words.join(", ")));
    }
    if !key.example.is_empty() && !key.default.is_empty() {
        sentence.push_str(&format!(" Example: `{}`.", key.example));
    }
    if key.default.is_empty() && !key.doc.to_lowercase().contains("required") {
        sentence.push_str(" No default.");
    }
    if let Some(instead) = key.instead {
        sentence.insert_str(0, "Old key. ");
        sentence.push_str(&format!(" Use {instead} instead."));
    }
    if !key.aliases.is_empty() {
        sentence.push_str(&format!(
            " Also accepted as `{}`.",
            key.aliases.join("`, `")
        ));
    }
    sentence
}

/// Adds `# ` lines, wrapped.
fn comment(text: &mut String, prose: &str) {
    for paragraph in prose.lines() {
        let mut line = String::from("#");
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                line.truncate(1);
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
}

/// The key tables of `docs/configuration.md`.
#[must_use]
pub(crate) fn reference() -> String {
    let mut text = String::new();
    let mut shared = BTreeSet::new();
    let mut later = Vec::new();
    let written = reference_tables(&mut text, &ROOT, &mut shared, &mut later);
    debug_assert!(written.is_ok());
    text.push_str(&later.concat());
    text
}

fn reference_tables(
    text: &mut String,
    table: &'static Table,
    shared: &mut BTreeSet<&'static str>,
    later: &mut Vec<String>,
) -> fmt::Result {
    for (_, inner) in table.tables {
        if !inner.doc.is_empty() {
            writeln!(text, "### `{}`\n\n{}\n", inner.header, inner.doc)?;
            for group in inner.groups {
                if group.shared.is_empty() {
                    if group.keys.is_empty() {
                        continue;
                    }
                    if !group.about.is_empty() {
                        writeln!(text, "{}\n", group.about)?;
                    }
                    writeln!(text, "{}", key_table(Some(inner), group.keys)?)?;
                    continue;
                }
                let anchor = group.shared.to_lowercase().replace(' ', "-");
                writeln!(text, "All keys of [{}](#{anchor}).\n", group.shared)?;
                if shared.insert(group.shared) {
                    later.push(format!(
                        "### {}\n\n{}\n",
                        group.shared,
                        key_table(None, group.keys)?
                    ));
                }
            }
        }
        reference_tables(text, inner, shared, later)?;
    }
    Ok(())
}

/// The rows of `keys`; without a table those that several tables share.
fn key_table(table: Option<&Table>, keys: &[Key]) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "| Key | Type | Default | Takes effect | |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in keys {
        let default = if key.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", key.default)
        };
        let mut doc = key.doc.to_owned();
        if key.kind.has_file() {
            doc.push_str(&format!(" Or `{}_file`.", key.name));
        }
        if let Some(instead) = key.instead {
            doc = format!("*Old key, use {instead}.* {doc}");
        }
        if !key.aliases.is_empty() {
            doc.push_str(&format!(" Also `{}`.", key.aliases.join("`, `")));
        }
        if !key.example.is_empty() {
            doc.push_str(&format!(" Example: `{}`", key.example));
        }
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            key.kind.describe().replace("``, ", ""),
            default.replace('|', "\\|"),
            table
                .map(|table| table.effect_of(key))
                .or(key.takes_effect)
                .map_or("as the table's others", TakesEffect::describe),
            doc.replace('|', "\\|")
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{InputSettings, Settings, Sources, load};
    use super::*;

    /// Compares a checked-in file with what it should be; `KAFKAMQ_BLESS=1` writes it.
    fn compare(path: &str, expected: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path);
        if std::env::var_os("KAFKAMQ_BLESS").is_some() {
            std::fs::write(&path, expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert!(
            found == expected,
            "{} is stale; run the tests with KAFKAMQ_BLESS=1",
            path.display()
        );
    }

    fn settings(text: &str) -> Settings {
        load(&Sources::new().text("manual", text))
            .unwrap_or_else(|found| panic!("{found}"))
            .settings
    }

    #[test]
    fn the_checked_in_manual_is_current() {
        compare("config/kafkamq.toml", &manual());
    }

    #[test]
    fn the_checked_in_reference_is_current() {
        const BEGIN: &str = "<!-- keys: written by the tests, do not edit -->\n";
        const END: &str = "<!-- end of keys -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let found = std::fs::read_to_string(path).unwrap();
        let (head, rest) = found.split_once(BEGIN).unwrap();
        let (_, tail) = rest.split_once(END).unwrap();
        compare(
            "docs/configuration.md",
            &format!("{head}{BEGIN}\n{}{END}{tail}", reference()),
        );
    }

    #[test]
    fn the_manual_loads_as_it_is() {
        assert_eq!(settings(&manual()), settings(""));
    }

    /// The manual with its comments taken off: every default written out, and of the keys without
    /// default only the required ones.
    fn written_out() -> String {
        const REQUIRED: [&str; 4] = ["addrs", "group_id", "dk_endpoint", "endpoint"];
        fn keys(table: &'static Table, all: &mut Vec<&'static Key>) {
            all.extend(table.keys());
            table.tables.iter().for_each(|(_, inner)| keys(inner, all));
        }
        let mut all = Vec::new();
        keys(&ROOT, &mut all);
        let mut text = String::new();
        let mut in_input = false;
        for line in manual().lines() {
            let bare = line.trim_start_matches('#');
            if bare.starts_with('[') {
                in_input = bare.contains("inputs.");
                // Written out, a token without a secret would be one.
                if bare == "[[server.tokens]]" {
                    continue;
                }
                // Any topic rule would be about a topic that no route names.
                if bare.contains("topics.") {
                    text.push_str("[inputs.kafkamq.topics.unused]\n");
                    continue;
                }
                text.push_str(bare);
            } else if let Some((name, value)) = bare.split_once(" = ")
                && line.starts_with('#')
                && !name.contains(' ')
            {
                let defaults = all
                    .iter()
                    .any(|key| key.name == name && key.default == value && key.instead.is_none());
                let required = in_input && REQUIRED.contains(&name);
                if defaults || required {
                    text.push_str(bare);
                }
            }
            text.push('\n');
        }
        text
    }

    #[test]
    fn written_out_defaults_change_nothing() {
        let short = "[[inputs.kafkamq]]\naddrs = [\"localhost:9092\"]\ngroup_id = \"datakit-group\"\n\
            [inputs.kafkamq.skywalking]\ndk_endpoint = \"http://localhost:9529\"\n\
            [inputs.kafkamq.jaeger]\ndk_endpoint = \"http://localhost:9529\"\n\
            [inputs.kafkamq.otel]\ndk_endpoint = \"http://localhost:9529\"\n\
            [inputs.kafkamq.custom]\n\
            [inputs.kafkamq.remote_handle]\nendpoint = \"http://localhost:8080\"\n";
        let mut long = settings(&written_out());
        // The rules of a topic are the defaults of the input's.
        for InputSettings {
            topic_flow, flow, ..
        } in &mut long.inputs
        {
            assert_eq!(topic_flow.remove("unused").as_ref(), Some(&*flow));
        }
        assert_eq!(long, settings(short));
    }

    #[test]
    fn every_key_says_what_it_does_and_shows_a_value() {
        fn visit(table: &'static Table, text: &str) {
            for key in table.keys() {
                let place = format!("{} in {}", key.name, table.header);
                assert!(key.doc.ends_with('.'), "{place}");
                let value = if key.default.is_empty() {
                    key.example
                } else {
                    key.default
                };
                assert!(
                    text.contains(&format!("#{} = {value}\n", key.name)),
                    "{place}"
                );
                for value in [key.default, key.example]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                {
                    let whole = format!("value = {value}");
                    assert!(
                        toml::from_str::<toml::Table>(&whole).is_ok(),
                        "{place}: {value}"
                    );
                }
            }
            table
                .tables
                .iter()
                .for_each(|(_, inner)| visit(inner, text));
        }
        visit(&ROOT, &manual());
    }
}
