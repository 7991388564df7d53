//! The node's side: births with names, types and units, data by alias, one sequence over the node and all devices behind it.

use super::{
    BD_SEQ, NAMESPACE, REBIRTH, host, parts,
    payload::{self, DataType, Metric, Payload, Property, PropertySet, PropertyValue},
};
use crate::dialect::{Spoken, names, object, option, say, spoken, wrong};
use prost::Message as _;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
};

/// A signal as it is spoken: by which metric, and as what.
struct Said {
    spoken: Spoken,
    kind: DataType,
}

/// The node itself, or a device behind it: its signals by their place, and what its birth says besides.
struct Group {
    device: Option<String>,
    signals: Vec<usize>,
    fixed: Vec<Metric>,
}

pub(super) struct Speaks {
    group: String,
    node: String,
    signals: Vec<Said>,
    /// The node first, then the devices in the order of their names.
    groups: Vec<Group>,
    alias: bool,
    primary: Option<String>,
    host_online: bool,
    /// When the host last said so, as it says, Unix [ms].
    host_at: Option<u64>,
    seq: u8,
    next_bd_seq: u8,
    bd_seq: u8,
}

fn kind_of(key: &str, name: Option<&str>) -> Result<DataType, DialectError> {
    name.and_then(DataType::named).ok_or_else(|| {
        let known: Vec<&str> = DataType::ALL.iter().map(|k| k.name()).collect();
        let what = format!("`{}` is no type of a metric", name.unwrap_or_default());
        wrong("options", key, what, Some(format!("write one of {}", known.join(", "))))
    })
}

/// What a birth says besides its signals: names with type and value.
fn fixed(map: &Json) -> Result<Vec<Metric>, DialectError> {
    let one = |(name, said): (&String, &Json)| {
        let kind = kind_of("fixed", said["type"].as_str())?;
        let metric = Metric::named(name);
        Ok(match (&said["value"], kind) {
            (Json::String(text), DataType::String | DataType::Text) => {
                Metric { datatype: Some(kind as u32), ..metric.text(text) }
            }
            (value, _) => match value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b)))) {
                Some(number) => metric.number(kind, number),
                None => Metric { datatype: Some(kind as u32), is_null: Some(true), ..metric },
            },
        })
    };
    map.as_object().into_iter().flatten().map(one).collect()
}

impl Speaks {
    pub(super) fn new(spec: &VoiceSpec<'_>) -> Result<Self, DialectError> {
        let alias = option(spec.options, "alias", &["yes", "no"])? == "yes";
        let (types, devices) = (object(spec.options, "types")?, object(spec.options, "devices")?);
        let besides = object(spec.options, "fixed")?;
        let (group, node, device) = parts(spec.topic).unwrap_or_default();
        if device.is_some() && !devices.is_empty() {
            let help = Some("write a node's address, group/node".to_owned());
            return Err(wrong("options", "devices", "the topic names a device already".to_owned(), help));
        }
        let mut signals = Vec::new();
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::from([("", Vec::new())]);
        let all = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
        for (i, spoken) in all.into_iter().enumerate() {
            let kind = match types.get(&spoken.signal) {
                Some(name) => kind_of("types", name.as_str())?,
                None => DataType::Double,
            };
            let behind = devices.get(&spoken.signal).and_then(Json::as_str).or(device).unwrap_or_default();
            groups.entry(behind).or_default().push(i);
            signals.push(Said { spoken, kind });
        }
        for device in besides.keys() {
            groups.entry(device.as_str()).or_default();
        }
        let group_of = |(device, signals): (&str, Vec<usize>)| {
            let named = (!device.is_empty()).then(|| device.to_owned());
            if named.as_ref().is_some_and(|d| d.contains(['/', '+', '#'])) {
                let what = format!("`{device}` is no name of a device");
                return Err(wrong("options", "devices", what, None));
            }
            Ok(Group { device: named, signals, fixed: fixed(besides.get(device).unwrap_or(&Json::Null))? })
        };
        Ok(Self {
            group: group.to_owned(),
            node: node.to_owned(),
            signals,
            groups: groups.into_iter().map(group_of).collect::<Result<_, _>>()?,
            alias,
            primary: spec.options.get("primary").cloned(),
            host_online: false,
            host_at: None,
            seq: 0,
            next_bd_seq: 0,
            bd_seq: 0,
        })
    }

    fn topic(&self, kind: &str, device: Option<&str>) -> String {
        let end = device.map(|d| format!("/{d}")).unwrap_or_default();
        format!("{NAMESPACE}/{}/{kind}/{}{end}", self.group, self.node)
    }

    /// The next of the node's messages; a node's birth begins to count at 0.
    fn message(&mut self, kind: &str, of: usize, ts_unix_ms: i64, metrics: Vec<Metric>) -> Utterance {
        if kind == "NBIRTH" {
            self.seq = 0;
        }
        let payload = Payload {
            timestamp: u64::try_from(ts_unix_ms).ok(),
            metrics,
            seq: Some(u64::from(self.seq)),
            ..Payload::default()
        };
        self.seq = self.seq.wrapping_add(1);
        let device = self.groups.get(of).and_then(|g| g.device.as_deref());
        say(self.topic(kind, device), payload.encode_to_vec(), 0, false)
    }

    /// The metrics of a group: with names, units and aliases for a birth, with aliases alone for data.
    fn metrics(&self, group: &Group, report: &Report<'_>, birth: bool) -> Vec<Metric> {
        let mut all = Vec::new();
        let ts = u64::try_from(report.ts_unix_ms).ok();
        for &i in &group.signals {
            let Said { spoken: s, kind } = &self.signals[i];
            let value = report.values.get(i).copied().unwrap_or(f64::NAN);
            if !birth && !value.is_finite() {
                continue;
            }
            let mut m = Metric { timestamp: ts, datatype: Some(*kind as u32), ..Metric::default() };
            if birth || !self.alias {
                m.name = Some(s.path.join("/"));
            }
            if self.alias {
                // Of one node, whatever device they are of.
                m.alias = Some(i as u64 + 1);
            }
            m = if value.is_finite() { m.number(*kind, value) } else { Metric { is_null: Some(true), ..m } };
            if birth && !s.unit.is_empty() {
                let unit = names::spelled(&s.unit);
                let text = Property {
                    kind: Some(DataType::String as u32),
                    is_null: None,
                    value: Some(PropertyValue::String(unit.to_owned())),
                };
                m.properties = Some(PropertySet { keys: vec!["engUnit".to_owned()], values: vec![text] });
            }
            all.push(m);
        }
        let fixed = group.fixed.iter().filter(|_| birth);
        all.extend(fixed.map(|m| Metric { timestamp: ts, ..m.clone() }));
        all
    }

    fn births(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let ts = report.ts_unix_ms;
        for of in 0..self.groups.len() {
            let metrics = self.metrics(&self.groups[of], report, true);
            if of > 0 {
                let birth = self.message("DBIRTH", of, ts, metrics);
                out.push(birth);
                continue;
            }
            let own =
                [Metric::named(BD_SEQ).long(u64::from(self.bd_seq)), Metric::named(REBIRTH).boolean(false)];
            let own = own.map(|m| Metric { timestamp: u64::try_from(ts).ok(), ..m });
            let all = own.into_iter().chain(metrics).collect();
            let birth = self.message("NBIRTH", of, ts, all);
            out.push(birth);
        }
    }

    /// That the node is gone; a death has no sequence number (tck-id-payloads-ndeath-seq).
    fn death(&self, ts_unix_ms: i64) -> Utterance {
        let timestamp = u64::try_from(ts_unix_ms).ok();
        let bd_seq = Metric { timestamp, ..Metric::named(BD_SEQ).long(u64::from(self.bd_seq)) };
        let payload = Payload { timestamp, metrics: vec![bd_seq], ..Payload::default() };
        say(self.topic("NDEATH", None), payload.encode_to_vec(), 1, false)
    }

    fn may_speak(&self) -> bool {
        self.primary.is_none() || self.host_online
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let mut all =
            vec![self.topic("NCMD", None), format!("{NAMESPACE}/{}/DCMD/{}/#", self.group, self.node)];
        all.extend(self.primary.as_ref().map(|host| format!("{NAMESPACE}/STATE/{host}")));
        all
    }

    fn will(&mut self, ts_unix_ms: i64) -> Option<Utterance> {
        self.bd_seq = self.next_bd_seq;
        self.next_bd_seq = self.next_bd_seq.wrapping_add(1);
        Some(self.death(ts_unix_ms))
    }

    fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if self.may_speak() {
            self.births(report, out);
        }
    }

    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if !self.may_speak() {
            return;
        }
        for of in 0..self.groups.len() {
            let metrics = self.metrics(&self.groups[of], report, false);
            // Of several devices, those have something to say that were read.
            if !metrics.is_empty() {
                let kind = if of > 0 { "DDATA" } else { "NDATA" };
                let data = self.message(kind, of, report.ts_unix_ms, metrics);
                out.push(data);
            }
        }
    }

    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        set.extend(self.asked(heard).1);
    }

    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if let Some(host) = &self.primary
            && heard.topic == format!("{NAMESPACE}/STATE/{host}")
        {
            let Some((online, at)) = host::state_of(heard.payload) else { return };
            // One that is older is of a connection of the host's that has ended since.
            if at < self.host_at {
                return;
            }
            self.host_at = at;
            match (online, std::mem::replace(&mut self.host_online, online)) {
                (true, false) => self.births(report, out),
                (false, true) => out.push(self.death(report.ts_unix_ms)),
                _ => {}
            }
            return;
        }
        let Ok(payload) = payload::read(heard.payload) else { return };
        let asks = |m: &Metric| {
            m.name.as_deref() == Some(REBIRTH)
                && m.value.as_ref().and_then(payload::MetricValue::flag) == Some(true)
        };
        if heard.topic == self.topic("NCMD", None) && payload.metrics.iter().any(asks) && self.may_speak() {
            self.births(report, out);
        }
        // What was set is told at once, by whom it is of.
        let (of, set) = self.asked(heard);
        if !set.is_empty() && self.may_speak() {
            let mut values = vec![f64::NAN; self.signals.len()];
            set.iter().for_each(|(i, _)| values[*i] = report.values.get(*i).copied().unwrap_or(f64::NAN));
            let metrics = self.metrics(&self.groups[of], &Report { values: &values, ..*report }, false);
            let kind = if of > 0 { "DDATA" } else { "NDATA" };
            let data = self.message(kind, of, report.ts_unix_ms, metrics);
            out.push(data);
        }
    }
}

impl Speaks {
    /// What a command sets: the group that it is for, and of its signals those that it names, with values in their units.
    fn asked(&self, heard: &Heard<'_>) -> (usize, Vec<(usize, f64)>) {
        let of = |g: &Group| match &g.device {
            None => heard.topic == self.topic("NCMD", None),
            Some(device) => heard.topic == self.topic("DCMD", Some(device)),
        };
        let (Some(at), Ok(payload)) = (self.groups.iter().position(of), payload::read(heard.payload)) else {
            return (0, Vec::new());
        };
        let set = |m: &Metric| {
            let by_name = |i: &usize| m.name.as_ref().is_some_and(|n| *n == self.signals[*i].spoken.field());
            let by_alias = |i: &usize| self.alias && m.alias == Some(*i as u64 + 1);
            let i = *self.groups[at].signals.iter().find(|i| by_name(i) || by_alias(i))?;
            Some((i, m.read(m.datatype.or(Some(self.signals[i].kind as u32)))?.number()?))
        };
        (at, payload.metrics.iter().filter_map(set).collect())
    }
}
