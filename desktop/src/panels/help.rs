//! The keys.

use egui::{Context, Grid, ScrollArea, Window, vec2};

/// Every key and what it does.
pub const KEYS: [(&str, &str); 48] = [
    ("Space", "play, pause"),
    ("→  ←", "one tick on, back"),
    ("Shift+→  Shift+←", "a hundred ticks on, back"),
    ("N  P", "to the next, previous fault, alarm, act or bookmark"),
    ("Home  End", "to the start, to the end"),
    ("+  −", "faster, slower"),
    ("B", "bookmark this instant, or take its bookmark away"),
    ("F", "look at what is selected; at all, if nothing is"),
    ("1  2  3  4", "overview, top, front, side"),
    ("A", "look at what is most wrong"),
    ("W  S  D  E  Q  R", "pan forward, back, left, right; turn left, right"),
    ("Page up  Page down", "closer, farther"),
    ("drag", "orbit; with the right or middle button, or Shift, pan"),
    ("wheel", "closer, farther"),
    ("click", "select; a double click looks closely"),
    ("]  [", "select the next, the previous device"),
    ("Tab", "to the fleet, to what comes next; in the fleet ↑ ↓ choose, ← → fold, Enter looks closely"),
    ("Ctrl+1 … Ctrl+9", "a panel to the front, in the order of the menu View"),
    ("Alt+1 … Alt+8", "choose an act, in the order of its list"),
    ("F5", "do the act that is filled in"),
    ("F4", "put in, at the selected device, the fault that the panel Act has"),
    ("Esc", "select nothing; close what is open"),
    ("C", "next field to colour by"),
    ("L", "links: messages, all, none"),
    ("G", "twins on and off"),
    ("T", "names on and off"),
    ("V", "split the view: keep this beside what comes of it; one view again"),
    ("Shift+V", "show another scenario or record beside this one"),
    (",  .", "the previous, the next signal of the selected device or zone"),
    ("I", "put that signal on the last plot, or take it off; of another device, its signal of that name"),
    ("Y  Shift+Y", "one plot more, the last one away"),
    ("H", "legend on and off"),
    ("X", "in the fleet, only what is wrong"),
    ("F6  F7  F8", "write the plots as CSV, as SVG, as PNG"),
    ("U  Shift+U", "next unit of temperatures, of pressures"),
    ("J  Shift+J", "next unit of speeds, of angles"),
    ("K", "next colours of figures"),
    ("M  Shift+M", "dark, light; shadows and reflections on and off"),
    ("Ctrl++  Ctrl+−  Ctrl+0", "everything larger, smaller, as it was"),
    ("Ctrl+O", "open a scenario or a record"),
    ("Ctrl+L", "follow real devices"),
    ("Ctrl+R", "simulate the scenario of a record anew, to act on it"),
    ("Ctrl+P", "the panels as at first"),
    ("Ctrl+W", "to the start page"),
    ("Ctrl+F", "search the fleet"),
    ("Ctrl+S", "save the session as a scenario"),
    ("Ctrl+Z", "take back the last act"),
    ("F1  Ctrl+Q", "this list; quit"),
];

/// The list, in a window of its own.
pub fn show(ctx: &Context, open: &mut bool) {
    // What the window has no room for, as it is small or everything in it large, is scrolled to.
    let room = (ctx.viewport_rect().size() - vec2(60.0, 90.0)).max(vec2(120.0, 80.0));
    let list = Window::new("Keys").open(open).resizable(false).collapsible(false).default_size(room);
    list.show(ctx, |ui| {
        ScrollArea::both().max_width(room.x).max_height(room.y).show(ui, |ui| {
            Grid::new("keys").num_columns(2).striped(true).show(ui, |ui| {
                for (key, does) in KEYS {
                    ui.monospace(key);
                    ui.label(does);
                    ui.end_row();
                }
            });
        });
    });
}
