//! What is to be thought of an input: that it says what it never said before, or that the model has never been quite right about
//! what follows when it steps.
//!
//! Each is a twin of its own, with an offset beside the input that nobody reads. A wrong input is a verdict (`bias` of
//! it); a model that is worse right after a step is none, but an event that begins there has to explain more than that does.

use super::{Event, Found, SENSOR_NATS, What, World};
use crate::dynamics::definition::{
    BecomesDef, BoundaryAt, BoundaryDef, ConductanceDef, DynamicsDef, HappeningDef, ParameterDef, PriorDef,
    SourceDef,
};
use std::sync::Arc;

/// How wrong the model may be about what a step of an input does, as a share of that: standard deviation at the step, over how many
/// rows it may become as much again, and for how many it may be wrong at all: what lasts is no matter of the step.
const RESPONSE_SHARE: f64 = 0.3;
const RESPONSE_ROWS: f64 = 10.0;
const RESPONSE_LASTS: u64 = 16;
/// Rows before a suspicious one in which a step is looked for.
const STEP_ROWS: u64 = 40;
/// Rows of an input after which a leap that it never made is strange.
const KNOWN_ROWS: u32 = 240;
/// A leap is an offset by this share of itself, give or take.
const LEAP_SHARE: f64 = 0.3;
/// Octaves of a step's size that are told apart, around 1.
const OCTAVES: i32 = 32;

/// What is wrong with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It leapt by what it is off by.
    Off,
    /// Nothing: what it does to the thing is other than the model says.
    Response,
}

/// How an input has moved so far.
#[derive(Clone, Debug)]
pub(super) struct Habit {
    rows: u32,
    /// Steps by their size, in octaves.
    sizes: [u32; 2 * OCTAVES as usize],
    last: f64,
}

impl Default for Habit {
    fn default() -> Self {
        Self { rows: 0, sizes: [0; 2 * OCTAVES as usize], last: f64::NAN }
    }
}

fn octave(step: f64) -> usize {
    (step.abs().log2().floor() as i32).clamp(-OCTAVES, OCTAVES - 1).saturating_add(OCTAVES) as usize
}

impl Habit {
    pub(super) fn take(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        let step = value - self.last;
        self.last = value;
        self.rows = self.rows.saturating_add(1);
        if step.is_finite() && step != 0.0 {
            self.sizes[octave(step)] = self.sizes[octave(step)].saturating_add(1);
        }
    }

    /// How strange it is that it steps so far within a minute of so many rows, [nat]; None where it is not. The step itself has
    /// been counted.
    fn strange(&self, step: f64, rows_a_minute: f64) -> Option<f64> {
        let as_large: u32 = self.sizes[octave(step)..].iter().sum();
        let chance = rows_a_minute.max(1.0) / (f64::from(self.rows) + 1.0);
        (as_large <= 1 && self.rows > KNOWN_ROWS && chance < 1.0).then(|| -chance.ln())
    }
}

/// The network with an offset beside an input, and the offset's name; None where the input does nothing.
fn beside(def: &DynamicsDef, input: usize) -> Option<(DynamicsDef, String)> {
    let signal = &def.inputs.get(input)?.signal;
    let name = format!("off_{}", signal.replace('.', "_"));
    let mut out = def.clone();
    let of = |i: &Option<String>| i.as_ref() == Some(signal);
    for c in def.conductances.iter().filter(|c| of(&c.gate)) {
        let value = format!("{} * {name}", c.value);
        out.conductances.push(ConductanceDef { value, gate: None, ..c.clone() });
    }
    for s in def.sources.iter().filter(|s| of(&s.input)) {
        let gain = format!("{} * {name}", s.gain);
        out.sources.push(SourceDef { into: s.into.clone(), gain, input: None });
    }
    let follows = |b: &str| {
        let of = |d: &&BoundaryDef| d.name == b;
        def.boundaries.iter().find(of).is_some_and(|b| matches!(&b.at, BoundaryAt::Input(i) if i == signal))
    };
    let stores = |node: &str| def.storages.iter().any(|s| s.name == node);
    // Where heat flows by another power of the difference, an offset of the far side is no heat of its own.
    for c in def.conductances.iter().filter(|c| c.exponent == 1.0) {
        for (near, far) in [(&c.between.0, &c.between.1), (&c.between.1, &c.between.0)] {
            if stores(near) && follows(far) {
                let gain = format!("{} * {name}", c.value);
                out.sources.push(SourceDef { into: near.clone(), gain, input: c.gate.clone() });
            }
        }
    }
    let more = out.conductances.len() + out.sources.len();
    (more > def.conductances.len() + def.sources.len()).then_some((out, name))
}

/// An offset beside an input, of this prior, as an event.
fn event(
    def: &DynamicsDef,
    (input, wrong): (usize, Wrong),
    (mean, std, drift_per_h): (f64, f64, f64),
    nats: f64,
) -> Option<Event> {
    let (mut def, parameter) = beside(def, input).filter(|_| std > 0.0 && std.is_finite())?;
    let prior = ParameterDef {
        value: mean,
        unit: String::new(),
        source: String::new(),
        bounds: (f64::NEG_INFINITY, f64::INFINITY),
        prior: PriorDef::Linear(std),
        per_recording: false,
        drift_per_h,
    };
    def.parameters.insert(parameter.clone(), prior);
    let part = def.inputs[input].signal.clone();
    let becomes = BecomesDef::Plus(mean, std);
    let happening = HappeningDef { kind: "bias".to_owned(), part, parameter, becomes, per_day: 1.0 };
    Some(Event { happening, def, nominal: 0.0, nats, input: Some((input, wrong)) })
}

impl World {
    /// Over the rows before `last`, the widest step of an input: at which row, and by how much.
    fn widest_step(&self, input: usize, last: u64) -> Option<(u64, f64)> {
        let first = last.saturating_sub(STEP_ROWS).max(self.first() + 1);
        let value = |k: u64| self.row(k).inputs.get(input).copied().flatten();
        let steps = (first..=last).filter_map(|k| Some((k, value(k)? - value(k - 1)?)));
        steps.filter(|s| s.1 != 0.0).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
    }

    /// What may be thought of the inputs, in doubt about the row `trigger`.
    pub(super) fn of_inputs(&self, trigger: u64) -> Vec<Found> {
        let Some(dt_s) = self.rows.back().map(|r| r.dt.as_secs_f64()).filter(|dt| *dt > 0.0) else {
            return Vec::new();
        };
        let def = &self.known.def;
        let mut found = Vec::new();
        for input in 0..def.inputs.len().min(self.habits.len()) {
            let habit = &self.habits[input];
            if let Some((at, step)) = self.widest_step(input, trigger) {
                let std = RESPONSE_SHARE * step.abs();
                let drift = std * (3600.0 / (RESPONSE_ROWS * dt_s)).sqrt();
                let response = event(def, (input, Wrong::Response), (0.0, std, drift), 0.0);
                found.extend(response.and_then(|e| self.responds_since(e, (input, at))));
                if let Some(strange) = habit.strange(step, 60.0 / dt_s) {
                    let prior = (-step, LEAP_SHARE * step.abs(), 0.0);
                    let off = event(def, (input, Wrong::Off), prior, SENSOR_NATS + strange);
                    found.extend(off.and_then(|e| self.wrong_since(Arc::new(e), at)));
                }
            }
        }
        found
    }

    /// For a while after a step the thing does other than the model says, then as ever.
    fn responds_since(&self, event: Event, (input, onset): (usize, u64)) -> Option<Found> {
        let (known, fresh) = (&self.known, [event.happening.parameter.clone()]);
        let start = self.before(onset)?.carried_to(&event.def, &known.covariates, &fresh).ok()?;
        let back = (onset + RESPONSE_LASTS).min(self.next);
        let (first, after, _) = self.gain_until(start, (onset, back), None);
        let after = after.carried_to(&known.def, &known.covariates, &fresh).ok()?;
        let (rest, ..) = self.gain(after, back, None);
        let what = What::Input(input, Wrong::Response);
        let found =
            Found { what, nats: first + rest + event.nats, onset, size: 0.0, share: 1.0, event: None };
        Some(found).filter(|f| f.nats.is_finite())
    }

    fn wrong_since(&self, event: Arc<Event>, onset: u64) -> Option<Found> {
        let (input, wrong) = event.input?;
        let found = self.event_found(&event, What::Input(input, wrong), onset)?;
        Some(Found { event: Some(event), ..found })
    }
}
