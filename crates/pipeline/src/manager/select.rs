//! Which script a point asks for: its feature text, and the routes of a collector.

use std::borrow::Cow;

use hashbrown::HashMap;
use kafkamq_point::{Category, Point};

/// What a point is known by when its script is looked up, by category: the name of the point, or
/// the text of the key that tells applications or services apart. `None` for a point that has no
/// such text; it runs through no script.
#[must_use]
pub fn feature_text(category: Category, point: &Point) -> Option<Cow<'_, str>> {
    let text = |key: &str| {
        point
            .get(key)
            .and_then(|entry| entry.value.as_str())
            .filter(|text| !text.is_empty())
    };
    let name = match point.name() {
        "" => "__default",
        name => name,
    };
    Some(match category {
        Category::Rum => Cow::Owned(format!("{}_{name}", text("app_id")?)),
        Category::Security => Cow::Borrowed(text("category")?),
        Category::Tracing | Category::Profiling => Cow::Borrowed(text("service")?),
        Category::KeyEvent => Cow::Borrowed(text("df_source")?),
        _ => Cow::Borrowed(name),
    })
}

/// A collector's own choice of scripts: feature text to script name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptRoutes(HashMap<String, String>);

/// What the routes say about a feature text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Nothing.
    Open,
    /// No script at all.
    Off,
    /// This script.
    Script(&'a str),
}

impl ScriptRoutes {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Routes points by their feature text. The script `-` means none at all; an empty one is as if
    /// there were no route.
    #[must_use]
    pub fn with(mut self, feature: impl Into<String>, script: impl Into<String>) -> Self {
        self.0.insert(feature.into(), script.into());
        self
    }

    /// Routes the points of a topic, whose name they bear as measurement and, in the category rum,
    /// as application.
    #[must_use]
    pub fn with_topic(self, category: Category, topic: &str, script: impl Into<String>) -> Self {
        match category {
            Category::Rum => self.with(format!("{topic}_{topic}"), script),
            _ => self.with(topic, script),
        }
    }

    pub(super) fn route(&self, feature: &str) -> Route<'_> {
        match self.0.get(feature).map(String::as_str) {
            None | Some("") => Route::Open,
            Some("-") => Route::Off,
            Some(script) => Route::Script(script),
        }
    }
}
