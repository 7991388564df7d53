//! Generalised likelihood ratios over forked estimators (Willsky & Jones, *A Generalized Likelihood Ratio Approach to the
//! Detection and Estimation of Jumps in Linear Systems*, IEEE Trans. Autom. Control 21, 1976). Signatures come from the
//! tangents of the estimator's own steps ([`super::signature`]), those of great jumps by running it again, so that any
//! [`Estimator`] will do.
//!
//! A fault of unit size from onset τ leaves a signature g in the innovations; with innovations ν of variance S the size is
//! the weighted least-squares fit of ν on g. Costs are heavy-tailed ([`super::noise::cost`]) and the sum is divided by the
//! dilution that the stream's own autocorrelation asks for.

use super::{
    history::{Correction, History, NONE, Shape, corrected},
    noise::{Calibration, cost, costs, weight},
    shared::Shared,
};
use crate::{
    predict::{Estimator, Innovation},
    time::SimTime,
};

/// Gain from which on an onset is looked for more finely, [nat].
const WORTH_REFINING: f64 = 3.0;

/// What a fault that is over has to be better by than one that lasts: its end was chosen too, [nat].
const OVER_PENALTY: f64 = 3.0;

/// What a fault that is over must have gained while it lasted: where it left no trace of itself, its supposed end is the
/// beginning of another, [nat].
const SHOWN_NATS: f64 = 4.0;

/// A hypothesis fitted to the innovations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub shape: Shape,
    pub signal: usize,
    /// First sample concerned.
    pub onset: u64,
    /// First sample no longer concerned; None: it lasts.
    pub until: Option<u64>,
    pub size: f64,
    /// Log-likelihood gained over "nothing happened", diluted, [nat].
    pub gain: f64,
    /// The part of the gain from before its end.
    pub shown: f64,
    /// Standard deviation of the size.
    pub std: f64,
}

/// Onsets of which a great jump is looked at in full, those that fit best to first order.
const IN_FULL: usize = 3;

/// The readings since an onset as a hypothesis sees them, in standard deviations: the innovations near a size, and the
/// signature there, per unit of size.
struct Rows<'a> {
    z: &'a [f64],
    g: &'a [f64],
    /// What they cost under what is believed, and what a smaller variance gains: up to each reading.
    believed: &'a [f64],
    /// Those from before its end.
    lasted: usize,
}

/// Scaled innovation from which on a filter that learns is no longer linear in a jump's size.
const GREAT_JUMP: f64 = 8.0;

impl Fit {
    /// A hypothesis that has not been fitted yet.
    pub fn new(shape: Shape, signal: usize, onset: u64, until: Option<u64>) -> Self {
        Self { shape, signal, onset, until, size: 0.0, gain: 0.0, shown: 0.0, std: f64::INFINITY }
    }

    /// Whether it left a trace of itself while it lasted.
    pub fn is_shown(&self) -> bool {
        self.until.is_none() || self.shown > SHOWN_NATS
    }
}

/// Readings that a swing has to be seen over.
const SWING_LEAST: f64 = 60.0;

/// How much more than the model has it a signal swings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swing {
    /// As a share of its deviations from its mean.
    pub share: f64,
    /// Standard deviation of that share.
    pub std: f64,
    /// Its mean, as corrected.
    pub mean: f64,
}

/// What a search works on.
pub(crate) struct Search<'a> {
    pub history: &'a History,
    pub corrections: &'a [Correction],
    pub noise: &'a [Calibration],
    /// Any state of the estimator, to take others on.
    pub est: &'a dyn Estimator,
    /// The output whose misfit is looked into: by its noise, gains are diluted.
    pub output: usize,
    pub shared: Shared,
}

impl Search<'_> {
    /// The estimator's state just before sample `i`, under what is believed.
    pub fn state_at(&self, i: u64) -> Option<Box<dyn Estimator>> {
        let (mut at, mut est) = self.history.state_before(i, self.est)?;
        while at < i {
            self.history.step(&mut *est, at, self.corrections, &mut |_, _| {});
            at += 1;
        }
        Some(est)
    }

    /// Fits one shape with one onset, and an end if it is over.
    pub fn fit(&self, shape: Shape, signal: usize, onset: u64, until: Option<u64>) -> Option<Fit> {
        let fit = Fit::new(shape, signal, onset, until);
        let small = self.fit_small(&fit);
        // A great jump moves what the filter has learnt so far that the signature is another: it is taken again near the
        // size that the jump itself suggests.
        let great = self.suggested(&fit).and_then(|size| self.fit_near(size, &fit));
        [small, great].into_iter().flatten().max_by(|a, b| a.gain.total_cmp(&b.gain))
    }

    /// The size that the jump at a fault's onset or end suggests, if it is a great one.
    fn suggested(&self, fit: &Fit) -> Option<f64> {
        let h = self.history;
        let o = fit.signal.checked_sub(h.layout.inputs)?;
        let at = fit.until.unwrap_or(fit.onset);
        let v = h.innovation(at, o);
        if v.var.is_nan() || v.whitened().abs() < GREAT_JUMP * self.noise[o].scale() {
            return None;
        }
        let trial = Correction { size: 1.0, ..self.correction(fit) };
        let (sign, t) = if fit.until.is_some() { (-1.0, h.sample(at - 1).t) } else { (1.0, h.sample(at).t) };
        let profile = trial.profile(t, h.value(at, fit.signal));
        (profile.abs() > 1e-9).then(|| sign * v.residual / profile)
    }

    /// The same by the signature to first order, near what is believed.
    fn fit_small(&self, fit: &Fit) -> Option<Fit> {
        let trial = Correction { size: 1.0, ..self.correction(fit) };
        let believed = self.shared.believed(self, fit.onset);
        let from = believed.row(fit.onset);
        let lasted = fit.until.map_or(0, |until| believed.row(until) - from);
        self.shared.with_signature(self, &trial, fit, |g| {
            let rows = Rows { z: &believed.z[from..], g, believed: &believed.cost[from..], lasted };
            self.fit_rows(fit, 0.0, &rows)
        })
    }

    /// The same by forks of the estimator, near a size.
    fn fit_near(&self, base: f64, fit: &Fit) -> Option<Fit> {
        let h = self.history;
        let unit = match fit.shape {
            // One unit a minute; a hundredth of the reading's size would do as well.
            Shape::Drift => self.history.layout.unit[fit.signal] * 60.0,
            Shape::Gain => 0.01,
            _ => self.history.layout.unit[fit.signal],
        };
        let at_size = |size: f64| {
            let mut all = self.corrections.to_vec();
            all.push(Correction { size, ..self.correction(fit) });
            all
        };
        let (near, beyond) = (at_size(base), at_size(base + unit));
        let mut est = self.state_at(fit.onset)?;
        let mut near_est = est.fork();
        let (mut z, mut g, mut cost_before) = (Vec::new(), Vec::new(), vec![0.0]);
        let mut lasted = 0;
        let mut tried = vec![NONE; h.layout.outputs];
        for i in fit.onset..h.next() {
            if fit.until == Some(i) {
                lasted = z.len();
            }
            tried.fill(NONE);
            h.step(&mut *near_est, i, &near, &mut |o, v| tried[o] = v);
            h.step(&mut *est, i, &beyond, &mut |o, v| {
                let (believed, near) = (h.innovation(i, o), tried[o]);
                if believed.var.is_nan() || near.var.is_nan() {
                    return;
                }
                let scale = self.noise[o].scale();
                let sd = near.var.sqrt() * scale;
                z.push(near.residual / sd);
                g.push((near.residual - v.residual) / unit / sd);
                let narrower = 0.5 * (believed.var / near.var).ln();
                let before = cost_before.last().copied().unwrap_or(0.0);
                cost_before.push(before + cost(believed.whitened() / scale) + narrower);
            });
        }
        self.fit_rows(fit, base, &Rows { z: &z, g: &g, believed: &cost_before, lasted })
    }

    /// The size that fits best, and what it gains.
    fn fit_rows(&self, fit: &Fit, base: f64, rows: &Rows<'_>) -> Option<Fit> {
        let Rows { z, g, believed, lasted } = *rows;
        let dilution = self.noise[self.output].dilution();
        let gain_of = |n: usize, more: f64| -> f64 {
            let left = costs(z[..n].iter().zip(&g[..n]).map(|(z, g)| z - g * more));
            (believed[n] - believed[0] - left) / dilution
        };
        let (mut more, mut information) = (0.0, 0.0);
        for _ in 0..4 {
            let (num, den) = weighted_sums(z, g, more);
            if den <= 1e-12 {
                return None;
            }
            (more, information) = (num / den, den);
        }
        let gain = gain_of(z.len(), more);
        let shown = if fit.until.is_some() { gain_of(lasted, more) } else { gain };
        let std = (dilution / information).sqrt();
        Some(Fit { size: base + more, gain, shown, std, ..*fit })
    }

    /// The best onset of a shape among `onsets` (ascending), then among their neighbours.
    pub fn best(&self, shape: Shape, signal: usize, onsets: &[u64], until: Option<u64>) -> Option<Fit> {
        let each = onsets.iter().map(|onset| Fit::new(shape, signal, *onset, until));
        let mut fits: Vec<Fit> = each.filter_map(|fit| self.fit_small(&fit)).collect();
        fits.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        let in_full = fits.iter().take(IN_FULL).filter_map(|fit| self.fit_near(self.suggested(fit)?, fit));
        let mut best = fits.first().copied();
        for fit in in_full {
            best = best.filter(|b| b.gain >= fit.gain).or(Some(fit));
        }
        let mut best = best?;
        if best.gain < WORTH_REFINING {
            return Some(best);
        }
        let at = onsets.iter().position(|o| *o == best.onset)?;
        let before = at.checked_sub(1).map_or(best.onset, |i| onsets[i]);
        let after = onsets.get(at + 1).copied().unwrap_or(best.onset);
        // Halve the spacing on both sides, down to a sixteenth of the time since.
        let mut step = (best.onset - before).max(after - best.onset) / 2;
        let fine = until.unwrap_or(self.history.next()).saturating_sub(best.onset) / 16;
        while step > fine {
            for onset in [best.onset.saturating_sub(step), best.onset + step] {
                if onset <= before || onset >= after {
                    continue;
                }
                if let Some(fit) = self.fit(shape, signal, onset, until)
                    && fit.gain > best.gain
                {
                    best = fit;
                }
            }
            step /= 2;
        }
        Some(best)
    }

    /// The best onset of a fault that was over at about `end`, and its end.
    pub fn best_over(&self, shape: Shape, signal: usize, onsets: &[u64], end: u64) -> Option<Fit> {
        let mut best = self.best(shape, signal, onsets, Some(end))?;
        for until in [end.saturating_sub(2), end.saturating_sub(1), end + 1, end + 2] {
            if until < self.history.next()
                && let Some(fit) = self.fit(shape, signal, best.onset, Some(until))
                && fit.gain > best.gain
            {
                best = fit;
            }
        }
        Some(Fit { gain: best.gain - OVER_PENALTY, ..best })
    }

    /// How much more than the model has it a signal swings about its mean, between two samples, whatever its level is off by.
    pub fn swing(&self, signal: usize, from: u64, to: u64) -> Option<Swing> {
        let h = self.history;
        let (mut sum, mut n) = (0.0, 0.0);
        for i in from..to {
            let raw = h.value(i, signal);
            if let Some(value) =
                corrected(self.corrections, signal, h.sample(i).t, raw).filter(|v| !v.is_nan())
            {
                (sum, n) = (sum + value, n + 1.0);
            }
        }
        if n < SWING_LEAST {
            return None;
        }
        let mean = sum / n;
        let believed = self.shared.believed(self, from);
        let rows = believed.row(from)..believed.row(to);
        let z = &believed.z[rows.clone()];
        let level = self.shared.lasting(self, Shape::Bias, signal, from);
        let gain = self.shared.lasting(self, Shape::Gain, signal, from);
        // A gain acts on the reading as counted from its zero; less the level, it acts on what is above or below the mean.
        let swing: Vec<f64> = gain.iter().zip(&*level).take(rows.len()).map(|(g, b)| g - mean * b).collect();
        let (mut share, mut off, mut information) = (0.0, 0.0, 0.0);
        for _ in 0..6 {
            let mut sums = [0.0; 5];
            for ((z, s), b) in z.iter().zip(&swing).zip(&*level) {
                let w = weight(z - s * share - b * off);
                let terms = [s * s, s * b, b * b, s * z, b * z];
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += w * term);
            }
            let [ss, sb, bb, sz, bz] = sums;
            let det = ss * bb - sb * sb;
            if det <= 1e-9 * ss * bb || bb <= 0.0 {
                return None;
            }
            (share, off) = ((sz * bb - bz * sb) / det, (bz * ss - sz * sb) / det);
            information = det / bb;
        }
        let std = (self.noise[self.output].dilution() / information).sqrt();
        Some(Swing { share, std, mean })
    }

    /// What is corrected for if a hypothesis holds.
    pub fn correction(&self, fit: &Fit) -> Correction {
        Correction {
            signal: fit.signal,
            shape: fit.shape,
            size: fit.size,
            from: self.history.sample(fit.onset).t,
            until: fit.until.map_or(SimTime::NEVER, |k| self.history.sample(k).t),
        }
    }

    /// What it gains to suppose that the correction at `at` ended at sample `onset`.
    pub fn ended(&self, at: usize, onset: u64) -> Option<f64> {
        let mut all = self.corrections.to_vec();
        all[at].until = self.history.sample(onset).t;
        self.gain_under(&all, onset)
    }

    /// The same fit once more, near its own size, in full.
    pub fn again(&self, fit: &Fit) -> Option<Fit> {
        self.fit_near(fit.size, fit)
    }

    /// What it gains not to believe an input since `onset`.
    pub fn unknown_input(&self, input: usize, onset: u64) -> Option<Fit> {
        let fit = Fit { std: 0.0, ..Fit::new(Shape::Ignore, input, onset, None) };
        let mut all = self.corrections.to_vec();
        all.push(self.correction(&fit));
        let gain = self.gain_under(&all, onset)?;
        Some(Fit { gain, shown: gain, ..fit })
    }

    /// Log-likelihood of the readings since `onset` under other corrections, beyond what is believed, diluted, [nat].
    fn gain_under(&self, corrections: &[Correction], onset: u64) -> Option<f64> {
        let h = self.history;
        let mut est = self.state_at(onset)?;
        let mut gain = 0.0;
        for i in onset..h.next() {
            h.step(&mut *est, i, corrections, &mut |o, tried| {
                let believed = h.innovation(i, o);
                if !believed.var.is_nan() {
                    let z = |v: Innovation| v.residual / v.var.sqrt() / self.noise[o].scale();
                    gain += cost(z(believed)) - cost(z(tried)) + 0.5 * (believed.var / tried.var).ln();
                }
            });
        }
        Some(gain / self.noise[self.output].dilution())
    }

    /// Extra white noise since `onset`: the innovations scatter more, and that is all.
    pub fn noise(&self, onset: u64) -> Option<Fit> {
        let (h, output) = (self.history, self.output);
        let mut zs = Vec::new();
        let mut var = 0.0;
        for i in onset..h.next() {
            let v = h.innovation(i, output);
            if !v.var.is_nan() {
                zs.push(v.residual / v.var.sqrt() / self.noise[output].scale());
                var += v.var;
            }
        }
        if zs.len() < 12 {
            return None;
        }
        // A sensor's noise is white; a model that is wrong scatters the innovations too, but smoothly.
        let square: f64 = zs.iter().map(|z| z * z).sum();
        let neighbours: f64 = zs.windows(2).map(|w| w[0] * w[1]).sum();
        if neighbours > 0.3 * square {
            return None;
        }
        let n = zs.len() as f64;
        // Scale of maximum likelihood under the same heavy tail, by fixed point.
        let mut s2 = 1.0f64;
        for _ in 0..12 {
            let before = s2;
            s2 = (zs.iter().map(|z| weight(z / s2.sqrt()) * z * z).sum::<f64>() / n).max(1.0);
            if s2 == before {
                break;
            }
        }
        let s = s2.sqrt();
        let gain = costs(zs.iter().copied()) - costs(zs.iter().map(|z| z / s)) - n * s.ln();
        let size = (var / n * (s2 - 1.0)).sqrt() * self.noise[output].scale();
        let std = size / (2.0 * n).sqrt();
        let gain = gain / self.noise[output].dilution();
        Some(Fit {
            size,
            gain,
            shown: gain,
            std,
            ..Fit::new(Shape::Noise, h.layout.inputs + output, onset, None)
        })
    }
}

/// Of the weighted least squares about a size: the sums of w·g·z and w·g². In four lanes, so that no sum waits for the one
/// before.
fn weighted_sums(z: &[f64], g: &[f64], size: f64) -> (f64, f64) {
    let (mut num, mut den) = ([0.0; 4], [0.0; 4]);
    let mut add = |lane: usize, z: f64, g: f64| {
        let w = weight(z - g * size);
        num[lane] += w * g * z;
        den[lane] += w * g * g;
    };
    let (z4, g4) = (z.chunks_exact(4), g.chunks_exact(4));
    for (lane, (z, g)) in z4.remainder().iter().zip(g4.remainder()).enumerate() {
        add(lane, *z, *g);
    }
    for (z, g) in z4.zip(g4) {
        for lane in 0..4 {
            add(lane, z[lane], g[lane]);
        }
    }
    (num.iter().sum(), den.iter().sum())
}
