//! The average of several forecasters, each weighted by what it missed by where it had not learnt yet: at first on the end
//! of the part to learn from, then on everything that comes due as the walk goes on.
//!
//! Of each target and horizon (of a range: each band of horizons) the products of the members' errors are summed, old ones
//! fading; the weights are those shares, none below zero, that would have made the least of it.
//!
//! A network is a candidate: trained small and fast on the part that the others learn from at first, it becomes a member at
//! those targets and horizons where it then misses by clearly less than ridge regression, on rows that neither has seen. Where
//! that is nowhere it is dropped, and costs nothing more; else it is trained anew on all there is to learn from.

use super::{
    Model,
    naive::{Persistence, Seasonal},
    network::{Forecaster, Kind, Settings},
    phases::Phases,
    task::Task,
    wide::Wide,
    window::{Centre, Window},
};
use std::collections::VecDeque;

/// Origins on which the weights are found at first.
const TRIED: usize = 600;
/// Bands that a range's horizons are put into.
const BANDS: usize = 12;
/// Forecasts that wait until they have come due; of long ranges only some are kept.
const WAITING: usize = 150;
/// Origins after which an error counts half.
const HALF_LIFE: f64 = 1500.0;
/// Share of the errors' mean power that is added, so that members of equal worth get equal weights.
const EVEN: f64 = 0.3;

/// Share of ridge regression's error that a candidate's must be below.
const CLEARLY: f64 = 0.95;
/// Origins on which it has to be shown, and horizons that these have to last.
const SHOWN: usize = 200;
const SHOWN_HORIZONS: usize = 4;
/// Shape and width of the network that is a candidate, samples that it is trained on at most, and how often it goes through them
/// in all: enough to see whether there is anything in it.
const CANDIDATE: (Kind, usize, usize) = (Kind::Gru, 16, 4000);
const SAMPLES_SEEN: usize = 50_000;
/// Learning rate at the start, higher than where there is time.
const RATE: f64 = 4e-3;
/// Values of one forecast up to which a network is tried: beyond, training would take minutes.
const WIDEST: usize = 64;

/// Products of the members' errors at one target and band.
#[derive(Clone, Debug)]
struct Cell {
    products: Vec<f64>,
    count: f64,
    error: f64,
    weights: Vec<f64>,
    /// Whether the candidate is no member here.
    barred: bool,
}

impl Cell {
    fn new(members: usize) -> Self {
        let weights = vec![1.0 / members as f64; members];
        Self { products: vec![0.0; members * members], count: 0.0, error: 0.0, weights, barred: false }
    }

    /// Mean power of a member's errors, weighted as they were taken in.
    fn power(&self, member: usize) -> f64 {
        self.products[member * self.weights.len() + member]
    }

    /// Without the last member.
    fn shrunk(self) -> Self {
        let m = self.weights.len();
        let rows = self.products.chunks(m).take(m - 1).flat_map(|row| row[..m - 1].to_vec());
        Self { products: rows.collect(), count: self.count, error: self.error, ..Self::new(m - 1) }
    }

    /// Takes in the members' errors; `fade` is what is left of the old ones.
    fn add(&mut self, errors: &[f64], squared: bool, fade: f64) {
        if errors.iter().any(|e| !e.is_finite()) {
            return;
        }
        let blended = errors.iter().zip(&self.weights).map(|(e, w)| e * w).sum::<f64>().abs();
        let rate = (1.0 / (self.count + 1.0)).max(0.01);
        self.error += (blended - self.error) * rate;
        // Squares over their root are absolute errors: what is least in one is nearly so in the other.
        let weight = if squared { 1.0 } else { 1.0 / blended.max(0.3 * self.error).max(1e-12) };
        let m = errors.len();
        for i in 0..m {
            for j in 0..m {
                let at = &mut self.products[i * m + j];
                *at = *at * fade + weight * errors[i] * errors[j];
            }
        }
        self.count = self.count * fade + 1.0;
    }

    /// The shares that make the least of the errors: exponentiated gradient on the simplex.
    fn weigh(&mut self) {
        let m = self.weights.len();
        let power = (0..m).map(|i| self.power(i)).fold(f64::INFINITY, f64::min);
        if self.count < 20.0 || power <= 0.0 || !power.is_finite() {
            return;
        }
        let mut w = vec![1.0 / m as f64; m];
        if self.barred {
            w[m - 1] = 0.0;
        }
        for round in 0..400 {
            let slope = |i: usize| -> f64 {
                (0..m).map(|j| self.products[i * m + j] * w[j]).sum::<f64>() / power + EVEN * w[i]
            };
            let slopes: Vec<f64> = (0..m).map(slope).collect();
            let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
            for (w, s) in w.iter_mut().zip(&slopes) {
                *w *= (-0.5 * (s - least) / (1.0 + f64::from(round) / 50.0)).max(-30.0).exp();
            }
            let sum: f64 = w.iter().sum();
            w.iter_mut().for_each(|w| *w /= sum);
        }
        self.weights = w;
    }
}

/// A forecast of every member that has not come due, by horizon.
struct Waiting {
    origin: usize,
    told: Vec<Vec<f32>>,
}

/// The average of several forecasters.
pub struct Blend {
    names: Vec<&'static str>,
    members: Vec<Box<dyn Model>>,
    cells: Vec<Cell>,
    bands: Vec<usize>,
    band_count: usize,
    waiting: VecDeque<Waiting>,
    settled: usize,
    next: usize,
    fade: f64,
    /// Whether a network is to be tried.
    tries: bool,
}

impl Blend {
    /// Of the members that suit a task.
    pub fn new(task: &Task) -> Self {
        let mut members: Vec<(&'static str, Box<dyn Model>)> = vec![
            ("seasonal", Box::new(Seasonal::default())),
            ("phases", Box::new(Phases::default())),
            ("ridge", Box::new(Window::new(336, true, Centre::Last))),
            ("own window", Box::new(Window::new(336, false, Centre::Last))),
            ("own past", Box::new(Wide::new(false))),
        ];
        if task.series.len() > 1 {
            members.push(("all channels", Box::new(Wide::new(true))));
        }
        if task.squared {
            members.push(("short window", Box::new(Window::new(96, true, Centre::Mean))));
            members.push(("long window", Box::new(Window::new(720, true, Centre::Mean))));
        } else {
            members.push(("persistence", Box::new(Persistence)));
        }
        Self { tries: task.width() <= WIDEST, ..Self::of(members) }
    }

    /// Of these members.
    pub fn of(members: Vec<(&'static str, Box<dyn Model>)>) -> Self {
        let (names, members) = members.into_iter().unzip();
        Self {
            names,
            members,
            cells: Vec::new(),
            bands: Vec::new(),
            band_count: 0,
            waiting: VecDeque::new(),
            settled: 0,
            next: 0,
            fade: 1.0,
            tries: false,
        }
    }

    /// The network that is to be tried, trained on the slots before `split`; none where these are too few.
    fn candidate(task: &Task, split: usize) -> Option<Box<dyn Model>> {
        let (kind, hidden, samples) = CANDIDATE;
        let epochs = SAMPLES_SEEN.div_ceil(samples.min(split).max(1)).min(60);
        let channels = task.targets.len() + task.inputs.len() + task.known.len();
        let names = (1..=channels).map(|n| format!("#{n}")).collect();
        let settings = Settings { hidden, samples, epochs, rate: RATE, ..Settings::new(kind, names) };
        let mut network = Forecaster::untrained(settings);
        network.fit(task, split);
        network.network().is_some().then(|| Box::new(network) as Box<dyn Model>)
    }

    /// Keeps the candidate, which is the last member, at the targets and horizons where it beat ridge regression.
    fn admit(&mut self, task: &Task, until: usize, slots: usize) {
        let last = self.members.len() - 1;
        let Some(ridge) = self.names.iter().position(|n| *n == "ridge") else { return };
        for (at, cell) in self.cells.iter_mut().enumerate() {
            let band = at % self.band_count;
            let farthest =
                self.bands.iter().zip(&task.horizons).filter(|(b, _)| **b == band).map(|(_, h)| *h);
            let long = slots >= SHOWN_HORIZONS * farthest.max().unwrap_or(0);
            cell.barred = !long || cell.power(last) >= CLEARLY * CLEARLY * cell.power(ridge);
        }
        let anew = self.cells.iter().any(|c| !c.barred).then(|| Self::candidate(task, until)).flatten();
        match anew {
            Some(network) => self.members[last] = network,
            None => {
                self.members.pop();
                self.names.pop();
                self.cells = std::mem::take(&mut self.cells).into_iter().map(Cell::shrunk).collect();
            }
        }
    }

    fn begin(&mut self, task: &Task) {
        let h = task.horizons.len();
        self.band_count = if task.squared { BANDS.min(h) } else { h };
        self.bands = (0..h).map(|k| k * self.band_count / h).collect();
        self.cells = vec![Cell::new(self.members.len()); task.targets.len() * self.band_count];
        let per_origin = (h / self.band_count).max(1) as f64;
        self.fade = 0.5f64.powf(1.0 / (HALF_LIFE * per_origin));
    }

    /// What every member says, a list for each.
    fn ask(&mut self, task: &Task, origins: &[usize]) -> Vec<Vec<f64>> {
        let width = task.width();
        let each = |m: &mut Box<dyn Model>| {
            let mut out = vec![f64::NAN; origins.len() * width];
            m.forecast(task, origins, &mut out);
            out
        };
        self.members.iter_mut().map(each).collect()
    }

    /// Takes in how far the members were off at a target, a horizon by its place, and the origin.
    fn hear(&mut self, task: &Task, (c, k): (usize, usize), origin: usize, told: impl Fn(usize) -> f64) {
        let came = task.target(c, origin, task.horizons[k]);
        if !came.is_finite() {
            return;
        }
        let errors: Vec<f64> = (0..self.members.len()).map(|m| told(m) - came).collect();
        let (squared, fade) = (task.squared, self.fade);
        self.cells[c * self.band_count + self.bands[k]].add(&errors, squared, fade);
    }

    /// Hears of all forecasts that came due up to and with `now`, and weighs anew.
    fn settle(&mut self, task: &Task, now: usize) {
        if now <= self.settled {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let h = task.horizons.len();
        for w in &waiting {
            let due = |slot: usize| task.horizons.partition_point(|ahead| w.origin + ahead <= slot);
            for k in due(self.settled)..due(now) {
                for c in 0..task.targets.len() {
                    self.hear(task, (c, k), w.origin, |m| f64::from(w.told[m][c * h + k]));
                }
            }
        }
        self.waiting = waiting;
        self.waiting.retain(|w| w.origin + task.longest() > now);
        self.settled = now;
        self.cells.iter_mut().for_each(Cell::weigh);
    }
}

impl Model for Blend {
    fn fit(&mut self, task: &Task, until: usize) {
        let h = task.horizons.len();
        if self.cells.is_empty() {
            let split = until - until / 4;
            let end = until.saturating_sub(task.longest());
            let enough = end > split && split > 3 * task.longest() / 2;
            let shows = enough && self.tries && end - split >= SHOWN;
            let candidate = if shows { Self::candidate(task, split) } else { None };
            let tries = candidate.is_some();
            if let Some(network) = candidate {
                self.members.push(network);
                self.names.push("network");
            }
            self.begin(task);
            if enough {
                self.members.iter_mut().for_each(|m| m.fit(task, split));
                let all: Vec<usize> = (split..end).collect();
                let all: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(TRIED).max(1)).collect();
                for block in all.chunks(64) {
                    let told = self.ask(task, block);
                    for (i, origin) in block.iter().enumerate() {
                        for c in 0..task.targets.len() {
                            for k in 0..h {
                                let at = (i * task.targets.len() + c) * h + k;
                                self.hear(task, (c, k), *origin, |m| told[m][at]);
                            }
                        }
                    }
                }
                if tries {
                    self.admit(task, until, end - split);
                }
                self.cells.iter_mut().for_each(Cell::weigh);
            }
            self.settled = until.saturating_sub(1);
        }
        self.members.iter_mut().for_each(|m| m.fit(task, until));
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        let Some(first) = origins.first() else { return };
        self.settle(task, *first);
        let told = self.ask(task, origins);
        let (h, width) = (task.horizons.len(), task.width());
        let apart = (task.longest() / WAITING).max(1);
        for (i, origin) in origins.iter().enumerate() {
            for c in 0..task.targets.len() {
                for k in 0..h {
                    let at = i * width + c * h + k;
                    let weights = &self.cells[c * self.band_count + self.bands[k]].weights;
                    // A member that has nothing to say leaves its share to the others.
                    let said = told.iter().zip(weights).filter(|(t, _)| t[at].is_finite());
                    let (sum, share) = said.fold((0.0, 0.0), |s, (t, w)| (s.0 + w * t[at], s.1 + w));
                    out[at] = if share > 0.0 { sum / share } else { f64::NAN };
                }
            }
            if *origin >= self.next {
                self.next = origin + apart;
                let narrow = |t: &Vec<f64>| t[i * width..(i + 1) * width].iter().map(|v| *v as f32).collect();
                self.waiting.push_back(Waiting { origin: *origin, told: told.iter().map(narrow).collect() });
            }
        }
    }

    fn about(&self) -> String {
        let n = self.cells.len().max(1) as f64;
        let share = |m: usize| self.cells.iter().map(|c| c.weights[m]).sum::<f64>() / n;
        let each = self.names.iter().enumerate().map(|(m, name)| format!("{name} {:.0} %", 100.0 * share(m)));
        format!("mean weights at the end: {}", each.collect::<Vec<_>>().join(", "))
    }
}
