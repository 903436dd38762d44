//! Pages and settings that promise something are held to the sources.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kafkamq_settings::keys::{INPUT, Table};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust source below the folders, with its path.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The names of all functions that are tests, those of `proptest!` included.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in sources(&["src", "crates", "integration", "tests"]) {
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                marked |= line.contains("test]") || line.contains("test(");
            } else if let Some(rest) = line
                .strip_prefix("fn ")
                .or_else(|| line.strip_prefix("async fn "))
            {
                if marked && let Some((name, _)) = rest.split_once('(') {
                    names.insert(name.to_owned());
                }
                marked = false;
            } else if !line.is_empty() && !line.starts_with("//") && !line.starts_with(')') {
                // Attributes may span lines; anything else ends them.
                marked &= line.ends_with(',') || line.ends_with(']') || line.contains("reason");
            }
        }
    }
    names
}

/// The rows of a page's tables, as cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let inner = line.trim().trim_matches('|');
        inner
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    page.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("| ---"))
        .map(cells)
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn page() -> String {
    document("conformance.md")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let known = tests();
    assert!(known.contains("every_promise_names_tests_that_exist"));
    let mut wrong = Vec::new();
    for row in rows(&page()) {
        let [promise, _, shown] = row.as_slice() else {
            panic!("a row of {} cells: {row:?}", row.len())
        };
        if shown == "Shown by" {
            continue;
        }
        if quoted(shown).next().is_none() {
            wrong.push(format!("{promise}: no test"));
        }
        for name in quoted(shown).filter(|name| !known.contains(*name)) {
            wrong.push(format!("{promise}: no test is called `{name}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A rule without a test says that it is not kept, and one that is not wholly kept says why.
#[test]
fn every_rule_says_how_far_it_is_kept_and_names_tests_that_exist() {
    let known = tests();
    let mut wrong = Vec::new();
    let rules = rows(&document("guarantees.md"));
    let rules = rules.iter().filter(|row| {
        let number = row[0].strip_prefix('R');
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    let mut count = 0;
    for row in rules {
        let [rule, state, shown @ ..] = row.as_slice() else {
            panic!("a row of {} cells: {row:?}", row.len())
        };
        count += 1;
        let names: Vec<_> = shown.iter().flat_map(|cell| quoted(cell)).collect();
        if !["kept", "in part: ", "not yet"]
            .iter()
            .any(|word| state.starts_with(word))
        {
            wrong.push(format!("{rule}: `{state}` is not a state"));
        }
        if names.is_empty() != state.starts_with("not yet") {
            wrong.push(format!("{rule}: {} tests for `{state}`", names.len()));
        }
        for name in names.iter().filter(|name| !known.contains(**name)) {
            wrong.push(format!("{rule}: no test is called `{name}`"));
        }
    }
    assert_eq!(count, 34);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_that_is_referred_to_exists() {
    for row in rows(&page()) {
        let Some(target) = row[1].split("](").nth(1) else {
            continue;
        };
        let file = target.trim_end_matches(')').split('#').next().unwrap();
        assert!(root().join("docs").join(file).exists(), "{file}");
    }
}

#[test]
fn every_key_of_an_input_is_promised() {
    fn collect(table: &'static Table, names: &mut BTreeMap<&'static str, &'static str>) {
        for key in table.keys() {
            names.entry(key.name).or_insert(table.header);
        }
        for (_, inner) in table.tables {
            collect(inner, names);
        }
    }
    let mut names = BTreeMap::new();
    collect(&INPUT, &mut names);
    let promised: BTreeSet<String> = rows(&page())
        .iter()
        .flat_map(|row| {
            quoted(&row[0])
                .map(|code| code.to_owned())
                .collect::<Vec<_>>()
        })
        .map(|code| code.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|(name, _)| !promised.contains(**name))
        .map(|(name, header)| format!("{name} of {header}"))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/conformance.md leaves out:\n{}",
        missing.join("\n")
    );
}

/// The public fields of the structs that settings consist of.
fn settings_fields() -> BTreeMap<String, String> {
    let folder = root().join("crates/settings/src");
    let files = [
        "input",
        "route",
        "outputs/mod",
        "outputs/dataway",
        "outputs/file",
        "outputs/http",
        "outputs/kafka",
        "delivery",
        "security",
        "tables/server",
        "tables/token",
        "tables/pipeline",
        "tables/dead_letter",
        "tables/recorder",
        "tables/limits",
        "tables/log",
    ];
    let mut fields = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        for line in text.lines() {
            let Some((name, _)) = line
                .strip_prefix("    pub ")
                .and_then(|rest| rest.split_once(": "))
            else {
                continue;
            };
            // Methods have a parenthesis before their first colon.
            if !name.contains('(') {
                fields.insert(name.to_owned(), file.to_owned());
            }
        }
    }
    fields
}

/// A setting that is read from the file and then forgotten is worse than none.
#[test]
fn every_setting_is_used_outside_the_settings() {
    let used: Vec<String> = sources(&["src", "crates/conversion/src"])
        .into_iter()
        .filter(|(path, _)| {
            let place = path.strip_prefix(root()).unwrap();
            !place.ends_with("tests.rs") && !place.iter().any(|part| part == "tests")
        })
        .map(|(_, text)| {
            text.split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    // Used through a method of the settings that the rest of the service calls.
    let behind_methods = [
        ("topics", "subscriptions"),
        ("exclude_topics", "selection"),
        ("topic_flow", "own_flow"),
    ];
    // The token endpoint: OAUTHBEARER is refused at start, with a sentence that says so. Revisions
    // are remembered by whatever changes the configuration at run time.
    let known = ["token_url", "client_secret", "revisions"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let reads = |name: &str| {
        used.iter().any(|text| {
            text.match_indices(name).any(|(at, _)| {
                let before = text[..at].chars().next_back().unwrap_or(' ');
                let after = text[at + name.len()..].chars().next().unwrap_or(' ');
                // A field access, or a name in a pattern.
                (before == '.' || before == ' ' || before == '{') && !is_word(after)
            })
        })
    };
    let fields = settings_fields();
    assert!(fields.len() > 100, "{} fields", fields.len());
    let forgotten: Vec<_> = fields
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .filter(|(name, _)| {
            let method = behind_methods.iter().find(|(field, _)| field == name);
            !method.map_or_else(|| reads(name), |(_, method)| reads(method))
        })
        .map(|(name, file)| format!("{name} of settings/{file}.rs"))
        .collect();
    assert!(
        forgotten.is_empty(),
        "never read:\n{}",
        forgotten.join("\n")
    );
}
