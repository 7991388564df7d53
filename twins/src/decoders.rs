//! Every door by which bytes of others come in, each as a function over bytes with what must hold whatever they are: for
//! fuzzers. Deliberately absent: TLS, HTTP upgrades and WebSocket frames, which are others' decoders.
//!
//! An input to a dialect, or to the documents, is a run of messages, so that what is remembered is tried too: a byte that chooses
//! the topic, two that are the payload's length (little endian), the payload.
//!
//! ```
//! use twinfleet_twins::decoders;
//! for name in decoders::names() {
//!     assert!(!decoders::seeds(name).is_empty());
//!     decoders::take(name, b"\x00\x02\x00{}\x01\xff");
//! }
//! ```

use crate::{
    dialect::{self, facts::Fact, facts::Facts, sparkplug},
    load,
    mirror::{
        keeper::{Bound, Keeper, Terms, Way},
        shadow::Shadow,
    },
    wire::{client::Version, codec, url::BrokerChoice},
};
use bytes::BytesMut;
use prost::Message as _;
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{EarSpec, Heard, Told, Utterance, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::{DecodeError, Decoder, MAX_PAYLOAD_BYTES},
    scenario::{DecodeDef, load::Protocol},
};

/// Signals that the twins of these doors have.
const SIGNALS: [&str; 3] = ["air.temperature", "air.humidity", "plug.power"];
/// What a device and a stranger may publish to.
const TOPICS: [&str; 32] = [
    "oven",
    "oven/status",
    "oven/sensor/x/state",
    "oven/sensor/x/command",
    "home/oven/state",
    "home/oven/availability",
    "tele/oven/SENSOR",
    "tele/oven/STATE",
    "tele/oven/LWT",
    "tele/oven/INFO1",
    "stat/oven/RESULT",
    "stat/oven/STATUS10",
    "cmnd/oven/POWER",
    "tasmota/discovery/02AABBCCDDEE/config",
    "tasmota/discovery/02AABBCCDDEE/sensors",
    "homeassistant/sensor/oven/x/config",
    "homeassistant/device/oven/config",
    "zigbee2mqtt/oven",
    "zigbee2mqtt/oven/set",
    "zigbee2mqtt/oven/availability",
    "zigbee2mqtt/bridge/state",
    "zigbee2mqtt/bridge/devices",
    "spBv1.0/plant/NBIRTH/cell-1",
    "spBv1.0/plant/NDATA/cell-1",
    "spBv1.0/plant/NDEATH/cell-1",
    "spBv1.0/plant/DBIRTH/cell-1/oven",
    "spBv1.0/plant/DDATA/cell-1/oven",
    "spBv1.0/plant/DDEATH/cell-1/oven",
    "spBv1.0/STATE/host",
    "$aws/things/oven/shadow/update",
    "$aws/things/oven/shadow/update/delta",
    "$aws/things/other/shadow/name/x/update",
];
/// Texts that devices and people write: starting points where no voice gives any.
const TEXTS: [&str; 9] = [
    r#"{"ts":1500,"air.temperature":21.5,"air.humidity":40,"plug.power":null,"other":{"deep":[1,[2]]}}"#,
    r#"{"when":5,"s":[{"v":2.5}],"x":{"y":{"z":-1e-3}}}"#,
    r#"{"state":{"desired":{"fan":{"on":true}},"reported":{"fan":null}},"version":3,"clientToken":"t"}"#,
    r#"{"state":{"reported":null}}"#,
    r#"{"state":{"desired":{"a":[1,2,{"b":"é"}]}}}"#,
    "mqtt://user:secret@host:1883/fleet",
    "mqtts://[::1]:8883",
    "wss://host/mqtt?x=1",
    "embedded:1883",
];

/// The names of the doors.
pub fn names() -> Vec<&'static str> {
    let mut all: Vec<&str> = dialect::all().iter().map(|d| d.name()).collect();
    all.extend([
        "protobuf",
        "flat",
        "pointers",
        "documents",
        "shadow",
        "mqtt-4",
        "mqtt-5",
        "mqtt-load",
        "url",
    ]);
    all
}

/// Takes an input in by the door of this name.
///
/// # Panics
/// If something does not hold that must, or there is no such door.
pub fn take(name: &str, data: &[u8]) {
    match name {
        "protobuf" => protobuf(data),
        "flat" => by_codec(&DecodeDef::Json, data),
        "pointers" => {
            let pointers = ["/s/0/v", "/x/y/z", "/a~1b/m~0n"];
            let map = SIGNALS.iter().zip(pointers).map(|(s, p)| ((*s).to_owned(), p.to_owned())).collect();
            by_codec(&DecodeDef::Pointers { map, time: Some("/when".to_owned()) }, data);
        }
        "documents" => documents(data),
        "shadow" => shadow(data),
        "mqtt-4" => packets(Version::V4, data),
        "mqtt-5" => packets(Version::V5, data),
        "mqtt-load" => frames(data),
        "url" => {
            let _ = String::from_utf8_lossy(data).parse::<BrokerChoice>();
        }
        name => match dialect::find(name) {
            Some(dialect) => heard(dialect, data),
            None => panic!("there is no decoder `{name}`"),
        },
    }
}

/// Inputs that are well formed, to begin from.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let texts = || TEXTS.iter().map(|t| t.as_bytes().to_vec());
    match name {
        "protobuf" => said("sparkplug").into_iter().map(|u| u.payload).collect(),
        "flat" | "pointers" | "shadow" | "url" => texts().collect(),
        "documents" => texts().map(|t| [&[0, t.len() as u8, 0][..], &t].concat()).collect(),
        "mqtt-4" | "mqtt-5" | "mqtt-load" => packet_seeds(),
        dialect => {
            let messages: Vec<Vec<u8>> = said(dialect).iter().filter_map(as_input).collect();
            let mut all = vec![messages.concat()];
            all.extend(messages);
            all.extend(texts().map(|t| [&[0, t.len() as u8, 0][..], &t].concat()));
            all
        }
    }
}

/// The messages of an input.
fn messages(mut data: &[u8]) -> impl Iterator<Item = (&'static str, bool, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = data.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        data = rest;
        Some((TOPICS[usize::from(head[0] & 31)], head[0] & 32 != 0, payload))
    })
}

/// A message as part of an input; none where its topic is not among those tried.
fn as_input(u: &Utterance) -> Option<Vec<u8>> {
    let topic = TOPICS.iter().position(|t| *t == u.topic)?;
    let length = u16::try_from(u.payload.len()).ok()?.to_le_bytes();
    Some([&[topic as u8, length[0], length[1]][..], &u.payload].concat())
}

/// An address of each dialect that lies below the topics tried.
fn address(dialect: &str) -> &'static str {
    match dialect {
        "sparkplug" => "plant/cell-1/oven",
        "zigbee2mqtt" => "zigbee2mqtt/oven",
        "homeassistant" => "home/oven",
        _ => "oven",
    }
}

/// What a device that speaks a dialect says, from its connection to its last will.
fn said(name: &str) -> Vec<Utterance> {
    let signals = SIGNALS.map(|s| (s.to_owned(), String::new()));
    let map = match name {
        // One entity, on a topic that is tried.
        "esphome" => BTreeMap::from([(SIGNALS[0].to_owned(), "sensor/x".to_owned())]),
        _ => BTreeMap::new(),
    };
    let signals = if name == "esphome" { &signals[..1] } else { &signals[..] };
    let options = BTreeMap::new();
    let spec = VoiceSpec {
        dialect: name,
        topic: address(name),
        device: "oven",
        signals,
        map: &map,
        options: &options,
    };
    let Ok(mut voice) = dialect::for_engine().voice(&spec) else { return Vec::new() };
    let values = [21.5, 40.0, 120.0];
    let report = Report {
        device: "oven",
        zone: "",
        seq: 0,
        ts_unix_ms: 1_795_867_200_000,
        battery_v: None,
        rssi_dbm: None,
        values: &values[..signals.len()],
    };
    let mut all = Vec::new();
    let will = voice.will(report.ts_unix_ms);
    voice.connect(&report, &mut all);
    voice.report(&report, &mut all);
    all.extend(will);
    all
}

/// A dialect's listener that knows of no device, and a twin's ear.
fn heard(dialect: &'static dyn dialect::Dialect, data: &[u8]) {
    let name = dialect.name();
    let mut stranger = dialect.listener(None);
    let map = BTreeMap::new();
    let spec = EarSpec { dialect: name, topic: address(name), signals: &SIGNALS, map: &map };
    let ear = dialect::for_engine().ear(&spec);
    let mut ear = ear.unwrap_or_else(|e| panic!("{name} cannot be heard: {e}"));
    for (topic, retain, payload) in messages(data) {
        let heard = Heard { topic, payload, retain };
        let mut facts = Facts::default();
        let _ = stranger.hear(&heard, &mut facts);
        for fact in &facts.0 {
            if let Fact::Value { value: dialect::facts::Value::Number(v), .. } = fact {
                assert!(v.is_finite(), "{name} heard {v} on {topic}");
            }
        }
        let mut told = Told::default();
        let _ = ear.hear(&heard, &mut told);
        for value in &told.values {
            assert!(value.signal < SIGNALS.len(), "{name} told of a signal that there is not");
            assert!(value.value.is_finite(), "{name} told {} on {topic}", value.value);
        }
        assert!(told.other.iter().all(|(field, _)| field.len() <= 1024), "{name} told a name without end");
        assert!(told.replies.len() <= 1, "{name} answers one message with {}", told.replies.len());
    }
}

/// Sparkplug's payload: what was read is written and read as the same.
fn protobuf(data: &[u8]) {
    let Ok(payload) = sparkplug::payload::read(data) else { return };
    let again = payload.encode_to_vec();
    // A NaN is no NaN to itself; its bytes are.
    let read = sparkplug::payload::read(&again).map(|p| p.encode_to_vec());
    if again.len() <= MAX_PAYLOAD_BYTES {
        assert!(read.as_ref() == Ok(&again), "what was read is written as something else");
    }
}

fn by_codec(def: &DecodeDef, data: &[u8]) {
    let decoder = Decoder::new(def, &SIGNALS);
    let mut values = [f64::NAN; SIGNALS.len()];
    match decoder.decode(data, &mut values) {
        Ok(head) => {
            assert!(head.found as usize >= values.iter().filter(|v| !v.is_nan()).count());
            assert!(values.iter().any(|v| !v.is_nan()), "nothing was found and no error told");
            assert!(head.ts_ms.is_none_or(f64::is_finite));
        }
        Err(DecodeError::TooLong) => assert!(data.len() > MAX_PAYLOAD_BYTES),
        Err(_) => {}
    }
    assert!(values.iter().all(|v| v.is_nan() || v.is_finite()));
}

/// The state documents of two twins: nothing that comes for one changes the other, and each is read back as it is kept.
fn documents(data: &[u8]) {
    let bound = |twin: &str| Bound {
        twin: twin.to_owned(),
        states: vec![(twin.to_owned(), Some("/ts".to_owned()))],
        statuses: vec![format!("{twin}/status")],
        command: Some(Way::Topic(format!("{twin}/set"))),
        terms: Terms { within_ms: 1_000, ..Terms::default() },
    };
    let mut keeper = Keeper::new(vec![bound("oven"), bound("bystander")]);
    for (n, (topic, _, payload)) in messages(data).enumerate() {
        keeper.hear(topic, payload, 1_000 * n as i64);
    }
    assert!(keeper.shadow("bystander").is_some_and(|s| !s.exists()), "a stranger's message changed a twin");
    assert!(keeper.named("oven").count() <= 10 && keeper.named("bystander").count() == 0);
    if let Some(shadow) = keeper.shadow("oven").filter(|s| s.exists()) {
        let again = Shadow::from_bytes(&shadow.to_bytes()).map(|s| s.version());
        assert_eq!(again, Some(shadow.version()), "a document is not read back");
    }
}

fn shadow(data: &[u8]) {
    // As the store gives them back.
    if let Some(kept) = Shadow::from_bytes(data) {
        assert!(Shadow::from_bytes(&kept.to_bytes()).is_some(), "what was read cannot be read again");
    }
    let Ok(request) = serde_json::from_slice(data) else { return };
    let mut shadow = Shadow::default();
    for now in 1..4 {
        let before = shadow.version();
        let taken = shadow.update(&request, now).is_ok();
        assert_eq!(shadow.version(), before + u64::from(taken), "the version counts what was taken");
    }
}

fn packets(version: Version, data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    loop {
        let before = buffer.len();
        match codec::versions::next(version, &mut buffer, 1 << 16) {
            Ok(Some(_)) => assert!(buffer.len() < before, "a packet without bytes"),
            Ok(None) | Err(_) => return,
        }
    }
}

fn frames(data: &[u8]) {
    for protocol in [Protocol::V311, Protocol::V5] {
        let mut rest = data;
        while let Ok(Some((_, length))) = load::codec::next(rest, protocol) {
            assert!(length > 0 && length <= rest.len(), "a packet of {length} of {} bytes", rest.len());
            rest = &rest[length..];
        }
    }
}

/// Packets that brokers send, of both versions.
fn packet_seeds() -> Vec<Vec<u8>> {
    let publish = |qos: u8, properties: &[u8]| {
        let mut out = BytesMut::new();
        let message = codec::PublishRef {
            topic: b"fleet/a/state",
            payload: br#"{"air.temperature":21.5}"#,
            qos,
            retain: qos == 1,
            dup: false,
            pkid: 7,
        };
        codec::put_publish_with(&mut out, message, properties);
        out.to_vec()
    };
    let mut all: Vec<Vec<u8>> = (0..3).map(|qos| publish(qos, &[])).collect();
    all.extend((0..3).map(|qos| publish(qos, &[0])));
    // Payload format, expiry, content type, a property of the user's own.
    all.push(publish(
        1,
        &[
            24, 1, 1, 2, 0, 0, 0, 9, 3, 0, 4, b'j', b's', b'o', b'n', 38, 0, 1, b'k', 0, 3, b'v', b'v', b'v',
            35,
        ],
    ));
    all.push(vec![0x20, 2, 0, 0]);
    all.push(vec![0x20, 9, 0, 0, 6, 33, 0, 20, 19, 0, 30]);
    all.push(vec![0x40, 2, 0, 7, 0x50, 2, 0, 7, 0x62, 2, 0, 7, 0x70, 2, 0, 7]);
    all.push(vec![0x40, 4, 0, 7, 0x10, 0, 0x90, 3, 0, 1, 1, 0x90, 4, 0, 1, 0, 1, 0xd0, 0]);
    all.push(vec![0xe0, 2, 0x8e, 0, 0xb0, 2, 0, 1]);
    let together = all.concat();
    all.push(together);
    all
}
