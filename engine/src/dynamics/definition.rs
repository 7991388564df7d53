//! The shape of a network in RON. [`super::model::Model::compile`] checks what serde cannot.

use crate::time::Span;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A lumped network: storages joined by conductances and radiation, fed by sources, measured by outputs.
///
/// A *coefficient* is a text: a product of numbers, parameters and powers of them, such as `"0.25"`, `"u * area"`, or
/// `"g_case * lid_factor^lid"`, whose exponent is a covariate (what a recording was taken with).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicsDef {
    /// Parameters by name.
    pub parameters: BTreeMap<String, ParameterDef>,
    /// Facts that differ between recordings, with the value that holds where nothing is said.
    #[serde(default)]
    pub covariates: BTreeMap<String, f64>,
    /// What drives the network.
    #[serde(default)]
    pub inputs: Vec<InputDef>,
    /// Nodes whose temperature the network does not change.
    #[serde(default)]
    pub boundaries: Vec<BoundaryDef>,
    /// Nodes that store heat.
    pub storages: Vec<StorageDef>,
    /// Heat flow in proportion to a temperature difference, or a power of it.
    #[serde(default)]
    pub conductances: Vec<ConductanceDef>,
    /// Heat flow in proportion to a difference of fourth powers.
    #[serde(default)]
    pub radiation: Vec<RadiationDef>,
    /// Heat from outside.
    #[serde(default)]
    pub sources: Vec<SourceDef>,
    /// What is measured.
    pub outputs: Vec<OutputDef>,
    /// What may happen to the thing that is no fault of a sensor: a lid is opened, a fan blocked, something put in.
    #[serde(default)]
    pub events: Vec<HappeningDef>,
    /// Whether a mirror's twin watches for them too, which takes up to 2 MB each: a thing that comes in thousands may forgo it.
    #[serde(default = "yes")]
    pub live_events: bool,
    /// Longest step of a network that is not linear; a linear one is integrated exactly over any step.
    #[serde(default = "one_second")]
    pub max_step: Span,
}

impl DynamicsDef {
    /// Reads a network by itself, as it stands after `dynamics:` in a thing's file.
    ///
    /// # Errors
    /// When the text is no RON of this shape.
    pub fn from_ron(text: &str) -> Result<Self, Box<ron::error::SpannedError>> {
        crate::scenario::shape::options().from_str(text).map_err(Box::new)
    }
}

impl DynamicsDef {
    /// The network for recordings that tell only some inputs: one that would be learnt, and that a boundary follows, becomes a
    /// parameter of that boundary, its name with `_` for dots. Others stay as they are.
    #[must_use]
    pub fn told_only(&self, is_told: impl Fn(&str) -> bool) -> Self {
        let mut def = self.clone();
        for input in &self.inputs {
            let Some(UnsaidDef::Learnt(value, std)) = input.unless_said else { continue };
            let name = learnt_name(&input.signal);
            let follows = |b: &BoundaryDef| matches!(&b.at, BoundaryAt::Input(i) if *i == input.signal);
            let elsewhere = self.sources.iter().any(|s| s.input.as_ref() == Some(&input.signal))
                || self.conductances.iter().any(|c| c.gate.as_ref() == Some(&input.signal));
            if is_told(&input.signal) || elsewhere || def.parameters.contains_key(&name) {
                continue;
            }
            for b in def.boundaries.iter_mut().filter(|b| follows(b)) {
                b.at = BoundaryAt::Parameter(name.clone());
            }
            def.inputs.retain(|i| i.signal != input.signal);
            let parameter = ParameterDef {
                value,
                unit: "degC".to_owned(),
                source: LEARNT.to_owned(),
                bounds: input.range,
                prior: PriorDef::Linear(std),
                per_recording: true,
                drift_per_h: 0.5,
            };
            def.parameters.insert(name, parameter);
        }
        def
    }

    /// The parameter that stands for an input which nothing measures, as [`Self::told_only`] leaves it.
    pub(crate) fn learnt_for_mut(&mut self, signal: &str) -> Option<&mut ParameterDef> {
        if self.inputs.iter().any(|i| i.signal == signal) {
            return None;
        }
        self.parameters.get_mut(&learnt_name(signal)).filter(|p| p.source == LEARNT)
    }
}

/// Source of a parameter that stands for an input.
const LEARNT: &str = "learnt, since nothing measures it";

fn learnt_name(signal: &str) -> String {
    signal.replace('.', "_")
}

impl DynamicsDef {
    /// The network with an input held at a value: it is no input any more.
    #[must_use]
    pub fn with_held(&self, signal: &str, value: f64) -> Self {
        let mut def = self.clone();
        let name = signal.replace('.', "_");
        let is = |i: &Option<String>| i.as_deref() == Some(signal);
        if value == 0.0 {
            def.conductances.retain(|c| !is(&c.gate));
            def.sources.retain(|s| !is(&s.input));
        }
        for c in def.conductances.iter_mut().filter(|c| is(&c.gate)) {
            (c.value, c.gate) = (format!("{} * {name}", c.value), None);
        }
        for s in def.sources.iter_mut().filter(|s| is(&s.input)) {
            (s.gain, s.input) = (format!("{} * {name}", s.gain), None);
        }
        for b in &mut def.boundaries {
            if matches!(&b.at, BoundaryAt::Input(i) if i == signal) {
                b.at = BoundaryAt::Parameter(name.clone());
            }
        }
        let held = def.inputs.iter().find(|i| i.signal == signal).map(|input| ParameterDef {
            value,
            unit: input.unit.clone(),
            source: "a constant that nothing measures".to_owned(),
            bounds: (f64::NEG_INFINITY, f64::INFINITY),
            prior: PriorDef::Fixed,
            per_recording: false,
            drift_per_h: 0.0,
        });
        def.inputs.retain(|i| i.signal != signal);
        if let Some(held) = held {
            def.parameters.entry(name).or_insert(held);
        }
        def
    }
}

fn yes() -> bool {
    true
}

fn one_second() -> Span {
    Span::from_secs(1)
}

/// A parameter: what is believed of it before anything was measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterDef {
    /// Most likely value, in `unit`.
    pub value: f64,
    /// Unit. Nothing is converted; where it is stated, `check` sees that what it is used for comes to the right one.
    #[serde(default)]
    pub unit: String,
    /// Where the value comes from.
    #[serde(default)]
    pub source: String,
    /// Physical bounds, in `unit`.
    #[serde(default = "unbounded")]
    pub bounds: (f64, f64),
    /// How sure that is.
    #[serde(default)]
    pub prior: PriorDef,
    /// Whether each recording has its own value (an ambient temperature, a way of mounting): `fit` then estimates one per
    /// recording and leaves their mean and spread.
    #[serde(default)]
    pub per_recording: bool,
    /// Random walk while the filter learns it: standard deviation after an hour, in the prior's space.
    #[serde(default)]
    pub drift_per_h: f64,
}

fn unbounded() -> (f64, f64) {
    (f64::NEG_INFINITY, f64::INFINITY)
}

/// Spread of a parameter before anything was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PriorDef {
    /// Known; never fitted or learnt.
    #[default]
    Fixed,
    /// Positive; standard deviation of its natural logarithm.
    Log(f64),
    /// Standard deviation, in the parameter's unit.
    Linear(f64),
}

/// A driving signal, and what is believed of its future: a mean-reverting (Ornstein–Uhlenbeck) process, whose three
/// figures are then learnt from its own past.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputDef {
    /// `part.quantity`.
    pub signal: String,
    /// Unit that `range` and every coefficient count it in; without it, the engine's own of that quantity.
    #[serde(default)]
    pub unit: String,
    /// Smallest and largest value.
    pub range: (f64, f64),
    /// The same as the thing says it, where recordings have widened it.
    #[serde(skip)]
    pub declared: Option<(f64, f64)>,
    /// What a reading stands for.
    #[serde(default)]
    pub timing: TimingDef,
    /// Long-run mean; without it, the middle of the range.
    #[serde(default)]
    pub mean: Option<f64>,
    /// Long-run standard deviation; without it, that of a uniform draw over the range.
    #[serde(default)]
    pub std: Option<f64>,
    /// Time over which its autocorrelation falls to 1/e.
    #[serde(default = "one_minute")]
    pub correlation: Span,
    /// What holds for a recording that does not tell it. None: a recording must.
    #[serde(default)]
    pub unless_said: Option<UnsaidDef>,
}

impl InputDef {
    /// Whether a parameter of this name stands for it where nothing measures it.
    pub(crate) fn learnt_as(&self, name: &str) -> bool {
        matches!(self.unless_said, Some(UnsaidDef::Learnt(..))) && learnt_name(&self.signal) == name
    }
}

/// What is taken for an input that a recording does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum UnsaidDef {
    /// It stays at this value.
    Stays(f64),
    /// It is a constant that is learnt, of each recording its own: what is believed of it, and its standard deviation.
    Learnt(f64, f64),
}

fn one_minute() -> Span {
    Span::from_secs(60)
}

/// What an input's reading stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TimingDef {
    /// A setting: it holds from its time stamp on.
    #[default]
    Held,
    /// A mean over the time since the reading before.
    Averaged,
}

/// A node whose temperature the network does not change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundaryDef {
    /// Node name.
    pub name: String,
    /// Its temperature, [°C].
    pub at: BoundaryAt,
}

/// The temperature of a boundary.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum BoundaryAt {
    /// Known and constant, [°C].
    Fixed(f64),
    /// A parameter; constant, or slowly varying where it has a drift.
    Parameter(String),
    /// An input, in °C.
    Input(String),
}

/// A node that stores heat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageDef {
    /// Node name.
    pub name: String,
    /// Heat capacity, a coefficient, [J/K].
    pub capacity: String,
    /// Temperature before anything is known, [°C]; without it, that of the first boundary.
    #[serde(default)]
    pub initial_c: Option<f64>,
    /// How far it may be from the first reading at the start, standard deviation, [K].
    #[serde(default = "five")]
    pub initial_std_k: f64,
    /// What the network leaves out, as a random walk, [K/√s].
    #[serde(default = "five_millikelvin")]
    pub noise_k_per_sqrt_s: f64,
}

fn five() -> f64 {
    5.0
}
fn five_millikelvin() -> f64 {
    0.005
}

/// Heat flow `value · |ΔT|^exponent`, from warm to cold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConductanceDef {
    /// The two nodes.
    pub between: (String, String),
    /// A coefficient, [W/K] (or [W/K^exponent]).
    pub value: String,
    /// 1: linear; 1.25: free convection in laminar flow (Nu ∝ Ra^¼; Incropera, *Fundamentals of Heat and Mass Transfer*,
    /// ch. 9).
    #[serde(default = "one")]
    pub exponent: f64,
    /// Input that it is multiplied with: a fan's speed, how far a lid is open.
    #[serde(default)]
    pub gate: Option<String>,
}

/// Something that may happen to a thing: a parameter becomes another while it lasts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HappeningDef {
    /// What a verdict calls it, such as `lid_open`.
    pub kind: String,
    /// The part it names.
    pub part: String,
    /// Parameter that changes.
    pub parameter: String,
    /// To what.
    pub becomes: BecomesDef,
    /// How often it happens, [1/day]; what is rare needs more evidence.
    #[serde(default = "one")]
    pub per_day: f64,
}

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum BecomesDef {
    /// Its value times a factor; the most likely one, and the standard deviation of its logarithm.
    Times(f64, f64),
    /// Its value plus a term; the most likely one, and its standard deviation, in the parameter's unit.
    Plus(f64, f64),
}

fn one() -> f64 {
    1.0
}

/// Heat flow `5.670374e-8 W/m²K⁴ · area · (T_a⁴ − T_b⁴)`, temperatures in kelvin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiationDef {
    /// The two nodes.
    pub between: (String, String),
    /// Emissivity times area, a coefficient, [m²].
    pub area_m2: String,
}

/// Heat `gain · input`, or `gain` alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDef {
    /// Storage that it heats.
    pub into: String,
    /// A coefficient, [W] per unit of the input.
    pub gain: String,
    /// Input signal. None: constant.
    #[serde(default)]
    pub input: Option<String>,
}

/// A measured signal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDef {
    /// `part.quantity`.
    pub signal: String,
    /// Node that the sensor sits on.
    pub node: String,
    /// Standard deviation of one reading's noise, [K].
    #[serde(default)]
    pub noise_std: f64,
    /// Quantisation step, [K]; 0: none.
    #[serde(default)]
    pub quantum: f64,
    /// Time constant of the sensor's own lag, a coefficient, [s].
    #[serde(default)]
    pub lag_s: Option<String>,
}
