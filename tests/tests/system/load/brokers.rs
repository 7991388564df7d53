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

fn keeps_its_promises(addr: SocketAddr, process: &mut Process, what: &str) {
    until(&format!("{what} to listen"), || {
        assert!(process.0.try_wait().is_ok_and(|s| s.is_none()), "{what} ended");
        TcpStream::connect(addr).is_ok()
    });
    let dir = scratch();
    let file = scenario(dir.path(), "broker.ron", LOAD);
    let ran = command(&["load", &file, "--broker", &format!("mqtt://{addr}"), "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{what}: {}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    assert_eq!(result["verdict"]["received"], result["verdict"]["expected"], "{what}");
}

fn start(program: &Path, args: &[&str], dir: &Path) -> Process {
    let log = std::fs::File::create(dir.join("log")).expect("a log");
    let child = Command::new(program).args(args).current_dir(dir).stdout(Stdio::null()).stderr(log).spawn();
    Process(child.expect("the broker starts"))
}

#[test]
fn nats_server_keeps_its_promises() {
    let Some(program) = twinfleet_tests::tool("nats-server", "nats_server_keeps_its_promises") else {
        return;
    };
    let dir = scratch();
    let (port, client) = (twinfleet_tests::free_port(), twinfleet_tests::free_port());
    let config = format!(
        "listen: \"127.0.0.1:{client}\"\nserver_name: test\njetstream {{ store_dir: \"{}\" }}\nmqtt {{ listen: \"127.0.0.1:{port}\" }}\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("nats.conf"), config).expect("a configuration");
    let mut process = start(&program, &["-c", "nats.conf"], dir.path());
    keeps_its_promises(([127, 0, 0, 1], port).into(), &mut process, "nats-server");
}

const AEDES: &str = r#"
const load = async () => {
  const { Aedes } = require("aedes");
  const broker = Aedes.createBroker ? await Aedes.createBroker() : new Aedes();
  require("net").createServer(broker.handle).listen(Number(process.argv[2]), "127.0.0.1");
};
load();
"#;

#[test]
fn aedes_keeps_its_promises() {
    let test = "aedes_keeps_its_promises";
    let Some(node) = twinfleet_tests::tool("node", test) else { return };
    let modules = twinfleet_tests::profile_dir().join("../node/node_modules");
    if !modules.join("aedes").exists() {
        return twinfleet_tests::skip(test, "npm's package `aedes` is not installed");
    }
    let dir = scratch();
    std::fs::write(dir.path().join("broker.js"), AEDES).expect("a script");
    let port = twinfleet_tests::free_port();
    let log = std::fs::File::create(dir.path().join("log")).expect("a log");
    let child = Command::new(node)
        .args(["broker.js", &port.to_string()])
        .env("NODE_PATH", modules)
        .current_dir(dir.path())
        .stderr(log)
        .spawn();
    let mut process = Process(child.expect("node"));
    keeps_its_promises(([127, 0, 0, 1], port).into(), &mut process, "aedes");
}
