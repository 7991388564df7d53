//! What came of forecasts: errors, coverage, width and pinball loss, beside persistence.

use super::walk::Sheet;
use crate::{exit::say, report::escape};
use serde_json::json;
use std::collections::BTreeMap;
use twinfleet_twins::predictors::task::Task;

/// Lines of a range that are printed, about.
const SHOWN: usize = 12;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    n: u64,
    absolute: f64,
    squares: f64,
    persistence: f64,
    held: u64,
    width: f64,
    pinball: f64,
}

/// Running figures of a walk.
#[derive(Debug)]
pub struct Figures {
    targets: Vec<String>,
    horizons: Vec<usize>,
    cells: Vec<Cell>,
    scales: Vec<(f64, f64)>,
    interval: f64,
    /// Held and all, by target and day.
    days: BTreeMap<(usize, i64), (u64, u64)>,
}

impl Figures {
    /// None so far.
    pub fn new(task: &Task, sheet: &Sheet, interval: f64) -> Self {
        Self {
            targets: sheet.names.clone(),
            horizons: task.horizons.clone(),
            cells: vec![Cell::default(); task.width()],
            scales: sheet.scales.clone(),
            interval,
            days: BTreeMap::new(),
        }
    }

    /// Adds a forecast with its bounds, for a target and horizon by their places; `base` is what persistence says.
    pub fn add(
        &mut self,
        (c, k): (usize, usize),
        due: usize,
        sheet: &Sheet,
        (forecast, low, high): (f64, f64, f64),
        base: f64,
        came: f64,
    ) {
        if !came.is_finite() || !forecast.is_finite() {
            return;
        }
        let cell = &mut self.cells[c * self.horizons.len() + k];
        let held = (low..=high).contains(&came);
        cell.n += 1;
        cell.absolute += (came - forecast).abs();
        cell.squares += (came - forecast).powi(2);
        cell.persistence += (came - base).abs();
        cell.held += u64::from(held);
        cell.width += high - low;
        let side = 0.5 * (1.0 - self.interval);
        let loss = |q: f64, tau: f64| if came >= q { tau * (came - q) } else { (1.0 - tau) * (q - came) };
        cell.pinball += 0.5 * (loss(low, side) + loss(high, 1.0 - side));
        let day = self.days.entry((c, sheet.days[due])).or_default();
        day.0 += u64::from(held);
        day.1 += 1;
    }

    /// Mean squared error over all steps and channels, z-scored.
    fn scaled_mse(&self) -> f64 {
        let h = self.horizons.len();
        let each = self.cells.iter().enumerate().filter(|(_, cell)| cell.n > 0);
        let (mut sum, mut n) = (0.0, 0u64);
        for (i, cell) in each {
            sum += cell.squares / self.scales[i / h].1.powi(2);
            n += cell.n;
        }
        sum / n as f64
    }

    fn scaled_mae(&self) -> f64 {
        let h = self.horizons.len();
        let sum: f64 = self.cells.iter().enumerate().map(|(i, c)| c.absolute / self.scales[i / h].1).sum();
        sum / self.cells.iter().map(|c| c.n).sum::<u64>() as f64
    }

    /// Lowest share held on any day with a twentieth of the usual number of forecasts or more.
    fn worst_day(&self) -> f64 {
        let mut by_day: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for ((_, day), (held, n)) in &self.days {
            let all = by_day.entry(*day).or_default();
            *all = (all.0 + held, all.1 + n);
        }
        let usual = by_day.values().map(|d| d.1).max().unwrap_or(0);
        let shares =
            by_day.values().filter(|d| d.1 * 20 >= usual && d.1 > 0).map(|d| d.0 as f64 / d.1 as f64);
        shares.fold(f64::NAN, f64::min)
    }

    fn coverage(&self) -> f64 {
        let (held, n) = self.cells.iter().fold((0, 0), |sum, c| (sum.0 + c.held, sum.1 + c.n));
        held as f64 / n as f64
    }

    /// Prints a table, or an object with every figure.
    pub fn print(&self, model: &str, about: &str, range: bool, json: bool) {
        if json {
            return self.print_json(model, about, range);
        }
        say(format_args!("model: {model}{}{about}", if about.is_empty() { "" } else { "; " }));
        let wide = self.targets.iter().map(|t| t.chars().count()).max().unwrap_or(0).max(7);
        say(format_args!(
            "\n{:wide$}  {:>7}  {:>10}  {:>11}  {:>8}  {:>10}  {:>10}  {:>8}",
            "channel", "horizon", "MAE", "persistence", "coverage", "width", "pinball", "rows"
        ));
        let h = self.horizons.len();
        for (c, name) in self.targets.iter().enumerate() {
            for k in shown(h, range, self.targets.len()) {
                let cell = &self.cells[c * h + k];
                let n = cell.n as f64;
                say(format_args!(
                    "{name:wide$}  {:>7}  {:>10}  {:>11}  {:>8}  {:>10}  {:>10}  {:>8}",
                    self.horizons[k],
                    digits(cell.absolute / n),
                    digits(cell.persistence / n),
                    percent(cell.held as f64 / n),
                    digits(cell.width / n),
                    digits(cell.pinball / n),
                    cell.n
                ));
            }
        }
        if let Some(unjudged) = self.unjudged() {
            say(format_args!("\n{unjudged}"));
        }
        say(format_args!(
            "\nintervals of {:.0} %: held {} overall, {} on the worst day",
            100.0 * self.interval,
            percent(self.coverage()),
            percent(self.worst_day())
        ));
        if range {
            let (first, last) = (self.horizons[0], self.horizons[h - 1]);
            say(format_args!(
                "over {first}..{last}, all channels, z-scored by the training rows: MSE {:.4}, MAE {:.4}",
                self.scaled_mse(),
                self.scaled_mae()
            ));
        }
    }

    /// Which horizons no forecast was judged at, where there are such.
    fn unjudged(&self) -> Option<String> {
        let h = self.horizons.len();
        let judged = |k: usize| self.cells.iter().skip(k).step_by(h).any(|c| c.n > 0);
        let none: Vec<String> =
            (0..h).filter(|k| !judged(*k)).map(|k| self.horizons[k].to_string()).collect();
        let which = match none.as_slice() {
            [] => return None,
            [one] => one.clone(),
            [first, .., last] => format!("{first} to {last} ({} horizons)", none.len()),
        };
        Some(format!("no reading lies {which} rows behind a forecast: it is not judged there"))
    }

    /// Mean absolute errors, by target and horizon.
    pub fn errors(&self) -> Vec<serde_json::Value> {
        let h = self.horizons.len();
        let each = self.cells.iter().enumerate().map(|(i, c)| {
            json!({ "channel": self.targets[i / h], "horizon": self.horizons[i % h], "mae": c.absolute / c.n as f64 })
        });
        each.collect()
    }

    /// Prints the mean absolute errors of several models side by side, the least of each row marked.
    pub fn print_beside(all: &[(&str, Self)]) {
        let Some((_, first)) = all.first() else { return };
        let wide = first.targets.iter().map(|t| t.chars().count()).max().unwrap_or(0).max(7);
        let heads: String = all.iter().map(|(name, _)| format!("  {name:>12}")).collect();
        say(format_args!(
            "{:wide$}  {:>7}{heads}   (mean absolute error; * the least)",
            "channel", "horizon"
        ));
        let h = first.horizons.len();
        for (c, name) in first.targets.iter().enumerate() {
            for k in shown(h, h > SHOWN, first.targets.len()) {
                let errors: Vec<f64> =
                    all.iter().map(|(_, f)| &f.cells[c * h + k]).map(|c| c.absolute / c.n as f64).collect();
                let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
                let cells: String = errors
                    .iter()
                    .map(|e| format!("  {:>11}{}", digits(*e), if *e <= least { '*' } else { ' ' }))
                    .collect();
                say(format_args!("{name:wide$}  {:>7}{cells}", first.horizons[k]));
            }
        }
    }

    /// The same as a table of a page.
    pub fn html(&self) -> String {
        let h = self.horizons.len();
        let mut html = String::from(
            "<table><thead><tr><th>channel</th><th>rows ahead</th><th>MAE</th><th>persistence</th>\
             <th>held</th><th>width</th><th>forecasts</th></tr></thead><tbody>\n",
        );
        for (c, name) in self.targets.iter().enumerate() {
            for k in shown(h, h > SHOWN, self.targets.len()) {
                let cell = &self.cells[c * h + k];
                let n = cell.n as f64;
                html += &format!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                    escape(name),
                    self.horizons[k],
                    digits(cell.absolute / n),
                    digits(cell.persistence / n),
                    percent(cell.held as f64 / n),
                    digits(cell.width / n),
                    cell.n
                );
            }
        }
        html += "</tbody></table>\n";
        if let Some(unjudged) = self.unjudged() {
            html += &format!("<p>{}.</p>\n", escape(&unjudged));
        }
        html + &format!(
            "<p>Intervals of {:.0} % held {} overall, {} on the worst day.</p>\n",
            100.0 * self.interval,
            percent(self.coverage()),
            percent(self.worst_day())
        )
    }

    fn print_json(&self, model: &str, about: &str, range: bool) {
        let h = self.horizons.len();
        let each = self.cells.iter().enumerate().map(|(i, cell)| {
            let n = cell.n as f64;
            json!({
                "channel": self.targets[i / h], "horizon": self.horizons[i % h], "n": cell.n,
                "mae": cell.absolute / n, "mse": cell.squares / n, "persistence_mae": cell.persistence / n,
                "coverage": cell.held as f64 / n, "width": cell.width / n, "pinball": cell.pinball / n,
            })
        });
        let object = json!({
            "model": model, "about": about, "interval": self.interval, "coverage": self.coverage(),
            "worst_day_coverage": self.worst_day(), "horizons": each.collect::<Vec<_>>(),
            "scaled_mse": range.then(|| self.scaled_mse()), "scaled_mae": range.then(|| self.scaled_mae()),
        });
        say(format_args!("{}", serde_json::to_string_pretty(&object).unwrap_or_default()));
    }
}

/// Which horizons are printed: all of a list; of a range some, the last among them.
fn shown(n: usize, range: bool, targets: usize) -> Vec<usize> {
    let want = (SHOWN / targets).max(3);
    if !range || n <= want {
        return (0..n).collect();
    }
    let step = n.div_ceil(want);
    (1..=want).map(|i| (i * step).min(n) - 1).fold(Vec::new(), |mut all, k| {
        if all.last() != Some(&k) {
            all.push(k);
        }
        all
    })
}

/// Four digits, a dash where there is no figure.
fn digits(v: f64) -> String {
    let places = match v.abs() {
        a if a.is_nan() => return "–".to_owned(),
        a if a >= 1000.0 => 0,
        a if a >= 100.0 => 1,
        a if a >= 10.0 => 2,
        a if a >= 1.0 => 3,
        a if a >= 0.01 || a == 0.0 => 4,
        a if a >= 0.001 => 6,
        _ => return format!("{v:.3e}"),
    };
    format!("{v:.places$}")
}

fn percent(share: f64) -> String {
    if share.is_nan() { "–".to_owned() } else { format!("{:.1} %", 100.0 * share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_figures_keep_their_digits_and_missing_ones_are_dashes() {
        let told = [1234.5, 0.0, 0.5, 0.0123, 0.00123, 2.438e-7, f64::NAN].map(digits);
        assert_eq!(told, ["1234", "0.0000", "0.5000", "0.0123", "0.001230", "2.438e-7", "–"]);
        assert_eq!([0.906, f64::NAN].map(percent), ["90.6 %", "–"]);
    }
}
