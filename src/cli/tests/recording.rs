//! `kafkamq recording replay` into files.

use super::*;

const RECORDED: &str = "orders,host=a n=1i 1600000000000000000\n\
    orders,host=a text=\"two\nlines\" 1600000000500000000\n";

fn recording() -> (tempfile::TempDir, String) {
    let (folder, config) = folder("", &[]);
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("recorder/logging")).unwrap();
    std::fs::write(path("recorder/logging/a.1.lp"), RECORDED).unwrap();
    std::fs::create_dir_all(path("recorder/metric")).unwrap();
    let metric = "{\"name\":\"cpu\",\"fields\":[{\"key\":\"n\",\"i\":\"7\"}],\
        \"time\":\"1599999999000000000\"}\n";
    std::fs::write(path("recorder/metric/b.1.pbjson"), metric).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let tables = format!(
        "{text}\n[recorder]\npath = {:?}\n[[output]]\nkind = \"file\"\nname = \"files\"\npath = {:?}\n\
         [[output]]\nkind = \"influxdb\"\nendpoint = \"http://127.0.0.1:1/write\"\n",
        path("recorder"),
        path("out"),
    );
    std::fs::write(&config, tables).unwrap();
    (folder, config)
}

/// The times of the points in a file, in nanoseconds.
fn times(path: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect()
}

#[test]
fn a_recording_is_sent_with_the_newest_point_now() {
    let (folder, config) = recording();
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as i64;
    let said = kafkamq(&["recording", "--config", &config, "replay"]);
    assert_eq!(
        (said.code, &*said.out),
        (FINE, "3 points delivered\n"),
        "{}",
        said.err
    );
    let logging = times(&folder.path().join("out/logging/00000001.lp"));
    assert_eq!(logging[1] - logging[0], 500_000_000);
    assert!(logging[1] >= before && logging[1] < before + 600_000_000_000);
    // Distances hold over all files.
    let metric = times(&folder.path().join("out/metric/00000001.lp"));
    assert_eq!(logging[1] - metric[0], 1_500_000_000);
}

#[test]
fn times_stay_where_that_is_asked_for_and_wrong_names_are_told() {
    let (folder, config) = recording();
    let replay =
        |more: &[&str]| kafkamq(&[&["recording", "--config", &config, "replay"], more].concat());
    let said = replay(&["--original-times", "--output", "files"]);
    assert_eq!(said.code, FINE, "{}", said.err);
    let out = folder.path().join("out/logging/00000001.lp");
    assert_eq!(std::fs::read_to_string(out).unwrap(), RECORDED);
    let unknown = replay(&["--output", "nobody"]);
    assert_eq!(
        (unknown.code, &*unknown.err),
        (FAILED, "error: there is no output of this name\n")
    );
    let empty = folder.path().join("out");
    std::fs::remove_dir_all(&empty).unwrap();
    std::fs::create_dir(&empty).unwrap();
    let none = replay(&["--path", &empty.display().to_string()]);
    assert!(
        none.err.starts_with("error: there is no recording in"),
        "{}",
        none.err
    );
}
