//! The average of several forecasters, each weighted by what it missed by where it had not learnt yet: at first on the end
//! of the part to learn from, then on everything that comes due as the walk goes on.
//!
//! Of each target and horizon (of a range: each band of horizons) the products of the members' errors are summed, old ones
//! fading; the weights are those shares, none below zero, that would have made the least of it. Where a shorter memory, or
//! persistence alone, has missed by clearly less of late, its shares are taken: a counter that outgrows what was learnt from
//! leaves no member as good as it was.
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
/// Share of that after which it does in the short memory.
const SHORT: f64 = 0.1;
/// Share of the errors' mean power that is added, so that members of equal worth get equal weights.
const EVEN: f64 = 0.3;
/// Errors from which on shares are found.
const TRUSTED: f64 = 20.0;
/// Moves of a share from member to member at most.
const ROUNDS: usize = 400;
/// Share of the long memory's error below which another way is taken, and errors that have to have shown it.
const BETTER: f64 = 0.95;
const JUDGED: f64 = 50.0;

/// Share of ridge regression's error that a candidate's must be below.
const CLEARLY: f64 = 0.95;
/// Origins on which it has to be shown, and horizons that these have to last.
const SHOWN: usize = 200;
const SHOWN_HORIZONS: usize = 4;
/// The member that the others have to be better than.
const PLAIN: &str = "persistence";
/// Shape and width of the network that is a candidate, samples that it is trained on at most, and how often it goes through them
/// in all: enough to see whether there is anything in it.
const CANDIDATE: (Kind, usize, usize) = (Kind::Gru, 16, 4000);
const SAMPLES_SEEN: usize = 50_000;
/// Learning rate at the start, higher than where there is time.
const RATE: f64 = 4e-3;
/// Values of one forecast up to which a network is tried: beyond, training would take minutes.
const WIDEST: usize = 64;

/// Products of the members' errors as far back as one memory reaches, and the shares that would have made the least of them.
#[derive(Clone, Debug)]
struct Memory {
    products: Vec<f64>,
    count: f64,
    weights: Vec<f64>,
    /// Mean of what these shares missed by of late.
    missed: f64,
}

impl Memory {
    fn new(members: usize) -> Self {
        let weights = vec![1.0 / members as f64; members];
        Self { products: vec![0.0; members * members], count: 0.0, weights, missed: 0.0 }
    }

    /// Mean power of a member's errors, weighted as they were taken in.
    fn power(&self, member: usize) -> f64 {
        self.products[member * self.weights.len() + member]
    }

    /// Without the last member.
    fn shrunk(&self) -> Self {
        let m = self.weights.len();
        let rows = self.products.chunks(m).take(m - 1).flat_map(|row| row[..m - 1].to_vec());
        Self { products: rows.collect(), count: self.count, ..Self::new(m - 1) }
    }

    fn add(&mut self, errors: &[f64], weight: f64, fade: f64) {
        let m = errors.len();
        for i in 0..m {
            for j in 0..m {
                let at = &mut self.products[i * m + j];
                *at = *at * fade + weight * errors[i] * errors[j];
            }
        }
        self.count = self.count * fade + 1.0;
    }

    /// The shares that make the least of the errors: what is worth it moves from the member that a share is worst placed with to
    /// the one that it is best placed with, until nothing is to be won.
    fn weigh(&mut self, barred: bool) {
        let m = self.weights.len();
        let powers = || (0..m).map(|i| self.power(i));
        let largest = powers().fold(0.0, f64::max);
        // A member that was never wrong is the measure of the others all the same.
        let power = powers().fold(f64::INFINITY, f64::min).max(1e-12 * largest);
        if self.count < TRUSTED || power <= 0.0 || !power.is_finite() {
            return;
        }
        let members = if barred { m - 1 } else { m };
        let term = |i: usize, j: usize| self.products[i * m + j] / power + if i == j { EVEN } else { 0.0 };
        let mut w = vec![0.0; m];
        w[..members].fill(1.0 / members as f64);
        let mut slopes: Vec<f64> =
            (0..members).map(|i| (0..members).map(|j| term(i, j) * w[j]).sum()).collect();
        for _ in 0..ROUNDS {
            let by_slope = |a: &usize, b: &usize| slopes[*a].total_cmp(&slopes[*b]);
            let best = (0..members).min_by(by_slope).unwrap_or(0);
            let worst = (0..members).filter(|i| w[*i] > 0.0).max_by(by_slope).unwrap_or(0);
            let won = slopes[worst] - slopes[best];
            if won < 1e-6 {
                break;
            }
            let bend = term(best, best) + term(worst, worst) - 2.0 * term(best, worst);
            let moved = (won / bend.max(1e-12)).min(w[worst]);
            w[best] += moved;
            w[worst] = (w[worst] - moved).max(0.0);
            for (i, slope) in slopes.iter_mut().enumerate() {
                *slope += moved * (term(i, best) - term(i, worst));
            }
        }
        self.weights = w;
    }
}

/// What is known of the members at one target and band.
#[derive(Clone, Debug)]
struct Cell {
    /// A long memory, and a short one for a series that has changed.
    memories: [Memory; 2],
    error: f64,
    /// Mean of what persistence missed by of late, and on how much that and the memories' means stand.
    plain: f64,
    judged: f64,
    /// Whether the candidate is no member here.
    barred: bool,
    /// The shares in use.
    weights: Vec<f64>,
}

impl Cell {
    fn new(members: usize) -> Self {
        let memory = Memory::new(members);
        let weights = memory.weights.clone();
        Self {
            memories: [memory.clone(), memory],
            error: 0.0,
            plain: 0.0,
            judged: 0.0,
            barred: false,
            weights,
        }
    }

    fn power(&self, member: usize) -> f64 {
        self.memories[0].power(member)
    }

    /// Without the last member.
    fn shrunk(self) -> Self {
        let memories = self.memories.each_ref().map(Memory::shrunk);
        Self { memories, error: self.error, ..Self::new(self.weights.len() - 1) }
    }

    /// Takes in the members' errors. `fades` are what is left of the old ones in either memory; `plain` is the place of
    /// persistence.
    fn add(&mut self, errors: &[f64], squared: bool, fades: [f64; 2], plain: Option<usize>) {
        if errors.iter().any(|e| !e.is_finite()) {
            return;
        }
        let blended = |weights: &[f64]| errors.iter().zip(weights).map(|(e, w)| e * w).sum::<f64>().abs();
        let missed = |error: f64| if squared { error * error } else { error.abs() };
        let ours = blended(&self.weights);
        let rate = (1.0 / (self.memories[0].count + 1.0)).max(0.01);
        self.error += (ours - self.error) * rate;
        // Squares over their root are absolute errors: what is least in one is nearly so in the other.
        let weight = if squared { 1.0 } else { 1.0 / ours.max(0.3 * self.error).max(1e-12) };
        self.judged += 1.0;
        let rate = (1.0 / self.judged).max(1.0 - fades[1]);
        for (memory, fade) in self.memories.iter_mut().zip(fades) {
            memory.missed += (missed(blended(&memory.weights)) - memory.missed) * rate;
            memory.add(errors, weight, fade);
        }
        if let Some(plain) = plain {
            self.plain += (missed(errors[plain]) - self.plain) * rate;
        }
    }

    /// Weighs the members anew; another way than the long memory's is taken where it has been better of late.
    fn weigh(&mut self, plain: Option<usize>) {
        let barred = self.barred;
        self.memories.iter_mut().for_each(|memory| memory.weigh(barred));
        let [long, short] = &self.memories;
        let mut best = (BETTER * long.missed, &long.weights);
        if self.judged >= JUDGED && short.missed < best.0 {
            best = (short.missed, &short.weights);
        }
        self.weights.clone_from(best.1);
        if let Some(plain) = plain.filter(|_| self.judged >= JUDGED && self.plain < best.0) {
            self.weights.fill(0.0);
            self.weights[plain] = 1.0;
        }
    }

    /// Takes shares that it did not find itself.
    fn take(&mut self, weights: Vec<f64>) {
        self.memories.iter_mut().for_each(|memory| memory.weights.clone_from(&weights));
        self.weights = weights;
    }

    /// Forgets how the shares did while they were first looked for.
    fn begin(&mut self) {
        self.judged = 0.0;
    }
}

/// A forecast of every member that has not come due, by horizon: how far from the last reading, of which a meter's many digits
/// are not kept.
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
    fades: [f64; 2],
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
            (PLAIN, Box::new(Persistence)),
        ];
        if task.series.len() > 1 {
            members.push(("all channels", Box::new(Wide::new(true))));
        }
        if task.squared {
            members.push(("short window", Box::new(Window::new(96, true, Centre::Mean))));
            members.push(("long window", Box::new(Window::new(720, true, Centre::Mean))));
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
            fades: [1.0; 2],
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
        self.fades = [1.0, SHORT].map(|share| 0.5f64.powf(1.0 / (share * HALF_LIFE * per_origin)));
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
        let (plain, fades) = (self.plain(), self.fades);
        self.cells[c * self.band_count + self.bands[k]].add(&errors, task.squared, fades, plain);
    }

    /// Weights where nothing has come due: those of the next shorter horizon; of a target that never moved, persistence alone.
    fn weigh_untried(&mut self, task: &Task, until: usize) {
        let plain = self.plain();
        for (cells, target) in self.cells.chunks_mut(self.band_count.max(1)).zip(&task.targets) {
            let held = &task.series.held(*target)[..until];
            let mut known = held.iter().filter(|v| v.is_finite());
            let still = known.next().is_some_and(|first| known.all(|v| v == first));
            let mut shorter: Option<Vec<f64>> = None;
            for cell in cells {
                if let (true, Some(plain)) = (still, plain) {
                    let alone = (0..cell.weights.len()).map(|m| f64::from(u8::from(m == plain))).collect();
                    cell.take(alone);
                } else if cell.memories[0].count >= TRUSTED {
                    shorter = Some(cell.weights.clone());
                } else if let Some(weights) = &shorter {
                    cell.take(weights.clone());
                }
            }
        }
    }

    /// Where persistence is among the members.
    fn plain(&self) -> Option<usize> {
        self.names.iter().position(|name| *name == PLAIN)
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
                    let base = task.series.held(task.targets[c])[w.origin];
                    self.hear(task, (c, k), w.origin, |m| base + f64::from(w.told[m][c * h + k]));
                }
            }
        }
        self.waiting = waiting;
        self.waiting.retain(|w| w.origin + task.longest() > now);
        self.settled = now;
        let plain = self.plain();
        self.cells.iter_mut().for_each(|cell| cell.weigh(plain));
    }
}

impl Model for Blend {
    fn fit(&mut self, task: &Task, until: usize) {
        let h = task.horizons.len();
        if self.cells.is_empty() {
            let split = until - until / 4;
            let end = until.saturating_sub(task.longest());
            let enough = end > split && split > 3 * task.longest() / 2;
            // Where the past is too short for the farthest horizon, the nearer ones are tried as far as each can be.
            let ends: Vec<usize> = (task.horizons.iter())
                .map(|ahead| match enough {
                    true => end,
                    false if split > 3 * ahead / 2 => until.saturating_sub(*ahead),
                    false => 0,
                })
                .collect();
            let last = ends.iter().copied().max().unwrap_or(0);
            let shows = enough && self.tries && end - split >= SHOWN;
            let candidate = if shows { Self::candidate(task, split) } else { None };
            let tries = candidate.is_some();
            if let Some(network) = candidate {
                self.members.push(network);
                self.names.push("network");
            }
            self.begin(task);
            if last > split {
                self.members.iter_mut().for_each(|m| m.fit(task, split));
                let all: Vec<usize> = (split..last).collect();
                let all: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(TRIED).max(1)).collect();
                for block in all.chunks(64) {
                    let told = self.ask(task, block);
                    for (i, origin) in block.iter().enumerate() {
                        for c in 0..task.targets.len() {
                            for k in (0..h).filter(|k| *origin < ends[*k]) {
                                let at = (i * task.targets.len() + c) * h + k;
                                self.hear(task, (c, k), *origin, |m| told[m][at]);
                            }
                        }
                    }
                }
                if tries {
                    self.admit(task, until, end - split);
                }
                self.cells.iter_mut().for_each(|cell| {
                    cell.begin();
                    cell.weigh(None);
                });
            }
            self.weigh_untried(task, until);
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
                let base = |at: usize| task.series.held(task.targets[at / h])[*origin];
                let narrow = |t: &Vec<f64>| {
                    let told = t[i * width..(i + 1) * width].iter().enumerate();
                    told.map(|(at, v)| (v - base(at)) as f32).collect()
                };
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
