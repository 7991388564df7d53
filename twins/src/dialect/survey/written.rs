//! What discovery writes: the scenario that follows the devices, and that of their doubles.

use super::{Device, Field};
use crate::dialect::{self, facts::Value, homeassistant, names, tree};
use std::collections::BTreeMap;
use twinfleet_engine::units;

/// What the devices behind a bridge state, and the options that say it.
const OF_A_BRIDGE: [(&str, &str); 5] = [
    ("model", "model"),
    ("manufacturer", "vendor"),
    ("address", "address"),
    ("kind", "kind"),
    ("power", "power"),
];
/// Characters of a text from which on it may have been cut off.
const MAX_TEXT: usize = 200;

fn head(what: &str) -> String {
    format!("// Written by `twinfleet discover`: {what}\n")
}

/// The scenario that follows these devices: a thing and a twin of each.
pub fn mirror_scenario(devices: &[Device], broker: &str) -> String {
    let mut things = String::new();
    let mut mirror = String::new();
    for d in devices.iter().filter(|d| d.followed().next().is_some()) {
        let said: Vec<&str> =
            ["manufacturer", "model", "name"].iter().filter_map(|k| Some(d.about.get(k)?.as_str())).collect();
        let about = if said.is_empty() {
            d.dialect.to_owned()
        } else {
            format!("{}: {}", d.dialect, said.join(", "))
        };
        things += &format!(
            "        (\n            name: {:?},\n            about: {about:?},\n            source: \"heard by twinfleet discover\",\n            signals: [\n",
            d.id
        );
        for (_, f) in d.followed() {
            let quantum = f.quantum();
            let quantum = if quantum > 0.0 { format!(", quantum: {quantum:?}") } else { String::new() };
            things += &format!("                (signal: {:?}, unit: {:?}{quantum}),\n", f.signal, f.unit);
        }
        things += "            ],\n        ),\n";
        // Forecasts a few and a few dozen readings ahead.
        let period_s = d.period_s().unwrap_or(10.0).clamp(1.0, 3600.0).ceil();
        let horizons = [(6.0 * period_s).max(60.0), (30.0 * period_s).max(300.0)];
        let set: Vec<String> = d
            .followed()
            .filter(|(_, f)| f.settable == Some(true))
            .map(|(_, f)| format!("{:?}", f.signal))
            .collect();
        if !set.is_empty() {
            // Desired state on $aws/things/TWIN/shadow/update reaches the device in its dialect.
            mirror += &format!("        // Can be set: {}\n", set.join(", "));
        }
        mirror += &format!(
            "        (\n            twin: {0:?}, thing: {0:?},\n            bind: [(topic: {1:?}, decode: Dialect(name: {2:?}, map: {3}))],\n            forecast: (horizons: [\"{4}s\", \"{5}s\"], every: \"{6}s\"),\n        ),\n",
            d.id,
            d.address,
            d.dialect,
            Device::map(d.followed()),
            horizons[0],
            horizons[1],
            period_s
        );
    }
    let n = devices.iter().filter(|d| d.followed().next().is_some()).count();
    format!(
        "{}Scenario(\n    format: 1,\n    about: {:?},\n    duration: \"1h\",\n    step: \"1s\",\n    things: [\n{things}    ],\n    mirror: [\n{mirror}    ],\n)\n",
        head(&format!("what was heard on {broker}")),
        format!("Twins of {n} devices heard on {broker}")
    )
}

/// The scenario of doubles: each device as a recording of what was heard, in its own dialect. `tables` is the folder of the
/// tables, relative to the scenario.
pub fn double_scenario(devices: &[Device], broker: &str, tables: &str) -> String {
    let mut physicals = String::new();
    let mut longest: f64 = 1.0;
    for d in doubles(devices) {
        longest = longest.max(d.rows.last().map_or(1.0, |(t, _)| t.ceil() + 1.0));
        let columns: Vec<String> = d
            .doubled()
            .map(|(_, f)| {
                // The unit of a quantity that the engine does not know is the device's own, and is left as it is.
                let own = units::of_quantity(names::quantity(&f.signal));
                let unit = own.map_or_else(String::new, |u| format!(" {}", u.symbol));
                format!("\"{0}@reported\": \"{0}{unit}\"", f.signal)
            })
            .collect();
        let options = d.options();
        physicals += &format!(
            "        (\n            id: {:?},\n            from: Recording(path: {:?}, time: \"t_s\", gaps: Offline, map: {{{}}}),\n            publish: (topic: {:?}, payload: Dialect(name: {:?}, map: {}{options})),\n        ),\n",
            d.id,
            format!("{tables}/{}.csv", d.id),
            columns.join(", "),
            d.address,
            d.dialect,
            Device::map(d.doubled())
        );
    }
    format!(
        "{}// Run in the devices' stead: `twinfleet replay THIS --as-devices --broker {broker}`\nScenario(\n    format: 1,\n    about: {:?},\n    duration: \"{}s\",\n    step: \"100ms\",\n    physicals: [\n{physicals}    ],\n)\n",
        head(&format!("doubles of what was heard on {broker}")),
        format!("Doubles of devices heard on {broker}"),
        longest
    )
}

/// The doubles that there can be: of each device that said something that a double can say. What lies behind one Sparkplug
/// node or one Zigbee bridge has one connection, so that it is one double.
pub fn doubles(devices: &[Device]) -> Vec<Device> {
    let mut hubs: BTreeMap<(&str, String), Vec<&Device>> = BTreeMap::new();
    let mut all = Vec::new();
    let speaks = |d: &&Device| d.doubled().next().is_some() && !d.rows.is_empty();
    for d in devices.iter().filter(speaks) {
        match d.hub() {
            Some((hub, _)) => hubs.entry((d.dialect, hub)).or_default().push(d),
            None => all.push(d.clone()),
        }
    }
    for ((dialect, hub), mut behind) in hubs {
        if dialect == "zigbee2mqtt" {
            // The bridge lists what says no number too.
            let is_there = |d: &&Device| d.dialect == dialect && d.hub().is_some_and(|(h, _)| h == hub);
            behind.extend(devices.iter().filter(is_there).filter(|d| !speaks(d)));
        }
        all.push(match behind[..] {
            [alone] => alone.clone(),
            _ => Device::hub_of(hub, &behind, devices),
        });
    }
    all
}

/// The configurations by which these devices are announced, as one; none where they are more than a voice would read.
fn announced(parts: &[&Device]) -> Option<(&'static str, String)> {
    let option = homeassistant::DISCOVERY.0;
    let all: serde_json::Map<String, serde_json::Value> = parts
        .iter()
        .filter_map(|d| {
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(d.own.get(option)?).ok()
        })
        .flatten()
        .collect();
    let text = serde_json::Value::Object(all).to_string();
    (text != "{}" && tree::read(text.as_bytes()).is_ok()).then_some((option, text))
}

impl Device {
    /// What holds its connection where that is not itself, the Sparkplug node or the bridge, and its name behind it.
    fn hub(&self) -> Option<(String, &str)> {
        let levels = match self.dialect {
            "sparkplug" => 2,
            "zigbee2mqtt" => 1,
            _ => return None,
        };
        let parts: Vec<&str> = self.address.splitn(levels + 1, '/').collect();
        Some((parts[..levels.min(parts.len())].join("/"), parts.get(levels).copied().unwrap_or_default()))
    }

    fn behind(&self) -> &str {
        self.hub().map_or("", |(_, behind)| behind)
    }

    /// A node and the devices behind it as one: their fields side by side, and their rows in the order of time.
    fn hub_of(address: String, parts: &[&Self], all: &[Self]) -> Self {
        let mut id = names::plain(&address).replace('_', "-");
        while all.iter().any(|d| d.id == id && d.address != address) {
            id += "-node";
        }
        let mut fields = BTreeMap::new();
        let mut rows: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
        for d in parts {
            let key = |field: &str| format!("{}/{field}", d.behind());
            for (field, f) in &d.fields {
                let behind = Some((d.behind().to_owned(), field.clone()));
                fields.insert(key(field), Field { behind, ..f.clone() });
            }
            for (t, row) in &d.rows {
                let at = rows.entry((t * 1e3).round() as i64).or_default();
                at.extend(row.iter().map(|(field, v)| (key(field), *v)));
            }
        }
        let aliased = parts.iter().any(|d| d.about.get("alias").is_some_and(|a| a == "yes"));
        let mut about = BTreeMap::from([("alias", if aliased { "yes" } else { "no" }.to_owned())]);
        let seen = parts.iter().find_map(|d| d.about.get("last_seen"));
        about.extend(seen.map(|form| ("last_seen", form.clone())));
        let mut node = Self {
            dialect: parts[0].dialect,
            address,
            id,
            about,
            online: None,
            fields,
            own: announced(parts).into_iter().collect(),
            is_kept: false,
            parts: parts.iter().map(|d| (d.behind().to_owned(), d.about.clone())).collect(),
            rows: rows.into_iter().map(|(ms, row)| (ms as f64 / 1e3, row)).collect(),
        };
        node.name_fields();
        node
    }

    /// Of a double in a dialect with types: those of its signals, the devices that they are of, and what births say besides.
    fn typed(&self) -> Vec<(&'static str, serde_json::Map<String, serde_json::Value>)> {
        let object =
            |pairs: &mut dyn Iterator<Item = (String, &str)>| -> serde_json::Map<String, serde_json::Value> {
                pairs.map(|(k, v)| (k, serde_json::Value::from(v))).collect()
            };
        let doubled = || self.doubled().map(|(_, f)| f);
        let types = object(&mut doubled().filter(|f| !f.kind.is_empty()).map(|f| (f.signal.clone(), f.kind)));
        let devices = object(&mut doubled().filter_map(|f| {
            let (device, _) = f.behind.as_ref().filter(|(device, _)| !device.is_empty())?;
            Some((f.signal.clone(), device.as_str()))
        }));
        let mut fixed = serde_json::Map::new();
        for (field, f) in &self.fields {
            if let (Some(Value::Text(text)), false) = (&f.last, f.is_number() || f.kind.is_empty()) {
                let own = (self.behind().to_owned(), field.clone());
                let (device, name) = f.behind.as_ref().unwrap_or(&own);
                let said = serde_json::json!({ "type": f.kind, "value": text });
                let of = fixed.entry(device.clone()).or_insert_with(|| serde_json::json!({}));
                of[name.as_str()] = said;
            }
        }
        vec![("types", types), ("devices", devices), ("fixed", fixed)]
    }
}

impl Device {
    /// What its states say besides the doubled fields, as it was last; of one device of several, by its name there.
    fn also(&self, of: Option<&str>) -> serde_json::Map<String, serde_json::Value> {
        let mut also = serde_json::Map::new();
        for (field, f) in &self.fields {
            let own = match (&f.behind, of) {
                (Some((device, name)), Some(of)) if device == of => name,
                (_, None) => field,
                _ => continue,
            };
            let doubled = self.doubled().any(|(n, _)| n == field);
            let value = match &f.last {
                // A sensor that did not answer has its place.
                _ if f.nulled && (doubled || f.last.is_none()) => serde_json::Value::Null,
                Some(Value::Number(v)) if !doubled => tree::number(*v),
                Some(Value::Flag(v)) if !doubled => serde_json::Value::from(*v),
                Some(Value::Text(v)) if !doubled => serde_json::Value::from(v.as_str()),
                _ => continue,
            };
            // What a button of a Zigbee bridge did is no state that it would repeat.
            let is_action = self.dialect == "zigbee2mqtt" && (own == "action" || own.starts_with("action_"));
            if !own.starts_with("STATE/") && !own.starts_with("POWER") && !is_action {
                let path: Vec<String> = own.split('/').map(str::to_owned).collect();
                tree::put(&mut also, &path, value);
            }
        }
        also.into_iter().map(|(key, value)| (key, tree::with_lists(value))).collect()
    }

    /// What a double has to be told so that it says the rest as the device does.
    fn options(&self) -> String {
        let mut known: Vec<&str> = dialect::find(self.dialect)
            .map_or_else(Vec::new, |d| d.options().iter().map(|(k, _)| *k).collect());
        if !self.own.is_empty() {
            // Its own discovery says it.
            known.retain(|option| !matches!(*option, "commands" | "form"));
        }
        let mut pairs: Vec<String> =
            self.own.iter().map(|(option, text)| format!("{option:?}: {text:?}")).collect();
        let quoted = |object: serde_json::Map<String, serde_json::Value>| {
            format!("{:?}", serde_json::Value::Object(object).to_string())
        };
        if known.contains(&"also") && self.parts.is_empty() {
            pairs.extend(
                Some(self.also(None)).filter(|a| !a.is_empty()).map(|a| format!("\"also\": {}", quoted(a))),
            );
        } else if known.contains(&"also") {
            let one = |(name, about): (&String, &BTreeMap<&'static str, String>)| {
                let mut said = serde_json::Map::new();
                for (key, option) in OF_A_BRIDGE {
                    said.extend(about.get(key).map(|text| (option.to_owned(), text.as_str().into())));
                }
                said.insert("also".to_owned(), self.also(Some(name)).into());
                (name.clone(), serde_json::Value::Object(said))
            };
            // A group of devices is none itself: it says of whom it is one.
            let members = |about: &BTreeMap<&'static str, String>| {
                serde_json::from_str::<serde_json::Value>(about.get("members")?).ok()
            };
            let (groups, devices): (Vec<_>, Vec<_>) =
                self.parts.iter().partition(|(_, about)| members(about).is_some());
            pairs.push(format!("\"devices\": {}", quoted(devices.into_iter().map(one).collect())));
            let group = |(name, about): (&String, &BTreeMap<&'static str, String>)| {
                Some((name.clone(), members(about)?))
            };
            let groups: serde_json::Map<_, _> = groups.into_iter().filter_map(group).collect();
            pairs
                .extend(Some(groups).filter(|g| !g.is_empty()).map(|g| format!("\"groups\": {}", quoted(g))));
        }
        if known.contains(&"state") {
            let mut state = serde_json::Map::new();
            for (field, f) in &self.fields {
                if let (Some(own), Some(value)) = (field.strip_prefix("STATE/"), &f.last) {
                    let path: Vec<String> = own.split('/').map(str::to_owned).collect();
                    tree::put(&mut state, &path, tree::json(value));
                }
            }
            let state: serde_json::Map<_, _> =
                state.into_iter().map(|(key, value)| (key, tree::with_lists(value))).collect();
            pairs.extend(Some(state).filter(|s| !s.is_empty()).map(|s| format!("\"state\": {}", quoted(s))));
        }
        if known.contains(&"texts") {
            let text = |(field, f): (&String, &Field)| match &f.last {
                // What may have been cut off is none.
                Some(Value::Text(text))
                    if (!f.is_number() || self.is_word(field, f)) && text.chars().count() < MAX_TEXT =>
                {
                    Some((field.clone(), text.as_str().into()))
                }
                _ => None,
            };
            let texts: serde_json::Map<_, _> = self.fields.iter().filter_map(text).collect();
            pairs.extend(Some(texts).filter(|t| !t.is_empty()).map(|t| format!("\"texts\": {}", quoted(t))));
        }
        if known.contains(&"commands") {
            let way = |(_, f): (&String, &Field)| {
                let known = homeassistant::SETTABLE.contains(&f.kind) && f.settable == Some(true);
                known.then(|| (f.signal.clone(), f.kind.into()))
            };
            let ways: serde_json::Map<_, _> = self.doubled().filter_map(way).collect();
            pairs
                .extend(Some(ways).filter(|w| !w.is_empty()).map(|w| format!("\"commands\": {}", quoted(w))));
        }
        if known.contains(&"actions") {
            let words = |(name, f): (&String, &Field)| {
                let part = f.behind.as_ref().and_then(|(device, _)| self.parts.get(device));
                let declared = part.unwrap_or(&self.about).get("actions");
                let declared: Vec<String> =
                    declared.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                let further = declared.into_iter().filter(|word| !f.words.contains(word));
                let all: Vec<String> = f.words.iter().cloned().chain(further).collect();
                self.is_action(name, f).then(|| (f.signal.clone(), serde_json::Value::from(all)))
            };
            let actions: serde_json::Map<_, _> = self.doubled().filter_map(words).collect();
            pairs.extend(
                Some(actions).filter(|a| !a.is_empty()).map(|a| format!("\"actions\": {}", quoted(a))),
            );
        }
        if known.contains(&"words") {
            // What is on or off in words of its own, or as a flag.
            let words = |(name, f): (&String, &Field)| {
                let said = f.last.as_ref().filter(|said| said.is_state() && !self.is_action(name, f))?;
                let both = [false, true].map(|on| tree::json(&said.likewise(on)));
                Some((f.signal.clone(), serde_json::Value::from(both.to_vec())))
            };
            let words: serde_json::Map<_, _> = self.doubled().filter_map(words).collect();
            pairs.extend(Some(words).filter(|w| !w.is_empty()).map(|w| format!("\"words\": {}", quoted(w))));
        }
        if known.contains(&"units") {
            let unit = |(_, f): (&String, &Field)| {
                let own = units::of_quantity(names::quantity(&f.signal));
                let other = !matches!(f.said_unit.as_str(), "" | "none")
                    && own.is_none_or(|o| o.symbol != f.said_unit);
                other.then(|| (f.signal.clone(), f.said_unit.as_str().into()))
            };
            let said: serde_json::Map<_, _> = self.doubled().filter_map(unit).collect();
            pairs.extend(Some(said).filter(|u| !u.is_empty()).map(|u| format!("\"units\": {}", quoted(u))));
        }
        for (option, object) in if known.contains(&"types") { self.typed() } else { Vec::new() } {
            if !object.is_empty() {
                pairs.push(format!("{option:?}: {:?}", serde_json::Value::Object(object).to_string()));
            }
        }
        for (key, option) in [
            ("mac", "mac"),
            ("firmware", "version"),
            ("model", "model"),
            ("alias", "alias"),
            ("topic", "topic"),
            ("full_topic", "full_topic"),
            ("form", "form"),
            ("last_seen", "last_seen"),
            ("name", "name"),
            ("names", "names"),
            ("buttons", "buttons"),
            ("choices", "choices"),
            ("time", "time"),
            ("manufacturer", "vendor"),
            ("address", "address"),
            ("kind", "kind"),
            ("power", "power"),
        ] {
            if let (true, Some(text)) = (known.contains(&option), self.about.get(key)) {
                pairs.push(format!("{option:?}: {text:?}"));
            }
        }
        for (option, words) in
            [("pressure", &["mmHg", "inHg"][..]), ("speed", &["m/s", "kn", "mph", "ft/s", "yd/s"])]
        {
            let said = self.fields.values().find_map(|f| words.iter().find(|w| **w == f.said_unit));
            if let (true, Some(unit)) = (known.contains(&option), said) {
                pairs.push(format!("{option:?}: {unit:?}"));
            }
        }
        if known.contains(&"retain") {
            pairs.push(format!("\"retain\": \"{}\"", if self.is_kept { "yes" } else { "no" }));
        }
        if known.contains(&"presence") && self.online.is_none() {
            pairs.push("\"presence\": \"no\"".to_owned());
        }
        let fahrenheit = self.fields.values().any(|f| f.said_unit == "degF");
        if fahrenheit && known.contains(&"temperature") {
            pairs.push("\"temperature\": \"F\"".to_owned());
        }
        if pairs.is_empty() { String::new() } else { format!(", options: {{{}}}", pairs.join(", ")) }
    }
}
