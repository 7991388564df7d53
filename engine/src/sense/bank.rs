//! One channel of a cohort as structure of arrays: its units' figures, its states, and the pipeline over a batch of due
//! devices.

use super::{cohort::Due, decay::decays, fault::FaultRun};
use crate::{
    catalog::ChannelDef,
    rng::{Rng, stream},
    time::{SimTime, Span},
    world::{Truth, TruthId},
};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Seconds in a Julian year.
const YEAR_S: f64 = 365.25 * 86_400.0;
/// Adding and taking away 1.5·2⁵² rounds to the nearest integer, ties to even.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Largest code that quantisation handles; beyond it a step is finer than an `f64` near the range's end.
const MAX_CODE: f64 = 1e15;

/// What one unit drew at its making.
#[derive(Clone, Copy, Debug)]
struct Unit {
    gain: f32,
    bias: f32,
    /// Per second.
    drift: f32,
}

/// Saturation and quantisation.
#[derive(Clone, Copy, Debug)]
enum Grid {
    /// Range only.
    None { low: f64, high: f64 },
    /// Codes `low..=high`; a reading is code / per_unit, the nearest number to the decimal one for steps such as 0.1.
    Codes { per_unit: f64, low: f64, high: f64 },
    /// Codes `low..=high`; a reading is code × step.
    Steps { step: f64, low: f64, high: f64 },
}

impl Grid {
    fn new(def: &ChannelDef) -> Self {
        let (low, high) = (def.range.0.min(def.range.1), def.range.1.max(def.range.0));
        let step = def.lsb.abs();
        // Written so that a step of NaN counts as none.
        if !(step > 0.0 && low.abs().max(high.abs()) / step < MAX_CODE) {
            return Self::None { low, high };
        }
        let per_unit = (1.0 / step).round();
        if per_unit >= 1.0 && (per_unit * step - 1.0).abs() < 1e-9 {
            let (first, last) = codes(low * per_unit, high * per_unit);
            return Self::Codes { per_unit, low: first, high: last };
        }
        let (first, last) = codes(low / step, high / step);
        Self::Steps { step, low: first, high: last }
    }

    /// Readings for raw values; saturation comes first, so that a reading is never outside the range.
    fn apply(self, values: &mut [f64]) {
        match self {
            Self::None { low, high } => values.iter_mut().for_each(|v| *v = v.clamp(low, high)),
            Self::Codes { per_unit, low, high } => {
                for v in values {
                    *v = ((*v * per_unit).clamp(low, high) + ROUND - ROUND) / per_unit;
                }
            }
            Self::Steps { step, low, high } => {
                let per_unit = 1.0 / step;
                for v in values {
                    *v = ((*v * per_unit).clamp(low, high) + ROUND - ROUND) * step;
                }
            }
        }
    }
}

/// Whole codes within the range, with a hair of slack, so that an end that is a multiple of the step stays reachable.
fn codes(low: f64, high: f64) -> (f64, f64) {
    let first = (low - 1e-6).ceil();
    (first, (high + 1e-6).floor().max(first))
}

/// Sensitivity to another quantity of the same place.
#[derive(Debug)]
struct Cross {
    places: Vec<TruthId>,
    per_unit: f64,
    at: f64,
}

/// The value that a part gives again when it is read too soon.
#[derive(Clone, Copy, Debug)]
struct Held {
    t_ns: i64,
    value: f64,
}

/// A channel of a cohort.
#[derive(Debug)]
pub(crate) struct Bank {
    grid: Grid,
    noise_std: f64,
    wander_std: f64,
    wander_tau_s: f64,
    tau_s: f64,
    half_loop: f64,
    rise: f64,
    min_interval: Span,
    /// One place per zone of the group.
    places: Vec<TruthId>,
    /// A lane's own place, where physics gives one; empty where no lane has.
    own: Vec<Option<TruthId>>,
    cross: Vec<Cross>,
    units: Vec<Unit>,
    rng: Vec<Rng>,
    lag: Vec<f64>,
    wander: Vec<f64>,
    edge: Vec<f64>,
    held: Vec<Held>,
    /// Sorted by lane; faults of one lane act in the timeline's order.
    faults: Vec<(u16, FaultRun)>,
}

/// Buffers that a pass over a cohort needs and no cohort keeps.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub due: Vec<Due>,
    pub dt_s: Vec<f64>,
    pub values: Vec<f64>,
    lag_decay: Vec<f64>,
    wander_decay: Vec<f64>,
    by_place: Vec<f64>,
    cross: Vec<f64>,
    fresh: Vec<Due>,
    fresh_at: Vec<u32>,
    fresh_dt_s: Vec<f64>,
    fresh_values: Vec<f64>,
}

impl Bank {
    /// An empty bank. `rise` is what self-heating comes to at the device's duty cycle; `places` are those of the
    /// channel's quantity and `cross_places` those of each cross-sensitivity's, one per zone of the group.
    pub fn new(
        def: &ChannelDef,
        min_interval: Span,
        rise: f64,
        places: Vec<TruthId>,
        cross_places: Vec<Vec<TruthId>>,
    ) -> Self {
        let cross = def.cross.iter().zip(cross_places);
        Self {
            grid: Grid::new(def),
            noise_std: def.noise_std,
            // Without a correlation time there is no process; white noise has its own figure.
            wander_std: if def.wander_tau_s > 0.0 { def.wander_std } else { 0.0 },
            wander_tau_s: def.wander_tau_s,
            tau_s: def.tau_s,
            half_loop: def.hysteresis / 2.0,
            rise,
            min_interval,
            places,
            own: Vec::new(),
            cross: cross.map(|(c, places)| Cross { places, per_unit: c.per_unit, at: c.at }).collect(),
            units: Vec::new(),
            rng: Vec::new(),
            lag: Vec::new(),
            wander: Vec::new(),
            edge: Vec::new(),
            held: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Adds the next lane's unit, drawn from the streams `name/unit` and `name/noise` of the device.
    pub fn add(&mut self, seed: u64, device: &str, name: &str, def: &ChannelDef, own: Option<TruthId>) {
        let mut unit = stream(seed, device, &format!("{name}/unit"));
        let mut normal = |std: f64| std * unit.sample::<f64, _>(StandardNormal);
        self.units.push(Unit {
            gain: normal(def.gain_std) as f32,
            bias: normal(def.bias_std) as f32,
            drift: normal(def.drift_per_year / YEAR_S) as f32,
        });
        if self.noise_std > 0.0 || self.wander_std > 0.0 {
            self.rng.push(stream(seed, device, &format!("{name}/noise")));
        }
        for (wanted, state) in [
            (self.tau_s > 0.0, &mut self.lag),
            (self.wander_std > 0.0, &mut self.wander),
            (self.half_loop > 0.0, &mut self.edge),
        ] {
            if wanted {
                state.push(0.0);
            }
        }
        if self.min_interval.0 > 0 {
            self.held.push(Held { t_ns: i64::MIN, value: f64::NAN });
        }
        if own.is_some() || !self.own.is_empty() {
            self.own.resize(self.units.len() - 1, None);
            self.own.push(own);
        }
    }

    /// Adds a fault to a lane; lanes come in ascending order.
    pub fn add_fault(&mut self, lane: u16, fault: FaultRun) {
        self.faults.push((lane, fault));
    }

    /// Reads every due device: `values[k]` becomes the reading of `due[k]`, NaN where there is none.
    pub fn sample(&mut self, due: &[Due], dt_s: &[f64], place: &[u16], truth: &Truth, scratch: &mut Scratch) {
        let mut values = std::mem::take(&mut scratch.values);
        let start = values.len();
        values.resize(start + due.len(), 0.0);
        let out = &mut values[start..];
        if self.held.is_empty() {
            self.measure(due, dt_s, place, truth, out, scratch);
        } else {
            self.measure_or_repeat(due, place, truth, out, scratch);
        }
        scratch.values = values;
    }

    /// As [`Self::measure`], for a part that gives its last value when it is read too soon.
    fn measure_or_repeat(
        &mut self,
        due: &[Due],
        place: &[u16],
        truth: &Truth,
        out: &mut [f64],
        scratch: &mut Scratch,
    ) {
        let mut fresh = std::mem::take(&mut scratch.fresh);
        let mut fresh_dt_s = std::mem::take(&mut scratch.fresh_dt_s);
        let mut fresh_values = std::mem::take(&mut scratch.fresh_values);
        fresh.clear();
        fresh_dt_s.clear();
        scratch.fresh_at.clear();
        for (k, d) in due.iter().enumerate() {
            let held = &mut self.held[d.lane as usize];
            if held.t_ns == i64::MIN || d.t_ns - held.t_ns >= self.min_interval.0 {
                fresh_dt_s.push(elapsed_s(held.t_ns, d.t_ns));
                held.t_ns = d.t_ns;
                fresh.push(*d);
                scratch.fresh_at.push(k as u32);
            }
        }
        fresh_values.clear();
        fresh_values.resize(fresh.len(), 0.0);
        self.measure(&fresh, &fresh_dt_s, place, truth, &mut fresh_values, scratch);
        let mut next = 0;
        for (k, d) in due.iter().enumerate() {
            let held = &mut self.held[d.lane as usize];
            if scratch.fresh_at.get(next) == Some(&(k as u32)) {
                held.value = fresh_values[next];
                next += 1;
            }
            out[k] = held.value;
        }
        scratch.fresh = fresh;
        scratch.fresh_dt_s = fresh_dt_s;
        scratch.fresh_values = fresh_values;
    }

    /// The pipeline. Each stage that the channel lacks costs one branch a batch.
    fn measure(
        &mut self,
        due: &[Due],
        dt_s: &[f64],
        place: &[u16],
        truth: &Truth,
        out: &mut [f64],
        scratch: &mut Scratch,
    ) {
        self.look(due, place, truth, out, scratch);
        let mut lag_decay = std::mem::take(&mut scratch.lag_decay);
        let mut wander_decay = std::mem::take(&mut scratch.wander_decay);
        if !self.lag.is_empty() {
            decays(dt_s, self.tau_s, &mut lag_decay);
            for ((v, d), decay) in out.iter_mut().zip(due).zip(&lag_decay) {
                let y = &mut self.lag[d.lane as usize];
                // Exact for a truth that holds over Δt: y + (u − y)(1 − φ).
                *y = *v + (*y - *v) * decay;
                *v = *y;
            }
        }
        if !self.cross.is_empty() {
            for (v, d) in out.iter_mut().zip(due) {
                *v += scratch.cross[place[d.lane as usize] as usize];
            }
        }
        if !self.edge.is_empty() {
            self.hysteresis(due, dt_s, out);
        }
        if self.wander.is_empty() {
            if self.noise_std > 0.0 {
                self.disturb::<true>(due, out);
            } else {
                self.disturb::<false>(due, out);
            }
        } else {
            decays(dt_s, self.wander_tau_s, &mut wander_decay);
            self.disturb_and_wander(due, &wander_decay, out);
        }
        if !self.faults.is_empty() {
            self.fail(due, out);
        }
        self.grid.apply(out);
        scratch.lag_decay = lag_decay;
        scratch.wander_decay = wander_decay;
    }

    /// Truth at each part, own heat included.
    fn look(&self, due: &[Due], place: &[u16], truth: &Truth, out: &mut [f64], scratch: &mut Scratch) {
        scratch.by_place.clear();
        scratch.by_place.extend(self.places.iter().map(|id| truth.get(*id) + self.rise));
        scratch.cross.clear();
        for z in 0..self.places.len() {
            let terms = self.cross.iter().map(|c| c.per_unit * (truth.get(c.places[z]) - c.at));
            scratch.cross.push(terms.sum());
        }
        for (v, d) in out.iter_mut().zip(due) {
            *v = scratch.by_place[place[d.lane as usize] as usize];
        }
        if !self.own.is_empty() {
            for (v, d) in out.iter_mut().zip(due) {
                if let Some(id) = self.own.get(d.lane as usize).copied().flatten() {
                    *v = truth.at(id, SimTime(d.t_ns)) + self.rise;
                }
            }
        }
    }

    /// Backlash: the inner value moves only when the outer one pushes it from the loop's edge.
    fn hysteresis(&mut self, due: &[Due], dt_s: &[f64], out: &mut [f64]) {
        for ((v, d), dt) in out.iter_mut().zip(due).zip(dt_s) {
            let edge = &mut self.edge[d.lane as usize];
            // Before its first reading the part has rested at this value: the loop's middle.
            *edge = if dt.is_finite() { edge.clamp(*v - self.half_loop, *v + self.half_loop) } else { *v };
            *v = *edge;
        }
    }

    fn disturb<const NOISE: bool>(&mut self, due: &[Due], out: &mut [f64]) {
        let noise_std = self.noise_std;
        let (units, rngs) = (&self.units[..], &mut self.rng[..]);
        for (v, d) in out.iter_mut().zip(due) {
            let unit = units[d.lane as usize];
            *v = *v + *v * f64::from(unit.gain) + f64::from(unit.bias) + f64::from(unit.drift) * d.t_s();
            if NOISE {
                let n: f64 = rngs[d.lane as usize].sample(StandardNormal);
                *v += noise_std * n;
            }
        }
    }

    /// As [`Self::disturb`] with the Gauss–Markov process, exact over any step: b ← φ·b + σ·√(1 − φ²)·w.
    /// Two normals a reading, the wander's first.
    fn disturb_and_wander(&mut self, due: &[Due], decay: &[f64], out: &mut [f64]) {
        let (noise_std, wander_std) = (self.noise_std, self.wander_std);
        let lanes = self.units.len();
        let (units, rngs, wander) = (&self.units[..lanes], &mut self.rng[..lanes], &mut self.wander[..lanes]);
        for ((v, d), phi) in out.iter_mut().zip(due).zip(decay) {
            let lane = d.lane as usize;
            let rng = &mut rngs[lane];
            let w: f64 = rng.sample(StandardNormal);
            let n: f64 = rng.sample(StandardNormal);
            let b = phi * wander[lane] + wander_std * (1.0 - phi * phi).sqrt() * w;
            wander[lane] = b;
            let unit = units[lane];
            let slow = f64::from(unit.bias) + f64::from(unit.drift) * d.t_s() + b;
            *v = *v + *v * f64::from(unit.gain) + slow + noise_std * n;
        }
    }

    fn fail(&mut self, due: &[Due], out: &mut [f64]) {
        for (v, d) in out.iter_mut().zip(due) {
            let first = self.faults.partition_point(|(lane, _)| *lane < d.lane);
            for (lane, fault) in &mut self.faults[first..] {
                if *lane != d.lane {
                    break;
                }
                *v = fault.apply(SimTime(d.t_ns), *v).unwrap_or(f64::NAN);
            }
        }
    }

    /// Everything of a lane that decides its future.
    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let i = lane as usize;
        for state in [&self.lag, &self.wander, &self.edge] {
            bytes.extend(state.get(i).copied().unwrap_or_default().to_bits().to_le_bytes());
        }
        if let Some(held) = self.held.get(i) {
            bytes.extend(held.t_ns.to_le_bytes());
            bytes.extend(held.value.to_bits().to_le_bytes());
        }
        if let Some(rng) = self.rng.get(i) {
            bytes.extend(rng.clone().random::<u64>().to_le_bytes());
        }
        for (_, fault) in self.faults.iter().filter(|(l, _)| *l == lane) {
            fault.hash_into(bytes);
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let states = self.lag.capacity() + self.wander.capacity() + self.edge.capacity();
        size_of::<Self>()
            + states * 8
            + self.units.capacity() * size_of::<Unit>()
            + self.rng.capacity() * size_of::<Rng>()
            + self.held.capacity() * size_of::<Held>()
            + self.own.capacity() * size_of::<Option<TruthId>>()
            + self.faults.capacity() * size_of::<(u16, FaultRun)>()
    }
}

/// Seconds from one instant to a later one; without end where there was none before.
pub(crate) fn elapsed_s(from_ns: i64, to_ns: i64) -> f64 {
    if from_ns == i64::MIN { f64::INFINITY } else { (to_ns - from_ns) as f64 * 1e-9 }
}
