//! Devices: groups, physicals, twins; and what the timeline and expectations may name of them.

use super::{
    Checker, check_firmware, check_id, check_power,
    device::{check_publish, check_topic},
};
use crate::{
    catalog::{BusDef, Catalog, Firmware, PartDef, ThingDef},
    environment, local, physics,
    scenario::{
        Action, DecodeDef, EventDef, GroupDef, PhysicalSource,
        definition::{check_radio, sensor_signals, unknown},
        diagnostic::{Diagnostic, Report, near},
        recording::Recording,
        tree::Value,
    },
    signal::{Glob, wildcard},
};

impl Checker<'_> {
    pub(super) fn fleet(&mut self) {
        let fleet = &self.scenario.fleet;
        let mut signals = 0u64;
        for (i, group) in fleet.iter().enumerate() {
            let place = self.place(format!("fleet[{i}]"));
            self.group_id(i, group);
            for (k, zone) in group.zones.iter().enumerate() {
                self.known_zone(&format!("fleet[{i}].in[{k}]"), zone);
            }
            if let Some(link) = &group.link
                && !self.scenario.links.iter().any(|l| l.id == *link)
            {
                let error = unknown("link", link, self.scenario.links.iter().map(|l| l.id.as_str()));
                self.report_at(Some(error), &place.path("link"));
            }
            if let Some(power) = &group.power {
                check_power(power, &place.inside("power"), &mut self.report);
            }
            let Some(thing) = self.known_thing(&place, &group.thing) else { continue };
            if let Some(firmware) = &group.firmware {
                check_firmware(firmware, thing, self.catalog, &place.inside("firmware"), &mut self.report);
                self.radio(i, thing, firmware);
            }
            self.truths(i, group, thing);
            self.unfound(i, group, thing);
            // Two more for a battery, one per actuator: an upper bound is enough here.
            let per_device = sensor_signals(thing, self.catalog).len() + thing.parts.len() + 2;
            signals = signals.saturating_add(u64::from(group.count).saturating_mul(per_device as u64));
            if signals > u64::from(u32::MAX) {
                let text =
                    format!("the fleet has {signals} signals up to here; a run holds {} at most", u32::MAX);
                let error =
                    place.error("count", text).help("split the fleet over several scenarios, or over shards");
                self.report.push(error);
                signals = 0;
            } else if devices(&self.scenario.fleet[..=i]) > MAX_DEVICES
                && devices(&self.scenario.fleet[..i]) <= MAX_DEVICES
            {
                let text = format!("the fleet has more than {MAX_DEVICES} devices up to here");
                let help =
                    "about 265 bytes and three microseconds of set-up each: split it over several scenarios";
                self.report.push(place.error("count", text).help(help));
            }
            self.mounts(i, group, &thing.parts.iter().map(|p| p.id.as_str()).collect::<Vec<_>>());
        }
        self.colliding_ids();
    }

    /// A group's own firmware may speak where the thing's does not: what is wrong then is told at the group.
    fn radio(&mut self, i: usize, thing: &ThingDef, firmware: &Firmware) {
        let mut found = Report::default();
        let place = self.place(format!("fleet[{i}]"));
        check_radio(thing, firmware, self.catalog, &place, &mut found);
        for wrong in found.items() {
            self.report.push(
                place
                    .error("firmware", wrong.message().to_owned())
                    .maybe_help(wrong.help_text().map(str::to_owned)),
            );
        }
    }

    /// What a group tells of its parts.
    fn truths(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let known: Vec<String> = tellable(thing, self.catalog);
        for name in group.truths.keys().filter(|n| !known.contains(n)) {
            let span = self.source.key_span_of(&format!("fleet[{i}].truths"), name);
            let error = Diagnostic::error(format!("`{}` finds no `{name}`", group.id));
            let help = near(name, known.iter().map(String::as_str));
            self.report.push(error.at(self.source, span, "").maybe_help(help));
        }
    }

    /// Parts that find nothing: no place has their quantity, and nobody tells of it.
    fn unfound(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let board = thing.board.as_ref().and_then(|b| self.catalog.boards.get(b));
        let told = |part: &str, quantity: &str| {
            let name = format!("{part}.{quantity}");
            let set = |e: &EventDef| match &e.action {
                Action::Set { target, .. } => {
                    target.split_once('/').is_some_and(|(_, c)| wildcard(c.as_bytes(), name.as_bytes()))
                }
                _ => false,
            };
            group.truths.contains_key(&name) || self.scenario.timeline.iter().any(set)
        };
        let mut lost = Vec::new();
        for part in &thing.parts {
            let Some(sensor) = self.catalog.sensors.get(&part.model) else { continue };
            for c in &sensor.channels {
                let q = c.quantity.as_str();
                let felt = physics::feel::is_felt(q) && group.mounts.iter().any(|m| m.part == part.id);
                let output = format!("{}.{q}", part.id);
                let modelled = thing.dynamics.iter().any(|d| d.outputs.iter().any(|o| o.signal == output));
                let internal =
                    matches!(sensor.bus, BusDef::Internal) && board.is_some_and(|b| b.thermal.is_some());
                let given = local::is_supply(q)
                    || thing.parts.iter().any(|p| {
                        let named = part.of.as_ref().is_none_or(|of| *of == p.id);
                        let actuator = self.catalog.actuators.get(&p.model);
                        named && actuator.is_some_and(|a| local::given(a, q).is_some())
                    });
                let somewhere = environment::ZONE_CHANNELS.iter().chain(environment::OUTSIDE_CHANNELS);
                let around = somewhere.into_iter().any(|(name, _)| *name == q);
                if !(felt || modelled || internal || given || around || told(&part.id, q)) {
                    lost.push((output, physics::feel::is_felt(q)));
                }
            }
        }
        // One line a group: an inertial unit that is not mounted lacks six quantities at once.
        if let Some((first, felt)) = lost.first() {
            let more = if lost.len() > 1 { format!(" and {} more", lost.len() - 1) } else { String::new() };
            let text = format!("nothing gives `{first}`{more} a value: it stays 0");
            let mount = if *felt { ", or mount the part on a body" } else { "" };
            let help = format!("tell it, `truths: {{\"{first}\": …}}`, or change it by a `Set` event{mount}");
            self.report.push(self.place(format!("fleet[{i}]")).warning("thing", text).help(help));
        }
    }

    fn group_id(&mut self, i: usize, group: &GroupDef) {
        let place = self.place(format!("fleet[{i}]"));
        check_id(&place, "id", "device", &group.id.replace("{}", "0"), &mut self.report);
        match (group.count, group.id.matches("{}").count()) {
            (0, _) => self.report.push(place.error("count", "a group has at least one device")),
            (1, _) | (_, 1) => {}
            (n, 0) => {
                let error = place.error("id", format!("{n} devices cannot share the id `{}`", group.id));
                self.report.push(error.help(format!("write `{}-{{}}`: `{{}}` becomes 0, 1, …", group.id)));
            }
            _ => self.report.push(place.error("id", "`{}` may stand in an id once only")),
        }
    }

    fn mounts(&mut self, i: usize, group: &GroupDef, parts: &[&str]) {
        let bodies = self.bodies();
        for (k, mount) in group.mounts.iter().enumerate() {
            let path = format!("fleet[{i}].mounts[{k}]");
            if !parts.contains(&mount.part.as_str()) {
                let error = unknown("part", &mount.part, parts.iter().copied());
                self.report_at(Some(error), &format!("{path}.part"));
            }
            // A body's name may hold the device's index.
            let body = mount.body.replace("{}", "0");
            if !bodies.iter().any(|b| *b == mount.body || b.replace("{}", "0") == body) {
                let error = unknown("body", &mount.body, bodies.iter().map(String::as_str));
                self.report_at(Some(error), &format!("{path}.body"));
            }
        }
    }

    /// Every `id` within the scene. Its shapes are the physics module's; that bodies have an `id` is all that is known here.
    fn bodies(&self) -> Vec<String> {
        let mut ids = Vec::new();
        if let Some(scene) = self.source.tree().get("world").and_then(|w| w.get("scene")) {
            scene.walk("", &mut |key, node| {
                if let ("id", Value::Text(id)) = (key, &node.value) {
                    ids.push(id.clone());
                }
            });
        }
        ids
    }

    /// Devices of different groups and physicals with one id.
    fn colliding_ids(&mut self) {
        let mut all: Vec<(String, &str, u32)> = Vec::new();
        for (i, g) in self.scenario.fleet.iter().enumerate() {
            all.push((format!("fleet[{i}].id"), &g.id, g.count));
        }
        for (i, p) in self.scenario.physicals.iter().enumerate() {
            all.push((format!("physicals[{i}].id"), &p.id, 1));
        }
        for (i, (path, id, count)) in all.iter().enumerate() {
            let clash =
                all[..i].iter().find_map(|(other, b, n)| Some((other, collision(id, *count, b, *n)?)));
            if let Some((other, name)) = clash {
                let error = Diagnostic::error(format!("two devices have the id `{name}`"));
                let error = error.at(self.source, self.source.span_of(path), "");
                self.report.push(error.at(self.source, self.source.span_of(other), "first here"));
            }
        }
    }

    pub(super) fn physicals(&mut self) {
        for (i, physical) in self.scenario.physicals.iter().enumerate() {
            let place = self.place(format!("physicals[{i}]"));
            check_id(&place, "id", "device", &physical.id, &mut self.report);
            if let Some(zone) = &physical.zone {
                self.known_zone(&place.path("in"), zone);
            }
            let PhysicalSource::Recording { map, .. } = &physical.from;
            let before = self.report.errors();
            for key in map.keys() {
                let (path, kind) = key.split_once('@').unwrap_or((key, "reported"));
                let parts: Vec<&str> = path.split('.').collect();
                let well =
                    matches!(parts.as_slice(), [part, quantity] if !part.is_empty() && !quantity.is_empty());
                if !well || kind != "reported" {
                    let span = self.source.key_span_of(&place.path("from.map"), key);
                    let error = Diagnostic::error(format!("`{key}` is no signal that a device reports"));
                    let help = "write `part.quantity@reported`, such as \"soc.temperature@reported\"";
                    self.report.push(error.at(self.source, span, "").help(help));
                }
            }
            if map.is_empty() {
                self.report.push(
                    place
                        .error("from", "the recording has no column to publish")
                        .help("add `map: {\"part.quantity@reported\": \"column\"}`"),
                );
            }
            let signals: Vec<String> =
                map.keys().map(|k| k.split('@').next().unwrap_or(k).to_owned()).collect();
            check_publish(&physical.publish, Some(&signals), &place.inside("publish"), &mut self.report);
            if self.report.errors() > before {
                continue;
            }
            match Recording::of_physical(&physical.from, self.files, Some((self.source, &place.path("from"))))
            {
                Ok(table) => self.report.merge(table.notes.warnings),
                Err(report) => self.report.merge(report),
            }
        }
    }

    pub(super) fn mirrors(&mut self) {
        let targets = Targets::of(self);
        for (i, mirror) in self.scenario.mirror.iter().enumerate() {
            let place = self.place(format!("mirror[{i}]"));
            if let Some(help) = targets.no_device(&mirror.twin) {
                let error = Diagnostic::error(format!("there is no device `{}` to follow", mirror.twin));
                self.report_at(Some(error.maybe_help(help)), &place.path("twin"));
            }
            if let Some(first) = self.scenario.mirror[..i].iter().position(|m| m.twin == mirror.twin) {
                let other = self.source.span_of(&format!("mirror[{first}].twin"));
                let text = format!("two twins follow `{}`", mirror.twin);
                self.report.push(place.error("twin", text).at(self.source, other, "first here"));
            }
            if let Some(thing) = self.known_thing(&place, &mirror.thing)
                && thing.dynamics.is_none()
            {
                let text = format!("`{}` has no dynamics: a twin cannot follow with it", thing.name);
                self.report.push(
                    place
                        .error("thing", text)
                        .help("give the thing `dynamics: (…)`, or name one that has them"),
                );
            }
            if let Some(params) = &mirror.params
                && let Err(error) = self.files.open(params)
            {
                let said = Diagnostic::error(error.message).maybe_help(error.help);
                self.report_at(Some(said), &place.path("params"));
            }
            if mirror.bind.is_empty() {
                let error = place.error("bind", "a twin that hears no topic follows nothing");
                self.report.push(error.help("add `bind: [(topic: \"…\")]`"));
            }
            for (k, bind) in mirror.bind.iter().enumerate() {
                let place = place.inside(&format!("bind[{k}]"));
                check_topic(&bind.topic, true, "topic", &place, &mut self.report);
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
            let Some(forecast) = &mirror.forecast else { continue };
            let place = place.inside("forecast");
            if forecast.horizons.is_empty() {
                self.report.push(place.error("horizons", "a forecast needs a horizon"));
            }
            for (k, horizon) in forecast.horizons.iter().enumerate() {
                if horizon.0 <= 0 {
                    self.report
                        .push(place.error(&format!("horizons[{k}]"), "a horizon lies ahead: above 0 s"));
                }
            }
            if !(forecast.interval > 0.0 && forecast.interval < 1.0) {
                let error = place.error("interval", "the probability of an interval lies between 0 and 1");
                self.report.push(error.help("90 % is written 0.9"));
            }
            if forecast.every.0 <= 0 {
                self.report.push(place.error("every", "forecasts are issued more than 0 s apart"));
            }
        }
    }
}

/// What may be told of a thing's parts, `part.quantity`.
fn tellable(thing: &ThingDef, catalog: &Catalog) -> Vec<String> {
    let of = |p: &PartDef| {
        let sensor = catalog.sensors.get(&p.model);
        sensor.into_iter().flat_map(local::tellable).map(|q| format!("{}.{q}", p.id)).collect::<Vec<_>>()
    };
    thing.parts.iter().flat_map(of).collect()
}

/// Devices of one run at most; more would be minutes of set-up and gigabytes before the first reading.
const MAX_DEVICES: u64 = 20_000_000;

fn devices(groups: &[GroupDef]) -> u64 {
    groups.iter().map(|g| u64::from(g.count)).sum()
}

/// An id that both patterns make, if there is one.
fn collision(a: &str, count_a: u32, b: &str, count_b: u32) -> Option<String> {
    let expand = |pattern: &str, i: u32| pattern.replacen("{}", &i.to_string(), 1);
    if !a.contains("{}") || !b.contains("{}") {
        let (fixed, pattern, count) = if a.contains("{}") { (b, a, count_a) } else { (a, b, count_b) };
        return index_of(fixed, pattern, count).then(|| fixed.to_owned());
    }
    let ((head_a, tail_a), (head_b, tail_b)) = (a.split_once("{}")?, b.split_once("{}")?);
    let may = (head_a.starts_with(head_b) || head_b.starts_with(head_a))
        && (tail_a.ends_with(tail_b) || tail_b.ends_with(tail_a));
    if !may {
        return None;
    }
    // Of two patterns, the one with fewer devices is written out.
    let (few, n, many, m) =
        if count_a <= count_b { (a, count_a, b, count_b) } else { (b, count_b, a, count_a) };
    (0..n).map(|i| expand(few, i)).find(|id| index_of(id, many, m))
}

/// Whether a pattern of `count` devices makes this id.
fn index_of(id: &str, pattern: &str, count: u32) -> bool {
    let Some((head, tail)) = pattern.split_once("{}") else { return id == pattern };
    let Some(middle) = id.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)) else { return false };
    let plain = middle == "0" || !middle.starts_with(['0', '+']);
    plain && middle.parse::<u32>().is_ok_and(|i| i < count)
}

/// What the devices of a scenario can be called, and which parts and signals they have.
pub(super) struct Targets {
    devices: Vec<Target>,
    zones: Vec<String>,
}

struct Target {
    pattern: String,
    count: u32,
    signals: Vec<String>,
    /// What `Set` may change.
    tellable: Vec<String>,
    actuators: Vec<String>,
    /// Whether its thing and all models were found.
    complete: bool,
}

impl Targets {
    pub(super) fn of(checker: &Checker<'_>) -> Self {
        let catalog = checker.catalog;
        let mut devices = Vec::new();
        for group in &checker.scenario.fleet {
            let thing = checker.thing(&group.thing);
            let parts = thing.map_or(&[][..], |t| &t.parts);
            let known =
                |model: &String| catalog.sensors.contains_key(model) || catalog.actuators.contains_key(model);
            let actuators = parts.iter().filter(|p| catalog.actuators.contains_key(&p.model));
            devices.push(Target {
                pattern: group.id.clone(),
                count: group.count,
                signals: thing.map_or_else(Vec::new, |t| {
                    sensor_signals(t, catalog).into_iter().map(|(name, _)| name).collect()
                }),
                tellable: thing.map_or_else(Vec::new, |t| tellable(t, catalog)),
                actuators: actuators.map(|p| p.id.clone()).collect(),
                complete: thing.is_some() && parts.iter().all(|p| known(&p.model)),
            });
        }
        for physical in &checker.scenario.physicals {
            let PhysicalSource::Recording { map, .. } = &physical.from;
            devices.push(Target {
                pattern: physical.id.clone(),
                count: 1,
                signals: map.keys().map(|k| k.split('@').next().unwrap_or(k).to_owned()).collect(),
                tellable: Vec::new(),
                actuators: Vec::new(),
                complete: true,
            });
        }
        Self { devices, zones: checker.scenario.world.zones.iter().map(|z| z.id.clone()).collect() }
    }

    fn names(&self) -> Vec<String> {
        let show = |t: &Target| match t.count {
            n if n > 1 && !t.pattern.contains("{}") => t.pattern.clone(),
            0 | 1 => t.pattern.replace("{}", "0"),
            n => format!(
                "{} … {}",
                t.pattern.replace("{}", "0"),
                t.pattern.replace("{}", &(n - 1).to_string())
            ),
        };
        self.devices.iter().map(show).collect()
    }

    /// None where the device exists; else what to try.
    #[expect(clippy::option_option, reason = "no device, and perhaps no suggestion either")]
    pub(super) fn no_device(&self, id: &str) -> Option<Option<String>> {
        if self.devices.iter().any(|t| index_of(id, &t.pattern, t.count)) {
            return None;
        }
        let names = self.names();
        Some(near(id, names.iter().map(String::as_str)))
    }

    /// Devices that a pattern names.
    fn hit(&self, device: &str) -> Vec<&Target> {
        if !device.contains(['*', '?']) {
            return self.devices.iter().filter(|t| index_of(device, &t.pattern, t.count)).collect();
        }
        let fits = |t: &&Target| {
            (0..t.count)
                .any(|i| wildcard(device.as_bytes(), t.pattern.replace("{}", &i.to_string()).as_bytes()))
        };
        self.devices.iter().filter(fits).collect()
    }

    fn missing(&self, device: &str) -> Diagnostic {
        let names = self.names();
        unknown("device", device, names.iter().map(String::as_str))
    }

    /// What is wrong with a fault's target.
    pub(super) fn fault(&self, target: &str, whole_device: bool) -> Option<Diagnostic> {
        let (device, channel) = match target.split_once('/') {
            Some((device, channel)) => (device, Some(channel.split('@').next().unwrap_or(channel))),
            None => (target, None),
        };
        let hits = self.hit(device);
        if hits.is_empty() {
            return Some(self.missing(device));
        }
        let Some(channel) = channel else {
            return (!whole_device).then(|| {
                Diagnostic::error(format!("`{target}` names no signal"))
                    .help("write `device/part.quantity`; only Dropout and ClockSkew befall a whole device")
            });
        };
        self.lacking(&hits, channel)
    }

    fn lacking(&self, hits: &[&Target], channel: &str) -> Option<Diagnostic> {
        let fits = |t: &&&Target| t.signals.iter().any(|s| wildcard(channel.as_bytes(), s.as_bytes()));
        if hits.iter().any(|t| !t.complete) || hits.iter().any(|t| fits(&t)) {
            return None;
        }
        let known = hits.iter().flat_map(|t| &t.signals).map(String::as_str);
        let text = format!("`{}` measures no `{channel}`", hits[0].pattern);
        Some(Diagnostic::error(text).maybe_help(near(channel, known)))
    }

    /// What is wrong with a `Set` event's target.
    pub(super) fn set(&self, target: &str) -> Option<Diagnostic> {
        let Some((device, channel)) = target.split_once('/') else {
            let error = Diagnostic::error(format!("`{target}` names nothing that a part finds"));
            return Some(error.help("write `device/part.quantity`"));
        };
        let hits = self.hit(device);
        if hits.is_empty() {
            return Some(self.missing(device));
        }
        let fits = |t: &&&Target| t.tellable.iter().any(|s| wildcard(channel.as_bytes(), s.as_bytes()));
        if hits.iter().any(|t| !t.complete || fits(&t)) {
            return None;
        }
        let known = hits.iter().flat_map(|t| &t.tellable).map(String::as_str);
        let text = format!("no part of `{}` finds `{channel}`", hits[0].pattern);
        Some(Diagnostic::error(text).maybe_help(near(channel, known)))
    }

    /// What is wrong with a command's target.
    pub(super) fn command(&self, target: &str) -> Option<Diagnostic> {
        let Some((device, part)) = target.split_once('/') else {
            let error = Diagnostic::error(format!("`{target}` names no actuator"));
            return Some(error.help("write `device/part`"));
        };
        let hits = self.hit(device);
        if hits.is_empty() {
            return Some(self.missing(device));
        }
        let fits = |t: &&Target| t.actuators.iter().any(|a| wildcard(part.as_bytes(), a.as_bytes()));
        if hits.iter().any(|t| !t.complete || fits(t)) {
            return None;
        }
        Some(unknown("actuator", part, hits.iter().flat_map(|t| &t.actuators).map(String::as_str)))
    }

    /// Something to try where a well-formed glob can name no signal: no device and no zone fits it.
    pub(super) fn glob(&self, glob: &Glob, text: &str) -> Option<String> {
        let fits =
            |t: &Target| (0..t.count).any(|i| glob.matches_device(&t.pattern.replace("{}", &i.to_string())));
        let places = self.zones.iter().map(String::as_str).chain(["outside"]);
        if places.clone().any(|z| glob.matches_device(z)) || self.devices.iter().any(fits) {
            return None;
        }
        let device = text.split('/').next().unwrap_or(text);
        let names = self.names();
        near(device, names.iter().map(String::as_str).chain(places))
            .or(Some("no device or zone is called so".into()))
    }
}
