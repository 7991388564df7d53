//! Twins: what they follow and hear, what they know and are to learn, how far ahead they look.

use super::{
    Checker, Place,
    device::{check_topic, dialect_error},
    fleet::Targets,
    params::fits,
};
use crate::{
    catalog::ThingDef,
    dynamics::{
        DynamicsDef,
        definition::{ParameterDef, PriorDef},
        params::Params,
    },
    mirror::{bound_topic, ear},
    scenario::{
        BindDef, DecodeDef,
        definition::unknown,
        diagnostic::Diagnostic,
        source::{Source, describe},
    },
};
use std::io::Read;

/// The signals that a twin of this thing follows.
pub(super) fn followed(thing: &ThingDef) -> Vec<&str> {
    if thing.dynamics.is_none() {
        return thing.signals.iter().map(|s| s.signal.as_str()).collect();
    }
    let network = thing.dynamics.iter();
    network
        .flat_map(|n| {
            let inputs = n.inputs.iter().map(|i| i.signal.as_str());
            inputs.chain(n.outputs.iter().map(|o| o.signal.as_str()))
        })
        .collect()
}

/// Largest file of parameters, [bytes].
const MAX_PARAMS_BYTES: u64 = 1 << 20;

impl Checker<'_> {
    /// What a twin is to learn: parameters that are not known from the start.
    fn learnt(&mut self, names: &[String], network: &DynamicsDef, place: &Place<'_>) {
        let free = |p: &ParameterDef| p.prior != PriorDef::Fixed;
        let known: Vec<&str> =
            network.parameters.iter().filter(|(_, p)| free(p)).map(|(name, _)| name.as_str()).collect();
        for (k, name) in names.iter().enumerate() {
            let error = match network.parameters.get(name) {
                None => unknown("parameter", name, known.iter().copied()),
                Some(p) if !free(p) => {
                    Diagnostic::error(format!("`{name}` is fixed, so it cannot be learnt"))
                        .help("give it a `prior` in the thing's file, such as `prior: Log(0.1)`")
                }
                Some(_) => continue,
            };
            self.report_at(Some(error), &place.path(&format!("learn[{k}]")));
        }
    }

    /// A file of fitted parameters, and whether they are this network's.
    fn params(&mut self, path: &str, network: Option<&DynamicsDef>, place: &Place<'_>) {
        let (name, file) = match self.files.open(path) {
            Ok(found) => found,
            Err(error) => {
                let said = Diagnostic::error(error.message).maybe_help(error.help);
                return self.report_at(Some(said), &place.path("params"));
            }
        };
        let mut bytes = Vec::new();
        if let Err(error) = file.take(MAX_PARAMS_BYTES + 1).read_to_end(&mut bytes) {
            let said = Diagnostic::error(describe(&error, &name)).help("is the disk in order?");
            return self.report_at(Some(said), &place.path("params"));
        }
        if bytes.len() as u64 > MAX_PARAMS_BYTES {
            let said = Diagnostic::error(format!("`{name}` is larger than {} MiB", MAX_PARAMS_BYTES >> 20));
            return self.report_at(
                Some(said.help("name a file that `twinfleet fit --out` wrote")),
                &place.path("params"),
            );
        }
        let read = Source::from_bytes(&name, bytes).and_then(|s| Ok((s.parse::<Params>("Params")?, s)));
        let (params, source) = match read {
            Ok(read) => read,
            Err(errors) => return self.report.merge(errors),
        };
        if let Some(network) = network {
            fits(&params, &source, network, &mut self.report);
        }
    }

    pub(super) fn mirrors(&mut self) {
        let targets = Targets::of(self);
        for (i, mirror) in self.scenario.mirror.iter().enumerate() {
            let place = self.place(format!("mirror[{i}]"));
            // A scenario without devices of its own is of real ones.
            let of_real_ones = self.scenario.fleet.is_empty() && self.scenario.physicals.is_empty();
            if !of_real_ones && let Some(help) = targets.no_device(&mirror.twin) {
                let error = Diagnostic::error(format!("there is no device `{}` to follow", mirror.twin));
                self.report_at(Some(error.maybe_help(help)), &place.path("twin"));
            }
            if let Some(first) = self.scenario.mirror[..i].iter().position(|m| m.twin == mirror.twin) {
                let other = self.source.span_of(&format!("mirror[{first}].twin"));
                let text = format!("two twins follow `{}`", mirror.twin);
                let error = place.error("twin", text).at(self.source, other, "first here");
                self.report.push(error.help("one twin a device: take one of the two away"));
            }
            let thing = self.known_thing(&place, &mirror.thing);
            let network = thing.and_then(|t| t.dynamics.as_ref());
            if let Some(network) = network {
                self.learnt(&mirror.learn, network, &place);
            }
            if let Some(predictor) = &mirror.predictor
                && let Err(error) = self.files.open(&predictor.file)
            {
                let said = Diagnostic::error(error.message).maybe_help(error.help);
                self.report_at(Some(said), &place.path("predictor.file"));
            }
            if let Some(params) = &mirror.params {
                self.params(params, network, &place);
            }
            for (key, given) in [("params", mirror.params.is_some()), ("learn", !mirror.learn.is_empty())] {
                if given && thing.is_some_and(|t| t.dynamics.is_none() && !t.signals.is_empty()) {
                    let error = place.error(key, "signals that are followed as they come have no parameters");
                    self.report.push(error.help("leave it out, or name a thing with dynamics"));
                }
            }
            if let Some(thing) = thing
                && thing.dynamics.is_none()
                && thing.signals.is_empty()
            {
                let text = format!("`{}` has no dynamics: a twin cannot follow with it", thing.name);
                self.report.push(
                    place
                        .error("thing", text)
                        .help("give the thing `dynamics: (…)` or `signals: […]`, or name one that has them"),
                );
            }
            if mirror.bind.is_empty() {
                let error = place.error("bind", "a twin that hears no topic follows nothing");
                self.report.push(error.help("add `bind: [(topic: \"…\")]`"));
            }
            for (k, bind) in mirror.bind.iter().enumerate() {
                let place = place.inside(&format!("bind[{k}]"));
                check_topic(&bind.topic, true, "topic", &place, &mut self.report);
                let heard = |b: &BindDef| bound_topic(&b.topic, &mirror.twin);
                let same = |b: &BindDef| heard(b) == heard(bind) && b.decode == bind.decode;
                if let Some(first) = mirror.bind[..k].iter().position(same) {
                    let other = self.source.span_of(&format!("mirror[{i}].bind[{first}].topic"));
                    let error = place.error("topic", "this stands twice: each message would be heard twice");
                    let error = error.at(self.source, other, "first here");
                    self.report.push(error.help("take one of the two away"));
                }
                if let DecodeDef::Dialect { map, .. } | DecodeDef::Pointers { map, .. } = &bind.decode
                    && let Some(thing) = thing
                {
                    let signals = followed(thing);
                    for key in map.keys().filter(|k| !signals.contains(&k.as_str())) {
                        let span = self.source.key_span_of(&place.path("decode.map"), key);
                        let error = unknown("signal", key, signals.iter().copied());
                        self.report.push(error.at(self.source, span, ""));
                    }
                    let dialects = &self.catalog.dialects;
                    if let Some(Err(error)) = ear(mirror, bind, &signals, dialects) {
                        dialect_error(&error, dialects, "decode", &place, &mut self.report);
                    }
                }
                if let DecodeDef::Pointers { map, .. } = &bind.decode {
                    for (signal, pointer) in map {
                        if !pointer.is_empty() && !pointer.starts_with('/') {
                            let path = format!("decode.map[\"{signal}\"]");
                            let error = place.error(&path, "this is no JSON Pointer");
                            self.report.push(error.help("a pointer starts with `/` (RFC 6901)"));
                        }
                    }
                }
            }
            if mirror
                .watch
                .is_some_and(|w| !(w.readings_per_alarm >= 1.0 && w.readings_per_alarm.is_finite()))
            {
                let error =
                    place.error("watch.readings_per_alarm", "a false alarm takes at least one reading");
                self.report
                    .push(error.help("write how many readings may pass to a false alarm, such as 2000"));
            }
            if let Some(command) = &mirror.command {
                let place = place.inside("command");
                let has_dialect = mirror.bind.iter().any(|b| {
                    matches!(&b.decode, DecodeDef::Dialect { name, .. } if self.catalog.dialects.commands(name))
                });
                match &command.topic {
                    Some(topic) => check_topic(topic, true, "topic", &place, &mut self.report),
                    None if !has_dialect => {
                        let text = "this twin's device speaks no dialect that has commands";
                        let error = place.error("", text);
                        self.report.push(error.help("name the topic that takes them: `topic: \"…\"`"));
                    }
                    None => {}
                }
                if command.within.0 <= 0 {
                    let error = place.error("within", "a command takes more than 0 s");
                    self.report.push(error.help("leave `within` out for 30 s"));
                }
                if !(1..=100).contains(&command.tries) {
                    let error =
                        place.error("tries", "a command is told once at least, and 100 times at most");
                    self.report.push(error.help("leave `tries` out for 4"));
                }
            }
            let Some(forecast) = &mirror.forecast else { continue };
            let place = place.inside("forecast");
            if forecast.horizons.is_empty() {
                let error = place.error("horizons", "a forecast needs a horizon");
                self.report.push(error.help("write `horizons: [\"60s\"]`, or leave `forecast` out"));
            }
            for (k, horizon) in forecast.horizons.iter().enumerate() {
                if horizon.0 <= 0 {
                    let error = place.error(&format!("horizons[{k}]"), "a horizon lies ahead: above 0 s");
                    self.report.push(error.help("write how far ahead the twin looks, such as \"60s\""));
                }
                // Real devices are followed until somebody stops it.
                let end = self.scenario.duration;
                if !of_real_ones && *horizon > end && end.0 > 0 {
                    let text = format!("no forecast so far ahead comes due before the end of the run, {end}");
                    let warning = place.warning(&format!("horizons[{k}]"), text);
                    self.report.push(warning.help("write a shorter horizon, or a longer `duration`"));
                }
                if forecast.horizons[..k].contains(horizon) {
                    let error = place.error(&format!("horizons[{k}]"), "this horizon stands twice");
                    self.report.push(error.help("take one of the two away"));
                }
            }
            if !(forecast.interval > 0.0 && forecast.interval < 1.0) {
                let error = place.error("interval", "the probability of an interval lies between 0 and 1");
                self.report.push(error.help("90 % is written 0.9"));
            }
            if forecast.every.0 <= 0 {
                let error = place.error("every", "forecasts are issued more than 0 s apart");
                self.report.push(error.help("leave `every` out for one a second"));
            }
        }
    }
}
