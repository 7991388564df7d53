//! Pictures of forecasts: fans from some origins, tracks over all that was judged, and how reliable intervals of several
//! probabilities were; with the figures, a page.

use super::figures::Figures;
use crate::{
    datasheet::plot::{Sheet as Drawing, time_unit},
    report::escape,
    score::forecast::walk::Sheet,
};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside::Aside,
    predict::conformal::{Intervals, Issued},
};
use twinfleet_twins::predictors::task::Task;

/// Targets that are drawn.
const TARGETS: usize = 4;
/// Fans of each target.
const FANS: usize = 3;
/// Points of a track.
const POINTS: usize = 700;
/// Horizons whose tracks are drawn, and those on which reliability is measured.
const TRACKS: usize = 3;
const MEASURED: usize = 8;
/// Probabilities whose intervals are measured.
const LEVELS: [f64; 7] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95];
type Points = Vec<(f64, f64)>;

/// A line of what came, a line of what was forecast, and the bounds about it.
#[derive(Clone, Debug, Default)]
struct Lines {
    title: String,
    name: String,
    target: usize,
    came: Points,
    told: Points,
    lower: Points,
    upper: Points,
}

/// Intervals of one probability, and how often they held.
struct Level {
    probability: f64,
    intervals: Intervals,
    held: u64,
    n: u64,
}

/// What is drawn.
pub struct Gallery {
    fans: Vec<Lines>,
    tracks: Vec<Lines>,
    levels: Vec<Level>,
    measured: Vec<usize>,
    fan_at: Vec<usize>,
    thin: usize,
    seen: usize,
    first: usize,
    /// Units of time of the tracks and of the fans.
    scale: (f64, &'static str),
    fan_scale: (f64, &'static str),
}

fn some(n: usize, most: usize) -> Vec<usize> {
    let most = most.min(n);
    (0..most).map(|i| if most == 1 { n - 1 } else { i * (n - 1) / (most - 1) }).collect()
}

impl Gallery {
    /// Empty, for these origins.
    pub fn new(task: &Task, sheet: &Sheet, origins: &[usize], day: Option<usize>) -> Self {
        let measured = some(task.horizons.len(), MEASURED);
        let horizons: Vec<usize> = measured.iter().map(|k| task.horizons[*k]).collect();
        let level = |probability| Level {
            probability,
            intervals: Intervals::new(task.targets.len(), &horizons, probability, day),
            held: 0,
            n: 0,
        };
        let mut tracks = Vec::new();
        for (c, name) in sheet.names.iter().enumerate().take(TARGETS) {
            for k in some(task.horizons.len(), TRACKS) {
                let title = format!("{name}: {} rows ahead", task.horizons[k]);
                tracks.push(Lines { title, name: name.clone(), target: c, ..Lines::default() });
            }
        }
        let step_s = task.series.step_s;
        Self {
            fans: Vec::new(),
            tracks,
            levels: LEVELS.map(level).into(),
            measured,
            fan_at: some(origins.len(), FANS + 2)[1..].iter().take(FANS).map(|i| origins[*i]).collect(),
            thin: origins.len().div_ceil(POINTS).max(1),
            seen: 0,
            first: origins.first().copied().unwrap_or(0),
            scale: time_unit(
                origins
                    .last()
                    .zip(origins.first())
                    .map_or(0.0, |(last, first)| (last - first) as f64 * step_s),
            ),
            fan_scale: time_unit(task.longest() as f64 * step_s),
        }
    }

    /// Tells the intervals of all probabilities the readings of a target before its first forecast.
    pub fn expect_of(&mut self, target: usize, past: &[f64]) {
        for level in &mut self.levels {
            level.intervals.expect_of(target, past);
        }
    }

    /// Lets the intervals of all probabilities hear what came; of what is judged, counts what held.
    pub fn hear(&mut self, task: &Task, origin: usize, forecast: &[f64], judged: bool) {
        let h = task.horizons.len();
        let some: Vec<f64> = (0..task.targets.len())
            .flat_map(|c| self.measured.iter().map(move |k| c * h + k))
            .map(|at| forecast[at])
            .collect();
        for level in &mut self.levels {
            level.intervals.settle(origin, |c, slot| task.target(c, slot, 0));
            let told = level.intervals.issue(origin, some.clone());
            if !judged {
                continue;
            }
            for (at, (low, high)) in told.lower.iter().zip(&told.upper).enumerate() {
                let (c, k) = (at / self.measured.len(), self.measured[at % self.measured.len()]);
                let came = task.target(c, origin, task.horizons[k]);
                if came.is_finite() && low.is_finite() {
                    level.n += 1;
                    level.held += u64::from((*low..=*high).contains(&came));
                }
            }
        }
    }

    /// Keeps a forecast if it is one that is drawn.
    pub fn keep(&mut self, task: &Task, sheet: &Sheet, told: &Issued) {
        let h = task.horizons.len();
        let origin = told.origin;
        let ks = some(h, TRACKS);
        if self.seen.is_multiple_of(self.thin) {
            for (i, lines) in self.tracks.iter_mut().enumerate() {
                let (c, k) = (i / ks.len(), ks[i % ks.len()]);
                let at = c * h + k;
                let x = (origin + task.horizons[k] - self.first) as f64 * task.series.step_s / self.scale.0;
                lines.came.push((x, task.target(c, origin, task.horizons[k])));
                lines.told.push((x, told.forecast[at]));
                lines.lower.push((x, told.lower[at]));
                lines.upper.push((x, told.upper[at]));
            }
        }
        self.seen += 1;
        if !self.fan_at.contains(&origin) {
            return;
        }
        let step = task.series.step_s / self.fan_scale.0;
        for (c, name) in sheet.names.iter().enumerate().take(TARGETS) {
            let longest = task.longest();
            let read = task.series.channel(task.targets[c]);
            let past = origin.saturating_sub(longest.max(12));
            let until = (origin + longest).min(read.len() - 1);
            let thin = ((until - past) / 600).max(1);
            let x = |slot: usize| (slot as f64 - origin as f64) * step;
            let came = (past..=until).step_by(thin).map(|s| (x(s), read[s])).filter(|p| p.1.is_finite());
            let of = |values: &[f64]| -> Points {
                let now = read[origin];
                let start = now.is_finite().then_some((0.0, now));
                let each = task.horizons.iter().enumerate().map(|(k, a)| (x(origin + a), values[c * h + k]));
                start.into_iter().chain(each).collect()
            };
            self.fans.push(Lines {
                title: format!("{name} from {}", sheet.time(origin)),
                name: name.clone(),
                target: c,
                came: came.collect(),
                told: of(&told.forecast),
                lower: of(&told.lower),
                upper: of(&told.upper),
            });
        }
    }

    /// Writes the page and its pictures; returns the page's path.
    pub fn write(&self, dir: &Path, head: &str, about: &str, figures: &Figures) -> io::Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let mut page = String::new();
        let (style, layout) = (include_str!("../../report/style.css"), include_str!("../../report/page.css"));
        page += &format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{0}</title>\
             <style>\n{style}{layout}</style></head><body><main>\n\
             <div class=\"brand\">Twinfleet · score forecast</div>\n<h1 class=\"none\">{0}</h1>\n\
             <p class=\"about\">{1}</p>\n",
            escape(head),
            escape(about)
        );
        page += &figures.html();
        page += "<h2>Reliability of the intervals</h2>\n";
        let reliable = self.reliability();
        page += &format!("<div class=\"two\"><div class=\"card plot\">{reliable}</div></div>\n");
        write(&dir.join("reliability.svg"), &reliable)?;
        for (title, word, all) in
            [("Fans", "fan", &self.fans), ("Over all that was judged", "track", &self.tracks)]
        {
            page += &format!("<h2>{title}</h2>\n<div class=\"two\">\n");
            let unit = match word {
                "fan" => format!("{} from the origin", self.fan_scale.1),
                _ => format!("{} from the first forecast", self.scale.1),
            };
            for (i, lines) in all.iter().enumerate() {
                let svg = draw(lines, &unit);
                write(&dir.join(format!("{word}-{}-{}.svg", lines.target + 1, i + 1)), &svg)?;
                page += &format!("<div class=\"card plot\">{svg}</div>\n");
            }
            page += "</div>\n";
        }
        page += "</main></body></html>\n";
        let path = dir.join("report.html");
        write(&path, &page)?;
        Ok(path)
    }

    fn reliability(&self) -> String {
        let points: Points = (self.levels.iter().filter(|l| l.n > 0))
            .map(|l| (100.0 * l.probability, 100.0 * l.held as f64 / l.n as f64))
            .collect();
        let names = ("probability promised, %", "share held, %");
        let mut drawing = Drawing::new("Promised and held", (0.0, 100.0, false), (0.0, 100.0, false), names);
        drawing.line(&[(0.0, 0.0), (100.0, 100.0)], "dash");
        drawing.line(&points, "l twin");
        drawing.dots(&points, "physical");
        drawing.legend(&[("l twin", "held"), ("dash", "as promised")]);
        drawing.done()
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = Aside::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

fn draw(lines: &Lines, unit: &str) -> String {
    let all = || lines.came.iter().chain(&lines.told).chain(&lines.lower).chain(&lines.upper);
    let finite = |f: fn(&(f64, f64)) -> f64| all().map(f).filter(|v| v.is_finite());
    let range = |f| {
        let (low, high) =
            finite(f).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low < high { (low, high) } else { (low.min(0.0) - 1.0, high.max(0.0) + 1.0) }
    };
    let (x, y) = (range(|p| p.0), range(|p| p.1));
    if !(x.0.is_finite() && y.0.is_finite()) {
        return String::new();
    }
    let air = 0.05 * (y.1 - y.0);
    let mut drawing = Drawing::new(
        &escape(&lines.title),
        (x.0, x.1, false),
        (y.0 - air, y.1 + air, false),
        (unit, &escape(&lines.name)),
    );
    drawing.band(&lines.lower, &lines.upper, "a twin");
    drawing.line(&lines.came, "l physical");
    drawing.line(&lines.told, "l twin");
    drawing.legend(&[("l physical", "what came"), ("l twin", "forecast and interval")]);
    drawing.done()
}
