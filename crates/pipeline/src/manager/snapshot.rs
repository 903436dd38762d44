//! The scripts in force at one moment.

use std::sync::Arc;

use hashbrown::HashMap;
use kafkamq_point::{Category, Point};

use super::select::Route;
use super::{LoadedScript, ScriptRoutes, feature_text};

/// The script that catches points no other script was found for, per category; an empty name means none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultScripts(pub HashMap<Category, String>);

impl DefaultScripts {
    fn get(&self, category: Category) -> Option<&str> {
        self.0
            .get(&category)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }
}

/// Scripts and default scripts of one moment. Immutable.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By category, then by name without `.p`.
    pub(super) index: HashMap<Category, HashMap<Arc<str>, Arc<LoadedScript>>>,
    pub(super) defaults: Arc<DefaultScripts>,
}

impl Snapshot {
    /// The script in force under a name, which ends in `.p`.
    #[must_use]
    pub fn get(&self, category: Category, name: &str) -> Option<&Arc<LoadedScript>> {
        self.index.get(&category)?.get(name.strip_suffix(".p")?)
    }

    /// The script that runs on a point.
    ///
    /// The first of these that says something names it: the collector's routes, the point's feature
    /// text with `.p`. If no script of that name is in force, the category's default
    /// script takes its place. `None` when there is no such script either, when the point has no feature text,
    /// and when a route says so.
    #[must_use]
    pub fn select(
        &self,
        category: Category,
        point: &Point,
        routes: &ScriptRoutes,
    ) -> Option<&Arc<LoadedScript>> {
        let index = self.index.get(&category)?;
        let feature = feature_text(category, point)?;
        let named = match routes.route(&feature) {
            Route::Off => return None,
            Route::Script(script) => self.get(category, script),
            Route::Open => index.get(&*feature),
        };
        named.or_else(|| self.get(category, self.defaults.get(category)?))
    }

    /// Whether no script of a category is in force, so that its points need not be looked at.
    #[must_use]
    pub fn is_empty(&self, category: Category) -> bool {
        self.index.get(&category).is_none_or(HashMap::is_empty)
    }

    /// All scripts in force, in no particular order.
    pub fn scripts(&self) -> impl Iterator<Item = &Arc<LoadedScript>> {
        self.index.values().flat_map(HashMap::values)
    }
}
