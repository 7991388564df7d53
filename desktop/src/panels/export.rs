//! Plots as files: CSV for tables, SVG for print, PNG of the window.

use super::{desk::Desk, plots::Series};
use std::fmt::Write as _;

/// Width and height of one plot in an SVG.
const SIZE: (f64, f64) = (900.0, 300.0);

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
}

/// Writes all plots beside the scenario.
pub fn write(desk: &mut Desk, kind: Kind, plots: &[Vec<Series>]) {
    let base = desk.save_path();
    let path = std::path::Path::new(&base).with_extension(kind.name().to_lowercase());
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

/// One line a value: `signal,time_s,value,unit`.
pub fn csv(plots: &[Vec<Series>]) -> String {
    let mut text = "signal,time_s,value,unit\n".to_owned();
    for series in plots.iter().flatten() {
        for [t, v] in &series.points {
            let _ = writeln!(text, "{},{t},{v},{}", series.name, series.unit);
        }
    }
    text
}

/// The plots below each other.
pub fn svg(plots: &[Vec<Series>]) -> String {
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

fn one(text: &mut String, plot: &[Series], top: f64) {
    let (w, h) = SIZE;
    let (left, right, bottom) = (70.0, 20.0, 34.0);
    let points = || plot.iter().flat_map(|s| &s.points);
    let range = |axis: usize| {
        points()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
    };
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    if !(x1 >= x0 && y1 >= y0) {
        return;
    }
    let share = |v: f64, low: f64, high: f64| if high > low { (v - low) / (high - low) } else { 0.5 };
    let x = |v: f64| left + share(v, x0, x1) * (w - left - right);
    let y = |v: f64| top + h - bottom - share(v, y0, y1) * (h - bottom - 24.0);
    for k in 0..=4 {
        let (vx, vy) = (x0 + (x1 - x0) * f64::from(k) / 4.0, y0 + (y1 - y0) * f64::from(k) / 4.0);
        let _ = writeln!(
            text,
            "<line x1=\"{left}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text><text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            w - right,
            left - 6.0,
            crate::units::number(vy),
            x(vx),
            top + h - bottom + 16.0,
            super::plots::clock(vx),
            y = y(vy),
        );
    }
    for (k, series) in plot.iter().enumerate() {
        let color = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"][k % 6];
        let line: Vec<String> =
            series.points.iter().map(|p| format!("{:.1},{:.1}", x(p[0]), y(p[1]))).collect();
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\" points=\"{}\"/>",
            line.join(" ")
        );
        let name = series.name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\">{name} [{}]</text>",
            left + 8.0 + 270.0 * k as f64,
            top + 16.0,
            series.unit
        );
    }
}
