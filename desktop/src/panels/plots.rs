//! Signals over time: physical, twin, forecast band, residual; with the cursor of what is shown, marks of faults and alarms, and
//! export.

use super::{
    desk::Desk,
    export,
    theme::{glaze, weak},
};
use crate::{
    sim::{
        session::Shared,
        spell::{Class, Spell},
    },
    stage::{halos::class_color, overlay::color32, show::Shown},
    units::{clock, number, sign},
};
use egui::{Align2, Button, Color32, Rangef, RichText, ScrollArea, Ui};
use egui_plot::{
    AxisHints, CoordinatesFormatter, Corner, FilledArea, GridInput, GridMark, Line, Plot, PlotPoints, Span,
    VLine, uniform_grid_spacer,
};
use twinfleet_engine::{
    signal::{Kind, SignalId},
    time::SimTime,
};

/// Okabe and Ito's yellow.
const YELLOW: [u8; 3] = [0xf0, 0xe4, 0x42];
/// Forecasts' intervals.
const FORECAST: [u8; 3] = [0x56, 0xb4, 0xe9];

/// Okabe and Ito's colours, for lines.
const LINES: [[u8; 3]; 7] = [
    [0x56, 0xb4, 0xe9],
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    YELLOW,
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
    /// Values within each stretch, whose last is the point; none where the points are those of kept instants.
    pub counts: Vec<u64>,
    /// Whether it is a difference, which has an axis of its own.
    pub rise: bool,
}

impl Series {
    /// The point that holds at an instant: the last one that is not after it.
    pub fn at(&self, t_s: f64) -> Option<usize> {
        self.points.partition_point(|p| p[0] <= t_s + 1e-9).checked_sub(1)
    }
}

/// The interval of a forecast, each stretch at the time that it is of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    /// What it is.
    pub name: String,
    /// Unit sign.
    pub unit: String,
    /// When, [s].
    pub xs: Vec<f64>,
    /// Its lower bounds.
    pub low: Vec<f64>,
    /// Its upper bounds.
    pub high: Vec<f64>,
}

/// A fault or an alarm on a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What it is.
    pub name: String,
    /// Whose word it is.
    pub class: Class,
    /// From when on, [s].
    pub from_s: f64,
    /// Until when, [s].
    pub until_s: f64,
}

/// All that a plot shows, on the screen and in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// Signals of what is worked with, then those of what is kept beside it.
    pub series: Vec<Series>,
    /// How many of them are of what is worked with.
    pub own: usize,
    /// Residuals of the twins whose two sides are there, where they are not among the signals.
    pub residuals: Vec<Series>,
    /// Forecasts.
    pub bands: Vec<Band>,
    /// What was put in, and what twins said.
    pub marks: Vec<Mark>,
    /// The instant that is shown, [s].
    pub now_s: f64,
}

/// What shares an axis: a unit's signals, or differences in it.
pub struct Strip<'a> {
    /// Unit sign.
    pub unit: &'a str,
    /// Whether they are differences.
    pub rise: bool,
    /// Lines, each with the number of its colour.
    pub lines: Vec<(usize, &'a Series)>,
    /// Forecasts.
    pub bands: Vec<&'a Band>,
}

impl Drawn {
    /// The axes of a plot below each other, differences last; one without lines where there is no signal.
    pub fn strips(&self) -> Vec<Strip<'_>> {
        let mut all: Vec<Strip<'_>> = Vec::new();
        for (k, series) in self.series.iter().chain(&self.residuals).enumerate() {
            let (unit, rise) = (series.unit.as_str(), series.rise);
            match all.iter_mut().find(|s| (s.unit, s.rise) == (unit, rise)) {
                Some(strip) => strip.lines.push((k, series)),
                None => all.push(Strip { unit, rise, lines: vec![(k, series)], bands: Vec::new() }),
            }
        }
        for band in &self.bands {
            if let Some(strip) = all.iter_mut().find(|s| s.unit == band.unit && !s.rise) {
                strip.bands.push(band);
            }
        }
        all.sort_by_key(|s| s.rise);
        if all.is_empty() {
            all.push(Strip { unit: "", rise: false, lines: Vec::new(), bands: Vec::new() });
        }
        all
    }

    /// The number of a line's colour, and whether it is fainter: of what is kept beside.
    pub fn line(&self, k: usize) -> (usize, bool) {
        match k.checked_sub(self.series.len()) {
            Some(residual) => (self.own + residual, false),
            None => (k % self.own.max(1), k >= self.own),
        }
    }

    /// What is told under the pointer: the time, and of each signal and forecast its figure then, with its unit.
    pub fn readout(&self, t_s: f64) -> Vec<String> {
        let mut lines = vec![clock(t_s)];
        for series in self.series.iter().chain(&self.residuals) {
            let Some(at) = series.at(t_s) else { continue };
            let mut line = format!("{}: {} {}", series.name, number(series.points[at][1]), series.unit);
            let range = series.band.as_ref().filter(|_| series.counts.get(at).is_some_and(|n| *n > 1));
            if let Some((low, high)) = range {
                line += &format!(" ({} to {})", number(low[at]), number(high[at]));
            }
            lines.push(line);
        }
        for band in &self.bands {
            let after = band.xs.partition_point(|x| *x < t_s);
            let (Some(before), true) = (after.checked_sub(1), after < band.xs.len()) else { continue };
            let share = (t_s - band.xs[before]) / (band.xs[after] - band.xs[before]).max(1e-9);
            let at = |v: &[f64]| number(v[before] + (v[after] - v[before]) * share);
            lines.push(format!("{}: {} to {} {}", band.name, at(&band.low), at(&band.high), band.unit));
        }
        lines
    }
}

/// Residuals of the twins both of whose sides are among these signals, and which are not among them themselves.
pub fn residuals(shown: &Shown, ids: &[SignalId]) -> Vec<SignalId> {
    let twins = 0..shown.opened.plan.scenario.mirror.len();
    let both = |p: &&crate::fleet::Pair| ids.contains(&p.reported) && ids.contains(&p.estimate);
    let pairs = twins.flat_map(|twin| shown.fleet.pairs(twin)).filter(both);
    pairs.map(|p| p.residual).filter(|id| !ids.contains(id)).collect()
}

/// What a plot shows.
pub fn drawn(desk: &Desk, shown: &Shown, shared: &Shared, plot: usize) -> Drawn {
    let ids = desk.plots.get(plot).map_or(&[][..], Vec::as_slice);
    let mut all: Vec<Series> = ids.iter().map(|id| series(shown, shared, *id)).collect();
    let own = all.len();
    // Of a split view, what is kept beside: the same signals, in the same colours, fainter.
    if let Some(beside) = desk.beside.as_ref().filter(|b| b.differs(shown)) {
        let kept = beside.session.shared();
        for id in ids.iter().filter_map(|id| beside.twin_of(shown, *id)) {
            let line = series(&beside.shown, &kept, id);
            all.push(Series { name: format!("{} ({})", line.name, beside.title), ..line });
        }
    }
    Drawn {
        series: all,
        own,
        residuals: residuals(shown, ids).into_iter().map(|id| series(shown, shared, id)).collect(),
        bands: forecasts(shown, shared, ids),
        marks: marked(shown, shared, ids),
        now_s: desk.now().as_secs_f64(),
    }
}

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, shared: &Shared) {
    let Some(shown) = desk.shown.clone() else { return };
    ui.horizontal_wrapped(|ui| {
        if ui.button("+ plot").on_hover_text("One more plot below").clicked() {
            desk.plots.push(Vec::new());
        }
        if let Some(device) = picked_device(&shown)
            && ui.button("plot what is selected").clicked()
        {
            desk.plots.push(of_device(&shown, device));
        }
        for kind in export::Kind::ALL {
            let (name, key) = (kind.name(), kind.key().name());
            let button = ui.button(name);
            if button.on_hover_text(format!("{} ({key})", kind.does())).clicked() {
                desk.export = Some(kind);
            }
        }
    });
    let plots = desk.plots.len().max(1);
    let height = (ui.available_height() - 6.0) / plots as f32;
    let width = ui.available_width() - ui.spacing().scroll.allocated_width();
    desk.plots_rect = ui.available_rect_before_wrap();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(width);
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
    let drawn = drawn(desk, shown, shared, plot);
    let width = ui.available_width();
    let top = ui.cursor().min.y;
    let gone = chips(ui, desk, &drawn, plot);
    // What the chips leave, less a margin; differences take less than the signals.
    let strips = drawn.strips();
    let share = |s: &Strip<'_>| if s.rise && strips.len() > 1 { 0.6 } else { 1.0 };
    let shares: f32 = strips.iter().map(share).sum();
    let height = (height - (ui.cursor().min.y - top) - 4.0).max(110.0);
    let mut to = None;
    let (_, dropped) = ui.dnd_drop_zone::<SignalId, ()>(egui::Frame::NONE, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (k, strip) in strips.iter().enumerate() {
            let look = Look {
                id: (plot, k),
                size: egui::vec2(width, (height * share(strip) / shares).max(64.0)),
                until_s: until_s(desk, shown, shared),
                quiet: desk.snap.is_some(),
                last: k + 1 == strips.len(),
            };
            to = to.or(self::strip(ui, &drawn, strip, &look));
        }
    });
    // A double click resets the plot; with Shift, a click goes to that instant.
    if let Some(t) = to {
        desk.go_to(t);
    }
    if let Some(id) = dropped {
        desk.plot(plot, *id);
    }
    gone
}

/// What the times of all plots reach to, so that they stand below each other: what was reached, with what was foreseen of it.
fn until_s(desk: &Desk, shown: &Shown, shared: &Shared) -> f64 {
    let signals = &shown.opened.plan.signals;
    let foreseen = desk.plots.iter().flatten().any(|id| signals.channel(*id).kind == Kind::Estimate);
    let horizons = shown.opened.plan.scenario.mirror.iter().flat_map(twinfleet_engine::mirror::horizons);
    let farthest_s = horizons.map(|h| h.as_secs_f64()).fold(0.0, f64::max);
    // From its start on there is room for some ticks, so that the first of them does not fill the axis.
    let least_s = 10.0 * shared.left.step_ns as f64 / 1e9;
    (shared.left.now.as_secs_f64() + if foreseen { farthest_s } else { 0.0 }).max(least_s)
}

/// How a strip of a plot is drawn.
struct Look {
    id: (usize, usize),
    size: egui::Vec2,
    /// What all axes reach to.
    until_s: f64,
    /// Whether nothing is told under the pointer: a picture is taken.
    quiet: bool,
    /// Whether the times are written below it.
    last: bool,
}

/// One axis of a plot; an instant to go to, where that was asked for.
fn strip(ui: &mut Ui, drawn: &Drawn, strip: &Strip<'_>, look: &Look) -> Option<SimTime> {
    let dark = ui.visuals().dark_mode;
    // Light adds up linearly: what is thin on a light ground would be thick on a dark one.
    let thin = if dark { 0.05 } else { 0.3 };
    let unit = if strip.rise { format!("Δ {}", strip.unit) } else { strip.unit.to_owned() };
    let axis = AxisHints::new_y().label(unit).label_spacing(Rangef::new(12.0, 16.0)).min_thickness(54.0);
    let axis = axis.formatter(|mark, _| level(mark));
    let mut plot = Plot::new(("plot", look.id))
        .height(look.size.y)
        .width(look.size.x)
        .link_axis("time", [true, false])
        .link_cursor("time", [true, false])
        .include_x(0.0)
        .include_x(look.until_s)
        .show_axes([look.last, true])
        .x_grid_spacer(uniform_grid_spacer(steps))
        .y_grid_spacer(uniform_grid_spacer(levels))
        .x_axis_formatter(|mark, _| tick(mark))
        .custom_y_axes(vec![axis])
        .label_formatter(|_| None)
        .coordinates_formatter(
            Corner::RightBottom,
            CoordinatesFormatter::new(|p, _| format!("{}   {}", clock(p.x), number(p.y))),
        );
    if strip.rise {
        plot = plot.include_y(0.0);
    }
    let response = plot.show(ui, |plot_ui| {
        for mark in &drawn.marks {
            let range = mark.from_s..=mark.until_s;
            let color = glaze(color32(class_color(mark.class)), thin);
            // What was put in is named below, what is said of it above.
            let below = mark.class == Class::Injected;
            let align = if below { Align2::CENTER_BOTTOM } else { Align2::CENTER_TOP };
            // Once for all strips.
            let name = if strip.rise { String::new() } else { mark.name.clone() };
            plot_ui.span(Span::new(name, range).fill(color).label_align(align));
        }
        for band in &strip.bands {
            let area = FilledArea::new("", &band.xs, &band.low, &band.high);
            plot_ui.add(area.fill_color(glaze(color32(FORECAST), thin * 0.8)));
        }
        for (k, series) in &strip.lines {
            let color = line_color(*k, drawn, dark);
            // What is kept beside is a line alone, so that the other one is seen through it.
            if let Some((low, high)) = series.band.as_ref().filter(|_| !drawn.line(*k).1) {
                let xs: Vec<f64> = series.points.iter().map(|p| p[0]).collect();
                plot_ui.add(FilledArea::new("", &xs, low, high).fill_color(glaze(color, thin * 0.8)));
            }
            let points = PlotPoints::from(series.points.clone());
            plot_ui.line(Line::new(series.name.clone(), points).color(color).width(1.6));
        }
        let now = VLine::new("", drawn.now_s);
        plot_ui.vline(now.color(Color32::from_gray(if dark { 170 } else { 90 })).width(1.2));
        plot_ui.pointer_coordinate()
    });
    let shift = ui.input(|i| i.modifiers.shift);
    let under = response.inner.filter(|_| response.response.contains_pointer());
    let to = under.filter(|_| shift && response.response.clicked()).map(|p| SimTime((p.x * 1e9) as i64));
    if let Some(p) = under.filter(|p| p.x >= 0.0 && !drawn.series.is_empty() && !look.quiet) {
        let lines = drawn.readout(p.x);
        response.response.on_hover_ui_at_pointer(|ui| lines.iter().for_each(|line| drop(ui.label(line))));
    }
    to
}

/// The legend above a plot, each signal a button that takes it off; whether the plot is to go.
fn chips(ui: &mut Ui, desk: &mut Desk, drawn: &Drawn, plot: usize) -> bool {
    let mut gone = false;
    let dark = ui.visuals().dark_mode;
    ui.horizontal_wrapped(|ui| {
        gone = ui.small_button("✖").on_hover_text("Take this plot away").clicked();
        let mut off = None;
        let swatch = |color: Color32| RichText::new("■").color(color);
        for (k, series) in drawn.series.iter().enumerate() {
            let color = line_color(k, drawn, dark);
            if k >= drawn.own {
                ui.add(Button::new((swatch(color), weak(&series.name))).small().frame(false));
                continue;
            }
            let chip = ui.add(Button::new((swatch(color), series.name.as_str())).small());
            if chip.on_hover_text("Click to take it off").clicked() {
                off = desk.plots[plot].get(k).copied();
            }
        }
        for (k, series) in drawn.residuals.iter().enumerate() {
            let color = swatch(line_color(drawn.series.len() + k, drawn, dark));
            ui.add(Button::new((color, weak(&series.name))).small().frame(false));
        }
        for band in &drawn.bands {
            let color = swatch(glaze(color32(FORECAST), 0.5));
            ui.add(Button::new((color, weak(&band.name))).small().frame(false));
        }
        if let Some(id) = off {
            desk.plot(plot, id);
        }
        if drawn.series.is_empty() {
            ui.label(weak("drag signals here from the inspector"));
        }
    });
    gone
}

/// A line's colour: on a light ground yellow is darker, what is kept beside is fainter, residuals have those that come next.
fn line_color(k: usize, drawn: &Drawn, dark: bool) -> Color32 {
    let (number, faint) = drawn.line(k);
    let color = LINES[number % LINES.len()];
    let color = if color == YELLOW && !dark { [0x8a, 0x7d, 0x00] } else { color };
    if faint { glaze(color32(color), 0.5) } else { color32(color) }
}

/// Steps of a time axis, each a multiple of the one before: seconds, minutes, hours, days.
const STEPS_S: [f64; 17] = [
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    10_800.0,
    21_600.0,
    86_400.0,
    604_800.0,
    2_419_200.0,
    29_030_400.0,
];

/// Fine, middle and thick lines of an axis of values: as many as can be told apart, at round figures.
fn levels(input: GridInput) -> [f64; 3] {
    // Lines are asked for at every 8 points; a figure needs 18.
    let least = (input.base_step_size * 2.2).max(1e-12);
    let ten = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|k| k * ten).find(|s| *s >= least).unwrap_or(ten);
    [step, step * 10.0, step * 100.0]
}

/// What stands at a line of an axis of values: with as many decimals as tell it from the next.
fn level(mark: GridMark) -> String {
    let decimals = (-mark.step_size.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    if mark.value.abs() >= 1e6 { format!("{:.1e}", mark.value) } else { format!("{:.decimals$}", mark.value) }
}

/// Fine, middle and thick lines of a time axis.
fn steps(input: GridInput) -> [f64; 3] {
    let first = STEPS_S.iter().position(|s| *s >= input.base_step_size).unwrap_or(STEPS_S.len());
    let first = first.min(STEPS_S.len() - 3);
    [STEPS_S[first], STEPS_S[first + 1], STEPS_S[first + 2]]
}

/// What stands at a line of a time axis: nothing before the start of time.
fn tick(mark: GridMark) -> String {
    if mark.value < -1e-9 {
        return String::new();
    }
    let decimals = match mark.step_size {
        step if step < 0.1 => 2,
        step if step < 1.0 => 1,
        _ => 0,
    };
    if mark.value < 60.0 - 1e-6 {
        return format!("{:.decimals$} s", mark.value);
    }
    // A float's last digit is no second less.
    let t = mark.value + 1e-6;
    match decimals {
        0 => clock(t),
        _ => clock(t) + format!("{:.decimals$}", t.fract()).trim_start_matches('0'),
    }
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
        rise,
        ..Series::default()
    };
    match shared.series.get(&id).filter(|s| !s.is_empty()) {
        Some(buckets) => {
            series.points = buckets.iter().map(|b| [b.t.as_secs_f64(), value(b.last)]).collect();
            series.counts = buckets.iter().map(|b| b.rows).collect();
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

/// The intervals of the twins' signals on a plot, of every horizon, each at the time that it is of; and the forecast of the
/// instant that is shown, from there to the farthest horizon.
fn forecasts(shown: &Shown, shared: &Shared, ids: &[SignalId]) -> Vec<Band> {
    let plan = &shown.opened.plan;
    let mut bands = Vec::new();
    for id in ids.iter().filter(|id| plan.signals.channel(**id).kind == Kind::Estimate) {
        let found = plan.scenario.mirror.iter().zip(0..).find_map(|(def, twin)| {
            let pair = shown.fleet.pairs(twin).iter().find(|p| p.estimate == *id)?;
            Some((def, pair))
        });
        let Some((def, pair)) = found else { continue };
        let value = |v: f32| shown.units.value(f64::from(v), &pair.unit);
        let unit = sign(&shown.units.shown(&pair.unit)).to_owned();
        let of = |name: String| Band { name, unit: unit.clone(), ..Band::default() };
        let mut ahead = of("forecast from here on".to_owned());
        let put = |band: &mut Band, t: SimTime, [low, high]: [f32; 2]| {
            band.xs.push(t.as_secs_f64());
            band.low.push(value(low));
            band.high.push(value(high));
        };
        if let Some(held) = shown.frame.value(*id) {
            put(&mut ahead, shown.t, [held, held]);
        }
        for horizon in twinfleet_engine::mirror::horizons(def) {
            let name = twinfleet_engine::mirror::horizon_name(*horizon);
            let base = format!("{}/{}.{name}", def.twin, pair.name);
            let bound = |b: &str| plan.signals.find(&format!("{base}.{b}@forecast"));
            let (Some(low), Some(high)) = (bound("lower"), bound("upper")) else { continue };
            let mut band = of(format!("forecast {horizon} ahead"));
            // A frame holds the latest forecast, which was issued when it was first there: maybe long ago, where they are issued
            // seldom or their device is silent.
            let (mut last, mut issued) = (None, None);
            for frame in shared.left.history.frames() {
                let (Some(l), Some(h)) = (frame.value(low), frame.value(high)) else { continue };
                if last.replace([l, h]) == Some([l, h]) {
                    continue;
                }
                put(&mut band, frame.t + *horizon, [l, h]);
                if frame.t <= shown.t {
                    issued = Some((frame.t, [l, h]));
                }
            }
            if let Some((at, bounds)) = issued.filter(|(at, _)| *at + *horizon > shown.t) {
                put(&mut ahead, at + *horizon, bounds);
            }
            bands.push(band);
        }
        bands.push(ahead);
    }
    bands.retain(|b| b.xs.len() > 1);
    bands
}

/// Spells of the devices that a plot shows, as far as time has come.
fn marked(shown: &Shown, shared: &Shared, ids: &[SignalId]) -> Vec<Mark> {
    let devices: Vec<String> = ids.iter().map(|id| shown.opened.plan.signals.device_name(*id)).collect();
    let now = shared.left.now;
    let of = |s: &&Spell| s.class != Class::Outage && s.from <= now && devices.contains(&s.subject);
    let mark = |s: &Spell| Mark {
        name: s.what.clone(),
        class: s.class,
        from_s: s.from.as_secs_f64(),
        until_s: s.until.map_or(now, |t| t.min(now)).as_secs_f64(),
    };
    let mut marks: Vec<Mark> = Vec::new();
    for mark in shared.left.spells.0.iter().filter(of).take(60).map(mark) {
        // What lasts as long as another one shares its stretch, for two names over each other cannot be read.
        match marks
            .iter_mut()
            .find(|m| (m.from_s, m.until_s, m.class) == (mark.from_s, mark.until_s, mark.class))
        {
            Some(same) if same.name.split(", ").any(|name| name == mark.name) => {}
            Some(same) => same.name += &format!(", {}", mark.name),
            None => marks.push(mark),
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_axis_is_marked_at_whole_minutes_and_hours() {
        let of = |base_step_size: f64| steps(GridInput { bounds: (0.0, 1e4), base_step_size });
        assert_eq!(of(100.0), [300.0, 900.0, 3_600.0]);
        assert_eq!(of(2.0), [5.0, 15.0, 60.0]);
        assert_eq!(of(1e9), [604_800.0, 2_419_200.0, 29_030_400.0]);
        for [a, b] in STEPS_S.array_windows() {
            assert!((b / a).fract().min(1.0 - (b / a).fract()) < 1e-9, "{b} is no multiple of {a}");
        }
    }

    #[test]
    fn an_axis_of_values_has_round_figures_that_differ() {
        for base_step_size in [0.002, 0.03, 0.2, 7.0, 300.0] {
            let [step_size, ten, _] = levels(GridInput { bounds: (0.0, 1.0), base_step_size });
            assert!((2.2..=5.6).contains(&(step_size / base_step_size)) && ten == step_size * 10.0);
            let marks = (-9..10).map(|k| level(GridMark { value: f64::from(k) * step_size, step_size }));
            let mut said: Vec<String> = marks.collect();
            said.sort_unstable();
            said.dedup();
            assert_eq!(said.len(), 19, "{step_size}");
        }
    }

    #[test]
    fn no_two_marks_of_a_time_axis_say_the_same() {
        for step_size in [0.01, 0.05, 0.1, 0.5, 1.0, 15.0, 900.0] {
            let marks = (-3..400).map(|k| GridMark { value: f64::from(k) * step_size, step_size });
            let mut said: Vec<String> = marks.map(tick).filter(|t| !t.is_empty()).collect();
            let all = said.len();
            said.sort_unstable();
            said.dedup();
            assert_eq!((all, said.len()), (400, 400), "{step_size}");
        }
    }
}
