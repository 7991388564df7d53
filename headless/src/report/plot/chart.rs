//! One plot: its axes, its legend, its rows of faults and verdicts, and its data.

use super::super::{
    Bound, Series,
    axis::{limits, time_ticks, time_unit, value_ticks},
    escape,
    words::thousands,
};
use super::{
    Drawing, Plot,
    lanes::{self, Rows, Span},
    path,
};
use std::fmt::Write;
use twinfleet_engine::expect::unit_symbol;

const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 24.0;
/// Height of the title's row, and of each further row of the legend.
const TITLE: f64 = 30.0;
const LEGEND: f64 = 18.0;

/// What is drawn, from back to front; the last is its class.
pub(super) enum Layer<'a> {
    /// Between two series.
    Band(&'a Series, &'a Series, &'a str),
    /// Between the extremes of each point.
    Extremes(&'a Series, &'a str),
    /// Through each point's value.
    Line(&'a Series, &'a str),
}

impl Layer<'_> {
    /// Whether some of it lies farther from 0.
    fn reaches(&self, cut: f64) -> bool {
        match self {
            Self::Band(..) => false,
            Self::Extremes(s, _) | Self::Line(s, _) => {
                s.min.is_some_and(|v| v < -cut) || s.max.is_some_and(|v| v > cut)
            }
        }
    }
}

/// The worst moment of a failed expectation.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub t_s: f64,
    pub value: Option<f64>,
    /// What failed.
    pub text: String,
}

/// What a plot shows.
pub(super) struct Chart<'a> {
    pub title: String,
    pub unit: &'a str,
    /// Class and text of each entry.
    pub legend: Vec<(&'static str, String)>,
    pub layers: Vec<Layer<'a>>,
    pub bounds: &'a [Bound],
    /// What these are.
    pub bounds_are: &'static str,
    /// Values farther from 0 are drawn at the edge, if at all.
    pub cut: Option<f64>,
    /// Whether the line at 0 stands out and all bounds are shown.
    pub zero: bool,
    pub spans: Vec<Span<'a>>,
    /// Whether spans are named in rows above the plot, or shown within it only.
    pub named: bool,
    /// Whether they are shown within it, too.
    pub tinted: bool,
    pub marks: Vec<Mark>,
    pub width: f64,
    /// Width of a second drawing for narrow screens.
    pub narrow: Option<f64>,
    /// Height between the axes.
    pub area: f64,
    pub end_s: f64,
}

/// From values to places.
pub(super) struct Frame {
    pub x: (f64, f64),
    pub y: (f64, f64),
    end_s: f64,
    low: f64,
    high: f64,
}

impl Frame {
    pub(super) fn at(&self, t_s: f64, value: f64) -> (f64, f64) {
        (self.x(t_s), self.y(value))
    }

    pub(super) fn x(&self, t_s: f64) -> f64 {
        self.x.0 + (t_s / self.end_s).clamp(0.0, 1.0) * (self.x.1 - self.x.0)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        // What lies far outside is clipped anyway; far-off numbers would only make the file long.
        let part = ((value - self.low) / (self.high - self.low)).clamp(-3.0, 4.0);
        self.y.1 - part * (self.y.1 - self.y.0)
    }
}

/// Width of a text of 12 px in a wide typeface (DejaVu Sans), as glyphs are not known here.
pub(in super::super) fn width_of(text: &str) -> f64 {
    let glyph = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '\u{202f}' => 3.9,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' => 4.9,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '+' | '−' | '±' => 10.6,
        c if c.is_uppercase() => 8.4,
        _ => 7.5,
    };
    text.chars().map(glyph).sum()
}

/// Where each entry of a legend stands: x, row, index.
struct Legend {
    entries: Vec<(f64, usize, usize)>,
    rows: usize,
}

struct Layout<'a> {
    frame: Frame,
    width: f64,
    height: f64,
    legend: Legend,
    rows: Vec<Rows<'a>>,
}

impl Chart<'_> {
    /// Limits of the value axis: all lines, bounds that are near them, and of bands what is near the lines.
    fn range(&self) -> (f64, f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for layer in &self.layers {
            if let Layer::Line(s, _) | Layer::Extremes(s, _) = layer {
                low = s.min.map_or(low, |v| low.min(v));
                high = s.max.map_or(high, |v| high.max(v));
            }
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if let Some(cut) = self.cut {
            (low, high) = (low.clamp(-cut, cut), high.clamp(-cut, cut));
        }
        let near = (high - low) * 0.5;
        for level in self.bounds.iter().map(|b| b.level) {
            if (low - 2.0 * near..=high + 2.0 * near).contains(&level) || self.zero {
                (low, high) = (low.min(level), high.max(level));
            }
        }
        for layer in &self.layers {
            if let Layer::Band(lower, upper, _) = layer {
                low = low.min(lower.min.unwrap_or(low).max(low - near));
                high = high.max(upper.max.unwrap_or(high).min(high + near));
            }
        }
        limits(low, high, self.unit)
    }

    /// What the legend says: its own entries, and what else is drawn within the plot.
    fn entries(&self) -> Vec<(&'static str, String)> {
        let mut all = self.legend.clone();
        if !self.bounds.is_empty() {
            all.push(("dash", self.bounds_are.into()));
        }
        if let Some(cut) = self.cut.filter(|cut| self.layers.iter().any(|l| l.reaches(*cut))) {
            all.push(("", format!("cut off at ±{cut}")));
        }
        for (kind, class, name) in [
            ("fault", "shade", "fault injected"),
            ("disturbance", "shade", "disturbed"),
            ("verdict", "said", "verdict"),
        ] {
            if !self.named && self.spans.iter().any(|s| s.of.what == kind) {
                all.push((class, name.into()));
            }
        }
        if !self.marks.is_empty() {
            all.push(("mark", "worst moment of what failed".into()));
        }
        all
    }

    fn heading(&self) -> (String, String) {
        let unit = unit_symbol(self.unit);
        (self.title.clone(), if unit.is_empty() { String::new() } else { format!(" [{unit}]") })
    }

    fn legend_at(&self, width: f64) -> Legend {
        let entries = self.entries();
        // An entry without a class is a remark, without a key before it.
        let key = |i: usize| if entries[i].0.is_empty() { 0.0 } else { 24.0 };
        let wide = |i: usize| key(i) + width_of(&entries[i].1) + 14.0;
        let (title, unit) = self.heading();
        let taken = 4.0 + width_of(&title) * 1.22 + width_of(&unit) + 20.0;
        let all: f64 = (0..entries.len()).map(wide).sum();
        let beside = taken + all <= width - RIGHT + 14.0;
        let (mut x, mut row) = if beside { (width - RIGHT - all + 14.0, 0) } else { (4.0, 1) };
        let mut placed = Vec::new();
        for i in 0..entries.len() {
            if !beside && x > 4.0 && x + wide(i) > width {
                (x, row) = (4.0, row + 1);
            }
            placed.push((x, row, i));
            x += wide(i);
        }
        Legend { entries: placed, rows: if entries.is_empty() { 0 } else { row } }
    }

    fn layout(&self, width: f64) -> Layout<'_> {
        let (low, high) = self.range();
        let x = (LEFT, width - RIGHT);
        let legend = self.legend_at(width);
        let mut f = Frame { x, y: (0.0, 0.0), end_s: self.end_s, low, high };
        let rows = match self.named {
            true => Rows::pack(&self.spans, &|t| f.x(t), x, self.end_s),
            false => Vec::new(),
        };
        let top = TITLE
            + LEGEND * legend.rows as f64
            + rows.iter().map(Rows::height).sum::<f64>()
            + if rows.is_empty() { 0.0 } else { 3.0 };
        f.y = (top, top + self.area);
        Layout { frame: f, width, height: top + self.area + BOTTOM, legend, rows }
    }

    pub(super) fn draw(&self, file: String, of: &str) -> Plot {
        let wide = self.layout(self.width);
        let data = self.data(&wide.frame);
        let narrow = self.narrow.map(|width| {
            let layout = self.layout(width);
            let (from, to) = (&wide.frame, &layout.frame);
            let stretch = (to.x.1 - to.x.0) / (from.x.1 - from.x.0);
            let shift = (to.x.0 - stretch * from.x.0, to.y.0 - from.y.0);
            let turn = format!("matrix({stretch:.5} 0 0 1 {:.3} {:.3})", shift.0, shift.1);
            (self.drawing(&layout, &format!("cn-{file}")), turn)
        });
        Plot {
            wide: self.drawing(&wide, &format!("c-{file}")),
            narrow,
            data,
            file,
            of: of.to_owned(),
            label: escape(&format!("{of}: {}", self.title)),
        }
    }

    /// The lines and areas, the same in every width but for a stretch.
    fn data(&self, f: &Frame) -> String {
        let mut svg = String::new();
        for layer in &self.layers {
            match layer {
                Layer::Band(lower, upper, class) => {
                    path::area(&mut svg, f, &lower.points, &upper.points, class)
                }
                Layer::Extremes(s, class) => path::extremes(&mut svg, f, &s.points, class),
                Layer::Line(s, class) => path::line(&mut svg, f, &s.points, class),
            }
        }
        svg
    }

    /// What is drawn behind and before the data.
    fn drawing(&self, l: &Layout<'_>, clip: &str) -> Drawing {
        let f = &l.frame;
        let mut svg = String::new();
        self.header(&mut svg, l);
        self.axes(&mut svg, f);
        let mut y = TITLE + LEGEND * l.legend.rows as f64;
        for rows in &l.rows {
            rows.draw(&mut svg, y);
            y += rows.height();
        }
        let _ = write!(
            svg,
            "<clipPath id=\"{clip}\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>\
             <g clip-path=\"url(#{clip})\">",
            f.x.0,
            f.y.0,
            f.x.1 - f.x.0,
            f.y.1 - f.y.0
        );
        if self.tinted {
            lanes::shades(&mut svg, f, &self.spans, self.end_s);
        }
        for bound in self.bounds {
            let (a, b) = (f.x(bound.from_s), f.x(bound.to_s.unwrap_or(self.end_s)));
            let y = f.y(bound.level);
            let _ =
                write!(svg, "<line class=\"dash\" x1=\"{a:.1}\" x2=\"{b:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        }
        let mut front = String::from("</g>");
        self.marks(&mut front, f);
        if self.is_empty() {
            let (x, y) = ((f.x.0 + f.x.1) / 2.0, (f.y.0 + f.y.1) / 2.0);
            let _ = write!(
                front,
                "<text class=\"muted\" text-anchor=\"middle\" x=\"{x:.0}\" y=\"{y:.0}\">no data</text>"
            );
        }
        Drawing { width: l.width, height: l.height, back: svg, front }
    }

    fn is_empty(&self) -> bool {
        let empty = |l: &Layer<'_>| match l {
            Layer::Line(s, _) | Layer::Extremes(s, _) => s.points.is_empty(),
            Layer::Band(..) => true,
        };
        self.layers.iter().all(empty)
    }

    fn marks(&self, svg: &mut String, f: &Frame) {
        for mark in &self.marks {
            let x = f.x(mark.t_s);
            let _ = write!(
                svg,
                "<g><title>{}</title><line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                escape(&mark.text),
                f.y.0,
                f.y.1
            );
            if let Some(value) = mark.value {
                let y = f.y(value).clamp(f.y.0, f.y.1);
                let _ = write!(svg, "<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>");
            }
            svg.push_str("</g>");
        }
    }

    fn header(&self, svg: &mut String, l: &Layout<'_>) {
        let (title, unit) = self.heading();
        let _ = write!(svg, "<text class=\"title\" x=\"4\" y=\"15\">{}", escape(&title));
        let _ = write!(svg, "<tspan class=\"muted unit\">{}</tspan></text>", escape(&unit));
        let entries = self.entries();
        for (x, row, i) in &l.legend.entries {
            let (class, text) = &entries[*i];
            let y = 11.0 + LEGEND * *row as f64;
            let _ = match *class {
                "shade" => {
                    write!(
                        svg,
                        "<rect class=\"shade key\" x=\"{x:.0}\" y=\"{:.1}\" width=\"18\" height=\"10\"/>",
                        y - 5.0
                    )
                }
                "said" => {
                    write!(
                        svg,
                        "<rect class=\"said\" x=\"{x:.0}\" y=\"{:.1}\" width=\"18\" height=\"3\"/>",
                        y - 1.5
                    )
                }
                "mark" => {
                    write!(svg, "<circle class=\"mark\" cx=\"{:.0}\" cy=\"{y:.1}\" r=\"5\"/>", x + 9.0)
                }
                "dash" => write!(
                    svg,
                    "<line class=\"dash\" x1=\"{x:.0}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                    x + 18.0
                ),
                "" => Ok(()),
                line => write!(
                    svg,
                    "<line class=\"l {line}\" x1=\"{x:.0}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                    x + 18.0
                ),
            };
            let _ = write!(
                svg,
                "<text class=\"muted\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
                if class.is_empty() { *x } else { x + 24.0 },
                y + 4.0,
                escape(text)
            );
        }
    }

    fn axes(&self, svg: &mut String, f: &Frame) {
        let (ticks, decimals) = value_ticks(f.low, f.high, ((f.y.1 - f.y.0) / 40.0).max(2.0) as usize);
        for tick in ticks {
            let y = f.y(tick);
            let class = if self.zero && tick == 0.0 { "zero" } else { "grid" };
            let label = match decimals {
                0 => thousands(tick),
                _ => format!("{tick:.decimals$}").replace('-', "−"),
            };
            let _ = write!(
                svg,
                "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
                f.x.0,
                f.x.1,
                f.x.0 - 7.0,
                y + 4.0
            );
        }
        for (t, label) in time_ticks(0.0, self.end_s, ((f.x.1 - f.x.0) / 75.0) as usize) {
            let x = f.x(t);
            let anchor = if x > f.x.1 - 16.0 { "end" } else { "middle" };
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                f.y.0,
                f.y.1,
                f.y.1 + 17.0
            );
        }
        let _ = write!(
            svg,
            "<text class=\"muted\" x=\"4\" y=\"{:.1}\">{}</text><path class=\"frame\" d=\"M{:.1} {:.1}H{:.1}\"/>",
            f.y.1 + 17.0,
            time_unit(self.end_s),
            f.x.0,
            f.y.1,
            f.x.1
        );
    }
}
