//! Scripts given at run time, and trials of scripts.
//!
//! A script that is given at run time stands above the one of the folder with the same name until that
//! one changes: the last change wins. It runs in the same engine as all others, within the same budget
//! and with the same services.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafkamq_pipeline::manager::{
    Change, FolderContents, FolderProblem, LoadReport, LoadedScript, Namespace, ScriptChangeError,
    ScriptProblem, Snapshot, read_folder,
};
use kafkamq_point::{Category, Point, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{Scripts, State, Texts};

/// Where scripts that are given at run time live.
const RUNTIME: Namespace = Namespace::Remote;

/// Where a script comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptOrigin {
    /// The pipeline folder.
    Folder,
    /// It was given at run time.
    Runtime,
}

/// A script that was given at run time, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTimeScript {
    /// Category of the points it runs on.
    pub category: String,
    /// Its file name, which ends in `.p`.
    pub name: String,
    /// Its source text.
    pub text: String,
    /// Who gave it.
    pub by: String,
    /// When, in RFC 3339.
    pub time: String,
    /// Digest of the file of that name at that time; `None` if there was no such file.
    pub file: Option<String>,
}

/// What is remembered of a script given at run time, besides its text.
#[derive(Debug)]
pub(super) struct Given {
    by: String,
    time: String,
    /// Digest of the file of that name at that time.
    file: Option<String>,
}

/// Scripts given at run time.
pub(super) type AllGiven = BTreeMap<(Category, String), Given>;

/// A script as it was given last, whether it works or not.
#[derive(Debug, Clone)]
pub struct GivenScript {
    /// Where it comes from.
    pub origin: ScriptOrigin,
    /// Its source text.
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
    /// The category of the points it runs on.
    pub category: Category,
    /// Its name, or the name it would have.
    pub name: &'a str,
    /// A new text for it; without one the text in force.
    pub text: Option<&'a str>,
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
            Some(text) => (ScriptOrigin::Runtime, text),
            None => (ScriptOrigin::Folder, text(Namespace::Default)?),
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
        self.preview(trial).map(drop)
    }

    /// Puts a script into force in the name of `by`; if it does not compile nothing changes. The report
    /// names other scripts that do not compile with it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn put(
        &self,
        category: Category,
        name: &str,
        text: &str,
        by: &str,
    ) -> Result<LoadReport, ScriptChangeError> {
        let mut state = self.state.lock();
        // As it is on disk and not as it was loaded: a change that is not loaded yet is older, too.
        let file = file_digest(&read_folder(&state.settings.path).scripts, category, name);
        let report = self.store.put(RUNTIME, category, name, text)?;
        let given = Given {
            by: by.to_owned(),
            time: jiff::Timestamp::now().to_string(),
            file,
        };
        state.given.insert((category, name.to_owned()), given);
        self.publish();
        Ok(report)
    }

    /// Removes a script that was given at run time; the folder's comes back if there is one.
    ///
    /// # Errors
    /// If none was given.
    pub fn remove(&self, category: Category, name: &str) -> Result<LoadReport, ScriptChangeError> {
        let mut state = self.state.lock();
        let report = self.store.remove(RUNTIME, category, name)?;
        state.given.remove(&(category, name.to_owned()));
        self.publish();
        Ok(report)
    }

    /// The scripts given at run time, by category and name.
    #[must_use]
    pub fn of_run_time(&self) -> Vec<RunTimeScript> {
        let state = self.state.lock();
        let given = state.given.iter();
        given
            .filter_map(|((category, name), given)| {
                Some(RunTimeScript {
                    category: category.name().to_owned(),
                    name: name.clone(),
                    text: self.store.text(RUNTIME, *category, name)?,
                    by: given.by.clone(),
                    time: given.time.clone(),
                    file: given.file.clone(),
                })
            })
            .collect()
    }

    /// Who gave a script at run time, and when in RFC 3339.
    #[must_use]
    pub fn put_by(&self, category: Category, name: &str) -> Option<(String, String)> {
        let state = self.state.lock();
        let given = state.given.get(&(category, name.to_owned()))?;
        Some((given.by.clone(), given.time.clone()))
    }

    /// Puts scripts into force that were given to an earlier process, but for those whose file in
    /// the folder has changed since and those that do not compile any more. Says why each of these was
    /// left out.
    pub fn resume(&self, kept: Vec<RunTimeScript>) -> Vec<String> {
        let mut state = self.state.lock();
        let folder = read_folder(&state.settings.path);
        let mut left_out = Vec::new();
        let mut wanted = Texts::new();
        for script in kept {
            let shown = format!(
                "the script {}/{} that {} put",
                script.category, script.name, script.by
            );
            let Ok(category) = script.category.parse::<Category>() else {
                left_out.push(format!("{shown}: there is no such category"));
                continue;
            };
            if file_changed(&folder, category, &script.name, script.file.as_deref()) {
                left_out.push(format!(
                    "{shown} is replaced by its file, which has changed since"
                ));
                continue;
            }
            let texts = wanted.entry(category).or_default();
            texts.insert(script.name.clone(), script.text);
            let given = Given {
                by: script.by,
                time: script.time,
                file: script.file,
            };
            state.given.insert((category, script.name), given);
        }
        for (category, mut texts) in wanted {
            // One that goes may take others with it that use it.
            loop {
                let change = Change::new().replace(category, texts.clone());
                let (_, report) = self.store.preview(RUNTIME, &change);
                let known = texts.len();
                for problem in &report.problems {
                    if texts.remove(&problem.name).is_some() {
                        let given = state.given.remove(&(category, problem.name.clone()));
                        let by = given.map(|given| given.by).unwrap_or_default();
                        left_out.push(format!(
                            "the script {category}/{} that {by} put does not compile any more: {problem}",
                            problem.name
                        ));
                    }
                }
                if texts.len() == known {
                    self.store.apply(RUNTIME, &change);
                    break;
                }
            }
        }
        self.publish();
        left_out
    }

    /// Takes back the scripts given at run time whose file, as `state` has it now, is not what it was
    /// then.
    pub(super) fn give_way(&self, state: &mut State, unreadable: &[FolderProblem]) {
        let state_texts = &state.texts;
        let gone = state.given.extract_if(.., |(category, name), given| {
            is_readable(unreadable, *category, name)
                && file_digest(state_texts, *category, name) != given.file
        });
        for ((category, name), given) in gone {
            tracing::warn!(
                %category, script = name, by = given.by,
                "a script that was put at run time is replaced by its file, which has changed since"
            );
            if let Ok(report) = self.store.remove(RUNTIME, category, &name) {
                super::report_problems(&report);
            }
        }
    }

    /// The scripts as they would be with the one to be tried, which shares no caches, windows and
    /// buckets with those in force. Its neighbours of the same category come along, so that it can use
    /// them.
    ///
    /// # Errors
    /// When there is no such script or it does not compile.
    pub fn preview(&self, trial: Trial<'_>) -> Result<Arc<Snapshot>, TrialError> {
        let Trial {
            category,
            name,
            text,
        } = trial;
        let mut texts: BTreeMap<String, String> = self
            .snapshot()
            .scripts()
            .filter(|script| script.category() == category)
            .map(|script| (script.name().to_owned(), script.text().to_owned()))
            .collect();
        if let Some(text) = text {
            texts.insert(name.to_owned(), text.to_owned());
        }
        self.preview_of(category, name, texts)
    }

    /// As [`Scripts::preview`], with these texts in place of all scripts of the category.
    ///
    /// # Errors
    /// When the script called `name` is not among them or does not compile.
    pub fn preview_of(
        &self,
        category: Category,
        name: &str,
        texts: BTreeMap<String, String>,
    ) -> Result<Arc<Snapshot>, TrialError> {
        let missing = || TrialError::Missing(category, name.to_owned());
        if !texts.contains_key(name) {
            return Err(missing());
        }
        let change = Change::new().replace(category, texts);
        let (snapshot, mut report) = self.store.preview(RUNTIME, &change);
        if let Some(at) = report.problems.iter().position(|found| found.name == name) {
            let problem = report.problems.swap_remove(at);
            return Err(TrialError::Broken(Box::new(problem)));
        }
        match snapshot.get(category, name) {
            Some(_) => Ok(snapshot),
            None => Err(missing()),
        }
    }
}

/// A digest of a script of the folder; `None` if there is no such file.
fn file_digest(texts: &Texts, category: Category, name: &str) -> Option<String> {
    let digest = Sha256::digest(texts.get(&category)?.get(name)?);
    Some(base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest))
}

fn is_readable(unreadable: &[FolderProblem], category: Category, name: &str) -> bool {
    let concerns = |problem: &FolderProblem| {
        let script = problem.script.as_deref();
        problem.category == category && script.is_none_or(|script| script == name)
    };
    !unreadable.iter().any(concerns)
}

/// Whether the file of a script is another one than it was. One that cannot be read counts as unchanged.
fn file_changed(
    folder: &FolderContents,
    category: Category,
    name: &str,
    before: Option<&str>,
) -> bool {
    is_readable(&folder.problems, category, name)
        && file_digest(&folder.scripts, category, name).as_deref() != before
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
    use kafkamq_pipeline::RunState;
    use kafkamq_settings::{Sources, load};

    fn scripts(folder: &std::path::Path) -> Scripts {
        let text = format!("[pipeline]\npath = \"{}\"\n", folder.display());
        let settings = load(&Sources::new().text("test", text)).unwrap().settings;
        Scripts::load(&settings.pipeline).unwrap().0
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
            .put(Category::Logging, "a.p", "add_key(from, \"http\")", "me")
            .unwrap();
        assert!(text(&scripts).contains("http"), "in force at once");
        let given = scripts.given(Category::Logging, "a.p").unwrap();
        assert_eq!(given.origin, ScriptOrigin::Runtime);

        assert!(scripts.put(Category::Logging, "a.p", "if {", "me").is_err());
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
        let snapshot = scripts.preview(trial).unwrap();
        let script = snapshot.get(Category::Logging, "new.p").unwrap();
        let mut point = Point::new("t", Category::Logging, 1);
        let outcome = script.run(&mut point, &mut RunState::new());
        assert_eq!(
            shown(&point)["fields"],
            json!({"a": 1, "b": 2, "status": "info"})
        );
        assert!(!outcome.dropped && outcome.error.is_none());
        assert!(scripts.given(Category::Logging, "new.p").is_none());

        let broken = Trial {
            text: Some("nothing_of_the_kind()"),
            ..trial
        };
        let error = scripts.preview(broken).err();
        assert!(matches!(error, Some(TrialError::Broken(_))), "{error:?}");
        let missing = Trial {
            text: None,
            ..trial
        };
        let error = scripts.preview(missing).err();
        assert!(matches!(error, Some(TrialError::Missing(..))), "{error:?}");
    }
}
