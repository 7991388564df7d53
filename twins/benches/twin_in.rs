//! MQTT in → twin updated, in one process: messages a second and latency.
//!
//! `cargo bench -p twinfleet-twins --bench twin_in`. A publisher's connection, the embedded broker over loopback TCP, and a
//! run's own way in: its exchange, its inbox, its twins. A thousand Raspberry Pis publish what the nine shipped recordings
//! hold, as the device of `pi3b-mirror` does; each has a twin with its filter, its verdicts and, as there, two forecasts a
//! reading. Beside them one storage that cools, to show what is the wire's and what the model's.
//!
//! Two figures per quality of service: the highest rate that passes with a bounded number of messages on their way, and
//! the latency from the time at which a message was due to be sent to the moment its twin is up to date, at a steady rate.

use rand::RngExt;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    hint::black_box,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use twinfleet_engine::{
    compare::{Judge, Reading},
    dynamics::{DynamicsDef, params::Params},
    message::Message,
    mirror::{
        decode::Decoder,
        follow,
        physical::{Feed, Physical},
    },
    plan::Plan,
    predict::{Estimator, kalman::Filter},
    rng,
    run::{Run, epoch_unix_ms},
    scenario::{DecodeDef, MirrorDef, Scenario, files::Files, recording::Recording, source::Source},
    time::{SimTime, Span},
    world::Watch,
};
use twinfleet_twins::{
    catalog,
    wire::{
        WireError,
        client::{ConnectOptions, Connection},
        exchange::{Exchange, ExchangeOptions},
        url::BrokerChoice,
    },
};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Twins, each with a topic of its own.
const TWINS: usize = 1_000;
/// One storage that cools into a room, measured once a second.
const COOLING: &str = r#"(name: "cooling", source: "bench", dynamics: (
    parameters: {"c": (value: 100.0), "g": (value: 1.0), "room": (value: 20.0)},
    boundaries: [(name: "room", at: Parameter("room"))],
    storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.01)],
    conductances: [(between: ("box", "room"), value: "g")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)]))"#;

/// Steady rate, [messages/s].
const RATE: u64 = 100_000;
/// Messages on their way at a time while the highest rate is looked for.
const WINDOW: u64 = 4_000;
/// Messages in all, and those at their beginning that warm the twins up and are not counted.
const COUNT: u64 = 400 * TWINS as u64;
const WARM_UP: u64 = 100 * TWINS as u64;
const THREADS: usize = 2;

fn main() -> Result<(), Failed> {
    let only = std::env::args().nth(1).filter(|a| !a.starts_with("--"));
    let wanted = |what: &str| only.as_ref().is_none_or(|o| what.contains(o.as_str()));
    let pi = Fleet::of_pis()?;
    if wanted("model") {
        println!("what a message costs on one core, [us], over the nine recorded hours");
        stages(&pi)?;
    }
    println!("{TWINS} twins, {THREADS} threads, publisher and broker beside them");
    println!("what                      messages/s  |  at messages/s   p50 ms   p99 ms   max ms");
    let cooling = Fleet::of_boxes()?;
    for (name, fleet) in [("raspberry-pi-3b", &pi), ("one storage", &cooling)] {
        for qos in 0..=1 {
            let name = format!("{name}, QoS {qos}");
            if wanted(&name) {
                measure(&name, fleet, qos)?;
            }
        }
    }
    Ok(())
}

fn measure(name: &str, fleet: &Fleet, qos: u8) -> Result<(), Failed> {
    let burst = follow_stream(fleet, qos, None)?;
    // Where the aim is out of reach: the highest rate at which no queue grows.
    let mut rate = if burst.per_s > RATE as f64 { RATE } else { (0.85 * burst.per_s) as u64 };
    let mut steady = follow_stream(fleet, qos, Some(rate))?;
    for _ in 0..3 {
        if steady.per_s > 0.98 * rate as f64 && steady.quantile_ms(0.99) < 50.0 {
            break;
        }
        rate = rate * 7 / 10;
        steady = follow_stream(fleet, qos, Some(rate))?;
    }
    println!(
        "{name:<24}  {:>10.0}  |  {:>13.0}  {:>7.3}  {:>7.3}  {:>7.3}",
        burst.per_s,
        steady.per_s,
        steady.quantile_ms(0.5),
        steady.quantile_ms(0.99),
        steady.quantile_ms(1.0),
    );
    println!("    CPU a message at the highest rate, [us]: {}", burst.cpu);
    Ok(())
}

/// A row of a recording as its device publishes it: when, and its payload behind the time stamp.
struct Row {
    t: SimTime,
    rest: String,
}

/// Devices, what they publish, and their twins.
struct Fleet {
    plan: Plan,
    files: Files,
    topics: Vec<String>,
    /// What each device publishes, and from which row on.
    streams: Vec<(Arc<Vec<Row>>, usize)>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The recorded hours of a Raspberry Pi under `assets/recordings/pi3b`, by their digits, in order.
fn recordings() -> Result<Vec<String>, Failed> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(repository().join("assets/recordings/pi3b"))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        found.extend(name.strip_prefix("pistress_").and_then(|n| n.strip_suffix(".csv")).map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

impl Fleet {
    fn of_pis() -> Result<Self, Failed> {
        let mut physicals = String::new();
        let recordings = recordings()?;
        for digits in &recordings {
            physicals += &format!(
                r#"(id: "r-{digits}", from: Recording(path: "assets/recordings/pi3b/pistress_{digits}.csv", time: "datetime", gaps: Offline,
                map: {{"cpu.load@reported": "usage %", "soc.temperature@reported": "temp C"}}),
                publish: (topic: "r/{{device}}", payload: Json)),"#
            );
        }
        let twin = |i: usize| {
            format!(
                r#"(twin: "pi-{i}", thing: "raspberry-pi-3b", params: "assets/params/pi3b-without-{}.ron",
                bind: [(topic: "fleet/{{device}}/state")], forecast: (horizons: ["60s", "300s"])),"#,
                recordings[i % recordings.len()]
            )
        };
        let mut fleet = Self::new(&physicals, "pi", &twin, "")?;
        let rows: Vec<Arc<Vec<Row>>> = fleet.recorded()?.into_iter().map(Arc::new).collect();
        fleet.streams =
            (0..TWINS).map(|i| (Arc::clone(&rows[i % rows.len()]), i / rows.len() * 25)).collect();
        Ok(fleet)
    }

    fn of_boxes() -> Result<Self, Failed> {
        let twin = |i: usize| {
            format!(r#"(twin: "box-{i}", thing: "cooling", bind: [(topic: "fleet/{{device}}/state")]),"#)
        };
        let mut fleet = Self::new("", "box", &twin, COOLING)?;
        let mut noise = rng::stream(1, "box", "bench");
        let row = |k: i64| Row {
            t: SimTime(k * 1_000_000_000),
            // A sum of twelve uniform numbers is normal enough.
            rest: format!(
                ",\"probe.temperature\":{:.3}}}",
                20.0 + 0.1 * ((0..12).map(|_| noise.random::<f64>()).sum::<f64>() - 6.0)
            ),
        };
        let rows = Arc::new((0..3_600).map(row).collect::<Vec<_>>());
        fleet.streams = (0..TWINS).map(|i| (Arc::clone(&rows), i)).collect();
        Ok(fleet)
    }

    fn new(
        physicals: &str,
        name: &str,
        twin: &dyn Fn(usize) -> String,
        things: &str,
    ) -> Result<Self, Failed> {
        let twins: String = (0..TWINS).map(twin).collect();
        let text = format!(
            r#"Scenario(format: 1, duration: "24h", step: "1ms", physicals: [{physicals}], mirror: [{twins}], things: [{things}])"#
        );
        let source = Source::embedded("bench", &text);
        let scenario: Scenario = twinfleet_engine::scenario::read(&source).map_err(|r| r.to_string())?;
        let catalog = catalog::builtin().map_err(|r| r.to_string())?;
        let plan = Plan::new(Arc::new(scenario), Arc::new(catalog), repository().to_owned(), 1, (0, 1))?;
        let files = Files::at(repository()).with_embedded(catalog::file);
        let topics = (0..TWINS).map(|i| format!("fleet/{name}-{i}/state")).collect();
        Ok(Self { plan, files, topics, streams: Vec::new() })
    }

    /// What the devices of the recordings publish, row by row.
    fn recorded(&self) -> Result<Vec<Vec<Row>>, Failed> {
        let mut all = Vec::new();
        for (i, def) in self.plan.scenario.physicals.iter().enumerate() {
            let table = Recording::of_physical(&def.from, &self.files, None).map_err(|r| r.to_string())?;
            let (mut events, mut out) = (Vec::new(), Vec::new());
            let mut physical = Physical::new(def, Feed::from_table(table)?, i as u32, &self.plan);
            physical.publish(SimTime::NEVER, 0, &mut events, &mut out);
            out.retain(|m| *m.topic == *format!("r/{}", def.id));
            let row = |m: Message| {
                let text = String::from_utf8_lossy(&m.payload).into_owned();
                Row { t: m.sent, rest: text[text.find(',').unwrap_or(0)..].to_owned() }
            };
            all.push(out.into_iter().map(row).collect());
        }
        Ok(all)
    }

    /// Puts the payload of the `i`-th message into `payload`; which device sends it.
    fn message(&self, i: u64, epoch_unix_ms: i64, payload: &mut Vec<u8>) -> usize {
        use std::io::Write;
        let (device, k) = (i as usize % TWINS, i as usize / TWINS);
        let (rows, first) = &self.streams[device];
        let row = &rows[first + k];
        let ts = epoch_unix_ms + (row.t - rows[*first].t).0 / 1_000_000;
        payload.clear();
        // Writing to memory does not fail.
        write!(payload, "{{\"ts\":{ts}{}", row.rest).ok();
        device
    }

    fn estimator(&self, def: &MirrorDef) -> Result<Box<dyn Estimator>, Failed> {
        Ok(Box::new(self.filter(def)?))
    }

    fn filter(&self, def: &MirrorDef) -> Result<Filter, Failed> {
        let own = self.plan.scenario.things.iter().find(|t| t.name == def.thing);
        let thing = own.or_else(|| self.plan.catalog.things.get(&def.thing)).ok_or("no such thing")?;
        let network = thing.dynamics.clone().ok_or("no dynamics")?;
        let network: DynamicsDef = match &def.params {
            Some(path) => {
                let text = std::fs::read_to_string(repository().join(path))?;
                Params::from_ron(&text)?.applied_to(&network)?
            }
            None => network,
        };
        Ok(Filter::new(&network, &def.learn)?)
    }

    fn run(&self) -> Result<Run, Failed> {
        let mut run = Run::new(&self.plan, THREADS, Watch(vec![false; self.plan.signals.len()]))?;
        let (world, schedule) = run.parts();
        // As the command does, twins of one model share it.
        let made: RefCell<Vec<(Option<String>, Filter)>> = RefCell::default();
        let make = |def: &MirrorDef| -> Result<follow::Followed, Failed> {
            let followed = |filter: Filter| follow::Followed { estimator: Box::new(filter), world: None };
            if let Some((_, filter)) = made.borrow().iter().find(|(params, _)| *params == def.params) {
                return Ok(followed(filter.clone()));
            }
            let filter = self.filter(def)?;
            made.borrow_mut().push((def.params.clone(), filter.clone()));
            Ok(followed(filter))
        };
        follow::install(world, schedule, &self.plan, &make)?;
        Ok(run)
    }
}

/// How a stream was followed.
struct Followed {
    per_s: f64,
    /// Sorted, [ns].
    latencies: Vec<u64>,
    cpu: String,
}

impl Followed {
    fn quantile_ms(&self, q: f64) -> f64 {
        let i = (self.latencies.len().saturating_sub(1) as f64 * q) as usize;
        self.latencies.get(i).map_or(f64::NAN, |ns| *ns as f64 / 1e6)
    }
}

/// Publishes the fleet's stream and follows it: as fast as it goes with [`WINDOW`] messages on their way, or at a rate.
fn follow_stream(fleet: &Fleet, qos: u8, rate: Option<u64>) -> Result<Followed, Failed> {
    // In a thread of its own, since a run's first worker is the thread that made it.
    thread::scope(|scope| {
        thread::Builder::new()
            .name("run".into())
            .spawn_scoped(scope, || run_stream(fleet, qos, rate))?
            .join()
            .map_err(|_| Failed::from("the run broke"))?
    })
}

fn run_stream(fleet: &Fleet, qos: u8, rate: Option<u64>) -> Result<Followed, Failed> {
    let mut exchange = Exchange::connect(&BrokerChoice::Embedded, ExchangeOptions::default())?;
    let addr = exchange.embedded_addr().ok_or("no broker")?;
    let mut run = fleet.run()?;
    let stream = Stream {
        fleet,
        qos,
        rate,
        begin: Instant::now(),
        done: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let followed = thread::scope(|scope| -> Result<Followed, Failed> {
        let sender = thread::Builder::new().name("publisher".into());
        let sender = sender.spawn_scoped(scope, || stream.publish(addr))?;
        let followed = stream.follow(&mut exchange, &mut run);
        stream.over.store(true, Relaxed);
        sender.join().map_err(|_| "the publisher broke")??;
        followed
    })?;
    follow::summarise(run.world_mut());
    let summary = &run.world().resource::<follow::TwinSummary>().0;
    let taken: u64 = summary.iter().map(|s| s.taken).sum();
    if taken != COUNT {
        return Err(format!("{taken} of {COUNT} messages were taken").into());
    }
    exchange.finish(false, Duration::from_secs(5))?;
    Ok(followed)
}

/// A fleet's messages under way.
struct Stream<'a> {
    fleet: &'a Fleet,
    qos: u8,
    /// None: as fast as it goes.
    rate: Option<u64>,
    begin: Instant,
    /// Messages whose twins are up to date.
    done: AtomicU64,
    /// Nobody listens any more.
    over: AtomicBool,
}

impl Stream<'_> {
    /// When a message is to be sent, where there is a rate.
    fn due(&self, i: u64) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_nanos(i * 1_000_000_000 / rate))
    }

    fn publish(&self, addr: std::net::SocketAddr) -> Result<(), WireError> {
        let mut connection = Connection::connect(&ConnectOptions::new(addr))?;
        let epoch = epoch_unix_ms(&self.fleet.plan);
        let mut payload = Vec::new();
        for i in 0..COUNT {
            let early = || self.due(i).is_some_and(|due| self.begin.elapsed() < due);
            let many = || self.rate.is_none() && i >= self.done.load(Relaxed) + WINDOW;
            // Paced to a tenth of a millisecond: a spin would take the others' core.
            while early() || many() || connection.unacknowledged() >= 60_000 {
                if self.over.load(Relaxed) {
                    return Ok(());
                }
                connection.pump(None, |_| ())?;
                thread::sleep(Duration::from_micros(100));
            }
            let device = self.fleet.message(i, epoch, &mut payload);
            connection.publish(&self.fleet.topics[device], &payload, self.qos, false)?;
            if connection.waiting_bytes() > 8 << 10 {
                connection.make_room(0, Duration::from_secs(30), |_| ())?;
            }
        }
        connection.disconnect(Duration::from_secs(30))?;
        // Its time counts, so the thread stays until that is read.
        while !self.over.load(Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The run's way in: what the exchange brings is a tick's inbox.
    fn follow(&self, exchange: &mut Exchange, run: &mut Run) -> Result<Followed, Failed> {
        let mut latencies = Vec::with_capacity(COUNT as usize);
        let (mut last, mut warm, mut before) = (self.begin, self.begin, cpu_times());
        let mut count = 0;
        while count < COUNT {
            exchange.wait(Duration::from_millis(100))?;
            let mut inbox = exchange.foreign();
            if inbox.is_empty() {
                if last.elapsed() > Duration::from_secs(10) {
                    return Err(format!("{count} of {COUNT} messages came").into());
                }
                continue;
            }
            let first = count;
            for message in &mut inbox {
                // Simulated time goes as the stream does, a second a round: recordings of one reading a second are played
                // so fast that a wall clock's millisecond would be a tenth of one.
                let t = SimTime((count * 1_000_000_000 / TWINS as u64) as i64);
                (message.sent, message.due) = (t, t);
                count += 1;
            }
            black_box(run.tick(inbox));
            last = Instant::now();
            self.done.store(count, Relaxed);
            if count <= WARM_UP {
                (warm, before) = (last, cpu_times());
                continue;
            }
            let now = last - self.begin;
            latencies.extend(
                (first..count).map(|i| now.saturating_sub(self.due(i).unwrap_or(now)).as_nanos() as u64),
            );
        }
        let counted = latencies.len() as u64;
        let cpu = divided(&before, &cpu_times(), counted);
        latencies.sort_unstable();
        Ok(Followed { per_s: counted as f64 / (last - warm).as_secs_f64(), latencies, cpu })
    }
}

/// CPU time of each thread of the process by name, [ns]; empty where the system does not tell.
fn cpu_times() -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        // The run's thread takes messages in and works on twins beside the others of its pool.
        let name = match read("comm").trim() {
            name @ ("publisher" | "broker") => name.to_owned(),
            name if name == "run" || name.starts_with("twinfleet") => "exchange and twins".to_owned(),
            _ => continue,
        };
        let ns = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        *all.entry(name).or_insert(0) += ns;
    }
    all
}

fn divided(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, messages: u64) -> String {
    let share = |(name, ns): (&String, &u64)| {
        let spent = ns.saturating_sub(before.get(name).copied().unwrap_or(0));
        format!("{name} {:.2}", spent as f64 / 1e3 / messages as f64)
    };
    after.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// CPU time of this thread, [s]: what others do meanwhile does not count. Where the system does not tell, the wall's.
fn own_cpu_s() -> f64 {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|t| t.split(' ').next()?.parse::<f64>().ok());
    ns.map_or_else(|| BEGIN.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

/// What the parts of a message's way cost without the wire.
fn stages(fleet: &Fleet) -> Result<(), Failed> {
    let epoch = epoch_unix_ms(&fleet.plan);
    let decoder = Decoder::new(&DecodeDef::Json, &["cpu.load", "soc.temperature"]);
    let mut samples: Vec<Vec<(SimTime, [f64; 2])>> = Vec::new();
    let mut payloads = Vec::new();
    for (rows, _) in &fleet.streams[..9] {
        let mut list = Vec::new();
        for row in rows.iter() {
            let payload = format!("{{\"ts\":{}{}", epoch + row.t.0 / 1_000_000, row.rest);
            let mut values = [f64::NAN; 2];
            let head = decoder.decode(payload.as_bytes(), &mut values)?;
            let ms = head.ts_ms.unwrap_or(0.0) as i64 - epoch;
            list.push((SimTime(ms * 1_000_000), values));
            payloads.push(payload);
        }
        samples.push(list);
    }
    let count = payloads.len() as f64;
    let said = |what: &str, work: &mut dyn FnMut() -> Result<(), Failed>| -> Result<(), Failed> {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let begin = own_cpu_s();
            work()?;
            best = best.min(own_cpu_s() - begin);
        }
        println!("  {what:<44} {:>8.3}", best * 1e6 / count);
        Ok(())
    };
    said("decode", &mut || {
        let mut values = [f64::NAN; 2];
        for payload in &payloads {
            black_box(decoder.decode(payload.as_bytes(), &mut values)?);
        }
        Ok(())
    })?;
    let over = |each: &mut dyn FnMut(&mut Filter, Span, &[f64; 2])| -> Result<(), Failed> {
        for (r, list) in samples.iter().enumerate() {
            let mut filter = fleet.filter(&fleet.plan.scenario.mirror[r])?;
            let mut last = list[0].0;
            for (t, values) in list {
                each(&mut filter, *t - last, values);
                last = *t;
            }
        }
        Ok(())
    };
    let step = |f: &mut Filter, dt: Span, v: &[f64; 2]| {
        f.predict(dt, &[Some(v[0])]);
        black_box(f.update(0, v[1]));
    };
    said("filter: predict and update", &mut || over(&mut |f, dt, v| step(f, dt, v)))?;
    said("  and two forecasts, 60 s and 300 s", &mut || {
        over(&mut |f, dt, v| {
            step(f, dt, v);
            f.forecasts(&[Span::from_secs(60), Span::from_secs(300)], &mut |h, o, g| {
                black_box((h, o, g));
            });
        })
    })?;
    slowest(fleet, &samples)?;
    said("filter and judge, no forecast", &mut || {
        for (r, list) in samples.iter().enumerate() {
            let mut judge = Judge::new(fleet.estimator(&fleet.plan.scenario.mirror[r])?);
            for (t, v) in list {
                judge.take(&Reading { t: *t, arrived: *t, inputs: &v[..1], outputs: &v[1..] });
            }
            black_box(judge.verdicts().len());
        }
        Ok(())
    })?;
    Ok(())
}

/// How unevenly the judge's work falls: the costliest readings, each at its least of three passes.
fn slowest(fleet: &Fleet, samples: &[Vec<(SimTime, [f64; 2])>]) -> Result<(), Failed> {
    let mut least: Vec<u64> = Vec::new();
    for pass in 0..3 {
        let mut k = 0;
        for (r, list) in samples.iter().enumerate() {
            let mut judge = Judge::new(fleet.estimator(&fleet.plan.scenario.mirror[r])?);
            for (t, v) in list {
                let begin = Instant::now();
                judge.take(&Reading { t: *t, arrived: *t, inputs: &v[..1], outputs: &v[1..] });
                let ns = begin.elapsed().as_nanos() as u64;
                if pass == 0 {
                    least.push(ns);
                } else {
                    least[k] = least[k].min(ns);
                }
                k += 1;
            }
        }
    }
    let total: u64 = least.iter().sum();
    least.sort_unstable();
    let n = least.len();
    let us = |q: f64| least[((n - 1) as f64 * q) as usize] as f64 / 1e3;
    let above = |limit: u64| least.iter().filter(|ns| **ns > limit).sum::<u64>() as f64 / total as f64;
    println!(
        "  judge a reading: mean {:.2}, p50 {:.2}, p90 {:.2}, p99 {:.1}, p99.9 {:.0}, max {:.0}; share of readings beyond 20 us {:.2}, 100 us {:.2}, 1 ms {:.2}",
        total as f64 / 1e3 / n as f64,
        us(0.5),
        us(0.9),
        us(0.99),
        us(0.999),
        us(1.0),
        above(20_000),
        above(100_000),
        above(1_000_000)
    );
    Ok(())
}
