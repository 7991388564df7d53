//! Pictures without a screen: every shipped scenario has one, and what is in it is there.

use crate::{desktop, vulkan};
use image::{Rgb, RgbImage};
use std::{
    path::Path,
    process::{Command, Stdio},
};
use twinfleet_desktop::{
    sim::{
        open::{Opened, shipped},
        source::source,
    },
    stage::{
        camera::{FOV_Y, View},
        refresh::{device_place, riding},
        show::Shown,
    },
};
use twinfleet_tests::Process;

/// Draws a picture of a scenario; `args` are more of the command line.
fn draw(dir: &Path, scenario: &str, args: &[&str]) -> RgbImage {
    let out = dir.join("out.png");
    let mut command = desktop(dir);
    command.arg(scenario).arg("--screenshot").arg(&out).args(["--size", "640x360"]).args(args);
    let output = command.env_remove("DISPLAY").output().unwrap();
    assert!(output.status.success(), "{scenario} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    image::open(&out).unwrap().to_rgb8()
}

/// Share of the pixels that a test is true of.
fn share(picture: &RgbImage, is: impl Fn(&Rgb<u8>) -> bool) -> f64 {
    picture.pixels().filter(|p| is(p)).count() as f64 / (picture.width() * picture.height()) as f64
}

/// Vermillion as alarms have it, in any brightness that blending leaves.
fn is_alarm(p: &Rgb<u8>) -> bool {
    let [r, g, b] = p.0.map(i32::from);
    (r - 0xd5).abs() < 14 && (g - 0x5e).abs() < 14 && b < 24
}

/// Where two pictures differ: the smallest rectangle around it, and how many pixels.
fn difference(a: &RgbImage, b: &RgbImage) -> Option<([u32; 4], usize)> {
    let (mut rect, mut count) = ([u32::MAX, u32::MAX, 0, 0], 0);
    for (x, y, p) in a.enumerate_pixels() {
        let q = b.get_pixel(x, y);
        if p.0.iter().zip(q.0).any(|(p, q)| p.abs_diff(q) > 8) {
            rect = [rect[0].min(x), rect[1].min(y), rect[2].max(x), rect[3].max(y)];
            count += 1;
        }
    }
    (count > 0).then_some((rect, count))
}

#[test]
fn every_shipped_scenario_has_a_picture() {
    if !vulkan("every_shipped_scenario_has_a_picture") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(twinfleet_tests::root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "ron") {
            continue;
        }
        let picture = draw(dir.path(), path.to_str().unwrap(), &["--at", "2s", "--bare"]);
        let mut colors: Vec<[u8; 3]> = picture.pixels().map(|p| p.0.map(|c| c / 16)).collect();
        let all = colors.len();
        colors.sort_unstable();
        let most = colors.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap();
        colors.dedup();
        assert!(colors.len() > 24, "{}: {} colours: nearly blank", path.display(), colors.len());
        assert!(most < all * 95 / 100, "{}: one colour fills it", path.display());
    }
}

#[test]
fn the_same_instant_gives_the_same_picture() {
    if !vulkan("the_same_instant_gives_the_same_picture") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = [(); 2].map(|()| draw(dir.path(), "parcel-drop", &["--at", "3s"]));
    assert_eq!(difference(&a, &b), None);
    // Whatever its user likes.
    let plain = draw(dir.path(), "parcel-drop", &["--at", "3s"]);
    let settings = r#"{"palette":"Turbo","dark":false,"units":{"temperature":"degF","speed":"km/h"}}"#;
    std::fs::write(dir.path().join("settings.json"), settings).unwrap();
    assert_eq!(difference(&plain, &draw(dir.path(), "parcel-drop", &["--at", "3s"])), None);
    let later = draw(dir.path(), "parcel-drop", &["--at", "4s", "--bare"]);
    let sooner = draw(dir.path(), "parcel-drop", &["--at", "3s", "--bare"]);
    assert!(difference(&sooner, &later).unwrap().1 > 100, "parcels have moved");
}

#[test]
fn a_hidden_device_is_missing_where_it_stood_and_nowhere_else() {
    if !vulkan("a_hidden_device_is_missing_where_it_stood_and_nowhere_else") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // No field: a floor that is coloured by its readings would change around it, too.
    let args = ["--at", "0s", "--bare", "--field", "none", "--view", "top"];
    let whole = draw(dir.path(), "cold-night", &args);
    let mut at = Vec::new();
    for id in ["node-0", "node-5"] {
        let mut args = args.to_vec();
        args.extend(["--hide", id]);
        let without = draw(dir.path(), "cold-night", &args);
        let (rect, count) = difference(&whole, &without).unwrap_or_else(|| panic!("{id} was not to be seen"));
        let (w, h) = (rect[2] - rect[0] + 1, rect[3] - rect[1] + 1);
        assert!(w < 130 && h < 130, "{id}: the change is {w} × {h} pixels large");
        assert!(count > 60, "{id}: {count} pixels");
        at.push([(rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2]);
    }
    assert!(at[0][0].abs_diff(at[1][0]) + at[0][1].abs_diff(at[1][1]) > 60, "two devices, one place: {at:?}");
}

/// Where a place of the scene is in a picture of 640×360 of this view, [pixels].
fn projected(view: &View, place: bevy::math::Vec3) -> [f32; 2] {
    let (eye, tan) = (view.transform(), (FOV_Y / 2.0).tan());
    let seen = eye.rotation.inverse() * (place - eye.translation);
    let (x, y) = (seen.x / -seen.z / tan / (640.0 / 360.0), seen.y / -seen.z / tan);
    [(x + 1.0) * 320.0, (1.0 - y) * 180.0]
}

#[test]
fn hiding_a_device_changes_pixels_only_around_its_projected_place_in_every_scenario() {
    if !vulkan("hiding_a_device_changes_pixels_only_around_its_projected_place_in_every_scenario") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut looked = 0;
    for (name, _) in shipped() {
        let opened = Opened::file(name, &[], None, &[]).unwrap();
        let player = source(&opened, 1).unwrap();
        let frame = player.left().history.last().unwrap().clone();
        let shown = Shown::new(opened, frame, 1);
        if shown.fleet.devices.is_empty() {
            continue;
        }
        let device = shown.fleet.devices.len() / 2;
        let id = shown.fleet.devices[device].id.clone();
        let view = View::named(&format!("device:{id}"), &shown).unwrap();
        let named = format!("device:{id}");
        let args = ["--at", "0s", "--bare", "--field", "none", "--view", &named];
        let whole = draw(dir.path(), name, &args);
        let without = draw(dir.path(), name, &[&args[..], &["--hide", &id]].concat());
        let (rect, count) =
            difference(&whole, &without).unwrap_or_else(|| panic!("{name}: {id} was not to be seen"));
        assert!(count > 60, "{name}: {id}: {count} pixels");
        // A board with its parts is about a metre of the scene wide, and casts a shadow as wide.
        // What rides on a body stands on top of it.
        let place = riding(&shown, device).map_or_else(|| device_place(&shown, device), |t| t.translation);
        let reach = 0.9;
        let corners = (0..8).map(|k: u32| {
            let side = |bit: u32| if k & bit == 0 { -reach } else { reach };
            projected(&view, place + bevy::math::Vec3::new(side(1), side(2), side(4)))
        });
        let corners: Vec<[f32; 2]> = corners.collect();
        for axis in 0..2 {
            let low = corners.iter().map(|c| c[axis]).fold(f32::INFINITY, f32::min);
            let high = corners.iter().map(|c| c[axis]).fold(f32::NEG_INFINITY, f32::max);
            let (from, to) = (rect[axis] as f32, rect[axis + 2] as f32);
            assert!(from >= low - 2.0 && to <= high + 2.0, "{name}: {id}: {rect:?} beyond {low}–{high}");
            let center = projected(&view, place)[axis];
            assert!(from <= center + 12.0 && to >= center - 12.0, "{name}: {id}: {rect:?} beside {center}");
        }
        looked += 1;
    }
    assert!(looked > 10, "{looked} scenarios have devices");
}

#[test]
fn a_device_that_is_left_out_is_left_out_with_its_twin() {
    if !vulkan("a_device_that_is_left_out_is_left_out_with_its_twin") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let draw = |at: &str, more: &[&str]| {
        let args = ["--at", at, "--bare", "--field", "none", "--view", "device:pi-1"];
        draw(dir.path(), "pi3b-mirror", &[&args[..], more].concat())
    };
    // Its ghost and its columns stand elsewhere after so long; of an empty table nothing changes.
    assert!(difference(&draw("20min", &[]), &draw("33min", &[])).is_some());
    let [before, after] = ["20min", "33min"].map(|at| draw(at, &["--hide", "pi-1"]));
    assert_eq!(difference(&before, &after), None);
}

#[test]
fn a_script_that_cannot_start_is_no_picture_but_exit_code_3() {
    if !vulkan("a_script_that_cannot_start_is_no_picture_but_exit_code_3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x.png");
    let mut command = desktop(dir.path());
    command.args(["scripted", "--trust-scripts", "--at", "10s", "--size", "64x64", "--screenshot"]).arg(&out);
    let output = command.env("TWINFLEET_PYTHON", "/nonexistent").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("/nonexistent") && !out.exists(), "{text}");
}

#[test]
fn an_alarms_colour_comes_with_it_and_goes_when_it_clears() {
    if !vulkan("an_alarms_colour_comes_with_it_and_goes_when_it_clears") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let alarm = |at: &str| {
        share(&draw(dir.path(), "pi3b-mirror", &["--at", at, "--bare", "--view", "device:pi-1"]), is_alarm)
    };
    // The sensor sticks from 30 to 34 min and its twin says so; at 36 min all is well again.
    let (before, during, after) = (alarm("20min"), alarm("33min"), alarm("37min"));
    assert!(before < 1e-4, "before: {before}");
    assert!(during > 2e-3, "during: {during}");
    assert!(after < 1e-4, "after: {after}");
}

#[test]
fn views_fields_and_errors_are_as_asked() {
    if !vulkan("views_fields_and_errors_are_as_asked") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| draw(dir.path(), "greenhouse", &[&["--at", "4min", "--bare"], args].concat());
    let all = at(&[]);
    for args in [&["--view", "top"][..], &["--view", "zone:z2"], &["--field", "humidity"], &["--light"]] {
        assert!(difference(&all, &at(args)).is_some(), "{args:?} changes nothing");
    }
    for (args, says) in [
        (&["greenhouse", "--view", "zone:z9"][..], "there is no zone `z9`"),
        (&["greenhouse", "--field", "temprature"], "temperature"),
        (&["grenhouse"], "greenhouse"),
        (&["greenhouse", "--hide", "node-999"], "node-999"),
        (&["greenhouse", "--at", "99d"], "after the run's end"),
    ] {
        let out = dir.path().join("no.png");
        let output = desktop(dir.path())
            .args(args)
            .arg("--screenshot")
            .arg(&out)
            .args(["--size", "64x64"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
        assert!(!out.exists());
    }
}

#[test]
fn a_video_is_a_folder_of_pictures() {
    if !vulkan("a_video_is_a_folder_of_pictures") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = dir.path().join("frames");
    let mut command = desktop(dir.path());
    command.args(["parcel-drop", "--from", "2s", "--to", "3s", "--every", "250ms", "--size", "160x96"]);
    // A longer video was there, and something of the user's.
    std::fs::create_dir_all(&frames).unwrap();
    for name in ["000000.png", "000099.png", "mine.png"] {
        std::fs::write(frames.join(name), "old").unwrap();
    }
    let output = command.arg("--video").arg(&frames).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<_> = std::fs::read_dir(&frames).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["000000.png", "000001.png", "000002.png", "000003.png", "000004.png", "mine.png"]);
}

#[test]
fn a_video_that_is_refused_takes_no_earlier_one_away() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = dir.path().join("000000.png");
    for (args, says) in [
        (&["--view", "topp"][..], "there is no view `topp`"),
        (&["--view", "device:parcl-0"], "there is no device `parcl-0`"),
        (&["--hide", "nobody"], "nobody"),
        (&["--from", "9s", "--to", "1s"], "no pictures"),
        (&["--from", "1s", "--to", "99s"], "--to 1min39s is after the run's end"),
        (&["--at", "3s"], "--at"),
    ] {
        std::fs::write(&earlier, "old").unwrap();
        let mut command = desktop(dir.path());
        let output = command.arg("parcel-drop").args(args).arg("--video").arg(dir.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
        assert_eq!(std::fs::read_to_string(&earlier).unwrap(), "old", "{args:?}");
    }
}

#[test]
fn a_picture_that_cannot_be_is_refused_before_anything_is_run() {
    let dir = tempfile::tempdir().unwrap();
    // A run of twenty thousand hours takes longer than anybody waits.
    std::fs::create_dir(dir.path().join("folder.png")).unwrap();
    let long = ["cold-night", "--set", "duration=\"20000h\"", "--set", "expect=[]"];
    for (args, out, code, says) in [
        (&["--view", "topp"][..], "x.png", 2, "there is no view `topp`"),
        (&[], "no/such/folder/x.png", 3, "there is no folder"),
        (&[], "folder.png", 3, "it is a folder"),
    ] {
        let start = std::time::Instant::now();
        let mut command = desktop(dir.path());
        let output =
            command.args(long).args(args).arg("--screenshot").arg(dir.path().join(out)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
        assert!(start.elapsed().as_secs() < 60, "{args:?}: {:?}", start.elapsed());
    }
}

#[test]
fn what_a_window_notes_of_where_it_comes_from_a_picture_notes_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = desktop(dir.path());
    command.args(["load-smoke", "--view", "topp", "--screenshot"]).arg(dir.path().join("x.png"));
    let text = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
    assert!(text.contains("only in `twinfleet load`") && text.contains("no view `topp`"), "{text}");
}

#[test]
fn a_folder_that_is_no_record_does_not_hide_the_scenario_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    for (name, says) in [("swing-shake-drive", "there is no view `topp`"), ("mine", "mine holds no record")] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        let mut command = desktop(dir.path());
        command.current_dir(dir.path()).args([name, "--view", "topp", "--screenshot", "x.png"]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
    }
}

#[test]
fn what_only_a_picture_has_is_not_taken_in_silence_by_a_window() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--hide", "node-0"][..], &["--bare"], &["--size", "640x360"]] {
        let output = desktop(dir.path()).arg("cold-night").args(args).env_remove("DISPLAY").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("--screenshot") && text.contains("--video"), "{args:?}: {text}");
    }
}

#[test]
fn what_belongs_to_another_way_of_looking_is_not_taken_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let png = dir.path().join("x.png");
    let png = png.to_str().unwrap();
    for (args, says) in [
        (&["parcel-drop", "--screenshot", png, "--from", "2s"][..], "--from"),
        (&["parcel-drop", "--at", "3s", "--every", "1s"], "--every"),
        (&["parcel-drop", "--screenshot", png, "--broker", "mqtt://localhost"], "--mirror FILE"),
        (&["--mirror", "pi3b-mirror", "--broker", "mqtt://127.0.0.1:9", "--hide", "pi-1"], "--hide"),
        (&["parcel-drop", "--screenshot", png, "--threads", "0"], "1..=256"),
    ] {
        let output = desktop(dir.path()).args(args).env_remove("DISPLAY").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says) && !Path::new(png).exists(), "{args:?}: {text}");
    }
}

#[test]
fn a_scenario_with_a_mistake_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.ron");
    std::fs::write(
        &file,
        "Scenario(\n  format: 1, duration: \"1h\",\n  fleet: [(id: \"a\", thing: \"parcel-loger\")],\n)",
    )
    .unwrap();
    let output =
        desktop(dir.path()).arg(&file).arg("--screenshot").arg(dir.path().join("x.png")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("bad.ron:3:") && text.contains("parcel-logger"), "{text}");
}

#[test]
fn a_split_view_shows_both_and_where_they_part() {
    if !vulkan("a_split_view_shows_both_and_where_they_part") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let halves = |args: &[&str]| {
        let args = [&["--at", "4s", "--bare", "--beside", "parcel-drop"], args].concat();
        let whole = draw(dir.path(), "parcel-drop", &args);
        let half = whole.width() / 2;
        [half, 0].map(|x| image::imageops::crop_imm(&whole, x, 0, half, whole.height()).to_image())
    };
    let [now, kept] = halves(&[]);
    assert!(share(&kept, |p| p.0 != kept.get_pixel(0, 0).0) > 0.05, "the left half is blank");
    assert_eq!(difference(&now, &kept), None, "the same run on both sides");
    let [now, kept] = halves(&["--set", "world.scene.gravity_m_s2=2"]);
    assert!(difference(&now, &kept).unwrap().1 > 100, "parcels fall slower on the one side");
}

#[test]
fn a_run_that_is_over_before_the_other_half_is_shown_at_its_end() {
    if !vulkan("a_run_that_is_over_before_the_other_half_is_shown_at_its_end") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // With names and titles, which say the time.
    let left = |at: &str| {
        let args = ["--beside", "parcel-drop", "--field", "none", "--at", at];
        let whole = draw(dir.path(), "pi3b-mirror", &args);
        image::imageops::crop_imm(&whole, 0, 0, whole.width() / 2, whole.height()).to_image()
    };
    assert!(difference(&left("3s"), &left("20min")).is_some());
    assert_eq!(difference(&left("20min"), &left("25min")), None);
}

#[test]
fn what_is_beside_needs_neither_the_field_nor_the_device_that_is_left_out() {
    if !vulkan("what_is_beside_needs_neither_the_field_nor_the_device_that_is_left_out") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let half = |args: &[&str], x: u32| {
        let args = [&["--at", "0s", "--bare", "--beside", "parcel-drop"], args].concat();
        let whole = draw(dir.path(), "cold-night", &args);
        image::imageops::crop_imm(&whole, x, 0, whole.width() / 2, whole.height()).to_image()
    };
    // No parcel measures humidity, and none is called `node-0`.
    let plain = half(&["--field", "none"], 0);
    assert_eq!(difference(&plain, &half(&["--field", "humidity", "--hide", "node-0"], 0)), None);
}

/// The headless command's report of a run.
fn report(dir: &Path, args: &[&str], icd: Option<&str>) -> (std::process::Output, String) {
    let mut command = Command::new(twinfleet_tests::twinfleet());
    command.args(["run", "pi3b-mirror", "--broker", "none", "--report"]).arg(dir.join("out")).args(args);
    if let Some(icd) = icd {
        command.env("VK_ICD_FILENAMES", icd).env("VK_DRIVER_FILES", icd);
    }
    let output = command.current_dir(twinfleet_tests::root()).env_remove("DISPLAY").output().unwrap();
    let page = std::fs::read_to_string(dir.join("out/report.html")).unwrap();
    (output, page)
}

#[test]
fn a_headless_report_has_a_picture_by_the_desktop_beside_it() {
    if !vulkan("a_headless_report_has_a_picture_by_the_desktop_beside_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (output, page) = report(dir.path(), &[], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(page.contains("data:image/png;base64,iVBOR"), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(page.contains("the first verdict: stuck"), "the picture says what it is of");
    let scene = image::open(dir.path().join("out/plots/scene.png")).unwrap().to_rgb8();
    assert!(share(&scene, is_alarm) > 1e-4, "the alarm is in it");
    let (_, page) = report(dir.path(), &["--no-pictures"], None);
    assert!(!page.contains("data:image/png"));
    // Where it cannot be drawn, the report is there all the same, and one line says why.
    let (output, page) = report(dir.path(), &[], Some("no/such/driver.json"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the report has no picture: twinfleet-desktop ended with"), "{text}");
    assert!(!page.contains("data:image/png"));
}

#[cfg(unix)]
#[test]
fn the_picture_of_a_report_is_of_the_run_as_it_was_run() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    // The command, beside a desktop that writes down what it is asked for.
    let (command, fake) = (dir.path().join("twinfleet"), dir.path().join("twinfleet-desktop"));
    let own = twinfleet_tests::twinfleet();
    std::fs::hard_link(own, &command).or_else(|_| std::fs::copy(own, &command).map(|_| ())).unwrap();
    let says =
        "echo 'error: of a driver' >&2; echo 'no graphics: none' >&2; echo '  install some' >&2; exit 3";
    let script = format!("#!/bin/sh\nfor arg in \"$@\"; do echo \"$arg\" >> asked; done\n{says}\n");
    std::fs::write(&fake, script).unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--broker", "none", "--threads", "2", "--trust-scripts", "--script-patience", "7.5"];
    let mut command = Command::new(command);
    command.args(["run", "parcel-drop", "--report", "out"]).args(args).current_dir(dir.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap_or_else(|e| panic!("{e}: {text}"));
    let asked: Vec<&str> = asked.lines().collect();
    assert!(text.contains("the report has no picture") && text.contains("3: no graphics: none"), "{text}");
    for wanted in [&["--threads", "2"][..], &["--trust-scripts"], &["--script-patience", "7.5"]] {
        assert!(asked.windows(wanted.len()).any(|some| some == wanted), "{wanted:?} of {asked:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_video_on_its_way_ends_as_it_is_told_to() {
    if !vulkan("a_video_on_its_way_ends_as_it_is_told_to") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = dir.path().join("frames");
    let mut command = desktop(dir.path());
    // So many pictures that it would draw for minutes yet.
    command.args(["parcel-drop", "--every", "1ms", "--size", "64x64", "--video"]).arg(&frames);
    let mut video = Process(command.stderr(Stdio::null()).spawn().unwrap());
    twinfleet_tests::until("the first picture", || frames.join("000000.png").exists());
    let told = Command::new("kill").args(["-TERM", &video.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    twinfleet_tests::until("its end", || video.0.try_wait().unwrap().is_some());
}
