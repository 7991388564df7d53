//! Rules of the house that a compiler does not check.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn tree(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        // Away from configuration that unifies features over the workspace: the tree is the one of who builds the command alone.
        .current_dir(std::env::temp_dir())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn nothing_of_the_desktop_reaches_the_headless_command() {
    let tree = tree("twinfleet");
    for banned in ["wgpu", "winit", "bevy_render", "bevy_winit", "egui"] {
        assert!(!tree.lines().any(|l| l.starts_with(banned)), "{banned} is below the headless command");
    }
}

#[test]
fn the_engine_opens_no_socket_and_reads_no_wall_clock() {
    for file in sources(&root().join("engine/src")) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for banned in ["Instant::now", "SystemTime::now", "TcpStream", "UdpSocket", "std::net"] {
            assert!(!code.contains(banned), "{} uses {banned}", file.display());
        }
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for folder in ["engine/src", "twins/src", "headless/src", "desktop/src"] {
        // A file of tests has one reason to change, however many cases it holds.
        for file in sources(&root().join(folder)).into_iter().filter(|f| !f.ends_with("tests.rs")) {
            let lines = std::fs::read_to_string(&file).expect("readable").lines().count();
            assert!(
                lines <= 900,
                "{} has {lines} lines: look for its second reason to change",
                file.display()
            );
        }
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let Ok(output) = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output() else {
        return;
    };
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut top: Vec<&str> = files.split_terminator('\0').filter_map(|f| f.split('/').next()).collect();
    top.dedup();
    let known = ".ci .gitignore Cargo.lock Cargo.toml LICENSE-APACHE LICENSE-MIT README.md assets deploy desktop engine fuzz \
                 headless rustfmt.toml scenarios tests twins";
    let strays: Vec<&str> = top.into_iter().filter(|t| !known.split_whitespace().any(|k| k == *t)).collect();
    assert_eq!(strays, [""; 0], "files that do not belong at the top of the repository");
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
