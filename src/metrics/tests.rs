//! The names are an interface: dashboards and alerts are built on them.

use kafkamq_record::Outcome;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::registration::Definition;
use super::*;

const BEGIN: &str = "<!-- metrics: written by the tests, do not edit -->\n";
const END: &str = "<!-- end of metrics -->\n";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn table(definitions: &[Definition]) -> String {
    let mut text = String::from("\n| Metric | Type | Labels | |\n| --- | --- | --- | --- |\n");
    for Definition {
        name,
        kind,
        labels,
        help,
    } in definitions
    {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            text,
            "| `{name}` | {kind} | {} | {help} |",
            labels.join(", ")
        )
        .unwrap();
    }
    text.push('\n');
    text
}

#[test]
fn the_page_lists_every_metric_with_type_labels_and_help() {
    let path = file("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let metrics = Metrics::try_new().unwrap();
    let expected = format!("{head}{BEGIN}{}{END}{tail}", table(metrics.definitions()));
    if std::env::var_os("KAFKAMQ_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/metrics.md is stale; run the tests with KAFKAMQ_BLESS=1"
    );
}

#[test]
fn names_and_help_follow_the_conventions() {
    for Definition {
        name,
        kind,
        labels,
        help,
    } in Metrics::try_new().unwrap().definitions()
    {
        assert!(
            name.starts_with("kafkamq_") || name.starts_with("datakit_input_kafkamq_"),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        assert!(help.ends_with('.') && !help.contains('|'), "{name}: {help}");
        let lower = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(
            lower(name) && labels.iter().all(|label| lower(label)),
            "{name} {labels:?}"
        );
    }
}

#[test]
fn two_services_in_one_process_do_not_share_counters() {
    let (one, other) = (Metrics::try_new().unwrap(), Metrics::try_new().unwrap());
    TopicMetrics::new(&one, "t").received.inc();
    assert_eq!(TopicMetrics::new(&other, "t").received.get(), 0);
}

#[test]
fn an_outcome_is_counted_under_its_own_name() {
    let metrics = Metrics::try_new().unwrap();
    let topic = TopicMetrics::new(&metrics, "t");
    for (records, outcome) in (1..).zip(Outcome::ALL) {
        topic.settled(outcome, records);
    }
    for (records, outcome) in (1..).zip(Outcome::ALL) {
        let counter = metrics
            .records_processed
            .with_label_values(&["t", outcome.label()]);
        assert_eq!(counter.get(), records, "{outcome:?}");
    }
}

/// The words in `text` that look like names of our metrics, without a histogram's suffixes.
fn mentioned(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("kafkamq_"))
        .map(|word| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| word.strip_suffix(suffix))
                .unwrap_or(word)
        })
        .collect()
}

#[test]
fn alerts_and_documents_name_metrics_that_exist() {
    let metrics = Metrics::try_new().unwrap();
    let known: BTreeSet<&str> = metrics
        .definitions()
        .iter()
        .map(|d| d.name.as_str())
        .collect();
    for path in ["docs/metrics.md", "deploy/prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(file(path)).unwrap();
        let mentioned = mentioned(&text);
        assert!(!mentioned.is_empty(), "{path}");
        let unknown: Vec<_> = mentioned.difference(&known).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}
