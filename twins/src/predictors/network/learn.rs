//! Training: samples from a task's past, mini-batches in an order of our own, the weights of the best epoch.

use super::{Head, Kind, Network, NetworkError, device, order};
use crate::predictors::task::Task;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarMap};
use rand::RngExt;
use std::collections::BTreeMap;
use twinfleet_engine::rng::stream;

/// Samples that are trained on at most, unless it is said otherwise; beyond, they are thinned.
const SAMPLES: usize = 16_000;
/// Samples of a step.
const BATCH: usize = 128;
/// Epochs without a better one after which training ends.
const PATIENCE: usize = 4;
/// Where the absolute error is rounded, in units of the mean change.
const ROUND: f64 = 0.05;

/// How a network is trained.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Shape.
    pub kind: Kind,
    /// Names of the channels: targets, inputs, those known ahead.
    pub channels: Vec<String>,
    /// Rows that it looks back; `None`: two days of them, or what the table affords.
    pub look_back: Option<usize>,
    /// Width of the layers.
    pub hidden: usize,
    /// Times that all samples are gone through at most.
    pub epochs: usize,
    /// Samples that are trained on at most; beyond, they are thinned.
    pub samples: usize,
    /// Learning rate at the start.
    pub rate: f64,
    /// Seed of initial weights and shuffles.
    pub seed: u64,
    /// Whether it may see the hour and the day of the week.
    pub calendar: bool,
    /// Where the rows on which epochs are compared begin, [slot]; `None`: the last fifth.
    pub validate_from: Option<usize>,
}

impl Settings {
    /// The usual ones for a shape.
    pub fn new(kind: Kind, channels: Vec<String>) -> Self {
        let hidden = 32;
        Self {
            kind,
            channels,
            look_back: None,
            hidden,
            epochs: 12,
            samples: SAMPLES,
            rate: 2e-3,
            seed: 1,
            calendar: true,
            validate_from: None,
        }
    }
}

/// Gives every weight its first value: uniform within one over the root of what comes in, biases and the direct map zero.
pub(super) fn initialise(vars: &VarMap, seed: u64) -> candle_core::Result<()> {
    let vars = vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sorted: BTreeMap<&String, &Var> = vars.iter().collect();
    for (name, var) in sorted {
        let dims = var.dims().to_vec();
        let incoming: usize = dims.iter().skip(1).product::<usize>().max(1);
        let zero = dims.len() == 1 || name.starts_with("direct");
        let bound = if zero { 0.0 } else { 1.0 / (incoming as f32).sqrt() };
        let mut rng = stream(seed, "network", name);
        let values: Vec<f32> =
            (0..dims.iter().product()).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0)).collect();
        var.set(&Tensor::from_vec(values, dims, var.device())?)?;
    }
    Ok(())
}

/// What is seen and what came, sample by sample.
struct Samples {
    seen: Vec<f32>,
    came: Vec<f32>,
    width: (usize, usize),
}

impl Samples {
    fn of(network: &Network, task: &Task, origins: &[usize]) -> Self {
        let order = order(task);
        let (mut seen, mut came) = (Vec::new(), Vec::new());
        let h = task.horizons.len();
        for origin in origins {
            network.see_task(task, &order, *origin, &mut seen);
            for (c, target) in task.targets.iter().enumerate() {
                let held = task.series.held(*target);
                for (k, ahead) in task.horizons.iter().enumerate() {
                    let moved = (held[origin + ahead] - held[*origin]) / network.head.change[c * h + k];
                    came.push(moved.clamp(-50.0, 50.0) as f32);
                }
            }
        }
        let n = origins.len().max(1);
        Self { width: (seen.len() / n, came.len() / n), seen, came }
    }

    fn batch(&self, network: &Network, of: &[usize]) -> Result<(Tensor, Tensor), NetworkError> {
        let (s, c) = self.width;
        let device = device();
        let seen: Vec<f32> = of.iter().flat_map(|i| self.seen[i * s..(i + 1) * s].iter().copied()).collect();
        let came: Vec<f32> = of.iter().flat_map(|i| self.came[i * c..(i + 1) * c].iter().copied()).collect();
        let x = Tensor::from_vec(seen, (of.len(), network.blocks.len(), network.head.features()), &device)?;
        Ok((x, Tensor::from_vec(came, (of.len(), c), &device)?))
    }
}

fn loss(told: &Tensor, came: &Tensor, squared: bool) -> candle_core::Result<Tensor> {
    let squares = (told - came)?.sqr()?;
    if squared { squares.mean_all() } else { (squares + ROUND * ROUND)?.sqrt()?.mean_all() }
}

fn moments(values: &[f64]) -> (f64, f64) {
    let seen = values.iter().filter(|v| v.is_finite());
    let n = seen.clone().count().max(1) as f64;
    let mean = seen.clone().sum::<f64>() / n;
    let std = (seen.map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    (mean, if std > 0.0 { std } else { 1.0 })
}

/// The head of a network that is to be trained on the slots before `until`.
fn head(task: &Task, until: usize, settings: &Settings) -> Head {
    let order = order(task);
    let series = &task.series;
    let each: Vec<(f64, f64)> = order.iter().map(|c| moments(&series.held(*c)[..until])).collect();
    let day = series.slots_in(86_400.0).filter(|day| 2 * day <= until);
    let wanted = settings.look_back.unwrap_or_else(|| day.map_or(128, |d| (2 * d).clamp(32, 600)));
    let room = until.saturating_sub(task.longest());
    let mut change = Vec::new();
    for target in &task.targets {
        let held = &series.held(*target)[..until];
        for ahead in &task.horizons {
            let moved = held.iter().zip(held.iter().skip(*ahead)).map(|(a, b)| (b - a).abs());
            let moved: Vec<f64> = moved.filter(|v| v.is_finite()).collect();
            let mean = moved.iter().sum::<f64>() / moved.len().max(1) as f64;
            change.push(if mean > 0.0 { mean } else { 1.0 });
        }
    }
    Head {
        format: 1,
        kind: settings.kind,
        channels: settings.channels.clone(),
        targets: task.targets.len(),
        horizons: task.horizons.clone(),
        step_s: series.step_s,
        look_back: wanted.min(room / 3).max(2),
        calendar: settings.calendar && series.t0_unix_s.is_some() && day.is_some(),
        hidden: settings.hidden,
        mean: each.iter().map(|m| m.0).collect(),
        std: each.iter().map(|m| m.1).collect(),
        error: vec![1.0; change.len()],
        change,
        seed: settings.seed,
        rows: until,
        weights: String::new(),
    }
}

/// Trains a network on the slots before `until`.
pub(super) fn learn(task: &Task, until: usize, settings: &Settings) -> Result<Network, NetworkError> {
    let device = device();
    let mut network = Network::new(head(task, until, settings), &device)?;
    let longest = task.longest();
    let end = until.saturating_sub(longest);
    let begin = (network.head.look_back - 1).min(end);
    let split = settings.validate_from.map_or(end - (end - begin) / 5, |v| v.clamp(begin, end));
    // Nothing that is trained on came after the rows that epochs are compared on had begun.
    let trained = split.saturating_sub(longest).max(begin);
    let (channels, look_back) = (order(task), network.head.look_back);
    let whole = |o: &usize| channels.iter().all(|c| task.series.held(*c)[*o].is_finite());
    let read = |o: &usize| {
        let seen = |c: &usize| task.series.is_stale(*c, (o + 1).saturating_sub(look_back)..o + 1);
        let came = |c: &usize| task.horizons.iter().any(|h| task.series.is_stale(*c, o + h..o + h + 1));
        !channels.iter().any(seen) && !task.targets.iter().any(came)
    };
    let thin = |from: usize, to: usize, most: usize| -> Vec<usize> {
        let mut all: Vec<usize> = (from..to).filter(whole).collect();
        // What was held over a gap is nothing to learn, where there is enough beside it.
        let known: Vec<usize> = all.iter().copied().filter(read).collect();
        if 2 * known.len() >= all.len() {
            all = known;
        }
        all.iter().copied().step_by(all.len().div_ceil(most).max(1)).collect()
    };
    let (fit, held_out) = (thin(begin, trained, settings.samples), thin(split, end, 3000));
    if fit.len() < 16 || held_out.is_empty() {
        return Err(NetworkError::Other(format!(
            "{} samples to train on and {} to compare on are too few: learn from more rows, or look less far ahead",
            fit.len(),
            held_out.len()
        )));
    }
    network.head.rows = trained + longest;
    let samples = Samples::of(&network, task, &fit);
    let judged = Samples::of(&network, task, &held_out);
    let params = ParamsAdamW { lr: settings.rate, weight_decay: 0.02, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(network.vars.all_vars(), params)?;
    let mut rng = stream(settings.seed, "network", "shuffles");
    let mut turn: Vec<usize> = (0..fit.len()).collect();
    let mut best = (f64::INFINITY, 0, copies(&network)?);
    for epoch in 0..settings.epochs.max(1) {
        for i in (1..turn.len()).rev() {
            turn.swap(i, rng.random_range(0..=i));
        }
        let progress = epoch as f64 / settings.epochs.max(1) as f64;
        optimiser.set_learning_rate(settings.rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()));
        for batch in turn.chunks(BATCH) {
            let (x, y) = samples.batch(&network, batch)?;
            optimiser.backward_step(&loss(&network.body.forward(&x)?, &y, task.squared)?)?;
        }
        let error = judge(&network, &judged, task.squared)?.0;
        if error < best.0 {
            best = (error, epoch, copies(&network)?);
        } else if epoch >= best.1 + PATIENCE {
            break;
        }
    }
    {
        let vars = network.vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (name, tensor) in best.2 {
            if let Some(var) = vars.get(&name) {
                var.set(&tensor)?;
            }
        }
    }
    let squares = judge(&network, &judged, task.squared)?.1;
    network.head.error = squares.iter().zip(&network.head.change).map(|(s, c)| s.sqrt() * c).collect();
    Ok(network)
}

fn copies(network: &Network) -> candle_core::Result<Vec<(String, Tensor)>> {
    let vars = network.vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    vars.iter().map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?))).collect()
}

/// Loss on samples that were not trained on, and mean squares of each value.
fn judge(network: &Network, samples: &Samples, squared: bool) -> Result<(f64, Vec<f64>), NetworkError> {
    let n = samples.came.len() / samples.width.1.max(1);
    let all: Vec<usize> = (0..n).collect();
    let mut squares = vec![0.0; samples.width.1];
    let mut sum = 0.0;
    for batch in all.chunks(512) {
        let (x, y) = samples.batch(network, batch)?;
        let told = network.body.forward(&x)?;
        sum += f64::from(loss(&told, &y, squared)?.to_scalar::<f32>()?) * batch.len() as f64;
        let off = (told - y)?.sqr()?.sum(0)?.to_vec1::<f32>()?;
        squares.iter_mut().zip(off).for_each(|(s, o)| *s += f64::from(o) / n as f64);
    }
    Ok((sum / n as f64, squares))
}
