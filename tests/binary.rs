//! The binary as its users meet it: the commands of the README, and the configurations of `deploy`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn kafkamq(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafkamq"));
    command.args(arguments).current_dir(folder);
    command
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[test]
fn the_demonstration_accounts_for_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let output = kafkamq(&["demo", "--records", "2000"], folder.path())
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("nothing is missing"), "{said}");
}

#[test]
fn wrong_usage_and_wrong_configuration_end_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.toml");
    std::fs::write(&wrong, "[server]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    for arguments in [
        &["nonsense"][..],
        &["run", "--config", "wrong.toml"],
        &["demo", "--records"],
    ] {
        let output = kafkamq(arguments, folder.path()).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output)
        );
    }
}

/// Paths in them are those of a container, so the test puts its own folder in their place.
#[test]
fn configurations_in_deploy_are_valid() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for name in ["compose", "kubernetes/base", "debian"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "test").unwrap();
        let scripts = deploy.join(name).join("pipeline");
        let config = std::fs::read_to_string(deploy.join(name).join("kafkamq.toml"))
            .unwrap()
            .replace("/etc/kafkamq/pipeline", &scripts.to_string_lossy())
            .replace("/run/secrets/kafkamq", &folder.path().to_string_lossy())
            .replace("/var/lib/kafkamq", &folder.path().to_string_lossy());
        std::fs::write(folder.path().join("kafkamq.toml"), config).unwrap();
        let mut check = kafkamq(&["check", "--config", "kafkamq.toml"], folder.path());
        if name == "compose" {
            check.env("KAFKAMQ_SERVER__TOKENS", "test");
        }
        let output = check.output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output));
    }
}
