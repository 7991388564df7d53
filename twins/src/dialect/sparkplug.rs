//! Sparkplug B 3.0: births with names and aliases, data by alias, sequence numbers, deaths matched by `bdSeq`, rebirths.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::{dialect::{Heard, Utterance, VoiceSpec}, firmware::payload::Report};
//! let sparkplug = find("sparkplug").unwrap();
//! let signals = [("oven.temperature".to_owned(), "degC".to_owned())];
//! let none = Default::default();
//! let spec = VoiceSpec { dialect: "sparkplug", topic: "plant/cell-1/oven", device: "oven", signals: &signals, map: &none, options: &none };
//! let mut voice = sparkplug.voice(&spec).unwrap();
//! let report = Report { device: "oven", zone: "", seq: 0, ts_unix_ms: 1_795_867_200_000, battery_v: None, rssi_dbm: None, values: &[181.5] };
//! let (mut said, mut ear, mut facts) = (Vec::new(), sparkplug.listener(None), Facts::default());
//! voice.will(report.ts_unix_ms);
//! voice.connect(&report, &mut said);
//! voice.report(&report, &mut said);
//! for Utterance { topic, payload, retain, .. } in &said {
//!     ear.hear(&Heard { topic, payload, retain: *retain }, &mut facts).unwrap();
//! }
//! assert_eq!(facts.values_of("plant/cell-1/oven")["oven/temperature"], 181.5);
//! ```

mod host;
pub mod payload;

use super::{Dialect, Listener, Spoken, facts::Value, names, option, say, spoken};
use payload::{DataType, Metric, Payload, Property, PropertySet, PropertyValue};
use prost::Message as _;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
};

/// The dialect.
pub struct Sparkplug;

const OPTIONS: [(&str, &str); 2] = [
    ("alias", "\"yes\" (default): data names its metrics by alias; \"no\": by name"),
    ("primary", "the host without which the node says nothing but its birth, as its STATE tells"),
];

/// The namespace of Sparkplug B.
const NAMESPACE: &str = "spBv1.0";
/// Name of the metric by which a death is matched to its birth.
const BD_SEQ: &str = "bdSeq";
/// Name of the metric that a host writes to be told all names again.
const REBIRTH: &str = "Node Control/Rebirth";

/// Group, node, and the device behind it, if any.
fn parts(address: &str) -> Option<(&str, &str, Option<&str>)> {
    let words: Vec<&str> = address.split('/').collect();
    match words.as_slice() {
        [g, n] if !g.is_empty() && !n.is_empty() => Some((g, n, None)),
        [g, n, d] if !g.is_empty() && !n.is_empty() && !d.is_empty() => Some((g, n, Some(d))),
        _ => None,
    }
}

impl Dialect for Sparkplug {
    fn name(&self) -> &'static str {
        "sparkplug"
    }
    fn about(&self) -> &'static str {
        "Sparkplug B: births, deaths, aliases, sequence numbers, rebirth, host STATE"
    }
    fn source(&self) -> &'static str {
        "Eclipse Sparkplug Specification 3.0.0 (ISO/IEC 20237), chapters 4 to 6"
    }
    fn address(&self) -> &'static str {
        "group/node or group/node/device, such as \"plant/cell-1/oven\""
    }
    fn problem(&self, address: &str) -> Option<String> {
        parts(address).is_none().then(|| format!("`{address}` names no group and node"))
    }
    fn filters(&self, address: &str) -> Vec<String> {
        let Some((group, node, _)) = parts(address) else { return Vec::new() };
        // Sequence numbers count over the node's messages and those of all its devices: all have to be heard.
        vec![format!("{NAMESPACE}/{group}/+/{node}"), format!("{NAMESPACE}/{group}/+/{node}/+")]
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["spBv1.0/#"]
    }
    fn owns(&self, topic: &str) -> bool {
        topic.starts_with("spBv1.0/")
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(host::Host::new(address))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let alias = option(spec.options, "alias", &["yes", "no"])? == "yes";
        let (group, node, device) = parts(spec.topic).unwrap_or_default();
        Ok(Box::new(Speaks {
            group: group.to_owned(),
            node: node.to_owned(),
            device: device.map(str::to_owned),
            signals: spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]),
            alias,
            primary: spec.options.get("primary").cloned(),
            host_online: false,
            seq: 0,
            next_bd_seq: 0,
            bd_seq: 0,
        }))
    }
    fn command(&self, address: &str, field: &str, value: &Value) -> Option<Utterance> {
        let (group, node, device) = parts(address)?;
        let (kind, end) = device.map_or(("NCMD", String::new()), |d| ("DCMD", format!("/{d}")));
        let metric = match value {
            Value::Number(v) => Metric::named(field).double(*v),
            Value::Flag(v) => Metric::named(field).boolean(*v),
            Value::Text(v) => Metric::named(field).text(v),
        };
        let payload = Payload { metrics: vec![metric], ..Payload::default() };
        Some(say(format!("{NAMESPACE}/{group}/{kind}/{node}{end}"), payload.encode_to_vec(), 0, false))
    }
}

struct Speaks {
    group: String,
    node: String,
    device: Option<String>,
    signals: Vec<Spoken>,
    alias: bool,
    primary: Option<String>,
    host_online: bool,
    seq: u8,
    next_bd_seq: u8,
    bd_seq: u8,
}

impl Speaks {
    fn topic(&self, kind: &str) -> String {
        let device = self.device.as_ref().filter(|_| kind.starts_with('D'));
        let end = device.map(|d| format!("/{d}")).unwrap_or_default();
        format!("{NAMESPACE}/{}/{kind}/{}{end}", self.group, self.node)
    }

    /// The next of the node's messages; a node's birth begins to count at 0.
    fn message(&mut self, kind: &str, ts_unix_ms: i64, metrics: Vec<Metric>) -> Utterance {
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
        say(self.topic(kind), payload.encode_to_vec(), 0, false)
    }

    /// The metrics of all signals: with names, units and aliases for a birth, with aliases alone for data.
    fn metrics(&self, report: &Report<'_>, birth: bool) -> Vec<Metric> {
        let mut all = Vec::new();
        let ts = u64::try_from(report.ts_unix_ms).ok();
        for (i, s) in self.signals.iter().enumerate() {
            let value = report.values.get(i).copied().unwrap_or(f64::NAN);
            if !birth && !value.is_finite() {
                continue;
            }
            let mut m =
                Metric { timestamp: ts, datatype: Some(DataType::Double as u32), ..Metric::default() };
            if birth || !self.alias {
                m.name = Some(s.path.join("/"));
            }
            if self.alias {
                m.alias = Some(i as u64 + 1);
            }
            m = if value.is_finite() { m.double(value) } else { Metric { is_null: Some(true), ..m } };
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
        all
    }

    fn births(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut node =
            vec![Metric::named(BD_SEQ).long(u64::from(self.bd_seq)), Metric::named(REBIRTH).boolean(false)];
        let ts = report.ts_unix_ms;
        for m in &mut node {
            m.timestamp = u64::try_from(ts).ok();
        }
        let own = self.metrics(report, true);
        if self.device.is_none() {
            node.extend(own);
            let birth = self.message("NBIRTH", ts, node);
            out.push(birth);
        } else {
            let birth = self.message("NBIRTH", ts, node);
            out.push(birth);
            let birth = self.message("DBIRTH", ts, own);
            out.push(birth);
        }
    }

    fn may_speak(&self) -> bool {
        self.primary.is_none() || self.host_online
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let mut all = vec![self.topic("NCMD"), format!("{NAMESPACE}/{}/DCMD/{}/#", self.group, self.node)];
        all.extend(self.primary.as_ref().map(|host| format!("{NAMESPACE}/STATE/{host}")));
        all
    }

    fn will(&mut self, ts_unix_ms: i64) -> Option<Utterance> {
        self.bd_seq = self.next_bd_seq;
        self.next_bd_seq = self.next_bd_seq.wrapping_add(1);
        // A death has no sequence number (tck-id-payloads-ndeath-seq).
        let timestamp = u64::try_from(ts_unix_ms).ok();
        let bd_seq = Metric { timestamp, ..Metric::named(BD_SEQ).long(u64::from(self.bd_seq)) };
        let payload = Payload { timestamp, metrics: vec![bd_seq], ..Payload::default() };
        Some(say(self.topic("NDEATH"), payload.encode_to_vec(), 1, false))
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
        let metrics = self.metrics(report, false);
        let kind = if self.device.is_some() { "DDATA" } else { "NDATA" };
        let data = self.message(kind, report.ts_unix_ms, metrics);
        out.push(data);
    }

    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if let Some(host) = &self.primary
            && heard.topic == format!("{NAMESPACE}/STATE/{host}")
        {
            let online = host::state_of(heard.payload).is_some_and(|(online, _)| online);
            if online && !std::mem::replace(&mut self.host_online, true) {
                self.births(report, out);
            }
            self.host_online = online;
            return;
        }
        let Ok(payload) = payload::read(heard.payload) else { return };
        let asks = |m: &Metric| {
            m.name.as_deref() == Some(REBIRTH)
                && m.value.as_ref().and_then(payload::MetricValue::flag) == Some(true)
        };
        if heard.topic == self.topic("NCMD") && payload.metrics.iter().any(asks) && self.may_speak() {
            self.births(report, out);
        }
    }
}
