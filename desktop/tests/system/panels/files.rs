//! What is opened, left and saved: the start page, dialogs, files that are dropped.

use super::{acted, click, window};
use egui_kittest::{Harness, kittest::Queryable};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_desktop::{
    panels::{
        desk::{Asking, Desk, Leave},
        start::preview,
    },
    settings::Settings,
    sim::open::shipped,
};

#[test]
fn the_start_page_opens_what_is_clicked_and_says_what_is_wrong_where_one_looks() {
    let mut window = window(Desk::new(Settings::default()));
    assert!(window.state().shown.is_none());
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.ron");
    std::fs::write(&bad, "Scenario(\n  format: 1, duration: \"1h\",\n  flet: [],\n)").unwrap();
    window.state_mut().open(bad.to_str().unwrap());
    window.run_steps(3);
    window.get_by_label_contains("bad.ron:3:3");
    window.get_by_label_contains("cannot be opened");
    click(&mut window, "Close");
    assert!(window.query_by_label_contains("bad.ron:3:3").is_none());
    click(&mut window, "swing-shake-drive");
    assert_eq!(window.state().shown.as_ref().unwrap().opened.title, "swing-shake-drive");
    assert_eq!(window.state().refused, None);
}

/// A file that was dropped on the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

#[test]
fn what_is_dropped_is_opened() {
    let mut window = window(Desk::new(Settings::default()));
    let path = twinfleet_tests::root().join("scenarios/parcel-drop.ron");
    window.input_mut().dropped_files.push(Arc::new(Dropped(path)));
    window.run_steps(3);
    assert_eq!(window.state().refused, None);
    assert_eq!(window.state().shown.as_ref().unwrap().opened.title, "parcel-drop");
}

#[test]
fn nothing_that_is_unsaved_is_left_without_a_question() {
    let mut window = window(acted());
    let path = twinfleet_tests::root().join("scenarios/pi3b-mirror.ron");
    let title = |w: &Harness<'_, Desk>| w.state().shown.as_ref().map(|s| s.opened.title.clone());
    let drop = |w: &mut Harness<'_, Desk>| {
        w.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
        w.run_steps(3);
        w.input_mut().dropped_files.clear();
    };
    drop(&mut window);
    assert_eq!(title(&window).as_deref(), Some("parcel-drop"));
    window.get_by_label("What you did is not saved");
    click(&mut window, "Stay");
    assert_eq!((window.state().done.len(), &window.state().leaving), (1, &None));
    for leave in [Leave::Quit, Leave::Close, Leave::Anew, Leave::Follow("pi3b-mirror".into(), "x".into())] {
        window.state_mut().leave(leave.clone());
        window.run_steps(3);
        window.get_by_label(&format!("{} without saving", leave.word()));
        window.key_press(egui::Key::Escape);
        window.run_steps(3);
        assert_eq!(title(&window).as_deref(), Some("parcel-drop"));
        assert!(!window.state().quit);
    }
    drop(&mut window);
    click(&mut window, "Open without saving");
    assert_eq!(title(&window).as_deref(), Some("pi3b-mirror"));
    assert!(!window.state().is_unsaved());
}

#[test]
fn what_was_asked_for_follows_once_it_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(acted());
    window.state_mut().leave(Leave::Close);
    window.run_steps(3);
    click(&mut window, "Save…");
    let session = dir.path().join("session.ron");
    window.state_mut().asking = Asking::Save(session.to_str().unwrap().to_owned());
    window.run_steps(3);
    click(&mut window, "Save");
    assert!(session.is_file());
    assert!(window.state().shown.is_none(), "it is back at the start page");
}

#[test]
fn a_file_that_is_there_is_overwritten_only_by_a_word_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.ron");
    std::fs::write(&file, "mine").unwrap();
    let mut window = window(acted());
    let ask = |window: &mut Harness<'_, Desk>| {
        window.state_mut().asking = Asking::Save(file.to_str().unwrap().to_owned());
        window.run_steps(3);
        click(window, "Save");
    };
    ask(&mut window);
    click(&mut window, "Cancel");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert!(window.state().is_unsaved());
    ask(&mut window);
    click(&mut window, "Overwrite");
    assert!(std::fs::read_to_string(&file).unwrap().contains("Dropout"));
    assert!(!window.state().is_unsaved());
}

#[test]
fn every_shipped_scenario_has_a_picture_on_the_start_page() {
    let without: Vec<&str> = shipped().into_iter().map(|(n, _)| n).filter(|n| preview(n).is_none()).collect();
    assert!(without.is_empty(), "assets/previews/make.sh draws none of {without:?}");
}

#[test]
fn a_theme_by_the_command_line_is_not_kept() {
    let mut desk = Desk::new(Settings::default());
    desk.dark = Some(false);
    desk.open("parcel-drop");
    assert!(!desk.shown.as_ref().unwrap().dark && desk.settings.dark);
    // Chosen by hand, it is.
    desk.set_dark(false);
    assert!(!desk.is_dark() && !desk.settings.dark);
}

#[test]
fn what_is_doubtful_in_a_file_is_told_with_its_place_as_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("late.ron");
    let text = "Scenario(format: 1, duration: \"1min\", fleet: [(id: \"a\", thing: \"esp32-weather-node\")],\n  \
                timeline: [(at: \"2h\", do: Fault(target: \"a\", kind: Dropout))])";
    std::fs::write(&file, text).unwrap();
    let mut window = window(Desk::new(Settings::default()));
    window.state_mut().open(file.to_str().unwrap());
    window.run_steps(3);
    assert!(window.state().shown.is_some(), "{:?}", window.state().refused);
    let notice = window.state().notice.clone().expect("it is told");
    assert!(notice.text.contains("beyond the end of the run"), "{notice:?}");
    assert!(notice.text.contains("late.ron:2:19"), "{notice:?}");
    click(&mut window, "close");
    assert_eq!(window.state().notice, None);
}
