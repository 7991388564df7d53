//! MQTT in → payload decoded → handed to a consumer, in one process: messages a second and latency.
//!
//! `cargo bench -p twinfleet-twins --bench mqtt_in`. Two figures per broker and quality of service: the highest rate that
//! passes, and the latency from publish to consumer at a steady 100,000 messages a second, where the sender's intended
//! time counts, so that a queue in front of a slow broker shows.

use serde::Deserialize;
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use twinfleet_twins::wire::{
    WireError,
    broker::{Broker, BrokerConfig},
    client::{ConnectOptions, Connection},
};

/// Publishers' topics, one per device.
const DEVICES: u64 = 1_000;
/// Messages of ours on their way, so that QoS 1 has what a device library would allow.
const WINDOW: usize = 10_000;
/// The steady rate, [messages/s].
const RATE: u64 = 100_000;
const WAIT: Option<Duration> = Some(Duration::from_millis(100));

#[derive(Deserialize)]
struct Payload {
    at_ns: u64,
    temperature_c: f64,
}

struct Figures {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

fn main() -> Result<(), WireError> {
    let embedded = Broker::start(BrokerConfig::default())?;
    let mut brokers = vec![("embedded", embedded.addr())];
    let mosquitto = start_mosquitto();
    if let Some((_, _, addr)) = &mosquitto {
        brokers.push(("mosquitto", *addr));
    }
    println!("broker     QoS  messages/s   p50 ms   p99 ms   max ms  (latency at {RATE}/s)");
    for (name, addr) in brokers {
        for qos in 0..=1 {
            let burst = measure(addr, qos, 500_000, None)?;
            let steady = measure(addr, qos, 3 * RATE, Some(RATE))?;
            println!(
                "{name:<9}  {qos:>3}  {:>10.0}  {:>7.3}  {:>7.3}  {:>7.3}{}",
                burst.per_s,
                steady.p50_ms,
                steady.p99_ms,
                steady.max_ms,
                if steady.per_s < 0.95 * RATE as f64 { "  (rate not reached)" } else { "" }
            );
        }
    }
    if let Some((mut child, _, _)) = mosquitto {
        child.kill().ok();
        child.wait().ok();
    }
    Ok(())
}

fn measure(addr: std::net::SocketAddr, qos: u8, count: u64, rate: Option<u64>) -> Result<Figures, WireError> {
    let mut consumer = Connection::connect(&ConnectOptions::new(addr))?;
    consumer.subscribe(&[("bench/#", qos)], Duration::from_secs(5))?;
    let mut publisher = Connection::connect(&ConnectOptions::new(addr))?;
    let start = Instant::now();
    let sender = thread::spawn(move || -> Result<(), WireError> {
        for i in 0..count {
            let due = rate.map(|rate| Duration::from_nanos(i * 1_000_000_000 / rate));
            if let Some(due) = due {
                while start.elapsed() < due {
                    publisher.pump(None, |_| ())?;
                    // Paced to a tenth of a millisecond: a spin would take the broker's core.
                    thread::sleep(Duration::from_micros(100));
                }
            }
            let at_ns = due.unwrap_or_else(|| start.elapsed()).as_nanos() as u64;
            let payload = format!("{{\"at_ns\":{at_ns},\"temperature_c\":21.{:03}}}", i % 1000);
            publisher.publish(&format!("bench/{}/state", i % DEVICES), payload.as_bytes(), qos, false)?;
            if publisher.waiting_bytes() > 16 << 10 {
                publisher.make_room(8 << 10, Duration::from_secs(30), |_| ())?;
            }
            while publisher.unacknowledged() >= WINDOW {
                publisher.pump(WAIT, |_| ())?;
            }
        }
        publisher.disconnect(Duration::from_secs(30))
    });
    let (mut latencies_ns, mut sum) = (Vec::with_capacity(count as usize), 0.0);
    let mut last = Instant::now();
    while (latencies_ns.len() as u64) < count {
        let taken = consumer.pump(WAIT, |received| {
            // Malformed payloads would be lost figures; there are none.
            if let Ok(payload) = serde_json::from_slice::<Payload>(&received.payload) {
                latencies_ns.push((start.elapsed().as_nanos() as u64).saturating_sub(payload.at_ns));
                sum += payload.temperature_c;
            }
        })?;
        let now = Instant::now();
        if taken > 0 {
            last = now;
        } else if now - last > Duration::from_secs(10) {
            println!("  {} of {count} messages did not arrive", count - latencies_ns.len() as u64);
            break;
        }
    }
    let per_s = latencies_ns.len() as f64 / (last - start).as_secs_f64();
    std::hint::black_box(sum);
    sender.join().unwrap_or(Ok(()))?;
    latencies_ns.sort_unstable();
    let quantile = |q: f64| {
        let i = (latencies_ns.len().saturating_sub(1) as f64 * q) as usize;
        latencies_ns.get(i).map_or(f64::NAN, |ns| *ns as f64 / 1e6)
    };
    Ok(Figures { per_s, p50_ms: quantile(0.5), p99_ms: quantile(0.99), max_ms: quantile(1.0) })
}

/// Starts mosquitto on a free port, if it is installed.
fn start_mosquitto() -> Option<(Child, tempfile::NamedTempFile, std::net::SocketAddr)> {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
    let mut config = tempfile::NamedTempFile::new().ok()?;
    writeln!(
        config,
        "user root\nlistener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 1000\nmax_queued_messages 100000",
        addr.port()
    )
    .ok()?;
    let program = if std::path::Path::new("/usr/sbin/mosquitto").exists() {
        "/usr/sbin/mosquitto"
    } else {
        "mosquitto"
    };
    let child = Command::new(program)
        .arg("-c")
        .arg(config.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    for _ in 0..100 {
        if std::net::TcpStream::connect(addr).is_ok() {
            return Some((child, config, addr));
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}
