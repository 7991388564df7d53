//! What a script's broker keeps: sessions of those who are away, retained messages, one client by each name.

use super::{ESP, Stage};
use crate::system::common::twinfleet_command;
use std::fs;
use twinfleet_tests::{Mosquitto, tool};

/// Joins the network, then does what follows; `name` is the device's.
const JOINED: &str = "import network, time, machine\n\
    from umqtt.robust import MQTTClient\n\
    from umqtt import simple\n\
    w = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('a', 'b')\n\
    while not w.isconnected():\n    time.sleep_ms(100)\n\
    name = network.hostname()\n\
    def tell(t, m):\n    print(t.decode(), m.decode())\n";

fn stage(script: &str) -> Stage {
    Stage::new(ESP, "MicroPython", "", &format!("{JOINED}{script}"))
}

#[test]
fn who_subscribed_once_is_told_after_an_outage_what_it_missed() {
    let script = r#"
if name == 'd-1':
    c = MQTTClient(name, 'broker')
    c.connect()
    for n in range(10):
        time.sleep(10)
        c.publish(b'led', b'n%d' % n, qos=1)
else:
    c = MQTTClient(name, 'broker', keepalive=60)
    c.set_callback(tell)
    if not c.connect(clean_session=False):
        print('new')
        c.subscribe(b'led', qos=1)
    while True:
        c.check_msg()
        time.sleep(1)
"#;
    let stage = stage(script)
        .with(
            r#"fleet: [(id: "d-{}", count: 2, thing: "t", in: ["room"])])"#,
            r#"fleet: [(id: "d-0", thing: "t", in: ["room"], link: "air"), (id: "d-1", thing: "t", in: ["room"])])"#,
        )
        .with(
            "things: [",
            r#"links: [(id: "air")], timeline: [(at: "40s", until: "70s", do: LinkDown(link: "air"))], things: ["#,
        );
    let ran = stage.run(&[]);
    let want: Vec<String> =
        ["new".to_owned()].into_iter().chain((0..10).map(|n| format!("led n{n}"))).collect();
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
    let hash = |threads: &str| stage.run(&["--threads", threads]).state_hash();
    assert_eq!(hash("1"), hash("2"));
}

#[test]
fn a_node_that_sleeps_gets_its_commands_and_what_is_retained() {
    let script = r#"
if name == 'd-1':
    c = simple.MQTTClient(name, 'broker')
    c.connect()
    time.sleep(1)
    c.publish(b'conf/node', b'30', qos=1, retain=True)
    time.sleep(12)
    c.publish(b'cmd/node', b'open', qos=1)
    time.sleep(1000)
c = simple.MQTTClient('node', 'broker', keepalive=120)
c.set_callback(tell)
print('present', int(c.connect(clean_session=False)))
c.subscribe(b'conf/node', qos=1)
c.subscribe(b'cmd/node', qos=1)
for i in range(25):
    c.check_msg()
    time.sleep_ms(200)
c.disconnect()
machine.deepsleep(20000)
"#;
    let stage = stage(script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let want = [
        "present 0",
        "conf/node 30",
        "present 1",
        "cmd/node open",
        "conf/node 30",
        "present 1",
        "conf/node 30",
    ];
    assert!(said.len() > want.len(), "{said:?} {:?}", stage.told(&ran, "script_crash"));
    assert_eq!(said[..want.len()], want, "{said:?}");
}

#[test]
fn what_is_retained_is_told_to_who_subscribes_later_until_it_is_emptied() {
    let script = r#"
c = simple.MQTTClient(name, 'broker')
c.set_callback(tell)
c.connect()
if name == 'd-0':
    c.publish(b'state/lamp', b'on', retain=True)
    c.publish(b'state/lamp', b'off', retain=True)
    c.publish(b'passing', b'by')
    time.sleep(40)
    c.publish(b'state/lamp', b'', retain=True)
else:
    for second in (20, 10, 40):
        time.sleep(second)
        print('subscribes')
        c.subscribe(b'#')
        for i in range(5):
            c.check_msg()
            time.sleep_ms(200)
"#;
    let stage = stage(script);
    let ran = stage.run(&[]);
    let said = stage.told_of("d-1", &ran, "script_says");
    let seen: Vec<&str> = said.iter().map(String::as_str).collect();
    // The empty one that ends it is a message as any other to who is subscribed by then.
    let want = ["subscribes", "state/lamp off", "subscribes", "state/lamp off", "subscribes", "state/lamp "];
    assert_eq!(seen, want, "{:?}", stage.told_of("d-1", &ran, "script_crash"));
}

#[test]
fn of_two_devices_with_one_client_id_the_later_throws_out_the_other() {
    let script = r#"
if name == 'd-1':
    time.sleep(5)
c = simple.MQTTClient('umqtt_client', '1.2.3.4', keepalive=10)
c.set_last_will(b'gone', name.encode())
c.set_callback(tell)
c.connect()
c.subscribe(b'gone')
try:
    for i in range(20):
        c.check_msg()
        c.publish(b'b', b'x')
        time.sleep(1)
    print('stays')
except OSError:
    print('lost', time.ticks_ms() // 1000)
"#;
    let stage = stage(script);
    let ran = stage.run(&[]);
    let said = [stage.told_of("d-0", &ran, "script_says"), stage.told_of("d-1", &ran, "script_says")];
    // Its step ends, its next look at its socket is a second later.
    let at = said[0][0].strip_prefix("lost ").and_then(|at| at.parse::<u64>().ok());
    assert!(said[0].len() == 1 && at.is_some_and(|at| (6..=10).contains(&at)), "{said:?}");
    assert_eq!(said[1], ["gone d-0", "stays"]);
    let hash = |threads: &str| stage.run(&["--threads", threads]).state_hash();
    assert_eq!(hash("1"), hash("2"));
}

#[test]
fn what_a_broker_outside_had_kept_reaches_a_script() {
    let test = "what_a_broker_outside_had_kept_reaches_a_script";
    let (Some(broker), Some(publish)) = (Mosquitto::start(test), tool("mosquitto_pub", test)) else { return };
    let port = broker.addr.port().to_string();
    let told = std::process::Command::new(&publish)
        .args(["-p", &port, "-t", "cmd/a", "-m", "before", "-r"])
        .status()
        .is_ok_and(|s| s.success());
    assert!(told);
    let script = "c = simple.MQTTClient(name, 'broker')\nc.set_callback(tell)\nc.connect()\n\
        time.sleep(2)\nc.subscribe(b'cmd/#')\nwhile True:\n    c.wait_msg()\n";
    let stage = stage(script).with("count: 2", "count: 1").with("duration: \"2min\"", "duration: \"8s\"");
    let url = format!("mqtt://127.0.0.1:{port}");
    let (file, report) = (stage.file(), stage.dir.path().join("report"));
    let mut run = twinfleet_command();
    run.args(["run", &file, "--speed", "1x", "--broker", &url, "--prefix=", "--quiet", "--report"]);
    let ended = run.arg(&report).status().unwrap();
    assert_eq!(ended.code(), Some(0));
    let text = fs::read_to_string(report.join("report.json")).unwrap();
    assert_eq!(text.matches("cmd/a before").count(), 1, "{text}");
}
