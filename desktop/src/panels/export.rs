//! Plots as files: CSV for tables, SVG for print, PNG of the window.

use super::{
    desk::Desk,
    plots::{Drawn, Series},
};
use crate::stage::refresh::class_color;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

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
    /// A picture of the window.
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
            Self::Png => "Write a picture of the window beside the scenario",
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
            desk.snap = Some(path);
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

/// One line a value: `signal,time_s,value,unit`.
pub fn csv(plots: &[Drawn]) -> String {
    let mut text = "signal,time_s,value,unit\n".to_owned();
    for series in plots.iter().flat_map(|p| &p.series) {
        for [t, v] in &series.points {
            let _ = writeln!(text, "{},{t},{v},{}", series.name, series.unit);
        }
    }
    text
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
    /// Around all lines and forecasts of a plot; none where there are none.
    fn around(plot: &Drawn, top: f64, bottom: f64) -> Option<Self> {
        let of_band = |b: &super::plots::Band| {
            let edges = b.low.iter().chain(&b.high);
            b.xs.iter().chain(&b.xs).copied().zip(edges.copied()).map(|(x, y)| [x, y]).collect::<Vec<_>>()
        };
        let lines = plot.series.iter().flat_map(|s| s.points.iter().copied());
        let all: Vec<[f64; 2]> = lines.chain(plot.bands.iter().flat_map(of_band)).collect();
        let range = |axis: usize| {
            all.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| {
                (low.min(p[axis]), high.max(p[axis]))
            })
        };
        let (x, y) = (range(0), range(1));
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

fn share(v: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (v - low) / (high - low) } else { 0.5 }
}

fn one(text: &mut String, plot: &Drawn, top: f64) {
    let below = legend(text, plot, top);
    let Some(frame) = Frame::around(plot, below, top + SIZE.1 - BOTTOM) else { return };
    grid(text, &frame);
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
    for band in &plot.bands {
        let there = band.xs.iter().copied().zip(band.low.iter().copied());
        let back = band.xs.iter().copied().zip(band.high.iter().copied()).rev();
        let points = frame.points(there.chain(back));
        let _ = writeln!(
            text,
            "<polygon class=\"forecast\" points=\"{points}\" fill=\"#56b4e9\" fill-opacity=\"0.25\"/>"
        );
    }
    for (k, series) in plot.series.iter().enumerate() {
        let (color, faint) = line(k, plot.own);
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
fn line(k: usize, own: usize) -> (&'static str, f64) {
    (COLORS[k % own.max(1) % COLORS.len()], if k < own { 1.0 } else { 0.5 })
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
        |(k, s): (usize, &Series)| (line(k, plot.own).0.to_owned(), format!("{} [{}]", s.name, s.unit));
    let mut entries: Vec<(String, String)> = plot.series.iter().enumerate().map(of_series).collect();
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
    use crate::{
        panels::plots::{Band, Mark},
        sim::spell::Class,
    };

    fn four() -> Drawn {
        let series = |k: usize| Series {
            name: format!("station-{k}/bme280.temperature@reading"),
            unit: "°C".to_owned(),
            points: vec![[0.0, 1.0], [10.0, 2.0 + k as f64]],
            band: None,
        };
        Drawn {
            series: (0..4).map(series).collect(),
            own: 4,
            bands: vec![Band {
                name: "forecast 1min ahead".to_owned(),
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
