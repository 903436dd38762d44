//! Scripts given at run time, and trials of scripts.
//!
//! A script that is given at run time stands above the one of the folder with the same name and is
//! held in memory: it is gone after a restart. It runs in the same engine as all others, within the
//! same budget and with the same services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafkamq_pipeline::RunState;
use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::manager::{
    Change, LoadReport, LoadedScript, Namespace, ScriptChangeError, ScriptProblem,
};
use kafkamq_point::{Category, Point, Value};
use serde_json::{Map, Value as Json, json};

use super::Scripts;

/// Where scripts that are given at run time live.
const RUNTIME: Namespace = Namespace::Remote;
/// A trial that takes longer stops between two inputs.
const TRIAL_TIME: Duration = Duration::from_secs(5);

/// Where a script comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The pipeline folder.
    Folder,
    /// It was given at run time.
    Runtime,
}

/// A script as it was given last, whether it works or not.
#[derive(Debug, Clone)]
pub struct GivenScript {
    /// Where it comes from.
    pub origin: Origin,
    /// Its text.
    pub text: String,
    /// What runs, unless no version of it ever worked.
    pub loaded: Option<Arc<LoadedScript>>,
}

/// Why a trial was not made.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The script does not compile.
    #[error("{0}")]
    Broken(Box<ScriptProblem>),
    /// There is no such script.
    #[error("there is no {0} script `{1}`")]
    Missing(Category, String),
}

/// A script to be tried.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Its category.
    pub category: Category,
    /// Its name, or the name it would have.
    pub name: &'a str,
    /// A new text for it; without one the text in force.
    pub text: Option<&'a str>,
}

/// What a script made of one point.
#[derive(Debug)]
pub struct Evaluated {
    /// The points that go on, the original first unless it was dropped.
    pub points: Vec<Point>,
    /// Whether the script dropped the original.
    pub dropped: bool,
    /// Why the script stopped early.
    pub error: Option<Box<Diagnostic>>,
    /// How long it ran.
    pub took: Duration,
}

impl Scripts {
    /// The scripts in force, by category and name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<LoadedScript>> {
        let snapshot = self.snapshot();
        let mut all: Vec<_> = snapshot.scripts().cloned().collect();
        all.sort_by(|a, b| (a.category(), a.name()).cmp(&(b.category(), b.name())));
        all
    }

    /// What is wrong with scripts that do not compile.
    #[must_use]
    pub fn problems(&self) -> Vec<ScriptProblem> {
        self.store.problems()
    }

    /// A script as it was given last: at run time, or else by the folder.
    #[must_use]
    pub fn given(&self, category: Category, name: &str) -> Option<GivenScript> {
        let text = |namespace| self.store.text(namespace, category, name);
        let (origin, text) = match text(RUNTIME) {
            Some(text) => (Origin::Runtime, text),
            None => (Origin::Folder, text(Namespace::Default)?),
        };
        let loaded = self.snapshot().get(category, name).cloned();
        Some(GivenScript {
            origin,
            text,
            loaded,
        })
    }

    /// Compiles a text under a name without putting it into force.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, category: Category, name: &str, text: &str) -> Result<(), TrialError> {
        let trial = Trial {
            category,
            name,
            text: Some(text),
        };
        self.preview(trial).map(|_| ())
    }

    /// Puts a script into force; if it does not compile nothing changes. The report names other
    /// scripts that do not compile with it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn put(
        &self,
        category: Category,
        name: &str,
        text: &str,
    ) -> Result<LoadReport, ScriptChangeError> {
        let report = self.store.put(RUNTIME, category, name, text)?;
        self.publish();
        Ok(report)
    }

    /// Removes a script that was given at run time; the folder's comes back if there is one.
    ///
    /// # Errors
    /// If none was given.
    pub fn remove(&self, category: Category, name: &str) -> Result<LoadReport, ScriptChangeError> {
        let report = self.store.remove(RUNTIME, category, name)?;
        self.publish();
        Ok(report)
    }

    /// Runs a script on points without a trace: it shares no caches, windows and buckets with those
    /// in force. What takes too long in sum is left out, so there may be fewer results than points.
    ///
    /// # Errors
    /// When there is no such script or it does not compile.
    pub fn evaluate(
        &self,
        trial: Trial<'_>,
        points: impl IntoIterator<Item = Point>,
    ) -> Result<Vec<Evaluated>, TrialError> {
        let script = self.preview(trial)?;
        let began = Instant::now();
        let mut state = RunState::new();
        let mut results = Vec::new();
        for mut point in points {
            if began.elapsed() > TRIAL_TIME {
                break;
            }
            let start = Instant::now();
            let outcome = script.script().run(&mut point, &mut state);
            let took = start.elapsed();
            // As in the flow: a run that failed has decided nothing.
            let dropped = outcome.dropped && outcome.error.is_none();
            let mut points = Vec::new();
            points.extend((!dropped).then_some(point));
            if outcome.error.is_none() {
                let created = outcome.created.into_iter();
                points.extend(created.filter(|new| !new.dropped).map(|new| new.point));
            }
            points.extend(outcome.recovered);
            results.push(Evaluated {
                points,
                dropped,
                error: outcome.error,
                took,
            });
        }
        Ok(results)
    }

    fn preview(&self, trial: Trial<'_>) -> Result<Arc<LoadedScript>, TrialError> {
        let Trial {
            category,
            name,
            text,
        } = trial;
        let missing = || TrialError::Missing(category, name.to_owned());
        // Its neighbours come along, so that it can use them.
        let mut texts: BTreeMap<String, String> = self
            .snapshot()
            .scripts()
            .filter(|script| script.category() == category)
            .map(|script| (script.name().to_owned(), script.text().to_owned()))
            .collect();
        if let Some(text) = text {
            texts.insert(name.to_owned(), text.to_owned());
        } else if !texts.contains_key(name) {
            return Err(missing());
        }
        let change = Change::new().replace(category, texts);
        let (snapshot, mut report) = self.store.preview(RUNTIME, &change);
        if let Some(at) = report.problems.iter().position(|found| found.name == name) {
            let problem = report.problems.swap_remove(at);
            return Err(TrialError::Broken(Box::new(problem)));
        }
        snapshot.get(category, name).cloned().ok_or_else(missing)
    }
}

/// A point as JSON for people.
#[must_use]
pub fn shown(point: &Point) -> Json {
    let tags: Map<String, Json> = point
        .tags()
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    let fields: Map<String, Json> = point
        .fields()
        .map(|(key, value)| (key.to_owned(), plain(value)))
        .collect();
    json!({
        "measurement": point.name(),
        "category": point.category().name(),
        "tags": tags,
        "fields": fields,
        "time": point.time_ns(),
    })
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) if number.is_finite() => (*number).into(),
        Value::Float(number) => number.to_string().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::Array(items) => items.iter().map(plain).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};

    fn scripts(folder: &std::path::Path) -> Scripts {
        let text = format!("[pipeline]\npath = \"{}\"\n", folder.display());
        let settings = load(&Sources::new().text("test", text)).unwrap().settings;
        Scripts::load(&settings.pipeline).unwrap().0
    }

    fn point() -> Point {
        Point::new("t", Category::Logging, 1)
    }

    #[test]
    fn a_given_script_hides_the_folders_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.p"), "add_key(from, \"folder\")").unwrap();
        let scripts = scripts(folder.path());
        let text = |scripts: &Scripts| {
            let loaded = scripts.snapshot().get(Category::Logging, "a.p").cloned();
            loaded.unwrap().text().to_owned()
        };
        scripts
            .put(Category::Logging, "a.p", "add_key(from, \"http\")")
            .unwrap();
        assert!(text(&scripts).contains("http"), "in force at once");
        let given = scripts.given(Category::Logging, "a.p").unwrap();
        assert_eq!(given.origin, Origin::Runtime);

        assert!(scripts.put(Category::Logging, "a.p", "if {").is_err());
        assert!(text(&scripts).contains("http"), "nothing changed");

        scripts.remove(Category::Logging, "a.p").unwrap();
        assert!(text(&scripts).contains("folder"));
        assert!(scripts.remove(Category::Logging, "a.p").is_err());
        assert!(scripts.given(Category::Logging, "b.p").is_none());
    }

    #[test]
    fn a_trial_uses_its_neighbours_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.p"), "add_key(a, 1)").unwrap();
        let scripts = scripts(folder.path());
        let trial = Trial {
            category: Category::Logging,
            name: "new.p",
            text: Some("use(\"a.p\")\nadd_key(b, 2)\nif c == 3 { drop() }"),
        };
        let results = scripts.evaluate(trial, [point()]).unwrap();
        assert_eq!(
            shown(&results[0].points[0])["fields"],
            json!({"a": 1, "b": 2, "status": "info"})
        );
        assert!(!results[0].dropped && results[0].error.is_none());
        assert!(scripts.given(Category::Logging, "new.p").is_none());

        let broken = Trial {
            text: Some("nothing_of_the_kind()"),
            ..trial
        };
        let error = scripts.evaluate(broken, [point()]).err();
        assert!(matches!(error, Some(TrialError::Broken(_))), "{error:?}");
        let missing = Trial {
            text: None,
            ..trial
        };
        let error = scripts.evaluate(missing, [point()]).err();
        assert!(matches!(error, Some(TrialError::Missing(..))), "{error:?}");
    }
}
