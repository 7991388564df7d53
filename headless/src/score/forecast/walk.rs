//! Forward through a table: forecasts from each origin, intervals from what has come due, figures of what came.

use super::{figures::Figures, gallery::Gallery};
use crate::{series_args::Parts, table};
use std::io::{self, Write};
use twinfleet_engine::{aside::Aside, predict::conformal::Intervals, scenario::recording::Table};
use twinfleet_twins::predictors::{Model, task::Task};

/// Origins that a model is asked about at once.
const BLOCK: usize = 64;
/// Times that a model learns again on the way, about.
const REFITS: usize = 12;
/// Origins on which the intervals learn at most before the part that is judged.
const CALIBRATION: usize = 2000;

/// What is walked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Parts of the table.
    pub parts: Parts,
    /// Rows from origin to origin.
    pub every: usize,
    /// Probability of the intervals.
    pub interval: f64,
    /// Whether what comes due on the way is not learnt from.
    pub frozen: bool,
    /// Whether pictures are kept.
    pub drawn: bool,
}

/// How rows are written: times, names and decimals.
#[derive(Debug)]
pub struct Sheet {
    /// Per slot the time as text; empty where the table has no row.
    times: Vec<String>,
    /// Per slot the day that it lies in.
    pub days: Vec<i64>,
    /// Name of each target.
    pub names: Vec<String>,
    decimals: Vec<usize>,
    /// Mean and deviation of each target's training rows.
    pub scales: Vec<(f64, f64)>,
}

impl Sheet {
    /// Of a table's rows; `train` of them tell mean and deviation.
    pub fn new(table: &Table, task: &Task, train: usize) -> Self {
        let slots = task.series.slots();
        let mut times = vec![String::new(); slots];
        let mut days = vec![0; slots];
        for (row, (slot, t)) in task.series.row_slots().iter().zip(&table.t_s).enumerate() {
            times[*slot] = table::row_text(table, row);
            let unix_s = table.t0_unix_ns.map_or(0.0, |ns| ns as f64 / 1e9) + t;
            days[*slot] = (unix_s / 86_400.0).floor() as i64;
        }
        let scales: Vec<(f64, f64)> = (task.targets.iter())
            .map(|t| {
                let seen = table.columns[*t].values[..train].iter().filter(|v| v.is_finite());
                let n = seen.clone().count().max(1) as f64;
                let mean = seen.clone().sum::<f64>() / n;
                let var = seen.map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                (mean, if var > 0.0 { var.sqrt() } else { 1.0 })
            })
            .collect();
        // Five digits below the deviation: more is noise, and a file of millions of rows.
        let decimals = scales.iter().map(|s| (5.0 - s.1.log10().floor()).clamp(0.0, 12.0) as usize).collect();
        let names = task.targets.iter().map(|t| table::cell(&table.columns[*t].name)).collect();
        Self { times, days, names, decimals, scales }
    }
}

impl Sheet {
    /// The time of a slot; empty where the table has no row.
    pub fn time(&self, slot: usize) -> &str {
        &self.times[slot]
    }
}

/// Walks: learns, lets the intervals learn, learns again from all before the part that is judged, and judges.
pub fn walk(
    task: &Task,
    model: &mut dyn Model,
    settings: &Settings,
    sheet: &Sheet,
    mut out: Option<&mut Aside>,
    gallery: &mut Option<Gallery>,
) -> io::Result<Figures> {
    let Parts { train, test } = settings.parts;
    let rows = task.series.row_slots();
    let day = task.series.slots_in(86_400.0);
    let mut intervals = Intervals::new(task.targets.len(), &task.horizons, settings.interval, day);
    let mut figures = Figures::new(task, sheet, settings.interval);
    if let Some(out) = &mut out {
        writeln!(out, "origin,channel,horizon,time,target,forecast,lower,upper")?;
    }
    // Intervals learn from forecasts of rows that the model has not seen.
    let begin = if test > train { train } else { train - train / 5 };
    let all: Vec<usize> = rows[begin - 1..test - 1].to_vec();
    let thin = all.len().div_ceil(CALIBRATION).max(1);
    let all: Vec<usize> = all.into_iter().step_by(thin).collect();
    let last = task.series.slots() - 1;
    // A range is judged where all of it came.
    let need = if task.squared { task.longest() } else { task.horizons[0] };
    let judged = rows[test - 1..].iter().step_by(settings.every).copied();
    let judged: Vec<usize> = judged.filter(|o| o + need <= last).collect();
    if settings.drawn {
        *gallery = Some(Gallery::new(task, sheet, &judged, day));
    }
    for (c, target) in task.targets.iter().enumerate() {
        let past = &task.series.channel(*target)[..rows[begin - 1] + 1];
        intervals.expect_of(c, past);
        if let Some(gallery) = gallery.as_mut() {
            gallery.expect_of(c, past);
        }
    }
    model.fit(task, rows[begin - 1] + 1);
    let came = |c: usize, slot: usize| task.target(c, slot, 0);
    each_origin(task, model, &all, usize::MAX, |origin, forecast| {
        if let Some(gallery) = gallery.as_mut() {
            gallery.hear(task, origin, &forecast, false);
        }
        intervals.settle(origin, came);
        intervals.issue(origin, forecast);
        Ok(())
    })?;
    model.fit(task, rows[test - 1] + 1);
    let mut line = Vec::new();
    let refit = match settings.frozen {
        true => usize::MAX,
        false => ((last + 1 - rows[test - 1]) / REFITS).max(day.unwrap_or(50)).max(1),
    };
    each_origin(task, model, &judged, refit, |origin, forecast| {
        if let Some(gallery) = gallery.as_mut() {
            gallery.hear(task, origin, &forecast, true);
        }
        intervals.settle(origin, came);
        let told = intervals.issue(origin, forecast);
        if let Some(gallery) = gallery.as_mut() {
            gallery.keep(task, sheet, told);
        }
        for c in 0..task.targets.len() {
            let base = task.series.held(task.targets[c])[origin];
            for (k, ahead) in task.horizons.iter().enumerate() {
                let due = origin + ahead;
                if due > last || sheet.times[due].is_empty() {
                    continue;
                }
                let at = c * task.horizons.len() + k;
                let (f, low, high) = (told.forecast[at], told.lower[at], told.upper[at]);
                let came = task.target(c, origin, *ahead);
                figures.add((c, k), due, sheet, (f, low, high), base, came);
                if let Some(out) = &mut out {
                    line.clear();
                    let d = sheet.decimals[c];
                    write!(line, "{},{},{ahead},{},", sheet.times[origin], sheet.names[c], sheet.times[due])?;
                    if came.is_finite() {
                        write!(line, "{came}")?;
                    }
                    if f.is_finite() {
                        writeln!(line, ",{f:.d$},{low:.d$},{high:.d$}")?;
                    } else {
                        line.extend_from_slice(b",,,\n");
                    }
                    out.write_all(&line)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(figures)
}

/// Asks the model from each origin, block by block; it learns again where `refit` slots have gone by.
fn each_origin(
    task: &Task,
    model: &mut dyn Model,
    origins: &[usize],
    refit: usize,
    mut told: impl FnMut(usize, Vec<f64>) -> io::Result<()>,
) -> io::Result<()> {
    let width = task.width();
    let mut learnt = origins.first().copied().unwrap_or(0);
    let mut rest = origins;
    while let Some(first) = rest.first() {
        if first - learnt >= refit {
            learnt = *first;
            model.fit(task, learnt + 1);
        }
        // What is asked at once knows of nothing that comes due within.
        let soon = rest.partition_point(|o| o - first < refit.min(BLOCK * 4)).clamp(1, BLOCK);
        let (block, others) = rest.split_at(soon);
        rest = others;
        let mut all = vec![f64::NAN; block.len() * width];
        model.forecast(task, block, &mut all);
        for (origin, forecast) in block.iter().zip(all.chunks(width)) {
            told(*origin, forecast.to_vec())?;
        }
    }
    Ok(())
}
