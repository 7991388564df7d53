//! The window's frame: menu above, time below, the dock between, dialogs over all.

use super::{
    Pane, acts, alarms,
    desk::{Asked, Asking, Desk, Leave, Refused},
    events, export, files, help, inspector, keys, performance, plots, scene, start,
    theme::{bad, good, weak},
    timebar, traffic, tree,
};
use crate::{
    settings::{Palette, SCALES},
    sim::session::Shared,
    units::Units,
};
use egui::{
    Context, Key, Panel, PopupCloseBehavior, Ui,
    containers::menu::{MenuButton, MenuConfig},
};
use egui_tiles::{Behavior, SimplificationOptions, TileId, Tiles, Tree, UiResponse};
use std::path::{Path, PathBuf};

/// Where the panels are at first.
pub fn layout() -> Tree<Pane> {
    let mut tiles = Tiles::default();
    let mut tabs = |panes: &[Pane]| {
        let ids: Vec<TileId> = panes.iter().map(|p| tiles.insert_pane(*p)).collect();
        tiles.insert_tab_tile(ids)
    };
    let scene = tabs(&[Pane::Scene]);
    let left = tabs(&[Pane::Fleet]);
    let right_above = tabs(&[Pane::Inspector, Pane::Acts]);
    let right_below = tabs(&[Pane::Alarms, Pane::Performance]);
    let below = tabs(&[Pane::Plots, Pane::Traffic, Pane::Events]);
    let middle = tiles.insert_vertical_tile(vec![scene, below]);
    let right = tiles.insert_vertical_tile(vec![right_above, right_below]);
    let root = tiles.insert_horizontal_tile(vec![left, middle, right]);
    for (parent, child, share) in [
        (root, left, 0.55),
        (root, middle, 2.0),
        (root, right, 0.75),
        (middle, scene, 1.0),
        (middle, below, 0.55),
    ] {
        if let Some(egui_tiles::Tile::Container(egui_tiles::Container::Linear(linear))) =
            tiles.get_mut(parent)
        {
            linear.shares.set_share(child, share);
        }
    }
    Tree::new("dock", root, tiles)
}

/// Everything, into the whole of the window.
pub fn show(ui: &mut Ui, desk: &mut Desk, pictures: &start::Pictures) {
    keys::pressed(ui.ctx(), desk);
    dropped(ui.ctx(), desk);
    Panel::top("menu").show(ui, |ui| menu(ui, desk));
    match desk.session.clone() {
        None => {
            desk.scene_rect = egui::Rect::ZERO;
            egui::CentralPanel::default().show(ui, |ui| start::show(ui, desk, pictures));
        }
        Some(session) => {
            let shared = session.shared();
            written(desk, &shared);
            Panel::bottom("time").show(ui, |ui| timebar::show(ui, desk, &shared.left));
            status(ui, desk);
            desk.scene_rect = egui::Rect::ZERO;
            egui::CentralPanel::no_frame().show(ui, |ui| {
                let mut tree = std::mem::replace(&mut desk.tree, Tree::empty("dock"));
                tree.ui(&mut Dock { desk, shared: &shared }, ui);
                desk.tree = tree;
            });
        }
    }
    // Nothing of the run is held any more, so that another one can take its place.
    match desk.asked.take() {
        Some(Asked::Act(act, until)) => desk.act(act, until),
        Some(Asked::Undo) => desk.undo(),
        None => {}
    }
    dialogs(ui.ctx(), desk);
}

/// Writes the plots, where that was asked for.
fn written(desk: &mut Desk, shared: &Shared) {
    let (Some(kind), Some(shown)) = (desk.export.take(), desk.shown.clone()) else { return };
    let all: Vec<plots::Drawn> =
        (0..desk.plots.len()).map(|plot| plots::drawn(desk, &shown, shared, plot)).collect();
    if kind == export::Kind::Png {
        to_front(desk, Pane::Plots);
    }
    export::write(desk, kind, &all);
}

struct Dock<'a> {
    desk: &'a mut Desk,
    shared: &'a Shared,
}

impl Behavior<Pane> for Dock<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _: TileId, pane: &mut Pane) -> UiResponse {
        if *pane == Pane::Scene {
            self.desk.scene_rect = ui.max_rect();
            scene::hand(ui, self.desk);
            scene::bar(ui, self.desk);
            return UiResponse::None;
        }
        ui.painter().rect_filled(ui.max_rect(), 0.0, ui.visuals().panel_fill);
        egui::Frame::NONE.inner_margin(6.0).show(ui, |ui| match pane {
            Pane::Scene => {}
            Pane::Fleet => tree::show(ui, self.desk),
            Pane::Inspector => inspector::show(ui, self.desk, &self.shared.left),
            Pane::Plots => plots::show(ui, self.desk, self.shared),
            Pane::Alarms => alarms::show(ui, self.desk, &self.shared.left),
            Pane::Traffic => traffic::show(ui, self.desk, &self.shared.left),
            Pane::Events => events::show(ui, self.desk, &self.shared.left),
            Pane::Performance => performance::show(ui, self.desk, self.shared),
            Pane::Acts => acts::show(ui, self.desk),
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> egui::WidgetText {
        pane.title().into()
    }

    fn is_tab_closable(&self, tiles: &Tiles<Pane>, tile: TileId) -> bool {
        tiles.get_pane(&tile).is_some_and(|p| *p != Pane::Scene)
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..Default::default() }
    }
}

fn menu(ui: &mut Ui, desk: &mut Desk) {
    egui::MenuBar::new().ui(ui, |ui| {
        ui.menu_button("File", |ui| {
            if ui.button("Open…  Ctrl+O").clicked() {
                desk.asking = Asking::Open(String::new());
                ui.close();
            }
            if ui.button("Follow real devices…  Ctrl+L").clicked() {
                desk.asking = Asking::Follow(String::new(), "mqtt://localhost".to_owned());
                ui.close();
            }
            let anew = ui
                .add_enabled(
                    desk.is_record(),
                    egui::Button::new("Simulate the record's scenario anew  Ctrl+R"),
                )
                .on_hover_text("From here on it can be acted on: a what-if of what was recorded");
            if anew.clicked() {
                desk.leave(Leave::Anew);
                ui.close();
            }
            let running = desk.session.is_some();
            if ui.add_enabled(running, egui::Button::new("Save session…  Ctrl+S")).clicked() {
                desk.asking = Asking::Save(desk.save_path());
                ui.close();
            }
            if ui.add_enabled(running, egui::Button::new("Start page  Ctrl+W")).clicked() {
                desk.leave(Leave::Close);
                ui.close();
            }
            if ui.button("Quit  Ctrl+Q").clicked() {
                desk.leave(Leave::Quit);
                ui.close();
            }
        });
        ui.menu_button("View", |ui| {
            for (name, key) in
                [("overview", "1"), ("top", "2"), ("front", "3"), ("side", "4"), ("alarm", "A")]
            {
                if ui.button(format!("{name}  {key}")).clicked() {
                    desk.view(name);
                    ui.close();
                }
            }
            ui.separator();
            split(ui, desk);
            ui.separator();
            for pane in Pane::ALL {
                let open = desk.tree.tiles.find_pane(&pane).is_some();
                if !open && ui.button(format!("show {}", pane.title())).clicked() {
                    bring_back(desk, pane);
                    ui.close();
                }
            }
            if ui.button("Panels as at first  Ctrl+P").clicked() {
                desk.tree = layout();
                ui.close();
            }
        });
        // More than one thing may be chosen; a click beside it, or Esc, closes it.
        let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
        MenuButton::new("Settings").config(stays).ui(ui, |ui| settings(ui, desk));
        if ui.button("Keys  F1").clicked() {
            desk.help = !desk.help;
        }
        if let Some(shown) = &desk.shown {
            ui.separator();
            let star = if desk.is_unsaved() { " •" } else { "" };
            ui.strong(format!("{}{star}", shown.opened.title));
            ui.add(egui::Label::new(weak(&shown.opened.plan.scenario.about)).truncate());
        }
    });
}

/// Splits the view and joins it again.
fn split(ui: &mut Ui, desk: &mut Desk) {
    let running = desk.session.is_some();
    let keep = ui
        .add_enabled(running, egui::Button::new("keep this beside what comes  V"))
        .on_hover_text("Splits the view: what you do goes to the one half, the other stays as it is");
    if keep.clicked() {
        desk.keep_beside();
        ui.close();
    }
    if ui.add_enabled(running, egui::Button::new("show another one beside it…  Shift+V")).clicked() {
        desk.asking = Asking::Beside(String::new());
        ui.close();
    }
    if ui.add_enabled(desk.beside.is_some(), egui::Button::new("one view  V")).clicked() {
        desk.unsplit();
        ui.close();
    }
}

fn settings(ui: &mut Ui, desk: &mut Desk) {
    let (before, was_dark) = (desk.settings.clone(), desk.is_dark());
    let mut dark = was_dark;
    if ui.checkbox(&mut dark, "dark").on_hover_text("M").changed() {
        desk.set_dark(dark);
    }
    let mut fine = desk.fine();
    let shadows = ui.checkbox(&mut fine, "shadows and reflections");
    if shadows
        .on_hover_text(
            "Shift+M. Off by itself where no graphics card draws: they cost ten times the rest there",
        )
        .changed()
    {
        desk.settings.fine = Some(fine);
    }
    ui.add(egui::Slider::new(&mut desk.settings.scale, SCALES).text("size of everything"))
        .on_hover_text("Ctrl+plus, Ctrl+minus, Ctrl+0");
    ui.horizontal(|ui| {
        ui.label("colours").on_hover_text("K");
        for palette in Palette::ALL {
            ui.selectable_value(&mut desk.settings.palette, palette, palette.name());
        }
    });
    for choice in choices(&mut desk.settings.units) {
        let Choice { name, key, value, all } = choice;
        ui.horizontal(|ui| {
            ui.label(name).on_hover_text(key);
            for unit in all {
                ui.selectable_value(value, (*unit).to_owned(), crate::units::sign(unit));
            }
        });
    }
    if desk.settings != before || desk.is_dark() != was_dark {
        desk.apply_settings();
    }
}

/// What a unit can be chosen for, and from.
pub(super) struct Choice<'a> {
    name: &'static str,
    /// Its key: the next of all.
    key: &'static str,
    pub value: &'a mut String,
    pub all: &'static [&'static str],
}

/// What units can be chosen for.
pub(super) fn choices(units: &mut Units) -> [Choice<'_>; 4] {
    [
        Choice { name: "temperature", key: "U", value: &mut units.temperature, all: &["degC", "degF", "K"] },
        Choice { name: "pressure", key: "Shift+U", value: &mut units.pressure, all: &["hPa", "kPa", "mmHg"] },
        Choice { name: "speed", key: "J", value: &mut units.speed, all: &["m/s", "km/h"] },
        Choice { name: "angle", key: "Shift+J", value: &mut units.angle, all: &["deg", "rad"] },
    ]
}

/// Puts a closed panel beside the others.
fn bring_back(desk: &mut Desk, pane: Pane) {
    let tile = desk.tree.tiles.insert_pane(pane);
    let tabs = desk.tree.tiles.iter().find_map(|(id, tile)| match tile {
        egui_tiles::Tile::Container(egui_tiles::Container::Tabs(tabs))
            if !tabs.children.iter().any(|c| desk.tree.tiles.get_pane(c) == Some(&Pane::Scene)) =>
        {
            Some(*id)
        }
        _ => None,
    });
    if let Some(tabs) = tabs.or(desk.tree.root) {
        desk.tree.move_tile_to_container(tile, tabs, usize::MAX, true);
    }
}

/// A panel's tab comes to the front; one that was closed comes back.
pub(super) fn to_front(desk: &mut Desk, pane: Pane) {
    if desk.tree.tiles.find_pane(&pane).is_none() {
        bring_back(desk, pane);
    }
    desk.tree.make_active(|_, tile| matches!(tile, egui_tiles::Tile::Pane(p) if *p == pane));
}

/// The last thing to tell, in a line above the time bar.
fn status(ui: &mut Ui, desk: &mut Desk) {
    if let Some(Refused { file, text, .. }) = desk.refused.take() {
        desk.tell(format!("{file}: {text}"), true);
    }
    // Its line is there in any case, so that nothing moves as it comes and goes.
    Panel::bottom("status").show(ui, |ui| {
        let Some(notice) = desk.notice.clone() else {
            return drop(ui.horizontal(|ui| {
                ui.label(weak(""));
                ui.add_visible(false, egui::Button::new("close").small());
            }));
        };
        let line = |ui: &mut Ui| {
            let color = if notice.bad { bad(ui) } else { good(ui) };
            ui.colored_label(color, if notice.bad { "✖" } else { "✔" });
            if ui.small_button("close").clicked() {
                desk.notice = None;
            }
            let text = egui::Label::new(egui::RichText::new(&notice.text).monospace()).selectable(true);
            // What went wrong is read in full, whatever room that takes.
            if notice.bad {
                ui.add(text.wrap())
            } else {
                ui.add(text.truncate()).on_hover_text(&notice.text)
            };
        };
        ui.horizontal(line);
    });
}

fn dialogs(ctx: &Context, desk: &mut Desk) {
    let mut open = desk.help;
    help::show(ctx, &mut open);
    desk.help = open;
    match desk.asking.clone() {
        Asking::Nothing => {
            if let Some(how) = desk.leaving.clone() {
                unsaved(ctx, desk, &how);
            }
        }
        Asking::Overwrite(path) => overwrite(ctx, desk, &path),
        Asking::Open(mut file) => {
            let hint = "path of a scenario or a record's folder, or the name of a shipped scenario";
            let answer = ask(ctx, "Open a scenario or a record", "Open", &mut [("", &mut file, hint)]);
            desk.asking = if answer.is_some() { Asking::Nothing } else { Asking::Open(file.clone()) };
            if answer == Some(true) && !file.trim().is_empty() {
                desk.leave(Leave::Open(files::at_home(file.trim())));
            }
        }
        Asking::Follow(mut file, mut broker) => {
            let mut fields = [
                ("scenario", &mut file, "its twins follow: path, or name of a shipped one"),
                ("broker", &mut broker, "mqtt[s]://[user:password@]host[:port]"),
            ];
            let answer = ask(ctx, "Follow real devices", "Follow", &mut fields);
            desk.asking = match answer {
                Some(_) => Asking::Nothing,
                None => Asking::Follow(file.clone(), broker.clone()),
            };
            if answer == Some(true) && !file.trim().is_empty() {
                desk.leave(Leave::Follow(files::at_home(file.trim()), broker.trim().to_owned()));
            }
        }
        Asking::Beside(mut file) => {
            let hint = "path of a scenario or a record's folder, or the name of a shipped scenario";
            let answer = ask(ctx, "Show another one beside it", "Open", &mut [("", &mut file, hint)]);
            desk.asking = if answer.is_some() { Asking::Nothing } else { Asking::Beside(file.clone()) };
            if answer == Some(true) && !file.trim().is_empty() {
                desk.open_beside(&files::at_home(file.trim()));
            }
        }
        Asking::Save(mut file) => {
            let title = if desk.is_live() {
                "Save the scenario whose twins follow: what the devices say is not in it"
            } else {
                "Save the session as a scenario"
            };
            let answer = ask(ctx, title, "Save", &mut [("", &mut file, "path")]);
            desk.asking = if answer.is_some() { Asking::Nothing } else { Asking::Save(file.clone()) };
            if answer == Some(true) && !file.trim().is_empty() {
                let path = PathBuf::from(files::at_home(file.trim()));
                if path.exists() { desk.asking = Asking::Overwrite(path) } else { desk.save(&path) }
            }
        }
    }
}

/// Asks for text, a field a line: its name, what is in it, a hint. Some once it was answered: whether with yes.
fn ask(ctx: &Context, title: &str, word: &str, fields: &mut [(&str, &mut String, &str)]) -> Option<bool> {
    let (mut done, mut away) = (false, false);
    egui::Modal::new(egui::Id::new("ask")).show(ctx, |ui| {
        ui.set_width(460.0);
        ui.heading(title);
        for (at, (name, text, hint)) in fields.iter_mut().enumerate() {
            if !name.is_empty() {
                ui.label(weak(*name));
            }
            let edit = egui::TextEdit::singleline(*text).desired_width(f32::INFINITY).hint_text(*hint);
            let field = ui.add(edit.id_salt(("ask", at)));
            // The first field has the keyboard, until another one is chosen.
            if at == 0 && ui.memory(|m| m.focused().is_none()) {
                field.request_focus();
            }
            if at == 0 && word != "Save" {
                for offer in files::offers(text.trim()) {
                    if ui.selectable_label(false, &offer.label).clicked() {
                        **text = offer.text;
                    }
                }
            }
        }
        done = ui.input(|i| i.key_pressed(Key::Enter));
        ui.horizontal(|ui| {
            done |= ui.button(word).clicked();
            away = ui.button("Cancel").clicked() || ui.input(|i| i.key_pressed(Key::Escape));
        });
    });
    if away {
        return Some(false);
    }
    done.then_some(true)
}

fn unsaved(ctx: &Context, desk: &mut Desk, how: &Leave) {
    egui::Modal::new(egui::Id::new("unsaved")).show(ctx, |ui| {
        ui.heading("What you did is not saved");
        ui.horizontal(|ui| {
            if ui.button("Save…").on_hover_text("What you asked for follows once it is saved").clicked() {
                desk.asking = Asking::Save(desk.save_path());
            }
            if ui.button(format!("{} without saving", how.word())).clicked() {
                desk.leave_unsaved();
            }
            if ui.button("Stay").clicked() || ui.input(|i| i.key_pressed(Key::Escape)) {
                desk.leaving = None;
            }
        });
    });
}

/// A file that is there is written over only by a word of its own.
fn overwrite(ctx: &Context, desk: &mut Desk, path: &Path) {
    egui::Modal::new(egui::Id::new("overwrite")).show(ctx, |ui| {
        ui.set_width(460.0);
        ui.heading("This file is there already");
        ui.add(egui::Label::new(egui::RichText::new(path.display().to_string()).monospace()).wrap());
        ui.horizontal(|ui| {
            if ui.button("Another name…").clicked() {
                desk.asking = Asking::Save(path.display().to_string());
            }
            if ui.button("Overwrite").clicked() {
                desk.asking = Asking::Nothing;
                desk.save(path);
            }
            if ui.button("Cancel").clicked() || ui.input(|i| i.key_pressed(Key::Escape)) {
                desk.asking = Asking::Nothing;
            }
        });
    });
}

fn dropped(ctx: &Context, desk: &mut Desk) {
    let files = ctx.input(|i| i.raw.dropped_files.clone());
    if let Some(path) = files.first().map(|f| f.path().to_owned()) {
        desk.leave(Leave::Open(path.display().to_string()));
    }
}
