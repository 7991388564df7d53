//! The meshes are what their script draws, and can all be read.

use std::process::Command;
use twinfleet_desktop::{
    fleet::{Board, Look},
    stage::meshes::Shapes,
};

#[test]
fn meshes_are_what_their_script_draws() {
    let Some(python) = twinfleet_tests::tool("python3", "meshes_are_what_their_script_draws") else { return };
    let from = twinfleet_tests::root().join("assets/meshes");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(from.join("make.py"), dir.path().join("make.py")).unwrap();
    assert!(Command::new(python).arg(dir.path().join("make.py")).output().unwrap().status.success());
    let mut count = 0;
    for entry in std::fs::read_dir(&from).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().ends_with(".glb") {
            count += 1;
            let (ours, drawn) = (std::fs::read(from.join(&name)), std::fs::read(dir.path().join(&name)));
            assert!(ours.unwrap() == drawn.unwrap(), "{name:?} is not what make.py draws: run it");
        }
    }
    assert_eq!(Shapes::default().names().len(), count, "every mesh is read");
}

#[test]
fn boards_keep_their_real_size() {
    // Raspberry Pi 3B 85 × 56 mm, Arduino Uno R3 68.6 × 53.4 mm (their mechanical drawings); half of it each. Sockets stand out.
    let shapes = Shapes::default();
    for (board, x, z) in [(Board::Pi, 0.0425, 0.028), (Board::Arduino, 0.0343, 0.0267)] {
        let (full, far) = shapes.device(board, &[]);
        for shape in [full, far] {
            let reach = shape.reach();
            assert!((reach.x - x).abs() < 0.005 && (reach.z - z).abs() < 0.003, "{board:?}: {reach}");
        }
    }
    let (with, _) = shapes.device(Board::Esp32, &[Look::Sensor, Look::Soil]);
    // From afar it has all its parts too, however many.
    let (_, far) = shapes.device(Board::Esp32, &[Look::Sensor, Look::Light, Look::Soil]);
    assert!(far.reach().y > shapes.far("esp32").reach().y);
    assert!(with.reach().y > shapes.get("esp32").reach().y, "the soil probe stands higher than the board");
}
