use super::*;

/// What the integration tests compare the real client with.
#[test]
fn the_answers_of_the_fake_client() {
    let mut text = String::new();
    for trap in TRAPS {
        let answers = trap.answers(&mut Fake::default()).unwrap();
        text += &format!("{}\n{answers}\n", trap.name);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_trap_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = TRAPS.iter().map(|trap| trap.name).collect();
    assert_eq!(names.len(), TRAPS.len());
}
