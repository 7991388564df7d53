//! `twinfleet score forecast`: flags in, forecasts row by row out, figures beside the naive ones.

mod figures;
mod walk;

use crate::{
    aside::Aside,
    exit::{Exit, Failure},
    load_files,
    table::{self, Border, ReadingArgs},
};
use std::{collections::BTreeSet, path::PathBuf};
use twinfleet_engine::{
    scenario::{
        diagnostic::{Diagnostic, Report, near},
        recording::Table,
    },
    time::NS_PER_S,
};
use twinfleet_twins::predictors::{self, Model, series::Series, task::Task};

/// What `--help` shows below the options.
pub const AFTER: &str = "\
Examples:
  # one, six and 24 hours ahead in rows of ten minutes; April is held out
  twinfleet score forecast --data energy.csv --time date --target T1,RH_1 \\
      --inputs T_out,RH_out --horizons 6,36,144 --train-until 2016-04-01 \\
      --out forecasts.csv
  # each of the next 96 rows, all channels; the error over the range
  twinfleet score forecast --data load.csv --time date --target HUFL,OT \\
      --horizons 1..96 --train-until 8640 --validate-until 11520 --out f.csv
  # without names and times
  twinfleet score forecast --data d00_te.dat --no-header --period 180 \\
      --target '#1' '#9' --horizons 1,5,20 --train-until 500 --out f.csv

One forecast from each row (or each K-th) behind what was learnt from. OUT has
origin,channel,horizon,time,target,forecast,lower,upper. It prints the mean
absolute error and the coverage of the intervals per horizon, beside
persistence; for a range also the mean squared error over all of its steps and
channels, z-scored with the training rows' mean and deviation.

Exit codes:
  0 done    2 bad input    3 a file could not be written";

/// Most steps ahead.
const LONGEST: usize = 20_000;

/// Options of `score forecast`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Table of readings (CSV and its like; comma, semicolon, tab and blanks are told apart).
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Columns to forecast: names or `#N`.
    #[arg(long, value_name = "COL", required = true, num_args = 1.., value_delimiter = ',')]
    pub target: Vec<String>,
    /// Columns that are known up to the origin only.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// Columns that are known over the horizon, too: set points, timetables, a weather forecast.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',')]
    pub known: Vec<String>,
    /// How many rows ahead: a list such as 6,36,144, or a range such as 1..96.
    #[arg(long, value_name = "LIST|RANGE", value_parser = parse_horizons)]
    pub horizons: Horizons,
    /// Where the part that is learnt from ends: a number of rows, or a time (that row is the first that is not).
    #[arg(long, value_name = "TIME|ROW")]
    pub train_until: Border,
    /// Where the part on which models are chosen ends. Without it, the end of the training part serves.
    #[arg(long, value_name = "TIME|ROW")]
    pub validate_until: Option<Border>,
    /// Forecast from each K-th row only.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
    /// Probability that the intervals shall hold.
    #[arg(long, value_name = "P", default_value_t = 0.9, value_parser = parse_interval)]
    pub interval: f64,
    /// Forecaster; see `twinfleet list predictors`.
    #[arg(long, value_name = "NAME", default_value = "persistence")]
    pub model: String,
    /// Where the forecasts go.
    #[arg(long, value_name = "OUT.csv")]
    pub out: Option<PathBuf>,
}

/// How far ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Horizons {
    /// Rows ahead, ascending.
    pub ahead: Vec<usize>,
    /// Whether they were given as a range.
    pub range: bool,
}

fn parse_horizons(text: &str) -> Result<Horizons, String> {
    let help =
        || format!("`{text}` is neither a list of rows ahead, such as 6,36,144, nor a range, such as 1..96");
    let number = |t: &str| -> Result<usize, String> {
        let n = t.trim().parse().map_err(|_| help())?;
        match n {
            1..=LONGEST => Ok(n),
            _ => Err(format!("{n} rows ahead: write 1 to {LONGEST}")),
        }
    };
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
        if first > last {
            return Err(help());
        }
        return Ok(Horizons { ahead: (first..=last).collect(), range: true });
    }
    let all: BTreeSet<usize> = text.split(',').map(number).collect::<Result<_, _>>()?;
    Ok(Horizons { ahead: all.into_iter().collect(), range: false })
}

fn parse_interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.01..=0.999).contains(&p) => Ok(p),
        _ => Err("write a probability from 0.01 to 0.999".to_owned()),
    }
}

/// The parts of a table, in rows.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// End of what is learnt from at first.
    pub train: usize,
    /// Begin of what is judged.
    pub test: usize,
}

/// Reads, forecasts, writes and prints.
pub fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let table = read(args).map_err(|r| load_files::refused(&r))?;
    eprint!("{}", table.notes.warnings.render(load_files::style()));
    let parts = parts(args, &table).map_err(|r| load_files::refused(&r))?;
    let mut model = model(&args.model).map_err(|r| load_files::refused(&r))?;
    let task = task(args, &table);
    let mut out = match &args.out {
        Some(path) => Some((path, Aside::create(path).map_err(|e| unwritten(path, &e))?)),
        None => None,
    };
    let settings = walk::Settings { parts, every: args.every as usize, interval: args.interval };
    let sheet = walk::Sheet::new(&table, &task, &args.target, parts.train);
    let figures = {
        let sink = out.as_mut().map(|(_, file)| file);
        walk::walk(&task, model.as_mut(), &settings, &sheet, sink)
    };
    let figures = figures.map_err(|e| match &args.out {
        Some(path) => unwritten(path, &e),
        None => Failure::outside(e),
    })?;
    if let Some((path, file)) = out {
        file.finish().map_err(|e| unwritten(path, &e))?;
    }
    let about = model.about();
    figures.print(&args.model, &about, args.horizons.range, json);
    Ok(Exit::Ok)
}

fn unwritten(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::outside(format!("cannot write `{}`: {error}", path.display()))
}

fn read(args: &Args) -> Result<Table, Report> {
    let mut report = Report::default();
    for name in &args.target {
        if args.known.contains(name) {
            let error = Diagnostic::error(format!("`{name}` is a target and known over the horizon"));
            report.push(error.help("what is known ahead needs no forecast: take it out of --known"));
        }
    }
    report.into_result()?;
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    let flags = [("--target", &args.target), ("--known", &args.known), ("--inputs", &args.inputs)];
    for (flag, names) in flags {
        for name in names.iter().filter(|n| seen.insert(n.trim())) {
            columns.push(table::column(flag, name));
        }
    }
    args.reading.open(&args.data, columns)
}

fn task(args: &Args, table: &Table) -> Task {
    let place = |name: &String| table.columns.iter().position(|c| c.name == name.trim());
    let places = |names: &[String]| -> Vec<usize> {
        let found: BTreeSet<usize> = names.iter().filter_map(place).collect();
        found.into_iter().collect()
    };
    let targets: Vec<usize> = places(&args.target);
    let known = places(&args.known);
    let mut inputs = places(&args.inputs);
    inputs.retain(|i| !targets.contains(i) && !known.contains(i));
    let t0 = table.t0_unix_ns.map(|ns| ns as f64 / NS_PER_S as f64);
    let columns = table.columns.iter().map(|c| c.values.clone()).collect();
    let series = Series::new(&table.t_s, t0, columns);
    let mut task = Task::new(series, targets, inputs, known, args.horizons.ahead.clone());
    task.squared = args.horizons.range;
    task
}

fn parts(args: &Args, table: &Table) -> Result<Parts, Report> {
    let rows = table.t_s.len();
    let train = args.train_until.rows("--train-until", table)?;
    let test = match &args.validate_until {
        Some(border) => border.rows("--validate-until", table)?,
        None => train,
    };
    let ahead = args.horizons.ahead[0];
    let error = if train < 10 {
        format!("--train-until leaves {train} rows to learn from, at least 10 are needed")
    } else if test < train {
        "--validate-until lies before --train-until".to_owned()
    } else if test - 1 + ahead >= rows {
        format!("of {rows} rows none is left to judge {ahead} rows ahead on: {test} are learnt from")
    } else {
        return Ok(Parts { train, test });
    };
    Err(Diagnostic::error(error).help("learn from fewer rows, or from more").into())
}

fn model(name: &str) -> Result<Box<dyn Model>, Report> {
    predictors::find(name).ok_or_else(|| {
        let names = predictors::NAMES.iter().map(|n| n.0);
        let known: Vec<&str> = names.clone().collect();
        Diagnostic::error(format!("there is no forecaster `{name}`"))
            .help(format!("there are {}", known.join(", ")))
            .maybe_help(near(name, names).filter(|help| help.starts_with("did")))
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_are_lists_or_ranges() {
        assert_eq!(parse_horizons("36,6").map(|h| (h.ahead, h.range)), Ok((vec![6, 36], false)));
        assert_eq!(parse_horizons("1..3").map(|h| (h.ahead, h.range)), Ok((vec![1, 2, 3], true)));
        for bad in ["", "0", "3..1", "a", "1..", "1,,2", "99999999", "-1", "1.5"] {
            assert!(parse_horizons(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(AFTER.lines().all(|line| line.chars().count() <= 80), "{AFTER}");
    }
}
