//! Whether a twin finds in what its recorded device says anything that it measures: what is called otherwise there is never
//! taken in, and nobody would be the wiser.

use super::Checker;
use crate::{
    catalog::ThingDef,
    mirror::bound_topic,
    scenario::{BindDef, DecodeDef, MirrorDef, PayloadDef, PhysicalDef, diagnostic::near},
};

impl Checker<'_> {
    /// Warns of twins that measure nothing of what their devices report.
    pub(super) fn heard(&mut self) {
        for (i, mirror) in self.scenario.mirror.iter().enumerate() {
            let physical = self.scenario.physicals.iter().find(|p| p.id == mirror.twin);
            let (Some(physical), Some(thing)) = (physical, self.thing(&mirror.thing)) else { continue };
            let told: Vec<&str> = physical.from.signals().collect();
            let measured = measured(thing);
            let none = !told.is_empty()
                && !measured.is_empty()
                && measured.iter().all(|signal| !told.contains(signal));
            if !none || !is_by_name(mirror, physical) {
                continue;
            }
            let text = format!("nothing that `{}` reports is measured by `{}`", physical.id, thing.name);
            let alike = told
                .iter()
                .find_map(|name| near(name, measured.iter().copied()).filter(|h| h.starts_with("did")));
            let help = alike.unwrap_or_else(|| {
                let (reports, measures) = (told.join(", "), measured.join(", "));
                format!(
                    "it reports {reports}; `{}` measures {measures}: call them alike in `map`",
                    thing.name
                )
            });
            self.report.push(self.place(format!("mirror[{i}]")).warning("thing", text).help(help));
        }
    }
}

/// What a twin of this thing compares itself with.
fn measured(thing: &ThingDef) -> Vec<&str> {
    match &thing.dynamics {
        Some(network) => network.outputs.iter().map(|o| o.signal.as_str()).collect(),
        None => thing.signals.iter().map(|s| s.signal.as_str()).collect(),
    }
}

/// Whether a twin hears its own device alone, and its signals by their names.
fn is_by_name(mirror: &MirrorDef, physical: &PhysicalDef) -> bool {
    let topic = bound_topic(&physical.publish.topic, &physical.id);
    let own = |bind: &BindDef| {
        matches!(bind.decode, DecodeDef::Json) && bound_topic(&bind.topic, &mirror.twin) == topic
    };
    matches!(physical.publish.payload, PayloadDef::Json) && mirror.bind.iter().all(own)
}
