use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::*;
use kafkamq_settings::load;

/// A service without inputs whose files live in `folder`.
fn start(folder: &Path) -> Reconfiguration {
    start_with(folder, [])
}

fn start_with(
    folder: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Reconfiguration {
    let sources = Sources::new()
        .file(folder.join("kafkamq.toml"))
        .environment(environment);
    let loaded = load(&sources).unwrap();
    let beginning = Beginning::decide(loaded, &sources);
    let metrics = Metrics::try_new().unwrap();
    let router = Router::start(Arc::new(beginning.settings().clone()), metrics.clone()).unwrap();
    Reconfiguration::new(router, metrics, beginning, sources)
}

/// Writes the configuration file; `more` is added to its end.
fn write(folder: &Path, more: &str) {
    let shown = folder.display();
    let text = format!(
        "[server]\nstate_dir = \"{shown}/state\"\ntokens = [\"top secret\"]\n\
         [dead_letter]\nkind = \"none\"\n\
         [pipeline]\npath = \"{shown}/pipeline\"\nthreads = 1\n{more}"
    );
    fs::write(folder.join("kafkamq.toml"), text).unwrap();
}

fn by(author: &str) -> Request {
    Request {
        author: author.into(),
        origin: ConfigurationOrigin::Http,
        if_match: None,
        dry_run: false,
    }
}

fn batch_records(service: &Reconfiguration) -> usize {
    service.current().settings.limits.batch_records
}

async fn set_batch_records(service: &Reconfiguration, number: u64) -> Outcome {
    let patch = Wanted::Patch(json!({ "limits": { "batch_records": number } }));
    service.change(patch, by("night shift")).await.unwrap()
}

#[actix_web::test]
async fn what_was_changed_at_run_time_outlives_the_process_until_the_files_change() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "[limits]\nbatch_records = 10\n");
    let service = start(folder.path());
    assert_eq!(service.status().next_start, "the files decide");
    set_batch_records(&service, 20).await;
    assert_eq!(service.status().source, "run_time");
    let state = folder.path().join("state/revisions.json");
    assert_eq!(
        fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let again = start(folder.path());
    assert_eq!((again.current().revision, batch_records(&again)), (2, 20));
    assert_eq!(again.status().author, "night shift");

    write(folder.path(), "[limits]\nbatch_records = 30\n");
    let changed = start(folder.path());
    assert_eq!(
        (changed.current().revision, batch_records(&changed)),
        (3, 30)
    );
    assert_eq!(changed.status().source, "files");
    let outcome = changed
        .change(Wanted::Revision(2), by("night shift"))
        .await
        .unwrap();
    assert_eq!((outcome.revision, batch_records(&changed)), (4, 20));
    let unknown = changed
        .change(Wanted::Revision(99), by("night shift"))
        .await;
    assert!(matches!(unknown, Err(Refusal::Unknown(99))));
    let numbers: Vec<u64> = changed.revisions().iter().map(|r| r.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
}

#[actix_web::test]
async fn a_broken_state_file_leaves_the_files() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    fs::create_dir_all(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/revisions.json"), "{").unwrap();
    let service = start(folder.path());
    assert_eq!(service.current().revision, 1);
    set_batch_records(&service, 20).await;
    assert_eq!(batch_records(&start(folder.path())), 20);
}

#[actix_web::test]
async fn no_revision_shows_a_secret_and_masks_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let service = start(folder.path());
    let shown = service.current().document.masked();
    assert!(!shown.to_string().contains("top secret"));
    let mut changed = shown;
    changed["limits"] = json!({ "batch_records": 7 });
    let wanted = Wanted::Document(service.environment().json(changed));
    let outcome = service.change(wanted, by("me")).await.unwrap();
    let pointers: Vec<_> = outcome.changes.iter().map(|c| c.pointer.as_str()).collect();
    assert_eq!(pointers, ["/limits"]);
    let current = service.current();
    assert_eq!(
        current.settings.server.tokens[0].secret.expose(),
        "top secret"
    );
    let revisions = serde_json::to_string(&service.revisions()).unwrap();
    assert!(!revisions.contains("top secret"), "{revisions}");

    // A mask where there is no secret to keep.
    let wanted = Wanted::Patch(json!({ "server": { "tokens": ["******", "******"] } }));
    let Err(Refusal::Invalid(found)) = service.change(wanted, by("me")).await else {
        panic!("a mask became a token");
    };
    assert_eq!(found[0].pointer.as_deref(), Some("/server/tokens/1"));
}

#[actix_web::test]
async fn the_environment_has_the_last_word_and_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let variables = [
        ("KAFKAMQ_LIMITS__BATCH_RECORDS".to_owned(), "77".to_owned()),
        (
            "KAFKAMQ_PIPELINE__GLOBAL_TAGS__KEY".to_owned(),
            "of the environment".to_owned(),
        ),
    ];
    let service = start_with(folder.path(), variables.clone());
    let wanted = Wanted::Patch(json!({ "limits": { "batch_records": 5 } }));
    let Err(Refusal::Invalid(found)) = service.change(wanted, by("me")).await else {
        panic!("the environment was ignored");
    };
    let wrong = found.iter().find(|found| found.severity == Severity::Error);
    assert_eq!(
        wrong.unwrap().variable.as_deref(),
        Some("KAFKAMQ_LIMITS__BATCH_RECORDS")
    );
    let wanted = Wanted::Patch(json!({ "limits": { "record_bytes": "1MiB" } }));
    service.change(wanted, by("me")).await.unwrap();
    assert_eq!(batch_records(&service), 77);
    let kept = fs::read_to_string(folder.path().join("state/revisions.json")).unwrap();
    assert!(!kept.contains("of the environment"), "{kept}");
    let again = start_with(folder.path(), variables);
    assert_eq!(again.current().settings.limits.record_bytes, 1 << 20);
    assert_eq!(batch_records(&again), 77);
}

#[actix_web::test]
async fn a_change_is_made_to_the_revision_its_author_saw() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let service = start(folder.path());
    let seen = service.current().etag.clone();
    let change = |number: u64, dry_run: bool| {
        let patch = Wanted::Patch(json!({ "limits": { "batch_records": number } }));
        let request = Request {
            if_match: Some(vec![seen.clone()]),
            dry_run,
            ..by("me")
        };
        service.change(patch, request)
    };
    let dry = change(5, true).await.unwrap();
    assert_eq!(
        (dry.revision, dry.plan.in_place),
        (1, vec!["limits.batch_records".to_owned()])
    );
    assert_eq!(change(5, false).await.unwrap().revision, 2);
    let late = change(6, false).await;
    assert!(matches!(late, Err(Refusal::Changed(etag)) if etag == service.current().etag));
    // The same again is not a new revision.
    assert_eq!(set_batch_records(&service, 5).await.revision, 2);
}

#[actix_web::test]
async fn what_cannot_change_now_is_named_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let service = start(folder.path());
    let patch = json!({ "server": { "workers": 3 }, "pipeline": { "threads": 2 } });
    let outcome = service
        .change(Wanted::Patch(patch), by("me"))
        .await
        .unwrap();
    assert_eq!(
        outcome.plan.at_next_start,
        ["server.workers", "pipeline.threads"]
    );
    assert_eq!(service.current().settings.server.workers, 1);
    // Another change does not make one forget that.
    let outcome = set_batch_records(&service, 5).await;
    assert_eq!(
        outcome.plan.at_next_start,
        ["server.workers", "pipeline.threads"]
    );
}

#[actix_web::test]
async fn a_change_over_http_never_takes_the_last_token_away() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let service = start(folder.path());
    let nothing = Wanted::Document(service.environment().json(json!({})));
    let no_server = Wanted::Patch(json!({ "server": null }));
    let certificates = Wanted::Patch(json!({ "server": { "tokens": [], "client_role": "read" } }));
    for wanted in [nothing, no_server, certificates] {
        let refused = service.change(wanted, by("me")).await;
        let Err(Refusal::Invalid(found)) = refused else {
            panic!("everybody may do everything now: {refused:?}");
        };
        assert_eq!(found[0].pointer.as_deref(), Some("/server/tokens"));
    }
    assert!(service.current().settings.server.is_restricted());
    // Another token is as good, and so is who may write the files.
    let other = Wanted::Patch(json!({ "server": { "tokens": ["another secret"] } }));
    service.change(other, by("me")).await.unwrap();
    let open = format!(
        "[dead_letter]\nkind = \"none\"\n[pipeline]\npath = \"{}\"\n",
        folder.path().display()
    );
    fs::write(folder.path().join("kafkamq.toml"), open).unwrap();
    let files = Request {
        origin: ConfigurationOrigin::Files,
        ..by("files")
    };
    service.change(Wanted::Files, files).await.unwrap();
    assert!(!service.current().settings.server.is_restricted());
}

#[actix_web::test]
async fn not_even_files_open_an_address_that_others_reach() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kafkamq.toml");
    let rest = format!(
        "[dead_letter]\nkind = \"none\"\n[pipeline]\npath = \"{}\"\n",
        folder.path().display()
    );
    let open = "[server]\nlisten = \"0.0.0.0:0\"\ntokens = [\"top secret\"]\n";
    fs::write(&file, format!("{open}{rest}")).unwrap();
    let service = start(folder.path());
    // On loopback that would be fine, but the address changes with the next start only.
    fs::write(&file, rest).unwrap();
    let files = Request {
        origin: ConfigurationOrigin::Files,
        ..by("files")
    };
    let refused = service.change(Wanted::Files, files).await;
    let Err(Refusal::Invalid(found)) = refused else {
        panic!("anyone may do everything now: {refused:?}");
    };
    insta::assert_snapshot!(
        found[0].message,
        @"0.0.0.0:0 can be reached from other machines until the next start, and anyone could change the configuration there"
    );
    assert!(service.current().settings.server.is_restricted());
}

/// Waits until `done`, as files are looked at.
async fn until(service: &Reconfiguration, done: impl Fn(&Reconfiguration) -> bool) {
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    while !done(service) {
        assert!(Instant::now() < deadline, "{:?}", service.status());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn files_and_scripts_are_taken_up_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    // As Kubernetes mounts it: files are links into a folder that is itself a link.
    let volume = |number: u32, more: &str| {
        let version = folder.path().join(format!("..{number}"));
        fs::create_dir(&version).unwrap();
        write(&version, more);
        let link = folder.path().join("..new");
        std::os::unix::fs::symlink(format!("..{number}"), &link).unwrap();
        fs::rename(link, folder.path().join("..data")).unwrap();
    };
    volume(1, "");
    std::os::unix::fs::symlink("..data/kafkamq.toml", folder.path().join("kafkamq.toml")).unwrap();
    let service = start(folder.path());
    actix_rt::spawn(
        service
            .clone()
            .watch_every(std::time::Duration::from_millis(10)),
    );

    volume(2, "[limits]\nbatch_records = 20\n");
    until(&service, |service| batch_records(service) == 20).await;
    let status = service.status();
    assert_eq!(
        (status.origin, status.source),
        (ConfigurationOrigin::Files, "files")
    );

    let revision = service.current().revision;
    volume(3, "[limits]\nbatch_recods = 30\n");
    until(&service, |service| service.status().last_refused.is_some()).await;
    assert_eq!(
        (service.current().revision, batch_records(&service)),
        (revision, 20)
    );
    let metrics = &service.inner.metrics;
    assert_eq!(metrics.config_last_reload_success.get(), 0);

    // A signal reads them again, to the same end; mended files are taken up.
    service.reload().await;
    assert_eq!(
        service.status().last_refused.unwrap().origin,
        ConfigurationOrigin::Signal
    );
    volume(4, "[limits]\nbatch_records = 40\n");
    until(&service, |service| batch_records(service) == 40).await;
    assert!(service.status().last_refused.is_none());

    let scripts = service.current().settings.pipeline.path.clone();
    fs::create_dir_all(&scripts).unwrap();
    fs::write(scripts.join("broken.p"), "if {").unwrap();
    until(&service, |service| service.status().last_refused.is_some()).await;
    fs::write(scripts.join("broken.p"), "add_key(a, 1)").unwrap();
    until(&service, |service| service.status().last_refused.is_none()).await;
    let last = &service.revisions()[0];
    assert!(
        last.summary.contains("1 script changed (logging/broken.p)"),
        "{}",
        last.summary
    );

    // A signal goes back to the files after a change at run time.
    set_batch_records(&service, 50).await;
    service.reload().await;
    assert_eq!(batch_records(&service), 40);
}
