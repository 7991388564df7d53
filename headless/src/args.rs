//! The command line.

mod examples;

use crate::login::Login;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use twinfleet_engine::time::Span;

const AFTER: &str = "\
Exit codes:
  0    all expectations held
  1    an expectation or threshold failed
  2    bad input: a file or a flag
  3    the outside failed: broker, disk, time-out
  4    the load generator itself was the limit: no measurement
  101  a bug in twinfleet
  130  stopped by Ctrl-C

Start here:
  twinfleet list scenarios
  twinfleet run pi3b-mirror --report out/
  twinfleet run greenhouse --broker none
  twinfleet run --help                       every command has examples of its own";

/// Digital twins of IoT fleets: simulate virtual devices, mirror real ones, compare the two.
#[derive(Debug, Parser)]
#[command(name = "twinfleet", version, after_help = AFTER, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print results as JSON on standard output, for machines.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(after_help = examples::RUN)]
    /// Run a scenario: simulate its devices, mirror its physicals, judge its expectations.
    Run(RunArgs),
    #[command(after_help = examples::CHECK)]
    /// Validate scenario and catalog files without running them.
    Check(CheckArgs),
    #[command(after_help = examples::LIST)]
    /// List what the catalog holds.
    List(ListArgs),
    #[command(after_help = examples::REPLAY)]
    /// Publish a recording as a physical device, at its own pace or faster.
    Replay(ReplayArgs),
    #[command(after_help = examples::DISCOVER)]
    /// Listen on a broker, list the devices that speak there, write the scenario that follows them.
    Discover(crate::discover::Args),
    /// Measure a part of the catalog on the bench, and hold it against what its file states.
    Datasheet(crate::datasheet::Args),
    #[command(after_help = examples::FIT)]
    /// Calibrate a thing's dynamics against recordings.
    Fit(crate::fit::Args),
    /// Judge forecasts, alarms and diagnoses on recordings.
    #[command(subcommand)]
    Score(crate::score::Score),
    /// Train a network that forecasts, and keep it in files.
    Train(crate::train::Args),
    #[command(after_help = examples::MIRROR)]
    /// Follow real devices on a broker until stopped: state, estimates, forecasts, verdicts, history.
    Mirror(crate::mirror::Args),
    /// Put a broker under load: open loop, every delivery accounted for.
    Load(Box<crate::load::Args>),
    /// Run a scenario at many seeds and settings.
    Sweep(crate::sweep::Args),
    #[command(after_help = examples::MERGE)]
    /// Join the records of all shards of a run, or the parts of a load, into the whole.
    Merge(MergeArgs),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scenario file, or the name of a shipped scenario (see `twinfleet list scenarios`).
    pub file: String,
    /// Seed of every random stream, in place of the scenario's own.
    #[arg(long, allow_hyphen_values = true, value_parser = parse_seed)]
    pub seed: Option<u64>,
    /// Pace: `max` (as fast as it goes), or a multiple of real time such as `1x` or `60x`.
    #[arg(long, default_value = "max", allow_hyphen_values = true, value_parser = parse_speed)]
    pub speed: Speed,
    /// Broker: `embedded` (within this process, on a free port), `embedded:PORT`, `none`, or
    /// `mqtt[s]://[user:password@]host[:port]` (port 1883, with mqtts 8883).
    #[arg(long, default_value = "embedded")]
    pub broker: String,
    /// Topic prefix on the broker. Default: none on the embedded one, `twinfleet/<seed>-<process>` on others.
    #[arg(long, value_parser = parse_prefix)]
    pub prefix: Option<String>,
    /// Write the record (Parquet segments, manifest, state hash) to this folder; it must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Write report.html, report.json and junit.xml to this folder; those of an earlier run are replaced.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// No picture in the report. Without this, `twinfleet-desktop` draws one where it was built beside the command, for which it
    /// goes through the run, or its record, again.
    #[arg(long)]
    pub no_pictures: bool,
    /// Threads of the simulation, 1 to 256. More help from some ten thousand devices on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Override a field of the scenario, such as `--set duration=10min` or `--set links[wifi].loss=0.2`; repeatable.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// Simulate only shard I of N (from 0) of the fleet; `merge` joins the records.
    #[arg(long, value_name = "I/N", value_parser = parse_shard, default_value = "0/1", allow_hyphen_values = true)]
    pub shard: (u32, u32),
    /// A folder with boards/, sensors/, actuators/, batteries/, regulators/, links/ or things/ of your own; repeatable. `catalog/` next to the scenario is read by itself.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
    /// Each device connects by itself, with its own client id, last will and subscriptions, and topics have no prefix: for a
    /// broker of their own kind (`--broker mqtt://…`), at a pace (`--speed 1x`).
    #[arg(long)]
    pub as_devices: bool,
    /// Run the scenario's Python scripts unconfined: they can read and write what you can. Needed where the system has no
    /// Landlock (Linux 5.13 and later have it).
    #[arg(long)]
    pub trust_scripts: bool,
    /// Real time that a script may be silent for before the run ends with exit code 3, [s].
    #[arg(long, value_name = "SECONDS", env = "TWINFLEET_SCRIPT_PATIENCE")]
    pub script_patience: Option<f64>,
    /// No progress bar and no summary; what failed is told on standard error.
    #[arg(long, short)]
    pub quiet: bool,
    /// How to get to a broker of one's own, where `replay` says so.
    #[arg(skip)]
    pub login: Option<Login>,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A table of readings (CSV and its like), or a scenario whose `physicals` are published and nothing else.
    pub file: String,
    /// Column of time: a name, or `#N` counted from 1. Without it, --period.
    #[arg(long, value_name = "COL", conflicts_with = "period")]
    pub time: Option<String>,
    /// Spacing of the rows where there is no column of time, such as `1s`.
    #[arg(long, value_name = "SPAN")]
    pub period: Option<Span>,
    /// The first line holds readings, not names; columns are then `#N`.
    #[arg(long)]
    pub no_header: bool,
    /// A signal and its column, such as `soc.temperature=temp` or `probe.temperature=#3:K`; repeatable.
    #[arg(long = "map", value_name = "SIGNAL=COL[:UNIT]")]
    pub maps: Vec<String>,
    /// Id of the device that it stands for.
    #[arg(long, default_value = "replayed")]
    pub id: String,
    /// Topic; `{device}` is replaced by the id.
    #[arg(long, default_value = "fleet/{device}/state")]
    pub topic: String,
    /// MQTT quality of service: 0, 1 or 2.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Pace: `1x` is the recording's own, `60x` a minute a second, `max` as fast as it goes.
    #[arg(long, default_value = "1x", allow_hyphen_values = true, value_parser = parse_speed)]
    pub speed: Speed,
    /// Broker: `mqtt[s]://[user:password@]host[:port]`, `embedded:PORT`, `embedded` (within this process, on a free port), or
    /// `none`.
    #[arg(long, default_value = "embedded")]
    pub broker: String,
    /// Topic prefix on the broker.
    #[arg(long, default_value = "", value_parser = parse_prefix)]
    pub prefix: String,
    /// Each device connects by itself, with its own client id, last will and subscriptions: doubles in the devices' stead.
    #[arg(long)]
    pub as_devices: bool,
    #[command(flatten)]
    pub login: Login,
    /// No progress bar and no summary.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Records of all shards of one run, in any order.
    #[arg(required = true, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Folder for the whole record; it must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A folder with a catalog of your own, where the shards of a load had it; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Scenario or catalog files, or folders of them. What lies in boards/, sensors/, actuators/ or things/ is a catalog file.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list.
    pub what: Listed,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Listed {
    /// Boards that parts are wired to: pins, buses, currents.
    Boards,
    /// Sensors: what they measure and how they are wired; `--json` and `datasheet` name the source of their figures.
    Sensors,
    /// Actuators.
    Actuators,
    /// Battery cells.
    Batteries,
    /// Regulators.
    Regulators,
    /// Link profiles.
    Links,
    /// Things: a board with its parts, firmware and dynamics.
    Things,
    /// Scenarios that come with the program.
    Scenarios,
    /// Predictors that twins forecast with.
    Predictors,
    /// Dialects that devices speak over MQTT.
    Dialects,
    /// What a device's own code may be written for, and what it finds.
    Runtimes,
}

/// Simulated seconds per real second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as possible, in lock-step with the broker.
    Max,
    /// A multiple of real time.
    Times(f64),
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let number = text.strip_suffix('x').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(x) if x.is_finite() && x > 0.0 && x <= 1e6 => Ok(Speed::Times(x)),
        _ => Err("write `max`, or a multiple of real time such as `1x`, `60x` or `0.5x`".to_owned()),
    }
}

/// Longest topic prefix, [bytes]. A topic ends at 65,535, and most of that stays the devices' own.
const MAX_PREFIX_BYTES: usize = 4096;

/// What topics of ours begin with, of a length that leaves room for topics behind it.
pub fn parse_prefix(text: &str) -> Result<String, String> {
    match text {
        t if t.contains(['+', '#', '\0']) => {
            Err("topics have no wildcards; write one such as lab/line-3".to_owned())
        }
        t if t.starts_with('$') => {
            Err("topics that begin with `$` are the broker's own; write one such as lab/line-3".to_owned())
        }
        t if t.len() > MAX_PREFIX_BYTES => Err(format!(
            "it has {} bytes, and MQTT's topics end at 65535: write a prefix of at most {MAX_PREFIX_BYTES}",
            t.len()
        )),
        t => Ok(t.to_owned()),
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u64::MAX))
}

fn parse_shard(text: &str) -> Result<(u32, u32), String> {
    let help = || format!("`{text}` is no shard: write I/N, such as 0/2 for the first of two");
    let (i, n) = text.split_once('/').ok_or_else(help)?;
    let (i, n): (u32, u32) = (i.parse().map_err(|_| help())?, n.parse().map_err(|_| help())?);
    if i < n { Ok((i, n)) } else { Err(help()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn speeds_and_shards_are_read() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("60x"), Ok(Speed::Times(60.0)));
        assert!(parse_speed("0x").is_err() && parse_speed("fast").is_err());
        assert_eq!(parse_shard("1/2"), Ok((1, 2)));
        assert!(parse_shard("2/2").is_err() && parse_shard("x").is_err());
        assert!(parse_seed("-1").is_err() && parse_seed("7") == Ok(7));
    }
}
