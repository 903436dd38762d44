//! Topics that are named by a pattern: a regular expression that begins with `^`.

use std::fmt;

use regex_automata::meta::Regex;

/// Topics that brokers keep for themselves; only a pattern that says so takes them.
const INTERNAL: &str = "__";

/// A regular expression over topic names.
#[derive(Clone)]
pub struct TopicPattern {
    text: String,
    regex: Regex,
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicPattern").field(&self.text).finish()
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TopicPattern {
    /// Whether a topic of a route is a pattern and no name.
    #[must_use]
    pub fn is_one(topic: &str) -> bool {
        topic.starts_with('^')
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| {
            let reason = error
                .syntax_error()
                .map_or_else(|| error.to_string(), ToString::to_string);
            // The last line says what is wrong, those before draw where.
            let reason = reason.lines().last().unwrap_or_default().to_owned();
            format!("`{text}` is not a regular expression: {reason}")
        })?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Whether a pattern can be used.
    ///
    /// # Errors
    /// As for [`TopicPattern::new`].
    pub(crate) fn check(text: &str) -> Result<(), String> {
        Self::new(text).map(|_| ())
    }

    /// Whether it matches `topic`.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic)
    }

    /// Whether a route with this pattern takes `topic`: a pattern of names, which matches, and not
    /// a topic of the brokers' own unless it says so.
    #[must_use]
    pub fn takes(&self, topic: &str) -> bool {
        let foreign = topic.starts_with(INTERNAL) && !self.text.starts_with("^__");
        Self::is_one(&self.text) && !foreign && self.matches(topic)
    }
}

/// The topics of an input: names, and patterns with what they may not take.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicSelection {
    /// Topics by name.
    pub names: Vec<String>,
    /// Patterns; a topic is taken if one of them takes it.
    pub patterns: Vec<TopicPattern>,
    /// Patterns of topics that `patterns` may not take.
    pub exclude: Vec<TopicPattern>,
}

impl TopicSelection {
    /// A selection from the topics of the routes; what cannot be compiled is left out, settings
    /// have been checked.
    #[must_use]
    pub fn new<'a>(topics: impl Iterator<Item = &'a str>, exclude: &[String]) -> Self {
        let (patterns, names): (Vec<_>, Vec<_>) =
            topics.partition(|topic| TopicPattern::is_one(topic));
        let compile = |text: &str| TopicPattern::new(text).ok();
        Self {
            names: names.into_iter().map(str::to_owned).collect(),
            patterns: patterns.into_iter().filter_map(compile).collect(),
            exclude: exclude.iter().filter_map(|text| compile(text)).collect(),
        }
    }

    /// Whether there is nothing to subscribe to, now or later.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Whether a topic called `topic` is read: it is named, or a pattern takes it.
    #[must_use]
    pub fn takes(&self, topic: &str) -> bool {
        let named = self.names.iter().any(|name| name == topic);
        named || self.takes_by_pattern(topic)
    }

    fn takes_by_pattern(&self, topic: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.takes(topic))
            && !self.exclude.iter().any(|pattern| pattern.matches(topic))
    }

    /// The names to subscribe to when the cluster holds `topics`: those named, in their order, then
    /// those that patterns take, sorted.
    #[must_use]
    pub fn resolve<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut taken: Vec<String> = topics
            .filter(|topic| !self.names.iter().any(|name| name == topic))
            .filter(|topic| self.takes_by_pattern(topic))
            .map(str::to_owned)
            .collect();
        taken.sort();
        taken.dedup();
        let mut all = self.names.clone();
        all.append(&mut taken);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_is_not_excluded_named_or_internal() {
        let exclude = ["-dead-letter$".to_owned(), "^app-secret".to_owned()];
        let topics = ["metrics", "^app-.*", "^web-(log|rum)$"];
        let selection = TopicSelection::new(topics.into_iter(), &exclude);
        let cluster = [
            "web-rum",
            "web-rum-2",
            "app-b",
            "app-a",
            "app-a-dead-letter",
            "app-secret-1",
            "my-app-a",
            "__consumer_offsets",
        ];
        assert_eq!(
            selection.resolve(cluster.into_iter()),
            ["metrics", "app-a", "app-b", "web-rum"]
        );
        // A topic that is named as well is subscribed to once.
        let both = TopicSelection::new(["app-a", "^app-"].into_iter(), &[]);
        assert_eq!(both.resolve(["app-a"].into_iter()), ["app-a"]);
    }

    #[test]
    fn internal_topics_have_to_be_asked_for() {
        let all = TopicPattern::new("^.*").unwrap();
        assert!(!all.takes("__consumer_offsets"));
        assert!(
            TopicPattern::new("^__consumer")
                .unwrap()
                .takes("__consumer_offsets")
        );
        assert!(
            !TopicPattern::new("app").unwrap().takes("app"),
            "no pattern of names"
        );
    }

    #[test]
    fn a_broken_pattern_is_named_with_its_fault() {
        let problem = TopicPattern::check("^app-(").unwrap_err();
        assert!(
            problem.starts_with("`^app-(` is not a regular expression: "),
            "{problem}"
        );
    }
}
