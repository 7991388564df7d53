//! Plots as files: CSV for tables, SVG for print, PNG of the plots as they stand in the window.

use super::{
    desk::{Desk, Snap},
    plots::{Band, Drawn, Series, Strip},
};
use crate::stage::halos::class_color;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Frames until what came to the front is drawn.
const FRAMES: u8 = 4;

/// Width and height of one plot in an SVG.
const SIZE: (f64, f64) = (900.0, 300.0);
/// Around a plot in an SVG.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 34.0;
/// Height of a line of a legend, and about how wide a letter is.
const LINE: f64 = 16.0;
const LETTER: f64 = 6.6;
/// Colours of lines: Okabe and Ito's, without the yellow that white paper swallows.
const COLORS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Csv,
    /// A drawing.
    Svg,
    /// A picture.
    Png,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Svg, Self::Png];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Svg => "SVG",
            Self::Png => "PNG",
        }
    }

    /// Its key.
    pub const fn key(self) -> egui::Key {
        match self {
            Self::Csv => egui::Key::F6,
            Self::Svg => egui::Key::F7,
            Self::Png => egui::Key::F8,
        }
    }

    /// What it does, in a sentence.
    pub const fn does(self) -> &'static str {
        match self {
            Self::Csv => "Write all plots into a table beside the scenario",
            Self::Svg => "Write all plots into a drawing beside the scenario",
            Self::Png => "Write a picture of the plots beside the scenario",
        }
    }
}

/// Writes all plots beside the scenario, into a file of a number that is not there yet.
pub fn write(desk: &mut Desk, kind: Kind, plots: &[Drawn]) {
    let path = free(Path::new(&desk.save_path()), &kind.name().to_lowercase());
    let text = match kind {
        Kind::Csv => csv(plots),
        Kind::Svg => svg(plots),
        Kind::Png => {
            // The window tells of it once it is written.
            desk.snap = Some(Snap { path, wait: FRAMES });
            return;
        }
    };
    match std::fs::write(&path, text) {
        Ok(()) => desk.tell(format!("written: {}", path.display()), false),
        Err(error) => desk.tell(format!("{}: cannot be written: {error}", path.display()), true),
    }
}

/// A name beside this one that no file has yet: `base.csv`, `base-2.csv`, `base-3.csv`.
fn free(base: &Path, ending: &str) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (2..).map(|k: u32| base.with_file_name(format!("{stem}-{k}.{ending}")));
    let mut names = std::iter::once(base.with_extension(ending)).chain(numbered);
    names.find(|path| !path.exists()).unwrap_or_else(|| base.with_extension(ending))
}

/// The columns of a table.
const COLUMNS: &str = "signal,unit,time_s,value,min,max,values,what\n";

/// One line a value. `what` says what a line is: a `value`; a `stretch` of as many `values`, of which the last is `value`; the
/// value at an `instant` that was kept, of a signal too many to be sampled; or a `forecast`, whose bounds are `min` and `max`.
pub fn csv(plots: &[Drawn]) -> String {
    let mut text = COLUMNS.to_owned();
    for plot in plots {
        for series in plot.series.iter().chain(&plot.residuals) {
            table(&mut text, series);
        }
        for Band { name, unit, xs, low, high } in &plot.bands {
            for ((t, low), high) in xs.iter().zip(low).zip(high) {
                let _ = writeln!(text, "{},{},{t},,{low},{high},,forecast", cell(name), cell(unit));
            }
        }
    }
    text
}

fn table(text: &mut String, series: &Series) {
    for (at, [t, v]) in series.points.iter().enumerate() {
        let _ = write!(text, "{},{},{t},{v},", cell(&series.name), cell(&series.unit));
        let _ = match (series.counts.get(at), &series.band) {
            (Some(count), Some((low, high))) if *count > 1 => {
                writeln!(text, "{},{},{count},stretch", low[at], high[at])
            }
            (Some(count), _) => writeln!(text, "{v},{v},{count},value"),
            (None, _) => writeln!(text, ",,,instant"),
        };
    }
}

/// A text as a table's cell.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The plots below each other.
pub fn svg(plots: &[Drawn]) -> String {
    let (w, h) = SIZE;
    let all = plots.len().max(1) as f64 * h;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {all}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{w}\" height=\"{all}\" fill=\"white\"/>\n"
    );
    for (k, plot) in plots.iter().enumerate() {
        one(&mut text, plot, k as f64 * h);
    }
    text + "</svg>\n"
}

/// Where values lie in the drawing of a plot.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    /// Upper and lower edge of the plot itself, below its legend.
    top: f64,
    bottom: f64,
}

impl Frame {
    /// Around all lines and forecasts of an axis; none where there are none. Times are those of the whole plot.
    fn around(plot: &Drawn, strip: &Strip<'_>, top: f64, bottom: f64) -> Option<Self> {
        let x = range(&points(&plot.strips()), 0);
        let y = range(&points(std::slice::from_ref(strip)), 1);
        (x.1 >= x.0 && y.1 >= y.0).then_some(Self { x, y, top, bottom })
    }

    fn at_x(&self, v: f64) -> f64 {
        LEFT + share(v, self.x) * (SIZE.0 - LEFT - RIGHT)
    }

    fn at_y(&self, v: f64) -> f64 {
        self.bottom - share(v, self.y) * (self.bottom - self.top)
    }

    fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let all: Vec<String> =
            points.map(|(x, y)| format!("{:.1},{:.1}", self.at_x(x), self.at_y(y))).collect();
        all.join(" ")
    }
}

/// All that lies on axes, the bounds of forecasts too.
fn points(strips: &[Strip<'_>]) -> Vec<[f64; 2]> {
    let of_band = |b: &Band| {
        let edges = b.low.iter().chain(&b.high);
        b.xs.iter().chain(&b.xs).copied().zip(edges.copied()).map(|(x, y)| [x, y]).collect::<Vec<_>>()
    };
    let lines = strips.iter().flat_map(|s| &s.lines).flat_map(|(_, series)| series.points.iter().copied());
    lines.chain(strips.iter().flat_map(|s| &s.bands).flat_map(|b| of_band(b))).collect()
}

fn range(points: &[[f64; 2]], axis: usize) -> (f64, f64) {
    points
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
}

fn share(v: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (v - low) / (high - low) } else { 0.5 }
}

fn one(text: &mut String, plot: &Drawn, top: f64) {
    let below = legend(text, plot, top);
    let strips = plot.strips();
    // Differences take less than the signals.
    let wanted = |s: &Strip<'_>| if s.rise && strips.len() > 1 { 0.6 } else { 1.0 };
    let all: f64 = strips.iter().map(wanted).sum();
    let mut y = below;
    for strip in &strips {
        let height = (top + SIZE.1 - below) * wanted(strip) / all;
        if let Some(frame) = Frame::around(plot, strip, y, y + height - BOTTOM) {
            one_strip(text, plot, strip, &frame);
        }
        y += height;
    }
}

fn one_strip(text: &mut String, plot: &Drawn, strip: &Strip<'_>, frame: &Frame) {
    grid(text, frame);
    for mark in &plot.marks {
        let (from, until) = (mark.from_s.max(frame.x.0), mark.until_s.min(frame.x.1));
        if from > until {
            continue;
        }
        let [r, g, b] = class_color(mark.class);
        let (x, wide) = (frame.at_x(from), (frame.at_x(until) - frame.at_x(from)).max(1.0));
        let (y, high) = (frame.top, frame.bottom - frame.top);
        let _ = writeln!(
            text,
            "<rect class=\"mark\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"rgb({r},{g},{b})\" fill-opacity=\"0.2\"><title>{}</title></rect>",
            escaped(&mark.name)
        );
    }
    for band in &strip.bands {
        let there = band.xs.iter().copied().zip(band.low.iter().copied());
        let back = band.xs.iter().copied().zip(band.high.iter().copied()).rev();
        let points = frame.points(there.chain(back));
        let _ = writeln!(
            text,
            "<polygon class=\"forecast\" points=\"{points}\" fill=\"#56b4e9\" fill-opacity=\"0.25\"/>"
        );
    }
    for (k, series) in &strip.lines {
        let (color, faint) = line(*k, plot);
        let points = frame.points(series.points.iter().map(|p| (p[0], p[1])));
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-opacity=\"{faint}\" stroke-width=\"1.5\" points=\"{points}\"/>"
        );
    }
    if plot.now_s >= frame.x.0 && plot.now_s <= frame.x.1 {
        let _ = writeln!(
            text,
            "<line class=\"now\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#555\"/>",
            frame.top,
            frame.bottom,
            x = frame.at_x(plot.now_s)
        );
    }
}

/// A line's colour, and how strong it is: fainter where it is of what is kept beside.
fn line(k: usize, plot: &Drawn) -> (&'static str, f64) {
    let (number, faint) = plot.line(k);
    (COLORS[number % COLORS.len()], if faint { 0.5 } else { 1.0 })
}

fn grid(text: &mut String, frame: &Frame) {
    for k in 0..=4 {
        let at = |(low, high): (f64, f64)| low + (high - low) * f64::from(k) / 4.0;
        let (vx, vy) = (at(frame.x), at(frame.y));
        let _ = writeln!(
            text,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text><text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            SIZE.0 - RIGHT,
            LEFT - 6.0,
            crate::units::number(vy),
            frame.at_x(vx),
            frame.bottom + LINE,
            crate::units::clock(vx),
            y = frame.at_y(vy),
        );
    }
}

/// What the colours are, in as many lines as it takes; where the plot begins below.
fn legend(text: &mut String, plot: &Drawn, top: f64) -> f64 {
    let of_series =
        |(k, s): (usize, &Series)| (line(k, plot).0.to_owned(), format!("{} [{}]", s.name, s.unit));
    let all = plot.series.iter().chain(&plot.residuals);
    let mut entries: Vec<(String, String)> = all.enumerate().map(of_series).collect();
    entries.extend(plot.bands.iter().map(|b| ("#56b4e9".to_owned(), b.name.clone())));
    for mark in &plot.marks {
        let [r, g, b] = class_color(mark.class);
        let entry = (format!("rgb({r},{g},{b})"), mark.name.clone());
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let (mut x, mut y) = (LEFT + 8.0, top + LINE);
    for (color, name) in entries {
        let wide = (name.chars().count() + 3) as f64 * LETTER;
        if x > LEFT + 8.0 && x + wide > SIZE.0 - RIGHT {
            (x, y) = (LEFT + 8.0, y + LINE);
        }
        let _ = writeln!(
            text,
            "<text class=\"legend\" x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{color}\">{}</text>",
            escaped(&name)
        );
        x += wide;
    }
    y + 8.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{panels::plots::Mark, sim::spell::Class};

    fn four() -> Drawn {
        let series = |k: usize| Series {
            name: format!("station-{k}/bme280.temperature@reading"),
            unit: "°C".to_owned(),
            points: vec![[0.0, 1.0], [10.0, 2.0 + k as f64]],
            counts: vec![1, 1],
            ..Series::default()
        };
        Drawn {
            series: (0..4).map(series).collect(),
            own: 4,
            residuals: Vec::new(),
            bands: vec![Band {
                name: "forecast 1min ahead".to_owned(),
                unit: "°C".to_owned(),
                xs: vec![5.0, 10.0],
                low: vec![0.0, 0.5],
                high: vec![6.0, 6.5],
            }],
            marks: vec![Mark { name: "stuck".to_owned(), class: Class::Injected, from_s: 2.0, until_s: 4.0 }],
            now_s: 7.0,
        }
    }

    #[test]
    fn a_drawing_has_all_that_the_plot_has_and_its_legend_within() {
        let text = svg(&[four()]);
        for (what, count) in [
            ("class=\"legend\"", 6),
            ("class=\"forecast\"", 1),
            ("class=\"mark\"", 1),
            ("class=\"now\"", 1),
            ("<polyline", 4),
        ] {
            assert_eq!(text.matches(what).count(), count, "{what}: {text}");
        }
        for line in text.lines().filter(|l| l.contains("class=\"legend\"")) {
            let x: f64 =
                line.split("x=\"").nth(1).and_then(|s| s.split('"').next()).unwrap().parse().unwrap();
            let name = line.split('>').nth(1).unwrap().split('<').next().unwrap();
            assert!(x + name.chars().count() as f64 * LETTER <= SIZE.0, "{line}");
        }
    }

    #[test]
    fn each_unit_has_an_axis_and_differences_have_one_of_their_own() {
        let mut plot = four();
        plot.series[1].unit = "%".to_owned();
        plot.residuals = vec![Series { rise: true, ..plot.series[0].clone() }];
        let strips: Vec<(&str, bool, usize, usize)> =
            plot.strips().iter().map(|s| (s.unit, s.rise, s.lines.len(), s.bands.len())).collect();
        assert_eq!(strips, [("°C", false, 3, 1), ("%", false, 1, 0), ("°C", true, 1, 0)]);
        let text = svg(std::slice::from_ref(&plot));
        assert_eq!((text.matches("<polyline").count(), text.matches("class=\"now\"").count()), (5, 3));
        let told = plot.readout(7.5);
        assert_eq!(told.len(), 7, "{told:?}");
        assert_eq!(told[1], "station-0/bme280.temperature@reading: 1.00 °C");
        assert_eq!(told[6], "forecast 1min ahead: 0.25 to 6.25 °C");
    }

    #[test]
    fn a_table_says_what_each_line_is() {
        let mut plot = four();
        plot.series.truncate(2);
        plot.series[0].name = "a,b".to_owned();
        plot.series[0].counts = vec![1, 3];
        plot.series[0].band = Some((vec![1.0, 0.5], vec![1.0, 4.0]));
        plot.series[1].counts.clear();
        let text = csv(std::slice::from_ref(&plot));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                COLUMNS.trim_end(),
                "\"a,b\",°C,0,1,1,1,1,value",
                "\"a,b\",°C,10,2,0.5,4,3,stretch",
                "station-1/bme280.temperature@reading,°C,0,1,,,,instant",
                "station-1/bme280.temperature@reading,°C,10,3,,,,instant",
                "forecast 1min ahead,°C,5,,0,6,,forecast",
                "forecast 1min ahead,°C,10,,0.5,6.5,,forecast",
            ]
        );
    }

    #[test]
    fn a_second_export_does_not_overwrite_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a-session.ron");
        let names: Vec<String> = (0..3)
            .map(|_| {
                let path = free(&base, "csv");
                std::fs::write(&path, "").unwrap();
                path.file_name().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        assert_eq!(names, ["a-session.csv", "a-session-2.csv", "a-session-3.csv"]);
    }
}
