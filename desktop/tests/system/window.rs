//! A real window under Xvfb, driven by xdotool: open, play, select, put a fault in, save, quit.

use crate::{desktop, vulkan};
use image::{Rgb, RgbImage};
use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use twinfleet_desktop::stage::palette;
use twinfleet_tests::{Process, tool};

/// A display of the test's own.
struct Display {
    name: String,
    /// Where the server keeps what it shows.
    frames: tempfile::TempDir,
    _server: Process,
}

impl Display {
    fn start(test: &str) -> Option<Self> {
        let xvfb = tool("Xvfb", test)?;
        tool("xdotool", test)?;
        let frames = tempfile::tempdir().unwrap();
        // The server finds a free number and tells it.
        let mut child = Command::new(xvfb)
            .args(["-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp", "-fbdir"])
            .arg(frames.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
            .unwrap();
        Some(Self { name: format!(":{}", line.trim()), frames, _server: Process(child) })
    }

    /// What is on the screen: the server's own memory, in the format of `xwd` (X11/XWDFile.h).
    fn picture(&self) -> RgbImage {
        let bytes = std::fs::read(self.frames.path().join("Xvfb_screen0")).unwrap();
        let word = |k: usize| u32::from_be_bytes(bytes[4 * k..4 * k + 4].try_into().unwrap()) as usize;
        let (header, width, height, bits, line, colors) =
            (word(0), word(4), word(5), word(11), word(12), word(19));
        assert_eq!((bits, word(7)), (32, 0), "32 bits a pixel, least significant byte first");
        let pixels = &bytes[header + 12 * colors..];
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = y as usize * line + x as usize * 4;
            Rgb([pixels[at + 2], pixels[at + 1], pixels[at]])
        })
    }

    /// How many pixels are of about this colour.
    fn count(&self, color: [u8; 3]) -> usize {
        let near = |p: &&Rgb<u8>| p.0.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 10);
        self.picture().pixels().filter(near).count()
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Keys, one after the other, at a pace at which a slow window takes each by itself.
    fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.xdotool(&["key", "--delay", "60", key]);
            thread::sleep(Duration::from_millis(350));
        }
    }

    /// Two keys at once, held as long as a slow frame lasts: what comes and goes within one frame is not seen.
    fn chord(&self, held: &str, key: &str) {
        for (what, key) in [("keydown", held), ("key", key), ("keyup", held)] {
            self.xdotool(&[what, key]);
            thread::sleep(Duration::from_millis(1500));
        }
    }

    fn text(&self, text: &str) {
        self.xdotool(&["type", "--delay", "60", text]);
        thread::sleep(Duration::from_millis(500));
    }
}

fn until(what: &str, child: &mut Child, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for: {what}");
        if let Ok(Some(status)) = child.try_wait() {
            panic!("the window ended with {status} before: {what}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn open(display: &Display, dir: &Path, args: &[&str]) -> Process {
    let child = desktop(dir)
        .args(args)
        .env("DISPLAY", &display.name)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

#[test]
fn a_session_in_a_real_window_saves_and_replays() {
    let test = "a_session_in_a_real_window_saves_and_replays";
    if !vulkan(test) {
        return;
    }
    let Some(display) = Display::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut window = open(&display, dir.path(), &["pi3b-mirror", "--at", "5min"]);
    until("the window", &mut window.0, || {
        !display.xdotool(&["search", "--onlyvisible", "--name", "^Twinfleet$"]).is_empty()
    });
    let id = display.xdotool(&["search", "--onlyvisible", "--name", "^Twinfleet$"]);
    let id = id.lines().next().unwrap().to_owned();
    display.xdotool(&["windowfocus", "--sync", &id]);
    thread::sleep(Duration::from_secs(4));
    // Plays, pauses, looks from above.
    display.keys(&["space"]);
    thread::sleep(Duration::from_secs(1));
    display.keys(&["space", "2"]);
    thread::sleep(Duration::from_secs(2));
    // The scene is there: many colours, none of which fills the middle of the window.
    let picture = display.picture();
    let middle = image::imageops::crop_imm(&picture, 360, 80, 700, 400).to_image();
    let mut colors: Vec<[u8; 3]> = middle.pixels().map(|p| p.0.map(|c| c / 16)).collect();
    colors.sort_unstable();
    let most = colors.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap();
    assert!(most < colors.len() * 9 / 10, "one colour fills the scene");
    let before = display.count(palette::INJECTED);
    // Selects the first device, and puts in the fault that the panel has at first: `stuck`. Time stands, and yet it shows.
    display.keys(&["bracketright", "F4"]);
    until("the fault's colour on the screen", &mut window.0, || {
        display.count(palette::INJECTED) > before + 200
    });
    // To the end, which takes the run what it takes.
    display.keys(&["End"]);
    thread::sleep(Duration::from_secs(20));
    let session = dir.path().join("session.ron");
    until("the session to be saved", &mut window.0, || {
        display.chord("ctrl", "s");
        display.chord("ctrl", "a");
        display.text(session.to_str().unwrap());
        display.keys(&["Return"]);
        thread::sleep(Duration::from_secs(2));
        session.exists()
    });
    let text = std::fs::read_to_string(&session).unwrap();
    assert!(text.contains("kind: Stuck"), "the fault is in the session");
    let start = Instant::now();
    let status = loop {
        display.keys(&["Escape"]);
        display.chord("ctrl", "q");
        if let Some(status) = window.0.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "it does not quit");
    };
    assert!(status.success(), "{status}");
    let settings = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(settings.contains("layout"), "where the panels are is remembered");
    let run = Command::new(twinfleet_tests::twinfleet())
        .args(["run", "--broker", "none", "--quiet", "--json"])
        .arg(&session)
        .current_dir(twinfleet_tests::root())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let mut said = String::new();
    window.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let hash =
        said.lines().find_map(|l| l.strip_prefix("state_hash ")).expect("the run has ended in the window");
    assert_eq!(report["state_hash"].as_str().unwrap(), hash);
}

#[test]
fn without_a_display_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let output = desktop(dir.path()).arg("pi3b-mirror").env_remove("DISPLAY").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("$DISPLAY") && text.contains("--screenshot"), "{text}");
}

#[test]
fn a_broken_scenario_opens_the_window_and_is_told_there() {
    let test = "a_broken_scenario_opens_the_window_and_is_told_there";
    if !vulkan(test) {
        return;
    }
    let Some(display) = Display::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.ron");
    std::fs::write(&bad, "Scenario(\n  format: 1, duration: \"1h\",\n  flet: [],\n)").unwrap();
    let mut window = open(&display, dir.path(), &[bad.to_str().unwrap()]);
    until("the window", &mut window.0, || {
        !display.xdotool(&["search", "--onlyvisible", "--name", "^Twinfleet$"]).is_empty()
    });
    // What is wrong stands there in its own colour; what it says, the panels' tests read.
    until("the text of what is wrong", &mut window.0, || display.count([0xd5, 0x5e, 0x00]) > 100);
}
