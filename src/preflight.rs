//! Whether a service with this configuration can run: one answer for `kafkamq check`, which prints
//! it, and `kafkamq run`, which starts or refuses to start by it.
//!
//! Everything that can be known beforehand is looked at: the configuration, every script, routes,
//! destinations, and what the Kafka client says of its options. Nothing is dialled, written or
//! created. All findings come at once.
//!
//! A script that is missing or does not compile is a warning: its points pass unchanged, as they do
//! in the DataKit agent, and a folder that has served for years must not stop the start.

use std::collections::{BTreeMap, BTreeSet};

use kafkamq_pipeline::Engine;
use kafkamq_pipeline::manager::{Change, Namespace, ScriptProblem, ScriptStore, read_folder};
use kafkamq_point::Category;

use crate::actors::Router;
use kafkamq_settings::{
    Diagnostic, Diagnostics, InputSettings, Loaded, MASK, OutputKind, Sources, load, scripts_folder,
};
use url::Url;

/// What was found before a start.
#[derive(Debug)]
pub(crate) struct Preflight {
    /// The configuration, unless it is not valid.
    pub(crate) loaded: Option<Loaded>,
    /// Everything that is to be said about it, warnings too.
    pub(crate) found: Diagnostics,
    /// Scripts that do not compile. Each is a warning.
    pub(crate) broken: Vec<ScriptProblem>,
    /// Number of scripts in the folder.
    pub(crate) scripts: usize,
}

/// Whether the service may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Fine,
    /// The configuration is valid, but the system is in the way.
    Unusable,
    /// The configuration is not valid.
    Invalid,
}

impl Preflight {
    /// Looks at everything that `sources` name. `searched` are the files that were looked for
    /// because none was named.
    #[must_use]
    pub(crate) fn examine(sources: &Sources, searched: &[&str]) -> Self {
        let (loaded, mut found) = match load(sources) {
            Ok(loaded) => {
                let warnings = loaded.warnings.clone();
                (Some(loaded), warnings)
            }
            Err(found) => (None, found),
        };
        if sources.is_empty() {
            found.0.push(no_configuration(searched));
            return Self {
                loaded: None,
                found,
                broken: Vec::new(),
                scripts: 0,
            };
        }
        // Scripts are looked at even when the configuration is wrong, to show everything at once.
        let contents = read_folder(&scripts_folder(sources));
        let names: Names = contents
            .scripts
            .iter()
            .map(|(&category, scripts)| (category, scripts.keys().cloned().collect()))
            .collect();
        let unreadable: Vec<Diagnostic> = contents
            .problems
            .iter()
            .map(|problem| Diagnostic::error("pipeline.path", problem.to_string()))
            .collect();
        let store = ScriptStore::new(Engine::new());
        let broken = store
            .apply(Namespace::Default, &Change::folder(contents))
            .problems;
        if let Some(loaded) = &loaded {
            found.0.extend(missing_scripts(loaded, &names));
            found.0.extend(points_without_output(loaded));
            found.0.extend(points_left_behind(loaded));
            let refused = Router::refusals(&loaded.settings);
            let refused = refused.iter().map(ToString::to_string);
            found
                .0
                .extend(refused.map(|refusal| Diagnostic::error("", refusal)));
        }
        found.0.extend(unreadable);
        Self {
            loaded,
            found,
            broken,
            scripts: names.values().map(BTreeSet::len).sum(),
        }
    }

    /// Number of warnings, scripts that do not compile among them.
    #[must_use]
    pub(crate) fn warnings(&self) -> usize {
        self.found.warnings() + self.broken.len()
    }

    /// Whether the service may start.
    #[must_use]
    pub(crate) fn verdict(&self) -> Verdict {
        if self.loaded.is_none() {
            Verdict::Invalid
        } else if self.found.errors() > 0 {
            Verdict::Unusable
        } else {
            Verdict::Fine
        }
    }
}

fn no_configuration(searched: &[&str]) -> Diagnostic {
    let places = searched.join(" or ");
    Diagnostic::error(
        "",
        format!("there is no configuration: {places} was not found"),
    )
    .with_hint("name a file or folder with --config or KAFKAMQ_CONFIG")
}

/// The scripts of each category, broken ones included.
type Names = BTreeMap<Category, BTreeSet<String>>;

/// Scripts that a map or a default names and that are not there.
fn missing_scripts(loaded: &Loaded, names: &Names) -> Vec<Diagnostic> {
    let mut missing = Vec::new();
    let folder = loaded.settings.pipeline.path.display();
    let mut check = |category: Category, script: &str, path: &[&str]| {
        let exists = names
            .get(&category)
            .is_some_and(|names| names.contains(script));
        if script.is_empty() || script == "-" || exists {
            return;
        }
        let place = match category {
            Category::Logging => format!("{folder}"),
            other => format!("{folder}/{other}"),
        };
        let warning = Diagnostic::warning("", format!("the script `{script}` is not in {place}"))
            .with_hint("points pass unchanged until it is there");
        missing.push(loaded.document.located(warning, path));
    };
    for (index, input) in loaded.settings.inputs.iter().enumerate() {
        for topic in input.custom.iter().flat_map(|custom| &custom.topics) {
            let input = format!("kafkamq[{index}]");
            let map = topic_map(topic.category);
            check(
                topic.category,
                &topic.script,
                &["inputs", &input, "custom", &map, &topic.topic],
            );
        }
    }
    for (category, script) in &loaded.settings.pipeline.default_scripts {
        check(
            *category,
            script,
            &["pipeline", "default_scripts", category.name()],
        );
    }
    missing
}

/// The key of the map that gives topics a category.
fn topic_map(category: Category) -> String {
    match category {
        Category::Logging => "log_topic_map".to_owned(),
        other => format!("{}_topic_map", other.name()),
    }
}

/// An agent's file names one receiver for everything (`dk_endpoint`). Points of custom topics do not
/// follow it: without an `[output]` they go to the agent of this host.
fn points_left_behind(loaded: &Loaded) -> Option<Diagnostic> {
    let settings = &loaded.settings;
    if loaded.document.names("output") {
        return None;
    }
    let makes_points = |input: &&InputSettings| input.custom.is_some();
    let input = settings.inputs.iter().find(makes_points)?;
    let forwards = [
        input.skywalking.as_ref().map(|route| &route.http),
        input.jaeger.as_ref().map(|route| &route.http),
        input.otel.as_ref().map(|route| &route.http),
    ];
    let [output] = settings.outputs.as_slice() else {
        return None;
    };
    let OutputKind::Datakit(http) = &output.kind else {
        return None;
    };
    let is_elsewhere =
        |url: &&Url| url.host() != http.endpoint.host() || url.port() != http.endpoint.port();
    let other = forwards
        .into_iter()
        .flatten()
        .map(|http| &http.endpoint)
        .find(is_elsewhere)?;
    let warning = Diagnostic::warning(
        "",
        format!(
            "points of custom topics go to {}, but other records go to {}",
            kafkamq_address::masked_text(http.endpoint.as_str(), MASK),
            kafkamq_address::masked_text(other.as_str(), MASK)
        ),
    );
    Some(warning.with_hint("write [output] with the `endpoint` that points are meant for"))
}

/// Topics whose points every output refuses, so that each record would become a dead letter.
fn points_without_output(loaded: &Loaded) -> Vec<Diagnostic> {
    let outputs = &loaded.settings.outputs;
    let takes = |category: Category| {
        outputs.iter().any(|output| {
            let wanted = output.categories.is_empty() || output.categories.contains(&category);
            let datakit = matches!(output.kind, OutputKind::Datakit(_));
            wanted && !(datakit && category == Category::Profiling)
        })
    };
    let mut found = Vec::new();
    for (index, input) in loaded.settings.inputs.iter().enumerate() {
        let topics = input.custom.iter().flat_map(|custom| &custom.topics);
        for topic in topics.filter(|topic| !takes(topic.category)) {
            let warning = Diagnostic::warning(
                "",
                format!(
                    "no output takes points of category {}: every record of `{}` would become a \
                     dead letter",
                    topic.category, topic.topic
                ),
            )
            .with_hint(
                "add an output that takes this category; DataKit takes profiles only as files",
            );
            let (input, map) = (format!("kafkamq[{index}]"), topic_map(topic.category));
            let path = ["inputs", &input, "custom", &map, &topic.topic];
            found.push(loaded.document.located(warning, &path));
        }
    }
    found
}
