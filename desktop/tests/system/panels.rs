//! The panels as a user meets them: found by their labels, clicked, typed into; no graphics.

#[path = "panels/acts.rs"]
mod acts;
#[path = "panels/files.rs"]
mod files;
#[path = "panels/keys.rs"]
mod keys;
#[path = "panels/plots.rs"]
mod plots;
#[path = "panels/told.rs"]
mod told;

use egui::accesskit::Role;
use egui_kittest::{
    Harness,
    kittest::{Queryable, by},
};
use twinfleet_desktop::{
    panels::{desk::Desk, shell, start::Pictures},
    settings::Settings,
    sim::act::Act,
};

/// The whole window's panels over a desk.
pub fn window(desk: Desk) -> Harness<'static, Desk> {
    let show = |ui: &mut egui::Ui, desk: &mut Desk| {
        desk.advance(0.016);
        shell::show(ui, desk, &Pictures::new());
    };
    let mut window = Harness::builder().with_size([1600.0, 1000.0]).build_ui_state(show, desk);
    window.run_steps(3);
    window
}

fn click(window: &mut Harness<'_, Desk>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

/// Chooses from a list whose button shows this now.
fn choose(window: &mut Harness<'_, Desk>, now: &str, wanted: &str) {
    let button = by().role(Role::ComboBox).predicate(|n| n.value().is_some_and(|v| v == now));
    window.get(button).click();
    window.run_steps(3);
    click(window, wanted);
}

/// A desk that shows this scenario, with its devices and signals.
fn opened(name: &str) -> Desk {
    let mut desk = Desk::new(Settings::default());
    desk.open(name);
    assert_eq!(desk.refused, None);
    desk
}

/// A desk whose run was acted on.
fn acted() -> Desk {
    let mut desk = Desk::new(Settings::default());
    desk.open("parcel-drop");
    let device = desk.shown.as_ref().unwrap().fleet.devices[0].id.clone();
    desk.act(Act::Fault { target: device, kind: "Dropout".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk
}
