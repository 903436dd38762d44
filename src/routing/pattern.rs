//! Routes of topics that a pattern found.
//!
//! A pattern's route is a template. Each topic that turns up gets a route of its own from it once,
//! with its name, its script and its rules, which is then shared like any other.

use std::collections::HashMap;
use std::sync::Arc;

use kafkamq_pipeline::manager::ScriptRoutes;
use parking_lot::RwLock;

use kafkamq_conversion::route::{InputId, Route, RouteKind};
use kafkamq_settings::{InputSettings, TopicPattern};

/// The patterns of all inputs.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    inputs: HashMap<InputId, InputPatterns>,
    found: RwLock<HashMap<InputId, Found>>,
}

/// Routes by topic, as far as topics have turned up.
type Found = HashMap<Arc<str>, Arc<Route>>;

/// The patterns of one input, in the order of its routes.
#[derive(Debug)]
pub(super) struct InputPatterns {
    templates: Vec<Template>,
    exclude: Vec<TopicPattern>,
    settings: InputSettings,
}

/// What topics of one pattern get.
#[derive(Debug)]
struct Template {
    pattern: TopicPattern,
    route: Route,
    /// The script named beside a custom pattern.
    script: Option<String>,
}

impl InputPatterns {
    /// Takes the routes of patterns out of `routes`; `None` if it does not have any.
    pub(super) fn take(
        input: &InputSettings,
        routes: &mut HashMap<Arc<str>, Arc<Route>>,
    ) -> Option<Self> {
        let script = |topic: &str| {
            let custom = input.custom.as_ref()?;
            let own = custom.topics.iter().find(|own| own.topic == topic)?;
            Some(own.script.clone())
        };
        let templates: Vec<_> = input
            .subscriptions()
            .into_iter()
            .filter(|entry| TopicPattern::is_one(entry.topic))
            .filter_map(|entry| {
                Some(Template {
                    pattern: TopicPattern::new(entry.topic).ok()?,
                    route: Route::clone(routes.remove(entry.topic)?.as_ref()),
                    script: script(entry.topic),
                })
            })
            .collect();
        (!templates.is_empty()).then(|| Self {
            templates,
            exclude: input.selection().exclude,
            settings: input.clone(),
        })
    }

    fn derive(&self, topic: &str) -> Option<Route> {
        if self.exclude.iter().any(|pattern| pattern.matches(topic)) {
            return None;
        }
        let mut found = self.templates.iter();
        let template = found.find(|template| template.pattern.takes(topic))?;
        let mut route = template.route.clone();
        route.topic = topic.into();
        if let (RouteKind::Points(points), Some(script)) = (&mut route.kind, &template.script) {
            points.scripts =
                ScriptRoutes::new().with_topic(points.category, topic, script.as_str());
        }
        route.take_flow_rules(self.settings.flow(topic));
        Some(route)
    }
}

impl Patterns {
    pub(super) fn insert(&mut self, input: InputId, patterns: InputPatterns) {
        self.inputs.insert(input, patterns);
    }

    /// The routes of topics that have turned up.
    pub(super) fn found(&self) -> Vec<Arc<Route>> {
        let found = self.found.read();
        found.values().flat_map(HashMap::values).cloned().collect()
    }

    /// Takes over the routes of topics found before that are the same by these patterns.
    pub(super) fn inherit(&mut self, before: &Self) {
        for old in before.found() {
            let patterns = self.inputs.get(&old.input);
            let route = patterns.and_then(|patterns| patterns.derive(&old.topic));
            if let Some(route) = route {
                let route = if old.is_same(&route) {
                    old
                } else {
                    Arc::new(route)
                };
                let found = self.found.get_mut();
                let routes = found.entry(route.input.clone()).or_default();
                routes.insert(Arc::clone(&route.topic), route);
            }
        }
    }

    /// The route of a topic that no route names.
    pub(super) fn route(&self, input: &InputId, topic: &str) -> Option<Arc<Route>> {
        let patterns = self.inputs.get(input)?;
        if let Some(route) = self
            .found
            .read()
            .get(input)
            .and_then(|found| found.get(topic))
        {
            return Some(Arc::clone(route));
        }
        let route = Arc::new(patterns.derive(topic)?);
        let mut found = self.found.write();
        let routes = found.entry(input.clone()).or_default();
        // Another partition of the topic may have been faster.
        let route = routes.entry(Arc::clone(&route.topic)).or_insert(route);
        Some(Arc::clone(route))
    }
}
