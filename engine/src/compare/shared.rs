//! What the fits of one search share: what the readings cost under what is believed, and signatures by their onset.

use super::{
    glr::{Fit, Search},
    history::{Correction, History, Shape},
    noise::cost,
    signature::Signature,
};
use crate::time::SimTime;
use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

/// Samples that most hypotheses are content with; only those that began long ago look at all.
const RECENT: u64 = 320;

/// The past as a search reads it, unpacked; and the innovations of all outputs under what is believed, a row each, in the order
/// of their samples.
#[derive(Debug)]
pub(crate) struct Believed {
    first: u64,
    times: Vec<SimTime>,
    /// Of each sample, all signals; how deviations pass through it; whether a reading of each output was taken in.
    values: Vec<f64>,
    traces: Vec<f32>,
    taken: Vec<bool>,
    /// Of each sample from the first on, its first row.
    rows: Vec<u32>,
    /// In standard deviations.
    pub z: Vec<f64>,
    /// One over the standard deviation.
    per_sd: Vec<f64>,
    /// What all rows before this one cost; one more than there are rows.
    pub cost: Vec<f64>,
}

impl Believed {
    fn new(search: &Search<'_>, first: u64) -> Self {
        let h = search.history;
        let room = (h.next() - first) as usize;
        let (signals, outputs) = (h.layout.inputs + h.layout.outputs, h.layout.outputs);
        let mut all = Self {
            first,
            times: Vec::with_capacity(room),
            values: Vec::with_capacity(room * signals),
            traces: h.traces(first),
            taken: Vec::with_capacity(room * outputs),
            rows: Vec::with_capacity(room),
            z: Vec::with_capacity(room * outputs),
            per_sd: Vec::with_capacity(room * outputs),
            cost: Vec::with_capacity(room * outputs + 1),
        };
        let mut sum = 0.0;
        all.cost.push(sum);
        for i in first..h.next() {
            all.times.push(h.sample(i).t);
            all.values.extend((0..signals).map(|signal| h.value(i, signal)));
            all.rows.push(all.z.len() as u32);
            for o in 0..outputs {
                let v = h.innovation(i, o);
                all.taken.push(!v.var.is_nan());
                if v.var.is_nan() {
                    continue;
                }
                let per_sd = 1.0 / (v.var.sqrt() * search.noise[o].scale());
                let z = v.residual * per_sd;
                sum += cost(z);
                all.z.push(z);
                all.per_sd.push(per_sd);
                all.cost.push(sum);
            }
        }
        all
    }

    fn at(&self, i: u64) -> usize {
        (i - self.first) as usize
    }

    /// When a sample was taken.
    pub fn time(&self, i: u64) -> SimTime {
        self.times[self.at(i)]
    }

    /// A signal's reading at a sample, of so many signals.
    pub fn value(&self, i: u64, signal: usize, signals: usize) -> f64 {
        self.values[self.at(i) * signals + signal]
    }

    /// Whether a reading of an output was taken in at a sample, of so many outputs.
    pub fn was_taken(&self, i: u64, output: usize, outputs: usize) -> bool {
        self.taken[self.at(i) * outputs + output]
    }

    /// How deviations pass through a sample, in so many numbers.
    pub fn trace(&self, i: u64, numbers: usize) -> &[f32] {
        &self.traces[self.at(i) * numbers..][..numbers]
    }

    /// The first row of a sample.
    pub fn row(&self, i: u64) -> usize {
        self.rows.get(self.at(i)).map_or(self.z.len(), |row| *row as usize)
    }
}

/// A signature is found by its shape, its signal and its onset.
type Key = (Shape, usize, u64);

/// Room for what the fits of a search share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    recent: OnceCell<Believed>,
    all: OnceCell<Believed>,
    signatures: RefCell<Vec<(Key, Rc<[f64]>)>>,
}

impl Shared {
    /// The innovations from an onset on, or from before it.
    pub fn believed(&self, search: &Search<'_>, onset: u64) -> &Believed {
        let oldest = search.history.oldest_start();
        let recent = search.history.next().saturating_sub(RECENT).max(oldest);
        if onset >= recent {
            self.recent.get_or_init(|| Believed::new(search, recent))
        } else {
            self.all.get_or_init(|| Believed::new(search, oldest.min(onset)))
        }
    }

    /// Hands the signature of a fault of size 1 to `work`, a row each reading since its onset.
    ///
    /// Signatures add up. So one that ends is one that lasts less another that begins where it ends: a bias less a bias; a
    /// drift less a drift, and less a bias of what it has come to.
    pub fn with_signature<R>(
        &self,
        search: &Search<'_>,
        trial: &Correction,
        fit: &Fit,
        work: impl FnOnce(&[f64]) -> R,
    ) -> R {
        let lasting = self.lasting(search, trial.shape, fit.signal, fit.onset);
        let Some(until) = fit.until else { return work(&lasting) };
        let mut g = lasting.to_vec();
        let mut less = |shape: Shape, size: f64| {
            let other = self.lasting(search, shape, fit.signal, until);
            let first = g.len() - other.len();
            g[first..].iter_mut().zip(&*other).for_each(|(g, x)| *g -= size * x);
        };
        match trial.shape {
            Shape::Drift => {
                less(Shape::Drift, 1.0);
                less(Shape::Bias, (trial.until - trial.from).as_secs_f64() / 3600.0);
            }
            shape => less(shape, 1.0),
        }
        work(&g)
    }

    /// The signature of a fault that lasts.
    pub fn lasting(&self, search: &Search<'_>, shape: Shape, signal: usize, onset: u64) -> Rc<[f64]> {
        let key = (shape, signal, onset);
        if let Some((_, known)) = self.signatures.borrow().iter().find(|(k, _)| *k == key) {
            return Rc::clone(known);
        }
        let h: &History = search.history;
        let believed = self.believed(search, onset);
        let mut row = believed.row(onset);
        let fault = search.correction(&Fit::new(shape, signal, onset, None));
        let trial = Correction { size: 1.0, ..fault };
        let mut signature = Signature::new(&h.layout, believed, search.corrections, trial);
        let mut g = Vec::with_capacity(believed.z.len() - row);
        for i in onset..h.next() {
            signature.step(i, |_, change| {
                g.push(-change * believed.per_sd[row]);
                row += 1;
            });
        }
        let g: Rc<[f64]> = g.into();
        self.signatures.borrow_mut().push((key, Rc::clone(&g)));
        g
    }
}
