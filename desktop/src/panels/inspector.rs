//! One device or zone: board, pins, parts, power, radio, twin, what its firmware said, all its signals.

use super::{
    alarms,
    desk::Desk,
    theme::{ink, scrolled, weak},
};
use crate::{
    fleet::of_zone,
    sim::{left::Left, traffic::FEW},
    stage::{
        halos::class_color,
        overlay::{color32, says},
        show::{Picked, Shown},
    },
    units::time,
};
use egui::{CollapsingHeader, Grid, Ui};
use std::sync::Arc;
use twinfleet_engine::{
    catalog::WireDef,
    scenario::OUTDOORS,
    signal::{Kind, SignalId},
    time::SimTime,
};

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    let kept = desk.beside.as_ref().filter(|_| desk.of_beside);
    let Some((kept, session)) = kept.map(|b| ((b.title.clone(), b.shown.clone()), b.session.clone())) else {
        if desk.beside.is_some() {
            ui.label(weak(format!("of the right half: {}", desk.title())));
        }
        return desk.shown.clone().into_iter().for_each(|shown| told(ui, desk, &shown, left));
    };
    let (title, shown) = kept;
    ui.label(weak(format!("of the left half: {title}")));
    // Until something is done both halves are one run, which the window holds already.
    if desk.session.as_ref().is_some_and(|own| Arc::ptr_eq(own, &session)) {
        told(ui, desk, &shown, left);
    } else {
        told(ui, desk, &shown, &session.shared().left);
    }
}

fn told(ui: &mut Ui, desk: &mut Desk, shown: &Shown, left: &Left) {
    scrolled(ui, |ui| match shown.picked {
        None => {
            ui.label(weak("Click a board, a room or a line of the fleet."));
        }
        Some(Picked::Zone(zone)) => self::zone(ui, desk, shown, zone),
        Some(Picked::Device(device)) => self::device(ui, desk, shown, left, device),
    });
}

fn zone(ui: &mut Ui, desk: &mut Desk, shown: &Shown, zone: usize) {
    let plan = &shown.opened.plan;
    let def = &plan.scenario.world.zones[zone];
    ui.heading(&def.id);
    let devices = (0..shown.fleet.devices.len()).filter(|d| shown.zone(*d) == Some(zone)).count();
    ui.label(format!("zone with {devices} devices"));
    if def.volume_m3 > 0.0 {
        ui.label(format!("{} m³ of air", def.volume_m3));
    }
    spells(ui, shown, &def.id);
    signals(ui, desk, shown, "Air", &of_zone(plan, zone));
}

fn device(ui: &mut Ui, desk: &mut Desk, shown: &Shown, left: &Left, index: usize) {
    let plan = &shown.opened.plan;
    let device = &shown.fleet.devices[index];
    ui.horizontal(|ui| {
        ui.heading(&device.id);
        if ui.small_button("⌖").on_hover_text("Look at it (F)").clicked() {
            desk.frame(Some(Picked::Device(index)));
        }
    });
    if let Some(thing) = &device.thing {
        ui.label(if thing.about.is_empty() { &thing.name } else { &thing.about });
    }
    spells(ui, shown, &device.id);
    Grid::new("facts").num_columns(2).striped(true).show(ui, |ui| {
        let mut fact = |name: &str, value: String| {
            ui.label(weak(name));
            ui.label(value);
            ui.end_row();
        };
        if let Some(thing) = &device.thing {
            fact("thing", thing.name.clone());
            if let Some(board) = thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b)) {
                fact("board", format!("{} ({} V)", board.name, board.logic_v));
            }
        }
        let name = |zone: Option<usize>| zone.map_or(OUTDOORS, |z| plan.scenario.world.zones[z].id.as_str());
        let zone = name(device.zone);
        fact(
            "zone",
            match shown.carried.get(&index) {
                Some(carried) => format!("{} (carried there from {zone})", name(carried.zone)),
                None => zone.to_owned(),
            },
        );
        if let Some(link) = &device.link {
            fact("link", link.clone());
        }
        if let Some(group) = device.group {
            let power = match &plan.groups[group].power {
                twinfleet_engine::catalog::PowerDef::Mains => "mains".to_owned(),
                twinfleet_engine::catalog::PowerDef::Battery { capacity_mah, .. } => {
                    format!("battery, {capacity_mah} mAh")
                }
                twinfleet_engine::catalog::PowerDef::Pack {
                    cell,
                    series,
                    parallel,
                    regulator,
                    solar,
                    ..
                } => {
                    let mut text = format!("{series}s{parallel}p {cell}");
                    text += &regulator.as_ref().map_or_else(String::new, |r| format!(", {r}"));
                    text + if solar.is_some() { ", solar" } else { "" }
                }
            };
            fact("power", power);
            if let Some(firmware) = &plan.groups[group].firmware {
                fact("wakes every", firmware.period.to_string());
                for publish in &firmware.publish {
                    fact("publishes", format!("{} (QoS {})", publish.topic, publish.qos));
                }
                for command in &firmware.commands {
                    fact("commanded by", format!("{} → {}", command.topic, command.part));
                }
            }
        }
        let sent = device.ordinal.and_then(|o| shown.frame.sent.get(o as usize).copied());
        if let Some(sent) = sent.filter(|t| *t <= shown.t) {
            fact("last message", format!("{:#} ago", shown.t - sent));
        }
    });
    parts(ui, shown, index);
    let ids = shown.fleet.signals(plan, index);
    let of = |kinds: &[Kind]| -> Vec<SignalId> {
        ids.iter().filter(|id| kinds.contains(&plan.signals.channel(**id).kind)).copied().collect()
    };
    signals(ui, desk, shown, "Readings", &of(&[Kind::Reading, Kind::Reported]));
    signals(ui, desk, shown, "Truth", &of(&[Kind::Truth]));
    signals(ui, desk, shown, "Twin", &of(&[Kind::Estimate, Kind::Residual, Kind::Verdict]));
    signals(ui, desk, shown, "Forecasts", &of(&[Kind::Forecast]));
    log(ui, shown, left, index);
}

fn spells(ui: &mut Ui, shown: &Shown, id: &str) {
    for spell in shown.spells.iter().filter(|s| s.subject == id) {
        let text = format!("⚠ {} since {}", says(spell), time(spell.from));
        ui.colored_label(ink(ui, color32(class_color(spell.class))), text);
    }
}

fn parts(ui: &mut Ui, shown: &Shown, index: usize) {
    let device = &shown.fleet.devices[index];
    let Some(thing) = device.thing.as_ref().filter(|t| !t.parts.is_empty()) else { return };
    CollapsingHeader::new("Parts and pins").default_open(true).show(ui, |ui| {
        Grid::new("parts").num_columns(3).striped(true).show(ui, |ui| {
            for (part, def) in device.parts.iter().zip(&thing.parts) {
                ui.label(&part.id);
                let catalog = &shown.opened.plan.catalog;
                let sensor = catalog.sensors.get(&part.model).map(|s| s.about.as_str());
                let about = sensor.or_else(|| catalog.actuators.get(&part.model).map(|a| a.about.as_str()));
                ui.label(&part.model).on_hover_text(about.unwrap_or_default());
                ui.label(match &def.on {
                    WireDef::I2c(address) => format!("I²C {address:#04x}"),
                    WireDef::Spi(select) => format!("SPI, CS {select}"),
                    WireDef::Pin(pin) => pin.clone(),
                    WireDef::Pins(pins) => pins.join(", "),
                    WireDef::Internal => "on the chip".to_owned(),
                });
                ui.end_row();
            }
        });
    });
}

/// Signals with their figures; each can be clicked or dragged onto a plot.
fn signals(ui: &mut Ui, desk: &mut Desk, shown: &Shown, title: &str, ids: &[SignalId]) {
    if ids.is_empty() {
        return;
    }
    CollapsingHeader::new(title).default_open(title != "Forecasts").show(ui, |ui| {
        Grid::new(("signals", title)).num_columns(3).min_col_width(0.0).striped(true).show(ui, |ui| {
            for id in ids {
                // Plots are of what is worked with: a signal of the half beside is there by its name.
                let plotted = match (desk.of_beside, &desk.shown) {
                    (true, Some(own)) => own.opened.plan.signals.find(&shown.opened.plan.signals.name(*id)),
                    _ => Some(*id),
                };
                let c = shown.opened.plan.signals.channel(*id);
                let on = plotted.is_some_and(|id| desk.plots.iter().any(|p| p.contains(&id)));
                let name = if title == "Twin" { format!("{} {}", c.name, c.kind) } else { c.name.clone() };
                let mark = if on { "📈" } else { "+" };
                let button = ui.small_button(mark).on_hover_text("Plot it, or take it off (I)");
                if let (true, Some(id)) = (button.clicked(), plotted) {
                    desk.plot_signal(id);
                }
                // What keys have chosen is marked.
                let chosen = plotted.is_some() && desk.signal == plotted;
                let name = egui::RichText::new(name);
                let name = if chosen { name.strong().underline() } else { name };
                match plotted {
                    Some(id) => {
                        ui.dnd_drag_source(ui.id().with(id.0), id, |ui| ui.label(name))
                            .response
                            .on_hover_text("Drag it onto a plot");
                    }
                    None => drop(ui.label(name)),
                }
                ui.label(shown.figure(*id).unwrap_or_else(|| "–".to_owned()));
                ui.end_row();
            }
        });
    });
}

/// What happened to it and what it said, the last first.
fn log(ui: &mut Ui, shown: &Shown, left: &Left, index: usize) {
    let device = &shown.fleet.devices[index];
    CollapsingHeader::new("Firmware log").default_open(true).show(ui, |ui| {
        let mut lines: Vec<(SimTime, String)> = Vec::new();
        let own = left.traffic.until(shown.t).rev().filter(|h| Some(h.message.publisher) == device.ordinal);
        for heard in own.take(FEW) {
            let payload = String::from_utf8_lossy(&heard.message.payload).into_owned();
            lines.push((heard.message.sent, format!("→ {}  {payload}", heard.message.topic)));
        }
        let events = left.events.iter().filter(|e| e.subject == device.id && e.t <= shown.t);
        for event in events.rev().take(20) {
            lines.push((event.t, format!("{} {} {}", event.kind, event.part, alarms::detail(shown, event))));
        }
        lines.sort_by_key(|(t, _)| std::cmp::Reverse(*t));
        for (t, text) in lines.into_iter().take(24) {
            ui.horizontal(|ui| {
                ui.label(weak(time(t)));
                ui.add(egui::Label::new(text).truncate());
            });
        }
    });
}
