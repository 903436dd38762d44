//! Loading, hiding, breaking and choosing scripts.

use kafkamq_point::{Category, Point};

use super::*;
use crate::manager::ScriptRoutes;
use crate::state::RunState;

fn store() -> ScriptStore {
    ScriptStore::new(Engine::new())
}

fn logging<'a>(scripts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Change {
    Change::new().replace(Category::Logging, scripts)
}

/// A script that tells who it is.
fn says(word: &str) -> String {
    format!("add_key(who, \"{word}\")")
}

fn point(name: &str) -> Point {
    Point::new(name, Category::Logging, 1)
}

/// What the script chosen for a point says.
fn who(store: &ScriptStore, name: &str, routes: &ScriptRoutes) -> Option<String> {
    let snapshot = store.snapshot();
    let mut point = point(name);
    let script = snapshot.select(Category::Logging, &point, routes)?;
    let outcome = script.run(&mut point, &mut RunState::new());
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let said = point.get("who").and_then(|entry| entry.value.as_str());
    said.map(str::to_owned)
}

fn plain(store: &ScriptStore, name: &str) -> Option<String> {
    who(store, name, &ScriptRoutes::new())
}

#[test]
fn the_highest_namespace_is_in_force_and_lower_ones_come_back() {
    let store = store();
    for namespace in Namespace::ALL {
        let report = store.apply(namespace, &logging([("a.p", &*says(namespace.name()))]));
        assert!(report.is_clean());
        assert_eq!(plain(&store, "a").as_deref(), Some(namespace.name()));
    }
    for (namespace, left) in [
        (Namespace::Remote, Some("default")),
        (Namespace::Default, None),
    ] {
        store.apply(namespace, &logging([]));
        assert_eq!(plain(&store, "a").as_deref(), left);
    }
}

#[test]
fn a_batch_replaces_the_one_before() {
    let store = store();
    store.apply(
        Namespace::Default,
        &logging([("a.p", &*says("a")), ("b.p", &*says("b"))]),
    );
    store.apply(Namespace::Default, &logging([("b.p", &*says("c"))]));
    assert_eq!(plain(&store, "a"), None);
    assert_eq!(plain(&store, "b").as_deref(), Some("c"));
}

#[test]
fn a_script_that_breaks_leaves_the_working_one_in_force() {
    let store = store();
    store.apply(
        Namespace::Default,
        &logging([("a.p", &*says("old")), ("b.p", "use(\"a.p\")")]),
    );
    let report = store.apply(
        Namespace::Default,
        &logging([
            ("a.p", "if {"),
            ("b.p", "use(\"a.p\")"),
            ("c.p", "nonsense("),
        ]),
    );
    assert_eq!(report.loaded, 0);
    let broken: Vec<_> = report
        .problems
        .iter()
        .map(|problem| (&*problem.name, problem.kept))
        .collect();
    assert_eq!(broken, [("a.p", true), ("b.p", true), ("c.p", false)]);
    assert!(
        report
            .problems
            .iter()
            .all(|problem| !problem.diagnostics.is_empty())
    );
    assert_eq!(plain(&store, "a").as_deref(), Some("old"));
    assert_eq!(plain(&store, "b").as_deref(), Some("old"));
    assert_eq!(store.problems().len(), 3);
    assert_eq!(
        store
            .text(Namespace::Default, Category::Logging, "a.p")
            .as_deref(),
        Some("if {")
    );
    // Once it is gone from the source, the working version goes too.
    store.apply(Namespace::Default, &logging([]));
    assert_eq!(plain(&store, "a"), None);
}

#[test]
fn single_scripts_change_or_nothing_does() {
    let store = store();
    store.apply(Namespace::Default, &logging([("b.p", &*says("b"))]));
    let put = |name: &str, text: &str| {
        store
            .put(Namespace::Remote, Category::Logging, name, text)
            .map(drop)
    };
    put("a.p", &says("a")).unwrap();
    assert!(matches!(put("a.p", "a ="), Err(ScriptChangeError::Broken(problem)) if problem.kept));
    assert!(matches!(put("a", "1"), Err(ScriptChangeError::Broken(_))));
    assert_eq!(plain(&store, "a").as_deref(), Some("a"));
    assert!(store.problems().is_empty());
    assert_eq!(plain(&store, "b").as_deref(), Some("b"));
    store
        .remove(Namespace::Remote, Category::Logging, "a.p")
        .unwrap();
    assert_eq!(plain(&store, "a"), None);
    assert!(matches!(
        store.remove(Namespace::Remote, Category::Logging, "a.p"),
        Err(ScriptChangeError::Missing(_))
    ));
}

#[test]
fn state_survives_as_long_as_the_text() {
    let store = store();
    let counting = "n = cache_get(\"n\")\nif n == nil {\n  n = 0\n}\nn = n + 1\ncache_set(\"n\", n)\nadd_key(n)";
    let count = |store: &ScriptStore| {
        let mut point = point("a");
        let snapshot = store.snapshot();
        let script = snapshot.get(Category::Logging, "a.p").unwrap();
        script.run(&mut point, &mut RunState::new());
        point.get("n").map(|entry| entry.value.clone())
    };
    store.apply(Namespace::Default, &logging([("a.p", counting)]));
    assert_eq!(count(&store), Some(1i64.into()));
    store.apply(
        Namespace::Default,
        &logging([("a.p", counting), ("b.p", "")]),
    );
    assert_eq!(count(&store), Some(2i64.into()));
    let (preview, _) = store.preview(Namespace::Default, &logging([("a.p", counting)]));
    let mut other = point("a");
    preview
        .get(Category::Logging, "a.p")
        .unwrap()
        .run(&mut other, &mut RunState::new());
    assert_eq!(
        other.get("n").map(|entry| entry.value.clone()),
        Some(1i64.into())
    );
    assert_eq!(count(&store), Some(3i64.into()));
    let changed = format!("{counting}\n");
    store.apply(Namespace::Default, &logging([("a.p", &*changed)]));
    assert_eq!(count(&store), Some(1i64.into()));
    // Statistics belong to the name.
    let snapshot = store.snapshot();
    let script = snapshot.get(Category::Logging, "a.p").unwrap();
    assert_eq!(script.stats().total().points, 4);
}

#[test]
fn routes_beat_names_and_defaults_catch_the_rest() {
    let store = store();
    let names = ["a", "b", "r", "m", "d"];
    let texts: Vec<_> = names
        .iter()
        .map(|name| (format!("{name}.p"), says(name)))
        .collect();
    store.apply(
        Namespace::Default,
        &logging(texts.iter().map(|(name, text)| (&**name, &**text))),
    );
    let routes = ScriptRoutes::new()
        .with("a", "m.p")
        .with("b", "m.p")
        .with("off", "-")
        .with("m", "")
        .with("c", "gone.p")
        .with("x-1", "-");
    let cases = |default: Option<&'static str>| {
        [
            ("a", Some("m")),
            ("b", Some("m")),
            ("off", None),
            ("m", Some("m")),
            ("c", default),
            ("x-1", None),
            ("unknown", default),
        ]
    };
    for (name, expected) in cases(None) {
        assert_eq!(who(&store, name, &routes).as_deref(), expected, "{name}");
    }
    let mut defaults = DefaultScripts::default();
    defaults.0.insert(Category::Logging, "d.p".into());
    store.set_default_scripts(defaults);
    for (name, expected) in cases(Some("d")) {
        assert_eq!(who(&store, name, &routes).as_deref(), expected, "{name}");
    }
}

#[test]
fn every_category_has_its_feature_text() {
    use crate::manager::feature_text;
    for (category, key, feature) in [
        (Category::Logging, None, Some("n")),
        (Category::Metric, None, Some("n")),
        (Category::Rum, Some("app_id"), Some("v_n")),
        (Category::Security, Some("category"), Some("v")),
        (Category::Tracing, Some("service"), Some("v")),
        (Category::Profiling, Some("service"), Some("v")),
        (Category::KeyEvent, Some("df_source"), Some("v")),
    ] {
        let mut point = Point::new("n", category, 1);
        if let Some(key) = key {
            assert_eq!(feature_text(category, &point), None);
            point.set_field(key, 7i64);
            assert_eq!(feature_text(category, &point), None);
            point.set_tag(key, "v");
        }
        assert_eq!(feature_text(category, &point).as_deref(), feature);
    }
    let unnamed = Point::new("", Category::Logging, 1);
    assert_eq!(
        feature_text(Category::Logging, &unnamed).as_deref(),
        Some("__default")
    );
    let routes = ScriptRoutes::new().with_topic(Category::Rum, "t", "x.p");
    assert_eq!(routes, ScriptRoutes::new().with("t_t", "x.p"));
}

#[test]
fn runs_are_counted() {
    let store = store();
    store.apply(
        Namespace::Default,
        &logging([("ok.p", "1"), ("bad.p", "1 / zero"), ("drop.p", "drop()")]),
    );
    let snapshot = store.snapshot();
    for name in ["ok.p", "bad.p", "drop.p"] {
        let script = snapshot.get(Category::Logging, name).unwrap();
        for _ in 0..2 {
            script.run(&mut point("p"), &mut RunState::new());
        }
        let total = script.stats().total();
        let expected = match name {
            "ok.p" => (2, 0, 0),
            "bad.p" => (2, 2, 0),
            _ => (2, 0, 2),
        };
        assert_eq!(
            (total.points, total.errors, total.drops),
            expected,
            "{name}"
        );
        assert!(!total.time.is_zero());
    }
}

#[test]
fn a_folder_that_cannot_be_read_changes_nothing() {
    use crate::manager::{FolderContents, FolderProblem};
    let store = store();
    store.apply(Namespace::Default, &logging([("a.p", &*says("a"))]));
    let problem = |script: Option<&str>| FolderProblem {
        path: "pipeline".into(),
        category: Category::Logging,
        script: script.map(str::to_owned),
        error: std::io::Error::other("no"),
    };
    for script in [None, Some("a.p")] {
        let contents = FolderContents {
            problems: vec![problem(script)],
            ..FolderContents::default()
        };
        store.apply(Namespace::Default, &Change::folder(contents));
        assert_eq!(plain(&store, "a").as_deref(), Some("a"));
    }
    store.apply(
        Namespace::Default,
        &Change::folder(FolderContents::default()),
    );
    assert_eq!(plain(&store, "a"), None);
}
