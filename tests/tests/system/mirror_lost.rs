//! Nothing lost, by count: a publisher of ours, a broker and a mirror, one of which is ended or cut off at fifty random
//! moments; in the end the store holds every message, and no state ever went back.

use super::mirror::{Mirror, connect, terminate};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use twinfleet_tests::{PATIENCE, Process, free_port, tool, until};
use twinfleet_twins::{
    mirror::store::Store,
    wire::{
        client::ConnectOptions,
        session::{Session, SessionOptions},
        url::BrokerUrl,
    },
};

const MOMENTS: u32 = 50;
const TWINS: u64 = 4;

/// A generator of moments that tells its seed by the test's name: the same test meets the same moments.
struct Dice(u64);

impl Dice {
    fn between(&mut self, low: u64, high: u64) -> u64 {
        // Knuth's MMIX step; the low bits are the poor ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (self.0 >> 33) % (high - low + 1)
    }

    fn sleep(&mut self, low_ms: u64, high_ms: u64) {
        thread::sleep(Duration::from_millis(self.between(low_ms, high_ms)));
    }
}

/// A mosquitto that keeps its sessions on the disk, to be ended and started again on the same port.
struct Durable {
    dir: TempDir,
    program: std::path::PathBuf,
    addr: SocketAddr,
    process: Option<Process>,
}

impl Durable {
    fn start(test: &str) -> Option<Self> {
        let program = tool("mosquitto", test)?;
        let dir = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = format!(
            "user root\nset_tcp_nodelay true\nlistener {} 127.0.0.1\nallow_anonymous true\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 0\nautosave_interval 1\n",
            addr.port(),
            dir.path().display()
        );
        std::fs::write(dir.path().join("conf"), text).unwrap();
        let mut broker = Self { dir, program, addr, process: None };
        broker.again();
        Some(broker)
    }

    fn again(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.dir.path().join("conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process(command.spawn().unwrap());
        until("mosquitto to listen", || {
            assert!(process.0.try_wait().unwrap().is_none(), "mosquitto ended");
            TcpStream::connect(self.addr).is_ok()
        });
        self.process = Some(process);
    }

    fn terminate(&mut self) {
        let mut process = self.process.take().unwrap();
        terminate(process.0.id());
        process.0.wait().unwrap();
    }

    fn kill(&mut self) {
        self.process = None;
    }
}

/// Publishes numbered messages to the twins in turn, and keeps each until the broker has it.
struct Publisher {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: thread::JoinHandle<u64>,
}

impl Publisher {
    fn start(broker: SocketAddr) -> Self {
        let mut connect = ConnectOptions::to(BrokerUrl::plain(broker.ip().to_string(), broker.port()));
        connect.client_id = "publisher".to_owned();
        connect.clean_session = false;
        let mut options = SessionOptions::new(connect);
        options.shortest = Duration::from_millis(20);
        options.longest = Duration::from_millis(200);
        let mut session = Session::start(options).unwrap();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (flag, shown) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = thread::spawn(move || {
            let mut n = 0;
            while !flag.load(Ordering::Relaxed) {
                for _ in 0..2 {
                    let payload = format!(r#"{{"ts": {}, "probe.temperature": 20.1, "n": {n}}}"#, 1_000 + n);
                    let topic = format!("fleet/d{}/state", n % TWINS);
                    session.publish(&topic, payload.as_bytes(), 1, false).unwrap();
                    n += 1;
                }
                shown.store(n, Ordering::Relaxed);
                session.pump(Duration::from_millis(2), |_| ()).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
            let start = Instant::now();
            while session.unacknowledged() > 0 {
                assert!(start.elapsed() < PATIENCE, "{} were not acknowledged", session.unacknowledged());
                session.pump(Duration::from_millis(20), |_| ()).unwrap();
            }
            assert_eq!(session.stats().dropped, 0);
            n
        });
        Self { stop, count, thread }
    }

    /// Stops publishing; how many the broker has acknowledged, which is all.
    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Looks at a twin's state again and again: its number must never fall.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl Watcher {
    fn start(status: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut highest, mut looks) = (0, 0);
            while !flag.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(15));
                let request = "GET /api/v1/twins/d1 HTTP/1.1\r\n\r\n";
                let Some((200, body)) = super::mirror::http(status, request) else { continue };
                let twin: serde_json::Value = serde_json::from_str(&body).unwrap();
                let Some(n) = twin["shadow"]["state"]["reported"]["n"].as_u64() else { continue };
                assert!(n >= highest, "the state went back from {highest} to {n}");
                (highest, looks) = (n, looks + 1);
            }
            looks
        });
        Self { stop, thread }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The numbers that the store holds, and how many messages held them.
fn kept(mirror: &Mirror) -> (BTreeSet<u64>, usize) {
    let store = Store::open(&mirror.store()).unwrap();
    let (mut numbers, mut count, mut from) = (BTreeSet::new(), 0, 0);
    loop {
        let some = store.reader().messages(from, 10_000).unwrap();
        let Some((last, _)) = some.last() else { break };
        from = last + 1;
        count += some.len();
        for (_, m) in some {
            let payload: serde_json::Value = serde_json::from_slice(&m.payload).unwrap();
            numbers.insert(payload["n"].as_u64().unwrap());
        }
    }
    (numbers, count)
}

/// Waits until the mirror's states have come to the last number, and stops it.
fn settle(mirror: &mut Mirror, sent: u64) {
    until("the last message to be followed", || {
        mirror
            .get(&format!("/api/v1/twins/d{}", (sent - 1) % TWINS))
            .is_some_and(|(code, body)| code == 200 && body.contains(&format!("\"n\":{}", sent - 1)))
    });
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
}

/// Nothing is missing; says what it cost.
fn nothing_lost(name: &str, mirror: &mut Mirror, sent: u64, looks: u64) {
    settle(mirror, sent);
    let (numbers, count) = kept(mirror);
    let missing: Vec<u64> = (0..sent).filter(|n| !numbers.contains(n)).collect();
    println!(
        "{name}: {MOMENTS} moments, {sent} messages acknowledged to the publisher, {} missing, {} came twice, {looks} looks at the state",
        missing.len(),
        count - numbers.len()
    );
    assert!(missing.is_empty(), "{} of {sent} lost: {:?}", missing.len(), &missing[..missing.len().min(20)]);
    // That somebody looked at all.
    assert!(looks > 5, "{looks}");
}

#[test]
fn a_mirror_that_is_killed_at_fifty_moments_loses_nothing() {
    let name = "a mirror killed with -9";
    let Some(broker) = Durable::start(name) else { return };
    let mut mirror = Mirror::of(TWINS as usize, &format!("mqtt://{}", broker.addr), &["--silent"]);
    mirror.start_and_wait();
    let (publisher, watcher) = (Publisher::start(broker.addr), Watcher::start(mirror.status));
    let mut dice = Dice(1);
    for _ in 0..MOMENTS {
        dice.sleep(40, 300);
        mirror.kill();
        mirror.start();
    }
    until("the mirror to be well", || mirror.get("/healthz").is_some_and(|(code, _)| code == 200));
    let sent = publisher.finish();
    let looks = watcher.finish();
    nothing_lost(name, &mut mirror, sent, looks);
}

#[test]
fn a_broker_that_is_stopped_at_fifty_moments_loses_nothing() {
    let name = "a broker stopped with SIGTERM";
    let Some(mut broker) = Durable::start(name) else { return };
    let mut mirror = Mirror::of(TWINS as usize, &format!("mqtt://{}", broker.addr), &["--silent"]);
    mirror.start_and_wait();
    let (publisher, watcher) = (Publisher::start(broker.addr), Watcher::start(mirror.status));
    let mut dice = Dice(2);
    for _ in 0..MOMENTS {
        dice.sleep(30, 250);
        broker.terminate();
        dice.sleep(0, 60);
        broker.again();
    }
    let sent = publisher.finish();
    let looks = watcher.finish();
    nothing_lost(name, &mut mirror, sent, looks);
}

/// What a proxy does with what passes.
const PASS: u64 = 0;
const CUT: u64 = 1;
const STALL: u64 = 2;
const HALF_CLOSE: u64 = 3;

/// A proxy on the mirror's way to the broker, whose mode is switched from outside.
struct Proxy {
    addr: SocketAddr,
    mode: Arc<AtomicU64>,
    open: Arc<Mutex<Vec<(TcpStream, TcpStream)>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let mode = Arc::new(AtomicU64::new(PASS));
        let open: Arc<Mutex<Vec<(TcpStream, TcpStream)>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (mode_, open_, stop_) = (Arc::clone(&mode), Arc::clone(&open), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop_.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                let Ok(server) = TcpStream::connect(to) else { continue };
                client.set_nonblocking(false).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let mode = Arc::clone(&mode_);
                    thread::spawn(move || pass(from, to, &mode));
                }
                let mut open = open_.lock().unwrap();
                open.clear();
                open.push((client, server));
            }
        });
        Self { addr, mode, open, stop }
    }

    fn set(&self, mode: u64) {
        self.mode.store(mode, Ordering::Relaxed);
        for (client, server) in self.open.lock().unwrap().iter() {
            match mode {
                CUT => {
                    client.shutdown(Shutdown::Both).ok();
                    server.shutdown(Shutdown::Both).ok();
                }
                // The mirror hears the end; the broker does not, and goes on sending into the void.
                HALF_CLOSE => {
                    client.shutdown(Shutdown::Write).ok();
                }
                _ => {}
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.set(CUT);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU64) {
    let mut bytes = [0; 4096];
    loop {
        while mode.load(Ordering::Relaxed) == STALL {
            thread::sleep(Duration::from_millis(2));
        }
        match from.read(&mut bytes) {
            Ok(n) if n > 0 && to.write_all(&bytes[..n]).is_ok() => {}
            _ => {
                to.shutdown(Shutdown::Both).ok();
                from.shutdown(Shutdown::Both).ok();
                return;
            }
        }
    }
}

#[test]
fn a_network_that_is_cut_at_fifty_moments_loses_nothing() {
    let name = "a network that is cut, stalled and half-closed";
    let Some(broker) = Durable::start(name) else { return };
    let proxy = Proxy::start(broker.addr);
    let mut mirror = Mirror::of(TWINS as usize, &format!("mqtt://{}", proxy.addr), &["--silent"]);
    mirror.start_and_wait();
    let (publisher, watcher) = (Publisher::start(broker.addr), Watcher::start(mirror.status));
    let mut dice = Dice(3);
    for moment in 0..MOMENTS {
        // Long enough for the mirror to be back: it waits longer for one that breaks at once.
        dice.sleep(100, 900);
        let mode = [CUT, STALL, HALF_CLOSE][moment as usize % 3];
        proxy.set(mode);
        dice.sleep(20, 150);
        if mode == STALL && dice.between(0, 1) == 1 {
            proxy.set(CUT);
        }
        proxy.set(PASS);
    }
    let sent = publisher.finish();
    let looks = watcher.finish();
    let connections = mirror.metric("broker_connections_total");
    // Two thirds of the moments, and some of the rest, end a connection.
    assert!(connections > 15.0, "{connections} connections");
    nothing_lost(name, &mut mirror, sent, looks);
}

#[test]
fn what_a_killed_broker_lost_is_counted_and_told() {
    let name = "a broker killed with -9";
    let Some(mut broker) = Durable::start(name) else { return };
    let mut mirror = Mirror::of(TWINS as usize, &format!("mqtt://{}", broker.addr), &["--silent"]);
    mirror.start_and_wait();
    let publisher = Publisher::start(broker.addr);
    let mut dice = Dice(4);
    let mut before_last = 0;
    for moment in 0..MOMENTS {
        // Every tenth time the mirror is away, so that messages are the broker's alone when it dies.
        let away = moment % 10 == 9;
        if away {
            mirror.kill();
        }
        dice.sleep(30, 200);
        before_last = publisher.count.load(Ordering::Relaxed);
        broker.kill();
        broker.again();
        if away {
            mirror.start();
        }
    }
    let sent = publisher.finish();
    settle(&mut mirror, sent);
    let (numbers, count) = kept(&mirror);
    let missing: Vec<u64> = (0..sent).filter(|n| !numbers.contains(n)).collect();
    println!(
        "{name}: {MOMENTS} moments, {sent} messages acknowledged to the publisher, {} of them lost by the broker, {} came twice",
        missing.len(),
        count - numbers.len()
    );
    // Each was acknowledged by the broker, and never handed to the mirror: it is the broker that lost it, when it was
    // killed. What was published after the last kill is all there.
    assert!(missing.iter().all(|n| *n < before_last + 400), "{missing:?} after {before_last}");
    // The broker forgets sessions it had no time to save; the mirror says so, and that messages may be missing.
    if !missing.is_empty() {
        let said = mirror.said();
        assert!(said.contains("did not know us") || said.contains("kept what came meanwhile"), "{said}");
    }
}

#[test]
fn a_replay_keeps_what_a_stopped_broker_did_not_acknowledge() {
    let name = "a replay through a broker that is stopped";
    let Some(mut broker) = Durable::start(name) else { return };
    let url = format!("mqtt://{}", broker.addr);
    let mut mirror = Mirror::of(1, &url, &["--silent"]);
    mirror.start_and_wait();
    let table = mirror.dir.path().join("rows.csv");
    let rows: String = (0..300).map(|n| format!("{n},{}\n", 20.0 + f64::from(n) / 100.0)).collect();
    std::fs::write(&table, format!("s,t\n{rows}")).unwrap();
    let mut replay = super::common::twinfleet_command();
    replay.arg("replay").arg(&table).args(["--time", "s", "--map", "probe.temperature=t:C", "--id", "d0"]);
    replay.args(["--qos", "1", "--speed", "50x", "--broker", &url]);
    let mut replay = Process(replay.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut dice = Dice(5);
    for _ in 0..5 {
        dice.sleep(300, 700);
        broker.terminate();
        dice.sleep(50, 200);
        broker.again();
    }
    let code = replay.0.wait().unwrap().code();
    let mut said = String::new();
    replay.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("keep what they publish") && said.contains("the broker is back"), "{said}");
    until("the last reading", || {
        mirror.json("/api/v1/twins/d0")["signals"]["probe.temperature"]["reported"] == 22.99
    });
    assert_eq!(mirror.stop(), Some(0));
    let store = Store::open(&mirror.store()).unwrap();
    let kept = store.reader().messages(0, 10_000).unwrap();
    let values: BTreeSet<String> = kept
        .iter()
        .filter_map(|(_, m)| serde_json::from_slice::<serde_json::Value>(&m.payload).ok())
        .filter_map(|p| Some(p.get("probe.temperature")?.to_string()))
        .collect();
    assert_eq!(values.len(), 300);
}

#[test]
fn doubles_come_back_to_a_broker_that_was_stopped() {
    let name = "doubles at a broker that is stopped";
    let Some(mut broker) = Durable::start(name) else { return };
    let url = format!("mqtt://{}", broker.addr);
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..150).map(|n| format!("{n},{}\n", 20 + n % 5)).collect();
    std::fs::write(dir.path().join("rows.csv"), format!("s,t\n{rows}")).unwrap();
    let text = r#"Scenario(format: 1, duration: "150s", step: "1s", physicals: [(
        id: "plug", from: Recording(path: "rows.csv", time: "s", map: {"air.temperature@reported": "t degC"}),
        publish: (topic: "plug", payload: Dialect(name: "tasmota", map: {"air.temperature": "AM2301/Temperature"})),
    )])"#;
    let file = dir.path().join("plug.ron");
    std::fs::write(&file, text).unwrap();
    let mut replay = super::common::twinfleet_command();
    replay.arg("replay").arg(&file).args(["--as-devices", "--speed", "10x", "--broker", &url]);
    let mut replay = Process(replay.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    // What was kept from before is no birth.
    let born = |was_there: bool| {
        let mut watch = connect(&url);
        watch.subscribe(&[("tele/plug/#", 1)], PATIENCE).unwrap();
        let mut heard = BTreeSet::new();
        until("its birth and a reading", || {
            let mut take = |topic: &str, is_kept: bool| {
                if !(was_there && is_kept) {
                    heard.insert(topic.to_owned());
                }
            };
            watch.pump(Some(Duration::from_millis(50)), |m| take(m.topic(), m.retain)).unwrap();
            ["tele/plug/LWT", "tele/plug/SENSOR"].iter().all(|topic| heard.contains(*topic))
        });
    };
    born(false);
    broker.terminate();
    thread::sleep(Duration::from_millis(300));
    broker.again();
    born(true);
    let code = replay.0.wait().unwrap().code();
    let mut said = String::new();
    replay.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("come back by themselves") && said.contains("the devices are back"), "{said}");
}
