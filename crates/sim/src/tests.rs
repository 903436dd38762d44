use super::*;

/// A seed that breaks a law, if there is one.
fn broken(seeds: std::ops::Range<u64>, options: &Options) -> Option<Report> {
    let one = |seed| run(seed, options, false);
    let summary = run_many(seeds, 2, &one, 1, &|_| {});
    summary.failed.into_iter().next()
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in 0..20 {
        let options = Options::default();
        assert_eq!(
            run(seed, &options, true),
            run(seed, &options, true),
            "{seed}"
        );
    }
}

#[test]
fn no_law_is_broken() {
    let options = Options::default();
    if let Some(report) = broken(0..200, &options) {
        panic!("{}: {}", report.seed, report.violation.unwrap());
    }
}

#[test]
fn every_planted_bug_is_found_within_a_hundred_seeds() {
    let mut missed = Vec::new();
    for (bug, name) in Bug::ALL {
        let options = Options {
            bug: Some(bug),
            ..Options::default()
        };
        match broken(0..100, &options) {
            Some(report) => println!(
                "{name}: seed {}, {}",
                report.seed,
                report.violation.unwrap()
            ),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_failing_run_is_shortened() {
    let options = Options {
        bug: Some(Bug::CommitBeforeDelivery),
        ..Options::default()
    };
    let report = broken(0..100, &options).unwrap();
    let story = shorten(report.seed, &options).unwrap();
    assert!(story.events.len() < 5, "{story:#?}");
    assert!(story.events.len() < story.before);
}
