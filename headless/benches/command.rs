//! Whole runs of the command, as a user starts them: wall time from start to end, the best of three.
//!
//! `cargo bench -p twinfleet --bench command`

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn best(args: &[&str]) -> Duration {
    let once = || {
        let begin = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinfleet"));
        command.args(["run", "--quiet"]).args(args).stdout(Stdio::null()).stderr(Stdio::inherit());
        let status = command.status().expect("the command starts");
        assert!(status.code().is_some_and(|c| c <= 1), "{args:?} ended with {status}");
        begin.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

fn main() {
    println!("{:<56} {:>9}", "run, from start to end (best of 3)", "wall");
    for (what, args) in [
        ("greenhouse, 24 h, no broker", &["greenhouse", "--broker", "none"][..]),
        ("greenhouse, 24 h, embedded broker", &["greenhouse", "--broker", "embedded"]),
        ("pi3b-mirror, 1 h, embedded broker", &["pi3b-mirror", "--broker", "embedded"]),
        ("tclab-mirror, 10 min, embedded broker", &["tclab-mirror", "--broker", "embedded"]),
        ("parcel-drop, 8 s, embedded broker", &["parcel-drop", "--broker", "embedded"]),
        // One tick of one device: start, reading all files, set-up, first reading, end.
        ("start to first reading (pi3b-mirror, one tick)", &["pi3b-mirror", "--set", "duration=\"1s\""]),
        ("start to first reading (greenhouse, one minute)", &["greenhouse", "--set", "duration=\"1min\""]),
    ] {
        println!("{what:<56} {:>7.3} s", best(args).as_secs_f64());
    }
}
