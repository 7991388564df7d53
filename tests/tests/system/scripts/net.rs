//! What scripts say to one another, and to a broker in version 5.

use super::{ESP, JOINED, PI, Stage};
use crate::system::common::twinfleet_command;
use std::{fs, time::Duration};
use twinfleet_tests::{Mosquitto, python_of, tool};

#[test]
fn aiocoap_serves_and_asks_between_devices() {
    let test = "aiocoap_serves_and_asks_between_devices";
    let Some(python) = python_of("venv-scripts", "aiocoap", test) else { return };
    // The first device serves, the second asks; in between is the run's link.
    let script = r#"
import asyncio, socket, time, aiocoap, aiocoap.resource as resource
class Temperature(resource.ObservableResource):
    count = 0
    async def render_get(self, request):
        self.count += 1
        return aiocoap.Message(payload=b"%d" % self.count)
    async def render_put(self, request):
        print("put", request.payload.decode(), request.remote.hostinfo)
        return aiocoap.Message(code=aiocoap.CHANGED)
class Big(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"x" * 3000)
async def serve():
    site, temperature = resource.Site(), Temperature()
    site.add_resource(["temperature"], temperature)
    site.add_resource(["big"], Big())
    await aiocoap.Context.create_server_context(site)
    while True:
        await asyncio.sleep(10)
        temperature.updated_state()
async def ask():
    await asyncio.sleep(1)
    context = await aiocoap.Context.create_client_context()
    async def get(path, **more):
        return await context.request(aiocoap.Message(code=aiocoap.GET, uri="coap://d-0/" + path, **more)).response
    print("got", (await get("temperature")).payload.decode())
    put = aiocoap.Message(code=aiocoap.PUT, uri="coap://d-0/temperature", payload=b"on")
    print((await context.request(put).response).code)
    print("big", len((await get("big")).payload))
    watching = context.request(aiocoap.Message(code=aiocoap.GET, uri="coap://d-0/temperature", observe=0))
    print("first", (await watching.response).payload.decode())
    seen = 0
    async for message in watching.observation:
        print("then", message.payload.decode())
        seen += 1
        if seen == 3:
            return
asyncio.run(serve() if socket.gethostname() == "d-0" else ask())
"#;
    let stage =
        Stage::new(PI, "RaspberryPi", "", script).python(python).with("step: \"1s\"", "step: \"100ms\"");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["put on 10.1.0.2:49152"]);
    let said = stage.told_of("d-1", &ran, "script_says");
    assert_eq!(said, ["got 1", "2.04 Changed", "big 3000", "first 2", "then 3", "then 4", "then 5"]);
    let hash = |threads: &str| stage.run(&["--threads", threads]).state_hash();
    assert_eq!(hash("1"), hash("2"));
}

#[test]
fn datagrams_go_between_python_and_micropython() {
    let python = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 9000))
s.settimeout(30)
for _ in range(3):
    data, address = s.recvfrom(100)
    s.sendto(b"re " + data, address)
try:
    s.recvfrom(100)
except socket.timeout:
    print("nobody", socket.gethostbyname("d-0"))
"#;
    let micro = r#"
import socket, time, network
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect("simulated")
while not w.isconnected():
    time.sleep(1)
print(w.ifconfig()[0])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
time.sleep(1)
for i in range(3):
    to = socket.getaddrinfo("255.255.255.255" if i == 2 else "d-0", 9000)[0][-1]
    s.sendto(b"%d" % i, to)
    print(s.recvfrom(100))
s.settimeout(2)
try:
    s.recvfrom(10)
except OSError as e:
    print(e.errno)
"#;
    let fleet = r#"fleet: [(id: "d-0", thing: "t", in: ["room"]), (id: "d-1", thing: "m", in: ["room"])])"#;
    let things = format!(
        r#"things: [(name: "m", source: "a test", {ESP}, firmware: Script(path: "code/micro.py", runtime: MicroPython)),"#
    );
    let stage = Stage::new(PI, "RaspberryPi", "", python)
        .beside("micro.py", micro)
        .with("things: [", &things)
        .with(r#"fleet: [(id: "d-{}", count: 2, thing: "t", in: ["room"])])"#, fleet);
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["nobody 10.1.0.1"]);
    let heard = |i| format!("(b're {i}', ('10.1.0.1', 9000))");
    let said = stage.told_of("d-1", &ran, "script_says");
    assert_eq!(said, ["10.1.0.2".to_owned(), heard(0), heard(1), heard(2), "110".to_owned()]);
}

#[test]
fn paho_speaks_version_5() {
    let test = "paho_speaks_version_5";
    let Some(python) = python_of("venv-scripts", "paho.mqtt.client", test) else { return };
    let script = r#"
import time, paho.mqtt.client as m
from paho.mqtt.subscribeoptions import SubscribeOptions
c = m.Client(m.CallbackAPIVersion.VERSION2, "x", protocol=m.MQTTv5)
c.on_connect = lambda c, u, flags, reason, properties: print("connected", reason)
c.on_subscribe = lambda c, u, mid, reasons, properties: print("granted", [str(r) for r in reasons])
c.on_message = lambda c, u, x: print("got", x.topic, x.payload.decode(), x.qos)
c.connect("broker", 1883)
c.loop_start()
time.sleep(2)
c.subscribe([("a/#", SubscribeOptions(qos=1)), ("own/#", SubscribeOptions(qos=1, noLocal=True))])
time.sleep(2)
for qos in (0, 1, 2):
    c.publish("a/b", "q%d" % qos, qos=qos).wait_for_publish(5)
    time.sleep(2)
c.publish("own/x", "mine", qos=1)
time.sleep(5)
c.disconnect()
print("over")
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).python(python).with("count: 2", "count: 1");
    let said = stage.told(&stage.run(&[]), "script_says");
    let want = [
        "connected Success",
        "granted ['Granted QoS 1', 'Granted QoS 1']",
        "got a/b q0 0",
        "got a/b q1 1",
        "got a/b q2 1",
        "over",
    ];
    assert_eq!(said, want);
}

#[test]
fn a_script_hears_a_real_broker_on_its_devices_own_connection() {
    let test = "a_script_hears_a_real_broker_on_its_devices_own_connection";
    let (Some(broker), Some(publish)) = (Mosquitto::start(test), tool("mosquitto_pub", test)) else { return };
    let port = broker.addr.port().to_string();
    let script = "import socket\nfrom umqtt.simple import MQTTClient\n\
        c = MQTTClient('x', 'broker')\nc.set_callback(lambda t, m: print('heard', t, m))\nc.connect()\n\
        c.subscribe(b'orders/+')\nwhile True:\n    c.wait_msg()\n";
    let stage = Stage::new(ESP, "MicroPython", "", &format!("{JOINED}{script}"))
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"8s\"");
    let (file, report) = (stage.file(), stage.dir.path().join("report"));
    let url = format!("mqtt://127.0.0.1:{port}");
    let mut run = twinfleet_command();
    run.args(["run", &file, "--as-devices", "--speed", "1x", "--broker", &url, "--quiet", "--report"]);
    let mut run = run.arg(&report).spawn().unwrap();
    for n in 0..12 {
        std::thread::sleep(Duration::from_millis(500));
        let text = n.to_string();
        let args = ["-p", &port, "-t", "orders/d-0", "-m", &text];
        assert!(std::process::Command::new(&publish).args(args).status().unwrap().success());
    }
    let ended = run.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    let text = fs::read_to_string(report.join("report.json")).unwrap();
    assert!(text.contains("heard b'orders/d-0' b'9'"), "{text}");
}

#[test]
fn paho_and_asyncio_speak_tls_to_the_broker() {
    let test = "paho_and_asyncio_speak_tls_to_the_broker";
    let Some(python) = python_of("venv-scripts", "paho.mqtt.client", test) else { return };
    let script = r#"
import asyncio, socket, ssl, time, paho.mqtt.client as m
c = m.Client(m.CallbackAPIVersion.VERSION2, "a")
c.on_connect = lambda c, u, flags, reason, properties: (print("connected", reason), c.subscribe("a", qos=1))
c.on_subscribe = lambda *_: c.publish("a", "secret", qos=1)
c.on_message = lambda c, u, x: print("got", x.payload.decode())
c.tls_set()
c.username_pw_set("u", "p")
c.connect("x.s1.eu.hivemq.cloud", 8883)
c.loop_start()
time.sleep(6)
c.loop_stop()
context = ssl.create_default_context()
with socket.create_connection(("x.org", 8883)) as plain, context.wrap_socket(plain, server_hostname="x.org") as s:
    print(s.version(), s.cipher()[1], s.getpeercert()["subjectAltName"])
try:
    context.wrap_socket(socket.socket())
except ValueError as e:
    print(e)
try:
    context.load_verify_locations("missing.pem")
except FileNotFoundError as e:
    print("missing")
async def ask():
    reader, writer = await asyncio.open_connection("x.org", 8883, ssl=True)
    writer.write(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01b")
    print((await reader.readexactly(4)).hex())
    writer.close()
asyncio.run(ask())
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).python(python).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let want = [
        "connected Success",
        "got secret",
        "TLSv1.3 TLSv1.3 (('DNS', 'x.org'),)",
        "check_hostname requires server_hostname",
        "missing",
        "20020000",
    ];
    assert_eq!(said, want, "{:?}", stage.told(&ran, "script_crash"));
}

/// A server that is asked in its own device, by each of the names that it has for itself.
#[test]
fn datagrams_reach_their_own_device_by_both_families() {
    let script = r#"
import socket
for family, bound, hosts in (
        (socket.AF_INET, "0.0.0.0", ("127.0.0.1", "localhost", socket.gethostname())),
        (socket.AF_INET6, "::", ("::1", "localhost", "::ffff:127.0.0.1"))):
    s, c = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
    s.bind((bound, 5005))
    for k in (s, c):
        k.settimeout(2)
    for host in hosts:
        c.sendto(b"hi", (host, 5005))
        heard, by = s.recvfrom(9)
        s.sendto(heard + b"!", by)
        print(by[0], *[x if isinstance(x, bytes) else x[0] for x in c.recvfrom(9)])
    s.close()
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 6, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    for line in &said {
        let words: Vec<&str> = line.split(' ').collect();
        // The answer comes from where the question went to.
        assert!(words.len() == 3 && words[1] == "b'hi!'" && words[0] == words[2], "{said:?}");
    }
    assert!(said[3].starts_with("::1 ") && said[5].starts_with("::ffff:127.0.0.1 "), "{said:?}");
}
