//! What a load came to, for people and for machines.

use super::Setting;
use crate::{exit::Exit, report::Happening};
use serde::Serialize;
use std::collections::BTreeMap;
use twinfleet_engine::{
    scenario::load::{LoadFaultDef, LoadFaultKind, Metric, StageDef},
    time::Span,
};
use twinfleet_twins::{
    load::{
        Done, Memory,
        files::{FORMAT, Part},
        health::Accusation,
        job::Job,
        judge::{self, Outcome, Verdict},
        tally::Tally,
        times::{Percentiles, Times, WireTimes},
    },
    shell,
};

/// A row of the table of times.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub of: &'static str,
    /// Quality of service; None: of all.
    pub qos: Option<u8>,
    /// Number of the stage; None: of all.
    pub stage: Option<u32>,
    /// What kind of stage it is; empty: all.
    pub stage_kind: &'static str,
    /// Percentiles.
    #[serde(flatten)]
    pub at: Percentiles,
}

/// One pass of a search.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// `trial` or `confirmation`.
    pub kind: &'static str,
    /// Multiple of the devices' rates.
    pub rate: f64,
    /// Messages a second, as planned.
    pub planned_per_s: f64,
    /// Deliveries a second.
    pub received_per_s: f64,
    /// 99th percentile of the latency, [ms].
    pub p99_ms: f64,
    /// Whether all thresholds held.
    pub held: bool,
    /// Whether the generator was not the limit.
    pub valid: bool,
    /// What failed first.
    pub why: String,
}

/// What kept a search from trying more than the rate that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The rate beyond which the scenario does not look.
    To,
    /// The load generator itself.
    Generator,
}

/// A load's result.
pub struct Result {
    pub scenario: String,
    pub about: String,
    pub broker: String,
    pub replay: String,
    pub seed: u64,
    pub rate: f64,
    pub shard: (u32, u32),
    pub finished: bool,
    pub wall_s: f64,
    pub length_s: f64,
    pub connect_s: f64,
    pub connections: u64,
    pub memory: Memory,
    pub rows: Vec<Row>,
    pub lag_p99_ms: f64,
    pub outcomes: Vec<Outcome>,
    pub verdict: Verdict,
    pub tally: Tally,
    pub trials: Vec<Trial>,
    /// The highest rate that was confirmed.
    pub found: Option<f64>,
    /// Why no higher rate was tried, if it was not the broker that gave way.
    pub limit: Option<Limit>,
    /// What the generator held against itself at the lowest rate that it could not keep up, where it was the limit.
    pub limited_by: Vec<Accusation>,
    pub searched: bool,
    /// Stages and faults, for the plots.
    pub happenings: Vec<Happening>,
    pub part: Part,
}

impl Result {
    pub fn new(set: &Setting<'_>, job: &Job, mut done: Done, verdict: Verdict, rate: f64) -> Self {
        let part = part(set, job, &done, rate);
        let replay = replay(set, job, rate);
        // A shard alone cannot tell what others' subscribers got.
        if job.shard.1 == 1 {
            judge::wait_out(job, &mut done.tally, &verdict, (done.wall_s * 1e9) as i64);
        }
        let mut result = Self::of_books(job, done.tally, verdict, part);
        // All has been judged: the books go into the part, which at a limit of memory has no room for a second copy.
        result.part.devices = std::mem::take(&mut result.tally.devices);
        result.part.subscribers = std::mem::take(&mut result.tally.subscribers);
        result.replay = replay;
        result.searched = set.load.search.is_some();
        if result.searched {
            // A trial is one stage.
            result.happenings.retain(|h| h.what != "stage");
        }
        result.about.clone_from(&set.loaded.scenario.about);
        result
    }

    /// From the books alone, which a merge has too.
    pub fn of_books(job: &Job, tally: Tally, verdict: Verdict, part: Part) -> Self {
        let kind =
            |stage: Option<u32>| stage.and_then(|s| job.load.stages.get(s as usize)).map_or("", |s| s.word());
        let row = |(of, qos, stage, at): (Metric, Option<u8>, Option<u32>, Percentiles)| Row {
            of: of.word(),
            qos,
            stage,
            stage_kind: kind(stage),
            at,
        };
        // A shard alone cannot tell what others' subscribers got.
        let judged = if part.shard.1 == 1 && part.finished {
            judge::thresholds(job, &tally, &verdict)
        } else {
            Vec::new()
        };
        Self {
            scenario: part.name.clone(),
            about: String::new(),
            broker: part.broker.clone(),
            replay: String::new(),
            seed: part.seed,
            rate: part.rate,
            shard: part.shard,
            finished: part.finished,
            wall_s: part.wall_s,
            length_s: job.stages.length_ns() as f64 * 1e-9,
            connect_s: part.connect_s,
            connections: job.connections(),
            memory: part.memory,
            rows: judge::table(job, &tally).into_iter().map(row).collect(),
            lag_p99_ms: tally.lag.value_at_quantile(0.99) as f64 * 1e-3,
            outcomes: judged,
            verdict,
            tally,
            trials: Vec::new(),
            found: None,
            limit: None,
            limited_by: Vec::new(),
            searched: false,
            happenings: happenings(job),
            part,
        }
    }

    pub fn accusations(&self) -> &[Accusation] {
        // A search ends where something gives way: if that was the generator, the broker may take more.
        if self.searched && self.found.is_some() { &self.limited_by } else { &self.tally.accusations }
    }

    /// Whether the generator was not the limit.
    pub fn valid(&self) -> bool {
        self.tally.accusations.is_empty()
    }

    /// Whether all thresholds held; None: they were not judged, as those of a shard alone or of a load that was stopped.
    pub fn held(&self) -> Option<bool> {
        (!self.outcomes.is_empty()).then(|| self.outcomes.iter().all(|o| o.held == Some(true)))
    }

    pub fn exit(&self) -> Exit {
        match () {
            () if !self.accusations().is_empty() => Exit::Invalid,
            () if !self.finished => Exit::Interrupted,
            () if self.searched && self.found.is_none() => Exit::Failed,
            () if self.held() == Some(false) => Exit::Failed,
            () => Exit::Ok,
        }
    }

    /// The verdict in a few words.
    pub fn headline(&self) -> String {
        let at_least = |rate: f64| {
            format!(
                "The highest rate is at least {rate:.3} times the scenario's, {:.0} messages/s",
                self.sent_per_s()
            )
        };
        match (self.found, self.limit) {
            (Some(rate), Some(Limit::To)) => {
                return format!("{}: `to` was the limit; raise it, and search on", at_least(rate));
            }
            (Some(rate), Some(Limit::Generator)) => {
                let why = self.limited_by.first().map_or("", |a| a.text.as_str());
                return format!("{}: beyond, the generator was the limit: {why}", at_least(rate));
            }
            _ => {}
        }
        if let Some(first) = self.accusations().first() {
            return format!("Not a measurement of the broker: {}", first.text);
        }
        if !self.finished {
            return "Stopped before its end".to_owned();
        }
        if self.searched {
            return match self.found {
                Some(rate) => format!(
                    "The highest confirmed rate is {rate:.3} times the scenario's: {:.0} messages/s",
                    self.sent_per_s()
                ),
                None => {
                    let best = self.trials.iter().filter(|t| t.held && t.valid).map(|t| t.rate);
                    match best.reduce(f64::max) {
                        None => "No rate met the thresholds".to_owned(),
                        Some(rate) => format!(
                            "No rate was confirmed: {rate:.3} times the scenario's held in a trial, and not for longer"
                        ),
                    }
                }
            };
        }
        if self.shard.1 > 1 {
            return format!("Shard {} of {}: `twinfleet merge` judges the whole", self.shard.0, self.shard.1);
        }
        let count = |held: Option<bool>| self.outcomes.iter().filter(|o| o.held == held).count();
        let verdict = match (self.outcomes.len(), count(Some(false)), count(None)) {
            (1, 0, 0) if self.verdict.sent == 0 => "Nothing was sent: no delivery was judged".to_owned(),
            (1, 0, 0) if self.verdict.expected == 0 => "Nobody listened: no delivery was judged".to_owned(),
            (1, 0, 0) => "The broker kept what MQTT promises".to_owned(),
            (n, 0, 0) => format!("All {n} thresholds held"),
            (n, 0, m) => format!("{m} of {n} thresholds had no data"),
            (n, f, 0) => format!("{f} of {n} thresholds failed"),
            (n, f, m) => format!("{f} of {n} thresholds failed, {m} had no data"),
        };
        match self.verdict.never_sent {
            0 => verdict,
            never => {
                format!("{verdict}; {never} of {} planned messages were never sent", self.verdict.planned)
            }
        }
    }

    /// Messages a second over the stages, or over as much of them as there was.
    pub fn sent_per_s(&self) -> f64 {
        self.verdict.sent as f64 / self.length_s.min(self.wall_s).max(1e-9)
    }

    /// Deliveries a second over the run.
    pub fn received_per_s(&self) -> f64 {
        self.verdict.received as f64 / self.wall_s.max(1e-9)
    }

    /// Share of a core that the busiest worker ran during the stages.
    pub fn busy(&self) -> f64 {
        self.tally.cpu.iter().map(|c| c.shares().0).fold(0.0, f64::max)
    }

    /// CPU of the generator a message sent or received, [µs].
    pub fn cpu_us(&self) -> f64 {
        let ran_ns: u64 = self.tally.cpu.iter().map(|c| c.ran_ns).sum();
        ran_ns as f64 * 1e-3 / ((self.verdict.sent + self.verdict.received) as f64).max(1.0)
    }

    /// Why connections were lost or refused, and what else went wrong, and how often, the most frequent first.
    pub fn reasons(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.tally.reasons.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
        all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        all
    }

    pub fn percentiles(&self, of: Metric) -> Percentiles {
        Percentiles::of(&self.tally.times.of(of, None, None))
    }

    pub fn trial(&self, kind: &'static str) -> Trial {
        let failed = self.outcomes.iter().find(|o| o.held != Some(true));
        let why = match (self.tally.accusations.first(), failed) {
            (Some(a), _) => a.text.clone(),
            (None, Some(o)) => format!("{}: {}", o.claim, o.measured),
            (None, None) => String::new(),
        };
        Trial {
            kind,
            rate: self.rate,
            planned_per_s: self.verdict.planned as f64 / self.length_s.max(1e-9),
            received_per_s: self.received_per_s(),
            p99_ms: self.percentiles(Metric::Latency).p99_ms,
            held: self.held() == Some(true),
            valid: self.valid(),
            why,
        }
    }

    /// The result as the text of report.json.
    pub fn json(&self) -> String {
        let counters: BTreeMap<String, serde_json::Value> = match serde_json::to_value(self.tally.counts) {
            Ok(serde_json::Value::Object(map)) => map.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let object = serde_json::json!({
            "format": 1,
            "scenario": self.scenario, "about": self.about, "broker": self.broker, "replay": self.replay,
            "seed": self.seed, "rate": self.rate, "shard": [self.shard.0, self.shard.1],
            "held": self.held(), "valid": self.accusations().is_empty(), "headline": self.headline(),
            "finished": self.finished, "exit": self.exit() as u8,
            "length_s": self.length_s, "wall_s": self.wall_s, "connect_s": self.connect_s,
            "connections": self.connections, "memory_bytes": self.memory.all,
            "memory_of_connections_bytes": self.memory.connections,
            "sent_per_s": self.sent_per_s(), "received_per_s": self.received_per_s(),
            "cpu_us_a_message": self.cpu_us(), "lag_p99_ms": self.lag_p99_ms,
            "accusations": self.accusations(), "thresholds": self.outcomes, "verdict": self.verdict,
            "times": self.rows, "counters": counters, "reasons": self.tally.reasons,
            "trials": self.trials, "found": self.found, "limited_by": self.limit,
        });
        let mut text = serde_json::to_string_pretty(&object).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Stages and faults as they stand over the plots.
fn happenings(job: &Job) -> Vec<Happening> {
    let of = |what: &str, from_s: f64, to_s: Option<f64>, detail: &str| Happening {
        from_s,
        to_s,
        what: what.to_owned(),
        detail: detail.to_owned(),
        ..Happening::default()
    };
    let mut begin_s = 0.0;
    let stage = |s: &StageDef| {
        let from_s = begin_s;
        begin_s += s.length().as_secs_f64();
        of("stage", from_s, Some(begin_s), s.word())
    };
    let fault = |f: &LoadFaultDef| {
        let at_s = f.at.as_secs_f64();
        let to_s = match f.action {
            LoadFaultKind::Storm { jitter, .. } => Some(at_s + jitter.as_secs_f64()),
            _ if f.action.lasts() => f.until.map(Span::as_secs_f64),
            _ => Some(at_s),
        };
        of("fault", at_s, to_s, f.action.word())
    };
    let stages: Vec<_> = job.load.stages.iter().map(stage).collect();
    stages.into_iter().chain(job.load.faults.iter().map(fault)).collect()
}

/// The generator's own lag, as a part has it.
pub fn lag(tally: &Tally) -> Vec<WireTimes> {
    let mut lag = Times::new(1);
    for value in tally.lag.iter_recorded() {
        let ns = value.value_iterated_to() as i64 * 1_000;
        lag.record_n(Metric::PublishDelay, 0, 0, ns, value.count_since_last_iteration());
    }
    lag.to_wire()
}

/// A shard's part, without its books.
fn part(set: &Setting<'_>, job: &Job, done: &Done, rate: f64) -> Part {
    let tally = &done.tally;
    Part {
        format: FORMAT,
        scenario: set.loaded.source.text().to_owned(),
        name: set.args.file.clone(),
        prefix: set.args.prefix(),
        seed: job.seed,
        rate,
        shard: job.shard,
        run: job.run,
        start_unix_ns: done.start_unix_ns,
        finished: done.finished,
        wall_s: done.wall_s,
        broker: set.target.name.clone(),
        times: tally.times.to_wire(),
        lag: lag(tally),
        course: tally.course.clone(),
        counts: tally.counts,
        devices: BTreeMap::new(),
        subscribers: BTreeMap::new(),
        cpu: tally.cpu.clone(),
        accusations: tally.accusations.clone(),
        reasons: tally.reasons.clone(),
        connect_s: done.connect_s,
        memory: done.memory,
        retained: None,
    }
}

/// The command that does it again. A search finds its rate by itself; a shard names the start that it shared with the others, in
/// whose place a new one has to be agreed on.
fn replay(set: &Setting<'_>, job: &Job, rate: f64) -> String {
    let (args, target) = (set.args, &set.target.name);
    let mut line = format!(
        "twinfleet load {} --broker {} --seed {}",
        shell::word(&args.file),
        shell::word(target),
        job.seed
    );
    let mut add = |option: &str, value: String| line += &format!(" {option} {}", shell::word(&value));
    if rate != 1.0 && set.load.search.is_none() {
        add("--rate", rate.to_string());
    }
    args.sets.iter().for_each(|assignment| add("--set", assignment.clone()));
    args.catalog.iter().for_each(|dir| add("--catalog", dir.display().to_string()));
    if job.workers != 1 {
        add("--workers", job.workers.to_string());
    }
    if job.shard.1 > 1 {
        add("--shard", format!("{}/{}", job.shard.0, job.shard.1));
    }
    if let Some(at) = &args.start_at {
        add("--start-at", at.text.clone());
    }
    if let Some(source) = &args.source {
        add("--source", source.to_string());
    }
    args.tls.options().for_each(|(option, value)| add(option, value.display().to_string()));
    if let Some(program) = &args.restart_broker {
        add("--restart-broker", program.display().to_string());
    }
    if !args.prefix.is_empty() {
        add("--prefix", args.prefix.clone());
    }
    line
}
