//! The host's side: names behind aliases, sequence numbers, deaths matched to births, requests for a rebirth.

use super::{
    BD_SEQ, NAMESPACE, REBIRTH, order, parts,
    payload::{self, DataType, Metric, Payload},
};
use crate::dialect::{
    Asked, Listener,
    facts::{Fact, Facts, Value},
    names, never, tree,
};
use std::collections::HashMap;
use twinfleet_engine::{
    dialect::{Heard, Unasked, Utterance},
    mirror::decode::DecodeError,
};

/// Nodes that are followed, metrics of each device whose names are kept, devices of all nodes, and their births together,
/// [bytes].
const MAX_NODES: usize = 4096;
const MAX_METRICS: usize = 8192;
const MAX_DEVICES: usize = 16_384;
const MAX_BIRTH_BYTES: usize = 16 << 20;
/// Names of group, node and device are no longer, taken together, [bytes].
const MAX_NAMES_BYTES: usize = 1024;

/// How long a birth that was asked for is waited for at first, and at most: each time twice as long, by the node's clock, [ms].
const FIRST_WAIT_MS: u64 = 10_000;
const LONGEST_WAIT_MS: u64 = 600_000;

/// A rebirth was asked for and has not come.
struct Waiting {
    /// When it is asked for again.
    until_ms: u64,
    wait_ms: u64,
}

/// What is known of a node.
#[derive(Default)]
struct Node {
    /// Whether it is born; before that, and after its death, its data says nothing.
    born: bool,
    bd_seq: Option<u64>,
    next_seq: u8,
    asked: Option<Waiting>,
    /// By device (empty: the node itself).
    devices: HashMap<String, Metrics>,
}

#[derive(Default)]
struct Metrics {
    born: bool,
    /// Length of its birth: what is remembered of it is no longer.
    bytes: usize,
    by_alias: HashMap<u64, String>,
    kinds: HashMap<String, (Option<u32>, String)>,
}

pub(super) struct Host {
    address: Option<String>,
    nodes: HashMap<String, Node>,
}

/// `online` and the time of a host's STATE.
pub(super) fn state_of(payload: &[u8]) -> Option<(bool, Option<u64>)> {
    let json = tree::read(payload).ok()?;
    Some((json.get("online")?.as_bool()?, json.get("timestamp").and_then(serde_json::Value::as_u64)))
}

impl Host {
    pub(super) fn new(address: Option<&str>) -> Self {
        Self { address: address.map(str::to_owned), nodes: HashMap::new() }
    }

    /// Whether there is room for a device, and for this birth in place of its last one.
    fn has_room(&self, node: &str, device: &str, birth_bytes: usize) -> bool {
        let all = || self.nodes.values().flat_map(|n| n.devices.values());
        let known = self.nodes.get(node).and_then(|n| n.devices.get(device));
        if known.is_none() && all().count() >= MAX_DEVICES {
            return false;
        }
        let before = known.map_or(0, |m| m.bytes);
        birth_bytes == 0 || all().map(|m| m.bytes).sum::<usize>() - before + birth_bytes <= MAX_BIRTH_BYTES
    }

    /// Asks for a rebirth, at the time of the message that shows that one is missing.
    fn ask(node: &mut Node, group: &str, id: &str, heard: &Payload, facts: &mut Facts) {
        let now_ms =
            heard.timestamp.or_else(|| heard.metrics.iter().find_map(|m| m.timestamp)).unwrap_or_default();
        // A host that asks with every message drowns the node; one that asks but once may not have been heard.
        if node.asked.as_ref().is_some_and(|w| now_ms < w.until_ms) {
            return;
        }
        let wait_ms = node.asked.as_ref().map_or(FIRST_WAIT_MS, |w| (w.wait_ms * 2).min(LONGEST_WAIT_MS));
        node.asked = Some(Waiting { until_ms: now_ms.saturating_add(wait_ms), wait_ms });
        let topic = format!("{NAMESPACE}/{group}/NCMD/{id}");
        facts.0.push(Fact::Owed(order(topic, Metric::named(REBIRTH).boolean(true), now_ms)));
    }
}

impl Node {
    /// Whether a sequence number is the next one; it is followed either way.
    fn in_order(&mut self, seq: Option<u64>) -> bool {
        let Some(seq) = seq.and_then(|s| u8::try_from(s).ok()) else { return false };
        let expected = seq == self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        expected
    }
}

impl Metrics {
    fn born(&mut self, payload: &Payload, bytes: usize) {
        *self = Self { born: true, bytes, ..Self::default() };
        for m in payload.metrics.iter().take(MAX_METRICS) {
            let Some(name) = &m.name else { continue };
            if let Some(alias) = m.alias {
                self.by_alias.insert(alias, name.clone());
            }
            self.kinds.insert(name.clone(), (m.datatype, m.unit().map_or_else(String::new, names::unit_of)));
        }
    }

    /// Tells the values; false where an alias is not known.
    fn tell(&self, device: &str, payload: &Payload, facts: &mut Facts) -> bool {
        let mut all_known = true;
        for m in &payload.metrics {
            let by_alias = || m.alias.and_then(|a| self.by_alias.get(&a));
            let Some(name) = m.name.as_ref().filter(|n| !n.is_empty()).or_else(by_alias) else {
                all_known = false;
                continue;
            };
            if name == BD_SEQ || name.starts_with("Node Control/") || name.starts_with("Device Control/") {
                continue;
            }
            let (kind, unit) = self.kinds.get(name).cloned().unwrap_or_default();
            if let Some(value) = m.read(m.datatype.or(kind)) {
                let ts = m.timestamp.or(payload.timestamp).map(|t| t as f64);
                facts.value(device, name.clone(), value, unit, ts.filter(|t| *t > 0.0));
            }
        }
        all_known
    }
}

impl Listener for Host {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let levels: Vec<&str> = heard.topic.split('/').collect();
        let (group, kind, id, device) = match levels.as_slice() {
            [NAMESPACE, group, kind, node] => (*group, *kind, *node, ""),
            [NAMESPACE, group, kind, node, device] => (*group, *kind, *node, *device),
            _ => return Ok(()),
        };
        if !matches!(kind, "NBIRTH" | "NDEATH" | "NDATA" | "DBIRTH" | "DDEATH" | "DDATA" | "NCMD" | "DCMD") {
            return Ok(());
        }
        let key = format!("{group}/{id}");
        if self.address.as_ref().is_some_and(|a| *a != key && !a.starts_with(&format!("{key}/"))) {
            return Ok(());
        }
        let payload = payload::read(heard.payload)?;
        let birth_bytes = if matches!(kind, "NBIRTH" | "DBIRTH") { heard.payload.len() } else { 0 };
        let new = self.nodes.get(&key).is_none_or(|n| !n.devices.contains_key(device));
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&key)
            || key.len() + device.len() > MAX_NAMES_BYTES
            || (new || birth_bytes > 0) && !self.has_room(&key, device, birth_bytes)
        {
            return Err(DecodeError::TooMuch);
        }
        let address = if device.is_empty() { key.clone() } else { format!("{key}/{device}") };
        let node = self.nodes.entry(key.clone()).or_default();
        match kind {
            "NBIRTH" => {
                let bd_seq = payload.metrics.iter().find(|m| m.name.as_deref() == Some(BD_SEQ));
                *node = Node { born: true, bd_seq: bd_seq.and_then(number), ..Node::default() };
                node.in_order(payload.seq);
                let metrics = node.devices.entry(String::new()).or_default();
                metrics.born(&payload, heard.payload.len());
                declare(&key, metrics, facts);
                facts.online(&key, true);
                metrics.tell(&key, &payload, facts);
            }
            "NDEATH" => {
                // A death that is not of this birth is of an earlier connection, and says nothing.
                let bd_seq =
                    payload.metrics.iter().find(|m| m.name.as_deref() == Some(BD_SEQ)).and_then(number);
                if node.born && bd_seq == node.bd_seq {
                    node.born = false;
                    facts.online(&key, false);
                    let mut gone: Vec<&String> = node.devices.keys().filter(|d| !d.is_empty()).collect();
                    gone.sort();
                    for d in gone {
                        facts.online(&format!("{key}/{d}"), false);
                    }
                }
            }
            "DBIRTH" => {
                let ordered = node.in_order(payload.seq);
                let metrics = node.devices.entry(device.to_owned()).or_default();
                metrics.born(&payload, heard.payload.len());
                declare(&address, metrics, facts);
                facts.online(&address, true);
                metrics.tell(&address, &payload, facts);
                if !node.born || !ordered {
                    Self::ask(node, group, id, &payload, facts);
                }
            }
            "DDEATH" => {
                node.in_order(payload.seq);
                if let Some(metrics) = node.devices.get_mut(device) {
                    metrics.born = false;
                }
                facts.online(&address, false);
            }
            "NDATA" | "DDATA" => {
                let ordered = node.in_order(payload.seq);
                // Before the birth was heard, names say what they are, and aliases nothing.
                let metrics = node.devices.entry(device.to_owned()).or_default();
                let known = metrics.tell(&address, &payload, facts) && metrics.born;
                if !node.born || !ordered || !known {
                    Self::ask(node, group, id, &payload, facts);
                }
            }
            // NCMD, DCMD.
            _ => {
                let empty = Metrics::default();
                let metrics = node.devices.get(device).unwrap_or(&empty);
                for m in &payload.metrics {
                    let by_alias = || m.alias.and_then(|a| metrics.by_alias.get(&a));
                    if let (Some(field), Some(value)) =
                        (m.name.as_ref().or_else(by_alias), m.read(m.datatype))
                    {
                        facts.0.push(Fact::Asked { device: address.clone(), field: field.clone(), value });
                    }
                }
            }
        }
        Ok(())
    }

    fn command(&self, address: &str, asked: &Asked<'_>) -> Result<Utterance, Unasked> {
        let field = asked.field;
        let (group, id, device) = parts(address).ok_or_else(|| never(field, "no node has this address"))?;
        let born = self.nodes.get(&format!("{group}/{id}")).filter(|n| n.born);
        let Some(metrics) = born.and_then(|n| n.devices.get(device.unwrap_or_default())).filter(|m| m.born)
        else {
            return Err(Unasked::NotYet(format!("`{field}`: the birth that declares it was not heard")));
        };
        let Some((kind, _)) = metrics.kinds.get(field) else {
            return Err(never(field, "the birth declares no such metric"));
        };
        let alias = metrics.by_alias.iter().find(|(_, name)| name.as_str() == field).map(|(alias, _)| *alias);
        // What has an alias is called by it alone (tck-id-payloads-alias-data-cmd-requirement).
        let metric = match alias {
            Some(_) => Metric { alias, ..Metric::default() },
            None => Metric::named(field),
        };
        let metric = match (asked.value, kind.and_then(DataType::of)) {
            (Value::Text(v), None | Some(DataType::String | DataType::Text)) => metric.text(v),
            (Value::Number(v), None) => metric.double(*v),
            (Value::Flag(v), None) => metric.boolean(*v),
            // As its birth declared it.
            (value, Some(kind)) => {
                metric.number(kind, value.number().ok_or_else(|| never(field, "it takes a number"))?)
            }
        };
        let (verb, end) = device.map_or(("NCMD", String::new()), |d| ("DCMD", format!("/{d}")));
        let topic = format!("{NAMESPACE}/{group}/{verb}/{id}{end}");
        Ok(order(topic, metric, u64::try_from(asked.ts_unix_ms).unwrap_or_default()))
    }
}

fn declare(device: &str, metrics: &Metrics, facts: &mut Facts) {
    let mut all: Vec<_> = metrics.kinds.iter().collect();
    all.sort();
    for (name, (kind, unit)) in all {
        if name != BD_SEQ && !name.starts_with("Node Control/") {
            let kind = kind.and_then(DataType::of).map_or("", DataType::name);
            facts.declared_as(device, name, unit, kind);
        }
    }
    if metrics.born {
        facts.about(device, "alias", if metrics.by_alias.is_empty() { "no" } else { "yes" });
    }
}

fn number(m: &Metric) -> Option<u64> {
    m.read(m.datatype)?.number().map(|v| v as u64)
}
