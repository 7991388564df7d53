//! One channel of a cohort: its units' figures, its states, and the pipeline over a batch of due devices.

use super::{
    cohort::Due,
    convert::{Converter, Outlet},
    decay::Decays,
    fault::{AtPin, FaultRun},
    latch::{Latch, Latches},
    normal,
};
use crate::{
    catalog::{ChannelDef, CrossDef},
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

/// One unit of the channel in one cache line: its stream, its states, and what it drew at its making. A reading out of the
/// blue costs one miss, and a batch of all lanes streams through memory once.
#[derive(Debug)]
#[repr(align(64))]
struct Unit {
    rng: Rng,
    lag: f64,
    wander: f64,
    gain: f32,
    bias: f32,
    /// Per second.
    drift: f32,
}

impl Unit {
    #[inline]
    fn offset(&self, t_s: f64) -> f64 {
        f64::from(self.bias) + f64::from(self.drift) * t_s
    }
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

    /// Smallest and largest reading.
    fn ends(self) -> (f64, f64) {
        match self {
            Self::None { low, high } => (low, high),
            Self::Codes { per_unit, low, high } => (low / per_unit, high / per_unit),
            Self::Steps { step, low, high } => (low * step, high * step),
        }
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
    def: CrossDef,
}

/// The value that a part gives again when it is read too soon.
#[derive(Clone, Copy, Debug)]
struct Held {
    t_ns: i64,
    value: f64,
}

/// A fault on a lane.
#[derive(Debug)]
struct Acting {
    lane: u16,
    run: FaultRun,
    /// Temperature of the air around the part, where its law goes by it.
    air: Option<TruthId>,
}

/// The faults of a lane among all that are sorted by lane.
fn of_lane(faults: &mut [Acting], lane: u16) -> &mut [Acting] {
    let first = faults.partition_point(|f| f.lane < lane);
    let own = faults[first..].partition_point(|f| f.lane == lane);
    &mut faults[first..first + own]
}

/// What becomes of a reading under the faults of its lane; NaN: it is lost.
fn failed(faults: &mut [Acting], truth: &Truth, t: SimTime, mut reading: f64) -> f64 {
    for f in faults {
        let air_c = f.air.map_or(20.0, |id| truth.at(id, t));
        reading = f.run.apply_in(t, reading, air_c).unwrap_or(f64::NAN);
    }
    reading
}

/// A channel of a cohort.
#[derive(Debug)]
pub(crate) struct Bank {
    grid: Grid,
    noise_std: f64,
    noise_ratio: f64,
    wander_std: f64,
    wander_tau_s: f64,
    tau_s: f64,
    half_loop: f64,
    rise: f64,
    min_interval: Span,
    warm_up: Span,
    /// One place per zone of the group.
    places: Vec<TruthId>,
    /// A lane's own place, where physics gives one; empty where no lane has.
    own: Vec<Option<TruthId>>,
    cross: Vec<Cross>,
    units: Vec<Unit>,
    /// Inner value of the hysteresis loop; empty where there is none.
    edge: Vec<f64>,
    held: Vec<Held>,
    /// Sorted by lane; faults of one lane act in the timeline's order.
    faults: Vec<Acting>,
    /// For an analogue part: the converters of the lanes' boards, in the grid's place.
    converter: Option<Converter>,
    /// For an analogue part at an input of another part: what it puts there.
    outlet: Option<Outlet>,
    /// For an output that stays up for a while: what it has seen, by lane.
    latches: Option<Latches>,
    /// Which of the device's own supply it finds.
    supply: Option<OwnSupply>,
    /// Noise that its asker makes in place of the channel's own, as it stands at this reading.
    lean: f64,
}

/// What a part finds of its device's supply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnSupply {
    /// Its voltage, [V].
    Voltage,
    /// Its current, [mA].
    Current,
}

/// Due devices that are read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub due: &'a [Due],
    /// Seconds since each device's last wake.
    pub dt_s: &'a [f64],
    /// Index into the group's zones, by lane.
    pub place: &'a [u16],
    /// Voltage [V] and current [mA] of the devices' own supplies, by lane; empty where no part looks at them.
    pub supply: &'a [(f64, f64)],
    /// What other parts put on this channel, one a device due; empty where it looks at the world.
    pub input: &'a [f64],
}

/// What surrounds the parts of a batch.
#[derive(Clone, Copy)]
struct Local<'a> {
    truth: &'a Truth,
    by_place: &'a [f64],
    /// What is added to a reading, and what it is multiplied by before.
    cross: &'a [(f64, f64)],
}

/// Buffers that a pass over a cohort needs and no cohort keeps.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub due: Vec<Due>,
    pub dt_s: Vec<f64>,
    pub values: Vec<f64>,
    /// Factors of the batch in hand.
    pub decays: Decays,
    by_place: Vec<f64>,
    cross: Vec<(f64, f64)>,
    fresh: Fresh,
}

/// The part of a batch that a slow part measures anew.
#[derive(Debug, Default)]
struct Fresh {
    due: Vec<Due>,
    at: Vec<u32>,
    dt_s: Vec<f64>,
    input: Vec<f64>,
    values: Vec<f64>,
    decays: Decays,
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
            noise_ratio: def.noise_ratio,
            // Without a correlation time there is no process; white noise has its own figure.
            wander_std: if def.wander_tau_s > 0.0 { def.wander_std } else { 0.0 },
            wander_tau_s: def.wander_tau_s,
            tau_s: def.tau_s,
            half_loop: def.hysteresis / 2.0,
            rise,
            min_interval,
            warm_up: Span::ZERO,
            places,
            own: Vec::new(),
            cross: cross.map(|(c, places)| Cross { places, def: c.clone() }).collect(),
            units: Vec::new(),
            edge: Vec::new(),
            held: Vec::new(),
            faults: Vec::new(),
            converter: None,
            outlet: None,
            latches: Latches::new(def.hold, def.block),
            supply: None,
            lean: 0.0,
        }
    }

    /// The same channel behind the converters of the lanes' boards.
    pub fn behind(mut self, converter: Option<Converter>) -> Self {
        self.converter = converter;
        self
    }

    /// The same channel of a part that gives nothing for so long at the start.
    pub fn warming(mut self, warm_up: Span) -> Self {
        self.warm_up = warm_up;
        self
    }

    /// The same channel in the line of its device's supply.
    pub fn in_line(mut self, supply: Option<OwnSupply>) -> Self {
        self.supply = supply;
        self
    }

    /// The same channel at an input of another part of its device.
    pub fn out_of(mut self, outlet: Option<Outlet>) -> Self {
        self.outlet = outlet;
        self
    }

    /// The lanes' converters.
    pub fn converter(&mut self) -> Option<&mut Converter> {
        self.converter.as_mut()
    }

    /// Adds the next lane's unit, drawn from the streams `name/unit` and `name/noise` of the device.
    pub fn add(&mut self, seed: u64, device: &str, name: &str, def: &ChannelDef, own: Option<TruthId>) {
        let mut unit = stream(seed, device, &format!("{name}/unit"));
        let mut normal = |std: f64| (std * unit.sample::<f64, _>(StandardNormal)) as f32;
        self.units.push(Unit {
            gain: normal(def.gain_std),
            bias: normal(def.bias_std),
            drift: normal(def.drift_per_year / YEAR_S),
            rng: stream(seed, device, &format!("{name}/noise")),
            lag: 0.0,
            wander: 0.0,
        });
        if self.half_loop > 0.0 {
            self.edge.push(0.0);
        }
        if let Some(latches) = &mut self.latches {
            latches.lanes.push(if def.unsettled.0 > 0 {
                Latch::unsettled(def.unsettled, &mut stream(seed, device, &format!("{name}/start")))
            } else {
                Latch::default()
            });
        }
        if self.min_interval.0 > 0 {
            self.held.push(Held { t_ns: i64::MIN, value: f64::NAN });
        }
        if own.is_some() || !self.own.is_empty() {
            self.own.resize(self.units.len() - 1, None);
            self.own.push(own);
        }
    }

    /// The last lane added draws its noise from this stream.
    pub fn draw_from(&mut self, rng: Rng) {
        if let Some(unit) = self.units.last_mut() {
            unit.rng = rng;
        }
    }

    /// Whether it looks at its device's supply.
    pub fn is_in_line(&self) -> bool {
        self.supply.is_some()
    }

    /// Has this white noise of its own, standard deviation, and this besides.
    pub fn disturb_with(&mut self, noise_std: f64, lean: f64) {
        (self.noise_std, self.lean) = (noise_std, lean);
    }

    /// Adds a fault to a lane; lanes come in ascending order. `air` is where its law finds the temperature around the part.
    pub fn add_fault(&mut self, lane: u16, run: FaultRun, air: Option<TruthId>) {
        self.faults.push(Acting { lane, run, air });
    }

    /// Ends what a reset of its board ends for a lane.
    pub fn free(&mut self, lane: u16, t: SimTime) {
        for f in of_lane(&mut self.faults, lane) {
            f.run.reset(t);
        }
    }

    /// Looks, for outputs that stay up for a while, at what every lane finds at `t`, whether its device is awake or not.
    pub fn follow(&mut self, t: SimTime, place: &[u16], truth: &Truth) {
        let Some(latches) = &mut self.latches else { return };
        let plan = latches.plan;
        for (lane, latch) in latches.lanes.iter_mut().enumerate() {
            let own = self.own.get(lane).copied().flatten();
            let at = || self.places[place.get(lane).copied().unwrap_or_default() as usize];
            latch.look(t, truth.at(own.unwrap_or_else(at), t), plan);
        }
    }

    /// Reads every device of a batch: `out[k]` becomes the reading of `due[k]`, NaN where there is none.
    pub fn sample(&mut self, batch: Batch, truth: &Truth, scratch: &mut Scratch, out: &mut [f64]) {
        self.look(truth, scratch);
        if self.held.is_empty() {
            let Scratch { by_place, cross, decays, .. } = scratch;
            self.measure(batch, Local { truth, by_place, cross }, decays, out);
        } else {
            self.measure_or_repeat(batch, truth, scratch, out);
        }
    }

    /// As [`Self::measure`], for a part that gives its last value when it is read too soon.
    fn measure_or_repeat(&mut self, batch: Batch, truth: &Truth, scratch: &mut Scratch, out: &mut [f64]) {
        let Scratch { by_place, cross, fresh, .. } = scratch;
        fresh.due.clear();
        fresh.dt_s.clear();
        fresh.at.clear();
        fresh.input.clear();
        for (k, d) in batch.due.iter().enumerate() {
            let held = &mut self.held[d.lane as usize];
            if held.t_ns == i64::MIN || d.t_ns - held.t_ns >= self.min_interval.0 {
                fresh.dt_s.push(elapsed_s(held.t_ns, d.t_ns));
                held.t_ns = d.t_ns;
                fresh.due.push(*d);
                fresh.at.push(k as u32);
                fresh.input.extend(batch.input.get(k));
            }
        }
        fresh.values.clear();
        fresh.values.resize(fresh.due.len(), 0.0);
        fresh.decays.clear();
        let anew = Batch { due: &fresh.due, dt_s: &fresh.dt_s, input: &fresh.input, ..batch };
        self.measure(anew, Local { truth, by_place, cross }, &mut fresh.decays, &mut fresh.values);
        let mut next = 0;
        for (k, d) in batch.due.iter().enumerate() {
            let held = &mut self.held[d.lane as usize];
            if fresh.at.get(next) == Some(&(k as u32)) {
                held.value = fresh.values[next];
                next += 1;
            }
            out[k] = held.value;
        }
    }

    /// Truth at each place with the part's own heat, and what the cross-sensitivities come to there.
    fn look(&self, truth: &Truth, scratch: &mut Scratch) {
        scratch.by_place.clear();
        scratch.by_place.extend(self.places.iter().map(|id| truth.get(*id) + self.rise));
        scratch.cross.clear();
        for z in 0..self.places.len() {
            let terms = self.cross.iter().map(|c| c.def.change(truth.get(c.places[z])));
            scratch.cross.push(terms.fold((0.0, 1.0), |(sum, by), (add, times)| (sum + add, by * times)));
        }
    }

    /// What the pipeline gives, and nothing of a part that is still warming up.
    fn measure(&mut self, batch: Batch, local: Local, decays: &mut Decays, out: &mut [f64]) {
        self.find(batch, local, decays, out);
        if self.warm_up.0 > 0 {
            for (v, _) in out.iter_mut().zip(batch.due).filter(|(_, d)| d.t_ns < self.warm_up.0) {
                *v = f64::NAN;
            }
        }
    }

    /// The pipeline. Stages that the channel lacks are compiled out of its loop.
    fn find(&mut self, batch: Batch, local: Local, decays: &mut Decays, out: &mut [f64]) {
        if let [only] = local.by_place {
            out.fill(*only);
        } else {
            for (v, d) in out.iter_mut().zip(batch.due) {
                *v = local.by_place[batch.place[d.lane as usize] as usize];
            }
        }
        if let Some(which) = self.supply {
            for (v, d) in out.iter_mut().zip(batch.due) {
                let (volts, ma) = batch.supply.get(d.lane as usize).copied().unwrap_or_default();
                *v = match which {
                    OwnSupply::Voltage => volts,
                    OwnSupply::Current => ma,
                };
            }
        }
        if !self.own.is_empty() {
            for (v, d) in out.iter_mut().zip(batch.due) {
                if let Some(id) = self.own.get(d.lane as usize).copied().flatten() {
                    *v = local.truth.at(id, SimTime(d.t_ns)) + self.rise;
                }
            }
        }
        for (v, input) in out.iter_mut().zip(batch.input) {
            // Nobody drives it: its own resistance pulls it down.
            *v = if input.is_nan() { 0.0 } else { *input };
        }
        if let Some(latches) = &mut self.latches {
            for (v, d) in out.iter_mut().zip(batch.due) {
                let (plan, t) = (latches.plan, SimTime(d.t_ns));
                *v = latches.lanes[d.lane as usize].look(t, *v, plan);
            }
        }
        if self.tau_s > 0.0 {
            self.lag(batch.due, decays.phi(batch.dt_s, self.tau_s), out);
        }
        if !self.cross.is_empty() {
            for (v, d) in out.iter_mut().zip(batch.due) {
                let (add, times) = local.cross[batch.place[d.lane as usize] as usize];
                *v = *v * times + add;
            }
        }
        if !self.edge.is_empty() {
            self.hysteresis(batch, out);
        }
        if self.lean != 0.0 {
            out.iter_mut().for_each(|v| *v += self.lean);
        }
        if self.wander_std > 0.0 {
            let (phi, rest) = decays.phi_and_rest(batch.dt_s, self.wander_tau_s);
            self.wander_and_disturb(batch.due, phi, rest, out);
        } else {
            self.disturb(batch.due, out);
        }
        if self.outlet.is_some() {
            self.put_out(batch.due, local.truth, out);
            return;
        }
        if self.converter.is_some() {
            self.convert(batch.due, local.truth, out);
            return;
        }
        if !self.faults.is_empty() {
            for (v, d) in out.iter_mut().zip(batch.due) {
                *v = failed(of_lane(&mut self.faults, d.lane), local.truth, SimTime(d.t_ns), *v);
            }
        }
        self.grid.apply(out);
    }

    /// Reads the parts' voltages with their boards' converters, one normal a reading. A fault acts on the voltage, or on what
    /// firmware would have made of the code before it is rounded.
    fn convert(&mut self, due: &[Due], truth: &Truth, out: &mut [f64]) {
        let Some(converter) = &self.converter else { return };
        let (low, high) = self.grid.ends();
        for (v, d) in out.iter_mut().zip(due) {
            let z = normal(&mut self.units[d.lane as usize].rng);
            let t = SimTime(d.t_ns);
            let faults = of_lane(&mut self.faults, d.lane);
            let pin = faults.iter_mut().fold(AtPin::SOUND, |pin, f| pin.and(f.run.at_pin(t)));
            *v = converter.code(d.lane, v.clamp(low, high), pin, z);
            if !faults.is_empty() {
                let before = converter.value(*v);
                let after = failed(faults, truth, t, before);
                // A code that nothing has touched keeps all its digits.
                if after.is_nan() || after != before {
                    *v = converter.ideal(after.clamp(low, high));
                }
            }
            *v = if v.is_nan() { *v } else { converter.value(converter.rounded(*v)).clamp(low, high) };
        }
    }

    /// The voltages at the inputs that the parts drive; NaN: the part is lost. A fault acts on what the part makes its voltage of.
    fn put_out(&mut self, due: &[Due], truth: &Truth, out: &mut [f64]) {
        let Some(outlet) = &self.outlet else { return };
        let (low, high) = self.grid.ends();
        for (v, d) in out.iter_mut().zip(due) {
            let t = SimTime(d.t_ns);
            let faults = of_lane(&mut self.faults, d.lane);
            let pin = faults.iter_mut().fold(AtPin::SOUND, |pin, f| pin.and(f.run.at_pin(t)));
            let value = if faults.is_empty() { *v } else { failed(faults, truth, t, *v) };
            *v = outlet.volts(value.clamp(low, high)) * pin.share;
        }
    }

    /// What firmware makes of the voltages that a converter has read of this part's: `out` holds what was put on it.
    pub fn made_of(&self, read: &[f64], out: &mut [f64]) {
        let Some(outlet) = &self.outlet else { return };
        let (low, high) = self.grid.ends();
        for (v, read) in out.iter_mut().zip(read) {
            *v = if v.is_nan() { f64::NAN } else { outlet.value(*read).clamp(low, high) };
        }
    }

    /// First-order lag, exact for a truth that holds over Δt: y ← u + (y − u)·φ.
    fn lag(&mut self, due: &[Due], phi: &[f64], out: &mut [f64]) {
        for ((v, d), phi) in out.iter_mut().zip(due).zip(phi) {
            let y = &mut self.units[d.lane as usize].lag;
            *y = *v + (*y - *v) * phi;
            *v = *y;
        }
    }

    /// Backlash: the inner value moves only when the outer one pushes it from the loop's edge.
    fn hysteresis(&mut self, batch: Batch, out: &mut [f64]) {
        for ((v, d), dt) in out.iter_mut().zip(batch.due).zip(batch.dt_s) {
            let edge = &mut self.edge[d.lane as usize];
            // Before its first reading the part has rested at this value: the loop's middle.
            *edge = if dt.is_finite() { edge.clamp(*v - self.half_loop, *v + self.half_loop) } else { *v };
            *v = *edge;
        }
    }

    /// Gain, bias, drift and white noise: one normal a reading.
    fn disturb(&mut self, due: &[Due], out: &mut [f64]) {
        let noise_std = self.noise_std;
        if self.noise_ratio > 0.0 {
            for (v, d) in out.iter_mut().zip(due) {
                let unit = &mut self.units[d.lane as usize];
                let z = normal(&mut unit.rng);
                let noise = noise_std.hypot(self.noise_ratio * *v) * z;
                *v += *v * f64::from(unit.gain) + unit.offset(d.t_s()) + noise;
            }
            return;
        }
        for (v, d) in out.iter_mut().zip(due) {
            let unit = &mut self.units[d.lane as usize];
            let z = normal(&mut unit.rng);
            *v += *v * f64::from(unit.gain) + unit.offset(d.t_s()) + noise_std * z;
        }
    }

    /// As [`Self::disturb`] with the wander, a Gauss–Markov process, exact over any step:
    /// b ← φ·b + σ·√(1 − φ²)·w. Two normals a reading, the wander's first.
    fn wander_and_disturb(&mut self, due: &[Due], phi: &[f64], rest: &[f64], out: &mut [f64]) {
        let (noise_std, wander_std, ratio) = (self.noise_std, self.wander_std, self.noise_ratio);
        for ((v, d), (phi, rest)) in out.iter_mut().zip(due).zip(phi.iter().zip(rest)) {
            let unit = &mut self.units[d.lane as usize];
            // A copy, so that the generator stays in registers over both draws.
            let mut rng = unit.rng.clone();
            let w = normal(&mut rng);
            let z = normal(&mut rng);
            unit.rng = rng;
            unit.wander = phi * unit.wander + wander_std * rest * w;
            let noise_std = if ratio > 0.0 { noise_std.hypot(ratio * *v) } else { noise_std };
            *v += *v * f64::from(unit.gain) + (unit.offset(d.t_s()) + unit.wander) + noise_std * z;
        }
    }

    /// Everything of a lane that decides its future.
    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let i = lane as usize;
        let unit = &self.units[i];
        for state in [unit.lag, unit.wander, self.edge.get(i).copied().unwrap_or_default()] {
            bytes.extend(state.to_bits().to_le_bytes());
        }
        bytes.extend(unit.rng.clone().random::<u64>().to_le_bytes());
        if let Some(latch) = self.latches.as_ref().and_then(|l| l.lanes.get(i)) {
            latch.hash_into(bytes);
        }
        if let Some(held) = self.held.get(i) {
            bytes.extend(held.t_ns.to_le_bytes());
            bytes.extend(held.value.to_bits().to_le_bytes());
        }
        for f in self.faults.iter().filter(|f| f.lane == lane) {
            f.run.hash_into(bytes);
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.edge.capacity() * 8
            + self.units.capacity() * size_of::<Unit>()
            + self.held.capacity() * size_of::<Held>()
            + self.own.capacity() * size_of::<Option<TruthId>>()
            + self.faults.capacity() * size_of::<Acting>()
            + self.converter.as_ref().map_or(0, Converter::bytes)
            + self.latches.as_ref().map_or(0, Latches::bytes)
    }
}

/// Seconds from one instant to a later one; without end where there was none before.
pub(crate) fn elapsed_s(from_ns: i64, to_ns: i64) -> f64 {
    if from_ns == i64::MIN { f64::INFINITY } else { (to_ns - from_ns) as f64 * 1e-9 }
}
