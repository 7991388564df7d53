//! The desktop through its public doors: meshes, panels, pictures, records, sessions, a real window.

#[path = "system/meshes.rs"]
mod meshes;
#[path = "system/panels.rs"]
mod panels;
#[path = "system/pictures.rs"]
mod pictures;
#[path = "system/records.rs"]
mod records;
#[path = "system/sessions.rs"]
mod sessions;
#[path = "system/window.rs"]
mod window;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use twinfleet_desktop::panels::desk::Desk;
use twinfleet_engine::time::{SimTime, Span};

/// Lets the desk go on until something is so.
fn until(desk: &mut Desk, what: &str, done: impl Fn(&Desk) -> bool) {
    let start = Instant::now();
    while !done(desk) {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for: {what}");
        desk.advance(0.016);
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn at(text: &str) -> SimTime {
    SimTime::ZERO + text.parse::<Span>().unwrap()
}

/// The built program, with settings of its own.
fn desktop(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinfleet-desktop"));
    command.env("TWINFLEET_SETTINGS", dir.join("settings.json")).current_dir(twinfleet_tests::root());
    command
}

/// Whether software Vulkan is there; else the skip is written down.
fn vulkan(test: &str) -> bool {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let found = folders.iter().any(|f| std::fs::read_dir(f).is_ok_and(|mut d| d.next().is_some()));
    if !found {
        twinfleet_tests::skip(test, "no Vulkan driver is installed (mesa-vulkan-drivers)");
    }
    found
}
