//! Physicals and the twins that follow them.
//!
//! [`physical`] publishes recordings as devices would, [`decode`] turns payloads into values, [`follow`] is the ECS side
//! of a twin: it feeds what arrives to [`crate::compare::Judge`], which owns the estimator, and emits the twin's rows;
//! [`outlook`] keeps and scores the forecasts; [`alarm`] watches the residuals where a scenario asks for it.
//!
//! # Gaps
//! A recording whose rows stop for more than [`physical::GAP_STEPS`] of its median steps is a device that was off, not one
//! that fell silent. It is published as a broker would tell it: that many steps after the last row `offline`, retained, on
//! the topic `<topic>/status` beside the bound one, and `online` there just before the first row after the gap; the end of
//! the recording is such a gap without end. A twin that is told `offline` stops counting the time to the next message, so
//! no `dropout` comes of it, and over the gap its inputs count as unknown. A `Dropout` of the timeline publishes nothing on
//! the status topic: that silence is the fault, and the twin has to find it.
//!
//! ```
//! use twinfleet_engine::{mirror::horizon_name, time::Span};
//! assert_eq!(horizon_name(Span::from_secs(300)), "300s");
//! assert_eq!(horizon_name(Span(1_500_000_000)), "1s500ms");
//! ```

pub mod alarm;
pub mod decode;
pub mod follow;
pub mod outlook;
pub mod physical;

use crate::{
    dialect::{Dialect, DialectError, Ear, EarSpec},
    plan::Plan,
    scenario::{BindDef, DecodeDef, MirrorDef},
    signal::{Channel, Kind},
    time::{NS_PER_S, Span},
};

/// Name of the channel that carries verdicts on a whole device: silence, a wrong clock.
pub const DEVICE_PART: &str = "device.stream";

/// A signal of a thing's model: `part.quantity` and its unit.
pub type ModelSignal = (String, String);

/// The channels of a twin's block, in order.
///
/// For each output: `@reported`, `@estimate`, `@residual`, `<name>.whitened@residual`, `@verdict`; then for each horizon
/// `<name>.<horizon>@forecast`, `<name>.<horizon>.lower@forecast`, `<name>.<horizon>.upper@forecast`. After the outputs,
/// for each input: `@reported`, `@verdict`. Last, `device.stream@verdict`.
pub fn twin_channels(def: &MirrorDef, outputs: &[ModelSignal], inputs: &[ModelSignal]) -> Vec<Channel> {
    let mut channels = Vec::new();
    for (name, unit) in outputs {
        for kind in [Kind::Reported, Kind::Estimate, Kind::Residual] {
            channels.push(Channel::new(name, kind, unit));
        }
        channels.push(Channel::new(&format!("{name}.whitened"), Kind::Residual, "none"));
        channels.push(Channel::new(name, Kind::Verdict, "none"));
        for horizon in horizons(def) {
            let base = format!("{name}.{}", horizon_name(*horizon));
            for bound in ["", ".lower", ".upper"] {
                channels.push(Channel::new(&format!("{base}{bound}"), Kind::Forecast, unit));
            }
        }
    }
    for (name, unit) in inputs {
        channels.push(Channel::new(name, Kind::Reported, unit));
        channels.push(Channel::new(name, Kind::Verdict, "none"));
    }
    channels.push(Channel::new(DEVICE_PART, Kind::Verdict, "none"));
    channels
}

/// A twin's horizons; none where it makes no forecasts.
pub fn horizons(def: &MirrorDef) -> &[Span] {
    def.forecast.as_ref().map_or(&[], |f| f.horizons.as_slice())
}

/// A horizon as signal names write it: whole seconds as `300s`, anything finer as [`Span`] prints it.
pub fn horizon_name(horizon: Span) -> String {
    if horizon.0 % NS_PER_S == 0 { format!("{}s", horizon.0 / NS_PER_S) } else { horizon.to_string() }
}

/// The topics that the run's own subscription needs for its twins, each once, sorted: the bound ones, and beside each
/// `<topic>/status`, on which a device's broker tells that it is gone (`offline`) or back (`online`); for a binding in a
/// dialect, what that dialect has to hear.
pub fn topics(plan: &Plan) -> Vec<String> {
    let mut all: Vec<String> = plan.scenario.mirror.iter().flat_map(|def| topics_of(plan, def)).collect();
    all.sort();
    all.dedup();
    all
}

/// Those of [`topics`] that one of the plan's mirror sections needs, each as often as a binding has it.
pub fn topics_of(plan: &Plan, def: &MirrorDef) -> Vec<String> {
    let mut all = Vec::new();
    for bind in &def.bind {
        match ear(def, bind, &[], &plan.catalog.dialects) {
            Some(ear) => all.extend(ear.map_or_else(|_| Vec::new(), |e| e.filters())),
            None => {
                let topic = bound_topic(&bind.topic, &def.twin);
                all.extend([status_topic(&topic), topic]);
            }
        }
    }
    all
}

/// The ear of a binding that names a dialect; none for one that does not.
pub(crate) fn ear(
    def: &MirrorDef,
    bind: &BindDef,
    signals: &[&str],
    dialects: &Dialect,
) -> Option<Result<Box<dyn Ear>, DialectError>> {
    let DecodeDef::Dialect { name, map } = &bind.decode else { return None };
    let topic = bound_topic(&bind.topic, &def.twin);
    Some(dialects.ear(&EarSpec { dialect: name, topic: &topic, signals, map }))
}

/// A bound topic with the twin's id in place.
pub(crate) fn bound_topic(topic: &str, twin: &str) -> String {
    topic.replace("{device}", twin)
}

/// The topics on which it is told that a mirror section's device is gone or back, of its bindings in no dialect: a dialect has
/// words of its own for it.
pub fn status_topics(def: &MirrorDef) -> Vec<String> {
    let plain = def.bind.iter().filter(|bind| !matches!(bind.decode, DecodeDef::Dialect { .. }));
    plain.map(|bind| status_topic(&bound_topic(&bind.topic, &def.twin))).collect()
}

/// The topic beside a state topic on which `online` and `offline` are told.
pub(crate) fn status_topic(topic: &str) -> String {
    format!("{topic}/status")
}
