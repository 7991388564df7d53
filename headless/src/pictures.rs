//! The picture in a run's report, drawn by the desktop where it was built beside the command. The command knows of it no more
//! than its name: nothing of it is linked here.

use crate::{args::RunArgs, report::Report};
use serde::{Deserialize, Serialize};
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The desktop's program.
const DESKTOP: &str = "twinfleet-desktop";
/// How long a picture may take beside the run itself, which it goes through again: starting, and drawing in software.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest picture that a page takes in, [bytes].
const MOST_BYTES: u64 = 8 << 20;

/// A picture of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// File within the report's folder.
    pub file: String,
    /// The instant that it shows, [s].
    pub at_s: f64,
    /// Why this instant.
    pub about: String,
    /// PNG.
    #[serde(skip)]
    pub png: Vec<u8>,
}

/// Takes the picture of a run that is over into the report's folder. None where the desktop is not built beside the command.
///
/// # Errors
/// Why there is none, in one line.
pub fn take(report: &Report, args: &RunArgs, dir: &Path) -> Result<Option<Picture>, String> {
    let Some(desktop) = beside() else { return Ok(None) };
    let (at_s, about, view) = moment(report);
    let folder = dir.join("plots");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let png = folder.join("scene.png");
    // One of an earlier run is no picture of this one.
    let _ = std::fs::remove_file(&png);
    let mut command = Command::new(desktop);
    match &args.record {
        Some(record) => {
            command.arg(record);
        }
        None => {
            command.arg(&args.file).args(["--seed", &report.seed.to_string()]);
            command.args(args.sets.iter().flat_map(|set| ["--set", set]));
            // The run is gone through again as it was: what a script may do, it may do in the picture.
            command.args(["--threads", &args.threads.to_string()]);
            command.args(args.trust_scripts.then_some("--trust-scripts"));
            if let Some(patience_s) = args.script_patience {
                command.args(["--script-patience", &patience_s.to_string()]);
            }
        }
    }
    for folder in &args.catalog {
        command.arg("--catalog").arg(folder);
    }
    command.arg("--screenshot").arg(&png).args(["--at", &format!("{:.3}s", at_s), "--view", view]);
    let patience = PATIENCE + Duration::from_secs_f64((3.0 * report.wall_s).clamp(0.0, 3_600.0));
    watch(command, patience)?;
    let size = std::fs::metadata(&png).map_err(|e| format!("{}: {e}", png.display()))?.len();
    if size > MOST_BYTES {
        return Err(format!("{} is too large for the page", png.display()));
    }
    let bytes = std::fs::read(&png).map_err(|e| format!("{}: {e}", png.display()))?;
    Ok(Some(Picture { file: "plots/scene.png".to_owned(), at_s, about, png: bytes }))
}

/// The desktop beside this command.
fn beside() -> Option<PathBuf> {
    let name = format!("{DESKTOP}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::current_exe().ok()?.with_file_name(name);
    path.is_file().then_some(path)
}

/// The instant that tells most, [s], why, and the view of it.
fn moment(report: &Report) -> (f64, String, &'static str) {
    let within = |t: f64| t.clamp(0.0, report.simulated_s);
    let failed = report.expectations.iter().find(|o| !o.held() && o.worst_at_s.is_some());
    if let Some((outcome, t)) = failed.and_then(|o| Some((o, o.worst_at_s?))) {
        return (within(t), format!("the worst moment of what failed first: {}", outcome.name), "overview");
    }
    let verdict = report.happenings.iter().find(|h| h.what == "verdict");
    if let Some((verdict, t)) = verdict.and_then(|v| Some((v, v.decided_at_s?))) {
        // A moment later, so that the alarm stands.
        let about = format!("the first verdict: {} on {}", verdict.detail, verdict.subject);
        return (within(t + 1.0), about, "overview");
    }
    (report.simulated_s, "the end of the run".to_owned(), "overview")
}

/// Runs a program to its end.
fn watch(mut command: Command, patience: Duration) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{DESKTOP}: {e}"))?;
    // What it says is read as it comes: a pipe that is full would hold it up.
    let said = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.by_ref().take(64 << 10).read_to_end(&mut text);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| format!("{DESKTOP}: {e}"))? {
            Some(status) => break status,
            None if start.elapsed() > patience => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{DESKTOP} took more than {} s", patience.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Err(format!("{DESKTOP} ended with {status}: {}", reason(&said)))
}

/// Why it ended, of what it said: drivers and warnings come before, what to try stands below, further in.
fn reason(said: &str) -> &str {
    let begins = |line: &&str| !line.starts_with(char::is_whitespace) && !line.starts_with("note:");
    let mut lines = said.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let last = lines.clone().rfind(begins).or_else(|| lines.next());
    last.map_or("it says nothing", str::trim)
}
