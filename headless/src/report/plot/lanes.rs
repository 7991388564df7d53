//! Faults, disturbances and verdicts above a plot: a bar each, with its name, in as many rows as they need.

use super::super::{Happening, escape, words::clock};
use super::chart::{Frame, width_of};
use std::fmt::Write;

/// Height of a row.
pub(super) const ROW: f64 = 17.0;
/// Rows of one kind; what does not fit is drawn without its name.
const MOST_ROWS: usize = 4;
/// Room between neighbours.
const AIR: f64 = 6.0;

/// Something with a beginning, perhaps an end, and a name.
#[derive(Clone, Debug)]
pub(super) struct Span<'a> {
    pub of: &'a Happening,
    /// What stands on or beside the bar.
    pub label: String,
}

/// The kinds, in the order in which their rows stand, and what the rows are called.
pub(super) const KINDS: [(&str, &str); 6] = [
    ("stage", "stage"),
    ("fault", "injected"),
    ("disturbance", "disturbed"),
    ("label", "labelled"),
    ("verdict", "verdict"),
    ("alarm", "alarm"),
];

/// Where the name of a bar stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Within,
    After,
    Before,
    Nowhere,
}

struct Bar<'a> {
    span: &'a Span<'a>,
    a: f64,
    b: f64,
    side: Side,
}

/// The bars of a kind in rows, none of which overlap, names included.
pub(super) struct Rows<'a> {
    pub kind: &'static str,
    pub name: &'static str,
    rows: Vec<Vec<Bar<'a>>>,
}

impl<'a> Rows<'a> {
    /// Packs the bars of each kind that there is, at a plot's place from `x.0` to `x.1`.
    pub(super) fn pack(
        spans: &'a [Span<'a>],
        place: &dyn Fn(f64) -> f64,
        x: (f64, f64),
        end_s: f64,
    ) -> Vec<Self> {
        let kinds = KINDS.into_iter().filter(|(kind, _)| spans.iter().any(|s| s.of.what == *kind));
        let pack = |(kind, name): (&'static str, &'static str)| {
            let mut rows: Vec<(f64, Vec<Bar<'a>>)> = Vec::new();
            let mut of_kind: Vec<&Span<'_>> = spans.iter().filter(|s| s.of.what == kind).collect();
            of_kind.sort_by(|s, t| s.of.from_s.total_cmp(&t.of.from_s));
            for span in of_kind {
                let a = place(span.of.from_s);
                let b = place(span.of.to_s.unwrap_or(end_s)).max(a + 3.0);
                let label = width_of(&span.label) + 4.0;
                let (side, from, to) = match label {
                    w if w + AIR < b - a => (Side::Within, a, b),
                    w if b + w <= x.1 => (Side::After, a, b + w),
                    w if a - w >= x.0 => (Side::Before, a - w, b),
                    _ => (Side::Nowhere, a, b),
                };
                let free = rows.iter().position(|(until, _)| *until + AIR <= from);
                let full = rows.len() >= MOST_ROWS;
                let at = free.unwrap_or(rows.len().min(MOST_ROWS - 1));
                if at == rows.len() {
                    rows.push((f64::NEG_INFINITY, Vec::new()));
                }
                let (until, row) = &mut rows[at];
                // Where there is no room for its name, the table has it.
                let crowded = free.is_none() && full;
                *until = until.max(if crowded { b } else { to });
                row.push(Bar { span, a, b, side: if crowded { Side::Nowhere } else { side } });
            }
            Self { kind, name, rows: rows.into_iter().map(|(_, row)| row).collect() }
        };
        kinds.map(pack).collect()
    }

    /// Height of all its rows.
    pub(super) fn height(&self) -> f64 {
        ROW * self.rows.len() as f64
    }

    /// Draws it, its first row at `y`.
    pub(super) fn draw(&self, svg: &mut String, y: f64) {
        let _ = write!(svg, "<text class=\"muted\" x=\"4\" y=\"{:.1}\">{}</text>", y + 10.0, self.name);
        for (at, row) in self.rows.iter().enumerate() {
            let y = y + ROW * at as f64;
            for bar in row {
                self.bar(svg, bar, y);
            }
        }
    }

    fn bar(&self, svg: &mut String, bar: &Bar<'_>, y: f64) {
        let h = bar.span.of;
        let until = h.to_s.map_or("the end".to_owned(), clock);
        let part = if h.part.is_empty() { String::new() } else { format!("/{}", h.part) };
        let told = format!("{} {}{part}: {}, {} – {until}", h.what, h.subject, h.detail, clock(h.from_s));
        let _ = write!(
            svg,
            "<rect class=\"bar {}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"13\" rx=\"2\"><title>{}</title></rect>",
            self.kind,
            bar.a,
            bar.b - bar.a,
            escape(&told)
        );
        let (x, anchor, class) = match bar.side {
            Side::Within => ((bar.a + bar.b) / 2.0, "middle", "onbar"),
            Side::After => (bar.b + 4.0, "start", "muted"),
            Side::Before => (bar.a - 4.0, "end", "muted"),
            Side::Nowhere => return,
        };
        let _ = write!(
            svg,
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            y + 10.5,
            escape(&bar.span.label)
        );
    }
}

/// Tints what was injected, and underlines what a twin said, within a plot.
pub(super) fn shades(svg: &mut String, f: &Frame, spans: &[Span<'_>], end_s: f64) {
    for span in spans {
        let (a, b) = (f.x(span.of.from_s), f.x(span.of.to_s.unwrap_or(end_s)));
        let (class, height) = if matches!(span.of.what.as_str(), "verdict" | "alarm") {
            ("said", 3.0)
        } else {
            ("shade", f.y.1 - f.y.0)
        };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{a:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            f.y.0,
            (b - a).max(1.5)
        );
    }
}
