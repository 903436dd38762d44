//! `kafkamq dlq` on a folder of letters.

use super::*;
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterOptions, DeadLetterStore};

fn letters() -> (tempfile::TempDir, String) {
    let (folder, config) = folder("", &[]);
    let letter = |offset, reason: &str| DeadLetter {
        topic: "orders".to_owned(),
        offset,
        timestamp: Some(1_700_000_000_000),
        key: Some("key".into()),
        value: Some("{\"total\": 1}".into()),
        headers: vec![("trace".into(), Some("1".into())), ("none".into(), None)],
        stage: "deliver".to_owned(),
        reason: reason.to_owned(),
        status: Some(400),
        attempts: 1,
        input: "shop".to_owned(),
        time: 1_800_000_000_000 + offset,
        ..DeadLetter::default()
    };
    let path = folder.path().join("letters");
    let store = DeadLetterStore::open(&path, DeadLetterOptions::default()).unwrap();
    let other = DeadLetter {
        topic: "a-longer-name".to_owned(),
        status: None,
        ..letter(100, "no route")
    };
    store
        .append(&[
            letter(7, "400 Bad Request\nline two"),
            other,
            letter(8, "gone"),
        ])
        .unwrap();
    store.mark_replayed([3]).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let more = format!("{text}\n[dead_letter]\npath = {path:?}\n");
    std::fs::write(&config, more).unwrap();
    (folder, config)
}

#[test]
fn letters_are_listed_and_shown() {
    let (_keep, config) = letters();
    let list = |more: &[&str]| kafkamq(&[&["dlq", "--config", &config, "list"], more].concat());
    let said = list(&["--replayed"]);
    insta::assert_snapshot!("dlq_list", said.out);
    assert_eq!((said.code, &*said.err), (FINE, ""));
    let page = list(&["--limit", "1", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&page.out).unwrap();
    assert_eq!(line["offset"], 7);
    assert_eq!(page.err, "there are more: --after 1\n");
    assert_eq!(list(&["--topic", "none"]).err, "no letters\n");
    assert_eq!(list(&["--from", "soon"]).code, INVALID);

    let show = |id| kafkamq(&["dlq", "--config", &config, "show", id]);
    insta::assert_snapshot!("dlq_show", show("1").out);
    let missing = show("9");
    assert_eq!(
        (missing.code, &*missing.err),
        (FAILED, "error: there is no letter 9\n")
    );
    assert_eq!(show("nine").code, INVALID);
    assert_eq!(show("a/0/1").code, INVALID);
}

#[test]
fn a_replay_says_which_and_what_became_of_them() {
    let (keep, config) = letters();
    let replay = |more: &[&str]| kafkamq(&[&["dlq", "--config", &config, "replay"], more].concat());
    let none = replay(&[]);
    assert_eq!(none.code, INVALID);
    assert!(none.err.contains("--all"), "{}", none.err);
    let dry = replay(&["--all", "--dry-run"]);
    assert_eq!((dry.code, &*dry.out), (FINE, "2 would be replayed\n"));
    assert_eq!(replay(&["1", "--topic", "x"]).code, INVALID);
    let known = replay(&["3", "77"]);
    assert_eq!(known.code, FAILED);
    assert!(known.out.contains("1 left out"), "{}", known.out);
    assert!(known.err.contains("no letter 77"), "{}", known.err);
    // The configuration has no input called so.
    let stray = replay(&["--topic", "orders"]);
    assert_eq!(stray.code, FAILED);
    assert!(
        stray.err.contains("no input is called `shop`"),
        "{}",
        stray.err
    );
    let path = keep.path().join("nothing");
    let elsewhere = replay(&["--all", "--path", &path.display().to_string()]);
    assert_eq!((elsewhere.code, &*elsewhere.out), (FINE, "0 replayed\n"));
}
