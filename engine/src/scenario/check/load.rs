//! The `load:` section: ids, topics, schedules, stages, faults and thresholds.

use super::{Checker, Place, check_id};
use crate::{
    message::TopicFilter,
    scenario::{
        definition::unknown,
        load::{
            CommandsDef, DeviceLoadDef, LoadDef, LoadFaultKind, Protocol, ScheduleDef, StageDef,
            SubscriberDef, ThresholdDef,
        },
    },
    time::Span,
};
use std::collections::HashMap;

/// Bytes of the stamp that travels in a payload, see the load generator's `stamp`.
const STAMP_BYTES: u32 = 36;
/// Connections that a scenario may have.
const MAX_CONNECTIONS: u64 = 4_000_000;
/// Devices that filters are held against one by one; of more, no filter is called deaf.
const MOST_HEARD: u64 = 10_000;
/// Pairs of a filter and a device that are looked at for a group of subscribers.
const MOST_PAIRS: u64 = 1_000_000;

impl Checker<'_> {
    pub(super) fn load(&mut self) {
        let Some(load) = &self.scenario.load else { return };
        let root = self.place("load");
        if load.devices.is_empty() && load.subscribers.is_empty() && load.commands.is_none() {
            let error = root.error("", "a load has connections");
            self.report.push(error.help(
                "add `devices: [(id: \"meter-{}\", count: 10, schedule: Poisson(\"1s\"))]` and \
                 `subscribers: [(id: \"sink\", filter: \"load/#\")]`",
            ));
        }
        if load.stages.is_empty() {
            let error = root.error("stages", "a load has at least one stage");
            self.report.push(error.help("write `stages: [Hold(for: \"10s\")]`"));
        }
        self.ids("load.devices", "device", load.devices.iter().map(|d| d.id.as_str()));
        self.ids("load.subscribers", "subscriber", load.subscribers.iter().map(|d| d.id.as_str()));
        for (i, device) in load.devices.iter().enumerate() {
            self.load_device(&self.place(format!("load.devices[{i}]")), device);
        }
        for (i, subscriber) in load.subscribers.iter().enumerate() {
            self.load_subscriber(&self.place(format!("load.subscribers[{i}]")), subscriber);
        }
        self.load_names(load);
        self.load_filters(load);
        self.load_stages(load);
        self.load_faults(load);
        self.load_rest(load);
        self.load_rates(load);
    }

    /// Devices whose firmware says when they publish follow no rate: neither a stage's nor a search's.
    fn load_rates(&mut self, load: &LoadDef) {
        let own = load.devices.iter().filter(|d| d.is_firmware()).count();
        if own == 0 {
            return;
        }
        let all = own == load.devices.len();
        if load.search.is_some() {
            let place = self.place("load.search");
            let text =
                "devices with a `Firmware` schedule send as their firmware does, at any rate of a search";
            let help = "change the firmware's `period`, or give devices another schedule";
            let told = if all { place.error("", text) } else { place.warning("", text) };
            self.report.push(told.help(help));
        }
        let changed = load.stages.iter().position(|s| s.rates() != (1.0, 1.0));
        if let Some(i) = changed.filter(|_| load.search.is_none()) {
            let whose = if all { "and there are no others" } else { "only the others follow it" };
            let text = format!(
                "devices with a `Firmware` schedule send as their firmware does, at any rate: {whose}"
            );
            let help = "a stage of `rate: 1` changes nothing; their pace is the firmware's `period`";
            self.report.push(self.place(format!("load.stages[{i}]")).warning("", text).help(help));
        }
    }

    fn load_device(&mut self, place: &Place<'_>, def: &DeviceLoadDef) {
        self.counted(place, &def.id, def.count);
        let brokers = |topic: &str| {
            let text = "topics that begin with `$` are the broker's own";
            topic.starts_with('$').then(|| text.to_owned())
        };
        if let Some(text) = bad_topic(&def.topic).or_else(|| brokers(&def.topic)) {
            let help =
                "devices publish on topics, and only filters have wildcards: such as \"load/{device}\"";
            self.report.push(place.error("topic", text).help(help));
        }
        if let Some(will) = &def.will
            && let Some(text) = bad_topic(will).or_else(|| brokers(will))
        {
            let help = "a will is published on a topic, such as \"gone/{device}\"";
            self.report.push(place.error("will", text).help(help));
        }
        if def.count > 1 && !def.topic.contains("{device}") {
            let text = "devices of a group share this topic, and what came of which cannot be told by it";
            let warning = place.warning("topic", text);
            self.report.push(
                warning.help("order is then judged per device all the same; `{device}` tells them apart"),
            );
        }
        self.quality(place, def.qos);
        let own = matches!(def.schedule, ScheduleDef::Firmware { .. });
        if !own && !(STAMP_BYTES..=1 << 20).contains(&def.payload_bytes) {
            let text = format!("a payload of {} bytes is out of range", def.payload_bytes);
            let error = place.error("payload_bytes", text);
            self.report.push(error.help(format!(
                "write {STAMP_BYTES} to {}: the stamp of {STAMP_BYTES} bytes that tells latency and loss travels in it",
                1 << 20
            )));
        }
        if def.in_flight == 0 {
            let error = place.error("in_flight", "with nothing in flight, nothing is sent");
            self.report.push(error.help("write 1 or more; small clients have 1"));
        }
        self.schedule(&place.inside("schedule"), &def.schedule);
        self.firmware_says(place, def);
    }

    /// What the firmware of devices says of their messages, a load does not say once more.
    fn firmware_says(&mut self, place: &Place<'_>, def: &DeviceLoadDef) {
        let ScheduleDef::Firmware { fleet } = &def.schedule else { return };
        let source = self.source;
        for key in ["topic", "qos", "retain", "payload_bytes"] {
            if source.has(&place.path(key)) {
                let text = format!(
                    "`{key}` does nothing here: what these devices publish, and how, their firmware says"
                );
                let help = "leave it out, and change the firmware's `publish`";
                self.report.push(place.warning(key, text).help(help));
            }
        }
        let group = self.scenario.fleet.iter().find(|g| g.id == *fleet);
        if let Some(group) = group.filter(|g| g.count != def.count && source.has(&place.path("count"))) {
            let text = format!("`count` does nothing here: this group of the fleet has {}", group.count);
            self.report.push(place.warning("count", text).help("leave it out, and change the fleet's"));
        }
    }

    fn schedule(&mut self, place: &Place<'_>, def: &ScheduleDef) {
        let positive = |span: Span| span.0 > 0;
        let bad = match def {
            ScheduleDef::Constant(s) | ScheduleDef::Poisson(s) => {
                (!positive(*s)).then_some("the spacing is above 0")
            }
            ScheduleDef::Bursty { every, messages, gap } => {
                if !positive(*every) || *messages == 0 {
                    Some("bursts come every so often, and have messages")
                } else {
                    let length = i128::from(gap.0) * i128::from(*messages);
                    (length > i128::from(every.0)).then_some("a burst is longer than the way to the next")
                }
            }
            ScheduleDef::Diurnal { mean, day, swing, from } => {
                let fits = positive(*mean) && positive(*day) && (0.0..=1.0).contains(swing);
                (!fits || !(0.0..=1.0).contains(from))
                    .then_some("`mean` and `day` are above 0, `swing` and `from` from 0 to 1")
            }
            ScheduleDef::Firmware { fleet } => {
                let fleets = &self.scenario.fleet;
                if !fleets.iter().any(|g| g.id == *fleet) {
                    let error = unknown("group of the fleet", fleet, fleets.iter().map(|g| g.id.as_str()));
                    self.report.push(error.at(place.source, place.span("fleet"), ""));
                }
                None
            }
        };
        if let Some(text) = bad {
            let help = "such as `Constant(\"1s\")`, `Bursty(every: \"10s\", messages: 20, gap: \"5ms\")`";
            self.report.push(place.error("", text).help(help));
        }
    }

    fn load_subscriber(&mut self, place: &Place<'_>, def: &SubscriberDef) {
        self.counted(place, &def.id, def.count);
        self.quality(place, def.qos);
        if let Err(error) = TopicFilter::new(&def.filter.replace("{}", "0")) {
            self.report.push(place.error("filter", error.to_string()));
        } else if def.filter.starts_with("$share/") {
            let error = place.error("filter", "a shared subscription is named by `share`");
            self.report.push(error.help("write `share: \"group\", filter: \"load/#\"`"));
        }
        if def.share.as_ref().is_some_and(|s| s.is_empty() || s.contains(['/', '+', '#'])) {
            let error = place.error("share", "a shared subscription's name has no `/`, `+` and `#`");
            self.report.push(error.help("such as `share: \"workers\"`"));
        }
    }

    fn counted(&mut self, place: &Place<'_>, id: &str, count: u32) {
        if count == 0 {
            self.report.push(place.error("count", "a group has at least one member").help("write 1 or more"));
        }
        if count > 1 && !id.contains("{}") {
            let error = place.error("id", format!("{count} connections would have the client id `{id}`"));
            self.report.push(error.help(format!("write `{id}-{{}}`: the index takes the place of `{{}}`")));
        }
        let bare = id.replace("{}", "0");
        check_id(place, "id", "device", &bare, &mut self.report);
    }

    fn quality(&mut self, place: &Place<'_>, qos: u8) {
        if qos > 2 {
            let error = place.error("qos", format!("there is no quality of service {qos}"));
            self.report.push(error.help("write 0, 1 or 2"));
        }
    }

    /// A session expires in whole seconds, where the version of MQTT can say so.
    fn expiry(&mut self, load: &LoadDef) {
        for (i, subscriber) in load.subscribers.iter().enumerate() {
            let Some(expiry) = subscriber.session_expiry else { continue };
            let place = self.place(format!("load.subscribers[{i}]"));
            if load.protocol != Protocol::V5 || !subscriber.persistent {
                let error = place.error("session_expiry", "only a persistent session of MQTT 5 expires");
                self.report.push(error.help("write `protocol: V5` in `load`, and `persistent: true` here"));
            }
            if expiry.0 <= 0 || expiry.0 % Span::from_secs(1).0 != 0 {
                let error = place.error("session_expiry", "MQTT counts this in whole seconds, from 1");
                self.report.push(error.help("write `session_expiry: \"2s\"`"));
            }
        }
    }

    /// Two connections of one client id would take each other's place, again and again.
    fn load_names(&mut self, load: &LoadDef) {
        self.expiry(load);
        // Devices with a `Firmware` schedule are those of the fleet.
        let device = |d: &'_ DeviceLoadDef| {
            match &d.schedule {
                ScheduleDef::Firmware { fleet } => self.scenario.fleet.iter().find(|g| g.id == *fleet),
                _ => None,
            }
            .map_or((d.id.clone(), d.count), |g| (g.id.clone(), g.count))
        };
        let devices = load.devices.iter().enumerate().map(|(i, d)| (format!("load.devices[{i}]"), device(d)));
        let subscribers = load.subscribers.iter().enumerate();
        let subscribers =
            subscribers.map(|(i, s)| (format!("load.subscribers[{i}]"), (s.id.clone(), s.count)));
        let groups: Vec<(String, (String, u32))> = devices.chain(subscribers).collect();
        let all: u64 = groups.iter().map(|(_, (_, count))| u64::from(*count)).sum();
        if all > MAX_CONNECTIONS {
            let error = self.place("load").error("", format!("{all} connections are too many"));
            return self.report.push(error.help(format!("a scenario has {MAX_CONNECTIONS} at most")));
        }
        let mut taken: HashMap<String, usize> = HashMap::new();
        for (at, (path, (pattern, count))) in groups.iter().enumerate() {
            let ids = (0..*count).map(|index| pattern.replace("{}", &index.to_string()));
            // Within a group, what is wrong has been told.
            let other = |id: &String| taken.insert(id.clone(), at).filter(|first| *first != at);
            let mut other = other;
            let Some((id, first)) = ids.filter_map(|id| other(&id).map(|first| (id, first))).next() else {
                continue;
            };
            let list = |path: &str| path.split('[').next().map(str::to_owned);
            if groups[first].1.0 == *pattern && list(path) == list(&groups[first].0) {
                // Two groups of one id in one list: that has been told, too.
                continue;
            }
            let place = self.place(path);
            let key = if place.span("id") == place.span("") { "" } else { "id" };
            let error = place.error(key, format!("another group has the client id `{id}` too"));
            let there = self.source.span_of(&format!("{}.id", groups[first].0));
            let help = "one client id is one connection, and the broker sends away whoever had it before: name one otherwise";
            self.report.push(error.at(self.source, there, "here").help(help));
        }
    }

    /// A filter that takes nothing of what the devices publish is most often a slip of the pen, and nothing is missed there.
    fn load_filters(&mut self, load: &LoadDef) {
        let count: u64 = load.devices.iter().map(|d| u64::from(d.count)).sum();
        // What firmware publishes, and an operator, is not known here.
        let known = load.commands.is_none() && !load.devices.iter().any(DeviceLoadDef::is_firmware);
        if !known || !(1..=MOST_HEARD).contains(&count) {
            return;
        }
        let of_device = |d: &DeviceLoadDef, index: u32| {
            let id = d.id.replace("{}", &index.to_string());
            let topics = [Some(&d.topic), d.will.as_ref()].into_iter().flatten();
            topics.map(|topic| topic.replace("{device}", &id)).collect::<Vec<_>>()
        };
        let topics: Vec<String> =
            load.devices.iter().flat_map(|d| (0..d.count).flat_map(move |i| of_device(d, i))).collect();
        for (i, subscriber) in load.subscribers.iter().enumerate() {
            let filter = &subscriber.filter;
            let members = if filter.contains("{}") { subscriber.count } else { 1 };
            // What a broker publishes of itself is listened to on purpose.
            if filter.starts_with('$') || u64::from(members).saturating_mul(count) > MOST_PAIRS {
                continue;
            }
            let of_member = |index: u32| TopicFilter::new(&filter.replace("{}", &index.to_string()));
            let hears = |index: u32| match of_member(index) {
                Ok(filter) => topics.iter().any(|topic| filter.matches(topic)),
                // That has been told.
                Err(_) => true,
            };
            if (0..members).any(hears) {
                continue;
            }
            let help = if filter.contains("{device}") {
                "`{device}` stands for an id in topics only; in a filter, `+` takes that of any device"
                    .to_owned()
            } else {
                format!("devices publish on topics such as {:?}", topics[0])
            };
            let place = self.place(format!("load.subscribers[{i}]"));
            let text = "no device publishes on a topic that this filter takes";
            self.report.push(place.warning("filter", text).help(help));
        }
    }

    fn load_stages(&mut self, load: &LoadDef) {
        for (i, stage) in load.stages.iter().enumerate() {
            let place = self.place(format!("load.stages[{i}]"));
            if stage.length().0 <= 0 {
                self.report
                    .push(place.error("for", "a stage lasts longer than 0 s").help("write `for: \"10s\"`"));
            }
            if stage.rates() == (0.0, 0.0) {
                let key = if matches!(stage, StageDef::Ramp { .. }) { "to" } else { "rate" };
                let error = place.error(key, "at a rate of 0, nothing is sent in this stage");
                self.report.push(error.help("write a rate above 0, or take the stage away"));
            }
            let (from, to) = stage.rates();
            let fits = |r: f64| r.is_finite() && (0.0..=1e9).contains(&r);
            if !fits(from) || !fits(to) {
                let error = place.error("", "a rate multiplies the devices' own and is 0 or more");
                self.report.push(error.help("1 leaves it, 2 doubles it"));
            }
        }
    }

    fn load_faults(&mut self, load: &LoadDef) {
        for (i, fault) in load.faults.iter().enumerate() {
            let place = self.place(format!("load.faults[{i}]"));
            if fault.until.is_some_and(|until| until <= fault.at) {
                let error = place.error("until", "the fault ends before it begins");
                self.report
                    .push(error.help("exchange the two; both count from the start of the first stage"));
            }
            // A search has one stage: its trial.
            let stages = load.stages.iter().map(|s| s.length().0).fold(0, i64::saturating_add);
            let end = load.search.as_ref().map_or(stages, |s| s.length.0);
            if fault.at.0 < 0 || fault.at.0 >= end {
                let text = format!("the load lasts {}, and this fault would begin outside of it", Span(end));
                let help = "it counts from the start of the first stage";
                self.report.push(place.error("at", text).help(help));
            }
            if let LoadFaultKind::HalfOpen { connections } | LoadFaultKind::Malformed { connections } =
                fault.action
                && !(1..=MAX_CONNECTIONS).contains(&u64::from(connections))
            {
                let error =
                    place.error("do.connections", format!("{connections} strangers are none, or too many"));
                self.report.push(error.help(format!("write 1 to {MAX_CONNECTIONS}")));
            }
            if let LoadFaultKind::SlowReader { bytes_per_s: 0, .. } = fault.action {
                let error = place.error("do.bytes_per_s", "who reads nothing is no slow reader");
                self.report.push(error.help("write 1 or more; `WithholdAcks` and `Away` are other faults"));
            }
            let share = match fault.action {
                LoadFaultKind::Storm { share, .. }
                | LoadFaultKind::Stall { share }
                | LoadFaultKind::SlowReader { share, .. }
                | LoadFaultKind::WithholdAcks { share }
                | LoadFaultKind::Away { share }
                | LoadFaultKind::Takeover { share } => share,
                LoadFaultKind::HalfOpen { .. }
                | LoadFaultKind::Malformed { .. }
                | LoadFaultKind::Restart { .. } => 1.0,
            };
            place.within("do.share", share, 0.0, 1.0, &mut self.report);
            if fault.until.is_some() && !fault.action.lasts() {
                let text = format!(
                    "`until` does nothing here: this fault ({}) happens at once",
                    fault.action.word()
                );
                let help = "leave it out; `Stall`, `SlowReader`, `WithholdAcks`, `Away` and `HalfOpen` last";
                self.report.push(place.warning("until", text).help(help));
            }
            if let LoadFaultKind::Restart { down } = fault.action
                && !(0..=Span::from_secs(3_600).0).contains(&down.0)
            {
                let error = place.error("do.down", "a broker is down for 0 s to an hour");
                self.report.push(error.help("leave it out for \"1s\""));
            }
            if matches!(fault.action, LoadFaultKind::WithholdAcks { .. })
                && load.subscribers.iter().all(|s| s.qos == 0)
            {
                let text = "subscribers of QoS 0 acknowledge nothing: there is nothing to withhold";
                self.report.push(place.warning("do", text).help("write `qos: 1` for a subscriber, or 2"));
            }
            if matches!(fault.action, LoadFaultKind::Away { .. }) && fault.until.is_none() {
                let error = place.error("do", "who is away has to come back");
                self.report
                    .push(error.help("add `until: \"5s\"`, counted from the start of the first stage"));
            }
        }
    }

    fn load_rest(&mut self, load: &LoadDef) {
        for (i, threshold) in load.thresholds.iter().enumerate() {
            let place = self.place(format!("load.thresholds[{i}]"));
            match threshold {
                ThresholdDef::Below { percentile, bound, stage, qos, .. } => {
                    if *percentile > 100.0 {
                        place.within("percentile", *percentile, 0.0, 100.0, &mut self.report);
                    }
                    place.above("percentile", *percentile, 0.0, &mut self.report);
                    if bound.0 <= 0 {
                        let error = place.error("bound", "no time is below this");
                        self.report.push(error.help("write `bound: \"50ms\"`"));
                    }
                    if load.search.is_some() && stage.is_some_and(|s| s > 0) {
                        let error = place.error("stage", "a trial of a search is a single stage, number 0");
                        self.report.push(error.help("leave `stage` out, or the search"));
                    }
                    self.quality(&place, qos.unwrap_or(0));
                    if stage.is_some_and(|s| s as usize >= load.stages.len()) {
                        let error = place.error("stage", "there is no stage of this number");
                        let last = load.stages.len().saturating_sub(1);
                        self.report.push(error.help(format!("stages count from 0 to {last}")));
                    }
                }
                ThresholdDef::Kept { share } => {
                    place.within("share", *share, 0.0, 1.0, &mut self.report);
                    if *share == 0.0 {
                        let error = place.error("share", "a share of 0 is always kept");
                        self.report.push(error.help("write a share above 0, or take the threshold away"));
                    }
                }
                ThresholdDef::AtMost { .. } | ThresholdDef::AtLeast { .. } => {}
            }
        }
        if let Some(search) = &load.search {
            let place = self.place("load.search");
            place.above("from", search.from, 0.0, &mut self.report);
            place.above("to", search.to, search.from, &mut self.report);
            place.within("within", search.within, 0.01, 1.0, &mut self.report);
            if search.length.0 <= 0 || search.confirm.0 <= 0 {
                let error = place.error("for", "a trial and its confirmation last longer than 0 s");
                self.report.push(error.help("write `for: \"5s\", confirm: \"20s\"`"));
            }
            if load.thresholds.is_empty() {
                let error = place.error("", "a search needs `thresholds`, which say what is good enough");
                self.report.push(
                    error.help("add `thresholds: [Below(of: Latency, percentile: 99, bound: \"50ms\")]`"),
                );
            }
        }
        if let Some(commands) = &load.commands {
            self.load_commands(commands);
        }
        let limits = self.place("load.limits");
        if load.limits.lag.0 <= 0 {
            let error = limits.error("lag", "a generator is always a little late");
            self.report.push(error.help("leave it out for \"20ms\""));
        }
        limits.above("cpu", load.limits.cpu, 0.0, &mut self.report);
        limits.above("waited_for_cpu", load.limits.waited_for_cpu, 0.0, &mut self.report);
        let place = self.place("load");
        for (key, span) in [("drain", load.drain), ("batch", load.batch)] {
            if span.0 < 0 {
                self.report.push(place.error(key, "this is no time").help("write 0 or more"));
            }
        }
        if load.batch > load.drain && load.drain.0 >= 0 {
            let text = format!(
                "what is gathered last would not leave before the load is over, {} after its stages",
                load.drain
            );
            self.report.push(place.error("batch", text).help("write less than `drain`, or a longer `drain`"));
        }
        if load.connects_per_s == 0 {
            let error = place.error("connects_per_s", "without connections there is no load");
            self.report.push(error.help("leave it out for 2,000"));
        }
        let whole = load.keep_alive.0 % Span::from_secs(1).0 == 0;
        if !whole || !(Span::from_secs(1)..=Span::from_secs(65_535)).contains(&load.keep_alive) {
            let error = place.error("keep_alive", "MQTT counts this in whole seconds, from 1 to 65,535");
            self.report.push(error.help("leave it out for \"1min\""));
        }
    }

    /// A command that no report could follow would be held against the broker.
    fn load_commands(&mut self, commands: &CommandsDef) {
        let place = self.place("load.commands");
        let fleets = &self.scenario.fleet;
        if !fleets.iter().any(|g| g.id == commands.fleet) {
            let error = unknown("group of the fleet", &commands.fleet, fleets.iter().map(|g| g.id.as_str()));
            self.report.push(error.at(place.source, place.span("fleet"), ""));
        }
        let load = self.scenario.load.as_ref();
        let is_of = |d: &DeviceLoadDef| matches!(&d.schedule, ScheduleDef::Firmware { fleet } if *fleet == commands.fleet);
        if !load.is_some_and(|load| load.devices.iter().any(is_of)) {
            let text =
                "no devices of this load are of that group: whoever else is on the broker has to follow";
            let help =
                format!("add `(id: {0:?}, schedule: Firmware(fleet: {0:?}))` to `devices`", commands.fleet);
            self.report.push(place.warning("fleet", text).help(help));
        }
        if commands.payloads.is_empty() || commands.payloads.len() != commands.becomes.len() {
            let error = place.error("becomes", "each payload has its value in `becomes`");
            self.report.push(error.help("`payloads: [\"on\", \"off\"], becomes: [1, 0]`"));
        }
        if commands.every.0 <= 0 {
            self.report
                .push(place.error("every", "commands are more than 0 s apart").help("write `every: \"1s\"`"));
        }
        for (key, topic) in [("topic", &commands.topic), ("reported", &commands.reported)] {
            if let Some(text) = bad_topic(topic) {
                let help = "name each device's own, such as \"lamps/{device}/set\"";
                self.report.push(place.error(key, text).help(help));
            }
        }
        let count = fleets.iter().find(|g| g.id == commands.fleet).map_or(1, |g| g.count);
        if count > 1 && !commands.reported.contains("{device}") {
            let text =
                format!("{count} devices would report on one topic, and who has followed could not be told");
            let error = place.error("reported", text);
            self.report.push(error.help("`{device}` in it tells them apart"));
        }
        if count > 1 && !commands.topic.contains("{device}") {
            let warning = place.warning("topic", format!("all {count} devices hear each command"));
            self.report.push(warning.help("`{device}` in it tells them apart"));
        }
        self.command_each(&place, commands, count);
        if !commands.field.is_empty() && !commands.field.starts_with('/') {
            let error = place.error("field", format!("`{}` is no JSON Pointer", commands.field));
            self.report.push(error.help(format!("write `field: \"/{}\"`", commands.field)));
        }
        place.at_least("within", commands.within, 0.0, &mut self.report);
    }

    /// Commands are spread evenly over `every`, and the last is sent as long before the end: a short load comes to a few devices.
    fn command_each(&mut self, place: &Place<'_>, commands: &CommandsDef, count: u32) {
        let stages = self.scenario.load.iter().flat_map(|load| &load.stages);
        let length_ns = stages.map(|s| s.length().0).fold(0, i64::saturating_add);
        if commands.every.0 <= 0 || length_ns <= 0 {
            return;
        }
        let (spacing_ns, last_ns) = commands.pace_ns(count as usize, length_ns);
        let sent = (last_ns - spacing_ns / 2).max(0).saturating_add(spacing_ns - 1) / spacing_ns;
        if sent < i64::from(count) {
            let text = format!("{sent} of {count} devices get a command in a load of {}", Span(length_ns));
            let help = "each device gets one within `every`: write less, or longer `stages`";
            self.report.push(place.warning("every", text).help(help));
        }
    }
}

/// What is wrong with a topic to publish on, if anything is; `{device}` in it stands for an id.
fn bad_topic(topic: &str) -> Option<String> {
    match TopicFilter::new(&topic.replace("{device}", "x")) {
        Err(error) => Some(error.to_string()),
        Ok(_) if topic.contains(['+', '#']) => Some(format!("`{topic}` holds a wildcard")),
        Ok(_) => None,
    }
}
