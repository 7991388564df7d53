//! Other brokers than mosquitto and the embedded one, each started by its test on loopback.

use super::*;
use std::net::{SocketAddr, TcpStream};

const LOAD: &str = r#"
    devices: [
        (id: "a-{}", count: 20, topic: "t/{device}/state", qos: 0, schedule: Poisson("50ms")),
        (id: "b-{}", count: 20, topic: "t/{device}/state", qos: 1, schedule: Poisson("50ms")),
    ],
    subscribers: [(id: "sink", filter: "t/#", qos: 1)],
    stages: [Ramp(for: "1s"), Hold(for: "1s")],
    thresholds: [Below(of: Latency, percentile: 99, bound: "1s"), AtMost(of: Lost, bound: 0), Kept(share: 1)]"#;

fn keeps_its_promises(addr: SocketAddr, what: &str) {
    let dir = scratch();
    let file = scenario(dir.path(), "broker.ron", LOAD);
    let ran = command(&["load", &file, "--broker", &format!("mqtt://{addr}"), "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{what}: {}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    assert_eq!(result["verdict"]["received"], result["verdict"]["expected"], "{what}");
}

#[test]
fn nats_server_keeps_its_promises() {
    let test = "nats_server_keeps_its_promises";
    let Some(nats) = twinfleet_tests::Nats::start(test, |_| String::new()) else { return };
    keeps_its_promises(nats.mqtt, "nats-server");
}

const AEDES: &str = r#"
const load = async () => {
  const { Aedes } = require("aedes");
  const broker = Aedes.createBroker ? await Aedes.createBroker() : new Aedes();
  require("net").createServer(broker.handle).listen(Number(process.argv[2]), "127.0.0.1");
};
load();
"#;

/// An aedes of the test's own; it ends with its handle.
pub struct Aedes {
    pub addr: SocketAddr,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Aedes {
    pub fn start(test: &str) -> Option<Self> {
        let node = twinfleet_tests::tool("node", test)?;
        let modules = twinfleet_tests::profile_dir().join("../node/node_modules");
        if !modules.join("aedes").exists() {
            twinfleet_tests::skip(test, "npm's package `aedes` is not installed");
            return None;
        }
        let dir = scratch();
        std::fs::write(dir.path().join("broker.js"), AEDES).expect("a script");
        let addr = SocketAddr::from(([127, 0, 0, 1], twinfleet_tests::free_port()));
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new(node)
            .args(["broker.js", &addr.port().to_string()])
            .env("NODE_PATH", modules)
            .current_dir(dir.path())
            .stderr(log)
            .spawn();
        let mut process = Process(child.expect("node"));
        until("aedes to listen", || {
            assert!(process.0.try_wait().is_ok_and(|s| s.is_none()), "aedes ended");
            TcpStream::connect(addr).is_ok()
        });
        Some(Self { addr, _process: process, _dir: dir })
    }
}

#[test]
fn aedes_keeps_its_promises() {
    let Some(aedes) = Aedes::start("aedes_keeps_its_promises") else { return };
    keeps_its_promises(aedes.addr, "aedes");
}
