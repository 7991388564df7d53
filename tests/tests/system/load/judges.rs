//! What others say of a load: tshark of its packets, mosquitto of its counts, paho-mqtt of its ledger.

use super::*;

/// Subscribes like anybody would and prints, by device, how many different messages came and how many came again.
const PAHO: &str = r#"
import json, struct, sys
import paho.mqtt.client as mqtt
port = int(sys.argv[1])
got, again = {}, 0
def on_message(client, userdata, message):
    global again
    stamp = message.payload[-36:]
    if len(stamp) < 36 or stamp[:4] != b"TwF1" or message.retain:
        return
    run, kind, device, seq = struct.unpack("<IIII", stamp[4:20])
    seen = got.setdefault(device, set())
    again += seq in seen
    seen.add(seq)
def on_connect(client, *rest):
    client.subscribe("load/#", 2)
def on_subscribe(*rest):
    print("ready", flush=True)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="judge")
client.on_message, client.on_connect, client.on_subscribe = on_message, on_connect, on_subscribe
client.connect("127.0.0.1", port)
client.loop_start()
sys.stdin.read()
client.disconnect()
client.loop_stop()
print(json.dumps({"got": {d: len(s) for d, s in got.items()}, "again": again}))
"#;

#[test]
fn others_agree_on_what_was_sent_and_delivered() {
    use std::io::{BufRead, BufReader, Read};
    let test = "others_agree_on_what_was_sent_and_delivered";
    let configure = |_: &Path| {
        "allow_anonymous true\nsys_interval 1\nmax_queued_messages 0\nmax_inflight_messages 0\n".to_owned()
    };
    let Some(mosquitto) = Mosquitto::start_with(test, configure) else { return };
    let Some(python) = twinfleet_tests::python("paho.mqtt.client", test) else { return };
    let Some(sub) = twinfleet_tests::tool("mosquitto_sub", test) else { return };
    let port = mosquitto.addr.port().to_string();
    let judge = Command::new(python)
        .args(["-c", PAHO, &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut judge = Process(judge);
    let mut said = BufReader::new(judge.0.stdout.take().expect("its output"));
    let mut ready = String::new();
    said.read_line(&mut ready).expect("a line");
    assert_eq!(ready, "ready\n");
    let dir = scratch();
    let capture = dir.path().join("packets.pcap");
    let tshark = twinfleet_tests::tool("tshark", test);
    let mut capturing = tshark.as_ref().map(|tshark| {
        let filter = format!("tcp port {port}");
        let args = ["-q", "-i", "lo", "-f", &filter, "-w", capture.to_str().expect("text"), "-B", "64"];
        let log = dir.path().join("tshark.log");
        let file = std::fs::File::create(&log).expect("a log");
        let child =
            Command::new(tshark).args(args).stdout(Stdio::null()).stderr(file).spawn().expect("tshark");
        until("tshark to capture", || {
            std::fs::read_to_string(&log).unwrap_or_default().contains("Capturing")
        });
        // It says so a little before it does.
        std::thread::sleep(Duration::from_millis(500));
        Process(child)
    });
    let out = dir.path().join("out");
    let url = format!("mqtt://{}", mosquitto.addr);
    let ran = command(&[
        "load",
        "load-smoke",
        "--broker",
        &url,
        "--out",
        out.to_str().expect("text"),
        "--set",
        PATIENT,
        "--quiet",
    ]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    let sent = result["verdict"]["sent"].as_u64().expect("a number");

    // mosquitto's own count, once its figures are a second old. The judge and the looks at $SYS publish nothing.
    std::thread::sleep(Duration::from_millis(2_500));
    let figure = |topic: &str| {
        let output = Command::new(&sub)
            .args(["-p", &port, "-t", topic, "-C", "1", "-W", "10"])
            .output()
            .expect("mosquitto_sub");
        String::from_utf8_lossy(&output.stdout).trim().parse::<u64>().ok()
    };
    // It counts messages at QoS 0 only (mosquitto 2.0.11), and the bytes of the payloads of all: 64 each.
    assert_eq!(figure("$SYS/broker/publish/bytes/received"), Some(sent * 64));

    // paho's ledger and ours.
    drop(judge.0.stdin.take());
    let mut text = String::new();
    said.read_to_string(&mut text).expect("its ledger");
    let judged: Value = serde_json::from_str(&text).expect("JSON");
    let part: Value =
        serde_json::from_slice(&std::fs::read(out.join("load.json")).expect("load.json")).expect("JSON");
    let books = part["devices"].as_object().expect("devices");
    assert_eq!(books.len(), 100);
    for (device, book) in books {
        assert_eq!(judged["got"][device], book["sent"][0]["count"], "device {device}");
    }
    assert_eq!(judged["again"], 0);

    // Every packet, decoded by others.
    if let (Some(tshark), Some(capturing)) = (tshark, capturing.as_mut()) {
        let pid = capturing.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        capturing.0.wait().expect("it ends");
        let decode = |filter: &str, field: &str| {
            let as_mqtt = format!("tcp.port=={port},mqtt");
            let output = Command::new(&tshark)
                .args([
                    "-r",
                    capture.to_str().expect("text"),
                    "-d",
                    &as_mqtt,
                    "-Y",
                    filter,
                    "-T",
                    "fields",
                    "-e",
                    field,
                ])
                .output()
                .expect("tshark");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(decode("_ws.malformed", "frame.number"), "", "malformed packets");
        let towards = format!("mqtt && tcp.dstport == {port}");
        let published: u64 =
            decode(&towards, "mqtt.msgtype").split([',', '\n']).filter(|kind| *kind == "3").count() as u64;
        assert_eq!(published, sent, "PUBLISH packets towards the broker");
    }
}
