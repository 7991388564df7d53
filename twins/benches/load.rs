//! The load generator alone, against a sink that takes everything and acknowledges it: messages a second of one worker with
//! schedule, stamps and ledger on, beside a plain loop that writes packets encoded beforehand over as many connections.
//!
//! `cargo bench -p twinfleet-twins --bench load`. The sink runs in this process on threads of its own; what counts is the CPU
//! time of the writing thread, since sender and sink share two cores here.

use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use twinfleet_engine::{
    load::Stages,
    scenario::{self, source::Source},
};
use twinfleet_twins::load::{self, health::CpuTime, job::Job, socket::Dial};

/// A sink that parses just enough to acknowledge.
struct Sink {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Self {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (stop, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, count) = (Arc::clone(&stop), Arc::clone(&bytes));
        thread::spawn(move || {
            let mut poll = Poll::new().expect("a poll");
            poll.registry()
                .register(&mut listener, Token(usize::MAX), Interest::READABLE)
                .expect("registered");
            let mut events = Events::with_capacity(4_096);
            let mut conns: Vec<Option<(mio::net::TcpStream, Vec<u8>)>> = Vec::new();
            let mut chunk = vec![0; 256 << 10];
            while !ended.load(Relaxed) {
                let _ = poll.poll(&mut events, Some(Duration::from_millis(50)));
                for event in &events {
                    if event.token().0 == usize::MAX {
                        while let Ok((mut stream, _)) = listener.accept() {
                            let token = Token(conns.len());
                            poll.registry()
                                .register(&mut stream, token, Interest::READABLE)
                                .expect("registered");
                            conns.push(Some((stream, Vec::new())));
                        }
                        continue;
                    }
                    let slot = &mut conns[event.token().0];
                    let Some((stream, rest)) = slot else { continue };
                    let mut out = Vec::new();
                    let ended = loop {
                        match stream.read(&mut chunk) {
                            Ok(0) => break true,
                            Ok(n) => {
                                count.fetch_add(n as u64, Relaxed);
                                take(rest, &chunk[..n], &mut out);
                            }
                            Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
                            Err(_) => break true,
                        }
                    };
                    // The answers are small: they fit.
                    let _ = stream.write_all(&out);
                    if ended {
                        *slot = None;
                    }
                }
            }
        });
        Self { addr, stop, bytes }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// Answers CONNECT and PUBLISH of QoS 1.
fn take(rest: &mut Vec<u8>, more: &[u8], out: &mut Vec<u8>) {
    rest.extend_from_slice(more);
    let mut at = 0;
    while let Some(length) = whole(&rest[at..]) {
        let packet = &rest[at..at + length];
        match packet[0] {
            0x10 => out.extend_from_slice(&[0x20, 2, 0, 0]),
            first if first & 0xf6 == 0x32 => {
                let head = if packet[1] & 0x80 == 0 { 2 } else { 3 };
                let topic = usize::from(u16::from_be_bytes([packet[head], packet[head + 1]]));
                let id = head + 2 + topic;
                out.extend_from_slice(&[0x40, 2, packet[id], packet[id + 1]]);
            }
            _ => {}
        }
        at += length;
    }
    rest.drain(..at);
}

fn whole(bytes: &[u8]) -> Option<usize> {
    let (first, second) = (*bytes.get(1)?, bytes.get(2).copied().unwrap_or(0));
    let (length, head) = match first & 0x80 {
        0 => (usize::from(first), 2),
        _ => (usize::from(first & 0x7f) | usize::from(second & 0x7f) << 7, 3),
    };
    (bytes.len() >= head + length).then_some(head + length)
}

/// A load of so many devices at a rate that one worker cannot keep: it goes as fast as it can.
fn generator(sink: &Sink, connections: u32, qos: u8, per_s: f64, seconds: f64, batch_ms: u32) -> Figures {
    let spacing_us = f64::from(connections) / per_s * 1e6;
    let text = format!(
        "Scenario(format: 1, duration: \"1s\", load: (devices: [(id: \"d-{{}}\", count: {connections}, qos: {qos}, \
         schedule: Constant(\"{spacing_us}us\"), in_flight: 1000)], stages: [Hold(for: \"{seconds}s\")], \
         connects_per_s: 100000, batch: \"{batch_ms}ms\", drain: \"500ms\"))"
    );
    let read = scenario::read(&Source::embedded("bench.ron", &text)).expect("a scenario");
    let def = Arc::new(read.load.expect("a load"));
    let (devices, subscribers) = Job::members(&def, "", |_| Vec::new());
    let job = Job {
        stages: Arc::new(Stages::new(&def.stages)),
        load: def,
        seed: 1,
        shard: (0, 1),
        run: 1,
        devices: Arc::new(devices),
        subscribers: Arc::new(subscribers),
        dial: Dial {
            to: sink.addr,
            sources: "127.0.0.2-127.0.0.9".parse().expect("sources"),
            no_delay: true,
        },
        wraps: Default::default(),
        login: None,
        workers: 1,
        start_at_unix_ns: None,
        keep_trace: false,
        start_signal: Arc::new(i64::MAX.into()),
        stopped: Default::default(),
    };
    let stop = AtomicBool::new(false);
    let done = load::run(job, Vec::new(), &stop, |_| ()).expect("it runs");
    let sent: u64 = done.tally.devices.values().map(|d| u64::from(d.sent.count)).sum();
    let acknowledged: u64 = done.tally.devices.values().map(|d| d.sent.acknowledged.len()).sum();
    Figures {
        sent,
        acknowledged,
        cpu_s: done.tally.cpu.iter().map(|c| c.ran_ns as f64 * 1e-9).sum(),
        memory: done.memory_bytes,
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

/// The raw writer: packets encoded beforehand, sixteen a write, round the connections; for QoS 1 it reads the answers.
fn raw(sink: &Sink, connections: usize, qos: u8, seconds: f64) -> (u64, f64) {
    use twinfleet_engine::scenario::load::Protocol;
    use twinfleet_twins::load::codec;
    let mut packet = Vec::new();
    for pkid in 1..=16 {
        let head = codec::Outgoing { topic: b"load/d-123", qos, retain: false, dup: false, pkid };
        codec::put_publish(&mut packet, Protocol::V311, head, 64);
        packet.resize(packet.len() + 64, 7);
    }
    let mut sockets = Vec::new();
    for i in 0..connections {
        let mut socket = std::net::TcpStream::connect(sink.addr).expect("connected");
        let mut hello = Vec::new();
        let id = format!("raw-{i}");
        let connect = codec::Hello {
            protocol: Protocol::V311,
            client_id: &id,
            persistent: false,
            keep_alive_s: 60,
            login: None,
            will: None,
        };
        codec::put_connect(&mut hello, connect);
        socket.write_all(&hello).expect("written");
        let mut answer = [0; 4];
        socket.read_exact(&mut answer).expect("a welcome");
        socket.set_nonblocking(true).expect("non-blocking");
        sockets.push(socket);
    }
    let (begin, cpu) = (Instant::now(), CpuTime::of_thread());
    let mut sent = 0;
    let mut answers = vec![0; 4 << 10];
    let mut partial = vec![0; connections];
    while begin.elapsed().as_secs_f64() < seconds {
        for (i, socket) in sockets.iter_mut().enumerate() {
            let from: usize = partial[i];
            match socket.write(&packet[from..]) {
                Ok(n) => {
                    partial[i] = (from + n) % packet.len();
                    sent += u64::from(from + n == packet.len()) * 16;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
            if qos > 0 {
                while matches!(socket.read(&mut answers), Ok(n) if n == answers.len()) {}
            }
        }
    }
    (sent, CpuTime::of_thread().since(cpu).ran_ns as f64 * 1e-9)
}

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let sink = Sink::start();
    println!(
        "one worker, 1,000 connections, 64-byte payloads, into a sink; per second of the writing thread's CPU time"
    );
    for qos in [0, 1] {
        // The raw writer first and last: the machine may drift.
        let (before, cpu_before) = raw(&sink, 1_000, qos, 1.5);
        let ours = generator(&sink, 1_000, qos, 2_000_000.0, 3.0, 20);
        let (after, cpu_after) = raw(&sink, 1_000, qos, 1.5);
        let raw_rate = (before + after) as f64 / (cpu_before + cpu_after);
        let n = if qos == 0 { ours.sent } else { ours.acknowledged };
        let rate = n as f64 / ours.cpu_s;
        println!(
            "QoS {qos}: {:>9.0} messages/s per core ({n} in {:.2} s of CPU), raw writer {raw_rate:>9.0}, ratio {:.2}",
            rate,
            ours.cpu_s,
            rate / raw_rate
        );
    }
    for connections in [1_000, 9_900] {
        let idle = generator(&sink, connections, 0, f64::from(connections), 1.0, 0);
        println!(
            "{} connections: {:.1} KiB each, {:.0} connects/s {}",
            idle.connected,
            idle.memory as f64 / 1024.0 / f64::from(connections),
            idle.connected as f64 / idle.connect_s,
            idle.notes.join("; ")
        );
    }
    println!("{} MiB went into the sink", sink.bytes.load(Relaxed) >> 20);
}
