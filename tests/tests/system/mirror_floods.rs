//! Strangers at a mirror's broker: what they keep, flood and make up on the topics that twins listen to is bounded and counted,
//! the mirror goes on, and no device's messages change another's twin.

use super::mirror::{Mirror, connect, url_of};
use std::time::{Duration, Instant};
use twinfleet_tests::{Mosquitto, PATIENCE, until};
use twinfleet_twins::wire::client::Connection;

/// What each of the devices truly says, and what strangers say in its place.
const TRUE: f64 = 20.5;
const FALSE: f64 = 99.0;

/// A twin of each dialect, followed as a level that wanders.
const TWINS: [(&str, &str, &str); 10] = [
    ("json", "fleet/json", "Json"),
    ("tasmota", "plug", "Dialect(name: \"tasmota\")"),
    ("esphome", "attic", "Dialect(name: \"esphome\", map: {\"air.temperature\": \"sensor/t\"})"),
    ("ha", "garden/pump", "Dialect(name: \"homeassistant\", map: {\"air.temperature\": \"p_t\"})"),
    (
        "zigbee",
        "zigbee2mqtt/hall",
        "Dialect(name: \"zigbee2mqtt\", map: {\"air.temperature\": \"temperature\"})",
    ),
    ("oven", "plant/cell-1/oven", "Dialect(name: \"sparkplug\")"),
    ("boiler", "boiler", "Dialect(name: \"aws-shadow\")"),
    ("senml", "lab/probe", "Dialect(name: \"senml\")"),
    ("cbor", "fleet/c", "Dialect(name: \"cbor\")"),
    ("shed", "shed", "Dialect(name: \"topics\")"),
];

fn scenario() -> String {
    let twins: String = TWINS
        .iter()
        .map(|(id, topic, decode)| {
            format!("(twin: \"{id}\", thing: \"room\", bind: [(topic: \"{topic}\", decode: {decode})]),\n")
        })
        .collect();
    format!(
        "Scenario(format: 1, duration: \"1h\", mirror: [{twins}],\n\
         things: [(name: \"room\", source: \"this test\", signals: [(signal: \"air.temperature\", unit: \"degC\", quantum: 0.01)])])\n"
    )
}

/// A device's own topics with what it says there, this value among it; whether the broker keeps it.
fn device(twin: &str, value: f64) -> Vec<(&'static str, Vec<u8>, bool)> {
    let text = |topic: &'static str, text: String| (topic, text.into_bytes(), false);
    match twin {
        "json" => vec![text("fleet/json", format!("{{\"air.temperature\":{value}}}"))],
        "tasmota" => vec![text(
            "tele/plug/SENSOR",
            format!("{{\"AIR\":{{\"Temperature\":{value}}},\"TempUnit\":\"C\"}}"),
        )],
        "esphome" => vec![text("attic/sensor/t/state", value.to_string())],
        "ha" => vec![
            (
                "homeassistant/sensor/pump/t/config",
                br#"{"stat_t":"garden/pump/state","val_tpl":"{{ value_json.t }}","uniq_id":"p_t"}"#.to_vec(),
                true,
            ),
            text("garden/pump/state", format!("{{\"t\":{value}}}")),
        ],
        "zigbee" => vec![text("zigbee2mqtt/hall", format!("{{\"temperature\":{value}}}"))],
        "oven" => vec![
            ("spBv1.0/plant/NBIRTH/cell-1", sparkplug(0, "bdSeq", 1.0), false),
            ("spBv1.0/plant/DBIRTH/cell-1/oven", sparkplug(1, "air/temperature", value), false),
        ],
        "boiler" => vec![text(
            "$aws/things/boiler/shadow/update",
            format!("{{\"state\":{{\"reported\":{{\"air\":{{\"temperature\":{value}}}}}}}}}"),
        )],
        "senml" => {
            vec![text("lab/probe", format!("[{{\"n\":\"air/temperature\",\"u\":\"Cel\",\"v\":{value}}}]"))]
        }
        "cbor" => {
            let mut map = b"\xa1\x63air\xa1\x6btemperature\xfb".to_vec();
            map.extend(value.to_be_bytes());
            vec![("fleet/c", map, false)]
        }
        _ => vec![text("shed/air/temperature", value.to_string())],
    }
}

/// Sparkplug's payload with one metric of 64 bits.
pub fn sparkplug(seq: u8, name: &str, value: f64) -> Vec<u8> {
    let mut metric = vec![0x0a, name.len() as u8];
    metric.extend(name.as_bytes());
    metric.extend([0x20, 10, 0x69]);
    metric.extend(value.to_le_bytes());
    let mut payload = vec![0x08, 1, 0x12, metric.len() as u8];
    payload.extend(metric);
    payload.extend([0x18, seq]);
    payload
}

/// Payloads that are no device's.
fn bombs() -> Vec<Vec<u8>> {
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n)).into_bytes();
    let names: String = (0..20_000).map(|i| format!("\"name-{i}\":{i},")).collect();
    vec![
        nested("[", "]", 100_000),
        nested("{\"a\":", "}", 40_000),
        format!("{{{names}\"last\":1}}").into_bytes(),
        format!("{{\"{}\":1}}", "n".repeat(200_000)).into_bytes(),
        format!("{{\"text\":\"{}\"}}", "x".repeat(400_000)).into_bytes(),
        b"\xff\xfe\xc3\x28".to_vec(),
        b"\x00".to_vec(),
        b"{\"air.temperature\":1e400}".to_vec(),
        b"1e999".to_vec(),
        b"nan".to_vec(),
        // CBOR: a list and a text that claim 2^63, lists within lists, a map without an end.
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(),
        b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(),
        vec![0x81; 100_000],
        vec![0xbf; 5_000],
        // Protobuf: a metric that claims 4 GiB, groups without an end.
        b"\x12\xff\xff\xff\xff\x0f\x01".to_vec(),
        vec![0x0b; 50_000],
    ]
}

/// Published and acknowledged by the broker.
fn flood(connection: &mut Connection, messages: impl Iterator<Item = (String, Vec<u8>, bool)>) -> u64 {
    let mut count = 0;
    for (topic, payload, retain) in messages {
        connection.publish(&topic, &payload, 1, retain).unwrap();
        count += 1;
        // The broker takes some at a time.
        if connection.unacknowledged() >= 50 {
            connection.pump(Some(Duration::from_millis(1)), |_| ()).unwrap();
        }
    }
    while connection.unacknowledged() > 0 {
        connection.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    count
}

/// Memory of a process in use, [bytes].
fn resident(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

#[test]
fn strangers_flood_every_dialect_and_no_twin_changes() {
    let test = "strangers_flood_every_dialect_and_no_twin_changes";
    // So that nothing of the flood is lost on the way.
    let configure = "allow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\n";
    let Some(mosquitto) = Mosquitto::start_with(test, |_| configure.to_owned()) else { return };
    let url = url_of(&mosquitto);
    let mut stranger = connect(&url);
    // What waits for whoever subscribes: thousands of things that nobody has.
    let kept = (0..3_000).flat_map(|i| {
        let config = format!(
            "{{\"stat_t\":\"garden/other-{i}/state\",\"uniq_id\":\"o{i}\",\"dev\":{{\"ids\":\"o{i}\"}},\"name\":\"{}\"}}",
            "n".repeat(300)
        );
        let mine = format!("{{\"stat_t\":\"garden/pump/x{i}\",\"uniq_id\":\"x{i}\",\"val_tpl\":\"{{{{ value_json.t }}}}\"}}");
        [
            (format!("homeassistant/sensor/o{i}/t/config"), config.into_bytes(), true),
            (format!("homeassistant/sensor/x{i}/t/config"), mine.into_bytes(), true),
            (format!("garden/pump/x{i}"), format!("{{\"t\":{FALSE}}}").into_bytes(), true),
            (format!("shed/x{i}/temperature"), FALSE.to_string().into_bytes(), true),
            (format!("spBv1.0/plant/DDATA/cell-1/x{i}"), sparkplug(0, "air/temperature", FALSE), true),
        ]
    });
    let flooded = flood(&mut stranger, kept);
    let mut mirror = Mirror::following(&scenario(), &url, &["--publish-every", "100ms"]);
    mirror.start_and_wait();
    until("the flood that waited", || mirror.metric("messages_total") >= flooded as f64 * 0.8);
    // All of it was kept by the broker, and is counted as such.
    assert!(
        mirror.metric("messages_retained_total") >= flooded as f64 * 0.8,
        "the kept flood is not counted"
    );
    let before = resident(mirror.pid());

    let mut own = connect(&url);
    let reported = |mirror: &Mirror, twin: &str| {
        mirror.json(&format!("/api/v1/twins/{twin}"))["signals"]["air.temperature"]["reported"].as_f64()
    };
    let say_the_truth = |own: &mut Connection, mirror: &Mirror| {
        for (twin, ..) in TWINS {
            flood(own, device(twin, TRUE).into_iter().map(|(t, p, r)| (t.to_owned(), p, r)));
            let start = Instant::now();
            while reported(mirror, twin) != Some(TRUE) {
                assert!(
                    start.elapsed() < PATIENCE,
                    "{twin} does not hear: {}",
                    mirror.json(&format!("/api/v1/twins/{twin}"))
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    say_the_truth(&mut own, &mirror);

    // Bombs on the topics of each device, and names without end beside them.
    let long = "x".repeat(60_000);
    let mut messages: Vec<(String, Vec<u8>, bool)> = Vec::new();
    for (twin, ..) in TWINS {
        for (topic, ..) in device(twin, TRUE) {
            messages.extend(bombs().into_iter().map(|bomb| (topic.to_owned(), bomb, false)));
        }
    }
    for base in [
        "shed",
        "garden/pump",
        "zigbee2mqtt",
        "attic/sensor",
        "spBv1.0/plant/DBIRTH/cell-1",
        "homeassistant/sensor",
    ] {
        messages.push((format!("{base}/{long}"), FALSE.to_string().into_bytes(), false));
        messages.push((format!("{base}/{}", "d/".repeat(180)), b"{}".to_vec(), false));
    }
    // And what looks as if it were said by a device, in places that are another's or nobody's.
    let disguised = format!(
        "{{\"twin\":\"tasmota\",\"device\":\"zigbee2mqtt/hall\",\"friendly_name\":\"hall\",\"temperature\":{FALSE},\"air.temperature\":{FALSE},\
         \"AIR\":{{\"Temperature\":{FALSE}}},\"state\":{{\"reported\":{{\"air\":{{\"temperature\":{FALSE}}}}}}}}}"
    );
    for topic in [
        "tele/other/SENSOR",
        "zigbee2mqtt/other",
        "zigbee2mqtt/hall/set",
        "$aws/things/other/shadow/update",
        "$aws/things/boiler/shadow/name/x/update",
        "fleet/other",
        "attic2/sensor/t/state",
        "garden/pump/other",
        "shed2/air/temperature",
    ] {
        messages.push((topic.to_owned(), disguised.clone().into_bytes(), false));
    }
    for device in ["x", "oven2", "OVEN"] {
        messages.push((
            format!("spBv1.0/plant/DDATA/cell-1/{device}"),
            sparkplug(9, "air/temperature", FALSE),
            false,
        ));
    }
    flood(&mut stranger, messages.into_iter());
    say_the_truth(&mut own, &mirror);

    let (bad, malformed) = (mirror.metric("readings_bad_total"), mirror.metric("state_malformed_total"));
    assert!(bad >= 60.0, "{bad} payloads were counted as bad");
    assert!(malformed >= 5.0, "{malformed} payloads were counted as no document");
    let grown = resident(mirror.pid()) - before;
    assert!(grown < 200e6, "{:.0} MB more than before the bombs", grown / 1e6);
    assert_eq!(mirror.get("/healthz").map(|(code, _)| code), Some(200));
    for (twin, ..) in TWINS {
        let path = format!("/api/v1/twins/{twin}/history?signal=air.temperature%40reported&limit=10000");
        let history = mirror.json(&path);
        let rows = history["rows"].as_array().unwrap();
        let values: Vec<f64> =
            rows.iter().filter_map(|r| r["values"]["air.temperature@reported"].as_f64()).collect();
        assert!(!values.is_empty(), "{twin}: {history}");
        assert!(values.iter().all(|v| *v == TRUE), "{twin} was told what its device never said: {values:?}");
    }
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
}
