//! The load generator: a broker under load, measured from the intended instants, with an oracle over every delivery and a
//! verdict on the generator itself.
//!
//! Reading order: [`job`] (what is to be done) → [`worker`] (connections over one poll a thread: [`conn`], [`codec`],
//! [`stamp`]) → [`tally`] (what was measured: [`times`], [`ledger`]) → [`judge`] (what MQTT promised, and thresholds) →
//! [`health`] (whether the generator was the limit) → [`files`] (what shards leave and `merge` joins).
//!
//! Open loop: the engine plans every instant ahead, and a broker that stalls does not slow the plan down. So each message's
//! latency counts from the instant it was meant for, and a stall is seen by all messages that fall into it.

pub mod codec;
pub mod conn;
pub mod files;
pub mod health;
pub mod job;
pub mod judge;
pub mod ledger;
pub mod program;
pub mod retained;
pub mod secure;
pub mod shared;
pub mod socket;
pub mod stamp;
pub mod stream;
pub mod tally;
pub mod times;
pub mod worker;

use health::{Accusation, Kernel, Shortage};
use job::Job;
use serde::{Deserialize, Serialize};
use shared::{Counts, Shared};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tally::Tally;
use twinfleet_engine::scenario::load::{Metric, ThresholdDef};
use worker::{Firmware, work};

/// How often the leader looks.
const LOOK: Duration = Duration::from_millis(5);
/// Beyond twice the time that the connections' pace takes, all have so long to come up or fail, [ns].
const CONNECT_NS: i64 = 20_000_000_000;
/// Between the last connection and the first message, where no start was agreed.
const BREATH_NS: i64 = 20_000_000;
/// How often the leader looks how much memory is left, [ns].
const MEMORY_NS: i64 = 50_000_000;
/// With nothing missing, this much silence ends the run, [ns]: what a broker delivers twice or makes up may come behind the last that
/// was awaited.
const LINGER_NS: i64 = 100_000_000;

/// What went wrong before anything could be measured.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No connection at all.
    #[error("no connection with the broker {broker}: {reason}. {advice}")]
    Unreachable {
        /// Its address.
        broker: String,
        /// Why.
        reason: String,
        /// What to try.
        advice: &'static str,
    },
    /// Connections did not all come up, nor fail, within their time.
    #[error(
        "{up} of {all} connections were up after {after_s:.0} s{reason}. Does somebody else use the same client ids? Does the \
         broker take `connects_per_s` connections? A broker sends away whoever comes again"
    )]
    NotUp {
        /// Connections that were up at last.
        up: u64,
        /// Of so many.
        all: u64,
        /// How long was waited, [s].
        after_s: f64,
        /// What went wrong most often, in words.
        reason: String,
    },
    /// A worker thread failed.
    #[error("a worker of the load generator failed: {0}")]
    Worker(String),
}

/// Where a load is, for those who watch.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Time since the first stage began, [s]; below 0: not yet.
    pub t_s: f64,
    /// Counts so far.
    pub counts: Counts,
}

/// Resident memory of the process that a load took, [bytes]; sockets' buffers are the kernel's and not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// With all connections up, less that before the first was made. With the embedded broker, its share is in it.
    pub connections: u64,
    /// All that was taken by the end: connections, workers' buffers, histograms, ledgers.
    pub all: u64,
}

impl Memory {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { connections: self.connections.max(other.connections), all: self.all.max(other.all) }
    }

    /// That of two processes.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { connections: self.connections + other.connections, all: self.all + other.all }
    }
}

/// What a load came to.
#[derive(Debug)]
pub struct Done {
    /// Everything measured.
    pub tally: Tally,
    /// From the first message's turn to the end of the drain, [s].
    pub wall_s: f64,
    /// Whether it came to its end.
    pub finished: bool,
    /// When the first stage began, Unix time [ns].
    pub start_unix_ns: i64,
    /// Memory taken.
    pub memory: Memory,
    /// How long the connecting took, [s].
    pub connect_s: f64,
}

/// Unix time, [ns].
pub fn unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64)
}

/// Runs a load. `firmware` gives each worker its way to the simulated devices; `watch` is told of the progress; `stop` ends
/// it early.
///
/// # Errors
/// [`LoadError::Unreachable`] if not one connection came up.
pub fn run(
    job: Job,
    mut firmware: Vec<Option<Firmware>>,
    stop: &AtomicBool,
    mut watch: impl FnMut(Progress),
) -> Result<Done, LoadError> {
    let stages = job.stages.len();
    let (length_ns, drain_ns) = (job.stages.length_ns(), job.load.drain.0);
    let mut tally = Tally::new(stages, length_ns);
    let ends = 1 + u64::from(job.embedded);
    let room = job.dial.sources.room();
    for accusation in health::before(job.connections(), job.strangers(), ends, room, job.memory_bytes()) {
        tally.accuse(accusation);
    }
    let begin_unix_ns = unix_ns();
    let empty = |tally, connect_s| Done {
        tally,
        wall_s: 0.0,
        finished: false,
        start_unix_ns: begin_unix_ns,
        memory: Memory::default(),
        connect_s,
    };
    if !tally.accusations.is_empty() {
        // It would only measure its own limit.
        return Ok(empty(tally, 0.0));
    }
    let before_bytes = health::resident_bytes();
    let kernel = Kernel::now();
    let job = Arc::new(job);
    let shared = Arc::new(Shared::new(job.workers));
    firmware.resize_with(job.workers, || None);
    let spawn = |(index, firmware): (usize, Option<Firmware>)| {
        let (job, shared) = (Arc::clone(&job), Arc::clone(&shared));
        let named = thread::Builder::new().name(format!("load-{index}"));
        named
            .spawn(move || work(&job, &shared, index, firmware))
            .map_err(|e| LoadError::Worker(e.to_string()))
    };
    let workers: Vec<_> = firmware.into_iter().enumerate().map(spawn).collect::<Result<_, _>>()?;
    shared.gate.wait();
    let bare_bytes = health::resident_bytes();
    shared.gate.wait();
    let mut leader = Leader { job: &job, shared: &shared, stop, start_ns: i64::MAX };
    let went = leader.lead(&mut watch, length_ns, drain_ns);
    let memory = Memory {
        connections: went.connected_bytes.saturating_sub(bare_bytes),
        all: health::resident_bytes().saturating_sub(before_bytes),
    };
    shared.stop.store(true, Relaxed);
    job.stopped.store(true, Relaxed);
    for worker in workers {
        match worker.join() {
            Ok(Ok(part)) => tally.add(part),
            Ok(Err(error)) => return Err(LoadError::Worker(error.to_string())),
            Err(_) => return Err(LoadError::Worker("it panicked".to_owned())),
        }
    }
    tally.trace.sort_unstable();
    went.own.iter().for_each(|own| tally.accuse(own.clone()));
    if let Some(up) = went.not_up {
        let most = tally.reasons.iter().max_by_key(|(_, n)| **n);
        return Err(LoadError::NotUp {
            up,
            all: job.connections(),
            after_s: went.connect_s,
            reason: most.map_or_else(String::new, |(reason, n)| format!(" ({n} × {reason})")),
        });
    }
    if tally.counts.connected == 0
        && tally.accusations.is_empty()
        && job.connections() > 0
        && !went.interrupted
    {
        let most = tally.reasons.iter().max_by_key(|(_, n)| **n);
        let reason = most.map_or_else(|| "no answer".to_owned(), |(reason, _)| reason.clone());
        let reason = reason.trim_start_matches("not connected: ").to_owned();
        let advice = advice(&reason, job.login.is_some());
        return Err(LoadError::Unreachable { broker: job.dial.to.to_string(), reason, advice });
    }
    accuse(&mut tally, &job, &went, kernel);
    let offset_ns = unix_ns() - shared.clock.now_ns();
    Ok(Done {
        tally,
        wall_s: went.wall_s,
        finished: !went.interrupted,
        start_unix_ns: leader.start_ns.saturating_add(offset_ns),
        memory,
        connect_s: went.connect_s,
    })
}

/// What to try where no connection came up.
fn advice(reason: &str, with_login: bool) -> &'static str {
    let is = |what: &str| reason.contains(what);
    match with_login {
        true if is("password") || is("not authorised") => "Check user name and password in the URL",
        false if is("password") || is("not authorised") => {
            "It wants a user name and a password: write `mqtt://user:password@host`"
        }
        _ if is("version of MQTT") => "Write `--set load.protocol=V311`, or V5, whichever it speaks",
        _ if is("client id") => "Its rules may want certain ids: change `id` of the devices and subscribers",
        _ if is("refused the login") => "Look at its log",
        _ if is("closed the connection") || is("reset by peer") => {
            "Check host and port, and whether it wants TLS (`mqtts://`) or WebSocket (`ws://`) there, or neither"
        }
        _ => "Check host and port, and that it runs",
    }
}

/// What the generator holds against itself once all is over.
fn accuse(tally: &mut Tally, job: &Job, went: &Went, kernel: Kernel) {
    let limits = job.load.limits;
    let lag_ms = tally.lag.value_at_quantile(0.99) as f64 * 1e-3;
    let limit_ms = limits.lag.as_secs_f64() * 1e3;
    // Of a few messages, one that was late is chance, until it touches what is judged.
    let few = tally.lag.len() < FEW;
    let worst_ms = tally.lag.max() as f64 * 1e-3;
    let bearable_ms = bounds_ms(job).fold(limit_ms * BEARABLE, f64::min).max(limit_ms);
    if few && !tally.lag.is_empty() && worst_ms > bearable_ms {
        tally.accuse(Accusation::new(
            Shortage::SchedulerLag,
            format!(
                "one of {} messages left {worst_ms:.1} ms late by the generator's own doing (of so few, {bearable_ms:.0} ms are \
                 borne); give it a machine of its own",
                tally.lag.len()
            ),
        ));
    }
    if !few && lag_ms > limit_ms {
        tally.accuse(Accusation::new(
            Shortage::SchedulerLag,
            format!(
                "1 % of the messages left more than {lag_ms:.1} ms late by the generator's own doing (limit {}); \
                 lower the rate, add `--workers` or shards, or give it a machine of its own",
                limits.lag
            ),
        ));
    }
    let most = |of: fn((f64, f64)) -> f64| tally.cpu.iter().map(|c| of(c.shares())).fold(0.0, f64::max);
    let (busiest, waited) = (most(|s| s.0), most(|s| s.1));
    // In a short run, the start alone would weigh too much.
    if went.busy_s > 0.5 && busiest > limits.cpu {
        tally.accuse(Accusation::new(
            Shortage::Cpu,
            format!(
                "a worker was busy {:.0} % of the time (limit {:.0} %); add `--workers`, shards, or lower the rate",
                busiest * 100.0,
                limits.cpu * 100.0
            ),
        ));
    }
    if went.busy_s > 0.5 && waited > limits.waited_for_cpu {
        tally.accuse(Accusation::new(
            Shortage::BusyMachine,
            format!(
                "a worker waited {:.0} % of the time for a core that others had (limit {:.0} %); stop what else runs here, \
                 or use another machine",
                waited * 100.0,
                limits.waited_for_cpu * 100.0
            ),
        ));
    }
    if let Some(accusation) = Kernel::now().since(kernel) {
        tally.accuse(accusation);
    }
    if let Some(accusation) = rivals(tally, went.busy_s) {
        tally.accuse(accusation);
    }
    // The way of a message between two shards is known to what their clocks agree to.
    let early_ms = tally.counts.early_us as f64 * 1e-3;
    if early_ms > limit_ms {
        tally.accuse(Accusation::new(
            Shortage::Clocks,
            format!(
                "a message came {early_ms:.0} ms before another shard sent it: their clocks differ by so much at least (limit {}), and \
                 latencies between them are off by it; let NTP set the clocks of the machines, or run all shards on one",
                limits.lag
            ),
        ));
    }
}

/// What is said of a connection that the broker closed without a word.
const CLOSED: &str = "the broker closed the connection";

fn is_wordless(reason: &str) -> bool {
    reason == CLOSED || reason.contains("reset by peer")
}

/// A connection that lives shorter than this on average measures nothing, [s]: what is lost with it is excused.
const LIVES_S: f64 = 2.0;
/// Fewer breaks of each connection on average may be one bad moment.
const MANY_BREAKS: u64 = 3;

/// If another load with the same client ids was on the broker: each took the other's connections, again and again, and what is
/// lost with a connection is excused. A broker that still works off an earlier run's messages sends nobody away.
fn rivals(tally: &Tally, busy_s: f64) -> Option<Accusation> {
    let c = tally.counts;
    let ousted = c.ousted.saturating_sub(c.takeovers_ignored);
    let theirs = "somebody else runs this load on the broker, and each takes the other's connections; run one at a time, or \
                  give one of them other ids and topics";
    // Who is thrown out for another reason is told it, or told of at the connecting.
    let wordless: u64 = tally.reasons.iter().filter(|(why, _)| is_wordless(why)).map(|(_, n)| *n).sum();
    let lived_s = busy_s * c.connected as f64 / wordless.max(1) as f64;
    let text = match (ousted, c.rivals) {
        (1.., _) => {
            format!("{ousted} connections were ended since others with their client ids had come: {theirs}")
        }
        (0, 1..) if c.disconnected > 0 => format!(
            "{} messages of another run came to topics of this one, and {} connections broke: {theirs}",
            c.rivals, c.disconnected
        ),
        // One that never gets all of its connections sends nothing that would tell of it.
        _ if wordless >= MANY_BREAKS * c.connected.max(1) && lived_s < LIVES_S => format!(
            "the broker closed connections {wordless} times without a word, each after {lived_s:.1} s on average, and what is lost \
             with one is excused: as when somebody else runs this load on the broker, and each takes the other's connections (its \
             log says whether it was that); run one at a time, or give one of them other ids"
        ),
        _ => return None,
    };
    Some(Accusation::new(Shortage::ClientIds, text))
}

/// Fewer messages than these have no percentile of their lag to speak of.
const FEW: u64 = 100;
/// The largest lag of a few messages that is borne, where no threshold is below it: a multiple of the limit.
const BEARABLE: f64 = 5.0;

/// Bounds of the thresholds that the generator's own lag is a part of, [ms].
fn bounds_ms(job: &Job) -> impl Iterator<Item = f64> {
    job.load.thresholds.iter().filter_map(|t| match t {
        ThresholdDef::Below { of: Metric::Latency | Metric::PublishDelay, bound, .. } => {
            Some(bound.as_secs_f64() * 1e3)
        }
        _ => None,
    })
}

#[derive(Clone, Debug, Default)]
struct Went {
    wall_s: f64,
    /// From the start to the end of the last stage, [s].
    busy_s: f64,
    connect_s: f64,
    /// Resident memory once all connections are up.
    connected_bytes: u64,
    interrupted: bool,
    /// Connections that were up when those that were not had had their time.
    not_up: Option<u64>,
    /// What the leader saw of the generator's own shortages.
    own: Vec<Accusation>,
}

/// If our own pace of connecting, or our own beginning, comes too late for an agreed start, [ns] by the clock: then messages of
/// the first instants leave late by the generator's own doing.
fn late_start(at_ns: i64, connections: u64, pace_ns: i64) -> Option<Accusation> {
    let needed_ns = pace_ns.saturating_mul(connections.saturating_sub(1) as i64);
    let late_s = needed_ns.saturating_sub(at_ns) as f64 * 1e-9;
    (late_s > 0.0).then(|| {
        Accusation::new(
            Shortage::SchedulerLag,
            format!(
                "the agreed start came {late_s:.1} s before all connections could be there: {connections} of them take {:.1} s at \
                 `connects_per_s`; agree on a later `--start-at`, or raise `load.connects_per_s`",
                needed_ns as f64 * 1e-9
            ),
        )
    })
}

struct Leader<'a> {
    job: &'a Job,
    shared: &'a Shared,
    stop: &'a AtomicBool,
    start_ns: i64,
}

impl Leader<'_> {
    fn lead(&mut self, watch: &mut impl FnMut(Progress), length_ns: i64, drain_ns: i64) -> Went {
        let mut went = Went::default();
        let shared = self.shared;
        let devices = self.job.devices.iter().filter(|d| self.job.owns(d.ordinal)).count() as u64;
        let all = self.job.connections();
        let pace_ns =
            1_000_000_000 / i64::from(self.job.load.connects_per_s.max(1)) * i64::from(self.job.shard.1);
        let patience_ns = pace_ns.saturating_mul(all as i64).saturating_mul(2).saturating_add(CONNECT_NS);
        let agreed = self.job.start_at_unix_ns.map(|at| at - unix_ns() + shared.clock.now_ns());
        went.own.extend(agreed.and_then(|at| late_start(at, all, pace_ns)));
        let (mut seen, mut moved_ns) = (Counts::default(), shared.clock.now_ns());
        let mut memory_ns = 0;
        let mut ended_ns = None;
        loop {
            thread::sleep(LOOK);
            let now_ns = shared.clock.now_ns();
            if now_ns >= memory_ns {
                memory_ns = now_ns + MEMORY_NS;
                if let Some(short) = health::short_of_memory() {
                    went.own.push(short);
                    break;
                }
            }
            let counts = shared.counts();
            let t_ns = now_ns.saturating_sub(self.start_ns);
            watch(Progress {
                t_s: if self.start_ns == i64::MAX { -1.0 } else { t_ns as f64 * 1e-9 },
                counts,
            });
            if self.stop.load(Relaxed) {
                went.interrupted = true;
                break;
            }
            if self.start_ns == i64::MAX {
                let ready = counts.up + counts.failed >= all;
                // Where a start was agreed, it is kept, whoever is late.
                let start = match agreed {
                    Some(at) if ready || now_ns >= at => Some(at),
                    None if ready => Some(now_ns + BREATH_NS),
                    _ => None,
                };
                if start.is_none() && agreed.is_none() && now_ns > patience_ns {
                    went.connect_s = now_ns as f64 * 1e-9;
                    went.not_up = Some(counts.up);
                    break;
                }
                if let Some(at) = start {
                    went.connect_s = now_ns as f64 * 1e-9;
                    went.connected_bytes = health::resident_bytes();
                    if counts.up == 0 {
                        break;
                    }
                    self.start_ns = at;
                    shared.start_ns.store(at, Relaxed);
                    self.job.start_signal.store(unix_ns() + at - shared.clock.now_ns(), Relaxed);
                }
                continue;
            }
            if counts != seen {
                (seen, moved_ns) = (counts, now_ns);
            }
            if t_ns < length_ns {
                continue;
            }
            went.busy_s = length_ns as f64 * 1e-9;
            let complete =
                counts.finished >= devices && counts.fresh >= counts.expected && counts.awaited == 0;
            // Other shards' messages are not counted here: whether some are still under way to this one's subscribers, or to
            // others', the end of the drain alone tells.
            let alone = self.job.shard.1 == 1;
            let known = alone || self.job.subscribers.is_empty();
            let quiet = now_ns - moved_ns > LINGER_NS;
            if complete && known && quiet || t_ns > length_ns + drain_ns {
                // The whole was over with the last of it; that nothing more came belongs to no rate.
                if complete && alone {
                    ended_ns = Some(moved_ns.max(self.start_ns.saturating_add(length_ns)));
                }
                break;
            }
        }
        if self.start_ns != i64::MAX {
            let ended_ns = ended_ns.unwrap_or_else(|| shared.clock.now_ns());
            went.wall_s = ended_ns.saturating_sub(self.start_ns).max(0) as f64 * 1e-9;
            if went.interrupted {
                went.busy_s = went.wall_s;
            }
        }
        went
    }
}
