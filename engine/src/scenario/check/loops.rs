//! Control loops that hear nobody, find nothing in what they hear, or move nothing: with one letter wrong in a topic or a pointer
//! nothing ever happens.

use super::{Checker, Place, crossed::meet};
use crate::{
    catalog::{Catalog, ControlDef, Firmware, ThingDef},
    scenario::{DecodeDef, GroupDef, PayloadDef, definition::sensor_signals, diagnostic::near},
};

/// A topic on which a device here publishes.
struct Spoken<'a> {
    topic: &'a str,
    /// Keys of its payload, where these are known.
    keys: Option<Vec<String>>,
}

/// What is said and heard within a scenario.
#[derive(Default)]
struct Talk<'a> {
    spoken: Vec<Spoken<'a>>,
    taken: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    /// Warns of such loops. Where a script, a dialect or a load speaks, who says what is not known here, and nothing is told.
    pub(super) fn loops(&mut self) {
        let scenario = self.scenario;
        let Some(talk) = self.talk() else { return };
        for (i, group) in scenario.fleet.iter().enumerate() {
            let Some(thing) = self.thing(&group.thing) else { continue };
            let controls = firmware(group, thing).map_or(&[][..], |f| &f.control);
            for (k, control) in controls.iter().enumerate() {
                let own = scenario.things.iter().position(|t| t.name == thing.name);
                let place = match (&group.firmware, own) {
                    (Some(_), _) => self.place(format!("fleet[{i}].firmware.control[{k}]")),
                    (None, Some(t)) => self.place(format!("things[{t}].firmware.control[{k}]")),
                    (None, None) => self.place(format!("fleet[{i}].thing")),
                };
                self.idle(control, &talk, &place);
            }
        }
    }

    /// All that is said and heard; `None` where not all of it is known.
    fn talk(&self) -> Option<Talk<'a>> {
        let scenario = self.scenario;
        let mut talk = Talk::default();
        if scenario.load.is_some() {
            return None;
        }
        for group in &scenario.fleet {
            let thing = self.thing(&group.thing)?;
            let firmware = firmware(group, thing);
            let script = group.script.is_some() || thing.script.is_some();
            if script || firmware.is_some_and(|f| f.script.is_some()) {
                return None;
            }
            let Some(firmware) = firmware else { continue };
            for publish in &firmware.publish {
                let keys = match &publish.payload {
                    PayloadDef::Json => Some(keys(thing, self.catalog)),
                    PayloadDef::Template(_) => None,
                    PayloadDef::Dialect { .. } => return None,
                };
                talk.spoken.push(Spoken { topic: &publish.topic, keys });
            }
            for control in &firmware.control {
                talk.spoken.push(Spoken { topic: &control.output, keys: None });
                talk.taken.push(&control.input);
            }
            talk.taken.extend(firmware.commands.iter().map(|c| c.topic.as_str()));
        }
        for physical in &scenario.physicals {
            let named = || physical.from.signals().map(str::to_owned);
            let keys = match &physical.publish.payload {
                PayloadDef::Json => Some(named().chain(["ts".to_owned()]).collect()),
                PayloadDef::Template(_) => None,
                PayloadDef::Dialect { .. } => return None,
            };
            talk.spoken.push(Spoken { topic: &physical.publish.topic, keys });
        }
        let binds = scenario.mirror.iter().flat_map(|m| &m.bind);
        let plain = binds.filter(|b| !matches!(b.decode, DecodeDef::Dialect { .. }));
        talk.taken.extend(plain.map(|b| b.topic.as_str()));
        Some(talk)
    }

    /// What keeps a loop from doing anything, if something does.
    fn idle(&mut self, control: &ControlDef, talk: &Talk<'_>, place: &Place<'_>) {
        let heard: Vec<&Spoken<'_>> =
            talk.spoken.iter().filter(|s| may_meet(&control.input, s.topic)).collect();
        // A key is a single step of a pointer, in which no sign is masked.
        let key = control.pointer.strip_prefix('/').filter(|key| !key.contains(['/', '~']));
        let lacks = |s: &&Spoken<'_>, key: &str| s.keys.as_ref().is_some_and(|k| !k.iter().any(|k| k == key));
        if heard.is_empty() {
            let text = format!("nobody here publishes on `{}`: this loop hears nothing", control.input);
            self.tell(place, "input", text, near(&control.input, talk.spoken.iter().map(|s| s.topic)));
        } else if let Some(key) = key
            && heard.iter().all(|s| lacks(s, key))
        {
            let known = heard.iter().flat_map(|s| s.keys.iter().flatten()).map(String::as_str);
            let text = format!("nothing that comes on `{}` has a `{key}`", control.input);
            self.tell(place, "pointer", text, near(key, known));
        }
        if !talk.taken.iter().any(|topic| may_meet(&control.output, topic)) {
            let text = format!("nobody here takes commands on `{}`: this loop moves nothing", control.output);
            self.tell(place, "output", text, near(&control.output, talk.taken.iter().copied()));
        }
    }

    /// Tells it where it stands, once for all groups of one thing; of a thing in the catalog at the group.
    fn tell(&mut self, place: &Place<'_>, key: &str, text: String, help: Option<String>) {
        let key = if self.source.has(&place.path(key)) { key } else { "" };
        if self.report.items().iter().all(|d| d.message() != text) {
            self.report.push(place.warning(key, text).maybe_help(help));
        }
    }
}

fn firmware<'a>(group: &'a GroupDef, thing: &'a ThingDef) -> Option<&'a Firmware> {
    group.firmware.as_ref().or(thing.firmware.as_ref())
}

/// What a JSON payload of this thing may hold.
fn keys(thing: &ThingDef, catalog: &Catalog) -> Vec<String> {
    let signals = sensor_signals(thing, catalog).into_iter().map(|(name, _)| name);
    let levels = thing.parts.iter().map(|part| format!("{}.level", part.id));
    signals.chain(levels).chain(["ts".to_owned()]).collect()
}

/// Whether a device's topic may fit a filter: `{device}` and `{zone}` may be anything.
fn may_meet(filter: &str, topic: &str) -> bool {
    let open = |text: &str| -> String {
        let levels = text.split('/').map(|level| if level.contains('{') { "+" } else { level });
        levels.collect::<Vec<_>>().join("/")
    };
    meet(&open(filter), &open(topic))
}
