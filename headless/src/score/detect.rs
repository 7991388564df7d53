//! `twinfleet score detect`: flags in, a score and an alarm for each row out, figures against labels.

mod figures;
mod files;
mod fleet;
mod report;
mod stream;
mod windows;

use self::{
    figures::Figures,
    files::Stream,
    stream::{Learnt, Watched},
};
use crate::{
    exit::{Exit, Failure},
    load_files,
    table::{self, ReadingArgs},
};
use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside::Aside,
    detect::Contract,
    scenario::diagnostic::{Diagnostic, Report},
};

/// What `--help` shows below the options.
pub const AFTER: &str = "\
Examples:
  # one signal, nothing known beforehand
  twinfleet score detect --data nab/ --time timestamp --signals value \\
      --windows nab/windows.json --out scored/
  # several signals, the first 400 rows are clean, a column says what is true
  twinfleet score detect --data rig.csv --time datetime --label anomaly \\
      --signals Pressure,Current,Temperature --train-rows 400 --out scored.csv
  # clean rows in a file of their own; which signal was it?
  twinfleet score detect --data fault.dat --no-header --period 180 \\
      --signals '#1,#2,#3' --train normal.dat --out scored.csv --explain alarms.csv

A row is judged by the rows before it only. OUT has time,score,alarm,changepoint:
score is how unusual the row is, in powers of ten (of `novelty` the mean of several
views, to be held against its threshold: no probability); alarm is 1 while something
is wrong, changepoint is 1 on the row with which that begins. Of one signal, what
is new is told, and learning goes on; of several signals with clean rows to learn
from, what leaves their normal behaviour; of one that only counts up or down, its
steps. F1 and rates are over rows and never point-adjusted.

Exit codes:
  0 done    2 bad input    3 a file could not be written";

/// Options of `score detect`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Tables of readings, or folders of them; each file is a stream of its own.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Columns to watch: names or `#N`.
    #[arg(long, value_name = "COL", required = true, num_args = 1.., value_delimiter = ',')]
    pub signals: Vec<String>,
    /// The first so many rows of each file are clean: they are learnt from, and no alarm is told in them.
    #[arg(long, value_name = "N", conflicts_with = "train")]
    pub train_rows: Option<usize>,
    /// A table of clean rows with the same columns; where it has the column of --label, only rows without a label count.
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// Column that is not 0 in rows where something was wrong.
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// False alarms that are allowed a month, for each device. Default: one in 1,000 rows; where fewer clean rows are learnt
    /// from, one in as many.
    #[arg(long, value_name = "A", value_parser = parse_positive, allow_hyphen_values = true)]
    pub alarms_per_month: Option<f64>,
    /// The same as rows to a false alarm.
    #[arg(long, value_name = "R", value_parser = parse_positive, conflicts_with = "alarms_per_month", allow_hyphen_values = true)]
    pub rows_per_alarm: Option<f64>,
    /// Of the alarms told over all streams, at most this share is false on average; alarms beyond are taken back. For
    /// detectors that learn from clean rows.
    #[arg(long, value_name = "Q", value_parser = parse_share, allow_hyphen_values = true)]
    pub fdr: Option<f64>,
    /// Labelled windows by file, as the Numenta Anomaly Benchmark writes them: its standard profile's score is printed.
    #[arg(long, value_name = "FILE.json")]
    pub windows: Option<PathBuf>,
    /// Where rows of time,score,alarm,changepoint go: a file for one file, a folder for several.
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
    /// Detector: `auto` is `normal` for several signals with clean rows to learn from and `novelty` elsewhere; the others are
    /// the textbook's, to compare with.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = stream::NAMES)]
    pub detector: String,
    /// Write report.html to this folder: signals, scores and alarms as plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Where alarms go, one a row: file,onset,end,rows,score,signal.
    #[arg(long, value_name = "FILE.csv")]
    pub explain: Option<PathBuf>,
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x > 0.0 => Ok(x),
        _ => Err("write a number above 0".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err("write a share between 0 and 1, such as 0.1".to_owned()),
    }
}

impl Args {
    /// What was asked for, if anything.
    fn contract(&self, period_s: f64) -> Option<Contract> {
        match (self.alarms_per_month, self.rows_per_alarm) {
            (Some(alarms), _) => Some(Contract::per_month(alarms, period_s)),
            (None, Some(rows)) => Some(Contract { rows: rows.max(1.0) }),
            (None, None) => None,
        }
    }
}

/// Reads, watches, writes and prints.
pub fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let refused = |r: Report| load_files::refused(&r);
    let files = files::all(&args.data).map_err(refused)?;
    let mut args = args.clone();
    if let Some(first) = files.first() {
        table::rejoin(&first.path, &mut args.signals);
    }
    // Named twice it is one signal all the same.
    let mut seen = BTreeSet::new();
    args.signals.retain(|name| seen.insert(name.trim().to_owned()));
    let args = &args;
    let windows = args.windows.as_deref().map(windows::Windows::read).transpose().map_err(refused)?;
    let mut warnings = Report::default();
    let clean = match &args.train {
        Some(path) => Some(clean_rows(args, path, &mut warnings).map_err(refused)?),
        None => None,
    };
    let mut figures = Figures::new(args);
    let mut page = report::Page::default();
    let mut explained = explain_file(args)?;
    let into_folder = files.len() > 1 || args.data.iter().any(|d| d.is_dir()) || args.out.is_dir();
    let mut all = Vec::new();
    for file in &files {
        let stream = Stream::read(args, file, &mut warnings).map_err(refused)?;
        let contract = args.contract(stream.table.notes.median_step_s);
        let learnt =
            Learnt { contract, rows: args.train_rows, clean: clean.as_deref(), detector: &args.detector };
        let watched = stream::watch(&stream, &learnt).map_err(refused)?;
        tell_counters(&stream, &watched, &mut warnings);
        tell_unwatched(&stream, &watched, &mut warnings);
        all.push((stream, watched));
    }
    if all.iter().all(|(stream, watched)| is_unwatched(stream, watched)) {
        return Err(refused(nothing_watched(&all)));
    }
    if let Some(rate) = args.fdr {
        if all.iter().any(|(_, w)| w.detector != stream::NORMAL) {
            return Err(refused(no_probabilities()));
        }
        fleet::control(&mut all, rate);
    }
    for (file, (stream, watched)) in files.iter().zip(&all) {
        let to = if into_folder { args.out.join(&file.under) } else { args.out.clone() };
        write_rows(stream, watched, &to).map_err(|e| unwritten(&to, &e))?;
        if let (Some(out), Some(path)) = (&mut explained, &args.explain) {
            explain(stream, watched, out).map_err(|e| unwritten(path, &e))?;
        }
        if args.report.is_some() {
            page.add(stream, watched);
        }
        figures.add(stream, watched, windows.as_ref().and_then(|w| w.of(stream)));
    }
    if let (Some(out), Some(path)) = (explained, &args.explain) {
        out.finish().map_err(|e| unwritten(path, &e))?;
    }
    if let Some(folder) = &args.report {
        page.write(folder, &figures.lines()).map_err(|e| unwritten(folder, &e))?;
    }
    eprint!("{}", warnings.render(load_files::style()));
    figures.print(json);
    Ok(Exit::Ok)
}

/// Whether all of a stream's rows were named as clean.
fn is_unwatched(stream: &Stream, watched: &Watched) -> bool {
    watched.from > 0 && watched.from >= stream.rows()
}

/// Says of a stream that all of it was learnt from.
fn tell_unwatched(stream: &Stream, watched: &Watched, warnings: &mut Report) {
    if is_unwatched(stream, watched) {
        let text = format!(
            "`{}`: all of its {} rows are taken for clean, and none is watched",
            stream.name,
            stream.rows()
        );
        warnings.push(Diagnostic::warning(text).help("give it fewer of --train-rows"));
    }
}

fn nothing_watched(all: &[(Stream, Watched)]) -> Report {
    let rows = all.iter().map(|(stream, _)| stream.rows()).max().unwrap_or(0);
    Diagnostic::error(format!("--train-rows leaves nothing to watch: the longest table has {rows} rows"))
        .help("name the first rows that are known to be clean, such as --train-rows 400; the others are watched")
        .into()
}

/// Says of which signals only the steps were looked at.
fn tell_counters(stream: &Stream, watched: &Watched, warnings: &mut Report) {
    for k in &watched.counters {
        let column = &stream.table.columns[*k].name;
        let text =
            format!("`{}`: `{column}` counts in one direction only; its steps are watched", stream.name);
        let help = "where it stands is never again what was learnt; leave it out with --signals if it is but a running number";
        warnings.push(Diagnostic::warning(text).help(help));
    }
}

fn no_probabilities() -> Report {
    Diagnostic::error("--fdr needs probabilities smaller than a stream's own past can give")
        .help("let the detector learn from clean rows of several signals: --train-rows N or --train FILE")
        .into()
}

fn clean_rows(args: &Args, path: &Path, warnings: &mut Report) -> Result<Vec<Vec<f64>>, Report> {
    let mut columns: Vec<_> = args.signals.iter().map(|s| table::column("--signals", s)).collect();
    let labels = args.label.as_ref().map(|l| table::column("--label", l));
    let mut with = columns.clone();
    with.extend(labels);
    // A file of clean rows needs no label.
    let read = match args.reading.open(path, with) {
        Ok(table) => table,
        Err(_) if args.label.is_some() => args.reading.open(path, std::mem::take(&mut columns))?,
        Err(error) => return Err(error),
    };
    let d = args.signals.len();
    let faulty = |i: usize| read.columns.get(d).is_some_and(|c| c.values[i] != 0.0);
    let row = |i: usize| read.columns[..d].iter().map(|c| c.values[i]).collect();
    let rows = (0..read.t_s.len()).filter(|i| !faulty(*i)).map(row).collect();
    warnings.merge(read.notes.warnings.clone());
    Ok(rows)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::outside(format!("cannot write `{}`: {error}", path.display()))
}

fn explain_file(args: &Args) -> Result<Option<Aside>, Failure> {
    let Some(path) = &args.explain else { return Ok(None) };
    let begin = || {
        let mut out = Aside::create(path)?;
        writeln!(out, "file,onset,end,rows,score,signal")?;
        Ok(out)
    };
    begin().map(Some).map_err(|e| unwritten(path, &e))
}

/// One row for each row of the table, those that were left out included: the state that holds, and nothing new.
fn write_rows(stream: &Stream, watched: &Watched, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = Aside::create(to)?;
    writeln!(out, "time,score,alarm,changepoint")?;
    let mut left_out = stream.table.notes.left_out.iter().enumerate().peekable();
    let mut state = 0;
    for i in 0..=watched.steps.len() {
        while let Some((at, _)) = left_out.next_if(|(_, (kept, _))| *kept == i) {
            let time = table::cell(stream.table.written_left_out(at).unwrap_or_default());
            writeln!(out, "{time},0,{state},0")?;
        }
        if let Some(step) = watched.steps.get(i) {
            state = u8::from(step.alarm);
            let (time, onset) = (stream.time(i), u8::from(step.onset));
            writeln!(out, "{time},{:.4},{state},{onset}", step.score)?;
        }
    }
    out.finish()
}

fn explain(stream: &Stream, watched: &Watched, out: &mut Aside) -> std::io::Result<()> {
    for alarm in watched.alarms() {
        let t = |i: usize| stream.time(i);
        let end = if alarm.to < watched.steps.len() { t(alarm.to) } else { String::new() };
        let signals: Vec<&str> =
            alarm.blamed.iter().map(|k| stream.table.columns[*k].name.as_str()).collect();
        writeln!(
            out,
            "{},{},{end},{},{:.2},{}",
            table::cell(&stream.name),
            t(alarm.from),
            alarm.to - alarm.from,
            alarm.score,
            table::cell(&signals.join(" "))
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal() {
        assert!(AFTER.lines().all(|line| line.chars().count() <= 86), "{AFTER}");
    }

    #[test]
    fn contracts_are_above_nothing() {
        assert_eq!(parse_positive("2.5"), Ok(2.5));
        for bad in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(parse_positive(bad).is_err() && parse_share(bad).is_err(), "{bad}");
        }
        assert!(parse_share("0.1").is_ok() && parse_share("1").is_err());
    }
}
