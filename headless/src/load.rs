//! `twinfleet load`: a broker under the load of a scenario, from file to verdict.

mod args;
mod firmware;
mod merge;
mod operator;
mod page;
mod prometheus;
mod restart;
mod result;
mod show;
mod target;
mod tls;

pub use args::{Args, parse_shard};
pub use merge::{is_part, merge};
pub use restart::{restart_by, restarts};
pub use tls::TlsArgs;

use crate::{
    exit::{Exit, Failure, say},
    load_files::{self, Loaded},
    report,
};
use prometheus::Exporter;
use result::{Limit, Result as LoadResult, Trial};
use show::Dashboard;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use target::Target;
use twinfleet_engine::{
    aside,
    load::Stages,
    scenario::load::{LoadDef, Metric, Protocol, StageDef},
};
use twinfleet_twins::{
    load::{self as twins, Memory, files::Part, job::Job, judge, retained, secure::Wraps, socket::Dial},
    wire::{
        client::{ConnectOptions, Version},
        tls::Identity,
    },
};

/// Runs the load of a scenario; the exit code says whether the broker held, and whether the measurement is one.
pub fn run(args: Args, json: bool) -> Result<Exit, Failure> {
    let loaded =
        load_files::scenario(&args.file, &args.sets, &args.catalog).map_err(|r| load_files::refused(&r))?;
    if !loaded.warnings.is_empty() && !args.quiet {
        eprintln!("{}", loaded.warnings.render(load_files::style()).trim_end());
    }
    let Some(load) = loaded.scenario.load.clone() else {
        return Err(Failure::input(format!(
            "{}: this scenario has no `load:` section, which says who publishes what and when\n\
             `twinfleet run {}` runs it; `twinfleet list scenarios` names those with a load (load-…)",
            args.file, args.file
        )));
    };
    if args.dry_run {
        return plan_only(&loaded, &load, &args, json);
    }
    if let Some(dir) = &args.report {
        report::probe(dir).map_err(|error| match error {
            report::ReportError::NoFolder(_) => Failure::input(error),
            report::ReportError::Io { .. } => Failure::outside(error),
        })?;
    }
    before(&args, &load)?;
    if !args.quiet {
        idle_sections(&loaded, &args);
    }
    let stop = crate::run::stop_flag()?;
    let target = Target::open(&args, &load)?;
    let exporter = args.prometheus.map(Exporter::start).transpose()?;
    let load = Arc::new(load);
    let begun_unix_ns = twins::unix_ns();
    let set =
        Setting { args: &args, loaded: &loaded, load, target: &target, exporter, stop: &stop, begun_unix_ns };
    set.certificates()?;
    forget(&args)?;
    let result = match &set.load.search {
        Some(search) => set.search(search)?,
        None => set.once(args.rate, &set.load.stages.clone())?,
    };
    finish(&set, &result, json)
}

/// What would be found out only after the load, and what contradicts itself.
fn before(args: &Args, load: &LoadDef) -> Result<(), Failure> {
    if load.search.is_some() && args.rate != 1.0 {
        return Err(Failure::input(
            "--rate: a search finds its own rate; write `--set load.search.from=…` and `load.search.to=…`",
        ));
    }
    if load.search.is_some() && args.shard.1 > 1 {
        return Err(Failure::input(
            "--shard: a search decides after each pass how to go on, and a shard alone cannot tell; search with one process and \
             `--workers`, or give shards one rate each (`--rate`, without `search`)",
        ));
    }
    if load.search.is_some() && args.start_at.is_some() {
        return Err(Failure::input(
            "--start-at: a search has many passes, and an instant is the start of one only; leave it out",
        ));
    }
    if load.search.is_some() && args.out.is_some() {
        return Err(Failure::input(
            "--out: a search has many passes, each of another rate and length, and `merge` joins those of one; what it found is in \
             `--report`",
        ));
    }
    if args.shard.1 > 1 && args.start_at.is_none() {
        return Err(Failure::input(
            "--shard: shards begin at one instant: add `--start-at`, the same for all, such as $(($(date +%s) + 10))",
        ));
    }
    rates(args, load)?;
    restart::before(args, load)?;
    if let Some(at) = &args.start_at
        && at.unix_ns < twins::unix_ns()
    {
        let ago_s = (twins::unix_ns() - at.unix_ns) as f64 * 1e-9;
        return Err(Failure::input(format!(
            "--start-at: that was {ago_s:.0} s ago; name an instant by which all shards are there, such as $(($(date +%s) + 10))"
        )));
    }
    if let Some(dir) = &args.out {
        report::probe(dir).map_err(|error| match error {
            report::ReportError::NoFolder(_) => Failure::input(error),
            report::ReportError::Io { .. } => Failure::outside(error),
        })?;
    }
    if let Some(path) = &args.trace {
        let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path);
        opened.map_err(|e| Failure::outside(format!("cannot write the trace {}: {e}", path.display())))?;
    }
    Ok(())
}

/// What a run judges and a load does not is told: nobody takes it for held.
fn idle_sections(loaded: &Loaded, args: &Args) {
    let scenario = &loaded.scenario;
    let idle = [("expect", scenario.expect.is_empty()), ("mirror", scenario.mirror.is_empty())];
    for (section, _) in idle.into_iter().filter(|(_, is_empty)| !is_empty) {
        eprintln!(
            "`{section}` does nothing in a load, which its `thresholds` judge; `twinfleet run {}` goes by it",
            args.file
        );
    }
}

/// Devices whose firmware says when they send follow no `--rate`.
fn rates(args: &Args, load: &LoadDef) -> Result<(), Failure> {
    let own = load.devices.iter().filter(|d| d.is_firmware()).count();
    if own == 0 || args.rate == 1.0 {
        return Ok(());
    }
    let text = "--rate: devices with a `Firmware` schedule send as their firmware does, at any rate";
    if own == load.devices.len() {
        return Err(Failure::input(format!("{text}; change its `period`, or `count` of the fleet")));
    }
    eprintln!("{text}; only the other devices follow it");
    Ok(())
}

/// Takes away what an earlier run left in the folders: whoever finds a file there after this one finds this one's.
fn forget(args: &Args) -> Result<(), Failure> {
    let reports = page::FILES.iter().filter_map(|name| Some(args.report.as_ref()?.join(name)));
    let part = args.out.as_ref().map(|dir| dir.join(twins::files::FILE));
    for path in reports.chain(part) {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                let what = "an earlier run's, which cannot be taken away";
                return Err(Failure::outside(format!("{}: this is {what}: {e}", path.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What every pass of a load shares.
struct Setting<'a> {
    args: &'a Args,
    loaded: &'a Loaded,
    load: Arc<LoadDef>,
    target: &'a Target,
    /// Figures for Prometheus, over all passes.
    exporter: Option<Exporter>,
    stop: &'a Arc<AtomicBool>,
    /// Unix time, [ns].
    begun_unix_ns: i64,
}

/// Ids of the devices of a group of the fleet.
fn fleet_ids(loaded: &Loaded, id: &str) -> Vec<String> {
    let group = loaded.scenario.fleet.iter().find(|g| g.id == id);
    group.map_or_else(Vec::new, |g| (0..g.count).map(|i| g.id.replace("{}", &i.to_string())).collect())
}

/// A load, resolved, at a multiple of its rates.
pub fn job(loaded: &Loaded, load: &Arc<LoadDef>, stages: &[StageDef], rate: f64, common: Common) -> Job {
    let (devices, subscribers) = Job::members(load, &common.prefix, |fleet| fleet_ids(loaded, fleet));
    Job {
        load: Arc::clone(load),
        stages: Arc::new(Stages::new(stages).times(rate)),
        seed: common.seed,
        prefix: common.prefix.as_str().into(),
        shard: common.shard,
        run: common.run,
        earlier: common.earlier,
        devices: Arc::new(devices),
        subscribers: Arc::new(subscribers),
        dial: common.dial,
        wraps: common.wraps,
        login: common.login,
        workers: common.workers,
        start_at_unix_ns: common.start_at_unix_ns,
        keep_trace: common.keep_trace,
        start_signal: Arc::new(i64::MAX.into()),
        stopped: Arc::default(),
        embedded: common.embedded,
    }
}

/// What a job takes from the command line.
pub struct Common {
    pub prefix: String,
    pub seed: u64,
    pub shard: (u32, u32),
    pub run: u32,
    pub earlier: Arc<[u32]>,
    pub dial: Dial,
    pub wraps: Wraps,
    pub login: Option<(String, String)>,
    pub workers: usize,
    pub start_at_unix_ns: Option<i64>,
    pub keep_trace: bool,
    pub embedded: bool,
}

impl Setting<'_> {
    fn job(&self, rate: f64, stages: &[StageDef], trial: u32) -> Job {
        let args = self.args;
        let seed = args.seed.unwrap_or(self.loaded.scenario.seed);
        let dial = Dial {
            to: self.target.address,
            sources: args.source.clone().unwrap_or_default(),
            no_delay: self.load.no_delay,
        };
        let common = Common {
            prefix: args.prefix(),
            seed,
            shard: args.shard,
            run: args.run_id(self.begun_unix_ns, seed, trial),
            earlier: (1..trial).map(|t| args.run_id(self.begun_unix_ns, seed, t)).collect(),
            dial,
            wraps: self.target.wraps.clone(),
            login: self.target.url.login.clone(),
            workers: args.workers(),
            start_at_unix_ns: args.start_at.as_ref().map(|at| at.unix_ns),
            keep_trace: args.trace.is_some(),
            embedded: self.target.embedded.is_some(),
        };
        job(self.loaded, &self.load, stages, rate, common)
    }

    /// Certificates of the devices' own that are not there are told before any device begins.
    fn certificates(&self) -> Result<(), Failure> {
        let tls = &self.args.tls;
        let own = |files: &Option<String>| files.as_ref().is_some_and(|f| f.contains("{device}"));
        if !own(&tls.cert) && !own(&tls.key) {
            return Ok(());
        }
        let job = self.job(1.0, &self.load.stages, 0);
        let devices = job.devices.iter().filter(|d| job.owns(d.ordinal)).map(|d| &d.id);
        let subscribers = job.subscribers.iter().filter(|s| job.owns(s.ordinal)).map(|s| &s.id);
        for id in devices.chain(subscribers) {
            for (option, pattern) in [("--cert", &tls.cert), ("--key", &tls.key)] {
                let Some(file) = pattern.as_ref().map(|p| p.replace("{device}", id)) else { continue };
                std::fs::File::open(&file).map_err(|e| {
                    Failure::input(format!(
                        "{option}: `{id}` has no file {file} ({e}); each device and subscriber needs its own, or write a name \
                         without `{{device}}` for all"
                    ))
                })?;
            }
        }
        Ok(())
    }

    /// One pass through the stages.
    fn once(&self, rate: f64, stages: &[StageDef]) -> Result<LoadResult, Failure> {
        self.pass(rate, stages, 0)
    }

    fn pass(&self, rate: f64, stages: &[StageDef], trial: u32) -> Result<LoadResult, Failure> {
        let job = self.job(rate, stages, trial);
        let firmware = firmware::start(self, &job)?;
        let operator = operator::start(self, &job)?;
        let restarts = restart::start(self, &job);
        let mut dashboard = Dashboard::new(&job, self.args, self.exporter.as_ref());
        let went = twins::run(job.clone(), firmware, self.stop, |p| dashboard.at(p));
        // Those who work beside it end with it, whatever came of it.
        job.stopped.store(true, Relaxed);
        let seen = operator.map(|o| o.join().map_err(|_| Failure::outside("the operator's thread failed")));
        let restarted = restarts
            .map(|r| r.join().map_err(|_| Failure::outside("the thread that restarts the broker failed")));
        let mut done = went.map_err(Failure::outside)?;
        restarted.transpose()?.transpose()?;
        if let Some(seen) = seen {
            let seen = seen?;
            for reason in &seen.lost {
                done.tally.reason(format!("the operator's connection broke: {reason}"));
            }
            done.tally.counts.commands += seen.commands;
            done.tally.counts.commands_followed += seen.followed.len() as u64;
            done.tally.counts.commands_failed += seen.failed.len() as u64;
            // What was not followed took as long as was waited, at least.
            for (intended_ns, took_ns) in seen.followed.into_iter().chain(seen.failed) {
                done.tally.times.record(Metric::Command, 1, job.stages.of(intended_ns), took_ns);
            }
        }
        // All shards would say the same.
        if job.shard.0 == 0 && done.finished {
            job.idle_faults().into_iter().for_each(|idle| done.tally.reason(idle));
        }
        dashboard.finish();
        let mut verdict = judge::judge(&job, &done.tally);
        // Each shard looks at what its own devices left.
        let looked = done.finished.then(|| retained::look(&job, &done.tally, &self.newcomer(&job)));
        let (retained, unseen) = match looked.transpose() {
            Ok(retained) => (retained, None),
            Err(error) => (None, Some(format!("nobody could look: {error}"))),
        };
        judge::amend(&mut verdict, retained.clone().unwrap_or_default());
        let mut result = LoadResult::new(self, &job, done, verdict, rate);
        if let Some(why) = unseen.filter(|_| !result.outcomes.is_empty()) {
            result.outcomes.push(judge::unseen(&why));
        }
        result.part.retained = retained;
        Ok(result)
    }

    /// How somebody connects who is none of the load: who looks at what the broker has kept, or commands. As a subscriber does, where
    /// each has its own certificate.
    fn newcomer(&self, job: &Job) -> ConnectOptions {
        let tls = &self.args.tls;
        let listener = job.subscribers.iter().find(|s| job.owns(s.ordinal)).map(|s| &s.id);
        let id = listener.or_else(|| job.devices.iter().find(|d| job.owns(d.ordinal)).map(|d| &d.id));
        let file = |pattern: &String| {
            PathBuf::from(id.map_or(pattern.clone(), |id| pattern.replace("{device}", id)))
        };
        let identity = tls.identity();
        ConnectOptions {
            version: if self.load.protocol == Protocol::V5 { Version::V5 } else { Version::V4 },
            ca_file: tls.ca_file.clone(),
            identity: identity.map(|(cert, key)| Identity { cert_file: file(cert), key_file: file(key) }),
            ..ConnectOptions::to(self.target.url.clone())
        }
    }

    /// Doubles the rate while the thresholds hold, halves the interval after that, and confirms what it found.
    fn search(&self, search: &twinfleet_engine::scenario::load::SearchDef) -> Result<LoadResult, Failure> {
        let hold = |length| vec![StageDef::Hold { length, rate: 1.0 }];
        let mut trials: Vec<Trial> = Vec::new();
        let (mut good, mut bad) = (None::<f64>, None::<f64>);
        // Why no higher rate was tried: the generator's own limits, if it was they that gave way.
        let mut own = Vec::new();
        let mut rate = search.from;
        let mut last = None;
        // A later pass finds memory that an earlier one has freed: the most that any took counts.
        let mut memory = Memory::default();
        while trials.len() < 40 {
            let result = self.pass(rate, &hold(search.length), trials.len() as u32 + 1)?;
            memory = memory.max(result.memory);
            let held = result.held() == Some(true) && result.valid();
            trials.push(result.trial("trial"));
            if !self.args.quiet {
                eprintln!("{}", show::trial(&trials[trials.len() - 1]));
            }
            let interrupted = !result.finished;
            last = Some(result);
            if interrupted {
                break;
            }
            if held {
                good = Some(rate);
            } else {
                bad = Some(rate);
                own = last.as_ref().map_or_else(Vec::new, |r| r.tally.accusations.clone());
            }
            rate = match (good, bad) {
                (Some(g), None) if g >= search.to => break,
                (Some(g), None) => (g * 2.0).min(search.to),
                (Some(g), Some(b)) if b / g <= 1.0 + search.within => break,
                (Some(g), Some(b)) => (g * b).sqrt(),
                // Even the first was too much.
                (None, Some(b)) if b < search.from / 16.0 => break,
                (None, _) => rate / 2.0,
            };
        }
        let Some(last) = last else { return Err(Failure::input("the search had no trial")) };
        // The rate found has to hold over a longer time, too; else a little less is tried.
        let mut candidate = good;
        let mut confirmed = last;
        for _ in 0..4 {
            let Some(rate) = candidate.filter(|_| confirmed.finished) else { break };
            let result = self.pass(rate, &hold(search.confirm), trials.len() as u32 + 1)?;
            memory = memory.max(result.memory);
            trials.push(result.trial("confirmation"));
            if !self.args.quiet {
                eprintln!("{}", show::trial(&trials[trials.len() - 1]));
            }
            let held = result.held() == Some(true) && result.valid();
            confirmed = result;
            if held {
                confirmed.found = Some(rate);
                confirmed.limit = match (own.is_empty(), bad) {
                    (false, _) => Some(Limit::Generator),
                    (true, None) => Some(Limit::To),
                    (true, Some(_)) => None,
                };
                break;
            }
            (bad, own) = (Some(rate), confirmed.tally.accusations.clone());
            candidate = Some(rate / (1.0 + search.within));
        }
        if confirmed.limit == Some(Limit::Generator) {
            confirmed.limited_by = own;
        }
        confirmed.trials = trials;
        confirmed.memory = memory;
        Ok(confirmed)
    }
}

/// Every message as a line: intended time [ns], device, number.
fn write_trace(path: &std::path::Path, trace: &[(i64, u32, u32)]) -> Result<(), Failure> {
    use std::fmt::Write;
    let mut text = String::with_capacity(trace.len() * 24);
    for (at_ns, device, seq) in trace {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{at_ns} {device} {seq}");
    }
    let failed = |e| Failure::outside(format!("cannot write the trace {}: {e}", path.display()));
    std::fs::write(path, text).map_err(failed)
}

/// The intended trace without a broker.
fn plan_only(loaded: &Loaded, load: &LoadDef, args: &Args, json: bool) -> Result<Exit, Failure> {
    let load = Arc::new(load.clone());
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    let dial = Dial { to: ([127, 0, 0, 1], 1883).into(), sources: Default::default(), no_delay: true };
    let common = Common {
        prefix: args.prefix(),
        seed,
        shard: args.shard,
        run: 0,
        earlier: Arc::default(),
        dial,
        wraps: Wraps::default(),
        login: None,
        workers: args.workers(),
        start_at_unix_ns: None,
        keep_trace: args.trace.is_some(),
        embedded: args.broker.starts_with("embedded"),
    };
    // A search has stages of its own: of those, the first is known before.
    let (stages, rate) = match &load.search {
        Some(search) => (vec![StageDef::Hold { length: search.length, rate: 1.0 }], search.from),
        None => (load.stages.clone(), args.rate),
    };
    let job = job(loaded, &load, &stages, rate, common);
    let (mut trace, mut messages) = (Vec::new(), 0);
    for device in job.devices.iter().filter(|d| job.owns(d.ordinal)) {
        let def = &load.devices[device.group].schedule;
        if load.devices[device.group].is_firmware() {
            continue;
        }
        let schedule = twinfleet_engine::load::Schedule::new(def, &job.stages, seed, &device.id);
        if args.trace.is_some() {
            trace.extend(schedule.enumerate().map(|(seq, at)| (at, device.ordinal, seq as u32)));
        } else {
            // There may be more than memory holds.
            messages += schedule.count();
        }
    }
    trace.extend(firmware::plan(loaded, &job)?);
    messages += trace.len();
    if let Some(path) = &args.trace {
        trace.sort_unstable();
        write_trace(path, &trace)?;
    }
    let length_s = job.stages.length_ns() as f64 * 1e-9;
    if json {
        let object = serde_json::json!({
            "connections": job.connections(), "messages": messages, "length_s": length_s, "seed": seed,
            "memory_bytes": job.memory_bytes(),
        });
        say(format_args!("{object}"));
    } else {
        let without = if load.commands.is_some() { " without the commands" } else { "" };
        let first = if load.search.is_some() { " in the first trial of its search" } else { "" };
        say(format_args!(
            "{} connections, {messages} messages over {length_s} s{first}{without}, about {} MiB of memory; nothing was sent (--dry-run)",
            job.connections(),
            job.memory_bytes().div_ceil(1 << 20)
        ));
    }
    Ok(Exit::Ok)
}

fn finish(set: &Setting<'_>, result: &LoadResult, json: bool) -> Result<Exit, Failure> {
    // A file that cannot be written takes none of the others, nor the summary, with it.
    let args = set.args;
    let written = [
        args.report.as_ref().map(|dir| page::write(result, dir).map_err(Failure::outside)),
        args.out.as_ref().map(|dir| write_part(&result.part, dir)),
        args.trace.as_ref().map(|path| write_trace(path, &result.tally.trace)),
    ];
    if json {
        say(format_args!("{}", result.json()));
    } else if !set.args.quiet {
        say(format_args!("{}", show::summary(result).trim_end()));
    }
    for accusation in result.accusations() {
        eprintln!("invalid: {accusation}");
    }
    written.into_iter().flatten().collect::<Result<(), Failure>>()?;
    Ok(result.exit())
}

/// Writes a shard's part.
fn write_part(part: &Part, dir: &std::path::Path) -> Result<(), Failure> {
    let path = dir.join(twins::files::FILE);
    let text = serde_json::to_vec(part).map_err(Failure::outside)?;
    let written = std::fs::create_dir_all(dir).and_then(|()| aside::write_whole(&path, text));
    written.map_err(|e| Failure::outside(format!("cannot write {}: {e}", path.display())))
}
