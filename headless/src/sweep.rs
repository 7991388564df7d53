//! `twinfleet sweep`: one scenario at many seeds and settings, spread over processes, machines or a scheduler's array.
//!
//! Each cell runs in a process of its own and leaves one file, written aside and renamed. So a shard that was killed is
//! run again alone and does only what is missing, and the merged result is that of a sweep that nobody disturbed.

mod inputs;

use crate::{
    exit::{Exit, Failure, say},
    load::{TlsArgs, restart_by, restarts},
    load_files,
};
use inputs::{identity, inputs};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use twinfleet_engine::aside;
use twinfleet_twins::wire::url::BrokerChoice;

/// Name of the merged file within its folder.
pub const FILE: &str = "sweep.json";
/// Cells that a sweep may have.
const MOST_CELLS: usize = 1_000_000;

/// Options of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario file, or the name of a shipped one; one with a `load:` section is put on the broker that `--broker` names.
    pub file: String,
    /// A field and the values it takes, such as `links[wifi].loss=0,0.1,0.2`; repeatable: all combinations are run. Commas within
    /// brackets and quotes are a value's own.
    #[arg(long, value_name = "PATH=A,B,C")]
    pub over: Vec<String>,
    /// Seeds, first and last: `1..100`, or one.
    #[arg(long, default_value = "1", value_parser = parse_seeds)]
    pub seeds: (u64, u64),
    /// Override a field in all cells; repeatable.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
    /// Broker of every cell. Default: none, and for a scenario with a `load:` section the embedded one, each cell its own. A load on
    /// another broker finds there what the cells before it left: see --restart-broker.
    #[arg(long)]
    pub broker: Option<String>,
    /// Program that restarts the broker before each cell of a load, and ends once it is there again; as of `load`, for the fault
    /// `Restart` too. Without it, cells influence each other: sessions, retained messages and memory that one left with the
    /// broker are there for the next.
    #[arg(long, value_name = "PROGRAM")]
    pub restart_broker: Option<PathBuf>,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Do only shard I of N; `auto/N` takes I from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID.
    #[arg(long, value_name = "I/N", value_parser = crate::load::parse_shard, default_value = "0/1")]
    pub shard: (u32, u32),
    /// Cells at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// Folder of the results, a file a cell. What is there already is not run again, unless the scenario's text, a file that it
    /// names, a module beside a script, a definition in a catalog of your own or the broker has changed since, or it was no
    /// measurement (exit 4).
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// No line a cell.
    #[arg(long, short)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  # a hundred seeds
  twinfleet sweep cold-night --seeds 1..100 --out night/
  # two settings by ten seeds, four at a time
  twinfleet sweep my.ron --set duration=2h --seeds 1..10 --jobs 4 \\
      --over fleet[0].count=50,200 --out size/
  # one shard of ten here, the others elsewhere; then the whole
  twinfleet sweep cold-night --seeds 1..100 --shard 0/10 --out s0/
  twinfleet merge s0/ s1/ … s9/ --out night/

A cell that is there already is not run again: start a killed sweep anew with
the same command. One of another text of the scenario, other definitions or
another broker, or that was no measurement, is.

Cells of a load on a broker of yours influence each other, unless
--restart-broker PROGRAM begins each with a fresh one, and are run one at a
time; with --jobs, cells of a load take each other's time.

Exit codes:
  0 every cell held    1 one failed    2 bad input    3 a cell's broker or disk
  4 one was no measurement";

/// A cell: what is run, and in the end what came of it. No time and no machine is named: the same sweep leaves the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Number within the whole sweep.
    pub index: usize,
    /// Cells of the whole sweep.
    pub of: usize,
    /// Scenario, as it was named.
    pub scenario: String,
    /// Settings, `path=value`.
    pub set: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// Hash of what else decides it: the scenario's text with its settings, the files that it names, the definitions of catalogs
    /// of one's own, and the broker.
    #[serde(default)]
    pub inputs: String,
    /// Hash of what is decided of all cells of its sweep, which tells it from others of as many.
    #[serde(default)]
    pub sweep: String,
    /// Whether it found the broker as the cells before it had left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_broker: bool,
    /// Whether a fault of its load restarts the broker.
    #[serde(skip)]
    restarts: bool,
    /// Exit code.
    pub exit: i32,
    /// The verdict in a few words.
    pub headline: String,
    /// State hash of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
    /// Margins of expectations or thresholds, by name.
    pub margins: BTreeMap<String, Option<f64>>,
}

fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let help = || format!("`{text}` are no seeds: write FIRST..LAST, such as 1..100");
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number = |s: &str| s.trim_start_matches('=').parse::<u64>().map_err(|_| help());
    let (first, last) = (number(first)?, number(last)?);
    if first <= last { Ok((first, last)) } else { Err(help()) }
}

/// The values of a list, which commas part that are in no brackets and no quotes.
fn values_of(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut begin, mut depth) = (0, 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[begin..]);
    all
}

/// All cells, in the order of their numbers: settings first, then seeds.
fn cells(args: &Args) -> Result<Vec<Cell>, Failure> {
    let mut settings: Vec<Vec<String>> = vec![args.sets.clone()];
    for (i, over) in args.over.iter().enumerate() {
        let bad =
            || Failure::input(format!("--over {over}: write PATH=A,B,C, such as links[wifi].loss=0,0.1"));
        let (path, values) = over.split_once('=').ok_or_else(bad)?;
        if args.over[..i].iter().any(|o| o.split_once('=').is_some_and(|(other, _)| other == path)) {
            return Err(Failure::input(format!(
                "--over {path}: this field is there twice, and only its last value would count; write all of its values in one list"
            )));
        }
        let values = values_of(values);
        if path.is_empty() || values.iter().any(|v| v.is_empty()) {
            return Err(bad());
        }
        let with = |set: &Vec<String>, value: &str| {
            let mut set = set.clone();
            set.push(format!("{path}={value}"));
            set
        };
        settings =
            settings.iter().flat_map(|s| values.iter().map(|v| with(s, v)).collect::<Vec<_>>()).collect();
    }
    let seeds = (args.seeds.1 - args.seeds.0).saturating_add(1);
    let of = settings.len().saturating_mul(usize::try_from(seeds).unwrap_or(usize::MAX));
    if of > MOST_CELLS {
        return Err(Failure::input(format!("{of} cells are too many: {MOST_CELLS} at most")));
    }
    let cell = |(index, (set, seed)): (usize, (&Vec<String>, u64))| Cell {
        index,
        of,
        scenario: args.file.clone(),
        set: set.clone(),
        seed,
        inputs: String::new(),
        sweep: String::new(),
        shared_broker: false,
        restarts: false,
        exit: 0,
        headline: String::new(),
        state_hash: None,
        margins: BTreeMap::new(),
    };
    let all = settings.iter().flat_map(|s| (args.seeds.0..=args.seeds.1).map(move |seed| (s, seed)));
    Ok(all.enumerate().map(cell).collect())
}

/// Runs the cells of this shard.
pub fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let mut all = cells(args)?;
    // A mistake is told once, before a thousand processes find it.
    let mut is_load = false;
    let mut before: Option<Cell> = None;
    for cell in &mut all {
        // Settings first, then seeds.
        if let Some(before) = before.as_ref().filter(|_| cell.seed != args.seeds.0) {
            cell.inputs.clone_from(&before.inputs);
            (cell.shared_broker, cell.restarts) = (before.shared_broker, before.restarts);
            continue;
        }
        let loaded = load_files::scenario(&args.file, &cell.set, &args.catalog)
            .map_err(|r| load_files::refused(&r))?;
        is_load = loaded.scenario.load.is_some();
        if !is_load && args.tls.are_given() {
            return Err(Failure::input("--ca-file and --cert are for scenarios with a `load:` section"));
        }
        cell.shared_broker = shares_broker(args, is_load)?;
        cell.restarts = loaded.scenario.load.as_ref().is_some_and(restarts);
        cell.inputs = inputs(args, &loaded, is_load)?;
        before = Some(cell.clone());
    }
    let sweep = identity(&all);
    all.iter_mut().for_each(|c| c.sweep.clone_from(&sweep));
    fs::create_dir_all(&args.out).map_err(|e| disk(&args.out, &e))?;
    let (i, n) = args.shard;
    let mine: Vec<&Cell> = all.iter().filter(|c| c.index % n as usize == i as usize).collect();
    let stop = crate::run::stop_flag()?;
    let failure: Mutex<Option<Failure>> = Mutex::new(None);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                while let Some(cell) = mine.get(next.fetch_add(1, Relaxed)) {
                    if stop.load(Relaxed) || failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
                    {
                        return;
                    }
                    match finished(args, cell, is_load, &stop) {
                        Ok(Some(cell)) => {
                            if !args.quiet && !json {
                                say(format_args!("{}", line(&cell)));
                            }
                            done.lock().unwrap_or_else(PoisonError::into_inner).push(cell);
                        }
                        Ok(None) => return,
                        Err(why) => {
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                        }
                    }
                }
            });
        }
    });
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|c| c.index);
    if stop.load(Relaxed) {
        eprintln!(
            "stopped with {} of {} cells done; the same command goes on with the rest",
            done.len(),
            mine.len()
        );
        return Ok(Exit::Interrupted);
    }
    if n == 1 {
        write(&args.out, FILE, &done)?;
    }
    if json || !args.quiet {
        tell(&done, json);
    }
    Ok(verdict(&done))
}

/// The broker of every cell.
fn broker(args: &Args, is_load: bool) -> &str {
    let none = if is_load { "embedded" } else { "none" };
    args.broker.as_deref().unwrap_or(none)
}

/// Whether the cells share a broker that nobody restarts between them; refuses to restart one that cannot be.
fn shares_broker(args: &Args, is_load: bool) -> Result<bool, Failure> {
    let choice: BrokerChoice = broker(args, is_load).parse().map_err(crate::run::wire)?;
    let is_ours = is_load && matches!(choice, BrokerChoice::Url(_));
    if is_ours && args.jobs > 1 {
        return Err(Failure::input(
            "--jobs: cells of a load have the same client ids, and on one broker each would take the others' connections; leave --jobs \
             out, or --broker, so that each cell has an embedded one of its own",
        ));
    }
    let Some(program) = &args.restart_broker else { return Ok(is_ours) };
    let refused = |why: &str| Err(Failure::input(format!("--restart-broker: {why}")));
    match () {
        () if !is_ours => refused(
            "it is for loads on a broker of yours (`--broker mqtt://…`); each cell has an embedded one of its own",
        ),
        () if !program.exists() => refused(&format!("there is no file {}", program.display())),
        () => Ok(false),
    }
}

fn disk(path: &Path, error: &std::io::Error) -> Failure {
    Failure::outside(format!("cannot write {}: {error}", path.display()))
}

fn write(dir: &Path, name: &str, what: &impl Serialize) -> Result<(), Failure> {
    let path = dir.join(name);
    let text = serde_json::to_string_pretty(what).map_err(Failure::outside)? + "\n";
    aside::write_whole(&path, text).map_err(|e| disk(&path, &e))
}

fn name_of(cell: &Cell) -> String {
    format!("cell-{:06}.json", cell.index)
}

/// A cell's result: from its file, or by running it. None: stopped.
fn finished(args: &Args, cell: &Cell, is_load: bool, stop: &AtomicBool) -> Result<Option<Cell>, Failure> {
    let path = args.out.join(name_of(cell));
    if let Ok(text) = fs::read(&path) {
        let mut there: Cell = serde_json::from_slice(&text).map_err(|e| {
            Failure::input(format!("{}: this is no cell ({e}); take it away", path.display()))
        })?;
        let same = (there.index, there.of, there.seed) == (cell.index, cell.of, cell.seed)
            && there.set == cell.set
            && there.scenario == cell.scenario;
        if !same {
            return Err(Failure::input(format!(
                "{}: this cell is of another sweep; name another folder with --out",
                path.display()
            )));
        }
        // A cell that was no measurement, or of another text or broker, is done once more.
        if there.exit != 4 && there.inputs == cell.inputs {
            // The same cell of an earlier sweep, in which others were different, is one of this sweep now.
            if there.sweep != cell.sweep {
                there.sweep.clone_from(&cell.sweep);
                write(&args.out, &name_of(&there), &there)?;
            }
            return Ok(Some(there));
        }
    }
    if let Some(program) = &args.restart_broker {
        restart_by(program, || stop.load(Relaxed).then_some(Ok(())))?;
        if stop.load(Relaxed) {
            return Ok(None);
        }
    }
    let program = std::env::current_exe().map_err(Failure::outside)?;
    let mut command = Command::new(program);
    command.args([
        "--json",
        if is_load { "load" } else { "run" },
        &args.file,
        "--quiet",
        "--broker",
        broker(args, is_load),
    ]);
    for (option, value) in args.tls.options() {
        command.arg(option).arg(value);
    }
    if let Some(program) = args.restart_broker.as_ref().filter(|_| cell.restarts) {
        command.arg("--restart-broker").arg(program);
    }
    command.args(["--seed", &cell.seed.to_string()]);
    for set in &cell.set {
        command.args(["--set", set]);
    }
    for folder in &args.catalog {
        command.arg("--catalog").arg(folder);
    }
    let output = command.output().map_err(Failure::outside)?;
    if stop.load(Relaxed) {
        return Ok(None);
    }
    let code = output.status.code();
    let text = String::from_utf8_lossy(&output.stderr);
    let what = || format!("cell {} (--seed {} {})", cell.index, cell.seed, cell.set.join(" "));
    match code {
        Some(0 | 1 | 4) => {}
        Some(2) => return Err(Failure::input(format!("{}: {}", what(), text.trim_end()))),
        _ => {
            return Err(Failure::outside(format!(
                "{} ended with {}: {}",
                what(),
                output.status,
                text.trim_end()
            )));
        }
    }
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Failure::outside(format!("{} printed no result ({e})", what())))?;
    let judged = value["expectations"].as_array().or(value["thresholds"].as_array());
    let margin = |o: &serde_json::Value| {
        let name = o["name"].as_str().or(o["claim"].as_str())?.to_owned();
        Some((name, o["margin"].as_f64()))
    };
    let mut cell = cell.clone();
    cell.exit = code.unwrap_or(101);
    cell.headline = value["headline"].as_str().unwrap_or_default().to_owned();
    cell.state_hash = value["state_hash"].as_str().map(str::to_owned);
    cell.margins = judged.into_iter().flatten().filter_map(margin).collect();
    write(&args.out, &name_of(&cell), &cell)?;
    Ok(Some(cell))
}

fn line(cell: &Cell) -> String {
    let set = if cell.set.is_empty() { String::new() } else { format!(" {}", cell.set.join(" ")) };
    format!("{}/{} seed {}{set}: {}", cell.index + 1, cell.of, cell.seed, cell.headline)
}

fn verdict(cells: &[Cell]) -> Exit {
    if cells.iter().any(|c| c.exit == 4) {
        Exit::Invalid
    } else if cells.iter().any(|c| c.exit != 0) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// By setting: how many seeds held, and the least margin of each expectation.
fn tell(cells: &[Cell], json: bool) {
    let shared = cells.iter().any(|c| c.shared_broker);
    if json {
        let object = serde_json::json!({
            "cells": cells, "held": verdict(cells) as u8 == 0, "shared_broker": shared,
        });
        say(format_args!("{object}"));
        return;
    }
    let mut by_set: BTreeMap<&[String], Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        by_set.entry(&cell.set).or_default().push(cell);
    }
    for (set, cells) in by_set {
        let held = cells.iter().filter(|c| c.exit == 0).count();
        let what = if set.is_empty() { "as it is".to_owned() } else { set.join(" ") };
        say(format_args!("{what}: {held} of {} held", cells.len()));
        let names: std::collections::BTreeSet<&String> =
            cells.iter().flat_map(|c| c.margins.keys()).collect();
        for name in names {
            let of = |c: &&&Cell| c.margins.get(name).copied().flatten();
            let least = cells
                .iter()
                .filter(|c| of(c).is_some())
                .min_by(|a, b| of(a).unwrap_or(f64::MAX).total_cmp(&of(b).unwrap_or(f64::MAX)));
            if let Some(cell) = least {
                let margin = of(&cell).unwrap_or(0.0);
                say(format_args!("  least margin {margin:.4} at seed {}: {name}", cell.seed));
            }
        }
    }
    if shared {
        say(format_args!(
            "the cells shared a broker that nobody restarted: what one left with it, the next found (--restart-broker)"
        ));
    }
}

/// Whether a folder holds cells of a sweep.
pub fn is_part(dir: &Path) -> bool {
    cell_files(dir).next().is_some()
}

fn cell_files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    entries.filter(|p| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.starts_with("cell-") && name.ends_with(".json")
    })
}

/// Joins the cells in these folders into one result.
pub fn merge(dirs: &[PathBuf], out: &Path, json: bool) -> Result<Exit, Failure> {
    let mut cells: BTreeMap<usize, Cell> = BTreeMap::new();
    for path in dirs.iter().flat_map(|d| cell_files(d)) {
        let bad = |e: &dyn std::fmt::Display| Failure::input(format!("{}: {e}", path.display()));
        let text = fs::read(&path).map_err(|e| bad(&e))?;
        let cell: Cell = serde_json::from_slice(&text).map_err(|e| bad(&e))?;
        if let Some(there) = cells.get(&cell.index)
            && *there != cell
        {
            return Err(bad(&"another folder has another result of this cell: they are of different sweeps"));
        }
        cells.insert(cell.index, cell);
    }
    let cells: Vec<Cell> = cells.into_values().collect();
    let first = cells.first().cloned();
    let of = first.as_ref().map_or(0, |c| c.of);
    if let (Some(first), Some(other)) = (&first, cells.iter().find(|c| c.of != of)) {
        let text =
            format!("cells of sweeps of {} and of {} cells do not belong together", first.of, other.of);
        return Err(Failure::input(text));
    }
    if let Some(first) = &first
        && let Some(other) = cells.iter().find(|c| c.sweep != first.sweep)
    {
        return Err(Failure::input(format!(
            "cells {} and {} are of different sweeps: settings, seeds, the scenario's text, a file that it names, a catalog or the \
             broker differ between their shards; run all shards again with the same options, each does only what has changed",
            first.index, other.index
        )));
    }
    let missing: Vec<String> = (0..of)
        .filter(|i| cells.binary_search_by_key(i, |c| c.index).is_err())
        .take(8)
        .map(|i| i.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::input(format!(
            "{} of {of} cells are there; missing: {}…; run their shard again, it does only what is missing",
            cells.len(),
            missing.join(", ")
        )));
    }
    fs::create_dir_all(out).map_err(|e| disk(out, &e))?;
    write(out, FILE, &cells)?;
    tell(&cells, json);
    Ok(verdict(&cells))
}
