use kafkamq_settings::Sources;
use kafkamq_settings::load;
use kafkamq_sim::{Options, run_scene};

use super::*;

fn scene(more: &str, script: &str) -> anyhow::Result<ConfigScene> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.p"), script).unwrap();
    let text = format!(
        "[pipeline]\npath = {path:?}\n\
         [output]\nendpoint = \"http://127.0.0.1:9529/\"\n\
         [[inputs.kafkamq]]\naddrs = [\"b:1\"]\ngroup_id = \"g\"\n{more}",
        path = folder.path()
    );
    let settings = load(&Sources::new().text("test", text)).unwrap().settings;
    ConfigScene::try_new(settings, None)
}

const LOGS: &str =
    "[inputs.kafkamq.custom]\n[inputs.kafkamq.custom.log_topic_map]\napp = \"app.p\"\n";

#[test]
fn the_same_points_arrive_with_faults_as_without() {
    let scene = scene(
        LOGS,
        "json(_, status)\nif status == \"error\" {\n  drop()\n}\n",
    )
    .unwrap();
    assert_eq!(scene.about().0, ["app"]);
    for seed in 0..8 {
        let report = run_scene(seed, &Options::default(), &scene, false);
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.figures.arrived > 0 && report.figures.records > 0);
        let again = run_scene(seed, &Options::default(), &scene, false);
        assert_eq!(again.hash, report.hash, "seed {seed}");
    }
}

#[test]
fn a_configuration_without_a_named_topic_is_refused_in_words() {
    let error = scene("", "").err().unwrap().to_string();
    assert!(error.contains("no route names a topic"), "{error}");
}
