//! A mirror without a broker: messages a second from the socket to twin and state document, latency, bytes a twin.
//!
//! `cargo bench -p twinfleet-twins --bench mirror_in`. A thread speaks as a broker would and writes prepared packets into
//! a loopback socket; the other thread, which is measured, does what `twinfleet mirror` does: its connection, its state
//! documents, its engine's tick, and in the second figure its store, whose commit comes before the acknowledgements.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use twinfleet_engine::{
    message::Message,
    mirror::follow,
    plan::Plan,
    predict::{Estimator, kalman::Filter},
    run::Run,
    scenario::{Scenario, source::Source},
    time::SimTime,
    world::{Rows, Watch},
};
use twinfleet_twins::{
    catalog,
    mirror::{
        keeper::{Bound, Keeper},
        store::{Batch, HistoryRow, RawMessage, Store},
    },
    wire::client::{ConnectOptions, Connection},
};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const THING: &str = r#"(name: "cooling", source: "bench", dynamics: (
    parameters: {"c": (value: 100.0), "g": (value: 1.0), "room": (value: 20.0)},
    boundaries: [(name: "room", at: Parameter("room"))],
    storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.01)],
    conductances: [(between: ("box", "room"), value: "g")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)]))"#;

/// Twins that hear messages in turn, and messages of each.
const TWINS: usize = 1_000;
const EACH: usize = 300;
/// Messages before the count begins.
const WARM_UP: usize = 50 * TWINS;
/// Twins of the figure on memory, and messages of each after which it is told.
const MANY: usize = 100_000;
const YOUNG: [i64; 3] = [1, 5, 20];
/// The same of twins that remember all that they ever will.
const SOME: usize = 2_000;
const OLD: [i64; 3] = [200, 1_300, 2_600];

fn main() -> Result<(), Failed> {
    // `-- memory` takes the second part alone.
    if std::env::args().any(|a| a == "memory") {
        return memory();
    }
    println!("{TWINS} twins of one storage with state documents, one thread");
    for qos in 0..=1 {
        for stored in [false, true] {
            let fast = follow(qos, stored, None)?;
            let rate = (fast.per_cpu_s * 0.5).min(75_000.0);
            let steady = follow(qos, stored, Some(rate))?;
            println!(
                "QoS {qos}, {}: {:>8.0} messages/s of one core, {:>8.0}/s passed; at {rate:.0}/s p50 {:.2} ms, p99 {:.2} ms",
                if stored { "stored  " } else { "no store" },
                fast.per_cpu_s,
                fast.per_s,
                steady.quantile_ms(0.5),
                steady.quantile_ms(0.99),
            );
        }
    }
    memory()
}

struct Measured {
    per_cpu_s: f64,
    per_s: f64,
    latencies_ms: Vec<f64>,
}

impl Measured {
    fn quantile_ms(&self, q: f64) -> f64 {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get((q * (sorted.len().max(1) - 1) as f64) as usize).copied().unwrap_or(f64::NAN)
    }
}

struct Twins {
    run: Run,
    keeper: Keeper,
    topics: Vec<Arc<str>>,
    /// Signals of a twin.
    channels: u32,
}

impl Twins {
    fn new(count: usize, watched: bool) -> Result<Self, Failed> {
        let twins: String = (0..count)
            .map(|i| format!(r#"(twin: "d{i}", thing: "cooling", bind: [(topic: "f/{{device}}")]),"#))
            .collect();
        let text = format!(r#"Scenario(format: 1, duration: "24h", mirror: [{twins}], things: [{THING}])"#);
        let scenario: Scenario = twinfleet_engine::scenario::read(&Source::embedded("bench", &text))
            .map_err(|r| format!("{} errors", r.errors()))?;
        let catalog = catalog::builtin().map_err(|r| format!("{} errors", r.errors()))?;
        let plan = Plan::new(Arc::new(scenario), Arc::new(catalog), PathBuf::new(), 0, (0, 1))?;
        let watch = Watch(vec![watched; plan.signals.len()]);
        let mut run = Run::new(&plan, 1, watch)?;
        let network = plan.scenario.things[0].dynamics.clone().ok_or("a thing without dynamics")?;
        // Twins of one model share it, as those of a mirror do.
        let filter = Filter::new(&network, &[])?;
        let (world, schedule) = run.parts();
        follow::install::<Failed>(world, schedule, &plan, &|_| {
            Ok((Box::new(filter.clone()) as Box<dyn Estimator>).into())
        })?;
        let channels = plan.signals.len() / count.max(1);
        let topics: Vec<Arc<str>> = (0..count).map(|i| format!("f/d{i}").into()).collect();
        let bound = topics.iter().enumerate().map(|(i, t)| Bound {
            twin: format!("d{i}"),
            states: vec![(t.to_string(), Some("/ts".to_owned()))],
            ..Bound::default()
        });
        Ok(Self { run, keeper: Keeper::new(bound.collect()), topics, channels: channels as u32 })
    }

    fn take(&mut self, messages: &[RawMessage], seq: &mut u64) -> Batch {
        let mut inbox = Vec::with_capacity(messages.len());
        let mut last = self.run.now();
        for m in messages {
            self.keeper.hear(&m.topic, &m.payload, m.arrived_unix_ns / 1_000_000);
            *seq += 1;
            last = SimTime(m.arrived_unix_ns).max(last);
            let (topic, payload) = (Arc::clone(&m.topic), Arc::clone(&m.payload));
            inbox.push(Message {
                sent: last,
                due: last,
                publisher: u32::MAX,
                seq: *seq,
                topic,
                payload,
                qos: m.qos,
                retain: false,
            });
        }
        self.run.tick_until(last, inbox);
        let rows = std::mem::take(&mut self.run.world_mut().resource_mut::<Rows>().0);
        // What a twin told of one instant is one row, as in a mirror's book.
        let mut history: Vec<HistoryRow> = Vec::new();
        for r in &rows {
            let (twin, value) = (r.signal.0 / self.channels, ((r.signal.0 % self.channels) as u16, r.value));
            match history.last_mut().filter(|h| h.twin == twin && h.t_unix_ns == r.t.0) {
                Some(last) => last.values.push(value),
                None => history.push(HistoryRow { twin, t_unix_ns: r.t.0, values: vec![value] }),
            }
        }
        Batch { history, ..Batch::default() }
    }
}

fn payload(k: usize) -> String {
    format!(
        "{{\"ts\":{},\"probe.temperature\":{:.2},\"rssi\":-61}}",
        1_767_225_600_000_i64 + (k / TWINS) as i64 * 1_000,
        20.0 + (k % 7) as f64 / 100.0
    )
}

/// Packets of so many messages, one after the other.
fn packets(from: usize, to: usize, qos: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for k in from..to {
        let (topic, payload) = (format!("f/d{}", k % TWINS), payload(k));
        let body = 2 + topic.len() + payload.len() + if qos > 0 { 2 } else { 0 };
        out.push(0x30 | qos << 1);
        // Both lengths fit two digits to the base of 128.
        out.extend_from_slice(&[(body % 128) as u8 | 0x80, (body / 128) as u8]);
        out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        out.extend_from_slice(topic.as_bytes());
        if qos > 0 {
            out.extend_from_slice(&((k % 60_000) as u16 + 1).to_be_bytes());
        }
        out.extend_from_slice(payload.as_bytes());
    }
    out
}

/// Answers CONNECT, then writes the packets: all at once, or at a steady rate; what comes back is thrown away.
fn speak(listener: &TcpListener, qos: u8, rate: Option<f64>) -> Result<(), Failed> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    // CONNECT arrives in one piece on loopback; what it says does not matter here.
    let _connect = stream.read(&mut [0; 1024])?;
    stream.write_all(&[0x20, 2, 0, 0])?;
    let mut back = stream.try_clone()?;
    thread::spawn(move || while back.read(&mut [0; 65_536]).is_ok_and(|n| n > 0) {});
    let all = TWINS * EACH;
    let step = rate.map_or(5_000, |r| (r / 1_000.0).max(1.0) as usize);
    let prepared: Vec<Vec<u8>> =
        (0..all).step_by(step).map(|from| packets(from, (from + step).min(all), qos)).collect();
    let start = Instant::now();
    for (i, bytes) in prepared.iter().enumerate() {
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64((i * step) as f64 / rate);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        stream.write_all(bytes)?;
    }
    thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn follow(qos: u8, stored: bool, rate: Option<f64>) -> Result<Measured, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr: SocketAddr = listener.local_addr()?;
    let mut twins = Twins::new(TWINS, stored)?;
    let dir = tempfile::tempdir()?;
    let mut store = stored.then(|| Store::open(dir.path())).transpose()?;
    // It ends with its socket.
    thread::spawn(move || speak(&listener, qos, rate));
    let mut connection = Connection::connect(&ConnectOptions {
        hold_acks: true,
        keep_alive_s: 0,
        ..ConnectOptions::new(addr)
    })?;
    let begin = Instant::now();
    let (mut taken, mut seq, mut heard) = (0, 0, Vec::new());
    let (mut counted, mut latencies_ms, mut first) = (None, Vec::new(), None);
    while taken < TWINS * EACH {
        connection.pump(Some(Duration::from_millis(20)), |m| {
            let place: usize = m.topic()[3..].parse().unwrap_or(0);
            heard.push(RawMessage {
                arrived_unix_ns: begin.elapsed().as_nanos() as i64,
                qos: m.qos,
                topic: Arc::clone(&twins.topics[place]),
                payload: m.payload[..].into(),
                ..RawMessage::default()
            });
        })?;
        if heard.is_empty() {
            continue;
        }
        let start = *first.get_or_insert_with(Instant::now);
        let mut batch = twins.take(&heard, &mut seq);
        batch.documents = twins.keeper.changed();
        let n = heard.len();
        batch.messages = std::mem::take(&mut heard);
        if let Some(store) = &mut store {
            store.commit(&batch)?;
        }
        connection.acknowledge(n);
        if let Some(rate) = rate {
            let now_s = start.elapsed().as_secs_f64();
            let late = (taken..taken + n)
                .filter(|k| *k >= WARM_UP)
                .map(|k| 1e3 * (now_s - k as f64 / rate).max(0.0));
            latencies_ms.extend(late);
        }
        taken += n;
        if taken >= WARM_UP && counted.is_none() {
            counted = Some((taken, Instant::now(), cpu_s()));
        }
    }
    let (from, since, cpu) = counted.ok_or("nothing was counted")?;
    let n = (taken - from) as f64;
    Ok(Measured { per_cpu_s: n / (cpu_s() - cpu), per_s: n / since.elapsed().as_secs_f64(), latencies_ms })
}

/// Processor time of this thread, [s].
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

/// Memory of this process in use, [bytes].
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(f64::NAN) * 4096.0
}

fn memory() -> Result<(), Failed> {
    // The old ones first: what they leave behind is little beside the many.
    memory_of(SOME, &OLD)?;
    memory_of(MANY, &YOUNG)
}

fn memory_of(count: usize, told: &[i64]) -> Result<(), Failed> {
    let before = resident();
    let mut twins = Twins::new(count, false)?;
    let built = resident();
    println!("{count} twins: {:.0} bytes a twin before the first message", (built - before) / count as f64);
    let mut seq = 0;
    for k in 0..told.last().copied().unwrap_or_default() {
        // One that stood still would be examined for being stuck.
        let (ts, probe) = (1_767_225_600_000 + k * 1_000, 20.0 + (k % 7) as f64 / 100.0);
        let text = format!("{{\"ts\":{ts},\"probe.temperature\":{probe:.2},\"rssi\":-61}}");
        let messages: Vec<RawMessage> = twins
            .topics
            .iter()
            .map(|topic| RawMessage {
                arrived_unix_ns: k * 1_000_000_000,
                topic: Arc::clone(topic),
                payload: text.as_bytes().into(),
                ..RawMessage::default()
            })
            .collect();
        twins.take(&messages, &mut seq);
        drop(messages);
        if told.contains(&(k + 1)) {
            let each = (resident() - before) / count as f64;
            println!("{count} twins: {each:.0} bytes a twin after {} messages each", k + 1);
        }
    }
    let documents: usize = twins.keeper.changed().iter().map(|(_, d)| d.len()).sum();
    println!("a state document is {} bytes as JSON", documents / count);
    Ok(())
}
