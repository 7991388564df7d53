//! The page of `--report DIR`: of each stream its signals, the score with its threshold, what was labelled and what was told.

use super::{files::Stream, stream::Watched};
use crate::report::{Bound, Happening, Point, Series, escape, plot::Strip};
use std::{fmt::Write, io::Write as _, path::Path};
use twinfleet_engine::{aside::Aside, detect::metrics::events};

/// Points of a line; a stretch of rows is drawn by its extremes.
const MOST_POINTS: usize = 1500;
/// Streams that are drawn; the others are in the figures.
const MOST_STREAMS: usize = 60;
/// Signals that are drawn of one stream: those named in alarms first.
const MOST_SIGNALS: usize = 8;
/// What the line of scores is.
const SCORE: &str = "how unusual a row is, beside its threshold";
/// Levels of a threshold that are drawn at most.
const MOST_LEVELS: usize = 400;

/// A page in the making.
#[derive(Debug, Default)]
pub struct Page {
    body: String,
    streams: usize,
}

fn series(t_s: &[f64], values: impl Fn(usize) -> f64) -> Series {
    let each = t_s.len().div_ceil(MOST_POINTS).max(1);
    let mut points = Vec::new();
    for from in (0..t_s.len()).step_by(each) {
        let rows = from..(from + each).min(t_s.len());
        let finite: Vec<f64> = rows.clone().map(&values).filter(|v| v.is_finite()).collect();
        let least = finite.iter().copied().reduce(f64::min);
        let most = finite.iter().copied().reduce(f64::max);
        if let (Some(min), Some(max), Some(value)) = (least, most, finite.last()) {
            points.push(Point { t_s: t_s[rows.end - 1], min, max, value: *value });
        }
    }
    Series::new(points, t_s.len() as u64)
}

/// The threshold through time, as levels that hold for a while each.
fn levels(t_s: &[f64], thresholds: &[f64]) -> Vec<Bound> {
    let each = t_s.len().div_ceil(MOST_LEVELS).max(1);
    let mut all: Vec<Bound> = Vec::new();
    for (t, level) in t_s.iter().zip(thresholds).step_by(each).map(|(t, level)| (*t, *level)) {
        let last = all.last_mut().filter(|b| b.to_s.is_none());
        if last.as_ref().is_some_and(|b| b.level == level) {
            continue;
        }
        if let Some(last) = last {
            last.to_s = Some(t);
        }
        if level.is_finite() {
            all.push(Bound { level, from_s: t, to_s: None });
        }
    }
    all
}

/// What stands above the plots: labelled stretches, alarms with the signals they name.
fn stretches(stream: &Stream, watched: &Watched) -> Vec<Happening> {
    let t = |i: usize| stream.table.t_s.get(i).copied();
    let stretch = |what: &str, from: usize, to: usize, detail: String| Happening {
        from_s: t(from).unwrap_or(0.0),
        to_s: t(to),
        what: what.to_owned(),
        detail,
        ..Happening::default()
    };
    let labels = stream.labels.as_deref().unwrap_or_default();
    let labelled = events(labels).into_iter().map(|(a, b)| stretch("label", a, b, String::new()));
    let several = stream.table.columns.len() > 1;
    let alarms = watched.alarms().into_iter().map(|a| {
        let named = a.blamed.first().filter(|_| several).map(|k| stream.table.columns[*k].name.clone());
        stretch("alarm", a.from, a.to, named.unwrap_or_default())
    });
    labelled.chain(alarms).collect()
}

impl Page {
    /// Adds a stream.
    pub fn add(&mut self, stream: &Stream, watched: &Watched) {
        self.streams += 1;
        if self.streams > MOST_STREAMS {
            return;
        }
        let t_s = &stream.table.t_s;
        let end_s = t_s.last().copied().unwrap_or(0.0);
        let above = stretches(stream, watched);
        let of = format!("{} {}", self.streams, stream.name);
        // Writing into a string cannot fail.
        let _ = writeln!(
            self.body,
            "<h2 title=\"{}\">{}<small>{} rows</small></h2>",
            escape(&stream.name),
            escape(short(&stream.name)),
            t_s.len()
        );
        let mut shown: Vec<usize> = Vec::new();
        let named = watched.alarms().into_iter().flat_map(|a| a.blamed);
        for k in named.chain(0..stream.table.columns.len()) {
            if !shown.contains(&k) && shown.len() < MOST_SIGNALS {
                shown.push(k);
            }
        }
        for k in shown {
            let column = &stream.table.columns[k];
            let line = series(t_s, |i| column.values[i]);
            let strip = Strip {
                title: column.name.clone(),
                line: "reading",
                class: "physical",
                series: &line,
                bounds: &[],
                stretches: &above,
                end_s,
            };
            self.push(&strip, &of);
        }
        let line = series(t_s, |i| watched.steps[i].score);
        let bounds = levels(t_s, &watched.thresholds);
        let strip = Strip {
            title: "score".to_owned(),
            line: SCORE,
            class: "residual",
            series: &line,
            bounds: &bounds,
            stretches: &above,
            end_s,
        };
        self.push(&strip, &of);
    }

    fn push(&mut self, strip: &Strip<'_>, of: &str) {
        let _ = writeln!(self.body, "<div class=\"card plot\">{}</div>", strip.plot(of).inline());
    }

    /// Writes `report.html` into the folder; `lines` are the figures in words.
    pub fn write(&self, folder: &Path, lines: &[String]) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut out = Aside::create(&folder.join("report.html"))?;
        let (style, page) = (include_str!("../../report/style.css"), include_str!("../../report/page.css"));
        let figures: String = lines.iter().map(|l| format!("<p>{}</p>\n", escape(l))).collect();
        let more = match self.streams.saturating_sub(MOST_STREAMS) {
            0 => String::new(),
            n => format!("<p class=\"more\">{n} more streams are not drawn.</p>\n"),
        };
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>What was detected</title>\
             <style>\n{style}{page}</style></head><body><main>\n\
             <div class=\"brand\">Twinfleet · score detect</div>\n<h1 class=\"none\">What was detected</h1>\n\
             <div class=\"card\">{figures}</div>\n{}{more}</main></body></html>\n",
            self.body
        )?;
        out.finish()
    }
}

/// A file's name without its folders.
fn short(name: &str) -> &str {
    Path::new(name).file_name().and_then(|n| n.to_str()).unwrap_or(name)
}
