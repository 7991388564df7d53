//! What a user sees of a file that is wrong: one error with its place, a caret and a suggestion, exit 2, and nothing written.
//!
//! Run with `UPDATE_EXPECT=1` to take what is said now, and read the difference.

mod flags;
mod scenarios;
mod tables;

use super::common::scratch;
use expect_test::{Expect, expect};
use std::{collections::BTreeSet, path::Path, process::Command};

/// A scenario that is right, of simulated devices and of a recorded one.
const GOOD: &str = r#"Scenario(
  format: 1,
  about: "a test",
  duration: "5min", step: "1s",
  world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
  links: [(id: "wifi", loss: 0.01)],
  fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
  physicals: [(
    id: "pi",
    from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
    publish: (topic: "lab/{device}"),
  )],
  expect: [
    Always(signal: "node-*/bme280.temperature@reading", between: (-40.0, 85.0)),
    Never(verdict: Any),
  ],
)
"#;
const TABLE: &str = "time,temp\n0,20.5\n1,20.6\n2,20.7\n3,20.8\n4,20.9\n";

/// A table as long as the good scenario.
fn whole_table() -> String {
    (0..=300).fold(String::from("time,temp\n"), |table, t| table + &format!("{t},20.5\n"))
}

/// Runs the command among `files`, and asserts that it refuses them, says so once, and leaves the folder as it was.
fn refused_among(files: &[(&str, &[u8])], args: &[&str], want: &Expect) {
    let dir = scratch();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let before = listing(dir.path());
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    want.assert_eq(&dedented(&said));
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert_eq!(listing(dir.path()), before, "something was written");
    assert!(ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
}

/// Runs the good scenario with this table.
fn table(text: impl AsRef<[u8]>, want: Expect) {
    let files = [("a.ron", GOOD.as_bytes()), ("r.csv", text.as_ref())];
    refused_among(&files, &RUN, &want);
}

const RUN: [&str; 8] = ["run", "a.ron", "--quiet", "--broker", "none", "--record", "rec", "--report=out"];

/// Runs a scenario beside a good table.
fn scenario(text: impl AsRef<[u8]>, want: Expect) {
    refused_among(&[("a.ron", text.as_ref()), ("r.csv", TABLE.as_bytes())], &RUN, &want);
}

/// Runs the good scenario with a piece replaced.
fn bent(from: &str, to: &str, want: Expect) {
    assert!(GOOD.contains(from), "`{from}` is not in the good scenario");
    scenario(GOOD.replacen(from, to, 1), want);
}

/// Runs the good scenario with more flags, or other ones.
fn flags(more: &[&str], want: Expect) {
    let files = [("a.ron", GOOD.as_bytes()), ("r.csv", TABLE.as_bytes()), ("file", b"in the way")];
    refused_among(&files, &[&["run", "a.ron", "--quiet", "--broker=none"], more].concat(), &want);
}

fn listing(dir: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        all.insert(entry.path().display().to_string());
        if entry.path().is_dir() {
            all.extend(listing(&entry.path()));
        }
    }
    all
}

/// Without the indentation that all lines share: `expect!` takes it off its own text.
fn dedented(text: &str) -> String {
    let indent = |l: &str| l.len() - l.trim_start().len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.split_inclusive('\n').map(|l| l.get(shared..).unwrap_or(l.trim_start_matches(' '))).collect()
}

#[test]
fn the_good_scenario_runs() {
    let dir = scratch();
    std::fs::write(dir.path().join("a.ron"), GOOD).unwrap();
    std::fs::write(dir.path().join("r.csv"), TABLE).unwrap();
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(RUN).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}
