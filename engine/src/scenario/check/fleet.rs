//! Devices: groups and physicals; and what the timeline and expectations may name of them.

use super::{
    Checker, Place, check_firmware, check_id, check_power, check_script,
    device::{check_publish, check_voice, script_key},
};
use crate::{
    catalog::{BusDef, Catalog, Firmware, PartDef, ThingDef},
    environment, local,
    mirror::physical::with_unit,
    physics,
    scenario::{
        Action, EventDef, GroupDef, PhysicalSource,
        definition::{check_feeds, check_pack_feeds, sensor_signals, unknown},
        diagnostic::{Diagnostic, Report, Severity, near},
        index_of,
        recording::Recording,
        tree::Value,
    },
    sense::fault::reach::{Wired, wired},
    signal::{Glob, wildcard},
    units,
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
                check_power(power, self.catalog, &place.inside("power"), &mut self.report);
            }
            let Some(thing) = self.known_thing(&place, &group.thing) else { continue };
            if let Some(firmware) = &group.firmware {
                check_firmware(firmware, thing, self.catalog, &place.inside("firmware"), &mut self.report);
            }
            if let Some(script) = &group.script {
                check_script(script, thing, group.firmware.is_some(), &place, &mut self.report);
            }
            self.scripts(&place, group, thing);
            self.has_radio(i, group, thing);
            self.over_the_air(i, group, thing);
            self.fits_the_air(i, group, thing);
            self.supply(i, group, thing);
            self.truths(i, group, thing);
            self.unfound(i, group, thing);
            self.beyond(i, group, thing);
            self.driven(thing, &place);
            // Two more for a battery, one per actuator, the outputs of its dynamics: an upper bound is enough here.
            let outputs = thing.dynamics.as_ref().map_or(0, |d| d.outputs.len());
            let per_device = sensor_signals(thing, self.catalog).len() + thing.parts.len() + outputs + 3;
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

    /// Whether the file of a script is there, told once where it is named.
    fn scripts(&mut self, place: &Place<'_>, group: &GroupDef, thing: &ThingDef) {
        let of_thing = thing.script.as_ref().filter(|_| group.firmware.is_none());
        let Some(script) = group.script.as_ref().or(of_thing) else { return };
        let Err(e) = self.files.open(&script.path) else { return };
        let key = if group.script.is_some() { script_key(place) } else { "thing" };
        let path = if group.script.is_some() { format!("{key}.path") } else { key.to_owned() };
        self.report.push(place.error(&path, e.message).maybe_help(e.help));
    }

    /// Whether a group's packs feed its boards and parts, with the radio of its link.
    fn supply(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let board = thing.board.as_ref().and_then(|b| self.catalog.boards.get(b));
        let (Some(board), Some(power)) = (board, group.power.as_ref().or(thing.power.as_ref())) else {
            return;
        };
        let firmware = group.firmware.as_ref().or(thing.firmware.as_ref());
        let link = group.link.as_ref().and_then(|l| self.scenario.links.iter().find(|d| d.id == *l));
        let own = Some(board).filter(|_| link.is_none_or(|l| l.module.is_none()));
        let profile = link.and_then(|l| self.catalog.links.get(l.profile.as_ref()?));
        let radio_ma = profile.and_then(|p| p.on(own).tx_ma);
        let place = self.place(format!("fleet[{i}]"));
        let judge = |transmits: Option<(&Firmware, Option<f64>)>| {
            let mut found = Report::default();
            check_pack_feeds(board, thing, power, transmits, self.catalog, &place, &mut found);
            found
        };
        // What holds of the thing's own supply without a radio has been told at the thing.
        let told = if group.power.is_none() { judge(None) } else { Report::default() };
        let mut found =
            if told.errors() > 0 { Report::default() } else { judge(firmware.map(|f| (f, radio_ma))) };
        if group.power.is_some() {
            check_feeds(thing, power, self.catalog, &place, &mut found);
        }
        let key = if group.power.is_some() { "power" } else { "thing" };
        let said = |message: &str| told.items().iter().any(|d| d.message() == message);
        for wrong in found.items().iter().filter(|d| !said(d.message())) {
            let text = wrong.message().to_owned();
            let told = match wrong.severity() {
                Severity::Error => place.error(key, text),
                _ => place.warning(key, text),
            };
            self.report.push(told.maybe_help(wrong.help_text().map(str::to_owned)));
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
        self.told_twice(i, group, thing);
    }

    /// Inputs of a converter that the scenario tells of, and that a part drives.
    fn told_twice(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        for (input, part, sensor) in thing.driven_inputs(self.catalog) {
            let text = format!("`{input}` is what `{}` puts there", part.id);
            let quantity = sensor.channels.first().map_or("", |c| &c.quantity);
            let help = format!("leave it out, and tell what that finds: `{}.{quantity}`", part.id);
            if group.truths.contains_key(&input) {
                let span = self.source.key_span_of(&format!("fleet[{i}].truths"), &input);
                let error = Diagnostic::error(text.clone()).at(self.source, span, "");
                self.report.push(error.help(help.clone()));
            }
            let first = group.id.replace("{}", "0");
            for (k, event) in self.scenario.timeline.iter().enumerate() {
                let Action::Set { target, .. } = &event.action else { continue };
                let named = target.split_once('/').filter(|(_, channel)| *channel == input);
                if named.is_some_and(|(device, _)| wildcard(device.as_bytes(), first.as_bytes())) {
                    let place = self.place(format!("timeline[{k}].do"));
                    self.report.push(place.error("target", text.clone()).help(help.clone()));
                }
            }
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
            // A converter with a part at one of its inputs has found its work; the others are at rest.
            let wired = thing.parts.iter().any(|p| p.on.converter().is_some_and(|(of, _)| of == part.id));
            let rests = |q: &str| wired && units::converter_input(q).is_some();
            for c in sensor.channels.iter().filter(|c| !rests(&c.quantity)) {
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

    /// Whether something drives every input of a simulated device's dynamics.
    fn driven(&mut self, thing: &ThingDef, group: &Place<'_>) {
        let inputs = thing.dynamics.iter().flat_map(|d| &d.inputs);
        let own = self.scenario.things.iter().position(|t| t.name == thing.name);
        for (k, input) in inputs.enumerate() {
            let (part, quantity) = input.signal.split_once('.').unwrap_or((&input.signal, ""));
            let error = match part {
                "zone" | "outside" => {
                    let of = if part == "zone" {
                        environment::zone_channels()
                    } else {
                        environment::outside_channels()
                    };
                    let known: Vec<&str> =
                        of.iter().filter_map(|c| Some(c.name.split_once('.')?.1)).collect();
                    if known.contains(&quantity) {
                        continue;
                    }
                    unknown(&format!("quantity of `{part}` called"), quantity, known)
                }
                _ => {
                    let is_level =
                        |p: &&PartDef| quantity == "level" && self.catalog.actuators.contains_key(&p.model);
                    if thing.parts.iter().filter(is_level).any(|p| p.id == part) {
                        continue;
                    }
                    let text = format!(
                        "nothing drives the input `{}` of a simulated `{}`",
                        input.signal, thing.name
                    );
                    let help =
                        "an input is `zone.<quantity>`, `outside.<quantity>` or `<actuator part>.level`";
                    Diagnostic::error(text).help(help)
                }
            };
            let path = match own {
                Some(i) => format!("things[{i}].dynamics.inputs[{k}].signal"),
                None => group.path("thing"),
            };
            self.report_at(Some(error), &path);
        }
    }

    fn group_id(&mut self, i: usize, group: &GroupDef) {
        let place = self.place(format!("fleet[{i}]"));
        check_id(&place, "id", "device", &group.id.replace("{}", "0"), &mut self.report);
        if group.id.is_empty() {
            return;
        }
        match (group.count, group.id.matches("{}").count()) {
            (0, _) => {
                let error = place.error("count", "a group has at least one device");
                self.report.push(error.help("write 1 or more, or take the group away"));
            }
            (1, _) | (_, 1) => {}
            (n, 0) => {
                let error = place.error("id", format!("{n} devices cannot share the id `{}`", group.id));
                self.report.push(error.help(format!("write `{}-{{}}`: `{{}}` becomes 0, 1, …", group.id)));
            }
            _ => {
                let error = place.error("id", "`{}` may stand in an id once only");
                self.report.push(error.help("write it once: `{}` becomes 0, 1, …"));
            }
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

    /// Every `id` of the scene's bodies. Their shapes are the physics module's; that they have an `id` is all that is known
    /// here.
    fn bodies(&self) -> Vec<String> {
        let mut ids = Vec::new();
        let scene = self.source.tree().get("world").and_then(|w| w.get("scene"));
        if let Some(bodies) = scene.and_then(|s| s.get("bodies")) {
            bodies.walk("", &mut |key, node| {
                if let ("id", Value::Text(id)) = (key, &node.value) {
                    ids.push(id.clone());
                }
            });
        }
        ids
    }

    /// The world's rigid bodies and the parts on them.
    pub(super) fn scene(&mut self) {
        for wrong in physics::check::check_scenario(self.scenario, self.catalog) {
            let span = self.source.head(self.source.span_of(&wrong.path));
            let error = Diagnostic::error(wrong.message).at(self.source, span, "").help(wrong.help);
            // What a mount names was looked up before, with near names, and what a unit allows.
            let told = self.report.items().iter().any(|d| d.place() == error.place());
            if !told {
                self.report.push(error);
            }
        }
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
                let error = error.at(self.source, self.source.span_of(other), "first here");
                self.report.push(error.help("give each device an id of its own"));
            }
        }
        // Both have signals, `id/…`.
        for (i, zone) in self.scenario.world.zones.iter().enumerate() {
            let clash = all.iter().find_map(|(path, id, n)| Some((path, collision(&zone.id, 1, id, *n)?)));
            if let Some((path, name)) = clash {
                let error = Diagnostic::error(format!("a zone and a device have the id `{name}`"));
                let zone = self.source.span_of(&format!("world.zones[{i}].id"));
                let error = error.at(self.source, self.source.span_of(path), "");
                let error = error.at(self.source, zone, "the zone");
                self.report.push(error.help("call one of the two otherwise: signals are told apart by it"));
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
            let PhysicalSource::Recording { map, period, .. } = &physical.from;
            let before = self.report.errors();
            if period.is_some_and(|p| p.0 <= 0) {
                let error = place.error("from.period", "rows are more than 0 s apart");
                self.report.push(error.help("write their spacing, such as `period: \"1s\"`"));
            }
            for key in map.keys() {
                if !is_reported(key) {
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
            let signals: Vec<String> = physical.from.signals().map(str::to_owned).collect();
            let published = place.inside("publish");
            check_publish(&physical.publish, Some(&signals), &published, &mut self.report);
            let spoken: Vec<(String, String)> = signals.iter().map(|n| with_unit(n)).collect();
            let dialects = &self.catalog.dialects;
            check_voice(&physical.publish, &physical.id, &spoken, dialects, &published, &mut self.report);
            if self.report.errors() > before {
                continue;
            }
            match Recording::of_physical(&physical.from, self.files, Some((self.source, &place.path("from"))))
            {
                Ok(table) => {
                    self.outlasts(&place, &table);
                    self.report.merge(table.notes.warnings);
                }
                Err(report) => self.report.merge(report),
            }
        }
    }
}

/// Whether this is `part.quantity`, or that `@reported`.
fn is_reported(key: &str) -> bool {
    let (path, kind) = key.split_once('@').unwrap_or((key, "reported"));
    let parts: Vec<&str> = path.split('.').collect();
    let well = matches!(parts.as_slice(), [part, quantity] if !part.is_empty() && !quantity.is_empty());
    well && kind == "reported"
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

/// What the devices of a scenario can be called, and which parts and signals they have.
pub(super) struct Targets {
    devices: Vec<Target>,
    /// Zones, and what a scene of rigid bodies holds.
    places: Vec<String>,
    /// Whether a group's own id is a mistake: what it is called is not known then, and nothing is missing for sure.
    pub(super) vague: bool,
}

pub(super) struct Target {
    pub(super) pattern: String,
    count: u32,
    /// What its sensors give.
    pub(super) streams: Vec<Wired>,
    /// What `Set` may change.
    tellable: Vec<String>,
    actuators: Vec<String>,
    /// Parts that its firmware takes commands for.
    commanded: Vec<String>,
    /// Whether its thing and all models were found.
    pub(super) complete: bool,
}

impl Target {
    /// Whether one of its devices fits a wildcard. What they begin with is compared first: there may be millions.
    fn any(&self, wildcard: &str, fits: impl Fn(&str) -> bool) -> bool {
        let begin = wildcard.split(['*', '?']).next().unwrap_or_default();
        let head = self.pattern.split("{}").next().unwrap_or_default();
        let may = begin.starts_with(head) || head.starts_with(begin);
        may && (0..self.count).any(|i| fits(&self.pattern.replace("{}", &i.to_string())))
    }
}

/// Parts that the firmware of a group takes commands for, its own before its thing's.
fn commanded(group: &GroupDef, thing: Option<&ThingDef>) -> Vec<String> {
    let own = group.script.is_some() || group.firmware.is_some();
    let firmware = match (own, thing) {
        (true, _) => group.firmware.as_ref().filter(|_| group.script.is_none()),
        (false, Some(thing)) => thing.firmware.as_ref().filter(|_| thing.script.is_none()),
        (false, None) => None,
    };
    firmware.iter().flat_map(|f| &f.commands).map(|c| c.part.clone()).collect()
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
                streams: thing.map_or_else(Vec::new, |t| wired(t, catalog)),
                tellable: thing.map_or_else(Vec::new, |t| tellable(t, catalog)),
                actuators: actuators.map(|p| p.id.clone()).collect(),
                commanded: commanded(group, thing),
                complete: thing.is_some() && parts.iter().all(|p| known(&p.model)),
            });
        }
        for physical in &checker.scenario.physicals {
            let PhysicalSource::Recording { map, .. } = &physical.from;
            devices.push(Target {
                pattern: physical.id.clone(),
                count: 1,
                streams: physical.from.signals().map(Wired::named).collect(),
                tellable: Vec::new(),
                actuators: Vec::new(),
                commanded: Vec::new(),
                complete: !map.is_empty() && map.keys().all(|k| is_reported(k)),
            });
        }
        let unsound = |g: &GroupDef| {
            let numbered = g.id.matches("{}").count();
            g.id.is_empty() || g.count == 0 || numbered > 1 || (g.count > 1 && numbered == 0)
        };
        let unfit = |t: &Target| t.pattern.contains(['/', '@', '*', '?', ' ']);
        let vague = checker.scenario.fleet.iter().any(unsound) || devices.iter().any(unfit);
        let world = &checker.scenario.world;
        let zones = world.zones.iter().map(|z| z.id.as_str());
        let bodies = world.scene.iter().flat_map(physics::SceneDef::ids);
        Self { devices, places: zones.chain(bodies).map(str::to_owned).collect(), vague }
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
        if self.vague || self.devices.iter().any(|t| index_of(id, &t.pattern, t.count)) {
            return None;
        }
        Some(self.near(id))
    }

    /// Devices called much like this one, else all of them.
    fn near(&self, id: &str) -> Option<String> {
        let digits = |c: char| c.is_ascii_digit();
        let number: u32 =
            id.trim_start_matches(|c| !digits(c)).split(|c| !digits(c)).next()?.parse().unwrap_or(0);
        let alike: Vec<String> = (self.devices.iter())
            .filter(|t| number < t.count)
            .map(|t| t.pattern.replace("{}", &number.to_string()))
            .collect();
        let alike = near(id, alike.iter().map(String::as_str)).filter(|help| help.starts_with("did"));
        let names = self.names();
        alike.or_else(|| near(id, names.iter().map(String::as_str)))
    }

    /// Devices that a pattern names.
    pub(super) fn hit(&self, device: &str) -> Vec<&Target> {
        if !device.contains(['*', '?']) {
            return self.devices.iter().filter(|t| index_of(device, &t.pattern, t.count)).collect();
        }
        let fits = |name: &str| wildcard(device.as_bytes(), name.as_bytes());
        self.devices.iter().filter(|t| t.any(device, fits)).collect()
    }

    pub(super) fn missing(&self, device: &str) -> Diagnostic {
        Diagnostic::error(format!("there is no device `{device}`")).maybe_help(self.near(device))
    }

    pub(super) fn lacking(&self, hits: &[&Target], channel: &str) -> Option<Diagnostic> {
        let fits = |t: &&&Target| t.streams.iter().any(|s| wildcard(channel.as_bytes(), s.name.as_bytes()));
        if hits.iter().any(|t| !t.complete) || hits.iter().any(|t| fits(&t)) {
            return None;
        }
        let known = hits.iter().flat_map(|t| &t.streams).map(|s| s.name.as_str());
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
            return (!self.vague).then(|| self.missing(device));
        }
        let fits = |t: &&Target| t.actuators.iter().any(|a| wildcard(part.as_bytes(), a.as_bytes()));
        if hits.iter().any(|t| !t.complete || fits(t)) {
            return None;
        }
        let none = hits.iter().all(|t| t.actuators.is_empty());
        let none = none.then(|| format!("`{}` has none, see `twinfleet list actuators`", hits[0].pattern));
        let known = hits.iter().flat_map(|t| &t.actuators).map(String::as_str);
        Some(unknown("actuator", part, known).maybe_help(none))
    }

    /// What is wrong with a desired state's target.
    pub(super) fn desire(&self, target: &str) -> Option<Diagnostic> {
        let wrong = self.command(target);
        if wrong.is_some() {
            return wrong;
        }
        let (device, part) = target.split_once('/')?;
        let hits = self.hit(device);
        let fits = |t: &&Target| t.commanded.iter().any(|c| wildcard(part.as_bytes(), c.as_bytes()));
        if hits.is_empty() || hits.iter().any(|t| !t.complete || fits(t)) {
            return None;
        }
        let error = Diagnostic::error(format!("the firmware of `{device}` takes no command for `{part}`"));
        Some(error.help("what moves it by hand is `Command`; a firmware takes what its `commands` name"))
    }

    /// What is called about so; else, that nothing is.
    fn near_name(&self, word: &str) -> Option<String> {
        let names = self.names();
        let places = self.places.iter().map(String::as_str).chain(["outside"]);
        near(word, names.iter().map(String::as_str).chain(places))
            .or(Some("no device, zone or body is called so".into()))
    }

    /// Something to try where nothing that an event could befall is called so.
    pub(super) fn nobody(&self, of: &str) -> Option<String> {
        let fits = |name: &str| wildcard(of.as_bytes(), name.as_bytes());
        let mut places = self.places.iter().map(String::as_str).chain(["outside"]);
        if self.vague || places.any(fits) || !self.hit(of).is_empty() {
            return None;
        }
        self.near_name(of)
    }

    /// Something to try where a well-formed glob can name no signal: no device, zone or body fits it.
    pub(super) fn glob(&self, glob: &Glob, text: &str) -> Option<String> {
        let device = text.split('/').next().unwrap_or(text);
        let fits = |t: &Target| t.any(device, |name| glob.matches_device(name));
        let mut places = self.places.iter().map(String::as_str).chain(["outside"]);
        if self.vague || places.any(|z| glob.matches_device(z)) || self.devices.iter().any(fits) {
            return None;
        }
        self.near_name(device)
    }
}
