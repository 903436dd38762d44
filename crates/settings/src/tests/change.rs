//! What a change over HTTP may not take along or name.

use serde_json::json;

use super::*;

const OUTPUT: &str = "[output]\nname = \"o\"\nkind = \"influxdb\"\nendpoint = \"http://own:1/write\"\n\
                      token = \"hunter2\"\nheaders = { X = \"hunter3\" }\n";

fn change(
    running: &Loaded,
    patch: &serde_json::Value,
    environment: Sources,
) -> Result<Loaded, String> {
    let tree = running.document.patched(patch);
    load_change(&environment.json(tree), &running.document, ChangeBy::Caller)
        .map_err(|found| found.to_string())
}

#[test]
fn a_secret_stays_with_the_address_it_was_written_for() {
    let running = accept(&text(OUTPUT));
    let thief = "http://thief:1/write";
    let base = json!({ "name": "o", "kind": "influxdb", "endpoint": thief });
    let with = |key: &str, value: serde_json::Value| {
        let mut output = base.clone();
        output[key] = value;
        json!({ "output": output })
    };
    for patch in [
        json!({ "output": { "endpoint": thief } }),
        with("token", json!(MASK)),
        with("headers", json!({ "X": MASK })),
        json!({ "output": { "insecure_skip_verify": true } }),
        json!({ "output": [with("token", json!(MASK))["output"]] }),
    ] {
        let refused = change(&running, &patch, Sources::new()).unwrap_err();
        assert!(
            refused.contains("no secret for this mask to keep"),
            "{refused}"
        );
        assert!(!refused.contains("hunter"), "{refused}");
    }
    let own = json!({ "output": { "timeout": "3s" } });
    let changed = change(&running, &own, Sources::new()).unwrap();
    assert!(changed.document.tree.to_string().contains("hunter2"));
    let written = with("token", json!("other"));
    let null = json!({ "output": { "headers": null } });
    let both = change(&running, &null, Sources::new()).unwrap();
    let changed = change(&both, &written, Sources::new()).unwrap();
    assert!(!changed.document.tree.to_string().contains("hunter"));
}

#[test]
fn inputs_of_one_group_do_not_get_the_password_of_each_other() {
    let input = |addr: &str, password: &str| {
        format!(
            "[[inputs.kafkamq]]\ngroup_id = \"g\"\naddrs = [\"{addr}\"]\ntls_enable = true\n\
             tls_sasl_plain_username = \"u\"\ntls_sasl_plain_password = \"{password}\"\n"
        )
    };
    let names = [("a:1", "first"), ("b:1", "second")];
    let running = names.map(|(addr, password)| input(addr, password)).concat();
    let (document, _) = Document::read(&text(&running));
    let shown = document.masked();
    assert!(!shown.to_string().contains("first"), "{shown}");
    assert_eq!(document.unmask(shown.clone()), document.tree);
    let mut turned = shown;
    let inputs = turned["inputs"]["kafkamq"].as_array_mut().unwrap();
    inputs.swap(0, 1);
    let back = document.unmask(turned).to_string();
    assert!(
        !back.contains("first") && !back.contains("second"),
        "{back}"
    );
}

#[test]
fn a_caller_names_no_file_but_those_that_stand_there() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let (folder, secret) = (folder.path().display(), secret.display());
    let running = accept(&text(&format!(
        "[server]\nchange_folders = [\"{folder}/open\"]\n\
         [output]\nkind = \"influxdb\"\nendpoint = \"http://own:1/write\"\ntoken_file = \"{secret}\"\n"
    )));
    let stays = json!({ "output": { "timeout": "3s" } });
    change(&running, &stays, Sources::new()).unwrap();
    let output = |more: serde_json::Value| json!({ "output": more });
    for patch in [
        output(json!({ "endpoint": "http://thief:1/write" })),
        output(json!({ "headers": { "X": { "file": secret.to_string() } } })),
        output(json!({ "ca_file": "/etc/shadow" })),
        output(
            json!({ "name": "f", "kind": "file", "path": format!("{folder}/elsewhere"), "token_file": null }),
        ),
        output(
            json!({ "name": "f", "kind": "file", "path": format!("{folder}/open/../elsewhere"), "token_file": null }),
        ),
        json!({ "recorder": { "path": "/tmp/x" } }),
        json!({ "dead_letter": { "path": "/tmp/x" } }),
        json!({ "pipeline": { "path": "/tmp/x" } }),
        json!({ "pipeline": { "refer_tables": "/tmp/x" } }),
        json!({ "server": { "state_dir": "/tmp/x" } }),
        json!({ "server": { "tokens_file": "/etc/hostname" } }),
        json!({ "server": { "change_folders": ["/"] } }),
    ] {
        let refused = change(&running, &patch, Sources::new()).unwrap_err();
        assert!(
            refused.contains("may not name this file"),
            "{patch}: {refused}"
        );
    }
    let allowed = json!({ "recorder": { "path": format!("{folder}/open/recorder") } });
    change(&running, &allowed, Sources::new()).unwrap();
}

#[test]
fn a_secret_of_the_environment_goes_to_no_other_receiver() {
    let environment = || {
        let variables = [("KAFKAMQ_OUTPUT__TOKEN", "hunter2")];
        Sources::new()
            .environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    let written = "[output]\nkind = \"influxdb\"\nendpoint = \"http://own:1/write\"\n";
    let running = accept(&environment().text("test", written));
    let stays = json!({ "output": { "timeout": "3s" } });
    change(&running, &stays, environment()).unwrap();
    let thief = json!({ "output": { "endpoint": "http://thief:1/write", "token": "x" } });
    let refused = change(&running, &thief, environment()).unwrap_err();
    assert!(
        refused.contains("somebody else would receive it"),
        "{refused}"
    );
}
