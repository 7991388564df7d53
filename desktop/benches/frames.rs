//! Frame time against the number of devices, drawn into a texture by what this machine has: `cargo bench -p twinfleet-desktop`.
//! Prints, measures, asserts nothing: figures are this machine's.

use std::time::Instant;
use twinfleet_desktop::{
    args::Size,
    picture::Studio,
    sim::{open::Opened, player::Player, source::Source},
    stage::{camera::View, show::Shown, side::Worked},
};

/// Frames that are measured.
const FRAMES: u32 = 20;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    println!("{:>8} {:>14} {:>14} {:>12}", "devices", "still [ms]", "playing [ms]", "size");
    for (count, size) in [
        (10, Size(1280, 720)),
        (100, Size(1280, 720)),
        (1_000, Size(1280, 720)),
        (10_000, Size(1280, 720)),
        (1_000, Size(640, 360)),
    ] {
        let file = dir.path().join("fleet.ron");
        std::fs::write(&file, scenario(count)).expect("written");
        let opened =
            Opened::file(&file.to_string_lossy(), &[], None, &[]).unwrap_or_else(|r| panic!("{r:?}"));
        let mut player = Player::new(&opened, 1).expect("a run");
        let frame = player.left().history.last().cloned().expect("a frame");
        let mut studio = match Studio::new(size, Shown::new(opened, frame, 1), false) {
            Ok(studio) => studio,
            Err(failure) => return println!("{}", failure.text),
        };
        let view = View::named("overview", studio.shown()).expect("the overview");
        studio.look(view);
        for _ in 0..8 {
            studio.draw();
        }
        let still = time(|| studio.draw());
        let playing = time(|| {
            player.tick();
            let now = player.left().now;
            studio.show::<Worked>(player.left(), now);
            studio.draw();
        });
        println!("{count:>8} {still:>14.1} {playing:>14.1} {:>7}x{}", size.0, size.1);
    }
}

/// Mean wall time, [ms].
fn time(mut frame: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..FRAMES {
        frame();
    }
    start.elapsed().as_secs_f64() * 1e3 / f64::from(FRAMES)
}

fn scenario(count: u32) -> String {
    format!(
        "Scenario(format: 1, duration: \"1h\", step: \"10s\", world: (zones: [(id: \"a\"), (id: \"b\"), (id: \"c\"), (id: \"d\")]),
        fleet: [(id: \"node-{{}}\", count: {count}, thing: \"esp32-weather-node\", in: [\"a\", \"b\", \"c\", \"d\"])])"
    )
}
