//! The command starts. With this test `cargo test --workspace` builds it beside the others, with what its workspace has built.

use std::process::Command;

#[test]
fn it_says_its_version_and_teaches() {
    let run = |flag: &str| {
        let ran = Command::new(env!("CARGO_BIN_EXE_twinfleet")).arg(flag).output().expect("it starts");
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    assert_eq!(run("--version").trim(), concat!("twinfleet ", env!("CARGO_PKG_VERSION")));
    let help = run("--help");
    for verb in ["run", "check", "mirror", "load", "fit", "score"] {
        assert!(help.lines().any(|l| l.trim_start().starts_with(&format!("{verb} "))), "{verb}: {help}");
    }
}
