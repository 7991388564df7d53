//! Signals over time: physical, twin, forecast band, residual; with the cursor of what is shown, marks of faults and alarms, and
//! export.

use super::{desk::Desk, export, theme::weak};
use crate::{
    sim::{
        session::Shared,
        spell::{Class, Spell},
    },
    stage::{overlay::color32, refresh::class_color, show::Shown},
    units::sign,
};
use egui::{Color32, ScrollArea, Ui};
use egui_plot::{CoordinatesFormatter, Corner, FilledArea, Legend, Line, Plot, PlotPoints, Span, VLine};
use twinfleet_engine::{
    signal::{Kind, SignalId},
    time::SimTime,
};

/// Okabe and Ito's colours, for lines.
const LINES: [[u8; 3]; 7] = [
    [0x56, 0xb4, 0xe9],
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    [0xf0, 0xe4, 0x42],
    [0xcc, 0x79, 0xa7],
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
];

/// A series that is ready to be drawn, in the units of choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Unit sign.
    pub unit: String,
    /// Time [s], value.
    pub points: Vec<[f64; 2]>,
    /// Smallest and largest within each stretch, where it was sampled coarsely.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
}

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, shared: &Shared) {
    let Some(shown) = desk.shown.clone() else { return };
    ui.horizontal(|ui| {
        if ui.button("+ plot").on_hover_text("One more plot below").clicked() {
            desk.plots.push(Vec::new());
        }
        if let Some(device) = picked_device(&shown)
            && ui.button("plot what is selected").clicked()
        {
            desk.plots.push(of_device(&shown, device));
        }
        for kind in export::Kind::ALL {
            if ui
                .button(kind.name())
                .on_hover_text("Write all plots into a file beside the scenario")
                .clicked()
            {
                let all: Vec<Vec<Series>> = desk
                    .plots
                    .iter()
                    .map(|ids| ids.iter().map(|id| series(&shown, shared, *id)).collect())
                    .collect();
                export::write(desk, kind, &all);
            }
        }
    });
    let plots = desk.plots.len().max(1);
    let height = ((ui.available_height() - 6.0) / plots as f32 - 24.0).max(110.0);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let mut gone = None;
        for plot in 0..desk.plots.len() {
            if one(ui, desk, &shown, shared, plot, height) {
                gone = Some(plot);
            }
        }
        if let Some(plot) = gone {
            desk.plots.remove(plot);
        }
    });
}

/// One plot; whether it is to go.
fn one(ui: &mut Ui, desk: &mut Desk, shown: &Shown, shared: &Shared, plot: usize, height: f32) -> bool {
    let mut gone = false;
    ui.horizontal(|ui| {
        gone = ui.small_button("✖").on_hover_text("Take this plot away").clicked();
        let mut off = None;
        for id in &desk.plots[plot] {
            let name = shown.opened.plan.signals.name(*id);
            if ui.small_button(&name).on_hover_text("Click to take it off").clicked() {
                off = Some(*id);
            }
        }
        if let Some(id) = off {
            desk.plot(plot, id);
        }
        if desk.plots[plot].is_empty() {
            ui.label(weak("drag signals here from the inspector"));
        }
    });
    let mut all: Vec<Series> = desk.plots[plot].iter().map(|id| series(shown, shared, *id)).collect();
    let own = all.len();
    // Of a split view, what is kept beside: the same signals, in the same colours, fainter.
    if let Some(beside) = desk.beside.as_ref().filter(|b| b.differs(shown)) {
        let kept = beside.session.shared();
        for id in desk.plots[plot].iter().filter_map(|id| beside.twin_of(shown, *id)) {
            let line = series(&beside.shown, &kept, id);
            all.push(Series { name: format!("{} ({})", line.name, beside.title), band: None, ..line });
        }
    }
    let bands = forecasts(shown, shared, &desk.plots[plot]);
    let now_s = desk.now().as_secs_f64();
    let unit = all.first().map_or(String::new(), |s| s.unit.clone());
    let spells: Vec<Spell> = marked(shown, shared, &desk.plots[plot]);
    let (_, dropped) = ui.dnd_drop_zone::<SignalId, ()>(egui::Frame::NONE, |ui| {
        let response = Plot::new(("plot", plot))
            .height(height)
            .legend(Legend::default().position(Corner::LeftTop))
            .link_axis("time", [true, false])
            .link_cursor("time", [true, false])
            .y_axis_label(unit)
            .x_axis_formatter(|mark, _| clock(mark.value))
            .coordinates_formatter(
                Corner::RightBottom,
                CoordinatesFormatter::new(|p, _| format!("{}   {}", clock(p.x), crate::units::number(p.y))),
            )
            .show(ui, |plot_ui| {
                for spell in &spells {
                    let until = spell.until.map_or(shared.left.now, |t| t).as_secs_f64();
                    let color = color32(class_color(spell.class)).gamma_multiply(0.25);
                    let range = spell.from.as_secs_f64()..=until;
                    plot_ui.span(Span::new(spell.what.clone(), range).fill(color));
                }
                for (name, xs, low, high) in &bands {
                    let area = FilledArea::new(name.clone(), xs, low, high);
                    plot_ui.add(area.fill_color(Color32::from_rgba_unmultiplied(0x56, 0xb4, 0xe9, 36)));
                }
                for (k, series) in all.iter().enumerate() {
                    let color = color32(LINES[k % own.max(1) % LINES.len()]);
                    let color = if k < own { color } else { color.gamma_multiply(0.5) };
                    if let Some((low, high)) = &series.band {
                        let xs: Vec<f64> = series.points.iter().map(|p| p[0]).collect();
                        let area = FilledArea::new(series.name.clone(), &xs, low, high);
                        plot_ui.add(area.fill_color(color.gamma_multiply(0.22)));
                    }
                    let points = PlotPoints::from(series.points.clone());
                    plot_ui.line(Line::new(series.name.clone(), points).color(color).width(1.6));
                }
                plot_ui.vline(VLine::new("now", now_s).color(Color32::from_gray(170)).width(1.2));
                plot_ui.pointer_coordinate()
            });
        // A double click resets the plot; with Shift, a click goes to that instant.
        let shift = ui.input(|i| i.modifiers.shift);
        if let (true, true, Some(p)) = (response.response.clicked(), shift, response.inner) {
            desk.go_to(SimTime((p.x * 1e9) as i64));
        }
    });
    if let Some(id) = dropped {
        desk.plot(plot, *id);
    }
    gone
}

fn picked_device(shown: &Shown) -> Option<usize> {
    match shown.picked {
        Some(crate::stage::show::Picked::Device(device)) => Some(device),
        _ => None,
    }
}

/// A device's signals of the field, or of its twin's first pair with the residual.
fn of_device(shown: &Shown, device: usize) -> Vec<SignalId> {
    let plan = &shown.opened.plan;
    if let Some(pair) = shown.fleet.devices[device].twin.and_then(|t| shown.fleet.pairs(t).first().cloned()) {
        return vec![pair.reported, pair.estimate];
    }
    let field = shown.field.as_ref().and_then(|f| f.devices[device]);
    field.or_else(|| shown.fleet.signals(plan, device).first().copied()).into_iter().collect()
}

/// A signal's series: by every value where it was sampled, else from the frames.
pub fn series(shown: &Shown, shared: &Shared, id: SignalId) -> Series {
    let signals = &shown.opened.plan.signals;
    let channel = signals.channel(id);
    let rise = channel.kind == Kind::Residual;
    let value = |v: f64| {
        if rise { shown.units.difference(v, &channel.unit) } else { shown.units.value(v, &channel.unit) }
    };
    let mut series = Series {
        name: signals.name(id),
        unit: sign(&shown.units.shown(&channel.unit)).to_owned(),
        ..Series::default()
    };
    match shared.series.get(&id).filter(|s| !s.is_empty()) {
        Some(buckets) => {
            series.points = buckets.iter().map(|b| [b.t.as_secs_f64(), value(b.last)]).collect();
            if buckets.iter().any(|b| b.rows > 1) {
                let low = buckets.iter().map(|b| value(b.min)).collect();
                let high = buckets.iter().map(|b| value(b.max)).collect();
                series.band = Some((low, high));
            }
        }
        None => {
            let frames = shared.left.history.frames();
            let points = frames.filter_map(|f| Some([f.t.as_secs_f64(), value(f64::from(f.value(id)?))]));
            series.points = points.collect();
        }
    }
    series
}

type Band = (String, Vec<f64>, Vec<f64>, Vec<f64>);

/// The shortest horizon's interval of the twins' signals on a plot, each at the time that it is of.
fn forecasts(shown: &Shown, shared: &Shared, ids: &[SignalId]) -> Vec<Band> {
    let plan = &shown.opened.plan;
    let mut bands = Vec::new();
    for id in ids.iter().filter(|id| plan.signals.channel(**id).kind == Kind::Estimate) {
        let found = plan.scenario.mirror.iter().zip(0..).find_map(|(def, twin)| {
            let pair = shown.fleet.pairs(twin).iter().find(|p| p.estimate == *id)?;
            Some((def, twin, pair.name.clone()))
        });
        let Some((def, twin, name)) = found else { continue };
        let Some(horizon) = twinfleet_engine::mirror::horizons(def).first() else { continue };
        let base = format!("{}/{name}.{}", def.twin, twinfleet_engine::mirror::horizon_name(*horizon));
        let bound = |b: &str| plan.signals.find(&format!("{base}.{b}@forecast"));
        let (Some(low), Some(high)) = (bound("lower"), bound("upper")) else { continue };
        let unit = &shown.fleet.pairs(twin)[0].unit;
        let (mut xs, mut lows, mut highs) = (Vec::new(), Vec::new(), Vec::new());
        for frame in shared.left.history.frames() {
            if let (Some(l), Some(h)) = (frame.value(low), frame.value(high)) {
                xs.push(frame.t.as_secs_f64() + horizon.as_secs_f64());
                lows.push(shown.units.value(f64::from(l), unit));
                highs.push(shown.units.value(f64::from(h), unit));
            }
        }
        bands.push((format!("{} ahead", horizon), xs, lows, highs));
    }
    bands
}

/// Spells of the devices that a plot shows.
fn marked(shown: &Shown, shared: &Shared, ids: &[SignalId]) -> Vec<Spell> {
    let devices: Vec<String> = ids.iter().map(|id| shown.opened.plan.signals.device_name(*id)).collect();
    let of = |s: &&Spell| s.class != Class::Outage && devices.contains(&s.subject);
    shared.left.spells.0.iter().filter(of).take(60).cloned().collect()
}

/// Seconds as a clock shows them.
pub fn clock(s: f64) -> String {
    let whole = s.max(0.0);
    let (h, m, rest) = ((whole / 3600.0) as u64, (whole / 60.0) as u64 % 60, whole % 60.0);
    match (h, m) {
        (0, 0) => format!("{rest:.1} s"),
        (0, _) => format!("{m}:{:02}", rest as u64),
        _ => format!("{h}:{m:02}:{:02}", rest as u64),
    }
}
