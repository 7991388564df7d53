//! A strip of a table's plots: one series, a bound, and stretches that are named above it.

use super::{
    super::{Bound, Happening, Series},
    Chart, Layer, MOST_SPANS, Plot, Span, file_name, wide,
};

/// What a strip shows.
pub struct Strip<'a> {
    /// Its title.
    pub title: String,
    /// What the line is.
    pub line: &'a str,
    /// Class of the line: `physical`, `twin` or `residual`.
    pub class: &'static str,
    /// The line.
    pub series: &'a Series,
    /// Thresholds drawn across it.
    pub bounds: &'a [Bound],
    /// Stretches above it, of kinds `label` and `alarm`.
    pub stretches: &'a [Happening],
    /// Length, [s].
    pub end_s: f64,
}

impl Strip<'_> {
    /// As a plot; `of` and the title name its file.
    pub fn plot(&self, of: &str) -> Plot {
        let named = |of| Span { of, label: of.detail.clone() };
        Chart {
            legend: vec![(self.class, self.line.to_owned())],
            layers: vec![Layer::Extremes(self.series, self.class), Layer::Line(self.series, self.class)],
            bounds: self.bounds,
            bounds_are: "threshold",
            named: true,
            spans: self.stretches.iter().take(MOST_SPANS).map(named).collect(),
            ..wide(self.title.clone(), "none", 110.0, self.end_s.max(1e-9))
        }
        .draw(file_name(&[of, &self.title]), of)
    }
}
