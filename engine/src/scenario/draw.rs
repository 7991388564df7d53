//! Faults that the seed draws: which device gets which, on which part, when, and how large.
//!
//! Kinds are dealt out like a shuffled deck, so that a bench over sixteen devices sees each of eight kinds twice, whatever the
//! seed; part, onset, length, size and sign are drawn from the device's own stream.
//!
//! ```
//! # use twinfleet_engine::scenario::{read, source::Source, draw::drawn};
//! let text = r#"Scenario(format: 1, duration: "2h",
//!     physicals: [(id: "pi-1", from: Recording(path: "r.csv", map: {"soc.temperature@reported": "t C"}), publish: (topic: "t"))],
//!     draw: [(of: "pi-*", parts: ["soc.temperature"], kinds: [Bias(by: (2, 4)), Stuck], from: ("30min", "1h"), lasting: ("5min", "10min"))])"#;
//! let scenario = read(&Source::embedded("s.ron", text)).unwrap();
//! let events = drawn(&scenario, 1);
//! assert_eq!(events.len(), 1);
//! assert!(events[0].at.as_secs_f64() >= 1800.0);
//! ```

use super::{Action, EventDef, Scenario};
use crate::{
    rng::{self, Rng},
    sense::fault::FaultDef,
    signal::wildcard,
    time::Span,
};
use rand::{RngExt, seq::SliceRandom};
use serde::Deserialize;

/// Faults drawn for some devices, one each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawDef {
    /// Glob over the ids of devices.
    pub of: String,
    /// Parts that a sensor's fault may befall, `part.quantity`.
    #[serde(default)]
    pub parts: Vec<String>,
    /// What may go wrong.
    pub kinds: Vec<DrawnKind>,
    /// Earliest and latest onset.
    pub from: (Span, Span),
    /// Shortest and longest duration.
    pub lasting: (Span, Span),
}

/// A kind of fault and the range of its size. The sign of a bias, drift, spike or skew is drawn, too, and so is whether a gain
/// is above or below 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DrawnKind {
    /// See [`FaultDef::Stuck`].
    Stuck,
    /// See [`FaultDef::Bias`].
    Bias {
        /// Offset, smallest and largest.
        by: (f64, f64),
    },
    /// See [`FaultDef::Drift`].
    Drift {
        /// Growth per hour.
        per_h: (f64, f64),
    },
    /// See [`FaultDef::Gain`].
    Gain {
        /// Factor, above 1.
        factor: (f64, f64),
    },
    /// See [`FaultDef::Spike`]; one only.
    Spike {
        /// Size.
        by: (f64, f64),
    },
    /// See [`FaultDef::Noise`].
    Noise {
        /// Standard deviation.
        std: (f64, f64),
    },
    /// See [`FaultDef::Dropout`]; of the whole device.
    Dropout,
    /// See [`FaultDef::ClockSkew`].
    ClockSkew {
        /// Relative error, [ppm].
        ppm: (f64, f64),
    },
    /// See [`Action::Change`].
    Change {
        /// Parameter of the dynamics.
        parameter: String,
        /// What it is multiplied with.
        factor: (f64, f64),
        /// What the label calls it.
        kind: String,
    },
}

/// The events that a seed draws for a scenario.
pub fn drawn(scenario: &Scenario, seed: u64) -> Vec<EventDef> {
    let mut out = Vec::new();
    for (n, def) in scenario.draw.iter().enumerate() {
        let devices: Vec<String> =
            devices(scenario).filter(|id| wildcard(def.of.as_bytes(), id.as_bytes())).collect();
        let mut deck: Vec<&DrawnKind> = def.kinds.iter().cycle().take(devices.len()).collect();
        if deck.is_empty() {
            continue;
        }
        deck.shuffle(&mut rng::stream(seed, &format!("draw/{n}"), "deck"));
        out.extend(devices.iter().zip(deck).map(|(id, kind)| event(def, kind, id, seed, n)));
    }
    out
}

/// The scenario with what its seed draws in its timeline.
pub(crate) fn expanded(scenario: &Scenario, seed: u64) -> Option<Scenario> {
    let more = drawn(scenario, seed);
    (!more.is_empty()).then(|| {
        let mut scenario = scenario.clone();
        scenario.timeline.extend(more);
        scenario
    })
}

fn devices(scenario: &Scenario) -> impl Iterator<Item = String> {
    let fleet = scenario.fleet.iter().flat_map(|g| (0..g.count).map(|i| g.id.replace("{}", &i.to_string())));
    fleet.chain(scenario.physicals.iter().map(|p| p.id.clone()))
}

fn event(def: &DrawDef, kind: &DrawnKind, id: &str, seed: u64, n: usize) -> EventDef {
    let mut rng = rng::stream(seed, id, &format!("draw/{n}"));
    let between = |rng: &mut Rng, (low, high): (f64, f64)| low + (high - low) * rng.random::<f64>();
    let span = |rng: &mut Rng, (low, high): (Span, Span)| {
        // Whole seconds: an onset between two steps would be the next step's.
        Span::from_secs(between(rng, (low.as_secs_f64(), high.as_secs_f64())).round() as i64)
    };
    let at = span(&mut rng, def.from);
    let until = Span(at.0.saturating_add(span(&mut rng, def.lasting).0));
    let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
    let part = match def.parts.len() {
        0 => String::new(),
        k => def.parts[rng.random_range(0..k)].clone(),
    };
    let fault = match kind {
        DrawnKind::Stuck => FaultDef::Stuck,
        DrawnKind::Bias { by } => FaultDef::Bias { by: sign * between(&mut rng, *by) },
        DrawnKind::Drift { per_h } => FaultDef::Drift { per_h: sign * between(&mut rng, *per_h) },
        DrawnKind::Gain { factor } => FaultDef::Gain { factor: between(&mut rng, *factor).powf(sign) },
        DrawnKind::Spike { by } => FaultDef::Spike { by: sign * between(&mut rng, *by), every: Span::ZERO },
        DrawnKind::Noise { std } => FaultDef::Noise { std: between(&mut rng, *std) },
        DrawnKind::Dropout => FaultDef::Dropout,
        DrawnKind::ClockSkew { ppm } => FaultDef::ClockSkew { ppm: sign * between(&mut rng, *ppm) },
        DrawnKind::Change { parameter, factor, kind } => {
            let factor = between(&mut rng, *factor);
            let action = Action::Change {
                target: id.to_owned(),
                parameter: parameter.clone(),
                factor,
                kind: kind.clone(),
            };
            return EventDef { at, until: Some(until), action };
        }
    };
    let whole = matches!(fault, FaultDef::Dropout | FaultDef::ClockSkew { .. }) || part.is_empty();
    let target = if whole { id.to_owned() } else { format!("{id}/{part}") };
    EventDef { at, until: Some(until), action: Action::Fault { target, kind: fault } }
}
