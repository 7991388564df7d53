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
mod voice;

use super::{Dialect, Listener, say};
use payload::{Metric, Payload};
use prost::Message as _;
use twinfleet_engine::dialect::{DialectError, Utterance, Voice, VoiceSpec};

/// The dialect.
pub struct Sparkplug;

const OPTIONS: [(&str, &str); 5] = [
    ("alias", "\"yes\" (default): data names its metrics by alias; \"no\": by name"),
    ("primary", "the host without which the node says nothing, as its STATE tells"),
    (
        "types",
        "a JSON object, signal to type as a birth declares it, such as \"Int16\" or \"Float\"; \"Double\" by default",
    ),
    (
        "devices",
        "a JSON object, signal to the device behind the node that reports it, where the topic is a node's",
    ),
    (
        "fixed",
        "a JSON object, device (\"\": the node) to metrics that its birth gives besides: {\"name\": {\"type\", \"value\"}}",
    ),
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
        Ok(Box::new(voice::Speaks::new(spec)?))
    }
    fn commands(&self) -> bool {
        true
    }
}

/// A command with one metric. A payload states when it was sent, and each metric too (tck-id-payloads-timestamp-in-UTC,
/// tck-id-payloads-name-birth-data-requirement); it has no sequence number.
fn order(topic: String, metric: Metric, ts_unix_ms: u64) -> Utterance {
    let timestamp = Some(ts_unix_ms);
    let payload = Payload { timestamp, metrics: vec![Metric { timestamp, ..metric }], ..Payload::default() };
    say(topic, payload.encode_to_vec(), 0, false)
}
