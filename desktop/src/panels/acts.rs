//! What a user can do to the world, each an entry of the scenario's timeline.

use super::{
    desk::{Asked, Asking, Desk},
    theme::{scrolled, weak},
};
use crate::{
    fleet::Device,
    sim::act::Act,
    stage::show::{Picked, Shown},
    units::{sign, time},
};
use egui::{ComboBox, Ui};
use std::ops::RangeInclusive;
use twinfleet_engine::{
    scenario::OUTDOORS,
    signal::Kind,
    time::{SimTime, Span},
};

/// A kind of fault: its name, what its figure is, and how a scenario writes it.
pub type Fault = (&'static str, &'static str, fn(f64) -> String);

/// Kinds of faults.
pub const FAULTS: [Fault; 14] = [
    ("stuck", "", |_| "Stuck".to_owned()),
    ("bias", "offset", |x| format!("Bias(by: {x:?})")),
    ("drift", "growth per hour", |x| format!("Drift(per_h: {x:?})")),
    ("gain", "factor", |x| format!("Gain(factor: {x:?})")),
    ("spike", "size", |x| format!("Spike(by: {x:?})")),
    ("noise", "standard deviation", |x| format!("Noise(std: {x:?})")),
    ("dropout (device)", "", |_| "Dropout".to_owned()),
    ("clock skew (device)", "ppm", |x| format!("ClockSkew(ppm: {x:?})")),
    ("loose contact", "mean time open, [s]", |x| {
        let [open, closed] = [x, 3.0 * x].map(Span::from_secs_f64);
        format!("Intermittent(open: \"{open}\", closed: \"{closed}\")")
    }),
    ("bus lock-up", "", |_| "BusLockUp".to_owned()),
    ("ADC reference (device)", "relative error", |x| format!("AdcReference(by: {x:?})")),
    ("self-heating", "rise, [K]", |x| format!("SelfHeating(by: {x:?}, tau: \"10min\")")),
    ("dust", "share lost a day", |x| format!("Dust(per_day: {x:?})")),
    ("condensation (device)", "time to dry, [min]", |x| {
        format!("Condensation(recover: \"{}\")", Span::from_secs_f64(60.0 * x))
    }),
];

/// What a fault's figure may be.
fn reach(fault: &str) -> RangeInclusive<f64> {
    match fault {
        "noise" => 0.0..=f64::INFINITY,
        "loose contact" | "condensation (device)" => 0.1..=1e6,
        "ADC reference (device)" => -0.5..=1.0,
        "dust" => 0.0..=0.99,
        _ => f64::NEG_INFINITY..=f64::INFINITY,
    }
}

/// Kinds of acts, in the order of their keys.
pub const KINDS: [&str; 8] = [
    "Inject a fault",
    "Open a door",
    "Command an actuator by hand",
    "Set a desired state",
    "Set what a part finds",
    "Cut a link, or the broker",
    "Carry a device elsewhere",
    "Change the weather",
];

/// All links at once, by what they lead to.
const BROKER: &str = "the broker";

/// Figures of the weather: the scenario's key, what it is, unit, range, and what it begins with.
const WEATHER: [(&str, &str, &str, RangeInclusive<f64>, f64); 6] = [
    ("temperature_c", "temperature", "degC", -60.0..=60.0, 0.0),
    ("dew_point_c", "dew point", "degC", -60.0..=40.0, 0.0),
    ("wind_m_s", "wind", "m/s", 0.0..=60.0, 10.0),
    ("cloud", "cloud cover", "", 0.0..=1.0, 1.0),
    ("rain_mm_h", "rain", "mm/h", 0.0..=200.0, 5.0),
    ("pressure_hpa", "pressure at sea level", "hPa", 850.0..=1100.0, 990.0),
];

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk) {
    scrolled(ui, |ui| form(ui, desk));
}

fn form(ui: &mut Ui, desk: &mut Desk) {
    let Some(shown) = desk.shown.clone() else { return };
    let kind = desk.form.what.min(KINDS.len() - 1);
    ComboBox::from_id_salt("act").selected_text(KINDS[kind]).width(190.0).show_ui(ui, |ui| {
        for (k, name) in KINDS.iter().enumerate() {
            ui.selectable_value(&mut desk.form.what, k, *name);
        }
    });
    let act = match desk.form.what {
        0 => fault(ui, desk, &shown),
        1 => door(ui, desk, &shown),
        2 => command(ui, desk, &shown),
        3 => desire(ui, desk, &shown),
        4 => set(ui, desk, &shown),
        6 => carry(ui, desk, &shown),
        7 => weather(ui, desk, &shown),
        _ => link(ui, desk, &shown),
    };
    // What is commanded or desired has no end of its own.
    let ends = !matches!(desk.form.what, 2 | 3);
    if ends {
        ui.horizontal(|ui| {
            ui.label("for");
            let field = egui::TextEdit::singleline(&mut desk.form.lasting).desired_width(70.0);
            ui.add(field.hint_text("for good"))
                .on_hover_text("As scenarios write it: 10min, 90s; empty: for good");
        });
    } else {
        ui.label(weak("until it is commanded otherwise"));
    }
    let until = if ends { until(desk) } else { Ok(None) };
    let ready = act.is_some() && until.is_ok();
    ui.horizontal(|ui| {
        let now = desk.tick_now();
        let button = ui.add_enabled(ready, egui::Button::new(format!("Do it at {}", time(now))));
        let button = button.on_hover_text("F5");
        let by_key = std::mem::take(&mut desk.do_it);
        if let (true, Some(act), Ok(until)) = (button.clicked() || by_key, act, &until) {
            desk.asked = Some(Asked::Act(act, *until));
        } else if by_key {
            desk.tell("the act is not filled in: see the panel Act".to_owned(), true);
        }
        if ui.add_enabled(!desk.done.is_empty(), egui::Button::new("Undo")).on_hover_text("Ctrl+Z").clicked()
        {
            desk.asked = Some(Asked::Undo);
        }
        if ui.button("Save…").on_hover_text("The session as a scenario that replays (Ctrl+S)").clicked() {
            desk.asking = Asking::Save(desk.save_path());
        }
    });
    if let Err(error) = &until {
        ui.label(weak(error));
    }
    ui.separator();
    ui.label(weak("Done in this session"));
    let mut back = None;
    for done in &desk.done {
        ui.horizontal(|ui| {
            if ui.small_button("⏵").on_hover_text("Go there").clicked() {
                back = Some(done.at);
            }
            let until = done.until.map_or_else(String::new, |t| format!(" to {}", time(t)));
            ui.label(format!("{}{until}: {}", time(done.at), done.act.title()));
        });
    }
    if let Some(t) = back {
        desk.go_to(t);
    }
}

/// Until when an act lasts, as it is filled in; none: for good.
fn until(desk: &Desk) -> Result<Option<SimTime>, String> {
    match desk.form.lasting.trim() {
        "" => Ok(None),
        lasting => {
            let span = lasting.parse::<Span>().map_err(|error| error.to_string())?;
            Ok(Some(desk.tick_now() + span))
        }
    }
}

/// Puts in the fault that the panel has, at the selected device; by its key, without the panel.
pub fn by_key(desk: &mut Desk) {
    let Some(shown) = desk.shown.clone() else { return };
    let Some(device) = device(&shown) else {
        desk.tell("select a device first".to_owned(), true);
        return;
    };
    let all = readings(&shown, device);
    let part =
        if all.contains(&desk.form.part) { Some(desk.form.part.clone()) } else { all.first().cloned() };
    let until = match until(desk) {
        Ok(until) => until,
        Err(error) => return desk.tell(format!("how long it lasts: {error}"), true),
    };
    match target(&shown, device, desk.form.fault, part.as_deref()) {
        Some(target) => {
            let (name, _, write) = FAULTS[desk.form.fault.min(FAULTS.len() - 1)];
            let (low, high) = reach(name).into_inner();
            let kind = write(desk.form.size.clamp(low, high));
            desk.act(Act::Fault { target, kind }, until);
        }
        None => desk.tell("it has no reading that could go wrong".to_owned(), true),
    }
}

/// What a device reads or reports, `part.quantity`.
fn readings(shown: &Shown, device: usize) -> Vec<String> {
    let plan = &shown.opened.plan;
    let channels = shown.fleet.signals(plan, device).into_iter().map(|s| plan.signals.channel(s));
    channels.filter(|c| matches!(c.kind, Kind::Reading | Kind::Reported)).map(|c| c.name.clone()).collect()
}

/// The sign of the unit that a scenario writes figures of a device's signal in.
fn written_in<'a>(shown: &'a Shown, device: usize, part: &str) -> &'a str {
    let plan = &shown.opened.plan;
    let mut channels = shown.fleet.signals(plan, device).into_iter().map(move |s| plan.signals.channel(s));
    let own = channels.find(|c| matches!(c.kind, Kind::Reading | Kind::Reported) && c.name == part);
    own.map_or("", |c| sign(&c.unit))
}

/// What a fault is aimed at: the device alone, a part's every signal, or one.
fn target(shown: &Shown, device: usize, fault: usize, part: Option<&str>) -> Option<String> {
    let id = &shown.fleet.devices[device].id;
    let name = FAULTS[fault.min(FAULTS.len() - 1)].0;
    if name.ends_with("(device)") {
        return Some(id.clone());
    }
    let target = format!("{id}/{}", part.filter(|p| !p.is_empty())?);
    let whole_part = matches!(name, "loose contact" | "bus lock-up");
    Some(
        target
            .rsplit_once('.')
            .filter(|_| whole_part)
            .map_or(target.clone(), |(part, _)| format!("{part}.*")),
    )
}

fn device(shown: &Shown) -> Option<usize> {
    match shown.picked {
        Some(Picked::Device(device)) => Some(device),
        _ => None,
    }
}

fn fault(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let Some(device) = device(shown) else {
        ui.label(weak("Select a device first."));
        return None;
    };
    let id = &shown.fleet.devices[device].id;
    ui.label(id);
    let at = desk.form.fault.min(FAULTS.len() - 1);
    ComboBox::from_id_salt("fault").selected_text(FAULTS[at].0).show_ui(ui, |ui| {
        for (k, (name, _, _)) in FAULTS.iter().enumerate() {
            ui.selectable_value(&mut desk.form.fault, k, *name);
        }
    });
    let (name, figure, write) = FAULTS[desk.form.fault.min(FAULTS.len() - 1)];
    if !name.ends_with("(device)") {
        let all = readings(shown, device);
        choose(ui, "signal", &mut desk.form.part, &all);
    }
    if !figure.is_empty() {
        ui.horizontal(|ui| {
            let range = reach(name);
            let speed = if range.end() - range.start() > 2.0 { 0.1 } else { 0.01 };
            ui.add(egui::DragValue::new(&mut desk.form.size).speed(speed).range(range));
            // What a scenario is written in, whatever the units of choice.
            let unit = match name {
                "bias" | "drift" | "spike" | "noise" => written_in(shown, device, &desk.form.part),
                _ => "",
            };
            ui.label(weak(if unit.is_empty() { figure.to_owned() } else { format!("{figure}, [{unit}]") }));
        });
    }
    let target = target(shown, device, desk.form.fault, Some(&desk.form.part))?;
    Some(Act::Fault { target, kind: write(desk.form.size) })
}

fn door(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let zones: Vec<String> = shown.opened.plan.scenario.world.zones.iter().map(|z| z.id.clone()).collect();
    if zones.is_empty() {
        ui.label(weak("This scenario has no zones."));
        return None;
    }
    if let Some(Picked::Zone(zone)) = shown.picked {
        desk.form.part.clone_from(&zones[zone]);
    }
    choose(ui, "zone", &mut desk.form.part, &zones);
    // What is selected is what is meant: another zone that is chosen is selected, too.
    if let Some(Picked::Zone(zone)) = shown.picked
        && desk.form.part != zones[zone]
    {
        let chosen = zones.iter().position(|z| *z == desk.form.part);
        desk.pick(chosen.map(Picked::Zone));
    }
    ui.horizontal(|ui| {
        ui.add(egui::DragValue::new(&mut desk.form.size).speed(0.5).range(0.0..=1000.0));
        ui.label(weak("air changes an hour"));
    });
    let zone = desk.form.part.clone();
    Some(Act::Door { zone, air_changes_per_h: desk.form.size.max(0.0), heat_w: 0.0 })
}

fn command(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let (target, level) = level(ui, desk, actuators(shown, |_, _| true), "This scenario has no actuators.")?;
    Some(Act::Command { target, level })
}

fn desire(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let none = "No device here runs a firmware that takes commands.";
    let (target, level) = level(ui, desk, actuators(shown, |device, part| takes(shown, device, part)), none)?;
    ui.label(weak(
        "It is published on the command's topic: a device that is asleep or off the network hears it late or never.",
    ));
    Some(Act::Desire { target, level })
}

/// Whether a device's firmware takes commands for a part.
fn takes(shown: &Shown, device: &Device, part: &str) -> bool {
    let firmware = device.group.and_then(|g| shown.opened.plan.groups[g].firmware.as_ref());
    firmware.is_some_and(|f| f.commands.iter().any(|c| c.part == part))
}

/// Actuators that are so, `device/part`; those of the selected device first.
fn actuators(shown: &Shown, is: impl Fn(&Device, &str) -> bool) -> Vec<String> {
    let picked = device(shown);
    let rest = (0..shown.fleet.devices.len()).filter(|d| Some(*d) != picked);
    let mut all: Vec<String> = Vec::new();
    for device in picked.into_iter().chain(rest).map(|d| &shown.fleet.devices[d]) {
        let acts = device.parts.iter().filter(|p| p.level.is_some() && is(device, &p.id));
        all.extend(acts.map(|p| format!("{}/{}", device.id, p.id)));
    }
    all
}

/// One of these actuators, and a level for it.
fn level(ui: &mut Ui, desk: &mut Desk, all: Vec<String>, none: &str) -> Option<(String, f64)> {
    if all.is_empty() {
        ui.label(weak(none));
        return None;
    }
    choose(ui, "actuator", &mut desk.form.part, &all);
    let mut percent = (desk.form.size.clamp(0.0, 1.0)) * 100.0;
    if ui.add(egui::Slider::new(&mut percent, 0.0..=100.0).suffix(" %")).changed() || desk.form.size > 1.0 {
        desk.form.size = percent / 100.0;
    }
    Some((desk.form.part.clone(), desk.form.size.clamp(0.0, 1.0)))
}

fn set(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let Some(device) = device(shown) else {
        ui.label(weak("Select a device first."));
        return None;
    };
    let plan = &shown.opened.plan;
    let ids = shown.fleet.signals(plan, device);
    let readings = ids.into_iter().map(|s| plan.signals.channel(s)).filter(|c| c.kind == Kind::Reading);
    let all: Vec<String> = readings.map(|c| c.name.clone()).collect();
    if all.is_empty() {
        ui.label(weak("It has no simulated sensor."));
        return None;
    }
    choose(ui, "signal", &mut desk.form.part, &all);
    let unit = written_in(shown, device, &desk.form.part);
    ui.add(egui::DragValue::new(&mut desk.form.size).speed(0.1).suffix(format!(" {unit}")));
    let target = format!("{}/{}", shown.fleet.devices[device].id, desk.form.part);
    Some(Act::Set { target, to: desk.form.size })
}

fn link(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let links = shown.opened.plan.scenario.links.iter().map(|l| l.id.clone());
    let all: Vec<String> = links.chain([BROKER.to_owned()]).collect();
    choose(ui, "link", &mut desk.form.part, &all);
    if desk.form.part == BROKER {
        ui.label(weak(
            "A run in this window has no broker that could be cut: every device falls silent instead, as a dropout of each; \
             commands still reach them.",
        ));
        return Some(Act::Fault { target: "*".to_owned(), kind: "Dropout".to_owned() });
    }
    Some(Act::LinkDown { link: desk.form.part.clone() })
}

fn carry(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    let device = device(shown).filter(|d| shown.fleet.devices[*d].group.is_some());
    let Some(device) = device else {
        ui.label(weak("Select a simulated device first."));
        return None;
    };
    let target = shown.fleet.devices[device].id.clone();
    ui.label(&target);
    let zones = shown.opened.plan.scenario.world.zones.iter().map(|z| z.id.clone());
    let all: Vec<String> = zones.chain([OUTDOORS.to_owned()]).collect();
    choose(ui, "to", &mut desk.form.part, &all);
    Some(Act::Move { target, to: desk.form.part.clone() })
}

fn weather(ui: &mut Ui, desk: &mut Desk, shown: &Shown) -> Option<Act> {
    if shown.opened.plan.scenario.world.weather.is_none() {
        ui.label(weak("This scenario has no weather."));
        return None;
    }
    let named = &mut desk.form.weather;
    named.resize(WEATHER.len(), None);
    egui::Grid::new("weather").num_columns(2).show(ui, |ui| {
        for ((_, name, unit, range, first), value) in WEATHER.iter().zip(named.iter_mut()) {
            let mut on = value.is_some();
            if ui.checkbox(&mut on, *name).changed() {
                *value = on.then_some(*first);
            }
            match value {
                // What a scenario is written in, whatever the units of choice: it is a line of a file.
                Some(x) => {
                    let drag = egui::DragValue::new(x).speed(0.1).range(range.clone());
                    ui.add(drag.suffix(format!(" {}", sign(unit))));
                }
                None => {
                    ui.label(weak("as it would be"));
                }
            }
            ui.end_row();
        }
    });
    let figures: Vec<(&'static str, f64)> =
        WEATHER.iter().zip(named.iter()).filter_map(|((key, ..), x)| Some((*key, (*x)?))).collect();
    (!figures.is_empty()).then_some(Act::Weather { figures })
}

/// A choice of names, of which one is always chosen.
fn choose(ui: &mut Ui, salt: &str, chosen: &mut String, all: &[String]) {
    if !all.contains(chosen) {
        *chosen = all.first().cloned().unwrap_or_default();
    }
    ComboBox::from_id_salt(salt).selected_text(chosen.as_str()).width(190.0).show_ui(ui, |ui| {
        for name in all {
            ui.selectable_value(chosen, name.clone(), name);
        }
    });
}
