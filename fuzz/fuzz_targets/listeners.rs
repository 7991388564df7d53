//! Any bytes on any topic, for every dialect: the first byte is the topic's length, then the topic, then the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinfleet_engine::dialect::Heard;
use twinfleet_twins::dialect::{all, facts::Facts};

const TOPICS: [&str; 12] = [
    "tele/oven/SENSOR",
    "stat/oven/RESULT",
    "tasmota/discovery/02AA/config",
    "oven",
    "oven/sensor/x/state",
    "homeassistant/sensor/oven/x/config",
    "homeassistant/device/oven/config",
    "zigbee2mqtt/oven",
    "zigbee2mqtt/bridge/devices",
    "spBv1.0/plant/NBIRTH/cell-1",
    "spBv1.0/plant/DDATA/cell-1/oven",
    "$aws/things/oven/shadow/update",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    // Three in four inputs go to a topic that a dialect knows, the others name one.
    let known = TOPICS.get(usize::from(*first) % 16);
    let (topic, payload) = match known {
        Some(topic) => (*topic, rest),
        None => {
            let (topic, payload) = rest.split_at(usize::from(*first).min(rest.len()));
            (std::str::from_utf8(topic).unwrap_or("oven"), payload)
        }
    };
    for dialect in all() {
        for address in [None, Some("oven"), Some("plant/cell-1/oven"), Some("zigbee2mqtt/oven")] {
            let mut facts = Facts::default();
            let mut listener = dialect.listener(address);
            for retain in [true, false] {
                let _ = listener.hear(&Heard { topic, payload, retain }, &mut facts);
            }
        }
    }
});
