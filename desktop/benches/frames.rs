//! Frame time against the number of devices, drawn into a texture by what this machine has: `cargo bench -p twinfleet-desktop`.
//! As the window draws without a graphics card (no shadows, edges not smoothed), and as pictures are drawn. Prints, measures,
//! asserts nothing: figures are this machine's.

use std::time::Instant;
use twinfleet_desktop::{
    args::Size,
    picture::Studio,
    sim::{open::Opened, player::Player, source::Source},
    stage::{camera::View, show::Shown, side::Worked},
};

/// Frames that are measured.
const FRAMES: u32 = 10;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    println!("{:>8} {:>9} {:>14} {:>14} {:>10}", "devices", "as", "still [ms]", "playing [ms]", "size");
    for (count, fine, size) in [
        (100, false, Size(1280, 720)),
        (1_000, false, Size(1280, 720)),
        (1_000, false, Size(640, 360)),
        (100, true, Size(1280, 720)),
        (1_000, true, Size(1280, 720)),
        (10_000, false, Size(1280, 720)),
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
        if !fine {
            studio.coarse();
        }
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
        let kind = if fine { "picture" } else { "window" };
        println!("{count:>8} {kind:>9} {still:>14.1} {playing:>14.1} {:>6}x{}", size.0, size.1);
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
