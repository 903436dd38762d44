//! Imports between the packages of the workspace run one way.
//!
//! The table is the house as CONTRIBUTING.md describes it. A new edge is a decision: it belongs into
//! the table only with a reason.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What a package may use of the workspace. What is not named may use nothing of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("kafkamq-record", &["kafkamq-memory"]),
    ("kafkamq-source", &["kafkamq-memory", "kafkamq-record"]),
    // It runs what decides, and none of what talks to Kafka.
    (
        "kafkamq-sim",
        &[
            "kafkamq-delivery",
            "kafkamq-memory",
            "kafkamq-record",
            "kafkamq-source",
        ],
    ),
    ("kafkamq-settings", &["kafkamq-address", "kafkamq-point"]),
    ("kafkamq-pipeline", &["kafkamq-memory", "kafkamq-point"]),
    (
        "kafkamq-delivery",
        &["kafkamq-address", "kafkamq-memory", "kafkamq-record"],
    ),
    (
        "kafkamq-conversion",
        &[
            "kafkamq-delivery",
            "kafkamq-memory",
            "kafkamq-pipeline",
            "kafkamq-point",
            "kafkamq-record",
            "kafkamq-settings",
        ],
    ),
    // It decodes what receivers get.
    ("kafkamq-testbed", &["kafkamq-point"]),
    (
        "kafkamq-instructions",
        &["kafkamq-pipeline", "kafkamq-point"],
    ),
    (
        "kafkamq",
        &[
            "kafkamq-address",
            "kafkamq-broker",
            "kafkamq-conversion",
            "kafkamq-delivery",
            "kafkamq-memory",
            "kafkamq-pipeline",
            "kafkamq-point",
            "kafkamq-record",
            "kafkamq-settings",
            "kafkamq-sim",
            "kafkamq-source",
            "kafkamq-testbed",
        ],
    ),
    // It plays what a client, brokers and receivers do around the machines, and judges them.
    (
        "kafkamq-sim",
        &[
            "kafkamq-delivery",
            "kafkamq-memory",
            "kafkamq-record",
            "kafkamq-source",
        ],
    ),
    // It reads the dead letters that the binary wrote.
    (
        "kafkamq-integration",
        &["kafkamq-delivery", "kafkamq-sim", "kafkamq-testbed"],
    ),
];

/// Packages whose tests build without the C library of the Kafka client.
const WITHOUT_C: &[&str] = &[
    "kafkamq-address",
    "kafkamq-memory",
    "kafkamq-record",
    "kafkamq-source",
    "kafkamq-settings",
    "kafkamq-delivery",
    "kafkamq-conversion",
    "kafkamq-pipeline",
    "kafkamq-point",
    "kafkamq-sim",
];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The dependencies of each package of the workspace, those for tests left out.
fn dependencies() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter();
            let used = used.filter(|one| one["kind"].as_str() != Some("dev"));
            (name(package), used.map(name).collect())
        })
        .collect()
}

#[test]
fn packages_use_only_what_lies_below_them() {
    let graph = dependencies();
    let ours: BTreeSet<&String> = graph.keys().collect();
    assert!(ours.len() >= 10, "{ours:?}");
    for (package, used) in &graph {
        let allowed = MAY_USE.iter().find(|(name, _)| name == package);
        let allowed = allowed.map_or(&[] as &[&str], |(_, allowed)| allowed);
        for dependency in used.iter().filter(|one| ours.contains(one)) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} uses {dependency}, which does not lie below it"
            );
        }
    }
}

#[test]
fn the_core_builds_without_the_kafka_client_and_without_actors() {
    let graph = dependencies();
    for package in WITHOUT_C {
        let used = graph
            .get(*package)
            .unwrap_or_else(|| panic!("no {package}"));
        for foreign in ["rdkafka", "rdkafka-sys", "actix", "actix-web", "prometheus"] {
            assert!(!used.contains(foreign), "{package} uses {foreign}");
        }
    }
}

/// Pages that name files of the house.
const PAGES: &[&str] = &["docs/architecture.md", "CONTRIBUTING.md"];

/// The paths that a page names in code marks, as far as they stand for one file or folder.
fn named_paths(page: &str) -> Vec<&str> {
    let code = page.split('`').skip(1).step_by(2);
    let in_the_house = |text: &&str| {
        let folders = [
            "src/",
            "crates/",
            "tests/",
            "docs/",
            "integration/",
            "config/",
        ];
        folders.iter().any(|folder| text.starts_with(folder))
            && !text.contains(['*', ' ', ':', '{'])
            // A name in capitals, or `x`, stands for any.
            && !text.split(['/', '.']).any(|part| part == "x" || part == part.to_uppercase())
    };
    code.filter(in_the_house).collect()
}

#[test]
fn files_that_the_pages_name_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let paths = named_paths(&text);
        assert!(paths.len() > 5, "{page}: {paths:?}");
        for path in paths {
            assert!(root.join(path).exists(), "{page} names {path}");
        }
    }
}
