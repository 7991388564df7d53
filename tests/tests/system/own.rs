//! What a user adds next to a scenario works without recompiling: a sensor, an actuator, a heated box with its dynamics.

use super::common::command;
use std::path::Path;

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/own").join(name).display().to_string()
}

#[test]
fn a_heated_box_of_the_users_own_is_simulated_and_mirrored() {
    let checked = command(&["check", &file("heated-box.ron")]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr());
    let ran = command(&["run", &file("heated-box.ron"), "--broker", "none", "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
}

#[test]
fn without_its_catalog_the_box_is_refused_with_its_place() {
    let dir = super::common::scratch();
    let alone = dir.path().join("heated-box.ron");
    std::fs::copy(file("heated-box.ron"), &alone).unwrap();
    let ran = command(&["check", alone.to_str().unwrap()]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("heated-box.ron:9:"), "{}", ran.stderr());
    assert!(ran.stderr().contains("my-heated-box"), "{}", ran.stderr());
}
