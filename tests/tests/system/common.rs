//! What several system tests do: run the command, read what it printed, compare records.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};
use twinfleet_tests::twinfleet;

/// A finished command.
pub struct Ran {
    pub output: Output,
}

impl Ran {
    pub fn code(&self) -> i32 {
        self.output.status.code().expect("ended by itself")
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {}\n{}", self.stdout(), self.stderr()))
    }

    pub fn state_hash(&self) -> String {
        self.json()["state_hash"].as_str().expect("a run says its hash").to_owned()
    }
}

/// The built command, run in the repository's root.
pub fn twinfleet_command() -> Command {
    let mut command = Command::new(twinfleet());
    command.current_dir(twinfleet_tests::root());
    command
}

/// Runs `twinfleet --json ARGS`; any exit code.
pub fn command(args: &[&str]) -> Ran {
    let output = twinfleet_command().arg("--json").args(args).output().expect("the command starts");
    Ran { output }
}

/// Runs `twinfleet --json ARGS`, which must end with 0, or with 1 where an expectation fails on a changed scenario.
pub fn run_scenario(args: &[&str]) -> Ran {
    let ran = command(args);
    assert!(ran.code() <= 1, "{args:?} ended with {}:\n{}", ran.code(), ran.stderr());
    ran
}

/// The words by which the physicals of a scenario speak on a broker as devices do, at a pace.
pub fn as_devices<'a>(scenario: &'a str, url: &'a str, speed: &'a str) -> [&'a str; 8] {
    ["replay", scenario, "--as-devices", "--broker", url, "--speed", speed, "--quiet"]
}

/// An empty folder that goes away with the test.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Asserts that two record folders hold the same files, byte for byte.
pub fn assert_same_record(a: &Path, b: &Path) {
    let (left, right) = (files(a), files(b));
    assert!(left.keys().any(|k| k.ends_with(".parquet")), "no segment in {}", a.display());
    let names = |m: &BTreeMap<String, Vec<u8>>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    for (name, bytes) in &left {
        assert!(bytes == &right[name], "{name} differs between {} and {}", a.display(), b.display());
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                found.insert(name, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    found
}
