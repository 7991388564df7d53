//! How fast rigid bodies go: sub-steps a second on one core, and how many times real time that is at 1 ms.
//!
//! `cargo bench -p twinfleet-engine --bench physics`

use std::{fmt::Write, time::Instant};
use twinfleet_engine::{
    physics::{
        SceneDef, ViewDef,
        feel::{Inertial, Mount, Range},
        scene::Scene,
    },
    scenario::Scenario,
};

fn main() {
    let ron = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    println!("{:<44} {:>12} {:>12}", "scene", "sub-steps/s", "× real time");
    let text = include_str!("../../scenarios/parcel-drop.ron");
    let drop: Scenario = ron.from_str(text).expect("shipped");
    if let Some(def) = &drop.world.scene {
        measure("parcel-drop: 3 parcels with IMUs, ranger", def, 8_000, true);
    }
    for side in [2, 4, 8] {
        let def: SceneDef = ron.from_str(&heap(side)).expect("well formed");
        measure(&format!("heap of {} crates, all in contact", side * side * side), &def, 1_000, false);
    }
}

/// A cube of crates stacked on a floor.
fn heap(side: u32) -> String {
    let mut bodies = String::from(
        r#"(id: "floor", kind: Fixed, shape: Box(size_m: (20, 20, 0.2)), position_m: (0, 0, -0.1)),"#,
    );
    for i in 0..side * side * side {
        let at = |k: u32| 0.21 * f64::from(k % side);
        let (x, y, z) = (at(i), at(i / side), 0.2 * f64::from(i / side / side) + 0.1);
        let _ = write!(
            bodies,
            r#"(id: "c{i}", kind: Dynamic, shape: Box(size_m: (0.2, 0.2, 0.2)), position_m: ({x}, {y}, {z}), mass_kg: 1),"#
        );
    }
    format!("(bodies: [{bodies}])")
}

fn measure(name: &str, def: &SceneDef, substeps: u32, feel: bool) {
    let mut scene = Scene::new(def).expect("sound");
    let mut imus: Vec<_> = (0..scene.len().min(3)).map(|b| Inertial::new(Mount::centre(b), &scene)).collect();
    let range = ViewDef::of_quantity("distance").map(|view| Range::new(Mount::centre(0), view));
    let start = Instant::now();
    for k in 0..substeps {
        scene.advance();
        if feel {
            for imu in &mut imus {
                std::hint::black_box(imu.feel(&scene));
            }
            if k % 10 == 0 {
                std::hint::black_box(range.as_ref().map(|r| r.distance_m(&scene)));
            }
        }
    }
    let rate = f64::from(substeps) / start.elapsed().as_secs_f64();
    println!("{name:<44} {rate:>12.0} {:>12.1}", rate * scene.substep().as_secs_f64());
}
