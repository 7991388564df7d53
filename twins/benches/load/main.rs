//! The load generator alone, against a sink that takes everything and acknowledges it: messages a second of one worker with
//! schedule, stamps and ledger on, beside a raw writer of packets encoded beforehand over as many connections; and what
//! connections cost.
//!
//! `cargo bench -p twinfleet-twins --bench load`. The sink is a process of its own, and so is each part, so that no part finds
//! memory that an earlier one has freed. What counts is the CPU time of the writing thread, since it shares two cores with the
//! sink here. `… --bench load -- sink PORT` is such a sink for others to use.

mod raw;
mod sink;

use sink::Sink;
use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};
use twinfleet_engine::{
    load::Stages,
    scenario::{self, source::Source},
};
use twinfleet_twins::load::{self, health, job::Job, socket::Dial};

/// Messages of a connection that leave together: 2,000,000/s over 1,000 connections, gathered for 20 ms.
const BATCH: usize = 40;
/// Messages of QoS 1 that a connection may have unacknowledged.
const WINDOW: usize = 1_000;

/// A load of so many devices at a rate that one worker cannot keep: it goes as fast as it can.
fn generator(
    sink: SocketAddr,
    connections: u32,
    qos: u8,
    per_s: f64,
    seconds: f64,
    batch_ms: u32,
) -> Figures {
    let before_bytes = health::resident_bytes();
    let spacing_us = f64::from(connections) / per_s * 1e6;
    let text = format!(
        "Scenario(format: 1, duration: \"1s\", load: (devices: [(id: \"d-{{}}\", count: {connections}, qos: {qos}, \
         schedule: Constant(\"{spacing_us}us\"), in_flight: {WINDOW})], stages: [Hold(for: \"{seconds}s\")], \
         connects_per_s: 100000, batch: \"{batch_ms}ms\", drain: \"500ms\"))"
    );
    let read = scenario::read(&Source::embedded("bench.ron", &text)).expect("a scenario");
    let def = Arc::new(read.load.expect("a load"));
    let (devices, subscribers) = Job::members(&def, "", |_| Vec::new());
    let job = Job {
        stages: Arc::new(Stages::new(&def.stages)),
        load: def,
        seed: 1,
        prefix: "".into(),
        shard: (0, 1),
        run: 1,
        earlier: Arc::default(),
        devices: Arc::new(devices),
        subscribers: Arc::new(subscribers),
        dial: Dial { to: sink, sources: "127.0.0.2-127.0.0.9".parse().expect("sources"), no_delay: true },
        wraps: Default::default(),
        login: None,
        workers: 1,
        start_at_unix_ns: None,
        keep_trace: false,
        start_signal: Arc::new(i64::MAX.into()),
        stopped: Default::default(),
        embedded: false,
    };
    let job_bytes = health::resident_bytes().saturating_sub(before_bytes);
    let stop = AtomicBool::new(false);
    let done = load::run(job, Vec::new(), &stop, |_| ()).expect("it runs");
    let sent: u64 = done.tally.devices.values().map(|d| d.count()).sum();
    let acknowledged: u64 =
        done.tally.devices.values().flat_map(|d| &d.sent).map(|s| s.acknowledged.len()).sum();
    Figures {
        sent,
        acknowledged,
        cpu_s: done.tally.cpu.iter().map(|c| c.ran_ns as f64 * 1e-9).sum(),
        // With what the job takes, which is made before the run begins.
        memory: done.memory.connections + job_bytes,
        connect_s: done.connect_s,
        connected: done.tally.counts.connected,
        notes: done.tally.accusations.iter().map(|a| a.text.clone()).collect(),
    }
}

struct Figures {
    sent: u64,
    acknowledged: u64,
    cpu_s: f64,
    memory: u64,
    connect_s: f64,
    connected: u64,
    notes: Vec<String>,
}

/// Throughput of one worker beside the raw writer.
fn throughput(sink: SocketAddr, qos: u8) {
    // The raw writer first and last: the machine may drift.
    let before = raw::write(sink, 1_000, qos, BATCH, WINDOW, 1.5);
    let ours = generator(sink, 1_000, qos, 2_000_000.0, 3.0, 20);
    let after = raw::write(sink, 1_000, qos, BATCH, WINDOW, 1.5);
    let raw_rate = (before.messages + after.messages) as f64 / (before.cpu_s + after.cpu_s);
    let n = if qos == 0 { ours.sent } else { ours.acknowledged };
    let rate = n as f64 / ours.cpu_s;
    println!(
        "QoS {qos}: {rate:>9.0} messages/s per core ({n} in {:.2} s of CPU), raw writer {raw_rate:>9.0}, ratio {:.2}",
        ours.cpu_s,
        rate / raw_rate
    );
}

/// What connections cost that hardly say anything.
fn connections(sink: SocketAddr, count: u32) {
    let idle = generator(sink, count, 0, f64::from(count), 1.0, 0);
    println!(
        "{:>6} connections: {:.1} KiB each, {:.0} connects/s {}",
        idle.connected,
        idle.memory as f64 / 1024.0 / f64::from(count),
        idle.connected as f64 / idle.connect_s,
        idle.notes.join("; ")
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let number = |text: &str| text.parse::<u32>().expect("a number");
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink", port] => sink::be(number(port) as u16).expect("a sink"),
        ["throughput", qos, sink] => throughput(sink.parse().expect("an address"), number(qos) as u8),
        ["connections", count, sink] => connections(sink.parse().expect("an address"), number(count)),
        ["--test" | "--list", ..] => {}
        _ => {
            println!(
                "one worker, 64-byte payloads, into a sink; messages over 1,000 connections, per second of the writing \
                 thread's CPU time; memory is the process's own"
            );
            let parts = [("connections", 1_000), ("connections", 9_900), ("connections", 19_900)];
            for (part, n) in parts.into_iter().chain([("throughput", 0), ("throughput", 1)]) {
                let sink = Sink::start();
                let program = std::env::current_exe().expect("this program");
                let status =
                    Command::new(program).args([part, &n.to_string(), &sink.addr.to_string()]).status();
                assert!(status.expect("it runs").success(), "{part} {n} failed");
            }
        }
    }
}
