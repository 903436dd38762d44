use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kafkamq_point::Category;

use super::*;
use kafkamq_conversion::scripts::ScriptOrigin;
use kafkamq_settings::{PipelineSettings, Sources, load};

/// A process with a pipeline folder and a state folder.
struct Process {
    run_time: RunTime,
    scripts: Arc<Scripts>,
    controls: Arc<Controls>,
    settings: PipelineSettings,
}

fn start(folder: &Path) -> Process {
    let text = format!("[pipeline]\npath = \"{}/pipeline\"\n", folder.display());
    let settings = load(&Sources::new().text("test", text)).unwrap().settings;
    let scripts = Arc::new(Scripts::load(&settings.pipeline).unwrap().0);
    let controls = Arc::new(Controls::new(kafkamq_memory::Account::root(
        "taps",
        1 << 20,
    )));
    let state = folder.join("state");
    Process {
        run_time: RunTime::resume(Some(&state), Arc::clone(&scripts), Arc::clone(&controls)),
        scripts,
        controls,
        settings: settings.pipeline,
    }
}

impl Process {
    fn put(&self, name: &str, text: &str) {
        let report = self
            .scripts
            .put(Category::Logging, name, text, "night shift");
        report.unwrap();
        self.run_time.keep();
    }

    /// The text that runs under a name.
    fn text(&self, name: &str) -> String {
        let snapshot = self.scripts.snapshot();
        let loaded = snapshot.get(Category::Logging, name);
        loaded
            .map(|loaded| loaded.text().to_owned())
            .unwrap_or_default()
    }

    fn origin(&self, name: &str) -> ScriptOrigin {
        self.scripts.given(Category::Logging, name).unwrap().origin
    }

    /// Takes up the pipeline folder, as a reload does.
    fn reload(&self) {
        let prepared = self.scripts.prepare(&self.settings).unwrap();
        self.scripts.commit(prepared);
        drop(self.scripts.begin());
        self.run_time.keep();
    }
}

/// A pipeline folder with these scripts.
fn folder(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pipeline")).unwrap();
    for (name, text) in scripts {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join("pipeline").join(name), text).unwrap();
}

#[test]
fn scripts_and_pauses_outlive_the_process() {
    let folder = folder(&[("a.p", "add_key(from, 1)")]);
    let first = start(folder.path());
    assert!(!folder.path().join("state").exists(), "nothing is set");
    first.put("a.p", "add_key(from, 2)");
    first.put("uses.p", "use(\"a.p\")");
    first.controls.topic("orders").stop("night shift");
    first.run_time.keep();
    let state = folder.path().join("state/run_time.json");
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = start(folder.path());
    assert_eq!(second.text("a.p"), "add_key(from, 2)");
    assert_eq!(second.text("uses.p"), "use(\"a.p\")");
    let status = second.run_time.status();
    assert_eq!(status.problems, [""; 0]);
    assert_eq!(
        (status.scripts.len(), &*status.scripts[0].by),
        (2, "night shift")
    );
    let (before, after) = (
        first.controls.pause_of("orders"),
        second.controls.pause_of("orders"),
    );
    assert_eq!(before, after, "by and since");

    second.controls.topic("orders").resume();
    second.scripts.remove(Category::Logging, "uses.p").unwrap();
    second.scripts.remove(Category::Logging, "a.p").unwrap();
    second.run_time.keep();
    let third = start(folder.path());
    assert_eq!(third.text("a.p"), "add_key(from, 1)");
    let status = third.run_time.status();
    assert!(status.scripts.is_empty() && status.paused.is_empty());
}

#[test]
fn a_file_that_changed_between_two_processes_wins() {
    let folder = folder(&[("a.p", "a = 1"), ("b.p", "b = 1"), ("gone.p", "c = 1")]);
    let first = start(folder.path());
    for name in ["a.p", "b.p", "gone.p", "new.p", "other.p"] {
        first.put(name, "put = 1");
    }
    write(folder.path(), "a.p", "a = 2");
    write(folder.path(), "new.p", "new = 1");
    fs::remove_file(folder.path().join("pipeline/gone.p")).unwrap();

    let second = start(folder.path());
    let texts = ["a.p", "b.p", "gone.p", "new.p", "other.p"].map(|name| second.text(name));
    assert_eq!(texts, ["a = 2", "put = 1", "", "new = 1", "put = 1"]);
    let problems = second.run_time.status().problems;
    assert_eq!(
        problems[0],
        "the script logging/a.p that night shift put is replaced by its file, which has changed since"
    );
    assert_eq!(problems.len(), 3, "{problems:?}");
    // It does not come back with the old file.
    write(folder.path(), "a.p", "a = 1");
    assert_eq!(start(folder.path()).text("a.p"), "a = 1");
}

#[test]
fn the_last_change_wins_while_the_process_runs_too() {
    let folder = folder(&[("a.p", "a = 1"), ("b.p", "b = 1")]);
    let process = start(folder.path());
    process.put("a.p", "put = 1");
    write(folder.path(), "b.p", "b = 2");
    process.reload();
    assert_eq!(process.text("a.p"), "put = 1", "another file changed");
    write(folder.path(), "a.p", "a = 2");
    process.reload();
    assert_eq!(
        (&*process.text("a.p"), process.origin("a.p")),
        ("a = 2", ScriptOrigin::Folder)
    );
    // Put after the file was written, and before it was taken up.
    write(folder.path(), "a.p", "a = 3");
    process.put("a.p", "put = 2");
    process.reload();
    assert_eq!(
        (&*process.text("a.p"), process.origin("a.p")),
        ("put = 2", ScriptOrigin::Runtime)
    );
    assert_eq!(start(folder.path()).text("a.p"), "put = 2");
}

#[test]
fn a_broken_state_file_leaves_the_files_and_says_so() {
    let folder = folder(&[("a.p", "a = 1")]);
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    for broken in ["{", "{\"version\":9,\"scripts\":[],\"paused\":[]}"] {
        fs::write(state.join(FILE), broken).unwrap();
        let process = start(folder.path());
        assert_eq!(process.text("a.p"), "a = 1");
        let problems = process.run_time.status().problems;
        assert!(problems[0].contains("run_time.json"), "{problems:?}");
        let aside = fs::read_to_string(state.join("run_time.json.broken")).unwrap();
        assert_eq!(aside, broken);
        process.put("a.p", "put = 1");
        assert_eq!(start(folder.path()).text("a.p"), "put = 1");
    }
}

#[test]
fn a_script_that_does_not_compile_any_more_is_left_out() {
    let folder = folder(&[("a.p", "a = 1")]);
    let process = start(folder.path());
    process.put("a.p", "put = 1");
    process.put("b.p", "put = 1");
    let state = folder.path().join("state").join(FILE);
    let text = fs::read_to_string(&state)
        .unwrap()
        .replacen("put = 1", "of_old()", 1);
    fs::write(&state, text).unwrap();
    let again = start(folder.path());
    assert_eq!(
        (&*again.text("a.p"), &*again.text("b.p")),
        ("a = 1", "put = 1")
    );
    let problems = again.run_time.status().problems;
    assert!(
        problems[0].contains("logging/a.p that night shift put"),
        "{problems:?}"
    );
}

#[test]
fn what_cannot_be_kept_is_in_force_and_said() {
    let folder = folder(&[]);
    // A file where the folder should be.
    fs::write(folder.path().join("state"), "").unwrap();
    let process = start(folder.path());
    process.put("a.p", "put = 1");
    assert_eq!(process.text("a.p"), "put = 1");
    let said = |process: &Process| process.run_time.status().problems.join("\n");
    assert!(
        said(&process).contains("cannot be kept"),
        "{}",
        said(&process)
    );
    fs::remove_file(folder.path().join("state")).unwrap();
    process.put("a.p", "put = 2");
    assert!(
        !said(&process).contains("cannot be kept"),
        "{}",
        said(&process)
    );
    assert_eq!(start(folder.path()).text("a.p"), "put = 2");
}
