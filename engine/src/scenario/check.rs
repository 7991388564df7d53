//! Cross-references of a scenario, all errors reported together.
//!
//! ```
//! use twinfleet_engine::{catalog::Catalog, scenario::{self, check, files::Files, source::Source}};
//! let source = Source::embedded("s.ron", r#"Scenario(format: 1, duration: "1h", fleet: [(id: "n", thing: "box")])"#);
//! let scenario = scenario::read(&source).unwrap();
//! let report = check::check(&scenario, &Catalog::default(), &source, &Files::at("."));
//! assert_eq!(report.items()[0].to_string(), "s.ron:1:62: error: there is no thing `box`");
//! ```

mod air;
mod crossed;
mod device;
mod expect;
mod fault;
mod fleet;
mod heard;
mod load;
mod loops;
mod network;
mod params;
mod range;
mod time;
mod twin;

pub(super) use device::{check_firmware, check_power, check_script};
pub(super) use network::check_dynamics;
pub use params::{check_params, is_params};

use super::{
    Scenario,
    definition::{check_thing, unknown},
    diagnostic::{Diagnostic, Report},
    files::Files,
    source::Source,
    tree::{Node, Value},
};
use crate::{
    catalog::{Catalog, ThingDef},
    environment,
};
use std::ops::Range;

/// A place within a text: errors about it point there.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The text.
    pub source: &'a Source,
    prefix: String,
}

impl<'a> Place<'a> {
    /// The value at a path; empty: the whole file.
    pub fn new(source: &'a Source, path: &str) -> Self {
        Self { source, prefix: path.to_owned() }
    }

    /// A place within this one.
    #[must_use]
    pub fn inside(&self, path: &str) -> Self {
        Self { source: self.source, prefix: self.path(path) }
    }

    /// The full path of a field.
    pub fn path(&self, key: &str) -> String {
        match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) if key.starts_with('[') => format!("{prefix}{key}"),
            (prefix, key) => format!("{prefix}.{key}"),
        }
    }

    /// Bytes of a field's value, or of what is nearest to it.
    pub fn span(&self, key: &str) -> Range<usize> {
        self.source.span_of(&self.path(key))
    }

    /// An error that points at a field.
    pub fn error(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.source, self.source.head(self.span(key)), "")
    }

    /// A warning that points at a field.
    pub fn warning(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(message).at(self.source, self.source.head(self.span(key)), "")
    }

    /// Complains unless `value ≥ least`.
    pub fn at_least(&self, key: &str, value: f64, least: f64, report: &mut Report) {
        if value < least || value.is_nan() {
            let error = self.error(key, format!("`{}` must be at least {least}, but is {value}", last(key)));
            report.push(error.help(format!("write {least} or more")));
        }
    }

    /// Complains unless `value > bound`.
    pub fn above(&self, key: &str, value: f64, bound: f64, report: &mut Report) {
        if value <= bound || value.is_nan() {
            let error = self.error(key, format!("`{}` must be above {bound}, but is {value}", last(key)));
            report.push(error.help(format!("write a number above {bound}")));
        }
    }

    /// Complains unless `low ≤ value ≤ high`.
    pub fn within(&self, key: &str, value: f64, low: f64, high: f64, report: &mut Report) {
        if !(low..=high).contains(&value) {
            let text = format!("`{}` must lie within {low} and {high}, but is {value}", last(key));
            let percent = (low, high) == (0.0, 1.0) && value > 1.0 && value <= 100.0;
            let help = if percent {
                format!("if that is a percentage: {value} % is written {}", value / 100.0)
            } else {
                format!("write a number from {low} to {high}")
            };
            report.push(self.error(key, text).help(help));
        }
    }
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Everything wrong with a scenario beyond its shape: errors and warnings, sorted by place.
pub fn check(scenario: &Scenario, catalog: &Catalog, source: &Source, files: &Files) -> Report {
    let mut checker =
        Checker { scenario, catalog, source, files, report: Report::default(), short: Vec::new() };
    check_numbers(source, &mut checker.report);
    let numbers = checker.report.items().len();
    checker.times();
    checker.zones();
    checker.things();
    checker.links();
    checker.fleet();
    checker.scene();
    checker.physicals();
    checker.mirrors();
    checker.crossed();
    checker.heard();
    checker.loops();
    checker.timeline();
    checker.draws();
    checker.globs();
    checker.expectations();
    checker.load();
    // Beside what cannot run at all, how long it would go on is of no interest.
    if checker.report.errors() == 0 {
        let short = std::mem::take(&mut checker.short);
        short.into_iter().for_each(|warning| checker.report.push(warning));
    }
    checker.report.tell_once(numbers);
    checker.report.sort();
    checker.report
}

struct Checker<'a> {
    scenario: &'a Scenario,
    catalog: &'a Catalog,
    source: &'a Source,
    files: &'a Files,
    report: Report,
    /// Warnings of recordings that end before the run does.
    short: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn place(&self, path: impl AsRef<str>) -> Place<'a> {
        Place::new(self.source, path.as_ref())
    }

    /// The thing of this name, the scenario's own first.
    fn thing(&self, name: &str) -> Option<&'a ThingDef> {
        self.scenario.things.iter().find(|t| t.name == name).or_else(|| self.catalog.things.get(name))
    }

    /// The thing a path names, or an error.
    fn known_thing(&mut self, place: &Place<'_>, name: &str) -> Option<&'a ThingDef> {
        let thing = self.thing(name);
        if thing.is_none() {
            let own = self.scenario.things.iter().map(|t| t.name.as_str());
            let known = own.chain(self.catalog.things.keys().map(String::as_str));
            let error = unknown("thing", name, known);
            self.report.push(error.at(self.source, place.span("thing"), ""));
        }
        thing
    }

    fn known_zone(&mut self, path: &str, name: &str) {
        let zones = &self.scenario.world.zones;
        if !zones.iter().any(|z| z.id == name) {
            let error = unknown("zone", name, zones.iter().map(|z| z.id.as_str()));
            self.report.push(error.at(self.source, self.source.span_of(path), ""));
        }
    }

    /// Ids of a list: well formed, and each once.
    fn ids<'b>(&mut self, list: &str, what: &str, ids: impl Iterator<Item = &'b str>) {
        let mut seen: Vec<&str> = Vec::new();
        for (i, id) in ids.enumerate() {
            let place = self.place(format!("{list}[{i}]"));
            check_id(&place, "id", what, id, &mut self.report);
            if let Some(first) = seen.iter().position(|s| *s == id) {
                let other = self.source.span_of(&format!("{list}[{first}].id"));
                let error = place.error("id", format!("two {what}s have the id `{id}`"));
                let help =
                    format!("give each {what} an id of its own: rename one of the two, or take it away");
                self.report.push(error.at(self.source, other, "first here").help(help));
            }
            seen.push(id);
        }
    }

    fn zones(&mut self) {
        let zones = &self.scenario.world.zones;
        self.ids("world.zones", "zone", zones.iter().map(|z| z.id.as_str()));
        for (i, zone) in zones.iter().enumerate() {
            if zone.id == "outside" {
                let place = self.place(format!("world.zones[{i}]"));
                let error = place.error("id", "`outside` is where no zone is");
                self.report.push(error.help("call this zone otherwise"));
            }
            if let Some(parent) = &zone.parent {
                self.known_zone(&format!("world.zones[{i}].in"), parent);
            }
            for (k, wall) in zone.neighbours.iter().enumerate() {
                self.known_zone(&format!("world.zones[{i}].neighbours[{k}].zone"), &wall.zone);
            }
        }
        for p in environment::zones::problems(zones) {
            let place = self.place(format!("world.zones[{}]", p.zone));
            self.report.push(place.error(&p.field, p.message).help(p.help));
        }
        for p in environment::zones::idle(zones) {
            let place = self.place(format!("world.zones[{}]", p.zone));
            self.report.push(place.warning(&p.field, p.message).help(p.help));
        }
        for (field, text) in self.scenario.world.ambient.problems() {
            let error = self.place("world.ambient").error(field, format!("`{field}` {text}"));
            self.report.push(error.help("leave it out for what the air outdoors usually holds"));
        }
        let weather = self.scenario.world.weather.iter();
        for (field, text, help) in weather.flat_map(environment::WeatherDef::problems) {
            self.report.push(self.place("world.weather").error(field, text).help(help));
        }
        // Where an id stands twice, which of the two is meant is open.
        let twice = |z: &environment::ZoneDef| zones.iter().filter(|other| other.id == z.id).count() > 1;
        if zones.iter().any(twice) {
            return;
        }
        // A cycle is reported once, from its first zone in the file.
        let parent = |i: usize| {
            let name = zones[i].parent.as_deref()?;
            zones.iter().position(|z| z.id == name)
        };
        for start in 0..zones.len() {
            let mut chain = vec![start];
            let mut at = parent(start);
            while let Some(next) = at.filter(|n| !chain.contains(n)) {
                chain.push(next);
                at = parent(next);
            }
            if at == Some(start) && chain.iter().all(|i| *i >= start) {
                let names: Vec<&str> = chain.iter().chain([&start]).map(|i| zones[*i].id.as_str()).collect();
                let text = format!("zones contain each other in a circle: {}", names.join(" in "));
                let mut error = Diagnostic::error(text);
                for i in &chain {
                    error = error.at(self.source, self.source.span_of(&format!("world.zones[{i}].in")), "");
                }
                self.report.push(error.help("take `in` away from the outermost zone"));
            }
        }
    }

    fn things(&mut self) {
        let things = &self.scenario.things;
        for (i, thing) in things.iter().enumerate() {
            let place = self.place(format!("things[{i}]"));
            check_id(&place, "name", "thing", &thing.name, &mut self.report);
            if let Some(first) = things[..i].iter().position(|t| t.name == thing.name) {
                let other = self.source.span_of(&format!("things[{first}].name"));
                let text = format!("two things have the name `{}`", thing.name);
                let error = place.error("name", text).at(self.source, other, "first here");
                self.report.push(error.help("rename one of the two, or take it away"));
            }
            check_thing(thing, self.catalog, &place, &mut self.report);
        }
    }

    fn links(&mut self) {
        let links = &self.scenario.links;
        self.ids("links", "link", links.iter().map(|l| l.id.as_str()));
        for (i, link) in links.iter().enumerate() {
            let place = self.place(format!("links[{i}]"));
            let report = &mut self.report;
            place.at_least("latency_min_ms", link.latency_min_ms.unwrap_or(0.0), 0.0, report);
            place.at_least("latency_jitter_ms", link.latency_jitter_ms.unwrap_or(0.0), 0.0, report);
            place.within("loss", link.loss.unwrap_or(0.0), 0.0, 1.0, report);
            if let Some(name) = &link.profile
                && !self.catalog.links.contains_key(name)
            {
                let error = unknown("link profile", name, self.catalog.links.keys().map(String::as_str));
                report.push(error.at(place.source, place.span("profile"), ""));
            }
            if let Some(radio) = &link.radio {
                let place = place.inside("radio");
                if !(radio.distance_m.0 > 0.0 && radio.distance_m.0 <= radio.distance_m.1) {
                    let text = "distances are above 0 and ascend";
                    let help = "write (nearest, farthest), such as (3.0, 60.0)";
                    report.push(place.error("distance_m", text).help(help));
                }
                place.above("exponent", radio.exponent, 0.0, report);
                for (key, value) in [
                    ("shadowing_db", radio.shadowing_db),
                    ("wall_db", radio.wall_db),
                    ("wall_m", radio.wall_m),
                    ("fading_db", radio.fading_db),
                    ("hysteresis_db", radio.hysteresis_db),
                ] {
                    place.at_least(key, value, 0.0, report);
                }
                if radio.tx_dbm.is_none() && link.profile.is_none() {
                    let error = place.error("", "a radio has a transmit power");
                    report.push(error.help("add `tx_dbm`, or give the link a `profile`"));
                }
                if radio.access_points.len() > usize::from(u8::MAX) {
                    report.push(place.error("access_points", "a link has 255 access points at most"));
                }
                for (k, zone) in radio.access_points.iter().enumerate().filter(|(_, z)| *z != "outside") {
                    self.known_zone(&format!("links[{i}].radio.access_points[{k}]"), zone);
                }
            }
        }
    }
}

/// An id that signals and topics can carry.
pub(super) fn check_id(place: &Place<'_>, key: &str, what: &str, id: &str, report: &mut Report) {
    let what = what.to_lowercase();
    if id.is_empty() {
        let error = place.error(key, format!("a {what} needs a name"));
        report.push(error.help("write one of letters, digits, `-` and `_`"));
        return;
    }
    let bad =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '*' | '?' | '+' | '#' | '"');
    // Signals are `device/part.quantity`: a part's or quantity's own name holds no dot.
    let dotted = matches!(what.as_str(), "part" | "quantity") && id.contains('.');
    if let Some(c) = id.chars().find(|c| bad(*c)).or(dotted.then_some('.')) {
        report.push(
            place
                .error(key, format!("`{id}` is no name for a {what}: it holds `{}`", c.escape_default()))
                .help("names are parts of signals and topics: use letters, digits, `-` and `_`"),
        );
    }
}

/// What keys of every file mean by their unit, whoever owns them: a fraction, a percentage, a temperature in °C, ….
const RANGES: &[(&str, f64, f64, &str)] = &[
    ("latitude_deg", -90.0, 90.0, "a latitude"),
    ("longitude_deg", -180.0, 180.0, "a longitude"),
    ("day_of_year", 1.0, 366.0, "a day of the year"),
    ("emissivity", 0.0, 1.0, "an emissivity"),
    ("transmission", 0.0, 1.0, "a fraction"),
    ("albedo", 0.0, 1.0, "a fraction"),
    ("_fraction", 0.0, 1.0, "a fraction"),
    ("humidity_percent", 0.0, 100.0, "a percentage"),
    ("moisture_percent", 0.0, 100.0, "a percentage"),
    ("temperature_c", -273.15, 2000.0, "a temperature in °C"),
    ("mean_c", -273.15, 2000.0, "a temperature in °C"),
    ("temperature_k", 0.0, 2300.0, "a temperature in K"),
    ("_m2", 0.0, f64::MAX, "an area"),
    ("_m3", 0.0, f64::MAX, "a volume"),
    ("mass_kg", f64::MIN_POSITIVE, f64::MAX, "a mass"),
    ("_j_k", 0.0, f64::MAX, "a heat capacity"),
    ("_w_k", 0.0, f64::MAX, "a conductance"),
    ("_std", 0.0, f64::MAX, "a standard deviation"),
];

/// Numbers that are none, and numbers out of the range that their key's unit allows.
pub(super) fn check_numbers(source: &Source, report: &mut Report) {
    source.tree().walk("", &mut |key, node| {
        let Some(value) = number(source, node) else { return };
        let text = &source.text()[node.span.clone()];
        if !value.is_finite() {
            report.push(
                Diagnostic::error(format!("`{text}` is no figure a simulation can use"))
                    .at(source, node.span.clone(), "")
                    .help("write a finite number"),
            );
            return;
        }
        for (word, low, high, what) in RANGES {
            let fits = if word.starts_with('_') { key.ends_with(word) } else { key == *word };
            // m/s² and the like end in `_m2` too seldom to matter: the longer word is asked first.
            if fits && !key.ends_with("_s2") && !(*low..=*high).contains(&value) {
                let bound = match (*low, *high) {
                    (0.0, f64::MAX) => "at least 0".to_owned(),
                    (_, f64::MAX) => "above 0".to_owned(),
                    (low, high) => format!("within {low} and {high}"),
                };
                let lies = if bound.starts_with("within") { "lies" } else { "is" };
                let help = match key {
                    "temperature_c" | "mean_c" if value < *low => {
                        "nothing is colder than -273.15 °C".to_owned()
                    }
                    "temperature_c" | "mean_c" | "temperature_k" => {
                        format!("is it in another unit than `{key}` says?")
                    }
                    _ => format!("write a number {bound}"),
                };
                report.push(
                    Diagnostic::error(format!("{text} is out of range: {what} {lies} {bound}"))
                        .at(source, node.span.clone(), format!("`{key}`"))
                        .help(help),
                );
                return;
            }
        }
        if key == "temperature_c" && value > 200.0 {
            let text = format!("{text} °C is hot for a place where devices live");
            report.push(Diagnostic::warning(text).at(source, node.span.clone(), "").help("is it in kelvin?"));
        }
    });
}

fn number(source: &Source, node: &Node) -> Option<f64> {
    if node.value != Value::Scalar {
        return None;
    }
    let text = source.text()[node.span.clone()].replace('_', "");
    // Bare names such as `Infinity` would parse; RON's own spellings are these.
    if text.starts_with(|c: char| c.is_alphabetic()) && text != "inf" && text != "NaN" {
        return None;
    }
    text.parse().ok()
}
