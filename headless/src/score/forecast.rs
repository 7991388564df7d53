//! `twinfleet score forecast`: flags in, forecasts row by row out, figures beside the naive ones.

pub mod figures;
mod gallery;
pub mod walk;

use crate::{
    exit::{Exit, Failure},
    load_files,
    series_args::{Read, SeriesArgs},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside::Aside,
    scenario::diagnostic::{Diagnostic, Report, near},
};
use twinfleet_twins::predictors::{
    self, Model,
    network::{Forecaster, Kind, Network, Settings, WEIGHTS_BYTES},
    task::Task,
};

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

/// Options of `score forecast`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    series: SeriesArgs,
    /// Forecast from each K-th row only.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
    /// Probability that the intervals shall hold.
    #[arg(long, value_name = "P", default_value_t = 0.9, value_parser = parse_interval)]
    pub interval: f64,
    /// Forecaster: a name of `twinfleet list predictors`, or a file that `train` wrote (it ends in .json).
    #[arg(long, value_name = "NAME|FILE", default_value = "blend")]
    pub model: String,
    /// A column that a trained network was trained on, and the column of this table that it is, where names differ.
    #[arg(long, value_name = "TRAINED=COL", num_args = 1..)]
    pub map: Vec<String>,
    /// Learn once, at the end of what is learnt from, and not again from what comes due on the way.
    #[arg(long)]
    pub frozen: bool,
    /// Where the forecasts go.
    #[arg(long, value_name = "OUT.csv")]
    pub out: Option<PathBuf>,
    /// Draw fans, tracks and the reliability of the intervals into this folder: report.html, and each picture as SVG.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.01..=0.999).contains(&p) => Ok(p),
        _ => Err("write a probability from 0.01 to 0.999".to_owned()),
    }
}

/// Reads, forecasts, writes and prints.
pub fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let Read { table, task, parts, names } = args.series.read().map_err(|r| load_files::refused(&r))?;
    eprint!("{}", table.notes.warnings.render(load_files::style()));
    let mut model = model(&args.model, &args.map, &task, &names).map_err(|r| load_files::refused(&r))?;
    let mut out = match &args.out {
        Some(path) => Some((path, Aside::create(path).map_err(|e| unwritten(path, &e))?)),
        None => None,
    };
    let settings = walk::Settings {
        parts,
        every: args.every as usize,
        interval: args.interval,
        frozen: args.frozen,
        drawn: args.report.is_some(),
    };
    let sheet = walk::Sheet::new(&table, &task, parts.train);
    let mut gallery = None;
    let figures = {
        let sink = out.as_mut().map(|(_, file)| file);
        walk::walk(&task, model.as_mut(), &settings, &sheet, sink, &mut gallery)
    };
    let figures = figures.map_err(|e| match &args.out {
        Some(path) => unwritten(path, &e),
        None => Failure::outside(e),
    })?;
    if let Some((path, file)) = out {
        file.finish().map_err(|e| unwritten(path, &e))?;
    }
    let about = model.about();
    if let (Some(dir), Some(gallery)) = (&args.report, gallery) {
        let data = args.series.data.file_name().unwrap_or(args.series.data.as_os_str());
        let head = format!("{} by {}", data.to_string_lossy(), args.model);
        gallery.write(dir, &head, &about, &figures).map_err(|e| unwritten(dir, &e))?;
    }
    figures.print(&args.model, &about, task.squared, json);
    Ok(Exit::Ok)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::outside(format!("cannot write `{}`: {error}", path.display()))
}

fn model(name: &str, map: &[String], task: &Task, names: &[String]) -> Result<Box<dyn Model>, Report> {
    if Path::new(name).extension().is_some_and(|e| e == "json") {
        return trained(Path::new(name), map, task, names);
    }
    if !map.is_empty() {
        let error = Diagnostic::error(format!("--map is about a trained network, and `{name}` is none"));
        return Err(error.help("name a file that `train` wrote: --model FILE.json").into());
    }
    if let Some(kind) = Kind::find(name) {
        return Ok(Box::new(Forecaster::untrained(Settings::new(kind, names.to_vec()))));
    }
    predictors::find(name, task).ok_or_else(|| {
        let known: Vec<&str> =
            predictors::NAMES.iter().map(|n| n.0).chain(Kind::ALL.iter().map(|k| k.0.name())).collect();
        Diagnostic::error(format!("there is no forecaster `{name}`"))
            .help(format!("there are {}; a trained one is a file that ends in .json", known.join(", ")))
            .maybe_help(near(name, known.iter().copied()).filter(|help| help.starts_with("did")))
            .into()
    })
}

/// The names of a table's columns as a network knows them.
fn known_as(map: &[String], names: &[String], known: &[String]) -> Result<Vec<String>, Diagnostic> {
    let mut all = names.to_vec();
    for flag in map {
        let help = "write TRAINED=COLUMN, such as \"temp=T_cpu\"";
        let Some((trained, column)) = flag.split_once('=').map(|(a, b)| (a.trim(), b.trim())) else {
            return Err(Diagnostic::error(format!("`--map {flag}` is not understood")).help(help));
        };
        if !known.iter().any(|k| k == trained) {
            let error = Diagnostic::error(format!("the network was not trained on a column `{trained}`"));
            return Err(error
                .help(format!("it was trained on {}", known.join(", ")))
                .maybe_help(near(trained, known.iter().map(String::as_str))));
        }
        let Some(at) = names.iter().position(|n| n == column) else {
            let error = Diagnostic::error(format!("`{column}` is none of the columns given"));
            return Err(error.help("name it after --target, --inputs or --known, too"));
        };
        all[at] = trained.to_owned();
    }
    Ok(all)
}

/// A network from its files, if it suits the task.
fn trained(path: &Path, map: &[String], task: &Task, names: &[String]) -> Result<Box<dyn Model>, Report> {
    let file = path.display().to_string();
    let refuse =
        |why: String, help: &str| Report::from(Diagnostic::error(format!("`{file}`: {why}")).help(help));
    let text =
        fs::read_to_string(path).map_err(|e| refuse(e.to_string(), "name a file that `train` wrote"))?;
    let weights = |name: &str| {
        let beside = path.with_file_name(name);
        let size = fs::metadata(&beside).map(|m| m.len()).unwrap_or(0);
        if size > WEIGHTS_BYTES {
            return Err(format!("{} is larger than {} MiB", beside.display(), WEIGHTS_BYTES >> 20));
        }
        fs::read(&beside).map_err(|e| format!("{}: {e}", beside.display()))
    };
    let network = Network::read(&text, weights)
        .map_err(|e| refuse(e.to_string(), "train it anew, or name another file that `train` wrote"))?;
    let head = &network.head;
    let names = known_as(map, names, &head.channels)?;
    if head.channels != names || head.targets != task.targets.len() {
        let why = format!(
            "it was trained on {} (the first {} to forecast)",
            head.channels.join(", "),
            head.targets
        );
        let help = "give the same columns to --target, --inputs and --known, in that order; where they have other names here, say \
                    --map TRAINED=COLUMN";
        return Err(refuse(why, help));
    }
    if let Some(other) = task.horizons.iter().find(|h| network.horizon(**h).is_none()) {
        let known: Vec<String> = head.horizons.iter().map(usize::to_string).collect();
        return Err(refuse(
            format!("it cannot look {other} rows ahead"),
            &format!("it looks {} ahead", known.join(", ")),
        ));
    }
    if (task.series.step_s / head.step_s - 1.0).abs() > 0.1 {
        let why = format!("its rows were {} s apart, these are {} s apart", head.step_s, task.series.step_s);
        return Err(refuse(why, "train one on rows of this spacing"));
    }
    Ok(Box::new(Forecaster::trained(network)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal() {
        assert!(AFTER.lines().all(|line| line.chars().count() <= 80), "{AFTER}");
    }
}
