//! Options of `load`.

use super::TlsArgs;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};
use twinfleet_engine::scenario::calendar;
use twinfleet_twins::load::socket::Sources;

/// Options of `load`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario file with a `load:` section, or the name of a shipped one (load-smoke, …).
    pub file: String,
    /// Broker: `mqtt[s]://[user:password@]host[:port]`, `ws[s]://…[/path]`, `embedded` (within this process) or
    /// `embedded:PORT`.
    #[arg(long, default_value = "embedded")]
    pub broker: String,
    /// Seed of every stream, in place of the scenario's own.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Multiple of the rates of all stages; a search finds its own.
    #[arg(long, default_value_t = 1.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Override a field of the scenario, such as `--set load.devices[0].count=500`; repeatable.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
    /// Worker threads, 1 to 64. Default: one, which does some hundred thousand messages a second.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,
    /// Be only shard I of N (from 0); `auto/N` takes I from JOB_COMPLETION_INDEX (Kubernetes) or SLURM_ARRAY_TASK_ID.
    #[arg(long, value_name = "I/N", value_parser = parse_shard, default_value = "0/1")]
    pub shard: (u32, u32),
    /// When the first stage begins, for all shards alike: `2026-11-28T18:00:00Z`, or Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    pub start_at: Option<StartAt>,
    /// Source addresses of the connections: `127.0.0.2-127.0.0.9`, with ports behind a colon if wanted (`:40000-49999`).
    #[arg(long, value_name = "RANGE")]
    pub source: Option<Sources>,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Program that restarts the broker, for the fault `Restart`; it is run without arguments and without a shell. The embedded
    /// broker needs none.
    #[arg(long, value_name = "PROGRAM")]
    pub restart_broker: Option<PathBuf>,
    /// Topic prefix on the broker.
    #[arg(long, default_value = "", value_parser = crate::args::parse_prefix)]
    pub prefix: String,
    /// Write what `merge` joins (histograms, ledgers, counters; a search has none) to this folder; an earlier run's is taken away at
    /// the start.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write report.html, report.json and junit.xml to this folder; those of an earlier run are taken away at the start.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Write every message sent to this file, a line each: intended time [ns], device, number.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Serve live figures for Prometheus at this address, such as `127.0.0.1:9464`.
    #[arg(long, value_name = "ADDRESS")]
    pub prometheus: Option<std::net::SocketAddr>,
    /// Plan only: say how much would be sent, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// No dashboard and no summary.
    #[arg(long, short)]
    pub quiet: bool,
}

/// What `--help` shows below the options.
pub const EXAMPLES: &str = "\
Examples:
  # a shipped load on a broker of yours; then look at out/report.html
  twinfleet load load-smoke --broker mqtt://127.0.0.1:1883 --report out/
  # more devices, twice the rate, two threads
  twinfleet load load-smoke --set load.devices[0].count=2000 --rate 2 \\
      --workers 2 --broker mqtt://127.0.0.1
  # the highest rate that meets the thresholds, confirmed
  twinfleet load load-search --broker mqtt://127.0.0.1
  # two shards at one instant, then one result
  T=$(($(date +%s) + 5))
  twinfleet load load-smoke --shard 0/2 --start-at $T --out a/ &
  twinfleet load load-smoke --shard 1/2 --start-at $T --out b/; wait
  twinfleet merge a/ b/ --out all/

Latency counts from the instant that a message was meant for, not from when
the broker let it go.

Exit codes:
  0 all held    1 a threshold or a guarantee of MQTT failed    2 bad input
  3 broker, disk    4 the generator itself was the limit: no measurement";

impl Args {
    /// The topic prefix, with its slash.
    pub fn prefix(&self) -> String {
        match self.prefix.as_str() {
            "" => String::new(),
            p if p.ends_with('/') => p.to_owned(),
            p => format!("{p}/"),
        }
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or(1).into()
    }

    /// What marks the messages of a pass of a load that began at this time: all shards of one start have the same.
    pub fn run_id(&self, begun_unix_ns: i64, seed: u64, trial: u32) -> u32 {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        trial.hash(&mut hasher);
        match &self.start_at {
            Some(at) => at.unix_ns.hash(&mut hasher),
            None => (begun_unix_ns, std::process::id()).hash(&mut hasher),
        }
        hasher.finish() as u32
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(x) if x.is_finite() && x > 0.0 && x <= 1e6 => Ok(x),
        _ => Err("write a multiple above 0, such as 0.5 or 4".to_owned()),
    }
}

pub fn parse_shard(text: &str) -> Result<(u32, u32), String> {
    let help = || format!("`{text}` is no shard: write I/N, such as 0/2 for the first of two, or auto/N");
    let (i, n) = text.split_once('/').ok_or_else(help)?;
    let n: u32 = n.parse().map_err(|_| help())?;
    if i != "auto" {
        let i = i.parse().map_err(|_| help())?;
        return if i < n { Ok((i, n)) } else { Err(help()) };
    }
    let (i, whose) = shard_of_job()?;
    if i < n {
        return Ok((i, n));
    }
    Err(format!(
        "{whose} is {i}, and {n} shards have the numbers 0 to {}: let the array begin at 0, or write `auto/N` with the number of \
         its tasks",
        n.saturating_sub(1)
    ))
}

/// The index that a scheduler gave this process.
fn shard_of_job() -> Result<(u32, &'static str), String> {
    let number = |name: &'static str| Some((std::env::var(name).ok()?.parse::<u32>().ok()?, name));
    // The number itself, so that a task that is queued again alone (`--array=3`) is the same shard: arrays begin at 0.
    number("JOB_COMPLETION_INDEX")
        .or_else(|| number("SLURM_ARRAY_TASK_ID"))
        .ok_or_else(|| "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set: write I/N".to_owned())
}

/// The instant at which the first stage of all shards begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAt {
    /// Unix time, [ns].
    pub unix_ns: i64,
    /// As it was written: a shard that is run again has to name the same instant to the nanosecond.
    pub text: String,
}

fn parse_start(text: &str) -> Result<StartAt, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && (1e9..1e10).contains(s));
    let unix_ns = seconds.map(|s| (s * 1e9) as i64).or_else(|| calendar::unix_ns(text));
    let unix_ns =
        unix_ns.ok_or_else(|| "write YYYY-MM-DDTHH:MM:SSZ, or Unix seconds (`date +%s`)".to_owned())?;
    Ok(StartAt { unix_ns, text: text.to_owned() })
}
