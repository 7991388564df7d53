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

use std::{path::Path, process::Command};

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
